//! The walk and the reading: what counts as changed, and what is left alone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use super::{Place, faults};
use crate::object::{BlobId, Kind, Mode, VaultPath, hash_object};
use crate::worktree::{
    Body, Candidate, Index, LogMark, ReadError, RealLook, ScanInput, SkipReason, Take, Traits,
    hash_candidates, read_candidates, scan,
};

#[test]
fn unchanged_tree_reads_nothing_and_every_kind_of_change_is_told() {
    let mut place = Place::new();
    for path in ["same", "edit", "gone", "mode", "dir/a", "dir/b", "to-folder", "to-link"] {
        place.write(path, path);
    }
    place.link("same", "link");
    place.commit();
    assert!(scan(place.input()).expect("walks").is_clean());
    place.write("edit", "other");
    std::fs::remove_file(place.at("gone")).expect("removes");
    place.set_mode("mode", 0o755);
    std::fs::remove_dir_all(place.at("dir")).expect("removes");
    place.write("dir", "now a file");
    std::fs::remove_file(place.at("to-folder")).expect("removes");
    place.write("to-folder/x", "x");
    std::fs::remove_file(place.at("to-link")).expect("removes");
    place.link("same", "to-link");
    std::fs::remove_file(place.at("link")).expect("removes");
    place.link("elsewhere", "link");
    place.write("new", "new");
    let expected = [
        "A dir",
        "D dir/a",
        "D dir/b",
        "M edit",
        "D gone",
        "M link",
        "M mode",
        "A new",
        "D to-folder",
        "A to-folder/x",
        "M to-link",
    ];
    assert_eq!(place.told(), expected);
    let tree = place.commit();
    let listed = Index::from_tree(&place.objects, tree).expect("lists");
    let plain = |index: &Index| -> Vec<_> { index.iter().map(|(p, e)| (p.to_vec(), e.mode, e.id)).collect() };
    assert_eq!(plain(&place.index), plain(&listed));
    assert!(place.told().is_empty());
}

#[test]
fn edit_in_the_same_tick_with_the_same_size_is_seen() {
    let mut place = Place::new();
    place.write("racy", "one");
    // No wait here, as in `commit`: the file is as young as the walk.
    for round in 0..200 {
        let local = place.changes();
        let updates = local.changes.iter().map(|c| (c.path.clone(), c.index_entry())).collect();
        place.index = Index::empty().updated(place.index.tree(), LogMark::default(), updates);
        let text = if round % 2 == 0 { "two" } else { "one" };
        std::fs::write(place.at("racy"), text).expect("writes");
        assert_eq!(place.told(), ["M racy"], "round {round}");
    }
}

#[test]
fn edit_whose_mtime_was_put_back_is_seen() {
    let mut place = Place::new();
    place.write("a", "one");
    place.commit();
    let file = std::fs::File::options().write(true).open(place.at("a")).expect("opens");
    let time = file.metadata().expect("has").modified().expect("has");
    place.write("a", "two");
    file.set_modified(time).expect("sets the time");
    assert_eq!(place.told(), ["M a"]);
}

#[test]
fn touched_file_is_read_once_and_then_known() {
    let mut place = Place::new();
    place.write("a", "one");
    place.commit();
    place.write("a", "one");
    place.wait_for_a_tick();
    let local = place.changes();
    assert!(local.changes.is_empty());
    assert_eq!(local.refreshed.len(), 1);
    place.index = place.index.updated(place.index.tree(), LogMark::default(), local.refreshed);
    assert!(scan(place.input()).expect("walks").is_clean());
}

#[test]
fn special_files_are_left_alone_without_waiting_for_them() {
    let mut place = Place::new();
    place.write("was-file", "x");
    place.commit();
    std::fs::remove_file(place.at("was-file")).expect("removes");
    for name in ["fifo", "was-file"] {
        assert!(Command::new("mkfifo").arg(place.at(name)).status().expect("mkfifo runs").success());
    }
    let _socket = std::os::unix::net::UnixListener::bind(place.at("socket")).expect("binds");
    let local = place.changes();
    assert!(local.changes.is_empty(), "{:?}", local.changes);
    let told: Vec<_> = local.skipped.iter().map(|s| (s.path.as_slice(), s.reason)).collect();
    let special = SkipReason::Special;
    assert_eq!(told, [(&b"fifo"[..], special), (b"socket", special), (b"was-file", special)]);
}

#[test]
fn file_that_turned_into_a_fifo_or_link_after_the_walk_is_not_followed() {
    let place = Place::new();
    place.write("a", "x");
    place.write("b", "x");
    place.write("c", "x");
    let found = scan(place.input()).expect("walks");
    for name in ["a", "b", "c"] {
        std::fs::remove_file(place.at(name)).expect("removes");
    }
    assert!(Command::new("mkfifo").arg(place.at("a")).status().expect("mkfifo runs").success());
    place.link("/etc/passwd", "b");
    let local = hash_candidates(&place.root, &found, None);
    assert!(local.changes.is_empty(), "{:?}", local.changes);
    assert_eq!(local.skipped.len(), 2);
}

#[test]
fn links_are_kept_as_links_whatever_they_point_to() {
    let mut place = Place::new();
    place.write("dir/a", "x");
    for (target, name) in
        [("loop", "loop"), ("nowhere", "dangling"), ("..", "up"), ("/etc", "out"), ("dir", "to-dir")]
    {
        place.link(target, name);
    }
    place.commit();
    let modes: Vec<_> = place.index.iter().map(|(p, e)| (p.to_vec(), e.mode)).collect();
    assert_eq!(modes.len(), 6);
    assert_eq!(modes.iter().filter(|(_, mode)| *mode == Mode::Symlink).count(), 5);
    assert!(place.told().is_empty());
}

#[test]
fn unreadable_things_keep_their_place_and_are_told() {
    if rustix::process::geteuid().is_root() {
        // Root reads everything; a name in the way of a folder is the nearest that it cannot.
        return unreadable_by_a_disk_that_fails();
    }
    let mut place = Place::new();
    place.write("file", "x");
    place.write("dir/a", "x");
    place.commit();
    place.write("file", "yy");
    place.set_mode("file", 0);
    place.set_mode("dir", 0);
    let local = place.changes();
    place.set_mode("dir", 0o755);
    assert!(local.changes.is_empty(), "{:?}", local.changes);
    assert_eq!(local.skipped.len(), 2);
}

/// The same by a disk that refuses, for root.
fn unreadable_by_a_disk_that_fails() {
    let mut place = Place::new();
    place.write("file", "x");
    place.write("dir/a", "x");
    place.commit();
    place.write("file", "yy");
    let root = faults::refusing(&place.root, &["file", "dir"]);
    let found = scan(ScanInput { root: &root, ..place.input() }).expect("walks");
    let local = hash_candidates(&root, &found, None);
    assert!(local.changes.is_empty(), "{:?}", local.changes);
    let told: Vec<_> = local.skipped.iter().map(|s| (s.path.as_slice(), s.reason)).collect();
    assert_eq!(told, [(&b"dir"[..], SkipReason::Unreadable), (b"file", SkipReason::Unreadable)]);
}

#[test]
fn names_that_are_not_text_are_kept() {
    let mut place = Place::new();
    let names: [&[u8]; 4] = [b"\xff\xfe", b"new\nline", b"-rf", b"\xe2\x80\xae"];
    for name in names {
        std::fs::write(place.path().join(OsStr::from_bytes(name)), "x").expect("writes");
    }
    let long = "n".repeat(255);
    place.write(&long, "x");
    let local = place.changes();
    assert_eq!(local.changes.len(), 5);
    for name in names {
        assert!(local.find(&VaultPath::parse(name).expect("valid")).is_some(), "{name:?}");
    }
    place.index = place.index.updated(
        place.index.tree(),
        LogMark::default(),
        local.changes.iter().map(|c| (c.path.clone(), c.index_entry())).collect(),
    );
    assert!(place.told().is_empty());
}

#[test]
fn folders_of_vaults_and_repositories_are_never_entered() {
    let place = Place::new();
    for path in
        [".mvault/x", ".git/config", "nested/.mvault/format", "nested/.GIT/HEAD", "nested/a", ".gitignore"]
    {
        place.write(path, "x");
    }
    let found = scan(place.input()).expect("walks");
    let paths: Vec<_> = found.candidates.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, [".gitignore", "nested/a"]);
    assert_eq!(found.skipped.len(), 2);
}

#[test]
fn deepest_folders_are_walked_with_few_handles_and_too_deep_ones_are_told() {
    let mut place = Place::new();
    let mut dir = place.root.clone();
    for level in 0..2100 {
        dir.create_dir("d").expect("makes a folder");
        dir = dir.open_dir("d").expect("opens");
        if level % 100 == 0 {
            dir.create_new("f", 0o644).expect("makes a file");
        }
    }
    let found = scan(place.input()).expect("walks");
    assert_eq!(found.candidates.len(), 21);
    assert_eq!(found.skipped.len(), 1);
    assert_eq!(found.skipped[0].reason, SkipReason::TooLong);
    let local = place.changes();
    assert_eq!(local.changes.len(), 21);
    let entries = local.changes.iter().map(|c| (c.path.clone(), c.index_entry())).collect();
    place.index = place.index.updated(place.index.tree(), LogMark::default(), entries);
    assert!(place.told().is_empty());
    // What is this deep cannot be removed by its path: take it apart from above.
    assert!(Command::new("rm").arg("-rf").arg(place.at("d")).status().expect("rm runs").success());
}

#[test]
fn asked_paths_alone_are_looked_at() {
    let mut place = Place::new();
    for path in ["a/x", "a/y", "ab", "b/c/d", "b/e"] {
        place.write(path, "1");
    }
    place.commit();
    for path in ["a/x", "a/y", "ab", "b/c/d", "b/e", "b/new", "a-new"] {
        place.write(path, "2");
    }
    std::fs::remove_file(place.at("a/y")).expect("removes");
    let paths: Vec<_> = ["a", "b/c/d"].iter().map(|p| VaultPath::parse(*p).expect("valid")).collect();
    let found = scan(ScanInput { paths: &paths, ..place.input() }).expect("walks");
    let told: Vec<_> = found.candidates.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(told, ["a/x", "b/c/d"]);
    assert_eq!(found.missing.len(), 1);
}

#[test]
fn absent_names_are_not_missing() {
    let mut place = Place::new();
    place.write("a", "1");
    place.write("b", "1");
    place.commit();
    let b = VaultPath::parse("b").expect("valid");
    let entry = place.index.find(b"b").map(|e| crate::worktree::IndexEntry { absent_here: true, ..e });
    place.index = place.index.updated(place.index.tree(), LogMark::default(), vec![(b, entry)]);
    std::fs::remove_file(place.at("b")).expect("removes");
    assert!(place.told().is_empty());
    place.write("b", "2");
    assert_eq!(place.told(), ["M b"], "one that came nevertheless counts");
}

/// The index is a cache: without it, too, what cannot exist here is not deleted.
#[test]
fn absent_names_are_found_again_when_the_index_is_lost() {
    let mut place = Place::new();
    let tree = place.tree(&[("Dir/a", "1"), ("README", "1"), ("dir/b", "2"), ("gone", "1"), ("readme", "2")]);
    place.write("Dir/a", "1");
    place.write("README", "1");
    place.index = Index::from_tree(&place.objects, tree).expect("lists");
    let traits = Traits { folds_case: true, ..Traits::default() };
    let found = scan(ScanInput { traits, ..place.input() }).expect("walks");
    let missing: Vec<_> = found.missing.iter().map(|m| m.path.to_string()).collect();
    assert_eq!(missing, ["gone"]);
    std::fs::rename(place.at("README"), place.at("readme")).expect("renames");
    let found = scan(ScanInput { traits, ..place.input() }).expect("walks");
    let missing: Vec<_> = found.missing.iter().map(|m| m.path.to_string()).collect();
    assert_eq!(missing, ["gone"], "one of the two names is there, whichever it is");
}

#[test]
fn names_that_the_disk_refuses_are_marked_when_the_index_is_made_anew() {
    let mut place = Place::new();
    let tree = place.tree(&[("a:b/c", "1"), ("nul?", "1"), ("plain", "1")]);
    let scratch = faults::refusing_to_make(&place.dot, &["a:b", "nul?"]);
    let mut look = RealLook::new(&place.root, &scratch);
    place.index = Index::from_tree(&place.objects, tree)
        .expect("lists")
        .mark_impossible(&place.objects, &mut look)
        .expect("tries");
    assert_eq!(place.told(), ["D plain"]);
}

#[test]
fn without_an_executable_bit_the_trees_mode_stays() {
    let mut place = Place::new();
    place.write("run", "x");
    place.set_mode("run", 0o755);
    place.commit();
    place.set_mode("run", 0o644);
    let traits = Traits { executable_bit: false, ..Traits::default() };
    let found = scan(ScanInput { traits, ..place.input() }).expect("walks");
    assert!(hash_candidates(&place.root, &found, None).changes.is_empty());
    assert_eq!(place.told(), ["M run"]);
}

#[test]
fn file_that_grows_under_the_reader_is_refused_and_one_that_rests_is_read() {
    let place = Place::new();
    place.write("a", &"x".repeat(100));
    place.write("b", "rests");
    let found = scan(place.input()).expect("walks");
    let at = place.at("a");
    let content = |_: &Candidate, body: Body<'_>| match body {
        Body::Whole(bytes) => bytes.len(),
        Body::Large(size, reader) => {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).expect("reads");
            assert_eq!(bytes.len() as u64, size);
            append(&at, "more");
            bytes.len()
        }
    };
    let take = Take { whole_bytes_max: 10, content: &content, blob: &|_| None };
    let read = read_candidates(&place.root, &found.candidates, &take);
    assert!(matches!(read[0], Err(ReadError::ChangedWhileRead)), "{:?}", read[0]);
    assert!(matches!(read[1], Ok((5, _))), "{:?}", read[1]);
}

fn append(path: &std::path::Path, text: &str) {
    use std::io::Write;
    let mut file = std::fs::File::options().append(true).open(path).expect("opens");
    file.write_all(text.as_bytes()).expect("writes");
}

/// Reads a file of lines beside a writer, who comes in between with `write`. Returns what was taken.
fn read_beside(text: &str, write: &(dyn Fn(&std::path::Path) + Sync)) -> Result<(String, bool), ReadError> {
    let place = Place::new();
    place.write("a.jsonl", text);
    let mut found = scan(place.input()).expect("walks");
    found.mark_growing(|_| true, |_| None);
    let at = place.at("a.jsonl");
    let content = |_: &Candidate, body: Body<'_>| {
        let Body::Large(size, reader) = body else { unreachable!("it is above the limit") };
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("reads");
        assert_eq!(bytes.len() as u64, size);
        write(&at);
        String::from_utf8(bytes).expect("text")
    };
    let blob = |text: &String| Some(BlobId::new(hash_object(Kind::Blob, text.as_bytes())));
    let take = Take { whole_bytes_max: 4, content: &content, blob: &blob };
    let mut read = read_candidates(&place.root, &found.candidates, &take);
    read.remove(0).map(|(text, stat)| (text, stat.is_some()))
}

/// A transcript of 20 MB that was being written was refused as changed while it was read, commit after commit.
#[test]
fn a_growing_file_is_its_whole_lines_of_the_first_look() {
    let grown = read_beside("one\ntwo\n", &|at| append(at, "three\nfo"));
    assert_eq!(grown.expect("is read"), ("one\ntwo\n".into(), true));
    // Half of a line is left to its writer, and the rest can be told from what is on disk.
    let half = read_beside("one\ntwo\nth", &|at| append(at, "r"));
    assert_eq!(half.expect("is read"), ("one\ntwo\n".into(), false));
    assert!(matches!(read_beside("one and no end", &|at| append(at, "r")), Err(ReadError::NoNewLine)));
    // At rest it is what it is.
    assert_eq!(read_beside("one\nhalf", &|_| {}).expect("is read"), ("one\nhalf".into(), true));
}

#[test]
fn a_growing_file_that_is_cut_or_rewritten_under_the_reader_is_refused() {
    let rewritten = read_beside("one\ntwo\n", &|at| {
        let longer = std::fs::read_to_string(at).expect("text").replace(|_: char| true, "xx");
        std::fs::write(at, format!("{longer}\n")).expect("writes");
    });
    assert!(matches!(rewritten, Err(ReadError::ChangedWhileRead)), "{rewritten:?}");
    let cut = read_beside("one\ntwo\nthree\nfour\n", &|at| {
        let size = std::fs::metadata(at).expect("is there").len();
        std::fs::File::options().write(true).open(at).expect("opens").set_len(size - 3).expect("cuts");
    });
    assert!(matches!(cut, Err(ReadError::ChangedWhileRead)), "{cut:?}");
}

#[test]
fn one_change_under_the_reader_is_read_again() {
    let place = Place::new();
    place.write("a", &"x".repeat(100));
    let found = scan(place.input()).expect("walks");
    let (at, calls) = (place.at("a"), std::sync::atomic::AtomicU32::new(0));
    let content = |_: &Candidate, body: Body<'_>| {
        let Body::Large(size, reader) = body else { unreachable!("it is above the limit") };
        std::io::copy(reader, &mut std::io::sink()).expect("reads");
        if calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            std::fs::write(&at, "y".repeat(120)).expect("writes");
        }
        size
    };
    let take = Take { whole_bytes_max: 10, content: &content, blob: &|_| None };
    let read = read_candidates(&place.root, &found.candidates, &take);
    assert!(matches!(read[0], Ok((120, _))), "{:?}", read[0]);
}

#[test]
fn renames_pair_equal_content_by_name_first() {
    let mut place = Place::new();
    place.write("a/one", "same");
    place.write("b/two", "same");
    place.write("lonely", "other");
    place.commit();
    std::fs::remove_dir_all(place.at("a")).expect("removes");
    std::fs::remove_dir_all(place.at("b")).expect("removes");
    std::fs::remove_file(place.at("lonely")).expect("removes");
    place.write("c/two", "same");
    place.write("d", "same");
    let pairs = place.changes().renames();
    let told: Vec<_> = pairs.iter().map(|(a, b)| format!("{a} -> {b}")).collect();
    assert_eq!(told, ["a/one -> d", "b/two -> c/two"]);
}

#[test]
fn folder_with_more_files_than_a_job_is_walked_whole() {
    let mut place = Place::new();
    for n in 0..1700 {
        place.write(&format!("many/{n}"), "x");
    }
    place.commit();
    let found = scan(place.input()).expect("walks");
    assert!(found.is_clean());
    assert_eq!(found.examined, 1700);
    std::fs::remove_file(place.at("many/1000")).expect("removes");
    place.write("many/0", "y");
    assert_eq!(place.told(), ["M many/0", "D many/1000"]);
}

#[test]
fn folder_whose_stamp_stayed_is_not_listed_and_every_change_in_it_is_seen() {
    let mut place = Place::new();
    for path in ["a/x", "a/y", "a/deep/z", "b/w", "b/ignored", "top"] {
        place.write(path, "1");
    }
    place.write("a/.mvaultignore", "*.tmp\n");
    place.write("b/.mvaultignore", "ignored\n");
    place.commit();
    // What is known is not listed, and `b` holds more than the tree.
    assert_eq!(scan(place.input()).expect("walks").folders, []);
    let fresh = Index::from_tree(&place.objects, place.index.tree()).expect("lists");
    assert_eq!(scan(ScanInput { index: &fresh, ..place.input() }).expect("walks").folders.len(), 3);
    place.write("a/x", "2");
    assert_eq!(place.told(), ["M a/x"]);
    place.write("a/deep/new", "1");
    assert_eq!(place.told(), ["A a/deep/new", "M a/x"]);
    std::fs::remove_file(place.at("a/y")).expect("removes");
    place.write("a/new.tmp", "1");
    assert_eq!(place.told(), ["A a/deep/new", "M a/x", "D a/y"]);
    place.write("new/deep", "1");
    assert_eq!(place.told(), ["A a/deep/new", "M a/x", "D a/y", "A new/deep"]);
    std::fs::remove_dir_all(place.at("a/deep")).expect("removes");
    place.write("a/deep", "now a file");
    assert_eq!(place.told(), ["A a/deep", "D a/deep/z", "M a/x", "D a/y", "A new/deep"]);
    place.commit();
    assert!(place.told().is_empty());
}

#[test]
fn rules_of_a_folder_that_is_not_listed_hold_in_those_below() {
    let mut place = Place::new();
    place.write("a/.mvaultignore", "*.tmp\nskip/\n");
    place.write("a/x", "1");
    place.write("a/deep/z", "1");
    place.commit();
    place.write("a/deep/new.tmp", "1");
    place.write("a/deep/skip/new", "1");
    assert!(place.told().is_empty());
    place.write("a/deep/new", "1");
    assert_eq!(place.told(), ["A a/deep/new"]);
}

#[test]
fn file_made_in_the_tick_in_which_its_folder_was_learned_is_seen() {
    let mut place = Place::new();
    for round in 0..100 {
        place.write(&format!("dir/{round}"), "1");
        let local = place.changes();
        let updates = local.changes.iter().map(|c| (c.path.clone(), c.index_entry())).collect();
        place.index = place.index.updated(place.index.tree(), LogMark::default(), updates);
        place.learn();
        place.write(&format!("dir/{round}-new"), "1");
        assert_eq!(place.told(), [format!("A dir/{round}-new")]);
        std::fs::remove_file(place.at(&format!("dir/{round}-new"))).expect("removes");
    }
}

#[test]
fn file_that_leaves_the_tree_and_stays_on_disk_is_new_again() {
    let mut place = Place::new();
    place.write("a/b/c", "1");
    place.write("a/d", "1");
    place.commit();
    let removed = vec![(VaultPath::parse("a/b/c").expect("valid"), None)];
    place.index = place.index.updated(place.index.tree(), LogMark::default(), removed);
    assert_eq!(place.told(), ["A a/b/c"]);
}

/// Random edits between commits: the walk that skips what it knows finds what one without any index does.
#[test]
fn remembered_folders_never_hide_a_change() {
    let mut state = 7u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut place = Place::new();
    place.write(".mvaultignore", "*9\n");
    for round in 0..150 {
        let name = format!("d{}/e{}/{}", random(3), random(3), random(10));
        match random(4) {
            0 => drop(std::fs::remove_file(place.at(&name))),
            1 => drop(std::fs::remove_dir_all(place.at(&name[..2]))),
            _ => place.write(&name, &format!("{}", random(3))),
        }
        let told = place.told();
        let tree = place.index.tree();
        let kept =
            std::mem::replace(&mut place.index, Index::from_tree(&place.objects, tree).expect("lists"));
        assert_eq!(told, place.told(), "round {round}");
        place.index = kept;
        if random(3) == 0 {
            place.commit();
        }
    }
}
