//! Links that break: at every frame, at every byte, and by silence. Afterwards each side is old or new,
//! and the next session goes on where this one ended.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::place::{FETCH, Lent, PUSH, Place, SYNC, cut_session, noise, options, session};
use crate::sync::drive::{Link, Patience};
use crate::sync::frame::Frame;
use crate::sync::session::{Caller, Server};
use crate::sync::wire::Nonce;
use crate::sync::{Endpoint, SyncError};

const PATIENCE: Patience = Patience { start: Duration::from_secs(20), idle: Duration::from_secs(20) };
const HASTE: Patience = Patience { start: Duration::from_millis(60), idle: Duration::from_millis(60) };

/// Two devices that both have something new.
fn pair() -> (Place, Place) {
    let mut mac = Place::new("mac");
    mac.commit(&[("shared.md", b"one\n")]);
    let mut pixel = mac.cloned("pixel");
    mac.commit(&[("mac.md", b"mac\n")]);
    pixel.commit(&[("pixel.md", b"pixel\n"), ("dir/note.md", b"a note\n")]);
    (mac, pixel)
}

#[test]
fn a_cut_at_any_frame_leaves_both_sides_old_or_new() {
    let (mut mac, mut pixel) = pair();
    let mut seen = Vec::new();
    cut_session(&mut mac, &mut pixel, SYNC, usize::MAX, &mut seen).expect("whole");
    let end = mac.heads.clone();
    assert_eq!(end, pixel.heads);
    for cut in 0..seen.len() {
        let (mut mac, mut pixel) = pair();
        let old = (mac.heads.clone(), pixel.heads.clone());
        let result = cut_session(&mut mac, &mut pixel, SYNC, cut, &mut Vec::new());
        assert!(matches!(result, Err(SyncError::Broke { .. })), "cut {cut}: {result:?}");
        assert!(mac.heads == old.0 || mac.heads == end, "cut {cut}");
        assert!(pixel.heads == old.1 || pixel.heads == end, "cut {cut}");
        mac.check();
        pixel.check();
        let (summary, _) = session(&mut mac, &mut pixel, SYNC).expect("the next one holds");
        assert!(!summary.is_contradiction());
        assert_eq!((&mac.heads, &pixel.heads), (&end, &end), "cut {cut}");
        assert!(mac.incoming_files().is_empty() && pixel.incoming_files().is_empty(), "cut {cut}");
    }
}

#[test]
fn what_came_before_a_cut_is_not_sent_again() {
    let mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    for n in 0..6_u64 {
        pixel.commit(&[("a.bin", &noise(n, 100_000)), ("dir/b.bin", &noise(n + 50, 100_000))]);
    }
    let mut seen = Vec::new();
    cut_session(&mut mac.cloned("work"), &mut pixel, FETCH, usize::MAX, &mut seen).expect("whole");
    let is_object = |frame: &&Frame| matches!(frame, Frame::Object { .. });
    let objects = seen.iter().filter(is_object).count();
    let mut again = 0;
    for cut in (0..seen.len()).step_by(3) {
        let mut near = mac.cloned("mac");
        let mut first = Vec::new();
        cut_session(&mut near, &mut pixel, FETCH, cut, &mut first).expect_err("cut");
        let came = first.iter().filter(is_object).count();
        let mut second = Vec::new();
        cut_session(&mut near, &mut pixel, FETCH, usize::MAX, &mut second).expect("resumed");
        let sent = second.iter().filter(is_object).count();
        assert_eq!(came + sent, objects, "cut {cut}");
        near.check();
        assert_eq!(near.heads, pixel.heads);
        again += usize::from(came > 0);
    }
    assert!(again > 3);
    mac.check();
}

#[test]
fn a_large_object_goes_on_in_its_middle() {
    let mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    let big = noise(1, 3_000_000);
    pixel.commit(&[("big.bin", &big)]);
    let mut seen = Vec::new();
    cut_session(&mut mac.cloned("work"), &mut pixel, FETCH, usize::MAX, &mut seen).expect("whole");
    let start = seen.iter().position(|frame| frame.name() == "large").expect("it is large");
    let mut near = mac.cloned("mac");
    for more in [8, 5] {
        cut_session(&mut near, &mut pixel, FETCH, start + more, &mut Vec::new()).expect_err("cut");
    }
    let mut last = Vec::new();
    cut_session(&mut near, &mut pixel, FETCH, usize::MAX, &mut last).expect("resumed");
    let from =
        last.iter().find_map(|frame| if let Frame::Large { from, .. } = frame { Some(*from) } else { None });
    assert!(from.expect("it was begun before") > 0);
    assert!(last.len() + 6 < seen.len(), "{} of {}", last.len(), seen.len());
    assert_eq!(near.files()["big.bin"], big);
    near.check();
    assert!(near.incoming_files().is_empty());
}

/// A process was killed after it had made the file of a large object and before it wrote the first byte: every
/// later session with that peer failed, since the file was there.
#[test]
fn an_empty_beginning_of_a_large_object_stops_no_session() {
    let mut mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    let large = noise(9, 1 << 20);
    pixel.commit(&[("large.bin", &large)]);
    let folder = Endpoint::incoming(&mac).expect("made").open_or_create_dir("pixel").expect("made");
    let part = format!("part-{}", super::place::blob_id(&large));
    folder.create_new(part, 0o600).expect("made");
    session(&mut mac, &mut pixel, FETCH).expect("it begins anew");
    assert_eq!(mac.heads, pixel.heads);
    assert!(mac.incoming_files().is_empty());
}

#[test]
fn kept_objects_of_an_offer_that_was_taken_back_do_not_enter_the_store() {
    let mac = Place::new("mac");
    let mut pixel = mac.cloned("pixel");
    let before = pixel.heads.clone();
    pixel.commit(&[("dir/a.md", b"taken back"), ("dir/b.md", b"as well")]);
    let mut near = mac.cloned("mac");
    let mut seen = Vec::new();
    cut_session(&mut mac.cloned("work"), &mut pixel, FETCH, usize::MAX, &mut seen).expect("whole");
    let tree =
        seen.iter().position(|frame| matches!(frame, Frame::Object { kind: crate::object::Kind::Tree, .. }));
    cut_session(&mut near, &mut pixel, FETCH, tree.expect("a tree") + 1, &mut Vec::new()).expect_err("cut");
    let Frame::Object { id, .. } = seen[tree.expect("a tree")] else { panic!("an object") };
    pixel.heads = before;
    pixel.remotes.clear();
    pixel.commit(&[("other.md", b"instead")]);
    session(&mut near, &mut pixel, FETCH).expect("fetched");
    assert!(!near.store.contains(id).expect("asked"), "a tree without what is below it");
    near.check();
}

/// A reader of recorded bytes that ends, fails or stalls after some of them.
struct Recorded {
    bytes: Vec<u8>,
    at: usize,
    end: End,
}

enum End {
    Eof,
    Reset,
    Stall(Receiver<()>),
}

impl Read for Recorded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (self.bytes.len() - self.at).min(buffer.len());
        if count > 0 {
            buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
            self.at += count;
            return Ok(count);
        }
        match &self.end {
            End::Eof => Ok(0),
            End::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            End::Stall(forever) => {
                let _nothing_comes = forever.recv();
                Ok(0)
            }
        }
    }
}

/// One direction of an in-memory link that records what passes.
struct PipeReader {
    chunks: Receiver<Vec<u8>>,
    rest: Vec<u8>,
}

struct PipeWriter {
    chunks: Sender<Vec<u8>>,
    record: Arc<Mutex<Vec<u8>>>,
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.chunks.recv() {
                Ok(chunk) => self.rest = chunk,
                Err(_) => return Ok(0),
            }
        }
        // Odd pieces, so that nothing depends on how reads are cut.
        let count = self.rest.len().min(buffer.len()).min(13);
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.record.lock().expect("not poisoned").extend_from_slice(bytes);
        self.chunks.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pipe() -> (PipeReader, PipeWriter, Arc<Mutex<Vec<u8>>>) {
    let (sender, receiver) = channel();
    let record = Arc::new(Mutex::new(Vec::new()));
    (
        PipeReader { chunks: receiver, rest: vec![] },
        PipeWriter { chunks: sender, record: record.clone() },
        record,
    )
}

fn nonce() -> Nonce {
    Nonce::new([5; 16])
}

/// Runs a session over byte streams; returns what each side wrote.
fn record(mac: &mut Place, pixel: &mut Place, banner: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (near_in, mut far_out, far_record) = pipe();
    let (far_in, near_out, near_record) = pipe();
    far_out.write_all(banner).expect("written");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut link = Link::answer(far_in, far_out, PATIENCE).expect("greeted");
            let mut server = Server::new(Box::new(move |_| Ok(Box::new(Lent(pixel)))));
            link.run(&mut server).expect("served");
        });
        let mut link = Link::call(near_in, near_out, nonce(), PATIENCE);
        let mut caller = Caller::new(mac, options(SYNC, "pixel")).expect("offered");
        let traffic = link.run(&mut caller).expect("synced");
        assert!(traffic.sent_bytes > 0 && traffic.received_bytes > 0);
    });
    let take = |record: Arc<Mutex<Vec<u8>>>| record.lock().expect("not poisoned").clone();
    (take(near_record), take(far_record))
}

#[test]
fn a_session_over_streams_survives_a_banner() {
    let (mut mac, mut pixel) = pair();
    record(&mut mac, &mut pixel, b"Welcome to pixel!\nmvault-serve 0123\nLast login: never\n");
    assert_eq!(mac.heads, pixel.heads);
    mac.check();
    pixel.check();
}

#[test]
fn a_link_that_ends_at_any_byte_leaves_the_caller_old_or_new() {
    let (mut mac, mut pixel) = pair();
    let (_, from_server) = record(&mut mac, &mut pixel, b"Hi\n");
    let end = mac.heads.clone();
    let (mut mac, mut pixel) = pair();
    let old = mac.heads.clone();
    for cut in 0..from_server.len() {
        let kind = if cut % 2 == 0 { End::Eof } else { End::Reset };
        let reader = Recorded { bytes: from_server[..cut].to_vec(), at: 0, end: kind };
        let mut link = Link::call(reader, io::sink(), nonce(), PATIENCE);
        let mut caller = Caller::new(&mut mac, options(SYNC, "pixel")).expect("offered");
        let error = link.run(&mut caller).expect_err("it was cut");
        assert!(matches!(error, SyncError::Broke { .. }), "cut {cut}: {error:?}");
        drop(caller);
        assert!(mac.heads == old || mac.heads == end, "cut {cut}");
        // What was cut before anything was accepted can be cut again a byte later, on top of what was kept.
        if cut % 50 == 0 || !mac.accepted.is_empty() {
            mac.check();
            session(&mut mac, &mut pixel, SYNC).expect("the next one holds");
            assert_eq!(mac.heads, end, "cut {cut}");
            (mac, pixel) = pair();
        }
    }
}

#[test]
fn a_link_that_ends_at_any_byte_leaves_the_server_old_or_new() {
    let (mut mac, mut pixel) = pair();
    let (from_caller, _) = record(&mut mac, &mut pixel, b"");
    let end = pixel.heads.clone();
    let (mut mac, mut pixel) = pair();
    let old = pixel.heads.clone();
    for cut in 0..from_caller.len() {
        let kind = if cut % 2 == 0 { End::Eof } else { End::Reset };
        let reader = Recorded { bytes: from_caller[..cut].to_vec(), at: 0, end: kind };
        let result = Link::answer(reader, io::sink(), PATIENCE).and_then(|mut link| {
            let mut server = Server::new(Box::new(|_| Ok(Box::new(Lent(&mut pixel)))));
            link.run(&mut server)
        });
        assert!(matches!(result, Err(SyncError::Broke { .. })), "cut {cut}: {result:?}");
        assert!(pixel.heads == old || pixel.heads == end, "cut {cut}");
        if cut % 50 == 0 || !pixel.accepted.is_empty() || !pixel.remotes.is_empty() {
            pixel.check();
            session(&mut mac, &mut pixel, SYNC).expect("the next one holds");
            assert_eq!(pixel.heads, end, "cut {cut}");
            (mac, pixel) = pair();
        }
    }
}

#[test]
fn one_flipped_byte_of_a_session_never_harms_the_caller() {
    let (mut mac, mut pixel) = pair();
    let (_, from_server) = record(&mut mac, &mut pixel, b"");
    let end = mac.heads.clone();
    for at in (0..from_server.len()).step_by(3) {
        let (mut mac, _) = pair();
        let old = mac.heads.clone();
        let mut bytes = from_server.clone();
        bytes[at] ^= 1 << (at % 8);
        let reader = Recorded { bytes, at: 0, end: End::Eof };
        let mut link = Link::call(reader, io::sink(), nonce(), PATIENCE);
        let mut caller = Caller::new(&mut mac, options(SYNC, "pixel")).expect("offered");
        // A flip in what is only told (a program's name, a stamp, an anchor) does no harm and is not noticed.
        let _result = link.run(&mut caller);
        drop(caller);
        assert!(mac.heads == old || mac.heads == end || mac.heads.is_superset(&old), "byte {at}");
        mac.check();
    }
}

#[test]
fn silence_at_any_point_ends_the_session() {
    let (mut mac, mut pixel) = pair();
    let (_, from_server) = record(&mut mac, &mut pixel, b"");
    for cut in (0..from_server.len()).step_by(97) {
        let (mut mac, _) = pair();
        let (_keep, forever) = channel();
        let reader = Recorded { bytes: from_server[..cut].to_vec(), at: 0, end: End::Stall(forever) };
        let mut link = Link::call(reader, io::sink(), nonce(), HASTE);
        let mut caller = Caller::new(&mut mac, options(SYNC, "pixel")).expect("offered");
        let error = link.run(&mut caller).expect_err("nothing came");
        assert!(matches!(error, SyncError::Silent { .. }), "cut {cut}: {error:?}");
    }
}

/// A reader that gives one byte at a time, slowly, for ever.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at > 300 {
            std::thread::sleep(Duration::from_millis(10));
        }
        buffer[0] = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        Ok(1)
    }
}

#[test]
fn a_trickle_of_single_bytes_is_no_progress() {
    let (mut mac, mut pixel) = pair();
    let (_, from_server) = record(&mut mac, &mut pixel, b"");
    let (mut mac, _) = pair();
    let mut link = Link::call(Trickle { bytes: from_server, at: 0 }, io::sink(), nonce(), HASTE);
    let mut caller = Caller::new(&mut mac, options(SYNC, "pixel")).expect("offered");
    assert!(matches!(link.run(&mut caller), Err(SyncError::Silent { .. })));
}

/// A reader that gives a little again and again, each time enough to count as something, of a frame that never ends.
struct Drip {
    beginning: io::Cursor<Vec<u8>>,
}

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.beginning.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        std::thread::sleep(Duration::from_millis(30));
        let count = buffer.len().min(12);
        buffer[..count].fill(0);
        Ok(count)
    }
}

#[test]
fn a_peer_that_sends_just_enough_for_ever_has_an_end() {
    // 256 bytes a minute were progress, and a purge at the receiving end waited for as long as the peer liked.
    let (mut mac, _) = pair();
    let beginning = [nonce().answer(), vec![0x05, 0, 0x10, 0, 0]].concat();
    let patience = Patience { start: Duration::from_secs(20), idle: Duration::from_secs(1) };
    let drip = Drip { beginning: io::Cursor::new(beginning) };
    let mut link = Link::call(drip, io::sink(), nonce(), patience);
    let mut caller = Caller::new(&mut mac, options(SYNC, "pixel")).expect("offered");
    let error = link.run(&mut caller).expect_err("a mebibyte would take an hour");
    assert!(matches!(error, SyncError::Silent { .. }), "{error:?}");
}

/// A writer that never takes anything.
struct Blocked(Receiver<()>);

impl Write for Blocked {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        let _nothing_comes = self.0.recv();
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_peer_that_reads_nothing_does_not_hold_us_for_ever() {
    let (mut mac, _) = pair();
    let (_keep_writer, never) = channel();
    let (_keep_reader, forever) = channel();
    let reader = Recorded { bytes: nonce().answer(), at: 0, end: End::Stall(forever) };
    let mut link = Link::call(reader, Blocked(never), nonce(), HASTE);
    let mut caller = Caller::new(&mut mac, options(PUSH, "pixel")).expect("offered");
    assert!(matches!(link.run(&mut caller), Err(SyncError::Silent { .. })));
}

#[test]
fn an_echo_is_told_from_an_answer() {
    let (mut mac, _) = pair();
    let (near_in, near_out, _) = pipe();
    let mut link = Link::call(near_in, near_out, nonce(), HASTE);
    let mut caller = Caller::new(&mut mac, options(FETCH, "pixel")).expect("offered");
    link.run(&mut caller).expect_err("our own bytes");
    assert!(link.is_echo() && !link.is_ready());
}
