//! A check of every merge for what no merge may do: drop an edit, bring back what was deleted, pick one of
//! two versions. What gix gets wrong here becomes a conflict.
//!
//! gix 0.90 was seen to do so: when both sides move different files to one path, while one of them also
//! moves a file that it takes for the source of the other's, it keeps one file and reports nothing.

use std::collections::{BTreeSet, HashSet};

use super::Result;
use super::conflict::Entry;
use super::engine::{RawMerge, Sides};
use super::path::{Changes, RawPath, changed_files};
use crate::object::{ObjectId, Source};

/// Returns the paths at which a merged tree does not account for what the sides did.
pub(super) fn lost(source: &dyn Source, sides: Sides, raw: &RawMerge) -> Result<BTreeSet<RawPath>> {
    let made = changed_files(source, sides.base, raw.tree)?;
    let merged = merged_contents(raw);
    let placed: HashSet<ObjectId> = made
        .values()
        .filter_map(|(_, new)| new.map(|e| e.id))
        .chain(merged.iter().flatten().copied())
        .collect();
    let [ours, theirs] = &raw.changes;
    let mut lost = BTreeSet::new();
    for path in ours.keys().chain(theirs.keys()) {
        let base = base_of(path, ours, theirs);
        let at = |changes: &Changes| changes.get(path).map_or(base, |(_, new)| *new);
        let (a, b, now) = (at(ours), at(theirs), at(&made));
        if !is_accounted_for(base, a, b, now, &placed, &merged) {
            lost.insert(path.clone());
        }
    }
    Ok(lost)
}

fn base_of(path: &[u8], ours: &Changes, theirs: &Changes) -> Option<Entry> {
    ours.get(path).or_else(|| theirs.get(path)).and_then(|(base, _)| *base)
}

/// Returns the pairs of contents that were merged with each other: two edits, or an edit and a move.
fn merged_contents(raw: &RawMerge) -> HashSet<[ObjectId; 2]> {
    use gix::merge::plumbing::tree::Resolution;
    let mut pairs = HashSet::new();
    for conflict in raw.conflicts.iter() {
        let ids = [&conflict.ours, &conflict.theirs].map(|c| ObjectId::from_gix(c.entry_mode_and_id().1));
        let is_move = matches!(
            conflict.resolution,
            Ok(Resolution::OursModifiedTheirsRenamedAndChangedThenRename { .. })
        );
        if let [Some(a), Some(b)] = ids
            && (is_move || conflict.content_merge().is_some())
        {
            pairs.insert([a, b]);
            pairs.insert([b, a]);
        }
    }
    pairs
}

fn is_accounted_for(
    base: Option<Entry>,
    ours: Option<Entry>,
    theirs: Option<Entry>,
    now: Option<Entry>,
    placed: &HashSet<ObjectId>,
    merged: &HashSet<[ObjectId; 2]>,
) -> bool {
    let moved_on = |entry: Option<Entry>| entry.is_none_or(|entry| placed.contains(&entry.id));
    match (ours == theirs, ours == base, theirs == base) {
        (true, _, _) => now == ours || ours.is_none(),
        // A new file may follow a folder that the other side moved.
        (_, true, _) => now == theirs || (base.is_none() && moved_on(theirs)),
        (_, _, true) => now == ours || (base.is_none() && moved_on(ours)),
        _ => match (ours, theirs) {
            (Some(a), Some(b)) if a.id == b.id => now.is_some_and(|e| e.id == a.id),
            (Some(a), Some(b)) => merged.contains(&[a.id, b.id]),
            // One side took the file away, by moving it or its folder, and the other changed it.
            (kept, None) | (None, kept) => moved_on(kept),
        },
    }
}
