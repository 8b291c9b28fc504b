//! `write` and `seal`: content of other programs into the vault atomically; distillates under a new seal.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::commit::{AllowArgs, change_json, refusal_exit, refused_json, session_id, tell_refused};
use super::{CommandError, CommandResult, Context};
use crate::gateway::sidecar::Digest256;
use crate::ui::json;
use crate::vault::{self, Access, IfMatch, WRITE_BYTES_MAX, WriteMode, WriteRequest};

/// Arguments of `write`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  agent | mvault write continuity.md   all of the file, from standard input
  mvault write --if-match $(sha256sum < state.json | cut -c1-64) state.json < new.json
                                       only if it is still what was read
  echo '{\"kind\":\"tick\"}' | mvault write --append events/clock.jsonl
                                       whole lines behind an event stream

The old content stays in the vault. A reader sees the old or the new file, never half of one, and many
writers at a time take turns. Exit code 3: the content was refused and is in quarantine, the file is
as it was.")]
pub struct WriteArgs {
    /// The file
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Write only if the file has this SHA-256 now; `none`: only if there is no such file
    #[arg(long, value_name = "SHA256")]
    if_match: Option<String>,
    /// Add whole lines to an event stream
    #[arg(long)]
    append: bool,
    /// The agent's session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    #[command(flatten)]
    allow: AllowArgs,
}

/// Writes standard input to a file and commits it.
pub fn run(cx: &mut Context<'_>, args: &WriteArgs) -> CommandResult {
    let if_match = if_match(args.if_match.as_deref())?;
    let bytes = cx.read_stdin(WRITE_BYTES_MAX)?;
    let mut vault = cx.open_vault(Access::Tree)?;
    if let Some(text) = &args.session {
        vault.set_session(Some(session_id(text)?));
    }
    let path = cx.vault_path(&vault, &args.path)?;
    let mode = if args.append { WriteMode::Append } else { WriteMode::Replace };
    let allowed = args.allow.parse(cx, &vault, &[])?;
    let outcome =
        vault::write(&mut vault, WriteRequest { path: path.clone(), bytes, if_match, mode, allowed })?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        let mut object = Map::new();
        object.insert("id".into(), json!(outcome.commit.map(|id| id.to_string())));
        json::put_path(&mut object, "path", path.as_bytes());
        object.insert("sha256".into(), outcome.sha256.to_string().into());
        object.insert("replaced".into(), json!(outcome.replaced.map(|digest| digest.to_string())));
        object.insert("saved".into(), json!(outcome.saved.map(|number| format!("saved/{number}"))));
        object.insert("rejected".into(), outcome.refused.iter().map(refused_json).collect());
        cx.ui.json(&Value::Object(object))?;
    } else {
        tell_refused(cx, &outcome.refused);
        match outcome.commit {
            Some(id) => cx.ui.line(format_args!("{}  wrote {path}", id.short()))?,
            None if outcome.refused.is_empty() => cx.ui.note(format_args!("{path} has this content already")),
            None => {}
        }
        if let Some(number) = outcome.saved {
            cx.ui.line(format_args!("what stood there and was in no commit is kept as saved/{number}"))?;
        }
    }
    Ok(refusal_exit(&outcome.refused))
}

fn if_match(text: Option<&str>) -> Result<IfMatch, CommandError> {
    let Some(text) = text else { return Ok(IfMatch::Any) };
    if text == "none" {
        return Ok(IfMatch::Absent);
    }
    let mut digest = [0; 32];
    match hex::decode_to_slice(text, &mut digest) {
        Ok(()) => Ok(IfMatch::Content(Digest256(digest))),
        Err(_) => Err(CommandError::usage("--if-match takes a SHA-256 of 64 hexadecimal digits, or `none`")
            .hint("`sha256sum FILE` prints it; `mvault write --json` tells it as `sha256`")),
    }
}

/// Arguments of `seal`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault seal distillates/2026-11-20.md
                                       keep an edit of a sealed distillate, under a new seal
  mvault seal distillates              seal what has no seal yet or one that does not fit")]
pub struct SealArgs {
    /// The distillates, or folders of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    allow: AllowArgs,
}

/// Seals distillates anew.
pub fn run_seal(cx: &mut Context<'_>, args: &SealArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let paths = args.paths.iter().map(|path| cx.vault_path(&vault, path)).collect::<Result<Vec<_>, _>>()?;
    let allowed = args.allow.parse(cx, &vault, &[])?;
    let outcome = vault::seal_paths(&mut vault, paths, allowed)?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        cx.ui.json(&json!({
            "id": outcome.commit.as_ref().map(|(id, _)| id.to_string()),
            "changed": outcome.changes.iter().map(change_json).collect::<Vec<_>>(),
            "rejected": outcome.refused.iter().map(refused_json).collect::<Vec<_>>(),
        }))?;
    } else {
        tell_refused(cx, &outcome.refused);
        match &outcome.commit {
            Some((id, _)) => {
                let sealed: Vec<String> =
                    outcome.changes.iter().map(|change| change.path.to_string()).collect();
                cx.ui.line(format_args!("{}  sealed: {}", id.short(), sealed.join(", ")))?;
            }
            None => cx.ui.note("every distillate there has a seal that fits"),
        }
    }
    Ok(refusal_exit(&outcome.refused))
}
