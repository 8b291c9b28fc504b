//! `events`: event streams are added to, listed, checked, exported and imported.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::commit::AllowArgs;
use super::note::{self, Entry};
use super::{CommandError, CommandResult, Context, ErrorKind, Exit};
use crate::env::Moment;
use crate::events::{self, Content, Event, Line, Stream};
use crate::fs;
use crate::object::{Json, VaultPath, typed};
use crate::ui::{Style, harmless_line, json, table::Table};
use crate::vault::revision::parse_moment;
use crate::vault::{self, Access, Vault};

/// The longest file that is imported, and the longest body from standard input.
const IMPORT_BYTES_MAX: u64 = 256 << 20;
/// How much of a body a line for people shows.
const SHOWN_CHARS_MAX: usize = 200;
/// Where lines go that name no device when no stream is given.
const IMPORTED: &str = "imported";

/// Arguments of `events`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault events list --since yesterday   what happened, on all devices, in causal order
  mvault events verify                   are the chains whole?
  mvault events import pixel.jsonl       take in what another device exported")]
pub struct EventsArgs {
    #[command(subcommand)]
    verb: EventsVerb,
}

#[derive(Debug, clap::Subcommand)]
enum EventsVerb {
    /// Write an event with a body of your own
    Add(AddArgs),
    /// List events of all streams in causal order
    List(ListArgs),
    /// Check ids, chains and lines
    Verify(VerifyArgs),
    /// Write events as JSON Lines, for another device or tool
    Export(ExportArgs),
    /// Add events from a file, each once
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault events add --kind decision '{\"text\":\"no stemmer\",\"why\":\"hurts 11 of 60 queries\"}'
  jq -c .result run.json | mvault events add --kind run --stream runs")]
struct AddArgs {
    /// The body, any JSON value; without it, standard input is read
    #[arg(value_name = "JSON")]
    body: Option<String>,
    /// The stream: a word for events/WORD.jsonl, or a path that ends in .jsonl
    #[arg(long, value_name = "S")]
    stream: Option<String>,
    /// What kind of event this is
    #[arg(long, value_name = "K", default_value = "event")]
    kind: String,
    /// The agent's session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    #[command(flatten)]
    allow: AllowArgs,
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Only this stream; may be given more than once
    #[arg(long = "stream", value_name = "S")]
    streams: Vec<String>,
    /// Only events of this device
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Only events of this kind
    #[arg(long, value_name = "K")]
    kind: Option<String>,
    /// Only events of this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only events at or after a time: `yesterday`, `2 hours ago`, `2026-11-22T08:00`
    #[arg(long, value_name = "T")]
    since: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault events list                          everything that happened, in causal order
  mvault events list --since yesterday -n 20  the newest twenty since yesterday
  mvault events list --device pixel --json    one object a line")]
struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    /// Only the newest N
    #[arg(short = 'n', value_name = "N")]
    count: Option<usize>,
    /// Also what is held back, and lines that are no events of ours
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 0: nothing to report; 1: something is not as it should be.")]
struct VerifyArgs {
    /// The streams; all if none is named
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault events export > all.jsonl
  mvault events export --device pixel --since yesterday --output pixel.jsonl")]
struct ExportArgs {
    #[command(flatten)]
    filter: Filter,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mvault events import pixel.jsonl
  ssh phone cat notes.jsonl | mvault events import -

Events go to the stream of their device, lines that are no events of ours to events/imported.jsonl, unless
--stream says otherwise. An event that follows one which is not known is added and held back: it is
listed once the missing one arrives.")]
struct ImportArgs {
    /// The file, or `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Add everything to this stream
    #[arg(long, value_name = "S")]
    stream: Option<String>,
    #[command(flatten)]
    allow: AllowArgs,
}

/// Runs the verb that was given.
pub fn run(cx: &mut Context<'_>, args: &EventsArgs) -> CommandResult {
    match &args.verb {
        EventsVerb::Add(args) => add(cx, args),
        EventsVerb::List(args) => list(cx, args),
        EventsVerb::Verify(args) => verify(cx, args),
        EventsVerb::Export(args) => export(cx, args),
        EventsVerb::Import(args) => import(cx, args),
    }
}

fn add(cx: &mut Context<'_>, args: &AddArgs) -> CommandResult {
    let text = match &args.body {
        Some(text) => text.clone().into_bytes(),
        None => cx.read_stdin(IMPORT_BYTES_MAX)?,
    };
    let body = Json::parse(&text).map_err(|error| {
        CommandError::usage(format!("the body is no JSON value: {error}"))
            .hint("for plain text there is `mvault note`")
    })?;
    let (stream, session) = (args.stream.as_deref(), args.session.as_deref());
    note::write(
        cx,
        Entry { stream, kind: &args.kind, session, body, allow: &args.allow, operation: "events" },
    )
}

/// A stream of the vault, in memory.
struct Text {
    path: VaultPath,
    bytes: Vec<u8>,
}

/// Reads the streams that are named, or all.
fn read(vault: &mut Vault, names: &[String]) -> Result<Vec<Text>, CommandError> {
    let paths = if names.is_empty() {
        vault::stream_paths(vault)?
    } else {
        let path = |name: &String| vault::stream_path(vault, Some(name));
        names.iter().map(path).collect::<Result<_, _>>()?
    };
    let mut texts = Vec::new();
    for path in paths {
        match vault::read_stream(vault, &path)? {
            Some(bytes) => texts.push(Text { path, bytes }),
            None if names.is_empty() => {}
            None => {
                return Err(CommandError::new(ErrorKind::NotFound, format!("there is no stream {path}"))
                    .hint("`mvault events verify` names the streams there are"));
            }
        }
    }
    Ok(texts)
}

/// A line of some stream, to be shown or exported.
struct Item<'s> {
    path: &'s VaultPath,
    line: &'s Line<'s>,
    is_held: bool,
    event: Option<Event>,
}

/// Puts the lines of all streams in the total order, events once each; lines without a stamp stay behind
/// their neighbour.
fn in_order<'s>(parsed: &'s [(&'s VaultPath, Stream<'s>)]) -> Vec<Item<'s>> {
    let mut items = Vec::new();
    for (path, stream) in parsed {
        let held = events::verify(stream).held;
        let mut place = None;
        for (line, is_held) in stream.lines().iter().zip(held) {
            if let Some(stamp) = line.content.stamp() {
                place = Some((stamp, line.content.id()));
            }
            items.push((place.clone(), Item { path, line, is_held, event: line.event() }));
        }
    }
    items.sort_by(|(a, x), (b, y)| a.cmp(b).then(x.is_held.cmp(&y.is_held)));
    let mut seen = HashSet::new();
    let items = items.into_iter().map(|(_, item)| item);
    items.filter(|item| item.event.as_ref().is_none_or(|event| seen.insert(event.id))).collect()
}

impl Filter {
    fn since(&self, cx: &Context<'_>) -> Result<Option<i64>, CommandError> {
        let Some(text) = &self.since else { return Ok(None) };
        let moment = parse_moment(text, cx.env.clock.now());
        moment.map(Some).ok_or_else(|| {
            CommandError::usage(format!("{text:?} is no time"))
                .hint("try `yesterday`, `3 days ago` or 2026-11-22T08:00")
        })
    }

    fn takes(&self, event: &Event, since: Option<i64>) -> bool {
        let is = |wanted: &Option<String>, actual: &str| wanted.as_deref().is_none_or(|w| w == actual);
        // A time that is no real one is before any other.
        let at = Moment::parse_rfc3339(&event.at).map_or(i64::MIN, |at| at.seconds());
        is(&self.device, event.device.as_str())
            && is(&self.kind, &event.kind)
            && self.session.as_ref().is_none_or(|w| event.session.as_ref().is_some_and(|s| s.as_str() == w))
            && since.is_none_or(|since| at >= since)
    }

    fn is_empty(&self) -> bool {
        self.device.is_none() && self.kind.is_none() && self.session.is_none() && self.since.is_none()
    }
}

fn list(cx: &mut Context<'_>, args: &ListArgs) -> CommandResult {
    let since = args.filter.since(cx)?;
    let mut vault = cx.open_vault(Access::Tree)?;
    let texts = read(&mut vault, &args.filter.streams)?;
    let parsed: Vec<_> = texts.iter().map(|text| (&text.path, Stream::parse(&text.bytes))).collect();
    let items = in_order(&parsed);
    let held = items.iter().filter(|item| item.is_held).count();
    let wanted = |item: &Item<'_>| match &item.event {
        Some(event) => (args.all || !item.is_held) && args.filter.takes(event, since),
        None => args.all && args.filter.is_empty(),
    };
    let mut items: Vec<Item<'_>> = items.into_iter().filter(wanted).collect();
    items.drain(..items.len().saturating_sub(args.count.unwrap_or(usize::MAX)));
    if cx.ui.is_json() {
        for item in &items {
            cx.ui.json(&item_json(item))?;
        }
        return Ok(Exit::Done);
    }
    cx.ui.page()?;
    let mut table = Table::new();
    for item in &items {
        table.styled(item_cells(item));
    }
    for line in table.lines(cx.ui.palette()) {
        cx.ui.line(line)?;
    }
    if held > 0 && !args.all {
        cx.ui.note(format_args!("{held} more are held back; `mvault events verify` tells why"));
    }
    Ok(Exit::Done)
}

fn item_json(item: &Item<'_>) -> Value {
    let mut object = Map::new();
    object.insert("id".into(), item.line.content.id().to_string().into());
    if let Some(event) = &item.event {
        object.insert("lamport".into(), event.lamport.0.into());
        object.insert("device".into(), event.device.as_str().into());
        object.insert("epoch".into(), event.epoch.as_str().into());
        object.insert("seq".into(), event.seq.into());
        object.insert("prev".into(), event.prev.map(|id| id.to_string()).into());
        object.insert("at".into(), event.at.as_str().into());
        object.insert("session".into(), event.session.as_ref().map(ToString::to_string).into());
        object.insert("kind".into(), event.kind.as_str().into());
        object.insert("body".into(), to_value(&event.body));
    } else {
        object.insert("kind".into(), Value::Null);
        object.insert("text".into(), json::text(item.line.bytes));
    }
    json::put_path(&mut object, "stream", item.path.as_bytes());
    object.insert("line".into(), item.line.number.into());
    object.insert("held".into(), item.is_held.into());
    Value::Object(object)
}

/// Returns a body for the output. A number that no double holds is told as the text it is.
fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(is) => (*is).into(),
        Json::String(text) => text.as_str().into(),
        Json::Number(number) => {
            serde_json::from_str(number.as_str()).unwrap_or_else(|_| number.as_str().into())
        }
        Json::Array(items) => items.iter().map(to_value).collect(),
        Json::Object(object) => {
            object.members().iter().map(|(key, value)| (key.clone(), to_value(value))).collect()
        }
    }
}

fn item_cells(item: &Item<'_>) -> Vec<(String, Option<Style>)> {
    let Some(event) = &item.event else {
        let dash = || ("-".to_owned(), None);
        return vec![dash(), dash(), dash(), (shortened(item.line.bytes), None)];
    };
    let at = event.at.get(..16).unwrap_or(&event.at).replace('T', " ");
    let text = event.body.as_object().and_then(|body| body.get("text")).and_then(Json::as_str);
    let text = text.map_or_else(|| shortened(event.body.canonical().as_bytes()), |t| shortened(t.as_bytes()));
    let text = if item.is_held { format!("(held back) {text}") } else { text };
    vec![
        (at, Some(Style::Faint)),
        (event.device.to_string(), Some(Style::Ref)),
        (harmless_line(event.kind.as_bytes()), None),
        (text, None),
    ]
}

fn shortened(bytes: &[u8]) -> String {
    let text = harmless_line(bytes);
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text;
    }
    text.chars().take(SHOWN_CHARS_MAX - 1).chain(['…']).collect()
}

fn verify(cx: &mut Context<'_>, args: &VerifyArgs) -> CommandResult {
    let mut vault = cx.open_vault(Access::Tree)?;
    let mut exit = Exit::Done;
    for text in read(&mut vault, &args.streams)? {
        let report = events::verify(&Stream::parse(&text.bytes));
        if !report.findings.is_empty() {
            exit = Exit::Failed;
        }
        if cx.ui.is_json() {
            cx.ui.json(&report_json(&text.path, &report))?;
            continue;
        }
        let held = report.held.iter().filter(|held| **held).count();
        let mut parts = vec![format!("{} events", report.events), format!("{} chains", report.chains.len())];
        parts.extend((report.foreign > 0).then(|| format!("{} lines of other tools", report.foreign)));
        parts.extend((held > 0).then(|| format!("{held} held back")));
        let state = if report.findings.is_empty() { "ok" } else { "not as it should be" };
        cx.ui.line(format_args!("{}: {} ({})", text.path, state, parts.join(", ")))?;
        for finding in &report.findings {
            let told = harmless_line(finding.to_string().as_bytes());
            cx.ui.line(format_args!("  line {}: {told}", finding.line()))?;
        }
    }
    Ok(exit)
}

fn report_json(path: &VaultPath, report: &events::Report) -> Value {
    let chain = |chain: &events::Chain| {
        serde_json::json!({
            "device": &*chain.device,
            "epoch": &*chain.epoch,
            "events": chain.events,
            "last_seq": chain.last_seq,
            "last": chain.last.to_string(),
            "lamport": chain.lamport.0,
        })
    };
    let problem = |finding: &events::Finding| serde_json::json!({ "kind": finding.kind(), "line": finding.line(), "what": finding.to_string() });
    let mut object = Map::new();
    json::put_path(&mut object, "stream", path.as_bytes());
    object.insert("events".into(), report.events.into());
    object.insert("foreign".into(), report.foreign.into());
    object.insert("held".into(), report.held.iter().filter(|held| **held).count().into());
    object.insert("chains".into(), report.chains.iter().map(chain).collect());
    object.insert("problems".into(), report.findings.iter().map(problem).collect());
    Value::Object(object)
}

fn export(cx: &mut Context<'_>, args: &ExportArgs) -> CommandResult {
    let since = args.filter.since(cx)?;
    let mut vault = cx.open_vault(Access::Tree)?;
    let texts = read(&mut vault, &args.filter.streams)?;
    let parsed: Vec<_> = texts.iter().map(|text| (&text.path, Stream::parse(&text.bytes))).collect();
    let mut out = Vec::new();
    let (mut count, mut left_out) = (0usize, 0usize);
    for item in in_order(&parsed) {
        let wanted = match (&item.line.content, &item.event) {
            (_, Some(event)) => args.filter.takes(event, since),
            (Content::Opaque(..), _) if !item.line.is_tolerable() => {
                left_out += 1;
                false
            }
            _ => args.filter.is_empty(),
        };
        if wanted {
            out.extend_from_slice(item.line.bytes);
            out.push(b'\n');
            count += 1;
        }
    }
    if left_out > 0 {
        cx.ui.warn(format_args!("{left_out} lines cannot be read and were left out"));
    }
    match &args.output {
        None => cx.ui.bytes(&out)?,
        Some(file) => {
            let path = cx.path(file);
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(CommandError::usage("the output is no file's name").hint("--output FILE"));
            };
            fs::replace_file(&cx.disk.open_dir(parent)?, name, &out, 0o644)?;
            cx.ui.note(format_args!("{count} events written"));
        }
    }
    Ok(Exit::Done)
}

fn import(cx: &mut Context<'_>, args: &ImportArgs) -> CommandResult {
    let incoming = read_file(cx, &args.file)?;
    let mut vault = cx.open_vault(Access::Tree)?;
    let parts = match &args.stream {
        Some(name) => vec![(vault::stream_path(&vault, Some(name))?, incoming)],
        None => by_device(&vault, &incoming)?,
    };
    let allowed = args.allow.parse(cx, &vault, &[])?;
    let outcome = vault::import_streams(&mut vault, &parts, &allowed)?;
    cx.tell_notices(&mut vault);
    for added in &outcome {
        if cx.ui.is_json() {
            let mut object = Map::new();
            json::put_path(&mut object, "stream", added.stream.as_bytes());
            object.insert("added".into(), added.added.into());
            object.insert("known".into(), added.known.into());
            object.insert("held".into(), added.held.into());
            cx.ui.json(&Value::Object(object))?;
            continue;
        }
        cx.ui.line(format_args!("{}: {} new, {} known already", added.stream, added.added, added.known))?;
        if added.held > 0 {
            cx.ui.note(format_args!(
                "{} events of it are held back; {} tells what they wait for",
                added.held,
                typed("events verify").path(&added.stream)
            ));
        }
    }
    Ok(Exit::Done)
}

fn read_file(cx: &Context<'_>, file: &Path) -> Result<Vec<u8>, CommandError> {
    if file == Path::new("-") {
        return cx.read_stdin(IMPORT_BYTES_MAX);
    }
    let real = cx.disk.canonicalize(&cx.path(file))?;
    match (real.parent(), real.file_name()) {
        (Some(parent), Some(name)) => Ok(cx.disk.open_dir(parent)?.read(name, IMPORT_BYTES_MAX)?),
        _ => Err(CommandError::usage("that is no file").hint("mvault events import FILE")),
    }
}

/// Sorts lines to the streams of the devices that wrote them.
fn by_device(vault: &Vault, incoming: &[u8]) -> Result<Vec<(VaultPath, Vec<u8>)>, CommandError> {
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for line in Stream::parse(incoming).lines() {
        let name = match &line.content {
            Content::Event(facts) => facts.device.to_string(),
            _ => IMPORTED.to_owned(),
        };
        let part = parts.entry(name).or_default();
        part.extend_from_slice(line.bytes);
        part.push(b'\n');
    }
    let path = |(name, lines): (String, Vec<u8>)| Ok((vault::stream_path(vault, Some(&name))?, lines));
    parts.into_iter().map(path).collect()
}
