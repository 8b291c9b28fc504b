//! The protections in force: those of the head's `vault.toml`, and beside them those that were accepted on
//! this device, until a person here accepts the new ones.
//!
//! A `vault.toml` that another device wrote decides how contents merge as soon as it arrives, because every
//! device must merge alike. It can add to what is protected at once, and takes nothing away unasked.

use super::rules::{Class, Limits, RULES_FILE, VaultRules};
use super::{Result, Vault};
use crate::gateway::Reason;
use crate::gateway::content::Syntax;
use crate::object::{BlobId, Source, TreeId, VaultPath};

/// What is written for the state in which there is no `vault.toml`.
const NO_FILE: &str = "none";

/// What is protected, and by which limits: the stricter of several sets of rules.
#[derive(Clone, Debug)]
pub struct Protections(Vec<VaultRules>);

impl Protections {
    /// Returns what holds where no vault says otherwise.
    pub fn defaults() -> Protections {
        Protections(vec![VaultRules::default()])
    }

    /// Tells whether the file at `path` is of a class, by any set of rules.
    pub fn is(&self, path: &VaultPath, class: Class) -> bool {
        self.0.iter().any(|rules| rules.class_of(path) == class)
    }

    /// Returns where the sidecar of the file at `path` stands, or `None` if such a file is not sealed.
    pub fn sidecar_of(&self, path: &VaultPath) -> Option<VaultPath> {
        self.0.iter().find_map(|rules| rules.sidecar_of(path))
    }

    /// Returns the path of the distillate whose sidecar would stand at `path`.
    pub fn sealed_by(&self, path: &VaultPath) -> Option<VaultPath> {
        self.0.iter().find_map(|rules| rules.sealed_by(path))
    }

    /// Returns the syntax that the file at `path` must have.
    pub fn syntax_of(&self, path: &VaultPath) -> Option<Syntax> {
        self.0.iter().find_map(|rules| rules.syntax_of(path))
    }

    /// Tells whether a reason does not count at `path`, for good.
    pub fn allows(&self, path: &VaultPath, reason: Reason) -> bool {
        self.0.iter().all(|rules| rules.allows(path, reason.code()))
    }

    /// Tells whether what was found in content of this SHA-256 is known to be no credential.
    pub fn is_false_alarm(&self, sha256: &str) -> bool {
        self.0.iter().all(|rules| rules.is_false_alarm(sha256))
    }

    /// Returns the limits.
    pub fn limits(&self) -> Limits {
        let all = self.0.iter().map(VaultRules::limits);
        let least = |a: Limits, b: Limits| Limits {
            file_bytes_max: a.file_bytes_max.min(b.file_bytes_max),
            delete_files: a.delete_files.min(b.delete_files),
            delete_percent: a.delete_percent.min(b.delete_percent),
        };
        all.reduce(least).unwrap_or_default()
    }
}

impl Vault {
    /// Returns the protections in force over a tree.
    pub fn protections(&self, tree: TreeId) -> Result<Protections> {
        let mut all = vec![self.rules_of(tree)?];
        if self.rules_mark(tree)? != self.accepted_rules() {
            all.push(self.rules_accepted_here());
        }
        Ok(Protections(all))
    }

    /// Accepts the protections that a commit of this device brings, and says what they loosen.
    ///
    /// Where the version before it was another device's and not accepted here, an edit of it says nothing about the
    /// rest: then what the new version loosens waits as it did.
    pub(super) fn accept_own_rules(&mut self, before: TreeId, now: TreeId) -> Result<()> {
        if self.rules_fault(now)?.is_some() {
            return Ok(());
        }
        let loosened = self.rules_accepted_here().loosened_by(&self.rules_of(now)?);
        let is_ours = self.rules_mark(before)? == self.accepted_rules();
        if !loosened.is_empty() {
            let what = loosened.join(", ");
            self.notices.push(match is_ours {
                true => format!("{RULES_FILE} loosens what is protected: {what}"),
                false => format!(
                    "{RULES_FILE} holds what another device loosened, and it is not in force here before \
                     `mvault reconcile --allow rules`: {what}"
                ),
            });
        }
        if is_ours || loosened.is_empty() { self.accept_rules(now) } else { Ok(()) }
    }

    /// Tells whether the protections of a tree are those that were accepted on this device.
    pub fn has_accepted_rules(&self, tree: TreeId) -> Result<bool> {
        Ok(self.rules_mark(tree)? == self.accepted_rules() || self.rules_fault(tree)?.is_some())
    }

    /// Accepts the protections of a tree on this device. A file that is no valid set of rules has none to accept.
    pub fn accept_rules(&mut self, tree: TreeId) -> Result<()> {
        if self.rules_fault(tree)?.is_some() {
            return Ok(());
        }
        let mark = self.rules_mark(tree)?;
        if mark != self.accepted_rules() {
            self.config.set_accepted_rules(&mark);
            self.save_config()?;
        }
        Ok(())
    }

    fn accepted_rules(&self) -> String {
        self.config.accepted_rules().unwrap_or(NO_FILE).to_owned()
    }

    fn rules_mark(&self, tree: TreeId) -> Result<String> {
        let root = self.store.find_tree(tree)?;
        let file = root.find(RULES_FILE.as_bytes()).filter(|entry| !entry.mode.is_tree());
        Ok(file.map_or(NO_FILE.to_owned(), |entry| entry.id.to_string()))
    }

    /// What cannot be read any more counts as the defaults, which protect everything they know.
    pub(super) fn rules_accepted_here(&self) -> VaultRules {
        let id = crate::object::ObjectId::parse(&self.accepted_rules()).ok();
        let bytes = id.and_then(|id| self.store.find_blob(BlobId::new(id)).ok());
        VaultRules::parse(bytes.as_deref()).unwrap_or_default()
    }
}
