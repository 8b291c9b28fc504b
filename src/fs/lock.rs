//! Kernel locks that die with their holder, and a bounded wait for them.
//!
//! The lock file is never removed and nothing about its age means anything. While it is held it names
//! the holder, for the message that others show; what it says is never trusted for more than that.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use super::{Dir, Error, File, LockKind};

/// A lock that is held until it is dropped.
#[must_use = "the lock is given back when this is dropped"]
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process kept it for the whole wait.
    #[error("locked by {holder} (waited {waited_s} s)")]
    Held {
        /// What the holder wrote about itself.
        holder: String,
        /// How long was waited, in seconds.
        waited_s: u64,
    },
    /// The lock file itself cannot be used.
    #[error(transparent)]
    Disk(#[from] Error),
}

impl Lock {
    /// Takes the exclusive lock `name` in `dir`, waiting at most `wait`; `holder` describes the caller.
    pub fn acquire(
        dir: &Dir,
        name: impl AsRef<OsStr>,
        wait: Duration,
        holder: &str,
    ) -> Result<Lock, LockError> {
        let name = name.as_ref();
        let file = match dir.open_write(name) {
            Err(error) if error.is_not_found() => match dir.create_new(name, 0o600) {
                Err(error) if error.is_exists() => dir.open_write(name)?,
                other => other?,
            },
            other => other?,
        };
        let start = Instant::now();
        let mut tries = 0;
        while !file.try_lock(LockKind::Exclusive)? {
            if start.elapsed() >= wait {
                let holder = file.read_all(4096).unwrap_or_default();
                let holder = String::from_utf8_lossy(&holder).trim().replace(char::is_control, " ");
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                return Err(LockError::Held { holder, waited_s: wait.as_secs() });
            }
            let waited = start.elapsed();
            std::thread::sleep(pause(tries, waited).min(wait.saturating_sub(waited)));
            tries += 1;
        }
        let _advice_only = file.set_len(0).and_then(|()| file.write_at(holder.as_bytes(), 0));
        Ok(Lock { file })
    }
}

/// Returns how long to wait before the next try. At first it doubles up to 50 ms; then, the longer one has
/// waited the shorter it is, so that those who came first get the lock before those who come now. (A kernel
/// lock has a queue only for those who wait in it without a bound.)
fn pause(tries: u32, waited: Duration) -> Duration {
    let longest = match waited.as_secs() {
        0 => 50,
        1 => 25,
        2..4 => 12,
        4..8 => 5,
        _ => 2,
    };
    Duration::from_millis(longest.min(1 << tries.min(6)))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file gives the lock back as well; this only makes it prompt if a child of ours
        // still has the file open.
        let _closing_does_it_too = self.file.unlock();
    }
}
