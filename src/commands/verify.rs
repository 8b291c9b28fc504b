//! `verify` and `stats`: whether everything is as it was written, and how much there is.

use serde_json::{Value, json};

use super::{CommandError, CommandResult, Context, Exit};
use crate::store::Part;
use crate::ui::{Unit, harmless};
use crate::vault::{self, Access, Depth, Verified};

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault verify                        reads and hashes everything
  mvault verify --data-subset 1/7      the bytes of a seventh; 1/7 to 7/7 in a week are everything
  mvault verify --quick                checksums of tables, and every link, but no bytes of files
  mvault verify --json                 problems[{kind, what, where, hint}], objects, bytes

Structure is always checked in full: tables of packs, commits, trees, that all they name is there, the log.
--quick sees neither damage inside of files' content nor broken seals, and computes no reconcile again;
--data-subset sees what of that has its id in the part.

Changes nothing. Ends with 5 if anything is damaged; `mvault repair` puts right what can be.")]
pub struct VerifyArgs {
    /// Check tables and links but not every object's bytes
    #[arg(long)]
    quick: bool,
    /// Hash only part N of M of all objects, each of which is in one part by its id
    #[arg(long, value_name = "N/M", conflicts_with = "quick")]
    data_subset: Option<Part>,
}

/// Looks at everything the vault keeps.
pub fn run(cx: &mut Context<'_>, args: &VerifyArgs) -> CommandResult {
    let path = cx.find_vault()?;
    let depth = match args.data_subset {
        Some(part) => Depth::Part(part),
        None if args.quick => Depth::Quick,
        None => Depth::Full,
    };
    let bar = cx.ui.progress("verifying", Some(0), Unit::Things);
    let verified = vault::verify(&*cx.disk, &path, depth, &|done, total| {
        bar.set_total(total);
        bar.set(done);
    })?;
    drop(bar);
    if cx.ui.is_json() {
        cx.ui.json(&as_json(&verified))?;
    } else {
        tell(cx, &verified)?;
    }
    Ok(if verified.problems.is_empty() { Exit::Done } else { Exit::Damaged })
}

/// Gives what a verification found as JSON.
pub fn as_json(verified: &Verified) -> Value {
    let problems: Vec<Value> = verified
        .problems
        .iter()
        .map(|p| json!({"kind": p.kind, "what": p.what, "where": p.place, "hint": p.hint}))
        .collect();
    json!({
        "problems": problems,
        "objects": verified.objects,
        "bytes": verified.bytes,
        "commits": verified.commits,
        "operations": verified.operations,
        "purged": verified.purged,
        "unreferenced_commits": verified.unled.len(),
    })
}

/// Tells what a verification found.
pub fn tell(cx: &mut Context<'_>, verified: &Verified) -> Result<(), CommandError> {
    for problem in &verified.problems {
        let text = format!("{}: {}: {}", problem.kind, problem.place, problem.what);
        cx.ui.line(harmless(&text))?;
        cx.ui.line(format_args!("    {}", problem.hint))?;
    }
    let Verified { objects, bytes, commits, operations, purged, .. } = verified;
    let purged = if *purged == 0 { String::new() } else { format!(", {purged} purged") };
    let verdict = match verified.problems.len() {
        0 => "all is well".to_owned(),
        1 => "1 problem".to_owned(),
        n => format!("{n} problems"),
    };
    Ok(cx.ui.line(format_args!(
        "{objects} objects in {bytes} bytes, {commits} commits, {operations} operations{purged}: {verdict}"
    ))?)
}

/// Arguments of `stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault stats                         packs, objects, bytes on disk and before compression")]
pub struct StatsArgs {}

/// Tells how much the vault keeps.
pub fn run_stats(cx: &mut Context<'_>, _args: &StatsArgs) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let stats = vault.store().stats().map_err(vault::Error::from)?;
    if cx.ui.is_json() {
        cx.ui.json(&json!({
            "packs": stats.packs,
            "objects": stats.objects,
            "bytes": stats.bytes,
            "raw_bytes": stats.raw_bytes,
        }))?;
    } else {
        cx.ui.line(format_args!("packs      {}", stats.packs))?;
        cx.ui.line(format_args!("objects    {}", stats.objects))?;
        cx.ui.line(format_args!("bytes      {}", stats.bytes))?;
        cx.ui.line(format_args!("raw bytes  {}", stats.raw_bytes))?;
    }
    Ok(Exit::Done)
}
