//! `git`: the bridge to git.

use std::path::PathBuf;

use serde_json::json;

use super::{CommandResult, Context, Exit};
use crate::ui::{Unit, harmless_line};
use crate::vault::{self, Access};

/// Arguments of `git`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault git export ../notes.git       a repository that git reads as its own")]
pub struct GitArgs {
    #[command(subcommand)]
    act: GitAct,
}

#[derive(Debug, clap::Subcommand)]
enum GitAct {
    /// Write the history as a bare git repository
    Export(ExportArgs),
}

/// Arguments of `git export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault git export ../notes.git       all branches and tags, with the ids they have here
  git -C ../notes.git log --graph      … which git reads as its own

The repository has SHA-256 ids, which git knows since 2.29.")]
struct ExportArgs {
    /// The new repository; the folder must be empty or not exist
    #[arg(value_name = "DIR")]
    target: PathBuf,
}

/// Writes the history for git.
pub fn run(cx: &mut Context<'_>, args: &GitArgs) -> CommandResult {
    let GitAct::Export(args) = &args.act;
    let vault = cx.open_vault(Access::Store)?;
    let dir = cx.path(&args.target);
    let bar = cx.ui.progress("exporting", Some(0), Unit::Things);
    let outcome = vault::export_git(&vault, &dir, &mut |done, total| {
        bar.set_total(total);
        bar.set(done);
    })?;
    drop(bar);
    if outcome.purged > 0 {
        let text = format!("{} purged blobs are left out; `git fsck` calls them missing", outcome.purged);
        cx.ui.warn(text);
    }
    if cx.ui.is_json() {
        cx.ui.json(&json!({
            "commits": outcome.commits,
            "objects": outcome.objects,
            "purged": outcome.purged,
            "refs": outcome.refs,
            "bytes": outcome.bytes,
            "head": outcome.head.to_string(),
        }))?;
    } else {
        let shown = harmless_line(args.target.as_os_str().as_encoded_bytes());
        cx.ui.line(format_args!(
            "{} commits, {} objects: {shown} is at {}",
            outcome.commits,
            outcome.objects,
            outcome.head.short()
        ))?;
    }
    Ok(Exit::Done)
}
