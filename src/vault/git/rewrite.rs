//! A history for git without its purged blobs: git works on a repository only if nothing in it is missing.
//!
//! - Where a purged blob was, the new tree has a placeholder that names it: the bytes that stand for it in a merge.
//! - A commit changes if its tree or an ancestor did. Its message ends with a trailer that names the commit it was.
//! - What has no purged blob in it or before it keeps its id.
//!
//! Ids are worked out first and bytes are made again when they are written, so memory grows with the number of
//! objects that change and not with their size.

use std::collections::HashMap;

use super::super::{Result, Vault};
use crate::merge::stand_in;
use crate::object::{
    BlobId, Commit, CommitId, Kind, Mode, ObjectId, Source, Tree, TreeEntry, TreeId, hash_object,
};

/// The trailer that names the commit before it was rewritten.
const TRAILER: &str = "Original-commit";

/// What changes, by the ids in the vault.
#[derive(Default)]
pub(super) struct Rewrite {
    /// The placeholders of purged blobs.
    pub blobs: HashMap<ObjectId, BlobId>,
    /// Trees, changed or not.
    trees: HashMap<TreeId, TreeId>,
    /// Commits, changed or not.
    commits: HashMap<CommitId, CommitId>,
}

impl Rewrite {
    /// Works out which of `commits`, ancestors first, change when `purged` blobs are replaced.
    pub fn plan(vault: &Vault, commits: &[CommitId], purged: &[ObjectId]) -> Result<Rewrite> {
        let mut rewrite = Rewrite::default();
        for blob in purged {
            rewrite.blobs.insert(*blob, BlobId::new(hash_object(Kind::Blob, &stand_in(*blob).data)));
        }
        if purged.is_empty() {
            return Ok(rewrite);
        }
        for id in commits {
            let commit = vault.store().find_commit(*id)?;
            rewrite.plan_tree(vault, commit.tree)?;
            let new = rewrite.commit(*id, &commit).map_or(*id, |changed| changed.id());
            rewrite.commits.insert(*id, new);
        }
        Ok(rewrite)
    }

    /// Works out the new id of a tree and of all below it, deepest first.
    fn plan_tree(&mut self, vault: &Vault, root: TreeId) -> Result<()> {
        let mut todo = vec![root];
        while let Some(id) = todo.last().copied() {
            if self.trees.contains_key(&id) {
                todo.pop();
                continue;
            }
            let tree = vault.store().find_tree(id)?;
            let folders = tree.entries().iter().filter(|entry| entry.mode.is_tree());
            let before = todo.len();
            todo.extend(folders.map(|entry| TreeId::new(entry.id)).filter(|id| !self.trees.contains_key(id)));
            if todo.len() == before {
                let new = self.tree(&tree).map_or(id, |changed| changed.id());
                self.trees.insert(id, new);
                todo.pop();
            }
        }
        Ok(())
    }

    /// Returns the tree as it is written, or `None` if it stays as it is.
    pub fn tree(&self, tree: &Tree) -> Option<Tree> {
        let entries = tree.entries().iter().map(|entry| {
            if entry.mode.is_tree() {
                let new = self.trees.get(&TreeId::new(entry.id)).map(|new| new.object());
                return TreeEntry { id: new.unwrap_or(entry.id), ..entry.clone() };
            }
            match self.blobs.get(&entry.id) {
                // A placeholder is no target of a link.
                Some(new) if entry.mode == Mode::Symlink => {
                    TreeEntry { id: new.object(), mode: Mode::File, ..entry.clone() }
                }
                Some(new) => TreeEntry { id: new.object(), ..entry.clone() },
                None => entry.clone(),
            }
        });
        let new = Tree::from_entries(entries);
        (new.entries() != tree.entries()).then_some(new)
    }

    /// Returns the commit as it is written, or `None` if it stays as it is.
    pub fn commit(&self, id: CommitId, commit: &Commit) -> Option<Commit> {
        let tree = self.trees.get(&commit.tree).copied().unwrap_or(commit.tree);
        let parents: Vec<CommitId> = commit.parents.iter().map(|parent| self.new_id(*parent)).collect();
        if tree == commit.tree && parents == commit.parents {
            return None;
        }
        let mut message = commit.message.to_vec();
        while message.ends_with(b"\n") {
            message.pop();
        }
        let gap = if message.is_empty() { "" } else { "\n\n" };
        message.extend_from_slice(format!("{gap}{TRAILER}: {id}\n").as_bytes());
        let restores = commit.restores.map(|restored| self.new_id(restored));
        Some(Commit { tree, parents, restores, message: message.into(), ..commit.clone() })
    }

    /// Returns a commit's id in the export.
    pub fn new_id(&self, id: CommitId) -> CommitId {
        self.commits.get(&id).copied().unwrap_or(id)
    }

    /// Returns the id under which an object of the vault is written.
    pub fn new_object_id(&self, id: ObjectId, kind: Kind) -> ObjectId {
        match kind {
            Kind::Commit => self.new_id(CommitId::new(id)).object(),
            Kind::Tree => self.trees.get(&TreeId::new(id)).map_or(id, |new| new.object()),
            Kind::Blob => self.blobs.get(&id).map_or(id, |new| new.object()),
        }
    }

    /// Returns how many commits get a new id.
    pub fn changed_commits(&self) -> u64 {
        self.commits.iter().filter(|(old, new)| old != new).count() as u64
    }

    /// Returns the bytes with which an object of the vault is written, where they change.
    pub fn changed_bytes(&self, vault: &Vault, id: ObjectId, kind: Kind) -> Result<Option<Vec<u8>>> {
        if self.new_object_id(id, kind) == id {
            return Ok(None);
        }
        Ok(match kind {
            Kind::Commit => {
                let old = CommitId::new(id);
                self.commit(old, &vault.store().find_commit(old)?).map(|commit| commit.encode())
            }
            Kind::Tree => self.tree(&vault.store().find_tree(TreeId::new(id))?).map(|tree| tree.encode()),
            Kind::Blob => Some(stand_in(id).data.to_vec()),
        })
    }
}
