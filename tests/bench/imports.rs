//! Long histories, made at one go: by `git fast-import` for git, through the library for mvault.
//!
//! Both have the same 200 notes in 10 folders, of which each commit changes one, and lie in a single pack, as
//! after a collection.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use mvault::env::Env;
use mvault::fs::RealDisk;
use mvault::object::{Commit, CommitId, Kind, Lamport, ObjectId, Signature, TreeId};
use mvault::oplog::{Label, RefName};
use mvault::store::PackWriter;
use mvault::vault::{Access, OpenOptions, Trust, Vault};

use super::Done;
use super::side::Side;
use super::workload::note;

const FOLDERS: u64 = 10;
const NOTES: u64 = 200;
/// The first commit is of this time, each next one ten minutes later.
const START: i64 = 1_700_000_000;
const STEP: i64 = 600;

fn name(number: u64) -> String {
    format!("f{}/n{:03}.md", number % FOLDERS, number)
}

/// The content of a note after the commit `round`.
fn content(number: u64, round: u64) -> String {
    note(number + NOTES * round, 200)
}

/// The note that the commit `round` changes.
fn turn(round: u64) -> u64 {
    round * 37 % NOTES
}

fn write_files(folder: &Path, rounds: u64) -> Done {
    for number in 0..NOTES {
        let last = (1..=rounds).rev().take(NOTES as usize).find(|round| turn(*round) == number).unwrap_or(0);
        let path = folder.join(name(number));
        std::fs::create_dir_all(path.parent().ok_or("a note is in a folder")?)?;
        std::fs::write(path, content(number, last))?;
    }
    Ok(())
}

/// Changes the next note in the working tree of a history.
pub fn touch(folder: &Path, round: u64) -> Done {
    Ok(std::fs::write(folder.join(name(turn(round))), content(turn(round), round))?)
}

/// Gives a side that was just initialised a history of `1 + commits` commits, and the files of the last one.
pub fn make(side: &Side, commits: u64) -> Done {
    if side.is_git() {
        make_git(side, commits)?
    } else {
        make_vault(side, commits)?
    }
    write_files(&side.folder, commits)?;
    if side.is_git() {
        side.run(&["reset", "-q", "--mixed"])?;
    }
    side.run(&["status"])
}

fn make_git(side: &Side, commits: u64) -> Done {
    let mut importer = side.command(&["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn()?;
    let mut pipe = BufWriter::new(importer.stdin.take().ok_or("standard input is piped")?);
    for round in 0..=commits {
        let time = START + round as i64 * STEP;
        let message = format!("commit {round}\n");
        writeln!(pipe, "commit refs/heads/main\ncommitter bench <bench@localhost> {time} +0000")?;
        writeln!(pipe, "data {}\n{message}", message.len())?;
        let changed = if round == 0 { 0..NOTES } else { turn(round)..turn(round) + 1 };
        for number in changed {
            let content = content(number, round);
            writeln!(pipe, "M 100644 inline {}\ndata {}\n{content}", name(number), content.len())?;
        }
    }
    pipe.flush()?;
    drop(pipe);
    let output = importer.wait_with_output()?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("git fast-import: {complaint}").into()) }
}

/// The trees of the history so far: the ids of notes and of folders, and of the folders' last versions.
struct Trees {
    notes: Vec<ObjectId>,
    folders: Vec<Option<ObjectId>>,
    root: Option<ObjectId>,
}

impl Trees {
    /// Writes what the commit `round` changes and returns its tree.
    fn write(&mut self, writer: &mut PackWriter, round: u64) -> Done<TreeId> {
        let changed = if round == 0 { 0..NOTES } else { turn(round)..turn(round) + 1 };
        for number in changed.clone() {
            let base = self.notes.get(number as usize).copied();
            let id = writer.add(Kind::Blob, content(number, round).as_bytes(), base)?;
            match self.notes.get_mut(number as usize) {
                Some(note) => *note = id,
                None => self.notes.push(id),
            }
        }
        for folder in changed.map(|number| number % FOLDERS).take(FOLDERS as usize) {
            let inner = (0..NOTES).filter(|number| number % FOLDERS == folder);
            let entries =
                inner.map(|number| (format!("100644 n{number:03}.md"), self.notes[number as usize]));
            let base = self.folders[folder as usize];
            self.folders[folder as usize] = Some(writer.add(Kind::Tree, &tree(entries), base)?);
        }
        let folders = self.folders.iter().enumerate();
        let entries = folders.filter_map(|(number, id)| Some((format!("40000 f{number}"), (*id)?)));
        let root = writer.add(Kind::Tree, &tree(entries), self.root)?;
        self.root = Some(root);
        Ok(TreeId::new(root))
    }
}

/// Encodes a tree whose entries are in order.
fn tree(entries: impl Iterator<Item = (String, ObjectId)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mode_and_name, id) in entries {
        bytes.extend_from_slice(mode_and_name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes
}

fn make_vault(side: &Side, commits: u64) -> Done {
    let options = OpenOptions {
        disk: Arc::new(RealDisk),
        env: Env::system(|| None),
        actor: "bench".into(),
        args: Vec::new(),
        session: None,
        access: Access::Tree,
        trust: Trust::Given,
    };
    let mut vault = Vault::open(&side.folder, options)?;
    let lock = vault.lock("bench")?;
    let mut writer = vault.store().writer()?;
    let mut trees = Trees { notes: Vec::new(), folders: vec![None; FOLDERS as usize], root: None };
    let mut commit = vault.draft_commit(TreeId::empty(), vec![vault.head()?], Default::default())?;
    let mut head = vault.head()?;
    for round in 0..=commits {
        commit = next(commit, trees.write(&mut writer, round)?, head, round);
        head = vault.write_commit(&mut writer, &commit)?;
    }
    let operation = vault.operation("bench").set(RefName::Branch(Label::main()), head).set(RefName::At, head);
    vault.publish(&lock, Some(writer), operation)?;
    Ok(())
}

/// Returns the commit after `before`.
fn next(before: Commit, tree: TreeId, parent: CommitId, round: u64) -> Commit {
    let who = Signature::new("bench", "bench@localhost", START + round as i64 * STEP, 0);
    let mut message = String::new();
    let _infallible = writeln!(message, "commit {round}");
    Commit {
        tree,
        parents: vec![parent],
        author: who.clone(),
        committer: who,
        lamport: Lamport::next(before.lamport, before.lamport),
        message: message.into(),
        ..before
    }
}
