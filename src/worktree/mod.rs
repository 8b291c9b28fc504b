//! The working tree: what is on disk compared with what is committed, and moved from one tree to another.
//!
//! - [`Index`] is a cache: one record a file of exactly one tree, with the `stat` under which its bytes
//!   were last seen to be that file's. It can be deleted at any time.
//! - [`scan`] walks by open folders, follows no symbolic link, reads no content and enters neither
//!   `.mvault` nor `.git`; [`hash_candidates`] and [`read_candidates`] read what it could not vouch for.
//! - [`plan`] decides, touching nothing; [`stage`] prepares under `.mvault/journal`; once the operation
//!   that the journal names is in the log, [`finish`] carries it out, as often as it takes.
//! - A path that cannot be changed now waits ([`Waits`]): everything else of the move is done, and what
//!   stands there is no edit.
//! - Untracked and ignored files are never removed and never written over.
//!
//! Limits: an editor that renames its own file over ours between our look and our rename loses that save
//! (there is no portable exchange of two names). Times come from the file system, never from our clock.

mod apply;
mod attributes;
mod finish;
mod finished;
mod folders;
mod ignore;
mod index;
mod journal;
mod look;
mod mounts;
mod placeholder;
mod plan;

mod read;
mod scan;
mod skipped;
mod spelling;
mod traits;

mod waits;

#[cfg(test)]
mod tests;

pub use apply::{Content, discard, journal_stats, pending_journal, stage};
pub use attributes::FileAttributes;
pub use finish::finish;
pub use finished::{Displaced, DisplacedBody, Finished};
pub use folders::Folders;
pub use ignore::{IGNORE_FILE, IgnoreRules, Withheld, WithheldRules};
pub use index::{Index, IndexEntry, LogMark, SeenFolder, StatStamp};
pub use journal::{Action, Expected, Journal, Nonce, Pending};
pub use look::{Look, OnDisk, RealLook};
pub use mounts::{MountLine, Mounts};
pub use plan::{Edits, InTheWay, Obstacle, Plan, PlanInput, Unwritable, plan};
pub use read::{
    Body, Change, LocalChanges, ReadError, Status, Take, Taken, file_system_now, hash_candidates,
    read_candidate, read_candidates,
};
pub use scan::{Candidate, Missing, Scan, ScanInput, scan};
pub use skipped::{SkipReason, Skipped};
pub use traits::Traits;
pub use waits::{Wait, Waits};

use crate::fs;
use crate::object::{NameError, SourceError};

/// What can go wrong with a working tree as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder refused.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// An object could not be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A tree holds a path that no vault can hold.
    #[error("a path in the tree is not usable")]
    Path(#[from] NameError),
    /// A journal that a newer mvault wrote; its checkout is finished by that one.
    #[error("a newer mvault left a checkout unfinished here")]
    NewerJournal,
    /// A journal that no mvault wrote as it is.
    #[error("the checkout journal is damaged: {0}")]
    Journal(String),
    /// A list of waiting paths that no mvault of this version wrote.
    #[error("the list of waiting paths is damaged: {0}")]
    Waits(String),
    /// An object is other than the tree says.
    #[error("object {id} cannot be written to {path}: {why}")]
    Content {
        /// The object.
        id: crate::object::ObjectId,
        /// Where it should have gone.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that is never touched took a place since the plan was made.
    #[error("{path} is in the way: {what}")]
    Blocked {
        /// Where.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// A plan that names obstacles was to be staged.
    #[error("{0} paths are in the way")]
    InTheWay(usize),
}

/// The result of an act on a working tree.
pub type Result<T> = std::result::Result<T, Error>;
