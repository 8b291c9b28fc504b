//! A large file on its way into the store, compared with the version before it.
//!
//! What both have in common is known by the hashes of its chunks: neither is the version before read there, nor
//! is the new one looked through for credentials once more.

use std::io;
use std::sync::Arc;

use crate::events::{Torn, TornLines};
use crate::gateway::content::ContentJudge;
use crate::gateway::zeros::ZeroedBytes;
use crate::object::BlobId;
use crate::store::{self, ObjectReader, Onlooker, Store};

/// What of a large file is compared with the version before it.
enum Compared {
    Nothing,
    /// A stream should only have grown.
    Lines(TornLines),
    /// Another file should not have turned into zeros.
    Zeros(ZeroedBytes),
}

/// Compares a large file with the version before it while it is read.
pub(super) struct Growth<'a> {
    store: &'a Store,
    compared: Compared,
    /// The version before, until its end is reached.
    old: Option<BlobId>,
    /// Reads it from the first byte that no chunk has in common.
    reader: Option<ObjectReader<'a>>,
    /// So many bytes are as they were.
    same: u64,
    block: Option<(Arc<[u8]>, usize)>,
    /// Whether it begins with all that was there, as far as both were read.
    pub holds: bool,
    /// Whether the version before ends within a line.
    ends_in_line: bool,
    /// The rest of that line was passed over: it was judged with that version.
    is_past_line: bool,
    /// What of the new lines of a stream is torn, once the file is at its end.
    pub torn: Torn,
}

impl<'a> Growth<'a> {
    /// Compares nothing.
    pub fn of_nothing(store: &'a Store) -> Growth<'a> {
        Growth::new(store, None, Compared::Nothing)
    }

    /// Begins to compare a stream with a version, if there is one.
    pub fn beyond(store: &'a Store, old: Option<BlobId>) -> Growth<'a> {
        Growth::new(store, old, Compared::Lines(TornLines::default()))
    }

    /// Begins to compare a file with a version of the same length that may have turned into zeros.
    pub fn zeroed(store: &'a Store, old: BlobId) -> Growth<'a> {
        Growth::new(store, Some(old), Compared::Zeros(ZeroedBytes::default()))
    }

    fn new(store: &'a Store, old: Option<BlobId>, compared: Compared) -> Growth<'a> {
        Growth {
            store,
            compared,
            old,
            reader: None,
            same: 0,
            block: None,
            holds: true,
            ends_in_line: false,
            is_past_line: false,
            torn: Torn::default(),
        }
    }

    /// Takes the next bytes; `before` is where in the version before they are a chunk.
    fn update(&mut self, mut bytes: &[u8], before: Option<u64>) -> io::Result<()> {
        if self.reader.is_none() && self.old.is_some() && before == Some(self.same) {
            self.same += bytes.len() as u64;
            self.ends_in_line = bytes.last().is_some_and(|last| *last != b'\n');
            if let Compared::Zeros(zeros) = &mut self.compared {
                zeros.same(bytes.len() as u64);
            }
            return Ok(());
        }
        while !matches!(self.compared, Compared::Nothing) && self.holds && !bytes.is_empty() {
            let Some((block, at)) = self.next_block()? else {
                self.gain(bytes);
                return Ok(());
            };
            let count = bytes.len().min(block.len() - at);
            let old = &block[at..at + count];
            self.holds = match &mut self.compared {
                Compared::Zeros(zeros) => zeros.update(old, &bytes[..count]),
                _ => old == &bytes[..count],
            };
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

    /// Looks through what is new, from the first line that begins there.
    fn gain(&mut self, mut bytes: &[u8]) {
        let Compared::Lines(lines) = &mut self.compared else { return };
        if self.ends_in_line && !self.is_past_line {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
            self.is_past_line = true;
            bytes = &bytes[end + 1..];
        }
        lines.update(bytes);
    }

    /// Returns where the file turned into zeros, if that is all that happened to it.
    pub fn zeroed_at(&self) -> Option<u64> {
        match &self.compared {
            Compared::Zeros(zeros) if self.holds => zeros.found_at(),
            _ => None,
        }
    }

    /// Says that the file is at its end.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.holds && self.next_block()?.is_some() {
            self.holds = false;
        }
        if let Compared::Lines(lines) = &mut self.compared {
            self.torn = std::mem::take(lines).finish();
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
