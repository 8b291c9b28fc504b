//! Recipes: which chunks, in which order, an object above [`RECORD_MAX`] is made of.
//!
//! - A recipe of level 0 lists chunks; one of level n lists recipes of level n - 1, which are kept as
//!   blobs of their own. Levels only go down, so that no recipe can lead back to itself.
//! - Its lengths add up to the length it declares, no entry is empty, and a checksum at its end tells
//!   a wrong delta base from the right one.
//! - A list of more than [`FLAT_MAX`] entries is cut into groups where its ids say so, so that an edit
//!   changes one group of a long list.

use sha2::{Digest, Sha256};

use super::frame::RECORD_MAX;
use crate::object::{Kind, ObjectId, hash_object};

/// A list of at most this many entries is kept in one piece.
pub const FLAT_MAX: usize = 8192;
/// Recipes of this level or above do not exist.
pub const LEVEL_END: u8 = 3;

const MAGIC: [u8; 4] = *b"mvrc";
const VERSION: u8 = 1;
const HEAD_LEN: usize = 16;
const ENTRY_LEN: usize = 40;
const SUM_LEN: usize = 16;
const GROUP_MIN: usize = 256;
const GROUP_MAX: usize = 4096;

/// One entry: the id of a chunk or a recipe, and how many bytes of the object it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The git blob id of its bytes.
    pub id: ObjectId,
    /// The bytes of the object it stands for.
    pub length: u64,
}

/// A list of pieces, all chunks or all recipes of the level below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// 0 if the pieces are chunks.
    pub level: u8,
    /// The pieces in order.
    pub pieces: Vec<Piece>,
}

impl Recipe {
    /// Returns how many bytes of the object it stands for.
    pub fn length(&self) -> u64 {
        self.pieces.iter().fold(0, |sum, piece| sum.saturating_add(piece.length))
    }

    /// Writes the recipe.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_LEN + self.pieces.len() * ENTRY_LEN + SUM_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, self.level, 0, 0]);
        bytes.extend_from_slice(&self.length().to_le_bytes());
        for piece in &self.pieces {
            bytes.extend_from_slice(piece.id.as_bytes());
            bytes.extend_from_slice(&piece.length.to_le_bytes());
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum[..SUM_LEN]);
        bytes
    }

    /// Reads a recipe for `length` bytes of an object, or says what is wrong with it.
    pub fn decode(bytes: &[u8], length: u64) -> Result<Recipe, String> {
        let list = bytes.len().checked_sub(HEAD_LEN + SUM_LEN);
        if list.is_none_or(|list| list == 0 || list % ENTRY_LEN != 0) || bytes[..4] != MAGIC {
            return Err("it is no recipe".to_owned());
        }
        let (body, sum) = bytes.split_at(bytes.len() - SUM_LEN);
        if Sha256::digest(body)[..SUM_LEN] != *sum {
            return Err("the recipe's checksum does not match".to_owned());
        }
        let (version, level) = (body[4], body[5]);
        if version != VERSION || level >= LEVEL_END || body[6..8] != [0, 0] {
            return Err(format!("the recipe has version {version} and level {level}"));
        }
        let mut pieces = Vec::with_capacity((body.len() - HEAD_LEN) / ENTRY_LEN);
        let mut left = length;
        for entry in body[HEAD_LEN..].chunks_exact(ENTRY_LEN) {
            let id = ObjectId::from_slice(&entry[..32]).expect("32 bytes were cut off");
            let piece = Piece { id, length: le64(&entry[32..]) };
            let fits = piece.length > 0 && (level > 0 || piece.length <= RECORD_MAX as u64);
            match left.checked_sub(piece.length).filter(|_| fits) {
                Some(rest) => left = rest,
                None => return Err("the recipe's lengths do not add up".to_owned()),
            }
            pieces.push(piece);
        }
        if left != 0 || le64(&body[8..HEAD_LEN]) != length {
            return Err("the recipe's lengths do not add up".to_owned());
        }
        Ok(Recipe { level, pieces })
    }
}

fn le64(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}

/// A recipe below the top, to be stored as a blob.
#[derive(Debug)]
pub struct Node {
    /// Its level.
    pub level: u8,
    /// Where in the object it begins, in bytes.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Puts a recipe together piece by piece, in memory bounded by the number of groups.
#[derive(Debug, Default)]
pub struct Builder {
    levels: Vec<Level>,
}

#[derive(Debug, Default)]
struct Level {
    pieces: Vec<Piece>,
    /// Where in the object the first of `pieces` begins.
    offset: u64,
    is_cut: bool,
}

impl Builder {
    /// Adds the next chunk; returns the groups that are complete by now.
    pub fn push(&mut self, piece: Piece) -> Vec<Node> {
        let mut nodes = Vec::new();
        self.push_at(0, piece, &mut nodes);
        nodes
    }

    fn push_at(&mut self, level: usize, piece: Piece, nodes: &mut Vec<Node>) {
        if self.levels.len() == level {
            self.levels.push(Level::default());
        }
        let list = &mut self.levels[level];
        list.pieces.push(piece);
        if list.is_cut {
            if is_group(&list.pieces) {
                self.close(level, list_len(&self.levels[level]), nodes);
            }
        } else if list.pieces.len() > FLAT_MAX {
            list.is_cut = true;
            while let Some(length) = first_group(&self.levels[level].pieces) {
                self.close(level, length, nodes);
            }
        }
    }

    /// Makes a node of the first `count` pieces of `level` and lists it one level up.
    fn close(&mut self, level: usize, count: usize, nodes: &mut Vec<Node>) {
        let list = &mut self.levels[level];
        let pieces: Vec<Piece> = list.pieces.drain(..count).collect();
        let recipe = Recipe { level: level as u8, pieces };
        let (offset, length, bytes) = (list.offset, recipe.length(), recipe.encode());
        list.offset += length;
        let id = hash_object(Kind::Blob, &bytes);
        nodes.push(Node { level: recipe.level, offset, bytes });
        self.push_at(level + 1, Piece { id, length }, nodes);
    }

    /// Returns the last groups and the recipe of the whole; `None` if even the groups of groups are
    /// too many.
    pub fn finish(mut self) -> Option<(Vec<Node>, Recipe)> {
        let mut nodes = Vec::new();
        for level in 0..usize::from(LEVEL_END) {
            let list = self.levels.get_mut(level)?;
            if !list.is_cut {
                let pieces = std::mem::take(&mut list.pieces);
                return Some((nodes, Recipe { level: level as u8, pieces }));
            }
            if !list.pieces.is_empty() {
                self.close(level, list_len(&self.levels[level]), &mut nodes);
            }
        }
        None
    }
}

fn list_len(level: &Level) -> usize {
    level.pieces.len()
}

fn ends_group(count: usize, last: &Piece) -> bool {
    let id = last.id.as_bytes();
    let is_cut = u16::from_le_bytes([id[0], id[1]]) & 0x3ff == 0;
    count >= GROUP_MAX || count >= GROUP_MIN && is_cut
}

fn is_group(pieces: &[Piece]) -> bool {
    pieces.last().is_some_and(|last| ends_group(pieces.len(), last))
}

fn first_group(pieces: &[Piece]) -> Option<usize> {
    (1..=pieces.len()).find(|count| ends_group(*count, &pieces[count - 1]))
}
