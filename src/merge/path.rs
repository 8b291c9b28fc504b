//! Entries of whole trees by path: looking one up, putting one in, taking one out.
//!
//! Paths are raw bytes here, because gix makes some of them; they become a
//! [`VaultPath`](crate::object::VaultPath) where they are told to somebody.

use std::collections::{BTreeMap, BTreeSet};

use gix::bstr::ByteSlice;

use super::Result;
use crate::object::{Entry, Mode, Overlay, Source, Tree, TreeEntry, TreeId};

/// A path as bytes.
pub(super) type RawPath = Vec<u8>;

/// Looks up entries in any trees.
pub(super) type Lookup<'s> = crate::object::Lookup<'s, dyn Source + 's>;

/// What shall stand at paths: an entry, or nothing. Of a path and one below it only the former is heard.
pub(super) type Edits = BTreeMap<RawPath, Option<Entry>>;

type Edit<'p> = (&'p [u8], Option<Entry>);

/// Returns the tree with `edits` made. A file that stands where a folder must be is replaced by it; a
/// folder that becomes empty goes.
pub(super) fn with_edits<S: Source>(objects: &Overlay<S>, root: TreeId, edits: &Edits) -> Result<TreeId> {
    let edits: Vec<Edit<'_>> = edits.iter().map(|(path, e)| (path.as_slice(), *e)).collect();
    if edits.is_empty() {
        return Ok(root);
    }
    Ok(edit(objects, Some(root), &edits)?.unwrap_or_else(TreeId::empty))
}

/// Returns the tree with `entry` at `path`, or with nothing there.
pub(super) fn with_entry<S: Source>(
    objects: &Overlay<S>,
    root: TreeId,
    path: &[u8],
    entry: Option<Entry>,
) -> Result<TreeId> {
    with_edits(objects, root, &Edits::from([(path.to_vec(), entry)]))
}

fn edit<S: Source>(objects: &Overlay<S>, tree: Option<TreeId>, edits: &[Edit<'_>]) -> Result<Option<TreeId>> {
    let old = tree.map(|id| objects.find_tree(id)).transpose()?.unwrap_or_default();
    let mut here: BTreeMap<&[u8], Option<Entry>> = BTreeMap::new();
    let mut below: BTreeMap<&[u8], Vec<Edit<'_>>> = BTreeMap::new();
    for (path, entry) in edits {
        match path.find_byte(b'/') {
            None => {
                here.insert(path, *entry);
            }
            Some(at) => below.entry(&path[..at]).or_default().push((&path[at + 1..], *entry)),
        }
    }
    for (name, edits) in below {
        if here.contains_key(name) {
            continue;
        }
        let folder = old.find(name).filter(|e| e.mode.is_tree()).map(|e| TreeId::new(e.id));
        if folder.is_none() && edits.iter().all(|(_, entry)| entry.is_none()) {
            continue;
        }
        let new = edit(objects, folder, &edits)?;
        here.insert(name, new.map(|id| Entry { mode: Mode::Tree, id: id.object() }));
    }
    let now = |name: &[u8]| old.find(name).map(|e| Entry { mode: e.mode, id: e.id });
    here.retain(|name, entry| now(name) != *entry);
    if here.is_empty() {
        return Ok(tree);
    }
    let kept = old.entries().iter().filter(|e| !here.contains_key(e.name.as_slice())).cloned();
    let new = here.iter().filter_map(|(name, entry)| {
        entry.map(|Entry { mode, id }| TreeEntry { mode, name: name.to_vec(), id })
    });
    let entries: Vec<TreeEntry> = kept.chain(new).collect();
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
