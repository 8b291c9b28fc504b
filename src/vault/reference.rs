//! Where the branch, the working tree and other devices stand.
//!
//! Besides branches, remotes, tags and saved states the log keeps five pseudo-refs: `HEAD` names the
//! branch, `at` the commit the working tree stands on, `parked` the branch's head at the moment of
//! parking (there only while the tree is parked), `held` the heads that an undone pull had brought, `aside`
//! those that a person set aside.
//! Being refs, they move with what they belong to, in one append.

use std::collections::BTreeSet;

use super::{Error, ErrorKind, Result, Vault};
use crate::object::{CommitId, DeviceName, Source, TreeId, Typed, typed};
use crate::oplog::{Label, RefName, RefTarget};

impl Vault {
    /// Returns the present branch.
    pub fn branch(&self) -> Label {
        self.log.refs().head_branch().cloned().unwrap_or_else(Label::main)
    }

    /// Returns the command that goes back to the branch from an older state.
    pub fn way_back(&self) -> Typed {
        typed("checkout").word(self.branch().as_str())
    }

    /// Returns the ref of the present branch.
    pub fn branch_ref(&self) -> RefName {
        RefName::Branch(self.branch())
    }

    /// Returns how a clone that was cut short behind its first commits is finished; `None` for any other vault.
    pub fn unfinished_clone(&self) -> Option<String> {
        let source = self.config.unfinished_clone()?;
        Some(super::remains::clone_hint(source, self.root.path()))
    }

    /// Returns the head of the present branch.
    pub fn head(&self) -> Result<CommitId> {
        self.log.refs().head().ok_or_else(|| {
            let hint =
                self.unfinished_clone().unwrap_or_else(|| "`mvault pull REMOTE` brings them".to_owned());
            Error::refused(ErrorKind::UnknownRevision, "this vault has no commits yet", hint)
        })
    }

    /// Returns the commit the working tree stands on.
    pub fn at(&self) -> Result<CommitId> {
        self.log.refs().at().map_or_else(|| self.head(), Ok)
    }

    /// Returns the branch's head at the moment of parking, if the tree is parked.
    pub fn parked(&self) -> Option<CommitId> {
        self.log.refs().commit(&RefName::Parked)
    }

    /// Returns the heads that are not to be reconciled for now.
    pub fn held(&self) -> BTreeSet<CommitId> {
        match self.log.refs().get(&RefName::Held) {
            Some(RefTarget::Set(heads)) => heads.clone(),
            _ => BTreeSet::new(),
        }
    }

    /// Returns what other devices have offered of the present branch, without what is held or set aside.
    pub fn offered(&self) -> BTreeSet<CommitId> {
        let branch = self.branch();
        let mut held = self.held();
        held.extend(self.aside());
        let of_branch = self.log.refs().remotes().filter(|(_, label, _)| **label == branch);
        of_branch.flat_map(|(_, _, heads)| heads.iter().copied()).filter(|id| !held.contains(id)).collect()
    }

    /// Returns what a device has offered of the present branch.
    pub fn offered_by(&self, device: &DeviceName) -> Vec<CommitId> {
        self.ref_set(&RefName::Remote(device.clone(), self.branch()))
    }

    /// Returns the heads of a ref that is a set; none if there is no such ref.
    pub(super) fn ref_set(&self, name: &RefName) -> Vec<CommitId> {
        self.log.refs().get(name).map(|target| target.commits().collect()).unwrap_or_default()
    }

    /// Returns the tree of a commit.
    pub fn tree_of(&self, commit: CommitId) -> Result<TreeId> {
        Ok(self.store.find_commit(commit)?.tree)
    }
}
