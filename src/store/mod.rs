//! The store: objects at rest in packs.
//!
//! - Only packs; a [`PackWriter`] makes one, all of whose objects appear at once. Nothing in a pack is
//!   ever changed, so that readers need no lock.
//! - Every object handed out was hashed; a delta's base and a chunk too. What does not hash is looked
//!   for in the other packs before it is an error.
//! - "No such object" is said only when every pack could be asked and the list of packs was stable
//!   meanwhile. A pack that is damaged where the answer would be makes it an error instead.
//! - No record holds more than [`RECORD_MAX`] plain bytes: what is larger is cut into chunks and has a
//!   recipe. So memory is bounded whoever wrote the pack.
//!
//! Limits: an object above [`OBJECT_IN_MEMORY_MAX`] can only be streamed.

mod ahead;
mod cache;
mod chunk;
mod compact;
mod error;
pub(crate) mod frame;
mod merge;
mod pack;
mod read;
mod recipe;
mod remove;
mod salvage;
mod tombstone;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use zstd::zstd_safe::DDict;

use crate::fs::{Dir, File};
use crate::object::{BlobId, Commit, CommitId, Kind, Object, ObjectId, Prefix, Source, SourceError};

use ahead::Ahead;
use cache::Cache;
use pack::format::Entry;
use pack::read::Pack;
use read::{Found, Place};

pub use chunk::{CHUNK_AVERAGE, CHUNK_MAX, CHUNK_MIN};
pub use compact::{Compacted, Compaction, Leftovers, Lineage, Unnamed};
pub use error::{Error, Result};
pub use frame::RECORD_MAX;
pub use merge::MERGED_MAX;
pub use pack::PackId;
pub use pack::large::Onlooker;
pub use pack::version::Version;
pub use pack::write::{NewObject, PackWriter};
pub use read::{OBJECT_IN_MEMORY_MAX, ObjectReader, StoredFrame};
pub use recipe::Piece;
pub use remove::Removed;
pub use salvage::{Salvage, SetAside};
pub use tombstone::{Stage, Tombstone, Tombstones};
pub use verify::{Checkup, Extent, Part, Problem, Progress};

const OBJECTS: &str = "objects";
const TEMP: &str = "tmp";
/// So many files of packs are kept open for reading records.
const OPEN_FILES_MAX: usize = 16;

/// The packs of a vault. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    dot: Dir,
    objects: Dir,
    packs: RwLock<Arc<Vec<Arc<Pack>>>>,
    /// The index of the pack in which something was found last.
    latest: AtomicUsize,
    cache: Cache,
    ahead: Ahead,
    open_files: Mutex<VecDeque<(PackId, File)>>,
    below: Option<Store>,
    tombstones: RwLock<Arc<Tombstones>>,
    dictionaries: Mutex<HashMap<ObjectId, Arc<DDict<'static>>>>,
    /// Whether what others put into the folder is never listed.
    is_blank: bool,
}

/// What one pack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackStats {
    /// The pack.
    pub id: PackId,
    /// Number of objects, without chunks and recipes.
    pub objects: u64,
    /// Number of records, with chunks and recipes.
    pub records: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Sum of the objects' lengths in bytes.
    pub raw_bytes: u64,
}

/// What all packs hold. An object in two packs counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Number of packs.
    pub packs: u64,
    /// Number of objects, without chunks and recipes.
    pub objects: u64,
    /// Sum of the packs' lengths in bytes.
    pub bytes: u64,
    /// Sum of the objects' lengths in bytes.
    pub raw_bytes: u64,
}

impl Store {
    /// Makes the folders of an empty store in `dot`, durably; existing ones stay.
    pub fn create(dot: &Dir) -> Result<()> {
        dot.open_or_create_dir(OBJECTS)?;
        dot.open_or_create_dir(TEMP)?;
        Ok(())
    }

    /// Opens the store in `dot`. Packs are listed now and opened when needed.
    pub fn open(dot: &Dir) -> Result<Store> {
        Store::open_over(dot, None)
    }

    /// Opens the store in `dot` so that everything in `below` counts as being in it: it is found, is
    /// not stored again, and serves as base. Packs written to it can later be moved there by
    /// [`Store::adopt`].
    pub fn open_over(dot: &Dir, below: Option<&Store>) -> Result<Store> {
        let store = Store::new(dot.clone(), dot.open_dir(OBJECTS)?, below.cloned(), false);
        store.reload()?;
        Ok(store)
    }

    fn new(dot: Dir, objects: Dir, below: Option<Store>, is_blank: bool) -> Store {
        Store(Arc::new(Inner {
            dot,
            objects,
            packs: RwLock::default(),
            latest: AtomicUsize::new(0),
            cache: Cache::default(),
            ahead: Ahead::default(),
            open_files: Mutex::default(),
            below,
            tombstones: RwLock::default(),
            dictionaries: Mutex::default(),
            is_blank,
        }))
    }

    /// Opens the same folder as if there were no pack in it yet: all that is known is what is written here.
    fn blank(&self) -> Store {
        Store::new(self.0.dot.clone(), self.0.objects.clone(), None, true)
    }

    fn list(&self) -> Arc<Vec<Arc<Pack>>> {
        self.0.packs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lists the packs again, so that nothing counts as stored that is not.
    pub fn refresh(&self) -> Result<()> {
        self.reload().map(|_| ())
    }

    /// Lists the packs again; tells whether the list changed, here or below.
    fn reload(&self) -> Result<bool> {
        if self.0.is_blank {
            return Ok(false);
        }
        let names = self.0.objects.list()?;
        let ids = names.iter().filter_map(|(name, _)| PackId::from_file_name(name));
        let mut packs = self.0.packs.write().unwrap_or_else(PoisonError::into_inner);
        let known: BTreeMap<PackId, Arc<Pack>> = packs.iter().map(|pack| (pack.id(), pack.clone())).collect();
        let fresh: Vec<Arc<Pack>> =
            ids.map(|id| known.get(&id).cloned().unwrap_or_else(|| Arc::new(Pack::new(id)))).collect();
        let is_same = fresh.len() == packs.len() && fresh.iter().all(|pack| known.contains_key(&pack.id()));
        if !is_same {
            *packs = Arc::new(fresh);
        }
        drop(packs);
        let is_same_below = match &self.0.below {
            Some(below) => !below.reload()?,
            None => true,
        };
        Ok(!(is_same && is_same_below))
    }

    /// Lists a pack that was just published.
    fn insert(&self, id: PackId) {
        let mut packs = self.0.packs.write().unwrap_or_else(PoisonError::into_inner);
        if let Err(place) = packs.binary_search_by_key(&id, |pack| pack.id()) {
            Arc::make_mut(&mut packs).insert(place, Arc::new(Pack::new(id)));
        }
    }

    /// Takes packs that are gone off the list.
    fn forget(&self, gone: &[PackId]) {
        let mut packs = self.0.packs.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut packs).retain(|pack| !gone.contains(&pack.id()));
        let mut files = self.0.open_files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|(id, _)| !gone.contains(id));
    }

    /// Runs `find` until it has an answer or the list of packs is stable.
    fn with_reload<T>(&self, mut find: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        loop {
            let answer = find();
            let is_final = match &answer {
                Ok(Some(_)) => true,
                Ok(None) => false,
                Err(error) => !may_be_stale(error),
            };
            if is_final || !self.reload()? {
                return answer;
            }
        }
    }

    /// Calls `visit` with each record of `id`, the pack asked first that answered last, until it
    /// returns `false`. Returns the first damage that kept a pack from answering.
    fn each_record(&self, id: &ObjectId, visit: &mut dyn FnMut(Found) -> bool) -> Result<Option<Error>> {
        let packs = self.list();
        let latest = self.0.latest.load(Ordering::Relaxed).min(packs.len());
        let mut damage = None;
        let order = (latest..packs.len()).take(1).chain((0..packs.len()).filter(|i| *i != latest));
        for index in order {
            match packs[index].find(&self.0.objects, id) {
                Ok(None) => {}
                Ok(Some(entry)) => {
                    self.0.latest.store(index, Ordering::Relaxed);
                    let found = Found { place: Place::Pack(self.clone(), packs[index].clone()), entry };
                    if !visit(found) {
                        return Ok(None);
                    }
                }
                Err(error @ Error::Pack { .. }) => damage = damage.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match &self.0.below {
            Some(below) => Ok(below.each_record(id, visit)?.or(damage)),
            None => Ok(damage),
        }
    }

    /// Finds a record of `id` in the packs as listed now.
    fn locate(&self, id: &ObjectId) -> Result<Option<Found>> {
        let mut found = None;
        let damage = self.each_record(id, &mut |record| {
            found = Some(record);
            false
        })?;
        match (found, damage) {
            (Some(found), _) => Ok(Some(found)),
            (None, Some(damage)) => Err(damage),
            (None, None) => Ok(None),
        }
    }

    /// Tells whether the packs listed so far have the object, with all bases that it is made on. Cheaper than
    /// [`Source::contains`]: does not look for new packs, and a damaged pack counts as not having it. Right for
    /// deciding whether to fetch or store something, where doing it twice is harmless.
    pub fn knows(&self, id: ObjectId) -> Result<bool> {
        match self.has_chain(id) {
            Err(error) if error.is_damage() || may_be_stale(&error) => Ok(false),
            other => other,
        }
    }

    /// Tells whether some record of `id` is there with its base, that with its own, and so on.
    fn has_chain(&self, id: ObjectId) -> Result<bool> {
        let mut at = id;
        for _ in 0..read::CHAIN_MAX {
            let Some(found) = self.locate(&at)? else { break };
            match verify::base_of(&found.entry) {
                Some(base) => at = base,
                None => return Ok(true),
            }
        }
        if at == id {
            return Ok(false);
        }
        // The first copies do not lead anywhere; others may.
        let (mut seen, mut open) = (HashSet::from([id]), vec![id]);
        while let Some(id) = open.pop() {
            let mut bases = Vec::new();
            self.each_record(&id, &mut |copy| {
                bases.push(verify::base_of(&copy.entry));
                true
            })?;
            if bases.contains(&None) {
                return Ok(true);
            }
            open.extend(bases.into_iter().flatten().filter(|base| seen.insert(*base)));
        }
        Ok(false)
    }

    /// Returns kind and length in bytes from the table alone.
    pub fn try_info(&self, id: ObjectId) -> Result<Option<(Kind, u64)>> {
        let found = self.with_reload(|| self.locate(&id))?;
        Ok(found.map(|found| (found.entry.kind, found.entry.plain)))
    }

    /// Tells whether there is such an object. Nothing of it is read.
    pub fn contains(&self, id: ObjectId) -> Result<bool> {
        Ok(self.try_info(id)?.is_some())
    }

    /// Returns the ids that begin with `prefix`, sorted; at most a few, enough to show an ambiguity.
    /// Chunks of large objects are among them, and blobs that were purged.
    pub fn find_prefix(&self, prefix: &Prefix) -> Result<Vec<ObjectId>> {
        const FEW: usize = 8;
        let (low, high) = prefix.range();
        let found = self.with_reload(|| {
            let mut ids = match &self.0.below {
                Some(below) => below.find_prefix(prefix)?,
                None => self.tombstones().range(low..=high).map(|(id, _)| *id).take(FEW).collect(),
            };
            let mut damage = None;
            for pack in self.list().iter() {
                match pack.range(&self.0.objects, &low, &high, FEW) {
                    Ok(entries) => ids.extend(entries.iter().map(|entry| entry.id)),
                    Err(error @ Error::Pack { .. }) => damage = damage.or(Some(error)),
                    Err(error) => return Err(error),
                }
            }
            if let (true, Some(damage)) = (ids.is_empty(), damage) {
                return Err(damage);
            }
            ids.sort_unstable();
            ids.dedup();
            ids.truncate(FEW);
            Ok((!ids.is_empty()).then_some(ids))
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Returns all objects with their kinds, sorted by id, chunks and recipes of large objects among
    /// them as blobs; what lies below is not.
    pub fn ids(&self) -> Result<Vec<(ObjectId, Kind)>> {
        let ids = self.with_reload(|| {
            let mut ids = Vec::new();
            for pack in self.list().iter() {
                ids.extend(pack.entries(&self.0.objects)?.iter().map(|entry| (entry.id, entry.kind)));
            }
            Ok(Some(ids))
        })?;
        let mut ids = ids.unwrap_or_default();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Returns what each pack holds, by its footer, sorted by name.
    pub fn packs(&self) -> Result<Vec<PackStats>> {
        self.reload()?;
        let stats = self.with_reload(|| {
            let packs = self.list();
            let stats = packs.iter().map(|pack| {
                let (footer, bytes) = pack.footer(&self.0.objects)?;
                Ok(PackStats {
                    id: pack.id(),
                    objects: footer.objects,
                    records: footer.records,
                    bytes,
                    raw_bytes: footer.plain_bytes,
                })
            });
            stats.collect::<Result<Vec<_>>>().map(Some)
        })?;
        Ok(stats.unwrap_or_default())
    }

    /// Returns what all packs hold together.
    pub fn stats(&self) -> Result<StoreStats> {
        let add = |sum: StoreStats, pack: &PackStats| StoreStats {
            packs: sum.packs + 1,
            objects: sum.objects + pack.objects,
            bytes: sum.bytes + pack.bytes,
            raw_bytes: sum.raw_bytes + pack.raw_bytes,
        };
        Ok(self.packs()?.iter().fold(StoreStats::default(), add))
    }

    /// Starts a new pack. Touches the disk only when there is something to write.
    pub fn writer(&self) -> Result<PackWriter> {
        Ok(PackWriter::new(self.clone()))
    }

    /// Moves the packs of `other`, a store on the same file system, into this one: the names first
    /// become durable here. A crash between leaves each pack in one of the two.
    pub fn adopt(&self, other: &Store) -> Result<Vec<PackId>> {
        other.reload()?;
        let ids: Vec<PackId> = other.list().iter().map(|pack| pack.id()).collect();
        for id in &ids {
            other.0.objects.rename(id.file_name(), &self.0.objects, id.file_name())?;
        }
        if !ids.is_empty() {
            self.0.objects.sync()?;
            self.reload()?;
            other.reload()?;
        }
        Ok(ids)
    }

    /// Returns the bytes of a record's frame.
    fn stored(&self, pack: &Pack, entry: &Entry) -> Result<Vec<u8>> {
        let file = self.pack_file(pack)?;
        let mut bytes = vec![0; entry.stored as usize];
        file.read_exact_at(&mut bytes, entry.offset)?;
        Ok(bytes)
    }

    fn pack_file(&self, pack: &Pack) -> Result<File> {
        let id = pack.id();
        let open_files = || self.0.open_files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = open_files().iter().find(|(other, _)| *other == id) {
            return Ok(file.clone());
        }
        let file = pack.open_file(&self.0.objects)?;
        let mut files = open_files();
        files.push_front((id, file.clone()));
        files.truncate(OPEN_FILES_MAX);
        Ok(file)
    }
}

/// Tells whether an error can come from a pack that was merged away since it was listed.
fn may_be_stale(error: &Error) -> bool {
    match error {
        Error::Disk(error) => error.is_not_found(),
        Error::Rests { source, .. } => may_be_stale(source) || matches!(**source, Error::Missing { .. }),
        Error::Pack { .. } | Error::Record { .. } => true,
        _ => false,
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dot", &self.0.dot.path()).finish_non_exhaustive()
    }
}

impl Source for Store {
    fn try_find(&self, id: ObjectId) -> std::result::Result<Option<Object>, SourceError> {
        Store::try_find(self, id).map_err(|error| error.for_source(id))
    }

    fn contains(&self, id: ObjectId) -> std::result::Result<bool, SourceError> {
        Store::contains(self, id).map_err(|error| error.for_source(id))
    }

    fn try_info(&self, id: ObjectId) -> std::result::Result<Option<(Kind, u64)>, SourceError> {
        Store::try_info(self, id).map_err(|error| error.for_source(id))
    }

    fn find_commit(&self, id: CommitId) -> std::result::Result<Commit, SourceError> {
        self.commit(id).map(Arc::unwrap_or_clone)
    }

    fn content_sha256(&self, id: BlobId) -> std::result::Result<[u8; 32], SourceError> {
        let mut hasher = Hashing(Sha256::new());
        let id = id.object();
        match self.read_to(id, &mut hasher) {
            Ok((Kind::Blob, _)) => Ok(hasher.0.finalize().into()),
            Ok((kind, _)) => {
                let source = format!("it is a {kind}").into();
                Err(SourceError::Invalid { kind: Kind::Blob, id, source })
            }
            Err(error) => Err(error.for_source(id)),
        }
    }
}

/// Hashes what is written.
struct Hashing(Sha256);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
