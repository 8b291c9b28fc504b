//! Full compaction: what the vault keeps is written anew into one pack, as small as patience makes it.
//!
//! - The work is done without the vault's lock: others commit meanwhile. Only the last step takes it for a
//!   moment. Until then nothing has changed, and whatever kills it leaves a temporary file at most.
//! - What a ref, the operation log or a choice for a pending conflict leads to stays, and so does what a commit
//!   leads to that none of them names: the log may have lost its end. The rest stays as well, unless it is asked to
//!   go: then the lock is held all the time, so that nobody comes to depend on what goes. Commits and trees never go.
//! - What is missing stops nothing: all else is compacted, and nothing is dropped.
//! - No purge runs beside it, and no second compaction. A session that receives may, unless something is to be
//!   dropped: then both wait for each other, for as long as one waits for the lock.
//! - Retention lets go of `saved/` snapshots, by an operation in the log. Their bytes go when somebody asks a
//!   second time, with `--prune`.

mod lineages;
mod retention;

use std::collections::BTreeSet;
use std::time::Duration;

use self::lineages::{Lineages, lineages};
pub use self::retention::Retention;
use super::transaction::GateHeld;
use super::verify::named_commits;
use super::{Error, ErrorKind, Result, Vault, VaultLock, unled};
use crate::fs::{Lock, LockError};
use crate::object::{CommitId, ObjectId};
use crate::oplog::RefName;
use crate::store::{Compacted, Compaction, Leftovers, StoreStats, Unnamed};
use crate::sync::{ClosedGate, OpenGate};

/// The name of the operation.
const OPERATION: &str = "gc";
const LOCK: &str = "gc.lock";

/// What a compaction is to do besides.
#[derive(Clone, Debug, Default)]
pub struct GcRequest {
    /// Do everything but put the result in place.
    pub is_dry: bool,
    /// Drop what nothing leads to.
    pub prunes: bool,
    /// Which snapshots of `saved/` stay; `None` for all.
    pub retention: Option<Retention>,
}

/// What a compaction did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcOutcome {
    /// What the store held before.
    pub before: StoreStats,
    /// What it holds now, or would.
    pub after: StoreStats,
    /// What nothing leads to.
    pub unnamed: Unnamed,
    /// Whether that was dropped, or would be.
    pub drops: bool,
    /// The numbers of the snapshots that were let go of.
    pub forgotten: Vec<u64>,
    /// Whether everything was as small already, and nothing was changed.
    pub is_needless: bool,
    /// What something leads to and is missing, or depends on what is. While that is so nothing is dropped, and packs
    /// that hold records which need it stay as they are.
    pub absent: BTreeSet<ObjectId>,
}

/// What nobody else may do meanwhile.
enum Guard {
    /// Others commit and receive; nobody purges.
    Beside { _gate: OpenGate },
    /// Nobody receives or purges; with the lock besides, nobody changes anything.
    Alone(ClosedGate),
}

impl Guard {
    /// Passes or closes the gate, and then takes the lock.
    fn take(vault: &mut Vault, request: &GcRequest) -> Result<(Guard, VaultLock)> {
        let guard = match request.prunes {
            true => Guard::Alone(vault.close_gate("gc --prune")?),
            false => Guard::Beside { _gate: vault.open_gate()? },
        };
        let lock = vault.lock_at_gate(OPERATION, guard.held())?;
        Ok((guard, lock))
    }

    fn held(&self) -> GateHeld<'_> {
        match self {
            Guard::Beside { .. } => GateHeld::Open,
            Guard::Alone(gate) => GateHeld::Closed(gate),
        }
    }
}

/// Compacts the store. `told` is called with objects done and objects in all, from any thread.
pub fn gc(vault: &mut Vault, request: &GcRequest, told: &(dyn Fn(u64, u64) + Sync)) -> Result<GcOutcome> {
    let _only_one = Lock::acquire(&vault.dot, LOCK, Duration::ZERO, "gc").map_err(at_work)?;
    let (guard, lock) = Guard::take(vault, request)?;
    refuse_newer(vault, request)?;
    if !request.is_dry {
        vault.remove_leftover_temps();
    }
    let gone = match &request.retention {
        Some(retention) => retention.gone(vault)?,
        None => Vec::new(),
    };
    if !gone.is_empty() && !request.is_dry {
        forget(vault, &lock, &gone)?;
    }
    let lock = match &guard {
        Guard::Alone(gate) if !request.is_dry => {
            gate.discard_leftovers()?;
            Some(lock)
        }
        Guard::Alone(_) => Some(lock),
        Guard::Beside { .. } => {
            drop(lock);
            None
        }
    };
    vault.store.refresh()?;
    let forgotten = gone.iter().map(|(number, _)| *number).collect();
    if !request.prunes && vault.is_compact()? {
        let stats = vault.store.stats()?;
        let unnamed = Unnamed::default();
        let (drops, absent) = (false, BTreeSet::new());
        let (before, after, is_needless) = (stats, stats, true);
        return Ok(GcOutcome { before, after, unnamed, drops, forgotten, is_needless, absent });
    }
    let mut roots: BTreeSet<CommitId> = named_commits(&vault.log).into_keys().collect();
    if request.prunes {
        roots.extend(unled::unled_commits(&vault.store, &vault.log)?);
    }
    let Lineages { all, mut absent } = lineages(vault, roots.into_iter())?;
    // What a missing commit or tree leads to is not known: then nothing can be said to be of no use.
    let drops = request.prunes && absent.is_empty();
    let leftovers = if drops { Leftovers::Drop } else { Leftovers::Keep };
    let compaction = Compaction::prepare(&vault.store, &all, leftovers, told)?;
    absent.extend(compaction.absent());
    let outcome = compaction.outcome()?;
    let done = match request.is_dry || outcome.is_useless {
        true => outcome,
        false => finish(vault, &guard, lock, compaction)?,
    };
    let Compacted { before, after, unnamed, drops, is_useless, .. } = done;
    Ok(GcOutcome { before, after, unnamed, drops, forgotten, is_needless: is_useless, absent })
}

/// Refuses to drop anything where a newer program made a ref.
fn refuse_newer(vault: &Vault, request: &GcRequest) -> Result<()> {
    match vault.log.refs().of_newer().filter(|_| request.prunes) {
        Some(name) => Err(Error::refused(
            ErrorKind::NewerFormat,
            format!("a newer mvault made the ref {name}, and this one cannot know which objects it needs"),
            "install a newer mvault, or run `mvault gc` without --prune; nothing was changed",
        )),
        None => Ok(()),
    }
}

/// Puts a compaction in place and notes it in the log.
fn finish(
    vault: &mut Vault,
    guard: &Guard,
    lock: Option<VaultLock>,
    compaction: Compaction,
) -> Result<Compacted> {
    let lock = match lock {
        Some(lock) => lock,
        None => vault.lock_at_gate(OPERATION, guard.held())?,
    };
    let done = compaction.finish()?;
    let pack = done.pack.map(|pack| pack.to_string());
    let operation = vault
        .operation(OPERATION)
        .detail("pack", pack)
        .detail("bytes_before", done.before.bytes)
        .detail("bytes", done.after.bytes);
    vault.publish(&lock, None, operation)?;
    Ok(done)
}

/// Lets go of snapshots.
fn forget(vault: &mut Vault, lock: &VaultLock, gone: &[(u64, CommitId)]) -> Result<()> {
    let operation = gone
        .iter()
        .fold(vault.operation("forget"), |operation, (number, _)| operation.remove(RefName::Saved(*number)));
    vault.publish(lock, None, operation).map(|_| ())
}

fn at_work(error: LockError) -> Error {
    match error {
        LockError::Held { .. } => Error::refused(
            ErrorKind::Locked,
            "another `mvault gc` is at work in this vault",
            "wait for it; nothing was changed",
        ),
        LockError::Disk(error) => error.into(),
    }
}

impl Vault {
    /// Tells whether all there is is what the last compaction left.
    fn is_compact(&self) -> Result<bool> {
        let packs = self.store.packs()?;
        let [only] = &packs[..] else { return Ok(packs.is_empty()) };
        for operation in self.log.operations() {
            let operation = operation?;
            if operation.op == OPERATION {
                let pack = operation.detail.get("pack").and_then(|pack| pack.as_str());
                return Ok(pack == Some(only.id.to_string().as_str()));
            }
        }
        Ok(false)
    }
}
