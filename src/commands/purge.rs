//! `purge`: removes bytes for good, on request and after a confirmation.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::show::split_path;
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::object::{BlobId, ObjectId, Prefix, VaultPath, shell_word};
use crate::ui::json as shapes;
use crate::vault::{self, Access, PurgeOutcome, Survey, Target, Vault, Waiting};

/// Set by the hook adapters: nobody is there to confirm anything.
const HOOK_VAR: &str = "MVAULT_HOOK";

/// Arguments of `purge`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault purge notes/keys.txt -m 'a token got in'    every version the file ever had
  mvault purge main~3:notes/keys.txt                 the version in that commit
  mvault purge 3f2a91c0                              one blob, by its id
  mvault purge notes/keys.txt --dry-run              only tell what would go
  mvault purge --accept                              what other devices purged: remove it here too

The file goes from the newest state and its bytes from the store. Commits keep their ids; a tombstone says
who purged what, when and why, and travels with the history, so no device sends the bytes again. This
cannot be undone. A secret that got out is still known to whoever has read it: change it as well.")]
pub struct PurgeArgs {
    /// A file, REV:PATH, or at least 4 digits of a blob's id; with --accept an id of a purge or blob
    #[arg(value_name = "PATH|REV:PATH|ID", required_unless_present_any = ["accept", "resume"])]
    what: Option<String>,
    /// Why; the reason stays in the history
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// What would be typed to confirm: the path, or the first ten digits of the id
    #[arg(long, value_name = "TEXT")]
    confirm: Option<String>,
    /// Only tell what would go
    #[arg(long)]
    dry_run: bool,
    /// Remove here what other devices have purged
    #[arg(long, conflicts_with_all = ["message", "resume"])]
    accept: bool,
    /// Go on with a purge that was cut short
    #[arg(long, conflicts_with_all = ["message", "what", "dry_run"])]
    resume: bool,
}

/// Purges.
pub fn run(cx: &mut Context<'_>, args: &PurgeArgs) -> CommandResult {
    if cx.var(HOOK_VAR).is_some() {
        return Err(CommandError::usage("a hook cannot purge: somebody has to confirm it")
            .hint("run `mvault purge` yourself, on a terminal"));
    }
    let mut vault = cx.open_vault(Access::Tree)?;
    if args.resume {
        return resume(cx, &mut vault);
    }
    if args.accept {
        return accept(cx, &mut vault, args);
    }
    let what = args.what.as_deref().unwrap_or_default();
    let target = target(cx, &vault, what)?;
    let survey = vault::survey(&vault, &target)?;
    tell_survey(cx, &survey)?;
    if args.dry_run {
        if cx.ui.is_json() {
            cx.ui.json(
                &json!({"id": null, "purged": versions_json(&survey), "going": paths(&survey.going)}),
            )?;
        }
        return Ok(Exit::Done);
    }
    confirm(cx, &survey.confirm, args.confirm.as_deref())?;
    let message = args.message.as_ref().map(|message| format!("{}\n", message.trim_end()));
    let outcome = vault::purge(&mut vault, &target, &survey, message)?;
    cx.tell_notices(&mut vault);
    tell(cx, &outcome)?;
    Ok(Exit::Done)
}

/// Finds out what is meant: a path that history knows, a path in a commit, or an id.
fn target(cx: &Context<'_>, vault: &Vault, what: &str) -> Result<Target, CommandError> {
    if let (revision, Some(path)) = split_path(what)
        && let Ok(commit) = vault.resolve(if revision.is_empty() { "HEAD" } else { revision })
    {
        let path = VaultPath::parse(path).map_err(|error| CommandError::usage(format!("{path}: {error}")))?;
        return Ok(Target::Version(commit, path));
    }
    let path = cx.vault_path(vault, Path::new(what));
    let blob = blob(vault, what)?;
    match (blob, path) {
        // A file may be called like an id: it is what people mean.
        (Some(blob), Ok(path)) => match vault::survey(vault, &Target::Path(path.clone())) {
            Ok(_) => Ok(Target::Path(path)),
            Err(_) => Ok(Target::Blob(blob)),
        },
        (Some(blob), Err(_)) => Ok(Target::Blob(blob)),
        (None, path) => Ok(Target::Path(path?)),
    }
}

/// Returns the one blob whose id begins like this; `None` if it is no beginning of one.
fn blob(vault: &Vault, text: &str) -> Result<Option<ObjectId>, CommandError> {
    let Ok(prefix) = Prefix::parse(text) else { return Ok(None) };
    let mut blobs = Vec::new();
    for id in vault.store().find_prefix(&prefix).map_err(vault::Error::from)? {
        if vault.store().still_has(id).map_err(vault::Error::from)? && vault.is_blob(id)? {
            blobs.push(id);
        }
    }
    match blobs.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some(*id)),
        several => {
            let shown: Vec<String> = several.iter().map(ToString::to_string).collect();
            let message = format!("{} could be any of {}", prefix.as_str(), shown.join(", "));
            Err(CommandError::new(ErrorKind::Ambiguous, message).hint("type more digits of the one you mean"))
        }
    }
}

/// Tells what would go: never its content.
fn tell_survey(cx: &mut Context<'_>, survey: &Survey) -> Result<(), CommandError> {
    if cx.ui.is_json() {
        return Ok(());
    }
    for version in &survey.versions {
        let bytes = version.bytes.map_or_else(|| "not here".to_owned(), |bytes| format!("{bytes} bytes"));
        let commits = if version.commits == 1 { "commit" } else { "commits" };
        let newest = version.newest.map(|id| format!(", the newest {}", id.short())).unwrap_or_default();
        cx.ui.line(format_args!(
            "{}  {bytes}, in {} {commits}{newest}",
            version.blob.short(),
            version.commits
        ))?;
        for path in &version.paths {
            cx.ui.line(format_args!("            {path}"))?;
        }
    }
    for path in &survey.going {
        cx.ui.line(format_args!("goes from the present state: {path}"))?;
    }
    if survey.left > 0 {
        cx.ui.note(format_args!("{} more versions are left for the next purge", survey.left));
    }
    Ok(())
}

/// Has somebody type what is to go. Without a terminal it must be given.
fn confirm(cx: &mut Context<'_>, wanted: &str, given: Option<&str>) -> Result<(), CommandError> {
    let typed = match given {
        Some(given) => Some(given.to_owned()),
        None => cx.ask(&format!("this cannot be undone; type {wanted} to go on: "))?,
    };
    match typed {
        Some(typed) if typed == wanted => Ok(()),
        Some(_) => Err(CommandError::usage(format!("that is not {wanted}; nothing was purged"))
            .hint(format!("type it exactly, or `--confirm {}`", shell_word(wanted)))),
        None => Err(CommandError::usage("there is no terminal to confirm on; nothing was purged")
            .hint(format!("look at it with --dry-run, then add `--confirm {}`", shell_word(wanted)))),
    }
}

fn paths(paths: &[VaultPath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

fn versions_json(survey: &Survey) -> Vec<Value> {
    let one = |version: &vault::Version| {
        let mut object = Map::new();
        object.insert("id".into(), version.blob.to_string().into());
        object.insert("bytes".into(), version.bytes.into());
        object.insert("commits".into(), version.commits.into());
        object.insert("newest".into(), version.newest.map(|id| id.to_string()).into());
        let paths = version.paths.iter().map(|path| {
            let mut object = Map::new();
            shapes::put_path(&mut object, "path", path.as_bytes());
            Value::Object(object)
        });
        object.insert("paths".into(), paths.collect::<Vec<_>>().into());
        Value::Object(object)
    };
    survey.versions.iter().map(one).collect()
}

fn tell(cx: &mut Context<'_>, outcome: &PurgeOutcome) -> Result<(), CommandError> {
    let PurgeOutcome { commit, survey, stays, kept, .. } = outcome;
    if cx.ui.is_json() {
        let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
        cx.ui.json(&json!({
            "id": commit.to_string(),
            "purged": versions_json(survey),
            "going": paths(&survey.going),
            "stays": paths(stays),
            "kept": kept,
            "left": survey.left,
        }))?;
        return Ok(());
    }
    let versions = if survey.versions.len() == 1 { "version" } else { "versions" };
    cx.ui.line(format_args!("{}  {} {versions} purged", commit.short(), survey.versions.len()))?;
    for path in stays {
        cx.ui.warn(format_args!("{path} had edits and stays on disk; no commit has it: remove it yourself"));
    }
    for id in kept {
        cx.ui.warn(format_args!("{} is also a piece of a larger file, which still has it", id.short()));
    }
    cx.ui.note("other devices keep their copies until `mvault purge --accept` there");
    Ok(())
}

fn accept(cx: &mut Context<'_>, vault: &mut Vault, args: &PurgeArgs) -> CommandResult {
    let waiting = vault::waiting(vault, args.what.as_deref().map(|text| purged_id(vault, text)).transpose()?);
    for Waiting { commit, device, at, why, blobs } in &waiting {
        if !cx.ui.is_json() {
            let versions = if blobs.len() == 1 { "version" } else { "versions" };
            cx.ui.line(format_args!("{}  {device} {at}: {why}", commit.short()))?;
            cx.ui.line(format_args!("            {} {versions} here", blobs.len()))?;
        }
    }
    let blobs: BTreeSet<BlobId> = waiting.iter().flat_map(|w| w.blobs.iter().copied()).collect();
    if !args.dry_run && !blobs.is_empty() {
        let wanted = match waiting.as_slice() {
            [one] => one.commit.short(),
            several => format!("all {}", several.len()),
        };
        confirm(cx, &wanted, args.confirm.as_deref())?;
        vault::accept(vault, &blobs)?;
        cx.tell_notices(vault);
    }
    let done = !args.dry_run && !blobs.is_empty();
    if cx.ui.is_json() {
        let purged: Vec<String> = blobs.iter().map(ToString::to_string).collect();
        let id = waiting.first().filter(|_| done).map(|w| w.commit.to_string());
        cx.ui.json(&json!({"id": id, "purged": purged, "accepted": done}))?;
    } else if blobs.is_empty() {
        cx.ui.note("no purge of another device waits here");
    } else if done {
        cx.ui.line(format_args!("{} purged here too", blobs.len()))?;
    }
    Ok(Exit::Done)
}

/// Returns the purge or blob that the digits stand for.
fn purged_id(vault: &Vault, text: &str) -> Result<ObjectId, CommandError> {
    let waiting = vault::waiting(vault, None);
    let ids = waiting.iter().flat_map(|w| w.blobs.iter().map(|b| b.object()).chain([w.commit.object()]));
    let found: BTreeSet<ObjectId> =
        ids.filter(|id| text.len() >= 4 && id.to_string().starts_with(text)).collect();
    match found.into_iter().collect::<Vec<_>>().as_slice() {
        [id] => Ok(*id),
        _ => Err(CommandError::new(ErrorKind::NotFound, "no one purge that waits has that id")
            .hint("`mvault purge --accept --dry-run` lists them")),
    }
}

fn resume(cx: &mut Context<'_>, vault: &mut Vault) -> CommandResult {
    let count = vault::resume(vault)?;
    cx.tell_notices(vault);
    if cx.ui.is_json() {
        cx.ui.json(&json!({"id": null, "removed": count}))?;
    } else {
        cx.ui.line("nothing that was purged is left")?;
    }
    Ok(Exit::Done)
}
