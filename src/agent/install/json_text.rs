//! JSON changed as text: what is not ours keeps every byte.
//!
//! A text is read into spans, and members and items are put in or taken out between them, in the style that
//! is there: indentation, line ends, one line or many. What was appended and is removed again leaves the
//! text as it was, except for blanks inside of empty braces.

use std::ops::Range;

use serde_json::Value;

/// More nesting than this is refused; serde_json stops there too.
const DEPTH_MAX: usize = 120;

/// Why a text cannot be changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// There are comments: whoever wrote them should decide where things go.
    #[error("line {line} has a comment")]
    Comment {
        /// The line, from 1.
        line: usize,
    },
    /// It is no JSON.
    #[error("line {line} is no JSON: {why}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// It is no TOML.
    #[error("line {line} is no TOML: {why}")]
    NotToml {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// It can be read, but is not of the shape that the host reads.
    #[error("{at} is not {expected}")]
    Shape {
        /// Where, as names joined by dots.
        at: String,
        /// What should be there.
        expected: &'static str,
    },
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// The bytes of the value.
    pub span: Range<usize>,
    /// What it holds.
    pub shape: Shape,
}

/// What a value holds.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Members, doubled keys included.
    Object(Vec<Member>),
    /// Items.
    Array(Vec<Node>),
    /// Anything else.
    Plain,
}

/// A member of an object.
#[derive(Clone, Debug)]
pub struct Member {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub start: usize,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Returns the members; none if it is no object.
    pub fn members(&self) -> &[Member] {
        if let Shape::Object(members) = &self.shape { members } else { &[] }
    }

    /// Returns the items; none if it is no array.
    pub fn items(&self) -> &[Node] {
        if let Shape::Array(items) = &self.shape { items } else { &[] }
    }

    /// Returns the member of a key; of doubled ones the last, as hosts do.
    pub fn member(&self, key: &str) -> Option<&Member> {
        self.members().iter().rev().find(|member| member.key == key)
    }

    /// Returns the value.
    pub fn value(&self, text: &str) -> Value {
        serde_json::from_str(&text[self.span.clone()]).unwrap_or_default()
    }

    fn children(&self) -> Vec<Range<usize>> {
        match &self.shape {
            Shape::Object(members) => members.iter().map(|m| m.start..m.value.span.end).collect(),
            Shape::Array(items) => items.iter().map(|item| item.span.clone()).collect(),
            Shape::Plain => Vec::new(),
        }
    }
}

/// Reads a text into spans.
pub fn parse(text: &str) -> Result<Node, TextError> {
    let mut reader = Reader { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } };
    let root = reader.value(0)?;
    reader.blanks()?;
    if reader.at < text.len() {
        return reader.refuse("there is more after the end");
    }
    if let Err(error) = serde_json::from_str::<Value>(&text[root.span.clone()]) {
        let before = text[..root.span.start].matches('\n').count();
        return Err(TextError::NotJson { line: before + error.line(), why: error.to_string() });
    }
    Ok(root)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn line(&self) -> usize {
        self.text.as_bytes()[..self.at.min(self.text.len())].iter().filter(|b| **b == b'\n').count() + 1
    }

    fn refuse<T>(&self, why: &str) -> Result<T, TextError> {
        Err(TextError::NotJson { line: self.line(), why: why.to_owned() })
    }

    fn blanks(&mut self) -> Result<(), TextError> {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'/' => return Err(TextError::Comment { line: self.line() }),
                _ => break,
            }
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Node, TextError> {
        self.blanks()?;
        let start = self.at;
        let shape = match self.peek() {
            _ if depth > DEPTH_MAX => return self.refuse("it is nested too deeply"),
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => {
                self.string()?;
                Shape::Plain
            }
            _ => {
                let ends = |b: u8| b.is_ascii_whitespace() || b",:]}[{\"/".contains(&b);
                while self.peek().is_some_and(|byte| !ends(byte)) {
                    self.at += 1;
                }
                if self.at == start {
                    return self.refuse("a value is missing");
                }
                Shape::Plain
            }
        };
        Ok(Node { span: start..self.at, shape })
    }

    fn object(&mut self, depth: usize) -> Result<Shape, TextError> {
        let mut members = Vec::new();
        self.at += 1;
        loop {
            self.blanks()?;
            if self.peek() == Some(b'}') && members.is_empty() {
                break;
            }
            let start = self.at;
            if self.peek() != Some(b'"') {
                return self.refuse("a key is missing");
            }
            self.string()?;
            let key = serde_json::from_str(&self.text[start..self.at]);
            let Ok(key) = key else { return self.refuse("a key is no text") };
            self.blanks()?;
            if self.peek() != Some(b':') {
                return self.refuse("a colon is missing");
            }
            self.at += 1;
            members.push(Member { key, start, value: self.value(depth + 1)? });
            if !self.goes_on(b'}')? {
                break;
            }
        }
        self.at += 1;
        Ok(Shape::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Shape, TextError> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.blanks()?;
            if self.peek() == Some(b']') && items.is_empty() {
                break;
            }
            items.push(self.value(depth + 1)?);
            if !self.goes_on(b']')? {
                break;
            }
        }
        self.at += 1;
        Ok(Shape::Array(items))
    }

    /// Steps over a comma, or stops at the closing brace.
    fn goes_on(&mut self, close: u8) -> Result<bool, TextError> {
        self.blanks()?;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => Ok(false),
            _ => self.refuse("a comma or a closing brace is missing"),
        }
    }

    fn string(&mut self) -> Result<(), TextError> {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return Ok(());
            }
        }
        self.refuse("a text does not end")
    }
}

/// Appends an item, or a member with its key, to an array or object of `text`.
pub fn append(text: &str, container: &Node, key: Option<&str>, value: &Value) -> String {
    let style = Style::of(text);
    let (open, close) = (container.span.start + 1, container.span.end - 1);
    let render = |indent: Option<&str>| {
        let mut out = String::new();
        if let Some(key) = key {
            out.push_str(&Value::from(key).to_string());
            out.push_str(style.colon(indent));
        }
        style.write(&mut out, value, indent);
        out
    };
    let children = container.children();
    let (Some(first), Some(last)) = (children.first(), children.last()) else {
        let inner = if style.is_one_line {
            render(None)
        } else {
            let outer = indent_of(text, container.span.start);
            let indent = format!("{outer}{}", style.unit);
            format!("{0}{indent}{1}{0}{outer}", style.newline, render(Some(&indent)))
        };
        return format!("{}{inner}{}", &text[..open], &text[close..]);
    };
    let before = &text[open..first.start];
    let added = match before.rfind('\n') {
        Some(at) => {
            let indent = &before[at + 1..];
            format!(",{}{indent}{}", style.newline, render(Some(indent)))
        }
        None => format!("{}{}", style.comma(), render(None)),
    };
    format!("{}{added}{}", &text[..last.end], &text[last.end..])
}

/// Takes out the child at a place, with the comma that belonged to it.
pub fn remove(text: &str, container: &Node, at: usize) -> String {
    let children = container.children();
    let Some(child) = children.get(at) else { return text.to_owned() };
    let gap = match (at.checked_sub(1).and_then(|before| children.get(before)), children.get(at + 1)) {
        (Some(before), _) => before.end..child.end,
        (None, Some(after)) => child.start..after.start,
        (None, None) => container.span.start + 1..container.span.end - 1,
    };
    format!("{}{}", &text[..gap.start], &text[gap.end..])
}

/// The blanks at the beginning of the line of a place.
fn indent_of(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let line = &text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// How a text is laid out.
struct Style {
    newline: &'static str,
    unit: String,
    /// Everything stands on one line.
    is_one_line: bool,
    /// A blank follows colons and commas on one line.
    is_spaced: bool,
}

impl Style {
    fn of(text: &str) -> Style {
        let indent = text.lines().skip(1).find_map(|line| {
            let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
            (blanks > 0 && blanks < line.trim_end().len()).then(|| line[..blanks].to_owned())
        });
        let body = text.trim();
        let is_empty = body.trim_start_matches(['{', '\u{feff}']).trim_end_matches('}').trim().is_empty();
        Style {
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
            unit: indent.unwrap_or_else(|| "  ".to_owned()),
            is_one_line: !body.contains('\n') && !is_empty,
            is_spaced: body.contains("\": "),
        }
    }

    fn colon(&self, indent: Option<&str>) -> &'static str {
        if indent.is_some() || self.is_spaced || !self.is_one_line { ": " } else { ":" }
    }

    fn comma(&self) -> &'static str {
        if self.is_spaced || !self.is_one_line { ", " } else { "," }
    }

    /// Writes a value, on lines of its own below `indent` or on one line.
    fn write(&self, out: &mut String, value: &Value, indent: Option<&str>) {
        let (open, close, children): (_, _, Vec<(Option<&String>, &Value)>) = match value {
            Value::Object(members) => ('{', '}', members.iter().map(|(k, v)| (Some(k), v)).collect()),
            Value::Array(items) => ('[', ']', items.iter().map(|item| (None, item)).collect()),
            plain => return out.push_str(&plain.to_string()),
        };
        // A list of words stays on its line.
        let is_flat = open == '[' && children.iter().all(|(_, v)| !v.is_object() && !v.is_array());
        let inner = indent.filter(|_| !is_flat && !children.is_empty());
        let inner = inner.map(|indent| format!("{indent}{}", self.unit));
        out.push(open);
        for (n, (key, value)) in children.iter().enumerate() {
            match &inner {
                Some(inner) => {
                    out.push_str(if n > 0 { "," } else { "" });
                    out.push_str(self.newline);
                    out.push_str(inner);
                }
                None if n > 0 => out.push_str(self.comma()),
                None => {}
            }
            if let Some(key) = key {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(self.colon(indent));
            }
            self.write(out, value, inner.as_deref());
        }
        if let (Some(_), Some(indent)) = (&inner, indent) {
            out.push_str(self.newline);
            out.push_str(indent);
        }
        out.push(close);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_appended_follows_the_style_and_removing_it_leaves_no_trace() {
        let value = json!([{"a": ["x", 1]}]);
        for (text, expected) in [
            ("{}", "{\n  \"k\": [\n    {\n      \"a\": [\"x\", 1]\n    }\n  ]\n}"),
            (
                "{\n\t\"z\": 1\n}\n",
                "{\n\t\"z\": 1,\n\t\"k\": [\n\t\t{\n\t\t\t\"a\": [\"x\", 1]\n\t\t}\n\t]\n}\n",
            ),
            ("{\"z\":1}", "{\"z\":1,\"k\":[{\"a\":[\"x\",1]}]}"),
            ("{\"z\": 1}\n", "{\"z\": 1, \"k\": [{\"a\": [\"x\", 1]}]}\n"),
            (
                "\u{feff}{\r\n    \"z\": [ 1 ] }\r\n",
                "\u{feff}{\r\n    \"z\": [ 1 ],\r\n    \"k\": [\r\n        {\r\n            \"a\": [\"x\", 1]\r\n        \
                 }\r\n    ] }\r\n",
            ),
        ] {
            let root = parse(text).expect("JSON");
            let made = append(text, &root, Some("k"), &value);
            assert_eq!(made, expected);
            let root = parse(&made).expect("JSON");
            assert_eq!(root.member("k").expect("is there").value.value(&made), value);
            assert_eq!(remove(&made, &root, root.members().len() - 1), text);
        }
    }

    #[test]
    fn a_child_goes_with_its_comma() {
        let text = "[ 1 , 2,\n3 ]";
        let root = parse(text).expect("JSON");
        assert_eq!(remove(text, &root, 0), "[ 2,\n3 ]");
        assert_eq!(remove(text, &root, 1), "[ 1,\n3 ]");
        assert_eq!(remove(text, &root, 2), "[ 1 , 2 ]");
        assert_eq!(remove("[ 1 ]", &parse("[ 1 ]").expect("JSON"), 0), "[]");
    }

    #[test]
    fn comments_and_broken_texts_are_told_with_their_line() {
        let line = |text: &str| match parse(text) {
            Err(TextError::Comment { line }) => (true, line),
            Err(TextError::NotJson { line, .. }) => (false, line),
            other => panic!("{text:?}: {other:?}"),
        };
        assert_eq!(line("{\n // mine\n}"), (true, 2));
        assert_eq!(line("{\"a\": 1 /* x */}"), (true, 1));
        assert_eq!(line("{\n\"a\": 1,\n}"), (false, 3));
        assert_eq!(line("{\n\"a\": 01\n}"), (false, 2));
        for text in ["", "{", "{\"a", "{\"a\\", "{} x", "[1 2]", "{1:2}", "\"\\ud800\"", "nul", "{\"a\" 1}"] {
            assert!(matches!(parse(text), Err(TextError::NotJson { .. })), "{text:?}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse("{\"a\": \"// no comment\", \"b\": \"\\\"/*\"}").is_ok());
    }

    #[test]
    fn of_doubled_keys_the_last_counts() {
        let text = "{\"a\":1,\"a\":2}";
        assert_eq!(parse(text).expect("JSON").member("a").expect("is there").value.value(text), json!(2));
    }
}
