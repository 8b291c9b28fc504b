//! A check of every merge for what no merge may do: drop an edit, bring back what was deleted, pick one of
//! two versions. A path where the merged tree does not account for what the sides did becomes a conflict.
//!
//! No trees are known for which gix does so; this is the net below it, for trees that nobody has thought of.

use std::collections::{BTreeSet, HashSet};

use super::Result;
use super::engine::{RawMerge, Sides};
use super::path::{Changes, RawPath, changed_files};
use crate::object::{Entry, ObjectId, Source};

/// Returns the paths at which a merged tree does not account for what the sides did.
pub(super) fn lost(source: &dyn Source, sides: Sides, raw: &RawMerge) -> Result<BTreeSet<RawPath>> {
    let made = changed_files(source, sides.base, raw.tree)?;
    let merged = merged_contents(raw);
    let placed: HashSet<Entry> = made.values().filter_map(|(_, new)| *new).collect();
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
    placed: &HashSet<Entry>,
    merged: &HashSet<[ObjectId; 2]>,
) -> bool {
    let in_a_merge = |id: ObjectId| merged.iter().any(|pair| pair.contains(&id));
    let moved_on =
        |entry: Option<Entry>| entry.is_none_or(|entry| placed.contains(&entry) || in_a_merge(entry.id));
    let is_merged_here =
        |entry: Option<Entry>| now.is_some() && entry.is_some_and(|entry| in_a_merge(entry.id));
    match (ours == theirs, ours == base, theirs == base) {
        (true, _, _) => now == ours || ours.is_none(),
        // What was moved here may have been merged with what the other side made of it.
        (_, true, _) => now == theirs || (base.is_none() && is_merged_here(theirs)),
        (_, _, true) => now == ours || (base.is_none() && is_merged_here(ours)),
        _ => match (ours, theirs) {
            (Some(a), Some(b)) if a.id == b.id => now.is_some_and(|e| e.id == a.id),
            (Some(a), Some(b)) => merged.contains(&[a.id, b.id]),
            // One side took the file away, by moving it or its folder, and the other changed it.
            (kept, None) | (None, kept) => moved_on(kept),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::tests::World;
    use crate::object::TreeId;

    type Files<'a> = &'a [(&'a str, &'a str)];

    fn lost_in(base: Files<'_>, ours: Files<'_>, theirs: Files<'_>, merged: Files<'_>) -> Vec<String> {
        let world = World::default();
        let [base, ours, theirs, tree] = [base, ours, theirs, merged].map(|files| world.tree(files));
        let changes = |side: TreeId| changed_files(&world.objects, base, side).expect("made here");
        let (changes, marked) = ([changes(ours), changes(theirs)], HashSet::new());
        let raw = RawMerge { tree, conflicts: Vec::new(), changes, marked };
        let lost = lost(&world.objects, Sides { base, ours, theirs }, &raw).expect("made here");
        lost.into_iter().map(|path| String::from_utf8(path).expect("text")).collect()
    }

    #[test]
    fn what_a_merge_leaves_out_is_found() {
        let base: Files<'_> = &[("a", "1"), ("b", "1")];
        let edit: Files<'_> = &[("a", "2"), ("b", "1")];
        assert_eq!(lost_in(base, edit, base, base), ["a"], "an edit is dropped");
        assert_eq!(lost_in(base, &[("b", "1")], base, base), ["a"], "a deletion comes back");
        assert_eq!(lost_in(base, edit, &[("a", "3"), ("b", "1")], edit), ["a"], "one of two is picked");
        assert_eq!(lost_in(base, edit, edit, base), ["a"], "what both did is dropped");
        let new: Files<'_> = &[("a", "1"), ("b", "1"), ("c", "1 2")];
        assert_eq!(lost_in(base, base, new, base), ["c"], "a new file is dropped");
        assert_eq!(
            lost_in(&[("x", "0")], &[("x", "0"), ("+a", "1")], &[("x", "0")], &[("x", "0"), ("a", "1")]),
            ["a"]
        );
        assert_eq!(lost_in(base, &[("b", "1")], edit, &[("b", "1")]), ["a"], "an edit goes with a deletion");
    }

    #[test]
    fn a_merge_that_accounts_for_everything_passes() {
        let base: Files<'_> = &[("a", "1"), ("b", "1"), ("c", "1")];
        let ours: Files<'_> = &[("a", "2"), ("c", "1"), ("d/n", "new")];
        let theirs: Files<'_> = &[("a", "2"), ("b", "1"), ("c", "3")];
        assert_eq!(lost_in(base, ours, theirs, &[("a", "2"), ("c", "3"), ("d/n", "new")]), [""; 0]);
        assert_eq!(
            lost_in(base, ours, theirs, &[("a", "2"), ("c", "3"), ("e/n", "new")]),
            ["d/n"],
            "it followed"
        );
    }
}
