//! The memory tool of Anthropic's interface (`memory_20250818`), carried out in the vault's folder `memories`.
//!
//! One input of the tool comes in, the text for the model goes out. The words are those of the tool's own page,
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/memory-tool>; what that page leaves open
//! (the snippet after a replacement, sizes, refusal of the root) is as in Anthropic's own kits.
//!
//! - `/memories` is a folder of the vault. Nothing outside of it is reached, however a path is written; no link
//!   is followed.
//! - A change is judged, written atomically and committed like any other: what it replaces or removes stays in
//!   the vault.
//! - A failure is an answer as well: the model reads why.

mod edit;
mod path;
#[cfg(test)]
mod tests;
mod view;

use serde_json::{Map, Value};

use crate::gateway::sidecar::Digest256;
use crate::object::{LenientJson, VaultPath};
use crate::vault::{self, IfMatch, Refused, Relocated, Vault, WRITE_BYTES_MAX, WriteMode, WriteRequest};
use path::MemoryPath;

/// The name that the tool knows the folder by.
pub const ROOT: &str = "/memories";
/// The longest input that is read, in bytes.
pub const INPUT_BYTES_MAX: u64 = 64 << 20;

/// What the model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub content: String,
    /// Whether it tells of a failure.
    pub is_error: bool,
}

/// What one command comes to: the text, or the text of the failure.
type Told = Result<String, String>;

/// Carries out one input of the tool, as JSON.
pub fn answer(vault: &mut Vault, input: &[u8]) -> Answer {
    let read = LenientJson::read(input);
    // Half a command is not carried out.
    let told = match (read.fault_words(), read.into_object()) {
        (Some(why), _) => Err(format!("Error: the input is not JSON: {why}. Nothing was changed.")),
        (None, Some(input)) => answer_object(vault, &input),
        (None, None) => Err("Error: the input is not a JSON object".to_owned()),
    };
    Answer::from(told)
}

impl From<Told> for Answer {
    fn from(told: Told) -> Answer {
        let is_error = told.is_err();
        Answer { content: told.unwrap_or_else(|text| text), is_error }
    }
}

/// Carries out one input of the tool.
pub fn answer_object(vault: &mut Vault, input: &Map<String, Value>) -> Told {
    match text(input, "command")? {
        "view" => view::view(vault, &MemoryPath::parse(text(input, "path")?)?, input.get("view_range")),
        "create" => create(vault, text(input, "path")?, text(input, "file_text")?),
        "str_replace" => {
            let new = match input.get("new_str") {
                None | Some(Value::Null) => "",
                Some(_) => text(input, "new_str")?,
            };
            str_replace(vault, text(input, "path")?, text(input, "old_str")?, new)
        }
        "insert" => {
            insert(vault, text(input, "path")?, line_number(input.get("insert_line"))?, insert_text(input)?)
        }
        "delete" => delete(vault, text(input, "path")?),
        "rename" => rename(vault, text(input, "old_path")?, text(input, "new_path")?),
        other => Err(format!("Error: Unknown command: {other}")),
    }
}

fn text<'a>(input: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    match input.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("Error: Parameter `{name}` is no string")),
        None => Err(format!("Error: Parameter `{name}` is required")),
    }
}

fn insert_text(input: &Map<String, Value>) -> Result<&str, String> {
    text(input, "insert_text")
}

fn line_number(value: Option<&Value>) -> Result<i64, String> {
    let value = value.ok_or("Error: Parameter `insert_line` is required")?;
    value.as_i64().ok_or_else(|| "Error: Parameter `insert_line` is no whole number".to_owned())
}

fn create(vault: &mut Vault, given: &str, content: &str) -> Told {
    let exists = || format!("Error: File {given} already exists");
    let path = MemoryPath::parse(given)?;
    let Some(place) = path.inside() else { return Err(exists()) };
    if path.look(vault)?.is_there() {
        return Err(exists());
    }
    match write(vault, &path, place, content.as_bytes().to_vec(), IfMatch::Absent) {
        Err(Unwritten::Stale) => Err(exists()),
        other => other.map_err(|why| why.text(given)),
    }?;
    Ok(format!("File created successfully at: {given}"))
}

fn str_replace(vault: &mut Vault, given: &str, old: &str, new: &str) -> Told {
    let absent = || format!("Error: The path {given} does not exist. Please provide a valid path.");
    let path = MemoryPath::parse(given)?;
    let (place, bytes) = path.read(vault)?.ok_or_else(absent)?;
    let replaced = edit::replace(&bytes, old, new, given)?;
    let digest = Digest256::of(&bytes);
    let snippet = replaced.snippet();
    write(vault, &path, &place, replaced.bytes, IfMatch::Content(digest)).map_err(|why| why.text(given))?;
    Ok(format!(
        "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n{snippet}"
    ))
}

fn insert(vault: &mut Vault, given: &str, line: i64, text: &str) -> Told {
    let absent = || format!("Error: The path {given} does not exist");
    let path = MemoryPath::parse(given)?;
    let (place, bytes) = path.read(vault)?.ok_or_else(absent)?;
    let after = edit::insert(&bytes, line, text)?;
    let digest = Digest256::of(&bytes);
    write(vault, &path, &place, after, IfMatch::Content(digest)).map_err(|why| why.text(given))?;
    Ok(format!("The file {given} has been edited."))
}

fn delete(vault: &mut Vault, given: &str) -> Told {
    let path = MemoryPath::parse(given)?;
    let Some(place) = path.inside() else {
        return Err(format!("Error: Cannot delete the {ROOT} directory itself"));
    };
    if !path.look(vault)?.is_there() {
        return Err(format!("Error: The path {given} does not exist"));
    }
    relocated(vault::remove(vault, place), given)?;
    Ok(format!("Successfully deleted {given}"))
}

fn rename(vault: &mut Vault, given: &str, new: &str) -> Told {
    let (from, to) = (MemoryPath::parse(given)?, MemoryPath::parse(new)?);
    let Some(old_place) = from.inside() else {
        return Err(format!("Error: Cannot rename the {ROOT} directory itself"));
    };
    if !from.look(vault)?.is_there() {
        return Err(format!("Error: The path {given} does not exist"));
    }
    let exists = || format!("Error: The destination {new} already exists");
    let new_place = to.inside().ok_or_else(exists)?;
    if to.look(vault)?.is_there() {
        return Err(exists());
    }
    relocated(vault::rename(vault, old_place, new_place), new)?;
    Ok(format!("Successfully renamed {given} to {new}"))
}

/// Why a file was not written.
enum Unwritten {
    /// It is not what was read any more.
    Stale,
    Refused(Vec<Refused>),
    Failed(String),
}

impl Unwritten {
    fn text(&self, given: &str) -> String {
        match self {
            Unwritten::Stale => format!("Error: {given} was changed meanwhile; view it again"),
            Unwritten::Refused(refused) => refusal(refused, given),
            Unwritten::Failed(text) => text.clone(),
        }
    }
}

fn write(
    vault: &mut Vault,
    path: &MemoryPath,
    place: &VaultPath,
    bytes: Vec<u8>,
    if_match: IfMatch,
) -> Result<(), Unwritten> {
    if bytes.len() as u64 > WRITE_BYTES_MAX {
        return Err(Unwritten::Failed(format!("Error: {} would be too large", path.given())));
    }
    let mode = WriteMode::Replace;
    let request = WriteRequest { path: place.clone(), bytes, if_match, mode, allowed: Vec::new() };
    match vault::write(vault, request) {
        Ok(outcome) if outcome.refused.is_empty() => Ok(()),
        Ok(outcome) => Err(Unwritten::Refused(outcome.refused)),
        Err(error) if error.kind() == vault::ErrorKind::Stale => Err(Unwritten::Stale),
        Err(error) => Err(Unwritten::Failed(failure(&error))),
    }
}

fn relocated(outcome: vault::Result<Relocated>, given: &str) -> Result<(), String> {
    let outcome = outcome.map_err(|error| failure(&error))?;
    if outcome.refused.is_empty() { Ok(()) } else { Err(refusal(&outcome.refused, given)) }
}

/// Tells the model that the vault does not take it; a person is told how to let it in by `mvault rejections`.
fn refusal(refused: &[Refused], given: &str) -> String {
    let why: Vec<String> = refused.iter().map(Refused::words).collect();
    format!("Error: {given} was refused by the vault: {}. Nothing was changed.", why.join("; "))
}

/// Tells a failure of the vault with its causes.
fn failure(error: &vault::Error) -> String {
    let mut text = format!("Error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
