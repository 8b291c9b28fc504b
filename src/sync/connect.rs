//! What a received commit must connect to.
//!
//! A commit holds if
//!
//! - its parents are in the vault or came before it, and its stamp fits theirs;
//! - a derived one has the one form that reconcile writes;
//! - its tree and all below are in the vault or came before it, each of the kind its entry says, and hold what a
//!   vault may hold ([`Extents`], [`link_target`]): what the working tree and the merge cannot do with is refused
//!   here, before it is part of the history. A blob may be missing if it is purged: by a commit that is known here,
//!   or by one that comes later, which the end of the session shows. Until then nothing is visible.
//!
//! A head holds if it is authored and goes back to this vault's root, unless unrelated ones were allowed.
//! (Roots of other vaults may lie in its history: somebody once allowed them.)
//!
//! Where a pack is only looked at, what is not there can be taken as given ([`Outside`]); everything else is
//! checked all the same.
//!
//! The vault's own store holds only what is complete: where a walk meets it, it ends.
//!
//! Limits: folders lie at most [`DEPTH_MAX`] deep. What is kept in memory of an object is a few dozen bytes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::incoming::Incoming;
use super::receive::{Outside, ReceiveError, content};
use crate::object::{
    BlobId, Commit, CommitId, Extents, Kind, Lamport, Mode, ObjectId, Source, Tree, TreeEntry, TreeId,
    VaultId, link_target,
};

/// How deep folders may lie: deeper ones make paths that no system takes.
const DEPTH_MAX: usize = 2048;
const TREES_KEPT: usize = 4096;
/// How many blobs may be missing until a commit says that they are purged.
const OWED_MAX: usize = 1 << 20;

type Result<T> = std::result::Result<T, ReceiveError>;

/// Parses a tree, strictly.
pub fn parse_tree(id: ObjectId, bytes: &[u8]) -> Result<Arc<Tree>> {
    Tree::decode(bytes).map(Arc::new).or_else(|e| content(format!("tree {id}: {e}")))
}

struct Arrived {
    lamport: Lamport,
    /// Whether it goes back to this vault's root.
    is_related: bool,
}

/// What is known of an object in `incoming`.
#[derive(Clone, Copy)]
struct Here {
    kind: Kind,
    /// It is there with all below it.
    is_complete: bool,
    /// It came since the last commit and is not yet known to be needed.
    is_fresh: bool,
    /// It came in this session, and not in one before.
    came: bool,
}

impl Here {
    fn of(kind: Kind) -> Here {
        Here { kind, is_complete: false, is_fresh: false, came: false }
    }
}

/// What has come, and how far it is connected.
pub struct Connections {
    vault: Option<VaultId>,
    outside: Outside,
    /// All that is in `incoming`.
    there: HashMap<ObjectId, Here>,
    /// How many of these are fresh.
    fresh: usize,
    /// Commits that are complete, in order.
    pub commits: Vec<CommitId>,
    arrived: HashMap<CommitId, Arrived>,
    /// Blobs that are needed and did not come, and whether a link names them.
    owed: HashMap<ObjectId, bool>,
    /// Blobs that commits among the arrived purge.
    purged: HashSet<ObjectId>,
    extents: Extents,
    trees: HashMap<TreeId, Arc<Tree>>,
    tree_bases: HashMap<TreeId, TreeId>,
}

enum Visit {
    Enter(TreeId, usize),
    Leave(TreeId),
}

impl Connections {
    /// Starts with nothing; `vault` is the one that roots must name.
    pub fn new(vault: Option<VaultId>, outside: Outside) -> Connections {
        Connections {
            vault,
            outside,
            there: HashMap::new(),
            fresh: 0,
            commits: Vec::new(),
            arrived: HashMap::new(),
            owed: HashMap::new(),
            purged: HashSet::new(),
            extents: Extents::default(),
            trees: HashMap::new(),
            tree_bases: HashMap::new(),
        }
    }

    /// Says which vault roots must name, if that was not known.
    pub fn expect_vault(&mut self, vault: Option<VaultId>) {
        self.vault = self.vault.or(vault);
    }

    /// Takes note of what an earlier session left.
    pub fn found(&mut self, id: ObjectId, kind: Kind) {
        self.there.insert(id, Here::of(kind));
    }

    /// Returns what is there and waits for a commit that makes it complete, at most so much.
    pub fn incomplete(&self, count_max: usize) -> Vec<ObjectId> {
        let waiting = self.there.iter().filter(|(_, here)| !here.is_complete);
        waiting.map(|(id, _)| *id).take(count_max).collect()
    }

    /// Returns what is complete if something is there that is not and must not be taken over; blobs are
    /// complete by themselves.
    pub fn whole_only(&self) -> Option<Vec<(ObjectId, Kind)>> {
        if self.there.values().all(|here| here.kind == Kind::Blob || here.is_complete) {
            return None;
        }
        let whole = self.there.iter().filter(|(_, here)| here.is_complete);
        let mut whole: Vec<(ObjectId, Kind)> = whole.map(|(id, here)| (*id, here.kind)).collect();
        whole.sort_unstable();
        Some(whole)
    }

    /// Returns `true` if everything that came is needed by a commit that came.
    pub fn is_all_needed(&self) -> bool {
        self.fresh == 0
    }

    /// Returns the greatest stamp that came.
    pub fn highest_stamp(&self) -> Option<Lamport> {
        self.arrived.values().map(|arrived| arrived.lamport).max()
    }

    /// Tells whether a complete commit came, now or in an earlier session.
    pub fn has_commit(&self, id: CommitId) -> bool {
        self.arrived.contains_key(&id)
    }

    /// Takes note of a tree or blob. It waits for a commit that needs it, unless one was found that does.
    pub fn arrived(&mut self, kind: Kind, id: ObjectId, tree: Option<Arc<Tree>>, base: Option<ObjectId>) {
        let here = self.there.entry(id).or_insert(Here::of(kind));
        here.came = true;
        if !here.is_complete && !here.is_fresh {
            here.is_fresh = true;
            self.fresh += 1;
        }
        if let Some(tree) = tree {
            if self.trees.len() >= TREES_KEPT {
                self.trees.clear();
            }
            self.trees.insert(TreeId::new(id), tree);
            if let Some(base) = base {
                self.tree_bases.insert(TreeId::new(id), TreeId::new(base));
            }
        }
    }

    /// Returns `true` if a link of a commit that came before names this blob, which was missing then.
    pub fn is_owed_link(&self, id: ObjectId) -> bool {
        self.owed.get(&id).is_some_and(|is_link| *is_link)
    }

    /// Takes note of a tree or blob that came and cannot be looked at, since its base is assumed.
    pub fn assume(&mut self, kind: Kind, id: ObjectId) {
        self.there.insert(id, Here { is_complete: true, came: true, ..Here::of(kind) });
    }

    /// Returns `true` if a tree or blob came in this session.
    pub fn came(&self, id: ObjectId) -> bool {
        self.there.get(&id).is_some_and(|here| here.came)
    }

    /// Takes note that a commit needs an object that is there.
    fn complete(&mut self, id: ObjectId) {
        if let Some(here) = self.there.get_mut(&id) {
            self.fresh -= usize::from(here.is_fresh);
            (here.is_complete, here.is_fresh) = (true, false);
        }
    }

    /// Takes note of a commit that was checked.
    pub fn commit_is_complete(&mut self, id: CommitId, commit: &Commit) {
        let is_related = match commit.vault {
            Some(vault) => *self.vault.get_or_insert(vault) == vault,
            // A parent that is not among the arrived is in the vault.
            None => commit.parents.iter().any(|p| self.arrived.get(p).is_none_or(|parent| parent.is_related)),
        };
        if self.arrived.insert(id, Arrived { lamport: commit.lamport, is_related }).is_none() {
            self.commits.push(id);
        }
        self.there.insert(id.object(), Here { is_complete: true, ..Here::of(Kind::Commit) });
        self.purged.extend(commit.purges.iter().map(|blob| blob.object()));
        self.tree_bases.clear();
    }

    /// Checks all that a commit must connect to, and that nothing came which neither it nor one before needs.
    pub fn check_commit(&mut self, incoming: &Incoming, id: CommitId, commit: &Commit) -> Result<()> {
        self.check_links(incoming, id, commit)?;
        if self.is_all_needed() {
            return Ok(());
        }
        let extra = self.there.iter().find(|(_, here)| here.is_fresh);
        let extra = extra.map_or_else(|| "one more".to_owned(), |(extra, _)| extra.to_string());
        content(format!("object {extra} came and commit {id} does not need it"))
    }

    fn check_links(&mut self, incoming: &Incoming, id: CommitId, commit: &Commit) -> Result<()> {
        let mut parents = Vec::new();
        for parent in &commit.parents {
            let lamport = self.stamp_of(incoming, *parent)?;
            if lamport.is_none() && self.outside == Outside::Assumed {
                continue;
            }
            let missing = || format!("commit {id} has a parent that did not come before it: {parent}");
            parents.push((lamport.map_or_else(|| content(missing()), Ok)?, *parent));
        }
        if parents.len() < commit.parents.len() {
            // What a stamp and the parents of a derived commit have to fit is not here.
            return self.check_tree(incoming, id, commit.tree);
        }
        let highest = parents.iter().map(|(lamport, _)| *lamport).max().unwrap_or_default();
        commit.check_stamp(highest).or_else(|e| content(format!("commit {id}: {e}")))?;
        if commit.is_derived() {
            check_derived(incoming, id, &parents)?;
        }
        self.check_tree(incoming, id, commit.tree)
    }

    /// Checks a head that was offered.
    pub fn check_head(&self, incoming: &Incoming, id: CommitId, allows_unrelated: bool) -> Result<()> {
        if self.stamp_of(incoming, id)?.is_none() {
            if self.outside == Outside::Assumed {
                return Ok(());
            }
            return content(format!("head {id} was offered and did not come"));
        }
        if incoming.find_commit(id)?.is_derived() {
            return content(format!("head {id} is a derived commit, which nobody offers"));
        }
        let is_related = self.arrived.get(&id).is_none_or(|arrived| arrived.is_related);
        if is_related || allows_unrelated { Ok(()) } else { Err(ReceiveError::Unrelated(id)) }
    }

    /// Checks that every blob that did not come is purged.
    pub fn check_owed(&self) -> Result<()> {
        match self.owed.keys().find(|id| !self.purged.contains(id)) {
            Some(id) => content(format!("blob {id} is missing, and no commit purges it")),
            None => Ok(()),
        }
    }

    /// Returns the stamp of a commit that is here with all it needs.
    fn stamp_of(&self, incoming: &Incoming, id: CommitId) -> Result<Option<Lamport>> {
        if let Some(arrived) = self.arrived.get(&id) {
            return Ok(Some(arrived.lamport));
        }
        match incoming.main().try_info(id.object())? {
            Some((Kind::Commit, _)) => Ok(Some(incoming.main().find_commit(id)?.lamport)),
            _ => Ok(None),
        }
    }

    fn tree(&self, incoming: &Incoming, id: TreeId) -> Result<Arc<Tree>> {
        match self.trees.get(&id) {
            Some(tree) => Ok(tree.clone()),
            None => Ok(Arc::new(incoming.find_tree(id)?)),
        }
    }

    /// Checks that a commit's tree is there with everything below it, and is one that a vault may hold.
    fn check_tree(&mut self, incoming: &Incoming, commit: CommitId, root: TreeId) -> Result<()> {
        self.complete_tree(incoming, root)?;
        let mut extents = std::mem::take(&mut self.extents);
        let measured = extents.measure(root, &mut |id| match self.there.contains_key(&id.object()) {
            true => self.tree(incoming, id).map(Some),
            // It was measured when it came here. If it is damaged by now, that is not this commit's fault.
            false => Ok::<_, ReceiveError>(self.tree(incoming, id).ok()),
        });
        self.extents = extents;
        match measured? {
            Ok(_) => Ok(()),
            Err(error) => content(format!("the tree of commit {commit}: {error}")),
        }
    }

    /// Checks that a tree and everything below it is there, each object of the kind its entry says.
    fn complete_tree(&mut self, incoming: &Incoming, root: TreeId) -> Result<()> {
        let mut stack = vec![Visit::Enter(root, 0)];
        while let Some(visit) = stack.pop() {
            match visit {
                Visit::Enter(id, depth) => self.enter(incoming, id, depth, &mut stack)?,
                Visit::Leave(id) => self.complete(id.object()),
            }
        }
        Ok(())
    }

    fn enter(&mut self, incoming: &Incoming, id: TreeId, depth: usize, stack: &mut Vec<Visit>) -> Result<()> {
        if self.is_complete_tree(incoming, id)? {
            return Ok(());
        }
        if depth > DEPTH_MAX {
            return content(format!("tree {id} lies more than {DEPTH_MAX} folders deep"));
        }
        let tree = self.tree(incoming, id)?;
        let base = self.complete_base(incoming, id)?;
        stack.push(Visit::Leave(id));
        let mut shared = Cursor { entries: base.as_ref().map_or(&[][..], |base| base.entries()) };
        for entry in tree.entries() {
            if shared.has(entry) {
                continue;
            }
            if entry.mode.is_tree() {
                stack.push(Visit::Enter(TreeId::new(entry.id), depth + 1));
            } else {
                let is_link = entry.mode == Mode::Symlink;
                self.complete_blob(incoming, entry.id, is_link)?;
                if is_link && let Err(error) = link_target(incoming, BlobId::new(entry.id))? {
                    return content(format!("tree {id}: {error}"));
                }
            }
        }
        Ok(())
    }

    fn is_complete_tree(&self, incoming: &Incoming, id: TreeId) -> Result<bool> {
        if id == TreeId::empty() {
            return Ok(true);
        }
        match self.there.get(&id.object()) {
            Some(Here { kind: Kind::Tree, is_complete, .. }) => Ok(*is_complete),
            Some(Here { kind: other, .. }) => content(format!("{other} {id} stands where a tree must")),
            None => match incoming.main().try_info(id.object())? {
                Some((Kind::Tree, _)) => Ok(true),
                None if self.outside == Outside::Assumed => Ok(true),
                _ => content(format!("tree {id} is missing")),
            },
        }
    }

    fn complete_blob(&mut self, incoming: &Incoming, id: ObjectId, is_link: bool) -> Result<()> {
        match self.there.get(&id) {
            Some(Here { kind: Kind::Blob, .. }) => {
                self.complete(id);
                Ok(())
            }
            Some(Here { kind: other, .. }) => content(format!("{other} {id} stands where a blob must")),
            None => match incoming.main().try_info(id)? {
                Some((Kind::Blob, _)) => Ok(()),
                None if self.outside == Outside::Assumed => Ok(()),
                None if incoming.main().tombstone(id).is_some() => Ok(()),
                None if self.owed.len() < OWED_MAX => {
                    *self.owed.entry(id).or_default() |= is_link;
                    Ok(())
                }
                _ => content(format!("blob {id} is missing")),
            },
        }
    }

    /// Returns the tree a tree was sent against if that is complete: entries it shares need no look.
    fn complete_base(&self, incoming: &Incoming, id: TreeId) -> Result<Option<Arc<Tree>>> {
        let Some(base) = self.tree_bases.get(&id).copied() else { return Ok(None) };
        let is_complete = match self.there.get(&base.object()) {
            Some(here) => here.kind == Kind::Tree && here.is_complete,
            None => matches!(incoming.main().try_info(base.object())?, Some((Kind::Tree, _))),
        };
        if is_complete { self.tree(incoming, base).map(Some) } else { Ok(None) }
    }
}

/// Checks what can be told of a derived commit without recomputing it: its parents are authored, sorted
/// and unrelated.
fn check_derived(incoming: &Incoming, id: CommitId, parents: &[(Lamport, CommitId)]) -> Result<()> {
    if !parents.is_sorted() {
        return content(format!("derived commit {id} has its parents out of order"));
    }
    for (at, (_, parent)) in parents.iter().enumerate() {
        if incoming.find_commit(*parent)?.is_derived() {
            return content(format!("derived commit {id} has a derived parent"));
        }
        for (_, older) in &parents[..at] {
            if is_ancestor(incoming, *older, *parent)? {
                return content(format!(
                    "derived commit {id} has parents of which one is an ancestor of another"
                ));
            }
        }
    }
    Ok(())
}

fn is_ancestor(incoming: &Incoming, older: CommitId, newer: CommitId) -> Result<bool> {
    let bound = incoming.find_commit(older)?.lamport;
    let mut stack = vec![newer];
    let mut seen = HashSet::new();
    while let Some(id) = stack.pop() {
        if id == older {
            return Ok(true);
        }
        let commit = incoming.find_commit(id)?;
        if commit.lamport > bound {
            stack.extend(commit.parents.into_iter().filter(|parent| seen.insert(*parent)));
        }
    }
    Ok(false)
}

/// Steps through a base's entries beside those of a newer tree; both are in git's order.
struct Cursor<'t> {
    entries: &'t [TreeEntry],
}

impl Cursor<'_> {
    fn has(&mut self, wanted: &TreeEntry) -> bool {
        while let Some((first, rest)) = self.entries.split_first() {
            match first.cmp_in_tree(wanted) {
                std::cmp::Ordering::Less => self.entries = rest,
                // A file that becomes a link is looked at again: what it holds is a target now.
                std::cmp::Ordering::Equal => return first == wanted,
                std::cmp::Ordering::Greater => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_an_object_is_its_id_and_a_few_bytes() {
        // 300,000 small objects in one push took 285 MB: each was remembered twice, and the cache of the store
        // counted only their bytes. Ten million may come.
        assert!(size_of::<(ObjectId, Here)>() <= 36);
    }
}
