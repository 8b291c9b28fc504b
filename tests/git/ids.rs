//! Blob and tree ids are git's, for a tree of a thousand mixed files.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::support::Place;

const FOLDERS: [&str; 9] = [
    "",
    "notes",
    "notes/täglich",
    "notes/tägl",
    "notes.d",
    "a b/c'd",
    "日本語/メモ",
    "deep/er/and/deep/er/still",
    "emoji 🪴",
];
const NAMES: [&str; 12] = [
    "plain.md",
    "Zoë.md",
    "Zoe\u{308}.md",
    "with space.txt",
    "-dash",
    "quote\"d",
    "back\\slash",
    "новости.txt",
    "a",
    "a.b",
    "a-b",
    "ends.",
];

/// Makes 1,000 files: every name in every folder with a number, so that sorting has its corner cases.
fn thousand_files(place: &Place) {
    for number in 0..994usize {
        let folder = FOLDERS[number % FOLDERS.len()];
        let name = NAMES[number / FOLDERS.len() % NAMES.len()];
        let path = Path::new(folder).join(format!("{}{name}", if number < 108 { "" } else { "x" }));
        let path = if number < 108 { path } else { path.with_extension(number.to_string()) };
        let full = place.work().join(&path);
        match number % 11 {
            3 => {
                std::fs::create_dir_all(full.parent().expect("has one")).expect("folders");
                symlink(format!("../{number}/missing ü"), &full).expect("a link");
            }
            4 => place.write(&path, ""),
            5 => {
                place.write(&path, format!("#!/bin/sh\necho {number}\n"));
                std::fs::set_permissions(&full, PermissionsExt::from_mode(0o755)).expect("a mode");
            }
            6 => place.write(&path, [0, 255, 10, 13, (number % 256) as u8]),
            7 => place.write(&path, format!("line {number}\r\n").repeat(number)),
            _ => place.write(&path, format!("content of {number}\n")),
        }
    }
    place.write("large/just-below.bin", vec![7; (512 << 10) - 1]);
    place.write("large/at.bin", vec![8; 512 << 10]);
    place.write("large/above.bin", vec![9; (512 << 10) + 1]);
    place.write("large/some.log", "a line of a log that only grows\n".repeat(200_000));
    place.write(std::ffi::OsStr::from_bytes(b"not utf-8 \xff\xfe"), "bytes");
    place.write("name of 255 bytes/".to_owned() + &"n".repeat(255), "long");
}

#[test]
fn every_blob_and_tree_of_a_thousand_mixed_files_has_the_id_git_gives() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    thousand_files(&place);
    // Odd names and links are what this is about.
    let allow = ["name-not-portable", "name-collides", "link-outside"].map(|code| format!("--allow={code}"));
    let commit =
        place.mvault(["commit", "-m", "all"].iter().copied().chain(allow.iter().map(String::as_str))).json();

    let git = |args: &[&str]| {
        place.git(["--git-dir", "../judge.git", "--work-tree", "."].iter().chain(args)).code(0).stdout()
    };
    place.git(["init", "-q", "--object-format=sha256", "--bare", "../judge.git"]).ok();
    std::fs::write(place.root().join("judge.git/info/exclude"), ".mvault\n").expect("a file");
    git(&["-c", "core.autocrlf=false", "add", "-A"]);
    let theirs = git(&["write-tree"]);
    assert_eq!(commit["tree"], theirs.trim());

    // A root with the same id could only hide a difference by a collision; the list shows which.
    place.mvault(["git", "export", "../ours.git"]).ok();
    let ours = place.git(["--git-dir", "../ours.git", "ls-tree", "-r", "-t", "-z", "main"]).ok();
    let listed = git(&["ls-tree", "-r", "-t", "-z", theirs.trim()]);
    let files = listed.split('\0').filter(|line| line.contains(" blob ")).count();
    assert_eq!(files, 1000);
    for kind in ["100644", "100755", "120000", "040000"] {
        assert!(listed.contains(kind), "no {kind} in the tree");
    }
    assert_eq!(ours, listed);
    place.git(["--git-dir", "../ours.git", "fsck", "--strict"]).ok();
}
