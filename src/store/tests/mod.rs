//! Tests of the store as a whole.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::pack::format::{self, Entry, Footer, Form};
use super::{NewObject, PackId, PackWriter, Store};
use crate::fs::{Dir, Disk, RealDisk};
use crate::object::{Kind, ObjectId};

mod ahead;
mod basics;
mod cached;
mod compact;
mod crash;
mod damage;
mod deltas;
mod hostile;
mod kept;
mod large;
mod merge;
mod remove;
mod salvage;
mod vectors;
mod versions;

/// A store in a folder of its own that goes away with it.
pub struct Place {
    pub store: Store,
    pub dot: Dir,
    folder: TempDir,
}

impl Place {
    pub fn new() -> Place {
        let folder = TempDir::new().expect("a temporary folder");
        let dot = RealDisk.open_dir(folder.path()).expect("the folder was just made");
        Store::create(&dot).expect("an empty store");
        let store = Store::open(&dot).expect("the store was just made");
        Place { store, dot, folder }
    }

    pub fn objects(&self) -> std::path::PathBuf {
        self.folder.path().join("objects")
    }

    pub fn pack_path(&self, id: PackId) -> std::path::PathBuf {
        self.objects().join(id.file_name())
    }

    /// Opens the store anew, with nothing remembered.
    pub fn reopen(&self) -> Store {
        Store::open(&self.dot).expect("the store exists")
    }

    pub fn files_in(&self, name: &str) -> Vec<String> {
        names(&self.folder.path().join(name))
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder exists");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Writes one pack with what `fill` adds.
pub fn pack(store: &Store, fill: impl FnOnce(&mut PackWriter)) -> PackId {
    let mut writer = store.writer().expect("a writer");
    fill(&mut writer);
    writer.publish().expect("the pack is written").expect("there was something to write")
}

pub fn add_blob(store: &Store, bytes: &[u8], base: Option<ObjectId>) -> ObjectId {
    let mut id = None;
    pack(store, |writer| id = Some(writer.add(Kind::Blob, bytes, base).expect("the blob is added")));
    id.expect("it was added")
}

pub fn read(store: &Store, id: ObjectId) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.read_to(id, &mut bytes).expect("the object is read");
    bytes
}

pub fn problems(store: &Store) -> Vec<String> {
    let problems = store.verify(crate::store::Extent::All, &|_| {}).expect("the store can be listed");
    problems.into_iter().map(|p| format!("{}: {}: {}", p.kind, p.place, p.what)).collect()
}

/// Returns bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut next).take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes
}

/// Returns at least `length` bytes of lines of words, the same for the same seed.
pub fn prose(seed: u64, length: usize) -> Vec<u8> {
    let dice = noise(seed, length / 2 + 64);
    let mut text = Vec::new();
    for (i, pair) in dice.chunks_exact(2).cycle().enumerate() {
        let number = usize::from(u16::from_le_bytes([pair[0], pair[1]])) % 1500;
        text.extend_from_slice(&hex_word(number, i));
        text.push(if i % 12 == 11 { b'\n' } else { b' ' });
        if text.len() >= length && text.ends_with(b"\n") {
            return text;
        }
    }
    text
}

fn hex_word(number: usize, _place: usize) -> Vec<u8> {
    let syllables = [&b"ka"[..], b"ro", b"min", b"tel", b"us", b"fa", b"gri", b"on", b"el", b"dis"];
    [number % 10, number / 10 % 10, number / 100 % 10].iter().flat_map(|d| syllables[*d].to_vec()).collect()
}

pub fn new_blob(data: Vec<u8>) -> Result<NewObject, Arc<str>> {
    Ok(NewObject { kind: Kind::Blob, data, base: None })
}

/// Writes a pack whose frame work is sound, whatever its records and entries are; offsets and lengths
/// of entries that are 0 are filled in.
pub fn craft(place: &Place, records: &[(Entry, Vec<u8>)]) -> PackId {
    craft_with(place, records, |_, _| {})
}

/// As [`craft`], with a last chance to change table and footer before they are sealed.
pub fn craft_with(
    place: &Place,
    records: &[(Entry, Vec<u8>)],
    change: impl FnOnce(&mut Vec<Entry>, &mut Footer),
) -> PackId {
    let mut bytes = format::HEADER.to_vec();
    let mut entries = Vec::new();
    for (entry, frame) in records {
        let offset = if entry.offset == 0 { bytes.len() as u64 } else { entry.offset };
        let stored = if entry.stored == 0 { frame.len() as u32 } else { entry.stored };
        entries.push(Entry { offset, stored, ..*entry });
        bytes.extend_from_slice(frame);
    }
    entries.sort_by_key(|entry| entry.id);
    let mut footer = Footer {
        table_offset: bytes.len() as u64,
        directory_offset: 0,
        records: entries.len() as u64,
        objects: entries.len() as u64,
        plain_bytes: entries.iter().map(|entry| entry.plain).sum(),
        bits: format::bits_for(entries.len()),
        directory_sum: [0; 16],
        body_hash: [0; 32],
    };
    change(&mut entries, &mut footer);
    let (table, directory) = format::encode_table(&entries, footer.bits).expect("a small table");
    bytes.extend_from_slice(&table);
    footer.directory_offset = bytes.len() as u64;
    bytes.extend_from_slice(&directory);
    footer.directory_sum = format::directory_sum(&directory);
    footer.body_hash = Sha256::digest(&bytes).into();
    bytes.extend_from_slice(&footer.encode());
    let id = PackId::from_bytes(Sha256::digest(&bytes).into());
    std::fs::write(place.pack_path(id), bytes).expect("written");
    id
}

/// Returns the entry of a whole blob.
pub fn whole(id: ObjectId, plain: usize) -> Entry {
    Entry {
        id,
        kind: Kind::Blob,
        plain: plain as u64,
        offset: 0,
        stored: 0,
        form: Form::Whole,
        is_recipe: false,
        is_part: false,
        depth: 0,
        ordinal: 0,
    }
}
