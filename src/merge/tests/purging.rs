//! Purged blobs: devices that know the same commits merge alike, with the bytes and without.

use super::{TestBook, World};
use crate::merge::{
    BaseValue, Conflict, ConflictKind, Derived, Purge, Recomputed, RuleBook, Rules, Veil, derive, recompute,
    three_way,
};
use crate::object::{CommitId, Kind, NoSource, Object, ObjectId, Overlay, Source, SourceError};

/// The book of tests with tombstones.
struct Tombstones(Vec<Purge>);

impl RuleBook for Tombstones {
    fn parse(&self, vault_toml: Option<&[u8]>) -> Result<Rules, String> {
        TestBook.parse(vault_toml)
    }

    fn purges(&self) -> &[Purge] {
        &self.0
    }
}

/// The objects of a device that has agreed to a purge.
struct Without<'w> {
    objects: &'w Overlay<NoSource>,
    gone: Vec<ObjectId>,
}

impl Source for Without<'_> {
    fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError> {
        if self.gone.contains(&id) { Ok(None) } else { self.objects.try_find(id) }
    }
}

const BASE: &str = "1\n2\n3\n4\n5\n6\n7\n";
const MAC: &str = "1 of the mac\n2\n3\n4\n5\n6\n7\n";
const PIXEL: &str = "1\n2\n3\n4\n5\n6\n7 of the phone\n";

/// Folds heads on a device that has all bytes and on one that has not; both must say the same.
fn fold(world: &World, heads: &[CommitId], purges: &[Purge]) -> Derived {
    let book = Tombstones(purges.to_vec());
    let gone = purges.iter().flat_map(|purge| purge.blobs.iter().copied()).collect();
    let with = derive(&world.objects, &book, heads).expect("folds");
    let without = derive(&Without { objects: &world.objects, gone }, &book, heads).expect("folds");
    assert_eq!(with.head, without.head);
    assert_eq!(with.conflicts, without.conflicts);
    let keys = |derived: &Derived| derived.conflicts.iter().map(Conflict::key).collect::<Vec<_>>();
    assert_eq!(keys(&with), keys(&without));
    with
}

#[test]
fn a_purged_base_has_no_value() {
    for (rules, clean) in [("", false), ("union a\n", false), ("set a\n", true), ("binary a\n", false)] {
        let world = World::default();
        let root = world.root();
        let files = |content| vec![("a", content), ("vault.toml", rules)];
        let base = world.files("mac", &[root], &files(BASE));
        let purge = world.files("mac", &[base], &[("vault.toml", rules)]);
        let mac = world.files("mac", &[purge], &files(MAC));
        let pixel = world.files("pixel", &[base], &files(PIXEL));
        let purges = [Purge { commit: purge, blobs: vec![world.blob(BASE)] }];
        let folded = fold(&world, &[mac, pixel], &purges);
        assert_eq!(folded.head.is_some(), clean, "{rules:?} {:?}", folded.conflicts);
        if !clean {
            assert_eq!(folded.conflicts[0].base, BaseValue::NoValue, "{rules:?}");
        }
        let same = world.files("pixel", &[base], &files(MAC));
        assert!(fold(&world, &[mac, same], &purges).head.is_some(), "{rules:?}: equal sides merge");
    }
}

#[test]
fn a_purged_side_is_never_read_and_conflicts_with_any_other() {
    for rules in ["", "union a\n", "set a\n", "binary a\n"] {
        let world = World::default();
        let root = world.root();
        let files = |content| vec![("a", content), ("vault.toml", rules)];
        let base = world.files("mac", &[root], &files(BASE));
        let mac = world.files("mac", &[base], &files(MAC));
        let pixel = world.files("pixel", &[base], &files(PIXEL));
        let purge = world.files("mac", &[mac], &[("b", "b"), ("vault.toml", rules)]);
        let purges = [Purge { commit: purge, blobs: vec![world.blob(PIXEL)] }];
        // The mac took the path away, the phone has the purged version: delete against edit.
        let folded = fold(&world, &[purge, pixel], &purges);
        assert_eq!(folded.conflicts[0].kind, ConflictKind::DeleteEdit, "{rules:?}");
        // The mac has another version of it.
        let again = world.files("mac", &[purge], &files(MAC));
        let folded = fold(&world, &[again, pixel], &purges);
        let no_lines = if rules.starts_with("set") { ConflictKind::Content } else { ConflictKind::Binary };
        assert_eq!(folded.conflicts[0].kind, no_lines, "{rules:?}");
        // A side that left the base as it is has no say, purged or not.
        let purges = [Purge { commit: purge, blobs: vec![world.blob(BASE)] }];
        let idle = world.files("tablet", &[base], &[("a", BASE), ("c", "c"), ("vault.toml", rules)]);
        let folded = fold(&world, &[again, idle], &purges);
        assert!(folded.head.is_some(), "{rules:?} {:?}", folded.conflicts);
    }
}

#[test]
fn a_purge_counts_from_its_commit_on() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("a", BASE)]);
    let mac = world.files("mac", &[base], &[("a", MAC)]);
    let pixel = world.files("pixel", &[base], &[("a", PIXEL)]);
    let purge = world.files("mac", &[mac], &[]);
    let book = Tombstones(vec![Purge { commit: purge, blobs: vec![world.blob(BASE)] }]);
    let before = derive(&world.objects, &book, &[mac, pixel]).expect("folds");
    assert_eq!(before.head, derive(&world.objects, &TestBook, &[mac, pixel]).expect("folds").head);
    let head = before.head.expect("clean, by the bytes of the base");
    world.keep(&before.objects);
    assert_eq!(recompute(&world.objects, &book, head).expect("computed"), Recomputed::Same);
    let without = Without { objects: &world.objects, gone: vec![world.blob(BASE)] };
    assert_eq!(recompute(&without, &book, head).expect("computed"), Recomputed::Purged);
}

#[test]
fn the_rules_may_be_purged_and_are_then_the_defaults() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("a", BASE), ("vault.toml", "union a\n")]);
    let purge = world.files("mac", &[base], &[("a", MAC)]);
    let pixel = world.files("pixel", &[base], &[("a", PIXEL), ("vault.toml", "union a\n")]);
    let purges = [Purge { commit: purge, blobs: vec![world.blob("union a\n")] }];
    assert!(fold(&world, &[purge, pixel], &purges).head.is_some());
}

#[test]
fn renames_and_undo_pass_by_what_is_gone() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("a", BASE), ("b", "b\n"), ("x", "x\n")]);
    let purge = world.files("mac", &[base], &[("b", "b\n"), ("x", "x\n")]);
    let pixel = world.files("pixel", &[base], &[("moved", BASE), ("b", "b\n"), ("x", "y\n")]);
    let purges = [Purge { commit: purge, blobs: vec![world.blob(BASE)] }];
    let folded = fold(&world, &[purge, pixel], &purges);
    assert!(folded.head.is_none(), "one removed what the other moved");

    let source = Without { objects: &world.objects, gone: vec![world.blob(BASE)] };
    let tree = |id: CommitId| source.find_commit(id).expect("a commit").tree;
    let veil = Veil::new(&source, &purges);
    let rules = Rules::text_only();
    let undone = three_way(&veil, &rules, tree(pixel), tree(purge), tree(base)).expect("merges");
    assert!(veil.find(world.blob(BASE), Kind::Blob).is_ok());
    assert!(undone.conflicts.iter().all(|conflict| conflict.path.to_string() != "x"));
}
