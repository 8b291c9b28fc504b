//! A `.mvault` in which a file is missing, empty or garbled: nothing else of it is ever lost for that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::support::{Outcome, Place};

/// A vault with history, a clone that it met, something in quarantine, a token and a tag.
fn vault() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("continuity.md", "# Continuity\n");
    place.write("notes/a.md", "one\n");
    place.mvault(["commit", "-m", "first"]).ok();
    place.mvault(["clone", ".", "../far", "--device", "pixel"]).ok();
    place.mvault(["pull", "../far"]).ok();
    place.mvault(["remote", "add", "pixel", "../far"]).ok();
    place.write("continuity.md", "");
    place.mvault(["commit", "-m", "emptied"]).code(3);
    place.write("continuity.md", "# Continuity\n\nmore\n");
    place.mvault(["commit", "-m", "second"]).ok();
    place.mvault(["tag", "good"]).ok();
    place
}

/// The bytes of all files below a folder of `.mvault`, by their paths.
fn files(dot: &Path, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let walk = walkdir::WalkDir::new(dot.join(folder)).into_iter().filter_map(Result::ok);
    let files = walk.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let path = entry.path().strip_prefix(dot).expect("below").to_path_buf();
            (path, std::fs::read(entry.path()).expect("a file"))
        })
        .collect()
}

const KEPT: [&str; 4] = ["objects", "oplog", "quarantine", "rejections"];

fn kept(dot: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    KEPT.iter().flat_map(|folder| files(dot, folder)).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file");
        }
    }
}

/// Everything that was there is there: at its place, continued, or in quarantine by its hash.
#[track_caller]
fn assert_nothing_is_less(before: &BTreeMap<PathBuf, Vec<u8>>, dot: &Path, outcome: &Outcome) {
    let after = kept(dot);
    for (path, bytes) in before {
        let name = Path::new("quarantine").join(hex::encode(Sha256::digest(bytes)));
        let stands = after.get(path).is_some_and(|now| now.starts_with(bytes));
        let is_aside = after.get(&name) == Some(bytes);
        assert!(stands || is_aside, "{} is gone or less\n{}", path.display(), outcome.describe());
    }
}

/// A vault whose `.mvault/format` was removed, 17 bytes, had "never finished" said of it by every command, with
/// the advice to run `init`; and that wiped 500 commits, the log, quarantine, name and id. Any other file
/// may go the same way: a partial restore, a sync tool, a cleaner.
#[test]
fn no_single_file_that_is_lost_takes_anything_else_with_it() {
    let place = vault();
    let template = place.work().join(".mvault");
    let mut names: Vec<PathBuf> = files(&template, ".").into_keys().collect();
    names.retain(|name| !name.starts_with("tmp"));
    assert!(names.len() > 9, "{names:?}");
    let source = place.root().join("far").to_string_lossy().into_owned();
    let mut trials = 0;
    for name in &names {
        for damage in ["removed", "emptied", "garbled"] {
            for verb in ["status", "init", "clone", "repair"] {
                trials += 1;
                let trial = place.root().join(format!("trial-{trials}"));
                copy(&place.work(), &trial);
                let (dot, path) = (trial.join(".mvault"), trial.join(".mvault").join(name));
                std::fs::remove_file(&path).expect("it is there");
                match damage {
                    "emptied" => std::fs::write(&path, b"").expect("is written"),
                    "garbled" => std::fs::write(&path, b"\x07 gar\xffbled\n").expect("is written"),
                    _ => {}
                }
                let before = kept(&dot);
                let args: &[&str] = match verb {
                    "init" => &["init", ".", "--device", "mac"],
                    "clone" => &["clone", &source, ".", "--device", "third"],
                    verb => &[verb],
                };
                let outcome = place.mvault(args).dir(&trial).run();
                assert!(outcome.code.is_some_and(|code| code != 101), "{}", outcome.describe());
                assert_nothing_is_less(&before, &dot, &outcome);
                if matches!(verb, "init" | "clone") {
                    assert_ne!(outcome.code, Some(0), "{name:?} {damage}: {}", outcome.describe());
                    assert_eq!(kept(&dot), before, "{}", outcome.describe());
                }
                std::fs::remove_dir_all(&trial).expect("is removed");
            }
        }
    }
}

/// The same story: what every command says of such a vault leads to a way out that keeps all of it.
#[test]
fn a_missing_format_is_told_as_an_empty_one_and_repair_writes_it_again() {
    for damage in [None, Some(""), Some("mvault-form")] {
        let place = vault();
        let head = place.mvault(["status"]).json()["head"].clone();
        let format = place.work().join(".mvault/format");
        std::fs::remove_file(&format).expect("it is there");
        if let Some(text) = damage {
            place.write(".mvault/format", text);
        }
        for verb in ["status", "log", "commit", "verify", "gc", "init"] {
            let outcome = place.mvault([verb]).code(5);
            let said = outcome.stdout() + &outcome.stderr();
            assert!(said.contains("mvault repair") && !said.contains("mvault init"), "{said}");
        }
        let said = place.mvault(["doctor"]).code(1).stdout();
        assert!(said.contains("mvault repair") && !said.contains("mvault init"), "{said}");
        place.mvault(["repair", "--dry-run"]).code(5);
        assert!(std::fs::read(&format).unwrap_or_default() != b"mvault-format 1\n");
        place.mvault(["repair"]).ok();
        assert_eq!(std::fs::read(&format).expect("it is there"), b"mvault-format 1\n");
        assert_eq!(place.mvault(["status"]).json()["head"], head);
        place.mvault(["verify"]).ok();
    }
}

/// Without its settings a vault was as good as lost: "nothing was changed; try again".
#[test]
fn lost_settings_come_back_from_the_log() {
    let place = vault();
    let lines = |text: Vec<u8>| {
        let text = String::from_utf8(text).expect("text");
        text.lines().take(4).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = lines(place.read(".mvault/config.toml"));
    for damage in [None, Some(""), Some("[device\nname=")] {
        std::fs::remove_file(place.work().join(".mvault/config.toml")).expect("it is there");
        if let Some(text) = damage {
            place.write(".mvault/config.toml", text);
        }
        let error = place.mvault(["status", "--json"]).code(5).error();
        assert_eq!(error["kind"], "damaged");
        assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("mvault repair")), "{error}");
        place.mvault(["repair"]).ok();
        assert_eq!(lines(place.read(".mvault/config.toml")), before, "name, epoch and vault are the same");
        place.mvault(["verify"]).ok();
    }
}

/// A killed `init` leaves less and less of this; the next one finishes it with what is there.
#[test]
fn a_cut_init_is_finished_by_the_next_one() {
    for removed in
        [&[][..], &["oplog"], &["oplog", "objects"], &["oplog", "objects", "config.toml", "purged"]]
    {
        let place = Place::new();
        let made = place.mvault(["init", "--device", "mac"]).json();
        for name in ["format"].iter().chain(removed) {
            let path = place.work().join(".mvault").join(name);
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
                .expect("it is there");
        }
        let said = place.mvault(["status"]).code(1).stderr();
        assert!(said.contains("cut short") && said.contains("mvault init"), "{said}");
        let again = place.mvault(["init", "--device", "mac"]).json();
        if removed.len() < 3 {
            assert_eq!(again["id"], made["id"], "it is the same vault");
        }
        place.write("a.md", "one\n");
        place.mvault(["commit"]).ok();
        place.mvault(["verify"]).ok();
    }
}

/// A clone killed while it fetched had a format and no commits: `clone` again refused, "there is a vault
/// already", and nothing else finished it.
#[test]
fn a_clone_that_got_nothing_yet_is_gone_on_with_by_the_same_command() {
    let place = vault();
    let far = place.root().join("second");
    std::fs::create_dir(&far).expect("a folder");
    std::fs::write(far.join("mine.txt"), "mine\n").expect("is written");
    place.mvault(["clone", ".", "../second", "--device", "phone"]).ok();
    // What a kill during the transfer leaves: the settings of the clone, and the log's first operation.
    let dot = far.join(".mvault");
    let log = dot.join("oplog/0000000000000001.jsonl");
    let text = std::fs::read_to_string(&log).expect("a log");
    let first: String = text.split_inclusive('\n').take(2).collect();
    std::fs::write(&log, first).expect("is written");
    for name in ["index", "witness"] {
        std::fs::remove_file(dot.join(name)).expect("it is there");
    }
    let source = place.work().canonicalize().expect("a folder");
    let config = std::fs::read_to_string(dot.join("config.toml")).expect("settings");
    let (config, _) = config.split_once("\n[remote").expect("it has a remote");
    let config = format!("{config}\n[clone]\nsource = {:?}\n", source.to_string_lossy());
    std::fs::write(dot.join("config.toml"), &config).expect("is written");
    let said = place.mvault(["status"]).dir("../second").code(1).stderr();
    assert!(said.contains("`mvault clone ") && said.contains("/second`"), "{said}");
    place.mvault(["clone", ".", "../second", "--device", "other"]).code(1);
    place.mvault(["clone", ".", "../second", "--device", "phone"]).ok();
    let ours = place.mvault(["status"]).json();
    assert_eq!(place.mvault(["status"]).dir("../second").json()["head"], ours["head"]);
    assert!(place.mvault(["remote", "list"]).dir("../second").ok().starts_with("mac  "));
    assert_eq!(std::fs::read(far.join("mine.txt")).expect("a file"), b"mine\n");
    place.mvault(["verify"]).dir("../second").ok();
    place.mvault(["clone", ".", "../second", "--device", "phone"]).code(1);
    // Killed right before the end it lacks the remote alone, and says so.
    std::fs::write(dot.join("config.toml"), config).expect("is written");
    let said = place.mvault(["status"]).dir("../second").run();
    assert!(said.code == Some(0) && said.stderr().contains("mvault clone "), "{}", said.describe());
    place.mvault(["clone", ".", "../second", "--device", "phone"]).ok();
    assert!(place.mvault(["remote", "list"]).dir("../second").ok().starts_with("mac  "));
    assert_eq!(place.mvault(["status"]).dir("../second").run().stderr(), "");
}
