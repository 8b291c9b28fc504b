//! Unified diffs that `git apply` takes.

use crate::object::must_show;

use super::{FileDiff, Hunk, Line, Side};

/// Quotes a path as git does, when it must: control characters, quotes, backslashes, bytes that are no
/// UTF-8, and what could steer a terminal.
pub fn quote_path(prefix: &str, path: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    quoted.extend_from_slice(prefix.as_bytes());
    let mut needed = false;
    for chunk in path.utf8_chunks() {
        let (mut before, mut chars) = (None, chunk.valid().chars().peekable());
        while let Some(c) = chars.next() {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            let is_hidden = must_show(before.replace(c), c, chars.peek().copied());
            if is_hidden || matches!(c, '"' | '\\' | '\n' | '\t') {
                needed = true;
                bytes.iter().for_each(|byte| push_escaped(&mut quoted, *byte));
            } else {
                quoted.extend_from_slice(bytes);
            }
        }
        needed |= !chunk.invalid().is_empty();
        chunk.invalid().iter().for_each(|byte| push_escaped(&mut quoted, *byte));
    }
    if needed {
        quoted.push(b'"');
        quoted
    } else {
        [prefix.as_bytes(), path].concat()
    }
}

fn push_escaped(quoted: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        7 => b'a',
        8 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        11 => b'v',
        12 => b'f',
        b'\r' => b'r',
        b'"' => b'"',
        b'\\' => b'\\',
        _ => {
            quoted.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            return;
        }
    };
    quoted.extend_from_slice(&[b'\\', letter]);
}

/// The lines above the hunks, without their ends.
pub(super) fn header(diff: &FileDiff<'_>) -> Vec<Vec<u8>> {
    let Some(any) = diff.new.or(diff.old) else { return Vec::new() };
    let (old, new) = (diff.old.unwrap_or(any), diff.new.unwrap_or(any));
    let mut lines = Vec::new();
    let mut push = |parts: &[&[u8]]| lines.push(parts.concat());
    push(&[b"diff --git ", &quote_path("a/", old.path), b" ", &quote_path("b/", new.path)]);
    match (diff.old, diff.new) {
        (None, Some(new)) => push(&[b"new file mode ", new.mode.as_octal().as_bytes()]),
        (Some(old), None) => push(&[b"deleted file mode ", old.mode.as_octal().as_bytes()]),
        _ if old.mode != new.mode => {
            push(&[b"old mode ", old.mode.as_octal().as_bytes()]);
            push(&[b"new mode ", new.mode.as_octal().as_bytes()]);
        }
        _ => {}
    }
    if old.path != new.path {
        push(&[format!("similarity index {}%", similarity(&old, &new)).as_bytes()]);
        push(&[b"rename from ", &quote_path("", old.path)]);
        push(&[b"rename to ", &quote_path("", new.path)]);
    }
    if old.id != new.id || diff.old.is_none() || diff.new.is_none() {
        push(&[index_line(diff).as_bytes()]);
    }
    lines
}

fn index_line(diff: &FileDiff<'_>) -> String {
    let id = |side: Option<Side<'_>>| side.map_or_else(|| "0".repeat(64), |side| side.id.to_string());
    let mode = match (diff.old, diff.new) {
        (Some(old), Some(new)) if old.mode == new.mode => format!(" {}", new.mode.as_octal()),
        _ => String::new(),
    };
    format!("index {}..{}{mode}", id(diff.old), id(diff.new))
}

/// How much of a renamed file stayed, in percent of its lines; 100 only if all of it did.
fn similarity(old: &Side<'_>, new: &Side<'_>) -> usize {
    if old.id == new.id {
        return 100;
    }
    let diff = FileDiff { old: Some(*old), new: Some(*new) };
    let count = |side: &Side<'_>| super::lines(side.data.unwrap_or_default()).len();
    let (Some(counts), all) = (diff.counts(), count(old).max(count(new)).max(1)) else { return 50 };
    let kept = count(old).saturating_sub(counts.removed);
    (kept * 100 / all).min(99)
}

/// The two lines that name the files, `---` and `+++`.
pub(super) fn file_lines(diff: &FileDiff<'_>) -> [Vec<u8>; 2] {
    let name = |mark: &[u8], prefix: &str, side: Option<Side<'_>>| {
        let mut line = mark.to_vec();
        match side {
            None => line.extend_from_slice(b"/dev/null"),
            Some(side) => {
                line.extend(quote_path(prefix, side.path));
                // git ends such a name with a tab, so that a patch program does not cut it at the blank.
                if side.path.contains(&b' ') && !line.ends_with(b"\"") {
                    line.push(b'\t');
                }
            }
        }
        line
    };
    [name(b"--- ", "a/", diff.old), name(b"+++ ", "b/", diff.new)]
}

/// What is said of binary content.
pub(super) fn binary_line(diff: &FileDiff<'_>) -> Vec<u8> {
    let name = |prefix: &str, side: Option<Side<'_>>| {
        side.map_or_else(|| b"/dev/null".to_vec(), |side| quote_path(prefix, side.path))
    };
    [&b"Binary files "[..], &name("a/", diff.old), b" and ", &name("b/", diff.new), b" differ"].concat()
}

/// Tells whether only the fact of a change of content can be told.
pub(super) fn is_binary_change(diff: &FileDiff<'_>) -> bool {
    let same = matches!((diff.old, diff.new), (Some(old), Some(new)) if old.id == new.id);
    !same && diff.is_binary()
}

/// Writes one file's change as a patch.
pub fn patch(diff: &FileDiff<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for diff in diff.split_type_change() {
        patch_one(&diff, &mut out);
    }
    out
}

fn patch_one(diff: &FileDiff<'_>, out: &mut Vec<u8>) {
    let mut push = |line: &[u8]| {
        out.extend_from_slice(line);
        out.push(b'\n');
    };
    header(diff).iter().for_each(|line| push(line));
    if is_binary_change(diff) {
        push(&binary_line(diff));
        return;
    }
    let hunks = diff.hunks();
    if !hunks.is_empty() {
        file_lines(diff).iter().for_each(|line| push(line));
    }
    hunks.iter().for_each(|hunk| write_hunk(hunk, out));
}

/// Writes a hunk with its place.
pub(super) fn write_hunk(hunk: &Hunk<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(hunk.place().as_bytes());
    out.push(b'\n');
    for line in &hunk.lines {
        let (mark, bytes) = match line {
            Line::Context(bytes) => (b' ', bytes),
            Line::Removed(bytes) => (b'-', bytes),
            Line::Added(bytes) => (b'+', bytes),
        };
        out.push(mark);
        out.extend_from_slice(bytes);
        if !bytes.ends_with(b"\n") {
            out.extend_from_slice(b"\n\\ No newline at end of file\n");
        }
    }
}
