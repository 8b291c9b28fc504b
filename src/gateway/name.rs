//! Checks of names: what travels to other systems, and what programs there would do with it.

use std::collections::HashMap;

use gix::bstr::ByteSlice;

use crate::object::{VaultPath, fold_name};

/// Names that Windows keeps for devices, whatever their ending.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Tells whether a name can be written on the systems a vault travels to. Names that only some tools
/// dislike (a line break, a leading dash) are kept; they are quoted whenever they are shown.
pub fn is_portable(name: &[u8]) -> bool {
    if name.iter().any(|b| matches!(b, b'\\' | b':')) || matches!(name.last(), Some(b'.' | b' ')) {
        return false;
    }
    let stem = name.split(|b| *b == b'.').next().unwrap_or_default().trim_ascii_end();
    !DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device.as_bytes()))
}

/// Tells whether every part of a path is portable.
pub fn is_portable_path(path: &VaultPath) -> bool {
    path.parts().all(is_portable)
}

/// Folds a name as the least discerning file system does. What is not text is compared byte by byte everywhere.
pub fn fold(name: &[u8]) -> Vec<u8> {
    name.to_str().map_or_else(|_| name.to_vec(), |text| fold_name(text).into_bytes())
}

/// The names of one folder, to find those that a file system may take for one another.
#[derive(Debug, Default)]
pub struct FoldedNames(HashMap<Vec<u8>, Vec<u8>>);

impl FoldedNames {
    /// Adds a name; returns another one that folds to the same, if that was there first.
    pub fn add(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let first = self.0.entry(fold(name)).or_insert_with(|| name.to_vec());
        (first != name).then(|| first.clone())
    }

    /// Puts a name in the place of the one that folds to the same.
    pub fn replace(&mut self, name: &[u8]) {
        self.0.insert(fold(name), name.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VaultPath {
        VaultPath::parse(text).expect("a path")
    }

    #[test]
    fn names_that_cannot_travel_are_told_from_odd_ones() {
        for name in ["CON", "nul.txt", "Com1", "lpt9.tar.gz", "a.", "a ", "a\\b", "C:x", "con .md"] {
            assert!(!is_portable(name.as_bytes()), "{name}");
        }
        for name in
            ["console", "nullable.md", "com10", "-x", "~", "a\nb", "what?.md", "日本語", ".hidden", "a b"]
        {
            assert!(is_portable(name.as_bytes()), "{name:?}");
        }
        assert!(!is_portable_path(&path("a/aux/b")));
    }

    #[test]
    fn names_that_fold_together_collide() {
        let mut names = FoldedNames::default();
        assert_eq!(names.add(b"Notes.md"), None);
        assert_eq!(names.add(b"Notes.md"), None);
        assert_eq!(names.add(b"notes.md"), Some(b"Notes.md".to_vec()));
        assert_eq!(names.add("é.md".as_bytes()), None);
        assert!(names.add("e\u{301}.md".as_bytes()).is_some());
        assert!(names.add("É.md".as_bytes()).is_some());
        assert!(names.add("no\u{200b}tes.md".as_bytes()).is_some());
        assert_eq!(names.add(b"\xff.md"), None);
        names.replace(b"notes.md");
        assert_eq!(names.add(b"notes.md"), None);
    }
}
