//! Comparing whole trees, reading only the folders that differ.

use std::cmp::Ordering;

use super::super::{BlobId, Kind, Source, SourceError, TreeId, VaultPath, check_name, compare_paths};
use super::list::{check_depth, unusable};
use super::{Entries, EntryRef, FileEntry};

/// A path at which two trees differ; folders are never named, only what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeDiff {
    /// Where.
    pub path: VaultPath,
    /// What the first tree has.
    pub old: Option<FileEntry>,
    /// What the second tree has.
    pub new: Option<FileEntry>,
}

/// Lists where two trees differ, in the order of a walk, reading only folders that differ.
pub fn diff_trees(source: &dyn Source, old: TreeId, new: TreeId) -> Result<Vec<TreeDiff>, SourceError> {
    let mut found = Vec::new();
    let mut open: Vec<(Vec<u8>, TreeId, TreeId)> = vec![(Vec::new(), old, new)];
    while let Some((base, old, new)) = open.pop() {
        if old == new {
            continue;
        }
        check_depth(new, base.len(), 0)?;
        let id = if new == TreeId::empty() { old } else { new };
        let (old_bytes, new_bytes) = (source.find_tree_bytes(old)?, source.find_tree_bytes(new)?);
        let mut sides = (Folder::new(old, &old_bytes)?, Folder::new(new, &new_bytes)?);
        while let Some((old, new)) = next_pair(&mut sides)? {
            if old == new {
                continue;
            }
            let Some(EntryRef { mode, name, .. }) = old.or(new) else { continue };
            check_name(name).map_err(|error| unusable(id, error))?;
            let path = [&base[..], name].concat();
            if mode.is_tree() {
                let folder = |side: Option<EntryRef<'_>>| {
                    side.map_or_else(TreeId::empty, |entry| TreeId::new(entry.id))
                };
                open.push(([&path[..], b"/"].concat(), folder(old), folder(new)));
            } else {
                let file = |side: Option<EntryRef<'_>>| {
                    side.map(|entry| FileEntry { mode: entry.mode, id: BlobId::new(entry.id) })
                };
                let path = VaultPath::parse(path).map_err(|error| unusable(id, error))?;
                found.push(TreeDiff { path, old: file(old), new: file(new) });
            }
        }
    }
    found.sort_by(|a, b| compare_paths(a.path.as_bytes(), b.path.as_bytes()));
    Ok(found)
}

/// Returns how many files and folders more `new` holds than `old`, reading only folders that differ.
pub fn growth(source: &dyn Source, old: TreeId, new: TreeId) -> Result<i64, SourceError> {
    let mut growth = 0;
    let mut open = vec![(old, new)];
    while let Some((old, new)) = open.pop() {
        if old == new {
            continue;
        }
        let (old_bytes, new_bytes) = (source.find_tree_bytes(old)?, source.find_tree_bytes(new)?);
        let mut sides = (Folder::new(old, &old_bytes)?, Folder::new(new, &new_bytes)?);
        while let Some((old, new)) = next_pair(&mut sides)? {
            growth += i64::from(new.is_some()) - i64::from(old.is_some());
            let folder = |side: Option<EntryRef<'_>>| {
                let folder = side.filter(|entry| entry.mode.is_tree());
                folder.map_or_else(TreeId::empty, |entry| TreeId::new(entry.id))
            };
            open.push((folder(old), folder(new)));
        }
    }
    Ok(growth)
}

/// A folder of which one entry after the other is read, without memory for each: a large one is mostly what it
/// was before.
struct Folder<'a> {
    id: TreeId,
    entries: Entries<'a>,
    next: Option<EntryRef<'a>>,
}

impl<'a> Folder<'a> {
    fn new(id: TreeId, bytes: &'a [u8]) -> Result<Folder<'a>, SourceError> {
        let mut folder = Folder { id, entries: Entries::new(bytes), next: None };
        folder.take()?;
        Ok(folder)
    }

    /// Returns the next entry, and reads the one behind it.
    fn take(&mut self) -> Result<Option<EntryRef<'a>>, SourceError> {
        let behind = self.entries.next().transpose();
        let behind = behind.map_err(|error| SourceError::Invalid {
            kind: Kind::Tree,
            id: self.id.object(),
            source: error.into(),
        })?;
        Ok(std::mem::replace(&mut self.next, behind))
    }
}

/// What two folders have under one name, both a file or both a folder there.
type Pair<'a> = (Option<EntryRef<'a>>, Option<EntryRef<'a>>);

/// Returns the next entries of two folders; a file and a folder of one name are two pairs.
fn next_pair<'a>((old, new): &mut (Folder<'a>, Folder<'a>)) -> Result<Option<Pair<'a>>, SourceError> {
    let order = match (&old.next, &new.next) {
        (None, None) => return Ok(None),
        (Some(old), Some(new)) => old.cmp_in_tree(new),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
    };
    let left = if order == Ordering::Greater { None } else { old.take()? };
    let right = if order == Ordering::Less { None } else { new.take()? };
    Ok(Some((left, right)))
}
