//! Checks what is in the store: every file, table, record and object. Changes nothing.
//!
//! - Each record is decoded once: a delta right after its base, so that the cost is that of the bytes
//!   and not of the chains. Work spreads over all cores by chains.
//! - Every copy of an object is checked, not only the one a reader would meet first.
//! - How far it goes is an [`Extent`]. Tables, footers and the shape of packs are always looked at in full.
//! - Links between objects (a tree's entries, a commit's parents) are not the store's affair.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cache::RecordKey;
use super::error::{Error, Result};
use super::pack::format::{self, Entry, Form};
use super::pack::read::Pack;
use super::read::{Found, ObjectReader, Place, Proven, Shelf};
use super::{PackId, Store};
use crate::object::ObjectId;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// A word for programs: `file`, `pack`, `record`, `object`.
    pub kind: &'static str,
    /// Where it is: a file below the vault's own folder, with an offset in bytes where there is one.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

/// Which records are decoded and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// None.
    Tables,
    /// Those of one part, with what they rest on.
    Part(Part),
    /// All.
    All,
}

impl Extent {
    /// Tells whether the bytes of the object, or of the pack of that hash, are to be looked at.
    pub fn has(self, id: ObjectId) -> bool {
        match self {
            Extent::Tables => false,
            Extent::Part(part) => part.has(id),
            Extent::All => true,
        }
    }
}

/// One of several parts of a store; every object, and every pack, is in exactly one of them by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    number: u32,
    of: u32,
}

/// A store has at most so many parts.
const PARTS_MAX: u32 = 10_000;

impl std::str::FromStr for Part {
    type Err = String;

    /// Parses `N/M`.
    fn from_str(text: &str) -> std::result::Result<Part, String> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let numbers = text.split_once('/').filter(|(number, of)| digits(number) && digits(of));
        let numbers = numbers.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if number >= 1 && number <= of && of <= PARTS_MAX => Ok(Part { number, of }),
            _ => Err(format!("write it as N/M, part N of M: 1/7 to 7/7; M is at most {PARTS_MAX}")),
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Part {
    /// Tells whether the object is in this part: by the first eight bytes of its id, as a number.
    pub fn has(self, id: ObjectId) -> bool {
        let first: [u8; 8] = id.as_bytes()[..8].try_into().expect("an id has 32 bytes");
        u64::from_be_bytes(first) % u64::from(self.of) == u64::from(self.number - 1)
    }
}

/// How far a verification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records checked.
    pub done: u64,
    /// Records in all packs.
    pub total: u64,
}

const HINT_DAMAGE: &str = "what is whole stays readable; `mvault repair --from REMOTE` saves that and fetches the \
                           rest by hash from another device";
const HINT_WAITING: &str = "its own bytes stay as they are; `mvault repair --from REMOTE` fetches what is missing from \
                            another device";
const HINT_FOREIGN: &str =
    "mvault did not put it there and does not use it: `mvault repair` moves it to quarantine";

/// So often a check begins anew when packs vanish under it.
const ATTEMPTS: usize = 5;

struct Verifier<'a> {
    store: &'a Store,
    extent: Extent,
    problems: Mutex<Vec<Problem>>,
    damaged: Mutex<BTreeSet<PackId>>,
    /// A pack of a newer program: what it holds cannot be judged.
    newer: Mutex<Option<Error>>,
}

/// Everything that a check of the whole store found.
pub(super) struct Checked {
    pub problems: Vec<Problem>,
    /// Packs with which anything is wrong.
    pub damaged: BTreeSet<PackId>,
    /// Names in the folder of packs that are none.
    pub foreign: Vec<OsString>,
    /// All records that the tables name, and what is known of each.
    pub records: Vec<(Found, State)>,
    /// Large objects whose recipe is sound, with all its parts, and whose bytes are another object's all the same.
    pub wrong: HashSet<ObjectId>,
    /// Large objects whose recipe may be sound and that lack parts.
    pub lacking: HashSet<ObjectId>,
}

/// What is known of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It can be read and is what it should be.
    Sound,
    /// What it depends on is missing or damaged: nothing can be said of its own bytes, and they may be needed as
    /// soon as that comes.
    Waiting,
    /// Its own bytes are damaged.
    Damaged,
}

/// What a check found, for those who look at what leads to the objects.
#[derive(Clone, Debug, Default)]
pub struct Checkup {
    /// What is wrong, sorted by place.
    pub problems: Vec<Problem>,
    /// Objects that a table names and that cannot be read from any pack.
    pub unreadable: BTreeSet<ObjectId>,
    /// Objects that are not here and that deltas are made on.
    pub absent_bases: BTreeSet<ObjectId>,
}

impl Store {
    /// Checks every pack and table and the records of the extent, and returns what is wrong, sorted by place; an
    /// error only if the folder of packs cannot be listed. Calls `progress` now and then, from any
    /// thread.
    pub fn verify(&self, extent: Extent, progress: &(dyn Fn(Progress) + Sync)) -> Result<Vec<Problem>> {
        Ok(self.check(extent, progress)?.problems)
    }

    /// As [`Store::verify`], and says which objects cannot be had, as far as that was looked at.
    pub fn checkup(&self, extent: Extent, progress: &(dyn Fn(Progress) + Sync)) -> Result<Checkup> {
        let checked = self.check(extent, progress)?;
        let (unreadable, absent_bases) = (checked.unreadable(), checked.absent_bases());
        Ok(Checkup { problems: checked.problems, unreadable, absent_bases })
    }

    /// As [`Store::verify`], for those who want more than words.
    pub(super) fn check(&self, extent: Extent, progress: &(dyn Fn(Progress) + Sync)) -> Result<Checked> {
        self.reload()?;
        for _ in 1..ATTEMPTS {
            let packs = self.list();
            let checked = self.check_once(extent, progress)?;
            // A pack that was merged away meanwhile is no damage, and what it held was not looked at.
            let vanished =
                |list: &[Arc<Pack>]| packs.iter().any(|pack| list.iter().all(|p| p.id() != pack.id()));
            if checked.problems.is_empty() || !self.reload()? || !vanished(&self.list()) {
                return Ok(checked);
            }
        }
        self.check_once(extent, progress)
    }

    fn check_once(&self, extent: Extent, progress: &(dyn Fn(Progress) + Sync)) -> Result<Checked> {
        let verifier = Verifier {
            store: self,
            extent,
            problems: Mutex::default(),
            damaged: Mutex::default(),
            newer: Mutex::default(),
        };
        let mut foreign = Vec::new();
        for (name, _) in self.0.objects.list()? {
            if PackId::from_file_name(&name).is_none() {
                let place = format!("objects/{}", name.to_string_lossy());
                verifier.report("file", place, "it is no pack".to_owned(), HINT_FOREIGN);
                foreign.push(name);
            }
        }
        let packs = self.list();
        let entries: Vec<Vec<Entry>> = packs.par_iter().map(|pack| verifier.pack(pack)).collect();
        if let Some(error) = verifier.newer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let records: Vec<Found> = packs
            .iter()
            .zip(entries)
            .flat_map(|(pack, entries)| {
                entries
                    .into_iter()
                    .map(|entry| Found { place: Place::Pack(self.clone(), pack.clone()), entry })
            })
            .collect();
        let records = verifier.wanted(records);
        let (proven, damaged_records) = verifier.records(&records, progress);
        let (wrong, lacking) = verifier.recipes(&records, &proven);
        let mut states = vec![State::Waiting; records.len()];
        proven.into_iter().for_each(|index| states[index] = State::Sound);
        damaged_records.into_iter().for_each(|index| states[index] = State::Damaged);
        let mut problems = verifier.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.sort();
        problems.dedup();
        let damaged = verifier.damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
        let records = records.into_iter().zip(states).collect();
        Ok(Checked { problems, damaged, foreign, records, wrong, lacking })
    }
}

impl Checked {
    /// Tells whether a record's object can be read from it.
    fn is_whole(&self, (found, state): &(Found, State)) -> bool {
        let id = &found.entry.id;
        let is_broken = found.entry.is_recipe && (self.wrong.contains(id) || self.lacking.contains(id));
        *state == State::Sound && !is_broken
    }

    fn unreadable(&self) -> BTreeSet<ObjectId> {
        let whole: HashSet<ObjectId> =
            self.records.iter().filter(|one| self.is_whole(one)).map(|(found, _)| found.entry.id).collect();
        let objects = self.records.iter().map(|(found, _)| found.entry).filter(|entry| !entry.is_part);
        objects.map(|entry| entry.id).filter(|id| !whole.contains(id)).collect()
    }

    fn absent_bases(&self) -> BTreeSet<ObjectId> {
        let here: HashSet<ObjectId> = self.records.iter().map(|(found, _)| found.entry.id).collect();
        let waiting = self.records.iter().filter(|(_, state)| *state == State::Waiting);
        waiting.filter_map(|(found, _)| base_of(&found.entry)).filter(|base| !here.contains(base)).collect()
    }
}

/// Returns what a record is made on.
pub(super) fn base_of(entry: &Entry) -> Option<ObjectId> {
    match entry.form {
        Form::Whole => None,
        Form::Delta(base) | Form::Dictionary(base) => Some(base),
    }
}

impl Verifier<'_> {
    fn report(&self, kind: &'static str, place: String, what: String, hint: &'static str) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.push(Problem { kind, place, what, hint });
    }

    fn mark(&self, pack: PackId) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(pack);
    }

    fn report_record(&self, kind: &'static str, found: &Found, what: String) {
        if let Place::Pack(_, pack) = &found.place {
            self.mark(pack.id());
        }
        self.report(kind, place_of(found), what, HINT_DAMAGE);
    }

    fn report_pack(&self, pack: &Pack, what: impl Into<String>) {
        self.mark(pack.id());
        self.report("pack", format!("objects/{}", pack.id().file_name()), what.into(), HINT_DAMAGE);
    }

    fn report_error(&self, kind: &'static str, pack: PackId, error: &Error) {
        self.mark(pack);
        let mut chain = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            chain += &format!(": {error}");
            source = error.source();
        }
        self.report(kind, format!("objects/{}", pack.file_name()), chain, HINT_DAMAGE);
    }

    /// Checks one file but for what its records decode to, and returns the entries that can be trusted.
    fn pack(&self, pack: &Pack) -> Vec<Entry> {
        let objects = &self.store.0.objects;
        let id = ObjectId::parse(pack.id().file_name().trim_end_matches(".pack"));
        let is_hashed = id.is_ok_and(|id| self.extent.has(id));
        let hashed = pack.open_file(objects).and_then(|file| match is_hashed {
            true => Ok(Some(hash_file(&file)?)),
            false => Ok(None),
        });
        match hashed {
            Ok(Some(hash)) if PackId::from_bytes(hash) != pack.id() => {
                self.report_pack(pack, "its bytes do not hash to its name");
            }
            Ok(_) => {}
            Err(error) => {
                self.report_error("pack", pack.id(), &error);
                return Vec::new();
            }
        }
        let (footer, _) = match pack.footer(objects) {
            Ok(footer) => footer,
            Err(error @ Error::Newer { .. }) => {
                *self.newer.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return Vec::new();
            }
            Err(error) => {
                self.report_error("pack", pack.id(), &error);
                return Vec::new();
            }
        };
        let mut entries: Vec<Entry> = Vec::new();
        let mut is_whole = true;
        for number in 0.. {
            match pack.bucket(objects, number) {
                Ok(None) => break,
                Ok(Some(bucket)) => {
                    if bucket.iter().any(|entry| format::bucket_of(&entry.id, footer.bits) != number) {
                        self.report_pack(pack, format!("bucket {number} of its table holds foreign ids"));
                    }
                    entries.extend(bucket);
                }
                Err(error) => {
                    is_whole = false;
                    self.report_error("pack", pack.id(), &error);
                }
            }
        }
        if is_whole {
            self.shape(pack, &entries, &footer);
        }
        entries
    }

    /// Checks what only the sum of all entries shows.
    fn shape(&self, pack: &Pack, entries: &[Entry], footer: &format::Footer) {
        if entries.len() as u64 != footer.records {
            self.report_pack(pack, "the number of its records is not that in its footer");
        }
        if entries.windows(2).any(|pair| pair[0].id >= pair[1].id) {
            self.report_pack(pack, "its table is not sorted");
        }
        let objects = || entries.iter().filter(|entry| !entry.is_part);
        let plain_bytes = objects().map(|entry| entry.plain).fold(0, u64::saturating_add);
        if objects().count() as u64 != footer.objects || plain_bytes != footer.plain_bytes {
            self.report_pack(pack, "the sums in its footer are wrong");
        }
        let mut ranges: Vec<_> = entries.iter().map(|e| (e.offset, u64::from(e.stored))).collect();
        ranges.sort_unstable();
        let mut end = format::HEADER.len() as u64;
        let is_row = ranges.iter().all(|(offset, length)| {
            let follows = *offset == end;
            end += length;
            follows
        });
        if !is_row || end != footer.table_offset {
            self.report_pack(pack, "its records overlap or leave gaps");
        }
    }

    /// Keeps the records of the extent and all that they rest on: every copy of a base.
    fn wanted(&self, records: Vec<Found>) -> Vec<Found> {
        match self.extent {
            Extent::All => return records,
            Extent::Tables => return Vec::new(),
            Extent::Part(_) => {}
        }
        let mut places: HashMap<RecordKey, Vec<usize>> = HashMap::new();
        for (index, found) in records.iter().enumerate() {
            places.entry(key_of(found)).or_default().push(index);
        }
        let mut is_wanted = vec![false; records.len()];
        let mut todo: Vec<usize> =
            (0..records.len()).filter(|index| self.extent.has(records[*index].entry.id)).collect();
        while let Some(index) = todo.pop() {
            if std::mem::replace(&mut is_wanted[index], true) {
                continue;
            }
            if let Form::Delta(id) = records[index].entry.form {
                let base = RecordKey { id, is_recipe: records[index].entry.is_recipe };
                todo.extend(places.get(&base).into_iter().flatten());
            }
        }
        records.into_iter().zip(is_wanted).filter_map(|(found, wanted)| wanted.then_some(found)).collect()
    }

    /// Reports a record that is whole as far as can be seen, and of no use without what it depends on. Its pack does
    /// not count as damaged for that.
    fn report_waiting(&self, found: &Found, what: String) {
        self.report("missing", place_of(found), what, HINT_WAITING);
    }

    /// Decodes and hashes the records, each after its base. Returns where the sound ones are, in the order of
    /// their chains, and where the damaged ones are.
    fn records(&self, records: &[Found], progress: &(dyn Fn(Progress) + Sync)) -> (Vec<usize>, Vec<usize>) {
        let mut on_base: HashMap<RecordKey, Vec<usize>> = HashMap::new();
        for (index, found) in records.iter().enumerate() {
            if let Form::Delta(id) = found.entry.form {
                let key = RecordKey { id, is_recipe: found.entry.is_recipe };
                on_base.entry(key).or_default().push(index);
            }
        }
        let visited: Vec<AtomicBool> = records.iter().map(|_| AtomicBool::new(false)).collect();
        let done = AtomicU64::new(0);
        let total = records.len() as u64;
        let shelf = self.store.shelf();
        let sound = Mutex::new(Vec::with_capacity(records.len()));
        let damaged = Mutex::new(Vec::new());
        (0..records.len()).into_par_iter().filter(|i| !is_delta(&records[*i])).for_each(|root| {
            let mut stack: Vec<(usize, Option<Arc<[u8]>>)> = vec![(root, None)];
            let mut sound_here = Vec::new();
            while let Some((index, base)) = stack.pop() {
                if visited[index].swap(true, Ordering::Relaxed) {
                    continue;
                }
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                if done.is_multiple_of(256) || done == total {
                    progress(Progress { done, total });
                }
                let found = &records[index];
                let bytes = match self.record(&shelf, found, base.as_deref()) {
                    Ok(bytes) => bytes,
                    Err(State::Damaged) => {
                        damaged.lock().unwrap_or_else(PoisonError::into_inner).push(index);
                        continue;
                    }
                    Err(_) => continue,
                };
                sound_here.push(index);
                let key = key_of(found);
                stack.extend(on_base.get(&key).into_iter().flatten().map(|i| (*i, Some(bytes.clone()))));
            }
            sound.lock().unwrap_or_else(PoisonError::into_inner).extend(sound_here);
        });
        for (found, visited) in records.iter().zip(visited) {
            if let (false, Form::Delta(base)) = (visited.into_inner(), found.entry.form) {
                let id = found.entry.id;
                self.report_waiting(
                    found,
                    format!("object {id} depends on {base}, which is missing or damaged"),
                );
            }
        }
        let sound = sound.into_inner().unwrap_or_else(PoisonError::into_inner);
        (sound, damaged.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn record(
        &self,
        shelf: &Shelf<'_>,
        found: &Found,
        base: Option<&[u8]>,
    ) -> std::result::Result<Arc<[u8]>, State> {
        let decoded = shelf.decode(found, base).and_then(|bytes| {
            shelf.check(found, &bytes)?;
            Ok(bytes)
        });
        match decoded {
            Ok(bytes) => Ok(bytes.into()),
            // Its dictionary cannot be had.
            Err(Error::Rests { part, .. }) => {
                let id = found.entry.id;
                self.report_waiting(
                    found,
                    format!("object {id} depends on {part}, which is missing or damaged"),
                );
                Err(State::Waiting)
            }
            Err(error) => {
                let what = format!("object {}: {}", found.entry.id, last_of(&error));
                self.report_record("record", found, what);
                Err(State::Damaged)
            }
        }
    }

    /// Puts every large object together and hashes the whole. That proves its chunks as well, so that
    /// they are not hashed one by one again; in the order of chains, neighbours share most of them. Returns
    /// those that are wrong although nothing is missing, and those that lack parts.
    fn recipes(&self, records: &[Found], sound: &[usize]) -> (HashSet<ObjectId>, HashSet<ObjectId>) {
        let sound: Vec<&Found> = sound.iter().map(|index| &records[*index]).collect();
        let proven: Proven = sound.iter().rev().map(|found| (found.entry.id, (*found).clone())).collect();
        let shelf = Shelf { proven: Some(&proven), ..self.store.shelf() };
        let mut seen: HashSet<ObjectId> = HashSet::new();
        let recipes: Vec<&Found> = sound
            .iter()
            .copied()
            .chain(records)
            .filter(|found| found.entry.is_recipe && self.extent.has(found.entry.id))
            .filter(|found| seen.insert(found.entry.id))
            .collect();
        let broken = recipes.into_par_iter().filter_map(|found| {
            let whole = ObjectReader::new(shelf, found.clone()).and_then(|mut reader| {
                while reader.next_block()?.is_some() {}
                Ok(())
            });
            let error = whole.err()?;
            let (id, what) = (found.entry.id, last_of(&error));
            let is_wrong = matches!(&error, Error::Record { id: damaged, .. } if *damaged == id);
            if is_wrong {
                self.report_record("object", found, format!("object {id}: {what}"));
            } else {
                self.report_waiting(found, format!("a part of object {id} cannot be read: {what}"));
            }
            Some((id, is_wrong))
        });
        let (wrong, lacking): (Vec<_>, Vec<_>) =
            broken.collect::<Vec<_>>().into_iter().partition(|(_, is_wrong)| *is_wrong);
        let ids = |broken: Vec<(ObjectId, bool)>| broken.into_iter().map(|(id, _)| id).collect();
        (ids(wrong), ids(lacking))
    }
}

fn key_of(found: &Found) -> RecordKey {
    RecordKey { id: found.entry.id, is_recipe: found.entry.is_recipe }
}

fn is_delta(found: &Found) -> bool {
    matches!(found.entry.form, Form::Delta(_))
}

fn place_of(found: &Found) -> String {
    match &found.place {
        Place::Pack(_, pack) => format!("objects/{} offset {}", pack.id().file_name(), found.entry.offset),
        Place::Pending => "a pack being written".to_owned(),
    }
}

/// Returns the innermost message, which names what is really at fault.
fn last_of(error: &Error) -> String {
    match error {
        Error::Rests { source, .. } => last_of(source),
        Error::Record { what, .. } => what.clone(),
        Error::Disk(error) => format!("{error}: {}", error.source),
        other => other.to_string(),
    }
}

pub(super) fn hash_file(file: &crate::fs::File) -> crate::fs::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset)? {
            0 => return Ok(hasher.finalize().into()),
            count => {
                hasher.update(&buffer[..count]);
                offset += count as u64;
            }
        }
    }
}
