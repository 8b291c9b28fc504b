//! `checkout`: the working tree goes to another commit, or files come back from one.

use crate::object::typed;
use std::path::PathBuf;

use serde_json::json;

use super::commit::{AllowArgs, refused_json};
use super::error::ErrorKind;
use super::{CommandError, CommandResult, Context, Exit};
use crate::ui::{harmless_line, json};
use crate::vault::{self, Access, CheckoutOutcome, Moved, Refused};
use crate::worktree::Wait;

/// The number of withheld files that are listed one by one.
const WITHHELD_TOLD_MAX: usize = 20;
/// The number of waiting paths that are listed one by one.
const WAITS_NAMED_MAX: usize = 10;

/// Arguments of `checkout`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault checkout main~3               park the tree three commits back; the branch stays
  mvault checkout main                 back to the branch
  mvault checkout @{yesterday} -- continuity.md
                                       bring one file back, as an edit to commit

Edits that are in no commit are stored first and the number of the saved state is told. Event streams
stay as they are. A commit made while parked is a rollback: nothing is dropped.")]
pub struct CheckoutArgs {
    /// A commit: branch, tag, id, main~2, @{yesterday}, op:17
    #[arg(value_name = "REV")]
    revision: String,
    #[command(flatten)]
    allow: AllowArgs,
    /// Only these files and folders, as edits that are not committed
    #[arg(value_name = "PATH", last = true)]
    paths: Vec<PathBuf>,
}

/// Checks a commit or files of it out.
pub fn run(cx: &mut Context<'_>, args: &CheckoutArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let target = vault.resolve(&args.revision)?;
    let allowed = args.allow.parse(cx, &vault, &[])?;
    let outcome = if args.paths.is_empty() {
        vault::checkout(&mut vault, target, &allowed)?
    } else {
        let paths = args.paths.iter().map(|p| cx.vault_path(&vault, p)).collect::<Result<Vec<_>, _>>()?;
        vault::checkout_paths(&mut vault, target, &paths, &allowed)?
    };
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        cx.ui.json(&outcome_json(&outcome))?;
    }
    if !args.paths.is_empty() && !outcome.moved.waiting.is_empty() {
        return Err(not_restored(&outcome.moved));
    }
    if cx.ui.is_json() {
        return Ok(Exit::Done);
    }
    if !args.paths.is_empty() {
        cx.ui.line(format_args!("{} from {}", files(&outcome.moved), target.short()))?;
    } else if let Some(at) = outcome.parked {
        cx.ui.line(format_args!("parked at {}: {}", at.short(), files(&outcome.moved)))?;
        cx.ui.note(format_args!("{} goes back; `mvault rollback` makes it the new state", vault.way_back()));
    } else {
        cx.ui.line(format_args!("on {} at {}: {}", vault.branch(), target.short(), files(&outcome.moved)))?;
    }
    tell_saved(cx, &outcome.moved)?;
    Ok(Exit::Done)
}

/// Says which of the paths that were asked for could not be restored. The others are.
fn not_restored(moved: &Moved) -> CommandError {
    let one = |wait: &Wait| format!("{}: {}", wait.path, wait.why);
    let named: Vec<String> = moved.waiting.iter().take(WAITS_NAMED_MAX).map(one).collect();
    let more = match moved.waiting.len().saturating_sub(WAITS_NAMED_MAX) {
        0 => String::new(),
        n => format!(", and {n} more"),
    };
    let message = format!("not restored: {}{more}; {} of the others", named.join(", "), files(moved));
    CommandError::new(ErrorKind::Failed, message).hint("see to the cause, then run the same command again")
}

/// Returns a checkout's outcome as JSON.
pub fn outcome_json(outcome: &CheckoutOutcome) -> serde_json::Value {
    let moved = &outcome.moved;
    json!({
        "operation": outcome.operation,
        "head": outcome.head.to_string(),
        "parked": outcome.parked.map(|id| id.to_string()),
        "written": moved.written,
        "removed": moved.removed,
        "saved": moved.saved.map(|n| format!("saved/{n}")),
        "withheld": moved.withheld.iter().map(refused_json).collect::<Vec<_>>(),
        "unwritable": moved.unwritable.iter().map(|u| u.path.to_string()).collect::<Vec<_>>(),
        "waiting": moved.waiting.iter().map(wait_json).collect::<Vec<_>>(),
    })
}

/// Returns a path that waits as JSON.
pub fn wait_json(wait: &Wait) -> serde_json::Value {
    let mut object = serde_json::Map::new();
    json::put_path(&mut object, "path", wait.path.as_bytes());
    object.insert("why".into(), wait.why.clone().into());
    object.into()
}

/// Says how many files were written and removed.
pub fn files(moved: &Moved) -> String {
    match (moved.written, moved.removed) {
        (0, 0) => "no file changed".to_owned(),
        (written, 0) => format!("{written} written"),
        (0, removed) => format!("{removed} removed"),
        (written, removed) => format!("{written} written, {removed} removed"),
    }
}

/// Lists the files that are not put in place before somebody accepts what they run.
pub fn tell_withheld(cx: &mut Context<'_>, withheld: &[Refused]) {
    for one in withheld.iter().take(WITHHELD_TOLD_MAX) {
        cx.ui.warn(format_args!("{} was not put in place: {}", harmless_line(&one.path), one.words()));
        cx.ui.note(format_args!("  {}", one.hint()));
    }
    if let more @ 1.. = withheld.len().saturating_sub(WITHHELD_TOLD_MAX) {
        cx.ui.warn(format_args!("and {more} more: `mvault status` lists them"));
    }
}

/// Tells where edits went that gave way, and what cannot exist here.
pub fn tell_saved(cx: &mut Context<'_>, moved: &Moved) -> Result<(), CommandError> {
    if let Some(number) = moved.saved {
        cx.ui.line(format_args!(
            "your edits are kept as saved/{number}: {} brings them back",
            typed("checkout").word(format!("saved/{number}")).then("-- PATH")
        ))?;
    }
    tell_withheld(cx, &moved.withheld);
    for unwritable in &moved.unwritable {
        let path = &unwritable.path;
        cx.ui.warn(if unwritable.is_purged {
            format!("{path} was purged: it is in that state, and its content is gone")
        } else {
            format!("{path} cannot exist on this file system and stays in the vault")
        });
    }
    for wait in moved.waiting.iter().take(WAITS_NAMED_MAX) {
        cx.ui.warn(format!("{} could not be updated and waits: {}", wait.path, wait.why));
    }
    if moved.waiting.len() > WAITS_NAMED_MAX {
        let more = moved.waiting.len() - WAITS_NAMED_MAX;
        cx.ui.warn(format!("{more} more wait as well: `mvault status` lists them"));
    }
    if !moved.waiting.is_empty() {
        cx.ui.note("the next command tries again by itself");
    }
    Ok(())
}
