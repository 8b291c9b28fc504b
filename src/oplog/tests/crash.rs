//! The log cut, failed and without power at every call, and its recovery as well.

#![allow(clippy::print_stdout)] // the number of points and states tried is part of the claim

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::fs::sim::{Effect, Failure, Fault, Which};

/// Segments are full after about three operations.
const SEGMENT_BYTES: usize = 1_200;

/// How a run of appends ended.
struct Outcome {
    /// The last operation that was acknowledged.
    acknowledged: u64,
    /// What a cache would remember of it.
    known: Option<Anchor>,
    error: Option<Error>,
}

/// Appends operations until there are `until`, as one process would that has a cache or none.
fn run(disk: &SimDisk, acknowledged: u64, known: Option<Anchor>, until: u64, cache: Cache) -> Outcome {
    let mut outcome = Outcome { acknowledged, known, error: None };
    outcome.error = append_until(disk, &mut outcome, until, cache).err();
    outcome
}

fn append_until(disk: &SimDisk, outcome: &mut Outcome, until: u64, cache: Cache) -> Result<()> {
    let dot = disk.open_dir(Path::new("/v/.mvault"))?;
    let log = match OpLog::open(&dot, outcome.known) {
        Err(Error::Missing(_)) => {
            let log = OpLog::create(&dot, init())?;
            (outcome.acknowledged, outcome.known) = (1, Some(log.last()));
            log
        }
        other => other?,
    };
    let mut log = log.with_segment_bytes(SEGMENT_BYTES);
    log.refresh()?;
    if cache == Cache::KeptAndSettled {
        log.settle()?;
        (outcome.acknowledged, outcome.known) = (log.last().seq, log.acknowledged());
        assert_eq!(outcome.known, Some(log.last()));
    }
    while log.last().seq < until {
        let next = log.last().seq + 1;
        let appended = log.append(new("commit", next));
        if appended.is_err() && log.is_poisoned() {
            assert!(matches!(log.append(new("commit", next)), Err(Error::Poisoned)));
        }
        (outcome.acknowledged, outcome.known) = (next, Some(appended?.anchor()));
    }
    Ok(())
}

/// Opens what a fault left and checks it: nothing acknowledged is lost, at most one more is there.
fn check(disk: &SimDisk, acknowledged: u64, at_most: u64, story: &str) -> u64 {
    let dot = disk.open_dir(Path::new("/v/.mvault")).expect("the folder is durable");
    let log = match OpLog::open(&dot, None) {
        Err(Error::Missing(_)) if acknowledged == 0 => return 0,
        other => other.unwrap_or_else(|error| panic!("{story}: {error}")),
    };
    let last = check_whole(&log);
    assert!(last >= acknowledged, "{story}: operation {acknowledged} was acknowledged, {last} is the last");
    assert!(last <= at_most, "{story}: operation {last} appeared from nowhere");
    last
}

type Files = Vec<(PathBuf, Vec<u8>)>;

fn files(disk: &SimDisk) -> Files {
    disk.files().into_iter().collect()
}

/// Whether processes have a cache that remembers the last operation acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cache {
    Kept,
    Lost,
    /// It is kept, and each process relies on what it sees before it appends.
    KeptAndSettled,
}

#[derive(Default)]
struct Sweep {
    seen: BTreeSet<(u64, u64, Files)>,
    points: usize,
    states: usize,
}

impl Sweep {
    /// Kills a process that appends up to `until` before and amid each call; checks what is left after
    /// the kill and after power cuts; then does the same to the process that comes next, `depth` times.
    fn kill(&mut self, start: &SimDisk, before: &Outcome, cache: Cache, depth: u32, story: &str) {
        let seen = check(start, before.acknowledged, u64::MAX, story);
        let known = before.known.filter(|_| cache != Cache::Lost);
        // Two appends, so that one follows what the first left; recovery is over with the first.
        let until = seen + if depth > 0 { 2 } else { 1 };
        for nth in 1.. {
            let mut last_was_write = false;
            for effect in [Effect::Kill, Effect::KillHalfway] {
                let disk = start.after_kill();
                disk.plan(Fault { effect, ..Fault::kill(nth) });
                if effect == Effect::KillHalfway && !last_was_write {
                    continue;
                }
                let outcome = run(&disk, before.acknowledged, known, until, cache);
                self.points += 1;
                last_was_write = disk.calls().iter().rfind(|c| c.failed).is_some_and(|c| c.act == Act::Write);
                let story = format!("{story} > cut at call {nth}");
                let mut images = vec![disk.after_kill()];
                images.extend(disk.after_power_cut(nth, if depth > 0 { 6 } else { 2 }));
                let at_most = seen.max(outcome.acknowledged) + 1;
                for (at, image) in images.into_iter().enumerate() {
                    self.states += 1;
                    // What a kill leaves has a past that its files do not show; the others are their files.
                    if at > 0 && !self.seen.insert((outcome.acknowledged, at_most, files(&image))) {
                        continue;
                    }
                    check(&image, outcome.acknowledged, at_most, &story);
                    if depth > 0 && disk.is_killed() {
                        self.kill(&image, &outcome, cache, depth - 1, &story);
                    }
                }
                if !disk.is_killed() {
                    assert_eq!((outcome.acknowledged, outcome.error.is_none()), (until, true), "{story}");
                    return;
                }
            }
        }
    }
}

/// What is known of a log that is there.
fn outcome_of(disk: &SimDisk) -> Outcome {
    let log = OpLog::open(&sim_dot(disk), None).ok();
    let known = log.map(|log| log.last());
    Outcome { acknowledged: known.map_or(0, |known| known.seq), known, error: None }
}

/// A disk with a log of `operations`, all durable; changed by `prepare`.
fn start(operations: u64, prepare: impl FnOnce(&mut Vec<u8>)) -> SimDisk {
    let disk = SimDisk::new();
    let dot = sim_dot(&disk);
    if operations > 0 {
        let log = log_of(&dot, operations, SEGMENT_BYTES);
        let newest = segment::name(*log.starts().last().expect("a segment"));
        let path = Path::new("/v/.mvault/oplog").join(newest);
        disk.damage(&path, prepare).expect("the segment is there");
    }
    disk.settle();
    disk
}

/// The states a log can be in when a process finds it, by name, with the number of operations.
fn starts() -> Vec<(&'static str, u64, SimDisk)> {
    let half = |bytes: &mut Vec<u8>| bytes.extend_from_slice(b"{\"seq\":6,\"prev\":\"00");
    let zeros = |bytes: &mut Vec<u8>| bytes.resize(bytes.len() + 700, 0);
    let tail = |bytes: &mut Vec<u8>| bytes.extend_from_slice(b"\0\0\0\0\0\",\"hash\":\"00\"}\n");
    let no_newline = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
    let zero_newline = |bytes: &mut Vec<u8>| *bytes.last_mut().expect("a byte") = 0;
    vec![
        ("no log", 0, start(0, |_| ())),
        ("one operation", 1, start(1, |_| ())),
        ("two operations", 2, start(2, |_| ())),
        ("a full segment", 4, start(4, |_| ())),
        ("a new segment", 5, start(5, |_| ())),
        ("half a line", 2, start(2, half)),
        ("half a line in a full segment", 4, start(4, half)),
        ("half a line in a new segment", 5, start(5, half)),
        ("zeros", 2, start(2, zeros)),
        ("the end of a line behind zeros", 2, start(2, tail)),
        ("no newline", 2, start(2, no_newline)),
        ("no newline, full", 4, start(4, no_newline)),
        ("no newline, new segment", 5, start(5, no_newline)),
        ("a zero for the newline", 2, start(2, zero_newline)),
    ]
}

#[test]
fn a_log_cut_at_any_call_keeps_what_was_acknowledged_and_so_does_its_recovery() {
    let (mut points, mut states) = (0, 0);
    for cache in [Cache::Kept, Cache::Lost, Cache::KeptAndSettled] {
        let mut sweep = Sweep::default();
        for (story, _, disk) in starts() {
            sweep.kill(&disk, &outcome_of(&disk), cache, 1, &format!("cache {cache:?} > {story}"));
        }
        points += sweep.points;
        states += sweep.states;
    }
    println!("{points} cut points, {states} states");
    assert!(points > 1_000 && states > 10_000, "{points} points, {states} states");
}

#[test]
fn a_call_that_fails_acknowledges_nothing_and_the_next_process_goes_on() {
    let mut points = 0;
    let both = starts().into_iter().flat_map(|start| [(start.clone(), true), (start, false)]);
    for ((story, operations, disk), cached) in both {
        let known = outcome_of(&disk).known.filter(|_| cached);
        for nth in 1.. {
            let mut passed = true;
            for fault in faults(&disk, operations, known, nth) {
                points += 1;
                let broken = disk.after_kill();
                broken.plan(fault);
                let outcome = run(&broken, operations, known, operations + 3, Cache::Kept);
                let hit = broken.calls().iter().any(|call| call.failed);
                passed &= !hit;
                let story = format!("{story} > {fault:?}");
                check_failed(&broken, &outcome, fault, hit, &story);
            }
            if passed {
                break;
            }
        }
    }
    println!("{points} faults");
    assert!(points > 1_000, "{points}");
}

/// The faults to try at the `nth` call of a run: each failure once, and for ever for its kind of call.
fn faults(disk: &SimDisk, operations: u64, known: Option<Anchor>, nth: u64) -> Vec<Fault> {
    let dry = disk.after_kill();
    run(&dry, operations, known, operations + 3, Cache::Kept);
    let calls = dry.changing_calls();
    let act = usize::try_from(nth - 1).ok().and_then(|at| calls.get(at)).map(|call| call.act);
    let mut faults = Vec::new();
    // What the system says makes no difference to us; all of it is tried, not all of it everywhere.
    for failure in [Failure::Io, Failure::ALL[nth as usize % Failure::ALL.len()]] {
        let once = Fault::fail(nth, failure);
        faults.extend([once, Fault { effect: Effect::FailHalfway(failure), ..once }, once.forever()]);
        if let Some(act) = act {
            let before = calls.iter().take(nth as usize - 1).filter(|call| call.act == act).count();
            faults.push(Fault { which: Which::Only(act), nth: before as u64 + 1, ..once }.forever());
        }
    }
    faults
}

fn check_failed(broken: &SimDisk, outcome: &Outcome, fault: Fault, hit: bool, story: &str) {
    let acknowledged = outcome.acknowledged;
    // Only a failure that could not be taken back leaves open whether the operation happened.
    let at_most = match &outcome.error {
        None => acknowledged,
        Some(Error::Uncertain(_)) => acknowledged + 1,
        // A log whose making failed may be there.
        Some(_) => acknowledged.max(1),
    };
    assert!(outcome.error.is_some() || !hit || acknowledged > 0, "{story}: a failure was swallowed");
    assert!(outcome.error.as_ref().is_none_or(|error| !error.is_damage()), "{story}: called damage");
    let live = broken.after_kill();
    check(&live, acknowledged, at_most, story);
    for image in broken.after_power_cut(1, 3) {
        check(&image, acknowledged, at_most, &format!("{story} > power cut"));
    }
    let next = run(&live, acknowledged, outcome.known, acknowledged + 3, Cache::Kept);
    assert!(next.error.is_none(), "{story}: the next process failed: {:?}", next.error);
    // A disk on which nothing can be changed any more comes back by a mount, without what it had in
    // memory; those are the power cuts above.
    if !(fault.forever && fault.which == Which::Changing) {
        for image in live.after_power_cut(2, 3) {
            check(&image, next.acknowledged, next.acknowledged, &format!("{story} > went on > power cut"));
        }
    }
}

#[test]
fn a_read_that_fails_is_an_error_and_not_damage() {
    for (story, operations, disk) in starts().into_iter().filter(|(_, operations, _)| *operations > 0) {
        for nth in 1.. {
            let broken = disk.after_kill();
            let fault = Fault { which: Which::Reading, ..Fault::fail(nth, Failure::Io) };
            broken.plan(fault);
            let outcome = run(&broken, operations, None, operations + 2, Cache::Lost);
            if !broken.calls().iter().any(|call| call.failed) {
                break;
            }
            let damage = outcome.error.as_ref().is_some_and(Error::is_damage);
            assert!(!damage, "{story}, read {nth}: {:?}", outcome.error);
            // Only the search for rubbish may fail without a word.
            let done = outcome.acknowledged == operations + 2;
            assert!(outcome.error.is_some() || done, "{story}, read {nth} failed unnoticed");
            check(&broken.after_kill(), outcome.acknowledged, outcome.acknowledged, story);
        }
    }
}

#[test]
fn torn_bytes_go_to_quarantine_and_the_log_says_so() {
    for (story, operations, disk) in starts() {
        let dot = sim_dot(&disk);
        let Ok(mut log) = OpLog::open(&dot, None) else { continue };
        let torn = log.torn_tail();
        let appended = log.append(new("commit", operations + 1)).expect("an append");
        assert_eq!(appended.recovered, torn, "{story}");
        assert_eq!(log.recovered(), torn.as_ref(), "{story}");
        assert_eq!(log.torn_tail(), None);
        let Some(torn) = torn else { continue };
        let kept = dot.open_dir("quarantine").and_then(|dir| dir.read(&torn.sha256, 1 << 20));
        assert_eq!(kept.expect("kept").len() as u64, torn.bytes, "{story}");
        let told = OpLog::open(&dot, None).expect("it opens").get(operations + 1).expect("readable");
        assert_eq!(told.and_then(|o| o.recovered), Some(torn), "{story}");
    }
}
