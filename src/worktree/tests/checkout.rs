//! Moves of the working tree: what they do, what they refuse, what they keep.

use std::process::Command;

use super::{Place, faults};
use crate::object::{Kind, Mode, TreeId, VaultPath};
use crate::worktree::{
    Action, DisplacedBody, Edits, Error, Index, Nonce, Obstacle, Traits, discard, finish, pending_journal,
    scan, stage,
};

fn texts(disk: &[(String, String)]) -> Vec<(&str, &str)> {
    disk.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect()
}

fn path(text: &str) -> VaultPath {
    VaultPath::parse(text).expect("valid")
}

fn obstacles(place: &Place, to: TreeId, edits: Edits) -> Vec<(String, Obstacle)> {
    place.plan(to, edits).in_the_way.into_iter().map(|i| (i.path.to_string(), i.obstacle)).collect()
}

#[test]
fn every_change_of_type_is_made_and_the_index_knows_it() {
    let old = [
        ("a", "1"),
        ("b/c", "2"),
        ("d/e/f", "3"),
        ("link", "->a"),
        ("mode", "x"),
        ("same", "s"),
        ("t", "->b"),
    ];
    let new = [
        ("a/x", "1"),
        ("b", "->a"),
        ("d/e/g", "4"),
        ("link", "file"),
        ("mode", "*x"),
        ("same", "s"),
        ("t/u", "u"),
    ];
    let mut place = Place::new();
    let (old_tree, new_tree) = (place.tree(&old), place.tree(&new));
    for _ in 0..2 {
        place.checkout(old_tree, Edits::Carry);
        assert_eq!(texts(&place.disk()), old);
        assert!(place.told().is_empty());
        place.checkout(new_tree, Edits::Carry);
        assert_eq!(texts(&place.disk()), new);
        assert!(place.told().is_empty());
    }
    assert!(matches!(pending_journal(&place.dot), Ok(None)));
    place.checkout(TreeId::empty(), Edits::Carry);
    assert_eq!(place.disk(), []);
}

#[test]
fn random_moves_end_at_their_tree_and_keep_what_is_untracked() {
    let mut state = 42u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut place = Place::new();
    place.write("keep/me", "untracked");
    place.write("d1/ignored", "untracked");
    for round in 0..60 {
        let mut files = std::collections::BTreeMap::new();
        for _ in 0..random(25) {
            let depth = 1 + random(3);
            let name = (0..depth).map(|_| format!("d{}", random(3))).collect::<Vec<_>>().join("/");
            let text = ["", "*", "->"][random(3) as usize].to_owned() + &format!("{}", random(5));
            let clashes = |other: &String| {
                other.starts_with(&format!("{name}/"))
                    || name.starts_with(&format!("{other}/"))
                    || *other == name
            };
            if name != "d1" && name != "d1/ignored" && !files.keys().any(clashes) {
                files.insert(name, text);
            }
        }
        let listed: Vec<_> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let to = place.tree(&listed);
        let plan = place.plan(to, Edits::Carry);
        assert_eq!(plan.in_the_way, [], "round {round}");
        let journal = place.stage(&plan);
        let finished = place.finish(&journal);
        assert!(finished.displaced.is_empty() && finished.stayed.is_empty());
        assert_eq!(place.told(), ["A d1/ignored", "A keep/me"], "round {round}");
        let mut expected: Vec<(String, String)> = files.into_iter().collect();
        expected.push(("keep/me".into(), "untracked".into()));
        expected.push(("d1/ignored".into(), "untracked".into()));
        expected.sort();
        assert_eq!(place.disk(), expected, "round {round}");
    }
}

#[test]
fn untracked_file_with_other_bytes_is_in_the_way_and_one_with_equal_bytes_is_adopted() {
    let mut place = Place::new();
    place.write("other", "mine");
    place.write("equal", "theirs");
    place.write(".mvaultignore", "ignored*\n");
    place.write("ignored-other", "mine");
    place.write("ignored-equal", "theirs");
    let paths = ["other", "equal", "ignored-other", "ignored-equal"];
    let to = place.tree(&paths.map(|path| (path, "theirs")));
    for edits in [Edits::Carry, Edits::Replace] {
        let expected = ["ignored-other", "other"].map(|path| (path.to_owned(), Obstacle::Untracked));
        assert_eq!(obstacles(&place, to, edits), expected);
    }
    let plan = place.plan(to, Edits::Replace);
    assert!(matches!(stage(&place.dot, &plan, &place.blobs(), Nonce::new([0; 16])), Err(Error::InTheWay(2))));
    place.write("other", "theirs");
    place.write("ignored-other", "theirs");
    let plan = place.plan(to, Edits::Carry);
    assert_eq!(plan.counts(), (0, 0));
    let journal = place.stage(&plan);
    place.finish(&journal);
    assert_eq!(place.told(), ["A .mvaultignore"]);
}

#[test]
fn untracked_things_where_folders_or_files_have_to_be_are_in_the_way() {
    let mut place = Place::new();
    let old = [("f/in/a", "1"), ("g/a", "1")];
    place.checkout(place.tree(&old), Edits::Carry);
    place.write("d", "a file");
    place.link("/etc", "l");
    place.write("f/in/mine", "untracked");
    place.write("g/deep/empty/x", "1");
    std::fs::remove_file(place.at("g/deep/empty/x")).expect("removes");
    let to = place.tree(&[("d/x", "1"), ("l/passwd", "1"), ("f", "now a file"), ("g", "now a file")]);
    let expected = [
        ("d".to_owned(), Obstacle::Untracked),
        ("f".to_owned(), Obstacle::UntrackedInFolder),
        ("l".to_owned(), Obstacle::Untracked),
    ];
    assert_eq!(obstacles(&place, to, Edits::Replace), expected);
    assert_eq!(obstacles(&place, to, Edits::Carry), expected);
    for name in ["d", "l", "f/in/mine"] {
        std::fs::remove_file(place.at(name)).expect("removes");
    }
    place.checkout(to, Edits::Carry);
    assert_eq!(
        texts(&place.disk()),
        [("d/x", "1"), ("f", "now a file"), ("g", "now a file"), ("l/passwd", "1")],
        "empty folders hold nothing and give way"
    );
}

#[test]
fn carried_edits_stay_and_only_those_in_the_way_refuse() {
    let mut place = Place::new();
    let old = [
        ("both", "1"),
        ("deleted", "1"),
        ("edited", "1"),
        ("gone", "1"),
        ("same-edit", "1"),
        ("theirs", "1"),
    ];
    place.checkout(place.tree(&old), Edits::Carry);
    place.write("edited", "mine");
    std::fs::remove_file(place.at("gone")).expect("removes");
    place.write("same-edit", "2");
    let new = [
        ("both", "1"),
        ("deleted", "1"),
        ("edited", "1"),
        ("gone", "1"),
        ("same-edit", "2"),
        ("theirs", "2"),
    ];
    place.checkout(place.tree(&new), Edits::Carry);
    assert_eq!(place.told(), ["M edited", "D gone"]);
    place.write("both", "mine");
    std::fs::remove_file(place.at("deleted")).expect("removes");
    let to = place.tree(&[("both", "theirs"), ("deleted", "theirs"), ("same-edit", "2"), ("theirs", "2")]);
    let expected = ["both", "deleted", "edited"].map(|path| (path.to_owned(), Obstacle::Edited));
    assert_eq!(obstacles(&place, to, Edits::Carry), expected);
}

#[test]
fn replaced_edits_are_named_and_give_way_even_where_the_trees_agree() {
    let mut place = Place::new();
    let old = [("changed", "1"), ("gone", "1"), ("kept", "1"), ("removed", "1")];
    place.checkout(place.tree(&old), Edits::Carry);
    for name in ["changed", "kept", "removed"] {
        place.write(name, "mine");
    }
    std::fs::remove_file(place.at("gone")).expect("removes");
    place.write("new", "untracked");
    let to = place.tree(&[("changed", "2"), ("gone", "1"), ("kept", "1")]);
    let plan = place.plan(to, Edits::Replace);
    let named: Vec<_> = plan.replaced_edits.iter().map(ToString::to_string).collect();
    assert_eq!(named, ["changed", "kept", "removed"]);
    let journal = place.stage(&plan);
    let finished = place.finish(&journal);
    assert!(finished.displaced.is_empty(), "the plan knew them");
    assert_eq!(texts(&place.disk()), [("changed", "2"), ("gone", "1"), ("kept", "1"), ("new", "untracked")]);
}

#[test]
fn fifo_in_place_of_a_file_is_in_the_way() {
    let mut place = Place::new();
    place.checkout(place.tree(&[("a", "1")]), Edits::Carry);
    std::fs::remove_file(place.at("a")).expect("removes");
    for name in ["a", "b"] {
        assert!(Command::new("mkfifo").arg(place.at(name)).status().expect("mkfifo runs").success());
    }
    let to = place.tree(&[("a", "2"), ("b", "2")]);
    let expected = ["a", "b"].map(|path| (path.to_owned(), Obstacle::Other));
    assert_eq!(obstacles(&place, to, Edits::Replace), expected);
}

#[test]
fn single_paths_come_back_as_edits_of_the_tree_we_stay_at() {
    let mut place = Place::new();
    let old = place.tree(&[("dir/a", "1"), ("dir/b", "1"), ("other", "1")]);
    let now = place.tree(&[("dir/a", "2"), ("dir/c", "2"), ("other", "2")]);
    place.checkout(now, Edits::Carry);
    place.write("dir/c", "mine");
    let local = place.changes();
    let plan = place.plan_with(&local, old, Edits::Replace, Traits::default(), &[path("dir")]);
    assert_eq!(plan.replaced_edits, [path("dir/c")]);
    let journal = place.stage(&plan);
    place.finish(&journal);
    assert_eq!(place.index.tree(), now);
    assert_eq!(texts(&place.disk()), [("dir/a", "1"), ("dir/b", "1"), ("other", "2")]);
    assert_eq!(place.told(), ["M dir/a", "A dir/b", "D dir/c"]);
}

#[test]
fn names_that_fold_into_one_are_written_once_and_marked_absent() {
    let mut place = Place::new();
    let traits = Traits { folds_case: true, ..Traits::default() };
    let to = place.tree(&[("Dir/a", "1"), ("README", "1"), ("dir/b", "2"), ("readme", "2")]);
    let local = place.changes();
    let plan = place.plan_with(&local, to, Edits::Carry, traits, &[]);
    let told: Vec<_> = plan.unwritable.iter().map(|u| (u.path.to_string(), u.same_as.clone())).collect();
    assert_eq!(told, [("dir/b".to_owned(), Some(path("Dir"))), ("readme".to_owned(), Some(path("README")))]);
    let journal = place.stage(&plan);
    place.finish(&journal);
    assert_eq!(texts(&place.disk()), [("Dir/a", "1"), ("README", "1")]);
    assert!(place.told().is_empty(), "absent is not deleted");
    // The name is free again: what was absent comes.
    let to = place.tree(&[("dir/b", "2"), ("readme", "2")]);
    let local = place.changes();
    let plan = place.plan_with(&local, to, Edits::Carry, traits, &[]);
    assert_eq!(plan.unwritable, []);
    let journal = place.stage(&plan);
    place.finish(&journal);
    assert_eq!(texts(&place.disk()), [("dir/b", "2"), ("readme", "2")]);
    assert!(place.told().is_empty());
}

#[test]
fn renaming_to_another_case_removes_first_where_names_fold() {
    let mut place = Place::new();
    let traits = Traits { folds_case: true, ..Traits::default() };
    place.checkout(place.tree(&[("Notes.md", "1"), ("x", "1")]), Edits::Carry);
    let local = place.changes();
    let plan =
        place.plan_with(&local, place.tree(&[("notes.md", "1"), ("y", "1")]), Edits::Carry, traits, &[]);
    assert_eq!(plan.unwritable, []);
    let order: Vec<_> = plan.actions.iter().map(|a| a.path().to_string()).collect();
    assert_eq!(order, ["Notes.md", "notes.md", "y", "x", "Notes.md", "x"]);
}

#[test]
fn links_are_absent_where_there_are_none() {
    let mut place = Place::new();
    let traits = Traits { symlinks: false, ..Traits::default() };
    place.checkout(place.tree(&[("a", "file")]), Edits::Carry);
    let local = place.changes();
    let plan = place.plan_with(&local, place.tree(&[("a", "->b"), ("b", "1")]), Edits::Carry, traits, &[]);
    assert_eq!(plan.unwritable.len(), 1);
    let journal = place.stage(&plan);
    place.finish(&journal);
    assert_eq!(texts(&place.disk()), [("b", "1")]);
    assert!(place.told().is_empty());
}

#[test]
fn wrong_content_is_refused_and_leaves_nothing_behind() {
    let mut place = Place::new();
    let to = place.tree(&[("a", "right"), ("b", "right too")]);
    let plan = place.plan(to, Edits::Carry);
    let id = crate::object::hash_object(Kind::Blob, b"right");
    let mut blobs = place.blobs();
    blobs.0.get_mut(&id).expect("is there").data = b"wrong".as_slice().into();
    assert!(matches!(stage(&place.dot, &plan, &blobs, Nonce::new([0; 16])), Err(Error::Content { .. })));
    blobs.0.remove(&id);
    assert!(matches!(stage(&place.dot, &plan, &blobs, Nonce::new([0; 16])), Err(Error::Source(_))));
    assert!(matches!(pending_journal(&place.dot), Ok(None)));
    assert_eq!(place.disk(), []);
    place.checkout(to, Edits::Carry);
}

#[test]
fn link_that_no_system_can_hold_is_absent_here_and_stays_in_the_vault() {
    // It stopped every checkout, for ever: another device had sent it. A name that cannot be is passed over as well.
    for target in [String::new(), "a\0b".into(), "x".repeat(4096), "x".repeat(5000)] {
        let mut place = Place::new();
        let to = place.tree(&[("l", &format!("->{target}")), ("b", "1")]);
        place.checkout(to, Edits::Carry);
        assert_eq!(texts(&place.disk()), [("b", "1")]);
        assert!(place.told().is_empty(), "it is not taken for deleted");
        let again = place.tree(&[("l", &format!("->{target}")), ("b", "2")]);
        place.checkout(again, Edits::Carry);
        assert!(place.told().is_empty());
    }
}

#[test]
fn many_files_and_large_ones_come_in_pieces_with_one_sync() {
    let mut place = Place::new();
    let large = "0123456789abcdef".repeat(200_000);
    let names: Vec<String> = (0..200).map(|n| format!("dir{}/file{n}", n % 7)).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    files.push(("large", &large));
    let to = place.tree(&files);
    place.checkout(to, Edits::Carry);
    assert!(place.told().is_empty());
    assert_eq!(std::fs::read(place.at("large")).expect("reads"), large.as_bytes());
}

#[test]
fn edit_right_after_a_checkout_is_seen_and_quiet_files_are_not_read_again() {
    let mut place = Place::new();
    for round in 0..50 {
        let to = place.tree(&[("a", &format!("{round:04}")), ("b", "rests")]);
        place.checkout(to, Edits::Replace);
        std::fs::write(place.at("a"), "edit").expect("writes");
        assert_eq!(place.told(), ["M a"], "round {round}");
    }
    let names: Vec<String> = (0..100).map(|n| format!("{n}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    place.checkout(place.tree(&files), Edits::Replace);
    let found = scan(place.input()).expect("walks");
    assert!(found.candidates.len() < 100, "all {} files would be read again", found.candidates.len());
}

#[test]
fn edit_made_between_plan_and_finish_is_handed_back() {
    let mut place = Place::new();
    let old = [("edit", "1"), ("goes", "1"), ("link", "->a"), ("runs", "1")];
    place.checkout(place.tree(&old), Edits::Carry);
    let plan = place.plan(
        place.tree(&[("dir/x", "2"), ("edit", "2"), ("link", "->b"), ("new", "2"), ("runs", "2")]),
        Edits::Carry,
    );
    let journal = place.stage(&plan);
    place.write("edit", "mine");
    place.write("goes", "mine");
    place.write("new", "mine");
    place.write("dir", "mine");
    std::fs::remove_file(place.at("link")).expect("removes");
    place.link("mine", "link");
    place.write("runs", "mine");
    place.set_mode("runs", 0o755);
    let finished = finish(&place.root, &place.dot, &journal, &place.blobs()).expect("finishes");
    let again = finish(&place.root, &place.dot, &journal, &place.blobs()).expect("finishes again");
    for finished in [finished, again] {
        let mut told: Vec<(String, Mode, Vec<u8>)> = finished
            .displaced
            .into_iter()
            .map(|d| {
                let bytes = match d.body {
                    DisplacedBody::File(file) => file.read_all(100).expect("reads"),
                    DisplacedBody::Target(target) => target,
                };
                (d.path.to_string(), d.mode, bytes)
            })
            .collect();
        told.sort();
        let mine = |path: &str, mode| (path.to_owned(), mode, b"mine".to_vec());
        let file = Mode::File;
        let expected = [
            mine("dir", file),
            mine("edit", file),
            mine("link", Mode::Symlink),
            mine("new", file),
            mine("runs", Mode::Executable),
        ];
        assert_eq!(told, expected);
        assert_eq!(finished.stayed, [path("goes")]);
    }
    assert_eq!(
        texts(&place.disk()),
        [("dir/x", "2"), ("edit", "2"), ("goes", "mine"), ("link", "->b"), ("new", "2"), ("runs", "2")]
    );
    discard(&place.dot).expect("discards");
}

/// Returns the paths that wait, with why.
fn waiting(place: &Place) -> Vec<(String, String)> {
    place.waits.iter().map(|wait| (wait.path.to_string(), wait.why.clone())).collect()
}

/// Tries again what waits, as every command does.
fn try_again(place: &mut Place) {
    let mut plan = place.plan(place.index.tree(), Edits::Carry);
    assert_eq!(plan.in_the_way, []);
    plan.again = true;
    let journal = place.stage(&plan);
    place.finish(&journal);
}

/// It used to stop the move half-way, and every command after it, until the folder was moved.
#[test]
fn folder_with_files_that_took_a_place_waits_alone_and_moving_it_lets_it_go_on() {
    let mut place = Place::new();
    let plan = place.plan(place.tree(&[("a", "1"), ("b", "1")]), Edits::Carry);
    let journal = place.stage(&plan);
    place.write("a/mine", "mine");
    place.finish(&journal);
    assert_eq!(waiting(&place), [("a".into(), "a folder with files in it is in the way".into())]);
    assert_eq!(texts(&place.disk()), [("a/mine", "mine"), ("b", "1")]);
    try_again(&mut place);
    assert_eq!(waiting(&place).len(), 1);
    std::fs::rename(place.at("a"), place.at("elsewhere")).expect("moves");
    try_again(&mut place);
    assert_eq!(waiting(&place), []);
    assert_eq!(texts(&place.disk()), [("a", "1"), ("b", "1"), ("elsewhere/mine", "mine")]);
}

/// A place whose folder `locked` lets nobody make, replace or remove a name, as one without permission does.
fn with_a_locked_folder(place: &mut Place) {
    [place.root, place.dot] = faults::keeping([&place.root, &place.dot], "locked");
}

const LOCKED: &[(&str, &str)] = &[("beside", "1"), ("locked/edit", "1"), ("locked/goes", "1"), ("z", "1")];
const MOVED: &[(&str, &str)] =
    &[("beside", "2"), ("locked/deep/new", "2"), ("locked/edit", "2"), ("locked/new", "2"), ("y", "1")];

/// One folder without permission used to leave half of a move undone and to stop every later command. Now what
/// is in it waits: no edit, nothing deleted, nothing new, whether or not the stat cache is lost.
#[test]
fn locked_folder_makes_its_own_paths_wait_and_no_others() {
    let mut place = Place::new();
    place.checkout(place.tree(LOCKED), Edits::Carry);
    let free = [place.root.clone(), place.dot.clone()];
    with_a_locked_folder(&mut place);
    place.checkout(place.tree(MOVED), Edits::Carry);
    let paths: Vec<String> = waiting(&place).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["locked/deep/new", "locked/edit", "locked/goes", "locked/new"]);
    assert_eq!(
        texts(&place.disk()),
        [("beside", "2"), ("locked/edit", "1"), ("locked/goes", "1"), ("y", "1")]
    );
    assert!(place.told().is_empty(), "{:?}", place.told());
    place.index =
        place.waits.as_on_disk(Index::from_tree(&place.objects, place.index.tree()).expect("lists"));
    assert!(place.told().is_empty(), "{:?}", place.told());
    // A later move that changes nothing there goes through, and so does one that changes something.
    place.write("locked/edit", "mine");
    let more: Vec<_> = MOVED.iter().copied().chain([("later", "3")]).collect();
    place.checkout(place.tree(&more), Edits::Carry);
    assert_eq!(place.told(), ["M locked/edit"]);
    assert_eq!(waiting(&place).len(), 4);
    // An edit made meanwhile stays when the folder is free again; the rest comes into place.
    [place.root, place.dot] = free;
    try_again(&mut place);
    assert_eq!(waiting(&place).into_iter().map(|(path, _)| path).collect::<Vec<_>>(), ["locked/edit"]);
    assert_eq!(place.told(), ["M locked/edit"]);
    place.write("locked/edit", "1");
    try_again(&mut place);
    assert_eq!(waiting(&place), []);
    assert_eq!(
        texts(&place.disk()),
        [
            ("beside", "2"),
            ("later", "3"),
            ("locked/deep/new", "2"),
            ("locked/edit", "2"),
            ("locked/new", "2"),
            ("y", "1")
        ]
    );
    assert!(place.told().is_empty());
}

#[test]
fn going_back_to_where_it_stands_ends_the_waiting() {
    let mut place = Place::new();
    place.checkout(place.tree(LOCKED), Edits::Carry);
    with_a_locked_folder(&mut place);
    place.checkout(place.tree(MOVED), Edits::Carry);
    assert_eq!(waiting(&place).len(), 4);
    place.checkout(place.tree(LOCKED), Edits::Replace);
    assert_eq!(waiting(&place), []);
    assert_eq!(texts(&place.disk()), LOCKED);
    assert!(place.told().is_empty());
}

#[test]
fn nothing_is_written_or_removed_through_a_link_that_took_a_folders_place() {
    let mut place = Place::new();
    let outside = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(outside.path().join("a"), "1").expect("writes");
    place.checkout(place.tree(&[("dir/a", "1"), ("dir/b", "1")]), Edits::Carry);
    let plan = place.plan(place.tree(&[("dir/b", "2"), ("dir/c", "2")]), Edits::Carry);
    let journal = place.stage(&plan);
    std::fs::rename(place.at("dir"), place.at("moved")).expect("moves");
    std::os::unix::fs::symlink(outside.path(), place.at("dir")).expect("links");
    let finished = place.finish(&journal);
    let outside_names: Vec<_> = std::fs::read_dir(outside.path()).expect("lists").collect();
    assert_eq!(outside_names.len(), 1);
    assert_eq!(finished.displaced.len(), 1, "the link is kept");
    assert_eq!(texts(&place.disk()), [("dir/b", "2"), ("dir/c", "2"), ("moved/a", "1"), ("moved/b", "1")]);
}

#[test]
fn second_stage_waits_for_the_first_to_be_finished() {
    let mut place = Place::new();
    let plan = place.plan(place.tree(&[("a", "1")]), Edits::Carry);
    let journal = place.stage(&plan);
    assert!(matches!(stage(&place.dot, &plan, &place.blobs(), Nonce::new([2; 16])), Err(Error::Journal(_))));
    assert_eq!(journal.actions.iter().filter(|a| matches!(a, Action::Write { .. })).count(), 1);
    place.finish(&journal);
    assert_eq!(texts(&place.disk()), [("a", "1")]);
}
