//! The mounts inside the vault whose files are committed: remembered, so that one that is not mounted is not taken
//! for deleted files.
//!
//! - A mount is remembered before an operation is published whose tree has files below it.
//! - A person forgets one by naming the folder in a commit while nothing is mounted there.

use super::gather::Gathered;
use super::{Error, ErrorKind, Result, Vault};
use crate::object::{TreeId, VaultPath, entry_at, typed};
use crate::worktree::{Index, Mounts, Waits};

/// What a commit found out about mounts.
#[derive(Default)]
pub(super) struct MountsSeen {
    /// Something is mounted on these folders.
    pub found: Vec<VaultPath>,
    /// Nothing is on these, and they were named: what is there now counts.
    pub given_up: Vec<VaultPath>,
}

impl Vault {
    /// Returns the mounts that are remembered.
    pub(super) fn mounts(&self) -> Result<Mounts> {
        Ok(Mounts::load(&self.dot)?)
    }

    /// Returns the folders on which something belongs that is not mounted.
    pub(super) fn unmounted(&self) -> Result<Vec<VaultPath>> {
        Ok(self.mounts()?.gone(&self.root))
    }

    /// Remembers the mounts that a walk found and below which `tree` has files. The lock is held.
    pub(super) fn remember_mounts(&self, found: &[VaultPath], tree: TreeId) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        let mut new = Vec::new();
        for path in found {
            if entry_at(&self.store, tree, path)?.is_some_and(|entry| entry.mode.is_tree()) {
                new.push(path.clone());
            }
        }
        let before = self.mounts()?;
        self.save_mounts(&before, before.clone().with(&new))
    }

    /// Remembers the mounts that a commit found, and forgets those that were given up and those without files.
    /// `index` is of the tree before, as it stands on disk.
    pub(super) fn keep_mounts(&self, index: &Index, waits: &Waits, gathered: &Gathered) -> Result<()> {
        let before = self.mounts()?;
        let now = before.clone().without(&gathered.mounts.given_up).with(&gathered.mounts.found);
        let has_files = |folder: &VaultPath| {
            index.holds(folder.as_bytes())
                || waits.iter().any(|wait| wait.path != *folder && wait.path.is_within(folder))
                || gathered.changes.iter().any(|one| one.new.is_some() && one.path.is_within(folder))
        };
        let empty: Vec<VaultPath> = now.iter().filter(|folder| !has_files(folder)).cloned().collect();
        self.save_mounts(&before, now.without(&empty))
    }

    fn save_mounts(&self, before: &Mounts, now: Mounts) -> Result<()> {
        if now != *before {
            now.save(&self.dot)?;
        }
        Ok(())
    }

    /// Refuses to write below a folder on which something belongs that is not mounted: it would be written into the
    /// folder under it.
    pub(super) fn refuse_unmounted(&self, path: &VaultPath) -> Result<()> {
        let Some(folder) = self.unmounted()?.into_iter().find(|folder| path.is_within(folder)) else {
            return Ok(());
        };
        Err(Error::refused(
            ErrorKind::Refused,
            format!("{folder} is not mounted; nothing was written to {path}"),
            format!(
                "mount it, or run {} if it is no longer a mount",
                typed("commit").path(folder.as_bytes())
            ),
        ))
    }
}
