//! A host's settings as text: what mvault's entries are, which are there, how they come and go.
//!
//! - Entries are known by what they run: a program called mvault with `hook AGENT EVENT`.
//! - Putting in appends, so that hooks of others keep their place and, for hosts that remember trust by
//!   place, their trust.
//! - Pure: text in, text out.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::json_text::{Node, Shape, TextError, append, parse, remove};
use crate::agent::hooks::{Agent, Event};

/// What a new settings file begins as.
pub(super) const EMPTY: &str = "{}\n";

/// Returns how long a host lets a hook run, in seconds. Boots of large vaults on slow disks need their time;
/// without a value a stuck hook would hold a session for minutes.
pub fn timeout_seconds(agent: Agent, event: Event) -> u64 {
    match (agent, event) {
        (Agent::Codex, Event::SessionEnd) => 3, // its own limit
        (_, Event::SessionStart) => 15,
        (_, Event::Stop | Event::PostCompact) => 10,
        (_, Event::PreCompact | Event::SessionEnd) => 20,
    }
}

/// Returns how many units of a host's `timeout` are a second.
pub fn timeout_units(agent: Agent) -> u64 {
    if agent == Agent::Gemini { 1000 } else { 1 }
}

/// An entry that mvault puts into a host's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The event.
    pub event: Event,
    /// What the host calls it.
    pub host_event: &'static str,
    /// Which kinds of the event, where the host wants to be told.
    pub matcher: Option<&'static str>,
    /// The handler as it stands in the settings.
    pub handler: Value,
}

impl Entry {
    /// Returns the item of the event's list.
    fn item(&self, agent: Agent) -> Value {
        if agent == Agent::Cursor {
            return self.handler.clone();
        }
        let mut group = Map::new();
        if let Some(matcher) = self.matcher {
            group.insert("matcher".to_owned(), matcher.into());
        }
        group.insert("hooks".to_owned(), json!([self.handler]));
        Value::Object(group)
    }
}

/// Returns the entries that a host needs; `program` is the absolute path of mvault.
pub fn wanted(agent: Agent, program: &str) -> Vec<Entry> {
    let entry = |event: Event| {
        Some(Entry {
            event,
            host_event: event.host_name(agent)?,
            matcher: matcher(agent, event),
            handler: handler(agent, event, program),
        })
    };
    Event::ALL.into_iter().filter_map(entry).collect()
}

fn matcher(agent: Agent, event: Event) -> Option<&'static str> {
    match (agent, event) {
        (Agent::ClaudeCode, Event::SessionStart) => Some("startup|resume|clear|compact|fork"),
        (Agent::ClaudeCode, Event::PreCompact) => Some("manual|auto"),
        _ => None,
    }
}

fn handler(agent: Agent, event: Event, program: &str) -> Value {
    let timeout = timeout_seconds(agent, event) * timeout_units(agent);
    let words = ["hook", agent.as_str(), event.as_str()];
    let line = || format!("{} {}", quote(program), words.join(" "));
    match agent {
        Agent::ClaudeCode if event == Event::SessionStart => json!({
            "type": "command", "command": program, "args": words, "timeout": timeout,
            "statusMessage": "mvault: verifying memory",
        }),
        Agent::ClaudeCode => {
            json!({"type": "command", "command": program, "args": words, "timeout": timeout})
        }
        Agent::Codex => json!({"type": "command", "command": line(), "timeout": timeout}),
        Agent::Gemini => json!({
            "name": format!("mvault-{}", event.as_str()), "type": "command", "command": line(), "timeout": timeout,
        }),
        Agent::Cursor => json!({"command": line(), "timeout": timeout}),
    }
}

/// How a host's settings stand to mvault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There are no hooks at all.
    Absent,
    /// There are hooks, none of them ours.
    Foreign,
    /// Some of ours are missing.
    Partly,
    /// All are there, but not as this mvault would write them.
    Outdated,
    /// All are there.
    Installed,
}

impl State {
    /// Returns the word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Absent => "absent",
            State::Foreign => "foreign",
            State::Partly => "partly",
            State::Outdated => "outdated",
            State::Installed => "installed",
        }
    }
}

/// One of our entries as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The event that it runs.
    pub event: Event,
    /// The host's event that it stands under.
    pub host_event: String,
    /// Its group's matcher.
    pub matcher: Option<String>,
    /// The program.
    pub program: String,
    /// The handler.
    pub handler: Value,
    /// The places of its group in the event's list and of its handler in the group.
    pub place: (usize, usize),
}

impl Found {
    /// Returns the timeout in seconds, if one is set.
    pub fn timeout_seconds(&self, agent: Agent) -> Option<f64> {
        let units = self.handler.get("timeout")?.as_f64()?;
        #[allow(clippy::cast_precision_loss)] // 1 or 1000
        Some(units / timeout_units(agent) as f64)
    }

    /// Tells whether it does what `entry` does: the same but for a timeout that was raised by hand.
    fn is(&self, entry: &Entry) -> bool {
        let timeout = |handler: &Value| handler.get("timeout").and_then(Value::as_f64);
        let raised = timeout(&self.handler) >= timeout(&entry.handler);
        let mut handler = self.handler.clone();
        if raised && let Some(members) = handler.as_object_mut() {
            members.insert("timeout".to_owned(), entry.handler["timeout"].clone());
        }
        self.host_event == entry.host_event
            && self.matcher.as_deref() == entry.matcher
            && handler == entry.handler
    }
}

/// What a settings file says about hooks.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// In one word.
    pub state: State,
    /// Our entries.
    pub found: Vec<Found>,
    /// How many handlers of others there are.
    pub foreign: usize,
}

/// Tells what a settings file says about hooks.
pub fn standing(agent: Agent, text: &str, program: &str) -> Result<Standing, TextError> {
    let text = or_empty(text);
    let root = parse(text)?;
    let (spots, foreign) = survey(agent, text, &root, program);
    let found: Vec<Found> = spots.into_iter().map(|spot| spot.found).collect();
    let wanted = wanted(agent, program);
    let is_there = |entry: &Entry| found.iter().any(|found| found.event == entry.event);
    let state = match () {
        () if found.is_empty() && foreign == 0 => State::Absent,
        () if found.is_empty() => State::Foreign,
        () if !wanted.iter().all(is_there) => State::Partly,
        () if found.len() != wanted.len() => State::Outdated,
        () if wanted.iter().all(|entry| found.iter().any(|found| found.is(entry))) => State::Installed,
        () => State::Outdated,
    };
    Ok(Standing { state, found, foreign })
}

/// Returns the text with our entries in it, and nothing else changed. Twice is once.
pub fn merge(agent: Agent, text: &str, program: &str) -> Result<String, TextError> {
    let text = or_empty(text);
    if standing(agent, text, program)?.state == State::Installed {
        return Ok(text.to_owned());
    }
    let mut text = strip(agent, text, program)?;
    if agent == Agent::Cursor && parse(&text)?.member("version").is_none() {
        let root = object(parse(&text)?, "the file")?;
        text = append(&text, &root, Some("version"), &json!(1));
    }
    for entry in wanted(agent, program) {
        text = put_in(agent, &text, &entry)?;
    }
    Ok(text)
}

pub(super) fn or_empty(text: &str) -> &str {
    if text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() { EMPTY } else { text }
}

pub(super) fn object(node: Node, at: &str) -> Result<Node, TextError> {
    match node.shape {
        Shape::Object(_) => Ok(node),
        _ => Err(TextError::Shape { at: at.to_owned(), expected: "an object" }),
    }
}

fn put_in(agent: Agent, text: &str, entry: &Entry) -> Result<String, TextError> {
    let root = object(parse(text)?, "the file")?;
    let item = entry.item(agent);
    let Some(hooks) = root.member("hooks") else {
        let mut hooks = Map::new();
        hooks.insert(entry.host_event.to_owned(), Value::Array(vec![item]));
        return Ok(append(text, &root, Some("hooks"), &Value::Object(hooks)));
    };
    let hooks = object(hooks.value.clone(), "hooks")?;
    match hooks.member(entry.host_event) {
        None => Ok(append(text, &hooks, Some(entry.host_event), &Value::Array(vec![item]))),
        Some(list) if matches!(list.value.shape, Shape::Array(_)) => {
            Ok(append(text, &list.value, None, &item))
        }
        Some(_) => Err(TextError::Shape { at: format!("hooks.{}", entry.host_event), expected: "a list" }),
    }
}

/// Returns the text without our entries, and without the groups and lists that held nothing else.
pub fn strip(agent: Agent, text: &str, program: &str) -> Result<String, TextError> {
    let mut text = text.to_owned();
    loop {
        let root = parse(&text)?;
        let (spots, _) = survey(agent, &text, &root, program);
        // The last first: the places of the others stay.
        let Some(spot) = spots.last() else { return Ok(text) };
        text = take_out(agent, &text, &root, spot);
    }
}

fn take_out(agent: Agent, text: &str, root: &Node, spot: &Spot) -> String {
    let hooks_at = root.members().iter().rposition(|member| member.key == "hooks").unwrap_or_default();
    let hooks = &root.members()[hooks_at].value;
    let list = &hooks.members()[spot.list_at].value;
    let (group_at, handler_at) = spot.found.place;
    if agent != Agent::Cursor
        && let Some(handlers) = list.items()[group_at].member("hooks")
        && handlers.value.items().len() > 1
    {
        return remove(text, &handlers.value, handler_at);
    }
    if list.items().len() > 1 {
        return remove(text, list, group_at);
    }
    if hooks.members().len() > 1 {
        return remove(text, hooks, spot.list_at);
    }
    remove(text, root, hooks_at)
}

/// One of our entries, and the place of its list among the events.
struct Spot {
    found: Found,
    list_at: usize,
}

/// Finds our entries, and counts those of others.
fn survey(agent: Agent, text: &str, root: &Node, program: &str) -> (Vec<Spot>, usize) {
    let (mut spots, mut foreign) = (Vec::new(), 0);
    let Some(hooks) = root.member("hooks") else { return (spots, foreign) };
    for (list_at, list) in hooks.value.members().iter().enumerate() {
        for (group_at, group) in list.value.items().iter().enumerate() {
            let value = group.value(text);
            let handlers = match agent {
                Agent::Cursor => vec![value.clone()],
                _ => value.get("hooks").and_then(Value::as_array).cloned().unwrap_or_default(),
            };
            for (handler_at, handler) in handlers.into_iter().enumerate() {
                let Some((event, own)) = ours(agent, &handler, program) else {
                    foreign += 1;
                    continue;
                };
                let matcher = value.get("matcher").and_then(Value::as_str).map(str::to_owned);
                let place = (group_at, handler_at);
                let host_event = list.key.clone();
                let found = Found { event, host_event, matcher, program: own, handler, place };
                spots.push(Spot { found, list_at });
            }
        }
    }
    (spots, foreign)
}

/// Tells the event and the program of a handler that is ours.
fn ours(agent: Agent, handler: &Value, program: &str) -> Option<(Event, String)> {
    let command = handler.get("command")?.as_str()?;
    let words = match handler.get("args").and_then(Value::as_array) {
        Some(args) => {
            let args = args.iter().filter_map(Value::as_str).map(str::to_owned);
            std::iter::once(command.to_owned()).chain(args).collect()
        }
        None => split(command),
    };
    let (first, rest) = words.split_first()?;
    let is_mvault = Path::new(first).file_stem().is_some_and(|name| name == "mvault");
    let at = rest.iter().position(|word| word == "hook")?;
    let (host, event) = (rest.get(at + 1)?, Event::parse(rest.get(at + 2)?)?);
    let is_host = host == agent.as_str() || (agent == Agent::ClaudeCode && host == "claude");
    ((is_mvault || first == program) && is_host).then(|| (event, first.clone()))
}

/// Quotes a word for a POSIX shell, where it must be.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./+@%:,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Splits a line into words as a POSIX shell does, without looking into `$` and the like.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut quoted: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quoted, c) {
            (Some(mark), c) if c == mark => quoted = None,
            (None, '\'' | '"') => {
                quoted = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What uninstalling makes of a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uninstalled {
    /// There was nothing of ours.
    Nothing,
    /// The file is as it was before mvault: these bytes.
    Restored(String),
    /// The file was changed since; only our entries went.
    Edited(String),
    /// Nothing is left of a file that mvault made.
    Gone,
}

/// Takes our entries out; `backup` is the file as it was before mvault.
pub fn unmerge(
    agent: Agent,
    text: &str,
    backup: Option<&str>,
    program: &str,
) -> Result<Uninstalled, TextError> {
    let found = standing(agent, text, program)?.found;
    let Some(first) = found.first() else { return Ok(Uninstalled::Nothing) };
    if let Some(backup) = backup
        && merge(agent, backup, &first.program).is_ok_and(|again| again == text)
    {
        return Ok(Uninstalled::Restored(backup.to_owned()));
    }
    let left = strip(agent, text, program)?;
    let root = parse(&left)?;
    let is_bare = root.members().iter().all(|member| agent == Agent::Cursor && member.key == "version");
    Ok(if backup.is_none() && is_bare { Uninstalled::Gone } else { Uninstalled::Edited(left) })
}
