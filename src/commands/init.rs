//! `init`: makes a vault of a folder.

use std::path::PathBuf;

use serde_json::json;

use super::{CommandError, CommandResult, Context, Exit};
use crate::object::DeviceName;
use crate::ui::harmless_line;
use crate::vault::config::offer_default_vault;
use crate::vault::{self, Access, InitOptions, Origin};

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault init                          a vault of this folder
  mvault init ~/continuity --device mac

Files that are there stay as they are and belong to the first commit. A second device gets its own copy
by `mvault clone`.")]
pub struct InitArgs {
    /// The folder; made if it is missing
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// This device's name: small letters, digits and dashes; the machine's name without it
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

/// Makes a vault.
pub fn run(cx: &mut Context<'_>, args: &InitArgs) -> CommandResult {
    let device = device_name(args.device.as_deref())?;
    let path = args.dir.as_ref().map_or_else(|| cx.dir.clone(), |dir| cx.path(dir));
    let options = cx.open_options(Access::Tree)?;
    let new = InitOptions { device: device.clone(), origin: Origin::New };
    let vault = vault::init(&path, new, options)?;
    remember_as_made(cx, &vault);
    remember_as_default(cx, &vault);
    let shown = vault.root().path().to_string_lossy().into_owned();
    if cx.ui.is_json() {
        let id = vault.config().vault.map(|id| id.to_string());
        cx.ui.json(&json!({"vault": shown, "device": device.as_str(), "id": id}))?;
    } else {
        let shown = harmless_line(vault.root().path().as_os_str().as_encoded_bytes());
        cx.ui.line(format_args!("a vault in {shown}, on the device {device}"))?;
        cx.ui.note("`mvault commit` keeps the files that are there");
    }
    Ok(Exit::Done)
}

/// Puts the vault on the list of those that were made on this device.
pub fn remember_as_made(cx: &mut Context<'_>, vault: &vault::Vault) {
    let path = vault.root().path();
    let at = cx.env.clock.now().rfc3339();
    let noted = cx.home().map(|home| vault::trust_vault(&*cx.disk, &home, path, at));
    let why = match noted {
        Some(Ok(_)) => return,
        Some(Err(error)) => super::error::chain(&error),
        None => "HOME is not set".to_owned(),
    };
    cx.ui.warn(format_args!(
        "hooks and MCP will not use this vault, because it was not noted as made here: {why}"
    ));
}

/// Names the vault as the one that other devices reach by this one's name alone, unless there is one.
pub fn remember_as_default(cx: &mut Context<'_>, vault: &vault::Vault) {
    let Some(home) = cx.var("HOME").map(PathBuf::from) else { return };
    let disk = cx.disk.clone();
    if let Err(error) = offer_default_vault(&*disk, &home, vault.root().path()) {
        cx.ui.warn(format_args!("this vault was not made the default one: {error}"));
    }
}

/// Returns the device's name that was given, or makes one from the machine's.
pub fn device_name(given: Option<&str>) -> Result<DeviceName, CommandError> {
    const FORM: &str = "a device name has 1 to 32 small letters, digits and dashes: --device NAME";
    match given {
        Some(text) => DeviceName::parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(40).flat_map(char::escape_default).collect();
            CommandError::usage(format!("{shown:?} cannot be a device's name")).hint(FORM)
        }),
        None => vault::device_name_from(&crate::fs::host_name()).ok_or_else(|| {
            CommandError::usage("this machine's name does not tell it from others").hint(FORM)
        }),
    }
}
