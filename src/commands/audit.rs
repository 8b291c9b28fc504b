//! `audit`: the operation log, newest first, and whether its chain holds.

use crate::object::shell_word;
use serde_json::{Value, json};

use super::{CommandError, CommandResult, Context, Exit};
use crate::oplog::{Operation, RefTarget};
use crate::ui::{Palette, Style, harmless, harmless_line};
use crate::vault::{Access, Vault};

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault audit -n 20                   the last twenty operations
  mvault audit --verify                walk the whole chain; exit 5 if it does not hold
  mvault audit --json | jq -c '{seq, op, actor}'

An operation's number names the head after it: `mvault show op:17`. `mvault undo 17` takes it back.")]
pub struct AuditArgs {
    /// Check every line, every link of the chain and every checkpoint
    #[arg(long)]
    verify: bool,
    /// At most so many operations
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    count: Option<usize>,
}

/// Tells the operations, or checks them.
pub fn run(cx: &mut Context<'_>, args: &AuditArgs) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    if args.verify {
        return verify(cx, &vault);
    }
    cx.ui.page()?;
    for operation in vault.log().operations().take(args.count.unwrap_or(usize::MAX)) {
        let operation = operation.map_err(crate::vault::Error::from)?;
        if cx.ui.is_json() {
            cx.ui.json(&as_json(&operation)?)?;
        } else {
            for line in in_words(&operation, cx.ui.palette()) {
                cx.ui.line(line)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn verify(cx: &mut Context<'_>, vault: &Vault) -> CommandResult {
    let problems = vault.log().verify();
    let last = vault.log().last();
    if cx.ui.is_json() {
        let told: Vec<Value> = problems
            .iter()
            .map(|p| json!({"kind": p.kind, "what": p.what, "where": p.place, "hint": p.hint}))
            .collect();
        cx.ui.json(&json!({"operations": last.seq, "hash": last.hash, "problems": told}))?;
    } else if problems.is_empty() {
        cx.ui.line(format_args!("{} operations, every line and link holds", last.seq))?;
    }
    if problems.is_empty() {
        return Ok(Exit::Done);
    }
    if !cx.ui.is_json() {
        for problem in &problems {
            cx.ui.line(format_args!("{}: {}", harmless(&problem.place), harmless(&problem.what)))?;
            cx.ui.note(format_args!("  {}", problem.hint));
        }
    }
    Ok(Exit::Damaged)
}

fn as_json(operation: &Operation) -> Result<Value, CommandError> {
    let refs: Vec<Value> = operation
        .refs
        .iter()
        .map(|change| json!({"name": change.name.to_string(), "old": change.old, "new": change.new}))
        .collect();
    Ok(json!({
        "seq": operation.seq,
        "prev": operation.prev,
        "at": operation.at,
        "device": operation.device.to_string(),
        "actor": operation.actor,
        "session": operation.session.as_ref().map(ToString::to_string),
        "op": operation.op,
        "args": operation.args,
        "lamport": operation.lamport.0,
        "refs": refs,
        "frontier": operation.frontier.as_ref().map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "recovered": operation.recovered,
        "detail": operation.detail,
        "hash": operation.hash,
    }))
}

fn in_words(operation: &Operation, palette: Palette) -> Vec<String> {
    let number = palette.paint(Style::Id, &format!("op:{}", operation.seq));
    let what = palette.paint(Style::Heading, &harmless_line(operation.op.as_bytes()));
    let session = operation.session.as_ref().map(|s| format!(", session {s}")).unwrap_or_default();
    let who = harmless_line(operation.actor.as_bytes());
    let at = harmless_line(operation.at.as_bytes());
    let mut lines = vec![format!("{number} {at}  {what}  {who} on {}{session}", operation.device)];
    if !operation.args.is_empty() {
        let args: Vec<String> = operation.args.iter().map(shell_word).collect();
        lines.push(format!("    mvault {}", args.join(" ")));
    }
    for change in &operation.refs {
        let (old, new) = (target(change.old.as_ref()), target(change.new.as_ref()));
        let name = harmless_line(change.name.to_string().as_bytes());
        lines.push(format!("    {name}: {old} -> {new}"));
    }
    if let Some(recovered) = &operation.recovered {
        let bytes = recovered.bytes;
        lines.push(format!(
            "    {bytes} bytes of a torn line were moved to quarantine/{}",
            harmless(&recovered.sha256)
        ));
    }
    lines
}

fn target(target: Option<&RefTarget>) -> String {
    match target {
        None => "nothing".to_owned(),
        Some(RefTarget::Commit(id)) => id.short(),
        Some(RefTarget::Set(ids)) => {
            let ids: Vec<String> = ids.iter().map(|id| id.short()).collect();
            format!("{{{}}}", ids.join(", "))
        }
        Some(other @ RefTarget::Other(_)) => harmless_line(other.to_string().as_bytes()),
        Some(RefTarget::Branch(label)) => label.to_string(),
    }
}
