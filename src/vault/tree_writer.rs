//! Writing edited trees into the pack that is about to be published.

use super::{Error, Result};
use crate::object::{Kind, Source, TreeChange, TreeId, write_tree};
use crate::store::PackWriter;
use crate::worktree::Change;

/// Adds the trees that `changes` of `base` touch to the pack and returns the new root tree.
pub(super) fn write_edited(
    source: &dyn Source,
    writer: &mut PackWriter,
    base: TreeId,
    changes: impl IntoIterator<Item = TreeChange>,
) -> Result<TreeId> {
    write_tree(source, base, changes, &mut |bytes, replaced| {
        // The tree that stood there is the likely delta base.
        let id = writer.add(Kind::Tree, bytes, replaced.map(TreeId::object))?;
        Ok::<_, Error>(TreeId::new(id))
    })
}

/// Returns what changes of the working tree do to a tree.
pub(super) fn tree_changes(changes: &[Change]) -> impl Iterator<Item = TreeChange> + '_ {
    changes.iter().map(|change| TreeChange { path: change.path.clone(), entry: change.new })
}
