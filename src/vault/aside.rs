//! Heads that a person set aside, and heads that cannot be processed.
//!
//! - A head that cannot be processed stops nothing else: it is left out, named, and tried again each time, so
//!   that a repair or a newer program takes it in.
//! - A head that is set aside is not tried and not offered on, until it is asked for again by `reconcile --with`
//!   or `undo`. It stays known, with all that it rests on, and arriving once more changes nothing. A new commit
//!   of its device is another head, which comes in as any does.
//! - Which heads are set aside is a ref, so that it moves with the operation that says so.

use std::collections::BTreeSet;
use std::io;

use super::{Error, ErrorKind, Result, Vault};
use crate::merge::{History, Stuck};
use crate::object::{CommitId, DeviceName, Source};
use crate::oplog::{NewOperation, RefName, RefTarget};
use crate::{fs, worktree};

/// The fewest digits of an id that name a head.
const ID_DIGITS_MIN: usize = 4;

/// Heads that are to be set aside, or taken in again, each by the name of its device or by its id.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Whose heads are set aside.
    pub without: Vec<String>,
    /// Whose heads come in again.
    pub with: Vec<String>,
}

impl Selection {
    /// Returns whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.without.is_empty() && self.with.is_empty()
    }
}

/// Sets the heads of a device aside that this device's head does not know, and moves nothing else. Returns them.
pub fn set_aside(vault: &mut Vault, whom: &str) -> Result<Vec<CommitId>> {
    let lock = vault.lock("remote")?;
    let operation = vault.operation("set-aside");
    let selection = Selection { without: vec![whom.to_owned()], with: Vec::new() };
    let (operation, set_aside) = vault.select(operation, &selection)?;
    if operation.moves(vault.log.refs()) {
        vault.publish(&lock, None, operation)?;
    }
    Ok(set_aside)
}

impl Vault {
    /// Returns the heads that are set aside.
    pub fn aside(&self) -> BTreeSet<CommitId> {
        self.ref_set(&RefName::Aside).into_iter().collect()
    }

    /// Adds to an operation what a selection changes. Returns the heads it sets aside, now or before.
    pub(super) fn select(
        &self,
        operation: NewOperation,
        selection: &Selection,
    ) -> Result<(NewOperation, Vec<CommitId>)> {
        if selection.is_empty() {
            return Ok((operation, Vec::new()));
        }
        let mut aside = self.aside();
        for whom in &selection.with {
            let named = self.named(aside.iter().copied(), whom);
            if named.is_empty() {
                return Err(nothing_of(whom, "is set aside"));
            }
            aside.retain(|head| !named.contains(head));
        }
        let mut set_aside = Vec::new();
        for whom in &selection.without {
            let waiting = self.offered().into_iter().filter(|head| !self.has_in_head(*head));
            let named = self.named(waiting.chain(aside.iter().copied()), whom);
            if named.is_empty() {
                return Err(nothing_of(whom, "waits"));
            }
            set_aside.extend(named);
        }
        aside.extend(set_aside.iter().copied());
        let operation = if aside == self.aside() {
            operation
        } else if aside.is_empty() {
            operation.remove(RefName::Aside)
        } else {
            operation.set(RefName::Aside, RefTarget::Set(aside))
        };
        let ids: Vec<String> = set_aside.iter().map(ToString::to_string).collect();
        let operation = if ids.is_empty() { operation } else { operation.detail("set_aside", ids) };
        Ok((operation, set_aside))
    }

    /// Returns whether this device's head rests on a commit; not if that cannot be found out.
    fn has_in_head(&self, commit: CommitId) -> bool {
        let history = History::new(&self.store);
        self.head().is_ok_and(|head| history.is_ancestor(commit, head).unwrap_or(false))
    }

    /// Returns the heads that a device made, else those that it offered, else those whose id begins so.
    fn named(&self, heads: impl Iterator<Item = CommitId>, whom: &str) -> Vec<CommitId> {
        let heads: BTreeSet<CommitId> = heads.collect();
        let made = |head: &&CommitId| {
            let commit = self.store.find_commit(**head).ok();
            commit.and_then(|commit| commit.device).is_some_and(|device| device.as_str() == whom)
        };
        let offered = |head: &&CommitId| {
            let refs = self.log.refs();
            refs.remotes().any(|(device, _, heads)| device.as_str() == whom && heads.contains(head))
        };
        let by_id = |head: &&CommitId| whom.len() >= ID_DIGITS_MIN && head.to_string().starts_with(whom);
        let tests: [&dyn Fn(&&CommitId) -> bool; 3] = [&made, &offered, &by_id];
        let found =
            tests.iter().map(|test| heads.iter().filter(|head| test(head)).copied().collect::<Vec<_>>());
        found.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Returns the word by which a person names a head that cannot be processed.
    pub fn name_of_stuck(&self, stuck: &Stuck) -> String {
        let offered_by = |(device, _, heads): (&DeviceName, _, &BTreeSet<CommitId>)| {
            heads.contains(&stuck.head).then(|| device.clone())
        };
        let device = stuck.device.clone().or_else(|| self.log.refs().remotes().find_map(offered_by));
        let other = device.filter(|device| *device != self.config.device);
        other.map_or_else(|| stuck.head.short(), |device| device.to_string())
    }
}

fn nothing_of(whom: &str, what: &str) -> Error {
    Error::refused(
        ErrorKind::UnknownRevision,
        format!("no head of {} {what}; nothing was changed", whom.escape_debug()),
        "`mvault status` lists the heads that wait and those that are set aside",
    )
}

/// Returns whether an error is that of a head that was to be processed, and not of the disk or of this vault.
pub(super) fn blames_a_head(error: &Error) -> bool {
    let is_name = |error: &fs::Error| error.is_bad_name() || error.kind() == io::ErrorKind::InvalidInput;
    match error {
        Error::Merge(_) | Error::Object(_) => true,
        Error::Store(error) => error.is_damage(),
        Error::Worktree(worktree::Error::Disk(error)) | Error::Disk(error) => is_name(error),
        Error::Worktree(
            worktree::Error::Source(_) | worktree::Error::Path(_) | worktree::Error::Content { .. },
        ) => true,
        _ => false,
    }
}
