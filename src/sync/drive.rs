//! Runs one end of a session over two byte streams.
//!
//! A thread reads and a thread writes, both behind short queues; the machine runs in the caller's thread.
//! So memory is bounded, compressing and writing overlap, and silence is noticed whatever the streams do:
//!
//! - a session ends when nothing moved for [`Patience::idle`]; a trickle of a few bytes counts as nothing;
//! - waiting is paid for by bytes that come, one second by [`RATE_BYTES`]. A side that owes more than
//!   [`DEBT_IDLES`] times [`Patience::idle`] has had its time, however it spreads what it sends: others wait for the
//!   session to end, a purge among them;
//! - an end that is at work for long says so every [`WORKING_EVERY`], and is believed for
//!   [`WORKING_MAX`] such times in a row, and twice as often in a session;
//! - a stream that ends, or cannot be written, ends the session; what the other side said last (a
//!   refusal) is still read.
//!
//! A thread that is stuck in a read outlives the session; it ends with the stream.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::SyncError;
use super::frame::{Frame, Header};
use super::session::{Machine, Step};
use super::wire::{GREETING_BYTES, HEADER_BYTES, MarkFinder, Nonce, WireError};

/// How often an end that is at work says so.
const WORKING_EVERY: Duration = Duration::from_secs(10);
/// How many times in a row it is believed.
const WORKING_MAX: u32 = 360;
/// Fewer bytes than this in [`Patience::idle`] are no progress.
const TRICKLE_BYTES: u64 = 256;
/// This many bytes pay for a second of waiting.
const RATE_BYTES: u32 = 1 << 10;
/// This many times [`Patience::idle`] may be owed.
const DEBT_IDLES: u32 = 3;
const QUEUE_FRAMES: usize = 16;
const COALESCE_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 64 << 10;
const POLL: Duration = Duration::from_millis(1);

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until the other side has shown that it is mvault: a person may be typing a passphrase.
    pub start: Duration,
    /// Without progress after that.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { start: Duration::from_secs(120), idle: Duration::from_secs(60) }
    }
}

/// Bytes that went each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent.
    pub sent_bytes: u64,
    /// Received.
    pub received_bytes: u64,
}

#[derive(Default)]
struct Shared {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// The machine is at work, rather than waiting for the other side.
    is_busy: AtomicBool,
    has_spoken: AtomicBool,
    is_echo: AtomicBool,
    noise: Mutex<Vec<u8>>,
}

enum Event {
    Ready,
    Greeting(Nonce),
    Frame(Frame),
    Bad(WireError),
    End,
}

/// Two streams with their threads.
pub struct Link {
    events: Receiver<Event>,
    backlog: VecDeque<Event>,
    out: Option<SyncSender<Vec<u8>>>,
    writer: JoinHandle<()>,
    shared: Arc<Shared>,
    patience: Patience,
    is_ready: bool,
    working: u32,
    working_total: u32,
    /// How long this side waited for frames that nothing paid for.
    owed: Duration,
    /// The bytes that had come when the last frame was taken.
    paid: u64,
}

impl Link {
    /// Starts the caller's side: sends the greeting and looks for the answer.
    pub fn call(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        nonce: Nonce,
        patience: Patience,
    ) -> Link {
        let link = Link::start(reader, writer, Some(nonce), patience);
        if let Some(out) = &link.out {
            let _a_dead_writer_shows_later = out.try_send(nonce.greeting());
        }
        link
    }

    /// Starts the server's side: waits for a greeting and answers it.
    pub fn answer(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        patience: Patience,
    ) -> Result<Link, SyncError> {
        let mut link = Link::start(reader, writer, None, patience);
        match link.next_event("a greeting")? {
            Event::Greeting(nonce) => {
                link.is_ready = true;
                link.send(nonce.answer())?;
                Ok(link)
            }
            Event::Bad(error) => Err(error.into()),
            _ => Err(SyncError::Broke { waiting_for: "a greeting" }),
        }
    }

    fn start(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        nonce: Option<Nonce>,
        patience: Patience,
    ) -> Link {
        let shared = Arc::new(Shared::default());
        let (event_sender, events) = sync_channel(QUEUE_FRAMES);
        let (out, frames) = sync_channel(QUEUE_FRAMES);
        let for_reader = shared.clone();
        std::thread::spawn(move || {
            let last = read_all(reader, nonce, &for_reader, &event_sender);
            let _nobody_listens_any_more = event_sender.send(last);
        });
        let for_writer = shared.clone();
        let writer = std::thread::spawn(move || write_all(writer, &frames, &for_writer));
        Link {
            events,
            backlog: VecDeque::new(),
            out: Some(out),
            writer,
            shared,
            patience,
            is_ready: false,
            working: 0,
            working_total: 0,
            owed: Duration::ZERO,
            paid: 0,
        }
    }

    /// Waits until the other side has shown that it is mvault.
    pub fn wait_ready(&mut self) -> Result<(), SyncError> {
        if self.is_ready {
            return Ok(());
        }
        match self.next_event("the start mark")? {
            Event::Ready => {
                self.is_ready = true;
                Ok(())
            }
            Event::Bad(error) => Err(error.into()),
            _ => Err(SyncError::Broke { waiting_for: "the start mark" }),
        }
    }

    /// Tells whether the other side has shown that it is mvault.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Returns the beginning of what came instead of the start mark.
    pub fn noise(&self) -> Vec<u8> {
        self.shared.noise.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whether our own greeting came back.
    pub fn is_echo(&self) -> bool {
        self.shared.is_echo.load(Ordering::Relaxed)
    }

    /// Runs a machine to its end.
    pub fn run(&mut self, machine: &mut dyn Machine) -> Result<Traffic, SyncError> {
        self.shared.has_spoken.store(true, Ordering::Relaxed);
        let result = self.converse(machine);
        self.shared.is_busy.store(false, Ordering::Relaxed);
        if let Err(error) = &result
            && let Some(last_words) = machine.fail(error)
        {
            let _it_may_be_gone = self.send(last_words.encode());
        }
        let flushed = self.close();
        result?;
        flushed?;
        Ok(Traffic {
            sent_bytes: self.shared.bytes_out.load(Ordering::Relaxed),
            received_bytes: self.shared.bytes_in.load(Ordering::Relaxed),
        })
    }

    fn converse(&mut self, machine: &mut dyn Machine) -> Result<(), SyncError> {
        loop {
            self.shared.is_busy.store(true, Ordering::Relaxed);
            match machine.next_step()? {
                Step::Done => return Ok(()),
                Step::Send(frame) => {
                    self.hear_refusal(machine)?;
                    if let Err(error) = self.send(frame.encode()) {
                        self.hear_last_words(machine)?;
                        return Err(error);
                    }
                }
                Step::Receive => {
                    let frame = self.next_frame(machine.waiting_for())?;
                    self.shared.is_busy.store(true, Ordering::Relaxed);
                    machine.receive(frame)?;
                }
            }
        }
    }

    /// While sending, takes in what has come; a refusal ends the session at once.
    fn hear_refusal(&mut self, machine: &mut dyn Machine) -> Result<(), SyncError> {
        while self.backlog.len() < QUEUE_FRAMES {
            match self.events.try_recv() {
                Ok(Event::Frame(frame @ Frame::Refused(_))) => machine.receive(frame)?,
                Ok(event) => self.backlog.push_back(event),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// After a failed write: the other side may have said why before it closed.
    fn hear_last_words(&mut self, machine: &mut dyn Machine) -> Result<(), SyncError> {
        while let Ok(event) = self.next_event("its last words") {
            match event {
                Event::Frame(frame @ Frame::Refused(_)) => machine.receive(frame)?,
                Event::End | Event::Bad(_) => break,
                _ => {}
            }
        }
        Ok(())
    }

    fn next_frame(&mut self, waiting_for: &'static str) -> Result<Frame, SyncError> {
        self.shared.is_busy.store(false, Ordering::Relaxed);
        loop {
            let began = Instant::now();
            let event = self.next_event(waiting_for)?;
            self.settle(began.elapsed(), &event)?;
            match event {
                Event::Ready | Event::Greeting(_) => self.is_ready = true,
                Event::Frame(Frame::Working) => {
                    self.working += 1;
                    self.working_total += 1;
                    if self.working > WORKING_MAX || self.working_total > 2 * WORKING_MAX {
                        let seconds = WORKING_EVERY.as_secs() * u64::from(WORKING_MAX);
                        return Err(SyncError::Silent { seconds });
                    }
                }
                Event::Frame(frame) => {
                    self.working = 0;
                    return Ok(frame);
                }
                Event::Bad(error) => return Err(error.into()),
                Event::End => return Err(SyncError::Broke { waiting_for }),
            }
        }
    }

    /// Takes note of how long was waited for an event, and of what came meanwhile.
    fn settle(&mut self, waited: Duration, event: &Event) -> Result<(), SyncError> {
        let came = self.shared.bytes_in.load(Ordering::Relaxed);
        let bytes = u32::try_from(came - self.paid).unwrap_or(u32::MAX);
        self.paid = came;
        let paid = Duration::from_secs(bytes.into()) / RATE_BYTES;
        // An end that says that it is at work is believed, within limits of its own.
        let believed =
            if matches!(event, Event::Frame(Frame::Working)) { WORKING_EVERY } else { Duration::ZERO };
        self.owed = (self.owed + waited).saturating_sub(paid + believed);
        let idle = self.patience.idle;
        if self.is_ready && self.owed > idle * DEBT_IDLES {
            return Err(SyncError::Silent { seconds: self.owed.as_secs() });
        }
        Ok(())
    }

    fn next_event(&mut self, waiting_for: &'static str) -> Result<Event, SyncError> {
        if let Some(event) = self.backlog.pop_front() {
            return Ok(event);
        }
        let began = Instant::now();
        loop {
            let before = self.shared.bytes_in.load(Ordering::Relaxed);
            let wait = if self.is_ready { self.patience.idle } else { self.patience.start };
            match self.events.recv_timeout(wait) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Disconnected) => return Err(SyncError::Broke { waiting_for }),
                Err(RecvTimeoutError::Timeout) => {
                    let now = self.shared.bytes_in.load(Ordering::Relaxed);
                    if now - before < TRICKLE_BYTES || !self.is_ready {
                        return Err(SyncError::Silent { seconds: wait.as_secs() });
                    }
                    let paid = Duration::from_secs(now - self.paid) / RATE_BYTES;
                    let owed = (self.owed + began.elapsed()).saturating_sub(paid);
                    if owed > wait * DEBT_IDLES {
                        return Err(SyncError::Silent { seconds: owed.as_secs() });
                    }
                }
            }
        }
    }

    fn send(&mut self, bytes: Vec<u8>) -> Result<(), SyncError> {
        const SENDING: &str = "it to take what is sent";
        let Some(out) = &self.out else { return Err(SyncError::Broke { waiting_for: SENDING }) };
        let mut bytes = bytes;
        let mut moved = (self.shared.bytes_out.load(Ordering::Relaxed), Instant::now());
        loop {
            match out.try_send(bytes) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(SyncError::Broke { waiting_for: SENDING }),
                Err(TrySendError::Full(back)) => bytes = back,
            }
            let now = self.shared.bytes_out.load(Ordering::Relaxed);
            if now != moved.0 {
                moved = (now, Instant::now());
            }
            let wait = if self.is_ready { self.patience.idle } else { self.patience.start };
            if moved.1.elapsed() > wait {
                return Err(SyncError::Silent { seconds: wait.as_secs() });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Closes the way out when everything is written.
    fn close(&mut self) -> Result<(), SyncError> {
        self.out = None;
        let start = Instant::now();
        while !self.writer.is_finished() {
            if start.elapsed() > self.patience.idle {
                return Err(SyncError::Silent { seconds: self.patience.idle.as_secs() });
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// Reads until the end; returns the last event.
fn read_all(
    mut reader: impl Read,
    nonce: Option<Nonce>,
    shared: &Shared,
    events: &SyncSender<Event>,
) -> Event {
    let first = match nonce {
        Some(nonce) => find_mark(&mut reader, nonce, shared).map(|after| (after, Event::Ready)),
        None => read_greeting(&mut reader, shared).map(|nonce| (Vec::new(), Event::Greeting(nonce))),
    };
    let (after, event) = match first {
        Ok(first) => first,
        Err(Some(error)) => return Event::Bad(error),
        Err(None) => return Event::End,
    };
    if events.send(event).is_err() {
        return Event::End;
    }
    let mut reader = Counted { before: after, at: 0, reader, shared };
    loop {
        match read_frame(&mut |bytes| reader.fill(bytes)) {
            None => return Event::End,
            Some(Err(error)) => return Event::Bad(error),
            Some(Ok(frame)) => {
                if events.send(Event::Frame(frame)).is_err() {
                    return Event::End;
                }
            }
        }
    }
}

/// Reads one frame through `fill`, which fills a buffer or says that the bytes end before; then so do the
/// frames.
pub(super) fn read_frame(fill: &mut dyn FnMut(&mut [u8]) -> Option<()>) -> Option<Result<Frame, WireError>> {
    let mut header = [0; HEADER_BYTES];
    fill(&mut header)?;
    let header = match Header::parse(header) {
        Ok(header) => header,
        Err(error) => return Some(Err(error)),
    };
    let mut payload = vec![0; header.payload_bytes()];
    fill(&mut payload)?;
    Some(Frame::decode(header, &payload))
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8], shared: &Shared) -> usize {
    loop {
        match reader.read(buffer) {
            Ok(count) => {
                shared.bytes_in.fetch_add(count as u64, Ordering::Relaxed);
                return count;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // A stream that fails has ended: nothing more can be learnt from it.
            Err(_) => return 0,
        }
    }
}

fn find_mark(reader: &mut impl Read, nonce: Nonce, shared: &Shared) -> Result<Vec<u8>, Option<WireError>> {
    let mut finder = MarkFinder::new(nonce);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = read_some(reader, &mut buffer, shared);
        if count == 0 {
            return Err(None);
        }
        let found = finder.take(&buffer[..count]);
        shared.is_echo.store(finder.is_echo(), Ordering::Relaxed);
        *shared.noise.lock().unwrap_or_else(PoisonError::into_inner) = finder.noise().to_vec();
        if let Some(after) = found.map_err(Some)? {
            return Ok(after);
        }
    }
}

fn read_greeting(reader: &mut impl Read, shared: &Shared) -> Result<Nonce, Option<WireError>> {
    let mut line = [0; GREETING_BYTES];
    let mut filled = 0;
    while filled < line.len() {
        match read_some(reader, &mut line[filled..], shared) {
            0 => return Err(None),
            count => filled += count,
        }
    }
    Nonce::parse_greeting(&line).map_err(Some)
}

struct Counted<'s, R> {
    before: Vec<u8>,
    at: usize,
    reader: R,
    shared: &'s Shared,
}

impl<R: Read> Counted<'_, R> {
    /// Fills `buffer`; `None` if the stream ends before.
    fn fill(&mut self, buffer: &mut [u8]) -> Option<()> {
        let kept = (self.before.len() - self.at).min(buffer.len());
        buffer[..kept].copy_from_slice(&self.before[self.at..self.at + kept]);
        self.at += kept;
        let mut filled = kept;
        while filled < buffer.len() {
            match read_some(&mut self.reader, &mut buffer[filled..], self.shared) {
                0 => return None,
                count => filled += count,
            }
        }
        Some(())
    }
}

/// Writes what is queued until the queue is closed or a write fails.
fn write_all(mut writer: impl Write, frames: &Receiver<Vec<u8>>, shared: &Shared) {
    loop {
        let mut bytes = match frames.recv_timeout(WORKING_EVERY) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let speaks =
                    shared.has_spoken.load(Ordering::Relaxed) && shared.is_busy.load(Ordering::Relaxed);
                if !speaks {
                    continue;
                }
                Frame::Working.encode()
            }
        };
        while bytes.len() < COALESCE_BYTES {
            match frames.try_recv() {
                Ok(more) => bytes.extend_from_slice(&more),
                Err(_) => break,
            }
        }
        for part in bytes.chunks(READ_BYTES) {
            if writer.write_all(part).is_err() {
                return;
            }
            shared.bytes_out.fetch_add(part.len() as u64, Ordering::Relaxed);
        }
        if writer.flush().is_err() {
            return;
        }
    }
}
