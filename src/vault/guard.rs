//! The guard before reconcile: what other devices' commits would do to this tree.
//!
//! What came by pull is history already and cannot be refused in part. What it would do here can be held:
//! head and files stay, the heads stay known, until a person allows it or the other device mends it.
//! Credentials and names that do not travel are told and hold nothing: they are in the history anyway.

use std::collections::BTreeSet;

use super::Result;
use super::admission::{Admission, Finding};
use super::obeyed::Origin;
use super::refusal::{Door, Refused};
use super::rules::Class;
use super::sealing::seal_holds;
use super::twins::{Twins, differs_in_form};
use crate::fs::Stat;
use crate::gateway::name::is_portable_path;
use crate::gateway::obeyed::Content;
use crate::gateway::{Reason, secrets};
use crate::object::{
    BlobId, FileEntry, Kind, Mode, Object, ObjectId, Overlay, Source, SourceError, TreeDiff, TreeId,
    VaultPath, diff_trees, entry_at, list_tree,
};
use crate::store::Store;
use crate::worktree::Candidate;

/// The longest incoming file that is looked into, in bytes.
const LOOKED_AT_BYTES_MAX: u64 = 64 << 20;

/// What the guard found.
#[derive(Debug, Default)]
pub(super) struct Guarded {
    /// What holds the reconcile.
    pub held: Vec<Refused>,
    /// What is worth a word.
    pub told: Vec<Refused>,
}

/// Returns the store together with the objects that a merge made.
pub(super) fn with_objects<'a>(
    store: &'a Store,
    objects: &std::collections::BTreeMap<ObjectId, Object>,
) -> Overlay<&'a Store> {
    let overlay = Overlay::new(store);
    for object in objects.values() {
        overlay.put(object.kind, &object.data);
    }
    overlay
}

/// Judges a move of the branch's tree to one that other devices had a part in.
pub(super) fn judge(admission: &Admission<'_>, source: &dyn Source, to: TreeId) -> Result<Guarded> {
    let diffs = diff_trees(source, admission.base, to)?;
    let (guarded, twins) = (Guarded::default(), Twins::of(source, to));
    let mut guard = Guard { admission, source, to, guarded, links_lead_out: false, twins };
    let new_ids: BTreeSet<BlobId> = diffs
        .iter()
        .filter(|diff| diff.old.is_none())
        .filter_map(|diff| diff.new.map(|new| new.id))
        .collect();
    let gone = diffs.iter().filter(|diff| diff.new.is_none());
    let lost = gone.clone().filter(|diff| diff.old.is_some_and(|old| !new_ids.contains(&old.id)));
    let lost: Vec<&VaultPath> = lost.map(|diff| &diff.path).collect();
    let total = || -> Result<usize> {
        let files = list_tree(source, admission.base);
        Ok(files.map(|file| file.map(|_| 1)).sum::<std::result::Result<usize, SourceError>>()?)
    };
    if let Some(finding) = admission.deletions(&lost, total)? {
        guard.guarded.held.push(Refused::by(Door::Pull, b".", finding));
    }
    for diff in gone {
        let moved = diff.old.is_some_and(|old| new_ids.contains(&old.id));
        if !moved && let Some(finding) = admission.deletion(&diff.path) {
            guard.guarded.held.push(Refused::by(Door::Pull, diff.path.as_bytes(), finding));
        }
    }
    let mut sealed = BTreeSet::new();
    for diff in &diffs {
        guard.look(diff)?;
        let protections = &admission.protections;
        sealed.extend(protections.sealed_by(&diff.path));
        sealed.extend(protections.sidecar_of(&diff.path).map(|_| diff.path.clone()));
    }
    for path in sealed {
        guard.seal(&path)?;
    }
    guard.links_behind(&diffs)?;
    Ok(guard.guarded)
}

/// What follows from a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Hold,
    Report,
}

struct Guard<'a, 'b> {
    admission: &'a Admission<'b>,
    source: &'a dyn Source,
    to: TreeId,
    guarded: Guarded,
    /// Whether a link that is new or changed leads out of the vault, held or let through.
    links_lead_out: bool,
    twins: Twins<'a>,
}

impl Guard<'_, '_> {
    fn hold(&mut self, path: &VaultPath, blob: BlobId, finding: Finding) {
        if let Some(finding) = self.admission.refuse(path, finding) {
            let mut refused = Refused::by(Door::Pull, path.as_bytes(), finding);
            refused.blob = Some(blob);
            self.guarded.held.push(refused);
        }
    }

    fn tell(&mut self, path: &VaultPath, blob: BlobId, finding: Finding) {
        if !self.admission.protections.allows(path, finding.reason) {
            let mut refused = Refused::by(Door::History, path.as_bytes(), finding);
            refused.blob = Some(blob);
            self.guarded.told.push(refused);
        }
    }

    /// Reads a blob to look into it; none if it is too long.
    fn read(&self, id: BlobId) -> Result<Option<std::sync::Arc<[u8]>>> {
        match self.source.try_info(id.object())? {
            Some((Kind::Blob, size)) if size <= LOOKED_AT_BYTES_MAX => Ok(Some(self.source.find_blob(id)?)),
            _ => Ok(None),
        }
    }

    fn look(&mut self, diff: &TreeDiff) -> Result<()> {
        let Some(FileEntry { mode, id }) = diff.new else { return Ok(()) };
        let path = &diff.path;
        if diff.old.is_none() && !is_portable_path(path) {
            self.tell(path, id, Finding::new(Reason::NameNotPortable));
        }
        if diff.old.is_none()
            && let Some(secret) = secrets::scan(path.as_bytes()).first()
        {
            self.tell(path, id, Finding::in_name(secret.what));
        }
        if diff.old.is_none()
            && let Some(twin) = self.twins.find(path)?
        {
            self.tell(path, id, Finding::new(Reason::NameCollides).detail(differs_in_form(&twin)));
        }
        let old = diff.old.map(|old| (old.mode, old.id));
        let bytes = self.read(id)?;
        if mode == Mode::Symlink {
            if diff.old == diff.new {
                return Ok(());
            }
            let Some(bytes) = bytes else { return Ok(()) };
            let was_file = diff.old.is_some_and(|old| old.mode != Mode::Symlink);
            if was_file && let Some(finding) = self.admission.replacement(path) {
                self.hold(path, id, finding);
            }
            if let Some(finding) = Finding::in_target(&bytes) {
                self.tell(path, id, finding);
            }
            if self.admission.ways_after(self.source, self.to).lead_outside(path, &bytes)? {
                self.hold(path, id, Finding::new(Reason::LinkOutside));
                self.links_lead_out = true;
            }
            if let Some(finding) = self.admission.behind(path, old, &bytes, Origin::Elsewhere)? {
                self.hold(path, id, finding);
            }
            return Ok(());
        }
        let Some(bytes) = bytes else {
            // Too long to be looked into: what runs it by its name alone is known all the same.
            let found = (mode, id);
            let content = Content::Long(&[]);
            if let Some(finding) = self.admission.obeyed(path, found, old, content, Origin::Elsewhere)? {
                self.hold(path, id, finding);
            }
            return Ok(());
        };
        let stat = Stat { size: bytes.len() as u64, ..Stat::none() };
        let candidate = Candidate { path: path.clone(), mode, stat, old, grows_from: None };
        for finding in self.admission.arriving(&candidate, &bytes)? {
            match self.policy(path, finding.reason) {
                Policy::Hold => self.hold(path, id, finding),
                Policy::Report => self.tell(path, id, finding),
            }
        }
        if diff.old.is_none() && self.admission.steers(path, mode, id, &bytes) {
            let finding =
                Finding::new(Reason::ObeyedFile).detail("agents follow this text; it runs nothing itself");
            self.tell(path, id, finding);
        }
        Ok(())
    }

    /// Where a link leads out that did not, links that are as they were can lead out through it.
    fn links_behind(&mut self, diffs: &[TreeDiff]) -> Result<()> {
        if !self.links_lead_out {
            return Ok(());
        }
        let changed: BTreeSet<&[u8]> = diffs.iter().map(|diff| diff.path.as_bytes()).collect();
        let mut links = Vec::new();
        for file in list_tree(self.source, self.to) {
            let (path, entry) = file?;
            if entry.mode == Mode::Symlink && !changed.contains(path.as_bytes()) {
                links.push((path, entry.id));
            }
        }
        let base = self.admission.base;
        for (path, id) in links {
            let Some(target) = self.read(id)? else { continue };
            let leaves = |to| self.admission.ways_after(self.source, to).lead_outside(&path, &target);
            if leaves(self.to)? && !leaves(base)? {
                self.hold(&path, id, Finding::new(Reason::LinkOutside));
            }
        }
        Ok(())
    }

    /// What follows here from what is the matter with a file. A commit refuses all of it; of what is in the history
    /// already only what would do damage here is held.
    fn policy(&self, path: &VaultPath, reason: Reason) -> Policy {
        let is = |class| self.admission.protections.is(path, class);
        match reason {
            Reason::ObeyedFile | Reason::LinkOutside | Reason::StreamRewritten => Policy::Hold,
            Reason::Secret | Reason::InvalidRules => Policy::Report,
            _ if is(Class::Canonical) || is(Class::Stream) => Policy::Hold,
            _ => Policy::Report,
        }
    }

    /// A distillate of the new tree must fit its sidecar, if it has one or had one.
    fn seal(&mut self, path: &VaultPath) -> Result<()> {
        let Some(sidecar) = self.admission.protections.sidecar_of(path) else { return Ok(()) };
        let entry = |tree, path: &VaultPath| entry_at(self.source, tree, path);
        let file = entry(self.to, path)?.and_then(|entry| entry.file());
        let Some(file) = file.filter(FileEntry::is_file) else { return Ok(()) };
        let sealed = entry(self.to, &sidecar)?.map(|entry| entry.id);
        let was_sealed = entry(self.admission.base, &sidecar)?.is_some();
        match seal_holds(self.source, path.name(), file.id.object(), sealed)? {
            Some(true) => {}
            None if !was_sealed => {}
            _ => self.hold(path, file.id, Finding::new(Reason::SidecarMismatch)),
        }
        Ok(())
    }
}
