//! What a plan asks of the disk: little questions about single paths, so that planning itself touches
//! nothing and tests can answer from a table.

use std::collections::{HashMap, HashSet};

use crate::fs::{Dir, FileKind};
use crate::object::{BlobId, Entry, FileEntry, Kind, Mode, Source, VaultPath, hash_object, link_target};

use super::folders::Folders;
use super::read::hash_file;
use super::traits::os;
use super::{Error, Result};

/// Targets of this many ASCII bytes fit everywhere, so that they need not be tried.
const LINK_PLAIN_MAX: usize = 255;
/// The name under which a link is tried out.
const LINK_TRIED: &str = "link-tried";

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisk {
    /// Nothing, or a folder on the way is missing or no folder.
    Nothing,
    /// A file or link.
    File,
    /// A folder.
    Folder,
    /// Something that is not kept.
    Other,
    /// It cannot be examined: whether it can be changed, trying will show.
    Unknown,
}

/// Answers what a plan asks of the disk.
pub trait Look {
    /// Tells what stands at `path`.
    fn kind(&mut self, path: &VaultPath) -> Result<OnDisk>;

    /// Reads the file or link at `path`; `None` if it does not hold still, an error if it cannot be read.
    fn entry(&mut self, path: &VaultPath) -> Result<Option<FileEntry>>;

    /// Lists everything below a folder that is no folder, ignored or not.
    fn below(&mut self, folder: &VaultPath) -> Result<Vec<Vec<u8>>>;

    /// Tells whether a file of that name can be made here.
    fn can_exist(&mut self, name: &[u8]) -> Result<bool>;

    /// Returns `true` if a link with this target can be made here.
    fn can_link(&mut self, _target: &[u8]) -> Result<bool> {
        Ok(true)
    }

    /// Tells whether a blob's bytes are gone for good, so that nothing can be made of it.
    fn is_purged(&mut self, _id: BlobId) -> bool {
        false
    }

    /// Returns `true` if a file must not be put there before somebody accepted it.
    fn is_withheld(&mut self, _path: &VaultPath, _id: BlobId) -> bool {
        false
    }
}

/// Looks at a working tree.
pub struct RealLook {
    root: Dir,
    folders: Folders,
    scratch: Dir,
    names: HashMap<Vec<u8>, bool>,
    purged: HashSet<BlobId>,
    withheld: HashMap<VaultPath, BlobId>,
}

impl RealLook {
    /// Looks at `root`; names that may not be possible are tried out in `scratch`, a folder of the same
    /// file system in which the name of no file of ours can be met.
    pub fn new(root: &Dir, scratch: &Dir) -> RealLook {
        let folders = Folders::new(root);
        RealLook {
            root: root.clone(),
            folders,
            scratch: scratch.clone(),
            names: HashMap::new(),
            purged: HashSet::new(),
            withheld: HashMap::new(),
        }
    }

    /// Says which blobs' bytes are gone for good.
    #[must_use]
    pub fn without(mut self, purged: impl IntoIterator<Item = BlobId>) -> RealLook {
        self.purged.extend(purged);
        self
    }

    /// Says which files must not be put in place.
    #[must_use]
    pub fn withholding(mut self, withheld: impl IntoIterator<Item = (VaultPath, BlobId)>) -> RealLook {
        self.withheld.extend(withheld);
        self
    }

    fn parent(&mut self, path: &VaultPath) -> Result<Option<Dir>> {
        match self.folders.parent_of(path) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => {
                self.folders.forget();
                Err(error.into())
            }
        }
    }
}

/// Returns `true` if a file with this content can be made here: only links are asked about.
pub(super) fn can_be_made(look: &mut dyn Look, source: &dyn Source, mode: Mode, id: BlobId) -> Result<bool> {
    if mode != Mode::Symlink {
        return Ok(true);
    }
    match link_target(source, id)? {
        Ok(Some(target)) => look.can_link(&target),
        // What is missing is reported where it is read.
        Ok(None) => Ok(true),
        // Older versions took such links in from other devices.
        Err(_) => Ok(false),
    }
}

/// Tells whether `name` holds nothing that some file system refuses, so that it need not be tried.
fn is_plain(name: &[u8]) -> bool {
    let letter = |b: &u8| b.is_ascii_alphanumeric() || b"-_+=,@#%~()[]{} ".contains(b) || *b == b'.';
    name.len() <= 140 && name.iter().all(letter) && !matches!(name.last(), Some(b'.' | b' '))
}

impl Look for RealLook {
    fn kind(&mut self, path: &VaultPath) -> Result<OnDisk> {
        let dir = match self.parent(path) {
            Ok(Some(dir)) => dir,
            Ok(None) => return Ok(OnDisk::Nothing),
            Err(Error::Disk(error)) if !error.is_out_of_handles() => return Ok(OnDisk::Unknown),
            Err(error) => return Err(error),
        };
        Ok(match dir.stat(os(path.name())) {
            Ok(stat) => match stat.kind {
                FileKind::File | FileKind::Symlink => OnDisk::File,
                FileKind::Dir => OnDisk::Folder,
                FileKind::Special => OnDisk::Other,
            },
            Err(error) if error.is_gone() || error.is_bad_name() => OnDisk::Nothing,
            Err(_) => OnDisk::Unknown,
        })
    }

    fn entry(&mut self, path: &VaultPath) -> Result<Option<FileEntry>> {
        let Some(dir) = self.parent(path)? else { return Ok(None) };
        if dir.stat(os(path.name()))?.kind == FileKind::File {
            dir.open(os(path.name()))?;
        }
        Ok(read_entry(&dir, path.name()))
    }

    fn below(&mut self, folder: &VaultPath) -> Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        let mut open = vec![folder.as_bytes().to_vec()];
        while let Some(base) = open.pop() {
            // Opened from the root each time: however deep, few handles.
            let mut dir = self.root.clone();
            for part in base.split(|b| *b == b'/') {
                dir = dir.open_dir(os(part))?;
            }
            for (name, kind) in dir.list()? {
                let path = [&base[..], b"/", name.as_encoded_bytes()].concat();
                let kind = kind.map_or_else(|| dir.stat(&name).map(|stat| stat.kind), Ok)?;
                if kind == FileKind::Dir { open.push(path) } else { found.push(path) }
            }
        }
        Ok(found)
    }

    fn can_exist(&mut self, name: &[u8]) -> Result<bool> {
        if is_plain(name) {
            return Ok(true);
        }
        if let Some(known) = self.names.get(name) {
            return Ok(*known);
        }
        let can = match self.scratch.create_new(os(name), 0o600) {
            Ok(_) => match self.scratch.remove_file(os(name)) {
                // Another command removed it as nobody's.
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => true,
            },
            // Left over by one that was killed here.
            Err(error) if error.is_exists() => true,
            Err(error) if error.is_bad_name() => false,
            Err(error) => return Err(error.into()),
        };
        self.names.insert(name.to_vec(), can);
        Ok(can)
    }

    fn can_link(&mut self, target: &[u8]) -> Result<bool> {
        if target.len() <= LINK_PLAIN_MAX && target.is_ascii() {
            return Ok(true);
        }
        match self.scratch.symlink(target, LINK_TRIED) {
            Ok(()) => {
                self.scratch.remove_file(LINK_TRIED)?;
                Ok(true)
            }
            // Left over by one that was killed here: what it was made with is not known.
            Err(error) if error.is_exists() => {
                self.scratch.remove_file(LINK_TRIED)?;
                self.can_link(target)
            }
            Err(error) if error.is_bad_name() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn is_purged(&mut self, id: BlobId) -> bool {
        self.purged.contains(&id)
    }

    fn is_withheld(&mut self, path: &VaultPath, id: BlobId) -> bool {
        self.withheld.get(path) == Some(&id)
    }
}

/// Reads the file or link `name`; `None` if it cannot be read or does not hold still.
pub(super) fn read_entry(dir: &Dir, name: &[u8]) -> Option<FileEntry> {
    let stat = dir.stat(os(name)).ok()?;
    match stat.kind {
        FileKind::Symlink => {
            let target = dir.read_link(os(name)).ok()?;
            Some(Entry { mode: Mode::Symlink, id: BlobId::new(hash_object(Kind::Blob, &target)) })
        }
        FileKind::File => {
            let file = dir.open(os(name)).ok()?;
            let (id, stat) = hash_file(&file).ok()??;
            let mode = if stat.is_executable() { Mode::Executable } else { Mode::File };
            Some(Entry { mode, id })
        }
        FileKind::Dir | FileKind::Special => None,
    }
}
