//! What lies in a `.mvault` that has no `format`: the rest of an `init` or `clone` that was cut short, or a
//! vault that lost this one file.
//!
//! - A cut `init` has at most what `init` makes: empty folders, settings, packs with no more than the root, a
//!   log with the one operation `init`. Anything else belongs to a vault, and then nothing is touched.
//! - Nothing here is ever removed or replaced, whatever it is: a cut `init` is finished with what is there.

use super::config::Config;
use super::open::LOCK;
use super::purge::{LIST, empty_list};
use super::{Error, ErrorKind, Result};
use crate::fs::{Dir, TEMP_PREFIX};
use crate::object::{CommitId, Kind, Source, typed};
use crate::oplog::OpLog;
use crate::store::Store;

/// Folders that `init` makes and leaves empty.
pub(super) const EMPTY_FOLDERS: [&str; 4] = ["reconcile", "rejections", "quarantine", "incoming"];

/// What lies in a `.mvault` without a `format`.
// Made once for each `init`: its size matters to nobody.
#[allow(clippy::large_enum_variant)]
pub(super) enum Remains {
    /// What a cut `init` or `clone` leaves; with its settings and its log, as far as it came to them.
    Cut(Option<Box<Config>>, Option<OpLog>),
    /// Something of a vault: this.
    Vault(String),
}

/// Looks at a `.mvault` that has no `format`. Whatever cannot be read counts as something of a vault.
pub(super) fn look(dot: &Dir) -> Result<Remains> {
    let (mut has_settings, mut has_objects, mut has_log) = (false, false, false);
    for (name, _) in dot.list()? {
        let text = name.to_string_lossy().into_owned();
        match text.as_str() {
            LOCK | "tmp" => {}
            _ if text.starts_with(TEMP_PREFIX) => {}
            "config.toml" => has_settings = true,
            "objects" => has_objects = true,
            "oplog" => has_log = has_names(dot, "oplog"),
            LIST if is_empty_list(dot) => {}
            folder if EMPTY_FOLDERS.contains(&folder) && !has_names(dot, folder) => {}
            _ => return Ok(Remains::Vault(text)),
        }
    }
    let config = if has_settings { Config::load(dot).ok() } else { None };
    if has_settings && config.as_ref().is_none_or(is_used) {
        return Ok(Remains::Vault("config.toml".to_owned()));
    }
    if has_objects && !has_roots_alone(dot) {
        return Ok(Remains::Vault("objects".to_owned()));
    }
    let log = if has_log { OpLog::open(dot, None).ok().filter(is_of_init) } else { None };
    if has_log && (log.is_none() || config.is_none()) {
        return Ok(Remains::Vault("oplog".to_owned()));
    }
    Ok(Remains::Cut(config.map(Box::new), log))
}

/// Returns what is said of a `.mvault` without a `format`.
pub(super) fn error(path: &std::path::Path, dot: &Dir) -> Error {
    let shown = crate::fs::shown(path);
    match look(dot) {
        Ok(Remains::Cut(config, _)) => match config.as_ref().and_then(|config| config.unfinished_clone()) {
            Some(source) => Error::refused(
                ErrorKind::NotAVault,
                format!("the clone in {shown} was never finished: it was cut short"),
                clone_hint(source, path),
            ),
            None => Error::refused(
                ErrorKind::NotAVault,
                format!("the vault in {shown} was never finished: its `init` was cut short"),
                "run `mvault init` there again; your files are untouched",
            ),
        },
        Ok(Remains::Vault(what)) => missing_format(dot, &what),
        Err(error) => missing_format(dot, &super::verify::chain(&error)),
    }
}

/// Returns the command that finishes a clone that was cut short.
pub(super) fn clone_hint(source: &str, path: &std::path::Path) -> String {
    let command = typed("clone").path(source).word(path.as_os_str().as_encoded_bytes());
    format!("run {command} again: it goes on from where it was; your files are untouched")
}

fn missing_format(dot: &Dir, what: &str) -> Error {
    Error::refused(
        ErrorKind::Damage,
        format!(
            "{} is missing; the rest of the vault is there ({what}) and was not touched",
            crate::fs::shown(dot.path().join("format"))
        ),
        "`mvault repair` writes it again; or write the line `mvault-format 1` into it and run `mvault verify`",
    )
}

fn has_names(dot: &Dir, folder: &str) -> bool {
    let listed = dot.open_dir(folder).and_then(|dir| dir.list());
    // One that cannot be listed may have anything in it.
    listed.map_or(true, |names| {
        names.iter().any(|(name, _)| !name.as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes()))
    })
}

fn is_empty_list(dot: &Dir) -> bool {
    let read = dot.read(LIST, 4096);
    read.is_ok_and(|bytes| bytes.is_empty() || bytes == empty_list())
}

/// Tells whether settings have more than `init` writes.
fn is_used(config: &Config) -> bool {
    config.remotes().map_or(true, |remotes| !remotes.is_empty()) || config.accepted_rules().is_some()
}

/// Tells whether all objects are roots without content: each `init` that was cut leaves one.
fn has_roots_alone(dot: &Dir) -> bool {
    let names = dot.open_dir("objects").and_then(|dir| dir.list());
    let is_pack = |name: &std::ffi::OsStr| name.as_encoded_bytes().ends_with(b".pack");
    if !names.is_ok_and(|names| names.iter().all(|(name, _)| is_pack(name))) {
        return false;
    }
    let Ok(store) = Store::open(dot) else { return false };
    let Ok(ids) = store.ids() else { return false };
    ids.iter().all(|(id, kind)| match kind {
        Kind::Blob => false,
        Kind::Tree => *id == crate::object::TreeId::empty().object(),
        Kind::Commit => store
            .find_commit(CommitId::new(*id))
            .is_ok_and(|commit| commit.parents.is_empty() && commit.tree == crate::object::TreeId::empty()),
    })
}

fn is_of_init(log: &OpLog) -> bool {
    log.last().seq == 1
        && log.torn_tail().is_none()
        && matches!(log.get(1), Ok(Some(first)) if first.op == "init")
}
