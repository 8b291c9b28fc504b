//! The stat cache: for every file of exactly one tree, the `stat` under which its bytes were last seen.
//!
//! - Everything in it can be made again from the tree; a file of it that is damaged, torn, of another
//!   version or missing is no error, only no cache.
//! - It stays in the form it has on disk: opening it checks a hash and does no work an entry.
//! - Entries are sorted part by part (a slash sorts before every other byte), which is the order of a walk
//!   that lists each folder sorted.
//! - A stamp is kept only if the file's times lie before the moment when reading began, by the file
//!   system's own clock: a later write must then show. This is git's rule for racy entries, made stricter.
//!
//! - For a folder that held nothing but files of the tree and folders with such files, it keeps the folder's
//!   own stamp: while that stays, so do the names in it, and the folder need not be listed.
//!
//! The format is in docs/format.md, "Index". Limits: 4 GiB of paths, times from 1677 to 2262.

use std::cmp::Ordering;
use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::fs::{self, Dir, Stat};
use crate::object::{
    BlobId, FileEntry, Mode, ObjectId, Source, TreeId, VaultPath, compare_paths, first_part, list_tree,
};

use super::look::{Look, can_be_made};

/// The name of the cache's file in `.mvault`.
const INDEX_FILE: &str = "index";
/// The name under which it is written.
const INDEX_TEMP: &str = "index.tmp";
const MAGIC: &[u8; 8] = b"mvindex1";
const HEADER_BYTES: usize = 104;
const RECORD_BYTES: usize = 72;
const FOLDER_BYTES: usize = 32;
const HASH_BYTES: usize = 32;
/// The largest file that is read as an index.
const INDEX_BYTES_MAX: u64 = 4 << 30;

const FLAG_STAMPED: u8 = 1;
const FLAG_ABSENT: u8 = 2;

/// How far the operation log had come when the index was written: a log that is shorter lost its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogMark {
    /// The sequence number of the last operation.
    pub seq: u64,
    /// That operation's hash.
    pub hash: [u8; 32],
}

/// The part of a `stat` that tells whether a file was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatStamp {
    /// Length in bytes.
    pub size: u64,
    /// Time of the last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Time of the last change of anything, nanoseconds since 1970.
    pub ctime_ns: i64,
    /// The inode's number.
    pub inode: u64,
}

impl StatStamp {
    /// Takes the stamp of a file that was seen at `seen_ns` or later by the file system's clock; `None` if
    /// a later write could leave the same stamp.
    pub fn of(stat: &Stat, seen_ns: i128) -> Option<StatStamp> {
        (stat.mtime_ns < seen_ns && stat.ctime_ns < seen_ns).then(|| StatStamp::unchecked(stat)).flatten()
    }

    /// Takes the stamp for a comparison.
    pub(super) fn unchecked(stat: &Stat) -> Option<StatStamp> {
        let mtime_ns = i64::try_from(stat.mtime_ns).ok()?;
        let ctime_ns = i64::try_from(stat.ctime_ns).ok()?;
        Some(StatStamp { size: stat.size, mtime_ns, ctime_ns, inode: stat.inode })
    }
}

/// One file of the tree, and under which stamp it was last seen on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// What the tree says it is; never a folder.
    pub mode: Mode,
    /// The blob the tree names.
    pub id: BlobId,
    /// The stamp under which the file on disk was seen to be this blob with this mode; none if it has to
    /// be read to know.
    pub stamp: Option<StatStamp>,
    /// The name cannot exist here: that the file is not there means nothing.
    pub absent_here: bool,
}

/// A folder that the walk listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenFolder {
    /// Its path with a slash at the end; empty for the root.
    pub(super) base: Vec<u8>,
    /// Its own stamp from before it was listed; the size means nothing.
    pub(super) stamp: StatStamp,
    /// How many names it held that can be in a tree.
    pub(super) names: usize,
}

/// The cache of one tree.
#[derive(Clone, PartialEq, Eq)]
pub struct Index {
    /// Header, records and paths, as on disk.
    bytes: Vec<u8>,
    count: usize,
    /// The stamps of folders whose names are exactly those of the tree.
    folders: HashMap<Vec<u8>, StatStamp>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index of {} with {} entries", self.tree(), self.count)
    }
}

/// The modes a file of a tree can have, by the byte that stands for each.
const MODES: [Mode; 3] = [Mode::File, Mode::Executable, Mode::Symlink];

fn mode_of(byte: u8) -> Option<Mode> {
    MODES.get(usize::from(byte)).copied()
}

fn byte_of(mode: Mode) -> u8 {
    match mode {
        Mode::Executable => 1,
        Mode::Symlink => 2,
        Mode::File | Mode::Tree => 0,
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has this length")
}

impl Index {
    /// Returns the index of a tree with no files.
    pub fn empty() -> Index {
        Writer::new(0).finish(TreeId::empty(), LogMark::default())
    }

    /// Makes the index of `tree` from the tree alone; every file has to be read to know.
    pub fn from_tree(source: &dyn Source, tree: TreeId) -> super::Result<Index> {
        let mut writer = Writer::new(0);
        for file in list_tree(source, tree) {
            let (path, FileEntry { mode, id }) = file?;
            let entry = IndexEntry { mode, id, stamp: None, absent_here: false };
            writer.push(path.as_bytes(), &entry);
        }
        Ok(writer.finish(tree, LogMark::default()))
    }

    /// Marks the files whose names or link targets cannot exist here; for an index made from a tree alone, which would
    /// else take them for deleted. (Names that are one here are found by the walk.)
    pub fn mark_impossible(self, source: &dyn Source, look: &mut dyn Look) -> super::Result<Index> {
        let mut changes = Vec::new();
        for (path, entry) in self.iter() {
            let path = VaultPath::parse(path)?;
            // What could not be tried is taken as possible.
            let can_exist = path.parts().all(|part| look.can_exist(part).unwrap_or(true))
                && can_be_made(look, source, entry.mode, entry.id).unwrap_or(true);
            if !can_exist || look.is_purged(entry.id) || look.is_withheld(&path, entry.id) {
                changes.push((path, Some(IndexEntry { absent_here: true, ..entry })));
            }
        }
        Ok(self.updated(self.tree(), self.log_mark(), changes))
    }

    /// Reads the index from `.mvault`; `None` if there is none that can be used.
    pub fn load(dot: &Dir) -> fs::Result<Option<Index>> {
        match dot.try_read(INDEX_FILE, INDEX_BYTES_MAX) {
            Ok(bytes) => Ok(bytes.and_then(Index::parse)),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the mark alone, unchecked: one that the log does not hold may be that of a damaged index.
    pub fn peek_log_mark(dot: &Dir) -> fs::Result<Option<LogMark>> {
        let mut header = [0; HEADER_BYTES];
        let file = match dot.open(INDEX_FILE) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        match file.read_exact_at(&mut header, 0) {
            Ok(()) if header.starts_with(MAGIC) => {
                Ok(Some(LogMark { seq: u64::from_le_bytes(array(&header, 48)), hash: array(&header, 56) }))
            }
            Ok(()) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the bytes of an index, if they are whole.
    pub fn parse(mut bytes: Vec<u8>) -> Option<Index> {
        let body_len = bytes.len().checked_sub(HASH_BYTES)?;
        let (body, hash) = bytes.split_at(body_len);
        if body_len < HEADER_BYTES || !body.starts_with(MAGIC) || Sha256::digest(body).as_slice() != hash {
            return None;
        }
        let number = |at| usize::try_from(u64::from_le_bytes(array(body, at))).ok();
        let count = number(8)?;
        let paths_at = count.checked_mul(RECORD_BYTES)?.checked_add(HEADER_BYTES)?;
        let files_end = paths_at.checked_add(number(96)?)?;
        let folders = decode_folders(body.get(files_end..)?, number(88)?)?;
        bytes.truncate(files_end);
        let index = Index { bytes, count, folders };
        let mut last = 0;
        for at in 0..count {
            let end = index.path_end(at);
            if end < last || mode_of(index.record(at)[68]).is_none() {
                return None;
            }
            last = end;
        }
        (paths_at.checked_add(last)? == files_end).then_some(index)
    }

    /// Returns all bytes as they stand on disk.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let paths = self.bytes.len() - HEADER_BYTES - self.count * RECORD_BYTES;
        bytes[88..96].copy_from_slice(&(self.folders.len() as u64).to_le_bytes());
        bytes[96..104].copy_from_slice(&(paths as u64).to_le_bytes());
        let mut folders: Vec<_> = self.folders.iter().collect();
        folders.sort_by_key(|(base, _)| *base);
        for (base, stamp) in folders {
            bytes.extend_from_slice(&stamp.mtime_ns.to_le_bytes());
            bytes.extend_from_slice(&stamp.ctime_ns.to_le_bytes());
            bytes.extend_from_slice(&stamp.inode.to_le_bytes());
            bytes.extend_from_slice(&(base.len() as u64).to_le_bytes());
            bytes.extend_from_slice(base);
        }
        let hash = Sha256::digest(&bytes);
        bytes.extend_from_slice(&hash);
        bytes
    }

    /// Writes the index into `.mvault`. It is not synced: an index that a crash tore is none.
    pub fn save(&self, dot: &Dir) -> fs::Result<()> {
        let file = match dot.create_new(INDEX_TEMP, 0o600) {
            Err(error) if error.is_exists() => {
                dot.remove_file(INDEX_TEMP)?;
                dot.create_new(INDEX_TEMP, 0o600)?
            }
            other => other?,
        };
        file.write_at(&self.encode(), 0)?;
        dot.rename(INDEX_TEMP, dot, INDEX_FILE)
    }

    /// Returns the tree whose files these are.
    pub fn tree(&self) -> TreeId {
        TreeId::new(ObjectId::from_bytes(array(&self.bytes, 16)))
    }

    /// Returns how far the operation log had come.
    pub fn log_mark(&self) -> LogMark {
        LogMark { seq: u64::from_le_bytes(array(&self.bytes, 48)), hash: array(&self.bytes, 56) }
    }

    /// Returns how many files there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns how many files and folders there are, or somewhat more, without looking at each path.
    pub fn entries_at_most(&self) -> u64 {
        let paths = self.bytes.len() - HEADER_BYTES - self.count * RECORD_BYTES;
        // Each folder on the way to a file is a name and a slash in its path.
        (self.count + paths / 2) as u64
    }

    /// Returns how many files and folders there are.
    pub fn entries(&self) -> u64 {
        let mut entries = 0;
        let mut last: &[u8] = b"";
        for at in 0..self.count {
            let path = self.path(at);
            let shared = path.iter().zip(last).take_while(|(a, b)| a == b).count();
            // What follows the last slash that both have is new: folders that end beyond it, and the file.
            entries += 1 + path[shared..].iter().filter(|byte| **byte == b'/').count() as u64;
            last = path;
        }
        entries
    }

    /// Tells whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn record(&self, at: usize) -> &[u8] {
        &self.bytes[HEADER_BYTES + at * RECORD_BYTES..][..RECORD_BYTES]
    }

    fn path_end(&self, at: usize) -> usize {
        u32::from_le_bytes(array(self.record(at), 64)) as usize
    }

    /// Returns the path of entry `at`.
    pub fn path(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.path_end(at - 1) };
        let paths = &self.bytes[HEADER_BYTES + self.count * RECORD_BYTES..];
        &paths[start..self.path_end(at)]
    }

    /// Returns entry `at`.
    pub fn entry(&self, at: usize) -> IndexEntry {
        let record = self.record(at);
        let stamp = (record[69] & FLAG_STAMPED != 0).then(|| StatStamp {
            size: u64::from_le_bytes(array(record, 0)),
            mtime_ns: i64::from_le_bytes(array(record, 8)),
            ctime_ns: i64::from_le_bytes(array(record, 16)),
            inode: u64::from_le_bytes(array(record, 24)),
        });
        IndexEntry {
            mode: mode_of(record[68]).expect("parsing and writing checked the mode"),
            id: BlobId::new(ObjectId::from_bytes(array(record, 32))),
            stamp,
            absent_here: record[69] & FLAG_ABSENT != 0,
        }
    }

    /// Finds the entry of `path`.
    pub fn find(&self, path: &[u8]) -> Option<IndexEntry> {
        let at = self.position(0..self.count, |other| compare_paths(other, path) == Ordering::Less);
        (at < self.count && self.path(at) == path).then(|| self.entry(at))
    }

    /// Returns `true` if there is a file at `path` or below it.
    pub fn holds(&self, path: &[u8]) -> bool {
        let at = self.position(0..self.count, |other| compare_paths(other, path) == Ordering::Less);
        let within =
            |found: &[u8]| found.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
        at < self.count && within(self.path(at))
    }

    /// Returns the first position in `range` whose path is not `before` what is looked for; near ones are
    /// found sooner.
    pub(super) fn position(&self, range: std::ops::Range<usize>, before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut step) = (range.start, 1);
        while low + step <= range.end && before(self.path(low + step - 1)) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step - 1).min(range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.path(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Makes the index of `tree` out of this one by replacing (or, with `None`, removing) entries. Of two
    /// changes of one path the last counts. That the result holds the files of `tree` is the caller's word.
    pub fn updated(
        &self,
        tree: TreeId,
        log: LogMark,
        mut changes: Vec<(VaultPath, Option<IndexEntry>)>,
    ) -> Index {
        changes.sort_by(|a, b| compare_paths(a.0.as_bytes(), b.0.as_bytes()));
        if changes.is_empty() {
            let mut same = self.clone();
            same.bytes.splice(16..88, header_middle(tree, log));
            return same;
        }
        let mut writer = Writer::new(self.count + changes.len());
        let mut folders = self.folders.clone();
        let mut at = 0;
        let mut changes = changes.into_iter().peekable();
        while let Some((path, entry)) = changes.next() {
            if changes.peek().is_some_and(|next| next.0 == path) {
                continue;
            }
            let bytes = path.as_bytes();
            let end = self.position(at..self.count, |p| compare_paths(p, bytes) == Ordering::Less);
            writer.copy(self, at..end);
            at = end + usize::from(end < self.count && self.path(end) == bytes);
            match entry {
                Some(entry) => writer.push(bytes, &entry),
                // It may still be on disk: then its folder holds more than the tree, and so on upwards.
                None => {
                    for end in folder_ends(bytes) {
                        folders.remove(&bytes[..end]);
                    }
                }
            }
        }
        writer.copy(self, at..self.count);
        Index { folders, ..writer.finish(tree, log) }
    }

    /// Remembers the folders that a walk listed at `seen_ns` or later, by the file system's clock, and
    /// whose names are exactly those of this index. The index must have come out of the one the walk was
    /// made with by changes which that walk found.
    pub fn with_folders(mut self, seen: &[SeenFolder], seen_ns: i128) -> Index {
        for folder in seen {
            let young = i128::from(folder.stamp.mtime_ns.max(folder.stamp.ctime_ns)) >= seen_ns;
            if !young && self.children(&folder.base) == folder.names {
                self.folders.insert(folder.base.clone(), folder.stamp);
            }
        }
        self
    }

    /// Tells whether a folder's names are certainly those of the index.
    pub(super) fn knows_folder(&self, base: &[u8], stat: &Stat) -> bool {
        let stamp = StatStamp::unchecked(stat).map(|stamp| StatStamp { size: 0, ..stamp });
        stamp.is_some() && self.folders.get(base).copied() == stamp
    }

    /// Counts the files and folders right in a folder.
    fn children(&self, base: &[u8]) -> usize {
        let mut at = self.position(0..self.count, |p| compare_paths(p, base) == Ordering::Less);
        let mut children = 0;
        while at < self.count && self.path(at).starts_with(base) {
            let name = first_part(&self.path(at)[base.len()..]).to_vec();
            let inside = |p: &[u8]| p.starts_with(base) && first_part(&p[base.len()..]) == name;
            at = self.position(at..self.count, inside);
            children += 1;
        }
        children
    }

    /// Returns all entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], IndexEntry)> {
        (0..self.count).map(|at| (self.path(at), self.entry(at)))
    }
}

/// Returns where the folders on the way to a path end, the root first, each with its slash.
fn folder_ends(path: &[u8]) -> impl Iterator<Item = usize> {
    let slashes = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at + 1);
    std::iter::once(0).chain(slashes)
}

fn decode_folders(mut bytes: &[u8], count: usize) -> Option<HashMap<Vec<u8>, StatStamp>> {
    let mut folders = HashMap::new();
    for _ in 0..count {
        let (record, rest) = bytes.split_at_checked(FOLDER_BYTES)?;
        let len = usize::try_from(u64::from_le_bytes(array(record, 24))).ok()?;
        let (base, rest) = rest.split_at_checked(len)?;
        let stamp = StatStamp {
            size: 0,
            mtime_ns: i64::from_le_bytes(array(record, 0)),
            ctime_ns: i64::from_le_bytes(array(record, 8)),
            inode: u64::from_le_bytes(array(record, 16)),
        };
        folders.insert(base.to_vec(), stamp);
        bytes = rest;
    }
    bytes.is_empty().then_some(folders)
}

fn header_middle(tree: TreeId, log: LogMark) -> Vec<u8> {
    [&tree.object().as_bytes()[..], &log.seq.to_le_bytes(), &log.hash].concat()
}

/// Puts an index together, entry by entry in order.
struct Writer {
    records: Vec<u8>,
    paths: Vec<u8>,
    count: u64,
}

impl Writer {
    fn new(count: usize) -> Writer {
        let mut records = Vec::with_capacity(HEADER_BYTES + count * RECORD_BYTES);
        records.resize(HEADER_BYTES, 0);
        Writer { records, paths: Vec::new(), count: 0 }
    }

    fn push(&mut self, path: &[u8], entry: &IndexEntry) {
        self.paths.extend_from_slice(path);
        let Ok(end) = u32::try_from(self.paths.len()) else {
            // More paths than the format can hold: the file is found as new each time, nothing worse.
            self.paths.truncate(self.paths.len() - path.len());
            return;
        };
        let stamp = entry.stamp.unwrap_or(StatStamp { size: 0, mtime_ns: 0, ctime_ns: 0, inode: 0 });
        let stamped = if entry.stamp.is_some() { FLAG_STAMPED } else { 0 };
        let absent = if entry.absent_here { FLAG_ABSENT } else { 0 };
        self.records.extend_from_slice(&stamp.size.to_le_bytes());
        self.records.extend_from_slice(&stamp.mtime_ns.to_le_bytes());
        self.records.extend_from_slice(&stamp.ctime_ns.to_le_bytes());
        self.records.extend_from_slice(&stamp.inode.to_le_bytes());
        self.records.extend_from_slice(entry.id.object().as_bytes());
        self.records.extend_from_slice(&end.to_le_bytes());
        self.records.extend_from_slice(&[byte_of(entry.mode), stamped | absent, 0, 0]);
        self.count += 1;
    }

    /// Copies entries as they are; only where their paths end changes.
    fn copy(&mut self, from: &Index, range: std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        let start = if range.start == 0 { 0 } else { from.path_end(range.start - 1) };
        let end = from.path_end(range.end - 1);
        let paths_at = HEADER_BYTES + from.count * RECORD_BYTES;
        if u32::try_from(self.paths.len() + end - start).is_err() {
            range.for_each(|at| self.push(from.path(at), &from.entry(at)));
            return;
        }
        let records_at = self.records.len();
        let shift = (self.paths.len() as u64).wrapping_sub(start as u64) as u32;
        self.paths.extend_from_slice(&from.bytes[paths_at + start..paths_at + end]);
        let first = HEADER_BYTES + range.start * RECORD_BYTES;
        self.records.extend_from_slice(&from.bytes[first..first + range.len() * RECORD_BYTES]);
        for record in self.records[records_at..].chunks_exact_mut(RECORD_BYTES) {
            let end = u32::from_le_bytes(array(record, 64)).wrapping_add(shift);
            record[64..68].copy_from_slice(&end.to_le_bytes());
        }
        self.count += range.len() as u64;
    }

    fn finish(mut self, tree: TreeId, log: LogMark) -> Index {
        self.records[..8].copy_from_slice(MAGIC);
        self.records[8..16].copy_from_slice(&self.count.to_le_bytes());
        self.records[16..88].copy_from_slice(&header_middle(tree, log));
        self.records.append(&mut self.paths);
        let count = usize::try_from(self.count).expect("so many records are in memory");
        Index { bytes: self.records, count, folders: HashMap::new() }
    }
}

#[cfg(test)]
#[path = "tests/index.rs"]
mod tests;
