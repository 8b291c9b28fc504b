//! How an object becomes records: whole or delta, on which base, in which chunks.
//!
//! - A history of blobs is a chain: each version on the one before, at most 50 long, then one on the
//!   chain's beginning where that pays, else whole.
//! - A history of trees, commits, recipes or chunks, of which reading one thing needs many, is a chain
//!   with skips: version n rests on version n with its lowest bit cleared, so that 256 versions need no
//!   more than 8 deltas for any of them. The entry keeps n as its ordinal.
//! - A chunk rests on the chunk that stood in its place.

use std::collections::HashMap;
use std::io;

use rayon::prelude::*;

use super::format::{Entry, Form};
use super::write::PackWriter;
use crate::object::{Kind, ObjectHasher, ObjectId, hash_object};
use crate::store::chunk::{self, CHUNK_MAX};
use crate::store::error::{Error, Result};
use crate::store::frame::{DELTA_MIN, DICTIONARY_PLAIN_MAX, Effort, RECORD_MAX};
use crate::store::read::{Found, Shelf};
use crate::store::recipe::{Builder, Node, Piece};

/// The longest chain of blobs.
const DEPTH_MAX: u8 = 50;
/// The longest chain of anything else.
const DEPTH_MAX_SKIP: u8 = 8;
/// What the id of a base costs, with something for the reading.
const BASE_COST: usize = 40;
/// So much of a large object is in memory at a time, in bytes.
const WINDOW: usize = 4 << 20;
/// An older version with more chunks lends no bases.
const BASE_PIECES_MAX: usize = 1 << 20;

/// What is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    id: ObjectId,
    kind: Kind,
    /// The object's length.
    plain: u64,
    is_recipe: bool,
    is_part: bool,
    /// Whether its history has skips.
    skips: bool,
}

/// A record, but for its place in the pack.
pub struct Record {
    pub entry: Entry,
    pub stored: Vec<u8>,
}

impl Spec {
    /// Describes an object in one piece.
    pub fn object(id: ObjectId, kind: Kind, plain: u64) -> Spec {
        Spec { id, kind, plain, is_recipe: false, is_part: false, skips: kind != Kind::Blob }
    }

    /// Describes a piece of a large object.
    pub fn part(id: ObjectId, plain: u64) -> Spec {
        Spec { is_part: true, skips: true, ..Spec::object(id, Kind::Blob, plain) }
    }

    /// Describes the recipe of an object of `plain` bytes.
    pub fn recipe(id: ObjectId, kind: Kind, plain: u64) -> Spec {
        Spec { is_recipe: true, skips: true, ..Spec::object(id, kind, plain) }
    }

    fn record(&self, stored: Vec<u8>, form: Form, depth: u8, ordinal: u8) -> Record {
        let entry = Entry {
            id: self.id,
            kind: self.kind,
            plain: self.plain,
            offset: 0,
            stored: stored.len() as u32,
            form,
            is_recipe: self.is_recipe,
            is_part: self.is_part,
            depth,
            ordinal,
        };
        Record { entry, stored }
    }
}

struct Base {
    id: ObjectId,
    bytes: std::sync::Arc<[u8]>,
    /// The depth of a delta on it.
    depth: u8,
    ordinal: u8,
}

/// Makes the record of `bytes`: a delta if a usable base is given and it pays.
pub fn encode(shelf: &Shelf<'_>, spec: &Spec, bytes: &[u8], base: Option<ObjectId>) -> Record {
    encode_on_best(shelf, spec, bytes, base.as_slice(), Effort::Fast)
}

/// As [`encode`], on the base that gives the smallest delta; a later one only if it saves a tenth.
pub fn encode_on_best(
    shelf: &Shelf<'_>,
    spec: &Spec,
    bytes: &[u8],
    bases: &[ObjectId],
    effort: Effort<'_>,
) -> Record {
    let bases = bases.iter().filter(|_| bytes.len() >= DELTA_MIN);
    let mut best: Option<(Vec<u8>, Base)> = None;
    for base in bases.filter_map(|base| choose_base(shelf, spec, *base)) {
        if best.as_ref().is_some_and(|(_, other)| other.id == base.id) {
            continue;
        }
        let delta = effort.delta(&base.bytes, bytes);
        if best.as_ref().is_none_or(|(other, _)| delta.len() < other.len() / 10 * 9) {
            best = Some((delta, base));
        }
    }
    let Some((delta, base)) = best else { return encode_alone(spec, bytes, effort) };
    // Where it pays beyond doubt the other is not even tried.
    if delta.len() + BASE_COST > bytes.len() / 8 {
        let alone = encode_alone(spec, bytes, effort);
        if delta.len() + BASE_COST > alone.stored.len() / 4 * 3 {
            return alone;
        }
    }
    spec.record(delta, Form::Delta(base.id), base.depth, base.ordinal)
}

/// Makes the record of a blob that is stored for the sake of others, and rests on nothing.
pub fn part_alone(bytes: &[u8]) -> Record {
    let spec = Spec::part(hash_object(Kind::Blob, bytes), bytes.len() as u64);
    encode_alone(&spec, bytes, Effort::Thorough(None))
}

/// Makes a record that rests on no other version.
fn encode_alone(spec: &Spec, bytes: &[u8], effort: Effort<'_>) -> Record {
    match effort {
        Effort::Thorough(Some(dictionary))
            if (DELTA_MIN..=DICTIONARY_PLAIN_MAX).contains(&bytes.len()) && !spec.is_part =>
        {
            spec.record(dictionary.encode(bytes), Form::Dictionary(dictionary.id()), 0, 0)
        }
        _ => spec.record(effort.whole(bytes), Form::Whole, 0, 0),
    }
}

/// Finds the record that a new version of `id` should rest on, or `None` if it should stand alone. What
/// cannot be read is no base.
fn choose_base(shelf: &Shelf<'_>, spec: &Spec, id: ObjectId) -> Option<Base> {
    let is_usable = |found: &Found| {
        let (id, is_recipe) = (found.entry.id, found.entry.is_recipe);
        is_recipe == spec.is_recipe && id != spec.id && !shelf.store.is_removed(id)
    };
    let below = |found: &Found| match found.entry.form {
        Form::Delta(id) => shelf.locate(&id).ok()?.filter(is_usable),
        _ => None,
    };
    let mut found = shelf.locate(&id).ok()?.filter(is_usable)?;
    let mut ordinal = 0;
    if spec.skips {
        ordinal = found.entry.ordinal.checked_add(1)?;
        let target = ordinal & (ordinal - 1);
        while found.entry.ordinal != target {
            found = below(&found).filter(|next| next.entry.ordinal < found.entry.ordinal)?;
        }
    } else if found.entry.depth >= DEPTH_MAX {
        for _ in 0..DEPTH_MAX {
            match found.entry.form {
                Form::Delta(_) => found = below(&found)?,
                _ => break,
            }
        }
    }
    let depth_max = if spec.skips { DEPTH_MAX_SKIP } else { DEPTH_MAX };
    let depth = found.entry.depth.checked_add(1).filter(|depth| *depth <= depth_max)?;
    let bytes = shelf.record(&found).ok()?;
    Some(Base { id: found.entry.id, bytes, depth, ordinal })
}

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
