//! Large objects on their way out: the store's chunks, told apart into what the base has and what is new.
//!
//! - A large object is cut by content in the store, so two versions of it share most of their chunks. What both
//!   recipes list becomes a copy, and nothing of it is read; adjoining copies become one. Recipes carry a checksum, so
//!   that damage here is found here.
//! - Any other chunk becomes a literal: read, hashed, and sent in the frame in which it is stored if that is made on a
//!   chunk of the base, else compressed against the bytes of the base that stood in its place.
//! - Where there are more literals than a few, a thread makes them that waits when it is two ahead.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use super::frame::Frame;
use super::send::SendError;
use crate::object::{Kind, ObjectId};
use crate::store::{self, Piece, RECORD_MAX, Store, frame};

/// So many large objects are remembered as bases: so many files may grow side by side.
const RECENT_MAX: usize = 8;
/// So many chunks of them are listed, but for the newest.
const RECENT_CHUNKS_MAX: usize = 1 << 18;
/// So much of a base is taken as reference for one literal.
const REFERENCE_BYTES: u64 = 256 << 10;
/// So many literals are made where they are asked for.
const FEW: usize = 4;
const AHEAD: usize = 2;

/// The chunks of a large object.
pub struct Blocks {
    id: ObjectId,
    /// Where each begins.
    chunks: Vec<(u64, Piece)>,
    /// Where a chunk begins first.
    places: HashMap<ObjectId, u64>,
}

impl Blocks {
    fn list(store: &Store, id: ObjectId) -> Result<Blocks, store::Error> {
        let chunks = store.chunks(id)?.ok_or(store::Error::Missing { id })?;
        let mut place = 0;
        let begin = |piece: Piece| {
            let at = place;
            place += piece.length;
            (at, piece)
        };
        let chunks: Vec<(u64, Piece)> = chunks.into_iter().map(begin).collect();
        let mut places = HashMap::with_capacity(chunks.len());
        for (at, piece) in &chunks {
            places.entry(piece.id).or_insert(*at);
        }
        Ok(Blocks { id, chunks, places })
    }

    /// Returns where the same chunk begins.
    fn find(&self, piece: &Piece) -> Option<u64> {
        let at = *self.places.get(&piece.id)?;
        let there = self.chunks.partition_point(|(begin, _)| *begin < at);
        self.chunks.get(there).filter(|(_, own)| own.length == piece.length).map(|_| at)
    }

    /// Returns bytes from `offset` on, at most [`REFERENCE_BYTES`]; fewer at the end.
    fn bytes_from(&self, store: &Store, offset: u64) -> Result<Vec<u8>, store::Error> {
        let first = self.chunks.partition_point(|(at, piece)| at + piece.length <= offset);
        let mut out = Vec::new();
        for (at, piece) in &self.chunks[first..] {
            let room = REFERENCE_BYTES as usize - out.len();
            if room == 0 {
                break;
            }
            let bytes = store.chunk(self.id, *piece)?;
            let part = &bytes[offset.saturating_sub(*at) as usize..];
            out.extend_from_slice(&part[..part.len().min(room)]);
        }
        Ok(out)
    }
}

/// The large objects that were sent last: the bases of what comes next.
#[derive(Default)]
pub struct RecentBlocks(VecDeque<Arc<Blocks>>);

impl RecentBlocks {
    /// Returns the chunks of an object, listing them if it was not sent lately.
    pub fn find_or_list(&mut self, store: &Store, id: ObjectId) -> Result<Arc<Blocks>, SendError> {
        if let Some(blocks) = self.0.iter().find(|blocks| blocks.id == id) {
            return Ok(blocks.clone());
        }
        let blocks = Arc::new(Blocks::list(store, id)?);
        self.push(blocks.clone());
        Ok(blocks)
    }

    fn push(&mut self, blocks: Arc<Blocks>) {
        self.0.push_front(blocks);
        let total = |recent: &VecDeque<Arc<Blocks>>| recent.iter().map(|b| b.chunks.len()).sum::<usize>();
        while self.0.len() > RECENT_MAX || (self.0.len() > 1 && total(&self.0) > RECENT_CHUNKS_MAX) {
            self.0.pop_back();
        }
    }
}

/// A piece of a large object.
enum Step {
    Copy { offset: u64, size: u64 },
    Literal(Literal),
}

/// A chunk that the base does not have.
#[derive(Clone, Copy)]
struct Literal {
    chunk: Piece,
    /// The receiver has its first bytes.
    skip: u64,
    /// Where in the base it would stand.
    near: u64,
}

/// What literals are made of.
#[derive(Clone)]
struct Maker {
    store: Store,
    id: ObjectId,
    old: Option<Arc<Blocks>>,
}

/// A large object that is being sent.
pub struct LargeSending {
    maker: Maker,
    steps: VecDeque<Step>,
    /// Literals that a thread makes.
    ahead: Option<Receiver<Result<Frame, store::Error>>>,
}

impl LargeSending {
    /// Starts to send an object of which the receiver has `from` bytes.
    pub fn new(
        store: &Store,
        id: ObjectId,
        from: u64,
        base: Option<ObjectId>,
        recent: &mut RecentBlocks,
    ) -> Result<LargeSending, SendError> {
        let old = base.map(|base| recent.find_or_list(store, base)).transpose()?;
        let new = recent.find_or_list(store, id)?;
        let steps = plan(&new, from, old.as_deref());
        let maker = Maker { store: store.clone(), id, old };
        let literals = || {
            let literal = |step: &Step| if let Step::Literal(literal) = step { Some(*literal) } else { None };
            steps.iter().filter_map(literal)
        };
        let ahead = (literals().count() > FEW).then(|| maker.make_ahead(literals().collect()));
        Ok(LargeSending { maker, steps, ahead })
    }

    /// Returns the next piece, or `None` when the object is whole.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, SendError> {
        let literal = match self.steps.pop_front() {
            None => return Ok(None),
            Some(Step::Copy { offset, size }) => return Ok(Some(Frame::Copy { offset, size })),
            Some(Step::Literal(literal)) => literal,
        };
        match self.ahead.as_ref().and_then(|ahead| ahead.recv().ok()) {
            Some(frame) => Ok(Some(frame?)),
            None => Ok(Some(self.maker.frame(literal)?)),
        }
    }
}

/// Lists the pieces of an object behind its first `from` bytes.
fn plan(new: &Blocks, from: u64, old: Option<&Blocks>) -> VecDeque<Step> {
    let (mut steps, mut near) = (VecDeque::new(), 0);
    for (begin, chunk) in &new.chunks {
        let there = old.and_then(|old| old.find(chunk));
        near = there.map_or(near, |at| at + chunk.length);
        let skip = from.saturating_sub(*begin);
        if skip >= chunk.length {
            continue;
        }
        match (there, steps.back_mut()) {
            (Some(at), Some(Step::Copy { offset, size })) if *offset + *size == at + skip => {
                *size += chunk.length - skip;
            }
            (Some(at), _) => steps.push_back(Step::Copy { offset: at + skip, size: chunk.length - skip }),
            (None, _) => steps.push_back(Step::Literal(Literal { chunk: *chunk, skip, near })),
        }
    }
    steps
}

impl Maker {
    fn make_ahead(&self, literals: Vec<Literal>) -> Receiver<Result<Frame, store::Error>> {
        let (sender, frames) = sync_channel(AHEAD);
        let maker = self.clone();
        std::thread::spawn(move || {
            for literal in literals {
                let frame = maker.frame(literal);
                let is_last = frame.is_err();
                // Nobody may wait any more.
                if sender.send(frame).is_err() || is_last {
                    return;
                }
            }
        });
        frames
    }

    fn frame(&self, literal: Literal) -> Result<Frame, store::Error> {
        let Literal { chunk, skip, near } = literal;
        if skip == 0
            && let Some(frame) = self.stored(&chunk)
        {
            return Ok(frame);
        }
        let bytes = self.store.chunk(self.id, chunk)?;
        let bytes = &bytes[skip as usize..];
        debug_assert!(bytes.len() <= RECORD_MAX);
        let size = bytes.len() as u32;
        let reference = match &self.old {
            Some(old) => old.bytes_from(&self.store, near)?,
            None => Vec::new(),
        };
        if reference.is_empty() {
            return Ok(Frame::Literal { size, reference: None, squeezed: frame::encode_whole(bytes) });
        }
        let squeezed = frame::encode_delta(&reference, bytes);
        Ok(Frame::Literal { size, reference: Some((near, reference.len() as u32)), squeezed })
    }

    /// Returns a chunk as it is stored, if that is made on a chunk of the base, or on nothing where there is no base.
    fn stored(&self, chunk: &Piece) -> Option<Frame> {
        let place = |base: ObjectId| self.old.as_ref().and_then(|old| old.places.get(&base).copied());
        let suits = |base: Option<ObjectId>| base.map_or(self.old.is_none(), |base| place(base).is_some());
        let stored = self.store.stored_frame(chunk.id, Kind::Blob, &suits)?;
        let reference = match (stored.base, &self.old) {
            (Some(base), Some(old)) => {
                let at = place(base)?;
                let there = old.chunks.partition_point(|(begin, _)| *begin < at);
                Some((at, u32::try_from(old.chunks.get(there)?.1.length).ok()?))
            }
            _ => None,
        };
        let size = u32::try_from(chunk.length).ok()?;
        Some(Frame::Literal { size, reference, squeezed: stored.frame })
    }
}
