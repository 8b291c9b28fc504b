//! A folder for what a command needs only while it runs.

use std::path::{Path, PathBuf};

use super::{CommandError, Context};
use crate::fs::{self, Dir};

/// A temporary folder, removed at the end whatever happens.
pub struct TemporaryFolder {
    parent: Dir,
    name: String,
    /// Where it is, with all links resolved.
    pub path: PathBuf,
    is_removed: std::cell::Cell<bool>,
}

impl TemporaryFolder {
    /// Makes a folder of which `word` tells what it is for.
    pub fn make(cx: &Context<'_>, word: &str) -> Result<TemporaryFolder, CommandError> {
        let parent = cx.disk.open_dir(Path::new(cx.var("TMPDIR").unwrap_or("/tmp")))?;
        let name = format!("mvault-{word}-{}", hex::encode(&cx.env.random16()[..6]));
        parent.create_dir(&name)?;
        let path = cx.disk.canonicalize(&parent.path().join(&name))?;
        Ok(TemporaryFolder { parent, name, path, is_removed: std::cell::Cell::new(false) })
    }

    /// Removes it, and says so if that fails.
    pub fn remove(&self) -> Result<(), CommandError> {
        self.is_removed.set(true);
        Ok(fs::remove_tree(&self.parent, &self.name)?)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if !self.is_removed.get() {
            let _what_is_left_is_in_the_temporary_folder = fs::remove_tree(&self.parent, &self.name);
        }
    }
}
