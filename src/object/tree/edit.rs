//! Editing whole trees by path, writing only the folders on the way.

use std::collections::BTreeMap;

use super::super::{Source, SourceError, TreeId, VaultPath};
use super::{FileEntry, Mode, Tree, TreeEntry};

/// What a path of a tree is to hold: a file or link, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeChange {
    /// Where.
    pub path: VaultPath,
    /// What.
    pub entry: Option<FileEntry>,
}

/// Takes a new tree's bytes, and the id of the tree that stood in its place; keeps them and returns the id.
pub type PutTree<'a, E> = dyn FnMut(&[u8], Option<TreeId>) -> Result<TreeId, E> + 'a;

/// What is to change in one folder.
#[derive(Default)]
struct FolderEdit {
    files: BTreeMap<Vec<u8>, Option<FileEntry>>,
    /// Folders in it that were edited, and what became of them.
    folders: BTreeMap<Vec<u8>, Option<TreeId>>,
    base: Option<TreeId>,
    old: Tree,
}

/// Splits a folder's path, which ends in a slash, into the folder it is in and its name.
fn split(folder: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = folder.strip_suffix(b"/")?;
    let at = inner.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    Some((&folder[..at], &inner[at..]))
}

/// Edits the tree `base` by `changes`, handing every new folder's bytes to `put`; folders that become
/// empty go. Of two changes of one path the last counts; a file wins over what is to lie below it, and
/// taking a file away where a folder stands takes nothing.
pub fn write_tree<E: From<SourceError>>(
    source: &dyn Source,
    base: TreeId,
    changes: impl IntoIterator<Item = TreeChange>,
    put: &mut PutTree<'_, E>,
) -> Result<TreeId, E> {
    let mut edits: BTreeMap<Vec<u8>, FolderEdit> = BTreeMap::from([(Vec::new(), FolderEdit::default())]);
    for change in changes {
        let (bytes, name) = (change.path.as_bytes(), change.path.name());
        let mut folder = &bytes[..bytes.len() - name.len()];
        if let Some(edit) = edits.get_mut(folder) {
            edit.files.insert(name.to_vec(), change.entry);
            continue;
        }
        edits.entry(folder.to_vec()).or_default().files.insert(name.to_vec(), change.entry);
        while let Some((above, _)) = split(folder)
            && !edits.contains_key(above)
        {
            edits.insert(above.to_vec(), FolderEdit::default());
            folder = above;
        }
    }
    // A folder sorts before what is in it: bases are found going forwards, results going backwards.
    let folders: Vec<Vec<u8>> = edits.keys().cloned().collect();
    for folder in &folders {
        let base = match split(folder) {
            None => Some(base),
            Some((above, name)) => edits.get(above).and_then(|e| {
                e.old.find(name).filter(|entry| entry.mode.is_tree()).map(|entry| TreeId::new(entry.id))
            }),
        };
        if let (Some(id), Some(edit)) = (base, edits.get_mut(folder)) {
            (edit.base, edit.old) = (base, source.find_tree(id)?);
        }
    }
    for folder in folders.iter().rev() {
        let edit = edits.remove(folder).unwrap_or_default();
        let made = edit_folder(edit, put)?;
        match split(folder) {
            Some((above, name)) => {
                if let Some(edit) = edits.get_mut(above) {
                    edit.folders.insert(name.to_vec(), made);
                }
            }
            None => {
                return match made {
                    Some(id) => Ok(id),
                    None if base == TreeId::empty() => Ok(base),
                    None => put(b"", Some(base)),
                };
            }
        }
    }
    Ok(base)
}

/// Returns the edited folder, `None` if nothing is left in it.
fn edit_folder<E>(edit: FolderEdit, put: &mut PutTree<'_, E>) -> Result<Option<TreeId>, E> {
    let mut entries: BTreeMap<&[u8], TreeEntry> =
        edit.old.entries().iter().map(|entry| (entry.name.as_slice(), entry.clone())).collect();
    for (name, made) in &edit.folders {
        let was_folder = entries.get(name.as_slice()).is_none_or(|entry| entry.mode.is_tree());
        match made {
            Some(id) => {
                let entry = TreeEntry { mode: Mode::Tree, name: name.clone(), id: id.object() };
                entries.insert(name, entry);
            }
            None if was_folder => drop(entries.remove(name.as_slice())),
            None => {}
        }
    }
    for (name, file) in &edit.files {
        let is_folder = entries.get(name.as_slice()).is_some_and(|entry| entry.mode.is_tree());
        match file {
            Some(FileEntry { mode, id }) => {
                drop(entries.insert(name, TreeEntry { mode: *mode, name: name.clone(), id: id.object() }));
            }
            None if !is_folder => drop(entries.remove(name.as_slice())),
            None => {}
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let tree = Tree::from_entries(entries.into_values());
    if edit.base.is_some() && tree == edit.old {
        return Ok(edit.base);
    }
    put(&tree.encode(), edit.base).map(Some)
}
