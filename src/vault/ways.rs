//! What links are on the way of a link: those of a tree, and those that lie in the folder and in no tree.

use std::sync::Arc;

use super::refusal::os;
use super::{Result, Vault};
use crate::fs::Dir;
use crate::gateway::link::leads_outside;
use crate::object::{BlobId, LINK_BYTES_MAX, Mode, Source, Tree, TreeEntry, TreeId, VaultPath, fold_name};

/// The ways that a link can take.
pub(super) struct Ways<'a> {
    root: &'a Dir,
    /// The tree that the folder is to hold, and the one that it holds now; none if it holds what it is to hold.
    trees: Option<(&'a dyn Source, TreeId, TreeId)>,
}

impl<'a> Ways<'a> {
    /// The ways in the folder as it is now.
    pub fn on_disk(vault: &'a Vault) -> Ways<'a> {
        Ways { root: &vault.root, trees: None }
    }

    /// The ways in the folder when it has come from the tree `from` to the tree `to`.
    pub fn after_move(vault: &'a Vault, source: &'a dyn Source, from: TreeId, to: TreeId) -> Ways<'a> {
        Ways { root: &vault.root, trees: Some((source, from, to)) }
    }

    /// Returns `true` if a link there leads out of the vault.
    pub fn lead_outside(&self, link: &VaultPath, target: &[u8]) -> Result<bool> {
        leads_outside(link, target, &mut |path| self.link_at(path))
    }

    fn link_at(&self, path: &VaultPath) -> Result<Option<Arc<[u8]>>> {
        let Some((source, from, to)) = self.trees else { return Ok(self.link_on_disk(path)) };
        if let Some(entry) = find(source, to, path)? {
            return target_of(source, &entry);
        }
        if find(source, from, path)?.is_some() {
            return Ok(None);
        }
        Ok(self.link_on_disk(path))
    }

    /// What cannot be read is no way for others either.
    fn link_on_disk(&self, path: &VaultPath) -> Option<Arc<[u8]>> {
        let mut dir = self.root.clone();
        for part in path.parent().iter().flat_map(VaultPath::parts) {
            dir = dir.open_dir(os(part)).ok()?;
        }
        dir.read_link(os(path.name())).ok().map(Arc::from)
    }
}

fn target_of(source: &dyn Source, entry: &TreeEntry) -> Result<Option<Arc<[u8]>>> {
    if entry.mode != Mode::Symlink {
        return Ok(None);
    }
    Ok(match source.try_info(entry.id)? {
        Some((_, size)) if size <= LINK_BYTES_MAX as u64 => Some(source.find_blob(BlobId::new(entry.id))?),
        // Such a link is made nowhere.
        _ => None,
    })
}

/// Returns what a tree has at a path. Where a folder does not have the very name, the one that a file system could
/// take for it counts.
fn find(source: &dyn Source, tree: TreeId, path: &VaultPath) -> Result<Option<TreeEntry>> {
    let mut id = tree;
    let mut parts = path.parts().peekable();
    while let Some(part) = parts.next() {
        let tree = source.find_tree(id)?;
        let Some(entry) = tree.find(part).or_else(|| find_folded(&tree, part)) else { return Ok(None) };
        if parts.peek().is_none() {
            return Ok(Some(entry.clone()));
        }
        if !entry.mode.is_tree() {
            return Ok(None);
        }
        id = TreeId::new(entry.id);
    }
    Ok(None)
}

fn find_folded<'t>(tree: &'t Tree, name: &[u8]) -> Option<&'t TreeEntry> {
    let fold = |name: &[u8]| std::str::from_utf8(name).ok().map(fold_name);
    let wanted = fold(name)?;
    let links_first = |entry: &&TreeEntry| entry.mode != Mode::Symlink;
    let same = tree.entries().iter().filter(|entry| fold(&entry.name).as_ref() == Some(&wanted));
    same.min_by_key(links_first)
}
