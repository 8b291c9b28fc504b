//! A new version costs what changed, and reading it never walks far.

use super::{Place, add_blob, noise, pack, problems, prose, read};
use crate::object::{Kind, ObjectId, hash_object};
use crate::store::pack::format::{Entry, Form};
use crate::store::{PackId, Store};

fn bytes_of(place: &Place, id: PackId) -> u64 {
    std::fs::metadata(place.pack_path(id)).expect("the pack exists").len()
}

fn entry(store: &Store, id: ObjectId) -> Entry {
    store.locate(&id).expect("asked").expect("it is there").entry
}

/// Stores `old` and `new` as its next version; returns what the second pack costs.
fn cost(old: &[u8], new: &[u8]) -> u64 {
    let place = Place::new();
    let base = add_blob(&place.store, old, None);
    let second = pack(&place.store, |writer| {
        writer.add(Kind::Blob, new, Some(base)).expect("added");
    });
    let id = hash_object(Kind::Blob, new);
    assert_eq!(read(&place.reopen(), id), new);
    assert_eq!(problems(&place.store), [""; 0]);
    bytes_of(&place, second)
}

/// Replaces the line at `place` by another.
fn edit(text: &[u8], place: usize) -> Vec<u8> {
    let start = place + text[place..].iter().position(|b| *b == b'\n').expect("a line ends") + 1;
    let end = start + text[start..].iter().position(|b| *b == b'\n').expect("a line ends");
    let mut new = text.to_vec();
    new.splice(start..end, *b"and this is what the line says from now on");
    new
}

#[test]
fn a_line_edited_in_a_file_of_any_size_costs_less_than_a_kilobyte() {
    for kib in [1, 10, 100, 200, 300, 500] {
        let old = prose(kib, (kib as usize - 1) << 10 | 512);
        for part in [0, 1, 2] {
            let new = edit(&old, old.len() / 5 * 2 * part);
            let cost = cost(&old, &new);
            assert!(cost < 1024, "{kib} KiB, edited at {part}: {cost} bytes");
        }
    }
}

#[test]
fn a_line_edited_in_bytes_that_do_not_compress_costs_less_than_a_kilobyte() {
    for kib in [100, 200, 300, 500] {
        let old = noise(kib, (kib as usize) << 10);
        let mut new = old.clone();
        new.splice(old.len() / 2..old.len() / 2 + 40, *b"other bytes");
        let cost = cost(&old, &new);
        assert!(cost < 1024, "{kib} KiB: {cost} bytes");
    }
}

#[test]
fn an_edit_or_a_line_added_to_a_large_file_costs_less_than_two_kilobytes() {
    for (seed, mib) in [(1, 1), (2, 5)] {
        let old = prose(seed, mib << 20);
        let mut longer = old.clone();
        longer.extend_from_slice(b"{\"one\":\"more line\"}\n");
        for new in [edit(&old, old.len() / 2), longer] {
            let cost = cost(&old, &new);
            assert!(cost < 2048, "{mib} MiB: {cost} bytes");
        }
    }
}

#[test]
fn growing_past_the_size_of_a_record_costs_little_more_than_the_growth() {
    let old = prose(3, 510 << 10);
    let new = prose(3, 516 << 10);
    assert!(new.starts_with(&old));
    let cost = cost(&old, &new);
    assert!(cost < 6 << 10, "{cost} bytes");
}

#[test]
fn a_history_of_a_file_stays_within_fifty_deltas_and_stays_small() {
    let place = Place::new();
    let mut text = prose(4, 60 << 10);
    let mut versions = vec![add_blob(&place.store, &text, None)];
    let first = place.store.stats().expect("stats").bytes;
    pack(&place.store, |writer| {
        for n in 0..180usize {
            text = edit(&text, (n * 311) % (50 << 10));
            text.extend_from_slice(format!("version {n}\n").as_bytes());
            let id = writer.add(Kind::Blob, &text, versions.last().copied()).expect("added");
            versions.push(id);
        }
    });
    let depths: Vec<u8> = versions.iter().map(|id| entry(&place.store, *id).depth).collect();
    assert_eq!(depths.iter().max(), Some(&50));
    assert_eq!(read(&place.reopen(), versions[180]), text);
    assert_eq!(problems(&place.reopen()), [""; 0]);
    let all = place.store.stats().expect("stats").bytes;
    assert!(all < first + 180 * 400, "{first} bytes became {all}");
}

#[test]
fn a_history_of_trees_stays_within_twelve_deltas_and_stays_small() {
    let place = Place::new();
    let mut tree: Vec<u8> = (0..300u64).flat_map(|n| noise(n + 1, 40)).collect();
    let mut base = None;
    let mut ids = Vec::new();
    pack(&place.store, |writer| {
        for n in 0..600u64 {
            let at = (n as usize * 7 % 300) * 40;
            tree[at..at + 32].copy_from_slice(&noise(1000 + n, 32));
            let id = writer.add(Kind::Tree, &tree, base).expect("added");
            base = Some(id);
            ids.push((id, tree.clone()));
        }
    });
    let store = place.reopen();
    let mut whole = 0;
    for (id, tree) in &ids {
        let entry = entry(&store, *id);
        assert!(entry.depth <= 12);
        whole += usize::from(entry.form == Form::Whole);
        assert_eq!(store.try_find(*id).expect("found").expect("there").data[..], tree[..]);
    }
    assert_eq!(whole, 3, "one in 256 stands alone");
    let bytes = store.stats().expect("stats").bytes;
    assert!(bytes < 600 * 600, "{bytes} bytes for 600 trees of 12,000");
    assert_eq!(problems(&store), [""; 0]);
}

#[test]
fn a_large_object_that_grows_stores_what_it_gains_less_than_twice() {
    let place = Place::new();
    let mut stream = noise(1, 600_000);
    let mut base = None;
    let start = stream.len() as u64;
    let grown = 100 * 4000;
    pack(&place.store, |writer| {
        for n in 0..=100 {
            base = Some(writer.add(Kind::Blob, &stream, base).expect("added"));
            stream.extend_from_slice(&noise(100 + n, 4000));
        }
    });
    let bytes = place.reopen().stats().expect("stats").bytes;
    assert!(bytes < start + 2 * grown, "{bytes} bytes for {start}, and {grown} more");
    assert_eq!(problems(&place.reopen()), [""; 0]);
}

#[test]
fn a_base_that_is_missing_or_damaged_or_larger_is_not_used() {
    let place = Place::new();
    let old = prose(5, 20_000);
    let damaged = add_blob(&place.store, &old, None);
    let pack_id = place.store.packs().expect("packs")[0].id;
    let path = place.pack_path(pack_id);
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[5000] ^= 1;
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, bytes).expect("written");
    let large = add_blob(&place.store, &prose(6, 1 << 20), None);
    let store = place.reopen();
    let missing = hash_object(Kind::Blob, b"missing");
    for (n, base) in [damaged, large, missing].into_iter().enumerate() {
        let mut new = old.clone();
        new.extend_from_slice(format!("{n}\n").as_bytes());
        let id = add_blob(&store, &new, Some(base));
        assert_eq!(entry(&store, id).form, Form::Whole);
        assert_eq!(read(&store, id), new);
    }
}

#[test]
fn a_longer_log_shares_its_chunks_with_the_shorter() {
    let place = Place::new();
    let long = prose(7, 3 << 20);
    let mut base = None;
    for end in (1 << 20..3 << 20).step_by(100_000) {
        base = Some(add_blob(&place.store, &long[..end], base));
    }
    let store = place.reopen();
    assert_eq!(read(&store, base.expect("versions")), long[..(1 << 20) + 2_000_000]);
    let bytes = store.stats().expect("stats").bytes;
    let once = cost(b"", &long[..(1 << 20) + 2_000_000]);
    assert!(bytes < once + once / 4, "{bytes} bytes for all versions, {once} for the last alone");
    assert_eq!(problems(&store), [""; 0]);
}
