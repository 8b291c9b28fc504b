//! What the file system under a vault can do; the caller found it out once and keeps it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use unicode_normalization::UnicodeNormalization;

use crate::object::fold_name;

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
    /// Returns the form of `name` that all names of the same file share here.
    pub fn fold(&self, name: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(name) else { return name.to_vec() };
        match (self.folds_case, self.folds_unicode) {
            (false, false) => name.to_vec(),
            (true, _) => fold_name(text).into_bytes(),
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

    #[test]
    fn names_fold_as_the_file_system_does() {
        let traits = Traits { folds_case: true, ..Traits::default() };
        assert_eq!(traits.fold("Ä".as_bytes()), traits.fold("a\u{308}".as_bytes()));
        assert_eq!(traits.fold(b"README"), b"readme");
        assert_eq!(Traits::default().fold(b"README"), b"README");
    }
}
