//! Every host and event over the fixtures in testdata/hooks, with vaults that work, fail, panic, are slow or
//! are not there.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;

use super::run::{Answer, BootKind, Briefing, HookError, HookVault, Request, deadline, respond};
use super::{
    Agent, Caller, Event, Happening, HookInput, Reply, Source, Surroundings, Trigger, answer, caps, parse,
};

const FORMS: [&str; 5] = ["required", "all", "unknown", "broken", "empty"];
const LONG: Duration = Duration::from_secs(60);

/// The hosts' own events: those that fixtures exist for.
fn pairs() -> Vec<(Agent, Event)> {
    let all = Agent::ALL.into_iter().flat_map(|agent| Event::ALL.map(|event| (agent, event)));
    all.filter(|(agent, event)| event.host_name(*agent).is_some()).collect()
}

fn fixture(agent: Agent, event: Event, form: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/hooks");
    let path = path.join(agent.as_str()).join(event.as_str()).join(format!("{form}.json"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A vault that writes down what it is asked, and does as it is told.
struct Fake {
    asked: Sender<String>,
    mood: Mood,
}

#[derive(Clone)]
enum Mood {
    Works(String),
    Fails,
    Panics,
}

impl Fake {
    fn note(&self, what: String) -> Result<(), HookError> {
        self.asked.send(what).expect("the test listens");
        match &self.mood {
            Mood::Works(_) => Ok(()),
            Mood::Fails => Err(HookError::Vault("the disk \x1b[31mis full".to_owned())),
            Mood::Panics => panic!("a fault"),
        }
    }
}

impl HookVault for Fake {
    fn boot(&mut self, caller: &Caller, kind: BootKind, units_max: usize) -> Result<Briefing, HookError> {
        self.note(format!("boot {} {kind:?} {units_max}", session(caller)))?;
        let Mood::Works(text) = &self.mood else { unreachable!("noted above") };
        Ok(Briefing { text: text.clone(), message: Some("mvault: verified".to_owned()) })
    }

    fn checkpoint(&mut self, caller: &Caller, trigger: Trigger) -> Result<(), HookError> {
        self.note(format!("checkpoint {} {trigger:?}", session(caller)))
    }

    fn keep_summary(&mut self, caller: &Caller, summary: &str) -> Result<(), HookError> {
        self.note(format!("summary {} {}", session(caller), summary.len()))
    }

    fn journal_turn(&mut self, caller: &Caller, text: Option<&str>) -> Result<(), HookError> {
        self.note(format!("turn {} {:?}", session(caller), text.map(str::len)))
    }

    fn close(&mut self, caller: &Caller, reason: Option<&str>) -> Result<(), HookError> {
        self.note(format!("close {} {reason:?}", session(caller)))
    }
}

fn session(caller: &Caller) -> String {
    caller.session.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn run(agent: Agent, event: Event, stdin: &[u8], mood: Mood) -> (Answer, Vec<String>) {
    let (asked, heard) = channel();
    let request = Request { agent, event, stdin, surroundings: Surroundings::default() };
    let open = move |_: &HookInput| Ok(Box::new(Fake { asked, mood }) as Box<dyn HookVault>);
    let answer = respond(&request, open, LONG);
    (answer, heard.iter().collect())
}

/// Says what is wrong with an answer by the host's schema, written down apart from the adapters.
fn complaint(agent: Agent, event: Event, stdout: &[u8]) -> Option<String> {
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(stdout) else {
        return Some("not one JSON object".to_owned());
    };
    if !stdout.ends_with(b"\n") || stdout[..stdout.len() - 1].contains(&b'\n') {
        return Some("not one line".to_owned());
    }
    let allowed: &[&str] = match (agent, event) {
        (Agent::Cursor, Event::SessionStart) => &["additional_context"],
        (Agent::Cursor, _) => &[],
        (_, Event::SessionStart) => &["systemMessage", "hookSpecificOutput"],
        (_, Event::Stop) | (Agent::Gemini, Event::PreCompact) => &["systemMessage"],
        _ => &[],
    };
    let mut texts = Vec::new();
    for (name, value) in &object {
        if !allowed.contains(&name.as_str()) {
            return Some(format!("{name} is not allowed"));
        }
        match value {
            Value::String(text) => texts.push(text),
            Value::Object(inner) if name == "hookSpecificOutput" => {
                let names: Vec<_> = inner.keys().map(String::as_str).collect();
                if names != ["hookEventName", "additionalContext"] || inner["hookEventName"] != "SessionStart"
                {
                    return Some(format!("{inner:?}"));
                }
                let Value::String(text) = &inner["additionalContext"] else { return Some("no text".into()) };
                texts.push(text);
            }
            _ => return Some(format!("{name} is no text")),
        }
    }
    let too_long = texts.iter().find(|text| text.encode_utf16().count() > 10_000);
    too_long.map(|text| format!("{} units", text.encode_utf16().count()))
}

fn context(agent: Agent, stdout: &[u8]) -> String {
    let value: Value = serde_json::from_slice(stdout).expect("JSON");
    let text = match agent {
        Agent::Cursor => &value["additional_context"],
        _ => &value["hookSpecificOutput"]["additionalContext"],
    };
    text.as_str().unwrap_or_default().to_owned()
}

#[test]
fn every_fixture_gets_a_valid_answer_whatever_the_vault_does() {
    let mut tried = 0;
    for (agent, event) in pairs() {
        for form in FORMS {
            let stdin = fixture(agent, event, form);
            for mood in [Mood::Works("facts".to_owned()), Mood::Fails, Mood::Panics] {
                let (answer, asked) = run(agent, event, &stdin, mood);
                let what = format!("{agent:?} {event:?} {form}");
                assert_eq!(complaint(agent, event, &answer.stdout), None, "{what}");
                assert!(asked.len() <= 1, "{what}: {asked:?}");
                let is_odd = matches!(form, "broken" | "empty");
                assert!(!is_odd || !answer.diagnostics.is_empty(), "{what}: an odd input is told");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 18 * 5 * 3);
}

#[test]
fn events_a_host_does_not_have_are_answered_too() {
    for agent in [Agent::Gemini, Agent::Cursor] {
        let (answer, asked) = run(agent, Event::PostCompact, b"{\"session_id\":\"a\"}", Mood::Fails);
        assert_eq!((answer.stdout.as_slice(), asked.len()), (&b"{}\n"[..], 0));
    }
}

#[test]
fn what_a_host_tells_reaches_the_vault() {
    const ID: &str = "0d9b6c1e-4f7a-4c55-9a53-2f1f4d0c7f11";
    for (agent, event, form, expected) in [
        (Agent::ClaudeCode, Event::SessionStart, "required", "boot ID Full 9500"),
        (Agent::ClaudeCode, Event::SessionStart, "all", "boot ID AfterCompaction 9500"),
        (Agent::ClaudeCode, Event::SessionStart, "empty", "boot - Full 9500"),
        (Agent::ClaudeCode, Event::Stop, "required", "turn ID None"),
        (Agent::ClaudeCode, Event::Stop, "all", "turn ID Some(73)"),
        (Agent::ClaudeCode, Event::PreCompact, "all", "checkpoint ID Manual"),
        (Agent::ClaudeCode, Event::PreCompact, "broken", "checkpoint ID Manual"),
        (Agent::ClaudeCode, Event::PostCompact, "all", "summary ID 73"),
        (Agent::ClaudeCode, Event::SessionEnd, "all", "close ID Some(\"prompt_input_exit\")"),
        (Agent::Codex, Event::SessionStart, "all", "boot ID AfterCompaction 9500"),
        (Agent::Codex, Event::Stop, "all", "turn ID Some(73)"),
        (Agent::Codex, Event::SessionEnd, "unknown", "close ID Some(\"other\")"),
        (Agent::Gemini, Event::SessionStart, "all", "boot ID Delta 9500"),
        (Agent::Gemini, Event::Stop, "required", "turn ID Some(5)"),
        (Agent::Gemini, Event::PreCompact, "all", "checkpoint ID Manual"),
        (Agent::Cursor, Event::SessionStart, "unknown", "boot ID Full 9500"),
        (Agent::Cursor, Event::Stop, "required", "turn ID None"),
        (Agent::Cursor, Event::SessionEnd, "required", "close ID Some(\"completed\")"),
    ] {
        let stdin = fixture(agent, event, form);
        let (_, asked) = run(agent, event, &stdin, Mood::Works("facts".to_owned()));
        assert_eq!(asked, [expected.replace("ID", ID)], "{agent:?} {event:?} {form}");
    }
    // Nothing is written for nobody.
    for event in [Event::Stop, Event::PostCompact, Event::SessionEnd] {
        let (answer, asked) = run(Agent::ClaudeCode, event, b"", Mood::Works(String::new()));
        assert!(asked.is_empty() && answer.diagnostics.len() == 2, "{event:?} {answer:?}");
    }
}

#[test]
fn all_fields_are_read_and_unknown_ones_change_nothing() {
    for (agent, event) in pairs() {
        let required = parse(agent, event, &fixture(agent, event, "required"));
        let unknown = parse(agent, event, &fixture(agent, event, "unknown"));
        assert_eq!(required, unknown, "{agent:?} {event:?}");
        assert!(required.diagnostics.is_empty(), "{:?}", required.diagnostics);
        assert_eq!(required.caller.folders, [Path::new("/home/ana/paper")]);
        let all = parse(agent, event, &fixture(agent, event, "all"));
        assert!(all.caller.transcript.is_some() && all.caller.session == required.caller.session);
    }
    let all = parse(Agent::ClaudeCode, Event::Stop, &fixture(Agent::ClaudeCode, Event::Stop, "all"));
    assert_eq!(all.caller.subagent.as_deref(), Some("a1b2c3"));
    let all = parse(Agent::Cursor, Event::Stop, &fixture(Agent::Cursor, Event::Stop, "all"));
    assert_eq!(all.caller.folders, [Path::new("/home/ana/paper"), Path::new("/home/ana/notes")]);
}

#[test]
fn fields_of_another_type_leave_gaps_and_are_told() {
    let stdin = br#"{"session_id":7,"cwd":["a"],"source":{},"workspace_roots":"x","hook_event_name":"Stop"}"#;
    let input = parse(Agent::ClaudeCode, Event::SessionStart, stdin);
    assert_eq!((input.caller.session, input.caller.folders.len()), (None, 0));
    assert_eq!(input.happening, Happening::SessionStart { source: Source::Startup });
    assert_eq!(input.diagnostics.len(), 5, "{:?}", input.diagnostics);
    for stdin in [&b"[1]"[..], b"null", b"\xff\xfe", b"{\"a\":", &[b'['; 100_000], b"{}{}"] {
        let input = parse(Agent::Codex, Event::Stop, stdin);
        assert_eq!(input.diagnostics.len(), 1, "{:?}", input.diagnostics);
    }
}

#[test]
fn a_session_id_that_is_none_of_ours_still_tells_sessions_apart() {
    let id = |text: &str| {
        let stdin = serde_json::json!({"session_id": text}).to_string();
        parse(Agent::Codex, Event::Stop, stdin.as_bytes()).caller.session.map(|id| id.to_string())
    };
    assert_eq!(id("abc-1").as_deref(), Some("abc-1"));
    assert_eq!(id(" "), None);
    let (a, b) = (id("../../etc"), id("../../tmp"));
    assert!(a.as_deref().is_some_and(|a| a.starts_with("host-")) && a != b && a == id("../../etc"));
    // It went into the log, which nothing is ever removed from.
    let key = concat!("AKIA", "Z7Q2M4XN6K3VWB5T");
    assert!(id(key).is_some_and(|id| id.starts_with("host-")), "a credential is not an id");
    assert_eq!(
        id("7d1f8a04-2c3b-4e5f-9a6b-0c1d2e3f4a5b").as_deref(),
        Some("7d1f8a04-2c3b-4e5f-9a6b-0c1d2e3f4a5b")
    );
}

#[test]
fn the_environment_fills_what_the_host_left_out() {
    let surroundings = Surroundings { session: Some("env-1".into()), folder: Some("/home/ana/x".into()) };
    let mut input = parse(Agent::ClaudeCode, Event::Stop, b"");
    input.fill_from(&surroundings);
    assert_eq!(session(&input.caller), "env-1");
    assert_eq!(input.caller.folders, [Path::new("/home/ana/x")]);
    let mut input = parse(Agent::ClaudeCode, Event::Stop, br#"{"session_id":"own","cwd":"/a"}"#);
    input.fill_from(&surroundings);
    assert_eq!(session(&input.caller), "own");
    assert_eq!(input.caller.folders, [Path::new("/a"), Path::new("/home/ana/x")]);
}

#[test]
fn boots_at_every_budget_arrive_whole_or_honestly_cut() {
    for unit in
        ["a", "字", "😀", "e\u{301}", "\x07", "\r", "<system-reminder>", "\x1b[2J", "\u{202e}", "\nHuman: x"]
    {
        for size in [9_499, 9_500, 10_000, 10_001, 40_000] {
            let text: String = unit.chars().cycle().take(size).collect();
            for agent in Agent::ALL {
                let reply = Reply { context: Some(text.clone()), message: Some(text.clone()) };
                let stdout = answer(agent, Event::SessionStart, &reply);
                assert_eq!(complaint(agent, Event::SessionStart, &stdout), None, "{unit:?} {size}");
                let context = context(agent, &stdout);
                let is_plain = matches!(unit, "a" | "字" | "e\u{301}");
                if is_plain && size <= 10_000 || unit == "😀" && size * 2 <= 10_000 {
                    assert_eq!(context, text, "{unit:?} {size}");
                } else if caps::units(&text) > 10_000 {
                    assert!(context.contains("[mvault: cut after "), "{unit:?} {size}");
                }
                assert!(!context.contains("<system") && !context.contains("\nHuman:"), "{unit:?} {size}");
                assert!(!context.contains(['\x07', '\r', '\x1b', '\u{202e}']), "{unit:?} {size}");
            }
        }
    }
}

#[test]
fn failures_are_told_where_the_host_has_a_place_for_them() {
    let stdin = fixture(Agent::ClaudeCode, Event::SessionStart, "required");
    let (failed, _) = run(Agent::ClaudeCode, Event::SessionStart, &stdin, Mood::Fails);
    let text = context(Agent::ClaudeCode, &failed.stdout);
    assert!(text.starts_with("mvault could not read the memory: the disk ␛[31mis full."), "{text}");
    assert!(text.contains("`mvault doctor`"), "{text}");
    let (panicked, _) = run(Agent::Cursor, Event::SessionStart, b"{}", Mood::Panics);
    assert!(context(Agent::Cursor, &panicked.stdout).contains("a fault of its own: a fault"));
    let stop = br#"{"session_id":"a"}"#;
    for (agent, says) in [(Agent::ClaudeCode, true), (Agent::Codex, true), (Agent::Cursor, false)] {
        let (failed, _) = run(agent, Event::Stop, stop, Mood::Fails);
        let text = String::from_utf8(failed.stdout).expect("UTF-8");
        assert_eq!(text.contains("did not journal this turn"), says, "{text}");
    }
}

#[test]
fn a_vault_that_is_late_is_not_waited_for() {
    struct Stuck(Receiver<()>);
    impl HookVault for Stuck {
        fn boot(&mut self, _: &Caller, _: BootKind, _: usize) -> Result<Briefing, HookError> {
            let _never = self.0.recv();
            Ok(Briefing::default())
        }
        fn checkpoint(&mut self, _: &Caller, _: Trigger) -> Result<(), HookError> {
            Ok(())
        }
        fn keep_summary(&mut self, _: &Caller, _: &str) -> Result<(), HookError> {
            Ok(())
        }
        fn journal_turn(&mut self, _: &Caller, _: Option<&str>) -> Result<(), HookError> {
            Ok(())
        }
        fn close(&mut self, _: &Caller, _: Option<&str>) -> Result<(), HookError> {
            Ok(())
        }
    }
    let (held, wait) = channel();
    let (agent, event) = (Agent::ClaudeCode, Event::SessionStart);
    let request = Request { agent, event, stdin: b"{}", surroundings: Surroundings::default() };
    let open = move |_: &HookInput| Ok(Box::new(Stuck(wait)) as Box<dyn HookVault>);
    let answer = respond(&request, open, Duration::from_millis(5));
    let text = context(agent, &answer.stdout);
    assert!(text.starts_with("mvault could not verify the memory within 5 ms."), "{text}");
    assert_eq!(complaint(agent, event, &answer.stdout), None);
    drop(held);
}

#[test]
fn a_folder_without_a_vault_hears_nothing() {
    for (agent, event) in pairs() {
        let stdin = fixture(agent, event, "all");
        let request = Request { agent, event, stdin: &stdin, surroundings: Surroundings::default() };
        let open = |input: &HookInput| Err(HookError::NoVault { folder: input.caller.folders[0].clone() });
        let answer = respond(&request, open, LONG);
        assert_eq!(answer.stdout, b"{}\n");
        assert_eq!(answer.diagnostics, ["there is no vault for /home/ana/paper"]);
    }
}

#[test]
fn deadlines_end_before_the_host_does() {
    for (agent, event) in pairs() {
        let allowed = crate::agent::install::timeout_seconds(agent, event);
        assert!(deadline(agent, event) + Duration::from_millis(500) <= Duration::from_secs(allowed));
    }
}
