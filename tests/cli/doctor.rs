//! `doctor`: what it finds here, what it says where something is missing, and that it leaves nothing.

use serde_json::Value;

use crate::support::Place;

fn check(checks: &Value, name: &str) -> Value {
    let list = checks["checks"].as_array().expect("an array");
    list.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {checks}")).clone()
}

#[test]
fn a_sound_place_passes_and_nothing_is_left_in_it() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    let list = || place.program("find", ["."]).ok();
    let before = list();
    let checks = place.mvault(["doctor"]).json();
    for name in [
        "vault",
        "locks",
        "rename",
        "folding",
        "symlinks",
        "executable",
        "space",
        "clock",
        "default-vault",
        "git",
    ] {
        assert_eq!(check(&checks, name)["ok"], true, "{checks}");
    }
    assert_eq!(list(), before);
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let place = Place::new();
    let checks = place.mvault(["doctor", "--json"]).code(1).json();
    assert_eq!(check(&checks, "vault")["ok"], false);
    place.mvault(["init", "--device", "mac"]).ok();
    std::fs::remove_file(place.root().join("home/.config/mvault/config.toml")).expect("init wrote it");
    let run = place.mvault(["doctor"]).env("PATH", "/nowhere").env("MVAULT_SSH", "/nowhere/ssh");
    let checks = run.json();
    for name in ["ssh", "git", "default-vault"] {
        let check = check(&checks, name);
        assert_eq!((&check["ok"], &check["needed"]), (&Value::Bool(false), &Value::Bool(false)));
        assert!(check["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{check}");
    }
}

#[test]
fn a_vault_that_was_moved_to_another_kind_of_disk_is_noticed() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    let config = place.work().join(".mvault/config.toml");
    let text = std::fs::read_to_string(&config).expect("text");
    assert!(text.contains("folds-case = false"), "{text}");
    std::fs::write(&config, text.replace("folds-case = false", "folds-case = true")).expect("is written");
    let checks = place.mvault(["doctor", "--json"]).code(1).json();
    assert_eq!(check(&checks, "folding")["ok"], false);
}

#[test]
fn a_clock_behind_the_log_is_told() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    let run = place.mvault(["doctor"]).env("MVAULT_TEST_CLOCK", "2026-11-20T00:00:00Z");
    let checks = run.json();
    assert_eq!(check(&checks, "clock")["ok"], false);
}
