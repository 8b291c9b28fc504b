//! What a tree may hold: the one answer for everything that can bring one in.
//!
//! Names and modes are checked when a tree is decoded. Three things can only be seen in a tree with all below it, or
//! in a blob: how long its paths get, how many entries a walk meets, and what its links name. A folder that stands at
//! a thousand places is one object, so the entries of a walk are counted and not the objects.
//!
//! All of it is a function of the tree's id, so each tree is measured once however often it is used.

use std::collections::HashMap;
use std::sync::Arc;

use super::path::PATH_BYTES_MAX;
use super::{BlobId, Source, SourceError, Tree, TreeId};

/// The maximum length of a link's target in bytes: Linux takes no longer one.
pub const LINK_BYTES_MAX: usize = 4095;
/// The maximum number of files and folders in a tree with all below it.
pub const ENTRIES_MAX: u64 = 4_000_000;

/// Why a vault does not keep a tree or a link.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExtentError {
    /// Names that are fine each make a path that is not.
    #[error("a path in it is longer than {PATH_BYTES_MAX} bytes")]
    PathTooLong,
    /// A walk would not come to an end.
    #[error("it holds more than {ENTRIES_MAX} files and folders")]
    TooManyEntries,
    /// A link that names nothing.
    #[error("the target of a link is empty")]
    EmptyLink,
    /// A link that no system can make.
    #[error("the target of a link is longer than {LINK_BYTES_MAX} bytes")]
    LinkTooLong,
    /// A link that no system can make.
    #[error("the target of a link contains a zero byte")]
    ZeroInLink,
}

/// How far a tree reaches with all below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The length of its longest path.
    path_bytes: u32,
    /// The number of its files and folders.
    entries: u32,
}

impl Extent {
    /// Returns the number of files and folders.
    pub fn entries(self) -> u64 {
        self.entries.into()
    }

    /// Measures a tree whose folders were measured before; one that `below` does not know counts as empty.
    fn of(tree: &Tree, below: &HashMap<TreeId, Extent>) -> Result<Extent, ExtentError> {
        let (mut path_bytes, mut entries) = (0, 0_u64);
        for entry in tree.entries() {
            let mut length = entry.name.len();
            entries += 1;
            if entry.mode.is_tree()
                && let Some(folder) = below.get(&TreeId::new(entry.id))
            {
                entries += folder.entries();
                length += if folder.path_bytes > 0 { 1 + folder.path_bytes as usize } else { 0 };
            }
            path_bytes = path_bytes.max(length);
            if path_bytes > PATH_BYTES_MAX {
                return Err(ExtentError::PathTooLong);
            }
            if entries > ENTRIES_MAX {
                return Err(ExtentError::TooManyEntries);
            }
        }
        // Both were just held against limits that fit.
        Ok(Extent { path_bytes: path_bytes as u32, entries: entries as u32 })
    }
}

/// Checks a link's target, the content of its blob.
pub fn check_link(target: &[u8]) -> Result<(), ExtentError> {
    match target {
        [] => Err(ExtentError::EmptyLink),
        _ if target.len() > LINK_BYTES_MAX => Err(ExtentError::LinkTooLong),
        _ if target.contains(&0) => Err(ExtentError::ZeroInLink),
        _ => Ok(()),
    }
}

/// What is known of a link: its target, if its blob is there, or why a vault does not keep it.
pub type LinkTarget = Result<Option<Arc<[u8]>>, ExtentError>;

/// Returns the target of a link, or why a vault does not keep such a link; `None` if its blob is not in `source`. One
/// that is too long is not read.
pub fn link_target(source: &dyn Source, id: BlobId) -> Result<LinkTarget, SourceError> {
    match source.try_info(id.object())? {
        Some((_, size)) if size > LINK_BYTES_MAX as u64 => Ok(Err(ExtentError::LinkTooLong)),
        Some(_) => {
            let target = source.find_blob(id)?;
            Ok(check_link(&target).map(|()| Some(target)))
        }
        None => Ok(Ok(None)),
    }
}

/// The extents of trees, each measured once.
#[derive(Debug, Default)]
pub struct Extents(HashMap<TreeId, Extent>);

impl Extents {
    /// Measures a tree with all below it. `read` returns a tree, or `None` for one that is not there and counts as
    /// empty.
    pub fn measure<E>(
        &mut self,
        root: TreeId,
        read: &mut dyn FnMut(TreeId) -> Result<Option<Arc<Tree>>, E>,
    ) -> Result<Result<Extent, ExtentError>, E> {
        // Each folder is looked at before and after what is in it. A stack of our own: a tree from elsewhere can be
        // deeper than the machine's.
        let mut stack: Vec<(TreeId, Option<Arc<Tree>>)> = vec![(root, None)];
        while let Some((id, entered)) = stack.pop() {
            if self.0.contains_key(&id) {
                continue;
            }
            if let Some(tree) = entered {
                match Extent::of(&tree, &self.0) {
                    Ok(extent) => drop(self.0.insert(id, extent)),
                    Err(error) => return Ok(Err(error)),
                }
                continue;
            }
            let Some(tree) = read(id)? else {
                self.0.insert(id, Extent::default());
                continue;
            };
            let folders = tree.entries().iter().filter(|entry| entry.mode.is_tree());
            let open: Vec<_> = folders.map(|entry| (TreeId::new(entry.id), None)).collect();
            stack.push((id, Some(tree)));
            stack.extend(open);
        }
        Ok(Ok(self.0.get(&root).copied().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, ObjectId, TreeEntry};
    use super::*;

    #[derive(Default)]
    struct Forest(HashMap<TreeId, Arc<Tree>>);

    impl Forest {
        fn plant(&mut self, entries: &[(Mode, &str, ObjectId)]) -> TreeId {
            let entry = |(mode, name, id): &(Mode, &str, ObjectId)| TreeEntry {
                mode: *mode,
                name: (*name).into(),
                id: *id,
            };
            let tree = Tree::from_entries(entries.iter().map(entry));
            let id = tree.id();
            self.0.insert(id, Arc::new(tree));
            id
        }

        fn measure(&self, root: TreeId) -> Result<Extent, ExtentError> {
            let mut reads = 0;
            let measured = Extents::default().measure(root, &mut |id| {
                reads += 1;
                Ok::<_, ()>(self.0.get(&id).cloned())
            });
            assert!(reads <= 2 * self.0.len() + 1, "each tree is read once");
            measured.expect("is read")
        }
    }

    fn file() -> ObjectId {
        ObjectId::from_bytes([7; 32])
    }

    #[test]
    fn a_path_counts_with_all_its_slashes_to_the_last_byte() {
        let mut forest = Forest::default();
        // 16 folders with names of 239 bytes and their slashes are 3,840 bytes.
        let mut tree = |leaf: usize| {
            let mut id = forest.plant(&[(Mode::File, &"f".repeat(leaf), file())]);
            for _ in 0..16 {
                id = forest
                    .plant(&[(Mode::Tree, &"d".repeat(239), id.object()), (Mode::File, "short", file())]);
            }
            (forest.measure(id), id)
        };
        assert_eq!(tree(255).0.map(|extent| extent.path_bytes), Ok(4095));
        let (whole, id) = tree(255);
        assert!(whole.is_ok());
        let longer = forest.plant(&[(Mode::Tree, "d", id.object())]);
        assert_eq!(forest.measure(longer), Err(ExtentError::PathTooLong));
    }

    #[test]
    fn a_walk_is_counted_and_not_the_objects_it_meets() {
        // Six trees of ten entries each are sixty entries on the wire, and a million for who walks them.
        let mut forest = Forest::default();
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let mut id = file();
        let mut mode = Mode::File;
        let mut counts = Vec::new();
        for _ in 0..7 {
            let entries: Vec<_> = names.iter().map(|name| (mode, name.as_str(), id)).collect();
            let tree = forest.plant(&entries);
            counts.push(forest.measure(tree).map(Extent::entries));
            (id, mode) = (tree.object(), Mode::Tree);
        }
        assert_eq!(counts[..3], [Ok(10), Ok(110), Ok(1110)]);
        assert_eq!(counts[5], Ok(1_111_110));
        assert_eq!(counts[6], Err(ExtentError::TooManyEntries));
    }

    #[test]
    fn links_are_what_a_system_can_make() {
        assert_eq!(check_link(&[b'a'; LINK_BYTES_MAX]), Ok(()));
        assert_eq!(check_link(&[b'a'; LINK_BYTES_MAX + 1]), Err(ExtentError::LinkTooLong));
        assert_eq!(check_link(b""), Err(ExtentError::EmptyLink));
        assert_eq!(check_link(b"a\0b"), Err(ExtentError::ZeroInLink));
    }
}
