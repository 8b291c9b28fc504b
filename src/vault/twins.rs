//! Names that some file systems take for one another, where they came together by a merge: no device would have
//! committed both, and each brought one.

use std::collections::HashMap;

use super::{Result, Vault};
use crate::gateway::name::fold;
use crate::object::{Source, TreeId, VaultPath, entry_at};

/// The names of one folder by what they fold to.
type Folded = HashMap<Vec<u8>, Vec<Vec<u8>>>;

/// Finds twins of names in a tree; a folder is read once.
pub(super) struct Twins<'a> {
    source: &'a dyn Source,
    tree: TreeId,
    folders: HashMap<Option<VaultPath>, Folded>,
}

impl<'a> Twins<'a> {
    pub(super) fn of(source: &'a dyn Source, tree: TreeId) -> Twins<'a> {
        Twins { source, tree, folders: HashMap::new() }
    }

    /// Returns the path whose name differs from that of `path`, or of a folder on its way, only in letter case or
    /// Unicode form.
    pub(super) fn find(&mut self, path: &VaultPath) -> Result<Option<VaultPath>> {
        let mut part = Some(path.clone());
        while let Some(here) = part {
            let parent = here.parent();
            let folder = self.folder(parent.clone())?;
            let alike = folder.get(&fold(here.name()));
            if let Some(twin) = alike.and_then(|names| names.iter().find(|name| *name != here.name())) {
                let above = parent.map(|folder| [folder.as_bytes(), b"/"].concat()).unwrap_or_default();
                return Ok(VaultPath::parse([&above[..], twin].concat()).ok());
            }
            part = parent;
        }
        Ok(None)
    }

    fn folder(&mut self, path: Option<VaultPath>) -> Result<&Folded> {
        if !self.folders.contains_key(&path) {
            let tree = match &path {
                None => Some(self.tree),
                Some(folder) => {
                    let entry = entry_at(self.source, self.tree, folder)?;
                    entry.filter(|entry| entry.mode.is_tree()).map(|entry| TreeId::new(entry.id))
                }
            };
            let mut folded = Folded::new();
            if let Some(tree) = tree {
                for entry in self.source.find_tree(tree)?.entries() {
                    folded.entry(fold(&entry.name)).or_default().push(entry.name.clone());
                }
            }
            self.folders.insert(path.clone(), folded);
        }
        Ok(&self.folders[&path])
    }
}

/// Says so, in words that stand after the reason.
pub(super) fn differs_in_form(twin: &VaultPath) -> String {
    format!("{twin} differs from it only in form")
}

/// Returns the files and folders that the commit the tree stands on has under names that fold to one another, in
/// pairs. A vault that has met no other device is not looked through: a commit refuses the second name.
pub fn twins(vault: &Vault) -> Result<Vec<(VaultPath, VaultPath)>> {
    if vault.log.refs().remotes().next().is_none() {
        return Ok(Vec::new());
    }
    let index = vault.index(vault.standing_tree()?)?;
    let mut seen: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let mut twins = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    for (path, _) in index.iter() {
        for end in
            path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).chain([path.len()])
        {
            let part = &path[..end];
            if last.starts_with(part) && last.get(end).is_none_or(|byte| *byte == b'/') {
                continue; // seen with the path before
            }
            let first = seen.entry(fold(part)).or_insert_with(|| part.to_vec());
            // Below two folders that are twins every name is one of two.
            let same_folder = folder_of(first) == folder_of(part);
            if first != part && same_folder {
                let pair = (VaultPath::parse(first.as_slice()), VaultPath::parse(part));
                if let (Ok(first), Ok(second)) = pair {
                    twins.push((first, second));
                }
            }
        }
        last = path.to_vec();
    }
    twins.dedup();
    Ok(twins)
}

fn folder_of(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[], |at| &path[..at])
}
