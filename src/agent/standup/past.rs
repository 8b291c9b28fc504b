//! What of the history a standup is about: what came to this device since a moment, and what was made since
//! then though it was here before.
//!
//! - *What came since* follows from the operation log and ancestry alone: the head before the moment, and all
//!   that the present head has beyond it.
//! - The head before the moment is that of the newest operation from which on [`LOG_RUN`] operations in
//!   succession are dated before it; one dated after now tells nothing. So a clock of this device that was
//!   wrong for a few operations neither hides nor repeats a day.
//! - Behind that head the walk goes on, the greatest stamp first, until it has met [`OLD_RUN`] commits in
//!   succession that are dated before the moment and of two devices at least, or [`OLD_RUN_ALONE`] of
//!   whatever device: one device with a wrong clock does not hide another's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Since;
use super::waiting::{self, Waiting};
use crate::env::Moment;
use crate::merge::History;
use crate::object::{Commit, CommitId, Source};
use crate::oplog::{Operation, RefName, RefTarget};
use crate::vault::history::Walk;
use crate::vault::{Result, Vault};

/// So many operations before the moment, one after the other, are believed.
const LOG_RUN: usize = 16;
/// So many commits before the moment, one after the other and of several devices, are believed.
const OLD_RUN: usize = 64;
/// So many are believed of one device.
const OLD_RUN_ALONE: usize = 1_024;
/// So many operations are looked through for when something came.
pub const OPERATIONS_LOOKED_AT: usize = 20_000;

/// A commit that a standup tells of.
pub struct Chosen {
    /// Its id.
    pub id: CommitId,
    /// The commit.
    pub commit: Arc<Commit>,
    /// Whether it came to this device since.
    pub is_new: bool,
    /// When it came; none if that is not known, or it was made here.
    pub arrived: Option<Moment>,
    /// Whether it is not in this device's head yet.
    pub is_waiting: bool,
}

/// A move of the head that brought what other devices made.
pub struct Meeting {
    /// The operation.
    pub operation: Operation,
    /// The head after it.
    pub head: CommitId,
    /// What came, and was authored elsewhere.
    pub brought: Vec<CommitId>,
}

/// What a standup is about.
pub struct Past {
    /// The commits, the oldest first.
    pub chosen: Vec<Chosen>,
    /// Where the head stood before.
    pub base: CommitId,
    /// Heads of other devices that wait.
    pub waiting: Vec<CommitId>,
    /// Commits below all that is chosen, none an ancestor of another.
    pub below: Vec<CommitId>,
    /// Meetings with other devices since, the oldest first.
    pub meetings: Vec<Meeting>,
    /// The moment from which on this device's own logs are told, in seconds since 1970.
    pub from: i64,
}

/// A move of the branch's head.
struct HeadMove {
    operation: Operation,
    old: Option<CommitId>,
    new: CommitId,
}

/// Reads the past that a standup is about.
pub fn read(vault: &Vault, since: &Since) -> Result<Past> {
    let head = vault.head()?;
    let now = vault.env().clock.now();
    let history = History::new(vault.store());
    let (base, from) = base(vault, &history, since, head, now)?;
    let waiting = waiting::read(vault, &history, head)?;
    let heads = [&[head], waiting.heads.as_slice()].concat();
    let new: HashSet<CommitId> = history.only_in(&heads, &[base])?.into_iter().collect();
    let Walked { walked, mut chosen } = walk(vault, since, from, &new, &waiting)?;
    let below = below(&history, &walked, &chosen)?;
    let meetings = arrivals(vault, &history, base, head, &mut chosen)?;
    chosen.reverse();
    Ok(Past { chosen, base, waiting: waiting.heads, below, meetings, from })
}

/// Returns the moves of the branch's head, the newest first.
fn moves(vault: &Vault) -> impl Iterator<Item = Result<HeadMove>> + '_ {
    let branch = RefName::Branch(vault.branch());
    let as_commit = |target: &Option<RefTarget>| match target {
        Some(RefTarget::Commit(id)) => Some(*id),
        _ => None,
    };
    vault.log().operations().filter_map(move |operation| match operation {
        Err(error) => Some(Err(error.into())),
        Ok(operation) => {
            let (old, new) = operation.change(&branch).map(|c| (as_commit(&c.old), as_commit(&c.new)))?;
            Some(Ok(HeadMove { operation, old, new: new? }))
        }
    })
}

/// Returns the head before the moment, and the moment in seconds.
fn base(
    vault: &Vault,
    history: &History<'_>,
    since: &Since,
    head: CommitId,
    now: Moment,
) -> Result<(CommitId, i64)> {
    if let Since::Commit(id) = since {
        let mut from = vault.store().find_commit(*id)?.committer.seconds;
        for step in moves(vault).take(OPERATIONS_LOOKED_AT) {
            let HeadMove { operation, new, .. } = step?;
            if history.is_ancestor(new, *id)? {
                break;
            }
            from = seconds_of(&operation).unwrap_or(from);
        }
        return Ok((*id, from));
    }
    let from = since.from();
    let mut run = 0;
    let mut found = None;
    let mut at = head;
    for step in moves(vault) {
        let HeadMove { operation, old, new } = step?;
        match seconds_of(&operation) {
            Some(seconds) if seconds > now.seconds() => {}
            Some(seconds) if seconds >= from => (run, found) = (0, None),
            None => {}
            Some(_) => {
                run += 1;
                found.get_or_insert(new);
                if run == LOG_RUN {
                    break;
                }
            }
        }
        // What a vault began with was there before: of a clone, all that it was cloned from.
        at = old.unwrap_or(new);
    }
    Ok((found.unwrap_or(at), from))
}

fn seconds_of(operation: &Operation) -> Option<i64> {
    Moment::parse_rfc3339(&operation.at).map(|moment| moment.seconds())
}

/// What a walk met, the newest first.
struct Walked {
    walked: Vec<(CommitId, Arc<Commit>)>,
    chosen: Vec<Chosen>,
}

/// Walks down from the head, and from what waits, and chooses.
fn walk(
    vault: &Vault,
    since: &Since,
    from: i64,
    new: &HashSet<CommitId>,
    waiting: &Waiting,
) -> Result<Walked> {
    let mut found = Walked { walked: Vec::new(), chosen: Vec::new() };
    let now = vault.env().clock.now();
    let mut new_left = new.len();
    let (mut run, mut devices) = (0, HashSet::new());
    let heads = waiting.heads.iter().copied().chain([vault.head()?]);
    for step in Walk::new(vault.store(), heads)? {
        let (id, commit) = step?;
        let waits = waiting.commits.get(&id);
        // What waits was here since it came, though no head has it.
        let came_before = waits.is_some_and(|came| came.is_some_and(|came| came.seconds() < from));
        let is_new = new.contains(&id);
        new_left -= usize::from(is_new);
        let made = Moment {
            unix_ns: i128::from(commit.committer.seconds) * 1_000_000_000,
            offset_minutes: commit.committer.offset_minutes,
        };
        let is_within = since.covers(&made.rfc3339(), Some(made), now);
        if !commit.is_derived() && commit.vault.is_none() {
            if is_within {
                (run, devices) = (0, HashSet::new());
            } else if new_left == 0 && !is_new {
                run += 1;
                devices.insert(commit.device.clone());
            }
            if (is_new && !came_before) || is_within {
                let arrived = waits.copied().flatten();
                let is_waiting = waits.is_some();
                found.chosen.push(Chosen { id, commit: commit.clone(), is_new, arrived, is_waiting });
            }
        }
        found.walked.push((id, commit));
        let is_over = (run >= OLD_RUN && devices.len() > 1) || run >= OLD_RUN_ALONE;
        let asks_ancestry_alone = matches!(since, Since::Commit(_));
        if new_left == 0 && (is_over || asks_ancestry_alone) {
            break;
        }
    }
    Ok(found)
}

/// Returns what lies below everything chosen: parents of what is chosen, or of what descends from it, that
/// neither are chosen nor descend from what is.
fn below(
    history: &History<'_>,
    walked: &[(CommitId, Arc<Commit>)],
    chosen: &[Chosen],
) -> Result<Vec<CommitId>> {
    let mut above: HashSet<CommitId> = chosen.iter().map(|chosen| chosen.id).collect();
    let mut below = Vec::new();
    for (id, commit) in walked.iter().rev() {
        if above.contains(id) || commit.parents.iter().any(|parent| above.contains(parent)) {
            above.insert(*id);
            below.extend(commit.parents.iter().copied().filter(|parent| !above.contains(parent)));
        }
    }
    Ok(history.maximal(below)?)
}

/// Finds when what is chosen came, and the meetings since the base. Goes back beyond the base for what was
/// here before.
fn arrivals(
    vault: &Vault,
    history: &History<'_>,
    base: CommitId,
    head: CommitId,
    chosen: &mut [Chosen],
) -> Result<Vec<Meeting>> {
    let own = &vault.config().device;
    let foreign: HashSet<CommitId> = chosen
        .iter()
        .filter(|chosen| chosen.commit.device.as_ref() != Some(own) && !chosen.is_waiting)
        .map(|chosen| chosen.id)
        .collect();
    let mut came: HashMap<CommitId, Moment> = HashMap::new();
    let mut meetings = Vec::new();
    let mut is_before_base = base == head;
    for step in moves(vault).take(OPERATIONS_LOOKED_AT) {
        if is_before_base && came.len() == foreign.len() {
            break;
        }
        let HeadMove { operation, old, new } = step?;
        is_before_base |= new == base;
        let brought: Vec<CommitId> = match old {
            Some(old) => {
                let only = history.only_in(&[new], &[old])?;
                only.into_iter().filter(|id| foreign.contains(id)).collect()
            }
            // The first: what the vault began with.
            None => foreign.iter().copied().filter(|id| !came.contains_key(id)).collect(),
        };
        if brought.is_empty() {
            continue;
        }
        if let Some(at) = Moment::parse_rfc3339(&operation.at) {
            came.extend(brought.iter().map(|id| (*id, at)));
        }
        if !is_before_base {
            meetings.push(Meeting { operation, head: new, brought });
        }
    }
    for chosen in chosen.iter_mut().filter(|chosen| !chosen.is_waiting) {
        chosen.arrived = came.get(&chosen.id).copied();
    }
    meetings.reverse();
    Ok(meetings)
}
