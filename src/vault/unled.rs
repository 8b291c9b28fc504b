//! Commits in the store that nothing leads to: no ref, no operation of the log, no commit that one of them names.
//!
//! - A process that died between content and log leaves one, and so does a log that lost its end. Then they are the
//!   work of days, so maintenance keeps what they lead to, and `repair` lists them and brings them back as `saved/N`.
//! - A snapshot that was let go of is none of them: the log says that it may go.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::verify::named_commits;
use super::{Result, Vault};
use crate::object::{Commit, CommitId, Kind, ObjectId};
use crate::oplog::{OpLog, RefName};
use crate::store::Store;

/// A commit that nothing leads to, not even another one like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unled {
    /// The commit.
    pub commit: CommitId,
    /// The first line of its message.
    pub title: String,
    /// The device that made it, if it says so.
    pub device: Option<String>,
    /// When it was made, RFC 3339.
    pub at: String,
    /// How many commits nothing but it leads to, itself among them.
    pub commits: usize,
}

/// Returns all commits of the store but for those that the log says may go. Most of them are led to as well.
pub(super) fn unled_commits(store: &Store, log: &OpLog) -> Result<BTreeSet<CommitId>> {
    let mut commits: BTreeSet<CommitId> = store
        .ids()?
        .into_iter()
        .filter(|(_, kind)| *kind == Kind::Commit)
        .map(|(id, _)| CommitId::new(id))
        .collect();
    let let_go = let_go(log);
    commits.retain(|id| !let_go.contains(id));
    Ok(commits)
}

/// Returns the commits that were once a snapshot of `saved/`.
fn let_go(log: &OpLog) -> HashSet<CommitId> {
    let operations = log.operations().map_while(std::result::Result::ok);
    let changes = operations.flat_map(|operation| operation.refs);
    let snapshots = changes.filter(|change| matches!(change.name, RefName::Saved(_)));
    let targets = snapshots.flat_map(|change| [change.old, change.new]);
    targets.flatten().flat_map(|target| target.commits().collect::<Vec<_>>()).collect()
}

/// Finds the commits that nothing leads to. `led_to` has every commit that something leads to.
pub(super) fn find(store: &Store, log: &OpLog, led_to: &HashSet<ObjectId>) -> Result<Vec<Unled>> {
    let mut commits: BTreeMap<CommitId, Commit> = BTreeMap::new();
    for id in unled_commits(store, log)?.into_iter().filter(|id| !led_to.contains(&id.object())) {
        // What cannot be read was reported with its pack.
        if let Ok(commit) = store.commit(id) {
            commits.insert(id, (*commit).clone());
        }
    }
    let parents: HashSet<CommitId> = commits.values().flat_map(|commit| commit.parents.clone()).collect();
    let mut found = Vec::new();
    for (id, commit) in commits.iter().filter(|(id, _)| !parents.contains(id)) {
        let (mut seen, mut open) = (HashSet::from([*id]), vec![*id]);
        while let Some(commit) = open.pop().and_then(|id| commits.get(&id)) {
            open.extend(commit.parents.iter().filter(|id| commits.contains_key(id) && seen.insert(**id)));
        }
        found.push(Unled {
            commit: *id,
            title: commit.title(),
            device: commit.device.as_ref().map(ToString::to_string),
            at: crate::env::rfc3339(commit.committer.seconds, commit.committer.offset_minutes),
            commits: seen.len(),
        });
    }
    found.sort_by(|a, b| (&b.at, b.commit).cmp(&(&a.at, a.commit)));
    Ok(found)
}

/// Names the commits that nothing leads to as snapshots, which never leave this device. Returns their numbers.
pub fn bring_back(vault: &mut Vault) -> Result<Vec<(u64, CommitId)>> {
    let lock = vault.lock("repair")?;
    let mut led_to: HashSet<ObjectId> = HashSet::new();
    let mut open: Vec<CommitId> = named_commits(&vault.log).into_keys().collect();
    while let Some(id) = open.pop() {
        if led_to.insert(id.object())
            && let Ok(commit) = vault.store.commit(id)
        {
            open.extend(&commit.parents);
        }
    }
    let found = find(&vault.store, &vault.log, &led_to)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let RefName::Saved(first) = vault.log.refs().next_saved() else {
        unreachable!("the next saved state has a number")
    };
    let brought: Vec<(u64, CommitId)> = (first..).zip(found.iter().map(|one| one.commit)).collect();
    let operation = brought
        .iter()
        .fold(vault.operation("repair"), |operation, (number, id)| {
            operation.set(RefName::Saved(*number), *id)
        })
        .detail("brought_back", brought.iter().map(|(_, id)| id.to_string()).collect::<Vec<_>>());
    vault.publish(&lock, None, operation)?;
    Ok(brought)
}
