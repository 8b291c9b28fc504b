//! `cat`: the bytes of one object, of any size and kind.

use serde_json::{Map, Value};

use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::object::{Kind, ObjectId, Prefix};
use crate::store::{self, OBJECT_IN_MEMORY_MAX};
use crate::ui::json;
use crate::vault::{self, Access, Vault};

/// Arguments of `cat`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault cat 3f2a91c0                  an id, or enough of its beginning
  mvault cat 3f2a91c0 > old.jsonl      bytes as they were committed, every one verified

`mvault show REV:PATH` finds a file by its name.")]
pub struct CatArgs {
    /// The object: at least 4 digits of its id
    id: String,
}

/// Prints an object.
pub fn run(cx: &mut Context<'_>, args: &CatArgs) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let id = find(&vault, &args.id)?;
    if cx.ui.is_json() {
        tell_json(cx, &vault, id)?;
        return Ok(Exit::Done);
    }
    content(cx, &vault, id)?;
    Ok(Exit::Done)
}

/// Writes an object's bytes: as they are, or made harmless where a terminal shows them.
pub(super) fn content(cx: &mut Context<'_>, vault: &Vault, id: ObjectId) -> Result<(), CommandError> {
    let mut out = cx.ui.content();
    let read = vault.store().read_to(id, &mut out);
    let ended = out.finish();
    match read {
        Ok(_) => Ok(ended?),
        Err(store::Error::Output(error)) => Err(crate::ui::Error::from(error).into()),
        Err(error) => Err(vault::Error::from(error).into()),
    }
}

/// Returns the one object that the digits stand for.
fn find(vault: &Vault, text: &str) -> Result<ObjectId, CommandError> {
    let prefix = Prefix::parse(text).map_err(|error| {
        CommandError::usage(error.to_string()).hint("`mvault show REV:PATH` finds a file by its name")
    })?;
    let found = vault.store().find_prefix(&prefix).map_err(vault::Error::from)?;
    match found.as_slice() {
        [id] => Ok(*id),
        [] => {
            Err(CommandError::new(ErrorKind::NotFound, format!("no object has the id {}", prefix.as_str()))
                .hint("`mvault log` shows the ids of commits, `mvault show` those of files"))
        }
        several => {
            let shown: Vec<String> = several.iter().map(ToString::to_string).collect();
            let message = format!("{} could be any of {}", prefix.as_str(), shown.join(", "));
            Err(CommandError::new(ErrorKind::Ambiguous, message).hint("type more digits of the one you mean"))
        }
    }
}

/// Tells kind and size, and the content where it fits into memory: `text` if it is UTF-8, else `base64`.
fn tell_json(cx: &mut Context<'_>, vault: &Vault, id: ObjectId) -> Result<(), CommandError> {
    let missing = || vault::Error::from(vault.store().missing(id));
    let (kind, size): (Kind, u64) =
        vault.store().try_info(id).map_err(vault::Error::from)?.ok_or_else(missing)?;
    let mut object = Map::new();
    object.insert("id".into(), id.to_string().into());
    object.insert("kind".into(), kind.as_str().into());
    object.insert("size".into(), size.into());
    if size <= OBJECT_IN_MEMORY_MAX {
        let found = vault.store().try_find(id).map_err(vault::Error::from)?.ok_or_else(missing)?;
        match std::str::from_utf8(&found.data) {
            Ok(text) => object.insert("text".into(), text.into()),
            Err(_) => object.insert("base64".into(), json::base64(&found.data).into()),
        };
    }
    Ok(cx.ui.json(&Value::Object(object))?)
}
