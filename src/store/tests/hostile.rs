//! Packs with sound checksums and hostile content: refused with a name for it, in bounded memory.

use std::io::Write;

use zstd::zstd_safe::{CCtx, CParameter, compress_bound};

use super::{Place, craft, craft_with, noise, problems, prose, whole};
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::frame::{self, RECORD_MAX};
use crate::store::pack::format::{Entry, Form};
use crate::store::recipe::{Piece, Recipe};

fn blob_id(bytes: &[u8]) -> ObjectId {
    hash_object(Kind::Blob, bytes)
}

fn compress(bytes: &[u8], parameters: &[CParameter]) -> Vec<u8> {
    let mut context = CCtx::create();
    for parameter in parameters {
        context.set_parameter(*parameter).expect("a parameter");
    }
    let mut frame = Vec::with_capacity(compress_bound(bytes.len()));
    context.compress2(&mut frame, bytes).expect("compressed");
    frame
}

/// Reading `id` is an error that is damage and says `what`; so does verify.
fn refused(place: &Place, id: ObjectId, what: &str) {
    let store = place.reopen();
    let error = match store.try_find(id) {
        Err(error) => error,
        Ok(found) => panic!("{what}: handed out {:?}", found.map(|object| object.data.len())),
    };
    assert!(error.is_damage(), "{what}: {error:?}");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    assert!(text.contains(what), "{what}: {text}");
    let mut out = Vec::new();
    assert!(store.read_to(id, &mut out).is_err());
    let reported = problems(&store);
    assert!(reported.iter().any(|problem| problem.contains(what)), "{what}: {reported:?}");
}

#[test]
fn frames_that_are_not_strictly_ours_are_refused() {
    let body = prose(1, 3000);
    let sound = frame::encode_whole(&body);
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.write_all(&body[..1000]).and_then(|()| encoder.flush()).expect("compressed");
    encoder.write_all(&body[1000..]).expect("compressed");
    let streamed = encoder.finish().expect("compressed");
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &sound].concat();
    let with_sum = compress(&body, &[CParameter::ChecksumFlag(true)]);
    let no_size = compress(&body, &[CParameter::ContentSizeFlag(false)]);
    let mut reserved = sound.clone();
    reserved[4] |= 0b1000;
    let mut with_dictionary_id = sound.clone();
    with_dictionary_id[4] |= 1;
    with_dictionary_id.insert(5, 9);
    let bomb = compress(&vec![0; 64 << 20], &[CParameter::WindowLog(26)]);
    let wide = compress(&vec![0; 64 << 20], &[CParameter::WindowLog(25)]);
    let cases: [(&str, Vec<u8>); 13] = [
        ("not a single segment", wide),
        ("not a single segment", streamed),
        ("not a single segment", no_size),
        ("does not start with a zstd frame", skippable),
        ("checksum or reserved bits", with_sum),
        ("checksum or reserved bits", reserved),
        ("disagree about a dictionary", with_dictionary_id),
        ("its frame ends after", [&sound[..], &sound].concat()),
        ("its frame ends after", [&sound[..], b"garbage"].concat()),
        ("it is no frame", sound[..sound.len() - 1].to_vec()),
        ("its frame ends in its header", sound[..5].to_vec()),
        ("its table 3", bomb),
        ("hash to another id", frame::encode_whole(&noise(1, body.len()))),
    ];
    for (what, frame) in cases {
        let place = Place::new();
        craft(&place, &[(whole(blob_id(&body), body.len()), frame)]);
        refused(&place, blob_id(&body), what);
    }
    let place = Place::new();
    craft(&place, &[(whole(blob_id(&body), body.len()), sound)]);
    assert_eq!(problems(&place.reopen()), [""; 0], "the sound one is taken");
}

#[test]
fn a_frame_that_yields_more_than_it_declares_is_refused() {
    // The header of a short frame before the blocks of a long one.
    let long = frame::encode_whole(&vec![7; 200_000]);
    let short = frame::encode_whole(&vec![7; 70_000]);
    let lie = [&short[..9], &long[9..]].concat();
    let body = vec![7; 70_000];
    let place = Place::new();
    craft(&place, &[(whole(blob_id(&body), body.len()), lie)]);
    refused(&place, blob_id(&body), "does not decode");
}

#[test]
fn a_recipe_frame_cannot_declare_more_than_a_record_may_hold() {
    let id = blob_id(b"something large");
    let entry = Entry { is_recipe: true, plain: 1 << 20, ..whole(id, 0) };
    let place = Place::new();
    craft(&place, &[(entry, compress(&vec![0; 32 << 20], &[CParameter::WindowLog(26)]))]);
    refused(&place, id, "the limit is 524288");
}

#[test]
fn entries_that_point_outside_or_make_no_sense_are_refused() {
    let body = prose(1, 300);
    let frame = frame::encode_whole(&body);
    let id = blob_id(&body);
    let entry = whole(id, body.len());
    let cases = [
        ("points outside", Entry { offset: 1 << 40, ..entry }),
        ("points outside", Entry { offset: u64::MAX, ..entry }),
        ("points outside", Entry { offset: 4, ..entry }),
        ("points outside", Entry { stored: u32::MAX, ..entry }),
        ("no valid flags", Entry { plain: RECORD_MAX as u64 + 1, ..entry }),
        ("no valid flags", Entry { is_recipe: true, ..entry }),
    ];
    for (what, entry) in cases {
        let place = Place::new();
        craft(&place, &[(entry, frame.clone())]);
        refused(&place, id, what);
    }
}

#[test]
fn tables_out_of_order_and_sums_that_lie_are_reported() {
    let bodies = [prose(1, 300), prose(2, 300)];
    let records: Vec<_> =
        bodies.iter().map(|body| (whole(blob_id(body), body.len()), frame::encode_whole(body))).collect();
    let case = |what: &str, change: &dyn Fn(&mut Vec<Entry>, &mut crate::store::pack::format::Footer)| {
        let place = Place::new();
        craft_with(&place, &records, change);
        let reported = problems(&place.reopen());
        assert!(reported.iter().any(|problem| problem.contains(what)), "{what}: {reported:?}");
    };
    case("not sorted", &|entries, _| entries.reverse());
    case("not sorted", &|entries, _| entries[1] = entries[0]);
    case("sums in its footer", &|_, footer| footer.objects = 1 << 60);
    case("sums in its footer", &|_, footer| footer.plain_bytes = u64::MAX);
    case("number of its records", &|_, footer| footer.records = u64::MAX);
    case("overlap or leave gaps", &|entries, _| entries[0].offset = entries[1].offset);
    case("overlap or leave gaps", &|entries, footer| {
        entries.pop();
        footer.records = 1;
    });
    case("the lengths in its footer", &|_, footer| footer.table_offset = u64::MAX);
}

#[test]
fn deltas_that_rest_on_themselves_or_nothing_are_refused() {
    let (a, b) = (prose(1, 400), prose(2, 400));
    let delta = |of: &[u8], base: &[u8]| {
        let entry = Entry { form: Form::Delta(blob_id(base)), depth: 1, ..whole(blob_id(of), of.len()) };
        (entry, frame::encode_delta(base, of))
    };
    let circle = Place::new();
    craft(&circle, &[delta(&a, &b), delta(&b, &a)]);
    refused(&circle, blob_id(&a), "missing");
    let itself = Place::new();
    craft(&itself, &[delta(&a, &a)]);
    refused(&itself, blob_id(&a), "missing");
    let nothing = Place::new();
    craft(&nothing, &[delta(&a, &b)]);
    refused(&nothing, blob_id(&a), "missing");
    let wrong_base = Place::new();
    let wrong = (delta(&a, &b).0, frame::encode_delta(&prose(3, 400), &a));
    craft(&wrong_base, &[wrong, (whole(blob_id(&b), b.len()), frame::encode_whole(&b))]);
    refused(&wrong_base, blob_id(&a), "hash to another id");
}

fn recipe_entry(id: ObjectId, plain: u64) -> Entry {
    Entry { is_recipe: true, plain, ..whole(id, 0) }
}

#[test]
fn recipes_that_lie_are_refused() {
    let chunk = vec![1; 400_000];
    let body = vec![1; 800_000];
    let piece = Piece { id: blob_id(&chunk), length: 400_000 };
    let id = blob_id(&body);
    let chunk_record = (Entry { is_part: true, ..whole(piece.id, chunk.len()) }, frame::encode_whole(&chunk));
    let case = |what: &str, level: u8, pieces: Vec<Piece>| {
        let place = Place::new();
        let bytes = Recipe { level, pieces }.encode();
        craft(&place, &[chunk_record.clone(), (recipe_entry(id, 800_000), frame::encode_whole(&bytes))]);
        refused(&place, id, what);
    };
    case("do not add up", 0, vec![piece; 3]);
    case("do not add up", 0, vec![piece]);
    case("do not add up", 0, vec![piece, piece, Piece { length: 0, ..piece }]);
    case("do not add up", 0, vec![Piece { length: u64::MAX, ..piece }, Piece { length: 800_001, ..piece }]);
    case("do not add up", 0, vec![Piece { length: 800_000, ..piece }]);
    case("no recipe", 0, Vec::new());
    case("level 3", 3, vec![piece; 2]);
    case("no recipe", 1, vec![piece; 2]);
    case("missing", 0, vec![piece, Piece { id: blob_id(b"nothing"), ..piece }]);
    case("cannot be one", 0, vec![piece, Piece { id, ..piece }]);
    case("another length", 0, vec![Piece { length: 399_999, ..piece }, Piece { length: 400_001, ..piece }]);
    let other = vec![2; 400_000];
    let place = Place::new();
    let pieces = vec![piece, Piece { id: blob_id(&other), length: 400_000 }];
    let bytes = Recipe { level: 0, pieces }.encode();
    let other_record = (whole(blob_id(&other), other.len()), frame::encode_whole(&other));
    craft(
        &place,
        &[chunk_record.clone(), other_record, (recipe_entry(id, 800_000), frame::encode_whole(&bytes))],
    );
    refused(&place, id, "put together hash to another id");
}

#[test]
fn recipes_of_recipes_are_read_and_a_level_too_many_is_not() {
    let chunk = vec![3; 300_000];
    let piece = Piece { id: blob_id(&chunk), length: 300_000 };
    let inner = Recipe { level: 0, pieces: vec![piece; 2] }.encode();
    let inner_piece = Piece { id: blob_id(&inner), length: 600_000 };
    let body = vec![3; 1_200_000];
    let id = blob_id(&body);
    for (level, is_sound) in [(1, true), (2, false)] {
        let place = Place::new();
        let top = Recipe { level, pieces: vec![inner_piece; 2] }.encode();
        craft(
            &place,
            &[
                (whole(piece.id, chunk.len()), frame::encode_whole(&chunk)),
                (whole(inner_piece.id, inner.len()), frame::encode_whole(&inner)),
                (recipe_entry(id, 1_200_000), frame::encode_whole(&top)),
            ],
        );
        if is_sound {
            assert_eq!(place.reopen().try_find(id).expect("found").expect("there").data[..], body[..]);
        } else {
            refused(&place, id, "not one below");
        }
    }
}

#[test]
fn a_dictionary_is_a_blob_that_its_records_name() {
    let samples: Vec<Vec<u8>> = (0..400).map(|n| prose(n, 600)).collect();
    let dictionary = zstd::dict::from_samples(&samples, 8 << 10).expect("trained");
    let body = prose(1000, 600);
    let mut encoder = zstd::bulk::Compressor::with_dictionary(3, &dictionary).expect("an encoder");
    let frame = encoder.compress(&body).expect("compressed");
    assert!(frame.len() < frame::encode_whole(&body).len());
    let form = Form::Dictionary(blob_id(&dictionary));
    let entry = Entry { form, ..whole(blob_id(&body), body.len()) };
    let place = Place::new();
    craft(
        &place,
        &[
            (whole(blob_id(&dictionary), dictionary.len()), frame::encode_whole(&dictionary)),
            (entry, frame.clone()),
        ],
    );
    assert_eq!(place.reopen().try_find(blob_id(&body)).expect("found").expect("there").data[..], body[..]);
    assert_eq!(problems(&place.reopen()), [""; 0]);
    let without = Place::new();
    craft(&without, &[(entry, frame)]);
    refused(&without, blob_id(&body), "missing");
}

// Fuzzing found a pack in which a dictionary was compressed with itself: reading it went round until the stack was
// used up.
#[test]
fn a_dictionary_that_needs_a_dictionary_is_refused() {
    let samples: Vec<Vec<u8>> = (0..400).map(|n| prose(n, 600)).collect();
    let [first, second] =
        [&samples[..200], &samples[200..]].map(|of| zstd::dict::from_samples(of, 8 << 10).expect("trained"));
    let with = |dictionary: &[u8], bytes: &[u8]| {
        let mut encoder = zstd::bulk::Compressor::with_dictionary(3, dictionary).expect("an encoder");
        let entry =
            Entry { form: Form::Dictionary(blob_id(dictionary)), ..whole(blob_id(bytes), bytes.len()) };
        (entry, encoder.compress(bytes).expect("compressed"))
    };
    let body = prose(1000, 600);
    for records in [
        vec![with(&first, &first), with(&first, &body)],
        vec![with(&first, &second), with(&second, &first), with(&first, &body)],
    ] {
        let place = Place::new();
        craft(&place, &records);
        for (entry, _) in &records {
            let read = place.reopen().try_find(entry.id);
            assert!(read.is_err_and(|error| error.is_damage()), "{} is read", entry.id);
        }
        assert!(!problems(&place.reopen()).is_empty(), "verify reports it");
    }
}
