//! Packs that earlier programs wrote are read for ever.
//!
//! `testdata/packs/<n>/` has packs as the program of a day wrote them, and `records.txt`, a line for each of
//! their records. They are added to and never made anew: [`makes_packs_to_keep`] is how.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::{Place, craft, pack, problems, prose, read, whole};
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::Store;
use crate::store::frame;
use crate::store::pack::format::{Entry, Form};

fn kept() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/packs");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(all)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.sort();
    folders
}

/// Returns a line for each record: id, kind, length, form, what else its entry says, depth, ordinal.
fn records(store: &Store) -> String {
    let mut text = String::new();
    for (id, _) in store.ids().expect("the tables are read") {
        let entry = store.locate(&id).expect("asked").expect("it was listed").entry;
        let form = match entry.form {
            Form::Whole => "whole".to_owned(),
            Form::Delta(base) => format!("delta on {base}"),
            Form::Dictionary(base) => format!("dictionary {base}"),
        };
        let flags = match (entry.is_recipe, entry.is_part) {
            (false, false) => "object",
            (true, false) => "object by recipe",
            (false, true) => "part",
            (true, true) => "part by recipe",
        };
        writeln!(
            text,
            "{id} {} {} {flags}, {form}, depth {}, ordinal {}",
            entry.kind, entry.plain, entry.depth, entry.ordinal
        )
        .expect("memory");
    }
    text
}

#[test]
fn packs_kept_from_earlier_programs_are_read_record_by_record() {
    let folders = kept();
    assert!(!folders.is_empty());
    for folder in folders {
        let place = Place::new();
        let files = std::fs::read_dir(&folder).expect("listed").map(|entry| entry.expect("an entry").path());
        for file in files.filter(|file| file.extension().is_some_and(|ext| ext == "pack")) {
            let name = file.file_name().expect("a file has a name");
            std::fs::copy(&file, place.objects().join(name)).expect("copied");
        }
        let store = place.reopen();
        let expected = std::fs::read_to_string(folder.join("records.txt")).expect("the list is there");
        assert_eq!(records(&store), expected, "{}", folder.display());
        for (id, kind) in store.ids().expect("listed") {
            assert_eq!(hash_object(kind, &read(&store, id)), id, "{}", folder.display());
        }
        assert_eq!(problems(&store), [""; 0], "{}", folder.display());
        let has = |what: &str| assert!(expected.contains(what), "{} has no {what}", folder.display());
        for what in [
            " tree ",
            " commit ",
            " object, whole",
            " object, delta",
            " by recipe, whole",
            " by recipe, delta",
        ] {
            has(what);
        }
        for what in ["part, whole", "part, delta", "object, dictionary", "depth 2", "ordinal 2"] {
            has(what);
        }
    }
}

/// Lines that say much and differ little, so that a large object makes a small pack.
fn lines(count: usize) -> Vec<u8> {
    let text =
        "what is said in each line of this stream, at length, so that few of them are many bytes; ".repeat(8);
    (0..count).flat_map(|number| format!("{number:06} {text}\n").into_bytes()).collect()
}

/// Three versions of a note, of a large stream, of the tree that holds them and of the commit.
fn write_versions(store: &Store) {
    pack(store, |writer| {
        let mut before: [Option<ObjectId>; 4] = [None; 4];
        for version in 1..=3_usize {
            let mut note = prose(5, 400);
            note.extend_from_slice(format!("version {version}\n").repeat(version).as_bytes());
            let note = writer.add(Kind::Blob, &note, before[0]).expect("added");
            let stream = writer.add(Kind::Blob, &lines(799 + version), before[1]).expect("added");
            let mut tree = Vec::new();
            for (name, id) in [("note.md", note), ("stream.jsonl", stream)] {
                tree.extend_from_slice(format!("100644 {name}\0").as_bytes());
                tree.extend_from_slice(id.as_bytes());
            }
            let tree = writer.add(Kind::Tree, &tree, before[2]).expect("added");
            let who = format!("bench <bench@localhost> {} +0000", 1_700_000_000 + version);
            let parent = before[3].map_or(String::new(), |id| format!("parent {id}\n"));
            let commit = format!(
                "tree {tree}\n{parent}author {who}\ncommitter {who}\nlamport {version}\n\nversion {version}\n"
            );
            let commit = writer.add(Kind::Commit, commit.as_bytes(), before[3]).expect("added");
            before = [Some(note), Some(stream), Some(tree), Some(commit)];
        }
    });
}

/// A blob compressed with a dictionary, as readers take it and commits do not write it.
fn write_with_dictionary(place: &Place) {
    let samples: Vec<Vec<u8>> = (0..400).map(|n| prose(n, 600)).collect();
    let dictionary = zstd::dict::from_samples(&samples, 4 << 10).expect("trained");
    let body = prose(1000, 600);
    let mut encoder = zstd::bulk::Compressor::with_dictionary(3, &dictionary).expect("an encoder");
    let frame = encoder.compress(&body).expect("compressed");
    let id = |bytes: &[u8]| hash_object(Kind::Blob, bytes);
    let entry = Entry { form: Form::Dictionary(id(&dictionary)), ..whole(id(&body), body.len()) };
    craft(
        place,
        &[(whole(id(&dictionary), dictionary.len()), frame::encode_whole(&dictionary)), (entry, frame)],
    );
}

/// Writes packs of today's program to the folder `MVAULT_KEEP_PACKS`, which must not exist: for when the format
/// got something new, as the next number below `testdata/packs`.
#[test]
#[ignore = "adds to testdata; wants MVAULT_KEEP_PACKS"]
fn makes_packs_to_keep() {
    let folder = PathBuf::from(std::env::var_os("MVAULT_KEEP_PACKS").expect("MVAULT_KEEP_PACKS is set"));
    std::fs::create_dir(&folder).expect("a new folder");
    let place = Place::new();
    write_versions(&place.store);
    write_with_dictionary(&place);
    for name in place.files_in("objects") {
        std::fs::copy(place.objects().join(&name), folder.join(&name)).expect("copied");
    }
    std::fs::write(folder.join("records.txt"), records(&place.reopen())).expect("written");
}
