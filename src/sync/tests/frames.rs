//! Which frames leave, which arrive, and what becomes of them.

use zstd::zstd_safe::{CCtx, CParameter, compress_bound};

use super::place::{FETCH, Place, blob_id, cut_session, noise, session};
use crate::object::{Kind, ObjectId};
use crate::store::{Store, frame};
use crate::sync::frame::Frame;
use crate::sync::session::{Caller, Machine, Server, Step};
use crate::sync::{Class, SyncError};

/// Lines that grow, as a session's stream does.
fn stream(lines: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|n| format!("{{\"n\":{n},\"text\":\"{:?}\"}}\n", noise(n as u64, 40)).into_bytes())
        .collect()
}

/// Two devices; the far one has versions of a stream that the near one has not.
fn pair(lengths: &[usize]) -> (Place, Place) {
    let mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    let mut base = None;
    for lines in lengths {
        base = Some(commit(&mut pixel, *lines, base));
    }
    (mac, pixel)
}

/// Commits a stream of so many lines, stored on an older version of it.
fn commit(place: &mut Place, lines: usize, base: Option<ObjectId>) -> ObjectId {
    let mut writer = place.store.writer().expect("a writer");
    let id = writer.add(Kind::Blob, &stream(lines), base).expect("added");
    writer.publish().expect("published");
    place.commit(&[("stream.jsonl", &stream(lines)), ("note.md", &noise(lines as u64, 3000))]);
    id
}

fn sent(mac: &mut Place, pixel: &mut Place) -> Vec<Frame> {
    let mut seen = Vec::new();
    cut_session(mac, pixel, FETCH, usize::MAX, &mut seen).expect("whole");
    seen
}

/// Flips the first byte of the frame in which the store holds an object, or a chunk.
fn damage(place: &Place, id: ObjectId) {
    let frame = place.store.stored_frame(id, Kind::Blob, &|_| true).expect("it is stored by itself").frame;
    let objects = place.dot.path().join("objects");
    for entry in std::fs::read_dir(objects).expect("listed") {
        let path = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("read");
        let Some(at) = bytes.windows(frame.len()).position(|window| window == frame) else { continue };
        bytes[at] ^= 1;
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, bytes).expect("written");
    }
}

/// A place with what another one has and nothing remembered of it.
fn reopened(mut place: Place) -> Place {
    place.store = Store::open(&place.dot).expect("opened");
    place
}

#[test]
fn what_is_stored_on_the_version_before_is_sent_as_it_is_stored() {
    let (mut mac, pixel) = pair(&[100, 110, 120]);
    let mut pixel = reopened(pixel);
    let mut as_stored = 0;
    for frame in sent(&mut mac, &mut pixel) {
        if let Frame::Object { kind, id, base, squeezed, .. } = frame
            && let Some(stored) = pixel.store.stored_frame(id, kind, &|on| on == base)
        {
            assert_eq!(stored.frame, squeezed);
            as_stored += 1;
        }
    }
    assert!(as_stored > 3, "{as_stored}");
    assert_eq!(mac.files(), pixel.files());
    mac.check();
}

#[test]
fn a_large_object_that_grew_is_a_copy_and_what_is_new() {
    let (mut mac, mut pixel) = pair(&[8000, 8010]);
    let seen = sent(&mut mac, &mut pixel);
    let second = seen.iter().rposition(|frame| frame.name() == "large").expect("it is large");
    let pieces: Vec<_> =
        seen[second + 1..].iter().take_while(|f| matches!(f.name(), "copy" | "literal")).collect();
    assert_eq!(pieces.iter().map(|frame| frame.name()).collect::<Vec<_>>(), ["copy", "literal"]);
    let Frame::Literal { reference, squeezed, .. } = pieces[1] else { panic!("a literal") };
    assert!(reference.is_some() && squeezed.len() < 10_000, "{} bytes", squeezed.len());
    assert_eq!(mac.files(), pixel.files());
    mac.check();
}

#[test]
fn damage_on_the_side_that_sends_is_told_as_damage() {
    let (small, large) = ([100, 110], [8000, 8010]);
    for lengths in [small, large] {
        let (mut mac, pixel) = pair(&lengths);
        let wanted = blob_id(&stream(lengths[0]));
        // Of a large one the last chunk, on which the next version's rests.
        let chunks = pixel.store.chunks(wanted).expect("read").expect("there");
        damage(&pixel, chunks.last().expect("it has one").id);
        let mut pixel = reopened(pixel);
        let error = session(&mut mac, &mut pixel, FETCH).expect_err("it cannot be read");
        assert_eq!(error.class(), Class::Damaged, "{error:?}");
        assert!(mac.accepted.is_empty(), "nothing was taken over");
    }
}

#[test]
fn a_chunk_that_is_only_copied_is_not_read() {
    let (mut mac, mut pixel) = pair(&[8000]);
    session(&mut mac, &mut pixel, FETCH).expect("fetched");
    commit(&mut pixel, 8010, Some(blob_id(&stream(8000))));
    let chunks = pixel.store.chunks(blob_id(&stream(8010))).expect("read").expect("there");
    damage(&pixel, chunks[0].id);
    let mut pixel = reopened(pixel);
    session(&mut mac, &mut pixel, FETCH).expect("the other side has it");
    assert_eq!(mac.files()["stream.jsonl"], stream(8010));
    mac.check();
}

/// A frame of the peer's making decodes today. Whether every later decoder takes it nobody knows, and versions of this
/// side's own would rest on it.
#[test]
fn a_frame_of_strange_make_is_taken_and_not_kept() {
    let (mut mac, mut pixel) = pair(&[100]);
    let id = blob_id(&stream(100));
    let mut context = CCtx::create();
    context.set_parameter(CParameter::CompressionLevel(1)).expect("a level");
    context.set_parameter(CParameter::TargetCBlockSize(1340)).expect("a size");
    let mut strange = Vec::with_capacity(compress_bound(stream(100).len()) + 4096);
    context.compress2(&mut strange, &stream(100)).expect("compressed");
    assert_ne!(strange, frame::encode_whole(&stream(100)));
    {
        let mut server = Server::new(Box::new(|_| Ok(Box::new(super::place::Lent(&mut pixel)))));
        let mut caller = Caller::new(&mut mac, super::place::options(FETCH, "pixel")).expect("offered");
        let mut swapped = 0;
        for _ in 0..20 {
            while let Step::Send(frame) = caller.next_step().expect("it goes on") {
                server.receive(frame).expect("honest");
            }
            while let Step::Send(frame) = server.next_step().expect("it goes on") {
                let frame = match frame {
                    Frame::Object { kind, id: sent, size, base, .. } if sent == id => {
                        swapped += 1;
                        Frame::Object { kind, id: sent, size, base, squeezed: strange.clone() }
                    }
                    other => other,
                };
                caller.receive(frame).expect("it is taken");
            }
        }
        assert_eq!(swapped, 1);
    }
    assert_eq!(mac.files()["stream.jsonl"], stream(100));
    let kept = mac.store.stored_frame(id, Kind::Blob, &|_| true).expect("stored").frame;
    assert_eq!(kept, frame::encode_whole(&stream(100)), "it is this side's own");
}

/// A large object is hashed while the next frames come: who hangs up meanwhile has not planted it.
#[test]
fn a_large_object_that_is_another_leaves_nothing_though_the_line_is_cut_before_it_is_hashed() {
    let mut mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    pixel.commit(&[("big.bin", &noise(1, 600_000))]);
    {
        let mut server = Server::new(Box::new(|_| Ok(Box::new(super::place::Lent(&mut pixel)))));
        let mut caller = Caller::new(&mut mac, super::place::options(FETCH, "pixel")).expect("offered");
        let (mut lies, mut is_cut) = (0, false);
        for _ in 0..20 {
            while let Step::Send(frame) = caller.next_step().expect("it goes on") {
                server.receive(frame).expect("honest");
            }
            while !is_cut && let Step::Send(frame) = server.next_step().expect("it goes on") {
                let frame = match frame {
                    Frame::Literal { size, reference: None, squeezed } if lies == 0 => {
                        lies += 1;
                        let mut bytes = frame::decode(&squeezed, Some(size.into()), frame::Reference::None)
                            .expect("sound");
                        bytes[0] ^= 1;
                        Frame::Literal { size, reference: None, squeezed: frame::encode_whole(&bytes) }
                    }
                    other => other,
                };
                is_cut = frame.name() == "pack-end";
                if !is_cut {
                    caller.receive(frame).expect("the last two may wait for their hash");
                }
            }
            if is_cut {
                break;
            }
        }
        assert!(is_cut && lies == 1);
        caller.fail(&SyncError::Broke { waiting_for: "the rest" });
    }
    assert!(mac.incoming_files().is_empty(), "{:?}", mac.incoming_files());
    session(&mut mac, &mut pixel, FETCH).expect("an honest session afterwards");
    assert_eq!(mac.files(), pixel.files());
    mac.check();
}
