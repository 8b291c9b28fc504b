//! Drawn at random, or written by a person?
//!
//! - Surprise: of every two neighbours, how many a writer would not have put side by side. Words have about a
//!   fifth, drawn text about three quarters.
//! - Entropy: how evenly the bytes are spread, against what their number allows.
//! - Placeholders: words that authors of documents put where a secret would be, and keys that vendors publish.
//!
//! The pairs are those that make up 93 % of the pairs of letters in the sources and documents of a few hundred
//! crates: 217 of 676.

/// For each letter the letters that often follow it, as bits.
const FOLLOWERS: [u32; 26] = [
    0x019e_b96e,
    0x0110_4911,
    0x000e_4db1,
    0x0006_4159,
    0x01ef_b87f,
    0x0006_4971,
    0x0006_0110,
    0x0008_4111,
    0x02ae_f87d,
    0x0000_0000,
    0x0000_0010,
    0x011c_4939,
    0x0010_c111,
    0x001c_c97d,
    0x007e_fc2c,
    0x011e_c911,
    0x0010_0000,
    0x011e_715d,
    0x011c_c195,
    0x011e_c19d,
    0x000e_b956,
    0x0000_0111,
    0x0002_0181,
    0x0008_8000,
    0x000c_8000,
    0x0000_0010,
];

/// What stands for a secret in a document. In lower case, with nothing but letters and digits.
const STAND_INS: [&str; 48] = [
    "example",
    "exampl",
    "change",
    "your",
    "dummy",
    "sample",
    "redact",
    "placehold",
    "xxxx",
    "secret",
    "password",
    "passwd",
    "passwort",
    "token",
    "apikey",
    "insert",
    "replace",
    "todo",
    "fixme",
    "undefined",
    "null",
    "hunter2",
    "qwerty",
    "letmein",
    "here",
    "somekey",
    "mykey",
    "default",
    "value",
    "string",
    "random",
    "generate",
    "hidden",
    "masked",
    "private",
    "public",
    "fake",
    "mock",
    "invalid",
    "deadbeef",
    "cafebabe",
    "notreal",
    "testing",
    "foobar",
    "access",
    "swordfish",
    "custom",
    "pssw",
];

/// Keys that their makers publish for everybody: the storage emulator's, the cloud's and the payment service's in
/// their manuals, those in RFC 5849, RFC 6749 and RFC 6750.
const PUBLISHED: [&str; 12] = [
    "4eC39HqLyjWDarjt",
    "BQokikJOvBiI2HlW",
    "tR3PYbcVNZZ796tH",
    "Eby8vdM02xNOcqFl",
    "wJalrXUtnFEMI",
    "je7MtGbClwBF",
    "2YotnFZFEjr1zCsi",
    "tGzv3JOkF0XG5Qx2",
    "gX1fBat3bV",
    "mF_9.B5f-4.1JqM",
    "kkk9d7dh3k39sjv7",
    "ad180jjd733klru7",
];

/// How many of a character in a row, or of a series like 12345, nobody draws.
const SERIES: usize = 5;

/// Up to which length digits are read as letters. Longer texts were drawn, and hold any word by chance.
const MASKED_MAX: usize = 32;

/// The least surprise of what is taken as drawn.
pub(super) const SURPRISE_MIN: f32 = 0.45;

/// Says whether the body of a shape looks drawn.
pub(super) fn is_drawn(body: &[u8]) -> bool {
    !is_stand_in(body) && is_even(body) && surprise_in_parts(body) >= SURPRISE_MIN
}

/// Returns the surprise without the neighbours that a joint separates: shapes have joints of their own.
fn surprise_in_parts(body: &[u8]) -> f32 {
    let pairs = body.windows(2).filter(|pair| !is_joint(pair[0]) && !is_joint(pair[1]));
    let (sum, count) =
        pairs.fold((0.0, 0), |(sum, count), pair| (sum + surprise_of(pair[0], pair[1]), count + 1));
    sum / count.max(1) as f32
}

/// Says whether a text stands for a secret, or is one that everybody knows.
pub(super) fn is_stand_in(text: &[u8]) -> bool {
    if PUBLISHED.iter().any(|key| text.windows(key.len()).any(|at| at == key.as_bytes())) {
        return true;
    }
    let plain: Vec<u8> =
        text.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    let holds_word =
        |plain: &[u8]| STAND_INS.iter().any(|word| plain.windows(word.len()).any(|at| at == word.as_bytes()));
    has_series(text) || holds_word(&plain) || (text.len() <= MASKED_MAX && holds_word(&unmasked(text)))
}

/// Returns a text with the digits and signs that stand for letters as those letters: `S3cr3t`, `P@ssw0rd`.
fn unmasked(text: &[u8]) -> Vec<u8> {
    let letter = |b: &u8| match b {
        b'0' => b'o',
        b'1' | b'!' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'7' => b't',
        _ => b.to_ascii_lowercase(),
    };
    text.iter().map(letter).filter(u8::is_ascii_alphanumeric).collect()
}

/// Says whether neighbours repeat, climb or fall for too long: `AAAAA`, `12345`, `fedcb`.
fn has_series(text: &[u8]) -> bool {
    let (mut step, mut length) = (0i16, 1);
    for pair in text.windows(2) {
        let next = i16::from(pair[1]) - i16::from(pair[0]);
        length = if next == step { length + 1 } else { 2 };
        step = next;
        if length >= SERIES && matches!(step, -1..=1) {
            return true;
        }
    }
    false
}

/// Returns the entropy of a text in bits a byte.
pub(super) fn entropy(text: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    text.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let all = text.len() as f32;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| *count as f32 / all);
    -shares.map(|share| share * share.log2()).sum::<f32>()
}

/// Says whether the bytes of a text are spread as evenly as chance spreads them.
pub(super) fn is_even(text: &[u8]) -> bool {
    let is_hex = text.iter().all(|b| b.is_ascii_hexdigit() || is_joint(*b));
    let letters = if is_hex { 16.0 } else { 36.0 };
    let most = (text.len() as f32).min(letters).log2();
    entropy(text) >= 0.72 * most
}

/// Returns how many of the neighbours in a text a writer would not have put side by side, 0 to 1.
pub(super) fn surprise(text: &[u8]) -> f32 {
    if text.len() < 2 {
        return 0.0;
    }
    let sum: f32 = text.windows(2).map(|pair| surprise_of(pair[0], pair[1])).sum();
    sum / (text.len() - 1) as f32
}

fn surprise_of(a: u8, b: u8) -> f32 {
    match (a.is_ascii_alphabetic(), b.is_ascii_alphabetic()) {
        (true, true) => {
            let followers = FOLLOWERS[usize::from(a.to_ascii_lowercase() - b'a')];
            let rare = followers >> (b.to_ascii_lowercase() - b'a') & 1 == 0;
            let hump = a.is_ascii_lowercase() && b.is_ascii_uppercase();
            match (hump, rare) {
                (true, _) => 0.5,
                (false, true) => 1.0,
                (false, false) => 0.0,
            }
        }
        (true, false) | (false, true) if a.is_ascii_digit() || b.is_ascii_digit() => 1.0,
        _ if a.is_ascii_digit() && b.is_ascii_digit() => 0.5,
        _ if is_joint(a) || is_joint(b) => 0.0,
        _ => 0.8,
    }
}

/// Says whether a byte joins words and numbers: a name, a path, a date.
fn is_joint(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b'+' | b'=' | b' ' | b',')
}
