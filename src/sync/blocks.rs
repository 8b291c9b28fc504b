//! Large objects on their way out: the store's blocks, told apart into what the base has and what is new.
//!
//! A large object is cut by content in the store, so two versions of it share most of their blocks. A
//! block that the base has as well becomes a copy; adjoining copies become one. Any other becomes a
//! literal, compressed against the bytes of the base that stood in its place.
//!
//! Reading is a thread's work that waits when it is two blocks ahead: blocks come in order and cannot be
//! asked for by position.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use sha2::{Digest, Sha256};

use super::frame::Frame;
use super::send::SendError;
use crate::object::ObjectId;
use crate::store::{self, RECORD_MAX, Store, frame};

/// So many large objects are remembered as bases: so many files may grow side by side.
const RECENT_MAX: usize = 8;
/// So many bytes of them are kept, to compress literals against.
const RECENT_BYTES_MAX: u64 = 48 << 20;
/// So much of a base is taken as reference for one literal.
const REFERENCE_BYTES: u64 = 256 << 10;
const AHEAD: usize = 2;

/// The blocks of a large object.
pub struct Blocks {
    id: ObjectId,
    /// Where a block begins, by its hash.
    by_hash: HashMap<[u8; 32], u64>,
    size: u64,
    /// Where each block begins and what it is, as long as that is not too much.
    content: Vec<(u64, Arc<[u8]>)>,
}

impl Blocks {
    fn new(id: ObjectId) -> Blocks {
        Blocks { id, by_hash: HashMap::new(), size: 0, content: Vec::new() }
    }

    fn push(&mut self, hash: [u8; 32], block: &Arc<[u8]>) {
        self.by_hash.entry(hash).or_insert(self.size);
        self.content.push((self.size, block.clone()));
        self.size += block.len() as u64;
        if self.size > RECENT_BYTES_MAX {
            self.content = Vec::new();
        }
    }

    fn content_bytes(&self) -> u64 {
        if self.content.is_empty() { 0 } else { self.size }
    }

    /// Returns bytes from `offset` on, at most [`REFERENCE_BYTES`]; fewer at the end, none if not kept.
    fn bytes_from(&self, offset: u64) -> Vec<u8> {
        let first = self.content.partition_point(|(at, block)| at + block.len() as u64 <= offset);
        let mut out = Vec::new();
        for (at, block) in self.content.get(first..).unwrap_or_default() {
            let skip = offset.saturating_sub(*at) as usize;
            let room = REFERENCE_BYTES as usize - out.len();
            let part = &block[skip.min(block.len())..];
            out.extend_from_slice(&part[..part.len().min(room)]);
            if out.len() as u64 >= REFERENCE_BYTES {
                break;
            }
        }
        out
    }
}

/// The blocks of the large objects that were sent last: the bases of what comes next.
#[derive(Default)]
pub struct RecentBlocks(VecDeque<Arc<Blocks>>);

impl RecentBlocks {
    /// Returns the blocks of an object, reading it if it was not sent lately.
    pub fn find_or_read(&mut self, store: &Store, id: ObjectId) -> Result<Arc<Blocks>, SendError> {
        if let Some(blocks) = self.0.iter().find(|blocks| blocks.id == id) {
            return Ok(blocks.clone());
        }
        let mut blocks = Blocks::new(id);
        let mut reader = store.try_reader(id)?.ok_or(store::Error::Missing { id })?;
        while let Some(block) = reader.next_block()? {
            blocks.push(Sha256::digest(&block).into(), &block);
        }
        let blocks = Arc::new(blocks);
        self.push(blocks.clone());
        Ok(blocks)
    }

    /// Remembers an object that was sent.
    pub fn put(&mut self, sent: Option<LargeSending>) {
        if let Some(sent) = sent {
            self.push(Arc::new(sent.new));
        }
    }

    fn push(&mut self, blocks: Arc<Blocks>) {
        self.0.push_front(blocks);
        let total = |recent: &VecDeque<Arc<Blocks>>| recent.iter().map(|b| b.content_bytes()).sum::<u64>();
        while self.0.len() > RECENT_MAX || (self.0.len() > 1 && total(&self.0) > RECENT_BYTES_MAX) {
            self.0.pop_back();
        }
    }
}

type Block = Result<Arc<[u8]>, store::Error>;

/// A large object that is being sent.
pub struct LargeSending {
    blocks: Receiver<Block>,
    old: Option<Arc<Blocks>>,
    new: Blocks,
    /// The receiver has everything before this.
    from: u64,
    /// Where in the base the next literal would stand.
    near: u64,
    /// A copy that may still grow.
    copy: Option<(u64, u64)>,
    /// A literal that waits behind a copy.
    literal: Option<Frame>,
}

impl LargeSending {
    /// Starts to read an object of which the receiver has `from` bytes.
    pub fn new(store: &Store, id: ObjectId, from: u64, old: Option<Arc<Blocks>>) -> LargeSending {
        let (sender, blocks) = sync_channel(AHEAD);
        let store = store.clone();
        std::thread::spawn(move || {
            let read = || -> Result<(), store::Error> {
                let mut reader = store.try_reader(id)?.ok_or(store::Error::Missing { id })?;
                while let Some(block) = reader.next_block()? {
                    if sender.send(Ok(block)).is_err() {
                        return Ok(());
                    }
                }
                Ok(())
            };
            if let Err(error) = read() {
                let _nobody_waits_any_more = sender.send(Err(error));
            }
        });
        LargeSending { blocks, old, new: Blocks::new(id), from, near: 0, copy: None, literal: None }
    }

    /// Returns the next piece, or `None` when the object is whole.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, SendError> {
        if let Some(literal) = self.literal.take() {
            return Ok(Some(literal));
        }
        while let Ok(block) = self.blocks.recv() {
            let block = block?;
            let hash: [u8; 32] = Sha256::digest(&block).into();
            let begin = self.new.size;
            self.new.push(hash, &block);
            let skip = self.from.saturating_sub(begin);
            let copy_from = self.old.as_ref().and_then(|old| old.by_hash.get(&hash).copied());
            if let Some(at) = copy_from {
                self.near = at + block.len() as u64;
            }
            if skip >= block.len() as u64 {
                continue;
            }
            match copy_from {
                Some(at) => {
                    let (at, size) = (at + skip, block.len() as u64 - skip);
                    match &mut self.copy {
                        Some((offset, length)) if *offset + *length == at => *length += size,
                        _ => {
                            if let Some((offset, size)) = self.copy.replace((at, size)) {
                                return Ok(Some(Frame::Copy { offset, size }));
                            }
                        }
                    }
                }
                None => {
                    let literal = self.literal_frame(&block[skip as usize..]);
                    let Some((offset, size)) = self.copy.take() else { return Ok(Some(literal)) };
                    self.literal = Some(literal);
                    return Ok(Some(Frame::Copy { offset, size }));
                }
            }
        }
        Ok(self.copy.take().map(|(offset, size)| Frame::Copy { offset, size }))
    }

    fn literal_frame(&self, bytes: &[u8]) -> Frame {
        debug_assert!(bytes.len() <= RECORD_MAX);
        let size = bytes.len() as u32;
        let reference = self.old.as_ref().map(|old| old.bytes_from(self.near)).unwrap_or_default();
        if reference.is_empty() {
            return Frame::Literal { size, reference: None, squeezed: frame::encode_whole(bytes) };
        }
        let squeezed = frame::encode_delta(&reference, bytes);
        Frame::Literal { size, reference: Some((self.near, reference.len() as u32)), squeezed }
    }
}
