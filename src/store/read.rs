//! Reading objects: from frame to verified bytes.
//!
//! - The plain path decodes a chain on the first copy of each record it meets and hashes the end. If
//!   that does not hash, the careful path tries every copy of every record of the chain and hashes
//!   each; only then is the object damaged.
//! - A large object comes chunk by chunk, each verified before it is handed out, and the whole at the
//!   end: who streams to a place where damage would show must wait for the end.
//! - A large object that is wanted in one piece is hashed as a whole, once; only if that fails chunk by chunk.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError};

use zstd::zstd_safe::DDict;

use super::cache::RecordKey;
use super::error::{Error, Result};
use super::frame::{self, Reference};
use super::pack::format::{Entry, Form};
use super::pack::read::Pack;
use super::pack::write::Pending;
use super::recipe::{Piece, Recipe};
use super::{PackId, Store};
use crate::object::{Kind, Object, ObjectHasher, ObjectId, hash_object};

/// The length in bytes up to which an object is handed out in one piece: 64 MiB.
pub const OBJECT_IN_MEMORY_MAX: u64 = 64 << 20;

/// More deltas on each other are refused. Writers stop at 50; copies from several packs may mix.
pub(super) const CHAIN_MAX: usize = 256;

/// A store, and the pack that is being written to it if there is one.
#[derive(Clone, Copy)]
pub(super) struct Shelf<'a> {
    pub store: &'a Store,
    pub pending: Option<&'a Pending>,
    /// Records that were decoded and hashed already, to verify what is made of them.
    pub proven: Option<&'a Proven>,
}

/// One sound record for each object.
pub(super) type Proven = HashMap<ObjectId, Found>;

/// A record that was found.
#[derive(Clone)]
pub(super) struct Found {
    pub place: Place,
    pub entry: Entry,
}

/// Where a record is.
#[derive(Clone)]
pub(super) enum Place {
    Pack(Store, Arc<Pack>),
    Pending,
}

/// What longer chains decode to on the way is not kept: it would drive out everything else.
const CHAIN_CACHED_MAX: usize = 10;

type Verified = HashMap<RecordKey, Option<Arc<[u8]>>>;

impl<'a> Shelf<'a> {
    fn pending(&self, id: &ObjectId) -> Option<Found> {
        let entry = self.pending?.entry(id)?;
        Some(Found { place: Place::Pending, entry })
    }

    /// Finds a record of `id`.
    pub fn locate(&self, id: &ObjectId) -> Result<Option<Found>> {
        match self.pending(id).or_else(|| self.proven?.get(id).cloned()) {
            Some(found) => Ok(Some(found)),
            None => self.store.locate(id),
        }
    }

    /// Returns the bytes of the object, or of its recipe, verified.
    pub fn record(&self, found: &Found) -> Result<Arc<[u8]>> {
        let (cache, key, kind) = (&self.store.0.cache, key_of(&found.entry), found.entry.kind);
        match cache.get_as(key, kind) {
            Some((bytes, true)) => return Ok(bytes),
            // It was on the way to another one: whoever asks for it first has it hashed.
            Some((bytes, false)) if self.check(found, &bytes).is_ok() => {
                cache.put_proven(key, kind, bytes.clone());
                return Ok(bytes);
            }
            _ => {}
        }
        match self.decode_chain(found) {
            Ok(bytes) if self.check(found, &bytes).is_ok() => {
                cache.put_proven(key, kind, bytes.clone());
                Ok(bytes)
            }
            _ => self.decode_carefully(key, &mut Verified::new(), 0),
        }
    }

    /// Returns the bytes of a record whose object is about to be hashed as part of a larger one.
    fn record_of_part(&self, found: &Found) -> Result<Arc<[u8]>> {
        if !self.proven.is_some_and(|proven| proven.contains_key(&found.entry.id)) {
            return self.record(found);
        }
        self.unproven(found)
    }

    /// Returns the bytes of a record without hashing them.
    fn unproven(&self, found: &Found) -> Result<Arc<[u8]>> {
        let (cache, key) = (&self.store.0.cache, key_of(&found.entry));
        cache.get(key).map_or_else(|| self.decode_chain(found).inspect(|b| cache.put(key, b.clone())), Ok)
    }

    fn damaged(&self, found: &Found, what: impl Into<String>) -> Error {
        let pack = match &found.place {
            Place::Pack(_, pack) => pack.id(),
            Place::Pending => PackId::from_bytes([0; 32]),
        };
        Error::Record { id: found.entry.id, pack, offset: found.entry.offset, what: what.into() }
    }

    fn stored(&self, found: &Found) -> Result<Vec<u8>> {
        match (&found.place, self.pending) {
            (Place::Pack(store, pack), _) => store.stored(pack, &found.entry),
            (Place::Pending, Some(pending)) => Ok(pending.stored(&found.entry)?),
            (Place::Pending, None) => Err(Error::Missing { id: found.entry.id }),
        }
    }

    /// Tells whether the bytes are what the record's id says, or its recipe what it should be.
    pub fn check(&self, found: &Found, bytes: &[u8]) -> Result<()> {
        let entry = &found.entry;
        if entry.is_recipe {
            Recipe::decode(bytes, entry.plain).map(drop).map_err(|what| self.damaged(found, what))
        } else if hash_object(entry.kind, bytes) == entry.id {
            Ok(())
        } else {
            Err(self.damaged(found, "its bytes hash to another id"))
        }
    }

    /// Decodes one record whose base, if it has one, is given.
    pub fn decode(&self, found: &Found, base: Option<&[u8]>) -> Result<Vec<u8>> {
        let stored = self.stored(found)?;
        let dictionary;
        let reference = match (found.entry.form, base) {
            (Form::Delta(_), Some(base)) => Reference::Prefix(base),
            (Form::Dictionary(id), _) => {
                dictionary = self.dictionary(id).map_err(|e| rests(found, id, e))?;
                Reference::Dictionary(&dictionary)
            }
            _ => Reference::None,
        };
        frame::decode(&stored, found.entry.record_plain(), reference)
            .map_err(|what| self.damaged(found, what))
    }

    fn decode_chain(&self, found: &Found) -> Result<Arc<[u8]>> {
        let cache = &self.store.0.cache;
        let mut chain = vec![found.clone()];
        let mut plain: Option<Arc<[u8]>> = None;
        while let Some(top) = chain.last() {
            let Form::Delta(id) = top.entry.form else { break };
            plain = cache.get(RecordKey { id, is_recipe: top.entry.is_recipe });
            if plain.is_some() {
                break;
            }
            let base = self.locate(&id)?.ok_or(Error::Missing { id }).map_err(|e| rests(top, id, e))?;
            if base.entry.is_recipe != top.entry.is_recipe || chain.len() >= CHAIN_MAX {
                return Err(self.damaged(top, "it is a delta on what cannot be its base"));
            }
            chain.push(base);
        }
        // Those on the way are likely to be wanted next, unless they are many.
        let is_short = chain.len() <= CHAIN_CACHED_MAX;
        while let Some(top) = chain.pop() {
            let bytes: Arc<[u8]> = self.decode(&top, plain.as_deref())?.into();
            if is_short && !chain.is_empty() {
                cache.put(key_of(&top.entry), bytes.clone());
            }
            plain = Some(bytes);
        }
        Ok(plain.expect("the chain held at least the record itself"))
    }

    /// Tries all copies of a record on verified bases, each record once.
    fn decode_carefully(&self, key: RecordKey, seen: &mut Verified, depth: usize) -> Result<Arc<[u8]>> {
        if let Some(known) = seen.get(&key) {
            return known.clone().ok_or(Error::Missing { id: key.id });
        }
        seen.insert(key, None);
        let mut copies: Vec<Found> = self.pending(&key.id).into_iter().collect();
        let damage = self.store.each_record(&key.id, &mut |found| {
            copies.push(found);
            true
        })?;
        let mut first_error = None;
        for copy in copies.iter().filter(|copy| copy.entry.is_recipe == key.is_recipe) {
            match self.decode_copy(copy, seen, depth) {
                Ok(bytes) => {
                    seen.insert(key, Some(bytes.clone()));
                    self.store.0.cache.put_proven(key, copy.entry.kind, bytes.clone());
                    return Ok(bytes);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.or(damage).unwrap_or(Error::Missing { id: key.id }))
    }

    fn decode_copy(&self, copy: &Found, seen: &mut Verified, depth: usize) -> Result<Arc<[u8]>> {
        let base = match copy.entry.form {
            Form::Delta(_) if depth >= CHAIN_MAX => return Err(self.damaged(copy, "its chain is too long")),
            Form::Delta(id) => {
                let key = RecordKey { id, is_recipe: copy.entry.is_recipe };
                Some(self.decode_carefully(key, seen, depth + 1).map_err(|e| rests(copy, id, e))?)
            }
            _ => None,
        };
        let bytes = self.decode(copy, base.as_deref())?;
        self.check(copy, &bytes)?;
        Ok(bytes.into())
    }

    /// Returns the object whole, verified, or `None` if there is none with this id.
    pub fn try_find(&self, id: ObjectId) -> Result<Option<Object>> {
        self.store.with_reload(|| {
            let Some(found) = self.locate(&id)? else { return Ok(None) };
            let (kind, size) = (found.entry.kind, found.entry.plain);
            if !found.entry.is_recipe {
                return Ok(Some(Object { kind, data: self.record(&found)? }));
            }
            if size > OBJECT_IN_MEMORY_MAX {
                return Err(Error::TooLarge { kind, id, size });
            }
            if let Some(data) = self.assemble(&found) {
                return Ok(Some(Object { kind, data: data.into() }));
            }
            let mut data = Vec::with_capacity(size as usize);
            let mut reader = ObjectReader::new(*self, found)?;
            while let Some(block) = reader.next_block()? {
                data.extend_from_slice(&block);
            }
            Ok(Some(Object { kind, data: data.into() }))
        })
    }

    /// Puts an object of chunks together and hashes it as a whole, which proves its chunks as well: they need
    /// not be hashed one by one before. `None` if anything is amiss: the careful way tells what, or finds
    /// another copy.
    fn assemble(&self, found: &Found) -> Option<Vec<u8>> {
        let recipe = self.recipe(found).ok().filter(|recipe| recipe.level == 0)?;
        let mut data = Vec::with_capacity(found.entry.plain as usize);
        for piece in recipe.pieces {
            let chunk = self.locate(&piece.id).ok()??;
            if chunk.entry.is_recipe || chunk.entry.kind != Kind::Blob || chunk.entry.plain != piece.length {
                return None;
            }
            data.extend_from_slice(&self.unproven(&chunk).ok()?);
        }
        (hash_object(found.entry.kind, &data) == found.entry.id).then_some(data)
    }

    /// Returns a dictionary, verified when it was read first. One that stands whole is looked for: a dictionary that
    /// itself needs one would lead round in a circle.
    pub(super) fn dictionary(&self, id: ObjectId) -> Result<Arc<DDict<'static>>> {
        let known = || self.store.0.dictionaries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dictionary) = known().get(&id) {
            return Ok(dictionary.clone());
        }
        let bytes = self.store.with_reload(|| self.whole_copy(id))?.ok_or_else(|| self.store.missing(id))?;
        let dictionary = Arc::new(DDict::create(&bytes));
        known().insert(id, dictionary.clone());
        Ok(dictionary)
    }

    /// Returns the verified bytes of an object from a record that is made on nothing else.
    fn whole_copy(&self, id: ObjectId) -> Result<Option<Vec<u8>>> {
        let mut copies: Vec<Found> = self.pending(&id).into_iter().collect();
        let mut error = self.store.each_record(&id, &mut |found| {
            copies.push(found);
            true
        })?;
        for copy in copies {
            if copy.entry.is_recipe || copy.entry.form != Form::Whole {
                error = error.or(Some(self.damaged(&copy, "a dictionary must stand whole")));
                continue;
            }
            match self.decode(&copy, None).and_then(|bytes| self.check(&copy, &bytes).map(|()| bytes)) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(damage) => error = error.or(Some(damage)),
            }
        }
        error.map_or(Ok(None), Err)
    }

    /// Returns the bytes of a chunk or of a recipe below the top.
    pub fn part(&self, of: ObjectId, id: ObjectId) -> Result<Arc<[u8]>> {
        let found = self.store.with_reload(|| {
            let Some(found) = self.locate(&id)? else { return Ok(None) };
            if found.entry.is_recipe || found.entry.kind != Kind::Blob {
                return Err(self.damaged(&found, "it stands as a chunk and cannot be one"));
            }
            self.record_of_part(&found).map(Some)
        });
        let part = found.and_then(|part| part.ok_or(Error::Missing { id }));
        part.map_err(|e| Error::Rests { id: of, part: id, source: Box::new(e) })
    }

    /// Lists the chunks of an object in their order, as its recipe and those below say. One in a single record is its
    /// own only chunk.
    fn chunks(&self, found: &Found) -> Result<Vec<Piece>> {
        let (id, length) = (found.entry.id, found.entry.plain);
        if !found.entry.is_recipe {
            return Ok(vec![Piece { id, length }]);
        }
        let mut chunks = Vec::new();
        let mut open = vec![(self.recipe(found)?, 0)];
        while let Some((recipe, next)) = open.last_mut() {
            if recipe.level == 0 {
                chunks.append(&mut recipe.pieces);
            }
            let Some(piece) = recipe.pieces.get(*next).copied() else {
                open.pop();
                continue;
            };
            *next += 1;
            let inner = self.part_recipe(id, piece.id, piece.length, recipe.level)?;
            open.push((inner, 0));
        }
        Ok(chunks)
    }

    /// Returns the frame of a record that is made on nothing or on an object that `suits`, decoded and hashed now.
    /// `None` if it is not such a record or anything is amiss: whoever reads the object is told what.
    fn stored_frame(
        &self,
        id: ObjectId,
        kind: Kind,
        suits: &dyn Fn(Option<ObjectId>) -> bool,
    ) -> Option<StoredFrame> {
        let found = self.locate(&id).ok()??;
        let base = match found.entry.form {
            Form::Whole => None,
            Form::Delta(base) => Some(base),
            Form::Dictionary(_) => return None,
        };
        if found.entry.is_recipe || found.entry.kind != kind || !suits(base) {
            return None;
        }
        let old = match base {
            Some(base) => {
                let is_usable = |old: &Found| !old.entry.is_recipe && old.entry.kind == kind;
                Some(self.record(&self.locate(&base).ok()?.filter(is_usable)?).ok()?)
            }
            None => None,
        };
        let frame = self.stored(&found).ok()?;
        let reference = old.as_deref().map_or(Reference::None, Reference::Prefix);
        let data: Arc<[u8]> = frame::decode(&frame, Some(found.entry.plain), reference).ok()?.into();
        self.check(&found, &data).ok()?;
        self.store.0.cache.put_proven(key_of(&found.entry), kind, data);
        Some(StoredFrame { base, frame })
    }

    /// Returns the recipe in a record that holds one.
    pub fn recipe(&self, found: &Found) -> Result<Recipe> {
        let bytes = self.record(found)?;
        Recipe::decode(&bytes, found.entry.plain).map_err(|what| self.damaged(found, what))
    }

    /// Returns the recipe that stands for `length` bytes of the object `of` in a recipe of `level`.
    pub fn part_recipe(&self, of: ObjectId, id: ObjectId, length: u64, level: u8) -> Result<Recipe> {
        let bytes = self.part(of, id)?;
        let recipe = Recipe::decode(&bytes, length).and_then(|recipe| {
            if recipe.level + 1 == level { Ok(recipe) } else { Err("its level is not one below".to_owned()) }
        });
        recipe.map_err(|what| match self.locate(&id) {
            Ok(Some(found)) => self.damaged(&found, what),
            Ok(None) => Error::Missing { id },
            Err(error) => error,
        })
    }
}

/// A record as it rests: what its frame is made on, if anything, and the frame.
pub struct StoredFrame {
    /// The object whose bytes are its reference prefix.
    pub base: Option<ObjectId>,
    /// The zstd frame.
    pub frame: Vec<u8>,
}

fn key_of(entry: &Entry) -> RecordKey {
    RecordKey { id: entry.id, is_recipe: entry.is_recipe }
}

fn rests(found: &Found, part: ObjectId, source: Error) -> Error {
    Error::Rests { id: found.entry.id, part, source: Box::new(source) }
}

/// Reads one object of any size, a block at a time.
///
/// As [`io::Read`] it reports errors of the store inside an [`io::Error`].
pub struct ObjectReader<'a> {
    shelf: Shelf<'a>,
    found: Found,
    /// Recipes that are being read, the innermost last, with the number of the next piece.
    open: Vec<(Recipe, usize)>,
    hasher: Option<ObjectHasher>,
    /// What comes next without a look at a recipe: the object itself if it is a single record.
    whole: Option<Arc<[u8]>>,
    /// For [`io::Read`]: a block and how much of it was read.
    block: Option<(Arc<[u8]>, usize)>,
}

impl<'a> ObjectReader<'a> {
    pub(super) fn new(shelf: Shelf<'a>, found: Found) -> Result<ObjectReader<'a>> {
        let (mut open, mut whole, mut hasher) = (Vec::new(), None, None);
        if found.entry.is_recipe {
            open.push((shelf.recipe(&found)?, 0));
            hasher = Some(ObjectHasher::new(found.entry.kind, found.entry.plain));
        } else {
            whole = Some(shelf.record(&found)?);
        }
        Ok(ObjectReader { shelf, found, open, hasher, whole, block: None })
    }

    /// Returns the object's kind.
    pub fn kind(&self) -> Kind {
        self.found.entry.kind
    }

    /// Returns the object's length in bytes.
    pub fn size(&self) -> u64 {
        self.found.entry.plain
    }

    /// Passes over the first `bytes`, before anything was read. What follows is verified piece by piece, and no
    /// longer as a whole.
    pub fn pass_over(&mut self, bytes: u64) -> Result<()> {
        let mut left = bytes;
        let rest_of = |bytes: &[u8], left: u64| {
            let rest = &bytes[bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))..];
            (!rest.is_empty()).then(|| rest.into())
        };
        if let Some(whole) = self.whole.take() {
            self.whole = rest_of(&whole, left);
            return Ok(());
        }
        self.hasher = None;
        while let Some((recipe, next)) = self.open.last_mut().filter(|_| left > 0) {
            let Some(piece) = recipe.pieces.get(*next).copied() else {
                self.open.pop();
                continue;
            };
            let level = recipe.level;
            *next += 1;
            if piece.length <= left {
                left -= piece.length;
            } else if level > 0 {
                let inner = self.shelf.part_recipe(self.found.entry.id, piece.id, piece.length, level)?;
                self.open.push((inner, 0));
            } else {
                let chunk = self.shelf.part(self.found.entry.id, piece.id)?;
                self.whole = rest_of(&chunk, left);
                left = 0;
            }
        }
        Ok(())
    }

    /// Returns the next bytes, at most [`RECORD_MAX`](super::RECORD_MAX), or `None` at the end. They are
    /// verified; the end is reached only if the whole is the object as well.
    pub fn next_block(&mut self) -> Result<Option<Arc<[u8]>>> {
        if let Some(whole) = self.whole.take() {
            return Ok(Some(whole));
        }
        let id = self.found.entry.id;
        while let Some((recipe, next)) = self.open.last_mut() {
            let Some(piece) = recipe.pieces.get(*next).copied() else {
                self.open.pop();
                continue;
            };
            *next += 1;
            let level = recipe.level;
            if level > 0 {
                let inner = self.shelf.part_recipe(id, piece.id, piece.length, level)?;
                self.open.push((inner, 0));
                continue;
            }
            let chunk = self.shelf.part(id, piece.id)?;
            if chunk.len() as u64 != piece.length {
                return Err(self
                    .shelf
                    .damaged(&self.found, "a chunk has another length than its recipe says"));
            }
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&chunk);
            }
            return Ok(Some(chunk));
        }
        if self.hasher.take().is_some_and(|hasher| hasher.finish() != id) {
            return Err(self.shelf.damaged(&self.found, "its chunks put together hash to another id"));
        }
        Ok(None)
    }
}

impl io::Read for ObjectReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some((block, done)) = &mut self.block {
                let count = buffer.len().min(block.len() - *done);
                buffer[..count].copy_from_slice(&block[*done..*done + count]);
                *done += count;
                if count > 0 {
                    return Ok(count);
                }
            }
            match self.next_block().map_err(io::Error::other)? {
                Some(block) => self.block = Some((block, 0)),
                None => return Ok(0),
            }
        }
    }
}

impl Store {
    pub(super) fn shelf(&self) -> Shelf<'_> {
        Shelf { store: self, pending: None, proven: None }
    }

    /// Returns the object whole, verified, or `None` if there is none with this id. One above
    /// [`OBJECT_IN_MEMORY_MAX`] is an error: it must be streamed.
    pub fn try_find(&self, id: ObjectId) -> Result<Option<Object>> {
        self.shelf().try_find(id)
    }

    /// Opens the object for reading block by block, or returns `None` if there is none with this id.
    pub fn try_reader(&self, id: ObjectId) -> Result<Option<ObjectReader<'_>>> {
        self.with_reload(|| match self.locate(&id)? {
            Some(found) => ObjectReader::new(self.shelf(), found).map(Some),
            None => Ok(None),
        })
    }

    /// Lists the chunks of an object in their order, or returns `None` if there is no such object. One in a single
    /// record is its own only chunk.
    pub fn chunks(&self, id: ObjectId) -> Result<Option<Vec<Piece>>> {
        self.with_reload(|| match self.locate(&id)? {
            Some(found) => self.shelf().chunks(&found).map(Some),
            None => Ok(None),
        })
    }

    /// Returns the bytes of a chunk that [`Store::chunks`] listed for `of`, verified.
    pub fn chunk(&self, of: ObjectId, chunk: Piece) -> Result<Arc<[u8]>> {
        let bytes = match chunk.id == of {
            true => self.try_find(of)?.ok_or_else(|| self.missing(of))?.data,
            false => self.shelf().part(of, chunk.id)?,
        };
        if bytes.len() as u64 != chunk.length {
            let what = "a chunk has another length than its recipe says";
            return Err(self
                .locate(&of)?
                .map_or(Error::Missing { id: of }, |found| self.shelf().damaged(&found, what)));
        }
        Ok(bytes)
    }

    /// Returns the frame in which an object, or a chunk, is stored, if it is made on nothing or on an object that
    /// `suits`: decoded and hashed now. `None` if there is no such frame; that says nothing about the object.
    pub fn stored_frame(
        &self,
        id: ObjectId,
        kind: Kind,
        suits: &dyn Fn(Option<ObjectId>) -> bool,
    ) -> Option<StoredFrame> {
        self.shelf().stored_frame(id, kind, suits)
    }

    /// Writes the object to `out`, whatever its size, and returns its kind and length in bytes. Each
    /// block is verified before it is written. Only on success is what was written the object: a large
    /// one may prove damaged when its beginning has been written.
    pub fn read_to(&self, id: ObjectId, out: &mut dyn io::Write) -> Result<(Kind, u64)> {
        let mut reader = self.try_reader(id)?.ok_or_else(|| self.missing(id))?;
        while let Some(block) = reader.next_block()? {
            out.write_all(&block).map_err(Error::Output)?;
        }
        Ok((reader.kind(), reader.size()))
    }
}
