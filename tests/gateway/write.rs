//! `mvault write`: the atomic write for any program, alone and with many writers at a time.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{assert_seals_hold, committed, head, reasons, remove, secret, sha256, vault};
use crate::support::{Place, Run};

fn write(place: &Place, path: &str, bytes: impl AsRef<[u8]>) -> Run {
    place.mvault(["write", path]).stdin(bytes)
}

fn append(place: &Place, path: &str, bytes: impl AsRef<[u8]>) -> Run {
    place.mvault(["write", "--append", path]).stdin(bytes)
}

#[test]
fn a_write_is_on_disk_and_in_the_head() {
    let place = vault();
    let told = write(&place, "notes/deep/new.md", "one\n").json();
    assert_eq!(told["path"], "notes/deep/new.md");
    assert_eq!(told["sha256"], sha256("one\n"));
    assert!(told["replaced"].is_null(), "{told}");
    assert_eq!(told["id"].as_str(), Some(&*head(&place)));
    assert_eq!(place.read("notes/deep/new.md"), b"one\n");
    let told = write(&place, "notes/deep/new.md", "two\n").json();
    assert_eq!(told["replaced"], sha256("one\n"));
    assert!(told["saved"].is_null(), "it was in a commit: {told}");
    assert_eq!(committed(&place, "notes/deep/new.md").as_deref(), Some(&b"two\n"[..]));
    let before = head(&place);
    let told = write(&place, "notes/deep/new.md", "two\n").json();
    assert!(told["id"].is_null() && head(&place) == before, "{told}");
    place.mvault(["verify"]).ok();
}

#[test]
fn a_write_leaves_other_edits_alone_and_keeps_the_mode() {
    use std::os::unix::fs::PermissionsExt;
    let place = vault();
    place.write("script", "#!/bin/sh\n");
    let mode = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(place.work().join("script"), mode).expect("a mode");
    place.mvault(["commit"]).ok();
    place.write("notes/a.md", "an edit\n");
    write(&place, "script", "#!/bin/bash\n").ok();
    assert_eq!(committed(&place, "notes/a.md").as_deref(), Some(&b"a note\n"[..]));
    let mode = std::fs::metadata(place.work().join("script")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
}

#[test]
fn if_match_compares_and_swaps() {
    let place = vault();
    let run = |matches: &str, text: &str| {
        place.mvault(["write", "--json", "--if-match", matches, "notes/a.md"]).stdin(text)
    };
    let error = run(&sha256("another\n"), "two\n").code(1).error();
    assert_eq!(error["kind"], "stale");
    assert!(error["message"].as_str().is_some_and(|m| m.contains(&sha256("a note\n"))), "{error}");
    assert_eq!(run("none", "two\n").code(1).error()["kind"], "stale");
    assert_eq!(place.read("notes/a.md"), b"a note\n");
    run(&sha256("a note\n"), "two\n").code(0);
    run(&sha256("two\n").to_uppercase(), "three\n").code(0);
    assert_eq!(place.read("notes/a.md"), b"three\n");
    for wrong in ["", "abc", "None", &sha256("x")[..63]] {
        run(wrong, "x\n").code(2);
    }
    place.mvault(["write", "--if-match", "none", "notes/new.md"]).stdin("x\n").code(0);
    place.mvault(["write", "--if-match", "none", "notes/new.md"]).stdin("y\n").code(1);
    place.mvault(["write", "--if-match", &sha256("x\n"), "notes/nowhere.md"]).stdin("y\n").code(1);
    // What is compared is what stands there now, not what was committed.
    place.write("notes/a.md", "four\n");
    run(&sha256("three\n"), "five\n").code(1);
    assert_eq!(place.read("notes/a.md"), b"four\n");
}

#[test]
fn append_adds_whole_lines_only() {
    let place = vault();
    let stream = "events/clock.jsonl";
    append(&place, stream, "{\"n\":1}").ok();
    append(&place, stream, "{\"n\":2}\n{\"n\":3}\n").ok();
    assert_eq!(place.read(stream), b"{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    let before = head(&place);
    for bad in [
        "{\"n\":4}\nhalf {\n",
        "[1]\n",
        "4\n",
        "text\n",
        "{\"n\":4}{\"n\":5}\n\u{feff}{}\n",
        "{\"a\":1,\"a\":2}\n",
    ] {
        let outcome = append(&place, stream, bad).code(1);
        assert!(outcome.stderr().contains("nothing was added"), "{}", outcome.describe());
    }
    assert_eq!(head(&place), before);
    append(&place, "notes/a.md", "{\"n\":1}\n").code(1);
    append(&place, "notes/new.md", "{\"n\":1}\n").code(1);
    assert!(!place.work().join("notes/new.md").exists());
    append(&place, stream, "").code(0);
    assert_eq!(head(&place), before);
}

#[test]
fn append_behind_a_torn_line_keeps_it_as_a_line_of_its_own() {
    let place = vault();
    let stream = "events/clock.jsonl";
    append(&place, stream, "{\"n\":1}\n").ok();
    place.write(stream, "{\"n\":1}\n{\"n\":2,\"te");
    let outcome = append(&place, stream, "{\"n\":3}\n").run();
    assert!(matches!(outcome.code, Some(0 | 3)), "{}", outcome.describe());
    assert_eq!(place.read(stream), b"{\"n\":1}\n{\"n\":2,\"te\n{\"n\":3}\n");
    assert_eq!(committed(&place, stream), Some(place.read(stream)));
}

#[test]
fn append_to_a_stream_that_lost_lines_is_refused() {
    let place = vault();
    let stream = "events/clock.jsonl";
    append(&place, stream, "{\"n\":1}\n{\"n\":2}\n").ok();
    place.write(stream, "{\"n\":2}\n");
    let told = place.mvault(["write", "--json", "--append", stream]).stdin("{\"n\":3}\n").code(3).json();
    assert_eq!(reasons(&told, "rejected"), [format!("stream-rewritten {stream}")]);
    assert_eq!(place.read(stream), b"{\"n\":2}\n");
}

#[test]
fn what_stood_there_in_no_commit_is_kept() {
    let place = vault();
    place.write("notes/a.md", "an edit that no commit has\n");
    place.write("notes/new.md", "a file that no commit has\n");
    for (path, old) in
        [("notes/a.md", "an edit that no commit has\n"), ("notes/new.md", "a file that no commit has\n")]
    {
        let told = write(&place, path, "written\n").json();
        let saved = told["saved"].as_str().expect("a saved state");
        assert_eq!(place.mvault(["show", &format!("{saved}:{path}")]).ok(), old);
        assert_eq!(told["replaced"], sha256(old));
    }
}

#[test]
fn refused_content_leaves_the_file_alone_and_is_in_quarantine() {
    let place = vault();
    let cases: [(&str, &str, Vec<u8>); 6] = [
        ("secret", "notes/a.md", format!("key {}\n", secret()).into_bytes()),
        ("emptied", "notes/a.md", Vec::new()),
        ("nul-filled", "notes/a.md", vec![0; 9]),
        ("conflict-markers", "continuity.md", b"<<<<<<< a\n=======\n>>>>>>> b\n".to_vec()),
        ("name-not-portable", "notes/aux", b"x\n".to_vec()),
        ("obeyed-file", ".envrc", b"x\n".to_vec()),
    ];
    for (code, path, bytes) in cases {
        let before = (head(&place), std::fs::read(place.work().join(path)).ok());
        let outcome = place.mvault(["write", "--json", path]).stdin(&bytes).code(3);
        let told = outcome.json();
        assert!(told["id"].is_null(), "{told}");
        assert_eq!(reasons(&told, "rejected"), [format!("{code} {path}")]);
        let hint = told["rejected"][0]["hint"].as_str().expect("a hint");
        assert!(!hint.contains("mvault commit"), "a commit would take the old file: {hint}");
        assert_eq!((head(&place), std::fs::read(place.work().join(path)).ok()), before);
        if !bytes.is_empty() {
            assert_eq!(place.read(format!(".mvault/quarantine/{}", sha256(&bytes))), bytes);
        }
        let allow = format!("{code}:{path}");
        place.mvault(["write", "--allow", &allow, path]).stdin(&bytes).code(0);
        assert_eq!(super::allowed(&place, ".", "write"), [allow]);
        assert_eq!(committed(&place, path), Some(bytes));
        place.write("notes/a.md", "a note\n");
        place.mvault(["commit"]).ok();
    }
}

#[test]
fn a_sealed_distillate_is_written_over_only_when_that_is_allowed() {
    let place = vault();
    write(&place, "distillates/a.md", "one\n").ok();
    assert_seals_hold(&place, ".");
    assert!(committed(&place, "distillates/a.md.sha256").is_some());
    write(&place, "distillates/a.md", "two\n").code(3);
    assert_eq!(place.read("distillates/a.md"), b"one\n");
    place.mvault(["write", "--allow", "sealed", "distillates/a.md"]).stdin("two\n").code(0);
    assert_seals_hold(&place, ".");
    write(&place, "distillates/a.md.sha256", "nonsense\n").code(3);
    assert_seals_hold(&place, ".");
}

#[test]
fn a_parked_tree_is_not_written_to() {
    let place = vault();
    write(&place, "notes/a.md", "two\n").ok();
    place.mvault(["checkout", "main~1"]).ok();
    let outcome = write(&place, "notes/a.md", "three\n").code(1);
    assert!(outcome.stderr().contains("mvault checkout main"), "{}", outcome.describe());
    assert_eq!(place.read("notes/a.md"), b"a note\n");
}

#[test]
fn only_files_of_the_vault_are_written() {
    let place = vault();
    std::fs::create_dir(place.work().join("folder")).expect("a folder");
    std::os::unix::fs::symlink("../outside", place.work().join("link")).expect("a link");
    std::os::unix::fs::symlink("notes", place.work().join("into")).expect("a link");
    place.program("mkfifo", ["pipe"]).ok();
    for path in ["folder", "link", "pipe", "into/new.md", "notes/a.md/below"] {
        let outcome = write(&place, path, "x\n").run();
        assert_eq!(outcome.code, Some(1), "{path}: {}", outcome.describe());
    }
    for path in ["../outside", ".mvault/config.toml", ".", ".git/config", "sub/.git/config"] {
        let outcome = write(&place, path, "x\n").run();
        assert!(matches!(outcome.code, Some(1 | 2)), "{path}: {}", outcome.describe());
    }
    assert!(!place.root().join("outside").exists() && !place.work().join("notes/new.md").exists());
    place.mvault(["verify"]).ok();
}

#[test]
fn a_write_to_an_ignored_file_never_says_that_it_is_in_the_history() {
    let place = vault();
    place.write(".mvaultignore", "*.tmp\n");
    place.mvault(["commit"]).ok();
    let outcome = place.mvault(["write", "--json", "a.tmp"]).stdin("x\n").run();
    let is_in = committed(&place, "a.tmp").is_some();
    assert_eq!(outcome.code == Some(0), is_in, "{}", outcome.describe());
}

/// Starts so many programs at a time, each writing what `content` says, and returns what each was told.
fn many(
    place: &Place,
    count: usize,
    args: &[&str],
    content: impl Fn(usize) -> String + Sync,
) -> Vec<Option<i32>> {
    let (args, content) = (&args, &content);
    std::thread::scope(|scope| {
        let start = |number: usize| {
            let run = place.mvault(args.iter()).stdin(content(number));
            scope.spawn(move || run.run().code)
        };
        let all: Vec<_> = (0..count).map(start).collect();
        all.into_iter().map(|thread| thread.join().expect("does not panic")).collect()
    })
}

/// Every version of a file in the history, by the commits that changed it.
fn versions(place: &Place, path: &str) -> Vec<Vec<u8>> {
    let commits = place.mvault(["log", "--", path]).json_lines();
    let ids = commits.iter().map(|line| line["id"].as_str().expect("an id").to_owned());
    ids.map(|id| place.mvault(["show", &format!("{id}:{path}")]).code(0).stdout).collect()
}

#[test]
fn fifty_writers_of_one_file_are_all_in_the_history() {
    let place = vault();
    let codes = many(&place, 50, &["write", "notes/shared.md"], |number| format!("by writer {number}\n"));
    assert!(codes.iter().all(|code| *code == Some(0)), "{codes:?}");
    let versions = versions(&place, "notes/shared.md");
    let distinct: BTreeSet<_> = versions.iter().collect();
    assert_eq!((versions.len(), distinct.len()), (50, 50), "each exactly once");
    place.mvault(["verify"]).ok();
}

#[test]
fn fifty_writers_of_one_stream_are_all_in_it_once() {
    let place = vault();
    let codes =
        many(&place, 50, &["write", "--append", "events/all.jsonl"], |n| format!("{{\"writer\":{n}}}\n"));
    assert!(codes.iter().all(|code| *code == Some(0)), "{codes:?}");
    let text = String::from_utf8(committed(&place, "events/all.jsonl").expect("it is there")).expect("text");
    let lines: BTreeSet<&str> = text.lines().collect();
    assert_eq!((text.lines().count(), lines.len()), (50, 50), "{text}");
    place.mvault(["events", "verify", "all"]).ok();
}

#[test]
fn of_many_that_compare_and_swap_one_wins_each_time() {
    let place = vault();
    let old = sha256("a note\n");
    let codes =
        many(&place, 12, &["write", "--if-match", &old, "notes/a.md"], |number| format!("by {number}\n"));
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(1)).count(), 11, "{codes:?}");
    assert_eq!(versions(&place, "notes/a.md").len(), 2);
}

/// A text of about that length whose first line is the checksum of the rest.
fn checked(number: u64, bytes: usize) -> Vec<u8> {
    let line = format!("version {number}\n");
    let body = line.repeat(bytes / line.len() + 1);
    let body = &body[..bytes];
    format!("{}\n{body}", sha256(body)).into_bytes()
}

#[track_caller]
fn assert_whole(bytes: &[u8], what: &str) {
    let text = String::from_utf8_lossy(bytes);
    let (sum, body) = text.split_once('\n').unwrap_or_default();
    assert!(sha256(body) == sum, "{what} is torn: {} bytes", bytes.len());
}

/// How a program rewrites its file.
#[derive(Clone, Copy)]
enum Rewrite {
    /// A new file is renamed over it.
    Aside,
    /// Over the old bytes, which are as many.
    InPlace,
    /// The file is cut to nothing first.
    Truncating,
}

fn rewrite(path: &Path, bytes: &[u8], how: Rewrite) {
    match how {
        Rewrite::Aside => {
            let aside: PathBuf = path.with_extension("tmp");
            std::fs::write(&aside, bytes).expect("written");
            std::fs::rename(aside, path).expect("renamed");
        }
        Rewrite::InPlace => {
            let mut file = std::fs::File::options().write(true).open(path).expect("it is there");
            file.seek(SeekFrom::Start(0)).expect("the start");
            file.write_all(bytes).expect("written");
        }
        Rewrite::Truncating => std::fs::write(path, bytes).expect("written"),
    }
}

/// Commits so often while a program rewrites files of some sizes without a pause.
fn commit_beside_a_writer(commits: usize, how: Rewrite) {
    let place = vault();
    place.write(".mvaultignore", "*.tmp\n");
    let sizes = [300, 60_000, 900_000];
    for (number, bytes) in sizes.into_iter().enumerate() {
        place.write(format!("busy/{number}.md"), checked(0, bytes));
    }
    place.mvault(["commit"]).ok();
    let is_over = AtomicBool::new(false);
    let committed = std::thread::scope(|scope| {
        for (number, bytes) in sizes.into_iter().enumerate() {
            let path = place.work().join(format!("busy/{number}.md"));
            let is_over = &is_over;
            scope.spawn(move || {
                let mut version = 0;
                while !is_over.load(Ordering::Relaxed) {
                    version += 1;
                    rewrite(&path, &checked(version, bytes), how);
                }
            });
        }
        let committed = (0..commits).filter(|_| {
            let outcome = place.mvault(["commit", "-m", "beside"]).run();
            assert!(matches!(outcome.code, Some(0 | 3)), "{}", outcome.describe());
            outcome.stdout().contains("beside")
        });
        let committed = committed.count();
        is_over.store(true, Ordering::Relaxed);
        committed
    });
    assert!(committed > commits / 10, "hardly anything was committed: {committed} of {commits}");
    for number in 0..sizes.len() {
        let path = format!("busy/{number}.md");
        for version in versions(&place, &path) {
            assert_whole(&version, &path);
        }
    }
    place.mvault(["commit"]).code(0);
    place.mvault(["verify"]).ok();
}

/// How many commits a race takes; `MVAULT_RACE_COMMITS=N` for more.
fn commits() -> usize {
    std::env::var("MVAULT_RACE_COMMITS").ok().map_or(40, |text| text.parse().expect("a number"))
}

#[test]
fn no_version_is_torn_beside_a_writer_that_renames() {
    commit_beside_a_writer(commits(), Rewrite::Aside);
}

#[test]
fn no_version_is_torn_beside_a_writer_in_place() {
    commit_beside_a_writer(commits(), Rewrite::InPlace);
}

#[test]
fn no_version_is_torn_beside_a_writer_that_truncates() {
    commit_beside_a_writer(commits(), Rewrite::Truncating);
}

#[test]
fn a_write_beside_an_editor_that_saves_loses_neither() {
    let place = vault();
    for number in 0..8 {
        place.write("notes/a.md", format!("saved by an editor {number}\n"));
        write(&place, "notes/a.md", format!("written {number}\n")).ok();
    }
    for number in 0..8 {
        let shown = place.mvault(["show", &format!("saved/{}:notes/a.md", number + 1)]).ok();
        assert_eq!(shown, format!("saved by an editor {number}\n"));
    }
    remove(&place, "notes/a.md");
    write(&place, "notes/a.md", "again\n").ok();
}
