//! Purge: the one way to remove bytes on request. A tombstone takes their place: a commit that names the
//! blobs and says who had them removed, when and why. All ids of the history stay.
//!
//! - A tombstone is history and travels like any commit. The device that makes it removes the bytes; any
//!   other keeps them until somebody there agrees, because a peer's word must not be able to destroy work.
//! - A purged blob is never sent, never taken back, and counts in every merge as having no content.
//! - The purge has happened when its operation is in the log; the bytes go after that, and until they are
//!   gone whoever takes the lock goes on removing them.

mod list;
mod removal;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use self::survey::holding_paths;
pub(super) use list::{LIST, Listed, agreed_to_purge, empty_list};
pub use survey::{Survey, Version, survey};

use self::list::OPERATION;
use super::moving::{Edits, Move, Moved, move_tree};
use super::obeyed::Arrivals;
use super::transaction::{CommitDraft, GateHeld};
use super::tree_writer::write_edited;
use super::verify::named_commits;
use super::write::refuse_secret_words;
use super::{Error, ErrorKind, Result, Vault};
use crate::object::{BlobId, Commit, CommitId, Kind, ObjectId, TreeChange, TreeId, VaultPath, diff_trees};
use crate::oplog::RefName;
use crate::store::{PackWriter, Stage};
use crate::worktree::Folders;

/// How many blobs one operation names.
const ACCEPTED_AT_ONCE: usize = 4096;

/// What is to be purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every version that a path ever had.
    Path(VaultPath),
    /// The version that a path has in a commit.
    Version(CommitId, VaultPath),
    /// One blob.
    Blob(ObjectId),
}

/// What a purge did.
#[derive(Clone, Debug)]
pub struct PurgeOutcome {
    /// The tombstone.
    pub commit: CommitId,
    /// What went.
    pub survey: Survey,
    /// What happened in the working tree.
    pub moved: Moved,
    /// Files that had edits and stay on disk; no commit has them.
    pub stays: Vec<VaultPath>,
    /// Blobs whose bytes are also part of a larger file that stays.
    pub kept: Vec<ObjectId>,
}

/// Purges what `survey` named. `expected` is what somebody confirmed: if it is another set by now, nothing
/// is changed.
pub fn purge(
    vault: &mut Vault,
    target: &Target,
    expected: &Survey,
    message: Option<String>,
) -> Result<PurgeOutcome> {
    refuse_secret_words("the reason", message.as_deref().unwrap_or_default(), &[])?;
    let gate = vault.close_gate(OPERATION)?;
    let lock = vault.lock_at_gate(OPERATION, GateHeld::Closed(&gate))?;
    if vault.parked().is_some() {
        return Err(Error::refused(
            ErrorKind::Refused,
            "the tree is parked at an older state; nothing was purged",
            format!("{} goes back to the branch, then purge", vault.way_back()),
        ));
    }
    let found = survey(vault, target)?;
    let blobs = |survey: &Survey| survey.versions.iter().map(|v| v.blob).collect::<BTreeSet<BlobId>>();
    if blobs(&found) != blobs(expected) {
        return Err(Error::refused(
            ErrorKind::Refused,
            "the history has changed since you confirmed; nothing was purged",
            "run the command again and look at what it names",
        ));
    }
    let blobs = blobs(&found);
    let (head, message) = (vault.head()?, message.unwrap_or_else(|| describe(&found)));
    let mut content = vault.store.writer()?;
    let tree = without(vault, &mut content, vault.tree_of(head)?, &found.going)?;
    let draft = CommitDraft { message, restores: None };
    let mut commit = vault.draft_commit(tree, vec![head], draft)?;
    commit.purges = blobs.iter().copied().collect();
    let id = vault.write_commit(&mut content, &commit)?;
    let operation = vault
        .operation(OPERATION)
        .set(vault.branch_ref(), id)
        .set(RefName::At, id)
        .frontier(vec![id])
        .lamport(commit.lamport)
        .detail("purged", ids(blobs.iter().map(|blob| blob.object())));
    vault.forget_purged()?;
    let request =
        Move { tree, content: Some(content), operation, edits: Edits::Stay, arrivals: Arrivals::Judged };
    let moved = move_tree(vault, &lock, request)?;
    let agreed = blobs.iter().map(|blob| blob.object()).collect();
    vault.note_purges(&[(id, commit)], &agreed)?;
    let removed = vault.remove_behind(&lock, &gate)?;
    let stays = staying(vault, &found.going)?;
    Ok(PurgeOutcome { commit: id, survey: found, moved, stays, kept: removed.kept })
}

fn ids(blobs: impl Iterator<Item = ObjectId>) -> Vec<String> {
    blobs.map(|id| id.to_string()).collect()
}

fn describe(survey: &Survey) -> String {
    let count = survey.versions.len();
    let versions = if count == 1 { "1 version".to_owned() } else { format!("{count} versions") };
    let paths: BTreeSet<&VaultPath> = survey.versions.iter().flat_map(|v| &v.paths).collect();
    if paths.is_empty() {
        return format!("purge {versions}\n");
    }
    format!("purge {versions} of {}\n", super::commit::describe_paths(paths.into_iter()))
}

/// Writes a tree without some paths.
fn without(vault: &Vault, content: &mut PackWriter, base: TreeId, paths: &[VaultPath]) -> Result<TreeId> {
    let changes = paths.iter().map(|path| TreeChange { path: path.clone(), entry: None });
    write_edited(&vault.store, content, base, changes)
}

/// Returns those of `paths` that are still on disk.
fn staying(vault: &Vault, paths: &[VaultPath]) -> Result<Vec<VaultPath>> {
    use std::os::unix::ffi::OsStrExt;
    let mut folders = Folders::new(&vault.root);
    let mut stays = Vec::new();
    for path in paths {
        let name = std::ffi::OsStr::from_bytes(path.name());
        let is_there = folders.parent_of(path).and_then(|folder| folder.try_stat(name));
        if is_there.is_ok_and(|stat| stat.is_some()) {
            stays.push(path.clone());
        }
    }
    Ok(stays)
}

/// A purge of another device, whose bytes are still here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The tombstone.
    pub commit: CommitId,
    /// Who asked for it.
    pub device: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why, in one line.
    pub why: String,
    /// The blobs.
    pub blobs: Vec<BlobId>,
}

/// Lists the purges of other devices whose bytes are still here; with `only` those of one blob or commit.
pub fn waiting(vault: &Vault, only: Option<ObjectId>) -> Vec<Waiting> {
    let mut waiting: BTreeMap<CommitId, Waiting> = BTreeMap::new();
    for Listed { blob, commit, stone } in &vault.purged {
        let is_meant = only.is_none_or(|id| id == *blob || id == commit.object());
        if stone.stage != Stage::Noted || !is_meant {
            continue;
        }
        let entry = waiting.entry(*commit).or_insert_with(|| Waiting {
            commit: *commit,
            device: stone.device.clone(),
            at: stone.at.clone(),
            why: stone.why.clone(),
            blobs: Vec::new(),
        });
        entry.blobs.push(BlobId::new(*blob));
    }
    waiting.into_values().collect()
}

impl Vault {
    /// Tells whether an object is a blob that somebody could have purged.
    pub fn is_blob(&self, id: ObjectId) -> Result<bool> {
        Ok(self.store.try_info(id)?.is_some_and(|(kind, _)| kind == Kind::Blob))
    }
}

/// Agrees to purges of other devices: the bytes go here as well. Returns how many blobs went.
pub fn accept(vault: &mut Vault, blobs: &BTreeSet<BlobId>) -> Result<usize> {
    let gate = vault.close_gate(OPERATION)?;
    let lock = vault.lock_at_gate(OPERATION, GateHeld::Closed(&gate))?;
    let ids_now: BTreeSet<ObjectId> =
        waiting(vault, None).iter().flat_map(|w| &w.blobs).map(|blob| blob.object()).collect();
    let agreed: Vec<ObjectId> = blobs.iter().map(|b| b.object()).filter(|id| ids_now.contains(id)).collect();
    for some in agreed.chunks(ACCEPTED_AT_ONCE) {
        let operation = vault.operation(OPERATION).detail("purged", ids(some.iter().copied()));
        vault.forget_purged()?;
        vault.publish(&lock, None, operation)?;
        for listed in vault.purged.iter_mut().filter(|listed| some.contains(&listed.blob)) {
            listed.stone.stage = Stage::Due;
        }
        vault.save_purged()?;
    }
    vault.remove_behind(&lock, &gate)?;
    Ok(agreed.len())
}

/// Goes on with a purge that was cut, or could not be finished.
pub fn resume(vault: &mut Vault) -> Result<usize> {
    let gate = vault.close_gate(OPERATION)?;
    // Not `Closed`, which would remove them before they are counted.
    let lock = vault.lock_at_gate(OPERATION, GateHeld::Open)?;
    vault.list_returned()?;
    let due = vault.purged.iter().filter(|listed| listed.stone.stage == Stage::Due).count();
    vault.remove_behind(&lock, &gate)?;
    Ok(due)
}

/// Says what purges another device has sent, for a person.
pub(super) fn announce(vault: &Vault, commits: &[(CommitId, Commit)]) -> Result<Vec<String>> {
    let mut notices = Vec::new();
    for (id, commit) in commits {
        let device = commit.device.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        let count = commit.purges.len();
        let versions = if count == 1 { "1 version".to_owned() } else { format!("{count} versions") };
        let paths = paths_taken(vault, commit)?;
        let of = if paths.is_empty() { id.short() } else { super::commit::describe_paths(paths.iter()) };
        let is_here = !waiting(vault, Some(id.object())).is_empty();
        notices.push(if is_here {
            format!("{device} purged {versions} of {of}: `mvault purge --accept` removes the bytes here too")
        } else {
            format!("{device} purged {versions} of {of}; the bytes are not here")
        });
    }
    Ok(notices)
}

/// Returns the paths that a purge took from its parent's tree.
fn paths_taken(vault: &Vault, commit: &Commit) -> Result<BTreeSet<VaultPath>> {
    let Some(parent) = commit.parents.first() else { return Ok(BTreeSet::new()) };
    let before = vault.tree_of(*parent)?;
    let meant: BTreeSet<ObjectId> = commit.purges.iter().map(|blob| blob.object()).collect();
    let mut taken = BTreeSet::new();
    for diff in diff_trees(&vault.store, before, commit.tree)? {
        if diff.old.is_some_and(|old| meant.contains(&old.id.object())) {
            taken.insert(diff.path);
        }
    }
    Ok(taken)
}

/// Returns a tree without the files whose bytes are purged, so that no new commit names them again. The tree
/// may be part of `content`, which is then published and followed by another.
pub(super) fn without_purged(
    vault: &Vault,
    content: PackWriter,
    tree: TreeId,
) -> Result<(TreeId, PackWriter)> {
    let stones = vault.store.tombstones();
    if stones.is_empty() {
        return Ok((tree, content));
    }
    content.publish()?;
    let mut content = vault.store.writer()?;
    let paths = holding_paths(&vault.store, tree, &|id| stones.contains_key(&id))?;
    let paths: Vec<VaultPath> = paths.into_iter().collect();
    Ok((without(vault, &mut content, tree, &paths)?, content))
}
