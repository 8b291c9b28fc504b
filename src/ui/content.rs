//! The content of a file on its way out: verbatim into a pipe or a file, without what steers on a terminal.
//!
//! A terminal obeys what it is sent: a note that was printed could set the clipboard or the title, or hide lines. There
//! each line passes the same filter as everything else that is shown; a carriage return before a line's end is left out.

use std::io::{self, Write};

use super::style::harmless_line;

/// A line that is longer is shown in parts.
const PART_BYTES_MAX: usize = 64 * 1024;

/// A writer of a file's content.
pub struct Content<'a> {
    out: &'a mut dyn Write,
    is_shown: bool,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
}

impl<'a> Content<'a> {
    pub(super) fn new(out: &'a mut dyn Write, is_shown: bool) -> Content<'a> {
        Content { out, is_shown, rest: Vec::new() }
    }

    /// Writes what is left. Without it the last line may be missing.
    pub fn finish(mut self) -> super::Result<()> {
        let rest = std::mem::take(&mut self.rest);
        Ok(self.out.write_all(harmless_line(&rest).as_bytes())?)
    }

    fn show(&mut self) -> io::Result<()> {
        while let Some(at) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=at).collect();
            let line = line.strip_suffix(b"\r\n").unwrap_or(&line[..at]);
            self.out.write_all(harmless_line(line).as_bytes())?;
            self.out.write_all(b"\n")?;
        }
        if self.rest.len() > PART_BYTES_MAX {
            // No character of several bytes is cut: the part ends before the last that begins one.
            let is_begin = |byte: &u8| *byte < 0x80 || *byte >= 0xc0;
            let end = self.rest.iter().rposition(is_begin).filter(|at| *at > 0).unwrap_or(self.rest.len());
            let part: Vec<u8> = self.rest.drain(..end).collect();
            self.out.write_all(harmless_line(&part).as_bytes())?;
        }
        Ok(())
    }
}

impl Write for Content<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_shown {
            return self.out.write(bytes);
        }
        // In pieces: taking one line after the other off a long buffer would move it each time.
        let piece = &bytes[..bytes.len().min(4096)];
        self.rest.extend_from_slice(piece);
        self.show()?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(content: &[u8], is_shown: bool, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Content::new(&mut out, is_shown);
        content.chunks(step).for_each(|chunk| writer.write_all(chunk).expect("memory"));
        writer.finish().expect("memory");
        out
    }

    // `show REV:PATH` and `cat` sent a file's bytes to the terminal as they were: a note could write to the clipboard
    // of whoever looked at it.
    #[test]
    fn content_is_verbatim_in_a_pipe_and_steers_no_terminal() {
        let content = "# Zoë\r\n\x1b]52;c;YQ==\x07\tx\u{9b}2J\u{202e}\u{200b}\rend".as_bytes();
        let bad = [content, b"\xff\n"].concat();
        for step in [1, 2, 3, 1000] {
            assert_eq!(told(&bad, false, step), bad);
            let shown = String::from_utf8(told(&bad, true, step)).expect("text");
            let expected = "# Zoë\n\\u{1b}]52;c;YQ==\\u{7}\tx\\u{9b}2J\\u{202e}\\u{200b}\\rend\\xff\n";
            assert_eq!(shown, expected);
        }
        let long = "é".repeat(100_000);
        assert_eq!(told(long.as_bytes(), true, 999), long.as_bytes());
        assert_eq!(told(b"no end", true, 4), b"no end");
    }
}
