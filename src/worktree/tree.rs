//! Trees as wholes: listing, comparing and editing them by path, touching only the folders that differ.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::object::{
    Entries, EntryRef, Kind, Mode, ObjectId, Source, SourceError, Tree, TreeEntry, TreeId, VaultPath,
    check_name,
};

use super::{Error, Result};

/// What is to stand at a path of a tree: a file's or link's mode and blob, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeChange {
    /// Where.
    pub path: VaultPath,
    /// What.
    pub entry: Option<(Mode, ObjectId)>,
}

/// A path at which two trees differ; folders are never named, only what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeDiff {
    /// Where.
    pub path: VaultPath,
    /// What the first tree has.
    pub old: Option<(Mode, ObjectId)>,
    /// What the second tree has.
    pub new: Option<(Mode, ObjectId)>,
}

/// How deep folders may lie: as deep as the longest path allows.
const DEPTH_MAX: usize = 2048;

fn sorted(source: &dyn Source, id: TreeId) -> std::result::Result<Vec<TreeEntry>, SourceError> {
    let mut entries = source.find_tree(id)?.into_entries();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Takes each file of a tree, in the order of a walk.
pub type Visit<'a> = dyn FnMut(&[u8], Mode, ObjectId) -> Result<()> + 'a;

/// Calls `visit` with each file and link of a tree, in the order of a walk.
pub fn list_tree(source: &dyn Source, tree: TreeId, visit: &mut Visit<'_>) -> Result<()> {
    // A stack of our own: a tree from elsewhere can be deeper than the machine's.
    let mut open = vec![(0, sorted(source, tree)?.into_iter())];
    let mut path: Vec<u8> = Vec::new();
    while let Some((base_len, entries)) = open.last_mut() {
        path.truncate(*base_len);
        let Some(entry) = entries.next() else {
            open.pop();
            continue;
        };
        path.extend_from_slice(&entry.name);
        if entry.mode.is_tree() {
            path.push(b'/');
            check_depth(&path, open.len())?;
            open.push((path.len(), sorted(source, TreeId::new(entry.id))?.into_iter()));
        } else {
            check_depth(&path, open.len())?;
            visit(&path, entry.mode, entry.id)?;
        }
    }
    Ok(())
}

fn check_depth(path: &[u8], depth: usize) -> Result<()> {
    if depth > DEPTH_MAX || path.len() > 4096 {
        return Err(Error::Path(crate::object::NameError::TooLong(path.len())));
    }
    Ok(())
}

/// Lists where two trees differ, in the order of a walk, reading only folders that differ.
pub fn diff_trees(source: &dyn Source, old: TreeId, new: TreeId) -> Result<Vec<TreeDiff>> {
    let mut found = Vec::new();
    let mut open: Vec<(Vec<u8>, TreeId, TreeId)> = vec![(Vec::new(), old, new)];
    while let Some((base, old, new)) = open.pop() {
        if old == new {
            continue;
        }
        check_depth(&base, 0)?;
        let (old_bytes, new_bytes) = (source.find_tree_bytes(old)?, source.find_tree_bytes(new)?);
        let mut sides = (Folder::new(old, &old_bytes)?, Folder::new(new, &new_bytes)?);
        while let Some((old, new)) = next_pair(&mut sides)? {
            if old == new {
                continue;
            }
            let Some(EntryRef { mode, name, .. }) = old.or(new) else { continue };
            check_name(name)?;
            let path = [&base[..], name].concat();
            if mode.is_tree() {
                let folder = |side: Option<EntryRef<'_>>| {
                    side.map_or_else(TreeId::empty, |entry| TreeId::new(entry.id))
                };
                open.push(([&path[..], b"/"].concat(), folder(old), folder(new)));
            } else {
                let file = |side: Option<EntryRef<'_>>| side.map(|entry| (entry.mode, entry.id));
                found.push(TreeDiff { path: VaultPath::parse(path)?, old: file(old), new: file(new) });
            }
        }
    }
    found.sort_by(|a, b| super::index::compare_paths(a.path.as_bytes(), b.path.as_bytes()));
    Ok(found)
}

/// Returns how many files and folders more `new` holds than `old`, reading only folders that differ.
pub fn growth(source: &dyn Source, old: TreeId, new: TreeId) -> Result<i64> {
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
    fn new(id: TreeId, bytes: &'a [u8]) -> std::result::Result<Folder<'a>, SourceError> {
        let mut folder = Folder { id, entries: Entries::new(bytes), next: None };
        folder.take()?;
        Ok(folder)
    }

    /// Returns the next entry, and reads the one behind it.
    fn take(&mut self) -> std::result::Result<Option<EntryRef<'a>>, SourceError> {
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
fn next_pair<'a>(
    (old, new): &mut (Folder<'a>, Folder<'a>),
) -> std::result::Result<Option<Pair<'a>>, SourceError> {
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

/// Takes a new tree's bytes, and the id of the tree that stood in its place; keeps them and returns the id.
pub type PutTree<'a, E> = dyn FnMut(&[u8], Option<TreeId>) -> std::result::Result<TreeId, E> + 'a;

/// What is to change in one folder.
#[derive(Default)]
struct FolderEdit {
    files: BTreeMap<Vec<u8>, Option<(Mode, ObjectId)>>,
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
) -> std::result::Result<TreeId, E> {
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
fn edit_folder<E>(edit: FolderEdit, put: &mut PutTree<'_, E>) -> std::result::Result<Option<TreeId>, E> {
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
            Some((mode, id)) => {
                drop(entries.insert(name, TreeEntry { mode: *mode, name: name.clone(), id: *id }));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::object::Overlay;

    fn change(path: &str, content: Option<&str>) -> TreeChange {
        let path = VaultPath::parse(path).expect("valid");
        let id = |text: &str| crate::object::hash_object(Kind::Blob, text.as_bytes());
        TreeChange { path, entry: content.map(|text| (Mode::File, id(text))) }
    }

    fn edit(overlay: &Overlay<impl Source>, base: TreeId, changes: &[(&str, Option<&str>)]) -> TreeId {
        let changes: Vec<_> = changes.iter().map(|(p, c)| change(p, *c)).collect();
        write_tree(overlay, base, changes, &mut |bytes, _| {
            Ok::<_, SourceError>(TreeId::new(overlay.put(Kind::Tree, bytes)))
        })
        .expect("the trees are there")
    }

    fn list(overlay: &Overlay<impl Source>, tree: TreeId) -> Vec<String> {
        let mut paths = Vec::new();
        list_tree(overlay, tree, &mut |path, _, _| {
            paths.push(String::from_utf8_lossy(path).into_owned());
            Ok(())
        })
        .expect("the trees are there");
        paths
    }

    #[test]
    fn edits_reach_the_same_tree_as_building_it_anew() {
        let overlay = Overlay::default();
        let base =
            edit(&overlay, TreeId::empty(), &[("a/b/c", Some("1")), ("a/d", Some("2")), ("e", Some("3"))]);
        let edited = edit(&overlay, base, &[("a/b/c", None), ("a/b/x", Some("4")), ("f/g/h", Some("5"))]);
        let anew = [("a/b/x", Some("4")), ("a/d", Some("2")), ("e", Some("3")), ("f/g/h", Some("5"))];
        assert_eq!(edited, edit(&overlay, TreeId::empty(), &anew));
        assert_eq!(
            edit(&overlay, edited, &[("a/d", None), ("a/b/x", None)]),
            edit(&overlay, TreeId::empty(), &anew[2..])
        );
        assert_eq!(edit(&overlay, edited, &[]), edited);
    }

    #[test]
    fn emptied_folders_go_and_the_last_one_leaves_the_empty_tree() {
        let overlay = Overlay::default();
        let base = edit(&overlay, TreeId::empty(), &[("a/b/c", Some("1"))]);
        assert_eq!(edit(&overlay, base, &[("a/b/c", None)]), TreeId::empty());
        assert_eq!(edit(&overlay, TreeId::empty(), &[("x/y", None)]), TreeId::empty());
    }

    #[test]
    fn file_becomes_folder_and_folder_becomes_file() {
        let overlay = Overlay::default();
        let file = edit(&overlay, TreeId::empty(), &[("a", Some("1"))]);
        let folder = edit(&overlay, file, &[("a", None), ("a/b/c", Some("2"))]);
        assert_eq!(list(&overlay, folder), ["a/b/c"]);
        assert_eq!(edit(&overlay, folder, &[("a/b/c", None), ("a", Some("1"))]), file);
        assert_eq!(edit(&overlay, folder, &[("a", None)]), folder, "only files are taken away");
        assert_eq!(edit(&overlay, file, &[("a/b/c", None)]), file);
    }

    #[test]
    fn only_folders_on_the_way_are_read_and_written() {
        let overlay = Overlay::default();
        let base =
            edit(&overlay, TreeId::empty(), &[("a/x", Some("1")), ("b/c/y", Some("2")), ("b/z", Some("3"))]);
        let mut put = Vec::new();
        write_tree(&overlay, base, [change("b/z", Some("4"))], &mut |bytes, old| {
            put.push(old);
            Ok::<_, SourceError>(TreeId::new(overlay.put(Kind::Tree, bytes)))
        })
        .expect("edits");
        let b = overlay.find_tree(base).expect("there").find(b"b").map(|e| TreeId::new(e.id));
        assert_eq!(put, [b, Some(base)]);
    }

    #[test]
    fn deepest_path_needs_no_deep_stack() {
        let overlay = Overlay::default();
        let deep = vec!["d"; 2048].join("/");
        let tree = edit(&overlay, TreeId::empty(), &[(&deep, Some("1"))]);
        assert_eq!(list(&overlay, tree), std::slice::from_ref(&deep));
        assert_eq!(diff_trees(&overlay, TreeId::empty(), tree).expect("diffs").len(), 1);
        let over =
            Tree::from_entries([TreeEntry { mode: Mode::Tree, name: b"d".to_vec(), id: tree.object() }]);
        let over = overlay.put_tree(&over);
        assert!(list_tree(&overlay, over, &mut |_, _, _| Ok(())).is_err());
    }

    #[test]
    fn differences_are_files_in_the_order_of_a_walk() {
        let overlay = Overlay::default();
        let old = edit(
            &overlay,
            TreeId::empty(),
            &[("a", Some("1")), ("b/c", Some("2")), ("b-", Some("3")), ("same/x", Some("1"))],
        );
        let new = edit(
            &overlay,
            TreeId::empty(),
            &[("a/x", Some("1")), ("b", Some("2")), ("b-", Some("4")), ("same/x", Some("1"))],
        );
        let diff = diff_trees(&overlay, old, new).expect("diffs");
        let told: Vec<_> =
            diff.iter().map(|d| (d.path.to_string(), d.old.is_some(), d.new.is_some())).collect();
        let told: Vec<_> = told.iter().map(|(p, o, n)| (p.as_str(), *o, *n)).collect();
        assert_eq!(
            told,
            [
                ("a", true, false),
                ("a/x", false, true),
                ("b", false, true),
                ("b/c", true, false),
                ("b-", true, true)
            ]
        );
    }

    type Files = BTreeMap<String, String>;

    fn files() -> impl Strategy<Value = Files> {
        let names = prop::sample::select(vec!["a", "a-", "a.b", "a0", "b"]);
        let path = prop::collection::vec(names, 1..4);
        let path = path.prop_map(|parts| parts.join("/"));
        prop::collection::btree_map(path, "[xy]", 0..12)
    }

    proptest! {
        #[test]
        fn differences_are_those_of_the_two_lists(old in files(), new in files()) {
            let overlay = Overlay::default();
            let trees = [&old, &new].map(|files| {
                let changes: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), Some(c.as_str()))).collect();
                edit(&overlay, TreeId::empty(), &changes)
            });
            let mut sides: BTreeMap<Vec<u8>, [Option<(Mode, ObjectId)>; 2]> = BTreeMap::new();
            for (side, tree) in trees.into_iter().enumerate() {
                list_tree(&overlay, tree, &mut |path, mode, id| {
                    sides.entry(path.to_vec()).or_default()[side] = Some((mode, id));
                    Ok(())
                })
                .expect("the trees are there");
            }
            let folders = |side: usize| {
                let here = sides.iter().filter(|(_, both)| both[side].is_some());
                let above = here.clone().flat_map(|(path, _)| super::super::index::prefixes(path));
                above.collect::<std::collections::BTreeSet<_>>().len() as i64
            };
            let grown = growth(&overlay, trees[0], trees[1]).expect("is counted");
            prop_assert_eq!(grown, folders(1) - folders(0));
            sides.retain(|_, [old, new]| old != new);
            let told = diff_trees(&overlay, trees[0], trees[1]).expect("diffs");
            let mut told: Vec<_> =
                told.into_iter().map(|diff| (diff.path.as_bytes().to_vec(), [diff.old, diff.new])).collect();
            told.sort();
            prop_assert_eq!(told, sides.into_iter().collect::<Vec<_>>());
        }
    }
}
