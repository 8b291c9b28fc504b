//! The test vector of docs/format.md: a derived commit byte for byte.

use super::{TestBook, World};
use crate::merge::derive;
use crate::object::{CommitId, Source, TreeId};

const FORMAT: &str = include_str!("../../../docs/format.md");

const BASE: &str = "one\ntwo\nthree\nfour\nfive\n";
const MAC: &str = "ONE\ntwo\nthree\nfour\nfive\n";
const PIXEL: &str = "one\ntwo\nthree\nfour\nFIVE\n";
const BOTH: &str = "ONE\ntwo\nthree\nfour\nFIVE\n";

struct Example {
    world: World,
    commits: Vec<(&'static str, CommitId)>,
    tree: TreeId,
}

fn example() -> Example {
    let world = World::default();
    let root = world.root();
    let base = world.files("mac", &[root], &[("a.md", BASE)]);
    let mac = world.files("mac", &[base], &[("a.md", MAC)]);
    let pixel = world.commit_at("pixel", &[base], world.tree(&[("a.md", PIXEL)]), Some(1_000_000_500));
    let derived = derive(&world.objects, &TestBook, &[mac, pixel]).expect("works");
    world.keep(&derived.objects);
    let head = derived.head.expect("clean");
    let commits = vec![("root", root), ("base", base), ("mac", mac), ("pixel", pixel), ("derived", head)];
    Example { world, commits, tree: derived.tree.expect("clean") }
}

#[test]
fn the_derived_commit_of_the_format_page_is_what_comes_out() {
    let Example { world, commits, tree } = example();
    assert_eq!(world.list(tree), [("a.md".to_owned(), BOTH.to_owned())]);
    for (name, id) in commits {
        let commit = world.objects.find(id.object(), crate::object::Kind::Commit).expect("kept");
        let text = String::from_utf8(commit.data.to_vec()).expect("text");
        let text: String =
            text.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect();
        let block = format!("`{name}`, {} bytes, id `{id}`:\n\n{text}", commit.data.len());
        assert!(FORMAT.contains(&block), "docs/format.md lacks this:\n{block}");
    }
}
