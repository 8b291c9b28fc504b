//! Salvage: what is whole in damaged packs goes into a new one, and the damaged ones are set aside.
//!
//! - The new pack is durable before the first damaged one is moved. Nothing is deleted: a damaged pack is
//!   renamed into a folder that the caller names.
//! - Set aside is only what is provably damaged. A record whose base, dictionary or chunk is missing or damaged is
//!   kept where it is, or copied as it is out of a damaged pack: it can be read as soon as that comes. Until then
//!   the object counts as one that is not stored, see [`Store::knows`].
//! - A recipe that is wrong although all its parts are there is left out; a delta on such a recipe is stored whole.
//! - Cut anywhere and run again it comes to the same: what is in the new pack already is not written twice.
//! - Readers beside it see packs vanish and list them again, as when packs are merged.
//!
//! Limits: what a damaged table does not name any more is not looked for; of a pack without its footer
//! nothing is found.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;

use super::cache::RecordKey;
use super::error::Result;
use super::frame;
use super::pack::format::{Entry, Form};
use super::pack::plan::Record;
use super::read::{Found, Place};
use super::verify::{Extent, Progress, State, base_of, hash_file};
use super::{PackId, PackWriter, Store};
use crate::fs::{Dir, FileKind};
use crate::object::ObjectId;

/// What is damaged in a store, and what of it can be saved.
pub struct Salvage {
    store: Store,
    /// Packs to be set aside, and files in their folder that are none.
    files: Vec<OsString>,
    /// Records that would go with them and are not damaged, as far as can be told now.
    kept: Vec<(Found, State)>,
    /// Large objects whose recipe is another object's.
    wrong: HashSet<ObjectId>,
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
        let (mut damaged, wrong) = (checked.damaged, checked.wrong);
        let is_wrong = |entry: &Entry| entry.is_recipe && wrong.contains(&entry.id);
        let is_on_wrong =
            |entry: &Entry| entry.is_recipe && base_of(entry).is_some_and(|base| wrong.contains(&base));
        for (found, state) in &checked.records {
            if let (State::Sound, Place::Pack(_, pack)) = (*state, &found.place)
                && (is_wrong(&found.entry) || is_on_wrong(&found.entry))
            {
                damaged.insert(pack.id());
            }
        }
        let is_damaged =
            |found: &Found| matches!(&found.place, Place::Pack(_, pack) if damaged.contains(&pack.id()));
        // Of a record with copies a sound one is kept before one that waits, and of those the one that lies least
        // deep in its chain: a deeper copy may be made on the very record that goes.
        let rank_of = |found: &Found, state: State| {
            let rank = (state != State::Sound, found.entry.depth, is_damaged(found));
            (state != State::Damaged && !is_wrong(&found.entry)).then_some(rank)
        };
        let mut best: HashMap<RecordKey, (bool, u8, bool)> = HashMap::new();
        for (found, state) in &checked.records {
            if let Some(rank) = rank_of(found, *state) {
                best.entry(key_of(&found.entry)).and_modify(|old| *old = rank.min(*old)).or_insert(rank);
            }
        }
        let kept = checked.records.into_iter().filter_map(|(found, state)| {
            let rank = rank_of(&found, state)?;
            (is_damaged(&found) && best.get(&key_of(&found.entry)) == Some(&rank)).then_some((found, state))
        });
        let kept = kept.collect();
        let files = damaged.iter().map(|id| OsString::from(id.file_name())).chain(checked.foreign).collect();
        Ok(Salvage { store: self.clone(), files, kept, wrong })
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
        self.kept.len()
    }

    /// Writes what is not damaged into a new pack, durably. Nothing else is touched.
    pub fn save(&self) -> Result<Option<PackId>> {
        let mut writer = PackWriter::new(self.store.clone());
        let shelf = self.store.shelf();
        for (found, state) in &self.kept {
            let Place::Pack(_, pack) = &found.place else { continue };
            let entry = found.entry;
            let lost_its_base = *state == State::Sound
                && entry.is_recipe
                && base_of(&entry).is_some_and(|base| self.wrong.contains(&base));
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
