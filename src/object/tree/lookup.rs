//! Looking up what a tree has at a path.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::super::{Source, SourceError, TreeId, VaultPath};
use super::{Entry, Tree};

/// How many entries of trees a [`Lookup`] keeps.
const ENTRIES_KEPT_MAX: usize = 1 << 17;

/// Returns what a tree has at a path, a file or a folder; `None` if there is nothing or a part of the way is a file.
pub fn entry_at<S: Source + ?Sized>(
    source: &S,
    tree: TreeId,
    path: &VaultPath,
) -> Result<Option<Entry>, SourceError> {
    find(tree, path.as_bytes(), |id| source.find_tree(id).map(Arc::new))
}

fn find(
    root: TreeId,
    path: &[u8],
    mut read: impl FnMut(TreeId) -> Result<Arc<Tree>, SourceError>,
) -> Result<Option<Entry>, SourceError> {
    let mut folder = root;
    let mut parts = path.split(|byte| *byte == b'/').peekable();
    while let Some(name) = parts.next() {
        let found = read(folder)?.find(name).map(Entry::of);
        match (found, parts.peek()) {
            (found, None) => return Ok(found),
            (Some(entry), Some(_)) if entry.mode.is_tree() => folder = TreeId::new(entry.id),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Looks up entries by path and keeps the trees it has read: folders are large, and many paths are asked for.
pub struct Lookup<'s, S: ?Sized> {
    source: &'s S,
    kept: RefCell<Kept>,
}

#[derive(Default)]
struct Kept {
    trees: HashMap<TreeId, Arc<Tree>>,
    entries: usize,
}

impl<'s, S: Source + ?Sized> Lookup<'s, S> {
    /// Makes one that has read nothing yet.
    pub fn new(source: &'s S) -> Lookup<'s, S> {
        Lookup { source, kept: RefCell::default() }
    }

    /// Returns what the tree `root` has at a path, as [`entry_at`] does. Paths from merges are not always ones that a
    /// vault can hold, so they are bytes.
    pub fn entry(&self, root: TreeId, path: &[u8]) -> Result<Option<Entry>, SourceError> {
        find(root, path, |id| self.tree(id))
    }

    fn tree(&self, id: TreeId) -> Result<Arc<Tree>, SourceError> {
        if let Some(tree) = self.kept.borrow().trees.get(&id) {
            return Ok(tree.clone());
        }
        let tree = Arc::new(self.source.find_tree(id)?);
        let mut kept = self.kept.borrow_mut();
        kept.entries += tree.entries().len();
        if kept.entries > ENTRIES_KEPT_MAX {
            *kept = Kept { trees: HashMap::new(), entries: tree.entries().len() };
        }
        kept.trees.insert(id, tree.clone());
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::super::{Kind, NoSource, Object, ObjectId, Overlay};
    use super::super::{Mode, TreeEntry};
    use super::*;

    /// Counts the objects that are read.
    struct Counting(Overlay<NoSource>, Cell<usize>);

    impl Source for Counting {
        fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError> {
            self.1.set(self.1.get() + 1);
            self.0.try_find(id)
        }
    }

    #[test]
    fn a_folder_is_read_once_for_all_of_its_files() {
        let objects = Overlay::default();
        let blob = objects.put(Kind::Blob, b"x");
        let file = |n: usize| TreeEntry { mode: Mode::File, name: format!("f{n:03}").into(), id: blob };
        let folder = objects.put_tree(&Tree::from_entries((0..500).map(file)));
        let entry = |name: &str| TreeEntry { mode: Mode::Tree, name: name.into(), id: folder.object() };
        let top = Tree::from_entries([entry("a"), entry("b"), file(7)]);
        let (root, source) = (objects.put_tree(&top), Counting(objects, Cell::new(0)));
        let lookup = Lookup::new(&source);
        let find = |path: &str| lookup.entry(root, path.as_bytes()).expect("is read");
        for name in ["a", "b"] {
            for n in 0..500 {
                assert_eq!(find(&format!("{name}/f{n:03}")).map(|found| found.id), Some(blob));
            }
            assert_eq!(find(&format!("{name}/none")), None);
        }
        assert_eq!(find("f007").map(|found| found.id), Some(blob));
        assert_eq!(find("b").map(|found| found.mode), Some(Mode::Tree));
        assert_eq!(find("f007/below"), None);
        assert_eq!(find("none/below"), None);
        assert!(source.1.get() < 10, "{} objects were read", source.1.get());
    }
}
