//! Refs: names for commits, as the operation log moves them.
//!
//! - A [`RefName`] was parsed: it names a branch, a set of heads of another device, a tag, a saved
//!   state, or one of the two pseudo-refs. Nothing else is a ref.
//! - Each kind of name takes one kind of target; [`Refs::changed`] refuses any other.
//! - A new branch or tag must not collide with one there is, as a folder of it or but for letter case:
//!   both would break an export to git on some file system.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::object::{CommitId, DeviceName};

/// The longest label in bytes.
const LABEL_BYTES_MAX: usize = 200;
/// The longest ref name that is looked at: `remotes/`, a device, `/`, a label.
const REF_NAME_BYTES_MAX: usize = LABEL_BYTES_MAX + 64;

/// Why a name or a change of refs is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RefError {
    /// Not the name of a branch or tag.
    #[error("{label:?} cannot name a branch or tag: {why}")]
    Label {
        /// The name, shortened.
        label: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// Not the name of a ref.
    #[error("{0:?} is no ref (heads/…, tags/…, remotes/DEVICE/…, saved/N, HEAD, at)")]
    Name(String),
    /// A kind of target that this kind of name does not take.
    #[error("{name} cannot stand for {target}")]
    Target {
        /// The ref.
        name: RefName,
        /// The target, for people.
        target: String,
    },
    /// A new name too close to one there is.
    #[error("{name} collides with {other}, which exists")]
    Clash {
        /// The new ref.
        name: RefName,
        /// The one in its way.
        other: RefName,
    },
    /// One operation names a ref twice.
    #[error("{0} is changed twice in one operation")]
    Doubled(RefName),
}

/// The name of a branch or a tag, as a person types it: git's rules for a ref name, and no word that
/// means something else here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<Label, RefError> {
        match label_fault(text) {
            None => Ok(Label(text.to_owned())),
            Some(why) => Err(RefError::Label { label: shorten(text), why }),
        }
    }

    /// Returns the label of the branch that every vault starts with.
    pub fn main() -> Label {
        Label("main".to_owned())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn collides(&self, other: &Label) -> bool {
        let (a, b) = (self.0.to_lowercase(), other.0.to_lowercase());
        let inside = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        a == b || inside(&a, &b) || inside(&b, &a)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

fn label_fault(text: &str) -> Option<&'static str> {
    // Characters that git refuses in refs, and those that turn or hide text on a screen.
    let refused = |c: char| {
        c.is_control()
            || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\' | '\u{feff}')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    let part_fault = |part: &str| match part {
        "" => Some("it has an empty part"),
        _ if part.starts_with('.') => Some("a part begins with a dot"),
        _ if part.ends_with('.') => Some("a part ends in a dot"),
        _ if part.to_ascii_lowercase().ends_with(".lock") => Some("a part ends in .lock"),
        _ => None,
    };
    if text.len() > LABEL_BYTES_MAX {
        Some("it is longer than 200 bytes")
    } else if let Some(fault) = text.split('/').find_map(part_fault) {
        Some(fault)
    } else if text.contains(refused) {
        Some("it holds a character that ref names cannot hold")
    } else if text.contains("..") || text.contains("@{") || text == "@" {
        Some("it reads like a revision")
    } else if text.starts_with('-') {
        Some("it begins with a dash")
    } else if matches!(text, "HEAD" | "at" | "parked" | "held" | "aside" | "base" | "both") {
        Some("the word is reserved")
    } else if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Some("it reads like an id")
    } else {
        None
    }
}

/// The name of a ref.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefName {
    /// `HEAD`: the branch that commits go to.
    Head,
    /// `at`: the commit that the working tree stands on.
    At,
    /// `parked`: the branch's head at the moment the working tree was parked at another commit.
    Parked,
    /// `held`: heads that are not to be reconciled for now, a set.
    Held,
    /// `aside`: heads that a person set aside, a set.
    Aside,
    /// `heads/<label>`: a branch.
    Branch(Label),
    /// `remotes/<device>/<label>`: what another device has offered of a branch, a set of heads.
    Remote(DeviceName, Label),
    /// `tags/<label>`: a tag.
    Tag(Label),
    /// `saved/<n>`: a state stored before something was overwritten.
    Saved(u64),
    /// A ref of a kind that only newer programs know, as they wrote it: carried on and shown, never used.
    Other(String),
}

impl RefName {
    /// Parses a full ref name.
    pub fn parse(text: &str) -> Result<RefName, RefError> {
        let unknown = || RefError::Name(shorten(text));
        if text.len() > REF_NAME_BYTES_MAX {
            return Err(unknown());
        }
        match text.split_once('/') {
            None if text == "HEAD" => Ok(RefName::Head),
            None if text == "at" => Ok(RefName::At),
            None if text == "parked" => Ok(RefName::Parked),
            None if text == "held" => Ok(RefName::Held),
            None if text == "aside" => Ok(RefName::Aside),
            Some(("heads", label)) => Ok(RefName::Branch(Label::parse(label)?)),
            Some(("tags", label)) => Ok(RefName::Tag(Label::parse(label)?)),
            Some(("remotes", rest)) => {
                let (device, label) = rest.split_once('/').ok_or_else(unknown)?;
                let device = DeviceName::parse(device).ok_or_else(unknown)?;
                Ok(RefName::Remote(device, Label::parse(label)?))
            }
            Some(("saved", number)) => {
                let parsed = number.parse::<u64>().ok().filter(|n| n.to_string() == number);
                Ok(RefName::Saved(parsed.ok_or_else(unknown)?))
            }
            _ => Err(unknown()),
        }
    }

    /// Tells whether it is of a kind that only newer programs know.
    pub fn is_other(&self) -> bool {
        matches!(self, RefName::Other(_))
    }

    /// Reads a ref name that a program of any version wrote.
    fn read(text: &str) -> Result<RefName, RefError> {
        let kind = text.split('/').next().unwrap_or_default();
        let is_ours =
            ["HEAD", "at", "parked", "held", "aside", "heads", "tags", "remotes", "saved"].contains(&kind);
        if is_ours || text.is_empty() || text.len() > REF_NAME_BYTES_MAX {
            return RefName::parse(text);
        }
        Ok(RefName::Other(text.to_owned()))
    }

    fn takes(&self, target: &RefTarget) -> bool {
        match (self, target) {
            (RefName::Other(_), _) => true,
            (RefName::Head, RefTarget::Branch(_)) => true,
            (RefName::Head, _) => false,
            (RefName::Remote(..) | RefName::Held | RefName::Aside, RefTarget::Set(heads)) => {
                !heads.is_empty()
            }
            (RefName::Remote(..) | RefName::Held | RefName::Aside, _) => false,
            (_, target) => matches!(target, RefTarget::Commit(_)),
        }
    }

    fn collides(&self, other: &RefName) -> bool {
        match (self, other) {
            (RefName::Branch(a), RefName::Branch(b)) | (RefName::Tag(a), RefName::Tag(b)) => a.collides(b),
            _ => false,
        }
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefName::Head => f.write_str("HEAD"),
            RefName::At => f.write_str("at"),
            RefName::Parked => f.write_str("parked"),
            RefName::Held => f.write_str("held"),
            RefName::Aside => f.write_str("aside"),
            RefName::Branch(label) => write!(f, "heads/{label}"),
            RefName::Remote(device, label) => write!(f, "remotes/{device}/{label}"),
            RefName::Tag(label) => write!(f, "tags/{label}"),
            RefName::Saved(number) => write!(f, "saved/{number}"),
            RefName::Other(text) => f.write_str(text),
        }
    }
}

impl Serialize for RefName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RefName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RefName, D::Error> {
        let text = String::deserialize(deserializer)?;
        RefName::read(&text).map_err(D::Error::custom)
    }
}

/// What a ref stands for. In JSON: an id, an array of ids, or `branch:<label>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefTarget {
    /// One commit.
    Commit(CommitId),
    /// A set of heads.
    Set(BTreeSet<CommitId>),
    /// A branch, by its label.
    Branch(Label),
    /// What a ref of a newer program stands for.
    Other(serde_json::Value),
}

impl RefTarget {
    /// Returns the commits it names by id.
    pub fn commits(&self) -> impl Iterator<Item = CommitId> {
        let (one, many) = match self {
            RefTarget::Commit(id) => (Some(*id), None),
            RefTarget::Set(ids) => (None, Some(ids)),
            RefTarget::Branch(_) | RefTarget::Other(_) => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }
}

impl From<CommitId> for RefTarget {
    fn from(id: CommitId) -> RefTarget {
        RefTarget::Commit(id)
    }
}

impl fmt::Display for RefTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefTarget::Commit(id) => write!(f, "{id}"),
            RefTarget::Set(ids) => write!(f, "a set of {} heads", ids.len()),
            RefTarget::Branch(label) => write!(f, "branch:{label}"),
            RefTarget::Other(value) => write!(f, "{value}"),
        }
    }
}

impl Serialize for RefTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            RefTarget::Set(ids) => serializer.collect_seq(ids.iter().map(CommitId::to_string)),
            RefTarget::Other(value) => value.serialize(serializer),
            one => serializer.collect_str(one),
        }
    }
}

impl<'de> Deserialize<'de> for RefTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RefTarget, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(RefTarget::read(&value).unwrap_or(RefTarget::Other(value)))
    }
}

impl RefTarget {
    /// Reads what a ref of ours can stand for.
    fn read(value: &serde_json::Value) -> Option<RefTarget> {
        let id = |text: &str| CommitId::parse(text).ok();
        match value {
            serde_json::Value::Array(ids) => {
                Some(RefTarget::Set(ids.iter().map(|i| id(i.as_str()?)).collect::<Option<_>>()?))
            }
            serde_json::Value::String(text) => match text.strip_prefix("branch:") {
                Some(label) => Label::parse(label).ok().map(RefTarget::Branch),
                None => id(text).map(RefTarget::Commit),
            },
            _ => None,
        }
    }
}

/// What one operation did to one ref; `None` stands for "no such ref".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawChange")]
pub struct RefChange {
    /// The ref.
    pub name: RefName,
    /// What it stood for before.
    pub old: Option<RefTarget>,
    /// What it stands for since.
    pub new: Option<RefTarget>,
}

#[derive(Deserialize)]
struct RawChange {
    name: RefName,
    old: Option<RefTarget>,
    new: Option<RefTarget>,
}

impl TryFrom<RawChange> for RefChange {
    type Error = RefError;

    /// Refuses a target that no program knows for a ref that all know.
    fn try_from(RawChange { name, old, new }: RawChange) -> Result<RefChange, RefError> {
        let is_odd = |target: &&RefTarget| matches!(target, RefTarget::Other(_)) && !name.is_other();
        if let Some(target) = old.iter().chain(&new).find(is_odd) {
            return Err(RefError::Target { name, target: target.to_string() });
        }
        Ok(RefChange { name, old, new })
    }
}

/// All refs at one operation, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refs(BTreeMap<RefName, RefTarget>);

impl Refs {
    /// Returns what `name` stands for.
    pub fn get(&self, name: &RefName) -> Option<&RefTarget> {
        self.0.get(name)
    }

    /// Lists all refs in order of kind and name.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&RefName, &RefTarget)> {
        self.0.iter()
    }

    /// Counts the refs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no ref at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the branch that commits go to.
    pub fn head_branch(&self) -> Option<&Label> {
        match self.0.get(&RefName::Head) {
            Some(RefTarget::Branch(label)) => Some(label),
            _ => None,
        }
    }

    /// Returns the commit of the branch that commits go to.
    pub fn head(&self) -> Option<CommitId> {
        self.branch(self.head_branch()?)
    }

    /// Returns the commit that the working tree stands on.
    pub fn at(&self) -> Option<CommitId> {
        self.commit(&RefName::At)
    }

    /// Returns the commit of a branch.
    pub fn branch(&self, label: &Label) -> Option<CommitId> {
        self.commit(&RefName::Branch(label.clone()))
    }

    /// Returns the commit of a tag.
    pub fn tag(&self, label: &Label) -> Option<CommitId> {
        self.commit(&RefName::Tag(label.clone()))
    }

    /// Returns the heads that a device has offered of a branch.
    pub fn remote(&self, device: &DeviceName, label: &Label) -> Option<&BTreeSet<CommitId>> {
        match self.0.get(&RefName::Remote(device.clone(), label.clone())) {
            Some(RefTarget::Set(heads)) => Some(heads),
            _ => None,
        }
    }

    /// Returns the commit of a ref that names exactly one.
    pub fn commit(&self, name: &RefName) -> Option<CommitId> {
        match self.0.get(name) {
            Some(RefTarget::Commit(id)) => Some(*id),
            _ => None,
        }
    }

    /// Lists all branches.
    pub fn branches(&self) -> impl Iterator<Item = (&Label, CommitId)> {
        self.0.iter().filter_map(|(name, target)| match (name, target) {
            (RefName::Branch(label), RefTarget::Commit(id)) => Some((label, *id)),
            _ => None,
        })
    }

    /// Lists all tags.
    pub fn tags(&self) -> impl Iterator<Item = (&Label, CommitId)> {
        self.0.iter().filter_map(|(name, target)| match (name, target) {
            (RefName::Tag(label), RefTarget::Commit(id)) => Some((label, *id)),
            _ => None,
        })
    }

    /// Lists what other devices have offered.
    pub fn remotes(&self) -> impl Iterator<Item = (&DeviceName, &Label, &BTreeSet<CommitId>)> {
        self.0.iter().filter_map(|(name, target)| match (name, target) {
            (RefName::Remote(device, label), RefTarget::Set(heads)) => Some((device, label, heads)),
            _ => None,
        })
    }

    /// Lists the saved states, oldest first.
    pub fn saved(&self) -> impl DoubleEndedIterator<Item = (u64, CommitId)> {
        self.0.iter().filter_map(|(name, target)| match (name, target) {
            (RefName::Saved(number), RefTarget::Commit(id)) => Some((*number, *id)),
            _ => None,
        })
    }

    /// Returns the name for the next saved state.
    pub fn next_saved(&self) -> RefName {
        RefName::Saved(self.saved().next_back().map_or(1, |(number, _)| number.saturating_add(1)))
    }

    /// Lists every commit that some ref names, each once.
    pub fn commits(&self) -> BTreeSet<CommitId> {
        self.ours().flat_map(|(_, target)| target.commits()).collect()
    }

    /// Lists the refs of the kinds that this program knows.
    pub fn ours(&self) -> impl Iterator<Item = (&RefName, &RefTarget)> {
        self.0.iter().filter(|(name, _)| !name.is_other())
    }

    /// Returns a ref of a kind that only newer programs know: what it needs cannot be told.
    pub fn of_newer(&self) -> Option<&RefName> {
        self.0.keys().find(|name| name.is_other())
    }

    /// Returns the changes from these refs to what `wanted` sets; wishes that change nothing are left
    /// out. Refuses targets of the wrong kind, names that collide and names that come twice.
    pub fn changes(&self, wanted: &[(RefName, Option<RefTarget>)]) -> Result<Vec<RefChange>, RefError> {
        let mut seen = BTreeSet::new();
        let mut changes = Vec::new();
        for (name, new) in wanted {
            if !seen.insert(name) {
                return Err(RefError::Doubled(name.clone()));
            }
            if let Some(target) = new.as_ref().filter(|target| !name.takes(target)) {
                return Err(RefError::Target { name: name.clone(), target: target.to_string() });
            }
            let old = self.0.get(name).cloned();
            if old != *new {
                changes.push(RefChange { name: name.clone(), old, new: new.clone() });
            }
        }
        let after = self.changed(&changes);
        for change in changes.iter().filter(|c| c.old.is_none()) {
            let other = after.0.keys().find(|other| **other != change.name && change.name.collides(other));
            if let Some(other) = other {
                return Err(RefError::Clash { name: change.name.clone(), other: other.clone() });
            }
        }
        Ok(changes)
    }

    /// Returns the refs after `changes`.
    pub fn changed(&self, changes: &[RefChange]) -> Refs {
        let mut after = self.clone();
        after.apply(changes);
        after
    }

    /// Carries out `changes`, whatever stood there before.
    pub(super) fn apply(&mut self, changes: &[RefChange]) {
        for change in changes {
            match &change.new {
                Some(target) => self.0.insert(change.name.clone(), target.clone()),
                None => self.0.remove(&change.name),
            };
        }
    }

    /// Finds the first change whose `old` is not what stands here, or whose target does not fit.
    pub(super) fn misfit<'a>(&self, changes: &'a [RefChange]) -> Option<&'a RefChange> {
        changes.iter().find(|change| {
            self.0.get(&change.name) != change.old.as_ref()
                || change.new.as_ref().is_some_and(|target| !change.name.takes(target))
        })
    }

    /// Adds a ref read from a checkpoint; `false` if it is there already or its target does not fit.
    pub(super) fn insert_new(&mut self, name: RefName, target: RefTarget) -> bool {
        name.takes(&target) && self.0.insert(name, target).is_none()
    }
}

#[cfg(test)]
#[path = "refs_tests.rs"]
mod tests;
