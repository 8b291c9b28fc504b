//! One segment of the log as bytes: a checkpoint of all refs, then operations. Pure.
//!
//! - A segment is named by the number of its first operation, which is in it from the start.
//! - Lines of the checkpoint and that first operation appear at once with the file, so they are never
//!   torn; only a later last line can be.
//! - A last line that was cut off counts for nothing and is no damage; any other bad line is damage.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::line::{self, LineHash};
use super::operation::{Anchor, Operation};
use super::refs::{RefName, RefTarget, Refs};

/// A line of a checkpoint is closed once it has grown beyond this.
const CHECKPOINT_LINE_BYTES: usize = 32 * 1024;
/// Digits of a segment's number in its name, so that names sort as numbers do.
const NAME_DIGITS: usize = 16;
const NAME_SUFFIX: &str = ".jsonl";

/// Returns the file name of the segment whose first operation is `start`.
pub(super) fn name(start: u64) -> String {
    format!("{start:0NAME_DIGITS$}{NAME_SUFFIX}")
}

/// Returns the number of the first operation from a segment's file name.
pub(super) fn parse_name(file_name: &std::ffi::OsStr) -> Option<u64> {
    let digits = file_name.to_str()?.strip_suffix(NAME_SUFFIX)?;
    let start = digits.parse::<u64>().ok().filter(|start| *start > 0)?;
    (name(start).as_bytes() == file_name.as_encoded_bytes()).then_some(start)
}

/// What a reader may expect of a segment's end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// Another segment follows: every line was synced.
    Closed,
    /// It is the newest: the last line may be torn, unless it is known to have been whole.
    Newest {
        /// The last operation that a cache remembers.
        known: Option<Anchor>,
    },
}

/// Why a segment is damaged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// Where it begins, in bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub what: String,
}

/// A segment that was read.
#[derive(Debug)]
pub(super) struct Segment {
    /// The number of its first operation.
    pub start: u64,
    /// The operation before the first.
    pub base: Anchor,
    /// All refs before the first operation.
    pub base_refs: Refs,
    /// The operations.
    pub operations: Vec<Operation>,
    /// All refs after the last operation.
    pub refs: Refs,
    /// Length of the checkpoint in bytes.
    pub checkpoint_bytes: usize,
    /// Length of all whole lines.
    pub good_bytes: usize,
    /// Whether the last whole line still lacks its newline.
    pub newline_missing: bool,
    /// What follows the whole lines: the rest of an append that was never acknowledged.
    pub torn: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct CheckpointForm {
    checkpoint: u32,
    of: u32,
    seq: u64,
    prev: LineHash,
    refs: BTreeMap<RefName, RefTarget>,
}

/// Returns the lines of a checkpoint of `refs` after the operation `base`.
pub(super) fn encode_checkpoint(base: Anchor, refs: &Refs) -> Vec<u8> {
    let mut parts = vec![BTreeMap::new()];
    let mut bytes = 0;
    for (name, target) in refs.iter() {
        let ids = target.commits().count();
        let cost = name.to_string().len() + 16 + ids * 67;
        if bytes + cost > CHECKPOINT_LINE_BYTES && bytes > 0 {
            parts.push(BTreeMap::new());
            bytes = 0;
        }
        bytes += cost;
        parts.last_mut().expect("there is a part").insert(name.clone(), target.clone());
    }
    let of = u32::try_from(parts.len()).expect("a part holds many refs, and memory holds all of them");
    let lines = parts.into_iter().zip(1..).map(|(refs, checkpoint)| {
        line::seal(&CheckpointForm { checkpoint, of, seq: base.seq, prev: base.hash, refs }).0
    });
    lines.flatten().collect()
}

/// Reads a segment.
pub(super) fn parse(start: u64, bytes: &[u8], role: Role) -> Result<Segment, Fault> {
    let mut reader = Reader::new(start);
    let mut offset = 0;
    let mut number = 0;
    while offset < bytes.len() {
        number += 1;
        let fault = |what: String| Fault { line: number, offset, what };
        let rest = &bytes[offset..];
        let newline = rest.iter().position(|b| *b == b'\n');
        let piece = &rest[..newline.unwrap_or(rest.len())];
        let next = (offset + piece.len() + 1).min(bytes.len());
        let may_be_torn = match role {
            Role::Newest { known } if next == bytes.len() && !reader.segment.operations.is_empty() => {
                known.is_none_or(|known| known.seq <= reader.last().seq)
            }
            _ => false,
        };
        let newest = matches!(role, Role::Newest { .. });
        match (line::check(piece), newline) {
            (Some(hash), Some(_)) => reader.take(piece, hash).map_err(fault)?,
            (Some(hash), None) if newest => {
                reader.take(piece, hash).map_err(fault)?;
                reader.segment.newline_missing = true;
            }
            (Some(_), None) => return Err(fault("the last line has no end".to_owned())),
            (None, _) => match whole_before_zeros(piece, newline.is_none() && newest) {
                Some((line, hash)) => {
                    reader.take(line, hash).map_err(fault)?;
                    reader.segment.newline_missing = true;
                    reader.segment.good_bytes = offset + line.len();
                    reader.segment.torn = rest[line.len()..].to_vec();
                    return reader.finish();
                }
                None if may_be_torn && is_torn(piece, newline.is_some()) => {
                    reader.segment.torn = rest.to_vec();
                    return reader.finish();
                }
                None => return Err(fault("its hash does not hold".to_owned())),
            },
        }
        offset = next;
        reader.segment.good_bytes = offset;
        if reader.in_checkpoint() {
            reader.segment.checkpoint_bytes = offset;
        }
    }
    reader.finish()
}

/// Finds a whole line that only zero bytes follow: its newline was lost while the file had grown.
fn whole_before_zeros(piece: &[u8], allowed: bool) -> Option<(&[u8], LineHash)> {
    let end = piece.iter().rposition(|b| *b != 0)? + 1;
    let line = &piece[..end];
    (allowed && end < piece.len()).then(|| line::check(line).map(|hash| (line, hash)))?
}

/// Tells whether a last line whose hash does not hold was cut off while it was appended: it has no
/// newline, or a zero byte (the end of an append can survive its beginning), and is no JSON.
fn is_torn(piece: &[u8], ended: bool) -> bool {
    (!ended || piece.contains(&0)) && serde_json::from_slice::<serde::de::IgnoredAny>(piece).is_err()
}

struct Reader {
    segment: Segment,
    parts_read: u32,
    parts: u32,
}

impl Reader {
    fn new(start: u64) -> Reader {
        let segment = Segment {
            start,
            base: Anchor::START,
            base_refs: Refs::default(),
            operations: Vec::new(),
            refs: Refs::default(),
            checkpoint_bytes: 0,
            good_bytes: 0,
            newline_missing: false,
            torn: Vec::new(),
        };
        Reader { segment, parts_read: 0, parts: 1 }
    }

    fn in_checkpoint(&self) -> bool {
        self.segment.operations.is_empty()
    }

    fn last(&self) -> Anchor {
        self.segment.last()
    }

    fn take(&mut self, line: &[u8], hash: LineHash) -> Result<(), String> {
        if self.parts_read < self.parts {
            return self.take_checkpoint(line);
        }
        let operation =
            Operation::decode(line, hash).map_err(|error| format!("it is no operation: {error}"))?;
        let last = self.last();
        if operation.seq != last.seq + 1 {
            return Err(format!("operation {} follows operation {}", operation.seq, last.seq));
        }
        if operation.prev != last.hash {
            return Err(format!("operation {} does not name the line before it", operation.seq));
        }
        self.segment.refs.apply(&operation.refs);
        self.segment.operations.push(operation);
        Ok(())
    }

    fn take_checkpoint(&mut self, line: &[u8]) -> Result<(), String> {
        let form: CheckpointForm =
            serde_json::from_slice(line).map_err(|error| format!("it is no checkpoint: {error}"))?;
        let base = Anchor { seq: form.seq, hash: form.prev };
        let first = self.parts_read == 0;
        if form.checkpoint != self.parts_read + 1 || form.of < form.checkpoint {
            return Err("parts of the checkpoint are missing or out of order".to_owned());
        }
        if base.seq.checked_add(1) != Some(self.segment.start) || (!first && base != self.segment.base) {
            return Err("the checkpoint is that of another segment".to_owned());
        }
        if !first && form.of != self.parts {
            return Err("the parts of the checkpoint disagree".to_owned());
        }
        self.segment.base = base;
        self.parts = form.of;
        self.parts_read += 1;
        for (name, target) in form.refs {
            if !self.segment.base_refs.insert_new(name.clone(), target) {
                return Err(format!("the checkpoint is wrong about {name}"));
            }
        }
        self.segment.refs = self.segment.base_refs.clone();
        Ok(())
    }

    fn finish(self) -> Result<Segment, Fault> {
        if self.segment.operations.is_empty() {
            let what = "it ends before its first operation".to_owned();
            return Err(Fault { line: self.parts_read as usize + 1, offset: self.segment.good_bytes, what });
        }
        Ok(self.segment)
    }
}

impl Segment {
    /// Returns the place of the last operation.
    pub fn last(&self) -> Anchor {
        self.operations.last().map_or(self.base, Operation::anchor)
    }

    /// Returns the operation `seq` if it is in this segment.
    pub fn get(&self, seq: u64) -> Option<&Operation> {
        let index = usize::try_from(seq.checked_sub(self.start)?).ok()?;
        self.operations.get(index)
    }

    /// Returns all refs after operation `seq`, which is in this segment or the one before its first.
    pub fn refs_at(&self, seq: u64) -> Option<Refs> {
        let count = usize::try_from(seq.checked_sub(self.base.seq)?).ok()?;
        let mut refs = self.base_refs.clone();
        for operation in self.operations.get(..count)? {
            refs.apply(&operation.refs);
        }
        Some(refs)
    }
}
