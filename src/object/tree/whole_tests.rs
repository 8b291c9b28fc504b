//! Whole trees: listed, compared and edited.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::object::{Kind, Overlay, Source, SourceError, VaultPath, prefixes};

fn change(path: &str, content: Option<&str>) -> TreeChange {
    let path = VaultPath::parse(path).expect("valid");
    let id = |text: &str| crate::object::hash_object(Kind::Blob, text.as_bytes());
    TreeChange { path, entry: content.map(|text| FileEntry { mode: Mode::File, id: BlobId::new(id(text)) }) }
}

fn edit(overlay: &Overlay<impl Source>, base: TreeId, changes: &[(&str, Option<&str>)]) -> TreeId {
    let changes: Vec<_> = changes.iter().map(|(p, c)| change(p, *c)).collect();
    write_tree(overlay, base, changes, &mut |bytes, _| {
        Ok::<_, SourceError>(TreeId::new(overlay.put(Kind::Tree, bytes)))
    })
    .expect("the trees are there")
}

fn list(overlay: &Overlay<impl Source>, tree: TreeId) -> Vec<String> {
    list_tree(overlay, tree).map(|file| file.expect("the trees are there").0.to_string()).collect()
}

#[test]
fn edits_reach_the_same_tree_as_building_it() {
    let overlay = Overlay::default();
    let base = edit(&overlay, TreeId::empty(), &[("a/b/c", Some("1")), ("a/d", Some("2")), ("e", Some("3"))]);
    let edited = edit(&overlay, base, &[("a/b/c", None), ("a/b/x", Some("4")), ("f/g/h", Some("5"))]);
    let wanted = [("a/b/x", Some("4")), ("a/d", Some("2")), ("e", Some("3")), ("f/g/h", Some("5"))];
    assert_eq!(edited, edit(&overlay, TreeId::empty(), &wanted));
    assert_eq!(
        edit(&overlay, edited, &[("a/d", None), ("a/b/x", None)]),
        edit(&overlay, TreeId::empty(), &wanted[2..])
    );
    assert_eq!(edit(&overlay, edited, &[]), edited);
}

#[test]
fn emptied_folders_go_and_the_last_one_leaves_the_empty_tree() {
    let overlay = Overlay::default();
    let base = edit(&overlay, TreeId::empty(), &[("a/b/c", Some("1"))]);
    assert_eq!(edit(&overlay, base, &[("a/b/c", None)]), TreeId::empty());
    assert_eq!(edit(&overlay, TreeId::empty(), &[("x/y", None)]), TreeId::empty());
}

#[test]
fn file_becomes_folder_and_folder_becomes_file() {
    let overlay = Overlay::default();
    let file = edit(&overlay, TreeId::empty(), &[("a", Some("1"))]);
    let folder = edit(&overlay, file, &[("a", None), ("a/b/c", Some("2"))]);
    assert_eq!(list(&overlay, folder), ["a/b/c"]);
    assert_eq!(edit(&overlay, folder, &[("a/b/c", None), ("a", Some("1"))]), file);
    assert_eq!(edit(&overlay, folder, &[("a", None)]), folder, "only files are taken away");
    assert_eq!(edit(&overlay, file, &[("a/b/c", None)]), file);
}

#[test]
fn only_folders_on_the_way_are_read_and_written() {
    let overlay = Overlay::default();
    let base =
        edit(&overlay, TreeId::empty(), &[("a/x", Some("1")), ("b/c/y", Some("2")), ("b/z", Some("3"))]);
    let mut put = Vec::new();
    write_tree(&overlay, base, [change("b/z", Some("4"))], &mut |bytes, old| {
        put.push(old);
        Ok::<_, SourceError>(TreeId::new(overlay.put(Kind::Tree, bytes)))
    })
    .expect("edits");
    let b = overlay.find_tree(base).expect("there").find(b"b").map(|e| TreeId::new(e.id));
    assert_eq!(put, [b, Some(base)]);
}

#[test]
fn deepest_path_needs_no_deep_stack() {
    let overlay = Overlay::default();
    let deep = vec!["d"; 2048].join("/");
    let tree = edit(&overlay, TreeId::empty(), &[(&deep, Some("1"))]);
    assert_eq!(list(&overlay, tree), std::slice::from_ref(&deep));
    assert_eq!(diff_trees(&overlay, TreeId::empty(), tree).expect("diffs").len(), 1);
    let over = Tree::from_entries([TreeEntry { mode: Mode::Tree, name: b"d".to_vec(), id: tree.object() }]);
    let over = overlay.put_tree(&over);
    assert!(list_tree(&overlay, over).any(|file| file.is_err()));
}

#[test]
fn differences_are_files_in_the_order_of_a_walk() {
    let overlay = Overlay::default();
    let old = edit(
        &overlay,
        TreeId::empty(),
        &[("a", Some("1")), ("b/c", Some("2")), ("b-", Some("3")), ("same/x", Some("1"))],
    );
    let new = edit(
        &overlay,
        TreeId::empty(),
        &[("a/x", Some("1")), ("b", Some("2")), ("b-", Some("4")), ("same/x", Some("1"))],
    );
    let diff = diff_trees(&overlay, old, new).expect("diffs");
    let told: Vec<_> = diff.iter().map(|d| (d.path.to_string(), d.old.is_some(), d.new.is_some())).collect();
    let told: Vec<_> = told.iter().map(|(p, o, n)| (p.as_str(), *o, *n)).collect();
    assert_eq!(
        told,
        [
            ("a", true, false),
            ("a/x", false, true),
            ("b", false, true),
            ("b/c", true, false),
            ("b-", true, true)
        ]
    );
}

type Files = BTreeMap<String, String>;

fn files() -> impl Strategy<Value = Files> {
    let names = prop::sample::select(vec!["a", "a-", "a.b", "a0", "b"]);
    let path = prop::collection::vec(names, 1..4);
    let path = path.prop_map(|parts| parts.join("/"));
    prop::collection::btree_map(path, "[xy]", 0..12)
}

proptest! {
    #[test]
    fn differences_are_those_of_the_two_lists(old in files(), new in files()) {
        let overlay = Overlay::default();
        let trees = [&old, &new].map(|files| {
            let changes: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), Some(c.as_str()))).collect();
            edit(&overlay, TreeId::empty(), &changes)
        });
        let mut sides: BTreeMap<Vec<u8>, [Option<FileEntry>; 2]> = BTreeMap::new();
        for (side, tree) in trees.into_iter().enumerate() {
            for file in list_tree(&overlay, tree) {
                let (path, entry) = file.expect("the trees are there");
                sides.entry(path.as_bytes().to_vec()).or_default()[side] = Some(entry);
            }
        }
        let folders = |side: usize| {
            let here = sides.iter().filter(|(_, both)| both[side].is_some());
            let above = here.clone().flat_map(|(path, _)| prefixes(path));
            above.collect::<std::collections::BTreeSet<_>>().len() as i64
        };
        let grown = growth(&overlay, trees[0], trees[1]).expect("is counted");
        prop_assert_eq!(grown, folders(1) - folders(0));
        sides.retain(|_, [old, new]| old != new);
        let told = diff_trees(&overlay, trees[0], trees[1]).expect("diffs");
        let mut told: Vec<_> =
            told.into_iter().map(|diff| (diff.path.as_bytes().to_vec(), [diff.old, diff.new])).collect();
        told.sort();
        prop_assert_eq!(told, sides.into_iter().collect::<Vec<_>>());
    }
}
