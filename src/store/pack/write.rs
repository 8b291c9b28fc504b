//! Writing one pack: objects in, one durable file out.
//!
//! - Nothing is visible before [`PackWriter::publish`] has renamed the synced file and synced its
//!   folder; dropped before, it leaves nothing. A temporary file is locked by its owner, so that the
//!   next writer can tell and remove what a killed one left.
//! - After a failed write the writer is poisoned, and after a version that proved to be another object. After a
//!   failed input it is not: what was added so far stays.
//! - The bytes of a pack depend on the objects and their order alone, never on the number of threads.
//! - A base is read verified; one that cannot be is not used. Chains stay within 50 deltas, those of
//!   trees and commits within 12.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::io;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::PackId;
use super::format::{self, Entry, Footer};
use super::large::{self, Onlooker};
use super::plan::{self, Record, Spec};
use super::version::Proof;
use crate::fs::{self, Dir, File, LockKind};
use crate::object::{Hashed, Kind, Object, ObjectId, Source, SourceError, hash_object};
use crate::store::cache::RecordKey;
use crate::store::error::{Error, Result};
use crate::store::frame::RECORD_MAX;
use crate::store::read::Shelf;
use crate::store::{Store, StoreStats, TEMP};

/// Records gather in memory up to this many bytes before they are written.
const BUFFER_MAX: usize = 1 << 20;
/// So many objects are loaded, hashed and compressed at a time.
const BATCH: usize = 64;
/// Batches with fewer objects are not worth a second thread.
const PARALLEL_MIN: usize = 4;
const TEMP_NAME_PREFIX: &str = "pack-";

/// An object to be stored.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// Its kind.
    pub kind: Kind,
    /// Its bytes.
    pub data: Vec<u8>,
    /// The version before it, if there is one: it may be stored as the difference.
    pub base: Option<ObjectId>,
}

/// The records of a pack that is not published yet.
pub(crate) struct Pending {
    entries: HashMap<ObjectId, Entry>,
    buffer: Vec<u8>,
    flushed: u64,
    file: Option<File>,
}

impl Pending {
    pub fn entry(&self, id: &ObjectId) -> Option<Entry> {
        self.entries.get(id).copied()
    }

    pub fn stored(&self, entry: &Entry) -> Result<Vec<u8>> {
        let length = entry.stored as usize;
        match (entry.offset.checked_sub(self.flushed), &self.file) {
            (Some(start), _) => Ok(self.buffer[start as usize..start as usize + length].to_vec()),
            (None, Some(file)) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, entry.offset)?;
                Ok(bytes)
            }
            (None, None) => Err(Error::Missing { id: entry.id }),
        }
    }
}

struct Temp {
    dir: Dir,
    name: OsString,
}

/// The entries of a pack, sorted, the bits of its buckets, its table and its directory.
type Table = (Vec<Entry>, u8, Vec<u8>, Vec<u8>);

/// A pack that is being written.
#[must_use = "nothing is stored before the pack is published"]
pub struct PackWriter {
    store: Store,
    pending: Pending,
    temp: Option<Temp>,
    hasher: Sha256,
    /// Of what was added and is still being hashed.
    pub(super) proofs: VecDeque<Proof>,
    is_poisoned: bool,
}

enum Prepared {
    Known(ObjectId),
    New(Record),
    Large(NewObject),
}

impl PackWriter {
    pub(in crate::store) fn new(store: Store) -> PackWriter {
        let buffer = format::HEADER.to_vec();
        let pending = Pending { entries: HashMap::new(), buffer, flushed: 0, file: None };
        PackWriter {
            store,
            pending,
            temp: None,
            hasher: Sha256::new(),
            proofs: VecDeque::new(),
            is_poisoned: false,
        }
    }

    pub(in crate::store) fn store(&self) -> &Store {
        &self.store
    }

    /// Tells whether this pack itself has a record of `id`.
    pub(in crate::store) fn holds(&self, id: &ObjectId) -> bool {
        self.pending.entries.contains_key(id)
    }

    pub(in crate::store) fn shelf(&self) -> Shelf<'_> {
        Shelf { store: &self.store, pending: Some(&self.pending), proven: None }
    }

    pub(super) fn ready(&self) -> Result<()> {
        if self.is_poisoned { Err(Error::Poisoned) } else { Ok(()) }
    }

    pub(super) fn poison(&mut self) {
        self.is_poisoned = true;
    }

    /// Tells whether nothing was added that was not stored already.
    pub fn is_empty(&self) -> bool {
        self.pending.entries.is_empty()
    }

    /// Returns the number of records so far, chunks and recipes of large objects among them.
    pub fn len(&self) -> usize {
        self.pending.entries.len()
    }

    /// Returns the length of the pack so far, without its table, in bytes.
    pub fn bytes(&self) -> u64 {
        self.pending.flushed + self.pending.buffer.len() as u64
    }

    /// Tells whether this pack or the store has the object.
    pub fn knows(&self, id: ObjectId) -> Result<bool> {
        Ok(self.pending.entries.contains_key(&id) || self.store.knows(id)?)
    }

    /// Returns an object of this pack or the store, verified.
    pub fn try_find(&self, id: ObjectId) -> Result<Option<Object>> {
        self.shelf().try_find(id)
    }

    /// Adds an object unless it is stored already, as the difference from `base` where that pays.
    pub fn add(&mut self, kind: Kind, bytes: &[u8], base: Option<ObjectId>) -> Result<ObjectId> {
        self.ready()?;
        if bytes.len() > RECORD_MAX {
            return self.add_large(kind, bytes.len() as u64, &mut &*bytes, base, &mut ());
        }
        let id = hash_object(kind, bytes);
        if !self.knows(id)? {
            let record =
                plan::encode(&self.shelf(), &Spec::object(id, kind, bytes.len() as u64), bytes, base);
            self.append(record)?;
        }
        Ok(id)
    }

    /// As [`PackWriter::add`], with bytes that were hashed already. They are remembered: the next version is
    /// likely to be made of them.
    pub fn add_hashed(&mut self, object: &Hashed, base: Option<ObjectId>) -> Result<()> {
        self.ready()?;
        let (id, kind, bytes) = (object.id(), object.kind(), object.data());
        if bytes.len() > RECORD_MAX {
            return self.add_large(kind, bytes.len() as u64, &mut &bytes[..], base, &mut ()).map(drop);
        }
        if !self.knows(id)? {
            let spec = Spec::object(id, kind, bytes.len() as u64);
            let record = plan::encode(&self.shelf(), &spec, bytes, base);
            self.append(record)?;
        }
        self.store.0.cache.put_proven(RecordKey { id, is_recipe: false }, kind, bytes.clone());
        Ok(())
    }

    /// Adds an object of `size` bytes from `reader` in bounded memory. If another number of bytes comes
    /// or the reader fails, nothing of it counts as stored and the pack stays usable.
    pub fn add_stream(
        &mut self,
        kind: Kind,
        size: u64,
        reader: &mut (dyn io::Read + Send),
        base: Option<ObjectId>,
    ) -> Result<ObjectId> {
        self.add_seen(kind, size, reader, base, &mut ())
    }

    /// As [`PackWriter::add_stream`], while `onlooker` is shown all of it, piece by piece in order. What it
    /// fails with counts as a failure of the reader.
    pub fn add_seen(
        &mut self,
        kind: Kind,
        size: u64,
        reader: &mut (dyn io::Read + Send),
        base: Option<ObjectId>,
        onlooker: &mut dyn Onlooker,
    ) -> Result<ObjectId> {
        self.ready()?;
        if size > RECORD_MAX as u64 {
            return self.add_large(kind, size, reader, base, onlooker);
        }
        let mut bytes = vec![0; size as usize + 1];
        let actual = large::fill(reader, &mut bytes)?;
        if actual as u64 != size {
            return Err(Error::WrongLength { announced: size, actual: actual as u64 });
        }
        onlooker.look(&bytes[..actual], None).map_err(Error::Input)?;
        self.add(kind, &bytes[..actual], base)
    }

    /// Adds what `load` makes of each item; loading, hashing and compressing happen on all cores. Returns
    /// an id or the failure of `load` for each item, in order. Items above [`RECORD_MAX`] are taken, but
    /// are better streamed: all of a batch is in memory at once.
    pub fn add_many<T: Sync, E: Send>(
        &mut self,
        items: &[T],
        load: impl Fn(&T) -> std::result::Result<NewObject, E> + Sync,
    ) -> Result<Vec<std::result::Result<ObjectId, E>>> {
        self.ready()?;
        let mut ids = Vec::with_capacity(items.len());
        for batch in items.chunks(BATCH) {
            let prepare = |item: &T| load(item).map(|object| self.prepare(object));
            let prepared: Vec<_> = if batch.len() < PARALLEL_MIN {
                batch.iter().map(prepare).collect()
            } else {
                batch.par_iter().map(prepare).collect()
            };
            for result in prepared {
                ids.push(match result {
                    Ok(prepared) => Ok(self.settle(prepared?)?),
                    Err(failure) => Err(failure),
                });
            }
        }
        Ok(ids)
    }

    fn prepare(&self, object: NewObject) -> Result<Prepared> {
        if object.data.len() > RECORD_MAX {
            return Ok(Prepared::Large(object));
        }
        let id = hash_object(object.kind, &object.data);
        if self.knows(id)? {
            return Ok(Prepared::Known(id));
        }
        let spec = Spec::object(id, object.kind, object.data.len() as u64);
        Ok(Prepared::New(plan::encode(&self.shelf(), &spec, &object.data, object.base)))
    }

    fn settle(&mut self, prepared: Prepared) -> Result<ObjectId> {
        match prepared {
            Prepared::Known(id) => Ok(id),
            Prepared::Large(object) => self.add(object.kind, &object.data, object.base),
            Prepared::New(record) => {
                let id = record.entry.id;
                self.append(record)?;
                Ok(id)
            }
        }
    }

    /// Takes a record into the pack unless it is there already.
    pub(in crate::store) fn append(&mut self, record: Record) -> Result<()> {
        let mut entry = record.entry;
        if self.pending.entries.contains_key(&entry.id) {
            return Ok(());
        }
        entry.offset = self.bytes();
        self.pending.buffer.extend_from_slice(&record.stored);
        self.pending.entries.insert(entry.id, entry);
        if self.pending.buffer.len() >= BUFFER_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.write_buffer();
        self.is_poisoned |= written.is_err();
        written
    }

    fn write_buffer(&mut self) -> Result<()> {
        if self.pending.file.is_none() {
            let (temp, file) = create_temp(&self.store.0.dot)?;
            self.temp = Some(temp);
            self.pending.file = Some(file);
        }
        if let Some(file) = &self.pending.file {
            file.write_at(&self.pending.buffer, self.pending.flushed)?;
        }
        self.hasher.update(&self.pending.buffer);
        self.pending.flushed += self.pending.buffer.len() as u64;
        self.pending.buffer.clear();
        Ok(())
    }

    /// Makes everything that was added durable and visible, at once, and returns the pack's name; `None`
    /// if there was nothing to store.
    pub fn publish(mut self) -> Result<Option<PackId>> {
        self.await_proofs(0)?;
        self.ready()?;
        if self.is_empty() {
            // All of it may be in a pack whose writer was killed before the folder was synced.
            self.store.0.objects.sync()?;
            return Ok(None);
        }
        let table_offset = self.bytes();
        let (entries, bits, table, directory) = self.table()?;
        self.pending.buffer.extend_from_slice(&table);
        self.pending.buffer.extend_from_slice(&directory);
        let directory_offset = table_offset + table.len() as u64;
        let objects = || entries.iter().filter(|entry| !entry.is_part);
        let mut body_hasher = self.hasher.clone();
        body_hasher.update(&self.pending.buffer);
        let footer = Footer {
            table_offset,
            directory_offset,
            records: entries.len() as u64,
            objects: objects().count() as u64,
            plain_bytes: objects().map(|entry| entry.plain).fold(0, u64::saturating_add),
            bits,
            directory_sum: format::directory_sum(&directory),
            body_hash: body_hasher.finalize().into(),
        };
        self.pending.buffer.extend_from_slice(&footer.encode());
        self.flush()?;
        let id = PackId::from_bytes(self.hasher.clone().finalize().into());
        self.put_in_place(id)?;
        self.store.insert(id);
        Ok(Some(id))
    }

    /// Returns the entries with the table they make.
    fn table(&self) -> Result<Table> {
        let mut entries: Vec<Entry> = self.pending.entries.values().copied().collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        let bits = format::bits_for(entries.len());
        let (table, directory) = format::encode_table(&entries, bits).ok_or(Error::PackFull)?;
        Ok((entries, bits, table, directory))
    }

    /// Returns what this pack would hold if it were published now.
    pub(in crate::store) fn stats(&self) -> Result<StoreStats> {
        let (entries, _, table, directory) = self.table()?;
        let objects = || entries.iter().filter(|entry| !entry.is_part);
        Ok(StoreStats {
            packs: u64::from(!entries.is_empty()),
            objects: objects().count() as u64,
            bytes: self.bytes() + (table.len() + directory.len() + format::FOOTER_LEN) as u64,
            raw_bytes: objects().map(|entry| entry.plain).fold(0, u64::saturating_add),
        })
    }

    fn put_in_place(&mut self, id: PackId) -> Result<()> {
        let (Some(temp), Some(file)) = (&self.temp, &self.pending.file) else { return Err(Error::Poisoned) };
        let objects = &self.store.0.objects;
        file.sync()?;
        temp.dir.rename(&temp.name, objects, id.file_name())?;
        self.temp = None;
        if let Err(error) = objects.sync() {
            // A later sync says nothing about this name any more: nobody may find objects here.
            let _as_good_as_it_gets = objects.remove_file(id.file_name());
            return Err(error.into());
        }
        Ok(())
    }
}

impl Drop for PackWriter {
    fn drop(&mut self) {
        if let Some(temp) = &self.temp {
            let _the_next_writer_removes_it = temp.dir.remove_file(&temp.name);
        }
    }
}

impl Source for PackWriter {
    fn try_find(&self, id: ObjectId) -> std::result::Result<Option<Object>, SourceError> {
        PackWriter::try_find(self, id).map_err(|error| error.for_source(id))
    }

    fn contains(&self, id: ObjectId) -> std::result::Result<bool, SourceError> {
        Ok(self.pending.entries.contains_key(&id) || Source::contains(&self.store, id)?)
    }

    fn missing(&self, kind: Kind, id: ObjectId) -> SourceError {
        Source::missing(&self.store, kind, id)
    }

    fn try_info(&self, id: ObjectId) -> std::result::Result<Option<(Kind, u64)>, SourceError> {
        match self.pending.entry(&id) {
            Some(entry) => Ok(Some((entry.kind, entry.plain))),
            None => Source::try_info(&self.store, id),
        }
    }
}

/// Makes a locked temporary file. Mode 0400 from the start: the open file can be written all the same,
/// and what it becomes never is, nor read by other users.
fn create_temp(dot: &Dir) -> Result<(Temp, File)> {
    let dir = dot.open_or_create_dir(TEMP)?;
    remove_rubbish(&dir)?;
    loop {
        let mut name = OsString::from(TEMP_NAME_PREFIX);
        name.push(fs::temp_name());
        let file = match dir.create_new(&name, 0o400) {
            Err(error) if error.is_exists() => continue,
            other => other?,
        };
        // Between its making and its locking another writer may have taken it for rubbish.
        let is_ours = file.try_lock(LockKind::Exclusive)?
            && dir.try_stat(&name)?.is_some_and(|stat| file.stat().is_ok_and(|own| own.inode == stat.inode));
        if is_ours {
            return Ok((Temp { dir, name }, file));
        }
    }
}

/// Removes temporary packs whose writer is gone.
pub(in crate::store) fn remove_rubbish(dir: &Dir) -> Result<()> {
    for (name, _) in dir.list()? {
        if !name.to_str().is_some_and(|name| name.starts_with(TEMP_NAME_PREFIX)) {
            continue;
        }
        let is_abandoned = match dir.open(&name) {
            Ok(file) => file.try_lock(LockKind::Exclusive)?,
            Err(error) if error.is_not_found() => false,
            Err(error) => return Err(error.into()),
        };
        if is_abandoned {
            match dir.remove_file(&name) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(())
}
