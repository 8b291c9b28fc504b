//! Torn lines in what a stream gained, which may come in pieces and be of any length.

use super::salvage::LINE_BYTES_MAX;
use super::stream::Stream;

/// How many bytes of torn lines are kept at most; all are counted.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What was torn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Torn {
    /// How many lines.
    pub lines: usize,
    /// Where the first of them begins, counted from the first byte that was looked at.
    pub first_at: Option<u64>,
    /// The parts of them that make no sense, one per line, up to 1 MiB.
    pub parts: Vec<u8>,
}

/// Looks for torn lines. Holds no more than one line, and of one above 4 MiB nothing: such a line is not looked
/// into, wherever streams are read.
#[derive(Debug, Default)]
pub struct TornLines {
    torn: Torn,
    line: Vec<u8>,
    is_too_long: bool,
    /// Where the line begins.
    line_at: u64,
    at: u64,
}

impl TornLines {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > LINE_BYTES_MAX + 2 {
                self.is_too_long = true;
                self.line.clear();
            }
            if !self.is_too_long {
                self.line.extend_from_slice(piece);
            }
            self.at += piece.len() as u64;
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let parsed = Stream::parse(&self.line);
        let mut torn = parsed.lines().iter().filter(|line| line.is_torn()).peekable();
        if torn.peek().is_some() {
            self.torn.lines += 1;
            self.torn.first_at = self.torn.first_at.or(Some(self.line_at));
        }
        for part in torn {
            if self.torn.parts.len() + part.bytes.len() < KEPT_BYTES_MAX {
                self.torn.parts.extend_from_slice(part.bytes);
                self.torn.parts.push(b'\n');
            }
        }
        self.line.clear();
        self.is_too_long = false;
        self.line_at = self.at;
    }

    /// Returns what was torn; the last line counts without its end.
    pub fn finish(mut self) -> Torn {
        self.end_line();
        self.torn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torn(text: &[u8], piece: usize) -> Torn {
        let mut lines = TornLines::default();
        text.chunks(piece).for_each(|piece| lines.update(piece));
        lines.finish()
    }

    #[test]
    fn pieces_make_no_difference() {
        let text = b"{\"a\":1}\n{\"b\":\n\n{\"c\":1}{\"d\":\n{\"e\":\"x\0y\"}\nplain\n{\"f\":2";
        let whole = torn(text, text.len());
        assert_eq!((whole.lines, whole.first_at), (4, Some(8)));
        assert_eq!(whole.parts, b"{\"b\":\n{\"d\":\n{\"e\":\"x\0y\"}\n{\"f\":2\n");
        for piece in 1..text.len() {
            assert_eq!(torn(text, piece), whole, "{piece}");
        }
    }

    /// Streams with `NaN`, half an emoji, doubled keys or a picture in one line were called torn, and were not.
    #[test]
    fn odd_deep_and_long_objects_are_not_torn() {
        let deep = format!("{{\"k\":{}{}}}\n", "[".repeat(300), "]".repeat(300));
        let long = format!("{{\"image\":\"{}\"}}\n", "A".repeat(LINE_BYTES_MAX + 10));
        let odd =
            "{\"a\":NaN}\n{\"b\":\"\\ud83d\"}\n{\"c\":1,\"c\":2}\n{\"d\":1e400}\n[1]\n\"x\"\nplain text\n";
        let text = format!("{odd}{deep}{long}{{\"e\":1}}\n");
        assert_eq!(torn(text.as_bytes(), 1 << 16), Torn::default());
        assert_eq!(torn(b"{\"a\":\"\xff\"}\n", 4), Torn::default());
    }
}
