//! Objects: git's SHA-256 object model as values. Bytes in, values out; no files, no clock, no dice.
//!
//! - Ids are git's: SHA-256 of `"<kind> <length>\0"` and the body. `git hash-object` in a SHA-256
//!   repository gives the same id for the same bytes.
//! - A commit id is not a tree id: [`CommitId`], [`TreeId`] and [`BlobId`] do not mix.
//! - Decoding is strict: what would not encode back to the same bytes is refused.

mod canonical_json;
mod commit;
mod extent;
mod id;
mod lenient_json;
mod path;
mod sealed;
mod source;
mod stamp;
mod tree;
mod typed;
mod usual_commit;
mod visible;

pub use canonical_json::{JSON_DEPTH_MAX, Json, JsonError, JsonFault, JsonNumber, JsonObject, es6_number};
pub use commit::{Commit, CommitError, DeviceName, PURGES_MAX, SessionId, Signature, VaultId};
pub use extent::{ENTRIES_MAX, Extent, ExtentError, Extents, LINK_BYTES_MAX, check_link, link_target};
pub use id::{BlobId, CommitId, IdError, ObjectHasher, ObjectId, Prefix, TreeId, hash_object};
pub use lenient_json::LenientJson;
pub use path::{
    NameError, PATH_BYTES_MAX, VaultPath, check_name, compare_paths, first_part, fold_name, is_ignorable,
    is_reserved_name, prefixes,
};
pub use sealed::{check_line, read_line, seal_line};
pub use source::{Hashed, NoSource, Object, Overlay, Recent, Source, SourceError};
pub use stamp::{LAMPORT_JUMP_MAX, LAMPORT_MAX, Lamport, StampError};
pub use tree::{
    Entries, Entry, EntryRef, FileEntry, Lookup, Mode, Tree, TreeChange, TreeDiff, TreeEntry, TreeError,
    diff_trees, entry_at, find_entry, growth, list_tree, write_tree,
};
pub use typed::{Typed, shell_word, typed};
pub use visible::{is_hidden, must_show, push_visible, visible_line};

/// The kinds of object a vault holds. Tags are refs here, so there is no tag object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The bytes of a file, or the target of a symbolic link.
    Blob,
    /// A folder: names, modes and ids.
    Tree,
    /// A state of the vault with its parents, author and stamp.
    Commit,
}

impl Kind {
    /// Returns git's word for the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Blob => "blob",
            Kind::Tree => "tree",
            Kind::Commit => "commit",
        }
    }

    /// Returns the same kind in gix's terms.
    pub fn to_gix(self) -> gix::object::Kind {
        match self {
            Kind::Blob => gix::object::Kind::Blob,
            Kind::Tree => gix::object::Kind::Tree,
            Kind::Commit => gix::object::Kind::Commit,
        }
    }

    /// Returns the kind for gix's, or `None` for a tag object.
    pub fn from_gix(kind: gix::object::Kind) -> Option<Kind> {
        match kind {
            gix::object::Kind::Blob => Some(Kind::Blob),
            gix::object::Kind::Tree => Some(Kind::Tree),
            gix::object::Kind::Commit => Some(Kind::Commit),
            gix::object::Kind::Tag => None,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
