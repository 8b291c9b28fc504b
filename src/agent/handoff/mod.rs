//! Handoffs: one agent leaves a task with its context for another agent or device.
//!
//! - Each step is an event in `events/handoffs.jsonl`: `handoff-create`, `handoff-accept`,
//!   `handoff-complete`. A handoff's id is that of the event that made it.
//! - How a handoff stands follows from the set of events alone, read in the total order (stamp, device, id).
//!   So when two accept at once, the first in that order has it, on every device; the other is told.
//! - Context is given by id: the blob that each file had when the task was left.
//! - Nobody is kept from anything by a wrong stream: lines that are no steps are passed over.

mod envelope;

pub use envelope::{Envelope, read_envelope};

use std::collections::BTreeMap;

use crate::events::{Event, EventId, Stream};
use crate::object::{BlobId, Json, JsonObject, Mode, Source, VaultPath, entry_at, typed};
use crate::vault::{self, Allowance, Error, ErrorKind, Record, Recorded, Result, Vault};

/// The stream of handoffs.
pub const STREAM: &str = "events/handoffs.jsonl";
/// The kind of the event that leaves a task.
pub const CREATE: &str = "handoff-create";
/// The kind of the event that takes one.
pub const ACCEPT: &str = "handoff-accept";
/// The kind of the event that says one is done.
pub const COMPLETE: &str = "handoff-complete";
/// The longest stream that is read, in bytes.
const STREAM_BYTES_MAX: u64 = 64 << 20;
/// The shortest beginning of an id that names a handoff.
const PREFIX_DIGITS_MIN: usize = 4;

/// How a handoff stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has taken it.
    Open,
    /// Somebody has it.
    Accepted,
    /// It is done.
    Completed,
}

impl State {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Accepted => "accepted",
            State::Completed => "completed",
        }
    }
}

/// A file of the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextFile {
    /// Where it was.
    pub path: String,
    /// The object it was: a blob, or the tree of a folder. None if it was in no commit.
    pub id: Option<String>,
}

/// A step that somebody took.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its event.
    pub event: Event,
    /// Which agent, as far as it was said.
    pub agent: Option<String>,
    /// What was said with it.
    pub text: Option<String>,
}

impl Step {
    fn of(event: &Event, body: &JsonObject) -> Step {
        Step { event: event.clone(), agent: text(body, "agent"), text: text(body, "text") }
    }

    /// Returns who took it: the device, with the agent if one is known.
    pub fn who(&self) -> String {
        match &self.agent {
            Some(agent) => format!("{agent} on {}", self.event.device),
            None => self.event.device.to_string(),
        }
    }
}

/// A handoff.
#[derive(Clone, Debug)]
pub struct Handoff {
    /// Its id.
    pub id: EventId,
    /// Who left it, and when.
    pub made: Step,
    /// For whom; none for anyone.
    pub to: Option<String>,
    /// The task in a few words.
    pub summary: String,
    /// What to read.
    pub context: Vec<ContextFile>,
    /// What to do next.
    pub next: Vec<String>,
    /// How what was done was checked.
    pub verification: Option<String>,
    /// Anything else.
    pub notes: Option<String>,
    /// Who has it.
    pub accepted: Option<Step>,
    /// Who wanted it and came second.
    pub lost: Vec<Step>,
    /// Who said it is done.
    pub completed: Option<Step>,
}

impl Handoff {
    /// Returns how it stands.
    pub fn state(&self) -> State {
        match (&self.accepted, &self.completed) {
            (_, Some(_)) => State::Completed,
            (Some(_), None) => State::Accepted,
            (None, None) => State::Open,
        }
    }

    /// Tells whether it is meant for this device or this agent; one for anyone is not.
    pub fn is_for(&self, device: &str, agent: Option<&str>) -> bool {
        let Some(to) = &self.to else { return false };
        let is_agent = |name: &str| {
            agent.is_some_and(|agent| {
                let short = agent.split('-').next().unwrap_or(agent);
                name.eq_ignore_ascii_case(agent) || name.eq_ignore_ascii_case(short)
            })
        };
        match to.split_once('@') {
            Some((name, place)) => is_agent(name) && place == device,
            None => to == device || is_agent(to),
        }
    }
}

/// A task that is to be left.
#[derive(Clone, Debug, Default)]
pub struct NewHandoff {
    /// What it says.
    pub envelope: Envelope,
    /// Files and folders of the vault to give along.
    pub context: Vec<VaultPath>,
    /// Which agent leaves it.
    pub agent: Option<String>,
    /// What a person lets through.
    pub allowed: Vec<Allowance>,
}

/// Reads all handoffs of the branch's head, the oldest first.
pub fn all(vault: &Vault) -> Result<Vec<Handoff>> {
    let tree = vault.tree_of(vault.head()?)?;
    let path = stream();
    let entry = entry_at(vault.store(), tree, &path)?;
    let Some(entry) = entry.filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable)) else {
        return Ok(Vec::new());
    };
    let size = vault.store().try_info(entry.id)?.map_or(0, |(_, size)| size);
    if size > STREAM_BYTES_MAX {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{STREAM} has {size} bytes, more than are read at once"),
            "move old lines to another stream",
        ));
    }
    let bytes = vault.store().find_blob(BlobId::new(entry.id))?;
    Ok(fold(Stream::parse(&bytes).events().filter_map(|(line, _)| line.event())))
}

/// Tells how handoffs stand after a set of events, whatever their order and however often each comes.
pub fn fold(events: impl Iterator<Item = Event>) -> Vec<Handoff> {
    let mut sorted: Vec<Event> = events.collect();
    sorted.sort_by(|a, b| (a.lamport, &a.device, a.id).cmp(&(b.lamport, &b.device, b.id)));
    sorted.dedup_by_key(|event| event.id);
    let mut handoffs: Vec<Handoff> = Vec::new();
    let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_source: BTreeMap<String, usize> = BTreeMap::new();
    for event in &sorted {
        let Some(body) = event.body.as_object() else { continue };
        if event.kind == CREATE {
            // The same file imported on two devices is one task: the first in the order has its id.
            let place = match text(body, "source").and_then(|source| by_source.get(&source).copied()) {
                Some(place) => place,
                None => {
                    handoffs.push(created(event, body));
                    handoffs.len() - 1
                }
            };
            by_id.insert(event.id.to_string(), place);
            if let Some(source) = text(body, "source") {
                by_source.insert(source, place);
            }
            continue;
        }
        let place = text(body, "handoff").and_then(|id| by_id.get(&id).copied());
        if let Some(place) = place {
            step(&mut handoffs[place], event, body);
        }
    }
    handoffs
}

fn step(handoff: &mut Handoff, event: &Event, body: &JsonObject) {
    let step = Step::of(event, body);
    match event.kind.as_str() {
        COMPLETE if handoff.completed.is_none() => handoff.completed = Some(step),
        ACCEPT => {
            let holder = handoff.accepted.as_ref().map(|step| step.event.id.to_string());
            let takes_over = holder.is_some() && text(body, "instead_of") == holder;
            match (&holder, handoff.completed.is_some()) {
                (None, false) => handoff.accepted = Some(step),
                (Some(_), false) if takes_over => handoff.lost.extend(handoff.accepted.replace(step)),
                _ => handoff.lost.push(step),
            }
        }
        _ => {}
    }
}

fn created(event: &Event, body: &JsonObject) -> Handoff {
    let list = |name: &str| match body.get(name) {
        Some(Json::Array(values)) => values.as_slice(),
        _ => &[],
    };
    let context = list("context").iter().filter_map(Json::as_object);
    Handoff {
        id: event.id,
        made: Step { event: event.clone(), agent: text(body, "from"), text: None },
        to: text(body, "to"),
        summary: text(body, "text").unwrap_or_default(),
        context: context
            .filter_map(|file| Some(ContextFile { path: text(file, "path")?, id: text(file, "id") }))
            .collect(),
        next: list("next").iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        verification: text(body, "verification"),
        notes: text(body, "notes"),
        accepted: None,
        lost: Vec::new(),
        completed: None,
    }
}

fn text(body: &JsonObject, name: &str) -> Option<String> {
    body.get(name).and_then(Json::as_str).map(str::to_owned)
}

/// Leaves a task.
pub fn create(vault: &mut Vault, new: NewHandoff) -> Result<Recorded> {
    let head = vault.head()?;
    let tree = vault.tree_of(head)?;
    let mut context = Vec::new();
    for path in &new.context {
        let Some(entry) = entry_at(vault.store(), tree, path)? else {
            return Err(Error::refused(
                ErrorKind::Refused,
                format!("{path} is in no commit, so nobody else could read it; nothing was handed off"),
                format!("{} first", typed("commit").path(path)),
            ));
        };
        context.push(ContextFile { path: path.to_string(), id: Some(entry.id.to_string()) });
    }
    let body = new.envelope.body(&context, &head.to_string(), new.agent.as_deref());
    record(vault, CREATE, body, new.allowed)
}

/// What is said with a step.
#[derive(Clone, Debug, Default)]
pub struct StepRequest {
    /// Which agent takes it.
    pub agent: Option<String>,
    /// What is said.
    pub text: Option<String>,
    /// Whether a handoff that somebody has is taken from them.
    pub takes_over: bool,
    /// What a person lets through.
    pub allowed: Vec<Allowance>,
}

/// Takes a task.
pub fn accept(vault: &mut Vault, handoff: &Handoff, request: StepRequest) -> Result<Recorded> {
    if let Some(done) = &handoff.completed {
        return Err(refuse(handoff, format!("was completed by {}", done.who()), "mvault handoff list --all"));
    }
    let holder = handoff.accepted.as_ref();
    if let (Some(holder), false) = (holder, request.takes_over) {
        let command = typed("handoff accept").word(handoff.id.short()).then("--take-over");
        let hint = format!("{command} takes it from them");
        return Err(refuse(handoff, format!("was accepted by {}", holder.who()), &hint));
    }
    let instead_of = holder.map(|holder| holder.event.id.to_string());
    let body = step_body(handoff, &request, instead_of);
    record(vault, ACCEPT, body, request.allowed)
}

/// Says that a task is done.
pub fn complete(vault: &mut Vault, handoff: &Handoff, request: StepRequest) -> Result<Recorded> {
    let device = &vault.config().device;
    if let Some(done) = &handoff.completed {
        return Err(refuse(
            handoff,
            format!("was completed by {} before", done.who()),
            "mvault handoff list --all",
        ));
    }
    let may = |step: &Step| step.event.device == *device;
    if let Some(holder) = &handoff.accepted
        && !may(holder)
        && !may(&handoff.made)
    {
        let command = typed("handoff accept").word(handoff.id.short()).then("--take-over");
        let hint = format!("{command} takes it from them");
        return Err(refuse(handoff, format!("is with {}", holder.who()), &hint));
    }
    let body = step_body(handoff, &request, None);
    record(vault, COMPLETE, body, request.allowed)
}

fn refuse(handoff: &Handoff, why: String, hint: &str) -> Error {
    let message = format!("handoff {} {why}; nothing was written", handoff.id.short());
    Error::refused(ErrorKind::Stale, message, hint)
}

fn step_body(handoff: &Handoff, request: &StepRequest, instead_of: Option<String>) -> Json {
    let members = [
        ("handoff", Some(handoff.id.to_string())),
        ("agent", request.agent.clone()),
        ("text", request.text.clone()),
        ("instead_of", instead_of),
    ];
    let members =
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.as_str().into())));
    Json::Object(JsonObject::from_members(members.collect()).expect("no key is doubled"))
}

/// Returns a step in words: which task was taken or done, and what was said with it. `None` for other events.
pub fn step_words(event: &Event) -> Option<String> {
    let body = event.body.as_object()?;
    let word = match event.kind.as_str() {
        ACCEPT => "took",
        COMPLETE => "completed",
        _ => return None,
    };
    let id = text(body, "handoff")?;
    let said = text(body, "text").map(|text| format!(": {text}")).unwrap_or_default();
    Some(format!("{word} {}{said}", id.get(..10).unwrap_or(&id)))
}

fn stream() -> VaultPath {
    VaultPath::parse(STREAM).expect("the stream has a valid path")
}

fn record(vault: &mut Vault, kind: &str, body: Json, allowed: Vec<Allowance>) -> Result<Recorded> {
    let record = Record { stream: stream(), kind: kind.to_owned(), body, operation: "handoff", allowed };
    vault::record(vault, record)
}

/// Finds the handoff that an id, or a beginning of one, names.
pub fn find(handoffs: &[Handoff], text: &str) -> Result<Handoff> {
    let prefix = text.to_lowercase();
    let is_id = prefix.len() >= PREFIX_DIGITS_MIN && prefix.bytes().all(|b| b.is_ascii_hexdigit());
    let found: Vec<&Handoff> =
        handoffs.iter().filter(|handoff| is_id && handoff.id.to_string().starts_with(&prefix)).collect();
    match found.as_slice() {
        [handoff] => Ok((*handoff).clone()),
        [] => Err(Error::refused(
            ErrorKind::UnknownRevision,
            format!("no handoff is called {:?} here", text.chars().take(64).collect::<String>()),
            "`mvault handoff list --all` shows them; an id needs at least 4 digits",
        )),
        several => Err(Error::refused(
            ErrorKind::AmbiguousRevision,
            format!("{} handoffs begin with {prefix}", several.len()),
            "type more digits of the one you mean",
        )),
    }
}

#[cfg(test)]
mod tests;
