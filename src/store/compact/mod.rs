//! Compaction: everything the store holds is written anew into one pack, with time to do it well.
//!
//! - The caller says which objects are versions of one thing, newest first. The newest stands whole, older ones
//!   are deltas on it or on the next newer, whichever is smaller: what is read most is read fastest.
//! - What no lineage names is kept as well, by itself, unless the caller says that it may go. Commits and trees
//!   never go.
//! - What stands whole and is small is compressed with a dictionary, a blob of its own in the same pack.
//! - The new pack rests on nothing outside of it. It is built without the lock; putting it in place of the old
//!   ones, which vanish when it is durable, needs the lock and takes a moment.
//! - The bytes of the new pack depend on what is stored and on the lineages, never on the number of threads.
//!
//! Limits: every object is compressed again, also where the last compaction did its best.

pub(super) mod dictionary;
mod large;

use std::collections::{BTreeSet, HashSet};

use rayon::prelude::*;

use super::error::{Error, Result};
use super::frame::{Dictionary, Effort};
use super::pack::format::Form;
use super::pack::plan::{self, Record, Spec};
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
    old: Vec<PackId>,
    unnamed: Unnamed,
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
    /// What no lineage named; it was kept, or dropped if that was asked for.
    pub unnamed: Unnamed,
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
    /// meets is an error: what cannot be read cannot be kept.
    pub fn prepare(
        store: &Store,
        lineages: &[Lineage],
        leftovers: Leftovers,
        told: &Told<'_>,
    ) -> Result<Self> {
        store.reload()?;
        let old = store.list().iter().map(|pack| pack.id()).collect();
        let dictionaries = dictionary::present(store)?;
        let chosen = dictionary::choose(store, lineages, &dictionaries)?;
        let total = lineages.iter().map(|lineage| lineage.len() as u64).sum();
        let mut work = Work { store, writer: store.blank().writer()?, dictionaries, told, done: 0, total };
        let prepared = match chosen {
            Some(bytes) => {
                work.writer.append(plan::part_alone(&bytes))?;
                Some(Dictionary::new(&bytes))
            }
            None => None,
        };
        let effort = Effort::Thorough(prepared.as_ref());
        work.rounds(lineages, effort)?;
        let unnamed = work.leftovers(leftovers, effort)?;
        Ok(Compaction { store: store.clone(), writer: work.writer, old, unnamed })
    }

    /// Returns what putting it in place would do.
    pub fn outcome(&self) -> Result<Compacted> {
        let before = self.store.stats()?;
        Ok(Compacted { before, after: self.writer.stats()?, pack: None, unnamed: self.unnamed })
    }

    /// Puts the new pack in the place of those it was made of; others that came meanwhile stay. The caller
    /// holds the lock, and knows that no object was removed for good meanwhile.
    pub fn finish(self) -> Result<Compacted> {
        let mut outcome = self.outcome()?;
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
            match record? {
                Some(record) => self.writer.append(record)?,
                None => self.write_large(item.id, item.bases.last().copied(), effort)?,
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
