//! Differences between two states of files, as data: hunks of lines, for a patch or for a terminal.
//!
//! - Lines end at `\n` and nowhere else; a last line without one differs from the same line with one.
//! - Content is bytes. What has a zero byte in its first 8,000 is binary, as git decides it.
//! - [`patch`] writes what `git apply` takes; [`terminal`] writes the same for eyes, words highlighted;
//!   [`conflict`] shows both sides of a conflict against their base.
//!
//! Limits: `similar` decides which of several equally short differences is shown, and that may change
//! with its version; nothing that is stored or hashed is made from it.

pub mod conflict;
mod patch;
mod terminal;
#[cfg(test)]
mod tests;

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

pub use patch::{patch, quote_path};
pub use terminal::terminal;

use crate::object::{Mode, ObjectId};

/// How many unchanged lines stand around a change.
pub const CONTEXT_LINES: usize = 3;

/// How many bytes decide whether content is binary.
const BINARY_PROBE_BYTES: usize = 8000;

/// One side of a difference.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The path.
    pub path: &'a [u8],
    /// What it is: never a folder.
    pub mode: Mode,
    /// The blob's id.
    pub id: ObjectId,
    /// The bytes; `None` if they are too many to be shown, then only the fact of the change is.
    pub data: Option<&'a [u8]>,
}

/// What happened to one file: at least one side is there.
#[derive(Clone, Copy, Debug)]
pub struct FileDiff<'a> {
    /// Before; `None` for a new file.
    pub old: Option<Side<'a>>,
    /// After; `None` for a deleted file.
    pub new: Option<Side<'a>>,
}

/// One line of a hunk with the bytes of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// On both sides.
    Context(&'a [u8]),
    /// Only before.
    Removed(&'a [u8]),
    /// Only after.
    Added(&'a [u8]),
}

/// Neighbouring changes with the lines around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// The first line before, counted from 0, and how many.
    pub old: (usize, usize),
    /// The first line after, counted from 0, and how many.
    pub new: (usize, usize),
    /// The lines; of a change the removed ones first.
    pub lines: Vec<Line<'a>>,
}

/// How many lines came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines only after.
    pub added: usize,
    /// Lines only before.
    pub removed: usize,
}

/// Tells whether content is binary.
pub fn is_binary(data: &[u8]) -> bool {
    data[..data.len().min(BINARY_PROBE_BYTES)].contains(&0)
}

impl<'a> FileDiff<'a> {
    /// Splits a change between file and symbolic link into a deletion and a creation, as git does.
    pub fn split_type_change(self) -> Vec<FileDiff<'a>> {
        match (self.old, self.new) {
            (Some(old), Some(new)) if (old.mode == Mode::Symlink) != (new.mode == Mode::Symlink) => {
                vec![FileDiff { old: Some(old), new: None }, FileDiff { old: None, new: Some(new) }]
            }
            _ => vec![self],
        }
    }

    /// Tells whether the content can only be named, not shown.
    pub fn is_binary(&self) -> bool {
        [self.old, self.new].into_iter().flatten().any(|side| side.data.is_none_or(is_binary))
    }

    /// Returns the hunks, none if the content is equal or binary.
    pub fn hunks(&self) -> Vec<Hunk<'a>> {
        let same = matches!((self.old, self.new), (Some(old), Some(new)) if old.id == new.id);
        if same || self.is_binary() {
            return Vec::new();
        }
        let data = |side: Option<Side<'a>>| side.and_then(|side| side.data).unwrap_or_default();
        hunks(data(self.old), data(self.new), CONTEXT_LINES)
    }

    /// Counts the lines that came and went; `None` for binary content.
    pub fn counts(&self) -> Option<Counts> {
        if self.is_binary() {
            return None;
        }
        let mut counts = Counts::default();
        for line in self.hunks().iter().flat_map(|hunk| &hunk.lines) {
            match line {
                Line::Context(_) => {}
                Line::Removed(_) => counts.removed += 1,
                Line::Added(_) => counts.added += 1,
            }
        }
        Some(counts)
    }
}

/// Splits into lines with their ends.
fn lines(data: &[u8]) -> Vec<&[u8]> {
    data.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Returns the hunks between two texts.
pub fn hunks<'a>(old: &'a [u8], new: &'a [u8], context_lines: usize) -> Vec<Hunk<'a>> {
    let (old, new) = (lines(old), lines(new));
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    let groups = group_diff_ops(ops, context_lines);
    groups.iter().filter_map(|ops| hunk(ops, &old, &new)).collect()
}

fn hunk<'a>(ops: &[DiffOp], old: &[&'a [u8]], new: &[&'a [u8]]) -> Option<Hunk<'a>> {
    let (first, last) = (ops.first()?, ops.last()?);
    let span =
        |first: std::ops::Range<usize>, last: std::ops::Range<usize>| (first.start, last.end - first.start);
    let mut lines = Vec::new();
    for op in ops {
        if let DiffOp::Equal { .. } = op {
            lines.extend(old[op.old_range()].iter().map(|line| Line::Context(line)));
        } else {
            lines.extend(old[op.old_range()].iter().map(|line| Line::Removed(line)));
            lines.extend(new[op.new_range()].iter().map(|line| Line::Added(line)));
        }
    }
    let changed = lines.iter().any(|line| !matches!(line, Line::Context(_)));
    changed.then(|| Hunk {
        old: span(first.old_range(), last.old_range()),
        new: span(first.new_range(), last.new_range()),
        lines,
    })
}

impl Hunk<'_> {
    /// Writes where the hunk stands, as a patch says it.
    pub fn place(&self) -> String {
        // A span of no lines is named by the line before it.
        let span = |(start, count): (usize, usize)| match count {
            0 => format!("{start},0"),
            1 => format!("{}", start + 1),
            _ => format!("{},{count}", start + 1),
        };
        format!("@@ -{} +{} @@", span(self.old), span(self.new))
    }
}
