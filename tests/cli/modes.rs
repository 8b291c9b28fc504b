//! What files keep besides their bytes: permissions, group, extended attributes.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use crate::support::Place;

fn set(place: &Place, path: &str, mode: u32) {
    std::fs::set_permissions(place.work().join(path), PermissionsExt::from_mode(mode)).expect("ours");
}

fn label(place: &Place, path: &str, value: &[u8]) -> bool {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(place.work().join(path), "user.label", value, flags).is_ok()
}

#[track_caller]
fn assert_kept(place: &Place, door: &str, has_labels: bool) {
    for (name, mode, group) in [("diary.md", 0o600, 0), ("fixed.md", 0o444, 0), ("team.md", 0o640, 4711)] {
        let stat = std::fs::metadata(place.work().join("a").join(name)).expect("is there");
        assert_eq!(stat.mode() & 0o7777, mode, "{door}: {name}");
        if group != 0 && rustix::process::geteuid().is_root() {
            assert_eq!(stat.gid(), group, "{door}: {name}");
        }
    }
    if has_labels {
        let mut value = [0; 16];
        let read = rustix::fs::getxattr(place.work().join("a/diary.md"), "user.label", &mut value);
        assert_eq!(read.map(|length| value[..length].to_vec()), Ok(b"mine".to_vec()), "{door}");
    }
}

/// A file of mode 0600 became 0644 when another device's edit replaced it, or a rollback, an undo, a checkout, a
/// resolution: readable by everybody on the machine. Labels and access lists went with the old file.
#[test]
fn a_replaced_file_keeps_its_permissions_and_attributes_whatever_replaced_it() {
    let place = Place::new();
    place.mvault(["init", "a", "--device", "mac"]).ok();
    for name in ["diary.md", "fixed.md", "team.md", "run.sh"] {
        place.write(format!("a/{name}"), "one\ntwo\nthree\nfour\nfive\n");
    }
    place.mvault(["commit", "-m", "base"]).dir("a").ok();
    place.mvault(["clone", "a", "b", "--device", "pixel"]).ok();
    for (name, mode) in [("diary.md", 0o600), ("fixed.md", 0o444), ("team.md", 0o640), ("run.sh", 0o600)] {
        set(&place, &format!("a/{name}"), mode);
    }
    let _only_root_may = chown(place.work().join("a/team.md"), None, Some(4711));
    let has_labels = label(&place, "a/diary.md", b"mine");
    let edit = |folder: &str, line: &str| {
        for name in ["diary.md", "fixed.md", "team.md"] {
            let path = format!("{folder}/{name}");
            let text = String::from_utf8(place.read(&path)).expect("text");
            let mode = std::fs::metadata(place.work().join(&path)).expect("is there").permissions().mode();
            set(&place, &path, mode | 0o200);
            let rest: Vec<&str> = text.lines().skip(1).collect();
            place.write(&path, format!("{line}\n{}\n", rest.join("\n")));
            set(&place, &path, mode);
        }
    };
    edit("b", "theirs");
    set(&place, "b/run.sh", 0o755);
    place.mvault(["commit", "-m", "edit"]).dir("b").ok();
    let mvault = |args: &[&str]| place.mvault(args).dir("a").run();
    mvault(&["pull", "../b", "--allow", "obeyed-file"]);
    assert_eq!(&place.read("a/diary.md")[..6], b"theirs");
    assert_kept(&place, "pull", has_labels);
    let run = std::fs::metadata(place.work().join("a/run.sh")).expect("is there").mode() & 0o777;
    assert_eq!(run, 0o700, "it may be run by whoever may read it");
    for (door, args) in [
        ("rollback", &["rollback", "HEAD~1"][..]),
        ("undo", &["undo"]),
        ("checkout", &["checkout", "HEAD~1"]),
        ("checkout of the branch", &["checkout", "main"]),
    ] {
        let outcome = mvault(args);
        assert_eq!(outcome.code, Some(0), "{}", outcome.describe());
        // A checkout of the state before the first commit takes the files away; they come back as they were.
        assert_kept(&place, door, has_labels);
    }
    edit("a", "an edit");
    mvault(&["checkout", "HEAD", "--", "diary.md", "fixed.md", "team.md"]);
    assert_eq!(&place.read("a/diary.md")[..6], b"theirs");
    assert_kept(&place, "restore of paths", has_labels);
    edit("a", "mine");
    mvault(&["commit", "-m", "mine"]);
    edit("b", "yours");
    place.mvault(["commit", "-m", "yours"]).dir("b").ok();
    mvault(&["pull", "../b"]);
    for name in ["diary.md", "fixed.md", "team.md"] {
        mvault(&["resolve", name, "--take", "pixel"]);
    }
    assert_eq!(&place.read("a/diary.md")[..5], b"yours");
    assert_kept(&place, "resolve", has_labels);
    place.mvault(["write", "diary.md"]).dir("a").stdin("written\n").ok();
    assert_kept(&place, "write", has_labels);
}

#[test]
fn a_private_file_that_moves_or_comes_back_is_private_again() {
    let place = Place::new();
    place.mvault(["init", "a", "--device", "mac"]).ok();
    place.write("a/other.md", "other\n");
    place.mvault(["commit", "-m", "base"]).dir("a").ok();
    for name in ["note.md", "moved.md", "both.md", "out"] {
        place.write(format!("a/{name}"), format!("{name}\nsecond\nthird\n"));
        set(&place, &format!("a/{name}"), 0o600);
    }
    place.mvault(["commit", "-m", "private"]).dir("a").ok();
    let mode = |path: &str| {
        std::fs::metadata(place.work().join("a").join(path)).expect("is there").permissions().mode() & 0o777
    };
    // Away and back.
    place.mvault(["checkout", "HEAD~1"]).dir("a").ok();
    assert!(!place.work().join("a/note.md").exists());
    place.mvault(["checkout", "main"]).dir("a").ok();
    assert_eq!(mode("note.md"), 0o600);
    // Moved on another device; moved and edited; moved into a folder of its own name.
    place.mvault(["clone", "a", "b", "--device", "pixel"]).ok();
    let b = place.work().join("b");
    std::fs::create_dir(b.join("sub")).expect("a folder");
    std::fs::rename(b.join("moved.md"), b.join("renamed.md")).expect("renamed");
    std::fs::rename(b.join("both.md"), b.join("sub/both.md")).expect("renamed");
    place.write("b/sub/both.md", "both.md\nsecond\nthird\nfourth\n");
    std::fs::rename(b.join("out"), b.join("tmp")).expect("renamed");
    std::fs::create_dir(b.join("out")).expect("a folder");
    std::fs::rename(b.join("tmp"), b.join("out/in.md")).expect("renamed");
    place.mvault(["commit", "-m", "moved"]).dir("b").ok();
    place.mvault(["pull", "../b"]).dir("a").ok();
    for path in ["renamed.md", "sub/both.md", "out/in.md"] {
        assert_eq!(mode(path), 0o600, "{path}");
    }
    // What a clone makes has what the umask leaves.
    let cloned = std::fs::metadata(b.join("note.md")).expect("is there").permissions().mode() & 0o777;
    let probe = place.work().join("probe");
    std::fs::write(&probe, "").expect("a file");
    assert_eq!(cloned, std::fs::metadata(probe).expect("is there").permissions().mode() & 0o777);
}
