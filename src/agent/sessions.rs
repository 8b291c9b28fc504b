//! The vault's side of hooks: what each event of a host does to the vault.
//!
//! - Each act can be cut at any moment and repeated: state files are replaced whole, the intent to close is
//!   synced before anything else, and whoever starts next finishes what was cut.
//! - A start never fails because something before the boot did: what went wrong is told with the boot.

use std::path::PathBuf;

use super::boot::{self, BootRequest};
use super::hooks::Caller;
use super::hooks::Trigger;
use super::hooks::run::{BootKind, Briefing, HookError, HookVault};
use crate::fs::process_mark;
use crate::object::{SessionId, VaultPath};
use crate::vault::{
    self, Accepts, CommitRequest, IfMatch, OpenOptions, Selection, SessionOrigin, SessionState, Standing,
    Vault, WriteMode, WriteRequest,
};

/// The folder of summaries that hosts make when they compact a context.
const SUMMARIES: &str = "distillates/compactions";

/// Starts a process that closes a session when the hook is over: the vault's folder and the session.
pub type Finisher = Box<dyn Fn(&std::path::Path, &SessionId) -> std::io::Result<()> + Send>;

/// The vault of a session. Runs on a thread that may be cut at any moment.
pub struct SessionVault {
    folder: PathBuf,
    options: OpenOptions,
    finisher: Finisher,
    passed_over: Vec<String>,
}

fn failed(error: vault::Error) -> HookError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    HookError::Vault(text)
}

impl SessionVault {
    /// Makes the side of the vault in `folder`.
    pub fn new(folder: PathBuf, options: OpenOptions, finisher: Finisher) -> SessionVault {
        SessionVault { folder, options, finisher, passed_over: Vec::new() }
    }

    /// Adds what the person is to read of vaults that were not used.
    pub fn passed_over(mut self, lines: Vec<String>) -> SessionVault {
        self.passed_over = lines;
        self
    }

    fn open(&self) -> Result<Vault, HookError> {
        Vault::open(&self.folder, self.options.clone()).map_err(failed)
    }

    fn origin(&self, caller: &Caller) -> SessionOrigin {
        SessionOrigin {
            agent: Some(caller.agent.as_str().to_owned()),
            host: process_mark(&*self.options.disk, std::os::unix::process::parent_id()),
            transcript: caller.transcript.as_ref().map(|path| path.to_string_lossy().into_owned()),
        }
    }
}

/// Puts a vault in order before an agent is told of it: finishes what earlier sessions left, commits edits of the
/// files that are told, and brings together what waited. What fails is returned in words.
pub fn prepare(vault: &mut Vault) -> Vec<String> {
    let mut told = Vec::new();
    let disk = vault.disk().clone();
    let parent = std::os::unix::process::parent_id();
    // A host that starts a session has ended the one before.
    let is_gone = |host: &str| {
        let pid = host.split(' ').next().and_then(|pid| pid.parse().ok());
        pid == Some(parent) || pid.is_none_or(|pid| process_mark(&*disk, pid).as_deref() != Some(host))
    };
    let own = vault.session().cloned();
    match vault::finish_orphans(vault, own.as_ref(), &is_gone) {
        Ok(finished) if finished.is_empty() => {}
        Ok(finished) => told.push(format!("finished what was left of session {}", finished.join(", "))),
        Err(error) => told.push(format!("an earlier session could not be finished: {error}")),
    }
    if let Err(error) = commit_told_files(vault) {
        told.push(format!("edits could not be committed: {error}"));
    }
    if let Err(error) = bring_together(vault) {
        told.push(format!("what other devices brought waits: {error}"));
    }
    told
}

fn commit_told_files(vault: &mut Vault) -> vault::Result<()> {
    if vault.parked().is_some() {
        return Ok(());
    }
    let mut edited = Vec::new();
    for path in boot::wanted_paths(vault)? {
        if matches!(vault::standing(vault, &path)?, Standing::Edited) {
            edited.push(path);
        }
    }
    if !edited.is_empty() {
        let request = CommitRequest { paths: edited, operation: "commit", ..CommitRequest::default() };
        vault::commit(vault, &request)?;
    }
    Ok(())
}

fn bring_together(vault: &mut Vault) -> vault::Result<()> {
    if vault.offered().is_empty() || vault.parked().is_some() || !vault.held().is_empty() {
        return Ok(());
    }
    let accepts = Accepts { session: true, ..Accepts::default() };
    vault::reconcile(vault, &accepts, &Selection::default()).map(|_| ())
}

/// Closes a session and brings in what waited for it.
pub fn finish(vault: &mut Vault, id: &SessionId) -> vault::Result<Option<vault::CommitOutcome>> {
    let outcome = vault::close_session(vault, id, SessionState::Closed)?;
    bring_together(vault)?;
    Ok(outcome)
}

impl HookVault for SessionVault {
    fn boot(&mut self, caller: &Caller, kind: BootKind, units_max: usize) -> Result<Briefing, HookError> {
        let mut vault = self.open()?;
        let mut told = std::mem::take(&mut self.passed_over);
        if let Some(id) = &caller.session
            && let Err(error) = vault.begin_session(id, self.origin(caller))
        {
            told.push(format!("the session is not journaled: {error}"));
        }
        if kind != BootKind::AfterCompaction {
            told.extend(prepare(&mut vault));
        }
        let agent = Some(caller.agent.as_str().to_owned());
        let boot = boot::boot(&mut vault, &BootRequest { kind, units_max, agent }).map_err(failed)?;
        told.extend(vault.take_notices());
        let message =
            if told.is_empty() { boot.message } else { format!("{}; {}", boot.message, told.join("; ")) };
        Ok(Briefing { text: boot.text, message: Some(message) })
    }

    fn checkpoint(&mut self, caller: &Caller, _: Trigger) -> Result<(), HookError> {
        let mut vault = self.open()?;
        vault.set_session(caller.session.clone());
        if vault.parked().is_some() {
            return Ok(());
        }
        let title = Some("checkpoint before a compaction".to_owned());
        let request = CommitRequest { title, operation: "commit", ..CommitRequest::default() };
        vault::commit(&mut vault, &request).map(|_| ()).map_err(failed)
    }

    fn keep_summary(&mut self, caller: &Caller, summary: &str) -> Result<(), HookError> {
        let mut vault = self.open()?;
        vault.set_session(caller.session.clone());
        let session = caller.session.as_ref().map_or("unknown", SessionId::as_str);
        let now = vault.env().clock.now().rfc3339();
        let moment: String = now.chars().take(19).map(|c| if c == ':' { '-' } else { c }).collect();
        let device = vault.config().device.clone();
        let path = format!("{SUMMARIES}/{moment}-{device}-{session}.md");
        let path = VaultPath::parse(path).map_err(|error| HookError::Vault(error.to_string()))?;
        let text = format!(
            "# Summary of a compacted context\n\nMade by {} in session {session} on {device}, {now}. A machine's summary: low trust.\n\n{}\n",
            caller.agent.title(),
            summary.trim_end()
        );
        // A summary of the same second is the same summary, or one too many.
        let if_match = IfMatch::Absent;
        let request = WriteRequest {
            path,
            bytes: text.into_bytes(),
            if_match,
            mode: WriteMode::Replace,
            allowed: Vec::new(),
        };
        match vault::write(&mut vault, request) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == vault::ErrorKind::Stale => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    fn journal_turn(&mut self, caller: &Caller, text: Option<&str>) -> Result<(), HookError> {
        let Some(id) = &caller.session else { return Ok(()) };
        let mut vault = self.open()?;
        vault.journal_turn(id, self.origin(caller), text).map_err(failed)
    }

    fn close(&mut self, caller: &Caller, reason: Option<&str>) -> Result<(), HookError> {
        let Some(id) = &caller.session else { return Ok(()) };
        let mut vault = self.open()?;
        vault.announce_end(id, self.origin(caller), reason).map_err(failed)?;
        if (self.finisher)(&self.folder, id).is_ok() {
            return Ok(());
        }
        finish(&mut vault, id).map(|_| ()).map_err(failed)
    }
}
