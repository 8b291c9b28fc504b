//! Merging small packs geometrically: a new pack takes the records of older ones of its size into itself.
//!
//! - Packs stand in tiers, each [`FAN`] times as large as the one before. When a new pack would be one of
//!   [`FAN`] in its tier it takes the others in, and is then looked at in the tier that it grew into. So n
//!   packs leave O(log n), and each byte is copied O(log n) times.
//! - One new pack takes in at most [`MERGED_MAX`] bytes. Larger packs are left to a full compaction.
//! - Records are copied as they are. A file is taken in only if it hashes to its name, so that damage is
//!   neither spread nor hidden by a new name.
//! - The old files go when the new one is durable. Readers see them vanish and list the packs again.
//! - A pack that holds a copy of what another one holds too is left alone. So merging never drops a copy, and what
//!   could be decoded before can be decoded afterwards, on the same bases.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::error::{Error, Result};
use super::pack::format::Entry;
use super::pack::plan::Record;
use super::pack::read::Pack;
use super::{PackId, PackWriter, Store};
use crate::object::ObjectId;

/// The most bytes of other packs that one new pack takes in.
pub const MERGED_MAX: u64 = 16 << 20;
/// So many packs of one tier become one of the next.
const FAN: usize = 4;
/// Packs of at most this many bytes are in the first tier.
const TIER_MIN: u64 = 4 << 10;

/// A pack read whole.
struct Taken {
    pack: Arc<Pack>,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl PackWriter {
    /// As [`PackWriter::publish`], and merges small packs into this one. The caller holds the lock, so that
    /// nobody else changes the list of packs.
    pub fn publish_merging(mut self) -> Result<Option<PackId>> {
        if self.is_empty() {
            return self.publish();
        }
        let store = self.store().clone();
        let mut taken = Vec::new();
        for pack in store.mergeable(self.bytes())? {
            taken.extend(self.readable(&store, pack)?);
        }
        for Taken { bytes, entries, .. } in &taken {
            for entry in entries {
                let start = entry.offset as usize;
                let stored = bytes[start..start + entry.stored as usize].to_vec();
                self.append(Record { entry: *entry, stored })?;
            }
        }
        let published = self.publish()?;
        let old: Vec<PackId> = taken.iter().map(|one| one.pack.id()).collect();
        store.discard(&old)?;
        Ok(published)
    }

    /// Reads a pack that can be taken in; `None` if it is damaged, or not the only one that holds what it holds.
    fn readable(&self, store: &Store, pack: Arc<Pack>) -> Result<Option<Taken>> {
        match self.try_read(store, pack) {
            Err(Error::Pack { .. }) => Ok(None),
            Err(Error::Disk(error)) if error.is_not_found() => Ok(None),
            other => other,
        }
    }

    fn try_read(&self, store: &Store, pack: Arc<Pack>) -> Result<Option<Taken>> {
        let entries = pack.entries(&store.0.objects)?;
        for entry in &entries {
            if self.holds(&entry.id) || store.is_in_another(&entry.id, &pack)? {
                return Ok(None);
            }
        }
        let file = pack.open_file(&store.0.objects)?;
        let mut bytes = vec![0; file.stat()?.size as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let is_sound = PackId::from_bytes(Sha256::digest(&bytes).into()) == pack.id();
        Ok(is_sound.then_some(Taken { pack, bytes, entries }))
    }
}

fn tier(bytes: u64) -> u32 {
    (bytes.max(TIER_MIN) / TIER_MIN).ilog2() / (FAN as u64).ilog2()
}

impl Store {
    /// Returns the packs that a new one of `bytes` should take in, smallest first.
    fn mergeable(&self, bytes: u64) -> Result<Vec<Arc<Pack>>> {
        let packs = self.list();
        let mut sized = Vec::new();
        for pack in packs.iter() {
            match pack.footer(&self.0.objects) {
                Ok((_, length)) if length <= MERGED_MAX => sized.push((length, pack)),
                Ok(_) | Err(Error::Pack { .. }) => {}
                Err(Error::Disk(error)) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        sized.sort_unstable_by_key(|(length, pack)| (*length, pack.id()));
        let (mut chosen, mut copied) = (Vec::new(), 0);
        loop {
            let tier_now = tier(bytes + copied);
            let (alike, others): (Vec<_>, Vec<_>) =
                sized.into_iter().partition(|(len, _)| tier(*len) == tier_now);
            let more: u64 = alike.iter().map(|(length, _)| length).sum();
            if alike.len() + 1 < FAN || copied + more > MERGED_MAX {
                return Ok(chosen);
            }
            chosen.extend(alike.into_iter().map(|(_, pack)| pack.clone()));
            copied += more;
            sized = others;
        }
    }

    fn is_in_another(&self, id: &ObjectId, pack: &Pack) -> Result<bool> {
        for other in self.list().iter().filter(|other| other.id() != pack.id()) {
            match other.find(&self.0.objects, id) {
                Ok(None) | Err(Error::Pack { .. }) => {}
                Ok(Some(_)) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Removes packs all of whose records are durable in another one.
    pub(super) fn discard(&self, old: &[PackId]) -> Result<()> {
        for id in old {
            match self.0.objects.remove_file(id.file_name()) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        if !old.is_empty() {
            self.forget(old);
        }
        Ok(())
    }
}
