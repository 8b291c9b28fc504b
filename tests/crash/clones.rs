//! A clone killed before each of its state-changing calls, and the same command given again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::kill::{kill_at, mvault, points};
use super::sweep::{copy, points_asked};
use super::{commit, vault_of_two_states};
use crate::support::Place;

const ARGS: [&str; 5] = ["clone", ".", "../second", "--device", "pixel"];
/// What the folder has before: a clone must never touch it.
const MINE: &str = "mine, and in no vault\n";

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let walk = walkdir::WalkDir::new(folder).into_iter();
    let walk = walk.filter_entry(|entry| entry.file_name() != ".mvault").filter_map(Result::ok);
    let walk = walk.filter(|entry| !entry.file_type().is_dir());
    walk.map(|entry| {
        let path = entry.path().strip_prefix(folder).expect("below").to_path_buf();
        let bytes = match std::fs::read_link(entry.path()) {
            Ok(target) => target.into_os_string().into_encoded_bytes(),
            Err(_) => std::fs::read(entry.path()).expect("a file"),
        };
        (path, bytes)
    })
    .collect()
}

/// What a clone comes to: files, head, what is left to commit, and the remote.
fn outcome(place: &Place) -> (BTreeMap<PathBuf, Vec<u8>>, String, String) {
    let run = |args: &[&str]| mvault(place, args).dir("../second");
    let status = run(&["status"]).json();
    run(&["verify"]).ok();
    run(&["audit", "--verify"]).ok();
    let remote = run(&["remote", "list", "--json"]).json()["device"].to_string();
    let told = format!("{} {} {}", status["head"], status["changes"], status["pending"]);
    (files(&place.root().join("second")), told, remote)
}

/// 17 of 27 clones that were killed could not be made again: "there is a vault in second already", and `status`
/// said "this vault has no commits yet … a clone that was cut short can be made again".
#[test]
fn a_clone_killed_before_any_call_is_finished_by_the_same_command() {
    let place = vault_of_two_states();
    commit(&place, "new");
    let second = place.root().join("second");
    std::fs::create_dir(&second).expect("a folder");
    std::fs::write(second.join("mine.txt"), MINE).expect("is written");
    let whole = copy(&place);
    let points = points(&whole, &ARGS);
    let wanted = outcome(&whole);
    let limit = points_asked().unwrap_or(60);
    let count = points.len().min(limit);
    assert!(count >= 20, "too few points for this to be a sweep: {}", points.len());
    for number in 0..count {
        let point = &points[number * points.len() / count];
        let place = copy(&place);
        kill_at(&place, &ARGS, point);
        let mine = std::fs::read(place.root().join("second/mine.txt")).expect("it is there");
        assert_eq!(mine, MINE.as_bytes(), "killed before {}", point.line);
        let again = mvault(&place, &ARGS).run();
        let is_done = again.code == Some(0);
        // Killed behind its last call, or in the source after it, a clone is finished: that is what it says.
        let was_done = again.code == Some(1) && again.stderr().contains("there is a vault");
        assert!(is_done || was_done, "killed before {}: {}", point.line, again.describe());
        assert_eq!(outcome(&place), wanted, "killed before {}", point.line);
    }
}
