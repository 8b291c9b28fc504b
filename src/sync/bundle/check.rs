//! Looking through a bundle without taking it in.

use super::super::frame::Frame;
use super::super::receive::{Ours, Outside, ReceiveError, Receiving, Sender};
use super::super::wire::WireError;
use super::super::{Limits, Progress, SyncError};
use super::read::{absent, as_of_a_file};
use super::{Bundle, BundleError};
use crate::fs::Dir;
use crate::object::CommitId;
use crate::store::Store;

/// What a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Commits.
    pub commits: u32,
    /// Objects.
    pub objects: u64,
    /// Objects among them that rest on what the receiver must have and was not at hand: nobody hashed them.
    pub unchecked: u64,
    /// Commits it builds on that are not in the store it was checked against.
    pub missing: Vec<CommitId>,
}

/// Checks everything in a bundle as a receiver would, in the folder `scratch`, which is used up. `store` is what
/// the receiver has; where that lacks what the bundle builds on, this is taken as given.
pub fn check(
    bundle: &Bundle,
    scratch: &Dir,
    store: &Store,
    progress: &mut dyn FnMut(Progress),
) -> Result<Checked, SyncError> {
    let missing = absent(store, &bundle.prerequisites)?;
    let ours = Ours {
        vault: bundle.hello.vault,
        allows_unrelated: false,
        device: bundle.hello.device.clone(),
        limits: Limits::default(),
        outside: if missing.is_empty() { Outside::Checked } else { Outside::Assumed },
        sender: Sender::File,
    };
    let mut receiving = Receiving::open(scratch, "bundle", store, ours)?;
    let mut frames = bundle.frames()?;
    let take = |receiving: &mut Receiving, frame| receiving.take(frame).map_err(SyncError::from);
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
            frame => take(&mut receiving, frame).map_err(as_of_a_file)?,
        }
        progress(Progress {
            sending: false,
            commits: bundle.commits,
            objects: receiving.objects,
            bytes: receiving.bytes,
        });
    };
    frames.finish(bundle.seal)?;
    let (commits, unchecked) = (receiving.commits(), receiving.unchecked);
    receiving.check(&bundle.branches(), announced).map_err(|error| as_of_a_file(error.into()))?;
    if u32::try_from(commits) != Ok(bundle.commits) {
        let text = format!("it announces {} commits and holds {commits}", bundle.commits);
        return Err(as_of_a_file(ReceiveError::Content(text).into()));
    }
    Ok(Checked { commits: bundle.commits, objects: announced, unchecked, missing })
}
