//! The log: what is written comes back, what is cut or damaged is told apart.
//!
//! Operation `n` of every log here sets `heads/main` and `at` to commit `n` and has stamp `n`.

mod crash;
mod damage;
mod publish;

use super::*;
use crate::env::Moment;
use crate::fs::sim::{Act, SimDisk};
use crate::fs::{Dir, Disk, RealDisk};
use crate::object::{CommitId, DeviceName, Lamport};

struct Place {
    _temp: tempfile::TempDir,
    dot: Dir,
}

fn place() -> Place {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let dot = RealDisk.open_dir(temp.path()).expect("it opens");
    Place { _temp: temp, dot }
}

fn id(n: u64) -> CommitId {
    CommitId::parse(&format!("{n:064x}")).expect("64 digits")
}

fn new(op: &str, n: u64) -> NewOperation {
    let device = DeviceName::parse("mac").expect("a device name");
    let at = Moment { unix_ns: i128::from(n) * 1_000_000_000, offset_minutes: 0 };
    NewOperation::new(op, at, &device, "paul")
        .lamport(Lamport(n))
        .set(RefName::Branch(Label::main()), id(n))
        .set(RefName::At, id(n))
}

fn init() -> NewOperation {
    new("init", 1).set(RefName::Head, RefTarget::Branch(Label::main()))
}

/// Opens the vault's folder on a simulated disk, making it if need be.
fn sim_dot(disk: &SimDisk) -> Dir {
    disk.create_dir_all(std::path::Path::new("/v/.mvault")).expect("a folder")
}

/// Checks that the log holds operations 1 to its last, whole and right; returns how many.
fn check_whole(log: &OpLog) -> u64 {
    assert_eq!(log.verify(), vec![]);
    let last = log.last().seq;
    let operations: Vec<_> = log.operations().map(|o| o.expect("whole")).collect();
    assert_eq!(operations.len() as u64, last);
    for (operation, n) in operations.iter().rev().zip(1..) {
        assert_eq!((operation.seq, operation.lamport), (n, Lamport(n)));
    }
    assert_eq!(log.refs().head(), Some(id(last)));
    last
}

fn log_of(dot: &Dir, operations: u64, segment_bytes: usize) -> OpLog {
    let mut log = OpLog::create(dot, init()).expect("a log").with_segment_bytes(segment_bytes);
    for n in 2..=operations {
        log.append(new("commit", n)).expect("an append");
    }
    log
}

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let place = place();
    let log = log_of(&place.dot, 40, 2_000);
    let read = OpLog::open(&place.dot, Some(log.last())).expect("it opens");
    assert_eq!(read.refs(), log.refs());
    assert_eq!(read.last(), log.last());
    assert!(read.starts().len() > 5, "segments rolled: {:?}", read.starts());
    assert_eq!(read.refs().head(), Some(id(40)));
    let seqs: Vec<u64> = read.operations().map(|o| o.expect("whole").seq).collect();
    assert_eq!(seqs, (1..=40).rev().collect::<Vec<_>>());
    assert_eq!(read.verify(), vec![]);
}

#[test]
fn an_operation_and_its_refs_are_found_by_number() {
    let place = place();
    let log = log_of(&place.dot, 40, 2_000);
    for n in 1..=40 {
        let operation = log.get(n).expect("readable").expect("it is there");
        assert_eq!((operation.seq, operation.lamport), (n, Lamport(n)));
        let refs = log.refs_at(n).expect("readable").expect("it is there");
        assert_eq!(refs.head(), Some(id(n)));
    }
    assert_eq!(log.get(0).expect("readable"), None);
    assert_eq!(log.get(41).expect("readable"), None);
    assert_eq!(log.refs_at(0).expect("readable"), Some(Refs::default()));
    assert_eq!(log.refs_at(41).expect("readable"), None);
}

#[test]
fn an_append_is_one_write_and_one_sync_also_in_a_new_process() {
    let disk = SimDisk::new();
    let dot = sim_dot(&disk);
    let mut known = log_of(&dot, 3, 64 * 1024).last();
    for n in 4..7 {
        disk.settle();
        let mut log = OpLog::open(&dot, Some(known)).expect("it opens");
        log.append(new("commit", n)).expect("an append");
        let acts: Vec<Act> = disk.changing_calls().iter().map(|call| call.act).collect();
        assert_eq!(acts, [Act::Write, Act::SyncFile]);
        known = log.last();
    }
    // Who remembers nothing is as safe, but slower once.
    let mut log = OpLog::open(&dot, None).expect("it opens");
    log.confirm(known).expect("it is there");
    disk.settle();
    log.append(new("commit", 7)).expect("an append");
    assert_eq!(disk.changing_calls().len(), 2);
}

#[test]
fn opening_reads_one_segment_however_many_there_are() {
    let disk = SimDisk::new();
    let dot = sim_dot(&disk);
    let log = log_of(&dot, 60, 1_500);
    assert!(log.starts().len() > 10);
    disk.settle();
    OpLog::open(&dot, Some(log.last())).expect("it opens");
    let opened = disk.calls().iter().filter(|c| c.act == Act::Open).count();
    assert_eq!(opened, 2, "the folder and the newest segment");
}

#[test]
fn what_another_process_appended_is_seen_by_refresh_and_never_overwritten() {
    let place = place();
    let mut ours = log_of(&place.dot, 3, 1_200);
    for n in 4..20 {
        assert!(!ours.refresh().expect("readable"));
        let mut theirs = OpLog::open(&place.dot, None).expect("it opens").with_segment_bytes(1_200);
        theirs.append(new("commit", n)).expect("an append");
        assert!(matches!(ours.append(new("commit", n)), Err(Error::Moved)));
        assert!(ours.refresh().expect("readable"));
        assert_eq!(ours.last(), theirs.last());
    }
    assert_eq!(check_whole(&ours), 19);
}

#[test]
fn an_operation_that_was_seen_and_then_taken_back_is_no_damage_to_who_saw_it() {
    let disk = SimDisk::new();
    let dot = sim_dot(&disk);
    let before = log_of(&dot, 3, 64 * 1024).last();
    let mut writer = OpLog::open(&dot, Some(before)).expect("it opens");
    // The reader opens between the write and the sync that fails: the file is as long as it gets.
    let path = std::path::Path::new("/v/.mvault/oplog").join(segment::name(1));
    writer.append(new("commit", 4)).expect("an append");
    let mut reader = OpLog::open(&dot, Some(before)).expect("it opens");
    let taken_back = |bytes: &mut Vec<u8>| {
        bytes.pop();
        let line = bytes.iter().rposition(|b| *b == b'\n').expect("a line before");
        bytes.truncate(line + 1);
    };
    disk.damage(&path, taken_back).expect("the segment is there");
    assert!(reader.refresh().expect("not damage"));
    assert_eq!(reader.last(), before);
    // Who remembers the operation as acknowledged is told.
    assert!(matches!(reader.confirm(writer.last()), Err(Error::Shortened { .. })));
}

#[test]
fn only_what_was_acknowledged_is_given_to_a_cache_to_remember() {
    let disk = SimDisk::new();
    let dot = sim_dot(&disk);
    let log = log_of(&dot, 3, 64 * 1024);
    assert_eq!(log.acknowledged(), Some(log.last()));
    let mut seen = OpLog::open(&dot, None).expect("it opens");
    assert_eq!(seen.acknowledged(), None);
    seen.settle().expect("durable now");
    assert_eq!(seen.acknowledged(), Some(log.last()));
    let second = log.get(2).expect("readable").expect("it is there").anchor();
    let older = OpLog::open(&dot, Some(second)).expect("it opens");
    assert_eq!(older.acknowledged(), Some(second));
    seen.append(new("commit", 4)).expect("an append");
    assert_eq!(check_whole(&OpLog::open(&dot, None).expect("it opens")), 4);
}

#[test]
fn a_refused_change_of_refs_writes_nothing_and_leaves_the_handle_usable() {
    let place = place();
    let mut log = log_of(&place.dot, 2, 64 * 1024);
    let bad = new("tag", 3).set(RefName::Head, id(3));
    assert!(matches!(log.append(bad), Err(Error::Ref(_))));
    let long = new("tag", 3).detail("text", "x".repeat(LINE_BYTES_MAX));
    assert!(matches!(log.append(long), Err(Error::TooLong(_))));
    log.append(new("commit", 3)).expect("an append");
    assert_eq!(check_whole(&OpLog::open(&place.dot, None).expect("it opens")), 3);
}

#[test]
fn a_checkpoint_of_many_refs_has_lines_of_bounded_length() {
    let place = place();
    let mut log = log_of(&place.dot, 2, 64 * 1024);
    for block in 0..4 {
        let tags = (0..1000).map(|n| RefName::Tag(Label::parse(&format!("t/{block}/{n}")).expect("a label")));
        let many = tags.fold(new("import", block + 3), |operation, tag| operation.set(tag, id(1)));
        log.append(many).expect("an append");
    }
    log.append(new("commit", 7)).expect("an append that rolls");
    let newest = segment::name(*log.starts().last().expect("a segment"));
    let bytes = place.dot.open_dir("oplog").and_then(|dir| dir.read(&newest, 1 << 30)).expect("readable");
    let longest = bytes.split(|b| *b == b'\n').map(<[u8]>::len).max();
    assert!(longest.is_some_and(|longest| longest < 64 * 1024), "{longest:?}");
    let read = OpLog::open(&place.dot, None).expect("it opens");
    assert_eq!(read.refs().tags().count(), 4000);
    assert_eq!(check_whole(&read), 7);
}

#[test]
fn a_log_is_never_made_over_another() {
    let place = place();
    let log = log_of(&place.dot, 2, 64 * 1024);
    assert!(OpLog::create(&place.dot, init()).is_err());
    assert_eq!(OpLog::open(&place.dot, None).expect("it opens").last(), log.last());
}

#[test]
fn the_vector_of_the_format_page_is_what_is_written() {
    let page = include_str!("../../../docs/format.md");
    let place = place();
    let device = DeviceName::parse("mac").expect("a device name");
    let moment = |unix: i128| Moment { unix_ns: unix * 1_000_000_000, offset_minutes: 60 };
    let first = NewOperation::new("init", moment(1_763_800_000), &device, "paul")
        .lamport(Lamport(1))
        .set(RefName::Branch(Label::main()), id(1))
        .set(RefName::Head, RefTarget::Branch(Label::main()))
        .set(RefName::At, id(1))
        .frontier(vec![id(1)]);
    let mut log = OpLog::create(&place.dot, first).expect("a log");
    let pixel = DeviceName::parse("pixel").expect("a device name");
    let second = NewOperation::new("fetch", moment(1_763_800_060), &device, "paul")
        .session(crate::object::SessionId::parse("s-1"))
        .args(["pixel:"])
        .lamport(Lamport(1))
        .set(RefName::Remote(pixel, Label::main()), RefTarget::Set([id(3), id(2)].into()))
        .detail("received", 2);
    log.append(second).expect("an append");
    let name = segment::name(1);
    let bytes = place.dot.open_dir("oplog").and_then(|dir| dir.read(&name, 1 << 20)).expect("readable");
    let text = String::from_utf8(bytes).expect("text");
    assert_eq!(text.lines().count(), 3);
    for line in text.lines() {
        assert!(page.contains(&format!("    {line}\n")), "not on the page: {line}");
    }
}
