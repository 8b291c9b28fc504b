//! `hooks`: settings of agents wired and given back.

use serde_json::Value;

use crate::support::Place;

const SETTINGS: &str = "home/.claude/settings.json";

fn put(place: &Place, path: &str, text: &str) {
    let path = place.root().join(path);
    std::fs::create_dir_all(path.parent().expect("in a folder")).expect("folders");
    std::fs::write(path, text).expect("a file");
}

fn get(place: &Place, path: &str) -> Option<String> {
    std::fs::read_to_string(place.root().join(path)).ok()
}

#[test]
fn claude_code_is_wired_once_shown_first_and_given_back() {
    let place = Place::new();
    let mine = "{\n  \"model\": \"x\",\n  \"hooks\": {\"PreToolUse\": []}\n}\n";
    put(&place, SETTINGS, mine);
    let diff = place.mvault(["hooks", "install", "claude-code", "--dry-run"]).ok();
    assert!(
        diff.starts_with("diff --git a") && diff.contains("\n+") && diff.contains("session-start"),
        "{diff}"
    );
    assert_eq!(get(&place, SETTINGS).as_deref(), Some(mine), "a dry run writes nothing");

    let told = place.mvault(["hooks", "install", "claude-code"]).json();
    assert_eq!((&told["changed"], &told["outcome"]), (&Value::Bool(true), &Value::from("installed")));
    let wired = get(&place, SETTINGS).expect("is there");
    assert_eq!(get(&place, "home/.claude/settings.json.mvault-backup").as_deref(), Some(mine));
    let value: Value = serde_json::from_str(&wired).expect("JSON");
    let handler = &value["hooks"]["SessionEnd"][0]["hooks"][0];
    assert_eq!(handler["args"], serde_json::json!(["hook", "claude-code", "session-end"]));
    assert!(handler["command"].as_str().is_some_and(|path| path.starts_with('/')), "{handler}");

    let told = place.mvault(["hooks", "install", "claude-code"]).ok();
    assert!(told.starts_with("already installed for Claude Code"), "{told}");
    assert_eq!(get(&place, SETTINGS), Some(wired));
    place.mvault(["hooks", "uninstall", "claude-code"]).ok();
    assert_eq!(get(&place, SETTINGS).as_deref(), Some(mine));
    assert_eq!(get(&place, "home/.claude/settings.json.mvault-backup"), None);
}

#[test]
fn settings_with_comments_are_left_alone_and_what_to_add_is_said() {
    let place = Place::new();
    let mine = "{\n  // mine\n  \"model\": \"x\"\n}\n";
    put(&place, SETTINGS, mine);
    let outcome = place.mvault(["hooks", "install", "claude-code"]).code(1);
    let told = outcome.stderr();
    assert!(told.contains("line 2 has a comment") && told.contains("\"session-start\""), "{told}");
    assert_eq!(get(&place, SETTINGS).as_deref(), Some(mine));
    let error = place.mvault(["--json", "hooks", "install", "claude-code"]).code(1).error();
    assert_eq!(error["kind"], "refused");
}

#[test]
fn other_places_and_agents_are_respected() {
    let place = Place::new();
    let elsewhere = place.root().join("own");
    let install = |words: &[&str]| {
        place.mvault(["hooks", "install"].iter().chain(words)).env("CLAUDE_CONFIG_DIR", &elsewhere)
    };
    install(&["claude-code"]).ok();
    assert!(get(&place, "own/settings.json").is_some() && get(&place, SETTINGS).is_none());
    let told = install(&["codex"]).code(0).stderr();
    assert!(told.contains("/hooks"), "that hooks must be trusted is said: {told}");
    install(&["gemini", "--scope", "project"]).ok();
    assert!(
        get(&place, "work/.gemini/settings.json").is_some_and(|text| text.contains("\"timeout\": 15000"))
    );
    install(&["cursor"]).ok();
    assert!(get(&place, "home/.cursor/hooks.json").is_some_and(|text| text.contains("\"version\": 1")));

    let lines = place.mvault(["hooks", "status"]).env("CLAUDE_CONFIG_DIR", &elsewhere).json_lines();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let faults = line["faults"].as_array().expect("a list");
            let faults: Vec<_> = faults.iter().map(|fault| fault["code"].as_str().expect("a word")).collect();
            let word = |name: &str| line[name].as_str().expect("a word").to_owned();
            format!("{} {} {} {}", word("agent"), word("scope"), word("state"), faults.join(","))
        })
        .collect();
    assert_eq!(
        told,
        [
            "claude-code user installed ",
            "codex user installed untrusted",
            "gemini user absent not-installed",
            "gemini project installed ",
            "cursor user installed ",
        ]
    );
    let text = place.mvault(["hooks", "status", "codex"]).ok();
    assert!(text.contains("session-start  15 s") && text.contains("! no hook is trusted yet"), "{text}");
    for words in [&["claude-code"][..], &["codex"], &["gemini", "--scope", "project"], &["cursor"]] {
        let run = place.mvault(["hooks", "uninstall"].iter().chain(words));
        run.env("CLAUDE_CONFIG_DIR", &elsewhere).ok();
    }
    for path in [
        "own/settings.json",
        "home/.codex/hooks.json",
        "work/.gemini/settings.json",
        "home/.cursor/hooks.json",
    ] {
        assert_eq!(get(&place, path), None, "{path}");
    }
    place.mvault(["hooks", "install", "emacs"]).code(2);
}
