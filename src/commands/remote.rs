//! `remote`: names for other devices. `clone`: a new device of the same vault.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::checkout::tell_withheld;
use super::commit::refused_json;
use super::init::{device_name, remember_as_default, remember_as_made};
use super::reconcile::{exit_of, tell_set_aside, tell_stuck};
use super::sync::call;
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::object::{CommitId, Source};
use crate::sync::{Intent, host};
use crate::ui::harmless_line;
use crate::vault::config::Remote;
use crate::vault::{self, Access, InitOptions, Origin, Vault, VaultEndpoint, Verb};

/// Arguments of `remote`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault remote add pixel pixel:       the phone, by the name ssh knows it by
  mvault remote add stick /media/stick/vault
  mvault remote add phone ~/Sync/phone.bundle
                                       a bundle: `mvault pull phone` reads what stands there now
  mvault remote list
  mvault remote remove stick
  mvault remote forget pixel           set aside what pixel has brought and this device has not taken in

`forget` leaves names, files and the branch alone; it is an operation in the log, and `mvault undo` undoes it.")]
pub struct RemoteArgs {
    #[command(subcommand)]
    verb: RemoteVerb,
}

#[derive(Debug, clap::Subcommand)]
enum RemoteVerb {
    /// Name another device
    Add {
        /// The name
        name: String,
        /// HOST:[PATH], a local path or a bundle
        url: String,
        /// The far program, if it is not `mvault` on the far PATH
        #[arg(long, value_name = "PROGRAM")]
        far_program: Option<String>,
    },
    /// List the names, with what was last seen of each
    List,
    /// Forget a name; what came from there stays
    Remove {
        /// The name
        name: String,
    },
    /// Set aside the heads of a device that this device has not taken in
    Forget {
        /// The device's name, or the id of one head
        device: String,
    },
}

/// Adds, lists or removes remotes.
pub fn run(cx: &mut Context<'_>, args: &RemoteArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Store)?;
    match &args.verb {
        RemoteVerb::Add { name, url, far_program } => add(cx, &mut vault, name, url, far_program.as_ref()),
        RemoteVerb::List => list(cx, &vault),
        RemoteVerb::Forget { device } => forget(cx, &mut vault, device),
        RemoteVerb::Remove { name } => {
            if !vault.config_mut().remove_remote(name) {
                let shown = harmless_line(name.as_bytes());
                return Err(CommandError::new(ErrorKind::NotFound, format!("there is no remote {shown}"))
                    .hint("`mvault remote list` lists them"));
            }
            vault.save_config()?;
            if cx.ui.is_json() {
                cx.ui.json(&json!({"name": name}))?;
            }
            Ok(Exit::Done)
        }
    }
}

fn forget(cx: &mut Context<'_>, vault: &mut Vault, device: &str) -> CommandResult {
    let set_aside = vault::set_aside(vault, device)?;
    cx.tell_notices(vault);
    if cx.ui.is_json() {
        let ids: Vec<String> = set_aside.iter().map(ToString::to_string).collect();
        cx.ui.json(&json!({"device": device, "set_aside": ids}))?;
    } else {
        tell_set_aside(cx, &set_aside)?;
    }
    Ok(Exit::Done)
}

fn add(
    cx: &mut Context<'_>,
    vault: &mut Vault,
    name: &str,
    url: &str,
    far_program: Option<&String>,
) -> CommandResult {
    if !host::is_remote_name(name) {
        let shown = harmless_line(name.as_bytes());
        return Err(CommandError::usage(format!("{shown} cannot be a remote's name"))
            .hint("use small letters, digits and dashes"));
    }
    let parsed = host::Remote::parse(url)
        .map_err(|error| CommandError::usage(error.to_string()).hint(error.hint()))?;
    let url = absolute(cx, &parsed, url);
    let remote = Remote { name: name.to_owned(), url, binary: far_program.cloned(), device: None };
    vault.config_mut().set_remote(&remote);
    vault.save_config()?;
    if cx.ui.is_json() {
        tell_json(cx, vault, &remote)?;
    } else {
        cx.ui.line(format_args!("{}  {}", remote.name, harmless_line(remote.url.as_bytes())))?;
    }
    Ok(Exit::Done)
}

/// Returns a local path as one that holds wherever a command is started; other remotes as they are.
fn absolute(cx: &Context<'_>, parsed: &host::Remote, typed: &str) -> String {
    match parsed {
        host::Remote::Local(path) if !path.starts_with("~") => {
            let full = cx.path(path);
            cx.disk.canonicalize(&full).unwrap_or(full).to_string_lossy().into_owned()
        }
        _ => typed.to_owned(),
    }
}

/// Returns the first head that a remote's device offered, and when it was last met.
fn last_seen(vault: &Vault, remote: &Remote) -> Result<(Option<CommitId>, Option<String>), CommandError> {
    let Some(device) = &remote.device else { return Ok((None, None)) };
    let seen = vault.peers()?.get(device.as_str()).map(|memory| memory.seen.clone());
    Ok((vault.offered_by(device).first().copied(), seen))
}

fn tell_json(cx: &mut Context<'_>, vault: &Vault, remote: &Remote) -> Result<(), CommandError> {
    let (head, seen) = last_seen(vault, remote)?;
    let lamport = head.map(|id| vault.store().find_commit(id)).transpose()?.map(|commit| commit.lamport.0);
    Ok(cx.ui.json(&json!({
        "name": remote.name,
        "url": remote.url,
        "device": remote.device.as_ref().map(|device| device.as_str()),
        "head": head.map(|id| id.to_string()),
        "lamport": lamport,
        "last_seen": seen,
    }))?)
}

fn list(cx: &mut Context<'_>, vault: &Vault) -> CommandResult {
    for remote in vault.config().remotes().map_err(vault::Error::from)? {
        if cx.ui.is_json() {
            tell_json(cx, vault, &remote)?;
        } else {
            let (head, seen) = last_seen(vault, &remote)?;
            let seen = seen.unwrap_or_else(|| "never met".to_owned());
            let head = head.map_or_else(String::new, |id| id.short());
            cx.ui.line(format_args!(
                "{}  {}  {head}  {seen}",
                remote.name,
                harmless_line(remote.url.as_bytes())
            ))?;
        }
    }
    Ok(Exit::Done)
}

/// Arguments of `clone`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault clone mac:                    the default vault of the device that ssh calls mac
  mvault clone mac:work/vault phone-vault --device pixel
  mvault clone ../vault copy --device second
  mvault clone mac.bundle vault        out of a file that `mvault bundle create` made

The clone is a device of its own, with a name of its own; it knows its source by the name of that device.
If a clone is cut short, run the same command again: it goes on from where it was.")]
pub struct CloneArgs {
    /// HOST:[PATH], a local path or a bundle
    source: String,
    /// The new folder; named after the source without it
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The new device's name; the machine's name without it
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// The far program, if it is not `mvault` on the far PATH
    #[arg(long, value_name = "PROGRAM")]
    far_program: Option<String>,
}

/// Makes a new device of an existing vault.
pub fn run_clone(cx: &mut Context<'_>, args: &CloneArgs) -> CommandResult {
    let device = device_name(args.device.as_deref())?;
    let parsed = host::Remote::parse(&args.source)
        .map_err(|error| CommandError::usage(error.to_string()).hint(error.hint()))?;
    let dir = match &args.dir {
        Some(dir) => cx.path(dir),
        None => cx.path(Path::new(&default_folder(&parsed)?)),
    };
    let url = absolute(cx, &parsed, &args.source);
    let had_folder = cx.disk.open_dir(&dir).is_ok();
    let new = InitOptions { device: device.clone(), origin: Origin::Clone { source: url.clone() } };
    let mut vault = vault::init_clone(&dir, new, cx.open_options(Access::Tree)?)?;
    cx.tell_notices(&mut vault);
    // Before the first file: what is cut after this is finished by the next command.
    remember_as_made(cx, &vault);
    let mut remote =
        Remote { name: "origin".to_owned(), url, binary: args.far_program.clone(), device: None };
    let mut endpoint = VaultEndpoint::new(vault, Verb::Pull, false);
    let intent = Intent { fetch: true, push: false };
    let done = match call(cx, &mut endpoint, &remote, args.far_program.clone(), intent) {
        Ok(done) => done,
        Err(error) => {
            let root = endpoint.vault.root().clone();
            vault::abandon_clone(endpoint.vault)?;
            if let Some(home) = cx.home()
                && root.try_stat(vault::DOT)?.is_none()
            {
                let _entry_of_no_vault = vault::distrust_vault(&*cx.disk, &home, root.path());
            }
            if !had_folder {
                remove_if_empty(cx, &dir);
            }
            return Err(error);
        }
    };
    remote.device = Some(done.summary.peer.identity.device.clone());
    remote.name = done.summary.peer.identity.device.to_string();
    endpoint.vault.config_mut().set_remote(&remote);
    endpoint.vault.config_mut().set_unfinished_clone(None);
    endpoint.vault.save_config()?;
    cx.tell_notices(&mut endpoint.vault);
    // Again, now that the vault's id is known.
    remember_as_made(cx, &endpoint.vault);
    remember_as_default(cx, &endpoint.vault);
    let head = endpoint.vault.head()?;
    let received = done.summary.received.as_ref().map_or(0, |received| received.commits.len());
    let moved = endpoint.reconciled.as_ref().and_then(|outcome| outcome.moved.as_ref());
    let withheld = moved.map_or(&[][..], |moved| &moved.withheld);
    if cx.ui.is_json() {
        cx.ui.json(&json!({
            "head": head.to_string(),
            "device": device.as_str(),
            "received": received,
            "bytes": done.bytes,
            "withheld": withheld.iter().map(refused_json).collect::<Vec<_>>(),
        }))?;
    } else {
        let shown = harmless_line(endpoint.vault.root().path().as_os_str().as_encoded_bytes());
        cx.ui
            .line(format_args!("{shown}: {received} commits from {}, as the device {device}", remote.name))?;
        if endpoint.reconciled.as_ref().is_some_and(|outcome| !outcome.conflicts.is_empty()) {
            cx.ui.note("conflicts are pending there: `mvault conflicts` shows them");
        }
        if let Some(outcome) = &endpoint.reconciled {
            tell_stuck(cx, &endpoint.vault, &outcome.stuck);
        }
        tell_withheld(cx, withheld);
    }
    endpoint.reconciled.as_ref().map_or(Ok(Exit::Done), exit_of)
}

/// Takes back the folder that a clone made and put nothing into.
fn remove_if_empty(cx: &Context<'_>, dir: &Path) {
    if let (Some(parent), Some(name)) = (dir.parent(), dir.file_name())
        && let Ok(parent) = cx.disk.open_dir(parent)
    {
        let _somebody_has_put_something_into_it = parent.remove_dir(name);
    }
}

fn default_folder(source: &host::Remote) -> Result<String, CommandError> {
    let name = match source {
        // `notes.bundle` becomes `notes`, as a folder beside it could not have its name.
        host::Remote::Local(path) if path.extension().is_some_and(|ending| ending == "bundle") => {
            path.file_stem().map(|name| name.to_string_lossy().into_owned())
        }
        host::Remote::Local(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
        host::Remote::Ssh { path: Some(path), .. } => {
            Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned())
        }
        host::Remote::Ssh { path: None, .. } => Some("vault".to_owned()),
    };
    name.ok_or_else(|| CommandError::usage("name the new folder: mvault clone SOURCE DIR"))
}
