//! Plain bytes of records that were read lately, to save decoding a base again.
//!
//! - Of each it is known whether it was proven: hashed as an object of one kind, and found to be what its id says.
//!   What is taken out as an object is hashed unless it was, and what was decoded on a base from here is hashed
//!   whether or not the base was proven.
//! - A recipe has no hash of its own: it is checked by whoever takes it out, and never counts as proven.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::object::{Kind, ObjectId};

/// The most bytes that are kept.
const BYTES_MAX: usize = 16 << 20;
/// What a record takes in memory besides its bytes: a peer can send very many very small ones.
const RECORD_OVERHEAD: usize = 256;

/// A record of an object: the object itself or its recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    pub id: ObjectId,
    pub is_recipe: bool,
}

#[derive(Default)]
pub struct Cache(Mutex<Inner>);

/// The bytes of a record.
struct Kept {
    bytes: Arc<[u8]>,
    /// The kind that they were hashed as, if they were.
    proven: Option<Kind>,
}

impl Kept {
    fn cost(&self) -> usize {
        self.bytes.len() + RECORD_OVERHEAD
    }
}

#[derive(Default)]
struct Inner {
    records: HashMap<RecordKey, Kept>,
    order: VecDeque<RecordKey>,
    bytes: usize,
}

impl Cache {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic elsewhere leaves at worst a wrong sum of lengths.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the bytes of a record, proven or not.
    pub fn get(&self, key: RecordKey) -> Option<Arc<[u8]>> {
        self.inner().records.get(&key).map(|kept| kept.bytes.clone())
    }

    /// As [`Cache::get`], and tells whether they are proven to be the object of this kind.
    pub fn get_as(&self, key: RecordKey, kind: Kind) -> Option<(Arc<[u8]>, bool)> {
        let inner = self.inner();
        let kept = inner.records.get(&key)?;
        Some((kept.bytes.clone(), kept.proven == Some(kind)))
    }

    pub fn clear(&self) {
        *self.inner() = Inner::default();
    }

    /// Keeps bytes that were decoded and not hashed, unless better ones are there.
    pub fn put(&self, key: RecordKey, bytes: Arc<[u8]>) {
        self.inner().put(key, Kept { bytes, proven: None });
    }

    /// Keeps bytes that were hashed as an object of `kind` and gave the id. A recipe's are taken as unproven.
    pub fn put_proven(&self, key: RecordKey, kind: Kind, bytes: Arc<[u8]>) {
        self.inner().put(key, Kept { bytes, proven: (!key.is_recipe).then_some(kind) });
    }
}

impl Inner {
    fn put(&mut self, key: RecordKey, new: Kept) {
        if new.proven.is_none() && self.records.get(&key).is_some_and(|kept| kept.proven.is_some()) {
            return;
        }
        self.bytes += new.cost();
        match self.records.insert(key, new) {
            Some(old) => self.bytes -= old.cost(),
            None => self.order.push_back(key),
        }
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.records.remove(&oldest).map_or(0, |kept| kept.cost());
        }
    }
}
