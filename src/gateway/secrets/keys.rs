//! Private keys in blocks and JSON web tokens: what has to be decoded to be known.

use super::shape::starts_alone;
use super::{Certainty, Hit, Look, judge};

/// How much of the body of a private key is looked at, in base64 digits. The shortest body, Ed25519, has 64.
const BODY_DIGITS: usize = 60;
/// How many words may stand before the body: `Proc-Type: 4,ENCRYPTED` and the like.
const HEADER_WORDS_MAX: usize = 16;
/// How long the header of a token may be.
const HEADER_DIGITS_MAX: usize = 1024;

/// Looks for a block with a private key, and takes it only with a body.
pub(super) fn private_key(look: Look<'_>) -> Option<Hit> {
    const START: &[u8] = b"-----BEGIN ";
    let start = look.place.checked_sub(4)?;
    let rest = look.text[start..].strip_prefix(START)?;
    let label_end =
        rest.iter().take(48).position(|b| !(b.is_ascii_uppercase() || *b == b' ' || *b == b'2'))?;
    let label = &rest[..label_end];
    if !(label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK")) {
        return None;
    }
    let body = rest[label_end..].strip_prefix(b"-----")?;
    if !has_body(body) {
        return None;
    }
    let body_at = start + START.len() + label_end + 5;
    let end_mark = body.windows(9).position(|at| at == b"-----END ");
    let end = end_mark.map_or(look.text.len(), |mark| {
        let after = &body[mark + 9..];
        let dashes = after.iter().take(64).position(|b| *b == b'-').map_or(0, |dash| dash + 5);
        (body_at + mark + 9 + dashes).min(look.text.len())
    });
    let before = &look.text[start.saturating_sub(24)..start];
    let from_google =
        before.windows(12).any(|at| at == b"private_key\"") || before.ends_with(b"private_key\\\": \\\"");
    let (rule, what) = match from_google {
        true => ("gcp-service-account", "the private key of a Google service account"),
        false => ("private-key", "a private key"),
    };
    Some(Hit { rule, what, start, end, certainty: Certainty::Shape })
}

/// Says whether key material follows: base64 in lines, whatever else frames them.
fn has_body(text: &[u8]) -> bool {
    let mut digits: Vec<u8> = Vec::with_capacity(2 * BODY_DIGITS);
    let mut skipped = 0;
    for word in words(text) {
        if word.is_empty() || word == b"+" {
            continue;
        }
        let is_base64 = word.iter().all(|b| is_base64_digit(*b) || *b == b'=');
        if is_base64 && (!digits.is_empty() || word.len() >= 32) {
            digits.extend(word.iter().take(2 * BODY_DIGITS));
        } else if !digits.is_empty() || word.starts_with(b"-----") || skipped == HEADER_WORDS_MAX {
            break;
        } else {
            skipped += 1;
        }
        if digits.len() >= BODY_DIGITS {
            break;
        }
    }
    let is_stand_in = digits.windows(7).any(|at| at.eq_ignore_ascii_case(b"example"));
    digits.len() >= BODY_DIGITS
        && !is_stand_in
        && judge::entropy(&digits) > 3.0
        && judge::surprise(&digits) >= judge::SURPRISE_MIN
}

/// Splits at white space and at escaped line breaks, and strips what frames a line of a key in a program.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|b| b.is_ascii_whitespace() || *b == b'\\').unwrap_or(rest.len());
        let word = &rest[..end];
        let escapes = rest[end..].iter().take_while(|b| **b == b'\\').count();
        let letter = usize::from(escapes > 0 && matches!(rest.get(end + escapes), Some(b'n' | b'r' | b't')));
        rest = &rest[(end + (escapes + letter).max(1)).min(rest.len())..];
        let is_frame = |b: &u8| matches!(b, b'"' | b'\'' | b'`' | b',' | b'>' | b'|' | b'#' | b'*' | b';');
        let from = word.iter().position(|b| !is_frame(b)).unwrap_or(word.len());
        let until = word.iter().rposition(|b| !is_frame(b)).map_or(from, |last| last + 1);
        Some(&word[from..until])
    })
}

/// Looks for a signed JSON web token (RFC 7519).
pub(super) fn web_token(look: Look<'_>) -> Option<Hit> {
    let text = &look.text[look.place..];
    if !starts_alone(look.text, look.place) || look.text[..look.place].ends_with(b".") {
        return None;
    }
    let header = digits(text, HEADER_DIGITS_MAX)?;
    let rest = text[header.len()..].strip_prefix(b".")?;
    let payload = digits(rest, super::AHEAD)?;
    let signature = digits(rest[payload.len()..].strip_prefix(b".")?, super::AHEAD)?;
    if signature.len() < 20 || payload.len() < 8 {
        return None;
    }
    let header_json: serde_json::Value = serde_json::from_slice(&base64(header)?).ok()?;
    let algorithm = header_json.get("alg")?.as_str()?;
    let payload = base64(payload)?;
    // Every document shows the token of jwt.io, whose subject is 1234567890.
    let from_documents = payload.windows(10).any(|at| at == b"1234567890");
    if algorithm.eq_ignore_ascii_case("none") || !payload.starts_with(b"{") || from_documents {
        return None;
    }
    if judge::is_stand_in(signature) || !judge::is_even(signature) {
        return None;
    }
    let end = look.text.len() - text.len() + offset_of_end(text, signature);
    let (rule, what) = ("jwt", "a JSON web token");
    Some(Hit { rule, what, start: look.place, end, certainty: Certainty::Shape })
}

/// Returns where a part of a text ends in it.
fn offset_of_end(text: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize + part.len()
}

/// Returns the base64 digits of URLs at the start of a text; nothing when there are none or too many.
fn digits(text: &[u8], max: usize) -> Option<&[u8]> {
    let is_digit = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let run = text.iter().take(max + 1).take_while(|b| is_digit(**b)).count();
    (1..=max).contains(&run).then(|| &text[..run])
}

fn is_base64_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// Decodes base64 in either alphabet of RFC 4648, padded or not.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for digit in text.iter().filter(|b| **b != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}
