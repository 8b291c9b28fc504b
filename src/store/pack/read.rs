//! One pack, opened when first needed: its footer, then its table bucket by bucket.
//!
//! - Opening reads the footer and, of a small pack, the table in the same call; the table of a large
//!   one is mapped. Record bytes are read by position, so that a bad disk is an error.
//! - A damaged footer or bucket is an answer of its own and never "no such object".
//! - No file stays open: a vault may have more packs than a process may have files.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::PackId;
use super::format::{self, Bucket, Entry, FOOTER_LEN, Footer, NewerMark};
use crate::fs::{Dir, File, FileKind, Map};
use crate::object::{Kind, ObjectId};
use crate::store::error::{Error, Result};

/// A table of at most this many bytes, with the footer, is read into memory instead of mapped.
const TAIL_READ_MAX: u64 = 64 << 10;
/// The first read of a pack's end takes this many bytes: all of the table of a small commit.
const TAIL_READ_FIRST: u64 = 4 << 10;

/// A mapped table is brought into memory in pieces of so many bytes, each when it is first needed.
const WINDOW: usize = 64 << 10;

/// A pack that is known by name and opened when needed.
#[derive(Debug)]
pub struct Pack {
    id: PackId,
    index: OnceLock<std::result::Result<Index, Damage>>,
}

/// Where a record is, and its entry: a quarter of an entry's memory, for who needs the order of many.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub offset: u64,
    bucket: u32,
    at: u32,
}

/// What is wrong with a pack, and where.
#[derive(Clone, Debug)]
pub struct Damage {
    offset: u64,
    what: &'static str,
}

struct Index {
    footer: Footer,
    file_len: u64,
    bytes: Map,
    /// Where in `bytes` the table starts.
    start: usize,
    /// A bit a bucket: its checksum was found right.
    checked: Vec<AtomicU64>,
    /// A bit a [`WINDOW`] of a mapped table: it was brought into memory.
    populated: Vec<AtomicU64>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.footer.fmt(f)
    }
}

impl Pack {
    pub fn new(id: PackId) -> Pack {
        Pack { id, index: OnceLock::new() }
    }

    pub fn id(&self) -> PackId {
        self.id
    }

    fn damage<T>(&self, damage: &Damage) -> Result<T> {
        Err(Error::Pack { pack: self.id, offset: damage.offset, what: damage.what.to_owned() })
    }

    /// Opens the pack's file; a name that is no regular file is damage.
    pub fn open_file(&self, objects: &Dir) -> Result<File> {
        let name = self.id.file_name();
        match objects.open(&name) {
            Ok(file) if file.stat()?.kind == FileKind::File => Ok(file),
            Err(error) if error.is_not_found() => Err(error.into()),
            Err(error) => match objects.stat(&name) {
                Ok(stat) if stat.kind != FileKind::File => self.irregular(),
                _ => Err(error.into()),
            },
            Ok(_) => self.irregular(),
        }
    }

    fn irregular<T>(&self) -> Result<T> {
        self.damage(&Damage { offset: 0, what: "it is no regular file" })
    }

    fn index(&self, objects: &Dir) -> Result<&Index> {
        let index = match self.index.get() {
            Some(index) => index,
            None => {
                // A disk that fails is not remembered: the next try may succeed.
                let opened = self.open_index(objects)?;
                self.index.get_or_init(|| opened)
            }
        };
        index.as_ref().or_else(|damage| self.damage(damage))
    }

    /// Refuses a pack that a newer program wrote: it is neither read as one of ours nor taken for damaged.
    fn check_version(&self, file: &File, tail: &[u8], tail_offset: u64) -> Result<()> {
        let mut header = [0; format::HEADER.len()];
        match tail_offset {
            0 => header.copy_from_slice(&tail[..format::HEADER.len()]),
            _ => file.read_exact_at(&mut header, 0)?,
        }
        let footer = tail.last_chunk().expect("the tail is longer than a footer");
        match NewerMark::find(&header, footer) {
            Some(mark) if !mark.may_be_damage || self.is_named_by_hash(file)? => {
                Err(Error::Newer { pack: self.id, version: mark.version })
            }
            _ => Ok(()),
        }
    }

    fn is_named_by_hash(&self, file: &File) -> Result<bool> {
        let (mut hasher, mut buffer, mut offset) = (Sha256::new(), vec![0; 64 << 10], 0);
        loop {
            match file.read_at(&mut buffer, offset)? {
                0 => return Ok(PackId::from_bytes(hasher.finalize().into()) == self.id),
                count => {
                    hasher.update(&buffer[..count]);
                    offset += count as u64;
                }
            }
        }
    }

    fn open_index(&self, objects: &Dir) -> Result<std::result::Result<Index, Damage>> {
        let file = self.open_file(objects)?;
        let file_len = file.stat()?.size;
        let damaged = |offset, what| Ok(Err(Damage { offset, what }));
        if file_len < (format::HEADER.len() + FOOTER_LEN) as u64 {
            return damaged(0, "it is too short to be a pack");
        }
        let mut tail = vec![0; TAIL_READ_FIRST.min(file_len) as usize];
        let tail_offset = file_len - tail.len() as u64;
        file.read_exact_at(&mut tail, tail_offset)?;
        let footer_bytes = tail.last_chunk().expect("the tail is longer than a footer");
        self.check_version(&file, &tail, tail_offset)?;
        let footer = match Footer::decode(footer_bytes, file_len) {
            Ok(footer) => footer,
            Err(what) => return damaged(file_len - FOOTER_LEN as u64, what),
        };
        let wanted = footer.index_len() + FOOTER_LEN as u64;
        let (bytes, start) = if wanted <= tail.len() as u64 {
            let start = tail.len() - wanted as usize;
            (Map::Read(tail), start)
        } else if wanted <= TAIL_READ_MAX {
            let mut tail = vec![0; wanted as usize];
            file.read_exact_at(&mut tail, footer.table_offset)?;
            (Map::Read(tail), 0)
        } else {
            let map = file.map()?;
            if map.len() as u64 != file_len {
                return damaged(0, "it changed its length while it was opened");
            }
            let start = footer.table_offset as usize;
            let directory = start..start + footer.index_len() as usize;
            let directory = directory.end - footer.directory_len() as usize..directory.end;
            map.populate(file.path(), directory)?;
            (map, start)
        };
        let buckets = 1usize << footer.bits;
        let windows = footer.index_len() as usize / WINDOW + 1;
        let flags = |count: usize| (0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let (checked, populated) = (flags(buckets), flags(windows));
        let index = Index { footer, file_len, bytes, start, checked, populated };
        if let Err(what) = footer.check_directory(index.directory()) {
            return damaged(footer.directory_offset, what);
        }
        Ok(Ok(index))
    }

    /// Returns the footer and the length of the file.
    pub fn footer(&self, objects: &Dir) -> Result<(Footer, u64)> {
        self.index(objects).map(|index| (index.footer, index.file_len))
    }

    /// Finds the entry of `id`.
    pub fn find(&self, objects: &Dir, id: &ObjectId) -> Result<Option<Entry>> {
        let index = self.index(objects)?;
        let number = format::bucket_of(id, index.footer.bits);
        index.populate(objects, self.id, number)?;
        let found = index.bucket(number).and_then(|bucket| match bucket.find(id) {
            Some(entry) => index.sound(entry).map(Some),
            None => Ok(None),
        });
        found.or_else(|damage| self.damage(&damage))
    }

    /// Returns the entries of one bucket; `None` behind the last bucket.
    pub fn bucket(&self, objects: &Dir, number: usize) -> Result<Option<Vec<Entry>>> {
        let index = self.index(objects)?;
        if number >= 1 << index.footer.bits {
            return Ok(None);
        }
        index.populate(objects, self.id, number)?;
        let entries = index
            .bucket(number)
            .and_then(|bucket| (0..bucket.len()).map(|i| index.sound(bucket.entry(i))).collect());
        entries.map(Some).or_else(|damage| self.damage(&damage))
    }

    /// Returns where the records of one bucket are that hold an object of `kind` itself; `None` behind the last
    /// bucket.
    pub fn slots(&self, objects: &Dir, number: usize, kind: Kind) -> Result<Option<Vec<Slot>>> {
        let index = self.index(objects)?;
        if number >= 1 << index.footer.bits {
            return Ok(None);
        }
        index.populate(objects, self.id, number)?;
        let bucket = index.bucket(number).or_else(|damage| self.damage(&damage))?;
        let slot = |at| {
            let offset = bucket.offset_of(at, kind)?;
            Some(Slot { offset, bucket: number as u32, at: at as u32 })
        };
        Ok(Some((0..bucket.len()).filter_map(slot).collect()))
    }

    /// Returns the entry in a slot of this pack.
    pub fn entry_in(&self, objects: &Dir, slot: Slot) -> Result<Entry> {
        let index = self.index(objects)?;
        let entry =
            index.bucket(slot.bucket as usize).and_then(|bucket| index.sound(bucket.entry(slot.at as usize)));
        entry.or_else(|damage| self.damage(&damage))
    }

    /// Returns all entries, in the order of their records.
    pub fn entries(&self, objects: &Dir) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for number in 0.. {
            let Some(bucket) = self.bucket(objects, number)? else { break };
            entries.extend(bucket);
        }
        entries.sort_unstable_by_key(|entry| entry.offset);
        Ok(entries)
    }

    /// Returns at most `limit` entries with ids in the given range.
    pub fn range(&self, objects: &Dir, low: &ObjectId, high: &ObjectId, limit: usize) -> Result<Vec<Entry>> {
        let bits = self.index(objects)?.footer.bits;
        let mut found = Vec::new();
        for number in format::bucket_of(low, bits)..=format::bucket_of(high, bits) {
            let entries = self.bucket(objects, number)?.unwrap_or_default();
            found.extend(entries.into_iter().filter(|entry| *low <= entry.id && entry.id <= *high));
            if found.len() >= limit {
                found.truncate(limit);
                break;
            }
        }
        Ok(found)
    }
}

impl Index {
    fn directory(&self) -> &[u8] {
        let start = self.start + (self.footer.directory_offset - self.footer.table_offset) as usize;
        &self.bytes[start..start + self.footer.directory_len() as usize]
    }

    /// Brings the bytes of a bucket into memory.
    fn populate(&self, objects: &Dir, id: PackId, number: usize) -> Result<()> {
        if let Map::Read(_) = self.bytes {
            return Ok(());
        }
        let range = format::bucket_range(self.directory(), number);
        for window in range.start / WINDOW..=range.end / WINDOW {
            let (word, bit) = (&self.populated[window / 64], 1 << (window % 64));
            if word.load(Ordering::Relaxed) & bit == 0 {
                let begin = self.start + window * WINDOW;
                let end = (begin + WINDOW).min(self.start + self.footer.index_len() as usize);
                self.bytes.populate(&objects.path().join(id.file_name()), begin..end)?;
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn bucket(&self, number: usize) -> std::result::Result<Bucket<'_>, Damage> {
        let range = format::bucket_range(self.directory(), number);
        let bytes = &self.bytes[self.start + range.start..self.start + range.end];
        let (word, bit) = (&self.checked[number / 64], 1 << (number % 64));
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(Bucket::checked_before(bytes));
        }
        let offset = self.footer.table_offset + range.start as u64;
        let bucket = Bucket::check(number, bytes).map_err(|what| Damage { offset, what })?;
        word.fetch_or(bit, Ordering::Relaxed);
        Ok(bucket)
    }

    fn sound(&self, entry: std::result::Result<Entry, &'static str>) -> std::result::Result<Entry, Damage> {
        let damaged = |what| Damage { offset: self.footer.table_offset, what };
        let entry = entry.map_err(damaged)?;
        let end = entry.offset.checked_add(u64::from(entry.stored));
        let is_inside = entry.offset >= format::HEADER.len() as u64
            && end.is_some_and(|end| end <= self.footer.table_offset)
            && u64::from(entry.stored) <= STORED_MAX;
        if is_inside { Ok(entry) } else { Err(damaged("an entry of its table points outside its records")) }
    }
}

/// No frame of a record is longer: zstd's bound for 512 KiB.
const STORED_MAX: u64 = 514 << 10;
