//! `hooks`: wires hosts of agents to the vault.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::agent::hooks::Agent;
use crate::agent::install::{
    self, Change, Fault, Homes, InstallError, Look, Scope, Settings, State, TextError,
    faults::untrusted_folder,
};
use crate::object::{Kind, Mode, hash_object, typed};
use crate::ui::diff::{FileDiff, Side, patch, terminal};
use crate::ui::{Style, harmless, harmless_line};
use crate::vault::{Access, Vault};

/// How often a file is read again that somebody else writes meanwhile.
const TRIES: usize = 3;

/// Arguments of `hooks`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault hooks install claude-code --dry-run   show what would change in its settings
  mvault hooks install claude-code             wire it, for all sessions of this user
  mvault hooks install claude-code --mcp       the same, and register the server of tools (`mvault mcp`)
  mvault hooks status                          what is wired, and what keeps it from working
  mvault hooks uninstall claude-code           take back exactly what was put in")]
pub struct HooksArgs {
    #[command(subcommand)]
    verb: HooksVerb,
}

#[derive(Debug, clap::Subcommand)]
enum HooksVerb {
    /// Put mvault's hooks into an agent's settings
    Install(InstallArgs),
    /// Take mvault's hooks out of an agent's settings
    Uninstall(WireArgs),
    /// Tell what is wired
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "AGENT is claude-code, codex, gemini or cursor. The settings file as it was is kept beside it, with \
.mvault-backup after its name. Hooks of others, the order of keys and everything else stay as they are."
)]
struct WireArgs {
    /// The agent
    #[arg(value_name = "AGENT", value_parser = agent_parser())]
    agent: Agent,
    /// For all sessions of this user, or for those in this folder
    #[arg(long, value_name = "SCOPE", value_parser = scope_parser(), default_value = "user")]
    scope: Scope,
    /// Only show what would change, as a diff
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct InstallArgs {
    #[command(flatten)]
    wire: WireArgs,
    /// Register `mvault mcp` with the agent as well
    #[arg(long)]
    mcp: bool,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// The agent; all without it
    #[arg(value_name = "AGENT", value_parser = agent_parser())]
    agent: Option<Agent>,
    /// Only the settings of this user, or only those of this folder
    #[arg(long, value_name = "SCOPE", value_parser = scope_parser())]
    scope: Option<Scope>,
}

fn agent_parser() -> impl TypedValueParser<Value = Agent> {
    PossibleValuesParser::new(Agent::WORDS).map(|word| Agent::parse(&word).expect("one of the words"))
}

fn scope_parser() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(["user", "project"])
        .map(|word| if word == "user" { Scope::User } else { Scope::Project })
}

/// Runs the verb that was given.
pub fn run(cx: &mut Context<'_>, args: &HooksArgs) -> CommandResult {
    match &args.verb {
        HooksVerb::Install(args) => install(cx, args),
        HooksVerb::Uninstall(args) => uninstall(cx, args),
        HooksVerb::Status(args) => status(cx, args),
    }
}

/// One of the ways to change one of a host's files.
struct Way {
    part: &'static str,
    path: fn(Agent, Scope, Homes<'_>) -> Result<PathBuf, InstallError>,
    plan: fn(Settings, Agent, &str) -> Result<Change, InstallError>,
    done: &'static str,
    nothing: &'static str,
    by_hand: fn(Agent, &str) -> String,
}

const INSTALL: Way = Way {
    part: "hooks",
    path: install::settings_path,
    plan: install::plan_install,
    done: "installed",
    nothing: "already installed",
    by_hand: |agent, program| {
        format!("add this by hand, beside what is there:\n{}", install::by_hand(agent, program).trim_end())
    },
};

const UNINSTALL: Way = Way {
    part: "hooks",
    path: install::settings_path,
    plan: install::plan_uninstall,
    done: "uninstalled",
    nothing: "not installed",
    by_hand: |_, _| "remove by hand the entries that run `mvault hook`".to_owned(),
};

const REGISTER: Way = Way {
    part: "mcp",
    path: install::servers_path,
    plan: install::plan_register,
    done: "registered",
    nothing: "already registered",
    by_hand: |agent, program| {
        let lines = install::register_by_hand(agent, program);
        format!("add this by hand, beside what is there:\n{}", lines.trim_end())
    },
};

const UNREGISTER: Way = Way {
    part: "mcp",
    path: install::servers_path,
    plan: install::plan_unregister,
    done: "unregistered",
    nothing: "not registered",
    by_hand: |_, _| "remove by hand the server that runs `mvault mcp`".to_owned(),
};

fn install(cx: &mut Context<'_>, args: &InstallArgs) -> CommandResult {
    let change = wire(cx, &args.wire, &INSTALL)?;
    tell(cx, &args.wire, &INSTALL, &change)?;
    if args.mcp {
        let change = wire(cx, &args.wire, &REGISTER)?;
        tell(cx, &args.wire, &REGISTER, &change)?;
    }
    Ok(Exit::Done)
}

/// Takes the server out before the hooks: where both stand in one file, it came after them.
fn uninstall(cx: &mut Context<'_>, args: &WireArgs) -> CommandResult {
    match wire(cx, args, &UNREGISTER) {
        Ok(change) if change.is_nothing() => {}
        Ok(change) => tell(cx, args, &UNREGISTER, &change)?,
        // Nobody may ever have registered it there.
        Err(error) => cx.ui.warn(format_args!("{}; no server was taken out there", harmless(&error.message))),
    }
    let change = wire(cx, args, &UNINSTALL)?;
    tell(cx, args, &UNINSTALL, &change)?;
    Ok(Exit::Done)
}

fn wire(cx: &Context<'_>, args: &WireArgs, way: &Way) -> Result<Change, CommandError> {
    let program = program_path(cx)?;
    let told = |error| explain(error, || (way.by_hand)(args.agent, &program));
    let path = (way.path)(args.agent, args.scope, homes(cx)).map_err(told)?;
    let mut tries = 1;
    loop {
        let settings = install::read(&*cx.disk, &path).map_err(told)?;
        let change = (way.plan)(settings, args.agent, &program).map_err(told)?;
        if args.dry_run {
            return Ok(change);
        }
        match install::apply(&*cx.disk, &change) {
            Ok(()) => return Ok(change),
            Err(InstallError::Changed { .. }) if tries < TRIES => tries += 1,
            Err(error) => return Err(told(error)),
        }
    }
}

fn tell(cx: &mut Context<'_>, args: &WireArgs, way: &Way, change: &Change) -> Result<(), CommandError> {
    if cx.ui.is_json() {
        tell_json(cx, args, way, change)
    } else if args.dry_run {
        tell_diff(cx, change)
    } else {
        tell_change(cx, args, way, change)
    }
}

fn tell_json(cx: &mut Context<'_>, args: &WireArgs, way: &Way, change: &Change) -> Result<(), CommandError> {
    let outcome = if change.is_nothing() { way.nothing } else { way.done };
    cx.ui.json(&json!({
        "agent": args.agent.as_str(),
        "part": way.part,
        "scope": args.scope.as_str(),
        "path": change.path.to_string_lossy(),
        "changed": !change.is_nothing() && !args.dry_run,
        "dry_run": args.dry_run,
        "outcome": outcome,
        "backup": change.backup_path().map(|path| path.to_string_lossy().into_owned()),
        "removed": change.before.is_some() && change.after.is_none(),
        "diff": String::from_utf8_lossy(&with_diff(change, patch)),
    }))?;
    Ok(())
}

/// Shows a change as other changes of files are shown; nothing if there is none.
fn with_diff<T: Default>(change: &Change, show: impl Fn(&FileDiff<'_>) -> T) -> T {
    if change.is_nothing() {
        return T::default();
    }
    let path = change.path.as_os_str().as_encoded_bytes();
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let id = |text: &str| hash_object(Kind::Blob, text.as_bytes());
    let (old, new) = (change.before.as_deref(), change.after.as_deref());
    show(&FileDiff {
        old: old.map(|text| Side { path, mode: Mode::File, id: id(text), data: Some(text.as_bytes()) }),
        new: new.map(|text| Side { path, mode: Mode::File, id: id(text), data: Some(text.as_bytes()) }),
    })
}

fn tell_diff(cx: &mut Context<'_>, change: &Change) -> Result<(), CommandError> {
    if change.is_nothing() {
        cx.ui.note("nothing would change");
    } else if cx.ui.is_terminal() {
        let palette = cx.ui.palette();
        for line in with_diff(change, |diff| terminal(diff, palette)) {
            cx.ui.line(line)?;
        }
    } else {
        cx.ui.bytes(&with_diff(change, patch))?;
    }
    Ok(())
}

fn tell_change(
    cx: &mut Context<'_>,
    args: &WireArgs,
    way: &Way,
    change: &Change,
) -> Result<(), CommandError> {
    let outcome = if change.is_nothing() { way.nothing } else { way.done };
    let path = shown(&change.path);
    cx.ui.line(format_args!("{} for {}: {path}", outcome, args.agent.title()))?;
    if let Some(backup) = change.backup_path() {
        cx.ui.note(format_args!("what it was is kept in {}", shown(&backup)));
    }
    if change.after.is_none() && change.before.is_some() {
        cx.ui.note("nothing else was in the file: it is gone again");
    }
    if way.done == INSTALL.done {
        match args.agent {
            Agent::Codex => cx.ui.note(
                "Codex skips hooks in silence until they are trusted: start codex, type /hooks and trust those of mvault",
            ),
            Agent::ClaudeCode => cx.ui.note("sessions that run already keep their old hooks; new ones have these"),
            Agent::Gemini | Agent::Cursor => {}
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    harmless_line(path.as_os_str().as_encoded_bytes())
}

fn explain(error: InstallError, by_hand: impl Fn() -> String) -> CommandError {
    match error {
        InstallError::Disk(error) => error.into(),
        InstallError::Text { source: TextError::Comment { .. }, .. } => {
            CommandError::from_error(ErrorKind::Refused, &error).hint(by_hand())
        }
        InstallError::Text { .. } | InstallError::NotUtf8 { .. } => {
            CommandError::from_error(ErrorKind::Refused, &error)
                .hint("correct the file and run the command again; nothing was changed")
        }
        InstallError::NoHome { .. } => CommandError::from_error(ErrorKind::Failed, &error)
            .hint("set HOME, or wire a project with --scope project"),
        InstallError::Link { .. } => CommandError::from_error(ErrorKind::NotFound, &error)
            .hint("make the file that it names, or remove the link"),
        InstallError::Changed { .. } => CommandError::from_error(ErrorKind::Failed, &error)
            .hint("close the agent's settings page and run the command again"),
    }
}

fn homes<'a>(cx: &'a Context<'_>) -> Homes<'a> {
    Homes {
        home: cx.var("HOME").map(Path::new),
        claude: cx.var("CLAUDE_CONFIG_DIR").map(Path::new),
        codex: cx.var("CODEX_HOME").map(Path::new),
        project: &cx.dir,
    }
}

/// Returns the absolute path of mvault as hosts should run it: by the name in PATH that leads to this program,
/// which outlives updates, else where it lies.
fn program_path(cx: &Context<'_>) -> Result<String, CommandError> {
    let own = std::env::current_exe().map_err(|error| {
        CommandError::from_error(ErrorKind::Failed, &error).hint("start mvault by its full path")
    })?;
    let real = cx.disk.canonicalize(&own)?;
    let name = own.file_name().unwrap_or_default();
    let folders = std::env::split_paths(cx.var("PATH").unwrap_or_default()).filter(|dir| dir.is_absolute());
    let by_path = folders.map(|folder| folder.join(name));
    let found = by_path.into_iter().find(|path| cx.disk.canonicalize(path).is_ok_and(|path| path == real));
    found.unwrap_or(own).into_os_string().into_string().map_err(|path| {
        let message = format!("{} is not UTF-8 and cannot stand in settings", shown(Path::new(&path)));
        CommandError::new(ErrorKind::Failed, message).hint("install mvault in a folder with a plain name")
    })
}

/// How a host is wired in one scope.
pub struct Wiring {
    /// The host.
    pub agent: Agent,
    /// The scope.
    pub scope: Scope,
    /// What was found.
    pub look: Look,
    /// The program that the host runs as mvault's server of tools, if it was told to.
    pub server: Option<String>,
}

/// What a host is told of mvault's server of tools.
struct Server {
    program: Option<String>,
    /// Whether the file was changed for it once, and is not as it was left.
    was_asked_for: bool,
}

impl Server {
    fn faults(&self, cx: &Context<'_>, agent: Agent, is_wanted: bool) -> Option<Fault> {
        let hint = typed("hooks install").word(agent.as_str()).then("--mcp").into_line();
        match &self.program {
            None if is_wanted => {
                let message = "the server of tools (`mvault mcp`) is not registered";
                Some(Fault::new("mcp-missing", message, hint))
            }
            Some(program)
                if Path::new(program).is_absolute() && cx.disk.canonicalize(Path::new(program)).is_err() =>
            {
                let message = format!("the server of tools runs {program}, which is not there");
                Some(Fault::new("mcp-command-missing", message, hint))
            }
            _ => None,
        }
    }
}

fn server_of(cx: &Context<'_>, agent: Agent, scope: Scope) -> Result<Server, CommandError> {
    let told = |error| explain(error, String::new);
    let path = install::servers_path(agent, scope, homes(cx)).map_err(told)?;
    let settings = install::read(&*cx.disk, &path).map_err(told)?;
    let program = settings.text.as_deref().and_then(|text| install::registered(agent, text).ok().flatten());
    // Gemini keeps its servers beside the hooks, and the kept file may be theirs.
    let was_asked_for = agent != Agent::Gemini && settings.backup.is_some();
    Ok(Server { program, was_asked_for })
}

/// Tells whether the vault here has tokens for agents: somebody means to use the server.
fn has_tokens(cx: &Context<'_>) -> bool {
    let vault = cx.find_vault().and_then(|path| Ok(Vault::open(&path, cx.open_options(Access::Store)?)?));
    vault.is_ok_and(|vault| vault.tokens().is_ok_and(|tokens| !tokens.is_empty()))
}

/// Looks at the settings of hosts: of all, and of both scopes, unless one is named. A project's file that is not
/// there is left out unless projects were asked for.
pub fn wirings(
    cx: &Context<'_>,
    agent: Option<Agent>,
    scope: Option<Scope>,
) -> Result<Vec<Wiring>, CommandError> {
    let program = program_path(cx)?;
    let told = |error| explain(error, String::new);
    let mut wirings = Vec::new();
    for agent in Agent::ALL.into_iter().filter(|one| agent.is_none_or(|agent| agent == *one)) {
        for one in [Scope::User, Scope::Project].into_iter().filter(|one| scope.is_none_or(|s| s == *one)) {
            let path = install::settings_path(agent, one, homes(cx)).map_err(told)?;
            let mut look = install::look(&*cx.disk, agent, &path, &program).map_err(told)?;
            let has_hooks = look.standing.as_ref().is_some_and(|standing| !standing.found.is_empty());
            if one == Scope::Project && scope.is_none() && !has_hooks {
                continue;
            }
            if agent == Agent::ClaudeCode && has_hooks {
                look.faults.extend(trust_of_folder(cx));
            }
            let server = server_of(cx, agent, one)?;
            if has_hooks {
                let is_wanted = server.was_asked_for || has_tokens(cx);
                let elsewhere = one == Scope::Project && server_of(cx, agent, Scope::User)?.program.is_some();
                look.faults.extend(server.faults(cx, agent, is_wanted && !elsewhere));
            }
            wirings.push(Wiring { agent, scope: one, look, server: server.program });
        }
    }
    Ok(wirings)
}

/// Tells whether Claude Code holds back hooks in this folder, if its own notes can be read.
fn trust_of_folder(cx: &Context<'_>) -> Option<Fault> {
    let folder = cx.var("CLAUDE_CONFIG_DIR").or_else(|| cx.var("HOME")).map(|dir| cx.dir.join(dir))?;
    let state = install::read(&*cx.disk, &folder.join(".claude.json")).ok()?.text?;
    untrusted_folder(&state, &cx.dir)
}

fn status(cx: &mut Context<'_>, args: &StatusArgs) -> CommandResult {
    for wiring in wirings(cx, args.agent, args.scope)? {
        if cx.ui.is_json() {
            cx.ui.json(&wiring_json(&wiring))?;
        } else {
            tell_wiring(cx, &wiring)?;
        }
    }
    Ok(Exit::Done)
}

fn state_word(look: &Look) -> &'static str {
    look.standing.as_ref().map_or("unreadable", |standing| standing.state.as_str())
}

fn wiring_json(wiring: &Wiring) -> Value {
    let found = wiring.look.standing.iter().flat_map(|standing| &standing.found);
    let hooks: Vec<Value> = found
        .map(|found| {
            json!({
                "event": found.event.as_str(),
                "host_event": found.host_event,
                "command": found.program,
                "timeout_seconds": found.timeout_seconds(wiring.agent),
            })
        })
        .collect();
    let faults = wiring.look.faults.iter();
    let faults: Vec<Value> =
        faults.map(|f| json!({"code": f.code, "message": f.message, "hint": f.hint})).collect();
    json!({
        "agent": wiring.agent.as_str(),
        "scope": wiring.scope.as_str(),
        "path": wiring.look.path.to_string_lossy(),
        "exists": wiring.look.is_there,
        "state": state_word(&wiring.look),
        "hooks": hooks,
        "mcp": wiring.server,
        "foreign": wiring.look.standing.as_ref().map(|standing| standing.foreign),
        "faults": faults,
    })
}

fn tell_wiring(cx: &mut Context<'_>, wiring: &Wiring) -> Result<(), CommandError> {
    let palette = cx.ui.palette();
    let look = &wiring.look;
    let heading = format!("{} ({})", wiring.agent.title(), wiring.scope.as_str());
    let heading = palette.paint(Style::Heading, &format!("{heading:<22}"));
    cx.ui.line(format_args!("{heading} {:<10} {}", state_word(look), shown(&look.path)))?;
    for found in look.standing.iter().flat_map(|standing| &standing.found) {
        let timeout = found.timeout_seconds(wiring.agent);
        let timeout = timeout.map_or_else(|| "no timeout".to_owned(), |seconds| format!("{seconds} s"));
        let program = shown(&PathBuf::from(&found.program));
        cx.ui.line(format_args!("    {:<14} {timeout:<10} {program}", found.event.as_str()))?;
    }
    if let Some(server) = &wiring.server {
        cx.ui.line(format_args!("    {:<14} {:<10} {}", "mcp", "", harmless(server)))?;
    }
    // That nothing is there needs no reason where nothing was wired.
    let is_empty = matches!(look.standing.as_ref().map(|s| s.state), Some(State::Absent | State::Foreign));
    for fault in look.faults.iter().filter(|fault| !(is_empty && fault.code == "not-installed")) {
        let label = palette.paint(Style::Warning, "!");
        cx.ui.line(format_args!("    {label} {}", harmless_line(fault.message.as_bytes())))?;
        cx.ui.line(format_args!("      {}", harmless_line(fault.hint.as_bytes())))?;
    }
    Ok(())
}
