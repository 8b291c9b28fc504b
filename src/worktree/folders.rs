//! Open folders along a path, kept for the next path: a sorted list of paths opens each folder once.
//!
//! Only the first [`KEPT_MAX`] levels stay open, so that a path of two thousand parts needs no more file
//! handles than a flat one.

use crate::fs::{self, Dir, FileKind};
use crate::object::VaultPath;

use super::traits::os;

/// How many levels of folders stay open.
const KEPT_MAX: usize = 16;

/// The way from a root to the folder of the last path asked for.
#[derive(Clone, Debug)]
pub struct Folders {
    root: Dir,
    kept: Vec<(Vec<u8>, Dir)>,
    deep: Option<(Vec<u8>, Dir)>,
}

impl Folders {
    /// Starts at `root`.
    pub fn new(root: &Dir) -> Folders {
        Folders { root: root.clone(), kept: Vec::new(), deep: None }
    }

    /// Opens the folder that `path` is in.
    pub fn parent_of(&mut self, path: &VaultPath) -> fs::Result<Dir> {
        self.walk(path, false)
    }

    /// Opens the folder that `path` is in, making what is missing of it. Nothing is synced.
    pub fn make_parent_of(&mut self, path: &VaultPath) -> fs::Result<Dir> {
        self.walk(path, true)
    }

    /// Opens `path`, a folder.
    pub fn open(&mut self, path: &VaultPath) -> fs::Result<Dir> {
        self.parent_of(path)?.open_dir(os(path.name()))
    }

    /// Forgets all open folders; for when folders were removed or replaced.
    pub fn forget(&mut self) {
        self.kept.clear();
        self.deep = None;
    }

    fn walk(&mut self, path: &VaultPath, make: bool) -> fs::Result<Dir> {
        let bytes = path.as_bytes();
        let parent = &bytes[..bytes.len() - path.name().len()];
        if let Some((known, dir)) = &self.deep
            && known == parent
        {
            return Ok(dir.clone());
        }
        self.deep = None;
        let parts: Vec<&[u8]> = parent.split(|b| *b == b'/').filter(|part| !part.is_empty()).collect();
        let same = self.kept.iter().zip(&parts).take_while(|((name, _), part)| name == *part).count();
        self.kept.truncate(same);
        let mut dir = self.kept.last().map_or_else(|| self.root.clone(), |(_, dir)| dir.clone());
        for part in &parts[same..] {
            dir = match dir.open_dir(os(part)) {
                Err(error) if make && error.is_not_found() => match dir.create_dir(os(part)) {
                    Err(error) if !error.is_exists() => return Err(error),
                    _ => dir.open_dir(os(part))?,
                },
                other => other?,
            };
            if self.kept.len() < KEPT_MAX {
                self.kept.push((part.to_vec(), dir.clone()));
            }
        }
        if parts.len() > KEPT_MAX {
            self.deep = Some((parent.to_vec(), dir.clone()));
        }
        Ok(dir)
    }
}

/// Removes a folder and the folders in it, if there is nothing else in any of them.
pub(super) fn remove_empty_below(dir: &Dir, name: &[u8]) -> fs::Result<()> {
    // Deepest first, each reached from the top: as deep as a path can be, few handles.
    let mut found: Vec<Vec<Vec<u8>>> = vec![vec![name.to_vec()]];
    let mut at = 0;
    while at < found.len() {
        let mut inner = dir.clone();
        for part in &found[at] {
            inner = inner.open_dir(os(part))?;
        }
        for (child, kind) in inner.list()? {
            if kind.is_none_or(|kind| kind == FileKind::Dir) {
                let mut path = found[at].clone();
                path.push(child.into_encoded_bytes());
                found.push(path);
            }
        }
        at += 1;
    }
    for path in found.iter().rev() {
        let (last, above) = path.split_last().expect("every path has its own name");
        let mut inner = dir.clone();
        for part in above {
            inner = inner.open_dir(os(part))?;
        }
        inner.remove_dir(os(last))?;
    }
    Ok(())
}
