//! `gc`: everything the vault keeps, written anew as small as patience makes it.

use serde_json::{Value, json};

use super::{CommandError, CommandResult, Context, Exit};
use crate::store::StoreStats;
use crate::ui::Unit;
use crate::ui::table::bytes as size;
use crate::vault::{self, Access, GcOutcome, GcRequest, Retention};

/// Arguments of `gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault gc                            compacts the store; every version stays
  mvault gc --dry-run                  does the work, tells the result, changes nothing
  mvault gc --keep-last 10 --keep-daily 30
                                       lets go of older snapshots in saved/ (see `mvault audit`)
  mvault gc --prune                    drops the bytes that nothing leads to any more

Commits, notes and reading go on meanwhile. Nothing that a branch, a tag, a remote, the operation log or a
pending conflict leads to is ever dropped. Interrupted at any point, it leaves everything as it was.")]
pub struct GcArgs {
    /// Tell what it would give, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Drop what nothing leads to: refused files that were stored, snapshots that were let go of
    #[arg(long)]
    prune: bool,
    /// Of the snapshots in saved/ keep the newest N, and what other rules keep
    #[arg(long, value_name = "N")]
    keep_last: Option<usize>,
    /// Keep the newest snapshot of each of N days
    #[arg(long, value_name = "N")]
    keep_daily: Option<usize>,
    /// Keep the newest snapshot of each of N weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<usize>,
    /// Keep the newest snapshot of each of N months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<usize>,
}

impl GcArgs {
    fn retention(&self) -> Option<Retention> {
        let rules = [self.keep_last, self.keep_daily, self.keep_weekly, self.keep_monthly];
        rules.iter().any(Option::is_some).then(|| Retention {
            last: self.keep_last.unwrap_or(0),
            daily: self.keep_daily.unwrap_or(0),
            weekly: self.keep_weekly.unwrap_or(0),
            monthly: self.keep_monthly.unwrap_or(0),
        })
    }
}

/// Compacts the store.
pub fn run(cx: &mut Context<'_>, args: &GcArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Store)?;
    let request = GcRequest { is_dry: args.dry_run, prunes: args.prune, retention: args.retention() };
    let bar = cx.ui.progress("compacting", Some(0), Unit::Things);
    let outcome = vault::gc(&mut vault, &request, &|done, total| {
        bar.set_total(total);
        bar.set(done);
    })?;
    drop(bar);
    if cx.ui.is_json() {
        cx.ui.json(&as_json(&outcome, &request))?;
    } else {
        tell(cx, &outcome, &request)?;
    }
    Ok(Exit::Done)
}

fn as_json(outcome: &GcOutcome, request: &GcRequest) -> Value {
    let stats = |of: &StoreStats| json!({"packs": of.packs, "objects": of.objects, "bytes": of.bytes});
    json!({
        "packs": outcome.after.packs,
        "objects": outcome.after.objects,
        "bytes": outcome.after.bytes,
        "raw_bytes": outcome.after.raw_bytes,
        "before": stats(&outcome.before),
        "unreferenced": {
            "objects": outcome.unnamed.objects,
            "raw_bytes": outcome.unnamed.raw_bytes,
            "dropped": outcome.drops && !request.is_dry,
        },
        "changed": !outcome.is_needless && !request.is_dry,
        "missing": outcome.absent.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "forgotten": outcome.forgotten.iter().map(|number| format!("saved/{number}")).collect::<Vec<_>>(),
        "dry_run": request.is_dry,
    })
}

fn tell(cx: &mut Context<'_>, outcome: &GcOutcome, request: &GcRequest) -> Result<(), CommandError> {
    let (before, after) = (&outcome.before, &outcome.after);
    let would = if request.is_dry { "would be " } else { "" };
    if !outcome.forgotten.is_empty() {
        let snapshots = match outcome.forgotten.len() {
            1 => "1 snapshot".to_owned(),
            n => format!("{n} snapshots"),
        };
        cx.ui.line(format_args!("{snapshots} of saved/ {would}let go of"))?;
    }
    if outcome.is_needless {
        cx.ui.line(format_args!("compact already: {} in {} packs", size(after.bytes), after.packs))?;
    } else {
        let packs = if before.packs == 1 { "pack" } else { "packs" };
        cx.ui.line(format_args!(
            "{} in {} {packs} {would}{} in {}; {} objects, {} uncompressed",
            size(before.bytes),
            before.packs,
            size(after.bytes),
            after.packs,
            after.objects,
            size(after.raw_bytes),
        ))?;
    }
    let unnamed = outcome.unnamed;
    if unnamed.objects > 0 {
        let what = match unnamed.objects {
            1 => format!("1 object of {} that nothing leads to", size(unnamed.raw_bytes)),
            n => format!("{n} objects of {} that nothing leads to", size(unnamed.raw_bytes)),
        };
        let fate = match (outcome.drops, request.prunes) {
            (true, _) => format!("{would}dropped"),
            (false, true) => "kept, because something is missing".to_owned(),
            (false, false) => "kept; `mvault gc --prune` drops them".to_owned(),
        };
        cx.ui.line(format_args!("{what}: {fate}"))?;
    }
    if !outcome.absent.is_empty() {
        let count = outcome.absent.len();
        let objects = if count == 1 { "1 object is".to_owned() } else { format!("{count} objects are") };
        cx.ui.warn(format_args!(
            "{objects} missing or cannot be read without one that is; everything else was kept: `mvault verify` lists \
             them, `mvault repair --from REMOTE` fetches them"
        ));
    }
    Ok(())
}
