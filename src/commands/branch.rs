//! `branch`, `switch` and `tag`: names for commits.

use serde_json::json;

use super::checkout::{files, outcome_json, tell_saved};
use super::{CommandError, CommandResult, Context, Exit};
use crate::oplog::Label;
use crate::vault::{self, Access};

/// Arguments of `branch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault branch                        list the branches
  mvault branch draft                  a new branch where the present one stands
  mvault branch draft main~2           … or elsewhere")]
pub struct BranchArgs {
    /// The new branch
    name: Option<String>,
    /// Where it begins; the present head without it
    #[arg(value_name = "REV")]
    revision: Option<String>,
}

/// Lists branches or makes one.
pub fn run_branch(cx: &mut Context<'_>, args: &BranchArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Store)?;
    let Some(name) = &args.name else {
        let present = vault.branch();
        for (label, id) in vault.log().refs().branches() {
            if cx.ui.is_json() {
                let value =
                    json!({"name": label.as_str(), "target": id.to_string(), "present": *label == present});
                cx.ui.json(&value)?;
            } else {
                let mark = if *label == present { "*" } else { " " };
                cx.ui.line(format_args!("{mark} {label}  {}", id.short()))?;
            }
        }
        return Ok(Exit::Done);
    };
    let label = parse_label(name)?;
    let target = match &args.revision {
        Some(revision) => vault.resolve(revision)?,
        None => vault.head()?,
    };
    vault::create_branch(&mut vault, &label, target)?;
    tell_name(cx, &label, target)
}

/// Arguments of `switch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault switch draft                  the files become those of the branch
  mvault switch --create draft         a new branch that begins here")]
pub struct SwitchArgs {
    /// The branch
    name: String,
    /// Make the branch
    #[arg(long, short)]
    create: bool,
}

/// Makes another branch the present one.
pub fn run_switch(cx: &mut Context<'_>, args: &SwitchArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let label = parse_label(&args.name)?;
    let create = if args.create { Some(vault.at()?) } else { None };
    let outcome = vault::switch(&mut vault, &label, create)?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        cx.ui.json(&outcome_json(&outcome))?;
    } else {
        cx.ui.line(format_args!("on {label} at {}: {}", outcome.head.short(), files(&outcome.moved)))?;
        tell_saved(cx, &outcome.moved)?;
    }
    Ok(Exit::Done)
}

/// Arguments of `tag`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault tag                           list the tags
  mvault tag before-move               name the present head
  mvault tag first main~9              … or another commit
  mvault tag --delete first            take the name away; the commit stays

Tags are this device's own.")]
pub struct TagArgs {
    /// The tag
    name: Option<String>,
    /// The commit to name; the present head without it
    #[arg(value_name = "REV")]
    revision: Option<String>,
    /// Take the name away
    #[arg(long, short, requires = "name", conflicts_with = "revision")]
    delete: bool,
}

/// Lists tags, sets one or takes one away.
pub fn run_tag(cx: &mut Context<'_>, args: &TagArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Store)?;
    let Some(name) = &args.name else {
        for (label, id) in vault.log().refs().tags() {
            if cx.ui.is_json() {
                cx.ui.json(&json!({"name": label.as_str(), "target": id.to_string()}))?;
            } else {
                cx.ui.line(format_args!("{label}  {}", id.short()))?;
            }
        }
        return Ok(Exit::Done);
    };
    let label = parse_label(name)?;
    if args.delete {
        let target = vault::delete_tag(&mut vault, &label)?;
        return tell_name(cx, &label, target);
    }
    let target = match &args.revision {
        Some(revision) => vault.resolve(revision)?,
        None => vault.head()?,
    };
    vault::create_tag(&mut vault, &label, target)?;
    tell_name(cx, &label, target)
}

fn tell_name(cx: &mut Context<'_>, label: &Label, target: crate::object::CommitId) -> CommandResult {
    if cx.ui.is_json() {
        cx.ui.json(&json!({"name": label.as_str(), "target": target.to_string()}))?;
    } else {
        cx.ui.line(format_args!("{label}  {}", target.short()))?;
    }
    Ok(Exit::Done)
}

fn parse_label(text: &str) -> Result<Label, CommandError> {
    Label::parse(text).map_err(|error| {
        CommandError::usage(error.to_string()).hint("names have letters, digits, dots, dashes and slashes")
    })
}
