//! The walk: compares every file's `stat` with the index and reads no content.
//!
//! - Folders are opened one from the other and no symbolic link is followed.
//! - `.mvault` and `.git`, in any form that a file system may take for them, are never entered.
//! - What cannot be examined keeps its place in the tree: only what is surely not there is missing.
//! - The result is sorted and does not depend on how many threads walked.

use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Arc, Mutex};

use crate::fs::{self, Dir, FileKind, Stat};
use crate::object::{BlobId, Mode, VaultPath, compare_paths, first_part, is_reserved_name};

use super::ignore::{IGNORE_FILE, IgnoreRules, WithheldRules};
use super::index::{Index, IndexEntry, SeenFolder, StatStamp};
use super::mounts::{Mounts, leave_unmounted};
use super::placeholder::keep_evicted;
use super::skipped::{SkipReason, Skipped};
use super::spelling::drop_other_spellings;
use super::traits::Traits;

/// How many levels are walked from one open folder; deeper ones are opened from the root again, so that
/// the number of open files stays small.
const LEVELS_MAX: usize = 16;
/// How many files of one folder are examined as one piece of work.
const FILES_PER_JOB: usize = 512;

/// What a walk needs.
#[derive(Clone, Copy)]
pub struct ScanInput<'a> {
    /// The working tree.
    pub root: &'a Dir,
    /// What is committed, and under which stamps.
    pub index: &'a Index,
    /// What the file system can do.
    pub traits: Traits,
    /// Only these files and folders; empty for everything.
    pub paths: &'a [VaultPath],
    /// Files of ignore rules that are not in force.
    pub withheld: &'a Arc<WithheldRules>,
    /// Folders that count as not readable while nothing is mounted on them.
    pub mounts: &'a Mounts,
}

/// A file or link whose content has to be read to know more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub path: VaultPath,
    /// What it is on disk.
    pub mode: Mode,
    /// Its `stat` when the walk saw it.
    pub stat: Stat,
    /// What the tree has at this path.
    pub old: Option<(Mode, BlobId)>,
    /// For a file to which lines are only ever added, the length of the tree's version: it can be read while
    /// somebody writes to it.
    pub grows_from: Option<u64>,
}

/// A file of the tree that is not on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Where.
    pub path: VaultPath,
    /// What the tree has there.
    pub old: (Mode, BlobId),
}

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// What has to be read to know, in the order of a walk.
    pub candidates: Vec<Candidate>,
    /// Files of the tree that are not there, in the order of a walk.
    pub missing: Vec<Missing>,
    /// What was left alone, sorted.
    pub skipped: Vec<Skipped>,
    /// How many files and links were examined.
    pub examined: u64,
    /// What folders were listed, for the next index.
    pub folders: Vec<SeenFolder>,
    /// Folders on which something is mounted, in no order.
    pub mounts: Vec<VaultPath>,
}

impl Scan {
    /// Tells whether the working tree is certainly the tree of the index.
    pub fn is_clean(&self) -> bool {
        self.candidates.is_empty() && self.missing.is_empty()
    }

    /// Says which files only grow; `known` returns the length of the tree's version.
    pub fn mark_growing(
        &mut self,
        grows: impl Fn(&VaultPath) -> bool,
        known: impl Fn(BlobId) -> Option<u64>,
    ) {
        for candidate in &mut self.candidates {
            if candidate.mode != Mode::Symlink && grows(&candidate.path) {
                let old = candidate.old.filter(|(mode, _)| *mode != Mode::Symlink);
                candidate.grows_from = Some(old.and_then(|(_, id)| known(id)).unwrap_or(0));
            }
        }
    }

    /// Leaves files alone that are too long to be read.
    pub fn leave_out(&mut self, is_too_large: impl FnMut(&Candidate) -> bool) {
        let mut is_too_large = is_too_large;
        let (out, rest) =
            std::mem::take(&mut self.candidates).into_iter().partition::<Vec<_>, _>(|one| is_too_large(one));
        self.candidates = rest;
        let skipped = out.into_iter().map(|one| one.path.as_bytes().to_vec());
        self.skipped.extend(skipped.map(|path| Skipped { path, reason: SkipReason::TooLarge }));
        self.skipped.sort_unstable();
    }

    fn merge(&mut self, mut other: Scan) {
        self.candidates.append(&mut other.candidates);
        self.missing.append(&mut other.missing);
        self.skipped.append(&mut other.skipped);
        self.examined += other.examined;
        self.folders.append(&mut other.folders);
        self.mounts.append(&mut other.mounts);
    }
}

/// Walks the working tree. Fails only if its root cannot be listed.
pub fn scan(input: ScanInput<'_>) -> fs::Result<Scan> {
    let gone = input.mounts.gone(input.root);
    let walk = Walk { input, found: Mutex::default(), deep: Mutex::default(), failed: Mutex::default() };
    let all = Unit {
        from: Opened::Here(Arc::new(input.root.clone())),
        base: Vec::new(),
        range: 0..input.index.len(),
        rules: IgnoreRules::none(input.traits.folds_case).withholding(input.withheld.clone()),
        ignored: false,
        level: 0,
        above: None,
    };
    let mut units = vec![all];
    while !units.is_empty() {
        rayon::scope(|scope| {
            for unit in units.drain(..) {
                scope.spawn(|scope| walk.folder(scope, unit));
            }
        });
        units = std::mem::take(&mut *lock(&walk.deep));
    }
    if let Some(error) = lock(&walk.failed).take() {
        return Err(error);
    }
    let mut found = std::mem::take(&mut *lock(&walk.found));
    leave_unmounted(input, gone, &mut found);
    found.candidates.sort_unstable_by(|a, b| compare_paths(a.path.as_bytes(), b.path.as_bytes()));
    found.missing.sort_unstable_by(|a, b| compare_paths(a.path.as_bytes(), b.path.as_bytes()));
    if input.traits.folds() && !found.missing.is_empty() {
        drop_other_spellings(input, &mut found.missing);
    }
    keep_evicted(input, &mut found);
    found.skipped.sort_unstable();
    found.folders.sort_unstable_by(|a, b| a.base.cmp(&b.base));
    Ok(found)
}

/// Nothing is done under these locks that could panic half-way, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct Walk<'a> {
    input: ScanInput<'a>,
    found: Mutex<Scan>,
    deep: Mutex<Vec<Unit>>,
    failed: Mutex<Option<fs::Error>>,
}

/// How a folder is to be opened.
enum Opened {
    Here(Arc<Dir>),
    In(Arc<Dir>, OsString),
    /// From the root, by its path.
    ByPath,
}

/// A folder to be walked.
struct Unit {
    from: Opened,
    /// Its path with a slash at the end; empty for the root.
    base: Vec<u8>,
    /// The index's entries in it.
    range: Range<usize>,
    /// The rules of the folders above.
    rules: IgnoreRules,
    /// Whether it is ignored: then only what the tree has counts.
    ignored: bool,
    level: usize,
    /// The mount that the folder above it is on.
    above: Option<u64>,
}

/// A file to be examined, with its entry in the index.
struct Job {
    name: OsString,
    entry: Option<usize>,
}

/// The names in a folder.
enum Names {
    /// Listed, with the folder's stat from before.
    Listed(Vec<(OsString, Option<FileKind>)>, Stat),
    /// Those of the index.
    OfIndex,
}

/// A folder being walked.
struct Here {
    dir: Arc<Dir>,
    base: Vec<u8>,
    rules: IgnoreRules,
    ignored: bool,
    level: usize,
    mount: u64,
}

/// What the paths asked for say about one path.
#[derive(PartialEq, Eq)]
enum Wanted {
    All,
    SomeBelow,
    No,
}

impl<'a> Walk<'a> {
    fn wanted(&self, path: &[u8]) -> Wanted {
        if self.input.paths.is_empty() {
            return Wanted::All;
        }
        let within = |inner: &[u8], outer: &[u8]| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        let mut wanted = Wanted::No;
        for asked in self.input.paths {
            if within(path, asked.as_bytes()) {
                return Wanted::All;
            }
            if within(asked.as_bytes(), path) {
                wanted = Wanted::SomeBelow;
            }
        }
        wanted
    }

    fn open(&self, unit: &Unit) -> fs::Result<Arc<Dir>> {
        match &unit.from {
            Opened::Here(dir) => Ok(dir.clone()),
            Opened::In(parent, name) => Ok(Arc::new(parent.open_dir(name)?)),
            Opened::ByPath => {
                let parts = unit.base.split(|b| *b == b'/').filter(|part| !part.is_empty());
                let mut dir = self.input.root.clone();
                for part in parts {
                    dir = dir.open_dir(std::ffi::OsStr::from_bytes(part))?;
                }
                Ok(Arc::new(dir))
            }
        }
    }

    /// Lists a folder, unless its stamp says that its names are those of the index.
    fn names(&self, unit: &Unit, dir: Arc<Dir>) -> fs::Result<((Arc<Dir>, u64), Names)> {
        let (stat, mount) = dir.stat_and_mount()?;
        if self.input.index.knows_folder(&unit.base, &stat) {
            return Ok(((dir, mount), Names::OfIndex));
        }
        let names = dir.list()?;
        Ok(((dir, mount), Names::Listed(names, stat)))
    }

    fn folder<'s>(&'s self, scope: &rayon::Scope<'s>, unit: Unit) {
        let mut found = Scan::default();
        match self.open(&unit).and_then(|dir| self.names(&unit, dir)) {
            Ok((dir, Names::Listed(names, stat))) => self.listed(scope, unit, dir, names, &stat, &mut found),
            Ok((dir, Names::OfIndex)) => self.known(scope, unit, dir, &mut found),
            Err(error) if error.is_out_of_handles() && !matches!(unit.from, Opened::ByPath) => {
                // Others hold them; when this round is over they are free.
                lock(&self.deep).push(Unit { from: Opened::ByPath, ..unit });
            }
            Err(error) if unit.base.is_empty() || error.is_out_of_handles() => {
                *lock(&self.failed) = Some(error);
            }
            Err(error) => {
                // Gone, or no folder any more, since its parent was listed: its files are gone. Anything
                // else tells nothing about them.
                if error.is_gone() {
                    self.missing(unit.range, &mut found);
                } else {
                    let path = unit.base[..unit.base.len() - 1].to_vec();
                    found.skipped.push(Skipped { path, reason: SkipReason::Unreadable });
                }
            }
        }
        lock(&self.found).merge(found);
    }

    fn listed<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        unit: Unit,
        dir: (Arc<Dir>, u64),
        names: Vec<(OsString, Option<FileKind>)>,
        stat: &Stat,
        found: &mut Scan,
    ) {
        let rules = IGNORE_FILE.as_bytes();
        let has_rules = names.binary_search_by(|(name, _)| name.as_bytes().cmp(rules)).is_ok();
        let range = unit.range.clone();
        let here = self.enter_rules(unit, dir, has_rules, found);
        let (mut at, mut names_seen, mut as_told) = (range.start, 0, true);
        let mut jobs = Vec::new();
        for (name, kind) in names {
            let bytes = name.as_bytes();
            let start = self.seek(&here.base, at..range.end, bytes);
            as_told &= start == at;
            self.missing(at..start, found);
            let end = self.seek_past(&here.base, start..range.end, bytes);
            at = end;
            names_seen += usize::from(!(here.base.is_empty() && is_reserved_name(bytes)));
            as_told &= self.name(scope, &here, name, kind, start..end, &mut jobs, found);
        }
        as_told &= at == range.end;
        self.missing(at..range.end, found);
        // Whether these names are those of the tree, only the index after the walk can tell.
        if as_told
            && self.input.paths.is_empty()
            && let Some(stamp) = StatStamp::unchecked(stat)
        {
            let stamp = StatStamp { size: 0, ..stamp };
            found.folders.push(SeenFolder { base: here.base.clone(), stamp, names: names_seen });
        }
        self.examine_jobs(scope, &here, jobs, found);
    }

    /// Walks a folder whose names are those of the index.
    fn known<'s>(&'s self, scope: &rayon::Scope<'s>, unit: Unit, dir: (Arc<Dir>, u64), found: &mut Scan) {
        let index = self.input.index;
        let range = unit.range.clone();
        let rules_at = self.seek(&unit.base, range.clone(), IGNORE_FILE.as_bytes());
        let is_rules = |at: usize| first_part(&index.path(at)[unit.base.len()..]) == IGNORE_FILE.as_bytes();
        let has_rules = rules_at < range.end && is_rules(rules_at);
        let here = self.enter_rules(unit, dir, has_rules, found);
        let (mut at, mut jobs) = (range.start, Vec::new());
        while at < range.end {
            let rest = &index.path(at)[here.base.len()..];
            let name = first_part(rest);
            let path = &index.path(at)[..here.base.len() + name.len()];
            let name_os = OsString::from_vec(name.to_vec());
            if name.len() == rest.len() {
                let entry = index.entry(at);
                if !self.cannot_be(&entry) && self.wanted(path) == Wanted::All {
                    jobs.push(Job { name: name_os, entry: Some(at) });
                }
                at += 1;
            } else {
                let end = self.seek_past(&here.base, at..range.end, name);
                if self.wanted(path) != Wanted::No {
                    let ignored = here.ignored || here.rules.is_ignored(path, true);
                    self.enter(scope, &here, name_os, path.to_vec(), at..end, ignored);
                }
                at = end;
            }
        }
        self.examine_jobs(scope, &here, jobs, found);
    }

    /// Adds the folder's own rules to those above it.
    fn enter_rules(
        &self,
        unit: Unit,
        (dir, mount): (Arc<Dir>, u64),
        has_rules: bool,
        found: &mut Scan,
    ) -> Arc<Here> {
        let Unit { base, mut rules, ignored, level, above, .. } = unit;
        if above.is_some_and(|above| above != mount) {
            found.mounts.extend(VaultPath::parse(&base[..base.len() - 1]));
        }
        if (has_rules || rules.keeps_lost(&base)) && !ignored {
            let (inner, broken) = rules.enter(&dir, &base);
            rules = inner;
            if broken {
                let path = [&base[..], IGNORE_FILE.as_bytes()].concat();
                found.skipped.push(Skipped { path, reason: SkipReason::IgnoreFile });
            }
        }
        Arc::new(Here { dir, base, rules, ignored, level, mount })
    }

    fn examine_jobs<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        here: &Arc<Here>,
        mut jobs: Vec<Job>,
        found: &mut Scan,
    ) {
        while jobs.len() > FILES_PER_JOB {
            let rest = jobs.split_off(jobs.len() - FILES_PER_JOB);
            let here = here.clone();
            scope.spawn(move |_| {
                let mut found = Scan::default();
                self.examine_all(&here, rest, &mut found);
                lock(&self.found).merge(found);
            });
        }
        self.examine_all(here, jobs, found);
    }

    /// Returns the first position whose part below `base` is not smaller than `name`.
    fn seek(&self, base: &[u8], range: Range<usize>, name: &[u8]) -> usize {
        self.input.index.position(range, |path| first_part(&path[base.len()..]) < name)
    }

    /// Returns the first position whose part below `base` is greater than `name`.
    fn seek_past(&self, base: &[u8], range: Range<usize>, name: &[u8]) -> usize {
        self.input.index.position(range, |path| first_part(&path[base.len()..]) <= name)
    }

    /// Tells whether a file cannot be on this disk, so that it is no news that it is not.
    fn cannot_be(&self, entry: &IndexEntry) -> bool {
        entry.absent_here || (entry.mode == Mode::Symlink && !self.input.traits.symlinks)
    }

    /// Tells that files of the tree are not there.
    fn missing(&self, range: Range<usize>, found: &mut Scan) {
        for at in range {
            let (path, entry) = (self.input.index.path(at), self.input.index.entry(at));
            if self.cannot_be(&entry) || self.wanted(path) != Wanted::All {
                continue;
            }
            if let Ok(path) = VaultPath::parse(path) {
                found.missing.push(Missing { path, old: (entry.mode, entry.id) });
            }
        }
    }

    /// Sorts one name of a folder: `range` are the index's entries of that name or below it. Tells whether
    /// the name can be known from the index once what was found is in it.
    #[allow(clippy::too_many_arguments)]
    fn name<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        here: &Arc<Here>,
        name: OsString,
        kind: Option<FileKind>,
        range: Range<usize>,
        jobs: &mut Vec<Job>,
        found: &mut Scan,
    ) -> bool {
        let bytes = name.as_bytes();
        let path = [&here.base[..], bytes].concat();
        let wanted = self.wanted(&path);
        if wanted == Wanted::No {
            return false;
        }
        let skip = |reason, found: &mut Scan| found.skipped.push(Skipped { path: path.clone(), reason });
        if is_reserved_name(bytes) {
            if !here.base.is_empty() && !here.ignored {
                skip(SkipReason::Reserved, found);
            }
            self.missing(range, found);
            return here.base.is_empty();
        }
        let kind = match kind.map_or_else(|| here.dir.stat(&name).map(|stat| stat.kind), Ok) {
            Ok(kind) => kind,
            Err(error) if error.is_not_found() => {
                self.missing(range, found);
                return false;
            }
            Err(_) => {
                skip(SkipReason::Unreadable, found);
                return false;
            }
        };
        // The entry of the name itself comes before those below it, and never beside them.
        let own = range.clone().next().filter(|at| self.input.index.path(*at).len() == path.len());
        let below = if own.is_some() { range.start + 1..range.end } else { range };
        if kind == FileKind::Dir {
            if let Some(own) = own {
                self.missing(own..own + 1, found);
            }
            let ignored = here.ignored || here.rules.is_ignored(&path, true);
            if !(ignored && below.is_empty()) {
                self.enter(scope, here, name, path, below, ignored);
            }
            return own.is_none();
        }
        let as_told = below.is_empty();
        self.missing(below, found);
        if wanted == Wanted::SomeBelow {
            return false;
        }
        let new = own.is_none();
        if new && (here.ignored || here.rules.is_ignored(&path, false)) {
            return false;
        }
        match kind {
            FileKind::Special => skip(SkipReason::Special, found),
            _ if new && VaultPath::parse(path.as_slice()).is_err() => skip(SkipReason::TooLong, found),
            _ => {
                jobs.push(Job { name, entry: own });
                return as_told;
            }
        }
        false
    }

    fn enter<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        here: &Arc<Here>,
        name: OsString,
        mut base: Vec<u8>,
        range: Range<usize>,
        ignored: bool,
    ) {
        base.push(b'/');
        let level = here.level + 1;
        // Beyond this length nothing below it can be a path of a vault.
        if VaultPath::parse([&base[..], b"x"].concat()).is_err() {
            base.pop();
            let skipped = Skipped { path: base, reason: SkipReason::TooLong };
            lock(&self.found).skipped.push(skipped);
            return;
        }
        let (rules, above) = (here.rules.clone(), Some(here.mount));
        if level.is_multiple_of(LEVELS_MAX) {
            let unit = Unit { from: Opened::ByPath, base, range, rules, ignored, level, above };
            lock(&self.deep).push(unit);
        } else {
            let from = Opened::In(here.dir.clone(), name);
            let unit = Unit { from, base, range, rules, ignored, level, above };
            scope.spawn(move |scope| self.folder(scope, unit));
        }
    }

    fn examine_all(&self, here: &Here, jobs: Vec<Job>, found: &mut Scan) {
        found.examined += jobs.len() as u64;
        for job in jobs {
            self.examine(here, &job, found);
        }
    }

    fn examine(&self, here: &Here, job: &Job, found: &mut Scan) {
        let entry = job.entry.map(|at| self.input.index.entry(at));
        let stat = match here.dir.stat(&job.name) {
            Ok(stat) => stat,
            Err(error) if error.is_not_found() => {
                return job.entry.into_iter().for_each(|at| self.missing(at..at + 1, found));
            }
            Err(_) => return self.skip(here, job, SkipReason::Unreadable, found),
        };
        let mode = match stat.kind {
            FileKind::Symlink => Mode::Symlink,
            FileKind::File => self.file_mode(&stat, entry.as_ref()),
            // It became a folder or a fifo since the folder was listed; the next walk sees to it.
            FileKind::Dir | FileKind::Special => return self.skip(here, job, SkipReason::Special, found),
        };
        if let Some(entry) = &entry
            && entry.mode == mode
            && entry.stamp.is_some()
            && entry.stamp == StatStamp::unchecked(&stat)
        {
            return;
        }
        let path = [&here.base[..], job.name.as_bytes()].concat();
        let Ok(path) = VaultPath::parse(path) else {
            return self.skip(here, job, SkipReason::TooLong, found);
        };
        let old = entry.map(|entry| (entry.mode, entry.id));
        found.candidates.push(Candidate { path, mode, stat, old, grows_from: None });
    }

    /// Returns a regular file's mode; where the executable bit is not kept, the one the tree has.
    fn file_mode(&self, stat: &Stat, entry: Option<&IndexEntry>) -> Mode {
        let known = entry.map(|entry| entry.mode).filter(|mode| *mode != Mode::Symlink);
        match (self.input.traits.executable_bit, known) {
            (false, known) => known.unwrap_or(Mode::File),
            (true, _) if stat.is_executable() => Mode::Executable,
            (true, _) => Mode::File,
        }
    }

    fn skip(&self, here: &Here, job: &Job, reason: SkipReason, found: &mut Scan) {
        let path = [here.base.clone(), job.name.clone().into_vec()].concat();
        found.skipped.push(Skipped { path, reason });
    }
}
