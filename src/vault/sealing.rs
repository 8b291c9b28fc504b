//! Seals: every distillate is committed together with its sidecar.
//!
//! - A sidecar is made before the commit and stands beside its file before the operation is appended: killed
//!   between, it is a file that the next commit takes as it is.
//! - A sealed distillate that changed is refused until somebody seals it anew. A sidecar that was edited
//!   is refused; one that was removed is put back.

use std::collections::BTreeSet;

use super::admission::{Admission, Finding};
use super::commit::CommitRequest;
use super::gather::Gathered;
use super::refusal::{Refused, os};
use super::rules::VaultRules;
use super::{Result, Vault};
use crate::fs::{self, Dir, FileKind};
use crate::gateway::Reason;
use crate::gateway::sidecar::{self, Digest256, SIDECAR_BYTES_MAX};
use crate::object::{
    BlobId, Entry, FileEntry, Kind, Lookup, Mode, ObjectId, Source, TreeId, VaultPath, diff_trees, list_tree,
};
use crate::worktree::{self, Change, Wait};

/// Looks after the sidecars of what was gathered: takes them into the changes, or refuses what does not fit.
pub(super) fn seal(
    vault: &Vault,
    admission: &Admission<'_>,
    request: &CommitRequest,
    gathered: &mut Gathered,
) -> Result<()> {
    let mut sealer = Sealer { vault, admission, reseals: request.reseals, gathered };
    if request.reseals {
        sealer.unchanged(&request.paths)?;
    }
    let changed: Vec<Change> = sealer.gathered.changes.clone();
    for change in &changed {
        let Some(sidecar) = admission.protections.sidecar_of(&change.path) else { continue };
        match change.new {
            Some(entry) if entry.mode != Mode::Symlink => sealer.sealed_file(change, &sidecar)?,
            Some(_) => sealer.became_a_link(change, &sidecar)?,
            None if sealer.is_going(&change.path) => sealer.file_gone(&sidecar)?,
            None => {}
        }
    }
    for change in &changed {
        let Some(sealed) = admission.protections.sealed_by(&change.path) else { continue };
        if !changed.iter().any(|other| other.path == sealed) {
            sealer.sidecar_alone(change, &sealed)?;
        }
    }
    gathered.changes.sort_by(|a, b| a.path.cmp(&b.path));
    gathered.refused.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(())
}

struct Sealer<'a, 'b> {
    vault: &'a Vault,
    admission: &'a Admission<'b>,
    reseals: bool,
    gathered: &'a mut Gathered,
}

impl Sealer<'_, '_> {
    /// Distillates that did not change, but whose sidecar is missing or does not fit them.
    fn unchanged(&mut self, paths: &[VaultPath]) -> Result<()> {
        let mut files = Vec::new();
        for file in list_tree(&self.vault.store, self.admission.base) {
            let (path, entry) = file?;
            if entry.is_file() && paths.iter().any(|wanted| path.is_within(wanted)) {
                files.push((path, entry.id));
            }
        }
        for (path, id) in files {
            let Some(sidecar) = self.admission.protections.sidecar_of(&path) else { continue };
            if self.gathered.changes.iter().any(|change| change.path == path || change.path == sidecar) {
                continue;
            }
            let committed = self.admission.committed(&sidecar)?;
            let sealed = committed.map(|entry| entry.id.object());
            if seal_holds(&self.vault.store, path.name(), id.object(), sealed)? != Some(true) {
                let digest = Digest256(self.vault.store.content_sha256(id)?);
                self.put(&sidecar, committed, sidecar::encode(path.name(), digest))?;
            }
        }
        Ok(())
    }

    /// A distillate that is new or changed.
    fn sealed_file(&mut self, change: &Change, sidecar: &VaultPath) -> Result<()> {
        let path = &change.path;
        let Some(digest) = self.gathered.digests.get(path).copied() else { return Ok(()) };
        let committed = self.admission.committed(sidecar)?;
        let is_edit = change.old.is_some_and(|old| Some(old.id) != change.new.map(|new| new.id));
        if is_edit && committed.is_some() && !self.reseals && !self.admission.permits(Reason::Sealed, path) {
            self.drop_change(sidecar);
            return self.refuse(path, Finding::new(Reason::Sealed));
        }
        let wanted = sidecar::encode(path.name(), digest);
        let on_disk = self.read_sidecar(sidecar)?;
        let given = on_disk.as_deref().and_then(|bytes| sidecar::decode(bytes, path.name()));
        if given == Some(digest) {
            return Ok(()); // it stands there as a change of its own, or as it was
        }
        // A sidecar that is not the committed one was made for other content than stands there now.
        // One that has the right sum under another name came along when the file was renamed.
        let is_new = on_disk
            .as_deref()
            .is_some_and(|bytes| !self.is_committed(committed, bytes) && sidecar::sum(bytes) != Some(digest));
        if is_new && !self.reseals && !self.admission.permits(Reason::SidecarMismatch, path) {
            self.drop_change(sidecar);
            return self.refuse(path, Finding::new(Reason::SidecarMismatch));
        }
        self.put(sidecar, committed, wanted)
    }

    /// A link in the place of a sealed distillate: the seal is broken as if it had been edited.
    fn became_a_link(&mut self, change: &Change, sidecar: &VaultPath) -> Result<()> {
        if self.admission.committed(sidecar)?.is_none()
            || change.old.is_none_or(|old| old.mode == Mode::Symlink)
        {
            return Ok(());
        }
        if self.reseals || self.admission.permits(Reason::Sealed, &change.path) {
            return self.file_gone(sidecar);
        }
        self.refuse(&change.path, Finding::new(Reason::Sealed).detail("it is a link now"))
    }

    fn is_committed(&self, committed: Option<FileEntry>, bytes: &[u8]) -> bool {
        committed.is_some_and(|entry| entry.id == BlobId::new(crate::object::hash_object(Kind::Blob, bytes)))
    }

    /// Tells whether a file that is not there still goes from the tree.
    fn is_going(&self, path: &VaultPath) -> bool {
        self.gathered.changes.iter().any(|change| change.path == *path && change.new.is_none())
    }

    /// A distillate that is gone takes its sidecar along, unless that was edited.
    fn file_gone(&mut self, sidecar: &VaultPath) -> Result<()> {
        let Some(old) = self.admission.committed(sidecar)? else { return Ok(()) };
        let Some(bytes) = self.read_sidecar(sidecar)? else { return Ok(()) };
        if self.is_committed(Some(old), &bytes) {
            self.drop_change(sidecar);
            self.gathered.changes.push(Change {
                path: sidecar.clone(),
                old: Some(old),
                new: None,
                stamp: None,
            });
            self.gathered.sidecars.push((sidecar.clone(), None));
        }
        Ok(())
    }

    /// A sidecar that changed while its distillate did not.
    fn sidecar_alone(&mut self, change: &Change, sealed: &VaultPath) -> Result<()> {
        let Some(file) = self.admission.committed(sealed)?.filter(|entry| entry.mode != Mode::Symlink) else {
            return Ok(());
        };
        let digest = Digest256(self.vault.store.content_sha256(file.id)?);
        match (change.new, change.old) {
            (None, Some(_)) if self.read_sidecar(&change.path)?.is_some() => {
                self.refuse(&change.path, Finding::new(Reason::SidecarMismatch).detail("it is no file now"))
            }
            (None, Some(old)) => {
                let bytes = self.vault.store.find_blob(old.id)?.to_vec();
                self.drop_change(&change.path);
                self.gathered.sidecars.push((change.path.clone(), Some(bytes)));
                Ok(())
            }
            (Some(_), _) => {
                let bytes = self.read_sidecar(&change.path)?.unwrap_or_default();
                let fits = sidecar::decode(&bytes, sealed.name()) == Some(digest);
                if fits || self.admission.permits(Reason::SidecarMismatch, &change.path) {
                    return Ok(());
                }
                if self.reseals {
                    self.drop_change(&change.path);
                    return self.put(&change.path, change.old, sidecar::encode(sealed.name(), digest));
                }
                self.refuse(&change.path, Finding::new(Reason::SidecarMismatch))
            }
            (None, None) => Ok(()),
        }
    }

    /// Takes a sidecar into the commit, and notes that it is to be written.
    fn put(&mut self, path: &VaultPath, old: Option<FileEntry>, bytes: Vec<u8>) -> Result<()> {
        self.drop_change(path);
        let id = self.gathered.writer.add(Kind::Blob, &bytes, None)?;
        let new = Some(Entry { mode: Mode::File, id: BlobId::new(id) });
        if new != old {
            self.gathered.changes.push(Change { path: path.clone(), old, new, stamp: None });
        }
        self.gathered.sidecars.push((path.clone(), Some(bytes)));
        Ok(())
    }

    /// Takes back what the walk says of a path: also that it is as it was, which the stat cache would keep.
    fn drop_change(&mut self, path: &VaultPath) {
        self.gathered.changes.retain(|change| change.path != *path);
        self.gathered.refreshed.retain(|change| change.path != *path);
    }

    fn refuse(&mut self, path: &VaultPath, finding: Finding) -> Result<()> {
        let change = self.gathered.changes.iter().find(|change| change.path == *path);
        let blob = change.and_then(|change| change.new).map(|entry| entry.id);
        self.drop_change(path);
        let mut refused = Refused::new(path.as_bytes(), finding);
        refused.blob = blob;
        if let Some(copied) = self.vault.quarantine_file(path)? {
            refused.kept(&copied);
        }
        self.gathered.refused.push(refused);
        for path in self.gathered.keep_where_they_were() {
            if let Some(sidecar) = self.admission.protections.sidecar_of(&path) {
                self.drop_change(&sidecar);
                self.gathered.sidecars.retain(|(path, _)| *path != sidecar);
            }
        }
        Ok(())
    }

    fn read_sidecar(&self, path: &VaultPath) -> Result<Option<Vec<u8>>> {
        read_sidecar(&self.vault.root, path)
    }
}

/// Reads a sidecar as it stands on disk; what is too long for one, or no file, counts as a wrong one.
fn read_sidecar(root: &Dir, path: &VaultPath) -> Result<Option<Vec<u8>>> {
    let Some(dir) = folder_of(root, path)? else { return Ok(None) };
    match dir.try_stat(os(path.name()))? {
        None => Ok(None),
        Some(stat) if stat.kind != FileKind::File || stat.size > SIDECAR_BYTES_MAX => Ok(Some(Vec::new())),
        Some(_) => Ok(Some(dir.read(os(path.name()), SIDECAR_BYTES_MAX)?)),
    }
}

/// Returns why bytes that are not on disk yet would break a seal, as a distillate or as a sidecar.
pub(super) fn breach(
    vault: &Vault,
    admission: &Admission<'_>,
    path: &VaultPath,
    bytes: &[u8],
) -> Result<Option<Reason>> {
    let id = |bytes: &[u8]| BlobId::new(crate::object::hash_object(Kind::Blob, bytes));
    let committed = admission.committed(path)?;
    if let Some(sealed) = admission.protections.sealed_by(path) {
        let file = admission.committed(&sealed)?.filter(|file| file.mode != Mode::Symlink);
        let Some(file) = file else { return Ok(None) };
        let digest = Digest256(vault.store.content_sha256(file.id)?);
        let fits = sidecar::decode(bytes, sealed.name()) == Some(digest);
        return Ok((!fits).then_some(Reason::SidecarMismatch));
    }
    let Some(sidecar) = admission.protections.sidecar_of(path) else { return Ok(None) };
    let seal = admission.committed(&sidecar)?;
    if seal.is_some() && committed.is_some_and(|old| old.id != id(bytes)) {
        return Ok(Some(Reason::Sealed));
    }
    let given = read_sidecar(&vault.root, &sidecar)?;
    let misfits = given.is_some_and(|given| {
        seal.is_none_or(|seal| seal.id != id(&given)) && sidecar::sum(&given) != Some(Digest256::of(bytes))
    });
    Ok(misfits.then_some(Reason::SidecarMismatch))
}

/// Opens the folder that `path` is in, following no link; `None` if there is none.
pub(super) fn folder_of(root: &Dir, path: &VaultPath) -> Result<Option<Dir>> {
    let mut dir = root.clone();
    let Some(folder) = path.parent() else { return Ok(Some(dir)) };
    for part in folder.parts() {
        dir = match dir.open_dir(os(part)) {
            Err(error) if error.is_gone() => return Ok(None),
            other => other?,
        };
    }
    Ok(Some(dir))
}

impl Gathered {
    /// Writes sidecars beside their files and removes those of files that are gone. Returns those whose
    /// folder does not let it: they wait, and hold up nothing else of the commit.
    pub(super) fn write_sidecars(&self, vault: &Vault) -> Result<Vec<Wait>> {
        let mut waiting = Vec::new();
        for (path, bytes) in &self.sidecars {
            let Some(change) = self.changes.iter().find(|change| change.path == *path) else {
                write_sidecar(vault, path, bytes.as_deref())?;
                continue;
            };
            match write_sidecar(vault, path, bytes.as_deref()) {
                Err(super::Error::Disk(error)) if !error.is_out_of_handles() => {
                    let (path, why) = (path.clone(), Wait::why(&error));
                    waiting.push(Wait { path, wanted: change.new, stood: change.old, why });
                }
                done => done?,
            }
        }
        Ok(waiting)
    }
}

fn write_sidecar(vault: &Vault, path: &VaultPath, bytes: Option<&[u8]>) -> Result<()> {
    let Some(dir) = folder_of(&vault.root, path)? else { return Ok(()) };
    match bytes {
        Some(bytes) => vault.place_file(&dir, path, bytes, 0o644),
        None => {
            dir.remove_file(os(path.name()))?;
            Ok(dir.sync()?)
        }
    }
}

impl Vault {
    /// Puts a whole file in place of what stands at `path`, in its folder `dir`: written aside, synced, read
    /// again and compared, renamed over, the folder synced. After a crash it is the old or the new one. It keeps
    /// the permissions and attributes of a file that stands there; `mode` is for a new one, before the umask.
    pub(super) fn place_file(&self, dir: &Dir, path: &VaultPath, bytes: &[u8], mode: u32) -> Result<()> {
        let aside = self.dot.open_or_create_dir("tmp")?;
        match self.place_by(&aside, &fs::temp_name(), dir, path, (bytes, mode)) {
            // A mount inside the vault: nothing can be renamed into it from outside.
            Err(super::Error::Disk(error)) if error.is_other_device() => {
                let beside = format!(".mvault-{}.tmp", fs::temp_name().display());
                self.place_by(dir, beside.as_ref(), dir, path, (bytes, mode))
            }
            done => done,
        }
    }

    /// Does the same by a file `temp` in the folder `aside`.
    fn place_by(
        &self,
        aside: &Dir,
        temp: &std::ffi::OsStr,
        dir: &Dir,
        path: &VaultPath,
        (bytes, mode): (&[u8], u32),
    ) -> Result<()> {
        let file = aside.create_new(temp, mode)?;
        let placed = file
            .write_at(bytes, 0)
            .and_then(|()| self.keep_attributes(dir, path, &file))
            .and_then(|()| file.sync());
        let placed = placed.and_then(|()| file.read_all(bytes.len() as u64 + 1));
        let placed = placed.map_err(super::Error::from).and_then(|read| {
            if read != bytes {
                return Err(super::Error::refused(
                    super::ErrorKind::Damage,
                    format!("{path} did not read back as it was written; the old one is untouched"),
                    "check the disk: it does not keep what is written to it",
                ));
            }
            aside.rename(temp, dir, os(path.name()))?;
            Ok(dir.sync()?)
        });
        if placed.is_err() {
            let _rubbish_is_harmless = aside.remove_file(temp);
        }
        placed
    }

    fn keep_attributes(&self, dir: &Dir, path: &VaultPath, new: &fs::File) -> fs::Result<()> {
        let name = os(path.name());
        if dir.try_stat(name)?.is_none_or(|stat| stat.kind != FileKind::File) {
            return Ok(());
        }
        let old = worktree::FileAttributes::of(&dir.open(name)?)?;
        // An attribute that this file system let the old file have and not the new one: nothing can be done.
        old.put_on(new, None).map(|_lost| ())
    }
}

/// Returns the distillates of `to` that differ from `from`, or whose sidecars do, and that do not fit their
/// sidecars. One without a sidecar is not sealed.
pub(super) fn broken_seals(
    source: &dyn Source,
    rules: &VaultRules,
    from: TreeId,
    to: TreeId,
) -> Result<BTreeSet<VaultPath>> {
    let mut sealed = BTreeSet::new();
    for diff in diff_trees(source, from, to)? {
        let file = rules.sealed_by(&diff.path);
        sealed.extend(file.or_else(|| rules.sidecar_of(&diff.path).map(|_| diff.path)));
    }
    let mut broken = BTreeSet::new();
    let lookup = Lookup::new(source);
    for path in sealed {
        let Some(sidecar) = rules.sidecar_of(&path) else { continue };
        let file = lookup.entry(to, path.as_bytes())?;
        let Some(file) = file.filter(|file| matches!(file.mode, Mode::File | Mode::Executable)) else {
            continue;
        };
        let sidecar = lookup.entry(to, sidecar.as_bytes())?.map(|entry| entry.id);
        if seal_holds(source, path.name(), file.id, sidecar)? == Some(false) {
            broken.insert(path);
        }
    }
    Ok(broken)
}

/// Returns whether a sealed file and its sidecar, both in a tree, fit each other. `None` if there is no
/// sidecar.
pub(super) fn seal_holds(
    source: &dyn Source,
    name: &[u8],
    file: ObjectId,
    sidecar: Option<ObjectId>,
) -> Result<Option<bool>> {
    let Some(sidecar) = sidecar else { return Ok(None) };
    let long = source.try_info(sidecar)?.is_none_or(|(_, length)| length > SIDECAR_BYTES_MAX);
    if long {
        return Ok(Some(false));
    }
    let given = sidecar::decode(&source.find_blob(BlobId::new(sidecar))?, name);
    Ok(Some(match given {
        Some(digest) => digest == Digest256(source.content_sha256(BlobId::new(file))?),
        None => false,
    }))
}
