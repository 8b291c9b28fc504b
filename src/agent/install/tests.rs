//! Settings of all hosts: merged, left alone, taken back byte for byte, and their faults.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::faults::untrusted_folder;
use super::{
    Change, Homes, HostFiles, InstallError, Scope, State, TextError, Uninstalled, apply, by_hand, faults,
    look, merge, plan_install, plan_uninstall, quote, read, settings_path, standing, timeout_seconds,
    unmerge, wanted,
};
use crate::agent::hooks::{Agent, Event};
use crate::fs::sim::{Failure, Fault};
use crate::fs::{Disk, SimDisk};

const PROGRAM: &str = "/opt/bin/mvault";
const ODD: &str = "/home/Ana Weiß/it's/mvault";

/// A user's settings with hooks of others, in an order and a style of their own.
const CLAUDE: &str = r#"{
    "zeta": 1.50,
    "permissions": {"allow": ["Bash(ls:*)"], "deny": []},
    "hooks": {
        "PreToolUse": [
            { "matcher": "Bash", "hooks": [ {"type": "command", "command": "guard.sh"} ] }
        ],
        "SessionStart": [
            {
                "hooks": [
                    {"type": "command", "command": "echo \"hook claude-code session-start\""}
                ]
            }
        ]
    },
    "alpha": "é \u00e9"
}
"#;

fn check_shape(agent: Agent, text: &str, program: &str) {
    let value: Value = serde_json::from_str(text).expect("JSON");
    for entry in wanted(agent, program) {
        let list = value["hooks"][entry.host_event].as_array().expect("a list");
        let own = list.last().expect("ours is the last");
        let handler = if agent == Agent::Cursor { own } else { &own["hooks"][0] };
        assert_eq!(handler, &entry.handler);
        let timeout = handler["timeout"].as_u64().expect("a number");
        let unit = if agent == Agent::Gemini { 1000 } else { 1 };
        assert_eq!(timeout, timeout_seconds(agent, entry.event) * unit);
        match agent {
            Agent::ClaudeCode => {
                assert_eq!(handler["command"], program);
                assert_eq!(handler["args"], json!(["hook", "claude-code", entry.event.as_str()]));
            }
            _ => {
                let line = format!("{} hook {} {}", quote(program), agent.as_str(), entry.event.as_str());
                assert_eq!(handler["command"], line);
            }
        }
    }
}

#[test]
fn each_host_gets_its_entries_once_and_gives_them_back() {
    for agent in Agent::ALL {
        for program in [PROGRAM, ODD] {
            for text in ["", "{}", "{}\n", "{\"a\":1}", "{\n\t\"a\": [1,\t2]\n}\n", "\u{feff}{ }", CLAUDE] {
                let made = merge(agent, text, program).expect("merges");
                check_shape(agent, made.trim_start_matches('\u{feff}'), program);
                assert_eq!(merge(agent, &made, program).expect("merges"), made, "twice is once");
                assert_eq!(standing(agent, &made, program).expect("reads").state, State::Installed);
                let back = unmerge(agent, &made, Some(text), program).expect("takes out");
                assert_eq!(back, Uninstalled::Restored(text.to_owned()));
            }
            let gone = unmerge(agent, &by_hand(agent, program), None, program).expect("takes out");
            assert_eq!(gone, Uninstalled::Gone);
        }
    }
}

#[test]
fn hooks_of_others_numbers_and_order_stay_as_they_are() {
    let made = merge(Agent::ClaudeCode, CLAUDE, PROGRAM).expect("merges");
    let added: Vec<_> = made.lines().filter(|line| !CLAUDE.contains(line.trim_end_matches(','))).collect();
    assert!(made.contains("\"zeta\": 1.50,") && made.contains("\"é \\u00e9\""), "{made}");
    assert!(added.iter().all(|line| !line.contains("guard.sh")), "{added:?}");
    let standing = standing(Agent::ClaudeCode, &made, PROGRAM).expect("reads");
    assert_eq!((standing.found.len(), standing.foreign), (5, 2), "a foreign echo is not ours");
    // The user adds something of their own afterwards: only ours goes.
    let edited = made.replace("\"zeta\": 1.50", "\"zeta\": 2");
    let left = unmerge(Agent::ClaudeCode, &edited, Some(CLAUDE), PROGRAM).expect("takes out");
    assert_eq!(left, Uninstalled::Edited(CLAUDE.replace("1.50", "2")));
    let left = unmerge(Agent::ClaudeCode, &made, None, PROGRAM).expect("takes out");
    assert_eq!(left, Uninstalled::Edited(CLAUDE.to_owned()));
}

#[test]
fn an_older_wiring_is_brought_up_to_date_and_a_raised_timeout_respected() {
    let old = merge(Agent::ClaudeCode, CLAUDE, "/old/place/mvault").expect("merges");
    assert_eq!(standing(Agent::ClaudeCode, &old, PROGRAM).expect("reads").state, State::Outdated);
    let new = merge(Agent::ClaudeCode, &old, PROGRAM).expect("merges");
    assert_eq!(new, merge(Agent::ClaudeCode, CLAUDE, PROGRAM).expect("merges"));
    let raised = new.replacen("\"timeout\": 15", "\"timeout\": 60", 1);
    assert_eq!(merge(Agent::ClaudeCode, &raised, PROGRAM).expect("merges"), raised);
    let lowered = new.replacen("\"timeout\": 15", "\"timeout\": 1", 1);
    assert_eq!(merge(Agent::ClaudeCode, &lowered, PROGRAM).expect("merges"), new);
    // An entry that somebody put into a group of others comes out alone.
    let shared = r#"{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"a"},
        {"type":"command","command":"'/x y/mvault' hook claude stop"}]}]}}"#;
    assert_eq!(standing(Agent::ClaudeCode, shared, PROGRAM).expect("reads").state, State::Partly);
    let left = unmerge(Agent::ClaudeCode, shared, None, PROGRAM).expect("takes out");
    let alone = r#"{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"a"}]}]}}"#;
    assert_eq!(left, Uninstalled::Edited(alone.to_owned()));
    // Doubled entries are one too many.
    let doubled = r#"{"version":1,"hooks":{"stop":[{"command":"mvault hook cursor stop"}]}}"#;
    let made = merge(Agent::Cursor, doubled, PROGRAM).expect("merges");
    assert_eq!(standing(Agent::Cursor, &made, PROGRAM).expect("reads").found.len(), 4);
}

#[test]
fn what_cannot_be_changed_is_refused_with_the_reason() {
    let refused = |text: &str| merge(Agent::ClaudeCode, text, PROGRAM).expect_err("is refused");
    assert!(matches!(refused("{\n// mine\n\"a\":1}"), TextError::Comment { line: 2 }));
    assert!(matches!(refused("{\"a\":1,}"), TextError::NotJson { line: 1, .. }));
    for text in ["[]", "1", "{\"hooks\":[]}", "{\"hooks\":{\"Stop\":{}}}"] {
        assert!(matches!(refused(text), TextError::Shape { .. }), "{text}");
    }
    // What is odd elsewhere is none of our business.
    assert!(merge(Agent::ClaudeCode, "{\"hooks\":{\"PreToolUse\":7}}", PROGRAM).is_ok());
}

/// Settings as people and programs write them.
fn any_settings() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-zé\"\\\\/ ]{0,6}".prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(("[a-z]{1,5}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let handler =
        "[a-z ]{1,9}".prop_map(|command| json!({"hooks": [{"type": "command", "command": command}]}));
    let hooks = prop::collection::vec(
        (
            prop::sample::select(vec!["Stop", "SessionStart", "PreToolUse"]),
            prop::collection::vec(handler, 1..3).prop_map(Value::Array),
        ),
        1..3,
    );
    let hooks =
        hooks.prop_map(|members| Value::Object(members.into_iter().map(|(k, v)| (k.into(), v)).collect()));
    let members = prop::collection::vec(("[a-z]{6,9}", tree), 0..4);
    (members, prop::option::of(hooks), 0..3usize).prop_map(|(members, hooks, style)| {
        let mut object: serde_json::Map<_, _> = members.into_iter().collect();
        if let Some(hooks) = hooks {
            object.insert("hooks".to_owned(), hooks);
        }
        let value = Value::Object(object);
        match style {
            0 => value.to_string(),
            1 => format!("{value:#}\n"),
            _ => format!("{value:#}\n").replace('\n', "\r\n"),
        }
    })
}

proptest! {
    #[test]
    fn whatever_the_settings_are_they_come_back(text in any_settings()) {
        let made = merge(Agent::ClaudeCode, &text, PROGRAM).expect("merges");
        check_shape(Agent::ClaudeCode, &made, PROGRAM);
        prop_assert_eq!(&merge(Agent::ClaudeCode, &made, PROGRAM).expect("merges"), &made);
        let back = unmerge(Agent::ClaudeCode, &made, Some(&text), PROGRAM).expect("takes out");
        prop_assert_eq!(back, Uninstalled::Restored(text.clone()));
        // Without what was kept, the meaning comes back too.
        let Uninstalled::Edited(left) = unmerge(Agent::ClaudeCode, &made, None, PROGRAM).expect("takes out")
        else { return Ok(()) };
        let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        prop_assert_eq!(value(&left), value(&text));
    }

    #[test]
    fn no_bytes_make_it_panic(text in any::<String>(), agent in prop::sample::select(Agent::ALL.to_vec())) {
        let _refused_or_not = merge(agent, &text, PROGRAM);
        let _refused_or_not = unmerge(agent, &text, Some(&text), PROGRAM);
        let path = Path::new("/h/hooks.json");
        let files = HostFiles { settings: &text, path, codex_config: Some(&text) };
        let _any = faults(agent, files, PROGRAM);
        let _any = untrusted_folder(&text, path);
    }
}

fn homes<'a>() -> Homes<'a> {
    Homes { home: Some(Path::new("/h")), claude: None, codex: None, project: Path::new("/p") }
}

#[test]
fn settings_are_where_the_host_looks() {
    let path = |agent, scope, homes| settings_path(agent, scope, homes).expect("is known");
    let own = Homes { claude: Some(Path::new("/c")), codex: Some(Path::new("x")), ..homes() };
    for (agent, scope, homes, expected) in [
        (Agent::ClaudeCode, Scope::User, homes(), "/h/.claude/settings.json"),
        (Agent::ClaudeCode, Scope::User, own, "/c/settings.json"),
        (Agent::ClaudeCode, Scope::Project, own, "/p/.claude/settings.json"),
        (Agent::Codex, Scope::User, homes(), "/h/.codex/hooks.json"),
        (Agent::Codex, Scope::User, own, "/p/x/hooks.json"),
        (Agent::Gemini, Scope::User, own, "/h/.gemini/settings.json"),
        (Agent::Cursor, Scope::Project, own, "/p/.cursor/hooks.json"),
    ] {
        assert_eq!(path(agent, scope, homes), Path::new(expected));
    }
    let nobody = Homes { home: None, ..homes() };
    assert!(matches!(
        settings_path(Agent::Gemini, Scope::User, nobody),
        Err(InstallError::NoHome { agent: Agent::Gemini })
    ));
}

const FILE: &str = "/h/.claude/settings.json";
const KEPT: &str = "/h/.claude/settings.json.mvault-backup";

fn disk_with(text: Option<&str>) -> SimDisk {
    let disk = SimDisk::new();
    if let Some(text) = text {
        let dir = disk.create_dir_all(Path::new("/h/.claude")).expect("folders");
        crate::fs::replace_file(&dir, "settings.json", text.as_bytes(), 0o640).expect("writes");
    }
    disk.settle();
    disk
}

fn file(disk: &SimDisk, path: &str) -> Option<String> {
    disk.files().get(Path::new(path)).map(|bytes| String::from_utf8(bytes.clone()).expect("UTF-8"))
}

fn change(
    disk: &SimDisk,
    plan: fn(super::Settings, Agent, &str) -> Result<Change, InstallError>,
) -> Result<(), InstallError> {
    let change = plan(read(disk, Path::new(FILE))?, Agent::ClaudeCode, PROGRAM)?;
    apply(disk, &change)
}

#[test]
fn a_file_is_kept_changed_once_and_restored_byte_for_byte() {
    for text in ["", "{}", "{\"hooks\": {  }}\r\n", CLAUDE] {
        let disk = disk_with(Some(text));
        change(&disk, plan_install).expect("installs");
        assert_eq!(file(&disk, KEPT).as_deref(), Some(text));
        let once = disk.files();
        change(&disk, plan_install).expect("installs");
        assert_eq!(disk.files(), once, "twice is once");
        let mode = disk.open_dir(Path::new("/h/.claude")).and_then(|dir| dir.stat("settings.json"));
        assert_eq!(mode.expect("is there").mode, 0o640);
        change(&disk, plan_uninstall).expect("uninstalls");
        assert_eq!(file(&disk, FILE).as_deref(), Some(text));
        assert_eq!(disk.files().len(), 1, "nothing is left beside it");
        change(&disk, plan_uninstall).expect("nothing to do");
        assert_eq!(file(&disk, FILE).as_deref(), Some(text));
    }
}

#[test]
fn a_file_that_mvault_made_goes_again_unless_somebody_used_it() {
    let disk = disk_with(None);
    change(&disk, plan_install).expect("installs");
    change(&disk, plan_uninstall).expect("uninstalls");
    assert!(disk.files().is_empty(), "{:?}", disk.files());
    change(&disk, plan_install).expect("installs");
    disk.damage(Path::new(FILE), |bytes| {
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        *bytes = text.replacen('{', "{\n  \"model\": \"x\",", 1).into_bytes();
    })
    .expect("is there");
    change(&disk, plan_uninstall).expect("uninstalls");
    assert_eq!(file(&disk, FILE).as_deref(), Some("{\n  \"model\": \"x\"\n}\n"));
}

#[test]
fn what_was_kept_is_the_file_before_mvault_not_before_its_update() {
    let disk = disk_with(Some(CLAUDE));
    let old = plan_install(read(&disk, Path::new(FILE)).expect("reads"), Agent::ClaudeCode, "/old/mvault");
    apply(&disk, &old.expect("plans")).expect("installs");
    change(&disk, plan_install).expect("updates");
    assert_eq!(file(&disk, KEPT).as_deref(), Some(CLAUDE));
    change(&disk, plan_uninstall).expect("uninstalls");
    assert_eq!(file(&disk, FILE).as_deref(), Some(CLAUDE));
}

#[test]
fn a_file_that_somebody_writes_meanwhile_is_left_alone() {
    let disk = disk_with(Some("{}"));
    let settings = read(&disk, Path::new(FILE)).expect("reads");
    let planned = plan_install(settings, Agent::ClaudeCode, PROGRAM).expect("plans");
    disk.damage(Path::new(FILE), |bytes| *bytes = b"{\"new\":1}".to_vec()).expect("is there");
    assert!(matches!(apply(&disk, &planned), Err(InstallError::Changed { .. })));
    assert_eq!(file(&disk, FILE).as_deref(), Some("{\"new\":1}"));
}

#[test]
fn a_link_is_followed_to_its_file_and_one_that_leads_nowhere_is_refused() {
    let disk = disk_with(None);
    let real = disk.create_dir_all(Path::new("/dots")).expect("folders");
    crate::fs::replace_file(&real, "claude.json", b"{}", 0o600).expect("writes");
    let dir = disk.create_dir_all(Path::new("/h/.claude")).expect("folders");
    dir.symlink(b"/dots/claude.json", "settings.json").expect("links");
    change(&disk, plan_install).expect("installs");
    assert!(file(&disk, "/dots/claude.json").expect("is there").contains("session-start"));
    change(&disk, plan_uninstall).expect("uninstalls");
    assert_eq!(file(&disk, "/dots/claude.json").as_deref(), Some("{}"));
    real.remove_file("claude.json").expect("removes");
    assert!(matches!(change(&disk, plan_install), Err(InstallError::Link { .. })));
}

#[test]
fn cut_or_failed_at_any_call_the_settings_are_the_old_or_the_new_ones() {
    let new = merge(Agent::ClaudeCode, CLAUDE, PROGRAM).expect("merges");
    let mut points = 0;
    for (plan, from) in
        [(plan_install as fn(super::Settings, Agent, &str) -> _, CLAUDE), (plan_uninstall, new.as_str())]
    {
        let faults = |nth| {
            let failed = Fault::fail(nth, Failure::NoSpace);
            [Fault::kill(nth), failed, failed.forever()]
        };
        let mut nth = 0;
        loop {
            nth += 1;
            let mut is_through = true;
            for fault in faults(nth) {
                let disk = disk_with(Some(CLAUDE));
                if from != CLAUDE {
                    change(&disk, plan_install).expect("installs");
                    disk.settle();
                }
                disk.plan(fault);
                is_through &= change(&disk, plan).is_ok() && !disk.is_killed();
                for disk in disk.after_power_cut(nth, 4).into_iter().chain([disk.after_kill()]) {
                    let text = file(&disk, FILE).expect("is there");
                    assert!(text == CLAUDE || text == new, "{fault:?}: {text}");
                    assert!(text == CLAUDE || file(&disk, KEPT).as_deref() == Some(CLAUDE), "{fault:?}");
                    points += 1;
                }
            }
            if is_through {
                break;
            }
        }
    }
    assert!(points > 100, "{points}");
}

fn codes(agent: Agent, settings: &str, config: Option<&str>) -> Vec<&'static str> {
    let files = HostFiles { settings, path: Path::new("/h/hooks.json"), codex_config: config };
    faults(agent, files, PROGRAM).into_iter().map(|fault| fault.code).collect()
}

#[test]
fn the_usual_faults_are_found() {
    let claude = by_hand(Agent::ClaudeCode, PROGRAM);
    let put = |text: &str, more: &str| text.replacen('{', &format!("{{{more},"), 1);
    for (settings, expected) in [
        (String::new(), &["not-installed"][..]),
        ("{\"hooks\":{\"Stop\":[{\"hooks\":[{\"command\":\"x\"}]}]}}".into(), &["not-installed"]),
        ("{ // mine\n}".into(), &["unreadable"]),
        (claude.clone(), &[]),
        (put(&claude, "\"disableAllHooks\": true"), &["hooks-off"]),
        (put(&claude, "\"allowManagedHooksOnly\": true"), &["hooks-off"]),
        (claude.replace("\"timeout\": 15", "\"timeout\": 2"), &["outdated", "timeout-low"]),
        (claude.replace("\"timeout\": 15,", ""), &["outdated", "timeout-missing"]),
        (claude.replacen("\"/opt/bin/mvault\"", "\"mvault\"", 1), &["outdated", "relative-command"]),
        (
            put(&claude.replace("\"session-end\"", "\"other\""), "\"enabledPlugins\":{\"mvault@x\":true}"),
            &["partly", "session-end-plugin-only"],
        ),
    ] {
        assert_eq!(codes(Agent::ClaudeCode, &settings, None), expected, "{settings}");
    }
    let gemini = by_hand(Agent::Gemini, PROGRAM);
    assert!(codes(Agent::Gemini, &gemini, None).is_empty());
    assert_eq!(
        codes(Agent::Gemini, &put(&gemini, "\"hooksConfig\":{\"enabled\":false}"), None),
        ["hooks-off"]
    );
    let named = put(&gemini, "\"hooksConfig\":{\"disabled\":[\"mvault-stop\"]}");
    assert_eq!(codes(Agent::Gemini, &named, None), ["hooks-off"]);
    let cursor = by_hand(Agent::Cursor, PROGRAM);
    assert!(codes(Agent::Cursor, &cursor, None).is_empty());
    assert_eq!(codes(Agent::Cursor, &cursor.replace("\"version\": 1", "\"version\": 2"), None), ["version"]);
}

#[test]
fn untrusted_hooks_of_codex_are_named() {
    let settings = by_hand(Agent::Codex, PROGRAM);
    assert_eq!(codes(Agent::Codex, &settings, None), ["untrusted"]);
    assert_eq!(codes(Agent::Codex, &settings, Some("model = \"x\"")), ["untrusted"]);
    let mut config = String::new();
    for event in Event::ALL {
        let name = event.as_str().replace('-', "_");
        config += &format!("[hooks.state.\"/h/hooks.json:{name}:0:0\"]\ntrusted_hash = \"sha256:1\"\n");
    }
    assert!(codes(Agent::Codex, &settings, Some(&config)).is_empty());
    let off = format!("{config}enabled = false\n");
    let files = HostFiles { settings: &settings, path: Path::new("/h/hooks.json"), codex_config: Some(&off) };
    let found = faults(Agent::Codex, files, PROGRAM);
    assert_eq!(found[0].message, "not trusted yet, so skipped in silence: session-end");
    let config = format!("[features]\nhooks = false\n{config}");
    assert_eq!(codes(Agent::Codex, &settings, Some(&config)), ["hooks-off"]);
}

#[test]
fn a_folder_that_nobody_trusted_is_named() {
    let state =
        r#"{"projects":{"/a":{"hasTrustDialogAccepted":true},"/b":{"hasTrustDialogAccepted":false}}}"#;
    assert_eq!(untrusted_folder(state, Path::new("/a/sub")), None);
    assert_eq!(untrusted_folder(state, Path::new("/b")).expect("a fault").code, "untrusted-folder");
    assert_eq!(untrusted_folder("no JSON", Path::new("/b")), None);
}

#[test]
fn a_look_names_a_program_that_is_gone() {
    let disk = disk_with(Some(&by_hand(Agent::ClaudeCode, PROGRAM)));
    let codes = |disk: &SimDisk| {
        let look = look(disk, Agent::ClaudeCode, Path::new(FILE), PROGRAM).expect("looks");
        look.faults.into_iter().map(|fault| fault.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&disk), ["command-missing"]);
    let dir = disk.create_dir_all(Path::new("/opt/bin")).expect("folders");
    crate::fs::replace_file(&dir, "mvault", b"", 0o755).expect("writes");
    assert!(codes(&disk).is_empty());
}
