//! The user's editor over both versions of a file in conflict. What is edited is a file beside the store
//! with both versions in it, never the file in the working tree.

use std::process::Command;

use super::{CommandError, Context, ErrorKind};
use crate::object::VaultPath;
use crate::vault::{self, Vault};

const FOLDER: &str = "tmp";
const EDITED_BYTES_MAX: u64 = 64 << 20;
const RULER: &str = "=====";

/// Lets the user edit both versions of `path` and returns what they left.
pub fn edit_conflict(cx: &Context<'_>, vault: &Vault, path: &VaultPath) -> Result<Vec<u8>, CommandError> {
    let pending = vault::pending(vault)?;
    let conflict = pending.conflicts.iter().find(|c| c.path == *path).ok_or_else(|| {
        CommandError::new(ErrorKind::NotFound, format!("{path} is not in conflict"))
            .hint("`mvault conflicts` lists what is")
    })?;
    let mut text = Vec::new();
    for side in &conflict.sides {
        let Some(entry) = side.entry.filter(merge_file) else { continue };
        let who = side.device.as_ref().map_or_else(|| side.commit.short(), ToString::to_string);
        text.extend(format!("{RULER} {who} {RULER} remove this line\n").bytes());
        text.extend_from_slice(&conflict.read(vault.store(), entry)?);
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
    }
    let name = crate::fs::owned_name("resolve", "");
    let folder = vault.dot().open_or_create_dir(FOLDER)?;
    crate::fs::replace_file(&folder, &name, &text, 0o600)?;
    let edited =
        run_editor(cx, &folder.path().join(&name)).and_then(|()| Ok(folder.read(&name, EDITED_BYTES_MAX)?));
    folder.remove_file(&name)?;
    let edited = edited?;
    let is_ruler = |line: &[u8]| line.starts_with(RULER.as_bytes()) && line.ends_with(b"remove this line");
    if edited.split(|b| *b == b'\n').any(is_ruler) {
        return Err(CommandError::new(ErrorKind::Failed, "the lines between the versions are still there")
            .hint("edit again and remove them; nothing was chosen"));
    }
    Ok(edited)
}

fn merge_file(entry: &crate::object::Entry) -> bool {
    entry.is_file()
}

fn run_editor(cx: &Context<'_>, file: &std::path::Path) -> Result<(), CommandError> {
    let editor = ["MVAULT_EDITOR", "VISUAL", "EDITOR"].iter().find_map(|name| cx.var(name)).unwrap_or("vi");
    // As git does: the setting is a shell command, the file its argument.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(file).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(CommandError::new(ErrorKind::Failed, format!("the editor ended with {status}"))
            .hint("nothing was chosen; `--with FILE` takes a file's content")),
        Err(error) => Err(CommandError::new(ErrorKind::Failed, format!("cannot start {editor:?}: {error}"))
            .hint("set EDITOR to a program that is there, or use --with FILE")),
    }
}
