//! A move that dies at every call that changes something, and the command after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Place, faults};
use crate::fs::Dir;
use crate::worktree::{
    DisplacedBody, Edits, Error, Finished, Journal, LogMark, Nonce, Pending, Plan, discard, finish,
    pending_journal, stage,
};

const OLD: &[(&str, &str)] = &[
    ("a", "1"),
    ("b/c", "2"),
    ("b/d", "->c"),
    ("e/f/g", "3"),
    ("goes/away", "4"),
    ("link", "->a"),
    ("m", "x"),
    ("same", "s"),
];
const NEW: &[(&str, &str)] =
    &[("a/x", "1"), ("b", "2"), ("e/f/h", "5"), ("link", "file"), ("m", "*x"), ("n/o/p", "6"), ("same", "s")];

fn texts(disk: &[(String, String)]) -> Vec<(&str, &str)> {
    disk.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect()
}

fn ready() -> (Place, Plan) {
    let mut place = Place::new();
    place.checkout(place.tree(OLD), Edits::Carry);
    let plan = place.plan(place.tree(NEW), Edits::Carry);
    assert_eq!(plan.in_the_way, []);
    (place, plan)
}

/// What the command does after the plan; `logged` is whether it came to log its operation.
fn whole(place: &Place, [root, dot]: &[Dir; 2], plan: &Plan, logged: &mut bool) -> Result<Finished, Error> {
    let journal = stage(dot, plan, &place.blobs(), Nonce::new([1; 16]))?;
    *logged = true;
    go_on(place, [root, dot], &journal)
}

fn go_on(place: &Place, [root, dot]: [&Dir; 2], journal: &Journal) -> Result<Finished, Error> {
    let finished = finish(root, dot, journal, &place.blobs())?;
    discard(dot)?;
    Ok(finished)
}

/// What the next command does first.
fn recover(place: &Place, [root, dot]: [&Dir; 2], logged: bool) -> Result<Option<Finished>, Error> {
    match pending_journal(dot)? {
        None => Ok(None),
        Some(Pending::Staged(journal)) if logged => go_on(place, [root, dot], &journal).map(Some),
        Some(_) => discard(dot).map(|()| None),
    }
}

/// Runs with one thread, so that the n-th call is the same in every run.
fn in_order<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    pool.install(run)
}

#[test]
fn killed_before_any_call_the_next_command_leaves_the_old_or_the_new_tree() {
    let mut points = 0;
    for calls_max in 0.. {
        let (mut place, plan) = ready();
        let mut logged = false;
        let (disk, counter) = faults::dying([&place.root, &place.dot], calls_max);
        let died = whole(&place, &disk, &plan, &mut logged).is_err();
        let finished = recover(&place, [&place.root, &place.dot], logged).expect("recovers");
        assert!(matches!(pending_journal(&place.dot), Ok(None)), "call {calls_max}");
        assert_eq!(texts(&place.disk()), if logged { NEW } else { OLD }, "call {calls_max}");
        if let Some(finished) = finished {
            assert!(finished.displaced.is_empty() && finished.stayed.is_empty(), "call {calls_max}");
            place.index = place.index.updated(finished.tree, LogMark::default(), finished.updates);
            assert!(place.told().is_empty(), "call {calls_max}");
        }
        if !died {
            assert!(counter.calls() <= calls_max);
            break;
        }
        points += 1;
    }
    assert!(points > 40, "only {points} points were tried");
}

#[test]
fn killed_in_the_recovery_as_well_the_command_after_that_finishes_it() {
    in_order(|| {
        for first in (0..).step_by(9) {
            let (place, plan) = ready();
            let mut logged = false;
            let (disk, _) = faults::dying([&place.root, &place.dot], first);
            if whole(&place, &disk, &plan, &mut logged).is_ok() {
                break;
            }
            for second in 0.. {
                let ([root, dot], _) = faults::dying([&place.root, &place.dot], second);
                if recover(&place, [&root, &dot], logged).is_ok() {
                    break;
                }
            }
            assert!(matches!(pending_journal(&place.dot), Ok(None)));
            assert_eq!(texts(&place.disk()), if logged { NEW } else { OLD }, "call {first}");
        }
    });
}

#[test]
fn staged_but_not_logged_leaves_no_trace() {
    let (place, plan) = ready();
    place.stage(&plan);
    assert!(matches!(pending_journal(&place.dot), Ok(Some(Pending::Staged(_)))));
    recover(&place, [&place.root, &place.dot], false).expect("recovers");
    assert_eq!(texts(&place.disk()), OLD);
    assert!(place.told().is_empty());
}

/// After a power loss a rename may be gone from both folders.
#[test]
fn files_lost_between_journal_and_place_are_made_again_from_the_store() {
    let (mut place, plan) = ready();
    let journal = place.stage(&plan);
    finish(&place.root, &place.dot, &journal, &place.blobs()).expect("finishes");
    for name in ["a/x", "m", "n/o/p"] {
        std::fs::remove_file(place.at(name)).expect("removes");
    }
    std::fs::remove_dir_all(place.at("n")).expect("removes");
    let Ok(Some(Pending::Staged(journal))) = pending_journal(&place.dot) else { unreachable!("it is there") };
    place.finish(&journal);
    assert_eq!(texts(&place.disk()), NEW);
    assert!(place.told().is_empty());
}

#[test]
fn edits_made_after_the_crash_are_kept() {
    let (mut place, plan) = ready();
    let journal = place.stage(&plan);
    finish(&place.root, &place.dot, &journal, &place.blobs()).expect("finishes");
    place.write("e/f/h", "edited after the crash");
    place.write("goes/away", "came back");
    let finished = place.finish(&journal);
    assert!(finished.displaced.is_empty());
    assert_eq!(place.told(), ["M e/f/h", "A goes/away"]);
}

/// An editor saves right before each call in turn: what it saved is on disk or was handed back.
#[test]
fn save_at_any_moment_is_on_disk_or_handed_back() {
    let mut saves = 0;
    in_order(|| {
        for victim in ["m", "goes/away", "b/c"] {
            for call in 0.. {
                let (place, plan) = ready();
                let (at, saved, came) = (place.at(victim), flag(), flag());
                let (was_saved, has_come) = (saved.clone(), came.clone());
                let save = move || {
                    came.store(true, Ordering::Relaxed);
                    // As many editors do: into the file that is there, if it is.
                    if at.is_file() {
                        std::fs::write(&at, "saved!").expect("writes");
                        saved.store(true, Ordering::Relaxed);
                    }
                };
                let disk = faults::meanwhile([&place.root, &place.dot], call, save);
                let journal = stage(&disk[1], &plan, &place.blobs(), Nonce::new([1; 16])).expect("stages");
                // Where an edited file stayed in a folder that has to become a file, that file waits.
                let finished = finish(&disk[0], &disk[1], &journal, &place.blobs());
                let displaced = finished.unwrap_or_else(|e| panic!("{victim} at call {call}: {e}")).displaced;
                if !has_come.load(Ordering::Relaxed) {
                    break;
                }
                let on_disk = place.disk().iter().any(|(_, text)| text.trim_start_matches('*') == "saved!");
                let handed_back = displaced.iter().any(|displaced| match &displaced.body {
                    DisplacedBody::File(file) => file.read_all(100).is_ok_and(|bytes| bytes == b"saved!"),
                    DisplacedBody::Target(_) => false,
                });
                let was_saved = was_saved.load(Ordering::Relaxed);
                assert_eq!(on_disk || handed_back, was_saved, "{victim} at call {call}");
                saves += u32::from(was_saved);
            }
        }
    });
    assert!(saves > 60, "only {saves} saves took place");
}

fn flag() -> Arc<AtomicBool> {
    Arc::default()
}
