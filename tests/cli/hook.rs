//! `hook`: what hosts run. Exit code 0 and the host's JSON, whatever happens.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Outcome, Place};

const AGENTS: [&str; 4] = ["claude-code", "codex", "gemini", "cursor"];

/// The fixtures: host, event, file.
fn fixtures() -> Vec<(String, String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/hooks");
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let mut found = Vec::new();
    for agent in names(&root) {
        for event in names(&root.join(&agent)) {
            for file in names(&root.join(&agent).join(&event)) {
                found.push((agent.clone(), event.clone(), root.join(&agent).join(&event).join(file)));
            }
        }
    }
    assert_eq!(found.len(), 90);
    found
}

/// The one object on standard output.
#[track_caller]
fn object(outcome: &Outcome) -> serde_json::Map<String, Value> {
    match outcome.json() {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

#[test]
fn every_fixture_is_answered_with_and_without_a_vault() {
    for with_vault in [false, true] {
        let place = Place::new();
        if with_vault {
            place.mvault(["init", "--device", "mac"]).ok();
        }
        for (agent, event, file) in fixtures() {
            let stdin = std::fs::read(&file).expect("reads");
            let outcome = place.mvault(["hook", &agent, &event]).stdin(stdin).code(0);
            let object = object(&outcome);
            assert!(with_vault || object.is_empty(), "nothing is said where there is no vault: {object:?}");
            assert!(event == "session-start" || !object.contains_key("hookSpecificOutput"), "{object:?}");
        }
    }
}

#[test]
fn words_that_make_no_sense_are_answered_like_everything_else() {
    let place = Place::new();
    for words in [
        &["hook"][..],
        &["hook", "emacs", "stop"],
        &["hook", "codex", "lunch"],
        &["hook", "--bogus"],
        &["hook", "codex", "stop", "--bogus", "more"],
        &["--color", "bad", "hook", "codex", "stop"],
        &["-C", "not-there", "hook", "codex", "stop"],
    ] {
        let outcome = place.mvault(words).code(0);
        assert_eq!(outcome.stdout, b"{}\n", "{words:?}");
        assert!(!outcome.stderr.is_empty(), "{words:?}");
    }
}

#[test]
fn a_damaged_vault_and_odd_surroundings_end_with_0_too() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    std::fs::write(place.work().join(".mvault/config.toml"), "not toml = = =").expect("is there");
    for agent in AGENTS {
        let stdin = r#"{"session_id":"s1","source":"startup"}"#;
        let run = place.mvault(["hook", agent, "session-start"]).stdin(stdin).env("MVAULT_SESSION", "a b");
        assert!(!object(&run.code(0)).is_empty(), "that the memory cannot be read is said");
    }
}

#[test]
fn the_default_vault_is_found_from_anywhere() {
    let place = Place::new();
    place.write("vault/continuity.md", "# here");
    place.write("project/a", "");
    place.mvault(["init", "vault", "--device", "mac"]).ok();
    let stdin = r#"{"session_id":"s1","source":"startup"}"#;
    let outcome = place.mvault(["hook", "claude-code", "session-start"]).dir("project").stdin(stdin).code(0);
    assert!(!object(&outcome).is_empty(), "the default vault speaks");
}
