//! Bundles: a file made of what this vault knows, and the record of files that were not taken.
//!
//! - As before a session, the own side is committed first and what leaves is logged as offered, both before a
//!   byte of it is written.
//! - The file is written beside its place, synced and renamed: there is the old one or the whole new one. What
//!   is no bundle is not replaced unasked, and no file of the vault ever is.
//! - A file that could not be taken is named once in the rejection log, by the hash of its bytes.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::admission::Finding;
use super::endpoint::VaultEndpoint;
use super::refusal::{Door, Refused};
use super::{Error, ErrorKind, Result, Vault};
use crate::fs::{self, Dir, FileKind, FileReader, LockKind};
use crate::gateway::Reason;
use crate::gateway::sidecar::Digest256;
use crate::merge;
use crate::object::{CommitId, visible_line};
use crate::sync::bundle::{self, BundleError, Contents, Written};
use crate::sync::negotiate::Ancestry;
use crate::sync::receive::ReceiveError;
use crate::sync::send::SendError;
use crate::sync::{self, Branch, Endpoint, RefusalKind, SyncError};

/// How files are called that are not whole yet.
const UNFINISHED: &str = ".mvault-bundle-";
const READ_BYTES: usize = 256 << 10;

/// What bundle is wanted.
#[derive(Clone, Debug, Default)]
pub struct BundleRequest {
    /// Where to: an absolute path.
    pub file: PathBuf,
    /// Which commits it shall bring, with all they need; everything known if there are none.
    pub revisions: Vec<String>,
    /// Which commits its receiver has: they and what they reach are left out.
    pub since: Vec<String>,
    /// Whether a file that is no bundle may be replaced.
    pub replaces_anything: bool,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct BundleMade {
    /// How much.
    pub written: Written,
    /// The heads it brings.
    pub branches: Vec<Branch>,
    /// What its receiver must have.
    pub prerequisites: Vec<CommitId>,
}

/// Makes a bundle of what the vault of `endpoint` knows.
pub fn create_bundle(
    endpoint: &mut VaultEndpoint,
    request: &BundleRequest,
    progress: &mut dyn FnMut(sync::Progress),
) -> Result<BundleMade> {
    let target = Target::find(&endpoint.vault, request)?;
    // What the reader has is named as it is seen now; and a name that names nothing shall not leave a commit
    // behind.
    let prerequisites = known_there(&endpoint.vault, &request.since)?;
    known_there(&endpoint.vault, &request.revisions)?;
    let branches = endpoint.offer_chosen(|vault, all| choose(vault, all, &request.revisions))?;
    let identity = endpoint.identity();
    let contents = Contents { identity, branches, prerequisites };
    let written = target.write(&endpoint.vault, &contents, progress)?;
    let Contents { branches, prerequisites, .. } = contents;
    Ok(BundleMade { written, branches, prerequisites })
}

/// Returns the frontier of what somebody has who has the commits that were named.
fn known_there(vault: &Vault, since: &[String]) -> Result<Vec<CommitId>> {
    let mut named = Vec::new();
    for text in since {
        named.extend(vault.resolve_heads(text)?);
    }
    Ok(merge::offer(&vault.store, &named)?)
}

/// Narrows an offer to commits that were named, each under the branch that has it.
fn choose(vault: &Vault, all: Vec<Branch>, revisions: &[String]) -> Result<Vec<Branch>> {
    if revisions.is_empty() {
        return Ok(all);
    }
    let mut own_first = all;
    own_first.sort_by_key(|branch| branch.name != vault.branch().as_str());
    let mut chosen: Vec<Branch> = Vec::new();
    for text in revisions {
        for id in merge::offer(&vault.store, &vault.resolve_heads(text)?)? {
            let name = branch_of(vault, &own_first, id)?.ok_or_else(|| {
                Error::refused(
                    ErrorKind::Refused,
                    format!("{text} is in no branch, so it does not leave this device; nothing was written"),
                    "name a branch or a commit that `mvault log` shows",
                )
            })?;
            match chosen.iter_mut().find(|branch| branch.name == name) {
                Some(branch) => branch.heads.push(id),
                None => chosen.push(Branch { name, heads: vec![id] }),
            }
        }
    }
    for branch in &mut chosen {
        branch.heads = merge::offer(&vault.store, &branch.heads)?;
    }
    Ok(chosen)
}

fn branch_of(vault: &Vault, branches: &[Branch], id: CommitId) -> Result<Option<String>> {
    for branch in branches {
        if Ancestry::new(vault.store.clone(), branch.heads.iter().copied())?.contains(id)? {
            return Ok(Some(branch.name.clone()));
        }
    }
    Ok(None)
}

/// The place of the file.
struct Target {
    folder: Dir,
    name: OsString,
}

impl Target {
    /// Judges the place before anything is done.
    fn find(vault: &Vault, request: &BundleRequest) -> Result<Target> {
        let shown = visible_line(request.file.as_os_str().as_encoded_bytes());
        let refuse = |what: String, hint: String| {
            Err(Error::refused(ErrorKind::Refused, format!("{shown} {what}; nothing was written"), hint))
        };
        let (Some(parent), Some(name)) = (request.file.parent(), request.file.file_name()) else {
            return refuse("is no name of a file".into(), "name a file outside of the vault".into());
        };
        let folder = vault.disk.open_dir(parent)?;
        let root = vault.disk.canonicalize(vault.root.path())?;
        if vault.disk.canonicalize(parent)?.starts_with(&root) {
            let hint = format!(
                "a bundle holds the vault, so the vault cannot hold it: name a file outside of {}",
                crate::fs::shown(root)
            );
            return refuse("lies inside the vault".into(), hint);
        }
        match folder.try_stat(name)?.map(|stat| stat.kind) {
            None => {}
            Some(FileKind::File) => {
                let is_bundle = bundle::begins_as_bundle(&folder.open(name)?)?;
                if !is_bundle && !request.replaces_anything {
                    let hint = "name another file, or `--force` to replace it".to_owned();
                    return refuse("is there and is no bundle: it stays as it is".into(), hint);
                }
            }
            Some(_) => {
                return refuse(
                    "is there and is no file: it stays as it is".into(),
                    "name another file".into(),
                );
            }
        }
        Ok(Target { folder, name: name.to_owned() })
    }

    fn write(
        &self,
        vault: &Vault,
        contents: &Contents,
        progress: &mut dyn FnMut(sync::Progress),
    ) -> Result<Written> {
        self.remove_unfinished();
        let temp = OsString::from(format!("{UNFINISHED}{}", hex::encode(vault.env.random16())));
        let file = self.folder.create_new(&temp, 0o600)?;
        let done = file
            .try_lock(LockKind::Exclusive)
            .map_err(Error::from)
            .and_then(|_| bundle::write(&vault.store, contents, &file, progress).map_err(not_written))
            .and_then(|written| {
                file.sync()?;
                self.folder.rename(&temp, &self.folder, &self.name)?;
                self.folder.sync()?;
                Ok(written)
            });
        if done.is_err() {
            let _the_next_one_removes_it = self.folder.remove_file(&temp);
        }
        done
    }

    /// Removes what killed processes left: files that nobody holds. Nothing depends on it.
    fn remove_unfinished(&self) {
        for (name, _) in self.folder.list().unwrap_or_default() {
            if !name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
                continue;
            }
            let is_free = self.folder.open(&name).and_then(|file| file.try_lock(LockKind::Exclusive));
            if is_free.unwrap_or(false) {
                let _somebody_else_removed_it = self.folder.remove_file(&name);
            }
        }
    }
}

/// Returns why a bundle could not be written.
fn not_written(error: SyncError) -> Error {
    match error {
        SyncError::Send(SendError::Store(error)) => error.into(),
        SyncError::Send(SendError::Source(error)) | SyncError::Source(error) => error.into(),
        SyncError::Bundle(BundleError::Disk(error)) => error.into(),
        other => {
            let hint = other.hint().unwrap_or_else(|| "nothing was written".to_owned());
            Error::refused(ErrorKind::Refused, other.to_string(), hint)
        }
    }
}

/// Returns why a file was not taken if that lies with the file.
fn reason_of(error: &SyncError) -> Option<Reason> {
    match error {
        SyncError::Bundle(BundleError::Disk(_)) => None,
        SyncError::Bundle(BundleError::Missing(_)) => Some(Reason::BundleEarly),
        SyncError::Bundle(_) | SyncError::Receive(ReceiveError::Limit { .. }) => Some(Reason::BundleUnusable),
        SyncError::Receive(ReceiveError::Unrelated(_)) => Some(Reason::BundleForeign),
        SyncError::Ours(refusal) => match refusal.kind {
            RefusalKind::Unrelated | RefusalKind::SameName => Some(Reason::BundleForeign),
            _ => None,
        },
        _ => None,
    }
}

/// Writes into the rejection log that a bundle was not taken, unless the reason lies elsewhere. If that cannot
/// be written, a notice says so.
pub fn note_refused_bundle(vault: &mut Vault, folder: &Dir, name: &OsStr, error: &SyncError) {
    if let Err(unnoted) = try_note(vault, folder, name, error) {
        vault.notices.push(format!("the rejection log could not be written: {unnoted}"));
    }
}

fn try_note(vault: &Vault, folder: &Dir, name: &OsStr, error: &SyncError) -> Result<()> {
    let Some(reason) = reason_of(error) else { return Ok(()) };
    let path = folder.path().join(name);
    let finding = Finding::new(reason).detail(error.to_string());
    let mut refused = Refused::by(Door::Bundle, path.as_os_str().as_encoded_bytes(), finding);
    let (sha256, size) = hash(folder, name)?;
    (refused.sha256, refused.size) = (Some(sha256), Some(size));
    vault.log_rejections(&[refused])
}

fn hash(folder: &Dir, name: &OsStr) -> Result<(Digest256, u64)> {
    let file = folder.open(name)?;
    let mut reader = FileReader::new(&file);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut size = 0;
    loop {
        let count = reader.read(&mut buffer).map_err(|source| fs::Error {
            action: "read",
            path: file.path().to_path_buf(),
            source,
        })?;
        if count == 0 {
            return Ok((Digest256(hasher.finalize().into()), size));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}
