//! Traces of other tools: conflict copies and swap files, that are read as real data if nobody says so.

use crate::object::VaultPath;

/// What left a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// A copy that a file synchroniser made because it could not merge.
    ConflictCopy,
    /// What an editor keeps while a file is open, or left when it was killed.
    SwapFile,
}

impl Trace {
    /// Returns a word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Trace::ConflictCopy => "conflict-copy",
            Trace::SwapFile => "swap-file",
        }
    }

    /// Returns what to do about the file at `path`.
    pub fn advice(self, path: &str) -> String {
        match self {
            Trace::ConflictCopy => format!(
                "{path} looks like a conflict copy of another tool: compare it with its original, keep what you \
                 need and delete it; mvault merges by itself, so let only one of them carry this folder"
            ),
            Trace::SwapFile => format!(
                "{path} belongs to an open or killed editor: a line `{}` in .mvaultignore leaves such files out",
                ignore_pattern(path)
            ),
        }
    }
}

fn ignore_pattern(path: &str) -> &'static str {
    match path.rsplit('/').next().unwrap_or(path) {
        name if name.ends_with('~') => "*~",
        name if name.starts_with(".#") => ".#*",
        name if name.starts_with('#') => "\\#*#",
        name if name.starts_with("~$") => "~$*",
        _ => ".*.sw?",
    }
}

/// Recognises what another tool left at `path`.
pub fn trace(path: &VaultPath) -> Option<Trace> {
    let name = String::from_utf8_lossy(path.name()).to_lowercase();
    let copy = name.contains(".sync-conflict-")
        || name.contains("conflicted copy")
        || name.contains(".conflict.")
        || (name.contains(" (conflict") && name.contains(')'))
        || name.ends_with(".orig.md")
        || name.contains("_conf(");
    if copy {
        return Some(Trace::ConflictCopy);
    }
    let is_vim = name.starts_with('.') && [".swp", ".swo", ".swn"].iter().any(|end| name.ends_with(end));
    let is_emacs = name.starts_with(".#") || (name.len() > 2 && name.starts_with('#') && name.ends_with('#'));
    let is_backup = name.len() > 1 && name.ends_with('~');
    (is_vim || is_emacs || is_backup || name.starts_with("~$")).then_some(Trace::SwapFile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_swap_files_are_known_by_their_names() {
        let of = |text: &str| trace(&VaultPath::parse(text).expect("a path"));
        for name in [
            "continuity.sync-conflict-20261120-101010-ABCDEFG.md",
            "notes/plan (Anna's conflicted copy 2026-11-20).md",
            "a.conflict.md",
        ] {
            assert_eq!(of(name), Some(Trace::ConflictCopy), "{name}");
        }
        for name in [".continuity.md.swp", "d/.#a.md", "#a.md#", "a.md~", "~$doc.docx"] {
            assert_eq!(of(name), Some(Trace::SwapFile), "{name}");
        }
        for name in ["conflict.md", "notes/conflict-resolution.md", "swap.md", "c#.md", "~", "x.swp.md"] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
