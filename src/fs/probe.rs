//! What the file system under a vault can do, found out by trying it.

use super::{Dir, FileKind, LockKind, Result};

/// What a folder's file system can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Symbolic links can be made.
    pub symlinks: bool,
    /// The executable bit of a file is kept.
    pub executable: bool,
    /// Names that differ in letter case alone are one file.
    pub folds_case: bool,
    /// Names that differ in Unicode normal form alone are one file.
    pub folds_unicode: bool,
    /// Kernel locks exclude other holders.
    pub locks: bool,
}

/// Tries everything in `dir`, which should hold nothing of value, and leaves nothing there.
pub fn probe(dir: &Dir) -> Result<Abilities> {
    const NAMES: [&str; 5] = ["probe-a", "PROBE-A", "probe-link", "probe-\u{e9}", "probe-e\u{301}"];
    let clear = || {
        for name in NAMES {
            match dir.remove_file(name) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    };
    clear()?;
    let file = dir.create_new(NAMES[0], 0o644)?;
    let executable = file.set_mode(0o744).is_ok() && file.stat()?.is_executable() && {
        file.set_mode(0o644)?;
        !file.stat()?.is_executable()
    };
    let folds_case = dir.try_stat(NAMES[1])?.is_some();
    let made = dir.symlink(b"target", NAMES[2]).is_ok();
    let symlinks = made && dir.try_stat(NAMES[2])?.is_some_and(|s| s.kind == FileKind::Symlink);
    let folds_unicode = dir.create_new(NAMES[3], 0o644).is_ok() && dir.try_stat(NAMES[4])?.is_some();
    let locks = file.try_lock(LockKind::Exclusive).unwrap_or(false)
        && !dir.open_write(NAMES[0])?.try_lock(LockKind::Exclusive).unwrap_or(true);
    drop(file);
    clear()?;
    Ok(Abilities { symlinks, executable, folds_case, folds_unicode, locks })
}

#[cfg(test)]
mod tests {
    use super::super::{Disk, RealDisk};
    use super::*;

    #[test]
    fn probing_leaves_nothing_behind() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dir = RealDisk.open_dir(temp.path()).expect("opens");
        let abilities = probe(&dir).expect("can be tried");
        assert!(abilities.locks);
        assert!(dir.list().expect("lists").is_empty());
    }
}
