//! Bundles between devices that never reach each other, through the program.

use serde_json::Value;

use crate::support::{Place, Run};

fn on(place: &Place, device: &str, args: &[&str]) -> Run {
    place.mvault(args).dir(device)
}

fn head(place: &Place, device: &str) -> String {
    let status = on(place, device, &["status"]).json();
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(0), "{status}");
    status["head"].as_str().expect("a head").to_owned()
}

/// Everything that a person sees in a folder.
fn files(place: &Place, device: &str) -> Vec<(String, Vec<u8>)> {
    let root = place.work().join(device);
    let walk = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter();
    let seen =
        walk.filter_entry(|entry| entry.file_name() != ".mvault").map(|entry| entry.expect("readable"));
    let seen = seen.filter(|entry| entry.file_type().is_file());
    seen.map(|entry| {
        let path = entry.path().strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
        (path, std::fs::read(entry.path()).expect("readable"))
    })
    .collect()
}

/// The refusals of bundles in a device's rejection log.
fn refusals(place: &Place, device: &str) -> Vec<Value> {
    let all = on(place, device, &["rejections", "--all"]).json_lines();
    all.into_iter()
        .filter(|entry| entry["reason"].as_str().is_some_and(|r| r.starts_with("bundle")))
        .collect()
}

/// A vault on `mac`; `pixel` and `tablet` are cloned out of its bundle.
fn three() -> Place {
    let place = Place::new();
    place.write("mac/continuity.md", "one\ntwo\nthree\nfour\nfive\n");
    on(&place, "mac", &["init", "--device", "mac"]).ok();
    on(&place, "mac", &["bundle", "create", "../all.bundle"]).ok();
    for device in ["pixel", "tablet"] {
        place.mvault(["clone", "all.bundle", device, "--device", device]).ok();
    }
    place
}

#[test]
fn three_devices_that_never_meet_end_with_one_head_and_the_same_files() {
    let place = three();
    // The phone's clock is ten years off, and it makes two bundles.
    let late = |args: &[&str], clock: &str| on(&place, "pixel", args).env("MVAULT_TEST_CLOCK", clock).ok();
    late(&["note", "the first note"], "2036-11-22T06:00:00+01:00");
    late(&["bundle", "create", "../p1.bundle", "--since", "mac"], "2036-11-22T06:01:00+01:00");
    late(&["note", "the second note"], "2036-11-22T06:02:00+01:00");
    place.write("pixel/pixel.md", "of the phone\n");
    late(&["bundle", "create", "../p2.bundle", "--since", "HEAD~1"], "2036-11-22T06:03:00+01:00");
    place.write("tablet/continuity.md", "one\ntwo\nthree\nfour\nFIVE\n");
    on(&place, "tablet", &["note", "of the tablet"]).ok();
    on(&place, "tablet", &["bundle", "create", "../t.bundle", "--since", "mac"]).ok();
    place.write("mac/continuity.md", "ONE\ntwo\nthree\nfour\nfive\n");
    on(&place, "mac", &["commit"]).ok();

    // Out of order, then in order, each twice.
    let before = (head(&place, "mac"), files(&place, "mac"));
    for _ in 0..2 {
        let early = on(&place, "mac", &["--json", "pull", "../p2.bundle"]).code(1);
        assert_eq!(early.error()["kind"], "missing_commits", "{}", early.describe());
    }
    assert_eq!((head(&place, "mac"), files(&place, "mac")), before, "nothing was harmed");
    for file in ["../p1.bundle", "../p1.bundle", "../p2.bundle", "../p2.bundle", "../t.bundle"] {
        on(&place, "mac", &["pull", file]).ok();
    }
    let operations = on(&place, "mac", &["audit"]).json_lines().len();
    let again = on(&place, "mac", &["pull", "../t.bundle"]).json();
    assert_eq!((again["received"].as_u64(), again["objects"].as_u64()), (Some(0), Some(0)), "{again}");
    assert_eq!(on(&place, "mac", &["audit"]).json_lines().len(), operations, "twice does nothing twice");

    // The desk's bundle holds the commits of all three; the others hear of each other through it alone.
    on(&place, "mac", &["bundle", "create", "../m.bundle"]).ok();
    for device in ["tablet", "pixel"] {
        on(&place, device, &["pull", "../m.bundle"]).ok();
        on(&place, device, &["pull", "../m.bundle"]).ok();
    }
    for device in ["pixel", "tablet"] {
        assert_eq!(head(&place, device), head(&place, "mac"), "{device}");
        assert_eq!(files(&place, device), files(&place, "mac"), "{device}");
    }
    let text = String::from_utf8(place.read("tablet/continuity.md")).expect("text");
    assert_eq!(text, "ONE\ntwo\nthree\nfour\nFIVE\n");
    let told = refusals(&place, "mac");
    assert_eq!(told.len(), 1, "once, however often it was tried: {told:?}");
    assert_eq!(told[0]["reason"], "bundle-early");
    assert!(told[0]["path"].as_str().is_some_and(|path| path.ends_with("p2.bundle")), "{told:?}");
    assert_eq!(told[0]["sha256"].as_str().map(str::len), Some(64));
    assert!(refusals(&place, "pixel").is_empty() && refusals(&place, "tablet").is_empty());
}

/// The order in which bundles come makes no difference to where devices end.
#[test]
fn any_order_of_bundles_ends_in_one_head() {
    let mut heads = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let place = three();
        place.write("pixel/a.md", "pixel\n");
        on(&place, "pixel", &["bundle", "create", "../0.bundle"]).ok();
        place.write("tablet/b.md", "tablet\n");
        on(&place, "tablet", &["bundle", "create", "../1.bundle"]).ok();
        place.write("pixel/a.md", "pixel\nmore\n");
        on(&place, "pixel", &["bundle", "create", "../2.bundle"]).ok();
        for n in order {
            on(&place, "mac", &["pull", &format!("../{n}.bundle")]).ok();
        }
        heads.push((head(&place, "mac"), files(&place, "mac")));
    }
    assert!(heads.iter().all(|head| *head == heads[0]));
}

/// In each case: exit code 1 with a kind of its own, nothing moved, and one line in the rejection log.
#[test]
fn cut_and_flipped_bundles_are_refused_and_each_is_told_once() {
    let place = three();
    on(&place, "pixel", &["note", "a note"]).ok();
    on(&place, "pixel", &["bundle", "create", "../good.bundle", "--since", "mac"]).ok();
    let good = place.read("good.bundle");
    let before = (head(&place, "mac"), files(&place, "mac"));
    let operations = on(&place, "mac", &["audit"]).json_lines().len();
    let mut tried = 0;
    for step in 0..12 {
        let at = good.len() * step / 12;
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        for (name, bytes) in [("flipped", flipped), ("cut", good[..at].to_vec())] {
            let file = format!("{name}-{step}.bundle");
            place.write(&file, bytes);
            let outcome = on(&place, "mac", &["--json", "pull", &format!("../{file}")]).code(1);
            let kind = outcome.error()["kind"].clone();
            let is_version = kind == "newer_format" && at < 16;
            assert!(kind == "bad_bundle" || is_version, "{}", outcome.describe());
            assert!(outcome.error()["hint"].is_string(), "{}", outcome.describe());
            on(&place, "mac", &["bundle", "verify", &format!("../{file}")]).code(1);
            tried += 1;
        }
    }
    on(&place, "mac", &["pull", "../cut-5.bundle"]).code(1);
    assert_eq!((head(&place, "mac"), files(&place, "mac")), before);
    assert_eq!(on(&place, "mac", &["audit"]).json_lines().len(), operations);
    let told = refusals(&place, "mac");
    assert_eq!(told.len(), tried, "one line each");
    assert!(told.iter().all(|entry| entry["reason"] == "bundle-unusable" && entry["quarantined"] == false));
    on(&place, "mac", &["verify"]).ok();
    on(&place, "mac", &["pull", "../good.bundle"]).ok();
}

#[test]
fn another_vaults_bundle_is_refused_unless_it_is_allowed() {
    let place = three();
    place.write("other/x.md", "elsewhere\n");
    on(&place, "other", &["init", "--device", "other"]).ok();
    on(&place, "other", &["bundle", "create", "../other.bundle"]).ok();
    let before = head(&place, "mac");
    let outcome = on(&place, "mac", &["pull", "../other.bundle"]).code(1);
    assert!(outcome.stderr().contains("another vault") && outcome.stderr().contains("--allow unrelated"));
    assert_eq!(head(&place, "mac"), before);
    let told = refusals(&place, "mac");
    assert_eq!((told.len(), told[0]["reason"].as_str()), (1, Some("bundle-foreign")));
    let verified = on(&place, "mac", &["bundle", "verify", "../other.bundle"]).json();
    assert_eq!(verified["of_this_vault"], false);
    on(&place, "mac", &["pull", "../other.bundle", "--allow", "unrelated"]).ok();
    assert_eq!(place.read("mac/x.md"), b"elsewhere\n");
}

#[test]
fn a_bundle_of_ones_own_is_nothing_new_and_brings_back_what_a_backup_lacks() {
    let place = three();
    place.program("cp", ["-a", "mac", "backup"]).ok();
    on(&place, "mac", &["note", "after the backup"]).ok();
    on(&place, "mac", &["bundle", "create", "../own.bundle"]).ok();
    let operations = on(&place, "mac", &["audit"]).json_lines().len();
    let told = on(&place, "mac", &["pull", "../own.bundle"]).json();
    assert_eq!((told["received"].as_u64(), told["device"].as_str()), (Some(0), Some("mac")));
    assert_eq!(on(&place, "mac", &["audit"]).json_lines().len(), operations);
    let told = on(&place, "backup", &["pull", "../own.bundle"]).code(0);
    assert!(told.stderr().contains("came back"), "{}", told.describe());
    assert_eq!(head(&place, "backup"), head(&place, "mac"));
    assert_eq!(files(&place, "backup"), files(&place, "mac"));
}

#[test]
fn create_commits_first_logs_the_offer_and_undo_knows_that_it_left() {
    let place = three();
    place.write("pixel/new.md", "not committed\n");
    place.write("pixel/continuity.md", "");
    let made = on(&place, "pixel", &["--json", "bundle", "create", "../p.bundle"]).code(3).json();
    assert_eq!(made["rejected"][0]["reason"], "emptied", "{made}");
    assert!(made["committed"].is_string(), "{made}");
    assert_eq!(made["commits"], 3, "the root, the first, the new one: {made}");
    assert_eq!(made["bytes"].as_u64(), Some(place.read("p.bundle").len() as u64));
    let last = on(&place, "pixel", &["audit"]).json_lines();
    assert!(last.iter().any(|operation| operation["op"] == "offered"), "{last:?}");
    let head_before = on(&place, "pixel", &["status"]).json()["head"].clone();
    on(&place, "pixel", &["checkout", "HEAD", "--", "continuity.md"]).ok();
    on(&place, "pixel", &["undo"]).ok();
    let log = on(&place, "pixel", &["log"]).json_lines();
    assert!(
        log.iter().any(|commit| commit["id"] == head_before),
        "what left is not taken back by forgetting"
    );
}

#[test]
fn only_a_bundle_is_replaced_unasked_and_nothing_inside_the_vault() {
    let place = three();
    place.write("notes.txt", "mine\n");
    let refused = on(&place, "mac", &["bundle", "create", "../notes.txt"]).code(1);
    assert!(refused.stderr().contains("stays as it is") && refused.stderr().contains("--force"));
    assert_eq!(place.read("notes.txt"), b"mine\n");
    on(&place, "mac", &["bundle", "create", "../notes.txt", "--force"]).ok();
    on(&place, "mac", &["bundle", "create", "../notes.txt"]).ok();
    for inside in ["x.bundle", ".mvault/x.bundle", "../pixel/../mac/x.bundle"] {
        let refused = on(&place, "mac", &["bundle", "create", inside]).code(1);
        assert!(refused.stderr().contains("inside the vault"), "{}", refused.describe());
    }
    std::fs::create_dir(place.work().join("folder")).expect("made");
    on(&place, "mac", &["bundle", "create", "../folder", "--force"]).code(1);
    on(&place, "mac", &["bundle", "create", "../nowhere/x.bundle"]).code(1);
    on(&place, "mac", &["bundle", "create", "../y.bundle", "nonsense"]).code(1);
    on(&place, "mac", &["bundle", "create", "../y.bundle", "--since", "nonsense"]).code(1);
    assert!(!place.work().join("y.bundle").exists());
    let left = std::fs::read_dir(place.work()).expect("listed");
    let left: Vec<_> = left.map(|entry| entry.expect("listed").file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".mvault-bundle")), "{left:?}");
}

#[test]
fn what_a_killed_writer_left_is_removed_by_the_next() {
    let place = three();
    place.write(".mvault-bundle-0123", "half of one");
    on(&place, "mac", &["bundle", "create", "../m.bundle"]).ok();
    assert!(!place.work().join(".mvault-bundle-0123").exists());
}

#[test]
fn revisions_narrow_what_is_given_and_saved_states_never_leave() {
    let place = three();
    on(&place, "mac", &["tag", "v1"]).ok();
    place.write("mac/later.md", "later\n");
    on(&place, "mac", &["commit"]).ok();
    let made = on(&place, "mac", &["bundle", "create", "../v1.bundle", "v1"]).json();
    assert_eq!(made["heads"][0]["branch"], "main");
    assert_eq!(made["commits"], 2);
    let none = on(&place, "mac", &["bundle", "create", "../none.bundle", "--since", "main"]).json();
    assert_eq!(none["commits"], 0, "{none}");
    let told = on(&place, "pixel", &["--json", "pull", "../none.bundle"]).code(1);
    assert_eq!(told.error()["kind"], "missing_commits");
    place.write("mac/later.md", "an edit\n");
    on(&place, "mac", &["rollback", "v1"]).ok();
    let refused = on(&place, "mac", &["bundle", "create", "../saved.bundle", "saved/1"]).code(1);
    assert!(refused.stderr().contains("in no branch"), "{}", refused.describe());
    assert!(!place.work().join("saved.bundle").exists());
}

#[test]
fn a_bundle_is_a_remote_that_is_only_read() {
    let place = three();
    on(&place, "mac", &["remote", "add", "phone", "../phone.bundle"]).ok();
    on(&place, "mac", &["pull", "phone"]).code(6); // there is nothing yet
    on(&place, "pixel", &["note", "by file"]).ok();
    on(&place, "pixel", &["bundle", "create", "../phone.bundle", "--since", "mac"]).ok();
    let fetched = on(&place, "mac", &["fetch", "phone"]).json();
    assert_eq!((fetched["device"].as_str(), fetched["received"].as_u64()), (Some("pixel"), Some(1)));
    on(&place, "mac", &["pull", "phone"]).ok();
    assert_eq!(head(&place, "mac"), head(&place, "pixel"));
    let told = on(&place, "mac", &["remote", "list"]).json_lines();
    assert_eq!(told[0]["device"], "pixel");
    assert_eq!(told[0]["head"].as_str(), Some(head(&place, "pixel").as_str()));
    on(&place, "mac", &["push", "phone"]).code(2);
    let before = place.read("phone.bundle");
    on(&place, "mac", &["push"]).ok();
    on(&place, "mac", &["sync"]).ok();
    assert_eq!(place.read("phone.bundle"), before);
    // Older than what was read already: told as nothing new, and not as a log that went backwards.
    on(&place, "pixel", &["note", "another"]).ok();
    on(&place, "pixel", &["bundle", "create", "../new.bundle", "--since", "mac"]).ok();
    on(&place, "mac", &["pull", "../new.bundle"]).ok();
    let old = on(&place, "mac", &["pull", "phone"]).code(0);
    assert!(!old.stderr().contains("backwards"), "{}", old.describe());
}

#[test]
fn what_is_neither_file_nor_folder_is_not_opened() {
    let place = three();
    place.program("mkfifo", ["pipe"]).ok();
    for args in [["pull", "../pipe"].as_slice(), &["bundle", "verify", "../pipe"]] {
        on(&place, "mac", args).code(2);
    }
    place.mvault(["clone", "pipe", "x"]).code(2);
    assert!(!place.work().join("x").exists());
    on(&place, "mac", &["bundle", "create", "../pipe", "--force"]).code(1);
}

#[test]
fn verify_tells_the_same_with_a_vault_and_without() {
    let place = three();
    on(&place, "pixel", &["note", "a note"]).ok();
    let made = on(&place, "pixel", &["bundle", "create", "../p.bundle", "--since", "mac"]).json();
    let outside = place.mvault(["bundle", "verify", "p.bundle"]).json();
    for field in ["commits", "objects", "bytes", "heads", "prerequisites"] {
        assert_eq!(outside[field], made[field], "{field}");
    }
    assert_eq!((&outside["missing"], &outside["unchecked"]), (&Value::Null, &Value::from(0)));
    let inside = on(&place, "mac", &["bundle", "verify", "../p.bundle"]).json();
    assert_eq!((&inside["of_this_vault"], &inside["missing"]), (&Value::Bool(true), &serde_json::json!([])));
    on(&place, "pixel", &["note", "more"]).ok();
    on(&place, "pixel", &["bundle", "create", "../q.bundle", "--since", "HEAD~1"]).ok();
    let early = on(&place, "mac", &["bundle", "verify", "../q.bundle"]).json();
    assert_eq!(early["missing"], early["prerequisites"]);
    assert!(on(&place, "mac", &["rejections", "--all"]).json_lines().is_empty(), "verify refuses nothing");
}

/// Its limits on memory hold for a file that is larger than they are.
#[test]
#[cfg(target_os = "linux")]
fn a_large_file_goes_out_and_in_within_a_bounded_address_space() {
    let place = three();
    let mut bytes = Vec::with_capacity(160 << 20);
    let mut state = 7_u64;
    while bytes.len() < 160 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    place.write("pixel/big.bin", &bytes);
    on(&place, "pixel", &["commit"]).ok();
    let limited = |device: &str, words: &str| {
        let command = format!("ulimit -d 131072; exec {} {words}", crate::support::MVAULT);
        place.program("bash", ["-c", &command]).dir(device).ok()
    };
    limited("pixel", "bundle create ../big.bundle --since mac");
    limited("mac", "bundle verify ../big.bundle");
    limited("mac", "pull ../big.bundle");
    assert!(place.read("mac/big.bin") == bytes);
}
