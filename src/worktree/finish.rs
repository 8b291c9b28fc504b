//! Carrying a journal out, after its operation was logged.
//!
//! - It may be cut anywhere and run again: what is in place is left, what is staged is moved, what a crash
//!   lost is made again from the store.
//! - What is displaced is hashed before and looked at again after; if it is not what the plan saw, its
//!   bytes are kept beside the journal until the caller stored them.
//! - A file that took a needed place since the plan is displaced; a folder with files in it, or a fifo, is
//!   never touched.
//! - A path that cannot be changed, for whatever reason the disk gives, is reported as waiting and holds
//!   up no other path. Only running out of file handles, which is no fault of a place, stops everything.
//! - When it returns, everything else is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::{ParallelIterator, ParallelSlice};

use crate::fs::{self, Dir, File, FileKind, Stat};
use crate::object::{BlobId, FileEntry, Kind, Mode, VaultPath, hash_object};

use super::apply::{Content, stage_one};
use super::attributes::{FileAttributes, Modes, moved_from, note_what_goes};
use super::finished::{Displaced, DisplacedBody, Finished};
use super::folders::{Folders, remove_empty_below};
use super::index::{IndexEntry, StatStamp};
use super::journal::{Action, Expected, JOURNAL_DIR, Journal};
use super::look::read_entry;
use super::mounts::Mounts;
use super::read::hash_file;
use super::traits::os;
use super::waits::Wait;
use super::{Error, Result};

/// How many actions one thread carries out with the folders on the way kept open.
const ACTIONS_PER_RUN: usize = 32;
/// From so many folders on, one sync of the whole file system is cheaper than one a folder. The first sync
/// of a folder makes the names in the others durable as well on most file systems, so that the next ones
/// cost little; a sync of everything also waits for what other programs wrote.
const FOLDER_SYNCS_MAX: usize = 512;
/// How much of a file is in memory at once while it is copied.
const BUFFER_BYTES: usize = 256 << 10;
/// How the names of displaced edits begin; then come the action's position and how many parts of its
/// path lead to where the edit was.
const DISPLACED: &str = "displaced-";
/// The name of a displaced edit while it is copied.
const PARTIAL: &str = "partial-";

/// What became of one action.
enum Done {
    /// The working tree has it; the stamp is there if it can be trusted later.
    InPlace(Option<StatStamp>),
    Gone,
    Stayed,
    Absent,
    /// It cannot be changed now; why.
    Waits(String),
}

/// Carries out a journal whose operation is in the log. `content` makes again what a crash lost.
pub fn finish(root: &Dir, dot: &Dir, journal: &Journal, content: &dyn Content) -> Result<Finished> {
    let folder = dot.open_dir(JOURNAL_DIR)?;
    let staged = journal.open_staged(&folder)?;
    let moved_from = moved_from(journal);
    let work = Work {
        root,
        folder: &folder,
        staged: &staged,
        journal,
        content,
        making_room: Mutex::new(()),
        modes: note_what_goes(root, dot, journal),
        moved: moved_from.values().copied().collect(),
        moved_from,
        taken_away: Mutex::default(),
        attributes_lost: Mutex::default(),
        unmounted: Mounts::load(dot)?.gone(root),
    };
    let actions: Vec<(usize, &Action)> = journal.actions.iter().enumerate().collect();
    let mut done = Vec::with_capacity(actions.len());
    // Removals that make room, writes, other removals: each stage over before the next begins.
    for stage in
        actions.chunk_by(|a, b| matches!(a.1, Action::Write { .. }) == matches!(b.1, Action::Write { .. }))
    {
        let runs: Vec<Vec<Done>> = stage
            .par_chunks(ACTIONS_PER_RUN)
            .map(|run| {
                let mut folders = Folders::new(root);
                run.iter().map(|(at, action)| work.attempt(&mut folders, *at, action)).collect()
            })
            .collect::<Result<_>>()?;
        done.extend(runs.into_iter().flatten());
        if !matches!(stage[0].1, Action::Write { .. }) {
            work.remove_empty_folders(stage)?;
        }
    }
    let not_durable = work.sync()?;
    work.report(done, &not_durable)
}

struct Work<'a> {
    root: &'a Dir,
    /// The journal's folder: what is displaced is kept there.
    folder: &'a Dir,
    /// Where the staged files are.
    staged: &'a Dir,
    journal: &'a Journal,
    content: &'a dyn Content,
    /// Held while a file that took a folder's place is moved: two threads may need the same folder.
    making_room: Mutex<()>,
    /// What private files were like that moves took away.
    modes: Modes,
    /// For writes of files that are new at their path: the path that the file had before.
    moved_from: BTreeMap<usize, &'a VaultPath>,
    /// The same paths.
    moved: BTreeSet<&'a VaultPath>,
    /// What files were like that made room in this run and come back at another path.
    taken_away: Mutex<BTreeMap<VaultPath, FileAttributes>>,
    attributes_lost: Mutex<Vec<(VaultPath, Vec<String>)>>,
    /// Folders in which nothing is changed: something belongs on them that is not mounted.
    unmounted: Vec<VaultPath>,
}

impl Work<'_> {
    /// Carries an action out. A place that does not let it makes this one path wait.
    fn attempt(&self, folders: &mut Folders, at: usize, action: &Action) -> Result<Done> {
        match self.act(folders, at, action) {
            Err(error) if is_out_of_handles(&error) => Err(error),
            Err(error) => {
                folders.forget();
                Ok(Done::Waits(why(&error)))
            }
            done => done,
        }
    }

    fn act(&self, folders: &mut Folders, at: usize, action: &Action) -> Result<Done> {
        let changes = matches!(action, Action::Write { .. } | Action::Remove { .. });
        if changes && let Some(folder) = self.unmounted.iter().find(|folder| action.path().is_within(folder))
        {
            return Ok(Done::Waits(format!("{folder} is not mounted")));
        }
        match action {
            Action::Write { path, entry, expected } => self.write(folders, at, path, *entry, *expected),
            Action::Remove { path, expected } => self.remove(folders, at, path, *expected),
            Action::Keep { .. } => Ok(Done::InPlace(None)),
            Action::Absent { .. } => Ok(Done::Absent),
            Action::Forget { .. } => Ok(Done::Gone),
        }
    }

    fn write(
        &self,
        folders: &mut Folders,
        at: usize,
        path: &VaultPath,
        entry: FileEntry,
        expected: Expected,
    ) -> Result<Done> {
        let staged = at.to_string();
        let dir = match self.make_parent(folders, at, path) {
            Err(Error::Disk(error)) if error.is_bad_name() => return Ok(Done::Absent),
            other => other?,
        };
        let mut staged_stat = self.staged.try_stat(&staged)?;
        if staged_stat.is_none() {
            // A run before this one moved it, or a crash lost it. What stands there tells which.
            let there = dir.try_stat(os(path.name()))?;
            let now = there.and_then(|_| read_entry(&dir, path.name()));
            if there.is_some() && (now.is_none() || now == Some(entry) || now != expected) {
                return Ok(Done::InPlace(None));
            }
            stage_one(self.staged, &staged, path, entry, self.content)?.map_or(Ok(()), |file| file.sync())?;
            staged_stat = self.staged.try_stat(&staged)?;
        }
        let acceptable = [Some(entry.id), expected.map(|e| e.id)];
        let displaced = self.look_at_old(&dir, at, path, &acceptable)?;
        if entry.mode != Mode::Symlink {
            self.keep_attributes(folders, at, path, entry.mode, displaced.as_ref().map(|(old, _)| old))?;
        }
        match self.staged.rename(&staged, &dir, os(path.name())) {
            Ok(()) => {}
            Err(error) if error.is_bad_name() => return Ok(Done::Absent),
            Err(error) if error.is_other_device() => {
                self.copy_across(&dir, at, path, entry)?;
                return Ok(Done::InPlace(None));
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(old) = displaced {
            self.look_again(&old, at, path)?;
        }
        Ok(Done::InPlace(self.stamp(&dir, path, staged_stat)?))
    }

    /// Gives the file that is staged for `path` what the one it replaces has besides its bytes, or what it had
    /// itself under the path it comes from.
    fn keep_attributes(
        &self,
        folders: &Folders,
        at: usize,
        path: &VaultPath,
        mode: Mode,
        old: Option<&File>,
    ) -> Result<()> {
        let found = match (old, self.moved_from.get(&at)) {
            (Some(old), _) => Some(FileAttributes::of(old)?),
            (None, Some(from)) => self.attributes_at(folders, from),
            (None, None) => None,
        };
        let executable = mode == Mode::Executable;
        let Some(found) = found else {
            let path = self.moved_from.get(&at).copied().unwrap_or(path);
            if self.modes.knows(path) {
                self.modes.put_on(path, &self.staged.open(at.to_string())?, executable)?;
            }
            return Ok(());
        };
        let lost = found.put_on(&self.staged.open(at.to_string())?, Some(executable))?;
        if !lost.is_empty() {
            let mut all = self.attributes_lost.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((path.clone(), lost));
        }
        Ok(())
    }

    /// Returns what a file has, or had before it made room in this run.
    fn attributes_at(&self, folders: &Folders, path: &VaultPath) -> Option<FileAttributes> {
        let file = folders.clone().parent_of(path).and_then(|dir| dir.open(os(path.name())));
        let found = file.and_then(|file| Ok((file.stat()?.kind, FileAttributes::of(&file)?)));
        match found {
            Ok((FileKind::File, found)) => Some(found),
            _ => self.taken_away.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned(),
        }
    }

    /// Opens the folder of `path`, making it; a file that took the place of a folder on the way since the
    /// plan is displaced.
    fn make_parent(&self, folders: &mut Folders, at: usize, path: &VaultPath) -> Result<Dir> {
        let error = match folders.make_parent_of(path) {
            Ok(dir) => return Ok(dir),
            Err(error) => error,
        };
        if !error.is_gone() && !error.is_exists() {
            return Err(error.into());
        }
        let _alone = self.making_room.lock().unwrap_or_else(PoisonError::into_inner);
        folders.forget();
        let parts: Vec<&[u8]> = path.parts().collect();
        let mut dir = self.root.clone();
        for (depth, part) in parts[..parts.len() - 1].iter().enumerate() {
            match dir.try_stat(os(part))?.map(|stat| stat.kind) {
                Some(kind @ (FileKind::File | FileKind::Symlink)) => {
                    if kind == FileKind::File {
                        // What cannot be read could not be stored.
                        dir.open(os(part))?;
                    }
                    let name = format!("{DISPLACED}{at}-{}", depth + 1);
                    dir.rename(os(part), self.folder, name)?;
                    break;
                }
                Some(FileKind::Special) => {
                    return Err(blocked(path, "a fifo, socket or device where a folder has to be"));
                }
                Some(FileKind::Dir) => dir = dir.open_dir(os(part))?,
                None => break,
            }
        }
        Ok(folders.make_parent_of(path)?)
    }

    /// Looks at what is about to be displaced: keeps a copy if it is nothing the plan knows, and returns
    /// the open file with the `stat` it was read under.
    fn look_at_old(
        &self,
        dir: &Dir,
        at: usize,
        path: &VaultPath,
        acceptable: &[Option<BlobId>],
    ) -> Result<Option<(File, Stat)>> {
        let Some(stat) = dir.try_stat(os(path.name()))? else { return Ok(None) };
        match stat.kind {
            FileKind::Special => Err(blocked(path, "a fifo, socket or device")),
            FileKind::Dir => {
                remove_empty_below(dir, path.name()).map_err(|error| {
                    if error.is_not_empty() {
                        blocked(path, "a folder with files in it")
                    } else {
                        error.into()
                    }
                })?;
                Ok(None)
            }
            FileKind::Symlink => {
                let target = dir.read_link(os(path.name()))?;
                let id = BlobId::new(hash_object(Kind::Blob, &target));
                let name = self.displaced_name(at, path);
                if !acceptable.contains(&Some(id)) && self.folder.try_stat(&name)?.is_none() {
                    self.folder.symlink(&target, name)?;
                    self.folder.sync()?;
                }
                Ok(None)
            }
            FileKind::File => {
                let file = dir.open(os(path.name()))?;
                // One that is written to right now is kept as well; the second look sees to its end.
                let known = hash_file(&file).map_err(|e| unreadable(path, e))?;
                match known {
                    Some((id, stat)) if acceptable.contains(&Some(id)) => Ok(Some((file, stat))),
                    _ => {
                        let stat = file.stat()?;
                        self.keep_copy(&file, at, path)?;
                        Ok(Some((file, stat)))
                    }
                }
            }
        }
    }

    /// Looks again at a file that lost its name: if someone wrote to it since it was hashed, keeps a copy.
    fn look_again(&self, (file, before): &(File, Stat), at: usize, path: &VaultPath) -> Result<()> {
        let after = file.stat()?;
        // Losing its name changed its ctime.
        if (after.size, after.mtime_ns) != (before.size, before.mtime_ns) {
            self.keep_copy(file, at, path)?;
        }
        Ok(())
    }

    fn displaced_name(&self, at: usize, path: &VaultPath) -> String {
        format!("{DISPLACED}{at}-{}", path.parts().count())
    }

    /// Copies a displaced edit beside the journal, durably.
    fn keep_copy(&self, file: &File, at: usize, path: &VaultPath) -> Result<()> {
        let partial = format!("{PARTIAL}{at}");
        if self.folder.try_stat(&partial)?.is_some() {
            self.folder.remove_file(&partial)?;
        }
        let mode = if file.stat()?.is_executable() { 0o700 } else { 0o600 };
        let copy = self.folder.create_new(&partial, mode)?;
        copy_file(file, &copy)?;
        copy.sync()?;
        self.folder.rename(&partial, self.folder, self.displaced_name(at, path))?;
        Ok(self.folder.sync()?)
    }

    /// Puts a staged file into a folder on another file system: a copy beside its place, renamed.
    fn copy_across(&self, dir: &Dir, at: usize, path: &VaultPath, entry: FileEntry) -> Result<()> {
        let staged = at.to_string();
        let temp = format!(".mvault-{}-{at}.tmp", self.journal.nonce);
        if dir.try_stat(&temp)?.is_some() {
            dir.remove_file(&temp)?;
        }
        let placed = self
            .copy_staged(dir, &staged, &temp, entry)
            .and_then(|()| dir.rename(&temp, dir, os(path.name())));
        if let Err(error) = placed {
            // That file system may be full: a part of a copy is no file of anybody's.
            let _it_may_not_be_there = dir.remove_file(&temp);
            return Err(error.into());
        }
        Ok(self.staged.remove_file(&staged)?)
    }

    fn copy_staged(&self, dir: &Dir, staged: &str, temp: &str, entry: FileEntry) -> fs::Result<()> {
        if entry.mode == Mode::Symlink {
            return dir.symlink(&self.staged.read_link(staged)?, temp);
        }
        let file = self.staged.open(staged)?;
        let copy = dir.create_new(temp, file.stat()?.mode & 0o777)?;
        copy_file(&file, &copy)?;
        FileAttributes::of(&file)?.put_on(&copy, None)?;
        copy.sync()
    }

    /// Returns the stamp of a file just placed, if nobody can have written to it unseen: its bytes are
    /// older than the journal, and their time is still theirs.
    fn stamp(&self, dir: &Dir, path: &VaultPath, staged: Option<Stat>) -> Result<Option<StatStamp>> {
        let (Some(staged), Some(placed)) = (staged, dir.try_stat(os(path.name()))?) else { return Ok(None) };
        let same =
            (staged.size, staged.mtime_ns, staged.inode) == (placed.size, placed.mtime_ns, placed.inode);
        let older = staged.mtime_ns < self.journal.complete_ns;
        Ok(if same && older { StatStamp::unchecked(&placed) } else { None })
    }

    fn remove(
        &self,
        folders: &mut Folders,
        at: usize,
        path: &VaultPath,
        expected: FileEntry,
    ) -> Result<Done> {
        let dir = match folders.parent_of(path) {
            Err(error) if error.is_gone() => return Ok(Done::Gone),
            other => other?,
        };
        let name = os(path.name());
        // Where names fold, the new spelling of a renamed file answers to the old one as well.
        if self.journal.names_fold && !dir.list()?.iter().any(|(listed, _)| listed == name) {
            return Ok(Done::Gone);
        }
        match dir.try_stat(name)?.map(|stat| stat.kind) {
            Some(FileKind::Symlink) if expected.mode == Mode::Symlink => {
                if read_entry(&dir, path.name()) != Some(expected) {
                    return Ok(Done::Stayed);
                }
                dir.remove_file(name)?;
                Ok(Done::Gone)
            }
            Some(FileKind::File) => {
                let file = dir.open(name)?;
                match hash_file(&file).map_err(|e| unreadable(path, e))? {
                    Some((id, stat)) if id == expected.id => {
                        if self.moved.contains(path) {
                            let found = FileAttributes::of(&file)?;
                            let mut taken = self.taken_away.lock().unwrap_or_else(PoisonError::into_inner);
                            taken.insert(path.clone(), found);
                        }
                        dir.remove_file(name)?;
                        self.look_again(&(file, stat), at, path)?;
                        Ok(Done::Gone)
                    }
                    _ => Ok(Done::Stayed),
                }
            }
            Some(FileKind::Symlink) => Ok(Done::Stayed),
            // Removed already; a folder of that name is somebody else's.
            None | Some(FileKind::Dir | FileKind::Special) => Ok(Done::Gone),
        }
    }

    /// Removes the folders that the removals of one stage left empty.
    fn remove_empty_folders(&self, stage: &[(usize, &Action)]) -> Result<()> {
        let mut parents = BTreeSet::new();
        for (_, action) in stage {
            if let Action::Remove { path, .. } = action {
                let mut above = path.parent();
                while let Some(folder) = above {
                    above = folder.parent();
                    if self.unmounted.iter().any(|one| folder.is_within(one)) || !parents.insert(folder) {
                        break;
                    }
                }
            }
        }
        let mut folders = Folders::new(self.root);
        // What is inside sorts after what holds it.
        for folder in parents.iter().rev() {
            folders.forget();
            let removed = folders.parent_of(folder).and_then(|dir| dir.remove_dir(os(folder.name())));
            match removed {
                Err(error) if error.is_out_of_handles() => return Err(error.into()),
                // An empty folder that does not go is no part of any tree.
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Makes every change to the working tree durable. Returns the folders for which the disk refuses that,
    /// and why; `None` is the root.
    fn sync(&self) -> Result<Vec<(Option<VaultPath>, String)>> {
        let mut touched: BTreeSet<Option<VaultPath>> = BTreeSet::new();
        for action in &self.journal.actions {
            let kept = matches!(action, Action::Keep { .. }) && self.journal.again;
            if kept || matches!(action, Action::Write { .. } | Action::Remove { .. }) {
                let path = action.path();
                // Folders above may be new, or gone: their names are part of the change.
                let mut above = path.parent();
                while touched.insert(above.clone()) {
                    let Some(folder) = above else { break };
                    above = folder.parent();
                }
            }
        }
        if touched.len() > FOLDER_SYNCS_MAX && self.root.sync_file_system().is_ok_and(|done| done) {
            return Ok(Vec::new());
        }
        let mut folders = Folders::new(self.root);
        let mut refused = Vec::new();
        for folder in touched {
            let opened = folder.as_ref().map_or_else(|| Ok(self.root.clone()), |folder| folders.open(folder));
            match opened.and_then(|dir| dir.sync()) {
                Err(error) if error.is_out_of_handles() => return Err(error.into()),
                Err(error) if !error.is_gone() => {
                    folders.forget();
                    refused.push((folder, why(&error.into())));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(refused)
    }

    fn report(&self, done: Vec<Done>, not_durable: &[(Option<VaultPath>, String)]) -> Result<Finished> {
        let mut finished = Finished {
            tree: self.journal.to,
            updates: Vec::new(),
            displaced: self.displaced()?,
            stayed: Vec::new(),
            absent: Vec::new(),
            attributes_lost: std::mem::take(
                &mut *self.attributes_lost.lock().unwrap_or_else(PoisonError::into_inner),
            ),
            waiting: Vec::new(),
        };
        // A restore of single paths leaves the index on its tree: what was written is an edit to it.
        let moved = self.journal.moves;
        for (action, done) in self.journal.actions.iter().zip(done) {
            let path = action.path().clone();
            let was_planned = matches!(action, Action::Absent { .. });
            finished.waiting.extend(waits(action, &done, not_durable));
            match (action, done) {
                (Action::Remove { .. }, Done::Stayed) => finished.stayed.push(path),
                (
                    Action::Write { entry, .. } | Action::Keep { entry, .. } | Action::Absent { entry, .. },
                    done,
                ) => {
                    let absent_here = matches!(done, Done::Absent);
                    let stamp = match done {
                        Done::InPlace(stamp) => stamp,
                        _ => None,
                    };
                    if absent_here && !was_planned {
                        finished.absent.push(path.clone());
                    }
                    if moved {
                        let entry = IndexEntry { mode: entry.mode, id: entry.id, stamp, absent_here };
                        finished.updates.push((path, Some(entry)));
                    }
                }
                (Action::Forget { .. }, _) if moved => finished.updates.push((path, None)),
                _ => {}
            }
        }
        Ok(finished)
    }

    /// Returns `true` for what this move removes anyway: a file that could not be removed and then had to make
    /// room is no edit.
    fn was_to_go(&self, path: &VaultPath, name: &std::ffi::OsStr) -> bool {
        let removed =
            |action: &&Action| matches!(action, Action::Remove { path: removed, .. } if removed == path);
        let Some(Action::Remove { expected, .. }) = self.journal.actions.iter().find(removed) else {
            return false;
        };
        let found = read_entry(self.folder, name.as_encoded_bytes());
        found.is_some_and(|found| found.id == expected.id)
    }

    /// Collects what was displaced by this run and those before it.
    fn displaced(&self) -> Result<Vec<Displaced>> {
        let mut found = Vec::new();
        for (name, _) in self.folder.list()? {
            let numbers = name.to_str().and_then(|name| name.strip_prefix(DISPLACED)?.split_once('-'));
            let Some((at, depth)) =
                numbers.and_then(|(a, b)| Some((a.parse::<usize>().ok()?, b.parse().ok()?)))
            else {
                continue;
            };
            let Some(action) = self.journal.actions.get(at) else { continue };
            let path = action.path().parts().take(depth).collect::<Vec<_>>().join(&b'/');
            let path = VaultPath::parse(path)?;
            if self.was_to_go(&path, &name) {
                continue;
            }
            let stat = self.folder.stat(&name)?;
            let (mode, body) = match stat.kind {
                FileKind::Symlink => (Mode::Symlink, DisplacedBody::Target(self.folder.read_link(&name)?)),
                _ => {
                    let mode = if stat.is_executable() { Mode::Executable } else { Mode::File };
                    (mode, DisplacedBody::File(self.folder.open(&name)?))
                }
            };
            found.push(Displaced { path, mode, body });
        }
        Ok(found)
    }
}

/// Returns what waits of an action, if it does: because it was not carried out, or because its folder
/// cannot be made durable. After a power cut the second may be the first.
fn waits(action: &Action, done: &Done, not_durable: &[(Option<VaultPath>, String)]) -> Option<Wait> {
    let (path, wanted, stood) = match action {
        Action::Write { path, entry, expected } => (path, Some(*entry), *expected),
        Action::Remove { path, expected } => (path, None, Some(*expected)),
        Action::Keep { .. } | Action::Absent { .. } | Action::Forget { .. } => return None,
    };
    let why = match done {
        Done::Waits(why) => why,
        Done::InPlace(_) | Done::Gone => {
            let holds = |folder: &Option<VaultPath>| folder.as_ref().is_none_or(|f| path.is_within(f));
            &not_durable.iter().find(|(folder, _)| holds(folder))?.1
        }
        Done::Stayed | Done::Absent => return None,
    };
    Some(Wait { path: path.clone(), wanted, stood, why: why.clone() })
}

/// Says in a few words what kept a path from being changed, without the path.
fn why(error: &Error) -> String {
    match error {
        Error::Disk(error) => Wait::why(error),
        Error::Blocked { what, .. } => format!("{what} is in the way"),
        other => other.to_string(),
    }
}

fn is_out_of_handles(error: &Error) -> bool {
    matches!(error, Error::Disk(error) if error.is_out_of_handles())
}

fn blocked(path: &VaultPath, what: &'static str) -> Error {
    Error::Blocked { path: path.to_string(), what }
}

fn unreadable(path: &VaultPath, error: super::ReadError) -> Error {
    match error {
        super::ReadError::Disk(error) => Error::Disk(error),
        _ => blocked(path, "something that is no file any more"),
    }
}

fn copy_file(from: &File, to: &File) -> fs::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = 0;
    loop {
        let n = from.read_at(&mut buffer, at)?;
        if n == 0 {
            return Ok(());
        }
        to.write_at(&buffer[..n], at)?;
        at += n as u64;
    }
}
