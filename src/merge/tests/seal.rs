//! Sidecars: never merged, kept with the content of a parent, made anew for content of none.

use sha2::{Digest, Sha256};

use super::{TestBook, World};
use crate::merge::{Choices, Derived, Take, choose, derive, resolve};
use crate::object::{CommitId, TreeId};

type Files<'a> = &'a [(&'a str, &'a str)];

const RULES: (&str, &str) = ("vault.toml", "# sealed\n");
const PLAIN: (&str, &str) = ("vault.toml", "# nothing of the kind\n");

fn seal(name: &str, content: &str) -> String {
    format!("{} {name}\n", hex::encode(Sha256::digest(content)))
}

/// Lets two devices go apart from `base`.
fn part(world: &World, rules: (&str, &str), base: Files<'_>, sides: [Files<'_>; 2]) -> [CommitId; 2] {
    let commit = |device: &str, parent, files: Files<'_>| {
        let all: Vec<_> = files.iter().copied().chain([rules]).collect();
        world.files(device, &[parent], &all)
    };
    let base = commit("mac", world.root(), base);
    [commit("mac", base, sides[0]), commit("pixel", base, sides[1])]
}

fn merged(rules: (&str, &str), base: Files<'_>, sides: [Files<'_>; 2]) -> (World, Derived) {
    let world = World::default();
    let heads = part(&world, rules, base, sides);
    let derived = derive(&world.objects, &TestBook, &heads).expect("works");
    world.keep(&derived.objects);
    (world, derived)
}

fn list(world: &World, tree: TreeId) -> Vec<(String, String)> {
    world.list(tree).into_iter().filter(|(path, _)| path != "vault.toml").collect()
}

fn assert_files(world: &World, derived: &Derived, wanted: Files<'_>) {
    assert_eq!(derived.conflicts, []);
    let wanted: Vec<_> = wanted.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
    assert_eq!(list(world, derived.tree.expect("clean")), wanted);
}

#[test]
fn content_of_both_sides_is_sealed_anew() {
    let (base, mac, pixel, both) = ("1\n2\n3\n4\n", "one\n2\n3\n4\n", "1\n2\n3\nfour\n", "one\n2\n3\nfour\n");
    let seals = [base, mac, pixel, both].map(|text| seal("a.d", text));
    let base = [("f/a.d", base), ("f/a.d.seal", &seals[0])];
    let sides = [[("f/a.d", mac), ("f/a.d.seal", &seals[1])], [("f/a.d", pixel), ("f/a.d.seal", &seals[2])]];
    let (world, derived) = merged(RULES, &base, [&sides[0], &sides[1]]);
    assert_files(&world, &derived, &[("f/a.d", both), ("f/a.d.seal", &seals[3])]);
    // Without the rule the two sidecars contradict each other as text.
    let (_, derived) = merged(PLAIN, &base, [&sides[0], &sides[1]]);
    let paths: Vec<String> = derived.conflicts.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, ["f/a.d.seal"]);
}

#[test]
fn content_of_a_parent_keeps_its_sidecar_right_or_wrong() {
    let (base, new) = ("1\n", "2\n");
    let (old, good, wrong) = (seal("a.d", base), seal("a.d", new), "broken on purpose\n");
    let base = [("a.d", base), ("a.d.seal", old.as_str()), ("x", "1\n")];
    // One side alone changed the file, and sealed it wrongly.
    let sides = [
        [("a.d", new), ("a.d.seal", wrong), ("x", "1\n")],
        [("a.d", "1\n"), ("a.d.seal", old.as_str()), ("x", "2\n")],
    ];
    let (world, derived) = merged(RULES, &base, [&sides[0], &sides[1]]);
    assert_files(&world, &derived, &[("a.d", new), ("a.d.seal", wrong), ("x", "2\n")]);
    // Both brought the same content, with other sidecars: the first in the order of heads has its way.
    for (one, other) in [(wrong, good.as_str()), (good.as_str(), wrong)] {
        let sides = [[("a.d", new), ("a.d.seal", one)], [("a.d", new), ("a.d.seal", other)]];
        let world = World::default();
        let heads = part(&world, RULES, &base, [&sides[0], &sides[1]]);
        let derived = derive(&world.objects, &TestBook, &heads).expect("works");
        world.keep(&derived.objects);
        let first = if derived.frontier[0] == heads[0] { one } else { other };
        assert_files(&world, &derived, &[("a.d", new), ("a.d.seal", first)]);
    }
}

#[test]
fn a_file_that_no_parent_sealed_stays_unsealed_and_one_that_somebody_sealed_is_sealed() {
    let sealed = seal("a.d", "1\n");
    let base = [("a.d", "1\n"), ("b.d", "1\n"), ("x", "1\n")];
    let mac = [("a.d", "1\n"), ("b.d", "1\n"), ("x", "2\n")];
    let pixel = [("a.d", "1\n"), ("a.d.seal", sealed.as_str()), ("b.d", "1\n"), ("x", "1\n")];
    let (world, derived) = merged(RULES, &base, [&mac, &pixel]);
    let wanted = [("a.d", "1\n"), ("a.d.seal", sealed.as_str()), ("b.d", "1\n"), ("x", "2\n")];
    assert_files(&world, &derived, &wanted);
}

#[test]
fn a_moved_file_that_was_edited_elsewhere_is_sealed_under_its_new_name() {
    let text = "one line\nand another\nand a third\n";
    let edited = "one line\nand another\nand a third\nand more\n";
    let seals = [seal("a.d", text), seal("b.d", text), seal("a.d", edited), seal("b.d", edited)];
    let base = [("a.d", text), ("a.d.seal", seals[0].as_str())];
    let mac = [("b.d", text), ("b.d.seal", seals[1].as_str())];
    let pixel = [("a.d", edited), ("a.d.seal", seals[2].as_str())];
    let (world, derived) = merged(RULES, &base, [&mac, &pixel]);
    assert_files(&world, &derived, &[("b.d", edited), ("b.d.seal", &seals[3])]);
}

#[test]
fn a_conflict_is_the_files_alone_and_its_resolution_brings_the_sidecar() {
    let seals = ["1\n", "2\n", "both\n"].map(|text| seal("a.d", text));
    let base = [("a.d", "1\n"), ("a.d.seal", seals[0].as_str())];
    let pixel = [("a.d", "2\n"), ("a.d.seal", seals[1].as_str())];
    let world = World::default();
    let heads = part(&world, RULES, &base, [&[], &pixel]);
    let none = resolve(&world.objects, &TestBook, &heads, &Choices::new()).expect("works");
    let paths: Vec<String> = none.remaining.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, ["a.d"], "the sidecar is no conflict of its own");
    let conflict = &none.remaining[0];
    let cases: [(Take, Vec<(&str, &str)>); 3] = [
        (Take::Head(heads[0]), vec![]),
        (Take::Head(heads[1]), pixel.to_vec()),
        (Take::Bytes(b"both\n".to_vec()), vec![("a.d", "both\n"), ("a.d.seal", &seals[2])]),
    ];
    for (take, wanted) in cases {
        let chosen = choose(&world.objects, conflict, take.clone()).expect("a choice");
        if let Some(blob) = &chosen.blob {
            world.objects.put(blob.kind, &blob.data);
        }
        let choices = Choices::from([(conflict.key(), chosen.entry)]);
        let done = resolve(&world.objects, &TestBook, &heads, &choices).expect("works");
        world.keep(&done.objects);
        let wanted: Vec<_> = wanted.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
        assert_eq!(list(&world, done.tree.expect("resolved")), wanted, "{take:?}");
    }
}

#[test]
fn a_sidecar_without_its_file_is_a_file_like_any_other() {
    let base = [("gone.d.seal", "left over\n"), ("x", "1\n")];
    let mac = [("gone.d.seal", "left over\n"), ("x", "2\n")];
    let pixel = [("gone.d.seal", "edited\n"), ("x", "1\n")];
    let (world, derived) = merged(RULES, &base, [&mac, &pixel]);
    assert_files(&world, &derived, &[("gone.d.seal", "edited\n"), ("x", "2\n")]);
}

#[test]
fn bases_that_disagree_about_a_sidecar_do_no_harm() {
    let world = World::default();
    let text = "1\n2\n3\n4\n5\n";
    let first = [("a.d", text), ("a.d.seal", "x\n")];
    let sides = [[("a.d", "one\n2\n3\n4\n5\n"), ("a.d.seal", "y\n")], [("a.d", text), ("a.d.seal", "z\n")]];
    let heads = part(&world, RULES, &first, [&sides[0], &sides[1]]);
    // Each joined the two by hand, and went on: two bases.
    let both = |sealed| [("a.d", "one\n2\n3\n4\n5\n"), ("a.d.seal", sealed), RULES];
    let joined = [world.files("mac", &heads, &both("m\n")), world.files("pixel", &heads, &both("p\n"))];
    let derived = derive(&world.objects, &TestBook, &joined).expect("works");
    world.keep(&derived.objects);
    let first = if derived.frontier[0] == joined[0] { "m\n" } else { "p\n" };
    assert_files(&world, &derived, &[("a.d", "one\n2\n3\n4\n5\n"), ("a.d.seal", first)]);
}
