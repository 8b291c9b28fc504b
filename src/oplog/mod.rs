//! The operation log: the truth about refs, and the audit trail.
//!
//! - One JSON object a line, each sealed by its hash and naming the hash of the line before it.
//! - One synced append is the moment an operation happens: one write at a position and one sync.
//! - Opening reads one segment: it starts with a checkpoint of all refs.
//! - Reading takes no lock and never changes a byte. Whoever appends holds the vault's lock.
//! - A torn last line was never acknowledged: the next append moves it to quarantine. Any other bad
//!   line is damage and is never cut.
//! - After a failed write or sync the handle is poisoned, and what was written is taken back.
//!
//! Limits: a chain without a key does not show by itself that its end was cut off at a line's end; who
//! remembers an [`Anchor`] can tell.

mod line;
mod log;
mod operation;
mod refs;
mod segment;
#[cfg(test)]
mod tests;
mod verify;

pub use line::LineHash;
pub use log::{OpLog, Operations};
pub use operation::{Anchor, LINE_BYTES_MAX, NewOperation, Operation, Recovered};
pub use refs::{Label, RefChange, RefError, RefName, RefTarget, Refs};
pub use verify::HINT_DAMAGED;

pub use crate::store::Problem;

use crate::fs;

/// What went wrong with the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of it cannot be used.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// A line that was acknowledged does not hold.
    #[error("{place} is damaged: {what}")]
    Damaged {
        /// The segment and the line.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// There is no log, or a segment of it is missing.
    #[error("the operation log is not whole: {0}")]
    Missing(String),
    /// A log was to be made where there is one.
    #[error("there is an operation log already")]
    Exists,
    /// The log ends before, or says other than, what is remembered of it.
    #[error("the operation log went backwards: it ends at operation {}, but {} was seen", last.seq, known.seq)]
    Shortened {
        /// What is remembered.
        known: Anchor,
        /// The last operation found.
        last: Anchor,
    },
    /// Another process appended, although the caller says that it holds the lock.
    #[error("the operation log changed since it was read")]
    Moved,
    /// An earlier append on this handle failed.
    #[error("an earlier write to the operation log failed; nothing more is written through it")]
    Poisoned,
    /// The operation was not written and the log is as it was.
    #[error("the operation was not written; nothing has changed")]
    NotWritten(#[source] fs::Error),
    /// Neither writing nor taking it back succeeded.
    #[error("it is not known whether the operation was written; look at the log before doing it again")]
    Uncertain(#[source] fs::Error),
    /// A line longer than [`LINE_BYTES_MAX`].
    #[error("the operation needs a log line of {0} bytes, more than {max} are not written", max = LINE_BYTES_MAX)]
    TooLong(usize),
    /// A change of refs that is refused.
    #[error(transparent)]
    Ref(#[from] RefError),
}

impl Error {
    /// Tells whether the vault is damaged, as opposed to something having failed.
    pub fn is_damage(&self) -> bool {
        matches!(self, Error::Damaged { .. } | Error::Missing(_) | Error::Shortened { .. })
    }
}

/// The result of an act on the log.
pub type Result<T> = std::result::Result<T, Error>;
