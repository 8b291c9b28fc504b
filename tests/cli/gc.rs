//! `gc`: smaller, the same, and in nobody's way.

use std::sync::atomic::{AtomicBool, Ordering};

use mvault::vault::{CommitRequest, commit};
use serde_json::Value;

use crate::support::history::open;
use crate::support::{Place, Run};

fn gc(place: &Place, args: &[&str]) -> Run {
    place.mvault([&["gc"][..], args].concat())
}

/// A vault with some history: a stream and a page that change with every commit, and a file each time.
fn vault(commits: usize) -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    let mut stream = String::new();
    for n in 0..commits {
        (0..20).for_each(|k| stream += &format!("{{\"n\":{n},\"k\":{k},\"text\":\"event {n} of {k}\"}}\n"));
        place.write("events/log.jsonl", &stream);
        place.write(
            "continuity.md",
            format!("# Continuity\n\nedition {n}\n{}", "a line that stays\n".repeat(80)),
        );
        place.write(format!("notes/{n:03}.md"), format!("# Note {n}\n\nwritten once\n"));
        place.mvault(["commit", "-m", "a session"]).ok();
    }
    place
}

fn head(place: &Place) -> String {
    place.mvault(["status"]).json()["head"].as_str().expect("a head").to_owned()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// Every file of every commit, by what `show` says of it.
fn everything(place: &Place) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for commit in place.mvault(["log", "--all"]).json_lines() {
        let id = commit["id"].as_str().expect("an id").to_owned();
        for path in ["continuity.md", "events/log.jsonl"] {
            let name = format!("{id}:{path}");
            let outcome = place.mvault(["show", &name]).run();
            if outcome.code == Some(0) {
                all.push((name, outcome.stdout));
            }
        }
    }
    all
}

#[test]
fn it_makes_the_store_smaller_and_changes_nothing_else() {
    let place = vault(30);
    let (head_before, all_before) = (head(&place), everything(&place));
    assert!(all_before.len() >= 60);
    let dry = gc(&place, &["--dry-run"]).json();
    let stats = place.mvault(["stats"]).json();
    assert_eq!(number(&dry["before"], "bytes"), number(&stats, "bytes"), "a dry run changes nothing");
    let done = gc(&place, &[]).json();
    for field in ["packs", "objects", "bytes", "raw_bytes"] {
        assert_eq!(done[field], dry[field], "what a dry run tells is what comes");
        assert_eq!(done[field], place.mvault(["stats"]).json()[field]);
    }
    assert_eq!((number(&done, "packs"), number(&done["unreferenced"], "objects")), (1, 0));
    assert!(number(&done, "bytes") < number(&stats, "bytes"), "{done}");
    assert_eq!((head(&place), everything(&place)), (head_before, all_before));
    place.mvault(["verify"]).ok();
    let text = gc(&place, &[]).ok();
    assert!(text.starts_with("compact already: "), "{text}");
    let operations = place.mvault(["audit", "-n", "1"]).json_lines();
    assert_eq!(operations[0]["op"], "gc", "a needless one is none");
    // History goes on from there, and the next one takes it in.
    place.write("continuity.md", "# Continuity\n\nanother\n");
    place.mvault(["commit", "-m", "more"]).ok();
    assert_eq!(number(&gc(&place, &[]).json()["before"], "packs"), 2);
    place.mvault(["verify"]).ok();
}

#[test]
fn a_clone_is_collected_and_so_is_a_vault_whose_files_are_gone() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac", "mac"]).ok();
    for n in 0..8 {
        place.write(format!("mac/note-{n}.md"), format!("# Note {n}\n"));
        place.mvault(["-C", "mac", "commit"]).ok();
    }
    for n in 0..8 {
        std::fs::remove_file(place.work().join(format!("mac/note-{n}.md"))).expect("it is there");
    }
    place.mvault(["-C", "mac", "commit"]).ok();
    place.mvault(["clone", "mac", "pixel", "--device", "pixel"]).ok();
    for vault in ["mac", "pixel"] {
        place.mvault(["-C", vault, "gc", "--dry-run"]).ok();
        place.mvault(["-C", vault, "gc"]).ok();
        place.mvault(["-C", vault, "gc", "--prune"]).ok();
        place.mvault(["-C", vault, "verify"]).ok();
        assert_eq!(place.mvault(["-C", vault, "log"]).json_lines().len(), 9, "{vault}");
        place.mvault(["-C", vault, "checkout", "main~1"]).ok();
    }
}

#[test]
fn undo_and_operations_of_before_work_after_it() {
    let place = vault(5);
    let before = head(&place);
    place.mvault(["rollback", "main~2"]).ok();
    place.mvault(["undo"]).ok();
    gc(&place, &["--prune"]).ok();
    assert_eq!(head(&place), before);
    place.mvault(["undo"]).ok();
    assert_ne!(head(&place), before, "what the operation log leads to was kept");
    place.mvault(["verify"]).ok();
}

#[test]
fn all_objects_are_readable_at_every_instant_and_commits_go_on() {
    let place = vault(40);
    let expected = everything(&place);
    let is_done = AtomicBool::new(false);
    let mut rounds = 0;
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|reader| {
                let (place, expected, is_done) = (&place, &expected, &is_done);
                scope.spawn(move || {
                    let mut reads = 0;
                    while !is_done.load(Ordering::Relaxed) {
                        let (name, bytes) = &expected[(reads * 7 + reader * 3) % expected.len()];
                        assert_eq!(place.mvault(["show", name]).run().stdout, *bytes, "{name}");
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for n in 0..4 {
            let compaction = scope.spawn(|| gc(&place, &[]).ok());
            place.write(format!("notes/meanwhile-{n}.md"), format!("written while gc was at work: {n}\n"));
            place.mvault(["commit", "-m", "meanwhile"]).ok();
            compaction.join().expect("gc did not fail");
            rounds += 1;
        }
        is_done.store(true, Ordering::Relaxed);
        let reads: usize = readers.into_iter().map(|reader| reader.join().expect("no reader failed")).sum();
        assert!(reads > 8, "{reads} reads");
    });
    assert_eq!(rounds, 4);
    place.mvault(["verify"]).ok();
    for n in 0..4 {
        let text = place.mvault(["show", &format!("main:notes/meanwhile-{n}.md")]).ok();
        assert_eq!(text, format!("written while gc was at work: {n}\n"));
    }
}

#[test]
fn snapshots_are_let_go_of_only_when_asked_and_their_bytes_only_when_asked_again() {
    let place = vault(3);
    let mut edits = Vec::new();
    for n in 0..3 {
        let edit = format!("# Continuity\n\nnever committed: {n}\n");
        place.write("continuity.md", &edit);
        edits.push(
            place.mvault(["hash", "continuity.md"]).ok().split_whitespace().next().expect("an id").to_owned(),
        );
        place.mvault(["checkout", "main~1"]).ok();
        place.mvault(["checkout", "main"]).ok();
    }
    let has = |id: &str| place.mvault(["cat", id]).run().code == Some(0);
    gc(&place, &["--prune"]).ok();
    assert!(edits.iter().all(|id| has(id)), "saved/ holds them");
    let asked = gc(&place, &["--keep-last", "1", "--dry-run"]).json();
    assert_eq!(asked["forgotten"].as_array().map(Vec::len), Some(2));
    assert_eq!(gc(&place, &["--keep-last", "1"]).json()["forgotten"], asked["forgotten"]);
    assert!(edits.iter().all(|id| has(id)), "they are let go of, and still here");
    let operations = place.mvault(["audit"]).json_lines();
    let letting_go = operations.iter().find(|one| one["op"] == "forget").expect("it is in the log");
    let refusal = place.mvault(["undo", &letting_go["seq"].to_string()]).code(1).stderr();
    assert!(refusal.contains("what it removed is gone on purpose"), "{refusal}");
    place.mvault(["verify"]).ok();
    let pruned = gc(&place, &["--prune"]).json();
    assert_eq!(number(&pruned["unreferenced"], "objects"), 2, "{pruned}");
    assert_eq!(edits.iter().map(|id| has(id)).collect::<Vec<_>>(), [false, false, true]);
    place.mvault(["verify"]).ok();
}

#[test]
fn a_damaged_store_is_left_alone() {
    let place = vault(4);
    let objects = place.work().join(".mvault/objects");
    let pack =
        std::fs::read_dir(&objects).expect("a folder").next().expect("a pack").expect("an entry").path();
    let mut bytes = std::fs::read(&pack).expect("a pack");
    bytes[10] ^= 0xff;
    std::fs::remove_file(&pack).expect("is removed");
    std::fs::write(&pack, bytes).expect("is written");
    let before = std::fs::read_dir(&objects).expect("a folder").count();
    gc(&place, &[]).code(5);
    assert_eq!(std::fs::read_dir(&objects).expect("a folder").count(), before);
}

#[test]
fn what_was_purged_stays_gone_and_two_at_once_do_no_harm() {
    let place = vault(6);
    place.write("notes/secret.md", "to be purged: kfj38fj3kd93jf0s93jfks93jf\n");
    place.mvault(["commit", "-m", "a mistake"]).ok();
    gc(&place, &[]).ok();
    place.mvault(["purge", "notes/secret.md", "--confirm", "notes/secret.md"]).ok();
    place.write("notes/another.md", "more\n");
    place.mvault(["commit", "-m", "more"]).ok();
    let codes: Vec<Option<i32>> = std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| gc(&place, &[]).run().code));
        both.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    assert!(codes.contains(&Some(0)) && codes.iter().all(|code| matches!(code, Some(0 | 7))), "{codes:?}");
    place.mvault(["verify"]).ok();
    assert_ne!(place.mvault(["show", "main~1:notes/secret.md"]).run().code, Some(0));
}

#[test]
fn the_same_packs_come_of_one_thread_and_of_many() {
    let packs = |threads: &[(&str, &str)]| {
        let place = Place::new();
        let run = |args: &[&str]| {
            let run = place.mvault(args).env("MVAULT_TEST_CLOCK", "2026-11-23T08:00:00+01:00");
            threads
                .iter()
                .fold(run.env("MVAULT_TEST_SEED", "threads"), |run, (name, value)| run.env(name, value))
                .ok();
        };
        run(&["init", "--device", "mac"]);
        let mut large = String::new();
        for n in 0..300 {
            place.write(format!("notes/{n:03}.md"), format!("# Note {n}\n\n{}", "a line of it\n".repeat(n)));
            (0..200).for_each(|k| large += &format!("entry {n} {k} {:08x}\n", (n * 200 + k) * 40_503));
        }
        place.write("large.log", &large);
        run(&["commit", "-m", "first"]);
        place.write("large.log", format!("begins otherwise\n{large}and ends so\n"));
        (0..50).for_each(|n| place.write(format!("notes/{:03}.md", n * 6), format!("edited {n}\n")));
        run(&["commit", "-m", "second"]);
        let names = || {
            let entries = std::fs::read_dir(place.work().join(".mvault/objects")).expect("a folder");
            let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
            names.sort();
            names
        };
        let before = names();
        run(&["gc"]);
        (before, names())
    };
    let many = packs(&[]);
    assert_eq!(many, packs(&[("MVAULT_TEST_ONE_THREAD", "1")]));
    assert!(many.0.len() > 1 && many.1.len() == 1, "{many:?}");
}

#[test]
fn what_was_dropped_does_not_count_as_stored_for_who_opened_the_vault_before() {
    let place = vault(3);
    let edit = "# Continuity\n\nnever committed\n";
    place.write("continuity.md", edit);
    place.mvault(["checkout", "main~1"]).ok();
    place.mvault(["checkout", "main"]).ok();
    gc(&place, &["--keep-last", "0"]).ok();
    // Opened, and with the table of the pack in memory; then it waits, and another process prunes.
    let mut early = open(&place.work(), 10);
    let request = CommitRequest { operation: "commit", ..CommitRequest::default() };
    place.write("other.txt", "so that it has its packs open\n");
    assert!(commit(&mut early, &request).expect("commits").commit.is_some());
    place.write("probe.txt", edit);
    let id = place.mvault(["hash", "probe.txt"]).ok().split_whitespace().next().expect("an id").to_owned();
    let blob = mvault::object::ObjectId::parse(&id).expect("an id");
    assert!(early.store().knows(blob).expect("asked"), "a snapshot holds it");
    assert_eq!(number(&gc(&place, &["--prune"]).json()["unreferenced"], "objects"), 1);
    assert_ne!(place.mvault(["cat", &id]).run().code, Some(0));
    drop(early.lock("look").expect("the lock is free"));
    assert!(!early.store().knows(blob).expect("asked"), "who has the lock sees what there is");
    assert!(commit(&mut early, &request).expect("commits").commit.is_some());
    place.mvault(["verify"]).ok();
    assert_eq!(place.mvault(["show", "main:probe.txt"]).ok(), edit);
}
