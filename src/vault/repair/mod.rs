//! Repair: what is damaged is set aside, what is whole is saved, and what is lost comes back by its hash.
//!
//! Nothing is deleted. Order, for packs: what is sound goes into a new pack, durable; the operation; then the
//! damaged packs move to quarantine. For files: what stands there goes to quarantine; the operation; then the
//! last verified version is put into place. Cut anywhere, the next run finds the same things and comes to
//! the same end.
//!
//! What it does not do: it never cuts the operation log (that its end is lost is recorded in it), and it makes no broken seal of the history good, because
//! it cannot tell which of the two is wrong.

mod files;
mod ground;
mod stream;

pub use files::{FileFix, Fixed, fix_files};
pub use ground::repair_ground;

use super::refusal::Refused;
use super::verify::Problem;
use super::{ErrorKind, Result, Vault, admission::Finding};
use crate::fs::FileKind;
use crate::gateway::Reason;
use crate::gateway::sidecar::Digest256;
use crate::store::{Salvage, SetAside};
use crate::worktree::Waits;

const QUARANTINE: &str = "quarantine";

/// What was done about damaged packs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreRepair {
    /// How many records of damaged packs are in a new one.
    pub saved: usize,
    /// What is in quarantine now.
    pub set_aside: Vec<SetAside>,
}

/// Reads everything in the store and says what a repair would save and set aside.
pub fn examine_store(vault: &Vault, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Salvage> {
    Ok(vault.store.salvage(&|at| progress(at.done, at.total))?)
}

/// Saves what is sound in damaged packs, and moves those to quarantine.
pub fn repair_store(vault: &mut Vault, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<StoreRepair> {
    let lock = vault.lock("repair")?;
    let salvage = examine_store(vault, progress)?;
    if salvage.is_empty() {
        return Ok(StoreRepair::default());
    }
    let new = salvage.save()?;
    let mut operation = vault
        .operation("repair")
        .detail("set_aside", salvage.files())
        .detail("saved_records", salvage.records());
    if let Some(pack) = new {
        operation = operation.detail("pack", pack.to_string());
    }
    vault.publish(&lock, None, operation)?;
    let folder = vault.dot.open_or_create_dir(QUARANTINE)?;
    let set_aside = salvage.set_aside(&folder)?;
    let told: Vec<Refused> = set_aside.iter().map(told_of).collect();
    vault.log_rejections(&told)?;
    Ok(StoreRepair { saved: salvage.records(), set_aside })
}

/// Says in the rejection log where a file of the store went.
fn told_of(moved: &SetAside) -> Refused {
    let path = format!(".mvault/objects/{}", moved.name);
    let finding = Finding::new(Reason::Repaired).detail("a damaged pack; what was whole in it was saved");
    let mut told = Refused::new(path.as_bytes(), finding);
    let mut digest = [0; 32];
    told.sha256 = hex::decode_to_slice(&moved.kept_as, &mut digest).ok().map(|()| Digest256(digest));
    told.is_kept = true;
    told
}

/// Takes note that objects came back from another device. They are in the store.
pub fn note_brought(vault: &mut Vault, device: &str, objects: u64) -> Result<()> {
    let lock = vault.lock("repair")?;
    let operation = vault.operation("repair").detail("from", device.to_owned()).detail("objects", objects);
    vault.list_returned()?;
    vault.publish(&lock, None, operation)?;
    match vault.try_remove_due(&lock) {
        // A session is receiving: they stay on the list, and the next command removes them.
        Err(error) if error.kind() == ErrorKind::Locked => Ok(()),
        other => other.map(drop),
    }
}

/// A thing beside store and files that was put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tidied {
    /// Where, below `.mvault`.
    pub place: String,
    /// What was done.
    pub what: String,
}

/// Removes caches that disagree with what they are of, and names what lies in quarantine by its hash. Takes
/// the problems that a verification found.
pub fn tidy(vault: &mut Vault, problems: &[Problem], is_dry: bool) -> Result<Vec<Tidied>> {
    let lock = if is_dry { None } else { Some(vault.lock("repair")?) };
    let mut tidied = Vec::new();
    let mut told = |place: &str, what: &str| {
        tidied.push(Tidied { place: place.to_owned(), what: what.to_owned() });
    };
    for problem in problems {
        match problem.kind {
            "index" => {
                if lock.is_some() {
                    remove(vault, "index")?;
                }
                told("index", "removed: it is a cache, the next command makes it anew");
            }
            "waiting" => {
                if lock.is_some() {
                    let bytes = vault.dot.try_read(Waits::FILE, u64::MAX)?.unwrap_or_default();
                    vault.quarantine(&bytes)?;
                    remove(vault, Waits::FILE)?;
                }
                told(
                    Waits::FILE,
                    "moved to quarantine: it could not be read; files that waited look like edits now, `mvault diff` \
                     shows them",
                );
            }
            "quarantine" => {
                let Some(name) = problem.place.strip_prefix("quarantine/") else { continue };
                if lock.is_some() {
                    name_by_hash(vault, name)?;
                }
                told(&problem.place, "renamed to the hash of its bytes");
            }
            _ => {}
        }
    }
    for damaged in vault.damaged_files()? {
        if lock.is_some() {
            vault.set_damage_aside(&damaged)?;
        }
        told(&damaged.place, "what was damaged is in quarantine, the rest is kept");
    }
    if let (Some(lock), false) = (&lock, tidied.is_empty()) {
        let places: Vec<String> = tidied.iter().map(|one| one.place.clone()).collect();
        let operation = vault.operation("repair").detail("tidied", places);
        vault.publish(lock, None, operation)?;
    }
    Ok(tidied)
}

fn remove(vault: &Vault, name: &str) -> Result<()> {
    match vault.dot.remove_file(name) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(vault.dot.sync()?),
    }
}

/// Gives a file in quarantine, whose bytes changed since, the name of what they are now.
fn name_by_hash(vault: &Vault, name: &str) -> Result<()> {
    let folder = vault.dot.open_or_create_dir(QUARANTINE)?;
    if folder.stat(name)?.kind == FileKind::File {
        let digest = Digest256::of(&folder.read(name, super::WRITE_BYTES_MAX)?);
        folder.rename(name, &folder, digest.to_string())?;
        folder.sync()?;
    }
    Ok(())
}
