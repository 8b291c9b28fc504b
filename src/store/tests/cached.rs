//! What is remembered of records: proven once, and never taken on trust before.

use super::{Place, add_blob, craft, noise, pack, prose, whole};
use crate::object::{Kind, Object, ObjectId, hash_object};
use crate::store::Store;
use crate::store::cache::RecordKey;
use crate::store::frame;
use crate::store::pack::format::{Entry, Form};

fn key(id: ObjectId) -> RecordKey {
    RecordKey { id, is_recipe: false }
}

fn is_proven(store: &Store, id: ObjectId, kind: Kind) -> Option<bool> {
    store.0.cache.get_as(key(id), kind).map(|(_, is_proven)| is_proven)
}

fn data(found: Result<Option<Object>, crate::store::Error>) -> Vec<u8> {
    found.expect("it can be read").expect("it is there").data.to_vec()
}

#[test]
fn what_was_decoded_on_the_way_is_hashed_before_it_is_handed_out() {
    let place = Place::new();
    let (old, new) = (prose(1, 3000), [prose(1, 3000), prose(2, 300)].concat());
    let base = add_blob(&place.store, &old, None);
    let id = add_blob(&place.store, &new, Some(base));
    let store = place.reopen();
    assert_eq!(data(store.try_find(id)), new);
    assert_eq!(is_proven(&store, base, Kind::Blob), Some(false), "it was a base and nothing more");
    assert_eq!(is_proven(&store, id, Kind::Blob), Some(true));
    assert_eq!(data(store.try_find(base)), old);
    assert_eq!(is_proven(&store, base, Kind::Blob), Some(true), "it is hashed once");
}

#[test]
fn unproven_bytes_that_are_not_the_object_are_never_handed_out() {
    let place = Place::new();
    let body = prose(1, 3000);
    let id = add_blob(&place.store, &body, None);
    let store = place.reopen();
    store.0.cache.put(key(id), noise(1, 3000).into());
    assert_eq!(data(store.try_find(id)), body, "it is read again");
    assert_eq!(is_proven(&store, id, Kind::Blob), Some(true));
    store.0.cache.put(key(id), noise(1, 3000).into());
    assert_eq!(data(store.try_find(id)), body, "what is proven stays");
}

#[test]
fn a_base_that_a_forged_pack_calls_something_else_is_damage_also_when_it_is_remembered() {
    let place = Place::new();
    let (body, other) = (prose(1, 3000), prose(3, 3000));
    let id = hash_object(Kind::Blob, &body);
    let upon = hash_object(Kind::Blob, &[&other[..], b"more"].concat());
    let delta = frame::encode_delta(&other, &[&other[..], b"more"].concat());
    let on = Entry { form: Form::Delta(id), ..whole(upon, other.len() + 4) };
    craft(&place, &[(whole(id, other.len()), frame::encode_whole(&other)), (on, delta)]);
    let store = place.reopen();
    assert_eq!(data(store.try_find(upon)).len(), other.len() + 4, "it hashes, whatever it rests on");
    assert_eq!(is_proven(&store, id, Kind::Blob), Some(false));
    let error = store.try_find(id).expect_err("the bytes are not what the id says");
    assert!(error.is_damage(), "{error:?}");
}

#[test]
fn proven_as_one_kind_is_not_proven_as_another() {
    let place = Place::new();
    let body = prose(1, 3000);
    let id = add_blob(&place.store, &body, None);
    let store = place.reopen();
    assert_eq!(data(store.try_find(id)), body);
    assert_eq!(is_proven(&store, id, Kind::Tree), Some(false));
    let forged = Place::new();
    craft(&forged, &[(Entry { kind: Kind::Tree, ..whole(id, body.len()) }, frame::encode_whole(&body))]);
    let forged = forged.reopen();
    forged.0.cache.put_proven(key(id), Kind::Blob, body.into());
    let error = forged.try_find(id).expect_err("the bytes are no tree of this id");
    assert!(error.is_damage(), "{error:?}");
}

#[test]
fn what_was_added_with_its_hash_is_remembered_as_proven() {
    let place = Place::new();
    let body = prose(1, 3000);
    pack(&place.store, |writer| {
        let object = crate::object::Hashed::new(Kind::Blob, body.clone().into());
        writer.add_hashed(&object, None).expect("it is added");
        assert_eq!(writer.try_find(object.id()).expect("read").map(|o| o.data.to_vec()), Some(body.clone()));
        assert_eq!(is_proven(&place.store, object.id(), Kind::Blob), Some(true));
    });
    assert_eq!(data(place.reopen().try_find(hash_object(Kind::Blob, &body))), body);
}
