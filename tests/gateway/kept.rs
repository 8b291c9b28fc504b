//! What was refused comes back with one command, and goes for good with another.

use super::{allowed, assert_not_told, committed, head, reasons, rejections, secret, sha256, vault};
use crate::support::Place;

/// A vault in which a page with markers was refused in session `s1`.
fn refused() -> (Place, String) {
    let place = vault();
    let bad = "# Continuity\n<<<<<<< a\n=======\n>>>>>>> b\n";
    place.write("continuity.md", bad);
    place.mvault(["commit", "--session", "s1"]).code(3);
    place.mvault(["checkout", "HEAD", "--", "continuity.md"]).ok();
    (place, bad.to_owned())
}

#[test]
fn restore_brings_the_bytes_back_as_an_edit() {
    let (place, bad) = refused();
    let before = head(&place);
    let id = sha256(&bad)[..8].to_owned();
    let text = place.mvault(["quarantine", "restore", &id]).ok();
    assert!(text.contains("continuity.md"), "{text}");
    assert_eq!(place.read("continuity.md"), bad.as_bytes());
    assert_eq!(head(&place), before);
    place.mvault(["commit"]).code(3);
}

#[test]
fn restore_keeps_what_stood_there_in_no_commit() {
    let (place, bad) = refused();
    place.write("continuity.md", "an edit that no commit has\n");
    let told = place.mvault(["quarantine", "restore", &sha256(&bad)]).json();
    let saved = told["saved"].as_str().expect("a saved state");
    let shown = place.mvault(["show", &format!("{saved}:continuity.md")]).ok();
    assert_eq!(shown, "an edit that no commit has\n");
    assert_eq!(place.read("continuity.md"), bad.as_bytes());
}

#[test]
fn restore_to_another_place_leaves_the_first_alone() {
    let (place, bad) = refused();
    place.mvault(["quarantine", "restore", &sha256(&bad), "--to", "notes/new/kept.md"]).ok();
    assert_eq!(place.read("notes/new/kept.md"), bad.as_bytes());
    assert_eq!(place.read("continuity.md"), b"# Continuity\n\nas it was\n");
    place.mvault(["quarantine", "restore", &sha256(&bad), "--to", "../outside.md"]).code(2);
    place.mvault(["quarantine", "restore", &sha256(&bad), "--to", ".mvault/config.toml"]).code(2);
    assert!(!place.root().join("outside.md").exists());
}

#[test]
fn restore_with_commit_takes_it_in_and_says_so_in_the_audit_trail() {
    let (place, bad) = refused();
    let told = place.mvault(["quarantine", "restore", "--commit", &sha256(&bad)]).json();
    assert_eq!(told["commit"].as_str(), Some(&*head(&place)));
    assert_eq!(committed(&place, "continuity.md").as_deref(), Some(bad.as_bytes()));
    assert_eq!(allowed(&place, ".", "quarantine-restore"), ["conflict-markers:continuity.md"]);
    place.mvault(["commit"]).code(0);
    place.mvault(["verify"]).ok();
}

#[test]
fn restore_with_commit_of_a_sealed_file_seals_it_anew() {
    let place = vault();
    place.write("distillates/a.md", "one\n");
    place.mvault(["commit"]).ok();
    place.write("distillates/a.md", "two\n");
    place.mvault(["commit"]).code(3);
    place.mvault(["quarantine", "restore", "--commit", &sha256("two\n")]).ok();
    assert_eq!(committed(&place, "distillates/a.md").as_deref(), Some(&b"two\n"[..]));
    super::assert_seals_hold(&place, ".");
}

#[test]
fn restore_with_commit_never_says_done_when_another_reason_stands_against_it() {
    let place = vault();
    place.write("notes/a.md", "");
    place.write("notes/key.md", format!("{}\n", secret()));
    place.mvault(["commit"]).code(3);
    // At that place it would be refused for another reason than before.
    let text = format!("{}\n", secret());
    let run = place.mvault(["quarantine", "restore", "--commit", &sha256(&text), "--to", "events/day.jsonl"]);
    let outcome = run.run();
    let is_in = committed(&place, "events/day.jsonl").is_some();
    assert_eq!(outcome.code == Some(0), is_in, "{}", outcome.describe());
}

#[test]
fn ids_must_be_long_enough_and_of_one_thing() {
    let (place, bad) = refused();
    for id in ["", "abc", "ffffffffff", "not hex", &format!("{}0", sha256(&bad))] {
        place.mvault(["quarantine", "show", id]).code(1);
    }
    // Of some hundred hashes two share their first four digits.
    let mut seen = std::collections::BTreeMap::new();
    for number in 0..100_000 {
        let text = format!("[{number}\n");
        if let Some(other) = seen.insert(sha256(&text)[..4].to_owned(), text.clone()) {
            for (name, text) in [("one", &other), ("two", &text)] {
                place.write(format!("{name}.json"), text);
            }
            break;
        }
    }
    place.write("vault.toml", "[[path]]\nmatch = '*.json'\nsyntax = 'json'\n");
    place.mvault(["commit", "vault.toml"]).ok();
    place.mvault(["commit"]).code(3);
    let kept = place.mvault(["quarantine", "list"]).json_lines();
    assert_eq!(kept.len(), 3, "{kept:?}");
    let twins: Vec<_> =
        kept.iter().filter_map(|one| one["id"].as_str()).filter(|id| **id != sha256(&bad)).collect();
    assert_eq!(twins[0][..4], twins[1][..4]);
    for verb in ["show", "restore", "drop"] {
        let error = place.mvault(["quarantine", verb, &twins[0][..4], "--json"]).code(1).error();
        assert_eq!(error["kind"], "ambiguous", "{verb}");
    }
    place.mvault(["quarantine", "show", &twins[0].to_uppercase()]).ok();
}

#[test]
fn drop_asks_for_a_yes_and_is_in_the_audit_trail() {
    let (place, bad) = refused();
    let id = sha256(&bad);
    place.mvault(["quarantine", "drop", &id]).code(2);
    assert_eq!(place.mvault(["quarantine", "list"]).json_lines().len(), 1);
    place.mvault(["quarantine", "drop", &id, "--yes"]).ok();
    assert_eq!(place.mvault(["quarantine", "list"]).json_lines().len(), 0);
    assert!(!place.work().join(".mvault/quarantine").join(&id).exists());
    let newest = &place.mvault(["audit", "-n", "1"]).json_lines()[0];
    assert_eq!(
        (newest["op"].as_str(), newest["detail"]["sha256"].as_str()),
        (Some("quarantine-drop"), Some(&*id))
    );
    place.mvault(["quarantine", "restore", &id]).code(1);
    assert_eq!(place.mvault(["rejections", "--all"]).json_lines().len(), 1, "the line stays");
    place.mvault(["verify"]).ok();
}

#[test]
fn a_copy_that_was_changed_is_not_given_back() {
    let (place, bad) = refused();
    let id = sha256(&bad);
    place.write(format!(".mvault/quarantine/{id}"), bad.replace('a', "b"));
    let outcome = place.mvault(["quarantine", "restore", &id, "--json"]).run();
    assert_ne!(outcome.code, Some(0), "{}", outcome.describe());
    assert_eq!(place.read("continuity.md"), b"# Continuity\n\nas it was\n");
}

#[test]
fn rejections_are_told_session_by_session() {
    let place = vault();
    for (session, path) in [(Some("s1"), "a.json"), (Some("s2"), "b.json"), (None, "c.json")] {
        place.write("vault.toml", "[[path]]\nmatch = '*.json'\nsyntax = 'json'\n");
        place.mvault(["commit", "vault.toml"]).ok();
        place.write(path, "no\n");
        match session {
            Some(session) => place.mvault(["commit", path, "--session", session]).code(3),
            None => place.mvault(["commit", path]).code(3),
        };
    }
    let paths = |args: &[&str]| -> Vec<String> {
        let lines = place.mvault(["rejections"].iter().chain(args)).json_lines();
        lines.iter().map(|line| line["path"].as_str().expect("a path").to_owned()).collect()
    };
    assert_eq!(paths(&[]), ["c.json"], "what was refused last");
    assert_eq!(paths(&["--session", "s1"]), ["a.json"]);
    assert_eq!(paths(&["--session", "none"]), ["c.json"]);
    assert_eq!(paths(&["--session", "s3"]), [] as [&str; 0]);
    assert_eq!(paths(&["--all"]), ["a.json", "b.json", "c.json"]);
    place.mvault(["rejections", "--session", "../x"]).code(2);
    place.mvault(["rejections", "--session", "s1", "--all"]).code(2);
    // Refused again in another session, it is told there too.
    place.mvault(["commit", "--session", "s2"]).code(3);
    assert_eq!(rejections(&place, ".", "s2").len(), 3);
    let text = place.mvault(["rejections", "--all"]).ok();
    assert!(text.contains("session s1") && text.contains("outside of any session"), "{text}");
    assert!(text.contains("mvault quarantine restore"), "{text}");
}

#[test]
fn a_torn_rejection_log_is_read_round_and_written_on() {
    let place = vault();
    place.write("continuity.md", "");
    place.mvault(["commit"]).code(3);
    let log = place.work().join(".mvault/rejections/.none.jsonl");
    let mut bytes = std::fs::read(&log).expect("a log");
    bytes.extend_from_slice(b"{\"at\":\"20");
    std::fs::write(&log, bytes).expect("written");
    place.write("notes/a.md", "");
    place.mvault(["commit"]).code(3);
    assert_eq!(place.mvault(["rejections"]).json_lines().len(), 2);
}

#[test]
fn secrets_in_notes_and_events_are_refused_before_anything_is_written() {
    let place = vault();
    let (secret, stream) = (secret(), "events/mac.jsonl");
    place.mvault(["note", "the first"]).ok();
    let (head_before, stream_before) = (head(&place), place.read(stream));
    let line = format!("{{\"kind\":\"x\",\"key\":\"{secret}\"}}\n");
    place.write("incoming", &line);
    remove_after(&place, "incoming", |place| {
        let file = place.work().join("incoming");
        let file = file.to_str().expect("a name");
        let outcomes = [
            place.mvault(["note", "the key is", &secret]).code(3),
            place.mvault(["note", "--session", "s1"]).stdin(format!("key {secret}")).code(3),
            place.mvault(["note", "--json"]).stdin(format!("a key {secret}")).code(3),
            place.mvault(["events", "add", "--kind", "x"]).stdin(format!("{{\"key\":\"{secret}\"}}")).code(3),
            place.mvault(["events", "import", file, "--stream", "mac"]).code(3),
            place.mvault(["events", "import", file, "--stream", "new"]).code(3),
        ];
        assert_eq!(head(place), head_before);
        assert_eq!(place.read(stream), stream_before);
        assert!(!place.work().join("events/new.jsonl").exists());
        assert_eq!(outcomes[2].error()["kind"], "not_admitted");
        let all: Vec<_> = outcomes.iter().skip(1).collect();
        assert_not_told(place, &secret, &all);
        let told = outcomes[0].stderr();
        assert!(!told.contains(&secret) && told.contains("--allow secret"), "{told}");
    });
    assert_eq!(rejections(&place, ".", "s1").len(), 1);
    place.mvault(["note", "--allow", "secret", "the key is", &secret]).code(0);
    assert!(String::from_utf8_lossy(&place.read(stream)).contains(&secret));
    assert_eq!(allowed(&place, ".", "note"), ["secret:events/mac.jsonl"]);
    place.mvault(["events", "import", "-", "--stream", "mac", "--allow", "secret"]).stdin(&line).code(0);
    place.mvault(["commit"]).code(0);
    place.mvault(["note", "goes on"]).code(0);
}

fn remove_after(place: &Place, path: &str, then: impl FnOnce(&Place)) {
    place.write(".mvaultignore", format!("{path}\n"));
    then(place);
    super::remove(place, path);
}

#[test]
fn a_refusal_that_was_mended_is_not_told_of_any_more() {
    let (place, _) = refused();
    let status = place.mvault(["status"]).json();
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(0), "{status}");
    place.write("continuity.md", "# Continuity\n\nmended\n");
    let told = place.mvault(["commit"]).json();
    assert_eq!(reasons(&told, "rejected"), [] as [&str; 0]);
}

/// A backup put an older state of the folder back; committed unasked it would undo what a phone wrote since.
#[test]
fn files_of_an_older_state_are_told_and_wait_for_a_yes() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    for version in 1..=4 {
        for name in ["continuity.md", "notes/a.md", "notes/b.md"] {
            place.write(name, format!("version {version} of {name}\n"));
        }
        place.mvault(["note", &format!("version {version}")]).ok();
        place.mvault(["commit", "-m", &format!("version {version}")]).ok();
    }
    let restore = |version: usize, names: &[&str]| {
        for name in names {
            place.write(name, format!("version {version} of {name}\n"));
        }
    };
    let all = ["continuity.md", "notes/a.md", "notes/b.md"];
    let head = place.mvault(["status"]).json()["head"].clone();
    restore(1, &all);
    let refused = place.mvault(["commit", "--json"]).code(3).json();
    assert!(refused["id"].is_null(), "{refused}");
    assert_eq!(
        (&refused["rejected"][0]["path"], &refused["rejected"][0]["reason"]),
        (&".".into(), &"restored".into())
    );
    assert!(
        refused["rejected"][0]["hint"].as_str().expect("a hint").contains("mvault rollback"),
        "{refused}"
    );
    assert_eq!(place.mvault(["status"]).json()["head"], head);
    assert_eq!(place.read("continuity.md"), b"version 1 of continuity.md\n", "the files stay");
    place.mvault(["commit", "--strict"]).code(1);
    let taken = place.mvault(["commit", "--allow", "restored"]).json();
    assert!(taken["id"].is_string(), "{taken}");
    assert!(place.mvault(["audit"]).ok().contains("restored"), "the trail has it");

    // What is an edit: something new, one file, or the last commit of this device taken back by hand.
    restore(2, &all);
    place.write("notes/new.md", "new\n");
    place.mvault(["commit", "-m", "old files and a new one"]).ok();
    restore(3, &["continuity.md"]);
    place.mvault(["commit", "-m", "one file"]).ok();
    restore(4, &all);
    place.mvault(["commit", "-m", "newest"]).ok();
    restore(2, &["notes/a.md", "notes/b.md"]);
    restore(3, &["continuity.md"]);
    place.mvault(["commit", "-m", "back"]).ok();
}

/// A mac and a phone, with a line of the phone in the mac's `continuity.md`.
fn with_a_line_of_the_phone() -> Place {
    let place = super::pair(&[("continuity.md", "# C\n\nv1\nold\n"), ("n.md", "n\n")]);
    place.write("pixel/continuity.md", "# C\n\nv1\nold\nphone line\n");
    super::on(&place, "pixel", &["commit"]).code(0);
    super::on(&place, "mac", &["pull", "pixel"]).code(0);
    place
}

/// An editor with an old version open wrote it back, and the phone's line was gone from every device without a word.
#[test]
fn a_stale_write_back_of_one_file_is_refused_with_the_lines_it_takes_back() {
    let place = with_a_line_of_the_phone();
    let stale = "# C\n\nv1\nold\n";
    place.write("mac/continuity.md", stale);
    place.write("mac/new.md", "beside it\n");
    let told = super::on(&place, "mac", &["commit", "--json"]).code(3).json();
    assert_eq!(super::reasons(&told, "rejected"), ["restored continuity.md"]);
    assert_eq!(told["rejected"][0]["lines"][0], "written by pixel: phone line");
    assert!(told["id"].is_string(), "everything else is committed: {told}");
    let text = super::on(&place, "mac", &["commit"]).code(3).stderr();
    assert!(text.contains("phone line") && text.contains("--allow restored:continuity.md"), "{text}");
    assert_eq!(place.read("mac/continuity.md"), stale.as_bytes(), "the file stays");
    for rejection in super::rejections(&place, "mac", "") {
        assert!(!rejection.to_string().contains("phone line"), "no content is logged: {rejection}");
    }
    super::on(&place, "mac", &["commit", "--allow", "restored:continuity.md"]).code(0);

    let place = with_a_line_of_the_phone();
    let write =
        |args: &[&str]| super::on(&place, "mac", &[&["write", "continuity.md"], args].concat()).stdin(stale);
    write(&[]).code(3);
    let hash = super::sha256(place.read("mac/continuity.md"));
    write(&["--if-match", &hash]).code(0);
}

/// The old version came back with other line ends, or without the line end of its last line, as editors and agents save
/// it: it was no older version to the byte, so the phone's line went without a word.
#[test]
fn a_stale_version_in_another_form_is_refused_and_a_new_form_alone_is_not() {
    let place = with_a_line_of_the_phone();
    for stale in
        ["# C\r\n\r\nv1\r\nold\r\n", "# C\n\nv1\nold", "\u{feff}# C\n\nv1\nold\n", "# C  \nv1\nold\n\n"]
    {
        place.write("mac/continuity.md", stale);
        let told = super::on(&place, "mac", &["commit", "--json"]).code(3).json();
        assert_eq!(super::reasons(&told, "rejected"), ["restored continuity.md"], "{stale:?}");
        assert_eq!(told["rejected"][0]["lines"][0], "written by pixel: phone line");
        super::on(&place, "mac", &["write", "continuity.md"]).stdin(stale).code(3);
    }
    place.write("mac/continuity.md", "\u{feff}# C\r\n\r\nv1\r\nold\r\nphone line");
    super::on(&place, "mac", &["commit"]).code(0);
}

#[test]
fn what_a_person_puts_back_on_purpose_is_an_edit() {
    let place = with_a_line_of_the_phone();
    super::on(&place, "mac", &["checkout", "main~1", "--", "continuity.md"]).code(0);
    super::on(&place, "mac", &["commit"]).code(0);
    for edit in [
        "# C\n\nv1\nold\nmine\n", // the phone's task is done, and there is another one
        "# C\n\nv2\n",
        "# C\n\nv1\nold\nphone line, edited\n",
    ] {
        let place = with_a_line_of_the_phone();
        place.write("mac/continuity.md", edit);
        super::on(&place, "mac", &["commit"]).code(0);
    }
    // What this device wrote itself can be taken back by hand.
    let place = with_a_line_of_the_phone();
    place.write("mac/continuity.md", "# C\n\nv1\nold\nphone line\nmine\n");
    super::on(&place, "mac", &["commit"]).code(0);
    place.write("mac/continuity.md", "# C\n\nv1\nold\nphone line\n");
    super::on(&place, "mac", &["commit"]).code(0);
}

#[test]
fn an_old_version_with_an_edit_in_it_brings_no_replaced_lines_back() {
    let place = super::pair(&[("continuity.md", "one\ntwo\nthree\nfour\n")]);
    place.write("pixel/continuity.md", "ONE\nTWO\nthree\nfour\n");
    super::on(&place, "pixel", &["commit"]).code(0);
    super::on(&place, "mac", &["pull", "pixel"]).code(0);
    place.write("mac/continuity.md", "one\ntwo\nthree\nfour and mine\n");
    let told = super::on(&place, "mac", &["commit", "--json"]).code(3).json();
    assert_eq!(super::reasons(&told, "rejected"), ["restored continuity.md"]);
}

/// A sync service moved files off the disk; their deletion went to every device, and their placeholders with it.
#[test]
fn a_file_that_a_sync_service_evicted_is_neither_deleted_nor_replaced_by_its_placeholder() {
    let files: Vec<(String, &str)> = (1..=8).map(|n| (format!("n{n}.md"), "note\n")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let place = super::pair(&files);
    for (name, placeholder) in
        [("n3.md", ".n3.md.icloud"), ("n4.md", "n4.md.nextcloud"), ("n5.md", "n5.md.owncloud")]
    {
        super::remove(&place, format!("mac/{name}"));
        place.write(format!("mac/{placeholder}"), " ");
    }
    place.write("mac/.never-seen.md.icloud", "bplist00");
    place.write("mac/weather.cloud", "a file of its own\n");
    let said = super::on(&place, "mac", &["commit"]).code(0).stderr();
    assert!(said.contains("n3.md") && said.contains("placeholder"), "{said}");
    let said = super::on(&place, "mac", &["commit"]).code(0).stderr();
    assert!(!said.contains("placeholder"), "once: {said}");
    assert_eq!(super::on(&place, "mac", &["status"]).json()["changes"].as_array().map(Vec::len), Some(0));
    super::on(&place, "pixel", &["pull", "mac"]).code(0);
    let mut names: Vec<_> = std::fs::read_dir(place.work().join("pixel"))
        .expect("a folder")
        .map(|entry| entry.expect("a name").file_name().into_string().expect("text"))
        .filter(|name| name != ".mvault" && name != "n1.md" && name != "n2.md")
        .collect();
    names.sort();
    assert_eq!(names, ["n3.md", "n4.md", "n5.md", "n6.md", "n7.md", "n8.md", "weather.cloud"]);
    // What is deleted for good is deleted, and what comes back is there.
    super::remove(&place, "mac/.n3.md.icloud");
    super::remove(&place, "mac/n4.md.nextcloud");
    place.write("mac/n4.md", "note, edited\n");
    let told = super::on(&place, "mac", &["commit", "--json"]).code(0).json();
    assert_eq!(told["changed"].as_array().map(Vec::len), Some(2), "{told}");
}
