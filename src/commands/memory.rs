//! `memory`: the memory tool of a model's interface, one input a run.

use serde_json::json;

use super::commit::session_id;
use super::{Caller, CommandResult, Context, Exit};
use crate::agent::memory::{INPUT_BYTES_MAX, answer};
use crate::vault::Access;

/// Arguments of `memory`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  echo '{\"command\":\"view\",\"path\":\"/memories\"}' | mvault memory
                                       what is remembered
  echo '{\"command\":\"create\",\"path\":\"/memories/a.md\",\"file_text\":\"x\\n\"}' | mvault memory --json
                                       {\"content\":\"File created successfully at: /memories/a.md\",\"is_error\":false}

For programs that offer a model the tool {\"type\":\"memory_20250818\",\"name\":\"memory\"}: give the `input` of a
tool_use block on standard input; the answer is the content of the tool_result. /memories is the vault's
folder memories. Every change is a commit, so what is overwritten or deleted stays in the vault.
Exit code 1: the answer tells of a failure (is_error).")]
pub struct MemoryArgs {
    /// The agent's session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
}

/// Carries out one input.
pub fn run(cx: &mut Context<'_>, args: &MemoryArgs) -> CommandResult {
    // A model asks for it, in whatever folder its program runs.
    cx.caller = Caller::Program;
    let input = cx.read_stdin(INPUT_BYTES_MAX)?;
    let mut vault = cx.open_vault(Access::Tree)?;
    if let Some(text) = &args.session {
        vault.set_session(Some(session_id(text)?));
    }
    let told = answer(&mut vault, &input);
    cx.tell_notices(&mut vault);
    if cx.ui.is_json() {
        cx.ui.json(&json!({"content": told.content, "is_error": told.is_error}))?;
    } else {
        cx.ui.bytes(told.content.as_bytes())?;
        cx.ui.bytes(b"\n")?;
    }
    Ok(if told.is_error { Exit::Failed } else { Exit::Done })
}
