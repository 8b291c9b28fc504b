//! Damage and repair by chance: whatever happens to a pack, what a healthy record anywhere holds comes back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mvault::fs::{Disk, RealDisk};
use mvault::object::ObjectId;
use mvault::store::Store;
use serde_json::json;

use super::repair::packs;
use crate::support::Place;

const TRIALS: u64 = 12;

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.expect("is listed");
        let target = to.join(entry.path().strip_prefix(from).expect("it is below"));
        match entry.file_type().is_dir() {
            true => std::fs::create_dir_all(target).expect("a folder"),
            false => drop(std::fs::copy(entry.path(), target).expect("a file")),
        }
    }
}

fn text(seed: u64, lines: u64) -> String {
    (0..lines)
        .map(|n| {
            format!("line {n} of {seed}: {:016x}\n", (n + seed * 131).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        })
        .collect()
}

/// A vault in `work` and another device's in `far` that has all of its history but the last commit; the first one has
/// a snapshot in `saved/` too, made on what is in the history. Nothing is in one pack alone.
fn two_devices() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    for n in 0..12 {
        place.write("page.md", text(1, 60 + n * 7));
        place.write("large.log", text(2, 30_000 + n * 10));
        place.write(format!("notes/{n}.md"), text(10 + n, 20));
        place.mvault(["commit", "-m", "a day"]).ok();
        if n == 4 {
            place.mvault(["gc"]).ok();
        }
    }
    place.mvault(["clone", ".", "../far", "--device", "pixel"]).ok();
    place.write("page.md", text(1, 60 + 11 * 7) + "an edit that is in no commit\n");
    place.write("large.log", text(2, 30_110) + "another\n");
    place.mvault(["checkout", "main~2"]).ok();
    place.mvault(["checkout", "main"]).ok();
    place.write("page.md", text(1, 60 + 11 * 7) + "never sent\n");
    place.mvault(["commit", "-m", "not synced"]).ok();
    place
}

fn store_of(vault: &Path) -> Store {
    let dot = RealDisk.open_dir(&vault.join(".mvault")).expect("a vault");
    Store::open(&dot).expect("a store")
}

fn readable(store: &Store) -> BTreeSet<ObjectId> {
    let ids = store.ids().expect("listed").into_iter().map(|(id, _)| id);
    ids.filter(|id| store.try_find(*id).is_ok_and(|found| found.is_some())).collect()
}

/// What can be had when a pack is gone and all that the other device has is here.
fn to_be_had(work: &Path, far: &Path, without: &Path) -> BTreeSet<ObjectId> {
    let all = readable(&store_of(work));
    let place = Place::new();
    copy(work, &place.work());
    std::fs::remove_file(place.work().join(".mvault/objects").join(without.file_name().expect("a name")))
        .expect("is removed");
    let (store, other) = (store_of(&place.work()), store_of(far));
    let mut writer = store.writer().expect("a writer");
    for (id, kind) in other.ids().expect("listed") {
        let mut reader = other.try_reader(id).expect("is read").expect("is there");
        writer.add_stream(kind, reader.size(), &mut reader, None).expect("is added");
    }
    writer.publish().expect("is published");
    let here = store_of(&place.work());
    all.into_iter().filter(|id| here.try_find(*id).is_ok_and(|found| found.is_some())).collect()
}

/// Does one of four things to a pack.
fn damage(pack: &PathBuf, how: u64, dice: u64) {
    let mut bytes = std::fs::read(pack).expect("a pack");
    let at = (dice % bytes.len() as u64) as usize;
    std::fs::remove_file(pack).expect("is removed");
    match how {
        0 => bytes[at] ^= 1 << (dice % 8),
        1 => bytes.truncate(at),
        2 => bytes[at..].iter_mut().take(4096).for_each(|byte| *byte = 0),
        _ => return,
    }
    std::fs::write(pack, bytes).expect("is written");
}

/// The story: of forty trials the history that another device has came back each time, and a snapshot that only this
/// device had was lost thirty times. Its record was healthy, and made on one that had gone.
#[test]
fn what_any_healthy_record_holds_comes_back_whatever_happens_to_a_pack() {
    let template = two_devices();
    let far = template.root().join("far");
    let count = packs(&template).len() as u64;
    assert!(count >= 3, "{count} packs");
    for trial in 0..TRIALS {
        let dice = (trial + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let place = Place::new();
        copy(&template.work(), &place.work());
        copy(&far, &place.root().join("far"));
        let pack = packs(&place).remove((trial % count) as usize);
        let wanted = to_be_had(&place.work(), &far, &pack);
        damage(&pack, trial % 4, dice);
        place.mvault(["repair"]).run();
        place.mvault(["repair", "--from", "../far"]).run();
        let there = readable(&store_of(&place.work()));
        let lost: Vec<String> = wanted.difference(&there).map(ObjectId::short).collect();
        assert!(lost.is_empty(), "trial {trial}, {}: {lost:?}", pack.display());
        // Nothing healthy is in quarantine: only the pack that was hit can be.
        let quarantine =
            std::fs::read_dir(place.work().join(".mvault/quarantine")).expect("a folder").count();
        assert!(quarantine <= 1, "trial {trial}: {quarantine} packs were set aside");
    }
}

/// The story: the pack with the old history was removed by hand. `repair --from` set six healthy packs aside and
/// reported the snapshot missing for ever.
#[test]
fn a_snapshot_is_readable_after_the_pack_with_the_old_history_was_lost() {
    let place = two_devices();
    let edit = place.mvault(["show", "saved/1:page.md"]).ok();
    for pack in packs(&place) {
        let place_now = Place::new();
        copy(&place.work(), &place_now.work());
        copy(&place.root().join("far"), &place_now.root().join("far"));
        let wanted = to_be_had(&place.work(), &place.root().join("far"), &pack);
        let lost = place_now.work().join(".mvault/objects").join(pack.file_name().expect("a name"));
        std::fs::remove_file(lost).expect("is removed");
        let told = place_now.mvault(["repair", "--from", "../far", "--json"]).run().json();
        assert_eq!(told["done"], json!([]), "nothing is set aside: {told}");
        assert!(wanted.is_subset(&readable(&store_of(&place_now.work()))), "{told}");
        if told["problems"] == json!([]) {
            assert_eq!(place_now.mvault(["show", "saved/1:page.md"]).ok(), edit);
        }
        // What stays missing stops no compaction.
        place_now.mvault(["gc"]).ok();
        place_now.mvault(["gc", "--prune"]).ok();
        assert!(wanted.is_subset(&readable(&store_of(&place_now.work()))), "gc took nothing");
    }
}

/// The story: the newest segment of the log was gone, `verify` said that all was well once the cache was removed, and
/// thirteen commits that were still in the packs were in no history and no command listed them.
#[test]
fn commits_that_a_log_lost_are_listed_kept_and_brought_back() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("a.md", "one\n");
    place.mvault(["commit", "-m", "first"]).ok();
    let dot = place.work().join(".mvault");
    let kept = place.root().join("oplog");
    copy(&dot.join("oplog"), &kept);
    for text in ["two\n", "three\n"] {
        place.write("a.md", text);
        place.mvault(["commit", "-m", "lost"]).ok();
    }
    let head = place.mvault(["status"]).json()["head"].as_str().expect("a head").to_owned();
    assert_eq!(place.mvault(["repair"]).json()["found"], json!([]));
    std::fs::remove_dir_all(dot.join("oplog")).expect("is removed");
    copy(&kept, &dot.join("oplog"));
    let told = place.mvault(["repair", "--json"]).run().json();
    assert_eq!(told["found"][0]["id"], json!(head), "the repair that goes on from there lists them: {told}");
    place.mvault(["gc", "--prune"]).ok();
    let told = place.mvault(["repair"]).json();
    assert_eq!((&told["found"][0]["id"], &told["found"][0]["commits"]), (&json!(head), &json!(2)), "{told}");
    let text = place.mvault(["repair"]).ok();
    assert!(text.contains("and 1 commit before it"), "{text}");
    let told = place.mvault(["repair", "--bring-back"]).json();
    let named = told["brought_back"][0]["ref"].as_str().expect("a name").to_owned();
    assert_eq!((&told["brought_back"][0]["id"], &told["found"]), (&json!(head), &json!([])), "{told}");
    assert_eq!(place.mvault(["show", &format!("{named}:a.md")]).ok(), "three\n");
    place.mvault(["verify"]).ok();
    let again = place.mvault(["repair", "--bring-back"]).json();
    assert_eq!(again["brought_back"], json!([]));
}

/// The story: what killed commands left in `.mvault/tmp` under any name but that of a pack stayed there for ever.
#[test]
fn nothing_of_killed_commands_is_left_behind_by_the_next_that_writes() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    let tmp = place.work().join(".mvault/tmp");
    for name in [
        "tmp-999999999-3",
        "probe-a",
        "probe-é",
        "notes: a name that was tried out?.md",
        "pack-tmp-999999999-0",
    ] {
        std::fs::write(tmp.join(name), "left behind").expect("a file");
    }
    std::fs::create_dir(tmp.join("doctor-999999999-0a")).expect("a folder");
    place.write("a.md", "a\n");
    place.mvault(["commit"]).ok();
    let left: Vec<_> = std::fs::read_dir(&tmp).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
    place.mvault(["doctor"]).run();
    assert_eq!(std::fs::read_dir(&tmp).expect("a folder").count(), 0);
}
