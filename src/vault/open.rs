//! Finding, making and opening a vault.
//!
//! `.mvault/format` is written last when a vault is made. A folder without it is what a killed `init` or
//! `clone` left, which the next one finishes, or a vault that lost the file: then nothing is touched.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::memory::Remembered;
use super::purge::{LIST, empty_list};
use super::remains::{self, EMPTY_FOLDERS, Remains};
use super::trust::{Opened, open_checked, refuse_foreign};
use super::{DOT, Error, ErrorKind, Result, Trust, Vault};
use crate::env::Env;
use crate::fs::{self, Dir, Disk, FileKind, Lock};
use crate::object::{Commit, DeviceName, Kind, Lamport, SessionId, Signature, TreeId, VaultId, typed};
use crate::oplog::{Label, NewOperation, OpLog, RefName, RefTarget};
use crate::store::Store;

pub(super) const FORMAT: &str = "format";
pub(super) const FORMAT_LINE: &str = "mvault-format 1\n";
/// The lock file's name.
pub(super) const LOCK: &str = "lock";

/// What a command needs of the working tree; decides what happens when a checkout is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Objects and history alone: goes on beside a running checkout.
    Store,
    /// The files as well: waits for a running checkout and finishes a cut one.
    Tree,
}

/// Who opens a vault, and how.
#[derive(Clone)]
pub struct OpenOptions {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Clock and dice.
    pub env: Env,
    /// Who acts, for the log and commits.
    pub actor: String,
    /// What was typed, for the log: without messages and notes.
    pub args: Vec<String>,
    /// The session commands are given in.
    pub session: Option<SessionId>,
    /// What is needed of the working tree.
    pub access: Access,
    /// Who asks, and so which vaults may be opened.
    pub trust: Trust,
}

/// Where a new vault's history begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Here.
    New,
    /// On another device: there are no commits before they were fetched.
    Clone {
        /// Where it is cloned from; kept in the settings until the clone is finished.
        source: String,
    },
}

/// What a new vault is to be.
pub struct InitOptions {
    /// This device's name.
    pub device: DeviceName,
    /// A vault of its own, or a further device of one that exists.
    pub origin: Origin,
}

/// Returns the nearest of `start` and the folders above it that holds a vault.
pub fn find(disk: &dyn Disk, start: &Path) -> Result<PathBuf> {
    let start = disk.canonicalize(start)?;
    for folder in start.ancestors() {
        let Ok(dir) = disk.open_dir(folder) else { continue };
        // Also one that cannot be opened: it is the vault here, and another user's.
        if dir.try_stat(DOT).is_ok_and(|found| found.is_some_and(|stat| stat.kind == FileKind::Dir)) {
            return Ok(folder.to_path_buf());
        }
    }
    Err(Error::NotAVault(start))
}

/// Returns the nearest vault of this user at `start` or above it. Where others can make folders, theirs are no reason
/// to do without one.
fn find_own(disk: &dyn Disk, start: &Path) -> Option<PathBuf> {
    let found = find(disk, start).ok()?;
    let dot = disk.open_dir(&found).and_then(|root| root.stat(DOT)).ok()?;
    if dot.owner == disk.user() { Some(found) } else { find_own(disk, found.parent()?) }
}

/// Makes a vault in `path`; files that are there stay and are not committed.
pub fn init(path: &Path, new: InitOptions, options: OpenOptions) -> Result<Vault> {
    let disk = options.disk.clone();
    let root = disk.create_dir_all(path)?;
    let path = disk.canonicalize(path)?;
    if let Some(outer) = path.parent().and_then(|parent| find_own(&*disk, parent)) {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{} is inside the vault {}", crate::fs::shown(path), crate::fs::shown(outer)),
            "choose a folder outside of it; one vault cannot keep another",
        ));
    }
    let dot = open_or_create_dot(&root)?;
    refuse_foreign(&*disk, &path, &dot)?;
    let lock = Lock::acquire(&dot, LOCK, Duration::from_secs(10), "init")?;
    let lacks_format = dot.try_stat(FORMAT)?.is_none();
    let (config, log) = match if lacks_format { remains::look(&dot)? } else { Remains::Vault(FORMAT.into()) }
    {
        Remains::Cut(config, log) => (config, log),
        Remains::Vault(_) => return Err(exists(&path, &dot)),
    };
    if let Some(config) = &config {
        check_same_request(config, &new, &path)?;
    }
    for folder in EMPTY_FOLDERS.iter().chain(&["tmp"]) {
        dot.open_or_create_dir(folder)?;
    }
    let config = match config {
        Some(config) => *config,
        None => new_config(&dot, new, &options.env)?,
    };
    Store::create(&dot)?;
    if dot.try_stat(LIST)?.is_none() {
        fs::replace_file(&dot, LIST, &empty_list(), 0o600)?;
    }
    if log.is_none() {
        begin_log(&dot, &config, &options)?;
    }
    fs::replace_file(&dot, FORMAT, FORMAT_LINE.as_bytes(), 0o600)?;
    root.sync()?;
    drop(lock);
    let trust = options.trust.clone();
    let mut vault = Vault::open(&path, OpenOptions { trust: Trust::Given, ..options })?;
    vault.trust = trust;
    Ok(vault)
}

/// Goes on with a clone in `path` that was cut short, or makes a new vault there for one.
pub fn init_clone(path: &Path, new: InitOptions, options: OpenOptions) -> Result<Vault> {
    let opened = match open_checked(&*options.disk, path, &options.trust) {
        Err(error) if error.kind() == ErrorKind::Untrusted => return Err(error),
        other => other.ok(),
    };
    if let Some(Opened { dot, .. }) = opened
        && check_format(path, &dot).is_ok()
        && let Ok(config) = Config::load(&dot)
        && config.unfinished_clone().is_some()
    {
        check_same_request(&config, &new, path)?;
        return Vault::open(path, options);
    }
    init(path, new, options)
}

fn exists(path: &Path, dot: &Dir) -> Error {
    match check_format(path, dot) {
        Ok(()) => Error::refused(
            ErrorKind::Refused,
            format!("there is a vault in {} already", crate::fs::shown(path)),
            "`mvault status` shows its state",
        ),
        Err(error) => error,
    }
}

/// Checks that an unfinished vault is finished by the command that began it.
fn check_same_request(config: &Config, new: &InitOptions, path: &Path) -> Result<()> {
    let begun = config.unfinished_clone();
    let is_same_verb = begun.is_some() == matches!(new.origin, Origin::Clone { .. });
    if is_same_verb && config.device == new.device {
        return Ok(());
    }
    let hint = match begun {
        Some(source) => remains::clone_hint(source, path),
        None => format!("{} finishes it", typed("init --device").word(config.device.as_str())),
    };
    Err(Error::refused(
        ErrorKind::Refused,
        format!(
            "{} has an unfinished {} for the device {}; nothing was changed",
            crate::fs::shown(path),
            if begun.is_some() { "clone" } else { "vault" },
            config.device
        ),
        hint,
    ))
}

fn new_config(dot: &Dir, new: InitOptions, env: &Env) -> Result<Config> {
    let abilities = fs::probe(&dot.open_dir("tmp")?)?;
    let epoch = hex::encode(&env.random16()[..8]);
    let vault_id = (new.origin == Origin::New).then(|| VaultId::new(env.random16()));
    let mut config = Config::new(dot, new.device, epoch, vault_id, abilities);
    if let Origin::Clone { source } = &new.origin {
        config.set_unfinished_clone(Some(source));
    }
    config.save(dot)?;
    Ok(config)
}

/// Makes the root, unless it is to come from another device, and the log with its first operation.
fn begin_log(dot: &Dir, config: &Config, options: &OpenOptions) -> Result<()> {
    let now = options.env.clock.now();
    let mut first = NewOperation::new("init", now, &config.device, &options.actor)
        .args(&options.args)
        .detail("epoch", config.epoch.clone())
        .set(RefName::Head, RefTarget::Branch(Label::main()));
    if config.unfinished_clone().is_none() {
        let email = format!("{}@{}", options.actor, config.device);
        let who = Signature::new(&options.actor, &email, now.seconds(), now.offset_minutes);
        let root_commit = Commit {
            tree: TreeId::empty(),
            parents: Vec::new(),
            author: who.clone(),
            committer: who,
            lamport: Lamport(1),
            device: Some(config.device.clone()),
            session: None,
            restores: None,
            reconcile: None,
            vault: config.vault,
            purges: Vec::new(),
            extra: Vec::new(),
            message: format!("vault made on {}\n", config.device).into(),
        };
        let mut writer = Store::open(dot)?.writer()?;
        writer.add(Kind::Tree, b"", None)?;
        writer.add(Kind::Commit, &root_commit.encode(), None)?;
        writer.publish()?;
        let id = root_commit.id();
        first = first.set(RefName::Branch(Label::main()), id).set(RefName::At, id).lamport(Lamport(1));
    }
    OpLog::create(dot, first)?;
    Ok(())
}

/// Opens the vault's own folder, made so that no other user looks into it.
fn open_or_create_dot(root: &Dir) -> Result<Dir> {
    match root.create_private_dir(DOT) {
        Err(error) if !error.is_exists() => return Err(error.into()),
        _ => {}
    }
    Ok(root.open_or_create_dir(DOT)?)
}

impl Vault {
    /// Opens the vault in `path` and finishes a checkout or purge that was cut.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Vault> {
        let Opened { root, dot } = open_checked(&*options.disk, path, &options.trust)?;
        check_format(path, &dot)?;
        // Before the log: who appends remembers afterwards.
        let remembered = Remembered::read(&dot)?;
        let access = options.access;
        let mut vault = Vault::of_parts(root, dot, options)?;
        vault.hold_log_against(&remembered)?;
        vault.tell_other_name()?;
        vault.read_purged()?;
        vault.finish_cut_checkout(access)?;
        vault.finish_cut_purge()?;
        Ok(vault)
    }

    /// Opens what a vault is made of and looks at nothing else.
    pub(super) fn of_parts(root: Dir, dot: Dir, options: OpenOptions) -> Result<Vault> {
        let config = Config::load(&dot)?;
        let store = Store::open(&dot)?;
        let log = OpLog::open(&dot, None)?;
        Ok(Vault {
            disk: options.disk,
            env: options.env,
            root,
            dot,
            config,
            store,
            log,
            actor: options.actor,
            args: options.args,
            session: options.session,
            trust: options.trust,
            notices: Vec::new(),
            purged: Vec::new(),
        })
    }
}

pub(super) fn check_format(path: &Path, dot: &Dir) -> Result<()> {
    let Some(found) = dot.try_read(FORMAT, 4096)? else {
        return Err(remains::error(path, dot));
    };
    if found == FORMAT_LINE.as_bytes() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&found);
    let version = text.trim().strip_prefix("mvault-format ").and_then(|v| v.parse::<u64>().ok());
    Err(match version {
        Some(version) if version > 1 => Error::refused(
            ErrorKind::NewerFormat,
            format!(
                "the vault in {} has format {version}; this mvault knows format 1",
                crate::fs::shown(path)
            ),
            "install a newer mvault; nothing was changed",
        ),
        _ => Error::refused(
            ErrorKind::Damage,
            format!("{} does not hold a format version", crate::fs::shown(dot.path().join(FORMAT))),
            "`mvault repair` puts it right if all else is of format 1; or write the line `mvault-format 1` into it and \
             run `mvault verify`",
        ),
    })
}

/// Suggests a device's name from the machine's: lower case, other characters as dashes.
pub fn device_name_from(host: &str) -> Option<DeviceName> {
    let first = host.split('.').next().unwrap_or_default();
    let folded: String =
        first.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    DeviceName::parse(folded.trim_matches('-').get(..32).unwrap_or(folded.trim_matches('-')))
}
