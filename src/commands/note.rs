//! `note`: a line of text into an event stream.

use serde_json::{Map, Value};

use super::commit::{AllowArgs, session_id};
use super::{CommandError, CommandResult, Context, Exit};
use crate::object::{Json, JsonObject};
use crate::ui::json;
use crate::vault::{self, Access, Record, Recorded};

/// The longest text that is read from standard input.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Arguments of `note`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault note the client wants dates as printed   a note in this device's own stream
  mvault note --kind decision no stemmer          the same under another kind
  git log -1 --format=%s | mvault note            the text from standard input

A note is one line in events/DEVICE.jsonl, committed at once. Other files stay as they are.")]
pub struct NoteArgs {
    /// The text; without it, standard input is read
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// The stream: a word for events/WORD.jsonl, or a path that ends in .jsonl
    #[arg(long, value_name = "S")]
    stream: Option<String>,
    /// What kind of event this is
    #[arg(long, value_name = "K", default_value = "note")]
    kind: String,
    /// The agent's session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    #[command(flatten)]
    allow: AllowArgs,
}

/// Writes the note.
pub fn run(cx: &mut Context<'_>, args: &NoteArgs) -> CommandResult {
    let text = if args.text.is_empty() { from_stdin(cx)? } else { args.text.join(" ") };
    let text = text.trim_end();
    if text.trim().is_empty() {
        return Err(CommandError::usage("the note is empty").hint("mvault note TEXT…"));
    }
    let body = JsonObject::from_members(vec![("text".to_owned(), Json::from(text))]);
    let body = Json::Object(body.expect("one key is not doubled"));
    let (stream, session) = (args.stream.as_deref(), args.session.as_deref());
    write(cx, Entry { stream, kind: &args.kind, session, body, allow: &args.allow, operation: "note" })
}

fn from_stdin(cx: &Context<'_>) -> Result<String, CommandError> {
    String::from_utf8(cx.read_stdin(TEXT_BYTES_MAX)?).map_err(|_| {
        CommandError::usage("the text on standard input is not UTF-8")
            .hint("commit the bytes as a file, or convert them first")
    })
}

/// An event as it was asked for.
pub(super) struct Entry<'a> {
    pub stream: Option<&'a str>,
    pub kind: &'a str,
    pub session: Option<&'a str>,
    pub body: Json,
    pub allow: &'a AllowArgs,
    /// What the operation is called in the log.
    pub operation: &'static str,
}

/// Writes an event and tells about it.
pub(super) fn write(cx: &mut Context<'_>, entry: Entry<'_>) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    if let Some(text) = entry.session {
        vault.set_session(Some(session_id(text)?));
    }
    let stream = vault::stream_path(&vault, entry.stream)?;
    let (kind, operation) = (entry.kind.to_owned(), entry.operation);
    let allowed = entry.allow.parse(cx, &vault, &[])?;
    let record = Record { stream: stream.clone(), kind, body: entry.body, operation, allowed };
    let Recorded { event, commit, is_left_out } = vault::record(&mut vault, record)?;
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        let mut object = Map::new();
        object.insert("id".into(), event.id.to_string().into());
        object.insert("lamport".into(), event.lamport.0.into());
        object.insert("device".into(), event.device.as_str().into());
        object.insert("seq".into(), event.seq.into());
        json::put_path(&mut object, "stream", stream.as_bytes());
        object.insert("kind".into(), event.kind.as_str().into());
        object.insert("at".into(), event.at.as_str().into());
        object.insert("session".into(), event.session.as_ref().map(ToString::to_string).into());
        object.insert("commit".into(), commit.map(|id| id.to_string()).into());
        cx.ui.json(&Value::Object(object))?;
    } else {
        let id = event.id.short();
        cx.ui.line(format_args!("{id}  {} {} of {} in {stream}", event.kind, event.seq, event.device))?;
    }
    Ok(if is_left_out { Exit::Refused } else { Exit::Done })
}
