//! Golden cases, driver by driver: two devices resolve one conflict, each in its own way, before they meet
//! again. The bases then disagree, and what differs must be a conflict, never a pick.

use super::{TestBook, World};
use crate::merge::{Derived, derive};
use crate::object::CommitId;

/// The files of a side; the rules file is always there.
type Files<'a> = &'a [(&'a str, &'a str)];

const RULES: (&str, &str) = ("vault.toml", "union .u\nset .set\nbinary .bin\n");

fn commit(world: &World, device: &str, parents: &[CommitId], files: Files<'_>) -> CommitId {
    let all: Vec<(&str, &str)> = files.iter().copied().chain([RULES]).collect();
    world.files(device, parents, &all)
}

/// Lets `mac` and `pixel` diverge from `base` and then resolve their conflict concurrently.
fn resolved_twice(base: Files<'_>, sides: [Files<'_>; 2], resolutions: [Files<'_>; 2]) -> (World, Derived) {
    let world = World::default();
    let base = commit(&world, "mac", &[world.root()], base);
    let heads = [commit(&world, "mac", &[base], sides[0]), commit(&world, "pixel", &[base], sides[1])];
    let first = derive(&world.objects, &TestBook, &heads).expect("works");
    assert!(!first.conflicts.is_empty(), "the sides contradict each other to begin with");
    let one = commit(&world, "mac", &heads, resolutions[0]);
    let other = commit(&world, "pixel", &heads, resolutions[1]);
    let derived = derive(&world.objects, &TestBook, &[one, other]).expect("works");
    world.keep(&derived.objects);
    (world, derived)
}

fn assert_conflict(path: &str, base: Files<'_>, sides: [Files<'_>; 2], resolutions: [Files<'_>; 2]) {
    let (_, derived) = resolved_twice(base, sides, resolutions);
    let paths: Vec<String> = derived.conflicts.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, [path], "{resolutions:?}");
    assert_eq!(derived.head, None);
}

fn assert_agreed(base: Files<'_>, sides: [Files<'_>; 2], resolution: Files<'_>) {
    let (world, derived) = resolved_twice(base, sides, [resolution, resolution]);
    assert_eq!(derived.conflicts, [], "{resolution:?}");
    let mut wanted: Vec<(String, String)> =
        resolution.iter().chain([&RULES]).map(|(path, text)| (path.to_string(), text.to_string())).collect();
    wanted.sort();
    assert_eq!(world.list(derived.tree.expect("clean")), wanted);
}

/// Holds the four ways for a file whose sides contradict each other.
fn hold(path: &str, base: &str, mine: &str, theirs: &str) {
    let file = |text| [(path, text)];
    let (base, mine, theirs) = (file(base), file(mine), file(theirs));
    let sides: [Files<'_>; 2] = [&mine, &theirs];
    assert_conflict(path, &base, sides, [&mine, &theirs]);
    assert_conflict(path, &base, sides, [&base, &mine]);
    assert_conflict(path, &base, sides, [&theirs, &base]);
    assert_conflict(path, &base, sides, [&[], &mine]);
    assert_agreed(&base, sides, &mine);
    assert_agreed(&base, sides, &base);
    assert_agreed(&base, sides, &[]);
}

/// Holds delete against edit.
fn hold_deletion(path: &str, base: &str, edit: &str) {
    let (base, edit) = ([(path, base)], [(path, edit)]);
    let sides: [Files<'_>; 2] = [&[], &edit];
    assert_conflict(path, &base, sides, [&[], &edit]);
    assert_conflict(path, &base, sides, [&edit, &[]]);
    assert_conflict(path, &base, sides, [&[], &base]);
    assert_agreed(&base, sides, &edit);
    assert_agreed(&base, sides, &[]);
}

#[test]
fn text_holds_two_resolutions_that_differ() {
    hold("a.md", "1\n2\n3\n4\n5\n", "1\n2\nmac\n4\n5\n", "1\n2\npixel\n4\n5\n");
    hold("a.md", "1\n2\n3\n", "1\n3\n", "1\npixel\n3\n");
    hold("a.md", "1", "mac", "pixel");
    hold("a.md", "1\r\n2\r\n", "mac\r\n2\r\n", "pixel\r\n2\r\n");
    hold_deletion("a.md", "1\n2\n3\n", "1\n2\n4\n");
    let (base, edit) = ([("a.md", "1\n2\n3\n")], [("a.md", "1\n2\n4\n")]);
    assert_conflict("a.md", &base, [&[], &edit], [&base, &edit]);
}

#[test]
fn text_with_both_sides_lines_conflicts_with_one_side_only() {
    let base = [("a.md", "top\nold\nend\n")];
    let (mine, theirs) = ([("a.md", "top\nmac\nend\n")], [("a.md", "top\npixel\nend\n")]);
    let both = [("a.md", "top\nmac\npixel\nend\n")];
    assert_conflict("a.md", &base, [&mine, &theirs], [&mine, &both]);
    assert_conflict("a.md", &base, [&mine, &theirs], [&both, &theirs]);
}

#[test]
fn text_outside_of_the_disagreement_still_merges() {
    let base = [("a.md", "1\n2\n3\n4\n5\n6\n7\n8\n")];
    let (mine, theirs) =
        ([("a.md", "1\nmac\n3\n4\n5\n6\n7\n8\n")], [("a.md", "1\npixel\n3\n4\n5\n6\n7\n8\n")]);
    let one = [("a.md", "1\nboth\n3\n4\nfive\n6\n7\n8\n")];
    let other = [("a.md", "1\nboth\n3\n4\n5\n6\n7\neight\n")];
    let (world, derived) = resolved_twice(&base, [&mine, &theirs], [&one, &other]);
    assert_eq!(derived.conflicts, []);
    let text = &world.list(derived.tree.expect("clean"))[0].1;
    assert_eq!(text, "1\nboth\n3\n4\nfive\n6\n7\neight\n");
}

#[test]
fn text_that_looks_like_markers_is_text() {
    let marker = "<<<<<<< mac\n=======\n>>>>>>> pixel\n";
    hold("a.md", "1\n2\n", &format!("{marker}2\n"), "pixel\n2\n");
}

#[test]
fn files_added_on_both_sides_hold_two_resolutions_that_differ() {
    let (mine, theirs) = ([("a.md", "mac\n")], [("a.md", "pixel\n")]);
    assert_conflict("a.md", &[], [&mine, &theirs], [&mine, &theirs]);
    assert_conflict("a.md", &[], [&mine, &theirs], [&mine, &[]]);
    assert_agreed(&[], [&mine, &theirs], &theirs);
}

#[test]
fn binary_holds_two_resolutions_that_differ() {
    hold("a.bin", "1\n2\n3\n4\n5\n", "one\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive\n");
    hold_deletion("a.bin", "1", "2");
    assert_conflict(
        "a.bin",
        &[("a.bin", "1")],
        [&[], &[("a.bin", "2")]],
        [&[("a.bin", "1")], &[("a.bin", "2")]],
    );
    // Not by a rule but by what is in it.
    hold("a.md", "\0 1", "\0 2", "\0 3");
}

#[test]
fn union_keeps_the_lines_of_two_resolutions_and_holds_delete_against_edit() {
    hold_deletion("a.u", "1\n2\n", "1\n3\n");
    let world = World::default();
    let base = commit(&world, "mac", &[world.root()], &[("a.u", "1\n")]);
    let gone = commit(&world, "mac", &[base], &[]);
    let edit = commit(&world, "pixel", &[base], &[("a.u", "2\n")]);
    let one = commit(&world, "mac", &[gone, edit], &[("a.u", "mac\n")]);
    let other = commit(&world, "pixel", &[gone, edit], &[("a.u", "pixel\n")]);
    let derived = derive(&world.objects, &TestBook, &[one, other]).expect("works");
    world.keep(&derived.objects);
    let text = &world.list(derived.tree.expect("clean"))[0].1;
    assert!(text.contains("mac\n") && text.contains("pixel\n"), "{text:?}");
}

#[test]
fn a_driver_of_another_room_holds_what_it_says_is_a_conflict() {
    hold("a.set", "!base\n", "!mac\n", "!pixel\n");
    hold_deletion("a.set", "1\n", "1\n2\n");
    // What it can merge without a base is merged.
    let sides: [Files<'_>; 2] = [&[("a.set", "!mac\n")], &[("a.set", "!pixel\n")]];
    let resolutions: [Files<'_>; 2] = [&[("a.set", "x\n")], &[("a.set", "y\n")]];
    let (world, derived) = resolved_twice(&[("a.set", "!base\n")], sides, resolutions);
    assert_eq!(world.list(derived.tree.expect("clean"))[0].1, "x\ny\n");
}

#[test]
fn links_hold_two_resolutions_that_differ() {
    let (base, mine, theirs) = ([("@l", "to/a")], [("@l", "to/b")], [("@l", "to/c")]);
    assert_conflict("l", &base, [&mine, &theirs], [&mine, &theirs]);
    assert_conflict("l", &base, [&mine, &theirs], [&base, &mine]);
    assert_conflict("l", &base, [&mine, &theirs], [&[], &theirs]);
    assert_conflict("l", &base, [&mine, &theirs], [&[("l", "a file\n")], &theirs]);
    assert_agreed(&base, [&mine, &theirs], &theirs);
}

#[test]
fn modes_hold_two_resolutions_that_differ() {
    let (mine, theirs) = ([("x", "1\n")], [("+x", "2\n")]);
    assert_conflict("x", &[], [&mine, &theirs], [&[("x", "3\n")], &[("+x", "3\n")]]);
    assert_agreed(&[], [&mine, &theirs], &[("+x", "3\n")]);
}

#[test]
fn a_file_against_a_folder_holds_two_resolutions_that_differ() {
    let base = [("a", "1\n")];
    let sides: [Files<'_>; 2] = [&[("a", "2\n")], &[("a/x", "x\n"), ("a/y", "y\n")]];
    assert_conflict("a", &base, sides, [sides[0], sides[1]]);
    // Also when one of them takes only a part of the folder.
    assert_conflict("a", &base, sides, [&[("a/x", "x\n")], sides[1]]);
    assert_agreed(&base, sides, sides[1]);
}

#[test]
fn a_move_against_a_move_holds_two_resolutions_that_differ() {
    let text = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    let (base, mine, theirs) = ([("a", text)], [("b", text)], [("c", text)]);
    let (_, derived) = resolved_twice(&base, [&mine, &theirs], [&mine, &theirs]);
    let paths: Vec<String> = derived.conflicts.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, ["b", "c"]);
    assert_agreed(&base, [&mine, &theirs], &theirs);
    assert_agreed(&base, [&mine, &theirs], &[("b", text), ("c", text)]);
}
