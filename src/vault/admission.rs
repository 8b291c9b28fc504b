//! Admission: what of a change may enter, by the rules in force and by what a person lets through once.
//!
//! - A check sees content once, while it is read anyway. The version before is read only where a check
//!   needs it.
//! - Whoever was let through is noted with the operation, so that the audit trail has it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::collision::Folders;
use super::growth::Growth;
use super::obeyed::{Acceptance, Accepted, Origin};
use super::protection::Protections;
use super::rules::{Class, RULES_FILE};
use super::ways::Ways;
use super::{Error, Result, Vault, typos};
use crate::events;
use crate::fs;
use crate::gateway::content::{ContentJudge, Demands, Seen, Syntax, has_markers};
use crate::gateway::name::is_portable_path;
use crate::gateway::obeyed;
use crate::gateway::sidecar::{Digest256, can_be_sealed};
use crate::gateway::zeros::{lost_its_end, zeroed_at};
use crate::gateway::{Reason, secrets};
use crate::object::{BlobId, FileEntry, Kind, Lookup, Mode, Source, TreeId, VaultPath, hash_object};
use crate::store::Store;
use crate::worktree::{Candidate, Scan};

/// The longest version of a file that is read whole to compare with, in bytes.
const COMPARED_BYTES_MAX: u64 = 64 << 20;
/// So many zero bytes at the end of a text are no accident of its writer.
const ZERO_TAIL_MIN: u64 = 4;

/// Something that a person lets through once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The reason that shall not count.
    pub reason: Reason,
    /// For this file, or all in this folder; `None` for the whole command.
    pub path: Option<VaultPath>,
}

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The reason.
    pub reason: Reason,
    /// Where in the file, in bytes.
    pub offset: Option<u64>,
    /// More words: which rule, how many. Never any content but a command that would run.
    pub detail: Option<String>,
    /// What is accepted if it is let through.
    pub(super) accepts: Option<Acceptance>,
    /// Lines of content that it is about, for the person who asked; never logged.
    pub lines: Vec<String>,
}

impl Finding {
    pub(super) fn new(reason: Reason) -> Finding {
        Finding { reason, offset: None, detail: None, lines: Vec::new(), accepts: None }
    }

    /// A credential in the name of a file or of a folder above it. Names are in the history forever: no purge reaches them.
    pub(super) fn in_name(what: &str) -> Finding {
        Finding::new(Reason::Secret).detail(format!("its name holds {what}"))
    }

    /// A credential in what a link says.
    pub(super) fn in_target(target: &[u8]) -> Option<Finding> {
        let secret = secrets::scan(target).into_iter().next()?;
        Some(Finding::new(Reason::Secret).detail(format!("the link's target holds {}", secret.what)))
    }

    fn at(mut self, offset: u64) -> Finding {
        self.offset = Some(offset);
        self
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Finding {
        self.detail = Some(detail.into());
        self
    }
}

/// What came of judging a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    /// Why it is not taken.
    pub refused: Option<Finding>,
    /// What is worth a word though it is taken, and the bytes it is about.
    pub noticed: Option<(Finding, Vec<u8>)>,
    /// The hash of its plain bytes, if it was needed.
    pub digest: Option<Digest256>,
}

/// The content that is judged, as far as it is in memory.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    Whole(&'a [u8]),
    Large(&'a Growth<'a>),
}

/// What holds for one command.
pub(super) struct Admission<'a> {
    pub vault: &'a Vault,
    /// Where the vault lies.
    pub place: obeyed::Place,
    /// The tree that the change is one of.
    pub base: TreeId,
    pub protections: Protections,
    allowed: &'a [Allowance],
    /// What was let through because it was asked for, as `CODE:PATH`, or the code alone.
    used: Mutex<BTreeSet<String>>,
    before: Mutex<Lookup<'a, Store>>,
    /// What was accepted on this device of files that programs run, read when it is asked for.
    pub accepted: Mutex<Option<Arc<Accepted>>>,
    /// What of them is accepted now.
    pub accepting: Mutex<BTreeSet<Acceptance>>,
}

impl<'a> Admission<'a> {
    pub fn new(vault: &'a Vault, base: TreeId, allowed: &'a [Allowance]) -> Result<Admission<'a>> {
        let protections = vault.protections(base)?;
        let before = Mutex::new(Lookup::new(&vault.store));
        Ok(Admission {
            vault,
            place: vault.place(),
            base,
            protections,
            allowed,
            used: Mutex::default(),
            before,
            accepted: Mutex::default(),
            accepting: Mutex::default(),
        })
    }

    /// Tells whether a reason does not count at a path, and remembers that it was asked for.
    pub fn permits(&self, reason: Reason, path: &VaultPath) -> bool {
        if self.protections.allows(path, reason) {
            return true;
        }
        let asked = self.allowed.iter().any(|allowance| {
            allowance.reason == reason
                && allowance.path.as_ref().is_none_or(|allowed| path.is_within(allowed))
        });
        if asked {
            self.note_override(format!("{}:{path}", reason.code()));
        }
        asked
    }

    /// Tells whether a person asked for a reason that concerns all of the files not to count, and notes it.
    pub fn permits_all(&self, reason: Reason) -> bool {
        let asked = self.allowed.iter().any(|allowance| allowance.reason == reason);
        if asked {
            self.note_override(reason.code().to_owned());
        }
        asked
    }

    fn note_override(&self, text: String) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
    }

    /// Returns what was let through because a person asked for it, sorted.
    pub fn overrides(&self) -> Vec<String> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Returns the file that the tree before the change has at a path.
    pub fn committed(&self, path: &VaultPath) -> Result<Option<FileEntry>> {
        let entry =
            self.before.lock().unwrap_or_else(PoisonError::into_inner).entry(self.base, path.as_bytes())?;
        Ok(entry.and_then(|entry| entry.file()))
    }

    /// Tells whether content was purged, and its bytes are gone here: they do not come back.
    pub fn is_purged(&self, blob: BlobId) -> bool {
        self.vault.store.is_removed(blob.object())
    }

    pub fn refuse(&self, path: &VaultPath, finding: Finding) -> Option<Finding> {
        if !self.permits(finding.reason, path) {
            return Some(finding);
        }
        if let Some(acceptance) = finding.accepts {
            self.accept(acceptance);
        }
        None
    }

    /// Judges names and lengths, before anything is read.
    pub fn names(&self, scan: &Scan) -> Result<BTreeMap<VaultPath, Finding>> {
        let mut refused = BTreeMap::new();
        let mut folders = Folders::new(self);
        let limit = self.protections.limits().file_bytes_max;
        for candidate in &scan.candidates {
            let path = &candidate.path;
            let mut findings = Vec::new();
            // Before all others: what is too large is not even copied.
            if candidate.stat.size > limit && !self.had_size(candidate)? {
                let detail = format!("the limit is {} MiB", limit >> 20);
                findings.push(Finding::new(Reason::TooLarge).detail(detail));
            }
            if candidate.old.is_none() {
                if !is_portable_path(path)
                    || (self.protections.is(path, Class::Distillate) && !can_be_sealed(path.name()))
                {
                    findings.push(Finding::new(Reason::NameNotPortable));
                }
                let in_name = secrets::scan(path.as_bytes()).into_iter().next();
                findings.extend(in_name.map(|secret| Finding::in_name(secret.what)));
                // A file system that does not tell them apart shows one of them only.
                if !self.vault.traits().folds()
                    && let Some(part) = folders.collision(path)?
                {
                    findings.push(Finding::new(Reason::NameCollides).detail(part));
                }
            }
            if let Some(finding) = findings.into_iter().find_map(|finding| self.refuse(path, finding)) {
                refused.insert(path.clone(), finding);
            }
        }
        Ok(refused)
    }

    /// Tells whether the version before is as long: it was let in, and may be the same.
    fn had_size(&self, candidate: &Candidate) -> Result<bool> {
        let size = Before::of(self.vault, candidate).size()?;
        Ok(size == candidate.stat.size)
    }

    /// Judges that files would go at once, of so many that there were. Where it is allowed, they do not count.
    pub fn deletions<E>(
        &self,
        gone: &[&VaultPath],
        files: impl FnOnce() -> Result<usize, E>,
    ) -> Result<Option<Finding>, E> {
        let limits = self.protections.limits();
        if gone.len() as u64 <= limits.delete_files {
            return Ok(None);
        }
        let files = files()? as u64;
        let is_much = |gone: u64| {
            gone > limits.delete_files
                && gone.saturating_mul(100) > files.saturating_mul(limits.delete_percent)
        };
        if !is_much(gone.len() as u64) {
            return Ok(None);
        }
        let asked: Vec<&Allowance> =
            self.allowed.iter().filter(|allowance| allowance.reason == Reason::MassDelete).collect();
        let counts = |path: &&&VaultPath| {
            !self.protections.allows(path, Reason::MassDelete)
                && !asked.iter().any(|a| a.path.as_ref().is_none_or(|allowed| path.is_within(allowed)))
        };
        let gone = gone.iter().filter(counts).count() as u64;
        if is_much(gone) {
            return Ok(Some(Finding::new(Reason::MassDelete).detail(format!("{gone} of {files} files"))));
        }
        for allowance in asked {
            let path = allowance.path.as_ref().map(|path| format!(":{path}")).unwrap_or_default();
            self.note_override(format!("{}{path}", Reason::MassDelete.code()));
        }
        Ok(None)
    }

    /// Judges that a file is gone.
    pub fn deletion(&self, path: &VaultPath) -> Option<Finding> {
        let reason = self.reason_to_stay(path)?;
        self.refuse(path, Finding::new(reason).detail("the file is gone"))
    }

    /// Returns why a file should not go from a path, if it should not.
    fn reason_to_stay(&self, path: &VaultPath) -> Option<Reason> {
        match () {
            () if self.protections.is(path, Class::Stream) => Some(Reason::StreamRewritten),
            () if self.protections.is(path, Class::Canonical) => Some(Reason::Emptied),
            () => None,
        }
    }

    /// Returns what is to be looked for in a file.
    pub fn demands(&self, candidate: &Candidate) -> Demands {
        if candidate.mode == Mode::Symlink {
            return Demands::default();
        }
        let path = &candidate.path;
        let syntax = self.protections.syntax_of(path);
        let checked = |syntax| match syntax {
            Syntax::Utf8 => Reason::NotUtf8,
            Syntax::Json | Syntax::JsonLines => Reason::NotJson,
        };
        Demands {
            syntax: syntax.filter(|syntax| !self.protections.allows(path, checked(*syntax))),
            markers: self.is_guarded_text(path),
            secrets: !self.protections.allows(path, Reason::Secret),
            digest: self.protections.is(path, Class::Distillate),
        }
    }

    fn is_guarded_text(&self, path: &VaultPath) -> bool {
        path.as_bytes() == RULES_FILE.as_bytes() || self.protections.is(path, Class::Canonical)
    }

    /// Begins to compare a large file with the version before it, while it is read.
    pub fn growth(&self, candidate: &Candidate) -> Result<Growth<'_>> {
        let store = &self.vault.store;
        let old = candidate.old.filter(|(mode, _)| *mode != Mode::Symlink).map(|(_, id)| id);
        if self.protections.is(&candidate.path, Class::Stream) {
            return Ok(Growth::beyond(store, old));
        }
        Ok(match old {
            Some(old) if self.had_size(candidate)? => Growth::zeroed(store, old),
            _ => Growth::of_nothing(store),
        })
    }

    /// Judges a file by what was seen in it.
    pub fn judge(&self, candidate: &Candidate, seen: &Seen, body: Body<'_>) -> Result<Verdict> {
        let path = &candidate.path;
        let mut verdict = Verdict { digest: seen.digest, ..Verdict::default() };
        if candidate.mode == Mode::Symlink {
            verdict.refused = self.link(candidate, body)?;
            return Ok(verdict);
        }
        if let Body::Whole(bytes) = body
            && self.vault.has_purged()
            && self.is_purged(BlobId::new(hash_object(Kind::Blob, bytes)))
        {
            verdict.refused = Some(Finding::new(Reason::Purged));
            return Ok(verdict);
        }
        let before = Before::of(self.vault, candidate);
        let findings = self.findings(candidate, seen, body, &before, Origin::Here)?;
        verdict.refused = findings.into_iter().find_map(|finding| self.refuse(path, finding));
        if verdict.refused.is_none() && self.protections.is(path, Class::Stream) {
            verdict.noticed = torn(body, &before)?;
        }
        Ok(verdict)
    }

    /// Judges the content of a file: everything that is the matter with it, for every door alike. What follows from it
    /// is the door's affair.
    fn findings(
        &self,
        candidate: &Candidate,
        seen: &Seen,
        body: Body<'_>,
        before: &Before<'_>,
        origin: Origin,
    ) -> Result<Vec<Finding>> {
        let path = &candidate.path;
        let found = [
            self.emptied(seen, before)?,
            self.zeros(path, seen, body, before)?,
            self.rewritten(path, body, before, origin)?,
            self.syntax(seen, before)?,
            self.slips(path, body, before, origin)?,
            self.secret(seen, body, before)?,
            self.runs(candidate, seen, body, origin)?,
        ];
        Ok(found.into_iter().flatten().collect())
    }

    /// What of a `vault.toml` is most likely a slip.
    fn slips(
        &self,
        path: &VaultPath,
        body: Body<'_>,
        before: &Before<'_>,
        origin: Origin,
    ) -> Result<Option<Finding>> {
        if path.as_bytes() != RULES_FILE.as_bytes() {
            return Ok(None);
        }
        let bytes = if let Body::Whole(bytes) = body { Some(bytes) } else { None };
        let names = if origin == Origin::Elsewhere { typos::Names::Arriving } else { typos::Names::Written };
        Ok(typos::look(bytes, before.bytes()?.as_deref(), names))
    }

    /// Judges the content of a file that other devices made, or a merge.
    pub fn arriving(&self, candidate: &Candidate, bytes: &[u8]) -> Result<Vec<Finding>> {
        let seen = ContentJudge::judge(self.demands(candidate), bytes);
        let before = Before::of(self.vault, candidate);
        self.findings(candidate, &seen, Body::Whole(bytes), &before, Origin::Elsewhere)
    }

    /// Judges a link, which may stand where a file was.
    fn link(&self, candidate: &Candidate, body: Body<'_>) -> Result<Option<Finding>> {
        let path = &candidate.path;
        let was_file = candidate.old.is_some_and(|(mode, _)| mode != Mode::Symlink);
        if was_file && let Some(finding) = self.replacement(path) {
            return Ok(Some(finding));
        }
        let Body::Whole(target) = body else { return Ok(None) };
        if path.as_bytes() == RULES_FILE.as_bytes() {
            return Ok(self.refuse(path, Finding::new(Reason::InvalidRules).detail("it is a link")));
        }
        if let Some(finding) = Finding::in_target(target).and_then(|finding| self.refuse(path, finding)) {
            return Ok(Some(finding));
        }
        let leaves = Ways::on_disk(self.vault).lead_outside(path, target)?;
        let leaves = leaves.then(|| Finding::new(Reason::LinkOutside));
        let runs = self.behind(path, candidate.old, target, Origin::Here)?;
        Ok(leaves.into_iter().chain(runs).find_map(|finding| self.refuse(path, finding)))
    }

    /// Returns the ways of links when the folder has come to the tree `to`.
    pub fn ways_after<'s>(&'s self, source: &'s dyn Source, to: TreeId) -> Ways<'s> {
        Ways::after_move(self.vault, source, self.base, to)
    }

    /// Judges that a link stands where a file was.
    pub fn replacement(&self, path: &VaultPath) -> Option<Finding> {
        let reason = self.reason_to_stay(path)?;
        self.refuse(path, Finding::new(reason).detail("it is a link now"))
    }

    fn emptied(&self, seen: &Seen, before: &Before<'_>) -> Result<Option<Finding>> {
        let had_content = seen.size == 0 && before.size()? > 0;
        Ok(had_content.then(|| Finding::new(Reason::Emptied)))
    }

    fn zeros(
        &self,
        path: &VaultPath,
        seen: &Seen,
        body: Body<'_>,
        before: &Before<'_>,
    ) -> Result<Option<Finding>> {
        let filled_at = |at| Some(Finding::new(Reason::NulFilled).at(at));
        let is_stream = self.protections.is(path, Class::Stream);
        if before.is_none() {
            let guarded = [Class::Canonical, Class::Distillate, Class::Stream];
            let guards = guarded.iter().any(|class| self.protections.is(path, *class));
            return Ok(if guards && seen.is_all_zero() { filled_at(0) } else { None });
        }
        if seen.is_all_zero() {
            return Ok(if before.is_more_than_zeros() { filled_at(0) } else { None });
        }
        // A stream that was torn by a crash is read around.
        if is_stream {
            return Ok(None);
        }
        let ends_in_zeros = seen.zero_tail >= ZERO_TAIL_MIN;
        let new = match body {
            Body::Large(growth) => match growth.zeroed_at() {
                Some(at) => return Ok(filled_at(at)),
                None if ends_in_zeros => None,
                None => return Ok(None),
            },
            // Only then the version before is worth reading.
            Body::Whole(new) if new.contains(&0) => Some(new),
            Body::Whole(_) => return Ok(None),
        };
        let Some(old) = before.bytes()? else { return Ok(None) };
        if let Some(at) = new.and_then(|new| zeroed_at(&old, new)) {
            return Ok(filled_at(at));
        }
        let was_text = !old.is_empty() && !old.contains(&0);
        let lost = (was_text && ends_in_zeros) || new.is_some_and(|new| lost_its_end(&old, new));
        Ok(if lost { filled_at(seen.size - seen.zero_tail) } else { None })
    }

    fn rewritten(
        &self,
        path: &VaultPath,
        body: Body<'_>,
        before: &Before<'_>,
        origin: Origin,
    ) -> Result<Option<Finding>> {
        if before.is_none() || !self.protections.is(path, Class::Stream) {
            return Ok(None);
        }
        let finding = Finding::new(Reason::StreamRewritten);
        let after = match body {
            Body::Whole(bytes) => bytes,
            Body::Large(growth) if growth.holds => return Ok(None),
            Body::Large(_) => {
                return Ok(Some(
                    finding.detail("it does not begin with what was there, and is too long to compare"),
                ));
            }
        };
        let Some(bytes) = before.bytes()? else { return Ok(None) };
        let shrinkage = events::shrinkage(&bytes, after);
        Ok(match (shrinkage.lost.first(), shrinkage.moved) {
            (Some(first), _) => {
                let lost = shrinkage.lost.len();
                Some(finding.detail(format!("{lost} lines are lost, the first is line {first}")))
            }
            // A merge sorts what both sides added.
            (None, Some(line)) if origin == Origin::Here => {
                Some(finding.detail(format!("line {line} was moved")))
            }
            (None, _) => None,
        })
    }

    fn syntax(&self, seen: &Seen, before: &Before<'_>) -> Result<Option<Finding>> {
        if let Some(at) = seen.not_utf8_at {
            return Ok(Some(Finding::new(Reason::NotUtf8).at(at)));
        }
        if let Some(at) = seen.not_json_at {
            return Ok(Some(Finding::new(Reason::NotJson).at(at)));
        }
        let Some(at) = seen.markers_at else { return Ok(None) };
        // What was there before as content is content.
        let known = before.bytes()?.is_some_and(|bytes| has_markers(&bytes));
        Ok((!known).then(|| Finding::new(Reason::ConflictMarkers).at(at)))
    }

    fn secret(&self, seen: &Seen, body: Body<'_>, before: &Before<'_>) -> Result<Option<Finding>> {
        if seen.secrets.is_empty() {
            return Ok(None);
        }
        if let Body::Whole(bytes) = body
            && self.protections.is_false_alarm(&Digest256::of(bytes).to_string())
        {
            return Ok(None);
        }
        // What the version before holds got in already, or was let in.
        let known = before.secrets();
        let new: Vec<_> =
            seen.secrets.iter().filter(|one| !known.contains(&(one.rule, one.digest))).collect();
        let Some(secret) = new.first() else { return Ok(None) };
        let more = match new.len() {
            0 | 1 => String::new(),
            n => format!(", and {} more", n - 1),
        };
        Ok(Some(Finding::new(Reason::Secret).at(secret.offset).detail(format!("{}{more}", secret.what))))
    }
}

/// Tells that the version before could not be read while a file was compared with it.
pub(super) fn unread_before(candidate: &Candidate, error: io::Error) -> Error {
    let path = candidate.path.to_string().into();
    Error::Disk(fs::Error { action: "compare with the last version", path, source: error })
}

/// Finds torn lines in what a stream gained, and what of them makes no sense.
fn torn(body: Body<'_>, before: &Before<'_>) -> Result<Option<(Finding, Vec<u8>)>> {
    let (start, torn) = match body {
        // Where each line stands is known in the whole file only if that is in memory.
        Body::Large(growth) => (None, growth.torn.clone()),
        Body::Whole(bytes) => {
            let old = before.bytes()?.filter(|old| bytes.starts_with(old)).map_or(0, |old| old.len());
            // A line that was torn then may be whole now; if it only ended, it was reported then.
            let start = bytes[..old].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let has_ended = bytes[old..].first().is_none_or(|b| matches!(b, b'\r' | b'\n'));
            let start = if has_ended { old } else { start };
            let mut lines = events::TornLines::default();
            lines.update(&bytes[start..]);
            (Some(start as u64), lines.finish())
        }
    };
    Ok(torn.first_at.map(|at| {
        let mut finding = Finding::new(Reason::TornLine).detail(format!("{} of its new lines", torn.lines));
        finding.offset = start.map(|start| start + at);
        (finding, torn.parts)
    }))
}

/// The version of a file before the change, read when it is asked for.
struct Before<'a> {
    vault: &'a Vault,
    id: Option<BlobId>,
    bytes: Mutex<Option<Option<Arc<[u8]>>>>,
}

impl<'a> Before<'a> {
    fn of(vault: &'a Vault, candidate: &Candidate) -> Before<'a> {
        let file = candidate.old.filter(|(mode, _)| *mode != Mode::Symlink);
        Before { vault, id: file.map(|(_, id)| id), bytes: Mutex::default() }
    }

    fn is_none(&self) -> bool {
        self.id.is_none()
    }

    fn size(&self) -> Result<u64> {
        let Some(id) = self.id else { return Ok(0) };
        Ok(self.vault.store.try_info(id.object())?.map_or(0, |(_, size)| size))
    }

    /// Returns the bytes; none if there was no file, it is too long to compare with, or it is damaged: what
    /// cannot be read blocks nothing, and `verify` tells of it.
    fn bytes(&self) -> Result<Option<Arc<[u8]>>> {
        let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*kept {
            return Ok(bytes.clone());
        }
        let read = match self.id {
            Some(id) if self.size()? <= COMPARED_BYTES_MAX => self.vault.store.find_blob(id).ok(),
            _ => None,
        };
        *kept = Some(read.clone());
        Ok(read)
    }

    /// Returns `true` if there is any byte in it but zeros, as far as it can be read.
    fn is_more_than_zeros(&self) -> bool {
        let reader = self.id.and_then(|id| self.vault.store.try_reader(id.object()).ok().flatten());
        let Some(mut reader) = reader else { return false };
        while let Ok(Some(block)) = reader.next_block() {
            if block.iter().any(|byte| *byte != 0) {
                return true;
            }
        }
        false
    }

    /// Returns the credentials in it, as far as it can be read: by rule and hash.
    fn secrets(&self) -> BTreeSet<(&'static str, Digest256)> {
        let mut scanner = secrets::Scanner::new();
        let reader = self.id.and_then(|id| self.vault.store.try_reader(id.object()).ok().flatten());
        if let Some(mut reader) = reader {
            while let Ok(Some(block)) = reader.next_block() {
                scanner.update(&block);
            }
        }
        scanner.finish().iter().map(|secret| (secret.rule, secret.digest)).collect()
    }
}
