//! Staging a plan: everything that a move needs is written beside the working tree, verified by hash while
//! it is written and durable, before the journal that says what to do with it is complete.
//!
//! The order of writes is the point: staged files, journal, operation (by the caller), working tree,
//! removal of the journal; each durable before the next.

use std::io;

use rayon::prelude::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use crate::fs::{self, Dir, File, FileKind, Stat};
use crate::object::{BlobId, FileEntry, Kind, Mode, ObjectHasher, SourceError, VaultPath, hash_object};
use crate::store::Store;

use super::journal::{ACTIONS_FILE, Action, JOURNAL_DIR, Journal, Nonce, Pending};
use super::plan::Plan;
use super::{Error, Result};

/// From so many files on, one sync of the whole file system is cheaper than one a file, and a folder of
/// their own is worth its price.
const SYNCS_MAX: usize = 16;
/// The largest link target that is staged.
const TARGET_BYTES_MAX: usize = 4096;

/// Where the bytes of blobs come from, in streaming form.
pub trait Content: Sync {
    /// Returns a blob's length in bytes.
    fn size(&self, id: BlobId) -> std::result::Result<u64, SourceError>;

    /// Writes all bytes of a blob to `out`. An error may come after some were written.
    fn read_to(&self, id: BlobId, out: &mut dyn io::Write) -> std::result::Result<(), SourceError>;
}

/// Finds out whether an earlier command left a journal.
pub fn pending_journal(dot: &Dir) -> Result<Option<Pending>> {
    match dot.open_dir(JOURNAL_DIR) {
        Ok(folder) => Ok(Some(Journal::load(&folder)?.map_or(Pending::Rubbish, Pending::Staged))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Tells whose the journal is that an earlier command left, before anything of it is read: its folder, as it was
/// opened, and the list in it. Nothing if there is no journal.
pub fn journal_stats(dot: &Dir) -> Result<Vec<Stat>> {
    let folder = match dot.open_dir(JOURNAL_DIR) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        other => other?,
    };
    let list = match folder.open(ACTIONS_FILE) {
        Err(error) if error.is_not_found() => None,
        other => Some(other?.stat()?),
    };
    Ok([folder.stat_self()?].into_iter().chain(list).collect())
}

/// Removes the journal, first what makes it complete: after it is finished, or if its operation never
/// came to be.
pub fn discard(dot: &Dir) -> Result<()> {
    let folder = match dot.open_dir(JOURNAL_DIR) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    match folder.remove_file(ACTIONS_FILE) {
        Ok(()) => folder.sync()?,
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    for (name, _) in folder.list()? {
        if folder.stat(&name)?.kind == FileKind::Dir {
            let staged = folder.open_dir(&name)?;
            for (inner, _) in staged.list()? {
                staged.remove_file(&inner)?;
            }
            folder.remove_dir(&name)?;
        } else {
            folder.remove_file(&name)?;
        }
    }
    dot.remove_dir(JOURNAL_DIR)?;
    Ok(dot.sync()?)
}

/// Prepares a plan: every new file written, verified and durable in `.mvault/journal`, and the list of
/// what to do. Nothing outside is touched. Log the operation with `nonce` next, then call [`super::finish`].
pub fn stage(dot: &Dir, plan: &Plan, content: &dyn Content, nonce: Nonce) -> Result<Journal> {
    if !plan.in_the_way.is_empty() {
        return Err(Error::InTheWay(plan.in_the_way.len()));
    }
    match pending_journal(dot)? {
        Some(Pending::Staged(_)) => return Err(Error::Journal("another one is not finished yet".into())),
        Some(Pending::Rubbish) => discard(dot)?,
        None => {}
    }
    let mut journal = Journal {
        nonce,
        from: plan.from,
        to: plan.to,
        moves: plan.moves,
        names_fold: plan.names_fold,
        apart: plan.actions.iter().filter(|action| matches!(action, Action::Write { .. })).count()
            > SYNCS_MAX,
        again: plan.again,
        actions: plan.actions.clone(),
        complete_ns: i128::MIN,
    };
    match dot.create_private_dir(JOURNAL_DIR) {
        Err(error) if !error.is_exists() => return Err(error.into()),
        _ => dot.sync()?,
    }
    let folder = dot.open_dir(JOURNAL_DIR)?;
    let staged = stage_all(&folder, &journal, content).and_then(|()| journal.save(&folder));
    match staged {
        Ok(()) => Ok(journal),
        Err(error) => {
            // The disk may be full: give the space back. What cannot be removed is rubbish all the same.
            let _first_error_counts = discard(dot);
            Err(error)
        }
    }
}

fn stage_all(folder: &Dir, journal: &Journal, content: &dyn Content) -> Result<()> {
    if journal.apart {
        folder.spread_folders();
    }
    let folder = &journal.open_staged(folder)?;
    let one_by_one = !journal.apart;
    journal.actions.par_iter().enumerate().try_for_each(|(at, action)| -> Result<()> {
        match action {
            Action::Write { path, entry, .. } => {
                let file = stage_one(folder, &at.to_string(), path, *entry, content)?;
                if one_by_one && let Some(file) = file {
                    file.sync()?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    })?;
    if !one_by_one && !folder.sync_file_system()? {
        for (at, action) in journal.actions.iter().enumerate() {
            if let Action::Write { entry, .. } = action
                && entry.mode != Mode::Symlink
            {
                folder.open(at.to_string())?.sync()?;
            }
        }
        folder.sync()?;
    }
    Ok(())
}

/// Writes one file or link under `name`, checking the hash of what was written.
pub(super) fn stage_one(
    folder: &Dir,
    name: &str,
    path: &VaultPath,
    entry: FileEntry,
    content: &dyn Content,
) -> Result<Option<File>> {
    let wrong =
        |why: &str| Error::Content { id: entry.id.object(), path: path.to_string(), why: why.to_owned() };
    if entry.mode == Mode::Symlink {
        let mut target = Target(Vec::new());
        content.read_to(entry.id, &mut target)?;
        if hash_object(Kind::Blob, &target.0) != entry.id.object() {
            return Err(wrong("its bytes have another hash"));
        }
        if target.0.is_empty() || target.0.contains(&0) {
            return Err(wrong("no link can point there"));
        }
        folder.symlink(&target.0, name)?;
        return Ok(None);
    }
    let mode = if entry.mode == Mode::Executable { 0o777 } else { 0o666 };
    let file = folder.create_new(name, mode)?;
    let hasher = ObjectHasher::new(Kind::Blob, content.size(entry.id)?);
    let mut writer = Writer { file: &file, at: 0, hasher, error: None };
    let read = content.read_to(entry.id, &mut writer);
    if let Some(error) = writer.error.take() {
        return Err(error.into());
    }
    read?;
    if writer.hasher.finish() != entry.id.object() {
        return Err(wrong("its bytes have another hash"));
    }
    Ok(Some(file))
}

/// Takes a link's target, of bounded length.
struct Target(Vec<u8>);

impl Content for Store {
    fn size(&self, id: BlobId) -> std::result::Result<u64, SourceError> {
        let id = id.object();
        let info = Store::try_info(self, id).map_err(|e| SourceError::Read { id, source: e.into() })?;
        info.map(|(_, size)| size).ok_or(SourceError::Missing { kind: Kind::Blob, id })
    }

    fn read_to(&self, id: BlobId, out: &mut dyn io::Write) -> std::result::Result<(), SourceError> {
        let id = id.object();
        Store::read_to(self, id, out).map(drop).map_err(|e| SourceError::Read { id, source: e.into() })
    }
}

impl io::Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > TARGET_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the link's target is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends to a file, hashes what it writes and remembers the disk's own error.
struct Writer<'a> {
    file: &'a File,
    at: u64,
    hasher: ObjectHasher,
    error: Option<fs::Error>,
}

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write_at(bytes, self.at) {
            Ok(()) => {
                self.at += bytes.len() as u64;
                self.hasher.update(bytes);
                Ok(bytes.len())
            }
            Err(error) => {
                let told = io::Error::new(error.kind(), "the file could not be written");
                self.error = Some(error);
                Err(told)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
