//! Trees and commits that a working tree, a merge or an encoder cannot do with are refused when they come, whichever
//! way they come. Such a head passed every check once: then no reconcile could process it, on this device and on each
//! that synced with it, and no command took it away.

use super::place::{FETCH, Place, bundled, file_of, read_bundle, session};
use crate::fs::{Disk, RealDisk};
use crate::object::{CommitId, Kind, Mode, ObjectId, Tree, TreeEntry, TreeId, hash_object};
use crate::store::{Store, frame};
use crate::sync::bundle::{Bundle, BundleError, check};
use crate::sync::frame::Frame;
use crate::sync::receive::{Ours, Outside, ReceiveError, Receiving, Sender};
use crate::sync::{Class, SyncError};

/// Trees and blobs that are being made.
#[derive(Default)]
struct Made(Vec<(Kind, Vec<u8>)>);

impl Made {
    fn blob(&mut self, bytes: &[u8]) -> ObjectId {
        self.0.push((Kind::Blob, bytes.to_vec()));
        hash_object(Kind::Blob, bytes)
    }

    fn tree(&mut self, entries: &[(Mode, &str, ObjectId)]) -> TreeId {
        let entry = |(mode, name, id): &(Mode, &str, ObjectId)| TreeEntry {
            mode: *mode,
            name: (*name).into(),
            id: *id,
        };
        let tree = Tree::from_entries(entries.iter().map(entry));
        self.0.push((Kind::Tree, tree.encode()));
        tree.id()
    }
}

fn pair() -> (Place, Place) {
    let mut mac = Place::new("mac");
    mac.commit(&[("continuity.md", b"one\n")]);
    let pixel = mac.cloned("pixel");
    (mac, pixel)
}

fn commit_tree(place: &mut Place, made: Made, tree: TreeId) -> CommitId {
    place.put(made.0);
    let commit = place.authored(tree, place.heads.iter().copied().collect());
    place.put(vec![(Kind::Commit, commit.encode())]);
    place.heads = [commit.id()].into();
    commit.id()
}

/// Lets `pixel` offer a tree to `mac` over the wire and in a bundle. Both are refused for what `says` says, nothing
/// stays, and an honest head comes through afterwards.
fn refused(says: &str, make: impl FnOnce(&mut Made) -> TreeId) {
    let (mut mac, mut pixel) = pair();
    let old = mac.heads.clone();
    let mut made = Made::default();
    let tree = make(&mut made);
    commit_tree(&mut pixel, made, tree);
    refused_by(&mut mac, &mut pixel, says);
    pixel.heads = old;
    pixel.commit(&[("fine.md", b"fine")]);
    session(&mut mac, &mut pixel, FETCH).expect("honest");
    mac.check();
}

fn refused_by(mac: &mut Place, pixel: &mut Place, says: &str) {
    let old = mac.heads.clone();
    let error = session(mac, pixel, FETCH).expect_err(says);
    assert_eq!(error.class(), Class::Peer, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    let bytes = bundled(pixel, &[]);
    let mut by_file = mac.cloned("tablet");
    let error = read_bundle(&mut by_file, &bytes).expect_err(says);
    assert!(matches!(error, SyncError::Bundle(BundleError::Content(_))), "{error:?}");
    for has in [true, false] {
        let empty = Place::empty("nobody");
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = RealDisk.open_dir(folder.path()).expect("opened");
        let bundle = Bundle::open(file_of(&empty, &bytes), &mut |_| {}).expect("a bundle");
        let store: &Store = if has { &mac.store } else { &empty.store };
        let error = check(&bundle, &scratch, store, &mut |_| {}).expect_err(says);
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(mac.heads, old);
    assert!(mac.incoming_files().is_empty() && mac.remotes.is_empty());
}

fn nested(made: &mut Made, mut tree: TreeId, name: &str, depth: usize) -> TreeId {
    for _ in 0..depth {
        tree = made.tree(&[(Mode::Tree, name, tree.object())]);
    }
    tree
}

#[test]
fn paths_longer_than_a_vault_holds_are_refused_however_their_names_are_cut() {
    for (name, depth) in [("d".repeat(255), 17), ("dd".to_owned(), 2047)] {
        refused("longer than 4096 bytes", |made| {
            let blob = made.blob(b"deep");
            let tree = made.tree(&[(Mode::File, &"f".repeat(255), blob)]);
            nested(made, tree, &name, depth)
        });
    }
    let (mut mac, mut pixel) = pair();
    let mut made = Made::default();
    let blob = made.blob(b"deep");
    let tree = made.tree(&[(Mode::File, "f", blob)]);
    let tree = nested(&mut made, tree, &"d".repeat(255), 15);
    commit_tree(&mut pixel, made, tree);
    session(&mut mac, &mut pixel, FETCH).expect("the longest that fit are taken");
}

#[test]
fn a_folder_that_is_here_already_counts_where_it_stands_now() {
    // Half of the path came in one session, and the other half on top of it in the next.
    let (mut mac, mut pixel) = pair();
    let mut made = Made::default();
    let blob = made.blob(b"deep");
    let tree = made.tree(&[(Mode::File, "f", blob)]);
    let half = nested(&mut made, tree, &"d".repeat(255), 10);
    commit_tree(&mut pixel, made, half);
    session(&mut mac, &mut pixel, FETCH).expect("half of it is fine");
    let mut made = Made::default();
    let whole = nested(&mut made, half, &"e".repeat(255), 10);
    commit_tree(&mut pixel, made, whole);
    mac.remotes.clear();
    refused_by(&mut mac, &mut pixel, "longer than 4096 bytes");
}

#[test]
fn few_trees_that_a_walk_meets_very_often_are_refused() {
    // Thirty objects, and a walk of a thousand million steps.
    refused("more than 4000000 files and folders", |made| {
        let blob = made.blob(b"again");
        let mut tree = made.tree(&[(Mode::File, "a", blob), (Mode::File, "b", blob)]);
        for _ in 0..29 {
            tree = made.tree(&[(Mode::Tree, "a", tree.object()), (Mode::Tree, "b", tree.object())]);
        }
        tree
    });
    // The same, in steps of which each is fine.
    let (mut mac, mut pixel) = pair();
    let mut made = Made::default();
    let blob = made.blob(b"again");
    let mut tree = made.tree(&[(Mode::File, "a", blob), (Mode::File, "b", blob)]);
    for _ in 0..19 {
        tree = made.tree(&[(Mode::Tree, "a", tree.object()), (Mode::Tree, "b", tree.object())]);
    }
    commit_tree(&mut pixel, made, tree);
    session(&mut mac, &mut pixel, FETCH).expect("two million are fine");
    let mut made = Made::default();
    let more = made.tree(&[(Mode::Tree, "a", tree.object()), (Mode::Tree, "b", tree.object())]);
    commit_tree(&mut pixel, made, more);
    mac.remotes.clear();
    refused_by(&mut mac, &mut pixel, "more than 4000000");
}

#[test]
fn link_targets_that_no_system_makes_are_refused() {
    for (target, says) in [
        (vec![b'a'; 4096], "longer than 4095 bytes"),
        (vec![b'a'; 700_000], "longer than 4095 bytes"),
        (Vec::new(), "is empty"),
        (b"a\0b".to_vec(), "a zero byte"),
    ] {
        refused(says, |made| {
            let blob = made.blob(&target);
            let inner = made.tree(&[(Mode::Symlink, "l", blob)]);
            made.tree(&[(Mode::Tree, "d", inner.object())])
        });
    }
}

#[test]
fn a_file_that_becomes_a_link_is_looked_at_again() {
    // Its name and blob are as before, so the entry counted as known.
    let (mut mac, mut pixel) = pair();
    let mut made = Made::default();
    let blob = made.blob(&[b'a'; 5000]);
    let tree = made.tree(&[(Mode::File, "f", blob), (Mode::File, "g", blob)]);
    commit_tree(&mut pixel, made, tree);
    session(&mut mac, &mut pixel, FETCH).expect("a file of 5,000 bytes");
    let mut made = Made::default();
    let tree = made.tree(&[(Mode::Symlink, "f", blob), (Mode::File, "g", blob)]);
    commit_tree(&mut pixel, made, tree);
    mac.remotes.clear();
    refused_by(&mut mac, &mut pixel, "longer than 4095 bytes");
}

fn receiving(mac: &Place) -> Receiving {
    let ours = Ours {
        vault: mac.vault,
        allows_unrelated: false,
        device: mac.device.clone(),
        limits: mac.limits,
        outside: Outside::Checked,
        sender: Sender::Device,
        gate_wait: std::time::Duration::ZERO,
    };
    let root = mac.dot.open_or_create_dir("incoming").expect("made");
    Receiving::open(&root, "pixel", &mac.store, ours).expect("opened")
}

fn object(kind: Kind, bytes: &[u8]) -> Frame {
    Frame::Object {
        kind,
        id: hash_object(kind, bytes),
        size: bytes.len() as u32,
        base: None,
        squeezed: frame::encode_whole(bytes),
    }
}

#[test]
fn a_link_whose_target_comes_after_it_is_judged_when_it_comes() {
    // A blob may be missing if a later commit purges it. So the link came first, and what it names later, for a file.
    let mac = Place::new("mac");
    let target = [b'a'; 5000];
    let blob = hash_object(Kind::Blob, &target);
    let mut made = Made::default();
    let tree = made.tree(&[(Mode::Symlink, "l", blob)]);
    let commit = mac.authored(tree, mac.heads.iter().copied().collect());
    let mut receiving = receiving(&mac);
    receiving.take(object(Kind::Tree, &made.0[0].1)).expect("a tree");
    receiving.take(object(Kind::Commit, &commit.encode())).expect("it may be purged later");
    let error = receiving.take(object(Kind::Blob, &target)).expect_err("it is too long for a link");
    assert!(error.to_string().contains("longer than 4095 bytes"), "{error}");
    assert!(matches!(receiving.refuse(error), ReceiveError::Content(_)));
    assert!(mac.incoming_files().is_empty());
}

#[test]
fn commits_that_would_not_be_written_again_as_they_came_are_refused() {
    // Two forms ended the process of the receiver: the encoder of the time cannot write an offset above 99 hours, and
    // a doubled address is read as part of the name.
    let mac = Place::new("mac");
    let good = String::from_utf8(mac.authored(TreeId::empty(), mac.heads.iter().copied().collect()).encode())
        .expect("text");
    assert!(good.contains("author Ada <ada@example> 1700000000 +0000\n"), "{good}");
    for line in [
        "Ada <ada@example> 1700000000 +9999",
        "Ada <ada@example> 1700000000 -9999",
        "Ada <ada@example> 1700000000 +9960",
        "Ada <ada@example> 1700000000 +99999",
        "Ada <ada@example> 1700000000 +0060",
        "Ada <ada@example> 1700000000 -0000",
        "Ada <ada@example> 99999999999999999999 +0000",
        "Ada <ada@example> 170000 <ada@example> 1700000000 +0000",
        "Ada <ada@<example> 1700000000 +0000",
        "Ada> <ada@example> 1700000000 +0000",
        "Ada <ada@example>> 1700000000 +0000",
        "Ada <ada@example 1700000000 +0000",
        "Ada ada@example> 1700000000 +0000",
        "<> <ada@example> 1700000000 +0000",
        "Ada <ada@example> +0000",
        "Ada <ada@example>",
        " Ada  <ada@example> 1700000000 +0000",
        "",
    ] {
        for field in ["author", "committer"] {
            let bad = good.replace(
                &format!("{field} Ada <ada@example> 1700000000 +0000\n"),
                &format!("{field} {line}\n"),
            );
            assert_ne!(bad, good);
            let mut receiving = receiving(&mac);
            let error = receiving.take(object(Kind::Commit, bad.as_bytes())).expect_err(line);
            assert!(matches!(receiving.refuse(error), ReceiveError::Content(_)), "{field} {line}");
        }
    }
    assert!(mac.incoming_files().is_empty());
}

#[test]
fn a_file_above_the_limit_of_the_vault_is_refused_before_a_byte_of_it_comes() {
    // Blobs of zeros cost 44 bytes for each 512 KiB: 90 KB on the wire filled a disk of 600 MiB.
    let (mut mac, mut pixel) = pair();
    pixel.commit(&[("big.bin", &vec![0; 2 << 20])]);
    mac.limits.file_bytes_max = 1 << 20;
    let error = session(&mut mac, &mut pixel, FETCH).expect_err("it is too large");
    assert_eq!(error.to_string(), "a file of 2 MiB came, and the limit of this vault is 1 MiB");
    assert_eq!((error.class(), error.kind()), (Class::Failed, "limit"));
    assert!(mac.incoming_files().iter().all(|name| !name.starts_with("part-")));
    mac.limits.file_bytes_max = u64::MAX;
    session(&mut mac, &mut pixel, FETCH).expect("a person let it in");
    mac.check();
}

#[test]
fn what_the_disk_has_no_room_for_is_refused_and_leaves_nothing() {
    // No disk has an exbibyte. What was announced is not believed until it comes, and was written all the same.
    let mac = Place::new("mac");
    let mut receiving = receiving(&mac);
    receiving.take(object(Kind::Blob, b"something small before it")).expect("taken");
    let id = ObjectId::from_bytes([5; 32]);
    let huge = Frame::Large { kind: Kind::Blob, id, size: 1 << 39, base: None, from: 0 };
    let error = receiving.take(huge).expect_err("there is no room");
    assert!(error.is_full() && error.to_string().contains("MiB are free"), "{error}");
    receiving.refuse(error);
    assert!(mac.incoming_files().is_empty(), "{:?}", mac.incoming_files());
    assert!(!mac.store.knows(id).expect("asked"));
}
