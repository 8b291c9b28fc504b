//! Files that programs run or obey: what of them was accepted on this device, and what waits for that.
//!
//! - Accepted is a part, by its hash: with its path if a program obeys it on sight, anywhere if somebody has to use it.
//!   A part that is not accepted is never put on disk, whichever way it would come.
//! - What the version before it had at the same path, on disk, counts as accepted.
//! - The list, `.mvault/obeyed`, is of this device alone and never sent. A line that cannot be read accepts nothing; what
//!   waits is in the stat cache as well, so that losing one of the two lets nothing through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::admission::{Admission, Body, Finding};
use super::refusal::{Door, Refused};
use super::{Result, Vault};
use crate::fs;
use crate::gateway::Reason;
use crate::gateway::content::Seen;
use crate::gateway::obeyed::{self, Content, Found, Look, PART_BYTES_MAX, Runs, When};
use crate::gateway::sidecar::Digest256;
use crate::object::{
    BlobId, FileEntry, Kind, Mode, ObjectId, Source, TreeId, VaultPath, diff_trees, hash_object,
};
use crate::store::Store;
use crate::worktree::{Candidate, Index};

const LIST: &str = "obeyed";
const LIST_BYTES_MAX: u64 = 64 << 20;

/// A part that runs: accepted, or to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Acceptance {
    /// Where; `None` if it may lie anywhere.
    path: Option<VaultPath>,
    part: Digest256,
}

impl Acceptance {
    fn of(path: &VaultPath, runs: &Runs) -> Acceptance {
        Acceptance { path: (runs.when == When::Sight).then(|| path.clone()), part: runs.part }
    }
}

/// A file of the tree that is not put on disk before its part is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Withheld {
    pub path: VaultPath,
    pub blob: BlobId,
    acceptance: Acceptance,
    shown: String,
}

/// The list of this device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    parts: BTreeSet<Acceptance>,
    waiting: BTreeMap<VaultPath, Withheld>,
}

/// A line of the list.
#[derive(Serialize, Deserialize)]
struct Line {
    part: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    /// For what waits: its blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<String>,
    /// For what waits: whether it may lie anywhere once it is accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    anywhere: bool,
    /// For what waits: what it would run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    runs: String,
}

impl Line {
    fn new(path: Option<&VaultPath>, part: Digest256) -> Line {
        let text = path.and_then(|path| std::str::from_utf8(path.as_bytes()).ok());
        let path_hex = path.filter(|_| text.is_none()).map(|path| hex::encode(path.as_bytes()));
        let path = text.map(str::to_owned);
        Line { part: part.to_string(), path, path_hex, waits: None, anywhere: false, runs: String::new() }
    }

    fn path(&self) -> Option<VaultPath> {
        let bytes = match (&self.path_hex, &self.path) {
            (Some(hex), _) => hex::decode(hex).ok()?,
            (None, path) => path.clone()?.into_bytes(),
        };
        VaultPath::parse(bytes).ok()
    }

    fn part(&self) -> Option<Digest256> {
        Some(Digest256(hex::decode(&self.part).ok()?.try_into().ok()?))
    }
}

impl Accepted {
    fn decode(bytes: &[u8]) -> Accepted {
        let mut accepted = Accepted::default();
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
            let Some(part) = line.part() else { continue };
            let path = line.path();
            let names_path = line.path.is_some() || line.path_hex.is_some();
            match (&line.waits, path) {
                (None, path) if path.is_some() == names_path => {
                    accepted.parts.insert(Acceptance { path, part });
                }
                (Some(blob), Some(path)) => {
                    let Ok(blob) = ObjectId::parse(blob) else { continue };
                    let acceptance = Acceptance { path: (!line.anywhere).then(|| path.clone()), part };
                    let shown = line.runs.clone();
                    let one = Withheld { path: path.clone(), blob: BlobId::new(blob), acceptance, shown };
                    accepted.waiting.insert(path, one);
                }
                _ => {}
            }
        }
        accepted
    }

    fn encode(&self) -> Vec<u8> {
        let accepted = self.parts.iter().map(|one| Line::new(one.path.as_ref(), one.part));
        let waiting = self.waiting.values().map(|one| Line {
            waits: Some(one.blob.to_string()),
            anywhere: one.acceptance.path.is_none(),
            runs: one.shown.clone(),
            ..Line::new(Some(&one.path), one.acceptance.part)
        });
        let mut bytes = Vec::new();
        for line in accepted.chain(waiting) {
            bytes.extend(serde_json::to_vec(&line).expect("texts can be written as JSON"));
            bytes.push(b'\n');
        }
        bytes
    }

    fn has(&self, acceptance: &Acceptance) -> bool {
        self.parts.contains(acceptance)
    }
}

/// Whether what would come to the disk was judged before, or is to be judged now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// The guard before reconcile saw it.
    Judged,
    /// Nobody did.
    New,
}

/// Where a file that is judged comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From this device: what only runs when somebody uses it is accepted with it.
    Here,
    /// From elsewhere.
    Elsewhere,
}

impl Admission<'_> {
    /// Judges a file by what was seen in it: whether programs would run or obey a part that was not accepted here.
    pub(super) fn runs(
        &self,
        candidate: &Candidate,
        seen: &Seen,
        body: Body<'_>,
        origin: Origin,
    ) -> Result<Option<Finding>> {
        let (blob, content) = match body {
            Body::Whole(bytes) if bytes.len() as u64 <= PART_BYTES_MAX => {
                (BlobId::new(hash_object(Kind::Blob, bytes)), Content::Whole(bytes))
            }
            Body::Whole(bytes) => (BlobId::new(hash_object(Kind::Blob, bytes)), Content::Long(bytes)),
            // Without an id it was not stored, and is not committed.
            Body::Large(_) => match seen.blob {
                Some(blob) => (blob, Content::Long(&seen.begins)),
                None => return Ok(None),
            },
        };
        let new = (candidate.mode, blob);
        self.obeyed(&candidate.path, new, candidate.old, content, origin)
    }

    /// Judges what programs would find behind a link.
    pub(super) fn behind(
        &self,
        path: &VaultPath,
        old: Option<(Mode, BlobId)>,
        target: &[u8],
        origin: Origin,
    ) -> Result<Option<Finding>> {
        let new = (Mode::Symlink, BlobId::new(hash_object(Kind::Blob, target)));
        self.obeyed(path, new, old, Content::Whole(target), origin)
    }

    /// Judges whether programs would run or obey a file, or a part of it, that was not accepted here.
    pub(super) fn obeyed(
        &self,
        path: &VaultPath,
        (mode, blob): (Mode, BlobId),
        old: Option<(Mode, BlobId)>,
        content: Content<'_>,
        origin: Origin,
    ) -> Result<Option<Finding>> {
        let look = obeyed::look(&self.place, path, mode);
        if look.is_nothing() {
            return Ok(None);
        }
        let runs = match look.judge(blob, content) {
            Found::Nothing | Found::Steers => return Ok(None),
            Found::Runs(runs) => runs,
        };
        let acceptance = Acceptance::of(path, &runs);
        if self.accepted()?.has(&acceptance) {
            return Ok(None);
        }
        if origin == Origin::Here && runs.when == When::Use {
            self.accept(acceptance);
            return Ok(None);
        }
        if self.stood_before(path, old, &runs)? {
            return Ok(None);
        }
        // What is not on disk goes on waiting, and holds nothing up.
        if origin == Origin::Elsewhere
            && !self.permits(Reason::ObeyedFile, path)
            && let Some((_, old)) = old
            && self.is_waiting(path, old)?
        {
            return Ok(None);
        }
        let finding = Finding::new(Reason::ObeyedFile).detail(runs.shown);
        Ok(Some(Finding { accepts: Some(acceptance), ..finding }))
    }

    /// Returns `true` for a text that models follow and of which nothing runs.
    pub(super) fn steers(&self, path: &VaultPath, mode: Mode, blob: BlobId, bytes: &[u8]) -> bool {
        let look = obeyed::look(&self.place, path, mode);
        !look.is_nothing() && look.judge(blob, Content::Whole(bytes)) == Found::Steers
    }

    /// Returns `true` if the version before has the same part at the same path, and stands on disk.
    fn stood_before(&self, path: &VaultPath, old: Option<(Mode, BlobId)>, runs: &Runs) -> Result<bool> {
        let Some((mode, blob)) = old else { return Ok(false) };
        let look = obeyed::look(&self.place, path, mode);
        let same = self.vault.found(&look, blob)?.is_some_and(
            |found| matches!(found, Found::Runs(before) if before.part == runs.part && before.when == runs.when),
        );
        Ok(same && !self.is_waiting(path, blob)?)
    }

    /// Returns `true` if the tree's file at a path is not on disk, because it was withheld or cannot exist here.
    fn is_waiting(&self, path: &VaultPath, blob: BlobId) -> Result<bool> {
        if self.accepted()?.waiting.get(path).is_some_and(|one| one.blob == blob) {
            return Ok(true);
        }
        let index = Index::load(&self.vault.dot)?;
        Ok(index.is_some_and(|index| index.find(path.as_bytes()).is_some_and(|entry| entry.absent_here)))
    }

    /// Notes that a person accepts a part.
    pub(super) fn accept(&self, acceptance: Acceptance) {
        self.accepting.lock().unwrap_or_else(PoisonError::into_inner).insert(acceptance);
    }

    fn accepted(&self) -> Result<Arc<Accepted>> {
        let mut kept = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(accepted) = &*kept {
            return Ok(accepted.clone());
        }
        let read = Arc::new(self.vault.accepted()?);
        *kept = Some(read.clone());
        Ok(read)
    }

    /// Writes down what was accepted while this judged.
    pub(super) fn keep_accepted(&self) -> Result<()> {
        let new = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.vault.accept_parts(new)
    }
}

impl Vault {
    /// Judges a file of the store; `None` if it cannot be read.
    fn found(&self, look: &Look, blob: BlobId) -> Result<Option<Found>> {
        if look.is_nothing() {
            return Ok(Some(Found::Nothing));
        }
        let store: &Store = &self.store;
        // What is purged or damaged cannot be put on disk either.
        let Ok(Some((Kind::Blob, size))) = store.try_info(blob.object()) else { return Ok(None) };
        if size <= PART_BYTES_MAX {
            let bytes = store.find_blob(blob).ok();
            return Ok(bytes.map(|bytes| look.judge(blob, Content::Whole(&bytes))));
        }
        let mut reader = match store.try_reader(blob.object()) {
            Ok(Some(reader)) if look.needs_content() => reader,
            _ => return Ok(Some(look.judge(blob, Content::Long(&[])))),
        };
        let first = reader.next_block().ok().flatten();
        Ok(first.map(|bytes| look.judge(blob, Content::Long(&bytes))))
    }

    fn accepted(&self) -> Result<Accepted> {
        let bytes = match self.dot.try_read(LIST, LIST_BYTES_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => None,
            other => other?,
        };
        Ok(bytes.map(|bytes| Accepted::decode(&bytes)).unwrap_or_default())
    }

    fn save_accepted(&self, before: &Accepted, after: &Accepted) -> Result<()> {
        if before != after {
            fs::replace_file(&self.dot, LIST, &after.encode(), 0o600)?;
        }
        Ok(())
    }

    fn accept_parts(&self, new: BTreeSet<Acceptance>) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let before = self.accepted()?;
        let mut after = before.clone();
        after.parts.extend(new);
        self.save_accepted(&before, &after)
    }

    /// Accepts what this device's own files run that are kept aside, so that they can come back.
    pub(super) fn accept_own(
        &self,
        files: impl IntoIterator<Item = (VaultPath, Mode, BlobId)>,
    ) -> Result<()> {
        let place = self.place();
        let mut new = BTreeSet::new();
        for (path, mode, blob) in files {
            if let Some(Found::Runs(runs)) = self.found(&obeyed::look(&place, &path, mode), blob)? {
                new.insert(Acceptance::of(&path, &runs));
            }
        }
        self.accept_parts(new)
    }

    pub(super) fn place(&self) -> obeyed::Place {
        obeyed::Place::of(self.root.path())
    }

    /// Returns the files of `to` that must not be put on disk, for a move there from `from`, whose stat cache is
    /// `index`.
    pub(super) fn withheld(
        &self,
        from: TreeId,
        to: TreeId,
        index: &Index,
        arrivals: Arrivals,
    ) -> Result<Vec<Withheld>> {
        let admission = Admission::new(self, from, &[])?;
        let absent = index.iter().filter(|(_, entry)| entry.absent_here);
        let mut files: BTreeMap<VaultPath, Option<FileEntry>> = BTreeMap::new();
        for (path, entry) in absent {
            let Ok(path) = VaultPath::parse(path) else { continue };
            files.insert(path, Some(FileEntry { mode: entry.mode, id: entry.id }));
        }
        let absent: BTreeSet<VaultPath> = files.keys().cloned().collect();
        let mut before = BTreeMap::new();
        for diff in diff_trees(&self.store, from, to)? {
            if arrivals == Arrivals::New || absent.contains(&diff.path) {
                before.insert(diff.path.clone(), diff.old);
                files.insert(diff.path, diff.new);
            }
        }
        let files: Vec<(VaultPath, Mode, BlobId)> =
            files.into_iter().filter_map(|(path, new)| new.map(|new| (path, new.mode, new.id))).collect();
        let judged: Vec<Result<Option<Withheld>>> = files
            .into_par_iter()
            .map(|(path, mode, blob)| {
                let old = before.get(&path).copied().flatten().map(|old| (old.mode, old.id));
                let old = old.filter(|_| !absent.contains(&path));
                self.withholds(&admission, path, (mode, blob), old)
            })
            .collect();
        judged.into_iter().filter_map(Result::transpose).collect()
    }

    fn withholds(
        &self,
        admission: &Admission<'_>,
        path: VaultPath,
        (mode, blob): (Mode, BlobId),
        old: Option<(Mode, BlobId)>,
    ) -> Result<Option<Withheld>> {
        let look = obeyed::look(&admission.place, &path, mode);
        let Some(Found::Runs(runs)) = self.found(&look, blob)? else { return Ok(None) };
        let acceptance = Acceptance::of(&path, &runs);
        if admission.accepted()?.has(&acceptance)
            || admission.protections.allows(&path, Reason::ObeyedFile)
            || admission.stood_before(&path, old, &runs)?
        {
            return Ok(None);
        }
        Ok(Some(Withheld { path, blob, acceptance, shown: runs.shown }))
    }

    /// Returns why a version of a file is not put on disk, if it is not accepted.
    pub(super) fn withheld_version(
        &self,
        path: &VaultPath,
        mode: Mode,
        blob: BlobId,
    ) -> Result<Option<String>> {
        let head = self.tree_of(self.head()?)?;
        let admission = Admission::new(self, head, &[])?;
        let old = admission.committed(path)?.map(|entry| (entry.mode, entry.id));
        let withheld = self.withholds(&admission, path.clone(), (mode, blob), old)?;
        Ok(withheld.map(|one| one.refused(Door::Withheld).words()))
    }

    /// Accepts what a person lets through of what a move would withhold. Returns `true` if there was any.
    pub(super) fn accept_withheld(&self, admission: &Admission<'_>, withheld: &[Withheld]) -> Result<bool> {
        let permitted = withheld.iter().filter(|one| admission.permits(Reason::ObeyedFile, &one.path));
        let new: BTreeSet<Acceptance> = permitted.map(|one| one.acceptance.clone()).collect();
        let any = !new.is_empty();
        self.accept_parts(new)?;
        Ok(any)
    }

    /// Writes down what waits: `all` of it, or beside what waits already.
    pub(super) fn keep_waiting(&self, withheld: &[Withheld], is_all: bool) -> Result<()> {
        let before = self.accepted()?;
        let mut after = before.clone();
        if is_all {
            after.waiting.clear();
        }
        after.waiting.extend(withheld.iter().map(|one| (one.path.clone(), one.clone())));
        self.save_accepted(&before, &after)
    }

    /// Notes that files were committed from the disk: they wait no more.
    pub(super) fn wait_no_more<'p>(&self, paths: impl Iterator<Item = &'p VaultPath>) -> Result<()> {
        let before = self.accepted()?;
        if before.waiting.is_empty() {
            return Ok(());
        }
        let mut after = before.clone();
        paths.for_each(|path| drop(after.waiting.remove(path)));
        self.save_accepted(&before, &after)
    }

    /// Returns the files of the tree that are not on disk because nobody accepted what they run.
    pub fn waiting_files(&self) -> Result<Vec<Refused>> {
        let accepted = self.accepted()?;
        let waiting = accepted.waiting.values().filter(|one| !accepted.has(&one.acceptance));
        Ok(waiting.map(|one| one.refused(Door::Withheld)).collect())
    }

    /// The same as paths and blobs, for what must not take them for deleted.
    pub(super) fn waiting_blobs(&self) -> Result<Vec<(VaultPath, BlobId)>> {
        let waiting = self.accepted()?.waiting;
        Ok(waiting.into_values().map(|one| (one.path, one.blob)).collect())
    }
}

impl Withheld {
    /// Says why it is not on disk.
    pub fn refused(&self, door: Door) -> Refused {
        let finding = Finding::new(Reason::ObeyedFile).detail(self.shown.clone());
        let mut refused = Refused::by(door, self.path.as_bytes(), finding);
        refused.blob = Some(self.blob);
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_reads_what_it_writes_and_a_damaged_line_accepts_nothing() {
        let path = |bytes: &[u8]| VaultPath::parse(bytes).expect("a path");
        let part = Digest256([7; 32]);
        let mut list = Accepted::default();
        for path in [None, Some(path(b".envrc")), Some(path(b"\xff/.envrc"))] {
            list.parts.insert(Acceptance { path, part });
        }
        for (name, is_anywhere) in [("a", true), ("b", false)] {
            let at = path(name.as_bytes());
            let acceptance = Acceptance { path: (!is_anywhere).then(|| at.clone()), part };
            let blob = BlobId::new(crate::object::hash_object(Kind::Blob, b"x"));
            list.waiting.insert(at.clone(), Withheld { path: at, blob, acceptance, shown: "x".into() });
        }
        let bytes = list.encode();
        assert_eq!(Accepted::decode(&bytes), list);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let read = Accepted::decode(&damaged);
            let known = read.parts.iter().filter(|one| one.part == part);
            assert!(known.clone().count() <= 4 && known.count() + read.waiting.len() <= 6, "byte {at}");
        }
        assert_eq!(Accepted::decode(b"not json\n\n{}\n"), Accepted::default());
    }
}
