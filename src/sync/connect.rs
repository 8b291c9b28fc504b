//! What a received commit must connect to.
//!
//! A commit holds if
//!
//! - its parents are in the vault or came before it, and its stamp fits theirs;
//! - a derived one has the one form that reconcile writes;
//! - its tree and all below are in the vault or came before it, each of the kind its entry says. A blob may
//!   be missing if it is purged: by a commit that is known here, or by one that comes later, which the end
//!   of the session shows. Until then nothing is visible.
//!
//! A head holds if it is authored and goes back to this vault's root, unless unrelated ones were allowed.
//! (Roots of other vaults may lie in its history: somebody once allowed them.)
//!
//! Where a pack is only looked at, what is not there can be taken as given ([`Outside`]); everything else is
//! checked all the same.
//!
//! The vault's own store holds only what is complete: where a walk meets it, it ends.
//!
//! Limits: folders lie at most [`DEPTH_MAX`] deep, and a tree has at most [`ENTRIES_MAX`] entries with all
//! below it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::incoming::Incoming;
use super::receive::{Outside, ReceiveError, content};
use crate::object::{Commit, CommitId, Kind, Lamport, ObjectId, Source, Tree, TreeEntry, TreeId, VaultId};

/// How deep folders may lie: deeper ones make paths that no system takes.
const DEPTH_MAX: usize = 2048;
/// How many entries a tree may have with all below it.
const ENTRIES_MAX: u64 = 50_000_000;
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

/// What has come, and how far it is connected.
pub struct Connections {
    vault: Option<VaultId>,
    outside: Outside,
    /// All that is in `incoming`, by kind.
    pub there: HashMap<ObjectId, Kind>,
    /// What is complete with all below it, and how many entries that is.
    complete: HashMap<ObjectId, u64>,
    /// Commits that are complete, in order.
    pub commits: Vec<CommitId>,
    arrived: HashMap<CommitId, Arrived>,
    /// Objects that came since the last commit and are not yet known to be needed.
    pub fresh: HashSet<ObjectId>,
    /// Blobs that are needed and did not come.
    owed: HashSet<ObjectId>,
    /// Blobs that commits among the arrived purge.
    purged: HashSet<ObjectId>,
    trees: HashMap<TreeId, Arc<Tree>>,
    tree_bases: HashMap<TreeId, TreeId>,
}

enum Visit {
    Enter(TreeId, usize),
    Leave(TreeId, Arc<Tree>),
}

impl Connections {
    /// Starts with nothing; `vault` is the one that roots must name.
    pub fn new(vault: Option<VaultId>, outside: Outside) -> Connections {
        Connections {
            vault,
            outside,
            there: HashMap::new(),
            complete: HashMap::new(),
            commits: Vec::new(),
            arrived: HashMap::new(),
            fresh: HashSet::new(),
            owed: HashSet::new(),
            purged: HashSet::new(),
            trees: HashMap::new(),
            tree_bases: HashMap::new(),
        }
    }

    /// Says which vault roots must name, if that was not known.
    pub fn expect_vault(&mut self, vault: Option<VaultId>) {
        self.vault = self.vault.or(vault);
    }

    /// Returns what is there and waits for a commit that makes it complete.
    pub fn incomplete(&self) -> Vec<ObjectId> {
        self.there.keys().filter(|id| !self.complete.contains_key(id)).copied().collect()
    }

    /// Returns what is complete if something is there that is not and must not be taken over; blobs are
    /// complete by themselves.
    pub fn whole_only(&self) -> Option<Vec<(ObjectId, Kind)>> {
        let is_complete = |id: &ObjectId| self.complete.contains_key(id);
        if self.there.iter().all(|(id, kind)| *kind == Kind::Blob || is_complete(id)) {
            return None;
        }
        let mut whole: Vec<(ObjectId, Kind)> =
            self.there.iter().filter(|(id, _)| is_complete(id)).map(|(id, kind)| (*id, *kind)).collect();
        whole.sort_unstable();
        Some(whole)
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
        self.there.insert(id, kind);
        if !self.complete.contains_key(&id) {
            self.fresh.insert(id);
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

    /// Takes note of a tree or blob that came and cannot be looked at, since its base is assumed.
    pub fn assume(&mut self, kind: Kind, id: ObjectId) {
        self.there.insert(id, kind);
        self.complete.insert(id, 1);
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
        self.complete.insert(id.object(), 0);
        self.purged.extend(commit.purges.iter().map(|blob| blob.object()));
        self.tree_bases.clear();
    }

    /// Checks all that a commit must connect to.
    pub fn check_commit(&mut self, incoming: &Incoming, id: CommitId, commit: &Commit) -> Result<()> {
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
            return self.complete_tree(incoming, commit.tree);
        }
        let highest = parents.iter().map(|(lamport, _)| *lamport).max().unwrap_or_default();
        commit.check_stamp(highest).or_else(|e| content(format!("commit {id}: {e}")))?;
        if commit.is_derived() {
            check_derived(incoming, id, &parents)?;
        }
        self.complete_tree(incoming, commit.tree)
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
        match self.owed.iter().find(|id| !self.purged.contains(id)) {
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

    /// Checks that a tree and everything below it is there, each object of the kind its entry says.
    fn complete_tree(&mut self, incoming: &Incoming, root: TreeId) -> Result<()> {
        let mut stack = vec![Visit::Enter(root, 0)];
        while let Some(visit) = stack.pop() {
            match visit {
                Visit::Enter(id, depth) => self.enter(incoming, id, depth, &mut stack)?,
                Visit::Leave(id, tree) => self.leave(id, &tree)?,
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
        stack.push(Visit::Leave(id, tree.clone()));
        let mut shared = Cursor { entries: base.as_ref().map_or(&[][..], |base| base.entries()) };
        for entry in tree.entries() {
            if shared.has(entry) {
                continue;
            }
            if entry.mode.is_tree() {
                stack.push(Visit::Enter(TreeId::new(entry.id), depth + 1));
            } else {
                self.complete_blob(incoming, entry.id)?;
            }
        }
        Ok(())
    }

    fn leave(&mut self, id: TreeId, tree: &Tree) -> Result<()> {
        let below = |entry: &TreeEntry| match entry.mode.is_tree() {
            true => self.complete.get(&entry.id).copied().unwrap_or(1),
            false => 1,
        };
        let count = tree.entries().iter().map(below).fold(1, u64::saturating_add);
        if count > ENTRIES_MAX {
            return Err(ReceiveError::Limit { what: "entries in a tree", limit: ENTRIES_MAX });
        }
        self.complete.insert(id.object(), count);
        self.fresh.remove(&id.object());
        Ok(())
    }

    fn is_complete_tree(&self, incoming: &Incoming, id: TreeId) -> Result<bool> {
        if id == TreeId::empty() {
            return Ok(true);
        }
        match self.there.get(&id.object()) {
            Some(Kind::Tree) => Ok(self.complete.contains_key(&id.object())),
            Some(other) => content(format!("{other} {id} stands where a tree must")),
            None => match incoming.main().try_info(id.object())? {
                Some((Kind::Tree, _)) => Ok(true),
                None if self.outside == Outside::Assumed => Ok(true),
                _ => content(format!("tree {id} is missing")),
            },
        }
    }

    fn complete_blob(&mut self, incoming: &Incoming, id: ObjectId) -> Result<()> {
        match self.there.get(&id) {
            Some(Kind::Blob) => {
                self.complete.insert(id, 1);
                self.fresh.remove(&id);
                Ok(())
            }
            Some(other) => content(format!("{other} {id} stands where a blob must")),
            None => match incoming.main().try_info(id)? {
                Some((Kind::Blob, _)) => Ok(()),
                None if self.outside == Outside::Assumed => Ok(()),
                None if incoming.main().tombstone(id).is_some() => Ok(()),
                None if self.owed.len() < OWED_MAX => {
                    self.owed.insert(id);
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
            Some(kind) => *kind == Kind::Tree && self.complete.contains_key(&base.object()),
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
                std::cmp::Ordering::Equal => return first.id == wanted.id,
                std::cmp::Ordering::Greater => return false,
            }
        }
        false
    }
}
