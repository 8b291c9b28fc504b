//! Operations: what a line of the log says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::line::{self, LineHash};
use super::refs::{RefChange, RefError, RefName, RefTarget, Refs};
use crate::env::Moment;
use crate::object::{CommitId, DeviceName, Lamport, SessionId};

/// The longest line that is written, in bytes.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// The most bytes of arguments that a line keeps; the rest is counted.
const ARGS_BYTES_MAX: usize = 4096;
/// The most bytes that a line keeps of one argument or of the actor.
const ARG_BYTES_MAX: usize = 512;

/// A place in the log: an operation and the hash of its line. Whoever remembers one can tell later
/// whether the log went backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anchor {
    /// The operation's number; 0 is the place before the first.
    pub seq: u64,
    /// The hash of its line.
    pub hash: LineHash,
}

impl Anchor {
    /// The place before the first operation.
    pub const START: Anchor = Anchor { seq: 0, hash: LineHash::ZERO };
}

/// Bytes of an append that was cut off, which were moved to quarantine before this operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// SHA-256 of the bytes, which is their name in quarantine.
    pub sha256: String,
    /// How many there are.
    pub bytes: u64,
}

/// One operation, as the log holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// The hash of the line before it.
    pub prev: LineHash,
    /// When it was made, RFC 3339; shown, never compared.
    pub at: String,
    /// The device that made it.
    pub device: DeviceName,
    /// Who asked for it.
    pub actor: String,
    /// The agent's session, if any.
    pub session: Option<SessionId>,
    /// What it was: `commit`, `pull`, `undo`, …
    pub op: String,
    /// What was typed, without messages and notes.
    pub args: Vec<String>,
    /// The Lamport stamp of the head after it.
    pub lamport: Lamport,
    /// What it did to refs.
    pub refs: Vec<RefChange>,
    /// The frontier of the head after it, where it moved one.
    pub frontier: Option<Vec<CommitId>>,
    /// What a torn append left, moved to quarantine before this one.
    pub recovered: Option<Recovered>,
    /// Facts of this kind of operation.
    pub detail: Map<String, Value>,
    /// The hash of its line.
    pub hash: LineHash,
}

impl Operation {
    /// Returns the place of this operation in the log.
    pub fn anchor(&self) -> Anchor {
        Anchor { seq: self.seq, hash: self.hash }
    }

    /// Returns what this operation did to `name`, if anything.
    pub fn change(&self, name: &RefName) -> Option<&RefChange> {
        self.refs.iter().find(|change| change.name == *name)
    }

    /// Reads an operation from a line whose hash was checked.
    pub(super) fn decode(line: &[u8], hash: LineHash) -> Result<Operation, serde_json::Error> {
        // Members of later versions are passed over; a doubled one, which serde refuses, counts as JSON
        // has it: the last.
        let form: Form = serde_json::from_slice(line)
            .or_else(|_| serde_json::from_slice::<Value>(line).and_then(serde_json::from_value))?;
        let bad = |what: &str| <serde_json::Error as serde::de::Error>::custom(what);
        let frontier = form.frontier.map(|ids| ids.iter().map(|id| CommitId::parse(id)).collect());
        Ok(Operation {
            seq: form.seq,
            prev: form.prev,
            at: form.at,
            device: DeviceName::parse(&form.device).ok_or_else(|| bad("bad device name"))?,
            actor: form.actor,
            session: match form.session {
                None => None,
                Some(text) => Some(SessionId::parse(&text).ok_or_else(|| bad("bad session id"))?),
            },
            op: form.op,
            args: form.args,
            lamport: Lamport(form.lamport),
            refs: form.refs,
            frontier: frontier.transpose().map_err(|_| bad("bad id in the frontier"))?,
            recovered: form.recovered,
            detail: form.detail,
            hash,
        })
    }

    /// Returns the line, with its newline, and sets the hash to that of the line.
    pub(super) fn encode(&mut self) -> Vec<u8> {
        let form = Form {
            seq: self.seq,
            prev: self.prev,
            at: self.at.clone(),
            device: self.device.to_string(),
            actor: self.actor.clone(),
            session: self.session.as_ref().map(SessionId::to_string),
            op: self.op.clone(),
            args: self.args.clone(),
            lamport: self.lamport.0,
            refs: self.refs.clone(),
            frontier: self.frontier.as_ref().map(|ids| ids.iter().map(CommitId::to_string).collect()),
            recovered: self.recovered.clone(),
            detail: self.detail.clone(),
        };
        let (line, hash) = line::seal(&form);
        self.hash = hash;
        line
    }
}

/// The members of a line in their order; `hash` is put behind them by [`line::seal`].
#[derive(Serialize, Deserialize)]
struct Form {
    seq: u64,
    prev: LineHash,
    at: String,
    device: String,
    actor: String,
    session: Option<String>,
    op: String,
    args: Vec<String>,
    lamport: u64,
    refs: Vec<RefChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frontier: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovered: Option<Recovered>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    detail: Map<String, Value>,
}

/// An operation that is to be appended.
#[derive(Clone, Debug)]
pub struct NewOperation {
    at: String,
    device: DeviceName,
    actor: String,
    session: Option<SessionId>,
    op: String,
    args: Vec<String>,
    lamport: Lamport,
    refs: Vec<(RefName, Option<RefTarget>)>,
    frontier: Option<Vec<CommitId>>,
    detail: Map<String, Value>,
}

impl NewOperation {
    /// Starts an operation of the kind `op` that `actor` asks for on `device`.
    pub fn new(op: &str, at: Moment, device: &DeviceName, actor: &str) -> NewOperation {
        NewOperation {
            at: at.rfc3339(),
            device: device.clone(),
            actor: cut(actor, ARG_BYTES_MAX),
            session: None,
            op: cut(op, ARG_BYTES_MAX),
            args: Vec::new(),
            lamport: Lamport::default(),
            refs: Vec::new(),
            frontier: None,
            detail: Map::new(),
        }
    }

    /// Names the agent's session.
    pub fn session(mut self, session: Option<SessionId>) -> NewOperation {
        self.session = session;
        self
    }

    /// Keeps what was typed, as far as a line has room: what is beyond is counted.
    ///
    /// Texts of messages and notes must not be among it: what is in the log cannot be purged.
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> NewOperation {
        let mut left = ARGS_BYTES_MAX;
        let mut dropped = 0_usize;
        for arg in args {
            let arg = cut(arg.as_ref(), ARG_BYTES_MAX);
            match left.checked_sub(arg.len() + 1) {
                Some(rest) if dropped == 0 => {
                    left = rest;
                    self.args.push(arg);
                }
                _ => dropped += 1,
            }
        }
        if dropped > 0 {
            self.args.push(format!("… {dropped} more"));
        }
        self
    }

    /// Gives the Lamport stamp of the head after the operation.
    pub fn lamport(mut self, lamport: Lamport) -> NewOperation {
        self.lamport = lamport;
        self
    }

    /// Points a ref at a new target.
    pub fn set(mut self, name: RefName, target: impl Into<RefTarget>) -> NewOperation {
        self.refs.push((name, Some(target.into())));
        self
    }

    /// Removes a ref.
    pub fn remove(mut self, name: RefName) -> NewOperation {
        self.refs.push((name, None));
        self
    }

    /// Returns what the operation would point `name` at: `None` if it leaves it alone, `Some(None)` if it
    /// removes it.
    pub fn target(&self, name: &RefName) -> Option<Option<&RefTarget>> {
        self.refs.iter().rev().find(|(other, _)| other == name).map(|(_, target)| target.as_ref())
    }

    /// Tells whether the operation would change any of `refs`.
    pub fn moves(&self, refs: &Refs) -> bool {
        self.refs.iter().any(|(name, target)| refs.get(name) != target.as_ref())
    }

    /// Records the frontier of the head after the operation.
    pub fn frontier(mut self, frontier: Vec<CommitId>) -> NewOperation {
        self.frontier = Some(frontier);
        self
    }

    /// Adds a fact of this kind of operation.
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> NewOperation {
        self.detail.insert(key.to_owned(), value.into());
        self
    }

    /// Returns the operation as it follows `last`, where `refs` stand.
    pub(super) fn follow(self, last: Anchor, refs: &Refs) -> Result<Operation, RefError> {
        Ok(Operation {
            seq: last.seq + 1,
            prev: last.hash,
            at: self.at,
            device: self.device,
            actor: self.actor,
            session: self.session,
            op: self.op,
            args: self.args,
            lamport: self.lamport,
            refs: refs.changes(&self.refs)?,
            frontier: self.frontier,
            recovered: None,
            detail: self.detail,
            hash: LineHash::ZERO,
        })
    }
}

/// Returns `text`, cut to at most `bytes_max` bytes with a mark where something is missing.
fn cut(text: &str, bytes_max: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max - MARK.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MARK}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceName {
        DeviceName::parse("mac").expect("a device name")
    }

    fn moment() -> Moment {
        Moment { unix_ns: 1_700_000_000_000_000_000, offset_minutes: 60 }
    }

    fn id(n: u8) -> CommitId {
        CommitId::parse(&format!("{n:064x}")).expect("64 digits")
    }

    #[test]
    fn an_operation_comes_back_as_it_was_written() {
        let new = NewOperation::new("pull", moment(), &device(), "paul")
            .session(SessionId::parse("s-1"))
            .args(["pixel:"])
            .lamport(Lamport(42))
            .set(RefName::At, id(1))
            .set(RefName::parse("remotes/pixel/main").expect("a ref"), RefTarget::Set([id(2), id(1)].into()))
            .frontier(vec![id(1), id(2)])
            .detail("received", 17);
        let mut operation = new.follow(Anchor::START, &Refs::default()).expect("good refs");
        let line = operation.encode();
        let line = line.strip_suffix(b"\n").expect("a newline ends the line");
        let hash = line::check(line).expect("the line holds");
        assert_eq!(Operation::decode(line, hash).expect("an operation"), operation);
    }

    #[test]
    fn a_line_stays_short_whatever_is_typed() {
        let args = (0..100_000).map(|n| format!("notes/{n}/ä{}", "x".repeat(n % 2000)));
        let new = NewOperation::new("commit", moment(), &device(), &"ä".repeat(10_000)).args(args);
        let mut operation = new.follow(Anchor::START, &Refs::default()).expect("no refs");
        assert!(operation.args.last().is_some_and(|a| a.ends_with(" more")));
        assert!(operation.encode().len() < 8 * 1024);
    }

    #[test]
    fn doubled_and_unknown_members_do_not_stop_a_reader() {
        let mut operation = NewOperation::new("commit", moment(), &device(), "paul")
            .follow(Anchor::START, &Refs::default())
            .expect("no refs");
        let line = String::from_utf8(operation.encode()).expect("text");
        let line = line.trim_end().replacen('{', "{\"op\":\"x\",\"later\":[{}],", 1);
        let read = Operation::decode(line.as_bytes(), LineHash::ZERO).expect("an operation");
        assert_eq!(read.op, "commit");
    }
}
