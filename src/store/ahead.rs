//! Commits and trees read ahead: a walk down a long history gets them in blocks, which all cores decode.
//!
//! - A pack has the commits of a history, and the trees, in the order in which they were made, or the other way
//!   round. Who asks one pack for one after the other walks, and will want those beyond.
//! - What is kept here was hashed like anything else. What cannot be read ahead is left to whoever asks for
//!   it, so that damage is told of the object that was wanted.
//! - Listing what a pack has of a kind reads its whole table. That is done once as many were asked for one by one
//!   that it costs no more than those did; a look at the last few reads nothing ahead.
//! - Three blocks of each kind are in memory at most, with so many objects and bytes as a block may have.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::error::Result;
use super::frame::{self, Reference};
use super::pack::format::{Entry, Form};
use super::pack::read::{Pack, Slot};
use super::read::{Found, Place};
use super::{PackId, Store};
use crate::object::{Commit, CommitId, Kind, ObjectId, Source, SourceError, TreeId, hash_object};

/// So many objects are read one by one from a pack before any is read ahead.
const ASKED_MIN: u64 = 32;
/// For each object that was read, so many records may be listed.
const RECORDS_LISTED: u64 = 256;
const BLOCK_MIN: usize = 64;
const BLOCK_MAX: usize = 2048;
/// A block has no more plain bytes, but for its first object.
const BLOCK_BYTES_MAX: u64 = 4 << 20;
/// One in so many of a block must have been asked for, or it was no walk.
const HITS_PER: usize = 8;
/// So many neighbours are decoded in one go: a history with skips has few bases outside of them.
const RUN: usize = 256;
/// Neighbours that span more bytes are read one by one.
const RUN_BYTES_MAX: u64 = 1 << 20;

/// What was read ahead, and why.
#[derive(Default)]
pub struct Ahead {
    commits: Mutex<Line<Arc<Commit>>>,
    trees: Mutex<Line<Arc<[u8]>>>,
    #[cfg(test)]
    counted: Mutex<Counted>,
}

/// What tests ask for.
#[cfg(test)]
#[derive(Default)]
struct Counted {
    commits_asked: usize,
    read_ahead: HashMap<Kind, usize>,
}

/// What is read ahead: commits, decoded, or the bytes of trees.
trait Item: Clone + Send + 'static {
    const KIND: Kind;

    /// Makes it of bytes that were hashed; `before` was made just before it.
    fn decode(bytes: &[u8], before: Option<&Self>) -> Option<Self>;

    fn line(ahead: &Ahead) -> &Mutex<Line<Self>>;
}

impl Item for Arc<Commit> {
    const KIND: Kind = Kind::Commit;

    fn decode(bytes: &[u8], before: Option<&Self>) -> Option<Self> {
        Commit::decode_beside(bytes, before.map(|commit| &**commit)).ok().map(Arc::new)
    }

    fn line(ahead: &Ahead) -> &Mutex<Line<Self>> {
        &ahead.commits
    }
}

impl Item for Arc<[u8]> {
    const KIND: Kind = Kind::Tree;

    fn decode(bytes: &[u8], _: Option<&Self>) -> Option<Self> {
        Some(bytes.into())
    }

    fn line(ahead: &Ahead) -> &Mutex<Line<Self>> {
        &ahead.trees
    }
}

/// What was read ahead of one kind.
struct Line<T> {
    /// The last two blocks, the newer first: what is asked for twice is asked for soon.
    blocks: [Block<T>; 2],
    block_len: usize,
    /// How many of the newest block were asked for.
    hits: usize,
    asked: Option<Asked>,
    /// What packs have of the kind by offset, where that was listed.
    listed: HashMap<PackId, Listed>,
    /// What is beyond the newest block, and what reads it meanwhile.
    beyond: Option<Span>,
    coming: Option<Receiver<(Block<T>, Span)>>,
}

/// The pack that was asked last, how often in a row, and how often for what stands behind the one asked before.
struct Asked {
    pack: PackId,
    times: u64,
    onward: u64,
    offset: u64,
}

/// A part of what one pack has of a kind that was not read yet, and from which end it is read.
#[derive(Clone)]
struct Span {
    pack: Arc<Pack>,
    listed: Listed,
    range: Range<usize>,
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From the end of the pack to its beginning.
    Back,
    /// From its beginning to its end.
    Onward,
}

/// Objects that were read ahead.
type Block<T> = HashMap<ObjectId, T>;
/// What a pack has of one kind, by offset.
type Listed = Arc<Vec<Slot>>;

impl Ahead {
    fn line<T: Item>(&self) -> MutexGuard<'_, Line<T>> {
        // A panic elsewhere leaves at worst a block that is forgotten.
        T::line(self).lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().expect("no test panics while it counts")
    }
}

impl<T> Default for Line<T> {
    fn default() -> Line<T> {
        Line {
            blocks: [Block::new(), Block::new()],
            block_len: 0,
            hits: 0,
            asked: None,
            listed: HashMap::new(),
            beyond: None,
            coming: None,
        }
    }
}

impl<T: Item> Line<T> {
    fn get(&mut self, store: &Store, id: ObjectId) -> Option<T> {
        let [newer, older] = &self.blocks;
        let Some(item) = newer.get(&id).cloned() else { return older.get(&id).cloned() };
        self.hits += 1;
        self.read_on(store);
        Some(item)
    }

    /// Counts an object that was read by itself, and tells how many should be read ahead of it, if any, and
    /// which way.
    fn count(&mut self, found: &Entry, pack: PackId, records: u64) -> Option<(usize, Way)> {
        let offset = found.offset;
        let asked = match self.asked.take().filter(|asked| asked.pack == pack) {
            Some(asked) => Asked {
                times: asked.times + 1,
                onward: asked.onward + u64::from(offset > asked.offset),
                offset,
                pack,
            },
            None => Asked { pack, times: 1, onward: 0, offset },
        };
        let listing = if self.listed.contains_key(&pack) { 0 } else { records / RECORDS_LISTED };
        let (times, onward) = (asked.times, asked.onward);
        self.asked = Some(asked);
        if times < ASKED_MIN.max(listing) {
            return None;
        }
        // A block of which little was used was no walk: begin anew.
        if self.block_len > 0 && self.hits < self.block_len / HITS_PER {
            (self.block_len, self.asked) = (0, None);
            return None;
        }
        self.grow();
        self.hits = 0;
        Some((self.block_len, if onward * 2 > times { Way::Onward } else { Way::Back }))
    }

    fn grow(&mut self) {
        self.block_len = (self.block_len * 2).clamp(BLOCK_MIN, BLOCK_MAX);
    }

    fn keep(&mut self, block: Block<T>, beyond: Span) {
        self.blocks.swap(0, 1);
        self.blocks[0] = block;
        self.beyond = Some(beyond);
        self.hits = 0;
    }

    /// Lets another thread read what is beyond the newest block, once that proves of use.
    fn read_on(&mut self, store: &Store) {
        // Who works in the pool must not wait for the pool.
        let may_wait = rayon::current_thread_index().is_none() && rayon::current_num_threads() > 1;
        if self.hits * HITS_PER < self.blocks[0].len() || self.coming.is_some() || !may_wait {
            return;
        }
        let Some(mut span) = self.beyond.take().filter(|span| !span.range.is_empty()) else { return };
        self.grow();
        let (store, count, (sender, receiver)) = (store.clone(), self.block_len, channel());
        self.coming = Some(receiver);
        rayon::spawn(move || {
            let block = span.read(&store, count);
            drop(store);
            let _nobody_waits_any_more = sender.send((block, span));
        });
    }
}

impl Span {
    /// Reads at most `count` objects of the near end.
    fn read<T: Item>(&mut self, store: &Store, count: usize) -> Block<T> {
        let entries = self.take(store, count);
        let runs = entries.par_chunks(RUN).map(|run| store.decode_run(&self.pack, run));
        let runs: Vec<Vec<(ObjectId, T)>> = runs.collect();
        let mut block = Block::with_capacity(runs.iter().map(Vec::len).sum());
        block.extend(runs.into_iter().flatten());
        #[cfg(test)]
        {
            *store.0.ahead.counted().read_ahead.entry(T::KIND).or_default() += block.len();
        }
        block
    }

    /// Takes the next objects off the near end, at most `count` and as many bytes as a block may have. Returns
    /// their entries by offset.
    fn take(&mut self, store: &Store, count: usize) -> Vec<Entry> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < count && !self.range.is_empty() {
            let near = if self.way == Way::Back { self.range.end - 1 } else { self.range.start };
            // What cannot be read of the table is left to who asks for it.
            if let Ok(entry) = self.pack.entry_in(&store.0.objects, self.listed[near]) {
                bytes += entry.plain;
                if bytes > BLOCK_BYTES_MAX && !entries.is_empty() {
                    break;
                }
                entries.push(entry);
            }
            match self.way {
                Way::Back => self.range.end = near,
                Way::Onward => self.range.start = near + 1,
            }
        }
        if self.way == Way::Back {
            entries.reverse();
        }
        entries
    }
}

impl Store {
    /// Returns a commit, read by itself or ahead of the walk that asks for it.
    pub fn commit(&self, id: CommitId) -> std::result::Result<Arc<Commit>, SourceError> {
        #[cfg(test)]
        {
            self.0.ahead.counted().commits_asked += 1;
        }
        if let Some(commit) = self.read_before::<Arc<Commit>>(id.object()) {
            return Ok(commit);
        }
        let object = self.find(id.object(), Kind::Commit)?;
        let commit = Commit::decode(&object.data).map_err(|error| SourceError::Invalid {
            kind: Kind::Commit,
            id: id.object(),
            source: error.into(),
        })?;
        // What goes wrong here goes wrong again for whoever needs it.
        let _only_a_help = self.read_ahead::<Arc<Commit>>(id.object());
        Ok(Arc::new(commit))
    }

    /// Returns the bytes of a tree to a walk that looks at one after the other, read by itself or ahead.
    pub fn tree_of_walk(&self, id: TreeId) -> std::result::Result<Arc<[u8]>, SourceError> {
        if let Some(bytes) = self.read_before::<Arc<[u8]>>(id.object()) {
            return Ok(bytes);
        }
        let bytes = self.find_tree_bytes(id)?;
        let _only_a_help = self.read_ahead::<Arc<[u8]>>(id.object());
        Ok(bytes)
    }

    /// Returns how many commits this store was asked for: what a walk costs.
    #[cfg(test)]
    pub fn commits_asked(&self) -> usize {
        self.0.ahead.counted().commits_asked
    }

    /// Returns how many objects of a kind were read ahead.
    #[cfg(test)]
    pub fn read_ahead_of(&self, kind: Kind) -> usize {
        self.0.ahead.counted().read_ahead.get(&kind).copied().unwrap_or(0)
    }

    /// Looks for what was read ahead; waits for the block that is being read, if one is.
    fn read_before<T: Item>(&self, id: ObjectId) -> Option<T> {
        let mut line = self.0.ahead.line::<T>();
        if let Some(item) = line.get(self, id) {
            return Some(item);
        }
        let coming = line.coming.take()?;
        drop(line);
        let (block, beyond) = coming.recv().ok()?;
        let mut line = self.0.ahead.line();
        line.keep(block, beyond);
        line.get(self, id)
    }

    fn read_ahead<T: Item>(&self, id: ObjectId) -> Result<()> {
        let Some(Found { place: Place::Pack(store, pack), entry }) = self.locate(&id)? else {
            return Ok(());
        };
        if !Arc::ptr_eq(&store.0, &self.0) {
            return Ok(()); // what lies below is walked by way of its own store
        }
        let footer = pack.footer(&store.0.objects)?.0;
        let line = || self.0.ahead.line::<T>();
        let counted = line().count(&entry, pack.id(), footer.records);
        let Some((count, way)) = counted else { return Ok(()) };
        let listed = line().listed.get(&pack.id()).cloned();
        let listed = match listed {
            Some(listed) => listed,
            None => {
                let listed: Listed = Arc::new(list(&store, &pack, 1 << footer.bits, T::KIND)?);
                line().listed.insert(pack.id(), listed.clone());
                listed
            }
        };
        let at = listed.partition_point(|other| other.offset < entry.offset);
        let range = if way == Way::Back { 0..at } else { (at + 1).min(listed.len())..listed.len() };
        let mut span = Span { pack, listed, range, way };
        let block = span.read(self, count);
        line().keep(block, span);
        Ok(())
    }

    /// Decodes neighbours, each on those before it where they are its base; leaves out what is not sound.
    fn decode_run<T: Item>(&self, pack: &Arc<Pack>, run: &[Entry]) -> Vec<(ObjectId, T)> {
        let bytes = self.stored_run(pack, run).ok().flatten();
        let base_of = |entry: &Entry| match entry.form {
            Form::Delta(base) => Some(base),
            Form::Whole | Form::Dictionary(_) => None,
        };
        let bases: HashSet<ObjectId> = run.iter().filter_map(base_of).collect();
        let mut plain: HashMap<ObjectId, Vec<u8>> = HashMap::with_capacity(bases.len());
        let mut items: Vec<(ObjectId, T)> = Vec::with_capacity(run.len());
        for entry in run {
            if let Some(base) = base_of(entry).filter(|base| !plain.contains_key(base)) {
                let Ok(Some(object)) = self.try_find(base) else { continue };
                plain.insert(base, object.data.to_vec());
            }
            let dictionary = match entry.form {
                Form::Dictionary(id) => match self.shelf().dictionary(id) {
                    Ok(dictionary) => Some(dictionary),
                    Err(_) => continue,
                },
                Form::Whole | Form::Delta(_) => None,
            };
            let reference = match (entry.form, &dictionary) {
                (Form::Delta(base), _) => Reference::Prefix(&plain[&base]),
                (_, Some(dictionary)) => Reference::Dictionary(dictionary),
                (_, None) => Reference::None,
            };
            // A damaged table may have records overlap.
            let in_run = bytes.as_ref().and_then(|bytes| {
                let start = (entry.offset - run[0].offset) as usize;
                bytes.get(start..start + entry.stored as usize)
            });
            let stored = match in_run {
                Some(stored) => Cow::Borrowed(stored),
                None => match self.stored(pack, entry) {
                    Ok(stored) => Cow::Owned(stored),
                    Err(_) => continue,
                },
            };
            let Ok(bytes) = frame::decode(&stored, Some(entry.plain), reference) else { continue };
            if hash_object(T::KIND, &bytes) != entry.id {
                continue;
            }
            if let Some(item) = T::decode(&bytes, items.last().map(|(_, item)| item)) {
                items.push((entry.id, item));
            }
            if bases.contains(&entry.id) {
                plain.insert(entry.id, bytes);
            }
        }
        items
    }

    /// Reads the frames of neighbours in one go, unless much else lies between them.
    fn stored_run(&self, pack: &Pack, run: &[Entry]) -> Result<Option<Vec<u8>>> {
        let [first, .., last] = run else { return Ok(None) };
        let length = last.offset + u64::from(last.stored) - first.offset;
        if length > RUN_BYTES_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        self.pack_file(pack)?.read_exact_at(&mut bytes, first.offset)?;
        Ok(Some(bytes))
    }
}

/// Lists what a pack with so many buckets has of a kind, by offset.
fn list(store: &Store, pack: &Pack, buckets: usize, kind: Kind) -> Result<Vec<Slot>> {
    let slots = |number| Ok(pack.slots(&store.0.objects, number, kind)?.unwrap_or_default());
    let listed: Result<Vec<Vec<Slot>>> = (0..buckets).into_par_iter().with_min_len(64).map(slots).collect();
    let mut listed = listed?.concat();
    listed.sort_unstable_by_key(|slot| slot.offset);
    Ok(listed)
}
