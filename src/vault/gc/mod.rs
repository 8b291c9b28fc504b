//! Full compaction: what the vault keeps is written anew into one pack, as small as patience makes it.
//!
//! - The work is done without the vault's lock: others commit meanwhile. Only the last step takes it for a
//!   moment. Until then nothing has changed, and whatever kills it leaves a temporary file at most.
//! - What a ref, the operation log or a choice for a pending conflict leads to stays. The rest stays as well,
//!   unless it is asked to go: then the lock is held all the time, so that nobody comes to rest on what goes.
//!   Commits and trees never go.
//! - No purge runs beside it, and no second compaction. A session that receives may; one that drops waits for none.
//! - Retention lets go of `saved/` snapshots, by an operation in the log. Their bytes go when somebody asks a
//!   second time, with `--prune`.

mod lineages;
mod retention;

use std::time::Duration;

use self::lineages::lineages;
pub use self::retention::Retention;
use super::verify::named_commits;
use super::{Error, ErrorKind, Result, Vault, VaultLock};
use crate::fs::{Lock, LockError};
use crate::object::CommitId;
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
    /// What nothing leads to. It was kept unless it was asked to go.
    pub unnamed: Unnamed,
    /// The numbers of the snapshots that were let go of.
    pub forgotten: Vec<u64>,
    /// Whether everything was as small already.
    pub is_needless: bool,
}

/// What nobody else may do meanwhile.
enum Guard {
    /// Others commit and receive; nobody purges.
    Beside(OpenGate),
    /// Nobody changes anything.
    Alone(VaultLock, ClosedGate),
}

/// Compacts the store. `told` is called with objects done and objects in all, from any thread.
pub fn gc(vault: &mut Vault, request: &GcRequest, told: &(dyn Fn(u64, u64) + Sync)) -> Result<GcOutcome> {
    let _only_one = Lock::acquire(&vault.dot, LOCK, Duration::ZERO, "gc").map_err(at_work)?;
    let lock = vault.lock(OPERATION)?;
    if let Some(name) = vault.log.refs().of_newer().filter(|_| request.prunes) {
        return Err(Error::refused(
            ErrorKind::NewerFormat,
            format!("a newer mvault made the ref {name}, and this one cannot know which objects it needs"),
            "install a newer mvault, or run `mvault gc` without --prune; nothing was changed",
        ));
    }
    let gone = match &request.retention {
        Some(retention) => retention.gone(vault)?,
        None => Vec::new(),
    };
    if !gone.is_empty() && !request.is_dry {
        forget(vault, &lock, &gone)?;
    }
    let guard = if request.prunes {
        let gate = vault.close_gate(Duration::ZERO)?;
        if !request.is_dry {
            gate.discard_leftovers()?;
        }
        Guard::Alone(lock, gate)
    } else {
        let gate = vault.open_gate()?;
        drop(lock);
        Guard::Beside(gate)
    };
    vault.store.refresh()?;
    let forgotten = gone.iter().map(|(number, _)| *number).collect();
    if !request.prunes && vault.is_compact()? {
        let stats = vault.store.stats()?;
        let unnamed = Unnamed::default();
        return Ok(GcOutcome { before: stats, after: stats, unnamed, forgotten, is_needless: true });
    }
    let lineages = lineages(vault, named_commits(&vault.log).into_keys())?;
    let leftovers = if request.prunes { Leftovers::Drop } else { Leftovers::Keep };
    let compaction = Compaction::prepare(&vault.store, &lineages, leftovers, told)?;
    let done = if request.is_dry { compaction.outcome()? } else { finish(vault, guard, compaction)? };
    let Compacted { before, after, unnamed, .. } = done;
    Ok(GcOutcome { before, after, unnamed, forgotten, is_needless: false })
}

/// Puts a compaction in place and notes it in the log.
fn finish(vault: &mut Vault, guard: Guard, compaction: Compaction) -> Result<Compacted> {
    // The gate stays as it is until the end.
    let (lock, _gates) = match guard {
        Guard::Alone(lock, gate) => (lock, (None, Some(gate))),
        Guard::Beside(gate) => (vault.lock(OPERATION)?, (Some(gate), None)),
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
