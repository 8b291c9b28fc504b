//! Whole commands on the simulated disk: cut or failed at each call that changes something, until they pass; the
//! power cut at the same places; the recovery cut as well.
//!
//! What must hold in every state that the next process may find: each vault opens by itself and verifies; its head
//! is one that the command goes through; every commit there was before is there; every file has the content from
//! before or after, and what was in no commit is on the disk or in the store; what was acknowledged has happened;
//! the vault goes on working.
//!
//! `MVAULT_SIM_POINTS=N` tries N points of each command and kind of fault, spread evenly, instead of a few;
//! `all` tries every one. `MVAULT_SIM_IMAGES=N` looks at N states after each power cut.

#![allow(clippy::print_stdout)] // how much was tried

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mvault::cli;
use mvault::commands::Exit;
use mvault::env::{Env, Moment};
use mvault::fs::sim::{Failure, Fault};
use mvault::fs::{Dir, Disk, FileKind, SimDisk};
use mvault::object::{CommitId, Kind, ObjectId, Source, hash_object};
use mvault::oplog::{RefName, RefTarget};
use mvault::vault::{Access, Depth, OpenOptions, Trust, Vault, verify};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Runs a command line in `/`; `n` gives it its minute and its dice.
fn mvault(disk: &SimDisk, n: u32, line: &[&str]) -> Result<Exit, String> {
    mvault_fed(disk, n, line, b"")
}

fn mvault_fed(disk: &SimDisk, n: u32, line: &[&str], stdin: &[u8]) -> Result<Exit, String> {
    let vars = BTreeMap::from([(OsString::from("HOME"), OsString::from("/home"))]);
    let moment =
        Moment { unix_ns: 1_764_000_000_000_000_000 + i128::from(n) * 60_000_000_000, offset_minutes: 60 };
    let env = Env::fixed(moment, &n.to_string());
    let (result, _printed) = cli::run_on(Arc::new(disk.clone()), env, Path::new("/"), vars, line, stdin);
    result.map_err(|error| error.message)
}

/// A disk with two devices of one vault, `/v` (mac) and `/w` (pixel), that know each other.
struct Story {
    disk: SimDisk,
    n: u32,
}

impl Story {
    fn new() -> Story {
        let disk = SimDisk::new();
        disk.set_time(1_764_000_000_000_000_000);
        disk.create_dir_all(Path::new("/home")).expect("a folder");
        let mut story = Story { disk, n: 0 };
        story.does(&["init", "/v", "--device", "mac"]);
        story.writes("/v/continuity.md", "# Now\nfirst\n").writes("/v/notes/a.md", "one\ntwo\nthree\n");
        story.writes("/v/distillates/d.md", "sealed\n").writes("/v/goes.md", "goes\n");
        story.does(&["-C", "/v", "commit", "-m", "first"]);
        story.writes("/v/continuity.md", "# Now\nsecond\n");
        story.removes("/v/goes.md");
        story.does(&["-C", "/v", "commit", "-m", "second"]).does(&["-C", "/v", "note", "from the desk"]);
        story
            .does(&["clone", "/v", "/w", "--device", "pixel"])
            .does(&["-C", "/v", "remote", "add", "pixel", "/w"]);
        story
    }

    fn does(&mut self, line: &[&str]) -> &mut Story {
        self.n += 1;
        if let Err(error) = mvault(&self.disk, self.n, line) {
            panic!("{line:?}: {error}");
        }
        self
    }

    fn folder(&self, path: &Path) -> Dir {
        self.disk.create_dir_all(path).expect("a folder")
    }

    fn writes(&mut self, path: &str, text: &str) -> &mut Story {
        let path = Path::new(path);
        let dir = self.folder(path.parent().expect("a folder"));
        let name = path.file_name().expect("a name");
        let file = if dir.try_stat(name).expect("a stat").is_some() {
            dir.open_write(name)
        } else {
            dir.create_new(name, 0o644)
        };
        let file = file.expect("a file");
        file.set_len(0).and_then(|()| file.write_at(text.as_bytes(), 0)).expect("room");
        self
    }

    fn removes(&mut self, path: &str) -> &mut Story {
        let path = Path::new(path);
        self.folder(path.parent().expect("a folder"))
            .remove_file(path.file_name().expect("a name"))
            .expect("gone");
        self
    }

    /// The phone's day: an edit, a new note, an event.
    fn phones_day(&mut self) -> &mut Story {
        self.writes("/w/notes/a.md", "one\ntwo\nthree\nfour\n").writes("/w/notes/phone.md", "on the way\n");
        self.does(&["-C", "/w", "commit", "-m", "phone"]).does(&["-C", "/w", "note", "from the phone"])
    }

    fn desks_edits(&mut self) -> &mut Story {
        self.writes("/v/continuity.md", "# Now\nthird\n").writes("/v/notes/new.md", "in no commit\n")
    }
}

/// What is known of one vault.
#[derive(Clone, Default)]
struct Facts {
    files: Files,
    commits: BTreeSet<CommitId>,
    head: Option<CommitId>,
    /// Every commit that the branch ever stood on.
    heads: BTreeSet<Option<CommitId>>,
    /// Files whose content no commit has.
    edits: Vec<(PathBuf, ObjectId)>,
}

fn open(disk: &SimDisk, root: &Path) -> Result<Vault, String> {
    let options = OpenOptions {
        disk: Arc::new(disk.clone()),
        env: Env::fixed(Moment { unix_ns: 1_764_100_000_000_000_000, offset_minutes: 60 }, "look"),
        actor: "test".to_owned(),
        args: Vec::new(),
        session: None,
        access: Access::Tree,
        trust: Trust::Given,
    };
    Vault::open(root, options).map_err(|error| error.to_string())
}

fn files(disk: &SimDisk, root: &Path) -> Files {
    fn walk(dir: &Dir, base: &Path, files: &mut Files) {
        for (name, _) in dir.list().expect("a list") {
            let path = base.join(&name);
            match dir.stat(&name).expect("a stat").kind {
                FileKind::Dir if name == ".mvault" => {}
                FileKind::Dir => walk(&dir.open_dir(&name).expect("a folder"), &path, files),
                FileKind::File => drop(files.insert(path, dir.read(&name, 1 << 30).expect("a file"))),
                _ => {}
            }
        }
    }
    let mut found = Files::new();
    if let Ok(dir) = disk.open_dir(root) {
        walk(&dir, Path::new(""), &mut found);
    }
    found
}

fn facts(disk: &SimDisk, root: &Path) -> Result<Facts, String> {
    let files = files(disk, root);
    let vault = open(disk, root)?;
    let words = |error: &dyn std::error::Error| error.to_string();
    let mut open: Vec<CommitId> = vault.log().refs().commits().into_iter().collect();
    let mut commits = BTreeSet::new();
    while let Some(id) = open.pop() {
        if commits.insert(id) {
            open.extend(vault.store().find_commit(id).map_err(|error| words(&error))?.parents.iter());
        }
    }
    let mut heads = BTreeSet::from([None]);
    for operation in vault.log().operations() {
        for change in operation.map_err(|error| words(&error))?.refs {
            if let (RefName::Branch(_), Some(RefTarget::Commit(id))) = (change.name, change.new) {
                heads.insert(Some(id));
            }
        }
    }
    let ids = files.iter().map(|(path, bytes)| (path.clone(), hash_object(Kind::Blob, bytes)));
    let edits = ids.filter(|(_, id)| !vault.store().contains(*id).unwrap_or(false)).collect();
    Ok(Facts { files, commits, head: vault.log().refs().head(), heads, edits })
}

/// A command and where it acts.
struct Case {
    start: SimDisk,
    line: &'static [&'static str],
    stdin: &'static [u8],
    roots: Vec<PathBuf>,
    before: Vec<Facts>,
    after: Vec<Facts>,
    /// Whether commits may go: only unreachable ones ever do.
    is_new: bool,
}

const ACT: u32 = 5000;

impl Case {
    fn new(story: &Story, line: &'static [&'static str], roots: &[&str]) -> Case {
        Case::fed(story, line, b"", roots)
    }

    fn fed(story: &Story, line: &'static [&'static str], stdin: &'static [u8], roots: &[&str]) -> Case {
        story.disk.settle();
        let start = story.disk.after_kill();
        start.settle();
        let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
        let is_new = matches!(line[0], "init" | "clone");
        let before = roots
            .iter()
            .map(|root| if is_new { Facts::default() } else { facts(&copy(&start), root).expect("a vault") });
        let before = before.collect();
        let done = copy(&start);
        mvault_fed(&done, ACT, line, stdin).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let after = roots.iter().map(|root| facts(&done, root).expect("a vault")).collect();
        Case { start, line, stdin, roots, before, after, is_new }
    }

    /// Runs the command.
    fn act(&self, disk: &SimDisk) -> Result<Exit, String> {
        mvault_fed(disk, ACT, self.line, self.stdin)
    }

    /// Checks one state; `acknowledged` is whether the command said that it was done.
    fn check(&self, disk: &SimDisk, acknowledged: bool, what: &str) -> Result<(), String> {
        bury(disk);
        if self.is_new && !acknowledged {
            // What was cut is begun again by the same command, unless it was made before the cut.
            let again = mvault(disk, ACT + 1, self.line);
            if again.is_err()
                && self
                    .roots
                    .iter()
                    .any(|root| facts(disk, root).map(|now| now.files) != Ok(self.after[0].files.clone()))
            {
                return Err(format!("{what}: not made again: {again:?}"));
            }
        }
        for ((root, before), after) in self.roots.iter().zip(&self.before).zip(&self.after) {
            let fail = |problem: String| Err(format!("{what}: {}: {problem}", root.display()));
            let now = match facts_after_recovery(disk, root) {
                Ok(now) => now,
                Err(error) => return fail(error),
            };
            let verified =
                verify(disk, root, Depth::Full, &|_, _| {}).map_err(|error| format!("{what}: {error}"))?;
            if !verified.problems.is_empty() {
                return fail(format!("verify: {:?}", verified.problems));
            }
            if !self.is_new && !after.heads.contains(&now.head) {
                return fail(format!("the head is {:?}", now.head));
            }
            let vault = open(disk, root)?;
            for id in &before.commits {
                if !vault.store().contains(id.object()).unwrap_or(false) {
                    return fail(format!("commit {id} is gone"));
                }
            }
            for (path, id) in &before.edits {
                let is_there = now.files.get(path).is_some_and(|bytes| hash_object(Kind::Blob, bytes) == *id);
                if !is_there && !vault.store().contains(*id).unwrap_or(false) {
                    return fail(format!("the edit of {} is lost", path.display()));
                }
            }
            let paths: BTreeSet<&PathBuf> =
                before.files.keys().chain(after.files.keys()).chain(now.files.keys()).collect();
            for path in paths {
                let (was, will, is) = (before.files.get(path), after.files.get(path), now.files.get(path));
                if is != will && (is != was || acknowledged || self.is_new) {
                    return fail(format!(
                        "{} is neither old nor new: {:?}",
                        path.display(),
                        is.map(|bytes| bytes.len())
                    ));
                }
            }
            if acknowledged && !self.is_new && now.head != after.head {
                return fail(format!("acknowledged, and the head is {:?}", now.head));
            }
            drop(vault);
            let root = root.to_str().expect("text");
            for line in [&["-C", root, "note", "later"][..], &["-C", root, "commit", "-m", "later"]] {
                mvault(disk, ACT + 7, line)
                    .map_err(|error| format!("{what}: {line:?} afterwards: {error}"))?;
            }
            let dot = Path::new(root).join(".mvault");
            let left: Vec<PathBuf> =
                disk.files().into_keys().filter(|path| is_temporary(path, &dot)).collect();
            if !left.is_empty() {
                return fail(format!("{left:?} are left"));
            }
        }
        Ok(())
    }

    /// Cuts and fails the command everywhere the sizes say, and counts the states.
    fn sweep(&self, name: &str) {
        let calls = {
            let disk = copy(&self.start);
            self.act(&disk).expect("it passes untouched");
            disk.changing_calls().len() as u64
        };
        let mut found = Found::default();
        let points = chosen(calls);
        for &n in &points {
            let disk = self.cut(&self.start, Fault::kill(n));
            found.note(self.check(&disk.after_kill(), false, &format!("{name} killed before call {n}")));
            for (number, image) in images(&disk, n).into_iter().enumerate() {
                found.note(self.check(
                    &image,
                    false,
                    &format!("{name}, power cut before call {n}, image {number}"),
                ));
            }
        }
        for (turn, &n) in points.iter().enumerate() {
            for (which, failure) in Failure::ALL.into_iter().enumerate() {
                // In a slice each point has one error in turn; in a campaign all of them.
                if points.len() < calls as usize && which != turn % Failure::ALL.len() {
                    continue;
                }
                for fault in [Fault::fail(n, failure), Fault::fail(n, failure).forever()] {
                    let disk = copy(&self.start);
                    disk.plan(fault);
                    let done = self.act(&disk);
                    let what = format!("{name}, call {n} fails with {failure:?}, forever {}", fault.forever);
                    found.note(self.check(
                        &disk.after_kill(),
                        done.is_ok_and(|exit| exit == Exit::Done),
                        &what,
                    ));
                }
            }
        }
        for &n in points.iter().step_by(points.len().div_ceil(chosen(u64::MAX).len()).max(1)) {
            let cut = self.cut(&self.start, Fault::kill(n)).after_kill();
            let recovery = {
                let disk = copy(&cut);
                recover(&disk, &self.roots);
                disk.changing_calls().len() as u64
            };
            for m in chosen(recovery) {
                let disk = copy(&cut);
                disk.plan(Fault::kill(m));
                recover(&disk, &self.roots);
                found.note(self.check(
                    &disk.after_kill(),
                    false,
                    &format!("{name} killed before call {n}, recovery before {m}"),
                ));
            }
        }
        println!(
            "{name}: {calls} calls, {} points, {} states, {} violations",
            points.len(),
            found.states,
            found.violations.len()
        );
        assert!(found.violations.is_empty(), "{:#?}", &found.violations[..found.violations.len().min(10)]);
        assert!(found.states > 10, "a sweep looks at states");
    }

    fn cut(&self, start: &SimDisk, fault: Fault) -> SimDisk {
        let disk = copy(start);
        disk.plan(fault);
        let _killed = self.act(&disk);
        disk
    }
}

/// Gives the temporary files of this process to one that is dead, as the killed command would be.
fn bury(disk: &SimDisk) {
    let (own, dead) = (format!("tmp-{}-", std::process::id()), format!("tmp-{}-", u32::MAX / 2));
    for path in disk.files().into_keys() {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        if name.contains(&own) {
            let dir = disk.open_dir(path.parent().expect("a folder")).expect("it is there");
            dir.rename(name, &dir, name.replace(&own, &dead)).expect("a new name");
        }
    }
}

/// Returns `true` for what only a command that runs may have in a vault's folder `dot`.
fn is_temporary(path: &Path, dot: &Path) -> bool {
    let name = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"tmp-"));
    path.starts_with(dot.join("tmp")) || (name && path.parent() == Some(dot))
}

#[derive(Default)]
struct Found {
    states: usize,
    violations: Vec<String>,
}

impl Found {
    fn note(&mut self, checked: Result<(), String>) {
        self.states += 1;
        self.violations.extend(checked.err());
    }
}

fn copy(disk: &SimDisk) -> SimDisk {
    disk.after_kill()
}

fn recover(disk: &SimDisk, roots: &[PathBuf]) {
    for root in roots {
        let _killed = mvault(disk, ACT + 2, &["-C", root.to_str().expect("text"), "status"]);
    }
}

/// Lets the next command of any kind finish what was cut, then looks.
fn facts_after_recovery(disk: &SimDisk, root: &Path) -> Result<Facts, String> {
    mvault(disk, ACT + 2, &["-C", root.to_str().expect("text"), "status"])
        .map_err(|error| format!("status: {error}"))?;
    facts(disk, root)
}

fn wanted(name: &str, few: u64) -> u64 {
    match std::env::var(name) {
        Err(_) => few,
        Ok(text) if text == "all" => u64::MAX,
        Ok(text) => text.parse().expect("a number or all"),
    }
}

/// Chooses calls out of `1..=calls`, spread evenly, the last among them.
fn chosen(calls: u64) -> Vec<u64> {
    let count = wanted("MVAULT_SIM_POINTS", 5).min(calls);
    if calls == u64::MAX {
        return (1..=count.min(64)).collect();
    }
    (1..=count).map(|k| (k * calls).div_ceil(count.max(1))).collect()
}

fn images(disk: &SimDisk, seed: u64) -> Vec<SimDisk> {
    let images = disk.after_power_cut(seed, 3);
    let count = usize::try_from(wanted("MVAULT_SIM_IMAGES", 3)).unwrap_or(usize::MAX).min(images.len());
    let step = images.len().div_ceil(count.max(1)).max(1);
    images.into_iter().step_by(step).collect()
}

#[test]
fn init_survives_every_cut_and_error() {
    let story = Story::new();
    Case::new(&story, &["init", "/n", "--device", "new"], &["/n"]).sweep("init");
}

#[test]
fn clone_survives_every_cut_and_error() {
    let story = Story::new();
    Case::new(&story, &["clone", "/v", "/n", "--device", "new"], &["/n"]).sweep("clone");
}

#[test]
fn commit_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.desks_edits().removes("/v/notes/a.md");
    Case::new(&story, &["-C", "/v", "commit", "-m", "third"], &["/v"]).sweep("commit");
}

#[test]
fn a_segment_roll_survives_every_cut_and_error() {
    let mut story = Story::new();
    let segments =
        |disk: &SimDisk| disk.files().keys().filter(|path| path.starts_with("/v/.mvault/oplog")).count();
    // Names until the newest segment is so full that the next commit begins another.
    let fill = |disk: &SimDisk| {
        let files = disk.files();
        files
            .iter()
            .rfind(|(path, _)| path.starts_with("/v/.mvault/oplog"))
            .map_or(0, |(_, bytes)| bytes.len())
    };
    for n in 0..600 {
        story.disk.settle();
        if fill(&story.disk) > 60_000 {
            let mut next = Story { disk: story.disk.after_kill(), n: story.n };
            next.desks_edits().does(&["-C", "/v", "commit", "-m", "third"]);
            if segments(&next.disk) > segments(&story.disk) {
                break;
            }
        }
        story.does(&["-C", "/v", "tag", &format!("t{n}")]);
    }
    story.desks_edits();
    let case = Case::new(&story, &["-C", "/v", "commit", "-m", "third"], &["/v"]);
    let done = copy(&case.start);
    case.act(&done).expect("it commits");
    assert!(segments(&done) > segments(&case.start), "the commit rolls the log");
    case.sweep("roll");
}

#[test]
fn checkout_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.desks_edits();
    Case::new(&story, &["-C", "/v", "checkout", "main~2"], &["/v"]).sweep("checkout");
}

#[test]
fn rollback_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.desks_edits();
    Case::new(&story, &["-C", "/v", "rollback", "main~2"], &["/v"]).sweep("rollback");
}

#[test]
fn undo_survives_every_cut_and_error() {
    let mut story = Story::new();
    story
        .desks_edits()
        .does(&["-C", "/v", "commit", "-m", "third"])
        .does(&["-C", "/v", "rollback", "main~2"]);
    Case::new(&story, &["-C", "/v", "undo"], &["/v"]).sweep("undo");
}

#[test]
fn switch_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.does(&["-C", "/v", "branch", "other", "main~2"]).desks_edits();
    Case::new(&story, &["-C", "/v", "switch", "other"], &["/v"]).sweep("switch");
}

#[test]
fn pull_survives_every_cut_and_error_on_both_sides() {
    let mut story = Story::new();
    story.phones_day().desks_edits();
    Case::new(&story, &["-C", "/v", "pull", "pixel"], &["/v", "/w"]).sweep("pull");
}

#[test]
fn push_survives_every_cut_and_error_on_both_sides() {
    let mut story = Story::new();
    story.phones_day().desks_edits().does(&["-C", "/v", "commit", "-m", "third"]);
    Case::new(&story, &["-C", "/v", "push", "pixel"], &["/v", "/w"]).sweep("push");
}

#[test]
fn sync_survives_every_cut_and_error_on_both_sides() {
    let mut story = Story::new();
    story.phones_day().desks_edits();
    Case::new(&story, &["-C", "/v", "sync", "pixel"], &["/v", "/w"]).sweep("sync");
}

#[test]
fn resolve_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.phones_day().writes("/v/notes/a.md", "one\ntwo\nthree\nfive\n");
    story.does(&["-C", "/v", "commit", "-m", "desk"]).does(&["-C", "/v", "pull", "pixel"]);
    Case::new(&story, &["-C", "/v", "resolve", "notes/a.md", "--take", "both"], &["/v"]).sweep("resolve");
}

#[test]
fn gc_survives_every_cut_and_error() {
    let story = Story::new();
    Case::new(&story, &["-C", "/v", "gc"], &["/v"]).sweep("gc");
}

#[test]
fn gc_that_prunes_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.desks_edits().does(&["-C", "/v", "commit", "-m", "third"]).does(&["-C", "/v", "undo"]);
    Case::new(&story, &["-C", "/v", "gc", "--prune"], &["/v"]).sweep("gc --prune");
}

#[test]
fn a_merge_of_packs_survives_every_cut_and_error() {
    let mut story = Story::new();
    let packs = |disk: &SimDisk| {
        let files = disk.files();
        files.keys().filter(|path| path.starts_with("/v/.mvault/objects")).cloned().collect::<BTreeSet<_>>()
    };
    // Notes until one more commit removes packs.
    for n in 0..200 {
        story.disk.settle();
        let mut next = Story { disk: story.disk.after_kill(), n: story.n };
        next.desks_edits().does(&["-C", "/v", "commit", "-m", "third"]);
        if !packs(&story.disk).is_subset(&packs(&next.disk)) {
            break;
        }
        story.writes(&format!("/v/notes/n{n}.md"), "short\n").does(&["-C", "/v", "commit", "-m", "one more"]);
    }
    story.desks_edits();
    let case = Case::new(&story, &["-C", "/v", "commit", "-m", "third"], &["/v"]);
    let done = copy(&case.start);
    case.act(&done).expect("it commits");
    assert!(!packs(&case.start).is_subset(&packs(&done)), "the commit merges packs");
    case.sweep("merge of packs");
}

#[test]
fn note_survives_every_cut_and_error() {
    let story = Story::new();
    Case::new(&story, &["-C", "/v", "note", "one more"], &["/v"]).sweep("note");
}

#[test]
fn a_seal_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.writes("/v/distillates/d.md", "sealed again\n");
    Case::new(&story, &["-C", "/v", "seal", "distillates/d.md"], &["/v"]).sweep("seal");
}

#[test]
fn restoring_paths_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.desks_edits();
    Case::new(&story, &["-C", "/v", "checkout", "main~2", "--", "continuity.md", "goes.md"], &["/v"])
        .sweep("restore");
}

#[test]
fn purge_survives_every_cut_and_error() {
    let story = Story::new();
    let line = &["-C", "/v", "purge", "notes/a.md", "-m", "why", "--confirm", "notes/a.md"];
    Case::new(&story, line, &["/v"]).sweep("purge");
}

#[test]
fn the_end_of_a_session_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.does(&["-C", "/v", "session", "start", "s1"]).desks_edits();
    Case::new(&story, &["-C", "/v", "session", "end", "s1"], &["/v"]).sweep("session end");
}

#[test]
fn bundles_survive_every_cut_and_error() {
    let mut story = Story::new();
    story.phones_day().desks_edits();
    Case::new(&story, &["-C", "/w", "bundle", "create", "/phone.bundle"], &["/w"]).sweep("bundle create");
    story.does(&["-C", "/w", "bundle", "create", "/phone.bundle"]);
    Case::new(&story, &["-C", "/v", "pull", "/phone.bundle"], &["/v"]).sweep("bundle pull");
}

#[test]
fn a_write_survives_every_cut_and_error() {
    let story = Story::new();
    let line = &["-C", "/v", "write", "continuity.md"];
    Case::fed(&story, line, b"# Now\nwritten\n", &["/v"]).sweep("write");
}

#[test]
fn lines_behind_a_stream_survive_every_cut_and_error() {
    let mut story = Story::new();
    story
        .writes("/v/events/clock.jsonl", "{\"kind\":\"tick\",\"n\":1}\n")
        .does(&["-C", "/v", "commit", "-m", "clock"]);
    let line = &["-C", "/v", "write", "--append", "events/clock.jsonl"];
    Case::fed(&story, line, b"{\"kind\":\"tick\",\"n\":2}\n", &["/v"]).sweep("write --append");
}

#[test]
fn a_models_memory_survives_every_cut_and_error() {
    let story = Story::new();
    let input = br#"{"command":"create","path":"/memories/a.md","file_text":"remembered\n"}"#;
    Case::fed(&story, &["-C", "/v", "memory"], input, &["/v"]).sweep("memory");
}

#[test]
fn a_handoff_survives_every_cut_and_error() {
    let story = Story::new();
    let line = &["-C", "/v", "handoff", "create", "--to", "codex", "finish the parser"];
    Case::new(&story, line, &["/v"]).sweep("handoff");
}

#[test]
fn events_from_standard_input_survive_every_cut_and_error() {
    let story = Story::new();
    let input = b"{\"kind\":\"tick\",\"n\":1}\n{\"kind\":\"tick\",\"n\":2}\n";
    Case::fed(&story, &["-C", "/v", "events", "import", "-"], input, &["/v"]).sweep("events import");
}

#[test]
fn an_import_survives_every_cut_and_error() {
    let mut story = Story::new();
    story
        .writes("/old/CONTINUITY.md", "# Continuity\n\nwhat was\n")
        .writes("/old/SHIPLOG.md", "# Shipped\n\nall of it\n");
    story.writes("/old/SR-2026-02-22.md", "# Report\n\nquiet\n");
    Case::new(&story, &["-C", "/v", "import", "mirrordna", "/old"], &["/v"]).sweep("import");
}

/// A commit that is refused in part: what is refused goes to quarantine, the rest is committed.
#[test]
fn a_commit_with_a_refusal_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.desks_edits().writes("/v/notes/key.md", concat!("key AKIA", "Z7Q2M4XN6K3VWB5T\n"));
    let case = Case::new(&story, &["-C", "/v", "commit", "-m", "third"], &["/v"]);
    assert_eq!(case.act(&copy(&case.start)), Ok(Exit::Refused), "the file with a credential is refused");
    case.sweep("refusal");
}

#[test]
fn a_device_that_is_forgotten_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.phones_day().does(&["-C", "/v", "fetch", "pixel"]).desks_edits();
    Case::new(&story, &["-C", "/v", "remote", "forget", "pixel"], &["/v"]).sweep("remote forget");
}

#[test]
fn a_reconcile_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.phones_day().does(&["-C", "/v", "fetch", "pixel"]).desks_edits();
    Case::new(&story, &["-C", "/v", "reconcile"], &["/v"]).sweep("reconcile");
}

#[test]
fn the_end_of_a_turn_survives_every_cut_and_error() {
    let mut story = Story::new();
    story.does(&["-C", "/v", "session", "start", "s1"]).desks_edits();
    let input = br#"{"session_id":"s1","cwd":"/v","hook_event_name":"Stop","last_assistant_message":"done"}"#;
    let case = Case::fed(&story, &["-C", "/v", "hook", "claude-code", "stop"], input, &["/v"]);
    let done = copy(&case.start);
    case.act(&done).expect("it passes");
    let turns = done.files().into_iter().find(|(path, _)| path.ends_with("sessions/s1.turns"));
    assert!(turns.is_some_and(|(_, bytes)| !bytes.is_empty()), "the turn is in the session's journal");
    case.sweep("hook stop");
}
