//! Adding lines to a stream in the working tree so that no cut leaves half of one.
//!
//! - A new stream is written aside and renamed: it is there whole or not at all.
//! - An existing one is written in place, because other programs may hold it open and append to it: a rename
//!   would take their next lines away with the old file. What is about to be added is noted first, durably,
//!   in `.mvault/appending`; the next command completes what a cut left half.
//! - Only bytes that are a beginning of the noted ones, or zeros in their place, are written over.
//!
//! The format is in docs/format.md, "Appending".

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::refusal::os;
use super::sealing::folder_of;
use super::write::open_or_create_folder;
use super::{Error, ErrorKind, Result, Vault};
use crate::fs::{self, Dir, File};
use crate::object::VaultPath;

/// The note's name in `.mvault`.
const FILE: &str = "appending";
/// The largest note that is read.
const NOTE_BYTES_MAX: u64 = 300 << 20;
const VERSION: u64 = 1;

/// What is being added to a stream.
#[derive(Debug, PartialEq, Eq)]
struct Note {
    path: VaultPath,
    /// The stream's length before.
    length: u64,
    bytes: Vec<u8>,
}

/// Writes bytes at the end of a stream whose length was `length` when it was read, durably.
pub(super) fn append(vault: &Vault, path: &VaultPath, length: u64, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let dir = open_or_create_folder(vault, path)?;
    let name = os(path.name());
    if length == 0 && dir.try_stat(name)?.is_none() {
        return vault.place_file(&dir, path, bytes, 0o644);
    }
    let file = dir.open_write(name)?;
    if file.stat()?.size != length {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("another program wrote to {path} in this moment; nothing was added"),
            "try again",
        ));
    }
    let note = Note { path: path.clone(), length, bytes: bytes.to_vec() };
    fs::replace_file(&vault.dot, FILE, &note.encode(), 0o600)?;
    let written = file.write_at(bytes, length).and_then(|()| file.sync());
    if let Err(error) = written {
        take_back(&file, length, bytes.len() as u64);
        let _a_note_of_nothing_is_harmless = vault.dot.remove_file(FILE);
        return Err(error.into());
    }
    // Not synced: a note that comes back after a power cut finds its bytes in place.
    Ok(vault.dot.remove_file(FILE)?)
}

/// Takes back the beginning of a write that failed, as far as that can be done: what is left of it is a
/// torn line, which the next one to read the stream passes over.
fn take_back(file: &File, length: u64, added: u64) {
    let size = file.stat().map(|stat| stat.size);
    if size.is_ok_and(|size| size <= length.saturating_add(added)) {
        let _torn_tail_is_passed_over = file.set_len(length);
    }
}

impl Vault {
    /// Returns `true` if a command was cut while it added to a stream.
    pub(super) fn has_cut_append(&self) -> bool {
        self.dot.try_stat(FILE).is_ok_and(|found| found.is_some())
    }

    /// Under the lock: completes what a killed command added half.
    pub(super) fn resume_append(&mut self) -> Result<()> {
        let Some(bytes) = self.dot.try_read(FILE, NOTE_BYTES_MAX)? else { return Ok(()) };
        // One that cannot be read is of no use: the stream keeps its torn line, which readers pass over.
        if let Some(note) = Note::decode(&bytes) {
            match self.complete(&note) {
                Ok(false) => {}
                Ok(true) => {
                    self.notices.push(format!("{}: a line that was cut short has been completed", note.path));
                }
                Err(error) => self.notices.push(format!("{} may end in a torn line: {error}", note.path)),
            }
        }
        self.dot.remove_file(FILE)?;
        Ok(self.dot.sync()?)
    }

    fn complete(&self, note: &Note) -> Result<bool> {
        let Some(dir) = folder_of(&self.root, &note.path)? else { return Ok(false) };
        let Some(file) = open_if_there(&dir, &note.path)? else { return Ok(false) };
        let there = file.stat()?.size.saturating_sub(note.length).min(note.bytes.len() as u64);
        let mut found = vec![0; usize::try_from(there).unwrap_or_default()];
        file.read_exact_at(&mut found, note.length)?;
        let is_ours = found.iter().zip(&note.bytes).all(|(found, noted)| found == noted || *found == 0);
        if found.is_empty() || !is_ours || found == note.bytes {
            return Ok(false);
        }
        file.write_at(&note.bytes, note.length)?;
        file.sync()?;
        Ok(true)
    }
}

fn open_if_there(dir: &Dir, path: &VaultPath) -> Result<Option<File>> {
    match dir.open_write(os(path.name())) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Note {
    fn encode(&self) -> Vec<u8> {
        let mut object = Map::new();
        object.insert("mvault-appending".into(), VERSION.into());
        match self.path.to_str() {
            Some(text) => object.insert("path".into(), text.into()),
            None => object.insert("path_hex".into(), hex::encode(self.path.as_bytes()).into()),
        };
        object.insert("length".into(), self.length.into());
        object.insert("sha256".into(), hex::encode(Sha256::digest(&self.bytes)).into());
        let mut bytes = format!("{}\n", Value::Object(object)).into_bytes();
        bytes.extend_from_slice(&self.bytes);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Note> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let object: Map<String, Value> = serde_json::from_slice(&bytes[..end]).ok()?;
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let path = match text("path") {
            Some(text) => text.as_bytes().to_vec(),
            None => hex::decode(text("path_hex")?).ok()?,
        };
        let added = &bytes[end + 1..];
        let is_whole = text("sha256")? == hex::encode(Sha256::digest(added));
        let is_known = object.get("mvault-appending") == Some(&json!(VERSION));
        let length = object.get("length").and_then(Value::as_u64)?;
        let path = VaultPath::parse(path).ok()?;
        (is_whole && is_known).then(|| Note { path, length, bytes: added.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_comes_back_as_it_was_and_a_damaged_one_is_none() {
        for path in [&b"events/mac.jsonl"[..], b"e/\xff.jsonl"] {
            let path = VaultPath::parse(path).expect("valid");
            let note = Note { path, length: 7, bytes: b"{\"a\":1}\n{\"b\":2}\n".to_vec() };
            let bytes = note.encode();
            assert_eq!(Note::decode(&bytes).as_ref(), Some(&note));
            for at in 0..bytes.len() {
                assert_ne!(Note::decode(&bytes[..at]).as_ref(), Some(&note), "cut at {at}");
            }
        }
    }
}
