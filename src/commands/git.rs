//! `git`: the bridge to git.

use std::path::PathBuf;

use serde_json::json;

use super::{CommandResult, Context, Exit};
use crate::ui::{Unit, harmless_line};
use crate::vault::{self, Access, GitExport, Purged};

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

The repository has SHA-256 ids, which git knows since 2.29. Heads of other devices are in it as
refs/remotes/DEVICE/…, saved states as refs/mvault/saved/N.

Git does not work on a history that lacks files. If files were purged, a placeholder stands where they were: the
commits that had them, and all later ones, get new ids and name the old one in a trailer.")]
struct ExportArgs {
    /// Rewrite commits that have purged files (what happens unless --keep-ids is given)
    #[arg(long, conflicts_with = "keep_ids")]
    rewrite_purged: bool,
    /// Keep the ids of commits that have purged files; git cannot clone, push or rewrite such a repository
    #[arg(long)]
    keep_ids: bool,
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
    let purged = if args.keep_ids { Purged::Missing } else { Purged::Replaced };
    let outcome = vault::export_git(&vault, &dir, purged, &mut |done, total| {
        bar.set_total(total);
        bar.set(done);
    })?;
    drop(bar);
    tell_purged(cx, purged, &outcome);
    if cx.ui.is_json() {
        cx.ui.json(&json!({
            "commits": outcome.commits,
            "objects": outcome.objects,
            "purged": outcome.purged,
            "rewritten": outcome.rewritten,
            "left_out": left_out(&outcome),
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
        for (what, count) in kept_here(&outcome) {
            cx.ui.note(format_args!("not in it, since git has no place for it: {what} ({count})"));
        }
    }
    Ok(Exit::Done)
}

/// What an export never holds, with how much of it there is.
fn kept_here(outcome: &GitExport) -> impl Iterator<Item = (&'static str, u64)> {
    let all =
        [("operations of the log", outcome.operations), ("refused files in quarantine", outcome.quarantined)];
    all.into_iter().filter(|(_, count)| *count > 0)
}

fn left_out(outcome: &GitExport) -> Vec<serde_json::Value> {
    kept_here(outcome).map(|(what, count)| json!({"what": what, "count": count})).collect()
}

fn tell_purged(cx: &mut Context<'_>, purged: Purged, outcome: &GitExport) {
    let blobs = counted(outcome.purged, "purged file version");
    match purged {
        _ if outcome.purged == 0 => {}
        Purged::Replaced => cx.ui.warn(format_args!(
            "{blobs} replaced by placeholders; {} with a new id, which the trailer Original-commit leads back from",
            counted(outcome.rewritten, "commit")
        )),
        Purged::Missing => cx.ui.warn(format_args!(
            "{blobs} missing: git reads this repository, and cannot clone or push it. Without --keep-ids it can"
        )),
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
