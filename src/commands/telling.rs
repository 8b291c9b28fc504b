//! How a commit is told by `log` and `show`.

use std::collections::BTreeMap;

use gix::bstr::ByteSlice;
use serde_json::{Value, json};

use crate::env::rfc3339;
use crate::object::{Commit, CommitId};
use crate::oplog::RefName;
use crate::ui::{Palette, Style, harmless, time};
use crate::vault::Vault;

/// What names stand on which commit, as a person types them.
pub struct Names(BTreeMap<CommitId, Vec<String>>);

impl Names {
    /// Collects branches, tags, other devices' heads and, while parked, where the tree stands.
    pub fn of(vault: &Vault) -> Names {
        let mut names: BTreeMap<CommitId, Vec<String>> = BTreeMap::new();
        let present = vault.branch();
        for (name, target) in vault.log().refs().iter() {
            let told = match name {
                RefName::Branch(label) if *label == present => format!("HEAD -> {label}"),
                RefName::Branch(label) => label.to_string(),
                RefName::Tag(label) => format!("tag: {label}"),
                RefName::Remote(device, label) => format!("{device}/{label}"),
                RefName::At if vault.parked().is_some() => "parked here".to_owned(),
                _ => continue,
            };
            for commit in target.commits() {
                names.entry(commit).or_default().push(told.clone());
            }
        }
        Names(names)
    }

    /// Returns the names of a commit in brackets, after a blank; nothing if it has none.
    fn told(&self, id: CommitId, palette: Palette) -> String {
        match self.0.get(&id) {
            None => String::new(),
            Some(names) => format!(" ({})", palette.paint(Style::Ref, &names.join(", "))),
        }
    }
}

/// Returns a commit as JSON.
pub fn commit_json(id: CommitId, commit: &Commit) -> Value {
    let parents: Vec<String> = commit.parents.iter().map(ToString::to_string).collect();
    let made = &commit.committer;
    json!({
        "id": id.to_string(),
        "tree": commit.tree.to_string(),
        "parents": parents,
        "lamport": commit.lamport.0,
        "device": commit.device.as_ref().map(ToString::to_string),
        "session": commit.session.as_ref().map(ToString::to_string),
        "derived": commit.is_derived(),
        "purges": commit.purges.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "restores": commit.restores.map(|id| id.to_string()),
        "author": commit.author.name,
        "at": rfc3339(made.seconds, made.offset_minutes),
        "message": commit.message.to_str_lossy(),
    })
}

/// Returns a commit as one line: short id, names, title.
pub fn one_line(id: CommitId, commit: &Commit, names: &Names, palette: Palette) -> String {
    let short = palette.paint(Style::Id, &id.short());
    format!("{short}{} {}", names.told(id, palette), title(commit))
}

fn title(commit: &Commit) -> String {
    harmless(&commit.title()).replace('\t', " ")
}

/// Returns a commit as a few lines: id and names, who, when, the message indented, an empty line.
pub fn in_full(id: CommitId, commit: &Commit, names: &Names, now: i64, palette: Palette) -> Vec<String> {
    let mut lines =
        vec![format!("{}{}", palette.paint(Style::Id, &format!("commit {id}")), names.told(id, palette))];
    let parents: Vec<String> = commit.parents.iter().map(CommitId::short).collect();
    if commit.is_derived() {
        lines.push(format!("Derived: reconcile joined {}", parents.join(", ")));
    } else {
        if parents.len() > 1 {
            lines.push(format!("Joins:   {}", parents.join(", ")));
        }
        let device = commit.device.as_ref().map(|device| format!(" on {device}")).unwrap_or_default();
        lines.push(format!("Author:  {}{device}", harmless(&commit.author.name)));
    }
    if let Some(session) = &commit.session {
        lines.push(format!("Session: {session}"));
    }
    let made = &commit.committer;
    lines.push(format!(
        "Date:    {} ({})",
        time::absolute(made.seconds, made.offset_minutes),
        time::relative(made.seconds, now)
    ));
    lines.push(format!("Lamport: {}", commit.lamport.0));
    if let Some(restores) = commit.restores {
        lines.push(format!("Restores {}", palette.paint(Style::Id, &restores.to_string())));
    }
    for blob in &commit.purges {
        lines.push(format!("Purges   {}", palette.paint(Style::Id, &blob.to_string())));
    }
    lines.push(String::new());
    let message = commit.message.to_str_lossy();
    lines.extend(
        message.trim_end().lines().map(|line| format!("    {}", harmless(line)).trim_end().to_owned()),
    );
    lines.push(String::new());
    lines
}
