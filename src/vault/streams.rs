//! Event streams as files of a vault: writing an event, adding events from elsewhere, reading them all.
//!
//! - A line goes to the file first, whole and synced, and is committed then, with that file alone: killed
//!   between, it is an edit like any other and the next commit takes it.
//! - Nothing is added to a file that lost lines which the head has: its numbers would start anew.
//! - While the tree is parked, the line goes to the branch's head: parking looks at the past, and what
//!   happens meanwhile happens now.

use super::admission::Allowance;
use super::appending::append;
use super::commit::{CommitRequest, commit_locked};
use super::refusal::os;
use super::rules::Class;
use super::transaction::CommitDraft;
use super::tree_writer::write_edited;
use super::write::refuse_secret_lines;
use super::{Error, ErrorKind, Result, Vault, VaultLock};
use crate::events::{self, Epoch, Event, NewEvent, Stream};
use crate::object::{
    BlobId, CommitId, Entry, FileEntry, Json, Kind, Lamport, Mode, NameError, Source, TreeChange, TreeId,
    VaultPath, diff_trees, entry_at, typed, visible_line,
};

/// The folder of streams that are named by a word.
const FOLDER: &str = "events";
/// How a stream's name ends.
const ENDING: &str = ".jsonl";
/// The longest stream that is read as a whole.
const STREAM_BYTES_MAX: u64 = 256 << 20;

/// An event to write.
#[derive(Clone, Debug)]
pub struct Record {
    /// The stream.
    pub stream: VaultPath,
    /// What kind of event.
    pub kind: String,
    /// What it says.
    pub body: Json,
    /// What the operation is called in the log.
    pub operation: &'static str,
    /// What a person lets through.
    pub allowed: Vec<Allowance>,
}

/// An event that was written.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The event.
    pub event: Event,
    /// The commit that has it; none if the stream is ignored or could not be committed.
    pub commit: Option<CommitId>,
    /// Whether a commit was wanted and left it out: then it is on disk alone.
    pub is_left_out: bool,
}

/// What adding lines to a stream did.
#[derive(Clone, Debug)]
pub struct Added {
    /// The stream.
    pub stream: VaultPath,
    /// How many lines are new.
    pub added: usize,
    /// How many were there already.
    pub known: usize,
    /// How many events of the stream are held back now, because they follow one that is not known.
    pub held: usize,
}

/// Returns the path of a stream: by default this device's own, `events/NAME.jsonl` for a word, or the path
/// of a `.jsonl` file in the vault.
pub fn stream_path(vault: &Vault, name: Option<&str>) -> Result<VaultPath> {
    let name = name.unwrap_or(vault.config.device.as_str());
    let path = if name.ends_with(ENDING) { name.to_owned() } else { format!("{FOLDER}/{name}{ENDING}") };
    VaultPath::parse(path.as_bytes()).map_err(|error: NameError| {
        Error::refused(
            ErrorKind::Refused,
            format!("{name:?} names no stream: {error}"),
            "name a stream by a word (`team` is events/team.jsonl) or by its path in the vault",
        )
    })
}

/// Writes an event to the end of a stream and commits it.
pub fn record(vault: &mut Vault, record: Record) -> Result<Recorded> {
    let lock = vault.lock(record.operation)?;
    let before = writable(vault, &record.stream)?;
    let head = vault.head()?;
    let new = NewEvent {
        at: vault.env.clock.now().rfc3339(),
        device: vault.config.device.clone(),
        epoch: epoch(vault)?,
        session: vault.session.clone(),
        kind: record.kind,
        body: record.body,
        head: vault.store.find_commit(head)?.lamport,
    };
    let appended = Stream::parse(&before).append(new).map_err(|error| {
        Error::refused(
            ErrorKind::Refused,
            error.to_string(),
            "nothing was written; shorten or mend the event",
        )
    })?;
    refuse_secret_lines(vault, &record.stream, &appended.bytes, &record.allowed)?;
    append(vault, &record.stream, before.len() as u64, &appended.bytes)?;
    let message = format!("{} {} of {}\n", appended.event.kind, appended.event.seq, appended.event.device);
    let (commit, left_out) =
        commit_streams(vault, &lock, &[record.stream], message, record.operation, record.allowed)?;
    let is_left_out = commit.is_none() && left_out > 0;
    Ok(Recorded { event: appended.event, commit, is_left_out })
}

/// Adds lines from elsewhere to streams, each behind what is there, and commits them.
pub fn import_streams(
    vault: &mut Vault,
    incoming: &[(VaultPath, Vec<u8>)],
    allowed: &[Allowance],
) -> Result<Vec<Added>> {
    let lock = vault.lock("events")?;
    let mut plans = Vec::new();
    for (stream, lines) in incoming {
        let before = writable(vault, stream)?;
        let imported = events::import(&before, lines).map_err(|conflict| {
            Error::refused(
                ErrorKind::Conflict,
                format!("{stream}: {conflict}; nothing was added"),
                "compare the two lines: one of them was changed after it was written",
            )
        })?;
        refuse_secret_lines(vault, stream, &imported.bytes[before.len()..], allowed)?;
        plans.push((stream, before.len(), imported));
    }
    // Every stream was checked before the first one is written.
    let mut outcome = Vec::new();
    for (stream, length, imported) in plans {
        append(vault, stream, length as u64, &imported.bytes[length..])?;
        let report = events::verify(&Stream::parse(&imported.bytes));
        let held = report.held.iter().filter(|held| **held).count();
        let (added, known) = (imported.added, imported.known);
        outcome.push(Added { stream: stream.clone(), added, known, held });
    }
    let changed: Vec<VaultPath> =
        outcome.iter().filter(|added| added.added > 0).map(|added| added.stream.clone()).collect();
    if !changed.is_empty() {
        let lines: usize = outcome.iter().map(|added| added.added).sum();
        commit_streams(
            vault,
            &lock,
            &changed,
            format!("import {lines} events\n"),
            "events",
            allowed.to_vec(),
        )?;
    }
    Ok(outcome)
}

/// Returns the paths of all streams, in the head and in the working tree, sorted.
pub fn stream_paths(vault: &mut Vault) -> Result<Vec<VaultPath>> {
    let tree = vault.standing_tree()?;
    let rules = vault.rules_of(tree)?;
    let is_stream = |path: &VaultPath| rules.class_of(path) == Class::Stream;
    let mut paths: Vec<VaultPath> = diff_trees(&vault.store, TreeId::empty(), tree)?
        .into_iter()
        .map(|diff| diff.path)
        .filter(is_stream)
        .collect();
    let local = super::local_changes(vault, &[])?;
    paths.extend(local.changes.into_iter().map(|change| change.path).filter(is_stream));
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// Reads a stream from the working tree; `None` if it is not there.
pub fn read_stream(vault: &Vault, path: &VaultPath) -> Result<Option<Vec<u8>>> {
    let mut dir = vault.root.clone();
    let mut parts = path.parts().peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return Ok(dir.try_read(os(part), STREAM_BYTES_MAX)?);
        }
        dir = match dir.open_dir(os(part)) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
    }
    Ok(None)
}

pub(super) fn epoch(vault: &Vault) -> Result<Epoch> {
    Epoch::parse(&vault.config.epoch).ok_or_else(|| {
        Error::refused(
            ErrorKind::Settings,
            "the device's epoch is not 16 hexadecimal digits",
            "correct device.epoch in .mvault/config.toml",
        )
    })
}

/// Returns a stream's bytes if lines may be added to it.
pub(super) fn writable(vault: &Vault, path: &VaultPath) -> Result<Vec<u8>> {
    let head = vault.tree_of(vault.head()?)?;
    if vault.rules_of(head)?.class_of(path) != Class::Stream {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{path} is no event stream by this vault's rules"),
            "name a .jsonl file, or a word for one in events/",
        ));
    }
    let committed = stream_at(vault, head, path)?;
    let here = read_stream(vault, path)?.unwrap_or_default();
    let shrinkage = events::shrinkage(&committed, &here);
    let what = match (shrinkage.lost.first(), shrinkage.moved) {
        (None, None) => return Ok(here),
        (Some(line), _) => {
            format!("{path} lacks {} lines that the head has, the first is line {line}", shrinkage.lost.len())
        }
        (None, Some(line)) => format!("{path} has line {line} of the head at another place"),
    };
    let hint =
        format!("{} brings them back", typed("checkout").word(vault.branch().as_str()).then("--").path(path));
    Err(Error::refused(ErrorKind::Refused, what, hint))
}

/// Returns the bytes of a stream in a tree, none if it is not there.
fn stream_at(vault: &Vault, tree: TreeId, path: &VaultPath) -> Result<Vec<u8>> {
    match entry_at(&vault.store, tree, path)? {
        Some(Entry { mode: Mode::File | Mode::Executable, id }) => {
            let mut bytes = Vec::new();
            vault.store.read_to(id, &mut bytes)?;
            Ok(bytes)
        }
        _ => Ok(Vec::new()),
    }
}

/// Commits streams as they are on disk, and nothing else. Returns the commit, and how many were left out.
fn commit_streams(
    vault: &mut Vault,
    lock: &VaultLock,
    paths: &[VaultPath],
    message: String,
    operation: &'static str,
    allowed: Vec<Allowance>,
) -> Result<(Option<CommitId>, usize)> {
    if vault.parked().is_some() {
        return Ok((Some(commit_beside(vault, lock, paths, message, operation)?), 0));
    }
    let request = CommitRequest {
        message: Some(message),
        paths: paths.to_vec(),
        operation,
        allowed,
        ..CommitRequest::default()
    };
    let outcome = commit_locked(vault, lock, &request)?;
    for refused in &outcome.refused {
        let path = visible_line(&refused.path);
        let what = if refused.is_refusal() { "was not committed" } else { "was committed" };
        vault.notices.push(format!("{path} {what}: {}", refused.words()));
    }
    Ok((outcome.commit.map(|(id, _)| id), outcome.refused.len()))
}

/// Commits the lines that streams on disk have beyond the branch's head to that head, while the tree is
/// parked elsewhere.
fn commit_beside(
    vault: &mut Vault,
    lock: &VaultLock,
    paths: &[VaultPath],
    message: String,
    operation: &'static str,
) -> Result<CommitId> {
    let head = vault.head()?;
    let base = vault.tree_of(head)?;
    let mut writer = vault.store.writer()?;
    let mut changes = Vec::new();
    for path in paths {
        let committed = stream_at(vault, base, path)?;
        let here = read_stream(vault, path)?.unwrap_or_default();
        let joined = events::import(&committed, &here).map_err(|conflict| {
            Error::refused(ErrorKind::Conflict, conflict.to_string(), "see the stream")
        })?;
        let was = entry_at(&vault.store, base, path)?;
        let id = writer.add(Kind::Blob, &joined.bytes, was.as_ref().map(|entry| entry.id))?;
        let mode = was.map_or(Mode::File, |entry| entry.mode);
        let entry = FileEntry { mode, id: BlobId::new(id) };
        changes.push(TreeChange { path: path.clone(), entry: Some(entry) });
    }
    let tree = write_edited(&vault.store, &mut writer, base, changes)?;
    vault.check_extent(&writer, base, tree)?;
    let commit = vault.draft_commit(tree, vec![head], CommitDraft { message, restores: None })?;
    let id = vault.write_commit(&mut writer, &commit)?;
    let stamp: Lamport = commit.lamport;
    let operation = vault.operation(operation).set(vault.branch_ref(), id).frontier(vec![id]).lamport(stamp);
    vault.publish(lock, Some(writer), operation)?;
    Ok(id)
}
