//! Trees: a folder's names, modes and ids in git's encoding and git's order.

use std::cmp::Ordering;

use super::path::{NameError, check_name};
use super::{Kind, ObjectId, TreeId, hash_object};

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A regular file, `100644`.
    File,
    /// A regular file with the executable bit, `100755`.
    Executable,
    /// A symbolic link, `120000`; its blob is the target.
    Symlink,
    /// A folder, `40000`.
    Tree,
}

impl Mode {
    /// Returns the octal digits as git writes them in a tree.
    pub fn as_octal(self) -> &'static str {
        match self {
            Mode::File => "100644",
            Mode::Executable => "100755",
            Mode::Symlink => "120000",
            Mode::Tree => "40000",
        }
    }

    /// Parses the octal digits of a tree entry; other modes (also git links) are none of ours.
    pub fn from_octal(digits: &[u8]) -> Option<Mode> {
        [Mode::File, Mode::Executable, Mode::Symlink, Mode::Tree]
            .into_iter()
            .find(|mode| mode.as_octal().as_bytes() == digits)
    }

    /// Tells whether the entry's object is a tree.
    pub fn is_tree(self) -> bool {
        self == Mode::Tree
    }

    /// Returns the kind of the entry's object.
    pub fn object_kind(self) -> Kind {
        if self.is_tree() { Kind::Tree } else { Kind::Blob }
    }

    /// Returns the same mode in gix's terms.
    pub fn to_gix(self) -> gix::objs::tree::EntryMode {
        use gix::objs::tree::EntryKind;
        match self {
            Mode::File => EntryKind::Blob,
            Mode::Executable => EntryKind::BlobExecutable,
            Mode::Symlink => EntryKind::Link,
            Mode::Tree => EntryKind::Tree,
        }
        .into()
    }

    /// Returns the mode for gix's, or `None` for a git link.
    pub fn from_gix(mode: gix::objs::tree::EntryMode) -> Option<Mode> {
        use gix::objs::tree::EntryKind;
        match mode.kind() {
            EntryKind::Blob => Some(Mode::File),
            EntryKind::BlobExecutable => Some(Mode::Executable),
            EntryKind::Link => Some(Mode::Symlink),
            EntryKind::Tree => Some(Mode::Tree),
            EntryKind::Commit => None,
        }
    }
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// What it is.
    pub mode: Mode,
    /// Its name: one part of a path, any bytes that [`check_name`] lets through.
    pub name: Vec<u8>,
    /// The id of its blob or tree.
    pub id: ObjectId,
}

impl TreeEntry {
    /// Compares by the order entries have in a tree: a folder's name as if it ended in a slash. Entries are
    /// equal if they have one name and are both folders or both not.
    pub fn cmp_in_tree(&self, other: &TreeEntry) -> Ordering {
        compare((&self.name, self.mode.is_tree()), (&other.name, other.mode.is_tree()))
    }
}

/// Why bytes are no tree of a vault.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Bytes end in the middle of an entry.
    #[error("the tree ends in the middle of an entry at byte {0}")]
    Truncated(usize),
    /// A mode that no vault holds.
    #[error("the tree entry at byte {0} has a mode that is not kept in a vault")]
    BadMode(usize),
    /// A name that may not stand in a tree.
    #[error("the tree entry at byte {0} has a bad name")]
    BadName(usize, #[source] NameError),
    /// Not sorted as git sorts, or a name twice.
    #[error("the tree entry at byte {0} is out of order or doubled")]
    Unsorted(usize),
}

/// A folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<TreeEntry>,
}

/// Compares as git does: a folder's name as if it ended in a slash.
fn compare(a: (&[u8], bool), b: (&[u8], bool)) -> Ordering {
    let common = a.0.len().min(b.0.len());
    let after =
        |(name, tree): (&[u8], bool)| name.get(common).copied().unwrap_or(if tree { b'/' } else { 0 });
    a.0[..common]
        .cmp(&b.0[..common])
        .then_with(|| after(a).cmp(&after(b)))
        .then_with(|| a.0.len().cmp(&b.0.len()))
}

impl Tree {
    /// Makes a tree of entries in any order. Of entries with one name the last is kept.
    pub fn from_entries(entries: impl IntoIterator<Item = TreeEntry>) -> Tree {
        let named: std::collections::BTreeMap<Vec<u8>, TreeEntry> =
            entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        let mut entries: Vec<TreeEntry> = named.into_values().collect();
        entries.sort_by(|a, b| compare((&a.name, a.mode.is_tree()), (&b.name, b.mode.is_tree())));
        Tree { entries }
    }

    /// Returns the entries in git's order.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// Returns what its entries name.
    pub fn links(&self) -> impl Iterator<Item = (Kind, ObjectId)> + '_ {
        self.entries
            .iter()
            .map(|entry| (if entry.mode.is_tree() { Kind::Tree } else { Kind::Blob }, entry.id))
    }

    /// Consumes the tree into its entries, in git's order.
    pub fn into_entries(self) -> Vec<TreeEntry> {
        self.entries
    }

    /// Finds the entry called `name`, a file or a folder.
    pub fn find(&self, name: &[u8]) -> Option<&TreeEntry> {
        [false, true].into_iter().find_map(|is_tree| {
            self.entries
                .binary_search_by(|e| compare((&e.name, e.mode.is_tree()), (name, is_tree)))
                .ok()
                .map(|at| &self.entries[at])
        })
    }

    /// Encodes the tree as git does.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.iter().map(|e| e.name.len() + 40).sum());
        for entry in &self.entries {
            bytes.extend_from_slice(entry.mode.as_octal().as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(&entry.name);
            bytes.push(0);
            bytes.extend_from_slice(entry.id.as_bytes());
        }
        bytes
    }

    /// Returns the id of the encoded tree.
    pub fn id(&self) -> TreeId {
        TreeId::new(hash_object(Kind::Tree, &self.encode()))
    }

    /// Decodes a tree: strict in modes, names, order and length.
    pub fn decode(bytes: &[u8]) -> Result<Tree, TreeError> {
        let mut entries: Vec<TreeEntry> = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let truncated = TreeError::Truncated(at);
            let Some(space) = rest.iter().take(8).position(|b| *b == b' ') else {
                return Err(if rest.len() < 8 { truncated } else { TreeError::BadMode(at) });
            };
            let mode = Mode::from_octal(&rest[..space]).ok_or(TreeError::BadMode(at))?;
            let Some(name_len) = rest[space + 1..].iter().position(|b| *b == 0) else {
                return Err(truncated);
            };
            let name = &rest[space + 1..space + 1 + name_len];
            check_name(name).map_err(|e| TreeError::BadName(at, e))?;
            let id_at = space + 1 + name_len + 1;
            let id = rest.get(id_at..id_at + 32).and_then(ObjectId::from_slice).ok_or(truncated)?;
            if let Some(last) = entries.last() {
                let order = compare((&last.name, last.mode.is_tree()), (name, mode.is_tree()));
                if order != Ordering::Less || last.name == name {
                    return Err(TreeError::Unsorted(at));
                }
            }
            entries.push(TreeEntry { mode, name: name.to_vec(), id });
            at += id_at + 32;
        }
        refuse_file_and_folder_of_one_name(&entries)?;
        Ok(Tree { entries })
    }
}

/// `a` (file) and `a` (folder) are not neighbours when `a.b` stands between them.
fn refuse_file_and_folder_of_one_name(entries: &[TreeEntry]) -> Result<(), TreeError> {
    let mut files = std::collections::HashSet::new();
    for entry in entries {
        if entry.mode.is_tree() {
            if files.contains(entry.name.as_slice()) {
                return Err(TreeError::Unsorted(0));
            }
        } else if entries.len() > 1 {
            files.insert(entry.name.as_slice());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mode: Mode, name: &str) -> TreeEntry {
        TreeEntry { mode, name: name.into(), id: TreeId::empty().object() }
    }

    #[test]
    fn folders_sort_as_if_they_ended_in_a_slash() {
        let tree = Tree::from_entries([
            entry(Mode::Tree, "a"),
            entry(Mode::File, "a.b"),
            entry(Mode::File, "a0"),
            entry(Mode::File, "a-"),
        ]);
        let names: Vec<_> = tree.entries().iter().map(|e| e.name.as_slice()).collect();
        assert_eq!(names, [&b"a-"[..], b"a.b", b"a", b"a0"]);
        assert_eq!(Tree::decode(&tree.encode()).expect("valid"), tree);
        assert!(tree.find(b"a").is_some_and(|e| e.mode.is_tree()));
        assert!(tree.find(b"b").is_none());
    }

    #[test]
    fn malformed_trees_are_refused() {
        let raw = |entries: &[(&str, &str)]| {
            let mut bytes = Vec::new();
            for (mode, name) in entries {
                bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
                bytes.extend_from_slice(TreeId::empty().object().as_bytes());
            }
            bytes
        };
        assert!(Tree::decode(&raw(&[("100644", "a"), ("100755", "b")])).is_ok());
        for bad in [
            raw(&[("100644", "b"), ("100644", "a")]),
            raw(&[("100644", "a"), ("100644", "a")]),
            raw(&[("100644", "a"), ("100644", "a.b"), ("40000", "a")]),
            raw(&[("040000", "a")]),
            raw(&[("160000", "a")]),
            raw(&[("0", "a")]),
            raw(&[("1006440", "a")]),
            raw(&[("100644", "..")]),
            raw(&[("100644", "a/b")]),
            raw(&[("100644", "")]),
            raw(&[("40000", ".MVault")]),
        ] {
            assert!(Tree::decode(&bad).is_err(), "{bad:?}");
        }
        let good = raw(&[("100644", "a")]);
        for cut in 1..good.len() {
            assert!(Tree::decode(&good[..cut]).is_err(), "cut at {cut}");
        }
    }
}
