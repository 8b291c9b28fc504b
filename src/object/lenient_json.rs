//! JSON as a tolerant reader takes it: what is fine in a text is used, and what is odd about it is named.
//!
//! Programs write JSON that RFC 8259 does not allow: half a surrogate pair where a text was cut, `NaN`, numbers
//! above every double, a byte order mark, control characters as they are. One such place must not cost the rest
//! of a message.
//!
//! - A well-formed text has the value that `serde_json` gives it. Everything else is read to its end, or to the
//!   place where it stops making sense; what was read until then is kept.
//! - Half a surrogate pair and bytes that are not UTF-8 become U+FFFD; a number that no double can hold becomes
//!   null; of doubled keys the last one counts. These are *oddities*: the value is still what the writer meant.
//! - A text that ends too early, has more behind its value, holds a word that JSON does not know, or is nested too
//!   deep has a *fault*: what was read can serve as information, and must not be carried out as a command.
//!
//! Limits: nothing here is hashed or stored; [`super::Json`] is the strict reader for that.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::JSON_DEPTH_MAX;

/// What a tolerant reader makes of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct LenientJson {
    /// The value, as far as it was read; null if there is none.
    pub value: Value,
    /// What is odd about the text, each once.
    pub oddities: Vec<&'static str>,
    /// Why the value may not be all that was meant, with the offset in the decoded text.
    pub fault: Option<(&'static str, usize)>,
    /// Whether the text is one value from its beginning to its end, however odd.
    pub is_whole: bool,
}

impl LenientJson {
    /// Reads a text.
    pub fn read(bytes: &[u8]) -> LenientJson {
        let mut oddities = Vec::new();
        let text = decode(bytes, &mut oddities);
        if let Ok(value) = serde_json::from_str(&text) {
            return LenientJson { value, oddities, fault: None, is_whole: true };
        }
        let mut reader = Reader { text: &text, at: 0, oddities, fault: None, is_stopped: false };
        let value = reader.value(0).unwrap_or(Value::Null);
        reader.skip_blanks();
        let is_whole = !reader.is_stopped && reader.at == text.len();
        if !reader.is_stopped && reader.at < text.len() {
            reader.fault("more text behind the value");
        }
        LenientJson { value, oddities: reader.oddities, fault: reader.fault, is_whole }
    }

    /// Returns the members if the text begins with an object.
    pub fn into_object(self) -> Option<Map<String, Value>> {
        match self.value {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Says why the value must not be carried out as a command, if it must not.
    pub fn fault_words(&self) -> Option<String> {
        self.fault.map(|(why, at)| format!("{why} (character {at})"))
    }
}

/// Decodes a text. A mark in front tells UTF-16 from UTF-8, as programs on some systems write it.
fn decode<'t>(bytes: &'t [u8], oddities: &mut Vec<&'static str>) -> Cow<'t, str> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    if matches!(text, Cow::Owned(_)) {
        oddities.push("bytes that are not UTF-8");
    }
    text
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    oddities: Vec<&'static str>,
    fault: Option<(&'static str, usize)>,
    /// Nothing behind `at` makes sense.
    is_stopped: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn odd(&mut self, what: &'static str) {
        if !self.oddities.contains(&what) {
            self.oddities.push(what);
        }
    }

    fn fault(&mut self, why: &'static str) {
        self.fault = self.fault.or(Some((why, self.at)));
    }

    fn stop<T>(&mut self) -> Option<T> {
        let is_end = self.at >= self.text.len();
        self.fault(if is_end { "the text ends too early" } else { "a character that cannot stand there" });
        self.is_stopped = true;
        None
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Reads a value; none if there is none, or only the beginning of one that has no parts.
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip_blanks();
        match self.peek() {
            None => self.stop(),
            Some(b'{' | b'[') if depth == JSON_DEPTH_MAX => {
                self.fault("nested deeper than 128 levels");
                self.skip_nested();
                Some(Value::Null)
            }
            Some(b'{') => Some(Value::Object(self.object(depth))),
            Some(b'[') => Some(Value::Array(self.array(depth))),
            Some(b'"') => self.string().map(Value::String),
            Some(_) => self.word(),
        }
    }

    /// Passes over an array or object without looking at what it means.
    fn skip_nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    if self.string().is_none() {
                        return;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
        self.stop::<()>();
    }

    fn array(&mut self, depth: usize) -> Vec<Value> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b']') => {
                    self.at += 1;
                    return items;
                }
                Some(b',') => {
                    self.odd("a comma too many");
                    self.at += 1;
                    continue;
                }
                _ => items.extend(self.value(depth + 1)),
            }
            if !self.goes_on(b']') {
                return items;
            }
        }
    }

    fn object(&mut self, depth: usize) -> Map<String, Value> {
        let mut members = Map::new();
        self.at += 1;
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    return members;
                }
                Some(b',') => {
                    self.odd("a comma too many");
                    self.at += 1;
                    continue;
                }
                Some(b'"') => {
                    let Some(key) = self.string() else { return members };
                    self.skip_blanks();
                    if self.peek() != Some(b':') {
                        self.stop::<()>();
                        return members;
                    }
                    self.at += 1;
                    if let Some(value) = self.value(depth + 1) {
                        members.insert(key, value);
                    }
                }
                _ => {
                    self.stop::<()>();
                    return members;
                }
            }
            if !self.goes_on(b'}') {
                return members;
            }
        }
    }

    /// Passes over the comma behind an item. Returns `false` where nothing more makes sense.
    fn goes_on(&mut self, end: u8) -> bool {
        if self.is_stopped {
            return false;
        }
        self.skip_blanks();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_blanks();
                if self.peek() == Some(end) {
                    self.odd("a comma too many");
                }
                true
            }
            Some(byte) if byte == end => true,
            _ => self.stop::<()>().is_some(),
        }
    }

    /// Reads `true`, `false`, `null`, a number, or what some programs write in the place of one.
    fn word(&mut self) -> Option<Value> {
        let rest = &self.text[self.at..];
        let is_end = |c: char| c.is_whitespace() || c.is_control() || ",:]}[{\"".contains(c);
        let word = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        if word.is_empty() {
            return self.stop();
        }
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ => match (serde_json::from_str::<Number>(word), word.parse::<f64>()) {
                // The text may be cut within a number: then it is another number.
                _ if word.len() == rest.len() => {
                    self.at = self.text.len();
                    return self.stop();
                }
                (Ok(number), _) => Value::Number(number),
                (Err(_), Ok(number)) => {
                    self.odd("a number that JSON does not have");
                    Number::from_f64(number).map_or(Value::Null, Value::Number)
                }
                (Err(_), Err(_)) => {
                    self.fault("a word that JSON does not have");
                    Value::Null
                }
            },
        };
        self.at += word.len();
        Some(value)
    }

    /// Reads a string; none if it has no end.
    fn string(&mut self) -> Option<String> {
        let mut out = String::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(run) = rest.find(['"', '\\']) else {
                self.at = self.text.len();
                return self.stop();
            };
            let plain = &rest[..run];
            if plain.bytes().any(|byte| byte < 0x20) {
                self.odd("control characters in a text");
            }
            out.push_str(plain);
            self.at += run + 1;
            if rest.as_bytes()[run] == b'"' {
                return Some(out);
            }
            self.escape(&mut out)?;
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self, out: &mut String) -> Option<()> {
        let Some(byte) = self.peek() else { return self.stop() };
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                out.push(self.unicode_escape());
                return Some(());
            }
            _ => {
                // `C:\Users` is meant as it stands.
                self.odd("a backslash that escapes nothing");
                out.push('\\');
                return Some(());
            }
        };
        out.push(plain);
        self.at += 1;
        Some(())
    }

    /// Reads `uXXXX`, and the second half of a pair where this is the first.
    fn unicode_escape(&mut self) -> char {
        let Some(first) = self.hex4(self.at + 1) else {
            self.odd("a backslash that escapes nothing");
            return '\\';
        };
        self.at += 5;
        if let Some(plain) = char::from_u32(first) {
            return plain;
        }
        let second = self.text[self.at..].starts_with("\\u").then(|| self.hex4(self.at + 2)).flatten();
        match second {
            Some(second) if first < 0xdc00 && (0xdc00..0xe000).contains(&second) => {
                self.at += 6;
                char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
                    .unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => {
                self.odd("half of a surrogate pair");
                char::REPLACEMENT_CHARACTER
            }
        }
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 4)?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A host cut a message in the middle of an emoji, and the whole message was dropped: a session's end wrote
    /// nothing.
    #[test]
    fn what_is_fine_is_used_and_what_is_odd_is_named() {
        for (text, value, oddity) in [
            (r#"{"a":1,"b":"x \ud83d"}"#, json!({"a": 1, "b": "x \u{fffd}"}), "half of a surrogate pair"),
            (r#"{"b":"\udc00\ud83d\ude00y"}"#, json!({"b": "\u{fffd}😀y"}), "half of a surrogate pair"),
            (r#"{"b":"\ud83d\u0041"}"#, json!({"b": "\u{fffd}A"}), "half of a surrogate pair"),
            (
                r#"{"a":NaN,"b":[Infinity,-Infinity,1e400]}"#,
                json!({"a": null, "b": [null, null, null]}),
                "a number that JSON does not have",
            ),
            (r#"{"a":01,"b":.5}"#, json!({"a": 1.0, "b": 0.5}), "a number that JSON does not have"),
            ("{\"a\":\"x\ny\u{1}\"}", json!({"a": "x\ny\u{1}"}), "control characters in a text"),
            (r#"{"cwd":"C:\Users\xy"}"#, json!({"cwd": "C:\\Users\\xy"}), "a backslash that escapes nothing"),
            (r#"{"a":[1,2,],}"#, json!({"a": [1, 2]}), "a comma too many"),
        ] {
            let read = LenientJson::read(text.as_bytes());
            assert_eq!((&read.value, read.fault, read.is_whole), (&value, None, true), "{text}");
            assert!(read.oddities.contains(&oddity), "{text}: {:?}", read.oddities);
        }
        let read = LenientJson::read(b"\xef\xbb\xbf{\"a\":\"\xff\",\"a\":2}\n");
        assert_eq!((read.value, read.fault), (json!({"a": 2}), None));
        let utf16: Vec<u8> = "\u{feff}{\"a\":\"ä\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(LenientJson::read(&utf16).value, json!({"a": "ä"}));
    }

    #[test]
    fn a_text_that_is_not_all_there_gives_what_was_read_and_says_so() {
        for (text, value) in [
            ("", json!(null)),
            ("{", json!({})),
            (r#"{"id":7,"method":"pi"#, json!({"id": 7})),
            (r#"{"id":7,"n":12"#, json!({"id": 7})),
            (r#"{"id":7,"p":{"q":1,"r":["#, json!({"id": 7, "p": {"q": 1, "r": []}})),
            (r#"{"id":7} x"#, json!({"id": 7})),
            (r#"{"id":7}{"id":8}"#, json!({"id": 7})),
            (r#"{"id":7,"a" 1}"#, json!({"id": 7})),
            (r#"{"half":"wo{"k":2}"#, json!({"half": "wo{"})),
            ("plain text", json!(null)),
        ] {
            let read = LenientJson::read(text.as_bytes());
            assert_eq!(read.value, value, "{text}");
            assert!(read.fault.is_some() && !read.is_whole, "{text}");
        }
        let odd = LenientJson::read(br#"{"id":7,"a":undefined}"#);
        assert!(odd.fault.is_some() && odd.is_whole && odd.value["id"] == 7);
    }

    #[test]
    fn depth_costs_only_what_is_deep() {
        let deep = format!(r#"{{"a":{}"]}}"{},"id":7}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let read = LenientJson::read(deep.as_bytes());
        assert_eq!(read.value["id"], 7);
        assert!(read.fault.is_some() && read.is_whole);
        let open = LenientJson::read(format!(r#"{{"id":7,"a":{}"#, "[{\"x\":".repeat(50_000)).as_bytes());
        assert!(open.fault.is_some() && !open.is_whole && open.value["id"] == 7);
    }
}
