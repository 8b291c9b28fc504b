//! Checks of content, in one pass over bytes that come in pieces.
//!
//! A [`ContentJudge`] only tells what it saw. What follows from it depends on the rule for the path and on
//! the version before, which is the vault's affair.

use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::secrets::{Scanner, Secret};
use super::sidecar::Digest256;
use crate::object::BlobId;

/// The longest file whose syntax is looked at, in bytes; it is held in memory for that.
pub const SYNTAX_BYTES_MAX: usize = 64 << 20;

/// A syntax that a rule can demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Text in UTF-8.
    Utf8,
    /// One JSON value.
    Json,
    /// A JSON value a line.
    JsonLines,
}

/// What is to be looked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demands {
    /// The syntax to check.
    pub syntax: Option<Syntax>,
    /// Whether to look for the markers of a merge.
    pub markers: bool,
    /// Whether to look for credentials.
    pub secrets: bool,
    /// Whether to hash the plain bytes.
    pub digest: bool,
}

/// What was seen in a file's content.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The length in bytes.
    pub size: u64,
    /// How many zero bytes the content ends in.
    pub zero_tail: u64,
    /// Where it stops being UTF-8.
    pub not_utf8_at: Option<u64>,
    /// Where it stops being JSON, as far as that can be told.
    pub not_json_at: Option<u64>,
    /// Where the first complete set of conflict markers begins.
    pub markers_at: Option<u64>,
    /// Credentials, by their place.
    pub secrets: Vec<Secret>,
    /// The hash of the plain bytes, if it was asked for.
    pub digest: Option<Digest256>,
    /// The first bytes, at most [`BEGINS_BYTES`].
    pub begins: Vec<u8>,
    /// The id as a blob, if it was stored while it was looked at.
    pub blob: Option<BlobId>,
}

/// How much of the beginning of a file is kept, in bytes.
pub const BEGINS_BYTES: usize = 4096;

impl Seen {
    /// Tells whether there is nothing but zero bytes, and some of them.
    pub fn is_all_zero(&self) -> bool {
        self.size > 0 && self.zero_tail == self.size
    }
}

/// Looks at content that comes in pieces.
pub struct ContentJudge {
    demands: Demands,
    seen: Seen,
    markers: Markers,
    scanner: Option<Scanner>,
    hasher: Option<Sha256>,
    whole: Vec<u8>,
}

impl ContentJudge {
    /// Begins with a file.
    pub fn new(demands: Demands) -> ContentJudge {
        ContentJudge {
            demands,
            seen: Seen::default(),
            markers: Markers::default(),
            scanner: demands.secrets.then(Scanner::new),
            hasher: demands.digest.then(Sha256::new),
            whole: Vec::new(),
        }
    }

    /// Looks at a whole file.
    pub fn judge(demands: Demands, bytes: &[u8]) -> Seen {
        let mut judge = ContentJudge::new(demands);
        judge.update(bytes);
        judge.finish()
    }

    /// Looks at the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(scanner) = &mut self.scanner {
            scanner.update(bytes);
        }
        self.update_all_but_secrets(bytes);
    }

    /// Looks at the next piece, which an earlier version had: credentials that lie in it came in then.
    pub fn update_known(&mut self, bytes: &[u8]) {
        if let Some(scanner) = &mut self.scanner {
            scanner.pass_over(bytes);
        }
        self.update_all_but_secrets(bytes);
    }

    fn update_all_but_secrets(&mut self, bytes: &[u8]) {
        let zeros = bytes.iter().rev().take_while(|b| **b == 0).count() as u64;
        self.seen.zero_tail = if zeros == bytes.len() as u64 { self.seen.zero_tail + zeros } else { zeros };
        if self.demands.markers {
            self.markers.update(self.seen.size, bytes);
        }
        self.seen.size += bytes.len() as u64;
        let room = BEGINS_BYTES - self.seen.begins.len();
        self.seen.begins.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        if self.demands.syntax.is_some() && self.whole.len() <= SYNTAX_BYTES_MAX {
            self.whole.extend_from_slice(bytes);
        }
    }

    /// Returns what was seen.
    pub fn finish(mut self) -> Seen {
        self.markers.look();
        let mut seen = self.seen;
        seen.markers_at = self.markers.found;
        seen.secrets = self.scanner.map(Scanner::finish).unwrap_or_default();
        seen.digest = self.hasher.map(|hasher| Digest256(hasher.finalize().into()));
        if self.whole.len() <= SYNTAX_BYTES_MAX {
            match self.demands.syntax {
                Some(Syntax::Utf8) => seen.not_utf8_at = not_utf8_at(&self.whole),
                Some(Syntax::Json) => seen.not_json_at = not_json_at(&self.whole),
                Some(Syntax::JsonLines) => seen.not_json_at = bad_line_at(&self.whole),
                None => {}
            }
        }
        seen
    }
}

fn not_utf8_at(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).err().map(|error| error.valid_up_to() as u64)
}

fn not_json_at(bytes: &[u8]) -> Option<u64> {
    let error = serde_json::from_slice::<IgnoredAny>(bytes).err()?;
    let lines = bytes.split_inclusive(|b| *b == b'\n').take(error.line().saturating_sub(1));
    let before: usize = lines.map(<[u8]>::len).sum();
    Some((before + error.column().saturating_sub(1)) as u64)
}

fn bad_line_at(bytes: &[u8]) -> Option<u64> {
    let mut at = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        if !is_blank && serde_json::from_slice::<IgnoredAny>(line).is_err() {
            return Some(at);
        }
        at += line.len() as u64;
    }
    None
}

/// The longest beginning of a line that is looked at.
const MARKER_BYTES: usize = 8;

/// Looks for `<<<<<<<`, `=======` and `>>>>>>>` at the beginnings of lines, in that order.
#[derive(Debug, Default)]
struct Markers {
    line: Vec<u8>,
    line_at: u64,
    opened_at: Option<u64>,
    is_divided: bool,
    found: Option<u64>,
}

impl Markers {
    fn update(&mut self, at: u64, bytes: &[u8]) {
        if self.found.is_some() {
            return;
        }
        for (index, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' {
                self.end_line();
                self.line_at = at + index as u64 + 1;
            } else if self.line.len() < MARKER_BYTES {
                self.line.push(*byte);
                if self.line.len() == MARKER_BYTES {
                    self.look();
                }
            }
        }
    }

    fn end_line(&mut self) {
        self.look();
        self.line.clear();
    }

    fn look(&mut self) {
        let is = |sign: u8| {
            self.line.len() >= 7
                && self.line[..7].iter().all(|b| *b == sign)
                && matches!(self.line.get(7), None | Some(b' ' | b'\r'))
        };
        if is(b'<') {
            (self.opened_at, self.is_divided) = (Some(self.line_at), false);
        } else if is(b'=') && self.opened_at.is_some() {
            self.is_divided = true;
        } else if is(b'>') && self.is_divided {
            self.found = self.found.or(self.opened_at);
        }
    }
}

/// Tells whether a text holds a complete set of conflict markers.
pub fn has_markers(bytes: &[u8]) -> bool {
    let demands = Demands { markers: true, ..Demands::default() };
    ContentJudge::judge(demands, bytes).markers_at.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Demands = Demands { syntax: Some(Syntax::Utf8), markers: true, secrets: true, digest: true };

    #[test]
    fn markers_count_as_a_set_and_only_at_the_beginnings_of_lines() {
        let set = "a\n<<<<<<< mac\none\n=======\ntwo\n>>>>>>> pixel\n";
        assert_eq!(ContentJudge::judge(ALL, set.as_bytes()).markers_at, Some(2));
        let bare = "<<<<<<<\r\n=======\r\n>>>>>>>";
        assert!(has_markers(bare.as_bytes()));
        for text in [
            "=======\nTitle\n=======\n",
            "<<<<<<< only\n",
            ">>>>>>> quoted\n> <<<<<<< x\n",
            " <<<<<<< a\n =======\n >>>>>>> b\n",
            "<<<<<<<< eight\n========\n>>>>>>>>\n",
        ] {
            assert!(!has_markers(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn pieces_are_judged_as_the_whole() {
        let text = "a\n<<<<<<< mac\n=======\n>>>>>>> b\nend\0\0\0";
        let whole = ContentJudge::judge(ALL, text.as_bytes());
        for size in 1..text.len() {
            let mut judge = ContentJudge::new(ALL);
            text.as_bytes().chunks(size).for_each(|piece| judge.update(piece));
            let seen = judge.finish();
            assert_eq!((seen.size, seen.zero_tail, seen.markers_at), (38, 3, Some(2)), "{size}");
            assert_eq!(seen.digest, whole.digest);
        }
        assert_eq!(text.len(), 38);
    }

    #[test]
    fn syntax_is_told_with_its_place() {
        let judge = |syntax, bytes: &[u8]| {
            ContentJudge::judge(Demands { syntax: Some(syntax), ..Demands::default() }, bytes)
        };
        assert_eq!(judge(Syntax::Utf8, b"ab\xff").not_utf8_at, Some(2));
        assert_eq!(judge(Syntax::Utf8, "日本".as_bytes()).not_utf8_at, None);
        assert_eq!(judge(Syntax::Json, b"{\"a\":1}\n").not_json_at, None);
        assert_eq!(judge(Syntax::Json, b"{\n\"a\":x}").not_json_at, Some(6));
        assert_eq!(judge(Syntax::JsonLines, b"{}\n\n1\n").not_json_at, None);
        assert_eq!(judge(Syntax::JsonLines, b"{}\n{\"a\"\n").not_json_at, Some(3));
    }

    #[test]
    fn zeros_are_counted_at_the_end() {
        let seen = |bytes: &[u8]| ContentJudge::judge(Demands::default(), bytes);
        assert!(seen(&[0; 5]).is_all_zero());
        assert!(!seen(b"").is_all_zero());
        assert_eq!(seen(b"a\0b\0\0").zero_tail, 2);
    }
}
