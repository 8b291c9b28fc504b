//! `purge`: what was asked to go is gone, everywhere it was asked for, and nothing else is.

use std::path::Path;

use crate::support::{Place, Run};

/// Bytes that no compression makes shorter, so that they can be looked for in packs: letters of a small
/// random generator.
fn secret(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The upper bits: the lower ones of a xorshift are weak.
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 58) as usize
    };
    (0..96).map(|_| char::from(letters[next()])).collect()
}

fn on(place: &Place, device: &str, args: &[&str]) -> Run {
    place.mvault(args).dir(device)
}

fn vault(place: &Place) {
    place.write("mac/continuity.md", "one\ntwo\nthree\n");
    on(place, "mac", &["init", "--device", "mac"]).ok();
    on(place, "mac", &["commit", "-m", "first"]).ok();
}

fn commit(place: &Place, device: &str, path: &str, content: &str) -> String {
    place.write(format!("{device}/{path}"), content);
    on(place, device, &["commit", "-m", "a change"]).json()["id"].as_str().expect("an id").to_owned()
}

/// Tells whether the blob of these bytes can be found in the vault.
fn has(place: &Place, device: &str, bytes: &str) -> bool {
    place.write("probe", bytes);
    let id = place.mvault(["hash", "probe"]).ok();
    let id = id.split_whitespace().next().expect("an id").to_owned();
    let outcome = on(place, device, &["cat", &id]).run();
    assert_eq!(outcome.stdout == bytes.as_bytes(), outcome.code == Some(0), "{}", outcome.describe());
    outcome.code == Some(0)
}

/// Returns the files below `.mvault` that hold a row of these bytes; zstd keeps them as they are where
/// they cannot be made shorter.
fn files_with(place: &Place, device: &str, secret: &str) -> Vec<String> {
    let needle = &secret.as_bytes()[16..32];
    let dot = place.work().join(device).join(".mvault");
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(&dot) {
        let entry = entry.expect("can be walked");
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).expect("a file");
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(entry.path().strip_prefix(&dot).expect("below").display().to_string());
            }
        }
    }
    found
}

fn purge(place: &Place, device: &str, what: &str, confirm: &str) -> serde_json::Value {
    on(place, device, &["purge", what, "--confirm", confirm, "-m", "a token got in"]).json()
}

#[test]
fn every_version_of_a_path_goes_and_all_ids_stay() {
    let place = Place::new();
    vault(&place);
    let (one, two) = (secret(1), secret(2));
    let versions =
        [format!("{one}\n"), format!("{one}\n{two}\n"), format!("{one}\n{two}\nwith a line more\n")];
    let old: Vec<String> = versions.iter().map(|v| commit(&place, "mac", "notes/keys.txt", v)).collect();
    place.write("mac/backup/keys.txt", &versions[0]);
    let newest = commit(&place, "mac", "other.md", "not secret\n");
    assert!(!files_with(&place, "mac", &one).is_empty(), "the bytes can be looked for");

    let seen = on(&place, "mac", &["purge", "notes/keys.txt", "--dry-run"]).ok();
    assert!(seen.contains("backup/keys.txt") && seen.contains("notes/keys.txt"), "{seen}");
    assert!(!seen.contains(&one[..20]), "content is never shown");
    assert!(has(&place, "mac", &versions[0]), "a dry run changes nothing");

    let told = purge(&place, "mac", "notes/keys.txt", "notes/keys.txt");
    assert!(told["id"].is_string(), "{told}");
    assert_eq!(told["purged"].as_array().map(Vec::len), Some(3), "{told}");
    for (version, secret) in versions.iter().zip([&one, &two, &two]) {
        assert!(!has(&place, "mac", version));
        assert_eq!(files_with(&place, "mac", secret), [""; 0]);
    }
    assert!(!place.work().join("mac/notes/keys.txt").exists());
    assert!(!place.work().join("mac/backup/keys.txt").exists());
    assert_eq!(place.read("mac/other.md"), b"not secret\n");

    let verified = on(&place, "mac", &["verify"]).json();
    assert_eq!(verified["purged"], 3, "{verified}");
    assert_eq!(on(&place, "mac", &["status"]).json()["changes"].as_array().map(Vec::len), Some(0));
    let ids: Vec<String> = on(&place, "mac", &["log"])
        .json_lines()
        .iter()
        .map(|commit| commit["id"].as_str().expect("an id").to_owned())
        .collect();
    assert!(old.iter().chain([&newest]).all(|id| ids.contains(id)), "all ids stay");
    let log = on(&place, "mac", &["log", "-p"]).ok();
    assert!(log.contains("(purged)") && log.contains("a token got in"), "{log}");
}

#[test]
fn what_is_purged_is_told_as_that_and_never_in_the_way() {
    let place = Place::new();
    vault(&place);
    let old = commit(&place, "mac", "keys.txt", &secret(3));
    commit(&place, "mac", "other.md", "later\n");
    purge(&place, "mac", "keys.txt", "keys.txt");
    let outcome = on(&place, "mac", &["show", &format!("{old}:keys.txt")]).code(1);
    let text = outcome.stderr();
    assert!(text.contains("was purged on 2026-11-22 by mac: a token got in"), "{text}");
    on(&place, "mac", &["show", &old]).ok();
    let parked = on(&place, "mac", &["checkout", &old]).json();
    assert_eq!(parked["unwritable"][0], "keys.txt", "{parked}");
    assert!(!place.work().join("mac/other.md").exists());
    let changes = on(&place, "mac", &["status"]).json()["changes"].clone();
    assert_eq!(changes.as_array().map(Vec::len), Some(0), "{changes}");
    std::fs::remove_file(place.work().join("mac/.mvault/index")).expect("a cache");
    let changes = on(&place, "mac", &["status"]).json()["changes"].clone();
    assert_eq!(changes.as_array().map(Vec::len), Some(0), "{changes}");
    on(&place, "mac", &["checkout", "main"]).ok();
    assert_eq!(place.read("mac/other.md"), b"later\n");
    let back = on(&place, "mac", &["rollback", &old]).json();
    on(&place, "mac", &["verify"]).ok();
    let tree = on(&place, "mac", &["show", &format!("{}:", back["id"].as_str().expect("an id"))]).ok();
    assert_eq!(tree, "continuity.md\n", "a rollback does not name it again");
}

#[test]
fn a_purge_is_confirmed_by_typing_and_never_in_a_hook() {
    let place = Place::new();
    vault(&place);
    commit(&place, "mac", "keys.txt", &secret(4));
    for args in [&["purge", "keys.txt"][..], &["purge", "keys.txt", "--confirm", "yes"]] {
        let outcome = on(&place, "mac", &[args, &["--json"]].concat()).code(2);
        assert_eq!(outcome.error()["kind"], "usage");
    }
    on(&place, "mac", &["purge", "keys.txt", "--confirm", "keys.txt"]).env("MVAULT_HOOK", "stop").code(2);
    assert!(has(&place, "mac", &secret(4)));
    assert_eq!(place.read("mac/keys.txt"), secret(4).as_bytes());
    on(&place, "mac", &["purge", "nothing.txt", "--confirm", "nothing.txt"]).code(1);
    place.write("mac/folder/a.md", "a\n");
    on(&place, "mac", &["commit"]).ok();
    on(&place, "mac", &["purge", "folder", "--confirm", "folder"]).code(1);
}

#[test]
fn edits_and_files_in_no_commit_are_left_alone() {
    let place = Place::new();
    vault(&place);
    commit(&place, "mac", "keys.txt", &secret(5));
    place.write("mac/keys.txt", "an edit\n");
    place.write("mac/.mvaultignore", "private/\n");
    on(&place, "mac", &["commit", ".mvaultignore"]).ok();
    place.write("mac/private/keys.txt", secret(5));
    place.write("mac/new.txt", secret(5));
    let told = purge(&place, "mac", "keys.txt", "keys.txt");
    assert_eq!(told["stays"][0], "keys.txt", "{told}");
    assert_eq!(place.read("mac/keys.txt"), b"an edit\n");
    assert_eq!(place.read("mac/private/keys.txt"), secret(5).as_bytes());
    assert_eq!(place.read("mac/new.txt"), secret(5).as_bytes());
    assert!(!has(&place, "mac", &secret(5)));
}

#[test]
fn a_version_and_a_blob_can_be_purged_alone() {
    let place = Place::new();
    vault(&place);
    let first = commit(&place, "mac", "keys.txt", &secret(6));
    commit(&place, "mac", "keys.txt", &format!("{}\n{}", secret(6), secret(7)));
    commit(&place, "mac", "keys.txt", "nothing secret any more\n");
    let told = purge(&place, "mac", &format!("{first}:keys.txt"), "keys.txt");
    assert_eq!(told["purged"].as_array().map(Vec::len), Some(1));
    assert!(!has(&place, "mac", &secret(6)), "the version before is gone");
    assert!(has(&place, "mac", &format!("{}\n{}", secret(6), secret(7))), "the next one is whole");
    assert_eq!(place.read("mac/keys.txt"), b"nothing secret any more\n");
    let at = on(&place, "mac", &["show", "main~2:keys.txt"]).json();
    let id = at["id"].as_str().expect("an id").to_owned();
    purge(&place, "mac", &id[..12], &id[..10]);
    assert!(!has(&place, "mac", &format!("{}\n{}", secret(6), secret(7))));
    assert_eq!(files_with(&place, "mac", &secret(7)), [""; 0]);
    on(&place, "mac", &["verify"]).ok();
    on(&place, "mac", &["undo"]).code(1);
}

#[test]
fn a_large_file_goes_with_all_its_pieces() {
    let place = Place::new();
    vault(&place);
    let line = |n: usize| format!("{n} {}\n", secret(1000 + n as u64));
    let big: String = (0..12_000).map(line).collect();
    commit(&place, "mac", "big.txt", &big);
    commit(&place, "mac", "big.txt", &format!("{big}one line more\n"));
    let other: String = (0..12_000).rev().map(line).collect();
    commit(&place, "mac", "kept.txt", &other);
    purge(&place, "mac", "big.txt", "big.txt");
    assert!(!has(&place, "mac", &big));
    on(&place, "mac", &["verify"]).ok();
    assert_eq!(on(&place, "mac", &["show", "main:kept.txt"]).code(0).stdout, other.as_bytes());
    let size = |name: &str| -> u64 {
        let files = walkdir::WalkDir::new(place.work().join(name)).into_iter();
        files.map(|entry| entry.expect("walked").metadata().expect("metadata").len()).sum()
    };
    assert!(size("mac/.mvault/objects") < 12_000 * 100, "the pieces are gone as well");
}

#[test]
fn a_list_that_was_deleted_is_made_again_from_the_history() {
    let place = Place::new();
    vault(&place);
    let old = commit(&place, "mac", "keys.txt", &secret(8));
    purge(&place, "mac", "keys.txt", "keys.txt");
    let list = place.work().join("mac/.mvault/purged");
    let before = std::fs::read(&list).expect("a list");
    std::fs::remove_file(&list).expect("removed");
    let text = on(&place, "mac", &["show", &format!("{old}:keys.txt")]).code(1).stderr();
    assert!(text.contains("a token got in"), "{text}");
    commit(&place, "mac", "other.md", "who takes the lock writes it\n");
    assert_eq!(std::fs::read(&list).expect("a list"), before);
    assert!(!Path::new(&list).with_extension("tmp").exists());
}

/// A vault on `mac` with a secret in two versions, and a clone of it on `pixel`.
fn pair() -> Place {
    let place = Place::new();
    vault(&place);
    commit(&place, "mac", "keys.txt", &secret(9));
    commit(&place, "mac", "keys.txt", &format!("{}\n{}", secret(9), secret(10)));
    place.mvault(["clone", "mac", "pixel", "--device", "pixel"]).ok();
    on(&place, "mac", &["remote", "add", "pixel", "../pixel"]).ok();
    on(&place, "pixel", &["remote", "add", "mac", "../mac"]).ok();
    place
}

fn head(place: &Place, device: &str) -> String {
    let status = on(place, device, &["status"]).json();
    status["head"].as_str().expect("a head").to_owned()
}

#[test]
fn sync_passes_a_purge_on_and_the_bytes_go_only_where_somebody_agrees() {
    let place = pair();
    purge(&place, "mac", "keys.txt", "keys.txt");
    place.write("pixel/b.md", "work of the phone\n");
    on(&place, "pixel", &["commit"]).ok();
    let outcome = on(&place, "pixel", &["sync", "mac"]).code(0);
    let text = outcome.stderr();
    assert!(text.contains("mac purged 2 versions of keys.txt: `mvault purge --accept`"), "{text}");
    assert_eq!(head(&place, "mac"), head(&place, "pixel"));
    assert!(!place.work().join("pixel/keys.txt").exists(), "the path goes as by any commit");
    assert!(has(&place, "pixel", &secret(9)), "the bytes stay until somebody agrees");
    assert!(!has(&place, "mac", &secret(9)), "and do not come back");
    for device in ["mac", "pixel"] {
        on(&place, device, &["verify"]).ok();
    }
    let text = on(&place, "pixel", &["sync", "mac"]).code(0).stderr();
    assert!(!text.contains("purge"), "told once: {text}");

    // A third device gets the history from one that still has the bytes, and not the bytes.
    place.mvault(["clone", "pixel", "tablet", "--device", "tablet"]).ok();
    assert!(!has(&place, "tablet", &secret(9)));
    assert_eq!(files_with(&place, "tablet", &secret(9)), [""; 0]);
    on(&place, "tablet", &["verify"]).ok();
    assert_eq!(head(&place, "tablet"), head(&place, "pixel"));

    on(&place, "pixel", &["purge", "--accept"]).code(2);
    let waiting = on(&place, "pixel", &["purge", "--accept", "--dry-run"]).ok();
    let short = waiting.split_whitespace().next().expect("an id").to_owned();
    on(&place, "pixel", &["purge", "--accept", "--confirm", &short]).ok();
    assert!(!has(&place, "pixel", &secret(9)));
    assert_eq!(files_with(&place, "pixel", &secret(10)), [""; 0]);
    on(&place, "pixel", &["verify"]).ok();
    assert_eq!(head(&place, "mac"), head(&place, "pixel"));
}

#[test]
fn an_edit_of_the_secret_made_meanwhile_comes_without_its_base() {
    let place = pair();
    purge(&place, "mac", "keys.txt", "keys.txt");
    let edited = format!("{}\n{}\nwith a line of the phone\n", secret(9), secret(10));
    place.write("pixel/keys.txt", &edited);
    on(&place, "pixel", &["commit"]).ok();
    // One deleted what the other edited: a conflict, as ever, and the same on both.
    on(&place, "mac", &["pull", "pixel"]).code(4);
    on(&place, "pixel", &["pull", "mac"]).code(4);
    let conflict = |device: &str| on(&place, device, &["conflicts"]).json_lines();
    let (mac, pixel) = (conflict("mac"), conflict("pixel"));
    assert_eq!(mac.len(), 1, "{mac:?}");
    assert_eq!(mac[0]["key"], pixel[0]["key"]);
    assert!(!has(&place, "mac", &secret(9)));
    on(&place, "mac", &["resolve", "keys.txt", "--take", "mac"]).ok();
    on(&place, "mac", &["sync", "pixel"]).ok();
    assert_eq!(head(&place, "mac"), head(&place, "pixel"));
    for device in ["mac", "pixel"] {
        assert!(!place.work().join(device).join("keys.txt").exists());
        on(&place, device, &["verify"]).ok();
    }
}

/// After one purge an export could not be cloned, pushed, collected or read with `log -p`: git does not work on a
/// history that lacks a blob. Whoever wanted to leave with their history could not.
#[test]
fn git_works_on_an_export_after_a_purge() {
    let place = Place::new();
    vault(&place);
    commit(&place, "mac", "before.txt", "untouched\n");
    let untouched = head(&place, "mac");
    commit(&place, "mac", "deep/er/keys.txt", &secret(11));
    let holder = head(&place, "mac");
    commit(&place, "mac", "after.txt", "later\n");
    purge(&place, "mac", "deep/er/keys.txt", "deep/er/keys.txt");
    let outcome = on(&place, "mac", &["git", "export", "../g"]).code(0);
    assert!(outcome.stderr().contains("1 purged file version replaced"), "{}", outcome.describe());
    let fsck = place.git(["fsck", "--strict"]).dir("g").code(0);
    assert_eq!((fsck.stdout(), fsck.stderr()), (String::new(), String::new()));
    place.git(["clone", "-q", "--no-local", "g", "copy"]).ok();
    place.git(["init", "-q", "--bare", "--object-format=sha256", "empty"]).ok();
    place.git(["push", "-q", "../empty", "main"]).dir("g").ok();
    for words in [&["gc", "-q", "--prune=now"][..], &["log", "-p", "--all"], &["fast-export", "--all"]] {
        place.git(words).dir("g").ok();
    }
    // What has nothing to do with the purge keeps its id; what had the file names its old one.
    let ids = place.git(["log", "--format=%H"]).dir("g").ok();
    assert!(ids.contains(&untouched), "{ids}");
    assert!(!ids.contains(&holder), "{ids}");
    let named = place.git(["log", "--format=%(trailers:key=Original-commit,valueonly)"]).dir("g").ok();
    assert!(named.contains(&holder), "{named}");
    let was = place.git(["show", "main~2:deep/er/keys.txt"]).dir("g").code(0);
    assert!(was.stdout.starts_with(b"\0purged "), "{}", was.describe());
    assert_eq!(place.git(["show", "main:after.txt"]).dir("g").ok(), "later\n");
}

#[test]
fn an_export_that_keeps_ids_passes_fsck_and_says_what_git_cannot_do() {
    let place = Place::new();
    vault(&place);
    commit(&place, "mac", "keys.txt", &secret(11));
    purge(&place, "mac", "keys.txt", "keys.txt");
    let outcome = on(&place, "mac", &["git", "export", "--keep-ids", "../g"]).code(0);
    assert!(outcome.stderr().contains("1 purged file version missing"), "{}", outcome.describe());
    place.git(["fsck", "--strict"]).dir("g").ok();
    place.git(["gc", "-q"]).dir("g").ok();
    assert_eq!(place.git(["rev-parse", "main"]).dir("g").ok().trim(), head(&place, "mac"));
}

#[test]
fn a_large_version_goes_and_its_edit_on_another_device_arrives_whole() {
    let place = Place::new();
    vault(&place);
    let big: String = (0..12_000).map(|n| format!("{n} {}\n", secret(5000 + n))).collect();
    commit(&place, "mac", "big.txt", &big);
    place.mvault(["clone", "mac", "pixel", "--device", "pixel"]).ok();
    purge(&place, "mac", "big.txt", "big.txt");
    let edited = format!("{big}a line of the phone\n");
    place.write("pixel/other.txt", &edited);
    place.write("pixel/big.txt", &edited);
    on(&place, "pixel", &["commit"]).ok();
    on(&place, "mac", &["pull", "../pixel"]).code(4);
    on(&place, "mac", &["verify"]).ok();
    assert!(!has(&place, "mac", &big));
    assert!(has(&place, "mac", &edited), "what the phone made of it is the phone's work");
}

#[test]
fn a_third_device_that_never_heard_of_it_cannot_bring_it_back() {
    let place = pair();
    place.mvault(["clone", "mac", "tablet", "--device", "tablet"]).ok();
    purge(&place, "mac", "keys.txt", "keys.txt");
    place.write("tablet/copy.txt", secret(9));
    on(&place, "tablet", &["commit"]).ok();
    on(&place, "mac", &["pull", "../tablet"]).ok();
    assert!(!has(&place, "mac", &secret(9)));
    assert!(!place.work().join("mac/copy.txt").exists());
    on(&place, "mac", &["verify"]).ok();
    assert_eq!(on(&place, "mac", &["status"]).json()["changes"].as_array().map(Vec::len), Some(0));
    on(&place, "tablet", &["pull", "../mac"]).ok();
    assert_eq!(head(&place, "mac"), head(&place, "tablet"), "with the bytes and without");
    assert_eq!(place.read("tablet/copy.txt"), secret(9).as_bytes());
    on(&place, "tablet", &["verify"]).ok();
}

#[test]
fn a_purge_waits_for_a_session_that_receives() {
    let place = Place::new();
    vault(&place);
    commit(&place, "mac", "keys.txt", &secret(12));
    let gate = place.work().join("mac/.mvault/incoming/.gate");
    std::fs::create_dir_all(&gate).expect("a folder");
    let file = std::fs::File::create(gate.join("lock")).expect("a file");
    file.lock_shared().expect("nobody else");
    let config = place.work().join("mac/.mvault/config.toml");
    let settings = std::fs::read_to_string(&config).expect("settings");
    std::fs::write(&config, settings.clone() + "\n[limits]\nlock-wait-s = 1\n").expect("is written");
    let args = ["purge", "keys.txt", "--confirm", "keys.txt", "--json"];
    let outcome = on(&place, "mac", &args).code(7);
    assert_eq!(outcome.error()["kind"], "locked");
    assert!(has(&place, "mac", &secret(12)), "nothing was changed");
    on(&place, "mac", &["verify"]).ok();
    drop(file);
    on(&place, "mac", &args).ok();
    on(&place, "mac", &["purge", "--resume"]).ok();
    assert!(!has(&place, "mac", &secret(12)));
    on(&place, "mac", &["verify"]).ok();
}

#[test]
fn what_a_peer_began_to_send_and_what_was_refused_goes_as_well() {
    let place = Place::new();
    vault(&place);
    commit(&place, "mac", "keys.txt", &secret(13));
    let dot = place.work().join("mac/.mvault");
    std::fs::create_dir_all(dot.join("incoming/pixel/objects")).expect("folders");
    std::fs::write(dot.join("incoming/pixel/part-x"), secret(13)).expect("a file");
    std::fs::write(dot.join("quarantine/refused"), secret(13)).expect("a file");
    std::fs::write(dot.join("quarantine/other"), "something else").expect("a file");
    purge(&place, "mac", "keys.txt", "keys.txt");
    assert_eq!(files_with(&place, "mac", &secret(13)), [""; 0]);
    assert!(dot.join("quarantine/other").exists());
}

#[test]
fn the_tombstone_of_a_hostile_device_removes_nothing() {
    let place = pair();
    let before = place.read("mac/continuity.md");
    purge(&place, "pixel", "continuity.md", "continuity.md");
    let outcome = on(&place, "mac", &["pull", "pixel"]).code(4);
    assert!(outcome.stderr().contains("pixel purged 1 version of continuity.md"), "{}", outcome.describe());
    assert_eq!(place.read("mac/continuity.md"), before, "a canonical file goes only with a yes");
    on(&place, "mac", &["pull", "pixel", "--allow", "emptied"]).code(0);
    assert!(!place.work().join("mac/continuity.md").exists(), "a deletion, as any device can make one");
    on(&place, "mac", &["verify"]).ok();
    let status = on(&place, "mac", &["status"]).json();
    assert_eq!(status["purges_waiting"], 1);
    assert_eq!(on(&place, "mac", &["show", "main~1:continuity.md"]).code(0).stdout, before);
    on(&place, "mac", &["checkout", "main~1", "--", "continuity.md"]).ok();
    assert_eq!(place.read("mac/continuity.md"), before);
    // What the mac makes of it from here on is another blob, which nobody purged.
    place.write("mac/continuity.md", [&before[..], b"still here\n"].concat());
    on(&place, "mac", &["commit"]).ok();
    on(&place, "mac", &["sync", "pixel"]).ok();
    assert_eq!(head(&place, "mac"), head(&place, "pixel"));
    assert_eq!(place.read("pixel/continuity.md"), [&before[..], b"still here\n"].concat());
}

#[test]
fn files_brought_back_from_a_purged_version_stay_as_they_are() {
    let place = Place::new();
    vault(&place);
    let old = commit(&place, "mac", "keys.txt", &secret(14));
    commit(&place, "mac", "other.md", "before\n");
    let operation = on(&place, "mac", &["audit", "-n", "1"]).json_lines()[0]["seq"].to_string();
    let version = format!("{old}:keys.txt");
    commit(&place, "mac", "keys.txt", "nothing secret\n");
    purge(&place, "mac", &version, "keys.txt");
    let told = on(&place, "mac", &["checkout", &old, "--", "keys.txt"]).json();
    assert_eq!(told["unwritable"][0], "keys.txt", "{told}");
    assert_eq!(place.read("mac/keys.txt"), b"nothing secret\n");
    on(&place, "mac", &["cat", "--json", &told["head"].as_str().expect("a head")[..12]]).ok();
    on(&place, "mac", &["undo"]).code(1);
    on(&place, "mac", &["undo", &operation]).ok();
    assert!(!place.work().join("mac/other.md").exists(), "older operations can be taken back");
    assert_eq!(place.read("mac/keys.txt"), b"nothing secret\n");
    on(&place, "mac", &["verify"]).ok();
}
