//! A disk in memory, for tests: it cuts, fails and forgets as a plan tells it to.
//!
//! - It keeps what programs see (live) and what would survive a power cut (durable) of every inode; the
//!   rules stand in `crash`.
//! - [`SimDisk::after_kill`] is the disk as the next process finds it; [`SimDisk::after_power_cut`] are
//!   disks that may be found after the machine lost power.
//! - Every call is recorded; a [`Fault`] makes the n-th of a kind fail or be the process's last.
//!
//! Limits: permission bits are live at once and survive; folders have none; locks are per open file as
//! with flock; there are no fifos, no devices and no second file system.

mod crash;
mod plan;
#[cfg(test)]
mod tests;
mod world;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;

pub use plan::{Act, Call, Effect, Failure, Fault, Which};

use super::{Attribute, Dir, Disk, Error, FileKind, LockKind, Map, RawDir, RawFile, Result, Stat};
use plan::Armed;
use world::{Body, DirChange, FileChange, Leave, ROOT, World};

/// How many symbolic links a path may lead through.
const LINKS_MAX: usize = 40;

/// A simulated disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

impl Default for SimDisk {
    fn default() -> SimDisk {
        SimDisk::new()
    }
}

impl SimDisk {
    /// Makes an empty disk.
    pub fn new() -> SimDisk {
        SimDisk::of(World::new())
    }

    fn of(world: World) -> SimDisk {
        SimDisk { world: Arc::new(Mutex::new(world)) }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Plans a fault; its calls are counted from now on. Of several the first that hits counts.
    pub fn plan(&self, fault: Fault) {
        self.lock().faults.push(Armed { fault, passed: 0 });
    }

    /// Drops all planned faults, as when a disk works again.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Tells whether the plan has killed the process.
    pub fn is_killed(&self) -> bool {
        self.lock().killed
    }

    /// Returns the calls made so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Returns the calls made so far that change the state of the disk.
    pub fn changing_calls(&self) -> Vec<Call> {
        self.lock().calls.iter().filter(|call| call.act.is_changing()).cloned().collect()
    }

    /// Makes everything durable and forgets the calls so far: the state that a test starts from.
    pub fn settle(&self) {
        let mut world = self.lock();
        for node in &mut world.nodes {
            match &mut node.body {
                Body::File(image) => image.settle(image.live.clone()),
                Body::Dir(image) => image.settle(image.live.clone()),
                Body::Link(_) => {}
            }
        }
        world.calls.clear();
    }

    /// Sets the clock that files get their times from, in nanoseconds since 1970. Each call that changes
    /// something moves it on by a millisecond.
    pub fn set_time(&self, now_ns: i128) {
        self.lock().now_ns = now_ns;
    }

    /// Returns the disk as the next process finds it after this one was killed: all that was written is
    /// seen, nothing more has become durable, no lock is held, no fault is planned.
    pub fn after_kill(&self) -> SimDisk {
        let mut world = self.lock().clone();
        world.nodes.iter_mut().for_each(|node| node.locks.clear());
        SimDisk::of(World { faults: Vec::new(), calls: Vec::new(), killed: false, ..world })
    }

    /// Returns different disks that may be found after a power cut now: with all of the unsynced
    /// changes, none, all but each, only each, each write torn, and `random` mixtures by `seed`.
    pub fn after_power_cut(&self, seed: u64, random: usize) -> Vec<SimDisk> {
        crash::images(&self.lock(), seed, random).into_iter().map(SimDisk::of).collect()
    }

    /// Lists all files that can be reached, with their content as programs see it.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(world: &World, dir: usize, path: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            let Body::Dir(image) = &world.nodes[dir].body else { return };
            for (name, node) in &image.live {
                let path = path.join(name);
                match &world.nodes[*node].body {
                    Body::File(image) => drop(files.insert(path, image.live.clone())),
                    Body::Dir(_) => walk(world, *node, &path, files),
                    Body::Link(_) => {}
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(&self.lock(), ROOT, Path::new("/"), &mut files);
        files
    }

    /// Changes a file behind the back of everyone, live and durable: damage. Not a call.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut world = self.lock();
        let node = resolve(&world, path).map_err(|source| error("damage", path, source))?;
        if let Body::File(image) = &mut world.nodes[node].body {
            let mut content = image.live.clone();
            change(&mut content);
            image.settle(content);
            return Ok(());
        }
        Err(error("damage", path, Errno::ISDIR.into()))
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    // A test that panicked elsewhere has not left the world half-changed: each call is one step.
    world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn error(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error { action, path: path.to_path_buf(), source }
}

/// Finds a node by absolute path, through symbolic links.
fn resolve(world: &World, path: &Path) -> io::Result<usize> {
    resolve_real(world, path).map(|(node, _)| node)
}

fn resolve_real(world: &World, path: &Path) -> io::Result<(usize, PathBuf)> {
    let parts = |path: &Path| -> Vec<OsString> {
        let named =
            path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        named.map(|part| part.as_os_str().to_owned()).rev().collect()
    };
    let mut rest = parts(path);
    let mut trail = vec![(ROOT, PathBuf::from("/"))];
    let mut links = 0;
    while let Some(name) = rest.pop() {
        let (dir, real) = trail.last().cloned().expect("the root is never left");
        if name == ".." {
            trail.truncate(trail.len().saturating_sub(1).max(1));
            continue;
        }
        let node = world.find(dir, &name)?;
        if let Body::Link(target) = &world.nodes[node].body {
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::LOOP.into());
            }
            let target = Path::new(OsStr::from_bytes(target));
            if target.is_absolute() {
                trail.truncate(1);
            }
            rest.extend(parts(target));
        } else {
            trail.push((node, real.join(&name)));
        }
    }
    Ok(trail.pop().expect("the root is never left"))
}

impl Disk for SimDisk {
    fn open_dir(&self, path: &Path) -> Result<Dir> {
        let mut world = self.lock();
        let opened = world.begin(Act::Open, path, None, 0).and_then(|_| {
            let node = resolve(&world, path)?;
            world.names(node).map(|_| node)
        });
        let node = opened.map_err(|source| error("open", path, source))?;
        let raw = SimDir { world: Arc::clone(&self.world), node, path: path.to_path_buf() };
        Ok(Dir::new(Arc::new(raw), path.to_path_buf()))
    }

    fn canonicalize(&self, path: &Path) -> Result<PathBuf> {
        let real = resolve_real(&self.lock(), path);
        real.map(|(_, real)| real).map_err(|source| error("find", path, source))
    }

    fn user(&self) -> u32 {
        self.lock().user
    }
}

#[derive(Debug)]
struct SimDir {
    world: Arc<Mutex<World>>,
    node: usize,
    path: PathBuf,
}

impl SimDir {
    /// Starts a call on `name`; returns the world and what is there.
    fn begin(&self, act: Act, name: &OsStr) -> io::Result<(MutexGuard<'_, World>, io::Result<usize>)> {
        let mut world = lock(&self.world);
        world.begin(act, &self.path.join(name), None, 0)?;
        if name.is_empty() || name == "." || name == ".." || name.as_bytes().contains(&b'/') {
            return Err(Errno::INVAL.into());
        }
        let found = world.find(self.node, name);
        Ok((world, found))
    }

    /// Starts a call that makes `name`, which must be free.
    fn begin_new(&self, act: Act, name: &OsStr) -> io::Result<MutexGuard<'_, World>> {
        match self.begin(act, name)? {
            (_, Ok(_)) => Err(Errno::EXIST.into()),
            (world, Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(world),
            (_, Err(error)) => Err(error),
        }
    }

    fn handle(&self, world: &mut World, node: usize, name: &OsStr, writes: bool) -> Arc<dyn RawFile> {
        world.handles += 1;
        let path = self.path.join(name);
        Arc::new(SimFile { world: Arc::clone(&self.world), node, path, handle: world.handles, writes })
    }

    fn open_with(&self, name: &OsStr, writes: bool) -> io::Result<Arc<dyn RawFile>> {
        let (mut world, found) = self.begin(Act::Open, name)?;
        let node = found?;
        world.file(node)?;
        let needed = if writes { 0o600 } else { 0o400 };
        if world.nodes[node].mode & needed != needed {
            return Err(Errno::ACCESS.into());
        }
        Ok(self.handle(&mut world, node, name, writes))
    }
}

impl RawDir for SimDir {
    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn RawDir>> {
        let (world, found) = self.begin(Act::Open, name)?;
        let node = found?;
        world.names(node)?;
        Ok(Arc::new(SimDir { world: Arc::clone(&self.world), node, path: self.path.join(name) }))
    }

    fn open(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>> {
        self.open_with(name, false)
    }

    fn open_write(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>> {
        self.open_with(name, true)
    }

    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Arc<dyn RawFile>> {
        let mut world = self.begin_new(Act::CreateFile, name)?;
        let node = world.new_file(mode);
        world.link(self.node, name, node);
        Ok(self.handle(&mut world, node, name, true))
    }

    fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        let mut world = self.begin_new(Act::CreateDir, name)?;
        let node = world.new_dir(mode);
        world.link(self.node, name, node);
        Ok(())
    }

    fn symlink(&self, target: &[u8], name: &OsStr) -> io::Result<()> {
        let mut world = self.begin_new(Act::Symlink, name)?;
        let node = world.add(Body::Link(target.to_vec()), 0o777);
        world.link(self.node, name, node);
        Ok(())
    }

    fn read_link(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        let (world, found) = self.begin(Act::ReadLink, name)?;
        match &world.nodes[found?].body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        let (world, found) = self.begin(Act::Stat, name)?;
        found.map(|node| world.stat(node))
    }

    fn stat_self(&self) -> io::Result<Stat> {
        let mut world = lock(&self.world);
        world.begin(Act::Stat, &self.path, None, 0)?;
        Ok(world.stat(self.node))
    }

    fn set_mode_self(&self, mode: u32) -> io::Result<()> {
        let mut world = lock(&self.world);
        world.begin(Act::SetMode, &self.path, None, 0)?;
        let now = world.now_ns;
        let node = &mut world.nodes[self.node];
        (node.mode, node.ctime_ns) = (mode & 0o7777, now);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        let mut world = lock(&self.world);
        world.begin(Act::List, &self.path, None, 0)?;
        let names = world.names(self.node)?.iter();
        Ok(names.map(|(name, node)| (name.clone(), Some(world.stat(*node).kind))).collect())
    }

    fn rename(&self, name: &OsStr, to: &dyn RawDir, to_name: &OsStr) -> io::Result<()> {
        let to = to.as_any().downcast_ref::<SimDir>().expect("both folders are on one disk");
        assert!(Arc::ptr_eq(&self.world, &to.world), "both folders are on one disk");
        let mut world = lock(&self.world);
        world.begin(Act::Rename, &self.path.join(name), Some(&to.path.join(to_name)), 0)?;
        world.rename(self.node, name, to.node, to_name)
    }

    fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        let (mut world, found) = self.begin(Act::RemoveFile, name)?;
        if matches!(world.nodes[found?].body, Body::Dir(_)) {
            return Err(Errno::ISDIR.into());
        }
        world.change_dir(self.node, DirChange::Unlink { name: name.to_owned() });
        Ok(())
    }

    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        let (mut world, found) = self.begin(Act::RemoveDir, name)?;
        if !world.names(found?)?.is_empty() {
            return Err(Errno::NOTEMPTY.into());
        }
        world.change_dir(self.node, DirChange::Unlink { name: name.to_owned() });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        sync(&self.world, self.node, Act::SyncDir, &self.path)
    }

    fn sync_file_system(&self) -> io::Result<bool> {
        let mut world = lock(&self.world);
        let begun = world.begin(Act::SyncFileSystem, &self.path, None, 0);
        for node in 0..world.nodes.len() {
            match &begun {
                Ok(_) => world.sync(node),
                Err(_) if world.killed => {}
                Err(_) => world.doubt(node),
            }
        }
        begun.map(|_| true)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn sync(world: &Mutex<World>, node: usize, act: Act, path: &Path) -> io::Result<()> {
    let mut world = lock(world);
    match world.begin(act, path, None, 0) {
        Ok(_) => world.sync(node),
        Err(error) => {
            if !world.killed {
                world.doubt(node);
            }
            return Err(error);
        }
    }
    Ok(())
}

#[derive(Debug)]
struct SimFile {
    world: Arc<Mutex<World>>,
    node: usize,
    path: PathBuf,
    handle: u64,
    writes: bool,
}

impl SimFile {
    fn begin(&self, act: Act, bytes: usize) -> io::Result<(MutexGuard<'_, World>, Leave)> {
        let mut world = lock(&self.world);
        let leave = world.begin(act, &self.path, None, bytes)?;
        if matches!(act, Act::Write | Act::SetLen) && !self.writes {
            return Err(Errno::BADF.into());
        }
        Ok((world, leave))
    }
}

fn length(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(|_| Errno::FBIG.into())
}

impl RawFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (world, _) = self.begin(Act::Read, buffer.len())?;
        let content = &world.file(self.node)?.live;
        let rest = content.get(length(offset)?..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut world, leave) = self.begin(Act::Write, bytes.len())?;
        let offset = length(offset)?;
        let part = match leave {
            Leave::Full => bytes,
            Leave::Half(_) => &bytes[..bytes.len() / 2],
        };
        if !part.is_empty() {
            world.change_file(self.node, FileChange::Write { offset, bytes: part.into() });
        }
        match leave {
            Leave::Full => Ok(()),
            Leave::Half(effect) => Err(world.end_half(effect)),
        }
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        let (mut world, _) = self.begin(Act::SetLen, 0)?;
        let size = length(size)?;
        world.change_file(self.node, FileChange::SetLen(size));
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        let (world, _) = self.begin(Act::Stat, 0)?;
        Ok(world.stat(self.node))
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let (mut world, _) = self.begin(Act::SetMode, 0)?;
        let now = world.now_ns;
        let node = &mut world.nodes[self.node];
        (node.mode, node.ctime_ns) = (mode & 0o7777, now);
        Ok(())
    }

    fn set_owner(&self, owner: Option<u32>, group: u32) -> io::Result<()> {
        let (mut world, _) = self.begin(Act::SetMode, 0)?;
        let (now, user) = (world.now_ns, world.user);
        let node = &mut world.nodes[self.node];
        if owner.is_some_and(|owner| owner != node.owner) && user != 0 {
            return Err(Errno::PERM.into());
        }
        (node.owner, node.group, node.ctime_ns) = (owner.unwrap_or(node.owner), group, now);
        Ok(())
    }

    fn attributes(&self) -> io::Result<Vec<Attribute>> {
        let (world, _) = self.begin(Act::Stat, 0)?;
        Ok(world.nodes[self.node].attributes.clone())
    }

    fn set_attribute(&self, attribute: &Attribute) -> io::Result<()> {
        let (mut world, _) = self.begin(Act::SetMode, 0)?;
        let now = world.now_ns;
        let node = &mut world.nodes[self.node];
        node.attributes.retain(|other| other.name != attribute.name);
        node.attributes.push(attribute.clone());
        node.ctime_ns = now;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        sync(&self.world, self.node, Act::SyncFile, &self.path)
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        let (mut world, _) = self.begin(Act::Lock, 0)?;
        let locks = &mut world.nodes[self.node].locks;
        let others = locks.iter().filter(|(handle, _)| *handle != self.handle);
        let free = match kind {
            LockKind::Exclusive => others.count() == 0,
            LockKind::Shared => !others.into_iter().any(|(_, held)| *held == LockKind::Exclusive),
        };
        if free {
            locks.retain(|(handle, _)| *handle != self.handle);
            locks.push((self.handle, kind));
        }
        Ok(free)
    }

    fn unlock(&self) -> io::Result<()> {
        let (mut world, _) = self.begin(Act::Lock, 0)?;
        world.nodes[self.node].locks.retain(|(handle, _)| *handle != self.handle);
        Ok(())
    }

    fn map(&self) -> io::Result<Map> {
        let (world, _) = self.begin(Act::Read, 0)?;
        Ok(Map::Read(world.file(self.node)?.live.clone()))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        lock(&self.world).nodes[self.node].locks.retain(|(handle, _)| *handle != self.handle);
    }
}
