//! What an operation cannot do without, and nothing else: no store, no index, no checks. Floors are made of it.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags};
use sha2::{Digest, Sha256};
use zstd::bulk::Compressor;

/// The level at which a commit compresses what it keeps whole.
const LEVEL: i32 = 1;
/// About the length of the pieces into which the program cuts large files.
const CHUNK: usize = 64 << 10;
/// How much of a large file is read at once by who goes through it on one core.
const WINDOW: usize = 1 << 20;
/// How much of it is read at once by who goes through it on all cores.
const WINDOW_SHARED: usize = 8 << 20;
/// How folders are opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How many files of one folder are one piece of work.
const FILES_MIN: usize = 128;

/// On how many cores something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// On one.
    One,
    /// On all of them.
    All,
}

/// What is done with each file that a walk finds: the folder it is in, and its name.
pub type Visit<'a> = &'a (dyn Fn(BorrowedFd<'_>, &CStr) -> io::Result<()> + Sync);

/// Lists a folder and those below it by open folders, `.mvault` left out, visits each file and returns how
/// many there were.
pub fn walk(folder: &Path, cores: Cores, visit: Visit<'_>) -> io::Result<u64> {
    walk_open(rustix::fs::open(folder, FOLDER, Mode::empty())?, cores, visit)
}

fn walk_open(folder: OwnedFd, cores: Cores, visit: Visit<'_>) -> io::Result<u64> {
    let mut dir = Dir::new(folder)?;
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    while let Some(entry) = dir.read() {
        let entry = entry?;
        match (entry.file_type(), entry.file_name().to_bytes()) {
            (FileType::Directory, b"." | b".." | b".mvault") => {}
            (FileType::Directory, _) => folders.push(entry),
            _ => files.push(entry),
        }
    }
    let here = dir.fd()?;
    let enter = |entry: &DirEntry| {
        walk_open(rustix::fs::openat(here, entry.file_name(), FOLDER, Mode::empty())?, cores, visit)
    };
    let look = |entry: &DirEntry| visit(here, entry.file_name());
    let below: u64 = match cores {
        Cores::One => {
            files.iter().try_for_each(look)?;
            folders.iter().map(enter).sum::<io::Result<u64>>()?
        }
        Cores::All => {
            files.par_iter().with_min_len(FILES_MIN).try_for_each(look)?;
            folders.par_iter().map(enter).sum::<io::Result<u64>>()?
        }
    };
    Ok(below + files.len() as u64)
}

/// The names in a folder and in those below it, known without listing any.
pub struct Known {
    files: Vec<CString>,
    folders: Vec<(CString, Known)>,
}

impl Known {
    /// Learns the names, `.mvault` left out.
    pub fn learn(folder: &Path) -> io::Result<Known> {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = CString::new(entry.file_name().into_encoded_bytes())?;
            match entry.file_type()?.is_dir() {
                true if entry.file_name() == ".mvault" => {}
                true => folders.push((name, Known::learn(&entry.path())?)),
                false => files.push(name),
            }
        }
        Ok(Known { files, folders })
    }

    /// Looks at each folder and each file by open folders; returns how many files there are.
    pub fn look(&self, folder: &Path, cores: Cores) -> io::Result<u64> {
        self.look_open(rustix::fs::open(folder, FOLDER, Mode::empty())?, cores)
    }

    fn look_open(&self, folder: OwnedFd, cores: Cores) -> io::Result<u64> {
        let here = folder.as_fd();
        black_box(rustix::fs::fstat(here)?);
        let enter = |(name, below): &(CString, Known)| {
            below.look_open(rustix::fs::openat(here, name, FOLDER, Mode::empty())?, cores)
        };
        let look = |name: &CString| lstat(here, name);
        let below: u64 = match cores {
            Cores::One => {
                self.files.iter().try_for_each(look)?;
                self.folders.iter().map(enter).sum::<io::Result<u64>>()?
            }
            Cores::All => {
                self.files.par_iter().with_min_len(FILES_MIN).try_for_each(look)?;
                self.folders.par_iter().map(enter).sum::<io::Result<u64>>()?
            }
        };
        Ok(below + self.files.len() as u64)
    }
}

/// Looks at a file of a folder.
pub fn lstat(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    black_box(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?);
    Ok(())
}

thread_local! {
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static COMPRESSOR: RefCell<Compressor<'static>> =
        RefCell::new(Compressor::new(LEVEL).expect("the level is one zstd has"));
}

/// Reads a file that a walk found and lets `act` have its bytes.
fn with_bytes(
    folder: BorrowedFd<'_>,
    name: &CStr,
    act: impl FnOnce(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    BYTES.with_borrow_mut(|bytes| {
        bytes.clear();
        loop {
            bytes.reserve(CHUNK);
            if rustix::io::read(&file, rustix::buffer::spare_capacity(bytes))? == 0 {
                return act(bytes);
            }
        }
    })
}

/// Reads a file that a walk found.
pub fn read(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    with_bytes(folder, name, |bytes| {
        black_box(bytes);
        Ok(())
    })
}

/// Hashes bytes.
pub fn hash(bytes: &[u8]) {
    black_box(Sha256::digest(black_box(bytes)));
}

/// Compresses bytes into a frame of their own.
pub fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(bytes))
}

/// Reads, hashes and compresses each file below a folder on all cores and writes the frames into one new
/// file, durably; returns how many files there were.
pub fn keep_all(folder: &Path, to: &Path) -> io::Result<u64> {
    let frames = Mutex::new(Vec::new());
    let files = walk(folder, Cores::All, &|dir, name| {
        with_bytes(dir, name, |bytes| {
            hash(bytes);
            let frame = compress(bytes)?;
            frames.lock().unwrap_or_else(PoisonError::into_inner).extend(frame);
            Ok(())
        })
    })?;
    let mut file = File::create(to)?;
    file.write_all(&frames.into_inner().unwrap_or_else(PoisonError::into_inner))?;
    file.sync_data()?;
    Ok(files)
}

/// Reads one large file and hashes it as a whole, on one core.
pub fn hash_file(path: &Path) -> io::Result<()> {
    let (mut file, mut hasher, mut bytes) = (File::open(path)?, Sha256::new(), vec![0; WINDOW]);
    loop {
        match file.read(&mut bytes)? {
            0 => break,
            count => hasher.update(&bytes[..count]),
        }
    }
    black_box(hasher.finalize());
    Ok(())
}

/// Reads one large file, hashes it as a whole and by pieces, compresses the pieces and writes them into one
/// new file, durably. The whole is hashed by one core at a time; reading, writing and the pieces go beside it.
pub fn keep_large(from: &Path, to: &Path) -> io::Result<()> {
    let (mut source, mut target) = (File::open(from)?, File::create(to)?);
    let mut read = |bytes: &mut Vec<u8>| {
        bytes.clear();
        Read::by_ref(&mut source).take(WINDOW_SHARED as u64).read_to_end(bytes)
    };
    let (mut now, mut next) = (Vec::with_capacity(WINDOW_SHARED), Vec::with_capacity(WINDOW_SHARED));
    let (mut frames, mut whole) = (Vec::new(), Sha256::new());
    read(&mut now)?;
    while !now.is_empty() {
        let (moved, made) = rayon::join(
            || {
                frames.iter().try_for_each(|frame: &Vec<u8>| target.write_all(frame))?;
                read(&mut next)
            },
            || {
                let pieces = || now.par_chunks(CHUNK).map(keep_piece).collect::<io::Result<Vec<Vec<u8>>>>();
                rayon::join(|| whole.update(&now), pieces).1
            },
        );
        moved?;
        frames = made?;
        std::mem::swap(&mut now, &mut next);
    }
    black_box(whole.finalize());
    frames.iter().try_for_each(|frame| target.write_all(frame))?;
    target.sync_data()
}

fn keep_piece(bytes: &[u8]) -> io::Result<Vec<u8>> {
    hash(bytes);
    compress(bytes)
}

/// Hashes so many first bytes of `bytes` for each of the lengths, on all cores.
pub fn hash_versions(bytes: &[u8], lengths: &[usize]) {
    lengths.par_iter().with_max_len(1).for_each(|length| hash(&bytes[..*length]));
}

/// Appends to a file, durably: the cheapest durable write there is that makes a file longer.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

/// Gives a folder a new file, durably, under a name that never stands over half of it.
pub fn write_new(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = folder.join("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(temporary, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Replaces files by others, as a checkout must so that each is whole at every instant: all of them written
/// beside, one sync of the file system, each renamed over the old one, each folder synced.
pub fn replace_all(root: &Path, files: &[(PathBuf, &[u8])]) -> io::Result<()> {
    let above = root.join(".staged");
    std::fs::create_dir_all(&above)?;
    spread_folders(&above)?;
    // A name of its own each time: ext4 chooses the part of the disk by it.
    let staged = tempfile::tempdir_in(&above)?;
    let staged = staged.path();
    let all = || files.par_iter().enumerate();
    all().try_for_each(|(number, (_, bytes))| std::fs::write(staged.join(number.to_string()), bytes))?;
    sync_file_system(root)?;
    all().try_for_each(|(number, (path, _))| std::fs::rename(staged.join(number.to_string()), path))?;
    let mut folders: Vec<&Path> = files.iter().filter_map(|(path, _)| path.parent()).collect();
    folders.sort_unstable();
    folders.dedup();
    folders.into_iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

/// Lets what is made in a folder's folders lie in a part of the disk of its own: on ext4 a new file's inode
/// is otherwise looked for past all those that were freed a short while ago.
fn spread_folders(folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let folder = File::open(folder)?;
        if let Ok(flags) = rustix::fs::ioctl_getflags(folder.as_fd()) {
            let _other_file_systems_refuse =
                rustix::fs::ioctl_setflags(folder.as_fd(), flags | rustix::fs::IFlags::TOPDIR);
        }
    }
    Ok(())
}

/// Makes everything durable that the file system of a folder has in memory.
pub fn sync_file_system(folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(File::open(folder)?)?;
    #[cfg(not(target_os = "linux"))]
    rustix::fs::sync();
    Ok(())
}
