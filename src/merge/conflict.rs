//! Conflicts as data: where two sides contradict each other, what they came from, who made them.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::object::{BlobId, CommitId, DeviceName, Entry, Object, ObjectId, Source, SourceError, VaultPath};

/// What the sides of a conflict have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseValue {
    /// Nothing stood there.
    Absent,
    /// This did.
    Known(Entry),
    /// There are several bases, and they disagree: the value is equal to nothing.
    NoValue,
}

impl BaseValue {
    /// Returns the base's entry if it has one.
    pub fn entry(&self) -> Option<Entry> {
        match self {
            BaseValue::Known(entry) => Some(*entry),
            BaseValue::Absent | BaseValue::NoValue => None,
        }
    }

    pub(super) fn from_entry(entry: Option<Entry>) -> BaseValue {
        entry.map_or(BaseValue::Absent, BaseValue::Known)
    }

    /// Tells whether a side that has `entry` left the base as it was.
    pub(super) fn is_unchanged(&self, entry: Option<Entry>) -> bool {
        match self {
            BaseValue::Absent => entry.is_none(),
            BaseValue::Known(base) => entry == Some(*base),
            BaseValue::NoValue => false,
        }
    }
}

/// What kind of contradiction it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// The same lines, or the same content for a driver, were changed in two ways.
    Content,
    /// Two versions of a file whose contents are not merged.
    Binary,
    /// Both sides added the path, with different contents.
    AddAdd,
    /// One side deleted what the other changed.
    DeleteEdit,
    /// A file on one side, a folder on the other.
    FileFolder,
    /// A file on one side, a link on the other; two different links; or modes that exclude each other.
    Type,
    /// Moved here by one side while the other side moved, deleted or replaced the same thing.
    Rename,
}

impl ConflictKind {
    /// Returns the word that is shown and put into JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ConflictKind::Content => "content",
            ConflictKind::Binary => "binary",
            ConflictKind::AddAdd => "add-add",
            ConflictKind::DeleteEdit => "delete-edit",
            ConflictKind::FileFolder => "file-folder",
            ConflictKind::Type => "type",
            ConflictKind::Rename => "rename",
        }
    }

    /// Returns the kind of a word.
    pub fn parse(word: &str) -> Option<ConflictKind> {
        let all = [
            ConflictKind::Content,
            ConflictKind::Binary,
            ConflictKind::AddAdd,
            ConflictKind::DeleteEdit,
            ConflictKind::FileFolder,
            ConflictKind::Type,
            ConflictKind::Rename,
        ];
        all.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl std::fmt::Display for ConflictKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The head that brings it.
    pub commit: CommitId,
    /// The device that made that head.
    pub device: Option<DeviceName>,
    /// What the side has: `None` where it deleted. Where several heads merged cleanly before they met the
    /// other side, each of them is listed with their merged entry.
    pub entry: Option<Entry>,
}

/// One contradiction between heads, at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Where the resolution will stand.
    pub path: VaultPath,
    /// What kind of contradiction it is.
    pub kind: ConflictKind,
    /// What the sides have in common.
    pub base: BaseValue,
    /// The sides, in the order of the frontier.
    pub sides: Vec<Side>,
    /// Other paths that belong to this conflict and are gone once it is resolved, for example the old
    /// name of a file that one side renamed.
    pub clears: Vec<VaultPath>,
    /// What to know beyond the kind, for a person: why the `vault.toml` that was chosen is not valid.
    pub reason: Option<String>,
    /// Contents that it names and no commit holds: what several sides, or several bases, merged into.
    pub made: Made,
}

/// Objects that a merge made on the way to a conflict. No part of the conflict's identity: whether a
/// device has them stored already says nothing.
#[derive(Clone, Debug, Default)]
pub struct Made(pub(super) BTreeMap<ObjectId, Object>);

impl Made {
    /// Holds these objects.
    pub fn new(objects: BTreeMap<ObjectId, Object>) -> Made {
        Made(objects)
    }

    /// Returns the objects.
    pub fn objects(&self) -> &BTreeMap<ObjectId, Object> {
        &self.0
    }
}

impl PartialEq for Made {
    fn eq(&self, _: &Made) -> bool {
        true
    }
}

impl Eq for Made {}

impl Conflict {
    /// Returns the key under which a choice for this conflict is kept: the SHA-256, in hexadecimal, of
    /// the path, the base and the different entries of the sides. When one of them changes, so does the
    /// key, and the choice lapses.
    pub fn key(&self) -> String {
        let mut hasher = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        field(self.path.as_bytes());
        field(match self.base {
            BaseValue::Absent => b"absent",
            BaseValue::Known(_) => b"known",
            BaseValue::NoValue => b"no value",
        });
        field(self.base.entry().map(Entry::to_text).unwrap_or_default().as_bytes());
        for entry in self.distinct_entries() {
            field(entry.map(Entry::to_text).unwrap_or_default().as_bytes());
        }
        hex::encode(hasher.finalize())
    }

    /// Returns the content of a file or link that the conflict names.
    pub fn read(&self, source: &dyn Source, entry: Entry) -> Result<Arc<[u8]>, SourceError> {
        match self.made.0.get(&entry.id) {
            Some(object) => Ok(object.data.clone()),
            None => source.find_blob(BlobId::new(entry.id)),
        }
    }

    /// Returns the different entries that the sides have, sorted, a deletion first.
    pub fn distinct_entries(&self) -> Vec<Option<Entry>> {
        let entries: std::collections::BTreeSet<Option<Entry>> =
            self.sides.iter().map(|side| side.entry).collect();
        entries.into_iter().collect()
    }
}
