//! The stat cache by itself.

use super::*;
use crate::fs::{Disk, RealDisk};
use crate::object::{Kind, hash_object};

fn entry(n: u64) -> IndexEntry {
    let stamp = StatStamp { size: n, mtime_ns: -5, ctime_ns: 7, inode: 9 };
    let id = BlobId::new(hash_object(Kind::Blob, &n.to_le_bytes()));
    IndexEntry { mode: Mode::File, id, stamp: Some(stamp), absent_here: n % 2 == 1 }
}

fn path(text: &str) -> VaultPath {
    VaultPath::parse(text).expect("valid")
}

fn example() -> Index {
    let names = ["a", "a/b", "a.b", "a/c/d", "z", "a-"];
    let changes = names.iter().enumerate().map(|(n, p)| (path(p), Some(entry(n as u64)))).collect();
    Index::empty().updated(TreeId::empty(), LogMark { seq: 3, hash: [7; 32] }, changes)
}

#[test]
fn entries_are_sorted_part_by_part_and_found() {
    let index = example();
    let paths: Vec<_> = index.iter().map(|(p, _)| String::from_utf8_lossy(p).into_owned()).collect();
    assert_eq!(paths, ["a", "a/b", "a/c/d", "a-", "a.b", "z"]);
    assert_eq!(index.find(b"a/c/d"), Some(entry(3)));
    assert_eq!(index.find(b"a/c"), None);
    assert_eq!(index.log_mark().seq, 3);
}

#[test]
fn folders_count_once_however_many_files_are_in_them() {
    // Files: 6. Folders: a (beside the file of that name, which no tree has), a/c.
    assert_eq!(example().entries(), 8);
    let names = ["a/b/c", "a/b/d", "a/bb/c", "a/bb-", "ab/c", "x"];
    let changes = names.iter().map(|p| (path(p), Some(entry(1)))).collect();
    let index = Index::empty().updated(TreeId::empty(), LogMark::default(), changes);
    assert_eq!(index.entries(), 6 + 4);
    assert_eq!(Index::empty().entries(), 0);
    for index in [index, example(), Index::empty()] {
        assert!(index.entries_at_most() >= index.entries(), "{index:?}");
    }
}

#[test]
fn updates_replace_remove_and_keep_the_rest() {
    let changes = vec![
        (path("a/b"), None),
        (path("b"), Some(entry(40))),
        (path("z"), Some(entry(50))),
        (path("z"), Some(entry(60))),
        (path("nothing"), None),
    ];
    let index = example().updated(TreeId::empty(), LogMark::default(), changes);
    let paths: Vec<_> = index.iter().map(|(p, _)| String::from_utf8_lossy(p).into_owned()).collect();
    assert_eq!(paths, ["a", "a/c/d", "a-", "a.b", "b", "z"]);
    assert_eq!(index.find(b"z"), Some(entry(60)));
    assert_eq!(index.find(b"a.b"), Some(entry(2)));
}

#[test]
fn folder_that_lost_an_entry_is_not_known_any_more() {
    let stamp = entry(0).stamp.expect("has");
    let folder = |base: &str, names| SeenFolder { base: base.into(), stamp, names };
    let seen = [folder("", 4), folder("a/", 2), folder("a/c/", 1)];
    let index = example().with_folders(&seen, 8);
    assert_eq!(index.folders.len(), 3);
    assert_eq!(example().with_folders(&seen, 7).folders.len(), 0, "it is as young as the walk");
    let change = |name| vec![(path(name), None)];
    let left = index.updated(TreeId::empty(), LogMark::default(), change("a/b")).folders;
    assert_eq!(left.keys().map(Vec::as_slice).collect::<Vec<_>>(), [b"a/c/"]);
    let left = index.updated(TreeId::empty(), LogMark::default(), change("a/c/d")).folders;
    assert!(left.is_empty(), "the folder itself is no name of the tree any more");
}

#[test]
fn saved_index_comes_back_and_any_damage_makes_it_none() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let dot = RealDisk.open_dir(temp.path()).expect("opens");
    assert!(Index::load(&dot).expect("readable").is_none());
    let folder =
        |base: &str, names| SeenFolder { base: base.into(), stamp: entry(0).stamp.expect("has"), names };
    let index = example().with_folders(&[folder("", 4), folder("a/", 2), folder("a/c/", 2)], 8);
    assert_eq!(index.folders.len(), 2, "one has other names than the tree");
    index.save(&dot).expect("saved");
    index.save(&dot).expect("saved again");
    let loaded = Index::load(&dot).expect("readable").expect("whole");
    assert!(loaded.iter().eq(index.iter()));
    assert_eq!(loaded.folders, index.folders);
    assert_eq!((loaded.tree(), loaded.log_mark()), (index.tree(), index.log_mark()));
    let bytes = dot.read(INDEX_FILE, 1 << 20).expect("readable");
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert!(Index::parse(bad).is_none(), "flip at {at}");
        assert!(Index::parse(bytes[..at].to_vec()).is_none(), "cut at {at}");
    }
}

#[test]
fn lying_index_with_a_right_hash_is_none() {
    let index = example();
    let record = |at: usize| HEADER_BYTES + at * RECORD_BYTES;
    let lies: [(usize, Vec<u8>); 8] = [
        (88, 1u64.to_le_bytes().to_vec()),
        (88, u64::MAX.to_le_bytes().to_vec()),
        (96, u64::MAX.to_le_bytes().to_vec()),
        (8, u64::MAX.to_le_bytes().to_vec()),
        (8, 5u64.to_le_bytes().to_vec()),
        (record(0) + 64, u32::MAX.to_le_bytes().to_vec()),
        (record(5) + 64, 1u32.to_le_bytes().to_vec()),
        (record(2) + 68, vec![9]),
    ];
    for (at, lie) in lies {
        let mut bytes = index.encode();
        bytes.truncate(bytes.len() - HASH_BYTES);
        bytes[at..at + lie.len()].copy_from_slice(&lie);
        let hash = Sha256::digest(&bytes);
        bytes.extend_from_slice(&hash);
        assert!(Index::parse(bytes).is_none(), "{lie:?} at {at}");
    }
}

#[test]
fn stamp_of_the_moment_of_reading_is_not_kept() {
    let stat = Stat {
        kind: crate::fs::FileKind::File,
        size: 1,
        mode: 0o644,
        owner: 0,
        group: 0,
        mtime_ns: 100,
        ctime_ns: 200,
        inode: 1,
        device: 1,
        blocks: 1,
    };
    assert!(StatStamp::of(&stat, 201).is_some());
    assert!(StatStamp::of(&stat, 200).is_none());
    assert!(StatStamp::of(&Stat { mtime_ns: 300, ..stat }, 201).is_none());
}
