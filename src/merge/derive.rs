//! Derived commits: the head over a frontier as a pure function of it, and the checks for derived commits
//! that arrive.

use std::collections::BTreeMap;

use super::ancestry::History;
use super::conflict::Conflict;
use super::fold::{Folded, Workshop};
use super::rules::RuleBook;
use super::tree::new_objects;
use super::{MergeError, Result};
use crate::object::{
    Commit, CommitId, Kind, LAMPORT_MAX, Lamport, Object, ObjectId, Signature, Source, TreeId,
};

/// The name in the identity of every derived commit.
const DERIVED_NAME: &str = "mvault";
/// The address in it.
const DERIVED_EMAIL: &str = "reconcile@mvault.invalid";

/// The head over a frontier, or why there is none.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The frontier, sorted by (stamp, id).
    pub frontier: Vec<CommitId>,
    /// The head: the frontier's one commit, or the derived commit. None if there are conflicts or the rule
    /// is unknown.
    pub head: Option<CommitId>,
    /// The merged tree; paths in conflict are missing from it. None if there are no rules to merge by.
    pub tree: Option<TreeId>,
    /// What is in conflict, sorted by path.
    pub conflicts: Vec<Conflict>,
    /// The version of the merge rule that the vault asks for, if this program does not know it.
    pub unknown_rule: Option<u32>,
    /// New objects of the head: blobs, trees and the commit itself.
    pub objects: BTreeMap<ObjectId, Object>,
}

/// Computes the head over `heads`.
pub fn derive(source: &dyn Source, book: &dyn RuleBook, heads: &[CommitId]) -> Result<Derived> {
    let workshop = Workshop::new(source, book);
    let frontier = workshop.history.frontier(heads.iter().copied())?;
    derive_in(&workshop, frontier)
}

pub(super) fn derive_in(workshop: &Workshop<'_>, frontier: Vec<CommitId>) -> Result<Derived> {
    let none = Derived {
        frontier,
        head: None,
        tree: None,
        conflicts: Vec::new(),
        unknown_rule: None,
        objects: BTreeMap::new(),
    };
    if let [only] = none.frontier[..] {
        let tree = workshop.history.commit(only)?.tree;
        return Ok(Derived { head: Some(only), tree: Some(tree), ..none });
    }
    let folded = workshop.fold(&none.frontier)?;
    let unknown_rule = folded.is_unknown_rule().then_some(folded.version);
    let Folded { tree, conflicts, version, .. } = folded;
    let (Some(clean), true) = (tree, conflicts.is_empty()) else {
        return Ok(Derived { tree, conflicts, unknown_rule, ..none });
    };
    let commit = derived_commit(&workshop.history, &none.frontier, clean, version)?;
    let bytes = commit.encode();
    let head = commit.id();
    let mut objects = new_objects(&workshop.objects, clean)?;
    objects.insert(head.object(), Object { kind: Kind::Commit, data: bytes.into() });
    Ok(Derived { head: Some(head), tree, objects, ..none })
}

/// Returns the derived commit over a frontier whose fold is `tree`.
fn derived_commit(
    history: &History<'_>,
    frontier: &[CommitId],
    tree: TreeId,
    version: u32,
) -> Result<Commit> {
    let mut lamport = Lamport::default();
    let mut seconds = i64::MIN;
    for id in frontier {
        let parent = history.commit(*id)?;
        lamport = lamport.max(parent.lamport);
        seconds = seconds.max(parent.committer.seconds);
    }
    if lamport.0 >= LAMPORT_MAX {
        return Err(MergeError::StampsExhausted);
    }
    let who = Signature::new(DERIVED_NAME, DERIVED_EMAIL, seconds, 0);
    let ids: String = frontier.iter().map(|id| format!("{id}\n")).collect();
    Ok(Commit {
        tree,
        parents: frontier.to_vec(),
        author: who.clone(),
        committer: who,
        lamport: Lamport(lamport.0 + 1),
        device: None,
        session: None,
        restores: None,
        reconcile: Some(version),
        vault: None,
        purges: Vec::new(),
        extra: Vec::new(),
        message: format!("Reconcile {} heads\n\n{ids}", frontier.len()).into(),
    })
}

/// Why a derived commit is refused by its form.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// Not derived at all.
    #[error("the commit is not a derived one")]
    Authored,
    /// Fewer than two parents.
    #[error("a derived commit has two parents or more")]
    TooFewParents,
    /// A parent is derived itself.
    #[error("parent {0} of the derived commit is derived itself")]
    DerivedParent(CommitId),
    /// Parents out of order.
    #[error("the parents of the derived commit are not sorted by stamp and id")]
    Unsorted,
    /// A parent is an ancestor of another.
    #[error("a parent of the derived commit is an ancestor of another")]
    Related,
    /// The stamp is not one more than the greatest of the parents'.
    #[error("the stamp of the derived commit is {found} instead of {wanted}")]
    Stamp {
        /// The stamp it has.
        found: Lamport,
        /// The stamp it must have.
        wanted: u64,
    },
    /// Names a device or session, restores something, or is signed.
    #[error("a derived commit names no device and no session, restores nothing and is not signed")]
    Authorship,
    /// A parent could not be read.
    #[error("cannot check the parents of the derived commit")]
    Merge(#[from] MergeError),
}

/// Checks the form of a derived commit. Whether it is the one that its parents give is told by
/// [`recompute`]; that is reported, not refused.
pub fn check_derived_form(source: &dyn Source, commit: &Commit) -> std::result::Result<(), FormError> {
    if !commit.is_derived() {
        return Err(FormError::Authored);
    }
    let signed = commit.extra.iter().any(|(name, _)| name.starts_with(b"gpgsig"));
    if commit.device.is_some() || commit.session.is_some() || commit.restores.is_some() || signed {
        return Err(FormError::Authorship);
    }
    if commit.parents.len() < 2 {
        return Err(FormError::TooFewParents);
    }
    let history = History::new(source);
    let mut greatest = 0;
    for id in &commit.parents {
        let parent = history.commit(*id)?;
        if parent.is_derived() {
            return Err(FormError::DerivedParent(*id));
        }
        greatest = greatest.max(parent.lamport.0);
    }
    if commit.lamport.0 != greatest + 1 {
        return Err(FormError::Stamp { found: commit.lamport, wanted: greatest + 1 });
    }
    if history.sorted(commit.parents.iter().copied())? != commit.parents {
        return Err(FormError::Unsorted);
    }
    if history.maximal(commit.parents.iter().copied())? != commit.parents {
        return Err(FormError::Related);
    }
    Ok(())
}

/// What came of computing a derived commit again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recomputed {
    /// It is what its parents give.
    Same,
    /// Its parents give another one.
    Differs {
        /// The one they give.
        wanted: CommitId,
    },
    /// Its parents contradict each other: they give none.
    Conflicts(Vec<Conflict>),
    /// The vault asks for a merge rule that this program does not know, so it cannot tell.
    UnknownRule(u32),
    /// It was made of bytes that were purged since, so nobody without them can tell.
    Purged,
}

/// Computes a derived commit again from its parents.
pub fn recompute(source: &dyn Source, book: &dyn RuleBook, id: CommitId) -> Result<Recomputed> {
    let workshop = Workshop::new(source, book);
    let parents = workshop.history.commit(id)?.parents.clone();
    let derived = derive_in(&workshop, workshop.history.sorted(parents)?)?;
    if workshop.objects.below().was_blind() {
        return Ok(Recomputed::Purged);
    }
    Ok(match derived {
        Derived { unknown_rule: Some(version), .. } => Recomputed::UnknownRule(version),
        Derived { head: Some(head), .. } if head == id => Recomputed::Same,
        Derived { head: Some(wanted), .. } => Recomputed::Differs { wanted },
        Derived { conflicts, .. } => Recomputed::Conflicts(conflicts),
    })
}

/// Returns the derived commits that a frontier rests on directly: those among its members' parents. They
/// are the ones to recompute when the frontier arrives.
pub fn derived_parents(source: &dyn Source, frontier: &[CommitId]) -> Result<Vec<CommitId>> {
    let history = History::new(source);
    let mut derived = Vec::new();
    for id in frontier {
        for parent in &history.commit(*id)?.parents {
            if history.commit(*parent)?.is_derived() {
                derived.push(*parent);
            }
        }
    }
    history.sorted(derived)
}
