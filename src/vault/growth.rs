//! A large stream on its way into the store, compared with the version before it.

use std::io;
use std::sync::Arc;

use crate::gateway::content::ContentJudge;
use crate::store::ObjectReader;

/// So much of what a large stream gained is looked through for torn lines.
const TAIL_BYTES_MAX: usize = 8 << 20;

/// Compares a large stream with the version before it while it is read: it should only have grown.
pub(super) struct Growth<'a> {
    old: Option<ObjectReader<'a>>,
    block: Option<(Arc<[u8]>, usize)>,
    /// Whether it begins with all that was there, as far as both were read.
    pub holds: bool,
    tail: Vec<u8>,
    /// Whether the version before ends within a line.
    ends_in_line: bool,
}

impl<'a> Growth<'a> {
    /// Begins to compare with a version, if there is one.
    pub fn beyond(old: Option<ObjectReader<'a>>) -> Growth<'a> {
        Growth { old, block: None, holds: true, tail: Vec::new(), ends_in_line: false }
    }

    fn update(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.holds && !bytes.is_empty() {
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
        let Some(old) = &mut self.old else { return Ok(None) };
        match old.next_block().map_err(io::Error::other)? {
            Some(block) => Ok(Some((block, 0))),
            None => {
                self.old = None;
                Ok(None)
            }
        }
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

/// Hands a large file on and looks at it on the way.
pub(super) struct Judging<'a, 'b> {
    pub inner: &'a mut (dyn io::Read + Send),
    pub judge: ContentJudge,
    pub growth: Growth<'b>,
}

impl io::Read for Judging<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.judge.update(&buffer[..count]);
        self.growth.update(&buffer[..count])?;
        Ok(count)
    }
}
