//! The model itself: what it forgets, keeps and refuses; and replace_file under it.

use std::ffi::OsStr;

use super::*;
use crate::fs::replace_file;

fn root(disk: &SimDisk) -> Dir {
    disk.open_dir(Path::new("/")).expect("the root opens")
}

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    disk.files().remove(Path::new(name))
}

fn write(dir: &Dir, name: &str, bytes: &[u8]) -> crate::fs::File {
    let file = dir.create_new(name, 0o644).expect("a new file");
    file.write_at(bytes, 0).expect("a write");
    file
}

/// All different contents of `name` that power cuts may leave; `None` where the name is gone.
fn outcomes(disk: &SimDisk, name: &str) -> std::collections::BTreeSet<Option<Vec<u8>>> {
    disk.after_power_cut(1, 40).iter().map(|disk| content(disk, name)).collect()
}

#[test]
fn nothing_unsynced_is_sure_to_survive() {
    let disk = SimDisk::new();
    write(&root(&disk), "a", b"abcdefgh");
    let found = outcomes(&disk, "/a");
    let expected = [
        None,
        Some(b"".to_vec()),
        Some(b"abcdefgh".to_vec()),
        Some(b"abcd".to_vec()),
        Some(vec![0; 8]),
        Some(b"abcd\0\0\0\0".to_vec()),
        Some(b"\0\0\0\0efgh".to_vec()),
    ];
    for one in expected {
        assert!(found.contains(&one), "{one:?} was never left");
    }
}

#[test]
fn a_synced_file_still_lacks_its_name_until_the_folder_is_synced() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    write(&dir, "a", b"abc").sync().expect("a sync");
    assert_eq!(outcomes(&disk, "/a"), [None, Some(b"abc".to_vec())].into());
    dir.sync().expect("a sync");
    assert_eq!(outcomes(&disk, "/a"), [Some(b"abc".to_vec())].into());
}

#[test]
fn a_new_folder_needs_its_parent_synced() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    dir.create_dir("d").expect("a folder");
    let inner = dir.open_dir("d").expect("it opens");
    write(&inner, "a", b"abc").sync().expect("a sync");
    inner.sync().expect("a sync");
    assert_eq!(outcomes(&disk, "/d/a"), [None, Some(b"abc".to_vec())].into());
    dir.sync().expect("a sync");
    assert_eq!(outcomes(&disk, "/d/a"), [Some(b"abc".to_vec())].into());
}

#[test]
fn a_sync_after_a_failed_one_makes_nothing_of_the_lost_writes_durable() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    let file = write(&dir, "a", b"");
    file.sync().expect("a sync");
    dir.sync().expect("a sync");
    file.write_at(b"lost", 0).expect("a write");
    disk.plan(Fault::fail(1, Failure::Io));
    assert!(file.sync().is_err());
    file.sync().expect("a second sync says that all is well");
    assert!(outcomes(&disk, "/a").contains(&Some(vec![0; 4])), "the length is durable, the bytes are not");
    file.write_at(b"kept", 0).expect("a write");
    file.sync().expect("a sync");
    assert_eq!(outcomes(&disk, "/a"), [Some(b"kept".to_vec())].into());
}

#[test]
fn overwritten_bytes_are_old_or_new_and_never_zeros() {
    let disk = SimDisk::new();
    let file = write(&root(&disk), "a", b"oldold");
    disk.settle();
    file.write_at(b"newnew", 0).expect("a write");
    for found in outcomes(&disk, "/a") {
        let found = found.expect("the name is durable");
        let mixed = found.iter().zip(b"oldold".iter().zip(b"newnew"));
        assert!(mixed.into_iter().all(|(byte, (old, new))| byte == old || byte == new), "{found:?}");
    }
}

#[test]
fn a_rename_between_folders_never_leaves_neither_name() {
    for synced in ["", "from", "to"] {
        let disk = SimDisk::new();
        let top = root(&disk);
        let from = top.open_or_create_dir("from").expect("a folder");
        let to = top.open_or_create_dir("to").expect("a folder");
        write(&from, "a", b"abc");
        disk.settle();
        from.rename("a", &to, "b").expect("a rename");
        match synced {
            "from" => from.sync().expect("a sync"),
            "to" => to.sync().expect("a sync"),
            _ => {}
        }
        for disk in disk.after_power_cut(1, 20) {
            let (old, new) = (content(&disk, "/from/a"), content(&disk, "/to/b"));
            assert!(old.is_some() || new.is_some(), "lost with {synced:?} synced");
            assert!(synced != "from" || (old.is_none() && new.is_some()));
            assert!(synced != "to" || new.is_some());
        }
    }
}

#[test]
fn a_killed_process_leaves_what_it_wrote_and_writes_no_more() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    let file = write(&dir, "a", b"ab");
    disk.plan(Fault { which: Which::Only(Act::Write), nth: 2, forever: false, effect: Effect::KillHalfway });
    file.write_at(b"cd", 2).expect("the first write passes");
    assert!(file.write_at(b"efgh", 4).is_err());
    assert!(disk.is_killed());
    assert!(dir.remove_file("a").is_err());
    let next = disk.after_kill();
    assert_eq!(content(&next, "/a"), Some(b"abcdef".to_vec()));
    assert!(root(&next).remove_file("a").is_ok());
}

#[test]
fn faults_hit_the_call_they_name_once_or_from_then_on() {
    for forever in [false, true] {
        let disk = SimDisk::new();
        let dir = root(&disk);
        let which = Which::Only(Act::CreateDir);
        disk.plan(Fault { which, nth: 2, forever, effect: Effect::Fail(Failure::NoSpace) });
        let made = ["a", "b", "c"].map(|name| dir.create_dir(name).is_ok());
        assert_eq!(made, [true, false, !forever]);
        let failed: Vec<bool> = disk.changing_calls().iter().map(|call| call.failed).collect();
        assert_eq!(failed, [false, true, forever]);
    }
}

#[test]
fn locks_die_with_their_handle_and_with_the_process() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    let first = write(&dir, "lock", b"");
    let second = dir.open_write("lock").expect("it opens");
    assert!(first.try_lock(LockKind::Exclusive).expect("a lock"));
    assert!(!second.try_lock(LockKind::Shared).expect("an answer"));
    let next = disk.after_kill();
    let other = root(&next).open_write("lock").expect("it opens");
    assert!(other.try_lock(LockKind::Exclusive).expect("a lock"));
    drop(first);
    assert!(second.try_lock(LockKind::Exclusive).expect("a lock"));
}

#[test]
fn paths_lead_through_links_and_names_do_not() {
    let disk = SimDisk::new();
    let top = root(&disk);
    let home = disk.create_dir_all(Path::new("/home/me")).expect("folders");
    top.symlink(b"home", "h").expect("a link");
    home.symlink(b"../..", "up").expect("a link");
    write(&home, "a", b"x");
    assert_eq!(disk.canonicalize(Path::new("/h/me/a")).expect("found"), Path::new("/home/me/a"));
    assert_eq!(disk.canonicalize(Path::new("/h/me/up/h")).expect("found"), Path::new("/home"));
    assert!(disk.open_dir(Path::new("/h/me/up/home")).is_ok());
    assert!(top.open_dir("h").is_err());
    top.symlink(b"loop", "loop").expect("a link");
    assert!(disk.open_dir(Path::new("/loop")).is_err());
    for name in ["", ".", "..", "a/b"] {
        assert!(top.stat(OsStr::new(name)).is_err(), "{name:?} is no name");
    }
}

/// Runs `replace_file` on a disk where "f" holds `old`, with one fault.
fn replace(fault: Option<Fault>) -> (SimDisk, bool) {
    let disk = SimDisk::new();
    write(&root(&disk), "f", b"old content");
    disk.settle();
    fault.into_iter().for_each(|fault| disk.plan(fault));
    let done = replace_file(&root(&disk), "f", b"new content, longer", 0o644).is_ok();
    (disk, done)
}

fn assert_old_or_new(disk: &SimDisk, done: bool, story: &str) {
    let found = content(disk, "/f").expect("the file is never gone");
    let new = found == b"new content, longer";
    assert!(new || found == b"old content", "{story}: torn {found:?}");
    assert!(new || !done, "{story}: acknowledged and lost");
}

#[test]
fn replace_file_cut_anywhere_leaves_the_old_or_the_new_file() {
    let calls = replace(None).0.changing_calls().len() as u64;
    assert_eq!(calls, 5, "create, write, sync, rename, sync");
    let mut states = 0;
    for nth in 1..=calls + 1 {
        for effect in [Effect::Kill, Effect::KillHalfway] {
            let (disk, done) = replace(Some(Fault { effect, ..Fault::kill(nth) }));
            assert_eq!(done, nth > calls);
            for next in std::iter::once(disk.after_kill()).chain(disk.after_power_cut(nth, 30)) {
                assert_old_or_new(&next, done, &format!("cut at {nth}"));
                // The next one finds the way free, whatever lies about.
                assert!(replace_file(&root(&next), "f", b"third", 0o644).is_ok());
                let third: Vec<_> = next.after_power_cut(nth, 5).iter().map(|d| content(d, "/f")).collect();
                assert!(third.iter().all(|c| c.as_deref() == Some(b"third")));
                states += 1;
            }
        }
    }
    assert!(states > 20, "{states} states");
}

#[test]
fn replace_file_that_fails_says_so_and_leaves_the_old_or_the_new_file() {
    for nth in 1..=5 {
        for failure in Failure::ALL {
            for forever in [false, true] {
                for halfway in [false, true] {
                    let effect = if halfway { Effect::FailHalfway(failure) } else { Effect::Fail(failure) };
                    let fault = Fault { forever, effect, ..Fault::fail(nth, failure) };
                    let (disk, done) = replace(Some(fault));
                    let story = format!("call {nth} failed by {failure:?}");
                    assert!(!done, "{story}, and it was called done");
                    assert_old_or_new(&disk, done, &story);
                    for next in disk.after_power_cut(nth, 10) {
                        assert_old_or_new(&next, done, &story);
                    }
                }
            }
        }
    }
}
