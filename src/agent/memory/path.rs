//! Paths as the model writes them: `/memories` and what is below it, and nothing else.

use super::{ROOT, failure};
use crate::fs::{self, Dir, FileKind, Stat};
use crate::object::VaultPath;
use crate::vault::{Vault, WRITE_BYTES_MAX};
use crate::worktree::Folders;

/// The folder of the vault.
const FOLDER: &str = "memories";

/// A path below `/memories`, or that itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemoryPath {
    given: String,
    place: VaultPath,
    is_root: bool,
}

/// What stands at a path.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    Nothing,
    File(Dir),
    Folder(Dir, Stat),
    /// A link or something else that is not looked into.
    Other,
}

impl Standing {
    pub(super) fn is_there(&self) -> bool {
        !matches!(self, Standing::Nothing)
    }
}

impl MemoryPath {
    /// Takes a path apart. What would lead outside is refused, in plain or encoded once or more often.
    pub(super) fn parse(given: &str) -> Result<MemoryPath, String> {
        let shown = crate::ui::harmless_line(given.as_bytes());
        let inside = match given.strip_prefix(ROOT) {
            Some(inside) if inside.is_empty() || inside.starts_with('/') => inside,
            _ => return Err(format!("Error: Path must start with {ROOT}, got: {shown}")),
        };
        if leads_outside(inside) {
            return Err(format!("Error: Path {shown} would escape {ROOT} directory"));
        }
        let parts: Vec<&str> = inside.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let place = std::iter::once(FOLDER).chain(parts.iter().copied()).collect::<Vec<_>>().join("/");
        let place = VaultPath::parse(place).map_err(|error| format!("Error: Path {shown}: {error}"))?;
        Ok(MemoryPath { given: given.to_owned(), place, is_root: parts.is_empty() })
    }

    /// Returns the path as it was written.
    pub(super) fn given(&self) -> &str {
        &self.given
    }

    pub(super) fn is_root(&self) -> bool {
        self.is_root
    }

    /// Returns its place in the vault; none for the root.
    pub(super) fn inside(&self) -> Option<&VaultPath> {
        (!self.is_root).then_some(&self.place)
    }

    /// Looks at what stands there. No link is followed on the way or at the end.
    pub(super) fn look(&self, vault: &Vault) -> Result<Standing, String> {
        let told = |error: fs::Error| failure(&error.into());
        let folder = match Folders::new(vault.root()).parent_of(&self.place) {
            Ok(folder) => folder,
            Err(error) if error.is_gone() => return Ok(Standing::Nothing),
            Err(error) => return Err(told(error)),
        };
        let Some(stat) = folder.try_stat(name(&self.place)).map_err(told)? else {
            return Ok(Standing::Nothing);
        };
        Ok(match stat.kind {
            FileKind::File => Standing::File(folder),
            FileKind::Dir => Standing::Folder(folder.open_dir(name(&self.place)).map_err(told)?, stat),
            FileKind::Symlink | FileKind::Special => Standing::Other,
        })
    }

    /// Reads a file; none if there is no regular file.
    pub(super) fn read(&self, vault: &Vault) -> Result<Option<(VaultPath, Vec<u8>)>, String> {
        let Standing::File(folder) = self.look(vault)? else { return Ok(None) };
        let bytes =
            folder.read(name(&self.place), WRITE_BYTES_MAX).map_err(|error| failure(&error.into()))?;
        Ok(Some((self.place.clone(), bytes)))
    }
}

fn name(path: &VaultPath) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(path.name())
}

/// Tells whether a path, or what is left of it after its escapes were read once or more often, has a part that
/// goes up, a backslash, or bytes that are no text.
fn leads_outside(path: &str) -> bool {
    let mut bytes = path.as_bytes().to_vec();
    loop {
        let goes_up = bytes.split(|b| matches!(b, b'/' | b'\\')).any(|part| part == b"..");
        if goes_up || bytes.contains(&b'\\') || bytes.contains(&0) || std::str::from_utf8(&bytes).is_err() {
            return true;
        }
        let decoded = unescape(&bytes);
        if decoded == bytes {
            return false;
        }
        bytes = decoded; // shorter each time
    }
}

/// Reads `%2e` and the like as the byte it stands for.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let byte = after.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let digits =
                std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, 16).ok()
        });
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out
}
