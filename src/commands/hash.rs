//! `hash`: the id a file would have in a vault. Needs no vault.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::fs::FileKind;
use crate::object::{Kind, ObjectHasher, ObjectId};
use crate::ui::{harmless_line, json};

/// Arguments of `hash`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault hash continuity.md            the id of the file's bytes
  mvault hash --json notes/*.md        one object a line: path, id, size

The id is git's: `git hash-object` in a SHA-256 repository prints the same.")]
pub struct HashArgs {
    /// The files; symbolic links are followed
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Prints the id that each file would have.
pub fn run(cx: &mut Context<'_>, args: &HashArgs) -> CommandResult {
    for file in &args.files {
        let (id, size) = hash_file(cx, file)?;
        if cx.ui.is_json() {
            let mut object = Map::new();
            json::put_path(&mut object, "path", file.as_os_str().as_encoded_bytes());
            object.insert("id".into(), id.to_string().into());
            object.insert("size".into(), size.into());
            cx.ui.json(&Value::Object(object))?;
        } else if args.files.len() == 1 {
            cx.ui.line(id)?;
        } else {
            cx.ui.line(format_args!("{id}  {}", harmless_line(file.as_os_str().as_encoded_bytes())))?;
        }
    }
    Ok(Exit::Done)
}

fn hash_file(cx: &Context<'_>, file: &Path) -> Result<(ObjectId, u64), CommandError> {
    let shown = harmless_line(file.as_os_str().as_encoded_bytes());
    let real = cx.disk.canonicalize(&cx.path(file))?;
    let not_a_file = || {
        CommandError::new(ErrorKind::Failed, format!("{shown} is not a regular file"))
            .hint("name the files: mvault hash FILE…")
    };
    let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else { return Err(not_a_file()) };
    let file = cx.disk.open_dir(parent)?.open(name)?;
    let stat = file.stat()?;
    if stat.kind != FileKind::File {
        return Err(not_a_file());
    }
    let mut hasher = ObjectHasher::new(Kind::Blob, stat.size);
    let mut buffer = vec![0; 1 << 16];
    let mut offset = 0;
    loop {
        let n = file.read_at(&mut buffer, offset)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        offset += n as u64;
    }
    if offset != stat.size {
        return Err(CommandError::new(ErrorKind::Failed, format!("{shown} changed while it was read"))
            .hint("run the command again when nobody writes to it"));
    }
    Ok((hasher.finish(), stat.size))
}
