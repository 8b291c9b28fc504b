//! Objects go in and come out.

use std::io::Read;

use super::{Place, add_blob, new_blob, noise, pack, problems, prose, read};
use crate::object::{Kind, Prefix, Source, hash_object};
use crate::store::{Error, RECORD_MAX, Store};

#[test]
fn what_was_added_is_read_back_in_every_size() {
    let place = Place::new();
    let sizes = [0, 1, 63, 64, 4096, RECORD_MAX - 1, RECORD_MAX, RECORD_MAX + 1, 3 << 20];
    let bodies: Vec<Vec<u8>> = sizes.iter().flat_map(|size| [noise(1, *size), prose(1, *size)]).collect();
    pack(&place.store, |writer| {
        for body in &bodies {
            let id = writer.add(Kind::Blob, body, None).expect("added");
            assert_eq!(id, hash_object(Kind::Blob, body));
            assert_eq!(writer.try_find(id).expect("read").expect("there").data[..], body[..]);
        }
    });
    for store in [&place.store, &place.reopen()] {
        for body in &bodies {
            let id = hash_object(Kind::Blob, body);
            assert_eq!(store.try_info(id).expect("info"), Some((Kind::Blob, body.len() as u64)));
            assert_eq!(store.try_find(id).expect("found").expect("there").data[..], body[..]);
            assert_eq!(read(store, id), *body);
            let mut bytes = Vec::new();
            store.try_reader(id).expect("open").expect("there").read_to_end(&mut bytes).expect("read");
            assert_eq!(bytes, *body);
        }
    }
    assert_eq!(problems(&place.store), [""; 0]);
}

#[test]
fn nothing_is_visible_before_publish_and_nothing_left_after_drop() {
    let place = Place::new();
    let mut writer = place.store.writer().expect("a writer");
    let id = writer.add(Kind::Blob, &noise(3, 3 << 20), None).expect("added");
    assert_eq!(place.files_in("tmp").len(), 1);
    assert_eq!(place.files_in("objects").len(), 0);
    assert!(!place.store.contains(id).expect("asked"));
    drop(writer);
    assert_eq!(place.files_in("tmp").len() + place.files_in("objects").len(), 0);
}

#[test]
fn writer_with_nothing_new_makes_no_pack() {
    let place = Place::new();
    add_blob(&place.store, b"once", None);
    let mut writer = place.store.writer().expect("a writer");
    writer.add(Kind::Blob, b"once", None).expect("added");
    assert!(writer.is_empty());
    assert_eq!(writer.publish().expect("published"), None);
    assert_eq!(place.files_in("objects").len(), 1);
}

#[test]
fn a_reader_sees_packs_that_others_add() {
    let place = Place::new();
    let other = place.reopen();
    let id = add_blob(&place.store, b"from elsewhere", None);
    assert!(!other.knows(id).expect("asked"), "nothing was listed anew yet");
    assert!(other.contains(id).expect("asked"));
    assert_eq!(read(&other, id), b"from elsewhere");
}

#[test]
fn kinds_are_kept_and_missing_is_none() {
    let place = Place::new();
    let body = b"tree 0\n";
    let mut ids = Vec::new();
    pack(&place.store, |writer| {
        for kind in [Kind::Blob, Kind::Tree, Kind::Commit] {
            ids.push((writer.add(kind, body, None).expect("added"), kind));
        }
    });
    for (id, kind) in &ids {
        assert_eq!(Source::try_find(&place.store, *id).expect("found").expect("there").kind, *kind);
    }
    ids.sort();
    assert_eq!(place.store.ids().expect("listed"), ids);
    let missing = hash_object(Kind::Blob, b"never stored");
    assert!(Source::try_find(&place.store, missing).expect("asked").is_none());
    assert!(matches!(place.store.read_to(missing, &mut Vec::new()), Err(Error::Missing { .. })));
}

#[test]
fn prefixes_find_ids_in_all_packs() {
    let place = Place::new();
    let ids: Vec<_> = (0..200u32).map(|n| add_blob(&place.store, &n.to_le_bytes(), None)).collect();
    for id in &ids {
        let text = id.to_string();
        let prefix = Prefix::parse(&text[..12]).expect("a prefix");
        assert_eq!(place.store.find_prefix(&prefix).expect("asked"), [*id]);
    }
    let nothing = Prefix::parse("0123456789abcdef").expect("a prefix");
    assert!(place.store.find_prefix(&nothing).expect("asked").is_empty());
}

#[test]
fn stats_count_objects_and_not_their_parts() {
    let place = Place::new();
    add_blob(&place.store, &noise(5, 2 << 20), None);
    add_blob(&place.store, b"small", None);
    let stats = place.store.stats().expect("stats");
    assert_eq!((stats.packs, stats.objects, stats.raw_bytes), (2, 2, (2 << 20) + 5));
    let on_disk: u64 = place
        .files_in("objects")
        .iter()
        .map(|name| std::fs::metadata(place.objects().join(name)).expect("a pack").len())
        .sum();
    assert_eq!(stats.bytes, on_disk);
    assert!(place.store.packs().expect("packs").iter().any(|pack| pack.records > 10));
}

#[test]
fn wrong_length_is_an_error_and_the_pack_goes_on() {
    let place = Place::new();
    let mut writer = place.store.writer().expect("a writer");
    for (announced, actual) in [(10, 9), (10, 11), (1 << 20, (1 << 20) - 1), (1 << 20, 1 << 21)] {
        let body = noise(8, actual);
        let result = writer.add_stream(Kind::Blob, announced, &mut &body[..], None);
        assert!(matches!(result, Err(Error::WrongLength { .. })), "{announced} {actual}");
        assert!(!writer.knows(hash_object(Kind::Blob, &body)).expect("asked"));
    }
    let id = writer.add_stream(Kind::Blob, 4, &mut &b"fine"[..], None).expect("added");
    writer.publish().expect("published").expect("a pack");
    assert_eq!(read(&place.store, id), b"fine");
    assert_eq!(problems(&place.store), [""; 0]);
}

#[test]
fn many_at_once_give_the_bytes_that_one_thread_gives() {
    let bodies: Vec<Vec<u8>> = (0..300).map(|n| prose(n, 200 + (n as usize * 37) % 9000)).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let place = Place::new();
        pool.install(|| {
            pack(&place.store, |writer| {
                let ids = writer.add_many(&bodies, |body| new_blob(body.clone())).expect("added");
                for (id, body) in ids.into_iter().zip(&bodies) {
                    assert_eq!(id.expect("loaded"), hash_object(Kind::Blob, body));
                }
                writer.add(Kind::Blob, &noise(9, 6 << 20), None).expect("added");
            })
        })
    };
    let one = run(1);
    assert_eq!(run(2), one, "a pack is named by its bytes");
    assert_eq!(run(7), one);
}

#[test]
fn what_cannot_be_loaded_does_not_stop_the_rest() {
    let place = Place::new();
    let items: Vec<u32> = (0..100).collect();
    pack(&place.store, |writer| {
        let load = |n: &u32| {
            if n.is_multiple_of(3) { Err("unreadable".into()) } else { new_blob(n.to_le_bytes().to_vec()) }
        };
        let ids = writer.add_many(&items, load).expect("added");
        assert_eq!(ids.iter().filter(|id| id.is_err()).count(), 34);
        assert_eq!(writer.len(), 66);
    });
}

#[test]
fn rubbish_of_a_killed_writer_is_removed_and_a_living_one_is_left() {
    let place = Place::new();
    std::fs::write(place.objects().join("../tmp/pack-tmp-1-1"), b"half a pack").expect("written");
    std::fs::write(place.objects().join("../tmp/other"), b"not ours").expect("written");
    let mut living = place.store.writer().expect("a writer");
    living.add(Kind::Blob, &noise(1, 2 << 20), None).expect("added");
    assert_eq!(place.files_in("tmp").len(), 2, "the dead one went");
    let second = add_blob(&place.store, b"second", None);
    assert_eq!(place.files_in("tmp").len(), 2, "the living one stays");
    living.publish().expect("published");
    assert_eq!(place.files_in("tmp"), ["other"]);
    assert_eq!(read(&place.store, second), b"second");
}

#[test]
fn a_store_over_another_builds_on_it_and_is_adopted() {
    let (main, incoming) = (Place::new(), Place::new());
    let old = prose(1, 200_000);
    let old_id = add_blob(&main.store, &old, None);
    let over = Store::open_over(&incoming.dot, Some(&main.store)).expect("opened");
    let mut new = old.clone();
    new.extend_from_slice(b"one more line\n");
    let mut new_id = None;
    pack(&over, |writer| {
        assert_eq!(writer.add(Kind::Blob, &old, None).expect("added"), old_id);
        assert!(writer.is_empty(), "what lies below is not stored again");
        new_id = Some(writer.add(Kind::Blob, &new, Some(old_id)).expect("added"));
    });
    let new_id = new_id.expect("added");
    assert!(over.stats().expect("stats").bytes < 1000, "it is a delta on what lies below");
    assert_eq!(read(&over, new_id), new);
    assert!(!main.store.contains(new_id).expect("asked"));
    main.store.adopt(&over).expect("adopted");
    assert_eq!(read(&main.reopen(), new_id), new);
    assert_eq!(incoming.files_in("objects").len(), 0);
    assert_eq!(problems(&main.store), [""; 0]);
}
