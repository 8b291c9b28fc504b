//! One place on disk that does not cooperate: what is in it waits, everything else goes on.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{MVAULT, Outcome, Place};

/// Runs mvault as somebody for whom permissions count: root gives that right away first.
fn obeying(place: &Place, device: &str, args: &[&str]) -> Outcome {
    match rustix::process::geteuid().is_root() {
        true => {
            let less = "--bounding-set=-dac_override,-dac_read_search";
            place.program("setpriv", [&[less, MVAULT], args].concat()).dir(device).run()
        }
        false => place.mvault(args).dir(device).run(),
    }
}

fn done(place: &Place, device: &str, args: &[&str]) -> Outcome {
    let outcome = obeying(place, device, args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.describe());
    outcome
}

fn set_mode(place: &Place, path: &str, mode: u32) {
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(place.work().join(path), mode).expect("it is ours");
}

fn waiting(place: &Place, device: &str) -> Vec<String> {
    let status = done(place, device, &["--json", "status"]).json();
    let list = status["waiting"].as_array().expect("a list").clone();
    assert!(list.iter().all(|one| one["why"].as_str().is_some_and(|why| !why.is_empty())), "{status}");
    list.iter().map(|one| one["path"].as_str().expect("a path").to_owned()).collect()
}

fn changes(place: &Place, device: &str) -> Vec<Value> {
    let status = done(place, device, &["--json", "status"]).json();
    status["changes"].as_array().expect("a list").clone()
}

/// `mac` and `pixel` with one vault; pixel has committed a change of every kind in `d`, and one beside it.
fn pair() -> Place {
    let place = Place::new();
    for (path, text) in [("d/f.md", "one\n"), ("d/goes.md", "one\n"), ("z.md", "one\n")] {
        place.write(format!("mac/{path}"), text);
    }
    place.mvault(["init", "--device", "mac"]).dir("mac").ok();
    place.mvault(["commit", "-m", "first"]).dir("mac").ok();
    place.mvault(["clone", "mac", "pixel", "--device", "pixel"]).ok();
    place.mvault(["remote", "add", "pixel", "../pixel"]).dir("mac").ok();
    place.write("pixel/d/f.md", "one\ntwo\n");
    place.write("pixel/d/new.md", "new\n");
    place.write("pixel/z.md", "one\ntwo\n");
    std::fs::remove_file(place.work().join("pixel/d/goes.md")).expect("removes");
    place.mvault(["commit", "-m", "second"]).dir("pixel").ok();
    place
}

/// A folder without write permission stopped the pull half-way, and after it 19 of 22 commands, until somebody
/// put the permission right; the other device's sync ended with 6.
#[test]
fn a_locked_folder_waits_and_every_command_and_the_other_device_go_on() {
    let place = pair();
    set_mode(&place, "mac/d", 0o555);
    let pulled = done(&place, "mac", &["--json", "pull", "pixel"]).json();
    assert_eq!(pulled["waiting"].as_array().map(Vec::len), Some(3), "{pulled}");
    assert_eq!(place.read("mac/z.md"), b"one\ntwo\n");
    assert_eq!(waiting(&place, "mac"), ["d/f.md", "d/goes.md", "d/new.md"]);
    assert!(changes(&place, "mac").is_empty());
    for args in [
        &["log"][..],
        &["show", "main:d/f.md"],
        &["diff"],
        &["boot"],
        &["note", "hi"],
        &["commit"],
        &["standup"],
        &["doctor"],
        &["repair"],
        &["gc"],
        &["reconcile"],
        &["verify"],
        &["branch"],
        &["events", "list"],
    ] {
        done(&place, "mac", args);
    }
    // An agent that reads the old file from disk has to know.
    let boot = done(&place, "mac", &["boot"]).stdout();
    assert!(boot.contains("3 files could not be updated") && boot.contains("- d/f.md ("), "{boot}");
    done(&place, "pixel", &["sync", "../mac"]);
    let head = done(&place, "mac", &["show", "main:d/f.md"]).stdout();
    assert_eq!(head, "one\ntwo\n", "no commit took the waiting file's old bytes for an edit");
    // With the stat cache gone it is the same.
    std::fs::remove_file(place.work().join("mac/.mvault/index")).expect("removes");
    done(&place, "mac", &["commit"]);
    assert_eq!(done(&place, "mac", &["show", "main:d/f.md"]).stdout(), "one\ntwo\n");
    set_mode(&place, "mac/d", 0o755);
    assert!(waiting(&place, "mac").is_empty());
    assert_eq!(place.read("mac/d/f.md"), b"one\ntwo\n");
    assert_eq!(place.read("mac/d/new.md"), b"new\n");
    assert!(!place.work().join("mac/d/goes.md").exists());
    assert!(changes(&place, "mac").is_empty());
}

#[test]
fn an_edit_of_a_file_that_waits_is_seen_refused_and_never_overwritten_unsaved() {
    let place = pair();
    set_mode(&place, "mac/d", 0o555);
    done(&place, "mac", &["pull", "pixel"]);
    place.write("mac/d/f.md", "one\nmine\n");
    place.write("mac/beside.md", "beside\n");
    let committed = obeying(&place, "mac", &["--json", "commit"]);
    assert_eq!(committed.code, Some(3), "{}", committed.describe());
    assert_eq!(committed.json()["rejected"][0]["reason"], "waiting");
    assert_eq!(done(&place, "mac", &["show", "main:beside.md"]).stdout(), "beside\n");
    assert_eq!(done(&place, "mac", &["show", "main:d/f.md"]).stdout(), "one\ntwo\n");
    set_mode(&place, "mac/d", 0o755);
    assert_eq!(waiting(&place, "mac"), ["d/f.md"]);
    assert_eq!(place.read("mac/d/f.md"), b"one\nmine\n");
    done(&place, "mac", &["checkout", "main", "--", "d/f.md"]);
    assert_eq!(place.read("mac/d/f.md"), b"one\ntwo\n");
    assert_eq!(done(&place, "mac", &["show", "saved/1:d/f.md"]).stdout(), "one\nmine\n");
    assert!(waiting(&place, "mac").is_empty());
}

#[test]
fn allowed_an_edit_takes_the_place_of_what_waits() {
    let place = pair();
    set_mode(&place, "mac/d", 0o555);
    done(&place, "mac", &["pull", "pixel"]);
    place.write("mac/d/f.md", "mine\n");
    done(&place, "mac", &["commit", "--allow", "waiting:d/f.md"]);
    assert_eq!(waiting(&place, "mac"), ["d/goes.md", "d/new.md"]);
    assert_eq!(done(&place, "mac", &["show", "main:d/f.md"]).stdout(), "mine\n");
    set_mode(&place, "mac/d", 0o755);
    assert!(waiting(&place, "mac").is_empty());
    assert_eq!(place.read("mac/d/f.md"), b"mine\n");
}

#[test]
fn what_cannot_be_read_waits_and_is_no_deletion() {
    let place = pair();
    set_mode(&place, "mac/d", 0o000);
    let pulled = done(&place, "mac", &["--json", "pull", "pixel"]).json();
    assert_eq!(pulled["waiting"].as_array().map(Vec::len), Some(3), "{pulled}");
    let committed = obeying(&place, "mac", &["--json", "commit"]);
    assert_eq!(committed.code, Some(3), "{}", committed.describe());
    assert_eq!(committed.json()["rejected"][0]["reason"], "unreadable");
    done(&place, "mac", &["boot"]);
    done(&place, "mac", &["repair"]);
    set_mode(&place, "mac/d", 0o755);
    assert!(waiting(&place, "mac").is_empty());
    assert_eq!(place.read("mac/d/f.md"), b"one\ntwo\n");
}

#[test]
fn every_way_back_goes_through_a_locked_folder() {
    let place = pair();
    done(&place, "mac", &["pull", "pixel"]);
    set_mode(&place, "mac/d", 0o555);
    for (args, z) in [
        (&["checkout", "main~1"][..], "one\n"),
        (&["checkout", "main"], "one\ntwo\n"),
        (&["undo"], "one\n"),
        (&["rollback", "main~1"], "one\n"),
        (&["undo"], "one\n"),
        (&["checkout", "main"], "one\ntwo\n"),
    ] {
        done(&place, "mac", args);
        assert_eq!(place.read("mac/z.md"), z.as_bytes(), "after {args:?}");
        assert!(changes(&place, "mac").is_empty(), "after {args:?}");
    }
    // Files that are asked for by name are asked for once: the others come, and the command says which did not.
    let outcome = obeying(&place, "mac", &["checkout", "main~1", "--", "d/f.md", "z.md"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.describe());
    assert!(outcome.stderr().contains("not restored: d/f.md"), "{}", outcome.describe());
    assert_eq!(place.read("mac/z.md"), b"one\n");
    assert!(waiting(&place, "mac").is_empty());
}

/// The list of what waits is state: damaged, it must not turn into edits that nobody made.
#[test]
fn a_damaged_list_is_damage_and_repair_sets_it_aside() {
    let place = pair();
    set_mode(&place, "mac/d", 0o555);
    done(&place, "mac", &["pull", "pixel"]);
    place.write("mac/.mvault/waiting.jsonl", "garbled");
    assert_eq!(obeying(&place, "mac", &["commit"]).code, Some(5));
    let verified = obeying(&place, "mac", &["--json", "verify"]);
    assert_eq!(verified.code, Some(5), "{}", verified.describe());
    assert_eq!(verified.json()["problems"][0]["kind"], "waiting");
    obeying(&place, "mac", &["repair"]);
    done(&place, "mac", &["verify"]);
    assert_eq!(changes(&place, "mac").len(), 3);
}

/// A pack without read permission was called damage, with the hint to repair what is whole.
#[test]
fn a_pack_that_may_not_be_read_is_a_matter_of_permission_and_not_of_damage() {
    let place = pair();
    let objects = place.work().join("mac/.mvault/objects");
    let packs: Vec<String> = std::fs::read_dir(&objects)
        .expect("lists")
        .map(|pack| pack.expect("lists").file_name().into_string().expect("text"))
        .filter(|name| name.ends_with(".pack"))
        .collect();
    let set_all =
        |mode| packs.iter().for_each(|pack| set_mode(&place, &format!("mac/.mvault/objects/{pack}"), mode));
    set_all(0o000);
    let shown = obeying(&place, "mac", &["--json", "show", "main:z.md"]);
    assert_eq!((shown.code, shown.error()["kind"].as_str()), (Some(1), Some("permission_denied")));
    obeying(&place, "mac", &["repair"]);
    set_all(0o444);
    assert_eq!(done(&place, "mac", &["show", "main:z.md"]).stdout(), "one\n");
}
