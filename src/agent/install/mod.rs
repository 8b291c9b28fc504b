//! Wires a host of agents to mvault: our entries in its settings file, and out again.
//!
//! - The same for the server of tools, where it is asked for (`server`).
//! - Only our entries come and go; all other bytes stay. A file with comments, or one that is no JSON, is
//!   left alone and what to add by hand is said.
//! - Before the first change the file as it was is kept beside it (`settings.json.mvault-backup`), synced.
//! - The file is replaced in one step, with the permissions it had, and only if it is still what was read.
//! - A symbolic link is followed to the file it names, and that is replaced: people keep settings elsewhere.
//!
//! Limits: a host that writes its file between our last look and our rename loses that write; the time is
//! as short as it can be without a lock that hosts know. A folder made for the file stays.

pub mod faults;
mod json_text;
mod server;
mod settings;
#[cfg(test)]
mod tests;

use crate::object::typed;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use faults::{Fault, HostFiles, faults};
pub use json_text::TextError;
pub use server::{plan_register, plan_unregister, register_by_hand, registered, servers_path};
pub use settings::{
    Entry, Found, Standing, State, Uninstalled, merge, quote, standing, timeout_seconds, timeout_units,
    unmerge, wanted,
};

use super::hooks::Agent;
use crate::fs::{self, Dir, Disk, FileKind, replace_file};

/// The longest settings file that is read.
const SETTINGS_BYTES_MAX: u64 = 16 << 20;
/// What the name of the kept file ends in.
const BACKUP_SUFFIX: &str = ".mvault-backup";

/// Why a host could not be wired.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Nobody knows where the user's settings are.
    #[error("HOME is not set, so the settings of {} cannot be found", .agent.title())]
    NoHome {
        /// The host.
        agent: Agent,
    },
    /// The file cannot be changed as it is.
    #[error("{} was left alone", crate::fs::shown(path))]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TextError,
    },
    /// The file is not UTF-8.
    #[error("{} was left alone: it is not UTF-8", crate::fs::shown(path))]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// There is a link that leads nowhere.
    #[error("{} is a link that leads nowhere", crate::fs::shown(path))]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// Somebody wrote the file meanwhile.
    #[error("{} was changed meanwhile and left alone", crate::fs::shown(path))]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Disk(#[from] fs::Error),
}

/// For whom a host is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For all sessions of this user.
    User,
    /// For sessions in one folder.
    Project,
}

impl Scope {
    /// Returns the word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::User => "user",
            Scope::Project => "project",
        }
    }
}

/// Where hosts keep their settings.
#[derive(Clone, Copy, Debug)]
pub struct Homes<'a> {
    /// The user's home.
    pub home: Option<&'a Path>,
    /// `CLAUDE_CONFIG_DIR`.
    pub claude: Option<&'a Path>,
    /// `CODEX_HOME`.
    pub codex: Option<&'a Path>,
    /// The folder of a project.
    pub project: &'a Path,
}

/// Returns the file that holds a host's hooks.
pub fn settings_path(agent: Agent, scope: Scope, homes: Homes<'_>) -> Result<PathBuf, InstallError> {
    let (folder, file, own) = match agent {
        Agent::ClaudeCode => (".claude", "settings.json", homes.claude),
        Agent::Codex => (".codex", "hooks.json", homes.codex),
        Agent::Gemini => (".gemini", "settings.json", None),
        Agent::Cursor => (".cursor", "hooks.json", None),
    };
    match (scope, own, homes.home) {
        (Scope::Project, ..) => Ok(homes.project.join(folder).join(file)),
        (Scope::User, Some(own), _) => Ok(homes.project.join(own).join(file)),
        (Scope::User, None, Some(home)) => Ok(home.join(folder).join(file)),
        (Scope::User, None, None) => Err(InstallError::NoHome { agent }),
    }
}

/// A settings file as it was found.
#[derive(Debug)]
pub struct Settings {
    /// The real file, links resolved.
    pub path: PathBuf,
    /// What it holds; `None` if there is none.
    pub text: Option<String>,
    /// What it held before mvault, where that was kept.
    pub backup: Option<String>,
    mode: u32,
}

/// Reads a settings file and what was kept of it.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Settings, InstallError> {
    let path = match disk.canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.is_gone() => path.to_path_buf(),
        Err(error) => return Err(error.into()),
    };
    let (folder, name) = split(&path);
    let dir = match disk.open_dir(folder) {
        Ok(dir) => dir,
        Err(error) if error.is_not_found() => {
            return Ok(Settings { path, text: None, backup: None, mode: 0o600 });
        }
        Err(error) => return Err(error.into()),
    };
    let stat = dir.try_stat(&name)?;
    if stat.is_some_and(|stat| stat.kind == FileKind::Symlink) {
        return Err(InstallError::Link { path });
    }
    let text = |name: &OsString| match dir.try_read(name, SETTINGS_BYTES_MAX)?.map(String::from_utf8) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(InstallError::NotUtf8 { path: folder.join(name) }),
    };
    let mode = stat.map_or(0o600, |stat| stat.mode & 0o777);
    Ok(Settings { text: text(&name)?, backup: text(&backup_name(&name))?, mode, path })
}

fn split(path: &Path) -> (&Path, OsString) {
    let folder = path.parent().unwrap_or(Path::new("/"));
    (folder, path.file_name().unwrap_or_default().to_owned())
}

fn backup_name(name: &OsString) -> OsString {
    let mut backup = name.clone();
    backup.push(BACKUP_SUFFIX);
    backup
}

/// What becomes of the file that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backup {
    Write,
    Keep,
    Remove,
}

/// A change of a settings file, not carried out yet.
#[derive(Debug)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// Before.
    pub before: Option<String>,
    /// After; `None` if the file goes.
    pub after: Option<String>,
    backup: Backup,
    mode: u32,
}

impl Change {
    /// Tells whether there is nothing to do.
    pub fn is_nothing(&self) -> bool {
        self.before == self.after
    }

    /// Returns the name of the file that is kept beside it, if this change keeps one.
    pub fn backup_path(&self) -> Option<PathBuf> {
        let (folder, name) = split(&self.path);
        (self.backup == Backup::Write && self.before.is_some()).then(|| folder.join(backup_name(&name)))
    }
}

/// Plans to put our entries in.
pub fn plan_install(settings: Settings, agent: Agent, program: &str) -> Result<Change, InstallError> {
    let before = settings.text.as_deref().unwrap_or_default();
    let told = |source| InstallError::Text { path: settings.path.clone(), source };
    let is_first = standing(agent, before, program).map_err(told)?.found.is_empty();
    let after = merge(agent, before, program).map_err(told)?;
    // What is kept is the file before mvault, not before the last of its updates.
    let backup = if is_first { Backup::Write } else { Backup::Keep };
    Ok(Change { after: Some(after), before: settings.text, path: settings.path, backup, mode: settings.mode })
}

/// Plans to take our entries out.
pub fn plan_uninstall(settings: Settings, agent: Agent, program: &str) -> Result<Change, InstallError> {
    let before = settings.text.as_deref().unwrap_or_default();
    let made = unmerge(agent, before, settings.backup.as_deref(), program)
        .map_err(|source| InstallError::Text { path: settings.path.clone(), source })?;
    let (after, backup) = match made {
        Uninstalled::Nothing => (settings.text.clone(), Backup::Keep),
        Uninstalled::Restored(text) => (Some(text), Backup::Remove),
        Uninstalled::Edited(text) => (Some(text), Backup::Keep),
        Uninstalled::Gone => (None, Backup::Keep),
    };
    Ok(Change { after, before: settings.text, path: settings.path, backup, mode: settings.mode })
}

/// Carries a change out: the kept file first, then the settings in one step.
pub fn apply(disk: &dyn Disk, change: &Change) -> Result<(), InstallError> {
    if change.is_nothing() {
        return Ok(());
    }
    let (folder, name) = split(&change.path);
    let dir = disk.create_dir_all(folder)?;
    let kept = backup_name(&name);
    match (change.backup, &change.before) {
        (Backup::Write, Some(before)) => replace_file(&dir, &kept, before.as_bytes(), change.mode)?,
        // A file that mvault makes has nothing to go back to.
        (Backup::Write, None) => remove_if_there(&dir, &kept)?,
        _ => {}
    }
    let now = dir.try_read(&name, SETTINGS_BYTES_MAX)?;
    if now.as_deref() != change.before.as_deref().map(str::as_bytes) {
        return Err(InstallError::Changed { path: change.path.clone() });
    }
    match &change.after {
        Some(after) => replace_file(&dir, &name, after.as_bytes(), change.mode)?,
        None => {
            dir.remove_file(&name)?;
            dir.sync()?;
        }
    }
    if change.backup == Backup::Remove {
        remove_if_there(&dir, &kept)?;
    }
    Ok(())
}

fn remove_if_there(dir: &Dir, name: &OsString) -> Result<(), fs::Error> {
    match dir.remove_file(name) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// How a host is wired in one of its files.
#[derive(Debug)]
pub struct Look {
    /// The file.
    pub path: PathBuf,
    /// Whether it is there.
    pub is_there: bool,
    /// What it says of hooks; `None` if it cannot be read.
    pub standing: Option<Standing>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Looks at a host's settings and lists what keeps hooks from running.
pub fn look(disk: &dyn Disk, agent: Agent, path: &Path, program: &str) -> Result<Look, InstallError> {
    let settings = read(disk, path)?;
    let text = settings.text.as_deref().unwrap_or_default();
    let config = match agent {
        Agent::Codex => read(disk, &path.with_file_name("config.toml"))?.text,
        _ => None,
    };
    let files = HostFiles { settings: text, path: &settings.path, codex_config: config.as_deref() };
    let mut faults = faults(agent, files, program);
    let standing = standing(agent, text, program).ok();
    let mut programs: Vec<&str> =
        standing.iter().flat_map(|s| &s.found).map(|found| found.program.as_str()).collect();
    programs.sort_unstable();
    programs.dedup();
    for program in programs.into_iter().filter(|program| Path::new(program).is_absolute()) {
        if disk.canonicalize(Path::new(program)).is_err() {
            let message = format!("the hooks run {program}, which is not there");
            let hint = typed("hooks install").word(agent.as_str()).into_line();
            faults.push(Fault::new("command-missing", message, hint));
        }
    }
    Ok(Look { is_there: settings.text.is_some(), path: settings.path, standing, faults })
}

/// Returns what to add to a host's settings by hand.
pub fn by_hand(agent: Agent, program: &str) -> String {
    merge(agent, "", program).expect("an empty file takes everything")
}
