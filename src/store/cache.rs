//! Plain bytes of records that were read lately, to save decoding a base again.
//!
//! Nothing in here is trusted: what is taken out as an object is hashed like anything else, and what
//! was decoded on a base from here is hashed as well.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::object::ObjectId;

/// The most bytes that are kept.
const BYTES_MAX: usize = 16 << 20;

/// A record of an object: the object itself or its recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    pub id: ObjectId,
    pub is_recipe: bool,
}

#[derive(Default)]
pub struct Cache(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    records: HashMap<RecordKey, Arc<[u8]>>,
    order: VecDeque<RecordKey>,
    bytes: usize,
}

impl Cache {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic elsewhere leaves at worst a wrong sum of lengths.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, key: RecordKey) -> Option<Arc<[u8]>> {
        self.inner().records.get(&key).cloned()
    }

    pub fn clear(&self) {
        *self.inner() = Inner::default();
    }

    pub fn put(&self, key: RecordKey, bytes: Arc<[u8]>) {
        let mut inner = self.inner();
        inner.bytes += bytes.len();
        match inner.records.insert(key, bytes) {
            Some(old) => inner.bytes -= old.len(),
            None => inner.order.push_back(key),
        }
        while inner.bytes > BYTES_MAX {
            let Some(oldest) = inner.order.pop_front() else { break };
            inner.bytes -= inner.records.remove(&oldest).map_or(0, |bytes| bytes.len());
        }
    }
}
