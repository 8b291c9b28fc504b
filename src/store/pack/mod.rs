//! Packs: immutable files of records, named by the SHA-256 of their bytes.
//!
//! `format` says what the bytes are, `read` finds entries, `plan`
//! decides what an object becomes, `large` cuts those too long for one record (`version` in memory), `write` makes a pack.
//! docs/format.md describes the file byte by byte.

pub(super) mod format;
pub(super) mod large;
pub(super) mod plan;
pub(super) mod read;
pub(super) mod version;
pub(super) mod write;

use std::fmt;

/// The name of a pack: the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId([u8; 32]);

const SUFFIX: &str = ".pack";

impl PackId {
    /// Returns the id whose bytes are `bytes`.
    pub fn from_bytes(bytes: [u8; 32]) -> PackId {
        PackId(bytes)
    }

    /// Returns the name of its file.
    pub fn file_name(&self) -> String {
        format!("{self}{SUFFIX}")
    }

    /// Returns the id in the name of a pack's file, or `None` if no pack is named like that.
    pub fn from_file_name(name: &std::ffi::OsStr) -> Option<PackId> {
        let digits = name.to_str()?.strip_suffix(SUFFIX)?;
        let is_lower = !digits.bytes().any(|b| b.is_ascii_uppercase());
        let mut bytes = [0; 32];
        (is_lower && hex::decode_to_slice(digits, &mut bytes).is_ok()).then_some(PackId(bytes))
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..5]))
    }
}
