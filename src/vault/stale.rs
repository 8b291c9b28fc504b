//! One file that goes back to an older version of itself, and takes with it what another device or session wrote since:
//! an editor with an old version open, or an agent that writes back what it remembers.
//!
//! - A file that equals an older version is refused if lines that another device wrote since are gone again, or lines
//!   that it removed are back. With `--allow` it is an edit like any other. Line ends, blanks at the end of lines, empty
//!   lines and a byte order mark make no difference: editors change them when they save.
//! - A version with something new in it is refused only if it brings back two or more lines that another device
//!   replaced, and has none of those that it wrote instead: nobody types old lines again. If lines of another device
//!   are merely gone from it, that is an edit: who deletes a task that is done looks the same.
//! - What this device wrote itself does not count, unless two agents' sessions wrote it. Neither does a file that
//!   `checkout REV -- PATH` put back, nor content that was written by a program which named the version it replaces.
//!
//! Limits: history further back than [`COMMITS_LOOKED_AT`] commits, for a version with something new in its bytes than
//! [`MERGES_LOOKED_AT`], is not looked through; nor are more than [`FILES_LOOKED_AT`] files of one commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::admission::{Admission, Finding};
use super::commit::CommitRequest;
use super::gather::Gathered;
use super::history::Walk;
use super::refusal::Refused;
use super::rules::Class;
use super::{Result, Vault};
use crate::gateway::Reason;
use crate::merge::History;
use crate::object::{BlobId, Commit, CommitId, FileEntry, Mode, Source, VaultPath, entry_at};
use crate::worktree::Change;

const COMMITS_LOOKED_AT: usize = 1000;
const MERGES_LOOKED_AT: usize = 40;
const FILES_LOOKED_AT: usize = 200;
/// How many operations are looked through for a checkout of the file.
const OPERATIONS_LOOKED_AT: usize = 200;
/// The longest version that is compared line by line, in bytes.
const COMPARED_BYTES_MAX: u64 = 4 << 20;
/// How many lines that were replaced must come back in a version with something new in it.
const RETURNED_LINES_MIN: usize = 2;
/// How many lines are shown, and how much of each.
const LINES_SHOWN: usize = 5;
const LINE_CHARS_SHOWN: usize = 100;

/// Takes files out of a commit that go back to an older version and take back what others wrote since.
pub(super) fn refuse_stale(
    vault: &Vault,
    admission: &Admission<'_>,
    request: &CommitRequest,
    gathered: &mut Gathered,
) -> Result<()> {
    if vault.parked().is_some() || request.names_replaced {
        return Ok(());
    }
    let mut refused = Vec::new();
    for change in gathered.changes.iter().filter(|change| counts(admission, change)).take(FILES_LOOKED_AT) {
        let (Some(old), Some(new)) = (change.old, change.new) else { continue };
        let bytes = || Ok(gathered.writer.find_blob(new.id)?);
        let Some(finding) = taken_back(vault, &change.path, (old.id, new.id), &bytes)? else { continue };
        if !admission.permits(Reason::Restored, &change.path) {
            let mut one = Refused::new(change.path.as_bytes(), finding);
            one.blob = Some(new.id);
            refused.push(one);
        }
    }
    gathered.changes.retain(|change| !refused.iter().any(|one| one.path == change.path.as_bytes()));
    gathered.refused.extend(refused);
    gathered.refused.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(())
}

fn counts(admission: &Admission<'_>, change: &Change) -> bool {
    let is_file = |entry: Option<FileEntry>| entry.is_some_and(|entry| entry.mode != Mode::Symlink);
    let judged_elsewhere = [Class::Stream, Class::Distillate, Class::Sidecar];
    is_file(change.old)
        && is_file(change.new)
        && change.old.map(|old| old.id) != change.new.map(|new| new.id)
        && !judged_elsewhere.iter().any(|class| admission.protections.is(&change.path, *class))
}

/// Says what a new version of a file takes back of what others wrote.
pub(super) fn taken_back(
    vault: &Vault,
    path: &VaultPath,
    (old, new): (BlobId, BlobId),
    bytes: &dyn Fn() -> Result<Arc<[u8]>>,
) -> Result<Option<Finding>> {
    let has_others = vault.log.refs().remotes().next().is_some();
    if !has_others && vault.session.is_none() {
        return Ok(None);
    }
    let file = File { vault, path, history: History::new(&vault.store) };
    let head = vault.head()?;
    let is_older = vault.store.knows(new.object())?;
    let steps = if is_older { COMMITS_LOOKED_AT } else { MERGES_LOOKED_AT };
    let mut form = None;
    let mut compared = old;
    let mut is_looked_at = is_older;
    for (place, step) in Walk::new(&vault.store, [head])?.take(steps).enumerate() {
        let (id, commit) = step?;
        let Some(version) = file.version(&commit)? else { continue };
        let mut is_same = version == new;
        if !is_same && version != compared && place < MERGES_LOOKED_AT {
            let form = match &form {
                Some(form) => form,
                None => form.insert(form_of(&bytes()?)),
            };
            is_same = form.is_some() && file.text(Some(version))?.and_then(|text| form_of(&text)) == *form;
            compared = version;
        }
        if is_same {
            if was_checked_out(vault, path, version)? {
                return Ok(None);
            }
            let since = file.history.only_in(&[head], &[id])?;
            return file.lost_since(&since, old, &bytes()?, id);
        }
        if !is_looked_at && file.is_of_others(&commit) && file.is_changed_by(&commit)? {
            is_looked_at = true;
            if let Some(finding) = file.returned(&commit, old, &bytes()?)? {
                return Ok(Some(finding));
            }
        }
    }
    Ok(None)
}

/// Returns `true` if a person put this version in place since the last commit.
fn was_checked_out(vault: &Vault, path: &VaultPath, new: BlobId) -> Result<bool> {
    for operation in vault.log.operations().take(OPERATIONS_LOOKED_AT) {
        let operation = operation?;
        match operation.op.as_str() {
            "commit" | "write" | "rollback" => return Ok(false),
            "checkout" => {
                let from = operation.detail.get("from").and_then(Value::as_str);
                let Some(from) = from.and_then(|id| CommitId::parse(id).ok()) else { continue };
                let entry = entry_at(&vault.store, vault.tree_of(from)?, path)?;
                if entry.is_some_and(|entry| entry.id == new.object()) {
                    return Ok(true);
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

/// A file in history.
struct File<'a> {
    vault: &'a Vault,
    path: &'a VaultPath,
    history: History<'a>,
}

/// A version that can be compared.
type Text = Arc<[u8]>;

/// How often each line comes in a text; a line end is no part of it.
type Lines<'t> = HashMap<&'t [u8], usize>;

fn lines(text: &[u8]) -> Lines<'_> {
    let mut lines = Lines::new();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if !line.is_empty() {
            *lines.entry(line).or_default() += 1;
        }
    }
    lines
}

/// Returns a text without what editors change by themselves: line ends, blanks at the end of lines, empty lines, a byte
/// order mark; none if nothing is left, or if it cannot be compared.
fn form_of(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() as u64 > COMPARED_BYTES_MAX || text.contains(&0) {
        return None;
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty());
    let form = lines.collect::<Vec<_>>().join(&b'\n');
    (!form.is_empty()).then_some(form)
}

/// Returns how many more times a line comes in `these` than in `those`.
fn more(line: &[u8], these: &Lines<'_>, those: &Lines<'_>) -> usize {
    let count = |lines: &Lines<'_>| lines.get(line).copied().unwrap_or(0);
    count(these).saturating_sub(count(those))
}

impl File<'_> {
    fn version(&self, commit: &Commit) -> Result<Option<BlobId>> {
        let entry = entry_at(&self.vault.store, commit.tree, self.path)?;
        let file = entry.filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable));
        Ok(file.map(|entry| BlobId::new(entry.id)))
    }

    /// Returns `true` for a commit of another device, or of another agent's session than the present one.
    fn is_of_others(&self, commit: &Commit) -> bool {
        let own = &self.vault.config.device;
        let is_foreign = commit.device.as_ref().is_some_and(|device| device != own);
        let is_other_session = matches!(
            (&self.vault.session, &commit.session),
            (Some(here), Some(there)) if here != there
        );
        !commit.is_derived() && (is_foreign || is_other_session)
    }

    /// Returns the version that a commit changed; none if a parent has it too.
    fn is_changed_by(&self, commit: &Commit) -> Result<bool> {
        let here = self.version(commit)?;
        for parent in &commit.parents {
            if self.version(&*self.history.commit(*parent)?)? == here {
                return Ok(false);
            }
        }
        Ok(here.is_some() && !commit.parents.is_empty())
    }

    /// Reads a version; none if it is too long to compare, or not text.
    fn text(&self, id: Option<BlobId>) -> Result<Option<Arc<[u8]>>> {
        let Some(id) = id else { return Ok(Some(Arc::from(&b""[..]))) };
        if self.vault.store.try_info(id.object())?.is_none_or(|(_, size)| size > COMPARED_BYTES_MAX) {
            return Ok(None);
        }
        let bytes = self.vault.store.find_blob(id).ok();
        Ok(bytes.filter(|bytes| !bytes.contains(&0)))
    }

    /// Returns the versions before and after a commit, where both can be compared.
    fn edit(&self, commit: &Commit) -> Result<Option<(Text, Text)>> {
        let before = match commit.parents.first() {
            Some(parent) => self.version(&*self.history.commit(*parent)?)?,
            None => None,
        };
        Ok(self.text(before)?.zip(self.text(self.version(commit)?)?))
    }

    /// Says which lines of others are gone from a version that is the one of an older commit.
    fn lost_since(
        &self,
        since: &[CommitId],
        old: BlobId,
        new: &[u8],
        older: CommitId,
    ) -> Result<Option<Finding>> {
        let Some(head) = self.text(Some(old))? else {
            return self.replaced_since(since, older);
        };
        let (head, new) = (lines(&head), lines(new));
        let mut devices: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let mut shown = Vec::new();
        for id in since {
            let commit = self.history.commit(*id)?;
            if !self.is_of_others(&commit) || !self.is_changed_by(&commit)? {
                continue;
            }
            let Some((before, after)) = self.edit(&commit)? else { continue };
            let (before, after) = (lines(&before), lines(&after));
            let who = who(&commit);
            let added = after.keys().filter(|line| more(line, &after, &before) > 0);
            for line in added.filter(|line| more(line, &head, &new) > 0) {
                devices.entry(who.clone()).or_default().0 += 1;
                shown.push(format!("written by {who}: {}", shown_line(line)));
            }
            let removed = before.keys().filter(|line| more(line, &before, &after) > 0);
            for line in removed.filter(|line| more(line, &new, &head) > 0) {
                devices.entry(who.clone()).or_default().1 += 1;
                shown.push(format!("removed by {who}: {}", shown_line(line)));
            }
        }
        if devices.is_empty() {
            return Ok(None);
        }
        let words = devices.iter().map(|(who, (gone, back))| {
            let gone = (*gone > 0).then(|| format!("without {} that {who} wrote since", count(*gone)));
            let back = (*back > 0).then(|| format!("with {} that {who} removed since", count(*back)));
            gone.into_iter().chain(back).collect::<Vec<_>>().join(", ")
        });
        let words: Vec<String> = words.collect();
        let detail = format!("it is as in {}, {}", older.short(), words.join(", "));
        Ok(Some(finding(detail, shown)))
    }

    /// The same for a file that is not compared line by line.
    fn replaced_since(&self, since: &[CommitId], older: CommitId) -> Result<Option<Finding>> {
        for id in since {
            let commit = self.history.commit(*id)?;
            if self.is_of_others(&commit) && self.is_changed_by(&commit)? {
                let detail = format!(
                    "it is as in {}, before {} replaced it in {}",
                    older.short(),
                    who(&commit),
                    id.short()
                );
                return Ok(Some(finding(detail, Vec::new())));
            }
        }
        Ok(None)
    }

    /// Says which lines that another device replaced are back in a version that has none of its own.
    fn returned(&self, commit: &Commit, old: BlobId, new: &[u8]) -> Result<Option<Finding>> {
        let (Some((before, after)), Some(head)) = (self.edit(commit)?, self.text(Some(old))?) else {
            return Ok(None);
        };
        let (before, after, head, new) = (lines(&before), lines(&after), lines(&head), lines(new));
        let replaced = before.keys().filter(|line| more(line, &before, &after) > 0);
        let replaced: Vec<&&[u8]> = replaced.filter(|line| !head.contains_key(**line)).collect();
        let mut written = after.keys().filter(|line| more(line, &after, &before) > 0).peekable();
        let is_stale = replaced.len() >= RETURNED_LINES_MIN
            && replaced.iter().all(|line| new.contains_key(**line))
            && written.peek().is_some()
            && written.all(|line| !new.contains_key(line));
        if !is_stale {
            return Ok(None);
        }
        let who = who(commit);
        let detail = format!("{} that {who} replaced are back", count(replaced.len()));
        let shown = replaced.iter().map(|line| format!("replaced by {who}: {}", shown_line(line))).collect();
        Ok(Some(finding(detail, shown)))
    }
}

fn finding(detail: String, mut shown: Vec<String>) -> Finding {
    shown.sort();
    if shown.len() > LINES_SHOWN {
        let more = shown.len() - LINES_SHOWN;
        shown.truncate(LINES_SHOWN);
        shown.push(format!("and {more} more"));
    }
    let mut finding = Finding::new(Reason::Restored).detail(detail);
    finding.lines = shown;
    finding
}

fn who(commit: &Commit) -> String {
    let device = commit.device.as_ref().map_or("another device".to_owned(), ToString::to_string);
    match &commit.session {
        Some(session) => format!("{device} (session {session})"),
        None => device,
    }
}

fn count(lines: usize) -> String {
    if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
}

fn shown_line(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown: String = text.chars().take(LINE_CHARS_SHOWN).collect();
    if text.chars().nth(LINE_CHARS_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
