//! The bridge to git: writes a vault's history as a bare SHA-256 git repository.
//!
//! - Everything that a ref leads to goes into one git pack, byte for byte: the ids are the vault's. Heads of other
//!   devices become `refs/remotes/DEVICE/…`, saved states `refs/mvault/saved/N`.
//! - Git does not work on a history that lacks a blob, so one with purged blobs is rewritten: see `rewrite`. Whoever
//!   wants the vault's ids all the same gets them, with the blobs marked as promised by another repository.
//! - `HEAD` is written last: a folder that a cut export left is no repository to git.
//!
//! Limits: objects are written whole, not as deltas; `git gc` in the new repository makes it small.

mod pack;
mod rewrite;

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;

use self::pack::{GitPack, Packed, compress};
use self::rewrite::Rewrite;
use super::{Error, ErrorKind, Result, Vault};
use crate::fs::{Dir, replace_file};
use crate::object::{CommitId, Kind, ObjectId, Source, TreeId};
use crate::store::RECORD_MAX;

/// So many objects are compressed side by side before they are written in order.
const OBJECTS_AT_ONCE: usize = 64;

const CONFIG: &str = "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n\
                      [extensions]\n\tobjectformat = sha256\n";
/// Lets git accept that blobs are missing (git's "partial clone").
const CONFIG_PROMISED: &str =
    "\tpartialclone = purged\n[remote \"purged\"]\n\turl = /nonexistent\n\tpromisor = true\n";

/// What becomes of blobs that were purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purged {
    /// A placeholder, and new ids for the commits that had them and all later ones.
    #[default]
    Replaced,
    /// Nothing: all ids stay, and git cannot copy such a repository.
    Missing,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GitExport {
    /// Number of commits.
    pub commits: u64,
    /// Number of objects of all kinds.
    pub objects: u64,
    /// Number of purged blobs: left out, or replaced by placeholders.
    pub purged: u64,
    /// Number of commits that have a new id because of them.
    pub rewritten: u64,
    /// Number of operations in the log, which git has no place for.
    pub operations: u64,
    /// Number of refused files in quarantine, which no commit has.
    pub quarantined: u64,
    /// Number of branches and tags.
    pub refs: u64,
    /// Length of the pack in bytes.
    pub bytes: u64,
    /// The head of the present branch.
    pub head: CommitId,
}

/// Writes a bare SHA-256 git repository of everything that refs lead to to `path`, which must be empty or not
/// exist yet. Calls `progress` with the number of objects written and of all.
pub fn export_git(
    vault: &Vault,
    path: &Path,
    purged: Purged,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<GitExport> {
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
    let rewrite = match purged {
        Purged::Replaced => Rewrite::plan(vault, &reached.commits, &reached.purged)?,
        Purged::Missing => Rewrite::default(),
    };
    let written = reached.written(&rewrite);
    let packs = objects.open_dir("pack")?;
    let promises = purged == Purged::Missing && !reached.purged.is_empty();
    let bytes = write_objects(vault, &packs, &written, &rewrite, promises, progress)?;
    let mut named = named_commits(vault);
    named.iter_mut().for_each(|(_, id)| *id = rewrite.new_id(*id));
    replace_file(&dir, "packed-refs", packed_refs(&named).as_bytes(), 0o644)?;
    let config = if promises { format!("{CONFIG}{CONFIG_PROMISED}") } else { CONFIG.to_owned() };
    replace_file(&dir, "config", config.as_bytes(), 0o644)?;
    replace_file(&dir, "HEAD", format!("ref: refs/heads/{}\n", vault.branch()).as_bytes(), 0o644)?;
    Ok(GitExport {
        commits: reached.commits.len() as u64,
        objects: written.len() as u64,
        purged: reached.purged.len() as u64,
        rewritten: rewrite.changed_commits(),
        operations: vault.log().last().seq,
        quarantined: vault.quarantined()?.len() as u64,
        refs: named.len() as u64,
        bytes,
        head: rewrite.new_id(head),
    })
}

fn refuse_place(vault: &Vault, path: &Path, dir: &Dir) -> Result<()> {
    let dot = vault.disk().canonicalize(vault.dot().path())?;
    if vault.disk().canonicalize(path)?.starts_with(dot) {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{} is inside the vault's own folder", crate::fs::shown(path)),
            "choose a folder outside of it",
        ));
    }
    if !dir.list()?.is_empty() {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{} is not empty; nothing was written", crate::fs::shown(path)),
            "name a folder that does not exist yet",
        ));
    }
    Ok(())
}

/// Returns git's names for all refs with their commits, sorted. A device that offers several heads has them numbered.
fn named_commits(vault: &Vault) -> Vec<(String, CommitId)> {
    let refs = vault.log().refs();
    let heads = refs.branches().map(|(label, id)| (format!("refs/heads/{label}"), id));
    let tags = refs.tags().map(|(label, id)| (format!("refs/tags/{label}"), id));
    let saved = refs.saved().map(|(number, id)| (format!("refs/mvault/saved/{number}"), id));
    let remotes = refs.remotes().flat_map(|(device, label, ids)| {
        let name = format!("refs/remotes/{device}/{label}");
        let is_one = ids.len() == 1;
        ids.iter()
            .zip(1..)
            .map(move |(id, n)| (if is_one { name.clone() } else { format!("{name}/{n}") }, *id))
    });
    let mut named: Vec<(String, CommitId)> = heads.chain(tags).chain(saved).chain(remotes).collect();
    named.sort();
    named
}

fn packed_refs(named: &[(String, CommitId)]) -> String {
    let lines: String = named.iter().map(|(name, id)| format!("{id} {name}\n")).collect();
    format!("# pack-refs with: peeled fully-peeled sorted \n{lines}")
}

/// What refs lead to.
struct Reached {
    /// Ancestors first.
    commits: Vec<CommitId>,
    trees: Vec<TreeId>,
    blobs: Vec<ObjectId>,
    /// Blobs that were purged.
    purged: Vec<ObjectId>,
}

impl Reached {
    fn from_refs(vault: &Vault) -> Result<Reached> {
        let store = vault.store();
        let mut seen: HashSet<ObjectId> = HashSet::new();
        let (mut commits, mut open) = (Vec::new(), Vec::new());
        let mut todo: Vec<CommitId> = named_commits(vault).into_iter().map(|(_, id)| id).collect();
        while let Some(id) = todo.pop() {
            if !seen.insert(id.object()) {
                continue;
            }
            let commit = store.find_commit(id)?;
            commits.push((commit.lamport, id));
            open.push(commit.tree);
            todo.extend(commit.parents);
        }
        // A commit's stamp is greater than those of its ancestors.
        commits.sort();
        let commits = commits.into_iter().map(|(_, id)| id).collect();
        let stones = store.tombstones();
        let (mut trees, mut blobs, mut purged) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(id) = open.pop() {
            if !seen.insert(id.object()) {
                continue;
            }
            trees.push(id);
            for entry in store.find_tree(id)?.entries() {
                if entry.mode.is_tree() {
                    open.push(TreeId::new(entry.id));
                } else if seen.insert(entry.id) {
                    let place = if stones.contains_key(&entry.id) { &mut purged } else { &mut blobs };
                    place.push(entry.id);
                }
            }
        }
        Ok(Reached { commits, trees, blobs, purged })
    }

    /// Returns the objects to write, newest commits first: each once, also where two become one.
    fn written(&self, rewrite: &Rewrite) -> Vec<(ObjectId, Kind)> {
        let commits = self.commits.iter().rev().map(|id| (id.object(), Kind::Commit));
        let trees = self.trees.iter().map(|id| (id.object(), Kind::Tree));
        let replaced = self.purged.iter().filter(|id| rewrite.blobs.contains_key(id));
        let blobs = self.blobs.iter().chain(replaced).map(|id| (*id, Kind::Blob));
        let mut new = HashSet::new();
        commits
            .chain(trees)
            .chain(blobs)
            .filter(|(id, kind)| new.insert(rewrite.new_object_id(*id, *kind)))
            .collect()
    }
}

/// Writes the pack and its index; returns the pack's length in bytes. One that `promises` says that what it lacks is
/// to be had elsewhere.
fn write_objects(
    vault: &Vault,
    dir: &Dir,
    objects: &[(ObjectId, Kind)],
    rewrite: &Rewrite,
    promises: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64> {
    let total = objects.len() as u64;
    let mut pack = GitPack::create(dir, total)?;
    let mut done = 0;
    for batch in objects.chunks(OBJECTS_AT_ONCE) {
        let packed: Vec<Result<Option<Packed>>> =
            batch.par_iter().map(|(id, kind)| pack_small(vault, rewrite, *id, *kind)).collect();
        for ((id, kind), packed) in batch.iter().zip(packed) {
            match packed? {
                Some(packed) => pack.add(rewrite.new_object_id(*id, *kind), &packed)?,
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
    pack.finish(dir, promises)
}

/// Compresses an object that is one block; `None` for a larger one.
fn pack_small(vault: &Vault, rewrite: &Rewrite, id: ObjectId, kind: Kind) -> Result<Option<Packed>> {
    if let Some(bytes) = rewrite.changed_bytes(vault, id, kind)? {
        return Ok(Some(compress(kind, &bytes)));
    }
    if id == TreeId::empty().object() {
        // Not every store keeps it: everyone knows its bytes.
        return Ok(Some(compress(Kind::Tree, b"")));
    }
    match vault.store().try_info(id)? {
        Some((_, size)) if size > RECORD_MAX as u64 => Ok(None),
        _ => Ok(Some(compress(kind, &vault.store().find(id, kind)?.data))),
    }
}
