//! Which objects are versions of one thing: what stood at one path, newest first.
//!
//! - Commits are taken from the newest on, and of each tree only what differs from the next newer at its path.
//! - A file that was renamed goes on where its content was seen last, so that its older versions are found.
//! - Commits stand alone and in the order in which they were made: walks read them ahead in blocks.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::object::{Commit, CommitId, ObjectId, Source, SourceError, Tree, TreeEntry, TreeId};
use crate::store::{self, Lineage, Store};
use crate::vault::reconcile::choices;
use crate::vault::{Result, Vault};

struct Folder {
    lineage: usize,
    newer: Rc<Tree>,
}

struct Plan<'s> {
    store: &'s Store,
    lineages: Vec<Lineage>,
    folders: HashMap<Vec<u8>, Folder>,
    files: HashMap<Vec<u8>, usize>,
    trees: HashSet<TreeId>,
    /// In which lineage a blob is.
    blobs: HashMap<ObjectId, usize>,
    absent: BTreeSet<ObjectId>,
}

/// A commit on the heap of those that come next; its place there is decided by what stands before it.
struct ByIdentity(Arc<Commit>);

impl PartialEq for ByIdentity {
    fn eq(&self, _: &ByIdentity) -> bool {
        true
    }
}

impl Eq for ByIdentity {}

impl PartialOrd for ByIdentity {
    fn partial_cmp(&self, other: &ByIdentity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByIdentity {
    fn cmp(&self, _: &ByIdentity) -> Ordering {
        Ordering::Equal
    }
}

/// Everything that some commits and the choices for pending conflicts lead to.
pub(super) struct Lineages {
    pub all: Vec<Lineage>,
    /// Commits and trees that are missing: what they lead to is not known.
    pub absent: BTreeSet<ObjectId>,
}

/// Returns everything that the given commits and the choices for pending conflicts lead to.
pub(super) fn lineages(vault: &Vault, heads: impl Iterator<Item = CommitId>) -> Result<Lineages> {
    let mut plan = Plan {
        store: &vault.store,
        lineages: Vec::new(),
        folders: HashMap::new(),
        files: HashMap::new(),
        trees: HashSet::new(),
        blobs: HashMap::new(),
        absent: BTreeSet::new(),
    };
    let commits = plan.commits(heads)?;
    let mut lineages: Vec<Lineage> = commits.into_iter().rev().map(|commit| vec![commit]).collect();
    lineages.extend(plan.lineages.into_iter().filter(|lineage| !lineage.is_empty()));
    for chosen in choices(vault)?.values().flatten() {
        if vault.store.contains(chosen.id)? && !plan.blobs.contains_key(&chosen.id) {
            lineages.push(vec![chosen.id]);
        }
    }
    Ok(Lineages { all: lineages, absent: plan.absent })
}

impl Plan<'_> {
    /// Walks from `heads` down, the newest first, and takes in each commit's tree. Returns the commits in that order.
    fn commits(&mut self, heads: impl Iterator<Item = CommitId>) -> Result<Vec<ObjectId>> {
        let (mut open, mut seen) = (BinaryHeap::new(), HashSet::new());
        let mut next: Vec<CommitId> = heads.collect();
        let mut commits = Vec::new();
        loop {
            for id in next.drain(..).filter(|id| seen.insert(*id)).collect::<Vec<_>>() {
                match self.store.commit(id) {
                    Ok(commit) => open.push((commit.lamport, id, ByIdentity(commit))),
                    Err(error) => self.note_absent(id.object(), error)?,
                }
            }
            let Some((_, id, ByIdentity(commit))) = open.pop() else { return Ok(commits) };
            commits.push(id.object());
            self.tree(commit.tree)?;
            next.extend(&commit.parents);
        }
    }

    /// Takes note of what is missing; any other error is one.
    fn note_absent(&mut self, id: ObjectId, error: SourceError) -> Result<()> {
        let is_absence = match &error {
            SourceError::Missing { .. } => true,
            SourceError::Read { source, .. } => {
                source.downcast_ref::<store::Error>().is_some_and(store::Error::is_absence)
            }
            _ => false,
        };
        if !is_absence {
            return Err(error.into());
        }
        self.absent.insert(id);
        Ok(())
    }

    fn open(&mut self) -> usize {
        self.lineages.push(Vec::new());
        self.lineages.len() - 1
    }

    fn tree(&mut self, root: TreeId) -> Result<()> {
        let mut open = vec![(root, Vec::new())];
        while let Some((id, path)) = open.pop() {
            if !self.trees.insert(id) {
                continue;
            }
            let tree = match self.store.find_tree(id) {
                Ok(tree) => Rc::new(tree),
                Err(error) => {
                    self.note_absent(id.object(), error)?;
                    continue;
                }
            };
            let newer = self.folders.get(&path).map(|folder| (folder.lineage, folder.newer.clone()));
            let lineage = newer.as_ref().map_or_else(|| self.open(), |(lineage, _)| *lineage);
            // A vault's root has the empty tree, which is one whether or not it is stored: a clone has no record of it.
            if id != TreeId::empty() || self.store.contains(id.object())? {
                self.lineages[lineage].push(id.object());
            }
            let known = newer.as_ref().map_or(&[][..], |(_, newer)| newer.entries());
            for entry in differing(known, tree.entries()) {
                let mut place = path.clone();
                place.extend_from_slice(&entry.name);
                if entry.mode.is_tree() {
                    place.push(b'/');
                    open.push((TreeId::new(entry.id), place));
                } else {
                    self.file(place, entry.id)?;
                }
            }
            self.folders.insert(path, Folder { lineage, newer: tree });
        }
        Ok(())
    }

    fn file(&mut self, path: Vec<u8>, id: ObjectId) -> Result<()> {
        let known = self.blobs.get(&id).copied();
        let lineage = match (self.files.get(&path), known) {
            (Some(lineage), _) => *lineage,
            (None, Some(lineage)) => lineage,
            (None, None) => self.open(),
        };
        self.files.insert(path, lineage);
        // What was purged is in trees, and its bytes are not here.
        if known.is_none() && (self.store.tombstone(id).is_none() || self.store.contains(id)?) {
            self.blobs.insert(id, lineage);
            self.lineages[lineage].push(id);
        }
        Ok(())
    }
}

/// Returns the entries of `older` that are not the same in `newer`.
fn differing<'a>(newer: &'a [TreeEntry], older: &'a [TreeEntry]) -> impl Iterator<Item = &'a TreeEntry> {
    let mut newer = newer.iter().peekable();
    older.iter().filter(move |entry| {
        while newer.next_if(|other| other.cmp_in_tree(entry).is_lt()).is_some() {}
        newer.peek() != Some(entry)
    })
}
