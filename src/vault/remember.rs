//! What folds came to, remembered by the heads that were folded, so that `status`, `boot` and hooks do not repeat
//! a long merge each time.
//!
//! - `.mvault/folds.jsonl` is a cache: it can be deleted at any time. Each line carries the SHA-256 of its text;
//!   one that does not match, or that this program cannot read, is computed again.
//! - The key covers all that the outcome depends on: the merge rule, the own head, the heads offered, the tombstones.
//! - Only what costs a merge each time is remembered: where everything offered is in the head, nothing is.
//! - At most [`FOLDS_MAX`] outcomes are kept, each with at most [`CONTENT_BYTES_MAX`] of content.
//!
//! Limit: an outcome with more content than that, and one that failed because something was missing, is computed
//! each time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Result, Vault};
use crate::fs;
use crate::merge::{
    self, BaseValue, Conflict, ConflictKind, Made, RULE_VERSION, Reconciled, RuleBook, Side, Stuck,
};
use crate::object::{CommitId, DeviceName, Kind, Object, ObjectId, VaultPath};

const FOLDS: &str = "folds.jsonl";
/// What the lines mean. Another number is another key, so that lines of other programs are passed over.
const FORMAT: &str = "mvault-fold 1";
/// How many outcomes are kept.
const FOLDS_MAX: usize = 8;
/// The most content that is kept with an outcome, in bytes.
const CONTENT_BYTES_MAX: usize = 1 << 20;
/// The longest file that is read, in bytes.
const FOLDS_BYTES_MAX: u64 = 32 << 20;

/// Computes what reconciling `own` with `offered` comes to, or remembers it.
pub(super) fn reconciled(vault: &Vault, own: CommitId, offered: &[CommitId]) -> Result<Reconciled> {
    let book = vault.book();
    let key = key_of(own, offered, &book);
    let lines = read(vault);
    if let Some(known) = lines.iter().find(|line| line.key == key).and_then(Line::outcome) {
        return Ok(known);
    }
    let outcome = merge::reconcile(&vault.store, &book, own, offered)?;
    if let Some(line) = Line::of(key, &outcome) {
        remember(vault, lines, line);
    }
    Ok(outcome)
}

fn key_of(own: CommitId, offered: &[CommitId], book: &dyn RuleBook) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{FORMAT}\nrule {RULE_VERSION}\nown {own}\n"));
    let mut heads: Vec<String> = offered.iter().map(ToString::to_string).collect();
    heads.sort_unstable();
    heads.dedup();
    for head in heads {
        hasher.update(format!("offered {head}\n"));
    }
    for purge in book.purges() {
        hasher.update(format!("purge {}\n", purge.commit));
        for blob in &purge.blobs {
            hasher.update(format!("blob {blob}\n"));
        }
    }
    hex::encode(hasher.finalize())
}

/// Returns the lines that are whole; none if there is no such file, or it cannot be used.
fn read(vault: &Vault) -> Vec<Line> {
    let bytes = vault.dot.try_read(FOLDS, FOLDS_BYTES_MAX).ok().flatten().unwrap_or_default();
    let whole = |line: &[u8]| {
        let (sum, text) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let fits = hex::encode(Sha256::digest(text)) == sum;
        serde_json::from_str::<Line>(text).ok().filter(|_| fits)
    };
    bytes.split(|byte| *byte == b'\n').filter_map(whole).collect()
}

/// Keeps a line, and the newest of the others. Where that fails the next command computes again.
fn remember(vault: &Vault, mut lines: Vec<Line>, line: Line) {
    lines.retain(|other| other.key != line.key);
    lines.push(line);
    let mut bytes = Vec::new();
    for line in lines.iter().skip(lines.len().saturating_sub(FOLDS_MAX)) {
        let text = serde_json::to_string(line).expect("strings can be written as JSON");
        bytes.extend_from_slice(format!("{} {text}\n", hex::encode(Sha256::digest(&text))).as_bytes());
    }
    let _the_next_one_computes_it = fs::replace_file(&vault.dot, FOLDS, &bytes, 0o600);
}

/// An outcome as it is kept: ids as text, bytes in hexadecimal.
#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    head: String,
    frontier: Vec<String>,
    folded: Vec<String>,
    pending: Vec<String>,
    conflicts: Vec<KeptConflict>,
    unknown_rule: Option<u32>,
    stuck: Vec<KeptStuck>,
    objects: Vec<KeptObject>,
}

#[derive(Serialize, Deserialize)]
struct KeptConflict {
    path: String,
    kind: String,
    base: String,
    sides: Vec<(String, Option<String>, Option<String>)>,
    clears: Vec<String>,
    made: Vec<KeptObject>,
}

#[derive(Serialize, Deserialize)]
struct KeptStuck {
    head: String,
    device: Option<String>,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct KeptObject {
    id: String,
    kind: String,
    data: String,
}

impl Line {
    /// Returns the line for an outcome, if it is one to remember.
    fn of(key: String, outcome: &Reconciled) -> Option<Line> {
        let Reconciled { head, frontier, folded, pending, conflicts, unknown_rule, stuck, objects } = outcome;
        let is_cheap = conflicts.is_empty() && stuck.is_empty() && objects.is_empty();
        let content = objects.values().chain(conflicts.iter().flat_map(|one| one.made.objects().values()));
        let bytes: usize = content.map(|object| object.data.len()).sum();
        let is_whole =
            stuck.iter().all(|one| one.is_lasting) && conflicts.iter().all(|one| one.reason.is_none());
        if is_cheap || !is_whole || bytes > CONTENT_BYTES_MAX {
            return None;
        }
        let stuck = stuck.iter().map(|one| KeptStuck {
            head: one.head.to_string(),
            device: one.device.as_ref().map(ToString::to_string),
            reason: one.reason.clone(),
        });
        Some(Line {
            key,
            head: head.to_string(),
            frontier: texts(frontier),
            folded: texts(folded),
            pending: texts(pending),
            conflicts: conflicts.iter().map(KeptConflict::of).collect(),
            unknown_rule: *unknown_rule,
            stuck: stuck.collect(),
            objects: kept_objects(objects),
        })
    }

    fn outcome(&self) -> Option<Reconciled> {
        let stuck = |one: &KeptStuck| {
            let device = match &one.device {
                Some(device) => Some(DeviceName::parse(device)?),
                None => None,
            };
            Some(Stuck { head: commit(&one.head)?, device, reason: one.reason.clone(), is_lasting: true })
        };
        Some(Reconciled {
            head: commit(&self.head)?,
            frontier: commits(&self.frontier)?,
            folded: commits(&self.folded)?,
            pending: commits(&self.pending)?,
            conflicts: self.conflicts.iter().map(KeptConflict::conflict).collect::<Option<_>>()?,
            unknown_rule: self.unknown_rule,
            stuck: self.stuck.iter().map(stuck).collect::<Option<_>>()?,
            objects: objects(&self.objects)?,
        })
    }
}

impl KeptConflict {
    fn of(conflict: &Conflict) -> KeptConflict {
        let entry = |entry: Option<crate::object::Entry>| entry.map(crate::object::Entry::to_text);
        KeptConflict {
            path: hex::encode(conflict.path.as_bytes()),
            kind: conflict.kind.as_str().to_owned(),
            base: match conflict.base {
                BaseValue::Absent => "absent".to_owned(),
                BaseValue::NoValue => "none".to_owned(),
                BaseValue::Known(entry) => entry.to_text(),
            },
            sides: conflict
                .sides
                .iter()
                .map(|side| {
                    let device = side.device.as_ref().map(ToString::to_string);
                    (side.commit.to_string(), device, entry(side.entry))
                })
                .collect(),
            clears: conflict.clears.iter().map(|path| hex::encode(path.as_bytes())).collect(),
            made: kept_objects(conflict.made.objects()),
        }
    }

    fn conflict(&self) -> Option<Conflict> {
        let path = |text: &String| VaultPath::parse(hex::decode(text).ok()?).ok();
        let entry = |text: &Option<String>| match text {
            Some(text) => crate::object::Entry::from_text(text).map(Some),
            None => Some(None),
        };
        let side = |(id, device, text): &(String, Option<String>, Option<String>)| {
            let device = match device {
                Some(device) => Some(DeviceName::parse(device)?),
                None => None,
            };
            Some(Side { commit: commit(id)?, device, entry: entry(text)? })
        };
        Some(Conflict {
            path: path(&self.path)?,
            kind: ConflictKind::parse(&self.kind)?,
            base: match self.base.as_str() {
                "absent" => BaseValue::Absent,
                "none" => BaseValue::NoValue,
                text => BaseValue::Known(crate::object::Entry::from_text(text)?),
            },
            sides: self.sides.iter().map(side).collect::<Option<_>>()?,
            clears: self.clears.iter().map(path).collect::<Option<_>>()?,
            reason: None,
            made: Made::new(objects(&self.made)?),
        })
    }
}

fn texts(ids: &[CommitId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn commit(text: &str) -> Option<CommitId> {
    ObjectId::parse(text).ok().map(CommitId::new)
}

fn commits(texts: &[String]) -> Option<Vec<CommitId>> {
    texts.iter().map(|text| commit(text)).collect()
}

fn kept_objects(objects: &BTreeMap<ObjectId, Object>) -> Vec<KeptObject> {
    let kept = |(id, object): (&ObjectId, &Object)| KeptObject {
        id: id.to_string(),
        kind: object.kind.to_string(),
        data: hex::encode(&object.data),
    };
    objects.iter().map(kept).collect()
}

/// Returns the objects, each held against its id.
fn objects(kept: &[KeptObject]) -> Option<BTreeMap<ObjectId, Object>> {
    let object = |kept: &KeptObject| {
        let kinds = [Kind::Blob, Kind::Tree, Kind::Commit];
        let kind = kinds.into_iter().find(|kind| kind.to_string() == kept.kind)?;
        let data = hex::decode(&kept.data).ok()?;
        let id = crate::object::hash_object(kind, &data);
        (id.to_string() == kept.id).then(|| (id, Object { kind, data: data.into() }))
    };
    kept.iter().map(object).collect()
}
