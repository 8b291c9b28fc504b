//! What a newer mvault wrote is never read as ours, never taken for damage and never moved away.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::support::Place;

fn vault() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("a.md", "one\n");
    place.mvault(["commit", "-m", "first"]).ok();
    place
}

fn packs(place: &Place) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(place.work().join(".mvault/objects")).expect("a folder");
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Changes bytes of each pack and makes all sums and the name good again.
fn rewrite_packs(place: &Place, change: impl Fn(&mut [u8], usize)) {
    for path in packs(place) {
        let mut bytes = std::fs::read(&path).expect("a pack");
        let footer = bytes.len() - 128;
        change(&mut bytes, footer);
        let body = Sha256::digest(&bytes[..footer]);
        bytes[footer + 72..footer + 104].copy_from_slice(&body);
        let sum = Sha256::digest(&bytes[footer..footer + 104]);
        bytes[footer + 104..footer + 120].copy_from_slice(&sum[..16]);
        std::fs::remove_file(&path).expect("is removed");
        let name = format!("{}.pack", hex::encode(Sha256::digest(&bytes)));
        std::fs::write(path.with_file_name(name), bytes).expect("is written");
    }
}

/// Nobody looked at a pack's header: one of version 2 was read as version 1, and verify said that all was well.
/// Another version in the footer was "damaged", with the advice to repair, which would have moved a sound
/// pack of a newer program to quarantine.
#[test]
fn a_pack_of_a_newer_version_is_refused_by_all_and_left_where_it_is() {
    for version in *b"2357" {
        for part in ["header", "footer", "both"] {
            let place = vault();
            rewrite_packs(&place, |bytes, footer| {
                if part != "footer" {
                    bytes[6] = version;
                }
                if part != "header" {
                    bytes[footer + 6] = version;
                }
            });
            let before = packs(&place);
            for args in [
                &["status"][..],
                &["log"],
                &["verify"],
                &["verify", "--quick"],
                &["repair"],
                &["gc"],
                &["commit"],
            ] {
                let outcome = place.mvault(args.iter().chain(&["--json"])).code(1);
                assert_eq!(outcome.error()["kind"], "newer_format", "{part}: {}", outcome.describe());
                assert_eq!(packs(&place), before);
            }
        }
    }
}

/// One flipped bit makes a 1 a 3: that is damage, and the pack's hash tells.
#[test]
fn a_flipped_bit_in_a_version_mark_is_damage() {
    for at_footer in [false, true] {
        let place = vault();
        let path = packs(&place).remove(0);
        let mut bytes = std::fs::read(&path).expect("a pack");
        let at = if at_footer { bytes.len() - 128 + 6 } else { 6 };
        bytes[at] = b'3';
        std::fs::remove_file(&path).expect("is removed");
        std::fs::write(&path, bytes).expect("is written");
        place.mvault(["verify"]).code(5);
    }
}

fn sealed(body: &str) -> String {
    let hash = hex::encode(Sha256::digest(body));
    format!("{body},\"hash\":\"{hash}\"}}\n")
}

/// A log line with a ref of a kind that was not known was "damaged", the vault unusable, and the hint was to put the
/// log back from a backup.
#[test]
fn a_ref_of_an_unknown_kind_is_carried_on_and_shown() {
    for (name, target) in [
        ("bookmarks/x", "\"0000000000000000000000000000000000000000000000000000000000000007\""),
        ("bookmarks/y", "{\"b\":[1,\"two\"],\"a\":null}"),
        ("shared/a/b", "[\"left\",\"right\"]"),
    ] {
        let place = vault();
        let log = place.work().join(".mvault/oplog/0000000000000001.jsonl");
        let mut text = std::fs::read_to_string(&log).expect("a log");
        let last: serde_json::Value =
            serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
        let (seq, hash) = (last["seq"].as_u64().expect("a number") + 1, last["hash"].as_str().expect("text"));
        text += &sealed(&format!(
            "{{\"seq\":{seq},\"prev\":\"{hash}\",\"at\":\"2026-11-30T09:00:00+01:00\",\"device\":\"mac\",\"actor\":\"paul\",\
             \"session\":null,\"op\":\"bookmark\",\"args\":[],\"lamport\":2,\"refs\":[{{\"name\":\"{name}\",\"old\":null,\"new\":{target}}}]"
        ));
        std::fs::write(&log, text).expect("is written");
        place.mvault(["status"]).ok();
        place.mvault(["verify"]).ok();
        let told = place.mvault(["audit", "--json"]).json_lines();
        let told: serde_json::Value = told[0]["refs"].clone();
        assert_eq!(told[0]["name"], name);
        let wanted: serde_json::Value = serde_json::from_str(target).expect("JSON");
        assert_eq!(told[0]["new"], wanted, "it is shown as it is");
        assert!(place.mvault(["audit"]).ok().contains(name));
        // Carried through a checkpoint, in which all refs are written again.
        for number in 0..200 {
            place.mvault(["tag", &format!("label-that-is-not-quite-short/{number}")]).ok();
        }
        let folder = place.work().join(".mvault/oplog");
        let names = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
        let newest = std::fs::read_to_string(names.max().expect("a segment")).expect("a log");
        assert!(newest.lines().next().expect("a line").contains(&format!("\"{name}\":")), "it rolled");
        place.mvault(["audit", "--verify"]).ok();
        place.mvault(["verify"]).ok();
        place.mvault(["gc"]).ok();
        // What it needs cannot be known, so nothing is dropped.
        let error = place.mvault(["gc", "--prune", "--json"]).code(1).error();
        assert_eq!(error["kind"], "newer_format");
    }
}
