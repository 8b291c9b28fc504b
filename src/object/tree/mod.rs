//! Trees: a folder's names, modes and ids in git's encoding and git's order.

use std::cmp::Ordering;

mod diff;
mod edit;
mod list;
mod lookup;
#[cfg(test)]
mod whole_tests;

pub use diff::{TreeDiff, diff_trees, growth};
pub use edit::{TreeChange, write_tree};
pub use list::list_tree;
pub use lookup::{Lookup, entry_at};

use super::path::{NameError, check_name};
use super::{BlobId, Kind, ObjectId, TreeId, hash_object};

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

/// What a tree has at a path: a mode and the id of a blob or tree, or of a blob alone where there are but files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry<Id = ObjectId> {
    /// File, executable, link or folder.
    pub mode: Mode,
    /// The blob, or the tree of a folder.
    pub id: Id,
}

impl<Id> Entry<Id> {
    /// Tells whether it is a regular file, executable or not.
    pub fn is_file(&self) -> bool {
        matches!(self.mode, Mode::File | Mode::Executable)
    }
}

/// A file or link in a tree.
pub type FileEntry = Entry<BlobId>;

impl From<FileEntry> for Entry {
    fn from(file: FileEntry) -> Entry {
        Entry { mode: file.mode, id: file.id.object() }
    }
}

impl Entry {
    /// Returns the entry without its name.
    pub fn of(entry: &TreeEntry) -> Entry {
        Entry { mode: entry.mode, id: entry.id }
    }

    /// Returns the tree, if it is a folder.
    pub fn tree(&self) -> Option<TreeId> {
        self.mode.is_tree().then(|| TreeId::new(self.id))
    }

    /// Returns the file or link; of a folder there is none.
    pub fn file(&self) -> Option<FileEntry> {
        (!self.mode.is_tree()).then(|| Entry { mode: self.mode, id: BlobId::new(self.id) })
    }

    /// Writes the entry as `<octal mode> <id>`.
    pub fn to_text(self) -> String {
        format!("{} {}", self.mode.as_octal(), self.id)
    }

    /// Parses what [`Entry::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Entry> {
        let (mode, id) = text.split_once(' ')?;
        Some(Entry { mode: Mode::from_octal(mode.as_bytes())?, id: ObjectId::parse(id).ok()? })
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
        let mut entries = Vec::new();
        let mut read = Entries::new(bytes);
        while let Some(entry) = read.next().transpose()? {
            check_name(entry.name).map_err(|e| TreeError::BadName(read.began, e))?;
            entries.push(TreeEntry { mode: entry.mode, name: entry.name.to_vec(), id: entry.id });
        }
        Ok(Tree { entries })
    }
}

/// Finds the entry called `name`, a file or a folder, in the bytes of a tree, without looking at more than it must.
///
/// For a walk that looks at many trees of a history, which were decoded when they came: only what is passed on the
/// way is checked, and of that the modes and lengths.
pub fn find_entry(bytes: &[u8], name: &[u8]) -> Result<Option<(Mode, ObjectId)>, TreeError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let truncated = || TreeError::Truncated(at);
        let space = rest.iter().take(8).position(|byte| *byte == b' ').ok_or_else(truncated)?;
        let mode = Mode::from_octal(&rest[..space]).ok_or(TreeError::BadMode(at))?;
        let named = &rest[space + 1..];
        let end = named.iter().position(|byte| *byte == 0).ok_or_else(truncated)?;
        let (id, behind) = named[end + 1..].split_first_chunk::<32>().ok_or_else(truncated)?;
        if named[..end] == *name {
            return Ok(Some((mode, ObjectId::from_bytes(*id))));
        }
        rest = behind;
    }
    Ok(None)
}

/// An entry where it stands in the bytes of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// What it is.
    pub mode: Mode,
    /// Its name, which [`check_name`] has not seen.
    pub name: &'a [u8],
    /// The id of its blob or tree.
    pub id: ObjectId,
}

impl EntryRef<'_> {
    /// Compares as [`TreeEntry::cmp_in_tree`] does.
    pub fn cmp_in_tree(&self, other: &EntryRef<'_>) -> Ordering {
        compare((self.name, self.mode.is_tree()), (other.name, other.mode.is_tree()))
    }
}

/// Reads the entries of an encoded tree in order, without taking memory for each: strict in modes, order and
/// length. What the names are is left to the caller. Behind an error there is nothing more.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the entry that was handed out last begins.
    began: usize,
    last: Option<(&'a [u8], bool)>,
    /// Files whose names the last entry's name begins with: a folder of one of these names can still come.
    files: Vec<&'a [u8]>,
}

impl<'a> Entries<'a> {
    /// Reads `bytes` from their beginning.
    pub fn new(bytes: &'a [u8]) -> Entries<'a> {
        Entries { bytes, at: 0, began: 0, last: None, files: Vec::new() }
    }

    fn read(&mut self) -> Result<EntryRef<'a>, TreeError> {
        let at = self.at;
        let rest = &self.bytes[at..];
        let truncated = TreeError::Truncated(at);
        let Some(space) = rest.iter().take(8).position(|b| *b == b' ') else {
            return Err(if rest.len() < 8 { truncated } else { TreeError::BadMode(at) });
        };
        let mode = Mode::from_octal(&rest[..space]).ok_or(TreeError::BadMode(at))?;
        let Some(name_len) = rest[space + 1..].iter().position(|b| *b == 0) else {
            return Err(truncated);
        };
        let name = &rest[space + 1..space + 1 + name_len];
        let id_at = space + 1 + name_len + 1;
        let id = rest.get(id_at..id_at + 32).and_then(ObjectId::from_slice).ok_or(truncated)?;
        self.check_order(name, mode.is_tree()).ok_or(TreeError::Unsorted(at))?;
        (self.began, self.at) = (at, at + id_at + 32);
        Ok(EntryRef { mode, name, id })
    }

    /// Checks that an entry stands behind the last, and that no file has the name of a folder: these are not
    /// neighbours when `a.b` stands between `a` and `a`, but then all between them begin with it.
    fn check_order(&mut self, name: &'a [u8], is_tree: bool) -> Option<()> {
        let entry = (name, is_tree);
        if self.last.is_some_and(|last| compare(last, entry) != Ordering::Less) {
            return None;
        }
        while self.files.last().is_some_and(|file| !name.starts_with(file)) {
            self.files.pop();
        }
        if self.files.last().is_some_and(|file| *file == name) {
            return None;
        }
        if !is_tree {
            self.files.push(name);
        }
        self.last = Some(entry);
        Some(())
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<EntryRef<'a>, TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.at = self.bytes.len();
        }
        Some(entry)
    }
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
        for name in [&b"a-"[..], b"a.b", b"a", b"a0", b"b", b"", b"a\0"] {
            let found = find_entry(&tree.encode(), name).expect("valid");
            assert_eq!(found, tree.find(name).map(|entry| (entry.mode, entry.id)));
        }
    }

    #[test]
    fn a_file_and_a_folder_of_one_name_are_refused_whatever_stands_between() {
        let id = TreeId::empty().object();
        let raw = |entries: &[(Mode, &str)]| {
            let entries = entries.iter().map(|(mode, name)| entry(*mode, name)).collect();
            Tree { entries }.encode()
        };
        let (file, folder) = (Mode::File, Mode::Tree);
        assert!(Tree::decode(&raw(&[(file, "a"), (file, "a-"), (file, "a.b"), (folder, "a")])).is_err());
        assert!(Tree::decode(&raw(&[(file, "a"), (file, "a-"), (file, "a-b"), (folder, "a-")])).is_err());
        assert!(Tree::decode(&raw(&[(file, "a"), (folder, "a")])).is_err());
        let fine =
            raw(&[(file, "a"), (file, "a-"), (folder, "a-b"), (file, "a.b"), (folder, "a0"), (folder, "b")]);
        assert_eq!(Tree::decode(&fine).expect("valid").entries().len(), 6);
        let read: Vec<_> = Entries::new(&fine).map(|entry| entry.expect("valid")).collect();
        assert_eq!(read[2], EntryRef { mode: folder, name: b"a-b", id });
    }

    #[test]
    fn behind_an_error_nothing_more_is_read() {
        let bytes = [&Tree::from_entries([entry(Mode::File, "a")]).encode()[..], b"100644 b\0short"].concat();
        let mut entries = Entries::new(&bytes);
        assert!(matches!(entries.next(), Some(Ok(EntryRef { name: b"a", .. }))));
        assert!(matches!(entries.next(), Some(Err(TreeError::Truncated(41)))));
        assert!(entries.next().is_none());
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
            assert!(find_entry(&good[..cut], b"b").is_err(), "cut at {cut}");
        }
    }
}
