//! `fetch`, `pull`, `push` and `sync`: exchange with other devices.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::checkout::wait_json;
use super::commit::{AllowArgs, refusal_exit, refused_json, tell_refused};
use super::reconcile::{accepts, exit_of, held, pending_json, stuck_json, tell_outcome};
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};

use crate::fs::{Dir, FileKind};
use crate::object::ObjectId;
use crate::sync::bundle::{self, Bundle, BundleError};
use crate::sync::session::{Brought, CallerOptions, Summary};
use crate::sync::ssh::{self, SshOptions};
use crate::sync::wire::Nonce;
use crate::sync::{Class, HeadState, Intent, Outcome, RefusalKind, SyncError, host, incoming_name, local};
use crate::ui::{Unit, harmless_line};
use crate::vault::config::Remote;
use crate::vault::{self, Access, Vault, VaultEndpoint, Verb};

/// The word that takes in another vault's history.
const UNRELATED_WORD: &str = "unrelated";

/// Arguments of `fetch`, `pull`, `push` and `sync`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault pull pixel:                   the phone's default vault, over ssh
  mvault pull pixel:notes/vault        another vault there, relative to the home folder
  mvault sync pixel                    a remote that was added, both ways
  mvault push ../stick/vault           a local path
  mvault pull phone.bundle             a file that `mvault bundle create` made
  mvault pull pixel --allow mass-delete
                                       let what comes remove a large part of the files, this once
  mvault pull old: --allow unrelated   take in the history of another vault

`pull` brings and reconciles, `push` gives, `sync` commits, pulls and pushes: afterwards both devices have
the same head. A broken connection loses nothing: run the command again. Exit code 4: conflicts are
pending; 6: the other device cannot be reached.")]
pub struct SyncArgs {
    /// A remote's name, HOST:[PATH], a path or a bundle; without any all remotes
    #[arg(value_name = "REMOTE")]
    remotes: Vec<String>,
    #[command(flatten)]
    allow: AllowArgs,
    /// The far program, if it is not `mvault` on the far PATH
    #[arg(long, value_name = "PROGRAM")]
    far_program: Option<String>,
}

/// Brings what others have, and leaves head and files alone.
pub fn run_fetch(cx: &mut Context<'_>, args: &SyncArgs) -> CommandResult {
    run(cx, args, Verb::Fetch)
}

/// Brings what others have, and reconciles.
pub fn run_pull(cx: &mut Context<'_>, args: &SyncArgs) -> CommandResult {
    run(cx, args, Verb::Pull)
}

/// Gives others what they lack.
pub fn run_push(cx: &mut Context<'_>, args: &SyncArgs) -> CommandResult {
    run(cx, args, Verb::Push)
}

/// Commits, brings, reconciles and gives.
pub fn run_sync(cx: &mut Context<'_>, args: &SyncArgs) -> CommandResult {
    run(cx, args, Verb::Sync)
}

fn run(cx: &mut Context<'_>, args: &SyncArgs, verb: Verb) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let configured = vault.config().remotes().map_err(vault::Error::from)?;
    let wanted: Vec<Remote> = if args.remotes.is_empty() {
        configured.clone()
    } else {
        args.remotes.iter().map(|text| named(&configured, text)).collect()
    };
    if wanted.is_empty() {
        return Err(CommandError::usage("no remote was named, and none was added")
            .hint("`mvault remote add pixel pixel:` adds one; or name HOST: or a path"));
    }
    let mut exit = Exit::Done;
    for remote in wanted {
        let verb = match verb {
            Verb::Push | Verb::Sync if is_bundle(cx, &remote)? => match of_a_bundle(cx, &remote, args, verb)?
            {
                Some(verb) => verb,
                None => continue,
            },
            verb => verb,
        };
        let (returned, result) = exchange(cx, vault, &remote, args, verb)?;
        vault = returned;
        if result.code() > exit.code() {
            exit = result; // 4 before 3 before 0
        }
    }
    Ok(exit)
}

/// Returns the remote that a text names: a configured one, or the text itself.
pub fn named(configured: &[Remote], text: &str) -> Remote {
    let known = configured.iter().find(|remote| remote.name == text).cloned();
    known.unwrap_or_else(|| Remote {
        name: text.to_owned(),
        url: text.to_owned(),
        binary: None,
        device: None,
    })
}

/// Exchanges with one remote and tells what came of it.
fn exchange(
    cx: &mut Context<'_>,
    vault: Vault,
    remote: &Remote,
    args: &SyncArgs,
    verb: Verb,
) -> Result<(Vault, Exit), CommandError> {
    let accepts = accepts(cx, &vault, &args.allow, &[UNRELATED_WORD])?;
    let mut endpoint = VaultEndpoint::new(vault, verb, args.allow.has_word(UNRELATED_WORD));
    endpoint.accepts = accepts;
    let binary = args.far_program.clone().or_else(|| remote.binary.clone());
    let done = call(cx, &mut endpoint, remote, binary, intent(verb));
    cx.tell_notices(&mut endpoint.vault);
    let done = done?;
    remember_device(&mut endpoint.vault, remote, &done.summary)?;
    let exit = tell(cx, &endpoint, remote, &done, verb)?;
    Ok((endpoint.vault, exit))
}

/// Tells whether a remote is a bundle.
fn is_bundle(cx: &Context<'_>, remote: &Remote) -> Result<bool, CommandError> {
    match host::Remote::parse(&remote.url) {
        Ok(host::Remote::Local(path)) => Ok(bundle_at(cx, &local_path(cx, &path))?.is_some()),
        _ => Ok(false),
    }
}

/// Returns what is left of a verb that gives where the other side is a file: nothing of a push, and of a sync
/// what a pull does. A push to a file that was named is refused.
fn of_a_bundle(
    cx: &mut Context<'_>,
    remote: &Remote,
    args: &SyncArgs,
    verb: Verb,
) -> Result<Option<Verb>, CommandError> {
    let shown = harmless_line(remote.name.as_bytes());
    if verb == Verb::Sync {
        cx.ui.note(format_args!(
            "{shown} is a bundle and only read: `mvault bundle create FILE` makes one to give"
        ));
        return Ok(Some(Verb::Pull));
    }
    if args.remotes.is_empty() {
        cx.ui.note(format_args!("{shown} is a bundle: nothing was given to it"));
        return Ok(None);
    }
    Err(CommandError::usage(format!(
        "{shown} is a bundle, and nothing can be pushed into one; it is as it was"
    ))
    .hint("`mvault bundle create FILE` makes a new one, and replaces one that is there"))
}

fn intent(verb: Verb) -> Intent {
    match verb {
        Verb::Fetch | Verb::Pull => Intent { fetch: true, push: false },
        Verb::Push | Verb::Bundle => Intent { fetch: false, push: true },
        Verb::Sync | Verb::Serve | Verb::ServeReadOnly => Intent { fetch: true, push: true },
    }
}

/// What a session did, and how much went over the wire.
pub struct Exchanged {
    /// What it did.
    pub summary: Summary,
    /// Bytes that went over the wire, both ways; 0 within one machine, the length of a bundle.
    pub bytes: u64,
}

/// Brings objects back from a remote, by their ids.
pub fn restore(
    cx: &Context<'_>,
    endpoint: &mut VaultEndpoint,
    remote: &Remote,
    far_program: Option<String>,
    wanted: Vec<ObjectId>,
) -> Result<Brought, CommandError> {
    let parsed = host::Remote::parse(&remote.url)
        .map_err(|error| CommandError::usage(error.to_string()).hint(error.hint()))?;
    let brought = match parsed {
        host::Remote::Ssh { host, path } => {
            let options = ssh_options(cx, far_program);
            let nonce = Nonce::new(cx.env.random16());
            ssh::restore(endpoint, wanted, path, &host, &options, nonce).map(|(brought, _traffic)| brought)
        }
        host::Remote::Local(path) => {
            let path = local_path(cx, &path);
            if let Some((folder, name)) = bundle_at(cx, &path)? {
                read_bundle(cx, endpoint, &folder, &name, |endpoint, bundle| {
                    bundle::restore(endpoint, &wanted, bundle)
                })
            } else {
                check_local(cx, &path)?;
                let options = cx.open_options(Access::Tree)?;
                local::restore(endpoint, wanted, vault::opener_of(path, options, Verb::Serve))
            }
        }
    };
    brought.map_err(|error| match &error {
        // No word lets another vault in here.
        SyncError::Ours(refusal) if refusal.kind == RefusalKind::Unrelated => told(&remote.name, error)
            .hint("what is lost comes back only from devices and bundles of this vault: name one"),
        _ => told(&remote.name, error),
    })
}

fn ssh_options(cx: &Context<'_>, far_program: Option<String>) -> SshOptions {
    let defaults = SshOptions::default();
    SshOptions {
        program: cx.var("MVAULT_SSH").map_or(defaults.program, PathBuf::from),
        args: ssh_arguments(cx),
        far_program: far_program.unwrap_or(defaults.far_program),
        patience: defaults.patience,
    }
}

/// Runs a session with a remote.
pub fn call(
    cx: &Context<'_>,
    endpoint: &mut VaultEndpoint,
    remote: &Remote,
    far_program: Option<String>,
    intent: Intent,
) -> Result<Exchanged, CommandError> {
    let parsed = host::Remote::parse(&remote.url)
        .map_err(|error| CommandError::usage(error.to_string()).hint(error.hint()))?;
    let incoming_name = incoming_name(&remote.name);
    match parsed {
        host::Remote::Ssh { host, path } => {
            let options = ssh_options(cx, far_program);
            let caller = CallerOptions { intent, path, incoming_name };
            let nonce = Nonce::new(cx.env.random16());
            let (summary, traffic) = ssh::call(endpoint, caller, &host, &options, nonce)
                .map_err(|error| told(&remote.name, error))?;
            Ok(Exchanged { summary, bytes: traffic.sent_bytes + traffic.received_bytes })
        }
        host::Remote::Local(path) => {
            let path = local_path(cx, &path);
            if let Some((folder, name)) = bundle_at(cx, &path)? {
                let read = read_bundle(cx, endpoint, &folder, &name, |endpoint, bundle| {
                    let summary = bundle::call(endpoint, incoming_name, bundle)?;
                    Ok(Exchanged { summary, bytes: bundle.size() })
                });
                return read.map_err(|error| told(&remote.name, error));
            }
            check_local(cx, &path)?;
            let options = cx.open_options(Access::Tree)?;
            let caller = CallerOptions { intent, path: None, incoming_name };
            let (summary, _served) =
                local::call(endpoint, caller, vault::opener_of(path, options, Verb::Serve))
                    .map_err(|error| told(&remote.name, error))?;
            Ok(Exchanged { summary, bytes: 0 })
        }
    }
}

/// Refuses a vault on this machine that may be a stranger's. What else can be wrong with it is told by the session.
fn check_local(cx: &Context<'_>, path: &Path) -> Result<(), CommandError> {
    match vault::check_trust(&*cx.disk, path, &cx.trust()) {
        Err(error) if error.kind() == vault::ErrorKind::Untrusted => Err(error.into()),
        _ => Ok(()),
    }
}

/// Returns where a local remote is a file and no folder. What is neither is refused: it is not opened, since
/// that alone can do something or wait for ever.
fn bundle_at(cx: &Context<'_>, path: &Path) -> Result<Option<(Dir, OsString)>, CommandError> {
    let Ok(real) = cx.disk.canonicalize(path) else { return Ok(None) };
    let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else { return Ok(None) };
    let folder = cx.disk.open_dir(parent)?;
    match folder.try_stat(name)?.map(|stat| stat.kind) {
        Some(FileKind::File) => Ok(Some((folder, name.to_owned()))),
        Some(FileKind::Special) => {
            let shown = harmless_line(path.as_os_str().as_encoded_bytes());
            let text = format!("{shown} is neither a folder nor a file; it was not opened");
            Err(CommandError::usage(text).hint("name a folder with a vault, or a bundle"))
        }
        _ => Ok(None),
    }
}

/// Opens a bundle and reads it as `read` does. One that is not taken is noted in the rejection log.
fn read_bundle<T>(
    cx: &Context<'_>,
    endpoint: &mut VaultEndpoint,
    folder: &Dir,
    name: &OsStr,
    read: impl FnOnce(&mut VaultEndpoint, &Bundle) -> Result<T, SyncError>,
) -> Result<T, SyncError> {
    endpoint.reads_bundle = true;
    let hashing = cx.ui.progress("looking through the bundle", None, Unit::Bytes);
    let opened = folder.open(name).map_err(BundleError::from);
    let opened = opened.and_then(|file| Bundle::open(file, &mut |bytes| hashing.set(bytes)));
    drop(hashing);
    let bar = cx.ui.progress("taking in objects", None, Unit::Things);
    endpoint.on_progress = Some(Box::new(move |progress| bar.set(progress.objects)));
    let done = opened.map_err(SyncError::from).and_then(|bundle| read(endpoint, &bundle));
    endpoint.on_progress = None;
    done.inspect_err(|error| vault::note_refused_bundle(&mut endpoint.vault, folder, name, error))
}

/// Options for ssh from the environment: words separated by blanks, as in `-F FILE`.
fn ssh_arguments(cx: &Context<'_>) -> Vec<String> {
    let words = cx.var("MVAULT_SSH_ARGS").unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}

fn local_path(cx: &Context<'_>, path: &std::path::Path) -> PathBuf {
    match (path.strip_prefix("~"), cx.var("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => cx.path(path),
    }
}

/// Turns a session's error into a command's.
fn told(remote: &str, error: SyncError) -> CommandError {
    let kind = match error.class() {
        Class::Failed => ErrorKind::Failed,
        Class::Peer => ErrorKind::Unreachable,
        Class::Locked => ErrorKind::Locked,
        Class::Damaged => ErrorKind::Damaged,
    };
    let shown = harmless_line(remote.as_bytes());
    let message = format!("{shown}: {}", super::error::chain(&error));
    // What this side's disk said decides as it does for every other command.
    let kind = match (kind, super::error::kind_of_chain(&error)) {
        _ if matches!(error, SyncError::Bundle(_)) => bundle_kind(&error),
        (ErrorKind::Failed, disk @ (ErrorKind::NoSpace | ErrorKind::ReadOnly | ErrorKind::Denied)) => disk,
        _ => kind,
    };
    let made = CommandError::new(kind, message);
    match (error.hint(), kind) {
        (Some(hint), _) => made.hint(hint),
        (None, ErrorKind::NoSpace) => made.hint("make room and run the command again: no head was moved"),
        (None, _) => made,
    }
}

/// Names the kind of a failure to read a bundle.
pub fn bundle_kind(error: &SyncError) -> ErrorKind {
    match error {
        SyncError::Bundle(BundleError::Missing(_)) => ErrorKind::MissingCommits,
        SyncError::Bundle(BundleError::Newer(_)) => ErrorKind::NewerFormat,
        SyncError::Bundle(BundleError::Disk(_)) => super::error::kind_of_chain(error),
        SyncError::Bundle(_) => ErrorKind::BadBundle,
        _ => super::error::kind_of_chain(error),
    }
}

/// Notes which device stands behind a configured remote.
fn remember_device(vault: &mut Vault, remote: &Remote, summary: &Summary) -> Result<(), CommandError> {
    let device = summary.peer.identity.device.clone();
    let configured = vault.config().remotes().map_err(vault::Error::from)?;
    let is_configured = configured.iter().any(|known| known.name == remote.name);
    if is_configured && remote.device.as_ref() != Some(&device) {
        vault.config_mut().set_remote(&Remote { device: Some(device), ..remote.clone() });
        vault.save_config()?;
    }
    Ok(())
}

fn tell(
    cx: &mut Context<'_>,
    endpoint: &VaultEndpoint,
    remote: &Remote,
    done: &Exchanged,
    verb: Verb,
) -> Result<Exit, CommandError> {
    let summary = &done.summary;
    if cx.ui.is_json() {
        cx.ui.json(&as_json(endpoint, remote, done))?;
    } else {
        tell_text(cx, endpoint, summary, verb)?;
    }
    if summary.is_contradiction() {
        let text = "both devices know the same and have different heads: a fault of mvault";
        return Err(CommandError::new(ErrorKind::Bug, text)
            .hint("nothing is lost; report it with the output of `mvault log --all --graph` of both"));
    }
    let exit = endpoint.reconciled.as_ref().map_or(Ok(Exit::Done), exit_of)?;
    Ok(if exit == Exit::Done { refusal_exit(&endpoint.refused) } else { exit })
}

fn as_json(endpoint: &VaultEndpoint, remote: &Remote, done: &Exchanged) -> Value {
    let summary = &done.summary;
    let received = summary.received.as_ref();
    let outcome = endpoint.reconciled.as_ref();
    let mut object = Map::new();
    object.insert("remote".into(), remote.name.clone().into());
    object.insert("device".into(), summary.peer.identity.device.as_str().into());
    object.insert("received".into(), received.map_or(0, |r| r.commits.len()).into());
    object.insert("sent".into(), summary.sent_commits.into());
    object.insert("objects".into(), received.map_or(0, |r| r.objects).into());
    object.insert("bytes".into(), done.bytes.into());
    object.insert("committed".into(), json!(endpoint.committed.map(|id| id.to_string())));
    object.insert("head".into(), json!(summary.ours.head.map(|id| id.to_string())));
    object.insert("derived".into(), json!(outcome.and_then(|o| o.derived).map(|id| id.to_string())));
    let pending: Vec<Value> =
        outcome.map(|o| o.conflicts.iter().map(pending_json).collect()).unwrap_or_default();
    object.insert("pending".into(), pending.into());
    let moved = outcome.and_then(|o| o.moved.as_ref());
    let waiting = moved.iter().flat_map(|moved| &moved.waiting).map(wait_json);
    object.insert("waiting".into(), waiting.collect());
    let refused = endpoint.refused.iter().map(refused_json);
    object.insert("rejected".into(), refused.collect());
    let held = outcome.map(held).unwrap_or_default();
    object.insert("held".into(), held.iter().map(refused_json).collect());
    let told = outcome.map(|o| o.told.as_slice()).unwrap_or_default();
    object.insert("told".into(), told.iter().map(refused_json).collect());
    let stuck = outcome.map(|outcome| outcome.stuck.as_slice()).unwrap_or_default();
    object.insert("stuck".into(), stuck_json(&endpoint.vault, stuck));
    object.insert(
        "their_head".into(),
        json!(summary.theirs.as_ref().and_then(|t| t.head).map(|id| id.to_string())),
    );
    Value::Object(object)
}

fn tell_text(
    cx: &mut Context<'_>,
    endpoint: &VaultEndpoint,
    summary: &Summary,
    verb: Verb,
) -> Result<(), CommandError> {
    let device = &summary.peer.identity.device;
    tell_refused(cx, &endpoint.refused);
    if let Some(id) = endpoint.committed {
        cx.ui.line(format_args!("{}  committed what was here", id.short()))?;
    }
    if let Some(received) = &summary.received {
        cx.ui.line(format_args!("from {device}: {}", commits(received.commits.len() as u64)))?;
        if !received.own_name.is_empty() {
            let count = commits(received.own_name.len() as u64);
            cx.ui.warn(format_args!("{count} of this device came back that it did not know any more"));
        }
    }
    if matches!(verb, Verb::Push | Verb::Sync) {
        cx.ui.line(format_args!("to {device}: {}", commits(summary.sent_commits)))?;
    }
    if let Some(outcome) = &endpoint.reconciled {
        tell_outcome(cx, &endpoint.vault, outcome)?;
    }
    if let Some(theirs) = &summary.theirs {
        tell_theirs(cx, device.as_str(), &summary.ours, theirs)?;
    }
    Ok(())
}

fn tell_theirs(
    cx: &mut Context<'_>,
    device: &str,
    ours: &Outcome,
    theirs: &Outcome,
) -> Result<(), CommandError> {
    let why = match theirs.state {
        HeadState::Settled if theirs.head == ours.head && theirs.head.is_some() => {
            cx.ui.line(format_args!("{device} has the same head"))?;
            return Ok(());
        }
        HeadState::Settled if theirs.pending > 0 => "keeps its head until conflicts are resolved",
        HeadState::Settled => "has another head, with commits that are not in ours yet",
        HeadState::Dirty => "keeps its head: edits there are in the way, commit them there",
        HeadState::Parked => "keeps its head: its tree is parked at an older state",
        HeadState::ReadOnly => "is served read-only",
        HeadState::Held => "keeps its head: what was sent waits there for a yes",
        HeadState::RuleUnknown => "keeps its head: its mvault does not know the vault's merge rule",
    };
    Ok(cx.ui.line(format_args!("{device} {why}"))?)
}

pub(super) fn commits(count: u64) -> String {
    match count {
        0 => "nothing new".to_owned(),
        1 => "1 commit".to_owned(),
        n => format!("{n} commits"),
    }
}
