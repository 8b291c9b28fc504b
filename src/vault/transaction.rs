//! Changing a vault: lock, content, one append to the log, and then the caches.

use std::collections::BTreeSet;
use std::time::Duration;

use super::open::LOCK;
use super::{Result, Vault};
use crate::fs::Lock;
use crate::object::{Commit, CommitId, Kind, Lamport, Signature, Source, TreeId};
use crate::oplog::{NewOperation, Operation};
use crate::store::PackWriter;

/// The vault's lock, as a proof that its holder may change the vault.
#[must_use = "the lock is given back when this is dropped"]
pub struct VaultLock {
    _lock: Lock,
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
        let wait = self.config.lock_wait()?;
        let lock = self.lock_within(act, wait)?;
        Ok(lock)
    }

    pub(super) fn lock_within(&mut self, act: &str, wait: Duration) -> Result<VaultLock> {
        let session = self.session.as_ref().map(|s| format!(" in session {s}")).unwrap_or_default();
        let holder = format!("`mvault {act}`{session}, process {}", std::process::id());
        let lock = VaultLock { _lock: Lock::acquire(&self.dot, LOCK, wait, &holder)? };
        // Before anything that is found there is believed.
        self.make_private()?;
        self.log.refresh()?;
        // While this one waited a compaction may have dropped what was listed: it would count as stored.
        self.store.refresh()?;
        self.recall_log()?;
        self.resume_checkout(&lock)?;
        self.put_what_waits(&lock)?;
        self.resume_purge(&lock)?;
        Ok(lock)
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
        let branches = refs.branches().map(|(_, id)| id);
        let remotes = refs.remotes().flat_map(|(_, _, heads)| heads.iter().copied());
        for id in branches.chain(remotes).collect::<BTreeSet<_>>() {
            max = max.max(self.store.find_commit(id)?.lamport);
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
        NewOperation::new(op, self.env.clock.now(), &self.config.device, &self.actor)
            .session(self.session.clone())
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
