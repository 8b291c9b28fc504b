//! The simplest cases: one base, two heads.

use super::{TestBook, World};
use crate::merge::{derive, reconcile};

#[test]
fn two_heads_that_changed_different_files_fold_into_one_derived_head() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("a", "1\n"), ("b", "1\n")]);
    let mac = world.files("mac", &[base], &[("a", "2\n"), ("b", "1\n")]);
    let pixel = world.files("pixel", &[base], &[("a", "1\n"), ("b", "2\n")]);
    let derived = derive(&world.objects, &TestBook, &[mac, pixel]).expect("folds");
    assert_eq!(derived.conflicts, []);
    world.keep(&derived.objects);
    let tree = derived.tree.expect("clean");
    assert_eq!(world.list(tree), [("a".into(), "2\n".into()), ("b".into(), "2\n".into())]);
    for own in [mac, pixel] {
        let reconciled = reconcile(&world.objects, &TestBook, own, &[mac, pixel]).expect("folds");
        assert_eq!(Some(reconciled.head), derived.head);
        assert!(reconciled.pending.is_empty());
    }
}

#[test]
fn a_head_that_descends_from_the_other_is_taken_as_it_is() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("a", "1\n")]);
    let next = world.files("pixel", &[base], &[("a", "2\n")]);
    let reconciled = reconcile(&world.objects, &TestBook, base, &[next]).expect("folds");
    assert_eq!(reconciled.head, next);
    let idle = reconcile(&world.objects, &TestBook, next, &[base]).expect("folds");
    assert_eq!(idle.head, next);
    assert!(idle.objects.is_empty());
}

#[test]
fn heads_that_contradict_each_other_stay_and_are_reported_alike() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("a", "1\n"), ("b", "1\n")]);
    let mac = world.files("mac", &[base], &[("a", "mac\n"), ("b", "1\n")]);
    let pixel = world.files("pixel", &[base], &[("a", "pixel\n"), ("b", "1\n")]);
    let here = reconcile(&world.objects, &TestBook, mac, &[pixel]).expect("works");
    let there = reconcile(&world.objects, &TestBook, pixel, &[mac]).expect("works");
    assert_eq!((here.head, &here.pending[..]), (mac, &[pixel][..]));
    assert_eq!((there.head, &there.pending[..]), (pixel, &[mac][..]));
    assert_eq!(here.conflicts, there.conflicts);
    assert_eq!(here.conflicts[0].path.to_string(), "a");
    assert_eq!(here.conflicts[0].sides.len(), 2);
}
