//! How an object above [`RECORD_MAX`] goes into a pack: in one pass, in chunks, in bounded memory.
//!
//! - While one window of it is hashed and compressed on all cores, the next is read and cut.
//! - A chunk that the version before has is known by its hash; whoever looks at the content on its way is told
//!   where it stood, so that what was looked at then need not be looked at again.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use rayon::prelude::*;

use super::plan::{Record, Spec, encode};
use super::write::PackWriter;
use crate::object::{Kind, ObjectHasher, ObjectId, hash_object};
use crate::store::chunk::{self, CHUNK_MAX};
use crate::store::error::{Error, Result};
use crate::store::frame::RECORD_MAX;
use crate::store::read::Shelf;
use crate::store::recipe::{Builder, Node, Piece};

/// So much of a large object is in memory at a time, in bytes.
const WINDOW: usize = 1 << 20;
/// Fewer chunks are not worth a second thread.
const PARALLEL_MIN: usize = 3;
/// An older version with more chunks lends no bases.
const BASE_PIECES_MAX: usize = 1 << 20;

/// Fills `buffer` as far as the reader has bytes.
pub fn fill(reader: &mut dyn io::Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Input(error)),
        }
    }
    Ok(filled)
}

/// The chunks and recipes of an older version, by their place.
#[derive(Default)]
pub struct Older {
    chunks: Vec<(u64, Piece)>,
    places: HashMap<ObjectId, u64>,
    /// Recipes below the top: level, place, piece.
    nodes: Vec<(u8, u64, Piece)>,
    /// What to add to a place in the new version to get the place in the old one.
    shift: i64,
}

impl Older {
    /// Lists what `base` is made of; `None` if it cannot be read, or has too many pieces.
    pub fn load(shelf: &Shelf<'_>, base: ObjectId) -> Option<Older> {
        let found = shelf.locate(&base).ok()??;
        let mut older = Older::default();
        if found.entry.is_recipe {
            let mut open = vec![(shelf.recipe(&found).ok()?, 0u64)];
            while let Some((recipe, mut place)) = open.pop() {
                for piece in recipe.pieces {
                    if recipe.level == 0 {
                        older.chunks.push((place, piece));
                    } else {
                        older.nodes.push((recipe.level - 1, place, piece));
                        let inner = shelf.part_recipe(base, piece.id, piece.length, recipe.level).ok()?;
                        open.push((inner, place));
                    }
                    place += piece.length;
                }
                if older.chunks.len() > BASE_PIECES_MAX {
                    return None;
                }
            }
        } else {
            older.chunks.push((0, Piece { id: base, length: found.entry.plain }));
        }
        older.chunks.sort_unstable_by_key(|(place, _)| *place);
        older.nodes.sort_unstable_by_key(|(level, place, _)| (*level, *place));
        older.places = older.chunks.iter().map(|(place, piece)| (piece.id, *place)).collect();
        Some(older)
    }

    /// Returns where a chunk of the new version stood in the old one, if it has it, and remembers that.
    pub fn find(&mut self, id: &ObjectId, place: u64) -> Option<u64> {
        // What the old version has several times stands where it is expected, or anywhere.
        let expected = place.checked_add_signed(self.shift)?;
        let there = self.chunks.binary_search_by_key(&expected, |(start, _)| *start);
        let old = match there {
            Ok(at) if self.chunks[at].1.id == *id => expected,
            _ => *self.places.get(id)?,
        };
        self.shift = old as i64 - place as i64;
        Some(old)
    }

    /// Returns the chunk that stood in the place of a new one.
    pub fn in_place_of(&self, place: u64, length: u64) -> Option<ObjectId> {
        let middle = (place + length / 2).checked_add_signed(self.shift).unwrap_or(0);
        let next = self.chunks.partition_point(|(start, _)| *start <= middle);
        let (start, piece) = self.chunks.get(next.checked_sub(1)?)?;
        // What is appended to the last chunk may reach far beyond its end.
        let is_in_place = middle < start + piece.length
            || next == self.chunks.len() && place.checked_add_signed(self.shift)? < start + piece.length;
        is_in_place.then_some(piece.id)
    }

    /// Returns the recipe of `level` that stood at `place`.
    pub fn node_in_place_of(&self, level: u8, place: u64) -> Option<ObjectId> {
        let place = place.checked_add_signed(self.shift).unwrap_or(0);
        let next = self.nodes.partition_point(|(l, start, _)| (*l, *start) <= (level, place));
        let (found_level, _, piece) = self.nodes.get(next.checked_sub(1)?)?;
        (*found_level == level).then_some(piece.id)
    }
}

/// Looks at the content of a large object on its way into a pack.
pub trait Onlooker: Send {
    /// Takes the next chunk. `before` is where in the version before the same chunk stood, in bytes, if it has it.
    fn look(&mut self, chunk: &[u8], before: Option<u64>) -> io::Result<()>;
}

/// Nobody looks.
impl Onlooker for () {
    fn look(&mut self, _: &[u8], _: Option<u64>) -> io::Result<()> {
        Ok(())
    }
}

/// A chunk on its way into the pack.
pub(super) struct Cut {
    pub range: Range<usize>,
    pub id: ObjectId,
    is_known: bool,
    /// Where in the version before it stood.
    before: Option<u64>,
    base: Option<ObjectId>,
}

impl Cut {
    pub fn new(range: Range<usize>, id: ObjectId, is_known: bool) -> Cut {
        Cut { range, id, is_known, before: None, base: None }
    }

    /// Looks for the chunk, of a window that begins at `place`, in the version before, and for what stood there.
    pub fn stand(&mut self, place: u64, older: &mut Older) {
        let (place, length) = (place + self.range.start as u64, self.range.len() as u64);
        self.before = older.find(&self.id, place);
        self.base = self.before.is_none().then(|| older.in_place_of(place, length)).flatten();
    }
}

/// A part of a large object, read and cut. What is left at its end begins the next one.
struct Window {
    bytes: Vec<u8>,
    /// Where in the object it begins.
    place: u64,
    ranges: Vec<Range<usize>>,
    /// The bytes that were cut, and those that were read.
    done: usize,
    filled: usize,
    is_last: bool,
}

impl Window {
    fn new() -> Window {
        Window { bytes: vec![0; WINDOW], place: 0, ranges: Vec::new(), done: 0, filled: 0, is_last: false }
    }

    /// Reads and cuts what follows `rest`, the bytes from `place` on that are there already.
    fn read(&mut self, reader: &mut (dyn io::Read + Send), size: u64, place: u64, rest: &[u8]) -> Result<()> {
        // One byte more than announced is asked for, to notice that there is more.
        let wanted = (size - place).saturating_add(1).min(WINDOW as u64) as usize;
        self.bytes[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len() + fill(reader, &mut self.bytes[rest.len()..wanted])?;
        self.is_last = self.filled < wanted;
        let total = place + self.filled as u64;
        if total > size || self.is_last && total < size {
            return Err(Error::WrongLength { announced: size, actual: total });
        }
        self.place = place;
        self.ranges = cut_all(&self.bytes[..self.filled], self.is_last);
        self.done = self.ranges.last().map_or(0, |range| range.end);
        Ok(())
    }
}

impl PackWriter {
    /// Adds an object above [`RECORD_MAX`] in chunks, in bounded memory.
    pub(super) fn add_large(
        &mut self,
        kind: Kind,
        size: u64,
        reader: &mut (dyn io::Read + Send),
        base: Option<ObjectId>,
        onlooker: &mut dyn Onlooker,
    ) -> Result<ObjectId> {
        let mut older = base.and_then(|base| Older::load(&self.shelf(), base)).unwrap_or_default();
        let mut hasher = ObjectHasher::new(kind, size);
        let mut builder = Builder::default();
        let (mut window, mut next) = (Window::new(), Window::new());
        window.read(reader, size, 0, &[])?;
        loop {
            let (bytes, rest) = window.bytes[..window.filled].split_at(window.done);
            let following = window.place + window.done as u64;
            let ahead = || match window.is_last {
                true => Ok(()),
                false => next.read(reader, size, following, rest),
            };
            let here = || -> Result<()> {
                let ranges = &window.ranges;
                let (cuts, ()) = rayon::join(|| self.hash_chunks(bytes, ranges), || hasher.update(bytes));
                let mut cuts = cuts?;
                cuts.iter_mut().for_each(|cut| cut.stand(window.place, &mut older));
                let seen =
                    || cuts.iter().try_for_each(|cut| onlooker.look(&bytes[cut.range.clone()], cut.before));
                let (records, seen) = rayon::join(|| self.encode_chunks(bytes, &cuts), seen);
                self.append_chunks(&cuts, records, &mut builder, &older)?;
                seen.map_err(Error::Input)
            };
            let (read, stored) = rayon::join(ahead, here);
            stored?;
            if window.is_last {
                break;
            }
            read?;
            std::mem::swap(&mut window, &mut next);
        }
        let id = hasher.finish();
        self.append_recipe(kind, id, size, builder, &older, base)?;
        Ok(id)
    }

    /// Appends the recipe of an object whose chunks are all there.
    pub(super) fn append_recipe(
        &mut self,
        kind: Kind,
        id: ObjectId,
        size: u64,
        builder: Builder,
        older: &Older,
        base: Option<ObjectId>,
    ) -> Result<()> {
        let too_large = Error::TooLarge { kind, id, size };
        let (nodes, recipe) = builder.finish().ok_or(too_large)?;
        self.append_nodes(nodes, older)?;
        if !self.knows(id)? {
            let bytes = recipe.encode();
            let record = encode(&self.shelf(), &Spec::recipe(id, kind, size), &bytes, base);
            self.append(record)?;
        }
        Ok(())
    }

    pub(super) fn hash_chunks(&self, bytes: &[u8], ranges: &[Range<usize>]) -> Result<Vec<Cut>> {
        let hash = |range: &Range<usize>| {
            let id = hash_object(Kind::Blob, &bytes[range.clone()]);
            Ok(Cut::new(range.clone(), id, self.knows(id)?))
        };
        ranges.par_iter().map(hash).collect()
    }

    /// Makes the records of those chunks that are not known.
    pub(super) fn encode_chunks(&self, bytes: &[u8], cuts: &[Cut]) -> Vec<Option<Record>> {
        let encode_cut = |cut: &Cut| {
            let chunk = &bytes[cut.range.clone()];
            let spec = Spec::part(cut.id, chunk.len() as u64);
            (!cut.is_known).then(|| encode(&self.shelf(), &spec, chunk, cut.base))
        };
        match cuts.iter().filter(|cut| !cut.is_known).count() {
            ..PARALLEL_MIN => cuts.iter().map(encode_cut).collect(),
            _ => cuts.par_iter().map(encode_cut).collect(),
        }
    }

    pub(super) fn append_chunks(
        &mut self,
        cuts: &[Cut],
        records: Vec<Option<Record>>,
        builder: &mut Builder,
        older: &Older,
    ) -> Result<()> {
        for (cut, record) in cuts.iter().zip(records) {
            if let Some(record) = record {
                self.append(record)?;
            }
            let nodes = builder.push(Piece { id: cut.id, length: cut.range.len() as u64 });
            self.append_nodes(nodes, older)?;
        }
        Ok(())
    }

    fn append_nodes(&mut self, nodes: Vec<Node>, older: &Older) -> Result<()> {
        for node in nodes {
            let id = hash_object(Kind::Blob, &node.bytes);
            if !self.knows(id)? {
                let base = older.node_in_place_of(node.level, node.offset);
                let spec = Spec::part(id, node.bytes.len() as u64);
                let record = encode(&self.shelf(), &spec, &node.bytes, base);
                self.append(record)?;
            }
        }
        Ok(())
    }
}

/// Cuts `bytes` as far as that can be decided now; all of them if nothing follows.
pub(super) fn cut_all(bytes: &[u8], is_last: bool) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < bytes.len() && (is_last || bytes.len() - start >= CHUNK_MAX) {
        let end = start + chunk::cut(&bytes[start..]);
        ranges.push(start..end);
        start = end;
    }
    ranges
}

const _: () = assert!(CHUNK_MAX <= RECORD_MAX && WINDOW > CHUNK_MAX);
