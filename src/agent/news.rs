//! What is new between two states of a vault: commits, files and events, by device and in causal order.
//!
//! Only what differs is read: equal folders are not entered, and of a stream only lines that the older
//! state lacks count.

use std::collections::HashSet;

use crate::events::{Event, EventId, Stream};
use crate::merge::History;
use crate::object::{
    BlobId, Commit, CommitId, DeviceName, FileEntry, ObjectId, Recent, Source, TreeDiff, TreeId, VaultPath,
    diff_trees, entry_at,
};
use crate::vault::rules::{Class, VaultRules};
use crate::vault::{Error, Result, Vault};

/// So many commits, the newest, are looked through for the files they changed.
const COMMITS_LOOKED_AT: usize = 500;
/// The longest stream that is read for news, in bytes.
const STREAM_BYTES_MAX: u64 = 64 << 20;
/// So many bytes of folders are kept, since a commit begins with those that the one before it left.
const FOLDERS_KEPT_BYTES: usize = 16 << 20;

/// An event that is new.
#[derive(Clone, Debug)]
pub struct EventNews {
    /// Its stream.
    pub stream: VaultPath,
    /// The event.
    pub event: Event,
}

/// What a commit did to a file.
#[derive(Clone, Debug)]
pub struct FileNews {
    /// The file.
    pub path: VaultPath,
    /// What it is to the vault.
    pub class: Class,
    /// The blob before; none if the commit added the file.
    pub old: Option<ObjectId>,
    /// The blob after; none if the commit removed it.
    pub new: Option<ObjectId>,
    /// The device that made the commit.
    pub device: Option<DeviceName>,
    /// The commit.
    pub commit: CommitId,
}

/// What is new.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// Authored commits, the oldest first.
    pub commits: Vec<(CommitId, Commit)>,
    /// What they did to files, in their order; streams and sidecars are left out.
    pub files: Vec<FileNews>,
    /// Events, by (stamp, device, number).
    pub events: Vec<EventNews>,
    /// How many more commits there are than were looked through.
    pub commits_left_out: usize,
}

/// Whose files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilesOf<'a> {
    /// Those of every device.
    All,
    /// Those of every device but this.
    AllBut(&'a DeviceName),
}

/// Returns what the history of `new` has and that of `old` has not.
pub fn between(vault: &Vault, old: &[CommitId], new: CommitId, files_of: FilesOf<'_>) -> Result<News> {
    let history = History::new(vault.store());
    let mut news = News::default();
    let mut ids = history.sorted(history.only_in(&[new], old)?)?;
    ids.reverse();
    for id in ids {
        let commit = history.commit(id)?;
        if commit.is_derived() || commit.vault.is_some() {
            continue;
        }
        if news.commits.len() == COMMITS_LOOKED_AT {
            news.commits_left_out += 1;
            continue;
        }
        news.commits.push((id, (*commit).clone()));
    }
    news.commits.reverse();
    let tree = vault.tree_of(new)?;
    let rules = vault.rules_of(tree)?;
    let folders = Recent::new(vault.store(), FOLDERS_KEPT_BYTES);
    let is_own =
        |commit: &Commit| matches!(files_of, FilesOf::AllBut(own) if commit.device.as_ref() == Some(own));
    for (id, commit) in &news.commits {
        if is_own(commit) {
            continue;
        }
        for diff in changed_by(vault, &folders, commit)? {
            let class = rules.class_of(&diff.path);
            if !matches!(class, Class::Stream | Class::Sidecar) {
                news.files.push(FileNews {
                    path: diff.path,
                    class,
                    old: diff.old.map(|old| old.id.object()),
                    new: diff.new.map(|new| new.id.object()),
                    device: commit.device.clone(),
                    commit: *id,
                });
            }
        }
    }
    // What a device wrote itself is no news to it: then no folder need be read.
    if news.commits_left_out == 0 && news.commits.iter().all(|(_, commit)| is_own(commit)) {
        return Ok(news);
    }
    let trees = old.iter().map(|id| vault.tree_of(*id)).collect::<Result<Vec<_>>>()?;
    news.events = new_events(vault, &folders, &rules, &trees, tree)?;
    Ok(news)
}

/// Returns every event of a commit's streams, in the total order.
pub fn all_events(vault: &Vault, head: CommitId) -> Result<Vec<EventNews>> {
    let tree = vault.tree_of(head)?;
    new_events(vault, vault.store(), &vault.rules_of(tree)?, &[], tree)
}

/// Returns what a commit changed that none of its parents has so. Folders come from `folders`.
pub(super) fn changed_by(vault: &Vault, folders: &dyn Source, commit: &Commit) -> Result<Vec<TreeDiff>> {
    let mut parents = Vec::new();
    for parent in &commit.parents {
        parents.push(vault.tree_of(*parent)?);
    }
    let Some(first) = parents.first() else { return Ok(Vec::new()) };
    let mut diffs = diff_trees(folders, *first, commit.tree)?;
    for parent in &parents[1..] {
        let mut kept = Vec::new();
        for diff in diffs {
            let theirs = entry_at(folders, *parent, &diff.path)?.and_then(|entry| entry.file());
            if theirs != diff.new {
                kept.push(diff);
            }
        }
        diffs = kept;
    }
    Ok(diffs)
}

/// Returns the events of `new` that none of `olds` has, in the total order. With no older tree all are new.
pub(super) fn new_events(
    vault: &Vault,
    folders: &dyn Source,
    rules: &VaultRules,
    olds: &[TreeId],
    new: TreeId,
) -> Result<Vec<EventNews>> {
    let against = olds.first().copied().unwrap_or_else(TreeId::empty);
    let mut found = Vec::new();
    for diff in diff_trees(folders, against, new)? {
        let Some(id) = diff.new.filter(FileEntry::is_file).map(|new| new.id.object()) else { continue };
        if rules.class_of(&diff.path) != Class::Stream {
            continue;
        }
        let mut known: HashSet<EventId> = HashSet::new();
        for old in olds {
            let entry = entry_at(folders, *old, &diff.path)?.filter(|entry| !entry.mode.is_tree());
            if let Some(bytes) = entry.map(|entry| stream(vault, entry.id)).transpose()?.flatten() {
                known.extend(Stream::parse(&bytes).events().map(|(_, facts)| facts.id));
            }
        }
        let Some(bytes) = stream(vault, id)? else { continue };
        for (line, facts) in Stream::parse(&bytes).events() {
            if !known.contains(&facts.id)
                && let Some(event) = line.event()
            {
                found.push(EventNews { stream: diff.path.clone(), event });
            }
        }
    }
    let key =
        |news: &EventNews| (news.event.lamport, news.event.device.clone(), news.event.seq, news.event.id);
    found.sort_by_key(key);
    found.dedup_by_key(|news| news.event.id);
    Ok(found)
}

/// Reads a stream; none if it is too long for news, or damaged: `verify` tells of that.
pub(super) fn stream(vault: &Vault, id: ObjectId) -> Result<Option<std::sync::Arc<[u8]>>> {
    let size = vault.store().try_info(id).map_err(Error::from)?.map_or(0, |(_, size)| size);
    if size > STREAM_BYTES_MAX {
        return Ok(None);
    }
    Ok(vault.store().find_blob(BlobId::new(id)).ok())
}
