//! The hostile catalogue of working trees, by number, through the program: it ends by itself, says what it
//! left out, and takes everything else.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::{committed, reasons, remove, vault};
use crate::support::{MVAULT, Outcome, Place, Run};

/// `mvault ARGS…` that is ended after so many seconds: then its code is 124.
fn bounded(place: &Place, seconds: u32, args: &[&str]) -> Run {
    let seconds = seconds.to_string();
    place.program("timeout", [&*seconds, MVAULT].iter().chain(args))
}

#[track_caller]
fn assert_ended(outcome: &Outcome, codes: &[i32]) {
    let is_one = outcome.code.is_some_and(|code| codes.contains(&code));
    assert!(is_one && !outcome.stderr().contains("panicked"), "{}", outcome.describe());
}

/// Every command that looks at the tree ends in time and does not panic.
#[track_caller]
fn assert_readers_end(place: &Place) {
    for args in [&["status"][..], &["status", "--json"], &["diff", "--stat"], &["verify"]] {
        assert_ended(&bounded(place, 20, args).run(), &[0]);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs mvault without the right to read everything, also as root.
fn as_anybody(place: &Place, args: &[&str]) -> Run {
    if !is_root() {
        return place.mvault(args);
    }
    let less = "--bounding-set=-dac_override,-dac_read_search";
    place.program("setpriv", [less, MVAULT].iter().chain(args))
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
}

#[test]
fn wrk_01_fifos_sockets_and_devices() {
    let place = vault();
    place.program("mkfifo", ["pipe"]).ok();
    let _socket = std::os::unix::net::UnixListener::bind(place.work().join("socket")).expect("a socket");
    let mut expected = vec!["special-file pipe", "special-file socket"];
    if is_root() && place.program("mknod", ["zero", "c", "1", "5"]).run().code == Some(0) {
        expected.push("special-file zero");
    }
    place.write("new.md", "x\n");
    let told = bounded(&place, 20, &["commit", "--json"]).code(0).json();
    assert_eq!(reasons(&told, "passed_over"), expected);
    assert!(committed(&place, "new.md").is_some());
    assert_readers_end(&place);
}

#[test]
fn wrk_01_a_file_of_the_vault_that_became_a_fifo_stays_in_the_head() {
    let place = vault();
    remove(&place, "continuity.md");
    remove(&place, "notes/a.md");
    place.program("mkfifo", ["continuity.md", "notes/a.md"]).ok();
    let outcome = bounded(&place, 20, &["commit"]).run();
    assert_ended(&outcome, &[0, 3]);
    assert!(committed(&place, "continuity.md").is_some() && committed(&place, "notes/a.md").is_some());
    assert_readers_end(&place);
}

#[test]
fn wrk_02_links_in_a_loop_to_nowhere_upwards_and_out() {
    let place = vault();
    for (target, path) in
        [("loop-b", "loop-a"), ("loop-a", "loop-b"), ("self", "self"), ("nowhere", "dangling"), (".", "here")]
    {
        symlink(target, place.work().join(path)).expect("a link");
    }
    symlink("..", place.work().join("notes/up")).expect("a link");
    symlink("..", place.work().join("out")).expect("a link");
    symlink("/dev/zero", place.work().join("endless")).expect("a link");
    let told = bounded(&place, 20, &["commit", "--json"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["link-outside endless", "link-outside out"]);
    for path in ["loop-a", "self", "dangling", "here", "notes/up"] {
        assert!(committed(&place, path).is_some(), "{path}");
    }
    assert_readers_end(&place);
}

#[test]
fn wrk_03_names_that_are_not_utf8_have_line_breaks_or_255_bytes() {
    let place = vault();
    let long = "n".repeat(255);
    let names: [&[u8]; 4] = [b"not\xffutf8", b"line\nbreak", b"tab\tbell\x07esc\x1b[2J", long.as_bytes()];
    for name in names {
        place.write(OsStr::from_bytes(name), "x\n");
        place.write(Path::new("notes").join(OsStr::from_bytes(name)), "x\n");
    }
    let outcome = bounded(&place, 20, &["commit"]).code(0);
    assert!(!outcome.stdout.contains(&0x1b) && !outcome.stderr.contains(&0x1b), "{}", outcome.describe());
    for name in names.map(OsStr::from_bytes) {
        std::fs::remove_file(place.work().join(name)).expect("it is there");
        place.mvault(["checkout", "HEAD", "--"].map(OsStr::new).iter().chain(&[name])).ok();
        assert_eq!(place.read(name), b"x\n");
    }
    // Refused, such a name is told by its bytes as well, and its content is found again.
    let name = OsStr::from_bytes(b"key\xff\n.md");
    place.write(name, format!("{}\n", super::secret()));
    let outcome = place.mvault(["commit"]).code(3);
    assert_eq!(outcome.stderr().lines().count(), 3, "{}", outcome.describe());
    let line = &place.mvault(["rejections"]).json_lines()[0];
    assert_eq!(line["path_bytes"], "a2V5/woubWQ=", "{line}");
    let id = line["sha256"].as_str().expect("a hash").to_owned();
    std::fs::remove_file(place.work().join(name)).expect("it is there");
    place.mvault(["quarantine", "restore", &id]).ok();
    assert!(place.work().join(name).exists());
    assert_readers_end(&place);
}

#[test]
fn wrk_04_names_that_differ_only_in_form() {
    let place = vault();
    place.write("Plan.md", "one\n");
    place.write("Zo\u{eb}.md", "composed\n");
    place.mvault(["commit"]).ok();
    place.write("plan.md", "two\n");
    place.write("Zoe\u{308}.md", "decomposed\n");
    let told = bounded(&place, 20, &["commit", "--json"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["name-collides Zoe\u{308}.md", "name-collides plan.md"]);
    assert_eq!(committed(&place, "Plan.md").as_deref(), Some(&b"one\n"[..]));
}

#[test]
fn wrk_05_a_depth_of_3000_folders() {
    let place = vault();
    let script = "mkdir -p deep; cd deep; i=0; while [ $i -lt 3000 ]; do mkdir $0; cd -P $0; i=$((i+1)); done; echo x > leaf";
    place.program("sh", ["-c", script, &"d".repeat(100)]).ok();
    place.write("beside.md", "x\n");
    let outcome = bounded(&place, 60, &["commit", "--json"]).run();
    let told = outcome.json();
    assert_ended(&outcome, &[3]);
    let rejected = told["rejected"].as_array().expect("a list");
    assert!(rejected.len() == 1 && rejected[0]["reason"] == "name-too-long", "{told}");
    assert!(committed(&place, "beside.md").is_some());
    assert_readers_end(&place);
    place.program("rm", ["-rf", "deep"]).ok();
}

#[test]
fn wrk_06_a_sparse_file_of_1_tib_is_refused_at_once() {
    let place = vault();
    for name in ["sparse.bin", "a:b", ".envrc", "events.jsonl", "distillates/huge.md"] {
        place.write(name, "");
        let file = std::fs::File::options().write(true).open(place.work().join(name)).expect("it is there");
        if file.set_len(1 << 40).is_err() {
            return; // the file system holds no file of that length, so the case cannot arise
        }
    }
    place.write("beside.md", "x\n");
    let outcome = bounded(&place, 20, &["commit", "--json"]).run();
    assert_ended(&outcome, &[3]);
    let told = outcome.json();
    assert_eq!(told["rejected"].as_array().map(Vec::len), Some(5), "{told}");
    for one in told["rejected"].as_array().expect("a list") {
        assert_eq!(
            (one["reason"].as_str(), one["size"].as_u64()),
            (Some("too-large"), Some(1 << 40)),
            "{one}"
        );
    }
    assert!(committed(&place, "beside.md").is_some());
    assert_readers_end(&place);
    let status = bounded(&place, 20, &["status", "--json"]).code(0).json();
    assert!(status.to_string().contains("sparse.bin"), "it is told: {status}");
    // It is in nobody's way.
    assert_ended(&bounded(&place, 20, &["write", "notes/a.md"]).stdin("y\n").run(), &[0]);
    assert_ended(&bounded(&place, 20, &["note", "a note"]).run(), &[0]);
    assert_ended(&bounded(&place, 20, &["checkout", "main~1"]).run(), &[0]);
    assert_ended(&bounded(&place, 20, &["checkout", "main"]).run(), &[0]);
    place.write("notes/a.md", "an edit\n");
    assert_ended(&bounded(&place, 20, &["rollback", "main~1"]).run(), &[0]);
    assert_ended(&bounded(&place, 20, &["undo"]).run(), &[0]);
    assert!(place.work().join("sparse.bin").exists());
}

/// Does something to a file again and again beside some commits.
fn beside_commits(place: &Place, work: impl Fn() + Sync) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                work();
            }
        });
        for _ in 0..20 {
            let outcome = bounded(place, 60, &["commit"]).run();
            is_over.store(outcome.code.is_none(), Ordering::Relaxed);
            assert_ended(&outcome, &[0, 3]);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_readers_end(place);
}

#[test]
fn wrk_07_a_file_that_grows_without_end() {
    let place = vault();
    let path = place.work().join("growing.log");
    beside_commits(&place, || {
        use std::io::Write;
        let mut file = std::fs::File::options().append(true).create(true).open(&path).expect("a file");
        file.write_all(&[b'x'; 10_000]).expect("written");
        if file.metadata().expect("a file").len() > 8 << 20 {
            file.set_len(10).expect("cut");
        }
    });
}

#[test]
fn wrk_07_a_file_that_becomes_a_link_a_fifo_a_folder_and_nothing() {
    let place = vault();
    let path = place.work().join("notes/changing");
    let turn = std::sync::atomic::AtomicUsize::new(0);
    beside_commits(&place, || {
        let _was_something_else = std::fs::remove_file(&path);
        let _was_something_else = std::fs::remove_dir(&path);
        match turn.fetch_add(1, Ordering::Relaxed) % 5 {
            0 => std::fs::write(&path, "a file\n").expect("written"),
            1 => symlink("a.md", &path).expect("a link"),
            2 => drop(std::process::Command::new("mkfifo").arg(&path).status()),
            3 => std::fs::create_dir(&path).expect("a folder"),
            _ => {}
        }
        std::thread::sleep(Duration::from_micros(300));
    });
}

#[test]
fn wrk_08_a_folder_that_cannot_be_entered_keeps_its_place() {
    let place = vault();
    place.write("locked/inside.md", "x\n");
    place.write("unlisted/inside.md", "x\n");
    place.mvault(["commit"]).ok();
    place.write("beside.md", "x\n");
    let paths = ["locked", "unlisted"].map(|name| place.work().join(name));
    set_mode(&paths[0], 0o600);
    set_mode(&paths[1], 0o300);
    let outcome = as_anybody(&place, &["commit", "--json"]).run();
    paths.iter().for_each(|path| set_mode(path, 0o755));
    assert_ended(&outcome, &[3]);
    let told = outcome.json();
    for one in reasons(&told, "rejected") {
        assert!(one.starts_with("unreadable "), "{told}");
    }
    assert!(committed(&place, "locked/inside.md").is_some(), "what cannot be seen is not gone");
    assert!(committed(&place, "unlisted/inside.md").is_some(), "what cannot be seen is not gone");
    assert!(committed(&place, "beside.md").is_some());
}

#[test]
fn wrk_09_hard_links_setuid_and_odd_modes_are_content() {
    let place = vault();
    place.write("one.md", "same\n");
    std::fs::hard_link(place.work().join("one.md"), place.work().join("two.md")).expect("a hard link");
    place.write("suid", "#!/bin/sh\n");
    set_mode(&place.work().join("suid"), 0o4755);
    place.write("none", "x\n");
    set_mode(&place.work().join("none"), 0o444);
    place.mvault(["commit"]).code(0);
    for (path, content) in
        [("one.md", "same\n"), ("two.md", "same\n"), ("suid", "#!/bin/sh\n"), ("none", "x\n")]
    {
        assert_eq!(committed(&place, path).as_deref(), Some(content.as_bytes()));
    }
    // A write to one of two names leaves the other one's content alone.
    place.mvault(["write", "one.md"]).stdin("other\n").ok();
    assert_eq!(place.read("two.md"), b"same\n");
    place.mvault(["commit"]).code(0);
    place.mvault(["checkout", "main~1"]).ok();
    let mode = std::fs::metadata(place.work().join("suid")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o6000, mode & 0o4000, "nothing gains a right");
}

#[test]
fn wrk_10_vaults_and_repositories_inside() {
    let place = vault();
    place.write("sub/inner.md", "x\n");
    place.mvault(["init", "sub", "--device", "other"]).run();
    place.program("git", ["init", "-q", "repository"]).ok();
    place.write("repository/kept.md", "x\n");
    place.write("module/.git", "gitdir: ../elsewhere\n");
    place.write("module/kept.md", "x\n");
    place.write("odd/.GIT/config", "x\n");
    place.write("odd/git~1/config", "x\n");
    let outcome = bounded(&place, 20, &["commit", "--json"]).run();
    assert_ended(&outcome, &[0]);
    let passed = reasons(&outcome.json(), "passed_over");
    assert!(passed.contains(&"reserved-folder repository/.git".to_owned()), "{passed:?}");
    assert!(passed.contains(&"reserved-folder odd/.GIT".to_owned()), "{passed:?}");
    for path in ["sub/inner.md", "repository/kept.md", "module/kept.md"] {
        assert!(committed(&place, path).is_some(), "{path}");
    }
    for path in ["repository/.git/HEAD", "module/.git", "odd/.GIT/config", "odd/git~1/config"] {
        assert!(committed(&place, path).is_none(), "{path}");
    }
}

/// How many files a folder gets; `MVAULT_MANY_FILES=1000000` for the whole case.
fn many() -> usize {
    std::env::var("MVAULT_MANY_FILES").ok().map_or(100_000, |text| text.parse().expect("a number"))
}

#[test]
fn wrk_11_very_many_files_in_one_folder() {
    let place = vault();
    std::fs::create_dir(place.work().join("many")).expect("a folder");
    for number in 0..many() {
        std::fs::write(place.work().join(format!("many/{number:07}")), number.to_string()).expect("a file");
    }
    let told = bounded(&place, 600, &["commit", "--json"]).code(0).json();
    assert_eq!(told["changed"].as_array().map(Vec::len), Some(many()));
    assert_ended(&bounded(&place, 120, &["status"]).run(), &[0]);
    remove(&place, "many/0000007");
    place.write("many/0000008", "edited\n");
    let told = bounded(&place, 120, &["commit", "--json"]).code(0).json();
    assert_eq!(told["changed"].as_array().map(Vec::len), Some(2));
}

#[test]
fn wrk_12_times_of_the_future_of_zero_and_equal_ones() {
    let place = vault();
    let touch = |path: &str, time: SystemTime| {
        let file = std::fs::File::options().write(true).open(place.work().join(path)).expect("it is there");
        file.set_modified(time).expect("a time");
    };
    let epoch = SystemTime::UNIX_EPOCH;
    let times = [
        epoch,
        epoch - Duration::from_secs(1),
        epoch + Duration::from_secs(4_000_000_000),
        epoch + Duration::from_secs(1_700_000_000),
    ];
    for (number, time) in times.into_iter().enumerate() {
        let path = format!("{number}.md");
        place.write(&path, "one\n");
        touch(&path, time);
        place.mvault(["commit"]).code(0);
        // Other content of the same length, under the same time.
        place.write(&path, "two\n");
        touch(&path, time);
        place.mvault(["commit"]).code(0);
        assert_eq!(committed(&place, &path).as_deref(), Some(&b"two\n"[..]), "{number}");
        place.write(&path, "six\n");
        touch(&path, time);
        let status = place.mvault(["status"]).json();
        assert_eq!(status["changes"].as_array().map(Vec::len), Some(1), "{status}");
    }
}

#[test]
fn wrk_16_a_vault_folder_that_is_a_link_or_goes_away() {
    let place = vault();
    place.write("new.md", "x\n");
    std::fs::rename(place.work().join(".mvault"), place.root().join("elsewhere")).expect("renamed");
    assert_ended(&bounded(&place, 20, &["commit"]).run(), &[1]);
    symlink(place.root().join("elsewhere"), place.work().join(".mvault")).expect("a link");
    let outcome = bounded(&place, 20, &["commit"]).run();
    assert_ended(&outcome, &[0, 1]);
    assert!(place.work().join("new.md").exists());
    std::fs::remove_file(place.work().join(".mvault")).expect("a link");
    std::fs::rename(place.root().join("elsewhere"), place.work().join(".mvault")).expect("renamed");
    place.mvault(["verify"]).ok();
}

#[test]
fn a_page_that_became_a_folder_stays_and_the_rest_is_committed() {
    let place = vault();
    remove(&place, "continuity.md");
    place.write("continuity.md/inside.md", "x\n");
    place.write("beside.md", "x\n");
    let outcome = bounded(&place, 20, &["commit"]).run();
    assert_ended(&outcome, &[3]);
    assert_eq!(committed(&place, "continuity.md").as_deref(), Some(&b"# Continuity\n\nas it was\n"[..]));
    assert!(committed(&place, "beside.md").is_some());
    assert_readers_end(&place);
}

#[test]
fn an_unreadable_ignore_file_lets_nothing_new_in() {
    let place = vault();
    place.write("sub/.mvaultignore", "secret.md\n");
    place.mvault(["commit"]).ok();
    place.write("sub/secret.md", "x\n");
    place.write("beside.md", "x\n");
    set_mode(&place.work().join("sub/.mvaultignore"), 0o000);
    let outcome = as_anybody(&place, &["commit", "--json"]).run();
    set_mode(&place.work().join("sub/.mvaultignore"), 0o644);
    assert_ended(&outcome, &[3]);
    assert!(committed(&place, "sub/secret.md").is_none() && committed(&place, "beside.md").is_some());
}
