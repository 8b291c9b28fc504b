//! What the `Disk` seam says it did is what the kernel saw: the same changes of the same files, in order.
//! Nothing changes a vault past the seam, so what holds on the simulated disk holds on this one.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::kill::{CALLS, strace};
use super::{commit, vault_of_two_states};
use crate::support::Place;

/// Reads what strace wrote about calls on paths below a folder, as lines of the seam.
struct Kernel<'a> {
    below: &'a Path,
}

impl Kernel<'_> {
    fn lines(&self, trace: &str) -> Vec<String> {
        trace.lines().filter_map(|line| self.line(line)).collect()
    }

    fn line(&self, line: &str) -> Option<String> {
        let (_thread, call) = line.split_once(' ')?;
        let call = call.trim_start();
        let (name, rest) = call.split_once('(')?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None; // a signal or the end of a process
        }
        assert!(!call.ends_with("<unfinished ...>"), "more than one thread: {call}");
        // What was written may hold anything: numbers are taken from the end.
        let (arguments, result) = rest.rsplit_once(" = ").expect("a call returns");
        let arguments = arguments.trim_end().strip_suffix(')').expect("a call has an end");
        let end = if result.starts_with('-') { "failed" } else { "ok" };
        let told = self.told(name, arguments, call)?;
        Some(format!("{told} = {end}"))
    }

    fn told(&self, name: &str, arguments: &str, call: &str) -> Option<String> {
        let last = arguments.rsplit(", ").next().expect("there is one");
        let told =
            |verb: &str, path: PathBuf| path.starts_with(self.below).then(|| format!("{verb} {path:?}"));
        let with = |told: Option<String>, more: String| told.map(|told| told + &more);
        match name {
            "openat" if arguments.contains("O_CREAT") => told("create", at(arguments)),
            "open" | "openat" | "openat2" => None,
            "mkdirat" => told("mkdir", at(arguments)),
            "symlinkat" => {
                let (_target, rest) = quoted(arguments);
                told("symlink", at(rest.strip_prefix(", ").expect("a folder follows")))
            }
            "unlinkat" if last == "AT_REMOVEDIR" => told("rmdir", at(arguments)),
            "unlinkat" => told("unlink", at(arguments)),
            "renameat" | "renameat2" => {
                let (_name, rest) = quoted(&arguments[arguments.find("\"").expect("a name")..]);
                let to = at(rest.strip_prefix(", ").expect("a folder follows"));
                with(told("rename", at(arguments)), format!(" {to:?}"))
            }
            "fsync" | "fdatasync" => told("sync", open(arguments)),
            "syncfs" => told("syncfs", open(arguments)),
            "ftruncate" => with(told("truncate", open(arguments)), format!(" to {last}")),
            "fchmod" => with(told("chmod", open(arguments)), format!(" to {}", last.trim_start_matches('0'))),
            "pwrite64" => {
                let mut numbers = arguments.rsplit(", ");
                let (offset, size) = (numbers.next().expect("an offset"), numbers.next().expect("a size"));
                with(told("write", open(arguments)), format!(" {size} at {offset}"))
            }
            _ => {
                let below = self.below.to_str().expect("our own names are UTF-8");
                assert!(!call.contains(below), "a change that the seam has no call for: {call}");
                None
            }
        }
    }
}

/// Reads `3</folder>, "name"`.
fn at(arguments: &str) -> PathBuf {
    let (name, _) = quoted(&arguments[arguments.find('"').expect("a name")..]);
    open(arguments).join(name)
}

/// Reads the path of `3</path>` or `AT_FDCWD</path>`.
fn open(arguments: &str) -> PathBuf {
    let (_, path) = arguments.split_once('<').expect("strace shows paths");
    let (path, _) = path.split_once('>').expect("strace shows paths to their end");
    unescaped(path).0
}

/// Reads `"name"` at the beginning, and returns what follows it.
fn quoted(text: &str) -> (PathBuf, &str) {
    let text = text.strip_prefix('"').expect("a name is quoted");
    let (path, rest) = unescaped(text);
    (path, rest.strip_prefix('"').expect("a quote ends"))
}

/// Reads up to a bare quote, or the end, what strace has escaped as C does.
fn unescaped(text: &str) -> (PathBuf, &str) {
    let (mut bytes, mut at) = (Vec::new(), 0);
    let source = text.as_bytes();
    while at < source.len() && source[at] != b'"' {
        let is_octal = |n: &usize| source.get(at + n).is_some_and(|b| (b'0'..=b'7').contains(b));
        match (source[at], source.get(at + 1)) {
            (b'\\', Some(b'0'..=b'7')) => {
                let digits = (1..=3).take_while(is_octal).count();
                let number = u8::from_str_radix(&text[at + 1..=at + digits], 8).expect("a byte");
                bytes.push(number);
                at += digits + 1;
            }
            (b'\\', Some(escaped)) => {
                let plain = match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'v' => 11,
                    b'f' => 12,
                    other => *other,
                };
                bytes.push(plain);
                at += 2;
            }
            (plain, _) => {
                bytes.push(plain);
                at += 1;
            }
        }
    }
    (OsString::from_vec(bytes).into(), &text[at..])
}

/// Runs the command once, under strace and with the seam's trace, and compares the two.
#[track_caller]
fn assert_the_seam_tells_what_the_kernel_saw(place: &Place, args: &[&str], at_least: usize) {
    let (kernel, seam) = (place.root().join("kernel"), place.root().join("seam"));
    let text = |path: &Path| path.to_str().expect("our own names are UTF-8").to_owned();
    let (calls, traced) = (format!("trace={CALLS}"), format!("MVAULT_TEST_TRACE={}", text(&seam)));
    let output = strace(place, &["-e", &calls, "-E", &traced, "-o", &text(&kernel)], args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "mvault {args:?} under strace (is ptrace allowed here?):\n{stderr}");
    let read = |path: &Path| {
        let text = std::fs::read(path).expect("a trace was written");
        std::fs::remove_file(path).expect("is removed");
        String::from_utf8(text).expect("traces are UTF-8")
    };
    let below = std::fs::canonicalize(place.work()).expect("it is there");
    let saw = Kernel { below: &below }.lines(&read(&kernel));
    let begin = format!("\"{}", below.display());
    let told: Vec<String> =
        read(&seam).lines().filter(|line| line.contains(&begin)).map(str::to_owned).collect();
    for (n, (saw, told)) in saw.iter().zip(&told).enumerate() {
        assert_eq!(saw, told, "mvault {args:?}: call {n} of {} and {}", saw.len(), told.len());
    }
    assert_eq!(saw.len(), told.len(), "mvault {args:?}: one of them goes on: {saw:#?} {told:#?}");
    assert!(saw.len() >= at_least, "too few calls for a comparison: {saw:#?}");
}

#[test]
fn the_seam_tells_every_change_the_kernel_saw_in_order() {
    let place = Place::new();
    place.write("a.md", "# A\n");
    assert_the_seam_tells_what_the_kernel_saw(&place, &["init", "--device", "mac"], 20);
    assert_the_seam_tells_what_the_kernel_saw(&place, &["status"], 0);

    let place = vault_of_two_states();
    place.write("two\nlines \"quoted\" <so> \\ n.md", "a name to be escaped\n");
    let commit_all = ["commit", "-m", "new", "--allow", "name-not-portable"];
    assert_the_seam_tells_what_the_kernel_saw(&place, &commit_all, 12);
    place.write("continuity.md", "an edit that no commit has\n");
    assert_the_seam_tells_what_the_kernel_saw(&place, &["checkout", "main~1"], 40);
    assert_the_seam_tells_what_the_kernel_saw(&place, &["switch", "main"], 40);
    place.write("continuity.md", "an edit that a commit has\n");
    commit(&place, "the edit");
    assert_the_seam_tells_what_the_kernel_saw(&place, &["rollback", "main~2"], 40);
    assert_the_seam_tells_what_the_kernel_saw(&place, &["undo"], 40);
    assert_the_seam_tells_what_the_kernel_saw(&place, &["note", "a line"], 12);
}
