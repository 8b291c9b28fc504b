//! Bundles: what comes out of one is what a fetch would have brought, and nothing else is believed.

use sha2::{Digest, Sha256};

use super::place::{FETCH, Place, blob_id, bundled, file_of, noise, read_bundle, session};
use super::purging::{purge, tell};
use crate::fs::{Disk, RealDisk};
use crate::object::{CommitId, DeviceName, Kind, Lamport, ObjectId, Source, TreeId, VaultId};
use crate::store::{Stage, Store};
use crate::sync::bundle::{Bundle, BundleError, Checked, check};
use crate::sync::frame::{Frame, Hello, StampedBranch, StampedHead};
use crate::sync::{Class, Role, SyncError};

fn pair() -> (Place, Place) {
    let mut mac = Place::new("mac");
    mac.commit(&[("shared.md", b"one\n")]);
    let mut pixel = mac.cloned("pixel");
    pixel.commit(&[("pixel.md", b"pixel\n"), ("dir/note.md", b"a note\n")]);
    (mac, pixel)
}

fn heads(place: &Place) -> Vec<CommitId> {
    place.heads.iter().copied().collect()
}

/// Puts the right hash to the end of a bundle that was changed.
fn sealed_anew(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 32);
    let seal = Sha256::digest(&bytes);
    bytes.extend_from_slice(&seal);
    bytes
}

/// Checks a bundle against what a place has, or against nothing.
fn checked(bytes: &[u8], place: Option<&Place>) -> Result<Checked, SyncError> {
    let empty = Place::empty("nobody");
    let folder = tempfile::tempdir().expect("a folder");
    let scratch = RealDisk.open_dir(folder.path()).expect("opened");
    let bundle = Bundle::open(file_of(&empty, bytes), &mut |_| {})?;
    check(&bundle, &scratch, place.map_or(&empty.store, |place| &place.store), &mut |_| {})
}

#[test]
fn a_bundle_brings_what_a_fetch_brings() {
    let (mut mac, mut pixel) = pair();
    let mut by_wire = mac.cloned("tablet");
    session(&mut by_wire, &mut pixel, FETCH).expect("fetched");
    let bytes = bundled(&mut pixel, &[]);
    let summary = read_bundle(&mut mac, &bytes).expect("read");
    assert_eq!(summary.received.map(|received| received.commits.len()), Some(1));
    assert_eq!((&mac.heads, mac.files()), (&by_wire.heads, by_wire.files()));
    assert_eq!(mac.remotes["pixel"], pixel.heads);
    assert_eq!(pixel.logged.last(), Some(&heads(&pixel)), "what left was logged");
    mac.check();
}

#[test]
fn the_same_knowledge_makes_the_same_bytes() {
    let (mac, mut pixel) = pair();
    let since = heads(&mac);
    assert_eq!(bundled(&mut pixel, &since), bundled(&mut pixel, &since));
    assert!(bundled(&mut pixel, &since).len() < bundled(&mut pixel, &[]).len());
}

#[test]
fn a_second_delivery_writes_nothing() {
    let (mut mac, mut pixel) = pair();
    let bytes = bundled(&mut pixel, &heads(&mac));
    read_bundle(&mut mac, &bytes).expect("read");
    let packs = mac.store.packs().expect("listed").len();
    let summary = read_bundle(&mut mac, &bytes).expect("read again");
    assert_eq!(summary.received.map(|r| (r.commits.len(), r.objects)), Some((0, 0)));
    assert_eq!(mac.store.packs().expect("listed").len(), packs);
    assert!(mac.incoming_files().is_empty());
}

#[test]
fn bundles_that_overlap_bring_each_commit_once() {
    let (mut mac, mut pixel) = pair();
    let first = bundled(&mut pixel, &[]);
    pixel.commit(&[("pixel.md", b"pixel\nmore\n")]);
    let second = bundled(&mut pixel, &[]);
    read_bundle(&mut mac, &first).expect("read");
    let summary = read_bundle(&mut mac, &second).expect("read");
    assert_eq!(summary.received.map(|received| received.commits.len()), Some(1));
    assert_eq!(mac.heads, pixel.heads);
    mac.check();
}

#[test]
fn one_that_comes_too_early_is_refused_and_taken_later() {
    let (mut mac, mut pixel) = pair();
    let start = heads(&mac);
    let first = bundled(&mut pixel, &start);
    let middle = heads(&pixel);
    pixel.commit(&[("pixel.md", b"pixel\nmore\n")]);
    let second = bundled(&mut pixel, &middle);
    let error = read_bundle(&mut mac, &second).expect_err("the first is missing");
    let SyncError::Bundle(BundleError::Missing(missing)) = &error else { panic!("{error:?}") };
    assert_eq!((missing, error.kind(), error.class()), (&middle, "missing-commits", Class::Failed));
    assert!(error.to_string().contains(&middle[0].short()), "{error}");
    assert!(mac.remotes.is_empty() && mac.incoming_files().is_empty() && heads(&mac) == start);
    read_bundle(&mut mac, &first).expect("in order");
    read_bundle(&mut mac, &second).expect("now it fits");
    assert_eq!(mac.heads, pixel.heads);
}

#[test]
fn a_third_device_passes_on_what_it_knows() {
    let (mac, mut pixel) = pair();
    let mut tablet = mac.cloned("tablet");
    let mut desk = mac.cloned("desk");
    tablet.commit(&[("tablet.md", b"tablet\n")]);
    read_bundle(&mut tablet, &bundled(&mut pixel, &[])).expect("read");
    read_bundle(&mut desk, &bundled(&mut tablet, &heads(&mac))).expect("read");
    assert_eq!(desk.heads, tablet.heads);
    assert!(desk.heads.is_superset(&pixel.heads));
}

/// Whatever is cut off, the file is told as cut off or, in its first line, as none; nothing of it is taken.
#[test]
fn a_bundle_cut_at_any_byte_is_refused() {
    let (mut mac, mut pixel) = pair();
    let bytes = bundled(&mut pixel, &heads(&mac));
    let old = heads(&mac);
    for end in 0..bytes.len() {
        let error = read_bundle(&mut mac, &bytes[..end]).expect_err("it is cut off");
        assert!(
            matches!(error, SyncError::Bundle(BundleError::Cut(at)) if at == end as u64),
            "{end}: {error:?}"
        );
        assert_eq!((error.kind(), error.class()), ("bad-bundle", Class::Failed));
    }
    assert!(mac.remotes.is_empty() && mac.incoming_files().is_empty() && heads(&mac) == old);
}

#[test]
fn a_bundle_with_any_bit_flipped_is_refused() {
    let (mut mac, mut pixel) = pair();
    let bytes = bundled(&mut pixel, &heads(&mac));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let error = read_bundle(&mut mac, &changed).expect_err("a bit is not what it was");
        assert!(matches!(error, SyncError::Bundle(_)), "{at}: {error:?}");
        assert!(checked(&changed, None).is_err(), "{at}");
    }
    assert!(mac.remotes.is_empty() && mac.met.is_empty() && mac.incoming_files().is_empty());
}

/// The hash proves nothing about who wrote the file: with a right one every byte is still judged.
#[test]
fn a_bundle_changed_by_somebody_who_seals_it_anew_sets_nothing_that_does_not_hold() {
    let (mac, mut pixel) = pair();
    let bytes = bundled(&mut pixel, &heads(&mac));
    let mut taken = 0;
    for at in 0..bytes.len() - 32 {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let mut victim = mac.cloned("work");
        match read_bundle(&mut victim, &sealed_anew(changed)) {
            Ok(_) => {
                // The maker's name, its program, a stamp of the offer: nobody can tell these from the outside.
                taken += 1;
                assert!(victim.heads == pixel.heads || victim.heads == mac.heads, "{at}");
            }
            Err(_) => {
                assert_eq!(victim.heads, mac.heads, "{at}");
                assert!(victim.incoming_files().is_empty(), "{at}");
            }
        }
        victim.check();
    }
    assert!(taken < 100, "{taken} of {} changes were taken", bytes.len());
}

#[test]
fn bytes_behind_the_pack_are_refused() {
    let (mut mac, mut pixel) = pair();
    let mut bytes = bundled(&mut pixel, &[]);
    bytes.truncate(bytes.len() - 32);
    bytes.extend_from_slice(&[0; 64]);
    let error = read_bundle(&mut mac, &sealed_anew(bytes)).expect_err("something follows");
    assert!(matches!(error, SyncError::Bundle(BundleError::Content(_))), "{error:?}");
    assert!(mac.remotes.is_empty() && mac.incoming_files().is_empty());
}

#[test]
fn what_is_no_bundle_or_a_newer_one_is_told_as_that() {
    let mut mac = Place::new("mac");
    for (bytes, kind) in [
        (&b"PK\x03\x04 and so on, for more than a line"[..], "bad-bundle"),
        (b"mvault-bundle ten\n", "bad-bundle"),
        (b"mvault-bundle 2\nwhatever comes with it", "newer-format"),
        (b"mvault-bundle 1\n", "bad-bundle"),
        (b"", "bad-bundle"),
    ] {
        assert_eq!(read_bundle(&mut mac, bytes).expect_err("no bundle").kind(), kind);
    }
}

#[test]
fn a_bundle_is_checked_without_a_vault() {
    let (mac, mut pixel) = pair();
    let all = checked(&bundled(&mut pixel, &[]), None).expect("whole");
    assert_eq!((all.commits, all.unchecked, all.missing.len()), (3, 0, 0));
    let since = checked(&bundled(&mut pixel, &heads(&mac)), None).expect("whole");
    assert_eq!((since.commits, since.unchecked), (1, 0), "small objects rest on nothing outside");
    assert_eq!(since.missing, heads(&mac));
    let here = checked(&bundled(&mut pixel, &heads(&mac)), Some(&mac)).expect("whole");
    assert!(here.missing.is_empty());
}

#[test]
fn a_large_object_that_grew_costs_its_growth_and_is_checked_where_its_base_is() {
    let mut mac = Place::new("mac");
    let log = noise(5, 3 << 20);
    mac.commit(&[("log.bin", &log)]);
    let mut pixel = mac.cloned("pixel");
    let grown = [&log[..], b"a line\n"].concat();
    pixel.commit(&[("log.bin", &grown)]);
    pixel.commit(&[("log.bin", &[&grown[..], b"another\n"].concat())]);
    let bytes = bundled(&mut pixel, &heads(&mac));
    assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
    assert_eq!(checked(&bytes, None).expect("whole").unchecked, 2);
    assert_eq!(checked(&bytes, Some(&mac)).expect("whole").unchecked, 0);
    read_bundle(&mut mac, &bytes).expect("read");
    assert_eq!(mac.files(), pixel.files());
}

#[test]
fn a_commit_that_is_left_out_is_missed_without_a_vault_as_well() {
    let mut lost = Place::new("mac");
    lost.commit(&[("a", b"a")]);
    let start = heads(&lost);
    lost.commit(&[("a", b"b")]);
    // It says that it needs nothing, and holds the last commit alone.
    let mut bytes = bundled(&mut lost, &start);
    let at = bytes.windows(9).position(|w| w == [6, 0, 0, 0, 36, 0, 0, 0, 1]).expect("the prerequisites");
    bytes.splice(at..at + 41, [6, 0, 0, 0, 4, 0, 0, 0, 0]);
    let error = checked(&sealed_anew(bytes), None).expect_err("a parent is missing");
    assert!(error.to_string().contains("a parent that did not come"), "{error}");
}

/// A purge was agreed to here; the phone made its bundle without knowing of it.
#[test]
fn what_was_purged_here_is_not_kept_and_the_rest_is() {
    let secret = noise(41, 3000);
    let large = noise(42, 2 << 20);
    let mut mac = Place::new("mac");
    mac.commit(&[("keys", &secret), ("image", &large)]);
    let mut pixel = mac.cloned("pixel");
    purge(&mut mac, &[blob_id(&secret), blob_id(&large)], TreeId::empty());
    tell(&mac, &[blob_id(&secret), blob_id(&large)], Stage::Gone);
    let edited = [&secret[..], b"a line"].concat();
    pixel.commit(&[("keys", &edited)]);
    read_bundle(&mut mac, &bundled(&mut pixel, &[])).expect("the rest is taken");
    assert!(mac.heads.is_superset(&pixel.heads));
    assert!(!mac.store.contains(blob_id(&secret)).expect("asked"));
    assert!(!mac.store.contains(blob_id(&large)).expect("asked"));
    assert_eq!(mac.store.find(blob_id(&edited), Kind::Blob).expect("whole").data[..], edited[..]);
    assert!(mac.incoming_files().is_empty());
}

#[test]
fn a_clone_out_of_a_bundle_takes_over_the_vaults_id() {
    let (_, mut pixel) = pair();
    let mut tablet = Place::empty("tablet");
    read_bundle(&mut tablet, &bundled(&mut pixel, &[])).expect("a clone");
    assert_eq!((tablet.vault, &tablet.heads), (pixel.vault, &pixel.heads));
    assert!(Store::open(&tablet.dot).is_ok());
}

#[test]
fn the_bundle_on_the_page_about_the_wire_is_one() {
    let page = include_str!("../../../docs/sync.md");
    let id = ObjectId::from_bytes(std::array::from_fn(|n| n as u8));
    let head = StampedHead { id: CommitId::new(id), lamport: Lamport(42) };
    let hello = Hello {
        version: 1,
        oldest: 1,
        role: Role::Server,
        intent: FETCH,
        device: DeviceName::parse("mac").expect("valid"),
        epoch: [9; 16],
        vault: Some(VaultId::new([3; 16])),
        anchor: None,
        rule: 1,
        program: "mvault 0.1.0".into(),
        path: None,
    };
    let frames = [
        Frame::Hello(Box::new(hello.clone())),
        Frame::Offer(vec![StampedBranch { name: "main".into(), heads: vec![head] }]),
        Frame::Common(vec![head.id]),
        Frame::Pack { commits: 0 },
        Frame::PackEnd { objects: 0 },
    ];
    let mut bytes = b"mvault-bundle 1\n".to_vec();
    frames.iter().for_each(|frame| bytes.extend_from_slice(&frame.encode()));
    let bytes = sealed_anew([&bytes[..], &[0; 32]].concat());
    let section = page.split("\n## Bundles\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let vector = section.and_then(|section| section.split("Test vector").nth(1)).expect("it is there");
    let shown: String = vector.lines().filter_map(|line| line.strip_prefix("    ")).map(str::trim).collect();
    assert_eq!(shown, hex::encode(&bytes));
    let bundle = Bundle::open(file_of(&Place::empty("work"), &bytes), &mut |_| {}).expect("a bundle");
    assert_eq!((bundle.hello, bundle.prerequisites), (hello, vec![head.id]));
}
