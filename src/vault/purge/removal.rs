//! Removing the bytes of what is due: from the packs, from what peers had begun to send, from quarantine.
//!
//! It is run again until it succeeds: by the purge itself, and by the next command if that was cut. Nothing depends on where it was cut.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::list::OPERATION;
use super::survey::Trees;
use crate::fs::{Dir, File, FileKind, FileReader, LockError};
use crate::object::{Kind, ObjectHasher, ObjectId, typed};
use crate::store::{Removed, Stage};
use crate::sync::{ClosedGate, OpenGate};
use crate::vault::transaction::GateHeld;
use crate::vault::{Error, ErrorKind, Result, Vault, VaultLock};

const QUARANTINE: &str = "quarantine";
const INCOMING: &str = "incoming";
const BLOCK: usize = 256 << 10;

impl Vault {
    /// Goes on with a purge that was cut, as every command does first, unless another one is at work.
    pub(in crate::vault) fn finish_cut_purge(&mut self) -> Result<()> {
        if !self.has_due() {
            return Ok(());
        }
        match self.lock_within("finishing a purge", Duration::ZERO, GateHeld::No) {
            Ok(_lock) => Ok(()),
            Err(Error::Lock(LockError::Held { .. })) => Ok(()),
            Err(error) if error.is_read_only() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Under the lock: reads the list of tombstones, and removes what a cut purge had left. That it cannot
    /// be removed now is told and keeps nobody from working.
    pub(in crate::vault) fn resume_purge(&mut self, lock: &VaultLock, gate: GateHeld<'_>) -> Result<()> {
        if !self.read_purged()? {
            self.save_purged()?;
        }
        let removed = match gate {
            // Who keeps the gate open cannot close it.
            GateHeld::Open => return Ok(()),
            GateHeld::Closed(gate) if self.has_due() => self.remove_behind(lock, gate).map(Some),
            GateHeld::Closed(_) => Ok(None),
            GateHeld::No => self.try_remove_due(lock),
        };
        match removed {
            Ok(None) => {}
            Ok(Some(_)) => self.notices.push("a purge that was cut short has been finished".into()),
            Err(error) if error.is_read_only() => {}
            Err(error) => {
                let notice = format!("what was purged is still here in part: {error}; {}", error.hint());
                self.notices.push(notice);
            }
        }
        Ok(())
    }

    fn has_due(&self) -> bool {
        self.purged.iter().any(|listed| listed.stone.stage == Stage::Due)
    }

    /// Looks whether bytes that were gone have come again, with a session that began before the purge, and puts
    /// them on the list of those that are to go.
    pub(in crate::vault) fn list_returned(&mut self) -> Result<()> {
        let mut is_changed = false;
        for listed in self.purged.iter_mut().filter(|listed| listed.stone.stage == Stage::Gone) {
            if self.store.still_has(listed.blob)? {
                listed.stone.stage = Stage::Due;
                is_changed = true;
            }
        }
        if is_changed { self.save_purged() } else { Ok(()) }
    }

    /// Closes the gate to sessions that receive; waits for those that do. To be called before the lock is taken:
    /// they need it to finish. `act` is what the caller does, shown to others who wait.
    pub(in crate::vault) fn close_gate(&self, act: &str) -> Result<ClosedGate> {
        self.close_gate_within(act, self.config.lock_wait()?)
    }

    fn close_gate_within(&self, act: &str, wait: Duration) -> Result<ClosedGate> {
        let incoming = self.dot.open_or_create_dir(INCOMING)?;
        ClosedGate::close(&incoming, wait, &self.holder(act)).map_err(|error| match error {
            LockError::Held { holder, waited_s } => Error::refused(
                ErrorKind::Locked,
                format!(
                    "the vault is in use by {holder} (waited {waited_s} s), and that may need what is to go"
                ),
                "nothing was changed; run it again when that is done",
            ),
            LockError::Disk(error) => error.into(),
        })
    }

    /// Keeps the gate from being closed; waits for who has closed it. To be called before the lock is taken.
    pub(in crate::vault) fn open_gate(&self) -> Result<OpenGate> {
        let incoming = self.dot.open_or_create_dir(INCOMING)?;
        OpenGate::pass(&incoming, self.config.lock_wait()?).map_err(|error| match error {
            LockError::Held { holder, waited_s } => Error::refused(
                ErrorKind::Locked,
                format!("the vault is in use by {holder} (waited {waited_s} s)"),
                "nothing was changed; run it again when that is done",
            ),
            LockError::Disk(error) => error.into(),
        })
    }

    /// Removes the bytes of all blobs that are due, unless a session is receiving now; `None` if none are due.
    pub(in crate::vault) fn try_remove_due(&mut self, lock: &VaultLock) -> Result<Option<Removed>> {
        if !self.has_due() {
            return Ok(None);
        }
        // The lock is held, so that nobody who has the gate open may be waited for.
        let gate = self.close_gate_within(OPERATION, Duration::ZERO)?;
        self.remove_behind(lock, &gate).map(Some)
    }

    /// Removes the bytes of all blobs that are due.
    pub(super) fn remove_behind(&mut self, _lock: &VaultLock, gate: &ClosedGate) -> Result<Removed> {
        let due = self.purged.iter().filter(|listed| listed.stone.stage == Stage::Due);
        let ids: BTreeSet<ObjectId> = due.map(|listed| listed.blob).collect();
        if ids.is_empty() {
            return Ok(Removed::default());
        }
        gate.discard_leftovers()?;
        let mut needed: HashSet<ObjectId> = HashSet::new();
        let commits = super::named_commits(&self.log).into_keys();
        Trees::new(&self.store).visit_all(commits, &mut |_, _, id| {
            if !ids.contains(&id) {
                needed.insert(id);
            }
        })?;
        let removed = self.store.remove(&ids, &needed)?;
        for pack in remove_from_quarantine(&self.dot, &ids)? {
            let short = pack.get(..10).unwrap_or(&pack);
            self.notices.push(format!(
                "a damaged pack that `mvault repair` set aside may hold what was purged: {} removes it",
                typed("quarantine drop").word(short)
            ));
        }
        for listed in &mut self.purged {
            if ids.contains(&listed.blob) {
                listed.stone.stage = Stage::Gone;
            }
        }
        self.save_purged()?;
        Ok(removed)
    }
}

/// Removes quarantined files whose bytes are those of a purged blob. Returns the names of damaged packs in
/// there: what they hold cannot be told, and nobody else may have the rest of it.
fn remove_from_quarantine(dot: &Dir, ids: &BTreeSet<ObjectId>) -> Result<Vec<String>> {
    let mut packs = Vec::new();
    let dir = match dot.open_dir(QUARANTINE) {
        Err(error) if error.is_not_found() => return Ok(packs),
        other => other?,
    };
    for (name, _) in dir.list()? {
        if dir.stat(&name)?.kind != FileKind::File {
            continue;
        }
        let file = dir.open(&name)?;
        let mut hasher = ObjectHasher::new(Kind::Blob, file.stat()?.size);
        let (mut reader, mut block) = (FileReader::new(&file), vec![0; BLOCK]);
        loop {
            match std::io::Read::read(&mut reader, &mut block) {
                Ok(0) | Err(_) => break,
                Ok(count) => hasher.update(&block[..count]),
            }
        }
        if ids.contains(&hasher.finish()) {
            dir.remove_file(&name)?;
        } else if is_pack(&file) {
            packs.push(name.to_string_lossy().into_owned());
        }
    }
    dir.sync()?;
    Ok(packs)
}

/// Tells whether a file begins or ends like a pack.
fn is_pack(file: &File) -> bool {
    let mark = |offset| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, offset).is_ok() && bytes.starts_with(b"mvpack")
    };
    mark(0) || file.stat().is_ok_and(|stat| stat.size >= 8 && mark(stat.size - 8))
}
