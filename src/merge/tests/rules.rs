//! The rules of reconcile, one test each: each fails when its rule is left out.

use super::{TestBook, World};
use crate::merge::{
    Derived, FormError, Recomputed, check_derived_form, derive, derived_parents, recompute, reconcile,
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
fn a_head_of_an_unknown_rule_waits_even_where_nothing_is_to_be_merged() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("f", "1\n")]);
    let raised = world.files("mac", &[base], &[("f", "1\n"), ("vault.toml", "reconcile 2\n")]);
    let pixel = world.files("pixel", &[base], &[("f", "2\n")]);
    for own in [pixel, base] {
        // To take the head in as it is would leave this device with a rule by which it can merge nothing more.
        let held = reconcile(&world.objects, &TestBook, own, &[raised]).expect("works");
        assert_eq!((held.head, held.unknown_rule, held.stuck.len()), (own, None, 1));
        assert_eq!(held.stuck[0].head, raised);
    }
    // A device that is there already follows.
    let next = world.files("mac", &[raised], &[("f", "2\n"), ("vault.toml", "reconcile 2\n")]);
    let ahead = reconcile(&world.objects, &TestBook, raised, &[next]).expect("works");
    assert_eq!((ahead.head, ahead.stuck.len()), (next, 0));
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

/// A typo in `vault.toml` on one device held every change of every other device: nothing was merged until
/// somebody chose between a broken file and one that was not there. Now the file counts for nothing, and the rest
/// is merged by the newest version that is valid.
#[test]
fn rules_that_are_nonsense_hold_nobodys_work_and_the_newest_valid_ones_count() {
    let world = World::default();
    let root = world.root();
    let rules = "union .u\n# 2\n# 3\n";
    let base = world.files("mac", &[root], &[("a.u", "1\n"), ("vault.toml", rules)]);
    for nonsense in ["union .u\n# 2\nnonsense\n", "magic .u\n# 2\n# 3\n"] {
        let mac = world.files("mac", &[base], &[("a.u", "mac\n"), ("vault.toml", nonsense)]);
        let pixel = world.files("pixel", &[base], &[("a.u", "pixel\n"), ("vault.toml", rules), ("x", "")]);
        let derived = fold(&world, &[mac, pixel]);
        assert_eq!(paths(&derived), [""; 0]);
        let files = world.list(derived.tree.expect("clean"));
        assert!(files[0].1.contains("mac\n") && files[0].1.contains("pixel\n"), "merged by the old rules");
        assert_eq!(files[1].1, nonsense, "what was written stays written");
        // The broken file is in the base now, and the rules before it count still.
        let base = derived.head.expect("clean");
        let mac = world.files("mac", &[base], &[("a.u", "mac 2\n"), ("vault.toml", nonsense)]);
        let pixel = world.files("pixel", &[base], &[("a.u", "pixel 2\n"), ("vault.toml", nonsense)]);
        assert_eq!(paths(&fold(&world, &[mac, pixel])), [""; 0], "union still");
    }
    let link = world.files("mac", &[base], &[("@vault.toml", "elsewhere")]);
    let same = world.files("pixel", &[base], &[("@vault.toml", "elsewhere"), ("x", "")]);
    assert_eq!(paths(&fold(&world, &[link, same])), [""; 0]);
}

/// The same where the other side changed the file as well, so that the two contradict each other as text.
#[test]
fn nonsense_has_no_say_against_valid_rules() {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("a.u", "1\n"), ("vault.toml", "# 1\n")]);
    let mac = world.files("mac", &[base], &[("a.u", "mac\n"), ("vault.toml", "nonsense\n")]);
    let pixel = world.files("pixel", &[base], &[("a.u", "pixel\n"), ("vault.toml", "union .u\n")]);
    let derived = fold(&world, &[mac, pixel]);
    assert_eq!(paths(&derived), [""; 0]);
    assert_eq!(world.list(derived.tree.expect("clean"))[1].1, "union .u\n");
    // Where nobody's version is valid the newest stands there, and the one before them counts.
    let other = world.files("tablet", &[base], &[("vault.toml", "magic\n"), ("a.u", "1\n")]);
    let derived = fold(&world, &[mac, other]);
    assert_eq!(paths(&derived), [""; 0]);
}

/// One device's `vault.toml` asked for a merge rule that this program does not know, and no other device's work
/// came in any more.
#[test]
fn a_head_of_an_unknown_rule_waits_alone() {
    let world = World::default();
    let root = world.root();
    let own = world.files("mac", &[root], &[("a", "1\n")]);
    let newer = world.files("eve", &[root], &[("vault.toml", "reconcile 2\n")]);
    let good = world.files("pixel", &[root], &[("b", "1\n")]);
    let outcome = reconcile(&world.objects, &TestBook, own, &[newer, good]).expect("works");
    assert_eq!(outcome.unknown_rule, None);
    assert_eq!(outcome.folded.len(), 2, "mac and pixel");
    let [stuck] = &outcome.stuck[..] else { panic!("one head: {:?}", outcome.stuck) };
    assert_eq!(stuck.head, newer);
    assert!(stuck.reason.contains("merge rule 2"), "{}", stuck.reason);
    // Where the own head asks for it, nothing can be merged at all.
    let outcome = reconcile(&world.objects, &TestBook, newer, &[good]).expect("works");
    assert_eq!((outcome.unknown_rule, outcome.head), (Some(2), newer));
}

/// A head whose tree is not there, or whose merge fails, made every reconcile fail, and with it every command
/// that looks at what is pending.
#[test]
fn a_head_that_cannot_be_processed_waits_alone() {
    let world = World::default();
    let root = world.root();
    let own = world.files("mac", &[root], &[("a", "1\n")]);
    let good = world.files("pixel", &[root], &[("b", "1\n")]);
    let commit = world.objects.find_commit(good).expect("made");
    let missing =
        crate::object::TreeId::new(crate::object::hash_object(crate::object::Kind::Tree, b"not there"));
    let headless = Commit { tree: missing, device: DeviceName::parse("eve"), ..commit.clone() };
    let headless = world.objects.put_commit(&headless);
    let last =
        Commit { lamport: Lamport(crate::object::LAMPORT_MAX), device: DeviceName::parse("ivy"), ..commit };
    let last = world.objects.put_commit(&last);
    let nowhere = CommitId::new(missing.object());
    let bad = [headless, last, nowhere];
    let outcome = reconcile(&world.objects, &TestBook, own, &[headless, good, last, nowhere]).expect("works");
    assert_eq!(outcome.folded.len(), 2, "mac and pixel");
    let stuck: Vec<CommitId> = outcome.stuck.iter().map(|one| one.head).collect();
    assert!(bad.iter().all(|id| stuck.contains(id)) && stuck.len() == 3, "{:?}", outcome.stuck);
    let named: Vec<_> = outcome.stuck.iter().map(|one| one.device.as_ref().map(DeviceName::as_str)).collect();
    assert!(named.contains(&Some("eve")) && named.contains(&Some("ivy")) && named.contains(&None));
    // An own head that cannot be processed is an error: there is nothing to stand on.
    assert!(reconcile(&world.objects, &TestBook, nowhere, &[good]).is_err());
}

/// 900 files renamed on one side and 900 changed ones took 17 seconds at every command: the count of files was
/// bounded, their bytes were not.
#[test]
fn similarity_is_looked_for_in_a_bounded_number_of_bytes() {
    let renamed = |files: usize, bytes: usize| {
        let world = World::default();
        let root = world.root();
        let text = |n: usize| format!("{n}\n{}", format!("{n} line\n").repeat(bytes / 8));
        let names = |to: &str| (0..files).map(|n| format!("{to}{n}")).collect::<Vec<_>>();
        let (olds, news) = (names("old"), names("new"));
        let (before, after): (Vec<_>, Vec<_>) = (0..files).map(|n| (text(n), text(n) + "more\n")).unzip();
        let tree = |names: &[String], texts: &[String]| -> Vec<(String, String)> {
            names.iter().cloned().zip(texts.iter().cloned()).collect()
        };
        let put = |device: &str, parent, files: Vec<(String, String)>| {
            let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            world.files(device, &[parent], &files)
        };
        let base = put("mac", root, tree(&olds, &before));
        let mac = put("mac", base, tree(&news, &after));
        let mut edited = before.clone();
        edited[0] = format!("edited\n{}", edited[0]);
        let pixel = put("pixel", base, tree(&olds, &edited));
        paths(&fold(&world, &[mac, pixel]))
    };
    assert_eq!(renamed(3, 4000), [""; 0], "an edit follows its file");
    let bytes = (crate::merge::RENAME_BYTES_MAX / 2 / 200 / 200) as usize * 5 / 4;
    assert_eq!(renamed(200, bytes), ["old0"], "beyond the bound the file counts as deleted");
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
