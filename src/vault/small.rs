//! The small files of `.mvault`: which of them, or of their lines, are not as they were written.
//!
//! - Rejections, turns, tokens and mounts are lines, each sealed by its hash; settings of sessions and the memory of
//!   other devices are one sealed line. Lines of earlier programs without a hash are read as they are.
//! - A damaged line is left out and named. `repair` moves it to quarantine and keeps the rest.
//!
//! Limits: whole lines that were cut off leave no trace. The list of tombstones is a cache and is made again;
//! settings are for people to edit, and are held against the log instead.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::peers::{PEERS, PeerMemory};
use super::refusal::REJECTIONS;
use super::session::{ENDING, SESSIONS, Session, TURNS, Turn};
use super::tokens::{TOKENS, Token};
use super::{Result, Vault};
use crate::fs::{Dir, replace_file};
use crate::gateway::rejection::Rejection;
use crate::object::read_line;
use crate::worktree::{MountLine, Mounts};

const BYTES_MAX: u64 = 256 << 20;

/// A small file with damage in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFile {
    /// Where, below `.mvault`.
    pub place: String,
    /// Numbers of the damaged lines, from 1.
    pub lines: Vec<usize>,
}

impl DamagedFile {
    /// Says what is wrong, for people.
    pub fn what(&self) -> String {
        match &self.lines[..] {
            [line] => format!("line {line} is damaged and left out"),
            lines => {
                format!("{} lines are damaged and left out, the first is line {}", lines.len(), lines[0])
            }
        }
    }
}

/// Tells of a line whether it is as it was written.
type IsSound = fn(&[u8]) -> bool;

fn is_sound<T: Serialize + DeserializeOwned>(line: &[u8]) -> bool {
    read_line::<T>(line).is_some()
}

/// How a file is made.
#[derive(Clone, Copy)]
enum Form {
    /// Lines that are replaced all at once.
    Lines(IsSound),
    /// One line, or the many lines that earlier programs wrote for one.
    One(IsSound),
}

/// Finds all damage in small files.
pub fn damaged_files(dot: &Dir) -> Result<Vec<DamagedFile>> {
    let mut found = Vec::new();
    for (folder, name, form) in all(dot)? {
        let Some(dir) = open(dot, folder)? else { continue };
        let Some(bytes) = dir.try_read(&name, BYTES_MAX)? else { continue };
        let lines = damaged_lines(&bytes, form);
        if !lines.is_empty() {
            found.push(DamagedFile { place: format!("{folder}{name}"), lines });
        }
    }
    Ok(found)
}

/// Lists the small files: the folder with a slash, or nothing, and the name.
fn all(dot: &Dir) -> Result<Vec<(&'static str, String, Form)>> {
    let mut files = vec![
        ("", PEERS.to_owned(), Form::One(is_sound::<BTreeMap<String, PeerMemory>>)),
        ("", Mounts::FILE.to_owned(), Form::Lines(is_sound::<MountLine>)),
        ("", TOKENS.to_owned(), Form::Lines(is_sound::<Token>)),
    ];
    for folder in [REJECTIONS_IN, SESSIONS_IN] {
        let Some(dir) = open(dot, folder)? else { continue };
        for (name, _) in dir.list()? {
            let Some(name) = name.to_str() else { continue };
            let form = match folder {
                REJECTIONS_IN if name.ends_with(".jsonl") => Form::Lines(is_sound::<Rejection>),
                SESSIONS_IN if name.ends_with(ENDING) => Form::One(is_sound::<Session>),
                SESSIONS_IN if name.ends_with(TURNS) => Form::Lines(is_sound::<Turn>),
                _ => continue,
            };
            files.push((folder, name.to_owned(), form));
        }
    }
    files.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    Ok(files)
}

const REJECTIONS_IN: &str = "rejections/";
const SESSIONS_IN: &str = "sessions/";

fn open(dot: &Dir, folder: &str) -> Result<Option<Dir>> {
    let name = match folder {
        REJECTIONS_IN => REJECTIONS,
        SESSIONS_IN => SESSIONS,
        _ => return Ok(Some(dot.clone())),
    };
    match dot.open_dir(name) {
        Err(error) if error.is_not_found() => Ok(None),
        other => Ok(Some(other?)),
    }
}

fn damaged_lines(bytes: &[u8], form: Form) -> Vec<usize> {
    let is_sound = match form {
        Form::One(is_sound) => return if is_sound(bytes.trim_ascii_end()) { Vec::new() } else { vec![1] },
        Form::Lines(is_sound) => is_sound,
    };
    let lines = bytes.split(|b| *b == b'\n').zip(1..);
    lines.filter(|(line, _)| !line.is_empty() && !is_sound(line)).map(|(_, number)| number).collect()
}

impl Vault {
    /// Returns what is damaged in the small files.
    pub fn damaged_files(&self) -> Result<Vec<DamagedFile>> {
        damaged_files(&self.dot)
    }

    /// Moves what is damaged in a small file to quarantine and keeps the rest. The lock is held.
    pub(super) fn set_damage_aside(&self, damaged: &DamagedFile) -> Result<()> {
        for (folder, name, form) in all(&self.dot)? {
            if format!("{folder}{name}") != damaged.place {
                continue;
            }
            let Some(dir) = open(&self.dot, folder)? else { continue };
            let bytes = dir.try_read(&name, BYTES_MAX)?.unwrap_or_default();
            if let Form::One(_) = form {
                if !bytes.is_empty() {
                    self.quarantine(&bytes)?;
                }
                dir.remove_file(&name)?;
                dir.sync()?;
                continue;
            }
            let bad = damaged_lines(&bytes, form);
            let (mut kept, mut aside) = (Vec::new(), Vec::new());
            for (line, number) in bytes.split_inclusive(|b| *b == b'\n').zip(1..) {
                if bad.contains(&number) {
                    aside.extend_from_slice(line)
                } else {
                    kept.extend_from_slice(line)
                }
            }
            self.quarantine(&aside)?;
            replace_file(&dir, &name, &kept, 0o600)?;
        }
        Ok(())
    }
}
