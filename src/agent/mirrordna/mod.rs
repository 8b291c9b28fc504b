//! Import of what MirrorDNA left on disk, with a report of what was taken, what was not, and why.
//!
//! - Everything passes the gateway and becomes one commit; nothing is overwritten, the source is only read.
//! - `imports/mirrordna/taken.jsonl` lists each file that was taken by path and hash, so that a second import
//!   takes nothing twice, also when the file was edited or moved here since. Streams need no list: they merge
//!   as sets.
//! - A file whose signature or checksum does not hold is kept beside it in `imports/`, and said so; it does
//!   not become a distillate.

pub mod chain;
mod shape;
pub mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use self::shape::{handoff_of, ledger_lines, rejected_lines};
use self::source::{SourceFile, What};
use super::handoff::{self, ContextFile};
use crate::fs::Dir;
use crate::gateway::sidecar::Digest256;
use crate::gateway::signature::{DESCRIPTION_ENDING, SIG_ENDING, check_description, check_sig};
use crate::object::{CommitId, Kind, VaultPath, entry_at, hash_object};
use crate::vault::{self, Allowance, Fate, Following, Incoming, Result, Thing, Trial, Vault, take_in};

/// Where everything goes that has no better place.
const FOLDER: &str = "imports/mirrordna";
/// The list of what was taken.
const TAKEN: &str = "imports/mirrordna/taken.jsonl";

/// Whether something vouches for a file, or a chain holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whether it does; none if there was nothing to compare with.
    pub holds: Option<bool>,
    /// In words.
    pub words: String,
}

/// What became of one file of the source, or of one of the things made of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its path in the source.
    pub source: String,
    /// What it is; none if it has no known form.
    pub what: Option<What>,
    /// Where it went.
    pub to: Option<VaultPath>,
    /// What became of it; none if it was not taken for what it is.
    pub fate: Option<Fate>,
    /// More words.
    pub words: Option<String>,
    /// What a check came to.
    pub checked: Option<Checked>,
}

/// What an import did, or would do.
#[derive(Clone, Debug)]
pub struct Report {
    /// The commit, if anything was taken.
    pub commit: Option<CommitId>,
    /// Whether it was only tried.
    pub trial: Trial,
    /// Each file.
    pub told: Vec<Told>,
}

/// Imports a folder.
pub fn import(vault: &mut Vault, folder: &Path, allowed: &[Allowance], trial: Trial) -> Result<Report> {
    let (dir, listing) = source::list(&**vault.disk(), folder)?;
    let taken = vault::read_stream(vault, &path(TAKEN))?.unwrap_or_default();
    let mut plan = Plan {
        known: known(&taken),
        names: device_names(vault),
        vault,
        files: &listing.files,
        head: String::new(),
        used: BTreeMap::new(),
        things: Vec::new(),
        told: Vec::new(),
    };
    plan.head = plan.vault.head()?.to_string();
    plan.all(&dir)?;
    let Plan { things, mut told, .. } = plan;
    let list = path(TAKEN);
    let (at, things): (Vec<usize>, Vec<Thing>) = things.into_iter().unzip();
    let outcome = take_in(vault, &things, &list, allowed, trial)?;
    for (at, fate) in at.into_iter().zip(outcome.fates) {
        told[at].fate = Some(fate);
    }
    told.extend(listing.passed_over.into_iter().map(|(source, why)| Told {
        source,
        what: None,
        to: None,
        fate: None,
        words: Some(why),
        checked: None,
    }));
    Ok(Report { commit: outcome.commit, trial, told })
}

fn path(text: &str) -> VaultPath {
    VaultPath::parse(text).expect("it is a valid path")
}

/// Returns the files that were taken before, by path and hash.
fn known(taken: &[u8]) -> BTreeSet<(String, String)> {
    let lines = taken.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    lines
        .filter_map(|line: Value| {
            let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
            Some((text("source")?, text("sha256")?))
        })
        .collect()
}

/// Returns the names of all devices known here: their streams are no lanes.
fn device_names(vault: &Vault) -> BTreeSet<String> {
    let others = vault.log().refs().remotes().map(|(device, _, _)| device.to_string());
    others.chain([vault.config().device.to_string(), "handoffs".to_owned()]).collect()
}

struct Plan<'a> {
    vault: &'a Vault,
    files: &'a [SourceFile],
    known: BTreeSet<(String, String)>,
    names: BTreeSet<String>,
    head: String,
    /// Where files go, and with which bytes.
    used: BTreeMap<VaultPath, Digest256>,
    /// Each thing with the place of its line in the report.
    things: Vec<(usize, Thing)>,
    told: Vec<Told>,
}

impl Plan<'_> {
    fn all(&mut self, dir: &Dir) -> Result<()> {
        let files = self.files;
        let vouchers = self.check_vouchers(dir)?;
        for file in files.iter().filter(|file| file.what != Some(What::Voucher)) {
            let own: Vec<&Voucher> =
                vouchers.iter().filter(|v| v.file.as_ref() == Some(&file.path)).collect();
            let is_broken = own.iter().any(|voucher| voucher.checked.holds == Some(false));
            let bytes = match file.what {
                Some(_) => source::read(dir, &file.path)?,
                None => Vec::new(),
            };
            let to = self.file(file, bytes, is_broken)?;
            for voucher in own {
                self.voucher(voucher, to.as_ref());
            }
        }
        for voucher in vouchers.iter().filter(|voucher| voucher.file.is_none()) {
            self.voucher(voucher, None);
        }
        Ok(())
    }

    /// Plans one file. Returns where it goes as it is, if it does.
    fn file(&mut self, file: &SourceFile, bytes: Vec<u8>, is_broken: bool) -> Result<Option<VaultPath>> {
        let Some(what) = file.what else {
            self.tell(file, None, Some("it has no form that is known here".into()));
            return Ok(None);
        };
        let name = file.path.to_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        match what {
            What::Lane => {
                let stem = name.trim_end_matches(".jsonl");
                let lane = if self.names.contains(stem) { format!("bus-{stem}") } else { stem.to_owned() };
                self.lines(file, &lane, bytes, None);
            }
            What::Chain => {
                let report = chain::check(&bytes);
                let checked = Checked { holds: Some(report.holds()), words: report.words() };
                self.lines(file, name.trim_end_matches(".jsonl"), bytes, None);
                self.told.last_mut().expect("it was just told").checked = Some(checked);
            }
            What::Rejected => {
                let (lines, odd) = rejected_lines(&bytes);
                let words =
                    (odd > 0).then(|| format!("{odd} lines have another form; the file is kept as well"));
                self.lines(file, "rejected", lines, words);
                if odd > 0 {
                    return self.keep(file, bytes, FOLDER, None);
                }
            }
            What::Ledger => {
                self.lines(file, "ledger", ledger_lines(&bytes), None);
                return self.report(file, bytes, is_broken);
            }
            What::Report => return self.report(file, bytes, is_broken),
            What::Continuity => return self.continuity(file, bytes),
            What::Handoff | What::PendingHandoff => return self.handoff(file, bytes),
            What::Voucher | What::State => return self.keep(file, bytes, FOLDER, None),
        }
        Ok(None)
    }

    fn continuity(&mut self, file: &SourceFile, bytes: Vec<u8>) -> Result<Option<VaultPath>> {
        let own = path("continuity.md");
        let tree = self.vault.tree_of(self.vault.head()?)?;
        let here = vault::read_stream(self.vault, &own)?;
        let is_same = here.as_ref() == Some(&bytes);
        let is_free = here.is_none()
            && entry_at(self.vault.store(), tree, &own)?.is_none()
            && !self.used.contains_key(&own);
        if !(is_free || is_same) || self.is_known(file, &bytes) {
            return self.keep(file, bytes, FOLDER, None);
        }
        self.put(file, own, bytes, None);
        // Its name changed: what vouches for it goes to a place of its own.
        Ok(None)
    }

    /// A report becomes a distillate, unless what vouches for it does not hold.
    fn report(&mut self, file: &SourceFile, bytes: Vec<u8>, is_broken: bool) -> Result<Option<VaultPath>> {
        if is_broken {
            let to = self.keep(file, bytes, FOLDER, None)?;
            let told = self.told.last_mut().expect("it was just told");
            told.words = Some("what vouches for it does not hold, so it is no distillate".into());
            return Ok(to);
        }
        self.keep(file, bytes, "distillates", None)
    }

    fn handoff(&mut self, file: &SourceFile, bytes: Vec<u8>) -> Result<Option<VaultPath>> {
        let text = file.path.to_str().unwrap_or_default();
        let stem = text.rsplit('/').next().unwrap_or_default().trim_end_matches(".md").to_lowercase();
        let is_done = file.what == Some(What::PendingHandoff)
            && self.files.iter().any(|other| {
                let other = other.path.to_str().unwrap_or_default().to_lowercase();
                other.contains("handoff/completed/") && other.contains(&format!("/{stem}"))
            });
        let digest = Digest256::of(&bytes).to_string();
        let envelope = handoff_of(&bytes, file.what == Some(What::Handoff));
        let words = match (&envelope, is_done) {
            (_, true) => Some("it is among those that were completed, so no task is left open"),
            (None, _) => Some("no task can be read from it; the file is kept"),
            _ => None,
        };
        let body = envelope.filter(|_| !is_done).map(|mut envelope| {
            envelope.source = Some(digest);
            envelope
        });
        let to = self.keep(file, bytes, FOLDER, body)?;
        let told = self.told.last_mut().expect("it was just told");
        told.words = told.words.take().or(words.map(str::to_owned));
        Ok(to)
    }

    fn is_known(&self, file: &SourceFile, bytes: &[u8]) -> bool {
        let source = file.path.to_string();
        self.known.contains(&(source, Digest256::of(bytes).to_string()))
    }

    /// Plans to keep a file as it is, in a folder; with a task, that as well.
    fn keep(
        &mut self,
        file: &SourceFile,
        bytes: Vec<u8>,
        folder: &str,
        task: Option<handoff::Envelope>,
    ) -> Result<Option<VaultPath>> {
        if self.is_known(file, &bytes) {
            self.tell(file, None, Some("it was taken before".into()));
            self.told.last_mut().expect("it was just told").fate = Some(Fate::Known);
            return Ok(None);
        }
        let digest = Digest256::of(&bytes);
        let source = file.path.to_str().unwrap_or_default();
        let name = if folder == FOLDER { source } else { source.rsplit('/').next().unwrap_or_default() };
        let candidates =
            [format!("{folder}/{name}"), format!("{folder}/{}/{name}", &digest.to_string()[..8])];
        for candidate in candidates {
            let Ok(to) = VaultPath::parse(candidate) else { continue };
            let here = vault::read_stream(self.vault, &to)?;
            let is_free = here.is_none_or(|here| here == bytes)
                && self.used.get(&to).is_none_or(|used| *used == digest);
            if is_free {
                self.put(file, to.clone(), bytes, task);
                return Ok(Some(to));
            }
        }
        self.tell(file, None, Some("other files stand where it would go".into()));
        Ok(None)
    }

    fn put(&mut self, file: &SourceFile, to: VaultPath, bytes: Vec<u8>, task: Option<handoff::Envelope>) {
        let digest = Digest256::of(&bytes);
        let context =
            [ContextFile { path: to.to_string(), id: Some(hash_object(Kind::Blob, &bytes).to_string()) }];
        let follows = task.map(|task| Following {
            stream: path(handoff::STREAM),
            kind: handoff::CREATE.to_owned(),
            body: task.body(&context, &self.head, None),
        });
        let source = file.path.to_string();
        let line = json!({"source": source, "sha256": digest.to_string(), "to": to.to_string()});
        self.used.insert(to.clone(), digest);
        self.tell(file, Some(to.clone()), None);
        let listed = Some(format!("{line}\n").into_bytes());
        let thing = Thing { path: to, incoming: Incoming::File(bytes), listed, follows };
        self.things.push((self.told.len() - 1, thing));
    }

    fn lines(&mut self, file: &SourceFile, stream: &str, lines: Vec<u8>, words: Option<String>) {
        let Ok(to) = VaultPath::parse(format!("events/{stream}.jsonl")) else {
            return self.tell(file, None, Some("no stream can have its name".into()));
        };
        self.tell(file, Some(to.clone()), words);
        let thing = Thing { path: to, incoming: Incoming::Lines(lines), listed: None, follows: None };
        self.things.push((self.told.len() - 1, thing));
    }

    fn tell(&mut self, file: &SourceFile, to: Option<VaultPath>, words: Option<String>) {
        let source = file.path.to_string();
        self.told.push(Told { source, what: file.what, to, fate: None, words, checked: None });
    }

    /// Plans what vouches for a file: beside it if it went somewhere under its own name.
    fn voucher(&mut self, voucher: &Voucher, beside: Option<&VaultPath>) {
        let name = voucher.source.path.name();
        let beside = beside.and_then(|file| match file.parent() {
            Some(folder) => folder.join(name).ok(),
            None => VaultPath::parse(name).ok(),
        });
        if self.is_known(&voucher.source, &voucher.bytes) {
            self.tell(&voucher.source, None, Some("it was taken before".into()));
            self.told.last_mut().expect("it was just told").fate = Some(Fate::Known);
        } else {
            let to = beside.unwrap_or_else(|| {
                VaultPath::parse(format!("{FOLDER}/{}", voucher.source.path)).unwrap_or_else(|_| path(FOLDER))
            });
            self.put(&voucher.source, to, voucher.bytes.clone(), None);
        }
        self.told.last_mut().expect("it was just told").checked = Some(voucher.checked.clone());
    }

    fn check_vouchers(&self, dir: &Dir) -> Result<Vec<Voucher>> {
        let mut vouchers = Vec::new();
        for source in self.files.iter().filter(|file| file.what == Some(What::Voucher)) {
            let bytes = source::read(dir, &source.path)?;
            let text = source.path.to_str().unwrap_or_default();
            let is_description = text.ends_with(DESCRIPTION_ENDING);
            let ending = if is_description { DESCRIPTION_ENDING } else { SIG_ENDING };
            let stem = text.strip_suffix(ending).unwrap_or(text);
            let file = self.files.iter().find(|file| file.path.to_str() == Some(stem));
            let checked = match (file, is_description) {
                (_, true) => outcome(check_description(&bytes), "its checksum holds"),
                (None, false) => {
                    Checked { holds: None, words: "the file that it vouches for is not there".into() }
                }
                (Some(file), false) => {
                    let name = stem.rsplit('/').next().unwrap_or(stem);
                    let content = source::read(dir, &file.path)?;
                    outcome(check_sig(&bytes, name, &content), "hash and Ed25519 signature hold")
                }
            };
            let file = file.map(|file| file.path.clone());
            vouchers.push(Voucher { source: source.clone(), file, bytes, checked });
        }
        Ok(vouchers)
    }
}

fn outcome(
    checked: std::result::Result<(), crate::gateway::signature::VoucherFault>,
    words: &str,
) -> Checked {
    match checked {
        Ok(()) => Checked { holds: Some(true), words: words.to_owned() },
        Err(fault) => Checked { holds: Some(false), words: fault.to_string() },
    }
}

/// A file that vouches for another.
struct Voucher {
    source: SourceFile,
    /// The one it vouches for, if that is there.
    file: Option<VaultPath>,
    bytes: Vec<u8>,
    checked: Checked,
}
