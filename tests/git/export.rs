//! `git export`, judged by git.

use crate::support::history::{elsewhere, open, pull_in};
use crate::support::{Outcome, Place};

/// 40 commits of this device and 12 of another one, reconciled one by one, with a branch and tags.
fn vault_with_merges(place: &Place) {
    place.mvault(["init", "--device", "mac"]).ok();
    for round in 0..40 {
        place.write(format!("notes/day {}.md", round % 7), format!("# Day {round}\n\nZoë was here.\n"));
        place.write("continuity.md", format!("# Continuity\n\nstate {round}\n"));
        place.mvault(["commit", "-m", &format!("day {round}")]).ok();
        if round % 3 == 1 && round < 37 {
            let mut vault = open(&place.work(), round);
            let parent = vault.resolve("@{1}").expect("there is one before");
            let theirs = elsewhere(&vault, parent, &format!("pixel/{round}.md"), "from the phone\n");
            let outcome = pull_in(&mut vault, theirs);
            assert!(outcome.derived.is_some(), "{outcome:?}");
        }
    }
    place.mvault(["branch", "draft/one", "main~1"]).ok();
    place.mvault(["tag", "first", "@{20}"]).ok();
}

fn says(outcome: Outcome, expected: &str) {
    assert!(outcome.stderr().contains(expected), "{}", outcome.describe());
}

#[test]
fn git_finds_no_fault_in_an_exported_history_with_merges() {
    let place = Place::new();
    vault_with_merges(&place);
    let json = place.mvault(["git", "export", "../out.git"]).json();
    let git = |args: &[&str]| place.git(["--git-dir", "../out.git"].iter().chain(args)).ok();

    let commits: u64 = git(&["rev-list", "--all", "--count"]).trim().parse().expect("a number");
    assert!(commits >= 60, "{commits} commits");
    assert_eq!(json["commits"], commits);
    let merges: u64 = git(&["rev-list", "--merges", "--count", "main"]).trim().parse().expect("a number");
    assert_eq!(merges, 12);
    let head = place.mvault(["status"]).json()["head"].clone();
    assert_eq!(json["head"], head);
    assert_eq!(git(&["rev-parse", "HEAD"]).trim(), head);
    assert_eq!(git(&["symbolic-ref", "HEAD"]).trim(), "refs/heads/main");
    let names = git(&["for-each-ref", "--format=%(refname)"]);
    let expected = "refs/heads/draft/one\nrefs/heads/main\nrefs/remotes/pixel/main\nrefs/tags/first\n";
    assert_eq!(names, expected);

    let fsck = place.git(["--git-dir", "../out.git", "fsck", "--strict", "--full"]).code(0);
    assert_eq!((fsck.stdout(), fsck.stderr()), (String::new(), String::new()));
    git(&["verify-pack", &pack_index(&place)]);
    let listed = git(&["rev-list", "--all", "--objects", "--count"]);
    assert_eq!(json["objects"], listed.trim().parse::<u64>().expect("a number"));
    let log = git(&["log", "--graph", "--format=%s", "main"]);
    assert!(log.contains("* day 39\n") && log.contains("Reconcile 2 heads"), "{log}");
    assert!(log.contains("pixel/34.md on the pixel"), "{log}");
}

fn pack_index(place: &Place) -> String {
    let folder = place.root().join("out.git/objects/pack");
    let names = std::fs::read_dir(folder).expect("the folder of packs");
    let paths = names.map(|entry| entry.expect("an entry").path());
    let index = paths.into_iter().find(|path| path.extension().is_some_and(|ext| ext == "idx"));
    index.expect("a pack has an index").to_string_lossy().into_owned()
}

#[test]
fn a_clone_of_the_export_by_git_has_the_files_of_the_vault() {
    let place = Place::new();
    vault_with_merges(&place);
    place.mvault(["git", "export", "../out.git"]).ok();
    place.git(["clone", "-q", "../out.git", "../copy"]).ok();
    let same = place.program("diff", ["-r", "-x", ".git", "-x", ".mvault", ".", "../copy"]).code(0);
    assert_eq!(same.stdout(), "");
}

/// With a conflict pending, the other device's commits were in the vault and in no export, without a word; so were
/// saved states. Whoever left because two devices did not agree lost one of them.
#[test]
fn what_waits_and_what_was_saved_is_in_an_export_and_the_rest_is_counted() {
    let place = Place::new();
    place.mvault(["init", "mac", "--device", "mac"]).ok();
    place.write("mac/a.md", "one\n");
    place.mvault(["commit"]).dir("mac").ok();
    place.mvault(["clone", "mac", "pixel", "--device", "pixel"]).ok();
    for device in ["mac", "pixel"] {
        place.write(format!("{device}/a.md"), format!("from {device}\n"));
        place.mvault(["commit"]).dir(device).ok();
    }
    place.mvault(["pull", "../pixel"]).dir("mac").code(4);
    place.write("mac/a.md", "an edit that no commit has\n");
    place.mvault(["checkout", "main~1"]).dir("mac").ok();
    let json = place.mvault(["git", "export", "../g"]).dir("mac").json();
    let theirs =
        place.mvault(["log", "-n", "1"]).dir("pixel").json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(place.git(["rev-parse", "refs/remotes/pixel/main"]).dir("g").ok().trim(), theirs);
    let saved = place.git(["show", "refs/mvault/saved/1:a.md"]).dir("g").ok();
    assert_eq!(saved, "an edit that no commit has\n");
    assert_eq!(json["left_out"][0]["what"], "operations of the log");
    place.git(["fsck", "--strict"]).dir("g").ok();
}

#[test]
fn a_fresh_vault_exports_its_root_commit() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    let json = place.mvault(["git", "export", "out.git"]).json();
    assert_eq!((json["commits"].as_u64(), json["objects"].as_u64()), (Some(1), Some(2)));
    place.git(["--git-dir", "out.git", "fsck", "--strict"]).ok();
}

#[test]
fn a_large_file_is_exported_in_a_stream_and_checked_by_git() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    let mut state = 7u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(5 << 20)
    .collect();
    place.write("noise.bin", &noise);
    place.write("zeros.bin", vec![0; 3 << 20]);
    place.mvault(["commit"]).ok();
    place.mvault(["git", "export", "../out.git"]).ok();
    place.git(["--git-dir", "../out.git", "fsck", "--strict"]).ok();
    let bytes = place.git(["--git-dir", "../out.git", "cat-file", "blob", "main:noise.bin"]).code(0).stdout;
    assert!(bytes == noise, "git reads other bytes");
}

#[test]
fn a_folder_that_is_in_use_is_left_alone() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("full/file", "mine");
    says(place.mvault(["git", "export", "full"]).code(1), "full is not empty; nothing was written");
    assert_eq!(std::fs::read_dir(place.work().join("full")).expect("lists").count(), 1);
    says(place.mvault(["git", "export", "full/file"]).code(1), "full/file");
    says(place.mvault(["git", "export", ".mvault/tmp"]).code(1), "inside the vault's own folder");
    std::fs::create_dir(place.work().join("empty")).expect("a folder");
    place.mvault(["git", "export", "empty"]).ok();
}
