//! History as it is told: newest first, no commit before one of its descendants.
//!
//! A commit's stamp exceeds those of all its ancestors, so taking the greatest (stamp, id) of what is
//! known to be reachable gives a causal order without looking ahead; ties are broken by id.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::{Result, Vault, entry_at};
use crate::merge::History;
use crate::object::{
    Commit, CommitId, DeviceName, Lamport, SessionId, Source, SourceError, TreeEntry, TreeId, VaultPath,
};
use crate::store::Store;

/// Which commits are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those that this device authored.
    pub device: Option<DeviceName>,
    /// Only those made in this session.
    pub session: Option<SessionId>,
    /// Only those made at or after this moment, in seconds since 1970. Clocks differ: the walk goes on
    /// behind an older commit.
    pub since: Option<i64>,
    /// Only those that changed one of these; empty for all.
    pub paths: Vec<VaultPath>,
}

impl Filter {
    /// Tells whether every commit is wanted.
    pub fn is_empty(&self) -> bool {
        let Filter { device, session, since, paths } = self;
        device.is_none() && session.is_none() && since.is_none() && paths.is_empty()
    }

    /// Tells whether a commit is wanted. Of several parents it must differ from each.
    pub fn takes(&self, source: &dyn Source, known: &mut Known, commit: &Commit) -> Result<bool> {
        let device = self.device.is_none() || self.device == commit.device;
        let session = self.session.is_none() || self.session == commit.session;
        let since = self.since.is_none_or(|since| commit.committer.seconds >= since);
        Ok(device && session && since && (self.paths.is_empty() || self.touches(source, known, commit)?))
    }

    fn touches(&self, source: &dyn Source, known: &mut Known, commit: &Commit) -> Result<bool> {
        let ours = known.entries(source, commit.tree, &self.paths)?;
        if commit.parents.is_empty() {
            return Ok(ours.iter().any(Option::is_some));
        }
        for parent in &commit.parents {
            let tree = source.find_commit(*parent)?.tree;
            if tree == commit.tree || known.entries(source, tree, &self.paths)? == ours {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What stands at the wanted paths of trees that were looked at lately: a commit's tree is looked at for it
/// and for each commit after it.
#[derive(Default)]
pub struct Known {
    trees: HashMap<TreeId, Entries>,
}

/// What stands at each of the wanted paths.
type Entries = Rc<Vec<Option<TreeEntry>>>;

/// So many trees are known at a time.
const TREES_KNOWN_MAX: usize = 4096;

impl Known {
    fn entries(&mut self, source: &dyn Source, tree: TreeId, paths: &[VaultPath]) -> Result<Entries> {
        if let Some(entries) = self.trees.get(&tree) {
            return Ok(entries.clone());
        }
        let entries = paths.iter().map(|path| entry_at(source, tree, path)).collect::<Result<Vec<_>>>()?;
        if self.trees.len() >= TREES_KNOWN_MAX {
            self.trees.clear();
        }
        let entries = Rc::new(entries);
        self.trees.insert(tree, entries.clone());
        Ok(entries)
    }
}

/// A walk from some heads to the root.
pub struct Walk<'s> {
    source: &'s Store,
    queue: BinaryHeap<(Lamport, CommitId)>,
    read: HashMap<CommitId, Arc<Commit>>,
    seen: HashSet<CommitId>,
}

impl<'s> Walk<'s> {
    /// Starts at `heads`.
    pub fn new(source: &'s Store, heads: impl IntoIterator<Item = CommitId>) -> Result<Walk<'s>> {
        let mut walk = Walk { source, queue: BinaryHeap::new(), read: HashMap::new(), seen: HashSet::new() };
        for head in heads {
            walk.enqueue(head)?;
        }
        Ok(walk)
    }

    fn enqueue(&mut self, id: CommitId) -> std::result::Result<(), SourceError> {
        if self.seen.insert(id) {
            let commit = self.source.commit(id)?;
            self.queue.push((commit.lamport, id));
            self.read.insert(id, commit);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(CommitId, Arc<Commit>)>> {
        let Some((_, id)) = self.queue.pop() else { return Ok(None) };
        let commit = self.read.remove(&id).expect("what is queued was read");
        for parent in &commit.parents {
            self.enqueue(*parent)?;
        }
        Ok(Some((id, commit)))
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(CommitId, Arc<Commit>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// A commit that is told, with the nearest told commits before it.
pub struct Told {
    /// Its id.
    pub id: CommitId,
    /// The commit.
    pub commit: Arc<Commit>,
    /// The nearest wanted ancestors, none of them an ancestor of another.
    pub before: Vec<CommitId>,
}

/// Lists the wanted commits with the lines of descent between them, for a graph. Reads all history.
pub fn told_with_descent(
    vault: &Vault,
    heads: &[CommitId],
    wanted: &mut dyn FnMut(CommitId, &Commit) -> Result<bool>,
) -> Result<Vec<Told>> {
    let commits = Walk::new(&vault.store, heads.iter().copied())?.collect::<Result<Vec<_>>>()?;
    let history = History::new(&vault.store);
    // What stands for a commit as a parent: itself if it is told, else what stands for its parents.
    let mut stands_for: HashMap<CommitId, Vec<CommitId>> = HashMap::new();
    let mut told = Vec::new();
    for (id, commit) in commits.into_iter().rev() {
        let mut before = Vec::new();
        for parent in &commit.parents {
            for stand_in in &stands_for[parent] {
                if !before.contains(stand_in) {
                    before.push(*stand_in);
                }
            }
        }
        if before.len() > 1 {
            let maximal = history.maximal(before.iter().copied())?;
            before.retain(|id| maximal.contains(id));
        }
        if wanted(id, &commit)? {
            stands_for.insert(id, vec![id]);
            told.push(Told { id, commit, before });
        } else {
            stands_for.insert(id, before);
        }
    }
    told.reverse();
    Ok(told)
}
