//! What has to be right before a vault can be opened at all: its format line, this device's settings, and that
//! the operation log is as long as it was.
//!
//! - Each is put right only from what the rest of the vault shows: the line if log and packs are of format 1, the
//!   settings from the log and the root, a lost end of the log by an operation that says what is lost.
//! - What stood there goes to quarantine first. Damage inside the log is never cut away: then nothing is done.
//! - Cut anywhere, the next run finds the rest. One operation says what was done; cut right before it, the log
//!   lacks only that.

use std::path::Path;

use super::{QUARANTINE, Tidied};
use crate::fs::{Dir, Lock, probe, replace_file};
use crate::gateway::sidecar::Digest256;
use crate::object::{Commit, Source, VaultId};
use crate::oplog::{self, Anchor, OpLog};
use crate::store::Store;
use crate::vault::config::Config;
use crate::vault::memory::WITNESS;
use crate::vault::open::{FORMAT, FORMAT_LINE, LOCK, check_format};
use crate::vault::trust::{Opened, open_checked};
use crate::vault::{Error, ErrorKind, OpenOptions, Result, Vault};

const LOCK_WAIT: std::time::Duration = std::time::Duration::from_secs(10);
/// More than a format line or settings take.
const BYTES_MAX: u64 = 1 << 20;

/// Puts right what keeps the vault in `path` from being opened. With `is_dry` only says what would be done.
/// Returns what was done; nothing if the vault can be opened, or if this is not what keeps it from that.
pub fn repair_ground(path: &Path, options: &OpenOptions, is_dry: bool) -> Result<Vec<Tidied>> {
    let Opened { root, dot } = open_checked(&*options.disk, path, &options.trust)?;
    let lacks_format = match check_format(path, &dot) {
        Ok(()) => false,
        Err(error) if error.kind() == ErrorKind::Damage => true,
        Err(error) => return Err(error),
    };
    let lacks_settings = match Config::load(&dot) {
        Ok(_) => false,
        Err(error) if error.is_lost() => true,
        Err(error) => return Err(error.into()),
    };
    // Without the log nothing is known, and nothing is guessed.
    let (Ok(log), Ok(store)) = (OpLog::open(&dot, None), Store::open(&dot)) else { return Ok(Vec::new()) };
    if lacks_format {
        check_all_of_format_1(&store)?;
    }
    if is_dry {
        return Ok(foreseen(path, options, lacks_format, lacks_settings));
    }
    let mut done = Vec::new();
    if lacks_format || lacks_settings {
        let _lock = Lock::acquire(&dot, LOCK, LOCK_WAIT, "`mvault repair`")?;
        if lacks_format {
            set_aside(&dot, FORMAT)?;
            replace_file(&dot, FORMAT, FORMAT_LINE.as_bytes(), 0o600)?;
            done.push(format_told());
        }
        if lacks_settings {
            let config = settings_from(&dot, &log, &store, options)?;
            set_aside(&dot, SETTINGS)?;
            config.save(&dot)?;
            done.push(settings_told());
        }
    }
    let mut vault = Vault::of_parts(root, dot, options.clone())?;
    let lost = lost_end(&mut vault)?;
    done.extend(lost.as_ref().map(end_told));
    if !done.is_empty() {
        note(&mut vault, &done, lost)?;
    }
    Ok(done)
}

const SETTINGS: &str = "config.toml";

fn format_told() -> Tidied {
    Tidied { place: FORMAT.into(), what: "written again: all else is of format 1".into() }
}

fn settings_told() -> Tidied {
    let what = "made again from the log; remotes have to be added again (`mvault remote add`)";
    Tidied { place: SETTINGS.into(), what: what.into() }
}

/// Operations that were in the log and are not any more.
struct LostEnd {
    from: u64,
    known: Anchor,
}

fn end_told(lost: &LostEnd) -> Tidied {
    let LostEnd { from, known } = lost;
    let which = if *from == known.seq {
        format!("operation {from} is")
    } else {
        format!("operations {from} to {} are", known.seq)
    };
    Tidied {
        place: "oplog".into(),
        what: format!("{which} lost, and the log says so now; their commits are still in the packs"),
    }
}

fn foreseen(path: &Path, options: &OpenOptions, lacks_format: bool, lacks_settings: bool) -> Vec<Tidied> {
    let mut told = Vec::new();
    told.extend(lacks_format.then(format_told));
    told.extend(lacks_settings.then(settings_told));
    if let (false, Err(Error::Log(oplog::Error::Shortened { known, last }))) =
        (lacks_format || lacks_settings, Vault::open(path, options.clone()))
    {
        told.push(end_told(&LostEnd { from: known.seq.min(last.seq + 1), known }));
    }
    told
}

/// Refuses a vault whose packs a newer program wrote; damage in packs says nothing about the format.
fn check_all_of_format_1(store: &Store) -> Result<()> {
    match store.stats() {
        Err(error) if !error.is_damage() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Copies what stands at a name in `.mvault` to quarantine. It is replaced afterwards.
fn set_aside(dot: &Dir, name: &str) -> Result<()> {
    let Some(bytes) = dot.try_read(name, BYTES_MAX)?.filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
    let folder = dot.open_or_create_dir(QUARANTINE)?;
    Ok(replace_file(&folder, Digest256::of(&bytes).to_string(), &bytes, 0o600)?)
}

/// Makes this device's settings from what the log and the root say of it.
fn settings_from(dot: &Dir, log: &OpLog, store: &Store, options: &OpenOptions) -> Result<Config> {
    let last =
        log.get(log.last().seq)?.ok_or_else(|| oplog::Error::Missing("it has no operations".into()))?;
    let first = log.get(1)?;
    let epoch = first.and_then(|first| Some(first.detail.get("epoch")?.as_str()?.to_owned()));
    // Logs of earlier programs do not have it. A new one is safe: to others it is a new life of this device.
    let epoch = epoch.unwrap_or_else(|| hex::encode(&options.env.random16()[..8]));
    let abilities = probe(&dot.open_or_create_dir("tmp")?)?;
    Ok(Config::new(dot, last.device, epoch, vault_id(log, store), abilities))
}

/// Returns the id in the root that the head comes from.
fn vault_id(log: &OpLog, store: &Store) -> Option<VaultId> {
    let mut next = log.refs().at().or_else(|| log.refs().head());
    while let Some(id) = next {
        let commit: Commit = store.find_commit(id).ok()?;
        if commit.vault.is_some() {
            return commit.vault;
        }
        next = commit.parents.first().copied();
    }
    None
}

/// Returns what the log lost, by what is remembered of it.
fn lost_end(vault: &mut Vault) -> Result<Option<LostEnd>> {
    let _lock = Lock::acquire(&vault.dot, LOCK, LOCK_WAIT, "`mvault repair`")?;
    vault.log.refresh()?;
    match vault.recall_log() {
        Ok(()) => Ok(None),
        Err(Error::Log(oplog::Error::Shortened { known, last })) => {
            Ok(Some(LostEnd { from: known.seq.min(last.seq + 1), known }))
        }
        Err(error) => Err(error),
    }
}

/// Appends the operation that says what was done. What remembered a longer log goes first to quarantine: from
/// here on the log is what it is.
fn note(vault: &mut Vault, done: &[Tidied], lost: Option<LostEnd>) -> Result<()> {
    let _lock = Lock::acquire(&vault.dot, LOCK, LOCK_WAIT, "`mvault repair`")?;
    vault.log.refresh()?;
    let places: Vec<&str> = done.iter().map(|one| one.place.as_str()).collect();
    let mut operation = vault.operation("repair").detail("tidied", places);
    if let Some(LostEnd { from, known }) = &lost {
        operation = operation.detail(
            "lost_operations",
            serde_json::json!({"from": from, "to": known.seq, "hash": known.hash.to_string()}),
        );
    }
    vault.log.append(operation)?;
    if lost.is_some() {
        for cache in ["index", WITNESS] {
            super::remove(vault, cache)?;
        }
    }
    vault.remember_log();
    Ok(())
}
