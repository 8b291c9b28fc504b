//! Reconcile: what a device's head becomes when it learns of other heads.
//!
//! While the whole frontier does not fold cleanly, the head stands over as much of it as does: first what
//! the head already rests on, then the other members in order, each if the fold stays clean. What is left
//! is pending; nothing waits for it, and nothing in the tree moves because of it.

use std::collections::BTreeMap;

use super::Result;
use super::conflict::Conflict;
use super::derive::{Derived, derive_in};
use super::fold::Workshop;
use super::rules::RuleBook;
use crate::object::{CommitId, Object, ObjectId, Source};

/// What reconcile came to.
#[derive(Clone, Debug)]
pub struct Reconciled {
    /// The device's head from now on; the one it had if nothing changes.
    pub head: CommitId,
    /// The frontier of all that is known, sorted by (stamp, id).
    pub frontier: Vec<CommitId>,
    /// What the head rests on: the frontier of the head itself.
    pub folded: Vec<CommitId>,
    /// Members of the frontier that the head does not know.
    pub pending: Vec<CommitId>,
    /// Why they are pending, sorted by path: the conflicts of the whole frontier, the same on every device
    /// with the same frontier.
    pub conflicts: Vec<Conflict>,
    /// The version of the merge rule that the vault asks for, if this program does not know it: then the
    /// head stays.
    pub unknown_rule: Option<u32>,
    /// Objects of the head that the source does not have.
    pub objects: BTreeMap<ObjectId, Object>,
}

/// Computes the head of a device whose head is `own` and that knows of `offered`.
pub fn reconcile(
    source: &dyn Source,
    book: &dyn RuleBook,
    own: CommitId,
    offered: &[CommitId],
) -> Result<Reconciled> {
    let workshop = Workshop::new(source, book);
    let history = &workshop.history;
    let own_frontier = history.frontier([own])?;
    let frontier = history.frontier([own].into_iter().chain(offered.iter().copied()))?;
    let stay = Reconciled {
        head: own,
        frontier: frontier.clone(),
        folded: own_frontier.clone(),
        pending: Vec::new(),
        conflicts: Vec::new(),
        unknown_rule: None,
        objects: BTreeMap::new(),
    };
    if frontier == own_frontier {
        return Ok(stay);
    }
    let whole = derive_in(&workshop, frontier.clone())?;
    if let Derived { head: Some(head), objects, .. } = whole {
        return Ok(Reconciled { head, folded: frontier, objects, ..stay });
    }
    let pending_without = |folded: &[CommitId]| -> Result<Vec<CommitId>> {
        let mut pending = Vec::new();
        for id in &frontier {
            if !history.is_known(*id, folded)? {
                pending.push(*id);
            }
        }
        Ok(pending)
    };
    if whole.unknown_rule.is_some() {
        let pending = pending_without(&own_frontier)?;
        let Derived { conflicts, unknown_rule, .. } = whole;
        return Ok(Reconciled { pending, conflicts, unknown_rule, ..stay });
    }
    let mut part = stay;
    for id in &frontier {
        if history.is_known(*id, &part.folded)? {
            continue;
        }
        let more = history.maximal(part.folded.iter().copied().chain([*id]))?;
        if more == frontier {
            continue;
        }
        if let Derived { head: Some(head), objects, .. } = derive_in(&workshop, more.clone())? {
            part = Reconciled { head, folded: more, objects, ..part };
        }
    }
    part.pending = pending_without(&part.folded)?;
    part.conflicts = whole.conflicts;
    Ok(part)
}
