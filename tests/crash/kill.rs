//! strace as an executioner: lists a command's state-changing calls, and kills it before one of them.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::support::{Place, optimized};

/// The calls that can change what is on disk. Those with a question mark do not exist on every machine.
pub const CALLS: &str = "write,?writev,pwrite64,?pwritev,?pwritev2,fsync,fdatasync,?syncfs,?sync_file_range,\
                     ?rename,?renameat,?renameat2,?unlink,unlinkat,?mkdir,mkdirat,?rmdir,?symlink,symlinkat,\
                     ?link,linkat,ftruncate,?truncate,?fallocate,fchmod,?chmod,fchmodat,?fchmodat2,?utimensat,\
                     ?copy_file_range,?sendfile,?open,openat,?openat2,?creat";

/// The clock and dice of every run of a sweep, so that what a command makes has the same ids each time.
const SURROUNDINGS: [(&str, &str); 3] = [
    ("MVAULT_TEST_CLOCK", "2026-11-23T08:00:00+01:00"),
    ("MVAULT_TEST_SEED", "sweep"),
    ("MVAULT_TEST_ONE_THREAD", "1"),
];

/// A call before which a command can be killed: the `when`-th of its name.
#[derive(Clone, Debug)]
pub struct Point {
    pub name: String,
    when: usize,
    /// The call as strace shows it.
    pub line: String,
}

/// Prepares `mvault ARGS…` with the clock and the dice of the sweep.
pub fn mvault(place: &Place, args: &[&str]) -> crate::support::Run {
    let run = place.program(optimized(), args);
    SURROUNDINGS.into_iter().fold(run, |run, (name, value)| run.env(name, value))
}

/// Runs the command under strace; the options are strace's.
pub fn strace(place: &Place, options: &[&str], args: &[&str]) -> std::process::Output {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y"]).args(options).arg(optimized()).args(args);
    command.current_dir(place.work()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", place.root().join("home")).env("TMPDIR", place.root()).env("LC_ALL", "C");
    command.envs(SURROUNDINGS).stdin(std::process::Stdio::null());
    command.output().unwrap_or_else(|error| {
        panic!("this test needs strace ({error}): `apt-get install strace`, or your system's package of it")
    })
}

/// Runs the command to its end and lists the calls that change something below the place's folder.
pub fn points(place: &Place, args: &[&str]) -> Vec<Point> {
    let trace = place.root().join("trace");
    let trace_text = trace.to_str().expect("our own names are UTF-8");
    let output = strace(place, &["-e", &format!("trace={CALLS}"), "-o", trace_text], args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "mvault {args:?} under strace (is ptrace allowed here?):\n{stderr}");
    let text = std::fs::read_to_string(&trace).expect("strace wrote its output");
    std::fs::remove_file(&trace).expect("is removed");
    parse(&text, place.root())
}

fn parse(trace: &str, below: &Path) -> Vec<Point> {
    let below = below.to_str().expect("our own names are UTF-8");
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut taken: BTreeMap<(String, usize), String> = BTreeMap::new();
    let mut points = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        if name.starts_with(['<', '+', '-']) {
            continue; // the end of a call that began earlier, or of a process
        }
        // strace counts each thread's calls by themselves.
        let when = counts.entry((thread.to_owned(), name.to_owned())).or_default();
        *when += 1;
        let first = taken.entry((name.to_owned(), *when)).or_insert_with(|| thread.to_owned());
        let opens = name.starts_with("open") && !call.contains("O_CREAT") && !call.contains("O_TRUNC");
        if opens || !call.contains(below) {
            continue;
        }
        assert_eq!(first, thread, "two threads share the count {when} of {name}: {call}");
        points.push(Point { name: name.to_owned(), when: *when, line: call.trim().to_owned() });
    }
    points
}

/// Runs the command and kills it before the call; the call is not made.
pub fn kill_at(place: &Place, args: &[&str], point: &Point) {
    let trace = format!("trace={}", point.name);
    let inject = format!("inject={}:signal=SIGKILL:when={}", point.name, point.when);
    let output = strace(place, &["-e", &trace, "-e", &inject, "-o", "/dev/null"], args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(9), "not killed at {point:?}: {:?}\n{stderr}", output.status);
}

/// Runs the command with the error instead of the call.
pub fn fail_at(place: &Place, args: &[&str], point: &Point, errno: &str) -> std::process::Output {
    let trace = format!("trace={}", point.name);
    let inject = format!("inject={}:error={errno}:when={}", point.name, point.when);
    strace(place, &["-e", &trace, "-e", &inject, "-o", "/dev/null"], args)
}
