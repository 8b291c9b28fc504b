//! The rules of reconcile, one test each: each fails when its rule is left out.

use super::{TestBook, World};
use crate::merge::{
    ConflictKind, Derived, FormError, Recomputed, check_derived_form, derive, derived_parents, recompute,
    reconcile,
};
use crate::object::{Commit, CommitId, DeviceName, Lamport, SessionId, Source};

fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn fold(world: &World, heads: &[CommitId]) -> Derived {
    let derived = derive(&world.objects, &TestBook, heads).expect("works");
    world.keep(&derived.objects);
    derived
}

fn paths(derived: &Derived) -> Vec<String> {
    derived.conflicts.iter().map(|c| c.path.to_string()).collect()
}

#[test]
fn the_derived_head_is_the_same_whatever_the_order_of_heads_and_the_relays() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("f", "1\n")]);
    let heads: Vec<CommitId> = ["mac", "pixel", "studio"]
        .iter()
        .map(|name| world.files(name, &[base], &[("f", "1\n"), (name, "x\n")]))
        .collect();
    let all = fold(&world, &heads).head;
    let (one, two, three) = (heads[0], heads[1], heads[2]);
    let pair = fold(&world, &[one, two]).head.expect("clean");
    for order in
        [vec![three, two, one], vec![pair, three], vec![three, pair, one], vec![base, pair, three, two]]
    {
        assert_eq!(fold(&world, &order).head, all, "{order:?}");
    }
    let reconciled = reconcile(&world.objects, &TestBook, pair, &[three]).expect("works");
    assert_eq!(Some(reconciled.head), all, "no merge of a merge");
}

#[test]
fn no_clock_and_no_device_enters_the_derived_head() {
    let world = World::default();
    let root = world.root();
    let (a, b) = (world.tree(&[("a", "1")]), world.tree(&[("b", "1")]));
    let one = world.commit_at("mac", &[root], a, Some(5_000_000_000));
    let other = world.commit_at("pixel", &[root], b, Some(-5));
    let id = fold(&world, &[one, other]).head.expect("clean");
    let derived = world.objects.find_commit(id).expect("kept");
    assert_eq!((derived.device.clone(), derived.session.clone()), (None, None));
    assert_eq!(derived.committer.seconds, 5_000_000_000, "the greatest of the parents'");
    assert_eq!((derived.committer.offset_minutes, derived.author == derived.committer), (0, true));
    assert_eq!(derived.lamport, Lamport(3));
    assert_eq!(derived.reconcile, Some(1));
    check_derived_form(&world.objects, &derived).expect("its own form");
}

#[test]
fn a_head_in_conflict_is_pending_and_nothing_else_waits_for_it() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("f", "1\n")]);
    let mac = world.files("mac", &[base], &[("f", "mac\n")]);
    let pixel = world.files("pixel", &[base], &[("f", "pixel\n"), ("p", "p\n")]);
    let mut studio = world.files("studio", &[base], &[("f", "1\n"), ("s", "s\n")]);
    for _ in 0..2 {
        // Greater stamps, so that the one in conflict comes first.
        studio = world.files("studio", &[studio], &[("f", "1\n"), ("s", "s\n")]);
    }
    let here = reconcile(&world.objects, &TestBook, mac, &[pixel, studio]).expect("works");
    assert_eq!(here.pending, [pixel]);
    assert_eq!(Some(here.head), fold(&world, &[mac, studio]).head);
    let there = reconcile(&world.objects, &TestBook, pixel, &[studio, mac]).expect("works");
    assert_eq!(there.pending, [mac], "a device's own head comes first");
    assert_eq!(Some(there.head), fold(&world, &[pixel, studio]).head);
    assert_eq!(here.conflicts, there.conflicts);
    assert_eq!(here.frontier, there.frontier);
}

#[test]
fn an_own_head_is_kept_while_all_that_is_new_is_pending() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("f", "1\n")]);
    let mac = world.files("mac", &[base], &[("f", "mac\n")]);
    let studio = world.files("studio", &[base], &[("f", "1\n"), ("s", "s\n")]);
    let head = fold(&world, &[mac, studio]).head.expect("clean");
    let pixel = world.files("pixel", &[base], &[("f", "pixel\n")]);
    let held = reconcile(&world.objects, &TestBook, head, &[pixel]).expect("works");
    assert_eq!((held.head, &held.pending[..]), (head, &[pixel][..]));
    assert!(held.objects.is_empty(), "nothing is made while nothing changes");
}

#[test]
fn a_resolution_in_its_parents_name_ends_the_conflict_everywhere() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("f", "1\n")]);
    let mac = world.files("mac", &[base], &[("f", "mac\n")]);
    let pixel = world.files("pixel", &[base], &[("f", "pixel\n")]);
    let resolved = world.files("pixel", &[mac, pixel], &[("f", "both\n")]);
    for own in [mac, pixel] {
        let reconciled = reconcile(&world.objects, &TestBook, own, &[resolved]).expect("works");
        assert_eq!(reconciled.head, resolved);
        assert!(reconciled.pending.is_empty());
    }
}

#[test]
fn an_unknown_merge_rule_keeps_the_head_and_is_told() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("f", "1\n")]);
    let raised = world.files("mac", &[base], &[("f", "1\n"), ("vault.toml", "reconcile 2\n")]);
    let pixel = world.files("pixel", &[base], &[("f", "2\n")]);
    let held = reconcile(&world.objects, &TestBook, pixel, &[raised]).expect("works");
    assert_eq!((held.head, held.unknown_rule, &held.pending[..]), (pixel, Some(2), &[raised][..]));
    // What needs no merge needs no rule.
    let ahead = reconcile(&world.objects, &TestBook, base, &[raised]).expect("works");
    assert_eq!((ahead.head, ahead.unknown_rule), (raised, None));
}

#[test]
fn rules_that_both_sides_make_together_hold_for_the_whole_fold() {
    // The side with the smaller stamp does not know the rule yet that the other one brings.
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("a.u", "1\n")]);
    let mac = world.files("mac", &[base], &[("a.u", "mac\n")]);
    let pixel = world.files("pixel", &[base], &[("a.u", "pixel\n"), ("vault.toml", "union .u\n")]);
    let derived = fold(&world, &[mac, pixel]);
    assert_eq!(derived.conflicts, []);
    let content = world.list(derived.tree.expect("clean"))[0].1.clone();
    assert!(content.contains("mac\n") && content.contains("pixel\n"), "{content:?}");
}

#[test]
fn rules_hold_for_bases_as_well() {
    // Two bases that contradict each other as text and not as sets: only under the rule is there a base
    // that says that `old` was taken away.
    let world = World::default();
    let root = world.root();
    let rules = ("vault.toml", "set .set\n");
    let base = world.files("mac", &[root], &[("t.set", "old\n")]);
    let a = world.files("mac", &[base], &[("t.set", "a\n"), rules]);
    let b = world.files("pixel", &[base], &[("t.set", "b\nold\n"), rules]);
    let x = world.files("mac", &[a, b], &[("t.set", "a\nb\nx\n"), rules]);
    let y = world.files("pixel", &[a, b], &[("t.set", "a\ny\n"), rules]);
    let derived = fold(&world, &[x, y]);
    assert_eq!(derived.conflicts, []);
    assert_eq!(world.list(derived.tree.expect("clean"))[0].1, "a\nx\ny\n", "y took b away");
}

#[test]
fn while_the_rules_are_in_conflict_nothing_else_is() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("f", "1\n"), ("vault.toml", "# 1\n")]);
    let mac = world.files("mac", &[base], &[("f", "mac\n"), ("vault.toml", "# mac\n")]);
    let pixel = world.files("pixel", &[base], &[("f", "pixel\n"), ("vault.toml", "# pixel\n")]);
    let derived = fold(&world, &[mac, pixel]);
    assert_eq!(paths(&derived), ["vault.toml"]);
    assert_eq!((derived.head, derived.tree), (None, None));
}

#[test]
fn rules_that_merge_into_nonsense_are_in_conflict_with_the_reason() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("vault.toml", "# 1\n# 2\n# 3\n")]);
    let mac = world.files("mac", &[base], &[("vault.toml", "nonsense\n# 2\n# 3\n")]);
    let pixel = world.files("pixel", &[base], &[("vault.toml", "# 1\n# 2\n# 3\nunion .u\n")]);
    let derived = fold(&world, &[mac, pixel]);
    assert_eq!(paths(&derived), ["vault.toml"]);
    assert_eq!(derived.conflicts[0].kind, ConflictKind::Rules);
    assert_eq!(derived.conflicts[0].reason.as_deref(), Some("no rule: nonsense"));
    let unknown = world.files("mac", &[base], &[("vault.toml", "magic .u\n# 2\n# 3\n")]);
    let derived = fold(&world, &[unknown, pixel]);
    assert_eq!(derived.conflicts[0].reason.as_deref(), Some("unknown driver magic"));
    let link = world.files("mac", &[base], &[("@vault.toml", "elsewhere")]);
    let same = world.files("pixel", &[base], &[("@vault.toml", "elsewhere"), ("x", "")]);
    assert_eq!(fold(&world, &[link, same]).conflicts[0].kind, ConflictKind::Rules);
}

#[test]
fn a_move_can_neither_hide_the_rules_nor_make_them() {
    let world = World::default();
    let root = world.root();
    let lines = text(&["union .u", "# 2", "# 3", "# 4", "# 5", "# 6"]);
    let base = world.files("mac", &[root], &[("vault.toml", &lines), ("a.u", "1\n")]);
    let edited = text(&["union .u", "# 2", "# 3", "# 4", "# 5", "# six"]);
    let mac = world.files("mac", &[base], &[("old.toml", &lines), ("a.u", "mac\n")]);
    let pixel = world.files("pixel", &[base], &[("vault.toml", &edited), ("a.u", "pixel\n")]);
    assert_eq!(paths(&fold(&world, &[mac, pixel])), ["vault.toml"], "gone on one side, edited on the other");
}

#[test]
fn attribute_files_of_the_tree_are_files_like_others() {
    let world = World::default();
    let root = world.root();
    let attributes = (".gitattributes", "* merge=union\n* -text ident filter=x\n");
    let base = world.files("mac", &[root], &[("f", "1\n$Id$\r\n"), attributes]);
    let mac = world.files("mac", &[base], &[("f", "mac\n$Id$\r\n"), attributes]);
    let pixel = world.files("pixel", &[base], &[("f", "pixel\n$Id$\r\n"), attributes]);
    assert_eq!(paths(&fold(&world, &[mac, pixel])), ["f"]);
    let far = |a: &str, b: &str| format!("{a}\n2\r\n$Id$\r\n4\n{b}\n");
    let base = world.files("mac", &[root], &[("f", &far("1", "5")), attributes]);
    let mac = world.files("mac", &[base], &[("f", &far("one", "5")), attributes]);
    let pixel = world.files("pixel", &[base], &[("f", &far("1", "five")), attributes]);
    let merged = fold(&world, &[mac, pixel]).tree.expect("clean");
    assert_eq!(world.list(merged)[1].1, far("one", "five"), "no line end and no keyword is touched");
}

#[test]
fn a_driver_is_found_by_paths_with_any_name() {
    for name in [
        "a b.u",
        "[x]*?.u",
        "\"q\".u",
        "back\\slash.u",
        "new\nline.u",
        " lead.u",
        "#.u",
        "!no.u",
        "ü.u",
        "tab\t.u",
    ] {
        for path in [name.to_owned(), format!("folder/{name}")] {
            let world = World::default();
            let root = world.root();
            let rules = ("vault.toml", "union .u\n");
            let base = world.files("mac", &[root], &[(&path, "1\n"), rules]);
            let mac = world.files("mac", &[base], &[(&path, "mac\n"), rules]);
            let pixel = world.files("pixel", &[base], &[(&path, "pixel\n"), rules]);
            assert_eq!(paths(&fold(&world, &[mac, pixel])), [""; 0], "{path:?}");
        }
    }
    // And only by them: a pattern is no name.
    let world = World::default();
    let root = world.root();
    let files = |world: &World, device, parents: &[CommitId], text: &str| {
        world.files(device, parents, &[("*.u", text), ("x.v", text), ("vault.toml", "union *.u\n")])
    };
    let base = files(&world, "mac", &[root], "1\n");
    let (mac, pixel) = (files(&world, "mac", &[base], "2\n"), files(&world, "pixel", &[base], "3\n"));
    assert_eq!(paths(&fold(&world, &[mac, pixel])), ["x.v"]);
}

#[test]
fn derived_commits_are_refused_by_form() {
    let world = World::default();
    let root = world.root();
    let a = world.files("mac", &[root], &[("a", "1")]);
    let b = world.files("pixel", &[root], &[("b", "1")]);
    let c = world.files("studio", &[a], &[("c", "1")]);
    let id = fold(&world, &[a, b]).head.expect("clean");
    let good = world.objects.find_commit(id).expect("kept");
    let check = |commit: Commit| check_derived_form(&world.objects, &commit).expect_err("refused");
    let with =
        |parents: Vec<CommitId>, lamport| Commit { parents, lamport: Lamport(lamport), ..good.clone() };
    let (first, second) = (good.parents[0], good.parents[1]);
    assert!(matches!(check(with(vec![a], 3)), FormError::TooFewParents));
    assert!(matches!(check(with(vec![b, id], 4)), FormError::DerivedParent(parent) if parent == id));
    assert!(matches!(check(with(vec![second, first], 3)), FormError::Unsorted));
    assert!(matches!(check(with(vec![a, c], 4)), FormError::Related));
    assert!(matches!(check(with(vec![first, second], 4)), FormError::Stamp { .. }));
    let device = Commit { device: DeviceName::parse("mac"), ..good.clone() };
    let session = Commit { session: SessionId::parse("s"), ..good.clone() };
    let restores = Commit { restores: Some(a), ..good.clone() };
    let signed = Commit { extra: vec![("gpgsig-sha256".into(), "x".into())], ..good.clone() };
    for bad in [device, session, restores, signed] {
        assert!(matches!(check(bad), FormError::Authorship));
    }
    assert!(matches!(check(Commit { reconcile: None, ..good.clone() }), FormError::Authored));
    assert!(check_derived_form(&world.objects, &good).is_ok());
}

#[test]
fn a_derived_commit_that_its_parents_do_not_give_is_found_out() {
    let world = World::default();
    let root = world.root();
    let a = world.files("mac", &[root], &[("a", "1")]);
    let b = world.files("pixel", &[root], &[("b", "1")]);
    let id = fold(&world, &[a, b]).head.expect("clean");
    let ask = |id| recompute(&world.objects, &TestBook, id).expect("works");
    assert_eq!(ask(id), Recomputed::Same);
    let good = world.objects.find_commit(id).expect("kept");
    let lie = world.objects.put_commit(&Commit { tree: world.tree(&[("a", "1")]), ..good.clone() });
    assert_eq!(ask(lie), Recomputed::Differs { wanted: id });
    let named = world.objects.put_commit(&Commit { message: "mine".into(), ..good.clone() });
    assert_eq!(ask(named), Recomputed::Differs { wanted: id });
    let (x, y) = (world.files("mac", &[root], &[("a", "2")]), world.files("pixel", &[root], &[("a", "3")]));
    let parents = fold(&world, &[x, y]).frontier;
    let forced = world.objects.put_commit(&Commit { parents, ..good });
    assert!(matches!(ask(forced), Recomputed::Conflicts(list) if list.len() == 1));
    let on_top = world.files("mac", &[lie], &[("a", "4")]);
    assert_eq!(derived_parents(&world.objects, &[on_top, b]).expect("known"), [lie]);
}

#[test]
fn two_files_that_are_moved_to_one_place_are_never_one_file() {
    // Each is unchanged against where it came from; that must not make the other one the winner.
    let world = World::default();
    let root = world.root();
    let long = |name: &str| (0..12).map(|n| format!("{name} {n}\n")).collect::<String>();
    let (r, j, u) = (long("ridge"), long("jetty"), long("upland"));
    let edited = j.replacen("jetty 5\n", "jetty five\n", 1);
    let base = world.files("mac", &[root], &[("new/ridge", &r), ("new/jetty", &j), ("notes/old/upland", &u)]);
    let mac = world.files("mac", &[base], &[("log/woods", &r), ("new/jetty", &j), ("notes/old/upland", &u)]);
    let pixel =
        world.files("pixel", &[base], &[("new/ridge", &r), ("log/woods", &u), ("notes/upland", &edited)]);
    let derived = fold(&world, &[mac, pixel]);
    assert!(paths(&derived).contains(&"log/woods".to_owned()), "{:?}", paths(&derived));
}

#[test]
fn stamps_at_their_end_are_an_error_and_no_wrong_commit() {
    let world = World::default();
    let root = world.root();
    let a = world.files("mac", &[root], &[("a", "1")]);
    let commit = world.objects.find_commit(a).expect("made");
    let last = world.objects.put_commit(&Commit { lamport: Lamport(crate::object::LAMPORT_MAX), ..commit });
    let b = world.files("pixel", &[root], &[("b", "1")]);
    assert!(derive(&world.objects, &TestBook, &[last, b]).is_err());
}
