//! Paths inside a vault and the names that may stand in its trees.
//!
//! A name is refused here only if it could never be meant: it would leave its folder, hide the vault's
//! own folder or git's behind a form that some file system folds to it, or cannot be written at all.
//! What merely does not travel well (`CON`, a trailing dot) is admission's affair.

use std::fmt;

use gix::bstr::ByteSlice;
use unicode_normalization::UnicodeNormalization;

/// The longest name of one part of a path, in bytes. Linux, macOS and Android agree on it.
const NAME_BYTES_MAX: usize = 255;
/// The longest path in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// Why a name may not stand in a tree.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Empty.
    #[error("a name is empty")]
    Empty,
    /// `.` or `..`.
    #[error("a name is . or ..")]
    Dots,
    /// Holds a slash or a NUL.
    #[error("a name holds a slash or a zero byte")]
    Separator,
    /// `.mvault` or `.git`, or something that a file system may take for one of them.
    #[error("{0:?} stands for the vault's or git's own folder on some file system")]
    Reserved(String),
    /// Longer than file systems take.
    #[error("a name or path is too long ({0} bytes)")]
    TooLong(usize),
}

/// Tells whether some file system would take `name` for `.mvault` or `.git`: letter case, Unicode
/// forms and code points that HFS+ ignores, trailing dots, blanks and streams on NTFS, and the short
/// names that FAT and NTFS make.
pub fn is_reserved_name(name: &[u8]) -> bool {
    if name.is_ascii() && !name.first().is_some_and(|b| matches!(b, b'.' | b'm' | b'M' | b'g' | b'G')) {
        return false;
    }
    let text = name.to_str_lossy();
    let visible = text.nfkd().filter(|c| !is_ignorable(*c)).flat_map(char::to_lowercase);
    let folded: String = visible.collect();
    let before_stream = folded.split(':').next().unwrap_or_default();
    let trimmed = before_stream.trim_end_matches(['.', ' ']);
    let short = |stem: &str| {
        trimmed.strip_prefix(stem).is_some_and(|rest| {
            rest.strip_prefix('~').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    matches!(trimmed, ".mvault" | ".git") || short("mvault") || short("git")
}

/// Code points that HFS+ leaves out when it compares names.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Checks one part of a path.
pub fn check_name(name: &[u8]) -> Result<(), NameError> {
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name == b"." || name == b".." {
        Err(NameError::Dots)
    } else if name.iter().any(|b| matches!(b, b'/' | 0)) {
        Err(NameError::Separator)
    } else if name.len() > NAME_BYTES_MAX {
        Err(NameError::TooLong(name.len()))
    } else if is_reserved_name(name) {
        Err(NameError::Reserved(name.to_str_lossy().into_owned()))
    } else {
        Ok(())
    }
}

/// A path inside a vault: parts that [`check_name`] let through, joined by slashes; never empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultPath(Vec<u8>);

impl VaultPath {
    /// Checks every part of `path`.
    pub fn parse(path: impl Into<Vec<u8>>) -> Result<VaultPath, NameError> {
        let path = path.into();
        if path.len() > PATH_BYTES_MAX {
            return Err(NameError::TooLong(path.len()));
        }
        path.split(|b| *b == b'/').try_for_each(check_name)?;
        Ok(VaultPath(path))
    }

    /// Returns the path of `name` in this folder.
    pub fn join(&self, name: &[u8]) -> Result<VaultPath, NameError> {
        let mut path = self.0.clone();
        path.push(b'/');
        path.extend_from_slice(name);
        check_name(name)?;
        if path.len() > PATH_BYTES_MAX {
            return Err(NameError::TooLong(path.len()));
        }
        Ok(VaultPath(path))
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the parts, outermost first.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/')
    }

    /// Returns the folder this path is in, or `None` at the top.
    pub fn parent(&self) -> Option<VaultPath> {
        self.0.rfind_byte(b'/').map(|at| VaultPath(self.0[..at].to_vec()))
    }

    /// Returns the last part.
    pub fn name(&self) -> &[u8] {
        self.parts().next_back().unwrap_or_default()
    }

    /// Tells whether this path is `folder` or lies below it.
    pub fn is_within(&self, folder: &VaultPath) -> bool {
        self.0.strip_prefix(folder.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// Returns the path as text if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Display for VaultPath {
    /// Writes the path for people: what is not printable, and what could be taken for something else,
    /// is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                let steers = c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
                if steers {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_bstr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_folds_to_the_vault_or_git_is_reserved() {
        for name in [
            ".mvault",
            ".MVAULT",
            ".mvault.",
            ".mvault ",
            ".mva\u{200c}ult",
            "MVAULT~1",
            "mvault~12",
            ".mvault::$INDEX_ALLOCATION",
            ".git",
            ".GIT",
            ".git . ",
            "git~1",
            ".g\u{200d}it",
            ".\u{ff4d}vault",
        ] {
            assert!(is_reserved_name(name.as_bytes()), "{name:?}");
        }
        for name in [".gitignore", ".mvaultignore", "mvault", "git", "git~", ".m", "a", "~1", ".mvault2"] {
            assert!(!is_reserved_name(name.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn paths_that_leave_the_vault_are_refused() {
        for path in ["", "/a", "a/", "a//b", "a/../b", ".", "..", "a/./b", "a\0", ".git/hooks/x"] {
            assert!(VaultPath::parse(path).is_err(), "{path:?}");
        }
        let path = VaultPath::parse("notes/2026/a b.md").expect("valid");
        assert_eq!(path.name(), b"a b.md");
        assert_eq!(path.parent().expect("has one").to_string(), "notes/2026");
        assert!(path.is_within(&VaultPath::parse("notes").expect("valid")));
        assert!(!path.is_within(&VaultPath::parse("note").expect("valid")));
    }

    #[test]
    fn shown_paths_cannot_steer_a_terminal() {
        let path = VaultPath::parse(b"a\x1b[2J\xff\xe2\x80\xaeb".to_vec()).expect("kept");
        assert_eq!(path.to_string(), "a\\u{1b}[2J\\xff\\u{202e}b");
    }
}
