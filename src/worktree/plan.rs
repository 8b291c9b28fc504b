//! The plan of a move from one tree to another: decides everything, touches nothing.
//!
//! - Untracked means: not in the tree we are at. Untracked and ignored files are never removed and never
//!   written over; one with equal bytes is adopted, any other is in the way.
//! - What stands at a path is taken from the walk where the walk looked, and from the disk where it did
//!   not (ignored files, folders).
//! - Names and link targets that cannot exist here, and contents that were purged, are passed over and marked absent:
//!   they never block a device.
//! - What cannot be read or examined is tried all the same: carrying the plan out never replaces what it
//!   cannot read, and what it cannot do waits.
//! - What waits since an earlier move is tried again. An edit of it stays, as long as the tree to move to
//!   has nothing new there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::object::{
    Entry, FileEntry, Mode, Source, TreeId, VaultPath, compare_paths, diff_trees, list_tree, prefixes,
};

use super::index::Index;
use super::journal::Action;
use super::look::{Look, OnDisk, can_be_made};
use super::read::LocalChanges;
use super::skipped::SkipReason;
use super::traits::Traits;
use super::waits::Waits;
use super::{Error, Result};

/// What happens to edits that are in no commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edits {
    /// They stay; where the move would change the same path they are in the way.
    Carry,
    /// They stay, also where the file goes from the tree.
    Stay,
    /// They give way, also where the move itself changes nothing; the caller stores them first.
    Replace,
}

/// What a plan is made from.
#[derive(Clone, Copy)]
pub struct PlanInput<'a> {
    /// Where the trees are.
    pub source: &'a dyn Source,
    /// The tree we are at; the index is that tree's.
    pub from: TreeId,
    /// The tree to move to.
    pub to: TreeId,
    /// The stat cache of `from`, with what waits as it stands on disk.
    pub index: &'a Index,
    /// What waits of earlier moves; all of it holds for `from`.
    pub waits: &'a Waits,
    /// How the working tree differs from `from`.
    pub local: &'a LocalChanges,
    /// What the file system can do.
    pub traits: Traits,
    /// What happens to edits.
    pub edits: Edits,
    /// Only these files and folders, which then are edits of the tree we stay at; empty for a move.
    pub paths: &'a [VaultPath],
}

/// Why a path cannot be written or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A file that is in no tree we are at, with other bytes.
    Untracked,
    /// A folder that holds untracked files.
    UntrackedInFolder,
    /// An edit in no commit.
    Edited,
    /// A fifo, socket or device, or something that does not hold still.
    Other,
}

/// Something that a move may not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// What stands in the way.
    pub path: VaultPath,
    /// What it is.
    pub obstacle: Obstacle,
}

/// A file of the new tree that cannot exist here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritable {
    /// Its path.
    pub path: VaultPath,
    /// The path whose name is the same here, if that is why.
    pub same_as: Option<VaultPath>,
    /// Whether it is its content that cannot be had: it was purged.
    pub is_purged: bool,
    /// Whether it is not put there before somebody accepted it.
    pub is_withheld: bool,
}

/// What a move would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The tree we are at.
    pub from: TreeId,
    /// The tree of the index afterwards: the one to move to, or still the one we are at.
    pub to: TreeId,
    /// What is done, in this order.
    pub actions: Vec<Action>,
    /// What may not be touched: with any of these the plan is refused.
    pub in_the_way: Vec<InTheWay>,
    /// What is passed over.
    pub unwritable: Vec<Unwritable>,
    /// Edits that give way and must be stored first.
    pub replaced_edits: Vec<VaultPath>,
    /// Whether this is a move to `to`; if not, what is written are edits to `from`.
    pub moves: bool,
    /// Whether different names can be one file here.
    pub names_fold: bool,
    /// Whether it goes on with what an earlier move left waiting, and has no operation of its own.
    pub again: bool,
}

impl Plan {
    /// Returns how many files are written and how many removed.
    pub fn counts(&self) -> (usize, usize) {
        let count = |want: fn(&Action) -> bool| self.actions.iter().filter(|a| want(a)).count();
        (count(|a| matches!(a, Action::Write { .. })), count(|a| matches!(a, Action::Remove { .. })))
    }
}

/// What a path is and what it is to be.
struct Target {
    old: Option<FileEntry>,
    new: Option<FileEntry>,
}

/// What stands at a path now.
enum Now {
    Nothing,
    Entry(FileEntry),
    Folder,
    Other,
}

/// Decides what a move does.
pub fn plan(input: PlanInput<'_>, look: &mut dyn Look) -> Result<Plan> {
    let moves = input.paths.is_empty();
    let targets = targets(&input)?;
    let mut planner = Planner {
        same_names: same_names(&input)?,
        skipped: input.local.skipped.iter().map(|s| (s.path.as_slice(), s.reason)).collect(),
        unmounted: input.local.unmounted(),
        unstable: input.local.unstable.iter().collect(),
        input: &input,
        look,
        targets: &targets,
        folders: HashMap::new(),
        plan: Plan {
            from: input.from,
            to: if moves { input.to } else { input.from },
            actions: Vec::new(),
            in_the_way: Vec::new(),
            unwritable: Vec::new(),
            replaced_edits: Vec::new(),
            moves,
            names_fold: input.traits.folds(),
            again: false,
        },
    };
    for (path, target) in &targets {
        let before = planner.plan.in_the_way.len();
        planner.decide(path, target)?;
        // What waits already holds up no move that changes nothing there.
        if input.waits.find(path).is_some_and(|wait| wait.wanted == target.new) {
            planner.plan.in_the_way.truncate(before);
        }
    }
    let mut plan = planner.plan;
    plan.in_the_way.sort_by(|a, b| a.path.cmp(&b.path));
    plan.in_the_way.dedup();
    order(&mut plan, input.traits);
    Ok(plan)
}

/// Collects every path that may have to change.
fn targets(input: &PlanInput<'_>) -> Result<BTreeMap<VaultPath, Target>> {
    let asked = |path: &VaultPath| input.paths.is_empty() || input.paths.iter().any(|p| path.is_within(p));
    let mut targets = BTreeMap::new();
    for diff in diff_trees(input.source, input.from, input.to)? {
        if asked(&diff.path) {
            let target = Target { old: diff.old, new: diff.new };
            targets.insert(diff.path, target);
        }
    }
    for wait in input.waits.iter().filter(|wait| asked(&wait.path)) {
        let target = Target { old: wait.stood, new: wait.wanted };
        targets.entry(wait.path.clone()).and_modify(|t: &mut Target| t.old = wait.stood).or_insert(target);
    }
    if input.edits == Edits::Replace {
        for change in &input.local.changes {
            if change.old.is_some() && asked(&change.path) {
                let target = Target { old: change.old, new: change.old };
                targets.entry(change.path.clone()).or_insert(target);
            }
        }
    }
    // What could not exist here may be able to now: another name went, or the vault moved.
    for (path, entry) in input.index.iter().filter(|(_, entry)| entry.absent_here) {
        let path = VaultPath::parse(path)?;
        if asked(&path) {
            let entry = Some(Entry { mode: entry.mode, id: entry.id });
            targets.entry(path).or_insert(Target { old: entry, new: entry });
        }
    }
    Ok(targets)
}

/// For each path and folder of the new tree that has the same name here as one before it: that one.
fn same_names(input: &PlanInput<'_>) -> Result<HashMap<Vec<u8>, Vec<u8>>> {
    let mut same = HashMap::new();
    if !input.traits.folds() {
        return Ok(same);
    }
    let mut first: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    // What is on disk now keeps its name; then the order of a walk decides.
    let mut present = BTreeSet::new();
    for (path, _) in input.index.iter().filter(|(_, entry)| !entry.absent_here) {
        present.extend(prefixes(path).map(<[u8]>::to_vec));
    }
    let mut paths: Vec<Vec<u8>> = Vec::new();
    for file in list_tree(input.source, input.to) {
        paths.push(file?.0.as_bytes().to_vec());
    }
    for wanted in [true, false] {
        for prefix in paths.iter().flat_map(|path| prefixes(path)) {
            if present.contains(prefix) == wanted {
                let folded = input.traits.fold(prefix);
                let winner = first.entry(folded).or_insert_with(|| prefix.to_vec());
                if winner.as_slice() != prefix {
                    same.insert(prefix.to_vec(), winner.clone());
                }
            }
        }
    }
    Ok(same)
}

struct Planner<'a> {
    input: &'a PlanInput<'a>,
    look: &'a mut dyn Look,
    targets: &'a BTreeMap<VaultPath, Target>,
    /// What stands where folders have to be.
    folders: HashMap<Vec<u8>, OnDisk>,
    same_names: HashMap<Vec<u8>, Vec<u8>>,
    skipped: BTreeMap<&'a [u8], SkipReason>,
    /// Folders that something belongs on which is not mounted.
    unmounted: Vec<VaultPath>,
    unstable: BTreeSet<&'a VaultPath>,
    plan: Plan,
}

impl Planner<'_> {
    fn decide(&mut self, path: &VaultPath, target: &Target) -> Result<()> {
        let now = self.now(path, target)?;
        if self.is_edit_of_what_waits(path, target, &now) {
            return Ok(());
        }
        let writable = match &target.new {
            Some(new) => self.writable(path, new, &now)?,
            None => true,
        };
        let stays = self.input.edits == Edits::Stay && target.new.is_none();
        let in_place = matches!(&now, Now::Entry(now) if self.is_in_place(path, now));
        let edited = match (&now, target.old) {
            (Now::Nothing, Some(_)) => !self.absent(path),
            (Now::Entry(now), Some(old)) => *now != old && !in_place,
            _ => false,
        };
        if let (Now::Other, _) | (Now::Entry(_), None) = (&now, target.old)
            && !in_place
            && !matches!((&now, target.new), (Now::Entry(now), Some(new)) if *now == new)
        {
            let untracked = matches!(now, Now::Entry(_));
            // What is to go and is not there as the tree has it is none of ours.
            if target.new.is_some() || !(untracked || stays) {
                self.in_the_way(path, if untracked { Obstacle::Untracked } else { Obstacle::Other });
            }
            return Ok(());
        }
        if !writable && !self.plan.moves {
            // A restore that cannot be leaves what is there.
            return Ok(());
        }
        let wanted = target.new.filter(|_| writable);
        match (now, wanted) {
            (Now::Entry(now), Some(new)) if now == new => {
                self.push(Action::Keep { path: path.clone(), entry: new })
            }
            (Now::Nothing, None) => {}
            _ if edited && stays => {}
            _ if edited && self.input.edits != Edits::Replace => {
                self.in_the_way(path, Obstacle::Edited);
                return Ok(());
            }
            (now, Some(new)) => {
                if edited && matches!(now, Now::Entry(_)) {
                    self.plan.replaced_edits.push(path.clone());
                }
                if !self.place_is_free(path, &now)? {
                    return Ok(());
                }
                let expected = match now {
                    Now::Entry(entry) => Some(entry),
                    _ => None,
                };
                self.push(Action::Write { path: path.clone(), entry: new, expected });
            }
            (Now::Entry(expected), None) => {
                if edited {
                    self.plan.replaced_edits.push(path.clone());
                }
                self.push(Action::Remove { path: path.clone(), expected });
            }
            (Now::Folder | Now::Other, None) => {}
        }
        match target.new {
            Some(entry) if !writable => self.push(Action::Absent { path: path.clone(), entry }),
            Some(_) => {}
            None => self.push(Action::Forget { path: path.clone() }),
        }
        Ok(())
    }

    /// Returns `true` for what waited and stands there by now, put there by a command that was cut or by hand.
    fn is_in_place(&self, path: &VaultPath, now: &FileEntry) -> bool {
        self.input.waits.find(path).is_some_and(|wait| wait.wanted == Some(*now))
    }

    /// Returns `true` for an edit at a path that waits and that the move itself does not change: it stays.
    fn is_edit_of_what_waits(&self, path: &VaultPath, target: &Target, now: &Now) -> bool {
        let Some(wait) = self.input.waits.find(path).filter(|wait| wait.wanted == target.new) else {
            return false;
        };
        let found = match now {
            Now::Entry(now) => Some(*now),
            Now::Nothing => None,
            Now::Folder => return false,
            Now::Other => return true,
        };
        // A new file in the place of one is given way to by no move, whatever it does with edits.
        let gives_way = self.input.edits == Edits::Replace && wait.stood.is_some();
        found != wait.stood && found != wait.wanted && !gives_way
    }

    fn push(&mut self, action: Action) {
        self.plan.actions.push(action);
    }

    fn in_the_way(&mut self, path: &VaultPath, obstacle: Obstacle) {
        self.plan.in_the_way.push(InTheWay { path: path.clone(), obstacle });
    }

    fn absent(&self, path: &VaultPath) -> bool {
        self.input.index.find(path.as_bytes()).is_some_and(|entry| entry.absent_here)
    }

    /// Finds out what stands at `path`, asking the disk only where the walk does not know.
    fn now(&mut self, path: &VaultPath, target: &Target) -> Result<Now> {
        if self.unmounted.iter().any(|folder| path.is_within(folder)) {
            return Ok(target.old.map_or(Now::Nothing, Now::Entry));
        }
        match self.skipped.get(path.as_bytes()) {
            Some(SkipReason::Unreadable) => return Ok(target.old.map_or(Now::Nothing, Now::Entry)),
            Some(_) => return Ok(Now::Other),
            None if self.unstable.contains(path) => return Ok(Now::Other),
            None => {}
        }
        if let Some(change) = self.input.local.find(path)
            && let Some(new) = change.new
        {
            return Ok(Now::Entry(new));
        }
        let known_gone = self.input.local.find(path).is_some();
        if !known_gone
            && let Some(old) = target.old
            && !self.absent(path)
        {
            return Ok(Now::Entry(old));
        }
        // Nobody looked: it may be ignored, or a folder, or absent here and come nevertheless.
        if target.new.is_none() || !self.has_folders(path)? {
            return Ok(Now::Nothing);
        }
        if self.input.traits.folds() && self.same_names.contains_key(path.as_bytes()) {
            return Ok(Now::Nothing);
        }
        Ok(match self.look.kind(path)? {
            OnDisk::Nothing => Now::Nothing,
            // By another spelling: one of the names that go, which the removal sees to.
            OnDisk::File if self.is_other_spelling(path) => Now::Nothing,
            OnDisk::File => match self.look.entry(path) {
                Err(Error::Disk(error)) if !error.is_out_of_handles() => Now::Nothing,
                found => found?.map_or(Now::Other, Now::Entry),
            },
            OnDisk::Folder => Now::Folder,
            OnDisk::Other => Now::Other,
            OnDisk::Unknown => Now::Nothing,
        })
    }

    /// Tells whether the file found at `path` can only be a file of the old tree, spelled otherwise.
    fn is_other_spelling(&self, path: &VaultPath) -> bool {
        if !self.input.traits.folds() {
            return false;
        }
        let folded = self.input.traits.fold(path.as_bytes());
        let goes = |(other, target): (&VaultPath, &Target)| {
            target.new.is_none() && other != path && self.input.traits.fold(other.as_bytes()) == folded
        };
        self.targets.iter().any(goes)
    }

    /// Tells whether all folders on the way to `path` exist.
    fn has_folders(&mut self, path: &VaultPath) -> Result<bool> {
        match path.parent() {
            None => Ok(true),
            Some(folder) => Ok(self.folder(&folder)? == OnDisk::Folder),
        }
    }

    fn folder(&mut self, folder: &VaultPath) -> Result<OnDisk> {
        if let Some(known) = self.folders.get(folder.as_bytes()) {
            return Ok(*known);
        }
        let mut found = OnDisk::Folder;
        for prefix in prefixes(folder.as_bytes()) {
            found = match (found, self.folders.get(prefix)) {
                (OnDisk::Folder, Some(known)) => *known,
                (OnDisk::Folder, None) => self.look.kind(&VaultPath::parse(prefix)?)?,
                (OnDisk::Unknown, _) => OnDisk::Unknown,
                _ => OnDisk::Nothing,
            };
            self.folders.insert(prefix.to_vec(), found);
        }
        Ok(found)
    }

    /// Tells whether the name can exist here and its content can be had, and says so if not.
    fn writable(&mut self, path: &VaultPath, new: &FileEntry, now: &Now) -> Result<bool> {
        let same = prefixes(path.as_bytes()).find_map(|prefix| self.same_names.get(prefix));
        let mut can = same.is_none() && (new.mode != Mode::Symlink || self.input.traits.symlinks);
        if can {
            for part in path.parts() {
                can = can && self.look.can_exist(part)?;
            }
        }
        let is_there = matches!(now, Now::Entry(now) if now == new);
        let is_purged = can && !is_there && self.look.is_purged(new.id);
        if can && !is_there && !is_purged {
            can = can_be_made(self.look, self.input.source, new.mode, new.id)?;
        }
        let is_withheld = can && !is_there && !is_purged && self.look.is_withheld(path, new.id);
        if !can || is_purged || is_withheld {
            let same_as = same.map(|path| VaultPath::parse(path.as_slice())).transpose()?;
            self.plan.unwritable.push(Unwritable { path: path.clone(), same_as, is_purged, is_withheld });
        }
        Ok(can && !is_purged && !is_withheld)
    }

    /// Tells whether `path` can be written once the plan's removals are done, and says what is in the way.
    fn place_is_free(&mut self, path: &VaultPath, now: &Now) -> Result<bool> {
        let mut free = true;
        let mut above = path.parent();
        while let Some(folder) = above {
            let found = self.folder(&folder)?;
            let goes = |t: &Target| t.new.is_none() && t.old.is_some();
            match found {
                OnDisk::File if self.targets.get(&folder).is_some_and(goes) => {}
                OnDisk::File => {
                    self.in_the_way(&folder, Obstacle::Untracked);
                    free = false;
                }
                OnDisk::Other => {
                    self.in_the_way(&folder, Obstacle::Other);
                    free = false;
                }
                OnDisk::Nothing | OnDisk::Folder | OnDisk::Unknown => {}
            }
            above = folder.parent();
        }
        if let Now::Folder = now {
            let below = match self.look.below(path) {
                Err(Error::Disk(error)) if !error.is_out_of_handles() => Vec::new(),
                found => found?,
            };
            for inner in below {
                let known = VaultPath::parse(inner).ok();
                let goes = known.as_ref().and_then(|p| self.targets.get(p));
                if !goes.is_some_and(|t| t.new.is_none() && t.old.is_some()) {
                    self.in_the_way(path, Obstacle::UntrackedInFolder);
                    return Ok(false);
                }
            }
        }
        Ok(free)
    }
}

/// Puts removals that make room for a write first, then writes, then the other removals: a file that only
/// changes its name is always there under one of them.
fn order(plan: &mut Plan, traits: Traits) {
    let mut needed: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut written: BTreeSet<Vec<u8>> = BTreeSet::new();
    for action in &plan.actions {
        if let Action::Write { path, .. } = action {
            needed.extend(prefixes(path.as_bytes()).map(|prefix| traits.fold(prefix)));
            written.insert(traits.fold(path.as_bytes()));
        }
    }
    let rank = |action: &Action| match action {
        Action::Remove { path, .. } => {
            let makes_room = needed.contains(&traits.fold(path.as_bytes()))
                || prefixes(path.as_bytes()).any(|prefix| written.contains(&traits.fold(prefix)));
            if makes_room { 0 } else { 2 }
        }
        Action::Write { .. } => 1,
        Action::Keep { .. } | Action::Absent { .. } | Action::Forget { .. } => 3,
    };
    plan.actions.sort_by(|a, b| {
        let by_path = || compare_paths(a.path().as_bytes(), b.path().as_bytes());
        rank(a).cmp(&rank(b)).then_with(by_path)
    });
}
