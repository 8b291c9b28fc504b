//! `repair`: whatever was damaged behind mvault's back, what can be whole again is.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::Place;

/// A vault and its clone `far`, with small files, a stream, a sealed distillate and a file of chunks.
pub fn two_devices() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("continuity.md", "# Continuity\n");
    place.write("distillates/one.md", "# One\n");
    place.write("notes/page.md", "a line of a page\n".repeat(50_000));
    place.write("large.log", noise(900_000));
    place.mvault(["note", "hello"]).ok();
    place.mvault(["commit", "-m", "first"]).ok();
    place.write("continuity.md", "# Continuity\n\nmore\n");
    place.mvault(["commit", "-m", "second"]).ok();
    place.mvault(["clone", ".", "../far", "--device", "pixel"]).ok();
    place
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub fn packs(place: &Place) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(place.work().join(".mvault/objects")).expect("a folder");
    let mut packs: Vec<(u64, PathBuf)> = listed
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.metadata().expect("a file").len(), entry.path()))
        .collect();
    packs.sort();
    packs.into_iter().rev().map(|(_, path)| path).collect()
}

/// Replaces a file, whatever its mode.
pub fn overwrite(path: &PathBuf, bytes: &[u8]) {
    std::fs::remove_file(path).expect("is there");
    std::fs::write(path, bytes).expect("is written");
}

fn kinds(told: &Value) -> Vec<&str> {
    let problems = told["problems"].as_array().expect("a list");
    problems.iter().map(|problem| problem["kind"].as_str().expect("a word")).collect()
}

#[test]
fn a_whole_vault_is_left_alone() {
    let place = two_devices();
    let before = place.mvault(["audit"]).ok();
    place.write("continuity.md", "an edit\n");
    let told = place.mvault(["repair"]).json();
    assert_eq!((&told["problems"], &told["done"]), (&json!([]), &json!([])));
    assert_eq!(place.read("continuity.md"), b"an edit\n");
    assert_eq!(place.mvault(["audit"]).ok(), before, "nothing is in the log");
}

#[test]
fn what_is_whole_is_saved_here_and_what_is_lost_comes_by_its_hash_from_another_device() {
    let place = two_devices();
    let pack = packs(&place).remove(0);
    let mut bytes = std::fs::read(&pack).expect("a pack");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    overwrite(&pack, &bytes);
    let before = place.mvault(["audit"]).ok();
    let dry = place.mvault(["repair", "--dry-run", "--json"]).code(5).json();
    assert_eq!(dry["done"][0]["what"], "set-aside", "{dry}");
    assert_eq!(place.mvault(["audit"]).ok(), before, "a dry run changes nothing");
    assert_eq!(std::fs::read(&pack).expect("still there"), bytes);

    let told = place.mvault(["repair", "--json"]).code(5).json();
    assert_eq!(kinds(&told), ["missing"], "{told}");
    assert!(told["problems"][0]["hint"].as_str().expect("a hint").contains("mvault repair --from"), "{told}");
    assert_eq!(told["lost"].as_array().expect("a list").len(), 1);
    let kept = told["done"][0]["kept_as"].as_str().expect("a hash");
    assert_eq!(place.read(format!(".mvault/quarantine/{kept}")), bytes, "the damaged pack is kept");
    place.mvault(["show", "main:continuity.md"]).ok();
    assert_eq!(kinds(&place.mvault(["repair", "--json"]).code(5).json()), ["missing"], "again is the same");

    let told = place.mvault(["repair", "--from", "../far"]).json();
    assert_eq!((&told["fetched"], &told["lost"]), (&1.into(), &json!([])), "{told}");
    place.mvault(["verify"]).ok();
    place.mvault(["audit", "--verify"]).ok();
    let large = place.mvault(["show", "main:large.log"]).run();
    assert_eq!(large.stdout.len(), 900_000);
    assert!(place.mvault(["audit"]).ok().contains("repair"), "the trail has it");
}

#[test]
fn a_vault_without_any_pack_comes_back_bit_by_bit() {
    let place = two_devices();
    let log = place.mvault(["log", "--json"]).ok();
    for pack in packs(&place) {
        std::fs::remove_file(pack).expect("is removed");
    }
    let told = place.mvault(["repair", "--json"]).code(5).json();
    assert!(told["lost"].as_array().is_some_and(|lost| !lost.is_empty()), "{told}");
    place.mvault(["repair", "--from", "../far"]).ok();
    assert_eq!(place.mvault(["log", "--json"]).ok(), log);
    assert_eq!(place.mvault(["status"]).json()["changes"], json!([]));
    place.mvault(["verify"]).ok();
    let remotes = place.mvault(["status"]).json();
    assert_eq!(remotes["remotes"], json!([]), "no ref moved");
}

#[test]
fn a_bundle_gives_back_exactly_what_is_lost() {
    let place = two_devices();
    place.mvault(["-C", "../far", "note", "only there"]).ok();
    place.mvault(["-C", "../far", "commit", "-m", "news"]).ok();
    place.mvault(["-C", "../far", "bundle", "create", "../far.bundle"]).ok();
    let log = place.mvault(["log", "--json"]).ok();
    // First one file alone, behind a byte of the largest pack.
    let pack = packs(&place).remove(0);
    let mut bytes = std::fs::read(&pack).expect("a pack");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    overwrite(&pack, &bytes);
    let told = place.mvault(["repair", "--from", "../far.bundle"]).json();
    assert_eq!((&told["fetched"], &told["lost"]), (&1.into(), &json!([])), "{told}");
    assert_eq!(place.mvault(["show", "main:large.log"]).run().stdout, noise(900_000));
    // Then all of them.
    for pack in packs(&place) {
        std::fs::remove_file(pack).expect("is removed");
    }
    place.mvault(["repair", "--from", "../far.bundle"]).ok();
    place.mvault(["verify"]).ok();
    assert_eq!(place.mvault(["log", "--json"]).ok(), log, "no head moved");
    assert_eq!(place.mvault(["status"]).json()["changes"], json!([]));
    assert!(place.mvault(["audit"]).ok().contains("repair"), "the trail has it");
    let waiting = place.work().join(".mvault/incoming/.repair-bundle/objects");
    assert_eq!(std::fs::read_dir(waiting).expect("a folder").count(), 0, "the rest was dropped");
    let again = place.mvault(["repair", "--from", "../far.bundle"]).json();
    assert_eq!((&again["fetched"], &again["problems"]), (&0.into(), &json!([])), "{again}");
}

#[test]
fn a_bundle_without_what_is_lost_leaves_it_named() {
    let place = two_devices();
    place.mvault(["-C", "../far", "note", "only there"]).ok();
    place.mvault(["-C", "../far", "commit", "-m", "news"]).ok();
    place.mvault(["-C", "../far", "bundle", "create", "../part.bundle", "--since", "main~1"]).ok();
    for pack in packs(&place) {
        std::fs::remove_file(pack).expect("is removed");
    }
    let told = place.mvault(["repair", "--from", "../part.bundle", "--json"]).code(5).json();
    assert_eq!((&told["fetched"], kinds(&told)[0]), (&0.into(), "missing"), "{told}");
    place.mvault(["repair", "--from", "../far"]).ok();
}

#[test]
fn a_bundle_that_is_cut_or_of_another_vault_is_refused_and_nothing_of_it_kept() {
    let place = two_devices();
    place.mvault(["-C", "../far", "bundle", "create", "../far.bundle"]).ok();
    let whole = std::fs::read(place.work().join("../far.bundle")).expect("a bundle");
    place.write("../cut.bundle", &whole[..whole.len() - 100]);
    place.mvault(["init", "../other", "--device", "desk"]).ok();
    place.write("../other/a.md", "another\n");
    place.mvault(["-C", "../other", "commit", "-m", "other"]).ok();
    place.mvault(["-C", "../other", "bundle", "create", "../other.bundle"]).ok();
    for pack in packs(&place) {
        std::fs::remove_file(pack).expect("is removed");
    }
    for (file, word, hint) in [
        ("../cut.bundle", "cut off", "copy it once more"),
        ("../other.bundle", "another vault", "this vault"),
    ] {
        let told = place.mvault(["repair", "--from", file]).code(1).stderr();
        assert!(told.contains(word) && told.contains(hint), "{told}");
        assert!(packs(&place).is_empty(), "{file}");
        assert!(place.mvault(["rejections"]).ok().contains(file.trim_start_matches("../")));
    }
    place.mvault(["repair", "--from", "../far.bundle"]).ok();
}

#[test]
fn what_no_device_has_is_named() {
    let place = two_devices();
    place.write("only-here.md", "never sent\n");
    place.mvault(["commit", "-m", "third"]).ok();
    for pack in packs(&place) {
        std::fs::remove_file(pack).expect("is removed");
    }
    let told = place.mvault(["repair", "--from", "../far", "--json"]).code(5).json();
    assert_eq!(kinds(&told), ["missing"], "the commit that was never sent: {told}");
    assert_eq!(place.read("only-here.md"), b"never sent\n");
}

#[test]
fn files_that_were_damaged_behind_its_back_are_restored_and_edits_are_not() {
    let place = two_devices();
    let sidecar = place.read("distillates/one.md.sha256");
    place.write("continuity.md", "");
    place.write("notes/page.md", vec![0; 850_000]);
    place.write("distillates/one.md.sha256", "gone wrong\n");
    place.write("edited.md", "new\n");
    let dry = place.mvault(["repair", "--dry-run", "--json"]).code(5).json();
    assert_eq!(dry["done"].as_array().expect("a list").len(), 3, "{dry}");
    assert_eq!(place.read("continuity.md"), b"");
    let told = place.mvault(["repair"]).json();
    assert_eq!(told["done"].as_array().expect("a list").len(), 3, "{told}");
    assert_eq!(place.read("continuity.md"), b"# Continuity\n\nmore\n");
    assert_eq!(place.read("notes/page.md"), "a line of a page\n".repeat(50_000).as_bytes());
    assert_eq!(place.read("distillates/one.md.sha256"), sidecar);
    assert_eq!(place.read("edited.md"), b"new\n");
    let listed = place.mvault(["quarantine", "list"]).ok();
    assert!(listed.contains("page.md") && listed.contains("one.md.sha256"), "{listed}");
    let status = place.mvault(["status"]).json();
    let changes = status["changes"].as_array().expect("a list");
    assert!(changes.len() == 1 && changes[0]["path"] == "edited.md", "{status}");
}

#[test]
fn a_file_that_is_named_comes_back_whatever_it_is_and_an_unknown_one_is_refused() {
    let place = two_devices();
    place.write("continuity.md", "# Contin");
    std::fs::remove_file(place.work().join("large.log")).expect("is removed");
    assert_eq!(place.mvault(["repair"]).json()["done"], json!([]), "an edit, to all appearance");
    let told = place.mvault(["repair", "continuity.md"]).json();
    assert_eq!(place.read("continuity.md"), b"# Continuity\n\nmore\n");
    let kept = told["done"][0]["kept_as"].as_str().expect("a hash");
    assert_eq!(place.read(format!(".mvault/quarantine/{kept}")), b"# Contin");
    place.mvault(["repair", "large.log"]).ok();
    assert_eq!(place.read("large.log"), noise(900_000));
    let refused = place.mvault(["repair", "nowhere.md"]).code(1);
    assert!(refused.stderr().contains("mvault log"), "{}", refused.stderr());
}

#[test]
fn torn_and_glued_lines_become_lines_and_zeros_go_out_of_a_stream() {
    let place = two_devices();
    let before = place.read("events/mac.jsonl");
    let gained = b"{\"a\":1}{\"b\":2}\n{\"c\":3,\"d{\"e\":5}\n\0\0\0\0\0\0";
    place.write("events/mac.jsonl", [before.as_slice(), gained].concat());
    let told = place.mvault(["repair"]).json();
    assert_eq!(told["done"][0]["what"], "mended", "{told}");
    let now = place.read("events/mac.jsonl");
    assert_eq!(now, [before.as_slice(), b"{\"a\":1}\n{\"b\":2}\n{\"e\":5}\n"].concat());
    assert!(told["commit"].is_string(), "it is committed");
    let kept = told["done"][0]["kept_as"].as_str().expect("a hash");
    assert_eq!(place.read(format!(".mvault/quarantine/{kept}")), b"{\"c\":3,\"d\n\0\0\0\0\0\0\n");
    assert_eq!(place.mvault(["status"]).json()["changes"], json!([]));
    place.write("events/mac.jsonl", vec![0; now.len()]);
    place.mvault(["repair"]).ok();
    assert_eq!(place.read("events/mac.jsonl"), now, "all of it was zeros");
    place.mvault(["pull", "../work"]).dir("../far").ok();
    let far = std::fs::read(place.root().join("far/events/mac.jsonl")).expect("it came");
    assert_eq!(far, now, "a mended stream is held back by nobody");
}

#[test]
fn damage_in_the_log_is_told_and_nothing_is_touched() {
    let place = two_devices();
    let log = place.work().join(".mvault/oplog/0000000000000001.jsonl");
    let text = std::fs::read_to_string(&log).expect("a log");
    let damaged = text.replacen("\"mac\"", "\"mbc\"", 2);
    overwrite(&log, damaged.as_bytes());
    place.write("continuity.md", "");
    let told = place.mvault(["repair", "--from", "../far", "--json"]).code(5).json();
    assert_eq!(kinds(&told), ["log-damaged"]);
    let hint = told["problems"][0]["hint"].as_str().expect("a hint");
    assert!(hint.contains("never cut") && hint.contains("mvault clone"), "{hint}");
    assert_eq!(std::fs::read_to_string(&log).expect("a log"), damaged);
    assert_eq!(place.read("continuity.md"), b"");
}

#[test]
fn caches_are_removed_and_quarantine_is_named_by_what_it_holds() {
    let place = two_devices();
    place.write("continuity.md", "");
    place.mvault(["repair"]).ok();
    place.write("continuity.md", [0; 9]);
    place.mvault(["repair"]).ok();
    let name = std::fs::read_dir(place.work().join(".mvault/quarantine")).expect("a folder");
    let name = name.map(|entry| entry.expect("an entry").path()).next().expect("the zeros");
    overwrite(&name, b"something else\n");
    overwrite(&place.work().join(".mvault/peers.json"), b"{\"far\": tru");
    assert!(kinds(&place.mvault(["verify", "--json"]).code(5).json()).contains(&"quarantine"));
    let told = place.mvault(["repair"]).json();
    assert_eq!(told["done"].as_array().expect("a list").len(), 2, "{told}");
    assert!(!name.exists());
    place.mvault(["verify"]).ok();
}
