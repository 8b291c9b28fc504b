//! The log on disk: opening, looking up, appending.
//!
//! How an operation is made durable, and in which order:
//!
//! 1. A torn tail goes to quarantine, synced; then the segment is cut, synced.
//! 2. Append: one write at the end of the newest segment, one sync.
//! 3. Roll, once a segment is full: the old one is synced if others wrote to it; the new one is written
//!    beside it with its checkpoint and its first operation, synced, renamed, and the folder synced.
//!
//! A process that was killed between that rename and the sync of the folder leaves a segment of one
//! operation whose name may not be durable. So the second operation of a segment, unless the same
//! process made it, puts the segment into place anew before it is appended.

use sha2::{Digest, Sha256};

use super::operation::{Anchor, LINE_BYTES_MAX, NewOperation, Operation, Recovered};
use super::refs::Refs;
use super::segment::{self, Role, Segment};
use super::{Error, Result};
use crate::fs::{self, Dir, File, TEMP_PREFIX, replace_file};

const FOLDER: &str = "oplog";
const QUARANTINE: &str = "quarantine";
/// A segment is full once its operations take this many bytes, or as many as its checkpoint.
const SEGMENT_BYTES: usize = 64 * 1024;
/// More than a segment can have, so that a strange file does not fill the memory.
const SEGMENT_BYTES_READ_MAX: u64 = 256 << 20;
/// How often a segment is read again while others change it.
const READ_TRIES: usize = 8;

/// The operation log of a vault.
#[derive(Debug)]
pub struct OpLog {
    dot: Dir,
    dir: Dir,
    starts: Vec<u64>,
    newest: Segment,
    inode: u64,
    known: Option<Anchor>,
    segment_bytes: usize,
    writer: Writer,
    recovered: Option<Recovered>,
}

/// What this process knows about the newest segment from having written it.
#[derive(Debug, Default)]
struct Writer {
    /// The newest segment, open for writing.
    file: Option<File>,
    /// Every line of it was synced by us.
    synced: bool,
    /// Its name was made durable by us.
    named: bool,
    /// A write or sync failed.
    poisoned: bool,
}

impl OpLog {
    /// Makes the log in a vault's own folder, with its first operation; durable when this returns.
    pub fn create(dot: &Dir, first: NewOperation) -> Result<OpLog> {
        let dir = dot.open_or_create_dir(FOLDER)?;
        // The folder may be there from a run that was cut off before its name was durable.
        dot.sync()?;
        if !starts(&dir)?.is_empty() {
            return Err(Error::Missing("there is one already where a new one was to be made".to_owned()));
        }
        let mut operation = first.follow(Anchor::START, &Refs::default())?;
        let mut bytes = segment::encode_checkpoint(Anchor::START, &Refs::default());
        bytes.extend(encode(&mut operation)?);
        replace_file(&dir, segment::name(operation.seq), &bytes, 0o644)?;
        let mut log = OpLog::load(dot, None)?;
        log.writer.named = true;
        log.writer.synced = true;
        Ok(log)
    }

    /// Opens the log of a vault's own folder by reading its newest segment. Takes no lock.
    ///
    /// `known` is the last operation that the caller remembers, if it does; it must have been read
    /// before. A log that does not hold it went backwards.
    pub fn open(dot: &Dir, known: Option<Anchor>) -> Result<OpLog> {
        let log = OpLog::load(dot, known)?;
        log.check_known()?;
        Ok(log)
    }

    /// Makes segments roll at another size, for tests that want many.
    pub fn with_segment_bytes(mut self, segment_bytes: usize) -> OpLog {
        self.segment_bytes = segment_bytes;
        self
    }

    fn load(dot: &Dir, known: Option<Anchor>) -> Result<OpLog> {
        let dir = dot.open_dir(FOLDER).map_err(|error| missing(error, "its folder is missing"))?;
        let mut before = None;
        for _ in 0..READ_TRIES {
            let starts = starts(&dir)?;
            let Some(start) = starts.last().copied() else {
                return Err(Error::Missing("it has no segments".to_owned()));
            };
            let file = match dir.open(segment::name(start)) {
                // A roll that failed was taken back.
                Err(error) if error.is_not_found() => continue,
                other => other?,
            };
            let bytes = file.read_all(SEGMENT_BYTES_READ_MAX)?;
            match segment::parse(start, &bytes, Role::Newest { known }) {
                Ok(newest) => {
                    let inode = file.stat()?.inode;
                    let (segment_bytes, writer, recovered) = (SEGMENT_BYTES, Writer::default(), None);
                    let dot = dot.clone();
                    return Ok(OpLog {
                        dot,
                        dir,
                        starts,
                        newest,
                        inode,
                        known,
                        segment_bytes,
                        writer,
                        recovered,
                    });
                }
                // A reader can meet a writer that mends a torn tail; damage stays as it is.
                Err(fault) if before.as_ref() == Some(&(start, bytes.clone())) => {
                    return Err(damaged(start, &fault));
                }
                Err(_) => before = Some((start, bytes)),
            }
        }
        Err(Error::Moved)
    }

    fn check_known(&self) -> Result<()> {
        let Some(known) = self.known else { return Ok(()) };
        let last = self.last();
        let found = match known.seq {
            seq if seq > last.seq => None,
            seq if seq == self.newest.base.seq => Some(self.newest.base),
            seq => match self.get(seq) {
                Ok(operation) => operation.map(|operation| operation.anchor()),
                // Damage in an old segment blocks nothing; `verify` names it.
                Err(error) if error.is_damage() => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        if found == Some(known) { Ok(()) } else { Err(Error::Shortened { known, last }) }
    }

    /// Returns all refs after the last operation.
    pub fn refs(&self) -> &Refs {
        &self.newest.refs
    }

    /// Returns the last operation's place.
    pub fn last(&self) -> Anchor {
        self.newest.last()
    }

    /// Tells what a torn append had left when this handle moved it to quarantine.
    pub fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// Returns the operation `seq`, or `None` if there is none of that number yet.
    pub fn get(&self, seq: u64) -> Result<Option<Operation>> {
        if seq == 0 || seq > self.last().seq {
            return Ok(None);
        }
        if let Some(operation) = self.newest.get(seq) {
            return Ok(Some(operation.clone()));
        }
        Ok(self.segment_of(seq)?.get(seq).cloned())
    }

    /// Returns all refs as they stood after operation `seq`; there are none after operation 0.
    pub fn refs_at(&self, seq: u64) -> Result<Option<Refs>> {
        if seq > self.last().seq {
            return Ok(None);
        }
        if seq == 0 {
            return Ok(Some(Refs::default()));
        }
        match self.newest.refs_at(seq) {
            Some(refs) => Ok(Some(refs)),
            None => Ok(self.segment_of(seq)?.refs_at(seq)),
        }
    }

    /// Walks the operations from the newest back to the first. Reads one segment at a time.
    pub fn operations(&self) -> Operations<'_> {
        Operations { log: self, next: self.last().seq, segment: None, failed: false }
    }

    /// Reads the older segment that holds operation `seq`, which is not in the newest one.
    fn segment_of(&self, seq: u64) -> Result<Segment> {
        let index = self.starts.partition_point(|start| *start <= seq);
        let lost = || Error::Missing(format!("operation {seq} is in no segment"));
        let start = *self.starts.get(index.wrapping_sub(1)).ok_or_else(lost)?;
        let segment = read_closed(&self.dir, start)?;
        if segment.get(seq).is_some() { Ok(segment) } else { Err(lost()) }
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(super) fn starts(&self) -> &[u64] {
        &self.starts
    }

    pub(super) fn newest(&self) -> &Segment {
        &self.newest
    }

    /// Reads what other processes appended meanwhile; tells whether there was anything.
    pub fn refresh(&mut self) -> Result<bool> {
        if self.is_current()? {
            return Ok(false);
        }
        let last = self.last();
        let mut fresh = OpLog::load(&self.dot, Some(last))?;
        fresh.check_known()?;
        fresh.segment_bytes = self.segment_bytes;
        fresh.writer.poisoned = self.writer.poisoned;
        let news = fresh.last() != last;
        *self = fresh;
        Ok(news)
    }

    /// Tells whether the files are as this handle read or left them.
    fn is_current(&self) -> Result<bool> {
        let next = self.last().seq + 1;
        if next != self.newest.start && self.dir.try_stat(segment::name(next))?.is_some() {
            return Ok(false);
        }
        let size = self.newest.good_bytes + self.newest.torn.len();
        let stat = self.dir.try_stat(segment::name(self.newest.start))?;
        Ok(stat.is_some_and(|stat| stat.inode == self.inode && stat.size == size as u64))
    }

    /// Appends an operation; it has happened, and is durable, when this returns.
    ///
    /// The caller holds the vault's lock and has called [`OpLog::refresh`] since it took it. After an
    /// error other than a refused change nothing more is written through this handle.
    pub fn append(&mut self, new: NewOperation) -> Result<Operation> {
        if self.writer.poisoned {
            return Err(Error::Poisoned);
        }
        if !self.is_current()? {
            return Err(Error::Moved);
        }
        let mut operation = new.follow(self.last(), self.refs())?;
        operation.recovered = self.torn();
        let line = encode(&mut operation)?;
        self.writer.poisoned = true;
        self.mend()?;
        let full = self.newest.good_bytes - self.newest.checkpoint_bytes;
        if full >= self.segment_bytes.max(self.newest.checkpoint_bytes) {
            self.roll(&line)?;
        } else {
            self.extend(&line)?;
            self.newest.refs.apply(&operation.refs);
            self.newest.operations.push(operation.clone());
        }
        self.recovered = operation.recovered.clone().or(self.recovered.take());
        self.writer.poisoned = false;
        Ok(operation)
    }

    fn torn(&self) -> Option<Recovered> {
        let torn = &self.newest.torn;
        let sha256 = || hex::encode(Sha256::digest(torn));
        (!torn.is_empty()).then(|| Recovered { sha256: sha256(), bytes: torn.len() as u64 })
    }

    /// Makes the newest segment end in a whole line under a durable name.
    fn mend(&mut self) -> Result<()> {
        let name = segment::name(self.newest.start);
        if let Some(torn) = self.torn() {
            let quarantine = self.dot.open_or_create_dir(QUARANTINE)?;
            replace_file(&quarantine, &torn.sha256, &self.newest.torn, 0o600)?;
        }
        let file = match self.writer.file.take() {
            Some(file) => file,
            None => self.dir.open_write(&name)?,
        };
        let good = self.newest.good_bytes as u64;
        if !self.newest.torn.is_empty() {
            file.set_len(good)?;
            file.sync()?;
            self.newest.torn.clear();
        }
        if self.newest.newline_missing {
            // By itself: were it written with the next line, that line could survive it.
            file.write_at(b"\n", good)?;
            file.sync()?;
            self.newest.good_bytes += 1;
            self.newest.newline_missing = false;
        }
        if self.newest.operations.len() == 1 && !self.writer.named {
            let bytes = file.read_all(SEGMENT_BYTES_READ_MAX)?;
            replace_file(&self.dir, &name, &bytes, 0o644)?;
            self.reopen(&name)?;
            self.writer.synced = true;
        } else {
            self.writer.file = Some(file);
        }
        Ok(())
    }

    fn reopen(&mut self, name: &str) -> Result<()> {
        let file = self.dir.open_write(name)?;
        self.inode = file.stat()?.inode;
        self.writer.file = Some(file);
        self.writer.named = true;
        Ok(())
    }

    /// Appends `line` to the newest segment, or leaves it as it was.
    fn extend(&mut self, line: &[u8]) -> Result<()> {
        let file = self.writer.file.as_ref().expect("mend opened it");
        let good = self.newest.good_bytes as u64;
        let written = file.write_at(line, good).and_then(|()| file.sync());
        if let Err(error) = written {
            let taken_back = file.set_len(good).and_then(|()| file.sync());
            return Err(not_written(error, taken_back));
        }
        self.newest.good_bytes += line.len();
        self.writer.synced = true;
        Ok(())
    }

    /// Starts a new segment with `line` as its first operation, or leaves all as it was.
    fn roll(&mut self, line: &[u8]) -> Result<()> {
        if !self.writer.synced {
            // Its last line may be that of a process that was killed before it synced.
            self.writer.file.as_ref().expect("mend opened it").sync()?;
        }
        let start = self.last().seq + 1;
        let name = segment::name(start);
        let mut bytes = segment::encode_checkpoint(self.last(), self.refs());
        bytes.extend_from_slice(line);
        if let Err(error) = replace_file(&self.dir, &name, &bytes, 0o644) {
            let taken_back = match self.dir.remove_file(&name) {
                Err(gone) if gone.is_not_found() => Ok(()),
                other => other.and_then(|()| self.dir.sync()),
            };
            return Err(not_written(error, taken_back));
        }
        self.newest = segment::parse(start, &bytes, Role::Closed).map_err(|fault| damaged(start, &fault))?;
        self.starts.push(start);
        self.reopen(&name)?;
        self.sweep();
        Ok(())
    }

    /// Removes what killed processes left beside the segments; under the lock nobody else writes here.
    fn sweep(&self) {
        let Ok(names) = self.dir.list() else { return };
        for (name, _) in names {
            if name.as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes()) {
                let _rubbish_is_harmless = self.dir.remove_file(name);
            }
        }
    }
}

/// Operations from the newest back to the first.
#[derive(Debug)]
pub struct Operations<'a> {
    log: &'a OpLog,
    next: u64,
    segment: Option<Segment>,
    failed: bool,
}

impl Iterator for Operations<'_> {
    type Item = Result<Operation>;

    fn next(&mut self) -> Option<Result<Operation>> {
        if self.failed || self.next == 0 {
            return None;
        }
        let seq = self.next;
        if seq < self.log.newest.start && self.segment.as_ref().is_none_or(|s| s.get(seq).is_none()) {
            match self.log.segment_of(seq) {
                Ok(segment) => self.segment = Some(segment),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        self.next -= 1;
        let segment = self.segment.as_ref().unwrap_or(&self.log.newest);
        segment.get(seq).cloned().map(Ok)
    }
}

fn encode(operation: &mut Operation) -> Result<Vec<u8>> {
    let line = operation.encode();
    if line.len() > LINE_BYTES_MAX { Err(Error::TooLong(line.len())) } else { Ok(line) }
}

fn missing(error: fs::Error, what: &str) -> Error {
    if error.is_not_found() { Error::Missing(what.to_owned()) } else { Error::Disk(error) }
}

fn not_written(error: fs::Error, taken_back: fs::Result<()>) -> Error {
    match taken_back {
        Ok(()) => Error::NotWritten(error),
        Err(_) => Error::Uncertain(error),
    }
}

pub(super) fn damaged(start: u64, fault: &segment::Fault) -> Error {
    let place = format!("{FOLDER}/{} line {} (byte {})", segment::name(start), fault.line, fault.offset);
    Error::Damaged { place, what: fault.what.clone() }
}

/// Lists the numbers that segments are named by, in order.
pub(super) fn starts(dir: &Dir) -> Result<Vec<u64>> {
    Ok(dir.list()?.iter().filter_map(|(name, _)| segment::parse_name(name)).collect())
}

/// Reads a segment that another one follows.
pub(super) fn read_closed(dir: &Dir, start: u64) -> Result<Segment> {
    let name = segment::name(start);
    let bytes = match dir.read(&name, SEGMENT_BYTES_READ_MAX) {
        Err(error) if error.is_not_found() => {
            return Err(Error::Missing(format!("segment {name} is missing")));
        }
        other => other?,
    };
    segment::parse(start, &bytes, Role::Closed).map_err(|fault| damaged(start, &fault))
}
