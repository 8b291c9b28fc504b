//! A disk that writes down what is asked of it: one line for each call that can change something, for the
//! test that holds the seam to what the kernel saw.
//!
//! - A line is written when the call has returned, before its caller goes on: `rename "/a" "/b" = ok`.
//!   Paths are absolute and quoted as Rust does, so that a line is a line whatever a name holds.
//! - Calls that only read, wait or lock have no line.
//! - Instead of a file a watcher can be given the lines, so that a test does something else between any two calls.
//!   It is called before each try to take a lock as well: much can happen there.
//!
//! Limits: a file's path is the one it was opened by; a rename of a folder above it changes nothing.

#![allow(clippy::disallowed_methods)] // the trace is no file of a vault

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Attribute, Dir, Disk, Error, FileKind, LockKind, Map, RawDir, RawFile, Result, Stat};

/// Is given the line of each call; what it fails with the call fails with.
pub type Watcher = dyn Fn(&str) -> io::Result<()> + Send + Sync;

/// A disk whose changes are written down in a file, or shown to a watcher.
#[derive(Debug)]
pub struct TracedDisk {
    disk: Arc<dyn Disk>,
    trace: Arc<Trace>,
}

impl TracedDisk {
    /// Writes down, at the end of the file `trace`, what is asked of `disk`.
    pub fn new(disk: Arc<dyn Disk>, trace: &Path) -> Result<TracedDisk> {
        let file = fs::OpenOptions::new().append(true).create(true).open(trace);
        let file = file.map_err(|source| Error { action: "open", path: trace.to_path_buf(), source })?;
        Ok(TracedDisk { disk, trace: Arc::new(Trace::File(Mutex::new(file))) })
    }

    /// Shows `watcher` what is asked of `disk`.
    pub fn watched(disk: Arc<dyn Disk>, watcher: Box<Watcher>) -> TracedDisk {
        TracedDisk { disk, trace: Arc::new(Trace::Watcher(watcher)) }
    }
}

enum Trace {
    File(Mutex<fs::File>),
    Watcher(Box<Watcher>),
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}

impl Trace {
    /// Writes the line of a call that returned `result`, which is passed on.
    fn tell<T>(&self, call: impl Display, result: io::Result<T>) -> io::Result<T> {
        let end = if result.is_ok() { "ok" } else { "failed" };
        match self {
            Trace::File(file) => {
                let mut file = file.lock().expect("writing a line does not panic");
                file.write_all(format!("{call} = {end}\n").as_bytes())?;
            }
            Trace::Watcher(watcher) => watcher(&format!("{call} = {end}"))?,
        }
        result
    }

    /// Shows a watcher that a lock is about to be tried.
    fn tell_lock(&self, path: &Path) -> io::Result<()> {
        match self {
            Trace::File(_) => Ok(()),
            Trace::Watcher(watcher) => watcher(&format!("lock {path:?}")),
        }
    }
}

impl Disk for TracedDisk {
    fn open_dir(&self, path: &Path) -> Result<Dir> {
        let raw = self.disk.open_dir(path)?.raw;
        let path = self.disk.canonicalize(path)?;
        let traced = TracedDir { raw, path: path.clone(), trace: self.trace.clone() };
        Ok(Dir::new(Arc::new(traced), path))
    }

    fn canonicalize(&self, path: &Path) -> Result<PathBuf> {
        self.disk.canonicalize(path)
    }

    fn user(&self) -> u32 {
        self.disk.user()
    }
}

#[derive(Debug)]
struct TracedDir {
    raw: Arc<dyn RawDir>,
    path: PathBuf,
    trace: Arc<Trace>,
}

impl TracedDir {
    fn file(&self, name: &OsStr, raw: Arc<dyn RawFile>) -> Arc<dyn RawFile> {
        Arc::new(TracedFile { raw, path: self.path.join(name), trace: self.trace.clone() })
    }

    /// Writes the line of a call about `name`.
    fn tell<T>(&self, call: &str, name: &OsStr, result: io::Result<T>) -> io::Result<T> {
        self.trace.tell(format_args!("{call} {:?}", self.path.join(name)), result)
    }
}

impl RawDir for TracedDir {
    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn RawDir>> {
        let raw = self.raw.open_dir(name)?;
        Ok(Arc::new(TracedDir { raw, path: self.path.join(name), trace: self.trace.clone() }))
    }

    fn open(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>> {
        Ok(self.file(name, self.raw.open(name)?))
    }

    fn open_write(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>> {
        Ok(self.file(name, self.raw.open_write(name)?))
    }

    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Arc<dyn RawFile>> {
        Ok(self.file(name, self.tell("create", name, self.raw.create_new(name, mode))?))
    }

    fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        self.tell("mkdir", name, self.raw.create_dir(name, mode))
    }

    fn symlink(&self, target: &[u8], name: &OsStr) -> io::Result<()> {
        self.tell("symlink", name, self.raw.symlink(target, name))
    }

    fn read_link(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        self.raw.read_link(name)
    }

    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        self.raw.stat(name)
    }

    fn stat_self(&self) -> io::Result<Stat> {
        self.raw.stat_self()
    }

    fn stat_and_mount(&self) -> io::Result<(Stat, u64)> {
        self.raw.stat_and_mount()
    }

    fn set_mode_self(&self, mode: u32) -> io::Result<()> {
        self.trace.tell(format_args!("chmod {:?} to {mode:o}", self.path), self.raw.set_mode_self(mode))
    }

    fn list(&self) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        self.raw.list()
    }

    fn rename(&self, name: &OsStr, to: &dyn RawDir, to_name: &OsStr) -> io::Result<()> {
        let to = to.as_any().downcast_ref::<TracedDir>().expect("both folders are on one disk");
        let (from_path, to_path) = (self.path.join(name), to.path.join(to_name));
        let result = self.raw.rename(name, &*to.raw, to_name);
        self.trace.tell(format_args!("rename {from_path:?} {to_path:?}"), result)
    }

    fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        self.tell("unlink", name, self.raw.remove_file(name))
    }

    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        self.tell("rmdir", name, self.raw.remove_dir(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.trace.tell(format_args!("sync {:?}", self.path), self.raw.sync())
    }

    fn sync_file_system(&self) -> io::Result<bool> {
        match self.raw.sync_file_system() {
            Ok(false) => Ok(false), // nothing was done
            result => self.trace.tell(format_args!("syncfs {:?}", self.path), result),
        }
    }

    fn may_change(&self) -> bool {
        self.raw.may_change()
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.raw.free_bytes()
    }

    fn spread_folders(&self) {
        self.raw.spread_folders();
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[derive(Debug)]
struct TracedFile {
    raw: Arc<dyn RawFile>,
    path: PathBuf,
    trace: Arc<Trace>,
}

impl RawFile for TracedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.raw.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let result = self.raw.write_at(bytes, offset);
        if bytes.is_empty() {
            return result; // no call is made for it
        }
        self.trace.tell(format_args!("write {:?} {} at {offset}", self.path, bytes.len()), result)
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.trace.tell(format_args!("truncate {:?} to {size}", self.path), self.raw.set_len(size))
    }

    fn stat(&self) -> io::Result<Stat> {
        self.raw.stat()
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.trace.tell(format_args!("chmod {:?} to {mode:o}", self.path), self.raw.set_mode(mode))
    }

    fn set_owner(&self, owner: Option<u32>, group: u32) -> io::Result<()> {
        self.trace.tell(format_args!("chown {:?}", self.path), self.raw.set_owner(owner, group))
    }

    fn attributes(&self) -> io::Result<Vec<Attribute>> {
        self.raw.attributes()
    }

    fn set_attribute(&self, attribute: &Attribute) -> io::Result<()> {
        self.trace.tell(format_args!("setxattr {:?}", self.path), self.raw.set_attribute(attribute))
    }

    fn sync(&self) -> io::Result<()> {
        self.trace.tell(format_args!("sync {:?}", self.path), self.raw.sync())
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        self.trace.tell_lock(&self.path)?;
        self.raw.try_lock(kind)
    }

    fn unlock(&self) -> io::Result<()> {
        self.raw.unlock()
    }

    fn map(&self) -> io::Result<Map> {
        self.raw.map()
    }
}
