//! Do the events of a stream hang together: gaps, forks, wrong ids, and what must be held back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::object::Lamport;

use super::event::{EventError, EventId};
use super::stream::{Content, EventFacts, Opaque, Part, Stream};

/// One device's events in one life of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The device.
    pub device: Arc<str>,
    /// The life of that device.
    pub epoch: Arc<str>,
    /// How many events there are.
    pub events: usize,
    /// The greatest number among them.
    pub last_seq: u64,
    /// The id of the event with that number.
    pub last: EventId,
    /// Its stamp.
    pub lamport: Lamport,
}

/// Something that is not as it should be. Lines are numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A line, or a part of one, that cannot be read.
    Opaque {
        /// The line.
        line: usize,
        /// Why.
        why: Opaque,
    },
    /// A torn or glued line, read in parts.
    Parted {
        /// The line.
        line: usize,
        /// How many parts it has.
        parts: usize,
    },
    /// An object that looks like an event of ours and is none.
    NotAnEvent {
        /// The line.
        line: usize,
        /// Why not.
        why: EventError,
    },
    /// Two different bodies under one id.
    TwoBodies {
        /// The line of the second.
        line: usize,
        /// The id both claim.
        id: String,
    },
    /// An event that is there twice.
    Repeated {
        /// The line of the second.
        line: usize,
        /// Its id.
        id: EventId,
    },
    /// Numbers that are missing in a chain.
    Gap {
        /// The line of the event after the gap.
        line: usize,
        /// Whose chain.
        device: Arc<str>,
        /// The first number missing.
        from: u64,
        /// The last number missing.
        to: u64,
    },
    /// Two events of one chain with one number: two writers had one name and one life, or a folder was
    /// copied.
    Fork {
        /// The line of the second.
        line: usize,
        /// Whose chain.
        device: Arc<str>,
        /// The number.
        seq: u64,
    },
    /// An event whose `prev` is known and is not the event with the number before in its chain.
    BadLink {
        /// The line.
        line: usize,
        /// The event.
        id: EventId,
    },
    /// Events held back because one they follow is not known.
    HeldBack {
        /// The line of the first of them.
        line: usize,
        /// The id that is not known.
        prev: EventId,
        /// How many events wait for it.
        events: usize,
    },
}

impl Finding {
    /// Returns the line to look at.
    pub fn line(&self) -> usize {
        match self {
            Finding::Opaque { line, .. }
            | Finding::Parted { line, .. }
            | Finding::NotAnEvent { line, .. }
            | Finding::TwoBodies { line, .. }
            | Finding::Repeated { line, .. }
            | Finding::Gap { line, .. }
            | Finding::Fork { line, .. }
            | Finding::BadLink { line, .. }
            | Finding::HeldBack { line, .. } => *line,
        }
    }

    /// Returns one word for the kind of finding, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Finding::Opaque { .. } => "opaque",
            Finding::Parted { .. } => "parted",
            Finding::NotAnEvent { .. } => "not-an-event",
            Finding::TwoBodies { .. } => "two-bodies",
            Finding::Repeated { .. } => "repeated",
            Finding::Gap { .. } => "gap",
            Finding::Fork { .. } => "fork",
            Finding::BadLink { .. } => "bad-link",
            Finding::HeldBack { .. } => "held-back",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Opaque { why, .. } => write!(f, "cannot be read: {why}"),
            Finding::Parted { parts, .. } => write!(f, "was torn or glued: read in {parts} parts"),
            Finding::NotAnEvent { why, .. } => write!(f, "looks like an event and is none: {why}"),
            Finding::TwoBodies { id, .. } => write!(f, "another body under the id {id:?}"),
            Finding::Repeated { id, .. } => write!(f, "event {} is there twice", id.short()),
            Finding::Gap { device, from, to, .. } if from == to => {
                write!(f, "event {from} of {device} is missing")
            }
            Finding::Gap { device, from, to, .. } => {
                write!(f, "events {from} to {to} of {device} are missing")
            }
            Finding::Fork { device, seq, .. } => write!(f, "two events of {device} have the number {seq}"),
            Finding::BadLink { id, .. } => {
                write!(f, "event {} does not follow the event it names", id.short())
            }
            Finding::HeldBack { prev, events: 1, .. } => {
                write!(f, "held back: the event it follows, {}, is not known", prev.short())
            }
            Finding::HeldBack { prev, events, .. } => {
                write!(f, "held back with what follows, {events} events: {} is not known", prev.short())
            }
        }
    }
}

/// What [`verify`] found.
#[derive(Debug, Default)]
pub struct Report {
    /// Each device's chain, sorted by device and life.
    pub chains: Vec<Chain>,
    /// What is not as it should be, by line.
    pub findings: Vec<Finding>,
    /// For each of [`Stream::lines`], whether it is an event held back.
    pub held: Vec<bool>,
    /// How many of the lines are events of ours.
    pub events: usize,
    /// How many are other JSON objects.
    pub foreign: usize,
}

/// Checks a stream. Takes time and memory linear in it, apart from sorting.
pub fn verify(stream: &Stream<'_>) -> Report {
    let mut report = Report { held: vec![false; stream.lines().len()], ..Report::default() };
    let index = check_lines(stream, &mut report);
    check_links(stream, &index, &mut report);
    check_numbers(stream, &index, &mut report);
    hold_back(stream, &index, &mut report);
    report.findings.sort_by_key(Finding::line);
    report
}

/// The first line (as an index into [`Stream::lines`]) of each event.
type Index = HashMap<EventId, usize>;

fn check_lines(stream: &Stream<'_>, report: &mut Report) -> Index {
    let mut index = Index::new();
    let mut claims: HashMap<String, EventId> = HashMap::new();
    let lines = stream.lines();
    for (at, line) in lines.iter().enumerate() {
        let number = line.number;
        if line.part == Part::Piece && (at == 0 || lines[at - 1].number != number) {
            let parts = lines[at..].iter().take_while(|other| other.number == number).count();
            report.findings.push(Finding::Parted { line: number, parts });
        }
        let claim = match &line.content {
            Content::Event(facts) => {
                report.events += 1;
                if *index.entry(facts.id).or_insert(at) != at {
                    report.findings.push(Finding::Repeated { line: number, id: facts.id });
                }
                facts.id.to_string()
            }
            Content::Foreign(facts) => {
                report.foreign += 1;
                if let Some(why) = facts.fault.clone() {
                    report.findings.push(Finding::NotAnEvent { line: number, why });
                }
                match &facts.claim {
                    Some(claim) => claim.to_string(),
                    None => continue,
                }
            }
            // One object as far as anyone can tell, and nothing is wrong with it.
            Content::Opaque(Opaque::TooLong, _) => {
                report.foreign += 1;
                continue;
            }
            Content::Opaque(why, _) => {
                report.findings.push(Finding::Opaque { line: number, why: *why });
                continue;
            }
        };
        let body = line.content.id();
        if *claims.entry(claim.clone()).or_insert(body) != body {
            report.findings.push(Finding::TwoBodies { line: number, id: claim });
        }
    }
    index
}

/// Returns the events once each, with their place in the stream.
fn events<'s>(stream: &'s Stream<'_>, index: &'s Index) -> impl Iterator<Item = (usize, &'s EventFacts)> {
    stream.lines().iter().enumerate().filter_map(|(at, line)| match &line.content {
        Content::Event(facts) if index.get(&facts.id) == Some(&at) => Some((at, facts)),
        _ => None,
    })
}

fn check_links(stream: &Stream<'_>, index: &Index, report: &mut Report) {
    let facts: HashMap<EventId, &EventFacts> = events(stream, index).map(|(_, e)| (e.id, e)).collect();
    for (at, event) in events(stream, index) {
        let follows = match event.prev {
            None => event.seq == 1,
            Some(prev) => facts.get(&prev).is_none_or(|prev| {
                prev.device == event.device && prev.epoch == event.epoch && prev.seq + 1 == event.seq
            }),
        };
        if !follows {
            report.findings.push(Finding::BadLink { line: stream.lines()[at].number, id: event.id });
        }
    }
}

fn check_numbers(stream: &Stream<'_>, index: &Index, report: &mut Report) {
    let mut chains: BTreeMap<_, Vec<(usize, &EventFacts)>> = BTreeMap::new();
    for (at, event) in events(stream, index) {
        chains.entry((&event.device, &event.epoch)).or_default().push((at, event));
    }
    for ((device, epoch), mut members) in chains {
        members.sort_by_key(|(at, event)| (event.seq, *at));
        let mut expected = 1;
        for (at, event) in &members {
            let (line, device, seq) = (stream.lines()[*at].number, device.clone(), event.seq);
            if seq < expected {
                report.findings.push(Finding::Fork { line, device, seq });
            } else if seq > expected {
                report.findings.push(Finding::Gap { line, device, from: expected, to: seq - 1 });
            }
            expected = seq + 1;
        }
        let Some((_, last)) = members.iter().max_by_key(|(_, event)| (event.seq, event.id)) else { continue };
        report.chains.push(Chain {
            device: device.clone(),
            epoch: epoch.clone(),
            events: members.len(),
            last_seq: last.seq,
            last: last.id,
            lamport: last.lamport,
        });
    }
}

/// Holds back every event that does not reach the beginning of a chain. An id covers `prev`, so that
/// events cannot follow each other in a circle: what hangs on no beginning hangs on an unknown event.
fn hold_back(stream: &Stream<'_>, index: &Index, report: &mut Report) {
    let mut followers: HashMap<EventId, Vec<EventId>> = HashMap::new();
    let mut unknown = Vec::new();
    for (at, event) in events(stream, index) {
        let Some(prev) = event.prev else { continue };
        let siblings = followers.entry(prev).or_default();
        if siblings.is_empty() && !index.contains_key(&prev) {
            unknown.push((stream.lines()[at].number, prev));
        }
        siblings.push(event.id);
    }
    let mut held = HashSet::new();
    for (line, prev) in unknown {
        let before = held.len();
        let mut waiting = vec![prev];
        while let Some(id) = waiting.pop() {
            let next = followers.get(&id).into_iter().flatten();
            waiting.extend(next.filter(|follower| held.insert(**follower)));
        }
        report.findings.push(Finding::HeldBack { line, prev, events: held.len() - before });
    }
    for (at, line) in stream.lines().iter().enumerate() {
        report.held[at] = matches!(&line.content, Content::Event(facts) if held.contains(&facts.id));
    }
}
