//! How an object becomes a record: whole or delta, and on which base.
//!
//! - A history of blobs is a chain: each version on the one before, at most 50 long, then one on the
//!   chain's beginning where that pays, else whole.
//! - A history of trees, commits, recipes or chunks, of which reading one thing needs many, is a chain
//!   with skips: n is written in base four, and version n rests on n with its last digit that is not 0 lowered by one,
//!   so that 256 versions need no more than 12 deltas for any of them. The entry keeps n as its ordinal.
//! - A chunk rests on the chunk that stood in its place.

use super::format::{Entry, Form};
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::chunk;
use crate::store::frame::{DELTA_MIN, DICTIONARY_PLAIN_MAX, Effort};
use crate::store::read::{Found, Shelf};

/// The longest chain of blobs.
const DEPTH_MAX: u8 = 50;
/// The longest chain of anything else.
const DEPTH_MAX_SKIP: u8 = 12;
/// What the id of a base costs, with something for the reading.
const BASE_COST: usize = 40;

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
        // Who waits does not wait for the delta of a text that was written anew.
        if matches!(effort, Effort::Fast) && !spec.skips && !chunk::is_akin(&base.bytes, bytes) {
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

/// Returns the version on which version `ordinal`, not 0, of a history with skips rests. What an append adds is
/// written once for each version that is skipped: in base two a stream takes a tenth more, in base sixteen, with up to
/// 30 deltas to read, a tenth less.
fn skip_from(ordinal: u8) -> u8 {
    ordinal - (1 << (ordinal.trailing_zeros() & !1))
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
        let target = skip_from(ordinal);
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
