//! Text in UTF-16: each unit becomes one byte, so that everything that looks at ASCII sees it.
//!
//! A unit beyond ASCII becomes a byte that belongs to no credential. Places are those of the units: twice as far on
//! in the file.

use super::Secret;

/// How many bytes show how a text is encoded.
pub(super) const HEAD: usize = 64;
/// How many bytes without a mark must look like units before they are taken for some.
const HEAD_UNMARKED_MIN: usize = 32;
/// What stands for a unit beyond ASCII.
const FOREIGN: u8 = 0xff;

/// Text in UTF-16, on its way.
pub(super) struct Units {
    is_big_endian: bool,
    /// The first half of a unit whose second is in the next piece.
    half: Option<u8>,
}

impl Units {
    /// Looks whether a text that begins so is UTF-16: by the mark at its start, or because every second byte is zero.
    pub(super) fn detect(start: &[u8]) -> Option<Units> {
        let head = &start[..start.len().min(HEAD)];
        let zeros = |from: usize| head.iter().skip(from).step_by(2).all(|b| *b == 0);
        let others = |from: usize| head.iter().skip(from).step_by(2).all(|b| *b != 0);
        let is_long = head.len() >= HEAD_UNMARKED_MIN;
        let is_big_endian = match head {
            [0xff, 0xfe, ..] => false,
            [0xfe, 0xff, ..] => true,
            _ if is_long && zeros(1) && others(0) => false,
            _ if is_long && zeros(0) && others(1) => true,
            _ => return None,
        };
        Some(Units { is_big_endian, half: None })
    }

    /// Returns a byte for each unit of the next piece.
    pub(super) fn narrow(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut narrow = Vec::with_capacity(bytes.len() / 2 + 1);
        for &byte in bytes {
            let Some(first) = self.half.take() else {
                self.half = Some(byte);
                continue;
            };
            let (high, low) = if self.is_big_endian { (first, byte) } else { (byte, first) };
            narrow.push(if high == 0 && low.is_ascii() { low } else { FOREIGN });
        }
        narrow
    }
}

/// Returns what was found among units as a place in the file.
pub(super) fn widened(secret: Secret) -> Secret {
    Secret { offset: secret.offset * 2, length: secret.length * 2, ..secret }
}
