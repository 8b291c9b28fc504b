//! The same difference for eyes: colours, and the words that changed within changed lines.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::{FileDiff, Hunk, Line, patch};
use crate::ui::style::{Palette, Style, harmless_line};

/// Above this many bytes a changed block is shown without its words compared.
const WORDS_BYTES_MAX: usize = 64 * 1024;

/// Writes one file's change for a terminal: harmless text, one line an item.
pub fn terminal(diff: &FileDiff<'_>, palette: Palette) -> Vec<String> {
    let mut out = Vec::new();
    for diff in diff.split_type_change() {
        let heading = |line: &Vec<u8>| palette.paint(Style::Heading, &harmless_line(line.trim_ascii_end()));
        out.extend(patch::header(&diff).iter().filter(|line| !line.starts_with(b"index ")).map(heading));
        if patch::is_binary_change(&diff) {
            out.push(harmless_line(&patch::binary_line(&diff)));
            continue;
        }
        let hunks = diff.hunks();
        if !hunks.is_empty() {
            out.extend(patch::file_lines(&diff).iter().map(heading));
        }
        for hunk in &hunks {
            render_hunk(hunk, palette, &mut out);
        }
    }
    out
}

/// Writes a hunk: its place, then its lines.
pub(super) fn render_hunk(hunk: &Hunk<'_>, palette: Palette, out: &mut Vec<String>) {
    out.push(palette.paint(Style::Hunk, &hunk.place()));
    let mut rest = hunk.lines.as_slice();
    while let Some(line) = rest.first() {
        if let Line::Context(bytes) = line {
            push_line(' ', &harmless_line(without_end(bytes)), bytes, out);
            rest = &rest[1..];
            continue;
        }
        let removed = rest.iter().take_while(|line| matches!(line, Line::Removed(_))).count();
        let added = rest[removed..].iter().take_while(|line| matches!(line, Line::Added(_))).count();
        render_change(&rest[..removed], &rest[removed..removed + added], palette, out);
        rest = &rest[removed + added..];
    }
}

fn bytes_of<'a>(line: &Line<'a>) -> &'a [u8] {
    match line {
        Line::Context(bytes) | Line::Removed(bytes) | Line::Added(bytes) => bytes,
    }
}

fn without_end(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\n").unwrap_or(bytes)
}

fn push_line(mark: char, shown: &str, bytes: &[u8], out: &mut Vec<String>) {
    out.push(format!("{mark}{shown}"));
    if !bytes.ends_with(b"\n") {
        out.push("\\ No newline at end of file".to_owned());
    }
}

/// One side of a change: how its lines and the words that differ are shown.
struct Tone {
    mark: char,
    line: Style,
    word: Style,
}

const OLD: Tone = Tone { mark: '-', line: Style::Removed, word: Style::RemovedWord };
const NEW: Tone = Tone { mark: '+', line: Style::Added, word: Style::AddedWord };

fn render_change(removed: &[Line<'_>], added: &[Line<'_>], palette: Palette, out: &mut Vec<String>) {
    let join =
        |lines: &[Line<'_>]| lines.iter().flat_map(|line| bytes_of(line).to_vec()).collect::<Vec<u8>>();
    let (old, new) = (join(removed), join(added));
    let (old_words, new_words) = (words(&old), words(&new));
    let comparable = palette.is_on()
        && !removed.is_empty()
        && !added.is_empty()
        && old.len().max(new.len()) <= WORDS_BYTES_MAX;
    let (mut old_new, mut new_new) = (vec![false; old_words.len()], vec![false; new_words.len()]);
    if comparable {
        let ops = capture_diff_slices(Algorithm::Myers, &old_words, &new_words);
        if is_alike(&ops, &old_words, &new_words) {
            for op in ops.iter().filter(|op| !matches!(op, DiffOp::Equal { .. })) {
                old_new[op.old_range()].fill(true);
                new_new[op.new_range()].fill(true);
            }
        }
    }
    render_side(&old_words, &old_new, &OLD, palette, out);
    render_side(&new_words, &new_new, &NEW, palette, out);
}

/// Tells whether enough of two blocks is equal for their words to be worth comparing: blanks do not
/// count.
fn is_alike(ops: &[DiffOp], old: &[&[u8]], new: &[&[u8]]) -> bool {
    let weight = |words: &[&[u8]]| -> usize {
        words.iter().filter(|word| !word.trim_ascii().is_empty()).map(|word| word.len()).sum()
    };
    let equal: usize = ops
        .iter()
        .filter(|op| matches!(op, DiffOp::Equal { .. }))
        .map(|op| weight(&old[op.old_range()]))
        .sum();
    equal * 5 >= weight(old).max(weight(new)) * 2
}

/// Splits text into words, runs of blanks, and single other characters; a line's end is one of its own.
fn words(text: &[u8]) -> Vec<&[u8]> {
    let class = |byte: u8| match byte {
        b'\n' => 0,
        b' ' | b'\t' => 1,
        // Bytes above 127 are parts of letters far more often than of anything else.
        b if b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80 => 2,
        _ => 3,
    };
    text.chunk_by(|a, b| class(*a) == class(*b) && matches!(class(*a), 1 | 2)).collect()
}

fn render_side(words: &[&[u8]], changed: &[bool], tone: &Tone, palette: Palette, out: &mut Vec<String>) {
    let mut start = 0;
    while start < words.len() {
        let end = words[start..].iter().position(|word| *word == b"\n").map_or(words.len(), |n| start + n);
        let mut shown = String::new();
        let mut at = start;
        while at < end {
            let same = changed[at..end].iter().take_while(|other| **other == changed[at]).count();
            let style = if changed[at] { tone.word } else { tone.line };
            let text = harmless_line(&words[at..at + same].concat());
            let mark = if at == start && !changed[at] { tone.mark.to_string() } else { String::new() };
            shown.push_str(&palette.paint(style, &format!("{mark}{text}")));
            at += same;
        }
        if start == end || changed[start] {
            shown.insert_str(0, &palette.paint(tone.line, &tone.mark.to_string()));
        }
        out.push(shown);
        if end == words.len() {
            out.push("\\ No newline at end of file".to_owned());
        }
        start = end + 1;
    }
}
