//! What can go wrong in the store, and which of it is damage.

use std::io;

use super::Tombstone;
use super::pack::PackId;
use crate::fs;
use crate::object::{Kind, ObjectId, SourceError};

/// Why the store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// A pack's header, footer or table is not what it was when it was written.
    #[error("pack {pack} is damaged at offset {offset}: {what}")]
    Pack {
        /// The pack, by its file's name.
        pack: PackId,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A pack that a newer program wrote; it is neither read nor touched.
    #[error("pack {pack} has format {version}; this mvault knows format 1")]
    Newer {
        /// The pack.
        pack: PackId,
        /// Its version mark.
        version: char,
    },
    /// A record is not what its id says, in every pack that has it.
    #[error("object {id} is damaged in pack {pack} at offset {offset}: {what}")]
    Record {
        /// The object.
        id: ObjectId,
        /// The pack.
        pack: PackId,
        /// Where its record starts, in bytes.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A record is a delta on an object, or a recipe of one, that cannot be had.
    #[error("object {id} rests on {part}, which cannot be read")]
    Rests {
        /// The object that was wanted.
        id: ObjectId,
        /// The base, chunk or recipe it needs.
        part: ObjectId,
        /// What is wrong with that.
        #[source]
        source: Box<Error>,
    },
    /// Nobody knows the object.
    #[error("object {id} is missing")]
    Missing {
        /// The object.
        id: ObjectId,
    },
    /// The object's bytes were removed on request, and on purpose.
    #[error("object {id} was purged {tombstone}")]
    Purged {
        /// The object.
        id: ObjectId,
        /// Who, when, why.
        tombstone: Box<Tombstone>,
    },
    /// The object is too large to be handed out in one piece.
    #[error("{kind} {id} has {size} bytes, too many for memory: it must be streamed")]
    TooLarge {
        /// Its kind.
        kind: Kind,
        /// The object.
        id: ObjectId,
        /// Its length in bytes.
        size: u64,
    },
    /// The input had another length than was announced. The pack is as usable as before.
    #[error("the input has {actual} bytes where {announced} were announced")]
    WrongLength {
        /// What was announced, in bytes.
        announced: u64,
        /// What came, in bytes; one more than announced stands for any number above it.
        actual: u64,
    },
    /// An object was added before it was hashed, and its bytes are another's. Nothing of the pack is published.
    #[error("what was added as {id} hashes to another id")]
    WrongHash {
        /// The id it was added under.
        id: ObjectId,
    },
    /// The input could not be read. The pack is as usable as before.
    #[error("cannot read the input")]
    Input(#[source] io::Error),
    /// The output could not be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// There are more objects than one pack can list.
    #[error("too many objects for one pack")]
    PackFull,
    /// An earlier write to this pack failed: nothing on that file is trusted again.
    #[error("the pack being written failed before; nothing of it was kept")]
    Poisoned,
}

/// The result of an act on the store.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Tells whether stored bytes are damaged, as opposed to a disk that failed or a wrong argument.
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Pack { .. } | Error::Record { .. } => true,
            Error::Rests { source, .. } => source.is_damage() || matches!(**source, Error::Missing { .. }),
            _ => false,
        }
    }

    /// Returns `true` if the disk had no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Error::Disk(error) if error.is_full())
    }

    /// Tells whether nothing is damaged, and something is missing: the object, or what it depends on.
    pub fn is_absence(&self) -> bool {
        match self {
            Error::Missing { .. } => true,
            Error::Rests { source, .. } => source.is_absence(),
            _ => false,
        }
    }

    /// Returns the next thing to do, as a command where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        if self.is_damage() {
            return Some(
                "`mvault verify` lists everything that is damaged, `mvault repair --from REMOTE` brings it back; other \
                 objects stay readable",
            );
        }
        match self {
            Error::TooLarge { .. } => Some("`mvault cat` streams an object of any size"),
            Error::Poisoned => Some("run the command again"),
            _ => None,
        }
    }

    pub(super) fn for_source(self, id: ObjectId) -> SourceError {
        match self {
            Error::Purged { id, tombstone } => SourceError::Purged { id, how: tombstone.to_string() },
            other => SourceError::Read { id, source: Box::new(other) },
        }
    }
}
