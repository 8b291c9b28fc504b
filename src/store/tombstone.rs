//! Tombstones: what is known of blobs whose bytes were removed for good, or are to be.
//!
//! The store is told them and keeps none on disk: it says "purged" instead of "missing", and takes no
//! such blob as the base of a new record. Why a blob has a tombstone is not the store's affair.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use super::{Error, Result, Store};
use crate::object::ObjectId;

/// How far a purge has come on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Another device asked for it; the bytes stay here until somebody agrees.
    Noted,
    /// The bytes are to go and may still be here, or in part.
    Due,
    /// The bytes are gone.
    Gone,
}

/// Who had a blob's bytes removed, when and why. Text is harmless to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// How far it has come here.
    pub stage: Stage,
    /// The device that asked for it.
    pub device: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why, in one line.
    pub why: String,
}

impl fmt::Display for Tombstone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.at.get(..10).unwrap_or(&self.at);
        write!(f, "on {day} by {}: {}", self.device, self.why)
    }
}

/// All tombstones, by the blob.
pub type Tombstones = BTreeMap<ObjectId, Tombstone>;

impl Store {
    /// Tells the store all tombstones that are known.
    pub fn set_tombstones(&self, tombstones: Tombstones) {
        let mut known = self.0.tombstones.write().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::new(tombstones);
    }

    /// Returns all tombstones, also those of the store below.
    pub fn tombstones(&self) -> Arc<Tombstones> {
        match &self.0.below {
            Some(below) => below.tombstones(),
            None => self.0.tombstones.read().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Returns the tombstone of a blob, if it has one.
    pub fn tombstone(&self, id: ObjectId) -> Option<Tombstone> {
        self.tombstones().get(&id).cloned()
    }

    /// Tells whether a blob's bytes are gone for good, or about to go: they are not wanted any more.
    pub fn is_removed(&self, id: ObjectId) -> bool {
        self.tombstones().get(&id).is_some_and(|tombstone| tombstone.stage > Stage::Noted)
    }

    /// Tells whether some pack holds the object for its own sake, not as a piece of a larger one.
    pub fn still_has(&self, id: ObjectId) -> Result<bool> {
        let mut has = false;
        self.each_record(&id, &mut |found| {
            has = !found.entry.is_part;
            !has
        })?;
        Ok(has)
    }

    /// Returns the error for an object that is not there: it was purged, or it is missing.
    pub fn missing(&self, id: ObjectId) -> Error {
        match self.tombstone(id) {
            Some(tombstone) => Error::Purged { id, tombstone: Box::new(tombstone) },
            None => Error::Missing { id },
        }
    }
}
