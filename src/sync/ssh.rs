//! The way to another machine: the user's own ssh program, and what can go wrong on it.
//!
//! - The command line is constant but for the checked host and the far program; the far path travels in a
//!   frame. `--` stands before the host. Nothing is forwarded, nothing local is run.
//! - The user's configuration decides about keys, ports, jump hosts and names.
//! - What the far side prints on standard error is read to its end, kept in part, masked, and shown only
//!   when the session failed.
//! - The ssh process never outlives the session.

use std::collections::VecDeque;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::drive::{Link, Patience, Traffic};
use super::error::Class;
use super::host::{SshHost, is_far_program};
use super::session::{Brought, Caller, CallerOptions, Ending, Restorer, Summary};
use super::wire::{Nonce, mask};
use super::{Endpoint, SyncError};
use crate::object::ObjectId;

/// How long ssh may take to end by itself.
const END_WAIT: Duration = Duration::from_secs(5);
/// How many bytes of the far side's standard error are kept, of its beginning and of its end each.
const STDERR_BYTES_KEPT: usize = 4096;

/// How ssh is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshOptions {
    /// The local program.
    pub program: PathBuf,
    /// Arguments before ours: the user's own wish (`-F FILE`, a port).
    pub args: Vec<String>,
    /// The far program: a name or path that no shell changes.
    pub far_program: String,
    /// How long to wait.
    pub patience: Patience,
}

impl Default for SshOptions {
    fn default() -> SshOptions {
        SshOptions {
            program: "ssh".into(),
            args: Vec::new(),
            far_program: "mvault".into(),
            patience: Patience::default(),
        }
    }
}

/// Why there is no session over ssh. `said` is what ssh or the far shell printed, masked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// The local ssh cannot be started.
    #[error("cannot start {program:?}: {why}")]
    NoSsh {
        /// The program.
        program: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The far program's path holds what a shell would change.
    #[error("{0:?} cannot be the path of a far program")]
    BadFarProgram(String),
    /// The name does not resolve.
    #[error("the host {host} is not known: {said}")]
    UnknownHost {
        /// The host.
        host: String,
        /// What was printed.
        said: String,
    },
    /// Nobody answers there.
    #[error("{host} cannot be reached: {said}")]
    Unreachable {
        /// The host.
        host: String,
        /// What was printed.
        said: String,
    },
    /// The login was refused.
    #[error("{host} refuses the login: {said}")]
    LoginRefused {
        /// The host.
        host: String,
        /// What was printed.
        said: String,
    },
    /// The host's key is unknown or another one.
    #[error("the key of {host} is not trusted: {said}")]
    HostKey {
        /// The host.
        host: String,
        /// What was printed.
        said: String,
    },
    /// ssh failed otherwise.
    #[error("ssh to {host} failed: {said}")]
    Failed {
        /// The host.
        host: String,
        /// What was printed.
        said: String,
    },
    /// The far shell does not find the program.
    #[error("there is no {program} on {host}")]
    FarProgramMissing {
        /// The host.
        host: String,
        /// The far program.
        program: String,
    },
    /// Something else than mvault answered, or nothing.
    #[error("{host} did not answer as mvault does; it printed: {said}")]
    NoMark {
        /// The host.
        host: String,
        /// What was printed.
        said: String,
    },
    /// Nothing came at all.
    #[error("{host} gave no answer for {seconds} s")]
    NoAnswer {
        /// The host.
        host: String,
        /// How long.
        seconds: u64,
    },
}

impl SshError {
    /// Returns the class, which decides about the exit code.
    pub fn class(&self) -> Class {
        match self {
            SshError::NoSsh { .. } | SshError::BadFarProgram(_) => Class::Failed,
            _ => Class::Peer,
        }
    }

    /// Returns a word for `--json`.
    pub fn kind(&self) -> &'static str {
        match self {
            SshError::NoSsh { .. } => "no-ssh",
            SshError::BadFarProgram(_) => "far-program",
            SshError::UnknownHost { .. } => "unknown-host",
            SshError::Unreachable { .. } | SshError::NoAnswer { .. } => "unreachable",
            SshError::LoginRefused { .. } => "login-refused",
            SshError::HostKey { .. } => "host-key",
            SshError::Failed { .. } => "ssh",
            SshError::FarProgramMissing { .. } => "far-program-missing",
            SshError::NoMark { .. } => "not-mvault",
        }
    }

    /// Returns what to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            SshError::NoSsh { .. } => "install OpenSSH, or set the path of ssh in config.toml",
            SshError::BadFarProgram(_) => {
                "use letters, digits, dots, dashes and slashes, or ~/ at the beginning"
            }
            SshError::UnknownHost { .. } => "check the name, or give it a Host entry in ~/.ssh/config",
            SshError::Unreachable { .. } | SshError::NoAnswer { .. } => {
                "see that the device is awake and on the network; nothing was changed, try again later"
            }
            SshError::LoginRefused { .. } => "see that `ssh HOST true` works without a question",
            SshError::HostKey { .. } => "run `ssh HOST` once and compare the key's fingerprint",
            SshError::Failed { .. } => "see that `ssh HOST true` works",
            SshError::FarProgramMissing { .. } => {
                "install mvault there, or set its path for this remote (shells that are not interactive often \
                 have a shorter PATH)"
            }
            SshError::NoMark { .. } => {
                "see what `ssh HOST mvault --version` prints: an old mvault, a forced command, or a start-up file \
                 that ends the shell"
            }
        }
    }
}

/// Returns the command that is run. A function of its own, so that a test can read it.
pub fn command(host: &SshHost, options: &SshOptions) -> Result<Command, SshError> {
    if !is_far_program(&options.far_program) {
        return Err(SshError::BadFarProgram(options.far_program.clone()));
    }
    let mut command = Command::new(&options.program);
    command.args(&options.args);
    command.args([
        "-T",
        "-a",
        "-x",
        "-e",
        "none",
        "-o",
        "ClearAllForwardings=yes",
        "-o",
        "PermitLocalCommand=no",
    ]);
    command.args(["-o", "ConnectTimeout=30", "--"]);
    command.arg(host.as_ssh_argument());
    command.arg(format!("{} serve --stdio", options.far_program));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// Runs a session with the vault on `host`.
pub fn call(
    endpoint: &mut dyn Endpoint,
    caller: CallerOptions,
    host: &SshHost,
    options: &SshOptions,
    nonce: Nonce,
) -> Result<(Summary, Traffic), SyncError> {
    // What a push offers is logged, so it waits until there is somebody to offer it to. A fetch only
    // tells ids: it speaks at once and saves a round trip.
    let waits = caller.intent.push;
    start(|| Caller::new(endpoint, caller), waits, host, options, nonce)
}

/// Brings objects back from the vault on `host`, or from that in `path` there.
pub fn restore(
    endpoint: &mut dyn Endpoint,
    wanted: Vec<ObjectId>,
    path: Option<String>,
    host: &SshHost,
    options: &SshOptions,
    nonce: Nonce,
) -> Result<(Brought, Traffic), SyncError> {
    start(|| Restorer::new(endpoint, wanted, path), false, host, options, nonce)
}

/// Starts ssh and runs the machine that `make` makes; `waits` until the far side is there before it is made.
fn start<M: Ending>(
    make: impl FnOnce() -> Result<M, SyncError>,
    waits: bool,
    host: &SshHost,
    options: &SshOptions,
    nonce: Nonce,
) -> Result<(M::Summary, Traffic), SyncError> {
    let mut command = command(host, options)?;
    let child = command
        .spawn()
        .map_err(|source| SshError::NoSsh { program: options.program.clone(), why: source.to_string() })?;
    let mut ssh = Ssh::new(child);
    let mut link_state = LinkState::default();
    let result = match converse(make, waits, options, nonce, &mut ssh, &mut link_state) {
        Ok(done) => {
            ssh.end();
            return Ok(done);
        }
        Err(error) => error,
    };
    match result {
        SyncError::Broke { .. } | SyncError::Silent { .. } | SyncError::Wire(_) if !link_state.is_ready => {
            let waited = options.patience.start.as_secs();
            let is_silent = matches!(result, SyncError::Silent { .. });
            let status = ssh.end();
            if link_state.is_echo {
                return Err(SyncError::Echo);
            }
            let host = host.to_string();
            if is_silent && link_state.noise.is_empty() {
                return Err(SshError::NoAnswer { host, seconds: waited }.into());
            }
            let code = status.and_then(|status| status.code());
            Err(classify(&host, &options.far_program, code, &ssh.said(), &link_state.noise).into())
        }
        other => Err(other),
    }
}

/// How far a link had come when it failed.
#[derive(Default)]
struct LinkState {
    is_ready: bool,
    is_echo: bool,
    noise: Vec<u8>,
}

fn converse<M: Ending>(
    make: impl FnOnce() -> Result<M, SyncError>,
    waits: bool,
    options: &SshOptions,
    nonce: Nonce,
    ssh: &mut Ssh,
    state: &mut LinkState,
) -> Result<(M::Summary, Traffic), SyncError> {
    let (Some(stdin), Some(stdout)) = (ssh.child.stdin.take(), ssh.child.stdout.take()) else {
        unreachable!("both were asked to be pipes");
    };
    let mut link = Link::call(stdout, stdin, nonce, options.patience);
    let result = (|| {
        if waits {
            link.wait_ready()?;
        }
        let mut machine = make()?;
        let traffic = link.run(&mut machine)?;
        let summary = machine.summary().ok_or(SyncError::Broke { waiting_for: "the end" })?;
        Ok((summary, traffic))
    })();
    *state = LinkState { is_ready: link.is_ready(), is_echo: link.is_echo(), noise: link.noise() };
    result
}

/// Tells what went wrong before the far side spoke the protocol.
pub fn classify(host: &str, far_program: &str, code: Option<i32>, stderr: &str, noise: &[u8]) -> SshError {
    let host = host.to_owned();
    let has = |needles: &[&str]| needles.iter().any(|needle| stderr.contains(needle));
    let said = last_line(stderr);
    if code == Some(255) {
        return if has(&["Could not resolve hostname", "Name or service not known"]) {
            SshError::UnknownHost { host, said }
        } else if has(&["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"]) {
            SshError::HostKey { host, said }
        } else if has(&[
            "Permission denied (",
            "Too many authentication failures",
            "No more authentication methods",
        ]) {
            SshError::LoginRefused { host, said }
        } else if has(&[
            "Connection refused",
            "Connection timed out",
            "Operation timed out",
            "No route to host",
            "Network is unreachable",
            "Connection closed by",
            "Connection reset by",
            "kex_exchange_identification",
            "Connection to ",
        ]) {
            SshError::Unreachable { host, said }
        } else {
            SshError::Failed { host, said }
        };
    }
    let not_found =
        has(&["command not found", ": not found", "No such file or directory", "Unknown command"]);
    if matches!(code, Some(126 | 127)) || (not_found && noise.is_empty()) {
        return SshError::FarProgramMissing { host, program: far_program.to_owned() };
    }
    let noise = String::from_utf8_lossy(noise);
    let printed =
        [noise.trim(), stderr.trim()].into_iter().find(|text| !text.is_empty()).unwrap_or("nothing");
    SshError::NoMark { host, said: mask(printed, 300).replace('\n', " | ") }
}

fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
    mask(line.trim(), 300)
}

/// A running ssh, ended when dropped.
struct Ssh {
    child: Child,
    stderr: Arc<Mutex<Kept>>,
}

/// The beginning and the end of a text of any length.
#[derive(Default)]
struct Kept {
    first: Vec<u8>,
    last: VecDeque<u8>,
    is_over: bool,
}

impl Kept {
    fn take(&mut self, bytes: &[u8]) {
        let room = STDERR_BYTES_KEPT.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend_from_slice(&bytes[..room]);
        self.last.extend(&bytes[room..]);
        let surplus = self.last.len().saturating_sub(STDERR_BYTES_KEPT);
        self.last.drain(..surplus);
    }
}

impl Ssh {
    fn new(mut child: Child) -> Ssh {
        let stderr = Arc::new(Mutex::new(Kept::default()));
        if let Some(mut pipe) = child.stderr.take() {
            let kept = stderr.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).take(&buffer[..count]);
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
            });
        }
        Ssh { child, stderr }
    }

    /// Waits a little for ssh to end by itself, then ends it.
    fn end(&mut self) -> Option<ExitStatus> {
        drop(self.child.stdin.take());
        let start = Instant::now();
        while start.elapsed() < END_WAIT {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(_) => break,
            }
        }
        let _it_may_have_ended = self.child.kill();
        self.child.wait().ok()
    }

    /// Returns what was printed on standard error, after it has ended or a moment has passed.
    fn said(&self) -> String {
        let start = Instant::now();
        loop {
            let kept = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.is_over || start.elapsed() > Duration::from_secs(1) {
                let mut bytes = kept.first.clone();
                bytes.extend(&kept.last);
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            drop(kept);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _it_may_have_ended = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_constant_but_for_host_and_program() {
        let host = SshHost::parse("me@[fe80::1%eth0]").expect("valid");
        let options = SshOptions { args: vec!["-F".into(), "x".into()], ..SshOptions::default() };
        let command = command(&host, &options).expect("valid");
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let expected = "-F x -T -a -x -e none -o ClearAllForwardings=yes -o PermitLocalCommand=no \
                        -o ConnectTimeout=30 -- me@fe80::1%eth0";
        assert_eq!(words[..words.len() - 1].join(" "), expected);
        assert_eq!(words.last().map(String::as_str), Some("mvault serve --stdio"));
    }

    #[test]
    fn a_far_program_that_a_shell_would_change_starts_nothing() {
        let host = SshHost::parse("pixel").expect("valid");
        for program in ["-x", "mvault; rm -rf x", "$(x)", "a b", ""] {
            let options = SshOptions { far_program: program.into(), ..SshOptions::default() };
            assert!(matches!(command(&host, &options), Err(SshError::BadFarProgram(_))), "{program:?}");
        }
    }

    #[test]
    fn failures_on_the_way_are_told_apart() {
        let cases = [
            (255, "ssh: Could not resolve hostname x: Name or service not known\r\n", "", "unknown-host"),
            (255, "ssh: connect to host x port 22: Connection refused\r\n", "", "unreachable"),
            (255, "ssh: connect to host x port 22: No route to host\r\n", "", "unreachable"),
            (255, "ssh: connect to host x port 22: Connection timed out\r\n", "", "unreachable"),
            (255, "kex_exchange_identification: read: Connection reset by peer\r\n", "", "unreachable"),
            (255, "me@x: Permission denied (publickey).\r\n", "", "login-refused"),
            (255, "Received disconnect: Too many authentication failures\r\n", "", "login-refused"),
            (255, "Host key verification failed.\r\n", "", "host-key"),
            (255, "Bad owner or permissions on /home/me/.ssh/config\r\n", "", "ssh"),
            (127, "bash: line 1: mvault: command not found\n", "", "far-program-missing"),
            (127, "sh: 1: mvault: not found\n", "Welcome!\n", "far-program-missing"),
            (126, "sh: mvault: Permission denied\n", "", "far-program-missing"),
            (1, "", "This account is not available.\n", "not-mvault"),
            (2, "error: unrecognized subcommand 'serve'\n", "", "not-mvault"),
            (0, "", "", "not-mvault"),
        ];
        for (code, stderr, noise, kind) in cases {
            let error = classify("x", "mvault", Some(code), stderr, noise.as_bytes());
            assert_eq!(error.kind(), kind, "{code} {stderr:?} {noise:?}: {error}");
            assert_eq!(error.class(), Class::Peer);
            assert!(!error.hint().is_empty());
        }
        let killed = classify("x", "mvault", None, "", b"");
        assert_eq!(killed.kind(), "not-mvault");
    }

    #[test]
    fn what_the_far_side_prints_is_masked_and_kept_in_part() {
        let error = classify("x", "mvault", Some(1), "", b"\x1b]0;title\x07\x1b[2Jhello\nthere");
        assert!(!error.to_string().contains(['\u{1b}', '\u{7}', '\n']), "{error}");
        assert!(error.to_string().contains("hello | there"), "{error}");
        let mut kept = Kept::default();
        kept.take(b"first");
        for _ in 0..1000 {
            kept.take(&[b'x'; 4096]);
        }
        kept.take(b"last");
        assert!(kept.first.starts_with(b"first") && kept.last.len() == STDERR_BYTES_KEPT);
        assert!(kept.last.iter().rev().take(4).eq(b"tsal"));
    }
}
