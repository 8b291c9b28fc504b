//! The checkout journal: what a move of the working tree does, written down before the operation that
//! makes it so, and followed until it is done.
//!
//! - It is complete once `actions.jsonl` exists: before that the folder holds rubbish.
//! - It names the operation it waits for by a nonce; the caller finds out whether that one is in the log.
//! - Its last line is the hash of the others: it is never followed half.
//!
//! The format is in docs/format.md, "Checkout journal".

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::fs::{Dir, replace_file};
use crate::object::{BlobId, Entry, FileEntry, Mode, TreeId, VaultPath};

use super::{Error, Result};

/// The folder in `.mvault` that exists while a checkout is under way.
pub(super) const JOURNAL_DIR: &str = "journal";
/// The list of what is done.
pub(super) const ACTIONS_FILE: &str = "actions.jsonl";
/// The largest list that is read.
const ACTIONS_BYTES_MAX: u64 = 4 << 30;
const VERSION: u64 = 1;

/// The name by which a journal and the operation it waits for know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// Makes a nonce of 16 random bytes.
    pub fn new(random: [u8; 16]) -> Nonce {
        Nonce(random)
    }

    /// Parses 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Nonce> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Nonce(bytes))
    }
}

impl std::fmt::Display for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What was on disk at a path when the plan was made; anything else that is found there is an edit made
/// since.
pub type Expected = Option<FileEntry>;

/// One thing that a move does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Puts a file or link into place.
    Write {
        /// Where.
        path: VaultPath,
        /// What.
        entry: FileEntry,
        /// What it replaces.
        expected: Expected,
    },
    /// Takes a file or link away, if it is still what it was.
    Remove {
        /// Where.
        path: VaultPath,
        /// What it was.
        expected: FileEntry,
    },
    /// Leaves a file that is on disk already as the tree wants it.
    Keep {
        /// Where.
        path: VaultPath,
        /// What.
        entry: FileEntry,
    },
    /// Leaves out a file that cannot exist here.
    Absent {
        /// Where it should be.
        path: VaultPath,
        /// What it should be.
        entry: FileEntry,
    },
    /// Drops a path from the index.
    Forget {
        /// Which.
        path: VaultPath,
    },
}

impl Action {
    /// Returns the path it is about.
    pub fn path(&self) -> &VaultPath {
        match self {
            Action::Write { path, .. }
            | Action::Remove { path, .. }
            | Action::Keep { path, .. }
            | Action::Absent { path, .. }
            | Action::Forget { path } => path,
        }
    }
}

/// A complete journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The name that the operation carries.
    pub nonce: Nonce,
    /// The tree before.
    pub from: TreeId,
    /// The tree of the index afterwards.
    pub to: TreeId,
    /// Whether the index moves to `to` with the files; if not, what is written are edits to `from`.
    pub moves: bool,
    /// Whether different names can be one file here.
    pub names_fold: bool,
    /// Whether the staged files are in a folder of their own, named by the nonce.
    pub apart: bool,
    /// Whether it goes on with what an earlier move left waiting: then no operation of its own is in the
    /// log, because it happened with that move's.
    pub again: bool,
    /// What is done, in this order; the file staged for a write is called by its position.
    pub actions: Vec<Action>,
    /// When the journal was complete, by the file system's clock.
    pub(super) complete_ns: i128,
}

/// What an earlier command left behind.
#[derive(Debug)]
pub enum Pending {
    /// Staged files of a move that never came to its operation.
    Rubbish,
    /// A move that is to be finished if its operation is in the log, and else discarded.
    Staged(Journal),
}

fn damaged(why: impl Into<String>) -> Error {
    Error::Journal(why.into())
}

impl Journal {
    /// Writes the journal; when this returns it is complete and durable.
    pub(super) fn save(&mut self, folder: &Dir) -> Result<()> {
        replace_file(folder, ACTIONS_FILE, &self.encode(), 0o600)?;
        self.complete_ns = folder.stat(ACTIONS_FILE)?.mtime_ns;
        Ok(())
    }

    /// Opens the folder of the staged files in the journal's own.
    pub(super) fn open_staged(&self, folder: &Dir) -> Result<Dir> {
        if !self.apart {
            return Ok(folder.clone());
        }
        Ok(folder.open_or_create_dir(self.nonce.to_string())?)
    }

    /// Reads the journal in `folder`, if it is complete.
    pub(super) fn load(folder: &Dir) -> Result<Option<Journal>> {
        let Some(bytes) = folder.try_read(ACTIONS_FILE, ACTIONS_BYTES_MAX)? else { return Ok(None) };
        let mut journal = Journal::decode(&bytes)?;
        journal.complete_ns = folder.stat(ACTIONS_FILE)?.mtime_ns;
        Ok(Some(journal))
    }

    fn encode(&self) -> Vec<u8> {
        let header = json!({
            "mvault-journal": VERSION,
            "nonce": self.nonce.to_string(),
            "from": self.from.to_string(),
            "to": self.to.to_string(),
            "moves": self.moves,
            "names_fold": self.names_fold,
            "apart": self.apart,
            "again": self.again,
            "actions": self.actions.len(),
        });
        let mut bytes = format!("{header}\n").into_bytes();
        for action in &self.actions {
            bytes.extend_from_slice(format!("{}\n", encode_action(action)).as_bytes());
        }
        let hash = hex::encode(Sha256::digest(&bytes));
        bytes.extend_from_slice(format!("{}\n", json!({ "sha256": hash })).as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Journal> {
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
        let body = text.strip_suffix('\n').ok_or_else(|| damaged("its end is missing"))?;
        let last = body.rfind('\n').map_or(0, |at| at + 1);
        let hash = hex::encode(Sha256::digest(&bytes[..last]));
        if parse(&body[last..])? != Map::from_iter([("sha256".to_owned(), Value::from(hash))]) {
            return Err(damaged("its hash does not match"));
        }
        let mut lines = text[..last].lines();
        let header = parse(lines.next().unwrap_or_default())?;
        match header.get("mvault-journal").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) if version > VERSION => return Err(Error::NewerJournal),
            _ => return Err(damaged("it does not say which version it has")),
        }
        let tree = |name| TreeId::parse(field(&header, name)?).map_err(|e| damaged(e.to_string()));
        let flag = |name: &str| {
            header.get(name).and_then(Value::as_bool).ok_or_else(|| damaged(format!("{name:?} is missing")))
        };
        let actions = lines.map(|line| decode_action(&parse(line)?)).collect::<Result<Vec<_>>>()?;
        if header.get("actions") != Some(&json!(actions.len())) {
            return Err(damaged("it has another number of actions than it says"));
        }
        Ok(Journal {
            nonce: Nonce::parse(field(&header, "nonce")?).ok_or_else(|| damaged("its nonce is bad"))?,
            from: tree("from")?,
            to: tree("to")?,
            moves: flag("moves")?,
            names_fold: flag("names_fold")?,
            // Journals from before there were such folders do not have it.
            apart: header.contains_key("apart") && flag("apart")?,
            again: header.contains_key("again") && flag("again")?,
            actions,
            complete_ns: i128::MIN,
        })
    }
}

fn parse(line: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(line).map_err(|e| damaged(e.to_string()))
}

fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str> {
    object.get(name).and_then(Value::as_str).ok_or_else(|| damaged(format!("{name:?} is missing")))
}

pub(super) fn encode_entry(entry: &FileEntry) -> Value {
    json!({ "mode": entry.mode.as_octal(), "id": entry.id.to_string() })
}

pub(super) fn decode_entry(value: Option<&Value>) -> Result<FileEntry> {
    let object = value.and_then(Value::as_object).ok_or_else(|| damaged("an entry is missing"))?;
    let mode = Mode::from_octal(field(object, "mode")?.as_bytes()).filter(|mode| !mode.is_tree());
    let id = BlobId::parse(field(object, "id")?).map_err(|e| damaged(e.to_string()))?;
    Ok(Entry { mode: mode.ok_or_else(|| damaged("a mode is bad"))?, id })
}

/// Writes a path as `path`, or as `path_hex` if it is not UTF-8.
pub(super) fn put_path(object: &mut Map<String, Value>, path: &VaultPath) {
    match path.to_str() {
        Some(text) => object.insert("path".into(), text.into()),
        None => object.insert("path_hex".into(), hex::encode(path.as_bytes()).into()),
    };
}

/// Reads what [`put_path`] wrote.
pub(super) fn decode_path(object: &Map<String, Value>) -> Result<VaultPath> {
    let bytes = match object.get("path").and_then(Value::as_str) {
        Some(text) => text.as_bytes().to_vec(),
        None => hex::decode(field(object, "path_hex")?).map_err(|e| damaged(e.to_string()))?,
    };
    Ok(VaultPath::parse(bytes)?)
}

fn encode_action(action: &Action) -> Value {
    let (word, entry, expected) = match action {
        Action::Write { entry, expected, .. } => ("write", Some(entry), expected.as_ref()),
        Action::Remove { expected, .. } => ("remove", None, Some(expected)),
        Action::Keep { entry, .. } => ("keep", Some(entry), None),
        Action::Absent { entry, .. } => ("absent", Some(entry), None),
        Action::Forget { .. } => ("forget", None, None),
    };
    let mut object = Map::new();
    object.insert("do".into(), word.into());
    put_path(&mut object, action.path());
    if let Some(entry) = entry {
        object.insert("entry".into(), encode_entry(entry));
    }
    if let Some(expected) = expected {
        object.insert("expected".into(), encode_entry(expected));
    }
    Value::Object(object)
}

fn decode_action(object: &Map<String, Value>) -> Result<Action> {
    let path = decode_path(object)?;
    let entry = || decode_entry(object.get("entry"));
    let expected = || object.get("expected").map(|value| decode_entry(Some(value))).transpose();
    Ok(match field(object, "do")? {
        "write" => Action::Write { path, entry: entry()?, expected: expected()? },
        "remove" => Action::Remove { path, expected: decode_entry(object.get("expected"))? },
        "keep" => Action::Keep { path, entry: entry()? },
        "absent" => Action::Absent { path, entry: entry()? },
        "forget" => Action::Forget { path },
        other => return Err(damaged(format!("it knows an action {other:?}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, hash_object};

    fn example() -> Journal {
        let path = |bytes: &[u8]| VaultPath::parse(bytes).expect("valid");
        let id = |text: &[u8]| BlobId::new(hash_object(Kind::Blob, text));
        let entry = Entry { mode: Mode::Executable, id: id(b"1") };
        let link = Entry { mode: Mode::Symlink, id: id(b"2") };
        Journal {
            nonce: Nonce::new([7; 16]),
            from: TreeId::empty(),
            to: TreeId::new(id(b"3").object()),
            moves: true,
            names_fold: true,
            apart: true,
            again: true,
            actions: vec![
                Action::Remove { path: path(b"a/\xff"), expected: link },
                Action::Write { path: path("ü \"q\"\n".as_bytes()), entry, expected: Some(link) },
                Action::Write { path: path(b"w"), entry, expected: None },
                Action::Keep { path: path(b"k"), entry },
                Action::Absent { path: path(b"CON"), entry: link },
                Action::Forget { path: path(b"f") },
            ],
            complete_ns: i128::MIN,
        }
    }

    #[test]
    fn journal_comes_back_as_it_was_and_damaged_ones_are_refused() {
        let journal = example();
        let bytes = journal.encode();
        assert_eq!(Journal::decode(&bytes).expect("whole"), journal);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Journal::decode(&bad).is_err(), "flip at {at}");
            assert!(Journal::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn journal_that_leads_out_of_the_vault_is_refused() {
        let text = String::from_utf8(example().encode()).expect("text");
        let last = text[..text.len() - 1].rfind('\n').expect("has lines") + 1;
        let body = text[..last].replace("\"w\"", "\"../w\"");
        let hash = hex::encode(Sha256::digest(&body));
        let text = format!("{body}{}\n", json!({ "sha256": hash }));
        assert!(matches!(Journal::decode(text.as_bytes()), Err(Error::Path(_))));
    }
}
