//! What devices tell each other: offers, remote refs as sets of heads, and when one head may replace
//! another.
//!
//! Derived commits carry no knowledge. An offer names authored heads only, and whether a head knows more
//! than another is asked of the authored commits below them.

use std::collections::BTreeSet;

use super::Result;
use super::ancestry::History;
use crate::object::{CommitId, Source};

/// Returns what a device offers under its own name: the frontier of everything it knows, also of what is
/// pending, held or parked. Each side gives all its heads and refs.
pub fn offer(source: &dyn Source, known: &[CommitId]) -> Result<Vec<CommitId>> {
    History::new(source).frontier(known.iter().copied())
}

/// Returns what a remote ref becomes when its device offers heads: the frontier of the old and the new
/// ones. Never a replacement, so that an old offer that arrives late takes nothing back. Where they cannot be
/// compared, all of them stay.
pub fn merge_remote_ref(
    source: &dyn Source,
    old: &[CommitId],
    offered: &[CommitId],
) -> Result<Vec<CommitId>> {
    let all = || old.iter().chain(offered).copied();
    Ok(History::new(source)
        .frontier(all())
        .unwrap_or_else(|_| all().collect::<BTreeSet<_>>().into_iter().collect()))
}

/// Tells whether head `new` may replace head `old`: whether the authored ancestors of `old` are among
/// those of `new`.
pub fn may_replace(source: &dyn Source, old: CommitId, new: CommitId) -> Result<bool> {
    let history = History::new(source);
    let known = history.frontier([new])?;
    for id in history.frontier([old])? {
        if !history.is_known(id, &known)? {
            return Ok(false);
        }
    }
    Ok(true)
}
