//! Resolution: choices a person made for conflicts, and the tree they make.
//!
//! A choice is kept under its conflict's [key](super::Conflict::key), which is made of the path and of what
//! base and sides hold. When one of them changes the choice lapses. Once every conflict has a choice, the
//! tree is committed by the device as an authored commit whose parents are exactly the heads shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::conflict::{BaseValue, Conflict};
use super::drivers::{is_binary, union};
use super::engine::TEXT_BYTES_MAX;
use super::fold::{Folded, Workshop};
use super::path::{Edits, Lookup, with_edits};
use super::rules::RuleBook;
use super::seal::sealed;
use super::tree::new_objects;
use super::{MergeError, Result};
use crate::object::{
    CommitId, DeviceName, Entry, Kind, Mode, Object, ObjectId, Source, TreeId, VaultPath, hash_object,
};

/// The choices made so far: what shall stand at a conflict's path, or `None` for nothing, by the
/// conflict's key.
pub type Choices = BTreeMap<String, Option<Entry>>;

/// What a person takes for a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// What a device has, also if it deleted.
    Device(DeviceName),
    /// What one of the heads has.
    Head(CommitId),
    /// What they had in common.
    Base,
    /// The lines of all sides.
    Both,
    /// These bytes.
    Bytes(Vec<u8>),
}

/// Why a choice cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The device brings no side of this conflict.
    #[error("{0} brings no side of this conflict")]
    NoSuchSide(String),
    /// The device brings several that differ.
    #[error("{0} brings several sides that differ")]
    Ambiguous(DeviceName),
    /// The bases disagree, so there is nothing to go back to.
    #[error("there is no common base to take: it differs itself")]
    NoBase,
    /// One of the sides is no text.
    #[error("both can be taken of text only, and not all sides are text")]
    NotText,
    /// A file that was chosen would stand where other files are.
    #[error("what was chosen for {0} would stand in the way of other files")]
    InTheWay(VaultPath),
    /// The merge itself failed.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

/// What a choice comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What shall stand at the path; `None` for nothing. To be kept in [`Choices`].
    pub entry: Option<Entry>,
    /// The blob of the entry if it is new: to be stored before the choice is.
    pub blob: Option<Object>,
}

/// Turns what a person takes into an entry.
pub fn choose(source: &dyn Source, conflict: &Conflict, take: Take) -> Result<Chosen, ResolveError> {
    let old = |entry| Ok(Chosen { entry, blob: None });
    match take {
        Take::Device(device) => {
            let mut entries = conflict.sides.iter().filter(|s| s.device.as_ref() == Some(&device));
            let first = entries.next().ok_or_else(|| ResolveError::NoSuchSide(device.to_string()))?;
            if entries.any(|side| side.entry != first.entry) {
                return Err(ResolveError::Ambiguous(device));
            }
            old(first.entry)
        }
        Take::Head(id) => match conflict.sides.iter().find(|side| side.commit == id) {
            Some(side) => old(side.entry),
            None => Err(ResolveError::NoSuchSide(id.to_string())),
        },
        Take::Base => match conflict.base {
            BaseValue::NoValue => Err(ResolveError::NoBase),
            BaseValue::Absent | BaseValue::Known(_) => old(conflict.base.entry()),
        },
        Take::Both => Ok(new_file(conflict, both(source, conflict)?)),
        Take::Bytes(bytes) => Ok(new_file(conflict, bytes)),
    }
}

fn new_file(conflict: &Conflict, bytes: Vec<u8>) -> Chosen {
    let sides = conflict.sides.iter().filter_map(|side| side.entry);
    let mode = sides.chain(conflict.base.entry()).find(Entry::is_file).map_or(Mode::File, |e| e.mode);
    let id = hash_object(Kind::Blob, &bytes);
    Chosen { entry: Some(Entry { mode, id }), blob: Some(Object { kind: Kind::Blob, data: bytes.into() }) }
}

fn both(source: &dyn Source, conflict: &Conflict) -> Result<Vec<u8>, ResolveError> {
    let read = |entry: Entry| -> Result<Arc<[u8]>, ResolveError> {
        let known = source.try_info(entry.id).map_err(MergeError::from)?;
        let length = known.map_or(0, |(_, length)| length);
        if !entry.is_file() || length > TEXT_BYTES_MAX {
            return Err(ResolveError::NotText);
        }
        let bytes = conflict.read(source, entry).map_err(MergeError::from)?;
        if is_binary(&bytes) { Err(ResolveError::NotText) } else { Ok(bytes) }
    };
    let base = conflict.base.entry().map(read).transpose()?;
    let mut merged: Option<Vec<u8>> = None;
    let mut taken = Vec::new();
    for side in &conflict.sides {
        let entry = side.entry.ok_or(ResolveError::NotText)?;
        if taken.contains(&entry.id) {
            continue;
        }
        taken.push(entry.id);
        let bytes = read(entry)?;
        merged = Some(match merged {
            None => bytes.to_vec(),
            Some(merged) => union(base.as_deref().unwrap_or_default(), &merged, &bytes),
        });
    }
    merged.ok_or(ResolveError::NotText)
}

/// How far a resolution has come.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The heads that are resolved, sorted by (stamp, id): the parents of the resolution.
    pub parents: Vec<CommitId>,
    /// Conflicts that still need a choice.
    pub remaining: Vec<Conflict>,
    /// Conflicts with what was chosen for them.
    pub chosen: Vec<(Conflict, Option<Entry>)>,
    /// The tree of the resolution; none while something remains.
    pub tree: Option<TreeId>,
    /// The version of the merge rule that the vault asks for, if this program does not know it.
    pub unknown_rule: Option<u32>,
    /// Objects of the tree that the source does not have.
    pub objects: BTreeMap<ObjectId, Object>,
}

/// Applies choices to the conflicts of the frontier of `heads`. A choice for `vault.toml` comes first: it
/// says by which rules the rest is merged, and so what else is in conflict.
pub fn resolve(
    source: &dyn Source,
    book: &dyn RuleBook,
    heads: &[CommitId],
    choices: &Choices,
) -> Result<Resolution, ResolveError> {
    let workshop = Workshop::new(source, book);
    let parents = workshop.history.frontier(heads.iter().copied())?;
    let folded = workshop.fold_with(&parents, |conflict| choices.get(&conflict.key()).copied())?;
    let unknown_rule = folded.is_unknown_rule().then_some(folded.version);
    let Folded { tree, conflicts, rules, .. } = folded;
    let mut resolution = Resolution {
        parents,
        remaining: Vec::new(),
        chosen: Vec::new(),
        tree: None,
        unknown_rule,
        objects: BTreeMap::new(),
    };
    for conflict in conflicts {
        match choices.get(&conflict.key()) {
            Some(entry) if tree.is_some() => resolution.chosen.push((conflict, *entry)),
            _ => resolution.remaining.push(conflict),
        }
    }
    let (Some(rest), true) = (tree, resolution.remaining.is_empty()) else { return Ok(resolution) };
    let lookup = Lookup::new(&workshop.objects);
    let mut edits = Edits::new();
    for (conflict, entry) in &resolution.chosen {
        if entry.is_some() && !is_free(&lookup, rest, conflict)? {
            return Err(ResolveError::InTheWay(conflict.path.clone()));
        }
        edits.insert(conflict.path.as_bytes().to_vec(), *entry);
    }
    let mut tree = with_edits(&workshop.objects, rest, &edits).map_err(ResolveError::from)?;
    if let Some(rules) = rules {
        let trees =
            resolution.parents.iter().map(|id| workshop.history.commit(*id).map(|commit| commit.tree));
        let trees = trees.collect::<super::Result<Vec<TreeId>>>()?;
        tree = sealed(&workshop.objects, &rules, tree, &trees)?;
    }
    resolution.objects = new_objects(&workshop.objects, tree)?;
    resolution.tree = Some(tree);
    Ok(resolution)
}

/// Tells whether nothing stands at a conflict's path and no file where a folder must be.
fn is_free(lookup: &Lookup<'_>, tree: TreeId, conflict: &Conflict) -> Result<bool> {
    let is_rules = conflict.path.as_bytes() == super::RULES_FILE.as_bytes();
    if !is_rules && lookup.entry(tree, conflict.path.as_bytes())?.is_some() {
        return Ok(false);
    }
    let mut folder = conflict.path.parent();
    while let Some(path) = folder {
        if lookup.entry(tree, path.as_bytes())?.is_some_and(|e| !e.mode.is_tree()) {
            return Ok(false);
        }
        folder = path.parent();
    }
    Ok(true)
}
