//! Canonical JSON (RFC 8785): a strict parser and the one text that stands for a value.
//!
//! Events are named by the hash of their canonical text, so two values must never share a text, and
//! everyone who reads the same value must write the same one.
//!
//! - Keys are sorted by their UTF-16 code units; no blanks; strings escape only what they must.
//! - A number is written as ECMAScript writes its double, but only if that text has the number's very
//!   decimal value and sign. Any other number (`9007199254740993`, `1e400`, `-0`) keeps its literal: RFC
//!   8785 would let it collapse into another value.
//! - Refused, because readers disagree about what they mean: doubled keys, lone surrogates, bytes that
//!   are not UTF-8, nesting deeper than [`JSON_DEPTH_MAX`], and everything RFC 8259 does not allow
//!   (`NaN`, trailing commas, comments).
//!
//! Parsing takes time linear in the input, apart from sorting the keys of each object.

use std::cmp::Ordering;

/// How many arrays and objects may stand in each other.
pub const JSON_DEPTH_MAX: usize = 128;

/// A JSON value, as far as canonical form is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, by its canonical text.
    Number(JsonNumber),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(JsonObject),
}

/// A JSON number: its canonical text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonNumber(String);

/// The members of a JSON object in canonical order, each key once.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct JsonObject(Vec<(String, Json)>);

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum JsonFault {
    /// The text ends before the value does.
    #[error("the text ends in the middle of a value")]
    Incomplete,
    /// A byte that cannot stand there.
    #[error("a character that cannot stand there")]
    Syntax,
    /// Bytes that are not UTF-8.
    #[error("bytes that are not UTF-8")]
    NotUtf8,
    /// Half of a surrogate pair, escaped.
    #[error("half of a surrogate pair")]
    LoneSurrogate,
    /// An object that holds a key twice.
    #[error("an object holds a key twice")]
    DoubledKey,
    /// More than [`JSON_DEPTH_MAX`] arrays and objects in each other.
    #[error("nested deeper than 128 levels")]
    TooDeep,
}

/// A text that is no JSON value, or none with one meaning.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{fault} (byte {at})")]
pub struct JsonError {
    /// What is wrong.
    pub fault: JsonFault,
    /// The offset of the first byte that shows it.
    pub at: usize,
}

impl Json {
    /// Parses a whole text; blanks around the value are allowed.
    pub fn parse(text: &[u8]) -> Result<Json, JsonError> {
        let (value, end) = Json::parse_prefix(text)?;
        match text[end..].iter().position(|b| !is_blank(*b)) {
            None => Ok(value),
            Some(more) => Err(JsonError { fault: JsonFault::Syntax, at: end + more }),
        }
    }

    /// Parses the value that `text` begins with, after blanks, and returns it with the offset behind it.
    pub fn parse_prefix(text: &[u8]) -> Result<(Json, usize), JsonError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        parser.skip_blanks();
        let value = parser.value()?;
        Ok((value, parser.at))
    }

    /// Returns the canonical text.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write_canonical(&mut out);
        out
    }

    /// Appends the canonical text.
    pub fn write_canonical(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(number) => out.push_str(&number.0),
            Json::String(text) => write_string(text, out),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Json::Object(object) => object.write_canonical(out),
        }
    }

    /// Returns the string, if the value is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number, if the value is a whole one that is not negative and fits.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Json::Number(number) => number.0.parse().ok(),
            _ => None,
        }
    }

    /// Returns the members, if the value is an object.
    pub fn as_object(&self) -> Option<&JsonObject> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::String(text.to_owned())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Json {
        Json::Number(JsonNumber::from_literal(&number.to_string()))
    }
}

impl JsonNumber {
    /// Brings a literal that follows the grammar into canonical form.
    fn from_literal(literal: &str) -> JsonNumber {
        let double = literal.parse::<f64>().ok().and_then(es6_number);
        let exact = double.filter(|text| Decimal::of(text) == Decimal::of(literal));
        JsonNumber(exact.unwrap_or_else(|| literal.to_owned()))
    }

    /// Returns the canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl JsonObject {
    /// Collects members; returns `None` if a key comes twice.
    pub fn from_members(mut members: Vec<(String, Json)>) -> Option<JsonObject> {
        members.sort_by(|a, b| compare_keys(&a.0, &b.0));
        let doubled = members.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!doubled).then_some(JsonObject(members))
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &str) -> Option<&Json> {
        let at = self.0.binary_search_by(|(k, _)| compare_keys(k, key)).ok()?;
        Some(&self.0[at].1)
    }

    /// Returns the members in canonical order.
    pub fn members(&self) -> &[(String, Json)] {
        &self.0
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let at = self.0.binary_search_by(|(k, _)| compare_keys(k, key)).ok()?;
        Some(self.0.remove(at).1)
    }

    /// Appends the canonical text.
    pub fn write_canonical(&self, out: &mut String) {
        self.write_canonical_without(None, out);
    }

    /// Appends the canonical text of the object without the member `left_out`.
    pub fn write_canonical_without(&self, left_out: Option<&str>, out: &mut String) {
        out.push('{');
        let mut first = true;
        for (key, value) in self.0.iter().filter(|(key, _)| Some(key.as_str()) != left_out) {
            if !first {
                out.push(',');
            }
            first = false;
            write_string(key, out);
            out.push(':');
            value.write_canonical(out);
        }
        out.push('}');
    }
}

/// Compares keys by UTF-16 code units. It differs from the order of UTF-8 only between surrogate pairs
/// and the characters from U+E000 to U+FFFF.
fn compare_keys(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            0x0c => "\\f",
            b'\r' => "\\r",
            0x00..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// Writes a double as ECMAScript's `Number::toString` does (ECMA-262, 6.1.6.1.20): the shortest digits
/// that read back as the same double, the nearest of them if there are several, of two equally near ones
/// the even one. `None` for NaN and the infinities.
pub fn es6_number(double: f64) -> Option<String> {
    if !double.is_finite() {
        return None;
    }
    if double == 0.0 {
        return Some("0".to_owned());
    }
    let scientific = format!("{:e}", double.abs());
    let (mantissa, exponent) = scientific.split_once('e').expect("{:e} writes an exponent");
    let digits = even_of_a_tie(double.abs(), mantissa.replace('.', ""), exponent);
    let point = exponent.parse::<i32>().expect("{:e} writes a small whole exponent") + 1;
    let count = i32::try_from(digits.len()).expect("a double has at most 17 digits");
    let sign = if double < 0.0 { "-" } else { "" };
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    Some(match point {
        _ if (count..=21).contains(&point) => format!("{sign}{digits}{}", zeros(point - count)),
        1..=21 => {
            let (whole, part) = digits.split_at(usize::try_from(point).unwrap_or(0));
            format!("{sign}{whole}.{part}")
        }
        -5..=0 => format!("{sign}0.{}{digits}", zeros(-point)),
        _ => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{dot}{rest}e{:+}", point - 1)
        }
    })
}

/// Returns the even neighbour of `digits` if the double lies exactly between the two. The standard
/// library's shortest form rounds such a tie away from zero (1424953923781206.25 becomes …06.3),
/// ECMAScript's to the even digit.
fn even_of_a_tie(double: f64, digits: String, exponent: &str) -> String {
    let odd = digits.bytes().last().is_some_and(|d| d % 2 == 1);
    let one_more = format!("{:.*e}", digits.len(), double);
    if !odd || !one_more.split_once('e').is_some_and(|(mantissa, _)| mantissa.ends_with('5')) {
        return digits;
    }
    // No double has more than 767 significant digits: this is all of it.
    let exact = format!("{double:.767e}").replacen('.', "", 1);
    let all = exact.split_once('e').map_or("", |(mantissa, _)| mantissa);
    let (below, rest) = all.split_at(digits.len().min(all.len()));
    let tie = rest.starts_with('5') && rest[1..].bytes().all(|d| d == b'0');
    let even = if digits == below { next_digit(&digits) } else { below.to_owned() };
    let whole = format!("{}.{}e{exponent}", &even[..1], &even[1..]);
    if tie && whole.parse() == Ok(double) { even } else { digits }
}

/// Adds one to the last digit. A nine stays: its successor would have been a shorter text.
fn next_digit(digits: &str) -> String {
    let (head, last) = digits.split_at(digits.len() - 1);
    let next = last.bytes().next().map_or('0', |d| char::from((d + 1).min(b'9')));
    format!("{head}{next}")
}

/// The value of a decimal literal: sign, digits without zeros at either end, and the power of ten of
/// the last digit; for zero no digits and power 0. An exponent beyond 64 bits equals none but itself.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    power: Result<i64, Vec<u8>>,
}

impl Decimal {
    fn of(literal: &str) -> Decimal {
        let (negative, rest) = literal.strip_prefix('-').map_or((false, literal), |rest| (true, rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: Vec<u8> = whole.bytes().chain(part.bytes()).collect();
        let Some(first) = all.iter().position(|d| *d != b'0') else {
            return Decimal { negative, digits: Vec::new(), power: Ok(0) };
        };
        let last = all.iter().rposition(|d| *d != b'0').unwrap_or(first);
        let shift = i64::try_from(all.len() - 1 - last).ok().zip(i64::try_from(part.len()).ok());
        let power = exponent.parse::<i64>().ok().zip(shift).and_then(|(exponent, (dropped, part))| {
            exponent.checked_add(dropped).and_then(|sum| sum.checked_sub(part))
        });
        let digits = all[first..=last].to_vec();
        Decimal { negative, digits, power: power.ok_or_else(|| literal.as_bytes().to_vec()) }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn fail<T>(&self, fault: JsonFault, at: usize) -> Result<T, JsonError> {
        Err(JsonError { fault, at })
    }

    /// Fails at the present byte, or at the end of the text.
    fn unexpected<T>(&self) -> Result<T, JsonError> {
        let ended = self.at >= self.text.len();
        self.fail(if ended { JsonFault::Incomplete } else { JsonFault::Syntax }, self.at)
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return self.unexpected();
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Result<Json, JsonError> {
        match self.peek() {
            Some(b'{') => self.nested(Parser::object),
            Some(b'[') => self.nested(Parser::array),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            _ => self.unexpected(),
        }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Json, JsonError>) -> Result<Json, JsonError> {
        if self.depth == JSON_DEPTH_MAX {
            return self.fail(JsonFault::TooDeep, self.at);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_blanks();
        let value = inner(self);
        self.depth -= 1;
        value
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(value)
    }

    fn array(&mut self) -> Result<Json, JsonError> {
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.unexpected(),
            }
            self.skip_blanks();
        }
        self.at += 1;
        Ok(Json::Array(items))
    }

    fn object(&mut self) -> Result<Json, JsonError> {
        let mut members = Vec::new();
        let mut more = self.peek() != Some(b'}');
        while more {
            if self.peek() != Some(b'"') {
                return self.unexpected();
            }
            let key = self.string()?;
            self.skip_blanks();
            self.expect(b':')?;
            self.skip_blanks();
            members.push((key, self.value()?));
            self.skip_blanks();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.skip_blanks();
                }
                Some(b'}') => more = false,
                _ => return self.unexpected(),
            }
        }
        self.at += 1;
        match JsonObject::from_members(members) {
            Some(object) => Ok(Json::Object(object)),
            None => self.fail(JsonFault::DoubledKey, self.at - 1),
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return self.unexpected();
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let literal = str::from_utf8(&self.text[start..self.at]).expect("only ASCII was taken");
        Ok(Json::Number(JsonNumber::from_literal(literal)))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let run = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0x00..0x20));
            let plain = &rest[..run.unwrap_or(rest.len())];
            match str::from_utf8(plain) {
                Ok(text) => out.push_str(text),
                // A character cut off by the end of the text is merely not all there yet.
                Err(e) if run.is_none() && e.error_len().is_none() => {
                    return self.fail(JsonFault::Incomplete, self.text.len());
                }
                Err(e) => return self.fail(JsonFault::NotUtf8, self.at + e.valid_up_to()),
            }
            self.at += plain.len();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return self.unexpected(),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(start);
            }
            _ => return self.unexpected(),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Reads what follows `\u`, and the second half of a pair if this is the first.
    fn unicode_escape(&mut self, start: usize) -> Result<char, JsonError> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(JsonError { fault: JsonFault::LoneSurrogate, at: start });
        }
        match self.text.get(self.at..) {
            Some([]) | Some([b'\\']) => return self.fail(JsonFault::Incomplete, self.text.len()),
            Some([b'\\', b'u', ..]) => self.at += 2,
            _ => return self.fail(JsonFault::LoneSurrogate, start),
        }
        let second = self.hex4()?;
        if !(0xdc00..0xe000).contains(&second) {
            return self.fail(JsonFault::LoneSurrogate, start);
        }
        let joined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(joined).ok_or(JsonError { fault: JsonFault::LoneSurrogate, at: start })
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            match self.peek().and_then(|b| char::from(b).to_digit(16)) {
                Some(digit) => value = value * 16 + digit,
                None => return self.unexpected(),
            }
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
#[path = "canonical_json_tests.rs"]
mod tests;
