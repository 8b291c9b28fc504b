//! Compaction: one pack in the place of many, every object as it was, whatever happens on the way.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::{Place, names, noise, problems, prose, read};
use crate::fs::Disk;
use crate::fs::sim::{Effect, Failure, Fault, SimDisk, Which};
use crate::object::{Kind, ObjectId};
use crate::store::{Compacted, Compaction, Leftovers, Lineage, Result, Store};

/// What a store is filled with: objects by id, and lineages of them, newest first.
struct Filled {
    objects: BTreeMap<ObjectId, (Kind, Vec<u8>)>,
    lineages: Vec<Lineage>,
}

impl Filled {
    fn add(&mut self, store: &Store, kind: Kind, versions: Vec<Vec<u8>>) {
        let mut lineage = Lineage::new();
        for bytes in versions {
            let mut writer = store.writer().expect("a writer");
            let id = writer.add(kind, &bytes, lineage.last().copied()).expect("added");
            writer.publish().expect("published");
            lineage.push(id);
            self.objects.insert(id, (kind, bytes));
        }
        lineage.reverse();
        self.lineages.push(lineage);
    }
}

/// Fills a store with histories of every kind: small, growing, chunked, of trees, and single ones.
fn fill(store: &Store) -> Filled {
    let mut filled = Filled { objects: BTreeMap::new(), lineages: Vec::new() };
    let growing = prose(1, 40_000);
    filled.add(store, Kind::Blob, (1..=70).map(|n| growing[..n * 500].to_vec()).collect());
    let mut edited = [prose(2, 400_000), noise(3, 700_000), prose(4, 400_000)].concat();
    let large = (0..5).map(|n| {
        edited[100_000 * n + 7] ^= 1;
        edited.extend_from_slice(b"and a line\n");
        edited.clone()
    });
    filled.add(store, Kind::Blob, large.collect());
    let tree = |n: u64| {
        let name = |i: u64| format!("100644 note-{i:04}\0").into_bytes();
        (0..40).flat_map(|i| [name(i), noise(if i == n % 40 { n + 1000 } else { i }, 32)].concat()).collect()
    };
    filled.add(store, Kind::Tree, (0..60).map(tree).collect());
    for n in 0..30 {
        filled.add(store, Kind::Blob, vec![prose(100 + n, 900)]);
    }
    filled
}

fn compact(store: &Store, lineages: &[Lineage], leftovers: Leftovers) -> Result<Compacted> {
    Compaction::prepare(store, lineages, leftovers, &|_, _| {})?.finish()
}

fn is_all_there(store: &Store, objects: &BTreeMap<ObjectId, (Kind, Vec<u8>)>) {
    for (id, (kind, bytes)) in objects {
        assert_eq!(store.try_info(*id).expect("asked"), Some((*kind, bytes.len() as u64)));
        assert!(read(store, *id) == *bytes, "{id}");
    }
}

#[test]
fn one_pack_holds_what_many_held_and_is_smaller() {
    let place = Place::new();
    let filled = fill(&place.store);
    let early = place.reopen();
    is_all_there(&early, &filled.objects);
    let done = compact(&place.store, &filled.lineages, Leftovers::Keep).expect("compacted");
    assert_eq!((done.after.packs, done.unnamed.objects), (1, 0), "chunks are no objects without a name");
    assert_eq!(done.after.objects, filled.objects.len() as u64);
    assert!(done.after.bytes < done.before.bytes - (64 << 10), "most of it is noise: {done:?}");
    for store in [&place.store, &place.reopen(), &early] {
        is_all_there(store, &filled.objects);
    }
    assert_eq!(problems(&place.reopen()), [] as [String; 0]);
    // What comes later rests on it as on any other pack.
    let newest = filled.lineages[1][0];
    let longer = [&filled.objects[&newest].1[..], b"one more line\n"].concat();
    let store = place.reopen();
    let before = store.stats().expect("stats").bytes;
    let id = super::add_blob(&store, &longer, Some(newest));
    assert!(store.stats().expect("stats").bytes - before < 2000);
    assert!(read(&place.reopen(), id) == longer);
}

#[test]
fn the_same_bytes_come_of_one_thread_and_of_many_and_of_a_second_run() {
    let packs: Vec<Vec<String>> = [1, 4]
        .into_iter()
        .map(|threads| {
            let place = Place::new();
            let filled = fill(&place.store);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| compact(&place.store, &filled.lineages, Leftovers::Keep)).expect("compacted");
            let first = names(&place.objects());
            compact(&place.store, &filled.lineages, Leftovers::Keep).expect("compacted again");
            assert_eq!(names(&place.objects()), first, "nothing new, and nothing lost");
            first
        })
        .collect();
    assert_eq!(packs[0], packs[1]);
}

#[test]
fn what_no_lineage_names_stays_unless_it_is_to_go() {
    let place = Place::new();
    let filled = fill(&place.store);
    let (named, unnamed) = filled.lineages.split_at(2);
    let done = compact(&place.store, named, Leftovers::Keep).expect("compacted");
    let blobs = unnamed.iter().flatten().filter(|id| filled.objects[*id].0 == Kind::Blob).count();
    assert_eq!(done.unnamed.objects, blobs as u64);
    is_all_there(&place.reopen(), &filled.objects);
    compact(&place.store, named, Leftovers::Drop).expect("compacted");
    let store = place.reopen();
    let is_named = |id: &ObjectId| named.iter().any(|lineage| lineage.contains(id));
    for (id, (kind, bytes)) in &filled.objects {
        let stays = is_named(id) || *kind != Kind::Blob;
        assert_eq!(store.contains(*id).expect("asked"), stays, "only blobs go");
        assert!(!stays || read(&store, *id) == *bytes);
    }
    assert_eq!(problems(&store), [] as [String; 0]);
}

/// Small texts that have much in common: enough of them that a dictionary pays.
fn letters() -> Vec<Vec<u8>> {
    let letter = |n: u64| {
        let lines = prose(5, 1500);
        [format!("# Letter {n}\n\n").as_bytes(), &lines[..], &prose(1000 + n, 300)].concat()
    };
    (0..400).map(letter).collect()
}

#[test]
fn a_dictionary_says_once_what_small_objects_have_in_common_and_goes_when_one_is_purged() {
    let place = Place::new();
    let mut filled = Filled { objects: BTreeMap::new(), lineages: Vec::new() };
    let secret = noise(77, 4000);
    for bytes in letters().into_iter().chain((0..200).map(|_| secret.clone())).chain([secret.clone()]) {
        filled.add(&place.store, Kind::Blob, vec![bytes]);
    }
    filled.lineages.dedup();
    let done = compact(&place.store, &filled.lineages, Leftovers::Keep).expect("compacted");
    assert!(done.after.bytes < done.before.bytes / 2, "{done:?}");
    is_all_there(&place.reopen(), &filled.objects);
    assert_eq!(problems(&place.reopen()), [] as [String; 0]);
    // Used again by the next compaction.
    let first = names(&place.objects());
    compact(&place.store, &filled.lineages, Leftovers::Keep).expect("compacted");
    assert_eq!(names(&place.objects()), first);
    // A dictionary is made of pieces of what it was learned from: it must not outlive a purge.
    let letter = filled.objects.keys().next().copied().expect("one");
    let store = place.reopen();
    let dictionaries = |store: &Store| crate::store::compact::dictionary::present(store).expect("listed");
    let dictionary = dictionaries(&store);
    assert_eq!(dictionary.len(), 1);
    let needed: HashSet<ObjectId> = filled.objects.keys().copied().filter(|id| *id != letter).collect();
    store.remove(&BTreeSet::from([letter]), &needed).expect("removed");
    let store = place.reopen();
    assert_eq!(dictionaries(&store), BTreeSet::new());
    assert!(dictionary.iter().all(|id| !store.contains(*id).expect("asked")));
    filled.objects.remove(&letter);
    is_all_there(&store, &filled.objects);
    assert_eq!(problems(&store), [] as [String; 0]);
}

#[test]
fn readers_and_writers_beside_it_notice_nothing() {
    let place = Place::new();
    let filled = fill(&place.store);
    let reader = place.reopen();
    let compaction =
        Compaction::prepare(&place.store, &filled.lineages, Leftovers::Keep, &|_, _| {}).expect("prepared");
    // Somebody commits meanwhile, on what there is.
    let other = place.reopen();
    let newest = filled.lineages[0][0];
    let longer = [&filled.objects[&newest].1[..], b"committed meanwhile\n"].concat();
    let mut writer = other.writer().expect("a writer");
    let id = writer.add(Kind::Blob, &longer, Some(newest)).expect("added");
    writer.publish_merging().expect("published");
    is_all_there(&reader, &filled.objects);
    compaction.finish().expect("in place");
    for store in [&reader, &other, &place.store, &place.reopen()] {
        is_all_there(store, &filled.objects);
        assert!(read(store, id) == longer);
    }
    assert_eq!(problems(&place.reopen()), [] as [String; 0]);
}

#[test]
fn what_is_dropped_before_the_end_leaves_everything_as_it_was() {
    let place = Place::new();
    let filled = fill(&place.store);
    let before = names(&place.objects());
    let compaction = Compaction::prepare(&place.store, &filled.lineages, Leftovers::Keep, &|_, _| {});
    drop(compaction.expect("prepared"));
    assert_eq!(names(&place.objects()), before);
    assert_eq!(place.files_in("tmp"), [] as [String; 0]);
}

#[test]
fn damage_stops_it_and_nothing_has_changed() {
    let place = Place::new();
    let filled = fill(&place.store);
    let victim = place.store.packs().expect("packs")[3].id;
    let path = place.pack_path(victim);
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[12] ^= 1;
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, bytes).expect("damaged");
    let before = names(&place.objects());
    let error = compact(&place.reopen(), &filled.lineages, Leftovers::Keep).expect_err("damage");
    assert!(error.is_damage(), "{error}");
    assert_eq!(names(&place.objects()), before);
}

/// The story: a snapshot that only this device has lost its base for good, and from then on every compaction failed.
#[test]
fn what_lost_its_base_stays_and_the_rest_is_compacted() {
    let place = Place::new();
    let filled = fill(&place.store);
    let (base, upon) = (prose(900, 900), [prose(900, 900), b"a line more".to_vec()].concat());
    let mut ids = Vec::new();
    let base_pack = super::pack(&place.store, |writer| {
        ids.push(writer.add(Kind::Blob, &base, None).expect("added"));
    });
    let upon_pack = super::pack(&place.store, |writer| {
        ids.push(writer.add(Kind::Blob, &upon, Some(ids[0])).expect("added"));
    });
    let removed = std::fs::read(place.pack_path(base_pack)).expect("read");
    std::fs::remove_file(place.pack_path(base_pack)).expect("removed");
    let store = place.reopen();
    let mut lineages = filled.lineages.clone();
    lineages.push(vec![ids[1], ids[0]]);
    let done = compact(&store, &lineages, Leftovers::Drop).expect("works");
    assert!(!done.drops && done.after.packs == 2, "{done:?}");
    assert!(place.pack_path(upon_pack).exists(), "it is left as it is");
    is_all_there(&place.reopen(), &filled.objects);
    std::fs::write(place.pack_path(base_pack), removed).expect("it came back");
    assert_eq!(read(&place.reopen(), ids[1]), upon);
}

fn open(disk: &SimDisk) -> Result<Store> {
    Store::open(&disk.open_dir(Path::new("/"))?)
}

#[test]
#[allow(clippy::print_stdout)] // how much was tried belongs in the output
fn killed_failing_or_without_power_at_any_call_nothing_is_lost() {
    let mut points = 0;
    for effect in [Effect::Kill, Effect::KillHalfway, Effect::Fail(Failure::NoSpace)] {
        for nth in 1.. {
            let disk = SimDisk::new();
            let dot = disk.open_dir(Path::new("/")).expect("the root opens");
            Store::create(&dot).expect("a store");
            let mut filled = Filled { objects: BTreeMap::new(), lineages: Vec::new() };
            let store = open(&disk).expect("opened");
            let text = prose(1, 4000);
            filled.add(&store, Kind::Blob, (1..6).map(|n| text[..n * 700].to_vec()).collect());
            filled.add(&store, Kind::Blob, vec![noise(2, 600_000), noise(2, 600_100)]);
            disk.settle();
            disk.plan(Fault { which: Which::Changing, nth, forever: false, effect });
            let done =
                open(&disk).and_then(|store| compact(&store, &filled.lineages, Leftovers::Keep)).is_ok();
            let mut states = vec![disk.after_kill()];
            states.extend(disk.after_power_cut(nth, 5));
            for state in &states {
                let store = open(state).expect("opened");
                is_all_there(&store, &filled.objects);
                assert_eq!(problems(&store), [] as [String; 0], "{effect:?} at call {nth}");
                compact(&store, &filled.lineages, Leftovers::Keep).expect("the next one does it");
                is_all_there(&open(state).expect("opened"), &filled.objects);
            }
            points += 1;
            if done {
                break;
            }
        }
    }
    println!("compaction: {points} points");
    assert!(points > 30, "{points} points");
}
