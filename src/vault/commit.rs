//! Commit: what is on disk becomes the next state of the vault.
//!
//! Order of writes: objects in one pack, one append to the log, then the stat cache. What cannot be kept
//! (a fifo, an unreadable file, one that changes while it is read) is reported and left alone; a file
//! that the head has keeps its last good version there.

use std::sync::Mutex;

use super::transaction::CommitDraft;
use super::{Error, ErrorKind, Result, Vault, VaultLock};
use crate::merge::History;
use crate::object::{BlobId, Commit, CommitId, Kind, ObjectId, TreeId, VaultPath};
use crate::oplog::{NewOperation, RefName, RefTarget};
use crate::store::{NewObject, PackWriter, RECORD_MAX};
use crate::worktree::{
    self, Body, Candidate, Change, Entry, Index, ReadError, Scan, ScanInput, SeenFolder, SkipReason,
    StatStamp, Status, TreeChange,
};

/// So many files are read before they are stored: bounds the memory of a first commit.
const FILES_AT_ONCE: usize = 256;

/// What to commit.
#[derive(Clone, Debug, Default)]
pub struct CommitRequest {
    /// The message, or `None` for one made from the changes.
    pub message: Option<String>,
    /// Only these files and folders; empty for everything.
    pub paths: Vec<VaultPath>,
    /// Refuse the whole commit if any file is refused.
    pub is_strict: bool,
    /// What the operation is called in the log.
    pub operation: &'static str,
}

/// A file that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where; any bytes, because a name can be the reason.
    pub path: Vec<u8>,
    /// The reason, a stable word.
    pub code: &'static str,
    /// The reason, for people.
    pub reason: &'static str,
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct CommitOutcome {
    /// The new commit, or `None` if there was nothing to commit.
    pub commit: Option<(CommitId, Commit)>,
    /// What differs from the state before.
    pub changes: Vec<Change>,
    /// What was not taken.
    pub refused: Vec<Refused>,
    /// What is never taken and needs no attention: sockets, fifos, folders of other repositories.
    pub passed_over: Vec<Refused>,
}

/// The changes on disk, stored in a pack that is not published yet.
pub(super) struct Gathered {
    pub(super) writer: PackWriter,
    pub(super) changes: Vec<Change>,
    refreshed: Vec<Change>,
    refused: Vec<Refused>,
    passed_over: Vec<Refused>,
    /// The folders that were listed, and since when: the next walk need not list them again.
    listed: (Vec<SeenFolder>, i128),
}

/// Commits what is on disk.
pub fn commit(vault: &mut Vault, request: &CommitRequest) -> Result<CommitOutcome> {
    let lock = vault.lock("commit")?;
    commit_locked(vault, &lock, request)
}

/// Commits what is on disk, for a caller that holds the lock.
pub fn commit_locked(vault: &mut Vault, lock: &VaultLock, request: &CommitRequest) -> Result<CommitOutcome> {
    let base_tree = vault.standing_tree()?;
    let index = vault.index(base_tree)?;
    let mut gathered = gather(vault, &index, &request.paths)?;
    if request.is_strict && !gathered.refused.is_empty() {
        return Err(strict_refusal(&gathered.refused));
    }
    if gathered.changes.is_empty() {
        let entries = gathered.refreshed;
        vault.save_index(&index, base_tree, &entries, &gathered.listed);
        let Gathered { changes, refused, passed_over, .. } = gathered;
        return Ok(CommitOutcome { commit: None, changes, refused, passed_over });
    }
    let tree = write_tree(vault, &mut gathered.writer, base_tree, &gathered.changes)?;
    let (parents, draft, operation) = place(vault, request, &gathered.changes)?;
    let commit = vault.draft_commit(tree, parents, draft)?;
    let id = vault.write_commit(&mut gathered.writer, &commit)?;
    let operation = operation
        .set(vault.branch_ref(), id)
        .set(RefName::At, id)
        .frontier(vec![id])
        .lamport(commit.lamport)
        .detail("changed", gathered.changes.len());
    vault.publish(lock, Some(gathered.writer), operation)?;
    let entries = [gathered.changes.as_slice(), &gathered.refreshed].concat();
    vault.save_index(&index, tree, &entries, &gathered.listed);
    Ok(CommitOutcome {
        commit: Some((id, commit)),
        changes: gathered.changes,
        refused: gathered.refused,
        passed_over: gathered.passed_over,
    })
}

fn strict_refusal(refused: &[Refused]) -> Error {
    let first = &refused[0];
    let path = String::from_utf8_lossy(&first.path).escape_debug().to_string();
    let more = match refused.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    Error::refused(
        ErrorKind::Refused,
        format!("{path}{more} cannot be committed ({}); with --strict nothing is", first.reason),
        "mend the files, or commit without --strict: everything else is kept",
    )
}

/// Decides the parents: the branch's head, or, for a tree that is parked elsewhere, the head at the
/// moment of parking; then the commit is a rollback and what came to the branch since is offered to
/// reconcile as if another device had.
fn place(
    vault: &Vault,
    request: &CommitRequest,
    changes: &[Change],
) -> Result<(Vec<CommitId>, CommitDraft, NewOperation)> {
    let head = vault.head()?;
    let message = request.message.clone().unwrap_or_else(|| describe(changes));
    let operation = vault.operation(request.operation);
    let Some(parked) = vault.parked() else {
        return Ok((vec![head], CommitDraft { message, restores: None }, operation));
    };
    let at = vault.at()?;
    let mut draft = CommitDraft { message, restores: None };
    if History::new(&vault.store).is_ancestor(at, parked)? {
        draft.restores = Some(at);
    } else {
        draft.message = format!("{}\n\nThe tree was taken from {at}.\n", draft.message.trim_end());
    }
    let mut operation = operation.remove(RefName::Parked);
    if head != parked {
        let name = RefName::Remote(vault.config.device.clone(), vault.branch());
        let mut heads: std::collections::BTreeSet<CommitId> = match vault.log.refs().get(&name) {
            Some(RefTarget::Set(heads)) => heads.clone(),
            _ => Default::default(),
        };
        heads.insert(head);
        operation = operation.set(name, RefTarget::Set(heads));
    }
    Ok((vec![parked], draft, operation))
}

/// Describes changes in one line.
pub fn describe(changes: &[Change]) -> String {
    let count = |status: Status| changes.iter().filter(|c| c.status() == status).count();
    let words = [(Status::Added, "add"), (Status::Modified, "update"), (Status::Deleted, "remove")];
    if let [change] = changes {
        let word = words.iter().find(|(status, _)| *status == change.status()).map_or("change", |w| w.1);
        return format!("{word} {}\n", change.path);
    }
    let counted = words.iter().filter_map(|(status, word)| match count(*status) {
        0 => None,
        n => Some(format!("{word} {n}")),
    });
    let names = describe_paths(changes.iter().map(|change| &change.path));
    format!("{}: {names}\n", counted.collect::<Vec<_>>().join(", "))
}

/// Names the first few of several paths.
pub(super) fn describe_paths<'a>(paths: impl Iterator<Item = &'a VaultPath>) -> String {
    let mut names: Vec<String> = paths.take(4).map(ToString::to_string).collect();
    if names.len() == 4 {
        names[3] = "…".to_owned();
    }
    names.join(", ")
}

pub(super) fn gather(vault: &Vault, index: &Index, paths: &[VaultPath]) -> Result<Gathered> {
    let seen_ns = worktree::file_system_now(&vault.dot)?;
    let scan = worktree::scan(ScanInput { root: &vault.root, index, traits: vault.traits(), paths })?;
    let mut gathered = Gathered {
        writer: vault.store.writer()?,
        changes: Vec::new(),
        refreshed: Vec::new(),
        refused: Vec::new(),
        passed_over: Vec::new(),
        listed: (Vec::new(), seen_ns),
    };
    for skipped in &scan.skipped {
        gathered.pass_over(skipped.path.clone(), skipped.reason);
    }
    for batch in scan.candidates.chunks(FILES_AT_ONCE) {
        gathered.take(vault, batch, seen_ns)?;
    }
    gathered.changes.extend(missing(&scan));
    gathered.listed.0 = scan.folders;
    gathered.changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(gathered)
}

fn missing(scan: &Scan) -> impl Iterator<Item = Change> + '_ {
    scan.missing.iter().map(|missing| Change {
        path: missing.path.clone(),
        old: Some(Entry { mode: missing.old.0, id: missing.old.1 }),
        new: None,
        stamp: None,
    })
}

/// A file's content on its way into the pack.
enum Loaded {
    Bytes(Vec<u8>),
    Stored(std::result::Result<ObjectId, crate::store::Error>),
}

impl Gathered {
    fn pass_over(&mut self, path: Vec<u8>, reason: SkipReason) {
        let entry = Refused { path, code: reason.code(), reason: reason.as_str() };
        match reason {
            SkipReason::Special | SkipReason::Reserved => self.passed_over.push(entry),
            _ => self.refused.push(entry),
        }
    }

    fn refuse(&mut self, path: &VaultPath, code: &'static str, reason: &'static str) {
        self.refused.push(Refused { path: path.as_bytes().to_vec(), code, reason });
    }

    /// Reads a batch of files in parallel and stores their content.
    fn take(&mut self, vault: &Vault, batch: &[Candidate], seen_ns: i128) -> Result<()> {
        let writer = Mutex::new(&mut self.writer);
        let load = |candidate: &Candidate, body: Body<'_>| match body {
            Body::Whole(bytes) => Loaded::Bytes(bytes),
            Body::Large(size, reader) => {
                let base = candidate.old.map(|(_, id)| id.object());
                let mut writer = writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                Loaded::Stored(writer.add_stream(Kind::Blob, size, reader, base))
            }
        };
        let read = worktree::read_candidates(&vault.root, batch, RECORD_MAX as u64, &load);
        let mut whole = Vec::new();
        let mut done = Vec::new();
        for (candidate, outcome) in batch.iter().zip(read) {
            match outcome {
                Ok((Loaded::Bytes(bytes), stat)) => whole.push((candidate, Mutex::new(bytes), stat)),
                Ok((Loaded::Stored(id), stat)) => done.push((candidate, id?, stat)),
                Err(ReadError::Vanished) if candidate.old.is_some() => {
                    let old = candidate.old.map(|(mode, id)| Entry { mode, id });
                    let path = candidate.path.clone();
                    self.changes.push(Change { path, old, new: None, stamp: None });
                }
                Err(ReadError::Vanished) => {}
                Err(ReadError::ChangedWhileRead) => {
                    self.refuse(&candidate.path, "changed-while-read", "it changed while it was read");
                }
                Err(ReadError::NotAFile) => {
                    self.pass_over(candidate.path.as_bytes().to_vec(), SkipReason::Special);
                }
                Err(ReadError::Disk(_)) => {
                    self.pass_over(candidate.path.as_bytes().to_vec(), SkipReason::Unreadable);
                }
            }
        }
        let ids = self.writer.add_many(&whole, |(candidate, bytes, _)| {
            let data = std::mem::take(&mut *bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            let base = candidate.old.map(|(_, id)| id.object());
            Ok::<_, std::convert::Infallible>(NewObject { kind: Kind::Blob, data, base })
        })?;
        for ((candidate, _, stat), Ok(id)) in whole.iter().zip(ids) {
            done.push((candidate, id, *stat));
        }
        for (candidate, id, stat) in done {
            let stamp = StatStamp::of(&stat, seen_ns);
            let old = candidate.old.map(|(mode, id)| Entry { mode, id });
            let new = Some(Entry { mode: candidate.mode, id: BlobId::new(id) });
            let change = Change { path: candidate.path.clone(), old, new, stamp };
            if old == new { self.refreshed.push(change) } else { self.changes.push(change) }
        }
        Ok(())
    }
}

/// Writes the trees that the changes touch and returns the new root tree.
pub(super) fn write_tree(
    vault: &Vault,
    writer: &mut PackWriter,
    base: TreeId,
    changes: &[Change],
) -> Result<TreeId> {
    let edits = changes.iter().map(|change| TreeChange {
        path: change.path.clone(),
        entry: change.new.map(|new| (new.mode, new.id.object())),
    });
    worktree::write_tree(&vault.store, base, edits, &mut |bytes, replaced| {
        let replaced = replaced.map(TreeId::object);
        Ok::<_, Error>(TreeId::new(writer.add(Kind::Tree, bytes, replaced)?))
    })
}

impl Vault {
    /// Returns what the file system can do, in the working tree's terms.
    pub(super) fn traits(&self) -> worktree::Traits {
        let abilities = self.config.abilities;
        worktree::Traits {
            symlinks: abilities.symlinks,
            executable_bit: abilities.executable,
            folds_case: abilities.folds_case,
            folds_unicode: abilities.folds_unicode,
        }
    }

    /// Returns the stat cache for `tree`: the one on disk, or a new one that vouches for nothing.
    pub(super) fn index(&self, tree: TreeId) -> Result<Index> {
        match Index::load(&self.dot)? {
            Some(index) if index.tree() == tree => Ok(index),
            _ => {
                let index = Index::from_tree(&self.store, tree)?;
                // Where nothing can be written nothing can be tried out, and nothing committed either.
                Ok(match self.dot.open_or_create_dir("tmp") {
                    Ok(scratch) => index.mark_impossible(&mut self.look(&scratch))?,
                    Err(_) => index,
                })
            }
        }
    }

    /// Writes the stat cache of `tree`, made from that of another by `changes`. It is a cache: that it
    /// could not be written is told and harms nothing.
    fn save_index(
        &mut self,
        index: &Index,
        tree: TreeId,
        changes: &[Change],
        (folders, seen_ns): &(Vec<SeenFolder>, i128),
    ) {
        let mark = self.log_mark();
        let entries = changes.iter().map(|change| (change.path.clone(), change.index_entry())).collect();
        let updated = index.updated(tree, mark, entries).with_folders(folders, *seen_ns);
        if updated == *index {
            return;
        }
        if let Err(error) = updated.save(&self.dot) {
            self.notices.push(format!("{error}; the next command will be slower, nothing is lost"));
        }
    }
}

/// Tells how the working tree differs from the commit it stands on.
pub fn local_changes(vault: &mut Vault, paths: &[VaultPath]) -> Result<worktree::LocalChanges> {
    let tree = vault.standing_tree()?;
    let index = vault.index(tree)?;
    let scan = worktree::scan(ScanInput { root: &vault.root, index: &index, traits: vault.traits(), paths })?;
    Ok(worktree::hash_candidates(&vault.root, &scan, None))
}
