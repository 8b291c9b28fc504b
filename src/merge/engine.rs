//! gix's three-way tree merge, wired so that nothing but trees and rules enters.
//!
//! - Attributes come from memory only: one line a path whose driver is not text. No attribute file, no
//!   filter, no setting of the machine is read; no external program can be run.
//! - Where text conflicts, gix writes markers. They are labelled with the SHA-256 of the three trees,
//!   which those trees cannot contain, so they are told from any text that only looks like a marker. Each
//!   region between them is replaced by one line that can equal no side: as a base it has *no value*.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU8;
use std::path::PathBuf;

use gix::bstr::{BStr, ByteSlice};
use gix::merge::plumbing::{blob, tree};
use sha2::{Digest, Sha256};

use super::path::{Changes, Edits, Lookup, RawPath, changed_files, with_edits};
use super::rules::{Driver, Rules};
use super::{MergeError, Result};
use crate::object::{Entry, Kind, Mode, ObjectId, Overlay, Source, TreeId, VaultPath};

/// The greatest length in bytes of a file that is merged as text or compared for renames. Part of the
/// merge rule: longer files merge as binary, renames of them are found only if nothing changed.
pub const TEXT_BYTES_MAX: u64 = 32 << 20;

/// How many added and how many deleted files are compared with each other to find renames with edits.
/// Part of the merge rule: beyond it only exact renames are found.
pub const RENAMES_MAX: usize = 1000;

/// How many bytes are compared at most to find renames with edits on one side: each deleted file with each
/// added one. Part of the merge rule: beyond it only exact renames are found.
pub const RENAME_BYTES_MAX: u128 = 2 << 30;

/// The length of the marks that enclose a conflicting region, until the region is replaced.
const MARKER_LENGTH: NonZeroU8 = NonZeroU8::new(7).expect("seven is not zero");

/// The three trees of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sides {
    pub base: TreeId,
    pub ours: TreeId,
    pub theirs: TreeId,
}

/// What gix made of three trees.
pub(super) struct RawMerge {
    /// The merged tree. Where there are conflicts it holds whatever gix left.
    pub tree: TreeId,
    /// The conflicts, also those that gix resolved.
    pub conflicts: Vec<tree::Conflict>,
    /// What each side changed since the base: ours, then theirs.
    pub changes: [Changes; 2],
    /// Blobs made of text that conflicts, with a line without value for each region.
    pub marked: HashSet<ObjectId>,
}

fn failed(error: gix::Error) -> MergeError {
    MergeError::Engine(Box::new(error))
}

/// Merges trees by gix. Should its search for renames run into a state that it holds for impossible, the
/// trees are merged without renames: trees come from anywhere, and none may stop a device for ever.
pub(super) fn merge_trees<S: Source>(objects: &Overlay<S>, rules: &Rules, sides: Sides) -> Result<RawMerge> {
    let changes =
        [changed_files(objects, sides.base, sides.ours)?, changed_files(objects, sides.base, sides.theirs)?];
    let attributes = attribute_lines(rules, &changes);
    let (stay, kept) = with_folders_kept(objects, sides, &changes)?;
    let similarity = if compares_few_bytes(objects, &changes)? { Some(SIMILARITY) } else { None };
    let merge = |options| {
        let merge = || merge_by_gix(objects, &attributes, kept, options);
        // What a panic could leave behind in the overlay is objects, and those are whole.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(merge))
    };
    let merged = merge(options(similarity))
        .or_else(|_| merge(tree::Options { rewrites: None, ..options(similarity) }))
        .unwrap_or(Err(MergeError::Unsettled))?;
    let (tree, conflicts, marked) = merged;
    let tree = with_edits(objects, tree, &stay.into_iter().map(|path| (path, None)).collect())?;
    Ok(RawMerge { tree, conflicts, changes, marked })
}

/// Puts an empty file into each folder that one side took away and the other adds to, in all three trees.
/// Returns the paths of these files, and the trees.
///
/// gix takes a folder that is gone for a renamed one, and lets new files follow it. A new file stays where it
/// was made: a folder that is not gone is not renamed. What moves the files of a folder is found file by file.
fn with_folders_kept<S: Source>(
    objects: &Overlay<S>,
    sides: Sides,
    changes: &[Changes; 2],
) -> Result<(Vec<RawPath>, Sides)> {
    let lookup = Lookup::new(objects);
    let is_folder = |root: TreeId, path: &[u8]| -> Result<bool> {
        Ok(lookup.entry(root, path)?.is_some_and(|entry| entry.mode.is_tree()))
    };
    let mut folders = BTreeSet::new();
    for (changes, other) in changes.iter().zip([sides.theirs, sides.ours]) {
        let added = changes.iter().filter(|(_, (old, new))| old.is_none() && new.is_some());
        for (path, _) in added {
            let mut ancestors = path.rfind_iter(b"/");
            let in_base = loop {
                match ancestors.next() {
                    Some(at) if is_folder(sides.base, &path[..at])? => break Some(&path[..at]),
                    Some(_) => {}
                    None => break None,
                }
            };
            let Some(folder) = in_base else { continue };
            if !is_folder(other, folder)? && is_way_free(&lookup, other, folder)? {
                folders.insert(folder.to_vec());
            }
        }
    }
    if folders.is_empty() {
        return Ok((Vec::new(), sides));
    }
    let name = label_of(sides);
    let stay: Vec<RawPath> =
        folders.into_iter().map(|folder| [&folder[..], b"/", name.as_bytes()].concat()).collect();
    let entry = Entry { mode: Mode::File, id: objects.put(Kind::Blob, b"") };
    let edits: Edits = stay.iter().map(|path| (path.clone(), Some(entry))).collect();
    let put = |tree| with_edits(objects, tree, &edits);
    let kept = Sides { base: put(sides.base)?, ours: put(sides.ours)?, theirs: put(sides.theirs)? };
    Ok((stay, kept))
}

/// Tells whether no file stands at `path` or where one of its folders must be.
fn is_way_free(lookup: &Lookup<'_>, root: TreeId, path: &[u8]) -> Result<bool> {
    let ends = path.find_iter(b"/").chain([path.len()]);
    for end in ends {
        match lookup.entry(root, &path[..end])? {
            None => return Ok(true),
            Some(entry) if !entry.mode.is_tree() => return Ok(false),
            Some(_) => {}
        }
    }
    Ok(true)
}

/// Tells whether finding renames with edits compares at most [`RENAME_BYTES_MAX`] on each side.
fn compares_few_bytes<S: Source>(objects: &Overlay<S>, changes: &[Changes; 2]) -> Result<bool> {
    for changes in changes {
        let file = |entry: &Option<Entry>| entry.filter(Entry::is_file).map(|entry| entry.id);
        let deleted = changes.values().filter(|(_, new)| new.is_none()).filter_map(|(old, _)| file(old));
        let added = changes.values().filter(|(old, _)| old.is_none()).filter_map(|(_, new)| file(new));
        let (deleted, added): (BTreeSet<ObjectId>, BTreeSet<ObjectId>) = (deleted.collect(), added.collect());
        let bytes = |ids: &BTreeSet<ObjectId>, others: &BTreeSet<ObjectId>| -> Result<(u128, u128)> {
            let (mut count, mut sum) = (0, 0);
            for id in ids.difference(others) {
                count += 1;
                let length = objects.try_info(*id)?.map_or(0, |(_, length)| length);
                sum += u128::from(if length > TEXT_BYTES_MAX { 0 } else { length });
            }
            Ok((count, sum))
        };
        if deleted.is_empty() || added.is_empty() {
            continue;
        }
        let (gone, gone_bytes) = bytes(&deleted, &added)?;
        let (new, new_bytes) = bytes(&added, &deleted)?;
        if gone_bytes * new + new_bytes * gone > RENAME_BYTES_MAX {
            return Ok(false);
        }
    }
    Ok(true)
}

type Merged = (TreeId, Vec<tree::Conflict>, HashSet<ObjectId>);

fn merge_by_gix<S: Source>(
    objects: &Overlay<S>,
    attributes: &[u8],
    sides: Sides,
    options: tree::Options,
) -> Result<Merged> {
    let label = label_of(sides);
    let marked: RefCell<HashSet<ObjectId>> = RefCell::default();
    let write_blob = |bytes: &[u8]| {
        let replaced = without_value(bytes, &label);
        let id = objects.put(Kind::Blob, replaced.as_deref().unwrap_or(bytes));
        if replaced.is_some() {
            marked.borrow_mut().insert(id);
        }
        Ok(id.to_gix())
    };
    let bytes = BStr::new(&label);
    let labels = blob::builtin_driver::text::Labels {
        ancestor: Some(bytes),
        current: Some(bytes),
        other: Some(bytes),
    };
    let mut outcome = gix::merge::plumbing::tree(
        &sides.base.object().to_gix(),
        &sides.ours.object().to_gix(),
        &sides.theirs.object().to_gix(),
        labels,
        objects,
        write_blob,
        &mut gix::diff::tree::State::default(),
        &mut diff_platform(),
        &mut blob_platform(attributes)?,
        options,
    )
    .map_err(failed)?;
    let tree = outcome.tree.write(|tree| gix::objs::Write::write(objects, tree)).map_err(failed)?;
    let tree = ObjectId::from_gix(&tree).ok_or(MergeError::Unsettled)?;
    Ok((TreeId::new(tree), outcome.conflicts, marked.into_inner()))
}

/// Tells whether a conflict that gix reports is one for git with `merge.directoryRenames=false`: what followed a
/// renamed folder all the same, because a file stands where its own folder was, is a conflict.
pub(super) fn is_unresolved(conflict: &tree::Conflict) -> bool {
    match &conflict.resolution {
        Ok(tree::Resolution::OursModifiedTheirsRenamedAndChangedThenRename {
            merged_blob,
            final_location,
            ..
        }) => {
            final_location.is_some()
                || merged_blob.is_some_and(|merged| merged.resolution == blob::Resolution::Conflict)
        }
        Ok(tree::Resolution::SourceLocationAffectedByRename { .. }) => true,
        _ => conflict.is_unresolved(tree::TreatAsUnresolved::git()),
    }
}

/// How much of two files must be the same, by lines, for one to be the other renamed.
const SIMILARITY: f32 = 0.5;

fn options(similarity: Option<f32>) -> tree::Options {
    tree::Options {
        rewrites: Some(gix::diff::Rewrites {
            copies: None,
            percentage: similarity,
            limit: RENAMES_MAX,
            track_empty: false,
        }),
        blob_merge: blob::platform::merge::Options {
            is_virtual_ancestor: false,
            resolve_binary_with: None,
            text: text_options(blob::builtin_driver::text::Conflict::Keep {
                style: blob::builtin_driver::text::ConflictStyle::Merge,
                marker_size: MARKER_LENGTH,
            }),
        },
        blob_merge_command_ctx: gix::command::Context::default(),
        fail_on_conflict: None,
        marker_size_multiplier: 0,
        symlink_conflicts: None,
        tree_conflicts: None,
    }
}

pub(super) fn text_options(
    conflict: blob::builtin_driver::text::Conflict,
) -> blob::builtin_driver::text::Options {
    blob::builtin_driver::text::Options { diff_algorithm: gix::diff::blob::Algorithm::Histogram, conflict }
}

/// Returns the label of conflict marks: nothing in the three trees can contain their hash.
fn label_of(sides: Sides) -> String {
    let mut hasher = Sha256::new();
    for tree in [sides.base, sides.ours, sides.theirs] {
        hasher.update(tree.object().as_bytes());
    }
    format!("mvault-{}", hex::encode(hasher.finalize()))
}

/// Replaces each region between conflict marks by one line without value; `None` if there is none.
fn without_value(bytes: &[u8], label: &str) -> Option<Vec<u8>> {
    let length = usize::from(MARKER_LENGTH.get());
    let mark = |sign: &str| format!("{} {label}", sign.repeat(length)).into_bytes();
    let (start, end) = (mark("<"), mark(">"));
    bytes.find(&start)?;
    let whole = Sha256::digest(bytes);
    let (mut out, mut inside, mut regions) = (Vec::with_capacity(bytes.len()), false, 0_u64);
    for line in bytes.lines_with_terminator() {
        match inside {
            false if line.starts_with(&start) => {
                let mut hasher = Sha256::new_with_prefix(label.as_bytes());
                hasher.update(whole);
                hasher.update(regions.to_be_bytes());
                let id = hex::encode(hasher.finalize());
                out.extend_from_slice(format!("<<<<<<< no value {id} >>>>>>>\n").as_bytes());
                inside = true;
                regions += 1;
            }
            false => out.extend_from_slice(line),
            true if line.starts_with(&end) => inside = false,
            true => {}
        }
    }
    Some(out)
}

/// Writes attribute lines for all changed paths whose driver is not text. A driver of ours is told to gix
/// as binary: its paths come back as conflicts and are merged here.
fn attribute_lines(rules: &Rules, changes: &[Changes; 2]) -> Vec<u8> {
    let paths: BTreeSet<&RawPath> = changes.iter().flat_map(Changes::keys).collect();
    let mut lines = Vec::new();
    for path in paths {
        let value: &[u8] = match VaultPath::parse(path.as_slice()).map(|path| rules.driver_for(&path)) {
            Ok(Driver::Text) | Err(_) => continue,
            Ok(Driver::Union) => b"merge=union",
            Ok(Driver::Binary | Driver::Custom(_)) => b"-merge",
        };
        lines.extend_from_slice(&quoted_pattern(path));
        lines.push(b' ');
        lines.extend_from_slice(value);
        lines.push(b'\n');
    }
    lines
}

/// Writes a pattern that matches exactly `path`: glob characters escaped, then quoted as git quotes.
fn quoted_pattern(path: &[u8]) -> Vec<u8> {
    let mut pattern = b"\"/".to_vec();
    for byte in path {
        let escaped = matches!(byte, b'*' | b'?' | b'[' | b'\\');
        if escaped {
            pattern.extend_from_slice(b"\\\\");
        }
        match byte {
            b'\\' => pattern.extend_from_slice(b"\\\\"),
            b'"' => pattern.extend_from_slice(b"\\\""),
            0x00..=0x1f | 0x7f..=0xff => pattern.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            _ => pattern.push(*byte),
        }
    }
    pattern.push(b'"');
    pattern
}

fn attribute_stack(lines: &[u8]) -> Result<gix::worktree::Stack> {
    use gix::worktree::stack::{State, state};
    let mut collection = gix::attrs::search::MetadataCollection::default();
    let mut search = gix::attrs::Search::default();
    search
        .add_patterns_buffer(lines, PathBuf::from("mvault"), None, &mut collection, false)
        .map_err(|e| MergeError::Engine(Box::new(e)))?;
    let attributes = state::Attributes::new(search, None, state::attributes::Source::IdMapping, collection);
    Ok(gix::worktree::Stack::new(
        PathBuf::from("/"),
        State::AttributesStack(attributes),
        gix::glob::pattern::Case::Sensitive,
        Vec::new(),
        Vec::new(),
    ))
}

fn filter() -> gix::filter::plumbing::Pipeline {
    gix::filter::plumbing::Pipeline::new(
        gix::command::Context::default(),
        gix::hash::Kind::Sha256,
        gix::filter::plumbing::pipeline::Options::default(),
    )
}

fn blob_platform(attributes: &[u8]) -> Result<blob::Platform> {
    let options = blob::pipeline::Options { large_file_threshold_bytes: TEXT_BYTES_MAX };
    Ok(blob::Platform::new(
        blob::Pipeline::new(blob::pipeline::WorktreeRoots::default(), filter(), options),
        blob::pipeline::Mode::ToGit,
        attribute_stack(attributes)?,
        Vec::new(),
        blob::platform::Options::default(),
    ))
}

fn diff_platform() -> gix::diff::blob::Platform {
    use gix::diff::blob::{Pipeline, Platform, pipeline, platform};
    let options = pipeline::Options {
        large_file_threshold_bytes: TEXT_BYTES_MAX,
        fs: gix::fs::Capabilities::default(),
    };
    let stack = gix::worktree::Stack::new(
        PathBuf::from("/"),
        gix::worktree::stack::State::AttributesStack(gix::worktree::stack::state::Attributes::default()),
        gix::glob::pattern::Case::Sensitive,
        Vec::new(),
        Vec::new(),
    );
    Platform::new(
        platform::Options {
            algorithm: Some(gix::diff::blob::Algorithm::Histogram),
            skip_internal_diff_if_external_is_configured: true,
        },
        Pipeline::new(pipeline::WorktreeRoots::default(), filter(), Vec::new(), options),
        pipeline::Mode::ToGit,
        stack,
    )
}

/// Tells whether text has a line without value.
pub(super) fn has_no_value(text: &[u8]) -> bool {
    text.lines().any(|line| {
        let id = line.strip_prefix(b"<<<<<<< no value ").and_then(|rest| rest.strip_suffix(b" >>>>>>>"));
        id.is_some_and(|id| id.len() == 64 && id.iter().all(u8::is_ascii_hexdigit))
    })
}
