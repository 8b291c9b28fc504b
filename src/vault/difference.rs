//! Differences between two commits, or between a commit and the working tree, file by file.
//!
//! A file that went and one that came are told as a rename when they are equal, or when they share at
//! least half of their lines by size; as in git, empty files and links never pair up by likeness.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::commit::changes_from;
use super::{Result, Vault, local_changes};
use crate::object::{
    BlobId, FileEntry, Kind, Mode, ObjectId, Source, TreeId, VaultPath, diff_trees, hash_object,
};
use crate::worktree::Folders;

/// More bytes than this are not compared line by line.
pub const DIFF_BYTES_MAX: u64 = 32 << 20;
/// Larger files are not compared for likeness.
const LIKENESS_BYTES_MAX: u64 = 1 << 20;
/// So many pairs are compared for likeness, the rest only for equality.
const LIKENESS_PAIRS_MAX: usize = 10_000;

/// What stands at a path on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Where.
    pub path: VaultPath,
    /// What it is; never a folder.
    pub mode: Mode,
    /// Its blob.
    pub id: ObjectId,
    /// Where its bytes are.
    pub place: Place,
}

impl Version {
    fn stored(path: &VaultPath, file: FileEntry) -> Version {
        Version { path: path.clone(), mode: file.mode, id: file.id.object(), place: Place::Store }
    }
}

/// Where the bytes of a version are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the store.
    Store,
    /// In the working tree.
    Disk,
}

/// A file that differs: at least one side is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Before.
    pub old: Option<Version>,
    /// After.
    pub new: Option<Version>,
}

impl Difference {
    /// Returns the path after, or before if the file is gone.
    pub fn path(&self) -> &VaultPath {
        let side = self.new.as_ref().or(self.old.as_ref());
        &side.expect("one side of a difference is always there").path
    }

    /// Returns the word for what happened: `added`, `deleted`, `renamed`, `modified`.
    pub fn status(&self) -> &'static str {
        match (&self.old, &self.new) {
            (None, _) => "added",
            (_, None) => "deleted",
            (Some(old), Some(new)) if old.path != new.path => "renamed",
            _ => "modified",
        }
    }
}

/// Lists how `new` differs from `old` at `paths`, everywhere if there are none, sorted by path.
pub fn between(vault: &Vault, old: TreeId, new: TreeId, paths: &[VaultPath]) -> Result<Vec<Difference>> {
    let version = |path: &VaultPath, side: Option<FileEntry>| side.map(|side| Version::stored(path, side));
    let found = diff_trees(&vault.store, old, new)?;
    let wanted = found.iter().filter(|diff| is_wanted(&diff.path, paths));
    let differences = wanted
        .map(|diff| Difference { old: version(&diff.path, diff.old), new: version(&diff.path, diff.new) });
    let differences = differences.collect();
    pair_renames(vault, differences)
}

/// Lists how the working tree differs from `old`, or from the commit it stands on.
pub fn against_disk(vault: &mut Vault, old: Option<TreeId>, paths: &[VaultPath]) -> Result<Vec<Difference>> {
    let standing = vault.standing_tree()?;
    let mut sides: BTreeMap<VaultPath, [Option<Version>; 2]> = BTreeMap::new();
    let local = match old {
        Some(old) if old != standing && vault.parked().is_some() => {
            // What stands on disk while parked is no tree of the store: compare file by file.
            changes_from(vault, old, paths)?
        }
        _ => {
            if let Some(old) = old.filter(|old| *old != standing) {
                for diff in diff_trees(&vault.store, old, standing)? {
                    let version =
                        |side: Option<FileEntry>| side.map(|side| Version::stored(&diff.path, side));
                    sides.insert(diff.path.clone(), [version(diff.old), version(diff.new)]);
                }
            }
            local_changes(vault, paths)?
        }
    };
    for change in local.changes {
        let version = |entry: Option<FileEntry>, place| {
            entry.map(|entry| Version {
                path: change.path.clone(),
                mode: entry.mode,
                id: entry.id.object(),
                place,
            })
        };
        let new = version(change.new, Place::Disk);
        let side = sides.entry(change.path.clone());
        side.or_insert_with(|| [version(change.old, Place::Store), None])[1] = new;
    }
    let mut differences = Vec::new();
    for (path, [old, new]) in sides {
        let key = |side: &Option<Version>| side.as_ref().map(|version| (version.mode, version.id));
        if is_wanted(&path, paths) && key(&old) != key(&new) {
            differences.push(Difference { old, new });
        }
    }
    pair_renames(vault, differences)
}

fn is_wanted(path: &VaultPath, paths: &[VaultPath]) -> bool {
    paths.is_empty() || paths.iter().any(|wanted| path.is_within(wanted))
}

/// Tells whether a version's bytes were purged and are not here.
pub fn is_purged(vault: &Vault, version: &Version) -> bool {
    version.place == Place::Store && vault.store.is_removed(version.id)
}

/// Returns the bytes of a version, or `None` if there are more than [`DIFF_BYTES_MAX`], or none any more
/// because they were purged. A file on disk
/// that has changed meanwhile is returned as it is now, with its id.
pub fn content(vault: &Vault, version: &Version) -> Result<(ObjectId, Option<Arc<[u8]>>)> {
    match version.place {
        Place::Store if vault.store.is_removed(version.id) => Ok((version.id, None)),
        Place::Store => match vault.store.try_info(version.id)? {
            Some((_, size)) if size > DIFF_BYTES_MAX => Ok((version.id, None)),
            _ => Ok((version.id, Some(vault.store.find_blob(BlobId::new(version.id))?))),
        },
        Place::Disk => {
            use std::os::unix::ffi::OsStrExt;
            let name = std::ffi::OsStr::from_bytes(version.path.name());
            let folder = Folders::new(&vault.root).parent_of(&version.path)?;
            let bytes = if version.mode == Mode::Symlink {
                folder.read_link(name)?
            } else {
                let file = folder.open(name)?;
                if file.stat()?.size > DIFF_BYTES_MAX {
                    return Ok((version.id, None));
                }
                file.read_all(DIFF_BYTES_MAX)?
            };
            Ok((hash_object(Kind::Blob, &bytes), Some(bytes.into())))
        }
    }
}

/// Joins files that went with files that came.
fn pair_renames(vault: &Vault, differences: Vec<Difference>) -> Result<Vec<Difference>> {
    let is_file = |version: &Version| version.mode != Mode::Symlink;
    let empty = hash_object(Kind::Blob, b"");
    let (mut gone, mut come, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for difference in differences {
        match (difference.old, difference.new) {
            (Some(old), None) if old.id != empty => gone.push(old),
            (None, Some(new)) if new.id != empty => come.push(new),
            (old, new) => rest.push(Difference { old, new }),
        }
    }
    let mut by_id: HashMap<(ObjectId, bool), Vec<Version>> = HashMap::new();
    for old in gone.into_iter().rev() {
        by_id.entry((old.id, is_file(&old))).or_default().push(old);
    }
    let mut unpaired = Vec::new();
    for new in come {
        let same = by_id.get_mut(&(new.id, is_file(&new)));
        // Of several equal ones the one that kept its name, else the first.
        let old = same.and_then(|olds| {
            let at = olds.iter().rposition(|old| old.path.name() == new.path.name());
            at.map(|at| olds.remove(at)).or_else(|| olds.pop())
        });
        match old {
            Some(old) => rest.push(Difference { old: Some(old), new: Some(new) }),
            None => unpaired.push(new),
        }
    }
    let mut gone: Vec<Version> = by_id.into_values().flatten().collect();
    gone.sort_by(|a, b| a.path.cmp(&b.path));
    pair_alike(vault, gone, unpaired, &mut rest)?;
    rest.sort_by(|a, b| a.path().cmp(b.path()));
    Ok(rest)
}

/// Joins those that share most of their lines, the most alike first.
fn pair_alike(
    vault: &Vault,
    gone: Vec<Version>,
    come: Vec<Version>,
    rest: &mut Vec<Difference>,
) -> Result<()> {
    let mut scores = Vec::new();
    if gone.len() * come.len() <= LIKENESS_PAIRS_MAX && !gone.is_empty() && !come.is_empty() {
        let old_lines = gone.iter().map(|old| weigh_lines(vault, old)).collect::<Result<Vec<_>>>()?;
        let new_lines = come.iter().map(|new| weigh_lines(vault, new)).collect::<Result<Vec<_>>>()?;
        for (new_at, new) in new_lines.iter().enumerate() {
            for (old_at, old) in old_lines.iter().enumerate() {
                let percent = likeness_percent(old, new);
                if percent >= 50 {
                    scores.push((percent, old_at, new_at));
                }
            }
        }
    }
    scores.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.2, a.1).cmp(&(b.2, b.1))));
    let mut gone: Vec<Option<Version>> = gone.into_iter().map(Some).collect();
    let mut come: Vec<Option<Version>> = come.into_iter().map(Some).collect();
    for (_, old_at, new_at) in scores {
        if gone[old_at].is_some() && come[new_at].is_some() {
            rest.push(Difference { old: gone[old_at].take(), new: come[new_at].take() });
        }
    }
    rest.extend(gone.into_iter().flatten().map(|old| Difference { old: Some(old), new: None }));
    rest.extend(come.into_iter().flatten().map(|new| Difference { old: None, new: Some(new) }));
    Ok(())
}

/// The lines of a file by how many bytes they take in all; `None` for what never pairs by likeness.
type Lines = Option<(usize, HashMap<ObjectId, usize>)>;

fn weigh_lines(vault: &Vault, version: &Version) -> Result<Lines> {
    if version.mode == Mode::Symlink {
        return Ok(None);
    }
    let (_, bytes) = content(vault, version)?;
    let Some(bytes) = bytes.filter(|bytes| bytes.len() as u64 <= LIKENESS_BYTES_MAX) else { return Ok(None) };
    let mut lines: HashMap<ObjectId, usize> = HashMap::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        *lines.entry(hash_object(Kind::Blob, line)).or_default() += line.len();
    }
    Ok(Some((bytes.len(), lines)))
}

fn likeness_percent(old: &Lines, new: &Lines) -> usize {
    let (Some((old_len, old)), Some((new_len, new))) = (old, new) else { return 0 };
    let shared: usize = old.iter().map(|(line, len)| (*len).min(new.get(line).copied().unwrap_or(0))).sum();
    shared * 100 / (*old_len).max(*new_len).max(1)
}
