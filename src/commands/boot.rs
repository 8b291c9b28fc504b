//! `boot`: what an agent should know when it starts.

use serde_json::{Map, Value, json};

use super::{CommandResult, Context, Exit};
use crate::agent::boot::{BootRequest, SourceTold, boot};
use crate::agent::hooks::caps::BOOT_UNITS;
use crate::agent::hooks::run::BootKind;
use crate::ui::json;
use crate::vault::Access;

/// Arguments of `boot`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault boot                          what an agent is told when it starts
  mvault boot --budget 4000            in at most 4,000 characters
  mvault boot --json                   with sources, ids and coherence, for programs

The files named in vault.toml ([boot] files, by default continuity.md), what other devices added since the last
session here, what is open, and the newest distillates: each verified, in causal order. Hooks of agents do
this by themselves: `mvault hooks install AGENT`.")]
pub struct BootArgs {
    /// At most so many characters
    #[arg(long, value_name = "CHARS", default_value_t = BOOT_UNITS)]
    budget: usize,
    /// Who asks, for the receipt in the audit trail
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

/// Tells what an agent should know.
pub fn run(cx: &mut Context<'_>, args: &BootArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Store)?;
    let request = BootRequest { kind: BootKind::Full, units_max: args.budget, agent: args.agent.clone() };
    let told = boot(&mut vault, &request)?;
    cx.tell_notices(&mut vault);
    if !cx.ui.is_json() {
        cx.ui.bytes(told.text.as_bytes())?;
        return Ok(Exit::Done);
    }
    let sources: Vec<Value> = told.sources.iter().map(source_json).collect();
    cx.ui.json(&json!({
        "head": told.head.to_string(),
        "lamport": told.lamport.0,
        "coherence": told.coherence,
        "sources": sources,
        "receipt": told.receipt,
        "message": told.message,
        "text": told.text,
    }))?;
    Ok(Exit::Done)
}

fn source_json(source: &SourceTold) -> Value {
    let file = &source.file;
    let mut object = Map::new();
    json::put_path(&mut object, "path", file.path.as_bytes());
    object.insert("id".into(), json!(file.id.map(|id| id.to_string())));
    object.insert("verified".into(), file.is_verified.into());
    object.insert("healed".into(), json!(file.healed));
    object.insert("note".into(), json!(file.note));
    object.insert("omitted".into(), source.is_omitted.into());
    Value::Object(object)
}
