//! One page a verb: its arguments with their help, the call into the library, and how the outcome is
//! told in words and in JSON.
//!
//! To add a verb: write `src/commands/<verb>.rs` with a `…Args` struct and
//! `pub fn run(cx: &mut Context<'_>, args: &…Args) -> CommandResult`, declare it here, and add one line
//! to each of the two lists in `cli.rs`.
//!
//! - Commands ask the library and tell; they print only through [`crate::ui::Ui`].
//! - Every failure becomes a [`CommandError`]: its kind decides the exit code, its hint is what to type
//!   next.

pub mod error;
pub mod hash;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{CommandError, ErrorKind};

use crate::env::Env;
use crate::fs::Disk;
use crate::ui::Ui;

/// What a command gets besides its own arguments.
pub struct Context<'a> {
    /// The machine's disk.
    pub disk: Arc<dyn Disk>,
    /// Clock and dice.
    pub env: Env,
    /// The voice.
    pub ui: &'a mut Ui,
    /// The folder that paths on the command line are relative to: `-C`, else the current one. Absolute.
    pub dir: PathBuf,
    /// Where the search for the vault starts: `-C`, else `MVAULT_DIR`, else the current folder.
    pub vault_start: VaultStart,
    /// The environment variables.
    pub vars: BTreeMap<OsString, OsString>,
    /// The words on the command line after the program's name, for the audit trail.
    pub args: Vec<String>,
    /// The definition of the whole command line, for completions and manual pages.
    pub definition: fn() -> clap::Command,
}

/// Where the vault is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultStart {
    /// In this folder or the nearest parent of it that holds a vault.
    Search(PathBuf),
    /// In this folder (`MVAULT_DIR`) and nowhere else.
    Exactly(PathBuf),
}

impl Context<'_> {
    /// Returns a path of the command line as an absolute one.
    pub fn path(&self, given: &Path) -> PathBuf {
        self.dir.join(given)
    }

    /// Returns an environment variable if it is set, not empty and UTF-8.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(OsString::from(name).as_os_str())?.to_str().filter(|value| !value.is_empty())
    }
}

/// How a command that did its work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do: 0.
    Done,
    /// Done, and the answer is no (`verify` of one file, a check that fails): 1.
    Failed,
    /// Done, but some files were refused: 3.
    Refused,
    /// Conflicts are pending: 4.
    Conflicts,
    /// The vault is damaged: 5.
    Damaged,
}

impl Exit {
    /// Returns the exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Refused => 3,
            Exit::Conflicts => 4,
            Exit::Damaged => 5,
        }
    }
}

/// What a command returns.
pub type CommandResult = Result<Exit, CommandError>;
