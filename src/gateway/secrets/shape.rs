//! Shapes: a beginning, runs of an alphabet, marks between them, and a proof that it was drawn at random.
//!
//! - Nothing backtracks: a run takes all it can, so looking costs no more than the shape is long.
//! - A shape stands alone: no letter, digit or underscore before or after it. The letter of an escape (`\n`)
//!   is no letter, because transcripts of agents are JSON.

use super::rules::RULES;
use super::{Certainty, Hit, Look, judge};

/// The bytes that a run may have.
#[derive(Clone, Copy)]
pub(super) struct Alphabet(pub(super) fn(u8) -> bool);

/// A part of a shape.
#[derive(Clone, Copy)]
pub(super) enum Piece {
    /// Exactly these bytes.
    Mark(&'static str),
    /// At least and at most so many of an alphabet.
    Run(Alphabet, usize, usize),
}

/// What must hold of a shape beside its form.
#[derive(Clone, Copy)]
pub(super) enum Proof {
    /// Looks drawn at random: not a placeholder, not words.
    Random,
    /// The same, and its last six are the CRC-32 of the others in base 62, as GitHub writes it.
    Crc32,
    /// The same, and the checksum of BIP 173 is right.
    Bech32,
    /// The same, and holds the mark that OpenAI puts into the middle of its keys.
    OpenAi,
}

/// Looks whether a rule holds round the needle of one of its beginnings.
pub(super) fn find(look: Look<'_>, rule: u8, start: u8) -> Option<Hit> {
    let rule = &RULES[usize::from(rule)];
    let (text, start) = (look.text, rule.starts[usize::from(start)]);
    let begin = look.place.checked_sub(rule.needle_at)?;
    let rest = text[begin..].strip_prefix(start.as_bytes())?;
    let origin = match rule.before {
        None => begin,
        Some((Alphabet(alphabet), min, max)) => {
            let run = text[..begin].iter().rev().take(max + 1).take_while(|b| alphabet(**b)).count();
            let run = run - usize::from(run > 0 && starts_after_escape(text, begin - run + 1));
            (run >= min && run <= max).then(|| begin - run)?
        }
    };
    if is_word(text[origin]) && !starts_alone(text, origin) {
        return None;
    }
    let length = rule.rest.iter().try_fold(0, |at, piece| piece.after(rest, at))?;
    let end = begin + start.len() + length;
    if text.get(end).is_some_and(|b| is_word(*b)) {
        return None;
    }
    let drawn = &rest[..length];
    let proven = match rule.proof {
        Proof::Random => {
            judge::is_drawn(drawn) || (rule.before.is_some() && judge::is_drawn(&text[origin..end]))
        }
        Proof::Crc32 => judge::is_drawn(drawn) && has_crc(drawn),
        Proof::Bech32 => judge::is_drawn(drawn) && has_bech32(&text[begin..end]),
        Proof::OpenAi => judge::is_drawn(drawn) && drawn.windows(8).any(|at| at == b"T3BlbkFJ"),
    };
    let hit = Hit { rule: rule.id, what: rule.what, start: origin, end, certainty: Certainty::Shape };
    proven.then_some(hit)
}

impl Piece {
    /// Returns where the text goes on after this part.
    fn after(&self, text: &[u8], at: usize) -> Option<usize> {
        let rest = text.get(at..)?;
        match *self {
            Self::Mark(mark) => rest.starts_with(mark.as_bytes()).then_some(at + mark.len()),
            Self::Run(Alphabet(alphabet), min, max) => {
                let run = rest.iter().take(max + 1).take_while(|b| alphabet(**b)).count();
                let stops = rest[..run].iter().rev().take_while(|b| **b == b'.').count(); // of a sentence
                let run = run - stops;
                (run >= min && run <= max).then_some(at + run)
            }
        }
    }
}

/// Says whether a byte is a letter, a digit or an underscore.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Says whether nothing that belongs to a word stands before a place.
pub(super) fn starts_alone(text: &[u8], at: usize) -> bool {
    match text[..at] {
        [] => true,
        [.., byte] => !is_word(byte) || starts_after_escape(text, at),
    }
}

/// Says whether `\n` or the like ends at a place.
fn starts_after_escape(text: &[u8], at: usize) -> bool {
    matches!(text[..at], [.., b'\\', b'n' | b't' | b'r'])
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Returns the six digits that GitHub puts at the end of what it draws.
pub(super) fn crc_digits(drawn: &[u8]) -> [u8; 6] {
    let mut crc = !0u32;
    for byte in drawn {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let mut rest = !crc;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Says whether the last six digits are the checksum of the others.
fn has_crc(drawn: &[u8]) -> bool {
    drawn.split_last_chunk::<6>().is_some_and(|(drawn, digits)| crc_digits(drawn) == *digits)
}

const BECH32: &[u8; 32] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";

/// Folds five bits into the checksum of BIP 173.
pub(super) fn bech32_step(sum: u32, five_bits: u32) -> u32 {
    const TERMS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let sum = ((sum & 0x01ff_ffff) << 5) ^ five_bits;
    TERMS.iter().enumerate().filter(|(n, _)| (top >> n) & 1 == 1).fold(sum, |sum, (_, term)| sum ^ term)
}

/// Returns the checksum over a name and the digits of BIP 173 behind it; 1 when it is right.
pub(super) fn bech32_sum(name: &[u8], digits: &[u8]) -> Option<u32> {
    let name = name.to_ascii_lowercase();
    let high = name.iter().map(|b| u32::from(b >> 5));
    let low = name.iter().map(|b| u32::from(b & 31));
    let sum = high.chain([0]).chain(low).fold(1, bech32_step);
    let values = digits.iter().map(|digit| BECH32.iter().position(|known| known == digit));
    values.into_iter().try_fold(sum, |sum, value| Some(bech32_step(sum, value? as u32)))
}

fn has_bech32(shape: &[u8]) -> bool {
    let Some(one) = shape.iter().rposition(|b| *b == b'1') else { return false };
    bech32_sum(&shape[..one], &shape[one + 1..]) == Some(1)
}
