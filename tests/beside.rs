//! Maintenance beside every other verb, each call delayed in turn.
//!
//! The story: a pull moved what came into the store and gave the gate back; only then it took the lock and appended
//! the operation that leads to it. A `gc --prune` in between took the new blobs for something nothing leads to. It
//! took a delay of one system call to see it, and loops of a minute without one.
//!
//! So here one command runs on a disk that stops at its n-th call (each that changes something, and each try to take
//! a lock), another command runs there from beginning to end, and the first goes on. Whoever would have to wait does
//! not: it ends with 7. Afterwards both vaults verify, and what was acknowledged is there.
//!
//! `MVAULT_BESIDE_POINTS=N` stops at up to N calls of each command instead of a few of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mvault::cli::run_on;
use mvault::env::Env;
use mvault::fs::{Disk, RealDisk, TracedDisk};

use crate::support::Place;

const LOCKED: u8 = 7;
/// The other side says that it is locked.
const PEER: u8 = 6;

/// A few, and more of what once went wrong.
fn points_max(first: &str, second: &str) -> usize {
    let few = if first.contains("pull") && second.contains("--prune") { 16 } else { 2 };
    std::env::var("MVAULT_BESIDE_POINTS").map_or(few, |n| n.parse().expect("a number"))
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.expect("is listed");
        let target = to.join(entry.path().strip_prefix(from).expect("it is below"));
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(target).expect("a folder");
        } else {
            std::fs::copy(entry.path(), target).expect("a file");
        }
    }
}

/// Two vaults, `a` and `b`, that share a history and differ since; `b` has a snapshot that was let go of, one that was
/// not, and edits.
fn prepared() -> Place {
    let place = Place::new();
    let a = |args: &[&str]| place.mvault([&["-C", "a"], args].concat()).ok();
    let b = |args: &[&str]| place.mvault([&["-C", "b"], args].concat()).ok();
    place.mvault(["init", "--device", "mac", "a"]).ok();
    place.write("a/keys.txt", "what is to be purged: nobody shall read it\n");
    place.write("a/page.md", "# Page\n\nthe first edition\n");
    a(&["commit", "-m", "first"]);
    place.write("a/large.log", (0..60_000).map(|n| format!("{n} of many lines\n")).collect::<String>());
    a(&["commit", "-m", "second"]);
    place.mvault(["clone", "a", "b", "--device", "pixel"]).ok();
    for text in ["let go of", "kept"] {
        place.write("b/page.md", format!("# Page\n\nan edit, {text}\n"));
        b(&["checkout", "main~1"]);
        b(&["checkout", "main"]);
    }
    b(&["gc", "--keep-last", "1"]);
    place.write("b/of-b.md", "written on b\n");
    b(&["commit", "-m", "of b"]);
    place.write("b/edit.md", "not committed yet\n");
    for n in 0..3 {
        place.write(format!("a/new-{n}.md"), format!("arriving: {n}\n{}", "and more\n".repeat(90)));
        a(&["commit", "-m", "new"]);
    }
    a(&["bundle", "create", "../a.bundle"]);
    for vault in ["a", "b"] {
        let path = place.work().join(vault).join(".mvault/config.toml");
        let config = std::fs::read_to_string(&path).expect("settings");
        std::fs::write(&path, format!("{config}\n[limits]\nlock-wait-s = 0\n")).expect("is written");
    }
    place
}

/// Runs one command line, with the place's own surroundings.
fn run(disk: Arc<dyn Disk>, home: &Path, work: &Path, line: &str) -> (u8, String) {
    let (vault, rest) = line.split_once(' ').expect("a vault and a command");
    let vault = work.join(vault);
    let words = ["-q", "-C", vault.to_str().expect("text")];
    let words: Vec<&str> = words.into_iter().chain(rest.split(' ')).collect();
    let vars = BTreeMap::from([(OsString::from("HOME"), home.as_os_str().to_owned())]);
    match run_on(disk, Env::system(|| None), work, vars, &words, b"") {
        (Ok(exit), printed) => (exit.code(), String::from_utf8_lossy(&printed).into_owned()),
        (Err(error), _) => (error.kind.exit_code(), format!("{error:?}")),
    }
}

/// Runs `first`, and `second` at its call number `at`. Returns how many calls there were, and the exit codes.
fn interleave(
    home: &Path,
    work: &Path,
    first: &str,
    second: &str,
    at: usize,
) -> (usize, u8, Option<(u8, String)>, String) {
    let calls = Arc::new(AtomicUsize::new(0));
    let second_ended: Arc<Mutex<Option<(u8, String)>>> = Arc::default();
    let (counted, told) = (calls.clone(), second_ended.clone());
    let (home_too, work_too, second) = (home.to_owned(), work.to_owned(), second.to_owned());
    let watcher = move |_line: &str| {
        if counted.fetch_add(1, Ordering::SeqCst) + 1 == at {
            let ended = run(Arc::new(RealDisk), &home_too, &work_too, &second);
            *told.lock().expect("no panic") = Some(ended);
        }
        Ok(())
    };
    let disk = TracedDisk::watched(Arc::new(RealDisk), Box::new(watcher));
    let (code, text) = run(Arc::new(disk), home, work, first);
    let second = second_ended.lock().expect("no panic").take();
    (calls.load(Ordering::SeqCst), code, second, text)
}

/// Copies the place of a template. The vaults lie elsewhere then, which has to be confirmed.
fn placed(template: &Place) -> Place {
    let place = Place::new();
    copy(&template.work(), &place.work());
    for vault in ["a", "b"] {
        place.mvault(["trust", vault]).ok();
    }
    place
}

/// Stops `first` at its calls in turn, runs `second` there, and looks at both vaults.
fn sweep(template: &Place, first: &str, second: &str) {
    let (count, code, _, text) = {
        let place = placed(template);
        interleave(&place.root().join("home"), &place.work(), first, second, usize::MAX)
    };
    assert_eq!(code, 0, "{first} by itself: {text}");
    let step = count.div_ceil(points_max(first, second)).max(1);
    for at in (1..=count).step_by(step) {
        let place = placed(template);
        let (home, work) = (place.root().join("home"), place.work());
        let story = |what: &str| format!("`{second}` at call {at} of {count} of `{first}`: {what}");
        let (_, code, ended, text) = interleave(&home, &work, first, second, at);
        // A parked tree is in the way of a purge, and a purge in that of an undo, at any time.
        let is_refused = |text: &str| text.contains("parked") || text.contains("cannot be undone");
        let may_be = |code: u8, text: &str| [0, LOCKED, PEER].contains(&code) || is_refused(text);
        assert!(may_be(code, &text), "{}", story(&format!("the first ends with {code}: {text}")));
        let (second_code, second_text) = ended.unwrap_or_default();
        assert!(
            may_be(second_code, &second_text),
            "{}",
            story(&format!("the second ends with {second_code}: {second_text}"))
        );
        assert!(code == 0 || second_code == 0, "{}", story("neither was done"));
        let again = |line: &str| run(Arc::new(RealDisk), &home, &work, line);
        let whole = |when: &str| {
            for vault in ["a verify", "b verify"] {
                let (code, text) = again(vault);
                assert_eq!(code, 0, "{}", story(&format!("{vault} {when}: {text}")));
            }
        };
        whole("afterwards");
        // Who was sent away comes again, and nothing is in its way.
        for (line, code) in [(first, code), (second, second_code)] {
            again("b checkout main");
            let (code, text) = if code == 0 { (0, String::new()) } else { again(line) };
            assert!(code == 0 || is_refused(&text), "{}", story(&format!("`{line}` once more: {text}")));
        }
        again("b checkout main");
        assert_eq!(again("b pull ../a").0, 0, "{}", story("a last pull"));
        let (code, text) = again("b show main:new-2.md");
        assert!(code == 0 && text.starts_with("arriving: 2"), "{}", story(&format!("what came: {text}")));
        let (code, text) = again("b show saved/2:page.md");
        assert!(code == 0 && text.contains("kept"), "{}", story(&format!("only here: {text}")));
        whole("at the end");
    }
}

/// The verbs that bring something into the store of `b`, or take the working tree somewhere else.
const VERBS: [&str; 8] = [
    "b commit -m more",
    "b note a-note",
    "b pull ../a",
    "a push ../b",
    "b sync ../a",
    "b pull ../a.bundle",
    "b checkout main~1",
    "b undo",
];

fn both_ways(maintenance: &str) {
    let template = prepared();
    for verb in VERBS {
        sweep(&template, verb, maintenance);
        sweep(&template, maintenance, verb);
    }
    let session = template.mvault(["-C", "b", "session", "start"]).ok();
    let end = format!("b session end {}", session.trim());
    sweep(&template, &end, maintenance);
    sweep(&template, maintenance, &end);
}

#[test]
fn gc_with_prune_drops_nothing_of_what_another_command_brings() {
    both_ways("b gc --prune");
}

#[test]
fn gc_loses_nothing_of_what_another_command_brings() {
    both_ways("b gc");
}

#[test]
fn a_purge_takes_nothing_but_what_it_names() {
    both_ways("b purge keys.txt --confirm keys.txt");
}

#[test]
fn a_repair_sets_nothing_aside_that_another_command_brings() {
    both_ways("b repair");
}
