//! How a commit is told by `log` and `show`.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use gix::bstr::ByteSlice;
use serde_json::{Value, json};

use crate::env::rfc3339;
use crate::object::{Commit, CommitId};
use crate::oplog::RefName;
use crate::ui::{Palette, Style, push_harmless, time};
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

    /// Writes the names of a commit in brackets, after a blank; nothing if it has none.
    fn tell(&self, out: &mut String, id: CommitId, palette: Palette) {
        if let Some(names) = self.0.get(&id) {
            let _infallible = write!(out, " ({})", palette.paint(Style::Ref, &names.join(", ")));
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
        "author": &*commit.author.name,
        "at": rfc3339(made.seconds, made.offset_minutes),
        "message": commit.message.to_str_lossy(),
    })
}

/// Writes a commit as one line: short id, names, title.
pub fn one_line(out: &mut String, id: CommitId, commit: &Commit, names: &Names, palette: Palette) {
    out.push_str(&palette.paint(Style::Id, &id.short()));
    names.tell(out, id, palette);
    out.push(' ');
    let title = commit.message.lines().next().unwrap_or_default().to_str_lossy();
    push_harmless(out, &title.replace('\t', " "));
    out.push('\n');
}

/// Writes a commit as a few lines: id and names, who, when, the message indented, an empty line.
pub fn in_full(
    out: &mut String,
    id: CommitId,
    commit: &Commit,
    names: &Names,
    now: i64,
    palette: Palette,
) -> fmt::Result {
    write!(out, "{}", palette.painted(Style::Id, format_args!("commit {id}")))?;
    names.tell(out, id, palette);
    out.push('\n');
    let parents = || commit.parents.iter().map(CommitId::short).collect::<Vec<_>>().join(", ");
    if commit.is_derived() {
        writeln!(out, "Derived: reconcile joined {}", parents())?;
    } else {
        if commit.parents.len() > 1 {
            writeln!(out, "Joins:   {}", parents())?;
        }
        out.push_str("Author:  ");
        push_harmless(out, &commit.author.name);
        if let Some(device) = &commit.device {
            write!(out, " on {device}")?;
        }
        out.push('\n');
    }
    if let Some(session) = &commit.session {
        writeln!(out, "Session: {session}")?;
    }
    let made = &commit.committer;
    out.push_str("Date:    ");
    time::write_absolute(out, made.seconds, made.offset_minutes)?;
    out.push_str(" (");
    time::write_relative(out, made.seconds, now)?;
    writeln!(out, ")\nLamport: {}", commit.lamport.0)?;
    if let Some(restores) = commit.restores {
        writeln!(out, "Restores {}", palette.painted(Style::Id, restores))?;
    }
    for blob in &commit.purges {
        writeln!(out, "Purges   {}", palette.painted(Style::Id, blob))?;
    }
    out.push('\n');
    for line in commit.message.to_str_lossy().trim_end().lines() {
        out.push_str("    ");
        push_harmless(out, line);
        out.truncate(out.trim_end_matches(|c: char| c != '\n' && c.is_whitespace()).len());
        out.push('\n');
    }
    out.push('\n');
    Ok(())
}
