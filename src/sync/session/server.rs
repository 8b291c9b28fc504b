//! The end that the caller started.

use super::{
    ASKED_MAX, Frame, HEADS_MAX, Haves, Machine, Outbox, Result, Step, ask_answers, head_ids, hello, keep,
    open_receiving, out_of_order, peer_of, refusal_frame, stamped_offer, take_pack_frame, without_stamps,
};
use crate::object::{CommitId, DeviceName, ObjectId};
use crate::store::{self, Store};
use crate::sync::frame::{Hello, StampedBranch};
use crate::sync::incoming::Incoming;
use crate::sync::negotiate::{Ancestry, Reach};
use crate::sync::receive::{Receiving, haves};
use crate::sync::send::Sending;
use crate::sync::wire::WireError;
use crate::sync::{Endpoint, Intent, Outcome, Peer, Received, Refusal, Role, SyncError};

/// What a caller asks a server to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which vault; none is the default.
    pub path: Option<String>,
    /// Which way objects go.
    pub intent: Intent,
    /// The caller's device.
    pub device: DeviceName,
}

/// Opens the vault that a caller asks for, or says why not.
pub type Opener<'e> = Box<dyn FnOnce(&Call) -> std::result::Result<Box<dyn Endpoint + 'e>, Refusal> + 'e>;

/// What a session did, as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The other side.
    pub peer: Peer,
    /// What it wanted.
    pub intent: Intent,
    /// What came; `None` if nothing was pushed.
    pub received: Option<Received>,
    /// Objects sent.
    pub sent_objects: u64,
    /// Where this side stands, if it was pushed to.
    pub ours: Option<Outcome>,
    /// Where the caller says it stands.
    pub theirs: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Hello,
    Offer,
    FirstAsk,
    Have,
    /// Whatever the caller wants next.
    Turn,
    Ack,
    InPack,
    Bye,
    Over,
}

impl Due {
    fn name(self) -> &'static str {
        match self {
            Due::Hello => "hello",
            Due::Offer => "offer",
            Due::FirstAsk => "ask",
            Due::Have => "have",
            Due::Turn => "ask, common, want, pack or bye",
            Due::Ack => "ack",
            Due::InPack => "pack",
            Due::Bye => "bye",
            Due::Over => "nothing",
        }
    }
}

/// What is known once the caller has said hello.
struct Opened<'e> {
    endpoint: Box<dyn Endpoint + 'e>,
    peer: Peer,
    intent: Intent,
    offer: Vec<StampedBranch>,
    heads: Vec<CommitId>,
    ancestry: Ancestry,
}

/// The server's end.
pub struct Server<'e> {
    opener: Option<Opener<'e>>,
    opened: Option<Opened<'e>>,
    out: Outbox,
    due: Due,
    theirs: Vec<StampedBranch>,
    their_haves: Haves,
    asked: Vec<CommitId>,
    asked_total: usize,
    gave: bool,
    reach: Option<Reach>,
    receiving: Option<Receiving>,
    pack_commits: u32,
    received: Option<Received>,
    sent_objects: u64,
    our_outcome: Option<Outcome>,
    their_outcome: Option<Outcome>,
}

impl<'e> Server<'e> {
    /// Waits for a caller; `opener` opens what it asks for.
    pub fn new(opener: Opener<'e>) -> Server<'e> {
        Server {
            opener: Some(opener),
            opened: None,
            out: Outbox::default(),
            due: Due::Hello,
            theirs: Vec::new(),
            their_haves: Haves::default(),
            asked: Vec::new(),
            asked_total: 0,
            gave: false,
            reach: None,
            receiving: None,
            pack_commits: 0,
            received: None,
            sent_objects: 0,
            our_outcome: None,
            their_outcome: None,
        }
    }

    /// Returns what was done, once the session is over.
    pub fn summary(self) -> Option<Served> {
        let opened = self.opened?;
        Some(Served {
            peer: opened.peer,
            intent: opened.intent,
            received: self.received,
            sent_objects: self.sent_objects,
            ours: self.our_outcome,
            theirs: self.their_outcome,
        })
    }

    fn open(&mut self, theirs: &Hello) -> Result<()> {
        if theirs.role != Role::Caller {
            return Err(SyncError::Echo);
        }
        let intent = theirs.intent;
        let call = Call { path: theirs.path.clone(), intent, device: theirs.device.clone() };
        let Some(opener) = self.opener.take() else { return Err(SyncError::Echo) };
        let mut endpoint = opener(&call)?;
        let peer = peer_of(theirs);
        endpoint.meet(&peer)?;
        let offer = stamped_offer(&mut *endpoint, intent.gives(Role::Server))?;
        let heads = head_ids(&offer);
        let ancestry = Ancestry::new(endpoint.store().clone(), heads.iter().copied())?;
        self.out.push(hello(Role::Server, intent, &endpoint.identity(), None));
        self.opened = Some(Opened { endpoint, peer, intent, offer, heads, ancestry });
        self.due = Due::Offer;
        Ok(())
    }

    fn count_asked(&mut self, count: usize) -> Result<()> {
        self.asked_total += count;
        if self.asked_total > ASKED_MAX {
            return Err(WireError::Limit { what: "questions", limit: ASKED_MAX as u64 }.into());
        }
        Ok(())
    }

    /// Answers the caller's first flight.
    fn answer(&mut self) -> Result<()> {
        let Some(opened) = &mut self.opened else { return Ok(()) };
        let theirs = head_ids(&self.theirs);
        let mut knows_all = true;
        for head in &theirs {
            knows_all &= opened.ancestry.contains(*head)?;
        }
        let decided = opened.intent.fetch && knows_all;
        let bits = ask_answers(&mut opened.ancestry, &self.asked)?;
        self.out.push(Frame::Offer(opened.offer.clone()));
        self.out.push(Frame::Known { decided, bits });
        if opened.intent.push {
            let name = opened.peer.identity.device.as_str();
            if Incoming::has_leftovers(&opened.endpoint.incoming()?, name) {
                self.receiving = Some(open_receiving(&*opened.endpoint, name)?);
            }
            let haves = haves(self.receiving.as_ref(), opened.endpoint.store());
            haves.into_iter().for_each(|have| self.out.push(Frame::Have(have)));
        }
        if decided { self.give(theirs) } else { self.turn() }
    }

    fn turn(&mut self) -> Result<()> {
        self.due = Due::Turn;
        Ok(())
    }

    /// Starts to send what the caller lacks.
    fn give(&mut self, common: Vec<CommitId>) -> Result<()> {
        let Some(opened) = &self.opened else { return Ok(()) };
        let haves = std::mem::take(&mut self.their_haves);
        let parcel = haves.parcel(&*opened.endpoint, &opened.heads, common)?;
        self.out.pack = Some(Sending::new(opened.endpoint.store().clone(), parcel));
        self.gave = true;
        self.due = Due::Ack;
        Ok(())
    }

    /// Starts to send single objects: those among the wanted that an offered head leads to and that can be read.
    fn give_objects(&mut self, wanted: &[ObjectId]) -> Result<()> {
        let Some(opened) = &self.opened else { return Ok(()) };
        let store = opened.endpoint.store().clone();
        let reach = self.reach.get_or_insert_with(|| Reach::new(store.clone(), &opened.heads));
        let mut objects = Vec::new();
        for id in wanted {
            if let (true, Ok(Some((kind, _)))) = (reach.contains(*id), store.try_info(*id))
                && can_be_read(&store, *id)
            {
                objects.push((*id, kind));
            }
        }
        self.out.pack = Some(Sending::of_objects(store, objects));
        Ok(())
    }

    fn take_turn(&mut self, frame: Frame) -> Result<()> {
        let gave = self.gave;
        let Some(opened) = &mut self.opened else { return Ok(()) };
        match frame {
            Frame::Ask(asked) => {
                let bits = ask_answers(&mut opened.ancestry, &asked)?;
                self.out.push(Frame::Known { decided: false, bits });
                self.count_asked(asked.len())
            }
            Frame::Common(common) if opened.intent.fetch && !gave => {
                for id in &common {
                    if !opened.ancestry.contains(*id)? {
                        return Err(
                            WireError::Payload { frame: "common", why: "it names what is not" }.into()
                        );
                    }
                }
                self.give(common)
            }
            Frame::Want(wanted) if opened.intent == Intent::RESTORE => {
                self.count_asked(wanted.len())?;
                self.give_objects(&wanted)
            }
            Frame::Pack { commits } if opened.intent.push => {
                if commits > 0 && self.receiving.is_none() {
                    let name = opened.peer.identity.device.as_str();
                    self.receiving = Some(open_receiving(&*opened.endpoint, name)?);
                }
                self.pack_commits = commits;
                self.due = Due::InPack;
                Ok(())
            }
            Frame::Bye(theirs) => {
                self.their_outcome = theirs;
                self.due = Due::Over;
                Ok(())
            }
            other => Err(out_of_order(&other, Due::Turn.name())),
        }
    }

    fn take_pack(&mut self, frame: Frame) -> Result<()> {
        let offered = without_stamps(&self.theirs);
        let Some(opened) = &mut self.opened else { return Ok(()) };
        let endpoint = &mut *opened.endpoint;
        let Some((received, gate)) =
            take_pack_frame(endpoint, &mut self.receiving, self.pack_commits, &offered, frame)?
        else {
            return Ok(());
        };
        endpoint.accept(&opened.peer, &received, gate)?;
        let ours = endpoint.settle()?;
        self.out.push(Frame::Ack { objects: received.objects });
        self.out.push(Frame::Outcome(Outcome {
            frontier: ours.frontier.iter().take(HEADS_MAX).copied().collect(),
            ..ours.clone()
        }));
        self.received = Some(received);
        self.our_outcome = Some(ours);
        self.due = Due::Bye;
        Ok(())
    }
}

/// Tells whether an object is whole here: who asks for one because it is damaged gets no damage in return.
pub(super) fn can_be_read(store: &Store, id: ObjectId) -> bool {
    let read = || -> std::result::Result<bool, store::Error> {
        let Some(mut reader) = store.try_reader(id)? else { return Ok(false) };
        while reader.next_block()?.is_some() {}
        Ok(true)
    };
    read().unwrap_or(false)
}

impl Machine for Server<'_> {
    fn next_step(&mut self) -> Result<Step> {
        if let Some(opened) = &mut self.opened
            && let Some(frame) = self.out.next_frame(&mut *opened.endpoint)?
        {
            if let Frame::PackEnd { objects } = frame {
                self.sent_objects = objects;
            }
            return Ok(Step::Send(frame));
        }
        Ok(if self.due == Due::Over { Step::Done } else { Step::Receive })
    }

    fn receive(&mut self, frame: Frame) -> Result<()> {
        if let Frame::Refused(refusal) = frame {
            return Err(SyncError::refused(refusal));
        }
        match (self.due, frame) {
            (Due::Hello, Frame::Hello(theirs)) => self.open(&theirs),
            (Due::Offer, Frame::Offer(branches)) => {
                self.theirs = branches;
                self.due = Due::FirstAsk;
                Ok(())
            }
            (Due::FirstAsk, Frame::Ask(asked)) => {
                self.count_asked(asked.len())?;
                self.asked = asked;
                if self.opened.as_ref().is_some_and(|opened| opened.intent.fetch) {
                    self.due = Due::Have;
                    return Ok(());
                }
                self.answer()
            }
            (Due::Have, Frame::Have(have)) => {
                if self.their_haves.take(have)? {
                    self.answer()?;
                }
                Ok(())
            }
            (Due::Turn, frame) => self.take_turn(frame),
            (Due::Ack, Frame::Ack { .. }) => {
                if let Some(opened) = &mut self.opened {
                    opened.endpoint.given(&opened.peer, &opened.heads)?;
                }
                self.turn()
            }
            (Due::InPack, frame) => self.take_pack(frame),
            (Due::Bye, Frame::Bye(theirs)) => {
                self.their_outcome = theirs;
                self.due = Due::Over;
                Ok(())
            }
            (due, frame) => Err(out_of_order(&frame, due.name())),
        }
    }

    fn fail(&mut self, error: &SyncError) -> Option<Frame> {
        keep(&mut self.receiving);
        self.due = Due::Over;
        refusal_frame(error)
    }

    fn waiting_for(&self) -> &'static str {
        self.due.name()
    }
}
