//! The rule book: hands what `vault.toml` says, and the drivers that other rooms know, to reconcile.

use std::sync::Arc;

use super::Vault;
use super::rules::{self, VaultRules};
use crate::events::{self, StreamBase};
use crate::gateway::sidecar::{self, Digest256};
use crate::merge::{
    Base, ContentMerge, ContentOutcome, Driver, Purge, RULE_VERSION, RuleBook, Rules, Sealing,
};
use crate::object::VaultPath;

/// Reads a vault's rules for a merge, and knows its tombstones.
#[derive(Clone, Debug, Default)]
pub struct Book {
    purges: Vec<Purge>,
}

impl Book {
    /// Makes a book with these tombstones.
    pub fn new(purges: Vec<Purge>) -> Book {
        Book { purges }
    }
}

impl Vault {
    /// Returns the rule book for merges in this vault.
    pub(super) fn book(&self) -> Book {
        Book::new(self.purges())
    }
}

impl RuleBook for Book {
    fn parse(&self, vault_toml: Option<&[u8]>) -> Result<Rules, String> {
        match VaultRules::parse(vault_toml) {
            Ok(rules) => Ok(merge_rules(rules)),
            // A later rule may have a grammar of its own.
            Err(error) => match vault_toml.and_then(VaultRules::version_asked) {
                Some(version) if version > RULE_VERSION => Ok(Rules::new(version, |_| Driver::Text)),
                _ => Err(error.to_string()),
            },
        }
    }

    fn purges(&self) -> &[Purge] {
        &self.purges
    }
}

/// Returns a vault's rules as a merge wants them.
pub fn merge_rules(rules: VaultRules) -> Rules {
    let events: Arc<dyn ContentMerge> = Arc::new(EventsDriver);
    let sealing = Sidecars(rules.clone());
    let drivers = Rules::new(rules.reconcile(), move |path| match rules.driver_of(path) {
        rules::Driver::Text => Driver::Text,
        rules::Driver::Binary => Driver::Binary,
        rules::Driver::Union => Driver::Union,
        rules::Driver::Events => Driver::Custom(events.clone()),
    });
    drivers.with_sealing(sealing)
}

/// Seals distillates by sidecars.
struct Sidecars(VaultRules);

impl Sealing for Sidecars {
    fn sidecar_of(&self, path: &VaultPath) -> Option<VaultPath> {
        self.0.sidecar_of(path)
    }

    fn sealed_by(&self, path: &VaultPath) -> Option<VaultPath> {
        self.0.sealed_by(path)
    }

    fn seal(&self, name: &[u8], sha256: [u8; 32]) -> Vec<u8> {
        sidecar::encode(name, Digest256(sha256))
    }
}

/// Merges event streams as sets of lines.
struct EventsDriver;

impl ContentMerge for EventsDriver {
    fn name(&self) -> &str {
        "events"
    }

    fn merge(&self, base: Base<'_>, ours: &[u8], theirs: &[u8]) -> ContentOutcome {
        let base = match base {
            Base::Known(bytes) => StreamBase::Known(bytes),
            Base::NoValue => StreamBase::NoValue,
            Base::Absent => StreamBase::Absent,
        };
        match events::merge_streams(base, ours, theirs) {
            Ok(merged) => ContentOutcome::Clean(merged),
            Err(_) => ContentOutcome::Conflict { as_base: None },
        }
    }
}
