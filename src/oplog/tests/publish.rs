//! A pack and the operation that names what is in it, cut at every call: what the log names is there.

use super::*;
use crate::fs::sim::{Effect, Fault};
use crate::object::{BlobId, Kind, Source};
use crate::store::Store;

/// Commits once, as far as these two floors go: content first, then one append. Returns the last
/// operation that was acknowledged.
fn commit(disk: &SimDisk, n: u64) -> Option<u64> {
    let dot = disk.open_dir(std::path::Path::new("/v/.mvault")).ok()?;
    let store = Store::open(&dot).ok()?;
    let mut log = OpLog::open(&dot, None).ok()?;
    let mut writer = store.writer().ok()?;
    let note = format!("note {n}: {}", "text ".repeat(n as usize));
    let blob = writer.add(Kind::Blob, note.as_bytes(), None).ok()?;
    writer.publish().ok()?;
    log.append(new("commit", n).detail("blob", blob.to_string())).ok().map(|operation| operation.seq)
}

fn check(disk: &SimDisk, acknowledged: u64, story: &str) -> u64 {
    let dot = sim_dot(disk);
    let log = OpLog::open(&dot, None).unwrap_or_else(|error| panic!("{story}: {error}"));
    let last = check_whole(&log);
    assert!((acknowledged..=acknowledged + 1).contains(&last), "{story}: {last} of {acknowledged}");
    let store = Store::open(&dot).expect("the store opens");
    for operation in log.operations().map(|o| o.expect("whole")).filter(|o| o.op == "commit") {
        let id = operation.detail.get("blob").and_then(|id| id.as_str()).expect("an id");
        let found = store.find_blob(BlobId::parse(id).expect("an id"));
        assert!(found.is_ok(), "{story}: operation {} names a blob that is not there", operation.seq);
    }
    let problems = store.verify(crate::store::Extent::All, &|_| ()).expect("the store is listed");
    assert!(problems.iter().all(|problem| problem.kind == "file"), "{story}: {problems:?}");
    last
}

#[test]
fn what_an_operation_names_is_there_wherever_its_commit_was_cut() {
    let start = SimDisk::new();
    let dot = sim_dot(&start);
    Store::create(&dot).expect("a store");
    OpLog::create(&dot, init()).expect("a log");
    assert_eq!(commit(&start, 2), Some(2));
    start.settle();
    let mut states = 0;
    for nth in 1.. {
        let mut finished = true;
        for effect in [Effect::Kill, Effect::KillHalfway] {
            let disk = start.after_kill();
            disk.plan(Fault { effect, ..Fault::kill(nth) });
            let acknowledged = commit(&disk, 3).unwrap_or(2);
            finished &= !disk.is_killed();
            let story = format!("cut at call {nth}");
            for image in std::iter::once(disk.after_kill()).chain(disk.after_power_cut(nth, 20)) {
                let last = check(&image, acknowledged, &story);
                // The next one needs no help.
                assert_eq!(commit(&image, last + 1), Some(last + 1), "{story}: the next commit failed");
                for image in image.after_power_cut(nth, 3) {
                    check(&image, last + 1, &format!("{story} > went on"));
                }
                states += 1;
            }
        }
        if finished {
            break;
        }
    }
    assert!(states > 100, "{states} states");
}
