//! The log on disk: opening, looking up, appending.
//!
//! An operation is made durable in one of three ways, and has happened when the last sync is done:
//!
//! - *Extend*: one write at the end of the newest segment, one sync.
//! - *Roll*, if that segment is full: its end is made sure of, if nobody vouches for it; then a new one with its checkpoint and the operation is written beside
//!   it, synced, renamed, and the folder synced.
//! - *Renew*, if the end of the newest segment is not known to be durable: a torn tail goes to
//!   quarantine, synced; then the segment is replaced, as in a roll, by its whole lines and the new one.
//!
//! Why renew: a last line that nobody vouches for may be that of a process which was killed before its
//! sync, or whose sync failed. A power cut could tear it and what was appended behind it, or take the
//! name of the segment; a second sync does not help where the first one failed. Who remembers the last
//! operation vouches for it, because what is remembered was acknowledged before. So a segment is put
//! into place anew only with an operation in it that nobody remembers yet: between the rename and the
//! sync of the folder a process can die, and the next one would believe the name to be durable.

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
    /// The inode of the newest segment; `None` if it has to be read again.
    inode: Option<u64>,
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
    /// All of it, and its name, is durable.
    durable: bool,
    /// A write or sync failed.
    poisoned: bool,
}

impl OpLog {
    /// Returns the users that the log's folder and its segments belong to.
    pub fn owners(&self) -> Result<Vec<u32>> {
        let segments = starts(&self.dir)?.into_iter();
        let owners = segments.map(|start| Ok(self.dir.stat(segment::name(start))?.owner));
        [Ok(self.dir.stat_self()?.owner)].into_iter().chain(owners).collect()
    }

    /// Makes the log in a vault's own folder, with its first operation; durable when this returns.
    pub fn create(dot: &Dir, first: NewOperation) -> Result<OpLog> {
        let dir = dot.open_or_create_dir(FOLDER)?;
        // The folder may be there from a run that was cut off before its name was durable.
        if let Err(error) = dot.sync() {
            let _empty_or_in_use = dot.remove_dir(FOLDER);
            return Err(error.into());
        }
        if !starts(&dir)?.is_empty() {
            return Err(Error::Exists);
        }
        let mut operation = first.follow(Anchor::START, &Refs::default())?;
        let mut bytes = segment::encode_checkpoint(Anchor::START, &Refs::default());
        bytes.extend(encode(&mut operation)?);
        replace_file(&dir, segment::name(operation.seq), &bytes, 0o600)?;
        let mut log = OpLog::load(dot, None)?;
        log.writer.durable = true;
        Ok(log)
    }

    /// Opens the log of a vault's own folder by reading its newest segment. Takes no lock.
    ///
    /// `known` is the last operation that the caller remembers, if it does; it must have been read
    /// before and must have been remembered after it was acknowledged. A log that does not hold it went
    /// backwards. If it is the last one, the first append needs no renewal.
    pub fn open(dot: &Dir, known: Option<Anchor>) -> Result<OpLog> {
        let mut log = OpLog::load(dot, known)?;
        known.map_or(Ok(()), |known| log.confirm(known))?;
        Ok(log)
    }

    /// Checks that the log holds the operation `known`, which a cache remembers as acknowledged; a log
    /// that does not went backwards. If it is the last one, the next append needs no renewal.
    ///
    /// For a cache that is read once the log is open, or again after [`OpLog::refresh`].
    pub fn confirm(&mut self, known: Anchor) -> Result<()> {
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
        if found != Some(known) {
            return Err(Error::Shortened { known, last });
        }
        self.known = self.known.max(Some(known));
        let clean = self.newest.torn.is_empty() && !self.newest.newline_missing;
        self.writer.durable |= clean && known == last;
        Ok(())
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
                    let inode = Some(file.stat()?.inode);
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

    /// Returns all refs after the last operation.
    pub fn refs(&self) -> &Refs {
        &self.newest.refs
    }

    /// Returns the last operation's place.
    pub fn last(&self) -> Anchor {
        self.newest.last()
    }

    /// Returns the last operation that is known to have been acknowledged: what a cache may remember.
    pub fn acknowledged(&self) -> Option<Anchor> {
        if self.writer.durable { Some(self.last()) } else { self.known }
    }

    /// Makes sure that the last operation is durable before something is done that follows from it,
    /// without appending. The caller holds the vault's lock.
    pub fn settle(&mut self) -> Result<()> {
        if self.acknowledged() == Some(self.last()) {
            return Ok(());
        }
        if self.writer.poisoned {
            return Err(Error::Poisoned);
        }
        if !self.is_current()? {
            return Err(Error::Moved);
        }
        let name = segment::name(self.newest.start);
        let bytes = self.dir.read(&name, SEGMENT_BYTES_READ_MAX)?;
        self.writer.poisoned = true;
        replace_file(&self.dir, &name, &bytes, 0o600)?;
        self.writer.poisoned = false;
        self.known = Some(self.last());
        self.writer.durable = self.newest.torn.is_empty() && !self.newest.newline_missing;
        self.open_for_writing(&name);
        Ok(())
    }

    /// Tells whether a write or sync failed, so that this handle appends nothing more.
    pub fn is_poisoned(&self) -> bool {
        self.writer.poisoned
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
        // What this handle saw last may have been taken back by who wrote it: only what the caller
        // remembers was acknowledged.
        let mut fresh = OpLog::open(&self.dot, self.known)?;
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
        Ok(stat.is_some_and(|stat| Some(stat.inode) == self.inode && stat.size == size as u64))
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
        operation.recovered = self.torn_tail();
        let line = encode(&mut operation)?;
        let used = self.newest.good_bytes - self.newest.checkpoint_bytes;
        let is_full = used >= self.segment_bytes.max(self.newest.checkpoint_bytes);
        let is_clean = self.newest.torn.is_empty() && !self.newest.newline_missing;
        if is_full && is_clean {
            // So that a segment rolls even if nobody vouches for its end.
            self.settle()?;
        }
        self.writer.poisoned = true;
        if !self.writer.durable {
            self.renew(&line)?;
        } else if is_full {
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

    /// Tells what lies behind the last whole line: the rest of an append that was never acknowledged.
    /// The next append moves it to quarantine.
    pub fn torn_tail(&self) -> Option<Recovered> {
        let torn = &self.newest.torn;
        let sha256 = || hex::encode(Sha256::digest(torn));
        (!torn.is_empty()).then(|| Recovered { sha256: sha256(), bytes: torn.len() as u64 })
    }

    /// Appends `line` to the newest segment, or leaves it as it was.
    fn extend(&mut self, line: &[u8]) -> Result<()> {
        let name = segment::name(self.newest.start);
        let file = match self.writer.file.take() {
            Some(file) => file,
            None => self.dir.open_write(&name).map_err(Error::NotWritten)?,
        };
        let good = self.newest.good_bytes as u64;
        if let Err(error) = file.write_at(line, good).and_then(|()| file.sync()) {
            let taken_back = file.set_len(good).and_then(|()| file.sync());
            return Err(not_written(error, taken_back));
        }
        self.newest.good_bytes += line.len();
        self.writer.file = Some(file);
        Ok(())
    }

    /// Replaces the newest segment by its whole lines and `line`, or leaves it as it was.
    fn renew(&mut self, line: &[u8]) -> Result<()> {
        let start = self.newest.start;
        if let Some(torn) = self.torn_tail() {
            let quarantine = self.dot.open_or_create_dir(QUARANTINE).map_err(Error::NotWritten)?;
            replace_file(&quarantine, &torn.sha256, &self.newest.torn, 0o600).map_err(Error::NotWritten)?;
        }
        let old = self.dir.read(segment::name(start), SEGMENT_BYTES_READ_MAX).map_err(Error::NotWritten)?;
        let mut bytes = old[..self.newest.good_bytes.min(old.len())].to_vec();
        if self.newest.newline_missing {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line);
        self.publish(start, &bytes, Some(&old))
    }

    /// Starts a new segment with `line` as its first operation, or leaves all as it was.
    fn roll(&mut self, line: &[u8]) -> Result<()> {
        let start = self.last().seq + 1;
        let mut bytes = segment::encode_checkpoint(self.last(), self.refs());
        bytes.extend_from_slice(line);
        self.publish(start, &bytes, None)?;
        self.starts.push(start);
        Ok(())
    }

    /// Puts a segment into place that ends in the new operation; `old` is what was there before.
    fn publish(&mut self, start: u64, bytes: &[u8], old: Option<&[u8]>) -> Result<()> {
        let name = segment::name(start);
        let newest = segment::parse(start, bytes, Role::Closed).map_err(|fault| damaged(start, &fault))?;
        if let Err(error) = replace_file(&self.dir, &name, bytes, 0o600) {
            return Err(self.take_back(error, &name, bytes, old));
        }
        self.newest = newest;
        self.writer.durable = true;
        self.sweep();
        self.open_for_writing(&name);
        Ok(())
    }

    /// Opens a segment that was put into place. What that was for has happened: if it cannot be opened
    /// now, the next append says that the log has to be refreshed.
    fn open_for_writing(&mut self, name: &str) {
        self.inode = None;
        self.writer.file = None;
        if let Ok(file) = self.dir.open_write(name) {
            self.inode = file.stat().ok().map(|stat| stat.inode);
            self.writer.file = Some(file);
        }
    }

    /// Undoes a replacement that failed half-way.
    fn take_back(&self, error: fs::Error, name: &str, bytes: &[u8], old: Option<&[u8]>) -> Error {
        let untouched = match self.dir.try_stat(name) {
            Ok(stat) => stat.map(|stat| stat.inode) == self.inode.filter(|_| old.is_some()),
            Err(_) => false,
        };
        if untouched {
            return Error::NotWritten(error);
        }
        let taken_back = match old {
            Some(old) => replace_file(&self.dir, name, old, 0o600),
            None => self.dir.remove_file(name).and_then(|()| self.dir.sync()),
        };
        if taken_back.is_err() {
            // What is seen now may change back in a power cut, and nobody could tell. So let the new
            // operation be seen: nobody vouches for it, and the next append makes sure.
            let _as_good_as_it_gets = replace_file(&self.dir, name, bytes, 0o600);
        }
        not_written(error, taken_back)
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
