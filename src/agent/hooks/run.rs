//! What a hook does between the host's words and our answer.
//!
//! - [`respond`] always returns a valid answer, whatever the vault does: an error, a panic and a passed
//!   deadline become an honest sentence, where the host has a place for one.
//! - The vault is opened and used on a thread of its own. When the deadline passes, the answer is given and
//!   the process ends; the vault is crash-safe, so work cut there is done or not, never by halves.
//! - A host is never blocked and a turn never continued by us.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::caps::BOOT_UNITS;
use super::{
    Agent, Caller, Event, Happening, HookInput, Reply, Source, Surroundings, Trigger, answer, parse,
};

/// The stack of the thread that uses the vault: as much as a main thread has.
const STACK_BYTES: usize = 8 << 20;

/// How much a boot tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootKind {
    /// Everything: the model knows nothing yet.
    Full,
    /// What is new since this session last knew: the model still has the rest.
    Delta,
    /// Goal, decisions, open items and the verified head: the model has a summary of the rest.
    AfterCompaction,
}

impl BootKind {
    /// Returns what a session needs that starts for a reason.
    pub fn of(source: Source) -> BootKind {
        match source {
            Source::Startup | Source::Clear => BootKind::Full,
            Source::Resume | Source::Fork => BootKind::Delta,
            Source::Compact => BootKind::AfterCompaction,
        }
    }
}

/// What a boot says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Briefing {
    /// For the model.
    pub text: String,
    /// For the person, one line.
    pub message: Option<String>,
}

/// Why the vault could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// No folder of the session lies in a vault and there is no default one. Told to nobody but standard
    /// error: hooks of a user fire in all folders.
    #[error("there is no vault for {}", crate::fs::shown(folder))]
    NoVault {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The only vaults around are ones that nobody made or confirmed on this device.
    #[error("{0}")]
    Untrusted(String),
    /// The vault failed.
    #[error("{0}")]
    Vault(String),
}

/// What a hook asks of the vault. Each call must be safe to cut at any moment and harmless when repeated.
pub trait HookVault {
    /// Tells what the agent should know, in at most `units_max` UTF-16 units; finishes or marks orphaned
    /// sessions of this device first.
    fn boot(&mut self, caller: &Caller, kind: BootKind, units_max: usize) -> Result<Briefing, HookError>;

    /// Commits before the context is compacted. The session may be unknown.
    fn checkpoint(&mut self, caller: &Caller, trigger: Trigger) -> Result<(), HookError>;

    /// Keeps the host's summary of a compaction as a distillate of the lowest trust.
    fn keep_summary(&mut self, caller: &Caller, summary: &str) -> Result<(), HookError>;

    /// Appends the end of a turn to the session's journal, synced; `text` is what the agent said last.
    fn journal_turn(&mut self, caller: &Caller, text: Option<&str>) -> Result<(), HookError>;

    /// Writes the intent to close, synced, and leaves the commit to a process of its own.
    fn close(&mut self, caller: &Caller, reason: Option<&str>) -> Result<(), HookError>;
}

/// What a host asked.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The host.
    pub agent: Agent,
    /// The event.
    pub event: Event,
    /// What it said on standard input.
    pub stdin: &'a [u8],
    /// What its environment tells.
    pub surroundings: Surroundings,
}

/// What is said back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For standard output, by the host's contract.
    pub stdout: Vec<u8>,
    /// For standard error, a line each; harmless only as far as its reader makes it.
    pub diagnostics: Vec<String>,
}

/// Returns how long the vault may take. Below what [`crate::agent::install`] allows the hook, so that the
/// host never has to end us; a person waits for the start of a session.
pub fn deadline(agent: Agent, event: Event) -> Duration {
    Duration::from_millis(match (agent, event) {
        (_, Event::SessionStart) => 2_000,
        (Agent::Codex, Event::SessionEnd) => 2_500,
        (_, Event::Stop | Event::PostCompact) => 8_000,
        (_, Event::PreCompact | Event::SessionEnd) => 16_000,
    })
}

/// Answers a host. `open` finds and opens the vault for a session; it runs under the same protection.
pub fn respond<O>(request: &Request<'_>, open: O, deadline: Duration) -> Answer
where
    O: FnOnce(&HookInput) -> Result<Box<dyn HookVault>, HookError> + Send + 'static,
{
    let mut input = parse(request.agent, request.event, request.stdin);
    input.fill_from(&request.surroundings);
    let mut diagnostics = input.diagnostics.clone();
    let reply = match act_in_time(input, open, deadline) {
        Ok((reply, told)) => {
            diagnostics.extend(told);
            reply
        }
        Err(failure) => {
            diagnostics.push(failure.to_string());
            degraded(request.event, &failure)
        }
    };
    Answer { stdout: answer(request.agent, request.event, &reply), diagnostics }
}

/// How the vault's side did not end well.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("mvault was not done within {} ms", deadline.as_millis())]
    Late { deadline: Duration },
    #[error("mvault has a fault of its own: {text}")]
    Panic { text: String },
    #[error(transparent)]
    Error(#[from] HookError),
}

type Done = (Reply, Option<String>);

fn act_in_time<O>(input: HookInput, open: O, deadline: Duration) -> Result<Done, Failure>
where
    O: FnOnce(&HookInput) -> Result<Box<dyn HookVault>, HookError> + Send + 'static,
{
    let (sender, receiver) = sync_channel(1);
    let work = move || {
        let done = catch_unwind(AssertUnwindSafe(|| act(&input, &mut *open(&input)?)));
        let done = match done {
            Ok(done) => done.map_err(Failure::from),
            Err(payload) => {
                let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
                Err(Failure::Panic { text: text.unwrap_or_default() })
            }
        };
        let _too_late_for_an_answer = sender.send(done);
    };
    let thread = std::thread::Builder::new().name("hook".to_owned()).stack_size(STACK_BYTES).spawn(work);
    if let Err(error) = thread {
        return Err(HookError::Vault(format!("no thread can be started: {error}")).into());
    }
    match receiver.recv_timeout(deadline) {
        Ok(done) => done,
        Err(RecvTimeoutError::Timeout) => Err(Failure::Late { deadline }),
        Err(RecvTimeoutError::Disconnected) => Err(Failure::Panic { text: "no answer".to_owned() }),
    }
}

/// Asks of the vault what the event needs; also returns what standard error should tell.
fn act(input: &HookInput, vault: &mut dyn HookVault) -> Result<Done, HookError> {
    let caller = &input.caller;
    let mut reply = Reply::default();
    let needs_session =
        !matches!(input.happening, Happening::SessionStart { .. } | Happening::PreCompact { .. });
    if needs_session && caller.session.is_none() {
        return Ok((reply, Some("the host named no session: nothing was written".to_owned())));
    }
    match &input.happening {
        Happening::SessionStart { source } => {
            let briefing = vault.boot(caller, BootKind::of(*source), BOOT_UNITS)?;
            reply = Reply { context: Some(briefing.text), message: briefing.message };
        }
        Happening::Stop { last_message } => vault.journal_turn(caller, last_message.as_deref())?,
        Happening::PreCompact { trigger } => vault.checkpoint(caller, *trigger)?,
        Happening::PostCompact { summary: Some(summary) } => vault.keep_summary(caller, summary)?,
        Happening::PostCompact { summary: None } => {
            return Ok((reply, Some("the host told no summary: nothing was written".to_owned())));
        }
        Happening::SessionEnd { reason } => vault.close(caller, reason.as_deref())?,
    }
    Ok((reply, None))
}

/// Returns what is said when the vault's side did not end well: facts, and where to look.
fn degraded(event: Event, failure: &Failure) -> Reply {
    if matches!(failure, Failure::Error(HookError::NoVault { .. })) {
        return Reply::default();
    }
    // One line for the person, once a session; nothing of such a vault is for the agent.
    if let Failure::Error(HookError::Untrusted(line)) = failure {
        let message = (event == Event::SessionStart).then(|| format!("mvault: {line}"));
        return Reply { context: None, message };
    }
    let what = match (event, failure) {
        (Event::SessionStart, Failure::Late { deadline }) => {
            format!("mvault could not verify the memory within {} ms", deadline.as_millis())
        }
        (Event::SessionStart, _) => format!("mvault could not read the memory: {failure}"),
        (Event::Stop, _) => format!("mvault did not journal this turn: {failure}"),
        (Event::PreCompact, _) => format!("mvault made no commit before the compaction: {failure}"),
        (Event::PostCompact, _) => format!("mvault did not keep the summary: {failure}"),
        (Event::SessionEnd, _) => format!("mvault did not close the session: {failure}"),
    };
    let context = format!(
        "{what}. Nothing of the memory is shown here, and it was not changed. \
         `mvault doctor` tells what holds on this machine, `mvault boot` prints the memory."
    );
    Reply {
        context: (event == Event::SessionStart).then_some(context),
        message: Some(format!("{what}. See `mvault doctor`.")),
    }
}
