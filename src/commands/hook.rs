//! `hook`: what a host of agents runs. Its standard output is the host's contract, and it ends with 0
//! whatever happens.
//!
//! - Words that make no sense, a vault that fails, a fault of our own: `{}` or an honest sentence, never an
//!   error that a host would show as ours.
//! - Standard input is read for a bounded time: a host that does not close it must not hang itself.
//! - What was odd goes to standard error.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{CommandResult, Context, Exit, VaultStart};
use crate::agent::hooks::run::{BootKind, Briefing, HookError, HookVault, Request, deadline, respond};
use crate::agent::hooks::{Agent, Caller, Event, HookInput, STDIN_BYTES_MAX, Surroundings, Trigger};
use crate::fs::Disk;
use crate::ui::harmless_line;
use crate::vault::config::default_vault;
use crate::vault::{self, Access, OpenOptions};

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
    let agent = args.agent.as_deref().and_then(Agent::parse);
    let event = args.event.as_deref().and_then(Event::parse);
    let (Some(agent), Some(event)) = (agent, event) else {
        let words = [&args.agent, &args.event].map(|word| word.clone().unwrap_or_default()).join(" ");
        tell(cx, EMPTY_ANSWER, &[format!("there is no hook {words:?}: mvault hook AGENT EVENT")]);
        return Ok(Exit::Done);
    };
    let (stdin, told) = read_stdin();
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
    options: Result<OpenOptions, String>,
}

impl Opener {
    fn new(cx: &Context<'_>) -> Opener {
        Opener {
            disk: cx.disk.clone(),
            start: cx.vault_start.clone(),
            home: cx.var("HOME").map(PathBuf::from),
            options: cx.open_options(Access::Tree).map_err(|error| error.message),
        }
    }

    fn open(self, input: &HookInput) -> Result<Box<dyn HookVault>, HookError> {
        let folder = self.find(&input.caller)?;
        let mut options = self.options.map_err(HookError::Vault)?;
        options.session = input.caller.session.clone().or(options.session);
        Ok(Box::new(SessionVault { folder, options }))
    }

    /// Returns the vault's folder: the one that `MVAULT_DIR` names; the nearest around the folder we run in,
    /// the session's own folders; the user's default.
    fn find(&self, caller: &Caller) -> Result<PathBuf, HookError> {
        let start = match &self.start {
            VaultStart::Exactly(folder) => return Ok(folder.clone()),
            VaultStart::Search(start) => start,
        };
        let folders = std::iter::once(start).chain(&caller.folders);
        for folder in folders.filter(|folder| folder.is_absolute()) {
            if let Ok(found) = vault::find(&*self.disk, folder) {
                return Ok(found);
            }
        }
        let default = self.home.as_deref().map(|home: &Path| default_vault(&*self.disk, home));
        match default {
            Some(Ok(Some(folder))) => Ok(folder),
            Some(Err(error)) => Err(HookError::Vault(error.to_string())),
            None | Some(Ok(None)) => {
                let folder = caller.folders.first().unwrap_or(start).clone();
                Err(HookError::NoVault { folder })
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------
// TO BE FILLED: the vault's side. Until it is, every call answers with an error, which hosts are told as
// such, and the verb is not registered in `cli.rs`.
// ---------------------------------------------------------------------------------------------------------

/// The vault of a session. Runs on a thread that may be cut at any moment.
struct SessionVault {
    folder: PathBuf,
    options: OpenOptions,
}

impl SessionVault {
    fn not_built<T>(&self) -> Result<T, HookError> {
        let folder = self.folder.display();
        let session = self.options.session.as_ref().map_or("unknown", |session| session.as_str());
        Err(HookError::Vault(format!("hooks of the vault in {folder} are not built (session {session})")))
    }
}

impl HookVault for SessionVault {
    fn boot(&mut self, _: &Caller, _: BootKind, _units_max: usize) -> Result<Briefing, HookError> {
        self.not_built()
    }

    fn checkpoint(&mut self, _: &Caller, _: Trigger) -> Result<(), HookError> {
        self.not_built()
    }

    fn keep_summary(&mut self, _: &Caller, _summary: &str) -> Result<(), HookError> {
        self.not_built()
    }

    fn journal_turn(&mut self, _: &Caller, _text: Option<&str>) -> Result<(), HookError> {
        self.not_built()
    }

    fn close(&mut self, _: &Caller, _reason: Option<&str>) -> Result<(), HookError> {
        self.not_built()
    }
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
