//! Damage is detected and named, or harmless; it is never silent and never "no such object".

use std::fs;

use super::{Place, add_blob, pack, problems, prose, read};
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::{Error, PackId, Store};

/// A pack of a kilobyte with records of every sort: whole, delta, recipe, chunk, tree, commit.
fn small_pack(place: &Place) -> (PackId, Vec<(ObjectId, Vec<u8>)>) {
    let mut objects = Vec::new();
    let base = prose(1, 300);
    let mut next = base.clone();
    next.extend_from_slice(b"a line more");
    let id = pack(&place.store, |writer| {
        let mut add = |kind, bytes: Vec<u8>, base| {
            let id = writer.add(kind, &bytes, base).expect("added");
            objects.push((id, bytes));
            id
        };
        let base = add(Kind::Blob, base, None);
        add(Kind::Blob, next, Some(base));
        add(Kind::Blob, vec![0; 600 << 10], None);
        add(Kind::Tree, prose(2, 40), None);
        add(Kind::Commit, prose(3, 40), None);
        add(Kind::Blob, Vec::new(), None);
    });
    (id, objects)
}

/// Replaces a pack's bytes; packs are read-only, so by a new file.
fn overwrite(place: &Place, id: PackId, bytes: &[u8]) {
    let path = place.pack_path(id);
    fs::remove_file(&path).expect("removed");
    fs::write(path, bytes).expect("written");
}

/// Each object is read right or with an error that is damage; returns how many were read right.
fn right_or_damaged(store: &Store, objects: &[(ObjectId, Vec<u8>)], case: &str) -> usize {
    let mut right = 0;
    for (id, bytes) in objects {
        match store.try_find(*id) {
            Ok(Some(object)) => {
                assert_eq!(object.data[..], bytes[..], "{case}: wrong bytes");
                right += 1;
            }
            Ok(None) => panic!("{case}: {id} is damaged and was taken for missing"),
            Err(error) => assert!(error.is_damage(), "{case}: {error:?}"),
        }
    }
    right
}

#[test]
fn every_flipped_byte_is_named_and_no_wrong_byte_is_handed_out() {
    let place = Place::new();
    let (id, objects) = small_pack(&place);
    let sound = fs::read(place.pack_path(id)).expect("read");
    assert!(sound.len() < 2000, "{} bytes are too many to flip in a test", sound.len());
    let (mut all_right, mut none_right) = (0, 0);
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        overwrite(&place, id, &bytes);
        let store = place.reopen();
        let case = format!("byte {at} flipped");
        match right_or_damaged(&store, &objects, &case) {
            0 => none_right += 1,
            count if count == objects.len() => all_right += 1,
            _ => {}
        }
        let found = problems(&store);
        let name = id.file_name();
        assert!(found.iter().any(|problem| problem.contains(&name)), "{case}: {found:?}");
    }
    // Most flips hit one record or bucket; only what all lookups rest on takes everything away.
    assert!(all_right > 0 && none_right < sound.len(), "{all_right} {none_right}");
    overwrite(&place, id, &sound);
    assert_eq!(problems(&place.reopen()), [""; 0]);
}

#[test]
fn a_pack_cut_at_any_length_is_named_and_no_wrong_byte_is_handed_out() {
    let place = Place::new();
    let (id, objects) = small_pack(&place);
    let sound = fs::read(place.pack_path(id)).expect("read");
    let mut longer = sound.clone();
    longer.push(0);
    let cuts = (0..sound.len()).map(|length| &sound[..length]);
    for bytes in cuts.chain([&longer[..]]) {
        overwrite(&place, id, bytes);
        let store = place.reopen();
        let case = format!("{} of {} bytes", bytes.len(), sound.len());
        assert_eq!(right_or_damaged(&store, &objects, &case), 0, "{case}");
        assert!(problems(&store).iter().any(|problem| problem.contains(&id.file_name())), "{case}");
    }
}

#[test]
fn damage_in_one_record_leaves_the_others_readable() {
    let place = Place::new();
    let bodies: Vec<Vec<u8>> = (0..40).map(|n| prose(n, 500)).collect();
    let id = pack(&place.store, |writer| {
        for body in &bodies {
            writer.add(Kind::Blob, body, None).expect("added");
        }
    });
    let mut bytes = fs::read(place.pack_path(id)).expect("read");
    bytes[8 + 100] ^= 0x40;
    overwrite(&place, id, &bytes);
    let objects: Vec<_> = bodies.into_iter().map(|body| (hash_object(Kind::Blob, &body), body)).collect();
    let store = place.reopen();
    assert_eq!(right_or_damaged(&store, &objects, "one record"), 39);
    let error = store.read_to(objects[0].0, &mut Vec::new()).expect_err("the first record is damaged");
    let text = error.to_string();
    assert!(text.contains(&objects[0].0.to_string()) && text.contains("offset 8"), "{text}");
    assert!(error.hint().is_some_and(|hint| hint.contains("mvault verify")));
}

#[test]
fn of_two_copies_the_good_one_is_used_whatever_is_wrong_with_the_other() {
    let body = prose(1, 5000);
    let id = hash_object(Kind::Blob, &body);
    // The record, the table, the footer, the whole file.
    for at in [20, -200, -100, -3] {
        let place = Place::new();
        let first = add_blob(&place.store, &body, None);
        let other = Place::new();
        pack(&other.store, |writer| {
            writer.add(Kind::Blob, &body, None).expect("added");
            writer.add(Kind::Blob, b"beside it", None).expect("added");
        });
        let damaged = place.store.packs().expect("packs")[0].id;
        place.store.adopt(&other.store).expect("adopted");
        let mut bytes = fs::read(place.pack_path(damaged)).expect("read");
        let at = if at < 0 { bytes.len() - (-at) as usize } else { at as usize };
        bytes[at] ^= 1;
        overwrite(&place, damaged, &bytes);
        let store = place.reopen();
        assert_eq!(first, id);
        assert_eq!(read(&store, id), body, "byte {at}");
        assert!(!problems(&store).is_empty(), "the other is still reported");
    }
}

#[test]
fn a_delta_whose_base_is_damaged_in_one_pack_rests_on_the_copy_in_another() {
    let place = Place::new();
    let old = prose(1, 5000);
    let mut new = old.clone();
    new.extend_from_slice(b"and more");
    let base = add_blob(&place.store, &old, None);
    let damaged = place.store.packs().expect("packs")[0].id;
    let id = add_blob(&place.store, &new, Some(base));
    let mut bytes = fs::read(place.pack_path(damaged)).expect("read");
    bytes[50] ^= 1;
    overwrite(&place, damaged, &bytes);

    let error = place.reopen().read_to(id, &mut Vec::new()).expect_err("its base is damaged");
    assert!(matches!(&error, Error::Rests { part, .. } if *part == base), "{error:?}");
    let reported = problems(&place.reopen());
    assert_eq!(reported.iter().filter(|p| p.contains(&id.to_string())).count(), 1, "{reported:?}");

    let other = Place::new();
    pack(&other.store, |writer| {
        writer.add(Kind::Blob, &old, None).expect("added");
        writer.add(Kind::Blob, b"beside it", None).expect("added");
    });
    place.store.adopt(&other.store).expect("adopted");
    assert_eq!(read(&place.reopen(), id), new);
}

#[test]
fn a_pack_that_vanished_under_a_reader_is_looked_for_once_more() {
    let place = Place::new();
    let id = add_blob(&place.store, b"it moves to another pack", None);
    let old = place.store.packs().expect("packs")[0].id;
    let (unread, half_read) = (place.reopen(), place.reopen());
    assert!(half_read.contains(id).expect("asked"), "its table is in memory now");
    let other = Place::new();
    pack(&other.store, |writer| {
        writer.add(Kind::Blob, b"it moves to another pack", None).expect("added");
        writer.add(Kind::Blob, b"beside it", None).expect("added");
    });
    place.reopen().adopt(&other.store).expect("adopted");
    fs::remove_file(place.pack_path(old)).expect("removed");
    for store in [unread, half_read] {
        assert_eq!(read(&store, id), b"it moves to another pack");
    }
}

#[test]
fn what_is_no_regular_file_is_damage_and_does_not_block() {
    let place = Place::new();
    let id = add_blob(&place.store, b"sound", None);
    let name = |digit: &str| place.objects().join(format!("{}.pack", digit.repeat(64)));
    fs::create_dir(name("1")).expect("a folder");
    std::os::unix::fs::symlink("/dev/zero", name("2")).expect("a link");
    let path = std::ffi::CString::new(name("3").to_str().expect("text")).expect("no zero byte");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a fifo");
    fs::write(place.objects().join("notes.txt"), b"left here").expect("written");
    let store = place.reopen();
    assert_eq!(read(&store, id), b"sound");
    let missing = hash_object(Kind::Blob, b"missing");
    assert!(store.contains(missing).is_err_and(|error| error.is_damage()), "one of them might have it");
    assert!(!store.knows(missing).expect("asked"), "and it can be stored all the same");
    let reported = problems(&store);
    assert_eq!(reported.len(), 4, "{reported:?}");
    assert!(reported.iter().any(|problem| problem.contains("notes.txt")));
}

#[test]
fn packs_that_changed_names_are_named() {
    let place = Place::new();
    let one = add_blob(&place.store, b"one", None);
    let two = add_blob(&place.store, b"two", None);
    let packs = place.store.packs().expect("packs");
    let (a, b) = (place.pack_path(packs[0].id), place.pack_path(packs[1].id));
    let swap = place.objects().join("swap");
    fs::rename(&a, &swap)
        .and_then(|()| fs::rename(&b, &a))
        .and_then(|()| fs::rename(&swap, &b))
        .expect("swapped");
    let store = place.reopen();
    assert_eq!((read(&store, one), read(&store, two)), (b"one".to_vec(), b"two".to_vec()));
    assert_eq!(problems(&store).len(), 2);
}
