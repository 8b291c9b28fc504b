//! `show`: a commit with what it changed, or a file as it was.

use serde_json::{Map, Value, json};

use super::changes::{changes_json, tell_patch};
use super::telling::{Names, commit_json, in_full};
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::object::{CommitId, Entry, Kind, Mode, Source, TreeId, VaultPath, entry_at, typed};
use crate::ui::{harmless_line, json as shapes};
use crate::vault::difference::between;
use crate::vault::{Access, Vault};

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault show                          the newest commit and what it changed
  mvault show main~2                   an older one
  mvault show v1:continuity.md         the file's bytes as they were, nothing added
  mvault show '@{yesterday}:notes'     the names in a folder")]
pub struct ShowArgs {
    /// The commit, or a file or folder in it; the present head without it
    #[arg(value_name = "REV[:PATH]", default_value = "HEAD")]
    what: String,
}

/// Shows it.
pub fn run(cx: &mut Context<'_>, args: &ShowArgs) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let (revision, path) = split_path(&args.what);
    let revision = if revision.is_empty() { "HEAD" } else { revision };
    let id = vault.resolve(revision)?;
    match path {
        None => show_commit(cx, &vault, id),
        Some(path) => show_path(cx, &vault, id, revision, path),
    }
}

/// Splits `REV:PATH` at the colon that is part of neither `op:N` nor a time in braces.
pub(super) fn split_path(what: &str) -> (&str, Option<&str>) {
    let skip = if what.starts_with("op:") { 3 } else { 0 };
    let mut depth = 0_usize;
    for (at, c) in what.char_indices().skip_while(|(at, _)| *at < skip) {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => return (&what[..at], Some(&what[at + 1..])),
            _ => {}
        }
    }
    (what, None)
}

fn show_commit(cx: &mut Context<'_>, vault: &Vault, id: CommitId) -> CommandResult {
    let commit = vault.store().find_commit(id)?;
    let parent_tree = match commit.parents.first() {
        Some(parent) => vault.tree_of(*parent)?,
        None => TreeId::empty(),
    };
    let differences = between(vault, parent_tree, commit.tree, &[])?;
    if cx.ui.is_json() {
        let mut object = commit_json(id, &commit);
        object["changes"] = changes_json(vault, &differences)?.into();
        cx.ui.json(&object)?;
        return Ok(Exit::Done);
    }
    cx.ui.page()?;
    let now = cx.env.clock.now().seconds();
    let mut text = String::new();
    in_full(&mut text, id, &commit, &Names::of(vault), now, cx.ui.palette())
        .expect("a string takes everything");
    cx.ui.bytes(text.as_bytes())?;
    if commit.parents.len() > 1 {
        let first = commit.parents[0].short();
        cx.ui.note(format_args!("compared with the first of its parents, {first}"));
    }
    tell_patch(cx, vault, &differences)?;
    Ok(Exit::Done)
}

fn show_path(cx: &mut Context<'_>, vault: &Vault, id: CommitId, revision: &str, path: &str) -> CommandResult {
    let tree = vault.tree_of(id)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return show_folder(cx, vault, tree);
    }
    let missing = |why: String| {
        CommandError::new(ErrorKind::NotFound, why)
            .hint(format!("{} lists what is there", typed("show").pair(revision, "")))
    };
    let path = VaultPath::parse(path)
        .map_err(|error| missing(format!("{}: {error}", harmless_line(path.as_bytes()))))?;
    match entry_at(vault.store(), tree, &path)? {
        None => Err(missing(format!("{path} is not in {}", id.short()))),
        Some(entry) if entry.mode.is_tree() => show_folder(cx, vault, TreeId::new(entry.id)),
        Some(entry) => show_file(cx, vault, &path, &entry),
    }
}

fn show_folder(cx: &mut Context<'_>, vault: &Vault, tree: TreeId) -> CommandResult {
    for entry in vault.store().find_tree(tree)?.entries() {
        if cx.ui.is_json() {
            let mut object = Map::new();
            shapes::put_path(&mut object, "path", &entry.name);
            object.insert("mode".into(), entry.mode.as_octal().into());
            object.insert("id".into(), entry.id.to_string().into());
            cx.ui.json(&Value::Object(object))?;
        } else {
            let slash = if entry.mode.is_tree() { "/" } else { "" };
            cx.ui.line(format_args!("{}{slash}", harmless_line(&entry.name)))?;
        }
    }
    Ok(Exit::Done)
}

fn show_file(cx: &mut Context<'_>, vault: &Vault, path: &VaultPath, entry: &Entry) -> CommandResult {
    if !cx.ui.is_json() {
        // Every block is checked before it is written, the whole at the end.
        super::cat::content(cx, vault, entry.id)?;
        return Ok(Exit::Done);
    }
    let bytes = vault.store().find(entry.id, Kind::Blob)?.data;
    let mut object = Map::new();
    shapes::put_path(&mut object, "path", path.as_bytes());
    object.insert("mode".into(), entry.mode.as_octal().into());
    object.insert("id".into(), entry.id.to_string().into());
    object.insert("size".into(), bytes.len().into());
    object.insert("symlink".into(), (entry.mode == Mode::Symlink).into());
    match std::str::from_utf8(&bytes) {
        Ok(text) => object.insert("content".into(), json!(text)),
        Err(_) => object.insert("content_bytes".into(), shapes::base64(&bytes).into()),
    };
    cx.ui.json(&Value::Object(object))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::split_path;

    #[test]
    fn the_colon_of_times_and_operations_is_no_separator() {
        assert_eq!(split_path("main"), ("main", None));
        assert_eq!(split_path("main:a/b:c"), ("main", Some("a/b:c")));
        assert_eq!(split_path("op:17"), ("op:17", None));
        assert_eq!(split_path("op:17~1:a"), ("op:17~1", Some("a")));
        assert_eq!(split_path("@{2026-11-22 10:00}:a"), ("@{2026-11-22 10:00}", Some("a")));
        assert_eq!(split_path(":a"), ("", Some("a")));
        assert_eq!(split_path("main:"), ("main", Some("")));
    }
}
