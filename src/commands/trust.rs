//! `trust`: which vaults may act on this device.

use crate::object::shell_word;
use std::path::PathBuf;

use serde_json::json;

use super::{CommandError, CommandResult, Context, ErrorKind, Exit, VaultStart};
use crate::ui::harmless_line;
use crate::vault::{self, Trusted};

/// Arguments of `trust`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault trust                         confirm the vault around this folder
  mvault trust /media/stick/notes      confirm a vault that belongs to another user
  mvault trust --list                  show the vaults that are trusted
  mvault trust --remove old-notes      stop trusting one

A vault that `init` or `clone` made on this device is trusted. Confirm one that you moved, restored from a backup, or carried here in another way. Hooks, MCP and `memory` use only trusted vaults. So does every command in a git checkout, and in a vault that belongs to another user.

Trust a vault only if you trust everything in it: an unfinished checkout in a trusted vault is carried out, and agents read its files.")]
pub struct TrustArgs {
    /// The vault; the one around this folder without it
    #[arg(value_name = "DIR", conflicts_with_all = ["list", "remove"])]
    dir: Option<PathBuf>,
    /// List the trusted vaults
    #[arg(long, conflicts_with = "remove")]
    list: bool,
    /// Stop trusting a vault; its folder may be gone
    #[arg(long, value_name = "DIR")]
    remove: Option<PathBuf>,
}

/// Confirms a vault, lists those that are confirmed, or takes one back.
pub fn run(cx: &mut Context<'_>, args: &TrustArgs) -> CommandResult {
    let home = cx.home().ok_or_else(|| {
        CommandError::new(ErrorKind::Failed, "HOME is not set, so there is no list of trusted vaults")
            .hint("set HOME to your home folder")
    })?;
    match (&args.remove, args.list) {
        (Some(dir), _) => remove(cx, &home, dir),
        (None, true) => list(cx, &home),
        (None, false) => add(cx, &home, args.dir.as_deref()),
    }
}

fn add(cx: &mut Context<'_>, home: &std::path::Path, dir: Option<&std::path::Path>) -> CommandResult {
    let found = match (dir, &cx.vault_start) {
        (None, VaultStart::Exactly(folder)) => folder.clone(),
        (None, VaultStart::Search(start)) => vault::find(&*cx.disk, start)?,
        (Some(dir), _) => vault::find(&*cx.disk, &cx.path(dir))?,
    };
    let trusted = vault::trust_vault(&*cx.disk, home, &found, cx.env.clock.now().rfc3339())?;
    if cx.ui.is_json() {
        cx.ui.json(&as_json(&trusted))?;
        return Ok(Exit::Done);
    }
    cx.ui.line(format_args!("trusted {}", shown(&trusted)))?;
    let me = cx.disk.user();
    if let Some(other) = [trusted.owner, trusted.folder_owner].into_iter().find(|owner| *owner != me) {
        cx.ui.warn(format_args!("it belongs to another user (uid {other}), who can change everything in it"));
    }
    Ok(Exit::Done)
}

fn list(cx: &mut Context<'_>, home: &std::path::Path) -> CommandResult {
    let trusted = vault::trusted_vaults(&*cx.disk, home)?;
    if trusted.is_empty() && !cx.ui.is_json() {
        cx.ui.note("no vault was made or confirmed on this device");
    }
    let me = cx.disk.user();
    for one in &trusted {
        if cx.ui.is_json() {
            cx.ui.json(&as_json(one))?;
            continue;
        }
        let owner = if one.owner == me { String::new() } else { format!("  (uid {})", one.owner) };
        let gone = if cx.disk.open_dir(&one.path).is_ok() { "" } else { "  (not there)" };
        cx.ui.line(format_args!("{}{owner}{gone}", shown(one)))?;
    }
    Ok(Exit::Done)
}

fn remove(cx: &mut Context<'_>, home: &std::path::Path, dir: &std::path::Path) -> CommandResult {
    let path = cx.path(dir);
    match vault::distrust_vault(&*cx.disk, home, &path)? {
        Some(removed) => {
            if cx.ui.is_json() {
                cx.ui.json(&as_json(&removed))?;
            } else {
                cx.ui.line(format_args!("no longer trusted: {}", shown(&removed)))?;
            }
            Ok(Exit::Done)
        }
        None => {
            let message = format!(
                "{} is not a trusted vault; nothing was changed",
                shell_word(path.as_os_str().as_encoded_bytes())
            );
            Err(CommandError::new(ErrorKind::NotFound, message)
                .hint("`mvault trust --list` shows those that are"))
        }
    }
}

fn shown(trusted: &Trusted) -> String {
    harmless_line(trusted.path.as_os_str().as_encoded_bytes()).to_string()
}

fn as_json(trusted: &Trusted) -> serde_json::Value {
    json!({
        "vault": trusted.path.to_string_lossy(),
        "id": trusted.vault.map(|id| id.to_string()),
        "owner": trusted.owner,
        "at": trusted.at,
    })
}
