//! Reconcile: from heads that diverged to one head that every device computes alike.
//!
//! A commit is *authored* (a device made it) or *derived* (reconcile made it). The *frontier* of some
//! heads is what is left after each derived commit was replaced by its parents and every ancestor of
//! another one was dropped. The head for a frontier is its one commit, or the derived commit over all of
//! them, which is a pure function of their ids: no clock, no device, no local setting enters.
//!
//! - Everything here is a function over a [`Source`](crate::object::Source); what is made comes back as
//!   objects for the caller to store.
//! - Order comes from ancestry, bounded by stamps. Commit times are copied, never compared for order.
//! - A side that was left out of a head is *pending*, never lost; a conflict is data, never a marker in a
//!   file.
//! - Where several merge bases disagree, the base has *no value* there: sides that are equal merge, sides
//!   that differ conflict. No side is ever preferred silently.
//!
//! Limits: tree and text merges are gix's (the version is pinned, because a change in them would change
//! ids); files above [`TEXT_BYTES_MAX`] merge as binary; inexact renames are looked for among at most
//! [`RENAMES_MAX`] files a side, and only while at most [`RENAME_BYTES_MAX`] are compared. The limits are part of
//! the merge rule's version.

mod ancestry;
mod check;
mod conflict;
mod derive;
mod devices;
mod drivers;
mod engine;
mod fold;
mod path;
mod reconcile;
mod resolve;
mod rules;
mod seal;
mod tree;
mod veil;

#[cfg(test)]
mod tests;

pub use ancestry::{AheadBehind, History, Relation};
pub use conflict::{BaseValue, Conflict, ConflictKind, Made, Side};
pub use derive::{Derived, FormError, Recomputed, check_derived_form, derive, derived_parents, recompute};
pub use devices::{may_replace, merge_remote_ref, offer};
pub use engine::{RENAME_BYTES_MAX, RENAMES_MAX, TEXT_BYTES_MAX};
pub use reconcile::{Reconciled, Stuck, reconcile};
pub use resolve::{Choices, Chosen, Resolution, ResolveError, Take, choose, resolve};
pub use rules::{
    Base, ContentMerge, ContentOutcome, Driver, RULE_VERSION, RULES_FILE, RuleBook, Rules, Sealing,
};
pub use tree::{ThreeWay, TreeConflict, three_way};
pub use veil::{Purge, Veil, stand_in};

use crate::object::{CommitId, NameError, SourceError};

/// Why a merge could not be computed. A conflict is no error.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// An object that the merge needs could not be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No head was given.
    #[error("there is no head to reconcile")]
    NoHeads,
    /// A commit's stamp does not exceed its parent's, so walks by stamps would go wrong.
    #[error("the stamp of commit {0} does not exceed its parent's")]
    BadStamp(CommitId),
    /// The merge engine failed.
    #[error("cannot merge trees")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A merged path is none that a vault may hold.
    #[error("the merge made a path that no vault may hold")]
    Path(#[from] NameError),
    /// Setting conflicting paths aside did not come to an end.
    #[error("conflicts between these trees cannot be told apart from the rest")]
    Unsettled,
    /// The greatest stamp was reached.
    #[error("the stamps of these commits leave no room for another")]
    StampsExhausted,
}

/// The result of this room's functions.
pub type Result<T, E = MergeError> = std::result::Result<T, E>;
