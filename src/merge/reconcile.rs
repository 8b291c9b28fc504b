//! Reconcile: what a device's head becomes when it learns of other heads.
//!
//! While the whole frontier does not fold cleanly, the head stands over as much of it as does: first what
//! the head already rests on, then the other members in order, each if the fold stays clean. What is left
//! is pending; nothing waits for it, and nothing in the tree moves because of it.
//!
//! A head that cannot be processed at all (an object is missing, the merge fails, it asks for a rule that this
//! program does not know) is *stuck*: it is named, with the reason, and the others are reconciled without it.

use std::collections::BTreeMap;

use super::conflict::Conflict;
use super::derive::{Derived, derive_in};
use super::fold::Workshop;
use super::rules::{RULE_VERSION, RULES_FILE, RuleBook};
use super::{MergeError, Result};
use crate::object::{CommitId, DeviceName, Object, ObjectId, Source};

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
    /// The version of the merge rule that this device's own head asks for, if this program does not know it:
    /// then the head stays.
    pub unknown_rule: Option<u32>,
    /// Heads that cannot be processed. They are left out, and nothing else waits for them.
    pub stuck: Vec<Stuck>,
    /// Objects of the head that the source does not have.
    pub objects: BTreeMap<ObjectId, Object>,
}

/// A head that cannot be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The head.
    pub head: CommitId,
    /// The device that made it, if the commit can be read.
    pub device: Option<DeviceName>,
    /// Why, for a person.
    pub reason: String,
    /// Whether the same heads give the same failure every time: nothing that a repair could bring back is
    /// missing.
    pub is_lasting: bool,
}

impl Stuck {
    /// Names a head with the reason why it is left out.
    fn new(source: &dyn Source, head: CommitId, reason: String, is_lasting: bool) -> Stuck {
        let device = source.find_commit(head).ok().and_then(|commit| commit.device);
        Stuck { head, device, reason, is_lasting }
    }

    /// Names a head that an error keeps out.
    pub fn by(source: &dyn Source, head: CommitId, error: &dyn std::error::Error, is_lasting: bool) -> Stuck {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        Stuck::new(source, head, reason, is_lasting)
    }
}

/// Computes the head of a device whose head is `own` and that knows of `offered`. Fails only where the own
/// head itself cannot be processed.
pub fn reconcile(
    source: &dyn Source,
    book: &dyn RuleBook,
    own: CommitId,
    offered: &[CommitId],
) -> Result<Reconciled> {
    match reconcile_all(source, book, own, offered) {
        Err(_) if !offered.is_empty() => reconcile_one_by_one(source, book, own, offered),
        done => done,
    }
}

/// Reconciles with each head that can be processed beside those before it.
fn reconcile_one_by_one(
    source: &dyn Source,
    book: &dyn RuleBook,
    own: CommitId,
    offered: &[CommitId],
) -> Result<Reconciled> {
    let mut done = reconcile_all(source, book, own, &[])?;
    let mut heads = offered.to_vec();
    heads.sort_by_key(|id| (source.find_commit(*id).map_or(u64::MAX, |commit| commit.lamport.0), *id));
    heads.dedup();
    let (mut good, mut stuck) = (Vec::new(), Vec::new());
    for head in heads {
        good.push(head);
        match reconcile_all(source, book, own, &good) {
            Ok(more) => done = more,
            Err(error) => {
                good.pop();
                let is_lasting = !matches!(error, MergeError::Source(_));
                stuck.push(Stuck::by(source, head, &error, is_lasting));
            }
        }
    }
    done.stuck.extend(stuck);
    Ok(done)
}

fn reconcile_all(
    source: &dyn Source,
    book: &dyn RuleBook,
    own: CommitId,
    offered: &[CommitId],
) -> Result<Reconciled> {
    let workshop = Workshop::new(source, book);
    let own_frontier = workshop.history.frontier([own])?;
    let frontier = workshop.history.frontier([own].into_iter().chain(offered.iter().copied()))?;
    let stay = Reconciled {
        head: own,
        frontier: frontier.clone(),
        folded: own_frontier.clone(),
        pending: Vec::new(),
        conflicts: Vec::new(),
        unknown_rule: None,
        stuck: Vec::new(),
        objects: BTreeMap::new(),
    };
    if frontier == own_frontier {
        return Ok(stay);
    }
    let whole = derive_in(&workshop, frontier.clone())?;
    let unknown_rule = match (&frontier[..], whole.unknown_rule) {
        // What needs no merge was not looked into.
        ([_], None) => Some(workshop.version_over(&frontier)?).filter(|version| *version != RULE_VERSION),
        (_, unknown) => unknown,
    };
    if let (Derived { head: Some(head), objects, .. }, None) = (&whole, unknown_rule) {
        return Ok(Reconciled { head: *head, folded: frontier, objects: objects.clone(), ..stay });
    }
    if let Some(version) = unknown_rule {
        let (known, stuck) = by_rule(&workshop, &own_frontier, &frontier)?;
        let own_version = workshop.version_over(&own_frontier)?;
        if let (Some(head), true) = (whole.head, own_version != RULE_VERSION) {
            return Ok(Reconciled { head, folded: frontier, objects: whole.objects, ..stay });
        }
        if stuck.is_empty() || own_version != RULE_VERSION {
            let pending = unknown_to(&workshop, &frontier, &own_frontier)?;
            let Derived { conflicts, .. } = whole;
            return Ok(Reconciled { pending, conflicts, unknown_rule: Some(version), ..stay });
        }
        let mut part = reconcile_all(source, book, own, &known)?;
        part.stuck.extend(stuck);
        return Ok(part);
    }
    fold_what_folds(&workshop, stay, whole.conflicts)
}

/// Takes into the head what folds cleanly, member by member.
fn fold_what_folds(
    workshop: &Workshop<'_>,
    mut part: Reconciled,
    conflicts: Vec<Conflict>,
) -> Result<Reconciled> {
    let history = &workshop.history;
    let frontier = part.frontier.clone();
    for id in &frontier {
        if history.is_known(*id, &part.folded)? {
            continue;
        }
        let more = history.maximal(part.folded.iter().copied().chain([*id]))?;
        if more == frontier {
            continue;
        }
        if let Derived { head: Some(head), objects, .. } = derive_in(workshop, more.clone())? {
            part = Reconciled { head, folded: more, objects, ..part };
        }
    }
    part.pending = unknown_to(workshop, &frontier, &part.folded)?;
    part.conflicts = conflicts;
    Ok(part)
}

/// Returns the members of a frontier that `folded` does not know.
fn unknown_to(workshop: &Workshop<'_>, frontier: &[CommitId], folded: &[CommitId]) -> Result<Vec<CommitId>> {
    let mut pending = Vec::new();
    for id in frontier {
        if !workshop.history.is_known(*id, folded)? {
            pending.push(*id);
        }
    }
    Ok(pending)
}

/// Parts the members of a frontier into those that can be merged by a rule that this program knows, and those
/// that ask for another one.
fn by_rule(
    workshop: &Workshop<'_>,
    own: &[CommitId],
    frontier: &[CommitId],
) -> Result<(Vec<CommitId>, Vec<Stuck>)> {
    let (mut known, mut stuck) = (Vec::new(), Vec::new());
    for id in unknown_to(workshop, frontier, own)? {
        let with = workshop.history.maximal(own.iter().copied().chain([id]))?;
        match workshop.version_over(&with)? {
            RULE_VERSION => known.push(id),
            version => {
                let reason = format!(
                    "its {RULES_FILE} asks for merge rule {version}, which this mvault does not know"
                );
                stuck.push(Stuck::new(workshop.history.source(), id, reason, true));
            }
        }
    }
    Ok((known, stuck))
}
