//! What cannot be done is said in words a person can act on, with its own exit code, and harms nothing.

use crate::support::{MVAULT, Place, Run};

fn vault() -> Place {
    let place = Place::new();
    place.write("a.md", "one\n");
    place.mvault(["init", "--device", "mac"]).ok();
    place.mvault(["commit", "-m", "one"]).ok();
    place
}

/// Runs mvault with a fault injected into its system calls.
fn with_fault(place: &Place, calls: &str, error: &str, args: &[&str]) -> Run {
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:error={error}");
    let own = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, MVAULT];
    place.program("strace", own.iter().chain(args))
}

fn said(run: Run, code: i32) -> String {
    run.code(code).stderr()
}

#[test]
fn a_folder_without_a_vault_says_how_to_make_one() {
    let place = Place::new();
    let text = said(place.mvault(["status"]), 1);
    assert!(text.contains("no vault in") && text.contains("mvault init"), "{text}");
}

#[test]
fn a_newer_format_is_refused_with_advice() {
    let place = vault();
    place.write(".mvault/format", "mvault-format 2\n");
    let outcome = place.mvault(["status", "--json"]).code(1);
    assert_eq!(outcome.error()["kind"], "newer_format");
    assert!(outcome.stderr().contains("install a newer mvault"));
}

#[test]
fn unknown_and_ambiguous_revisions_are_told_apart() {
    let place = vault();
    let unknown = place.mvault(["show", "nowhere", "--json"]).code(1).error();
    assert_eq!(unknown["kind"], "not_found");
    // Of some hundred ids two share their first four digits (a birthday among 65,536).
    let mut prefixes = std::collections::BTreeMap::new();
    for number in 0..400 {
        place.write("a.md", format!("{number}\n"));
        place.mvault(["commit", "-q"]).ok();
        let head = place.mvault(["status"]).json()["head"].as_str().expect("a head").to_owned();
        if let Some(other) = prefixes.insert(head[..4].to_owned(), head.clone()) {
            let error = place.mvault(["show", &head[..4], "--json"]).code(1).error();
            assert_eq!(error["kind"], "ambiguous");
            let text = error["message"].as_str().unwrap_or_default().to_owned();
            assert!(text.contains(&head[..16]) && text.contains(&other[..16]), "{text}");
            return;
        }
    }
    panic!("no two of 400 commits share four digits");
}

#[test]
fn a_full_disk_changes_nothing_and_the_next_commit_works() {
    let place = vault();
    place.write("b.md", "two\n");
    for calls in ["pwrite64", "fdatasync", "renameat"] {
        let text = said(with_fault(&place, calls, "ENOSPC", &["commit", "-m", "two"]), 1);
        assert!(text.contains("no space left") && text.contains("hint"), "{calls}: {text}");
        assert_eq!(place.mvault(["log"]).json_lines().len(), 1, "{calls}");
    }
    place.mvault(["verify"]).ok();
    place.mvault(["commit", "-m", "two"]).ok();
    assert_eq!(place.mvault(["log"]).json_lines().len(), 2);
}

#[test]
fn a_read_only_vault_can_be_read_and_not_written() {
    let place = vault();
    place.write("b.md", "two\n");
    let changing = "pwrite64,mkdirat,renameat,unlinkat,ftruncate";
    with_fault(&place, changing, "EROFS", &["status"]).ok();
    with_fault(&place, changing, "EROFS", &["log"]).ok();
    let text = said(with_fault(&place, changing, "EROFS", &["commit"]), 1);
    assert!(text.contains("read-only file system"), "{text}");
}

#[test]
fn an_unreadable_file_is_left_out_and_the_rest_is_kept() {
    let place = vault();
    place.write("b.md", "two\n");
    place.write("c.md", "three\n");
    let target = place.work().join("b.md");
    std::fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o000))
        .expect("it is ours");
    // Root reads everything unless it gives that right away.
    let run = match rustix::process::geteuid().is_root() {
        true => {
            let less = "--bounding-set=-dac_override,-dac_read_search";
            place.program("setpriv", [less, MVAULT, "commit", "--json"])
        }
        false => place.mvault(["commit", "--json"]),
    };
    let outcome = run.code(3).json();
    std::fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("it is ours");
    assert_eq!(outcome["rejected"][0]["path"], "b.md");
    assert_eq!(outcome["rejected"][0]["reason"], "unreadable");
    assert_eq!(outcome["changed"].as_array().map(Vec::len), Some(1), "{outcome}");
    assert_eq!(place.read("b.md"), b"two\n");
}

#[test]
fn a_held_lock_is_told_and_gone_with_its_holder() {
    let place = vault();
    let config = String::from_utf8(place.read(".mvault/config.toml")).expect("text");
    place.write(".mvault/config.toml", format!("{config}\n[limits]\nlock-wait-s = 0\n"));
    place.write("b.md", "two\n");
    let lock = std::fs::File::open(place.work().join(".mvault/lock")).expect("it is there");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("nobody else holds it");
    let outcome = place.mvault(["commit", "--json"]).code(7);
    assert_eq!(outcome.error()["kind"], "locked");
    place.mvault(["log"]).ok();
    drop(lock);
    place.mvault(["commit"]).ok();
}

/// A misspelt path was nothing to commit, and a success.
#[test]
fn a_commit_of_a_path_that_is_nowhere_fails_and_commits_nothing() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("a.md", "a\n");
    place.write("gone.md", "b\n");
    place.mvault(["commit", "-m", "first"]).ok();
    place.write("a.md", "changed\n");
    for missing in ["nosuch.md", "no/such.md", "a.md/such.md"] {
        let error = place.mvault(["--json", "commit", "a.md", missing]).code(1).error();
        assert_eq!(error["kind"], "not_found", "{error}");
    }
    assert_eq!(place.mvault(["log"]).json_lines().len(), 1);
    std::fs::remove_file(place.work().join("gone.md")).expect("it is there");
    let changed = place.mvault(["commit", "gone.md"]).json()["changed"].clone();
    assert_eq!(changed[0]["status"], "deleted", "a deleted file can be named");
}

/// What had been written of the line stayed, and the stream with it: "nothing was changed" was not true.
#[test]
fn a_note_that_does_not_fit_on_the_disk_leaves_the_stream_as_it_was() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    let long = "many words ".repeat(4000);
    let too_long = || {
        let limited = ["-c", "ulimit -f 16 && exec \"$0\" note \"$1\"", MVAULT, &long];
        let outcome = place.program("sh", limited).code(1);
        assert!(outcome.stderr().contains("cannot write"), "{}", outcome.describe());
    };
    too_long();
    assert!(!place.work().join("events/mac.jsonl").exists());
    place.mvault(["note", "a short one"]).ok();
    let before = place.read("events/mac.jsonl");
    too_long();
    assert_eq!(place.read("events/mac.jsonl"), before);
    assert_eq!(place.mvault(["status"]).json()["changes"], serde_json::json!([]));
}

/// A key that a file would not get in with was taken as a message, as the name of a file, a tag or a branch: agents write
/// messages, and no purge reaches any of these.
#[test]
fn a_credential_is_refused_in_messages_labels_and_names() {
    let place = Place::new();
    let key = ["AKIA", "3KQ7ZP2V", "XWN5LT6R"].concat();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("a.md", "a\n");
    for spelling in [&["commit", "-m", &format!("uses {key}")][..], &["commit", &format!("-qmuses {key}")]] {
        let refused = place.mvault(spelling).code(3);
        assert!(
            refused.stderr().contains("the message holds what looks like an AWS access key"),
            "{}",
            refused.describe()
        );
    }
    place.mvault(["commit", "-m", "a"]).ok();
    for line in [
        &["tag", &key][..],
        &["branch", &key],
        &["switch", "--create", &key],
        &["session", "start", "s1", "--agent", &key],
        &["session", "start", &key],
        &["rollback", "main~1", "-m", &key],
    ] {
        place.mvault(line).code(3);
    }
    let name = format!("{key}.md");
    place.write(&name, "harmless\n");
    place.write("b.md", "b\n");
    let json = place.mvault(["commit", "-m", "b", "--json"]).code(3).json();
    assert_eq!(json["rejected"][0]["reason"], "secret");
    assert_eq!(json["changed"].as_array().map(Vec::len), Some(1), "the rest is committed: {json}");
    let log: String = std::fs::read_dir(place.work().join(".mvault/oplog"))
        .expect("the log")
        .map(|file| std::fs::read_to_string(file.expect("a segment").path()).expect("text"))
        .collect();
    assert!(!log.contains(&key), "nothing of it in the log, which cannot forget");
    place.mvault(["commit", "--allow", &format!("secret:{name}")]).ok();
}

/// What a link says is stored like a file, and nothing looked into it: a key got in as the target of a link.
#[test]
fn a_credential_in_the_target_of_a_link_is_refused() {
    let place = Place::new();
    let key = ["AKIA", "3KQ7ZP2V", "XWN5LT6R"].concat();
    place.write("mac/a.md", "a\n");
    place.mvault(["init", "--device", "mac"]).dir("mac").ok();
    place.mvault(["commit", "-m", "a"]).dir("mac").ok();
    place.mvault(["clone", "mac", "pixel", "--device", "pixel"]).ok();
    std::os::unix::fs::symlink(&key, place.work().join("mac/link")).expect("a link");
    std::os::unix::fs::symlink("a.md", place.work().join("mac/other")).expect("a link");
    let refused = place.mvault(["commit", "-m", "b", "--json"]).dir("mac").code(3);
    assert!(!refused.stdout().contains(&key) && !refused.stderr().contains(&key), "{}", refused.describe());
    let refused = refused.json();
    assert_eq!(
        (&refused["rejected"][0]["reason"], &refused["rejected"][0]["path"]),
        (&"secret".into(), &"link".into())
    );
    assert_eq!(
        refused["changed"].as_array().map(Vec::len),
        Some(1),
        "the other link is committed: {refused}"
    );
    place.mvault(["commit", "--allow", "secret:link"]).dir("mac").ok();
    let told = place.mvault(["pull", "../mac", "--json"]).dir("pixel").code(0).json();
    assert_eq!(
        (&told["told"][0]["reason"], &told["told"][0]["path"]),
        (&"secret".into(), &"link".into()),
        "{told}"
    );
}

/// The name of who commits and the id of a session come from the environment, from hosts and from scripts, and went into
/// commits and into the log as they were; and a credential that was brought back from quarantine
/// was readable for everybody, though the file had been private.
#[test]
fn a_credential_stays_out_where_nobody_types_it() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let key = ["AKIA", "3KQ7ZP2V", "XWN5LT6R"].concat();
    place.mvault(["init", "--device", "mac"]).env("MVAULT_ACTOR", &key).ok();
    place.write("a.md", "a\n");
    place.mvault(["commit", "-m", "a"]).env("MVAULT_ACTOR", &key).ok();
    assert!(!place.mvault(["log"]).ok().contains(&key));
    place.mvault(["tag", "good"]).env("MVAULT_SESSION", &key).ok();
    place.mvault(["session", "start", &key]).code(3);
    let event = serde_json::json!({
        "hook_event_name": "SessionStart", "session_id": key, "cwd": place.work(), "source": "startup",
    });
    let answer = place.mvault(["hook", "claude-code", "session-start"]).stdin(event.to_string()).code(0);
    assert!(!answer.stdout().contains(&key), "{}", answer.describe());
    place.write("a.md", "a\nb\n");
    let sessions = place.mvault(["session", "list"]).json_lines();
    let id = sessions[0]["id"].as_str().expect("an id");
    place.mvault(["session", "end", id]).ok();
    assert_eq!(
        place.mvault(["status"]).json()["changes"].as_array().map(Vec::len),
        Some(0),
        "it is committed"
    );
    let log: String = std::fs::read_dir(place.work().join(".mvault/oplog"))
        .expect("the log")
        .map(|file| std::fs::read_to_string(file.expect("a segment").path()).expect("text"))
        .collect();
    assert!(!log.contains(&key));
    place.write("k.md", format!("key {key}\n"));
    place.mvault(["commit"]).code(3);
    let kept = place.mvault(["quarantine", "list"]).json_lines();
    let id = kept[0]["id"].as_str().expect("an id").to_owned();
    std::fs::remove_file(place.work().join("k.md")).expect("the file");
    place.mvault(["quarantine", "restore", &id]).ok();
    let mode = std::fs::metadata(place.work().join("k.md")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
