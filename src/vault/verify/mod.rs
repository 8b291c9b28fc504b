//! Verify: looks at everything a vault keeps and says what is not as it should be. Changes nothing.
//!
//! - It opens the parts one by one, so that damage in one does not hide what another has to tell.
//! - Full: every byte of every pack is decoded and hashed, and every derived commit is computed again.
//!   A part of it: what has its id there, so that all parts together are the whole. Quick: tables and
//!   checksums of packs, and every link, but of what only hashing shows nothing in blobs.
//! - Full and part as well: the seals of every branch's head, and what other tools keep there to vouch for
//!   distillates.
//! - In all: each line of the log, each ref that the log ever named and all that can be reached from it,
//!   quarantined files, and the stat cache where it claims to know the present tree.
//!
//! Limits: a log that was cut at a line's end shows only by what the witness, the stat cache or another device
//! remembers. A torn last line, a stat cache that does not hash and a cut checkout are no problems: the
//! next command that writes puts them right.

mod links;
mod vouchers;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use sha2::{Digest, Sha256};

use self::links::Links;
use super::checkout::rules_in;
use super::config::Config;
use super::error::HINT_SETTINGS;
use super::memory::{self, Remembered};
use super::open::check_format;
use super::purge::agreed_to_purge;
use super::sealing::broken_seals;
use super::small::damaged_files;
use super::unled::{self, Unled};
use super::{DOT, Error, ErrorKind, Result};
use crate::fs::{Dir, Disk};
use crate::object::{CommitId, Kind, ObjectId, Source, TreeId, VaultId, list_tree, typed};
use crate::oplog::{OpLog, RefName};
use crate::store::{self, Extent, Part, Store};
use crate::worktree::{self, Index, Waits};

/// The kind of a problem in a small file.
pub(super) const SMALL_FILE: &str = "small-file";
const HINT_VALUE: &str = "put the right value back into .mvault/config.toml by hand";
const HINT_SMALL_FILE: &str = "`mvault repair` moves what is damaged to quarantine and keeps the rest";
const HINT_WAITS: &str = "`mvault repair` sets it aside; files that waited look like edits then";
const HINT_INDEX: &str = "`mvault repair` removes it: it is a cache, the next command makes it anew";
const HINT_LOG: &str = "put .mvault/oplog back from a backup if you have one; otherwise `mvault repair` records in the log what is \
     lost and goes on";
const HINT_PURGE: &str = "`mvault purge --resume` removes them";
const HINT_QUARANTINE: &str = "refused bytes were kept there and changed since; the vault does not depend on them, and `mvault repair` \
     names them by what they are";

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Checksums of tables, and links.
    Quick,
    /// That, and every byte of what is in one part.
    Part(Part),
    /// Every byte.
    Full,
}

impl Depth {
    fn extent(self) -> Extent {
        match self {
            Depth::Quick => Extent::Tables,
            Depth::Part(part) => Extent::Part(part),
            Depth::Full => Extent::All,
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// A word for programs.
    pub kind: &'static str,
    /// Where: a file below `.mvault`, a ref, a commit, an operation.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// An object that something leads to and that is not here, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// Its id.
    pub id: ObjectId,
    /// What it should be.
    pub kind: Kind,
    /// What leads to it.
    pub place: String,
}

/// What was looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The problems, those of the store first.
    pub problems: Vec<Problem>,
    /// Objects that are gone.
    pub lost: Vec<Lost>,
    /// Objects that a pack names and that cannot be read, whether or not anything leads to them.
    pub unreadable: BTreeSet<ObjectId>,
    /// Objects that are not here and that others here depend on, whether or not anything leads to them.
    pub absent_bases: BTreeSet<ObjectId>,
    /// Commits that nothing leads to; no damage by themselves.
    pub unled: Vec<Unled>,
    /// Number of objects in all packs.
    pub objects: u64,
    /// Sum of the packs' lengths in bytes.
    pub bytes: u64,
    /// Number of commits that refs and the log lead to.
    pub commits: u64,
    /// Number of operations in the log.
    pub operations: u64,
    /// Number of blobs that have a tombstone.
    pub purged: u64,
}

/// Looks at the vault in `path`. An error only where there is no vault or it cannot be read at all; damage
/// is data. `progress` is called with records done and records in all, from any thread.
pub fn verify(
    disk: &dyn Disk,
    path: &Path,
    depth: Depth,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Verified> {
    let dot = match disk.open_dir(path)?.open_dir(DOT) {
        Err(error) if error.is_not_found() => return Err(Error::NotAVault(path.to_path_buf())),
        other => other?,
    };
    let mut found = Verified::default();
    match check_format(path, &dot) {
        Err(error) if error.kind() == ErrorKind::Damage => found.error("format", "format", &error),
        other => other?,
    }
    let config = match Config::load(&dot) {
        Ok(config) => Some(config),
        Err(error) => {
            found.report("settings", "config.toml", chain(&error), HINT_SETTINGS);
            None
        }
    };
    let store = match Store::open(&dot) {
        Ok(store) => store,
        Err(error) => {
            found.error("store", "objects", &error.into());
            return Ok(found);
        }
    };
    found.store(&store, depth, progress)?;
    found.quarantine(&dot)?;
    for damaged in damaged_files(&dot)? {
        found.report(SMALL_FILE, damaged.place.clone(), damaged.what(), HINT_SMALL_FILE);
    }
    // Before the log: others may write meanwhile, and a memory must not seem newer than the log.
    let remembered = Remembered::read(&dot)?;
    let index = Index::load(&dot)?;
    let log = match OpLog::open(&dot, None) {
        Ok(log) => log,
        Err(error) => {
            found.error("log-damaged", "oplog", &error.into());
            return Ok(found);
        }
    };
    found.log(&log);
    found.memory(&remembered, index.as_ref(), &log);
    // What a newer program wrote is no damage.
    if let Err(error @ (worktree::Error::Waits(_) | worktree::Error::Path(_))) = Waits::load(&dot) {
        found.report("waiting", Waits::FILE, chain(&error), HINT_WAITS);
    }
    found.purged(&log, &store);
    if let Some(config) = &config {
        found.settings(config, &log);
    }
    found.links(&store, &log, depth, config.and_then(|config| config.vault))?;
    if depth != Depth::Quick {
        found.seals(&log, &store);
    }
    if let Some(index) = index {
        found.index(&index, &log, &store);
    }
    Ok(found)
}

/// Returns every commit that a ref names, now or at any operation, with the first place that names it. Of
/// snapshots only those that there are now: the others were let go of.
pub(super) fn named_commits(log: &OpLog) -> BTreeMap<CommitId, String> {
    let mut named = BTreeMap::new();
    for (name, target) in log.refs().ours() {
        for id in target.commits() {
            named.entry(id).or_insert_with(|| format!("ref {name}"));
        }
    }
    // A segment that cannot be read was reported by the log's own check.
    for operation in log.operations().map_while(|operation| operation.ok()) {
        let is_lasting = |name: &RefName| !matches!(name, RefName::Saved(_) | RefName::Other(_));
        let lasting = operation.refs.iter().filter(|change| is_lasting(&change.name));
        let changed = lasting.flat_map(|change| [&change.old, &change.new]);
        let ids = changed.flatten().flat_map(|target| target.commits());
        for id in ids.chain(operation.frontier.iter().flatten().copied()) {
            named.entry(id).or_insert_with(|| format!("operation {}", operation.seq));
        }
    }
    named
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Verified {
    /// Follows everything that refs lead to, and finds the commits that nothing leads to.
    fn links(&mut self, store: &Store, log: &OpLog, depth: Depth, vault: Option<VaultId>) -> Result<()> {
        let led_to = Links::new(store, depth, vault, self).follow(named_commits(log));
        match unled::find(store, log, &led_to) {
            Ok(unled) => self.unled = unled,
            // It has been named already.
            Err(error) if error.kind() == ErrorKind::Damage => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn report(
        &mut self,
        kind: &'static str,
        place: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let problem = Problem { kind, place: place.into(), what: what.into(), hint: hint.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn error(&mut self, kind: &'static str, place: &str, error: &Error) {
        self.report(kind, place, chain(error), error.hint());
    }

    fn store(&mut self, store: &Store, depth: Depth, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<()> {
        let told = |at: store::Progress| progress(at.done, at.total);
        let checkup = store.checkup(depth.extent(), &told)?;
        for problem in checkup.problems {
            self.report(problem.kind, problem.place, problem.what, problem.hint);
        }
        (self.unreadable, self.absent_bases) = (checkup.unreadable, checkup.absent_bases);
        match store.stats() {
            Ok(stats) => (self.objects, self.bytes) = (stats.objects, stats.bytes),
            // It has been named already.
            Err(error) if error.is_damage() => {}
            Err(error) => self.error("pack", "objects", &error.into()),
        }
        Ok(())
    }

    fn log(&mut self, log: &OpLog) {
        self.operations = log.last().seq;
        for problem in log.verify() {
            self.report(problem.kind, problem.place, problem.what, problem.hint);
        }
    }

    /// Holds this device's settings against the log. A person may edit them, so nothing else can be known.
    fn settings(&mut self, config: &Config, log: &OpLog) {
        let operation = |seq| log.get(seq).ok().flatten();
        if let Some(last) = operation(log.last().seq).filter(|last| last.device != config.device) {
            let what = format!(
                "device.name is {}, and the last operation was made by {}; if you renamed the device, the next \
                 operation takes the new name",
                config.device, last.device
            );
            self.report("settings", "config.toml", what, HINT_VALUE);
        }
        let first = operation(1);
        let epoch = first.as_ref().and_then(|first| first.detail.get("epoch")?.as_str());
        if let Some(epoch) = epoch.filter(|epoch| *epoch != config.epoch) {
            let what = format!("device.epoch is {}, and the log began with {epoch}", config.epoch);
            self.report("settings", "config.toml", what, HINT_VALUE);
        }
    }

    /// Checks that what this device agreed to purge is gone.
    fn purged(&mut self, log: &OpLog, store: &Store) {
        for blob in agreed_to_purge(log) {
            if let Ok(true) = store.still_has(blob) {
                let what = format!("blob {blob} was purged and its bytes are still here");
                self.report("purge", "objects", what, HINT_PURGE);
            }
        }
    }

    /// Checks that quarantined bytes are those that their names say.
    fn quarantine(&mut self, dot: &Dir) -> Result<()> {
        let dir = match dot.open_dir("quarantine") {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        for (name, _) in dir.list()? {
            let is_hash = name.len() == 64 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
            if is_hash && hash_file(&dir, &name)? != name.to_string_lossy() {
                let place = format!("quarantine/{}", name.to_string_lossy());
                self.report("quarantine", place, "its bytes do not hash to its name", HINT_QUARANTINE);
            }
        }
        Ok(())
    }

    /// Checks that the distillates of each branch's head fit their sidecars. What cannot be read is the
    /// affair of the links.
    fn seals(&mut self, log: &OpLog, store: &Store) {
        for (label, head) in log.refs().branches() {
            let Ok(tree) = store.find_commit(head).map(|commit| commit.tree) else { continue };
            vouchers::check(self, label.as_str(), store, tree);
            let broken =
                rules_in(store, tree).and_then(|rules| broken_seals(store, &rules, TreeId::empty(), tree));
            for path in broken.unwrap_or_default() {
                let what = "it and its .sha256 do not fit each other";
                self.report(
                    "seal",
                    format!("{label}:{path}"),
                    what,
                    format!("{} seals it anew", typed("seal").path(&path)),
                );
            }
        }
    }

    /// Checks that the log has what is remembered of it.
    fn memory(&mut self, remembered: &Remembered, index: Option<&Index>, log: &OpLog) {
        let index = index.map(|index| memory::anchor(index.log_mark())).filter(|known| known.seq > 0);
        for known in remembered.witness().into_iter().chain(index) {
            let found = match log.get(known.seq) {
                Ok(operation) => operation.map(|operation| operation.anchor()),
                Err(_) => continue, // the log's own check has named the segment
            };
            if found != Some(known) {
                let what = format!(
                    "the log went backwards: it ends at operation {}, and operation {} was seen as another",
                    log.last().seq,
                    known.seq
                );
                self.report("log-backwards", "oplog", what, HINT_LOG);
            }
        }
    }

    /// Checks the files of the stat cache if it is that of the present tree.
    fn index(&mut self, index: &Index, log: &OpLog, store: &Store) {
        let tree = log.refs().at().and_then(|at| store.find_commit(at).ok()).map(|commit| commit.tree);
        if tree == Some(index.tree()) && !is_index_of(index, store, index.tree()) {
            let what = "it names other files than the tree it says it is of";
            self.report("index", "index", what, HINT_INDEX);
        }
    }
}

fn is_index_of(index: &Index, store: &Store, tree: TreeId) -> bool {
    let mut entries = index.iter();
    for file in list_tree(store, tree) {
        // A tree that cannot be listed is the affair of the links.
        let Ok((path, entry)) = file else { return true };
        let is_same = |(known, at): (&[u8], crate::worktree::IndexEntry)| {
            known == path.as_bytes() && (at.mode, at.id) == (entry.mode, entry.id)
        };
        if !entries.next().is_some_and(is_same) {
            return false;
        }
    }
    entries.next().is_none()
}

fn hash_file(dir: &Dir, name: &OsStr) -> Result<String> {
    let file = dir.open(name)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            count => {
                hasher.update(&buffer[..count]);
                offset += count as u64;
            }
        }
    }
}
