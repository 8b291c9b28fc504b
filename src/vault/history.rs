//! History as it is told: newest first, no commit before one of its descendants.
//!
//! A commit's stamp exceeds those of all its ancestors, so taking the greatest (stamp, id) of what is
//! known to be reachable gives a causal order without looking ahead; ties are broken by id.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use super::{Result, Vault};
use crate::merge::History;
use crate::object::{
    Commit, CommitId, DeviceName, Kind, Lamport, Mode, ObjectId, SessionId, SourceError, TreeId, VaultPath,
    find_entry,
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
    pub fn takes(&self, store: &Store, known: &mut Known, commit: &Commit) -> Result<bool> {
        let device = self.device.is_none() || self.device == commit.device;
        let session = self.session.is_none() || self.session == commit.session;
        let since = self.since.is_none_or(|since| commit.committer.seconds >= since);
        Ok(device && session && since && (self.paths.is_empty() || self.touches(store, known, commit)?))
    }

    fn touches(&self, store: &Store, known: &mut Known, commit: &Commit) -> Result<bool> {
        if commit.parents.is_empty() {
            return self.differs(store, known, commit.tree, None);
        }
        for parent in &commit.parents {
            let tree = store.commit(*parent)?.tree;
            if !self.differs(store, known, commit.tree, Some(tree))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells whether two trees differ at one of the paths.
    fn differs(&self, store: &Store, known: &mut Known, tree: TreeId, other: Option<TreeId>) -> Result<bool> {
        if Some(tree) == other {
            return Ok(false);
        }
        for (number, path) in self.paths.iter().enumerate() {
            let mut at = |tree| known.at(store, tree, number, path, 0);
            if at(tree)? != other.map(&mut at).transpose()?.flatten() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What stands at the wanted paths of folders that were looked at lately: a commit's tree is looked at for it and
/// for each commit after it, and most commits leave most folders as they were.
#[derive(Default)]
pub struct Known {
    folders: HashMap<Rest, Found>,
}

/// A folder, which of the paths is wanted, and how many of its parts lead to the folder.
type Rest = (TreeId, usize, usize);
/// What stands at a path.
type Found = Option<(Mode, ObjectId)>;

/// So many folders are known at a time.
const FOLDERS_KNOWN_MAX: usize = 4096;

impl Known {
    /// Returns what stands at the path of that number in a tree to which `depth` of its parts lead.
    fn at(
        &mut self,
        store: &Store,
        tree: TreeId,
        number: usize,
        path: &VaultPath,
        depth: usize,
    ) -> Result<Found> {
        let rest = (tree, number, depth);
        if let Some(found) = self.folders.get(&rest) {
            return Ok(*found);
        }
        let mut parts = path.parts().skip(depth);
        let Some(part) = parts.next() else { return Ok(None) };
        let entry = find_entry(&store.tree_of_walk(tree)?, part).map_err(|error| SourceError::Invalid {
            kind: Kind::Tree,
            id: tree.object(),
            source: error.into(),
        })?;
        let found = match (entry, parts.next()) {
            (entry, None) => entry,
            (Some((Mode::Tree, id)), Some(_)) => self.at(store, TreeId::new(id), number, path, depth + 1)?,
            (_, Some(_)) => None,
        };
        if self.folders.len() >= FOLDERS_KNOWN_MAX {
            self.folders.clear();
        }
        self.folders.insert(rest, found);
        Ok(found)
    }
}

/// A walk from some heads to the root.
pub struct Walk<'s> {
    source: &'s Store,
    queue: BinaryHeap<Queued>,
    seen: HashSet<CommitId>,
}

/// A commit that a walk will come to. The one with the greatest stamp is next, of several the one with the
/// greatest id.
struct Queued {
    id: CommitId,
    commit: Arc<Commit>,
}

impl Queued {
    fn key(&self) -> (Lamport, CommitId) {
        (self.commit.lamport, self.id)
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Queued) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Queued) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Queued) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<'s> Walk<'s> {
    /// Starts at `heads`.
    pub fn new(source: &'s Store, heads: impl IntoIterator<Item = CommitId>) -> Result<Walk<'s>> {
        let mut walk = Walk { source, queue: BinaryHeap::new(), seen: HashSet::new() };
        for head in heads {
            walk.enqueue(head)?;
        }
        Ok(walk)
    }

    fn enqueue(&mut self, id: CommitId) -> std::result::Result<(), SourceError> {
        if self.seen.insert(id) {
            self.queue.push(Queued { id, commit: self.source.commit(id)? });
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(CommitId, Arc<Commit>)>> {
        let Some(Queued { id, commit }) = self.queue.pop() else { return Ok(None) };
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
