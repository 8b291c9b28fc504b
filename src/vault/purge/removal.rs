//! Removing the bytes of what is due: from the packs, from what peers had begun to send, from quarantine.
//!
//! It is run again until it succeeds: by the purge itself, and by whoever takes the lock next if that was
//! cut. Nothing depends on where it was cut.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::survey::Trees;
use crate::fs::{Dir, FileReader, LockError};
use crate::object::{Kind, ObjectHasher, ObjectId};
use crate::store::{Removed, Stage};
use crate::sync::Leftovers;
use crate::vault::{Error, ErrorKind, Result, Vault, VaultLock};

const QUARANTINE: &str = "quarantine";
const INCOMING: &str = "incoming";
const BLOCK: usize = 256 << 10;

impl Vault {
    /// Under the lock: reads the list of tombstones, and removes what a cut purge had left. That it cannot
    /// be removed now is told and keeps nobody from working.
    pub(in crate::vault) fn resume_purge(&mut self, lock: &VaultLock) -> Result<()> {
        if !self.read_purged()? {
            self.save_purged()?;
        }
        match self.remove_due(lock, Duration::ZERO) {
            Ok(None) => {}
            Ok(Some(_)) => self.notices.push("a purge that was cut short has been finished".into()),
            Err(error) => {
                let notice = format!("what was purged is still here in part: {error}; {}", error.hint());
                self.notices.push(notice);
            }
        }
        Ok(())
    }

    /// Removes the bytes of all blobs that are due; `None` if none are. Waits so long for sessions that
    /// are receiving.
    pub(in crate::vault) fn remove_due(
        &mut self,
        _lock: &VaultLock,
        wait: Duration,
    ) -> Result<Option<Removed>> {
        let due = |stage: Stage| stage == Stage::Due;
        let ids: BTreeSet<ObjectId> =
            self.purged.iter().filter(|listed| due(listed.stone.stage)).map(|listed| listed.blob).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let incoming = self.dot.open_or_create_dir(INCOMING)?;
        let held = Leftovers::hold_all(&incoming, wait).map_err(|error| match error {
            LockError::Held { .. } => Error::refused(
                ErrorKind::Locked,
                "another device is sending to this vault, and what it sends may rest on what goes",
                "`mvault purge --resume` when it is done",
            ),
            LockError::Disk(error) => error.into(),
        })?;
        for leftovers in &held {
            leftovers.discard()?;
        }
        let mut needed: HashSet<ObjectId> = HashSet::new();
        let commits = super::named_commits(&self.log).into_keys();
        Trees::new(&self.store).visit_all(commits, &mut |_, _, id| {
            if !ids.contains(&id) {
                needed.insert(id);
            }
        })?;
        let removed = self.store.remove(&ids, &needed)?;
        remove_from_quarantine(&self.dot, &ids)?;
        for listed in &mut self.purged {
            if ids.contains(&listed.blob) {
                listed.stone.stage = Stage::Gone;
            }
        }
        self.save_purged()?;
        Ok(Some(removed))
    }
}

/// Removes quarantined files whose bytes are those of a purged blob.
fn remove_from_quarantine(dot: &Dir, ids: &BTreeSet<ObjectId>) -> Result<()> {
    let dir = match dot.open_dir(QUARANTINE) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    for (name, _) in dir.list()? {
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
        }
    }
    Ok(dir.sync()?)
}
