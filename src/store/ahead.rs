//! Commits read ahead: a walk down a long history gets them in blocks, which all cores decode.
//!
//! - A pack has the commits of a history in the order in which they were made. Who asks one pack for one
//!   commit after the other walks down, and will want those before.
//! - What is kept here was hashed like anything else. What cannot be read ahead is left to whoever asks for
//!   it, so that damage is told of the commit that was wanted.
//! - Listing a pack's commits reads its whole table. That is done once as many were asked for one by one that
//!   it costs no more than those did; a look at the last few reads nothing ahead.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::error::Result;
use super::frame::{self, Reference};
use super::pack::format::{Entry, Form};
use super::pack::read::Pack;
use super::read::{Found, Place};
use super::{PackId, Store};
use crate::object::{Commit, CommitId, Kind, ObjectId, Source, SourceError, hash_object};

/// So many commits are read one by one from a pack before any is read ahead.
const ASKED_MIN: u64 = 32;
/// For each commit that was read, so many records may be listed.
const RECORDS_LISTED: u64 = 256;
const BLOCK_MIN: usize = 256;
const BLOCK_MAX: usize = 4096;
/// So many neighbours are decoded in one go: a history with skips has few bases outside of them.
const RUN: usize = 256;
/// Neighbours that span more bytes are read one by one.
const RUN_BYTES_MAX: u64 = 1 << 20;

/// What was read ahead, and why.
#[derive(Default)]
pub struct Ahead(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// The last two blocks, the newer first: what is asked for twice is asked for soon.
    blocks: [Block; 2],
    block_len: usize,
    /// How many of the newest block were asked for.
    hits: usize,
    /// The pack that was asked last, and how often in a row.
    asked: Option<(PackId, u64)>,
    /// The commits of packs by offset, where they were listed.
    listed: HashMap<PackId, Listed>,
    /// What is before the newest block, and what reads it meanwhile.
    before: Option<Span>,
    /// How many commits were asked for.
    #[cfg(test)]
    asked_in_all: usize,
    coming: Option<Receiver<(Block, Span)>>,
}

/// Commits of one pack, of which those before `end` were not read yet.
#[derive(Clone)]
struct Span {
    pack: Arc<Pack>,
    listed: Listed,
    end: usize,
}

/// Commits that were read ahead.
type Block = HashMap<CommitId, Arc<Commit>>;
/// A pack's commits by offset.
type Listed = Arc<Vec<Entry>>;

impl Ahead {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic elsewhere leaves at worst a block that is forgotten.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn get(&mut self, store: &Store, id: CommitId) -> Option<Arc<Commit>> {
        #[cfg(test)]
        {
            self.asked_in_all += 1;
        }
        let [newer, older] = &self.blocks;
        let Some(commit) = newer.get(&id).cloned() else { return older.get(&id).cloned() };
        self.hits += 1;
        self.read_on(store);
        Some(commit)
    }

    /// Counts a commit that was read by itself, and tells how many should be read ahead of it, if any.
    fn count(&mut self, pack: PackId, records: u64) -> Option<usize> {
        let asked = match self.asked {
            Some((last, asked)) if last == pack => asked + 1,
            _ => 1,
        };
        self.asked = Some((pack, asked));
        let listing = if self.listed.contains_key(&pack) { 0 } else { records / RECORDS_LISTED };
        if asked < ASKED_MIN.max(listing) {
            return None;
        }
        // A block of which little was used was no walk: begin anew.
        if self.block_len > 0 && self.hits < self.block_len / 4 {
            (self.block_len, self.asked) = (0, None);
            return None;
        }
        self.block_len = (self.block_len * 2).clamp(BLOCK_MIN, BLOCK_MAX);
        self.hits = 0;
        Some(self.block_len)
    }

    fn keep(&mut self, block: Block, before: Span) {
        self.blocks.swap(0, 1);
        self.blocks[0] = block;
        self.before = Some(before);
    }

    /// Lets another thread read what comes before the newest block once half of that was asked for.
    fn read_on(&mut self, store: &Store) {
        // Who works in the pool must not wait for the pool.
        let may_wait = rayon::current_thread_index().is_none() && rayon::current_num_threads() > 1;
        if self.hits * 2 < self.blocks[0].len() || self.coming.is_some() || !may_wait {
            return;
        }
        let Some(mut span) = self.before.take().filter(|span| span.end > 0) else { return };
        self.block_len = (self.block_len * 2).clamp(BLOCK_MIN, BLOCK_MAX);
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
    /// Reads the last `count` commits before the end.
    fn read(&mut self, store: &Store, count: usize) -> Block {
        let start = self.end.saturating_sub(count);
        let wanted = &self.listed[start..self.end];
        let runs = wanted.par_chunks(RUN).map(|run| store.decode_run(&self.pack, run));
        let runs: Vec<Vec<(CommitId, Arc<Commit>)>> = runs.collect();
        let mut block = Block::with_capacity(wanted.len());
        block.extend(runs.into_iter().flatten());
        self.end = start;
        block
    }
}

impl Store {
    /// Returns a commit, read by itself or ahead of the walk that asks for it.
    pub fn commit(&self, id: CommitId) -> std::result::Result<Arc<Commit>, SourceError> {
        let known = self.0.ahead.inner().get(self, id);
        if let Some(commit) = known.or_else(|| self.await_block(id)) {
            return Ok(commit);
        }
        let object = self.find(id.object(), Kind::Commit)?;
        let commit = Commit::decode(&object.data).map_err(|error| SourceError::Invalid {
            kind: Kind::Commit,
            id: id.object(),
            source: error.into(),
        })?;
        // What goes wrong here goes wrong again for whoever needs it.
        let _only_a_help = self.read_ahead(id);
        Ok(Arc::new(commit))
    }

    /// Returns how many commits this store was asked for: what a walk costs.
    #[cfg(test)]
    pub fn commits_asked(&self) -> usize {
        self.0.ahead.inner().asked_in_all
    }

    /// Waits for the block that is being read, if one is, and looks for the commit in it.
    fn await_block(&self, id: CommitId) -> Option<Arc<Commit>> {
        let coming = self.0.ahead.inner().coming.take()?;
        let (block, before) = coming.recv().ok()?;
        let mut inner = self.0.ahead.inner();
        inner.keep(block, before);
        inner.hits = 0;
        inner.get(self, id)
    }

    fn read_ahead(&self, id: CommitId) -> Result<()> {
        let Some(Found { place: Place::Pack(store, pack), entry }) = self.locate(&id.object())? else {
            return Ok(());
        };
        if !Arc::ptr_eq(&store.0, &self.0) {
            return Ok(()); // what lies below is walked by way of its own store
        }
        let records = pack.footer(&store.0.objects)?.0.records;
        let count = self.0.ahead.inner().count(pack.id(), records);
        let Some(count) = count else { return Ok(()) };
        let listed = self.0.ahead.inner().listed.get(&pack.id()).cloned();
        let listed = match listed {
            Some(listed) => listed,
            None => {
                let listed: Listed = Arc::new(list(&store, &pack)?);
                self.0.ahead.inner().listed.insert(pack.id(), listed.clone());
                listed
            }
        };
        let end = listed.partition_point(|other| other.offset < entry.offset);
        let mut span = Span { pack, listed, end };
        let block = span.read(self, count);
        self.0.ahead.inner().keep(block, span);
        Ok(())
    }

    /// Decodes neighbours, each on those before it where they are its base; leaves out what is not sound.
    fn decode_run(&self, pack: &Arc<Pack>, run: &[Entry]) -> Vec<(CommitId, Arc<Commit>)> {
        let bytes = self.stored_run(pack, run).ok().flatten();
        let mut plain: HashMap<ObjectId, Vec<u8>> = HashMap::with_capacity(run.len());
        let mut commits = Vec::with_capacity(run.len());
        for entry in run {
            let base = match entry.form {
                Form::Whole => None,
                Form::Delta(base) if plain.contains_key(&base) => Some(&plain[&base]),
                Form::Delta(base) => match self.try_find(base) {
                    Ok(Some(object)) => Some(&*plain.entry(base).or_insert(object.data.to_vec())),
                    _ => continue,
                },
                Form::Dictionary(_) => continue,
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
            let reference = base.map_or(Reference::None, |base| Reference::Prefix(base));
            let Ok(bytes) = frame::decode(&stored, Some(entry.plain), reference) else { continue };
            if hash_object(Kind::Commit, &bytes) != entry.id {
                continue;
            }
            if let Ok(commit) = Commit::decode(&bytes) {
                commits.push((CommitId::new(entry.id), Arc::new(commit)));
            }
            plain.insert(entry.id, bytes);
        }
        commits
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

/// Lists the commits of a pack by offset.
fn list(store: &Store, pack: &Pack) -> Result<Vec<Entry>> {
    let mut listed = Vec::new();
    for number in 0.. {
        let Some(entries) = pack.bucket(&store.0.objects, number)? else { break };
        listed.extend(entries.into_iter().filter(|entry| entry.kind == Kind::Commit && !entry.is_recipe));
    }
    listed.sort_unstable_by_key(|entry| entry.offset);
    Ok(listed)
}
