//! `verify`, `stats` and `cat`: what is whole is found whole, what is not is named.

use std::path::PathBuf;

use crate::support::history::{elsewhere, open, pull_in};
use crate::support::{Outcome, Place};

/// A small vault with a merge, an edited file, a folder and a large file.
fn vault() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("continuity.md", "# Continuity\n");
    place.write("notes/Zoë.md", "# Zoë\n");
    place.write("large.log", "one line of many\n".repeat(50_000));
    place.mvault(["commit", "-m", "first"]).ok();
    place.write("continuity.md", "# Continuity\n\nmore\n");
    place.mvault(["commit", "-m", "second"]).ok();
    let mut vault = open(&place.work(), 5);
    let parent = vault.resolve("@{1}").expect("there is one before");
    let theirs = elsewhere(&vault, parent, "pixel.md", "from the phone\n");
    pull_in(&mut vault, theirs);
    place
}

fn files(place: &Place, folder: &str) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(place.work().join(".mvault").join(folder)).expect("a folder");
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// The kinds of problem that verify names, which must be some, with exit code 5.
#[track_caller]
fn kinds(place: &Place, args: &[&str]) -> Vec<String> {
    let outcome = place.mvault(["verify", "--json"].iter().chain(args)).code(5);
    let json = outcome.json();
    let problems = json["problems"].as_array().expect("an array");
    assert!(!problems.is_empty(), "{}", outcome.describe());
    for problem in problems {
        for field in ["kind", "what", "where", "hint"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{}", outcome.describe());
        }
    }
    problems.iter().map(|problem| problem["kind"].as_str().expect("text").to_owned()).collect()
}

fn flip(path: &PathBuf, at: usize) {
    use std::os::unix::fs::PermissionsExt;
    let mut bytes = std::fs::read(path).expect("a file");
    bytes[at] ^= 0x40;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).expect("a mode");
    std::fs::write(path, bytes).expect("is written");
}

#[test]
fn a_whole_vault_verifies_and_is_counted() {
    let place = vault();
    let json = place.mvault(["verify"]).json();
    assert_eq!(json["problems"], serde_json::json!([]));
    assert_eq!(json["commits"], 5); // the root, two here, one of the pixel, the derived one
    let stats = place.mvault(["stats"]).json();
    assert_eq!((&json["objects"], &json["bytes"]), (&stats["objects"], &stats["bytes"]));
    let on_disk: u64 = files(&place, "objects").iter().map(|p| p.metadata().expect("a file").len()).sum();
    assert_eq!(stats["bytes"], on_disk);
    assert_eq!(stats["packs"], files(&place, "objects").len());
    assert!(stats["raw_bytes"].as_u64() > Some(850_000), "{stats}");
    assert!(place.mvault(["fsck", "--quick"]).ok().ends_with("all is well\n"));
}

#[test]
fn verify_changes_nothing_and_needs_no_right_to() {
    let place = vault();
    let list = || place.program("find", [".", "-printf", "%p %s %T@ %C@\n"]).ok();
    let before = list();
    place.mvault(["verify"]).ok();
    place.mvault(["verify", "--quick"]).ok();
    assert_eq!(list(), before);
}

#[test]
fn a_flipped_byte_in_any_part_of_any_pack_is_named() {
    let place = vault();
    for pack in files(&place, "objects") {
        let length = std::fs::metadata(&pack).expect("a file").len() as usize;
        for at in (0..length).step_by((length / 12).max(1)).chain([length - 1]) {
            flip(&pack, at);
            kinds(&place, &[]);
            flip(&pack, at);
        }
    }
    place.mvault(["verify"]).ok();
}

#[test]
fn a_missing_pack_leaves_links_that_lead_nowhere() {
    let place = vault();
    for pack in files(&place, "objects") {
        let aside = place.root().join("aside");
        std::fs::rename(&pack, &aside).expect("moves");
        for args in [&[][..], &["--quick"]] {
            let kinds = kinds(&place, args);
            assert!(kinds.iter().any(|kind| kind == "missing" || kind == "unreadable"), "{kinds:?}");
        }
        std::fs::rename(&aside, &pack).expect("moves back");
    }
}

#[test]
fn a_changed_line_of_the_log_is_named_and_the_packs_are_checked_all_the_same() {
    let place = vault();
    let log = files(&place, "oplog").remove(0);
    let text = std::fs::read_to_string(&log).expect("text");
    std::fs::write(&log, text.replacen("\"op\":\"commit\"", "\"op\":\"rollbk\"", 1)).expect("is written");
    flip(&files(&place, "objects")[0], 40);
    let kinds = kinds(&place, &[]);
    assert!(kinds.iter().any(|kind| kind == "log-damaged"), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind == "pack"), "{kinds:?}");
}

#[test]
fn a_log_that_lost_its_last_line_is_reported_by_what_the_cache_remembers() {
    let place = vault();
    place.write("a", "a");
    place.mvault(["commit"]).ok();
    let log = files(&place, "oplog").remove(0);
    let text = std::fs::read_to_string(&log).expect("text");
    let cut = text.trim_end().rfind('\n').expect("several lines") + 1;
    std::fs::write(&log, &text[..cut]).expect("is written");
    assert!(kinds(&place, &["--quick"]).contains(&"log-backwards".to_owned()));
}

#[test]
fn a_commit_that_reconcile_would_not_have_made_is_found_out() {
    let place = vault();
    let vault = open(&place.work(), 9);
    let derived = vault.head().expect("a head");
    let mut commit = mvault::object::Source::find_commit(vault.store(), derived).expect("is there");
    assert!(commit.is_derived());
    commit.tree = vault.tree_of(commit.parents[0]).expect("a tree");
    let mut writer = vault.store().writer().expect("a writer");
    let id = vault.write_commit(&mut writer, &commit).expect("is added");
    writer.publish().expect("is published");
    place.mvault(["tag", "forged", &id.to_string()]).ok();
    place.mvault(["verify", "--quick"]).ok();
    assert_eq!(kinds(&place, &[]), ["derived"]);
}

#[test]
fn cat_prints_the_bytes_of_any_object() {
    let place = vault();
    let id = place.mvault(["hash", "large.log"]).ok();
    let outcome = place.mvault(["cat", id.trim()]).code(0);
    assert!(outcome.stdout == place.read("large.log"), "other bytes came out");
    let id = place.mvault(["hash", "notes/Zoë.md"]).ok();
    assert_eq!(place.mvault(["cat", &id[..12]]).ok(), "# Zoë\n");
    let json = place.mvault(["cat", &id[..12]]).json();
    assert_eq!((json["kind"].as_str(), json["text"].as_str()), (Some("blob"), Some("# Zoë\n")));
    let head = place.mvault(["status"]).json()["head"].as_str().expect("text").to_owned();
    assert!(place.mvault(["cat", &head]).ok().contains("\nreconcile 1\n"));
}

#[test]
fn cat_says_what_it_cannot_find_and_prints_nothing_damaged() {
    let place = vault();
    let kind = |outcome: Outcome| outcome.error()["kind"].as_str().expect("text").to_owned();
    assert_eq!(kind(place.mvault(["cat", "--json", "0000000000"]).code(1)), "not_found");
    assert_eq!(kind(place.mvault(["cat", "--json", "xyz"]).code(2)), "usage");
    let id = place.mvault(["hash", "notes/Zoë.md"]).ok();
    for pack in files(&place, "objects") {
        let length = std::fs::metadata(&pack).expect("a file").len() as usize;
        for at in (16..length * 2 / 3).step_by(5) {
            flip(&pack, at);
        }
    }
    let outcome = place.mvault(["cat", id.trim()]).code(5);
    assert!(outcome.stdout.is_empty(), "{}", outcome.describe());
}

/// A distillate was edited and sealed anew within the same moment as the commit before: its sidecar was read
/// again because it was so young, found unchanged, and that entry won over the rewritten one. The stat cache then
/// named the old sidecar under the new tree, and the next commit told of a change that nobody had made.
#[test]
fn a_seal_made_at_once_leaves_a_true_stat_cache() {
    let place = Place::new();
    place.write("distillates/a.md", "one\n");
    place.mvault(["init", "--device", "mac"]).ok();
    place.mvault(["commit"]).ok();
    place.write("distillates/a.md", "two\n");
    place.mvault(["seal", "distillates/a.md"]).ok();
    place.mvault(["verify"]).ok();
    assert_eq!(place.mvault(["commit"]).json()["id"], serde_json::Value::Null);
}

/// What is wrong, without the words that depend on how it was met.
fn places(outcome: &Outcome) -> std::collections::BTreeSet<String> {
    let problems = outcome.json()["problems"].as_array().expect("an array").clone();
    problems.iter().map(|problem| format!("{} {}", problem["kind"], problem["where"])).collect()
}

#[test]
fn parts_together_find_what_the_full_check_finds_and_quick_no_bytes_of_files() {
    let mut was_quiet = 0;
    for number in [1, 3, 7, 11] {
        let place = vault();
        let pack = files(&place, "objects").into_iter().max_by_key(|p| p.metadata().expect("a file").len());
        let pack = pack.expect("there are packs");
        flip(&pack, 16 + number * 9);
        let full = places(&place.mvault(["verify", "--json"]).code(5));
        let parts: Vec<_> = (1..=7)
            .map(|part| {
                let outcome = place.mvault(["verify", "--json", "--data-subset", &format!("{part}/7")]).run();
                assert_eq!(outcome.code == Some(5), !places(&outcome).is_empty(), "{}", outcome.describe());
                places(&outcome)
            })
            .collect();
        assert_eq!(parts.iter().flatten().cloned().collect::<std::collections::BTreeSet<_>>(), full);
        assert!(parts.iter().any(|part| part.len() < full.len()), "a part is not the whole: {full:?}");
        let hashes =
            |part: &&std::collections::BTreeSet<String>| part.iter().any(|p| p.starts_with("\"pack\""));
        assert_eq!(parts.iter().filter(hashes).count(), 1, "a pack's bytes are hashed in one part");
        was_quiet += usize::from(place.mvault(["verify", "--quick"]).run().code == Some(0));
    }
    assert!(was_quiet > 0, "quick hashes no bytes of files");
}

#[test]
fn structure_is_checked_in_every_part_and_by_quick() {
    let place = vault();
    let pack = files(&place, "objects").remove(0);
    let length = pack.metadata().expect("a file").len() as usize;
    flip(&pack, length - 150); // in its table
    for args in
        [&["--quick"][..], &["--data-subset", "1/3"], &["--data-subset", "2/3"], &["--data-subset", "3/3"]]
    {
        assert!(kinds(&place, args).contains(&"pack".to_owned()), "{args:?}");
    }
}

#[test]
fn a_part_that_is_none_is_a_usage_error() {
    let place = vault();
    for value in ["0/7", "8/7", "1/0", "1", "/7", "1/", "+1/7", "-1/7", "1/7/2", "1/99999999999", "a/b", ""] {
        place.mvault(["verify".to_owned(), format!("--data-subset={value}")]).code(2);
    }
    place.mvault(["verify", "--quick", "--data-subset", "1/7"]).code(2);
    assert!(place.mvault(["fsck", "--data-subset", "1/1"]).ok().ends_with("all is well\n"));
}
