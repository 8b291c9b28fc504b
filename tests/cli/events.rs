//! `note` and `events`: what happened, written, listed, checked, carried to another device.

use mvault::events::{Stream, verify};

use crate::support::Place;

fn vault(device: &str) -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", device]).ok();
    place
}

fn text(place: &Place, path: &str) -> String {
    String::from_utf8(place.read(path)).expect("UTF-8")
}

#[test]
fn a_note_is_a_line_and_a_commit_of_that_line_alone() {
    let place = vault("mac");
    place.write("notes/other.md", "not to be committed\n");
    let first = place.mvault(["note", "the", "client", "called"]).json();
    assert_eq!((&first["seq"], &first["device"], &first["kind"]), (&1.into(), &"mac".into(), &"note".into()));
    assert_eq!(first["stream"], "events/mac.jsonl");
    assert_eq!(first["at"], "2026-11-22T06:01:00+01:00");
    let second = place.mvault(["note", "--kind", "decision"]).stdin("no stemmer\n").json();
    assert_eq!(second["seq"], 2);
    assert!(second["lamport"].as_u64() > first["lamport"].as_u64());
    let bytes = place.read("events/mac.jsonl");
    let stream = Stream::parse(&bytes);
    assert_eq!(verify(&stream).findings, []);
    let events: Vec<_> = stream.lines().iter().filter_map(|line| line.event()).collect();
    assert_eq!(events[1].body.canonical(), r#"{"text":"no stemmer"}"#);
    assert_eq!(first["id"], events[0].id.to_string());
    let status = place.mvault(["status"]).json();
    let paths: Vec<_> = status["changes"].as_array().expect("changes").iter().map(|c| &c["path"]).collect();
    assert_eq!(paths, ["notes/other.md"]);
    assert_eq!(status["head"], second["commit"]);
}

#[test]
fn texts_of_notes_are_in_no_commit_message_and_no_log_line() {
    let place = vault("mac");
    place.mvault(["note", "hunter2"]).ok();
    place.mvault(["events", "add", r#"{"password":"hunter2"}"#]).ok();
    for entry in std::fs::read_dir(place.work().join(".mvault/oplog")).expect("the log") {
        let segment = std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
        assert!(segment.contains("\"note\"") && !segment.contains("hunter2"), "{segment}");
    }
    let messages = place.mvault(["log"]).json_lines();
    assert_eq!(messages.len(), 2);
    assert!(messages.iter().all(|commit| !commit.to_string().contains("hunter2")), "{messages:?}");
}

#[test]
fn an_empty_note_and_a_body_that_is_no_json_write_nothing() {
    let place = vault("mac");
    place.mvault(["note", " "]).code(2);
    place.mvault(["note"]).stdin("\n").code(2);
    place.mvault(["note"]).stdin(b"\xff").code(2);
    place.mvault(["events", "add", "{\"a\":1,\"a\":2}"]).code(2);
    place.mvault(["note", "--kind", "", "x"]).code(1);
    place.mvault(["note", "--stream", "../x", "x"]).code(1);
    place.mvault(["note", "--stream", ".mvault/x.jsonl", "x"]).code(1);
    assert!(!place.work().join("events").exists());
}

#[test]
fn a_note_after_a_torn_line_leaves_it_and_is_not_glued_to_it() {
    let place = vault("mac");
    place.mvault(["note", "one"]).ok();
    let torn = format!("{}{{\"id\":\"torn", text(&place, "events/mac.jsonl"));
    place.write("events/mac.jsonl", &torn);
    assert_eq!(place.mvault(["note", "two"]).json()["seq"], 2);
    assert!(text(&place, "events/mac.jsonl").starts_with(&format!("{torn}\n")));
    let report = place.mvault(["events", "verify", "--json"]).code(1).json();
    assert_eq!((&report["events"], &report["held"]), (&2.into(), &0.into()));
    assert_eq!(report["problems"][0]["kind"], "opaque");
    assert_eq!(report["problems"][0]["line"], 2);
}

#[test]
fn a_stream_that_lost_lines_takes_no_more_of_them() {
    let place = vault("mac");
    place.mvault(["note", "one"]).ok();
    place.mvault(["note", "two"]).ok();
    let lines = text(&place, "events/mac.jsonl");
    place.write("events/mac.jsonl", "");
    let error = place.mvault(["note", "three", "--json"]).code(1).error();
    assert_eq!(error["kind"], "refused");
    assert_eq!(error["hint"], "`mvault checkout main -- events/mac.jsonl` brings them back");
    assert_eq!(text(&place, "events/mac.jsonl"), "");
    place.mvault(["checkout", "main", "--", "events/mac.jsonl"]).ok();
    assert_eq!(text(&place, "events/mac.jsonl"), lines);
    assert_eq!(place.mvault(["note", "three"]).json()["seq"], 3);
}

#[test]
fn an_undone_note_stays_in_the_file_and_the_next_one_follows_it() {
    let place = vault("mac");
    place.mvault(["note", "one"]).ok();
    place.mvault(["note", "two"]).ok();
    place.mvault(["undo"]).ok();
    assert_eq!(place.mvault(["note", "three"]).json()["seq"], 3);
    assert_eq!(verify(&Stream::parse(&place.read("events/mac.jsonl"))).findings, []);
}

#[test]
fn a_note_while_parked_goes_to_the_branch_and_the_tree_stays_parked() {
    let place = vault("mac");
    place.write("a.md", "one\n");
    let old = place.mvault(["commit", "-m", "one"]).json()["id"].as_str().expect("an id").to_owned();
    place.write("a.md", "two\n");
    place.mvault(["commit", "-m", "two"]).ok();
    place.mvault(["note", "before"]).ok();
    place.mvault(["checkout", &old]).ok();
    let noted = place.mvault(["note", "while parked"]).json();
    assert_eq!(noted["seq"], 2);
    let status = place.mvault(["status"]).json();
    assert_eq!(status["head"], noted["commit"]);
    assert_eq!(status["parked"], old);
    assert_eq!(text(&place, "a.md"), "one\n");
    place.mvault(["checkout", "main"]).ok();
    assert_eq!(text(&place, "a.md"), "two\n");
    assert_eq!(text(&place, "events/mac.jsonl").lines().count(), 2);
    assert_eq!(place.mvault(["status"]).json()["changes"].as_array().map(Vec::len), Some(0));
}

fn two_weeks() -> Place {
    let place = vault("tablet");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/two-weeks/events");
    for name in ["mac.jsonl", "pixel.jsonl"] {
        place.write(format!("events/{name}"), std::fs::read(folder.join(name)).expect("a stream"));
    }
    place
}

#[test]
fn events_of_all_streams_are_listed_in_causal_order() {
    let place = two_weeks();
    let all = place.mvault(["events", "list"]).json_lines();
    assert_eq!(all.len(), 56);
    let stamps: Vec<_> = all.iter().map(|e| (e["lamport"].as_u64(), e["device"].as_str())).collect();
    assert!(stamps.is_sorted());
    let of = |args: &[&str]| place.mvault(["events", "list"].iter().chain(args)).json_lines();
    assert_eq!(of(&["-n", "1"])[0]["body"]["text"], all[55]["body"]["text"]);
    assert_eq!(of(&["--device", "pixel"]).len(), 20);
    assert_eq!(of(&["--kind", "decision"]).len(), 4);
    assert_eq!(of(&["--session", "s-1117-p"]).len(), 4);
    assert_eq!(of(&["--since", "2026-11-22T00:00"]).len(), 2);
    assert_eq!(of(&["--stream", "mac"]).len(), 36);
    place.mvault(["events", "list", "--since", "whenever"]).code(2);
    place.mvault(["events", "list", "--stream", "nowhere"]).code(1);
    let shown = place.mvault(["events", "list", "-n", "2"]).ok();
    assert_eq!(
        shown,
        "2026-11-22 09:16  pixel  note  The library across the border has the rival paper. Call on the 24th. \
         Ask for February 1903!\n\
         2026-11-22 17:48  mac    done  Pilot checklist gone through; three boxes open, none of them code\n"
    );
}

#[test]
fn what_one_device_exports_another_imports_once() {
    let from = two_weeks();
    let exported = from.mvault(["events", "export", "--device", "pixel"]).ok();
    assert_eq!(exported, text(&from, "events/pixel.jsonl"));
    from.mvault(["events", "export", "--output", "all.jsonl"]).ok();

    let to = vault("mac");
    to.write("pixel.txt", &exported);
    let added = to.mvault(["events", "import", "pixel.txt"]).json();
    assert_eq!((&added["stream"], &added["added"]), (&"events/pixel.jsonl".into(), &20.into()));
    assert_eq!(text(&to, "events/pixel.jsonl"), exported);
    let again = to.mvault(["events", "import", "-"]).stdin(from.read("all.jsonl")).json_lines();
    let counts: Vec<_> = again.iter().map(|s| (s["added"].as_u64(), s["known"].as_u64())).collect();
    assert_eq!(counts, [(Some(36), Some(0)), (Some(0), Some(20))]);
    to.mvault(["events", "verify"]).ok();
    let paths: Vec<_> = to.mvault(["status"]).json()["changes"].as_array().expect("changes").clone();
    assert_eq!(paths.len(), 1, "only the exported file itself is not committed: {paths:?}");
}

#[test]
fn events_that_follow_an_unknown_one_are_held_back_until_it_comes() {
    let from = two_weeks();
    let all = text(&from, "events/pixel.jsonl");
    let late: String = all.lines().skip(18).map(|line| format!("{line}\n")).collect();
    let to = vault("mac");
    let added = to.mvault(["events", "import", "-"]).stdin(&late).json();
    assert_eq!((&added["added"], &added["held"]), (&2.into(), &2.into()));
    assert_eq!(to.mvault(["events", "list"]).json_lines().len(), 0);
    assert_eq!(to.mvault(["events", "list", "--all"]).json_lines().len(), 2);
    to.mvault(["events", "verify"]).code(1);
    let added = to.mvault(["events", "import", "-"]).stdin(&all).json();
    assert_eq!((&added["added"], &added["held"]), (&18.into(), &0.into()));
    assert_eq!(to.mvault(["events", "list"]).json_lines().len(), 20);
    to.mvault(["events", "verify"]).ok();
}

#[test]
fn lines_of_other_tools_keep_their_repeats_and_two_bodies_are_refused() {
    let place = vault("mac");
    let lines = "{\"tool\":\"ping\"}\n{\"tool\":\"ping\"}\n{\"id\":\"x\",\"n\":1}\n";
    place.mvault(["events", "import", "-"]).stdin(lines).ok();
    assert_eq!(text(&place, "events/imported.jsonl"), lines);
    let error =
        place.mvault(["events", "import", "-", "--json"]).stdin("{\"id\":\"x\",\"n\":2}\n").code(1).error();
    assert_eq!(error["kind"], "conflicts");
    assert_eq!(text(&place, "events/imported.jsonl"), lines);
    let listed = place.mvault(["events", "list", "--all"]).json_lines();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0]["text"], "{\"tool\":\"ping\"}");
}

#[test]
fn control_characters_in_events_cannot_steer_a_terminal() {
    let place = vault("mac");
    place.mvault(["events", "add", r#"{"text":"\u001b[2Jgone"}"#]).ok();
    let shown = place.mvault(["events", "list"]).ok();
    assert!(!shown.contains('\x1b') && shown.contains("gone"), "{shown:?}");
}

/// A power cut while a note was added left half a line, or zeros, at the end of the stream until the next note.
#[test]
fn a_line_that_was_cut_short_is_completed_by_the_next_command_and_nothing_else_is_touched() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.mvault(["note", "one"]).ok();
    let one = place.read("events/mac.jsonl");
    place.mvault(["note", "two"]).ok();
    let two = place.read("events/mac.jsonl");
    let added = &two[one.len()..];
    let header = serde_json::json!({
        "mvault-appending": 1,
        "path": "events/mac.jsonl",
        "length": one.len(),
        "sha256": hex::encode(<sha2::Sha256 as sha2::Digest>::digest(added)),
    });
    let note = [format!("{header}\n").as_bytes(), added].concat();
    let zeros = vec![0; added.len()];
    let other: &[u8] = b"{\"of\":\"another program\"}\n";
    for (tail, expected) in [
        (&added[..added.len() / 2], &two),
        (&zeros[..], &two),
        (added, &two),
        (b"", &one),
        (other, &[&one[..], other].concat()),
    ] {
        place.write("events/mac.jsonl", [&one[..], tail].concat());
        place.write(".mvault/appending", &note);
        place.mvault(["status"]).ok();
        let found = String::from_utf8_lossy(&place.read("events/mac.jsonl")).into_owned();
        assert_eq!(found, String::from_utf8_lossy(expected), "after {:?}", String::from_utf8_lossy(tail));
        assert!(!place.work().join(".mvault/appending").exists());
    }
}
