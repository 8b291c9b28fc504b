//! What is remembered of the operation log: its last acknowledged operation, in two places.
//!
//! - `.mvault/witness` is written after every operation, the stat cache after those that it is made for.
//!   Either is enough to notice that the log lost its end, so losing one of them loses nothing.
//! - Only an operation that was acknowledged is remembered. One that was merely seen may be that of a
//!   process which was killed before its sync, and a power cut may take it back.
//! - A log that does not hold what is remembered went backwards: nothing reads on or builds on it unasked.
//!
//! The witness is written in place and not synced: a torn or older one remembers nothing or less.

use serde::{Deserialize, Serialize};

use super::{Result, Vault};
use crate::fs::Dir;
use crate::object::{read_line, seal_line};
use crate::oplog::{self, Anchor, LineHash};
use crate::worktree::{Index, LogMark};

/// The witness's file in `.mvault`.
pub(super) const WITNESS: &str = "witness";
/// Its length: the line is padded with blanks, so that one write replaces it.
const WITNESS_BYTES: usize = 224;

/// What the witness says; a sealed line.
#[derive(Serialize, Deserialize)]
struct Witness {
    seq: u64,
    line: LineHash,
}

/// What is remembered of the log. To be read before the log is, unless the lock is held: others append
/// first and remember then.
pub(super) struct Remembered {
    witness: Option<Anchor>,
    /// Read without its checksum.
    index: Option<LogMark>,
}

impl Remembered {
    /// Reads what is remembered.
    pub(super) fn read(dot: &Dir) -> Result<Remembered> {
        // One that cannot be read, whoever owns it, remembers nothing; it must not keep anybody from reading on.
        let bytes = dot.try_read(WITNESS, WITNESS_BYTES as u64).ok().flatten();
        let witness = bytes.and_then(|bytes| read_line::<Witness>(bytes.trim_ascii_end()));
        let index = Index::peek_log_mark(dot)?.filter(|mark| mark.seq > 0);
        Ok(Remembered { witness: witness.map(|Witness { seq, line }| Anchor { seq, hash: line }), index })
    }

    /// Returns the operation that the witness remembers.
    pub(super) fn witness(&self) -> Option<Anchor> {
        self.witness
    }
}

/// Returns the operation that a stat cache remembers.
pub(super) fn anchor(mark: LogMark) -> Anchor {
    Anchor { seq: mark.seq, hash: LineHash::from_bytes(mark.hash) }
}

impl Vault {
    /// Holds the log against what is remembered of it now. The lock is held, so that neither moves.
    pub(super) fn recall_log(&mut self) -> Result<()> {
        let remembered = Remembered::read(&self.dot)?;
        self.hold_log_against(&remembered)
    }

    /// Holds the log against what is remembered of it.
    pub(super) fn hold_log_against(&mut self, remembered: &Remembered) -> Result<()> {
        if let Some(known) = remembered.witness {
            self.log.confirm(known)?;
        }
        let Some(mark) = remembered.index else { return Ok(()) };
        match self.log.confirm(anchor(mark)) {
            // The mark was read without its checksum: a damaged cache proves nothing.
            Err(oplog::Error::Shortened { .. })
                if Index::load(&self.dot)?.is_none_or(|index| index.log_mark() != mark) =>
            {
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Remembers the last operation, which was acknowledged. That it could not be written harms nothing: the
    /// log is the truth, and the next operation is remembered again.
    pub(super) fn remember_log(&self) {
        let Some(Anchor { seq, hash }) = self.log.acknowledged() else { return };
        let (mut line, _) = seal_line(&Witness { seq, line: hash });
        line.pop();
        line.resize(WITNESS_BYTES - 1, b' ');
        line.push(b'\n');
        let file = match self.dot.open_write(WITNESS) {
            Err(error) if error.is_not_found() => self.dot.create_new(WITNESS, 0o600),
            other => other,
        };
        let _the_log_is_the_truth = file.and_then(|file| file.write_at(&line, 0));
    }

    /// Says it if the settings call this device otherwise than its last operation did.
    pub(super) fn tell_other_name(&mut self) -> Result<()> {
        let last = self.log.get(self.log.last().seq)?.map(|operation| operation.device);
        if let Some(last) = last.filter(|last| *last != self.config.device) {
            self.notices.push(format!(
                "this device is called {} in .mvault/config.toml, and was called {last} until now",
                self.config.device
            ));
        }
        Ok(())
    }

    /// Returns what the stat cache may remember of the log now.
    pub(super) fn log_mark(&self) -> LogMark {
        self.log
            .acknowledged()
            .map_or(LogMark::default(), |known| LogMark { seq: known.seq, hash: *known.hash.as_bytes() })
    }
}
