//! The `Disk` seam: every file access of mvault goes through this room and nothing outside it names
//! `std::fs`, rustix or memmap2.
//!
//! - A [`Dir`] is an open folder. Names are single parts of a path and no symbolic link is ever
//!   followed below it, so what an attacker renames meanwhile cannot lead us elsewhere.
//! - A [`File`] is read and written by position; nothing depends on a shared offset.
//! - Errors say what was being done to which path; `std::io::Error` stays inside [`Error`].
//!
//! Two implementations: [`RealDisk`] for the machine and [`SimDisk`] for tests, which cuts, fails and
//! forgets as a plan tells it to. [`TracedDisk`] around one of them writes down what is asked of it.
//!
//! Limits: no hard links, no `openat2`, no flags for `renameat2`: Android has none of them.

mod atomic;
mod lock;
mod probe;
mod process;
mod real;
mod scratch;
pub mod sim;
mod stat;
mod trace;
mod zone;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use atomic::{TEMP_PREFIX, remove_tree, replace_file, temp_name};
pub use lock::{Lock, LockError};
pub use probe::{Abilities, probe};
pub use process::process_mark;
pub use real::{RealDisk, host_name, terminal_columns};
pub use scratch::{owned_name, remove_abandoned, remove_abandoned_temps};
pub use sim::SimDisk;
pub use stat::{Attribute, FileKind, Stat};
pub use trace::{TracedDisk, Watcher};
pub use zone::local_zone;

/// Returns a path as one line to be read: line breaks and what steers a terminal are escaped.
pub fn shown(path: impl AsRef<std::path::Path>) -> String {
    let text = path.as_ref().to_string_lossy();
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// What went wrong with a file: the act, the path and the cause.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", shown(path))]
pub struct Error {
    /// The act, as a verb that fits "cannot … PATH".
    pub action: &'static str,
    /// The path.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl Error {
    /// Returns the kind of the system's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Tells whether the file or folder does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// Tells whether the name is a symbolic link, which is never followed.
    pub fn is_link(&self) -> bool {
        self.source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
    }

    /// Tells whether there is no such name, or a part of the way to it is no folder (any more).
    pub fn is_gone(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) || self.is_link()
    }

    /// Tells whether this process or the machine has no file handles left.
    pub fn is_out_of_handles(&self) -> bool {
        let errno = self.source.raw_os_error();
        [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].iter().any(|e| errno == Some(e.raw_os_error()))
    }

    /// Tells whether the file system cannot hold such a name or such bytes in one.
    pub fn is_bad_name(&self) -> bool {
        use rustix::io::Errno;
        let errno = self.source.raw_os_error();
        [Errno::INVAL, Errno::ILSEQ, Errno::NAMETOOLONG].iter().any(|e| errno == Some(e.raw_os_error()))
    }

    /// Returns `true` if there was no room: the file system is full, or this user's share of it.
    pub fn is_full(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Tells whether the two names of a rename are on different file systems.
    pub fn is_other_device(&self) -> bool {
        self.source.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error())
    }

    /// Tells whether a folder could not be removed because something is in it, or mounted on it.
    pub fn is_not_empty(&self) -> bool {
        // Some systems say that it exists.
        use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, ResourceBusy};
        matches!(self.kind(), AlreadyExists | DirectoryNotEmpty | ResourceBusy)
    }

    /// Tells whether something of that name exists already.
    pub fn is_exists(&self) -> bool {
        self.kind() == io::ErrorKind::AlreadyExists
    }
}

/// The result of an act on a file.
pub type Result<T> = std::result::Result<T, Error>;

/// How a lock is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Beside other shared ones.
    Shared,
    /// Alone.
    Exclusive,
}

/// The bytes of a file that is never changed again, in place.
pub enum Map {
    /// Mapped by the kernel.
    Mapped(memmap2::Mmap),
    /// Read into memory.
    Read(Vec<u8>),
}

impl std::ops::Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Map::Mapped(map) => map,
            Map::Read(bytes) => bytes,
        }
    }
}

impl Map {
    /// Brings `range` of the map of the file `path` into memory where the system can, so that a disk that
    /// fails is an error here and not a dead process later.
    pub fn populate(&self, path: &Path, range: std::ops::Range<usize>) -> Result<()> {
        #[cfg(target_os = "linux")]
        if let Map::Mapped(map) = self {
            match map.advise_range(memmap2::Advice::PopulateRead, range.start, range.len()) {
                // Before Linux 5.14 there is no such advice.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                other => {
                    return other.map_err(|source| Error {
                        action: "read",
                        path: path.to_path_buf(),
                        source,
                    });
                }
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (path, range);
        Ok(())
    }
}

/// A machine's disk: opens folders by absolute path. Everything else starts from a [`Dir`].
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens an existing folder; symbolic links in `path` are followed, it is the user's own choice.
    fn open_dir(&self, path: &Path) -> Result<Dir>;

    /// Makes a folder and those above it that are missing, durably, and opens it.
    fn create_dir_all(&self, path: &Path) -> Result<Dir> {
        match self.open_dir(path) {
            Err(error) if error.is_not_found() => {
                let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                    return Err(error);
                };
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                self.create_dir_all(parent)?.open_or_create_dir(name)
            }
            other => other,
        }
    }

    /// Returns `path` with all symbolic links resolved.
    fn canonicalize(&self, path: &Path) -> Result<PathBuf>;

    /// Returns the number of the user that this process acts as.
    fn user(&self) -> u32;
}

/// The calls on an open folder that a disk must offer. Names are single parts; links are not followed.
pub trait RawDir: Send + Sync + fmt::Debug {
    /// Opens a folder.
    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn RawDir>>;
    /// Opens a regular file or special file for reading, without waiting for a fifo's writer.
    fn open(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>>;
    /// Opens an existing file for reading and writing.
    fn open_write(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>>;
    /// Makes a file that must not exist yet, for reading and writing.
    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Arc<dyn RawFile>>;
    /// Makes a folder; `mode` are permission bits before the umask.
    fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()>;
    /// Makes a symbolic link.
    fn symlink(&self, target: &[u8], name: &OsStr) -> io::Result<()>;
    /// Reads a symbolic link.
    fn read_link(&self, name: &OsStr) -> io::Result<Vec<u8>>;
    /// Tells what a name stands for.
    fn stat(&self, name: &OsStr) -> io::Result<Stat>;
    /// Tells about this folder itself.
    fn stat_self(&self) -> io::Result<Stat>;
    /// Tells about this folder itself, with a number that two folders share while they are on the same mount.
    fn stat_and_mount(&self) -> io::Result<(Stat, u64)> {
        self.stat_self().map(|stat| (stat, stat.device))
    }
    /// Sets the permission bits of this folder itself.
    fn set_mode_self(&self, mode: u32) -> io::Result<()>;
    /// Lists the names, in any order, with what they stand for where the disk knows without a stat.
    fn list(&self) -> io::Result<Vec<(OsString, Option<FileKind>)>>;
    /// Renames over whatever is there.
    fn rename(&self, name: &OsStr, to: &dyn RawDir, to_name: &OsStr) -> io::Result<()>;
    /// Removes a file or link.
    fn remove_file(&self, name: &OsStr) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, name: &OsStr) -> io::Result<()>;
    /// Makes the folder's names durable.
    fn sync(&self) -> io::Result<()>;
    /// Makes everything on this file system durable; `false` if the system cannot promise to report
    /// failures of it, and nothing was done.
    fn sync_file_system(&self) -> io::Result<bool>;
    /// Returns `false` if the system says that names in this folder cannot be made or removed by this user.
    fn may_change(&self) -> bool {
        true
    }
    /// Returns how many bytes this user can still store; `None` if nobody knows.
    fn free_bytes(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }
    /// Asks the file system to put each folder that is made in this one into a part of the disk of its
    /// own. A hint: where it is not understood nothing happens.
    fn spread_folders(&self) {}
    /// Downcasts, for `rename` between folders of one disk.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// The calls on an open file that a disk must offer.
pub trait RawFile: Send + Sync + fmt::Debug {
    /// Reads at most `buffer.len()` bytes at `offset`; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_len(&self, size: u64) -> io::Result<()>;
    /// Tells about the open file.
    fn stat(&self) -> io::Result<Stat>;
    /// Sets the permission bits.
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    /// Gives the file to another user, if one is named, and to a group.
    fn set_owner(&self, owner: Option<u32>, group: u32) -> io::Result<()>;
    /// Returns the extended attributes that can be read, with their names; none where the file system has none.
    fn attributes(&self) -> io::Result<Vec<Attribute>>;
    /// Sets an extended attribute.
    fn set_attribute(&self, attribute: &Attribute) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync(&self) -> io::Result<()>;
    /// Takes a lock that dies with this open file, or `false` if another holds it.
    fn try_lock(&self, kind: LockKind) -> io::Result<bool>;
    /// Gives the lock back.
    fn unlock(&self) -> io::Result<()>;
    /// Gives the bytes of a file that nobody changes again.
    fn map(&self) -> io::Result<Map>;
    /// Waits until a call by which another program writes to the file in this moment has ended, where the
    /// system has a way to.
    fn settle(&self) {}
}

/// An open folder.
#[derive(Clone, Debug)]
pub struct Dir {
    raw: Arc<dyn RawDir>,
    path: Arc<Path>,
}

/// An open file.
#[derive(Clone, Debug)]
pub struct File {
    raw: Arc<dyn RawFile>,
    path: Arc<Path>,
}

impl Dir {
    /// Wraps an implementation's folder; `path` is for messages.
    pub fn new(raw: Arc<dyn RawDir>, path: PathBuf) -> Dir {
        Dir { raw, path: path.into() }
    }

    /// Returns the path it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn err<T>(&self, action: &'static str, name: &OsStr, result: io::Result<T>) -> Result<T> {
        result.map_err(|source| Error { action, path: self.path.join(name), source })
    }

    fn err_self<T>(&self, action: &'static str, result: io::Result<T>) -> Result<T> {
        result.map_err(|source| Error { action, path: self.path.to_path_buf(), source })
    }

    fn file(&self, name: &OsStr, raw: Arc<dyn RawFile>) -> File {
        File { raw, path: self.path.join(name).into() }
    }

    /// Opens the folder `name`; fails on a symbolic link.
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> Result<Dir> {
        let name = name.as_ref();
        let raw = self.err("open", name, self.raw.open_dir(name))?;
        Ok(Dir { raw, path: self.path.join(name).into() })
    }

    /// Opens the folder `name`, making it first, durably, if it is missing.
    pub fn open_or_create_dir(&self, name: impl AsRef<OsStr>) -> Result<Dir> {
        let name = name.as_ref();
        match self.open_dir(name) {
            Err(error) if error.is_not_found() => {
                let made = match self.create_dir(name) {
                    Err(error) if !error.is_exists() => return Err(error),
                    other => other.is_ok(),
                };
                if let Err(error) = self.sync() {
                    // A later sync says nothing about this name any more: the next one makes it anew.
                    if made {
                        let _empty_or_in_use = self.remove_dir(name);
                    }
                    return Err(error);
                }
                self.open_dir(name)
            }
            other => other,
        }
    }

    /// Opens a file for reading; fails on a symbolic link, does not wait for a fifo.
    pub fn open(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let name = name.as_ref();
        Ok(self.file(name, self.err("open", name, self.raw.open(name))?))
    }

    /// Opens an existing file for reading and writing.
    pub fn open_write(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let name = name.as_ref();
        Ok(self.file(name, self.err("open", name, self.raw.open_write(name))?))
    }

    /// Makes a file that must not exist yet; `mode` are permission bits before the umask.
    pub fn create_new(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<File> {
        let name = name.as_ref();
        Ok(self.file(name, self.err("create", name, self.raw.create_new(name, mode))?))
    }

    /// Makes a folder.
    pub fn create_dir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        self.err("create", name, self.raw.create_dir(name, 0o777))
    }

    /// Makes a folder that no other user can look into.
    pub fn create_private_dir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        self.err("create", name, self.raw.create_dir(name, 0o700))
    }

    /// Makes a symbolic link `name` to `target`.
    pub fn symlink(&self, target: &[u8], name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        self.err("create", name, self.raw.symlink(target, name))
    }

    /// Returns the target of a symbolic link.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> Result<Vec<u8>> {
        let name = name.as_ref();
        self.err("read", name, self.raw.read_link(name))
    }

    /// Tells what `name` stands for.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Stat> {
        let name = name.as_ref();
        self.err("examine", name, self.raw.stat(name))
    }

    /// Tells what `name` stands for, or `None` if there is nothing of that name.
    pub fn try_stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>> {
        match self.stat(name) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells about this folder itself.
    pub fn stat_self(&self) -> Result<Stat> {
        self.err_self("examine", self.raw.stat_self())
    }

    /// Tells about this folder itself, with a number that two folders share while they are on the same mount.
    pub fn stat_and_mount(&self) -> Result<(Stat, u64)> {
        self.err_self("examine", self.raw.stat_and_mount())
    }

    /// Sets the permission bits of this folder itself.
    pub fn set_mode_self(&self, mode: u32) -> Result<()> {
        self.err_self("set the mode of", self.raw.set_mode_self(mode))
    }

    /// Lists the names sorted by their bytes, with what they stand for where that costs nothing.
    pub fn list(&self) -> Result<Vec<(OsString, Option<FileKind>)>> {
        let mut names = self.err_self("list", self.raw.list())?;
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    /// Renames `name` to `to_name` in `to`, over whatever is there.
    pub fn rename(&self, name: impl AsRef<OsStr>, to: &Dir, to_name: impl AsRef<OsStr>) -> Result<()> {
        let to_name = to_name.as_ref();
        to.err("rename into place", to_name, self.raw.rename(name.as_ref(), &*to.raw, to_name))
    }

    /// Removes a file or link.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        self.err("remove", name, self.raw.remove_file(name))
    }

    /// Removes an empty folder.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        self.err("remove", name, self.raw.remove_dir(name))
    }

    /// Makes the folder's names durable.
    pub fn sync(&self) -> Result<()> {
        self.err_self("sync", self.raw.sync())
    }

    /// Makes everything on the file system durable, if the system can report failures of that; tells
    /// whether it was done.
    pub fn sync_file_system(&self) -> Result<bool> {
        self.err_self("sync", self.raw.sync_file_system())
    }

    /// Asks the file system to put each folder that is made in this one into a part of the disk of its
    /// own, with the files that are made there. A hint: where it is not understood nothing happens.
    ///
    /// ext4 looks for a new file's inode in the part of the disk where the file's folder is, and passes over
    /// those that were freed in the last minutes, one by one, anew for each file. Where many files come
    /// and go this takes up to ten times as long as all else that making a file takes.
    pub fn spread_folders(&self) {
        self.raw.spread_folders();
    }

    /// Returns `false` if the system says that names in this folder cannot be made or removed by this user.
    /// `true` is no promise.
    pub fn may_change(&self) -> bool {
        self.raw.may_change()
    }

    /// Returns how many bytes this user can still store here; `None` if nobody knows.
    pub fn free_bytes(&self) -> Result<Option<u64>> {
        self.err_self("examine", self.raw.free_bytes())
    }

    /// Reads a whole file of at most `size_max` bytes.
    pub fn read(&self, name: impl AsRef<OsStr>, size_max: u64) -> Result<Vec<u8>> {
        self.open(name)?.read_all(size_max)
    }

    /// Reads a whole file, or `None` if it does not exist.
    pub fn try_read(&self, name: impl AsRef<OsStr>, size_max: u64) -> Result<Option<Vec<u8>>> {
        match self.read(name, size_max) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Reads an open file from its beginning to its end, as a stream.
pub struct FileReader<'a> {
    file: &'a File,
    at: u64,
}

impl<'a> FileReader<'a> {
    /// Starts at the beginning.
    pub fn new(file: &'a File) -> FileReader<'a> {
        FileReader { file, at: 0 }
    }
}

impl io::Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.raw.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl File {
    /// Wraps an implementation's file; `path` is for messages.
    pub fn new(raw: Arc<dyn RawFile>, path: PathBuf) -> File {
        File { raw, path: path.into() }
    }

    /// Returns the path it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn err<T>(&self, action: &'static str, result: io::Result<T>) -> Result<T> {
        result.map_err(|source| Error { action, path: self.path.to_path_buf(), source })
    }

    /// Reads at most `buffer.len()` bytes at `offset`; 0 at the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.err("read", self.raw.read_at(buffer, offset))
    }

    /// Fills `buffer` from `offset`; an early end is an error.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], offset + filled as u64)? {
                0 => return self.err("read", Err(io::ErrorKind::UnexpectedEof.into())),
                n => filled += n,
            }
        }
        Ok(())
    }

    /// Reads the whole file; more than `size_max` bytes is an error and takes no more memory.
    pub fn read_all(&self, size_max: u64) -> Result<Vec<u8>> {
        let expected = self.stat()?.size.min(size_max);
        let mut bytes = vec![0; usize::try_from(expected).unwrap_or(usize::MAX) + 1];
        let mut filled = 0;
        loop {
            match self.read_at(&mut bytes[filled..], filled as u64)? {
                0 => break,
                n => filled += n,
            }
            if filled as u64 > size_max {
                let message = format!("it is larger than {size_max} bytes");
                return self.err("read", Err(io::Error::new(io::ErrorKind::FileTooLarge, message)));
            }
            if filled == bytes.len() {
                bytes.resize(bytes.len() * 2, 0);
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Writes all of `bytes` at `offset`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.err("write", self.raw.write_at(bytes, offset))
    }

    /// Cuts or extends the file to `size` bytes.
    pub fn set_len(&self, size: u64) -> Result<()> {
        self.err("resize", self.raw.set_len(size))
    }

    /// Tells about the open file.
    pub fn stat(&self) -> Result<Stat> {
        self.err("examine", self.raw.stat())
    }

    /// Waits until a call by which another program writes to the file in this moment has ended, where the
    /// system has a way to. A call that begins later changes the `ctime`.
    pub fn settle(&self) {
        self.raw.settle();
    }

    /// Sets the permission bits.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        self.err("set the mode of", self.raw.set_mode(mode))
    }

    /// Gives the file to another user, if one is named, and to a group.
    pub fn set_owner(&self, owner: Option<u32>, group: u32) -> Result<()> {
        self.err("change the owner of", self.raw.set_owner(owner, group))
    }

    /// Returns the extended attributes that can be read; none where the file system has none.
    pub fn attributes(&self) -> Result<Vec<Attribute>> {
        self.err("read the attributes of", self.raw.attributes())
    }

    /// Sets an extended attribute.
    pub fn set_attribute(&self, attribute: &Attribute) -> Result<()> {
        self.err("set an attribute of", self.raw.set_attribute(attribute))
    }

    /// Makes content and length durable. After a failure nothing on this file is to be trusted.
    pub fn sync(&self) -> Result<()> {
        self.err("sync", self.raw.sync())
    }

    /// Takes a lock that dies with this open file, or `false` if another holds it.
    pub fn try_lock(&self, kind: LockKind) -> Result<bool> {
        self.err("lock", self.raw.try_lock(kind))
    }

    /// Gives the lock back.
    pub fn unlock(&self) -> Result<()> {
        self.err("unlock", self.raw.unlock())
    }

    /// Gives the bytes of a file that nobody changes again; only for packs.
    pub fn map(&self) -> Result<Map> {
        self.err("map", self.raw.map())
    }
}
