//! What the file system under a vault can do; probed once and kept by the caller.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use unicode_normalization::UnicodeNormalization;

use crate::fs::{self, Dir};

/// What the file system under a vault can and cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Symbolic links can be made.
    pub symlinks: bool,
    /// The executable bit is kept.
    pub executable_bit: bool,
    /// `Name` and `name` are one file.
    pub folds_case: bool,
    /// The composed and the decomposed form of a letter are one name.
    pub folds_unicode: bool,
}

impl Default for Traits {
    /// Returns what a Linux file system can do.
    fn default() -> Traits {
        Traits { symlinks: true, executable_bit: true, folds_case: false, folds_unicode: false }
    }
}

impl Traits {
    /// Finds out, by making and removing files in `scratch`, an empty folder of the same file system.
    pub fn probe(scratch: &Dir) -> fs::Result<Traits> {
        let exists = |made: &str, asked: &str| -> fs::Result<bool> {
            scratch.create_new(made, 0o644)?;
            let found = scratch.try_stat(asked)?.is_some();
            scratch.remove_file(made)?;
            Ok(found)
        };
        let folds_case = exists("Probe-Case", "probe-cASE")?;
        let folds_unicode = exists("probe-\u{e9}", "probe-e\u{301}")?;
        let file = scratch.create_new("probe-mode", 0o644)?;
        // A file system without modes refuses or forgets: both mean "no".
        let set = |mode| file.set_mode(mode).is_ok() && file.stat().is_ok_and(|s| s.mode & 0o777 == mode);
        let executable_bit = set(0o755) && set(0o644);
        scratch.remove_file("probe-mode")?;
        let symlinks = scratch.symlink(b"target", "probe-link").is_ok();
        if symlinks {
            scratch.remove_file("probe-link")?;
        }
        Ok(Traits { symlinks, executable_bit, folds_case, folds_unicode })
    }

    /// Returns the form of `name` that all names of the same file share here.
    pub fn fold(&self, name: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(name) else { return name.to_vec() };
        match (self.folds_case, self.folds_unicode) {
            (false, false) => name.to_vec(),
            (true, _) => text.nfc().flat_map(char::to_lowercase).nfc().collect::<String>().into_bytes(),
            (false, true) => text.nfc().collect::<String>().into_bytes(),
        }
    }

    /// Tells whether different names can be one file here.
    pub fn folds(&self) -> bool {
        self.folds_case || self.folds_unicode
    }
}

/// Returns a name of a vault as the system takes it.
pub(super) fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Disk, RealDisk};

    #[test]
    fn probe_leaves_nothing_behind() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dir = RealDisk.open_dir(temp.path()).expect("opens");
        let traits = Traits::probe(&dir).expect("probes");
        assert!(dir.list().expect("lists").is_empty());
        if cfg!(target_os = "linux") {
            assert_eq!(traits, Traits::default());
        }
    }

    #[test]
    fn names_fold_as_the_file_system_does() {
        let traits = Traits { folds_case: true, ..Traits::default() };
        assert_eq!(traits.fold("Ä".as_bytes()), traits.fold("a\u{308}".as_bytes()));
        assert_eq!(traits.fold(b"README"), b"readme");
        assert_eq!(Traits::default().fold(b"README"), b"README");
    }
}
