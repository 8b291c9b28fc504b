//! `commit`: what is on disk becomes the next state of the vault.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{CommandError, CommandResult, Context, Exit};
use crate::object::SessionId;
use crate::ui::{harmless_line, json};
use crate::vault::{self, Access, CommitOutcome, CommitRequest, Refused};
use crate::worktree::{Change, Status};

/// Arguments of `commit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault commit                        keep everything, with a message made from the changes
  mvault commit -m 'session: billing'  the same with words of your own
  mvault commit continuity.md notes    only these; other edits stay as they are

Exit code 0: committed, or nothing to do; 3: committed, but some files were refused and are listed.")]
pub struct CommitArgs {
    /// What was done; without it a line is made from the changes
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// The agent's session that this closes
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Refuse the whole commit if any file is refused
    #[arg(long)]
    strict: bool,
    /// Only these files and folders
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Commits.
pub fn run(cx: &mut Context<'_>, args: &CommitArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    if let Some(text) = &args.session {
        vault.set_session(Some(session_id(text)?));
    }
    let paths = args.paths.iter().map(|path| cx.vault_path(&vault, path)).collect::<Result<Vec<_>, _>>()?;
    let request = CommitRequest {
        message: args.message.as_ref().map(|message| format!("{}\n", message.trim_end())),
        paths,
        is_strict: args.strict,
        operation: "commit",
    };
    let outcome = vault::commit(&mut vault, &request)?;
    cx.tell_notices(&mut vault);
    tell(cx, &outcome)?;
    Ok(if outcome.refused.is_empty() { Exit::Done } else { Exit::Refused })
}

/// Parses a session id of the command line.
pub fn session_id(text: &str) -> Result<SessionId, CommandError> {
    SessionId::parse(text).ok_or_else(|| {
        CommandError::usage("that is no session id").hint(
            "a session id has up to 128 letters, digits, dots, dashes and underscores, and no leading dot",
        )
    })
}

fn tell(cx: &mut Context<'_>, outcome: &CommitOutcome) -> Result<(), CommandError> {
    if cx.ui.is_json() {
        return Ok(cx.ui.json(&as_json(outcome))?);
    }
    for refused in &outcome.refused {
        cx.ui.warn(format_args!("{} was left out: {}", harmless_line(&refused.path), refused.reason));
    }
    match &outcome.commit {
        None => cx.ui.note("nothing to commit"),
        Some((id, commit)) => {
            let files = match outcome.changes.len() {
                1 => "1 file".to_owned(),
                n => format!("{n} files"),
            };
            cx.ui.line(format_args!(
                "{}  {} ({files})",
                id.short(),
                harmless_line(commit.title().as_bytes())
            ))?;
        }
    }
    Ok(())
}

fn as_json(outcome: &CommitOutcome) -> Value {
    let mut object = Map::new();
    match &outcome.commit {
        None => {
            object.insert("id".into(), Value::Null);
        }
        Some((id, commit)) => {
            let parents: Vec<String> = commit.parents.iter().map(ToString::to_string).collect();
            object.insert("id".into(), id.to_string().into());
            object.insert("tree".into(), commit.tree.to_string().into());
            object.insert("parents".into(), parents.into());
            object.insert("lamport".into(), commit.lamport.0.into());
        }
    }
    object.insert("changed".into(), outcome.changes.iter().map(change_json).collect());
    object.insert("rejected".into(), outcome.refused.iter().map(refused_json).collect());
    object.insert("passed_over".into(), outcome.passed_over.iter().map(refused_json).collect());
    Value::Object(object)
}

/// Returns a change as JSON: path and status.
pub fn change_json(change: &Change) -> Value {
    let mut object = Map::new();
    json::put_path(&mut object, "path", change.path.as_bytes());
    object.insert("status".into(), status_word(change.status()).into());
    Value::Object(object)
}

/// Returns a refused file as JSON: path, reason code and words.
pub fn refused_json(refused: &Refused) -> Value {
    let mut object = Map::new();
    json::put_path(&mut object, "path", &refused.path);
    object.insert("reason".into(), refused.code.into());
    object.insert("message".into(), json!(refused.reason));
    Value::Object(object)
}

/// Returns the word for a status.
pub fn status_word(status: Status) -> &'static str {
    match status {
        Status::Added => "added",
        Status::Modified => "modified",
        Status::Deleted => "deleted",
    }
}
