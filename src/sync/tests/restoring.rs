//! Single objects by their ids: what comes, what is never given, and what a liar can do.

use super::place::{Lent, Place, blob_id, noise};
use crate::object::{Kind, ObjectId};
use crate::store::{Stage, Tombstone, frame};
use crate::sync::frame::Frame;
use crate::sync::session::{Brought, Ending, Machine, Restorer, Server};
use crate::sync::{RefusalKind, SyncError, local};

/// A device with a history, and one that has the same commits and lost all its packs.
fn two() -> (Place, Place) {
    let mut pixel = Place::new("pixel");
    pixel.commit(&[("a.md", b"one\n"), ("notes/b.md", b"two\n"), ("large.bin", &noise(3, 700_000))]);
    pixel.commit(&[("a.md", b"one\nmore\n")]);
    let mut mac = Place::empty("mac");
    mac.vault = pixel.vault;
    (mac, pixel)
}

fn restore(mac: &mut Place, pixel: &mut Place, wanted: Vec<ObjectId>) -> Result<Brought, SyncError> {
    local::restore(mac, wanted, Box::new(move |_| Ok(Box::new(Lent(pixel)))))
}

fn head(place: &Place) -> ObjectId {
    place.heads.iter().next().expect("a head").object()
}

#[test]
fn a_lost_head_comes_back_with_all_it_leads_to_and_moves_no_ref() {
    let (mut mac, mut pixel) = two();
    let wanted = vec![head(&pixel)];
    let brought = restore(&mut mac, &mut pixel, wanted).expect("restored");
    assert_eq!(brought.objects, 10, "three commits, two roots, a folder, four blobs");
    assert!(mac.heads.is_empty() && mac.remotes.is_empty() && mac.accepted.is_empty());
    assert!(pixel.remotes.is_empty() && pixel.accepted.is_empty());
    assert_eq!(pixel.logged.len(), 1, "what leaves is logged as offered");
    mac.heads = pixel.heads.clone();
    assert_eq!(mac.files(), pixel.files());
    mac.check();
    let wanted = vec![head(&mac)];
    let again = restore(&mut mac, &mut pixel, wanted).expect("nothing to do");
    assert_eq!(again.bytes, 0);
}

#[test]
fn only_what_an_offered_head_leads_to_is_given() {
    let (mut mac, mut pixel) = two();
    let private = b"never offered\n".to_vec();
    pixel.put(vec![(Kind::Blob, private.clone())]);
    let wanted = vec![blob_id(&private), blob_id(b"not there\n"), blob_id(b"one\n")];
    let brought = restore(&mut mac, &mut pixel, wanted).expect("restored");
    assert_eq!(brought.objects, 1);
    assert!(mac.store.contains(blob_id(b"one\n")).expect("asked"));
    assert!(!mac.store.contains(blob_id(&private)).expect("asked"));
}

#[test]
fn what_is_purged_on_either_side_does_not_come() {
    for at_server in [true, false] {
        let (mut mac, mut pixel) = two();
        let stone =
            Tombstone { stage: Stage::Due, device: "mac".into(), at: String::new(), why: String::new() };
        let place = if at_server { &pixel } else { &mac };
        place.store.set_tombstones([(blob_id(b"one\n"), stone)].into());
        let wanted = vec![blob_id(b"one\n"), blob_id(b"two\n")];
        restore(&mut mac, &mut pixel, wanted).expect("restored");
        assert!(!mac.store.still_has(blob_id(b"one\n")).expect("asked"));
        assert!(mac.store.still_has(blob_id(b"two\n")).expect("asked"));
    }
}

#[test]
fn a_cut_at_any_frame_is_gone_on_with() {
    for cut in 1.. {
        let (mut mac, mut pixel) = two();
        let wanted = vec![head(&pixel)];
        let mut passed = 0;
        let whole = {
            let mut near = Restorer::new(&mut mac, wanted.clone(), None).expect("begun");
            let mut far = Server::new(Box::new(|_| Ok(Box::new(Lent(&mut pixel)))));
            local::join(&mut near, &mut far, &mut |_| {
                passed += 1;
                passed < cut
            })
            .is_ok()
        };
        // What is kept is kept before the last word, so a cut there finds all of it.
        let count = |place: &Place| place.store.ids().expect("listed").len();
        assert!(count(&mac) == 0 || count(&mac) == count(&pixel), "cut {cut}: all or nothing");
        assert!(!whole || count(&mac) > 0, "cut {cut}");
        if whole {
            assert!(cut > 20, "{cut}");
            return;
        }
        for _ in 0..2 {
            restore(&mut mac, &mut pixel, wanted.clone()).expect("goes on");
            let missing: Vec<ObjectId> =
                pixel.store.ids().expect("listed").into_iter().map(|(id, _)| id).collect();
            let missing = missing.into_iter().filter(|id| !mac.store.contains(*id).expect("asked"));
            let missing: Vec<ObjectId> = missing.collect();
            restore(&mut mac, &mut pixel, missing).expect("what an earlier try left did not lead on");
        }
        mac.heads = pixel.heads.clone();
        mac.check();
    }
}

#[test]
fn a_liar_leaves_nothing() {
    let lie = |bytes: &[u8], id| Frame::Object {
        kind: Kind::Blob,
        id,
        size: bytes.len() as u32,
        base: None,
        squeezed: frame::encode_whole(bytes),
    };
    let (wanted, other) = (blob_id(b"one\n"), blob_id(b"two\n"));
    let based = Frame::Object {
        kind: Kind::Blob,
        id: wanted,
        size: 4,
        base: Some(other),
        squeezed: frame::encode_whole(b"one\n"),
    };
    let lies: [&[Frame]; 5] = [
        &[lie(b"two\n", wanted)],
        &[lie(b"two\n", other)],
        &[lie(b"one\n", wanted), lie(b"one\n", wanted)],
        &[lie(b"one\n", wanted), Frame::PackEnd { objects: 2 }],
        &[based],
    ];
    for lie in lies {
        let (mut mac, mut pixel) = two();
        let mut near = Restorer::new(&mut mac, vec![wanted], None).expect("begun");
        let mut far = Server::new(Box::new(|_| Ok(Box::new(Lent(&mut pixel)))));
        let cut = local::join(&mut near, &mut far, &mut |frame| frame.name() != "pack");
        assert!(cut.is_err());
        drop((near, far));
        let mut near = Restorer::new(&mut mac, vec![wanted], None).expect("begun");
        let mut honest = Server::new(Box::new(|_| Ok(Box::new(Lent(&mut pixel)))));
        feed_until_pack(&mut near, &mut honest);
        let taken = lie.iter().cloned().try_for_each(|frame| near.receive(frame));
        let error = taken.expect_err("a lie");
        assert!(near.fail(&error).is_some(), "it is told");
        assert!(near.summary().is_some());
        assert!(mac.store.ids().expect("listed").is_empty() && mac.incoming_files().is_empty(), "{lie:?}");
    }
}

/// Lets two ends talk until a pack has begun.
fn feed_until_pack(near: &mut Restorer<'_>, far: &mut Server<'_>) {
    use crate::sync::session::Step;
    loop {
        while let Step::Send(frame) = near.next_step().expect("a step") {
            far.receive(frame).expect("taken");
        }
        while let Step::Send(frame) = far.next_step().expect("a step") {
            let is_pack = frame.name() == "pack";
            near.receive(frame).expect("taken");
            if is_pack {
                return;
            }
        }
    }
}

#[test]
fn another_vault_gives_nothing() {
    let (mut mac, mut pixel) = two();
    mac.vault = Some(crate::object::VaultId::new([8; 16]));
    let wanted = vec![head(&pixel)];
    match restore(&mut mac, &mut pixel, wanted) {
        Err(SyncError::Refused(refusal)) => assert_eq!(refusal.kind, RefusalKind::Unrelated),
        other => panic!("{other:?}"),
    }
}
