//! Lines of a stream that a killed writer tore or that another one's were glued to: taken apart.
//!
//! - A line that is whole stays byte for byte.
//! - Each whole object of a torn or glued line becomes a line of its own.
//! - What is torn and in no commit goes out of the file. What a commit has stays, on a line of its own: a
//!   stream that lost lines would be held back by every other device.
//! - A last line without its line feed may be one that somebody is writing. It stays, unless there are zero
//!   bytes in it.

use std::collections::HashSet;

use crate::events::{Content, EventId, Line, Part, Stream};

/// A stream whose lines were taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mended {
    /// The new text.
    pub bytes: Vec<u8>,
    /// What was left out, a line each.
    pub torn: Vec<u8>,
    /// How many lines were taken apart or left out.
    pub lines: usize,
}

/// Takes the torn and glued lines of `text` apart. `None` if there are none. `kept` is the version that a
/// commit has.
pub(super) fn mend(kept: &[u8], text: &[u8]) -> Option<Mended> {
    let parsed = Stream::parse(text);
    let is_odd = |line: &Line<'_>| matches!(line.content, Content::Opaque(..)) || line.part == Part::Piece;
    if !parsed.lines().iter().any(is_odd) {
        return None;
    }
    let kept_parsed = Stream::parse(kept);
    let in_commit: HashSet<EventId> = kept_parsed.lines().iter().filter_map(opaque_id).collect();
    let mut mended = Mended { bytes: Vec::with_capacity(text.len()), torn: Vec::new(), lines: 0 };
    let mut parts = parsed.lines().iter().peekable();
    for (at, raw) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        let mut of_line: Vec<&Line<'_>> = Vec::new();
        while let Some(part) = parts.next_if(|part| part.number == at + 1) {
            of_line.push(part);
        }
        let is_open = !raw.ends_with(b"\n") && !raw.contains(&0);
        if is_open || !of_line.iter().any(|line| is_odd(line)) {
            mended.bytes.extend_from_slice(raw);
            continue;
        }
        mended.take_apart(raw, &of_line, &in_commit);
    }
    (mended.lines > 0).then_some(mended)
}

impl Mended {
    fn take_apart(&mut self, raw: &[u8], parts: &[&Line<'_>], in_commit: &HashSet<EventId>) {
        let stays = |line: &Line<'_>| {
            let known = opaque_id(line).is_some_and(|id| in_commit.contains(&id));
            known || !line.is_torn()
        };
        if let [line] = parts
            && stays(line)
        {
            self.bytes.extend_from_slice(raw);
            return;
        }
        self.lines += 1;
        for part in parts {
            let to = if stays(part) { &mut self.bytes } else { &mut self.torn };
            to.extend_from_slice(part.bytes);
            to.push(b'\n');
        }
    }
}

fn opaque_id(line: &Line<'_>) -> Option<EventId> {
    match &line.content {
        Content::Opaque(_, id) => Some(*id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(kept: &str, text: &str) -> Option<(String, String)> {
        let mended = mend(kept.as_bytes(), text.as_bytes())?;
        let words = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Some((words(mended.bytes), words(mended.torn)))
    }

    #[test]
    fn glued_lines_are_split_and_torn_parts_go_out() {
        let text = "{\"a\":1}\n{\"b\":2}{\"c\":3}\n{\"d\":{\"e\":5}\n{\"f\":6}\n";
        let (bytes, torn) = mended("", text).expect("mended");
        assert_eq!(bytes, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n{\"f\":6}\n");
        assert_eq!(torn, "{\"d\":{\"e\":5}\n");
    }

    #[test]
    fn what_a_commit_has_stays_so_that_no_stream_shrinks() {
        let text = "{\"a\":1,\"b{\"c\":3}\n";
        let (bytes, torn) = mended(text, text).expect("mended");
        assert_eq!((bytes.as_str(), torn.as_str()), ("{\"a\":1,\"b\n{\"c\":3}\n", ""));
        assert!(crate::events::shrinkage(text.as_bytes(), bytes.as_bytes()).is_none());
        assert_eq!(mended(&bytes, &bytes), None, "once is enough");
    }

    #[test]
    fn whole_lines_other_text_and_a_line_being_written_stay_byte_for_byte() {
        for text in
            ["", "{ \"a\": 1 }\r\n\n{\"b\":2}", "hello\n[1]\n", "{\"a\":1}\n{\"b\":", "{\"a\":1}{\"b\":"]
        {
            assert_eq!(mended("", text), None, "{text:?}");
        }
    }

    #[test]
    fn a_tail_of_zeros_goes_out_though_it_has_no_line_feed() {
        let (bytes, torn) = mended("{\"a\":1}\n", "{\"a\":1}\n{\"b\":2}\n\0\0\0\0\0\0").expect("mended");
        assert_eq!(bytes, "{\"a\":1}\n{\"b\":2}\n");
        assert_eq!(torn, "\0\0\0\0\0\0\n");
    }
}
