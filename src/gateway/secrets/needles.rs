//! Needles: the four bytes with which a shape begins, looked for at every place of the text.
//!
//! - Letter case is folded by setting bit 5 of each byte, so `Password`, `PASSWORD` and `password` are one needle.
//!   That also makes `_` and DEL one, and `@` and a backtick: whoever looks closer compares exactly.
//! - A place costs a multiplication and a bit of a table that fits the first cache (32 KiB), whatever the
//!   number of needles. What costs is a place that has to be looked at twice: a smaller table has more of them and
//!   was slower, and so was one of bytes. The table is made at the first look.

use std::sync::LazyLock;

use super::named::WORDS;
use super::rules::{RULES, Rule};
use super::shape::{Alphabet, Piece};

/// What to look for closer, where a needle is.
#[derive(Clone, Copy)]
pub(super) enum Trigger {
    /// A rule and one of its beginnings, by number: small, because there are thousands to be sorted.
    Shape(u8, u8),
    /// A block with a private key.
    PrivateKey,
    /// A JSON web token.
    WebToken,
    /// The `://` of a URL.
    Link,
    /// The option of a command behind which a login stands.
    Option,
    /// The usual port of a line of `.pgpass`.
    Pgpass,
    /// A telling word of a name, by number.
    Name(u8),
}

/// All needles.
pub(super) struct Needles {
    /// A bit for each place that [`spread`] gives.
    bits: Box<[u32; 8192]>,
    /// By gram.
    triggers: Vec<(u32, Trigger)>,
}

const FOLD: u32 = 0x2020_2020;
/// Places that one load of eight bytes decides: those whose four bytes lie within.
const PLACES: usize = 5;

/// Spreads a folded gram over 18 bits. The factor is the one of 300 with which the fewest places of prose look like
/// a needle: 6 in a thousand, of which 4 are one.
fn spread(gram: u32) -> u32 {
    gram.wrapping_mul(0x48ED_C9E1) >> 14
}

static NEEDLES: LazyLock<Needles> = LazyLock::new(Needles::build);

impl Needles {
    /// Returns the needles, made at the first call.
    pub(super) fn get() -> &'static Self {
        &NEEDLES
    }

    fn build() -> Self {
        let mut triggers = Vec::with_capacity(2048);
        for (rule, number) in RULES.iter().zip(0..) {
            for (start, variant) in rule.starts.iter().zip(0..) {
                shape_grams(rule, start, Trigger::Shape(number, variant), &mut triggers);
            }
        }
        for (word, number) in WORDS.iter().zip(0..) {
            triggers.push((gram(word.needle), Trigger::Name(number)));
        }
        triggers.push((gram(b" -u "), Trigger::Option));
        triggers.push((gram(b" --u"), Trigger::Option));
        triggers.push((gram(b":543"), Trigger::Pgpass));
        triggers.push((gram(b"-beg"), Trigger::PrivateKey));
        // `{"` and a first letter, `{ "`, and `{` with a line break or a tab, as base64 writes them.
        for start in
            [b"eyJ0", b"eyJh", b"eyJr", b"eyJl", b"eyJj", b"eyJ6", b"eyJ4", b"eyJq", b"eyJi", b"eyJ1"]
        {
            triggers.push((gram(start), Trigger::WebToken));
        }
        for start in [b"eyAi", b"ewog", b"ewoJ", b"ewkK"] {
            triggers.push((gram(start), Trigger::WebToken));
        }
        for last in (b'a'..=b'z').chain(b'0'..=b'9') {
            triggers.push((gram(&[last, b':', b'/', b'/']), Trigger::Link));
        }
        triggers.sort_by_key(|(gram, _)| *gram);
        let mut bits = Box::new([0u32; 8192]);
        for (gram, _) in &triggers {
            let place = spread(*gram);
            bits[(place >> 5) as usize] |= 1 << (place & 31);
        }
        Self { bits, triggers }
    }

    /// Returns a number whose last bit says whether a folded gram may be a needle.
    fn bit(&self, gram: u32) -> u32 {
        let place = spread(gram);
        self.bits[(place >> 5) as usize] >> (place & 31)
    }

    /// Returns the first place in `from..until` that may start a needle, with its folded gram.
    pub(super) fn next(&self, bytes: &[u8], from: usize, until: usize) -> Option<(usize, u32)> {
        let mut at = from;
        let fold = u64::from(FOLD) << 32 | u64::from(FOLD);
        while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            if at >= until {
                return None;
            }
            let eight = u64::from_le_bytes(*eight) | fold;
            let any = (0..PLACES).fold(0, |any, n| any | self.bit((eight >> (8 * n)) as u32));
            if any & 1 != 0 {
                for n in 0..PLACES {
                    let gram = (eight >> (8 * n)) as u32;
                    if self.bit(gram) & 1 != 0 {
                        return (at + n < until).then_some((at + n, gram));
                    }
                }
            }
            at += PLACES;
        }
        while at < until {
            let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>())?;
            let gram = u32::from_le_bytes(*four) | FOLD;
            if self.bit(gram) & 1 != 0 {
                return Some((at, gram));
            }
            at += 1;
        }
        None
    }

    /// Returns what to look for at a gram; nothing when the table was wrong about it.
    pub(super) fn triggers(&self, gram: u32) -> impl Iterator<Item = Trigger> + '_ {
        let first = self.triggers.partition_point(|(known, _)| *known < gram);
        self.triggers[first..]
            .iter()
            .take_while(move |(known, _)| *known == gram)
            .map(|(_, trigger)| *trigger)
    }
}

fn gram(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes) | FOLD
}

/// Adds the needles of one beginning. One of less than four bytes is completed by all bytes that may follow.
fn shape_grams(rule: &Rule, start: &str, trigger: Trigger, triggers: &mut Vec<(u32, Trigger)>) {
    let known = start.as_bytes()[rule.needle_at..].iter().take(4);
    let (mut begun, mut length) = (0u32, 0);
    for byte in known {
        begun |= u32::from(byte | 0x20) << (8 * length);
        length += 1;
    }
    let first = triggers.len();
    triggers.push((begun, trigger));
    for place in length..4 {
        let next = following(rule, place - length);
        let last = triggers.len();
        for n in first..last {
            let begun = triggers[n].0;
            let more = (0..128u32).filter(|b| next >> b & 1 == 1);
            triggers.extend(more.map(|b| (begun | b << (8 * place), trigger)));
        }
        triggers.drain(first..last);
    }
}

/// The bytes that may stand so many after a beginning, folded, as bits.
fn following(rule: &Rule, mut after: u32) -> u128 {
    for piece in rule.rest {
        let Piece::Run(Alphabet(alphabet), min, _) = piece else { break };
        if after < *min as u32 {
            return (0..128u8).filter(|b| alphabet(*b)).fold(0, |bits, b| bits | 1 << (b | 0x20));
        }
        after -= *min as u32;
    }
    u128::MAX
}
