//! Moving the working tree from one state to another, atomically across crashes.
//!
//! Order: edits that give way are stored, new files are staged and made durable, the operation is
//! appended, and from then on the move has happened: it is carried out now or by the next command.

use super::gather::gather;
use super::obeyed::Arrivals;
use super::refusal::{Door, Refused};
use super::sealing::broken_seals;
use super::transaction::{CommitDraft, GateHeld};
use super::tree_writer::{tree_changes, write_edited};
use super::{Access, Error, ErrorKind, Result, Vault, VaultLock};
use crate::fs::LockError;
use crate::object::{
    BlobId, FileEntry, Kind, Mode, SourceError, TreeChange, TreeId, VaultPath, visible_line,
};
use crate::oplog::{NewOperation, RefName};
use crate::store::{PackWriter, Stage};
use crate::worktree::{
    self, Content, Displaced, DisplacedBody, Finished, Index, Journal, Nonce, Pending, PlanInput, RealLook,
    ScanInput, SkipReason, Unwritable, Wait, Waits,
};

/// How many operations behind the last one a journal may wait for: its own, and what was stored of edits
/// that were found while it was finished.
const OPERATIONS_LOOKED_AT: usize = 4;

/// What happens to edits that are in no commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edits {
    /// They stay, and where they are in the way nothing is moved.
    Carry,
    /// They stay, also where the file goes from the tree: then no commit has it.
    Stay,
    /// They are stored as `saved/<n>`, then they give way.
    Save,
    /// The same, but only these paths are touched and the commit the tree stands on stays the same.
    SaveWithin(Vec<VaultPath>),
}

/// A move of the working tree.
pub struct Move {
    /// The tree to move to.
    pub tree: TreeId,
    /// Objects that the tree needs and the store does not have yet.
    pub content: Option<PackWriter>,
    /// The operation that makes it so.
    pub operation: NewOperation,
    /// What happens to edits.
    pub edits: Edits,
    /// Whether what programs would run of it was judged.
    pub arrivals: Arrivals,
}

/// What happened in the working tree.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    /// How many files were written.
    pub written: usize,
    /// How many files were removed.
    pub removed: usize,
    /// The number of the saved state with the edits that gave way.
    pub saved: Option<u64>,
    /// Files of the tree that cannot exist here.
    pub unwritable: Vec<Unwritable>,
    /// Files of the tree that are not put in place before somebody accepted what they run.
    pub withheld: Vec<Refused>,
    /// Paths that could not be changed now. After a move they wait and are tried again by every command;
    /// single paths that were to be restored are not.
    pub waiting: Vec<Wait>,
}

impl Moved {
    /// Returns what happened in two moves, one after the other.
    pub(super) fn both(first: Option<Moved>, then: Option<Moved>) -> Option<Moved> {
        let (Some(mut first), Some(then)) = (first.clone(), then.clone()) else { return first.or(then) };
        first.written += then.written;
        first.removed += then.removed;
        first.saved = then.saved.or(first.saved);
        first.unwritable.extend(then.unwritable);
        first.withheld.extend(then.withheld);
        Some(first)
    }
}

/// Moves the working tree and appends the operation. Nothing is changed if anything is in the way.
pub fn move_tree(vault: &mut Vault, lock: &VaultLock, request: Move) -> Result<Moved> {
    let Move { tree, content, mut operation, edits, arrivals } = request;
    if let Some(content) = content {
        content.publish()?;
    }
    let from = vault.standing_tree()?;
    let (index, waits) = vault.index_and_waits(from)?;
    let paths: &[VaultPath] = if let Edits::SaveWithin(paths) = &edits { paths } else { &[] };
    let local = look_before(vault, &index, tree)?;
    let mut withheld = vault.withheld(from, tree, &index, arrivals)?;
    let withheld_blobs = withheld.iter().map(|one| (one.path.clone(), one.blob));
    let scratch = vault.dot.open_or_create_dir("tmp")?;
    let plan = worktree::plan(
        PlanInput {
            source: &vault.store,
            from,
            to: tree,
            index: &index,
            waits: &waits,
            local: &local,
            traits: vault.traits(),
            edits: match &edits {
                Edits::Carry => worktree::Edits::Carry,
                Edits::Stay => worktree::Edits::Stay,
                Edits::Save | Edits::SaveWithin(_) => worktree::Edits::Replace,
            },
            paths,
        },
        &mut vault.look(&scratch).withholding(withheld_blobs),
    )?;
    if !plan.in_the_way.is_empty() {
        let paths = plan.in_the_way.iter().map(|found| found.path.clone()).collect();
        return Err(Error::InTheWay { what: "the files cannot be changed", paths });
    }
    if edits != Edits::Carry && paths.is_empty() {
        tell_unread(vault, &local, &index);
    }
    let (kept_back, unwritable) = plan.unwritable.iter().cloned().partition(|one| one.is_withheld);
    let kept_back: Vec<Unwritable> = kept_back;
    withheld.retain(|one| kept_back.iter().any(|back| back.path == one.path));
    let door = if plan.moves { Door::Withheld } else { Door::Restore };
    let refused = withheld.iter().map(|one| one.refused(door)).collect();
    let mut moved = Moved { unwritable, withheld: refused, ..Moved::default() };
    (moved.written, moved.removed) = plan.counts();
    if !plan.replaced_edits.is_empty() {
        let (name, number, id) = save_edits(vault, &index, from)?;
        operation = operation.set(name, id);
        moved.saved = Some(number);
    }
    if plan.moves {
        vault.keep_waiting(&withheld, false)?;
    }
    let nonce = Nonce::new(vault.env.random16());
    let journal = worktree::stage(&vault.dot, &plan, &StoredContent(vault), nonce)?;
    let operation = operation.detail("journal", nonce.to_string());
    if let Err(error) = vault.publish(lock, None, operation) {
        worktree::discard(&vault.dot)?;
        return Err(error);
    }
    moved.waiting = carry_out(vault, lock, &journal, (&index, waits)).map_err(unfinished)?;
    moved.count_out_what_waits();
    if plan.moves {
        vault.keep_waiting(&withheld, true)?;
    }
    tell_broken_seals(vault, from, tree)?;
    Ok(moved)
}

/// Looks for edits before a move to `tree`, and remembers the mounts that it puts files on.
fn look_before(vault: &Vault, index: &Index, tree: TreeId) -> Result<worktree::LocalChanges> {
    let seen = worktree::file_system_now(&vault.dot)?;
    let scan = vault.scan_what_is_read(ScanInput {
        root: &vault.root,
        index,
        traits: vault.traits(),
        paths: &[],
        withheld: &vault.withheld_rules(),
        mounts: &vault.mounts()?,
    })?;
    vault.remember_mounts(&scan.mounts, tree)?;
    Ok(worktree::hash_candidates(&vault.root, &scan, Some(seen)))
}

/// Says which files could not be read. Whether there are edits in them nobody knows: they give way to nothing.
fn tell_unread(vault: &mut Vault, local: &worktree::LocalChanges, index: &Index) {
    for skipped in local.skipped.iter().filter(|skipped| index.holds(&skipped.path)) {
        let path = visible_line(&skipped.path);
        match skipped.reason {
            SkipReason::Unreadable => {
                vault.notices.push(format!("{path} cannot be read and stays as it is"));
            }
            SkipReason::NotMounted => {
                vault.notices.push(format!("{path} is not mounted; its files are updated when it is"));
            }
            _ => {}
        }
    }
}

impl Moved {
    /// Counts as written and removed only what was.
    fn count_out_what_waits(&mut self) {
        let missed = |written| self.waiting.iter().filter(|wait| wait.wanted.is_some() == written).count();
        (self.written, self.removed) =
            (self.written.saturating_sub(missed(true)), self.removed.saturating_sub(missed(false)));
    }
}

/// Says which distillates that came into place do not fit their seals.
fn tell_broken_seals(vault: &mut Vault, from: TreeId, to: TreeId) -> Result<()> {
    let broken = broken_seals(&vault.store, &vault.rules_of(to)?, from, to)?;
    for path in broken {
        vault.notices.push(format!("{path} does not fit its .sha256 in this state of the vault"));
    }
    Ok(())
}

/// Stores the whole tree with its edits as a commit that is never sent, and returns the ref for it.
fn save_edits(vault: &Vault, index: &Index, from: TreeId) -> Result<(RefName, u64, crate::object::CommitId)> {
    let mut gathered = gather(vault, index, &[], None)?;
    let tree = write_edited(&vault.store, &mut gathered.writer, from, tree_changes(&gathered.changes))?;
    let draft = CommitDraft { message: "edits that gave way\n".into(), restores: None };
    let commit = vault.draft_commit(tree, vec![vault.at()?], draft)?;
    let id = vault.write_commit(&mut gathered.writer, &commit)?;
    gathered.writer.publish()?;
    let kept = gathered.changes.iter().filter_map(|change| Some((change.path.clone(), change.new?)));
    vault.accept_own(kept.map(|(path, entry)| (path, entry.mode, entry.id)))?;
    let name = vault.log.refs().next_saved();
    let RefName::Saved(number) = name else { unreachable!("the next saved state has a number") };
    Ok((name, number, id))
}

fn unfinished(cause: Error) -> Error {
    Error::Unfinished(Box::new(cause))
}

/// Carries a journal out whose operation is in the log, and returns what could not be changed. `index` and
/// `waits` are of the tree before.
pub(super) fn carry_out(
    vault: &mut Vault,
    lock: &VaultLock,
    journal: &Journal,
    (index, mut waits): (&Index, Waits),
) -> Result<Vec<Wait>> {
    let Finished { tree, updates, displaced, stayed, absent, attributes_lost, waiting } =
        worktree::finish(&vault.root, &vault.dot, journal, &StoredContent(vault))?;
    if !displaced.is_empty() {
        store_displaced(vault, lock, tree, displaced)?;
    }
    for path in stayed {
        vault.notices.push(format!("{path} was being written and stays as it is"));
    }
    for (path, lost) in attributes_lost {
        let notice = format!("{path} was replaced and lost its extended attributes {}", lost.join(", "));
        vault.notices.push(notice);
    }
    for path in absent {
        vault.notices.push(format!("{path} cannot exist on this file system; it stays in the vault"));
    }
    let mark = vault.log_mark();
    let index = waits.as_in_tree(index.clone()).updated(tree, mark, updates);
    for action in &journal.actions {
        let failed = || waiting.iter().any(|wait| wait.path == *action.path());
        if journal.moves || !failed() {
            waits.remove(action.path());
        }
    }
    if journal.moves {
        waiting.iter().for_each(|wait| waits.put(wait.clone()));
    }
    // Before the journal goes: what stands on disk in place of what the tree has must not become an edit.
    waits.save(&vault.dot)?;
    if let Err(error) = index.save(&vault.dot) {
        vault.notices.push(format!("{error}; the next command will be slower, nothing is lost"));
    }
    worktree::discard(&vault.dot)?;
    Ok(waiting)
}

/// Stores edits that an editor saved while files were put into place.
fn store_displaced(
    vault: &mut Vault,
    lock: &VaultLock,
    tree: TreeId,
    displaced: Vec<Displaced>,
) -> Result<()> {
    let mut writer = vault.store.writer()?;
    let mut changes = Vec::new();
    let mut names = Vec::new();
    for Displaced { path, mode, body } in displaced {
        let id = match body {
            DisplacedBody::File(file) => {
                let size = file.stat()?.size;
                writer.add_stream(Kind::Blob, size, &mut crate::fs::FileReader::new(&file), None)?
            }
            DisplacedBody::Target(target) => writer.add(Kind::Blob, &target, None)?,
        };
        names.push(path.to_string());
        changes.push(TreeChange { path, entry: Some(FileEntry { mode, id: BlobId::new(id) }) });
    }
    let name = vault.save_changes(lock, writer, tree, changes, "edits made during a checkout\n")?;
    let notice = format!("edits made meanwhile to {} are kept as {name}", names.join(", "));
    vault.notices.push(notice);
    Ok(())
}

impl Vault {
    /// Stores a file that is about to be replaced and is in no commit, in a commit that is never sent.
    /// Returns the number of the saved state.
    pub(super) fn save_file(
        &mut self,
        lock: &VaultLock,
        path: &VaultPath,
        mode: Mode,
        bytes: &[u8],
    ) -> Result<u64> {
        let mut writer = self.store.writer()?;
        let id = writer.add(Kind::Blob, bytes, None)?;
        let change = TreeChange { path: path.clone(), entry: Some(FileEntry { mode, id: BlobId::new(id) }) };
        let name =
            self.save_changes(lock, writer, self.standing_tree()?, vec![change], "what stood there\n")?;
        let RefName::Saved(number) = name else { unreachable!("the next saved state has a number") };
        Ok(number)
    }

    /// Stores changes to a tree in a commit that is never sent, and returns the ref for it.
    fn save_changes(
        &mut self,
        lock: &VaultLock,
        mut writer: PackWriter,
        base: TreeId,
        changes: Vec<TreeChange>,
        message: &str,
    ) -> Result<RefName> {
        let own = changes.iter().filter_map(|change| Some((change.path.clone(), change.entry?)));
        let own: Vec<_> = own.map(|(path, entry)| (path, entry.mode, entry.id)).collect();
        let saved = write_edited(&self.store, &mut writer, base, changes)?;
        let draft = CommitDraft { message: message.into(), restores: None };
        let commit = self.draft_commit(saved, vec![self.at()?], draft)?;
        let id = self.write_commit(&mut writer, &commit)?;
        let name = self.log.refs().next_saved();
        let operation = self.operation("save").set(name.clone(), id);
        self.publish(lock, Some(writer), operation)?;
        self.accept_own(own)?;
        Ok(name)
    }
}

/// The store as the working tree reads it.
pub(super) struct StoredContent<'a>(pub &'a Vault);

impl Content for StoredContent<'_> {
    fn size(&self, id: BlobId) -> Result<u64, SourceError> {
        match self.0.store.try_info(id.object()) {
            Ok(Some((Kind::Blob, size))) => Ok(size),
            Ok(Some((kind, _))) => Err(SourceError::Invalid {
                kind: Kind::Blob,
                id: id.object(),
                source: format!("it is a {kind}").into(),
            }),
            Ok(None) => Err(SourceError::Missing { kind: Kind::Blob, id: id.object() }),
            Err(error) => Err(SourceError::Read { id: id.object(), source: error.into() }),
        }
    }

    fn read_to(&self, id: BlobId, out: &mut dyn std::io::Write) -> Result<(), SourceError> {
        match self.0.store.read_to(id.object(), out) {
            Ok((Kind::Blob, _)) => Ok(()),
            Ok((kind, _)) => {
                let source = format!("it is a {kind}").into();
                Err(SourceError::Invalid { kind: Kind::Blob, id: id.object(), source })
            }
            Err(error) => Err(SourceError::Read { id: id.object(), source: error.into() }),
        }
    }
}

impl Vault {
    /// Returns what looks at the working tree, and knows which contents are gone for good.
    pub(super) fn look(&self, scratch: &crate::fs::Dir) -> RealLook {
        let stones = self.store.tombstones();
        let gone = stones.iter().filter(|(_, stone)| stone.stage > Stage::Noted);
        RealLook::new(&self.root, scratch).without(gone.map(|(id, _)| BlobId::new(*id)))
    }

    /// Finishes a checkout that was cut, as every command does first. If one is under way now, a reader
    /// of the store goes on and a reader of the tree waits for it.
    pub(super) fn finish_cut_checkout(&mut self, access: Access) -> Result<()> {
        if worktree::journal_stats(&self.dot)?.is_empty() {
            return self.try_what_waits();
        }
        match self.check_journal() {
            Err(error) if error.kind() == ErrorKind::Untrusted && access == Access::Store => {
                self.notices.push(format!("{error}; {}", error.hint()));
                return Ok(());
            }
            other => other?,
        }
        let wait = match access {
            Access::Store => std::time::Duration::ZERO,
            Access::Tree => self.config.lock_wait()?,
        };
        match self.lock_within("finishing a checkout", wait, GateHeld::No) {
            Ok(_lock) => Ok(()),
            Err(Error::Lock(LockError::Held { .. })) if access == Access::Store => Ok(()),
            Err(error) if error.is_read_only() => {
                let notice = "a checkout was cut short and cannot be finished: the file system is read-only";
                self.notices.push(notice.into());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Under the lock: carries out what a killed command had made so, and clears what it had not.
    pub(super) fn resume_checkout(&mut self, lock: &VaultLock) -> Result<()> {
        if !worktree::journal_stats(&self.dot)?.is_empty() {
            self.check_journal()?;
        }
        let journal = match worktree::pending_journal(&self.dot)? {
            None => return Ok(()),
            Some(Pending::Rubbish) => return Ok(worktree::discard(&self.dot)?),
            Some(Pending::Staged(journal)) => journal,
        };
        let nonce = journal.nonce.to_string();
        let mut has_happened = journal.again && journal.to == self.standing_tree()?;
        for operation in self.log.operations().take(OPERATIONS_LOOKED_AT) {
            has_happened |= operation?.detail.get("journal").and_then(|n| n.as_str()) == Some(&nonce);
        }
        if !has_happened {
            return Ok(worktree::discard(&self.dot)?);
        }
        // It was seen; it may be that of a process which was killed before its sync.
        self.log.settle()?;
        let (index, waits) = self.index_and_waits(journal.from)?;
        let waiting = carry_out(self, lock, &journal, (&index, waits)).map_err(unfinished)?;
        if !journal.again {
            self.notices.push("a checkout that was cut short has been finished".into());
            self.notices.extend(waiting.iter().map(super::waits::words));
        }
        Ok(())
    }
}
