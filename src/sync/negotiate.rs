//! What the other side lacks, found by ancestry and stamps.
//!
//! A commit's stamp exceeds those of all its ancestors. So a walk that takes commits by falling stamp
//! has met every descendant of a commit before the commit itself, and can stop at the stamp of what it
//! looks for. Three walks rest on that:
//!
//! - [`Ancestry`] answers whether a commit is known, as far down as the oldest question;
//! - [`Walk`] asks the other side about our newest commits, in batches that double, until every path
//!   down from our heads has met a commit the other side knows: it costs what is new here;
//! - [`missing`] lists what lies between our heads and what is common: it costs what is new.
//!
//! A wrong answer can only hurt who gave it: what is sent is checked for what it must connect to.

use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use crate::object::{Commit, CommitId, Kind, Lamport, ObjectId, Source, SourceError, TreeId};
use crate::store::Store;

/// How many commits the first `ask` names at least, unless history is shorter.
const FIRST_BATCH: usize = 16;

type Stamped = (Lamport, CommitId);

/// The ancestors of some heads, the heads among them, walked only as far down as was asked for.
pub struct Ancestry {
    store: Store,
    heap: BinaryHeap<Stamped>,
    seen: HashSet<CommitId>,
}

impl Ancestry {
    /// Starts at `heads`.
    pub fn new(store: Store, heads: impl IntoIterator<Item = CommitId>) -> Result<Ancestry, SourceError> {
        let mut ancestry = Ancestry { store, heap: BinaryHeap::new(), seen: HashSet::new() };
        for head in heads {
            ancestry.add(head)?;
        }
        Ok(ancestry)
    }

    fn add(&mut self, id: CommitId) -> Result<(), SourceError> {
        if self.seen.insert(id) {
            let commit = self.store.find_commit(id)?;
            self.heap.push((commit.lamport, id));
        }
        Ok(())
    }

    /// Tells whether `id` is a head or an ancestor of one. A commit that is merely stored is not: what no
    /// head reaches is nobody's business.
    pub fn contains(&mut self, id: CommitId) -> Result<bool, SourceError> {
        if self.seen.contains(&id) {
            return Ok(true);
        }
        let Some(commit) = try_commit(&self.store, id)? else { return Ok(false) };
        while let Some((lamport, next)) = self.heap.peek().copied() {
            if lamport <= commit.lamport {
                break;
            }
            self.heap.pop();
            for parent in self.store.find_commit(next)?.parents {
                self.add(parent)?;
            }
        }
        Ok(self.seen.contains(&id))
    }
}

/// All objects that some heads lead to: their ancestors, and the trees and blobs of each. Walked only as far as
/// was asked for.
pub struct Reach {
    store: Store,
    seen: HashSet<ObjectId>,
    todo: Vec<(Kind, ObjectId)>,
}

impl Reach {
    /// Starts at `heads`.
    pub fn new(store: Store, heads: &[CommitId]) -> Reach {
        let todo = heads.iter().map(|id| (Kind::Commit, id.object())).collect();
        Reach { store, seen: heads.iter().map(|id| id.object()).collect(), todo }
    }

    /// Tells whether a head leads to `id`. What is damaged here leads nowhere.
    pub fn contains(&mut self, id: ObjectId) -> bool {
        while !self.seen.contains(&id) {
            let Some((kind, next)) = self.todo.pop() else { return false };
            let Ok(links) = links_of(&self.store, kind, next) else { continue };
            for (kind, link) in links {
                if self.seen.insert(link) && kind != Kind::Blob {
                    self.todo.push((kind, link));
                }
            }
        }
        true
    }
}

/// Returns what a stored object names.
fn links_of(store: &Store, kind: Kind, id: ObjectId) -> Result<Vec<(Kind, ObjectId)>, SourceError> {
    Ok(match kind {
        Kind::Commit => store.find_commit(CommitId::new(id))?.links().collect(),
        Kind::Tree => store.find_tree(TreeId::new(id))?.links().collect(),
        Kind::Blob => Vec::new(),
    })
}

/// Returns the commit if it is stored. What is stored under the id and is no commit counts as not stored.
pub fn try_commit(source: &dyn Source, id: CommitId) -> Result<Option<Commit>, SourceError> {
    match source.try_info(id.object())? {
        Some((crate::object::Kind::Commit, _)) => source.find_commit(id).map(Some),
        _ => Ok(None),
    }
}

/// Lists the ancestors of `heads`, heads among them, that are not ancestors of `common` or in it: by rising
/// (stamp, id), so that parents come before their children.
pub fn missing(store: &Store, heads: &[CommitId], common: &[CommitId]) -> Result<Vec<CommitId>, SourceError> {
    let mut heap: BinaryHeap<Stamped> = BinaryHeap::new();
    let mut is_common: HashMap<CommitId, bool> = HashMap::new();
    let mut open = 0_usize;
    let mut out = Vec::new();
    let starts = common.iter().map(|id| (*id, true)).chain(heads.iter().map(|id| (*id, false)));
    for (id, common) in starts {
        let entry = is_common.entry(id);
        if let std::collections::hash_map::Entry::Vacant(vacant) = entry {
            vacant.insert(common);
            heap.push((store.find_commit(id)?.lamport, id));
            open += usize::from(!common);
        }
    }
    while open > 0 {
        let Some((_, id)) = heap.pop() else { break };
        let common = is_common[&id];
        if !common {
            open -= 1;
            out.push(id);
        }
        for parent in store.find_commit(id)?.parents {
            match is_common.get_mut(&parent) {
                None => {
                    is_common.insert(parent, common);
                    heap.push((store.find_commit(parent)?.lamport, parent));
                    open += usize::from(!common);
                }
                Some(known) if common && !*known => {
                    *known = true;
                    open -= 1;
                }
                Some(_) => {}
            }
        }
    }
    out.reverse();
    Ok(out)
}

/// Finds which of our commits the other side knows, by asking.
pub struct Walk {
    store: Store,
    heads: Vec<CommitId>,
    answers: HashMap<CommitId, bool>,
    /// Commits below one that the other side does not know, and about which nothing is known yet.
    open: BTreeSet<Stamped>,
    asked: Vec<CommitId>,
    batch: usize,
    /// The greatest stamp the other side can know, once it has told its heads.
    highest: Option<Lamport>,
    /// What we know that the other side must know.
    shared: Option<Ancestry>,
}

impl Walk {
    /// Starts at our heads.
    pub fn new(store: Store, heads: &[CommitId]) -> Result<Walk, SourceError> {
        let mut walk = Walk {
            store,
            heads: heads.to_vec(),
            answers: HashMap::new(),
            open: BTreeSet::new(),
            asked: Vec::new(),
            batch: FIRST_BATCH.max(heads.len()),
            highest: None,
            shared: None,
        };
        walk.reopen()?;
        Ok(walk)
    }

    /// Tells whether every path down from our heads has met a commit that the other side knows.
    pub fn is_done(&self) -> bool {
        self.open.is_empty() && self.asked.is_empty()
    }

    /// Returns the next commits to ask about, newest first: all that are open, then some of those below, at
    /// most `limit`. May be empty, and is when the walk is done.
    pub fn next_batch(&mut self, limit: usize) -> Result<Vec<CommitId>, SourceError> {
        let size = self.batch.min(limit);
        let mut heap: BinaryHeap<Stamped> = self.open.iter().copied().collect();
        let mut queued: HashSet<CommitId> = heap.iter().map(|(_, id)| *id).collect();
        let mut batch = Vec::new();
        while batch.len() < size {
            let Some((_, id)) = heap.pop() else { break };
            batch.push(id);
            for parent in self.store.find_commit(id)?.parents {
                if !self.answers.contains_key(&parent) && queued.insert(parent) {
                    heap.push((self.store.find_commit(parent)?.lamport, parent));
                }
            }
        }
        self.batch = (self.batch * 4).min(limit);
        self.asked.clone_from(&batch);
        Ok(batch)
    }

    /// Takes the answers to the last batch; `false` if their number is wrong.
    pub fn answer(&mut self, bits: &[bool]) -> Result<bool, SourceError> {
        let asked = std::mem::take(&mut self.asked);
        if asked.len() != bits.len() {
            return Ok(false);
        }
        self.answers.extend(asked.into_iter().zip(bits.iter().copied()));
        self.reopen()?;
        Ok(true)
    }

    /// Takes the other side's heads: what we know of their ancestors they know, and nothing they know has
    /// a greater stamp than the greatest of them.
    pub fn learn(&mut self, theirs: &[(CommitId, Lamport)]) -> Result<(), SourceError> {
        let mut ours = Ancestry::new(self.store.clone(), self.heads.iter().copied())?;
        let mut known = Vec::new();
        for (id, _) in theirs {
            if ours.contains(*id)? {
                known.push(*id);
            }
        }
        self.highest = theirs.iter().map(|(_, lamport)| *lamport).max().or(Some(Lamport(0)));
        self.shared = Some(Ancestry::new(self.store.clone(), known)?);
        self.reopen()
    }

    /// Tells what is known without asking.
    fn guess(&mut self, id: CommitId, lamport: Lamport) -> Result<Option<bool>, SourceError> {
        if self.highest.is_some_and(|highest| lamport > highest) {
            return Ok(Some(false));
        }
        let is_shared = match &mut self.shared {
            Some(shared) => shared.contains(id)?,
            None => false,
        };
        Ok(is_shared.then_some(true))
    }

    fn reopen(&mut self) -> Result<(), SourceError> {
        self.open.clear();
        let mut stack = self.heads.clone();
        let mut seen: HashSet<CommitId> = stack.iter().copied().collect();
        while let Some(id) = stack.pop() {
            let (lamport, parents) = match self.answers.get(&id) {
                Some(true) => continue,
                _ => {
                    let commit = self.store.find_commit(id)?;
                    (commit.lamport, commit.parents)
                }
            };
            let answer = match self.answers.get(&id).copied() {
                Some(answer) => Some(answer),
                None => self.guess(id, lamport)?,
            };
            match answer {
                None => {
                    self.open.insert((lamport, id));
                }
                Some(known) => {
                    self.answers.insert(id, known);
                    if !known {
                        stack.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the commits that were found to be common, newest first, at most `limit`: all we know that
    /// the other side knows as well is among their ancestors, if the walk is done.
    pub fn common(&self, limit: usize) -> Result<Vec<CommitId>, SourceError> {
        let mut common: BTreeSet<Stamped> = BTreeSet::new();
        let mut stack = self.heads.clone();
        let mut seen: HashSet<CommitId> = stack.iter().copied().collect();
        while let Some(id) = stack.pop() {
            let commit = self.store.find_commit(id)?;
            match self.answers.get(&id) {
                Some(true) => {
                    common.insert((commit.lamport, id));
                }
                Some(false) => stack.extend(commit.parents.into_iter().filter(|parent| seen.insert(*parent))),
                None => {}
            }
        }
        Ok(common.into_iter().rev().map(|(_, id)| id).take(limit).collect())
    }
}
