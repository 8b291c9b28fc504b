//! Merging: many small packs become few, and nothing is lost on the way, whatever happens to it.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Place, add_blob, noise, problems, prose, read};
use crate::fs::Disk;
use crate::fs::sim::{Effect, Fault, SimDisk, Which};
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::pack::format::{Entry, Form};
use crate::store::{MERGED_MAX, PackId, PackWriter, Result, Store, frame};

/// Adds one blob in a pack that takes others in.
fn commit(store: &Store, bytes: &[u8], base: Option<ObjectId>) -> ObjectId {
    let mut writer = store.writer().expect("a writer");
    let id = writer.add(Kind::Blob, bytes, base).expect("added");
    writer.publish_merging().expect("published");
    id
}

#[test]
fn n_packs_leave_a_logarithm_of_n_and_every_object() {
    let place = Place::new();
    let mut expected = BTreeMap::new();
    let mut text = prose(1, 2000);
    let (mut last, mut most) = (None, 0);
    for n in 0..1200 {
        text.extend_from_slice(format!("line {n}\n").as_bytes());
        let id = commit(&place.store, &text, last);
        most = most.max(place.store.packs().expect("packs").len());
        expected.insert(id, text.clone());
        last = Some(id);
    }
    assert!(most <= 3 * 6, "{most} packs at once");
    for store in [place.store.clone(), place.reopen()] {
        assert!(expected.iter().all(|(id, bytes)| read(&store, *id) == *bytes));
        assert_eq!(problems(&store), [] as [String; 0]);
    }
    assert_eq!(place.files_in("tmp"), [] as [String; 0]);
}

#[test]
fn a_reader_that_listed_the_packs_before_goes_on() {
    let place = Place::new();
    let early = place.reopen();
    let first: Vec<(ObjectId, Vec<u8>)> =
        (0..40).map(|n| (commit(&place.store, &noise(n, 900), None), noise(n, 900))).collect();
    let reader = place.reopen();
    assert_eq!(read(&reader, first[39].0), first[39].1);
    (100..200).for_each(|n| {
        commit(&place.store, &noise(n, 900), None);
    });
    for store in [&reader, &early] {
        assert!(first.iter().all(|(id, bytes)| read(store, *id) == *bytes));
    }
}

#[test]
fn one_commit_copies_no_more_than_the_bound() {
    let place = Place::new();
    let mut biggest = 0;
    for n in 0..14 {
        commit(&place.store, &noise(n, 500 << 10), None);
        let mut writer = place.store.writer().expect("a writer");
        (0..11).for_each(|m| drop(writer.add(Kind::Blob, &noise(1000 + n * 100 + m, 500 << 10), None)));
        writer.publish_merging().expect("published");
        biggest = place.store.packs().expect("packs").iter().map(|pack| pack.bytes).max().unwrap_or(0);
    }
    let one = 12 * (500 << 10);
    assert!(biggest <= MERGED_MAX + one, "{biggest}");
    assert!(place.store.packs().expect("packs").len() > 3, "what is large stays");
    assert_eq!(problems(&place.store), [] as [String; 0]);
}

#[test]
fn a_damaged_pack_is_left_where_it_is() {
    let place = Place::new();
    let bad = super::pack(&place.store, |writer| drop(writer.add(Kind::Blob, &noise(7, 500), None)));
    let path = place.pack_path(bad);
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[40] ^= 1;
    let mut permissions = std::fs::metadata(&path).expect("stat").permissions();
    #[allow(clippy::permissions_set_readonly_false)] // a test's own file
    permissions.set_readonly(false);
    std::fs::set_permissions(&path, permissions).expect("writable");
    std::fs::write(&path, bytes).expect("damaged");
    let store = place.reopen();
    let ids: Vec<ObjectId> = (0..30).map(|n| commit(&store, &noise(100 + n, 500), None)).collect();
    assert!(path.exists(), "the evidence stays");
    assert!(store.packs().expect("packs").len() < 12);
    assert!(ids.iter().enumerate().all(|(n, id)| read(&store, *id) == noise(100 + n as u64, 500)));
    assert!(problems(&store).iter().all(|problem| problem.contains(&bad.to_string())));
}

/// Copies of two objects that rest on each other crosswise, besides a whole copy of each.
#[test]
fn copies_that_rest_on_each_other_crosswise_are_left_as_they_are() {
    let place = Place::new();
    let (x, y) = (prose(1, 3000), [&prose(1, 3000)[..], b"more\n"].concat());
    let (id_x, id_y) = (hash_object(Kind::Blob, &x), hash_object(Kind::Blob, &y));
    let whole = |id: ObjectId, bytes: &[u8]| (super::whole(id, bytes.len()), frame::encode_whole(bytes));
    let delta = |id: ObjectId, bytes: &[u8], on: ObjectId, base: &[u8]| {
        let entry = Entry { form: Form::Delta(on), depth: 1, ordinal: 1, ..super::whole(id, bytes.len()) };
        (entry, frame::encode_delta(base, bytes))
    };
    super::craft(&place, &[delta(id_x, &x, id_y, &y)]);
    super::craft(&place, &[delta(id_y, &y, id_x, &x)]);
    super::craft(&place, &[whole(id_x, &x)]);
    super::craft(&place, &[whole(id_y, &y)]);
    let store = place.reopen();
    commit(&store, b"one more", None);
    let store = place.reopen();
    assert_eq!(store.packs().expect("packs").len(), 5, "none of them holds what no other holds");
    assert_eq!((read(&store, id_x), read(&store, id_y)), (x, y));
    assert_eq!(problems(&store), [] as [String; 0]);
}

fn open(disk: &SimDisk) -> Result<Store> {
    Store::open(&disk.open_dir(Path::new("/"))?)
}

fn merge(disk: &SimDisk) -> Result<Option<PackId>> {
    let mut writer: PackWriter = open(disk)?.writer()?;
    writer.add(Kind::Blob, b"the fourth of its tier", None)?;
    writer.publish_merging()
}

#[test]
fn killed_or_without_power_at_any_call_nothing_is_lost() {
    let old: Vec<Vec<u8>> = (0..3).map(|n| noise(n, 700)).collect();
    let mut points = 0;
    for effect in [Effect::Kill, Effect::KillHalfway] {
        for nth in 1.. {
            let disk = SimDisk::new();
            let dot = disk.open_dir(Path::new("/")).expect("the root opens");
            Store::create(&dot).expect("a store");
            for bytes in &old {
                add_blob(&open(&disk).expect("opened"), bytes, None);
            }
            disk.settle();
            disk.plan(Fault { which: Which::Changing, nth, forever: false, effect });
            let done = merge(&disk).is_ok();
            let mut states = vec![disk.after_kill()];
            states.extend(disk.after_power_cut(nth, 6));
            for state in &states {
                let store = open(state).expect("opened");
                assert_eq!(problems(&store), [] as [String; 0], "{effect:?} at call {nth}");
                assert!(old.iter().all(|bytes| read(&store, hash_object(Kind::Blob, bytes)) == *bytes));
                merge(state).expect("the next one goes on");
                assert!(
                    old.iter().all(|b| read(&open(state).expect("opened"), hash_object(Kind::Blob, b)) == *b)
                );
            }
            points += 1;
            if done {
                break;
            }
        }
    }
    assert!(points > 12, "{points} points tried");
}
