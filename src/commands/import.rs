//! `import`: what other tools left on disk.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::commit::AllowArgs;
use super::{CommandError, CommandResult, Context, Exit};
use crate::agent::mirrordna::{Checked, Report, Told, import};
use crate::ui::{harmless, json};
use crate::vault::{Access, Fate, Trial};

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault import mirrordna ~/.mirrordna --dry-run   what would be taken, what not, and why
  mvault import mirrordna ~/.mirrordna             take it in, as one commit

The folder is only read. Nothing here is overwritten, and a second import takes only what is new.

Exit code 0: done, or nothing new; 3: done, but some files were refused and are listed.")]
pub struct ImportArgs {
    #[command(subcommand)]
    from: ImportFrom,
}

#[derive(Debug, clap::Subcommand)]
enum ImportFrom {
    /// What MirrorDNA keeps: continuity, bus, handoffs, ledger, reports, chains, rejections, signatures
    Mirrordna(MirrordnaArgs),
}

#[derive(Debug, clap::Args)]
struct MirrordnaArgs {
    /// The folder, such as ~/.mirrordna
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only tell what would happen
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    allow: AllowArgs,
}

/// Imports.
pub fn run(cx: &mut Context<'_>, args: &ImportArgs) -> CommandResult {
    let ImportFrom::Mirrordna(args) = &args.from;
    let trial = if args.dry_run { Trial::Dry } else { Trial::Real };
    let mut vault = cx.open_vault(Access::Tree)?;
    let allowed = args.allow.parse(cx, &vault, &[])?;
    let report = import(&mut vault, &cx.path(&args.dir), &allowed, trial)?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        let files: Vec<Value> = report.told.iter().map(told_json).collect();
        let id = report.commit.map(|id| id.to_string());
        cx.ui.json(&json!({"id": id, "dry_run": args.dry_run, "files": files}))?;
    } else {
        tell(cx, &report)?;
    }
    let is_refused = |told: &Told| matches!(told.fate, Some(Fate::Refused { .. }));
    Ok(if report.told.iter().any(is_refused) { Exit::Refused } else { Exit::Done })
}

/// Returns the word for what became of a file, and more words.
fn fate(told: &Told) -> (&'static str, Option<String>) {
    match &told.fate {
        Some(Fate::Taken(_)) => ("taken", told.words.clone()),
        Some(Fate::Known) => ("known", told.words.clone()),
        Some(Fate::Refused { words, .. }) => ("refused", Some(words.clone())),
        Some(Fate::Occupied) => ("skipped", Some("another file stands where it would go".to_owned())),
        None => ("skipped", told.words.clone()),
    }
}

fn told_json(told: &Told) -> Value {
    let (word, words) = fate(told);
    let mut object = Map::new();
    object.insert("source".into(), told.source.as_str().into());
    object.insert("kind".into(), json!(told.what.map(|what| what.as_str())));
    match &told.to {
        Some(to) => json::put_path(&mut object, "path", to.as_bytes()),
        None => drop(object.insert("path".into(), Value::Null)),
    }
    object.insert("result".into(), word.into());
    object.insert("why".into(), json!(words));
    let lines = match (&told.fate, &told.to) {
        (Some(Fate::Taken(lines)), Some(to)) if to.as_bytes().starts_with(b"events/") => Some(*lines),
        _ => None,
    };
    object.insert("lines".into(), json!(lines));
    if let Some(Fate::Refused { code, hint, .. }) = &told.fate {
        object.insert("reason".into(), (*code).into());
        object.insert("hint".into(), hint.as_str().into());
    }
    let checked = |Checked { holds, words }: &Checked| json!({"holds": holds, "what": words});
    object.insert("check".into(), json!(told.checked.as_ref().map(checked)));
    Value::Object(object)
}

fn tell(cx: &mut Context<'_>, report: &Report) -> Result<(), CommandError> {
    let mut counts = [("taken", 0), ("known", 0), ("refused", 0), ("skipped", 0)];
    for told in &report.told {
        let (word, words) = fate(told);
        for (known, count) in &mut counts {
            *count += usize::from(*known == word);
        }
        let to = told.to.as_ref().map(|to| format!(" -> {to}")).unwrap_or_default();
        let words = words.map(|words| format!(": {words}")).unwrap_or_default();
        cx.ui.line(format_args!("{word:<8} {}", harmless(&format!("{}{to}{words}", told.source))))?;
        if let Some(Fate::Refused { hint, .. }) = &told.fate {
            cx.ui.line(format_args!("         {}", harmless(hint)))?;
        }
        if let Some(Checked { holds, words }) = &told.checked {
            let verdict = match holds {
                Some(true) => "holds",
                Some(false) => "DOES NOT HOLD",
                None => "not checked",
            };
            cx.ui.line(format_args!("         {verdict}: {}", harmless(words)))?;
        }
    }
    let counted: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let counted = if counted.is_empty() { "nothing is there".to_owned() } else { counted.join(", ") };
    match (report.commit, report.trial) {
        (Some(id), _) => cx.ui.line(format_args!("{}  {counted}", id.short()))?,
        (None, Trial::Dry) => cx.ui.line(format_args!("nothing was done; it would be: {counted}"))?,
        (None, Trial::Real) => cx.ui.line(format_args!("nothing to commit: {counted}"))?,
    }
    Ok(())
}
