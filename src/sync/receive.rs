//! Receiving: every object is checked as it comes, every commit for all it must connect to.
//!
//! An object is taken if it decodes within its bounds, hashes to its id and parses strictly. A commit is
//! taken if
//!
//! - its parents are in the vault or came before it, and its stamp fits theirs;
//! - a root names this vault; a derived commit has the one form that reconcile writes;
//! - its tree and all below are in the vault or came before it, each of the kind its entry says;
//! - nothing came since the last commit that this one does not need.
//!
//! So what has arrived is at any moment a row of complete commits and the beginning of the next. The
//! vault's own store holds only what is complete: where a walk meets it, it ends.
//!
//! Limits: a session may bring so many objects and plain bytes ([`Limits`]); folders lie at most
//! [`DEPTH_MAX`] deep and a tree has at most [`ENTRIES_MAX`] entries with all below it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::frame::{Frame, Have, IDS_MAX};
use super::incoming::{Incoming, Part};
use super::wire::WireError;
use super::{Branch, Limits, Received};
use crate::fs::{self, Dir, LockError};
use crate::object::{
    Commit, CommitId, DeviceName, Kind, Lamport, ObjectId, Source, SourceError, Tree, TreeEntry, TreeId,
    VaultId, hash_object,
};
use crate::store::{self, OBJECT_IN_MEMORY_MAX, RECORD_MAX, Store, frame};

/// How deep folders may lie: deeper ones make paths that no system takes.
const DEPTH_MAX: usize = 2048;
/// How many entries a tree may have with all below it.
const ENTRIES_MAX: u64 = 50_000_000;
const TREES_KEPT: usize = 4096;

/// Why what came was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The peer sent what does not hold.
    #[error("what the peer sent does not hold: {0}")]
    Content(String),
    /// The peer sent more than is allowed.
    #[error("the peer sent more than {limit} {what}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A frame came that has no place in a pack.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// What is needed for a check cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store failed.
    #[error("cannot keep what was received")]
    Store(#[from] store::Error),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// All folders for this peer are in use.
    #[error("too many sessions with this peer at a time")]
    Lock(#[from] LockError),
}

type Result<T> = std::result::Result<T, ReceiveError>;

fn content<T>(what: impl Into<String>) -> Result<T> {
    Err(ReceiveError::Content(what.into()))
}

/// What a receiver has to know about its own side.
#[derive(Clone, Debug)]
pub struct Ours {
    /// The vault that roots must name; `None` accepts any, once, while a clone is being made.
    pub vault: Option<VaultId>,
    /// This device.
    pub device: DeviceName,
    /// How much may come.
    pub limits: Limits,
}

/// A pack that is arriving.
pub struct Receiving {
    incoming: Incoming,
    ours: Ours,
    /// All that is in `incoming`, by kind.
    there: HashMap<ObjectId, Kind>,
    /// Trees and blobs that are complete with all below them, and how many entries those are.
    complete: HashMap<ObjectId, u64>,
    /// Commits in `incoming` that are complete, with their stamps, in order.
    commits: Vec<CommitId>,
    stamps: HashMap<CommitId, Lamport>,
    /// Commits that came in this session.
    session: HashSet<CommitId>,
    /// Everything that came in this session.
    arrived: HashSet<ObjectId>,
    /// Objects that came since the last commit and are not yet known to be needed.
    fresh: HashSet<ObjectId>,
    trees: HashMap<TreeId, Arc<Tree>>,
    tree_bases: HashMap<TreeId, TreeId>,
    large: Option<Part>,
    /// Objects that came in this session.
    pub objects: u64,
    /// Their plain bytes.
    pub bytes: u64,
}

impl Receiving {
    /// Opens the folder of `peer`, with what an earlier session left in it.
    pub fn open(root: &Dir, peer: &str, main: &Store, ours: Ours) -> Result<Receiving> {
        let mut receiving = Receiving {
            incoming: Incoming::open(root, peer, main)?,
            ours,
            there: HashMap::new(),
            complete: HashMap::new(),
            commits: Vec::new(),
            stamps: HashMap::new(),
            session: HashSet::new(),
            arrived: HashSet::new(),
            fresh: HashSet::new(),
            trees: HashMap::new(),
            tree_bases: HashMap::new(),
            large: None,
            objects: 0,
            bytes: 0,
        };
        receiving.load()?;
        Ok(receiving)
    }

    /// Takes stock of what is there: which commits are complete, and what is there besides.
    fn load(&mut self) -> Result<()> {
        let kept = self.incoming.kept()?;
        self.there = kept.iter().copied().collect();
        let mut commits: BTreeMap<(Lamport, CommitId), Commit> = BTreeMap::new();
        for (id, _) in kept.iter().filter(|(_, kind)| *kind == Kind::Commit) {
            let id = CommitId::new(*id);
            let commit = self.incoming.find_commit(id)?;
            commits.insert((commit.lamport, id), commit);
        }
        for ((_, id), commit) in commits {
            match self.check_commit(id, &commit) {
                Ok(()) => self.commit_is_complete(id, &commit),
                Err(ReceiveError::Content(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns what need not be sent: complete commits, then objects besides, in as many frames as it takes.
    pub fn haves(&self) -> Vec<Have> {
        let objects: Vec<ObjectId> =
            self.there.keys().filter(|id| !self.complete.contains_key(id)).copied().collect();
        let mut commits = self.commits.chunks(IDS_MAX as usize);
        let mut objects = objects.chunks(IDS_MAX as usize);
        let mut haves = Vec::new();
        loop {
            let (commits, objects) = (commits.next(), objects.next());
            if commits.is_none() && objects.is_none() {
                break;
            }
            haves.push(Have {
                more: true,
                commits: commits.unwrap_or_default().to_vec(),
                objects: objects.unwrap_or_default().to_vec(),
                partial: None,
            });
        }
        haves.push(Have { more: false, partial: self.incoming.left, ..Have::default() });
        haves
    }

    /// Says which vault roots must name, once that is known.
    pub fn expect_vault(&mut self, vault: Option<VaultId>) {
        self.ours.vault = self.ours.vault.or(vault);
    }

    /// Takes a frame between `pack` and `pack-end`.
    pub fn take(&mut self, frame: Frame) -> Result<()> {
        match (frame, self.large.take()) {
            (Frame::Object { kind, id, size, base, squeezed }, None) => {
                self.count(size.into())?;
                self.take_object(kind, id, size, base, &squeezed)
            }
            (Frame::Large { kind, id, size, base, from }, None) => {
                self.count(size)?;
                self.begin_large(kind, id, size, base, from)
            }
            (Frame::Literal { size, reference, squeezed }, Some(mut part)) => {
                let reference = match reference {
                    Some((_, size)) if size as usize > RECORD_MAX => {
                        return content("a reference is too large");
                    }
                    Some((offset, size)) => Some(self.incoming.read_base(&part, offset, size as usize)?),
                    None => None,
                };
                let reference = reference.as_deref().map_or(frame::Reference::None, frame::Reference::Prefix);
                if size == 0 {
                    return content(format!("a piece of object {} is empty", part.id));
                }
                let bytes = frame::decode(&squeezed, Some(size.into()), reference);
                part.push(&bytes.or_else(|what| content(format!("a piece of object {}: {what}", part.id)))?)?;
                self.go_on(part)
            }
            (Frame::Copy { offset, size }, Some(mut part)) => {
                if size == 0 || offset.checked_add(size).is_none() || size > part.size - part.written {
                    return content(format!("a copy for object {} has no valid length", part.id));
                }
                let mut done = 0;
                while done < size {
                    let step = Part::step(size - done);
                    let bytes = self.incoming.read_base(&part, offset + done, step)?;
                    part.push(&bytes)?;
                    done += step as u64;
                }
                self.go_on(part)
            }
            (other, large) => {
                let wanted = if large.is_some() { "literal or copy" } else { "object or pack-end" };
                Err(WireError::OutOfOrder { got: other.name(), wanted }.into())
            }
        }
    }

    fn count(&mut self, bytes: u64) -> Result<()> {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let Limits { objects_max, bytes_max } = self.ours.limits;
        if self.objects > objects_max {
            return Err(ReceiveError::Limit { what: "objects", limit: objects_max });
        }
        if self.bytes > bytes_max {
            return Err(ReceiveError::Limit { what: "bytes", limit: bytes_max });
        }
        Ok(())
    }

    fn take_object(
        &mut self,
        kind: Kind,
        id: ObjectId,
        size: u32,
        base: Option<ObjectId>,
        squeezed: &[u8],
    ) -> Result<()> {
        // One message for all that can be wrong with bytes and base, so that nobody learns from it which
        // objects are here.
        let wrong = || ReceiveError::Content(format!("{kind} {id} cannot be made of what came"));
        let old = match base {
            Some(base) => {
                let fits = |(found, size): (Kind, u64)| found == kind && size <= RECORD_MAX as u64;
                let is_there = self.incoming.try_info(base)?.is_some_and(fits);
                Some(if is_there { self.incoming.find(base, kind)?.data } else { return Err(wrong()) })
            }
            None => None,
        };
        let reference = old.as_deref().map_or(frame::Reference::None, frame::Reference::Prefix);
        let bytes = frame::decode(squeezed, Some(size.into()), reference).map_err(|_| wrong())?;
        if hash_object(kind, &bytes) != id {
            return Err(wrong());
        }
        self.check_new(kind, id)?;
        let parsed = if kind == Kind::Commit {
            let id = CommitId::new(id);
            let commit = Commit::decode(&bytes).or_else(|e| content(format!("commit {id}: {e}")))?;
            self.check_commit(id, &commit)?;
            if let Some(extra) = self.fresh.iter().next() {
                return content(format!("object {extra} came and commit {id} does not need it"));
            }
            Some((id, commit))
        } else {
            None
        };
        self.incoming.add(kind, &bytes, base)?;
        self.there.insert(id, kind);
        match parsed {
            Some((id, commit)) => {
                self.commit_is_complete(id, &commit);
                self.session.insert(id);
            }
            None => {
                self.fresh.insert(id);
                if kind == Kind::Tree {
                    self.remember_tree(TreeId::new(id), &bytes, base)?;
                }
            }
        }
        Ok(())
    }

    /// What an earlier session left may come again, since the peer may not know of it; what came in this
    /// session may not.
    fn check_new(&mut self, kind: Kind, id: ObjectId) -> Result<()> {
        if self.arrived.insert(id) { Ok(()) } else { content(format!("{kind} {id} came twice")) }
    }

    fn remember_tree(&mut self, id: TreeId, bytes: &[u8], base: Option<ObjectId>) -> Result<()> {
        let tree = Tree::decode(bytes).or_else(|e| content(format!("tree {id}: {e}")))?;
        if self.trees.len() >= TREES_KEPT {
            self.trees.clear();
        }
        self.trees.insert(id, Arc::new(tree));
        if let Some(base) = base {
            self.tree_bases.insert(id, TreeId::new(base));
        }
        Ok(())
    }

    fn begin_large(
        &mut self,
        kind: Kind,
        id: ObjectId,
        size: u64,
        base: Option<ObjectId>,
        from: u64,
    ) -> Result<()> {
        self.check_new(kind, id)?;
        if size <= RECORD_MAX as u64 || from >= size {
            return content(format!("{kind} {id} has no valid length for a large object"));
        }
        if kind == Kind::Commit || (kind == Kind::Tree && size > OBJECT_IN_MEMORY_MAX) {
            return content(format!("{kind} {id} is too large"));
        }
        self.large = Some(self.incoming.begin_part(kind, id, size, base, from)?);
        Ok(())
    }

    /// Keeps a part open, or takes the object if it is whole.
    fn go_on(&mut self, part: Part) -> Result<()> {
        if part.written < part.size {
            self.large = Some(part);
            return Ok(());
        }
        let (kind, id, base) = (part.kind, part.id, part.base);
        let (actual, tree) = self.incoming.finish_part(part)?;
        if actual != id {
            return content(format!("{kind} {id} cannot be made of what came"));
        }
        self.there.insert(id, kind);
        self.fresh.insert(id);
        match tree {
            Some(bytes) => self.remember_tree(TreeId::new(id), &bytes, base),
            None => Ok(()),
        }
    }

    fn commit_is_complete(&mut self, id: CommitId, commit: &Commit) {
        if self.stamps.insert(id, commit.lamport).is_none() {
            self.commits.push(id);
        }
        self.complete.insert(id.object(), 0);
        self.tree_bases.clear();
    }

    fn check_commit(&mut self, id: CommitId, commit: &Commit) -> Result<()> {
        let mut parents = Vec::new();
        for parent in &commit.parents {
            parents.push((self.stamp_of(id, *parent)?, *parent));
        }
        let highest = parents.iter().map(|(lamport, _)| *lamport).max().unwrap_or_default();
        commit.check_stamp(highest).or_else(|e| content(format!("commit {id}: {e}")))?;
        if let Some(vault) = commit.vault
            && *self.ours.vault.get_or_insert(vault) != vault
        {
            return content(format!("commit {id} is the root of another vault"));
        }
        if commit.is_derived() {
            self.check_derived(id, &parents)?;
        }
        self.complete_tree(commit.tree)
    }

    fn stamp_of(&self, child: CommitId, id: CommitId) -> Result<Lamport> {
        if let Some(lamport) = self.stamps.get(&id) {
            return Ok(*lamport);
        }
        match self.incoming.main().try_info(id.object())? {
            Some((Kind::Commit, _)) => Ok(self.incoming.main().find_commit(id)?.lamport),
            _ => content(format!("commit {child} has a parent that did not come before it: {id}")),
        }
    }

    /// Checks what can be told of a derived commit without recomputing it: its parents are authored, sorted
    /// and unrelated.
    fn check_derived(&self, id: CommitId, parents: &[(Lamport, CommitId)]) -> Result<()> {
        if !parents.is_sorted() {
            return content(format!("derived commit {id} has its parents out of order"));
        }
        for (at, (_, parent)) in parents.iter().enumerate() {
            if self.incoming.find_commit(*parent)?.is_derived() {
                return content(format!("derived commit {id} has a derived parent"));
            }
            for (_, older) in &parents[..at] {
                if self.is_ancestor(*older, *parent)? {
                    return content(format!(
                        "derived commit {id} has parents of which one is an ancestor of another"
                    ));
                }
            }
        }
        Ok(())
    }

    fn is_ancestor(&self, older: CommitId, newer: CommitId) -> Result<bool> {
        let bound = self.incoming.find_commit(older)?.lamport;
        let mut stack = vec![newer];
        let mut seen = HashSet::new();
        while let Some(id) = stack.pop() {
            if id == older {
                return Ok(true);
            }
            let commit = self.incoming.find_commit(id)?;
            if commit.lamport > bound {
                stack.extend(commit.parents.into_iter().filter(|parent| seen.insert(*parent)));
            }
        }
        Ok(false)
    }

    fn tree(&self, id: TreeId) -> Result<Arc<Tree>> {
        match self.trees.get(&id) {
            Some(tree) => Ok(tree.clone()),
            None => Ok(Arc::new(self.incoming.find_tree(id)?)),
        }
    }

    /// Checks that a tree and everything below it is there, each object of the kind its entry says.
    fn complete_tree(&mut self, root: TreeId) -> Result<()> {
        enum Visit {
            Enter(TreeId, usize),
            Leave(TreeId, Arc<Tree>),
        }
        let mut stack = vec![Visit::Enter(root, 0)];
        while let Some(visit) = stack.pop() {
            match visit {
                Visit::Enter(id, depth) => {
                    if self.is_complete_tree(id)? {
                        continue;
                    }
                    if depth > DEPTH_MAX {
                        return content(format!("tree {id} lies more than {DEPTH_MAX} folders deep"));
                    }
                    let tree = self.tree(id)?;
                    let base = self.complete_base(id)?;
                    stack.push(Visit::Leave(id, tree.clone()));
                    let mut cursor = Cursor { entries: base.as_ref().map_or(&[][..], |base| base.entries()) };
                    for entry in tree.entries() {
                        if cursor.has(entry) {
                            continue;
                        }
                        if entry.mode.is_tree() {
                            stack.push(Visit::Enter(TreeId::new(entry.id), depth + 1));
                        } else {
                            self.complete_blob(entry.id)?;
                        }
                    }
                }
                Visit::Leave(id, tree) => {
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
                }
            }
        }
        Ok(())
    }

    fn is_complete_tree(&self, id: TreeId) -> Result<bool> {
        if id == TreeId::empty() || self.complete.contains_key(&id.object()) {
            return Ok(true);
        }
        match self.there.get(&id.object()) {
            Some(Kind::Tree) => Ok(false),
            Some(other) => content(format!("{other} {id} stands where a tree must")),
            None => match self.incoming.main().try_info(id.object())? {
                Some((Kind::Tree, _)) => Ok(true),
                _ => content(format!("tree {id} is missing")),
            },
        }
    }

    fn complete_blob(&mut self, id: ObjectId) -> Result<()> {
        match self.there.get(&id) {
            Some(Kind::Blob) => {
                self.complete.insert(id, 1);
                self.fresh.remove(&id);
                Ok(())
            }
            Some(other) => content(format!("{other} {id} stands where a blob must")),
            None => match self.incoming.main().try_info(id)? {
                Some((Kind::Blob, _)) => Ok(()),
                _ => content(format!("blob {id} is missing")),
            },
        }
    }

    /// Returns the tree a tree was sent against if that is complete: entries it shares need no look.
    fn complete_base(&self, id: TreeId) -> Result<Option<Arc<Tree>>> {
        let Some(base) = self.tree_bases.get(&id).copied() else { return Ok(None) };
        let is_complete = match self.there.get(&base.object()) {
            Some(kind) => *kind == Kind::Tree && self.complete.contains_key(&base.object()),
            None => matches!(self.incoming.main().try_info(base.object())?, Some((Kind::Tree, _))),
        };
        if is_complete { self.tree(base).map(Some) } else { Ok(None) }
    }

    /// Ends a pack: checks that it holds what was offered and nothing else, and moves it into the vault's
    /// store. Nothing points to it yet.
    pub fn finish(self, offered: &[Branch], announced: u64) -> Result<Received> {
        match self.check_end(offered, announced) {
            Ok(()) => self.publish(offered),
            Err(error) => Err(self.refuse(error)),
        }
    }

    fn check_end(&self, offered: &[Branch], announced: u64) -> Result<()> {
        if self.large.is_some() || !self.fresh.is_empty() || announced != self.objects {
            return content("the pack ends before it is whole");
        }
        let mut stack: Vec<CommitId> = offered.iter().flat_map(|branch| branch.heads.clone()).collect();
        for head in &stack {
            self.stamp_of(*head, *head)
                .or_else(|_| content(format!("head {head} was offered and did not come")))?;
            if self.incoming.find_commit(*head)?.is_derived() {
                return content(format!("head {head} is a derived commit, which nobody offers"));
            }
        }
        let mut seen: HashSet<CommitId> = stack.iter().copied().collect();
        while let Some(id) = stack.pop() {
            if self.stamps.contains_key(&id) {
                let parents = self.incoming.find_commit(id)?.parents;
                stack.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
            }
        }
        match self.session.iter().find(|id| !seen.contains(id)) {
            Some(extra) => content(format!("commit {extra} came and no offered head needs it")),
            None => Ok(()),
        }
    }

    fn publish(self, offered: &[Branch]) -> Result<Received> {
        let mut received =
            Received { offered: offered.to_vec(), objects: self.objects, ..Received::default() };
        for id in &self.commits {
            let commit = self.incoming.find_commit(*id)?;
            if self.incoming.main().try_info(id.object())?.is_none() {
                if commit.device.as_ref() == Some(&self.ours.device) {
                    received.own_name.push(*id);
                }
                received.commits.push(*id);
            }
        }
        received.lamport_max = self.commits.iter().map(|id| self.stamps[id]).max();
        let Receiving { incoming, there, complete, .. } = self;
        let is_whole = |(id, kind): (&ObjectId, &Kind)| *kind == Kind::Blob || complete.contains_key(id);
        if there.iter().all(is_whole) {
            incoming.adopt()?;
        } else {
            let mut wanted: Vec<(ObjectId, Kind)> =
                there.into_iter().filter(|(id, _)| complete.contains_key(id)).collect();
            wanted.sort_unstable();
            incoming.adopt_only(&wanted)?;
        }
        Ok(received)
    }

    /// Ends a session that was cut: what came whole is kept.
    pub fn keep(self) -> Result<()> {
        self.incoming.keep()
    }

    /// Ends a session after `error`: nothing stays of a peer that sent what does not hold.
    pub fn refuse(self, error: ReceiveError) -> ReceiveError {
        let ended = match &error {
            ReceiveError::Content(_) | ReceiveError::Wire(_) => self.incoming.discard(),
            _ => self.incoming.keep(),
        };
        match ended {
            Ok(()) | Err(ReceiveError::Content(_)) => error,
            Err(worse) => worse,
        }
    }
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

/// Lists the heads of all branches.
pub fn heads_of(branches: &[Branch]) -> Vec<CommitId> {
    let mut heads: Vec<CommitId> = branches.iter().flat_map(|branch| branch.heads.iter().copied()).collect();
    heads.sort_unstable();
    heads.dedup();
    heads
}
