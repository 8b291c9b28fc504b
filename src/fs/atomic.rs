//! The one way to replace a small file: beside it, synced, renamed over it, folder synced.

use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Dir, FileKind, Result};

/// How the names of temporary files begin. Those that nobody holds a lock on are rubbish of a process
/// that was killed.
pub const TEMP_PREFIX: &str = "tmp-";

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Returns a name for a temporary file that no living process uses.
pub fn temp_name() -> OsString {
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{TEMP_PREFIX}{}-{n}", std::process::id()).into()
}

/// Replaces `name` in `dir` by a file of `bytes`: after a crash it is the old or the new one.
pub fn replace_file(dir: &Dir, name: impl AsRef<OsStr>, bytes: &[u8], mode: u32) -> Result<()> {
    let name = name.as_ref();
    let temp = temp_name();
    let file = match dir.create_new(&temp, mode) {
        Err(error) if error.is_exists() => {
            dir.remove_file(&temp)?;
            dir.create_new(&temp, mode)?
        }
        other => other?,
    };
    let done = file
        .write_at(bytes, 0)
        .and_then(|()| file.sync())
        .and_then(|()| dir.rename(&temp, dir, name))
        .and_then(|()| dir.sync());
    if done.is_err() {
        let _rubbish_is_harmless = dir.remove_file(&temp);
    }
    done
}

/// Removes `name` in `dir` and, if it is a folder, all below it. Links are removed, never followed.
/// For mvault's own scratch folders alone: nothing of the user's is ever removed this way.
pub fn remove_tree(dir: &Dir, name: impl AsRef<OsStr>) -> Result<()> {
    let name = name.as_ref();
    match dir.try_stat(name)? {
        None => Ok(()),
        Some(stat) if stat.kind == FileKind::Dir => {
            let folder = dir.open_dir(name)?;
            for (child, _) in folder.list()? {
                remove_tree(&folder, &child)?;
            }
            dir.remove_dir(name)
        }
        Some(_) => dir.remove_file(name),
    }
}
