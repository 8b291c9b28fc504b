//! Gathering: what differs on disk, judged and stored in a pack that is not published yet.
//!
//! - Each file is read once: hashed, compressed and judged on the way.
//! - Refused content never stays in the pack. A large file is judged while it is stored; if it is refused,
//!   the pack is given up and everything is gathered again without that file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Mutex;

use super::admission::{self, Admission, Finding, Verdict};
use super::growth::Judging;
use super::mounts::MountsSeen;
use super::refusal::Refused;
use super::{Result, Vault};
use crate::gateway::Reason;
use crate::gateway::content::ContentJudge;
use crate::gateway::foreign::{self, Trace};
use crate::gateway::sidecar::Digest256;
use crate::object::{BlobId, Entry, Kind, Mode, ObjectId, VaultPath, hash_object};
use crate::store::{self, NewObject, PackWriter, RECORD_MAX};
use crate::worktree::{
    self, Body, Candidate, Change, Index, ReadError, Scan, ScanInput, SeenFolder, SkipReason, StatStamp,
    Take, Taken,
};

/// So many files are read while as many are stored, if they are not longer than [`BYTES_AT_ONCE`] together: bounds
/// the memory of a first commit.
const FILES_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: u64 = 8 << 20;

/// The changes on disk, stored in a pack that is not published yet.
pub(super) struct Gathered {
    pub writer: PackWriter,
    pub changes: Vec<Change>,
    pub refreshed: Vec<Change>,
    pub refused: Vec<Refused>,
    pub passed_over: Vec<Refused>,
    pub traces: Vec<(VaultPath, Trace)>,
    /// The folders that were listed, and since when: the next walk need not list them again.
    pub listed: (Vec<SeenFolder>, i128),
    /// Hashes of the plain bytes of distillates among the changes.
    pub digests: BTreeMap<VaultPath, Digest256>,
    /// Sidecars to be written beside their files, and those to be removed with them.
    pub sidecars: Vec<(VaultPath, Option<Vec<u8>>)>,
    pub mounts: MountsSeen,
}

/// Stores what differs on disk. Without an admission everything that can be read is taken.
pub(super) fn gather(
    vault: &Vault,
    index: &Index,
    paths: &[VaultPath],
    admission: Option<&Admission<'_>>,
) -> Result<Gathered> {
    let seen_ns = worktree::file_system_now(&vault.dot)?;
    let withheld = vault.withheld_rules();
    let mounts = vault.mounts()?;
    // Who names a folder in a commit says that what is there now counts.
    let mut let_go = if admission.is_some() { mounts.gone(&vault.root) } else { Vec::new() };
    let_go.retain(|folder| paths.contains(folder));
    let mounts = mounts.without(&let_go);
    let input = ScanInput {
        root: &vault.root,
        index,
        traits: vault.traits(),
        paths,
        withheld: &withheld,
        mounts: &mounts,
    };
    let scan = match admission {
        None => vault.scan_what_is_read(input)?,
        Some(admission) => {
            let mut scan = worktree::scan(input)?;
            vault.mark_streams(&mut scan, &admission.protections);
            scan
        }
    };
    let mut unwanted = match admission {
        None => BTreeMap::new(),
        Some(admission) => admission.names(&scan)?,
    };
    let sources = Sources::of(&scan);
    loop {
        let mut gathered = Gathered::new(vault, seen_ns)?;
        let candidates: Vec<Candidate>;
        let wanted = if unwanted.is_empty() {
            &scan.candidates
        } else {
            let taken = scan.candidates.iter().filter(|candidate| !unwanted.contains_key(&candidate.path));
            candidates = taken.cloned().collect();
            &candidates
        };
        let given_up = gathered.take_all(vault, wanted, &sources, admission)?;
        if !given_up.is_empty() {
            unwanted.extend(given_up);
            continue;
        }
        for candidate in &scan.candidates {
            if let Some(finding) = unwanted.remove(&candidate.path) {
                gathered.refuse_on_disk(vault, &candidate.path, candidate.stat.size, finding)?;
            }
        }
        gathered.mounts.given_up = let_go;
        gathered.leave_unmounted(&mounts.gone(&vault.root));
        gathered.finish(scan, index.len(), admission);
        return Ok(gathered);
    }
}

fn is_link(mode: Mode) -> bool {
    mode == Mode::Symlink
}

fn missing(scan: &Scan) -> impl Iterator<Item = Change> + '_ {
    scan.missing.iter().map(|missing| Change {
        path: missing.path.clone(),
        old: Some(Entry { mode: missing.old.0, id: missing.old.1 }),
        new: None,
        stamp: None,
    })
}

/// Where new files may have come from: files that are gone. Who renames a file and edits it in one go has no
/// version before it at the new path, and most of its bytes at the old one.
struct Sources {
    by_name: HashMap<Vec<u8>, ObjectId>,
    /// By the extension, where only one file that has it is gone.
    by_extension: HashMap<Vec<u8>, Option<ObjectId>>,
}

impl Sources {
    fn of(scan: &Scan) -> Sources {
        let mut sources = Sources { by_name: HashMap::new(), by_extension: HashMap::new() };
        for missing in scan.missing.iter().filter(|missing| !is_link(missing.old.0)) {
            let id = missing.old.1.object();
            let (name, extension) = name_and_extension(&missing.path);
            sources.by_name.insert(name.to_vec(), id);
            sources.by_extension.entry(extension.to_vec()).and_modify(|one| *one = None).or_insert(Some(id));
        }
        sources
    }

    /// Returns what the content of a candidate may be stored as the difference from.
    fn base(&self, candidate: &Candidate) -> Option<ObjectId> {
        let (name, extension) = name_and_extension(&candidate.path);
        let old = candidate.old.map(|(_, id)| id.object());
        old.or_else(|| self.by_name.get(name).copied())
            .or_else(|| self.by_extension.get(extension).copied().flatten())
    }
}

fn name_and_extension(path: &VaultPath) -> (&[u8], &[u8]) {
    let name = path.name();
    let dot = name.iter().rposition(|byte| *byte == b'.').unwrap_or(name.len());
    (name, &name[dot..])
}

/// A file's content on its way into the pack, with what was found in it.
enum Loaded {
    Bytes(Vec<u8>, Result<Box<Verdict>>),
    /// It is read when it is stored.
    Large,
}

type LoadedFile = Result<Taken<Loaded>, ReadError>;

/// Cuts candidates into those that are read at a time.
fn batches(mut rest: &[Candidate]) -> impl Iterator<Item = &[Candidate]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |candidate: &&Candidate| {
            bytes += candidate.stat.size;
            bytes <= BYTES_AT_ONCE
        };
        let count = rest.iter().take(FILES_AT_ONCE).take_while(fits).count().max(1);
        let (batch, more) = rest.split_at_checked(count)?;
        rest = more;
        Some(batch)
    })
}

/// Reads files on all cores and judges them; large ones are only opened.
fn load_all(vault: &Vault, batch: &[Candidate], admission: Option<&Admission<'_>>) -> Vec<LoadedFile> {
    let load = |candidate: &Candidate, body: Body<'_>| match body {
        Body::Large(..) => Loaded::Large,
        Body::Whole(bytes) => {
            let verdict = admission.map_or_else(
                || Ok(Verdict::default()),
                |admission| {
                    let seen = ContentJudge::judge(admission.demands(candidate), &bytes);
                    admission.judge(candidate, &seen, admission::Body::Whole(&bytes))
                },
            );
            let verdict = verdict.map(Box::new);
            Loaded::Bytes(bytes, verdict)
        }
    };
    let take = Take { whole_bytes_max: RECORD_MAX as u64, content: &load, blob: &|_| None };
    worktree::read_candidates(&vault.root, batch, &take)
}

impl Gathered {
    fn new(vault: &Vault, seen_ns: i128) -> Result<Gathered> {
        Ok(Gathered {
            writer: vault.store.writer()?,
            changes: Vec::new(),
            refreshed: Vec::new(),
            refused: Vec::new(),
            passed_over: Vec::new(),
            traces: Vec::new(),
            listed: (Vec::new(), seen_ns),
            digests: BTreeMap::new(),
            sidecars: Vec::new(),
            mounts: MountsSeen::default(),
        })
    }

    fn pass_over(&mut self, path: &[u8], reason: SkipReason) {
        let known = match reason {
            SkipReason::Special => Reason::Special,
            SkipReason::Unreadable => Reason::Unreadable,
            SkipReason::TooLong => Reason::NameTooLong,
            SkipReason::Reserved => Reason::ReservedFolder,
            SkipReason::IgnoreFile => Reason::IgnoreFile,
            SkipReason::TooLarge => Reason::TooLarge,
            SkipReason::Evicted => Reason::Evicted,
            SkipReason::NotMounted => Reason::NotMounted,
        };
        let entry = Refused::new(path, Finding::new(known));
        match reason {
            SkipReason::Special | SkipReason::Reserved | SkipReason::Evicted => self.passed_over.push(entry),
            _ => self.refused.push(entry),
        }
    }

    /// Refuses a file whose content is not at hand; a copy is made of what is on disk now.
    fn refuse_on_disk(&mut self, vault: &Vault, path: &VaultPath, size: u64, finding: Finding) -> Result<()> {
        let mut refused = Refused::new(path.as_bytes(), finding);
        refused.size = Some(size);
        if refused.reason.keeps_copy()
            && let Some(copied) = vault.quarantine_file(path)?
        {
            refused.kept(&copied);
        }
        self.refused.push(refused);
        Ok(())
    }

    /// Refuses a file whose content is at hand.
    fn refuse_bytes(
        &mut self,
        vault: &Vault,
        path: &VaultPath,
        bytes: &[u8],
        finding: Finding,
    ) -> Result<()> {
        let mut refused = Refused::new(path.as_bytes(), finding);
        refused.size = Some(bytes.len() as u64);
        refused.blob = Some(BlobId::new(hash_object(Kind::Blob, bytes)));
        refused.sha256 = Some(Digest256::of(bytes));
        if refused.reason.keeps_copy() && !bytes.is_empty() {
            vault.quarantine(bytes)?;
            refused.is_kept = true;
        }
        self.refused.push(refused);
        Ok(())
    }

    /// Stores the content of all candidates. Returns large files that were refused when they were in the pack
    /// already.
    fn take_all(
        &mut self,
        vault: &Vault,
        candidates: &[Candidate],
        sources: &Sources,
        admission: Option<&Admission<'_>>,
    ) -> Result<BTreeMap<VaultPath, Finding>> {
        let mut given_up = BTreeMap::new();
        let mut batches = batches(candidates);
        let mut batch = batches.next().unwrap_or_default();
        let mut loaded = load_all(vault, batch, admission);
        while !batch.is_empty() {
            // The next ones are read and judged while these are compressed and written.
            let next = batches.next().unwrap_or_default();
            let (ahead, taken) = rayon::join(
                || load_all(vault, next, admission),
                || self.take(vault, (batch, loaded), sources, admission, &mut given_up),
            );
            taken?;
            (batch, loaded) = (next, ahead);
        }
        Ok(given_up)
    }

    /// Stores the content of a batch. A large file, which is read and judged only now, comes back in `given_up`
    /// if it is refused when it is in the pack already.
    fn take(
        &mut self,
        vault: &Vault,
        (batch, loaded): (&[Candidate], Vec<LoadedFile>),
        sources: &Sources,
        admission: Option<&Admission<'_>>,
        given_up: &mut BTreeMap<VaultPath, Finding>,
    ) -> Result<()> {
        let mut whole = Vec::new();
        let mut done = Vec::new();
        for (candidate, loaded) in batch.iter().zip(loaded) {
            match loaded {
                Ok((Loaded::Bytes(bytes, verdict), stat)) => {
                    let id = || BlobId::new(hash_object(Kind::Blob, &bytes));
                    match self.note(vault, candidate, *verdict?, id)? {
                        Some(finding) => self.refuse_bytes(vault, &candidate.path, &bytes, finding)?,
                        None => whole.push((candidate, Mutex::new(bytes), stat)),
                    }
                }
                Ok((Loaded::Large, _)) => match self.store_large(vault, candidate, sources, admission) {
                    Ok(((id, verdict), stat)) => {
                        let (id, mut verdict) = (id?, verdict?);
                        if admission.is_some_and(|admission| admission.is_purged(BlobId::new(id))) {
                            verdict.refused = Some(Finding::new(Reason::Purged));
                        }
                        match self.note(vault, candidate, verdict, || BlobId::new(id))? {
                            Some(finding) => {
                                given_up.insert(candidate.path.clone(), finding);
                            }
                            None => done.push((candidate, id, stat)),
                        }
                    }
                    Err(error) => self.unread(candidate, &error),
                },
                Err(error) => self.unread(candidate, &error),
            }
        }
        let ids = self.writer.add_many(&whole, |(candidate, bytes, _)| {
            let data = std::mem::take(&mut *bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            let base = sources.base(candidate);
            Ok::<_, std::convert::Infallible>(NewObject { kind: Kind::Blob, data, base })
        })?;
        for ((candidate, _, stat), Ok(id)) in whole.iter().zip(ids) {
            done.push((candidate, id, *stat));
        }
        for (candidate, id, stat) in done {
            let stamp = stat.and_then(|stat| StatStamp::of(&stat, self.listed.1));
            let old = candidate.old.map(|(mode, id)| Entry { mode, id });
            let new = Some(Entry { mode: candidate.mode, id: BlobId::new(id) });
            let change = Change { path: candidate.path.clone(), old, new, stamp };
            if old == new { self.refreshed.push(change) } else { self.changes.push(change) }
        }
        Ok(())
    }

    /// Reads a large file, and judges it while it is stored.
    fn store_large(
        &mut self,
        vault: &Vault,
        candidate: &Candidate,
        sources: &Sources,
        admission: Option<&Admission<'_>>,
    ) -> Result<Taken<Stored>, ReadError> {
        let base = sources.base(candidate);
        let writer = Mutex::new(&mut self.writer);
        let keep = |_: &Candidate, body: Body<'_>| {
            let mut writer = writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            store(candidate, body, base, admission, &mut writer)
        };
        let blob = |stored: &Stored| stored.0.as_ref().ok().map(|id| BlobId::new(*id));
        let take = Take { whole_bytes_max: RECORD_MAX as u64, content: &keep, blob: &blob };
        worktree::read_candidate(&vault.root, candidate, &take)
    }

    /// Notes what was found in a file; returns why it is refused, if it is. What is as it was, is in the
    /// history already: its `stat` alone changed.
    fn note(
        &mut self,
        vault: &Vault,
        candidate: &Candidate,
        verdict: Verdict,
        id: impl FnOnce() -> BlobId,
    ) -> Result<Option<Finding>> {
        if verdict.refused.is_some() {
            let old = candidate.old.filter(|(mode, _)| is_link(*mode) == is_link(candidate.mode));
            let is_unchanged = old.is_some_and(|(_, old)| old == id());
            return Ok(verdict.refused.filter(|_| !is_unchanged));
        }
        if let Some(digest) = verdict.digest {
            self.digests.insert(candidate.path.clone(), digest);
        }
        if let Some((finding, torn)) = verdict.noticed {
            let mut noticed = Refused::new(candidate.path.as_bytes(), finding);
            noticed.size = Some(torn.len() as u64);
            noticed.sha256 = Some(vault.quarantine(&torn)?);
            noticed.is_kept = true;
            self.refused.push(noticed);
        }
        Ok(None)
    }

    fn unread(&mut self, candidate: &Candidate, error: &ReadError) {
        let path = candidate.path.as_bytes();
        match error {
            ReadError::Vanished => {
                if let Some((mode, id)) = candidate.old {
                    let old = Some(Entry { mode, id });
                    self.changes.push(Change { path: candidate.path.clone(), old, new: None, stamp: None });
                }
            }
            // The next commit finds the rest of the line.
            ReadError::NoNewLine => {}
            ReadError::ChangedWhileRead => {
                self.refused.push(Refused::new(path, Finding::new(Reason::ChangedWhileRead)));
            }
            ReadError::NotAFile => self.pass_over(path, SkipReason::Special),
            ReadError::Disk(_) => self.pass_over(path, SkipReason::Unreadable),
        }
    }

    /// Files that vanished while they were read did so with the mount they were on.
    fn leave_unmounted(&mut self, gone: &[VaultPath]) {
        let is_below = |path: &VaultPath| gone.iter().any(|folder| path.is_within(folder));
        self.changes.retain(|change| change.new.is_some() || !is_below(&change.path));
    }

    /// Adds what is missing and what the walk left alone, and sorts.
    fn finish(&mut self, scan: Scan, files: usize, admission: Option<&Admission<'_>>) {
        for skipped in &scan.skipped {
            self.pass_over(&skipped.path, skipped.reason);
        }
        let gone: Vec<Change> = missing(&scan).collect();
        let much = admission.and_then(|admission| {
            let moved = self.moved();
            let lost = gone.iter().filter(|change| change.old.is_none_or(|old| !moved.contains(&old.id)));
            let lost: Vec<&VaultPath> = lost.map(|change| &change.path).collect();
            let Ok(much) = admission.deletions(&lost, || Ok::<_, std::convert::Infallible>(files));
            much
        });
        match much {
            Some(finding) => {
                self.mounts.given_up.clear();
                self.refused.push(Refused::new(b".", finding))
            }
            None => self.changes.extend(gone),
        }
        if let Some(admission) = admission {
            self.judge_deletions(admission);
            self.keep_where_they_were();
            self.leave_out_below(&missing(&scan).map(|change| change.path).collect());
            let new = self.changes.iter().filter(|change| change.old.is_none() && change.new.is_some());
            self.traces =
                new.filter_map(|c| foreign::trace(&c.path).map(|trace| (c.path.clone(), trace))).collect();
        }
        self.listed.0 = scan.folders;
        self.mounts.found = scan.mounts;
        self.changes.sort_by(|a, b| a.path.cmp(&b.path));
        self.refused.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// The contents of new files: what is gone elsewhere and is among them only moved.
    fn moved(&self) -> BTreeSet<BlobId> {
        let new = self.changes.iter().filter(|change| change.old.is_none());
        new.filter_map(|change| change.new.map(|entry| entry.id)).collect()
    }

    /// A guarded file that is gone stays in the commit, unless it only moved.
    fn judge_deletions(&mut self, admission: &Admission<'_>) {
        let moved = self.moved();
        let refused = &mut self.refused;
        self.changes.retain(|change| {
            let (Some(old), None) = (change.old, change.new) else { return true };
            if old.mode == Mode::Symlink || moved.contains(&old.id) {
                return true;
            }
            let Some(finding) = admission.deletion(&change.path) else { return true };
            refused.push(Refused::new(change.path.as_bytes(), finding));
            false
        });
    }
}

impl Gathered {
    /// A file whose new place was refused stays at its old one. Returns what stays.
    pub(super) fn keep_where_they_were(&mut self) -> Vec<VaultPath> {
        let refused: BTreeSet<BlobId> = self.refused.iter().filter_map(|refused| refused.blob).collect();
        let (gone, rest) = std::mem::take(&mut self.changes).into_iter().partition(|change| {
            change.new.is_none() && change.old.is_some_and(|old| refused.contains(&old.id))
        });
        self.changes = rest;
        let gone: Vec<Change> = gone;
        gone.into_iter().map(|change| change.path).collect()
    }

    /// What stands in a folder in the place of a file that stays cannot be in the same tree.
    fn leave_out_below(&mut self, gone: &BTreeSet<VaultPath>) {
        let going: BTreeSet<&VaultPath> =
            self.changes.iter().filter(|change| change.new.is_none()).map(|change| &change.path).collect();
        let staying: Vec<&VaultPath> = gone.iter().filter(|path| !going.contains(path)).collect();
        let below = |path: &VaultPath| staying.iter().find(|file| **file != path && path.is_within(file));
        let (out, rest) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition::<Vec<_>, _>(|change| below(&change.path).is_some());
        for change in out {
            let reason = self.refused.iter().find(|one| change.path.as_bytes().starts_with(&one.path));
            let reason = reason.map_or(Reason::MassDelete, |one| one.reason);
            let detail = "it stands in the place of a file that stays";
            let mut refused = Refused::new(change.path.as_bytes(), Finding::new(reason).detail(detail));
            refused.blob = change.new.map(|entry| entry.id);
            self.refused.push(refused);
        }
        self.changes = rest;
    }
}

/// What became of storing a large file, and of judging it.
type Stored = (Result<ObjectId, store::Error>, Result<Verdict>);

/// Stores a file while it is read and judged, whatever its length by now.
fn store(
    candidate: &Candidate,
    body: Body<'_>,
    base: Option<ObjectId>,
    admission: Option<&Admission<'_>>,
    writer: &mut PackWriter,
) -> Stored {
    let mut bytes;
    let (size, reader): (u64, &mut (dyn io::Read + Send)) = match body {
        Body::Large(size, reader) => (size, reader),
        Body::Whole(whole) => {
            bytes = io::Cursor::new(whole);
            (bytes.get_ref().len() as u64, &mut bytes)
        }
    };
    let Some(admission) = admission else {
        return (writer.add_stream(Kind::Blob, size, reader, base), Ok(Verdict::default()));
    };
    let rests_on_itself = base == candidate.old.map(|(_, id)| id.object());
    let judge = ContentJudge::new(admission.demands(candidate));
    let growth = match admission.growth(candidate) {
        Ok(growth) => growth,
        Err(error) => return (writer.add_stream(Kind::Blob, size, reader, base), Err(error)),
    };
    let mut judging = Judging { judge, growth, rests_on_itself };
    let id = writer.add_seen(Kind::Blob, size, reader, base, &mut judging);
    let Judging { judge, mut growth, .. } = judging;
    let mut seen = judge.finish();
    seen.blob = id.as_ref().ok().map(|id| BlobId::new(*id));
    let verdict = growth.finish().map_err(|error| admission::unread_before(candidate, error));
    let verdict = verdict.and_then(|()| admission.judge(candidate, &seen, admission::Body::Large(&growth)));
    (id, verdict)
}
