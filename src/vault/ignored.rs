//! Files of ignore rules that came from another device: not in force here before a person accepts them.
//!
//! A line that another device puts into `.mvaultignore` would keep what is written here out of every commit, without
//! a word. So the file is taken as any other, and until `mvault reconcile --allow rules`, or an edit of it here, the
//! rules that counted before count still.
//!
//! The same holds where another device took a file away: what it ignored here, often private, would be committed and
//! sent.
//!
//! `.mvault/ignores.json` names these files, each with the blob that is withheld and the one that counts instead. It
//! is written before the files move: an entry counts only while the file has exactly the bytes it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Result, Vault};
use crate::fs;
use crate::object::{BlobId, FileEntry, Mode, ObjectId, Source, TreeId, VaultPath, diff_trees, entry_at};
use crate::worktree::{Change, IGNORE_FILE, IgnoreRules, Withheld, WithheldRules};

const IGNORES: &str = "ignores.json";
/// What an entry says is withheld where the file is gone.
const GONE: &str = "none";
const IGNORES_BYTES_MAX: u64 = 16 << 20;

/// The withheld files by their path in hexadecimal.
type Kept = BTreeMap<String, KeptFile>;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptFile {
    held: String,
    instead: Option<String>,
}

impl Vault {
    /// Returns the files of ignore rules that are not in force.
    pub(super) fn withheld_rules(&self) -> Arc<WithheldRules> {
        let mut rules = WithheldRules::new();
        for (path, file) in self.kept_ignores() {
            let Ok(path) = hex::decode(path) else { continue };
            let held = blob(&file.held);
            if held.is_none() && file.held != GONE {
                continue;
            }
            let instead = file.instead.as_deref().and_then(blob);
            // What cannot be read any more ignores nothing: what is committed too much is seen.
            let instead = instead.and_then(|id| self.store.find_blob(id).ok()).map(|bytes| bytes.to_vec());
            rules.insert(path, Withheld { held, instead });
        }
        Arc::new(rules)
    }

    /// Returns the rules from which a look at one path starts.
    pub(super) fn ignore_rules(&self) -> IgnoreRules {
        IgnoreRules::none(self.traits().folds_case).withholding(self.withheld_rules())
    }

    /// Returns the files of ignore rules that are not in force and stand in the tree that `status` compares with.
    pub fn withheld_ignores(&self) -> Result<Vec<VaultPath>> {
        let tree = self.standing_tree()?;
        let mut paths = Vec::new();
        for (path, withheld) in self.withheld_rules().iter() {
            let Ok(path) = VaultPath::parse(path.as_slice()) else { continue };
            let entry = entry_at(&self.store, tree, &path)?;
            let file = entry.and_then(|entry| entry.file()).filter(|file| file.mode != Mode::Symlink);
            if file.map(|file| file.id) == withheld.held {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// Withholds the ignore rules by which `to` differs from `from`, before the files move there.
    pub(super) fn withhold_ignores(&self, source: &dyn Source, from: TreeId, to: TreeId) -> Result<()> {
        let mut kept = self.kept_ignores();
        let before = kept.clone();
        for diff in diff_trees(source, from, to)? {
            if diff.path.name() != IGNORE_FILE.as_bytes() {
                continue;
            }
            let new = diff.new.filter(FileEntry::is_file).map(|new| new.id);
            let old = diff.old.filter(FileEntry::is_file).map(|old| old.id.to_string());
            let key = hex::encode(diff.path.as_bytes());
            let counts = match kept.remove(&key) {
                Some(file) if file.held == old.as_deref().unwrap_or(GONE) => file.instead,
                _ => old,
            };
            let lines_of = |id: Option<BlobId>| -> Result<Vec<u8>> {
                Ok(id
                    .map(|id| source.find_blob(id))
                    .transpose()?
                    .map(|bytes| rule_lines(&bytes))
                    .unwrap_or_default())
            };
            if lines_of(counts.as_deref().and_then(blob))? != lines_of(new)? {
                let held = new.map_or_else(|| GONE.to_owned(), |id| id.to_string());
                kept.insert(key, KeptFile { held, instead: counts });
            }
        }
        if kept == before { Ok(()) } else { self.keep_ignores(&kept) }
    }

    /// Accepts all files of ignore rules as they are.
    pub(super) fn accept_ignores(&self) -> Result<()> {
        if self.kept_ignores().is_empty() { Ok(()) } else { self.keep_ignores(&Kept::new()) }
    }

    /// Accepts the files of ignore rules that a commit of this device changed, and says that they hold lines of
    /// others.
    pub(super) fn accept_own_ignores(&mut self, changes: &[Change]) -> Result<()> {
        if !changes.iter().any(|change| change.path.name() == IGNORE_FILE.as_bytes()) {
            return Ok(());
        }
        let mut kept = self.kept_ignores();
        for change in changes {
            if kept.remove(&hex::encode(change.path.as_bytes())).is_some() {
                self.notices.push(format!(
                    "{} is in force from now on, with the lines that another device put into it",
                    change.path
                ));
                self.keep_ignores(&kept)?;
            }
        }
        Ok(())
    }

    /// What cannot be read counts as nothing withheld.
    fn kept_ignores(&self) -> Kept {
        let bytes = self.dot.try_read(IGNORES, IGNORES_BYTES_MAX).ok().flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn keep_ignores(&self, kept: &Kept) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(kept).expect("strings can be written as JSON");
        Ok(fs::replace_file(&self.dot, IGNORES, &bytes, 0o600)?)
    }
}

fn blob(text: &str) -> Option<BlobId> {
    ObjectId::parse(text).ok().map(BlobId::new)
}

/// Returns the lines that are rules, without comments and blank ones.
fn rule_lines(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).collect::<Vec<_>>().join(&b'\n')
}
