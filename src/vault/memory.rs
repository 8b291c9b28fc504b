//! What the stat cache remembers of the operation log: its last acknowledged operation.
//!
//! - Only an operation that was acknowledged is remembered. One that was merely seen may be that of a
//!   process which was killed before its sync, and a power cut may take it back.
//! - A log that does not hold what is remembered went backwards: nobody builds on it unasked.

use super::{Result, Vault};
use crate::oplog::{self, Anchor, LineHash};
use crate::worktree::{Index, LogMark};

impl Vault {
    /// Holds the log against what the stat cache remembers of it. The lock is held, so that neither
    /// moves.
    pub(super) fn recall_log(&mut self) -> Result<()> {
        let Some(peeked) = Index::peek_log_mark(&self.dot)?.filter(|mark| mark.seq > 0) else {
            return Ok(());
        };
        let known = Anchor { seq: peeked.seq, hash: LineHash::from_bytes(peeked.hash) };
        match self.log.confirm(known) {
            // The mark was read without its checksum: a damaged cache proves nothing.
            Err(oplog::Error::Shortened { .. })
                if Index::load(&self.dot)?.is_none_or(|index| index.log_mark() != peeked) =>
            {
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Returns what the stat cache may remember of the log now.
    pub(super) fn log_mark(&self) -> LogMark {
        self.log
            .acknowledged()
            .map_or(LogMark::default(), |known| LogMark { seq: known.seq, hash: *known.hash.as_bytes() })
    }
}
