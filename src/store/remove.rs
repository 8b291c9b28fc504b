//! Removing the bytes of objects for good: every pack that holds them is written anew without them.
//!
//! - Other records are copied as they are. A delta on what goes is decoded and stored whole.
//! - Chunks and recipes that no large object left needs go as well, whoever had needed them.
//! - All new packs are durable before the first old one goes, and an old one that is still there after a
//!   crash is found by the next run like any other: whoever runs it until it succeeds is done. Until then
//!   every object that stays can be read, by one copy or the other.
//! - Readers beside it see old packs vanish and list them again, as when packs are merged.
//!
//! The caller holds the lock and knows that nothing refers to what goes. Bytes that are also a chunk of a
//! large object that stays cannot go: they are reported.
//!
//! Limits: what the disk itself does with freed blocks is beyond this program.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::error::Result;
use super::pack::format::{Entry, Form};
use super::pack::plan::Record;
use super::pack::read::Pack;
use super::pack::write::remove_rubbish;
use super::read::{Found, Place, Shelf};
use super::{PackWriter, Store, TEMP, frame};
use crate::object::{Kind, ObjectId};

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many packs went; most of them came again without what was removed.
    pub packs: usize,
    /// How many records went for good.
    pub records: usize,
    /// Blobs whose bytes stay, because they are a chunk of a large object that stays.
    pub kept: Vec<ObjectId>,
}

/// A pack with all its entries, in the order of its records.
type Listed = (Arc<Pack>, Vec<Entry>);

impl Store {
    /// Removes the bytes of `ids`. `needed` are the blobs that something still refers to, none of `ids`
    /// among them.
    pub fn remove(&self, ids: &BTreeSet<ObjectId>, needed: &HashSet<ObjectId>) -> Result<Removed> {
        self.reload()?;
        let packs = self.listed()?;
        let parts = self.parts_of_all_but(&packs, ids)?;
        let doomed = doomed(&packs, ids, &parts, needed);
        let mut removed = Removed { kept: ids.intersection(&parts).copied().collect(), ..Removed::default() };
        let present: HashSet<ObjectId> =
            packs.iter().flat_map(|(_, entries)| entries).map(|entry| entry.id).collect();
        // Where a run before this one was cut, a base can be gone already.
        let lasts = |id: &ObjectId| present.contains(id) && !doomed.contains(id);
        let is_touched =
            |entry: &Entry| !lasts(&entry.id) || base_of(entry).is_some_and(|base| !lasts(&base));
        let (mut old, mut new) = (Vec::new(), HashSet::new());
        for (pack, entries) in packs.iter().filter(|(_, entries)| entries.iter().any(is_touched)) {
            removed.records += entries.iter().filter(|entry| doomed.contains(&entry.id)).count();
            new.extend(self.copy_of(pack, entries, &doomed, &lasts)?);
            let depth = entries.iter().filter(|entry| is_touched(entry)).map(|entry| entry.depth).max();
            old.push((std::cmp::Reverse(depth), pack.id()));
        }
        // What rests on others goes before them, as far as packs can be ordered like that: an old record that
        // lost its base has its copy by now, but would be reported.
        old.sort_unstable();
        for id in old.into_iter().map(|(_, id)| id).filter(|id| !new.contains(id)) {
            match self.0.objects.remove_file(id.file_name()) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => removed.packs += 1,
            }
        }
        self.0.objects.sync()?;
        // What a killed writer left could hold them as well.
        remove_rubbish(&self.0.dot.open_or_create_dir(TEMP)?)?;
        self.0.cache.clear();
        self.reload()?;
        Ok(removed)
    }

    fn listed(&self) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for pack in self.list().iter() {
            listed.push((pack.clone(), pack.entries(&self.0.objects)?));
        }
        Ok(listed)
    }

    /// Returns all chunks and recipes that large objects other than `ids` are made of.
    fn parts_of_all_but(&self, packs: &[Listed], ids: &BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>> {
        let shelf = self.shelf();
        let (mut parts, mut seen) = (BTreeSet::new(), HashSet::new());
        for (pack, entries) in packs {
            for entry in entries.iter().filter(|entry| entry.is_recipe && !ids.contains(&entry.id)) {
                if seen.insert(entry.id) {
                    self.add_parts(&shelf, pack, *entry, &mut parts)?;
                }
            }
        }
        Ok(parts)
    }

    fn add_parts(
        &self,
        shelf: &Shelf<'_>,
        pack: &Arc<Pack>,
        entry: Entry,
        parts: &mut BTreeSet<ObjectId>,
    ) -> Result<()> {
        let found = Found { place: Place::Pack(self.clone(), pack.clone()), entry };
        let mut open = vec![shelf.recipe(&found)?];
        while let Some(recipe) = open.pop() {
            for piece in recipe.pieces {
                if parts.insert(piece.id) && recipe.level > 0 {
                    open.push(shelf.part_recipe(entry.id, piece.id, piece.length, recipe.level)?);
                }
            }
        }
        Ok(())
    }

    /// Writes a pack anew with what lasts; `None` if nothing does.
    fn copy_of(
        &self,
        pack: &Arc<Pack>,
        entries: &[Entry],
        doomed: &HashSet<ObjectId>,
        lasts: &dyn Fn(&ObjectId) -> bool,
    ) -> Result<Option<super::PackId>> {
        let shelf = self.shelf();
        let mut writer = PackWriter::new(self.clone());
        for entry in entries.iter().filter(|entry| lasts(&entry.id)) {
            let whole = match base_of(entry).filter(|base| !lasts(base)) {
                None => None,
                Some(base) => {
                    let found = Found { place: Place::Pack(self.clone(), pack.clone()), entry: *entry };
                    match shelf.record(&found) {
                        Ok(bytes) => Some(frame::encode_whole(&bytes)),
                        // Damage of another kind: it stays what it was.
                        Err(_) if !doomed.contains(&base) => None,
                        Err(error) => return Err(error),
                    }
                }
            };
            let record = match whole {
                Some(stored) => {
                    let entry = Entry { form: Form::Whole, depth: 0, ordinal: 0, ..*entry };
                    Record { entry: Entry { stored: stored.len() as u32, ..entry }, stored }
                }
                None => Record { entry: *entry, stored: self.stored(pack, entry)? },
            };
            writer.append(record)?;
        }
        if writer.is_empty() { Ok(None) } else { writer.publish() }
    }
}

/// Returns the records that go: those of `ids`, and pieces of large objects that nothing needs.
fn doomed(
    packs: &[Listed],
    ids: &BTreeSet<ObjectId>,
    parts: &BTreeSet<ObjectId>,
    needed: &HashSet<ObjectId>,
) -> HashSet<ObjectId> {
    let entries = || packs.iter().flat_map(|(_, entries)| entries);
    // What is an object of its own in any pack is no mere piece.
    let objects: HashSet<ObjectId> = entries().filter(|entry| !entry.is_part).map(|entry| entry.id).collect();
    let is_idle =
        |entry: &&Entry| entry.is_part && !objects.contains(&entry.id) && !needed.contains(&entry.id);
    let idle = entries().filter(is_idle).map(|entry| entry.id);
    let asked = entries().filter(|entry| entry.kind == Kind::Blob).map(|entry| entry.id);
    idle.chain(asked.filter(|id| ids.contains(id))).filter(|id| !parts.contains(id)).collect()
}

fn base_of(entry: &Entry) -> Option<ObjectId> {
    match entry.form {
        Form::Whole => None,
        Form::Delta(base) | Form::Dictionary(base) => Some(base),
    }
}
