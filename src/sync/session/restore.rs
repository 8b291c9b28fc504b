//! The end that asks for single objects by id, because its own copies are damaged or gone.
//!
//! ```text
//! caller  hello  offer(nothing)  ask(nothing)
//! server  hello  offer  known
//! caller  want                   again and again, also for what the objects that came lead to and is not here
//! server  pack…pack-end          what it has of that
//! caller  bye
//! ```
//!
//! - Only what was asked for is taken, each once, whole and by itself, and only if it hashes to its id. No
//!   ref moves and nothing is recorded of the other side.
//! - Everything waits in `incoming/` like what any session brings, and moves into the store at the end; what
//!   a cut leaves is there for the next try.
//! - What was purged here is never asked for.

use std::collections::{HashSet, VecDeque};

use super::server::can_be_read;
use super::{Ending, Frame, IDS_MAX, Machine, Result, Step, hello, out_of_order, peer_of, refusal_frame};
use crate::object::{Commit, Hashed, Kind, ObjectId, Tree};
use crate::store::{OBJECT_IN_MEMORY_MAX, RECORD_MAX, frame};
use crate::sync::incoming::{Incoming, Part};
use crate::sync::receive::ReceiveError;
use crate::sync::wire::WireError;
use crate::sync::{Endpoint, Intent, Peer, Progress, Role, SyncError};

/// The folder under `incoming/`: no peer has a name like that.
const FOLDER: &str = ".repair";

/// What a session brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The other side.
    pub peer: Peer,
    /// How many objects came, over the wire or left by an earlier try.
    pub objects: u64,
    /// Their plain bytes, as far as they came over the wire now.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Hello,
    Offer,
    Known,
    Pack,
    InPack,
    Over,
}

impl Due {
    fn name(self) -> &'static str {
        match self {
            Due::Hello => "hello",
            Due::Offer => "offer",
            Due::Known => "known",
            Due::Pack | Due::InPack => "pack",
            Due::Over => "nothing",
        }
    }
}

/// The caller's end of such a session.
pub struct Restorer<'e> {
    endpoint: &'e mut dyn Endpoint,
    out: VecDeque<Frame>,
    due: Due,
    peer: Option<Peer>,
    /// What is still to be asked for.
    wanted: VecDeque<ObjectId>,
    /// All that was ever wanted.
    known: HashSet<ObjectId>,
    /// What was asked for and did not come yet.
    asked: HashSet<ObjectId>,
    incoming: Option<Incoming>,
    part: Option<Part>,
    in_pack: u64,
    objects: u64,
    bytes: u64,
}

impl<'e> Restorer<'e> {
    /// Asks for `wanted` and for what it leads to. `path` is the vault that the other side shall open.
    pub fn new(
        endpoint: &'e mut dyn Endpoint,
        wanted: Vec<ObjectId>,
        path: Option<String>,
    ) -> Result<Restorer<'e>> {
        let incoming = Incoming::open(&endpoint.incoming()?, FOLDER, endpoint.store(), endpoint.gate_wait())?;
        let mut out = VecDeque::new();
        out.push_back(hello(Role::Caller, Intent::RESTORE, &endpoint.identity(), path));
        out.push_back(Frame::Offer(Vec::new()));
        out.push_back(Frame::Ask(Vec::new()));
        let mut restorer = Restorer {
            endpoint,
            out,
            due: Due::Hello,
            peer: None,
            wanted: VecDeque::new(),
            known: HashSet::new(),
            asked: HashSet::new(),
            incoming: None,
            part: None,
            in_pack: 0,
            objects: 0,
            bytes: 0,
        };
        // Of what is wanted the store itself can have a record, which is of no use.
        let kept: HashSet<ObjectId> = incoming.kept()?.into_iter().map(|(id, _)| id).collect();
        for id in wanted {
            if kept.contains(&id) || can_be_read(incoming.main(), id) {
                restorer.objects += 1; // an earlier try was cut behind it
            } else {
                restorer.want(id);
            }
        }
        restorer.incoming = Some(incoming);
        Ok(restorer)
    }

    fn want(&mut self, id: ObjectId) {
        if !self.endpoint.store().is_removed(id) && self.known.insert(id) {
            self.wanted.push_back(id);
        }
    }

    /// Asks for the next objects, or ends the session when there are none.
    fn proceed(&mut self) -> Result<()> {
        self.asked.clear();
        if self.wanted.is_empty() {
            if let Some(incoming) = self.incoming.take() {
                // The log leads to what was lost: nothing of it can be taken for rubbish.
                drop(incoming.adopt()?);
            }
            self.out.push_back(Frame::Bye(None));
            self.due = Due::Over;
            return Ok(());
        }
        let count = self.wanted.len().min(IDS_MAX as usize);
        let batch: Vec<ObjectId> = self.wanted.drain(..count).collect();
        self.asked.extend(&batch);
        self.out.push_back(Frame::Want(batch));
        self.due = Due::Pack;
        Ok(())
    }

    fn take_in_pack(&mut self, frame: Frame) -> Result<()> {
        match (frame, self.part.take()) {
            (Frame::Object { kind, id, size, base: None, squeezed }, None) => {
                self.expect(id, size.into())?;
                let bytes = frame::decode(&squeezed, Some(size.into()), frame::Reference::None)
                    .or_else(|what| content(format!("object {id}: {what}")))?;
                let object = Hashed::new(kind, bytes.into());
                if object.id() != id {
                    return content(format!("object {id} cannot be made of what came"));
                }
                let links = links_of(kind, id, object.data())?;
                self.incoming()?.add(&object, None)?;
                self.take_links(links)
            }
            (Frame::Large { kind, id, size, base: None, from: 0 }, None) => {
                self.expect(id, size)?;
                let in_memory = kind == Kind::Blob || (kind == Kind::Tree && size <= OBJECT_IN_MEMORY_MAX);
                if size <= RECORD_MAX as u64 || !in_memory {
                    return content(format!("object {id} has no valid length"));
                }
                self.part = Some(self.incoming()?.begin_part(kind, id, size, None, 0)?);
                Ok(())
            }
            (Frame::Literal { size, reference: None, squeezed }, Some(mut part)) if size > 0 => {
                let bytes = frame::decode(&squeezed, Some(size.into()), frame::Reference::None)
                    .or_else(|what| content(format!("a piece of object {}: {what}", part.id)))?;
                part.push(&bytes)?;
                if part.written < part.size {
                    self.part = Some(part);
                    return Ok(());
                }
                let (kind, id) = (part.kind, part.id);
                let (actual, tree) = self.incoming()?.finish_part(part)?;
                self.incoming()?.await_proofs(0)?;
                if actual != id {
                    return content(format!("object {id} cannot be made of what came"));
                }
                let links = tree.map(|bytes| links_of(kind, id, &bytes)).transpose()?.unwrap_or_default();
                self.take_links(links)
            }
            (Frame::PackEnd { objects }, None) if objects == self.in_pack => {
                self.in_pack = 0;
                self.proceed()
            }
            (other, _) => Err(out_of_order(&other, "object, literal or pack-end")),
        }
    }

    /// Counts an object that begins; it must have been asked for and not have come.
    fn expect(&mut self, id: ObjectId, size: u64) -> Result<()> {
        if !self.asked.remove(&id) {
            return content(format!("object {id} came and was not asked for"));
        }
        self.in_pack += 1;
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(size);
        let limits = self.endpoint.limits();
        if self.objects > limits.objects_max {
            return Err(ReceiveError::Limit { what: "objects", limit: limits.objects_max }.into());
        }
        if self.bytes > limits.bytes_max {
            return Err(ReceiveError::Limit { what: "bytes", limit: limits.bytes_max }.into());
        }
        self.endpoint.progress(Progress {
            sending: false,
            commits: 0,
            objects: self.objects,
            bytes: self.bytes,
        });
        Ok(())
    }

    /// Wants what an object leads to and is not here.
    fn take_links(&mut self, links: Vec<ObjectId>) -> Result<()> {
        for link in links {
            if !self.incoming()?.knows(link)? {
                self.want(link);
            }
        }
        Ok(())
    }

    fn incoming(&mut self) -> Result<&mut Incoming> {
        self.incoming.as_mut().ok_or(SyncError::Broke { waiting_for: "nothing" })
    }
}

fn content<T>(what: String) -> Result<T> {
    Err(ReceiveError::Content(what).into())
}

/// Parses an object strictly and returns what it names.
fn links_of(kind: Kind, id: ObjectId, bytes: &[u8]) -> Result<Vec<ObjectId>> {
    Ok(match kind {
        Kind::Blob => Vec::new(),
        Kind::Tree => {
            let tree = Tree::decode(bytes).or_else(|e| content(format!("tree {id}: {e}")))?;
            tree.links().map(|(_, id)| id).collect()
        }
        Kind::Commit => {
            let commit = Commit::decode(bytes).or_else(|e| content(format!("commit {id}: {e}")))?;
            commit.links().map(|(_, id)| id).collect()
        }
    })
}

impl Machine for Restorer<'_> {
    fn next_step(&mut self) -> Result<Step> {
        Ok(match self.out.pop_front() {
            Some(frame) => Step::Send(frame),
            None if self.due == Due::Over => Step::Done,
            None => Step::Receive,
        })
    }

    fn receive(&mut self, frame: Frame) -> Result<()> {
        match (self.due, frame) {
            (_, Frame::Refused(refusal)) => Err(SyncError::refused(refusal)),
            (Due::Hello, Frame::Hello(hello)) => {
                if hello.role == Role::Caller {
                    return Err(SyncError::Echo);
                }
                let peer = peer_of(&hello);
                self.endpoint.meet(&peer)?;
                self.peer = Some(peer);
                self.due = Due::Offer;
                Ok(())
            }
            (Due::Offer, Frame::Offer(_)) => {
                self.due = Due::Known;
                Ok(())
            }
            (Due::Known, Frame::Known { decided: false, bits }) if bits.is_empty() => self.proceed(),
            (Due::Known, Frame::Known { .. }) => {
                Err(WireError::Payload { frame: "known", why: "it answers something else" }.into())
            }
            (Due::Pack, Frame::Pack { commits: 0 }) => {
                self.due = Due::InPack;
                Ok(())
            }
            (Due::InPack, frame) => self.take_in_pack(frame),
            (due, frame) => Err(out_of_order(&frame, due.name())),
        }
    }

    fn waiting_for(&self) -> &'static str {
        self.due.name()
    }

    fn fail(&mut self, error: &SyncError) -> Option<Frame> {
        self.due = Due::Over;
        if let Some(incoming) = self.incoming.take() {
            // That it could not be kept adds nothing to why it was cut.
            let _the_first_error_counts = match error {
                SyncError::Receive(ReceiveError::Content(_)) | SyncError::Wire(_) => incoming.discard(),
                _ => incoming.keep(),
            };
        }
        refusal_frame(error)
    }
}

impl Ending for Restorer<'_> {
    type Summary = Brought;

    fn summary(self) -> Option<Brought> {
        Some(Brought { peer: self.peer?, objects: self.objects, bytes: self.bytes })
    }
}
