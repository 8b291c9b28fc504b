//! How an object above [`RECORD_MAX`] goes into a pack: in one pass, in chunks, in bounded memory.
//!
//! - While one window of it is hashed and compressed on all cores, the next is read and cut.
//! - A chunk that the version before has is known by its hash; whoever looks at the content on its way is told
//!   where it stood, so that what was looked at then need not be looked at again.

use std::collections::HashMap;
use std::io;

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
const WINDOW: usize = 4 << 20;
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

    /// Remembers where a chunk stood if it is an old one, or returns the one that stood in its place.
    pub fn stood_in_place_of(&mut self, id: &ObjectId, place: u64, length: u64) -> Option<ObjectId> {
        if let Some(old) = self.places.get(id) {
            self.shift = *old as i64 - place as i64;
            return None;
        }
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

/// A chunk on its way into the pack.
struct Cut {
    range: std::ops::Range<usize>,
    id: ObjectId,
    is_known: bool,
    base: Option<ObjectId>,
}

impl PackWriter {
    /// Adds an object above [`RECORD_MAX`] in chunks, in bounded memory.
    pub(super) fn add_large(
        &mut self,
        kind: Kind,
        size: u64,
        reader: &mut (dyn io::Read + Send),
        base: Option<ObjectId>,
    ) -> Result<ObjectId> {
        let mut older = base.and_then(|base| Older::load(&self.shelf(), base)).unwrap_or_default();
        let mut hasher = ObjectHasher::new(kind, size);
        let mut builder = Builder::default();
        let (mut window, mut next) = (vec![0; WINDOW], vec![0; WINDOW]);
        // One byte more than announced is asked for, to notice that there is more.
        let wanted = |place: u64| (size - place).saturating_add(1).min(WINDOW as u64) as usize;
        let mut place = 0u64;
        let mut filled = fill(reader, &mut window[..wanted(0)])?;
        loop {
            let is_last = filled < wanted(place);
            let total = place + filled as u64;
            if total > size || is_last && total < size {
                return Err(Error::WrongLength { announced: size, actual: total });
            }
            let ranges = cut_all(&window[..filled], is_last);
            let done = ranges.last().map_or(0, |range| range.end);
            let (bytes, rest) = window[..filled].split_at(done);
            next[..rest.len()].copy_from_slice(rest);
            // Reading the next window, which judges it too, takes as long as all that is done with this one.
            let following = place + done as u64;
            let ahead = || match is_last {
                true => Ok(0),
                false => fill(reader, &mut next[rest.len()..wanted(following)]),
            };
            let here = || -> Result<()> {
                let (cuts, ()) = rayon::join(|| self.hash_chunks(bytes, ranges), || hasher.update(bytes));
                let mut cuts = cuts?;
                for cut in &mut cuts {
                    let length = cut.range.len() as u64;
                    cut.base = older.stood_in_place_of(&cut.id, place + cut.range.start as u64, length);
                }
                self.append_chunks(bytes, cuts, place, &mut builder, &older)
            };
            let (read, stored) = rayon::join(ahead, here);
            stored?;
            if is_last {
                break;
            }
            (filled, place) = (rest.len() + read?, following);
            std::mem::swap(&mut window, &mut next);
        }
        let id = hasher.finish();
        let too_large = Error::TooLarge { kind, id, size };
        let (nodes, recipe) = builder.finish().ok_or(too_large)?;
        self.append_nodes(nodes, &older)?;
        if !self.knows(id)? {
            let bytes = recipe.encode();
            let record = encode(&self.shelf(), &Spec::recipe(id, kind, size), &bytes, base);
            self.append(record)?;
        }
        Ok(id)
    }

    fn hash_chunks(&self, bytes: &[u8], ranges: Vec<std::ops::Range<usize>>) -> Result<Vec<Cut>> {
        let hash = |range: std::ops::Range<usize>| {
            let id = hash_object(Kind::Blob, &bytes[range.clone()]);
            Ok(Cut { range, id, is_known: self.knows(id)?, base: None })
        };
        ranges.into_par_iter().map(hash).collect()
    }

    fn append_chunks(
        &mut self,
        bytes: &[u8],
        cuts: Vec<Cut>,
        place: u64,
        builder: &mut Builder,
        older: &Older,
    ) -> Result<()> {
        let encode_cut = |cut: &Cut| {
            let chunk = &bytes[cut.range.clone()];
            let spec = Spec::part(cut.id, chunk.len() as u64);
            (!cut.is_known).then(|| encode(&self.shelf(), &spec, chunk, cut.base))
        };
        let records: Vec<Option<Record>> = cuts.par_iter().map(encode_cut).collect();
        debug_assert!(place.checked_add(bytes.len() as u64).is_some());
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
fn cut_all(bytes: &[u8], is_last: bool) -> Vec<std::ops::Range<usize>> {
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
