//! What docs/format.md says of packs is what is written.

use super::{Place, add_blob, problems, read};
use crate::object::{Kind, hash_object};
use crate::store::PackId;
use crate::store::recipe::{Builder, Piece, Recipe};

const FORMAT: &str = include_str!("../../../docs/format.md");

/// Returns the bytes of the indented lines of hexadecimal digits after `before`.
fn vector(before: &str) -> Vec<u8> {
    let (_, after) = FORMAT.split_once(before).expect("the page has the text before the vector");
    let lines = after.lines().skip_while(|line| !line.starts_with("    "));
    let digits: String =
        lines.take_while(|line| line.starts_with("    ")).flat_map(|line| line.split_whitespace()).collect();
    hex::decode(digits).expect("hexadecimal digits")
}

#[test]
fn the_pack_on_the_format_page_is_the_pack_that_is_written() {
    let documented = vector("The pack with the one blob `hello\\n`:");
    let place = Place::new();
    let id = add_blob(&place.store, b"hello\n", None);
    let pack = place.store.packs().expect("packs")[0];
    let written = std::fs::read(place.pack_path(pack.id)).expect("read");
    assert_eq!(hex::encode(&written), hex::encode(&documented));
    assert!(FORMAT.contains(&pack.id.to_string()), "the page has its name: {}", pack.id);
    assert!(FORMAT.contains(&id.to_string()), "the page has the id of its blob: {id}");
}

#[test]
fn the_pack_on_the_format_page_is_read() {
    let (_, after) = FORMAT.split_once("is named `").expect("the page names it");
    let name = std::ffi::OsString::from(format!("{}.pack", &after[..64]));
    let place = Place::new();
    let path = place.pack_path(PackId::from_file_name(&name).expect("a pack's name"));
    std::fs::write(path, vector("The pack with the one blob `hello\\n`:")).expect("written");
    let store = place.reopen();
    assert_eq!(read(&store, hash_object(Kind::Blob, b"hello\n")), b"hello\n");
    assert_eq!(problems(&store), [""; 0]);
}

#[test]
fn the_recipe_on_the_format_page_is_the_recipe_that_is_written() {
    let id = hash_object(Kind::Blob, b"hello\n");
    let recipe = Recipe { level: 0, pieces: vec![Piece { id, length: 6 }; 2] };
    let documented = vector("lists it twice:");
    assert_eq!(hex::encode(recipe.encode()), hex::encode(&documented));
    assert_eq!(Recipe::decode(&documented, 12).expect("sound"), recipe);
    assert!(Recipe::decode(&documented, 13).is_err());
}

/// Builds the recipe of `count` made-up chunks and returns its pieces, level by level from the top.
fn build(count: u64, changed: Option<u64>) -> (Recipe, Vec<Vec<u8>>) {
    let mut builder = Builder::default();
    let mut nodes = Vec::new();
    for n in 0..count {
        let id = hash_object(Kind::Blob, format!("{n}{:?}", changed.filter(|c| *c == n)).as_bytes());
        nodes.extend(builder.push(Piece { id, length: 65_536 }));
    }
    let (last, top) = builder.finish().expect("few enough");
    nodes.extend(last);
    (top, nodes.into_iter().map(|node| node.bytes).collect())
}

#[test]
fn long_lists_are_cut_into_groups_and_an_edit_changes_one() {
    assert_eq!(build(8192, None).0.level, 0);
    let (top, nodes) = build(40_000, None);
    assert_eq!((top.level, top.length()), (1, 40_000 * 65_536));
    assert_eq!(top.pieces.len(), nodes.len());
    assert!((20..100).contains(&nodes.len()), "{} groups", nodes.len());
    let mut left = nodes.iter().zip(&top.pieces);
    assert!(left.all(|(node, piece)| hash_object(Kind::Blob, node) == piece.id
        && Recipe::decode(node, piece.length).is_ok_and(|recipe| recipe.level == 0)));
    let (_, after) = build(40_000, Some(20_000));
    let changed = after.iter().filter(|node| !nodes.contains(node)).count();
    assert!((1..=2).contains(&changed), "{changed} groups changed");
}
