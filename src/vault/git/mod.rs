//! The bridge to git: writes a vault's history as a bare SHA-256 git repository.
//!
//! - Everything reachable from branches and tags goes into one git pack, byte for byte: the ids are the
//!   vault's. What other devices offered and saved states stay behind.
//! - What was purged is left out, and git says that it is missing.
//! - `HEAD` is written last: a folder that a cut export left is no repository to git.
//!
//! Limits: objects are written whole, not as deltas; `git gc` in the new repository makes it small.

mod pack;

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;

use self::pack::{GitPack, Packed, compress};
use super::{Error, ErrorKind, Result, Vault};
use crate::fs::{Dir, replace_file};
use crate::object::{CommitId, Kind, ObjectId, Source, TreeId};
use crate::store::RECORD_MAX;

/// So many objects are compressed side by side before they are written in order.
const OBJECTS_AT_ONCE: usize = 64;

const CONFIG: &str = "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n\
                      [extensions]\n\tobjectformat = sha256\n";

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GitExport {
    /// Number of commits.
    pub commits: u64,
    /// Number of objects of all kinds.
    pub objects: u64,
    /// Number of blobs that were left out because they were purged.
    pub purged: u64,
    /// Number of branches and tags.
    pub refs: u64,
    /// Length of the pack in bytes.
    pub bytes: u64,
    /// The head of the present branch.
    pub head: CommitId,
}

/// Writes a bare SHA-256 git repository of all branches and tags to `path`, which must be empty or not
/// exist yet. Calls `progress` with the number of objects written and of all.
pub fn export_git(vault: &Vault, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<GitExport> {
    let head = vault.head()?;
    let dir = vault.disk().create_dir_all(path)?;
    refuse_place(vault, path, &dir)?;
    let reached = Reached::from_refs(vault)?;
    for folder in ["objects", "refs"] {
        dir.create_dir(folder)?;
    }
    let (objects, refs) = (dir.open_dir("objects")?, dir.open_dir("refs")?);
    for (folder, name) in [(&objects, "info"), (&objects, "pack"), (&refs, "heads"), (&refs, "tags")] {
        folder.create_dir(name)?;
        folder.sync()?;
    }
    let bytes = write_objects(vault, &objects.open_dir("pack")?, &reached.objects, progress)?;
    let named = named_commits(vault);
    replace_file(&dir, "packed-refs", packed_refs(&named).as_bytes(), 0o644)?;
    replace_file(&dir, "config", CONFIG.as_bytes(), 0o644)?;
    replace_file(&dir, "HEAD", format!("ref: refs/heads/{}\n", vault.branch()).as_bytes(), 0o644)?;
    Ok(GitExport {
        commits: reached.commits,
        objects: reached.objects.len() as u64,
        purged: reached.purged,
        refs: named.len() as u64,
        bytes,
        head,
    })
}

fn refuse_place(vault: &Vault, path: &Path, dir: &Dir) -> Result<()> {
    let dot = vault.disk().canonicalize(vault.dot().path())?;
    if vault.disk().canonicalize(path)?.starts_with(dot) {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{} is inside the vault's own folder", path.display()),
            "choose a folder outside of it",
        ));
    }
    if !dir.list()?.is_empty() {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{} is not empty; nothing was written", path.display()),
            "name a folder that does not exist yet",
        ));
    }
    Ok(())
}

/// Returns git's names for branches and tags with their commits, sorted.
fn named_commits(vault: &Vault) -> Vec<(String, CommitId)> {
    let refs = vault.log().refs();
    let heads = refs.branches().map(|(label, id)| (format!("refs/heads/{label}"), id));
    let tags = refs.tags().map(|(label, id)| (format!("refs/tags/{label}"), id));
    let mut named: Vec<(String, CommitId)> = heads.chain(tags).collect();
    named.sort();
    named
}

fn packed_refs(named: &[(String, CommitId)]) -> String {
    let lines: String = named.iter().map(|(name, id)| format!("{id} {name}\n")).collect();
    format!("# pack-refs with: peeled fully-peeled sorted \n{lines}")
}

/// The objects to write: commits, newest found first, then trees, then blobs.
struct Reached {
    commits: u64,
    purged: u64,
    objects: Vec<(ObjectId, Kind)>,
}

impl Reached {
    fn from_refs(vault: &Vault) -> Result<Reached> {
        let store = vault.store();
        let mut seen: HashSet<ObjectId> = HashSet::new();
        let mut objects = Vec::new();
        let mut trees = Vec::new();
        let mut todo: Vec<CommitId> = named_commits(vault).into_iter().map(|(_, id)| id).collect();
        while let Some(id) = todo.pop() {
            if !seen.insert(id.object()) {
                continue;
            }
            let commit = store.find_commit(id)?;
            objects.push((id.object(), Kind::Commit));
            trees.push(commit.tree);
            todo.extend(commit.parents);
        }
        let commits = objects.len() as u64;
        let stones = store.tombstones();
        let (mut blobs, mut purged) = (Vec::new(), 0);
        while let Some(id) = trees.pop() {
            if !seen.insert(id.object()) {
                continue;
            }
            objects.push((id.object(), Kind::Tree));
            for entry in store.find_tree(id)?.entries() {
                if entry.mode.is_tree() {
                    trees.push(TreeId::new(entry.id));
                } else if seen.insert(entry.id) {
                    if stones.contains_key(&entry.id) {
                        purged += 1;
                    } else {
                        blobs.push((entry.id, Kind::Blob));
                    }
                }
            }
        }
        objects.extend(blobs);
        Ok(Reached { commits, purged, objects })
    }
}

/// Writes the pack and its index; returns the pack's length in bytes.
fn write_objects(
    vault: &Vault,
    dir: &Dir,
    objects: &[(ObjectId, Kind)],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64> {
    let total = objects.len() as u64;
    let mut pack = GitPack::create(dir, total)?;
    let mut done = 0;
    for batch in objects.chunks(OBJECTS_AT_ONCE) {
        let packed: Vec<Result<Option<Packed>>> =
            batch.par_iter().map(|(id, kind)| pack_small(vault, *id, *kind)).collect();
        for ((id, kind), packed) in batch.iter().zip(packed) {
            match packed? {
                Some(packed) => pack.add(*id, &packed)?,
                None => {
                    let missing = crate::store::Error::Missing { id: *id };
                    let mut reader = vault.store().try_reader(*id)?.ok_or(missing)?;
                    let size = reader.size();
                    pack.add_blocks(*id, *kind, size, &mut || Ok(reader.next_block()?))?;
                }
            }
        }
        done += batch.len() as u64;
        progress(done, total);
    }
    pack.finish(dir)
}

/// Compresses an object that is one block; `None` for a larger one.
fn pack_small(vault: &Vault, id: ObjectId, kind: Kind) -> Result<Option<Packed>> {
    if id == TreeId::empty().object() {
        // Not every store keeps it: everyone knows its bytes.
        return Ok(Some(compress(Kind::Tree, b"")));
    }
    match vault.store().try_info(id)? {
        Some((_, size)) if size > RECORD_MAX as u64 => Ok(None),
        _ => Ok(Some(compress(kind, &vault.store().find(id, kind)?.data))),
    }
}
