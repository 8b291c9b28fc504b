//! Sending: commits and what they need, as a stream of frames that is made while it is sent.
//!
//! - Commits go oldest first; before each go the trees and blobs it has and none of its parents has at
//!   the same path. So what arrived before a cut is whole commits and the beginning of one.
//! - An object is compressed against the version before it (the same path in a parent's tree, or the
//!   parent itself), which the receiver has by then.
//! - What is stored in just that form is sent as it is stored, once it was decoded and hashed here: damage of this
//!   side is told on this side.
//! - An object above 512 KiB is sent as copies from that version and literals in between. The store's own
//!   chunks decide what is equal, so that an append sends its tail.
//! - A blob with a tombstone is left out, whether or not its bytes are here, and is no base.
//! - Memory is bounded by one commit's list of new objects and by some large objects' lists of chunks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::blocks::{LargeSending, RecentBlocks};
use super::frame::Frame;
use crate::object::{CommitId, Kind, ObjectId, Source, SourceError, Tree, TreeEntry, TreeId};
use crate::store::{self, RECORD_MAX, Store, frame};

/// New blobs without a version before them: from so many bytes on it is looked up whether the receiver
/// has them under another name.
const MOVED_BYTES_MIN: u64 = 256 << 10;
/// So many decoded trees are kept.
const TREES_KEPT: usize = 4096;

/// Why an object could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A commit or tree cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An object cannot be read.
    #[error("cannot read an object that is to be sent")]
    Store(#[from] store::Error),
}

/// What to send.
#[derive(Debug, Default)]
pub struct Parcel {
    /// The commits, parents before children.
    pub commits: Vec<CommitId>,
    /// Commits the receiver has, with all they need.
    pub common: Vec<CommitId>,
    /// Objects the receiver has besides.
    pub skip: HashSet<ObjectId>,
    /// Blobs the receiver does not want and has not as bases: they were purged there.
    pub lacks: HashSet<ObjectId>,
    /// A large object of which the receiver has so many bytes.
    pub partial: Option<(ObjectId, u64)>,
    /// Objects of at most 512 KiB rest on nothing outside of the pack: whoever has it alone can check them.
    pub stands_alone: bool,
}

struct Item {
    kind: Kind,
    id: ObjectId,
    base: Option<ObjectId>,
}

/// A stream of frames from `pack` to `pack-end`.
pub struct Sending {
    store: Store,
    commits: VecDeque<CommitId>,
    commits_total: u32,
    common: Vec<CommitId>,
    items: VecDeque<Item>,
    /// What the receiver has: sent, or kept from before.
    there: HashSet<ObjectId>,
    /// Blobs that are never sent: purged over there, or known to be purged here.
    lacks: HashSet<ObjectId>,
    stands_alone: bool,
    /// Trees whose entries were looked through. One that is merely kept over there may lack some of its own.
    walked: HashSet<TreeId>,
    moved_bytes: u64,
    below: Option<HashSet<ObjectId>>,
    trees: HashMap<TreeId, Arc<Tree>>,
    partial: Option<(ObjectId, u64)>,
    large: Option<LargeSending>,
    recent: RecentBlocks,
    state: State,
    /// Objects sent so far.
    pub objects: u64,
    /// Their plain bytes.
    pub bytes: u64,
}

#[derive(PartialEq, Eq)]
enum State {
    Begin,
    Middle,
    End,
}

impl Sending {
    /// Starts a stream.
    pub fn new(store: Store, parcel: Parcel) -> Sending {
        let mut lacks = parcel.lacks;
        lacks.extend(store.tombstones().keys());
        Sending {
            store,
            lacks,
            commits_total: u32::try_from(parcel.commits.len()).unwrap_or(u32::MAX),
            commits: parcel.commits.into(),
            common: parcel.common,
            items: VecDeque::new(),
            there: parcel.skip,
            stands_alone: parcel.stands_alone,
            walked: HashSet::new(),
            moved_bytes: 0,
            below: None,
            trees: HashMap::new(),
            partial: parcel.partial,
            large: None,
            recent: RecentBlocks::default(),
            state: State::Begin,
            objects: 0,
            bytes: 0,
        }
    }

    /// Starts a stream of single objects, each whole and by itself. Those that have a tombstone are left out.
    pub fn of_objects(store: Store, objects: Vec<(ObjectId, Kind)>) -> Sending {
        let mut sending = Sending::new(store, Parcel::default());
        let wanted = objects.into_iter().filter(|(id, _)| !sending.lacks.contains(id));
        sending.items = wanted.map(|(id, kind)| Item { kind, id, base: None }).collect();
        sending
    }

    /// Returns how many commits the stream holds.
    pub fn commits(&self) -> u32 {
        self.commits_total
    }

    /// Returns the next frame, or `None` after `pack-end`.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, SendError> {
        match self.state {
            State::Begin => {
                self.state = State::Middle;
                return Ok(Some(Frame::Pack { commits: self.commits_total }));
            }
            State::End => return Ok(None),
            State::Middle => {}
        }
        loop {
            if let Some(large) = &mut self.large {
                if let Some(frame) = large.next_frame()? {
                    return Ok(Some(frame));
                }
                self.large = None;
            }
            if let Some(item) = self.items.pop_front() {
                if self.there.insert(item.id) {
                    return self.object_frame(item).map(Some);
                }
            } else if let Some(commit) = self.commits.pop_front() {
                self.collect(commit)?;
            } else {
                self.state = State::End;
                return Ok(Some(Frame::PackEnd { objects: self.objects }));
            }
        }
    }

    fn tree(&mut self, id: TreeId) -> Result<Arc<Tree>, SourceError> {
        if let Some(tree) = self.trees.get(&id) {
            return Ok(tree.clone());
        }
        if self.trees.len() >= TREES_KEPT {
            self.trees.clear();
        }
        let tree = Arc::new(self.store.find_tree(id)?);
        self.trees.insert(id, tree.clone());
        Ok(tree)
    }

    /// Lists what a commit has and its parents have not at the same path, then the commit itself.
    fn collect(&mut self, id: CommitId) -> Result<(), SendError> {
        let commit = self.store.find_commit(id)?;
        let mut parent_trees = Vec::new();
        for parent in &commit.parents {
            parent_trees.push(self.store.find_commit(*parent)?.tree);
        }
        let mut stack = vec![(commit.tree, parent_trees)];
        while let Some((id, before)) = stack.pop() {
            if id == TreeId::empty() || before.contains(&id) || !self.walked.insert(id) {
                continue;
            }
            let tree = self.tree(id)?;
            let old: Vec<Arc<Tree>> = before.iter().map(|id| self.tree(*id)).collect::<Result<_, _>>()?;
            let base = before.first().map(|id| id.object()).filter(|id| *id != TreeId::empty().object());
            self.items.push_back(Item { kind: Kind::Tree, id: id.object(), base });
            let mut cursors = vec![0; old.len()];
            for entry in tree.entries() {
                let same_name: Vec<&TreeEntry> = old
                    .iter()
                    .zip(&mut cursors)
                    .filter_map(|(tree, cursor)| seek(tree.entries(), cursor, entry))
                    .collect();
                if same_name.iter().any(|other| other.id == entry.id) {
                    continue;
                }
                if entry.mode.is_tree() {
                    let before = same_name.iter().map(|other| TreeId::new(other.id)).collect();
                    stack.push((TreeId::new(entry.id), before));
                } else {
                    self.want_blob(entry.id, same_name.first().map(|other| other.id))?;
                }
            }
        }
        let base = commit.parents.first().map(|parent| parent.object());
        self.items.push_back(Item { kind: Kind::Commit, id: id.object(), base });
        Ok(())
    }

    fn want_blob(&mut self, id: ObjectId, base: Option<ObjectId>) -> Result<(), SendError> {
        if self.there.contains(&id) || self.lacks.contains(&id) {
            return Ok(());
        }
        let base = base.filter(|base| !self.lacks.contains(base));
        if base.is_none() && !self.common.is_empty() {
            let size = self.store.try_info(id)?.map_or(0, |(_, size)| size);
            self.moved_bytes = self.moved_bytes.saturating_add(size);
            if self.moved_bytes >= MOVED_BYTES_MIN && self.is_below(id)? {
                return Ok(());
            }
        }
        self.items.push_back(Item { kind: Kind::Blob, id, base });
        Ok(())
    }

    /// Tells whether a common commit's tree holds the blob anywhere: it was moved, not made.
    fn is_below(&mut self, id: ObjectId) -> Result<bool, SendError> {
        if self.below.is_none() {
            let mut blobs = HashSet::new();
            let mut trees = HashSet::new();
            let mut stack = Vec::new();
            for commit in &self.common {
                stack.push(self.store.find_commit(*commit)?.tree);
            }
            while let Some(id) = stack.pop() {
                if !trees.insert(id) {
                    continue;
                }
                for entry in self.store.find_tree(id)?.entries() {
                    if entry.mode.is_tree() {
                        stack.push(TreeId::new(entry.id));
                    } else {
                        blobs.insert(entry.id);
                    }
                }
            }
            self.below = Some(blobs);
        }
        Ok(self.below.as_ref().is_some_and(|blobs| blobs.contains(&id)))
    }

    fn object_frame(&mut self, item: Item) -> Result<Frame, SendError> {
        let Item { kind, id, base } = item;
        let (_, size) = self.store.try_info(id)?.ok_or(SourceError::Missing { kind, id })?;
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(size);
        if size > RECORD_MAX as u64 {
            return self.large_frame(kind, id, size, base);
        }
        let base = base.filter(|base| !self.stands_alone || self.there.contains(base));
        // Most were stored against the same version: that frame was made once, and is sent again.
        if let Some(stored) = self.store.stored_frame(id, kind, &|on| on == base) {
            return Ok(Frame::Object { kind, id, size: size as u32, base, squeezed: stored.frame });
        }
        let bytes = self.read(kind, id)?;
        if let Some(base) = base
            && let Some(old) = self.small_base(kind, base)?
        {
            let squeezed = frame::encode_delta(&old, &bytes);
            return Ok(Frame::Object { kind, id, size: size as u32, base: Some(base), squeezed });
        }
        Ok(Frame::Object { kind, id, size: size as u32, base: None, squeezed: frame::encode_whole(&bytes) })
    }

    fn small_base(&self, kind: Kind, id: ObjectId) -> Result<Option<Arc<[u8]>>, SendError> {
        match self.store.try_info(id)? {
            Some((found, size)) if found == kind && size <= RECORD_MAX as u64 => {
                Ok(Some(self.read(kind, id)?))
            }
            _ => Ok(None),
        }
    }

    fn read(&self, kind: Kind, id: ObjectId) -> Result<Arc<[u8]>, SendError> {
        match self.store.try_find(id)? {
            Some(object) if object.kind == kind => Ok(object.data),
            // That it is missing or of another kind is told as everywhere.
            _ => Ok(self.store.find(id, kind)?.data),
        }
    }

    /// Starts a large object: copies from its base and literals follow.
    fn large_frame(
        &mut self,
        kind: Kind,
        id: ObjectId,
        size: u64,
        base: Option<ObjectId>,
    ) -> Result<Frame, SendError> {
        let base = match base {
            Some(base) if self.store.try_info(base)?.is_some_and(|(other, _)| other == kind) => Some(base),
            _ => None,
        };
        let from = self.partial.filter(|(partial, from)| *partial == id && *from < size).map_or(0, |p| p.1);
        self.large = Some(LargeSending::new(&self.store, id, from, base, &mut self.recent)?);
        Ok(Frame::Large { kind, id, size, base, from })
    }
}

/// Finds the entry of the same name and kind in sorted entries by stepping a cursor along.
fn seek<'t>(entries: &'t [TreeEntry], cursor: &mut usize, wanted: &TreeEntry) -> Option<&'t TreeEntry> {
    // Both lists are in git's order, so the cursor only moves forward.
    while let Some(entry) = entries.get(*cursor) {
        match entry.cmp_in_tree(wanted) {
            std::cmp::Ordering::Less => *cursor += 1,
            std::cmp::Ordering::Equal => return Some(entry),
            std::cmp::Ordering::Greater => return None,
        }
    }
    None
}
