//! A move on the simulated disk: killed, or the power cut, at every call; every state that a strict
//! reading of POSIX allows afterwards is recovered from.

use std::path::Path;

use super::Place;
use crate::fs::sim::{Failure, Fault, SimDisk};
use crate::fs::{Dir, Disk, FileKind};
use crate::object::TreeId;
use crate::worktree::{
    Edits, Error, Index, LocalChanges, Nonce, Pending, Plan, PlanInput, RealLook, ScanInput, Traits, discard,
    finish, hash_candidates, pending_journal, plan, scan, stage,
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
    let input = ScanInput { root, index: &index, traits: Traits::default(), paths: &[] };
    let local: LocalChanges = hash_candidates(root, &scan(input).expect("walks"), None);
    let (traits, edits) = (Traits::default(), Edits::Carry);
    let input = PlanInput {
        source: &place.objects,
        from,
        to,
        index: &index,
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
    let finished = finish(root, dot, &journal, &start.place.blobs())?;
    assert!(finished.displaced.is_empty() && finished.stayed.is_empty());
    discard(dot)
}

/// What the next command does first.
fn recover(start: &Start, [root, dot]: &[Dir; 2], logged: bool) -> Result<(), Error> {
    match pending_journal(dot)? {
        Some(Pending::Staged(journal)) if logged => {
            finish(root, dot, &journal, &start.place.blobs())?;
            discard(dot)
        }
        Some(_) => discard(dot),
        None => Ok(()),
    }
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
fn disk_that_fails_at_any_call_leaves_the_old_tree_or_a_journal_that_can_be_finished() {
    for_each_size(|more| {
        let start = start(more);
        for failure in [Failure::Io, Failure::NoSpace] {
            for nth in 1.. {
                let disk = start.disk.after_kill();
                disk.plan(Fault::fail(nth, failure));
                let mut logged = false;
                let done = command(&start, &open(&disk), &mut logged).is_ok();
                disk.heal();
                let dirs = open(&disk);
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
    });
}
