//! What can go wrong with a vault, in words a person can act on.

use std::path::PathBuf;

use super::config::ConfigError;
use super::rules::RulesError;
use crate::fs;
use crate::merge;
use crate::object::{SourceError, VaultPath};
use crate::oplog;
use crate::store;
use crate::worktree;

/// The result of an act on a vault.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The class of an error: what the command line makes its exit code and words of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no vault here.
    NotAVault,
    /// The vault was made by a later program.
    NewerFormat,
    /// A revision names nothing.
    UnknownRevision,
    /// A revision names several things.
    AmbiguousRevision,
    /// Edits stand in the way.
    Dirty,
    /// The request makes no sense in the present state.
    Refused,
    /// What was to be written was not admitted.
    Admission,
    /// A file is not what the caller took it for.
    Stale,
    /// A three-way merge left conflicts.
    Conflict,
    /// What was wanted was purged.
    Purged,
    /// The vault is damaged.
    Damage,
    /// Another process holds the lock.
    Locked,
    /// A file or folder cannot be used.
    Disk,
    /// Settings or rules are invalid.
    Settings,
    /// The vault, or an unfinished checkout in it, may be a stranger's.
    Untrusted,
}

/// What went wrong with a vault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No vault in a folder or above it.
    #[error("no vault in {} or above it", crate::fs::shown(.0))]
    NotAVault(PathBuf),
    /// A request that cannot be carried out; nothing was changed.
    #[error("{message}")]
    Refused {
        /// The class.
        kind: ErrorKind,
        /// What happened and what was not harmed.
        message: String,
        /// What to type next.
        hint: String,
    },
    /// Paths that stand in the way of a change of the working tree; nothing was changed.
    #[error("{what}: {} in the way; nothing was changed", list(paths))]
    InTheWay {
        /// What was asked for.
        what: &'static str,
        /// The paths.
        paths: Vec<VaultPath>,
    },
    /// A move of the working tree that is in the log, and could not be carried out to its end.
    #[error("the vault has moved, and its files could not all follow")]
    Unfinished(#[source] Box<Error>),
    /// The lock is held by another process.
    #[error("the vault is {0}")]
    Lock(fs::LockError),
    /// A file.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The operation log.
    #[error(transparent)]
    Log(#[from] oplog::Error),
    /// An object.
    #[error(transparent)]
    Object(#[from] SourceError),
    /// The working tree.
    #[error(transparent)]
    Worktree(#[from] worktree::Error),
    /// Reconcile.
    #[error(transparent)]
    Merge(#[from] merge::MergeError),
    /// Local settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The vault's rules.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

impl From<fs::LockError> for Error {
    fn from(error: fs::LockError) -> Error {
        match error {
            fs::LockError::Disk(error) => Error::Disk(error),
            held => Error::Lock(held),
        }
    }
}

/// What to do about settings that are gone or unusable.
pub(super) const HINT_SETTINGS: &str = "correct .mvault/config.toml by hand; or `mvault repair` makes it again from the log (remotes have to be added \
     again, what was there goes to quarantine)";

fn list(paths: &[VaultPath]) -> String {
    let shown: Vec<String> = paths.iter().take(5).map(ToString::to_string).collect();
    let rest = paths.len().saturating_sub(shown.len());
    let is = if paths.len() == 1 { "is" } else { "are" };
    match rest {
        0 => format!("{} {is}", shown.join(", ")),
        _ => format!("{} and {rest} more are", shown.join(", ")),
    }
}

impl Error {
    /// Makes an error for a request that cannot be carried out.
    pub fn refused(kind: ErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Refused { kind, message: message.into(), hint: hint.into() }
    }

    /// Returns the class of the error.
    pub fn kind(&self) -> ErrorKind {
        if self.is_newer() {
            return ErrorKind::NewerFormat;
        }
        match self {
            Error::NotAVault(_) => ErrorKind::NotAVault,
            Error::Refused { kind, .. } => *kind,
            Error::InTheWay { .. } => ErrorKind::Dirty,
            Error::Unfinished(cause) => cause.kind(),
            Error::Lock(_) => ErrorKind::Locked,
            Error::Disk(_) => ErrorKind::Disk,
            Error::Store(store::Error::Purged { .. })
            | Error::Object(SourceError::Purged { .. })
            | Error::Worktree(worktree::Error::Source(SourceError::Purged { .. }))
            | Error::Merge(merge::MergeError::Source(SourceError::Purged { .. })) => ErrorKind::Purged,
            // A pack that this user may not read is not damaged.
            Error::Store(_) | Error::Object(_) | Error::Worktree(_) | Error::Merge(_) if self.is_denied() => {
                ErrorKind::Disk
            }
            Error::Store(error) if error.is_damage() => ErrorKind::Damage,
            Error::Store(_) => ErrorKind::Disk,
            Error::Log(error) if error.is_damage() => ErrorKind::Damage,
            Error::Log(_) => ErrorKind::Disk,
            Error::Worktree(worktree::Error::Disk(_)) => ErrorKind::Disk,
            Error::Worktree(_) | Error::Object(_) | Error::Merge(_) => ErrorKind::Damage,
            Error::Config(error) if error.is_lost() => ErrorKind::Damage,
            Error::Config(ConfigError::Disk(_)) => ErrorKind::Disk,
            Error::Config(_) | Error::Rules(_) => ErrorKind::Settings,
        }
    }

    /// Returns what to type next.
    pub fn hint(&self) -> String {
        match self {
            Error::NotAVault(_) => "`mvault init` makes a vault here; `-C DIR` names another folder".into(),
            Error::Refused { hint, .. } => hint.clone(),
            Error::InTheWay { .. } => "`mvault commit` keeps your edits, then try again".into(),
            Error::Unfinished(_) => {
                let full = self.io_kind().is_some_and(is_full);
                let first = if full { "the disk is full: make room" } else { "see to the cause" };
                format!("{first}, then `mvault status`: any command finishes the move; nothing is lost")
            }
            Error::Lock(_) => "try again when the other command is done; nothing was changed".into(),
            Error::Log(oplog::Error::Shortened { .. }) => {
                "nothing was changed. Put .mvault/oplog back from a backup if you have one; otherwise `mvault \
                 repair` records in the log what is lost and goes on"
                    .into()
            }
            Error::Log(error) if error.is_damage() => oplog::HINT_DAMAGED.into(),
            Error::Config(error) if error.is_lost() => HINT_SETTINGS.into(),
            Error::Log(oplog::Error::Uncertain(_)) => {
                "`mvault audit -n 1` shows whether it happened, once the disk works again".into()
            }
            other => match other.kind() {
                ErrorKind::Damage => {
                    "`mvault verify` shows what is damaged, `mvault repair` puts right what can be; nothing was \
                     changed"
                        .into()
                }
                ErrorKind::NewerFormat => "install a newer mvault; nothing was changed".into(),
                ErrorKind::Purged => "a device that has not agreed to the purge still has it".into(),
                ErrorKind::Settings => "correct the file and try again; nothing was changed".into(),
                _ => other.disk_hint().into(),
            },
        }
    }

    /// Tells whether the file system refused because it is read-only.
    pub fn is_read_only(&self) -> bool {
        self.io_kind() == Some(std::io::ErrorKind::ReadOnlyFilesystem)
    }

    /// Tells whether the cause is something that a newer program wrote.
    fn is_newer(&self) -> bool {
        // What is passed on as it is does not count as its own cause.
        if matches!(
            self,
            Error::Store(store::Error::Newer { .. }) | Error::Worktree(worktree::Error::NewerJournal)
        ) {
            return true;
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let is_pack = matches!(error.downcast_ref(), Some(store::Error::Newer { .. }));
            if is_pack || matches!(error.downcast_ref(), Some(worktree::Error::NewerJournal)) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Returns `true` if this user has no permission for what was to be done.
    pub fn is_denied(&self) -> bool {
        self.io_kind() == Some(std::io::ErrorKind::PermissionDenied)
    }

    /// Returns what the system said, if a file or folder was the cause.
    fn io_kind(&self) -> Option<std::io::ErrorKind> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                return Some(io.kind());
            }
            cause = error.source();
        }
        None
    }

    fn disk_hint(&self) -> &'static str {
        use std::io::ErrorKind as Io;
        match self.io_kind() {
            Some(io) if is_full(io) => "the disk is full: make room and try again; nothing was changed",
            Some(Io::ReadOnlyFilesystem) => "the file system is read-only: reading works, changing does not",
            Some(Io::PermissionDenied) => "check who owns the file and its permissions",
            _ => "nothing was changed; try again",
        }
    }
}

fn is_full(io: std::io::ErrorKind) -> bool {
    matches!(io, std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
