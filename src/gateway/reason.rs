//! Why something was not taken, or is worth a word: one stable code each.
//!
//! docs/manual/refusals.md says for each what it protects from and how to override it; a test holds that
//! page to this list.

use crate::object::{shell_word, typed};

/// A reason, with a code that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A file that had content is empty now, or a canonical file is gone.
    Emptied,
    /// A file consists of zero bytes, or ends in them where it was text.
    NulFilled,
    /// An event stream lost or rewrote lines it had.
    StreamRewritten,
    /// The rule demands UTF-8 and the file is none.
    NotUtf8,
    /// The rule demands JSON and the file is none.
    NotJson,
    /// A canonical file holds the marker lines of a merge.
    ConflictMarkers,
    /// A sealed distillate changed.
    Sealed,
    /// A sidecar does not fit its file.
    SidecarMismatch,
    /// A credential was found.
    Secret,
    /// The file is larger than the limit.
    TooLarge,
    /// The name cannot be written on other systems.
    NameNotPortable,
    /// The name differs from another one only in a way that some file systems do not see.
    NameCollides,
    /// A link leads out of the vault, or into its own folder.
    LinkOutside,
    /// A file of which programs run or obey a part that was not accepted here.
    ObeyedFile,
    /// A large part of the vault would be removed at once.
    MassDelete,
    /// The content was purged.
    Purged,
    /// A line of a stream was torn or glued; the line is kept and its torn part reported.
    TornLine,
    /// The file changed while it was read.
    ChangedWhileRead,
    /// The file cannot be read.
    Unreadable,
    /// Not a regular file, folder or link.
    Special,
    /// The name or path is longer than a vault takes.
    NameTooLong,
    /// A folder of another vault or repository.
    ReservedFolder,
    /// A file of ignore rules that cannot be used.
    IgnoreFile,
    /// A `vault.toml` that is no valid set of rules, or holds a slip.
    InvalidRules,
    /// A bundle that was cut off, is damaged or holds what does not hold.
    BundleUnusable,
    /// A bundle that builds on commits which are not here yet.
    BundleEarly,
    /// A bundle of another vault, or of another device of this one's name.
    BundleForeign,
    /// An agent asked for what its token is not for.
    OutOfScope,
    /// Files are as they were in an older commit, before other devices changed them.
    Restored,
    /// A sync service keeps it elsewhere, and left a placeholder.
    Evicted,
    /// `repair` set it aside and put something whole in its place.
    Repaired,
    /// It was edited while a newer version of it waits to be put in place.
    Waiting,
    /// A folder on which something was mounted that is not mounted now.
    NotMounted,
}

/// All reasons with their codes, in the order in which they are asked.
const CODES: [(Reason, &str); 33] = [
    (Reason::Emptied, "emptied"),
    (Reason::NulFilled, "nul-filled"),
    (Reason::StreamRewritten, "stream-rewritten"),
    (Reason::NotUtf8, "not-utf8"),
    (Reason::NotJson, "not-json"),
    (Reason::ConflictMarkers, "conflict-markers"),
    (Reason::Sealed, "sealed"),
    (Reason::SidecarMismatch, "sidecar-mismatch"),
    (Reason::Secret, "secret"),
    (Reason::TooLarge, "too-large"),
    (Reason::NameNotPortable, "name-not-portable"),
    (Reason::NameCollides, "name-collides"),
    (Reason::LinkOutside, "link-outside"),
    (Reason::ObeyedFile, "obeyed-file"),
    (Reason::MassDelete, "mass-delete"),
    (Reason::Purged, "purged"),
    (Reason::TornLine, "torn-line"),
    (Reason::ChangedWhileRead, "changed-while-read"),
    (Reason::Unreadable, "unreadable"),
    (Reason::Special, "special-file"),
    (Reason::NameTooLong, "name-too-long"),
    (Reason::ReservedFolder, "reserved-folder"),
    (Reason::IgnoreFile, "ignore-file"),
    (Reason::InvalidRules, "invalid-rules"),
    (Reason::BundleUnusable, "bundle-unusable"),
    (Reason::BundleEarly, "bundle-early"),
    (Reason::BundleForeign, "bundle-foreign"),
    (Reason::OutOfScope, "out-of-scope"),
    (Reason::Restored, "restored"),
    (Reason::Evicted, "evicted"),
    (Reason::Repaired, "repaired"),
    (Reason::Waiting, "waiting"),
    (Reason::NotMounted, "not-mounted"),
];

impl Reason {
    /// Returns every reason.
    pub fn all() -> impl Iterator<Item = Reason> {
        CODES.iter().map(|(reason, _)| *reason)
    }

    /// Returns the code, a stable word for programs.
    pub fn code(self) -> &'static str {
        CODES.iter().find(|(reason, _)| *reason == self).map_or("", |(_, code)| code)
    }

    /// Returns the reason of a code.
    pub fn from_code(code: &str) -> Option<Reason> {
        CODES.iter().find(|(_, known)| *known == code).map(|(reason, _)| *reason)
    }

    /// Tells whether a person can ask for it to be let through.
    pub fn can_be_allowed(self) -> bool {
        !matches!(
            self,
            Reason::ChangedWhileRead
                | Reason::Unreadable
                | Reason::Special
                | Reason::NameTooLong
                | Reason::ReservedFolder
                | Reason::IgnoreFile
                | Reason::OutOfScope
                | Reason::Purged
                | Reason::TornLine
                | Reason::BundleUnusable
                | Reason::BundleEarly
                | Reason::BundleForeign
                | Reason::Evicted
                | Reason::Repaired
                | Reason::NotMounted
        )
    }

    /// Tells whether the content can be set aside: there is some, and of a size to copy.
    pub fn keeps_copy(self) -> bool {
        self.can_be_allowed()
            && !matches!(
                self,
                Reason::TooLarge
                    | Reason::MassDelete
                    | Reason::LinkOutside
                    | Reason::Restored
                    | Reason::Waiting
            )
    }

    /// Returns the reason in words, to stand after the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Emptied => "it had content and is empty or gone",
            Reason::NulFilled => "it is filled with zero bytes",
            Reason::StreamRewritten => "the stream lost or rewrote lines it had",
            Reason::NotUtf8 => "it is not UTF-8",
            Reason::NotJson => "it is not JSON",
            Reason::ConflictMarkers => "it holds the conflict markers of a merge",
            Reason::Sealed => "it is sealed and has changed",
            Reason::SidecarMismatch => "it and its .sha256 do not fit each other",
            Reason::Secret => "it holds what looks like a credential",
            Reason::TooLarge => "it is larger than the limit",
            Reason::NameNotPortable => "other systems cannot write its name",
            Reason::NameCollides => "some file systems take its name for another one here",
            Reason::LinkOutside => "the link leads out of the vault",
            Reason::ObeyedFile => "programs run or obey what is in it",
            Reason::MassDelete => "a large part of the vault is gone at once",
            Reason::Purged => "this content was purged from the vault",
            Reason::TornLine => "a line was torn; it is kept as it is",
            Reason::ChangedWhileRead => "it changed while it was read",
            Reason::Unreadable => "it cannot be read",
            Reason::Special => "not a regular file, folder or link",
            Reason::NameTooLong => "its name or path is too long",
            Reason::ReservedFolder => "a folder of a vault or repository",
            Reason::IgnoreFile => "it cannot be used; everything new beside it counts as ignored",
            Reason::InvalidRules => "it is not a valid set of rules",
            Reason::BundleUnusable => "the bundle cannot be used",
            Reason::BundleEarly => "the bundle builds on what is not here",
            Reason::BundleForeign => "the bundle is not of this vault",
            Reason::OutOfScope => "the agent's token is not for that",
            Reason::Restored => "an older state is back, as after a restore from a backup",
            Reason::Evicted => {
                "a sync service left only a placeholder of it here; the vault keeps its version"
            }
            Reason::Repaired => "it was set aside by a repair",
            Reason::NotMounted => "it is not mounted; its files stay as they were",
            Reason::Waiting => "the vault has another version that could not be put in place yet",
        }
    }

    /// Returns what to do, with the path as it is typed.
    pub fn hint(self, path: &[u8]) -> String {
        let allow =
            |why: &str| format!("{why}, {} takes it", typed("commit --allow").pair(self.code(), path));
        let allow_all = || typed("commit --allow").word(self.code());
        match self {
            Reason::Emptied | Reason::NulFilled => {
                format!("{} brings it back; {}", typed("repair").path(path), allow("if it is meant"))
            }
            Reason::StreamRewritten => format!(
                "streams only grow: {} brings the lines back; {}",
                typed("checkout main --").path(path),
                allow("if it is meant")
            ),
            Reason::NotUtf8 | Reason::NotJson | Reason::ConflictMarkers | Reason::InvalidRules => {
                format!("mend the file; {}", allow("if it is meant"))
            }
            Reason::Sealed => format!("{} keeps the new content under a new seal", typed("seal").path(path)),
            Reason::SidecarMismatch => {
                format!("compare the two; {} makes the .sha256 anew from the file", typed("seal").path(path))
            }
            Reason::Secret => format!("take it out of the file; {}", allow("if it is none")),
            Reason::TooLarge => format!("{}, or raise limits.file_mib in vault.toml", allow("once")),
            Reason::NameNotPortable | Reason::NameCollides => {
                format!("rename it; {}", allow("if all your devices can hold it"))
            }
            Reason::LinkOutside => format!("keep the file itself; {}", allow("if it is meant")),
            Reason::ObeyedFile => allow("if you know what it does"),
            Reason::MassDelete => {
                format!("`mvault checkout main -- PATH` brings files back; if it is meant, {}", allow_all())
            }
            Reason::Purged => "remove it, or change it: these bytes do not come back".to_owned(),
            Reason::TornLine => {
                format!("{} shows where, `mvault repair` takes it apart", typed("events verify").path(path))
            }
            Reason::ChangedWhileRead => "commit again when its writer is done".to_owned(),
            Reason::Unreadable => format!("check the permissions of {}", shell_word(path)),
            Reason::NameTooLong => "shorten it".to_owned(),
            Reason::IgnoreFile => format!("mend {}", shell_word(path)),
            Reason::BundleUnusable | Reason::BundleEarly | Reason::BundleForeign => self.bundle_hint(path),
            Reason::OutOfScope => {
                "if it should have it, give the agent a token with that scope: `mvault mcp token create`"
                    .to_owned()
            }
            Reason::Restored if path != b"." => format!(
                "{} brings the newest version back; {}",
                typed("checkout main --").path(path),
                allow("if it is meant as it is")
            ),
            Reason::Restored => format!(
                "`mvault checkout main -- PATH` brings the newest back, `mvault rollback ID` goes to the older state; if \
                 the files are meant as they are, {}",
                allow_all()
            ),
            Reason::Repaired => {
                "`mvault quarantine show` prints it, `restore --to PATH` puts it elsewhere".to_owned()
            }
            Reason::Waiting => format!(
                "`mvault status` says what keeps {} from being updated; once it can be, {} takes the vault's version and \
                 saves yours; {}",
                shell_word(path),
                typed("checkout main --").path(path),
                allow("to keep yours instead")
            ),
            Reason::NotMounted => not_mounted(path),
            Reason::Evicted => "open it once where the service runs to have it here again".to_owned(),
            Reason::Special | Reason::ReservedFolder => "nothing needs to be done".to_owned(),
        }
    }

    /// Returns what to do about a bundle that was not taken.
    fn bundle_hint(self, path: &[u8]) -> String {
        match self {
            Reason::BundleEarly => format!(
                "pull the bundle that was made before it, then {}; or have one made without `--since`",
                typed("pull").path(path)
            ),
            Reason::BundleForeign => format!(
                "nothing of it was taken; {} joins another vault to this one",
                typed("pull --allow unrelated").path(path)
            ),
            _ => "nothing of it was taken; copy it once more from where it was made".to_owned(),
        }
    }
}

fn not_mounted(path: &[u8]) -> String {
    format!("mount it; if it is no longer a mount, {} takes what is there now", typed("commit").path(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_a_row_for_every_reason() {
        let page = include_str!("../../docs/manual/refusals.md");
        let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")).collect();
        for reason in Reason::all() {
            let code = format!("{}`", reason.code());
            let has_row =
                rows.iter().any(|row| row.split('|').next().is_some_and(|cell| cell.contains(&code)));
            assert!(has_row, "docs/manual/refusals.md has no row for {code}");
        }
    }

    #[test]
    fn codes_are_unique_and_found_again() {
        let mut codes: Vec<&str> = Reason::all().map(Reason::code).collect();
        for reason in Reason::all() {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
        assert_eq!(Reason::from_code("nonsense"), None);
    }
}
