//! What holds for every verb: streams, exit codes, errors, colours, closed pipes, signals.

use std::io::Read;
use std::process::{Command, Stdio};

use snapbox::{assert_data_eq, str};

use crate::support::{MVAULT, Place};

#[test]
fn hash_prints_the_id_git_gives() {
    let place = Place::new();
    place.write("Zoë.md", "# Zoë\n");
    place.git(["init", "-q", "--object-format=sha256", "."]).ok();
    let expected = place.git(["hash-object", "Zoë.md"]).ok();
    assert_eq!(place.mvault(["hash", "Zoë.md"]).ok(), expected);
    let json = place.mvault(["hash", "Zoë.md"]).json();
    assert_eq!(json["path"], "Zoë.md");
    assert_eq!(json["id"], expected.trim());
    assert_eq!(json["size"], 7);
}

#[test]
fn a_path_that_is_not_utf8_carries_its_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let name = std::ffi::OsStr::from_bytes(b"a\xff");
    if std::fs::write(place.work().join(name), "x").is_err() {
        return; // the file system takes only UTF-8, so the case cannot arise
    }
    let json = place.mvault([std::ffi::OsStr::new("hash"), name]).json();
    assert_eq!(json["path"], "a\u{fffd}");
    assert_eq!(json["path_bytes"], "Yf8=");
}

#[test]
fn errors_are_words_on_stderr_or_one_json_object() {
    let place = Place::new();
    let outcome = place.mvault(["hash", "missing"]).code(1);
    assert_data_eq!(outcome.stdout(), str![]);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
error: cannot find [ROOT]/work/missing: no such file or directory
hint: check how the path is spelled, and from which folder it begins

"#]]
    );
    let error = place.mvault(["hash", "missing", "--json"]).code(1).error();
    assert_eq!(error["kind"], "not_found");
    assert_eq!(error["message"], "cannot find [ROOT]/work/missing: no such file or directory");
}

#[test]
fn a_wrong_command_line_is_exit_2() {
    let place = Place::new();
    place.mvault(["hash"]).code(2);
    place.mvault(["no-such-verb"]).code(2);
    place.mvault([] as [&str; 0]).code(2);
    let error = place.mvault(["hash", "--json", "--no-such-flag"]).code(2).error();
    assert_eq!(error["kind"], "usage");
    assert_eq!(error["message"], "unexpected argument '--no-such-flag' found");
}

#[test]
fn help_and_version_are_data() {
    let place = Place::new();
    assert!(place.mvault(["--help"]).ok().contains("Usage: mvault"));
    assert_eq!(place.mvault(["--version"]).ok(), format!("mvault {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_folder_is_not_hashed() {
    let place = Place::new();
    let outcome = place.mvault(["hash", "."]).code(1);
    assert!(outcome.stderr().contains("error: . is not a regular file"), "{}", outcome.describe());
}

#[test]
fn colours_follow_the_flag_then_no_color_then_the_terminal() {
    let place = Place::new();
    let colored = |args: &[&str], env: &[(&str, &str)]| {
        let mut run = place.mvault(args.iter().chain(&["hash", "missing"]));
        for (name, value) in env {
            run = run.env(name, value);
        }
        run.code(1).stderr().contains('\x1b')
    };
    assert!(!colored(&[], &[]));
    assert!(colored(&["--color=always"], &[("NO_COLOR", "1")]));
    assert!(colored(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!colored(&["--color=never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn names_in_errors_cannot_steer_a_terminal() {
    let place = Place::new();
    let outcome = place.mvault(["hash", "a\x1b[2J"]).code(1);
    assert!(outcome.stderr().contains("a\\u{1b}[2J"), "{}", outcome.describe());
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_success() {
    let place = Place::new();
    place.write("a", "x");
    let mut child = Command::new(MVAULT)
        .arg("hash")
        .args(std::iter::repeat_n("a", 5000))
        .current_dir(place.work())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = [0; 10];
    child.stdout.take().expect("piped").read_exact(&mut line).expect("writes"); // and closes
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_not_a_signal() {
    let place = Place::new();
    place.write("a", "x");
    let script = format!("ulimit -f 1; exec {MVAULT} hash $(yes a | head -n 3000) > out");
    let outcome = place.program("sh", ["-c", &script]).code(1);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
error: cannot write standard output: file too large
hint: check where the output goes; what the command did is done

"#]]
    );
}

#[test]
fn ctrl_c_while_waiting_for_the_lock_exits_130_and_harms_nothing() {
    use mvault::fs::{Disk, Lock, RealDisk};
    use std::time::Duration;
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("a", "x");
    let dot = RealDisk.open_dir(&place.work().join(".mvault")).expect("a vault");
    let held = Lock::acquire(&dot, "lock", Duration::ZERO, "the test").expect("nobody else is here");
    // A shell without job control starts what is behind `&` with SIGINT ignored, so one that comes too
    // early does nothing: mvault handles it as soon as it runs.
    let script = format!(
        "{MVAULT} commit & pid=$!; while kill -INT $pid 2>/dev/null; do sleep 0.05; done; wait $pid; echo exit $?"
    );
    let outcome = place.program("sh", ["-c", &script]).code(0);
    assert_eq!(outcome.stdout(), "exit 130\n", "{}", outcome.describe());
    drop(held);
    place.mvault(["commit"]).ok();
}

#[cfg(target_os = "linux")]
mod on_a_terminal {
    use super::{MVAULT, Place};
    use crate::support::Outcome;

    /// Runs `mvault ARGS` on a terminal of its own (`script` is part of every Linux with util-linux).
    fn on_terminal(place: &Place, args: &str, pager: Option<&str>) -> Outcome {
        let line = format!("{MVAULT} {args}");
        let mut run = place.program("script", ["-qec", &line, "/dev/null"]).env("TERM", "xterm");
        if let Some(pager) = pager {
            run = run.env("MVAULT_PAGER", pager);
        }
        run.code(0)
    }

    fn vault() -> Place {
        let place = Place::new();
        place.mvault(["init", "--device", "mac"]).ok();
        place.write("a.md", "we meet on Monday at ten\n");
        place.mvault(["commit", "-m", "a\u{1b}[31mb"]).ok();
        place.write("a.md", "we meet on Friday at ten\n");
        place
    }

    #[test]
    fn a_pager_gets_coloured_output_and_no_pager_means_none() {
        let place = vault();
        let paged = on_terminal(&place, "log", Some("sed s/^/PAGED:/")).stdout();
        assert!(paged.contains("PAGED:\u{1b}[33mcommit "), "{paged}");
        assert!(paged.contains("a\\u{1b}[31mb"), "text of a commit must not steer a terminal: {paged}");
        for (args, pager) in
            [("--no-pager log", Some("sed s/^/PAGED:/")), ("log", Some("cat")), ("log", Some(""))]
        {
            let plain = on_terminal(&place, args, pager).stdout();
            assert!(!plain.contains("PAGED:") && plain.contains("\u{1b}[33mcommit "), "{args}: {plain}");
        }
    }

    #[test]
    fn json_is_never_paged_or_coloured() {
        let place = vault();
        let told = on_terminal(&place, "--json log", Some("sed s/^/PAGED:/")).stdout();
        assert!(told.starts_with("{\"id\""), "{told}");
    }

    #[test]
    fn a_pager_that_is_left_early_is_a_success() {
        let place = vault();
        let told = on_terminal(&place, "log", Some("head -n 1")).stdout();
        assert_eq!(told.lines().count(), 1, "{told}");
    }

    #[test]
    fn changed_words_are_highlighted() {
        let place = vault();
        let told = on_terminal(&place, "--no-pager diff", None).stdout();
        assert!(told.contains("\u{1b}[1;7;31mMonday\u{1b}[0m"), "{told}");
        assert!(told.contains("\u{1b}[1;7;32mFriday\u{1b}[0m"), "{told}");
    }
}

#[test]
fn status_counts_a_renamed_file_once() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("old.md", "the same content under another name\n");
    place.write("gone.md", "goes\n");
    place.mvault(["commit"]).ok();
    std::fs::rename(place.work().join("old.md"), place.work().join("new.md")).expect("renamed");
    std::fs::remove_file(place.work().join("gone.md")).expect("removed");
    let shown = place.mvault(["status"]).ok();
    assert!(shown.contains("1 renamed, 1 deleted; "), "{shown}");
}
