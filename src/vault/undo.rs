//! Undo: takes back one operation.
//!
//! If what it moved still stands where it put it and nothing of it was offered to another device, that
//! moves back. Otherwise a new commit takes back what it changed, by a three-way merge: base is the state
//! after it, ours the state now, theirs the state before it. Event streams stay as they are.

use std::collections::{BTreeSet, HashSet};

use super::checkout::{Streams, keep_streams};
use super::moving::{Edits, Move, Moved, move_tree};
use super::obeyed::Arrivals;
use super::purge::without_purged;
use super::reconcile::add_objects;
use super::transaction::CommitDraft;
use super::{Error, ErrorKind, Result, Vault, VaultLock};
use crate::merge::{self, History, Veil};
use crate::object::{CommitId, TreeId, typed};
use crate::oplog::{NewOperation, Operation, RefChange, RefName, RefTarget};

/// What an undo did.
#[derive(Clone, Debug)]
pub struct UndoOutcome {
    /// The operation that was taken back.
    pub undone: Operation,
    /// The number of the undo itself.
    pub operation: u64,
    /// The branch's head now.
    pub head: CommitId,
    /// The commit the tree is parked at, if it is.
    pub parked: Option<CommitId>,
    /// The new commit that takes it back, unless the head moved back.
    pub commit: Option<CommitId>,
    /// Heads that are held back from reconcile since.
    pub held: Vec<CommitId>,
    /// What happened in the working tree.
    pub moved: Moved,
}

/// What the log says of an operation that is to be undone.
struct Case {
    target: Operation,
    was_offered: bool,
}

/// Takes back operation `number`, or the newest one that moved something and is not undone yet.
pub fn undo(vault: &mut Vault, number: Option<u64>, streams: Streams) -> Result<UndoOutcome> {
    let lock = vault.lock("undo")?;
    let case = find(vault, number)?;
    refuse_what_cannot(&case.target)?;
    let branch = vault.branch_ref();
    let moved_head = case.target.change(&branch).is_some_and(|change| change.old.is_some());
    let refs = vault.log.refs();
    let stands = movable(&case.target).all(|change| refs.get(&change.name) == change.new.as_ref());
    if stands && !(case.was_offered && moved_head) {
        return move_back(vault, &lock, case.target);
    }
    if moved_head {
        return commit_back(vault, &lock, case.target, streams);
    }
    let only_tags = movable(&case.target).all(|change| matches!(change.name, RefName::Tag(_)));
    if only_tags {
        return move_back(vault, &lock, case.target);
    }
    Err(Error::refused(
        ErrorKind::Refused,
        format!("operation {} only moved the tree, and it has moved since", case.target.seq),
        format!("{} goes back to the branch", vault.way_back()),
    ))
}

/// The refs that an undo puts back. What other devices offered and what was saved stays.
fn movable(operation: &Operation) -> impl Iterator<Item = &RefChange> {
    operation.refs.iter().filter(|change| {
        matches!(
            change.name,
            RefName::Head
                | RefName::At
                | RefName::Branch(_)
                | RefName::Tag(_)
                | RefName::Parked
                | RefName::Held
                | RefName::Aside
        )
    })
}

fn undoes(operation: &Operation) -> Option<u64> {
    (operation.op == "undo").then(|| operation.detail.get("undoes")?.as_u64()).flatten()
}

fn find(vault: &Vault, number: Option<u64>) -> Result<Case> {
    let mut undone = HashSet::new();
    let mut was_offered = false;
    for operation in vault.log.operations() {
        let operation = operation?;
        let moves = movable(&operation).next().is_some();
        let is_undone = undone.contains(&operation.seq);
        let wanted = match number {
            Some(number) => operation.seq == number,
            None => moves && !is_undone && operation.op != "undo" && operation.op != "init",
        };
        if wanted {
            if is_undone {
                return Err(already_undone(operation.seq));
            }
            return Ok(Case { target: operation, was_offered });
        }
        if let (Some(target), false) = (undoes(&operation), is_undone) {
            undone.insert(target);
        }
        was_offered |= operation.op == "offered";
    }
    Err(Error::refused(
        ErrorKind::Refused,
        number.map_or("there is nothing to undo".to_owned(), |n| format!("there is no operation {n}")),
        "`mvault audit` lists the operations",
    ))
}

fn already_undone(seq: u64) -> Error {
    Error::refused(
        ErrorKind::Refused,
        format!("operation {seq} is undone already"),
        "`mvault audit` shows which undo did it; `mvault undo OP` of that one brings it back",
    )
}

fn refuse_what_cannot(operation: &Operation) -> Result<()> {
    let why = match operation.op.as_str() {
        "init" => "it made the vault",
        "purge" | "quarantine-drop" | "forget" => "what it removed is gone on purpose",
        _ if movable(operation).next().is_none() => "it moved no head, no tag and no file",
        _ => return Ok(()),
    };
    Err(Error::refused(
        ErrorKind::Refused,
        format!("operation {} ({}) cannot be undone: {why}", operation.seq, operation.op),
        "`mvault audit` lists the operations",
    ))
}

/// Puts every ref back to what it was.
fn move_back(vault: &mut Vault, lock: &VaultLock, target: Operation) -> Result<UndoOutcome> {
    let mut operation = vault.operation("undo").detail("undoes", target.seq);
    for change in movable(&target) {
        if vault.log.refs().get(&change.name) != change.new.as_ref() {
            return Err(Error::refused(
                ErrorKind::Refused,
                format!("{} has moved since operation {}; nothing was changed", change.name, target.seq),
                "`mvault audit` lists the operations",
            ));
        }
        operation = match &change.old {
            Some(old) => operation.set(change.name.clone(), old.clone()),
            None => operation.remove(change.name.clone()),
        };
    }
    let held = heads_brought(vault, &target)?;
    if !held.is_empty() {
        operation = operation.set(RefName::Held, RefTarget::Set(held.clone()));
    }
    // After a commit the files stay as they are and are edits again; everything else takes them back.
    let keeps_files =
        matches!(target.op.as_str(), "commit" | "note" | "events" | "write" | "seal" | "quarantine-restore");
    let moves_tree = target.change(&RefName::At).is_some() && !keeps_files;
    let moved = if moves_tree {
        let tree = standing_tree_after(vault, &operation)?;
        move_tree(
            vault,
            lock,
            Move { tree, content: None, operation, edits: Edits::Save, arrivals: Arrivals::New },
        )?
    } else {
        vault.publish(lock, None, operation)?;
        Moved::default()
    };
    outcome(vault, target, None, held, moved)
}

/// Returns the tree that the working tree will be compared with once the refs of `operation` moved.
fn standing_tree_after(vault: &Vault, operation: &NewOperation) -> Result<TreeId> {
    let target = |name: RefName| match operation.target(&name) {
        Some(target) => target.and_then(|target| target.commits().next()),
        None => vault.log.refs().commit(&name),
    };
    let at = target(RefName::At).map_or_else(|| vault.head(), Ok)?;
    vault.standing_tree_of(at, target(RefName::Parked))
}

/// The heads that a pull or reconcile brought and that its undo holds back.
fn heads_brought(vault: &Vault, target: &Operation) -> Result<BTreeSet<CommitId>> {
    if !matches!(target.op.as_str(), "pull" | "sync" | "reconcile" | "receive") {
        return Ok(BTreeSet::new());
    }
    let Some(RefChange { old: Some(RefTarget::Commit(old)), .. }) = target.change(&vault.branch_ref()) else {
        return Ok(BTreeSet::new());
    };
    let history = History::new(&vault.store);
    let mut held = vault.held();
    for head in vault.offered() {
        if !history.is_known(head, &[*old])? {
            held.insert(head);
        }
    }
    Ok(held)
}

/// Makes a commit that takes back what the operation changed.
fn commit_back(
    vault: &mut Vault,
    lock: &VaultLock,
    target: Operation,
    streams: Streams,
) -> Result<UndoOutcome> {
    if vault.parked().is_some() {
        return Err(Error::refused(
            ErrorKind::Refused,
            "the tree is parked at an older state; nothing was changed",
            format!("{} goes back to the branch, then undo", vault.way_back()),
        ));
    }
    let change = target.change(&vault.branch_ref()).cloned();
    let Some(RefChange { old: Some(RefTarget::Commit(before)), new: Some(RefTarget::Commit(after)), .. }) =
        change
    else {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("operation {} made the branch", target.seq),
            "`mvault switch` goes to another one",
        ));
    };
    let head = vault.head()?;
    let (base, ours, theirs) = (vault.tree_of(after)?, vault.tree_of(head)?, vault.tree_of(before)?);
    // What is purged can be moved and removed, and is not looked into.
    let veil = Veil::new(&vault.store, &vault.purges());
    let merged = merge::three_way(&veil, &vault.merge_rules()?, base, ours, theirs)?;
    if !merged.conflicts.is_empty() {
        let paths: Vec<String> = merged.conflicts.iter().map(|c| c.path.to_string()).collect();
        return Err(Error::refused(
            ErrorKind::Conflict,
            format!(
                "operation {} cannot be taken back: {} changed since; nothing was changed",
                target.seq,
                paths.join(", ")
            ),
            format!(
                "{} shows what it did; edit the files and commit",
                typed("diff").word(before.short()).word(after.short())
            ),
        ));
    }
    let mut content = vault.store.writer()?;
    add_objects(&mut content, &merged.objects)?;
    let tree = match streams {
        Streams::Keep => {
            content.publish()?;
            content = vault.store.writer()?;
            keep_streams(vault, &mut content, merged.tree, ours)?
        }
        Streams::Restore => merged.tree,
    };
    let (tree, mut content) = without_purged(vault, content, tree)?;
    let operation = vault.operation("undo").detail("undoes", target.seq);
    if tree == ours {
        vault.publish(lock, None, operation)?;
        return outcome(vault, target, None, BTreeSet::new(), Moved::default());
    }
    vault.check_extent(&content, ours, tree)?;
    let message = format!("undo operation {} ({})\n", target.seq, target.op);
    let commit = vault.draft_commit(tree, vec![head], CommitDraft { message, restores: None })?;
    let id = vault.write_commit(&mut content, &commit)?;
    let operation =
        operation.set(vault.branch_ref(), id).set(RefName::At, id).frontier(vec![id]).lamport(commit.lamport);
    let (edits, arrivals) = (Edits::Save, Arrivals::New);
    let moved = move_tree(vault, lock, Move { tree, content: Some(content), operation, edits, arrivals })?;
    outcome(vault, target, Some(id), BTreeSet::new(), moved)
}

fn outcome(
    vault: &Vault,
    undone: Operation,
    commit: Option<CommitId>,
    held: BTreeSet<CommitId>,
    moved: Moved,
) -> Result<UndoOutcome> {
    Ok(UndoOutcome {
        undone,
        operation: vault.log.last().seq,
        head: vault.head()?,
        parked: vault.parked().map(|_| vault.at()).transpose()?,
        commit,
        held: held.into_iter().collect(),
        moved,
    })
}
