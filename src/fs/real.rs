//! The machine's own disk, by system calls relative to open folders.

#![allow(unsafe_code)] // for `map` alone; the reason stands there
#![allow(clippy::disallowed_methods)] // this is the room behind the seam

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::fs::IFlags;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::{Attribute, Dir, Disk, Error, FileKind, LockKind, Map, RawDir, RawFile, Result, Stat};

/// The longest extended attribute that is read.
const ATTRIBUTE_BYTES_MAX: usize = 4 << 20;

/// The disk of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open_dir(&self, path: &Path) -> Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Dir::new(Arc::new(RealDir { fd }), path.to_path_buf())),
            Err(errno) => Err(Error { action: "open", path: path.to_path_buf(), source: errno.into() }),
        }
    }

    fn canonicalize(&self, path: &Path) -> Result<PathBuf> {
        fs::canonicalize(path).map_err(|source| Error { action: "find", path: path.to_path_buf(), source })
    }

    fn user(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

/// Returns the machine's name, as far as it is text.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the width in columns of the terminal that standard output is, or `None` if it is none.
pub fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[derive(Debug)]
struct RealDir {
    fd: OwnedFd,
}

impl RealDir {
    fn open_file(&self, name: &OsStr, flags: OFlags, mode: u32) -> io::Result<Arc<dyn RawFile>> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode as _);
        let fd = retry(|| rustix::fs::openat(&self.fd, name, flags, mode))?;
        Ok(Arc::new(RealFile { file: fs::File::from(fd) }))
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}

/// Calls with a buffer that grows until all of the answer fits.
fn filled(mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1 << 10];
    loop {
        match retry(|| call(&mut buffer)) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::RANGE.raw_os_error()) => {
                if buffer.len() >= ATTRIBUTE_BYTES_MAX {
                    return Err(error);
                }
                buffer.resize(buffer.len() * 8, 0);
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_no_attribute_of_ours(error: &io::Error) -> bool {
    use rustix::io::Errno;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const GONE: Errno = Errno::NODATA;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const GONE: Errno = Errno::NOATTR;
    let known = [GONE, Errno::ACCESS, Errno::PERM, Errno::OPNOTSUPP];
    known.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn kind_of(file_type: FileType) -> Option<FileKind> {
    match file_type {
        FileType::RegularFile => Some(FileKind::File),
        FileType::Directory => Some(FileKind::Dir),
        FileType::Symlink => Some(FileKind::Symlink),
        FileType::Unknown => None,
        _ => Some(FileKind::Special),
    }
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // field types differ between systems
fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        kind: kind_of(FileType::from_raw_mode(stat.st_mode as _)).unwrap_or(FileKind::Special),
        size: stat.st_size as u64,
        mode: u32::from(stat.st_mode) & 0o7777,
        owner: stat.st_uid as u32,
        group: stat.st_gid as u32,
        mtime_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec as i64),
        ctime_ns: i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec as i64),
        inode: stat.st_ino as u64,
        device: stat.st_dev as u64,
        blocks: stat.st_blocks as u64,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn stat_of_statx(stat: &rustix::fs::Statx) -> Stat {
    let ns =
        |time: rustix::fs::StatxTimestamp| i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    Stat {
        kind: kind_of(FileType::from_raw_mode(stat.stx_mode.into())).unwrap_or(FileKind::Special),
        size: stat.stx_size,
        mode: u32::from(stat.stx_mode) & 0o7777,
        owner: stat.stx_uid,
        group: stat.stx_gid,
        mtime_ns: ns(stat.stx_mtime),
        ctime_ns: ns(stat.stx_ctime),
        inode: stat.stx_ino,
        device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        blocks: stat.stx_blocks,
    }
}

impl RawDir for RealDir {
    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn RawDir>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = retry(|| rustix::fs::openat(&self.fd, name, flags, Mode::empty()))?;
        Ok(Arc::new(RealDir { fd }))
    }

    fn open(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>> {
        self.open_file(name, OFlags::RDONLY, 0)
    }

    fn open_write(&self, name: &OsStr) -> io::Result<Arc<dyn RawFile>> {
        self.open_file(name, OFlags::RDWR, 0)
    }

    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Arc<dyn RawFile>> {
        self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)
    }

    fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        retry(|| rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode as _)))
    }

    fn symlink(&self, target: &[u8], name: &OsStr) -> io::Result<()> {
        retry(|| rustix::fs::symlinkat(OsStr::from_bytes(target), &self.fd, name))
    }

    fn read_link(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        retry(|| rustix::fs::readlinkat(&self.fd, name, Vec::new())).map(|t| t.into_bytes())
    }

    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        retry(|| rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)).map(|s| stat_of(&s))
    }

    fn stat_self(&self) -> io::Result<Stat> {
        retry(|| rustix::fs::fstat(&self.fd)).map(|s| stat_of(&s))
    }

    /// A bind mount has the device of what it shows, so the device alone does not tell. Before Linux 5.8 there
    /// is nothing else.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn stat_and_mount(&self) -> io::Result<(Stat, u64)> {
        use rustix::fs::{AtFlags, StatxFlags, statx};
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        match retry(|| statx(&self.fd, c"", AtFlags::EMPTY_PATH, wanted)) {
            Ok(found) if StatxFlags::from_bits_retain(found.stx_mask).contains(wanted) => {
                Ok((stat_of_statx(&found), found.stx_mnt_id))
            }
            _ => self.stat_self().map(|stat| (stat, stat.device)),
        }
    }

    fn set_mode_self(&self, mode: u32) -> io::Result<()> {
        retry(|| rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode as _)))
    }

    fn list(&self) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(self.fd.as_fd())? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push((OsString::from_vec(name.to_vec()), kind_of(entry.file_type())));
            }
        }
        Ok(names)
    }

    fn rename(&self, name: &OsStr, to: &dyn RawDir, to_name: &OsStr) -> io::Result<()> {
        let to = to.as_any().downcast_ref::<RealDir>().expect("both folders are on one disk");
        retry(|| rustix::fs::renameat(&self.fd, name, &to.fd, to_name))
    }

    fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        retry(|| rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()))
    }

    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        retry(|| rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR))
    }

    fn sync(&self) -> io::Result<()> {
        retry(|| rustix::fs::fsync(&self.fd))
    }

    #[cfg(target_os = "linux")]
    fn sync_file_system(&self) -> io::Result<bool> {
        // Before Linux 5.8 syncfs reports no write errors: it cannot be trusted there.
        let reports_errors = {
            let release = rustix::system::uname().release().to_string_lossy().into_owned();
            let mut numbers = release.split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
            (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 8)
        };
        if reports_errors {
            retry(|| rustix::fs::syncfs(&self.fd))?;
        }
        Ok(reports_errors)
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_file_system(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn may_change(&self) -> bool {
        use rustix::fs::Access;
        use rustix::io::Errno;
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        let asked = retry(|| rustix::fs::accessat(&self.fd, ".", wanted, AtFlags::EACCESS));
        // A system that does not know the question has not said no.
        let no = [Errno::ACCESS, Errno::PERM, Errno::ROFS].map(|errno| Some(errno.raw_os_error()));
        !asked.is_err_and(|error| no.contains(&error.raw_os_error()))
    }

    fn free_bytes(&self) -> io::Result<Option<u64>> {
        let found = retry(|| rustix::fs::fstatvfs(&self.fd))?;
        Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
    }

    /// The flag is what `chattr +T` sets: ext2 to ext4 know it ("the top of a hierarchy").
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn spread_folders(&self) {
        if let Ok(flags) = rustix::fs::ioctl_getflags(&self.fd) {
            let _other_file_systems_refuse = rustix::fs::ioctl_setflags(&self.fd, flags | IFlags::TOPDIR);
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[derive(Debug)]
struct RealFile {
    file: fs::File,
}

impl RawFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn stat(&self) -> io::Result<Stat> {
        retry(|| rustix::fs::fstat(&self.file)).map(|s| stat_of(&s))
    }

    /// Looking for a hole takes the lock that a write holds from its first byte to its last (ext4, f2fs,
    /// btrfs, tmpfs; xfs locks the reads themselves). What is found is of no interest.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn settle(&self) {
        let _position_is_not_used = rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Hole(0));
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        retry(|| rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode as _)))
    }

    fn set_owner(&self, owner: Option<u32>, group: u32) -> io::Result<()> {
        let owner = owner.map(rustix::fs::Uid::from_raw);
        retry(|| rustix::fs::fchown(&self.file, owner, Some(rustix::fs::Gid::from_raw(group))))
    }

    fn attributes(&self) -> io::Result<Vec<Attribute>> {
        let names = match filled(|buffer| rustix::fs::flistxattr(&self.file, buffer)) {
            // Neither the system nor the file system needs to know of such things.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(Vec::new()),
            other => other?,
        };
        let mut attributes = Vec::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let name = OsStr::from_bytes(name);
            match filled(|buffer| rustix::fs::fgetxattr(&self.file, name, buffer)) {
                Ok(value) => attributes.push(Attribute { name: name.to_owned(), value }),
                // One that went meanwhile, or that only others may read.
                Err(error) if is_no_attribute_of_ours(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(attributes)
    }

    fn set_attribute(&self, attribute: &Attribute) -> io::Result<()> {
        let flags = rustix::fs::XattrFlags::empty();
        retry(|| rustix::fs::fsetxattr(&self.file, attribute.name.as_os_str(), &attribute.value, flags))
    }

    #[cfg(target_vendor = "apple")]
    fn sync(&self) -> io::Result<()> {
        retry(|| rustix::fs::fcntl_fullfsync(&self.file))
    }

    #[cfg(not(target_vendor = "apple"))]
    fn sync(&self) -> io::Result<()> {
        retry(|| rustix::fs::fdatasync(&self.file))
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        use rustix::fs::FlockOperation;
        let operation = match kind {
            LockKind::Shared => FlockOperation::NonBlockingLockShared,
            LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match retry(|| rustix::fs::flock(&self.file, operation)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        retry(|| rustix::fs::flock(&self.file, rustix::fs::FlockOperation::Unlock))
    }

    fn map(&self) -> io::Result<Map> {
        if self.file.metadata()?.len() == 0 {
            return Ok(Map::Read(Vec::new()));
        }
        // SAFETY: only packs are mapped. A pack is mode 0400, complete before it gets its name, and
        // leaves by unlink alone, which keeps mapped pages alive; nothing of ours truncates it.
        let map = unsafe { memmap2::Mmap::map(&self.file) }?;
        Ok(Map::Mapped(map))
    }
}

#[cfg(test)]
mod tests {
    use crate::fs::{Disk, RealDisk};

    /// The stat cache compares the two.
    #[test]
    fn a_folder_has_the_same_stat_with_its_mount_as_without() {
        let place = tempfile::tempdir().expect("a folder");
        for path in [place.path(), std::path::Path::new("/dev")] {
            let dir = RealDisk.open_dir(path).expect("opens");
            let (with, _) = dir.stat_and_mount().expect("is examined");
            let without = dir.stat_self().expect("is examined");
            assert_eq!((with.device, with.inode), (without.device, without.inode), "{}", path.display());
            assert!(with == without || path != place.path(), "{with:?}, {without:?}");
        }
    }
}
