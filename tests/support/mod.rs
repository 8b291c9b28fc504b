#![allow(dead_code)] // not every topic uses everything
//! A place of its own for each test: own HOME, own clock, own dice, nothing of the machine's settings.

pub mod history;
pub mod sshd;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// The program under test.
pub const MVAULT: &str = env!("CARGO_BIN_EXE_mvault");

/// Returns the program for tests that kill it at each of its system calls: the optimized one where
/// `tests/run.sh` built it, else the one that was built with these tests.
pub fn optimized() -> PathBuf {
    std::env::var_os("MVAULT_TESTED_BINARY").map_or_else(|| MVAULT.into(), PathBuf::from)
}

/// A temporary folder with a `home` and a `work` in it, removed at the end.
pub struct Place {
    root: tempfile::TempDir,
    runs: AtomicU32,
}

impl Default for Place {
    fn default() -> Self {
        Place::new()
    }
}

impl Place {
    pub fn new() -> Place {
        Place::new_in(&std::env::temp_dir())
    }

    /// A place below a folder of the caller's choice.
    pub fn new_in(folder: &Path) -> Place {
        let root = tempfile::Builder::new().prefix("mvault-test-").tempdir_in(folder);
        let root = root.expect("a temporary folder");
        for name in ["home", "work"] {
            std::fs::create_dir(root.path().join(name)).expect("an empty folder takes names");
        }
        Place { root, runs: AtomicU32::new(0) }
    }

    /// The folder in which commands run unless told otherwise.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Writes a file below `work`, making folders as needed.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.work().join(path);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("folders");
        std::fs::write(path, content).expect("a file");
    }

    pub fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        std::fs::read(self.work().join(path)).expect("the file is there")
    }

    /// Prepares `mvault ARGS…` in `work`. Each run is a minute later than the one before.
    pub fn mvault(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        let minute = self.runs.fetch_add(1, Ordering::Relaxed);
        let clock = format!("2026-11-22T{:02}:{:02}:00+01:00", 6 + minute / 60, minute % 60);
        let mut run = self.program(MVAULT, args);
        run.command.env("MVAULT_TEST_CLOCK", clock).env("MVAULT_TEST_SEED", minute.to_string());
        run
    }

    /// Prepares another program in `work`, for git with no settings but these.
    pub fn program(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Run {
        let mut command = Command::new(program.as_ref());
        command.args(args).current_dir(self.work()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.root.path().join("home")).env("TZ", "Europe/Berlin").env("LC_ALL", "C");
        command.env("TMPDIR", self.root.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Test")
                .env(format!("GIT_{who}_EMAIL"), "test@example.org");
            command.env(format!("GIT_{who}_DATE"), "1700000000 +0000");
        }
        let shown: Vec<OsString> =
            std::iter::once(program.as_ref()).chain(command.get_args()).map(OsStr::to_os_string).collect();
        Run { command, shown, stdin: Vec::new(), root: self.root.path().to_path_buf() }
    }

    /// Prepares `git ARGS…`.
    pub fn git(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        self.program("git", args)
    }
}

/// A program about to run.
pub struct Run {
    command: Command,
    shown: Vec<OsString>,
    stdin: Vec<u8>,
    root: PathBuf,
}

impl Run {
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Run {
        let dir = self.root.join("work").join(dir);
        self.command.current_dir(dir);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Run {
        self.command.env(name, value);
        self
    }

    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Run {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// Runs it and asserts the exit code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Outcome {
        let outcome = self.run();
        assert_eq!(outcome.code, Some(expected), "{}", outcome.describe());
        outcome
    }

    /// Runs it, asserts success, and returns standard output.
    #[track_caller]
    pub fn ok(self) -> String {
        self.code(0).stdout()
    }

    /// Runs it with `--json`, asserts success, and returns the one object.
    #[track_caller]
    pub fn json(self) -> Value {
        self.with_json().code(0).json()
    }

    /// Runs it with `--json`, asserts success, and returns the objects of all lines.
    #[track_caller]
    pub fn json_lines(self) -> Vec<Value> {
        self.with_json().code(0).json_lines()
    }

    /// Puts `--json` before all other arguments: some of them may stand behind `--`.
    fn with_json(self) -> Run {
        let mut command = Command::new(self.command.get_program());
        command.arg("--json").args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = self.command.get_current_dir() {
            command.current_dir(dir);
        }
        Run { command, ..self }
    }

    #[track_caller]
    pub fn run(mut self) -> Outcome {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|e| panic!("cannot start {:?}: {e}", self.shown));
        let mut pipe = child.stdin.take().expect("piped");
        let bytes = std::mem::take(&mut self.stdin);
        let feeder = std::thread::spawn(move || {
            let _the_program_may_not_want_it = pipe.write_all(&bytes);
        });
        let output = child.wait_with_output().expect("a child can be waited for");
        feeder.join().expect("writing does not panic");
        Outcome {
            shown: self.shown,
            root: self.root,
            code: output.status.code(),
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }
}

/// How a program ended.
pub struct Outcome {
    shown: Vec<OsString>,
    root: PathBuf,
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Outcome {
    fn tidy(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let real = std::fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone());
        text.replace(&*real.to_string_lossy(), "[ROOT]").replace(&*self.root.to_string_lossy(), "[ROOT]")
    }

    /// Standard output with the place's own folder written as `[ROOT]`.
    pub fn stdout(&self) -> String {
        self.tidy(&self.stdout)
    }

    /// Standard error with the place's own folder written as `[ROOT]`.
    pub fn stderr(&self) -> String {
        self.tidy(&self.stderr)
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        let values = self.json_lines();
        assert_eq!(values.len(), 1, "one JSON object was expected: {}", self.describe());
        values.into_iter().next().expect("there is one")
    }

    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.stdout).expect("JSON is UTF-8");
        text.lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.describe()))
            })
            .collect()
    }

    /// The `error` object on standard error.
    #[track_caller]
    pub fn error(&self) -> Value {
        let text = self.stderr();
        let line = text.lines().last().unwrap_or_default();
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.describe()));
        value["error"].clone()
    }

    pub fn describe(&self) -> String {
        let mut text = String::new();
        let shown: Vec<_> = self.shown.iter().map(|word| word.to_string_lossy()).collect();
        write!(text, "{}\nexit {:?}", shown.join(" "), self.code).expect("memory");
        write!(text, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout(), self.stderr()).expect("memory");
        text
    }
}
