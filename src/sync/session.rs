//! The conversation: two state machines, frame in, frames out. No threads, no clock, no streams.
//!
//! Flights, each all that one side says before it listens:
//!
//! ```text
//! caller  hello  offer  ask(newest)  [have… if it fetches]
//! server  hello  offer  known        [have… if it is pushed to]  [pack…pack-end if decided]
//! caller  ask                        as long as its heads and the server's are not joined
//! server  known
//! caller  common                     if it fetches and the server could not decide
//! server  pack…pack-end
//! caller  ack  [pack…pack-end if it pushes]
//! server  ack  outcome
//! caller  bye
//! ```
//!
//! The server decides at once if it knows all the caller's heads: then a fetch is one round trip. The
//! caller's questions serve both directions: what the server does not know is what a push sends.
//!
//! - A frame that is not due ends the session. So does a role that is our own: an echo.
//! - Only the newest of a commit's ancestry is asked about, and only what an offered head reaches is
//!   answered for.
//! - On any error the machine says `refused` to the other side; what came whole is kept unless it is what
//!   was wrong.

use std::collections::{HashSet, VecDeque};

use super::frame::{
    ASK_MAX, BRANCHES_MAX, Frame, HEADS_MAX, Have, Hello, IDS_MAX, StampedBranch, StampedHead, without_stamps,
};
use super::gate::OpenGate;
use super::negotiate::{Ancestry, missing, try_commit};
use super::receive::{KEPT_TOLD_MAX, Ours, Outside, ReceiveError, Receiving, Sender, heads_of};
use super::send::{Parcel, Sending};
use super::wire::{VERSION, VERSION_OLDEST, WireError, mask};
use super::{
    Branch, Endpoint, Identity, Intent, Peer, Progress, Received, Refusal, RefusalKind, Role, SyncError,
    is_branch_name,
};
use crate::object::{CommitId, ObjectId, Source};
use crate::store::Store;

mod caller;
mod restore;
mod server;

pub use caller::{Caller, CallerOptions, Summary};
pub use restore::{Brought, Restorer};
pub use server::{Call, Opener, Served, Server};

/// How many ids of kept objects a peer may name.
const HAVES_MAX: usize = 2 * KEPT_TOLD_MAX;
/// How many commits a peer may ask about.
const ASKED_MAX: usize = 4 << 20;

type Result<T> = std::result::Result<T, SyncError>;

/// What a machine wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this frame, then ask again.
    Send(Frame),
    /// Hand in the other side's next frame.
    Receive,
    /// The session is over.
    Done,
}

/// One end of a session.
pub trait Machine {
    /// Returns what to do next.
    fn next_step(&mut self) -> Result<Step>;

    /// Takes the other side's next frame. Only called after [`Step::Receive`].
    fn receive(&mut self, frame: Frame) -> Result<()>;

    /// Names what is due from the other side, for messages.
    fn waiting_for(&self) -> &'static str;

    /// Ends the session after `error`: keeps what came whole, and returns what to tell the other side, if
    /// anything.
    fn fail(&mut self, error: &SyncError) -> Option<Frame>;
}

/// An end that has something to tell when the session is over.
pub trait Ending: Machine {
    /// What it tells.
    type Summary;

    /// Returns what was done, once the session is over.
    fn summary(self) -> Option<Self::Summary>;
}

/// Returns the frame that tells the other side of an error of this end.
fn refusal_frame(error: &SyncError) -> Option<Frame> {
    let refusal = match error {
        SyncError::Refused(_) | SyncError::Broke { .. } | SyncError::Silent { .. } | SyncError::Ssh(_) => {
            return None;
        }
        SyncError::Ours(refusal) => refusal.clone(),
        SyncError::Wire(WireError::TooNew { theirs, oldest }) => {
            let message = format!(
                "it speaks protocol versions {VERSION_OLDEST} to {VERSION}, and this device {oldest} to {theirs}"
            );
            Refusal::new(RefusalKind::NewerFormat, message).with_hint("upgrade mvault on the other device")
        }
        SyncError::Wire(WireError::TooOld(theirs)) => {
            let message = format!(
                "it speaks protocol versions {VERSION_OLDEST} to {VERSION}, and this device none above {theirs}"
            );
            Refusal::new(RefusalKind::NewerFormat, message).with_hint("upgrade mvault on this device")
        }
        SyncError::Wire(error) => Refusal::new(RefusalKind::Protocol, error.to_string()),
        SyncError::Receive(ReceiveError::Content(what)) => {
            Refusal::new(RefusalKind::BadContent, what.clone())
        }
        SyncError::Receive(error @ ReceiveError::Unrelated(_)) => {
            Refusal::new(RefusalKind::Unrelated, error.to_string())
        }
        SyncError::Receive(error @ ReceiveError::Limit { .. }) => {
            Refusal::new(RefusalKind::Limit, error.to_string())
        }
        SyncError::Receive(error @ ReceiveError::FileTooLarge { .. }) => {
            Refusal::new(RefusalKind::Limit, error.to_string())
                .with_hint("on that device: `mvault pull REMOTE --allow too-large`")
        }
        SyncError::Receive(error) if error.is_full() => Refusal::new(
            RefusalKind::Limit,
            "the disk there has no room for what came; nothing of it was kept",
        )
        .with_hint("make room on that device"),
        SyncError::Receive(error @ (ReceiveError::Lock(_) | ReceiveError::Closed { .. })) => {
            Refusal::new(RefusalKind::Locked, error.to_string())
        }
        // Causes from this machine's disk name its paths, which are nobody else's business.
        _ => Refusal::new(RefusalKind::Other, "it failed there; its own log or screen says why"),
    };
    Some(Frame::Refused(refusal))
}

pub(super) fn out_of_order(got: &Frame, wanted: &'static str) -> SyncError {
    WireError::OutOfOrder { got: got.name(), wanted }.into()
}

pub(super) fn hello(role: Role, intent: Intent, identity: &Identity, path: Option<String>) -> Frame {
    Frame::Hello(Box::new(Hello {
        version: VERSION,
        oldest: VERSION_OLDEST,
        role,
        intent,
        device: identity.device.clone(),
        epoch: identity.epoch,
        vault: identity.vault,
        anchor: identity.anchor,
        rule: identity.rule,
        program: concat!("mvault ", env!("CARGO_PKG_VERSION")).to_owned(),
        path,
    }))
}

pub(super) fn peer_of(hello: &Hello) -> Peer {
    Peer {
        role: hello.role,
        identity: Identity {
            device: hello.device.clone(),
            epoch: hello.epoch,
            vault: hello.vault,
            anchor: hello.anchor,
            rule: hello.rule,
        },
        program: mask(&hello.program, 64),
    }
}

/// Asks the endpoint for its offer and adds the stamps.
fn stamped_offer(endpoint: &mut dyn Endpoint, gives: bool) -> Result<Vec<StampedBranch>> {
    let branches = endpoint.offer(gives)?;
    stamped(endpoint.store(), branches)
}

/// Adds the stamps to heads that are to be offered, in the order in which branches travel.
pub(super) fn stamped(store: &Store, mut branches: Vec<Branch>) -> Result<Vec<StampedBranch>> {
    branches.sort_by(|a, b| a.name.cmp(&b.name));
    let heads: usize = branches.iter().map(|branch| branch.heads.len()).sum();
    if heads > HEADS_MAX || branches.len() > usize::from(BRANCHES_MAX) {
        let message = format!("there are {heads} heads to offer; at most {HEADS_MAX} are possible");
        return Err(Refusal::new(RefusalKind::Limit, message).with_hint("reconcile first").into());
    }
    let mut stamped = Vec::new();
    for branch in branches {
        if !is_branch_name(&branch.name) {
            let message = format!("the branch {:?} has a name that cannot travel", branch.name);
            return Err(Refusal::new(RefusalKind::Other, message).into());
        }
        let mut heads = Vec::new();
        for id in branch.heads {
            heads.push(StampedHead { id, lamport: store.find_commit(id)?.lamport });
        }
        stamped.push(StampedBranch { name: branch.name, heads });
    }
    Ok(stamped)
}

fn head_ids(branches: &[StampedBranch]) -> Vec<CommitId> {
    heads_of(&without_stamps(branches))
}

/// Opens the folder in which objects of `peer` wait.
fn open_receiving(endpoint: &dyn Endpoint, peer: &str) -> Result<Receiving> {
    let identity = endpoint.identity();
    let ours = Ours {
        vault: identity.vault,
        allows_unrelated: endpoint.allows_unrelated(),
        device: identity.device,
        limits: endpoint.limits(),
        outside: Outside::Checked,
        sender: if endpoint.reads_bundle() { Sender::File } else { Sender::Device },
        gate_wait: endpoint.gate_wait(),
    };
    Ok(Receiving::open(&endpoint.incoming()?, peer, endpoint.store(), ours)?)
}

/// Gathers the `have` frames of the other side.
#[derive(Default)]
struct Haves {
    commits: Vec<CommitId>,
    objects: HashSet<ObjectId>,
    lacks: HashSet<ObjectId>,
    partial: Option<(ObjectId, u64)>,
}

impl Haves {
    /// Takes one; tells whether it was the last.
    fn take(&mut self, have: Have) -> Result<bool> {
        self.commits.extend(have.commits);
        self.objects.extend(have.objects);
        self.lacks.extend(have.lacks);
        self.partial = have.partial.or(self.partial);
        if self.commits.len() + self.objects.len() + self.lacks.len() > HAVES_MAX {
            return Err(WireError::Limit { what: "kept objects", limit: HAVES_MAX as u64 }.into());
        }
        Ok(!have.more)
    }

    /// Chooses what to send: what `heads` reach and neither `common` nor what is kept there does.
    fn parcel(
        self,
        endpoint: &dyn Endpoint,
        heads: &[CommitId],
        mut common: Vec<CommitId>,
    ) -> Result<Parcel> {
        let store = endpoint.store();
        for id in &self.commits {
            if try_commit(store, *id)?.is_some() {
                common.push(*id);
            }
        }
        let commits = missing(store, heads, &common)?;
        let Haves { objects: skip, lacks, partial, .. } = self;
        Ok(Parcel { commits, common, skip, lacks, partial, stands_alone: false })
    }
}

/// Sends what is queued, then the pack.
#[derive(Default)]
struct Outbox {
    queue: VecDeque<Frame>,
    pack: Option<Sending>,
}

impl Outbox {
    fn push(&mut self, frame: Frame) {
        self.queue.push_back(frame);
    }

    fn next_frame(&mut self, endpoint: &mut dyn Endpoint) -> Result<Option<Frame>> {
        if let Some(frame) = self.queue.pop_front() {
            return Ok(Some(frame));
        }
        let Some(pack) = &mut self.pack else { return Ok(None) };
        let frame = pack.next_frame()?;
        endpoint.progress(Progress {
            sending: true,
            commits: pack.commits(),
            objects: pack.objects,
            bytes: pack.bytes,
        });
        if frame.is_none() {
            self.pack = None;
        }
        Ok(frame)
    }
}

/// What came of a pack, and the gate that has been open since before.
type Taken = (Received, Option<OpenGate>);

/// Takes the frames of a pack; `Some` when it ended and all of it holds.
fn take_pack_frame(
    endpoint: &mut dyn Endpoint,
    slot: &mut Option<Receiving>,
    commits: u32,
    offered: &[Branch],
    frame: Frame,
) -> Result<Option<Taken>> {
    let Some(mut receiving) = slot.take() else {
        return match frame {
            Frame::PackEnd { objects: 0 } => Ok(Some((nothing_new(endpoint, offered)?, None))),
            other => Err(out_of_order(&other, "pack-end")),
        };
    };
    if let Frame::PackEnd { objects } = frame {
        let (received, gate) = receiving.finish(offered, objects)?;
        return Ok(Some((received, Some(gate))));
    }
    if let Err(error) = receiving.take(frame) {
        return Err(receiving.refuse(error).into());
    }
    endpoint.progress(Progress {
        sending: false,
        commits,
        objects: receiving.objects,
        bytes: receiving.bytes,
    });
    *slot = Some(receiving);
    Ok(None)
}

/// Takes an empty pack: what was offered must be in the store already.
fn nothing_new(endpoint: &dyn Endpoint, offered: &[Branch]) -> Result<Received> {
    for head in heads_of(offered) {
        let what = match try_commit(endpoint.store(), head)? {
            None => format!("head {head} was offered and did not come"),
            Some(commit) if commit.is_derived() => {
                format!("head {head} is a derived commit, which nobody offers")
            }
            Some(_) => continue,
        };
        return Err(ReceiveError::Content(what).into());
    }
    Ok(Received { offered: offered.to_vec(), ..Received::default() })
}

/// Keeps what came of a pack that was cut. That it could not be kept adds nothing to why it was cut.
fn keep(slot: &mut Option<Receiving>) {
    if let Some(receiving) = slot.take() {
        let _the_first_error_counts = receiving.keep();
    }
}

fn ask_answers(ancestry: &mut Ancestry, asked: &[CommitId]) -> Result<Vec<bool>> {
    asked.iter().map(|id| Ok(ancestry.contains(*id)?)).collect()
}

/// Returns those ids that are in the store: what a peer says it knows may be more.
fn stored_only(endpoint: &dyn Endpoint, ids: &[CommitId]) -> Result<Vec<CommitId>> {
    let mut stored = Vec::new();
    for id in ids {
        if try_commit(endpoint.store(), *id)?.is_some() {
            stored.push(*id);
        }
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_that_is_older_is_the_one_to_upgrade() {
        // The refusal is read on the other device, so "the other device" in it is this one.
        for (error, hint) in [
            (WireError::TooNew { theirs: 3, oldest: 2 }, "upgrade mvault on the other device"),
            (WireError::TooOld(0), "upgrade mvault on this device"),
        ] {
            match refusal_frame(&SyncError::Wire(error)) {
                Some(Frame::Refused(refusal)) => {
                    assert_eq!(refusal.kind, RefusalKind::NewerFormat);
                    assert_eq!(refusal.hint.as_deref(), Some(hint));
                    assert!(refusal.message.contains("protocol versions"), "{}", refusal.message);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
