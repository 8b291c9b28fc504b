//! Two devices and more, through the program: conflicts, edits in the way, and one head at the end.

use crate::support::{Place, Run};

/// A vault on `mac` with one commit, and a clone of it on `pixel`.
fn pair() -> Place {
    let place = Place::new();
    place.write("mac/continuity.md", "one\ntwo\nthree\nfour\nfive\n");
    place.write("mac/events/day.jsonl", "{\"n\":1}\n");
    on(&place, "mac", &["init", "--device", "mac"]).ok();
    on(&place, "mac", &["commit", "-m", "first"]).ok();
    place.mvault(["clone", "mac", "pixel", "--device", "pixel"]).ok();
    on(&place, "mac", &["remote", "add", "pixel", "../pixel"]).ok();
    place
}

fn on(place: &Place, device: &str, args: &[&str]) -> Run {
    place.mvault(args).dir(device)
}

fn head(place: &Place, device: &str) -> String {
    let status = on(place, device, &["status"]).json();
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(0), "{status}");
    status["head"].as_str().expect("a head").to_owned()
}

#[test]
fn sync_brings_both_devices_to_one_head_and_one_tree() {
    let place = pair();
    place.write("mac/a.md", "from the mac\n");
    place.write("pixel/b.md", "from the phone\n");
    place.write("pixel/events/day.jsonl", "{\"n\":1}\n{\"n\":\"pixel\"}\n");
    place.write("mac/events/day.jsonl", "{\"n\":1}\n{\"n\":\"mac\"}\n");
    let told = on(&place, "mac", &["sync", "pixel"]).json();
    assert_eq!(told["head"], told["their_head"]);
    assert_eq!(head(&place, "mac"), head(&place, "pixel"));
    for path in ["a.md", "b.md", "events/day.jsonl"] {
        assert_eq!(place.read(format!("mac/{path}")), place.read(format!("pixel/{path}")), "{path}");
    }
    let stream = String::from_utf8(place.read("mac/events/day.jsonl")).expect("text");
    assert!(stream.contains("mac") && stream.contains("pixel"), "{stream}");
    let again = on(&place, "mac", &["sync", "pixel"]).json();
    assert_eq!(
        (again["received"].as_u64(), again["sent"].as_u64()),
        (Some(0), Some(0)),
        "idle makes nothing"
    );
    assert_eq!(again["head"], told["head"]);
}

#[test]
fn both_devices_derive_the_same_commit_apart_from_each_other() {
    let place = pair();
    place.write("mac/a.md", "from the mac\n");
    on(&place, "mac", &["commit"]).ok();
    place.write("pixel/b.md", "from the phone\n");
    on(&place, "pixel", &["commit"]).ok();
    let there = on(&place, "mac", &["pull", "pixel"]).json();
    let here = on(&place, "pixel", &["pull", "mac"]).json();
    assert!(there["derived"].is_string(), "{there}");
    assert_eq!(there["derived"], here["derived"]);
}

#[test]
fn a_conflict_moves_nothing_and_its_resolution_reaches_both() {
    let place = pair();
    place.write("mac/continuity.md", "one\nTWO of the mac\nthree\nfour\nfive\n");
    on(&place, "mac", &["commit"]).ok();
    place.write("pixel/continuity.md", "one\nTWO of the phone\nthree\nfour\nfive\n");
    on(&place, "pixel", &["commit"]).ok();
    let before = head(&place, "mac");
    on(&place, "mac", &["pull", "pixel"]).code(4);
    assert_eq!(head(&place, "mac"), before);
    assert!(!String::from_utf8_lossy(&place.read("mac/continuity.md")).contains("<<<"));
    let conflicts = on(&place, "mac", &["conflicts"]).json_lines();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0]["path"], "continuity.md");
    assert_eq!(conflicts[0]["sides"].as_array().map(Vec::len), Some(2));
    let diff = conflicts[0]["diff"].as_str().expect("a diff");
    assert!(diff.contains("+TWO of the mac") && diff.contains("+TWO of the phone"), "{diff}");
    place.write("mac/other.md", "work goes on\n");
    on(&place, "mac", &["commit"]).ok();
    on(&place, "mac", &["resolve", "continuity.md", "--take", "pixel"]).ok();
    on(&place, "mac", &["sync", "pixel"]).ok();
    assert_eq!(head(&place, "mac"), head(&place, "pixel"));
    assert!(String::from_utf8_lossy(&place.read("mac/continuity.md")).contains("TWO of the phone"));
    assert_eq!(place.read("pixel/other.md"), b"work goes on\n");
}

#[test]
fn edits_in_the_way_of_a_pull_are_named_and_nothing_moves() {
    let place = pair();
    place.write("pixel/continuity.md", "one\ntwo of the phone\nthree\nfour\nfive\n");
    on(&place, "pixel", &["commit"]).ok();
    place.write("mac/continuity.md", "an edit that nobody committed\n");
    let outcome = on(&place, "mac", &["pull", "pixel", "--json"]).code(1);
    assert_eq!(outcome.error()["kind"], "dirty");
    let text = outcome.stderr();
    assert!(text.contains("continuity.md") && text.contains("mvault commit"), "{text}");
    assert_eq!(place.read("mac/continuity.md"), b"an edit that nobody committed\n");
    on(&place, "mac", &["checkout", "HEAD", "--", "continuity.md"]).ok();
    on(&place, "mac", &["reconcile"]).ok();
    assert!(String::from_utf8_lossy(&place.read("mac/continuity.md")).contains("two of the phone"));
}

#[test]
fn edits_that_are_not_in_the_way_are_carried() {
    let place = pair();
    place.write("pixel/b.md", "from the phone\n");
    on(&place, "pixel", &["commit"]).ok();
    place.write("mac/mine.md", "not committed\n");
    on(&place, "mac", &["pull", "pixel"]).ok();
    assert_eq!(place.read("mac/mine.md"), b"not committed\n");
    assert_eq!(place.read("mac/b.md"), b"from the phone\n");
}

#[test]
fn undo_of_a_pull_takes_the_files_back_and_holds_what_came() {
    let place = pair();
    place.write("pixel/b.md", "from the phone\n");
    on(&place, "pixel", &["commit"]).ok();
    let before = head(&place, "mac");
    on(&place, "mac", &["pull", "pixel"]).ok();
    on(&place, "mac", &["undo"]).ok();
    assert_eq!(head(&place, "mac"), before);
    assert!(!place.work().join("mac/b.md").exists());
    on(&place, "mac", &["pull", "pixel"]).ok();
    assert_eq!(head(&place, "mac"), before, "what is held stays held");
    on(&place, "mac", &["reconcile"]).ok();
    assert_eq!(place.read("mac/b.md"), b"from the phone\n");
}

#[test]
fn a_third_device_gets_the_same_head_over_a_relay() {
    let place = pair();
    place.mvault(["clone", "pixel", "tablet", "--device", "tablet"]).ok();
    place.write("mac/a.md", "mac\n");
    place.write("tablet/t.md", "tablet\n");
    on(&place, "mac", &["sync", "pixel"]).ok();
    on(&place, "tablet", &["sync", "pixel"]).ok();
    on(&place, "mac", &["sync", "pixel"]).ok();
    let heads = ["mac", "pixel", "tablet"].map(|device| head(&place, device));
    assert!(heads.iter().all(|other| *other == heads[0]), "{heads:?}");
}

#[test]
fn strangers_and_copies_are_refused_before_anything_is_exchanged() {
    let place = pair();
    place.write("other/x.md", "x\n");
    on(&place, "other", &["init", "--device", "other"]).ok();
    on(&place, "other", &["commit"]).ok();
    let text = on(&place, "mac", &["pull", "../other"]).code(1).stderr();
    assert!(text.contains("another vault"), "{text}");
    let text = on(&place, "mac", &["pull", "."]).code(1).stderr();
    assert!(text.contains("this very vault"), "{text}");
    place.mvault(["clone", "mac", "twin", "--device", "mac"]).code(1);
    assert!(!place.work().join("twin/.mvault").exists(), "a clone that failed leaves no vault");
}

#[test]
fn remotes_that_could_run_something_are_refused_at_once() {
    let place = pair();
    for remote in ["-oProxyCommand=touch x:", "a b:", "$(id):", "x;y:", "u@-oX:", "ext::sh", "ssh://h/v"] {
        let outcome = on(&place, "mac", &["pull", "--", remote]).code(2);
        assert!(!outcome.stderr().is_empty(), "{remote}");
    }
    assert!(!place.work().join("mac/x").exists());
}

/// A session that offered something new writes that into its log without touching the stat cache. The
/// next session told the operation before it as its last one, and the other side warned of a backup.
#[test]
fn a_device_met_again_is_not_taken_for_a_restored_one() {
    let place = pair();
    place.write("pixel/b.md", "from the phone\n");
    on(&place, "pixel", &["commit"]).ok();
    for _ in 0..3 {
        let told = on(&place, "mac", &["pull", "pixel"]).code(0);
        assert!(!told.stderr().contains("backwards"), "{}", told.describe());
    }
}

/// A caller that said it was a known device was let in, and nobody at this end was shown that it was another one.
#[test]
fn a_device_under_the_name_of_another_one_is_shown_where_it_called() {
    let place = pair();
    on(&place, "mac", &["pull", "pixel"]).ok();
    place.mvault(["clone", "mac", "other", "--device", "pixel"]).ok();
    place.write("other/c.md", "from elsewhere\n");
    on(&place, "other", &["commit"]).ok();
    let quiet = on(&place, "mac", &["status"]).code(0);
    assert!(!quiet.stdout().contains("met before"), "{}", quiet.describe());
    on(&place, "other", &["push", "../mac"]).run();
    let told = on(&place, "mac", &["status"]).code(0);
    let all = format!("{}{}", told.stdout(), told.stderr());
    assert!(all.contains("pixel is not the device of that name that was met before"), "{}", told.describe());
}

/// It was said to wait for conflicts, and there were none.
#[test]
fn a_device_that_is_ahead_is_not_said_to_have_conflicts() {
    let place = pair();
    place.write("mac/a.md", "from the mac\n");
    on(&place, "mac", &["commit"]).ok();
    on(&place, "mac", &["checkout", "main~1"]).ok();
    place.write("pixel/b.md", "from the phone\n");
    let told = on(&place, "mac", &["sync", "pixel"]).run();
    assert!(!told.stdout().contains("conflicts"), "{}", told.describe());
    assert!(told.stdout().contains("pixel has another head"), "{}", told.describe());
}

/// `conflicts` showed a conflict that was decided like one that was not.
#[test]
fn conflicts_tell_what_was_chosen_so_far() {
    let place = pair();
    for (device, text) in [("mac", "of the mac"), ("pixel", "of the phone")] {
        place.write(format!("{device}/continuity.md"), format!("one\n{text}\nthree\nfour\nfive\n"));
        place.write(format!("{device}/new.md"), format!("{text}\n"));
        on(&place, device, &["commit"]).ok();
    }
    on(&place, "mac", &["pull", "pixel"]).code(4);
    on(&place, "mac", &["resolve", "new.md", "--take", "pixel"]).code(4);
    let shown = on(&place, "mac", &["conflicts", "new.md"]).ok();
    assert!(shown.contains("chosen: as pixel has it"), "{shown}");
    let conflicts = on(&place, "mac", &["conflicts"]).json_lines();
    let chosen = |path: &str| conflicts.iter().find(|c| c["path"] == path).map(|c| c["chosen"].clone());
    let of_pixel = conflicts.iter().find(|c| c["path"] == "new.md").expect("it is pending")["sides"]
        .as_array()
        .and_then(|sides| sides.iter().find(|side| side["device"] == "pixel"))
        .map(|side| side["id"].clone());
    assert_eq!(chosen("continuity.md"), Some(serde_json::Value::Null));
    assert_eq!(chosen("new.md").map(|chosen| chosen["id"].clone()), of_pixel);

    // Exit code 4 of a clone was without a word.
    on(&place, "mac", &["push", "pixel"]).ok();
    let cloned = place.mvault(["clone", "mac", "third", "--device", "third"]).code(4);
    assert!(cloned.stderr().contains("conflicts are pending"), "{}", cloned.describe());
}

#[test]
fn remotes_have_the_same_fields_when_added_and_when_listed() {
    let place = pair();
    let added = on(&place, "mac", &["remote", "add", "stick", "../stick"]).json();
    let listed = on(&place, "mac", &["remote", "list"]).json_lines();
    let listed = listed.iter().find(|remote| remote["name"] == "stick").expect("it was added");
    assert_eq!(&added, listed);
    assert!(added.get("head").is_some() && added.get("last_seen").is_some(), "{added}");
    assert_eq!(on(&place, "mac", &["remote", "remove", "stick"]).json()["name"], "stick");
}

#[test]
fn a_clone_that_fails_leaves_no_folder_of_its_own() {
    let place = Place::new();
    place.mvault(["clone", "nowhere", "made", "--device", "pixel"]).code(6);
    assert!(!place.work().join("made").exists());
    std::fs::create_dir(place.work().join("kept")).expect("a folder");
    place.mvault(["clone", "nowhere", "kept", "--device", "pixel"]).code(6);
    assert!(place.work().join("kept").exists());
}

/// Runs a script of the shell in which `stick` cannot be written.
#[cfg(target_os = "linux")]
fn with_locked_stick(place: &Place, script: &str) -> crate::support::Outcome {
    let lock = "mount --bind stick stick && mount -o remount,bind,ro stick";
    let unshared = |script: &str| {
        let script = format!("{lock} && cd . && {script}");
        place.program("unshare", ["--user", "--map-root-user", "--mount", "sh", "-ec", &script])
    };
    let probe = unshared("true").run();
    assert_eq!(
        probe.code,
        Some(0),
        "this test makes a mount in a user namespace: it needs `unshare` of util-linux, and a kernel that lets \
         users have namespaces (sysctl kernel.unprivileged_userns_clone=1)\n{}",
        probe.describe()
    );
    unshared(script).run()
}

/// Its lock could not be taken, and nothing came from it.
#[cfg(target_os = "linux")]
#[test]
fn a_vault_on_a_locked_stick_can_be_cloned_and_pulled_from() {
    let place = Place::new();
    place.write("stick/a.md", "on the stick\n");
    on(&place, "stick", &["init", "--device", "stick"]).ok();
    on(&place, "stick", &["commit"]).ok();
    let mvault = crate::support::MVAULT;
    let script = format!(
        "'{mvault}' clone stick copy --device mac; '{mvault}' -C copy pull stick; echo b > copy/b.md; \
         '{mvault}' -C copy commit; ! '{mvault}' -C copy push stick"
    );
    let outcome = with_locked_stick(&place, &script);
    assert_eq!(outcome.code, Some(0), "{}", outcome.describe());
    assert!(outcome.stderr().contains("read-only file system"), "{}", outcome.describe());
    assert_eq!(place.read("copy/a.md"), b"on the stick\n");
}
