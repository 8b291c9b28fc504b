//! What an agent should know: files, news of other devices, what is open, and distillates.
//!
//! Every file is the last version that can be relied on: hashed, and its seal looked at. What stands on
//! disk is compared with it, one file at a time; nothing is walked.

use std::collections::VecDeque;

use gix::bstr::ByteSlice;

use super::pack::{Item, is_open_title, sections};
use crate::agent::handoff::{self, Handoff, State};
use crate::agent::news::{self, FilesOf, News};
use crate::events::Event;
use crate::gateway::Reason;
use crate::object::{BlobId, CommitId, Json, Mode, Source, TreeId, VaultPath, entry_at, list_tree, typed};
use crate::ui::time;
use crate::vault::rules::{Class, VaultRules};
use crate::vault::{self, Result, Standing, Vault};

/// The longest text of one event that is told.
const EVENT_CHARS_MAX: usize = 600;
/// So much of a new note is told.
const NOTE_CHARS_MAX: usize = 1_200;
/// So many rejections are told.
const REJECTIONS_TOLD: usize = 10;
/// Maximum number of waiting files that are shown, of each kind.
const WAITING_SHOWN: usize = 10;
/// So many tasks that were left are told, of those for this agent and of the others.
const HANDOFFS_TOLD: usize = 8;
/// How many links are followed one after the other.
const LINKS_FOLLOWED_MAX: usize = 16;
/// So many conflicts are told.
const CONFLICTS_TOLD: usize = 10;
/// A file that was wanted, and what became of it.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// Where.
    pub path: VaultPath,
    /// The blob that is told; none if no version could be relied on.
    pub id: Option<crate::object::ObjectId>,
    /// Its length in bytes, of the head's version where none could be relied on.
    pub bytes: u64,
    /// Whether what is told was verified.
    pub is_verified: bool,
    /// Why an older version, or another than the one on disk, is told.
    pub healed: Option<String>,
    /// What is worth a word besides.
    pub note: Option<String>,
    /// The text; empty if there is none to tell.
    pub text: String,
    /// What it is to the vault.
    pub class: Class,
}

/// Looks at one file. A link is followed as long as it stays inside of the vault.
pub fn file(vault: &Vault, rules: &VaultRules, path: &VaultPath) -> Result<FileSource> {
    let head = vault.tree_of(vault.head()?)?;
    let class = rules.class_of(path);
    let mut source = FileSource {
        path: path.clone(),
        id: None,
        bytes: 0,
        is_verified: false,
        healed: None,
        note: None,
        text: String::new(),
        class,
    };
    let real = match resolve(vault.store(), head, path)? {
        Ok(real) => real,
        Err(why) => {
            source.note = Some(why);
            return Ok(source);
        }
    };
    let Some(reliable) = vault::reliable(vault, &real)? else {
        let entry = entry_at(vault.store(), head, &real)?;
        let size = entry.and_then(|entry| vault.store().try_info(entry.id).ok().flatten());
        source.bytes = size.map_or(0, |(_, size)| size);
        source.note = Some("no version of it can be read and verified".into());
        return Ok(source);
    };
    source.id = Some(reliable.id);
    source.bytes = reliable.bytes.len() as u64;
    source.is_verified = true;
    source.text = reliable.bytes.to_str_lossy().into_owned();
    source.healed =
        reliable.instead_of.map(|why| format!("{why}; told is the version of {}", reliable.commit.short()));
    match vault::standing(vault, &real)? {
        Standing::AsCommitted => {}
        Standing::Missing => source.note = Some("it is gone from the folder".into()),
        Standing::Edited => {
            source.note = Some(format!("edits in no commit are not told: {}", typed("diff --").path(&real)));
        }
        Standing::Refused(finding) => {
            let why = finding.reason.as_str();
            source.healed = Some(format!("in the folder, {why}; told is the last verified version"));
        }
        Standing::NotLookedAt => source.note = Some("what stands in the folder was not compared".into()),
    }
    if real != *path {
        let link = format!("a link to {real}");
        source.note = Some(source.note.map_or(link.clone(), |note| format!("{link}; {note}")));
    }
    Ok(source)
}

/// Returns the file that a path leads to in a tree, over links if need be; or why it leads to none.
fn resolve(
    source: &dyn Source,
    tree: TreeId,
    path: &VaultPath,
) -> Result<std::result::Result<VaultPath, String>> {
    let mut rest: VecDeque<Vec<u8>> = path.parts().map(<[u8]>::to_vec).collect();
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." if done.pop().is_some() => continue,
            b".." => return Ok(Err("it is a link that leads out of the vault".into())),
            _ => done.push(part),
        }
        let Ok(here) = VaultPath::parse(done.join(&b'/')) else {
            return Ok(Err("it is a link to a name that no vault can hold".into()));
        };
        let Some(entry) = entry_at(source, tree, &here)? else {
            let is_itself = here == *path || links == 0;
            let why = if is_itself {
                "it is not in the vault".to_owned()
            } else {
                format!("{here} is not in the vault")
            };
            return Ok(Err(if links == 0 { why } else { format!("it is a link, and {why}") }));
        };
        match entry.mode {
            Mode::Symlink if links == LINKS_FOLLOWED_MAX => {
                return Ok(Err("it is a link that leads to itself".into()));
            }
            Mode::Symlink => {
                links += 1;
                let target = source.find_blob(BlobId::new(entry.id))?;
                if target.starts_with(b"/") {
                    return Ok(Err("it is a link that leads out of the vault".into()));
                }
                done.pop();
                for part in target.split(|byte| *byte == b'/').rev() {
                    rest.push_front(part.to_vec());
                }
            }
            Mode::Tree => {}
            Mode::File | Mode::Executable if rest.is_empty() => return Ok(Ok(here)),
            Mode::File | Mode::Executable => return Ok(Err(format!("{here} is not a folder"))),
        }
    }
    Ok(Err("it is a folder".into()))
}

/// Returns the paths that a pattern in `.gitignore` syntax names in a tree, sorted. Only the part of the tree
/// below the pattern's plain beginning is read.
pub fn paths_of(source: &dyn Source, tree: TreeId, pattern: &str) -> Result<Vec<VaultPath>> {
    let plain = pattern.trim_start_matches('/');
    let first_wild = plain.find(['*', '?', '[', '\\']);
    if first_wild.is_none() && (pattern.contains('/') || !plain.is_empty()) {
        let path = VaultPath::parse(plain).ok();
        let path = path
            .filter(|path| matches!(entry_at(source, tree, path), Ok(Some(entry)) if !entry.mode.is_tree()));
        return Ok(path.into_iter().collect());
    }
    let folder = plain[..first_wild.unwrap_or(0)].rfind('/').map_or("", |at| &plain[..at]);
    let (base, prefix) = match VaultPath::parse(folder) {
        Ok(folder) => match entry_at(source, tree, &folder)? {
            Some(entry) if entry.mode.is_tree() => (TreeId::new(entry.id), format!("{folder}/")),
            _ => return Ok(Vec::new()),
        },
        Err(_) => (tree, String::new()),
    };
    let Some(glob) = gix::glob::Pattern::from_bytes_without_negation(pattern.as_bytes()) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for file in list_tree(source, base) {
        let (path, _) = file?;
        let full = [prefix.as_bytes(), path.as_bytes()].concat();
        let name_at = full.rfind_byte(b'/').map(|at| at + 1);
        let case = gix::glob::pattern::Case::Sensitive;
        let wild = gix::glob::wildmatch::Mode::NO_MATCH_SLASH_LITERAL;
        let matches = glob.matches_repo_relative_path(full.as_bstr(), name_at, Some(false), case, wild);
        if matches {
            found.extend(VaultPath::parse(full));
        }
    }
    Ok(found)
}

/// Returns the newest distillates, the newest first: by the order of their names, which begin with a date
/// where a vault keeps to the custom.
pub fn newest_distillates(vault: &Vault, rules: &VaultRules, count: usize) -> Result<Vec<VaultPath>> {
    let tree = vault.tree_of(vault.head()?)?;
    let mut paths = Vec::new();
    for pattern in rules.patterns_of(Class::Distillate) {
        paths.extend(paths_of(vault.store(), tree, &pattern)?);
    }
    paths.retain(|path| rules.class_of(path) == Class::Distillate);
    paths.sort_by(|a, b| b.name().cmp(a.name()).then_with(|| b.cmp(a)));
    paths.dedup();
    paths.truncate(count);
    Ok(paths)
}

/// Returns the part of a text under headings that name goals and open things; its beginning if none does.
pub fn open_part(text: &str) -> String {
    let all = sections(text);
    let is_open = |section: &&&str| is_open_title(section);
    let open: String = all.iter().filter(is_open).copied().collect();
    if open.is_empty() { all.first().copied().unwrap_or_default().to_owned() } else { open }
}

/// Tells events and notes of other devices that are new since `old`; with `None` the newest events of all.
pub fn news_items(vault: &Vault, rules: &VaultRules, old: Option<CommitId>) -> Result<Vec<Item>> {
    let head = vault.head()?;
    let news = match old {
        Some(old) if old == head => News::default(),
        Some(old) => news::between(vault, &[old], head, FilesOf::AllBut(&vault.config().device))?,
        None => News { events: news::all_events(vault, head)?, ..News::default() },
    };
    let own = vault.config().device.as_str();
    let mut items = Vec::new();
    let foreign: Vec<&Event> =
        news.events.iter().map(|news| &news.event).filter(|event| event.device.as_str() != own).collect();
    let events_max = rules.boot().events;
    let skipped = foreign.len().saturating_sub(events_max);
    if let Some(last) = foreign.last() {
        let mut text: String = foreign[skipped..].iter().map(|event| event_line(event)).collect();
        if skipped > 0 {
            text.insert_str(0, &format!("({skipped} older ones: `mvault events list`)\n"));
        }
        items.push(Item {
            name: "events of other devices".into(),
            label: format!("{}, in causal order, not signed", count(foreign.len(), "event")),
            text,
            id: Some(last.id.to_string()),
            command: typed("events list"),
            importance: 30,
        });
    }
    for file in news.files.iter().rev() {
        let is_foreign = file.device.as_ref().is_some_and(|device| device.as_str() != own);
        let (Some(id), true, Class::Note) = (file.new, is_foreign, file.class) else { continue };
        if items.iter().any(|item| item.name == file.path.to_string()) {
            continue;
        }
        let Ok(bytes) = vault.store().find_blob(crate::object::BlobId::new(id)) else { continue };
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        let device = file.device.as_ref().map(ToString::to_string).unwrap_or_default();
        let what = if file.old.is_none() { "added" } else { "changed" };
        items.push(Item {
            name: file.path.to_string(),
            label: format!("{what} by {device}, not signed, in {}", file.commit.short()),
            text: shortened(text, NOTE_CHARS_MAX),
            id: Some(id.to_string()),
            command: typed("show").pair(file.commit.short(), &file.path),
            importance: 40,
        });
        if items.len() > events_max {
            break;
        }
    }
    Ok(items)
}

/// Returns an event as a line: when, who, what.
pub fn event_line(event: &Event) -> String {
    let at = event.at.get(..16).unwrap_or(&event.at).replace('T', " ");
    let kind = if event.kind == "note" { String::new() } else { format!(" [{}]", event.kind) };
    format!("{at} {}{kind}: {}\n", event.device, shortened(&event_text(event), EVENT_CHARS_MAX))
}

/// Returns what an event says: its text if it has one, else its body as JSON.
pub fn event_text(event: &Event) -> String {
    if let Some(words) = handoff::step_words(event) {
        return words;
    }
    let text = event.body.as_object().and_then(|body| body.get("text")).and_then(Json::as_str);
    text.map_or_else(|| event.body.canonical(), |text| text.trim_end().replace('\n', "\n  "))
}

fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Returns a number with a word, in the plural where it must be.
pub fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// Tells what is open: conflicts, tasks that were left, and what was refused in the last session.
pub fn open_items(vault: &Vault, agent: Option<&str>) -> Result<(Vec<Item>, Vec<String>)> {
    let mut items = Vec::new();
    let mut words = Vec::new();
    let pending = vault::pending(vault)?;
    if !pending.conflicts.is_empty() {
        let told = pending.conflicts.iter().take(CONFLICTS_TOLD);
        let text: String =
            told.map(|conflict| format!("- {} ({})\n", conflict.path, conflict.kind)).collect();
        words.push(format!("{} pending", count(pending.conflicts.len(), "conflict")));
        items.push(Item {
            name: "pending conflicts".into(),
            label: "the files hold this device's side".into(),
            text,
            id: None,
            command: typed("conflicts"),
            importance: 10,
        });
    }
    if !pending.stuck.is_empty() {
        words.push(format!("{} cannot be processed", count(pending.stuck.len(), "head")));
    }
    items.extend(waiting_items(vault, &mut words)?);
    let (left, told) = open_handoffs(vault, agent)?;
    items.extend(left);
    words.extend(told);
    if let Some(session) = vault.rejection_sessions()?.first() {
        let refused = vault.rejections(session.as_ref())?;
        // What was kept as it is, or put right already, waits for nobody.
        let settled = [Reason::TornLine.code(), Reason::Repaired.code(), Reason::Evicted.code()];
        let told: Vec<_> =
            refused.iter().filter(|rejection| !settled.contains(&rejection.reason.as_str())).collect();
        if !told.is_empty() {
            let of =
                session.as_ref().map_or("outside of a session".to_owned(), |id| format!("in session {id}"));
            words.push(format!("{} {of}", count(told.len(), "rejection")));
            let lines = told.iter().rev().take(REJECTIONS_TOLD);
            let text: String = lines.map(|r| format!("- {} ({}): {}\n", r.path, r.reason, r.hint)).collect();
            items.push(Item {
                name: "refused last".into(),
                label: of,
                text,
                id: None,
                command: typed("rejections"),
                importance: 20,
            });
        }
    }
    Ok((items, words))
}

/// Returns the ignore rules of other devices that are not in force, and the files that could not be updated.
fn waiting_items(vault: &Vault, words: &mut Vec<String>) -> Result<Vec<Item>> {
    let list = |lines: Vec<String>| -> String {
        let more = lines.len().saturating_sub(WAITING_SHOWN);
        let mut text: String = lines.iter().take(WAITING_SHOWN).map(|line| format!("- {line}\n")).collect();
        if more > 0 {
            text.push_str(&format!("and {more} more\n"));
        }
        text
    };
    let mut items = Vec::new();
    let ignores = vault.withheld_ignores()?;
    if !ignores.is_empty() {
        words.push(format!("{} of ignore rules not in force", count(ignores.len(), "file")));
        items.push(Item {
            name: "ignore rules of other devices".into(),
            label: "not in force until a person accepts them".into(),
            text: list(ignores.iter().map(ToString::to_string).collect()),
            id: None,
            command: typed("reconcile --allow rules"),
            importance: 25,
        });
    }
    let waits = vault::waiting_paths(vault)?;
    if !waits.is_empty() {
        words.push(format!("{} could not be updated", count(waits.len(), "file")));
        items.push(Item {
            name: "files that could not be updated".into(),
            label: "the disk holds older versions; every command tries again".into(),
            text: list(waits.iter().map(|wait| format!("{} ({})", wait.path, wait.why)).collect()),
            id: None,
            command: typed("status"),
            importance: 24,
        });
    }
    Ok(items)
}

/// Tells tasks that were left, those for this agent and device first. A stream that cannot be read is the
/// affair of `verify`.
fn open_handoffs(vault: &Vault, agent: Option<&str>) -> Result<(Vec<Item>, Option<String>)> {
    let device = vault.config().device.as_str();
    let all = handoff::all(vault).unwrap_or_default();
    let open = |handoff: &&Handoff| {
        let is_own_loss = handoff.lost.iter().any(|step| step.event.device.as_str() == device);
        handoff.state() == State::Open || (handoff.state() == State::Accepted && is_own_loss)
    };
    let (own, others): (Vec<&Handoff>, Vec<&Handoff>) =
        all.iter().filter(open).partition(|handoff| handoff.is_for(device, agent));
    let mut items = Vec::new();
    for (name, handoffs, importance) in [("handed off to you", &own, 12), ("handed off", &others, 13)] {
        if handoffs.is_empty() {
            continue;
        }
        let told = handoffs.iter().rev().take(HANDOFFS_TOLD);
        items.push(Item {
            name: name.into(),
            label: format!("{}, not signed", count(handoffs.len(), "task")),
            text: told.map(|handoff| handoff_line(handoff)).collect(),
            id: None,
            command: typed("handoff list"),
            importance,
        });
    }
    let word = (!own.is_empty()).then(|| format!("{} for you", count(own.len(), "handoff")));
    let more = (own.is_empty() && !others.is_empty()).then(|| count(others.len(), "open handoff"));
    Ok((items, word.or(more)))
}

fn handoff_line(handoff: &Handoff) -> String {
    let one_line = |text: &str| text.replace('\n', " ");
    let mut text = format!(
        "- {} {} -> {}: {}\n",
        handoff.id.short(),
        one_line(&handoff.made.who()),
        one_line(handoff.to.as_deref().unwrap_or("anyone")),
        shortened(&handoff.summary, EVENT_CHARS_MAX).replace('\n', "\n  ")
    );
    if let Some(holder) = &handoff.accepted {
        text.push_str(&format!(
            "  accepted here too, but {} came first and has it\n",
            one_line(&holder.who())
        ));
    }
    for next in &handoff.next {
        text.push_str(&format!("  next: {}\n", shortened(next, EVENT_CHARS_MAX).replace('\n', "\n  ")));
    }
    for file in &handoff.context {
        let id = file.id.as_deref().and_then(|id| id.get(..10)).unwrap_or("in no commit");
        text.push_str(&format!("  context: {} ({id})\n", one_line(&file.path)));
    }
    text
}

/// Tells the other devices: their last seen head, and how long ago they were met.
pub fn devices(vault: &Vault) -> Result<Vec<String>> {
    let now = vault.env().clock.now().seconds();
    let met = vault.peers()?;
    let mut lines = Vec::new();
    for (device, label, heads) in vault.log().refs().remotes() {
        if *label != vault.branch() || *device == vault.config().device {
            continue;
        }
        let head = heads.iter().next().map_or("no head".to_owned(), |head| format!("at {}", head.short()));
        let seen =
            met.get(device.as_str()).and_then(|memory| crate::env::Moment::parse_rfc3339(&memory.seen));
        let seen =
            seen.map_or(String::new(), |seen| format!(", met {}", time::relative(seen.seconds(), now)));
        lines.push(format!("{device} {head}{seen}"));
    }
    Ok(lines)
}
