//! Purged blobs on the wire: what is missing must be explained, what is gone does not come back.

use super::place::{FETCH, Place, SYNC, blob_id, noise, session};
use crate::object::{BlobId, Commit, CommitId, Kind, ObjectId, Source, TreeId};
use crate::store::{Stage, Tombstone};
use crate::sync::SyncError;
use crate::sync::receive::ReceiveError;

pub fn purge(place: &mut Place, blobs: &[ObjectId], tree: TreeId) -> CommitId {
    let parents: Vec<CommitId> = place.heads.iter().copied().collect();
    let mut purges: Vec<BlobId> = blobs.iter().copied().map(BlobId::new).collect();
    purges.sort();
    let commit = Commit { purges, ..place.authored(tree, parents) };
    place.put(vec![(Kind::Commit, commit.encode())]);
    place.heads = [commit.id()].into();
    commit.id()
}

/// Says at a place that blobs are purged, and removes their bytes if they are gone.
pub fn tell(place: &Place, blobs: &[ObjectId], stage: Stage) {
    let stone = Tombstone { stage, device: "mac".into(), at: String::new(), why: String::new() };
    let mut stones = (*place.store.tombstones()).clone();
    stones.extend(blobs.iter().map(|id| (*id, stone.clone())));
    place.store.set_tombstones(stones);
    if stage == Stage::Gone {
        let needed = place.store.ids().expect("listed").into_iter().map(|(id, _)| id);
        let needed = needed.filter(|id| !blobs.contains(id)).collect();
        place.store.remove(&blobs.iter().copied().collect(), &needed).expect("removed");
    }
}

fn tree(place: &Place) -> TreeId {
    let head = *place.heads.iter().next().expect("a head");
    place.store_commit(head).tree
}

fn secret() -> Vec<u8> {
    noise(41, 3000)
}

/// `pixel` has a secret that `mac` has never seen, and removed its bytes; with or without a tombstone.
fn without_bytes(has_tombstone: bool) -> (Place, Place) {
    let mut mac = Place::new("mac");
    mac.commit(&[("a.md", b"a\n")]);
    let mut pixel = mac.cloned("pixel");
    let clean = tree(&pixel);
    pixel.commit(&[("keys", &secret())]);
    pixel.commit(&[("dir/keys", &secret()), ("b.md", b"b\n")]);
    if has_tombstone {
        purge(&mut pixel, &[blob_id(&secret())], clean);
    }
    tell(&pixel, &[blob_id(&secret())], Stage::Gone);
    (mac, pixel)
}

#[test]
fn a_blob_that_a_later_commit_purges_may_be_missing() {
    let (mut mac, mut pixel) = without_bytes(true);
    session(&mut mac, &mut pixel, FETCH).expect("the purge explains what is missing");
    assert_eq!(mac.heads, pixel.heads);
    assert!(!mac.store.contains(blob_id(&secret())).expect("asked"));
}

#[test]
fn a_blob_that_no_commit_purges_is_missed_and_nothing_is_believed() {
    let (mut mac, mut pixel) = without_bytes(false);
    let old = mac.heads.clone();
    let error = session(&mut mac, &mut pixel, FETCH).expect_err("nothing explains what is missing");
    assert!(matches!(error, SyncError::Receive(ReceiveError::Content(_))), "{error:?}");
    assert_eq!(mac.heads, old);
    assert!(mac.remotes.is_empty() && mac.incoming_files().is_empty());
    // A tombstone that is known from elsewhere explains it as well.
    tell(&mac, &[blob_id(&secret())], Stage::Noted);
    session(&mut mac, &mut pixel, FETCH).expect("it is known to be purged");
}

#[test]
fn a_tombstone_of_something_else_explains_nothing() {
    let (mut mac, mut pixel) = without_bytes(false);
    let now = tree(&pixel);
    purge(&mut pixel, &[blob_id(b"something else")], now);
    session(&mut mac, &mut pixel, FETCH).expect_err("nothing explains what is missing");
    assert!(mac.remotes.is_empty());
}

#[test]
fn what_is_purged_here_is_neither_taken_nor_rested_on() {
    let mut mac = Place::new("mac");
    mac.commit(&[("keys", &secret())]);
    let mut pixel = mac.cloned("pixel");
    let empty = TreeId::empty();
    purge(&mut mac, &[blob_id(&secret())], empty);
    tell(&mac, &[blob_id(&secret())], Stage::Gone);
    // The phone knows nothing of it: it edits the file, and moves its old content elsewhere.
    let edited = [&secret()[..], b"a line"].concat();
    pixel.commit(&[("keys", &edited), ("old", &secret())]);
    session(&mut mac, &mut pixel, SYNC).expect("works");
    assert!(!mac.store.contains(blob_id(&secret())).expect("asked"));
    assert_eq!(mac.store.find(blob_id(&edited), Kind::Blob).expect("whole").data[..], edited[..]);
    assert!(pixel.store.contains(blob_id(&secret())).expect("asked"), "nobody removed it there");
}

#[test]
fn a_noted_blob_is_not_passed_on() {
    let mut mac = Place::new("mac");
    mac.commit(&[("keys", &secret())]);
    purge(&mut mac, &[blob_id(&secret())], TreeId::empty());
    tell(&mac, &[blob_id(&secret())], Stage::Noted);
    let mut tablet = Place::empty("tablet");
    session(&mut tablet, &mut mac, FETCH).expect("a clone");
    assert_eq!(tablet.heads, mac.heads);
    assert!(!tablet.store.contains(blob_id(&secret())).expect("asked"));
    assert!(mac.store.contains(blob_id(&secret())).expect("asked"));
}
