//! A system call that fails where a command changes something, on the built program under strace.
//!
//! At each point of the sweep one error that such a call can have: every file is the old or the new one; the vault
//! verifies and is at the old or the new state as a whole; it is at the new one if the command said that all
//! went well; if not, the message has the system's words and does not say that nothing was changed where
//! something was; the command given again leads to the new state.
//!
//! `MVAULT_FAIL_POINTS=N` tries N points of each sweep, spread evenly, with one error each; `MVAULT_FAIL_POINTS=all`
//! every error at every point.

#![allow(clippy::print_stdout)] // how much was tried

use super::kill::Point;
use super::sweep::Sweep;
use super::{commit, vault_of_two_states};

/// How many points a sweep has if nothing else is said.
const POINTS: usize = 24;

/// An error, as strace calls it and, in small letters, as the program reports it.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub errno: &'static str,
    pub words: &'static str,
}

const IO: Failure = Failure { errno: "EIO", words: "input/output error" };
const FULL: Failure = Failure { errno: "ENOSPC", words: "no space left on device" };
const DENIED: Failure = Failure { errno: "EACCES", words: "permission denied" };
const HANDLES: Failure = Failure { errno: "EMFILE", words: "too many open files" };

/// The errors that a call can have.
fn failures(point: &Point) -> &'static [Failure] {
    match point.name.as_str() {
        name if name.starts_with("open") => &[FULL, HANDLES, DENIED, IO],
        name if name.contains("write") || name.contains("sync") => &[FULL, IO],
        _ => &[DENIED, FULL, IO],
    }
}

fn sweep(sweep: &Sweep<'_>) {
    let wanted = std::env::var("MVAULT_FAIL_POINTS").ok();
    let all = sweep.points();
    let mut tried: Vec<(&Point, Failure)> = Vec::new();
    if wanted.as_deref() == Some("all") {
        tried.extend(
            all.iter().flat_map(|point| failures(point).iter().map(move |failure| (point, *failure))),
        );
    } else {
        let count =
            wanted.map_or(POINTS, |text| text.parse().expect("MVAULT_FAIL_POINTS is a number or `all`"));
        let count = count.clamp(1, all.len());
        for n in 0..count {
            let point = &all[n * all.len() / count];
            let failures = failures(point);
            tried.push((point, failures[n % failures.len()]));
        }
    }
    let told = tried.iter().filter(|(point, failure)| sweep.try_failure(point, *failure)).count();
    println!("mvault {}: {} errors at {} points, {told} reported", sweep.command(), tried.len(), all.len());
    assert!(told * 2 > tried.len(), "hardly an error was noticed: {told} of {}", tried.len());
}

#[test]
fn a_commit_in_which_any_call_fails_leaves_the_old_or_the_new_state_and_says_so() {
    let place = vault_of_two_states();
    sweep(&Sweep::of(&place, &["commit", "-m", "new"]));
}

#[test]
fn a_checkout_in_which_any_call_fails_leaves_the_old_or_the_new_state_and_says_so() {
    let place = vault_of_two_states();
    commit(&place, "new");
    place.write("continuity.md", "an edit that no commit has\n");
    sweep(&Sweep::of(&place, &["checkout", "main~1"]));
}

#[test]
fn a_checkout_of_many_files_in_which_any_call_fails_leaves_the_old_or_the_new_state_and_says_so() {
    let place = super::vault_of_many_files();
    sweep(&Sweep::of(&place, &["checkout", "main~1"]));
}

#[test]
fn a_pull_in_which_any_call_fails_leaves_the_old_or_the_new_state_and_says_so() {
    let place = super::two_devices_apart();
    sweep(&Sweep::of(&place, &["pull", "../far"]).beside("far"));
}

#[test]
fn a_gc_in_which_any_call_fails_leaves_the_old_or_the_new_state_and_says_so() {
    let place = vault_of_two_states();
    commit(&place, "new");
    place.write("notes/small.md", "short\n");
    commit(&place, "small");
    super::commit_deletions(&place);
    sweep(&Sweep::of(&place, &["gc"]));
}
