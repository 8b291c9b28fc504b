//! The wire below the frames' meaning: start mark, frame headers, and a strict reader for payloads.
//!
//! - A caller sends one greeting line with a random nonce; the far side answers with a line that only
//!   who read the nonce can make, and that is not the nonce: what a shell prints before it is skipped,
//!   at most [`NOISE_BYTES_MAX`], and an echo of our own bytes is never taken for an answer.
//! - A frame is one byte of type, four bytes of length (big endian) and that many bytes. The length is
//!   checked against the type's own bounds before anything is allocated.
//! - Payloads are read strictly: numbers in range, texts in UTF-8 and bounded, nothing left over.

use sha2::{Digest, Sha256};

use crate::object::{CommitId, ObjectId, push_visible};

/// The newest version of the protocol this program speaks.
pub const VERSION: u16 = 1;
/// The oldest one.
pub const VERSION_OLDEST: u16 = 1;
/// How much a far shell may print before the mark.
pub const NOISE_BYTES_MAX: usize = 1 << 20;
/// How much of it is kept for the message.
const NOISE_BYTES_KEPT: usize = 2048;
/// The most bytes that the payload of any frame may have.
pub const PAYLOAD_BYTES_MAX: u32 = 1 << 20;
/// Bytes of a frame before its payload.
pub const HEADER_BYTES: usize = 5;
/// Bytes of the caller's greeting line.
pub const GREETING_BYTES: usize = 45;
const GREETING_WORD: &str = "mvault-call ";
const ANSWER_WORD: &str = "mvault-serve ";

/// What is wrong with bytes from a peer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WireError {
    /// Too much noise before the mark.
    #[error("the far side printed more than {NOISE_BYTES_MAX} bytes that are not the protocol")]
    Noise,
    /// The greeting is not one.
    #[error("what came first is not a greeting of mvault")]
    Greeting,
    /// A type of frame that this version does not know.
    #[error("unknown frame type {0:#04x}")]
    UnknownFrame(u8),
    /// A length outside the type's bounds.
    #[error("a {frame} frame of {length} bytes is outside its bounds")]
    Length {
        /// The type's name.
        frame: &'static str,
        /// The length declared.
        length: u32,
    },
    /// A payload that does not parse.
    #[error("a {frame} frame is malformed: {why}")]
    Payload {
        /// The type's name.
        frame: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// A frame that may not come now.
    #[error("a {got} frame came where {wanted} was due")]
    OutOfOrder {
        /// The type's name.
        got: &'static str,
        /// What was due.
        wanted: &'static str,
    },
    /// The far side speaks only newer versions.
    #[error(
        "the far side speaks protocol version {theirs} and nothing below {oldest}; this mvault ends at {VERSION}"
    )]
    TooNew {
        /// Its newest version.
        theirs: u16,
        /// Its oldest version.
        oldest: u16,
    },
    /// The far side speaks only older versions.
    #[error("the far side ends at protocol version {0}; this mvault begins at {VERSION_OLDEST}")]
    TooOld(u16),
    /// A number beyond a stated limit.
    #[error("the far side sent {what} beyond the limit of {limit}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// The random part of a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// Makes a nonce of 16 random bytes.
    pub fn new(random: [u8; 16]) -> Nonce {
        Nonce(random)
    }

    /// Returns the caller's first line.
    pub fn greeting(&self) -> Vec<u8> {
        format!("{GREETING_WORD}{}\n", hex::encode(self.0)).into_bytes()
    }

    /// Parses the caller's first line, exactly [`GREETING_BYTES`] bytes with the newline.
    pub fn parse_greeting(line: &[u8]) -> Result<Nonce, WireError> {
        let digits = line.strip_prefix(GREETING_WORD.as_bytes()).and_then(|rest| rest.strip_suffix(b"\n"));
        let mut bytes = [0; 16];
        hex::decode_to_slice(digits.unwrap_or_default(), &mut bytes).map_err(|_| WireError::Greeting)?;
        Some(Nonce(bytes)).filter(|nonce| nonce.greeting() == line).ok_or(WireError::Greeting)
    }

    /// Returns the line after which the far side's frames begin: the hash of the nonce, in hexadecimal.
    pub fn answer(&self) -> Vec<u8> {
        let mut hasher = Sha256::new();
        hasher.update(ANSWER_WORD.as_bytes());
        hasher.update(self.0);
        format!("{ANSWER_WORD}{}\n", hex::encode(hasher.finalize())).into_bytes()
    }
}

/// Finds the answer in what the far side prints.
pub struct MarkFinder {
    answer: Vec<u8>,
    greeting: Vec<u8>,
    tail: Vec<u8>,
    noise: Vec<u8>,
    skipped: usize,
    echoed: bool,
}

impl MarkFinder {
    /// Makes a finder for the answer to `nonce`.
    pub fn new(nonce: Nonce) -> MarkFinder {
        MarkFinder {
            answer: nonce.answer(),
            greeting: nonce.greeting(),
            tail: Vec::new(),
            noise: Vec::new(),
            skipped: 0,
            echoed: false,
        }
    }

    /// Takes bytes as they come. Returns those after the mark once it was found.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        let room = NOISE_BYTES_KEPT.saturating_sub(self.noise.len());
        self.noise.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.tail.extend_from_slice(bytes);
        if find(&self.tail, &self.greeting).is_some() {
            self.echoed = true;
        }
        if let Some(at) = find(&self.tail, &self.answer) {
            if self.skipped + at > NOISE_BYTES_MAX {
                return Err(WireError::Noise);
            }
            return Ok(Some(self.tail.split_off(at + self.answer.len())));
        }
        let surplus = self.tail.len().saturating_sub(self.answer.len() - 1);
        self.tail.drain(..surplus);
        self.skipped += surplus;
        if self.skipped > NOISE_BYTES_MAX { Err(WireError::Noise) } else { Ok(None) }
    }

    /// Returns the beginning of what came instead of the mark.
    pub fn noise(&self) -> &[u8] {
        &self.noise
    }

    /// Tells whether our own greeting came back: the far program repeats what it reads.
    pub fn is_echo(&self) -> bool {
        self.echoed
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    gix::bstr::ByteSlice::find(haystack, needle)
}

/// Reads a payload: every method fails where bytes are missing or a bound is passed.
pub struct Fields<'a> {
    frame: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Starts at the first byte of the payload of a `frame`.
    pub fn new(frame: &'static str, payload: &'a [u8]) -> Fields<'a> {
        Fields { frame, rest: payload }
    }

    /// Makes an error about this frame.
    pub fn bad(&self, why: &'static str) -> WireError {
        WireError::Payload { frame: self.frame, why }
    }

    /// Reads `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        if n > self.rest.len() {
            return Err(self.bad("it ends too early"));
        }
        let (bytes, rest) = self.rest.split_at(n);
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let bytes = self.bytes(N)?;
        Ok(bytes.try_into().expect("as many bytes were taken"))
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads two bytes, big endian.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Reads four bytes, big endian.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Reads eight bytes, big endian.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Reads sixteen bytes.
    pub fn array16(&mut self) -> Result<[u8; 16], WireError> {
        self.array()
    }

    /// Reads thirty-two bytes.
    pub fn array32(&mut self) -> Result<[u8; 32], WireError> {
        self.array()
    }

    /// Reads an id.
    pub fn id(&mut self) -> Result<ObjectId, WireError> {
        Ok(ObjectId::from_bytes(self.array()?))
    }

    /// Reads a list of commit ids: a count of four bytes, then the ids.
    pub fn commits(&mut self, count_max: u32) -> Result<Vec<CommitId>, WireError> {
        Ok(self.ids(count_max)?.into_iter().map(CommitId::new).collect())
    }

    /// Reads a list of ids: a count of four bytes, then the ids.
    pub fn ids(&mut self, count_max: u32) -> Result<Vec<ObjectId>, WireError> {
        let count = self.count(count_max, 32)?;
        (0..count).map(|_| self.id()).collect()
    }

    /// Reads a count whose items take at least `item_bytes` each: it can be trusted to fit.
    pub fn count(&mut self, count_max: u32, item_bytes: usize) -> Result<usize, WireError> {
        let count = self.u32()?;
        let fits = (count as usize).checked_mul(item_bytes).is_some_and(|n| n <= self.rest.len());
        if count <= count_max && fits { Ok(count as usize) } else { Err(self.bad("a count is too large")) }
    }

    /// Reads a flag: one byte, 0 or 1.
    pub fn flag(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.bad("a flag is neither 0 nor 1")),
        }
    }

    /// Reads a text: a length of two bytes, then UTF-8.
    pub fn text(&mut self, bytes_max: usize) -> Result<&'a str, WireError> {
        let length = self.u16()? as usize;
        if length > bytes_max {
            return Err(self.bad("a text is too long"));
        }
        let bytes = self.bytes(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.bad("a text is not UTF-8"))
    }

    /// Reads all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Checks that nothing is left.
    pub fn end(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.bad("bytes are left over")) }
    }
}

/// Makes text of a peer harmless for a terminal: control characters, those that steer the writing direction and
/// those that show nothing are escaped, and no more than `chars_max` characters are kept.
pub fn mask(text: &str, chars_max: usize) -> String {
    let kept: String = text.chars().take(chars_max).collect();
    let mut out = String::with_capacity(kept.len());
    push_visible(&mut out, &kept, |c| c == '\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = Nonce([7; 16]);

    #[test]
    fn greeting_is_read_back_and_nothing_else_is() {
        let line = NONCE.greeting();
        assert_eq!(line.len(), GREETING_BYTES);
        assert_eq!(Nonce::parse_greeting(&line), Ok(NONCE));
        for bad in [&line[1..], &line[..44], b"", b"SSH-2.0-x\n", &line.to_ascii_uppercase()] {
            assert_eq!(Nonce::parse_greeting(bad), Err(WireError::Greeting));
        }
    }

    #[test]
    fn mark_is_found_behind_any_banner_however_the_reads_are_cut() {
        let mut stream = b"Welcome!\nmvault-serve 0000\nmvault-serve ".to_vec();
        stream.extend_from_slice(&NONCE.greeting());
        stream.extend_from_slice(&NONCE.answer()[..40]);
        stream.extend_from_slice(&NONCE.answer());
        stream.extend_from_slice(b"frames");
        for step in 1..stream.len() {
            let mut finder = MarkFinder::new(NONCE);
            let mut after = None;
            for piece in stream.chunks(step) {
                match &mut after {
                    None => after = finder.take(piece).expect("little noise"),
                    Some(rest) => rest.extend_from_slice(piece),
                }
            }
            assert_eq!(after.as_deref(), Some(&b"frames"[..]), "step {step}");
        }
    }

    #[test]
    fn an_echo_is_not_an_answer() {
        let mut finder = MarkFinder::new(NONCE);
        assert_eq!(finder.take(&NONCE.greeting()), Ok(None));
        assert!(finder.is_echo());
    }

    #[test]
    fn ten_megabytes_of_banner_are_too_much() {
        let mut finder = MarkFinder::new(NONCE);
        let mut taken = 0;
        let piece = [b'x'; 65536];
        while taken < 10 << 20 {
            taken += piece.len();
            if let Err(error) = finder.take(&piece) {
                assert_eq!(error, WireError::Noise);
                assert!(taken <= NOISE_BYTES_MAX + 2 * piece.len());
                assert!(finder.tail.capacity() < 4 * piece.len() && finder.noise().len() == NOISE_BYTES_KEPT);
                return;
            }
        }
        panic!("no end was put to it");
    }

    #[test]
    fn masked_text_cannot_steer_a_terminal() {
        assert_eq!(mask("a\u{1b}[2J\u{202e}b\nc", 100), "a\\u{1b}[2J\\u{202e}b\nc");
        assert_eq!(mask("a\u{61c}\u{200b}b", 100), "a\\u{61c}\\u{200b}b");
        assert_eq!(mask("abcdef", 3), "abc");
    }
}
