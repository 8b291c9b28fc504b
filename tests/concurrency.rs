//! Many processes on one vault: nobody fails, nothing is lost, and a dead holder of the lock is in nobody's
//! way.
//!
//! `MVAULT_CONCURRENT_COMMITS=N` lets each of the 32 writers make N commits; 15 without it, 50 is
//! the bar (1,600 commits).

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Place, Run, optimized};

const WRITERS: usize = 32;
const COMMITS: usize = 15;

fn commits() -> usize {
    let Ok(text) = std::env::var("MVAULT_CONCURRENT_COMMITS") else { return COMMITS };
    text.parse().unwrap_or_else(|_| panic!("MVAULT_CONCURRENT_COMMITS is no number: {text}"))
}

/// Prepares the optimized program with the clock and the dice of the machine: writers must not share them.
fn mvault(place: &Place, args: &[&str]) -> Run {
    place.program(optimized(), args)
}

fn file_of(writer: usize) -> String {
    format!("devices/writer-{writer}.md")
}

fn version(writer: usize, n: usize) -> String {
    format!("# Writer {writer}\n\nversion {n}\n")
}

/// Commits N versions of a file of its own and returns the id of each commit.
fn write(place: &Place, writer: usize) -> Vec<String> {
    let name = file_of(writer);
    let versions = (0..commits()).map(|n| {
        place.write(&name, version(writer, n));
        let outcome = mvault(place, &["--json", "commit", "-m", &format!("{writer}/{n}"), &name]).code(0);
        outcome.json()["id"].as_str().expect("there was something to commit").to_owned()
    });
    versions.collect()
}

#[test]
fn commits_of_many_processes_at_once_all_succeed_in_one_line() {
    let place = Place::new();
    mvault(&place, &["init", "--device", "mac"]).ok();
    let acknowledged: Vec<Vec<String>> = std::thread::scope(|scope| {
        let place = &place;
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(place, writer))).collect();
        writers.into_iter().map(|writer| writer.join().expect("every commit succeeds")).collect()
    });

    let log = mvault(&place, &["log", "--all"]).json_lines();
    let (made_by_init, log) = log.split_last().expect("init made a commit");
    assert_eq!(log.len(), WRITERS * commits());
    for (commit, before) in log.iter().zip(log[1..].iter().chain([made_by_init])) {
        assert_eq!(commit["parents"], Value::from(vec![before["id"].clone()]), "the history is one line");
    }
    let in_log: BTreeSet<&str> = log.iter().filter_map(|commit| commit["id"].as_str()).collect();
    assert_eq!(in_log, acknowledged.iter().flatten().map(String::as_str).collect());

    for (writer, ids) in acknowledged.iter().enumerate() {
        let of_file = mvault(&place, &["log", "--", &file_of(writer)]).json_lines();
        let of_file: Vec<&str> = of_file.iter().filter_map(|commit| commit["id"].as_str()).rev().collect();
        assert_eq!(of_file, *ids, "each version of {} is in one commit", file_of(writer));
        let last = ids.len() - 1;
        for n in [0, last / 2, last] {
            let shown = mvault(&place, &["show", &format!("{}:{}", ids[n], file_of(writer))]).ok();
            assert_eq!(shown, version(writer, n));
        }
    }
    assert_eq!(mvault(&place, &["status"]).json()["changes"], Value::Array(Vec::new()));
    mvault(&place, &["verify"]).ok();
    mvault(&place, &["audit", "--verify"]).ok();
}

/// Starts a commit that stays inside its first sync of a file, with the lock in its hands.
fn commit_that_stands_still(place: &Place) -> Child {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"]);
    command.args(["-e", "inject=fdatasync:delay_enter=600s:when=1"]).arg(optimized());
    command.args(["commit", "-m", "never done", "a.md"]).current_dir(place.work());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", place.root().join("home")).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap_or_else(|error| {
        panic!("this test needs strace ({error}): `apt-get install strace`, or your system's package of it")
    })
}

/// Waits until the lock file names its holder, and returns the holder's process.
fn holder_of_lock(place: &Place, strace: &mut Child) -> rustix::process::Pid {
    loop {
        let told = String::from_utf8_lossy(&place.read(".mvault/lock")).into_owned();
        let process = told.rsplit_once("process ").and_then(|(_, number)| number.trim().parse().ok());
        if let Some(pid) = process.filter(|_| told.contains("commit")) {
            return rustix::process::Pid::from_raw(pid).expect("not zero");
        }
        let ended = strace.try_wait().expect("a child can be waited for");
        assert!(ended.is_none(), "the commit did not stand still (is ptrace allowed here?): {ended:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_writer_killed_while_it_holds_the_lock_frees_it_at_once() {
    let place = Place::new();
    mvault(&place, &["init", "--device", "mac"]).ok();
    let config = String::from_utf8(place.read(".mvault/config.toml")).expect("UTF-8");
    place.write(".mvault/config.toml", format!("{config}\n[limits]\nlock-wait-s = 0\n"));
    place.write(".mvault/lock", "");
    place.write("a.md", "the one that is killed\n");
    place.write("b.md", "the one that comes after it\n");

    let mut strace = commit_that_stands_still(&place);
    let pid = holder_of_lock(&place, &mut strace);
    let refused = mvault(&place, &["--json", "commit", "b.md"]).code(7).error();
    assert_eq!(refused["kind"], "locked");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is alive");
    // strace would sit out the delay before it lets go of the dead process. The signal came first, so the
    // commit goes no further.
    strace.kill().expect("it is alive or not waited for");
    strace.wait().expect("a child can be waited for");
    // A process is killed some moments after the signal was sent; the holder would have stood there longer.
    place.write(".mvault/config.toml", format!("{config}\n[limits]\nlock-wait-s = 60\n"));
    let changed = mvault(&place, &["commit", "b.md"]).json()["changed"].clone();
    assert_eq!(changed.as_array().map(Vec::len), Some(1), "{changed}");
    assert_eq!(mvault(&place, &["log"]).json_lines().len(), 1);
    mvault(&place, &["commit", "a.md"]).ok();
    mvault(&place, &["verify"]).ok();
    mvault(&place, &["audit", "--verify"]).ok();
}
