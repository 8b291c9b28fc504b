//! Salvage: what is whole in damaged packs goes into a new one, and the damaged ones are set aside.
//!
//! - The new pack is durable before the first damaged one is moved. Nothing is deleted: a damaged pack is
//!   renamed into a folder that the caller names.
//! - Afterwards every record in the store can be read. A recipe whose chunks are gone is left out, so that the
//!   object counts as missing and can come again; a delta on such a recipe is stored whole.
//! - Cut anywhere and run again it comes to the same: what is in the new pack already is not written twice.
//! - Readers beside it see packs vanish and list them again, as when packs are merged.
//!
//! Limits: what a damaged table does not name any more is not looked for; of a pack without its footer
//! nothing is found.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;

use super::cache::RecordKey;
use super::error::Result;
use super::frame;
use super::pack::format::{Entry, Form};
use super::pack::plan::Record;
use super::read::{Found, Place};
use super::verify::{Extent, Progress, hash_file};
use super::{PackId, PackWriter, Store};
use crate::fs::{Dir, FileKind};
use crate::object::{Kind, ObjectId};

/// What is damaged in a store, and what of it can be saved.
pub struct Salvage {
    store: Store,
    /// Packs to be set aside, and files in their folder that are none.
    files: Vec<OsString>,
    /// Sound records that would go with them.
    sound: Vec<Found>,
    /// Large objects that lack chunks.
    broken: std::collections::HashSet<ObjectId>,
    /// Objects that are named in a table and cannot be read from any pack.
    pub lost: BTreeMap<ObjectId, Kind>,
}

/// A file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its name in the folder of packs.
    pub name: String,
    /// Its name where it is now: the SHA-256 of its bytes, if they could be read.
    pub kept_as: String,
}

impl Store {
    /// Reads everything and says what would be saved and set aside.
    pub fn salvage(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Salvage> {
        let checked = self.check(Extent::All, progress)?;
        let (mut damaged, broken) = (checked.damaged, checked.broken);
        let is_broken = |entry: &Entry| entry.is_recipe && broken.contains(&entry.id);
        let rests_on_broken =
            |entry: &Entry| entry.is_recipe && base_of(entry).is_some_and(|base| broken.contains(&base));
        for (found, is_sound) in &checked.records {
            if let (true, Place::Pack(_, pack)) = (*is_sound, &found.place)
                && (is_broken(&found.entry) || rests_on_broken(&found.entry))
            {
                damaged.insert(pack.id());
            }
        }
        let is_damaged =
            |found: &Found| matches!(&found.place, Place::Pack(_, pack) if damaged.contains(&pack.id()));
        // A copy that lies deeper in its chain may rest on the very record that goes.
        let mut best: HashMap<RecordKey, (u8, bool)> = HashMap::new();
        let mut lost: BTreeMap<ObjectId, Kind> = BTreeMap::new();
        for (found, is_sound) in &checked.records {
            if *is_sound && !is_broken(&found.entry) {
                let rank = (found.entry.depth, is_damaged(found));
                best.entry(key_of(&found.entry)).and_modify(|old| *old = rank.min(*old)).or_insert(rank);
            } else if !found.entry.is_part {
                lost.insert(found.entry.id, found.entry.kind);
            }
        }
        lost.retain(|id, _| {
            [false, true]
                .iter()
                .all(|is_recipe| !best.contains_key(&RecordKey { id: *id, is_recipe: *is_recipe }))
        });
        let records = checked.records.into_iter().filter_map(|(found, is_sound)| {
            let rank = (found.entry.depth, true);
            (is_sound && is_damaged(&found) && best.get(&key_of(&found.entry)) == Some(&rank))
                .then_some(found)
        });
        let sound = records.collect();
        let files = damaged.iter().map(|id| OsString::from(id.file_name())).chain(checked.foreign).collect();
        Ok(Salvage { store: self.clone(), files, sound, broken, lost })
    }
}

impl Salvage {
    /// Tells whether the store is whole.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the names of the files that would be set aside, sorted.
    pub fn files(&self) -> Vec<String> {
        let names: BTreeSet<String> = self.files.iter().map(|name| name.to_string_lossy().into()).collect();
        names.into_iter().collect()
    }

    /// Returns how many records would be saved.
    pub fn records(&self) -> usize {
        self.sound.len()
    }

    /// Writes what is sound into a new pack, durably. Nothing else is touched.
    pub fn save(&self) -> Result<Option<PackId>> {
        let mut writer = PackWriter::new(self.store.clone());
        let shelf = self.store.shelf();
        for found in &self.sound {
            let Place::Pack(_, pack) = &found.place else { continue };
            let entry = found.entry;
            let lost_its_base =
                entry.is_recipe && base_of(&entry).is_some_and(|base| self.broken.contains(&base));
            writer.append(if lost_its_base {
                let stored = frame::encode_whole(&shelf.record(found)?);
                let entry = Entry { form: Form::Whole, depth: 0, ordinal: 0, ..entry };
                Record { entry: Entry { stored: stored.len() as u32, ..entry }, stored }
            } else {
                Record { entry, stored: self.store.stored(pack, &entry)? }
            })?;
        }
        if writer.is_empty() { Ok(None) } else { writer.publish() }
    }

    /// Moves the damaged packs into `to`, durably. To be called after [`Salvage::save`].
    pub fn set_aside(&self, to: &Dir) -> Result<Vec<SetAside>> {
        let objects = &self.store.0.objects;
        let mut moved = Vec::new();
        for name in &self.files {
            let Some(stat) = objects.try_stat(name)? else { continue };
            // What cannot be read, or is no file, keeps its name.
            let hash = match stat.kind {
                FileKind::File => objects.open(name).and_then(|file| hash_file(&file)).ok(),
                _ => None,
            };
            let plain = name.to_string_lossy().into_owned();
            let kept_as = hash.map_or_else(|| plain.clone(), hex::encode);
            objects.rename(name, to, &kept_as)?;
            moved.push(SetAside { name: plain, kept_as });
        }
        if !moved.is_empty() {
            to.sync()?;
            objects.sync()?;
        }
        self.store.0.cache.clear();
        self.store.0.open_files.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        self.store.reload()?;
        Ok(moved)
    }
}

fn key_of(entry: &Entry) -> RecordKey {
    RecordKey { id: entry.id, is_recipe: entry.is_recipe }
}

fn base_of(entry: &Entry) -> Option<ObjectId> {
    match entry.form {
        Form::Whole => None,
        Form::Delta(base) | Form::Dictionary(base) => Some(base),
    }
}
