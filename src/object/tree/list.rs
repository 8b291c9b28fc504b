//! Listing whole trees.

use super::super::{BlobId, Kind, NameError, Source, SourceError, TreeId, VaultPath};
use super::{FileEntry, TreeEntry};

/// How deep folders may lie: as deep as the longest path allows.
const DEPTH_MAX: usize = 2048;

/// Lists the files and links of a tree, in the order of a walk. After an error there is nothing more.
pub fn list_tree<S: Source + ?Sized>(source: &S, tree: TreeId) -> Files<'_, S> {
    Files { source, tree, open: Vec::new(), next: Some(tree), path: Vec::new() }
}

/// The files and links of a tree; see [`list_tree`].
pub struct Files<'s, S: ?Sized> {
    source: &'s S,
    tree: TreeId,
    /// The folders on the way, the innermost last: how long its path is, and what is left of it. A stack of our
    /// own, because a tree from elsewhere can be deeper than the machine's.
    open: Vec<(usize, std::vec::IntoIter<TreeEntry>)>,
    /// A folder that is to be opened.
    next: Option<TreeId>,
    path: Vec<u8>,
}

impl<S: Source + ?Sized> Files<'_, S> {
    fn step(&mut self) -> Result<Option<(VaultPath, FileEntry)>, SourceError> {
        loop {
            if let Some(folder) = self.next.take() {
                check_depth(self.tree, self.path.len(), self.open.len())?;
                let mut entries = self.source.find_tree(folder)?.into_entries();
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                self.open.push((self.path.len(), entries.into_iter()));
            }
            let Some((length, entries)) = self.open.last_mut() else { return Ok(None) };
            self.path.truncate(*length);
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            self.path.extend_from_slice(&entry.name);
            if entry.mode.is_tree() {
                self.path.push(b'/');
                self.next = Some(TreeId::new(entry.id));
                continue;
            }
            let path = VaultPath::parse(self.path.as_slice()).map_err(|error| unusable(self.tree, error))?;
            return Ok(Some((path, FileEntry { mode: entry.mode, id: BlobId::new(entry.id) })));
        }
    }
}

impl<S: Source + ?Sized> Iterator for Files<'_, S> {
    type Item = Result<(VaultPath, FileEntry), SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.open.clear();
        }
        step.transpose()
    }
}

pub(super) fn check_depth(tree: TreeId, path_bytes: usize, depth: usize) -> Result<(), SourceError> {
    if depth > DEPTH_MAX || path_bytes > super::super::PATH_BYTES_MAX {
        return Err(unusable(tree, NameError::TooLong(path_bytes)));
    }
    Ok(())
}

/// Says that a tree holds a path that no vault can hold.
pub(super) fn unusable(tree: TreeId, error: NameError) -> SourceError {
    SourceError::Invalid { kind: Kind::Tree, id: tree.object(), source: error.into() }
}
