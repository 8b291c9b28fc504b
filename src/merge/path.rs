//! Entries of whole trees by path: looking one up, putting one in, taking one out.
//!
//! Paths are raw bytes here, because gix makes some of them; they become a
//! [`VaultPath`](crate::object::VaultPath) where they are told to somebody.

use std::collections::{BTreeMap, BTreeSet};

use super::Result;
use super::conflict::Entry;
use crate::object::{Mode, Overlay, Source, Tree, TreeEntry, TreeId};

/// A path as bytes.
pub(super) type RawPath = Vec<u8>;

/// Returns the entry at `path`, a file or a folder; `None` if there is none or a part of the way is a
/// file.
pub(super) fn entry_at(source: &dyn Source, root: TreeId, path: &[u8]) -> Result<Option<Entry>> {
    let mut tree = source.find_tree(root)?;
    let mut parts = path.split(|b| *b == b'/').peekable();
    while let Some(name) = parts.next() {
        let Some(found) = tree.find(name) else { return Ok(None) };
        let entry = Entry { mode: found.mode, id: found.id };
        if parts.peek().is_none() {
            return Ok(Some(entry));
        }
        if !entry.mode.is_tree() {
            return Ok(None);
        }
        tree = source.find_tree(TreeId::new(entry.id))?;
    }
    Ok(None)
}

/// Returns the tree with `entry` at `path`, or with nothing there. A file that stands where a folder must
/// be is replaced by it; a folder that becomes empty goes.
pub(super) fn with_entry<S: Source>(
    objects: &Overlay<S>,
    root: TreeId,
    path: &[u8],
    entry: Option<Entry>,
) -> Result<TreeId> {
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    Ok(edit(objects, Some(root), &parts, entry)?.unwrap_or_else(TreeId::empty))
}

fn edit<S: Source>(
    objects: &Overlay<S>,
    tree: Option<TreeId>,
    parts: &[&[u8]],
    entry: Option<Entry>,
) -> Result<Option<TreeId>> {
    let Some((name, below)) = parts.split_first() else { return Ok(tree) };
    let old = tree.map(|id| objects.find_tree(id)).transpose()?.unwrap_or_default();
    let found = old.find(name).cloned();
    let new = if below.is_empty() {
        entry
    } else {
        let folder = found.as_ref().filter(|e| e.mode.is_tree()).map(|e| TreeId::new(e.id));
        if entry.is_none() && folder.is_none() {
            return Ok(tree);
        }
        edit(objects, folder, below, entry)?.map(|id| Entry { mode: Mode::Tree, id: id.object() })
    };
    if found.as_ref().map(|e| Entry { mode: e.mode, id: e.id }) == new {
        return Ok(tree);
    }
    let mut entries: Vec<TreeEntry> = old.into_entries();
    entries.retain(|e| e.name != *name);
    entries.extend(new.map(|Entry { mode, id }| TreeEntry { mode, name: name.to_vec(), id }));
    if entries.is_empty() {
        return Ok(None);
    }
    Ok(Some(objects.put_tree(&Tree::from_entries(entries))))
}

/// Tells whether `path` is one of `set` or lies below one.
pub(super) fn is_covered(set: &BTreeSet<RawPath>, path: &[u8]) -> bool {
    set.contains(path) || path.iter().enumerate().any(|(at, byte)| *byte == b'/' && set.contains(&path[..at]))
}

/// Tells whether one of `set` lies below `path`.
pub(super) fn covers_some(set: &BTreeSet<RawPath>, path: &[u8]) -> bool {
    let mut folder = path.to_vec();
    folder.push(b'/');
    set.range(folder.clone()..).next().is_some_and(|next| next.starts_with(&folder))
}

/// Adds `path` unless it is covered, and drops what it covers.
pub(super) fn add_covering(set: &mut BTreeSet<RawPath>, path: &[u8]) {
    if is_covered(set, path) {
        return;
    }
    let mut folder = path.to_vec();
    folder.push(b'/');
    set.retain(|other| !other.starts_with(&folder));
    set.insert(path.to_vec());
}

/// Files that differ between two trees: what the first and what the second has, by path.
pub(super) type Changes = BTreeMap<RawPath, (Option<Entry>, Option<Entry>)>;

/// Returns the files that differ between two trees. Folders that are equal are not entered; a folder
/// counts as no file.
pub(super) fn changed_files(source: &dyn Source, a: TreeId, b: TreeId) -> Result<Changes> {
    let mut changed = Changes::new();
    let mut todo = vec![(Vec::new(), Some(a), Some(b))];
    while let Some((folder, a, b)) = todo.pop() {
        if a == b {
            continue;
        }
        let read = |id: Option<TreeId>| id.map(|id| source.find_tree(id)).transpose();
        let (a, b) = (read(a)?.unwrap_or_default(), read(b)?.unwrap_or_default());
        let names: BTreeSet<&[u8]> =
            a.entries().iter().chain(b.entries()).map(|e| e.name.as_slice()).collect();
        for name in names {
            let (a, b) = (a.find(name), b.find(name));
            if a == b {
                continue;
            }
            let mut path: RawPath = folder.clone();
            path.extend_from_slice(name);
            let file = |e: Option<&TreeEntry>| {
                e.filter(|e| !e.mode.is_tree()).map(|e| Entry { mode: e.mode, id: e.id })
            };
            if file(a) != file(b) {
                changed.insert(path.clone(), (file(a), file(b)));
            }
            let tree = |e: Option<&TreeEntry>| e.filter(|e| e.mode.is_tree()).map(|e| TreeId::new(e.id));
            path.push(b'/');
            todo.push((path, tree(a), tree(b)));
        }
    }
    Ok(changed)
}
