//! `doctor`: what holds on this machine.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::ui::harmless_line;
use crate::vault::{self, Access, Check, Weight};

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
    let mut checks = match cx.open_vault(Access::Store) {
        Ok(vault) => {
            let place = format!("{}, on the device {}", vault.root().path().display(), vault.config().device);
            let mut checks = vec![Check::ok("vault", Weight::Needed, place)];
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
        Err(error) if error.kind == ErrorKind::NotAVault => {
            let hint = "`mvault init` makes a vault here; `-C DIR` names another folder";
            vec![Check::bad("vault", Weight::Needed, error.message, hint)]
        }
        Err(error) => {
            let hint = "`mvault verify` looks at everything the vault keeps";
            vec![Check::bad("vault", Weight::Needed, error.message, hint)]
        }
    };
    if let Some(home) = cx.var("HOME") {
        checks.push(vault::check_default_vault(&*cx.disk, Path::new(home)));
    }
    checks.push(check_ssh(cx.var("MVAULT_SSH").unwrap_or("ssh")));
    checks.push(check_git());
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
        if let Some(hint) = check.hint {
            cx.ui.line(format_args!("                    {hint}"))?;
        }
    }
    Ok(())
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
