//! `rejections` and `quarantine`: what was refused, and how it comes back.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::commit::session_id;
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::fs::FileReader;
use crate::gateway::Reason;
use crate::gateway::rejection::Rejection;
use crate::object::{SessionId, typed};
use crate::ui::{harmless, harmless_line, json};
use crate::vault::{self, Access, Quarantined, Restored, Vault};

/// Arguments of `rejections`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault rejections                    what was refused last: in the session that was refused something last
  mvault rejections --session 7c1e     in one session
  mvault rejections --all              everything, oldest first")]
pub struct RejectionsArgs {
    /// Of this session; `none` for what happened outside of any
    #[arg(long, value_name = "S", conflicts_with = "all")]
    session: Option<String>,
    /// Of all sessions
    #[arg(long)]
    all: bool,
}

/// Lists what was refused.
pub fn run(cx: &mut Context<'_>, args: &RejectionsArgs) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    warn_of_damage(cx, &vault)?;
    let sessions: Vec<Option<SessionId>> = match &args.session {
        Some(text) if text == "none" => vec![None],
        Some(text) => vec![Some(session_id(text)?)],
        None if args.all => vault.rejection_sessions()?,
        None => vault.rejection_sessions()?.into_iter().take(1).collect(),
    };
    let mut found = Vec::new();
    for session in &sessions {
        found.extend(vault.rejections(session.as_ref())?);
    }
    found.sort_by(|a, b| a.at.cmp(&b.at));
    if found.is_empty() && !cx.ui.is_json() {
        cx.ui.note("nothing was refused");
    }
    let mut last: Option<Option<String>> = None;
    for rejection in &found {
        if cx.ui.is_json() {
            cx.ui.json(&rejection_json(rejection))?;
            continue;
        }
        if last.as_ref() != Some(&rejection.session) {
            match &rejection.session {
                Some(session) => cx.ui.line(format_args!("session {}", harmless(session)))?,
                None => cx.ui.line("outside of any session")?,
            }
            last = Some(rejection.session.clone());
        }
        tell(cx, rejection)?;
    }
    Ok(Exit::Done)
}

/// Says which logs have damaged lines: what is shown is then not all there was.
fn warn_of_damage(cx: &mut Context<'_>, vault: &Vault) -> Result<(), CommandError> {
    for damaged in vault.damaged_files()?.iter().filter(|damaged| damaged.place.starts_with("rejections/")) {
        let place = harmless_line(damaged.place.as_bytes());
        cx.ui.warn(format_args!(".mvault/{place}: {}; `mvault repair` sets it aside", damaged.what()));
    }
    Ok(())
}

fn tell(cx: &mut Context<'_>, rejection: &Rejection) -> Result<(), CommandError> {
    let path = harmless_line(&rejection.path_bytes());
    let detail =
        rejection.detail.as_ref().map(|detail| format!(": {}", harmless(detail))).unwrap_or_default();
    let words = rejection.known_reason().map_or("refused", Reason::as_str);
    cx.ui.line(format_args!("  {}  {path}  {} ({words}{detail})", rejection.at, rejection.reason))?;
    if let (true, Some(sha256)) = (rejection.quarantined, &rejection.sha256) {
        let id = sha256.get(..10).unwrap_or(sha256);
        cx.ui.line(format_args!(
            "    kept as {id}; {} brings it back",
            typed("quarantine restore").word(id)
        ))?;
    }
    cx.ui.line(format_args!("    {}", harmless(&rejection.hint)))?;
    Ok(())
}

fn rejection_json(rejection: &Rejection) -> Value {
    let mut object = Map::new();
    object.insert("session".into(), json!(rejection.session));
    json::put_path(&mut object, "path", &rejection.path_bytes());
    object.insert("reason".into(), json!(rejection.reason));
    object.insert("sha256".into(), json!(rejection.sha256));
    object.insert("size".into(), json!(rejection.size));
    object.insert("offset".into(), json!(rejection.offset));
    object.insert("at".into(), json!(rejection.at));
    object.insert("detail".into(), json!(rejection.detail));
    object.insert("quarantined".into(), json!(rejection.quarantined));
    object.insert("hint".into(), json!(rejection.hint));
    Value::Object(object)
}

/// Arguments of `quarantine`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault quarantine list               what is kept, and why it was refused
  mvault quarantine show 3f2a9c        its bytes
  mvault quarantine restore 3f2a9c     back to its place, as an edit; add --commit to take it in as well
  mvault quarantine drop 3f2a9c --yes  remove it for good: this cannot be undone")]
pub struct QuarantineArgs {
    #[command(subcommand)]
    verb: QuarantineVerb,
}

#[derive(Debug, clap::Subcommand)]
enum QuarantineVerb {
    /// List what is kept
    List,
    /// Print the bytes of one
    Show {
        /// Its id: the beginning of the SHA-256 of its bytes
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Put one back where it was refused
    Restore {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
        /// To this place instead
        #[arg(long, value_name = "PATH")]
        to: Option<PathBuf>,
        /// Commit it as well, though it was refused
        #[arg(long)]
        commit: bool,
    },
    /// Remove one for good
    Drop {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
        /// Yes, for good
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the verb that was given.
pub fn run_quarantine(cx: &mut Context<'_>, args: &QuarantineArgs) -> CommandResult {
    match &args.verb {
        QuarantineVerb::List => list(cx),
        QuarantineVerb::Show { id } => show(cx, id),
        QuarantineVerb::Restore { id, to, commit } => restore(cx, id, to.as_ref(), *commit),
        QuarantineVerb::Drop { id, yes } => drop_one(cx, id, *yes),
    }
}

fn list(cx: &mut Context<'_>) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    warn_of_damage(cx, &vault)?;
    let kept = vault.quarantined()?;
    if kept.is_empty() && !cx.ui.is_json() {
        cx.ui.note("nothing is in quarantine");
    }
    for one in &kept {
        if cx.ui.is_json() {
            let rejections: Vec<Value> = one.rejections.iter().map(rejection_json).collect();
            cx.ui.json(&json!({"id": one.sha256, "size": one.size, "rejections": rejections}))?;
            continue;
        }
        let why = one.rejections.last().map_or("nothing is known of it".to_owned(), |rejection| {
            let path = harmless_line(&rejection.path_bytes());
            format!("{path}  {}  {}", rejection.reason, rejection.at)
        });
        cx.ui.line(format_args!("{}  {:>9}  {why}", &one.sha256[..10], one.size))?;
    }
    Ok(Exit::Done)
}

fn find(vault: &Vault, id: &str) -> Result<Quarantined, CommandError> {
    let shown = harmless_line(id.as_bytes());
    let mut found: Vec<Quarantined> =
        vault.quarantined()?.into_iter().filter(|one| one.sha256.starts_with(&id.to_lowercase())).collect();
    match found.len() {
        1 if id.len() >= 4 => Ok(found.remove(0)),
        0 | 1 => {
            Err(CommandError::new(ErrorKind::NotFound, format!("nothing in quarantine is called {shown}"))
                .hint("`mvault quarantine list` shows the ids; four digits are the least"))
        }
        n => Err(CommandError::new(ErrorKind::Ambiguous, format!("{n} in quarantine begin with {shown}"))
            .hint("give more digits")),
    }
}

fn show(cx: &mut Context<'_>, id: &str) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let one = find(&vault, id)?;
    if cx.ui.is_json() {
        let rejections: Vec<Value> = one.rejections.iter().map(rejection_json).collect();
        cx.ui.json(&json!({"id": one.sha256, "size": one.size, "rejections": rejections}))?;
        return Ok(Exit::Done);
    }
    let file = vault.open_quarantined(&one.sha256)?;
    let mut reader = FileReader::new(&file);
    std::io::copy(&mut reader, cx.ui.writer()).map_err(crate::ui::Error::from)?;
    Ok(Exit::Done)
}

fn restore(cx: &mut Context<'_>, id: &str, to: Option<&PathBuf>, commit: bool) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let one = find(&vault, id)?;
    let to = to.map(|path| cx.vault_path(&vault, path)).transpose()?;
    let Restored { path, saved, commit: committed } =
        vault::restore_quarantined(&mut vault, &one, to, commit)?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        let mut object = Map::new();
        object.insert("id".into(), one.sha256.clone().into());
        json::put_path(&mut object, "path", path.as_bytes());
        object.insert("saved".into(), json!(saved.map(|number| format!("saved/{number}"))));
        object.insert("commit".into(), json!(committed.map(|id| id.to_string())));
        cx.ui.json(&Value::Object(object))?;
        return Ok(Exit::Done);
    }
    match committed {
        Some(id) => cx.ui.line(format_args!("{}  {path} is back, and committed", id.short()))?,
        None => cx.ui.line(format_args!("{path} is back as it was, as an edit that is not committed"))?,
    }
    if let Some(number) = saved {
        cx.ui.line(format_args!("what stood there is kept as saved/{number}"))?;
    }
    Ok(Exit::Done)
}

fn drop_one(cx: &mut Context<'_>, id: &str, yes: bool) -> CommandResult {
    let mut vault = cx.open_vault(Access::Store)?;
    let one = find(&vault, id)?;
    if !yes {
        let text = format!("{} bytes would be gone for good; nothing was removed", one.size);
        return Err(CommandError::usage(text).hint(format!(
            "{} if that is what you want",
            typed("quarantine drop").word(&one.sha256[..10]).then("--yes")
        )));
    }
    vault::drop_quarantined(&mut vault, &one)?;
    if cx.ui.is_json() {
        cx.ui.json(&json!({"id": one.sha256, "size": one.size}))?;
    } else {
        cx.ui.line(format_args!("{} is gone", &one.sha256[..10]))?;
    }
    Ok(Exit::Done)
}
