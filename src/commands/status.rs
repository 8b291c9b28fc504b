//! `status`: how the working tree differs from its commit, and where the branch stands.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::checkout::wait_json;
use super::commit::{change_json, status_word};
use super::reconcile::{pending_json, stuck_json, tell_stuck};
use super::{CommandError, CommandResult, Context, Exit};
use crate::merge::{AheadBehind, Conflict, History, Stuck};
use crate::object::{CommitId, VaultPath, typed};
use crate::ui::{harmless_line, json};
use crate::vault::{self, Access, Oddity, Refused, Vault};
use crate::worktree::{Change, LocalChanges, Status, Wait};

/// How many pairs of twins are listed.
const TWINS_TOLD_MAX: usize = 20;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault status
  mvault status --json                 head, branch, changes, pending conflicts, other devices")]
pub struct StatusArgs {}

/// What status has to tell.
struct Report {
    head: CommitId,
    parked: Option<CommitId>,
    local: LocalChanges,
    renames: Vec<(VaultPath, VaultPath)>,
    conflicts: Vec<Conflict>,
    /// Heads that cannot be processed.
    stuck: Vec<Stuck>,
    /// Paths that could not be updated.
    waits: Vec<Wait>,
    devices: Vec<Device>,
    /// Files and folders that some file systems take for one another.
    twins: Vec<(VaultPath, VaultPath)>,
    /// Why the head's `vault.toml` is no valid set of rules.
    rules_fault: Option<String>,
    /// Paths of changes whose content was refused before.
    refused: BTreeSet<VaultPath>,
    /// What was odd about other devices.
    oddities: Vec<(String, Oddity)>,
    /// Files of the tree that are not put in place yet.
    waiting: Vec<Refused>,
}

/// Another device, and how far apart the heads are, counted in authored commits.
struct Device {
    name: String,
    head: Option<CommitId>,
    /// `None` if what it offers cannot be read.
    distance: Option<AheadBehind>,
}

/// Tells the state of the vault.
pub fn run(cx: &mut Context<'_>, _args: &StatusArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    if let Some(hint) = vault.unfinished_clone().filter(|_| vault.log().refs().head().is_some()) {
        cx.ui.warn(format_args!("the clone was cut short and its remote is not set up: {hint}"));
    }
    let local = vault::local_changes(&mut vault, &[])?;
    cx.tell_notices(&mut vault);
    let pending = vault::pending(&vault)?;
    let report = Report {
        head: vault.head()?,
        parked: vault.parked().map(|_| vault.at()).transpose()?,
        renames: local.renames(),
        refused: refused(&vault, &local)?,
        waiting: vault.waiting_files()?,
        local,
        conflicts: pending.conflicts,
        stuck: pending.stuck,
        waits: vault::waiting_paths(&vault)?,
        devices: devices(&vault)?,
        oddities: vault.oddities()?,
        twins: vault::twins(&vault)?,
        rules_fault: vault.rules_fault(vault.tree_of(vault.head()?)?)?,
    };
    if cx.ui.is_json() {
        tell_json(cx, &vault, &report)?
    } else {
        tell_text(cx, &vault, &report)?
    }
    Ok(Exit::Done)
}

/// Returns the changes that a commit refused and that are as they were then.
fn refused(vault: &Vault, local: &LocalChanges) -> Result<BTreeSet<VaultPath>, CommandError> {
    if local.changes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let known = vault.recently_refused()?;
    let was_refused = |change: &&Change| {
        change.new.is_some_and(|new| known.contains(&(change.path.as_bytes().to_vec(), new.id.to_string())))
    };
    Ok(local.changes.iter().filter(was_refused).map(|change| change.path.clone()).collect())
}

fn devices(vault: &Vault) -> Result<Vec<Device>, CommandError> {
    let head = vault.head()?;
    let history = History::new(vault.store());
    let branch = vault.branch();
    let mut devices = Vec::new();
    for (name, label, heads) in vault.log().refs().remotes() {
        if *label == branch && *name != vault.config().device {
            let theirs: Vec<CommitId> = heads.iter().copied().collect();
            let distance = history.ahead_behind(&[head], &theirs).ok();
            devices.push(Device { name: name.to_string(), head: theirs.first().copied(), distance });
        }
    }
    Ok(devices)
}

fn tell_json(cx: &mut Context<'_>, vault: &Vault, report: &Report) -> Result<(), CommandError> {
    let with_refusal = |change: &Change| {
        let mut object = change_json(change);
        object["refused"] = report.refused.contains(&change.path).into();
        object
    };
    let changes: Vec<Value> = report.local.changes.iter().map(with_refusal).collect();
    let mut skipped = Vec::new();
    for entry in &report.local.skipped {
        let mut object = Map::new();
        json::put_path(&mut object, "path", &entry.path);
        object.insert("reason".into(), entry.reason.code().into());
        skipped.push(Value::Object(object));
    }
    let renames: Vec<Value> = report
        .renames
        .iter()
        .map(|(old, new)| json!({"old": old.to_string(), "new": new.to_string()}))
        .collect();
    let mut waiting = Vec::new();
    for one in &report.waiting {
        let mut object = Map::new();
        json::put_path(&mut object, "path", &one.path);
        object.insert("why".into(), one.reason.code().into());
        object.insert("message".into(), one.words().into());
        object.insert("hint".into(), one.hint().into());
        waiting.push(Value::Object(object));
    }
    waiting.extend(report.waits.iter().map(wait_json));
    let pending: Vec<Value> = report.conflicts.iter().map(pending_json).collect();
    let remotes: Vec<Value> = report
        .devices
        .iter()
        .map(|device| {
            json!({
                "device": device.name,
                "head": device.head.map(|id| id.to_string()),
                "ahead": device.distance.as_ref().map(|distance| distance.ahead),
                "behind": device.distance.as_ref().map(|distance| distance.behind),
            })
        })
        .collect();
    Ok(cx.ui.json(&json!({
        "head": report.head.to_string(),
        "branch": vault.branch().as_str(),
        "device": vault.config().device.as_str(),
        "parked": report.parked.map(|id| id.to_string()),
        "changes": changes,
        "renames": renames,
        "skipped": skipped,
        "pending": pending,
        "waiting": waiting,
        "stuck": stuck_json(vault, &report.stuck),
        "set_aside": vault.aside().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "remotes": remotes,
        "oddities": report.oddities.iter().map(|(device, oddity)| {
            json!({"device": device, "text": oddity.text, "noticed": oddity.noticed})
        }).collect::<Vec<Value>>(),
        "twins": report.twins.iter().map(|(a, b)| json!([a.to_string(), b.to_string()])).collect::<Vec<_>>(),
        "rules_fault": report.rules_fault,
        "ignores_withheld": vault.withheld_ignores()?.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "purges_waiting": vault::waiting(vault, None).len(),
    }))?)
}

fn tell_text(cx: &mut Context<'_>, vault: &Vault, report: &Report) -> Result<(), CommandError> {
    let branch = vault.branch();
    cx.ui.line(format_args!("on {branch} at {}, device {}", report.head.short(), vault.config().device))?;
    if let Some(at) = report.parked {
        let text = format!("parked at {}; {} goes back", at.short(), vault.way_back());
        cx.ui.line(text)?;
    }
    tell_devices(cx, report)?;
    for conflict in &report.conflicts {
        cx.ui.line(format_args!("  conflict  {} ({})", conflict.path, conflict.kind))?;
    }
    for one in &report.waiting {
        cx.ui.line(format_args!("  waiting   {} ({})", harmless_line(&one.path), one.words()))?;
        cx.ui.note(format_args!("    {}", one.hint()));
    }
    tell_heads(cx, vault, report)?;
    for wait in &report.waits {
        let edited = report.local.find(&wait.path).is_some();
        let why = if edited { "you edited it; the vault's newer version waits" } else { &wait.why };
        cx.ui.line(format_args!("  waiting   {} ({why})", wait.path))?;
    }
    if !report.waits.is_empty() {
        cx.ui.note("  every command tries again to update what waits; nothing of it is lost");
    }
    let is_renamed = |path: &VaultPath| report.renames.iter().any(|(old, new)| old == path || new == path);
    for (old, new) in &report.renames {
        cx.ui.line(format_args!("  renamed   {old} -> {new}"))?;
    }
    for change in &report.local.changes {
        if report.refused.contains(&change.path) {
            let word = status_word(change.status());
            cx.ui
                .line(format_args!("  {word:<9} {} (refused: `mvault rejections` says why)", change.path))?;
        } else if !is_renamed(&change.path) {
            cx.ui.line(format_args!("  {:<9} {}", status_word(change.status()), change.path))?;
        }
    }
    for skipped in &report.local.skipped {
        cx.ui.note(format_args!(
            "  left alone: {} ({})",
            harmless_line(&skipped.path),
            skipped.reason.as_str()
        ));
    }
    for path in &report.local.unstable {
        cx.ui.note(format_args!("  being written right now: {path}"));
    }
    let waiting = vault::waiting(vault, None);
    if !waiting.is_empty() {
        let devices: std::collections::BTreeSet<&str> = waiting.iter().map(|w| w.device.as_str()).collect();
        let devices = devices.into_iter().collect::<Vec<_>>().join(", ");
        cx.ui.note(format_args!("purged by {devices} and still here: `mvault purge --accept` removes it"));
    }
    cx.ui.line(summary(&report.local, report.renames.len()))?;
    Ok(())
}

/// Lists the other devices: how far each is from this one, and what was odd about one.
fn tell_devices(cx: &mut Context<'_>, report: &Report) -> Result<(), CommandError> {
    for device in &report.devices {
        let Some(AheadBehind { ahead, behind }) = device.distance else {
            cx.ui.line(format_args!("{} offers commits that cannot be read", device.name))?;
            continue;
        };
        let words = match (ahead, behind) {
            (0, 0) => "has the same commits".to_owned(),
            (ahead, 0) => format!("lacks {ahead} of ours"),
            (0, behind) => format!("has {behind} that are not in ours"),
            (ahead, behind) => format!("lacks {ahead} of ours, has {behind} that are not in ours"),
        };
        cx.ui.line(format_args!("{} {words}, as far as was seen", device.name))?;
    }
    for (_, Oddity { text, noticed }) in &report.oddities {
        cx.ui.warn(format_args!("{} ({noticed})", harmless_line(text.as_bytes())));
    }
    Ok(())
}

/// Tells what came from other devices and needs a person: heads that wait, rules that are none, twins.
fn tell_heads(cx: &mut Context<'_>, vault: &Vault, report: &Report) -> Result<(), CommandError> {
    tell_stuck(cx, vault, &report.stuck);
    if let Some(fault) = &report.rules_fault {
        cx.ui.warn(format_args!(
            "vault.toml is not a valid set of rules, and the last valid version counts: {fault}"
        ));
    }
    for (first, second) in report.twins.iter().take(TWINS_TOLD_MAX) {
        cx.ui.line(format_args!(
            "  twins     {first} and {second}: some file systems take them for one; rename one"
        ))?;
    }
    for path in vault.withheld_ignores()? {
        cx.ui.note(format_args!(
            "{path} was changed by another device, which is not in force: `mvault reconcile --allow rules` accepts it"
        ));
    }
    for head in vault.aside() {
        let back = typed("reconcile --with").word(head.short());
        cx.ui.line(format_args!("  set aside {} ({back} takes it in)", head.short()))?;
    }
    Ok(())
}

/// Counts the changes; a renamed file is one, not one that was added and one that was deleted.
fn summary(local: &LocalChanges, renamed: usize) -> String {
    if local.changes.is_empty() {
        return "nothing to commit".to_owned();
    }
    let count = |status: Status| local.changes.iter().filter(|c| c.status() == status).count();
    let counts = [
        ("renamed", renamed),
        (status_word(Status::Added), count(Status::Added).saturating_sub(renamed)),
        (status_word(Status::Modified), count(Status::Modified)),
        (status_word(Status::Deleted), count(Status::Deleted).saturating_sub(renamed)),
    ];
    let parts: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(word, n)| format!("{n} {word}")).collect();
    format!("{}; `mvault commit` keeps them", parts.join(", "))
}
