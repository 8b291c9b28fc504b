//! Names that some file systems take for one another: those of new files, against what stands beside them.

use std::collections::BTreeMap;

use super::Result;
use super::admission::Admission;
use crate::gateway::name::FoldedNames;
use crate::object::{Source, TreeId, VaultPath, entry_at};
use crate::worktree::{Look, OnDisk, RealLook};

/// The names of the folders that get new files, to find those that collide.
pub(super) struct Folders<'a, 'b> {
    admission: &'a Admission<'b>,
    names: BTreeMap<Vec<u8>, FoldedNames>,
}

impl<'a, 'b> Folders<'a, 'b> {
    pub fn new(admission: &'a Admission<'b>) -> Folders<'a, 'b> {
        Folders { admission, names: BTreeMap::new() }
    }

    /// Returns the part of a new path that collides with another name, if one does.
    pub fn collision(&mut self, path: &VaultPath) -> Result<Option<String>> {
        let bytes = path.as_bytes();
        let mut start = 0;
        while start < bytes.len() {
            let end = bytes[start..].iter().position(|b| *b == b'/').map_or(bytes.len(), |at| start + at);
            let (folder, name) = (&bytes[..start], &bytes[start..end]);
            if let Some(other) = self.folder(folder)?.add(name) {
                let other = VaultPath::parse([folder, &other].concat());
                if let Ok(other) = other
                    && self.is_on_disk(&other)?
                {
                    return Ok(Some(format!("{other} differs from it only in form")));
                }
                // The other one was renamed to this.
                self.folder(folder)?.replace(name);
            }
            start = end + 1;
        }
        Ok(None)
    }

    fn is_on_disk(&self, path: &VaultPath) -> Result<bool> {
        let vault = self.admission.vault;
        Ok(RealLook::new(&vault.root, &vault.root).kind(path)? != OnDisk::Nothing)
    }

    fn folder(&mut self, folder: &[u8]) -> Result<&mut FoldedNames> {
        if !self.names.contains_key(folder) {
            let mut names = FoldedNames::default();
            for entry in self.entries(folder)? {
                names.add(&entry);
            }
            self.names.insert(folder.to_vec(), names);
        }
        Ok(self.names.get_mut(folder).expect("it was just put in"))
    }

    fn entries(&self, folder: &[u8]) -> Result<Vec<Vec<u8>>> {
        let store = &self.admission.vault.store;
        let tree = match folder.strip_suffix(b"/") {
            None => Some(self.admission.base),
            Some(folder) => {
                let Ok(folder) = VaultPath::parse(folder) else { return Ok(Vec::new()) };
                let entry = entry_at(store, self.admission.base, &folder)?;
                entry.filter(|entry| entry.mode.is_tree()).map(|entry| TreeId::new(entry.id))
            }
        };
        let Some(tree) = tree else { return Ok(Vec::new()) };
        Ok(store.find_tree(tree)?.entries().iter().map(|entry| entry.name.clone()).collect())
    }
}
