//! How much a tree of this vault may hold, asked before a commit is made here or a merge becomes the head.
//!
//! Another device refuses a tree beyond the limit, so a commit with one could never leave this device. What a tree
//! holds follows from that of the tree before it and from the folders that differ, so asking costs next to nothing.

use super::{Error, ErrorKind, Result, Vault};
use crate::object::{ENTRIES_MAX, Extents, Source, TreeId, growth};
use crate::worktree::{Change, Index};

/// Returns `false` if a tree of so many files and folders holds more than a vault may once it has grown.
fn fits(entries: u64, growth: i64) -> bool {
    growth <= 0 || entries.saturating_add_signed(growth) <= ENTRIES_MAX
}

/// Returns `true` if the files of `index` and what `changes` add to them are few enough in any case.
fn is_far_from_the_limit(index: &Index, changes: &[Change]) -> bool {
    let new = changes.iter().filter(|change| change.old.is_none());
    let added: usize = new.map(|change| change.path.parts().count()).sum();
    fits(index.entries_at_most(), i64::try_from(added).unwrap_or(i64::MAX))
}

impl Vault {
    /// Returns `false` if `to`, made from `base`, holds more than a vault may. `source` has both.
    pub(super) fn may_hold(&self, source: &dyn Source, base: TreeId, to: TreeId) -> Result<bool> {
        let growth = growth(source, base, to)?;
        if growth <= 0 {
            return Ok(true);
        }
        let held = match Index::load(&self.dot)? {
            Some(index) if index.tree() == base => index.entries(),
            _ => match Extents::default()
                .measure(base, &mut |id| source.find_tree(id).map(|t| Some(t.into())))?
            {
                Ok(extent) => extent.entries(),
                Err(_) => return Ok(false),
            },
        };
        Ok(fits(held, growth))
    }

    /// Refuses to make a commit whose tree, made from `base`, holds more than a vault may.
    pub(super) fn check_extent(&self, source: &dyn Source, base: TreeId, to: TreeId) -> Result<()> {
        if self.may_hold(source, base, to)? { Ok(()) } else { Err(too_many()) }
    }

    /// The same for changes that were found in the working tree.
    pub(super) fn check_changes(
        &self,
        index: &Index,
        changes: &[Change],
        source: &dyn Source,
        to: TreeId,
    ) -> Result<()> {
        if is_far_from_the_limit(index, changes) || fits(index.entries(), growth(source, index.tree(), to)?) {
            return Ok(());
        }
        Err(too_many())
    }
}

fn too_many() -> Error {
    Error::refused(
        ErrorKind::Refused,
        format!(
            "a vault holds at most {ENTRIES_MAX} files and folders, and this would be more; nothing was committed, \
             your files are unchanged"
        ),
        "list folders that need no history in `.mvaultignore`, or commit only some with `mvault commit PATH`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entry_fits_and_the_next_one_does_not() {
        assert!(fits(ENTRIES_MAX - 1, 1));
        assert!(!fits(ENTRIES_MAX, 1));
        assert!(!fits(1, i64::MAX));
        // A tree that is too large already may shrink, also in steps that leave it too large.
        assert!(fits(ENTRIES_MAX + 10, -1));
        assert!(fits(ENTRIES_MAX + 10, 0));
        assert!(!fits(ENTRIES_MAX + 10, 1));
    }
}
