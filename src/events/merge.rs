//! Merging streams: a three-way merge of sets of lines, the same bytes on every device.
//!
//! - What names a line: an event of ours its id; a foreign object its canonical hash and, unless it claims
//!   an id of its own, the how-manieth of its like it is, so that honest repeats stay; opaque bytes their
//!   hash and count.
//! - A line stays if both sides have it, or if one side made it. It goes only if a side that had it in the
//!   base took it out. Nothing is left out for being odd.
//! - Lines of the base keep their place and bytes. The others follow: those with a stamp in the total
//!   order (lamport, device, id), those without behind the line they stood behind.
//! - Two lines that both sides made under one claimed id with different bodies are a conflict. An id that
//!   some stream itself holds with several bodies is a label and names nothing.
//! - Of a line that is written in two ways (blanks, the order of members) the shorter text stays, of two
//!   as long the smaller.
//!
//! `merge(base, a, b)` equals `merge(base, b, a)`. All of this belongs to version 1 of the merge rule.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::event::EventId;
use super::stream::{Content, Line, Occurrences, Stamp, Stream, line_ranges};

/// What two sides have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamBase<'a> {
    /// The bytes of the common state.
    Known(&'a [u8]),
    /// There is a common state, and it is in conflict with itself: equal to no side.
    NoValue,
    /// Both sides made the stream.
    Absent,
}

impl<'a> From<Option<&'a [u8]>> for StreamBase<'a> {
    fn from(base: Option<&'a [u8]>) -> StreamBase<'a> {
        base.map_or(StreamBase::Absent, StreamBase::Known)
    }
}

/// Why streams do not merge.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StreamConflict {
    /// Both sides have lines under one id that say different things.
    #[error("two bodies under one id: {}", .0.join(", "))]
    TwoBodies(Vec<String>),
    /// The sides differ and their common state has no value, so that nobody can tell what is new.
    #[error("the sides differ and their common state is itself in conflict")]
    NoCommonState,
}

/// Merges two streams. What only one side changed is that side, byte for byte.
pub fn merge_streams<'a>(
    base: impl Into<StreamBase<'a>>,
    ours: &[u8],
    theirs: &[u8],
) -> Result<Vec<u8>, StreamConflict> {
    let base = base.into();
    if ours == theirs {
        return Ok(ours.to_vec());
    }
    let base: &[u8] = match base {
        StreamBase::Known(base) if base == ours => return Ok(theirs.to_vec()),
        StreamBase::Known(base) if base == theirs => return Ok(ours.to_vec()),
        StreamBase::Known(base) => base,
        StreamBase::NoValue => return Err(StreamConflict::NoCommonState),
        StreamBase::Absent => b"",
    };
    let base = Stream::parse(base);
    let (ours, theirs) = (after(&base, ours), after(&base, theirs));
    let [base_lines, ours, theirs] = [all(&base), ours.lines(&base), theirs.lines(&base)];
    let labels = labels(&[&base_lines, &ours, &theirs]);
    let [base_set, ours, theirs] = [&base_lines, &ours, &theirs].map(|lines| keyed(lines, &labels));
    let keys = |side: &[(Key, &Line<'_>)]| side.iter().map(|(key, _)| *key).collect::<HashSet<Key>>();
    let (in_base, in_ours, in_theirs) = (keys(&base_set), keys(&ours), keys(&theirs));
    let is_new = |(key, _): &(Key, &Line<'_>)| !in_base.contains(key);
    let [ours, theirs] = [ours, theirs].map(|side| side.into_iter().filter(is_new).collect::<Vec<_>>());
    check_bodies(&ours, &theirs, &labels)?;
    let stays = |key: &Key| in_ours.contains(key) && in_theirs.contains(key);
    let mut out = kept(&base, &base_set, stays);
    write_tail(&mut out, &ours, &theirs);
    Ok(out)
}

/// A stream with lines from elsewhere added to it.
#[derive(Debug)]
pub struct Imported {
    /// The stream's bytes, then what is new.
    pub bytes: Vec<u8>,
    /// How many lines are new.
    pub added: usize,
    /// How many lines were there already.
    pub known: usize,
}

/// Adds the lines of `incoming` that `stream` lacks, in the total order, behind what is there. Events whose
/// `prev` is not known come in as well: [`super::verify`] holds them back from readers.
pub fn import(stream: &[u8], incoming: &[u8]) -> Result<Imported, StreamConflict> {
    let (stream, incoming) = (Stream::parse(stream), Stream::parse(incoming));
    let (here, there) = (all(&stream), all(&incoming));
    let labels = labels(&[&here, &there]);
    let (here, there) = (keyed(&here, &labels), keyed(&there, &labels));
    let in_here: HashSet<Key> = here.iter().map(|(key, _)| *key).collect();
    let total = there.len();
    let new: Vec<_> = there.into_iter().filter(|(key, _)| !in_here.contains(key)).collect();
    check_bodies(&here, &new, &labels)?;
    let mut bytes = stream.text().to_vec();
    let added = write_tail(&mut bytes, &new, &[]);
    Ok(Imported { bytes, added, known: total - added })
}

/// What names a line within a merge: a hash and which of its like it is, from 1; 0 if there can be but one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    hash: EventId,
    nth: u32,
}

/// A side: the lines of the base if it begins with them, and its own.
struct Side<'a> {
    begins_with_base: bool,
    own: Stream<'a>,
}

/// Reads a side. Most only added to the base: then the base is not read again.
fn after<'a>(base: &Stream<'_>, side: &'a [u8]) -> Side<'a> {
    let begins_with_base = side.starts_with(base.text()) && base.text().ends_with(b"\n");
    let offset = if begins_with_base { base.text().len() } else { 0 };
    Side { begins_with_base, own: Stream::parse_from(side, offset, 1) }
}

impl<'a> Side<'a> {
    fn lines<'s>(&'s self, base: &'s Stream<'a>) -> Vec<&'s Line<'a>> {
        let shared = if self.begins_with_base { base.lines() } else { &[] };
        shared.iter().chain(self.own.lines()).collect()
    }
}

fn all<'s, 'a>(stream: &'s Stream<'a>) -> Vec<&'s Line<'a>> {
    stream.lines().iter().collect()
}

/// An id that a line claims, or the hash that stands for one. Hashes sort before other texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Claim {
    Hash(EventId),
    Text(Arc<str>),
}

impl Claim {
    fn of(content: &Content) -> Option<Claim> {
        match content {
            Content::Event(facts) => Some(Claim::Hash(facts.id)),
            Content::Foreign(facts) => facts.claim.as_ref().map(|text| match EventId::parse(text) {
                Some(hash) => Claim::Hash(hash),
                None => Claim::Text(text.clone()),
            }),
            Content::Opaque(..) => None,
        }
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Claim::Hash(id) => id.fmt(f),
            Claim::Text(text) => f.write_str(text),
        }
    }
}

/// Returns the ids that some stream holds with more than one body.
fn labels(streams: &[&[&Line<'_>]]) -> HashSet<Claim> {
    let mut labels = HashSet::new();
    for lines in streams {
        let mut bodies: HashMap<Claim, EventId> = HashMap::new();
        for line in *lines {
            let Some(claim) = Claim::of(&line.content) else { continue };
            let body = line.content.id();
            if *bodies.entry(claim.clone()).or_insert(body) != body {
                labels.insert(claim);
            }
        }
    }
    labels
}

/// Names the lines of a stream; of lines with one name the first stands for all.
fn keyed<'s, 'a>(lines: &[&'s Line<'a>], labels: &HashSet<Claim>) -> Vec<(Key, &'s Line<'a>)> {
    let mut occurrences = Occurrences::default();
    let name = |line: &&'s Line<'a>| {
        let hash = line.content.id();
        let single = match &line.content {
            Content::Event(_) => true,
            other => Claim::of(other).is_some_and(|claim| !labels.contains(&claim)),
        };
        let nth = if single { 0 } else { occurrences.next(hash) };
        (Key { hash, nth }, *line)
    };
    lines.iter().map(name).collect()
}

/// Refuses lines of the two sides that claim one id for different bodies.
fn check_bodies(
    ours: &[(Key, &Line<'_>)],
    theirs: &[(Key, &Line<'_>)],
    labels: &HashSet<Claim>,
) -> Result<(), StreamConflict> {
    let claimed = |side: &[(Key, &Line<'_>)]| {
        let claims = side.iter().filter_map(|(key, line)| Some((Claim::of(&line.content)?, key.hash)));
        claims.filter(|(claim, _)| !labels.contains(claim)).collect::<HashMap<Claim, EventId>>()
    };
    let ours = claimed(ours);
    let two: BTreeSet<String> = claimed(theirs)
        .into_iter()
        .filter(|(claim, body)| ours.get(claim).is_some_and(|other| other != body))
        .map(|(claim, _)| claim.to_string())
        .collect();
    if two.is_empty() { Ok(()) } else { Err(StreamConflict::TwoBodies(two.into_iter().collect())) }
}

/// Returns the base without the lines that do not stay.
fn kept(base: &Stream<'_>, lines: &[(Key, &Line<'_>)], stays: impl Fn(&Key) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(base.text().len());
    let mut rest = lines;
    for (at, range) in line_ranges(base.text(), 0).enumerate() {
        let count = rest.iter().take_while(|(_, line)| line.number == at + 1).count();
        let (parts, more) = rest.split_at(count);
        rest = more;
        if parts.iter().all(|(key, _)| stays(key)) {
            out.extend_from_slice(&base.text()[range]);
        } else {
            for (_, part) in parts.iter().filter(|(key, _)| stays(key)) {
                write_line(&mut out, part.bytes);
            }
        }
    }
    out
}

fn write_line(out: &mut Vec<u8>, bytes: &[u8]) {
    if out.last().is_some_and(|b| *b != b'\n') {
        out.push(b'\n');
    }
    out.extend_from_slice(bytes);
    out.push(b'\n');
}

/// The place of a line with a stamp in the total order. The key comes last, so that no two are equal.
type Place = (Stamp, Claim, Key);

fn place(key: Key, content: &Content) -> Option<Place> {
    let stamp = content.stamp()?;
    Some((stamp, Claim::of(content).unwrap_or(Claim::Hash(key.hash)), key))
}

/// The new lines of a side that have no stamp, each run behind the new line with a stamp it follows.
type Runs = BTreeMap<Option<Place>, Vec<Key>>;

/// Writes the new lines of both sides in order and returns how many they are.
fn write_tail(out: &mut Vec<u8>, ours: &[(Key, &Line<'_>)], theirs: &[(Key, &Line<'_>)]) -> usize {
    let mut texts: HashMap<Key, &[u8]> = HashMap::new();
    for (key, line) in ours.iter().chain(theirs) {
        let text = texts.entry(*key).or_insert(line.bytes);
        *text = (*text).min_by_length(line.bytes);
    }
    let mut places: BTreeSet<Place> = BTreeSet::new();
    let (mut our_runs, mut their_runs) = (runs(ours, &mut places), runs(theirs, &mut places));
    settle(&mut our_runs, &mut their_runs);
    let none = Vec::new();
    let mut write = |place: Option<Place>| {
        if let Some((_, _, key)) = &place {
            write_line(out, texts[key]);
        }
        let (ours, theirs) = (our_runs.get(&place), their_runs.get(&place));
        for key in interleave(ours.unwrap_or(&none), theirs.unwrap_or(&none)) {
            write_line(out, texts[&key]);
        }
    };
    write(None);
    places.into_iter().for_each(|place| write(Some(place)));
    texts.len()
}

/// Collects a side's new lines: those with a stamp go to `places`, the others are returned.
fn runs(side: &[(Key, &Line<'_>)], places: &mut BTreeSet<Place>) -> Runs {
    let mut runs = Runs::new();
    let mut seen = HashSet::new();
    let mut behind = None;
    for (key, line) in side.iter().filter(|(key, _)| seen.insert(*key)) {
        match place(*key, &line.content) {
            Some(place) => {
                places.insert(place.clone());
                behind = Some(place);
            }
            None => runs.entry(behind.clone()).or_default().push(*key),
        }
    }
    runs
}

/// A line that the sides have behind different lines stays behind the one that comes first.
fn settle(ours: &mut Runs, theirs: &mut Runs) {
    let mut first: HashMap<Key, Option<Place>> = HashMap::new();
    for (behind, keys) in ours.iter().chain(theirs.iter()) {
        for key in keys {
            let place = first.entry(*key).or_insert_with(|| behind.clone());
            if *behind < *place {
                place.clone_from(behind);
            }
        }
    }
    for (behind, keys) in ours.iter_mut().chain(theirs.iter_mut()) {
        keys.retain(|key| first.get(key) == Some(behind));
    }
}

/// Joins two runs so that each keeps its order and stays together as far as it can. Where nothing else
/// decides, the run whose next line has the smaller name goes first; lines that the sides have in opposite
/// orders are taken by name as well.
fn interleave(ours: &[Key], theirs: &[Key]) -> Vec<Key> {
    let sets = [ours, theirs].map(|run| run.iter().copied().collect::<HashSet<Key>>());
    let mut rest = [ours, theirs];
    let mut done = HashSet::new();
    let mut out = Vec::with_capacity(ours.len().max(theirs.len()));
    let mut current: Option<usize> = None;
    loop {
        for run in &mut rest {
            while run.first().is_some_and(|key| done.contains(key)) {
                *run = &run[1..];
            }
        }
        let next = [rest[0].first().copied(), rest[1].first().copied()];
        // A line is free if the other side does not have it, or has it next.
        let free = |side: usize| next[side].is_some_and(|key| !sets[1 - side].contains(&key));
        let (key, side) = match next {
            [None, None] => return out,
            [Some(key), None] => (key, Some(0)),
            [None, Some(key)] => (key, Some(1)),
            [Some(a), Some(b)] if a == b => (a, None),
            [Some(a), Some(b)] => match (free(0), free(1)) {
                (true, true) => match current {
                    Some(0) => (a, Some(0)),
                    Some(_) => (b, Some(1)),
                    None if a < b => (a, Some(0)),
                    None => (b, Some(1)),
                },
                (true, false) => (a, Some(0)),
                (false, true) => (b, Some(1)),
                (false, false) => (a.min(b), None),
            },
        };
        done.insert(key);
        out.push(key);
        current = side;
    }
}

trait MinByLength {
    fn min_by_length(self, other: Self) -> Self;
}

impl MinByLength for &[u8] {
    /// Returns the shorter, of two as long the smaller.
    fn min_by_length(self, other: Self) -> Self {
        if (other.len(), other) < (self.len(), self) { other } else { self }
    }
}
