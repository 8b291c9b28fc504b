//! `serve`: the far end of the wire, started by another device's mvault through ssh.

use std::path::PathBuf;

use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::sync::drive::{Link, Patience};
use crate::sync::session::{Call, Opener, Server};
use crate::sync::{Refusal, RefusalKind, SyncError};
use crate::vault::config::default_vault;
use crate::vault::{self, Access, Verb};

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault serve --stdio                 what `mvault pull HOST:` runs on the other side
  command=\"mvault serve --stdio --read-only notes/vault\",restrict ssh-ed25519 …
                                       a line of authorized_keys: this key reads this vault, and no more

A PATH given here holds whatever the caller asks for.")]
pub struct ServeArgs {
    /// Speak on standard input and output
    #[arg(long, required = true)]
    stdio: bool,
    /// Change nothing here: no commit first, nothing received
    #[arg(long)]
    read_only: bool,
    /// The vault, whatever the caller asks for
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
}

/// Serves one session.
pub fn run(cx: &mut Context<'_>, args: &ServeArgs) -> CommandResult {
    let ended = |error: SyncError| {
        CommandError::new(ErrorKind::Unreachable, super::error::chain(&error))
            .hint("this command is started by another device's mvault")
    };
    let mut link = Link::answer(std::io::stdin(), std::io::stdout(), Patience::default()).map_err(ended)?;
    let verb = if args.read_only { Verb::ServeReadOnly } else { Verb::Serve };
    let pinned = args.path.as_ref().map(|path| cx.path(path));
    let home = cx.var("HOME").map(PathBuf::from);
    let options = cx.open_options(Access::Tree)?;
    let disk = cx.disk.clone();
    let opener: Opener<'_> = Box::new(move |call: &Call| {
        if args.read_only && call.intent.push {
            return Err(Refusal::new(RefusalKind::ReadOnly, "this vault is served read-only"));
        }
        let path = match (pinned, &call.path) {
            (Some(pinned), _) => pinned,
            (None, Some(asked)) => in_home(home.as_ref(), asked)?,
            (None, None) => home
                .as_ref()
                .and_then(|home| default_vault(&*disk, home).ok().flatten())
                .ok_or_else(|| no_default(&options.actor))?,
        };
        vault::opener_of(path, options, verb)(call)
    });
    let mut server = Server::new(opener);
    link.run(&mut server).map_err(ended)?;
    Ok(Exit::Done)
}

fn in_home(home: Option<&PathBuf>, asked: &str) -> Result<PathBuf, Refusal> {
    let asked = asked.strip_prefix("~/").unwrap_or(asked);
    match home {
        Some(home) => Ok(home.join(asked)),
        None if asked.starts_with('/') => Ok(asked.into()),
        None => Err(Refusal::new(RefusalKind::NotAVault, "this account has no home folder")
            .with_hint("name the vault by its whole path: HOST:/PATH")),
    }
}

fn no_default(user: &str) -> Refusal {
    let text = format!("the account {user} has no default vault");
    Refusal::new(RefusalKind::NoDefaultVault, text)
        .with_hint("name one: HOST:PATH; or set `default_vault` in ~/.config/mvault/config.toml there")
}
