//! Needles: the four bytes with which a shape begins, looked for at every place of the text.
//!
//! - Letter case is folded by setting bit 5 of each byte, so `Password`, `PASSWORD` and `password` are one needle.
//!   That also makes `_` and DEL one, and `@` and a backtick: whoever looks closer compares exactly.
//! - A place costs a multiplication and a bit in a table of 8 KiB, whatever the number of needles. An automaton
//!   over the same needles was not tried: it has to be built at start-up, this table takes microseconds.

use std::sync::LazyLock;

use super::named::{WORDS, Word};
use super::rules::{RULES, Rule};
use super::shape::{Alphabet, Piece};

/// What to look for closer, where a needle is.
#[derive(Clone, Copy)]
pub(super) enum Trigger {
    /// A rule, and which of its beginnings.
    Shape(&'static Rule, &'static str),
    /// A block with a private key.
    PrivateKey,
    /// A JSON web token.
    WebToken,
    /// The `://` of a URL.
    Link,
    /// A telling word of a name.
    Name(&'static Word),
}

/// All needles.
pub(super) struct Needles {
    bits: Box<[u64; 1024]>,
    /// By gram.
    triggers: Vec<(u32, Trigger)>,
}

const FOLD: u32 = 0x2020_2020;
/// Places that one load of eight bytes decides: those whose four bytes lie within.
const PLACES: usize = 5;

/// Spreads a folded gram over 16 bits (Knuth's multiplicative hashing).
fn spread(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_79B1) >> 16
}

static NEEDLES: LazyLock<Needles> = LazyLock::new(Needles::build);

impl Needles {
    /// Returns the needles, made at the first call.
    pub(super) fn get() -> &'static Self {
        &NEEDLES
    }

    fn build() -> Self {
        let mut triggers = Vec::with_capacity(4096);
        for rule in RULES {
            for start in rule.starts {
                shape_grams(rule, start, &mut triggers);
            }
        }
        for word in WORDS {
            triggers.push((gram(word.needle), Trigger::Name(word)));
        }
        triggers.push((gram(b"-beg"), Trigger::PrivateKey));
        // `{"` and a first letter, `{ "`, and `{` with a line break or a tab, as base64 writes them.
        for start in [b"eyJ0", b"eyJh", b"eyJr", b"eyJl", b"eyJj", b"eyJ6", b"eyJ4", b"eyJq", b"eyJi", b"eyJ1"] {
            triggers.push((gram(start), Trigger::WebToken));
        }
        for start in [b"eyAi", b"ewog", b"ewoJ", b"ewkK"] {
            triggers.push((gram(start), Trigger::WebToken));
        }
        for last in (b'a'..=b'z').chain(b'0'..=b'9') {
            triggers.push((gram(&[last, b':', b'/', b'/']), Trigger::Link));
        }
        triggers.sort_by_key(|(gram, _)| *gram);
        let mut bits = Box::new([0u64; 1024]);
        for (gram, _) in &triggers {
            let place = spread(*gram);
            bits[(place >> 6) as usize] |= 1 << (place & 63);
        }
        Self { bits, triggers }
    }

    fn may_be(&self, gram: u32) -> bool {
        let place = spread(gram);
        (self.bits[(place >> 6) as usize & 1023] >> (place & 63)) & 1 != 0
    }

    /// Returns the first place in `from..until` that may start a needle, with its folded gram.
    pub(super) fn next(&self, bytes: &[u8], from: usize, until: usize) -> Option<(usize, u32)> {
        let mut at = from;
        let fold = u64::from(FOLD) << 32 | u64::from(FOLD);
        while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let eight = u64::from_le_bytes(*eight) | fold;
            let mut any = false;
            for n in 0..PLACES {
                any |= self.may_be((eight >> (8 * n)) as u32);
            }
            if any {
                for n in 0..PLACES {
                    let gram = (eight >> (8 * n)) as u32;
                    if self.may_be(gram) {
                        return (at + n < until).then_some((at + n, gram));
                    }
                }
            }
            at += PLACES;
            if at >= until {
                return None;
            }
        }
        while at < until {
            let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>())?;
            let gram = u32::from_le_bytes(*four) | FOLD;
            if self.may_be(gram) {
                return Some((at, gram));
            }
            at += 1;
        }
        None
    }

    /// Returns what to look for at a gram; nothing when the table was wrong about it.
    pub(super) fn triggers(&self, gram: u32) -> impl Iterator<Item = Trigger> + '_ {
        let first = self.triggers.partition_point(|(known, _)| *known < gram);
        self.triggers[first..].iter().take_while(move |(known, _)| *known == gram).map(|(_, trigger)| *trigger)
    }
}

fn gram(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes) | FOLD
}

/// Adds the needles of one beginning. One of less than four bytes is completed by all bytes that may follow.
fn shape_grams(rule: &'static Rule, start: &'static str, triggers: &mut Vec<(u32, Trigger)>) {
    let trigger = Trigger::Shape(rule, start);
    let first: Vec<u8> = start.bytes().skip(rule.needle_at).take(4).collect();
    let mut grams = vec![first];
    while grams[0].len() < 4 {
        let known = grams[0].len();
        let next = following(rule, known + rule.needle_at - start.len());
        grams = grams.iter().flat_map(|gram| next.iter().map(|b| [gram.as_slice(), &[*b]].concat())).collect();
    }
    let mut grams: Vec<u32> = grams.iter().filter_map(|bytes| bytes.first_chunk().map(gram)).collect();
    grams.sort_unstable();
    grams.dedup();
    triggers.extend(grams.into_iter().map(|gram| (gram, trigger)));
}

/// The bytes that may stand so many after a beginning, folded.
fn following(rule: &Rule, mut after: usize) -> Vec<u8> {
    for piece in rule.rest {
        let Piece::Run(Alphabet(alphabet), min, _) = piece else { break };
        if after < *min {
            let mut bytes: Vec<u8> = (0..=127u8).filter(|b| alphabet(*b)).map(|b| b | 0x20).collect();
            bytes.sort_unstable();
            bytes.dedup();
            return bytes;
        }
        after -= min;
    }
    (b' '..=b'~').collect()
}
