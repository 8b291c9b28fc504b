//! Agents' sessions on this device: begun, journaled turn by turn, closed by a commit.
//!
//! - `.mvault/sessions/<id>.json` is what is known of one; `<id>.turns` its journal, a JSON object a line.
//!   Both are of this device alone, and no truth rests on them: commits carry their session themselves.
//! - Closing is crash-proof: the intent is synced first, the commit follows, and then the mark. Whoever
//!   starts a session next finishes what was cut. Closing twice commits nothing twice.
//! - While a session is open, what other devices bring waits: the files an agent has read do not change
//!   under it, so it cannot take back what it never saw.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::commit::{CommitOutcome, CommitRequest, commit_locked};
use super::write::refuse_secret_words;
use super::{Result, Vault, VaultLock};
use crate::fs::{self, Dir, Lock};
use crate::object::{CommitId, SessionId, read_line, seal_line};

pub(super) const SESSIONS: &str = "sessions";
pub(super) const ENDING: &str = ".json";
pub(super) const TURNS: &str = ".turns";
const STATE_BYTES_MAX: u64 = 64 << 10;
const TURNS_BYTES_MAX: u64 = 64 << 20;
/// The longest end of a message that a journal keeps, in bytes.
const TURN_TEXT_BYTES_MAX: usize = 4 << 10;
/// How long a turn waits for another one to be written.
const TURN_WAIT: Duration = Duration::from_secs(5);
/// A session without a turn for so long counts as left behind: a device is not kept waiting for ever.
const QUIET_NS_MAX: i128 = 12 * 3600 * 1_000_000_000;

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// It goes on.
    Open,
    /// Its end was announced; the commit may be missing.
    Closing,
    /// It was committed.
    Closed,
    /// Its host went away without a word; what it left was committed by a later one.
    Orphaned,
}

/// What this device knows of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Which agent, as far as it was said.
    #[serde(default)]
    pub agent: Option<String>,
    /// When it began, RFC 3339.
    pub started: String,
    /// When it was closed, RFC 3339.
    #[serde(default)]
    pub ended: Option<String>,
    /// How far it has come.
    pub state: SessionState,
    /// The process that hosts the agent, as a number and when it began, where the system tells.
    #[serde(default)]
    pub host: Option<String>,
    /// The branch's head when it began.
    #[serde(default)]
    pub base: Option<String>,
    /// The commit that closed it.
    #[serde(default)]
    pub commit: Option<String>,
    /// Why it ended, in the host's word.
    #[serde(default)]
    pub reason: Option<String>,
    /// Where the host keeps the transcript.
    #[serde(default)]
    pub transcript: Option<String>,
}

/// A line of a session's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// When the turn ended, RFC 3339.
    pub at: String,
    /// The end of what the agent said last.
    #[serde(default)]
    pub text: Option<String>,
}

/// Who begins a session.
#[derive(Clone, Debug, Default)]
pub struct SessionOrigin {
    /// Which agent.
    pub agent: Option<String>,
    /// The process that hosts it.
    pub host: Option<String>,
    /// Where the host keeps the transcript.
    pub transcript: Option<String>,
}

impl Vault {
    fn sessions_folder(&self) -> Result<Dir> {
        Ok(self.dot.open_or_create_dir(SESSIONS)?)
    }

    /// Returns what is known of a session.
    pub fn find_session(&self, id: &SessionId) -> Result<Option<Session>> {
        let folder = match self.dot.open_dir(SESSIONS) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        let bytes = folder.try_read(format!("{id}{ENDING}"), STATE_BYTES_MAX)?;
        Ok(bytes.and_then(|bytes| read_line(bytes.trim_ascii_end())))
    }

    /// Returns the sessions of this device, the oldest first.
    pub fn sessions(&self) -> Result<Vec<Session>> {
        let folder = match self.dot.open_dir(SESSIONS) {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for (name, _) in folder.list()? {
            let id = name.to_str().and_then(|name| name.strip_suffix(ENDING)).and_then(SessionId::parse);
            if let Some(id) = id
                && let Some(session) = self.find_session(&id)?
            {
                found.push(session);
            }
        }
        found.sort_by(|a, b| a.started.cmp(&b.started).then_with(|| a.id.cmp(&b.id)));
        Ok(found)
    }

    fn save_session(&self, session: &Session) -> Result<()> {
        let (bytes, _) = seal_line(session);
        let name = format!("{}{ENDING}", session.id);
        Ok(fs::replace_file(&self.sessions_folder()?, name, &bytes, 0o600)?)
    }

    /// Begins a session, or goes on with it.
    pub fn begin_session(&mut self, id: &SessionId, origin: SessionOrigin) -> Result<Session> {
        let now = self.env.clock.now().rfc3339();
        let head = self.log.refs().head().map(|head: CommitId| head.to_string());
        let SessionOrigin { agent, host, transcript } = origin;
        refuse_secret_words("the session's id", id.as_str(), &[])?;
        refuse_secret_words("the agent's name", agent.as_deref().unwrap_or_default(), &[])?;
        let session = match self.find_session(id)? {
            Some(known) => Session {
                state: SessionState::Open,
                ended: None,
                agent: agent.or(known.agent),
                host: host.or(known.host),
                transcript: transcript.or(known.transcript),
                ..known
            },
            None => Session {
                id: id.to_string(),
                agent,
                started: now,
                ended: None,
                state: SessionState::Open,
                host,
                base: head,
                commit: None,
                reason: None,
                transcript,
            },
        };
        self.save_session(&session)?;
        self.session = Some(id.clone());
        Ok(session)
    }

    /// Adds the end of a turn to a session's journal, synced.
    pub fn journal_turn(&mut self, id: &SessionId, origin: SessionOrigin, text: Option<&str>) -> Result<()> {
        let is_open = self.find_session(id)?.is_some_and(|session| session.state == SessionState::Open);
        if !is_open {
            self.begin_session(id, origin)?;
        }
        let turn = Turn { at: self.env.clock.now().rfc3339(), text: text.map(end_of) };
        let folder = self.sessions_folder()?;
        // Two turns at a time would be written to one place.
        let _one_at_a_time = Lock::acquire(&folder, "lock", TURN_WAIT, "a turn of a session")?;
        let name = format!("{id}{TURNS}");
        let mut bytes = folder.try_read(&name, TURNS_BYTES_MAX)?.unwrap_or_default();
        if bytes.last().is_some_and(|last| *last != b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend(seal_line(&turn).0);
        // Written whole: after a power cut an appended line could be zeros, which nobody can tell from damage.
        fs::replace_file(&folder, &name, &bytes, 0o600)?;
        Ok(())
    }

    /// Returns a session's journal; lines that were torn are left out.
    pub fn turns(&self, id: &str) -> Result<Vec<Turn>> {
        let bytes = match self.dot.open_dir(SESSIONS) {
            Err(error) if error.is_not_found() => None,
            other => other?.try_read(format!("{id}{TURNS}"), TURNS_BYTES_MAX)?,
        };
        let bytes = bytes.unwrap_or_default();
        Ok(bytes.split(|b| *b == b'\n').filter_map(read_line).collect())
    }

    /// Announces the end of a session, synced: from here on whoever starts next will finish it.
    pub fn announce_end(
        &mut self,
        id: &SessionId,
        origin: SessionOrigin,
        reason: Option<&str>,
    ) -> Result<()> {
        let mut session = match self.find_session(id)? {
            Some(session) => session,
            None => self.begin_session(id, origin)?,
        };
        if session.state == SessionState::Closed {
            return Ok(());
        }
        session.state = SessionState::Closing;
        session.reason = reason.map(str::to_owned).or(session.reason);
        self.save_session(&session)
    }

    /// Returns a session that is open here, other than `own`, and that is not long silent.
    pub fn open_session(&self, own: Option<&SessionId>) -> Result<Option<Session>> {
        for session in self.sessions()? {
            let is_own = own.is_some_and(|own| own.as_str() == session.id);
            if session.state == SessionState::Open && !is_own && !self.is_silent(&session)? {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    /// Both times come from the file system's clock.
    fn is_silent(&self, session: &Session) -> Result<bool> {
        let folder = self.sessions_folder()?;
        let mut last = 0;
        for name in [format!("{}{ENDING}", session.id), format!("{}{TURNS}", session.id)] {
            last = last.max(folder.try_stat(name)?.map_or(0, |stat| stat.mtime_ns));
        }
        Ok(crate::worktree::file_system_now(&self.dot)? - last > QUIET_NS_MAX)
    }
}

fn end_of(text: &str) -> String {
    let mut start = text.len().saturating_sub(TURN_TEXT_BYTES_MAX);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

/// Closes a session: commits what is on disk in its name, then marks it. Nothing is committed twice.
pub fn close_session(
    vault: &mut Vault,
    id: &SessionId,
    state: SessionState,
) -> Result<Option<CommitOutcome>> {
    let lock = vault.lock("session")?;
    close_locked(vault, &lock, id, state)
}

fn close_locked(
    vault: &mut Vault,
    lock: &VaultLock,
    id: &SessionId,
    state: SessionState,
) -> Result<Option<CommitOutcome>> {
    let Some(mut session) = vault.find_session(id)? else { return Ok(None) };
    if matches!(session.state, SessionState::Closed | SessionState::Orphaned) {
        return Ok(None);
    }
    let before = vault.session.replace(id.clone());
    let outcome = commit_for(vault, lock, &session);
    vault.session = before;
    let outcome = outcome?;
    session.state = state;
    session.ended = Some(vault.env.clock.now().rfc3339());
    if let Some((commit, _)) = outcome.as_ref().and_then(|outcome| outcome.commit.as_ref()) {
        session.commit = Some(commit.to_string());
    }
    vault.save_session(&session)?;
    Ok(outcome)
}

/// A parked tree is only looked at: what an agent changed there stays as it is, and is told.
fn commit_for(vault: &mut Vault, lock: &VaultLock, session: &Session) -> Result<Option<CommitOutcome>> {
    if vault.parked().is_some() {
        vault
            .notices
            .push("the tree is parked at an older state: the session's edits stay uncommitted".into());
        return Ok(None);
    }
    let agent = session.agent.as_deref().map(|agent| format!("{agent} ")).unwrap_or_default();
    let request = CommitRequest {
        operation: "commit",
        title: Some(format!("{agent}session")),
        ..CommitRequest::default()
    };
    commit_locked(vault, lock, &request).map(Some)
}

/// Finishes what other sessions of this device left behind: those whose end was announced, and those whose
/// host is gone. `is_gone` tells that of a host; `own` is the session that starts. Returns their ids.
pub fn finish_orphans(
    vault: &mut Vault,
    own: Option<&SessionId>,
    is_gone: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let mut finished = Vec::new();
    for session in vault.sessions()? {
        if own.is_some_and(|own| own.as_str() == session.id) {
            continue;
        }
        let state = match session.state {
            SessionState::Closing => SessionState::Closed,
            SessionState::Open if session.host.as_deref().is_none_or(is_gone) => SessionState::Orphaned,
            _ => continue,
        };
        if let Some(id) = SessionId::parse(&session.id) {
            close_session(vault, &id, state)?;
            finished.push(session.id);
        }
    }
    Ok(finished)
}
