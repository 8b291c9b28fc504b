//! Purged blobs in a merge: they count as having no content, whether or not a device still has their bytes.
//!
//! A purge counts from its commit on: for a frontier that knows the commit its blobs are hidden, and what
//! stands for them follows from their ids alone. So two devices that know the same commits merge alike,
//! one with the bytes and one without. What stands for them is binary and recognized: as a base it has no
//! value, as a side it conflicts with any other.
//!
//! Limit: a frontier that does not know the commit wants the bytes. Where they are gone, what is computed
//! may differ from what it was; [`Veil::was_blind`] tells.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::MergeError;
use super::ancestry::History;
use crate::object::{CommitId, Kind, Object, ObjectId, Source, SourceError};

/// A commit that is the tombstone of blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// The commit.
    pub commit: CommitId,
    /// The blobs.
    pub blobs: Vec<ObjectId>,
}

/// A source in which purged blobs are hidden.
pub struct Veil<'s> {
    history: History<'s>,
    purged: HashMap<ObjectId, Vec<CommitId>>,
    /// The heads whose purges count; `None` for all.
    heads: RefCell<Option<Vec<CommitId>>>,
    counts: RefCell<HashMap<CommitId, bool>>,
    is_blind: Cell<bool>,
}

impl<'s> Veil<'s> {
    /// Hides every blob that is purged by any commit.
    pub fn new(source: &'s dyn Source, purges: &[Purge]) -> Veil<'s> {
        let mut purged: HashMap<ObjectId, Vec<CommitId>> = HashMap::new();
        for purge in purges {
            for blob in &purge.blobs {
                purged.entry(*blob).or_default().push(purge.commit);
            }
        }
        Veil {
            history: History::new(source),
            purged,
            heads: RefCell::default(),
            counts: RefCell::default(),
            is_blind: Cell::default(),
        }
    }

    /// Hides only what commits purge that `heads` know; tells whether that can change anything.
    pub(super) fn look_from(&self, heads: &[CommitId]) -> bool {
        if self.purged.is_empty() || self.heads.borrow().as_deref() == Some(heads) {
            return false;
        }
        *self.heads.borrow_mut() = Some(heads.to_vec());
        self.counts.borrow_mut().clear();
        true
    }

    /// Tells whether bytes were wanted that are gone and that no purge known to the heads explains.
    pub(super) fn was_blind(&self) -> bool {
        self.is_blind.get()
    }

    fn below(&self) -> &'s dyn Source {
        self.history.source()
    }

    fn is_hidden(&self, id: ObjectId) -> Result<bool, SourceError> {
        let Some(commits) = self.purged.get(&id) else { return Ok(false) };
        for commit in commits {
            if self.counts(*commit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn counts(&self, commit: CommitId) -> Result<bool, SourceError> {
        let heads = self.heads.borrow();
        let Some(heads) = heads.as_ref() else { return Ok(true) };
        if let Some(counts) = self.counts.borrow().get(&commit) {
            return Ok(*counts);
        }
        let counts = self.below().contains(commit.object())?
            && self.history.is_known(commit, heads).map_err(|error| match error {
                MergeError::Source(error) => error,
                other => SourceError::Read { id: commit.object(), source: other.into() },
            })?;
        self.counts.borrow_mut().insert(commit, counts);
        Ok(counts)
    }

    /// What stands for a blob that cannot be had, if it is purged.
    fn instead_of(&self, id: ObjectId) -> Option<Object> {
        self.purged.contains_key(&id).then(|| {
            self.is_blind.set(true);
            stand_in(id)
        })
    }
}

/// Makes the blob that stands for a purged one: it names it, and no text holds its first byte.
pub fn stand_in(id: ObjectId) -> Object {
    Object { kind: Kind::Blob, data: format!("\0purged {id}\n").into_bytes().into() }
}

/// Tells whether these bytes only stand for those of a purged blob.
pub(super) fn stands_for_purged(id: ObjectId, bytes: &[u8]) -> bool {
    bytes == &*stand_in(id).data
}

impl Source for Veil<'_> {
    fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError> {
        if self.is_hidden(id)? {
            return Ok(Some(stand_in(id)));
        }
        Ok(self.below().try_find(id)?.or_else(|| self.instead_of(id)))
    }

    fn contains(&self, id: ObjectId) -> Result<bool, SourceError> {
        Ok(self.purged.contains_key(&id) || self.below().contains(id)?)
    }

    fn try_info(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, SourceError> {
        let info = |object: Object| (object.kind, object.data.len() as u64);
        if self.is_hidden(id)? {
            return Ok(Some(info(stand_in(id))));
        }
        Ok(self.below().try_info(id)?.or_else(|| self.instead_of(id).map(info)))
    }
}
