//! What holds where a vault lies: tried out in a scratch folder beside its own temporary files, which is
//! removed again. Nothing else is changed.

use std::path::Path;

use super::config::default_vault;
use super::{Result, Vault};
use crate::env::Moment;
use crate::fs::{self, Abilities, Dir, Disk, remove_tree, replace_file};

/// Below this the next large commit may not fit.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// A clock may be this much behind what was written before.
const CLOCK_SLACK_SECONDS: i64 = 3600;
/// 2024-01-01: no clock that is right shows less.
const CLOCK_FIRST_SECONDS: i64 = 1_704_067_200;

/// How much depends on a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The vault cannot be relied on without it.
    Needed,
    /// Something is done another way without it.
    Useful,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// A word for programs.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub is_ok: bool,
    /// How much depends on it.
    pub weight: Weight,
    /// What was found.
    pub message: String,
    /// What to do, where there is something.
    pub hint: Option<String>,
}

impl Check {
    /// Makes a check that went well.
    pub fn ok(name: &'static str, weight: Weight, message: impl Into<String>) -> Check {
        Check { name, is_ok: true, weight, message: message.into(), hint: None }
    }

    /// Makes a check that did not.
    pub fn bad(
        name: &'static str,
        weight: Weight,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Check {
        Check { name, is_ok: false, weight, message: message.into(), hint: Some(hint.into()) }
    }
}

/// Tries what a vault needs of the place where it lies.
pub fn examine(vault: &Vault) -> Result<Vec<Check>> {
    let scratch = fs::owned_name("doctor", &format!("-{}", hex::encode(vault.env.random16())));
    let temp = vault.dot.open_or_create_dir("tmp")?;
    temp.create_dir(&scratch)?;
    let dir = temp.open_dir(&scratch)?;
    let tried = try_disk(vault, &dir);
    remove_tree(&temp, &scratch)?;
    let mut checks = tried?;
    checks.push(check_space(&vault.dot)?);
    checks.push(check_clock(vault));
    Ok(checks)
}

fn try_disk(vault: &Vault, dir: &Dir) -> Result<Vec<Check>> {
    use Weight::{Needed, Useful};
    let abilities = fs::probe(dir)?;
    let known = vault.config.abilities;
    let mut checks = Vec::new();
    checks.push(match abilities.locks {
        true => Check::ok("locks", Needed, "a lock keeps others out and dies with its holder"),
        false => Check::bad(
            "locks",
            Needed,
            "this file system does not keep two programs apart",
            "move the vault to a local disk, or never run two mvault commands at once",
        ),
    });
    replace_file(dir, "renamed", b"old", 0o644)?;
    replace_file(dir, "renamed", b"new", 0o644)?;
    checks.push(match dir.read("renamed", 16)?.as_slice() {
        b"new" => Check::ok("rename", Needed, "a file is replaced by another in one step"),
        _ => Check::bad(
            "rename",
            Needed,
            "a file that was renamed over another did not take its place",
            "move the vault to a local disk",
        ),
    });
    checks.push(check_folding(abilities, known));
    checks.push(match abilities.symlinks {
        true => Check::ok("symlinks", Useful, "symbolic links can be made"),
        false => Check::bad(
            "symlinks",
            Useful,
            "symbolic links cannot be made here",
            "links of other devices are kept in commits and are missing here; a disk of the system's own has them",
        ),
    });
    checks.push(match abilities.executable {
        true => Check::ok("executable", Useful, "the executable bit of files is kept"),
        false => Check::bad(
            "executable",
            Useful,
            "the executable bit of files is not kept here",
            "commits keep the bit as it was; start scripts by `sh FILE`",
        ),
    });
    Ok(checks)
}

fn check_folding(found: Abilities, known: Abilities) -> Check {
    let words = |folds: bool| if folds { "one file" } else { "two files" };
    let message = format!(
        "names that differ in letter case are {}, in Unicode form {}",
        words(found.folds_case),
        words(found.folds_unicode)
    );
    if (found.folds_case, found.folds_unicode) == (known.folds_case, known.folds_unicode) {
        return Check::ok("folding", Weight::Needed, message);
    }
    let message =
        format!("{message}; config.toml says otherwise: the vault was moved to another file system");
    Check::bad(
        "folding",
        Weight::Needed,
        message,
        "set folds-case and folds-unicode under [disk] in .mvault/config.toml to what was found",
    )
}

fn check_space(dot: &Dir) -> Result<Check> {
    let Some(bytes) = dot.free_bytes()? else {
        return Ok(Check::ok("space", Weight::Useful, "the file system does not say how much is free"));
    };
    let message = format!("{} MiB are free", bytes >> 20);
    Ok(if bytes >= FREE_BYTES_MIN {
        Check::ok("space", Weight::Useful, message)
    } else {
        Check::bad("space", Weight::Useful, message, "make room before the next commit")
    })
}

/// Nothing correct depends on the clock; what people read does.
fn check_clock(vault: &Vault) -> Check {
    let now = vault.env.clock.now();
    let last = vault.log.operations().next().and_then(|operation| operation.ok());
    let last = last.and_then(|operation| Moment::parse_rfc3339(&operation.at));
    let shown = now.rfc3339();
    let set = "set the clock; order and merging do not depend on it, the times that people read do";
    match last {
        _ if now.seconds() < CLOCK_FIRST_SECONDS => {
            Check::bad("clock", Weight::Useful, format!("the clock says {shown}, which is long past"), set)
        }
        Some(last) if now.seconds() < last.seconds() - CLOCK_SLACK_SECONDS => {
            let message = format!("the clock says {shown}; the last operation is from {}", last.rfc3339());
            Check::bad("clock", Weight::Useful, message, set)
        }
        _ => Check::ok("clock", Weight::Useful, format!("the clock says {shown}")),
    }
}

/// Tells which vault other devices reach when they name none.
pub fn check_default_vault(disk: &dyn Disk, home: &Path) -> Check {
    const NAME: &str = "default-vault";
    const HINT: &str = "set default_vault in ~/.config/mvault/config.toml to a vault's folder";
    match default_vault(disk, home) {
        Ok(Some(path)) => match super::find(disk, &home.join(&path)) {
            Ok(found) if found == path || disk.canonicalize(&path).is_ok_and(|path| path == found) => {
                Check::ok(NAME, Weight::Useful, format!("other devices find {}", crate::fs::shown(path)))
            }
            _ => Check::bad(
                NAME,
                Weight::Useful,
                format!("there is no vault in {}", crate::fs::shown(path)),
                HINT,
            ),
        },
        Ok(None) => Check::bad(NAME, Weight::Useful, "no vault is named as the default", HINT),
        Err(error) => Check::bad(NAME, Weight::Useful, super::verify::chain(&error), HINT),
    }
}
