//! The gateway through the program: what it refuses, holds, keeps and lets through.
//!
//! Credentials are put together when the tests run, so that none stands in the repository.

mod hostile;
mod kept;
mod killed;
#[cfg(target_os = "linux")]
mod mounts;
mod obeyed;
mod pull;
mod reasons;
mod seals;
mod streams;
mod write;

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Outcome, Place, Run};

/// An AWS access key in the form that its maker gave it.
fn secret() -> String {
    ["AK", "IA", "Z7QK", "3M2P", "X5VN", "R4TJ"].concat()
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes.as_ref()))
}

/// A vault with one commit of a page and a note.
fn vault() -> Place {
    let place = Place::new();
    place.write("continuity.md", "# Continuity\n\nas it was\n");
    place.write("notes/a.md", "a note\n");
    place.mvault(["init", "--device", "mac"]).ok();
    place.mvault(["commit", "-m", "first"]).ok();
    place
}

/// A vault on `mac` with the files, and a clone of it on `pixel`.
fn pair(files: &[(&str, &str)]) -> Place {
    let place = Place::new();
    for (path, content) in files {
        place.write(format!("mac/{path}"), content);
    }
    on(&place, "mac", &["init", "--device", "mac"]).ok();
    on(&place, "mac", &["commit", "-m", "first"]).ok();
    place.mvault(["clone", "mac", "pixel", "--device", "pixel"]).ok();
    on(&place, "mac", &["remote", "add", "pixel", "../pixel"]).ok();
    on(&place, "pixel", &["remote", "add", "mac", "../mac"]).ok();
    place
}

fn on(place: &Place, device: &str, args: &[&str]) -> Run {
    place.mvault(args).dir(device)
}

fn head(place: &Place) -> String {
    head_of(place, ".")
}

fn head_of(place: &Place, device: &str) -> String {
    let head = on(place, device, &["log", "-n", "1"]).json();
    head["id"].as_str().expect("an id").to_owned()
}

/// What the head has at a path.
fn committed(place: &Place, path: &str) -> Option<Vec<u8>> {
    let shown = place.mvault(["show", &format!("HEAD:{path}")]).run();
    (shown.code == Some(0)).then_some(shown.stdout)
}

/// The reasons that a command's JSON gives, as `CODE PATH`.
#[track_caller]
fn reasons(outcome: &Value, list: &str) -> Vec<String> {
    let all = outcome[list].as_array().unwrap_or_else(|| panic!("no {list} in {outcome}"));
    let word = |value: &Value| value.as_str().expect("a string").to_owned();
    all.iter().map(|one| format!("{} {}", word(&one["reason"]), word(&one["path"]))).collect()
}

/// The lines of a session's rejection log, of a vault in `work` or below it.
fn rejections(place: &Place, device: &str, session: &str) -> Vec<Value> {
    let path = place.work().join(device).join(".mvault/rejections").join(format!("{session}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The command and path that stand in the newest operation of a name as let through.
fn allowed(place: &Place, device: &str, operation: &str) -> Vec<String> {
    let audit = on(place, device, &["audit"]).json_lines();
    let newest = audit.iter().find(|line| line["op"] == operation);
    let newest = newest.unwrap_or_else(|| panic!("no operation {operation}"));
    let all = newest["detail"]["allowed"].as_array().cloned().unwrap_or_default();
    all.iter().map(|one| one.as_str().expect("a string").to_owned()).collect()
}

/// Removes a file below `work`.
fn remove(place: &Place, path: impl AsRef<Path>) {
    std::fs::remove_file(place.work().join(path)).expect("it is there");
}

/// What `sha256sum -c` says of every sidecar below a folder of `work`.
fn check_seals(place: &Place, folder: &str) -> Outcome {
    let script = "find . -name .mvault -prune -o -name '*.sha256' -execdir sha256sum -c --quiet {} +";
    place.program("sh", ["-c", script]).dir(folder).run()
}

#[track_caller]
fn assert_seals_hold(place: &Place, folder: &str) {
    let outcome = check_seals(place, folder);
    assert_eq!(outcome.code, Some(0), "{}", outcome.describe());
    assert!(outcome.stderr.is_empty(), "{}", outcome.describe());
}

/// Demands that a text is nowhere in an outcome nor in any file or name that the vault keeps to itself but
/// its quarantine.
#[track_caller]
fn assert_not_told(place: &Place, text: &str, outcomes: &[&Outcome]) {
    let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for outcome in outcomes {
        assert!(!holds(&outcome.stdout) && !holds(&outcome.stderr), "{}", outcome.describe());
    }
    for entry in walkdir::WalkDir::new(place.work().join(".mvault")) {
        let entry = entry.expect("can be walked");
        let name: &OsStr = entry.file_name();
        assert!(!holds(name.as_encoded_bytes()), "{}", entry.path().display());
        let is_kept = entry.path().components().any(|part| part.as_os_str() == "quarantine");
        if entry.file_type().is_file() && !is_kept {
            let bytes = std::fs::read(entry.path()).expect("a file");
            assert!(!holds(&bytes), "{}", entry.path().display());
        }
    }
}
