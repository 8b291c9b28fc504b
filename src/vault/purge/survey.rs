//! What a purge would remove: looks through all history and changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Target;
use crate::object::{
    BlobId, CommitId, Kind, ObjectId, PURGES_MAX, Source, TreeId, VaultPath, entry_at, hash_object, list_tree,
};
use crate::store::Store;
use crate::vault::history::Walk;
use crate::vault::{Error, ErrorKind, Result, Vault};

/// One blob that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The blob.
    pub blob: BlobId,
    /// Its length in bytes; `None` if it is not here any more.
    pub bytes: Option<u64>,
    /// The newest commit that holds it, if one does.
    pub newest: Option<CommitId>,
    /// How many commits hold it.
    pub commits: usize,
    /// Where it stands or stood.
    pub paths: BTreeSet<VaultPath>,
}

/// What a purge would remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The blobs, newest first.
    pub versions: Vec<Version>,
    /// What somebody has to type to confirm it.
    pub confirm: String,
    /// The files that go from the present state, sidecars among them.
    pub going: Vec<VaultPath>,
    /// How many versions are left for another purge: one commit names only so many.
    pub left: usize,
}

/// Finds out what a purge of `target` would remove.
pub fn survey(vault: &Vault, target: &Target) -> Result<Survey> {
    let heads: BTreeSet<CommitId> = vault.log.refs().ours().flat_map(|(_, t)| t.commits()).collect();
    let commits = Walk::new(&vault.store, heads)?.collect::<Result<Vec<_>>>()?;
    let (mut wanted, confirm) = match target {
        Target::Path(path) => {
            let mut blobs = BTreeSet::new();
            for (_, commit) in &commits {
                blobs.extend(blob_at(vault, commit.tree, path)?);
            }
            if blobs.is_empty() {
                return Err(no_file(vault, path)?);
            }
            (blobs, path.to_string())
        }
        Target::Version(commit, path) => match blob_at(vault, vault.tree_of(*commit)?, path)? {
            Some(blob) => (BTreeSet::from([blob]), path.to_string()),
            None => return Err(no_file(vault, path)?),
        },
        Target::Blob(id) => (BTreeSet::from([*id]), id.short()),
    };
    wanted.remove(&hash_object(Kind::Blob, b""));
    wanted.retain(|id| !vault.store.is_removed(*id));
    if wanted.is_empty() {
        return Err(Error::refused(
            ErrorKind::Refused,
            "there is nothing to purge: it is empty, or purged already",
            "`mvault log --all` shows what was purged when",
        ));
    }
    let left = wanted.len().saturating_sub(PURGES_MAX);
    let wanted: BTreeSet<ObjectId> = wanted.into_iter().take(PURGES_MAX).collect();
    let mut versions = found_in(vault, &commits, &wanted)?;
    let stamp = |version: &Version| version.newest.and_then(|id| commits.iter().position(|(c, _)| *c == id));
    versions.sort_by_key(|version| (stamp(version).unwrap_or(usize::MAX), version.blob));
    let going = going(vault, &wanted)?.into_iter().collect();
    Ok(Survey { versions, confirm, going, left })
}

fn blob_at(vault: &Vault, tree: TreeId, path: &VaultPath) -> Result<Option<ObjectId>> {
    Ok(entry_at(&vault.store, tree, path)?.filter(|entry| !entry.mode.is_tree()).map(|entry| entry.id))
}

fn no_file(vault: &Vault, path: &VaultPath) -> Result<Error> {
    let now = entry_at(&vault.store, vault.tree_of(vault.head()?)?, path)?;
    Ok(match now {
        Some(_) => Error::refused(
            ErrorKind::Refused,
            format!("{path} is a folder; nothing was purged"),
            "purge its files one by one: what is gone cannot be brought back",
        ),
        None => Error::refused(
            ErrorKind::UnknownRevision,
            format!("no commit here ever had a file {path}"),
            "`mvault log --all -- PATH` shows the commits that changed a path",
        ),
    })
}

/// Says for each blob which commits hold it, and where.
fn found_in(
    vault: &Vault,
    commits: &[(CommitId, std::sync::Arc<crate::object::Commit>)],
    wanted: &BTreeSet<ObjectId>,
) -> Result<Vec<Version>> {
    let mut versions: BTreeMap<ObjectId, Version> = BTreeMap::new();
    for id in wanted {
        let bytes = vault.store.try_info(*id)?.map(|(_, bytes)| bytes);
        let blob = BlobId::new(*id);
        versions.insert(*id, Version { blob, bytes, newest: None, commits: 0, paths: BTreeSet::new() });
    }
    let mut holding = Holding { store: &vault.store, wanted, known: HashMap::new() };
    for (id, commit) in commits {
        for blob in holding.below(commit.tree)?.iter() {
            let version = versions.get_mut(blob).expect("only what is wanted is found");
            version.commits += 1;
            version.newest.get_or_insert(*id);
        }
    }
    let trees = commits.iter().map(|(_, commit)| commit.tree);
    let mut place = |path: &[u8], _, id: ObjectId| {
        if let (Some(version), Ok(path)) = (versions.get_mut(&id), VaultPath::parse(path)) {
            version.paths.insert(path);
        }
    };
    Trees::new(&vault.store).visit_trees(trees, &mut place)?;
    Ok(versions.into_values().collect())
}

/// Which wanted blobs lie below a tree.
struct Holding<'s> {
    store: &'s Store,
    wanted: &'s BTreeSet<ObjectId>,
    known: HashMap<TreeId, std::rc::Rc<BTreeSet<ObjectId>>>,
}

impl Holding<'_> {
    fn below(&mut self, root: TreeId) -> Result<std::rc::Rc<BTreeSet<ObjectId>>> {
        let mut open = vec![root];
        while let Some(id) = open.last().copied() {
            if self.known.contains_key(&id) {
                open.pop();
                continue;
            }
            let tree = self.store.find_tree(id)?;
            let folders = || tree.entries().iter().filter(|e| e.mode.is_tree()).map(|e| TreeId::new(e.id));
            let before = open.len();
            open.extend(folders().filter(|folder| !self.known.contains_key(folder)));
            if open.len() > before {
                continue;
            }
            let mut held: BTreeSet<ObjectId> =
                tree.entries().iter().map(|entry| entry.id).filter(|id| self.wanted.contains(id)).collect();
            held.extend(folders().flat_map(|folder| self.known[&folder].iter().copied()));
            self.known.insert(id, held.into());
            open.pop();
        }
        Ok(self.known[&root].clone())
    }
}

/// Returns the paths that a purge of these blobs takes from the present state, with their sidecars.
pub(super) fn going(vault: &Vault, blobs: &BTreeSet<ObjectId>) -> Result<BTreeSet<VaultPath>> {
    holding_paths(&vault.store, vault.tree_of(vault.head()?)?, &|id| blobs.contains(&id))
}

/// Returns the paths of a tree whose blob is meant, with the sidecars beside them.
pub(super) fn holding_paths(
    store: &Store,
    tree: TreeId,
    is_meant: &dyn Fn(ObjectId) -> bool,
) -> Result<BTreeSet<VaultPath>> {
    let mut found = BTreeSet::new();
    for file in list_tree(store, tree) {
        let (path, entry) = file?;
        if is_meant(entry.id.object()) {
            found.insert(path);
        }
    }
    for path in found.clone() {
        let sidecar = [path.as_bytes(), b".sha256"].concat();
        if let Ok(sidecar) = VaultPath::parse(sidecar)
            && entry_at(store, tree, &sidecar)?.is_some_and(|entry| !entry.mode.is_tree())
        {
            found.insert(sidecar);
        }
    }
    Ok(found)
}

/// A walk over many trees that enters each folder once for each place it stands at.
pub(super) struct Trees<'s> {
    store: &'s Store,
    seen: HashSet<(TreeId, Vec<u8>)>,
}

/// Takes the path, the mode and the blob of a file.
pub(super) type VisitFile<'a> = dyn FnMut(&[u8], crate::object::Mode, ObjectId) + 'a;

impl<'s> Trees<'s> {
    pub fn new(store: &'s Store) -> Trees<'s> {
        Trees { store, seen: HashSet::new() }
    }

    /// Visits all files of all commits that the given ones lead to.
    pub fn visit_all(
        &mut self,
        heads: impl IntoIterator<Item = CommitId>,
        visit: &mut VisitFile<'_>,
    ) -> Result<()> {
        for step in Walk::new(self.store, heads)? {
            let (_, commit) = step?;
            self.visit_trees([commit.tree], visit)?;
        }
        Ok(())
    }

    /// Visits all files of some trees.
    pub fn visit_trees(
        &mut self,
        trees: impl IntoIterator<Item = TreeId>,
        visit: &mut VisitFile<'_>,
    ) -> Result<()> {
        let mut open: Vec<(TreeId, Vec<u8>)> = trees.into_iter().map(|tree| (tree, Vec::new())).collect();
        while let Some((id, folder)) = open.pop() {
            if !self.seen.insert((id, folder.clone())) {
                continue;
            }
            for entry in self.store.find_tree(id)?.entries() {
                let mut path = folder.clone();
                path.extend_from_slice(&entry.name);
                if entry.mode.is_tree() {
                    path.push(b'/');
                    open.push((TreeId::new(entry.id), path));
                } else {
                    visit(&path, entry.mode, entry.id);
                }
            }
        }
        Ok(())
    }
}
