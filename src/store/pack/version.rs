//! A new version of a large object, of which all is in memory, with the version before it.
//!
//! - It becomes what [`PackWriter::add_stream`] would make of it, record for record.
//! - What the version before was cut into is neither cut nor hashed again where the same bytes are found in its
//!   place: a cut depends on nothing behind it, and each of those chunks was hashed. The bytes are compared; nothing
//!   is concluded from how they came.
//! - The last chunk of the version before ended with it, and is cut anew.
//! - The hash of the whole is another thread's work. Until it is there the pack cannot be published, and if it is not
//!   the id, never.

use std::sync::{Arc, OnceLock};

use super::large::{Cut, Older, cut_all};
use super::write::PackWriter;
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::chunk;
use crate::store::error::{Error, Result};
use crate::store::frame::RECORD_MAX;
use crate::store::recipe::{Builder, Piece, Recipe};

/// An object in memory, and the chunks it was cut into, each with its place and hashed.
pub struct Version {
    id: ObjectId,
    bytes: Arc<Vec<u8>>,
    chunks: Vec<(u64, Piece)>,
}

impl Version {
    /// Returns the object's id.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Returns its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives its bytes away with the memory they are in, unless they are being hashed.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        Arc::try_unwrap(self.bytes).ok()
    }

    /// Returns the chunk that begins at `place`, unless it is the last or `bytes` do not begin with it.
    fn chunk_at(&self, place: u64, bytes: &[u8]) -> Option<Piece> {
        let at = self.chunks.binary_search_by_key(&place, |(start, _)| *start).ok()?;
        let (start, piece) = self.chunks[at];
        let chunk = &self.bytes[start as usize..][..piece.length as usize];
        (at + 1 < self.chunks.len() && bytes.starts_with(chunk)).then_some(piece)
    }
}

/// A version that is being hashed.
pub struct Proof {
    id: ObjectId,
    actual: Arc<OnceLock<ObjectId>>,
}

impl Proof {
    fn begin(kind: Kind, id: ObjectId, bytes: Arc<Vec<u8>>) -> Proof {
        let actual = Arc::new(OnceLock::new());
        let found = actual.clone();
        rayon::spawn(move || {
            let id = hash_object(kind, &bytes);
            // Before whoever waits goes on: the memory is free again.
            drop(bytes);
            found.get_or_init(|| id);
        });
        Proof { id, actual }
    }

    fn holds(&self) -> bool {
        // Who works in the pool must not merely wait for the pool: it may be its only thread.
        while rayon::current_thread_index().is_some() && self.actual.get().is_none() {
            rayon::yield_now();
        }
        *self.actual.wait() == self.id
    }
}

impl PackWriter {
    /// Returns an object of this pack or the store with its chunks, all of it hashed; `None` if there is none. It
    /// must be short enough to be handed out in one piece.
    pub fn try_version(&self, id: ObjectId) -> Result<Option<Version>> {
        let Some(object) = self.try_find(id)? else { return Ok(None) };
        let bytes = object.data.to_vec();
        let found = self.shelf().locate(&id)?.filter(|found| found.entry.is_recipe);
        let recipe = found.map(|found| self.shelf().recipe(&found)).transpose()?;
        let chunks = recipe.and_then(|recipe| proven_chunks(&recipe, &bytes)).unwrap_or_default();
        Ok(Some(Version { id, bytes: bytes.into(), chunks }))
    }

    /// Adds an object above [`RECORD_MAX`] whose bytes are said to be those of `id`: see [`PackWriter::await_proofs`]. `base`
    /// is the version before it, `older` the same in memory if it is there.
    pub fn add_version(
        &mut self,
        kind: Kind,
        id: ObjectId,
        bytes: Vec<u8>,
        base: Option<ObjectId>,
        older: Option<&Version>,
    ) -> Result<Version> {
        self.ready()?;
        debug_assert!(bytes.len() > RECORD_MAX);
        let bytes = Arc::new(bytes);
        self.proofs.push_back(Proof::begin(kind, id, bytes.clone()));
        let mut before = base.and_then(|base| Older::load(&self.shelf(), base)).unwrap_or_default();
        let older = older.filter(|older| Some(older.id) == base && !older.chunks.is_empty());
        let mut cuts = match older {
            Some(older) => self.cut_version(&bytes, older)?,
            None => self.hash_chunks(&bytes, &cut_all(&bytes, true))?,
        };
        cuts.iter_mut().for_each(|cut| cut.stand(0, &mut before));
        let records = self.encode_chunks(&bytes, &cuts);
        let mut builder = Builder::default();
        self.append_chunks(&cuts, records, &mut builder, &before)?;
        self.append_recipe(kind, id, bytes.len() as u64, builder, &before, base)?;
        let chunk =
            |cut: &Cut| (cut.range.start as u64, Piece { id: cut.id, length: cut.range.len() as u64 });
        let chunks = cuts.iter().map(chunk).collect();
        Ok(Version { id, bytes, chunks })
    }

    /// Waits until no more than so many of the versions that were added, the last ones, are still being hashed. If one
    /// is not what it was added as, that is the end of this pack.
    pub fn await_proofs(&mut self, left: usize) -> Result<()> {
        while self.proofs.len() > left
            && let Some(proof) = self.proofs.pop_front()
        {
            if !proof.holds() {
                self.poison();
                return Err(Error::WrongHash { id: proof.id });
            }
        }
        Ok(())
    }

    fn cut_version(&self, bytes: &[u8], older: &Version) -> Result<Vec<Cut>> {
        let (mut cuts, mut at) = (Vec::new(), 0);
        // What to add to a place to get the one in the older version.
        let mut shift = 0i64;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let there = (at as u64).checked_add_signed(shift);
            let piece = there.and_then(|there| older.chunk_at(there, rest)).unwrap_or_else(|| {
                let length = chunk::cut(rest);
                let id = hash_object(Kind::Blob, &rest[..length]);
                if let Some((place, _)) = older.chunks.iter().find(|(_, piece)| piece.id == id) {
                    shift = *place as i64 - at as i64;
                }
                Piece { id, length: length as u64 }
            });
            let end = at + piece.length as usize;
            cuts.push(Cut::new(at..end, piece.id, self.knows(piece.id)?));
            at = end;
        }
        Ok(cuts)
    }
}

/// Hashes the chunks of `bytes` that a recipe lists; `None` if it lists anything else.
fn proven_chunks(recipe: &Recipe, bytes: &[u8]) -> Option<Vec<(u64, Piece)>> {
    let (mut chunks, mut rest) = (Vec::new(), bytes);
    for piece in recipe.pieces.iter().filter(|_| recipe.level == 0) {
        let (chunk, after) = rest.split_at_checked(usize::try_from(piece.length).ok()?)?;
        if hash_object(Kind::Blob, chunk) != piece.id {
            return None;
        }
        chunks.push(((bytes.len() - rest.len()) as u64, *piece));
        rest = after;
    }
    rest.is_empty().then_some(chunks)
}
