//! How errors of all rooms become one: a kind, a message, a hint.

use std::error::Error as StdError;
use std::io;

use crate::{fs, object, ui, vault};

/// What kind of failure ended a command. The word is part of the JSON contract, the code of the shell's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Anything that has no kind of its own.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// There is no vault here.
    NotAVault,
    /// The vault was written by a newer mvault.
    NewerFormat,
    /// Nothing has that name or id.
    NotFound,
    /// Several things have that name or prefix.
    Ambiguous,
    /// Something of that name exists already.
    Exists,
    /// Edits in no commit stand in the way.
    Dirty,
    /// A file was refused and `--strict` was given, or a limit was hit.
    Refused,
    /// What was to be written holds what may not enter the vault.
    NotAdmitted,
    /// A file is not what the caller took it for.
    Stale,
    /// The disk is full, or a limit on file sizes was reached.
    NoSpace,
    /// The file system or folder does not let us write.
    ReadOnly,
    /// This user has no permission.
    Denied,
    /// Sides disagree and the command did nothing. (Commands that did their part and leave conflicts pending
    /// return [`super::Exit::Conflicts`], exit 4.)
    Conflicts,
    /// What was wanted was purged.
    Purged,
    /// The vault may be a stranger's: it was not made or confirmed on this device.
    Untrusted,
    /// A bundle cannot be used; the vault is as it was.
    BadBundle,
    /// A bundle builds on commits that are not here.
    MissingCommits,
    /// Something in the vault is not what it should be.
    Damaged,
    /// The far device cannot be reached, or the connection broke off.
    Unreachable,
    /// Another process holds the vault.
    Locked,
    /// A person stopped it.
    Interrupted,
    /// The reader of the output went away: told to nobody, ends with success.
    ClosedPipe,
    /// A fault of mvault itself.
    Bug,
}

impl ErrorKind {
    /// Returns the word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Failed => "failed",
            ErrorKind::Usage => "usage",
            ErrorKind::NotAVault => "not_a_vault",
            ErrorKind::NewerFormat => "newer_format",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Ambiguous => "ambiguous",
            ErrorKind::Exists => "exists",
            ErrorKind::Dirty => "dirty",
            ErrorKind::Refused => "refused",
            ErrorKind::NotAdmitted => "not_admitted",
            ErrorKind::Stale => "stale",
            ErrorKind::NoSpace => "no_space",
            ErrorKind::ReadOnly => "read_only",
            ErrorKind::Denied => "permission_denied",
            ErrorKind::Conflicts => "conflicts",
            ErrorKind::Purged => "purged",
            ErrorKind::Untrusted => "untrusted",
            ErrorKind::BadBundle => "bad_bundle",
            ErrorKind::MissingCommits => "missing_commits",
            ErrorKind::Damaged => "damaged",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Locked => "locked",
            ErrorKind::Interrupted => "interrupted",
            ErrorKind::ClosedPipe => "closed_pipe",
            ErrorKind::Bug => "bug",
        }
    }

    /// Returns the exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::ClosedPipe => 0,
            ErrorKind::Usage => 2,
            ErrorKind::NotAdmitted => 3,
            ErrorKind::Damaged => 5,
            ErrorKind::Unreachable => 6,
            ErrorKind::Locked => 7,
            ErrorKind::Interrupted => 130,
            _ => 1,
        }
    }
}

/// Why a command failed, in words for a person.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What happened: the error and its causes, joined.
    pub message: String,
    /// What to type next.
    pub hint: Option<String>,
}

impl CommandError {
    /// Makes an error of its parts.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> CommandError {
        CommandError { kind, message: message.into(), hint: None }
    }

    /// Makes an error of a kind out of a lower room's error, with its chain of causes.
    pub fn from_error(kind: ErrorKind, error: &(dyn StdError + 'static)) -> CommandError {
        CommandError::new(kind, chain(error))
    }

    /// Makes a usage error.
    pub fn usage(message: impl Into<String>) -> CommandError {
        CommandError::new(ErrorKind::Usage, message)
    }

    /// Adds what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> CommandError {
        self.hint = Some(hint.into());
        self
    }
}

/// Joins an error and its causes by colons.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&plain(error));
        cause = error.source();
    }
    message
}

/// Leaves the operating system's number out of its message.
fn plain(error: &(dyn StdError + 'static)) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) if error.is::<io::Error>() => text[..at].to_lowercase(),
        _ => text,
    }
}

/// Names the kind of a failure by what the system said anywhere in the chain of causes.
pub fn kind_of_chain(error: &(dyn StdError + 'static)) -> ErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return match io.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    ErrorKind::NoSpace
                }
                io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
                io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                io::ErrorKind::BrokenPipe => ErrorKind::ClosedPipe,
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Failed,
            };
        }
        next = error.source();
    }
    ErrorKind::Failed
}

impl From<fs::Error> for CommandError {
    fn from(error: fs::Error) -> CommandError {
        let kind = kind_of_chain(&error);
        let made = CommandError::from_error(kind, &error);
        match kind {
            ErrorKind::NoSpace => {
                made.hint("make room and run the command again: nothing was changed by halves")
            }
            ErrorKind::ReadOnly => {
                made.hint("the file system is read-only: reading works, changing does not")
            }
            ErrorKind::Denied => made.hint("check the permissions of that path and who owns it"),
            ErrorKind::NotFound => {
                made.hint("check how the path is spelled, and from which folder it begins")
            }
            _ => made,
        }
    }
}

impl From<fs::LockError> for CommandError {
    fn from(error: fs::LockError) -> CommandError {
        match error {
            fs::LockError::Held { .. } => CommandError::from_error(ErrorKind::Locked, &error)
                .hint("wait for it to finish; the lock ends with its process, there is nothing to delete"),
            fs::LockError::Disk(error) => error.into(),
        }
    }
}

impl From<object::SourceError> for CommandError {
    fn from(error: object::SourceError) -> CommandError {
        vault::Error::from(error).into()
    }
}

impl From<vault::Error> for CommandError {
    fn from(error: vault::Error) -> CommandError {
        let kind = match error.kind() {
            vault::ErrorKind::NotAVault => ErrorKind::NotAVault,
            vault::ErrorKind::NewerFormat => ErrorKind::NewerFormat,
            vault::ErrorKind::UnknownRevision => ErrorKind::NotFound,
            vault::ErrorKind::AmbiguousRevision => ErrorKind::Ambiguous,
            vault::ErrorKind::Dirty => ErrorKind::Dirty,
            vault::ErrorKind::Refused => ErrorKind::Refused,
            vault::ErrorKind::Admission => ErrorKind::NotAdmitted,
            vault::ErrorKind::Stale => ErrorKind::Stale,
            vault::ErrorKind::Conflict => ErrorKind::Conflicts,
            vault::ErrorKind::Purged => ErrorKind::Purged,
            vault::ErrorKind::Untrusted => ErrorKind::Untrusted,
            vault::ErrorKind::Damage => ErrorKind::Damaged,
            vault::ErrorKind::Locked => ErrorKind::Locked,
            vault::ErrorKind::Settings => ErrorKind::Failed,
            vault::ErrorKind::Disk => kind_of_chain(&error),
        };
        CommandError::from_error(kind, &error).hint(error.hint())
    }
}

impl From<ui::Error> for CommandError {
    fn from(error: ui::Error) -> CommandError {
        match &error {
            ui::Error::ClosedPipe => CommandError::from_error(ErrorKind::ClosedPipe, &error),
            ui::Error::Write(_) => CommandError::from_error(kind_of_chain(&error), &error)
                .hint("check where the output goes; what the command did is done"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_its_path_and_once() {
        let source = io::Error::from_raw_os_error(28);
        let error = fs::Error { action: "write", path: "a/b".into(), source };
        let error = CommandError::from(error);
        assert_eq!(error.kind, ErrorKind::NoSpace);
        assert_eq!(error.message, "cannot write a/b: no space left on device");
        assert_eq!(error.kind.exit_code(), 1);
    }

    #[test]
    fn a_closed_pipe_is_a_success() {
        let error = CommandError::from(ui::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)));
        assert_eq!(error.kind.exit_code(), 0);
    }
}
