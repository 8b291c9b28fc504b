//! Registers `mvault mcp` as a server of tools with a host, in the file in which the host keeps its servers, and
//! takes that back.
//!
//! - Claude Code: `.claude.json` of the user, `.mcp.json` of a project; Gemini CLI: the settings that hold its
//!   hooks; Cursor: `mcp.json`; these have an object `mcpServers`. Codex: a table `mcp_servers` in `config.toml`.
//! - An entry that is there keeps what a person put into it, a token above all; only its program is corrected.
//! - Planning is pure: text in, text out.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use toml_edit::{DocumentMut, Item, TableLike};

use super::json_text::{Node, TextError, append, parse, remove};
use super::settings::{EMPTY, merge, object, or_empty};
use super::{Backup, Change, Homes, InstallError, Scope, Settings, settings_path};
use crate::agent::hooks::Agent;

/// What the server is called.
const NAME: &str = "mvault";
const JSON_SERVERS: &str = "mcpServers";
const TOML_SERVERS: &str = "mcp_servers";
/// The verb that serves.
const VERB: &str = "mcp";

/// Returns the file in which a host keeps its servers.
pub fn servers_path(agent: Agent, scope: Scope, homes: Homes<'_>) -> Result<PathBuf, InstallError> {
    let settings = settings_path(agent, scope, homes)?;
    Ok(match (agent, scope) {
        (Agent::ClaudeCode, Scope::Project) => homes.project.join(".mcp.json"),
        (Agent::ClaudeCode, Scope::User) => match (homes.claude, homes.home) {
            (Some(own), _) => homes.project.join(own).join(".claude.json"),
            (None, Some(home)) => home.join(".claude.json"),
            (None, None) => return Err(InstallError::NoHome { agent }),
        },
        (Agent::Codex, _) => settings.with_file_name("config.toml"),
        (Agent::Gemini, _) => settings,
        (Agent::Cursor, _) => settings.with_file_name("mcp.json"),
    })
}

/// Returns the program that a host is told to run as mvault's server, if it is told to.
pub fn registered(agent: Agent, text: &str) -> Result<Option<String>, TextError> {
    if agent == Agent::Codex {
        let document = toml(text)?;
        let servers = document.get(TOML_SERVERS).and_then(Item::as_table_like);
        let mut servers = servers.into_iter().flat_map(TableLike::iter);
        return Ok(servers.find_map(|(name, server)| {
            let command = server.get("command")?.as_str()?;
            let args = server.get("args").and_then(Item::as_array);
            let first = args.and_then(|args| args.get(0)).and_then(toml_edit::Value::as_str);
            is_ours(name, command, first).then(|| command.to_owned())
        }));
    }
    let text = or_empty(text);
    let root = parse(text)?;
    let Some(servers) = root.member(JSON_SERVERS) else { return Ok(None) };
    Ok(servers.value.members().iter().find_map(|member| {
        let server = member.value.value(text);
        let command = server.get("command")?.as_str()?;
        let first = server.pointer("/args/0").and_then(Value::as_str);
        is_ours(&member.key, command, first).then(|| command.to_owned())
    }))
}

/// Ours is what is called so, or runs our verb under another name.
fn is_ours(name: &str, command: &str, first: Option<&str>) -> bool {
    let is_mvault = Path::new(command).file_stem().is_some_and(|stem| stem == NAME);
    name == NAME || (is_mvault && first == Some(VERB))
}

/// Plans to register the server.
pub fn plan_register(settings: Settings, agent: Agent, program: &str) -> Result<Change, InstallError> {
    let before = settings.text.as_deref().unwrap_or_default();
    let told = |source| InstallError::Text { path: settings.path.clone(), source };
    let after = register(agent, before, program).map_err(told)?;
    // Gemini's file is kept as it was before the hooks; ours come after them.
    let is_first = agent != Agent::Gemini && registered(agent, before).map_err(told)?.is_none();
    let backup = if is_first { Backup::Write } else { Backup::Keep };
    Ok(Change { after: Some(after), before: settings.text, path: settings.path, backup, mode: settings.mode })
}

/// Plans to take the server out.
pub fn plan_unregister(settings: Settings, agent: Agent, program: &str) -> Result<Change, InstallError> {
    let before = settings.text.as_deref().unwrap_or_default();
    let told = |source| InstallError::Text { path: settings.path.clone(), source };
    let found = registered(agent, before).map_err(told)?;
    let mut backup = Backup::Keep;
    let after = match found {
        None => settings.text.clone(),
        Some(own) => {
            let kept = settings.backup.as_deref();
            let is_shared = agent == Agent::Gemini;
            let again = |kept: &&str| register(agent, kept, &own).is_ok_and(|again| again == before);
            if let Some(kept) = kept.filter(|_| !is_shared).filter(again) {
                backup = Backup::Remove;
                Some(kept.to_owned())
            } else {
                let ways = unregister(agent, before).map_err(told)?;
                let with_hooks = kept.and_then(|kept| merge(agent, kept, program).ok());
                let fits = ways.iter().find(|way| Some(way.as_str()) == with_hooks.as_deref());
                let left = fits.or(ways.first()).cloned().unwrap_or_default();
                let is_bare = matches!(left.trim(), "" | "{}");
                (!is_bare || kept.is_some() || is_shared).then_some(left)
            }
        }
    };
    Ok(Change { after, before: settings.text, path: settings.path, backup, mode: settings.mode })
}

/// Returns the text with the server in it, and nothing else changed. Twice is once.
pub fn register(agent: Agent, text: &str, program: &str) -> Result<String, TextError> {
    if agent == Agent::Codex {
        return register_toml(text, program);
    }
    let text = or_empty(text);
    if registered(agent, text)?.is_some_and(|own| own == program) {
        return Ok(text.to_owned());
    }
    let root = object(parse(text)?, "the file")?;
    let server = match agent {
        Agent::ClaudeCode => json!({"type": "stdio", "command": program, "args": [VERB]}),
        _ => json!({"command": program, "args": [VERB]}),
    };
    let Some(servers) = root.member(JSON_SERVERS) else {
        return Ok(append(text, &root, Some(JSON_SERVERS), &json!({NAME: server})));
    };
    let servers = object(servers.value.clone(), JSON_SERVERS)?;
    let own = servers.members().iter().find(|member| is_own_member(text, member.key.as_str(), &member.value));
    let Some(own) = own else { return Ok(append(text, &servers, Some(NAME), &server)) };
    let command = own.value.member("command");
    let Some(command) = command.map(|member| member.value.span.clone()) else {
        return Err(TextError::Shape {
            at: format!("{JSON_SERVERS}.{}", own.key),
            expected: "a server of mvault",
        });
    };
    Ok(format!("{}{}{}", &text[..command.start], Value::from(program), &text[command.end..]))
}

fn is_own_member(text: &str, name: &str, node: &Node) -> bool {
    let server = node.value(text);
    let command = server.get("command").and_then(Value::as_str).unwrap_or_default();
    is_ours(name, command, server.pointer("/args/0").and_then(Value::as_str))
}

/// Returns the text without the server: without the list too if nothing else was in it, and with the empty list.
fn unregister(agent: Agent, text: &str) -> Result<Vec<String>, TextError> {
    if agent == Agent::Codex {
        return unregister_toml(text).map(|text| vec![text]);
    }
    let root = parse(text)?;
    let at = root.members().iter().position(|member| member.key == JSON_SERVERS);
    let Some(at) = at else { return Ok(vec![text.to_owned()]) };
    let servers = &root.members()[at].value;
    let own = servers.members().iter().position(|member| is_own_member(text, &member.key, &member.value));
    let Some(own) = own else { return Ok(vec![text.to_owned()]) };
    let with_list = remove(text, servers, own);
    Ok(if servers.members().len() > 1 { vec![with_list] } else { vec![remove(text, &root, at), with_list] })
}

fn toml(text: &str) -> Result<DocumentMut, TextError> {
    text.parse::<DocumentMut>().map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..start].iter().filter(|b| **b == b'\n').count() + 1;
        TextError::NotToml { line, why: error.message().to_owned() }
    })
}

/// The lines that a `config.toml` gets.
fn toml_lines(program: &str) -> String {
    let program = toml_edit::Value::from(program);
    format!("[{TOML_SERVERS}.{NAME}]\ncommand = {}\nargs = [\"{VERB}\"]\n", program.to_string().trim())
}

fn register_toml(text: &str, program: &str) -> Result<String, TextError> {
    let mut document = toml(text)?;
    if let Some(own) = registered(Agent::Codex, text)? {
        if own == program {
            return Ok(text.to_owned());
        }
        let servers = document.get_mut(TOML_SERVERS).and_then(Item::as_table_like_mut);
        let server = servers.into_iter().flat_map(TableLike::iter_mut).find_map(|(_, server)| {
            let command = server.get("command").and_then(Item::as_str);
            (command == Some(own.as_str())).then_some(server)
        });
        if let Some(server) = server {
            server["command"] = toml_edit::value(program);
        }
        return Ok(document.to_string());
    }
    let gap = match text {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let after = format!("{text}{gap}{}", toml_lines(program));
    // Where the servers stand in one line, a table cannot be added behind it.
    toml(&after)
        .map_err(|_| TextError::Shape { at: TOML_SERVERS.to_owned(), expected: "a table with a heading" })?;
    Ok(after)
}

fn unregister_toml(text: &str) -> Result<String, TextError> {
    let Some(own) = registered(Agent::Codex, text)? else { return Ok(text.to_owned()) };
    let lines = toml_lines(&own);
    for gap in ["\n", ""] {
        let added = format!("{gap}{lines}");
        if let Some(at) = text.find(&added) {
            let left = format!("{}{}", &text[..at], &text[at + added.len()..]);
            if registered(Agent::Codex, &left).is_ok_and(|found| found.is_none()) {
                return Ok(left);
            }
        }
    }
    let mut document = toml(text)?;
    if let Some(servers) = document.get_mut(TOML_SERVERS).and_then(Item::as_table_like_mut) {
        let names: Vec<String> = servers
            .iter()
            .filter(|(_, server)| server.get("command").and_then(Item::as_str) == Some(own.as_str()))
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in names {
            servers.remove(&name);
        }
    }
    Ok(document.to_string())
}

/// Returns what to add to a host's file of servers by hand.
pub fn register_by_hand(agent: Agent, program: &str) -> String {
    let empty = if agent == Agent::Codex { "" } else { EMPTY };
    register(agent, empty, program).expect("an empty file takes everything")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "/opt/it's/mvault";

    fn settings(text: Option<&str>, backup: Option<&str>) -> Settings {
        Settings {
            path: "/x".into(),
            text: text.map(str::to_owned),
            backup: backup.map(str::to_owned),
            mode: 0o600,
        }
    }

    #[test]
    fn what_was_there_is_there_again() {
        let texts = [
            (Agent::ClaudeCode, "{\n  \"projects\": {\"/a\": {\"x\": 1.50}}\n}\n"),
            (Agent::ClaudeCode, "{\"mcpServers\": {\"other\": {\"command\": \"x\"}}, \"z\": 1}"),
            (Agent::ClaudeCode, "{\n  \"mcpServers\": { }\n}"),
            (
                Agent::Cursor,
                "{\n\t\"mcpServers\": {\n\t\t\"other\": {\"url\": \"http://localhost\"}\n\t}\n}\n",
            ),
            (Agent::Codex, "# mine\nmodel = \"x\"\n\n[mcp_servers.other]\ncommand = \"y\"\n"),
            (Agent::Codex, "model = 'x' # no end"),
            (Agent::Codex, ""),
        ];
        for (agent, text) in texts {
            let made = plan_register(settings(Some(text), None), agent, PROGRAM).expect("registers");
            let wired = made.after.expect("a text");
            assert_eq!(registered(agent, &wired), Ok(Some(PROGRAM.to_owned())), "{wired}");
            let again = plan_register(settings(Some(&wired), Some(text)), agent, PROGRAM).expect("registers");
            assert!(again.is_nothing(), "{wired}");
            let back =
                plan_unregister(settings(Some(&wired), Some(text)), agent, PROGRAM).expect("takes out");
            assert_eq!(back.after.as_deref(), Some(text), "{agent:?}");
            let without = plan_unregister(settings(Some(&wired), None), agent, PROGRAM).expect("takes out");
            let left = without.after.unwrap_or_default();
            assert_eq!(registered(agent, &left), Ok(None), "{left}");
        }
    }

    #[test]
    fn a_file_that_was_made_for_it_goes_again() {
        for agent in [Agent::ClaudeCode, Agent::Cursor, Agent::Codex] {
            let made = plan_register(settings(None, None), agent, PROGRAM).expect("registers").after;
            let gone = plan_unregister(settings(made.as_deref(), None), agent, PROGRAM).expect("takes out");
            assert_eq!(gone.after, None, "{agent:?}");
        }
    }

    #[test]
    fn a_moved_program_is_corrected_and_a_token_stays() {
        let claude = r#"{"mcpServers": {"mvault": {"command": "/old/mvault", "args": ["mcp"], "env": {"MVAULT_MCP_TOKEN": "t"}}}}"#;
        let made = register(Agent::ClaudeCode, claude, PROGRAM).expect("registers");
        assert_eq!(made, claude.replace("/old/mvault", PROGRAM));
        let codex = "[mcp_servers.mvault]\ncommand = \"/old/mvault\" # mine\nargs = [\"mcp\"]\nenv = { MVAULT_MCP_TOKEN = \"t\" }\n";
        let made = register(Agent::Codex, codex, PROGRAM).expect("registers");
        assert!(
            made.contains(PROGRAM) && made.contains("MVAULT_MCP_TOKEN") && !made.contains("/old"),
            "{made}"
        );
        let left = unregister(Agent::Codex, &made).expect("takes out");
        assert_eq!(registered(Agent::Codex, &left[0]), Ok(None));
    }

    #[test]
    fn files_of_another_shape_are_left_alone() {
        for (agent, text) in [
            (Agent::ClaudeCode, "[]"),
            (Agent::ClaudeCode, "{\"mcpServers\": []}"),
            (Agent::ClaudeCode, "{\"mcpServers\": {\"mvault\": 7}}"),
            (Agent::Cursor, "{ // mine\n}"),
            (Agent::Codex, "mcp_servers = {}\n"),
            (Agent::Codex, "model = \n"),
        ] {
            assert!(register(agent, text, PROGRAM).is_err(), "{text}");
        }
    }
}
