//! Reading what the walk could not vouch for: every file is read as it stood at one moment, or refused.
//!
//! - A file is opened without following links and without waiting for a fifo's writer; `fstat` before and
//!   after must agree and the length must be what it said. Else it is read once more, then refused.
//! - A write in place sets the `ctime` when it begins and copies then: so whoever writes at the first `fstat`
//!   is waited for, and whoever begins after it is seen at the second.
//! - Files up to a limit come whole; larger ones as a reader, in bounded memory.

use std::io;

use rayon::prelude::{ParallelIterator, ParallelSlice};

use crate::fs::{self, Dir, File, FileKind, Stat};
use crate::object::{BlobId, Kind, Mode, ObjectHasher, VaultPath, hash_object};

use super::folders::Folders;
use super::index::{IndexEntry, StatStamp};
use super::scan::{Candidate, Scan, SkipReason, Skipped};
use super::traits::os;

/// How many files one thread reads with the folders on the way kept open.
const FILES_PER_RUN: usize = 32;
/// Files up to this size are read whole where only their hash is wanted.
const WHOLE_BYTES_MAX: u64 = 1 << 20;
/// How much of a large file is in memory at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Why a file's content could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It was there when the walk saw it.
    #[error("it was removed while the working tree was read")]
    Vanished,
    /// It is not a file or link any more.
    #[error("it is not a regular file or link any more")]
    NotAFile,
    /// Someone writes to it, twice in a row while it was read.
    #[error("it changed while it was read")]
    ChangedWhileRead,
    /// No permission, or the disk failed.
    #[error(transparent)]
    Disk(fs::Error),
}

/// A file's content.
pub enum Body<'a> {
    /// All of it.
    Whole(Vec<u8>),
    /// A reader of exactly that many bytes, unless the file changes meanwhile.
    Large(u64, &'a mut (dyn io::Read + Send)),
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// A file's or link's mode.
    pub mode: Mode,
    /// Its blob.
    pub id: BlobId,
}

/// What became of a path, in words a user knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// On disk and not in the tree.
    Added,
    /// Other content, mode or type.
    Modified,
    /// In the tree and not on disk.
    Deleted,
}

/// A path at which the working tree differs from the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: VaultPath,
    /// What the tree has.
    pub old: Option<Entry>,
    /// What is on disk.
    pub new: Option<Entry>,
    /// The stamp of what is on disk, if it can be trusted later.
    pub stamp: Option<StatStamp>,
}

impl Change {
    /// Returns what became of the path.
    pub fn status(&self) -> Status {
        match (&self.old, &self.new) {
            (None, _) => Status::Added,
            (_, None) => Status::Deleted,
            _ => Status::Modified,
        }
    }

    /// Returns the record for an index of a tree that has what is on disk; `None` to remove it.
    pub fn index_entry(&self) -> Option<IndexEntry> {
        self.new.map(|new| IndexEntry { mode: new.mode, id: new.id, stamp: self.stamp, absent_here: false })
    }
}

/// How the working tree differs from the tree.
#[derive(Clone, Debug, Default)]
pub struct LocalChanges {
    /// Where it differs, in the order of a walk.
    pub changes: Vec<Change>,
    /// Files that only looked different, with their new record for the same tree's index.
    pub refreshed: Vec<(VaultPath, Option<IndexEntry>)>,
    /// What was left alone: the walk's, and what could not be read.
    pub skipped: Vec<Skipped>,
    /// Files that changed while they were read.
    pub unstable: Vec<VaultPath>,
}

impl LocalChanges {
    /// Finds the change at `path`.
    pub fn find(&self, path: &VaultPath) -> Option<&Change> {
        let order = |change: &Change| super::index::compare_paths(change.path.as_bytes(), path.as_bytes());
        self.changes.binary_search_by(order).ok().map(|at| &self.changes[at])
    }

    /// Pairs deleted with added paths of the same content and mode: `(old path, new path)`. Each path is
    /// in one pair at most; a pair of equal names comes first, else the order of paths decides.
    pub fn renames(&self) -> Vec<(VaultPath, VaultPath)> {
        let mut added: std::collections::BTreeMap<_, Vec<&VaultPath>> = std::collections::BTreeMap::new();
        for change in &self.changes {
            if let (None, Some(new)) = (change.old, change.new) {
                added.entry((new.id, new.mode)).or_default().push(&change.path);
            }
        }
        let mut pairs = Vec::new();
        for same_name in [true, false] {
            for change in &self.changes {
                let (Some(old), None) = (change.old, change.new) else { continue };
                let Some(paths) = added.get_mut(&(old.id, old.mode)) else { continue };
                if pairs.iter().any(|(from, _)| *from == change.path) {
                    continue;
                }
                let fits = |path: &&VaultPath| !same_name || path.name() == change.path.name();
                if let Some(at) = paths.iter().position(fits) {
                    pairs.push((change.path.clone(), paths.remove(at).clone()));
                }
            }
        }
        pairs.sort();
        pairs
    }
}

/// Returns the present moment by the clock of the file system under `dot`, a folder that may be written.
pub fn file_system_now(dot: &Dir) -> fs::Result<i128> {
    const NAME: &str = "clock.tmp";
    let file = match dot.create_new(NAME, 0o600) {
        Err(error) if error.is_exists() => {
            dot.remove_file(NAME)?;
            dot.create_new(NAME, 0o600)?
        }
        other => other?,
    };
    let now = file.stat()?.mtime_ns;
    dot.remove_file(NAME)?;
    Ok(now)
}

/// Reads every candidate in parallel and hands its content to `take`; with `take`'s answer comes the
/// `stat` of what was read. `take` may be called twice for a file that changed under the first reading;
/// only the last answer counts. Answers are in the candidates' order.
pub fn read_candidates<T: Send>(
    root: &Dir,
    candidates: &[Candidate],
    whole_bytes_max: u64,
    take: &(dyn Fn(&Candidate, Body<'_>) -> T + Sync),
) -> Vec<Result<(T, Stat), ReadError>> {
    let runs: Vec<Vec<_>> = candidates
        .par_chunks(FILES_PER_RUN)
        .map(|run| {
            let mut folders = Folders::new(root);
            run.iter().map(|candidate| read(&mut folders, candidate, whole_bytes_max, take)).collect()
        })
        .collect();
    runs.into_iter().flatten().collect()
}

/// Reads one candidate, as [`read_candidates`] does.
pub fn read_candidate<T>(
    root: &Dir,
    candidate: &Candidate,
    whole_bytes_max: u64,
    take: &(dyn Fn(&Candidate, Body<'_>) -> T + Sync),
) -> Result<(T, Stat), ReadError> {
    read(&mut Folders::new(root), candidate, whole_bytes_max, take)
}

fn disk_error(error: fs::Error) -> ReadError {
    if error.is_link() {
        ReadError::NotAFile
    } else if error.is_gone() {
        ReadError::Vanished
    } else {
        ReadError::Disk(error)
    }
}

fn read<T>(
    folders: &mut Folders,
    candidate: &Candidate,
    whole_bytes_max: u64,
    take: &(dyn Fn(&Candidate, Body<'_>) -> T + Sync),
) -> Result<(T, Stat), ReadError> {
    let dir = folders.parent_of(&candidate.path).map_err(disk_error)?;
    let name = os(candidate.path.name());
    if candidate.mode == Mode::Symlink {
        let stat = dir.stat(name).map_err(disk_error)?;
        if stat.kind != FileKind::Symlink {
            return Err(ReadError::NotAFile);
        }
        let target = dir.read_link(name).map_err(disk_error)?;
        return Ok((take(candidate, Body::Whole(target)), stat));
    }
    for _ in 0..2 {
        let file = dir.open(name).map_err(disk_error)?;
        if let Some(taken) = read_once(&file, whole_bytes_max, &|body| take(candidate, body))? {
            return Ok(taken);
        }
    }
    Err(ReadError::ChangedWhileRead)
}

/// Reads an open file, `None` if it changed meanwhile.
pub(super) fn read_once<T>(
    file: &File,
    whole_bytes_max: u64,
    take: &dyn Fn(Body<'_>) -> T,
) -> Result<Option<(T, Stat)>, ReadError> {
    let before = file.stat().map_err(disk_error)?;
    if before.kind != FileKind::File {
        return Err(ReadError::NotAFile);
    }
    file.settle();
    let mut reader = Reader { file, at: 0, size: before.size, error: None };
    let taken = if before.size <= whole_bytes_max {
        let size = usize::try_from(before.size).unwrap_or(usize::MAX);
        let mut bytes = vec![0; size];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(disk_error)?,
        }
        reader.at = before.size;
        // The content is handed on only once it is known to be of one moment.
        if !reader.stayed(&before)? {
            return Ok(None);
        }
        return Ok(Some((take(Body::Whole(bytes)), before)));
    } else {
        take(Body::Large(before.size, &mut reader))
    };
    if let Some(error) = reader.error.take() {
        return Err(disk_error(error));
    }
    Ok(reader.stayed(&before)?.then_some((taken, before)))
}

struct Reader<'a> {
    file: &'a File,
    at: u64,
    size: u64,
    error: Option<fs::Error>,
}

impl Reader<'_> {
    /// Tells whether the file is still what it was.
    fn stayed(&self, before: &Stat) -> Result<bool, ReadError> {
        let more = self.file.read_at(&mut [0], self.size).map_err(disk_error)?;
        let after = self.file.stat().map_err(disk_error)?;
        // Being renamed or linked meanwhile changes the ctime and not the content, but so does a write
        // whose mtime was then put back: only equality is proof.
        Ok(more == 0 && after == Stat { blocks: after.blocks, ..*before })
    }
}

impl io::Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        match self.file.read_at(&mut buffer[..wanted], self.at) {
            Ok(n) => {
                self.at += n as u64;
                Ok(n)
            }
            Err(error) => {
                let told = io::Error::new(error.kind(), error.to_string());
                self.error = Some(error);
                Err(told)
            }
        }
    }
}

/// Hashes a body. What is too short because the file changed gets an id that is thrown away.
pub(super) fn hash_body(body: Body<'_>) -> BlobId {
    BlobId::new(match body {
        Body::Whole(bytes) => hash_object(Kind::Blob, &bytes),
        Body::Large(size, reader) => {
            let mut hasher = ObjectHasher::new(Kind::Blob, size);
            let mut buffer = vec![0; BUFFER_BYTES];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                hasher.update(&buffer[..n]);
            }
            hasher.finish()
        }
    })
}

/// Hashes what is in an open file and returns the `stat` it had; `None` if it changed meanwhile.
pub(super) fn hash_file(file: &File) -> Result<Option<(BlobId, Stat)>, ReadError> {
    read_once(file, WHOLE_BYTES_MAX, &hash_body)
}

/// Reads all candidates of a walk, in parallel, and says how the working tree differs from the tree.
/// `seen_ns` is [`file_system_now`] from before the call; without it no stamp is trusted later.
pub fn hash_candidates(root: &Dir, scan: &Scan, seen_ns: Option<i128>) -> LocalChanges {
    let read = read_candidates(root, &scan.candidates, WHOLE_BYTES_MAX, &|_, body| hash_body(body));
    let mut local = LocalChanges { skipped: scan.skipped.clone(), ..LocalChanges::default() };
    for (candidate, outcome) in scan.candidates.iter().zip(read) {
        let old = candidate.old.map(|(mode, id)| Entry { mode, id });
        let path = candidate.path.clone();
        match outcome {
            Ok((id, stat)) => {
                let stamp = seen_ns.and_then(|seen| StatStamp::of(&stat, seen));
                let new = Some(Entry { mode: candidate.mode, id });
                let change = Change { path, old, new, stamp };
                if old == new {
                    local.refreshed.push((change.path.clone(), change.index_entry()));
                } else {
                    local.changes.push(change);
                }
            }
            Err(ReadError::Vanished) if old.is_some() => {
                local.changes.push(Change { path, old, new: None, stamp: None });
            }
            Err(ReadError::Vanished) => {}
            Err(ReadError::ChangedWhileRead) => local.unstable.push(path),
            Err(ReadError::NotAFile) => {
                let path = path.as_bytes().to_vec();
                local.skipped.push(Skipped { path, reason: SkipReason::Special });
            }
            Err(ReadError::Disk(_)) => {
                let path = path.as_bytes().to_vec();
                local.skipped.push(Skipped { path, reason: SkipReason::Unreadable });
            }
        }
    }
    let missing = scan.missing.iter().map(|missing| Change {
        path: missing.path.clone(),
        old: Some(Entry { mode: missing.old.0, id: missing.old.1 }),
        new: None,
        stamp: None,
    });
    local.changes.extend(missing);
    local.changes.sort_by(|a, b| super::index::compare_paths(a.path.as_bytes(), b.path.as_bytes()));
    local.skipped.sort();
    local
}
