//! `bundle`: what a push would carry, in one file.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::commit::{AllowArgs, refusal_exit, refused_json, tell_refused};
use super::reconcile::accepts;
use super::sync::{bundle_kind, commits};
use super::temporary::TemporaryFolder;
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::fs::{Dir, FileKind};
use crate::object::CommitId;
use crate::store::Store;
use crate::sync::bundle::{BUNDLE_VERSION, Bundle, BundleError, Checked, check};
use crate::sync::{Branch, SyncError};
use crate::ui::{Unit, harmless_line};
use crate::vault::{self, Access, BundleMade, BundleRequest, Vault, VaultEndpoint, Verb};

/// Arguments of `bundle`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault bundle create ../phone.bundle everything this device knows
  mvault bundle create ../phone.bundle --since mac
                                       only what mac had not when the two last met
  mvault bundle verify phone.bundle    is it whole, and can it be taken here
  mvault pull phone.bundle             on the other device

A bundle is for a stick, a synced folder, scp: the devices need not reach each other.")]
pub struct BundleArgs {
    #[command(subcommand)]
    act: BundleAct,
}

#[derive(Debug, clap::Subcommand)]
enum BundleAct {
    /// Commit what is here, and write what others lack into a file
    Create(CreateArgs),
    /// Check a file, with a vault at hand or without
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault bundle create ../all.bundle   everything: good for a clone as well
  mvault bundle create /media/stick/phone.bundle --since mac
                                       what came since this device and mac last met
  mvault bundle create ../week.bundle --since @{2026-11-20}
                                       what came since this device stood there
  mvault bundle create ../v1.bundle v1 only up to v1

The file appears whole or not at all. A bundle that stands there is replaced, another file only with
--force. What is not committed yet is committed first; exit code 3: some files were refused, the bundle
is made.")]
struct CreateArgs {
    /// The file; outside of the vault
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it shall bring, with all that came before; everything known without it
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// What its reader has already, with all that came before; can be given several times
    #[arg(long, value_name = "REV")]
    since: Vec<String>,
    /// Replace a file that is no bundle
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    allow: AllowArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault bundle verify phone.bundle

Reads all of it and takes in nothing. Ends with 1 if it is damaged. Within a vault it also tells whether the
commits that the bundle builds on are here; without one these are taken as given.")]
struct VerifyArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the verb that was given.
pub fn run(cx: &mut Context<'_>, args: &BundleArgs) -> CommandResult {
    match &args.act {
        BundleAct::Create(args) => create(cx, args),
        BundleAct::Verify(args) => verify(cx, args),
    }
}

fn create(cx: &mut Context<'_>, args: &CreateArgs) -> CommandResult {
    let vault = cx.open_vault(Access::Tree)?;
    let accepts = accepts(cx, &vault, &args.allow, &[])?;
    let request = BundleRequest {
        file: cx.path(&args.file),
        revisions: args.revisions.clone(),
        since: args.since.clone(),
        replaces_anything: args.force,
    };
    let mut endpoint = VaultEndpoint::new(vault, Verb::Bundle, false);
    endpoint.accepts = accepts;
    let bar = cx.ui.progress("writing objects", None, Unit::Things);
    let made = vault::create_bundle(&mut endpoint, &request, &mut |progress| bar.set(progress.objects));
    drop(bar);
    cx.tell_notices(&mut endpoint.vault);
    let made = made?;
    tell_made(cx, &endpoint, args, &made)?;
    Ok(refusal_exit(&endpoint.refused))
}

fn tell_made(
    cx: &mut Context<'_>,
    endpoint: &VaultEndpoint,
    args: &CreateArgs,
    made: &BundleMade,
) -> Result<(), CommandError> {
    let BundleMade { written, branches, prerequisites } = made;
    let shown = harmless_line(args.file.as_os_str().as_encoded_bytes());
    if cx.ui.is_json() {
        return Ok(cx.ui.json(&json!({
            "file": shown,
            "commits": written.commits,
            "objects": written.objects,
            "bytes": written.bytes,
            "heads": heads_json(branches),
            "prerequisites": ids_json(prerequisites),
            "committed": endpoint.committed.map(|id| id.to_string()),
            "rejected": endpoint.refused.iter().map(refused_json).collect::<Value>(),
        }))?);
    }
    tell_refused(cx, &endpoint.refused);
    if endpoint.vault.parked().is_some() {
        cx.ui.note("the tree is parked at an older state: what is not committed is not in it");
    }
    if let Some(id) = endpoint.committed {
        cx.ui.line(format_args!("{}  committed what was here", id.short()))?;
    }
    let count = commits(u64::from(written.commits));
    cx.ui.line(format_args!("{shown}: {count}, {} objects, {} bytes", written.objects, written.bytes))?;
    if !prerequisites.is_empty() {
        cx.ui.note(format_args!("who reads it must have {}", shortly(prerequisites)));
    }
    Ok(())
}

fn verify(cx: &mut Context<'_>, args: &VerifyArgs) -> CommandResult {
    let vault = match cx.find_vault() {
        Ok(_) => Some(cx.open_vault(Access::Store)?),
        Err(error) if error.kind == ErrorKind::NotAVault => None,
        Err(error) => return Err(error),
    };
    let bundle = open(cx, &args.file)?;
    let scratch = TemporaryFolder::make(cx, "bundle")?;
    let checked = check_in(cx, &scratch, vault.as_ref(), &bundle);
    scratch.remove()?;
    let checked = checked.map_err(|error| refused(args, error))?;
    tell_checked(cx, args, vault.as_ref(), &bundle, &checked)?;
    Ok(Exit::Done)
}

fn open(cx: &Context<'_>, path: &Path) -> Result<Bundle, CommandError> {
    let shown = harmless_line(path.as_os_str().as_encoded_bytes());
    let real = cx.disk.canonicalize(&cx.path(path))?;
    let no_file = || CommandError::usage(format!("{shown} is no file")).hint("name a bundle");
    let (parent, name) = (real.parent().ok_or_else(no_file)?, real.file_name().ok_or_else(no_file)?);
    let folder = cx.disk.open_dir(parent)?;
    if folder.stat(name)?.kind != FileKind::File {
        return Err(no_file());
    }
    let bar = cx.ui.progress("looking through the bundle", None, Unit::Bytes);
    let opened = Bundle::open(folder.open(name)?, &mut |bytes| bar.set(bytes));
    opened.map_err(|error| refused_as(&shown, error.into()))
}

/// Checks with what the vault has, or against nothing.
fn check_in(
    cx: &Context<'_>,
    scratch: &TemporaryFolder,
    vault: Option<&Vault>,
    bundle: &Bundle,
) -> Result<Checked, SyncError> {
    let disk = |error| SyncError::from(BundleError::Disk(error));
    let folder: Dir = cx.disk.open_dir(&scratch.path).map_err(disk)?;
    let bar = cx.ui.progress("checking objects", None, Unit::Things);
    let mut progress = |progress: crate::sync::Progress| bar.set(progress.objects);
    match vault {
        Some(vault) => check(bundle, &folder, vault.store(), &mut progress),
        None => {
            let nothing = folder.open_or_create_dir("nothing").map_err(disk)?;
            let store = Store::create(&nothing).and_then(|()| Store::open(&nothing));
            let store = store.map_err(crate::sync::receive::ReceiveError::from)?;
            check(bundle, &folder, &store, &mut progress)
        }
    }
}

fn refused(args: &VerifyArgs, error: SyncError) -> CommandError {
    refused_as(&harmless_line(args.file.as_os_str().as_encoded_bytes()), error)
}

fn refused_as(shown: &str, error: SyncError) -> CommandError {
    let made = CommandError::new(bundle_kind(&error), format!("{shown}: {}", super::error::chain(&error)));
    match error.hint() {
        Some(hint) => made.hint(hint),
        None => made,
    }
}

fn tell_checked(
    cx: &mut Context<'_>,
    args: &VerifyArgs,
    vault: Option<&Vault>,
    bundle: &Bundle,
    checked: &Checked,
) -> Result<(), CommandError> {
    let Checked { commits: count, objects, unchecked, missing } = checked;
    let shown = harmless_line(args.file.as_os_str().as_encoded_bytes());
    let is_ours = vault.map(|vault| vault.config().vault == bundle.hello.vault);
    if cx.ui.is_json() {
        return Ok(cx.ui.json(&json!({
            "file": shown,
            "version": BUNDLE_VERSION,
            "commits": count,
            "objects": objects,
            "bytes": bundle.size(),
            "unchecked": unchecked,
            "sha256": hex::encode(bundle.seal()),
            "vault": bundle.hello.vault.map(|id| id.to_string()),
            "device": bundle.hello.device.as_str(),
            "epoch": hex::encode(bundle.hello.epoch),
            "heads": heads_json(&bundle.branches()),
            "prerequisites": ids_json(&bundle.prerequisites),
            "of_this_vault": is_ours,
            "missing": vault.map(|_| ids_json(missing)),
        }))?);
    }
    let device = &bundle.hello.device;
    let many = commits(u64::from(*count));
    cx.ui.line(format_args!(
        "{shown}: whole; {many} by {device}, {objects} objects, {} bytes",
        bundle.size()
    ))?;
    if *unchecked > 0 {
        cx.ui.line(format_args!(
            "{unchecked} of the objects, large ones, can only be checked where what they rest on is"
        ))?;
    }
    match (is_ours, bundle.prerequisites.as_slice()) {
        (Some(false), _) => cx.ui.line("it is of another vault than this one")?,
        (Some(true), [_, ..]) if !missing.is_empty() => {
            let text = shortly(missing);
            cx.ui.line(format_args!(
                "it cannot be taken here yet: it builds on {text}, which this vault lacks"
            ))?;
        }
        (Some(true), _) => cx.ui.line("it can be taken here")?,
        (None, []) => {}
        (None, prerequisites) => {
            cx.ui.line(format_args!("who reads it must have {}", shortly(prerequisites)))?;
        }
    }
    Ok(())
}

fn shortly(ids: &[CommitId]) -> String {
    ids.iter().map(|id| id.short()).collect::<Vec<_>>().join(", ")
}

fn ids_json(ids: &[CommitId]) -> Value {
    ids.iter().map(ToString::to_string).collect()
}

fn heads_json(branches: &[Branch]) -> Value {
    let heads = branches.iter().flat_map(|branch| branch.heads.iter().map(move |id| (branch, id)));
    heads.map(|(branch, id)| json!({"branch": branch.name, "id": id.to_string()})).collect()
}
