//! A large file on its way into the store, compared with the version before it.
//!
//! What both have in common is known by the hashes of its chunks: neither is the version before read there, nor
//! is the new one looked through for credentials once more.

use std::io;
use std::sync::Arc;

use crate::gateway::content::ContentJudge;
use crate::object::BlobId;
use crate::store::{self, ObjectReader, Onlooker, Store};

/// So much of what a large stream gained is looked through for torn lines.
const TAIL_BYTES_MAX: usize = 8 << 20;

/// Compares a large stream with the version before it while it is read: it should only have grown.
pub(super) struct Growth<'a> {
    store: &'a Store,
    is_stream: bool,
    /// The version before, until its end is reached.
    old: Option<BlobId>,
    /// Reads it from the first byte that no chunk has in common.
    reader: Option<ObjectReader<'a>>,
    /// So many bytes are as they were.
    same: u64,
    block: Option<(Arc<[u8]>, usize)>,
    /// Whether it begins with all that was there, as far as both were read.
    pub holds: bool,
    tail: Vec<u8>,
    /// Whether the version before ends within a line.
    ends_in_line: bool,
}

impl<'a> Growth<'a> {
    /// Compares nothing: only streams grow.
    pub fn of_no_stream(store: &'a Store) -> Growth<'a> {
        Growth { is_stream: false, ..Growth::beyond(store, None) }
    }

    /// Begins to compare with a version, if there is one.
    pub fn beyond(store: &'a Store, old: Option<BlobId>) -> Growth<'a> {
        Growth {
            store,
            is_stream: true,
            old,
            reader: None,
            same: 0,
            block: None,
            holds: true,
            tail: Vec::new(),
            ends_in_line: false,
        }
    }

    /// Takes the next bytes; `before` is where in the version before they are a chunk.
    fn update(&mut self, mut bytes: &[u8], before: Option<u64>) -> io::Result<()> {
        if self.reader.is_none() && self.old.is_some() && before == Some(self.same) {
            self.same += bytes.len() as u64;
            self.ends_in_line = bytes.last().is_some_and(|last| *last != b'\n');
            return Ok(());
        }
        while self.is_stream && self.holds && !bytes.is_empty() {
            let Some((block, at)) = self.next_block()? else {
                let room = TAIL_BYTES_MAX - self.tail.len().min(TAIL_BYTES_MAX);
                self.tail.extend_from_slice(&bytes[..bytes.len().min(room)]);
                return Ok(());
            };
            let count = bytes.len().min(block.len() - at);
            self.holds = block[at..at + count] == bytes[..count];
            self.ends_in_line = count > 0 && block[at + count - 1] != b'\n';
            self.block = Some((block, at + count));
            bytes = &bytes[count..];
        }
        Ok(())
    }

    fn next_block(&mut self) -> io::Result<Option<(Arc<[u8]>, usize)>> {
        if let Some((block, at)) = self.block.take()
            && at < block.len()
        {
            return Ok(Some((block, at)));
        }
        let Some(old) = self.old else { return Ok(None) };
        let block = match &mut self.reader {
            Some(reader) => reader.next_block(),
            None => self.open(old).and_then(|reader| match reader {
                Some(reader) => self.reader.insert(reader).next_block(),
                None => Ok(None),
            }),
        };
        let block = block.map_err(io::Error::other)?;
        if block.is_none() {
            self.old = None;
        }
        Ok(block.map(|block| (block, 0)))
    }

    fn open(&self, old: BlobId) -> Result<Option<ObjectReader<'a>>, store::Error> {
        let Some(mut reader) = self.store.try_reader(old.object())? else { return Ok(None) };
        reader.pass_over(self.same)?;
        Ok(Some(reader))
    }

    /// Returns the beginning of what is new, from the first line that begins there.
    pub fn new_lines(&self) -> &[u8] {
        let start = match self.ends_in_line {
            true => self.tail.iter().position(|b| *b == b'\n').map_or(self.tail.len(), |at| at + 1),
            false => 0,
        };
        &self.tail[start..]
    }

    /// Says that the file is at its end.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.holds && self.next_block()?.is_some() {
            self.holds = false;
        }
        Ok(())
    }
}

/// Judges a large file while it is stored.
pub(super) struct Judging<'a> {
    pub judge: ContentJudge,
    pub growth: Growth<'a>,
    /// Whether it is stored on the version before it, and not on another file.
    pub rests_on_itself: bool,
}

impl Onlooker for Judging<'_> {
    fn look(&mut self, chunk: &[u8], before: Option<u64>) -> io::Result<()> {
        let before = before.filter(|_| self.rests_on_itself);
        match before {
            Some(_) => self.judge.update_known(chunk),
            None => self.judge.update(chunk),
        }
        self.growth.update(chunk, before)
    }
}
