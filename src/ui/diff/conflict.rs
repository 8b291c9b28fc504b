//! A conflict for eyes: what each side did to the base.

use super::{Hunk, hunks, is_binary, terminal};
use crate::ui::style::{Palette, Style, harmless, harmless_line};

/// What one side holds.
#[derive(Clone, Debug)]
pub enum Held<'a> {
    /// A file's bytes.
    Bytes(&'a [u8]),
    /// Nothing: it was deleted, or never there.
    Nothing,
    /// Something that is told in words: a link, a folder, a mode, content too large to show.
    Words(String),
}

/// One side of a conflict.
#[derive(Clone, Debug)]
pub struct ConflictSide<'a> {
    /// The device.
    pub label: String,
    /// What it holds.
    pub held: Held<'a>,
}

/// Writes both sides against the base, one after the other; harmless text, one line an item.
pub fn stacked(base: &Held<'_>, sides: &[ConflictSide<'_>], palette: Palette) -> Vec<String> {
    let mut out = Vec::new();
    for side in sides {
        let heading = format!("base -> {}", harmless(&side.label));
        out.push(palette.paint(Style::Heading, &heading));
        out.extend(against(base, &side.held, palette));
    }
    out
}

/// Writes two sides next to each other, each in half of `columns`.
pub fn side_by_side(
    base: &Held<'_>,
    left: &ConflictSide<'_>,
    right: &ConflictSide<'_>,
    columns: usize,
    palette: Palette,
) -> Vec<String> {
    let width = columns.saturating_sub(3) / 2;
    let column = |side: &ConflictSide<'_>| {
        let mut lines = vec![format!("base -> {}", harmless(&side.label))];
        lines.extend(against(base, &side.held, Palette::PLAIN));
        lines
    };
    let (left, right) = (column(left), column(right));
    let height = left.len().max(right.len());
    let cell = |lines: &[String], row: usize, pad: bool| {
        let line = lines.get(row).map(String::as_str).unwrap_or_default();
        let (text, used) = fit(&line.replace('\t', "    "), width);
        let style = match (row, text.chars().next()) {
            (0, _) => Style::Heading,
            (_, Some('+')) => Style::Added,
            (_, Some('-')) => Style::Removed,
            (_, Some('@')) => Style::Hunk,
            _ => return if pad { text + &" ".repeat(width - used) } else { text },
        };
        let padding = if pad { " ".repeat(width - used) } else { String::new() };
        palette.paint(style, &text) + &padding
    };
    (0..height)
        .map(|row| format!("{} | {}", cell(&left, row, true), cell(&right, row, false)).trim_end().to_owned())
        .collect()
}

/// Cuts text to a number of columns and returns how many it takes. East Asian wide characters and
/// pictures take two, combining marks none.
fn fit(text: &str, columns: usize) -> (String, usize) {
    let mut used = 0;
    let mut fitting = String::new();
    for c in text.chars() {
        let width = char_columns(c);
        if used + width > columns {
            break;
        }
        used += width;
        fitting.push(c);
    }
    (fitting, used)
}

fn char_columns(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200d | 0xfe00..=0xfe0f | 0x20d0..=0x20ff => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

fn against(base: &Held<'_>, held: &Held<'_>, palette: Palette) -> Vec<String> {
    let note = |text: &str| vec![palette.paint(Style::Faint, text)];
    let changes: Vec<Hunk<'_>> = match (base, held) {
        (Held::Bytes(_), Held::Nothing) => return note("deleted"),
        (Held::Nothing | Held::Words(_), Held::Nothing) => return note("not there"),
        (_, Held::Words(words)) => return note(&harmless(words)),
        (Held::Bytes(base), Held::Bytes(bytes)) if is_binary(base) || is_binary(bytes) => {
            return note(&format!("binary, {} bytes", bytes.len()));
        }
        (Held::Bytes(base), Held::Bytes(bytes)) => hunks(base, bytes, super::CONTEXT_LINES),
        (Held::Nothing | Held::Words(_), Held::Bytes(bytes)) if is_binary(bytes) => {
            return note(&format!("binary, {} bytes", bytes.len()));
        }
        (Held::Nothing | Held::Words(_), Held::Bytes(bytes)) => hunks(b"", bytes, super::CONTEXT_LINES),
    };
    if changes.is_empty() {
        return note("unchanged");
    }
    let mut out = Vec::new();
    for hunk in &changes {
        terminal::render_hunk(hunk, palette, &mut out);
    }
    out
}

/// Writes the unified diff of one side against the base as text for JSON: exact where it is UTF-8.
pub fn unified(base: &[u8], side: &[u8]) -> String {
    if is_binary(base) || is_binary(side) {
        return format!("binary, {} bytes", side.len());
    }
    let mut out = Vec::new();
    for hunk in hunks(base, side, super::CONTEXT_LINES) {
        super::patch::write_hunk(&hunk, &mut out);
    }
    String::from_utf8(out).unwrap_or_else(|error| harmless_line_by_line(error.as_bytes()))
}

fn harmless_line_by_line(bytes: &[u8]) -> String {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| harmless_line(line.strip_suffix(b"\n").unwrap_or(line)) + "\n").collect()
}
