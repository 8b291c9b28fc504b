//! `diff`: what differs between commits, or between a commit and the files on disk.

use std::path::PathBuf;

use serde_json::json;

use super::changes::{changes_json, tell_patch, tell_stat};
use super::{CommandResult, Context, Exit};
use crate::vault::difference::{against_disk, between};
use crate::vault::{Access, Vault};

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault diff                          what the next commit would keep, also new files
  mvault diff main~2                   from that state to the files on disk
  mvault diff v1 main --stat           between two states, counted
  mvault diff -- notes                 only what is in notes/
  mvault diff main~1 main | git apply  a patch that git takes

On a terminal the words that changed within a line are highlighted; elsewhere the output is a patch.")]
pub struct DiffArgs {
    /// From this state; without it the commit the files stand on
    #[arg(value_name = "REV")]
    from: Option<String>,
    /// To this state; without it the files on disk
    #[arg(value_name = "REV")]
    to: Option<String>,
    /// Count lines instead of showing them
    #[arg(long)]
    stat: bool,
    /// Only these files and folders
    #[arg(value_name = "PATH", last = true)]
    paths: Vec<PathBuf>,
}

/// Tells the difference.
pub fn run(cx: &mut Context<'_>, args: &DiffArgs) -> CommandResult {
    let access = if args.to.is_some() { Access::Store } else { Access::Tree };
    let mut vault = cx.open_vault(access)?;
    let paths = cx.vault_paths(&vault, &args.paths)?;
    let tree = |vault: &Vault, revision: &String| vault.resolve(revision).and_then(|id| vault.tree_of(id));
    let from = args.from.as_ref().map(|revision| tree(&vault, revision)).transpose()?;
    let differences = match (&args.to, from) {
        (Some(to), Some(from)) => between(&vault, from, tree(&vault, to)?, &paths)?,
        _ => against_disk(&mut vault, from, &paths)?,
    };
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        cx.ui.json(&json!({"changes": changes_json(&vault, &differences)?}))?;
    } else if args.stat {
        cx.ui.page()?;
        if !differences.is_empty() {
            tell_stat(cx, &vault, &differences)?;
        }
    } else {
        cx.ui.page()?;
        tell_patch(cx, &vault, &differences)?;
    }
    Ok(Exit::Done)
}
