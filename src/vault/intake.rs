//! Intake: files and lines from elsewhere come into the vault, through the gateway, as one commit.
//!
//! - Nothing is overwritten: a file stands at a free path or is there already with the same bytes. Streams
//!   take the lines that they lack.
//! - Each thing is judged before anything is written; what is refused goes to quarantine and the rejection
//!   log, the rest is taken.
//! - Order: files, then streams, then the commit. Killed between, what was written are edits, and the same
//!   intake again completes it: what follows a file is taken with it, also when the file is there already.

use std::collections::BTreeMap;

use super::admission::{Admission, Allowance, Finding};
use super::appending::append;
use super::commit::{CommitRequest, commit_locked};
use super::refusal::Refused;
use super::streams::{epoch, writable};
use super::write::{judge_bytes, open_or_create_folder, present};
use super::{Error, ErrorKind, Result, Vault};
use crate::events::{self, NewEvent, Stream};
use crate::gateway::sidecar::Digest256;
use crate::gateway::{Reason, secrets};
use crate::object::{BlobId, CommitId, Json, Kind, Source, VaultPath, entry_at, hash_object, visible_line};

/// What comes in.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A file, whole.
    File(Vec<u8>),
    /// Lines for a stream.
    Lines(Vec<u8>),
}

/// An event that is written when a thing was taken.
#[derive(Clone, Debug)]
pub struct Following {
    /// The stream.
    pub stream: VaultPath,
    /// What kind of event.
    pub kind: String,
    /// What it says.
    pub body: Json,
}

/// Something that comes in.
#[derive(Clone, Debug)]
pub struct Thing {
    /// Where to.
    pub path: VaultPath,
    /// What.
    pub incoming: Incoming,
    /// A line for the list of what was taken.
    pub listed: Option<Vec<u8>>,
    /// An event that goes with it.
    pub follows: Option<Following>,
}

/// What became of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is new. Of a stream, so many lines are.
    Taken(usize),
    /// It was there already.
    Known,
    /// It was not admitted.
    Refused {
        /// The reason's code.
        code: &'static str,
        /// The reason in words.
        words: String,
        /// What to do.
        hint: String,
    },
    /// Another file stands there.
    Occupied,
}

/// Whether an intake is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It is.
    Real,
    /// It is only said what would happen.
    Dry,
}

/// What an intake did.
#[derive(Clone, Debug)]
pub struct IntakeOutcome {
    /// The commit, if anything was taken.
    pub commit: Option<CommitId>,
    /// What became of each thing, in their order.
    pub fates: Vec<Fate>,
}

/// What is to be written.
#[derive(Default)]
struct Plan {
    files: Vec<(VaultPath, Vec<u8>)>,
    /// Before and after.
    streams: BTreeMap<VaultPath, (Vec<u8>, Vec<u8>)>,
    paths: Vec<VaultPath>,
}

/// Takes things in as one commit. `list` is the stream that the lines about what was taken go to.
pub fn take_in(
    vault: &mut Vault,
    things: &[Thing],
    list: &VaultPath,
    allowed: &[Allowance],
    trial: Trial,
) -> Result<IntakeOutcome> {
    if vault.parked().is_some() {
        return Err(Error::refused(
            ErrorKind::Refused,
            "the tree is parked at an older state; nothing was taken in",
            format!("{} goes back to the branch first", vault.way_back()),
        ));
    }
    let lock = match trial {
        Trial::Real => Some(vault.lock("import")?),
        Trial::Dry => None,
    };
    let mut plan = Plan::default();
    let mut fates = Vec::new();
    let base = vault.standing_tree()?;
    let mut refused_all = Vec::new();
    for thing in things {
        let admission = Admission::new(vault, base, allowed)?;
        let (fate, refused) = judge(vault, &admission, thing, &mut plan)?;
        if let Some((refused, bytes)) = refused
            && trial == Trial::Real
        {
            refused_all.push(keep(vault, refused, bytes)?);
        }
        if matches!(fate, Fate::Taken(_) | Fate::Known) {
            follow(vault, thing, list, &mut plan)?;
        }
        fates.push(fate);
    }
    let Some(lock) = lock else { return Ok(IntakeOutcome { commit: None, fates }) };
    vault.log_rejections(&refused_all)?;
    let Plan { files, streams, mut paths } = plan;
    for (path, bytes) in &files {
        let dir = open_or_create_folder(vault, path)?;
        vault.place_file(&dir, path, bytes, 0o644)?;
    }
    for (path, (before, after)) in &streams {
        append(vault, path, before.len() as u64, &after[before.len()..])?;
        if !after.is_empty() {
            paths.push(path.clone());
        }
    }
    if paths.is_empty() {
        return Ok(IntakeOutcome { commit: None, fates });
    }
    paths.sort();
    paths.dedup();
    let taken = fates.iter().filter(|fate| matches!(fate, Fate::Taken(_))).count();
    let request = CommitRequest {
        message: Some(format!("import {taken} files\n")),
        paths,
        allowed: allowed.to_vec(),
        operation: "import",
        ..CommitRequest::default()
    };
    let outcome = commit_locked(vault, &lock, &request)?;
    for refused in &outcome.refused {
        let path = visible_line(&refused.path);
        let what = if refused.is_refusal() { "was not committed" } else { "was committed" };
        vault.notices.push(format!("{path} {what}: {}", refused.words()));
    }
    Ok(IntakeOutcome { commit: outcome.commit.map(|(id, _)| id), fates })
}

type Turned<'t> = Option<(Refused, &'t [u8])>;

/// Decides what becomes of a thing, and plans its writing.
fn judge<'t>(
    vault: &Vault,
    admission: &Admission<'_>,
    thing: &'t Thing,
    plan: &mut Plan,
) -> Result<(Fate, Turned<'t>)> {
    match &thing.incoming {
        Incoming::File(bytes) => {
            let there = present(vault, &thing.path)?.map(|present| present.bytes);
            let planned = plan.files.iter().find(|(path, _)| *path == thing.path).map(|(_, bytes)| bytes);
            if let Some(there) = there.as_ref().or(planned) {
                if there != bytes {
                    return Ok((Fate::Occupied, None));
                }
                plan.paths.push(thing.path.clone());
                return Ok((Fate::Known, None));
            }
            if let Some(entry) = entry_at(&vault.store, admission.base, &thing.path)? {
                let is_same = entry.id == hash_object(Kind::Blob, bytes);
                return Ok((if is_same { Fate::Known } else { Fate::Occupied }, None));
            }
            if let Some(finding) = judge_bytes(vault, admission, &thing.path, bytes)? {
                return Ok(refuse(thing, finding, bytes));
            }
            plan.paths.push(thing.path.clone());
            plan.files.push((thing.path.clone(), bytes.clone()));
            Ok((Fate::Taken(1), None))
        }
        Incoming::Lines(lines) => {
            let before = plan.stream(vault, &thing.path)?;
            let imported = match events::import(&before.1, lines) {
                Ok(imported) => imported,
                Err(conflict) => {
                    let finding = Finding::new(Reason::StreamRewritten).detail(conflict.to_string());
                    return Ok(refuse(thing, finding, lines));
                }
            };
            let new = &imported.bytes[before.1.len()..];
            if let Some(secret) = secrets::scan(new).into_iter().next()
                && !admission.permits(Reason::Secret, &thing.path)
            {
                return Ok(refuse(thing, Finding::new(Reason::Secret).detail(secret.what), lines));
            }
            if imported.added == 0 {
                return Ok((Fate::Known, None));
            }
            before.1 = imported.bytes;
            Ok((Fate::Taken(imported.added), None))
        }
    }
}

fn refuse<'t>(thing: &Thing, finding: Finding, bytes: &'t [u8]) -> (Fate, Turned<'t>) {
    let refused = Refused::new(thing.path.as_bytes(), finding);
    let fate = Fate::Refused { code: refused.reason.code(), words: refused.words(), hint: refused.hint() };
    (fate, Some((refused, bytes)))
}

/// Keeps the bytes of what was refused.
fn keep(vault: &Vault, mut refused: Refused, bytes: &[u8]) -> Result<Refused> {
    refused.size = Some(bytes.len() as u64);
    refused.sha256 = Some(Digest256::of(bytes));
    refused.blob = Some(BlobId::new(hash_object(Kind::Blob, bytes)));
    if refused.reason.keeps_copy() && !bytes.is_empty() {
        vault.quarantine(bytes)?;
        refused.is_kept = true;
    }
    Ok(refused)
}

/// Plans what goes with a thing: its line in the list, and its event.
fn follow(vault: &Vault, thing: &Thing, list: &VaultPath, plan: &mut Plan) -> Result<()> {
    if let Some(line) = &thing.listed {
        let stream = plan.stream(vault, list)?;
        let listed = events::import(&stream.1, line);
        if let Some(listed) = listed.ok().filter(|listed| listed.added > 0) {
            stream.1 = listed.bytes;
        }
    }
    let Some(Following { stream, kind, body }) = &thing.follows else { return Ok(()) };
    let new = NewEvent {
        at: vault.env.clock.now().rfc3339(),
        device: vault.config.device.clone(),
        epoch: epoch(vault)?,
        session: vault.session.clone(),
        kind: kind.clone(),
        body: body.clone(),
        head: vault.store.find_commit(vault.head()?)?.lamport,
    };
    let stream = plan.stream(vault, stream)?;
    let appended = Stream::parse(&stream.1).append(new).map_err(|error| {
        Error::refused(ErrorKind::Refused, error.to_string(), "nothing was written; shorten or mend the file")
    })?;
    stream.1.extend_from_slice(&appended.bytes);
    Ok(())
}

impl Plan {
    /// Returns a stream as it is on disk and as it will be.
    fn stream(&mut self, vault: &Vault, path: &VaultPath) -> Result<&mut (Vec<u8>, Vec<u8>)> {
        if !self.streams.contains_key(path) {
            let before = writable(vault, path)?;
            self.streams.insert(path.clone(), (before.clone(), before));
        }
        Ok(self.streams.get_mut(path).expect("it was just put there"))
    }
}
