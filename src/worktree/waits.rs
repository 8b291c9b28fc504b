//! Paths that wait: what a move could not put in place, because the folder or file did not let it.
//!
//! - The tree we are at has moved on; the disk still has what stood there. Such a difference is no edit:
//!   taken for one, the next commit would take the move back.
//! - It is remembered per path in `.mvault/waiting.jsonl`, which is state and no cache: it is durable before
//!   the journal goes, and its last line is the hash of the others.
//! - A record holds for a tree that has exactly `wanted` at the path. Any other tree makes it void.
//!
//! The format is in docs/format.md, "Waiting paths".

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::fs::{self, Dir, replace_file};
use crate::object::{Entry, FileEntry, VaultPath};

use super::index::{Index, IndexEntry};
use super::journal::{decode_entry, decode_path, encode_entry, put_path};
use super::{Error, Result};

/// The largest list that is read.
const WAITS_BYTES_MAX: u64 = 1 << 30;
const VERSION: u64 = 1;

/// A path that a move could not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Where.
    pub path: VaultPath,
    /// What the tree has there; `None` if the file is to go.
    pub wanted: Option<FileEntry>,
    /// What the move expected to replace or remove; `None` if nothing stood there.
    pub stood: Option<FileEntry>,
    /// What kept it, in words to stand after the path.
    pub why: String,
}

impl Wait {
    /// Says in a few words what the disk refused, without the path.
    pub fn why(error: &fs::Error) -> String {
        let text = error.source.to_string();
        let words = text.split(" (os error ").next().unwrap_or_default().to_lowercase();
        format!("cannot {}: {words}", error.action)
    }
}

/// All paths that wait, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits(BTreeMap<VaultPath, Wait>);

impl Waits {
    /// The list's name in `.mvault`.
    pub const FILE: &str = "waiting.jsonl";

    /// Reads the list from `.mvault`; a missing one is empty, a damaged one an error.
    pub fn load(dot: &Dir) -> Result<Waits> {
        match dot.try_read(Waits::FILE, WAITS_BYTES_MAX)? {
            Some(bytes) => Waits::decode(&bytes),
            None => Ok(Waits::default()),
        }
    }

    /// Writes the list, durably; an empty one is removed.
    pub fn save(&self, dot: &Dir) -> Result<()> {
        if !self.0.is_empty() {
            return Ok(replace_file(dot, Waits::FILE, &self.encode(), 0o600)?);
        }
        if dot.try_stat(Waits::FILE)?.is_some() {
            dot.remove_file(Waits::FILE)?;
            dot.sync()?;
        }
        Ok(())
    }

    /// Adds a path, in place of what is known of it.
    pub fn put(&mut self, wait: Wait) {
        self.0.insert(wait.path.clone(), wait);
    }

    /// Drops a path.
    pub fn remove(&mut self, path: &VaultPath) {
        self.0.remove(path);
    }

    /// Drops all that a change at a path decided: at it, above it and below it.
    pub fn settle(&mut self, path: &VaultPath) {
        self.0.retain(|waiting, _| !waiting.is_within(path) && !path.is_within(waiting));
    }

    /// Returns `true` if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all of them, in the order of paths.
    pub fn iter(&self) -> impl Iterator<Item = &Wait> {
        self.0.values()
    }

    /// Finds what is known of a path.
    pub fn find(&self, path: &VaultPath) -> Option<&Wait> {
        self.0.get(path)
    }

    /// Returns a waiting path that a change at `path` would undo: the same one, a file that has to stand
    /// where there is a folder above `path`, or one that has to stand below `path`.
    pub fn undone_by(&self, path: &VaultPath) -> Option<&Wait> {
        let has_to_stand = |wait: &&Wait| wait.wanted.is_some();
        let at_or_above = || {
            let mut above = path.parent();
            std::iter::from_fn(move || {
                let folder = above.take()?;
                above = folder.parent();
                Some(folder)
            })
            .find_map(|folder| self.0.get(&folder))
            .filter(has_to_stand)
        };
        let begins = |wait: &&Wait| wait.path.as_bytes().starts_with(path.as_bytes());
        let below = || {
            let later = self.0.range(path.clone()..).map(|(_, wait)| wait).take_while(begins);
            later.filter(has_to_stand).find(|wait| wait.path.is_within(path))
        };
        self.0.get(path).or_else(at_or_above).or_else(below)
    }

    /// Returns those that hold for the tree of `index`.
    #[must_use]
    pub fn of(mut self, index: &Index) -> Waits {
        self.0.retain(|path, wait| {
            let entry = index.find(path.as_bytes()).map(|entry| Entry { mode: entry.mode, id: entry.id });
            entry == wait.wanted
        });
        self
    }

    /// Makes of a tree's index one of what the disk is expected to hold: what waits as it stood before.
    pub fn as_on_disk(&self, index: Index) -> Index {
        self.with_entries(index, |wait| wait.stood)
    }

    /// Turns [`Waits::as_on_disk`] back.
    pub fn as_in_tree(&self, index: Index) -> Index {
        self.with_entries(index, |wait| wait.wanted)
    }

    fn with_entries(&self, index: Index, entry: impl Fn(&Wait) -> Option<FileEntry>) -> Index {
        if self.0.is_empty() {
            return index;
        }
        let record = |Entry { mode, id }: FileEntry| IndexEntry { mode, id, stamp: None, absent_here: false };
        let changes = self.iter().map(|wait| (wait.path.clone(), entry(wait).map(record))).collect();
        index.updated(index.tree(), index.log_mark(), changes)
    }

    fn encode(&self) -> Vec<u8> {
        let mut text = format!("{}\n", json!({ "mvault-waiting": VERSION, "paths": self.0.len() }));
        for wait in self.0.values() {
            let mut object = Map::new();
            put_path(&mut object, &wait.path);
            for (name, entry) in [("wanted", &wait.wanted), ("stood", &wait.stood)] {
                if let Some(entry) = entry {
                    object.insert(name.into(), encode_entry(entry));
                }
            }
            object.insert("why".into(), wait.why.clone().into());
            text.push_str(&format!("{}\n", Value::Object(object)));
        }
        let hash = hex::encode(Sha256::digest(&text));
        text.push_str(&format!("{}\n", json!({ "sha256": hash })));
        text.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Waits> {
        let damaged = |why: &str| Error::Waits(why.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
        let body = text.strip_suffix('\n').ok_or_else(|| damaged("its end is missing"))?;
        let last = body.rfind('\n').map_or(0, |at| at + 1);
        let parse = |line: &str| {
            serde_json::from_str::<Map<String, Value>>(line).map_err(|error| damaged(&error.to_string()))
        };
        let hash = hex::encode(Sha256::digest(&bytes[..last]));
        if parse(&body[last..])? != Map::from_iter([("sha256".to_owned(), Value::from(hash))]) {
            return Err(damaged("its hash does not match"));
        }
        let mut lines = text[..last].lines();
        let header = parse(lines.next().unwrap_or_default())?;
        match header.get("mvault-waiting").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) if version > VERSION => return Err(Error::NewerJournal),
            _ => return Err(damaged("it does not say which version it has")),
        }
        let mut waits = Waits::default();
        for line in lines {
            let object = parse(line)?;
            let entry = |name| object.get(name).map(|value| decode_entry(Some(value))).transpose();
            let why = object.get("why").and_then(Value::as_str).unwrap_or_default().to_owned();
            let path = decode_path(&object)?;
            waits.put(Wait { path, wanted: entry("wanted")?, stood: entry("stood")?, why });
        }
        if header.get("paths") != Some(&json!(waits.0.len())) {
            return Err(damaged("it has another number of paths than it says"));
        }
        Ok(waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{BlobId, Kind, Mode, hash_object};

    fn path(text: &[u8]) -> VaultPath {
        VaultPath::parse(text).expect("valid")
    }

    fn wait(at: &[u8], wanted: Option<&[u8]>, stood: Option<&[u8]>) -> Wait {
        let entry = |text: &[u8]| Entry { mode: Mode::File, id: BlobId::new(hash_object(Kind::Blob, text)) };
        Wait {
            path: path(at),
            wanted: wanted.map(entry),
            stood: stood.map(entry),
            why: "permission denied".into(),
        }
    }

    fn example() -> Waits {
        let mut waits = Waits::default();
        waits.put(wait(b"a/b", Some(b"new"), Some(b"old")));
        waits.put(wait(b"goes", None, Some(b"old")));
        waits.put(wait(b"n/\xff", Some(b"new"), None));
        waits
    }

    #[test]
    fn the_list_comes_back_as_it_was_and_damaged_ones_are_refused() {
        let waits = example();
        let bytes = waits.encode();
        assert_eq!(Waits::decode(&bytes).expect("whole"), waits);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Waits::decode(&bad).is_err(), "flip at {at}");
            assert!(Waits::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    /// The example in docs/format.md.
    #[test]
    fn the_list_is_written_as_the_format_page_says() {
        let mut waits = Waits::default();
        waits.put(wait(b"d/f.md", Some(b"one\ntwo\n"), Some(b"one\n")));
        let page = include_str!("../../docs/format.md");
        for line in String::from_utf8(waits.encode()).expect("text").lines() {
            assert!(page.contains(line), "docs/format.md lacks {line}");
        }
    }

    #[test]
    fn a_change_undoes_what_waits_at_above_and_below_it_and_nothing_else() {
        let mut waits = example();
        waits.put(wait(b"f", Some(b"a file"), None));
        for (changed, found) in [
            (&b"a/b"[..], Some(&b"a/b"[..])),
            (b"a", Some(b"a/b")),
            (b"f/g/h", Some(b"f")),
            (b"goes", Some(b"goes")),
            (b"goes/x", None),
            (b"a/c", None),
            (b"other", None),
        ] {
            let undone = waits.undone_by(&path(changed)).map(|wait| wait.path.as_bytes().to_vec());
            assert_eq!(undone.as_deref(), found, "{}", String::from_utf8_lossy(changed));
        }
    }
}
