//! `reconcile`, `conflicts` and `resolve`: what several devices made, brought together.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::checkout::{files, tell_saved, wait_json};
use super::commit::{AllowArgs, refused_json};
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::merge::{BaseValue, Conflict, Side, Stuck};
use crate::object::{BlobId, CommitId, DeviceName, ENTRIES_MAX, Entry, Mode, typed};
use crate::ui::diff::conflict::{ConflictSide, Held, side_by_side, stacked, unified};
use crate::ui::{harmless, harmless_line, json};
use crate::vault::{self, Accepts, Access, Hold, ReconcileOutcome, Refused, Resolve, Selection, Vault};

/// The narrowest terminal on which two sides stand beside each other.
const SIDE_BY_SIDE_COLUMNS: usize = 120;
/// So many reasons for a hold are told one by one.
const HELD_TOLD_MAX: usize = 20;
/// The largest file that a choice takes from outside of the vault.
const CHOICE_BYTES_MAX: u64 = 64 << 20;

/// Arguments of `reconcile`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault reconcile                     bring together what pull and fetch have brought so far

  mvault reconcile --allow mass-delete let what came remove many files
  mvault reconcile --allow rules       accept a vault.toml that another device wrote

  mvault reconcile --without pixel     set aside what pixel has brought and this device has not taken in
  mvault reconcile --with pixel        take it in again

A head that cannot be processed stops nothing else: the others are reconciled without it, and `mvault status`
names it. To set a head aside is an operation that `mvault undo` undoes. A head that was set aside stays so when
it arrives again; a new commit of its device is another head.

Exit code 4: conflicts are pending, `mvault conflicts` shows them; or what came waits for a yes.")]
pub struct ReconcileArgs {
    #[command(flatten)]
    allow: AllowArgs,
    /// Set aside the waiting heads of a device, or the one with this id
    #[arg(long, value_name = "DEVICE")]
    without: Vec<String>,
    /// Take in again what was set aside of a device, or the head with this id
    #[arg(long, value_name = "DEVICE")]
    with: Vec<String>,
}

/// Retries what is pending, and takes in what an undo had held back.
pub fn run_reconcile(cx: &mut Context<'_>, args: &ReconcileArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let accepts = accepts(cx, &vault, &args.allow, &[])?;
    let selection = Selection { without: args.without.clone(), with: args.with.clone() };
    let outcome = vault::reconcile(&mut vault, &accepts, &selection)?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        let mut object = outcome_json(&vault, &outcome);
        if !args.without.is_empty() {
            object["device"] = args.without.join(", ").into();
        }
        cx.ui.json(&object)?;
    } else {
        tell_set_aside(cx, &outcome.set_aside)?;
        tell_outcome(cx, &vault, &outcome)?;
    }
    exit_of(&outcome)
}

/// The word that accepts a `vault.toml`.
const RULES_WORD: &str = "rules";
/// The word that lets files change under an open session.
const SESSION_WORD: &str = "session";

/// Returns what a person lets other devices' work do; `words` are further ones that are no codes of reasons.
pub fn accepts(
    cx: &Context<'_>,
    vault: &Vault,
    allow: &AllowArgs,
    words: &[&str],
) -> Result<Accepts, CommandError> {
    let words: Vec<&str> = words.iter().copied().chain([RULES_WORD, SESSION_WORD]).collect();
    Ok(Accepts {
        allowed: allow.parse(cx, vault, &words)?,
        rules: allow.has_word(RULES_WORD),
        session: allow.has_word(SESSION_WORD),
    })
}

/// Says which heads are set aside.
pub fn tell_set_aside(cx: &mut Context<'_>, heads: &[CommitId]) -> Result<(), CommandError> {
    for head in heads {
        cx.ui.line(format_args!("{} is set aside", head.short()))?;
    }
    if !heads.is_empty() {
        cx.ui.note("`mvault undo` brings it back, and `mvault reconcile --with DEVICE`");
    }
    Ok(())
}

/// Returns the heads that cannot be processed as JSON.
pub fn stuck_json(vault: &Vault, stuck: &[Stuck]) -> Value {
    let one = |stuck: &Stuck| {
        json!({
            "head": stuck.head.to_string(),
            "device": stuck.device.as_ref().map(DeviceName::as_str),
            "why": stuck.reason,
            "hint": stuck_hint(vault, stuck),
        })
    };
    stuck.iter().map(one).collect()
}

fn stuck_hint(vault: &Vault, stuck: &Stuck) -> String {
    format!("{} sets it aside", typed("reconcile --without").word(vault.name_of_stuck(stuck)))
}

/// Says which heads cannot be processed, and what to do about them.
pub fn tell_stuck(cx: &mut Context<'_>, vault: &Vault, stuck: &[Stuck]) {
    for one in stuck {
        let of = one.device.as_ref().map(|device| format!(" of {device}")).unwrap_or_default();
        let (head, why) = (one.head.short(), harmless_line(one.reason.as_bytes()));
        cx.ui.warn(format_args!("head {head}{of} cannot be processed: {why}"));
        cx.ui.note(format_args!("  everything else goes on without it; {}", stuck_hint(vault, one)));
    }
}

/// Returns what a reconcile came to as JSON.
pub fn outcome_json(vault: &Vault, outcome: &ReconcileOutcome) -> Value {
    json!({
        "head": outcome.head.to_string(),
        "derived": outcome.derived.map(|id| id.to_string()),
        "pending": outcome.conflicts.iter().map(pending_json).collect::<Vec<_>>(),
        "waiting": outcome.moved.iter().flat_map(|moved| &moved.waiting).map(wait_json).collect::<Vec<_>>(),
        "heads_pending": outcome.pending.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "hold": outcome.on_hold.as_ref().map(hold_word),
        "held": held(outcome).iter().map(refused_json).collect::<Vec<_>>(),
        "told": outcome.told.iter().map(refused_json).collect::<Vec<_>>(),
        "stuck": stuck_json(vault, &outcome.stuck),
        "set_aside": outcome.set_aside.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Returns a pending conflict as JSON: path and kind.
pub fn pending_json(conflict: &Conflict) -> Value {
    let mut object = Map::new();
    json::put_path(&mut object, "path", conflict.path.as_bytes());
    object.insert("kind".into(), conflict.kind.as_str().into());
    Value::Object(object)
}

/// Returns what holds a reconcile until a person allows it.
pub fn held(outcome: &ReconcileOutcome) -> &[Refused] {
    match &outcome.on_hold {
        Some(Hold::Guarded(held)) => held,
        _ => &[],
    }
}

fn hold_word(hold: &Hold) -> &'static str {
    match hold {
        Hold::Parked => "parked",
        Hold::UnknownRule(_) => "unknown-rule",
        Hold::Dirty(_) => "dirty",
        Hold::Guarded(_) => "guarded",
        Hold::Session(_) => "session",
        Hold::TooMany => "too-many",
    }
}

/// Tells what a reconcile came to.
pub fn tell_outcome(
    cx: &mut Context<'_>,
    vault: &Vault,
    outcome: &ReconcileOutcome,
) -> Result<(), CommandError> {
    let branch = vault.branch();
    match &outcome.moved {
        Some(moved) => {
            cx.ui.line(format_args!("{branch} is at {}: {}", outcome.head.short(), files(moved)))?;
            tell_saved(cx, moved)?;
        }
        None => cx.ui.line(format_args!("{branch} stays at {}", outcome.head.short()))?,
    }
    for told in &outcome.told {
        cx.ui.warn(format_args!("{}: {}", harmless_line(&told.path), told.words()));
    }
    tell_stuck(cx, vault, &outcome.stuck);
    if let Some(Hold::Session(id)) = &outcome.on_hold {
        cx.ui.line(format_args!("what came waits until session {} closes", harmless(id)))?;
        cx.ui.note("`mvault session end ID` closes it; `--allow session` lets the files change under it");
    }
    if !held(outcome).is_empty() {
        cx.ui.line("what came waits for a yes; no file was touched and no head moved:")?;
        tell_held(cx, held(outcome))?;
        cx.ui.note(
            "`mvault reconcile --allow CODE:PATH` lets one through; mending it on the other device ends it",
        );
    }
    if !outcome.conflicts.is_empty() && outcome.on_hold.is_none() {
        let count = outcome.conflicts.len();
        let conflicts = if count == 1 { "conflict is" } else { "conflicts are" };
        cx.ui.line(format_args!("{count} {conflicts} pending; no file was touched by them:"))?;
        for conflict in &outcome.conflicts {
            cx.ui.line(format_args!("  {} ({})", conflict.path, conflict.kind))?;
        }
        cx.ui.note("`mvault conflicts` shows them, `mvault resolve PATH --take DEVICE` chooses");
    }
    Ok(())
}

fn tell_held(cx: &mut Context<'_>, held: &[Refused]) -> Result<(), CommandError> {
    for refused in held.iter().take(HELD_TOLD_MAX) {
        let (path, code) = (harmless_line(&refused.path), refused.reason.code());
        cx.ui.line(format_args!("  {path} ({code}): {}", refused.words()))?;
    }
    if let more @ 1.. = held.len().saturating_sub(HELD_TOLD_MAX) {
        cx.ui.line(format_args!("  and {more} more"))?;
    }
    Ok(())
}

/// Turns what a reconcile came to into an exit code, or into the error that says why it waits.
pub fn exit_of(outcome: &ReconcileOutcome) -> CommandResult {
    match &outcome.on_hold {
        Some(Hold::Dirty(paths)) => {
            let shown: Vec<String> = paths.iter().take(5).map(ToString::to_string).collect();
            let more = paths.len().saturating_sub(shown.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let text = format!(
                "edits in no commit are in the way: {}{more}; nothing was moved, what came is kept",
                shown.join(", ")
            );
            Err(CommandError::new(ErrorKind::Dirty, text)
                .hint("`mvault commit` keeps your edits, then `mvault reconcile`"))
        }
        Some(Hold::Parked) => Err(CommandError::new(
            ErrorKind::Refused,
            "the tree is parked at an older state; what came is kept and waits",
        )
        .hint("`mvault status` says how to go back to the branch, then `mvault reconcile`")),
        Some(Hold::UnknownRule(version)) => Err(CommandError::new(
            ErrorKind::NewerFormat,
            format!(
                "the vault asks for merge rule {version}, which this mvault does not know; what came is kept"
            ),
        )
        .hint("install a newer mvault, then `mvault reconcile`")),
        Some(Hold::TooMany) => Err(CommandError::new(
            ErrorKind::Refused,
            format!(
                "merged with what came, the vault would hold more than {ENTRIES_MAX} files and folders; nothing was \
                 moved, what came is kept"
            ),
        )
        .hint("remove files here and commit, or on the other device, then `mvault reconcile`")),
        None if outcome.pending.is_empty() && outcome.stuck.is_empty() => Ok(Exit::Done),
        None | Some(Hold::Guarded(_) | Hold::Session(_)) => Ok(Exit::Conflicts),
    }
}

/// Arguments of `conflicts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault conflicts                     every pending conflict, both sides against the base
  mvault conflicts continuity.md       one of them
  mvault conflicts --json              base, sides and diffs for programs")]
pub struct ConflictsArgs {
    /// Only this file
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
}

/// Shows what is in conflict.
pub fn run_conflicts(cx: &mut Context<'_>, args: &ConflictsArgs) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let only = args.path.as_ref().map(|path| cx.vault_path(&vault, path)).transpose()?;
    let pending = vault::pending(&vault)?;
    tell_stuck(cx, &vault, &pending.stuck);
    let wanted: Vec<&Conflict> =
        pending.conflicts.iter().filter(|c| only.as_ref().is_none_or(|path| c.path == *path)).collect();
    if let (Some(path), true) = (&only, wanted.is_empty()) {
        return Err(CommandError::new(ErrorKind::NotFound, format!("{path} is not in conflict"))
            .hint("`mvault conflicts` lists what is"));
    }
    if wanted.is_empty() && !cx.ui.is_json() {
        cx.ui.note("nothing is in conflict");
    }
    let choices = vault::choices(&vault)?;
    cx.ui.page()?;
    for conflict in wanted {
        let choice = choices.get(&conflict.key()).copied();
        if cx.ui.is_json() {
            let value = conflict_json(&vault, conflict, choice)?;
            cx.ui.json(&value)?;
        } else {
            tell_conflict(cx, &vault, conflict)?;
            if let Some(entry) = choice {
                let what = choice_words(conflict, entry);
                cx.ui.line(format_args!("chosen: {what}; choosing again replaces it"))?;
            }
            cx.ui.line("")?;
        }
    }
    Ok(Exit::Done)
}

/// What a side or base holds, read from the store.
enum Content {
    Bytes(std::sync::Arc<[u8]>),
    Nothing,
    Words(String),
}

impl Content {
    fn of(vault: &Vault, conflict: &Conflict, entry: Option<Entry>) -> Result<Content, CommandError> {
        match entry {
            None => Ok(Content::Nothing),
            Some(entry) if entry.mode == Mode::Tree => Ok(Content::Words("a folder".into())),
            Some(entry) if vault.is_purged(BlobId::new(entry.id)) => {
                Ok(Content::Words("a version that was purged".into()))
            }
            Some(entry) if entry.mode == Mode::Symlink => {
                let target = conflict.read(vault.store(), entry)?;
                Ok(Content::Words(format!("a link to {}", crate::ui::harmless_line(&target))))
            }
            Some(entry) => Ok(Content::Bytes(conflict.read(vault.store(), entry)?)),
        }
    }

    fn held(&self) -> Held<'_> {
        match self {
            Content::Bytes(bytes) => Held::Bytes(bytes),
            Content::Nothing => Held::Nothing,
            Content::Words(words) => Held::Words(words.clone()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Content::Bytes(bytes) => bytes,
            Content::Nothing | Content::Words(_) => &[],
        }
    }
}

fn base_content(vault: &Vault, conflict: &Conflict) -> Result<Content, CommandError> {
    match &conflict.base {
        BaseValue::NoValue => Ok(Content::Words("a base that was in conflict itself".into())),
        other => Content::of(vault, conflict, other.entry()),
    }
}

fn label(side: &Side) -> String {
    match &side.device {
        Some(device) => format!("{device} ({})", side.commit.short()),
        None => side.commit.short(),
    }
}

fn tell_conflict(cx: &mut Context<'_>, vault: &Vault, conflict: &Conflict) -> Result<(), CommandError> {
    let base = base_content(vault, conflict)?;
    let contents = conflict
        .sides
        .iter()
        .map(|side| Content::of(vault, conflict, side.entry))
        .collect::<Result<Vec<_>, _>>()?;
    let sides: Vec<ConflictSide<'_>> = conflict
        .sides
        .iter()
        .zip(&contents)
        .map(|(side, content)| ConflictSide { label: label(side), held: content.held() })
        .collect();
    cx.ui.line(format_args!("conflict in {} ({})", conflict.path, conflict.kind))?;
    let palette = cx.ui.palette();
    let wide = cx.ui.is_terminal() && cx.ui.columns() >= SIDE_BY_SIDE_COLUMNS;
    let lines = match sides.as_slice() {
        [left, right] if wide => side_by_side(&base.held(), left, right, cx.ui.columns(), palette),
        sides => stacked(&base.held(), sides, palette),
    };
    for line in lines {
        cx.ui.line(line)?;
    }
    let devices: Vec<String> = conflict
        .sides
        .iter()
        .filter_map(|side| side.device.as_ref())
        .map(|d| format!("--take {d}"))
        .collect();
    cx.ui.line(format_args!(
        "choose: mvault resolve {} {} | --take base | --take both | --with FILE | --edit",
        conflict.path,
        devices.join(" | ")
    ))?;
    Ok(())
}

/// Says what was chosen for a conflict, by the name of the side that has it.
fn choice_words(conflict: &Conflict, chosen: Option<Entry>) -> String {
    let side = conflict.sides.iter().find(|side| side.entry == chosen && side.device.is_some());
    match (side.and_then(|side| side.device.as_ref()), chosen) {
        (Some(device), _) => format!("as {device} has it"),
        (None, _) if conflict.base.entry() == chosen => "as it was before".to_owned(),
        (None, Some(entry)) => format!("content of its own, {}", entry.id),
        (None, None) => "nothing, the file goes".to_owned(),
    }
}

/// Returns a conflict as JSON. `choice` is what was chosen for it so far: `chosen` is null without one,
/// and has the id of what shall stand there, or null for nothing.
fn conflict_json(
    vault: &Vault,
    conflict: &Conflict,
    choice: Option<Option<Entry>>,
) -> Result<Value, CommandError> {
    let base = base_content(vault, conflict)?;
    let mut object = Map::new();
    json::put_path(&mut object, "path", conflict.path.as_bytes());
    object.insert("kind".into(), conflict.kind.as_str().into());
    object.insert("key".into(), conflict.key().into());
    object.insert("base".into(), json!(conflict.base.entry().map(|entry| entry.id.to_string())));
    let mut sides = Vec::new();
    let mut diffs = Vec::new();
    for side in &conflict.sides {
        let content = Content::of(vault, conflict, side.entry)?;
        diffs.push(format!("base -> {}\n{}", label(side), unified(base.bytes(), content.bytes())));
        sides.push(json!({
            "device": side.device.as_ref().map(DeviceName::as_str),
            "commit": side.commit.to_string(),
            "id": side.entry.map(|entry| entry.id.to_string()),
        }));
    }
    object.insert("sides".into(), sides.into());
    object.insert("diff".into(), diffs.join("\n").into());
    let chosen = choice.map(|entry| json!({"id": entry.map(|entry| entry.id.to_string())}));
    object.insert("chosen".into(), chosen.into());
    Ok(Value::Object(object))
}

/// Arguments of `resolve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault resolve continuity.md --take pixel    as the phone has it
  mvault resolve continuity.md --take both     both versions, one after the other
  mvault resolve continuity.md --take base     as it was before
  mvault resolve continuity.md --with new.md   something else
  mvault resolve continuity.md --edit          both versions in your editor

The last choice commits; the next sync brings it to the other devices.")]
#[command(group = clap::ArgGroup::new("how").required(true))]
pub struct ResolveArgs {
    /// The file in conflict
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// A device's version, `base` or `both`
    #[arg(long, value_name = "WHAT", group = "how")]
    take: Option<String>,
    /// The content of a file
    #[arg(long, value_name = "FILE", group = "how")]
    with: Option<PathBuf>,
    /// What your editor makes of both versions
    #[arg(long, group = "how")]
    edit: bool,
    #[command(flatten)]
    allow: AllowArgs,
}

/// Chooses for one conflict.
pub fn run_resolve(cx: &mut Context<'_>, args: &ResolveArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let path = cx.vault_path(&vault, &args.path)?;
    let how = match (&args.take, &args.with) {
        (Some(word), _) => take(word)?,
        (None, Some(file)) => Resolve::Bytes(read_choice(cx, &cx.path(file))?),
        (None, None) => Resolve::Bytes(super::editor::edit_conflict(cx, &vault, &path)?),
    };
    let allowed = args.allow.parse(cx, &vault, &[])?;
    let outcome = vault::resolve(&mut vault, &path, how, &allowed)?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        let mut object = Map::new();
        json::put_path(&mut object, "path", path.as_bytes());
        object.insert("remaining".into(), outcome.remaining.len().into());
        object.insert("head".into(), outcome.head.to_string().into());
        object.insert("id".into(), json!(outcome.commit.map(|id| id.to_string())));
        object.insert("held".into(), outcome.held.iter().map(refused_json).collect());
        let waiting = outcome.moved.iter().flat_map(|moved| &moved.waiting).map(wait_json);
        object.insert("waiting".into(), waiting.collect());
        cx.ui.json(&Value::Object(object))?;
        return Ok(if outcome.commit.is_some() { Exit::Done } else { Exit::Conflicts });
    }
    if !outcome.held.is_empty() {
        cx.ui.line(format_args!("chosen for {path}; what would come with it waits for a yes:"))?;
        tell_held(cx, &outcome.held)?;
        cx.ui.note("the same `mvault resolve` with `--allow CODE:PATH` lets one through");
        return Ok(Exit::Conflicts);
    }
    match (outcome.commit, &outcome.moved) {
        (Some(id), Some(moved)) => {
            cx.ui.line(format_args!("{}  resolved: {}", id.short(), files(moved)))?;
            tell_saved(cx, moved)?;
            Ok(Exit::Done)
        }
        _ => {
            let left: Vec<String> = outcome.remaining.iter().map(|c| c.path.to_string()).collect();
            cx.ui.line(format_args!("chosen for {path}; still in conflict: {}", left.join(", ")))?;
            Ok(Exit::Conflicts)
        }
    }
}

fn take(word: &str) -> Result<Resolve, CommandError> {
    match word {
        "base" => Ok(Resolve::Base),
        "both" => Ok(Resolve::Both),
        device => DeviceName::parse(device).map(Resolve::Device).ok_or_else(|| {
            CommandError::usage("--take wants a device's name, `base` or `both`")
                .hint("`mvault conflicts` names the devices")
        }),
    }
}

fn read_choice(cx: &Context<'_>, path: &std::path::Path) -> Result<Vec<u8>, CommandError> {
    let real = cx.disk.canonicalize(path)?;
    let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
        return Err(CommandError::usage("--with wants a file"));
    };
    Ok(cx.disk.open_dir(parent)?.read(name, CHOICE_BYTES_MAX)?)
}
