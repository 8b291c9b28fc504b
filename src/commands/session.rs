//! `session`: agents' sessions on this device.

use crate::object::typed;
use serde_json::{Value, json};

use super::commit::{refusal_exit, session_id, tell_refused};
use super::telling::commit_json;
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::agent::sessions;
use crate::ui::harmless;
use crate::vault::history::Walk;
use crate::vault::{Access, Session, SessionOrigin, SessionState, Vault};

/// So many commits, the newest, are looked through for a session's.
const COMMITS_LOOKED_AT: usize = 10_000;

/// Arguments of `session`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  export MVAULT_SESSION=$(mvault session start)
                                       begin one; every command that follows is part of it
  mvault session end $MVAULT_SESSION   commit what it changed, and bring in what waited for it
  mvault session list                  the sessions of this device
  mvault session show 7c1e             its turns, commits and refusals")]
pub struct SessionArgs {
    #[command(subcommand)]
    verb: SessionVerb,
}

#[derive(Debug, clap::Subcommand)]
enum SessionVerb {
    /// Begin a session, and print its id
    Start {
        /// An id of your own; without it one is made
        #[arg(value_name = "ID")]
        id: Option<String>,
        /// Which agent
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
    },
    /// Close a session: commit what is on disk in its name
    End {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// List the sessions of this device
    List,
    /// Show one
    Show {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Runs the verb that was given.
pub fn run(cx: &mut Context<'_>, args: &SessionArgs) -> CommandResult {
    match &args.verb {
        SessionVerb::Start { id, agent } => start(cx, id.as_deref(), agent.clone()),
        SessionVerb::End { id } => end(cx, id),
        SessionVerb::List => list(cx),
        SessionVerb::Show { id } => show(cx, id),
    }
}

fn start(cx: &mut Context<'_>, id: Option<&str>, agent: Option<String>) -> CommandResult {
    let mut vault = cx.open_vault(Access::Store)?;
    let id = match id {
        Some(text) => session_id(text)?,
        None => session_id(&hex::encode(&cx.env.random16()[..6]))?,
    };
    let known = vault.find_session(&id)?;
    let session = vault.begin_session(&id, SessionOrigin { agent, ..SessionOrigin::default() })?;
    if cx.ui.is_json() {
        cx.ui.json(&json!({"id": session.id, "started": session.started, "resumed": known.is_some()}))?;
    } else {
        cx.ui.line(&session.id)?;
    }
    Ok(Exit::Done)
}

fn end(cx: &mut Context<'_>, id: &str) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let id = session_id(id)?;
    if vault.find_session(&id)?.is_none() {
        return Err(no_session(id.as_str()));
    }
    let outcome = sessions::finish(&mut vault, &id)?;
    cx.tell_notices(&mut vault);
    let commit = outcome.as_ref().and_then(|outcome| outcome.commit.as_ref()).map(|(id, _)| *id);
    let refused = outcome.map(|outcome| outcome.refused).unwrap_or_default();
    if cx.ui.is_json() {
        cx.ui.json(&json!({"id": id.as_str(), "commit": commit.map(|id| id.to_string())}))?;
    } else {
        tell_refused(cx, &refused);
        match commit {
            Some(commit) => cx.ui.line(format_args!("{}  session {id} is closed", commit.short()))?,
            None => cx.ui.line(format_args!("session {id} is closed; there was nothing to commit"))?,
        }
    }
    Ok(refusal_exit(&refused))
}

fn no_session(id: &str) -> CommandError {
    CommandError::new(ErrorKind::NotFound, format!("this device knows no session {}", harmless(id)))
        .hint("`mvault session list` shows them; `mvault log --session ID` finds commits of other devices' sessions")
}

fn word(state: SessionState) -> &'static str {
    match state {
        SessionState::Open => "open",
        SessionState::Closing => "closing",
        SessionState::Closed => "closed",
        SessionState::Orphaned => "orphaned",
    }
}

fn session_json(vault: &Vault, session: &Session) -> Result<Value, CommandError> {
    Ok(json!({
        "id": session.id,
        "agent": session.agent,
        "started": session.started,
        "ended": session.ended,
        "state": word(session.state),
        "reason": session.reason,
        "turns": vault.turns(&session.id)?.len(),
        "base": session.base,
        "commit": session.commit,
    }))
}

fn list(cx: &mut Context<'_>) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let all = vault.sessions()?;
    if all.is_empty() && !cx.ui.is_json() {
        cx.ui.note("no session was begun here; `mvault hooks install AGENT` lets an agent begin them");
    }
    for session in all.iter().rev() {
        if cx.ui.is_json() {
            let object = session_json(&vault, session)?;
            cx.ui.json(&object)?;
            continue;
        }
        let agent = session.agent.as_deref().unwrap_or("-");
        let turns = vault.turns(&session.id)?.len();
        cx.ui.line(format_args!(
            "{:<36}  {:<8}  {}  {:<12}  {turns} turns",
            harmless(&session.id),
            word(session.state),
            harmless(&session.started),
            harmless(agent)
        ))?;
    }
    Ok(Exit::Done)
}

fn show(cx: &mut Context<'_>, id: &str) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let id = session_id(id)?;
    let known = vault.find_session(&id)?;
    let mut commits = Vec::new();
    for step in Walk::new(vault.store(), [vault.head()?])?.take(COMMITS_LOOKED_AT) {
        let (commit, body) = step?;
        if body.session.as_ref() == Some(&id) {
            commits.push((commit, body));
        }
    }
    if known.is_none() && commits.is_empty() {
        return Err(no_session(id.as_str()));
    }
    let turns = vault.turns(id.as_str())?;
    let refused = vault.rejections(Some(&id))?;
    if cx.ui.is_json() {
        let mut object = match &known {
            Some(session) => session_json(&vault, session)?,
            None => json!({"id": id.as_str(), "state": Value::Null}),
        };
        object["commits"] = commits.iter().map(|(id, commit)| commit_json(*id, commit)).collect();
        object["rejections"] = refused.len().into();
        cx.ui.json(&object)?;
        return Ok(Exit::Done);
    }
    if let Some(session) = &known {
        let agent = session.agent.as_deref().unwrap_or("an agent");
        let started = harmless(&session.started);
        cx.ui.line(format_args!(
            "session {id} of {}, {}, begun {started}",
            harmless(agent),
            word(session.state)
        ))?;
    }
    for (commit, body) in &commits {
        cx.ui.line(format_args!("  {}  {}", commit.short(), harmless(&body.title())))?;
    }
    if !refused.is_empty() {
        cx.ui.line(format_args!(
            "  {} refused: {}",
            refused.len(),
            typed("rejections").word(format!("--session={id}"))
        ))?;
    }
    for turn in &turns {
        let text = turn.text.as_deref().unwrap_or("(nothing was told)");
        let first = text.trim().lines().next().unwrap_or_default();
        cx.ui.line(format_args!("  {}  {}", harmless(&turn.at), harmless(first)))?;
    }
    Ok(Exit::Done)
}
