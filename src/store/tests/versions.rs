//! Versions of a large object that are in memory: cut beside each other, and stored as if they were not.

use super::{Place, craft, noise, pack, problems, prose, read, whole};
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::frame::{RECORD_MAX, encode_whole};
use crate::store::pack::format::Entry;
use crate::store::recipe::{Piece, Recipe};
use crate::store::{Error, PackWriter, Version};

fn add(writer: &mut PackWriter, bytes: &[u8], base: Option<ObjectId>, older: Option<&Version>) -> Version {
    let id = hash_object(Kind::Blob, bytes);
    writer.add_version(Kind::Blob, id, bytes.to_vec(), base, older).expect("written")
}

fn spliced(old: &[u8], at: usize, gone: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = old.to_vec();
    bytes.splice(at..at + gone, new.iter().copied());
    bytes
}

/// Versions of a file: it grows, is edited here and there, shrinks, repeats itself, and becomes another.
fn history() -> Vec<Vec<u8>> {
    let mut versions = vec![prose(1, 900_000)];
    for n in 0..12 {
        let last = versions.last().expect("there is one");
        versions.push([&last[..], &prose(100 + n, 1500)].concat());
    }
    let last = versions.last().expect("there is one").clone();
    let middle = spliced(&last, 400_000, 0, b"inserted");
    versions.push(middle.clone());
    versions.push(spliced(&middle, 200_000, 7000, b""));
    versions.push(spliced(&middle, 0, 0, &noise(5, 300_000)));
    versions.push(spliced(&middle, 300_000, 5000, &noise(6, 5000)));
    versions.push([&middle[..], &middle].concat());
    versions.push(middle[..700_000].to_vec());
    versions.push(middle[..700_000].to_vec());
    versions.push(noise(7, 2 << 20));
    versions.push(vec![0; 6 << 20]);
    versions
}

#[test]
fn a_version_beside_the_one_before_becomes_the_same_pack() {
    let (beside, alone) = (Place::new(), Place::new());
    let mut base = None;
    let mut older: Option<Version> = None;
    for (n, bytes) in history().iter().enumerate() {
        let mut writer = beside.store.writer().expect("a writer");
        if n % 4 == 0 {
            older = base.and_then(|base| writer.try_version(base).expect("read"));
        }
        older = Some(add(&mut writer, bytes, base, older.as_ref()));
        let made = writer.publish().expect("published");
        let mut writer = alone.store.writer().expect("a writer");
        writer.add(Kind::Blob, bytes, base).expect("added");
        assert_eq!(made, writer.publish().expect("published"), "version {n}");
        base = Some(hash_object(Kind::Blob, bytes));
        assert_eq!(read(&beside.reopen(), base.expect("just set")), *bytes, "version {n}");
    }
    assert_eq!(problems(&beside.reopen()), [""; 0]);
}

#[test]
fn many_versions_in_one_pack_become_the_same_pack() {
    let (beside, alone) = (Place::new(), Place::new());
    let made = pack(&beside.store, |writer| {
        let small = writer.add(Kind::Blob, &prose(1, 300_000), None).expect("added");
        let mut older = writer.try_version(small).expect("read").expect("there");
        for bytes in history() {
            older = add(writer, &bytes, Some(older.id()), Some(&older));
        }
    });
    let again = pack(&alone.store, |writer| {
        let mut base = writer.add(Kind::Blob, &prose(1, 300_000), None).expect("added");
        for bytes in history() {
            base = writer.add(Kind::Blob, &bytes, Some(base)).expect("added");
        }
    });
    assert_eq!(made, again);
}

#[test]
fn a_pack_with_bytes_that_are_not_what_the_id_says_is_never_published() {
    let place = Place::new();
    let (bytes, id) = (noise(1, RECORD_MAX + 1), hash_object(Kind::Blob, b"another"));
    let lying = || {
        let mut writer = place.store.writer().expect("a writer");
        writer.add(Kind::Blob, b"honest", None).expect("added");
        writer.add_version(Kind::Blob, id, bytes.clone(), None, None).expect("it is not known yet");
        writer
    };
    let is_told = |error: Error| matches!(error, Error::WrongHash { id: told } if told == id);
    assert!(is_told(lying().publish().expect_err("it is hashed before")));
    let mut writer = lying();
    assert!(writer.try_find(id).is_err(), "nobody gets it meanwhile");
    writer.await_proofs(1).expect("the last one may wait");
    assert!(is_told(writer.await_proofs(0).expect_err("it is hashed")));
    assert!(matches!(writer.add(Kind::Blob, b"more", None), Err(Error::Poisoned)));
    assert!(matches!(writer.publish(), Err(Error::Poisoned)));
    assert!(!place.reopen().contains(id).expect("asked"));
    assert!(place.files_in("objects").is_empty());
}

/// A command that was told to work on one thread waited for ever for the hash that this thread was to compute.
#[test]
fn the_only_thread_of_a_pool_hashes_what_it_waits_for() {
    let place = Place::new();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let bytes = noise(1, RECORD_MAX + 1);
    pool.install(|| pack(&place.store, |writer| drop(add(writer, &bytes, None, None))));
    assert_eq!(read(&place.reopen(), hash_object(Kind::Blob, &bytes)), bytes);
}

/// An object whose recipe lists a chunk under the id of other bytes hashes all the same when it is put together.
#[test]
fn a_chunk_with_a_wrong_id_is_not_handed_on_to_the_next_version() {
    let place = Place::new();
    let bytes = noise(1, 600_000);
    let (id, false_id) = (hash_object(Kind::Blob, &bytes), hash_object(Kind::Blob, b"other bytes"));
    let pieces: Vec<(ObjectId, &[u8])> = bytes
        .chunks(200_000)
        .enumerate()
        .map(|(n, chunk)| (if n == 0 { false_id } else { hash_object(Kind::Blob, chunk) }, chunk))
        .collect();
    let listed = pieces.iter().map(|(id, chunk)| Piece { id: *id, length: chunk.len() as u64 }).collect();
    let recipe = Recipe { level: 0, pieces: listed }.encode();
    let mut records: Vec<_> = pieces
        .iter()
        .map(|(id, chunk)| (Entry { is_part: true, ..whole(*id, chunk.len()) }, encode_whole(chunk)))
        .collect();
    records.push((Entry { is_recipe: true, ..whole(id, bytes.len()) }, encode_whole(&recipe)));
    craft(&place, &records);
    let store = place.reopen();
    let longer = [&bytes[..], b"and more"].concat();
    pack(&store, |writer| {
        let older = writer.try_version(id).expect("read").expect("as a whole it hashes");
        add(writer, &longer, Some(id), Some(&older));
    });
    assert_eq!(read(&place.reopen(), hash_object(Kind::Blob, &longer)), longer);
}
