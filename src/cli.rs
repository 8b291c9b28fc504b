//! The command line: parses, dispatches, turns errors into words and exit codes.
//!
//! This is the only place that reads the process's arguments and environment and that decides its exit
//! code. A panic below becomes the error kind `bug`, exit 1.

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::commands::{self, Caller, CommandError, CommandResult, Context, ErrorKind, VaultStart};
use crate::env::{Env, Moment};
use crate::fs::{Disk, RealDisk, TracedDisk, local_zone, terminal_columns};
use crate::ui::graph::Glyphs;
use crate::ui::{ColorChoice, Format, Options, PagerSetup, Ui, Verbosity, harmless_line};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "mvault",
    version,
    about = "A content-addressed vault for the files that carry your agents' continuity",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    verb: Verb,
}

/// Options that every verb takes. Their ids begin with `global`: a verb's own argument of an equal id
/// (`DIR` of `init`) would silently share its value.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// Act as if started in DIR
    #[arg(id = "global_dir", short = 'C', value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    /// Tell everything as JSON: one object, or one a line
    #[arg(id = "global_json", long = "json", global = true)]
    json: bool,
    /// Say nothing but data and errors
    #[arg(id = "global_quiet", long = "quiet", short = 'q', global = true)]
    quiet: bool,
    /// When to colour
    #[arg(id = "global_color", long = "color", value_name = "WHEN", global = true)]
    color: Option<ColorArg>,
    /// Never start a pager
    #[arg(id = "global_no_pager", long = "no-pager", global = true)]
    no_pager: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ColorArg {
    Auto,
    Always,
    Never,
}

/// The verbs, in the order in which help shows them.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch two devices part and come together, in a temporary folder
    Demo(commands::demo::DemoArgs),
    /// Make a vault of a folder
    Init(commands::init::InitArgs),
    /// Keep what is on disk as the next state
    Commit(commands::commit::CommitArgs),
    /// Tell what changed and where the branch stands
    Status(commands::status::StatusArgs),
    /// Tell the history, newest first
    Log(commands::log::LogArgs),
    /// Show a commit, or a file as it was
    Show(commands::show::ShowArgs),
    /// Tell what differs between states, or from the files on disk
    Diff(commands::diff::DiffArgs),
    /// Look at another state, or bring files back from one
    Checkout(commands::checkout::CheckoutArgs),
    /// Make an older state the newest
    Rollback(commands::rollback::RollbackArgs),
    /// Take an operation back
    Undo(commands::undo::UndoArgs),
    /// List or make branches
    Branch(commands::branch::BranchArgs),
    /// Go to another branch
    Switch(commands::branch::SwitchArgs),
    /// List, set or remove names for commits
    Tag(commands::branch::TagArgs),
    /// Confirm a vault that was not made on this device
    Trust(commands::trust::TrustArgs),
    /// Name other devices
    Remote(commands::remote::RemoteArgs),
    /// Make a new device of a vault
    Clone(commands::remote::CloneArgs),
    /// Bring what other devices have, and leave the files alone
    Fetch(commands::sync::SyncArgs),
    /// Bring what other devices have, and reconcile
    Pull(commands::sync::SyncArgs),
    /// Give other devices what they lack
    Push(commands::sync::SyncArgs),
    /// Commit, pull and push: both devices have the same head
    Sync(commands::sync::SyncArgs),
    /// Put what other devices lack into one file, or check such a file
    Bundle(commands::bundle::BundleArgs),
    /// The far end of the wire
    Serve(commands::serve::ServeArgs),
    /// Bring together what other devices have sent
    Reconcile(commands::reconcile::ReconcileArgs),
    /// Show what is in conflict
    Conflicts(commands::reconcile::ConflictsArgs),
    /// Choose for a conflict
    Resolve(commands::reconcile::ResolveArgs),
    /// Tell the operations, or check their chain
    Audit(commands::audit::AuditArgs),
    /// Remove bytes for good: a secret that got in
    Purge(commands::purge::PurgeArgs),
    /// Check everything the vault keeps
    #[command(visible_alias = "fsck")]
    Verify(commands::verify::VerifyArgs),
    /// Compact the store
    Gc(commands::gc::GcArgs),
    /// Put right what is damaged: save what is whole, bring back what is lost
    Repair(commands::repair::RepairArgs),
    /// Tell how much the vault keeps
    Stats(commands::verify::StatsArgs),
    /// Try what holds on this machine
    Doctor(commands::doctor::DoctorArgs),
    /// Print an object's bytes
    Cat(commands::cat::CatArgs),
    /// Write a line of text into an event stream
    Note(commands::note::NoteArgs),
    /// Add, list, check, export and import events
    Events(commands::events::EventsArgs),
    /// Write a file atomically from standard input, and commit it
    Write(commands::write::WriteArgs),
    /// Give edited distillates a new seal
    Seal(commands::write::SealArgs),
    /// Tell what was refused
    Rejections(commands::rejections::RejectionsArgs),
    /// List, show, bring back or drop what was refused
    Quarantine(commands::rejections::QuarantineArgs),
    /// Tell what an agent should know when it starts
    Boot(commands::boot::BootArgs),
    /// Tell what each device added since yesterday
    Standup(commands::standup::StandupArgs),
    /// Leave a task for another agent or device, take one, say it is done
    Handoff(commands::handoff::HandoffArgs),
    /// Offer the vault as tools to agents (MCP); programs run it
    Mcp(commands::mcp::McpArgs),
    /// Carry out a model's memory tool; programs run it
    Memory(commands::memory::MemoryArgs),
    /// Take in what other tools left on disk
    Import(commands::import::ImportArgs),
    /// Begin, end, list and show agents' sessions
    Session(commands::session::SessionArgs),
    /// Answer a host of agents; hosts run it
    Hook(commands::hook::HookArgs),
    /// Wire agents to the vault
    Hooks(commands::hooks::HooksArgs),
    /// Print the id that files would have
    Hash(commands::hash::HashArgs),
    /// Move history to git
    Git(commands::git::GitArgs),
    /// Print a completion script for a shell
    Completions(commands::completions::CompletionsArgs),
    /// Write the manual pages into a folder
    Man(commands::man::ManArgs),
}

impl Verb {
    fn run(&self, cx: &mut Context<'_>) -> CommandResult {
        match self {
            Verb::Demo(args) => commands::demo::run(cx, args),
            Verb::Init(args) => commands::init::run(cx, args),
            Verb::Commit(args) => commands::commit::run(cx, args),
            Verb::Status(args) => commands::status::run(cx, args),
            Verb::Log(args) => commands::log::run(cx, args),
            Verb::Show(args) => commands::show::run(cx, args),
            Verb::Diff(args) => commands::diff::run(cx, args),
            Verb::Checkout(args) => commands::checkout::run(cx, args),
            Verb::Rollback(args) => commands::rollback::run(cx, args),
            Verb::Undo(args) => commands::undo::run(cx, args),
            Verb::Branch(args) => commands::branch::run_branch(cx, args),
            Verb::Switch(args) => commands::branch::run_switch(cx, args),
            Verb::Tag(args) => commands::branch::run_tag(cx, args),
            Verb::Trust(args) => commands::trust::run(cx, args),
            Verb::Remote(args) => commands::remote::run(cx, args),
            Verb::Clone(args) => commands::remote::run_clone(cx, args),
            Verb::Fetch(args) => commands::sync::run_fetch(cx, args),
            Verb::Pull(args) => commands::sync::run_pull(cx, args),
            Verb::Push(args) => commands::sync::run_push(cx, args),
            Verb::Sync(args) => commands::sync::run_sync(cx, args),
            Verb::Bundle(args) => commands::bundle::run(cx, args),
            Verb::Serve(args) => commands::serve::run(cx, args),
            Verb::Reconcile(args) => commands::reconcile::run_reconcile(cx, args),
            Verb::Conflicts(args) => commands::reconcile::run_conflicts(cx, args),
            Verb::Resolve(args) => commands::reconcile::run_resolve(cx, args),
            Verb::Audit(args) => commands::audit::run(cx, args),
            Verb::Purge(args) => commands::purge::run(cx, args),
            Verb::Verify(args) => commands::verify::run(cx, args),
            Verb::Gc(args) => commands::gc::run(cx, args),
            Verb::Repair(args) => commands::repair::run(cx, args),
            Verb::Stats(args) => commands::verify::run_stats(cx, args),
            Verb::Doctor(args) => commands::doctor::run(cx, args),
            Verb::Cat(args) => commands::cat::run(cx, args),
            Verb::Note(args) => commands::note::run(cx, args),
            Verb::Events(args) => commands::events::run(cx, args),
            Verb::Write(args) => commands::write::run(cx, args),
            Verb::Seal(args) => commands::write::run_seal(cx, args),
            Verb::Rejections(args) => commands::rejections::run(cx, args),
            Verb::Quarantine(args) => commands::rejections::run_quarantine(cx, args),
            Verb::Boot(args) => commands::boot::run(cx, args),
            Verb::Standup(args) => commands::standup::run(cx, args),
            Verb::Handoff(args) => commands::handoff::run(cx, args),
            Verb::Mcp(args) => commands::mcp::run(cx, args),
            Verb::Memory(args) => commands::memory::run(cx, args),
            Verb::Import(args) => commands::import::run(cx, args),
            Verb::Session(args) => commands::session::run(cx, args),
            Verb::Hook(args) => commands::hook::run(cx, args),
            Verb::Hooks(args) => commands::hooks::run(cx, args),
            Verb::Hash(args) => commands::hash::run(cx, args),
            Verb::Git(args) => commands::git::run(cx, args),
            Verb::Completions(args) => commands::completions::run(cx, args),
            Verb::Man(args) => commands::man::run(cx, args),
        }
    }
}

/// Returns the definition of the whole command line.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the program with the process's own arguments, environment and streams.
pub fn main() -> ExitCode {
    let interruptible = handle_signals();
    let words: Vec<OsString> = std::env::args_os().collect();
    let vars: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let is_hook = commands::hook::is_asked(&words);
    let (cli, matches) = match parse(&words) {
        Ok(parsed) => parsed,
        Err(error) if is_hook && error.use_stderr() => return answer_host_all_the_same(&error.to_string()),
        Err(error) => return tell_usage(&error, &words),
    };
    let mut ui = Ui::new(options(&cli.global, &vars, interruptible));
    let panic_message = remember_panics();
    let result = catch_unwind(AssertUnwindSafe(|| run(&cli, &matches, &mut ui, vars)));
    let result = result.unwrap_or_else(|_| Err(bug(&panic_message)));
    let finished = ui.finish().map_err(CommandError::from);
    let result = result.and_then(|exit| finished.map(|()| exit));
    match result {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) if is_hook => answer_host_all_the_same(&error.message),
        Err(error) => {
            if error.kind != ErrorKind::ClosedPipe {
                ui.error(error.kind.as_str(), &error.message, error.hint.as_deref());
            }
            ExitCode::from(error.kind.exit_code())
        }
    }
}

/// Runs one command line on a given disk, clock and dice, in the folder `dir`, and returns how it ended and what it
/// printed on standard output. `vars` stands in for the environment, `stdin` for standard input.
pub fn run_on(
    disk: Arc<dyn Disk>,
    env: Env,
    dir: &Path,
    vars: BTreeMap<OsString, OsString>,
    words: &[&str],
    stdin: &[u8],
) -> (CommandResult, Vec<u8>) {
    let words: Vec<OsString> = ["mvault"].iter().chain(words).map(OsString::from).collect();
    let (cli, matches) = match parse(&words) {
        Ok(parsed) => parsed,
        Err(error) => return (Err(CommandError::usage(error.to_string())), Vec::new()),
    };
    let quiet =
        Options { verbosity: Verbosity::Quiet, pager: None, ..options(&cli.global, &vars, Arc::default()) };
    let (mut ui, printed) = Ui::in_memory(quiet);
    let dir = cli.global.dir.as_deref().map_or_else(|| dir.to_path_buf(), |asked| dir.join(asked));
    let surroundings = Surroundings { disk, env, dir, vars, stdin: Some(stdin.to_vec()) };
    let result = dispatch(&cli, &matches, &mut ui, surroundings);
    let finished = ui.finish().map_err(CommandError::from);
    let printed = printed.lock().map(|bytes| bytes.clone()).unwrap_or_default();
    (result.and_then(|exit| finished.map(|()| exit)), printed)
}

/// Parses a command line: as values, and as what was matched, for the log.
fn parse(words: &[OsString]) -> Result<(Cli, ArgMatches), clap::Error> {
    let mut definition = definition();
    let matches = definition.try_get_matches_from_mut(words)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))?;
    Ok((cli, matches))
}

fn run(cli: &Cli, matches: &ArgMatches, ui: &mut Ui, vars: BTreeMap<OsString, OsString>) -> CommandResult {
    #[allow(clippy::disallowed_methods)] // this is where the surroundings come in
    let current = std::env::current_dir().map_err(|error| {
        CommandError::new(ErrorKind::Failed, format!("cannot tell the current folder: {error}"))
            .hint("change to a folder that exists, or give -C DIR")
    });
    let dir = match &cli.global.dir {
        Some(dir) if dir.is_absolute() => dir.clone(),
        Some(dir) => current?.join(dir),
        None => current?,
    };
    work_on_one_thread_if_asked(&vars)?;
    let (disk, env) = (disk(&vars, &dir)?, surroundings(&vars)?);
    dispatch(cli, matches, ui, Surroundings { disk, env, dir, vars, stdin: None })
}

/// Where a command runs.
struct Surroundings {
    disk: Arc<dyn Disk>,
    env: Env,
    dir: PathBuf,
    vars: BTreeMap<OsString, OsString>,
    /// What stands for standard input; `None` is the process's own.
    stdin: Option<Vec<u8>>,
}

fn dispatch(cli: &Cli, matches: &ArgMatches, ui: &mut Ui, surroundings: Surroundings) -> CommandResult {
    let Surroundings { disk, env, dir, vars, stdin } = surroundings;
    let vault_dir = vars.get(OsStr::new("MVAULT_DIR")).filter(|dir| !dir.is_empty());
    let vault_start = match vault_dir {
        Some(vault) if cli.global.dir.is_none() => VaultStart::Exactly(dir.join(vault)),
        _ => VaultStart::Search(dir.clone()),
    };
    let args = commands::logged::words(&definition(), matches);
    let caller = Caller::Person;
    let mut cx = Context { disk, env, ui, dir, vault_start, caller, vars, args, stdin, definition };
    cli.verb.run(&mut cx)
}

/// Returns the system's clock and dice, or fixed ones when a test asks for them: `MVAULT_TEST_CLOCK`
/// (RFC 3339) and `MVAULT_TEST_SEED`.
fn surroundings(vars: &BTreeMap<OsString, OsString>) -> Result<Env, CommandError> {
    let Some(clock) = vars.get(OsStr::new("MVAULT_TEST_CLOCK")) else {
        let is_chosen = vars.contains_key(OsStr::new("TZ"));
        return Ok(Env::system(if is_chosen { || None } else { || local_zone(&RealDisk) }));
    };
    let moment = clock.to_str().and_then(Moment::parse_rfc3339).ok_or_else(|| {
        CommandError::usage("MVAULT_TEST_CLOCK is not a time like 2026-11-22T06:40:00Z")
            .hint("unset MVAULT_TEST_CLOCK: it is for tests only")
    })?;
    let seed = vars.get(OsStr::new("MVAULT_TEST_SEED")).map(|seed| seed.to_string_lossy().into_owned());
    Ok(Env::fixed(moment, &seed.unwrap_or_default()))
}

/// Returns the machine's disk. With `MVAULT_TEST_TRACE` set, each call that can change something is
/// written down at the end of the file of that name.
fn disk(vars: &BTreeMap<OsString, OsString>, dir: &Path) -> Result<Arc<dyn Disk>, CommandError> {
    let Some(trace) = vars.get(OsStr::new("MVAULT_TEST_TRACE")) else { return Ok(Arc::new(RealDisk)) };
    Ok(Arc::new(TracedDisk::new(Arc::new(RealDisk), &dir.join(trace))?))
}

/// With `MVAULT_TEST_ONE_THREAD` set, parallel work happens on the main thread, in one order: for tests
/// that count calls or compare their order.
fn work_on_one_thread_if_asked(vars: &BTreeMap<OsString, OsString>) -> Result<(), CommandError> {
    if !vars.contains_key(OsStr::new("MVAULT_TEST_ONE_THREAD")) {
        return Ok(());
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    pool.build_global().map_err(|error| CommandError::from_error(ErrorKind::Failed, &error))
}

fn options(
    global: &GlobalArgs,
    vars: &BTreeMap<OsString, OsString>,
    interruptible: Arc<AtomicBool>,
) -> Options {
    let var = |name: &str| vars.get(OsStr::new(name)).map(|value| value.to_string_lossy().into_owned());
    let asked = global.color.map(|color| match color {
        ColorArg::Auto => ColorChoice::Auto,
        ColorArg::Always => ColorChoice::Always,
        ColorArg::Never => ColorChoice::Never,
    });
    let color = ColorChoice::resolve(asked, var("NO_COLOR").as_deref(), var("CLICOLOR_FORCE").as_deref());
    let pager = if global.no_pager { None } else { PagerSetup::choose(var, interruptible) };
    Options {
        format: if global.json { Format::Json } else { Format::Text },
        verbosity: if global.quiet { Verbosity::Quiet } else { Verbosity::Normal },
        color,
        pager,
        columns: var("COLUMNS").and_then(|columns| columns.parse().ok()).or_else(terminal_columns),
        glyphs: Glyphs::choose(var),
    }
}

/// A host of agents gets a valid answer and success whatever happens; the reason goes to standard error.
fn answer_host_all_the_same(reason: &str) -> ExitCode {
    let mut ui = Ui::new(Options::default());
    ui.warn(harmless_line(reason.as_bytes()));
    let _the_host_went_away = ui.bytes(commands::hook::EMPTY_ANSWER).and_then(|()| ui.finish());
    ExitCode::SUCCESS
}

/// Tells what is wrong with the command line, or prints the help that was asked for.
fn tell_usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        // Help and version are data; a reader that went away has what it wanted.
        let printed = error.print().and_then(|()| std::io::Write::flush(&mut std::io::stdout()));
        return match printed.map_err(crate::ui::Error::from).map_err(CommandError::from) {
            Err(error) if error.kind != ErrorKind::ClosedPipe => {
                let mut ui = Ui::new(Options::default());
                ui.error(error.kind.as_str(), &error.message, error.hint.as_deref());
                ExitCode::from(error.kind.exit_code())
            }
            _ => ExitCode::SUCCESS,
        };
    }
    let json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    if json {
        let mut ui = Ui::new(Options { format: Format::Json, ..Options::default() });
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        ui.error(ErrorKind::Usage.as_str(), message, Some("mvault --help"));
    } else {
        let _nobody_left_to_tell = error.print();
    }
    ExitCode::from(ErrorKind::Usage.exit_code())
}

/// Keeps the first panic's message and silences the default report.
fn remember_panics() -> Arc<Mutex<Option<String>>> {
    let kept: Arc<Mutex<Option<String>>> = Arc::default();
    let keep = kept.clone();
    std::panic::set_hook(Box::new(move |info| {
        let payload: &dyn Any = info.payload();
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        let place = info.location().map(|at| format!(" at {at}")).unwrap_or_default();
        if let Ok(mut kept) = keep.lock() {
            kept.get_or_insert(format!("{text}{place}"));
        }
    }));
    kept
}

fn bug(panic_message: &Mutex<Option<String>>) -> CommandError {
    let text = panic_message.lock().ok().and_then(|mut kept| kept.take()).unwrap_or_default();
    CommandError::new(ErrorKind::Bug, format!("this is a fault of mvault itself: {text}"))
        .hint("the vault is as it was before or after the command, never between; please report this")
}

/// Makes Ctrl-C end with 130 and a file that grew beyond its limit an ordinary error.
///
/// The returned flag decides whether Ctrl-C ends the program: while a pager runs it does not.
fn handle_signals() -> Arc<AtomicBool> {
    use signal_hook::consts::{SIGINT, SIGXFSZ};
    let interruptible = Arc::new(AtomicBool::new(true));
    let exit_code = i32::from(ErrorKind::Interrupted.exit_code());
    // Registering fails only for signals that no program may handle.
    signal_hook::flag::register_conditional_shutdown(SIGINT, exit_code, interruptible.clone())
        .expect("SIGINT can be handled");
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).expect("SIGXFSZ can be handled");
    interruptible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn no_verb_takes_the_id_of_a_global_option() {
        for verb in definition().get_subcommands() {
            let taken = verb.get_arguments().find(|arg| arg.get_id().as_str().starts_with("global_"));
            assert!(taken.is_none(), "{}: {taken:?}", verb.get_name());
        }
    }
}
