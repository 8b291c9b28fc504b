//! `handoff`: a task left for another agent or device.

use crate::object::typed;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::commit::{AllowArgs, session_id};
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::agent::handoff::{self, Envelope, Handoff, NewHandoff, State, Step, StepRequest, read_envelope};
use crate::ui::{harmless, harmless_line, time};
use crate::vault::{Access, Recorded, Vault};

/// The longest `handoff.json` that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Arguments of `handoff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault handoff create --to codex 'finish the parser' --context notes/parser.md --next 'add tests'
  mvault handoff list                  what is open or under way, yours first
  mvault handoff accept 3f2a           take it; of two who do so at once the same one has it everywhere
  mvault handoff complete 3f2a -m 'all tests pass'
  mvault handoff create --from-file handoff.json
                                       from a file that MirrorDNA wrote

A handoff is a line in events/handoffs.jsonl: it reaches other devices with the next pull, and agents
that start there are told.")]
pub struct HandoffArgs {
    #[command(subcommand)]
    verb: HandoffVerb,
}

#[derive(Debug, clap::Subcommand)]
enum HandoffVerb {
    /// Leave a task
    Create(CreateArgs),
    /// List tasks that were left
    List(ListArgs),
    /// Take a task
    Accept(AcceptArgs),
    /// Say that a task is done
    Complete(CompleteArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// The task, in a few words
    #[arg(value_name = "SUMMARY", required_unless_present = "from_file")]
    summary: Vec<String>,
    /// For whom: an agent (`codex`), a device (`pixel`), or both (`codex@pixel`); for anyone without it
    #[arg(long, value_name = "AGENT/DEVICE")]
    to: Option<String>,
    /// A file or folder to give along, as the last commit has it
    #[arg(long, value_name = "PATH")]
    context: Vec<PathBuf>,
    /// What to do next; may be given several times
    #[arg(long, value_name = "TEXT")]
    next: Vec<String>,
    /// Anything else that is worth a word
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
    /// Read the task from a handoff.json as MirrorDNA writes it
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    allow: AllowArgs,
}

/// Who acts.
#[derive(Debug, clap::Args)]
struct WhoArgs {
    /// Which agent this is; without it, that of the session
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The agent's session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Those that are done as well
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    who: WhoArgs,
}

#[derive(Debug, clap::Args)]
struct AcceptArgs {
    /// Its id, or the beginning of it
    #[arg(value_name = "ID")]
    id: String,
    /// Take it although another one has it
    #[arg(long)]
    take_over: bool,
    #[command(flatten)]
    who: WhoArgs,
}

#[derive(Debug, clap::Args)]
struct CompleteArgs {
    /// Its id, or the beginning of it
    #[arg(value_name = "ID")]
    id: String,
    /// What came of it
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    allow: AllowArgs,
}

/// Runs the verb that was given.
pub fn run(cx: &mut Context<'_>, args: &HandoffArgs) -> CommandResult {
    match &args.verb {
        HandoffVerb::Create(args) => create(cx, args),
        HandoffVerb::List(args) => list(cx, args),
        HandoffVerb::Accept(args) => accept(cx, args),
        HandoffVerb::Complete(args) => complete(cx, args),
    }
}

/// Opens the vault in the session that was named, and returns which agent acts.
fn open(
    cx: &mut Context<'_>,
    who: &WhoArgs,
    access: Access,
) -> Result<(Vault, Option<String>), CommandError> {
    let mut vault = cx.open_vault(access)?;
    if let Some(text) = &who.session {
        vault.set_session(Some(session_id(text)?));
    }
    let mut agent = who.agent.clone();
    if let (None, Some(id)) = (&agent, vault.session().cloned()) {
        agent = vault.find_session(&id)?.and_then(|session| session.agent);
    }
    Ok((vault, agent))
}

fn create(cx: &mut Context<'_>, args: &CreateArgs) -> CommandResult {
    let mut envelope = match &args.from_file {
        Some(file) => read_file(cx, file)?,
        None => Envelope::default(),
    };
    if !args.summary.is_empty() {
        envelope.summary = args.summary.join(" ");
    }
    if envelope.summary.trim().is_empty() {
        return Err(CommandError::usage("the task is empty").hint("mvault handoff create --to AGENT SUMMARY"));
    }
    envelope.to = args.to.clone().or(envelope.to);
    envelope.next.extend(args.next.iter().cloned());
    envelope.notes = args.notes.clone().or(envelope.notes);
    let (mut vault, agent) = open(cx, &args.who, Access::Tree)?;
    let mut context = cx.vault_paths(&vault, &args.context)?;
    if context.len() < args.context.len() {
        return Err(CommandError::usage("the whole vault is no context").hint("name files and folders"));
    }
    context.dedup();
    let allowed = args.allow.parse(cx, &vault, &[])?;
    let recorded = handoff::create(&mut vault, NewHandoff { envelope, context, agent, allowed })?;
    cx.tell_notices(&mut vault);
    tell(cx, &vault, &recorded, recorded.event.id.to_string())
}

fn read_file(cx: &Context<'_>, file: &std::path::Path) -> Result<Envelope, CommandError> {
    let path = cx.path(file);
    let shown = harmless_line(file.as_os_str().as_encoded_bytes());
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(CommandError::usage(format!("{shown} is no file")).hint("name a handoff.json"));
    };
    let bytes = cx.disk.open_dir(folder)?.read(name, FILE_BYTES_MAX)?;
    read_envelope(&bytes).ok_or_else(|| {
        CommandError::new(ErrorKind::Refused, format!("{shown} is no handoff; nothing was written")).hint(
            "it should be a JSON object with client, timestamp, action, pending, files_modified, verification, \
             next_client, notes",
        )
    })
}

fn accept(cx: &mut Context<'_>, args: &AcceptArgs) -> CommandResult {
    let (mut vault, agent) = open(cx, &args.who, Access::Tree)?;
    let found = handoff::find(&handoff::all(&vault)?, &args.id)?;
    let own = found.accepted.as_ref().filter(|step| {
        step.event.device == vault.config().device && (agent.is_none() || step.agent == agent)
    });
    if let Some(step) = own {
        let recorded = Recorded { event: step.event.clone(), commit: None, is_left_out: false };
        return tell(cx, &vault, &recorded, found.id.to_string());
    }
    let request = StepRequest { agent, takes_over: args.take_over, ..StepRequest::default() };
    let recorded = handoff::accept(&mut vault, &found, request)?;
    cx.tell_notices(&mut vault);
    tell(cx, &vault, &recorded, found.id.to_string())
}

fn complete(cx: &mut Context<'_>, args: &CompleteArgs) -> CommandResult {
    let (mut vault, agent) = open(cx, &args.who, Access::Tree)?;
    let found = handoff::find(&handoff::all(&vault)?, &args.id)?;
    let allowed = args.allow.parse(cx, &vault, &[])?;
    let request = StepRequest { agent, text: args.message.clone(), allowed, ..StepRequest::default() };
    let recorded = handoff::complete(&mut vault, &found, request)?;
    cx.tell_notices(&mut vault);
    tell(cx, &vault, &recorded, found.id.to_string())
}

/// Tells how a handoff stands after a step.
fn tell(cx: &mut Context<'_>, vault: &Vault, recorded: &Recorded, id: String) -> CommandResult {
    let found = handoff::find(&handoff::all(vault)?, &id)?;
    if cx.ui.is_json() {
        let mut object = handoff_json(&found);
        object["event"] = recorded.event.id.to_string().into();
        object["commit"] = recorded.commit.map(|id| id.to_string()).into();
        cx.ui.json(&object)?;
        return Ok(if recorded.is_left_out { Exit::Refused } else { Exit::Done });
    }
    let to = found.to.as_deref().unwrap_or("anyone");
    let summary = harmless(&found.summary).replace('\n', " ");
    let words = match (found.state(), &found.accepted) {
        (State::Open, _) => format!("for {}", harmless_line(to.as_bytes())),
        (State::Accepted, Some(step)) => format!("with {}", harmless_line(step.who().as_bytes())),
        _ => "completed".to_owned(),
    };
    cx.ui.line(format_args!("{}  {words}: {summary}", found.id.short()))?;
    Ok(if recorded.is_left_out { Exit::Refused } else { Exit::Done })
}

fn list(cx: &mut Context<'_>, args: &ListArgs) -> CommandResult {
    let (vault, agent) = open(cx, &args.who, Access::Store)?;
    let device = vault.config().device.to_string();
    let mut found = handoff::all(&vault)?;
    found.retain(|handoff| args.all || handoff.state() != State::Completed);
    found.sort_by_key(|handoff| !handoff.is_for(&device, agent.as_deref()));
    if found.is_empty() && !cx.ui.is_json() {
        cx.ui.note("no task is left; `mvault handoff create` leaves one");
    }
    let now = cx.env.clock.now();
    for handoff in &found {
        if cx.ui.is_json() {
            cx.ui.json(&handoff_json(handoff))?;
            continue;
        }
        for line in lines(handoff, &device, now) {
            cx.ui.line(line)?;
        }
    }
    Ok(Exit::Done)
}

fn lines(handoff: &Handoff, own: &str, now: crate::env::Moment) -> Vec<String> {
    let one_line = |text: &str| harmless_line(text.as_bytes());
    let plain = |text: &str| harmless(text).replace('\n', "\n    ");
    let at = |step: &Step| match crate::env::Moment::parse_rfc3339(&step.event.at) {
        Some(at) => time::relative(at.seconds(), now.seconds()),
        None => step.event.at.clone(),
    };
    let to = handoff.to.as_deref().unwrap_or("anyone");
    let mut lines = vec![format!(
        "{}  {:<9}  {} -> {}, {}",
        handoff.id.short(),
        handoff.state().as_str(),
        one_line(&handoff.made.who()),
        one_line(to),
        at(&handoff.made)
    )];
    lines.push(format!("    {}", plain(&handoff.summary)));
    lines.extend(handoff.next.iter().map(|next| format!("    next: {}", plain(next))));
    for file in &handoff.context {
        let id = file.id.as_deref().and_then(|id| id.get(..10));
        let id = id.map(|id| format!("  ({})", typed("cat").word(id))).unwrap_or_default();
        lines.push(format!("    context: {}{id}", plain(&file.path)));
    }
    let told = [("checked", &handoff.verification), ("notes", &handoff.notes)];
    lines.extend(
        told.into_iter().filter_map(|(word, text)| Some(format!("    {word}: {}", plain(text.as_deref()?)))),
    );
    if let Some(step) = &handoff.accepted {
        lines.push(format!("    with {}, {}", one_line(&step.who()), at(step)));
    }
    for step in handoff.lost.iter().filter(|step| step.event.device.as_str() == own) {
        let holder = handoff.accepted.as_ref().map_or("another".to_owned(), Step::who);
        lines.push(format!("    you accepted it as well ({}); {} has it", at(step), one_line(&holder)));
    }
    if let Some(step) = &handoff.completed {
        let text = step.text.as_ref().map(|text| format!(": {}", plain(text))).unwrap_or_default();
        lines.push(format!("    done by {}, {}{text}", one_line(&step.who()), at(step)));
    }
    lines
}

fn step_json(step: &Step) -> Value {
    json!({
        "id": step.event.id.to_string(),
        "device": step.event.device.as_str(),
        "agent": step.agent,
        "session": step.event.session.as_ref().map(ToString::to_string),
        "at": step.event.at,
        "lamport": step.event.lamport.0,
        "text": step.text,
    })
}

fn handoff_json(handoff: &Handoff) -> Value {
    let context: Vec<Value> =
        handoff.context.iter().map(|file| json!({"path": file.path, "id": file.id})).collect();
    let mut object = Map::new();
    object.insert("id".into(), handoff.id.to_string().into());
    object.insert("state".into(), handoff.state().as_str().into());
    object.insert("to".into(), json!(handoff.to));
    object.insert("from".into(), json!(handoff.made.agent));
    object.insert("device".into(), handoff.made.event.device.as_str().into());
    object.insert("session".into(), json!(handoff.made.event.session.as_ref().map(ToString::to_string)));
    object.insert("at".into(), handoff.made.event.at.as_str().into());
    object.insert("lamport".into(), handoff.made.event.lamport.0.into());
    object.insert("summary".into(), handoff.summary.as_str().into());
    object.insert("context".into(), context.into());
    object.insert("next".into(), json!(handoff.next));
    object.insert("verification".into(), json!(handoff.verification));
    object.insert("notes".into(), json!(handoff.notes));
    object.insert("accepted".into(), handoff.accepted.as_ref().map(step_json).into());
    object.insert("lost".into(), handoff.lost.iter().map(step_json).collect());
    object.insert("completed".into(), handoff.completed.as_ref().map(step_json).into());
    Value::Object(object)
}
