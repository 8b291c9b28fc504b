//! Removal: the bytes that were asked to go are gone from every file, and nothing else is.

use std::collections::{BTreeSet, HashSet};

use super::{Place, add_blob, names, noise, pack, read};
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::{Stage, Store, Tombstone};

fn only(id: ObjectId) -> BTreeSet<ObjectId> {
    [id].into()
}

fn is_clean(store: &Store) {
    assert_eq!(store.verify(crate::store::Extent::All, &|_| {}).expect("listed"), []);
}

/// Tells whether some pack holds these bytes as they are: noise cannot be compressed.
fn holds(place: &Place, bytes: &[u8]) -> bool {
    let needle = &bytes[bytes.len() / 2..bytes.len() / 2 + 32];
    names(&place.objects()).iter().any(|name| {
        let file = std::fs::read(place.objects().join(name)).expect("a pack");
        file.windows(needle.len()).any(|window| window == needle)
    })
}

#[test]
fn a_record_goes_and_what_rested_on_it_stays_readable() {
    let place = Place::new();
    let (first, noise_2) = (noise(1, 4000), noise(2, 4000));
    let second = [&first[..], b"and a line"].concat();
    let third = [&second[..], b"and another"].concat();
    let a = add_blob(&place.store, &first, None);
    let b = add_blob(&place.store, &second, Some(a));
    let c = add_blob(&place.store, &third, Some(b));
    let other = add_blob(&place.store, &noise_2, None);
    let removed = place.store.remove(&only(a), &HashSet::from([b, c, other])).expect("removed");
    assert_eq!(
        (removed.records, removed.packs, removed.kept.len()),
        (1, 2, 0),
        "its own and what rests on it"
    );
    assert!(!place.store.contains(a).expect("asked"));
    for store in [&place.store, &place.reopen()] {
        assert_eq!(read(store, b), second);
        assert_eq!(read(store, c), third);
        assert_eq!(read(store, other), noise_2);
        is_clean(store);
    }
    assert!(holds(&place, &first), "they are also the beginning of what stays");
    place.store.remove(&[b, c].into(), &HashSet::from([other])).expect("removed");
    assert!(!holds(&place, &first));
    let again = place.store.remove(&[a, b, c].into(), &HashSet::from([other])).expect("nothing to do");
    assert_eq!((again.records, again.packs), (0, 0));
    is_clean(&place.reopen());
}

#[test]
fn several_records_of_one_pack_and_copies_in_others_go_at_once() {
    let place = Place::new();
    let blobs: Vec<Vec<u8>> = (0..200).map(|n| noise(n + 10, 300)).collect();
    pack(&place.store, |writer| {
        for blob in &blobs {
            writer.add(Kind::Blob, blob, None).expect("added");
        }
    });
    // A copy: a store that does not know of the pack.
    let other = Place::new();
    add_blob(&other.store, &blobs[7], None);
    place.store.adopt(&other.store).expect("moved");
    let gone: BTreeSet<ObjectId> =
        blobs.iter().step_by(7).map(|blob| hash_object(Kind::Blob, blob)).collect();
    place.store.remove(&gone, &HashSet::new()).expect("removed");
    let store = place.reopen();
    for blob in &blobs {
        let id = hash_object(Kind::Blob, blob);
        assert_eq!(store.contains(id).expect("asked"), !gone.contains(&id));
        assert_eq!(holds(&place, blob), !gone.contains(&id));
    }
    is_clean(&store);
}

#[test]
fn pieces_of_a_large_object_go_unless_another_needs_them() {
    let place = Place::new();
    let first = noise(3, 3 << 20);
    let second = [&first[..2 << 20], &noise(4, 1 << 20)].concat();
    let a = add_blob(&place.store, &first, None);
    let b = add_blob(&place.store, &second, Some(a));
    let removed = place.store.remove(&only(a), &HashSet::from([b])).expect("removed");
    assert!(removed.records > 1, "the recipe and the chunks of its end");
    assert_eq!(read(&place.reopen(), b), second);
    is_clean(&place.reopen());
    place.store.remove(&only(b), &HashSet::new()).expect("removed");
    assert_eq!(names(&place.objects()), [""; 0], "nothing was left to keep");
}

#[test]
fn a_blob_that_is_also_a_chunk_of_what_stays_is_reported() {
    let place = Place::new();
    let large = noise(5, 2 << 20);
    let id = add_blob(&place.store, &large, None);
    let ids = place.store.ids().expect("listed");
    let (chunk, _) = ids.iter().find(|(chunk, _)| *chunk != id).expect("chunks");
    let removed = place.store.remove(&only(*chunk), &HashSet::from([id])).expect("nothing removed");
    assert_eq!(removed.kept, [*chunk]);
    assert_eq!(read(&place.store, id), large);
}

#[test]
fn a_chunk_that_is_also_a_file_stays_with_the_file() {
    let place = Place::new();
    let large = noise(6, 2 << 20);
    let id = add_blob(&place.store, &large, None);
    let ids = place.store.ids().expect("listed");
    let (file, _) = *ids.iter().find(|(chunk, _)| *chunk != id).expect("chunks");
    let bytes = read(&place.store, file);
    place.store.remove(&only(id), &HashSet::from([file])).expect("removed");
    assert_eq!(read(&place.reopen(), file), bytes);
    is_clean(&place.reopen());
}

#[test]
fn a_reader_beside_it_goes_on_with_what_stays() {
    let place = Place::new();
    let (gone, stays) = (noise(7, 2000), noise(8, 2 << 20));
    let mut ids = Vec::new();
    pack(&place.store, |writer| {
        for bytes in [&gone, &stays] {
            ids.push(writer.add(Kind::Blob, bytes, None).expect("added"));
        }
    });
    let reader = place.reopen();
    assert!(reader.contains(ids[0]).expect("asked"));
    place.store.remove(&only(ids[0]), &HashSet::from([ids[1]])).expect("removed");
    assert_eq!(read(&reader, ids[1]), stays);
    assert!(reader.try_find(ids[0]).expect("asked").is_none());
}

#[test]
fn what_is_purged_is_told_with_its_reason_and_is_no_base() {
    let place = Place::new();
    let first = noise(9, 4000);
    let id = add_blob(&place.store, &first, None);
    let stone = Tombstone {
        stage: Stage::Due,
        device: "mac".into(),
        at: "2026-11-22T06:00:00Z".into(),
        why: "a token".into(),
    };
    place.store.set_tombstones([(id, stone)].into());
    let next = [&first[..], b"more"].concat();
    add_blob(&place.store, &next, Some(id));
    let removed = place.store.remove(&only(id), &HashSet::new()).expect("removed");
    assert_eq!(removed.packs, 1, "the new version does not rest on it");
    let error = place.store.read_to(id, &mut std::io::sink()).expect_err("gone");
    assert!(error.to_string().ends_with("was purged on 2026-11-22 by mac: a token"), "{error}");
    assert!(!error.is_damage());
}
