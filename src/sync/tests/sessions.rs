//! Sessions between honest ends: what arrives, what it costs, what is called in which order.

use std::collections::BTreeSet;
use std::time::Duration;

use super::place::{FETCH, PUSH, Place, SYNC, blob_id, cut_session, noise, session};
use crate::object::Source;
use crate::sync::frame::Frame;
use crate::sync::session::Caller;
use crate::sync::{ClosedGate, OpenGate, RefusalKind, SyncError};

fn frames(caller: &mut Place, server: &mut Place, intent: crate::sync::Intent) -> Vec<Frame> {
    let mut seen = Vec::new();
    cut_session(caller, server, intent, usize::MAX, &mut seen).expect("a whole session");
    seen
}

fn count(frames: &[Frame], name: &str) -> usize {
    frames.iter().filter(|frame| frame.name() == name).count()
}

#[test]
fn fetch_brings_what_is_new_and_sets_only_the_peers_ref() {
    let mut mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    let first = pixel.commit(&[("a.md", b"one\n"), ("notes/b.md", b"two\n")]);
    let second = pixel.commit(&[("a.md", b"one\nmore\n")]);
    let (summary, served) = session(&mut mac, &mut pixel, FETCH).expect("fetched");
    let received = summary.received.expect("something was fetched");
    assert_eq!(received.commits, [first, second]);
    assert_eq!(served.sent_objects, 8, "two commits, two roots, one folder, three blobs");
    assert_eq!(mac.remotes.keys().collect::<Vec<_>>(), ["pixel"]);
    assert_eq!(mac.remotes["pixel"], BTreeSet::from([second]));
    assert_eq!(mac.heads, BTreeSet::from([second]));
    assert_eq!(pixel.accepted.len(), 0);
    mac.check();
    assert!(mac.incoming_files().is_empty());
}

#[test]
fn push_brings_the_far_side_to_our_frontier() {
    let mut mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    let new = mac.commit(&[("a.md", b"one\n")]);
    let (summary, served) = session(&mut mac, &mut pixel, PUSH).expect("pushed");
    assert!(summary.received.is_none());
    assert_eq!(summary.sent_commits, 1);
    assert_eq!(served.received.expect("pushed to").commits, [new]);
    assert_eq!(pixel.heads, BTreeSet::from([new]));
    pixel.check();
}

#[test]
fn sync_brings_both_to_one_frontier_and_one_head() {
    let mut mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    for n in 0..40 {
        mac.commit(&[("mac.md", format!("{n}\n").as_bytes())]);
        pixel.commit(&[("pixel.md", format!("{n}\n").as_bytes())]);
    }
    let (summary, _) = session(&mut mac, &mut pixel, SYNC).expect("synced");
    assert!(!summary.is_contradiction());
    assert_eq!(summary.theirs.expect("pushed to").head, summary.ours.head);
    assert_eq!(mac.heads, pixel.heads);
    assert_eq!(mac.heads.len(), 2);
    mac.check();
    pixel.check();
}

#[test]
fn a_clone_gets_everything_and_takes_over_the_vaults_id() {
    let mut mac = Place::new("mac");
    for n in 0..10 {
        mac.commit(&[("notes/a.md", format!("{n}\n").as_bytes())]);
    }
    let mut pixel = Place::empty("pixel");
    let (summary, _) = session(&mut pixel, &mut mac, FETCH).expect("cloned");
    assert_eq!(summary.received.expect("fetched").commits.len(), 11);
    assert_eq!(pixel.heads, mac.heads);
    assert_eq!(pixel.vault, mac.vault);
    pixel.check();
}

#[test]
fn nothing_new_costs_one_flight_each_way() {
    let mut mac = Place::new("mac");
    for n in 0..200 {
        mac.commit(&[("a.md", format!("{n}\n").as_bytes())]);
    }
    let mut pixel = mac.cloned("pixel");
    let seen = frames(&mut mac, &mut pixel, FETCH);
    let names: Vec<&str> = seen.iter().map(Frame::name).collect();
    assert_eq!(
        names,
        ["hello", "offer", "ask", "have", "hello", "offer", "known", "pack", "pack-end", "ack", "bye"]
    );
    let bytes: usize = seen.iter().map(|frame| frame.encode().len()).sum();
    assert!(bytes < 2000, "{bytes}");
    assert!(mac.logged.is_empty(), "a fetch gives nothing away");
}

#[test]
fn questions_cost_what_is_new_and_not_what_is_old() {
    let mut mac = Place::new("mac");
    for n in 0..300 {
        mac.commit(&[("a.md", format!("{n}\n").as_bytes())]);
    }
    let mut pixel = mac.cloned("pixel");
    for n in 0..30 {
        mac.commit(&[("mac.md", format!("{n}\n").as_bytes())]);
    }
    pixel.commit(&[("pixel.md", b"x")]);
    let seen = frames(&mut mac, &mut pixel, SYNC);
    let asked: usize = seen.iter().map(|frame| if let Frame::Ask(ids) = frame { ids.len() } else { 0 }).sum();
    assert!(asked <= 16 + 64, "{asked}");
    assert!(count(&seen, "ask") <= 2);
    assert_eq!(count(&seen, "common"), 1);
    let packs: Vec<u32> = seen
        .iter()
        .filter_map(|frame| if let Frame::Pack { commits } = frame { Some(*commits) } else { None })
        .collect();
    assert_eq!(packs, [1, 30], "each side sends exactly what the other lacks");
}

#[test]
fn a_line_in_a_long_file_costs_less_than_a_kilobyte() {
    for size in [100_000, 400_000, 3_000_000] {
        let mut mac = Place::new("mac");
        let mut log = noise(5, size);
        mac.commit(&[("log.jsonl", &log), ("big.bin", &noise(6, 700_000))]);
        let mut pixel = mac.cloned("pixel");
        for n in 0..5 {
            log.extend_from_slice(format!("{{\"line\":{n}}}\n").as_bytes());
            pixel.commit(&[("log.jsonl", &log)]);
        }
        let seen = frames(&mut mac, &mut pixel, FETCH);
        let bytes: usize = seen.iter().map(|frame| frame.encode().len()).sum();
        assert!(bytes < 5 * 1024 + 2000, "{size}: {bytes}");
        assert_eq!(mac.files()["log.jsonl"], log);
        mac.check();
    }
}

#[test]
fn large_objects_that_grow_side_by_side_each_use_their_own_base() {
    let mut mac = Place::new("mac");
    let (mut a, mut b) = (noise(1, 900_000), noise(2, 900_000));
    mac.commit(&[("a", &a), ("b", &b)]);
    let mut pixel = mac.cloned("pixel");
    for n in 0..4_u8 {
        a.extend_from_slice(&[n; 50]);
        b.splice(1000..1010, [n; 30]);
        pixel.commit(&[("a", &a), ("b", &b)]);
    }
    session(&mut mac, &mut pixel, FETCH).expect("fetched");
    assert_eq!(mac.files()["a"], a);
    assert_eq!(mac.files()["b"], b);
    mac.check();
}

#[test]
fn a_file_that_crosses_the_limit_of_a_frame_arrives_whole() {
    let mut mac = Place::new("mac");
    let small = noise(1, 500_000);
    mac.commit(&[("a", &small)]);
    let mut pixel = mac.cloned("pixel");
    let grown = [small.as_slice(), &noise(2, 300_000)].concat();
    pixel.commit(&[("a", &grown)]);
    pixel.commit(&[("a", &small)]);
    pixel.commit(&[("a", &grown), ("empty", b"")]);
    session(&mut mac, &mut pixel, FETCH).expect("fetched");
    assert_eq!(mac.files()["a"], grown);
    mac.check();
}

#[test]
fn a_large_file_that_was_moved_is_not_sent_again() {
    let mut mac = Place::new("mac");
    let big = noise(1, 400_000);
    mac.commit(&[("a/one.bin", &big)]);
    let mut pixel = mac.cloned("pixel");
    pixel.commit(&[("b/two.bin", &big)]);
    let seen = frames(&mut mac, &mut pixel, FETCH);
    let bytes: usize = seen.iter().map(|frame| frame.encode().len()).sum();
    assert!(bytes < 3000, "{bytes}");
    assert_eq!(mac.files()["b/two.bin"], big);
    mac.check();
}

#[test]
fn a_folder_of_many_files_is_sent_as_what_changed_in_it() {
    let mut mac = Place::new("mac");
    let names: Vec<String> = (0..20_000).map(|n| format!("notes/{n:06}.md")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"same"[..])).collect();
    mac.commit(&files);
    let mut pixel = Place::empty("pixel");
    session(&mut pixel, &mut mac, FETCH).expect("cloned");
    mac.commit(&[("notes/010000.md", b"changed")]);
    let seen = frames(&mut pixel, &mut mac, FETCH);
    let bytes: usize = seen.iter().map(|frame| frame.encode().len()).sum();
    assert!(bytes < 4000, "{bytes}");
    assert_eq!(pixel.files()["notes/010000.md"], b"changed");
    pixel.check();
}

#[test]
fn derived_commits_inside_history_travel_and_are_kept_as_they_are() {
    let mut mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    mac.commit(&[("a", b"a")]);
    pixel.commit(&[("b", b"b")]);
    session(&mut mac, &mut pixel, SYNC).expect("synced");
    let derived = mac.derive(mac.heads.iter().copied().collect());
    mac.put(vec![(crate::object::Kind::Commit, derived.encode())]);
    mac.heads = [derived.id()].into();
    let on_top = mac.commit(&[("c", b"c")]);
    session(&mut pixel, &mut mac, FETCH).expect("fetched");
    assert_eq!(pixel.heads, BTreeSet::from([on_top]));
    assert!(pixel.store.find_commit(derived.id()).expect("it came along").is_derived());
    pixel.check();
}

#[test]
fn work_relayed_by_a_third_device_needs_no_second_transfer() {
    let mut mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    let mut work = mac.cloned("work");
    let new = mac.commit(&[("a", b"a")]);
    session(&mut mac, &mut pixel, PUSH).expect("pushed");
    session(&mut pixel, &mut work, PUSH).expect("relayed");
    let (summary, _) = session(&mut work, &mut mac, FETCH).expect("fetched");
    let received = summary.received.expect("fetched");
    assert!(received.commits.is_empty() && received.objects == 0);
    assert_eq!(work.remotes["mac"], BTreeSet::from([new]), "the ref is set although nothing came");
}

#[test]
fn what_a_push_gives_is_logged_before_the_first_frame_leaves() {
    let mut mac = Place::new("mac");
    let new = mac.commit(&[("a", b"a")]);
    drop(Caller::new(&mut mac, super::place::options(PUSH, "pixel")).expect("made"));
    assert_eq!(mac.logged, [vec![new]]);
    let mut pixel = mac.cloned("pixel");
    session(&mut pixel, &mut mac, FETCH).expect("fetched");
    assert_eq!(mac.logged.len(), 1, "what was logged is not logged again");
}

#[test]
fn commits_in_our_own_name_that_we_lack_are_told() {
    let mut mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    let lost = mac.cloned("mac");
    let new = mac.commit(&[("a", b"a")]);
    session(&mut mac, &mut pixel, PUSH).expect("pushed");
    let mut restored = lost;
    let (summary, _) = session(&mut restored, &mut pixel, FETCH).expect("fetched");
    assert_eq!(summary.received.expect("fetched").own_name, [new]);
}

#[test]
fn a_refusal_reaches_the_other_side_with_its_kind_and_hint() {
    let mut mac = Place::new("mac");
    let mut other = Place::new("pixel");
    other.vault = Some(crate::object::VaultId::new([9; 16]));
    match session(&mut mac, &mut other, FETCH) {
        Err(SyncError::Refused(refusal)) => assert_eq!(refusal.kind, RefusalKind::Unrelated),
        other => panic!("{other:?}"),
    }
    assert!(mac.remotes.is_empty() && mac.accepted.is_empty());
}

#[test]
fn a_limit_stops_early_and_names_itself() {
    let mut mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    let big = noise(1, 300_000);
    pixel.commit(&[("a", &big), ("b", &noise(2, 300_000)), ("c", &noise(3, 300_000))]);
    mac.limits.bytes_max = 500_000;
    let error = session(&mut mac, &mut pixel, FETCH).expect_err("too much");
    assert_eq!(error.to_string(), "the peer sent more than 500000 bytes");
    assert!(mac.remotes.is_empty());
    mac.limits.bytes_max = 1_000_000;
    session(&mut mac, &mut pixel, FETCH).expect("what came before the limit is still there");
    assert!(mac.store.contains(blob_id(&big)).expect("asked"));
    mac.check();
}

#[test]
fn an_endpoint_that_offers_too_much_says_so_before_anything_is_sent() {
    let mut mac = Place::new("mac");
    let root: Vec<_> = mac.heads.iter().copied().collect();
    for n in 0..1025_u32 {
        let mut commit = mac.authored(crate::object::TreeId::empty(), root.clone());
        commit.message = n.to_string().into();
        mac.put(vec![(crate::object::Kind::Commit, commit.encode())]);
        mac.heads.insert(commit.id());
    }
    let heads = mac.frontier();
    assert_eq!(heads.len(), 1025);
    assert!(matches!(
        Caller::new(&mut mac, super::place::options(PUSH, "pixel")),
        Err(SyncError::Ours(refusal)) if refusal.kind == RefusalKind::Limit
    ));
}

/// The story: the gate was given back when the pack was in the store. A `gc --prune` between that and the operation
/// that leads to it dropped what had just come.
#[test]
fn the_gate_is_open_until_what_came_is_accepted() {
    let mut mac = Place::new("mac");
    mac.commit(&[("a.md", b"a\n")]);
    let mut pixel = mac.cloned("pixel");
    pixel.commit(&[("b.md", b"b\n")]);
    session(&mut mac, &mut pixel, FETCH).expect("works");
    session(&mut pixel, &mut mac, PUSH).expect("works, and brings nothing");
    assert_eq!(mac.gates, [true, false]);
}

#[test]
fn whoever_wants_the_gate_waits_for_it_and_is_told_who_has_it() {
    let mac = Place::new("mac");
    let root = mac.dot.open_or_create_dir("incoming").expect("made");
    let open = OpenGate::pass(&root, Duration::ZERO).expect("nobody closed it");
    let beside = OpenGate::pass(&root, Duration::ZERO).expect("others pass as well");
    drop(beside);
    let held = ClosedGate::close(&root, Duration::ZERO, "a test").err().expect("somebody is receiving");
    assert!(held.to_string().contains("another command"), "{held}");
    let waiting = {
        let root = root.clone();
        std::thread::spawn(move || ClosedGate::close(&root, Duration::from_secs(60), "a purge").is_ok())
    };
    // Who waits to close it comes before those that begin later.
    let refused = loop {
        match OpenGate::pass(&root, Duration::ZERO) {
            Ok(passed) => drop(passed),
            Err(refused) => break refused,
        }
    };
    assert!(refused.to_string().contains("a purge"), "{refused}");
    drop(open);
    assert!(waiting.join().expect("no panic"), "its turn comes");
    OpenGate::pass(&root, Duration::ZERO).map(drop).expect("it is open again");
}
