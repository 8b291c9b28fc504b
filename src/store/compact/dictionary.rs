//! The dictionary of a compaction: what many small objects have in common, so that each need not say it again.
//!
//! A dictionary that is there already is used again, unless the vault has outgrown it.

use std::collections::BTreeSet;

use super::{Lineage, dictionary_of};
use crate::object::ObjectId;
use crate::store::error::Result;
use crate::store::{Store, frame};

/// Less text than this in small objects is not worth a dictionary, in bytes.
const TEXT_MIN: u64 = 512 << 10;
/// Objects above this length are no samples.
const SAMPLE_MAX: u64 = 16 << 10;
/// The most bytes of samples to learn from.
const SAMPLES_MAX: u64 = 4 << 20;
/// A dictionary has this part of the text's length, within bounds.
const PART_OF_TEXT: u64 = 64;
const BYTES_MIN: u64 = 16 << 10;
const BYTES_MAX: u64 = 112 << 10;

/// Returns the dictionaries that records of the store were made with.
pub fn present(store: &Store) -> Result<BTreeSet<ObjectId>> {
    let mut ids = BTreeSet::new();
    for pack in store.list().iter() {
        ids.extend(pack.entries(&store.0.objects)?.iter().filter_map(|entry| dictionary_of(entry.form)));
    }
    Ok(ids)
}

/// Returns a dictionary for what stands first in the lineages, or `None` if they hold too little.
pub(super) fn choose(
    store: &Store,
    lineages: &[Lineage],
    present: &BTreeSet<ObjectId>,
) -> Result<Option<Vec<u8>>> {
    let mut samples: Vec<(ObjectId, u64)> = Vec::new();
    for id in lineages.iter().filter_map(|lineage| lineage.first()) {
        if let Some((_, size)) = store.try_info(*id)?
            && (frame::DELTA_MIN as u64..=SAMPLE_MAX).contains(&size)
        {
            samples.push((*id, size));
        }
    }
    let text: u64 = samples.iter().map(|(_, size)| size).sum();
    if text < TEXT_MIN {
        return Ok(None);
    }
    let wanted = (text / PART_OF_TEXT).clamp(BYTES_MIN, BYTES_MAX);
    let mut known = None;
    for id in present {
        known =
            known.max(store.try_find(*id)?.map(|object| (object.data.len() as u64, object.data.to_vec())));
    }
    if let Some((length, bytes)) = known
        && length * 2 > wanted
    {
        return Ok(Some(bytes));
    }
    let step = text.div_ceil(SAMPLES_MAX) as usize;
    let mut learned_from = Vec::new();
    for (id, _) in samples.iter().step_by(step) {
        learned_from.extend(store.try_find(*id)?.map(|object| object.data.to_vec()));
    }
    // Samples that have nothing in common give none.
    Ok(zstd::dict::from_samples(&learned_from, wanted as usize).ok())
}
