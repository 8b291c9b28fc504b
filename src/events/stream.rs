//! A stream's text as lines and parts of lines, whoever wrote them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::object::{Json, JsonFault, JsonObject, LAMPORT_JUMP_MAX, LAMPORT_MAX, Lamport, LenientJson};

use super::event::{Event, EventError, EventId, NewEvent, Place};
use super::salvage::{self, Found};

/// A stream, read. Blank lines are passed over.
#[derive(Debug)]
pub struct Stream<'a> {
    text: &'a [u8],
    lines: Vec<Line<'a>>,
}

/// A line, or a part of a torn or glued one.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The number of the line in the file, from 1.
    pub number: usize,
    /// The offset of `bytes` in the file.
    pub offset: usize,
    /// The bytes, without the line's end.
    pub bytes: &'a [u8],
    /// Whether this is all of the line.
    pub part: Part,
    /// What it is.
    pub content: Content,
}

/// Whether something is a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The whole line.
    Whole,
    /// A part of a line that was torn or glued.
    Piece,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An event of ours whose id holds.
    Event(EventFacts),
    /// Another JSON object.
    Foreign(ForeignFacts),
    /// No JSON object, or none with one meaning.
    Opaque(Opaque, EventId),
}

/// What of an event its chain and order need. [`Line::event`] has the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFacts {
    /// Its id.
    pub id: EventId,
    /// The device that wrote it.
    pub device: Arc<str>,
    /// The life of that device.
    pub epoch: Arc<str>,
    /// Its number in the chain.
    pub seq: u64,
    /// The event before.
    pub prev: Option<EventId>,
    /// Its stamp.
    pub lamport: Lamport,
}

/// What of a foreign object its identity and order need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignFacts {
    /// The hash of its canonical form.
    pub hash: EventId,
    /// Its member `id`, if that is a string.
    pub claim: Option<Arc<str>>,
    /// Where it stands in the total order, if it says so in our terms.
    pub stamp: Option<Stamp>,
    /// Why it is no event of ours although it looks like one: it has `v` and an id of 64 digits.
    pub fault: Option<EventError>,
}

/// A place in the total order, but for the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The Lamport stamp.
    pub lamport: Lamport,
    /// The device.
    pub device: Arc<str>,
}

/// Why bytes are opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Opaque {
    /// No JSON, or JSON with more than one meaning.
    #[error("{0}")]
    Unreadable(JsonFault),
    /// JSON, but no object.
    #[error("not an object")]
    NotAnObject,
    /// Longer than what is looked into.
    #[error("longer than 4 MiB")]
    TooLong,
}

/// An event that was made for a stream.
#[derive(Debug)]
pub struct Appended {
    /// The event.
    pub event: Event,
    /// What to write at the end of the stream: the line, after a line feed if the last line lacks one.
    pub bytes: Vec<u8>,
}

impl<'a> Stream<'a> {
    /// Reads a stream. Nothing is an error: what is not understood is opaque.
    pub fn parse(text: &'a [u8]) -> Stream<'a> {
        Stream::parse_from(text, 0, 1)
    }

    /// Reads what comes from `offset` on, which must be the beginning of line `number`.
    pub(super) fn parse_from(text: &'a [u8], offset: usize, number: usize) -> Stream<'a> {
        let mut reader = Reader::default();
        let mut lines = Vec::new();
        for (at, range) in line_ranges(text, offset).enumerate() {
            reader.read(text, range, number + at, &mut lines);
        }
        Stream { text, lines }
    }

    /// Returns the lines and parts of lines in the order of the file.
    pub fn lines(&self) -> &[Line<'a>] {
        &self.lines
    }

    /// Returns the whole text.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Returns the greatest stamp in the stream that a device whose head has the stamp `head` believes.
    pub fn lamport_max(&self, head: Lamport) -> Lamport {
        let limit = Lamport(head.0.saturating_add(LAMPORT_JUMP_MAX));
        let stamps = self.lines.iter().filter_map(|line| line.content.lamport());
        stamps.filter(|stamp| *stamp <= limit).max().unwrap_or_default()
    }

    /// Makes the next event of its device for this stream. Nothing is written.
    pub fn append(&self, new: NewEvent) -> Result<Appended, EventError> {
        let last = self.events().filter(|(_, event)| {
            *event.device == *new.device.as_str() && *event.epoch == *new.epoch.as_str()
        });
        let last = last.map(|(_, event)| (event.seq, event.id)).max();
        let place = Place {
            seq: last.map_or(1, |(seq, _)| seq + 1),
            prev: last.map(|(_, id)| id),
            lamport: Lamport(self.lamport_max(new.head).max(new.head).0.saturating_add(1)),
        };
        let event = Event::make(new, place)?;
        let mut bytes = Vec::new();
        if self.text.last().is_some_and(|b| *b != b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(event.line().as_bytes());
        bytes.push(b'\n');
        Ok(Appended { event, bytes })
    }

    /// Returns the events of ours with their lines.
    pub fn events(&self) -> impl Iterator<Item = (&Line<'a>, &EventFacts)> {
        self.lines.iter().filter_map(|line| match &line.content {
            Content::Event(facts) => Some((line, facts)),
            _ => None,
        })
    }
}

impl Line<'_> {
    /// Returns `true` for what a killed writer left: the beginning of an object, or zeros. Other text that is not
    /// JSON is somebody's, and so is an object that only a tolerant reader takes.
    pub fn is_torn(&self) -> bool {
        if !matches!(self.content, Content::Opaque(Opaque::Unreadable(_), _)) {
            return false;
        }
        let has_zeros = self.bytes.contains(&0);
        let may_be = has_zeros || self.part == Part::Piece || self.bytes.starts_with(b"{");
        may_be && (has_zeros || !self.is_tolerable())
    }

    /// Returns `true` if the line is one whole object for a tolerant reader, or too long to be looked into.
    pub fn is_tolerable(&self) -> bool {
        match self.content {
            Content::Event(_) | Content::Foreign(_) | Content::Opaque(Opaque::TooLong, _) => true,
            Content::Opaque(Opaque::NotAnObject, _) => false,
            Content::Opaque(Opaque::Unreadable(_), _) => {
                let read = LenientJson::read(self.bytes);
                read.is_whole && read.value.is_object()
            }
        }
    }

    /// Reads the JSON object that stands here.
    pub fn json(&self) -> Option<JsonObject> {
        match Json::parse(self.bytes) {
            Ok(Json::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// Reads the event that stands here.
    pub fn event(&self) -> Option<Event> {
        self.json().and_then(|object| Event::from_json(&object).ok())
    }
}

impl Content {
    /// Returns the id: an event's own, the hash of a foreign object's canonical form, the hash of opaque
    /// bytes.
    pub fn id(&self) -> EventId {
        match self {
            Content::Event(facts) => facts.id,
            Content::Foreign(facts) => facts.hash,
            Content::Opaque(_, hash) => *hash,
        }
    }

    /// Returns the place in the total order, if there is one.
    pub fn stamp(&self) -> Option<Stamp> {
        match self {
            Content::Event(facts) => Some(Stamp { lamport: facts.lamport, device: facts.device.clone() }),
            Content::Foreign(facts) => facts.stamp.clone(),
            Content::Opaque(..) => None,
        }
    }

    fn lamport(&self) -> Option<Lamport> {
        match self {
            Content::Event(facts) => Some(facts.lamport),
            Content::Foreign(facts) => facts.stamp.as_ref().map(|stamp| stamp.lamport),
            Content::Opaque(..) => None,
        }
    }
}

/// Returns where each line of `text` from `offset` on lies, with its line feed.
pub(super) fn line_ranges(text: &[u8], offset: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = offset;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let end = rest.iter().position(|b| *b == b'\n').map_or(text.len(), |feed| at + feed + 1);
        let range = at..end;
        at = end;
        Some(range)
    })
}

/// Reads line after line and keeps each device's name once.
#[derive(Default)]
struct Reader {
    names: HashSet<Arc<str>>,
}

impl Reader {
    fn read<'a>(&mut self, text: &'a [u8], range: Range<usize>, number: usize, lines: &mut Vec<Line<'a>>) {
        let start = range.start;
        let mut bytes = &text[range];
        bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let found = salvage::parts(bytes);
        let part = if found.len() > 1 { Part::Piece } else { Part::Whole };
        for found in found {
            let (content, range) = match found {
                Found::Object(object, range) => (self.content(&object), range),
                Found::Opaque(why, range) => {
                    let id = EventId::of(salvage::trimmed(&bytes[range.clone()]));
                    (Content::Opaque(why, id), range)
                }
            };
            let offset = start + range.start;
            lines.push(Line { number, offset, bytes: &bytes[range], part, content });
        }
    }

    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        let name: Arc<str> = text.into();
        self.names.insert(name.clone());
        name
    }

    fn content(&mut self, object: &JsonObject) -> Content {
        let fault = match Event::from_json(object) {
            Ok(event) => {
                return Content::Event(EventFacts {
                    id: event.id,
                    device: self.name(event.device.as_str()),
                    epoch: self.name(event.epoch.as_str()),
                    seq: event.seq,
                    prev: event.prev,
                    lamport: event.lamport,
                });
            }
            Err(fault) => fault,
        };
        let claim = object.get("id").and_then(Json::as_str);
        let like_ours = object.get("v").is_some() && claim.is_some_and(|id| EventId::parse(id).is_some());
        let lamport = object.get("lamport").and_then(Json::as_u64).filter(|stamp| *stamp <= LAMPORT_MAX);
        let device = object.get("device").and_then(Json::as_str);
        let mut canonical = String::new();
        object.write_canonical(&mut canonical);
        Content::Foreign(ForeignFacts {
            hash: EventId::of(canonical.as_bytes()),
            claim: claim.map(Arc::from),
            stamp: lamport.zip(device).map(|(lamport, device)| {
                let device = self.name(device);
                Stamp { lamport: Lamport(lamport), device }
            }),
            fault: like_ours.then_some(fault),
        })
    }
}

/// Counts how often each thing has come: gives 1 for the first.
#[derive(Default)]
pub(super) struct Occurrences(HashMap<EventId, u32>);

impl Occurrences {
    pub fn next(&mut self, id: EventId) -> u32 {
        let count = self.0.entry(id).or_default();
        *count = count.saturating_add(1);
        *count
    }
}
