//! Ancestry by stamps: who descends from whom, best common ancestors, frontiers, ahead and behind.
//!
//! A commit's stamp exceeds those of all its ancestors. So a walk that always takes the commit with the
//! greatest stamp next visits every commit after all its descendants in the walk, and what it knows of a
//! commit is final when the commit is taken. Commit times are never looked at.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::rc::Rc;

use super::{MergeError, Result};
use crate::object::{Commit, CommitId, Lamport, Source};

/// How one set of heads stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both know the same authored commits.
    Equal,
    /// The first knows all that the second knows, and more.
    Ahead,
    /// The second knows all that the first knows, and more.
    Behind,
    /// Each knows something that the other does not.
    Diverged,
}

/// Authored commits that one side knows and the other does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AheadBehind {
    /// Known to the first only.
    pub ahead: usize,
    /// Known to the second only.
    pub behind: usize,
}

impl AheadBehind {
    /// Returns how the first side stands to the second.
    pub fn relation(self) -> Relation {
        match (self.ahead, self.behind) {
            (0, 0) => Relation::Equal,
            (_, 0) => Relation::Ahead,
            (0, _) => Relation::Behind,
            _ => Relation::Diverged,
        }
    }
}

/// A reader of history that keeps the commits it has read.
pub struct History<'s> {
    source: &'s dyn Source,
    known: RefCell<HashMap<CommitId, Rc<Commit>>>,
}

/// What a walk takes next: greatest stamp first, then greatest id, so that the order is total.
type Step = (Lamport, CommitId);

/// A walk down from some heads; each commit carries flags that it hands to its parents.
struct Walk<'h, 's> {
    history: &'h History<'s>,
    queue: BinaryHeap<Step>,
    flags: HashMap<CommitId, u8>,
    /// Counts queued commits by flags, so that a walk knows when nothing of interest is left.
    queued: BTreeMap<u8, usize>,
}

impl Walk<'_, '_> {
    fn push(&mut self, id: CommitId, add: u8) -> Result<()> {
        if let Some(flags) = self.flags.get_mut(&id) {
            let (old, new) = (*flags, *flags | add);
            if old != new {
                *flags = new;
                *self.queued.entry(old).or_default() -= 1;
                *self.queued.entry(new).or_default() += 1;
            }
            return Ok(());
        }
        let lamport = self.history.commit(id)?.lamport;
        self.flags.insert(id, add);
        *self.queued.entry(add).or_default() += 1;
        self.queue.push((lamport, id));
        Ok(())
    }

    fn pop(&mut self) -> Option<(CommitId, u8)> {
        let (_, id) = self.queue.pop()?;
        let flags = self.flags.get(&id).copied().unwrap_or_default();
        *self.queued.entry(flags).or_default() -= 1;
        Some((id, flags))
    }

    fn push_parents(&mut self, id: CommitId, flags: u8) -> Result<()> {
        let commit = self.history.commit(id)?;
        for parent in &commit.parents {
            if self.history.commit(*parent)?.lamport >= commit.lamport {
                return Err(MergeError::BadStamp(id));
            }
            self.push(*parent, flags)?;
        }
        Ok(())
    }

    /// Tells whether a commit is queued whose flags `wanted` takes.
    fn any(&self, wanted: impl Fn(u8) -> bool) -> bool {
        self.queued.iter().any(|(flags, count)| *count > 0 && wanted(*flags))
    }
}

const ONE: u8 = 1;
const OTHER: u8 = 2;
const STALE: u8 = 4;

impl<'s> History<'s> {
    /// Makes a reader over `source`.
    pub fn new(source: &'s dyn Source) -> History<'s> {
        History { source, known: RefCell::default() }
    }

    /// Returns where the objects come from.
    pub fn source(&self) -> &'s dyn Source {
        self.source
    }

    /// Returns a commit.
    pub fn commit(&self, id: CommitId) -> Result<Rc<Commit>> {
        if let Some(commit) = self.known.borrow().get(&id) {
            return Ok(commit.clone());
        }
        let commit = Rc::new(self.source.find_commit(id)?);
        self.known.borrow_mut().insert(id, commit.clone());
        Ok(commit)
    }

    fn walk(&self) -> Walk<'_, 's> {
        Walk { history: self, queue: BinaryHeap::new(), flags: HashMap::new(), queued: BTreeMap::new() }
    }

    /// Sorts by (stamp, id) and drops doubles: the order of parents and folds.
    pub fn sorted(&self, ids: impl IntoIterator<Item = CommitId>) -> Result<Vec<CommitId>> {
        let mut steps = BTreeSet::new();
        for id in ids {
            steps.insert((self.commit(id)?.lamport, id));
        }
        Ok(steps.into_iter().map(|(_, id)| id).collect())
    }

    /// Tells whether `ancestor` is `of` or one of its ancestors.
    pub fn is_ancestor(&self, ancestor: CommitId, of: CommitId) -> Result<bool> {
        self.is_known(ancestor, &[of])
    }

    /// Tells whether `commit` is one of `heads` or an ancestor of one.
    pub fn is_known(&self, commit: CommitId, heads: &[CommitId]) -> Result<bool> {
        if heads.contains(&commit) {
            return Ok(true);
        }
        let floor = self.commit(commit)?.lamport;
        let mut walk = self.walk();
        for head in heads {
            walk.push(*head, ONE)?;
        }
        while let Some((id, flags)) = walk.pop() {
            if id == commit {
                return Ok(true);
            }
            // A commit whose stamp is not greater cannot have it as an ancestor.
            if self.commit(id)?.lamport > floor {
                walk.push_parents(id, flags)?;
            }
        }
        Ok(false)
    }

    /// Returns those of `ids` that are no ancestor of another, sorted by (stamp, id).
    pub fn maximal(&self, ids: impl IntoIterator<Item = CommitId>) -> Result<Vec<CommitId>> {
        let members: BTreeSet<CommitId> = ids.into_iter().collect();
        let mut walk = self.walk();
        for id in &members {
            walk.push(*id, ONE)?;
        }
        let mut left = members.len();
        let mut kept = Vec::new();
        while left > 0
            && let Some((id, flags)) = walk.pop()
        {
            if members.contains(&id) {
                left -= 1;
                if flags & STALE == 0 {
                    kept.push(id);
                }
            }
            walk.push_parents(id, STALE)?;
        }
        self.sorted(kept)
    }

    /// Returns the frontier of `heads`: each derived commit replaced by its parents, then ancestors of
    /// others dropped; sorted by (stamp, id).
    pub fn frontier(&self, heads: impl IntoIterator<Item = CommitId>) -> Result<Vec<CommitId>> {
        let mut todo: Vec<CommitId> = heads.into_iter().collect();
        let mut authored = BTreeSet::new();
        let mut seen = BTreeSet::new();
        while let Some(id) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            let commit = self.commit(id)?;
            if commit.is_derived() {
                todo.extend(&commit.parents);
            } else {
                authored.insert(id);
            }
        }
        self.maximal(authored)
    }

    /// Returns the best common ancestors of `other` and a commit whose parents would be `ones`: those
    /// common ancestors that are no ancestor of another one. Sorted by (stamp, id).
    pub fn merge_bases(&self, ones: &[CommitId], other: CommitId) -> Result<Vec<CommitId>> {
        let mut walk = self.walk();
        for one in ones {
            walk.push(*one, ONE)?;
        }
        walk.push(other, OTHER)?;
        let mut bases = Vec::new();
        // A base needs a way down from either side that passes no base; without one nothing can follow.
        while walk.any(|flags| flags & (ONE | STALE) == ONE)
            && walk.any(|flags| flags & (OTHER | STALE) == OTHER)
            && let Some((id, flags)) = walk.pop()
        {
            if flags & (ONE | OTHER | STALE) == ONE | OTHER {
                bases.push(id);
                walk.push_parents(id, flags | STALE)?;
            } else {
                walk.push_parents(id, flags)?;
            }
        }
        self.sorted(bases)
    }

    /// Returns the commits that `these` know and `those` do not, no commit before one of its descendants.
    pub fn only_in(&self, these: &[CommitId], those: &[CommitId]) -> Result<Vec<CommitId>> {
        let mut only = Vec::new();
        self.compare(these, those, |id, flags| {
            if flags == ONE {
                only.push(id);
            }
        })?;
        Ok(only)
    }

    /// Counts authored commits that only one of two sets of heads knows. Derived heads count as what
    /// they were made from.
    pub fn ahead_behind(&self, these: &[CommitId], those: &[CommitId]) -> Result<AheadBehind> {
        let mut count = AheadBehind::default();
        let mut authored = Vec::new();
        self.compare(these, those, |id, flags| authored.push((id, flags)))?;
        for (id, flags) in authored {
            if !self.commit(id)?.is_derived() {
                count.ahead += usize::from(flags == ONE);
                count.behind += usize::from(flags == OTHER);
            }
        }
        Ok(count)
    }

    fn compare(
        &self,
        these: &[CommitId],
        those: &[CommitId],
        mut visit: impl FnMut(CommitId, u8),
    ) -> Result<()> {
        let mut walk = self.walk();
        for id in these {
            walk.push(*id, ONE)?;
        }
        for id in those {
            walk.push(*id, OTHER)?;
        }
        while walk.any(|flags| flags != ONE | OTHER)
            && let Some((id, flags)) = walk.pop()
        {
            visit(id, flags);
            walk.push_parents(id, flags)?;
        }
        Ok(())
    }
}
