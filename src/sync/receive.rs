//! Receiving: every object is checked as it comes, and nothing is believed before all holds.
//!
//! An object is taken if it decodes within its bounds, hashes to its id and parses strictly; a commit is
//! taken if all it connects to is there ([`Connections`] says what that is) and nothing came since the last
//! commit that this one does not need. So what has arrived is at any moment a row of complete commits and
//! the beginning of the next.
//!
//! Limits: a session may bring so many objects and plain bytes ([`Limits`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::connect::{Connections, parse_tree};
use super::frame::{Frame, Have, IDS_MAX};
use super::gate::OpenGate;
use super::incoming::{Incoming, Part};
use super::wire::WireError;
use super::{Branch, Limits, Received};
use crate::fs::{self, Dir, LockError};
use crate::object::{
    Commit, CommitId, DeviceName, ExtentError, Hashed, Kind, Lamport, ObjectId, Source, SourceError, TreeId,
    VaultId, check_link,
};
use crate::store::{self, OBJECT_IN_MEMORY_MAX, RECORD_MAX, Store, frame};

/// So many commits, and so many other objects, that an earlier session left are told to a sender at most.
pub const KEPT_TOLD_MAX: usize = 1 << 20;

/// So many bytes of purged blobs are kept at hand.
const LEFT_OUT_BYTES_MAX: usize = 32 << 20;

/// Why what came was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The peer sent what does not hold.
    #[error("what the peer sent does not hold: {0}")]
    Content(String),
    /// A head goes back to roots of other vaults only.
    #[error("head {0} belongs to another vault: it has no root in common with this one")]
    Unrelated(CommitId),
    /// The peer sent more than is allowed.
    #[error("the peer sent more than {limit} {what}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The peer sent a file that is longer than files of this vault may be.
    #[error("a file of {size_mib} MiB came, and the limit of this vault is {limit_mib} MiB")]
    FileTooLarge {
        /// Its announced length.
        size_mib: u64,
        /// `limits.file_mib`.
        limit_mib: u64,
    },
    /// The disk has no room for what came.
    #[error(
        "the disk has no room for what came: {wanted_mib} MiB more are needed, and {free_mib} MiB are free"
    )]
    NoRoom {
        /// What would have been written next.
        wanted_mib: u64,
        /// What is free.
        free_mib: u64,
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
    /// The vault is closed to what arrives, by a command that removes objects.
    #[error("nothing can be received now: the vault is in use by {holder} (waited {waited_s} s)")]
    Closed {
        /// What closed it.
        holder: String,
        /// How long was waited, in seconds.
        waited_s: u64,
    },
}

impl ReceiveError {
    /// Returns why the gate could not be passed.
    pub(super) fn closed(error: LockError) -> ReceiveError {
        match error {
            LockError::Held { holder, waited_s } => ReceiveError::Closed { holder, waited_s },
            LockError::Disk(error) => error.into(),
        }
    }
}

impl ReceiveError {
    /// Returns `true` if it was the disk that had no room.
    pub fn is_full(&self) -> bool {
        match self {
            ReceiveError::NoRoom { .. } => true,
            ReceiveError::Disk(error) => error.is_full(),
            ReceiveError::Store(error) => error.is_full(),
            _ => false,
        }
    }
}

type Result<T> = std::result::Result<T, ReceiveError>;

pub(super) fn content<T>(what: impl Into<String>) -> Result<T> {
    Err(ReceiveError::Content(what.into()))
}

/// What becomes of that on which a pack rests and which is not in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// It must be there.
    Checked,
    /// It is taken as given: somebody looks at a pack without having what its receiver has.
    Assumed,
}

/// Where a pack comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A device at the other end. It was told which blobs were purged here: one that comes all the same ends the
    /// session. What it sent before a cut is kept.
    Device,
    /// A file. It could not know what was purged here: that is hashed, serves as a base, and is not kept. Nothing
    /// is kept of a pack that was not taken: the file can be read again.
    File,
}

/// What a receiver has to know about its own side.
#[derive(Clone, Debug)]
pub struct Ours {
    /// The vault that roots must name; `None` accepts any, once, while a clone is being made.
    pub vault: Option<VaultId>,
    /// Heads that do not go back to this vault's root may come as well.
    pub allows_unrelated: bool,
    /// This device.
    pub device: DeviceName,
    /// How much may come.
    pub limits: Limits,
    /// What becomes of what is not there.
    pub outside: Outside,
    /// Where it comes from.
    pub sender: Sender,
    /// How long to wait while the vault is closed to what arrives.
    pub gate_wait: Duration,
}

/// A pack that is arriving.
pub struct Receiving {
    incoming: Incoming,
    ours: Ours,
    connections: Connections,
    /// Commits that came in this session.
    session: HashSet<CommitId>,
    large: Option<Part>,
    passed: Option<PassedOver>,
    /// Purged blobs that came, for as long as others may rest on them.
    left_out: HashMap<ObjectId, Arc<[u8]>>,
    left_out_bytes: usize,
    /// Large blobs that came and were purged here.
    left_out_large: HashSet<ObjectId>,
    /// Objects that came and could not be hashed, since they rest on what is assumed.
    pub unchecked: u64,
    /// Objects that came in this session.
    pub objects: u64,
    /// Their plain bytes.
    pub bytes: u64,
}

/// A large object whose base is assumed, or that was purged here: only its length is followed.
struct PassedOver {
    kind: Kind,
    id: ObjectId,
    size: u64,
    written: u64,
}

impl Receiving {
    /// Opens the folder of `peer`, with what an earlier session left in it.
    pub fn open(root: &Dir, peer: &str, main: &Store, ours: Ours) -> Result<Receiving> {
        let mut receiving = Receiving {
            incoming: Incoming::open(root, peer, main, ours.gate_wait)?,
            connections: Connections::new(ours.vault, ours.outside),
            ours,
            session: HashSet::new(),
            large: None,
            passed: None,
            left_out: HashMap::new(),
            left_out_bytes: 0,
            left_out_large: HashSet::new(),
            unchecked: 0,
            objects: 0,
            bytes: 0,
        };
        receiving.load()?;
        Ok(receiving)
    }

    /// Takes stock of what is there: which commits are complete, and what is there besides.
    fn load(&mut self) -> Result<()> {
        let kept = self.incoming.kept()?;
        kept.iter().for_each(|(id, kind)| self.connections.found(*id, *kind));
        let mut commits: BTreeMap<(Lamport, CommitId), Commit> = BTreeMap::new();
        for (id, _) in kept.iter().filter(|(_, kind)| *kind == Kind::Commit) {
            let id = CommitId::new(*id);
            let commit = self.incoming.find_commit(id)?;
            commits.insert((commit.lamport, id), commit);
        }
        for ((_, id), commit) in commits {
            match self.connections.check_commit(&self.incoming, id, &commit) {
                Ok(()) => self.connections.commit_is_complete(id, &commit),
                Err(ReceiveError::Content(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns what is kept of earlier sessions: complete commits, then objects besides.
    fn kept(&self) -> (&[CommitId], Vec<ObjectId>) {
        let objects = self.connections.incomplete(KEPT_TOLD_MAX);
        let commits = &self.connections.commits;
        (&commits[commits.len().saturating_sub(KEPT_TOLD_MAX)..], objects)
    }

    /// Says which vault roots must name, once that is known.
    pub fn expect_vault(&mut self, vault: Option<VaultId>) {
        self.connections.expect_vault(vault);
    }

    /// Returns how many commits came.
    pub fn commits(&self) -> usize {
        self.session.len()
    }

    /// Takes a frame between `pack` and `pack-end`.
    pub fn take(&mut self, frame: Frame) -> Result<()> {
        if let Some(passed) = self.passed.take() {
            return self.pass_over(passed, &frame);
        }
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
                self.incoming.copy(&mut part, offset, size)?;
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
        let Limits { objects_max, bytes_max, .. } = self.ours.limits;
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
            Some(base) if self.left_out.contains_key(&base) => self.left_out.get(&base).cloned(),
            Some(base) => {
                let fits = |(found, size): (Kind, u64)| found == kind && size <= RECORD_MAX as u64;
                let is_there = self.incoming.try_info(base)?.is_some_and(fits);
                Some(if is_there { self.incoming.find(base, kind)?.data } else { return Err(wrong()) })
            }
            None => None,
        };
        let reference = old.as_deref().map_or(frame::Reference::None, frame::Reference::Prefix);
        let bytes = frame::decode(squeezed, Some(size.into()), reference).map_err(|_| wrong())?;
        let object = Hashed::new(kind, bytes.into());
        if object.id() != id {
            return Err(wrong());
        }
        let bytes = object.data();
        self.check_new(kind, id)?;
        if self.is_purged(kind, id) {
            return self.leave_out(id, bytes.clone());
        }
        let parsed = if kind == Kind::Commit {
            let id = CommitId::new(id);
            let commit = Commit::decode(bytes).or_else(|e| content(format!("commit {id}: {e}")))?;
            self.connections.check_commit(&self.incoming, id, &commit)?;
            Some((id, commit))
        } else {
            None
        };
        let tree = if kind == Kind::Tree { Some(parse_tree(id, bytes)?) } else { None };
        if self.connections.is_owed_link(id)
            && let Err(error) = check_link(bytes)
        {
            return content(format!("blob {id}: {error}"));
        }
        self.incoming.add(&object, base)?;
        match parsed {
            Some((id, commit)) => {
                self.connections.commit_is_complete(id, &commit);
                self.session.insert(id);
            }
            None => self.connections.arrived(kind, id, tree, base),
        }
        Ok(())
    }

    /// What an earlier session left may come again, since the peer may not know of it; what came in this
    /// session may not.
    fn check_new(&self, kind: Kind, id: ObjectId) -> Result<()> {
        if self.is_purged(kind, id) && self.ours.sender == Sender::Device {
            return content(format!("blob {id} came and was purged here, as was said"));
        }
        if self.came(id) { content(format!("{kind} {id} came twice")) } else { Ok(()) }
    }

    /// Returns `true` if an object came in this session. Ten million may come: each is remembered in one place only.
    fn came(&self, id: ObjectId) -> bool {
        self.connections.came(id)
            || self.session.contains(&CommitId::new(id))
            || self.left_out.contains_key(&id)
            || self.left_out_large.contains(&id)
    }

    fn is_purged(&self, kind: Kind, id: ObjectId) -> bool {
        kind == Kind::Blob && self.incoming.main().is_removed(id)
    }

    /// Keeps a purged blob at hand, and not on disk.
    fn leave_out(&mut self, id: ObjectId, bytes: Arc<[u8]>) -> Result<()> {
        self.left_out_bytes += bytes.len();
        if self.left_out_bytes > LEFT_OUT_BYTES_MAX {
            return Err(ReceiveError::Limit {
                what: "bytes that were purged here",
                limit: LEFT_OUT_BYTES_MAX as u64,
            });
        }
        self.left_out.insert(id, bytes);
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
        if self.connections.is_owed_link(id) {
            return content(format!("blob {id}: {}", ExtentError::LinkTooLong));
        }
        if size <= RECORD_MAX as u64 || from >= size {
            return content(format!("{kind} {id} has no valid length for a large object"));
        }
        if kind == Kind::Commit || (kind == Kind::Tree && size > OBJECT_IN_MEMORY_MAX) {
            return content(format!("{kind} {id} is too large"));
        }
        let limit = self.ours.limits.file_bytes_max;
        if size > limit {
            return Err(ReceiveError::FileTooLarge {
                size_mib: size.div_ceil(1 << 20),
                limit_mib: limit >> 20,
            });
        }
        let is_assumed = match (base, self.ours.outside) {
            (Some(base), Outside::Assumed) => !self.incoming.contains(base)?,
            _ => false,
        };
        if self.is_purged(kind, id) {
            self.left_out_large.insert(id);
        }
        if is_assumed || self.is_purged(kind, id) {
            self.passed = Some(PassedOver { kind, id, size, written: from });
            return Ok(());
        }
        self.large = Some(self.incoming.begin_part(kind, id, size, base, from)?);
        Ok(())
    }

    /// Follows the pieces of a large object that cannot be put together.
    fn pass_over(&mut self, mut passed: PassedOver, frame: &Frame) -> Result<()> {
        let step = match frame {
            Frame::Literal { size, .. } => u64::from(*size),
            Frame::Copy { size, .. } => *size,
            other => {
                return Err(WireError::OutOfOrder { got: other.name(), wanted: "literal or copy" }.into());
            }
        };
        let PassedOver { kind, id, size, written } = passed;
        if step == 0 || step > size - written {
            return content(format!("a piece of {kind} {id} has no valid length"));
        }
        passed.written += step;
        if passed.written < size {
            self.passed = Some(passed);
        } else if !self.is_purged(kind, id) {
            self.unchecked += 1;
            self.connections.assume(kind, id);
        }
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
        let tree = tree.map(|bytes| parse_tree(id, &bytes)).transpose()?;
        self.connections.arrived(kind, id, tree, base);
        Ok(())
    }

    /// Ends a pack: checks that it holds what was offered and nothing else, and moves it into the vault's
    /// store. Nothing points to it yet: the gate is to be kept open until something does.
    pub fn finish(mut self, offered: &[Branch], announced: u64) -> Result<(Received, OpenGate)> {
        match self.check_end(offered, announced) {
            Ok(()) => self.publish(offered),
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// Ends a pack that is only looked at: checks the same, and keeps nothing.
    pub fn check(mut self, offered: &[Branch], announced: u64) -> Result<()> {
        self.check_end(offered, announced)?;
        self.incoming.discard()
    }

    fn check_end(&mut self, offered: &[Branch], announced: u64) -> Result<()> {
        self.incoming.await_proofs(0)?;
        let is_open = self.large.is_some() || self.passed.is_some();
        if is_open || !self.connections.is_all_needed() || announced != self.objects {
            return content("the pack ends before it is whole");
        }
        self.connections.check_owed()?;
        let mut stack = heads_of(offered);
        for head in &stack {
            self.connections.check_head(&self.incoming, *head, self.ours.allows_unrelated)?;
        }
        let mut seen: HashSet<CommitId> = stack.iter().copied().collect();
        while let Some(id) = stack.pop() {
            if self.connections.has_commit(id) {
                let parents = self.incoming.find_commit(id)?.parents;
                stack.extend(parents.into_iter().filter(|parent| seen.insert(*parent)));
            }
        }
        match self.session.iter().find(|id| !seen.contains(id)) {
            Some(extra) => content(format!("commit {extra} came and no offered head needs it")),
            None => Ok(()),
        }
    }

    fn publish(self, offered: &[Branch]) -> Result<(Received, OpenGate)> {
        let mut received =
            Received { offered: offered.to_vec(), objects: self.objects, ..Received::default() };
        for id in &self.connections.commits {
            let commit = self.incoming.find_commit(*id)?;
            if self.incoming.main().try_info(id.object())?.is_none() {
                if commit.device.as_ref() == Some(&self.ours.device) {
                    received.own_name.push(*id);
                }
                received.commits.push(*id);
            }
        }
        received.lamport_max = self.connections.highest_stamp();
        let gate = match self.connections.whole_only() {
            None => self.incoming.adopt()?,
            Some(wanted) => self.incoming.adopt_only(&wanted)?,
        };
        Ok((received, gate))
    }

    /// Ends a pack of which only what is lost here is wanted: `wanted` and what that leads to moves into the
    /// vault's store as far as it came and is not there, the rest is dropped. Each was hashed, and what points to
    /// it is here already, so no commit need be complete and the gate can be closed again. Returns how many objects
    /// these were, and their bytes.
    pub fn adopt_lost(mut self, wanted: &[ObjectId], announced: u64) -> Result<(u64, u64)> {
        match self.lost_among(wanted, announced) {
            Ok((lost, bytes)) => {
                drop(self.incoming.adopt_only(&lost)?);
                Ok((lost.len() as u64, bytes))
            }
            Err(error) => Err(self.refuse(error)),
        }
    }

    fn lost_among(&mut self, wanted: &[ObjectId], announced: u64) -> Result<(Vec<(ObjectId, Kind)>, u64)> {
        self.incoming.await_proofs(0)?;
        if self.large.is_some() || self.passed.is_some() || announced != self.objects {
            return content("the pack ends before it is whole");
        }
        let (mut lost, mut bytes) = (Vec::new(), 0);
        let mut seen = HashSet::new();
        let mut open = wanted.to_vec();
        // Of what is wanted there can be a record already, which is of no use.
        let is_wanted: HashSet<ObjectId> = wanted.iter().copied().collect();
        while let Some(id) = open.pop() {
            let is_here = !is_wanted.contains(&id) && self.incoming.main().knows(id)?;
            if !self.came(id) || !seen.insert(id) || is_here {
                continue;
            }
            // What was purged, or rests on what is not here, came and was not kept.
            let Some((kind, size)) = self.incoming.try_info(id)? else { continue };
            match kind {
                Kind::Blob => {}
                Kind::Tree => {
                    open.extend(self.incoming.find_tree(TreeId::new(id))?.links().map(|(_, id)| id));
                }
                Kind::Commit => {
                    open.extend(self.incoming.find_commit(CommitId::new(id))?.links().map(|(_, id)| id));
                }
            }
            lost.push((id, kind));
            bytes += size;
        }
        Ok((lost, bytes))
    }

    /// Ends a session that was cut: what came whole is kept.
    pub fn keep(mut self) -> Result<()> {
        match self.ours.sender {
            Sender::Device => {
                // A peer that sent what does not hold may have hoped for a cut.
                if let Err(error) = self.incoming.await_proofs(0) {
                    self.incoming.discard()?;
                    return Err(error);
                }
                if let Some(part) = self.large.take() {
                    self.incoming.keep_part(part)?;
                }
                self.incoming.keep()
            }
            Sender::File => self.incoming.discard(),
        }
    }

    /// Ends a session after `error`: nothing stays of a peer that sent invalid data, or more than there is room for.
    pub fn refuse(self, error: ReceiveError) -> ReceiveError {
        let ended = match &error {
            ReceiveError::Content(_) | ReceiveError::Wire(_) => self.incoming.discard(),
            error if error.is_full() => self.incoming.discard(),
            _ => self.keep(),
        };
        match ended {
            Ok(()) | Err(ReceiveError::Content(_)) => error,
            Err(worse) => worse,
        }
    }
}

/// Returns what need not be sent, or must not be: what is kept of earlier sessions if there is any, and what
/// was purged here; in as many frames as it takes.
pub fn haves(receiving: Option<&Receiving>, store: &Store) -> Vec<Have> {
    let (commits, objects) = receiving.map(Receiving::kept).unwrap_or_default();
    let mut lacks: Vec<ObjectId> = store.tombstones().keys().copied().collect();
    lacks.retain(|id| store.is_removed(*id));
    let frames = commits.len().max(objects.len()).max(lacks.len()).div_ceil(IDS_MAX as usize);
    fn part<T: Clone>(of: &[T], frame: usize) -> Vec<T> {
        of.chunks(IDS_MAX as usize).nth(frame).map(<[T]>::to_vec).unwrap_or_default()
    }
    let have = |frame| Have {
        more: true,
        commits: part(commits, frame),
        objects: part(&objects, frame),
        lacks: part(&lacks, frame),
        partial: None,
    };
    let partial = receiving.and_then(|receiving| receiving.incoming.left);
    (0..frames).map(have).chain([Have { partial, ..Have::default() }]).collect()
}

/// Lists the heads of all branches.
pub fn heads_of(branches: &[Branch]) -> Vec<CommitId> {
    let mut heads: Vec<CommitId> = branches.iter().flat_map(|branch| branch.heads.iter().copied()).collect();
    heads.sort_unstable();
    heads.dedup();
    heads
}
