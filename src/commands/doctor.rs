//! `doctor`: what holds on this machine, and whether agents are told what the vault holds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::hooks::{Wiring, wirings};
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::agent::boot::{LastBoot, last_boot};
use crate::agent::transcript::{self, Delivery};
use crate::ui::harmless_line;
use crate::vault::{self, Access, Check, Trust, Weight};

/// The first git that reads repositories with SHA-256 ids.
const GIT_FIRST: (u32, u32) = (2, 29);

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault doctor                        tries locks, renames, names, links; looks for ssh and git
  mvault doctor --json                 checks[{name, ok, needed, message, hint}]

Ends with 1 if something fails that a vault needs. `mvault verify` checks what the vault keeps.")]
pub struct DoctorArgs {}

/// Tries what mvault needs of the machine and of the place of the vault.
pub fn run(cx: &mut Context<'_>, _args: &DoctorArgs) -> CommandResult {
    let mut last = None;
    let mut checks = match cx.open_vault(Access::Store) {
        Ok(vault) => {
            last = last_boot(&vault).unwrap_or_default();
            let place =
                format!("{}, on the device {}", crate::fs::shown(vault.root().path()), vault.config().device);
            let mut checks = vec![Check::ok("vault", Weight::Needed, place)];
            checks.push(check_trust(cx, vault.root().path()));
            match vault::examine(&vault) {
                Ok(tried) => checks.extend(tried),
                Err(error) => {
                    let message = super::error::chain(&error);
                    let hint = "check who owns .mvault, its permissions and whether the disk is full";
                    checks.push(Check::bad("disk", Weight::Needed, message, hint));
                }
            }
            checks
        }
        Err(error) if error.kind == ErrorKind::Untrusted => {
            let hint = "`mvault trust` confirms it, if you trust everything in it";
            vec![Check::bad("vault", Weight::Needed, error.message, hint)]
        }
        Err(error) if error.kind == ErrorKind::NotAVault => {
            let hint = error.hint.unwrap_or_else(|| "`mvault init` makes a vault here".into());
            vec![Check::bad("vault", Weight::Needed, error.message, hint)]
        }
        Err(error) => {
            let hint =
                error.hint.unwrap_or_else(|| "`mvault verify` looks at everything the vault keeps".into());
            vec![Check::bad("vault", Weight::Needed, error.message, hint)]
        }
    };
    if let Some(home) = cx.var("HOME") {
        checks.push(vault::check_default_vault(&*cx.disk, Path::new(home)));
    }
    checks.push(check_ssh(cx.var("MVAULT_SSH").unwrap_or("ssh")));
    checks.push(check_git());
    checks.extend(check_agents(cx));
    checks.extend(last.map(|last| check_delivery(cx, &last)));
    tell(cx, &checks)?;
    let is_fit = checks.iter().all(|check| check.is_ok || check.weight == Weight::Useful);
    Ok(if is_fit { Exit::Done } else { Exit::Failed })
}

fn tell(cx: &mut Context<'_>, checks: &[Check]) -> Result<(), CommandError> {
    if cx.ui.is_json() {
        let checks: Vec<Value> = checks
            .iter()
            .map(|check| {
                json!({
                    "name": check.name,
                    "ok": check.is_ok,
                    "needed": check.weight == Weight::Needed,
                    "message": check.message,
                    "hint": check.hint,
                })
            })
            .collect();
        return Ok(cx.ui.json(&json!({"checks": checks}))?);
    }
    for check in checks {
        let mark = match (check.is_ok, check.weight) {
            (true, _) => "ok  ",
            (false, Weight::Needed) => "FAIL",
            (false, Weight::Useful) => "no  ",
        };
        cx.ui.line(format_args!("{mark}  {:<13} {}", check.name, harmless_line(check.message.as_bytes())))?;
        if let Some(hint) = &check.hint {
            cx.ui.line(format_args!("                    {hint}"))?;
        }
    }
    Ok(())
}

/// Tells whether what acts by itself uses this vault.
fn check_trust(cx: &Context<'_>, path: &Path) -> Check {
    const NAME: &str = "trust";
    match vault::check_trust(&*cx.disk, path, &Trust::Program { home: cx.home() }) {
        Ok(()) => Check::ok(NAME, Weight::Useful, "made or confirmed on this device: hooks and MCP use it"),
        Err(error) => {
            let message = format!("hooks, MCP and `memory` do not use this vault: {error}");
            Check::bad(NAME, Weight::Useful, message, "if it is yours, run `mvault trust` here")
        }
    }
}

/// Looks at the settings of agents that are wired to mvault.
fn check_agents(cx: &Context<'_>) -> Vec<Check> {
    let hint = "`mvault hooks status` tells more; `mvault hooks install AGENT` mends what can be mended";
    let wirings = match wirings(cx, None, None) {
        Ok(wirings) => wirings,
        Err(error) => return vec![Check::bad("agents", Weight::Useful, error.message, hint)],
    };
    let mut checks = Vec::new();
    for Wiring { agent, look, .. } in wirings {
        let Some(standing) = look.standing.filter(|standing| !standing.found.is_empty()) else { continue };
        let (name, hooks) = (agent.as_str(), standing.found.len());
        if look.faults.is_empty() {
            let text = format!("{}: {hooks} hooks in {}", agent.title(), crate::fs::shown(&look.path));
            checks.push(Check::ok(name, Weight::Useful, text));
        }
        for fault in look.faults {
            let text = format!("{}: {} ({})", fault.code, fault.message, fault.hint);
            checks.push(Check::bad(name, Weight::Useful, text, hint));
        }
    }
    checks
}

/// Looks into the transcript of the last session that was told of this vault: was it delivered?
fn check_delivery(cx: &Context<'_>, last: &LastBoot) -> Check {
    const NAME: &str = "delivery";
    let session = &last.session.id;
    let path = PathBuf::from(last.session.transcript.clone().unwrap_or_default());
    let opened = path.parent().zip(path.file_name()).map(|(dir, name)| cx.disk.open_dir(dir)?.open(name));
    let found = opened.map(|file| file.and_then(|file| transcript::look(&file, &last.receipt)));
    let bad = |text: String, hint| Check::bad(NAME, Weight::Useful, text, hint);
    let again = "start a new session there and look again; a transcript is written late";
    match found {
        None => bad(format!("session {session} names no transcript"), again),
        Some(Err(error)) => {
            bad(format!("the transcript of session {session} cannot be read: {error}"), again)
        }
        Some(Ok(findings)) => match findings.delivery() {
            Delivery::Delivered => {
                Check::ok(NAME, Weight::Useful, format!("the boot of {} reached session {session}", last.at))
            }
            Delivery::Printed => bad(
                format!(
                    "the boot of {} was printed, and the model of session {session} did not get it",
                    last.at
                ),
                "the host dropped it: hooks in user settings are delivered, those of plugins sometimes are not",
            ),
            Delivery::Cancelled => bad(
                format!("the host ended the hook of session {session} before it answered"),
                "raise the timeout of the hook: `mvault hooks install AGENT` writes one that is enough",
            ),
            Delivery::Failed => {
                let why = findings.failed.first().cloned().unwrap_or_default();
                bad(format!("the hook of session {session} failed: {why}"), "run the hook by hand to see why")
            }
            Delivery::Absent => bad(
                format!("the transcript of session {session} says nothing of the boot of {}", last.at),
                again,
            ),
        },
    }
}

/// Returns the first line that a program prints about its version, on either stream.
fn version_of(program: &str, flag: &str) -> Result<String, std::io::Error> {
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}

fn check_ssh(program: &str) -> Check {
    match version_of(program, "-V") {
        Ok(version) => Check::ok("ssh", Weight::Useful, version),
        Err(error) => Check::bad(
            "ssh",
            Weight::Useful,
            format!("{program} cannot be started: {error}"),
            "install OpenSSH's client to reach other devices (`pkg install openssh` under Termux)",
        ),
    }
}

fn check_git() -> Check {
    let hint = "`mvault git export` works without git; a git since 2.29 is needed to read what it writes";
    match version_of("git", "--version") {
        Ok(version) if git_version(&version).is_some_and(|found| found >= GIT_FIRST) => {
            Check::ok("git", Weight::Useful, format!("{version} reads what `mvault git export` writes"))
        }
        Ok(version) => Check::bad("git", Weight::Useful, format!("{version:?} is too old"), hint),
        Err(error) => Check::bad("git", Weight::Useful, format!("git cannot be started: {error}"), hint),
    }
}

/// Reads `git version 2.47.3`.
fn git_version(text: &str) -> Option<(u32, u32)> {
    let numbers = text.strip_prefix("git version ")?;
    let mut parts = numbers.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git_are_read_as_vendors_write_them() {
        assert_eq!(git_version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(git_version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(git_version("git version 3.0-rc1"), Some((3, 0)));
        assert_eq!(git_version("gitoxide"), None);
    }
}
