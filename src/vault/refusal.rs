//! What was refused: its bytes in quarantine, a line in the rejection log of the session.
//!
//! - Bytes first, then the line that names them. A copy is kept under the hash of the plain bytes, readable
//!   by its owner alone.
//! - The same content at the same path is logged once a session, however often it is met.
//! - Neither is part of history: both can be dropped on request, and are never sent.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;

use sha2::{Digest, Sha256};

use super::admission::Finding;
use super::{Result, Vault};
use crate::fs::{self, Dir, File, FileKind, FileReader};
use crate::gateway::Reason;
use crate::gateway::rejection::{self, Rejection};
use crate::gateway::sidecar::Digest256;
use crate::object::{BlobId, Kind, ObjectHasher, SessionId, VaultPath, shell_word, typed};

pub(super) const REJECTIONS: &str = "rejections";
pub(super) const QUARANTINE: &str = "quarantine";
/// The longest rejection log that is read.
const LOG_BYTES_MAX: u64 = 256 << 20;
/// So many logs, the newest, are looked through for what was refused before.
const LOGS_LOOKED_AT: usize = 16;
const COPY_BYTES: usize = 256 << 10;

/// Where something wanted in: it decides what a person can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// From the working tree, by a commit.
    Commit,
    /// From another program, which can give it again.
    Write,
    /// From an agent that asked for more than it may.
    Agent,
    /// From another device, held before reconcile.
    Pull,
    /// From another device, together with the last choice of a conflict.
    Resolve,
    /// From another device, and in the history already.
    History,
    /// In a bundle, of which nothing was taken.
    Bundle,
    /// Into the working tree, from a tree that this device stands on.
    Withheld,
    /// Into the working tree, from another commit, as an edit.
    Restore,
}

/// A file that was not taken, or that a word is due about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it wanted in.
    pub door: Door,
    /// Where; any bytes, because a name can be the reason.
    pub path: Vec<u8>,
    /// Why.
    pub reason: Reason,
    /// Where in the file, in bytes.
    pub offset: Option<u64>,
    /// More words about the reason.
    pub detail: Option<String>,
    /// Lines of content that it is about; never logged.
    pub lines: Vec<String>,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// The hash of its plain bytes.
    pub sha256: Option<Digest256>,
    /// The id it would have as a blob.
    pub blob: Option<BlobId>,
    /// Whether a copy is in quarantine.
    pub is_kept: bool,
}

impl Refused {
    /// Names a file and why it is not taken.
    pub(super) fn new(path: &[u8], finding: Finding) -> Refused {
        Refused::by(Door::Commit, path, finding)
    }

    /// The same for what wanted in elsewhere.
    pub(super) fn by(door: Door, path: &[u8], finding: Finding) -> Refused {
        let Finding { reason, offset, detail, lines, accepts: _ } = finding;
        let path = path.to_vec();
        Refused {
            door,
            path,
            reason,
            offset,
            detail,
            lines,
            size: None,
            sha256: None,
            blob: None,
            is_kept: false,
        }
    }

    /// Returns `true` if something was not taken. A torn line is pointed out, and taken as it is.
    pub fn is_refusal(&self) -> bool {
        self.reason != Reason::TornLine
    }

    /// Returns the reason in words, to stand after the path.
    pub fn words(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {detail}", self.reason.as_str()),
            None => self.reason.as_str().to_owned(),
        }
    }

    /// Returns what to do.
    pub fn hint(&self) -> String {
        let allowance: Vec<u8> = match (self.reason.code().as_bytes(), self.path.as_slice()) {
            (code, b".") => code.to_vec(),
            (code, path) => [code, b":", path].concat(),
        };
        let allow = format!("--allow {}", shell_word(&allowance));
        let reconcile = typed("reconcile --allow").word(&allowance);
        match self.door {
            Door::Commit | Door::Bundle | Door::Agent => self.reason.hint(&self.path),
            Door::Write => {
                format!("nothing was written; if it is meant, the same command with `{allow}` takes it")
            }
            Door::Pull => {
                format!("mend it on the other device; if it is meant, {reconcile} lets it in")
            }
            Door::Resolve => format!(
                "mend it on the other device; if it is meant, the same `mvault resolve` with `{allow}` lets it in"
            ),
            Door::Withheld => {
                format!("if you know what it does, {reconcile} puts it in place")
            }
            Door::Restore => {
                format!("if you know what it does, the same command with `{allow}` puts it in place")
            }
            Door::History => "it is in the history of both devices; it holds nothing up".to_owned(),
        }
    }
}

/// Something in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The hash of the bytes, by which they are named.
    pub sha256: String,
    /// Their length.
    pub size: u64,
    /// What was said about them, the newest last.
    pub rejections: Vec<Rejection>,
}

impl Vault {
    /// Keeps refused bytes. Returns their hash.
    pub(super) fn quarantine(&self, bytes: &[u8]) -> Result<Digest256> {
        let digest = Digest256::of(bytes);
        let folder = self.dot.open_or_create_dir(QUARANTINE)?;
        let name = digest.to_string();
        if folder.try_stat(&name)?.is_none_or(|stat| stat.size != bytes.len() as u64) {
            fs::replace_file(&folder, &name, bytes, 0o600)?;
        }
        Ok(digest)
    }

    /// Keeps a refused file of any size as it is on disk now. `None` if it cannot be read any more.
    pub(super) fn quarantine_file(&self, path: &VaultPath) -> Result<Option<Copied>> {
        let Ok(file) = open_below(&self.root, path) else { return Ok(None) };
        if file.stat()?.kind != FileKind::File {
            return Ok(None);
        }
        let folder = self.dot.open_or_create_dir(QUARANTINE)?;
        let temp = fs::temp_name();
        let copy = folder.create_new(&temp, 0o600)?;
        let copied = copy_and_hash(&file, &copy);
        let kept = copied.and_then(|copied| {
            folder.rename(&temp, &folder, copied.sha256.to_string())?;
            folder.sync()?;
            Ok(copied)
        });
        if kept.is_err() {
            let _rubbish_is_harmless = folder.remove_file(&temp);
        }
        Ok(Some(kept?))
    }

    /// Adds to the session's rejection log what it does not say yet.
    pub(super) fn log_rejections(&self, refused: &[Refused]) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let folder = self.dot.open_or_create_dir(REJECTIONS)?;
        let name = rejection::log_name(self.session.as_ref());
        let mut bytes = folder.try_read(&name, LOG_BYTES_MAX)?.unwrap_or_default();
        let known = rejection::decode(&bytes);
        let mut new: Vec<Rejection> = Vec::new();
        for refused in refused {
            let entry = self.rejection(refused);
            if !known.iter().chain(&new).any(|old| old.repeats(&entry)) {
                new.push(entry);
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        if bytes.last().is_some_and(|last| *last != b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend(rejection::encode(&new));
        // Written whole: after a power cut an appended line could be zeros, which nobody can tell from damage.
        fs::replace_file(&folder, &name, &bytes, 0o600)?;
        Ok(())
    }

    fn rejection(&self, refused: &Refused) -> Rejection {
        let mut entry = Rejection {
            at: self.env.clock.now().rfc3339(),
            session: self.session.as_ref().map(ToString::to_string),
            path: String::new(),
            path_hex: None,
            reason: refused.reason.code().to_owned(),
            sha256: refused.sha256.map(|digest| digest.to_string()),
            blob: refused.blob.map(|id| id.to_string()),
            size: refused.size,
            offset: refused.offset,
            detail: refused.detail.clone(),
            quarantined: refused.is_kept,
            hint: refused.hint(),
        };
        entry.set_path(&refused.path);
        entry
    }

    /// Returns what a session's log says; of `None`, what happened outside of any.
    pub fn rejections(&self, session: Option<&SessionId>) -> Result<Vec<Rejection>> {
        let folder = self.dot.open_or_create_dir(REJECTIONS)?;
        let bytes = folder.try_read(rejection::log_name(session), LOG_BYTES_MAX)?;
        Ok(bytes.map(|bytes| rejection::decode(&bytes)).unwrap_or_default())
    }

    /// Returns the sessions that have a rejection log, the one written to last first.
    pub fn rejection_sessions(&self) -> Result<Vec<Option<SessionId>>> {
        let Some(folder) = self.try_folder(REJECTIONS)? else { return Ok(Vec::new()) };
        let mut logs = Vec::new();
        for (name, _) in folder.list()? {
            if let Some(session) = name.to_str().and_then(rejection::session_of)
                && let Some(stat) = folder.try_stat(&name)?
            {
                logs.push((stat.mtime_ns, session));
            }
        }
        logs.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        Ok(logs.into_iter().map(|(_, session)| session).collect())
    }

    /// Returns the path and blob id of what was refused in the last sessions.
    pub fn recently_refused(&self) -> Result<BTreeSet<(Vec<u8>, String)>> {
        let mut refused = BTreeSet::new();
        for session in self.rejection_sessions()?.into_iter().take(LOGS_LOOKED_AT) {
            for entry in self.rejections(session.as_ref())? {
                if let (Some(blob), false) = (entry.blob.clone(), entry.reason == Reason::TornLine.code()) {
                    refused.insert((entry.path_bytes(), blob));
                }
            }
        }
        Ok(refused)
    }

    /// Lists what is in quarantine, by hash.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>> {
        let Some(folder) = self.try_folder(QUARANTINE)? else { return Ok(Vec::new()) };
        let mut all: Vec<Rejection> = Vec::new();
        for session in self.rejection_sessions()? {
            all.extend(self.rejections(session.as_ref())?);
        }
        let mut found = Vec::new();
        for (name, _) in folder.list()? {
            let Some(sha256) = name.to_str().filter(|name| is_digest(name)) else { continue };
            let size = folder.stat(sha256)?.size;
            let mut rejections: Vec<Rejection> =
                all.iter().filter(|entry| entry.sha256.as_deref() == Some(sha256)).cloned().collect();
            rejections.sort_by(|a, b| a.at.cmp(&b.at));
            found.push(Quarantined { sha256: sha256.to_owned(), size, rejections });
        }
        found.sort_by(|a, b| a.sha256.cmp(&b.sha256));
        Ok(found)
    }

    /// Opens what is in quarantine under a hash.
    pub fn open_quarantined(&self, sha256: &str) -> Result<File> {
        Ok(self.dot.open_or_create_dir(QUARANTINE)?.open(sha256)?)
    }

    /// Removes what is in quarantine under a hash, on request.
    pub(super) fn remove_quarantined(&self, sha256: &str) -> Result<()> {
        let folder = self.dot.open_or_create_dir(QUARANTINE)?;
        folder.remove_file(sha256)?;
        Ok(folder.sync()?)
    }

    fn try_folder(&self, name: &str) -> Result<Option<Dir>> {
        match self.dot.open_dir(name) {
            Err(error) if error.is_not_found() => Ok(None),
            other => Ok(Some(other?)),
        }
    }
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Opens a file of the working tree by open folders; no link is followed.
pub(super) fn open_below(root: &Dir, path: &VaultPath) -> fs::Result<File> {
    let mut dir = root.clone();
    let mut parts = path.parts().peekable();
    while let Some(part) = parts.next() {
        let name = os(part);
        if parts.peek().is_none() {
            return dir.open(name);
        }
        dir = dir.open_dir(name)?;
    }
    unreachable!("a path has a last part")
}

pub(super) fn os(name: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}

/// What a copy came to.
pub(super) struct Copied {
    pub sha256: Digest256,
    pub size: u64,
    /// The id as a blob; none if the length changed while it was read.
    pub blob: Option<BlobId>,
}

impl Refused {
    /// Says that the content was kept.
    pub(super) fn kept(&mut self, copied: &Copied) {
        (self.sha256, self.size, self.is_kept) = (Some(copied.sha256), Some(copied.size), true);
        self.blob = copied.blob.or(self.blob);
    }
}

fn copy_and_hash(from: &File, to: &File) -> Result<Copied> {
    let expected = from.stat()?.size;
    let mut reader = FileReader::new(from);
    let mut hasher = Sha256::new();
    let mut blob = ObjectHasher::new(Kind::Blob, expected);
    let mut buffer = vec![0; COPY_BYTES];
    let mut size = 0_u64;
    loop {
        let count = reader.read(&mut buffer).map_err(|source| fs::Error {
            action: "read",
            path: from.path().to_path_buf(),
            source,
        })?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        blob.update(&buffer[..count]);
        to.write_at(&buffer[..count], size)?;
        size += count as u64;
    }
    to.sync()?;
    let blob = (size == expected).then(|| BlobId::new(blob.finish()));
    Ok(Copied { sha256: Digest256(hasher.finalize().into()), size, blob })
}
