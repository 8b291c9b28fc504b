//! Three-way merge of trees where some paths of the base have no value.
//!
//! What gix cannot settle is set aside: the path is taken out of all three trees, recorded, and the rest
//! is merged again, until the rest is clean. So a conflict at one path never changes what becomes of
//! another, and no conflicting content ever gets into a tree.
//!
//! A path without value is equal to nothing: sides that are equal there merge, sides that differ conflict.

use std::collections::{BTreeMap, BTreeSet};

use super::check::lost;
use super::conflict::{BaseValue, ConflictKind};
use super::drivers::{self, Contents};
use super::engine::{self, RawMerge, Sides};
use super::path::{Edits, Lookup, RawPath, add_covering, covers_some, is_covered, with_edits};
use super::rules::{Base, ContentOutcome, Driver, Rules};
use super::veil::stands_for_purged;
use super::{MergeError, Result, seal};
use crate::object::{Entry, Kind, Mode, Object, ObjectId, Overlay, Source, TreeId, VaultPath};

/// A tree some of whose paths have no value. The tree itself holds nothing at those paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    pub tree: TreeId,
    pub no_value: BTreeSet<RawPath>,
}

impl Partial {
    pub(super) fn whole(tree: TreeId) -> Partial {
        Partial { tree, no_value: BTreeSet::new() }
    }
}

/// What the merged tree is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be a head: every conflict is set aside and reported.
    Head,
    /// To be a base: text in conflict stays, with lines without value.
    Base,
}

/// A contradiction between two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub path: RawPath,
    pub clears: Vec<RawPath>,
    pub kind: ConflictKind,
    pub base: BaseValue,
    pub ours: Option<Entry>,
    pub theirs: Option<Entry>,
}

/// A merged tree, and what was set aside while it was made.
#[derive(Debug)]
pub(super) struct Merged {
    pub partial: Partial,
    pub found: Vec<Found>,
}

/// A contradiction between the two sides of [`three_way`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeConflict {
    /// Where it is.
    pub path: VaultPath,
    /// What kind it is.
    pub kind: ConflictKind,
    /// What the base has there.
    pub base: BaseValue,
    /// What our side has.
    pub ours: Option<Entry>,
    /// What their side has.
    pub theirs: Option<Entry>,
}

/// The result of [`three_way`].
#[derive(Clone, Debug)]
pub struct ThreeWay {
    /// The merged tree; paths in conflict are missing from it.
    pub tree: TreeId,
    /// The conflicts, by path.
    pub conflicts: Vec<TreeConflict>,
    /// Objects of the merged tree that the source does not have.
    pub objects: BTreeMap<ObjectId, Object>,
}

/// Merges what changed between `base` and `theirs` into `ours`.
pub fn three_way(
    source: &dyn Source,
    rules: &Rules,
    base: TreeId,
    ours: TreeId,
    theirs: TreeId,
) -> Result<ThreeWay> {
    let objects = Overlay::new(source);
    let (base, ours) = (Partial::whole(base), Partial::whole(ours));
    let merged = merge(&objects, rules, &base, &ours, theirs, Purpose::Head)?;
    let mut conflicts = Vec::new();
    for Found { path, kind, base, ours, theirs, .. } in merged.found {
        conflicts.push(TreeConflict { path: VaultPath::parse(path)?, kind, base, ours, theirs });
    }
    conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    let tree = seal::sealed(&objects, rules, merged.partial.tree, &[ours.tree, theirs])?;
    Ok(ThreeWay { tree, conflicts, objects: new_objects(&objects, tree)? })
}

/// Returns the new objects that `tree` reaches.
pub(super) fn new_objects<S: Source>(
    objects: &Overlay<S>,
    tree: TreeId,
) -> Result<BTreeMap<ObjectId, Object>> {
    let new = objects.new_objects();
    let mut reached = BTreeMap::new();
    let mut todo = vec![tree];
    while let Some(id) = todo.pop() {
        let Some(object) = new.get(&id.object()) else { continue };
        if reached.insert(id.object(), object.clone()).is_some() {
            continue;
        }
        for entry in objects.find_tree(id)?.entries() {
            if entry.mode.is_tree() {
                todo.push(TreeId::new(entry.id));
            } else if let Some(blob) = new.get(&entry.id) {
                reached.insert(entry.id, blob.clone());
            }
        }
    }
    Ok(reached)
}

/// Merges `theirs` into `ours`.
pub(super) fn merge<S: Source>(
    objects: &Overlay<S>,
    rules: &Rules,
    base: &Partial,
    ours: &Partial,
    theirs: TreeId,
    purpose: Purpose,
) -> Result<Merged> {
    let sides = Sides { base: base.tree, ours: ours.tree, theirs };
    let is_aside = |path: &[u8]| is_covered(&ours.no_value, path) || is_covered(&base.no_value, path);
    let sidecars = seal::differing(objects, rules, [base.tree, ours.tree, theirs], is_aside)?;
    let (aside, found, lookup) = (ours.no_value.clone(), Vec::new(), Lookup::new(objects));
    let mut table = Table { objects, rules, purpose, sides, aside, found, lookup };
    let nothing = ours.no_value.iter().chain(&sidecars).map(|path| (path.clone(), None)).collect();
    table.apply([&nothing, &nothing, &nothing])?;
    let mut open = base.no_value.clone();
    open.retain(|path| !is_covered(&table.aside, path));
    table.settle(&open, |_| Ok(BaseValue::NoValue))?;
    loop {
        let raw = engine::merge_trees(objects, rules, table.sides)?;
        let (content, mut other) = sort_conflicts(&table.lookup, &raw)?;
        if other.is_empty() {
            other = lost(objects, table.sides, &raw)?;
        }
        if other.is_empty() {
            let tree = table.merge_contents(&raw, content)?;
            let partial = Partial { tree, no_value: table.aside };
            return Ok(Merged { partial, found: table.found });
        }
        table.settle_all(other)?;
    }
}

/// A conflict in a file's content and nothing else: where the merged file stands, and the other paths
/// that went into it.
struct ContentConflict {
    path: RawPath,
    others: BTreeSet<RawPath>,
    /// What both sides came from. Two files that were moved to one place have nothing in common.
    source: Option<RawPath>,
}

/// Tells conflicts that are a matter of one file's content from those between paths, of which the paths
/// are returned.
fn sort_conflicts(lookup: &Lookup<'_>, raw: &RawMerge) -> Result<(Vec<ContentConflict>, BTreeSet<RawPath>)> {
    use gix::merge::plumbing::tree::Resolution;
    let (mut content, mut other) = (Vec::new(), BTreeSet::new());
    for conflict in raw.conflicts.iter().filter(|c| engine::is_unresolved(c)) {
        let mut paths = BTreeSet::new();
        let followed = matches!(conflict.resolution, Ok(Resolution::SourceLocationAffectedByRename { .. }));
        for change in [&conflict.ours, &conflict.theirs] {
            // The folder that something followed has no part in the conflict.
            if followed && change.entry_mode().is_tree() {
                continue;
            }
            paths.insert(change.source_location().to_vec());
            paths.insert(change.location().to_vec());
        }
        let merged = match &conflict.resolution {
            Ok(Resolution::OursModifiedTheirsModifiedThenBlobContentMerge { merged_blob }) => {
                Some(merged_blob)
            }
            Ok(Resolution::OursModifiedTheirsRenamedAndChangedThenRename {
                merged_blob: Some(merged_blob),
                final_location: None,
                ..
            }) => Some(merged_blob),
            _ => None,
        };
        let blob = merged.and_then(|merged| ObjectId::from_gix(&merged.merged_blob_id));
        let mut place = None;
        for path in &paths {
            if blob.is_some() && lookup.entry(raw.tree, path)?.map(|e| e.id) == blob {
                place = Some(path.clone());
            }
        }
        match place {
            Some(path) => {
                paths.remove(&path);
                let [ours, theirs] = [&conflict.ours, &conflict.theirs].map(|c| c.source_location());
                let source = (ours == theirs).then(|| ours.to_vec());
                content.push(ContentConflict { path, others: paths, source });
            }
            None => other.extend(paths),
        }
    }
    Ok((content, other))
}

/// Returns the modes that a three-way merge gives to files which one side moved and the other changed. gix
/// makes them executable if either side is, and so loses that one side took the bit away.
fn merged_modes(lookup: &Lookup<'_>, raw: &RawMerge) -> Result<Edits> {
    use gix::merge::plumbing::tree::Resolution;
    let mut edits = Edits::new();
    for conflict in &raw.conflicts {
        let Ok(Resolution::OursModifiedTheirsRenamedAndChangedThenRename { final_location, .. }) =
            &conflict.resolution
        else {
            continue;
        };
        let (changed, moved) = conflict.changes_in_resolution();
        let path = final_location.as_ref().map_or(moved.location(), |path| path.as_ref());
        let base = changed.source_entry_mode_and_id().0;
        let (one, other) = (changed.entry_mode(), moved.entry_mode());
        let mode = Mode::from_gix(if one == base { other } else { one });
        if let (Some(mode), Some(entry)) = (mode, lookup.entry(raw.tree, path)?)
            && entry.is_file()
        {
            edits.insert(path.to_vec(), Some(Entry { mode, ..entry }));
        }
    }
    Ok(edits)
}

/// The three trees while conflicts are being set aside.
struct Table<'a, S> {
    objects: &'a Overlay<S>,
    rules: &'a Rules,
    purpose: Purpose,
    sides: Sides,
    aside: BTreeSet<RawPath>,
    found: Vec<Found>,
    lookup: Lookup<'a>,
}

impl<S: Source> Table<'_, S> {
    /// Edits the three trees: base, ours, theirs.
    fn apply(&mut self, edits: [&Edits; 3]) -> Result<()> {
        let trees = [&mut self.sides.base, &mut self.sides.ours, &mut self.sides.theirs];
        for (tree, edits) in trees.into_iter().zip(edits) {
            *tree = with_edits(self.objects, *tree, edits)?;
        }
        Ok(())
    }

    /// Makes each of `paths` the same in all three trees: what both sides agree on, or nothing, set aside.
    /// `base_at` says what they have in common there.
    fn settle(
        &mut self,
        paths: &BTreeSet<RawPath>,
        base_at: impl Fn(&[u8]) -> Result<BaseValue>,
    ) -> Result<()> {
        let [mut in_base, mut in_ours, mut in_theirs] = [Edits::new(), Edits::new(), Edits::new()];
        for path in paths {
            if is_covered(&self.aside, path) {
                continue;
            }
            let ours = self.lookup.entry(self.sides.ours, path)?;
            let theirs = self.lookup.entry(self.sides.theirs, path)?;
            let incomplete = covers_some(&self.aside, path);
            if ours == theirs && !incomplete {
                in_base.insert(path.clone(), ours);
                continue;
            }
            let base = base_at(path)?;
            let merged = match (base, ours, theirs) {
                (BaseValue::NoValue, Some(ours), Some(theirs)) => {
                    self.merge_without_base(path, ours, theirs)?
                }
                // The same content with another mode: the side that changed the mode has its way.
                (BaseValue::Known(base), Some(ours), Some(theirs)) if ours.id == theirs.id => {
                    let files = [base, ours, theirs].iter().all(Entry::is_file);
                    files.then_some(if ours.mode == base.mode { theirs } else { ours })
                }
                _ => None,
            };
            for edits in [&mut in_base, &mut in_ours, &mut in_theirs] {
                edits.insert(path.clone(), merged);
            }
            if merged.is_some() {
                continue;
            }
            if incomplete {
                let folder = BTreeSet::from([path.clone()]);
                self.found.retain(|found| !is_covered(&folder, &found.path));
            }
            add_covering(&mut self.aside, path);
            let kind = self.kind_of(path, base, ours, theirs)?;
            self.found.push(Found { path: path.clone(), clears: Vec::new(), kind, base, ours, theirs });
        }
        self.apply([&in_base, &in_ours, &in_theirs])
    }

    /// Settles paths that are in conflict with each other. If that changes nothing, their folders.
    fn settle_all(&mut self, mut paths: BTreeSet<RawPath>) -> Result<()> {
        let before = self.sides;
        loop {
            let bases = Lookup::new(self.objects);
            self.settle(&paths, |path| Ok(BaseValue::from_entry(bases.entry(before.base, path)?)))?;
            if self.sides != before {
                return Ok(());
            }
            let folder = |path: &RawPath| path.iter().rposition(|b| *b == b'/').map(|at| path[..at].to_vec());
            paths = paths.iter().filter_map(folder).collect();
            if paths.is_empty() {
                return Err(MergeError::Unsettled);
            }
        }
    }

    /// Merges two files by a driver that needs no base; `None` if there is none, or it finds a conflict.
    fn merge_without_base(&self, path: &[u8], ours: Entry, theirs: Entry) -> Result<Option<Entry>> {
        if !(ours.is_file() && theirs.is_file() && ours.mode == theirs.mode) {
            return Ok(None);
        }
        let driver = self.rules.driver_for(&VaultPath::parse(path)?);
        let contents = self.contents(None, ours, theirs)?;
        let Some(contents) = contents else { return Ok(None) };
        Ok(match drivers::merge_contents(&driver, Base::NoValue, &contents) {
            ContentOutcome::Clean(bytes) => {
                Some(Entry { mode: ours.mode, id: self.objects.put(Kind::Blob, &bytes) })
            }
            ContentOutcome::Conflict { .. } => None,
        })
    }

    /// Reads the contents of files for a driver; `None` if one of them is too long for any, or a side is
    /// purged. A base that is purged has no value.
    fn contents(&self, base: Option<Entry>, ours: Entry, theirs: Entry) -> Result<Option<Contents>> {
        for entry in [Some(ours), Some(theirs), base].into_iter().flatten() {
            let length = self.objects.try_info(entry.id)?.map_or(0, |(_, length)| length);
            if length > engine::TEXT_BYTES_MAX {
                return Ok(None);
            }
        }
        let read = |entry: Entry| {
            let data = self.objects.find(entry.id, Kind::Blob)?.data;
            Ok::<_, MergeError>(Some(data).filter(|data| !stands_for_purged(entry.id, data)))
        };
        let (Some(ours), Some(theirs)) = (read(ours)?, read(theirs)?) else { return Ok(None) };
        Ok(Some(Contents { base: base.map(read).transpose()?.flatten(), ours, theirs }))
    }

    /// Merges what gix left to our drivers, and sets aside what stays in conflict.
    fn merge_contents(&mut self, raw: &RawMerge, conflicts: Vec<ContentConflict>) -> Result<TreeId> {
        let mut edits = merged_modes(&self.lookup, raw)?;
        for ContentConflict { path, others, source } in conflicts {
            if is_covered(&self.aside, &path) {
                continue;
            }
            let merged = match edits.get(&path) {
                Some(entry) => *entry,
                None => self.lookup.entry(raw.tree, &path)?,
            };
            let Some(merged) = merged else { continue };
            let find = |root| self.first_file(root, &path, &others);
            let (ours, theirs) = (find(self.sides.ours)?, find(self.sides.theirs)?);
            let base = match source {
                Some(source) => self.first_file(self.sides.base, &source, &BTreeSet::new())?,
                None => None,
            };
            let kept = match (ours, theirs) {
                (Some(ours), Some(theirs)) => self.merge_content(raw, &path, merged, base, ours, theirs)?,
                _ => None,
            };
            edits.insert(path.clone(), kept);
            if kept.is_some() {
                continue;
            }
            let base = self.base_value(base)?;
            let kind = self.kind_of(&path, base, ours, theirs)?;
            for path in others.iter().chain([&path]) {
                add_covering(&mut self.aside, path);
            }
            let clears = others.into_iter().collect();
            self.found.push(Found { path, clears, kind, base, ours, theirs });
        }
        with_edits(self.objects, raw.tree, &edits)
    }

    /// Returns the entry that a content conflict is resolved to, or `None` if it stays one.
    fn merge_content(
        &self,
        raw: &RawMerge,
        path: &[u8],
        merged: Entry,
        base: Option<Entry>,
        ours: Entry,
        theirs: Entry,
    ) -> Result<Option<Entry>> {
        // A side that changed only the mode or the place has no say in the content.
        if let Some(base) = base.filter(|base| [ours.id, theirs.id].contains(&base.id)) {
            let changed = if ours.id == base.id { theirs } else { ours };
            return Ok(Some(Entry { mode: merged.mode, id: changed.id }));
        }
        if ours.mode != theirs.mode && !base.is_some_and(|base| base.is_file()) {
            return Ok(None);
        }
        let put = |bytes: &[u8]| Some(Entry { mode: merged.mode, id: self.objects.put(Kind::Blob, bytes) });
        if let driver @ Driver::Custom(_) = self.rules.driver_for(&VaultPath::parse(path)?)
            && ours.is_file()
            && theirs.is_file()
            && let Some(contents) = self.contents(base, ours, theirs)?
        {
            let missing = if base.is_some() { Base::NoValue } else { Base::Absent };
            let base = contents.base.as_deref().map_or(missing, Base::Known);
            return Ok(match drivers::merge_contents(&driver, base, &contents) {
                ContentOutcome::Clean(bytes) => put(&bytes),
                ContentOutcome::Conflict { as_base: Some(bytes) } if self.purpose == Purpose::Base => {
                    put(&bytes)
                }
                ContentOutcome::Conflict { .. } => None,
            });
        }
        let as_base = self.purpose == Purpose::Base && raw.marked.contains(&merged.id);
        Ok(as_base.then_some(merged))
    }

    fn first_file(&self, root: TreeId, path: &[u8], others: &BTreeSet<RawPath>) -> Result<Option<Entry>> {
        for path in [path].into_iter().chain(others.iter().map(Vec::as_slice)) {
            if let Some(entry) = self.lookup.entry(root, path)?.filter(|e| !e.mode.is_tree()) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// A base whose text has lines without value is no content that a person could go back to, nor is one
    /// that is purged.
    fn base_value(&self, base: Option<Entry>) -> Result<BaseValue> {
        if let Some(entry) = base.filter(Entry::is_file)
            && self.objects.try_info(entry.id)?.is_some_and(|(_, length)| length <= engine::TEXT_BYTES_MAX)
        {
            let data = self.objects.find(entry.id, Kind::Blob)?.data;
            if engine::has_no_value(&data) || stands_for_purged(entry.id, &data) {
                return Ok(BaseValue::NoValue);
            }
        }
        Ok(BaseValue::from_entry(base))
    }

    fn kind_of(
        &self,
        path: &[u8],
        base: BaseValue,
        ours: Option<Entry>,
        theirs: Option<Entry>,
    ) -> Result<ConflictKind> {
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            let moved = base == BaseValue::Absent;
            return Ok(if moved { ConflictKind::Rename } else { ConflictKind::DeleteEdit });
        };
        if ours.mode.is_tree() != theirs.mode.is_tree() {
            return Ok(ConflictKind::FileFolder);
        }
        if !(ours.is_file() && theirs.is_file()) || ours.id == theirs.id {
            return Ok(ConflictKind::Type);
        }
        let binary = match self.rules.driver_for(&VaultPath::parse(path)?) {
            Driver::Binary => true,
            Driver::Custom(_) => false,
            Driver::Text | Driver::Union => match self.contents(None, ours, theirs)? {
                Some(contents) => contents.is_binary(),
                None => true,
            },
        };
        Ok(match (binary, base) {
            (true, _) => ConflictKind::Binary,
            (false, BaseValue::Absent) => ConflictKind::AddAdd,
            (false, _) => ConflictKind::Content,
        })
    }
}
