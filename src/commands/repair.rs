//! `repair`: what is whole is saved, what is damaged is set aside, what is lost comes back by its hash.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::sync::{named, restore};
use super::verify::{as_json, tell};
use super::{CommandError, CommandResult, Context, Exit};
use crate::object::{CommitId, ObjectId, VaultPath, typed};
use crate::ui::{Unit, harmless, harmless_line};
use crate::vault::{
    self, Access, Depth, ErrorKind, FileFix, Fixed, StoreRepair, Tidied, Unled, Vault, VaultEndpoint, Verb,
    Verified,
};

/// Problems with these words are the store's own.
const STORE_KINDS: [&str; 4] = ["file", "pack", "record", "object"];

/// Arguments of `repair`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault repair                        put right what can be from what is here
  mvault repair --dry-run              only say what would be done
  mvault repair --from pixel           fetch what is lost here by its hash from another device
  mvault repair --from phone.bundle    the same from a file that `mvault bundle create` made
  mvault repair --bring-back           keep commits that nothing leads to as saved/N
  mvault repair continuity.md          put this file back as it was last verified, whatever it is now

What is damaged moves to quarantine, nothing is deleted, and the audit trail has it. Edits are left alone
unless their file is named. Damage in the operation log is told and never cut away; if its end is lost, an
operation says what is missing. Ends with 0 if all is
whole afterwards, with 5 if something is still damaged; run it again after a cut.")]
pub struct RepairArgs {
    /// Files and folders to put back from their last verified version
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A remote's name, HOST:[PATH], a path or a bundle, to fetch lost objects from
    #[arg(long, value_name = "REMOTE")]
    from: Option<String>,
    /// The far program, if it is not `mvault` on the far PATH
    #[arg(long, value_name = "PROGRAM")]
    far_program: Option<String>,
    /// Name the commits that nothing leads to `saved/N`, so that they can be used again
    #[arg(long, conflicts_with = "dry_run")]
    bring_back: bool,
    /// Say what would be done and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was done, or would be.
#[derive(Default)]
struct Report {
    store: StoreRepair,
    fetched: u64,
    tidied: Vec<Tidied>,
    files: Vec<FileFix>,
    commit: Option<String>,
    brought_back: Vec<(u64, CommitId)>,
}

/// Puts the vault right as far as that can be done.
pub fn run(cx: &mut Context<'_>, args: &RepairArgs) -> CommandResult {
    let path = cx.find_vault()?;
    let ground = vault::repair_ground(&path, &cx.open_options(Access::Tree)?, args.dry_run)?;
    let found = verify(cx, &path, Depth::Full)?;
    let mut vault = match Vault::open(&path, cx.open_options(Access::Tree)?) {
        Ok(vault) => vault,
        // The log or the settings: nothing can be done without them, and nothing is guessed.
        Err(error) if !found.problems.is_empty() && !matches!(error.kind(), ErrorKind::Locked) => {
            let report = Report { tidied: ground, ..Report::default() };
            tell_all(cx, &report, &found, args.dry_run)?;
            return Ok(Exit::Damaged);
        }
        Err(error) => return Err(error.into()),
    };
    cx.tell_notices(&mut vault);
    let paths = cx.vault_paths(&vault, &args.paths)?;
    let (mut report, verified) = match args.dry_run {
        true => (foresee(cx, &mut vault, &paths, &found)?, found),
        false => {
            let (mut report, is_changed) = repair(cx, &mut vault, args, &paths, &found)?;
            if args.bring_back {
                report.brought_back = vault::bring_back(&mut vault)?;
            }
            let is_changed = is_changed || !report.brought_back.is_empty();
            let verified = if is_changed { verify(cx, &path, Depth::Full)? } else { found };
            (report, verified)
        }
    };
    report.tidied.splice(0..0, ground);
    cx.tell_notices(&mut vault);
    tell_all(cx, &report, &verified, args.dry_run)?;
    let has_no_version = report.files.iter().any(|fix| fix.how == Fixed::NoVersion);
    let is_waiting = args.dry_run && !report.files.is_empty();
    let is_whole = verified.problems.is_empty() && !has_no_version && !is_waiting;
    Ok(if is_whole { Exit::Done } else { Exit::Damaged })
}

fn verify(cx: &Context<'_>, path: &std::path::Path, depth: Depth) -> Result<Verified, CommandError> {
    let bar = cx.ui.progress("verifying", Some(0), Unit::Things);
    let verified = vault::verify(&*cx.disk, path, depth, &|done, total| {
        bar.set_total(total);
        bar.set(done);
    })?;
    drop(bar);
    Ok(verified)
}

fn needs_store_repair(found: &Verified) -> bool {
    found.problems.iter().any(|problem| STORE_KINDS.contains(&problem.kind))
}

/// Says what a repair would do.
fn foresee(
    cx: &Context<'_>,
    vault: &mut Vault,
    paths: &[VaultPath],
    found: &Verified,
) -> Result<Report, CommandError> {
    let mut report = Report::default();
    if needs_store_repair(found) {
        let bar = cx.ui.progress("reading", Some(0), Unit::Things);
        let salvage = vault::examine_store(vault, &|done, total| {
            bar.set_total(total);
            bar.set(done);
        })?;
        report.store.saved = salvage.records();
        let names = salvage.files().into_iter();
        report.store.set_aside =
            names.map(|name| crate::store::SetAside { kept_as: String::new(), name }).collect();
    }
    report.tidied = vault::tidy(vault, &found.problems, true)?;
    report.files = fix_files(vault, paths, true, found)?.0;
    Ok(report)
}

/// Carries the repair out: packs, what is lost, the rest of `.mvault`, files. Tells whether anything below
/// `.mvault` changed.
fn repair(
    cx: &mut Context<'_>,
    vault: &mut Vault,
    args: &RepairArgs,
    paths: &[VaultPath],
    found: &Verified,
) -> Result<(Report, bool), CommandError> {
    let mut report = Report::default();
    let mut now = Cow::Borrowed(found);
    if needs_store_repair(&now) {
        save_records(cx, vault, &mut report)?;
        now = Cow::Owned(verify(cx, vault.root().path(), Depth::Full)?);
    }
    if let Some(from) = &args.from {
        let mut asked = BTreeSet::new();
        // What came can lead to more that is gone.
        while wanted(&now).difference(&asked).next().is_some() {
            asked = wanted(&now);
            let objects = fetch(cx, vault, args, from, asked.iter().copied().collect())?;
            if objects == 0 {
                break;
            }
            report.fetched += objects;
            now = Cow::Owned(verify(cx, vault.root().path(), Depth::Full)?);
        }
        // With its base a record that waited can prove to be damaged.
        if report.fetched > 0 && needs_store_repair(&now) {
            save_records(cx, vault, &mut report)?;
            now = Cow::Owned(verify(cx, vault.root().path(), Depth::Full)?);
        }
    }
    let lost = &now.lost;
    report.tidied = vault::tidy(vault, &found.problems, false)?;
    let (files, commit) = match fix_files(vault, paths, false, found) {
        // The head itself is damaged: the files on disk are all there is of it, and stay.
        Err(error) if !lost.is_empty() && error.kind == super::ErrorKind::Damaged => {
            cx.ui.warn(format_args!("the files were not compared: {}", error.message));
            Default::default()
        }
        other => other?,
    };
    report.files = files;
    report.commit = commit.map(|id| id.to_string());
    let is_changed = !report.store.set_aside.is_empty()
        || report.fetched > 0
        || !report.tidied.is_empty()
        || !report.files.is_empty();
    Ok((report, is_changed))
}

/// Returns what another device is asked for: what is lost, and what others here depend on.
fn wanted(found: &Verified) -> BTreeSet<ObjectId> {
    let lost = found.lost.iter().map(|lost| lost.id);
    lost.chain(found.unreadable.iter().copied()).chain(found.absent_bases.iter().copied()).collect()
}

/// Moves damaged packs to quarantine and keeps what is not damaged in them.
fn save_records(cx: &Context<'_>, vault: &mut Vault, report: &mut Report) -> Result<(), CommandError> {
    let bar = cx.ui.progress("saving", Some(0), Unit::Things);
    let done = vault::repair_store(vault, &|done, total| {
        bar.set_total(total);
        bar.set(done);
    })?;
    drop(bar);
    report.store.saved += done.saved;
    report.store.set_aside.extend(done.set_aside);
    Ok(())
}

/// Fetches objects by their hashes, and what they lead to; returns how many came.
fn fetch(
    cx: &mut Context<'_>,
    vault: &mut Vault,
    args: &RepairArgs,
    from: &str,
    wanted: Vec<ObjectId>,
) -> Result<u64, CommandError> {
    let configured = vault.config().remotes().map_err(vault::Error::from)?;
    let remote = named(&configured, from);
    let options = cx.open_options(Access::Store)?;
    let reader = Vault::open(vault.root().path(), options)?;
    let mut endpoint = VaultEndpoint::new(reader, Verb::Fetch, false);
    let binary = args.far_program.clone().or_else(|| remote.binary.clone());
    let brought = restore(cx, &mut endpoint, &remote, binary, wanted)?;
    if brought.objects > 0 {
        vault.store().refresh().map_err(vault::Error::from)?;
        vault::note_brought(vault, brought.peer.identity.device.as_str(), brought.objects)?;
    }
    Ok(brought.objects)
}

fn fix_files(
    vault: &mut Vault,
    paths: &[VaultPath],
    is_dry: bool,
    found: &Verified,
) -> Result<(Vec<FileFix>, Option<crate::object::CommitId>), CommandError> {
    match vault::fix_files(vault, paths, is_dry) {
        Err(error)
            if is_dry && paths.is_empty() && !found.lost.is_empty() && error.kind() == ErrorKind::Damage =>
        {
            Ok(Default::default())
        }
        other => Ok(other?),
    }
}

fn tell_all(
    cx: &mut Context<'_>,
    report: &Report,
    verified: &Verified,
    is_dry: bool,
) -> Result<(), CommandError> {
    if cx.ui.is_json() {
        let Value::Object(mut object) = as_json(verified) else { return Ok(()) };
        object.insert("dry_run".into(), is_dry.into());
        object.insert("done".into(), done_json(report).into());
        object.insert("fetched".into(), report.fetched.into());
        object.insert("saved".into(), report.store.saved.into());
        object.insert("commit".into(), json!(report.commit));
        let lost = verified.lost.iter();
        let lost = lost.map(|l| json!({"id": l.id.to_string(), "kind": l.kind.as_str(), "where": l.place}));
        object.insert("lost".into(), lost.collect());
        let unled = verified.unled.iter().map(|one| {
            let Unled { commit, title, device, at, commits } = one;
            let id = commit.to_string();
            json!({"id": id, "title": title, "device": device, "at": at, "commits": commits})
        });
        object.insert("found".into(), unled.collect());
        let brought = report.brought_back.iter();
        let brought = brought.map(|(n, id)| json!({"id": id.to_string(), "ref": format!("saved/{n}")}));
        object.insert("brought_back".into(), brought.collect());
        return Ok(cx.ui.json(&Value::Object(object))?);
    }
    let would = if is_dry { "would be " } else { "" };
    for moved in &report.store.set_aside {
        cx.ui.line(format_args!("{would}set aside  {}", harmless_line(moved.name.as_bytes())))?;
    }
    if report.store.saved > 0 {
        let records = if report.store.saved == 1 { "record" } else { "records" };
        cx.ui
            .line(format_args!("{would}saved      {} whole {records}, in a new pack", report.store.saved))?;
    }
    if report.fetched > 0 {
        let objects = if report.fetched == 1 { "object by its hash" } else { "objects by their hashes" };
        cx.ui.line(format_args!("fetched    {} {objects}", report.fetched))?;
    }
    for tidied in &report.tidied {
        cx.ui.line(harmless(&format!("{would}tidied     {}: {}", tidied.place, tidied.what)))?;
    }
    for fix in &report.files {
        let text = match &fix.how {
            Fixed::Restored(commit) => {
                format!("{would}restored   {}: {}; from {}", fix.path, fix.why, commit.short())
            }
            Fixed::Mended(_) => format!("{would}mended     {}: {}", fix.path, fix.why),
            Fixed::NoVersion => format!("left alone {}: {}, and no version of it holds", fix.path, fix.why),
        };
        cx.ui.line(harmless(&text))?;
    }
    if !is_dry && report.files.iter().any(|fix| fix.kept_as.is_some()) {
        cx.ui.note("what stood there is in quarantine: `mvault quarantine list`");
    }
    if is_dry && !(report.store.set_aside.is_empty() && report.tidied.is_empty() && report.files.is_empty()) {
        cx.ui.note("nothing was changed: `mvault repair` does it");
    }
    tell_found(cx, report, verified)?;
    tell(cx, verified)
}

/// Lists the commits that nothing leads to, and those that were given a name.
fn tell_found(cx: &mut Context<'_>, report: &Report, verified: &Verified) -> Result<(), CommandError> {
    for (number, id) in &report.brought_back {
        cx.ui.line(format_args!(
            "brought back {}: {}",
            id.short(),
            typed("show").word(format!("saved/{number}"))
        ))?;
    }
    for one in &verified.unled {
        let others = match one.commits {
            1 => String::new(),
            2 => ", and 1 commit before it".to_owned(),
            n => format!(", and {} commits before it", n - 1),
        };
        let device = one.device.as_deref().unwrap_or("?");
        let text =
            format!("found      {} of {device}, {}: {}{others}", one.commit.short(), one.at, one.title);
        cx.ui.line(harmless(&text))?;
    }
    if !verified.unled.is_empty() {
        cx.ui.note("no branch, tag or operation leads to what was found: `mvault repair --bring-back` keeps it as saved/N");
    }
    Ok(())
}

fn done_json(report: &Report) -> Vec<Value> {
    let mut done = Vec::new();
    for moved in &report.store.set_aside {
        let place = format!("objects/{}", moved.name);
        let kept_as = (!moved.kept_as.is_empty()).then_some(&moved.kept_as);
        done.push(json!({"what": "set-aside", "where": place, "kept_as": kept_as}));
    }
    for tidied in &report.tidied {
        done.push(json!({"what": "tidied", "where": tidied.place, "how": tidied.what}));
    }
    for fix in &report.files {
        let (what, from) = match fix.how {
            Fixed::Restored(commit) => ("restored", Some(commit.to_string())),
            Fixed::Mended(_) => ("mended", None),
            Fixed::NoVersion => ("left-alone", None),
        };
        let kept_as = fix.kept_as.map(|digest| digest.to_string());
        let path = fix.path.to_string();
        done.push(json!({"what": what, "where": path, "why": fix.why, "from": from, "kept_as": kept_as}));
    }
    done
}
