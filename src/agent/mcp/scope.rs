//! What an agent may do over MCP: a few words, each for some tools.

use std::collections::BTreeSet;

/// A kind of act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To be told: boot, standup, log, files, tasks.
    Read,
    /// To write a note.
    Note,
    /// To leave, take and finish tasks.
    Handoff,
    /// To keep a memory of its own in the vault.
    Memory,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Note, Scope::Handoff, Scope::Memory];
    /// Their words.
    pub const WORDS: [&'static str; 4] = ["read", "note", "handoff", "memory"];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        Scope::WORDS[Scope::ALL.iter().position(|scope| *scope == self).expect("all are in the list")]
    }

    /// Reads a word.
    pub fn parse(word: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// What an agent may do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Whose token it is; none without one.
    pub agent: Option<String>,
}

impl Granted {
    /// Returns the scopes as one word.
    pub fn words(&self) -> String {
        let words: Vec<&str> = self.scopes.iter().map(|scope| scope.as_str()).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(",") }
    }
}
