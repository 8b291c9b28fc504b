//! Hook adapters: a host's JSON becomes one [`HookInput`], a [`Reply`] becomes exactly what that host takes.
//!
//! - Everything here is pure: bytes in, values out.
//! - Reading never fails. What is missing, of another type or no JSON at all leaves a gap and a line in
//!   [`HookInput::diagnostics`]; fields that nobody asked for are ignored.
//! - An answer is always one JSON object, valid for its host and event, `{}` where there is nothing to say.
//! - No string in an answer is above the hosts' cap, counted in characters or in UTF-16 units, and all
//!   text in it passed [`neutralise`].
//!
//! Each host's names stand in its own file, with the page they come from.

pub mod caps;
mod claude_code;
mod codex;
mod cursor;
mod gemini;
pub mod run;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::neutral::neutralise;
use crate::gateway::secrets;
use crate::object::{Kind, LenientJson, SessionId, hash_object};

/// How many bytes of a host's JSON are read; a last message longer than that is no message.
pub const STDIN_BYTES_MAX: usize = 8 << 20;

/// A host of agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Agent {
    /// Anthropic's Claude Code.
    ClaudeCode,
    /// OpenAI's Codex CLI.
    Codex,
    /// Google's Gemini CLI.
    Gemini,
    /// Cursor, the editor and its CLI.
    Cursor,
}

impl Agent {
    /// All hosts, in the order in which they are told.
    pub const ALL: [Agent; 4] = [Agent::ClaudeCode, Agent::Codex, Agent::Gemini, Agent::Cursor];
    /// Their words on the command line, in the same order.
    pub const WORDS: [&'static str; 4] = ["claude-code", "codex", "gemini", "cursor"];

    /// Returns the word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Agent::ClaudeCode => "claude-code",
            Agent::Codex => "codex",
            Agent::Gemini => "gemini",
            Agent::Cursor => "cursor",
        }
    }

    /// Returns the name that people use.
    pub fn title(self) -> &'static str {
        match self {
            Agent::ClaudeCode => "Claude Code",
            Agent::Codex => "Codex",
            Agent::Gemini => "Gemini CLI",
            Agent::Cursor => "Cursor",
        }
    }

    /// Parses a word of the command line.
    pub fn parse(word: &str) -> Option<Agent> {
        Agent::ALL.into_iter().find(|agent| agent.as_str() == word)
    }
}

/// What a host tells us of; the words of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A session begins, goes on, or has just been compacted.
    SessionStart,
    /// A turn is over.
    Stop,
    /// The context is about to be compacted.
    PreCompact,
    /// It has been compacted.
    PostCompact,
    /// The session is over.
    SessionEnd,
}

impl Event {
    /// All events, in the order of a session.
    pub const ALL: [Event; 5] =
        [Event::SessionStart, Event::Stop, Event::PreCompact, Event::PostCompact, Event::SessionEnd];

    /// Returns the word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Event::SessionStart => "session-start",
            Event::Stop => "stop",
            Event::PreCompact => "pre-compact",
            Event::PostCompact => "post-compact",
            Event::SessionEnd => "session-end",
        }
    }

    /// Parses a word of the command line.
    pub fn parse(word: &str) -> Option<Event> {
        Event::ALL.into_iter().find(|event| event.as_str() == word)
    }

    /// Returns what the host calls it, or `None` if it has no such event.
    pub fn host_name(self, agent: Agent) -> Option<&'static str> {
        match agent {
            Agent::ClaudeCode => Some(claude_code::event_name(self)),
            Agent::Codex => Some(codex::event_name(self)),
            Agent::Gemini => gemini::event_name(self),
            Agent::Cursor => cursor::event_name(self),
        }
    }
}

/// Why a session starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is new; also what is assumed when the host says nothing we know.
    Startup,
    /// An older one goes on.
    Resume,
    /// The context was cleared.
    Clear,
    /// The context was compacted.
    Compact,
    /// It was forked from another and remembers what that one knew.
    Fork,
}

/// Who asked for a compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A person.
    Manual,
    /// The host; also what is assumed when it says nothing we know.
    Auto,
}

/// What happened, with what the host tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A session starts.
    SessionStart {
        /// Why.
        source: Source,
    },
    /// A turn is over.
    Stop {
        /// What the agent said last, where the host tells.
        last_message: Option<String>,
    },
    /// The context is about to be compacted.
    PreCompact {
        /// Who asked for it.
        trigger: Trigger,
    },
    /// The context was compacted.
    PostCompact {
        /// What stayed of it, in the host's words.
        summary: Option<String>,
    },
    /// The session is over.
    SessionEnd {
        /// Why, in the host's word.
        reason: Option<String>,
    },
}

/// Who is speaking, as far as the host tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The host.
    pub agent: Agent,
    /// The session's id; one that is no id of ours is replaced by `host-` and a hash of it.
    pub session: Option<SessionId>,
    /// The subagent that speaks, if it is not the session itself.
    pub subagent: Option<String>,
    /// The current folder first, then the folders that are open.
    pub folders: Vec<PathBuf>,
    /// Where the host keeps the transcript. It is written late: never complete inside a hook.
    pub transcript: Option<PathBuf>,
    /// The model, where the host tells.
    pub model: Option<String>,
}

/// What a host said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookInput {
    /// Who.
    pub caller: Caller,
    /// What.
    pub happening: Happening,
    /// What was odd about it, a line each, for standard error.
    pub diagnostics: Vec<String>,
}

/// What the host's environment tells, for what its JSON leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The session's id (`CLAUDE_CODE_SESSION_ID`).
    pub session: Option<String>,
    /// The project's folder (`CLAUDE_PROJECT_DIR`, `GEMINI_PROJECT_DIR`, `CURSOR_PROJECT_DIR`).
    pub folder: Option<PathBuf>,
}

impl HookInput {
    /// Fills gaps from the environment.
    pub fn fill_from(&mut self, surroundings: &Surroundings) {
        if self.caller.session.is_none() {
            self.caller.session = surroundings.session.as_deref().and_then(session_id);
        }
        if let Some(folder) = &surroundings.folder
            && !self.caller.folders.contains(folder)
        {
            self.caller.folders.push(folder.clone());
        }
    }
}

/// What we have to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// For the model.
    pub context: Option<String>,
    /// For the person, one line.
    pub message: Option<String>,
}

impl Reply {
    /// Returns the same with all text harmless and within the caps; empty text becomes none.
    fn fitted(&self) -> Reply {
        let fit = |text: &Option<String>, units_max| {
            let text = neutralise(text.as_deref().unwrap_or_default());
            let text = caps::cut(&text, units_max);
            (!text.trim().is_empty()).then_some(text)
        };
        Reply {
            context: fit(&self.context, caps::CONTEXT_UNITS_MAX),
            message: fit(&self.message, caps::MESSAGE_UNITS_MAX),
        }
    }
}

/// Reads what a host said about `event`.
pub fn parse(agent: Agent, event: Event, stdin: &[u8]) -> HookInput {
    let mut fields = Fields::read(stdin);
    if let (Some(said), Some(expected)) = (fields.text(&["hook_event_name"]), event.host_name(agent))
        && !said.eq_ignore_ascii_case(expected)
    {
        fields.diagnostics.push(format!("{} said {said:?} where {expected} was asked for", agent.title()));
    }
    let mut folders: Vec<PathBuf> = fields.text(&["cwd"]).map(PathBuf::from).into_iter().collect();
    for folder in fields.texts("workspace_roots") {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let happening = match agent {
        Agent::ClaudeCode => claude_code::happening(event, &mut fields),
        Agent::Codex => codex::happening(event, &mut fields),
        Agent::Gemini => gemini::happening(event, &mut fields),
        Agent::Cursor => cursor::happening(event, &mut fields),
    };
    let caller = Caller {
        agent,
        session: fields.text(&["session_id", "conversation_id"]).as_deref().and_then(session_id),
        subagent: fields.text(&["agent_id", "subagent_id"]),
        folders,
        transcript: fields.text(&["transcript_path"]).map(PathBuf::from),
        model: fields.text(&["model"]),
    };
    HookInput { caller, happening, diagnostics: fields.diagnostics }
}

/// Writes what `agent` takes as the answer to `event`: one JSON object on one line.
pub fn answer(agent: Agent, event: Event, reply: &Reply) -> Vec<u8> {
    let reply = reply.fitted();
    let object = match agent {
        Agent::ClaudeCode => claude_code::answer(event, reply),
        Agent::Codex => codex::answer(event, reply),
        Agent::Gemini => gemini::answer(event, reply),
        Agent::Cursor => cursor::answer(event, reply),
    };
    let mut bytes = Value::Object(object).to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

/// Returns a host's session id as one of ours; `None` for an empty one. One that looks like a credential is replaced
/// as well: it would stay in the log.
fn session_id(text: &str) -> Option<SessionId> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let given = SessionId::parse(text).filter(|_| secrets::scan(text.as_bytes()).is_empty());
    given.or_else(|| {
        let hash = hash_object(Kind::Blob, text.as_bytes()).to_string();
        SessionId::parse(&format!("host-{}", &hash[..32]))
    })
}

/// The members of a host's object, read without ever failing.
struct Fields {
    members: Map<String, Value>,
    diagnostics: Vec<String>,
}

impl Fields {
    fn read(stdin: &[u8]) -> Fields {
        let mut fields = Fields { members: Map::new(), diagnostics: Vec::new() };
        if stdin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stdin).trim_ascii().is_empty() {
            fields.diagnostics.push("the host said nothing on standard input".to_owned());
            return fields;
        }
        let read = LenientJson::read(stdin);
        for oddity in &read.oddities {
            fields.diagnostics.push(format!("the host's JSON has {oddity}"));
        }
        let fault = read.fault_words();
        match (read.into_object(), fault) {
            (Some(members), fault) => {
                fields.members = members;
                let words = fault.map(|why| format!("the host's JSON is only used in part: {why}"));
                fields.diagnostics.extend(words);
            }
            (None, Some(why)) => fields.diagnostics.push(format!("what the host said is not JSON: {why}")),
            (None, None) => fields.diagnostics.push("what the host said is not a JSON object".to_owned()),
        }
        fields
    }

    /// Returns the first of `names` that is a text and not empty; null counts as missing.
    fn text(&mut self, names: &[&str]) -> Option<String> {
        for name in names {
            match self.members.get(*name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.is_empty() => {}
                Some(Value::String(text)) => return Some(text.clone()),
                Some(_) => self.diagnostics.push(format!("{name} is no text")),
            }
        }
        None
    }

    /// Returns the paths in a list of texts.
    fn texts(&mut self, name: &str) -> Vec<PathBuf> {
        match self.members.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(PathBuf::from).collect(),
            Some(_) => {
                self.diagnostics.push(format!("{name} is no list"));
                Vec::new()
            }
        }
    }

    fn source(&mut self) -> Source {
        match self.text(&["source"]).as_deref() {
            Some("resume") => Source::Resume,
            Some("clear") => Source::Clear,
            Some("compact") => Source::Compact,
            Some("fork") => Source::Fork,
            Some("startup") | None => Source::Startup,
            Some(other) => {
                self.diagnostics
                    .push(format!("a session source {other:?} is not known, taken for a new one"));
                Source::Startup
            }
        }
    }

    fn trigger(&mut self) -> Trigger {
        match self.text(&["trigger"]).as_deref() {
            Some("manual") => Trigger::Manual,
            _ => Trigger::Auto,
        }
    }
}

/// Puts a text into an object if there is one.
fn put(object: &mut Map<String, Value>, name: &str, text: Option<String>) {
    if let Some(text) = text {
        object.insert(name.to_owned(), Value::String(text));
    }
}

/// Returns the answer of hosts that took over Claude Code's shape of a session start.
fn session_start_answer(event_name: &str, reply: Reply) -> Map<String, Value> {
    let mut object = Map::new();
    put(&mut object, "systemMessage", reply.message);
    if let Some(context) = reply.context {
        let mut inner = Map::new();
        put(&mut inner, "hookEventName", Some(event_name.to_owned()));
        put(&mut inner, "additionalContext", Some(context));
        object.insert("hookSpecificOutput".to_owned(), Value::Object(inner));
    }
    object
}
