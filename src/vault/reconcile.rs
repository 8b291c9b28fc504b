//! Reconcile in a vault: from what other devices offered to this device's head and working tree.
//!
//! What is pending is never stored: it follows from the heads. Only the choices made for conflicts are,
//! in `.mvault/reconcile/choices.jsonl`, keyed by what was in conflict, so that they lapse with it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::admission::{Admission, Allowance};
use super::aside::{Selection, blames_a_head};
use super::moving::{Edits, Move, Moved, move_tree};
use super::obeyed::Arrivals;
use super::refusal::{Door, Refused};
use super::transaction::CommitDraft;
use super::write::refuse_content;
use super::{Error, ErrorKind, Result, Vault, VaultLock, guard, remember};
use crate::fs;
use crate::gateway::Reason;
use crate::merge::{self, Choices, Conflict, Reconciled, Stuck, Take};
use crate::object::{
    BlobId, CommitId, DeviceName, ENTRIES_MAX, Kind, Object, ObjectId, Source, TreeId, VaultPath, typed,
};
use crate::oplog::{NewOperation, RefName, RefTarget};
use crate::store::PackWriter;

const RULES_ARRIVED: &str = "vault.toml came from another device: what it protects counts at once, what it allows \
    not before `mvault reconcile --allow rules`";
const CHOICES: &str = "choices.jsonl";
const CHOICES_BYTES_MAX: u64 = 64 << 20;

/// What a reconcile came to.
#[derive(Clone, Debug)]
pub struct ReconcileOutcome {
    /// The branch's head now.
    pub head: CommitId,
    /// The new derived commit, if one became the head.
    pub derived: Option<CommitId>,
    /// Heads that wait for a conflict to be resolved, or for a hold to end.
    pub pending: Vec<CommitId>,
    /// The conflicts.
    pub conflicts: Vec<Conflict>,
    /// Why the head did not move although there is something to reconcile.
    pub on_hold: Option<Hold>,
    /// What happened in the working tree.
    pub moved: Option<Moved>,
    /// What is worth a word in what came, though it holds nothing.
    pub told: Vec<Refused>,
    /// Heads that cannot be processed: left out, and tried again by the next reconcile.
    pub stuck: Vec<Stuck>,
    /// Heads that were set aside by name.
    pub set_aside: Vec<CommitId>,
}

/// Why reconcile waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The tree is parked at an older state.
    Parked,
    /// The vault asks for a merge rule that this program does not know.
    UnknownRule(u32),
    /// Edits in no commit stand in the way.
    Dirty(Vec<VaultPath>),
    /// It would do what only a person should allow.
    Guarded(Vec<Refused>),
    /// An agent's session is open: what it has read does not change under it.
    Session(String),
    /// The merge would hold more files and folders than a vault may.
    TooMany,
}

/// What a person lets other devices' work do here, this once.
#[derive(Clone, Debug, Default)]
pub struct Accepts {
    /// Reasons that shall not hold it.
    pub allowed: Vec<Allowance>,
    /// Whether the protections of a `vault.toml` that came are accepted.
    pub rules: bool,
    /// Whether files may change under an open session.
    pub session: bool,
}

/// Computes what reconciling would come to, and changes nothing.
pub fn pending(vault: &Vault) -> Result<Reconciled> {
    let offered: Vec<CommitId> = vault.offered().into_iter().collect();
    remember::reconciled(vault, vault.head()?, &offered)
}

/// Reconciles the branch with everything that was offered; what an undo had held back comes in again, and what
/// `selection` names is set aside or taken in again.
pub fn reconcile(vault: &mut Vault, accepts: &Accepts, selection: &Selection) -> Result<ReconcileOutcome> {
    let lock = vault.lock("reconcile")?;
    let operation = vault.operation("reconcile");
    let (mut operation, set_aside) = vault.select(operation, selection)?;
    let mut aside = vault.aside();
    if let Some(target) = operation.target(&RefName::Aside) {
        aside = target.into_iter().flat_map(RefTarget::commits).collect();
    }
    if !vault.held().is_empty() {
        operation = operation.remove(RefName::Held);
    }
    let offered = vault.offered().into_iter().chain(vault.held()).chain(vault.aside());
    let offered: BTreeSet<CommitId> = offered.filter(|head| !aside.contains(head)).collect();
    let offered: Vec<CommitId> = offered.into_iter().collect();
    let outcome = reconcile_locked(vault, &lock, operation, &offered, accepts)?;
    Ok(ReconcileOutcome { set_aside, ..outcome })
}

/// Reconciles the branch with what was offered, under the name of `operation`, whose refs move in the
/// same append. Nothing moves if edits are in the way or the tree is parked; then the operation is
/// appended without the head, so that what was fetched is kept.
///
/// A head that cannot be processed is left out, and the others come in without it, each in an operation of its own.
pub fn reconcile_locked(
    vault: &mut Vault,
    lock: &VaultLock,
    operation: NewOperation,
    offered: &[CommitId],
    accepts: &Accepts,
) -> Result<ReconcileOutcome> {
    let own = vault.head()?;
    if accepts.rules {
        vault.accept_rules(vault.tree_of(own)?)?;
        vault.accept_ignores()?;
    }
    match reconcile_all(vault, lock, operation.clone(), offered, accepts) {
        Err(error) if blames_a_head(&error) && vault.head()? == own => {}
        done => return done,
    }
    let mut outcome = reconcile_all(vault, lock, operation.clone(), &[], accepts)?;
    let (mut good, mut stuck) = (Vec::new(), Vec::new());
    for head in offered {
        good.push(*head);
        let before = vault.head()?;
        match reconcile_all(vault, lock, operation.clone(), &good, accepts) {
            Ok(more) => {
                let moved = Moved::both(outcome.moved.take(), more.moved);
                outcome = ReconcileOutcome { moved, derived: more.derived.or(outcome.derived), ..more };
            }
            Err(error) if blames_a_head(&error) && vault.head()? == before => {
                good.pop();
                stuck.push(Stuck::by(&vault.store, *head, &error, true));
            }
            Err(error) => return Err(error),
        }
    }
    outcome.stuck.extend(stuck);
    Ok(outcome)
}

fn reconcile_all(
    vault: &mut Vault,
    lock: &VaultLock,
    operation: NewOperation,
    offered: &[CommitId],
    accepts: &Accepts,
) -> Result<ReconcileOutcome> {
    let own = vault.head()?;
    let result = remember::reconciled(vault, own, offered)?;
    let mut outcome = ReconcileOutcome {
        head: own,
        derived: None,
        pending: result.pending.clone(),
        conflicts: result.conflicts.clone(),
        on_hold: result.unknown_rule.map(Hold::UnknownRule),
        moved: None,
        told: Vec::new(),
        stuck: result.stuck.clone(),
        set_aside: Vec::new(),
    };
    if result.head == own {
        outcome.moved = place_accepted(vault, lock, &operation, accepts)?;
        append_if_news(vault, lock, operation)?;
        return Ok(outcome);
    }
    let held_by = |outcome: ReconcileOutcome, hold| ReconcileOutcome {
        pending: result.frontier.iter().filter(|id| **id != own).copied().collect(),
        on_hold: Some(hold),
        ..outcome
    };
    let (own_tree, tree) = (vault.tree_of(own)?, tree_of(vault, &result)?);
    let objects = guard::with_objects(&vault.store, &result.objects);
    if let Some(hold) = why_wait(vault, accepts, &objects, (own_tree, tree))? {
        append_if_news(vault, lock, operation)?;
        return Ok(held_by(outcome, hold));
    }
    let admission = Admission::new(vault, own_tree, &accepts.allowed)?;
    let guarded = guard::judge(&admission, &objects, tree)?;
    let overrides = admission.overrides();
    outcome.told = guarded.told;
    log_twins(vault, &outcome.told)?;
    if !guarded.held.is_empty() {
        vault.log_rejections(&guarded.held)?;
        append_if_news(vault, lock, operation)?;
        return Ok(held_by(outcome, Hold::Guarded(guarded.held)));
    }
    admission.keep_accepted()?;
    if !accepts.rules {
        vault.withhold_ignores(&objects, own_tree, tree)?;
    }
    let held = operation.clone();
    let operation = if overrides.is_empty() { operation } else { operation.detail("allowed", overrides) };
    match move_to(vault, lock, operation, &result, (tree, Arrivals::Judged)) {
        Ok(moved) => {
            outcome.head = result.head;
            outcome.derived = result.objects.contains_key(&result.head.object()).then_some(result.head);
            outcome.moved = Some(moved);
            accept_or_tell_rules(vault, accepts, tree)?;
            Ok(outcome)
        }
        Err(Error::InTheWay { paths, .. }) => {
            append_if_news(vault, lock, held)?;
            Ok(held_by(outcome, Hold::Dirty(paths)))
        }
        Err(error) => Err(error),
    }
}

/// Accepts the rules that came, or says what of them is not in force.
fn accept_or_tell_rules(vault: &mut Vault, accepts: &Accepts, tree: TreeId) -> Result<()> {
    if accepts.rules {
        vault.accept_rules(tree)?;
    } else if !vault.has_accepted_rules(tree)? {
        vault.notices.push(RULES_ARRIVED.into());
    }
    for path in vault.withheld_ignores()? {
        vault.notices.push(format!(
            "{path} was changed by another device, which is not in force here before `mvault reconcile --allow rules`"
        ));
    }
    Ok(())
}

/// Logs names that some file systems take for one another: that is worth a line that stays.
fn log_twins(vault: &Vault, told: &[Refused]) -> Result<()> {
    let twins = told.iter().filter(|told| told.reason == Reason::NameCollides);
    vault.log_rejections(&twins.cloned().collect::<Vec<Refused>>())
}

/// Says why the files must not move now from one tree to the other, which `source` has.
fn why_wait(
    vault: &Vault,
    accepts: &Accepts,
    source: &dyn Source,
    (own, merged): (TreeId, TreeId),
) -> Result<Option<Hold>> {
    match files_must_stay(vault, accepts)? {
        None if !vault.may_hold(source, own, merged)? => Ok(Some(Hold::TooMany)),
        hold => Ok(hold),
    }
}

/// Tells why the files must not move now, whatever came.
fn files_must_stay(vault: &Vault, accepts: &Accepts) -> Result<Option<Hold>> {
    if vault.parked().is_some() {
        return Ok(Some(Hold::Parked));
    }
    if accepts.session {
        return Ok(None);
    }
    Ok(vault.open_session(vault.session())?.map(|open| Hold::Session(open.id)))
}

/// Moves branch and files to the head that a reconcile computed.
fn move_to(
    vault: &mut Vault,
    lock: &VaultLock,
    operation: NewOperation,
    result: &Reconciled,
    (tree, arrivals): (TreeId, Arrivals),
) -> Result<Moved> {
    let mut content = vault.store.writer()?;
    add_objects(&mut content, &result.objects)?;
    let operation = operation
        .set(vault.branch_ref(), result.head)
        .set(RefName::At, result.head)
        .frontier(result.folded.clone());
    move_tree(vault, lock, Move { tree, content: Some(content), operation, edits: Edits::Carry, arrivals })
}

/// Gives a clone its first head, from what was offered, and its files. Nothing is overwritten: what is in
/// the folder already must be the same or elsewhere. A head that cannot be processed is left out.
pub fn begin_locked(
    vault: &mut Vault,
    lock: &VaultLock,
    operation: NewOperation,
) -> Result<ReconcileOutcome> {
    let offered: Vec<CommitId> = vault.offered().into_iter().collect();
    let frontier = merge::offer(&vault.store, &offered)?;
    if frontier.is_empty() {
        return Err(Error::refused(
            ErrorKind::UnknownRevision,
            format!("the other side has no branch {}", vault.branch()),
            "`mvault branch` there lists its branches",
        ));
    }
    let mut failed = match begin_with(vault, lock, operation.clone(), &frontier) {
        Err(error) if blames_a_head(&error) && vault.log.refs().head().is_none() => error,
        done => return done,
    };
    for head in &frontier {
        match begin_with(vault, lock, operation.clone(), &[*head]) {
            Ok(_) => return reconcile_locked(vault, lock, operation, &offered, &Accepts::default()),
            Err(error) if blames_a_head(&error) && vault.log.refs().head().is_none() => failed = error,
            Err(error) => return Err(error),
        }
    }
    Err(failed)
}

fn begin_with(
    vault: &mut Vault,
    lock: &VaultLock,
    operation: NewOperation,
    frontier: &[CommitId],
) -> Result<ReconcileOutcome> {
    let result = merge::reconcile(&vault.store, &vault.book(), frontier[0], frontier)?;
    let tree = tree_of(vault, &result)?;
    let objects = guard::with_objects(&vault.store, &result.objects);
    if !vault.may_hold(&objects, TreeId::empty(), tree)? {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("the heads of the other side, merged, hold more than {ENTRIES_MAX} files and folders"),
            "remove files on one of its devices and commit, then clone again",
        ));
    }
    let moved = move_to(vault, lock, operation, &result, (tree, Arrivals::New))?;
    // Whoever makes a clone takes the vault as it is.
    vault.accept_rules(tree)?;
    Ok(ReconcileOutcome {
        head: result.head,
        derived: result.objects.contains_key(&result.head.object()).then_some(result.head),
        pending: result.pending,
        conflicts: result.conflicts,
        on_hold: None,
        moved: Some(moved),
        told: Vec::new(),
        stuck: result.stuck,
        set_aside: Vec::new(),
    })
}

/// Puts files in place that were withheld, as far as a person now accepts what they run.
fn place_accepted(
    vault: &mut Vault,
    lock: &VaultLock,
    operation: &NewOperation,
    accepts: &Accepts,
) -> Result<Option<Moved>> {
    if !accepts.allowed.iter().any(|allowance| allowance.reason == Reason::ObeyedFile) {
        return Ok(None);
    }
    let tree = vault.standing_tree()?;
    let withheld = vault.withheld(tree, tree, &vault.index(tree)?, Arrivals::Judged)?;
    let admission = Admission::new(vault, tree, &accepts.allowed)?;
    if !vault.accept_withheld(&admission, &withheld)? {
        return Ok(None);
    }
    let operation = operation.clone().detail("allowed", admission.overrides());
    let arrivals = Arrivals::Judged;
    move_tree(vault, lock, Move { tree, content: None, operation, edits: Edits::Carry, arrivals }).map(Some)
}

/// Appends an operation that only keeps what was fetched, unless it says nothing.
fn append_if_news(vault: &mut Vault, lock: &VaultLock, operation: NewOperation) -> Result<()> {
    if operation.moves(vault.log.refs()) {
        vault.publish(lock, None, operation)?;
    }
    Ok(())
}

/// Returns the tree of the head that a reconcile computed.
fn tree_of(vault: &Vault, result: &Reconciled) -> Result<TreeId> {
    match result.objects.get(&result.head.object()) {
        Some(object) => decode_tree(result.head, object),
        None => vault.tree_of(result.head),
    }
}

fn decode_tree(id: CommitId, object: &Object) -> Result<TreeId> {
    match crate::object::Commit::decode(&object.data) {
        Ok(commit) => Ok(commit.tree),
        Err(error) => Err(Error::refused(
            ErrorKind::Damage,
            format!("reconcile made {} and cannot read it: {error}", id.short()),
            "this is a bug in mvault; nothing was changed",
        )),
    }
}

/// Adds objects that a merge made, in the order of their ids; new versions of trees as whole records.
pub(super) fn add_objects(writer: &mut PackWriter, objects: &BTreeMap<ObjectId, Object>) -> Result<()> {
    for object in objects.values() {
        writer.add(object.kind, &object.data, None)?;
    }
    Ok(())
}

/// A choice as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptChoice {
    key: String,
    path: String,
    entry: Option<String>,
}

/// Returns the choices made so far that belong to a conflict of now.
pub fn choices(vault: &Vault) -> Result<Choices> {
    let folder = vault.dot.open_or_create_dir("reconcile")?;
    let mut choices = Choices::default();
    let Some(bytes) = folder.try_read(CHOICES, CHOICES_BYTES_MAX)? else { return Ok(choices) };
    for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        // A line that cannot be read is a choice that has to be made again; nothing else rests on it.
        let Ok(kept) = serde_json::from_slice::<KeptChoice>(line) else { continue };
        let entry = match kept.entry.as_deref().map(crate::object::Entry::from_text) {
            None => None,
            // What was chosen is gone, or is to go: choose again.
            Some(Some(entry)) if vault.is_purged(BlobId::new(entry.id)) => continue,
            Some(Some(entry)) => Some(entry),
            Some(None) => continue,
        };
        choices.insert(kept.key, entry);
    }
    Ok(choices)
}

fn keep_choices(vault: &Vault, kept: &[(Conflict, Option<crate::object::Entry>)]) -> Result<()> {
    let folder = vault.dot.open_or_create_dir("reconcile")?;
    let mut bytes = Vec::new();
    for (conflict, entry) in kept {
        let line = KeptChoice {
            key: conflict.key(),
            path: conflict.path.to_string(),
            entry: entry.map(crate::object::Entry::to_text),
        };
        bytes.extend(serde_json::to_vec(&line).expect("strings can be written as JSON"));
        bytes.push(b'\n');
    }
    Ok(fs::replace_file(&folder, CHOICES, &bytes, 0o600)?)
}

/// How a conflict is to be resolved.
#[derive(Clone, Debug)]
pub enum Resolve {
    /// As this device has it.
    Device(DeviceName),
    /// As it was before.
    Base,
    /// All sides, one after the other.
    Both,
    /// By these bytes.
    Bytes(Vec<u8>),
}

/// What a choice came to.
#[derive(Clone, Debug)]
pub struct ResolveOutcome {
    /// How many conflicts are left.
    pub remaining: Vec<Conflict>,
    /// The head now.
    pub head: CommitId,
    /// The resolution, if this was the last choice.
    pub commit: Option<CommitId>,
    /// What happened in the working tree.
    pub moved: Option<Moved>,
    /// What would come in together with the last choice and waits for a yes; then nothing was moved.
    pub held: Vec<Refused>,
}

/// Chooses for the conflict at `path`; the last choice commits the resolution, and with it comes what waits
/// beside the conflicts, so it is judged as a pull is.
/// Content from outside is judged as if it were written to the path; `allowed` is let through.
pub fn resolve(
    vault: &mut Vault,
    path: &VaultPath,
    how: Resolve,
    allowed: &[Allowance],
) -> Result<ResolveOutcome> {
    let lock = vault.lock("resolve")?;
    let now = pending(vault)?;
    let conflict = now.conflicts.iter().find(|c| c.path == *path).ok_or_else(|| no_conflict(path))?;
    if vault.parked().is_some() {
        return Err(Error::refused(
            ErrorKind::Refused,
            "the tree is parked at an older state; nothing was chosen",
            format!("{} goes back to the branch, then resolve", vault.way_back()),
        ));
    }
    if let Resolve::Bytes(bytes) = &how {
        refuse_content(vault, path, bytes, allowed)?;
    }
    let take = match how {
        Resolve::Device(device) => Take::Device(device),
        Resolve::Base => Take::Base,
        Resolve::Both => Take::Both,
        Resolve::Bytes(bytes) => Take::Bytes(bytes),
    };
    let chosen = merge::choose(&vault.store, conflict, take).map_err(|error| cannot_choose(path, &error))?;
    if chosen.entry.is_some_and(|entry| vault.is_purged(BlobId::new(entry.id))) {
        return Err(Error::refused(
            ErrorKind::Purged,
            format!("that version of {path} was purged; nothing was chosen"),
            "take another side, or `--with FILE`",
        ));
    }
    if let Some(blob) = &chosen.blob {
        let mut writer = vault.store.writer()?;
        writer.add(Kind::Blob, &blob.data, conflict.base.entry().map(|entry| entry.id))?;
        writer.publish()?;
    }
    let mut choices = choices(vault)?;
    choices.insert(conflict.key(), chosen.entry);
    let heads = now.frontier.clone();
    let resolution = merge::resolve(&vault.store, &vault.book(), &heads, &choices)
        .map_err(|error| cannot_choose(path, &error))?;
    let Some(tree) = resolution.tree else {
        keep_choices(vault, &resolution.chosen)?;
        let operation = vault.operation("resolve").detail("path", path.to_string());
        vault.publish(&lock, None, operation)?;
        let (head, remaining) = (vault.head()?, resolution.remaining);
        return Ok(ResolveOutcome { remaining, head, commit: None, moved: None, held: Vec::new() });
    };
    let overrides = match judge_resolution(vault, &resolution, tree, allowed)? {
        Ok(overrides) => overrides,
        Err(held) => {
            keep_choices(vault, &resolution.chosen)?;
            let head = vault.head()?;
            return Ok(ResolveOutcome { remaining: Vec::new(), head, commit: None, moved: None, held });
        }
    };
    commit_resolution(vault, &lock, path, resolution, tree, overrides)
}

/// Commits a resolution on top of exactly the heads that were shown, and moves the files there.
fn commit_resolution(
    vault: &mut Vault,
    lock: &VaultLock,
    path: &VaultPath,
    resolution: merge::Resolution,
    tree: TreeId,
    overrides: Vec<String>,
) -> Result<ResolveOutcome> {
    let mut content = vault.store.writer()?;
    add_objects(&mut content, &resolution.objects)?;
    let names: Vec<String> = resolution.chosen.iter().map(|(c, _)| c.path.to_string()).collect();
    vault.check_extent(&content, vault.tree_of(vault.head()?)?, tree)?;
    let draft = CommitDraft { message: format!("resolve {}\n", names.join(", ")), restores: None };
    let commit = vault.draft_commit(tree, resolution.parents.clone(), draft)?;
    let id = vault.write_commit(&mut content, &commit)?;
    let operation = vault
        .operation("resolve")
        .detail("path", path.to_string())
        .set(vault.branch_ref(), id)
        .set(RefName::At, id)
        .frontier(vec![id])
        .lamport(commit.lamport);
    let operation = if overrides.is_empty() { operation } else { operation.detail("allowed", overrides) };
    let moved = move_tree(
        vault,
        lock,
        Move { tree, content: Some(content), operation, edits: Edits::Carry, arrivals: Arrivals::Judged },
    )?;
    keep_choices(vault, &[])?;
    let (remaining, held) = (Vec::new(), Vec::new());
    Ok(ResolveOutcome { remaining, head: id, commit: Some(id), moved: Some(moved), held })
}

/// Judges what a resolution would do here besides what was chosen. Returns what was let through, or what
/// holds it.
fn judge_resolution(
    vault: &Vault,
    resolution: &merge::Resolution,
    tree: TreeId,
    allowed: &[Allowance],
) -> Result<std::result::Result<Vec<String>, Vec<Refused>>> {
    let admission = Admission::new(vault, vault.tree_of(vault.head()?)?, allowed)?;
    let objects = guard::with_objects(&vault.store, &resolution.objects);
    let mut held = guard::judge(&admission, &objects, tree)?.held;
    // What was chosen was looked at.
    // To choose a text is not yet to let programs run it.
    held.retain(|one| {
        one.reason == Reason::ObeyedFile
            || !resolution.chosen.iter().any(|(conflict, _)| conflict.path.as_bytes() == one.path)
    });
    held.iter_mut().for_each(|one| one.door = Door::Resolve);
    if held.is_empty() {
        admission.keep_accepted()?;
        return Ok(Ok(admission.overrides()));
    }
    vault.log_rejections(&held)?;
    Ok(Err(held))
}

fn no_conflict(path: &VaultPath) -> Error {
    Error::refused(
        ErrorKind::Refused,
        format!("{path} is not in conflict"),
        "`mvault conflicts` lists what is",
    )
}

fn cannot_choose(path: &VaultPath, error: &merge::ResolveError) -> Error {
    Error::refused(
        ErrorKind::Refused,
        format!("{path}: {error}; nothing was chosen"),
        format!("{} shows the sides; `--with FILE` takes any content", typed("conflicts").path(path)),
    )
}
