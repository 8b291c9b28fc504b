//! The hash of a line of the log, which is a sealed line. Pure.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::object::{check_line, seal_line};

/// The SHA-256 of a line of the log before its suffix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// What the first operation names as the line before it.
    pub const ZERO: LineHash = LineHash([0; 32]);

    /// Returns the hash whose bytes are `bytes`, as a cache keeps them.
    pub fn from_bytes(bytes: [u8; 32]) -> LineHash {
        LineHash(bytes)
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<LineHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(LineHash(bytes)).filter(|hash| hash.to_string() == text)
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..5]))
    }
}

impl Serialize for LineHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LineHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LineHash, D::Error> {
        let text = String::deserialize(deserializer)?;
        LineHash::parse(&text).ok_or_else(|| D::Error::custom("not a hash of 64 hexadecimal digits"))
    }
}

/// Returns the line for `value`, with its hash and its newline, and the hash.
pub(super) fn seal(value: &impl Serialize) -> (Vec<u8>, LineHash) {
    let (line, hash) = seal_line(value);
    (line, LineHash(hash))
}

/// Returns the hash of a line, without its newline, if the line holds: right suffix, right hash.
pub(super) fn check(line: &[u8]) -> Option<LineHash> {
    check_line(line).map(LineHash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_holds_and_no_changed_byte_of_it_does() {
        let (line, hash) = seal(&serde_json::json!({"seq": 1, "text": "päivä\n\0"}));
        let line = line.strip_suffix(b"\n").expect("a newline ends the line");
        assert_eq!(check(line), Some(hash));
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut bad = line.to_vec();
                bad[at] ^= 1 << bit;
                assert_eq!(check(&bad), None, "byte {at}, bit {bit}");
            }
            assert_eq!(check(&line[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn only_lower_case_digits_are_a_hash() {
        let text = "ab".repeat(32);
        assert!(LineHash::parse(&text).is_some());
        assert!(LineHash::parse(&text.to_uppercase()).is_none());
        assert!(LineHash::parse(&text[1..]).is_none());
    }
}
