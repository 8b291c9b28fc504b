//! Files that are found as they were in an older commit: put back from a backup, or by a sync service.
//!
//! Committed unasked that would take back what came since, on every device. It is told and waits for a yes.
//! Nothing is at risk meanwhile: whatever is in such files is in the history already.
//!
//! - It costs next to nothing unless every changed content is known already: an edit brings something new.
//! - One file that is as before is an edit, and so is taking back the newest commit if this device made it.
//!   New and removed files alone are no restore.
//! - Streams and what is refused anyway do not count: a restored stream is refused by itself.
//!
//! Limits: a state further back than [`COMMITS_LOOKED_AT`] is not recognized, nor one with anything new in it.

use std::collections::{BTreeMap, BTreeSet};

use super::admission::{Admission, Finding};
use super::gather::Gathered;
use super::history::Walk;
use super::rules::Class;
use super::tree_writer::{tree_changes, write_edited};
use super::{Result, Vault};
use crate::gateway::Reason;
use crate::merge::History;
use crate::object::{CommitId, TreeId, VaultPath, diff_trees, entry_at};
use crate::worktree::{Change, Status};

/// So many commits are looked through.
const COMMITS_LOOKED_AT: usize = 1000;

/// Tells whether what is about to be committed on `base` is an older state as a whole.
pub(super) fn restored(
    vault: &Vault,
    admission: &Admission<'_>,
    gathered: &mut Gathered,
    base: TreeId,
) -> Result<Option<Finding>> {
    let is_changed = gathered.changes.iter().any(|change| change.status() == Status::Modified);
    if !is_changed || gathered.changes.len() + gathered.refused.len() < 2 || vault.parked().is_some() {
        return Ok(None);
    }
    for change in &gathered.changes {
        if let Some(new) = change.new
            && !vault.store.knows(new.id.object())?
        {
            return Ok(None);
        }
    }
    let head = vault.head()?;
    let tree = write_edited(&vault.store, &mut gathered.writer, base, tree_changes(&gathered.changes))?;
    let refused: BTreeSet<&[u8]> = gathered.refused.iter().map(|refused| refused.path.as_slice()).collect();
    let counts = |path: &VaultPath| {
        !admission.protections.is(path, Class::Stream) && !refused.contains(path.as_bytes())
    };
    for step in Walk::new(&vault.store, [head])?.skip(1).take(COMMITS_LOOKED_AT) {
        let (id, commit) = step?;
        if !has_all(vault, commit.tree, &gathered.changes)? {
            continue;
        }
        let differing = diff_trees(&gathered.writer, commit.tree, tree)?;
        if differing.iter().any(|diff| counts(&diff.path)) {
            continue;
        }
        return taken_back(vault, id, head);
    }
    Ok(None)
}

/// Tells whether a tree has all that is changed as it is to be.
fn has_all(vault: &Vault, tree: TreeId, changes: &[Change]) -> Result<bool> {
    for change in changes {
        let there = entry_at(&vault.store, tree, &change.path)?.map(|entry| (entry.mode, entry.id));
        if there != change.new.map(|new| (new.mode, new.id.object())) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says what going back to `older` would take back; nothing if that is only what this device did last.
fn taken_back(vault: &Vault, older: CommitId, head: CommitId) -> Result<Option<Finding>> {
    let history = History::new(&vault.store);
    let mut of_device: BTreeMap<String, usize> = BTreeMap::new();
    for id in history.only_in(&[head], &[older])? {
        if let Some(device) = &history.commit(id)?.device {
            *of_device.entry(device.to_string()).or_default() += 1;
        }
    }
    let own = vault.config.device.to_string();
    if of_device.keys().all(|device| *device == own) && of_device.values().sum::<usize>() < 2 {
        return Ok(None);
    }
    let commits: Vec<String> = of_device.iter().map(|(device, n)| format!("{n} of {device}")).collect();
    let detail = format!("they are as in {}, before commits: {}", older.short(), commits.join(", "));
    Ok(Some(Finding::new(Reason::Restored).detail(detail)))
}
