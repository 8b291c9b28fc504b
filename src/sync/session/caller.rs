//! The end that a person started.

use super::{
    ASK_MAX, Ending, Frame, HEADS_MAX, Haves, IDS_MAX, Machine, Outbox, Result, Step, head_ids, hello, keep,
    open_receiving, out_of_order, peer_of, refusal_frame, stamped_offer, stored_only, take_pack_frame,
    without_stamps,
};
use crate::object::{CommitId, Lamport};
use crate::sync::frame::StampedBranch;
use crate::sync::incoming::Incoming;
use crate::sync::negotiate::Walk;
use crate::sync::receive::{Receiving, haves};
use crate::sync::send::Sending;
use crate::sync::wire::WireError;
use crate::sync::{Branch, Endpoint, Intent, Outcome, Peer, Received, Role, SyncError};

/// What a caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerOptions {
    /// Which way objects go.
    pub intent: Intent,
    /// Which vault the other side shall open; none is its default.
    pub path: Option<String>,
    /// The folder under `incoming/` in which objects of this remote wait; see
    /// [`incoming_name`](crate::sync::incoming_name).
    pub incoming_name: String,
}

/// What a session did, as the caller saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The other side.
    pub peer: Peer,
    /// What came; `None` if nothing was fetched.
    pub received: Option<Received>,
    /// Commits sent.
    pub sent_commits: u64,
    /// Objects sent.
    pub sent_objects: u64,
    /// Where the other side stands, if it was pushed to.
    pub theirs: Option<Outcome>,
    /// Where this side stands.
    pub ours: Outcome,
}

impl Summary {
    /// Tells whether the two ends have one frontier and two heads: a fault of one of the programs, to be
    /// reported and not merged.
    pub fn is_contradiction(&self) -> bool {
        self.theirs.as_ref().is_some_and(|theirs| theirs.contradicts(&self.ours))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Hello,
    Offer,
    FirstKnown,
    Have,
    Known,
    Pack,
    InPack,
    Ack,
    Outcome,
    /// Nothing: this side settles, then the session is over.
    Settle,
    Over,
}

impl Due {
    fn name(self) -> &'static str {
        match self {
            Due::Hello => "hello",
            Due::Offer => "offer",
            Due::FirstKnown | Due::Known => "known",
            Due::Have => "have",
            Due::Pack | Due::InPack => "pack",
            Due::Ack => "ack",
            Due::Outcome => "outcome",
            Due::Settle | Due::Over => "nothing",
        }
    }
}

/// The caller's end.
pub struct Caller<'e> {
    endpoint: &'e mut dyn Endpoint,
    options: CallerOptions,
    out: Outbox,
    due: Due,
    heads: Vec<CommitId>,
    walk: Walk,
    peer: Option<Peer>,
    theirs: Vec<StampedBranch>,
    their_haves: Haves,
    decided: bool,
    receiving: Option<Receiving>,
    pack_commits: u32,
    received: Option<Received>,
    sent: (u64, u64),
    their_outcome: Option<Outcome>,
    our_outcome: Option<Outcome>,
}

impl<'e> Caller<'e> {
    /// Makes the offer, and what is said first.
    pub fn new(endpoint: &'e mut dyn Endpoint, options: CallerOptions) -> Result<Caller<'e>> {
        let intent = options.intent;
        let ours = stamped_offer(endpoint, intent.gives(Role::Caller))?;
        let heads = head_ids(&ours);
        let mut walk = Walk::new(endpoint.store().clone(), &heads)?;
        let mut out = Outbox::default();
        out.push(hello(Role::Caller, intent, &endpoint.identity(), options.path.clone()));
        out.push(Frame::Offer(ours));
        out.push(Frame::Ask(walk.next_batch(ASK_MAX as usize)?));
        let mut receiving = None;
        if intent.fetch {
            if Incoming::has_leftovers(&endpoint.incoming()?, &options.incoming_name) {
                receiving = Some(open_receiving(endpoint, &options.incoming_name)?);
            }
            let haves = haves(receiving.as_ref(), endpoint.store());
            haves.into_iter().for_each(|have| out.push(Frame::Have(have)));
        }
        Ok(Caller {
            endpoint,
            options,
            out,
            due: Due::Hello,
            heads,
            walk,
            peer: None,
            theirs: Vec::new(),
            their_haves: Haves::default(),
            decided: false,
            receiving,
            pack_commits: 0,
            received: None,
            sent: (0, 0),
            their_outcome: None,
            our_outcome: None,
        })
    }

    fn intent(&self) -> Intent {
        self.options.intent
    }

    fn take_known(&mut self, is_first: bool, decided: bool, bits: &[bool]) -> Result<()> {
        if !self.walk.answer(bits)? || (decided && !(is_first && self.intent().fetch)) {
            return Err(WireError::Payload { frame: "known", why: "it answers something else" }.into());
        }
        if is_first {
            let heads: Vec<(CommitId, Lamport)> = self
                .theirs
                .iter()
                .flat_map(|branch| &branch.heads)
                .map(|head| (head.id, head.lamport))
                .collect();
            self.walk.learn(&heads)?;
            self.decided = decided;
            if self.intent().push {
                self.due = Due::Have;
                return Ok(());
            }
        }
        self.proceed()
    }

    /// Chooses the next thing to say, and what is due then.
    fn proceed(&mut self) -> Result<()> {
        let wants_pack = self.intent().fetch && self.received.is_none();
        if wants_pack && self.decided {
            self.due = Due::Pack;
        } else if (wants_pack || self.intent().push) && !self.walk.is_done() {
            self.out.push(Frame::Ask(self.walk.next_batch(ASK_MAX as usize)?));
            self.due = Due::Known;
        } else if wants_pack {
            self.out.push(Frame::Common(self.walk.common(IDS_MAX as usize)?));
            self.due = Due::Pack;
        } else if self.intent().push {
            let haves = std::mem::take(&mut self.their_haves);
            let parcel = haves.parcel(self.endpoint, &self.heads, self.walk.common(usize::MAX)?)?;
            self.sent.0 = parcel.commits.len() as u64;
            self.out.pack = Some(Sending::new(self.endpoint.store().clone(), parcel));
            self.due = Due::Ack;
        } else {
            self.out.push(Frame::Bye(None));
            self.due = Due::Settle;
        }
        Ok(())
    }

    fn take_pack(&mut self, frame: Frame) -> Result<()> {
        let offered = self.offered();
        let taken = take_pack_frame(self.endpoint, &mut self.receiving, self.pack_commits, &offered, frame)?;
        let Some((received, gate)) = taken else { return Ok(()) };
        if let Some(peer) = &self.peer {
            self.endpoint.accept(peer, &received, gate)?;
        }
        self.out.push(Frame::Ack { objects: received.objects });
        self.received = Some(received);
        self.proceed()
    }

    fn offered(&self) -> Vec<Branch> {
        without_stamps(&self.theirs)
    }

    fn take_outcome(&mut self, theirs: Outcome) -> Result<()> {
        let knows = stored_only(self.endpoint, &theirs.frontier)?;
        if let Some(peer) = &self.peer {
            self.endpoint.given(peer, &knows)?;
        }
        let ours = self.endpoint.settle()?;
        self.out.push(Frame::Bye(Some(Outcome {
            frontier: ours.frontier.iter().take(HEADS_MAX).copied().collect(),
            ..ours.clone()
        })));
        self.their_outcome = Some(theirs);
        self.our_outcome = Some(ours);
        self.due = Due::Over;
        Ok(())
    }
}

impl Machine for Caller<'_> {
    fn next_step(&mut self) -> Result<Step> {
        if let Some(frame) = self.out.next_frame(self.endpoint)? {
            if let Frame::PackEnd { objects } = frame {
                self.sent.1 = objects;
            }
            return Ok(Step::Send(frame));
        }
        if self.due == Due::Settle {
            self.our_outcome = Some(self.endpoint.settle()?);
            self.due = Due::Over;
        }
        Ok(if self.due == Due::Over { Step::Done } else { Step::Receive })
    }

    fn receive(&mut self, frame: Frame) -> Result<()> {
        if let Frame::Refused(refusal) = frame {
            return Err(SyncError::refused(refusal));
        }
        match (self.due, frame) {
            (Due::Hello, Frame::Hello(hello)) => {
                if hello.role == Role::Caller {
                    return Err(SyncError::Echo);
                }
                let peer = peer_of(&hello);
                self.endpoint.meet(&peer)?;
                if let Some(receiving) = &mut self.receiving {
                    receiving.expect_vault(peer.identity.vault);
                }
                self.peer = Some(peer);
                self.due = Due::Offer;
                Ok(())
            }
            (Due::Offer, Frame::Offer(branches)) => {
                self.theirs = branches;
                self.due = Due::FirstKnown;
                Ok(())
            }
            (due @ (Due::FirstKnown | Due::Known), Frame::Known { decided, bits }) => {
                self.take_known(due == Due::FirstKnown, decided, &bits)
            }
            (Due::Have, Frame::Have(have)) => {
                if self.their_haves.take(have)? {
                    self.proceed()?;
                }
                Ok(())
            }
            (Due::Pack, Frame::Pack { commits }) => {
                if commits > 0 && self.receiving.is_none() {
                    let mut receiving = open_receiving(self.endpoint, &self.options.incoming_name)?;
                    receiving.expect_vault(self.peer.as_ref().and_then(|peer| peer.identity.vault));
                    self.receiving = Some(receiving);
                }
                self.pack_commits = commits;
                self.due = Due::InPack;
                Ok(())
            }
            (Due::InPack, frame) => self.take_pack(frame),
            (Due::Ack, Frame::Ack { .. }) => {
                self.due = Due::Outcome;
                Ok(())
            }
            (Due::Outcome, Frame::Outcome(theirs)) => self.take_outcome(theirs),
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

impl Ending for Caller<'_> {
    type Summary = Summary;

    fn summary(self) -> Option<Summary> {
        Some(Summary {
            peer: self.peer?,
            received: self.received,
            sent_commits: self.sent.0,
            sent_objects: self.sent.1,
            theirs: self.their_outcome,
            ours: self.our_outcome?,
        })
    }
}
