//! Files on disk that something damaged behind mvault's back: put back from the last version that holds.
//!
//! - Unasked only what admission refuses as damage: became empty, filled with zeros, or a sidecar that does
//!   not fit its unchanged file. A stream keeps what it gained besides. Torn and glued lines are taken apart.
//! - A file that is named is put back whatever it is now.
//! - What stood there is in quarantine before anything is put in its place. Edits are never touched unasked.
//!
//! Limits: files above 64 MiB are not looked into; a checkout of the path brings them back.

use super::super::admission::{Admission, Finding};
use super::super::commit::{CommitRequest, commit_locked};
use super::super::refusal::{Refused, os};
use super::super::rules::{Class, VaultRules};
use super::super::sealing::folder_of;
use super::super::standing::{Reliable, reliable};
use super::super::write::{judge_bytes, open_or_create_folder};
use super::super::{Error, ErrorKind, Result, Vault};
use super::stream::mend;
use crate::events;
use crate::fs::FileKind;
use crate::gateway::Reason;
use crate::gateway::sidecar::Digest256;
use crate::object::{
    BlobId, CommitId, Kind, Mode, ObjectId, Source, TreeId, VaultPath, entry_at, hash_object, list_tree,
    typed, visible_line,
};

/// The longest file that is looked into, in bytes.
const BYTES_MAX: u64 = 64 << 20;

/// How a file was put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixed {
    /// It is again what a commit has, and, of a stream, what it gained since.
    Restored(CommitId),
    /// Torn and glued lines were taken apart; so many.
    Mended(usize),
    /// No version can be relied on: nothing was done.
    NoVersion,
}

/// A file that was put right, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFix {
    /// Which.
    pub path: VaultPath,
    /// What was the matter.
    pub why: String,
    /// What was done.
    pub how: Fixed,
    /// The hash under which what stood there, or was taken out of it, is in quarantine.
    pub kept_as: Option<Digest256>,
}

/// What is to be done about a file.
struct Plan {
    fix: FileFix,
    /// What stands there; nothing if the file is gone.
    found: Option<Vec<u8>>,
    mode: u32,
    /// What shall stand there.
    wanted: Vec<u8>,
    /// What goes to quarantine, and why.
    set_aside: Vec<u8>,
    reason: Reason,
}

/// Puts files right: those that are named, in any case; without names, what is damaged. `is_dry` only tells.
/// Returns what was done, and the commit that has mended streams.
pub fn fix_files(
    vault: &mut Vault,
    named: &[VaultPath],
    is_dry: bool,
) -> Result<(Vec<FileFix>, Option<CommitId>)> {
    let lock = if is_dry { None } else { Some(vault.lock("repair")?) };
    if vault.parked().is_some() && named.is_empty() {
        vault.notices.push("the tree is parked at an older state: the files were not compared".into());
        return Ok(Default::default());
    }
    if vault.parked().is_some() {
        return Err(Error::refused(
            ErrorKind::Refused,
            "the tree is parked at an older state; no file was touched",
            format!("{} goes back to the branch, then repair", vault.way_back()),
        ));
    }
    let mut plans = plan(vault, named)?;
    let Some(lock) = lock else { return Ok((plans.into_iter().map(|plan| plan.fix).collect(), None)) };
    plans.retain_mut(|plan| plan.fix.how == Fixed::NoVersion || still_stands(vault, plan));
    if plans.iter().all(|plan| plan.fix.how == Fixed::NoVersion) {
        return Ok((plans.into_iter().map(|plan| plan.fix).collect(), None));
    }
    for plan in &mut plans {
        set_aside(vault, plan)?;
    }
    let done = plans.iter().filter(|plan| plan.fix.how != Fixed::NoVersion);
    let paths: Vec<String> = done.clone().map(|plan| plan.fix.path.to_string()).collect();
    let operation = vault.operation("repair").detail("files", paths);
    vault.publish(&lock, None, operation)?;
    for plan in done {
        let placed = open_or_create_folder(vault, &plan.fix.path)
            .and_then(|dir| vault.place_file(&dir, &plan.fix.path, &plan.wanted, plan.mode));
        match placed {
            Err(Error::Disk(error)) if !error.is_out_of_handles() => {
                vault.notices.push(format!("not repaired: {}", super::super::verify::chain(&error)));
            }
            done => done?,
        }
    }
    let mended = plans.iter().filter(|plan| matches!(plan.fix.how, Fixed::Mended(_)));
    let paths: Vec<VaultPath> = mended.map(|plan| plan.fix.path.clone()).collect();
    let mut commit = None;
    if !paths.is_empty() {
        let request = CommitRequest {
            names_replaced: true,
            title: Some("take torn lines apart".into()),
            paths,
            operation: "repair",
            ..CommitRequest::default()
        };
        let outcome = commit_locked(vault, &lock, &request)?;
        for refused in outcome.refused.iter().filter(|refused| refused.is_refusal()) {
            let path = visible_line(&refused.path);
            vault.notices.push(format!("{path} was mended and not committed: {}", refused.words()));
        }
        commit = outcome.commit.map(|(id, _)| id);
    }
    Ok((plans.into_iter().map(|plan| plan.fix).collect(), commit))
}

fn plan(vault: &Vault, named: &[VaultPath]) -> Result<Vec<Plan>> {
    let head = vault.tree_of(vault.head()?)?;
    for path in named {
        if entry_at(&vault.store, head, path)?.is_none() {
            return Err(Error::refused(
                ErrorKind::UnknownRevision,
                format!("{path} is not in the head; nothing was touched"),
                format!("{} shows the commits that have it", typed("log --").path(path)),
            ));
        }
    }
    let mut files: Vec<(VaultPath, Mode, ObjectId)> = Vec::new();
    for file in list_tree(&vault.store, head) {
        let (path, entry) = file?;
        if entry.is_file() {
            files.push((path, entry.mode, entry.id.object()));
        }
    }
    let look =
        Look { vault, head, rules: vault.rules_of(head)?, admission: Admission::new(vault, head, &[])? };
    let mut plans = Vec::new();
    for (path, mode, id) in files {
        let is_named = named.iter().any(|folder| path.is_within(folder));
        if named.is_empty() || is_named {
            plans.extend(look.at(&path, mode, id, is_named)?);
        }
    }
    Ok(plans)
}

struct Look<'a> {
    vault: &'a Vault,
    head: TreeId,
    rules: VaultRules,
    admission: Admission<'a>,
}

/// What stands at a path.
enum Found {
    Nothing,
    File(Vec<u8>, u32),
    /// Too long, or no file.
    Other,
}

impl Look<'_> {
    fn at(&self, path: &VaultPath, mode: Mode, id: ObjectId, is_named: bool) -> Result<Option<Plan>> {
        let default_mode = if mode == Mode::Executable { 0o755 } else { 0o644 };
        let (found, file_mode) = match found(self.vault, path)? {
            Found::Nothing => (None, default_mode),
            Found::File(bytes, file_mode) => (Some(bytes), file_mode),
            Found::Other if is_named => return Err(not_looked_at(self.vault, path)),
            Found::Other => return Ok(None),
        };
        let is_same = found.as_ref().is_some_and(|bytes| hash_object(Kind::Blob, bytes) == id);
        let class = self.rules.class_of(path);
        if is_same && class != Class::Stream {
            return Ok(None);
        }
        let (mended, why) = match &found {
            None if class == Class::Sidecar && self.is_unchanged_file_of(path)? => {
                (None, Some("it is gone".to_owned()))
            }
            None => (None, is_named.then(|| "it is gone".to_owned())),
            Some(_) if class == Class::Sidecar => {
                let stands = self.is_unchanged_file_of(path)?;
                (None, (stands || is_named).then(|| "it does not fit its file".to_owned()))
            }
            Some(bytes) => self.damage(path, class, id, bytes, is_same, is_named)?,
        };
        let mut plan = Plan {
            fix: FileFix { path: path.clone(), why: String::new(), how: Fixed::NoVersion, kept_as: None },
            mode: file_mode,
            wanted: Vec::new(),
            set_aside: Vec::new(),
            reason: Reason::Repaired,
            found,
        };
        match (why, mended) {
            (Some(why), mended) => {
                plan.fix.why = why;
                let base = mended.map(|mended| mended.bytes);
                Ok(self.restored(plan, class, base)?.filter(|plan| plan.found.as_ref() != Some(&plan.wanted)))
            }
            (None, Some(mended)) => {
                let lines = if mended.lines == 1 { "line" } else { "lines" };
                plan.fix.why = format!("{} torn or glued {lines}", mended.lines);
                plan.fix.how = Fixed::Mended(mended.lines);
                plan.reason = Reason::TornLine;
                (plan.wanted, plan.set_aside) = (mended.bytes, mended.torn);
                Ok(Some(plan))
            }
            (None, None) => Ok(None),
        }
    }

    /// Tells why a file is to be put back, if it is, and what of a stream is left when its lines were taken
    /// apart.
    fn damage(
        &self,
        path: &VaultPath,
        class: Class,
        id: ObjectId,
        bytes: &[u8],
        is_same: bool,
        is_named: bool,
    ) -> Result<(Option<super::stream::Mended>, Option<String>)> {
        let mended = match class {
            Class::Stream => {
                let kept = self.vault.store.find_blob(BlobId::new(id));
                mend(kept.as_deref().unwrap_or_default(), bytes)
            }
            _ => None,
        };
        if is_same {
            return Ok((mended, None));
        }
        let text = mended.as_ref().map_or(bytes, |mended| mended.bytes.as_slice());
        let finding: Option<Finding> = judge_bytes(self.vault, &self.admission, path, text)?;
        let is_zeroed = bytes.iter().all(|b| *b == 0) || (class == Class::Stream && bytes.contains(&0));
        let why = finding
            .filter(|finding| is_zeroed || matches!(finding.reason, Reason::Emptied | Reason::NulFilled));
        let why = match (why, is_named) {
            (Some(_), _) if bytes.is_empty() => Some(Reason::Emptied.as_str().to_owned()),
            (Some(_), _) if is_zeroed => Some(Reason::NulFilled.as_str().to_owned()),
            (Some(finding), _) => Some(finding.reason.as_str().to_owned()),
            (None, true) => Some("it was named".to_owned()),
            (None, false) => None,
        };
        Ok((mended, why))
    }

    /// Fills in what a file is to be: the last version that holds, and what a stream has besides.
    fn restored(&self, mut plan: Plan, class: Class, mended: Option<Vec<u8>>) -> Result<Option<Plan>> {
        let Some(version) = reliable(self.vault, &plan.fix.path)? else { return Ok(Some(plan)) };
        let Reliable { bytes, id, commit, instead_of } = version;
        let mode = if plan.mode & 0o111 == 0 { Mode::File } else { Mode::Executable };
        if let Some(words) = self.vault.withheld_version(&plan.fix.path, mode, BlobId::new(id))? {
            plan.fix.why = words;
            return Ok(Some(plan));
        }
        plan.wanted = bytes.to_vec();
        if class == Class::Stream
            && let Some(here) = mended.as_ref().or(plan.found.as_ref())
            && let Ok(joined) = events::import(&bytes, here)
        {
            plan.wanted = joined.bytes;
        }
        if let Some(instead) = instead_of {
            plan.fix.why = format!("{}, and of the head's own version {instead}", plan.fix.why);
        }
        plan.fix.how = Fixed::Restored(commit);
        plan.set_aside = plan.found.clone().unwrap_or_default();
        Ok(Some(plan))
    }

    /// Tells whether the file of a sidecar stands as the head has it, and fits the head's sidecar.
    fn is_unchanged_file_of(&self, sidecar: &VaultPath) -> Result<bool> {
        let Some(path) = self.rules.sealed_by(sidecar) else { return Ok(false) };
        let Some(entry) = entry_at(&self.vault.store, self.head, &path)? else { return Ok(false) };
        let stands = match found(self.vault, &path)? {
            Found::File(bytes, _) => hash_object(Kind::Blob, &bytes) == entry.id,
            _ => false,
        };
        let seal = entry_at(&self.vault.store, self.head, sidecar)?.map(|entry| entry.id);
        let holds = super::super::sealing::seal_holds(&self.vault.store, path.name(), entry.id, seal)?;
        Ok(stands && holds == Some(true))
    }
}

fn not_looked_at(vault: &Vault, path: &VaultPath) -> Error {
    Error::refused(
        ErrorKind::Refused,
        format!("{path} is no file, cannot be read, or is longer than is looked into; it was not touched"),
        format!(
            "{} brings it back and keeps what stands there",
            typed("checkout").word(vault.branch().as_str()).then("--").path(path)
        ),
    )
}

fn found(vault: &Vault, path: &VaultPath) -> Result<Found> {
    let looked = || {
        let Some(dir) = folder_of(&vault.root, path)? else { return Ok(Found::Nothing) };
        let Some(stat) = dir.try_stat(os(path.name()))? else { return Ok(Found::Nothing) };
        if stat.kind != FileKind::File || stat.size > BYTES_MAX {
            return Ok(Found::Other);
        }
        Ok(Found::File(dir.read(os(path.name()), BYTES_MAX)?, stat.mode & 0o777))
    };
    match looked() {
        // A folder without permission keeps nothing else from being repaired.
        Err(Error::Disk(error)) if !error.is_out_of_handles() => Ok(Found::Other),
        found => found,
    }
}

/// Tells whether a file is still what it was found to be: one that somebody writes now is left alone.
fn still_stands(vault: &mut Vault, plan: &Plan) -> bool {
    let now = match found(vault, &plan.fix.path) {
        Ok(Found::Nothing) => None,
        Ok(Found::File(bytes, _)) => Some(bytes),
        _ => Some(Vec::new()),
    };
    let stands = now == plan.found;
    if !stands {
        vault.notices.push(format!("{} changed in this moment and was left alone", plan.fix.path));
    }
    stands
}

/// Puts into quarantine what gives way, and says so in the rejection log.
fn set_aside(vault: &Vault, plan: &mut Plan) -> Result<()> {
    if plan.set_aside.is_empty() {
        return Ok(());
    }
    let digest = vault.quarantine(&plan.set_aside)?;
    plan.fix.kept_as = Some(digest);
    let finding = Finding::new(plan.reason).detail(plan.fix.why.clone());
    let mut told = Refused::new(plan.fix.path.as_bytes(), finding);
    told.size = Some(plan.set_aside.len() as u64);
    told.sha256 = Some(digest);
    told.is_kept = true;
    vault.log_rejections(std::slice::from_ref(&told))
}
