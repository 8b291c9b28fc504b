//! Rules: which driver merges which path, and by which version of the merge rule.
//!
//! The grammar of `vault.toml` is not this room's affair: a [`RuleBook`] reads it, and hands in the
//! drivers that other rooms know.

use std::sync::Arc;

use super::veil::Purge;
use crate::object::VaultPath;

/// The file that holds a vault's rules, at the top of its tree.
pub const RULES_FILE: &str = "vault.toml";

/// The version of the merge rule that this program computes.
pub const RULE_VERSION: u32 = 1;

/// Reads the rules of a vault.
pub trait RuleBook {
    /// Reads `vault.toml`, or returns the defaults if there is none. The error says, for a person, what
    /// is wrong with the file; the file is then in conflict.
    ///
    /// A file whose merge rule this program does not know should be read as far as its version, whatever
    /// else it holds.
    fn parse(&self, vault_toml: Option<&[u8]>) -> Result<Rules, String>;

    /// Returns all tombstones known here. Which of them count is a matter of the heads that are merged.
    fn purges(&self) -> &[Purge] {
        &[]
    }
}

type DriverFor = dyn Fn(&VaultPath) -> Driver + Send + Sync;

/// Which files are sealed by a sidecar, and how. Pure: what it makes becomes part of ids.
pub trait Sealing: Send + Sync {
    /// Returns where the sidecar of the file at `path` stands, or `None` if such a file is not sealed.
    fn sidecar_of(&self, path: &VaultPath) -> Option<VaultPath>;

    /// Returns the path of the file whose sidecar would stand at `path`, or `None` if no sidecar would.
    fn sealed_by(&self, path: &VaultPath) -> Option<VaultPath>;

    /// Makes the sidecar of a file called `name` whose plain bytes hash to `sha256`.
    fn seal(&self, name: &[u8], sha256: [u8; 32]) -> Vec<u8>;
}

/// What holds for one merge.
#[derive(Clone)]
pub struct Rules {
    /// The version of the merge rule, 1 unless the vault says otherwise.
    pub version: u32,
    driver_for: Arc<DriverFor>,
    sealing: Option<Arc<dyn Sealing>>,
}

impl Rules {
    /// Makes rules of a version and a choice of driver by path.
    pub fn new(version: u32, driver_for: impl Fn(&VaultPath) -> Driver + Send + Sync + 'static) -> Rules {
        Rules { version, driver_for: Arc::new(driver_for), sealing: None }
    }

    /// Says which files are sealed by a sidecar; without this none are.
    #[must_use]
    pub fn with_sealing(self, sealing: impl Sealing + 'static) -> Rules {
        Rules { sealing: Some(Arc::new(sealing)), ..self }
    }

    /// Returns rules that merge every file as text.
    pub fn text_only() -> Rules {
        Rules::new(RULE_VERSION, |_| Driver::Text)
    }

    pub(super) fn sealing(&self) -> Option<&dyn Sealing> {
        self.sealing.as_deref()
    }

    /// Returns the driver for a path. The rules file itself is text, whatever it says.
    pub fn driver_for(&self, path: &VaultPath) -> Driver {
        if path.as_bytes() == RULES_FILE.as_bytes() { Driver::Text } else { (self.driver_for)(path) }
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("version", &self.version).finish_non_exhaustive()
    }
}

/// How the contents of a file are merged.
#[derive(Clone)]
pub enum Driver {
    /// Line by line; a conflict where both sides changed the same lines. Files with a zero byte near
    /// their beginning merge as binary.
    Text,
    /// Not at all: a conflict unless one side is unchanged or both are equal.
    Binary,
    /// Line by line, both sides' lines kept where both changed the same ones.
    Union,
    /// By code of another room.
    Custom(Arc<dyn ContentMerge>),
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Driver {
    /// Returns the driver's name, as `vault.toml` spells it.
    pub fn name(&self) -> &str {
        match self {
            Driver::Text => "text",
            Driver::Binary => "binary",
            Driver::Union => "union",
            Driver::Custom(driver) => driver.name(),
        }
    }
}

/// What two sides of a content merge have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base<'a> {
    /// The bytes both came from.
    Known(&'a [u8]),
    /// Several bases that disagree: equal to no side.
    NoValue,
    /// Both sides added the file.
    Absent,
}

/// Merges the contents of one file. A pure function of its arguments: the result becomes part of ids.
pub trait ContentMerge: Send + Sync {
    /// Returns the driver's name.
    fn name(&self) -> &str;

    /// Merges two sides that differ.
    fn merge(&self, base: Base<'_>, ours: &[u8], theirs: &[u8]) -> ContentOutcome;
}

/// What came of a content merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentOutcome {
    /// The merged bytes.
    Clean(Vec<u8>),
    /// The sides contradict each other.
    Conflict {
        /// Bytes to stand for the disagreeing sides when they are themselves the base of a later merge,
        /// with something that can equal no side where they differ. Without it the file as a whole has no
        /// value there.
        as_base: Option<Vec<u8>>,
    },
}
