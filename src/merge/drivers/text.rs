//! Text by lines, as gix merges it.

use gix::bstr::ByteSlice;
use gix::merge::plumbing::blob::builtin_driver;

use super::super::engine::text_options;

/// How many bytes at the beginning decide whether a file is text.
const TEXT_PROBE_BYTES: usize = 8000;

/// Tells whether git and gix take `bytes` for binary: a zero byte near the beginning.
pub(in super::super) fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(TEXT_PROBE_BYTES)].find_byte(0).is_some()
}

/// Merges by lines and keeps the lines of both sides where both changed the same ones.
pub(in super::super) fn union(base: &[u8], ours: &[u8], theirs: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut input = gix::diff::blob::InternedInput::new(&[][..], &[]);
    builtin_driver::text(
        &mut out,
        &mut input,
        builtin_driver::text::Labels::default(),
        ours,
        base,
        theirs,
        text_options(builtin_driver::text::Conflict::ResolveWithUnion),
    );
    out
}
