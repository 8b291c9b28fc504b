//! Placeholders of files that a sync service keeps elsewhere: the file is gone from the disk and not deleted.
//!
//! - A file of the tree that is missing, with its placeholder beside it, keeps its place in the tree.
//! - A new file that is a placeholder is not a file of the vault.
//!
//! Limits: services that leave the name as it is (and download the file when it is opened) need none of this.

use std::collections::BTreeSet;

use crate::fs::FileKind;
use crate::object::VaultPath;

use super::folders::Folders;
use super::scan::{Scan, ScanInput};
use super::skipped::{SkipReason, Skipped};
use super::traits::os;

/// How a placeholder is named after its file: what stands before and behind the file's name, and whether the form
/// alone shows that it is one.
const FORMS: [(&str, &str, Form); 6] = [
    (".", ".icloud", Form::Sure),      // iCloud Drive
    ("", ".nextcloud", Form::IfSmall), // Nextcloud, virtual files
    ("", ".owncloud", Form::IfSmall),  // ownCloud, virtual files
    ("", ".opencloud", Form::IfSmall), // OpenCloud, virtual files
    ("", ".cloud", Form::IfMissing),   // Synology, older clients
    ("", ".cloudf", Form::IfMissing),  // odrive
];
/// The longest placeholder of a form that other files can have, in bytes.
const SMALL_BYTES: u64 = 1;
/// The longest placeholder at all, in bytes.
const PLACEHOLDER_BYTES_MAX: u64 = 64 << 10;

/// What a name of that form says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// It is a placeholder.
    Sure,
    /// It is one if it is empty but for a blank, or if its file is missing.
    IfSmall,
    /// It is one if its file is missing.
    IfMissing,
}

/// Returns the names that placeholders of a file can have.
fn placeholders(name: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    FORMS.iter().map(move |(before, behind, _)| [before.as_bytes(), name, behind.as_bytes()].concat())
}

/// Returns the name of the file that a placeholder stands for, with what the form says.
fn original(name: &[u8]) -> Option<(&[u8], Form)> {
    FORMS.iter().find_map(|(before, behind, form)| {
        let inner = name.strip_prefix(before.as_bytes())?.strip_suffix(behind.as_bytes())?;
        (!inner.is_empty()).then_some((inner, *form))
    })
}

/// Gives missing files back whose placeholder is there, and takes placeholders out of what is new.
pub(super) fn keep_evicted(input: ScanInput<'_>, found: &mut Scan) {
    let may_be_new = |name: &[u8]| original(name).is_some();
    let is_any_new = found.candidates.iter().any(|one| one.old.is_none() && may_be_new(one.path.name()));
    if found.missing.is_empty() && !is_any_new {
        return;
    }
    let mut folders = Folders::new(input.root);
    let mut evicted = BTreeSet::new();
    found.missing.retain(|missing| {
        let is_evicted = has_placeholder(&mut folders, &missing.path);
        if is_evicted {
            evicted.insert(missing.path.as_bytes().to_vec());
        }
        !is_evicted
    });
    let mut unknown = BTreeSet::new();
    found.candidates.retain(|candidate| {
        let Some((inner, form)) = original(candidate.path.name()).filter(|_| candidate.old.is_none()) else {
            return true;
        };
        let path = candidate.path.as_bytes();
        let of = [&path[..path.len() - candidate.path.name().len()], inner].concat();
        let is_one = match form {
            _ if evicted.contains(&of) => true,
            Form::Sure => candidate.stat.size <= PLACEHOLDER_BYTES_MAX,
            Form::IfSmall => candidate.stat.size <= SMALL_BYTES,
            Form::IfMissing => false,
        };
        if is_one && !evicted.contains(&of) {
            unknown.insert(of);
        }
        !is_one
    });
    let reason = SkipReason::Evicted;
    found.skipped.extend(evicted.into_iter().chain(unknown).map(|path| Skipped { path, reason }));
    found.skipped.sort_unstable();
    found.skipped.dedup();
}

fn has_placeholder(folders: &mut Folders, path: &VaultPath) -> bool {
    let Ok(dir) = folders.parent_of(path) else { return false };
    let is_one = |name: Vec<u8>| {
        let stat = dir.try_stat(os(&name)).ok().flatten();
        stat.is_some_and(|stat| stat.kind == FileKind::File && stat.size <= PLACEHOLDER_BYTES_MAX)
    };
    placeholders(path.name()).any(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_known_by_their_names() {
        for (name, inner) in [
            (".n3.md.icloud", "n3.md"),
            ("n3.md.nextcloud", "n3.md"),
            ("n3.md.owncloud", "n3.md"),
            (".hidden.cloud", ".hidden"),
        ] {
            assert_eq!(original(name.as_bytes()).map(|(inner, _)| inner), Some(inner.as_bytes()), "{name}");
            assert!(placeholders(inner.as_bytes()).any(|one| one == name.as_bytes()), "{name}");
        }
        for name in ["n3.md.icloud", ".icloud", ".nextcloud", "cloud", "n3.md"] {
            assert!(original(name.as_bytes()).is_none(), "{name}");
        }
    }
}
