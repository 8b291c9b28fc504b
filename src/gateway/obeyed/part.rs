//! The part of a file that runs, taken out of it in a form that does not change when only the rest does.

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::name::glob;
use super::table::table;
use super::{Content, PART_BYTES_MAX};
use crate::gateway::secrets;
use crate::object::{Json, JsonObject};

/// The longest text that is shown of a command, in characters.
const SHOWN_CHARS_MAX: usize = 100;
/// The number of commands that are shown.
const SHOWN_MAX: usize = 3;
/// Members whose text is a command, in lower case.
const COMMANDS: [&str; 14] = [
    "command",
    "cmd",
    "bash",
    "powershell",
    "exec",
    "run",
    "script",
    "program",
    "url",
    "httpurl",
    "notify",
    "discoverycommand",
    "callcommand",
    "install",
];

/// A piece of the part that runs.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Its canonical text.
    pub text: String,
    /// The same for people.
    pub shown: String,
}

/// What was taken out of a file.
#[derive(Clone, Debug)]
pub(super) enum Taken {
    /// The whole file counts.
    Whole,
    /// These pieces.
    Pieces(Vec<Piece>),
}

impl Taken {
    pub fn nothing() -> Taken {
        Taken::Pieces(Vec::new())
    }
}

/// Returns the text of a file; `None` if it is too long or not UTF-8, so that it counts whole.
fn text_of(content: Content<'_>) -> Option<&str> {
    match content {
        Content::Whole(bytes) if bytes.len() as u64 <= PART_BYTES_MAX => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// Takes the members out that `keys` name.
pub(super) fn keys(content: Content<'_>, keys: &[Vec<String>]) -> Taken {
    let Some(text) = text_of(content) else { return Taken::Whole };
    let value = match Json::parse(text.as_bytes()) {
        Ok(value) => Some(value),
        Err(_) => text.parse::<DocumentMut>().ok().and_then(|document| of_table(document.as_table())),
    };
    let Some(Json::Object(object)) = value else { return Taken::Whole };
    let mut pieces = Vec::new();
    for key in keys {
        take_member(&object, key, "", &mut pieces);
    }
    Taken::Pieces(pieces)
}

fn take_member(object: &JsonObject, key: &[String], above: &str, pieces: &mut Vec<Piece>) {
    let Some((first, rest)) = key.split_first() else { return };
    for (name, value) in object.members() {
        if !glob(first.as_bytes(), name.to_lowercase().as_bytes()) {
            continue;
        }
        let path = format!("{above}{name}");
        match (rest, value) {
            ([], _) if is_empty(value) => {}
            ([], _) => {
                let mut commands = Vec::new();
                find_commands(name, value, &mut commands);
                let commands: Vec<String> = commands.iter().take(SHOWN_MAX).map(|text| show(text)).collect();
                let shown = match commands.is_empty() {
                    true => clip(&path),
                    false => format!("{} {}", clip(&path), commands.join(", ")),
                };
                pieces.push(Piece { text: format!("{path}={}", value.canonical()), shown });
            }
            (rest, Json::Object(inner)) => take_member(inner, rest, &format!("{path}/"), pieces),
            _ => {}
        }
    }
}

/// Returns `true` for a member that says nothing.
fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.iter().all(is_empty),
        Json::Object(object) => object.members().iter().all(|(_, value)| is_empty(value)),
        _ => false,
    }
}

/// Finds the texts in a value that are commands.
fn find_commands(name: &str, value: &Json, found: &mut Vec<String>) {
    let is_command = |name: &str| {
        let name = name.to_lowercase();
        COMMANDS.contains(&name.as_str()) || name.ends_with("helper") || name.ends_with("refresh")
    };
    match value {
        Json::String(text) if is_command(name) => found.push(text.clone()),
        Json::Array(items) if is_command(name) && items.iter().all(|item| item.as_str().is_some()) => {
            let words: Vec<&str> = items.iter().filter_map(Json::as_str).collect();
            found.push(words.join(" "));
        }
        Json::Array(items) => items.iter().for_each(|item| find_commands(name, item, found)),
        Json::Object(object) => {
            for (name, value) in object.members() {
                let with_arguments = match (value, object.get("args")) {
                    (Json::String(command), Some(Json::Array(args))) if name == "command" => {
                        let words = args.iter().filter_map(Json::as_str);
                        Some([command.as_str()].into_iter().chain(words).collect::<Vec<_>>().join(" "))
                    }
                    _ => None,
                };
                match with_arguments {
                    Some(text) => found.push(text),
                    None => find_commands(name, value, found),
                }
            }
        }
        _ => {}
    }
}

/// Makes JSON of a TOML table, so that both have one canonical form. Comments, order and spelling do not count.
fn of_table(table: &dyn TableLike) -> Option<Json> {
    let members = table.iter().map(|(key, item)| Some((key.to_owned(), of_item(item)?)));
    Some(Json::Object(JsonObject::from_members(members.collect::<Option<Vec<_>>>()?)?))
}

fn of_item(item: &Item) -> Option<Json> {
    match item {
        Item::None => Some(Json::Null),
        Item::Value(value) => of_value(value),
        Item::Table(table) => of_table(table),
        Item::ArrayOfTables(tables) => {
            tables.iter().map(|table| of_table(table)).collect::<Option<Vec<_>>>().map(Json::Array)
        }
    }
}

fn of_value(value: &Value) -> Option<Json> {
    match value {
        Value::String(text) => Some(Json::String(text.value().clone())),
        Value::Boolean(flag) => Some(Json::Bool(*flag.value())),
        Value::Integer(number) => Json::parse(number.value().to_string().as_bytes()).ok(),
        Value::Float(number) => Some(Json::Array(vec![Json::String(format!("{:?}", number.value()))])),
        Value::Datetime(time) => Some(Json::String(time.value().to_string())),
        Value::Array(items) => items.iter().map(of_value).collect::<Option<Vec<_>>>().map(Json::Array),
        Value::InlineTable(table) => of_table(table),
    }
}

/// Takes `!{command}` and `@{file}` out of the strings of a TOML file.
pub(super) fn prompt(content: Content<'_>) -> Taken {
    let document = text_of(content).and_then(|text| text.parse::<DocumentMut>().ok());
    let Some(value) = document.and_then(|document| of_table(document.as_table())) else {
        return Taken::Whole;
    };
    let mut pieces = Vec::new();
    in_strings(&value, &mut |text| {
        for opening in ["!{", "@{"] {
            for (at, _) in text.match_indices(opening) {
                pieces.push(piece(&text[at..at + braced(&text[at + 1..]) + 1]));
            }
        }
    });
    Taken::Pieces(pieces)
}

fn in_strings(value: &Json, each: &mut impl FnMut(&str)) {
    match value {
        Json::String(text) => each(text),
        Json::Array(items) => items.iter().for_each(|item| in_strings(item, each)),
        Json::Object(object) => object.members().iter().for_each(|(_, value)| in_strings(value, each)),
        _ => {}
    }
}

/// Returns the length of a text in braces, which may hold others; the rest of the text if they do not end.
fn braced(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn piece(text: &str) -> Piece {
    Piece { text: text.to_owned(), shown: show(text) }
}

/// Takes out of a Markdown file that is meant for a program what runs of it.
pub(super) fn markdown(content: Content<'_>) -> Taken {
    let Some(text) = text_of(content) else { return Taken::Whole };
    let front = match frontmatter(text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n'])) {
        Front::None => "",
        Front::Yaml(front) => front,
        Front::Other => return Taken::Whole,
    };
    let mut pieces = front_pieces(front, &table().markdown_keys, Odd::Counts);
    // Some readers end the frontmatter at the first `---`, even within a line.
    pieces.extend(commands(text));
    Taken::Pieces(pieces)
}

/// The same of a Markdown file that no name tells to be meant for a program: if its frontmatter does.
pub(super) fn telling_markdown(content: Content<'_>) -> Taken {
    let bytes = match content {
        Content::Whole(bytes) | Content::Long(bytes) => bytes,
    };
    let is_fenced = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).starts_with(b"---");
    let Some(text) = text_of(content).filter(|_| is_fenced) else { return Taken::nothing() };
    let front = match frontmatter(text.trim_start_matches('\u{feff}')) {
        Front::None => return Taken::nothing(),
        Front::Yaml(front) => front,
        Front::Other if is_script(text) => return Taken::Whole,
        Front::Other => return Taken::nothing(),
    };
    if front_pieces(front, &table().telling_keys, Odd::Passes).is_empty() {
        return Taken::nothing();
    }
    let mut pieces = front_pieces(front, &table().markdown_keys, Odd::Passes);
    pieces.extend(commands(text));
    Taken::Pieces(pieces)
}

/// How a Markdown text begins.
enum Front<'a> {
    None,
    /// Frontmatter. One that does not end goes to the end.
    Yaml(&'a str),
    /// Frontmatter in another language: readers know TOML, JSON, and JavaScript that they run.
    Other,
}

fn frontmatter(text: &str) -> Front<'_> {
    if text.starts_with("+++") || text.starts_with(";;;") {
        return Front::Other;
    }
    let Some(after) = text.strip_prefix("---") else { return Front::None };
    let (first, front) = after.split_once('\n').unwrap_or((after, ""));
    match first.trim() {
        "" => {}
        // A rule, or a sentence.
        language if language.starts_with('-') || language.contains(' ') => return Front::None,
        _ => return Front::Other,
    }
    let mut at = 0;
    for line in front.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            return Front::Yaml(&front[..at]);
        }
        at += line.len();
    }
    Front::Yaml(front)
}

/// Returns `true` if the frontmatter is a script, which some readers run.
fn is_script(text: &str) -> bool {
    let first = text.trim_start_matches(['\u{feff}', '-']).lines().next().unwrap_or_default();
    matches!(
        first.trim().to_lowercase().as_str(),
        "js" | "javascript" | "coffee" | "coffeescript" | "ts" | "node"
    )
}

/// Whether frontmatter that is not plain `key: value` counts whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Odd {
    Counts,
    Passes,
}

/// Takes members out of frontmatter, each with the lines that belong to it.
fn front_pieces(front: &str, keys: &[String], odd: Odd) -> Vec<Piece> {
    let mut pieces: Vec<String> = Vec::new();
    let mut is_taken = false;
    // What ends a line in some version of YAML.
    let lines = || front.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).map(str::trim_end);
    // All of it may be indented.
    let first = lines().find(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
    let indent = first.map_or("", |line| &line[..line.len() - line.trim_start().len()]);
    for line in lines() {
        let line = line.strip_prefix(indent).unwrap_or(line);
        match line.chars().next() {
            None | Some('#') => continue,
            // What is indented, or an item of a list, belongs to the member above it.
            Some(' ' | '\t' | '-' | ']' | '}') => {
                if is_taken && let Some(piece) = pieces.last_mut() {
                    piece.push('\n');
                    piece.push_str(line);
                }
                continue;
            }
            Some(_) => {}
        }
        let Some(key) = plain_key(line) else {
            match odd {
                // YAML has many ways to write a key; who uses another one may mean any.
                Odd::Counts => return vec![piece(front)],
                Odd::Passes => {
                    is_taken = false;
                    continue;
                }
            }
        };
        is_taken = keys.contains(&key);
        if is_taken {
            pieces.push(line.to_owned());
        }
    }
    pieces.iter().map(|text| piece(text)).collect()
}

/// Returns the key of a line `key: value`, in lower case; `None` if it is written in another way.
fn plain_key(line: &str) -> Option<String> {
    let colon = line.find(':')?;
    let rest = &line[colon + 1..];
    let key = line[..colon].trim_end();
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    let key = key.strip_prefix('\'').and_then(|key| key.strip_suffix('\'')).unwrap_or(key);
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ' | '/' | '.' | '(' | ')');
    let is_value = rest.is_empty() || rest.starts_with([' ', '\t']);
    (is_value && !key.is_empty() && key.chars().all(is_plain)).then(|| key.to_lowercase().replace('_', "-"))
}

/// Takes the commands out of the body of a Markdown file: `` !`command` `` and blocks that begin with ```` ```! ````.
fn commands(body: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (at, _) in body.match_indices("!`") {
        let rest = &body[at + 2..];
        pieces.push(piece(&rest[..rest.find('`').unwrap_or(rest.len())]));
    }
    for fence in ["```!", "~~~!"] {
        for (at, _) in body.match_indices(fence) {
            let rest = &body[at + fence.len()..];
            pieces.push(piece(rest[..rest.find(&fence[..3]).unwrap_or(rest.len())].trim()));
        }
    }
    pieces
}

/// Returns `true` for the beginning of a file that a system would start.
pub(super) fn is_program(begins: &[u8]) -> bool {
    const MAGIC: [&[u8]; 7] = [
        b"#!",
        b"\x7fELF",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
    ];
    let begins_plain = begins.strip_prefix("\u{feff}".as_bytes()).unwrap_or(begins);
    MAGIC.iter().any(|magic| begins_plain.starts_with(magic))
        || (begins.starts_with(b"MZ") && begins.iter().take(64).any(|b| *b == 0))
}

/// Returns the first line of a file that does something.
pub(super) fn first_line(content: Content<'_>) -> String {
    let bytes = match content {
        Content::Whole(bytes) | Content::Long(bytes) => &bytes[..bytes.len().min(4096)],
    };
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if bytes.contains(&0) {
        return String::new();
    }
    let lines = text.lines().map(str::trim).filter(|line| line.chars().any(char::is_alphanumeric));
    let does = lines.filter(|line| !line.starts_with(['#', ';']) && !line.starts_with("//"));
    does.map(show).next().unwrap_or_default()
}

/// Lists what runs.
pub(super) fn list(shown: &[String]) -> String {
    let mut text = shown.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("; ");
    if let more @ 1.. = shown.len().saturating_sub(SHOWN_MAX) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// Quotes a command so that it can be shown anywhere; one with a credential in it is not shown.
fn show(text: &str) -> String {
    match secrets::scan(text.as_bytes()).is_empty() {
        true => format!("`{}`", clip(text)),
        false => "a command with a credential in it".to_owned(),
    }
}

/// Shortens a text to one line without characters that steer a terminal or hide something.
fn clip(text: &str) -> String {
    let mut out = String::new();
    let mut blank = true;
    for c in text.chars().take(SHOWN_CHARS_MAX) {
        match c {
            c if c.is_whitespace() => {
                if !blank {
                    out.push(' ');
                }
            }
            '\'' | '"' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
        blank = c.is_whitespace();
    }
    let mut out = out.trim_end().to_owned();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}
