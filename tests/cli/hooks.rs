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

/// Where each host keeps its servers, for a user, and what may stand there before.
const SERVERS: [(&str, &str, &str); 4] = [
    ("claude-code", "home/.claude.json", "{\n  \"numStartups\": 3,\n  \"projects\": {}\n}\n"),
    ("codex", "home/.codex/config.toml", "# mine\nmodel = \"x\"\n\n[mcp_servers.other]\ncommand = \"y\"\n"),
    (
        "gemini",
        "home/.gemini/settings.json",
        "{\n  \"theme\": \"x\",\n  \"mcpServers\": {\"other\": {\"command\": \"y\"}}\n}\n",
    ),
    ("cursor", "home/.cursor/mcp.json", "{\"mcpServers\": {\"other\": {\"command\": \"y\"}}}"),
];

#[test]
fn the_server_is_registered_only_when_asked_for_and_taken_back_byte_for_byte() {
    for (agent, file, mine) in SERVERS {
        let place = Place::new();
        put(&place, file, mine);
        place.mvault(["hooks", "install", agent]).ok();
        let without = get(&place, file).expect("it is there");
        assert!(!without.contains("[\"mcp\"]") && !without.contains("\"mcp\"\n"), "{without}");
        let diff = place.mvault(["hooks", "install", agent, "--mcp", "--dry-run"]).ok();
        assert!(diff.contains("\n+") && diff.contains("mcp"), "{diff}");
        assert_eq!(get(&place, file).as_deref(), Some(&*without), "a dry run writes nothing");
        let told = place.mvault(["hooks", "install", agent, "--mcp"]).json_lines();
        assert_eq!((&told[1]["part"], &told[1]["outcome"]), (&"mcp".into(), &"registered".into()));
        let wired = get(&place, file).expect("it is there");
        assert!(wired.contains("\"y\"") || agent == "claude-code", "{wired}");
        let told = place.mvault(["hooks", "install", agent, "--mcp"]).json_lines();
        assert_eq!((&told[1]["changed"], &told[1]["outcome"]), (&false.into(), &"already registered".into()));
        assert_eq!(get(&place, file).as_deref(), Some(&*wired));
        let status = place.mvault(["hooks", "status", agent, "--scope", "user"]).json();
        assert!(status["mcp"].as_str().is_some_and(|program| program.starts_with('/')), "{status}");
        place.mvault(["hooks", "uninstall", agent]).ok();
        assert_eq!(get(&place, file).as_deref(), Some(mine), "{agent}");
        let kept = format!("{file}.mvault-backup");
        assert_eq!(get(&place, &kept), None, "{agent}");
    }
}

#[test]
fn the_registered_server_is_one_that_answers() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.mvault(["hooks", "install", "claude-code", "--mcp", "--scope", "project"]).ok();
    let text = get(&place, "work/.mcp.json").expect("it is there");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let server = &value["mcpServers"]["mvault"];
    assert_eq!((&server["type"], &server["args"]), (&"stdio".into(), &serde_json::json!(["mcp"])));
    let program = server["command"].as_str().expect("a program");
    let hello = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}\n";
    let told = place.program(program, ["mcp"]).stdin(hello).ok();
    assert!(told.contains("supportedVersions"), "{told}");
    place.mvault(["hooks", "uninstall", "claude-code", "--scope", "project"]).ok();
    assert_eq!(get(&place, "work/.mcp.json"), None, "it was made for the server");
}

#[test]
fn a_server_that_is_missed_is_told() {
    let faults = |place: &Place| {
        let status = place.mvault(["hooks", "status", "claude-code", "--scope", "user"]).json();
        let faults = status["faults"].as_array().expect("a list").clone();
        let codes = faults.iter().filter_map(|fault| fault["code"].as_str().map(str::to_owned));
        codes.filter(|code| code.starts_with("mcp")).collect::<Vec<_>>()
    };
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    put(&place, "home/.claude.json", "{}\n");
    place.mvault(["hooks", "install", "claude-code"]).ok();
    assert!(faults(&place).is_empty(), "nobody asked for it");
    place.mvault(["mcp", "token", "create", "claude", "--scope", "read"]).ok();
    assert_eq!(faults(&place), ["mcp-missing"], "a token wants a server");
    let doctor = place.mvault(["doctor"]).run().stdout();
    assert!(doctor.contains("mcp-missing") && doctor.contains("hooks install claude-code --mcp"), "{doctor}");
    place.mvault(["hooks", "install", "claude-code", "--mcp"]).ok();
    assert!(faults(&place).is_empty());
    place.mvault(["mcp", "token", "revoke", "claude"]).ok();
    // The host wrote its file anew and lost the entry.
    put(&place, "home/.claude.json", "{}\n");
    assert_eq!(faults(&place), ["mcp-missing"], "it was asked for");
    put(
        &place,
        "home/.claude.json",
        "{\"mcpServers\":{\"mvault\":{\"command\":\"/gone/mvault\",\"args\":[\"mcp\"]}}}",
    );
    assert_eq!(faults(&place), ["mcp-command-missing"]);
}

#[test]
fn a_file_of_servers_that_cannot_be_read_does_not_keep_hooks_in() {
    let place = Place::new();
    put(&place, "home/.claude.json", "{ // mine\n}\n");
    place.mvault(["hooks", "install", "claude-code"]).ok();
    let told = place.mvault(["hooks", "install", "claude-code", "--mcp"]).code(1).stderr();
    assert!(told.contains("has a comment") && told.contains("\"mcpServers\""), "{told}");
    let told = place.mvault(["hooks", "uninstall", "claude-code"]).code(0).stderr();
    assert!(told.contains("no server was taken out there"), "{told}");
    assert_eq!(get(&place, SETTINGS), None);
    assert_eq!(get(&place, "home/.claude.json").as_deref(), Some("{ // mine\n}\n"));
}
