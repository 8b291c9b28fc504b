//! `man`: the manual pages, one for the program and one a verb, made of the same definitions as the
//! help. Needs no vault.

use std::path::PathBuf;

use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::fs::replace_file;

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault man ~/.local/share/man/man1
  mvault man /tmp/pages && man /tmp/pages/mvault-hash.1")]
pub struct ManArgs {
    /// The folder to write them into; made if missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the pages.
pub fn run(cx: &mut Context<'_>, args: &ManArgs) -> CommandResult {
    let dir = cx.disk.create_dir_all(&cx.path(&args.dir))?;
    let mut names = Vec::new();
    let mut definition = (cx.definition)();
    definition.build();
    for (name, page) in pages(&definition)? {
        replace_file(&dir, &name, &page, 0o644)?;
        names.push(name);
    }
    if cx.ui.is_json() {
        cx.ui.json(&serde_json::json!({"dir": dir.path().to_string_lossy(), "pages": names}))?;
    } else {
        cx.ui.note(format_args!("{} pages written", names.len()));
    }
    Ok(Exit::Done)
}

/// Renders the program's page and those of all verbs, also of verbs within verbs.
fn pages(command: &clap::Command) -> Result<Vec<(String, Vec<u8>)>, CommandError> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    // The date is left out, so that the pages are the same whenever they are made.
    man.date("").render(&mut page).map_err(|error| CommandError::from_error(ErrorKind::Bug, &error))?;
    let mut all = vec![(format!("{name}.1"), with_examples(page))];
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        all.extend(pages(verb)?);
    }
    Ok(all)
}

/// Gives the examples their own section, set line by line.
fn with_examples(page: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&page);
    let Some((before, after)) = text.split_once(".SH EXTRA\nExamples:\n") else { return page };
    let (examples, rest) = match after.find("\n.SH ") {
        Some(at) => after.split_at(at + 1),
        None => (after, ""),
    };
    let examples = examples.trim_end();
    format!("{before}.SH EXAMPLES\n.nf\n{examples}\n.fi\n{rest}").into_bytes()
}
