//! What stands on disk at one path, compared with a commit, and the last version of it that can be relied
//! on. Reads that path and nothing else: no walk, no stat cache.

use std::sync::Arc;

use super::admission::{Admission, Finding};
use super::history::Walk;
use super::refusal::os;
use super::sealing::{folder_of, seal_holds};
use super::write::judge_bytes;
use super::{Result, Vault};
use crate::fs::FileKind;
use crate::object::{BlobId, CommitId, Kind, ObjectId, Source, VaultPath, entry_at, hash_object};
use crate::worktree::Waits;

/// The longest file that is compared, in bytes.
const COMPARED_BYTES_MAX: u64 = 16 << 20;
/// So many commits are looked through for a version that can be relied on.
const COMMITS_LOOKED_AT: usize = 200;

/// What stands on disk at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What the head has.
    AsCommitted,
    /// Nothing.
    Missing,
    /// An edit in no commit that admission would take.
    Edited,
    /// Something that admission would refuse.
    Refused(Finding),
    /// Something that is not looked at: too long, no file, or on a mount that is not mounted.
    NotLookedAt,
}

/// A version of a file whose bytes were hashed and whose seal, if it has one, holds.
#[derive(Clone, Debug)]
pub struct Reliable {
    /// The bytes.
    pub bytes: Arc<[u8]>,
    /// Their blob.
    pub id: ObjectId,
    /// The commit it was found in.
    pub commit: CommitId,
    /// Why it is not the head's own version, if it is not.
    pub instead_of: Option<String>,
}

/// Compares the file on disk with the head's.
pub fn standing(vault: &Vault, path: &VaultPath) -> Result<Standing> {
    let head = vault.tree_of(vault.head()?)?;
    let committed = entry_at(&vault.store, head, path)?;
    let bytes = match on_disk(vault, path) {
        Ok(OnDisk::Bytes(bytes)) => bytes,
        Ok(OnDisk::Nothing) => return Ok(Standing::Missing),
        // What cannot be read is no edit, and keeps nobody from the version that is committed.
        Ok(OnDisk::Other) | Err(_) => return Ok(Standing::NotLookedAt),
    };
    let id = BlobId::new(hash_object(Kind::Blob, &bytes));
    if committed.is_some_and(|entry| entry.id == id.object()) {
        return Ok(Standing::AsCommitted);
    }
    // What stands there while the committed version waits to be put in place is nobody's edit.
    let waits = Waits::load(&vault.dot)?;
    if waits.find(path).and_then(|wait| wait.stood).is_some_and(|stood| stood.id == id) {
        return Ok(Standing::AsCommitted);
    }
    let admission = Admission::new(vault, head, &[])?;
    Ok(match judge_bytes(vault, &admission, path, &bytes)? {
        Some(finding) => Standing::Refused(finding),
        None => Standing::Edited,
    })
}

/// What is found at a path.
enum OnDisk {
    Nothing,
    Bytes(Vec<u8>),
    /// Too long, or no file.
    Other,
}

fn on_disk(vault: &Vault, path: &VaultPath) -> Result<OnDisk> {
    if vault.unmounted()?.iter().any(|folder| path.is_within(folder)) {
        return Ok(OnDisk::Other);
    }
    let Some(dir) = folder_of(&vault.root, path)? else { return Ok(OnDisk::Nothing) };
    let Some(stat) = dir.try_stat(os(path.name()))? else { return Ok(OnDisk::Nothing) };
    if stat.kind != FileKind::File || stat.size > COMPARED_BYTES_MAX {
        return Ok(OnDisk::Other);
    }
    Ok(OnDisk::Bytes(dir.read(os(path.name()), COMPARED_BYTES_MAX)?))
}

/// Returns the newest version of a file that can be relied on: the head's, or, where that is damaged or
/// does not fit its seal, an older one. `None` if the head has no such file, or no version holds.
pub fn reliable(vault: &Vault, path: &VaultPath) -> Result<Option<Reliable>> {
    let head = vault.head()?;
    let mut failed: Option<String> = None;
    let mut tried = std::collections::HashSet::new();
    for (number, step) in Walk::new(&vault.store, [head])?.enumerate() {
        if number == COMMITS_LOOKED_AT {
            break;
        }
        let (commit, body) = step?;
        let entry = entry_at(&vault.store, body.tree, path)?.filter(|entry| !entry.mode.is_tree());
        let Some(entry) = entry else {
            if number == 0 {
                return Ok(None);
            }
            continue;
        };
        if !tried.insert(entry.id) {
            continue;
        }
        match version(vault, body.tree, path, entry.id) {
            Ok(Some(bytes)) => return Ok(Some(Reliable { bytes, id: entry.id, commit, instead_of: failed })),
            Ok(None) => failed = failed.or(Some("it does not fit its .sha256".into())),
            Err(error) => failed = failed.or(Some(error.to_string())),
        }
    }
    Ok(None)
}

fn version(
    vault: &Vault,
    tree: crate::object::TreeId,
    path: &VaultPath,
    id: ObjectId,
) -> Result<Option<Arc<[u8]>>> {
    let bytes = vault.store.find_blob(BlobId::new(id))?;
    let rules = vault.rules_of(tree)?;
    if let Some(sidecar) = rules.sidecar_of(path) {
        let sidecar = entry_at(&vault.store, tree, &sidecar)?.map(|entry| entry.id);
        if seal_holds(&vault.store, path.name(), id, sidecar)? == Some(false) {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}
