//! `.mvault/incoming/<peer>/`: where received objects wait, apart, until all of a session holds.
//!
//! - It is a store of its own on top of the vault's: what arrives is encoded anew by the vault's own pack
//!   writer, never kept as sent, and nothing here is visible to anyone but the session. A frame of a peer's making
//!   that this decoder takes could be one that a later decoder refuses, and versions of this side's own rest on it.
//! - When all holds, its packs are moved into the vault's store. Before that nothing of it is reachable.
//! - A cut leaves what was received; from time to time a pack is closed, so that a killed process loses
//!   at most [`CHECKPOINT_BYTES`]. A session that was refused for what it sent leaves nothing.
//! - A large object on its way is kept as well, so that it resumes in the middle.
//! - Nothing is begun for which the disk has no room: of a large object both its first bytes and the pack it goes
//!   into. What a full disk interrupted is removed.
//! - A session passes the vault's gate first and keeps it open until what came is known to the log.
//! - One session at a time in a folder: a second one from the same peer takes the next free folder.

mod large;

use std::time::Duration;

pub use large::Part;
use large::{BASE, Base, PART};

use super::gate::{OpenGate, SESSION_LOCK};
use super::receive::ReceiveError;
use crate::fs::{Dir, Lock, LockError};
use crate::object::{Hashed, Kind, Object, ObjectId, Source, SourceError};
use crate::store::{PackWriter, Store};

/// After so many bytes a pack is closed.
const CHECKPOINT_BYTES: u64 = 32 << 20;
/// After so many records as well: the list of them is in memory until then.
const CHECKPOINT_RECORDS: usize = 64 << 10;
/// This much of the disk is left free, so that everything else goes on working.
const ROOM_LEFT: u64 = 8 << 20;
/// After this many bytes the room on the disk is looked at again.
const ROOM_CHECKED_EVERY: u64 = 2 << 20;
/// So many sessions with one peer at a time.
const SLOTS: usize = 8;

/// The folder of one session.
pub struct Incoming {
    dir: Dir,
    main: Store,
    store: Store,
    writer: PackWriter,
    bases: Vec<Base>,
    /// The memory of a base that is not needed any more.
    spare: Vec<u8>,
    /// A large object that an earlier session left unfinished, and how much of it.
    pub left: Option<(ObjectId, u64)>,
    /// Bytes that were written since the room on the disk was looked at.
    since_check: u64,
    _lock: Lock,
    gate: OpenGate,
}

/// Tells whether a name in a session's folder is that of an object on its way, or of what it is made of.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.starts_with(PART) || name.starts_with(BASE)
}

impl Incoming {
    /// Tells whether an earlier session with `peer` left something.
    pub fn has_leftovers(root: &Dir, peer: &str) -> bool {
        let holds_some = |dir: Dir| {
            let packs = dir.open_dir("objects").and_then(|objects| objects.list());
            let parts = dir.list().unwrap_or_default();
            packs.is_ok_and(|packs| !packs.is_empty())
                || parts.iter().any(|(name, _)| name.to_string_lossy().starts_with(PART))
        };
        root.open_dir(peer).is_ok_and(holds_some)
    }

    /// Passes the gate of `root`, waiting at most `wait`, and opens the folder of `peer`, or the next one if a
    /// session is using it.
    pub fn open(root: &Dir, peer: &str, main: &Store, wait: Duration) -> Result<Incoming, ReceiveError> {
        let gate = OpenGate::pass(root, wait).map_err(ReceiveError::closed)?;
        // While it waited objects may have gone: they would count as stored.
        main.refresh()?;
        let mut last = None;
        for slot in 0..SLOTS {
            let name = if slot == 0 { peer.to_owned() } else { format!("{peer}.{slot}") };
            let dir = root.open_or_create_dir(&name)?;
            match Lock::acquire(&dir, SESSION_LOCK, Duration::ZERO, "a session that receives") {
                Ok(lock) => return Incoming::open_in(dir, lock, gate, main),
                Err(LockError::Held { holder, waited_s }) => {
                    last = Some(LockError::Held { holder, waited_s })
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.expect("there is at least one slot and each was held").into())
    }

    fn open_in(dir: Dir, lock: Lock, gate: OpenGate, main: &Store) -> Result<Incoming, ReceiveError> {
        Store::create(&dir)?;
        let store = Store::open_over(&dir, Some(main))?;
        let writer = store.writer()?;
        let mut left = None;
        for (name, _) in dir.list()? {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with(BASE) {
                dir.remove_file(&name)?;
            } else if let Some(digits) = name.strip_prefix(PART) {
                // A session that was killed at its first byte leaves an empty part: that is none.
                match (ObjectId::parse(digits), &left, dir.stat(&name)?.size) {
                    (Ok(id), None, size @ 1..) => left = Some((id, size)),
                    _ => dir.remove_file(&name)?,
                }
            }
        }
        Ok(Incoming {
            dir,
            main: main.clone(),
            store,
            writer,
            bases: Vec::new(),
            spare: Vec::new(),
            left,
            since_check: ROOM_CHECKED_EVERY,
            _lock: lock,
            gate,
        })
    }

    /// Returns what an earlier session left, chunks of large objects among it.
    pub fn kept(&self) -> Result<Vec<(ObjectId, Kind)>, ReceiveError> {
        Ok(self.store.ids()?)
    }

    /// Tells whether an object is here or in the vault's store, with all that it depends on. What is damaged there
    /// counts as not there.
    pub fn knows(&self, id: ObjectId) -> Result<bool, ReceiveError> {
        Ok(self.writer.knows(id)?)
    }

    /// Returns the vault's store, which holds only what is complete.
    pub fn main(&self) -> &Store {
        &self.main
    }

    /// Adds an object.
    pub fn add(&mut self, object: &Hashed, base: Option<ObjectId>) -> Result<(), ReceiveError> {
        self.use_room(object.data().len() as u64)?;
        self.writer.add_hashed(object, base)?;
        self.close_if_long()
    }

    /// Checks that the disk has room for so many bytes more, and some to spare.
    fn check_room(&self, bytes: u64) -> Result<(), ReceiveError> {
        match self.dir.free_bytes()? {
            Some(free) if free < bytes.saturating_add(ROOM_LEFT) => {
                Err(ReceiveError::NoRoom { wanted_mib: bytes.div_ceil(1 << 20), free_mib: free >> 20 })
            }
            _ => Ok(()),
        }
    }

    /// Takes note that so many bytes are about to be written, and looks at the room from time to time.
    fn use_room(&mut self, bytes: u64) -> Result<(), ReceiveError> {
        self.since_check += bytes;
        if self.since_check >= ROOM_CHECKED_EVERY {
            self.check_room(bytes)?;
            self.since_check = 0;
        }
        Ok(())
    }

    fn close_if_long(&mut self) -> Result<(), ReceiveError> {
        if self.writer.bytes() > CHECKPOINT_BYTES || self.writer.len() > CHECKPOINT_RECORDS {
            self.checkpoint()?;
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), ReceiveError> {
        self.await_proofs(0)?;
        let next = self.store.writer()?;
        std::mem::replace(&mut self.writer, next).publish()?;
        Ok(())
    }

    /// Keeps what came, for the next session.
    pub fn keep(mut self) -> Result<(), ReceiveError> {
        self.checkpoint()?;
        self.remove_bases();
        Ok(())
    }

    /// Throws away everything, also what earlier sessions left.
    pub fn discard(self) -> Result<(), ReceiveError> {
        self.remove_all()
    }

    fn remove_all(&self) -> Result<(), ReceiveError> {
        let objects = self.dir.open_dir("objects")?;
        for (name, _) in objects.list()? {
            objects.remove_file(name)?;
        }
        for (name, _) in self.dir.list()? {
            if is_unfinished(&name.to_string_lossy()) {
                self.dir.remove_file(&name)?;
            }
        }
        Ok(())
    }

    /// Moves everything into the vault's store, durably. The gate stays open until what is returned is dropped:
    /// nothing leads to what came before its operation is in the log.
    pub fn adopt(mut self) -> Result<OpenGate, ReceiveError> {
        self.checkpoint()?;
        self.main.adopt(&self.store)?;
        self.remove_bases();
        if let Some((id, _)) = self.left.take() {
            self.dir.remove_file(format!("{PART}{id}"))?;
        }
        Ok(self.gate)
    }

    /// Writes only `wanted` into the vault's store, as one pack, and throws the rest away: an earlier session
    /// left something that is not complete and may never be. Returns the gate, as [`Incoming::adopt`] does.
    pub fn adopt_only(mut self, wanted: &[(ObjectId, Kind)]) -> Result<OpenGate, ReceiveError> {
        self.checkpoint()?;
        let mut writer = self.main.writer()?;
        for (id, kind) in wanted {
            let Some(mut reader) = self.store.try_reader(*id)? else {
                return Err(SourceError::Missing { kind: *kind, id: *id }.into());
            };
            let size = reader.size();
            writer.add_stream(*kind, size, &mut reader, None)?;
        }
        writer.publish()?;
        self.remove_all()?;
        Ok(self.gate)
    }
}

impl Source for Incoming {
    fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError> {
        Source::try_find(&self.writer, id)
    }

    fn contains(&self, id: ObjectId) -> Result<bool, SourceError> {
        Source::contains(&self.writer, id)
    }

    fn try_info(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, SourceError> {
        Source::try_info(&self.writer, id)
    }
}
