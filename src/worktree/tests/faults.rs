//! A disk that refuses some names, and one that dies after so many calls.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fs::{self, Attribute, Dir, File, FileKind, LockKind, Map, RawDir, RawFile, Stat};

/// What goes wrong.
#[derive(Debug, Default)]
struct Plan {
    refused: Vec<OsString>,
    impossible: Vec<OsString>,
    /// In folders of this name nothing can be made, replaced or removed.
    kept: Option<OsString>,
    /// After so many calls that change something, that call and all later ones fail.
    calls_max: Option<u64>,
    calls: AtomicU64,
    /// Before the call of this number, this is done once.
    meanwhile: Option<(u64, Meanwhile)>,
}

struct Meanwhile(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

/// A folder on a disk with a plan.
#[derive(Debug)]
struct FaultDir {
    inner: Dir,
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct FaultFile {
    inner: File,
    plan: Arc<Plan>,
}

/// Counts the calls of a disk.
pub struct Counter(Arc<Plan>);

impl Counter {
    /// Returns how many calls would have changed something.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }
}

/// Returns `dir` on a disk that refuses to open or examine these names.
pub fn refusing(dir: &Dir, names: &[&str]) -> Dir {
    let refused = names.iter().map(OsString::from).collect();
    wrap(dir.clone(), Arc::new(Plan { refused, ..Plan::default() }))
}

/// Returns `dir` on a disk that can have no files of these names.
pub fn refusing_to_make(dir: &Dir, names: &[&str]) -> Dir {
    let impossible = names.iter().map(OsString::from).collect();
    wrap(dir.clone(), Arc::new(Plan { impossible, ..Plan::default() }))
}

/// Returns folders on one disk where nothing can be made, replaced or removed in folders of this name.
pub fn keeping(dirs: [&Dir; 2], name: &str) -> [Dir; 2] {
    let plan = Arc::new(Plan { kept: Some(name.into()), ..Plan::default() });
    dirs.map(|dir| wrap(dir.clone(), plan.clone()))
}

/// Returns folders on one disk that dies at the call after `calls_max` changing ones.
pub fn dying(dirs: [&Dir; 2], calls_max: u64) -> ([Dir; 2], Counter) {
    let plan = Arc::new(Plan { calls_max: Some(calls_max), ..Plan::default() });
    (dirs.map(|dir| wrap(dir.clone(), plan.clone())), Counter(plan))
}

/// Returns folders on one disk that does something else right before the changing call number `call`.
pub fn meanwhile(dirs: [&Dir; 2], call: u64, act: impl Fn() + Send + Sync + 'static) -> [Dir; 2] {
    let plan = Plan { meanwhile: Some((call, Meanwhile(Box::new(act)))), ..Plan::default() };
    let plan = Arc::new(plan);
    dirs.map(|dir| wrap(dir.clone(), plan.clone()))
}

fn wrap(inner: Dir, plan: Arc<Plan>) -> Dir {
    let path = inner.path().to_path_buf();
    Dir::new(Arc::new(FaultDir { inner, plan }), path)
}

impl Plan {
    fn change(&self) -> io::Result<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some((at, act)) = &self.meanwhile
            && *at == call
        {
            (act.0)();
        }
        match self.calls_max {
            Some(max) if call >= max => Err(io::Error::other("the process is dead")),
            _ => Ok(()),
        }
    }

    fn look(&self, name: &OsStr) -> io::Result<()> {
        let refused = self.refused.iter().any(|refused| refused == name);
        if refused { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }
}

fn plain<T>(result: fs::Result<T>) -> io::Result<T> {
    result.map_err(|error| error.source)
}

impl FaultDir {
    fn keeps(&self) -> io::Result<()> {
        let name = self.inner.path().file_name();
        let is_kept = self.plan.kept.is_some() && name == self.plan.kept.as_deref();
        if is_kept { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }

    fn file(&self, inner: File) -> Arc<dyn RawFile> {
        Arc::new(FaultFile { inner, plan: self.plan.clone() })
    }
}

impl RawDir for FaultDir {
    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn RawDir>> {
        self.plan.look(name)?;
        let inner = plain(self.inner.open_dir(name))?;
        Ok(Arc::new(FaultDir { inner, plan: self.plan.clone() }))
    }

    fn open(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>> {
        self.plan.look(name)?;
        Ok(self.file(plain(self.inner.open(name))?))
    }

    fn open_write(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>> {
        self.plan.look(name)?;
        Ok(self.file(plain(self.inner.open_write(name))?))
    }

    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Arc<dyn RawFile>> {
        self.keeps()?;
        self.plan.change()?;
        if self.plan.impossible.iter().any(|impossible| impossible == name) {
            return Err(rustix::io::Errno::INVAL.into());
        }
        Ok(self.file(plain(self.inner.create_new(name, mode))?))
    }

    fn create_dir(&self, name: &OsStr, _mode: u32) -> io::Result<()> {
        self.keeps()?;
        self.plan.change()?;
        plain(self.inner.create_dir(name))
    }

    fn symlink(&self, target: &[u8], name: &OsStr) -> io::Result<()> {
        self.keeps()?;
        self.plan.change()?;
        plain(self.inner.symlink(target, name))
    }

    fn read_link(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        plain(self.inner.read_link(name))
    }

    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        plain(self.inner.stat(name))
    }

    fn stat_self(&self) -> io::Result<Stat> {
        plain(self.inner.stat_self())
    }

    fn set_mode_self(&self, mode: u32) -> io::Result<()> {
        self.plan.change()?;
        plain(self.inner.set_mode_self(mode))
    }

    fn list(&self) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        plain(self.inner.list())
    }

    fn rename(&self, name: &OsStr, to: &dyn RawDir, to_name: &OsStr) -> io::Result<()> {
        self.plan.change()?;
        let to = to.as_any().downcast_ref::<FaultDir>().expect("both folders are on one disk");
        to.keeps()?;
        plain(self.inner.rename(name, &to.inner, to_name))
    }

    fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        self.keeps()?;
        self.plan.change()?;
        plain(self.inner.remove_file(name))
    }

    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        self.keeps()?;
        self.plan.change()?;
        plain(self.inner.remove_dir(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.plan.change()?;
        plain(self.inner.sync())
    }

    fn sync_file_system(&self) -> io::Result<bool> {
        self.plan.change()?;
        plain(self.inner.sync_file_system())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl RawFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        plain(self.inner.read_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.plan.change()?;
        plain(self.inner.write_at(bytes, offset))
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.plan.change()?;
        plain(self.inner.set_len(size))
    }

    fn stat(&self) -> io::Result<Stat> {
        plain(self.inner.stat())
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.plan.change()?;
        plain(self.inner.set_mode(mode))
    }

    fn set_owner(&self, owner: Option<u32>, group: u32) -> io::Result<()> {
        self.plan.change()?;
        plain(self.inner.set_owner(owner, group))
    }

    fn attributes(&self) -> io::Result<Vec<Attribute>> {
        plain(self.inner.attributes())
    }

    fn set_attribute(&self, attribute: &Attribute) -> io::Result<()> {
        self.plan.change()?;
        plain(self.inner.set_attribute(attribute))
    }

    fn sync(&self) -> io::Result<()> {
        self.plan.change()?;
        plain(self.inner.sync())
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        plain(self.inner.try_lock(kind))
    }

    fn unlock(&self) -> io::Result<()> {
        plain(self.inner.unlock())
    }

    fn map(&self) -> io::Result<Map> {
        plain(self.inner.map())
    }
}
