//! Reading what the walk could not vouch for: every file is read as it stood at one moment, or refused.
//!
//! - A file is opened without following links and without waiting for a fifo's writer; `fstat` before and
//!   after must agree and the length must be what it said. Else it is read once more, then refused.
//! - A write in place sets the `ctime` when it begins and copies then: so whoever writes at the first `fstat`
//!   is waited for, and whoever begins after it is seen at the second.
//! - A file to which lines are only ever added may grow meanwhile: it is taken as its whole lines of the first
//!   look, once a second reading has shown that they are still there. One that shrank or was rewritten is refused
//!   like any other.
//! - Files up to a limit come whole; larger ones as a reader, in bounded memory.

use std::io;

use rayon::prelude::{ParallelIterator, ParallelSlice};

use crate::fs::{self, Dir, File, FileKind, Stat};
use crate::object::{
    BlobId, Entry, FileEntry, Kind, Mode, ObjectHasher, VaultPath, compare_paths, hash_object,
};

use super::folders::Folders;
use super::index::{IndexEntry, StatStamp};
use super::scan::{Candidate, Scan};
use super::skipped::{SkipReason, Skipped};
use super::traits::os;

/// How many files one thread reads with the folders on the way kept open.
const FILES_PER_RUN: usize = 32;
/// Files up to this size are read whole where only their hash is wanted.
const WHOLE_BYTES_MAX: u64 = 1 << 20;
/// How much of a large file is in memory at once.
const BUFFER_BYTES: usize = 256 << 10;
/// How much is read at a time to find the last line's end.
const LOOK_BACK_BYTES: usize = 16 << 10;

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
    /// Somebody is writing to it, and it has no whole line yet beyond the tree's version.
    #[error("it is being written, and has no new whole line yet")]
    NoNewLine,
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
    pub old: Option<FileEntry>,
    /// What is on disk.
    pub new: Option<FileEntry>,
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
        let order = |change: &Change| compare_paths(change.path.as_bytes(), path.as_bytes());
        self.changes.binary_search_by(order).ok().map(|at| &self.changes[at])
    }

    /// Returns the folders that were left alone because nothing is mounted on them.
    pub(super) fn unmounted(&self) -> Vec<VaultPath> {
        let unmounted = self.skipped.iter().filter(|one| one.reason == SkipReason::NotMounted);
        unmounted.filter_map(|one| VaultPath::parse(one.path.as_slice()).ok()).collect()
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

/// What became of a file's content, and the `stat` it was read under; none if more is on disk than was taken.
pub type Taken<T> = (T, Option<Stat>);

/// What a caller does with the content of files.
pub struct Take<'a, T> {
    /// Files up to this length come whole.
    pub whole_bytes_max: u64,
    /// Takes the content. It may be called twice for a file that changed under the first reading; only the last
    /// answer counts.
    pub content: &'a (dyn Fn(&Candidate, Body<'_>) -> T + Sync),
    /// Returns the blob that a large file came to, if all of it was read.
    pub blob: &'a (dyn Fn(&T) -> Option<BlobId> + Sync),
}

/// Reads every candidate in parallel. Answers are in the candidates' order.
pub fn read_candidates<T: Send>(
    root: &Dir,
    candidates: &[Candidate],
    take: &Take<'_, T>,
) -> Vec<Result<Taken<T>, ReadError>> {
    let runs: Vec<Vec<_>> = candidates
        .par_chunks(FILES_PER_RUN)
        .map(|run| {
            let mut folders = Folders::new(root);
            run.iter().map(|candidate| read(&mut folders, candidate, take)).collect()
        })
        .collect();
    runs.into_iter().flatten().collect()
}

/// Reads one candidate, as [`read_candidates`] does.
pub fn read_candidate<T>(
    root: &Dir,
    candidate: &Candidate,
    take: &Take<'_, T>,
) -> Result<Taken<T>, ReadError> {
    read(&mut Folders::new(root), candidate, take)
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

fn read<T>(folders: &mut Folders, candidate: &Candidate, take: &Take<'_, T>) -> Result<Taken<T>, ReadError> {
    let dir = folders.parent_of(&candidate.path).map_err(disk_error)?;
    let name = os(candidate.path.name());
    if candidate.mode == Mode::Symlink {
        let stat = dir.stat(name).map_err(disk_error)?;
        if stat.kind != FileKind::Symlink {
            return Err(ReadError::NotAFile);
        }
        let target = dir.read_link(name).map_err(disk_error)?;
        return Ok(((take.content)(candidate, Body::Whole(target)), Some(stat)));
    }
    // A last line without its end may be all that a killed writer left. It is not taken only from a file that is
    // seen to grow.
    let mut is_growing = false;
    for _ in 0..2 {
        let file = dir.open(name).map_err(disk_error)?;
        let stat = file.stat().map_err(disk_error)?;
        if stat.kind != FileKind::File {
            return Err(ReadError::NotAFile);
        }
        file.settle();
        let taken = match candidate.grows_from {
            None => read_once(&file, &stat, (stat.size, Grows::No), candidate, take)?,
            Some(from) => {
                is_growing |= stat.inode == candidate.stat.inode && stat.size > candidate.stat.size;
                read_growing(&file, &stat, (from, is_growing), candidate, take)?
            }
        };
        if let Some(taken) = taken {
            return Ok(taken);
        }
        is_growing = true;
    }
    Err(ReadError::ChangedWhileRead)
}

/// Reads a file to which lines are added, from the length of the tree's version on.
fn read_growing<T>(
    file: &File,
    stat: &Stat,
    (from, is_growing): (u64, bool),
    candidate: &Candidate,
    take: &Take<'_, T>,
) -> Result<Option<Taken<T>>, ReadError> {
    let whole = whole_lines(file, stat.size)?;
    if is_growing && stat.size >= from.max(1) && whole < from.max(1) {
        return Err(ReadError::NoNewLine);
    }
    let size = if is_growing { whole } else { stat.size };
    let grows = if size == whole { Grows::Yes } else { Grows::No };
    read_once(file, stat, (size, grows), candidate, take)
}

/// Whether a file may grow while it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grows {
    Yes,
    No,
}

/// Returns how many bytes there are up to the end of the last whole line.
fn whole_lines(file: &File, size: u64) -> Result<u64, ReadError> {
    let mut block = vec![0; LOOK_BACK_BYTES];
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(LOOK_BACK_BYTES as u64);
        let count = usize::try_from(end - start).unwrap_or(LOOK_BACK_BYTES);
        match file.read_exact_at(&mut block[..count], start) {
            // Cut meanwhile: the reading that follows says so.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(size),
            other => other.map_err(disk_error)?,
        }
        if let Some(at) = block[..count].iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Reads the first `size` bytes of an open file that had `before`; `None` if it changed meanwhile, other than by
/// growing where it may grow.
fn read_once<T>(
    file: &File,
    before: &Stat,
    (size, grows): (u64, Grows),
    candidate: &Candidate,
    take: &Take<'_, T>,
) -> Result<Option<Taken<T>>, ReadError> {
    let may_grow = grows == Grows::Yes;
    let stat = (size == before.size).then_some(*before);
    let mut reader = Reader { file, at: 0, size, error: None };
    if size <= take.whole_bytes_max {
        let Some(bytes) = reader.read_whole()? else { return Ok(None) };
        // The content is handed on only once it is known to be of one moment.
        let is_same = match reader.kept(before)? {
            Kept::AsItWas => true,
            Kept::Grown => may_grow && reader.read_whole()?.is_some_and(|again| again == bytes),
            Kept::Changed => false,
        };
        return Ok(is_same.then(|| ((take.content)(candidate, Body::Whole(bytes)), stat)));
    }
    let taken = (take.content)(candidate, Body::Large(size, &mut reader));
    if let Some(error) = reader.error.take() {
        return Err(disk_error(error));
    }
    let is_same = match (reader.kept(before)?, (take.blob)(&taken)) {
        (Kept::AsItWas, _) => true,
        (Kept::Changed, _) => false,
        // Nothing was read yet.
        (Kept::Grown, None) => may_grow && reader.at == 0,
        (Kept::Grown, Some(blob)) => may_grow && reader.again().blob() == blob,
    };
    Ok(is_same.then_some((taken, stat)))
}

/// What became of a file while it was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    AsItWas,
    /// It is longer; what it had may have changed.
    Grown,
    Changed,
}

struct Reader<'a> {
    file: &'a File,
    at: u64,
    size: u64,
    error: Option<fs::Error>,
}

impl<'a> Reader<'a> {
    /// Tells what became of the file.
    fn kept(&self, before: &Stat) -> Result<Kept, ReadError> {
        let more = self.file.read_at(&mut [0], before.size).map_err(disk_error)?;
        let after = self.file.stat().map_err(disk_error)?;
        // Being renamed or linked meanwhile changes the ctime and not the content, but so does a write
        // whose mtime was then put back: only equality is proof.
        Ok(match () {
            () if more == 0 && after == (Stat { blocks: after.blocks, ..*before }) => Kept::AsItWas,
            () if after.size > before.size => Kept::Grown,
            () => Kept::Changed,
        })
    }

    /// Reads all of it into memory; `None` if it is shorter by now.
    fn read_whole(&self) -> Result<Option<Vec<u8>>, ReadError> {
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or(usize::MAX)];
        match self.file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other.map_err(disk_error)?,
        }
        Ok(Some(bytes))
    }

    fn again(&self) -> Reader<'a> {
        Reader { file: self.file, at: 0, size: self.size, error: None }
    }

    fn blob(mut self) -> BlobId {
        hash_body(Body::Large(self.size, &mut self))
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
    let stat = file.stat().map_err(disk_error)?;
    if stat.kind != FileKind::File {
        return Err(ReadError::NotAFile);
    }
    file.settle();
    let mut reader = Reader { file, at: 0, size: stat.size, error: None };
    let id = if stat.size <= WHOLE_BYTES_MAX {
        let Some(bytes) = reader.read_whole()? else { return Ok(None) };
        hash_body(Body::Whole(bytes))
    } else {
        hash_body(Body::Large(stat.size, &mut reader))
    };
    if let Some(error) = reader.error.take() {
        return Err(disk_error(error));
    }
    Ok((reader.kept(&stat)? == Kept::AsItWas).then_some((id, stat)))
}

/// Reads all candidates of a walk, in parallel, and says how the working tree differs from the tree.
/// `seen_ns` is [`file_system_now`] from before the call; without it no stamp is trusted later.
pub fn hash_candidates(root: &Dir, scan: &Scan, seen_ns: Option<i128>) -> LocalChanges {
    let take = Take {
        whole_bytes_max: WHOLE_BYTES_MAX,
        content: &|_, body| hash_body(body),
        blob: &|id: &BlobId| Some(*id),
    };
    let read = read_candidates(root, &scan.candidates, &take);
    let mut local = LocalChanges { skipped: scan.skipped.clone(), ..LocalChanges::default() };
    for (candidate, outcome) in scan.candidates.iter().zip(read) {
        let old = candidate.old.map(|(mode, id)| Entry { mode, id });
        let path = candidate.path.clone();
        match outcome {
            Ok((id, stat)) => {
                let stamp = stat.zip(seen_ns).and_then(|(stat, seen)| StatStamp::of(&stat, seen));
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
            Err(ReadError::Vanished | ReadError::NoNewLine) => {}
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
    local.changes.sort_by(|a, b| compare_paths(a.path.as_bytes(), b.path.as_bytes()));
    local.skipped.sort();
    local
}
