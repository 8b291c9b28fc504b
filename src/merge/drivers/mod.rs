//! Content drivers: how two versions of one file become one.
//!
//! gix runs the text, union and binary drivers itself while it merges trees. Here are the same three for
//! the places that gix does not see: a base without value, and a person's wish to keep both sides.

mod text;

use std::sync::Arc;

pub(super) use text::{is_binary, union};

use super::rules::{Base, ContentOutcome, Driver};

/// The contents of the files that are merged.
pub(super) struct Contents {
    pub base: Option<Arc<[u8]>>,
    pub ours: Arc<[u8]>,
    pub theirs: Arc<[u8]>,
}

impl Contents {
    /// Tells whether one of the sides is no text.
    pub(super) fn is_binary(&self) -> bool {
        is_binary(&self.ours) || is_binary(&self.theirs)
    }
}

/// Merges two contents that differ.
pub(super) fn merge_contents(driver: &Driver, base: Base<'_>, contents: &Contents) -> ContentOutcome {
    let conflict = ContentOutcome::Conflict { as_base: None };
    match (driver, base) {
        (Driver::Custom(driver), base) => driver.merge(base, &contents.ours, &contents.theirs),
        // Lines of both are kept whatever they came from, so a base without value is as good as none.
        (Driver::Union, Base::NoValue | Base::Absent) if !contents.is_binary() => {
            ContentOutcome::Clean(union(&[], &contents.ours, &contents.theirs))
        }
        (Driver::Union, Base::Known(base)) if !contents.is_binary() && !is_binary(base) => {
            ContentOutcome::Clean(union(base, &contents.ours, &contents.theirs))
        }
        (Driver::Text | Driver::Binary | Driver::Union, _) => conflict,
    }
}
