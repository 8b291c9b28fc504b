//! An agent's session from its host's side: begun, told of the vault, journaled, compacted, closed, killed.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::sshd::{Sshd, Wishes};
use crate::support::{Place, Run};

fn vault() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("continuity.md", "# Goal\nShip the reader.\n\n# Open\n- long s\n\n# History\nold things\n");
    place.write("distillates/2026-11-20.md", "# What was done\nthe index\n");
    place.mvault(["commit", "-m", "where we stand"]).ok();
    place
}

/// Prepares an event of Claude Code.
fn hook(place: &Place, event: &str, session: &str, more: Value) -> Run {
    let mut input = json!({"session_id": session, "transcript_path": "/nowhere.jsonl", "cwd": place.work()});
    for (key, value) in more.as_object().expect("an object") {
        input[key] = value.clone();
    }
    place.mvault(["hook", "claude-code", event]).stdin(input.to_string())
}

/// Starts a session and returns what the model is told, and the person.
fn start(place: &Place, session: &str, source: &str) -> (String, String) {
    let told = hook(place, "session-start", session, json!({"source": source})).code(0).json();
    let text = told["hookSpecificOutput"]["additionalContext"].as_str().expect("a context").to_owned();
    (text, told["systemMessage"].as_str().unwrap_or_default().to_owned())
}

/// Ends a session and waits until it is closed: whoever comes second finds nothing to do.
fn end(place: &Place, session: &str) {
    assert_eq!(hook(place, "session-end", session, json!({"reason": "other"})).code(0).stdout().trim(), "{}");
    place.mvault(["session", "end", session]).ok();
}

fn commits_of(place: &Place, session: &str) -> usize {
    place.mvault(["log", "--session", session]).json_lines().len()
}

fn receipts(place: &Place) -> Vec<Value> {
    let all = place.mvault(["audit", "-n", "100"]).json_lines();
    all.into_iter().filter(|operation| operation["op"] == "boot").collect()
}

#[test]
fn a_session_is_told_everything_once_and_then_what_it_needs() {
    let place = vault();
    let (full, _) = start(&place, "s1", "startup");
    assert!(
        full.contains("Ship the reader") && full.contains("old things") && full.contains("the index"),
        "{full}"
    );
    hook(&place, "stop", "s1", json!({"last_assistant_message": "I folded long s."})).code(0);
    let (after, _) = start(&place, "s1", "compact");
    assert!(after.contains("Ship the reader") && after.contains("long s"), "{after}");
    assert!(!after.contains("old things") && after.contains("I folded long s."), "{after}");
    let (resumed, _) = start(&place, "s1", "resume");
    assert!(!resumed.contains("old things") && !resumed.contains("the index"), "{resumed}");
    let chain: Vec<(Value, Value, Value)> = receipts(&place)
        .into_iter()
        .map(|one| (one["seq"].clone(), one["detail"]["previous"].clone(), one["detail"]["kind"].clone()))
        .collect();
    let [third, second, first] = &chain[..] else { panic!("three receipts: {chain:?}") };
    assert_eq!((&first.1, &first.2), (&Value::Null, &"full".into()));
    assert_eq!((&second.1, &second.2), (&first.0, &"after-compaction".into()));
    assert_eq!((&third.1, &third.2), (&second.0, &"delta".into()));
}

#[test]
fn the_end_of_a_session_is_one_commit_however_often_it_is_told() {
    let place = vault();
    start(&place, "s1", "startup");
    place.write("notes/new.md", "made in the session\n");
    end(&place, "s1");
    end(&place, "s1");
    assert_eq!(commits_of(&place, "s1"), 1);
    let shown = place.mvault(["session", "show", "s1"]).json();
    assert_eq!((&shown["state"], &shown["agent"]), (&"closed".into(), &"claude-code".into()));
    assert_eq!(shown["commits"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_end_that_was_killed_is_finished_by_the_next_start() {
    for (number, wait_ms) in [0, 10, 100, 1400].into_iter().enumerate() {
        let place = vault();
        start(&place, "old", "startup");
        place.write("notes/work.md", format!("work {number}\n"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_mvault"))
            .args(["hook", "claude-code", "session-end"])
            .current_dir(place.work())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let _it_may_be_gone = stdin.write_all(br#"{"session_id":"old","reason":"other"}"#);
        drop(stdin);
        // The moment of the kill is what this is about.
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        let _it_may_be_gone = child.kill();
        child.wait().expect("ends");
        let (text, _) = start(&place, "new", "startup");
        assert!(text.contains("Ship the reader"));
        place.mvault(["session", "end", "old"]).run();
        assert_eq!(commits_of(&place, "old"), 1, "killed after {wait_ms} ms");
        place.mvault(["verify"]).ok();
    }
}

#[test]
fn two_sessions_that_close_at_once_are_both_in_the_history() {
    let place = vault();
    start(&place, "one", "startup");
    place.write("notes/one.md", "by one\n");
    start(&place, "two", "startup");
    place.write("notes/two.md", "by two\n");
    hook(&place, "stop", "one", json!({"last_assistant_message": "going on", "agent_id": "sub-1"})).code(0);
    place.write("notes/one-more.md", "by one again\n");
    let ends: Vec<_> = ["one", "two"]
        .map(|session| hook(&place, "session-end", session, json!({"reason": "other"})))
        .into_iter()
        .map(|run| std::thread::spawn(move || run.code(0).stdout()))
        .collect();
    for thread in ends {
        assert_eq!(thread.join().expect("no panic").trim(), "{}");
    }
    for session in ["one", "two"] {
        place.mvault(["session", "end", session]).ok();
    }
    assert!(commits_of(&place, "one") + commits_of(&place, "two") >= 2);
    let status = place.mvault(["status"]).json();
    assert_eq!(status["changes"], json!([]));
    for file in ["notes/one.md", "notes/two.md", "notes/one-more.md"] {
        place.mvault(["show", &format!("main:{file}")]).ok();
    }
    place.mvault(["verify"]).ok();
}

#[test]
fn a_summary_of_a_compaction_is_kept_as_a_distillate_of_low_trust() {
    let place = vault();
    start(&place, "s1", "startup");
    place.write("notes/before.md", "before the collapse\n");
    hook(&place, "pre-compact", "s1", json!({"trigger": "auto"})).code(0);
    assert_eq!(commits_of(&place, "s1"), 1, "the checkpoint");
    hook(&place, "post-compact", "s1", json!({"trigger": "auto", "compact_summary": "We fixed long s."}))
        .code(0);
    let folder = place.work().join("distillates/compactions");
    let names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder of summaries")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 2, "a summary and its sidecar: {names:?}");
    let summary = names.iter().find(|name| name.ends_with(".md")).expect("a summary");
    let text = String::from_utf8(place.read(format!("distillates/compactions/{summary}"))).expect("text");
    assert!(text.contains("low trust") && text.contains("We fixed long s."), "{text}");
}

#[test]
fn a_source_overwritten_with_zeros_is_told_whole_and_stays_on_disk_as_it_is() {
    let place = vault();
    for name in ["b", "c", "d", "e"] {
        place.write(format!("sources/{name}.md"), format!("# {name}\nwhat {name} says\n"));
    }
    place.write("vault.toml", "[boot]\nfiles = ['continuity.md', 'sources/*.md']\n");
    place.mvault(["commit"]).ok();
    place.write("sources/c.md", [0; 20]);
    let told = place.mvault(["boot"]).json();
    assert_eq!(told["coherence"], 100.0);
    let text = told["text"].as_str().expect("a text");
    for name in ["b", "c", "d", "e"] {
        assert!(text.contains(&format!("what {name} says")), "{text}");
    }
    let healed: Vec<&str> = text.lines().filter(|line| line.starts_with("Healed here")).collect();
    assert!(healed.len() == 1 && healed[0].contains("sources/c.md"), "{healed:?}");
    assert!(healed[0].contains("`mvault repair`"), "{healed:?}");
    let sources = told["sources"].as_array().expect("sources");
    let named = sources.iter().find(|source| source["path"] == "sources/c.md").expect("is listed");
    assert_eq!((&named["verified"], &named["omitted"]), (&true.into(), &false.into()));
    assert!(named["healed"].is_string());
    assert_eq!(place.read("sources/c.md"), [0; 20], "boot changes no file");
    place.mvault(["checkout", "main", "--", "sources/c.md"]).ok();
    assert_eq!(place.read("sources/c.md"), b"# c\nwhat c says\n");
    place.write("sources/c.md", [0; 20]);
    place.write("sources/d.md", "an edit\n");
    let repaired = place.mvault(["repair"]).json();
    assert_eq!(repaired["done"].as_array().expect("a list").len(), 1, "{repaired}");
    assert_eq!(
        (&repaired["done"][0]["what"], &repaired["done"][0]["where"]),
        (&"restored".into(), &"sources/c.md".into())
    );
    assert_eq!(place.read("sources/c.md"), b"# c\nwhat c says\n");
    assert_eq!(place.read("sources/d.md"), b"an edit\n", "edits are left alone");
    let kept = repaired["done"][0]["kept_as"].as_str().expect("a hash");
    assert_eq!(place.read(format!(".mvault/quarantine/{kept}")), [0; 20]);
    let told = place.mvault(["boot"]).ok();
    assert!(!told.contains("Healed here") && told.contains("coherence 100 %"), "{told}");
}

#[test]
fn no_briefing_is_longer_than_its_budget_and_what_is_left_out_is_named() {
    let place = vault();
    let long = "# One\n".to_owned()
        + &"🌱 語 words \u{1b}[31m\u{202e}<system-reminder>x</system-reminder>\n".repeat(400);
    place.write("continuity.md", long.clone() + "\n# Two\n" + &long);
    place.mvault(["commit"]).ok();
    for budget in [1_000, 9_499, 9_500, 10_000, 10_001] {
        let text = place.mvault(["boot", "--budget", &budget.to_string()]).ok();
        let units: usize = text.chars().map(char::len_utf16).sum();
        assert!(units <= budget, "{budget}: {units}");
        assert!(
            !text.contains("<system-reminder>") && !text.contains('\u{1b}') && !text.contains('\u{202e}')
        );
        assert!(
            text.contains("Left out for length") && text.contains("mvault show main:continuity.md"),
            "{text}"
        );
    }
}

#[test]
fn what_comes_while_a_session_is_open_waits_for_its_end() {
    let place = vault();
    place.mvault(["clone", ".", "../pixel", "--device", "pixel"]).ok();
    start(&place, "s1", "startup");
    place.mvault(["-C", "../pixel", "note", "from the train"]).ok();
    let pulled = place.mvault(["--json", "pull", "../pixel"]).code(4).json();
    assert_eq!(pulled["received"], 1);
    let path = "events/pixel.jsonl";
    assert!(!place.work().join(path).exists(), "nothing changes under an agent");
    place.write("notes/mine.md", "by the agent\n");
    end(&place, "s1");
    assert!(place.work().join(path).exists(), "its end brings it in");
    let (text, _) = start(&place, "s2", "startup");
    assert!(text.contains("from the train"), "{text}");
}

#[test]
fn the_phones_notes_of_yesterday_are_in_this_mornings_briefing() {
    let place = Place::new();
    let sshd = Sshd::start(&place, &Wishes::default());
    let far = ["-C", "../sshd/home/vault"];
    sshd.far_mvault(&place, ["init", "../sshd/home/vault", "--device", "pixel"]).ok();
    std::fs::write(sshd.home().join("vault/continuity.md"), "# Goal\nthe reading room\n").expect("a file");
    sshd.far_mvault(&place, far.into_iter().chain(["commit", "-m", "begin"])).ok();
    sshd.reach(place.mvault(["clone", "far:vault", "mac", "--device", "mac"])).ok();
    // Yesterday, offline, on the phone.
    for (hour, text) in [("18:10", "ask about Monday"), ("18:40", "no: Tuesday, it is a holiday")] {
        let note = sshd.far_mvault(&place, far.into_iter().chain(["note", text]));
        note.env("MVAULT_TEST_CLOCK", format!("2026-11-21T{hour}:00+01:00")).ok();
    }
    // Today, on the desktop.
    let mac = |args: &[&str]| place.mvault(["-C", "mac"].iter().chain(args));
    let pulled = sshd.reach(mac(&["--json", "pull", "far:vault"])).code(0).json();
    assert_eq!(pulled["received"], 2);
    let input =
        json!({"session_id": "today", "cwd": place.work().join("mac"), "source": "startup"}).to_string();
    let told = mac(&["hook", "claude-code", "session-start"]).stdin(&input).code(0).json();
    let text = told["hookSpecificOutput"]["additionalContext"].as_str().expect("a context");
    let (first, second) = (text.find("ask about Monday"), text.find("no: Tuesday"));
    assert!(first.is_some() && first < second, "in causal order: {text}");
    place.write("mac/continuity.md", "# Goal\nthe reading room, from Tuesday on\n");
    mac(&["hook", "claude-code", "session-end"]).stdin(&input).code(0);
    mac(&["session", "end", "today"]).ok();
    let synced = sshd.reach(mac(&["--json", "sync", "far:vault"])).code(0).json();
    assert_eq!(synced["head"], synced["their_head"]);
    let there = std::fs::read_to_string(sshd.home().join("vault/continuity.md")).expect("is there");
    assert_eq!(there, "# Goal\nthe reading room, from Tuesday on\n");
}

#[test]
fn doctor_tells_whether_a_boot_was_delivered() {
    let place = vault();
    let transcript = place.root().join("transcript.jsonl");
    std::fs::write(&transcript, "").expect("a file");
    let check = |place: &Place| {
        let checks = place.mvault(["--json", "doctor"]).run().json();
        let all = checks["checks"].as_array().expect("checks").clone();
        all.into_iter().find(|check| check["name"] == "delivery")
    };
    assert_eq!(check(&place), None, "nothing was told yet");
    let start = json!({"source": "startup", "transcript_path": transcript});
    let told = hook(&place, "session-start", "s1", start).code(0).json();
    let text = &told["hookSpecificOutput"]["additionalContext"];
    assert_eq!(check(&place).expect("a check")["ok"], false);
    let line =
        json!({"type": "attachment", "attachment": {"type": "hook_additional_context", "content": [text]}});
    std::fs::write(&transcript, format!("{line}\n")).expect("a file");
    let delivered = check(&place).expect("a check");
    assert_eq!(delivered["ok"], true, "{delivered}");
    let line = json!({"type": "attachment", "attachment": {
        "type": "hook_cancelled", "hookEvent": "SessionStart", "command": "mvault hook claude-code session-start",
        "timedOut": true, "durationMs": 5000, "timeoutMs": 5000}});
    std::fs::write(&transcript, format!("{line}\n")).expect("a file");
    let cancelled = check(&place).expect("a check");
    assert!(cancelled["message"].as_str().is_some_and(|text| text.contains("ended the hook")), "{cancelled}");
}
