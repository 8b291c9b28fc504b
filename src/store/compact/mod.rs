//! Compaction: everything the store holds is written anew into one pack, with time to do it well.
//!
//! - The caller says which objects are versions of one thing, newest first. The newest stands whole, older ones
//!   are deltas on it or on the next newer, whichever is smaller: what is read most is read fastest.
//! - What no lineage names is kept as well, by itself, unless the caller says that it may go. Commits and trees
//!   never go.
//! - What stands whole and is small is compressed with a dictionary, a blob of its own in the same pack.
//! - The new pack rests on nothing outside of it. It is built without the lock; putting it in place of the old
//!   ones, which vanish when it is durable, needs the lock and takes a moment.
//! - What cannot be read because something is missing, as the base of a delta, stays as it is: the packs that hold
//!   it are not replaced, and then nothing is dropped, because it could be what is missing there.
//! - Where all this would make it no smaller, the records go into the new pack as they are; where that does not either,
//!   nothing is put in place, unless something is to be dropped.
//! - The bytes of the new pack depend on what is stored and on the lineages, never on the number of threads.
//!
//! Limits: every object is compressed again, also where the last compaction did its best.

pub(super) mod dictionary;
mod large;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::error::{Error, Result};
use super::frame::{Dictionary, Effort};
use super::pack::format::{Entry, Form};
use super::pack::plan::{self, Record, Spec};
use super::pack::read::Pack;
use super::{PackId, PackWriter, Store, StoreStats};
use crate::object::{Kind, ObjectId};

/// So many objects are read and compressed at a time.
const BATCH: usize = 32;

/// Versions of one thing, the newest first. One that another lineage has already serves as a base here.
pub type Lineage = Vec<ObjectId>;

/// A store written anew, but not in place yet. Dropped, it leaves everything as it was.
pub struct Compaction {
    store: Store,
    writer: PackWriter,
    /// The packs that it replaces.
    old: Vec<PackId>,
    old_stats: StoreStats,
    unnamed: Unnamed,
    drops: bool,
    absent: BTreeSet<ObjectId>,
}

/// Blobs that no lineage named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unnamed {
    /// Their number, chunks that no large object needs among them.
    pub objects: u64,
    /// The sum of their lengths in bytes.
    pub raw_bytes: u64,
}

/// What a compaction did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// What the store held before.
    pub before: StoreStats,
    /// What it holds now, or would.
    pub after: StoreStats,
    /// The new pack, if it is in place.
    pub pack: Option<PackId>,
    /// What no lineage named; it was kept, or dropped if that was asked for and [`Compacted::drops`].
    pub unnamed: Unnamed,
    /// Whether what no lineage named was dropped.
    pub drops: bool,
    /// Whether the new pack would be no smaller: nothing is changed then.
    pub is_useless: bool,
}

/// What becomes of objects that no lineage names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// They are kept.
    Keep,
    /// They are gone when the compaction is in place: the caller knows that nothing will ask for them.
    Drop,
}

/// Who a compaction tells how far it is: versions done, and versions in all.
pub type Told<'a> = dyn Fn(u64, u64) + Sync + 'a;

impl Compaction {
    /// Writes what `store` holds anew. Takes no lock, and changes nothing that others see. Damage that it
    /// meets is an error; what is only missing is not, see [`Compaction::absent`].
    pub fn prepare(
        store: &Store,
        lineages: &[Lineage],
        leftovers: Leftovers,
        told: &Told<'_>,
    ) -> Result<Self> {
        store.reload()?;
        let dictionaries = dictionary::present(store)?;
        let chosen = dictionary::choose(store, lineages, &dictionaries)?;
        let has_dictionary = chosen.is_some();
        let first = Compaction::with_dictionary(store, lineages, leftovers, told, chosen, &dictionaries)?;
        if !first.is_useless()? {
            return Ok(first);
        }
        // Of little text a dictionary can be longer than what it saves.
        let second = match has_dictionary {
            true => Compaction::with_dictionary(store, lineages, leftovers, told, None, &dictionaries)?,
            false => first,
        };
        if second.is_useless()? { second.unchanged() } else { Ok(second) }
    }

    /// Takes the records as they are: one pack of them is smaller than many by what is around the records.
    fn unchanged(self) -> Result<Self> {
        let mut writer = self.store.blank().writer()?;
        let packs = self.store.list();
        let mut chosen: HashMap<ObjectId, (u8, &Arc<Pack>, Entry)> = HashMap::new();
        for pack in packs.iter().filter(|pack| self.old.contains(&pack.id())) {
            for entry in pack.entries(&self.store.0.objects)? {
                // The one that lies least deep in its chain: so no two come to depend on each other.
                let known = chosen.get(&entry.id).is_some_and(|(depth, _, _)| *depth <= entry.depth);
                if !known && !self.store.is_removed(entry.id) {
                    chosen.insert(entry.id, (entry.depth, pack, entry));
                }
            }
        }
        let mut chosen: Vec<_> = chosen.into_values().collect();
        chosen.sort_unstable_by_key(|(_, pack, entry)| (pack.id(), entry.offset));
        for (_, pack, entry) in chosen {
            writer.append(Record { entry, stored: self.store.stored(pack, &entry)? })?;
        }
        Ok(Compaction { writer, ..self })
    }

    fn with_dictionary(
        store: &Store,
        lineages: &[Lineage],
        leftovers: Leftovers,
        told: &Told<'_>,
        chosen: Option<Vec<u8>>,
        dictionaries: &BTreeSet<ObjectId>,
    ) -> Result<Self> {
        let packs = store.list();
        let total = lineages.iter().map(|lineage| lineage.len() as u64).sum();
        let (writer, absent) = (store.blank().writer()?, BTreeSet::new());
        let dictionaries = dictionaries.clone();
        let mut work = Work { store, writer, dictionaries, told, done: 0, total, absent };
        let prepared = match chosen {
            Some(bytes) => {
                work.writer.append(plan::part_alone(&bytes))?;
                Some(Dictionary::new(&bytes))
            }
            None => None,
        };
        let effort = Effort::Thorough(prepared.as_ref());
        work.rounds(lineages, effort)?;
        let leftovers = if work.absent.is_empty() { leftovers } else { Leftovers::Keep };
        let unnamed = work.leftovers(leftovers, effort)?;
        let (mut old, mut old_stats) = (Vec::new(), StoreStats::default());
        for pack in packs.iter() {
            let entries = pack.entries(&store.0.objects)?;
            if entries.iter().any(|entry| work.absent.contains(&entry.id)) {
                continue;
            }
            let (footer, bytes) = pack.footer(&store.0.objects)?;
            old.push(pack.id());
            old_stats.packs += 1;
            old_stats.objects += footer.objects;
            old_stats.bytes += bytes;
            old_stats.raw_bytes += footer.plain_bytes;
        }
        let drops = leftovers == Leftovers::Drop;
        let Work { writer, absent, .. } = work;
        Ok(Compaction { store: store.clone(), writer, old, old_stats, unnamed, drops, absent })
    }

    /// Returns what could not be read because it, or something that it depends on, is missing.
    pub fn absent(&self) -> &BTreeSet<ObjectId> {
        &self.absent
    }

    /// Tells whether it would be no smaller than what it replaces, and drop nothing either.
    fn is_useless(&self) -> Result<bool> {
        let drops_some = self.drops && self.unnamed.objects > 0;
        Ok(self.writer.stats()?.bytes >= self.old_stats.bytes && !drops_some)
    }

    /// Returns what putting it in place would do.
    pub fn outcome(&self) -> Result<Compacted> {
        let before = self.store.stats()?;
        let new = self.writer.stats()?;
        let (unnamed, drops) = (self.unnamed, self.drops);
        let is_useless = self.is_useless()?;
        let change = |all: u64, old: u64, new: u64| all.saturating_sub(old) + new;
        let old = self.old_stats;
        let after = match is_useless {
            true => before,
            false => StoreStats {
                packs: change(before.packs, old.packs, new.packs),
                objects: change(before.objects, old.objects, new.objects),
                bytes: change(before.bytes, old.bytes, new.bytes),
                raw_bytes: change(before.raw_bytes, old.raw_bytes, new.raw_bytes),
            },
        };
        Ok(Compacted { before, after, pack: None, unnamed, drops, is_useless })
    }

    /// Puts the new pack in the place of those it was made of; others that came meanwhile stay. The caller
    /// holds the lock, and knows that no object was removed for good meanwhile.
    pub fn finish(self) -> Result<Compacted> {
        let mut outcome = self.outcome()?;
        if outcome.is_useless {
            return Ok(outcome);
        }
        if let Some(new) = self.writer.publish()? {
            let old: Vec<PackId> = self.old.into_iter().filter(|id| *id != new).collect();
            self.store.discard(&old)?;
            outcome.pack = Some(new);
        }
        self.store.0.cache.clear();
        self.store.reload()?;
        outcome.after = self.store.stats()?;
        Ok(outcome)
    }
}

struct Work<'a> {
    store: &'a Store,
    writer: PackWriter,
    /// Those that the old packs were made with.
    dictionaries: BTreeSet<ObjectId>,
    told: &'a Told<'a>,
    done: u64,
    total: u64,
    /// What could not be read because something is missing.
    absent: BTreeSet<ObjectId>,
}

/// One version, with those it may rest on.
struct Item {
    id: ObjectId,
    bases: Vec<ObjectId>,
    is_part: bool,
}

impl Work<'_> {
    /// Writes the newest version of every lineage, then the second of each, and so on: what a version may
    /// rest on is there when its turn comes, and those of one round need not wait for each other.
    fn rounds(&mut self, lineages: &[Lineage], effort: Effort<'_>) -> Result<()> {
        let mut open: Vec<&Lineage> = lineages.iter().collect();
        for round in 0.. {
            open.retain(|lineage| lineage.len() > round);
            if open.is_empty() {
                return Ok(());
            }
            for batch in open.chunks(BATCH) {
                let items = batch.iter().map(|lineage| Item {
                    id: lineage[round],
                    bases: match round {
                        0 => Vec::new(),
                        1 => vec![lineage[0]],
                        _ => vec![lineage[0], lineage[round - 1]],
                    },
                    is_part: false,
                });
                let new = items.filter(|item| !self.writer.holds(&item.id)).collect();
                self.write(new, effort)?;
                self.done += batch.len() as u64;
                (self.told)(self.done, self.total);
            }
        }
        Ok(())
    }

    /// Writes objects that do not rest on each other.
    fn write(&mut self, items: Vec<Item>, effort: Effort<'_>) -> Result<()> {
        let encode = |item: &Item| -> Result<Option<Record>> {
            let found = self.store.locate(&item.id)?.ok_or(Error::Missing { id: item.id })?;
            if found.entry.is_recipe {
                return Ok(None);
            }
            let (kind, plain) = (found.entry.kind, found.entry.plain);
            let object = self.store.try_find(item.id)?.ok_or(Error::Missing { id: item.id })?;
            let spec = match item.is_part {
                true => Spec::part(item.id, plain),
                false => Spec::object(item.id, kind, plain),
            };
            // A history with skips finds its base by itself, from the next newer on.
            let bases = if kind == Kind::Blob { &item.bases[..] } else { last_of(&item.bases) };
            Ok(Some(plan::encode_on_best(&self.writer.shelf(), &spec, &object.data, bases, effort)))
        };
        let records: Vec<Result<Option<Record>>> = items.par_iter().map(encode).collect();
        for (item, record) in items.iter().zip(records) {
            let written = match record {
                Ok(Some(record)) => self.writer.append(record),
                Ok(None) => self.write_large(item.id, item.bases.last().copied(), effort),
                Err(error) => Err(error),
            };
            match written {
                Err(error) if error.is_absence() => {
                    self.absent.insert(item.id);
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Keeps or drops what no lineage named.
    fn leftovers(&mut self, leftovers: Leftovers, effort: Effort<'_>) -> Result<Unnamed> {
        let mut unnamed = Unnamed::default();
        let (mut seen, mut objects, mut parts) = (HashSet::new(), Vec::new(), Vec::new());
        for pack in self.store.list().iter() {
            for entry in pack.entries(&self.store.0.objects)? {
                if self.writer.holds(&entry.id) || self.store.is_removed(entry.id) || !seen.insert(entry.id) {
                    continue;
                }
                let list = if entry.is_part { &mut parts } else { &mut objects };
                list.push((entry.id, entry.plain, entry.kind));
            }
        }
        // With the objects come their parts; what is left of those then belongs to nothing.
        for (list, is_part) in [(objects, false), (parts, true)] {
            for batch in list.chunks(BATCH) {
                let new: Vec<_> = batch.iter().filter(|(id, _, _)| !self.writer.holds(id)).collect();
                let may_go = |(id, _, kind): &&&(ObjectId, u64, Kind)| {
                    *kind == Kind::Blob && !self.dictionaries.contains(id)
                };
                let told = || new.iter().filter(may_go);
                unnamed.objects += told().count() as u64;
                unnamed.raw_bytes += told().map(|(_, plain, _)| plain).sum::<u64>();
                let kept =
                    new.iter().filter(|(_, _, kind)| leftovers == Leftovers::Keep || *kind != Kind::Blob);
                let items = kept.map(|(id, _, _)| Item { id: *id, bases: Vec::new(), is_part });
                self.write(items.collect(), effort)?;
            }
        }
        Ok(unnamed)
    }
}

fn last_of(bases: &[ObjectId]) -> &[ObjectId] {
    &bases[bases.len().saturating_sub(1)..]
}

/// Tells whether a record needs a dictionary, and which.
fn dictionary_of(form: Form) -> Option<ObjectId> {
    match form {
        Form::Dictionary(id) => Some(id),
        Form::Whole | Form::Delta(_) => None,
    }
}
