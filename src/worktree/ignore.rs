//! `.mvaultignore`: gitignore syntax, at the root and in any folder, matched by gix.
//!
//! - The innermost file that has a matching line decides, in it the last such line; as in git.
//! - What lies in an ignored folder is ignored, whatever a line says of it; the walk does not enter it.
//! - A file that another device wrote and nobody accepted here is not in force: see [`WithheldRules`].
//! - Only `.mvaultignore` counts: no `.gitignore`, no settings of the user or the machine.
//! - A file that cannot be read, or is too large, ignores everything new in its folder: to leave
//!   something out of a commit can be repaired, to let a secret in cannot. As in git, a symbolic link or
//!   folder of that name holds no rules.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gix::bstr::ByteSlice;
use gix::glob::pattern::Case;
use gix::glob::search::pattern::List;
use gix::ignore::search::Ignore;

use crate::fs::{Dir, FileKind};
use crate::object::{BlobId, Kind, VaultPath, hash_object};

use super::traits::os;

/// The name of the files that hold the rules.
pub const IGNORE_FILE: &str = ".mvaultignore";
/// The largest file of rules, in bytes.
const IGNORE_BYTES_MAX: u64 = 1 << 20;

/// How many `**` one line may hold: each doubles the time that matching can take.
const DOUBLE_STARS_MAX: usize = 8;

/// Returns lines that mean the same and cannot keep the matcher busy for ever, or `None` if there are
/// some that could. Repeated `**/` is one; git, too, needs exponential time for it.
fn tame(lines: &[u8]) -> Option<Vec<u8>> {
    let mut tamed = Vec::with_capacity(lines.len() + 1);
    for line in lines.split(|b| *b == b'\n') {
        let start = tamed.len();
        let mut rest = line;
        while let Some((&byte, after)) = rest.split_first() {
            let line = &tamed[start..];
            let doubled = rest.starts_with(b"**/") && line.ends_with(b"**/");
            if doubled && matches!(line.len().checked_sub(4).map(|at| line[at]), None | Some(b'/' | b'!')) {
                rest = &rest[3..];
            } else {
                tamed.push(byte);
                rest = after;
            }
        }
        if tamed[start..].windows(2).filter(|pair| pair == b"**").count() > DOUBLE_STARS_MAX {
            return None;
        }
        // git ends the last line itself, and takes the carriage return before that end away.
        tamed.push(b'\n');
    }
    Some(tamed)
}

/// Files of rules that are not in force as long as they have exactly these bytes, by their paths.
pub type WithheldRules = BTreeMap<Vec<u8>, Withheld>;

/// A file of rules that is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// What it holds; `None` where there is no file any more.
    pub held: Option<BlobId>,
    /// The lines that count instead; `None` for no rules.
    pub instead: Option<Vec<u8>>,
}

/// The rules in force in one folder: its own and those of the folders above.
#[derive(Clone, Debug)]
pub struct IgnoreRules {
    case: Case,
    withheld: Arc<WithheldRules>,
    innermost: Option<Arc<Level>>,
}

#[derive(Debug)]
struct Level {
    /// The length of the folder's path with its slash; the rules see what comes after.
    base_len: usize,
    rules: Rules,
    above: Option<Arc<Level>>,
}

#[derive(Debug)]
enum Rules {
    Lines(List<Ignore>),
    /// They exist and could not be read.
    Unknown,
}

impl IgnoreRules {
    /// Returns no rules; letter case counts unless `folds_case`.
    pub fn none(folds_case: bool) -> IgnoreRules {
        let case = if folds_case { Case::Fold } else { Case::Sensitive };
        IgnoreRules { case, withheld: Arc::default(), innermost: None }
    }

    /// Leaves files of rules out that are not in force.
    #[must_use]
    pub fn withholding(self, withheld: Arc<WithheldRules>) -> IgnoreRules {
        IgnoreRules { withheld, ..self }
    }

    /// Returns the rules inside a folder, given its path with a slash at the end (empty for the root) and
    /// its `.mvaultignore`'s bytes.
    pub fn with_lines(&self, base: &[u8], lines: &[u8]) -> IgnoreRules {
        let Some(lines) = tame(lines) else { return self.with(base, Rules::Unknown) };
        let list = List::from_bytes(&lines, PathBuf::from(IGNORE_FILE), None, Ignore::default());
        self.with(base, list.map_or(Rules::Unknown, Rules::Lines))
    }

    fn with(&self, base: &[u8], rules: Rules) -> IgnoreRules {
        let level = Level { base_len: base.len(), rules, above: self.innermost.clone() };
        let withheld = self.withheld.clone();
        IgnoreRules { case: self.case, withheld, innermost: Some(Arc::new(level)) }
    }

    /// Returns the rules inside the folder `dir` whose path is `base`; `true` beside them if its file of
    /// rules could not be used.
    pub fn enter(&self, dir: &Dir, base: &[u8]) -> (IgnoreRules, bool) {
        match dir.try_stat(IGNORE_FILE) {
            Ok(Some(stat)) if stat.kind == FileKind::File => match dir.read(IGNORE_FILE, IGNORE_BYTES_MAX) {
                Ok(lines) => {
                    let withheld = self.withheld.get(&[base, IGNORE_FILE.as_bytes()].concat());
                    let held = Some(BlobId::new(hash_object(Kind::Blob, &lines)));
                    let is_withheld = |one: &&Withheld| one.held == held;
                    let lines = match withheld.filter(is_withheld) {
                        None => lines,
                        Some(Withheld { instead: Some(lines), .. }) => lines.clone(),
                        Some(Withheld { instead: None, .. }) => return (self.clone(), false),
                    };
                    let inner = self.with_lines(base, &lines);
                    let broken = inner.innermost.as_ref().is_some_and(|l| matches!(l.rules, Rules::Unknown));
                    (inner, broken)
                }
                Err(_) => (self.with(base, Rules::Unknown), true),
            },
            Ok(_) => {
                (self.lost(base).map_or_else(|| self.clone(), |lines| self.with_lines(base, lines)), false)
            }
            Err(_) => (self.with(base, Rules::Unknown), true),
        }
    }

    /// Returns `true` if rules count in the folder `base` although their file is gone.
    pub fn keeps_lost(&self, base: &[u8]) -> bool {
        self.lost(base).is_some()
    }

    fn lost(&self, base: &[u8]) -> Option<&[u8]> {
        if self.withheld.is_empty() {
            return None;
        }
        match self.withheld.get(&[base, IGNORE_FILE.as_bytes()].concat()) {
            Some(Withheld { held: None, instead }) => instead.as_deref(),
            _ => None,
        }
    }

    /// Tells whether the rules of this folder ignore `path`, a file or folder in it or below it, given
    /// that no folder above it is ignored.
    pub fn is_ignored(&self, path: &[u8], is_dir: bool) -> bool {
        let mut level = self.innermost.as_deref();
        while let Some(here) = level {
            let Rules::Lines(list) = &here.rules else { return true };
            let inner = path.get(here.base_len..).unwrap_or_default().as_bstr();
            let name_at = inner.rfind_byte(b'/').map(|at| at + 1);
            let found = gix::ignore::search::pattern_matching_relative_path(
                list,
                inner,
                name_at,
                Some(is_dir),
                self.case,
            );
            if let Some(found) = found {
                return !found.pattern.is_negative();
            }
            level = here.above.as_deref();
        }
        false
    }

    /// Tells whether these rules and the files of rules under `root` ignore `path`.
    pub fn ignores(self, root: &Dir, path: &VaultPath, is_dir: bool) -> bool {
        let (mut rules, _) = self.enter(root, b"");
        let mut dir = Some(root.clone());
        let parts: Vec<&[u8]> = path.parts().collect();
        let mut end = 0;
        for (n, part) in parts.iter().enumerate() {
            end += part.len();
            let last = n + 1 == parts.len();
            if rules.is_ignored(&path.as_bytes()[..end], is_dir || !last) {
                return true;
            }
            end += 1;
            if !last {
                dir = dir.and_then(|dir| dir.open_dir(os(part)).ok());
                if let Some(dir) = &dir {
                    rules = rules.enter(dir, &path.as_bytes()[..end]).0;
                }
            }
        }
        false
    }
}
