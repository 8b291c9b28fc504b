//! Mounts inside the working tree: a folder that something belongs on, and nothing is mounted there now, says
//! nothing about the files below it.
//!
//! - The mounts that hold files of the tree are remembered in `.mvault/mounts.jsonl`. While one is not mounted its
//!   files are neither missing nor edited, and nothing is written into the folder below it.
//! - Whether something is mounted is found out by the folder and the one above it being on different mounts.
//!
//! Limits: it is the memory of one device. Without it a mount that is gone looks like deleted files.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::fs::{self, Dir, replace_file};
use crate::object::{VaultPath, read_line, seal_line};

use super::folders::Folders;
use super::scan::{Scan, ScanInput};
use super::skipped::{SkipReason, Skipped};

const BYTES_MAX: u64 = 4 << 20;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountLine {
    /// The folder's path; `None` if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Its bytes in hexadecimal digits otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
}

impl MountLine {
    fn of(path: &VaultPath) -> MountLine {
        match path.to_str() {
            Some(text) => MountLine { path: Some(text.to_owned()), path_hex: None },
            None => MountLine { path: None, path_hex: Some(hex::encode(path.as_bytes())) },
        }
    }

    fn read(self) -> Option<VaultPath> {
        let bytes = match (self.path, self.path_hex) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(digits)) => hex::decode(digits).ok()?,
            (None, None) => return None,
        };
        VaultPath::parse(bytes).ok()
    }
}

/// The folders that something is mounted on, or was and belongs there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(BTreeSet<VaultPath>);

impl Mounts {
    /// The file's name in `.mvault`.
    pub const FILE: &str = "mounts.jsonl";

    /// Reads what is remembered; a damaged line counts as forgotten, and `verify` names it.
    pub fn load(dot: &Dir) -> fs::Result<Mounts> {
        let bytes = dot.try_read(Mounts::FILE, BYTES_MAX)?.unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n').filter_map(read_line::<MountLine>);
        Ok(Mounts(lines.filter_map(MountLine::read).collect()))
    }

    /// Writes what is remembered, durably; nothing is no file.
    pub fn save(&self, dot: &Dir) -> fs::Result<()> {
        if self.0.is_empty() {
            dot.remove_file(Mounts::FILE)?;
            return dot.sync();
        }
        let lines: Vec<u8> = self.0.iter().flat_map(|path| seal_line(&MountLine::of(path)).0).collect();
        replace_file(dot, Mounts::FILE, &lines, 0o600)
    }

    /// Adds those that a walk found.
    #[must_use]
    pub fn with(mut self, found: &[VaultPath]) -> Mounts {
        self.0.extend(found.iter().cloned());
        self
    }

    /// Leaves out some of them, with those inside them.
    #[must_use]
    pub fn without(mut self, given_up: &[VaultPath]) -> Mounts {
        self.0.retain(|path| !given_up.iter().any(|one| path.is_within(one)));
        self
    }

    /// Returns all of them, in the order of paths.
    pub fn iter(&self) -> impl Iterator<Item = &VaultPath> {
        self.0.iter()
    }

    /// Returns those that are not mounted, without those inside one of them.
    pub fn gone(&self, root: &Dir) -> Vec<VaultPath> {
        let mut gone: Vec<VaultPath> = Vec::new();
        for path in &self.0 {
            // One that is not readable is the walk's affair.
            let is_inside = gone.iter().any(|outer| path.is_within(outer));
            if !is_inside && !is_mounted(root, path).unwrap_or(true) {
                gone.push(path.clone());
            }
        }
        gone
    }
}

fn is_mounted(root: &Dir, path: &VaultPath) -> fs::Result<bool> {
    let mut folders = Folders::new(root);
    let above = folders.parent_of(path).and_then(|dir| dir.stat_and_mount());
    match above.and_then(|(_, above)| Ok((above, folders.open(path)?.stat_and_mount()?.1))) {
        Ok((above, here)) => Ok(above != here),
        Err(error) if error.is_gone() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes out of what a walk found all that is below a mount which is gone: one of `before`, or one by now.
pub(super) fn leave_unmounted(input: ScanInput<'_>, before: Vec<VaultPath>, found: &mut Scan) {
    let mut gone: BTreeSet<VaultPath> = before.into_iter().collect();
    gone.extend(input.mounts.gone(input.root));
    if gone.is_empty() {
        return;
    }
    let is_below = |path: &VaultPath| gone.iter().any(|folder| path.is_within(folder));
    let are_below = |path: &[u8]| {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        gone.iter().any(|folder| {
            path.strip_prefix(folder.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        })
    };
    found.missing.retain(|one| !is_below(&one.path));
    found.candidates.retain(|one| !is_below(&one.path));
    found.folders.retain(|one| !are_below(&one.base));
    found.mounts.retain(|path| !is_below(path));
    found.skipped.retain(|one| !are_below(&one.path));
    let asked = |folder: &VaultPath| {
        input.paths.is_empty()
            || input.paths.iter().any(|path| path.is_within(folder) || folder.is_within(path))
    };
    let left = gone.iter().filter(|folder| asked(folder)).map(|folder| folder.as_bytes().to_vec());
    found.skipped.extend(left.map(|path| Skipped { path, reason: SkipReason::NotMounted }));
}
