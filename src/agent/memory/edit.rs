//! `str_replace` and `insert`: bytes in, bytes out. Line ends and what is not UTF-8 stay as they are.

use super::view::line_with;

/// So many lines are shown before and after the one that changed.
const CONTEXT_LINES: usize = 2;

/// A file after a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) bytes: Vec<u8>,
    /// The line on which it begins, counted from 0.
    line: usize,
}

impl Replaced {
    /// Returns the lines around the change with their numbers.
    pub(super) fn snippet(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines = text.split('\n').enumerate();
        let shown = lines.skip(self.line.saturating_sub(CONTEXT_LINES));
        let shown = shown.take_while(|(n, _)| *n <= self.line + CONTEXT_LINES);
        shown.map(|(n, line)| line_with(n + 1, line)).collect::<Vec<_>>().join("\n")
    }
}

/// Replaces a text that is there exactly once.
pub(super) fn replace(bytes: &[u8], old: &str, new: &str, given: &str) -> Result<Replaced, String> {
    let places: Vec<usize> =
        if old.is_empty() { Vec::new() } else { gix::bstr::ByteSlice::find_iter(bytes, old).collect() };
    let line_of = |at: usize| bytes[..at].iter().filter(|b| **b == b'\n').count();
    match places.as_slice() {
        [] => {
            Err(format!("No replacement was performed, old_str `{old}` did not appear verbatim in {given}."))
        }
        [at] => {
            let after = [&bytes[..*at], new.as_bytes(), &bytes[at + old.len()..]].concat();
            Ok(Replaced { bytes: after, line: line_of(*at) })
        }
        several => {
            let mut lines: Vec<usize> = several.iter().map(|at| line_of(*at) + 1).collect();
            lines.dedup();
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            Err(format!(
                "No replacement was performed. Multiple occurrences of old_str `{old}` in lines: {}. Please \
                 ensure it is unique",
                lines.join(", ")
            ))
        }
    }
}

/// Puts lines in behind the line of a number; 0 is the top.
pub(super) fn insert(bytes: &[u8], line: i64, text: &str) -> Result<Vec<u8>, String> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let Some(at) = usize::try_from(line).ok().filter(|at| *at <= lines.len()) else {
        return Err(format!(
            "Error: Invalid `insert_line` parameter: {line}. It should be within the range of lines of the \
             file: [0, {}]",
            lines.len()
        ));
    };
    let mut after = lines[..at].concat();
    if after.last().is_some_and(|last| *last != b'\n') {
        after.push(b'\n');
    }
    after.extend_from_slice(text.as_bytes());
    if !text.ends_with('\n') {
        after.push(b'\n');
    }
    after.extend(lines[at..].concat());
    Ok(after)
}
