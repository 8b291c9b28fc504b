//! Changing a vault: lock, content, one append to the log, and then the caches.

use std::collections::BTreeSet;
use std::time::Duration;

use super::open::LOCK;
use super::refusal::{QUARANTINE, REJECTIONS};
use super::session::SESSIONS;
use super::{Result, Vault};
use crate::fs::{self, Lock};
use crate::gateway::secrets;
use crate::object::{Commit, CommitId, Kind, Lamport, Signature, Source, TreeId};
use crate::oplog::{NewOperation, Operation};
use crate::store::PackWriter;
use crate::sync::ClosedGate;

/// The folder of temporary files.
const SCRATCH: &str = "tmp";

/// The vault's lock, as a proof that its holder may change the vault.
#[must_use = "the lock is given back when this is dropped"]
pub struct VaultLock {
    _lock: Lock,
}

/// What the taker of the lock has already done about the gate, which is taken first.
#[derive(Clone, Copy)]
pub(super) enum GateHeld<'g> {
    /// Nothing.
    No,
    /// It keeps the gate open: what was purged is removed by a later command.
    Open,
    /// It has closed the gate.
    Closed(&'g ClosedGate),
}

/// What a new commit is besides its tree and parents.
#[derive(Clone, Debug, Default)]
pub struct CommitDraft {
    /// The message.
    pub message: String,
    /// The commit whose tree is brought back.
    pub restores: Option<CommitId>,
}

impl Vault {
    /// Takes the vault's lock, catches up with what others did meanwhile and finishes a cut checkout or
    /// purge.
    /// `act` is what the holder does, shown to others who wait.
    pub fn lock(&mut self, act: &str) -> Result<VaultLock> {
        self.lock_at_gate(act, GateHeld::No)
    }

    /// As [`Vault::lock`], for a caller that has passed or closed the gate before.
    pub(super) fn lock_at_gate(&mut self, act: &str, gate: GateHeld<'_>) -> Result<VaultLock> {
        let wait = self.config.lock_wait()?;
        self.lock_within(act, wait, gate)
    }

    /// Describes this process to others who wait for it.
    pub(super) fn holder(&self, act: &str) -> String {
        let session = self.session.as_ref().map(|s| format!(" in session {s}")).unwrap_or_default();
        format!("`mvault {act}`{session}, process {}", std::process::id())
    }

    pub(super) fn lock_within(&mut self, act: &str, wait: Duration, gate: GateHeld<'_>) -> Result<VaultLock> {
        let lock = VaultLock { _lock: Lock::acquire(&self.dot, LOCK, wait, &self.holder(act))? };
        // Before anything that is found there is believed.
        self.make_private()?;
        self.remove_scratch();
        self.log.refresh()?;
        // While this one waited a compaction may have dropped what was listed: it would count as stored.
        self.store.refresh()?;
        self.recall_log()?;
        self.resume_checkout(&lock)?;
        self.put_what_waits(&lock)?;
        self.resume_append()?;
        self.resume_purge(&lock, gate)?;
        Ok(lock)
    }

    /// Removes what killed processes left in the folder of temporary files and beside the files of `.mvault`. That it
    /// cannot be removed harms nothing.
    fn remove_scratch(&mut self) {
        let scratch = self.dot.open_dir(SCRATCH).and_then(|dir| fs::remove_abandoned(&*self.disk, &dir));
        self.note_leftovers(SCRATCH, scratch);
        let beside = fs::remove_abandoned_temps(&*self.disk, &self.dot);
        self.note_leftovers("", beside);
    }

    /// Does the same in the folders of small files, which can be long.
    pub(super) fn remove_leftover_temps(&mut self) {
        for name in [SESSIONS, REJECTIONS, QUARANTINE] {
            let removed =
                self.dot.open_dir(name).and_then(|dir| fs::remove_abandoned_temps(&*self.disk, &dir));
            self.note_leftovers(name, removed);
        }
    }

    fn note_leftovers(&mut self, folder: &str, removed: fs::Result<()>) {
        if let Err(error) = removed
            && !error.is_not_found()
        {
            self.notices
                .push(format!("could not remove what a killed command left in .mvault/{folder}: {error}"));
        }
    }

    /// Makes a commit object for this device, stamped above its parents and all that was seen.
    pub fn draft_commit(&self, tree: TreeId, parents: Vec<CommitId>, draft: CommitDraft) -> Result<Commit> {
        let mut parents_max = Lamport::default();
        for parent in &parents {
            parents_max = parents_max.max(self.store.find_commit(*parent)?.lamport);
        }
        let now = self.env.clock.now();
        let email = format!("{}@{}", self.actor, self.config.device);
        let who = Signature::new(&self.actor, &email, now.seconds(), now.offset_minutes);
        Ok(Commit {
            tree,
            parents,
            author: who.clone(),
            committer: who,
            lamport: Lamport::next(parents_max, self.seen_max()?),
            device: Some(self.config.device.clone()),
            session: self.session.clone(),
            restores: draft.restores,
            reconcile: None,
            vault: None,
            purges: Vec::new(),
            extra: Vec::new(),
            message: draft.message.replace('\0', " ").into(),
        })
    }

    /// Returns the greatest stamp of all heads known here.
    fn seen_max(&self) -> Result<Lamport> {
        let mut max = Lamport::default();
        let refs = self.log.refs();
        for (_, id) in refs.branches() {
            max = max.max(self.store.find_commit(id)?.lamport);
        }
        let remotes = refs.remotes().flat_map(|(_, _, heads)| heads.iter().copied());
        for id in remotes.collect::<BTreeSet<_>>() {
            // A head of another device that cannot be read keeps nobody from committing.
            max = max.max(self.store.find_commit(id).map_or(max, |commit| commit.lamport));
        }
        Ok(max)
    }

    /// Adds a commit object to a pack, as a delta on its first parent.
    pub fn write_commit(&self, writer: &mut PackWriter, commit: &Commit) -> Result<CommitId> {
        let base = commit.parents.first().map(|p| p.object());
        Ok(CommitId::new(writer.add(Kind::Commit, &commit.encode(), base)?))
    }

    /// Starts an operation of this vault's device, actor and session.
    pub fn operation(&self, op: &str) -> NewOperation {
        // A host or a script may make a session's id of anything, and the log never forgets.
        let session = self.session.clone().filter(|id| secrets::scan(id.as_str().as_bytes()).is_empty());
        NewOperation::new(op, self.env.clock.now(), &self.config.device, &self.actor)
            .session(session)
            .args(self.args.iter().cloned())
    }

    /// Makes a change happen: publishes its content, then appends its operation. Before the append
    /// nothing is visible, after it everything is.
    pub fn publish(
        &mut self,
        _lock: &VaultLock,
        content: Option<PackWriter>,
        operation: NewOperation,
    ) -> Result<Operation> {
        if let Some(writer) = content {
            writer.publish_merging()?;
        }
        let operation = self.log.append(operation)?;
        self.remember_log();
        Ok(operation)
    }
}
