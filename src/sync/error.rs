//! Why a session ended early: whose fault it was, in words, with the next thing to do.

use super::bundle::BundleError;
use super::receive::ReceiveError;
use super::send::SendError;
use super::ssh::SshError;
use super::wire::{WireError, mask};
use super::{Refusal, RefusalKind};
use crate::object::SourceError;

/// The classes that decide about exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// This side could not do it: exit 1.
    Failed,
    /// The peer is unreachable, broke off, or sent what does not hold: exit 6.
    Peer,
    /// Something is locked here: exit 7.
    Locked,
    /// This side's vault is damaged: exit 5.
    Damaged,
}

/// Why a session ended early. In every case refs are as they were before the step that failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The peer's bytes break the protocol.
    #[error("the other side breaks the protocol")]
    Wire(#[from] WireError),
    /// What came was not taken.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// What was to be sent cannot be read.
    #[error(transparent)]
    Send(#[from] SendError),
    /// What is needed for the conversation cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// This side ended the session.
    #[error(transparent)]
    Ours(#[from] Refusal),
    /// The other side ended the session. The words are its own, masked.
    #[error("the other side says: {0}")]
    Refused(Refusal),
    /// The other side repeats what it is sent.
    #[error("the other side is not mvault: it only repeats what it reads")]
    Echo,
    /// The connection ended in the middle.
    #[error("the connection broke off while waiting for {waiting_for}")]
    Broke {
        /// What was due.
        waiting_for: &'static str,
    },
    /// Nothing moved for too long.
    #[error("the other side made no progress for {seconds} s")]
    Silent {
        /// How long.
        seconds: u64,
    },
    /// A bundle cannot be taken.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The way there failed.
    #[error(transparent)]
    Ssh(#[from] SshError),
}

impl SyncError {
    /// Makes an error of a peer's refusal, its words made harmless for a terminal.
    pub(super) fn refused(refusal: Refusal) -> SyncError {
        let Refusal { kind, message, hint } = refusal;
        let message = mask(&message, 500).replace('\n', " ");
        let hint = hint.map(|hint| mask(&hint, 500).replace('\n', " "));
        SyncError::Refused(Refusal { kind, message, hint })
    }

    /// Returns the class, which decides about the exit code.
    pub fn class(&self) -> Class {
        match self {
            SyncError::Ours(refusal) => match refusal.kind {
                RefusalKind::Locked => Class::Locked,
                RefusalKind::Damaged => Class::Damaged,
                RefusalKind::WentBack => Class::Peer,
                _ => Class::Failed,
            },
            SyncError::Receive(ReceiveError::Lock(_) | ReceiveError::Closed { .. }) => Class::Locked,
            SyncError::Receive(ReceiveError::Store(error)) if error.is_damage() => Class::Damaged,
            SyncError::Send(SendError::Store(error)) if error.is_damage() => Class::Damaged,
            SyncError::Receive(ReceiveError::Content(_) | ReceiveError::Wire(_)) => Class::Peer,
            SyncError::Receive(_) | SyncError::Send(_) | SyncError::Source(_) | SyncError::Bundle(_) => {
                Class::Failed
            }
            SyncError::Ssh(error) => error.class(),
            SyncError::Refused(refusal) => match refusal.kind {
                RefusalKind::Unrelated
                | RefusalKind::SameName
                | RefusalKind::Itself
                | RefusalKind::ReadOnly => Class::Failed,
                _ => Class::Peer,
            },
            SyncError::Wire(_) | SyncError::Echo | SyncError::Broke { .. } | SyncError::Silent { .. } => {
                Class::Peer
            }
        }
    }

    /// Returns a word for the class of fault, for `--json`.
    pub fn kind(&self) -> &'static str {
        match self {
            SyncError::Wire(WireError::TooNew { .. } | WireError::TooOld(_)) => "protocol-version",
            SyncError::Wire(_) | SyncError::Echo => "protocol",
            SyncError::Receive(ReceiveError::Content(_) | ReceiveError::Wire(_)) => "peer-content",
            SyncError::Receive(ReceiveError::Unrelated(_)) => "unrelated",
            SyncError::Receive(ReceiveError::Limit { .. } | ReceiveError::FileTooLarge { .. }) => "limit",
            SyncError::Receive(ReceiveError::Lock(_) | ReceiveError::Closed { .. }) => "locked",
            SyncError::Receive(_) | SyncError::Send(_) | SyncError::Source(_) => "store",
            SyncError::Ours(refusal) => refusal.kind.as_str(),
            SyncError::Refused(refusal) => refusal.kind.as_str(),
            SyncError::Broke { .. } => "broke-off",
            SyncError::Silent { .. } => "no-progress",
            SyncError::Bundle(BundleError::Missing(_)) => "missing-commits",
            SyncError::Bundle(BundleError::Newer(_)) => "newer-format",
            SyncError::Bundle(BundleError::Disk(_)) => "store",
            SyncError::Bundle(_) => "bad-bundle",
            SyncError::Ssh(error) => error.kind(),
        }
    }

    /// Returns what to do next, if there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            SyncError::Wire(WireError::TooNew { .. }) => "upgrade mvault on this device",
            SyncError::Wire(WireError::TooOld(_)) => "upgrade mvault on the other device",
            SyncError::Wire(_) | SyncError::Echo => {
                "see that the far program is mvault: its path can be set per remote"
            }
            SyncError::Receive(ReceiveError::Content(_) | ReceiveError::Wire(_)) => {
                "nothing of it was kept; `mvault verify` on the other device tells whether it is damaged"
            }
            SyncError::Receive(ReceiveError::Limit { .. }) => {
                "raise the limit in config.toml if this is meant"
            }
            SyncError::Receive(ReceiveError::FileTooLarge { .. }) => {
                "if the file is meant, run the same command with `--allow too-large`; nothing of this vault was changed"
            }
            SyncError::Receive(error) if error.is_full() => {
                "make room and run the command again; what had come was removed, and nothing of this vault was changed"
            }
            SyncError::Broke { .. } | SyncError::Silent { .. } => {
                "run the command again: what arrived whole is kept and not sent again"
            }
            SyncError::Ours(refusal) | SyncError::Refused(refusal) => return refusal.hint.clone(),
            SyncError::Ssh(error) => return Some(error.hint().to_owned()),
            SyncError::Bundle(error) => error.hint(),
            SyncError::Receive(ReceiveError::Lock(_)) => "wait for the other session to end",
            SyncError::Receive(ReceiveError::Closed { .. }) => {
                "nothing was changed; run the command again when that is done"
            }
            SyncError::Receive(ReceiveError::Store(error)) | SyncError::Send(SendError::Store(error)) => {
                return error.hint().map(str::to_owned);
            }
            SyncError::Receive(_) | SyncError::Send(_) | SyncError::Source(_) => return None,
        };
        Some(hint.to_owned())
    }
}
