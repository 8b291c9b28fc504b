//! The gate of a vault: what arrives passes it, and whoever removes objects for good closes it.
//!
//! - A session passes the gate before it looks at what the store has, and keeps it open until the operation that
//!   leads to what came is in the log. So nothing that is arriving is ever taken for something nothing leads to.
//! - Both sides wait for their turn. Whoever waits to close it comes before sessions that begin later, so that
//!   one session after the other cannot keep it open forever.
//! - The gate is taken before the vault's lock, never the other way round: a session that keeps the gate open
//!   needs the lock to finish.

use std::time::{Duration, Instant};

use crate::fs::{Dir, File, Lock, LockError, LockKind};

/// A folder below `incoming/` that is no peer's: none has a name like that.
const FOLDER: &str = ".gate";
/// Held shared by each session, exclusively by who closes the gate.
const LOCK: &str = "lock";
/// Held exclusively from the moment somebody wants to close the gate: until then nobody new passes.
const TURN: &str = "turn";
/// The lock of a session's folder.
pub(super) const SESSION_LOCK: &str = "lock";
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// The gate, passed: nobody closes it until this is dropped.
#[must_use = "the gate can be closed again when this is dropped"]
#[derive(Debug)]
pub struct OpenGate {
    _file: File,
}

/// The gate, closed: nobody is receiving, and nobody begins to.
#[must_use = "the gate is open again when this is dropped"]
pub struct ClosedGate {
    root: Dir,
    _lock: Lock,
    _turn: Lock,
}

impl ClosedGate {
    /// Closes the gate of `root`, the folder `incoming/`; waits at most `wait` for sessions that are receiving.
    /// `holder` describes the caller.
    pub fn close(root: &Dir, wait: Duration, holder: &str) -> Result<ClosedGate, LockError> {
        let start = Instant::now();
        let gate = root.open_or_create_dir(FOLDER)?;
        let turn = Lock::acquire(&gate, TURN, wait, holder)?;
        let left = wait.saturating_sub(start.elapsed());
        match Lock::acquire(&gate, LOCK, left, holder) {
            Ok(lock) => Ok(ClosedGate { root: root.clone(), _lock: lock, _turn: turn }),
            // Those that keep it open wrote nothing there: what it says is of who closed it last.
            Err(LockError::Held { .. }) => {
                Err(LockError::Held { holder: sessions(root)?, waited_s: wait.as_secs() })
            }
            Err(error) => Err(error),
        }
    }

    /// Removes what earlier sessions left unfinished: it may depend on what is about to go.
    pub fn discard_leftovers(&self) -> crate::fs::Result<()> {
        for (peer, _) in self.root.list()? {
            let dir = self.root.open_dir(&peer)?;
            for folder in ["objects", "tmp"] {
                match dir.open_dir(folder) {
                    Ok(dir) => remove_files(&dir, |_| true)?,
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            remove_files(&dir, super::incoming::is_unfinished)?;
        }
        Ok(())
    }
}

impl OpenGate {
    /// Passes the gate of `root`, the folder `incoming/`, and keeps it from being closed; waits at most `wait` for
    /// who has closed it.
    pub fn pass(root: &Dir, wait: Duration) -> Result<OpenGate, LockError> {
        let gate = root.open_or_create_dir(FOLDER)?;
        let (turn, lock) = (open_or_create(&gate, TURN)?, open_or_create(&gate, LOCK)?);
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            // Between the two nobody can begin to close it.
            if turn.try_lock(LockKind::Shared)? {
                let is_open = lock.try_lock(LockKind::Shared)?;
                turn.unlock()?;
                if is_open {
                    return Ok(OpenGate { _file: lock });
                }
            }
            if start.elapsed() >= wait {
                return Err(LockError::Held { holder: holder_in(&turn), waited_s: wait.as_secs() });
            }
            std::thread::sleep(pause.min(wait.saturating_sub(start.elapsed())));
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

fn open_or_create(dir: &Dir, name: &str) -> crate::fs::Result<File> {
    match dir.open_write(name) {
        Err(error) if error.is_not_found() => match dir.create_new(name, 0o600) {
            Err(error) if error.is_exists() => dir.open_write(name),
            other => other,
        },
        other => other,
    }
}

fn holder_in(file: &File) -> String {
    let text = file.read_all(4096).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().replace(char::is_control, " ");
    if text.is_empty() { "another process".to_owned() } else { text }
}

/// Describes those that keep the gate open: the peers whose folders a session is using.
fn sessions(root: &Dir) -> crate::fs::Result<String> {
    let mut peers = Vec::new();
    for (name, _) in root.list()? {
        let file = match root.open_dir(&name).and_then(|dir| dir.open(SESSION_LOCK)) {
            Ok(file) if name != FOLDER => file,
            _ => continue,
        };
        if !file.try_lock(LockKind::Shared)? {
            peers.push(name.to_string_lossy().trim_start_matches('.').replace(char::is_control, " "));
        }
    }
    Ok(match peers.as_slice() {
        [] => "another command that needs all objects, as `mvault gc` does".to_owned(),
        peers => format!("a session that receives from {}", peers.join(", ")),
    })
}

pub(super) fn remove_files(dir: &Dir, is_meant: impl Fn(&str) -> bool) -> crate::fs::Result<()> {
    for (name, _) in dir.list()? {
        if is_meant(&name.to_string_lossy()) {
            dir.remove_file(&name)?;
        }
    }
    dir.sync()
}
