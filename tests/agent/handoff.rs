//! Tasks left for another agent or device.

use crate::support::{Place, Run};

fn on(place: &Place, device: &str, args: &[&str]) -> Run {
    place.mvault(args).dir(device)
}

/// A vault on `mac`, a clone on `pixel`, each the other's remote.
pub fn pair() -> Place {
    let place = Place::new();
    place.write("mac/continuity.md", "# Continuity\n\n## Now\n\nThe parser.\n");
    place.write("mac/notes/parser.md", "how the parser works\n");
    on(&place, "mac", &["init", "--device", "mac"]).ok();
    on(&place, "mac", &["commit", "-m", "first"]).ok();
    place.mvault(["clone", "mac", "pixel", "--device", "pixel"]).ok();
    on(&place, "mac", &["remote", "add", "pixel", "../pixel"]).ok();
    place
}

#[test]
fn a_task_travels_with_its_context_and_is_done_elsewhere() {
    let place = pair();
    let args = ["handoff", "create", "--to", "pixel", "finish the parser", "--context", "notes/parser.md"];
    let made = on(&place, "mac", &[&args[..], &["--next", "add tests", "--agent", "codex"]].concat()).json();
    let id = made["id"].as_str().expect("an id").to_owned();
    assert_eq!(id.len(), 64);
    assert_eq!((&made["state"], &made["from"]), (&"open".into(), &"codex".into()));
    on(&place, "mac", &["sync", "pixel"]).ok();

    let listed = on(&place, "pixel", &["handoff", "list"]).json_lines();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["id"], id.as_str());
    let blob = listed[0]["context"][0]["id"].as_str().expect("an id");
    assert_eq!(on(&place, "pixel", &["cat", blob]).ok(), "how the parser works\n");
    let boot = on(&place, "pixel", &["boot"]).ok();
    assert!(boot.contains("handed off to you") && boot.contains("next: add tests"), "{boot}");

    on(&place, "pixel", &["handoff", "accept", &id[..6]]).ok();
    let again = on(&place, "pixel", &["handoff", "accept", &id]).json();
    assert_eq!(again["commit"], serde_json::Value::Null, "accepting twice writes nothing twice");
    on(&place, "mac", &["sync", "pixel"]).ok();
    let refused = on(&place, "mac", &["handoff", "accept", &id, "--json"]).code(1);
    assert_eq!(refused.error()["kind"], "stale");
    on(&place, "pixel", &["handoff", "complete", &id, "-m", "all green"]).ok();
    on(&place, "mac", &["sync", "pixel"]).ok();
    assert!(on(&place, "mac", &["handoff", "list"]).json_lines().is_empty());
    let all = on(&place, "mac", &["handoff", "list", "--all"]).json_lines();
    assert_eq!((&all[0]["state"], &all[0]["completed"]["text"]), (&"completed".into(), &"all green".into()));
    assert!(on(&place, "mac", &["handoff", "list", "--all"]).ok().contains("done by pixel"));
}

#[test]
fn two_accept_at_once_and_the_same_one_has_it_everywhere() {
    let place = pair();
    let id =
        on(&place, "mac", &["handoff", "create", "a task"]).json()["id"].as_str().expect("an id").to_owned();
    on(&place, "mac", &["sync", "pixel"]).ok();
    on(&place, "pixel", &["handoff", "accept", &id]).ok();
    on(&place, "mac", &["handoff", "accept", &id]).ok();
    on(&place, "mac", &["sync", "pixel"]).ok();
    let here = on(&place, "mac", &["handoff", "list"]).json_lines();
    let there = on(&place, "pixel", &["handoff", "list"]).json_lines();
    assert_eq!(here, there);
    assert_eq!(here[0]["accepted"]["device"], "mac", "equal stamps, so the name decides");
    assert_eq!(here[0]["lost"][0]["device"], "pixel");
    let told = on(&place, "pixel", &["handoff", "list"]).ok();
    assert!(told.contains("mac has it"), "{told}");
    let boot = on(&place, "pixel", &["boot"]).ok();
    assert!(boot.contains("mac came first"), "{boot}");
    on(&place, "pixel", &["handoff", "complete", &id]).code(1);
    on(&place, "pixel", &["handoff", "accept", &id, "--take-over"]).ok();
    on(&place, "pixel", &["handoff", "complete", &id]).ok();
}

#[test]
fn a_handoff_file_of_mirrordna_is_read_and_secrets_stay_out() {
    let place = pair();
    place.write(
        "handoff.json",
        r#"{"client":"claude","timestamp":"2026-02-23T18:40:00+05:30","action":"finish the parser",
            "pending":["tests"],"files_modified":["src/a.py"],"verification":"12 passed",
            "next_client":"codex","notes":"mind the tabs"}"#,
    );
    let made = on(&place, "mac", &["handoff", "create", "--from-file", "../handoff.json"]).json();
    assert_eq!((&made["to"], &made["from"]), (&"codex".into(), &"claude".into()));
    assert_eq!((&made["next"][0], &made["context"][0]["path"]), (&"tests".into(), &"src/a.py".into()));

    let secret = concat!("use AKIA", "Q3EGRIN7LXZTPWMV and go on");
    let refused = on(&place, "mac", &["handoff", "create", secret]).run();
    assert_eq!(refused.code, Some(3), "{}", refused.describe());
    assert_eq!(on(&place, "mac", &["handoff", "list"]).json_lines().len(), 1);
    let audit = on(&place, "mac", &["audit", "--json"]).ok();
    assert!(!audit.contains("finish the parser") && !audit.contains("AKIA"), "texts stay out of the log");
}

#[test]
fn what_makes_no_sense_is_said_and_writes_nothing() {
    let place = pair();
    on(&place, "mac", &["handoff", "create"]).code(2);
    on(&place, "mac", &["handoff", "create", "  "]).code(2);
    on(&place, "mac", &["handoff", "create", "a task", "--context", "not-there.md"]).code(1);
    let unknown = on(&place, "mac", &["handoff", "accept", "abcd", "--json"]).code(1);
    assert_eq!(unknown.error()["kind"], "not_found");
    place.write("not.json", "[]");
    on(&place, "mac", &["handoff", "create", "--from-file", "../not.json"]).code(1);
    assert!(on(&place, "mac", &["handoff", "list"]).json_lines().is_empty());
}
