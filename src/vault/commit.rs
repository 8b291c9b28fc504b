//! Commit: what is on disk becomes the next state of the vault.
//!
//! Order of writes: what was refused into quarantine and the rejection log, sidecars beside their files,
//! objects in one pack, one append to the log, then the stat cache. What is refused stays on disk as it
//! is; a file that the head has keeps its last good version there.

use super::admission::{Admission, Allowance};
use super::gather::{Gathered, gather};
use super::protection::Protections;
use super::refusal::Refused;
use super::restored::restored;
use super::rules::{Class, RULES_FILE};
use super::sealing::seal;
use super::stale::refuse_stale;
use super::transaction::CommitDraft;
use super::tree_writer::{tree_changes, write_edited};
use super::waits::{is_in_place, leave_what_waits};
use super::write::refuse_secret_words;
use super::{Error, ErrorKind, Result, Vault, VaultLock};
use crate::gateway::Reason;
use crate::gateway::foreign::Trace;
use crate::merge::History;
use crate::object::{BlobId, Commit, CommitId, TreeId, VaultPath, visible_line};
use crate::oplog::{NewOperation, RefName, RefTarget};
use crate::worktree::{self, Change, Index, ScanInput, SeenFolder, Status, Waits};

/// What to commit.
#[derive(Clone, Debug, Default)]
pub struct CommitRequest {
    /// The message, or `None` for one made from the changes.
    pub message: Option<String>,
    /// Words to stand before a message that is made from the changes.
    pub title: Option<String>,
    /// Only these files and folders; empty for everything.
    pub paths: Vec<VaultPath>,
    /// Refuse the whole commit if any file is refused.
    pub is_strict: bool,
    /// What a person lets through this time.
    pub allowed: Vec<Allowance>,
    /// Whether the writer named the version that it replaces, so that nothing of others is taken back unseen.
    pub names_replaced: bool,
    /// Whether edited distillates are sealed anew instead of refused.
    pub reseals: bool,
    /// What the operation is called in the log.
    pub operation: &'static str,
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct CommitOutcome {
    /// The new commit, or `None` if there was nothing to commit.
    pub commit: Option<(CommitId, Commit)>,
    /// What differs from the state before.
    pub changes: Vec<Change>,
    /// What was not taken.
    pub refused: Vec<Refused>,
    /// What is never taken and needs no attention: sockets, fifos, folders of other repositories.
    pub passed_over: Vec<Refused>,
    /// New files that look like the traces of another tool.
    pub traces: Vec<(VaultPath, Trace)>,
}

/// Commits what is on disk.
pub fn commit(vault: &mut Vault, request: &CommitRequest) -> Result<CommitOutcome> {
    let lock = vault.lock("commit")?;
    commit_locked(vault, &lock, request)
}

/// Commits what is on disk, for a caller that holds the lock.
pub fn commit_locked(vault: &mut Vault, lock: &VaultLock, request: &CommitRequest) -> Result<CommitOutcome> {
    refuse_secret_words("the message", request.message.as_deref().unwrap_or_default(), &request.allowed)?;
    if let Some(session) = &vault.session {
        refuse_secret_words("the session's id", session.as_str(), &request.allowed)?;
    }
    let base_tree = vault.standing_tree()?;
    let (index, waits) = vault.index_and_waits(base_tree)?;
    let admission = Admission::new(vault, base_tree, &request.allowed)?;
    let paths = with_sidecars(&admission, &request.paths);
    let mut gathered = gather(vault, &index, &paths, Some(&admission))?;
    let mut waits = leave_what_waits(&admission, &mut gathered, waits);
    seal(vault, &admission, request, &mut gathered)?;
    if request.paths.is_empty()
        && let Some(finding) = restored(vault, &admission, &mut gathered, base_tree)?
        && !admission.permits_all(Reason::Restored)
    {
        gathered.changes.clear();
        gathered.sidecars.clear();
        gathered.refused.push(Refused::new(b".", finding));
    }
    refuse_stale(vault, &admission, request, &mut gathered)?;
    let overrides = admission.overrides();
    vault.log_rejections(&gathered.refused)?;
    if request.is_strict && gathered.refused.iter().any(Refused::is_refusal) {
        return Err(strict_refusal(&gathered.refused));
    }
    admission.keep_accepted()?;
    tell_evicted(vault, &gathered.passed_over)?;
    gathered.write_sidecars(vault)?.into_iter().for_each(|wait| waits.put(wait));
    if gathered.changes.is_empty() {
        vault.keep_mounts(&index, &waits, &gathered)?;
        vault.save_index((&index, &waits), base_tree, &gathered.refreshed, &gathered.listed);
        return Ok(CommitOutcome::of(gathered, None));
    }
    let tree = write_edited(&vault.store, &mut gathered.writer, base_tree, tree_changes(&gathered.changes))?;
    vault.keep_mounts(&index, &waits, &gathered)?;
    vault.check_changes(&index, &gathered.changes, &gathered.writer, tree)?;
    let (parents, draft, operation) = place(vault, request, &gathered.changes)?;
    let commit = vault.draft_commit(tree, parents, draft)?;
    let id = vault.write_commit(&mut gathered.writer, &commit)?;
    let mut operation = operation
        .set(vault.branch_ref(), id)
        .set(RefName::At, id)
        .frontier(vec![id])
        .lamport(commit.lamport)
        .detail("changed", gathered.changes.len());
    if !overrides.is_empty() {
        operation = operation.detail("allowed", overrides);
    }
    let writer = std::mem::replace(&mut gathered.writer, vault.store.writer()?);
    vault.publish(lock, Some(writer), operation)?;
    vault.wait_no_more(gathered.changes.iter().map(|change| &change.path))?;
    // Of two entries for one path the last counts: a sidecar that was read anew may have been rewritten since.
    let entries = [gathered.refreshed.as_slice(), &gathered.changes].concat();
    waits.save(&vault.dot)?;
    vault.save_index((&index, &waits), tree, &entries, &gathered.listed);
    let changes_rules = gathered.changes.iter().any(|change| change.path.as_bytes() == RULES_FILE.as_bytes());
    if changes_rules {
        vault.accept_own_rules(base_tree, tree)?;
    }
    vault.accept_own_ignores(&gathered.changes)?;
    Ok(CommitOutcome::of(gathered, Some((id, commit))))
}

impl CommitOutcome {
    fn of(gathered: Gathered, commit: Option<(CommitId, Commit)>) -> CommitOutcome {
        let Gathered { changes, refused, passed_over, traces, .. } = gathered;
        CommitOutcome { commit, changes, refused, passed_over, traces }
    }
}

/// Points out files that only a placeholder is left of, each once.
fn tell_evicted(vault: &mut Vault, passed_over: &[Refused]) -> Result<()> {
    let evicted: Vec<&Refused> = passed_over.iter().filter(|one| one.reason == Reason::Evicted).collect();
    if evicted.is_empty() {
        return Ok(());
    }
    let mut known = std::collections::BTreeSet::new();
    for session in vault.rejection_sessions()? {
        let logged = vault.rejections(session.as_ref())?;
        let logged = logged.iter().filter(|one| one.reason == Reason::Evicted.code());
        known.extend(logged.map(|one| one.path_bytes()));
    }
    let new: Vec<Refused> = evicted.into_iter().filter(|one| !known.contains(&one.path)).cloned().collect();
    vault.log_rejections(&new)?;
    for one in &new {
        let path = visible_line(&one.path);
        vault.notices.push(format!("{path}: {}", one.words()));
    }
    Ok(())
}

/// Returns the paths that a commit is asked for, with the sidecars of those that have one.
fn with_sidecars(admission: &Admission<'_>, paths: &[VaultPath]) -> Vec<VaultPath> {
    let sidecars = paths.iter().filter_map(|path| admission.protections.sidecar_of(path));
    paths.iter().cloned().chain(sidecars).collect()
}

fn strict_refusal(refused: &[Refused]) -> Error {
    let refused: Vec<&Refused> = refused.iter().filter(|one| one.is_refusal()).collect();
    let first = refused[0];
    let path = visible_line(&first.path);
    let more = match refused.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    Error::refused(
        ErrorKind::Refused,
        format!("{path}{more} cannot be committed ({}); with --strict nothing is", first.words()),
        "mend the files, or commit without --strict: everything else is kept",
    )
}

/// Decides the parents: the branch's head, or, for a tree that is parked elsewhere, the head at the
/// moment of parking; then the commit is a rollback and what came to the branch since is offered to
/// reconcile as if another device had.
fn place(
    vault: &Vault,
    request: &CommitRequest,
    changes: &[Change],
) -> Result<(Vec<CommitId>, CommitDraft, NewOperation)> {
    let head = vault.head()?;
    let message = request.message.clone().unwrap_or_else(|| match &request.title {
        Some(title) => format!("{title}: {}", describe(changes)),
        None => describe(changes),
    });
    let operation = vault.operation(request.operation);
    let Some(parked) = vault.parked() else {
        return Ok((vec![head], CommitDraft { message, restores: None }, operation));
    };
    let at = vault.at()?;
    let mut draft = CommitDraft { message, restores: None };
    if History::new(&vault.store).is_ancestor(at, parked)? {
        draft.restores = Some(at);
    } else {
        draft.message = format!("{}\n\nThe tree was taken from {at}.\n", draft.message.trim_end());
    }
    let mut operation = operation.remove(RefName::Parked);
    if head != parked {
        let name = RefName::Remote(vault.config.device.clone(), vault.branch());
        let mut heads: std::collections::BTreeSet<CommitId> = match vault.log.refs().get(&name) {
            Some(RefTarget::Set(heads)) => heads.clone(),
            _ => Default::default(),
        };
        heads.insert(head);
        operation = operation.set(name, RefTarget::Set(heads));
    }
    Ok((vec![parked], draft, operation))
}

/// Describes changes in one line.
pub fn describe(changes: &[Change]) -> String {
    let count = |status: Status| changes.iter().filter(|c| c.status() == status).count();
    let words = [(Status::Added, "add"), (Status::Modified, "update"), (Status::Deleted, "remove")];
    if let [change] = changes {
        let word = words.iter().find(|(status, _)| *status == change.status()).map_or("change", |w| w.1);
        return format!("{word} {}\n", change.path);
    }
    let counted = words.iter().filter_map(|(status, word)| match count(*status) {
        0 => None,
        n => Some(format!("{word} {n}")),
    });
    let names = describe_paths(changes.iter().map(|change| &change.path));
    format!("{}: {names}\n", counted.collect::<Vec<_>>().join(", "))
}

/// Names the first few of several paths.
pub(super) fn describe_paths<'a>(paths: impl Iterator<Item = &'a VaultPath>) -> String {
    let mut names: Vec<String> = paths.take(4).map(ToString::to_string).collect();
    if names.len() == 4 {
        names[3] = "…".to_owned();
    }
    names.join(", ")
}

impl Vault {
    /// Walks the working tree for a command that judges nothing: what is longer than the vault takes, and not
    /// what was let in once, is left alone unread.
    pub(super) fn scan_what_is_read(&self, input: ScanInput<'_>) -> Result<worktree::Scan> {
        let mut scan = worktree::scan(input)?;
        if scan.candidates.is_empty() {
            return Ok(scan);
        }
        let protections = self.protections(self.standing_tree()?)?;
        self.mark_streams(&mut scan, &protections);
        let limit = protections.limits().file_bytes_max;
        if scan.candidates.iter().any(|candidate| candidate.stat.size > limit) {
            let known = |id: BlobId| self.store.try_info(id.object()).ok().flatten().map(|(_, size)| size);
            scan.leave_out(|one| {
                one.stat.size > limit && one.old.and_then(|(_, id)| known(id)) != Some(one.stat.size)
            });
        }
        Ok(scan)
    }

    /// Says which of the files that a walk found are streams: those are read while they grow.
    pub(super) fn mark_streams(&self, scan: &mut worktree::Scan, protections: &Protections) {
        let known = |id: BlobId| self.store.try_info(id.object()).ok().flatten().map(|(_, size)| size);
        scan.mark_growing(|path| protections.is(path, Class::Stream), known);
    }

    /// Returns what the file system can do, in the working tree's terms.
    pub(super) fn traits(&self) -> worktree::Traits {
        let abilities = self.config.abilities;
        worktree::Traits {
            symlinks: abilities.symlinks,
            executable_bit: abilities.executable,
            folds_case: abilities.folds_case,
            folds_unicode: abilities.folds_unicode,
        }
    }

    /// Returns the stat cache for `tree`, with what waits as it stands on disk.
    pub(super) fn index(&self, tree: TreeId) -> Result<Index> {
        Ok(self.index_and_waits(tree)?.0)
    }

    /// Returns the stat cache for `tree` (the one on disk, or a new one that vouches for nothing) with what
    /// waits as it stands on disk, and what waits.
    pub(super) fn index_and_waits(&self, tree: TreeId) -> Result<(Index, Waits)> {
        let index = match Index::load(&self.dot)? {
            Some(index) if index.tree() == tree => index,
            _ => {
                let index = Index::from_tree(&self.store, tree)?;
                // Where nothing can be written nothing can be tried out, and nothing committed either.
                match self.dot.open_or_create_dir("tmp") {
                    Ok(scratch) => {
                        let mut look = self.look(&scratch).withholding(self.waiting_blobs()?);
                        index.mark_impossible(&self.store, &mut look)?
                    }
                    Err(_) => index,
                }
            }
        };
        let waits = Waits::load(&self.dot)?.of(&index);
        Ok((waits.as_on_disk(index), waits))
    }

    /// Writes the stat cache of `tree`, made from that of another by `changes`. It is a cache: that it
    /// could not be written is told and harms nothing.
    fn save_index(
        &mut self,
        (index, waits): (&Index, &Waits),
        tree: TreeId,
        changes: &[Change],
        (folders, seen_ns): &(Vec<SeenFolder>, i128),
    ) {
        let mark = self.log_mark();
        let entries = changes.iter().map(|change| (change.path.clone(), change.index_entry())).collect();
        let updated = index.updated(tree, mark, entries).with_folders(folders, *seen_ns);
        let updated = waits.as_in_tree(updated);
        if updated == *index {
            return;
        }
        if let Err(error) = updated.save(&self.dot) {
            self.notices.push(format!("{error}; the next command will be slower, nothing is lost"));
        }
    }
}

/// Returns how the working tree differs from the commit it stands on.
pub fn local_changes(vault: &mut Vault, paths: &[VaultPath]) -> Result<worktree::LocalChanges> {
    let tree = vault.standing_tree()?;
    changes_from(vault, tree, paths)
}

/// Returns how the working tree differs from a tree.
pub(super) fn changes_from(
    vault: &mut Vault,
    tree: TreeId,
    paths: &[VaultPath],
) -> Result<worktree::LocalChanges> {
    let (index, waits) = vault.index_and_waits(tree)?;
    let (withheld, mounts) = (vault.withheld_rules(), vault.mounts()?);
    let input = ScanInput {
        root: &vault.root,
        index: &index,
        traits: vault.traits(),
        paths,
        withheld: &withheld,
        mounts: &mounts,
    };
    let scan = vault.scan_what_is_read(input)?;
    let mut local = worktree::hash_candidates(&vault.root, &scan, None);
    local.changes.retain(|change| !is_in_place(&waits, change));
    Ok(local)
}
