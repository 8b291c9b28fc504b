//! Checkout, rollback and switch: the working tree goes to another commit.
//!
//! `checkout` parks the tree and leaves the branch alone; `rollback` makes a new commit with an older
//! tree. Both keep event streams as they are: they take back what was written, not what happened.

use std::collections::BTreeMap;

use super::admission::{Admission, Allowance};
use super::book::merge_rules;
use super::commit::describe_paths;
use super::moving::{Edits, Move, Moved, move_tree};
use super::obeyed::Arrivals;
use super::purge::without_purged;
use super::rules::{Class, RULES_FILE, RulesError, VaultRules};
use super::transaction::CommitDraft;
use super::tree_writer::write_edited;
use super::write::refuse_secret_words;
use super::{Error, ErrorKind, Result, Vault};
use crate::merge::History;
use crate::object::{
    BlobId, CommitId, Kind, Overlay, Source, SourceError, TreeChange, TreeId, VaultPath, diff_trees,
    entry_at, typed, write_tree,
};
use crate::oplog::{Label, NewOperation, RefName, RefTarget};
use crate::store::PackWriter;
use crate::worktree;

/// What a checkout, rollback or switch did.
#[derive(Clone, Debug)]
pub struct CheckoutOutcome {
    /// The number of the operation in the log, or `None` if there was nothing to do.
    pub operation: Option<u64>,
    /// The branch's head now.
    pub head: CommitId,
    /// The commit the tree is parked at, if it is.
    pub parked: Option<CommitId>,
    /// What happened in the working tree.
    pub moved: Moved,
}

/// Event streams: left as they are, or taken along to the older state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// As they are now.
    Keep,
    /// As they were then.
    Restore,
}

/// Moves the whole tree to a commit: parks it there, or takes it back to the branch if the commit is the
/// branch's head.
pub fn checkout(vault: &mut Vault, target: CommitId, allowed: &[Allowance]) -> Result<CheckoutOutcome> {
    let lock = vault.lock("checkout")?;
    let head = vault.head()?;
    let at = vault.at()?;
    if at == target && vault.parked().is_some() == (target != head) {
        return Ok(CheckoutOutcome {
            operation: None,
            head,
            parked: vault.parked().map(|_| at),
            moved: Moved::default(),
        });
    }
    let operation = vault.operation("checkout").set(RefName::At, target);
    let (operation, parked) = if target == head {
        (if vault.parked().is_some() { operation.remove(RefName::Parked) } else { operation }, None)
    } else {
        (operation.set(RefName::Parked, vault.parked().unwrap_or(head)), Some(target))
    };
    let mut content = vault.store.writer()?;
    let tree = match parked {
        None => vault.tree_of(head)?,
        Some(_) => {
            let now = vault.tree_of(vault.parked().unwrap_or(head))?;
            keep_streams(vault, &mut content, vault.tree_of(target)?, now)?
        }
    };
    let (content, operation) = accept_arriving(vault, content, operation, tree, allowed)?;
    let request = Move { tree, content, operation, edits: Edits::Save, arrivals: Arrivals::New };
    let moved = move_tree(vault, &lock, request)?;
    Ok(CheckoutOutcome { operation: Some(vault.log.last().seq), head, parked, moved })
}

/// Restores files and folders as they are in a commit, as edits that are not committed.
pub fn checkout_paths(
    vault: &mut Vault,
    from: CommitId,
    paths: &[VaultPath],
    allowed: &[Allowance],
) -> Result<CheckoutOutcome> {
    let lock = vault.lock("checkout")?;
    let standing = vault.standing_tree()?;
    let source = vault.tree_of(from)?;
    let mut changes = Vec::new();
    let rules = vault.rules_of(source)?;
    // A distillate comes with its seal.
    let sidecars = paths.iter().filter_map(|path| rules.sidecar_of(path));
    let sidecars: Vec<VaultPath> = sidecars.filter(|path| !paths.contains(path)).collect();
    for diff in diff_trees(&vault.store, standing, source)? {
        if sidecars.contains(&diff.path) {
            changes.push(TreeChange { path: diff.path, entry: diff.new });
        }
    }
    for path in paths {
        let mut found = false;
        for diff in diff_trees(&vault.store, standing, source)? {
            if diff.path.is_within(path) {
                found = true;
                changes.push(TreeChange { path: diff.path, entry: diff.new });
            }
        }
        if !found && entry_at(&vault.store, source, path)?.is_none() {
            return Err(Error::refused(
                ErrorKind::UnknownRevision,
                format!("{path} is not in {}; nothing was changed", from.short()),
                format!("{} shows the commits that have it", typed("log --").path(path)),
            ));
        }
    }
    let mut content = vault.store.writer()?;
    let tree = write_edited(&vault.store, &mut content, standing, changes)?;
    let operation = vault.operation("checkout").detail("from", from.to_string());
    let edits = Edits::SaveWithin(paths.iter().cloned().chain(sidecars).collect());
    let (content, operation) = accept_arriving(vault, content, operation, tree, allowed)?;
    let moved = move_tree(vault, &lock, Move { tree, content, operation, edits, arrivals: Arrivals::New })?;
    let parked = vault.parked().map(|_| vault.at()).transpose()?;
    Ok(CheckoutOutcome { operation: Some(vault.log.last().seq), head: vault.head()?, parked, moved })
}

/// Accepts what a person lets through of what programs would run in a tree.
fn accept_arriving(
    vault: &Vault,
    content: PackWriter,
    operation: NewOperation,
    tree: TreeId,
    allowed: &[Allowance],
) -> Result<(Option<PackWriter>, NewOperation)> {
    if allowed.is_empty() {
        return Ok((Some(content), operation));
    }
    content.publish()?;
    let from = vault.standing_tree()?;
    let withheld = vault.withheld(from, tree, &vault.index(from)?, Arrivals::New)?;
    let admission = Admission::new(vault, from, allowed)?;
    vault.accept_withheld(&admission, &withheld)?;
    let overrides = admission.overrides();
    let operation = if overrides.is_empty() { operation } else { operation.detail("allowed", overrides) };
    Ok((None, operation))
}

/// What a rollback did.
#[derive(Clone, Debug)]
pub struct RollbackOutcome {
    /// What happened to tree and head.
    pub checkout: CheckoutOutcome,
    /// The new commit, or `None` if the tree is that of the older state already.
    pub commit: Option<CommitId>,
    /// How many commits of which device are taken back.
    pub taken_back: BTreeMap<String, usize>,
}

/// Makes a new commit with the tree of an older one. Nothing is dropped.
pub fn rollback(
    vault: &mut Vault,
    target: CommitId,
    message: Option<String>,
    streams: Streams,
) -> Result<RollbackOutcome> {
    refuse_secret_words("the message", message.as_deref().unwrap_or_default(), &[])?;
    let lock = vault.lock("rollback")?;
    let head = vault.head()?;
    if vault.parked().is_some_and(|parked| parked != head) {
        return Err(Error::refused(
            ErrorKind::Refused,
            "the branch has moved since the tree was parked; nothing was changed",
            format!("{} goes back to the branch, then roll back", vault.way_back()),
        ));
    }
    let (head_tree, target_tree) = (vault.tree_of(head)?, vault.tree_of(target)?);
    let mut content = vault.store.writer()?;
    let tree = match streams {
        Streams::Keep => keep_streams(vault, &mut content, target_tree, head_tree)?,
        Streams::Restore => target_tree,
    };
    let (tree, mut content) = without_purged(vault, content, tree)?;
    let history = History::new(&vault.store);
    let restores = history.is_ancestor(target, head)?;
    let mut taken_back: BTreeMap<String, usize> = BTreeMap::new();
    for id in history.only_in(&[head], &[target])? {
        if let Some(device) = &history.commit(id)?.device {
            *taken_back.entry(device.to_string()).or_default() += 1;
        }
    }
    drop(history);
    if tree == head_tree && vault.parked().is_none() {
        let checkout = CheckoutOutcome { operation: None, head, parked: None, moved: Moved::default() };
        return Ok(RollbackOutcome { checkout, commit: None, taken_back: BTreeMap::new() });
    }
    let message = message.unwrap_or_else(|| {
        let changed = diff_trees(&vault.store, head_tree, tree).unwrap_or_default();
        let paths = describe_paths(changed.iter().map(|diff| &diff.path));
        format!("roll back to {}: {paths}\n", target.short())
    });
    let message =
        if restores { message } else { format!("{}\n\nThe tree is that of {target}.\n", message.trim_end()) };
    vault.check_extent(&content, head_tree, tree)?;
    let draft = CommitDraft { message, restores: restores.then_some(target) };
    let commit = vault.draft_commit(tree, vec![head], draft)?;
    let id = vault.write_commit(&mut content, &commit)?;
    let mut operation = vault
        .operation("rollback")
        .set(vault.branch_ref(), id)
        .set(RefName::At, id)
        .frontier(vec![id])
        .lamport(commit.lamport);
    if vault.parked().is_some() {
        operation = operation.remove(RefName::Parked);
    }
    let moved = move_tree(
        vault,
        &lock,
        Move { tree, content: Some(content), operation, edits: Edits::Save, arrivals: Arrivals::New },
    )?;
    let checkout = CheckoutOutcome { operation: Some(vault.log.last().seq), head: id, parked: None, moved };
    Ok(RollbackOutcome { checkout, commit: Some(id), taken_back })
}

/// Makes another branch the present one; with `create` a new one at `from`.
pub fn switch(vault: &mut Vault, branch: &Label, create: Option<CommitId>) -> Result<CheckoutOutcome> {
    if create.is_some() {
        refuse_secret_words("the name of the branch", branch.as_str(), &[])?;
    }
    let lock = vault.lock("switch")?;
    let name = RefName::Branch(branch.clone());
    let existing = vault.log.refs().commit(&name);
    let target = match (existing, create) {
        (Some(_), Some(_)) => {
            return Err(Error::refused(
                ErrorKind::Refused,
                format!("there is a branch {branch} already"),
                format!("{} goes to it", typed("switch").word(branch.as_str())),
            ));
        }
        (None, None) => {
            return Err(Error::refused(
                ErrorKind::UnknownRevision,
                format!("there is no branch {branch}"),
                format!(
                    "{} makes it; `mvault branch` lists branches",
                    typed("switch --create").word(branch.as_str())
                ),
            ));
        }
        (Some(target), None) | (None, Some(target)) => target,
    };
    let mut operation = vault
        .operation("switch")
        .set(RefName::Head, RefTarget::Branch(branch.clone()))
        .set(name, target)
        .set(RefName::At, target);
    if vault.parked().is_some() {
        operation = operation.remove(RefName::Parked);
    }
    let tree = vault.tree_of(target)?;
    let moved = move_tree(
        vault,
        &lock,
        Move { tree, content: None, operation, edits: Edits::Save, arrivals: Arrivals::New },
    )?;
    Ok(CheckoutOutcome { operation: Some(vault.log.last().seq), head: target, parked: None, moved })
}

impl Vault {
    /// Returns the tree that the working tree is compared with: that of the commit it stands on, with the
    /// branch's event streams while it is parked.
    pub fn standing_tree(&self) -> Result<TreeId> {
        match self.log.refs().at() {
            Some(at) => self.standing_tree_of(at, self.parked()),
            None => Ok(TreeId::empty()),
        }
    }

    /// Returns the tree to compare with for a working tree at `at`, parked off the head `parked` or not.
    pub(super) fn standing_tree_of(&self, at: CommitId, parked: Option<CommitId>) -> Result<TreeId> {
        let tree = self.tree_of(at)?;
        let Some(parked) = parked else { return Ok(tree) };
        let overlay = Overlay::new(&self.store);
        let changes = stream_changes(self, tree, self.tree_of(parked)?)?;
        write_tree(&overlay, tree, changes, &mut |bytes, _| {
            Ok::<_, Error>(TreeId::new(overlay.put(Kind::Tree, bytes)))
        })
    }

    /// Returns the rules that a tree holds. Where its file is no valid set of rules those that were last accepted
    /// here count, because nothing may be blocked by it.
    pub fn rules_of(&self, tree: TreeId) -> Result<VaultRules> {
        Ok(valid_rules_in(&self.store, tree)?.unwrap_or_else(|_| self.rules_accepted_here()))
    }

    /// Returns why the `vault.toml` of a tree is no valid set of rules, if it is none.
    pub fn rules_fault(&self, tree: TreeId) -> Result<Option<String>> {
        Ok(valid_rules_in(&self.store, tree)?.err().map(|error| error.to_string()))
    }

    /// Returns the rules that hold in the branch now, as a merge wants them.
    pub(super) fn merge_rules(&self) -> Result<crate::merge::Rules> {
        Ok(merge_rules(self.rules_of(self.tree_of(self.head()?)?)?))
    }
}

/// Returns the rules that a tree holds; a file that is no valid set of rules counts as none.
pub(super) fn rules_in(source: &dyn Source, tree: TreeId) -> Result<VaultRules> {
    Ok(valid_rules_in(source, tree)?.unwrap_or_default())
}

/// Returns the rules that a tree holds, or why they are none.
fn valid_rules_in(source: &dyn Source, tree: TreeId) -> Result<std::result::Result<VaultRules, RulesError>> {
    let root = source.find_tree(tree)?;
    let file = root.find(RULES_FILE.as_bytes()).filter(|entry| !entry.mode.is_tree());
    let Some(entry) = file else { return Ok(Ok(VaultRules::default())) };
    let bytes = match source.find_blob(BlobId::new(entry.id)) {
        Err(SourceError::Purged { .. }) => return Ok(Ok(VaultRules::default())),
        other => other?,
    };
    Ok(VaultRules::parse(Some(&bytes)))
}

/// Returns `target` with the event streams of `now`.
pub(super) fn keep_streams(
    vault: &Vault,
    content: &mut PackWriter,
    target: TreeId,
    now: TreeId,
) -> Result<TreeId> {
    let changes = stream_changes(vault, target, now)?;
    write_edited(&vault.store, content, target, changes)
}

fn stream_changes(vault: &Vault, target: TreeId, now: TreeId) -> Result<Vec<TreeChange>> {
    let rules = vault.rules_of(now)?;
    let differing = diff_trees(&vault.store, target, now)?.into_iter();
    let streams = differing.filter(|diff| rules.class_of(&diff.path) == Class::Stream);
    Ok(streams.map(|diff| TreeChange { path: diff.path, entry: diff.new }).collect())
}

/// Tells whether there is something at a path: on disk, or in the commit that the files are of.
pub fn is_there(vault: &Vault, path: &VaultPath) -> Result<bool> {
    let known = vault.store.find_commit(vault.at()?)?.tree;
    if entry_at(&vault.store, known, path)?.is_some() {
        return Ok(true);
    }
    let on_disk = worktree::Folders::new(&vault.root)
        .parent_of(path)
        .and_then(|folder| folder.try_stat(super::refusal::os(path.name())));
    match on_disk {
        Ok(found) => Ok(found.is_some()),
        Err(error) if error.is_gone() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
