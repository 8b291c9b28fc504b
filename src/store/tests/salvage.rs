//! Salvage: whatever is damaged, what could be read before can be read afterwards, and what only waits for something is kept.

use std::fs;

use super::{Place, pack, problems, prose, read};
use crate::object::{Kind, ObjectId};
use crate::store::{PackId, Store};

/// A pack with records of every sort, and one whose records rest on it.
fn two_packs(place: &Place) -> (PackId, Vec<(ObjectId, Vec<u8>)>) {
    let mut objects = Vec::new();
    let base = prose(1, 300);
    let large = prose(9, 30_000);
    let mut add = |writer: &mut super::PackWriter, kind, bytes: Vec<u8>, base| {
        let id = writer.add(kind, &bytes, base).expect("added");
        objects.push((id, bytes));
        id
    };
    let mut ids = Vec::new();
    let first = pack(&place.store, |writer| {
        ids.push(add(writer, Kind::Blob, base.clone(), None));
        ids.push(add(writer, Kind::Blob, large.clone(), None));
        add(writer, Kind::Blob, vec![0; 600 << 10], None);
        add(writer, Kind::Tree, prose(2, 40), None);
        add(writer, Kind::Commit, prose(3, 40), None);
    });
    pack(&place.store, |writer| {
        add(writer, Kind::Blob, [base.as_slice(), b"a line more"].concat(), Some(ids[0]));
        add(writer, Kind::Blob, [large.as_slice(), b"a line more"].concat(), Some(ids[1]));
    });
    (first, objects)
}

fn overwrite(place: &Place, id: PackId, bytes: &[u8]) {
    let path = place.pack_path(id);
    fs::remove_file(&path).expect("removed");
    fs::write(path, bytes).expect("written");
}

fn readable(store: &Store, objects: &[(ObjectId, Vec<u8>)]) -> Vec<ObjectId> {
    let whole = objects.iter().filter(|(id, bytes)| {
        store.try_find(*id).is_ok_and(|found| found.is_some_and(|found| found.data[..] == bytes[..]))
    });
    whole.map(|(id, _)| *id).collect()
}

/// Salvages; cut behind the new pack, it is done a second time.
fn salvage(place: &Place, is_cut: bool) -> Vec<String> {
    let quarantine = place.dot.open_or_create_dir("quarantine").expect("a folder");
    let store = place.reopen();
    let mut salvage = store.salvage(&|_| {}).expect("examined");
    salvage.save().expect("saved");
    if is_cut {
        let store = place.reopen();
        salvage = store.salvage(&|_| {}).expect("examined");
        assert_eq!(salvage.records(), 0, "all is in the new pack");
        assert_eq!(salvage.save().expect("saved"), None);
    }
    let moved = salvage.set_aside(&quarantine).expect("moved");
    moved.into_iter().map(|moved| moved.kept_as).collect()
}

#[test]
fn a_flip_anywhere_costs_no_more_than_what_it_hit() {
    let sample = Place::new();
    let (id, objects) = two_packs(&sample);
    let sound = fs::read(sample.pack_path(id)).expect("read");
    let (mut partial, step) = (0, sound.len() / 150 + 1);
    let tail = sound.len().saturating_sub(1200)..sound.len();
    for at in (0..sound.len()).step_by(step).chain(tail.step_by(29)) {
        let place = Place::new();
        two_packs(&place);
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        overwrite(&place, id, &bytes);
        let before = readable(&place.reopen(), &objects);
        let kept = salvage(&place, at % 2 == 0);
        assert!(kept.len() == 1 || kept.len() == 2, "byte {at}: {kept:?}");
        let store = place.reopen();
        let left = problems(&store);
        let waits = |what: &String| what.contains("depends on") || what.contains("a part of");
        assert!(left.iter().all(waits), "byte {at}: {left:?}");
        assert_eq!(readable(&store, &objects), before, "byte {at}");
        partial += usize::from(!before.is_empty() && before.len() < objects.len());
        for (id, _) in objects.iter().filter(|(id, _)| !before.contains(id)) {
            let found = store.try_find(*id);
            assert!(found.as_ref().map_or_else(|e| e.is_absence(), Option::is_none), "byte {at}: {found:?}");
        }
        let kept_bytes: Vec<Vec<u8>> = kept
            .iter()
            .map(|name| fs::read(place.objects().with_file_name("quarantine").join(name)).expect("kept"))
            .collect();
        assert!(kept_bytes.contains(&bytes), "byte {at}: the damaged pack is kept as it was");
    }
    assert!(partial > 10, "{partial}");
}

#[test]
fn lost_objects_that_come_again_are_stored_though_a_table_once_named_them() {
    let place = Place::new();
    let (id, objects) = two_packs(&place);
    let mut bytes = fs::read(place.pack_path(id)).expect("read");
    bytes[20] ^= 1;
    overwrite(&place, id, &bytes);
    salvage(&place, false);
    let store = place.reopen();
    let lost: Vec<_> = objects.iter().filter(|(id, _)| !store.contains(*id).expect("asked")).collect();
    assert!(!lost.is_empty() && lost.len() < objects.len());
    pack(&store, |writer| {
        for (_, bytes) in &lost {
            writer.add(Kind::Blob, bytes, None).expect("added");
        }
    });
    let store = place.reopen();
    for (id, bytes) in &objects {
        assert_eq!(read(&store, *id), *bytes);
    }
}

/// The story: a pack was removed, and a repair set all packs aside whose records were made on what it had. They were
/// healthy, one of them the only place of a snapshot; what they were made on came back in the same run.
#[test]
fn records_that_lost_their_base_stay_and_are_whole_again_when_it_comes() {
    let place = Place::new();
    let (id, objects) = two_packs(&place);
    let removed = fs::read(place.pack_path(id)).expect("read");
    fs::remove_file(place.pack_path(id)).expect("removed");
    let store = place.reopen();
    let salvaged = store.salvage(&|_| {}).expect("examined");
    assert!(salvaged.is_empty(), "nothing is damaged: {:?}", salvaged.files());
    let checkup = store.checkup(crate::store::Extent::All, &|_| {}).expect("listed");
    assert!(checkup.absent_bases.contains(&objects[0].0));
    let (upon, bytes) = objects.iter().find(|(_, bytes)| bytes.ends_with(b"a line more")).expect("one");
    assert!(checkup.unreadable.contains(upon));
    assert!(store.contains(*upon).expect("asked") && !store.knows(*upon).expect("asked"));
    // Who stores it now stores it again.
    pack(&store, |writer| assert_eq!(writer.add(Kind::Blob, bytes, None).expect("added"), *upon));
    assert_eq!(read(&place.reopen(), *upon), *bytes);
    fs::write(place.pack_path(id), removed).expect("written");
    let store = place.reopen();
    assert_eq!(readable(&store, &objects).len(), objects.len());
    assert_eq!(problems(&store), [""; 0]);
}

/// The same of a damaged pack: what in it is made on a damaged record is copied as it is.
#[test]
fn what_is_made_on_a_damaged_record_is_taken_out_of_a_damaged_pack_and_waits() {
    let place = Place::new();
    let (base, upon) = (prose(1, 300), [prose(1, 300), b"a line more".to_vec()].concat());
    let mut ids = Vec::new();
    let id = pack(&place.store, |writer| {
        ids.push(writer.add(Kind::Blob, &base, None).expect("added"));
        ids.push(writer.add(Kind::Blob, &upon, Some(ids[0])).expect("added"));
    });
    let mut bytes = fs::read(place.pack_path(id)).expect("read");
    bytes[20] ^= 1;
    overwrite(&place, id, &bytes);
    assert_eq!(salvage(&place, true).len(), 1);
    assert!(!place.reopen().knows(ids[1]).expect("asked"));
    pack(&place.reopen(), |writer| assert_eq!(writer.add(Kind::Blob, &base, None).expect("added"), ids[0]));
    assert_eq!(read(&place.reopen(), ids[1]), upon);
}

#[test]
fn what_is_no_pack_is_set_aside_whatever_it_is() {
    let place = Place::new();
    let (_, objects) = two_packs(&place);
    fs::write(place.objects().join("notes.txt"), "not a pack\n").expect("written");
    let name = format!("{}.pack", "ab".repeat(32));
    fs::create_dir(place.objects().join(&name)).expect("a folder");
    let kept = salvage(&place, false);
    assert_eq!(kept.len(), 2);
    assert!(kept.contains(&name), "a folder keeps its name: {kept:?}");
    let store = place.reopen();
    assert_eq!(problems(&store), [""; 0]);
    assert_eq!(readable(&store, &objects).len(), objects.len());
}
