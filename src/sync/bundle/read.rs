//! A bundle as the other side of a session: it answers whatever is asked with what it holds.

use std::collections::VecDeque;

use super::super::frame::Frame;
use super::super::local::join;
use super::super::negotiate::try_commit;
use super::super::receive::{Ours, Outside, ReceiveError, Receiving, Sender, heads_of};
use super::super::session::{
    Brought, Caller, CallerOptions, Ending, Machine, Step, Summary, out_of_order, peer_of,
};
use super::super::wire::WireError;
use super::super::{Endpoint, Intent, Progress, SyncError};
use super::{Bundle, BundleError, Frames};
use crate::object::{CommitId, ObjectId, SourceError};
use crate::store::Store;

/// The folder under `incoming/` in which a bundle waits of which only lost objects are wanted: no peer has a name
/// like that.
const RESTORE_FOLDER: &str = ".repair-bundle";

/// Reads a bundle into the vault of `endpoint`, as a fetch from the device that made it. `incoming_name` is the
/// folder in which its objects wait meanwhile.
pub fn call(
    endpoint: &mut dyn Endpoint,
    incoming_name: String,
    bundle: &Bundle,
) -> Result<Summary, SyncError> {
    let lacking = absent(endpoint.store(), &bundle.prerequisites)?;
    let is_known = absent(endpoint.store(), &heads_of(&bundle.branches()))?.is_empty();
    let intent = Intent { fetch: true, push: false };
    let mut caller = Caller::new(endpoint, CallerOptions { intent, path: None, incoming_name })?;
    let mut file = BundleEnd::new(bundle, lacking, is_known)?;
    join(&mut caller, &mut file, &mut |_| true).map_err(as_of_a_file)?;
    caller.summary().ok_or(SyncError::Broke { waiting_for: "the end" })
}

/// Brings objects back out of a bundle by their ids, with what they lead to and is lost as well. All of it is read
/// and hashed, nothing else of it is kept, and no ref moves. What rests on something that is not here cannot be
/// had from it.
pub fn restore(
    endpoint: &mut dyn Endpoint,
    wanted: &[ObjectId],
    bundle: &Bundle,
) -> Result<Brought, SyncError> {
    let peer = peer_of(&bundle.hello);
    endpoint.meet(&peer)?;
    let identity = endpoint.identity();
    let ours = Ours {
        vault: identity.vault,
        allows_unrelated: false,
        device: identity.device,
        limits: endpoint.limits(),
        outside: Outside::Assumed,
        sender: Sender::File,
        gate_wait: endpoint.gate_wait(),
    };
    let mut receiving = Receiving::open(&endpoint.incoming()?, RESTORE_FOLDER, endpoint.store(), ours)?;
    let announced = match take_pack(&mut receiving, bundle, &mut |progress| endpoint.progress(progress)) {
        Ok(announced) => announced,
        Err(error) => {
            let _the_first_error_counts = receiving.keep();
            return Err(error);
        }
    };
    let adopted = receiving.adopt_lost(wanted, announced);
    let (objects, bytes) = adopted.map_err(|error| as_of_a_file(error.into()))?;
    Ok(Brought { peer, objects, bytes })
}

/// Takes a bundle's pack in; returns how many objects it says it has. That it is what was written is known behind
/// its end.
pub(super) fn take_pack(
    receiving: &mut Receiving,
    bundle: &Bundle,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64, SyncError> {
    let mut frames = bundle.frames()?;
    match frames.next_frame()? {
        Frame::Pack { .. } => {}
        other => {
            let error = WireError::OutOfOrder { got: other.name(), wanted: "pack" };
            return Err(BundleError::from(error).into());
        }
    }
    let announced = loop {
        match frames.next_frame()? {
            Frame::PackEnd { objects } => break objects,
            frame => receiving.take(frame).map_err(|error| as_of_a_file(error.into()))?,
        }
        progress(Progress {
            sending: false,
            commits: bundle.commits,
            objects: receiving.objects,
            bytes: receiving.bytes,
        });
    };
    frames.finish(bundle.seal)?;
    Ok(announced)
}

/// Returns those commits that are not in the store.
pub(super) fn absent(store: &Store, commits: &[CommitId]) -> Result<Vec<CommitId>, SourceError> {
    let mut absent = Vec::new();
    for id in commits {
        if try_commit(store, *id)?.is_none() {
            absent.push(*id);
        }
    }
    Ok(absent)
}

/// Nobody is at the other end: what does not hold is the file's fault.
pub(super) fn as_of_a_file(error: SyncError) -> SyncError {
    match error {
        SyncError::Receive(ReceiveError::Content(what)) => BundleError::Content(what).into(),
        SyncError::Receive(ReceiveError::Wire(error)) | SyncError::Wire(error) => {
            BundleError::from(error).into()
        }
        other => other,
    }
}

#[derive(PartialEq, Eq)]
enum Turn {
    /// The caller speaks.
    Listen,
    /// What is queued is said, then the pack.
    Speak,
    /// The caller is done.
    Over,
}

struct BundleEnd<'b> {
    bundle: &'b Bundle,
    frames: Frames<'b>,
    /// Commits it builds on that the caller lacks.
    lacking: Vec<CommitId>,
    /// The caller has all of it.
    is_known: bool,
    queue: VecDeque<Frame>,
    asked: usize,
    turn: Turn,
}

impl<'b> BundleEnd<'b> {
    fn new(bundle: &'b Bundle, lacking: Vec<CommitId>, is_known: bool) -> Result<BundleEnd<'b>, BundleError> {
        let (frames, queue) = (bundle.frames()?, VecDeque::new());
        Ok(BundleEnd { bundle, frames, lacking, is_known, queue, asked: 0, turn: Turn::Listen })
    }

    /// Says all that a server says up to the pack. A bundle cannot look for what the caller knows: it has
    /// decided when it was made.
    fn answer(&mut self) {
        self.queue.push_back(Frame::Offer(self.bundle.offer.clone()));
        self.queue.push_back(Frame::Known { decided: true, bits: vec![false; self.asked] });
        if self.is_known {
            self.queue.extend([Frame::Pack { commits: 0 }, Frame::PackEnd { objects: 0 }]);
        }
        self.turn = Turn::Speak;
    }
}

impl Machine for BundleEnd<'_> {
    fn next_step(&mut self) -> Result<Step, SyncError> {
        if let Some(frame) = self.queue.pop_front() {
            return Ok(Step::Send(frame));
        }
        match self.turn {
            Turn::Over => Ok(Step::Done),
            Turn::Listen => Ok(Step::Receive),
            Turn::Speak if self.is_known => {
                self.turn = Turn::Listen;
                Ok(Step::Receive)
            }
            // The caller has judged by now whose bundle it is.
            Turn::Speak if !self.lacking.is_empty() => {
                Err(BundleError::Missing(std::mem::take(&mut self.lacking)).into())
            }
            Turn::Speak => {
                let frame = self.frames.next_frame()?;
                if matches!(frame, Frame::PackEnd { .. }) {
                    self.frames.finish(self.bundle.seal)?;
                    self.turn = Turn::Listen;
                }
                Ok(Step::Send(frame))
            }
        }
    }

    fn receive(&mut self, frame: Frame) -> Result<(), SyncError> {
        match frame {
            Frame::Hello(_) => {
                let hello = Frame::Hello(Box::new(self.bundle.hello.clone()));
                self.queue.push_back(hello);
            }
            Frame::Offer(_) | Frame::Ack { .. } => {}
            Frame::Ask(asked) => self.asked = asked.len(),
            Frame::Have(have) if have.more => {}
            Frame::Have(_) => self.answer(),
            Frame::Bye(_) => self.turn = Turn::Over,
            Frame::Refused(refusal) => return Err(SyncError::refused(refusal)),
            other => return Err(out_of_order(&other, self.waiting_for())),
        }
        Ok(())
    }

    fn waiting_for(&self) -> &'static str {
        "the end of the session"
    }

    fn fail(&mut self, _error: &SyncError) -> Option<Frame> {
        self.turn = Turn::Over;
        None
    }
}
