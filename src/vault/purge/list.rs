//! The list of tombstones, `.mvault/purged`: sealed lines, each a blob and a commit that purges it;
//! the last says how many they are.
//!
//! - It is a cache of what the history and the operation log say: which commits purge what, and what this
//!   device agreed to. Without the file both are read; whoever takes the lock next writes it again.
//! - Before an operation that brings new tombstones is appended the file is removed, after it it is
//!   written anew. So a list that is there is never older than the log, wherever a crash came.
//!
//! The store is told the list whenever it is read, and then says "purged" where it would say "missing".

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::fs;
use crate::merge::{History, Purge};
use crate::object::{BlobId, Commit, CommitId, ObjectId, Source, read_line, seal_line};
use crate::oplog::OpLog;
use crate::store::{Stage, Tombstone, Tombstones};
use crate::sync::wire::mask;
use crate::vault::history::Walk;
use crate::vault::{Result, Vault};

/// The list's file.
pub(in crate::vault) const LIST: &str = "purged";
const LIST_BYTES_MAX: u64 = 256 << 20;
const WHY_CHARS_MAX: usize = 200;
/// What the operations are called with which this device agrees to a purge, its own or another's.
pub(super) const OPERATION: &str = "purge";

/// A blob, a commit that purges it, and what is to be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::vault) struct Listed {
    pub blob: ObjectId,
    pub commit: CommitId,
    pub stone: Tombstone,
}

/// The last line of the file: how many come before it, so that a list which lost some is none.
#[derive(Serialize, Deserialize)]
struct End {
    lines: usize,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    blob: String,
    commit: String,
    stage: String,
    device: String,
    at: String,
    why: String,
}

const STAGES: [(&str, Stage); 3] = [("noted", Stage::Noted), ("due", Stage::Due), ("gone", Stage::Gone)];

impl Listed {
    fn new(blob: BlobId, id: CommitId, commit: &Commit, stage: Stage) -> Listed {
        let who = &commit.committer;
        let device = commit.device.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        let stone = Tombstone {
            stage,
            device,
            at: crate::env::rfc3339(who.seconds, who.offset_minutes),
            why: mask(&commit.title(), WHY_CHARS_MAX),
        };
        Listed { blob: blob.object(), commit: id, stone }
    }

    fn encode(&self) -> Vec<u8> {
        let stage = STAGES.iter().find(|(_, stage)| *stage == self.stone.stage).map_or("due", |s| s.0);
        let Tombstone { device, at, why, .. } = self.stone.clone();
        let (blob, commit) = (self.blob.to_string(), self.commit.to_string());
        let line = Line { blob, commit, stage: stage.to_owned(), device, at, why };
        seal_line(&line).0
    }

    fn decode(line: &[u8]) -> Option<Listed> {
        let Line { blob, commit, stage, device, at, why } = read_line(line)?;
        let stage = STAGES.iter().find(|(word, _)| *word == stage)?.1;
        Some(Listed {
            blob: ObjectId::parse(&blob).ok()?,
            commit: CommitId::parse(&commit).ok()?,
            stone: Tombstone {
                stage,
                device: mask(&device, 64),
                at: mask(&at, 64),
                why: mask(&why, WHY_CHARS_MAX),
            },
        })
    }
}

/// Writes a list as sealed lines with their number behind them.
fn encode(list: &[Listed]) -> Vec<u8> {
    let mut bytes: Vec<u8> = list.iter().flat_map(Listed::encode).collect();
    bytes.extend(seal_line(&End { lines: list.len() }).0);
    bytes
}

/// Returns the list of a vault in which nothing was purged.
pub(in crate::vault) fn empty_list() -> Vec<u8> {
    encode(&[])
}

/// Reads a list; one that lost anything is none.
fn decode(bytes: &[u8]) -> Option<Vec<Listed>> {
    let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
    let End { lines: count } = read_line(lines.pop()?)?;
    (lines.len() == count).then_some(())?;
    lines.into_iter().map(Listed::decode).collect()
}

/// Returns the tombstones in a list; where several commits purge one blob, the one that has come furthest.
fn tombstones(list: &[Listed]) -> Tombstones {
    let mut stones = Tombstones::new();
    for Listed { blob, stone, .. } in list {
        let known = stones.entry(*blob).or_insert_with(|| stone.clone());
        if stone.stage > known.stage {
            *known = stone.clone();
        }
    }
    stones
}

/// Returns the blobs whose bytes this device agreed to remove, by its log.
pub(in crate::vault) fn agreed_to_purge(log: &OpLog) -> BTreeSet<ObjectId> {
    let mut agreed = BTreeSet::new();
    for operation in log.operations().map_while(std::result::Result::ok) {
        if operation.op == OPERATION {
            let blobs = operation.detail.get("purged").and_then(|ids| ids.as_array());
            agreed.extend(blobs.into_iter().flatten().filter_map(|id| ObjectId::parse(id.as_str()?).ok()));
        }
    }
    agreed
}

impl Vault {
    /// Tells whether a blob's bytes were purged: they must not be committed again.
    pub fn is_purged(&self, blob: BlobId) -> bool {
        self.store.tombstone(blob.object()).is_some()
    }

    /// Tells whether anything was ever purged, as far as is known here.
    pub(in crate::vault) fn has_purged(&self) -> bool {
        !self.purged.is_empty()
    }

    /// Returns all tombstones for a merge.
    pub(in crate::vault) fn purges(&self) -> Vec<Purge> {
        let mut purges: Vec<Purge> = Vec::new();
        for listed in &self.purged {
            match purges.last_mut().filter(|purge| purge.commit == listed.commit) {
                Some(purge) => purge.blobs.push(listed.blob),
                None => purges.push(Purge { commit: listed.commit, blobs: vec![listed.blob] }),
            }
        }
        purges
    }

    /// Reads the list, or makes it from history and log. Tells whether the file was there.
    pub(in crate::vault) fn read_purged(&mut self) -> Result<bool> {
        let bytes = self.dot.try_read(LIST, LIST_BYTES_MAX)?;
        let read = bytes.as_deref().and_then(decode);
        let is_there = read.is_some();
        self.purged = read.map_or_else(|| self.make_list(), Ok)?;
        self.tell_store();
        if !self.purged.is_empty() {
            // Packs that were listed before a purge may name what is gone.
            self.store.refresh()?;
        }
        Ok(is_there)
    }

    fn tell_store(&self) {
        self.store.set_tombstones(tombstones(&self.purged));
    }

    /// Writes the list. The caller holds the lock.
    pub(super) fn save_purged(&mut self) -> Result<()> {
        self.purged.sort_by_key(|listed| (listed.commit, listed.blob));
        self.purged.dedup_by_key(|listed| (listed.commit, listed.blob));
        fs::replace_file(&self.dot, LIST, &encode(&self.purged), 0o600)?;
        self.tell_store();
        Ok(())
    }

    /// Removes the file, durably: an operation that brings tombstones is about to be appended.
    pub(in crate::vault) fn forget_purged(&self) -> Result<()> {
        match self.dot.remove_file(LIST) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        Ok(self.dot.sync()?)
    }

    /// Adds the tombstones of commits that became known and writes the list. `agreed` are the blobs that
    /// this device agreed to remove; of others the bytes stay, if they are here.
    pub(in crate::vault) fn note_purges(
        &mut self,
        commits: &[(CommitId, Commit)],
        agreed: &BTreeSet<ObjectId>,
    ) -> Result<()> {
        for (id, commit) in commits {
            for blob in &commit.purges {
                let stage = self.stage_of(blob.object(), agreed)?;
                self.purged.push(Listed::new(*blob, *id, commit, stage));
            }
        }
        self.save_purged()
    }

    /// Decides how far a purge has come here. What is not here cannot be lost: it is gone.
    fn stage_of(&self, blob: ObjectId, agreed: &BTreeSet<ObjectId>) -> Result<Stage> {
        Ok(match self.store.tombstone(blob) {
            _ if agreed.contains(&blob) => Stage::Due,
            Some(known) if known.stage > Stage::Noted => known.stage,
            _ if self.store.contains(blob)? => Stage::Noted,
            _ => Stage::Gone,
        })
    }

    /// Makes the list from the history of all refs, and from the log, which says what was agreed to.
    fn make_list(&self) -> Result<Vec<Listed>> {
        let agreed = agreed_to_purge(&self.log);
        let heads = self.log.refs().ours().flat_map(|(_, target)| target.commits()).collect::<BTreeSet<_>>();
        let mut list = Vec::new();
        // Damage in old history must not keep anybody from working: what lies behind it is not listed.
        let Ok(walk) = Walk::new(&self.store, heads) else { return Ok(list) };
        for (id, commit) in walk.map_while(std::result::Result::ok) {
            for blob in &commit.purges {
                list.push(Listed::new(*blob, id, &commit, self.stage_of(blob.object(), &agreed)?));
            }
        }
        list.sort_by_key(|listed| (listed.commit, listed.blob));
        Ok(list)
    }

    /// Returns the commits that purge something among those which `heads` bring to what refs lead to.
    pub(in crate::vault) fn purges_brought(&self, heads: &[CommitId]) -> Result<Vec<(CommitId, Commit)>> {
        let history = History::new(&self.store);
        let known: BTreeSet<CommitId> = self.log.refs().ours().flat_map(|(_, t)| t.commits()).collect();
        // What is lost here says nothing about what came.
        let known: Vec<CommitId> =
            known.into_iter().filter(|id| self.store.find_commit(*id).is_ok()).collect();
        let mut brought = Vec::new();
        for id in history.only_in(heads, &known)? {
            let commit = history.commit(id)?;
            if !commit.purges.is_empty() {
                brought.push((id, (*commit).clone()));
            }
        }
        Ok(brought)
    }
}
