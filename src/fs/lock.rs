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
        let mut pause = Duration::from_millis(1);
        while !file.try_lock(LockKind::Exclusive)? {
            if start.elapsed() >= wait {
                let holder = file.read_all(4096).unwrap_or_default();
                let holder = String::from_utf8_lossy(&holder).trim().replace(char::is_control, " ");
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                return Err(LockError::Held { holder, waited_s: wait.as_secs() });
            }
            std::thread::sleep(pause.min(wait.saturating_sub(start.elapsed())));
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        let _advice_only = file.set_len(0).and_then(|()| file.write_at(holder.as_bytes(), 0));
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file gives the lock back as well; this only makes it prompt if a child of ours
        // still has the file open.
        let _closing_does_it_too = self.file.unlock();
    }
}
