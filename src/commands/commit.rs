//! `commit`: what is on disk becomes the next state of the vault.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::gateway::Reason;
use crate::object::SessionId;
use crate::ui::{harmless_line, json};
use crate::vault::{self, Access, Allowance, CommitOutcome, CommitRequest, Refused, Vault};
use crate::worktree::{Change, Status};

/// So many refused files are told one by one.
const REFUSED_TOLD_MAX: usize = 20;

/// Arguments of `commit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault commit                        keep everything, with a message made from the changes
  mvault commit -m 'session: billing'  the same with words of your own
  mvault commit continuity.md notes    only these; other edits stay as they are

  mvault commit --allow secret:notes/keys.md
                                       take this file although it holds what looks like a credential

A file that is refused stays on disk as it is, the commit keeps its last good version, and its bytes are
kept in quarantine: `mvault rejections` tells of them.

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
    #[command(flatten)]
    allow: AllowArgs,
    /// Only these files and folders
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// What a person lets through, for every verb that admits something.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AllowArgs {
    /// Let a reason for refusal not count this once, for one path or for all
    #[arg(long, value_name = "CODE[:PATH]")]
    allow: Vec<String>,
}

impl AllowArgs {
    /// Tells whether a word stands alone among them.
    pub fn has_word(&self, word: &str) -> bool {
        self.allow.iter().any(|text| text == word)
    }

    /// Returns what is let through; words of `others` are not looked at.
    pub fn parse(
        &self,
        cx: &Context<'_>,
        vault: &Vault,
        others: &[&str],
    ) -> Result<Vec<Allowance>, CommandError> {
        let mut allowed = Vec::new();
        for text in self.allow.iter().filter(|text| !others.contains(&text.as_str())) {
            let (code, path) = match text.split_once(':') {
                Some((code, path)) => (code, Some(path)),
                None => (text.as_str(), None),
            };
            let reason = Reason::from_code(code).ok_or_else(|| {
                let codes: Vec<&str> =
                    Reason::all().filter(|r| r.can_be_allowed()).map(Reason::code).collect();
                CommandError::usage(format!("--allow {}: no such reason", harmless_line(code.as_bytes())))
                    .hint(format!("the reasons are {}", codes.join(", ")))
            })?;
            if !reason.can_be_allowed() {
                return Err(CommandError::usage(format!("{code} cannot be allowed: {}", reason.as_str()))
                    .hint(reason.hint(path.unwrap_or("FILE").as_bytes())));
            }
            let path = path.map(|path| cx.vault_path(vault, Path::new(path))).transpose()?;
            allowed.push(Allowance { reason, path });
        }
        Ok(allowed)
    }
}

/// Commits.
pub fn run(cx: &mut Context<'_>, args: &CommitArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    if let Some(text) = &args.session {
        vault.set_session(Some(session_id(text)?));
    }
    let paths = args.paths.iter().map(|path| cx.vault_path(&vault, path)).collect::<Result<Vec<_>, _>>()?;
    for path in &paths {
        if !vault::is_there(&vault, path)? {
            let text = format!("there is no {path}, on disk or in the commit the files are of");
            return Err(CommandError::new(ErrorKind::NotFound, text)
                .hint("`mvault status` lists what changed; nothing was committed"));
        }
    }
    let request = CommitRequest {
        message: args.message.as_ref().map(|message| format!("{}\n", message.trim_end())),
        paths,
        is_strict: args.strict,
        allowed: args.allow.parse(cx, &vault, &[])?,
        operation: "commit",
        ..CommitRequest::default()
    };
    let outcome = vault::commit(&mut vault, &request)?;
    cx.tell_notices(&mut vault);
    tell(cx, &outcome)?;
    Ok(refusal_exit(&outcome.refused))
}

/// Returns the exit code of a command that left these out.
pub fn refusal_exit(refused: &[Refused]) -> Exit {
    if refused.iter().any(Refused::is_refusal) { Exit::Refused } else { Exit::Done }
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
    tell_refused(cx, &outcome.refused);
    for (path, trace) in &outcome.traces {
        cx.ui.note(trace.advice(&path.to_string()));
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

/// Says what was refused and what to do about it.
pub fn tell_refused(cx: &mut Context<'_>, refused: &[Refused]) {
    for refused in refused.iter().take(REFUSED_TOLD_MAX) {
        let path = harmless_line(&refused.path);
        let what = match refused.reason {
            Reason::TornLine => "is worth a look",
            Reason::MassDelete => "stays as it was in the vault",
            Reason::Restored => "is not committed",
            _ => "was left out",
        };
        cx.ui.warn(format_args!("{path} {what}: {}", refused.words()));
        for line in &refused.lines {
            cx.ui.note(format_args!("  {}", harmless_line(line.as_bytes())));
        }
        cx.ui.note(format_args!("  {}", refused.hint()));
    }
    if let more @ 1.. = refused.len().saturating_sub(REFUSED_TOLD_MAX) {
        cx.ui.warn(format_args!("and {more} more: `mvault rejections` lists them"));
    }
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
    let traces =
        outcome.traces.iter().map(|(path, trace)| json!({"path": path.to_string(), "kind": trace.code()}));
    object.insert("traces".into(), traces.collect());
    Value::Object(object)
}

/// Returns a change as JSON: path and status.
pub fn change_json(change: &Change) -> Value {
    let mut object = Map::new();
    json::put_path(&mut object, "path", change.path.as_bytes());
    object.insert("status".into(), status_word(change.status()).into());
    Value::Object(object)
}

/// Returns a refused file as JSON: path, reason code, words, and what is known of the content.
pub fn refused_json(refused: &Refused) -> Value {
    let mut object = Map::new();
    json::put_path(&mut object, "path", &refused.path);
    object.insert("reason".into(), refused.reason.code().into());
    object.insert("message".into(), refused.words().into());
    if !refused.lines.is_empty() {
        object.insert("lines".into(), json!(refused.lines));
    }
    object.insert("sha256".into(), json!(refused.sha256.map(|digest| digest.to_string())));
    object.insert("size".into(), json!(refused.size));
    object.insert("offset".into(), json!(refused.offset));
    object.insert("quarantined".into(), refused.is_kept.into());
    object.insert("hint".into(), refused.hint().into());
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
