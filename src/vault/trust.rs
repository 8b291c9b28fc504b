//! Whose vaults may act on this device.
//!
//! - A vault whose folder or `.mvault` belongs to another user is refused before anything in it is read, unless a
//!   person has trusted it here. The owner is read from the open folder, so that nobody can put another one in its
//!   place between the check and the use.
//! - What acts by itself (hooks, MCP, `memory`) uses only vaults that were made or confirmed on this device. So does
//!   every command in a vault that lies in a git checkout, or one like it: git carries a `.mvault` like any other
//!   folder.
//! - An unfinished checkout is carried out only in a vault that was made or confirmed here, and only if the journal
//!   and the operation log belong to the user who carries it out.
//!
//! The list is `~/.config/mvault/trusted.jsonl`, described in docs/format.md, "Trusted vaults". An entry is a path
//! together with the vault's id and the device's epoch, so that another vault at the same path is not meant by it.
//! A list that belongs to another user counts as empty.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::config::{CONFIG_FOLDER, Config};
use super::{DOT, Error, ErrorKind, Result, Vault};
use crate::fs::{Dir, Disk, FileKind, Lock, replace_file};
use crate::object::{VaultId, shell_word, typed};
use crate::worktree;

/// What version control systems keep in the working trees that they make, all of which can carry a `.mvault`.
const CHECKOUT_FOLDERS: [&str; 5] = [".git", ".hg", ".svn", ".jj", ".sl"];
const LIST: &str = "trusted.jsonl";
const LIST_LOCK: &str = "trusted.lock";
const LIST_BYTES_MAX: u64 = 16 << 20;
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Who wants to use a vault; decides what it takes.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The caller made the vault itself, just now.
    Given,
    /// A command that a person typed. `home` is where the list is.
    Person {
        /// The user's home folder.
        home: Option<PathBuf>,
    },
    /// Something that acts by itself.
    Program {
        /// The user's home folder.
        home: Option<PathBuf>,
    },
}

impl Trust {
    fn home(&self) -> Option<&Path> {
        match self {
            Trust::Given => None,
            Trust::Person { home } | Trust::Program { home } => home.as_deref(),
        }
    }
}

/// A vault that was made or confirmed on this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// Its folder, without symbolic links.
    pub path: PathBuf,
    /// Its id; none in a clone that has not met its source yet.
    pub vault: Option<VaultId>,
    /// The epoch of this device in it.
    pub epoch: String,
    /// The user that `.mvault` belongs to.
    pub owner: u32,
    /// The user that the vault's folder belongs to.
    pub folder_owner: u32,
    /// When it was made or confirmed.
    pub at: String,
}

impl Trusted {
    fn is_of(&self, config: &Config) -> bool {
        self.epoch == config.epoch && (self.vault.is_none() || self.vault == config.vault)
    }

    fn encode(&self) -> String {
        let mut object = Map::new();
        match self.path.to_str() {
            Some(text) => object.insert("path".into(), text.into()),
            None => object.insert("path_hex".into(), hex::encode(self.path.as_os_str().as_bytes()).into()),
        };
        object.insert("vault".into(), json!(self.vault.map(|id| id.to_string())));
        object.insert("epoch".into(), json!(self.epoch));
        object.insert("owner".into(), json!(self.owner));
        object.insert("folder_owner".into(), json!(self.folder_owner));
        object.insert("at".into(), json!(self.at));
        Value::Object(object).to_string()
    }

    fn decode(line: &[u8]) -> Option<Trusted> {
        let object: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let number = |name: &str| u32::try_from(object.get(name)?.as_u64()?).ok();
        let path = match text("path") {
            Some(text) => PathBuf::from(text),
            None => PathBuf::from(std::ffi::OsString::from_vec(hex::decode(text("path_hex")?).ok()?)),
        };
        let vault = match object.get("vault")? {
            Value::Null => None,
            value => Some(VaultId::parse(value.as_str()?)?),
        };
        let (owner, folder_owner) = (number("owner")?, number("folder_owner")?);
        Some(Trusted {
            path,
            vault,
            epoch: text("epoch")?.to_owned(),
            owner,
            folder_owner,
            at: text("at")?.to_owned(),
        })
    }
}

/// The folders of a vault, open, after the check.
pub(super) struct Opened {
    pub root: Dir,
    pub dot: Dir,
}

/// Opens the folders of the vault in `path` if it may be used; nothing in them is read before that is clear.
pub(super) fn open_checked(disk: &dyn Disk, path: &Path, trust: &Trust) -> Result<Opened> {
    let root = disk.open_dir(path)?;
    let Some(found) = root.try_stat(DOT)? else { return Err(Error::NotAVault(path.to_path_buf())) };
    if matches!(trust, Trust::Given) {
        return Ok(Opened { dot: root.open_dir(DOT)?, root });
    }
    let me = disk.user();
    let folder_owner = root.stat_self()?.owner;
    // One that cannot be opened is told by its name's owner; one that can, by the open folder's.
    let dot = match root.open_dir(DOT) {
        Ok(dot) => dot,
        Err(_) if found.owner != me => return Err(foreign(path, found.owner, me)),
        Err(error) => return Err(error.into()),
    };
    let owner = check_parts(path, &dot, me)?;
    let is_foreign = owner != me || folder_owner != me;
    let here = disk.canonicalize(path)?;
    let listed = read_list(disk, trust.home())?.into_iter().filter(|entry| entry.path == here);
    let is_listed = listed
        .filter(|entry| (entry.owner, entry.folder_owner) == (owner, folder_owner))
        // Settings that cannot be read are told when they are needed, which is at once.
        .any(|entry| Config::load(&dot).map_or(true, |config| entry.is_of(&config)));
    if is_listed {
        return Ok(Opened { root, dot });
    }
    if is_foreign {
        return Err(foreign(path, if owner == me { folder_owner } else { owner }, me));
    }
    if matches!(trust, Trust::Program { .. }) {
        return Err(untrusted(
            format!("the vault in {} was not made or confirmed on this device", crate::fs::shown(path)),
            format!("if it is yours, run `{}`; a folder that was moved needs it once", trust_command(path)),
        ));
    }
    if is_in_checkout(disk, &here) {
        return Err(untrusted(
            format!(
                "the vault in {} lies in a checkout of a version control system and was not made or confirmed on this \
                 device; it was not used",
                crate::fs::shown(path)
            ),
            format!("if it is yours, run `{}`; a folder that was moved needs it once", trust_command(path)),
        ));
    }
    Ok(Opened { root, dot })
}

/// Returns the owner of `.mvault`. Where others may write in it, everything in it has to be its owner's as well: nobody
/// else has put a log or a pack there. What root made is no reason to refuse: root needs no such way.
fn check_parts(path: &Path, dot: &Dir, me: u32) -> Result<u32> {
    let stat = dot.stat_self()?;
    if stat.owner != me || stat.mode & 0o022 == 0 {
        return Ok(stat.owner);
    }
    for (name, _) in dot.list()? {
        let Some(part) = dot.try_stat(&name)?.filter(|part| part.owner != stat.owner && part.owner != 0)
        else {
            continue;
        };
        let found = shell_word(Path::new(DOT).join(&name).as_os_str().as_encoded_bytes());
        return Err(untrusted(
            format!(
                "{found} in {} belongs to another user (uid {}), in a folder that others can write to; nothing was used",
                crate::fs::shown(path),
                part.owner
            ),
            format!(
                "if nobody you know put it there, move it away: `mv {} ~`",
                shell_word(dot.path().join(&name).as_os_str().as_encoded_bytes())
            ),
        ));
    }
    Ok(stat.owner)
}

/// Refuses to go on with what another user left in a `.mvault`.
pub(super) fn refuse_foreign(disk: &dyn Disk, path: &Path, dot: &Dir) -> Result<()> {
    let (owner, me) = (check_parts(path, dot, disk.user())?, disk.user());
    if owner == me { Ok(()) } else { Err(foreign(path, owner, me)) }
}

/// Checks that the vault in `path` may be used.
pub fn check_trust(disk: &dyn Disk, path: &Path, trust: &Trust) -> Result<()> {
    open_checked(disk, path, trust).map(drop)
}

fn untrusted(message: String, hint: String) -> Error {
    Error::refused(ErrorKind::Untrusted, message, hint)
}

fn foreign(path: &Path, owner: u32, me: u32) -> Error {
    let command = trust_command(path);
    let hint = match me {
        // What root writes there would be root's, and shut its owner out.
        0 => format!("run the command as that user; if root should use it as well, run `{command}`"),
        _ => format!("if you trust everything in it, run `{command}`"),
    };
    untrusted(
        format!(
            "the vault in {} belongs to another user (uid {owner}); nothing in it was read",
            crate::fs::shown(path)
        ),
        hint,
    )
}

fn trust_command(path: &Path) -> String {
    typed("trust").path(path.as_os_str().as_encoded_bytes()).into_line()
}

/// Returns `true` if a folder or one above it is a working tree of git or one like it, made by this user.
fn is_in_checkout(disk: &dyn Disk, path: &Path) -> bool {
    path.ancestors().any(|folder| {
        let Ok(dir) = disk.open_dir(folder) else { return false };
        CHECKOUT_FOLDERS.iter().any(|name| {
            dir.try_stat(name).is_ok_and(|found| found.is_some_and(|stat| stat.owner == disk.user()))
        })
    })
}

/// Returns the vaults that were made or confirmed on this device.
pub fn trusted_vaults(disk: &dyn Disk, home: &Path) -> Result<Vec<Trusted>> {
    read_list(disk, Some(home))
}

fn read_list(disk: &dyn Disk, home: Option<&Path>) -> Result<Vec<Trusted>> {
    let Some(home) = home else { return Ok(Vec::new()) };
    let folder = match disk.open_dir(&home.join(CONFIG_FOLDER)) {
        Err(error) if error.is_gone() => return Ok(Vec::new()),
        other => other?,
    };
    let lines = read_lines(disk, &folder)?;
    Ok(lines.iter().filter_map(|line| Trusted::decode(line)).collect())
}

/// Returns the lines of the list; none if it is another user's.
fn read_lines(disk: &dyn Disk, folder: &Dir) -> Result<Vec<Vec<u8>>> {
    let file = match folder.open(LIST) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        other => other?,
    };
    let stat = file.stat()?;
    if stat.kind != FileKind::File || stat.owner != disk.user() || stat.mode & 0o022 != 0 {
        return Ok(Vec::new());
    }
    let bytes = file.read_all(LIST_BYTES_MAX)?;
    Ok(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Puts an entry in the place of those of the same path, or only takes them away. Lines that a later mvault wrote
/// stay. Returns what was taken away.
fn edit_list(disk: &dyn Disk, home: &Path, path: &Path, new: Option<&Trusted>) -> Result<Vec<Trusted>> {
    let folder = disk.create_dir_all(&home.join(CONFIG_FOLDER))?;
    if folder.stat_self()?.owner != disk.user() {
        return Err(Error::refused(
            ErrorKind::Settings,
            format!(
                "{} belongs to another user; the list of trusted vaults was not changed",
                crate::fs::shown(folder.path())
            ),
            "set HOME to your own home folder and try again",
        ));
    }
    let _lock = Lock::acquire(&folder, LIST_LOCK, LOCK_WAIT, "trust")?;
    let mut removed = Vec::new();
    let mut text = Vec::new();
    for line in read_lines(disk, &folder)? {
        match Trusted::decode(&line) {
            Some(entry) if entry.path == path => removed.push(entry),
            _ => text.extend(line.into_iter().chain([b'\n'])),
        }
    }
    if new.is_none() && removed.is_empty() {
        return Ok(removed);
    }
    text.extend(new.map(|entry| format!("{}\n", entry.encode())).unwrap_or_default().into_bytes());
    replace_file(&folder, LIST, &text, 0o600)?;
    Ok(removed)
}

/// Notes that the vault in `path` was made or confirmed on this device.
pub fn trust_vault(disk: &dyn Disk, home: &Path, path: &Path, at: String) -> Result<Trusted> {
    let Opened { root, dot } = open_checked(disk, path, &Trust::Given)?;
    let config = Config::load(&dot)?;
    let entry = Trusted {
        path: disk.canonicalize(path)?,
        vault: config.vault,
        epoch: config.epoch,
        owner: dot.stat_self()?.owner,
        folder_owner: root.stat_self()?.owner,
        at,
    };
    edit_list(disk, home, &entry.path, Some(&entry))?;
    Ok(entry)
}

/// Takes the vault in `path` off the list; the folder may be gone. `None` if it was not on it.
pub fn distrust_vault(disk: &dyn Disk, home: &Path, path: &Path) -> Result<Option<Trusted>> {
    let path = disk.canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    Ok(edit_list(disk, home, &path, None)?.pop())
}

impl Vault {
    /// Returns `true` if the vault was made or confirmed on this device, here or at the path it was copied from.
    fn is_known(&self) -> Result<bool> {
        if matches!(self.trust, Trust::Given) {
            return Ok(true);
        }
        let list = read_list(&*self.disk, self.trust.home())?;
        Ok(list.iter().any(|entry| entry.is_of(&self.config)))
    }

    /// Makes `.mvault` a folder that no other user looks into, where that can be done.
    pub(super) fn make_private(&self) -> Result<()> {
        let stat = self.dot.stat_self()?;
        if stat.owner == self.disk.user() && stat.mode & 0o077 != 0 {
            let _not_every_file_system_has_modes = self.dot.set_mode_self(0o700);
            // Nobody can put anything there from here on; somebody may have until now.
            if !matches!(self.trust, Trust::Given) {
                check_parts(self.root.path(), &self.dot, stat.owner)?;
            }
        }
        Ok(())
    }

    /// Refuses to carry out an unfinished checkout that is a stranger's: one in a vault that was not made or
    /// confirmed here, or whose journal or log another user wrote.
    pub(super) fn check_journal(&self) -> Result<()> {
        let path = self.root.path();
        if !self.is_known()? {
            return Err(untrusted(
                format!(
                    "an unfinished checkout is in {}, a vault that was not made or confirmed on this device; it was \
                     not carried out",
                    crate::fs::shown(path)
                ),
                format!("if the vault is yours, run `{}`; then any command finishes it", trust_command(path)),
            ));
        }
        let maker = self.maker()?;
        let mut owners: Vec<u32> = self.log.owners()?;
        for stat in worktree::journal_stats(&self.dot)? {
            owners.push(stat.owner);
            if self.config.abilities.executable && stat.mode & 0o002 != 0 {
                return Err(strange_journal(path, "can be changed by every user"));
            }
        }
        match owners.into_iter().find(|owner| *owner != maker) {
            Some(owner) => Err(strange_journal(path, &format!("belongs to another user (uid {owner})"))),
            None => Ok(()),
        }
    }

    /// Returns the user that what this process makes in the vault belongs to: on file systems without owners, the one
    /// that they were mounted for.
    fn maker(&self) -> Result<u32> {
        let me = self.disk.user();
        if self.dot.stat_self()?.owner == me {
            return Ok(me);
        }
        let (temp, name) = (self.dot.open_or_create_dir("tmp")?, crate::fs::temp_name());
        let owner = temp.create_new(&name, 0o600).and_then(|file| file.stat()).map(|stat| stat.owner);
        temp.remove_file(&name)?;
        Ok(owner?)
    }
}

fn strange_journal(path: &Path, what: &str) -> Error {
    let journal = shell_word(path.join(DOT).join("journal").as_os_str().as_encoded_bytes());
    untrusted(
        format!("the unfinished checkout in {} {what}; it was not carried out", crate::fs::shown(path)),
        format!("if nobody you know left it there, `rm -r {journal}` removes it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &[u8]) -> Trusted {
        Trusted {
            path: PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())),
            vault: Some(VaultId::new([7; 16])),
            epoch: "0123456789abcdef".into(),
            owner: 1000,
            folder_owner: 0,
            at: "2026-11-22T06:00:00+01:00".into(),
        }
    }

    #[test]
    fn entries_come_back_and_what_is_no_entry_is_none() {
        for path in [&b"/home/a/notes"[..], b"/a\xff\"\n"] {
            let made = entry(path);
            assert_eq!(Trusted::decode(made.encode().as_bytes()), Some(made.clone()));
            let clone = Trusted { vault: None, ..made };
            assert_eq!(Trusted::decode(clone.encode().as_bytes()), Some(clone));
        }
        for line in ["", "{}", "null", "{\"path\":\"/x\",\"vault\":7}"] {
            assert_eq!(Trusted::decode(line.as_bytes()), None);
        }
    }
}
