//! The usual reasons why a boot does not arrive, found in a host's own files.
//!
//! Pure: text in, faults out. What a transcript proves stands in [`crate::agent::transcript`].

use crate::object::typed;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use toml_edit::{DocumentMut, Item};

use super::settings::{Found, Standing, State, standing, wanted};
use crate::agent::hooks::{Agent, Event, run::deadline};

/// What the program itself needs beside its deadline.
const SLACK: Duration = Duration::from_millis(500);

/// Something that keeps hooks from running, or soon may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A word for programs.
    pub code: &'static str,
    /// What was found.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Fault {
    /// Makes a fault.
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), hint: hint.into() }
    }
}

/// The files of a host, as text.
#[derive(Clone, Copy, Debug)]
pub struct HostFiles<'a> {
    /// The settings that hold hooks; empty if there is no such file.
    pub settings: &'a str,
    /// Where they are; Codex remembers trust by it.
    pub path: &'a Path,
    /// Codex's `config.toml` beside them.
    pub codex_config: Option<&'a str>,
}

/// Lists the faults, the gravest first.
pub fn faults(agent: Agent, files: HostFiles<'_>, program: &str) -> Vec<Fault> {
    let install = typed("hooks install").word(agent.as_str()).into_line();
    let standing = match standing(agent, files.settings, program) {
        Ok(standing) => standing,
        Err(error) => {
            let message = format!("the settings cannot be read: {error}");
            return vec![Fault::new("unreadable", message, "correct the file by hand")];
        }
    };
    let mut faults = Vec::new();
    let value: Value =
        serde_json::from_str(files.settings.trim_start_matches('\u{feff}')).unwrap_or_default();
    faults.extend(switched_off(agent, &value));
    match standing.state {
        State::Absent | State::Foreign => {
            faults.push(Fault::new("not-installed", "no hook of mvault is installed", install));
            return faults;
        }
        State::Partly => {
            let is_missing = |event: &Event| !standing.found.iter().any(|found| found.event == *event);
            let missing = wanted(agent, program).into_iter().map(|entry| entry.event).filter(is_missing);
            let missing: Vec<_> = missing.map(Event::as_str).collect();
            let message = format!("hooks are missing: {}", missing.join(", "));
            faults.push(Fault::new("partly", message, install.clone()));
        }
        State::Outdated => {
            let message = "the hooks are not as this mvault writes them";
            faults.push(Fault::new("outdated", message, install.clone()));
        }
        State::Installed => {}
    }
    for found in &standing.found {
        faults.extend(of_entry(agent, found, &install));
    }
    match agent {
        Agent::ClaudeCode => faults.extend(plugin_only(&value, &standing)),
        Agent::Codex => faults.extend(of_codex(files, &standing)),
        Agent::Cursor if value.get("version").and_then(Value::as_u64) != Some(1) => {
            let message = "the file has no \"version\": 1, Cursor ignores it";
            faults.push(Fault::new("version", message, "add \"version\": 1 at the top"));
        }
        Agent::Cursor | Agent::Gemini => {}
    }
    faults
}

/// Finds the switches by which a host runs no hooks at all.
fn switched_off(agent: Agent, settings: &Value) -> Option<Fault> {
    let is = |path: &str, wanted: bool| settings.pointer(path).and_then(Value::as_bool) == Some(wanted);
    let named = |path: &str| {
        let names = settings.pointer(path).and_then(Value::as_array);
        names.is_some_and(|names| {
            names.iter().filter_map(Value::as_str).any(|name| name.starts_with("mvault"))
        })
    };
    let (message, hint) = match agent {
        Agent::ClaudeCode if is("/disableAllHooks", true) => {
            ("\"disableAllHooks\" is on: no hook runs", "remove \"disableAllHooks\" from the settings")
        }
        Agent::ClaudeCode if is("/allowManagedHooksOnly", true) => {
            ("\"allowManagedHooksOnly\" is on: hooks of users do not run", "ask who manages this machine")
        }
        Agent::Gemini if is("/hooksConfig/enabled", false) || is("/hooks/enabled", false) => {
            ("hooks are switched off", "set \"hooksConfig\": {\"enabled\": true} in the settings")
        }
        Agent::Gemini if named("/hooksConfig/disabled") || named("/hooks/disabled") => {
            ("hooks of mvault are on the list of disabled ones", "remove them from that list")
        }
        _ => return None,
    };
    Some(Fault::new("hooks-off", message, hint))
}

fn of_entry(agent: Agent, found: &Found, install: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let event = found.event.as_str();
    if !Path::new(&found.program).is_absolute() {
        let message =
            format!("{event} runs {:?}, which a host started from a desktop may not find", found.program);
        faults.push(Fault::new("relative-command", message, install));
    }
    let need = (deadline(agent, found.event) + SLACK).as_secs_f64();
    match found.timeout_seconds(agent) {
        None => {
            let message = format!("{event} has no timeout: a stuck disk would hold the session for minutes");
            faults.push(Fault::new("timeout-missing", message, install));
        }
        Some(seconds) if seconds < need => {
            let message = format!("{event} may run {seconds} s and may need {need} s");
            faults.push(Fault::new("timeout-low", message, install));
        }
        Some(_) => {}
    }
    faults
}

/// Claude Code gives all hooks of a session's end 1.5 s together, unless one in a settings file asks for more;
/// a plugin's own timeout does not count.
fn plugin_only(settings: &Value, standing: &Standing) -> Option<Fault> {
    let plugins = settings.get("enabledPlugins").and_then(Value::as_object)?;
    let is_on = |(name, on): (&String, &Value)| name.starts_with("mvault@") && on.as_bool() == Some(true);
    let has_end = standing.found.iter().any(|found| found.event == Event::SessionEnd);
    (plugins.iter().any(is_on) && !has_end).then(|| {
        let message = "only the plugin hears of a session's end, and it is cut after 1.5 s";
        Fault::new("session-end-plugin-only", message, "mvault hooks install claude-code")
    })
}

/// Codex runs a hook only after it was trusted, by the hash of what stands at a place of a file, and skips it
/// without a word otherwise. The hash itself is Codex's own and not compared here.
fn of_codex(files: HostFiles<'_>, standing: &Standing) -> Vec<Fault> {
    let trust = "start codex, type /hooks and trust the hooks of mvault";
    let Some(document) = files.codex_config.and_then(|text| text.parse::<DocumentMut>().ok()) else {
        let message = "no hook is trusted yet: Codex skips such hooks in silence";
        return vec![Fault::new("untrusted", message, trust)];
    };
    let mut faults = Vec::new();
    let features = document.get("features");
    let is_off = |name: &str| features.and_then(|f| f.get(name)).and_then(Item::as_bool) == Some(false);
    if is_off("hooks") || is_off("codex_hooks") {
        let hint = "set hooks = true under [features] in config.toml";
        faults.push(Fault::new("hooks-off", "hooks are switched off in config.toml", hint));
    }
    let state = document.get("hooks").and_then(|hooks| hooks.get("state"));
    let is_trusted = |found: &&Found| {
        let key = format!(
            "{}:{}:{}:{}",
            crate::fs::shown(files.path),
            found.event.as_str().replace('-', "_"),
            found.place.0,
            found.place.1
        );
        let entry = state.and_then(|state| state.get(&key));
        let hash = entry.and_then(|entry| entry.get("trusted_hash")).and_then(Item::as_str);
        let is_on = entry.and_then(|entry| entry.get("enabled")).and_then(Item::as_bool) != Some(false);
        hash.is_some() && is_on
    };
    let untrusted: Vec<_> = standing.found.iter().filter(|found| !is_trusted(found)).collect();
    if !untrusted.is_empty() {
        let names: Vec<_> = untrusted.iter().map(|found| found.event.as_str()).collect();
        let message = format!("not trusted yet, so skipped in silence: {}", names.join(", "));
        faults.push(Fault::new("untrusted", message, trust));
    }
    faults
}

/// Tells whether Claude Code holds back all hooks in `folder` because nobody trusted it; `state` is the text of
/// `~/.claude.json`. Sessions by `-p` and the SDK count as trusted.
pub fn untrusted_folder(state: &str, folder: &Path) -> Option<Fault> {
    let state: Value = serde_json::from_str(state).ok()?;
    let projects = state.get("projects")?.as_object()?;
    let accepted = |folder: &Path| {
        let project = projects.get(folder.to_str()?)?;
        project.get("hasTrustDialogAccepted")?.as_bool()
    };
    let is_trusted = folder.ancestors().any(|folder| accepted(folder) == Some(true));
    (!is_trusted).then(|| {
        let message =
            format!("{} is not trusted: interactive sessions hold back every hook", crate::fs::shown(folder));
        Fault::new("untrusted-folder", message, "start claude there and accept the question")
    })
}
