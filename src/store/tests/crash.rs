//! Publishing a pack on a disk that dies, fails or loses power at any call.

use std::path::Path;
use std::sync::LazyLock;

use super::{noise, prose};
use crate::fs::Disk;
use crate::fs::sim::{Act, Effect, Failure, Fault, SimDisk, Which};
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::{PackId, Result, Store};

const OLD: &[u8] = b"what was there before";

fn store(disk: &SimDisk) -> Result<Store> {
    Store::open(&disk.open_dir(Path::new("/"))?)
}

/// A disk with a store that holds [`OLD`], all of it durable.
fn disk() -> SimDisk {
    let disk = SimDisk::new();
    let dot = disk.open_dir(Path::new("/")).expect("the root opens");
    Store::create(&dot).expect("a store");
    let mut writer = store(&disk).and_then(|store| store.writer()).expect("a writer");
    writer.add(Kind::Blob, OLD, None).expect("added");
    writer.publish().expect("published");
    disk.settle();
    disk
}

/// What the operation stores: enough for several writes to one file.
static BODIES: LazyLock<Vec<(ObjectId, Vec<u8>)>> = LazyLock::new(|| {
    let bodies = [noise(1, 500_000), noise(2, 500_000), noise(3, 500_000), prose(4, 3000), b"short".to_vec()];
    bodies.into_iter().map(|body| (hash_object(Kind::Blob, &body), body)).collect()
});

fn operation(disk: &SimDisk) -> Result<Option<PackId>> {
    let mut writer = store(disk)?.writer()?;
    for (_, body) in BODIES.iter() {
        writer.add(Kind::Blob, body, None)?;
    }
    writer.publish()
}

/// The store is sound, has the old object, has all of the new ones or none, and takes the operation.
fn check(disk: &SimDisk, must_have: bool, case: &str) {
    let store = store(disk).unwrap_or_else(|error| panic!("{case}: {error}"));
    let found = store.verify(crate::store::Extent::All, &|_| {}).expect("listed");
    assert!(found.is_empty(), "{case}: {found:?}");
    assert!(store.contains(hash_object(Kind::Blob, OLD)).expect("asked"), "{case}");
    let there: Vec<bool> = BODIES.iter().map(|(id, _)| store.contains(*id).expect("asked")).collect();
    let all = there.iter().all(|is| *is);
    assert!(all || !must_have && there.iter().all(|is| !is), "{case}: {there:?}");
    operation(disk).unwrap_or_else(|error| panic!("{case}: afterwards {error}"));
    for (id, body) in BODIES.iter() {
        let object = self::store(disk).and_then(|store| store.try_find(*id)).expect("read").expect("there");
        assert!(object.data[..] == body[..], "{case}");
    }
    let rubbish = disk.files().into_keys().filter(|path| path.starts_with("/tmp")).count();
    assert!(all || rubbish == 0, "{case}: the next writer removes what was left");
}

#[test]
#[allow(clippy::print_stdout)] // how much was tried belongs in the output
fn killed_or_without_power_at_any_call_the_pack_is_there_whole_or_not_at_all() {
    let (mut points, mut states) = (0, 0);
    for effect in [Effect::Kill, Effect::KillHalfway] {
        for nth in 1.. {
            let disk = disk();
            disk.plan(Fault { which: Which::Changing, nth, forever: false, effect });
            let done = operation(&disk).is_ok();
            let case = format!("{effect:?} at call {nth}");
            check(&disk.after_kill(), done, &case);
            for (n, cut) in disk.after_power_cut(nth, 6).iter().enumerate() {
                check(cut, done, &format!("{case}, power cut {n}"));
                states += 1;
            }
            points += 1;
            if done {
                assert!(!disk.is_killed());
                break;
            }
        }
    }
    println!("{points} points, {states} states after a power cut");
    assert!(points > 10 && states > 50, "{points} {states}");
}

#[test]
fn a_call_that_fails_is_an_error_and_the_next_attempt_does_it() {
    let once = |which, effect| Fault { which, nth: 0, forever: false, effect };
    let all = Failure::ALL.into_iter().map(|failure| once(Which::Changing, Effect::Fail(failure)));
    let more = [
        once(Which::Changing, Effect::FailHalfway(Failure::NoSpace)),
        once(Which::Changing, Effect::Fail(Failure::NoSpace)).forever(),
        once(Which::Reading, Effect::Fail(Failure::Io)),
        once(Which::Reading, Effect::Fail(Failure::TooManyFiles)).forever(),
    ];
    for fault in all.chain(more) {
        for nth in 1.. {
            let disk = disk();
            disk.plan(Fault { nth, ..fault });
            let result = operation(&disk);
            let failed = disk.calls().iter().any(|call| call.failed);
            disk.heal();
            check(&disk.after_kill(), result.is_ok(), &format!("{nth} of {fault:?}"));
            if !failed {
                assert!(result.is_ok());
                break;
            }
        }
    }
}

#[test]
fn after_a_failed_write_the_writer_takes_nothing_more() {
    let disk = disk();
    let mut writer = store(&disk).and_then(|store| store.writer()).expect("a writer");
    disk.plan(Fault {
        which: Which::Only(Act::Write),
        nth: 1,
        forever: false,
        effect: Effect::Fail(Failure::NoSpace),
    });
    assert!(writer.add(Kind::Blob, &noise(1, 2 << 20), None).is_err());
    assert!(matches!(writer.add(Kind::Blob, b"more", None), Err(crate::store::Error::Poisoned)));
    assert!(matches!(writer.publish(), Err(crate::store::Error::Poisoned)));
    check(&disk.after_kill(), false, "poisoned");
}

#[test]
fn a_disk_that_fails_to_read_is_an_error_and_never_a_missing_object() {
    let base = disk();
    operation(&base).expect("published");
    base.settle();
    for failure in [Failure::Io, Failure::TooManyFiles] {
        for nth in 1.. {
            let disk = base.after_kill();
            disk.plan(Fault { which: Which::Reading, nth, forever: true, effect: Effect::Fail(failure) });
            let mut failed = false;
            for (id, body) in BODIES.iter() {
                match store(&disk).and_then(|store| store.try_find(*id)) {
                    Ok(Some(object)) => assert!(object.data[..] == body[..]),
                    Ok(None) => panic!("{failure:?} at {nth}: taken for missing"),
                    Err(_) => failed = true,
                }
            }
            if !failed {
                break;
            }
        }
    }
}

/// A store in which a version rests on one that is to go, in two packs; all of it durable.
fn disk_with_versions() -> (SimDisk, Vec<(ObjectId, Vec<u8>)>) {
    let disk = disk();
    let versions = [noise(1, 20_000), [&noise(1, 20_000)[..], b"one"].concat(), noise(2, 600_000)];
    let versions: Vec<_> = versions.into_iter().map(|body| (hash_object(Kind::Blob, &body), body)).collect();
    let mut base = None;
    for (id, body) in &versions {
        let mut writer = store(&disk).and_then(|store| store.writer()).expect("a writer");
        writer.add(Kind::Blob, body, base).expect("added");
        writer.publish().expect("published");
        base = Some(*id);
    }
    disk.settle();
    (disk, versions)
}

#[test]
fn a_removal_cut_anywhere_keeps_what_stays_and_is_done_by_the_next_one() {
    let remove = |disk: &SimDisk, versions: &[(ObjectId, Vec<u8>)]| {
        let needed = versions[1..].iter().map(|(id, _)| *id).chain([hash_object(Kind::Blob, OLD)]).collect();
        store(disk)?.remove(&[versions[0].0].into(), &needed)
    };
    // A power cut may take back any of several removals: an old copy then misses its base, until it goes too.
    let check = |disk: &SimDisk, versions: &[(ObjectId, Vec<u8>)], done: bool, case: &str| {
        let read_all = |case: &str, is_power_cut: bool| {
            let store = store(disk).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!(
                is_power_cut || store.verify(crate::store::Extent::All, &|_| {}).expect("listed").is_empty(),
                "{case}"
            );
            for (id, body) in &versions[1..] {
                let mut bytes = Vec::new();
                store.read_to(*id, &mut bytes).unwrap_or_else(|error| panic!("{case}: {error}"));
                assert!(bytes == *body, "{case}");
            }
            store.contains(versions[0].0).expect("asked")
        };
        let is_there = read_all(case, !done);
        assert!(!(done && is_there), "{case}: it said that it was done");
        remove(disk, versions).unwrap_or_else(|error| panic!("{case}: afterwards {error}"));
        assert!(!read_all(&format!("{case}, done again"), false));
    };
    let mut points = 0;
    for effect in [Effect::Kill, Effect::Fail(Failure::Io)] {
        for nth in 1.. {
            let (disk, versions) = disk_with_versions();
            disk.plan(Fault { which: Which::Changing, nth, forever: false, effect });
            let done = remove(&disk, &versions).is_ok();
            let is_over = done && !disk.is_killed() && !disk.calls().iter().any(|call| call.failed);
            disk.heal();
            let case = format!("{effect:?} at call {nth}");
            check(&disk.after_kill(), &versions, done, &case);
            if effect == Effect::Kill {
                for (n, cut) in disk.after_power_cut(nth, 6).iter().enumerate() {
                    check(cut, &versions, done, &format!("{case}, power cut {n}"));
                }
            }
            points += 1;
            if is_over {
                break;
            }
        }
    }
    assert!(points > 10, "{points}");
}
