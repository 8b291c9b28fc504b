//! The log on a real disk: what is written comes back, what is damaged is named.

use super::*;
use crate::env::Moment;
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
