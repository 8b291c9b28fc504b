//! Looking through a bundle without taking it in.

use super::super::receive::{Ours, Outside, ReceiveError, Receiving, Sender};
use super::super::{Limits, Progress, SyncError};
use super::Bundle;
use super::read::{absent, as_of_a_file, take_pack};
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
        gate_wait: std::time::Duration::ZERO,
    };
    let mut receiving = Receiving::open(scratch, "bundle", store, ours)?;
    let announced = take_pack(&mut receiving, bundle, progress)?;
    let (commits, unchecked) = (receiving.commits(), receiving.unchecked);
    receiving.check(&bundle.branches(), announced).map_err(|error| as_of_a_file(error.into()))?;
    if u32::try_from(commits) != Ok(bundle.commits) {
        let text = format!("it announces {} commits and holds {commits}", bundle.commits);
        return Err(as_of_a_file(ReceiveError::Content(text).into()));
    }
    Ok(Checked { commits: bundle.commits, objects: announced, unchecked, missing })
}
