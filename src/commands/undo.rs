//! `undo`: takes back one operation.

use crate::object::typed;
use serde_json::json;

use super::checkout::{files, tell_saved, wait_json};
use super::{CommandResult, Context, Exit};
use crate::vault::{self, Access, Streams};

/// Arguments of `undo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault undo                          take back the last operation that changed something
  mvault undo                          once more: the one before it
  mvault undo 17                       take back operation 17 of `mvault audit`; an undo as well

After a commit the files stay as they are and can be committed again; after a checkout, pull or
rollback they go back too. What another device may have seen is taken back by a new commit.")]
pub struct UndoArgs {
    /// The operation's number in `mvault audit`; without it the newest that is not undone yet
    #[arg(value_name = "OP", value_parser = operation_number)]
    operation: Option<u64>,
    /// Take event streams back as well
    #[arg(long)]
    streams: bool,
}

/// Parses `17` or `op:17`.
fn operation_number(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix("op:").unwrap_or(text);
    number.parse().map_err(|_| "an operation is named by its number, as `mvault audit` shows it".to_owned())
}

/// Takes an operation back.
pub fn run(cx: &mut Context<'_>, args: &UndoArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let streams = if args.streams { Streams::Restore } else { Streams::Keep };
    let outcome = vault::undo(&mut vault, args.operation, streams)?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        cx.ui.json(&json!({
            "operation": outcome.operation,
            "undone": outcome.undone.seq,
            "op": outcome.undone.op,
            "head": outcome.head.to_string(),
            "id": outcome.commit.map(|id| id.to_string()),
            "parked": outcome.parked.map(|id| id.to_string()),
            "held": outcome.held.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "written": outcome.moved.written,
            "removed": outcome.moved.removed,
            "saved": outcome.moved.saved.map(|n| format!("saved/{n}")),
            "waiting": outcome.moved.waiting.iter().map(wait_json).collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::Done);
    }
    let undone = &outcome.undone;
    cx.ui.line(format_args!(
        "took back operation {} ({}): {}",
        undone.seq,
        undone.op,
        files(&outcome.moved)
    ))?;
    match outcome.commit {
        Some(id) => {
            cx.ui.line(format_args!("{}  by a new commit, as others may have seen it", id.short()))?
        }
        None => cx.ui.line(format_args!("{} is at {}", vault.branch(), outcome.head.short()))?,
    }
    if !outcome.held.is_empty() {
        cx.ui.note("what it had brought is held back: `mvault reconcile` takes it in again");
    }
    cx.ui.note(format_args!("{} brings it back", typed("undo").word(outcome.operation.to_string())));
    tell_saved(cx, &outcome.moved)?;
    Ok(Exit::Done)
}
