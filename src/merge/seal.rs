//! Sidecars in a merge. They follow from the files they seal, so they are never merged: one that differs
//! between the sides is taken out of all trees before they are merged, and put in again afterwards.
//!
//! - A file whose content a parent has at the same path keeps that parent's sidecar, right or wrong: a
//!   merge never makes a broken seal good.
//! - Only content that is found in no parent, a merge of two sides, is sealed anew.
//! - A sidecar whose file is not in the tree is a file like any other.

use std::collections::BTreeSet;

use super::Result;
use super::path::{Edits, Lookup, RawPath, changed_files, with_edits};
use super::rules::{Rules, Sealing};
use crate::object::{BlobId, Entry, Kind, Mode, Overlay, Source, TreeId, VaultPath};

/// Returns the sidecars that differ between the trees: they are to be left out of a merge. `is_aside`
/// tells which paths have no value in one of them.
pub(super) fn differing<S: Source>(
    objects: &Overlay<S>,
    rules: &Rules,
    trees: [TreeId; 3],
    is_aside: impl Fn(&[u8]) -> bool,
) -> Result<BTreeSet<RawPath>> {
    let mut found = BTreeSet::new();
    let Some(sealing) = rules.sealing() else { return Ok(found) };
    let lookup = Lookup::new(objects);
    let [base, ours, theirs] = trees;
    for side in [ours, theirs] {
        for path in changed_files(objects, base, side)?.into_keys() {
            let Some(sealed) = sealed_by(sealing, &path) else { continue };
            let mut is_there = is_aside(sealed.as_bytes());
            for tree in trees {
                is_there |= lookup.entry(tree, sealed.as_bytes())?.is_some_and(|entry| entry.is_file());
            }
            if is_there {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

fn sealed_by(sealing: &dyn Sealing, path: &[u8]) -> Option<VaultPath> {
    VaultPath::parse(path).ok().and_then(|path| sealing.sealed_by(&path))
}

/// Returns `tree`, merged from `parents`, with the sidecars it should have.
pub(super) fn sealed<S: Source>(
    objects: &Overlay<S>,
    rules: &Rules,
    tree: TreeId,
    parents: &[TreeId],
) -> Result<TreeId> {
    let Some(sealing) = rules.sealing() else { return Ok(tree) };
    let mut files: BTreeSet<VaultPath> = BTreeSet::new();
    for parent in parents {
        for path in changed_files(objects, tree, *parent)?.into_keys() {
            let path = VaultPath::parse(path)?;
            let sealed = sealing.sealed_by(&path);
            files.extend(sealed.or_else(|| sealing.sidecar_of(&path).map(|_| path)));
        }
    }
    let lookup = Lookup::new(objects);
    let mut edits = Edits::new();
    for path in files {
        let Some(sidecar) = sealing.sidecar_of(&path) else { continue };
        let file = lookup.entry(tree, path.as_bytes())?.filter(Entry::is_file);
        let now = lookup.entry(tree, sidecar.as_bytes())?;
        if let (Some(file), None | Some(Entry { mode: Mode::File | Mode::Executable, .. })) = (file, now) {
            let wanted = wanted(objects, sealing, &lookup, &path, &sidecar, file, parents)?;
            edits.insert(sidecar.as_bytes().to_vec(), wanted);
        }
    }
    with_edits(objects, tree, &edits)
}

fn wanted<S: Source>(
    objects: &Overlay<S>,
    sealing: &dyn Sealing,
    lookup: &Lookup<'_>,
    path: &VaultPath,
    sidecar: &VaultPath,
    file: Entry,
    parents: &[TreeId],
) -> Result<Option<Entry>> {
    let mut is_known = false;
    for parent in parents {
        if lookup.entry(*parent, path.as_bytes())?.is_some_and(|e| e.is_file() && e.id == file.id) {
            is_known = true;
            let kept = lookup.entry(*parent, sidecar.as_bytes())?.filter(|entry| !entry.mode.is_tree());
            if kept.is_some() {
                return Ok(kept);
            }
        }
    }
    if is_known {
        return Ok(None);
    }
    let digest = objects.content_sha256(BlobId::new(file.id))?;
    let bytes = sealing.seal(path.name(), digest);
    Ok(Some(Entry { mode: Mode::File, id: objects.put(Kind::Blob, &bytes) }))
}
