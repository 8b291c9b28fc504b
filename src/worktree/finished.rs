//! What a move hands back once it was carried out.

use crate::fs::File;
use crate::object::{Mode, TreeId, VaultPath};

use super::index::IndexEntry;
use super::waits::Wait;

/// An edit that was found in place of what the plan had seen, kept until the journal is discarded.
#[derive(Debug)]
pub struct Displaced {
    /// Where it was.
    pub path: VaultPath,
    /// What it was: a file, an executable one or a link.
    pub mode: Mode,
    /// Its bytes or target.
    pub body: DisplacedBody,
}

/// The bytes of what was displaced.
#[derive(Debug)]
pub enum DisplacedBody {
    /// A file, open.
    File(File),
    /// A link's target.
    Target(Vec<u8>),
}

/// A move that is done and durable. The journal is still there: store what was displaced, write the index,
/// then call [`discard`](super::discard).
#[derive(Debug)]
pub struct Finished {
    /// The tree of the index now.
    pub tree: TreeId,
    /// What to change in the index of the tree before.
    pub updates: Vec<(VaultPath, Option<IndexEntry>)>,
    /// Edits that were made since the plan, and are not on disk any more.
    pub displaced: Vec<Displaced>,
    /// Files that were to go and stayed, because someone wrote to them since the plan.
    pub stayed: Vec<VaultPath>,
    /// Files that turned out to be impossible here.
    pub absent: Vec<VaultPath>,
    /// Files that lost extended attributes when they were replaced, and which.
    pub attributes_lost: Vec<(VaultPath, Vec<String>)>,
    /// What could not be put in place, or not durably. The caller remembers it before the journal goes.
    pub waiting: Vec<Wait>,
}
