//! A vault as a sync session sees it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::commit::{CommitRequest, commit_locked};
use super::peers::{Oddity, PeerMemory};
use super::purge::announce;
use super::reconcile::{Accepts, ReconcileOutcome, begin_locked, reconcile_locked};
use super::refusal::Refused;
use super::transaction::GateHeld;
use super::{Error, ErrorKind, Hold, OpenOptions, Result, Vault, VaultLock};
use crate::fs;
use crate::gateway::Reason;
use crate::merge::{self, RULE_VERSION};
use crate::object::{CommitId, Source};
use crate::oplog::{Label, NewOperation, RefName, RefTarget};
use crate::store::Store;
use crate::sync::session::{Call, Opener};
use crate::sync::{
    self, Anchor, Branch, Endpoint, HeadState, Identity, OpenGate, Outcome, Peer, Received, Refusal,
    RefusalKind,
};

/// What an end of a session is to do besides exchanging objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Exchange only.
    Fetch,
    /// Reconcile with what came.
    Pull,
    /// Give only.
    Push,
    /// Commit the own side first, reconcile with what came.
    Sync,
    /// The far end: commit the own side first, reconcile with what came.
    Serve,
    /// The far end that changes nothing of its own.
    ServeReadOnly,
    /// No other end: commit the own side first, give into a file.
    Bundle,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Verb::Fetch => "fetch",
            Verb::Pull => "pull",
            Verb::Push => "push",
            Verb::Sync => "sync",
            Verb::Serve | Verb::ServeReadOnly => "receive",
            Verb::Bundle => "bundle",
        }
    }

    fn commits_first(self) -> bool {
        matches!(self, Verb::Sync | Verb::Serve | Verb::Bundle)
    }

    fn reconciles(self) -> bool {
        matches!(self, Verb::Pull | Verb::Sync | Verb::Serve)
    }
}

/// One end of a session over a vault.
pub struct VaultEndpoint {
    /// The vault.
    pub vault: Vault,
    verb: Verb,
    allows_unrelated: bool,
    /// What a person lets through this once, of the own side's edits and of what comes.
    pub accepts: Accepts,
    /// Whether the other side is a file: one that this device made itself may come back.
    pub reads_bundle: bool,
    peer: Option<Peer>,
    /// What is odd about the other side, to be remembered with it.
    oddity: Option<Oddity>,
    /// What reconcile came to, for the command that started the session.
    pub reconciled: Option<ReconcileOutcome>,
    /// The commit that was made of the own side's edits.
    pub committed: Option<CommitId>,
    /// What of the own side's edits was not taken.
    pub refused: Vec<Refused>,
    /// What was received.
    pub received: Received,
    /// Calls with how far the transfer is.
    pub on_progress: Option<Box<dyn FnMut(sync::Progress)>>,
}

impl VaultEndpoint {
    /// Makes an end of a session; `allows_unrelated` lets another vault's history in.
    pub fn new(vault: Vault, verb: Verb, allows_unrelated: bool) -> VaultEndpoint {
        VaultEndpoint {
            vault,
            verb,
            allows_unrelated,
            accepts: Accepts::default(),
            reads_bundle: false,
            peer: None,
            oddity: None,
            reconciled: None,
            committed: None,
            refused: Vec::new(),
            received: Received::default(),
            on_progress: None,
        }
    }

    /// Returns the other side, once it has introduced itself.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Commits the own side's edits, as far as they can be, so that a pull brings what nobody committed.
    fn commit_first(&mut self) -> Result<()> {
        if !self.verb.commits_first() || self.vault.parked().is_some() || self.vault.log.refs().at().is_none()
        {
            return Ok(());
        }
        let lock = self.vault.lock(self.verb.name())?;
        let allowed = self.accepts.allowed.clone();
        let request = CommitRequest { operation: "commit", allowed, ..CommitRequest::default() };
        let outcome = commit_locked(&mut self.vault, &lock, &request)?;
        self.committed = outcome.commit.map(|(id, _)| id);
        self.refused = outcome.refused;
        Ok(())
    }

    /// Commits the own side's edits, lets `choose` narrow what this vault would offer, and logs what is left,
    /// before a byte of it leaves in a file.
    pub(super) fn offer_chosen(
        &mut self,
        choose: impl FnOnce(&Vault, Vec<Branch>) -> Result<Vec<Branch>>,
    ) -> Result<Vec<Branch>> {
        if self.verb == Verb::Bundle && is_on_read_only_disk(&self.vault) {
            self.verb = Verb::ServeReadOnly;
        }
        self.commit_first()?;
        let branches = choose(&self.vault, self.branches()?)?;
        self.log_offer(&branches)?;
        Ok(branches)
    }

    fn branches(&self) -> Result<Vec<Branch>> {
        let refs = self.vault.log.refs();
        let mut labels: BTreeSet<Label> = refs.branches().map(|(label, _)| label.clone()).collect();
        labels.extend(refs.remotes().map(|(_, label, _)| label.clone()));
        let aside = self.vault.aside();
        let mut branches = Vec::new();
        for label in labels {
            let mut known: Vec<CommitId> = refs.branch(&label).into_iter().collect();
            for head in &known {
                self.vault.store.find_commit(*head)?;
            }
            for (_, _, heads) in refs.remotes().filter(|(_, of, _)| **of == label) {
                known.extend(heads.iter().filter(|head| !aside.contains(head)));
            }
            let heads = merge::offer(&self.vault.store, &known)?;
            if sync::is_branch_name(label.as_str()) {
                branches.push(Branch { name: label.to_string(), heads });
            }
        }
        Ok(branches)
    }

    /// Logs what is about to leave, unless the log says already that it was offered.
    fn log_offer(&mut self, branches: &[Branch]) -> Result<()> {
        let ids: Vec<String> =
            branches.iter().flat_map(|b| b.heads.iter()).map(ToString::to_string).collect();
        for operation in self.vault.log.operations() {
            let operation = operation?;
            if operation.op == "offered" {
                if operation.detail.get("heads") == Some(&serde_json::json!(ids)) {
                    return Ok(());
                }
                break;
            }
        }
        let logged = self.vault.lock(self.verb.name()).and_then(|lock| {
            let operation = self.vault.operation("offered").detail("heads", ids);
            self.vault.publish(&lock, None, operation)
        });
        match logged {
            // What is read-only cannot be undone either: the record is needed for undo alone.
            Err(error) if error.is_read_only() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn judge(&mut self, peer: &Peer) -> Result<(), Refusal> {
        let own = self.identity();
        let theirs = &peer.identity;
        if theirs.vault.is_some()
            && own.vault.is_some()
            && theirs.vault != own.vault
            && !self.allows_unrelated
        {
            let text = match self.reads_bundle {
                true => format!("it is of another vault, which {} keeps; nothing was taken", theirs.device),
                false => format!("{} keeps another vault; nothing was exchanged", theirs.device),
            };
            return Err(Refusal::new(RefusalKind::Unrelated, text)
                .with_hint("if the two are to become one: the same command with `--allow unrelated`"));
        }
        if theirs.device == own.device && theirs.epoch != own.epoch {
            let text = format!("both devices are called {}", own.device);
            return Err(Refusal::new(RefusalKind::SameName, text)
                .with_hint("give one of them another name: `device.name` in .mvault/config.toml"));
        }
        if theirs.device == own.device && self.reads_bundle {
            return Ok(());
        }
        if theirs.device == own.device {
            return Err(Refusal::new(RefusalKind::Itself, "the other side is this very vault")
                .with_hint("a copied folder is not a second device: use `mvault clone`"));
        }
        let peers = self.vault.peers().map_err(refusal)?;
        let Some(known) = peers.get(theirs.device.as_str()) else { return Ok(()) };
        let text = if known.epoch != hex::encode(theirs.epoch) {
            format!("{} is not the device of that name that was met before", theirs.device)
        } else if theirs.anchor.is_some_and(|anchor| anchor.seq < known.seq) {
            format!(
                "the log of {} went backwards since it was last met: it may have been restored from a backup",
                theirs.device
            )
        } else {
            return Ok(());
        };
        self.vault.notices.push(text.clone());
        self.oddity = Some(Oddity { text, noticed: self.vault.env.clock.now().rfc3339() });
        Ok(())
    }

    /// Logs what came while `gate` is still open: until then nothing leads to it.
    fn accept_refs(&mut self, peer: &Peer, received: &Received, gate: Option<OpenGate>) -> Result<()> {
        if self.is_own(peer) && received.commits.is_empty() {
            return Ok(()); // a bundle of this device came back and has nothing that is not here
        }
        let held = if gate.is_some() { GateHeld::Open } else { GateHeld::No };
        let lock = self.vault.lock_at_gate(self.verb.name(), held)?;
        let mut operation = self
            .vault
            .operation("fetch")
            .detail("from", peer.identity.device.to_string())
            .detail("commits", received.commits.len());
        for branch in &received.offered {
            let Ok(label) = Label::parse(&branch.name) else { continue };
            let name = RefName::Remote(peer.identity.device.clone(), label);
            let old = self.vault.ref_set(&name);
            for head in &branch.heads {
                self.vault.store.find_commit(*head)?;
                if self.vault.aside().contains(head) {
                    let (device, head) = (&peer.identity.device, head.short());
                    let notice =
                        format!("{device} offers {head} again, which was set aside; it stays set aside");
                    self.vault.notices.push(notice);
                }
            }
            let merged = merge::merge_remote_ref(&self.vault.store, &old, &branch.heads)?;
            if !merged.is_empty() {
                operation = operation.set(name, RefTarget::Set(merged.into_iter().collect()));
            }
        }
        if received.objects > 0 {
            self.vault.list_returned()?;
        }
        if let Some(oddity) = &self.oddity {
            operation = operation.detail("oddity", oddity.text.clone());
        }
        if self.oddity.is_some() || operation.moves(self.vault.log.refs()) {
            self.publish_offer(&lock, operation, received)?;
        }
        drop(gate);
        match self.vault.try_remove_due(&lock) {
            // Another session is receiving: they stay on the list, and the next command removes them.
            Err(error) if error.kind() == ErrorKind::Locked => {}
            other => drop(other?),
        }
        self.remember(peer)
    }

    /// Appends the operation that makes what came known, and takes note of the tombstones in it.
    fn publish_offer(
        &mut self,
        lock: &VaultLock,
        operation: NewOperation,
        received: &Received,
    ) -> Result<()> {
        let heads: Vec<CommitId> = received.offered.iter().flat_map(|b| b.heads.iter().copied()).collect();
        let purges = self.vault.purges_brought(&heads)?;
        if purges.is_empty() {
            return self.vault.publish(lock, None, operation).map(|_| ());
        }
        self.vault.forget_purged()?;
        self.vault.publish(lock, None, operation)?;
        self.vault.note_purges(&purges, &BTreeSet::new())?;
        let notices = announce(&self.vault, &purges)?;
        self.vault.notices.extend(notices);
        Ok(())
    }

    fn is_own(&self, peer: &Peer) -> bool {
        peer.identity.device == self.vault.config.device
    }

    fn remember(&mut self, peer: &Peer) -> Result<()> {
        if self.is_own(peer) {
            return Ok(());
        }
        let identity = &peer.identity;
        let epoch = hex::encode(identity.epoch);
        let seen = self.vault.env.clock.now().rfc3339();
        let known = self.vault.peers()?.remove(identity.device.as_str());
        let oddity = self.oddity.clone().or_else(|| known.as_ref().and_then(|known| known.oddity.clone()));
        let memory = match (identity.anchor, known) {
            (Some(Anchor { seq, hash }), _) => {
                PeerMemory { epoch, seq, hash: hex::encode(hash), seen, oddity }
            }
            // A bundle says nothing of its maker's log: what is remembered of that holds on.
            (None, Some(known)) if known.epoch == epoch => PeerMemory { seen, oddity, ..known },
            (None, _) => PeerMemory { epoch, seen, oddity, ..PeerMemory::default() },
        };
        self.vault.remember_peer(&identity.device, memory)
    }

    fn settle_here(&mut self) -> Result<Outcome> {
        if self.verb.reconciles() {
            let lock = self.vault.lock(self.verb.name())?;
            let operation = self.vault.operation(self.verb.name());
            let offered: Vec<CommitId> = self.vault.offered().into_iter().collect();
            self.reconciled = Some(if self.vault.log.refs().head().is_some() {
                reconcile_locked(&mut self.vault, &lock, operation, &offered, &self.accepts)?
            } else {
                begin_locked(&mut self.vault, &lock, operation)?
            });
        }
        let head = self.vault.log.refs().head();
        let mut known: Vec<CommitId> = self.vault.offered().into_iter().chain(self.vault.held()).collect();
        known.extend(head);
        let hold = self.reconciled.as_ref().and_then(|outcome| outcome.on_hold.clone());
        let state = match hold {
            None if self.verb.reconciles() => HeadState::Settled,
            None => HeadState::Held,
            Some(Hold::Parked) => HeadState::Parked,
            Some(Hold::Dirty(_)) => HeadState::Dirty,
            Some(Hold::UnknownRule(_)) => HeadState::RuleUnknown,
            Some(Hold::Guarded(_) | Hold::Session(_) | Hold::TooMany) => HeadState::Held,
        };
        let pending =
            self.reconciled.as_ref().map_or(0, |outcome| outcome.pending.len() + outcome.stuck.len());
        Ok(Outcome {
            frontier: merge::offer(&self.vault.store, &known)?,
            head,
            pending: u32::try_from(pending).unwrap_or(u32::MAX),
            state: if self.verb == Verb::ServeReadOnly { HeadState::ReadOnly } else { state },
        })
    }
}

impl Endpoint for VaultEndpoint {
    fn identity(&self) -> Identity {
        // The last one there is, durable or not: which one is known to be durable depends on what this
        // process did and may go back from one session to the next, and the other side takes that for a
        // restored backup.
        let last = self.vault.log.last();
        Identity {
            device: self.vault.config.device.clone(),
            epoch: self.vault.config.epoch_bytes(),
            vault: self.vault.config.vault,
            anchor: Some(Anchor { seq: last.seq, hash: *last.hash.as_bytes() }),
            rule: RULE_VERSION,
        }
    }

    fn offer(&mut self, gives: bool) -> Result<Vec<Branch>, Refusal> {
        if gives {
            self.commit_first().map_err(refusal)?;
        }
        let branches = self.branches().map_err(refusal)?;
        if gives && !branches.is_empty() {
            self.log_offer(&branches).map_err(refusal)?;
        }
        Ok(branches)
    }

    fn meet(&mut self, peer: &Peer) -> Result<(), Refusal> {
        self.judge(peer)?;
        if let (None, Some(vault)) = (self.vault.config.vault, peer.identity.vault) {
            self.vault.config.set_vault(vault);
            self.vault.save_config().map_err(refusal)?;
        }
        self.peer = Some(peer.clone());
        Ok(())
    }

    fn store(&self) -> &Store {
        &self.vault.store
    }

    /// A vault that has no head yet has no rules either: the file that holds them is among what comes.
    fn limits(&self) -> sync::Limits {
        let is_allowed = self.accepts.allowed.iter().any(|allowance| allowance.reason == Reason::TooLarge);
        let rules = match (is_allowed, self.vault.log.refs().head()) {
            (false, Some(_)) => self.vault.standing_tree().and_then(|tree| self.vault.protections(tree)).ok(),
            _ => None,
        };
        let file_bytes_max = rules.map_or(u64::MAX, |rules| rules.limits().file_bytes_max);
        sync::Limits { file_bytes_max, ..sync::Limits::default() }
    }

    fn gate_wait(&self) -> Duration {
        // The settings were checked when the vault was opened.
        self.vault.config.lock_wait().unwrap_or_default()
    }

    fn allows_unrelated(&self) -> bool {
        self.allows_unrelated
    }

    fn reads_bundle(&self) -> bool {
        self.reads_bundle
    }

    fn incoming(&self) -> Result<fs::Dir, Refusal> {
        self.vault.dot.open_or_create_dir("incoming").map_err(|error| refusal(error.into()))
    }

    fn accept(&mut self, peer: &Peer, received: &Received, gate: Option<OpenGate>) -> Result<(), Refusal> {
        self.received = received.clone();
        self.accept_refs(peer, received, gate).map_err(refusal)
    }

    fn given(&mut self, peer: &Peer, _knows: &[CommitId]) -> Result<(), Refusal> {
        match self.remember(peer) {
            Err(error) if error.is_read_only() => Ok(()),
            other => other.map_err(refusal),
        }
    }

    fn settle(&mut self) -> Result<Outcome, Refusal> {
        self.settle_here().map_err(refusal)
    }

    fn progress(&mut self, progress: sync::Progress) {
        if let Some(show) = &mut self.on_progress {
            show(progress);
        }
    }
}

/// Returns an error as the other side may hear it.
fn refusal(error: Error) -> Refusal {
    let kind = match error.kind() {
        ErrorKind::NotAVault => RefusalKind::NotAVault,
        ErrorKind::NewerFormat => RefusalKind::NewerFormat,
        ErrorKind::Locked => RefusalKind::Locked,
        ErrorKind::Damage => RefusalKind::Damaged,
        ErrorKind::Disk if error.is_read_only() => RefusalKind::ReadOnly,
        _ => RefusalKind::Other,
    };
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let text = error.to_string();
        // The system's own number for it means nothing on another device.
        let text = text.split(" (os error ").next().unwrap_or(&text);
        message = format!("{message}: {text}");
        cause = error.source();
    }
    Refusal::new(kind, message).with_hint(error.hint())
}

/// Tells whether the vault lies where nobody can write, as on a stick that is locked: what it has can be
/// fetched all the same.
fn is_on_read_only_disk(vault: &Vault) -> bool {
    let opened = vault.dot.open_write(super::open::LOCK);
    opened.is_err_and(|error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
}

/// Returns what opens the vault in `path` for a session's far end. A vault that nobody can write is served
/// read-only, whatever was asked.
pub fn opener_of<'e>(path: PathBuf, options: OpenOptions, verb: Verb) -> Opener<'e> {
    Box::new(move |_call: &Call| {
        let vault = Vault::open(&path, options).map_err(|error| match error {
            Error::Disk(ref disk) if disk.is_not_found() => {
                Refusal::new(RefusalKind::NotAVault, format!("there is nothing at {}", crate::fs::shown(path)))
                    .with_hint("check the path; on another machine one without a slash at its beginning starts in the home folder")
            }
            other => refusal(other),
        })?;
        let verb =
            if verb == Verb::Serve && is_on_read_only_disk(&vault) { Verb::ServeReadOnly } else { verb };
        Ok(Box::new(VaultEndpoint::new(vault, verb, false)) as Box<dyn Endpoint>)
    })
}

/// Removes what a clone made that got nothing yet. What has anything in it stays, and the same command goes
/// on with it. The user's files in the folder stay in any case.
pub fn abandon_clone(vault: Vault) -> Result<()> {
    let has_nothing = vault.log.last().seq == 1
        && vault.store.stats()?.packs == 0
        && vault.quarantined()?.is_empty()
        && vault.rejection_sessions()?.is_empty();
    if has_nothing && vault.log.refs().head().is_none() {
        let root = vault.root.clone();
        drop(vault);
        fs::remove_tree(&root, super::DOT)?;
    }
    Ok(())
}
