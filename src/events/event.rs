//! One event: its members, its id, and the line it is written as.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::object::{DeviceName, Json, JsonError, JsonObject, LAMPORT_MAX, Lamport, SessionId};

use super::salvage::LINE_BYTES_MAX;

/// The version of the form written here, the member `v`.
const VERSION: u64 = 1;
/// The longest `kind`, in characters.
const KIND_CHARS_MAX: usize = 64;
/// The greatest `seq`: what every JSON reader can hold.
const SEQ_MAX: u64 = 1 << 53;

/// Why something is no event of ours.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EventError {
    /// A member is missing, of the wrong type or outside its range.
    #[error("{0:?} is missing or not what it must be")]
    BadMember(&'static str),
    /// The id is not the hash of the rest.
    #[error("the id is not the hash of the event (it would be {actual})")]
    WrongId {
        /// The hash of what is there.
        actual: EventId,
    },
    /// The line would be longer than [`LINE_BYTES_MAX`].
    #[error("an event of {0} bytes is longer than a line may be")]
    TooLong(usize),
    /// The body cannot be written so that everyone reads it back.
    #[error("the body cannot stand in an event")]
    BadBody(#[source] JsonError),
    /// The chain or the stamps have come to the end of their numbers.
    #[error("{0:?} cannot grow any further")]
    Exhausted(&'static str),
}

/// The id of an event: a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub(super) [u8; 32]);

impl EventId {
    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<EventId> {
        let lower = text.bytes().all(|b| !b.is_ascii_uppercase());
        let mut bytes = [0; 32];
        (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(EventId(bytes))
    }

    /// Hashes bytes.
    pub(super) fn of(bytes: &[u8]) -> EventId {
        EventId(Sha256::digest(bytes).into())
    }

    /// Returns the first ten hexadecimal digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..5])
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// What tells two lives of one device name apart: 16 hexadecimal digits, new with each vault folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(String);

impl Epoch {
    /// Parses 16 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Epoch> {
        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 16 && text.bytes().all(digit)).then(|| Epoch(text.to_owned()))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event of ours. Its id has been checked, or was made from its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// SHA-256 of the canonical JSON of the event without this member.
    pub id: EventId,
    /// When, by the device's own clock and in its zone: RFC 3339. For people; nothing is ordered by it.
    pub at: String,
    /// The device that wrote it.
    pub device: DeviceName,
    /// The life of that device.
    pub epoch: Epoch,
    /// 1, 2, 3 … within (device, epoch, stream).
    pub seq: u64,
    /// The id of the event with the number before; none for the first.
    pub prev: Option<EventId>,
    /// The stamp that orders it.
    pub lamport: Lamport,
    /// The agent's session, if there is one.
    pub session: Option<SessionId>,
    /// What kind of event: `note`, `decision`, whatever a tool likes; 1 to 64 printable characters.
    pub kind: String,
    /// What it says.
    pub body: Json,
}

/// What one must bring to write an event; the rest follows from the stream it goes to.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// When: RFC 3339 with the zone's offset.
    pub at: String,
    /// The device that writes.
    pub device: DeviceName,
    /// The life of that device.
    pub epoch: Epoch,
    /// The agent's session, if there is one.
    pub session: Option<SessionId>,
    /// What kind of event.
    pub kind: String,
    /// What it says.
    pub body: Json,
    /// The head's stamp: the event's is greater, and stamps in the stream that lie too far above it do
    /// not count.
    pub head: Lamport,
}

/// Where in its chain an event comes.
pub(super) struct Place {
    pub seq: u64,
    pub prev: Option<EventId>,
    pub lamport: Lamport,
}

impl Event {
    /// Reads an event from a JSON object and checks its id. Members of later versions are let be: the id
    /// covers them.
    pub fn from_json(object: &JsonObject) -> Result<Event, EventError> {
        let text =
            |name: &'static str| object.get(name).and_then(Json::as_str).ok_or(EventError::BadMember(name));
        let number = |name: &'static str, range: std::ops::RangeInclusive<u64>| {
            let value = object.get(name).and_then(Json::as_u64);
            value.filter(|n| range.contains(n)).ok_or(EventError::BadMember(name))
        };
        number("v", VERSION..=VERSION)?;
        let id = EventId::parse(text("id")?).ok_or(EventError::BadMember("id"))?;
        let prev = match object.get("prev") {
            Some(Json::Null) => None,
            Some(Json::String(text)) => Some(EventId::parse(text).ok_or(EventError::BadMember("prev"))?),
            _ => return Err(EventError::BadMember("prev")),
        };
        let session = match object.get("session") {
            Some(Json::Null) => None,
            Some(Json::String(text)) => Some(SessionId::parse(text).ok_or(EventError::BadMember("session"))?),
            _ => return Err(EventError::BadMember("session")),
        };
        let event = Event {
            id,
            at: checked("at", text("at")?, is_moment)?,
            device: DeviceName::parse(text("device")?).ok_or(EventError::BadMember("device"))?,
            epoch: Epoch::parse(text("epoch")?).ok_or(EventError::BadMember("epoch"))?,
            seq: number("seq", 1..=SEQ_MAX)?,
            prev,
            lamport: Lamport(number("lamport", 1..=LAMPORT_MAX)?),
            session,
            kind: checked("kind", text("kind")?, is_kind)?,
            body: object.get("body").cloned().ok_or(EventError::BadMember("body"))?,
        };
        let actual = hash_without_id(object);
        if actual == id { Ok(event) } else { Err(EventError::WrongId { actual }) }
    }

    /// Makes an event at a place of its chain.
    pub(super) fn make(new: NewEvent, place: Place) -> Result<Event, EventError> {
        if place.seq > SEQ_MAX {
            return Err(EventError::Exhausted("seq"));
        }
        if place.lamport.0 > LAMPORT_MAX {
            return Err(EventError::Exhausted("lamport"));
        }
        let mut event = Event {
            id: EventId([0; 32]),
            at: checked("at", &new.at, is_moment)?,
            device: new.device,
            epoch: new.epoch,
            seq: place.seq,
            prev: place.prev,
            lamport: place.lamport,
            session: new.session,
            kind: checked("kind", &new.kind, is_kind)?,
            body: new.body,
        };
        let line = event.line();
        if line.len() > LINE_BYTES_MAX {
            return Err(EventError::TooLong(line.len()));
        }
        let json = Json::parse(line.as_bytes()).map_err(EventError::BadBody)?;
        event.id = hash_without_id(json.as_object().expect("an event is written as an object"));
        Ok(event)
    }

    /// Writes the event as its line, without the line feed: members in the order of this type, each in
    /// canonical form.
    pub fn line(&self) -> String {
        let text = |text: Option<String>| text.map_or(Json::Null, Json::String);
        let members = [
            ("id", Json::String(self.id.to_string())),
            ("v", Json::from(VERSION)),
            ("at", Json::from(self.at.as_str())),
            ("device", Json::from(self.device.as_str())),
            ("epoch", Json::from(self.epoch.as_str())),
            ("seq", Json::from(self.seq)),
            ("prev", text(self.prev.map(|id| id.to_string()))),
            ("lamport", Json::from(self.lamport.0)),
            ("session", text(self.session.as_ref().map(SessionId::to_string))),
            ("kind", Json::from(self.kind.as_str())),
        ];
        let mut line = String::from("{");
        for (name, value) in &members {
            line.push_str(&format!("\"{name}\":"));
            value.write_canonical(&mut line);
            line.push(',');
        }
        line.push_str("\"body\":");
        self.body.write_canonical(&mut line);
        line.push('}');
        line
    }
}

fn hash_without_id(object: &JsonObject) -> EventId {
    let mut canonical = String::new();
    object.write_canonical_without(Some("id"), &mut canonical);
    EventId::of(canonical.as_bytes())
}

fn checked(name: &'static str, text: &str, holds: fn(&str) -> bool) -> Result<String, EventError> {
    if holds(text) { Ok(text.to_owned()) } else { Err(EventError::BadMember(name)) }
}

fn is_kind(text: &str) -> bool {
    let count = text.chars().count();
    (1..=KIND_CHARS_MAX).contains(&count) && !text.chars().any(char::is_control)
}

/// Tells whether `text` has the form of RFC 3339 with zone. Whether the day exists is nobody's business:
/// nothing is computed from it.
fn is_moment(text: &str) -> bool {
    let form = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text
                .bytes()
                .zip(pattern.bytes())
                .all(|(b, p)| if p == b'0' { b.is_ascii_digit() } else { b == p })
    };
    let Some((moment, rest)) = text.split_at_checked(19) else { return false };
    let zone =
        rest.strip_prefix('.').map_or(rest, |part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    let fraction = rest.len() - zone.len();
    form(moment, "0000-00-00T00:00:00")
        && (fraction == 0 || (2..=10).contains(&fraction))
        && (zone == "Z" || form(zone, "+00:00") || form(zone, "-00:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(body: Json) -> NewEvent {
        NewEvent {
            at: "2026-11-22T08:40:00+02:00".to_owned(),
            device: DeviceName::parse("pixel").expect("a name"),
            epoch: Epoch::parse("0123456789abcdef").expect("an epoch"),
            session: None,
            kind: "note".to_owned(),
            body,
            head: Lamport(40),
        }
    }

    fn first() -> Place {
        Place { seq: 1, prev: None, lamport: Lamport(41) }
    }

    /// The vector of docs/format.md.
    #[test]
    fn an_event_has_the_line_and_id_the_format_says() {
        let body = Json::parse(br#"{"text":"caf\u00e9"}"#).expect("an object");
        let event = Event::make(new(body), first()).expect("an event");
        let canonical = concat!(
            r#"{"at":"2026-11-22T08:40:00+02:00","body":{"text":"café"},"device":"pixel","#,
            r#""epoch":"0123456789abcdef","kind":"note","lamport":41,"prev":null,"seq":1,"session":null,"v":1}"#
        );
        assert_eq!(event.id, EventId::of(canonical.as_bytes()));
        let id = event.id;
        let line = format!(
            r#"{{"id":"{id}","v":1,"at":"2026-11-22T08:40:00+02:00","device":"pixel","epoch":"0123456789abcdef","seq":1,"prev":null,"lamport":41,"session":null,"kind":"note","body":{{"text":"café"}}}}"#
        );
        assert_eq!(event.line(), line);
        let format = include_str!("../../docs/format.md");
        assert!(format.contains(&line), "docs/format.md lacks the line {line}");
    }

    #[test]
    fn what_is_written_reads_back_equal() {
        let body = Json::parse(br#"[1e400,-0,"\u2028\u0000",{"k":null}]"#).expect("an array");
        let mut event = new(body);
        event.session = SessionId::parse("s-1");
        let event = Event::make(event, Place { prev: Some(EventId([7; 32])), seq: 2, lamport: Lamport(9) });
        let event = event.expect("an event");
        let json = Json::parse(event.line().as_bytes()).expect("JSON");
        assert_eq!(Event::from_json(json.as_object().expect("an object")), Ok(event));
    }

    #[test]
    fn each_member_is_needed_and_checked() {
        let line = Event::make(new(Json::Null), first()).expect("an event").line();
        let parse = |line: &str| {
            Event::from_json(Json::parse(line.as_bytes()).expect(line).as_object().expect("an object"))
        };
        assert!(parse(&line).is_ok());
        let table = [
            ("id", r#""x""#),
            ("v", "2"),
            ("at", r#""yesterday""#),
            ("device", r#""main""#),
            ("epoch", r#""0123""#),
            ("seq", "0"),
            ("prev", r#""none""#),
            ("lamport", "9007199254740993"),
            ("session", r#"".hidden""#),
            ("kind", r#""""#),
        ];
        for (name, wrong) in table {
            let start = line.find(&format!("\"{name}\":")).expect(name) + name.len() + 3;
            let end = start + line[start..].find([',', '}']).expect("a member ends");
            let spoiled = format!("{}{wrong}{}", &line[..start], &line[end..]);
            assert_eq!(parse(&spoiled), Err(EventError::BadMember(name)), "{spoiled}");
        }
        let changed = line.replace("08:40", "08:41");
        assert!(matches!(parse(&changed), Err(EventError::WrongId { .. })));
    }

    #[test]
    fn members_of_later_versions_are_covered_by_the_id() {
        let line = r#"{"id":"ID","v":1,"at":"2026-11-22T08:40:00Z","device":"mac","epoch":"0123456789abcdef","seq":1,"prev":null,"lamport":1,"session":null,"kind":"note","body":1,"mood":"good"}"#;
        let json = Json::parse(line.as_bytes()).expect("JSON");
        let id = hash_without_id(json.as_object().expect("an object")).to_string();
        let parse = |text: String| {
            Event::from_json(Json::parse(text.as_bytes()).expect("JSON").as_object().expect("an object"))
        };
        assert!(parse(line.replace("ID", &id)).is_ok());
        assert!(parse(line.replace("ID", &id).replace("good", "bad")).is_err());
    }

    #[test]
    fn a_body_too_deep_to_read_back_is_refused() {
        let deep = |n: usize| Json::parse(format!("{}{}", "[".repeat(n), "]".repeat(n)).as_bytes());
        assert!(Event::make(new(deep(127).expect("JSON")), first()).is_ok());
        let refused = Event::make(new(deep(128).expect("JSON")), first());
        assert!(matches!(refused, Err(EventError::BadBody(_))));
    }

    #[test]
    fn moments_have_the_form_of_rfc_3339_with_zone() {
        for good in
            ["2026-11-22T06:40:00Z", "9999-12-31T23:59:59.999999999-12:00", "2026-11-22T06:40:00.5+05:45"]
        {
            assert!(is_moment(good), "{good}");
        }
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22T06:40:00",
            "2026-11-22T06:40:00.Z",
            "2026-11-22 06:40:00Z",
            "2026-11-22T06:40:00+0200",
            "22026-11-22T06:40:00Z",
            "2026-11-22T06:40:0éZ",
        ] {
            assert!(!is_moment(bad), "{bad}");
        }
    }
}
