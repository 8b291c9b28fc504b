//! What waits: paths that a move could not change, tried again by every command that comes to the vault's
//! lock, and never taken for edits meanwhile.
//!
//! - A file that still stands as the move found it is no change. An edit of it is one, and is refused at
//!   commit: it was made on a version that the vault has left behind, and would take back what came since.
//! - Trying again goes through a journal as every move does. It has no operation of its own: it happened
//!   with the move that it goes on with.
//! - Nothing here fails a command: what cannot be done goes on waiting, and `status` lists it.

use std::time::Duration;

use super::admission::{Admission, Finding};
use super::gather::Gathered;
use super::moving::{StoredContent, carry_out};
use super::refusal::{Refused, os};
use super::transaction::GateHeld;
use super::{Error, Result, Vault, VaultLock};
use crate::fs::LockError;
use crate::gateway::Reason;
use crate::object::VaultPath;
use crate::worktree::{self, Change, Edits, Nonce, Plan, PlanInput, ScanInput, Wait, Waits};

/// So many paths are named in one notice.
const NAMED_MAX: usize = 5;

/// Lists the paths that wait, sorted.
pub fn waiting_paths(vault: &Vault) -> Result<Vec<Wait>> {
    let (_, waits) = vault.index_and_waits(vault.standing_tree()?)?;
    Ok(waits.iter().cloned().collect())
}

/// Says that a path waits, and why.
pub(super) fn words(wait: &Wait) -> String {
    format!("{} could not be updated and waits: {}", wait.path, wait.why)
}

/// Returns `true` for a change that only brings what waits: a command that was cut put it there, or somebody
/// by hand.
pub(super) fn is_in_place(waits: &Waits, change: &Change) -> bool {
    waits.find(&change.path).is_some_and(|wait| wait.wanted == change.new)
}

/// Takes out of what is about to be committed all that would undo what waits, and refuses it. Returns what
/// still waits if the rest is committed.
pub(super) fn leave_what_waits(
    admission: &Admission<'_>,
    gathered: &mut Gathered,
    mut waits: Waits,
) -> Waits {
    if waits.is_empty() {
        return waits;
    }
    let mut settled = Vec::new();
    for change in std::mem::take(&mut gathered.changes) {
        if is_in_place(&waits, &change) {
            continue;
        }
        let Some(wait) = waits.undone_by(&change.path) else {
            gathered.changes.push(change);
            continue;
        };
        if admission.permits(Reason::Waiting, &change.path) {
            settled.push(change.path.clone());
            gathered.changes.push(change);
            continue;
        }
        let finding = Finding::new(Reason::Waiting).detail(wait.why.clone());
        let mut refused = Refused::new(change.path.as_bytes(), finding);
        refused.blob = change.new.map(|new| new.id);
        gathered.refused.push(refused);
    }
    gathered.refused.sort_by(|a, b| a.path.cmp(&b.path));
    for path in settled {
        waits.settle(&path);
    }
    waits
}

impl Vault {
    /// Tries again what waits, and completes a cut line of a stream, if nobody else holds the lock: when a
    /// vault is opened.
    pub(super) fn try_what_waits(&mut self) -> Result<()> {
        // A damaged list is reported by those who need it.
        let nothing_waits = Waits::load(&self.dot).map_or(true, |waits| waits.is_empty());
        if nothing_waits && !self.has_cut_append() {
            return Ok(());
        }
        match self.lock_within("updating files that wait", Duration::ZERO, GateHeld::No) {
            Ok(_) | Err(Error::Lock(LockError::Held { .. })) => Ok(()),
            // A vault that this user may only read.
            Err(error) if error.is_read_only() || error.is_denied() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Under the lock: puts into place what waits and can be by now.
    pub(super) fn put_what_waits(&mut self, lock: &VaultLock) -> Result<()> {
        if Waits::load(&self.dot).map_or(true, |waits| waits.is_empty()) {
            return Ok(());
        }
        if let Err(error) = self.put_what_can_be(lock) {
            self.notices.push(format!("files that wait could not be tried again: {error}"));
        }
        Ok(())
    }

    fn put_what_can_be(&mut self, lock: &VaultLock) -> Result<()> {
        let tree = self.standing_tree()?;
        let (index, waits) = self.index_and_waits(tree)?;
        let mut possible = Waits::default();
        let unmounted = self.unmounted()?;
        let may_change = |path: &VaultPath| {
            !unmounted.iter().any(|folder| path.is_within(folder)) && self.may_change(path)
        };
        waits.iter().filter(|wait| may_change(&wait.path)).for_each(|wait| possible.put(wait.clone()));
        if possible.is_empty() {
            return Ok(());
        }
        let paths: Vec<VaultPath> = possible.iter().map(|wait| wait.path.clone()).collect();
        let seen = worktree::file_system_now(&self.dot)?;
        let scan = worktree::scan(ScanInput {
            root: &self.root,
            index: &index,
            traits: self.traits(),
            paths: &paths,
            withheld: &self.withheld_rules(),
            mounts: &self.mounts()?,
        })?;
        let local = worktree::hash_candidates(&self.root, &scan, Some(seen));
        let input = PlanInput {
            source: &self.store,
            from: tree,
            to: tree,
            index: &index,
            waits: &possible,
            local: &local,
            traits: self.traits(),
            edits: Edits::Carry,
            paths: &[],
        };
        let scratch = self.dot.open_or_create_dir("tmp")?;
        let mut look = self.look(&scratch).withholding(self.waiting_blobs()?);
        let mut plan = worktree::plan(input, &mut look)?;
        plan.again = true;
        // Nothing but these is this plan's business.
        plan.actions.retain(|action| possible.find(action.path()).is_some());
        plan.in_the_way.clear();
        if plan.actions.is_empty() {
            return Ok(());
        }
        let journal = self.stage_again(&plan)?;
        let left = carry_out(self, lock, &journal, (&index, waits))?;
        let is_left = |path: &VaultPath| left.iter().any(|wait| wait.path == *path);
        let mut placed: Vec<&VaultPath> = plan.actions.iter().map(worktree::Action::path).collect();
        placed.retain(|path| !is_left(path));
        placed.dedup();
        if !placed.is_empty() {
            let mut names: Vec<String> = placed.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            if placed.len() > NAMED_MAX {
                names.push(format!("{} more", placed.len() - NAMED_MAX));
            }
            self.notices.push(format!("up to date now, after waiting: {}", names.join(", ")));
        }
        Ok(())
    }

    fn stage_again(&self, plan: &Plan) -> Result<worktree::Journal> {
        let nonce = Nonce::new(self.env.random16());
        Ok(worktree::stage(&self.dot, plan, &StoredContent(self), nonce)?)
    }

    /// Returns `true` if it is worth trying to change a path: its folder, or the nearest one above it that
    /// exists, can be written as far as the system says.
    fn may_change(&self, path: &VaultPath) -> bool {
        let mut dir = self.root.clone();
        for part in path.parent().iter().flat_map(VaultPath::parts) {
            dir = match dir.open_dir(os(part)) {
                Ok(inner) => inner,
                Err(error) if error.is_gone() => break,
                Err(_) => return false,
            };
        }
        dir.may_change()
    }
}
