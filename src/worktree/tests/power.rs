//! A move on the simulated disk: killed, or the power cut, at every call; every state that a strict
//! reading of POSIX allows afterwards is recovered from.

use std::path::Path;

use super::Place;
use crate::fs::sim::{Failure, Fault, SimDisk};
use crate::fs::{Dir, Disk, FileKind};
use crate::object::TreeId;
use crate::worktree::{
    Change, Edits, Error, Index, Journal, LocalChanges, Nonce, Pending, Plan, PlanInput, RealLook, ScanInput,
    Traits, Waits, discard, finish, hash_candidates, pending_journal, plan, scan, stage,
};

type Files = Vec<(String, String)>;

const OLD: &[(&str, &str)] = &[("a", "1"), ("b/c", "2"), ("goes/away", "4"), ("link", "->a"), ("same", "s")];
const NEW: &[(&str, &str)] = &[("a/x", "1"), ("b", "2"), ("link", "file"), ("n/o", "*6"), ("same", "s")];

/// The files of a list, and so many more whose content is another in each list: with more than sixteen
/// the new ones are staged in a folder of their own and synced in one go.
fn files(list: &[(&str, &str)], more: usize) -> Files {
    let listed = list.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let mut files: Files = listed.collect();
    files.extend((0..more).map(|n| (format!("many/{n}"), format!("{n} of {}", list[0].0))));
    files.sort();
    files
}

const MORE: [usize; 2] = [0, 15];

fn open(disk: &SimDisk) -> [Dir; 2] {
    let root = disk.open_dir(Path::new("/v")).expect("opens");
    let dot = root.open_dir(".mvault").expect("opens");
    [root, dot]
}

/// Lists what is on the disk, in the notation of [`Place::tree`].
fn list(root: &Dir) -> Files {
    let mut found = Vec::new();
    let mut open = vec![(root.clone(), String::new())];
    while let Some((dir, base)) = open.pop() {
        for (name, _) in dir.list().expect("lists") {
            let path = format!("{base}{}", name.to_str().expect("text"));
            let stat = dir.stat(&name).expect("is there");
            match stat.kind {
                FileKind::Dir if path == ".mvault" => {}
                FileKind::Dir => open.push((dir.open_dir(&name).expect("opens"), path + "/")),
                FileKind::Symlink => {
                    let target = dir.read_link(&name).expect("is a link");
                    found.push((path, format!("->{}", String::from_utf8_lossy(&target))));
                }
                _ => {
                    let text = String::from_utf8(dir.read(&name, 100).expect("reads")).expect("text");
                    found.push((path, if stat.is_executable() { format!("*{text}") } else { text }));
                }
            }
        }
    }
    found.sort();
    found
}

struct Start {
    place: Place,
    disk: SimDisk,
    plan: Plan,
    old: Files,
    new: Files,
}

fn look_around([root, dot]: &[Dir; 2], place: &Place, from: TreeId, to: TreeId) -> Plan {
    let index = Index::from_tree(&place.objects, from).expect("lists");
    let waits = Waits::load(dot).expect("readable").of(&index);
    let index = waits.as_on_disk(index);
    let input = ScanInput {
        root,
        index: &index,
        traits: Traits::default(),
        paths: &[],
        withheld: &Default::default(),
        mounts: &Default::default(),
    };
    let local: LocalChanges = hash_candidates(root, &scan(input).expect("walks"), None);
    let (traits, edits) = (Traits::default(), Edits::Carry);
    let input = PlanInput {
        source: &place.objects,
        from,
        to,
        index: &index,
        waits: &waits,
        local: &local,
        traits,
        edits,
        paths: &[],
    };
    plan(input, &mut RealLook::new(root, dot)).expect("plans")
}

fn start(more: usize) -> Start {
    let place = Place::new();
    let (old_files, new_files) = (files(OLD, more), files(NEW, more));
    let tree = |files: &Files| {
        place.tree(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>())
    };
    let (old, new) = (tree(&old_files), tree(&new_files));
    let disk = SimDisk::new();
    disk.set_time(1_700_000_000_000_000_000);
    disk.create_dir_all(Path::new("/v/.mvault")).expect("makes folders");
    let dirs = open(&disk);
    let plan = look_around(&dirs, &place, TreeId::empty(), old);
    let journal = stage(&dirs[1], &plan, &place.blobs(), Nonce::new([0; 16])).expect("stages");
    finish(&dirs[0], &dirs[1], &journal, &place.blobs()).expect("finishes");
    discard(&dirs[1]).expect("discards");
    assert_eq!(list(&dirs[0]), old_files);
    disk.settle();
    let plan = look_around(&dirs, &place, old, new);
    assert_eq!(plan.in_the_way, []);
    Start { place, disk, plan, old: old_files, new: new_files }
}

/// The command after its plan; `logged` is whether it came to log its operation, which is durable then.
fn command(start: &Start, [root, dot]: &[Dir; 2], logged: &mut bool) -> Result<(), Error> {
    let journal = stage(dot, &start.plan, &start.place.blobs(), Nonce::new([1; 16]))?;
    *logged = true;
    carry_out(start, [root, dot], &journal)
}

/// Carries a journal out and remembers what waits before the journal goes.
fn carry_out(start: &Start, [root, dot]: [&Dir; 2], journal: &Journal) -> Result<(), Error> {
    let finished = finish(root, dot, journal, &start.place.blobs())?;
    assert!(finished.displaced.is_empty() && finished.stayed.is_empty());
    let mut waits = Waits::load(dot)?;
    journal.actions.iter().for_each(|action| waits.remove(action.path()));
    finished.waiting.into_iter().for_each(|wait| waits.put(wait));
    waits.save(dot)?;
    discard(dot)
}

/// What the next command does first.
fn recover(start: &Start, [root, dot]: &[Dir; 2], logged: bool) -> Result<(), Error> {
    match pending_journal(dot)? {
        Some(Pending::Staged(journal)) if logged || journal.again => {
            carry_out(start, [root, dot], &journal)?;
        }
        Some(_) => discard(dot)?,
        None => {}
    }
    try_what_waits(start, [root, dot])
}

/// Tries again what waits, once.
fn try_what_waits(start: &Start, [root, dot]: [&Dir; 2]) -> Result<(), Error> {
    if Waits::load(dot)?.is_empty() {
        return Ok(());
    }
    let to = start.plan.to;
    let mut plan = look_around(&[root.clone(), dot.clone()], &start.place, to, to);
    plan.again = true;
    let journal = stage(dot, &plan, &start.place.blobs(), Nonce::new([2; 16]))?;
    carry_out(start, [root, dot], &journal)
}

/// Runs with few files and with many, on one thread, so that calls have an order.
fn for_each_size(run: impl Fn(usize) + Send + Sync) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    MORE.into_iter().for_each(|more| pool.install(|| run(more)));
}

#[test]
fn power_cut_before_any_call_leaves_the_old_or_the_new_tree() {
    for_each_size(|more| {
        let start = start(more);
        let (mut points, mut states) = (0, 0);
        for nth in 1.. {
            let disk = start.disk.after_kill();
            disk.plan(Fault::kill(nth));
            let mut logged = false;
            let done = command(&start, &open(&disk), &mut logged).is_ok();
            for (n, cut) in disk.after_power_cut(nth, 4).into_iter().enumerate() {
                let dirs = open(&cut);
                recover(&start, &dirs, logged).expect("recovers");
                let expected = (if logged { &start.new } else { &start.old }).clone();
                assert_eq!(list(&dirs[0]), expected, "call {nth}, state {n}");
                assert!(pending_journal(&dirs[1]).expect("readable").is_none());
                states += 1;
            }
            if done {
                break;
            }
            points += 1;
        }
        assert!(points > 25 && states > 100, "only {points} points and {states} states were tried");
    });
}

#[test]
fn power_cut_in_the_recovery_is_recovered_from_as_well() {
    for_each_size(|more| {
        let start = start(more);
        for first in (1..).step_by(if more == 0 { 4 } else { 11 }) {
            let disk = start.disk.after_kill();
            disk.plan(Fault::kill(first));
            let mut logged = false;
            if command(&start, &open(&disk), &mut logged).is_ok() {
                break;
            }
            for second in (1..).step_by(if more == 0 { 3 } else { 7 }) {
                let again = disk.after_kill();
                again.plan(Fault::kill(second));
                let done = recover(&start, &open(&again), logged).is_ok();
                for cut in again.after_power_cut(second, 1) {
                    let dirs = open(&cut);
                    recover(&start, &dirs, logged).expect("recovers");
                    let expected = (if logged { &start.new } else { &start.old }).clone();
                    assert_eq!(list(&dirs[0]), expected, "calls {first} and {second}");
                }
                if done {
                    break;
                }
            }
        }
    });
}

#[test]
fn disk_that_fails_at_any_call_leaves_the_old_tree_or_what_the_next_command_finishes() {
    for_each_size(|more| {
        let start = start(more);
        let mut waiting = 0;
        for failure in [Failure::Io, Failure::NoSpace] {
            for nth in 1.. {
                let disk = start.disk.after_kill();
                disk.plan(Fault::fail(nth, failure));
                let mut logged = false;
                let done = command(&start, &open(&disk), &mut logged).is_ok();
                disk.heal();
                let dirs = open(&disk);
                let waited = !Waits::load(&dirs[1]).expect("readable").is_empty();
                waiting += usize::from(waited);
                // What waits is no edit: the disk is of the new tree but for these paths.
                if done {
                    let changes = edits(&dirs, &start);
                    assert!(changes.is_empty(), "{failure:?} at call {nth}: {changes:?}");
                }
                recover(&start, &dirs, logged).expect("recovers");
                assert_eq!(
                    list(&dirs[0]),
                    (if logged { &start.new } else { &start.old }).clone(),
                    "{failure:?} at call {nth}"
                );
                let beyond = disk.changing_calls().len() as u64;
                if done && nth > beyond {
                    break;
                }
            }
        }
        assert!(waiting > 10, "something waited at {waiting} calls only");
    });
}

/// The power goes while what waited is tried again: it is in place or waits still, and never an edit.
#[test]
fn power_cut_while_what_waits_is_tried_again_leaves_it_in_place_or_waiting() {
    for_each_size(|more| {
        let start = start(more);
        let (mut waiting, mut states) = (0, 0);
        for nth in (1..).step_by(if more == 0 { 1 } else { 5 }) {
            let disk = start.disk.after_kill();
            disk.plan(Fault::fail(nth, Failure::Io));
            let mut logged = false;
            let done = command(&start, &open(&disk), &mut logged).is_ok();
            let beyond = disk.changing_calls().len() as u64;
            disk.heal();
            if done && !Waits::load(&open(&disk)[1]).expect("readable").is_empty() {
                waiting += 1;
                disk.settle();
                states += cut_while_trying_again(&start, &disk, nth);
            }
            if done && nth > beyond {
                break;
            }
        }
        assert!(waiting > 3 && states > 50, "something waited at {waiting} calls, {states} states");
    });
}

fn cut_while_trying_again(start: &Start, disk: &SimDisk, seed: u64) -> usize {
    let mut states = 0;
    for second in 1.. {
        let again = disk.after_kill();
        again.plan(Fault::kill(second));
        let dirs = open(&again);
        let done = try_what_waits(start, [&dirs[0], &dirs[1]]).is_ok();
        for cut in again.after_power_cut(seed + second, 2) {
            let dirs = open(&cut);
            if pending_journal(&dirs[1]).expect("readable").is_none() {
                let changes = edits(&dirs, start);
                assert!(changes.is_empty(), "call {second}: {changes:?}");
            }
            recover(start, &dirs, true).expect("recovers");
            assert_eq!(list(&dirs[0]), start.new, "call {second}");
            assert!(Waits::load(&dirs[1]).expect("readable").is_empty(), "call {second}");
            states += 1;
        }
        if done {
            break;
        }
    }
    states
}

/// What a commit would take for edits of the new tree.
fn edits([root, dot]: &[Dir; 2], start: &Start) -> Vec<String> {
    let index = Index::from_tree(&start.place.objects, start.plan.to).expect("lists");
    let waits = Waits::load(dot).expect("readable").of(&index);
    let index = waits.as_on_disk(index);
    let (traits, withheld, mounts) = (Traits::default(), &Default::default(), &Default::default());
    let input = ScanInput { root, index: &index, traits, paths: &[], withheld, mounts };
    let local = hash_candidates(root, &scan(input).expect("walks"), None);
    let is_edit = |change: &&Change| waits.find(&change.path).is_none_or(|w| w.wanted != change.new);
    local.changes.iter().filter(is_edit).map(|change| change.path.to_string()).collect()
}
