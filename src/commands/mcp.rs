//! `mcp`: the vault as a server of tools for agents, on standard input and output.
//!
//! - Standard output carries the protocol and nothing else; what is odd goes to standard error.
//! - A tool runs the verb that it is named after, on a voice that is kept in memory. The vault is opened for each
//!   call and its lock held only inside of one.
//! - A fault of ours in a call is that call's failure.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value, json};

use super::{Caller, CommandError, CommandResult, Context, ErrorKind, Exit, VaultStart, hook};
use crate::agent::mcp::{self, Granted, Outcome, Runs, Scope, Tool, Toolbox};
use crate::agent::memory::answer_object;
use crate::agent::neutral::neutralise;
use crate::env::Env;
use crate::fs::Disk;
use crate::object::{Kind, VaultPath, entry_at, typed};
use crate::ui::{Options, Ui, harmless, harmless_line};
use crate::vault::{self, Access, Vault};

/// Where the token comes in. Never on the command line, which everybody on the machine can read.
const TOKEN_VARIABLE: &str = "MVAULT_MCP_TOKEN";
/// The longest file that `read` gives, in bytes.
const READ_BYTES_MAX: u64 = 1 << 20;
/// So many commits `log` tells unless asked for more.
const LOG_COMMITS: usize = 20;

type Definition = fn() -> clap::Command;

/// Arguments of `mcp`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  mvault mcp                           serve the vault around this folder; programs run it
  claude mcp add --scope user mvault -- mvault mcp
  mvault hooks install claude-code --mcp
                                       register it with an agent's host
  mvault mcp --scope read              offer nothing that writes
  mvault mcp token create codex --scope read,note
                                       a token for an agent that may do only that

Speaks the Model Context Protocol (2025-11-25 and before, 2026-07-28) on standard input and output. The
token of an agent comes in the environment variable MVAULT_MCP_TOKEN. As long as the vault has no tokens,
all tools are offered without one; once there is one, nothing is offered without one."
)]
pub struct McpArgs {
    /// Offer only the tools of these scopes, of those that are granted
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', value_parser = scope_parser())]
    scope: Vec<Scope>,
    #[command(subcommand)]
    verb: Option<McpVerb>,
}

#[derive(Debug, clap::Subcommand)]
enum McpVerb {
    /// Make, list and revoke the tokens of agents
    #[command(subcommand)]
    Token(TokenVerb),
}

#[derive(Debug, clap::Subcommand)]
enum TokenVerb {
    /// Make a token and print it, this once
    Create {
        /// Its name, for example the agent's
        #[arg(value_name = "NAME")]
        name: String,
        /// What it is for: read, note, handoff, memory
        #[arg(long, value_name = "SCOPE", value_delimiter = ',', value_parser = scope_parser(), required = true)]
        scope: Vec<Scope>,
    },
    /// List the tokens
    List,
    /// Take a token out of force
    Revoke {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

fn scope_parser() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::WORDS).map(|word| Scope::parse(&word).expect("one of the words"))
}

/// Runs the verb that was given, or serves.
pub fn run(cx: &mut Context<'_>, args: &McpArgs) -> CommandResult {
    match &args.verb {
        Some(McpVerb::Token(TokenVerb::Create { name, scope })) => create(cx, name, scope),
        Some(McpVerb::Token(TokenVerb::List)) => list(cx),
        Some(McpVerb::Token(TokenVerb::Revoke { name })) => revoke(cx, name),
        None => serve(cx, &args.scope),
    }
}

fn create(cx: &mut Context<'_>, name: &str, scopes: &[Scope]) -> CommandResult {
    let mut vault = cx.open_vault(Access::Store)?;
    let words: BTreeSet<Scope> = scopes.iter().copied().collect();
    let words: Vec<String> = words.iter().map(|scope| scope.as_str().to_owned()).collect();
    let (token, text) = vault::create_token(&mut vault, name, &words)?;
    if cx.ui.is_json() {
        cx.ui.json(&json!({
            "name": token.name, "scopes": token.scopes, "created": token.created, "sha256": token.sha256,
            "token": text,
        }))?;
    } else {
        cx.ui.line(&text)?;
        cx.ui.note(format_args!("this is told once: put it into {TOKEN_VARIABLE} of {name}'s server"));
    }
    Ok(Exit::Done)
}

fn list(cx: &mut Context<'_>) -> CommandResult {
    let vault = cx.open_vault(Access::Store)?;
    let tokens = vault.tokens()?;
    if tokens.is_empty() && !cx.ui.is_json() {
        cx.ui.note("there are no tokens: every agent is offered all tools");
    }
    for token in &tokens {
        if cx.ui.is_json() {
            cx.ui.json(&token)?;
        } else {
            let scopes = token.scopes.join(",");
            cx.ui.line(harmless(&format!("{:<16} {scopes:<28} {}", token.name, token.created)))?;
        }
    }
    Ok(Exit::Done)
}

fn revoke(cx: &mut Context<'_>, name: &str) -> CommandResult {
    let mut vault = cx.open_vault(Access::Store)?;
    let token = vault::revoke_token(&mut vault, name)?;
    let left = vault.tokens()?.len();
    if cx.ui.is_json() {
        cx.ui.json(&json!({"name": token.name, "revoked": true, "left": left}))?;
    } else {
        cx.ui.line(format_args!("revoked {}", token.name))?;
        if left == 0 {
            cx.ui.warn("that was the last token: from now on every agent is offered all tools");
        }
    }
    Ok(Exit::Done)
}

fn serve(cx: &mut Context<'_>, narrowed: &[Scope]) -> CommandResult {
    cx.caller = Caller::Program;
    let folders: Vec<PathBuf> = cx.var("CLAUDE_PROJECT_DIR").map(PathBuf::from).into_iter().collect();
    let home = cx.home();
    let found = hook::find_vault(&*cx.disk, &cx.vault_start, &folders, home.as_deref(), &cx.trust())?;
    let folder = found.folder.map_or_else(|| cx.find_vault(), Ok)?;
    for line in found.passed_over {
        cx.ui.warn(harmless_line(line.as_bytes()));
    }
    let mut vars = cx.vars.clone();
    if cx.var("MVAULT_SESSION").is_none()
        && let Some(session) = cx.vars.get(&OsString::from("CLAUDE_CODE_SESSION_ID"))
    {
        vars.insert("MVAULT_SESSION".into(), session.clone());
    }
    let token = cx.var(TOKEN_VARIABLE).map(str::to_owned);
    vars.remove(&OsString::from(TOKEN_VARIABLE));
    let narrowed = (!narrowed.is_empty()).then(|| narrowed.iter().copied().collect());
    let (disk, env, definition) = (cx.disk.clone(), cx.env.clone(), cx.definition);
    let mut toolbox = Verbs { disk, env, folder, vars, definition, token, narrowed, ui: &mut *cx.ui };
    toolbox.check()?;
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    match mcp::serve(&mut input, &mut output, &mut toolbox) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::from_error(ErrorKind::Failed, &error).hint("check what runs the server"))
        }
        // The client went away.
        _ => Ok(Exit::Done),
    }
}

/// The verbs as tools.
struct Verbs<'a> {
    disk: Arc<dyn Disk>,
    env: Env,
    folder: PathBuf,
    vars: BTreeMap<OsString, OsString>,
    definition: Definition,
    token: Option<String>,
    narrowed: Option<BTreeSet<Scope>>,
    /// For standard error alone.
    ui: &'a mut Ui,
}

impl Verbs<'_> {
    /// Tells a person right away what would make every call fail.
    fn check(&mut self) -> Result<(), CommandError> {
        let (token, mut told) = (self.token.clone(), None);
        self.within("serve", |cx| {
            let vault = cx.open_vault(Access::Store)?;
            match &token {
                Some(text) if vault.find_token(text)?.is_none() => {
                    let message = format!("the token in {TOKEN_VARIABLE} is not known to this vault");
                    return Err(CommandError::new(ErrorKind::Refused, message).hint(
                        "it may be revoked, or of another device: `mvault mcp token list` shows those of this one",
                    ));
                }
                None if !vault.tokens()?.is_empty() => told = Some(()),
                _ => {}
            }
            Ok(Exit::Done)
        })
        .1?;
        if told.is_some() {
            self.ui.warn(format_args!(
                "this vault has tokens and {TOKEN_VARIABLE} is not set: no tool is offered"
            ));
        }
        Ok(())
    }

    /// Runs something as a command line of its own would be, and returns what it told.
    fn within(
        &mut self,
        name: &str,
        act: impl FnOnce(&mut Context<'_>) -> CommandResult,
    ) -> (Vec<u8>, CommandResult) {
        let (mut ui, told) = Ui::in_memory(Options::default());
        let mut cx = Context {
            disk: self.disk.clone(),
            env: self.env.clone(),
            ui: &mut ui,
            dir: self.folder.clone(),
            vault_start: VaultStart::Exactly(self.folder.clone()),
            caller: Caller::Program,
            vars: self.vars.clone(),
            args: vec!["mcp".to_owned(), name.to_owned()],
            stdin: Some(Vec::new()), // the process's own carries the protocol
            definition: self.definition,
        };
        let result = catch_unwind(AssertUnwindSafe(|| act(&mut cx))).unwrap_or_else(|_| {
            Err(CommandError::new(ErrorKind::Bug, "this is a fault of mvault itself; please report it"))
        });
        let bytes = told.lock().map(|bytes| bytes.clone()).unwrap_or_default();
        (bytes, result)
    }

    fn vault<T>(&mut self, act: impl FnOnce(&mut Vault) -> vault::Result<T>) -> Result<T, String> {
        let mut value = None;
        let (_, result) = self.within("serve", |cx| {
            let mut vault = cx.open_vault(Access::Store)?;
            value = Some(act(&mut vault)?);
            Ok(Exit::Done)
        });
        match (result, value) {
            (Ok(_), Some(value)) => Ok(value),
            (Err(error), _) => Err(error.message),
            (Ok(_), None) => unreachable!("done is said after the value was set"),
        }
    }
}

impl Toolbox for Verbs<'_> {
    fn granted(&mut self) -> Result<Granted, String> {
        let token = self.token.clone();
        let (tokens, own) = self.vault(|vault| {
            let own = token.as_ref().map_or(Ok(None), |text| vault.find_token(text))?;
            Ok((vault.tokens()?, own))
        })?;
        let mut scopes: BTreeSet<Scope> = match (&self.token, &own) {
            (None, _) if tokens.is_empty() => Scope::ALL.into_iter().collect(),
            (_, Some(own)) => own.scopes.iter().filter_map(|word| Scope::parse(word)).collect(),
            (_, None) => BTreeSet::new(),
        };
        if let Some(narrowed) = &self.narrowed {
            scopes.retain(|scope| narrowed.contains(scope));
        }
        Ok(Granted { scopes, agent: own.map(|own| own.name) })
    }

    fn call(&mut self, tool: &'static Tool, arguments: &Map<String, Value>, granted: &Granted) -> Outcome {
        let words = match tool.words(arguments) {
            Ok(words) => words,
            Err(why) => return Outcome::error(why),
        };
        let agent = granted.agent.as_ref().map(|name| format!("--agent={name}"));
        let mut failed = None;
        let (bytes, result) = self.within(tool.name, |cx| match tool.runs {
            Runs::Boot => verb(cx, agent.into_iter().chain(words), super::boot::run),
            Runs::Standup => verb(cx, words, super::standup::run),
            Runs::Log => verb(cx, with_count(words), super::log::run),
            Runs::Note => verb(cx, words, super::note::run),
            Runs::Handoff => {
                let (first, rest) = words.split_at(1);
                verb(cx, first.iter().cloned().chain(agent).chain(rest.iter().cloned()), super::handoff::run)
            }
            Runs::Read => read(cx, arguments),
            Runs::Memory => {
                let mut vault = cx.open_vault(Access::Tree)?;
                let told = answer_object(&mut vault, arguments);
                cx.tell_notices(&mut vault);
                failed = told.is_err().then_some(());
                cx.ui.bytes(told.unwrap_or_else(|text| text).as_bytes())?;
                Ok(Exit::Done)
            }
        });
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match result {
            Err(error) => {
                let hint = error.hint.map(|hint| format!("\n{hint}")).unwrap_or_default();
                Outcome::error(neutralise(&format!("{}{hint}", error.message)))
            }
            // What stands in a file is given as it stands there.
            Ok(_) if matches!(tool.runs, Runs::Read | Runs::Memory) => {
                Outcome { text, is_error: failed.is_some() }
            }
            Ok(exit) => {
                let text = if text.is_empty() { "nothing to tell\n".to_owned() } else { neutralise(&text) };
                Outcome { text, is_error: exit != Exit::Done }
            }
        }
    }

    fn refuse(&mut self, tool: &'static Tool, granted: &Granted) -> Result<(), String> {
        let who = match &granted.agent {
            Some(name) => format!("the token {name} has"),
            None => "without a token there are".to_owned(),
        };
        let detail = format!("{who} the scopes {}, and this needs {}", granted.words(), tool.scope.as_str());
        self.vault(|vault| vault.log_out_of_scope(&format!("mcp:{}", tool.name), detail))
    }

    fn diagnose(&mut self, message: &str) {
        self.ui.warn(harmless_line(message.as_bytes()));
    }
}

/// Runs a verb with the words of a command line.
fn verb<A: clap::Args>(
    cx: &mut Context<'_>,
    words: impl IntoIterator<Item = String>,
    run: fn(&mut Context<'_>, &A) -> CommandResult,
) -> CommandResult {
    let usage = |error: clap::Error| {
        let text = error.render().to_string();
        CommandError::usage(text.lines().next().unwrap_or_default().trim_start_matches("error: "))
    };
    let command = A::augment_args(clap::Command::new("tool").no_binary_name(true).disable_help_flag(true));
    let matches = command.try_get_matches_from(words).map_err(usage)?;
    run(cx, &A::from_arg_matches(&matches).map_err(usage)?)
}

fn with_count(mut words: Vec<String>) -> Vec<String> {
    if !words.iter().any(|word| word.starts_with("--max-count=")) {
        words.insert(0, format!("--max-count={LOG_COMMITS}"));
    }
    words
}

/// Gives a file or the names in a folder, by `show`; more than a model can read is refused before it is read.
fn read(cx: &mut Context<'_>, arguments: &Map<String, Value>) -> CommandResult {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let revision = text("revision").filter(|revision| !revision.is_empty()).unwrap_or("HEAD");
    let path = text("path").unwrap_or_default().trim_matches('/');
    {
        let vault = cx.open_vault(Access::Store)?;
        let tree = vault.tree_of(vault.resolve(revision)?)?;
        let entry = VaultPath::parse(path).ok().map(|path| entry_at(vault.store(), tree, &path));
        let entry = entry.transpose()?.flatten().filter(|entry| !entry.mode.is_tree());
        let size = match entry {
            Some(entry) => vault.store().try_info(entry.id).map_err(vault::Error::from)?,
            None => None,
        };
        if let Some((Kind::Blob, size)) = size.filter(|(_, size)| *size > READ_BYTES_MAX) {
            let message = format!("{} has {size} bytes, more than are given at once", harmless(path));
            return Err(CommandError::new(ErrorKind::Refused, message)
                .hint(format!("a person can read it with {}", typed("show").pair(revision, path))));
        }
    }
    verb(cx, ["--".to_owned(), format!("{revision}:{path}")], super::show::run)
}
