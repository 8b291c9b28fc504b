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
pub const PATH_BYTES_MAX: usize = 4096;

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

/// Returns `true` if some file system would take `name` for `.mvault` or `.git`: letter case, Unicode forms, code
/// points that show nothing, trailing dots, blanks and streams on NTFS, and the short names that FAT and NTFS make.
pub fn is_reserved_name(name: &[u8]) -> bool {
    let can_begin = |b: &u8| matches!(b, b'.' | b'm' | b'M' | b'g' | b'G');
    if name.is_ascii() && !name.first().is_some_and(can_begin) && !name.contains(&b'\\') {
        return false;
    }
    // Wider than any one file system: compatibility forms count as well.
    let text = name.to_str_lossy();
    let visible = text.nfkd().filter(|c| !is_ignorable(*c)).flat_map(fold_char);
    let folded: String = visible.nfkd().filter(|c| !is_ignorable(*c)).collect();
    folded.split('\\').any(|part| {
        let before_stream = part.split(':').next().unwrap_or_default();
        let trimmed = before_stream.trim_end_matches(['.', ' ']);
        matches!(trimmed, ".mvault" | ".git")
            || is_short_form(trimmed, "mvault")
            || is_short_form(trimmed, "git")
    })
}

/// Returns `true` if `name` can be the short form in 8 characters of the name that is `long` behind its dot: its
/// beginning, cut to make room, and a number; or its first two letters, four hexadecimal digits and a number.
fn is_short_form(name: &str, long: &str) -> bool {
    let Some((stem, number)) = name.split_once('~') else { return false };
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let is_cut = !stem.is_empty() && long.starts_with(stem) && name.len() == 8;
    let is_hashed = stem.len() == 6
        && stem.starts_with(&long[..2])
        && stem.bytes().skip(2).all(|b| b.is_ascii_hexdigit());
    stem == long || is_cut || is_hashed
}

/// Returns `true` for a code point that shows nothing: Unicode's `Default_Ignorable_Code_Point`. Linux leaves them
/// out when it compares the names of a folder with casefold, and HFS+ some of them.
pub fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Folds letter case as Unicode's full case folding does, which std does not have: upper case, then lower case. The
/// dotless i is the one letter for which that would be another one.
fn fold_char(c: char) -> impl Iterator<Item = char> {
    let upper = if c == '\u{131}' { None } else { Some(c.to_uppercase()) };
    let same = upper.is_none().then_some(c);
    upper.into_iter().flatten().flat_map(char::to_lowercase).chain(same)
}

/// Returns the form of a name that all names share which some file system takes for the same: letter case, Unicode
/// form and code points that show nothing do not count.
pub fn fold_name(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let visible = name.nfd().filter(|c| !is_ignorable(*c));
    visible.flat_map(fold_char).nfd().filter(|c| !is_ignorable(*c)).collect()
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

impl AsRef<[u8]> for VaultPath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for VaultPath {
    /// Writes the path for people: what is not printable, and what could be taken for something else,
    /// is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::visible_line(&self.0))
    }
}

impl fmt::Debug for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_bstr())
    }
}

/// Compares two paths part by part: the order of a walk.
pub fn compare_paths(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    match a.iter().zip(b).find(|(x, y)| x != y) {
        Some((x, y)) => rank(*x).cmp(&rank(*y)),
        None => a.len().cmp(&b.len()),
    }
}

/// Returns the first part of a path.
pub fn first_part(path: &[u8]) -> &[u8] {
    path.split(|b| *b == b'/').next().unwrap_or_default()
}

/// Returns the folders on the way to a path and the path, outermost first.
pub fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    ends.chain(std::iter::once(path.len())).map(|end| &path[..end])
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
            ".mv\u{ad}ault",
            ".mv\u{2060}ault",
            ".\u{34f}mvault",
            ".mv\u{fe0f}ault",
            ".mv\u{e0061}ault",
            ".mvault\u{200b}",
            "\u{3164}.mvault",
            ".g\u{ffa0}it",
            ".gi\u{1d173}t",
            ".MVAU\u{1bca0}LT. .:x",
            "MV1234~1",
            "mvaul~10",
            "MVA~1234",
            "gi7eba~1",
            "GIT~1234",
            "GI~12345",
            "a\\.git",
            "a\\GIT~1",
        ] {
            assert!(is_reserved_name(name.as_bytes()), "{name:?}");
        }
        for name in [
            ".gitignore",
            ".mvaultignore",
            "mvault",
            "git",
            "git~",
            ".m",
            "a",
            "~1",
            ".mvault2",
            "mv~1",
            "mvxyzw~1",
            "gi123~1",
            "gifts~1",
            "m~1",
            "a\\b",
            ".g\u{131}t",
            "❤\u{fe0f}.md",
            ".mváult",
        ] {
            assert!(!is_reserved_name(name.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn names_fold_as_the_least_discerning_file_system_does() {
        for (one, other) in [
            ("README", "readme"),
            ("Ä", "a\u{308}"),
            ("Straße", "STRASSE"),
            ("ﬁle", "FILE"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("❤\u{fe0f}.md", "❤.md"),
            ("a\u{ad}b", "ab"),
            ("\u{212a}elvin", "kelvin"),
        ] {
            assert_eq!(fold_name(one), fold_name(other), "{one} {other}");
        }
        for (one, other) in [("a", "b"), ("①", "1"), ("ısı", "isi"), ("é", "e")] {
            assert_ne!(fold_name(one), fold_name(other), "{one} {other}");
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
        for hidden in ["a\u{61c}b", "a\u{200f}b", "a\u{200b}b", "a\u{e0061}b", "a\u{2028}b", "a\u{85}b"] {
            let shown = VaultPath::parse(hidden).expect("kept").to_string();
            assert!(shown.is_ascii() && shown.contains("\\u{"), "{shown}");
        }
        let path = VaultPath::parse(b"a\x1b[2J\xff\xe2\x80\xaeb".to_vec()).expect("kept");
        assert_eq!(path.to_string(), "a\\u{1b}[2J\\xff\\u{202e}b");
    }
}
