//! `hook`: what a host of agents runs. Its standard output is the host's contract, and it ends with 0
//! whatever happens.
//!
//! - Words that make no sense, a vault that fails, a fault of our own: `{}` or an honest sentence, never an
//!   error that a host would show as ours.
//! - Standard input is read for a bounded time: a host that does not close it must not hang itself.
//! - What was odd goes to standard error.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Caller, CommandError, CommandResult, Context, ErrorKind, Exit, VaultStart};
use crate::agent::hooks::run::{HookError, HookVault, Request, deadline, respond};
use crate::agent::hooks::{self, Agent, Event, HookInput, STDIN_BYTES_MAX, Surroundings};
use crate::agent::sessions::SessionVault;
use crate::fs::Disk;
use crate::object::SessionId;
use crate::ui::harmless_line;
use crate::vault::config::default_vault;
use crate::vault::{self, Access, OpenOptions, Trust};

/// What is answered to words that make no sense: valid for every host and event.
pub const EMPTY_ANSWER: &[u8] = b"{}\n";
/// How long a host may take to say what it has to say.
const STDIN_WAIT: Duration = Duration::from_millis(1_000);

/// Arguments of `hook`. Anything is taken: a usage error would not be exit 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault hook claude-code session-start < event.json
  mvault hook codex stop < event.json

Hosts run it; `mvault hooks install AGENT` tells them to. The host's JSON comes on standard input, its contract goes
to standard output, everything else to standard error. Ends with 0 whatever happens.")]
pub struct HookArgs {
    /// claude-code, codex, gemini or cursor
    #[arg(value_name = "AGENT")]
    agent: Option<String>,
    /// session-start, stop, pre-compact, post-compact or session-end
    #[arg(value_name = "EVENT")]
    event: Option<String>,
    /// Ignored
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// Tells whether a command line asks for this verb, before it is known to make sense.
pub fn is_asked(words: &[OsString]) -> bool {
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            // Options of all verbs that take a value.
            Some("-C" | "--color") => {
                words.next();
            }
            Some(word) if word.starts_with('-') => {}
            other => return other == Some("hook"),
        }
    }
    false
}

/// Answers a host.
pub fn run(cx: &mut Context<'_>, args: &HookArgs) -> CommandResult {
    cx.caller = Caller::Program;
    let agent = args.agent.as_deref().and_then(Agent::parse);
    let event = args.event.as_deref().and_then(Event::parse);
    let (Some(agent), Some(event)) = (agent, event) else {
        let words = [&args.agent, &args.event].map(|word| word.clone().unwrap_or_default()).join(" ");
        tell(cx, EMPTY_ANSWER, &[format!("there is no hook {words:?}: mvault hook AGENT EVENT")]);
        return Ok(Exit::Done);
    };
    let (stdin, told) = match &cx.stdin {
        Some(given) => (given.clone(), None),
        None => read_stdin(),
    };
    let surroundings = surroundings(cx, agent);
    let request = Request { agent, event, stdin: &stdin, surroundings };
    let opener = Opener::new(cx);
    let answer = respond(&request, move |input| opener.open(input), deadline(agent, event));
    let diagnostics: Vec<String> = told.into_iter().chain(answer.diagnostics).collect();
    tell(cx, &answer.stdout, &diagnostics);
    Ok(Exit::Done)
}

fn tell(cx: &mut Context<'_>, stdout: &[u8], diagnostics: &[String]) {
    for line in diagnostics {
        cx.ui.warn(harmless_line(line.as_bytes()));
    }
    let _the_host_went_away = cx.ui.bytes(stdout);
}

/// Reads standard input to its end, to the longest that is read, or as far as it came in time; a person's
/// terminal says nothing.
fn read_stdin() -> (Vec<u8>, Option<String>) {
    if io::stdin().is_terminal() {
        return (Vec::new(), None);
    }
    let shared: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (sender, finished) = sync_channel(1);
    let bytes = shared.clone();
    std::thread::spawn(move || {
        let mut block = vec![0; 1 << 16];
        let mut stdin = io::stdin().lock();
        while let Ok(n @ 1..) = stdin.read(&mut block) {
            let mut bytes = bytes.lock().expect("nobody panics with it");
            bytes.extend_from_slice(&block[..n]);
            if bytes.len() > STDIN_BYTES_MAX {
                break;
            }
        }
        let _nobody_waits_any_more = sender.send(());
    });
    let in_time = finished.recv_timeout(STDIN_WAIT).is_ok();
    let bytes = std::mem::take(&mut *shared.lock().expect("nobody panics with it"));
    let told = (!in_time).then(|| "the host did not close standard input".to_owned());
    (bytes, told)
}

fn surroundings(cx: &Context<'_>, agent: Agent) -> Surroundings {
    let (session, folder) = match agent {
        Agent::ClaudeCode => (cx.var("CLAUDE_CODE_SESSION_ID"), cx.var("CLAUDE_PROJECT_DIR")),
        Agent::Gemini => (cx.var("GEMINI_SESSION_ID"), cx.var("GEMINI_PROJECT_DIR")),
        Agent::Cursor => (None, cx.var("CURSOR_PROJECT_DIR")),
        Agent::Codex => (None, None),
    };
    Surroundings { session: session.map(str::to_owned), folder: folder.map(PathBuf::from) }
}

/// Finds the vault of a session and opens it, on the thread that has a deadline.
struct Opener {
    disk: Arc<dyn Disk>,
    start: VaultStart,
    home: Option<PathBuf>,
    trust: Trust,
    options: Result<OpenOptions, String>,
}

impl Opener {
    fn new(cx: &Context<'_>) -> Opener {
        Opener {
            disk: cx.disk.clone(),
            start: cx.vault_start.clone(),
            home: cx.home(),
            trust: cx.trust(),
            options: cx.open_options(Access::Tree).map_err(|error| error.message),
        }
    }

    fn open(self, input: &HookInput) -> Result<Box<dyn HookVault>, HookError> {
        let Found { folder, passed_over } = self.find(&input.caller)?;
        let mut options = self.options.map_err(HookError::Vault)?;
        options.session = input.caller.session.clone().or(options.session);
        let vault = SessionVault::new(folder, options, Box::new(finish_detached));
        Ok(Box::new(vault.passed_over(passed_over)))
    }

    /// Returns the vault's folder.
    fn find(&self, caller: &hooks::Caller) -> Result<Found<PathBuf>, HookError> {
        let home = self.home.as_deref();
        let found = find_vault(&*self.disk, &self.start, &caller.folders, home, &self.trust);
        let Found { folder, passed_over } = found.map_err(|error| HookError::Vault(error.message))?;
        match (folder, passed_over.first()) {
            (Some(folder), _) => Ok(Found { folder, passed_over }),
            (None, Some(_)) => Err(HookError::Untrusted(passed_over.join("; "))),
            (None, None) => {
                let (VaultStart::Exactly(start) | VaultStart::Search(start)) = &self.start;
                Err(HookError::NoVault { folder: caller.folders.first().unwrap_or(start).clone() })
            }
        }
    }
}

/// Where a program's vault is, and which were not used on the way to it.
pub(super) struct Found<T> {
    /// The vault's folder.
    pub folder: T,
    /// A line for each vault that nobody confirmed on this device, with what to type.
    pub passed_over: Vec<String>,
}

/// Finds the vault of a program that a host of agents started: the one that `MVAULT_DIR` names; the nearest around
/// the folder it runs in, or the session's own folders; the user's default. One that nobody made or confirmed on this
/// device is passed over, as if it were not there.
pub(super) fn find_vault(
    disk: &dyn Disk,
    start: &VaultStart,
    folders: &[PathBuf],
    home: Option<&Path>,
    trust: &Trust,
) -> Result<Found<Option<PathBuf>>, CommandError> {
    let mut passed_over = Vec::new();
    let mut is_trusted = |folder: &Path| match vault::check_trust(disk, folder, trust) {
        Err(error) if error.kind() == vault::ErrorKind::Untrusted => {
            let line = format!("{error}: {}", error.hint());
            if !passed_over.contains(&line) {
                passed_over.push(line);
            }
            false
        }
        // Any other failure is told by whoever opens it.
        _ => true,
    };
    let start = match start {
        VaultStart::Exactly(folder) => {
            let folder = is_trusted(folder).then(|| folder.clone());
            return Ok(Found { folder, passed_over });
        }
        VaultStart::Search(start) => start,
    };
    for folder in std::iter::once(start).chain(folders).filter(|folder| folder.is_absolute()) {
        let mut above = Some(folder.clone());
        while let Some(found) = above.and_then(|above| vault::find(disk, &above).ok()) {
            if is_trusted(&found) {
                return Ok(Found { folder: Some(found), passed_over });
            }
            above = found.parent().map(Path::to_path_buf);
        }
    }
    let default = home.map_or(Ok(None), |home| default_vault(disk, home));
    let default = default.map_err(|error| CommandError::from_error(ErrorKind::Failed, &error))?;
    let folder = default.filter(|folder| is_trusted(folder));
    Ok(Found { folder, passed_over })
}

/// Starts a process of its own that closes the session: hosts allow the end of a session too little time for a
/// commit, and end what the hook started together with it.
fn finish_detached(folder: &Path, session: &SessionId) -> io::Result<()> {
    let mut finisher = std::process::Command::new(std::env::current_exe()?);
    finisher.arg("-C").arg(folder).args(["session", "end", "--", session.as_str()]);
    finisher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    finisher.process_group(0).spawn().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_recognised_before_its_words_make_sense() {
        let asked = |line: &str| is_asked(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in
            ["mvault hook", "mvault hook codex stop", "mvault -C /x --json hook --bogus", "m -q hook a b c d"]
        {
            assert!(asked(line), "{line}");
        }
        for line in
            ["mvault", "mvault hooks status", "mvault -C hook", "mvault note hook", "mvault --color hook"]
        {
            assert!(!asked(line), "{line}");
        }
    }
}
