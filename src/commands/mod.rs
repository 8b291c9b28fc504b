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

pub mod audit;
pub mod boot;
pub mod branch;
pub mod bundle;
pub mod cat;
mod changes;
pub mod checkout;
pub mod commit;
pub mod completions;
pub mod demo;
pub mod diff;
pub mod doctor;
mod editor;
pub mod error;
pub mod events;
pub mod gc;
pub mod git;
pub mod handoff;
pub mod hash;
pub mod hook;
pub mod hooks;
pub mod import;
pub mod init;
pub mod log;
pub mod logged;
pub mod man;
pub mod mcp;
pub mod memory;
pub mod note;
pub mod purge;
pub mod reconcile;
pub mod rejections;
pub mod remote;
pub mod repair;
pub mod rollback;
pub mod serve;
pub mod session;
pub mod show;
pub mod standup;
pub mod status;
pub mod sync;
mod telling;
mod temporary;
pub mod trust;
pub mod undo;
pub mod verify;
pub mod write;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{CommandError, ErrorKind};

use crate::env::Env;
use crate::fs::Disk;
use crate::gateway::secrets;
use crate::object::{SessionId, VaultPath};
use crate::ui::{Ui, harmless_line};
use crate::vault::{self, Access, OpenOptions, Trust, Vault};

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
    /// Who asks.
    pub caller: Caller,
    /// The environment variables.
    pub vars: BTreeMap<OsString, OsString>,
    /// The words of the command line as the audit trail keeps them.
    pub args: Vec<String>,
    /// What stands for standard input; `None` is the process's own.
    pub stdin: Option<Vec<u8>>,
    /// The definition of the whole command line, for completions and manual pages.
    pub definition: fn() -> clap::Command,
}

/// Who asks for a command, which decides what vaults it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A person who typed it.
    Person,
    /// A program: it uses only vaults that were made or confirmed on this device.
    Program,
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

    /// Returns the folder of the vault that the command is about, if it may be used.
    pub fn find_vault(&self) -> Result<PathBuf, CommandError> {
        let path = match &self.vault_start {
            VaultStart::Exactly(path) => path.clone(),
            VaultStart::Search(start) => vault::find(&*self.disk, start)?,
        };
        vault::check_trust(&*self.disk, &path, &self.trust())?;
        Ok(path)
    }

    /// Returns what it takes for a vault to be used by this command.
    pub fn trust(&self) -> Trust {
        match self.caller {
            Caller::Person => Trust::Person { home: self.home() },
            Caller::Program => Trust::Program { home: self.home() },
        }
    }

    /// Returns the user's home folder.
    pub fn home(&self) -> Option<PathBuf> {
        self.var("HOME").map(PathBuf::from)
    }

    /// Opens the vault that the command is about, and tells what a person should know of it first.
    pub fn open_vault(&mut self, access: Access) -> Result<Vault, CommandError> {
        let path = self.find_vault()?;
        let mut vault = Vault::open(&path, self.open_options(access)?)?;
        self.tell_notices(&mut vault);
        Ok(vault)
    }

    /// Returns who opens a vault, and how.
    pub fn open_options(&self, access: Access) -> Result<OpenOptions, CommandError> {
        let session = match self.var("MVAULT_SESSION") {
            None => None,
            Some(text) => Some(SessionId::parse(text).ok_or_else(|| {
                CommandError::usage("MVAULT_SESSION is no session id")
                    .hint("a session id has letters, digits, dots, dashes and underscores")
            })?),
        };
        // It is in every commit and in the log, where no purge reaches it.
        let is_name = |text: &&str| secrets::scan(text.as_bytes()).is_empty();
        let mut names = ["MVAULT_ACTOR", "USER", "LOGNAME"].iter().filter_map(|name| self.var(name));
        let actor = names.find(is_name);
        Ok(OpenOptions {
            disk: self.disk.clone(),
            env: self.env.clone(),
            actor: actor.unwrap_or("unknown").to_owned(),
            args: self.args.clone(),
            session,
            access,
            trust: self.trust(),
        })
    }

    /// Tells what happened on the way.
    pub fn tell_notices(&mut self, vault: &mut Vault) {
        for notice in vault.take_notices() {
            self.ui.warn(notice);
        }
    }

    /// Returns a path of the command line as one inside the vault.
    pub fn vault_path(&self, vault: &Vault, given: &Path) -> Result<VaultPath, CommandError> {
        let shown = harmless_line(given.as_os_str().as_encoded_bytes());
        let refuse = |why: String| {
            Err(CommandError::usage(format!("{shown}: {why}")).hint("name files and folders of the vault"))
        };
        let root = self.disk.canonicalize(vault.root().path())?;
        let mut parts = Vec::new();
        let full = self.path(given);
        for part in full.components() {
            match part {
                std::path::Component::ParentDir => {
                    parts.pop();
                }
                std::path::Component::CurDir => {}
                other => parts.push(other),
            }
        }
        let absolute: PathBuf = parts.into_iter().collect();
        let inside = absolute.strip_prefix(&root).or_else(|_| absolute.strip_prefix(vault.root().path()));
        let Ok(inside) = inside else { return refuse("it is outside of the vault".into()) };
        match VaultPath::parse(inside.as_os_str().as_encoded_bytes()) {
            Ok(path) => Ok(path),
            Err(error) => refuse(error.to_string()),
        }
    }

    /// Returns paths of the command line as those inside the vault; none if one of them is all of it.
    pub fn vault_paths(&self, vault: &Vault, given: &[PathBuf]) -> Result<Vec<VaultPath>, CommandError> {
        let root = self.disk.canonicalize(vault.root().path())?;
        let is_root =
            |path: &PathBuf| self.disk.canonicalize(&self.path(path)).is_ok_and(|path| path == root);
        if given.iter().any(is_root) {
            return Ok(Vec::new());
        }
        given.iter().map(|path| self.vault_path(vault, path)).collect()
    }

    /// Reads standard input to its end; more than `size_max` bytes are refused.
    pub fn read_stdin(&self, size_max: u64) -> Result<Vec<u8>, CommandError> {
        let mut bytes = Vec::new();
        let read = match &self.stdin {
            Some(given) => given.take(size_max + 1).read_to_end(&mut bytes),
            None => std::io::stdin().lock().take(size_max + 1).read_to_end(&mut bytes),
        };
        if let Err(error) = read {
            return Err(
                CommandError::from_error(ErrorKind::Failed, &error).hint("check what feeds the command")
            );
        }
        if bytes.len() as u64 > size_max {
            let message = format!("standard input is longer than {size_max} bytes");
            return Err(CommandError::new(ErrorKind::Refused, message)
                .hint("write it to a file in the vault and commit that"));
        }
        Ok(bytes)
    }

    /// Asks a question on the terminal and returns the line that was typed; `None` if there is no terminal
    /// to ask on.
    pub fn ask(&mut self, question: &str) -> Result<Option<String>, CommandError> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        self.ui.question(question);
        let mut line = String::new();
        match stdin.read_line(&mut line) {
            Ok(_) => Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => Err(CommandError::from_error(ErrorKind::Failed, &error)),
        }
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
