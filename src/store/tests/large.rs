//! Objects larger than memory should ever hold.

use std::io::{self, Read, Write};

use super::{Place, noise, pack, problems, prose, read};
use crate::object::{Kind, ObjectHasher, ObjectId, hash_object};
use crate::store::{CHUNK_MAX, Error, OBJECT_IN_MEMORY_MAX, Onlooker, RECORD_MAX};

/// Noise that is made while it is read, and a look at the disk meanwhile.
struct Source<'a> {
    done: usize,
    size: usize,
    block: Vec<u8>,
    place: &'a Place,
    unwritten_max: usize,
}

impl Source<'_> {
    fn new(place: &Place, size: usize) -> Source<'_> {
        Source { done: 0, size, block: noise(77, (1 << 20) + 13), place, unwritten_max: 0 }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = self.done % self.block.len();
        let count = buffer.len().min(self.block.len() - at).min(self.size - self.done);
        buffer[..count].copy_from_slice(&self.block[at..at + count]);
        // Each repetition of the block differs in every kilobyte, so that no chunk comes twice.
        for (i, byte) in buffer[..count].iter_mut().enumerate().filter(|(i, _)| (at + i).is_multiple_of(1024))
        {
            *byte ^= ((self.done + i) / self.block.len()) as u8;
        }
        self.done += count;
        let written: u64 = std::fs::read_dir(self.place.objects().join("../tmp"))?
            .map(|entry| entry.and_then(|entry| entry.metadata()).map(|data| data.len()))
            .sum::<io::Result<u64>>()?;
        self.unwritten_max = self.unwritten_max.max(self.done.saturating_sub(written as usize));
        Ok(count)
    }
}

/// Hashes what is written and keeps the longest piece's length.
struct Sink {
    hasher: ObjectHasher,
    piece_max: usize,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.piece_max = self.piece_max.max(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_larger_than_the_memory_cap_is_stored_and_read_in_pieces() {
    let place = Place::new();
    let size = OBJECT_IN_MEMORY_MAX + (2 << 20) + 1;
    let mut writer = place.store.writer().expect("a writer");
    let mut source = Source::new(&place, size as usize);
    let id = writer.add_stream(Kind::Blob, size, &mut source, None).expect("added");
    // The window, the write buffer and the compressed window, and a little.
    assert!(source.unwritten_max < 12 << 20, "{} bytes were held back", source.unwritten_max);
    writer.publish().expect("published");

    let store = place.reopen();
    assert!(matches!(store.try_find(id), Err(Error::TooLarge { .. })));
    assert_eq!(store.try_info(id).expect("asked"), Some((Kind::Blob, size)));
    let mut sink = Sink { hasher: ObjectHasher::new(Kind::Blob, size), piece_max: 0 };
    assert_eq!(store.read_to(id, &mut sink).expect("read"), (Kind::Blob, size));
    assert_eq!(sink.hasher.finish(), id);
    assert!(sink.piece_max <= RECORD_MAX);
}

#[test]
fn a_reader_that_fails_leaves_the_pack_usable() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the stick was pulled"));
            }
            let count = buffer.len().min(self.0);
            self.0 -= count;
            Ok(count)
        }
    }
    let place = Place::new();
    let mut writer = place.store.writer().expect("a writer");
    for size in [100, 6 << 20] {
        let result = writer.add_stream(Kind::Blob, size, &mut Failing(size as usize / 2), None);
        assert!(matches!(result, Err(Error::Input(_))));
    }
    let id = writer.add(Kind::Blob, b"goes on", None).expect("added");
    writer.publish().expect("published");
    assert_eq!(read(&place.store, id), b"goes on");
}

#[test]
fn large_trees_are_recipes_as_well() {
    let place = Place::new();
    let tree = noise(4, 700 << 10);
    let mut next = tree.clone();
    next[300_000..300_032].copy_from_slice(&[7; 32]);
    let mut ids = Vec::new();
    pack(&place.store, |writer| ids.push(writer.add(Kind::Tree, &tree, None).expect("added")));
    let second =
        pack(&place.store, |writer| ids.push(writer.add(Kind::Tree, &next, Some(ids[0])).expect("added")));
    assert_eq!(ids, [hash_object(Kind::Tree, &tree), hash_object(Kind::Tree, &next)]);
    let found = place.reopen().try_find(ids[1]).expect("found").expect("there");
    assert_eq!((found.kind, &found.data[..]), (Kind::Tree, &next[..]));
    let cost = std::fs::metadata(place.pack_path(second)).expect("there").len();
    assert!(cost < 1024, "{cost} bytes for one entry of a large tree");
}

#[test]
fn an_insertion_in_the_middle_stores_only_its_surroundings() {
    let place = Place::new();
    let old = prose(9, 8 << 20);
    let mut new = old.clone();
    new.splice(4_000_000..4_000_000, *b"a few words that were not there before\n");
    let mut base = None;
    pack(&place.store, |writer| base = Some(writer.add(Kind::Blob, &old, None).expect("added")));
    let second = pack(&place.store, |writer| {
        writer.add(Kind::Blob, &new, base).expect("added");
    });
    let cost = std::fs::metadata(place.pack_path(second)).expect("there").len();
    assert!(cost < 2048, "{cost} bytes");
    assert_eq!(read(&place.store, hash_object(Kind::Blob, &new)), new);
    assert_eq!(problems(&place.store), [""; 0]);
}

/// What somebody who looks on is shown: how long each piece is, and where it stood before.
#[derive(Default)]
struct Shown {
    bytes: Vec<u8>,
    pieces: Vec<(usize, Option<u64>)>,
}

impl Onlooker for Shown {
    fn look(&mut self, chunk: &[u8], before: Option<u64>) -> io::Result<()> {
        self.bytes.extend_from_slice(chunk);
        self.pieces.push((chunk.len(), before));
        Ok(())
    }
}

fn show(place: &Place, bytes: &[u8], base: Option<ObjectId>) -> (ObjectId, Shown) {
    let (mut shown, mut id) = (Shown::default(), None);
    pack(&place.store, |writer| {
        let added = writer.add_seen(Kind::Blob, bytes.len() as u64, &mut &*bytes, base, &mut shown);
        id = Some(added.expect("it is added"));
    });
    (id.expect("it was added"), shown)
}

#[test]
fn an_onlooker_is_shown_all_of_it_and_where_it_stood_before() {
    let place = Place::new();
    // A part that comes twice: its chunks stand in two places.
    let part = noise(1, 3 << 20);
    let old = [&part[..], &noise(2, 1 << 20), &part].concat();
    let (first, shown) = show(&place, &old, None);
    assert_eq!(shown.bytes, old);
    assert!(shown.pieces.iter().all(|(_, before)| before.is_none()));

    let new = [&old[..], b"a line more\n"].concat();
    let (_, shown) = show(&place, &new, Some(first));
    assert_eq!(shown.bytes, new);
    let mut at = 0;
    for (length, before) in &shown.pieces[..shown.pieces.len() - 1] {
        assert_eq!(*before, Some(at));
        at += *length as u64;
    }
    assert_eq!(shown.pieces.last().map(|(_, before)| *before), Some(None));

    let mut edited = old.clone();
    edited.splice(2_000_000..2_000_000, *b"in the middle");
    let (_, shown) = show(&place, &edited, Some(first));
    let new: usize =
        shown.pieces.iter().filter(|(_, before)| before.is_none()).map(|(length, _)| length).sum();
    assert!(new <= 2 * CHUNK_MAX, "{new} bytes of it are new");
}

#[test]
fn an_onlooker_that_fails_ends_the_object_and_not_the_pack() {
    struct Refusing;
    impl Onlooker for Refusing {
        fn look(&mut self, _: &[u8], _: Option<u64>) -> io::Result<()> {
            Err(io::Error::other("no"))
        }
    }
    let place = Place::new();
    let bytes = noise(3, RECORD_MAX + 1);
    let mut id = None;
    pack(&place.store, |writer| {
        let refused = writer.add_seen(Kind::Blob, bytes.len() as u64, &mut &*bytes, None, &mut Refusing);
        assert!(matches!(refused, Err(Error::Input(_))), "{refused:?}");
        id = Some(writer.add(Kind::Blob, b"another", None).expect("the pack is usable"));
    });
    assert_eq!(read(&place.store, id.expect("it was added")), b"another");
    assert_eq!(place.store.try_find(hash_object(Kind::Blob, &bytes)).expect("a look"), None);
}

#[test]
fn a_reader_goes_on_from_anywhere() {
    let place = Place::new();
    let large = noise(4, 2 << 20);
    let (id, shown) = show(&place, &large, None);
    let small = super::add_blob(&place.store, &large[..1000], None);
    let first = shown.pieces[0].0;
    let rest_of = |id, from: usize| {
        let mut reader = place.store.try_reader(id).expect("it opens").expect("it is there");
        reader.pass_over(from as u64).expect("what follows is found");
        let mut rest = Vec::new();
        while let Some(block) = reader.next_block().expect("a block") {
            assert!(!block.is_empty());
            rest.extend_from_slice(&block);
        }
        rest
    };
    for from in [0, 1, first - 1, first, first + 1, large.len() - 1, large.len(), large.len() + 1] {
        assert!(rest_of(id, from) == large[from.min(large.len())..], "from {from}");
    }
    for from in [0, 1, 999, 1000, 1001] {
        assert_eq!(rest_of(small, from), large[from.min(1000)..1000]);
    }
}
