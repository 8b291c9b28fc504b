//! What docs/format.md says of packs is what is written.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::{Place, add_blob, pack, problems, read};
use crate::object::{Kind, hash_object};
use crate::store::PackId;
use crate::store::pack::format::Form;
use crate::store::recipe::{Builder, Piece, Recipe};

static FORMAT: LazyLock<String> = LazyLock::new(|| {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format.md");
    std::fs::read_to_string(page).expect("the page is there")
});

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

/// The two versions of a note that the page speaks of.
fn versions() -> [Vec<u8>; 2] {
    let line = |number: u32| hex::encode(Sha256::digest(number.to_string())) + "\n";
    let first: String = (1..=4).map(line).collect();
    [first.clone().into_bytes(), (first + "added later\n").into_bytes()]
}

#[test]
fn the_pack_with_a_delta_on_the_format_page_is_written_and_read() {
    let documented = vector("stored as a delta on the first:");
    let [first, second] = versions();
    let (place, mut ids) = (Place::new(), Vec::new());
    let written = pack(&place.store, |writer| {
        ids.push(writer.add(Kind::Blob, &first, None).expect("added"));
        ids.push(writer.add(Kind::Blob, &second, Some(ids[0])).expect("added"));
    });
    let bytes = std::fs::read(place.pack_path(written)).expect("read");
    assert_eq!(hex::encode(&bytes), hex::encode(&documented));
    assert!(FORMAT.contains(&written.to_string()), "the page has its name: {written}");
    let store = place.reopen();
    let entry = store.locate(&ids[1]).expect("asked").expect("it is there").entry;
    assert_eq!((entry.form, entry.depth), (Form::Delta(ids[0]), 1));
    for (id, content) in ids.iter().zip([first, second]) {
        assert!(FORMAT.contains(&id.to_string()), "the page has the id of its blob: {id}");
        assert_eq!(read(&store, *id), content);
    }
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
