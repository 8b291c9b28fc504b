//! The log with bytes changed, cut, moved and put back: named, never cut, never believed.

#![allow(clippy::print_stdout)] // the number of flips tried is part of the claim

use std::path::{Path, PathBuf};

use super::*;

fn log_on(disk: &SimDisk, operations: u64) -> (Dir, Anchor) {
    let dot = sim_dot(disk);
    let last = log_of(&dot, operations, 1_200).last();
    disk.settle();
    (dot, last)
}

fn segments(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let files = disk.files().into_iter();
    files.filter(|(path, _)| path.starts_with("/v/.mvault/oplog")).collect()
}

/// Whether anything is said about the log: at opening, or by verifying.
fn is_noticed(dot: &Dir, known: Option<Anchor>) -> bool {
    match OpLog::open(dot, known) {
        Err(error) => error.is_damage(),
        Ok(log) => !log.verify().is_empty(),
    }
}

#[test]
fn no_changed_byte_of_any_segment_goes_unnoticed() {
    let disk = SimDisk::new();
    let (dot, last) = log_on(&disk, 8);
    let segments = segments(&disk);
    assert!(segments.len() >= 3, "{} segments", segments.len());
    let mut flips = 0;
    for (path, bytes) in &segments {
        for at in 0..bytes.len() {
            disk.damage(path, |bytes| bytes[at] ^= 1 << (at % 8)).expect("a flip");
            assert!(is_noticed(&dot, Some(last)), "{} byte {at}", path.display());
            disk.damage(path, |bytes| bytes[at] ^= 1 << (at % 8)).expect("a flip");
            flips += 1;
        }
    }
    assert!(!is_noticed(&dot, Some(last)));
    println!("{flips} flips");
}

#[test]
fn without_a_memory_a_changed_last_line_is_damage_or_set_aside_and_told() {
    let disk = SimDisk::new();
    let (_, last) = log_on(&disk, 8);
    let (path, bytes) = segments(&disk).pop().expect("a segment");
    let line = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').expect("a line before") + 1;
    for at in line..bytes.len() {
        let disk = disk.after_kill();
        disk.damage(&path, |bytes| bytes[at] ^= 1).expect("a flip");
        let dot = sim_dot(&disk);
        match OpLog::open(&dot, None) {
            Err(error) => assert!(error.is_damage(), "byte {at}: {error}"),
            Ok(mut log) => {
                assert_eq!(log.last().seq, last.seq - 1, "byte {at}");
                let told = log.append(new("commit", last.seq)).expect("an append").recovered;
                let kept =
                    dot.open_dir("quarantine").and_then(|q| q.read(told.expect("told").sha256, 1 << 20));
                assert!(kept.expect("kept").len() >= bytes.len() - line - 1, "byte {at}");
            }
        }
    }
}

#[test]
fn a_log_cut_at_any_length_is_noticed_by_who_remembers_its_end() {
    let disk = SimDisk::new();
    let (dot, last) = log_on(&disk, 8);
    for (path, bytes) in segments(&disk) {
        for len in 0..bytes.len() {
            disk.damage(&path, |bytes| bytes.truncate(len)).expect("a cut");
            let newest = path.ends_with(segment::name(8)) || len == bytes.len();
            let only_newline = len + 1 == bytes.len() && newest_of(&disk) == path;
            assert_eq!(
                is_noticed(&dot, Some(last)),
                !only_newline,
                "{} cut at {len} {newest}",
                path.display()
            );
            disk.damage(&path, |now| now.clone_from(&bytes)).expect("put back");
        }
    }
}

fn newest_of(disk: &SimDisk) -> PathBuf {
    segments(disk).pop().expect("a segment").0
}

#[test]
fn segments_that_are_gone_swapped_or_put_back_are_noticed() {
    let disk = SimDisk::new();
    let (dot, last) = log_on(&disk, 12);
    let all = segments(&disk);
    assert!(all.len() >= 4);
    for (path, bytes) in &all {
        let gone = disk.after_kill();
        let dir = sim_dot(&gone).open_dir("oplog").expect("it opens");
        dir.remove_file(path.file_name().expect("a name")).expect("removed");
        assert!(is_noticed(&sim_dot(&gone), Some(last)), "{} removed", path.display());
        for (other, _) in all.iter().filter(|(other, _)| other != path) {
            let swapped = disk.after_kill();
            swapped.damage(other, |now| now.clone_from(bytes)).expect("put there");
            assert!(is_noticed(&sim_dot(&swapped), Some(last)), "{} in place of another", path.display());
        }
    }
    let dir = dot.open_dir("oplog").expect("it opens");
    for (path, _) in &all {
        dir.remove_file(path.file_name().expect("a name")).expect("removed");
    }
    assert!(matches!(OpLog::open(&dot, None), Err(Error::Missing(_))));
}

#[test]
fn an_older_copy_of_the_log_is_noticed_by_who_remembers_a_later_end() {
    let disk = SimDisk::new();
    let (dot, _) = log_on(&disk, 5);
    let old = disk.after_kill();
    let mut log = OpLog::open(&dot, None).expect("it opens");
    log.append(new("commit", 6)).expect("an append");
    let known = log.last();
    let shortened = OpLog::open(&sim_dot(&old), Some(known));
    assert!(matches!(shortened, Err(Error::Shortened { known: k, last }) if k == known && last.seq == 5));
    // The same number, but another operation.
    let mut other = OpLog::open(&sim_dot(&old), None).expect("it opens");
    other.append(new("pull", 6)).expect("an append");
    assert!(matches!(OpLog::open(&sim_dot(&old), Some(known)), Err(Error::Shortened { .. })));
}

#[test]
fn a_memory_of_any_earlier_operation_is_confirmed_also_in_an_old_segment() {
    let disk = SimDisk::new();
    let (dot, _) = log_on(&disk, 12);
    let log = OpLog::open(&dot, None).expect("it opens");
    for operation in log.operations() {
        let known = operation.expect("whole").anchor();
        assert!(OpLog::open(&dot, Some(known)).is_ok());
        let other = Anchor { hash: LineHash::ZERO, ..known };
        assert!(matches!(OpLog::open(&dot, Some(other)), Err(Error::Shortened { .. })));
    }
}

#[test]
fn a_bad_line_before_the_last_is_damage_and_stays_where_it_is() {
    let disk = SimDisk::new();
    let (dot, _) = log_on(&disk, 2);
    let path = Path::new("/v/.mvault/oplog").join(segment::name(1));
    let bad: [(&str, &[u8]); 6] = [
        ("a blank line", b"\n"),
        ("a complete line of rubbish", b"rubbish\n"),
        ("a JSON line without a hash", b"{\"seq\":3}\n"),
        ("a JSON line without a hash or newline", b"{\"seq\":3}"),
        ("two torn lines", b"{\"seq\":3,\"pr\n{\"seq\":4"),
        ("a line of zeros before another", b"\0\0\0\0\n{\"seq\":4"),
    ];
    for (story, tail) in bad {
        let disk = disk.after_kill();
        disk.damage(&path, |bytes| bytes.extend_from_slice(tail)).expect("added");
        let before = segments(&disk);
        let error = OpLog::open(&sim_dot(&disk), None).expect_err(story);
        assert!(matches!(error, Error::Damaged { .. }), "{story}: {error}");
        assert_eq!(segments(&disk), before, "{story}");
    }
    assert!(OpLog::open(&dot, None).is_ok());
}

#[test]
fn a_chain_that_holds_by_its_hashes_but_not_by_its_links_is_damage() {
    let lines = |disk: &SimDisk| -> Vec<Vec<u8>> {
        let (_, bytes) = segments(disk).remove(0);
        bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
    };
    let disk = SimDisk::new();
    let dot = sim_dot(&disk);
    log_of(&dot, 3, 64 * 1024);
    disk.settle();
    let whole = lines(&disk);
    let stories: [(&str, Vec<usize>); 6] = [
        ("a line is missing", vec![0, 1, 3]),
        ("a line comes twice", vec![0, 1, 2, 2, 3]),
        ("two lines changed places", vec![0, 1, 3, 2]),
        ("the checkpoint is missing", vec![1, 2, 3]),
        ("the checkpoint comes twice", vec![0, 0, 1, 2, 3]),
        ("nothing follows the checkpoint", vec![0]),
    ];
    for (story, order) in stories {
        let path = Path::new("/v/.mvault/oplog").join(segment::name(1));
        let bytes: Vec<u8> = order.iter().flat_map(|at| whole[*at].clone()).collect();
        disk.damage(&path, |now| *now = bytes).expect("rewritten");
        assert!(matches!(OpLog::open(&dot, None), Err(Error::Damaged { .. })), "{story}");
    }
}

#[test]
fn damage_in_an_old_segment_does_not_keep_the_log_from_growing() {
    let disk = SimDisk::new();
    let (dot, last) = log_on(&disk, 12);
    let (path, _) = segments(&disk).remove(1);
    disk.damage(&path, |bytes| bytes[300] ^= 1).expect("a flip");
    let mut log = OpLog::open(&dot, Some(last)).expect("it opens");
    log.append(new("commit", 13)).expect("an append");
    let problems = log.verify();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].kind, "log-damaged");
    assert!(log.operations().any(|operation| operation.is_err()));
    assert!(log.operations().take(3).all(|operation| operation.is_ok()));
}

#[test]
fn strange_lines_with_a_right_hash_are_errors_and_never_a_crash() {
    let anchor = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        line::seal(&value).0
    };
    let good = "\"at\":\"\",\"device\":\"mac\",\"actor\":\"\",\"session\":null,\"op\":\"x\",\"args\":[],\"lamport\":1";
    let zero = "0".repeat(64);
    let bodies = [
        "{}".to_owned(),
        "{\"seq\":2}".to_owned(),
        format!("{{\"seq\":18446744073709551615,\"prev\":\"{zero}\",{good},\"refs\":[]}}"),
        format!("{{\"seq\":2,\"prev\":\"{zero}\",{good},\"refs\":[]}}"),
        format!("{{\"seq\":2,\"prev\":7,{good},\"refs\":[]}}"),
        format!("{{\"seq\":-2,\"prev\":\"{zero}\",{good},\"refs\":{{}}}}"),
        format!(
            "{{\"seq\":2,\"prev\":\"{zero}\",{good},\"refs\":[{{\"name\":\"../x\",\"old\":null,\"new\":null}}]}}"
        ),
    ];
    for body in bodies {
        let disk = SimDisk::new();
        let (dot, _) = log_on(&disk, 1);
        let path = Path::new("/v/.mvault/oplog").join(segment::name(1));
        disk.damage(&path, |bytes| bytes.extend(anchor(&body))).expect("added");
        assert!(matches!(OpLog::open(&dot, None), Err(Error::Damaged { .. })), "{body}");
    }
}
