//! `rollback`: an older state becomes the newest.

use serde_json::json;

use super::checkout::{files, outcome_json, tell_saved};
use super::{CommandResult, Context, Exit};
use crate::vault::{self, Access, Streams};

/// Arguments of `rollback`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault rollback main~1               take the last commit back, by a new one
  mvault rollback @{yesterday} -m 'the agent went astray'

History only grows: what was is still there, and `mvault undo` takes the rollback back.")]
pub struct RollbackArgs {
    /// The state to go back to
    #[arg(value_name = "REV")]
    revision: String,
    /// Why
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// Take event streams back as well: what happened is then no longer in them
    #[arg(long)]
    streams: bool,
}

/// Rolls back.
pub fn run(cx: &mut Context<'_>, args: &RollbackArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let target = vault.resolve(&args.revision)?;
    let streams = if args.streams { Streams::Restore } else { Streams::Keep };
    let message = args.message.as_ref().map(|message| format!("{}\n", message.trim_end()));
    let outcome = vault::rollback(&mut vault, target, message, streams)?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        let mut object = outcome_json(&outcome.checkout);
        object["id"] = json!(outcome.commit.map(|id| id.to_string()));
        object["restores"] = json!(target.to_string());
        object["taken_back"] = json!(outcome.taken_back);
        cx.ui.json(&object)?;
        return Ok(Exit::Done);
    }
    let Some(commit) = outcome.commit else {
        cx.ui.note(format_args!("the files are those of {} already; nothing to do", target.short()));
        return Ok(Exit::Done);
    };
    let moved = &outcome.checkout.moved;
    cx.ui.line(format_args!("{}  back to {}: {}", commit.short(), target.short(), files(moved)))?;
    for (device, count) in &outcome.taken_back {
        let commits = if *count == 1 { "commit" } else { "commits" };
        cx.ui.line(format_args!("takes back {count} {commits} of {device}"))?;
    }
    tell_saved(cx, moved)?;
    Ok(Exit::Done)
}
