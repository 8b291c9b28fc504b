//! Sync: how two vaults tell each other what they know and exchange what one lacks.
//!
//! The layers, each a file or two:
//!
//! - [`host`] parses what a person types for the other side;
//! - [`wire`] and [`frame`] are the bytes, pure;
//! - [`negotiate`] finds, by ancestry and stamps, what the other side lacks; its cost depends on what
//!   is new and not on how long the history is;
//! - `send` turns that into a stream of objects, `receive` checks and keeps such a stream, in
//!   `incoming`, until all of it holds;
//! - `session` is the conversation as two state machines, frame in, frames out, with no threads, no
//!   clock and no files but those of `incoming/`; a third one asks for single objects by id, to replace
//!   damaged ones;
//! - `drive` runs a machine over two byte streams with a limit on silence, `ssh` gets the streams
//!   from the user's own ssh, `local` joins two machines in one process;
//! - [`bundle`] is the same content in a file: written as a server would send it, read as one end of a session.
//!
//! A vault is only known through [`Endpoint`]. The invariants of a session:
//!
//! - **The peer is not trusted.** All is bounded, parsed strictly and hashed; a commit is taken only
//!   with its parents, a tree only with all it names. What a peer sends sets nothing but
//!   `remotes/<peer>/…`, and only when all of it holds.
//! - **What was offered is logged before the first byte leaves**: [`Endpoint::offer`] comes before the
//!   first frame, and logs.
//! - **The lock is never held while waiting on the wire**: each method of [`Endpoint`] takes it, does
//!   one thing and gives it back; no guard lives in a session.
//! - **Derived commits carry no knowledge**: an offer is a frontier. Derived tips are never sent; those
//!   inside authored history are, like any commit.
//! - **A cut loses nothing**: what was received whole is kept and not asked for again.

mod blocks;
pub mod bundle;
mod connect;
pub mod drive;
mod error;
pub mod frame;
mod gate;
pub mod host;
mod incoming;
pub mod local;
pub mod negotiate;
pub mod receive;
pub mod send;
pub mod session;
pub mod ssh;
pub mod wire;

pub use error::{Class, SyncError};
pub use gate::{ClosedGate, OpenGate};

use std::time::Duration;

use crate::fs;
use crate::object::{CommitId, DeviceName, Lamport, VaultId};
use crate::store::Store;

/// Which end of a session one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that was started by a person.
    Caller,
    /// The end that was started by the caller.
    Server,
}

impl Role {
    fn to_code(self) -> u8 {
        match self {
            Role::Caller => 1,
            Role::Server => 2,
        }
    }

    fn from_code(code: u8) -> Option<Role> {
        [Role::Caller, Role::Server].into_iter().find(|role| role.to_code() == code)
    }
}

/// Which way objects go. `fetch` and `pull` fetch, `push` pushes, `sync` does both; neither is
/// [`Intent::RESTORE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// From the server to the caller.
    pub fetch: bool,
    /// From the caller to the server.
    pub push: bool,
}

impl Intent {
    /// The caller asks for single objects by their ids, to replace damaged ones; no ref moves.
    pub const RESTORE: Intent = Intent { fetch: false, push: false };

    /// Tells whether `role` gives objects away in such a session.
    pub fn gives(self, role: Role) -> bool {
        match role {
            Role::Caller => self.push,
            Role::Server => self.fetch || self == Intent::RESTORE,
        }
    }

    fn to_code(self) -> u8 {
        u8::from(self.fetch) | u8::from(self.push) << 1
    }

    fn from_code(code: u8) -> Option<Intent> {
        (code < 4).then_some(Intent { fetch: code & 1 != 0, push: code & 2 != 0 })
    }
}

/// The last line of an operation log. A peer that remembers it notices a log that went backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// Who an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device's name.
    pub device: DeviceName,
    /// The random epoch that tells two devices of one name apart.
    pub epoch: [u8; 16],
    /// The vault; `None` only while a clone is being made.
    pub vault: Option<VaultId>,
    /// The last line of the operation log, if there is one.
    pub anchor: Option<Anchor>,
    /// The newest merge rule this program knows.
    pub rule: u32,
}

/// The other side, as it introduced itself. Nothing of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which end it is.
    pub role: Role,
    /// Who it says it is.
    pub identity: Identity,
    /// Its program's name and version, masked.
    pub program: String,
}

/// The heads of one branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its name, as [`is_branch_name`] allows.
    pub name: String,
    /// Its heads: a frontier, so no derived tip and none an ancestor of another.
    pub heads: Vec<CommitId>,
}

/// What became of a head after new commits came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadState {
    /// It is what the known and accepted commits make it.
    Settled,
    /// Kept: files with edits in no commit are in the way.
    Dirty,
    /// Kept: the tree is parked at another commit.
    Parked,
    /// Kept: the vault is served read-only, or cannot be written.
    ReadOnly,
    /// Kept: the incoming work waits for a yes.
    Held,
    /// Kept: the vault's merge rule is newer than the program.
    RuleUnknown,
}

impl HeadState {
    const ALL: [HeadState; 6] = [
        HeadState::Settled,
        HeadState::Dirty,
        HeadState::Parked,
        HeadState::ReadOnly,
        HeadState::Held,
        HeadState::RuleUnknown,
    ];

    fn to_code(self) -> u8 {
        Self::ALL.iter().position(|state| *state == self).expect("all are listed") as u8
    }

    fn from_code(code: u8) -> Option<HeadState> {
        Self::ALL.get(code as usize).copied()
    }
}

/// Where an endpoint stands: both sides compare theirs at the end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The frontier of all it knows of the branch, sorted.
    pub frontier: Vec<CommitId>,
    /// Its head; `None` only before a clone has one.
    pub head: Option<CommitId>,
    /// How many conflicts are pending.
    pub pending: u32,
    /// Whether the head follows from the frontier.
    pub state: HeadState,
}

impl Outcome {
    /// Tells whether two settled ends computed different heads from one frontier: a fault of a program.
    pub fn contradicts(&self, other: &Outcome) -> bool {
        let settled = |o: &Outcome| o.state == HeadState::Settled && o.pending == 0;
        settled(self) && settled(other) && self.frontier == other.frontier && self.head != other.head
    }
}

/// Why an endpoint ends a session, in words for the person at the other end as well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The class, which decides about exit codes.
    pub kind: RefusalKind,
    /// What is the matter: lower case, no full stop, nothing secret.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Refusal {
    /// Makes a refusal without a hint.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Refusal {
        Refusal { kind, message: message.into(), hint: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Refusal {
        self.hint = Some(hint.into());
        self
    }
}

/// The classes of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// Anything else.
    Other,
    /// No vault at the path asked for.
    NotAVault,
    /// No path was given and the far device has no default vault.
    NoDefaultVault,
    /// The vault's format is newer than the program.
    NewerFormat,
    /// Another vault id, or no common root.
    Unrelated,
    /// A device of the same name and another epoch.
    SameName,
    /// The other side is this very vault.
    Itself,
    /// It may not be written.
    ReadOnly,
    /// Locked by another process.
    Locked,
    /// Damaged; reading stopped.
    Damaged,
    /// The peer's log went backwards since it was last seen.
    WentBack,
    /// The peer sent what does not hold.
    BadContent,
    /// The peer broke the protocol.
    Protocol,
    /// A limit was passed.
    Limit,
}

impl RefusalKind {
    const ALL: [RefusalKind; 14] = [
        RefusalKind::Other,
        RefusalKind::NotAVault,
        RefusalKind::NoDefaultVault,
        RefusalKind::NewerFormat,
        RefusalKind::Unrelated,
        RefusalKind::SameName,
        RefusalKind::Itself,
        RefusalKind::ReadOnly,
        RefusalKind::Locked,
        RefusalKind::Damaged,
        RefusalKind::WentBack,
        RefusalKind::BadContent,
        RefusalKind::Protocol,
        RefusalKind::Limit,
    ];

    /// Returns a word for it, for `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalKind::Other => "failed",
            RefusalKind::NotAVault => "not-a-vault",
            RefusalKind::NoDefaultVault => "no-default-vault",
            RefusalKind::NewerFormat => "newer-format",
            RefusalKind::Unrelated => "unrelated",
            RefusalKind::SameName => "same-name",
            RefusalKind::Itself => "itself",
            RefusalKind::ReadOnly => "read-only",
            RefusalKind::Locked => "locked",
            RefusalKind::Damaged => "damaged",
            RefusalKind::WentBack => "went-back",
            RefusalKind::BadContent => "peer-content",
            RefusalKind::Protocol => "protocol",
            RefusalKind::Limit => "limit",
        }
    }

    fn to_code(self) -> u8 {
        Self::ALL.iter().position(|kind| *kind == self).expect("all are listed") as u8
    }

    /// Codes of later versions are [`RefusalKind::Other`]; so is 0, and nothing else.
    fn from_code(code: u8) -> RefusalKind {
        Self::ALL.get(code as usize).copied().unwrap_or(RefusalKind::Other)
    }
}

/// What a session brought, handed to [`Endpoint::accept`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The peer's branches with the heads it offered; all of them are in the store, complete.
    pub offered: Vec<Branch>,
    /// Commits that were new, oldest first (a parent before its children).
    pub commits: Vec<CommitId>,
    /// The greatest stamp among them.
    pub lamport_max: Option<Lamport>,
    /// How many objects were written.
    pub objects: u64,
    /// New commits in this device's own name: a backup was restored, something was taken back after
    /// all, or somebody else uses the name. To be told.
    pub own_name: Vec<CommitId>,
}

/// How much a session may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Objects.
    pub objects_max: u64,
    /// Plain bytes of all objects together.
    pub bytes_max: u64,
    /// Plain bytes of one object.
    pub file_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { objects_max: 10_000_000, bytes_max: 1 << 40, file_bytes_max: u64::MAX }
    }
}

/// One moment of a transfer, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether this end sends.
    pub sending: bool,
    /// Commits in the pack.
    pub commits: u32,
    /// Objects so far.
    pub objects: u64,
    /// Plain bytes so far.
    pub bytes: u64,
}

/// A vault, as a session sees it.
///
/// The order of calls, on both ends alike:
///
/// 1. [`identity`](Endpoint::identity);
/// 2. [`offer`](Endpoint::offer), once, before the first frame leaves. The server meets the peer first;
/// 3. [`meet`](Endpoint::meet), once the other side has introduced itself;
/// 4. reading through [`store`](Endpoint::store), any number of times;
/// 5. on an end that receives: [`accept`](Endpoint::accept), after the new objects are durable in the
///    store, also if there were none; an end that gave: [`given`](Endpoint::given);
/// 6. [`settle`](Endpoint::settle): on the server only if it received, on the caller always.
///
/// No method is called while another runs, and none may keep the vault's lock when it returns.
pub trait Endpoint {
    /// Tells who this is.
    fn identity(&self) -> Identity;

    /// Tells what this vault knows: for each branch the frontier of everything known of it, also what is
    /// pending, held or parked, never `saved/` or tags.
    ///
    /// With `gives`, objects will leave: under the lock, the own side is committed first where the verb
    /// demands it (`serve` unless read-only or parked, `sync`), then the heads are logged as offered, unless
    /// the log already says so; both before this returns. Without it only ids leave, and nothing is logged.
    fn offer(&mut self, gives: bool) -> Result<Vec<Branch>, Refusal>;

    /// Judges the other side before anything is exchanged: another vault id (unless unrelated ones were
    /// allowed), an equal name with another epoch, this very vault, a log that went backwards.
    fn meet(&mut self, peer: &Peer) -> Result<(), Refusal>;

    /// Gives the store.
    fn store(&self) -> &Store;

    /// Tells how much a peer may send in one session.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Returns how long a session waits while the vault is closed to what arrives.
    fn gate_wait(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Tells whether heads that do not go back to this vault's root may come: the user allowed unrelated ones.
    fn allows_unrelated(&self) -> bool {
        false
    }

    /// Tells whether the other side is a bundle: it could not know what was purged here.
    fn reads_bundle(&self) -> bool {
        false
    }

    /// Opens `.mvault/incoming`, making it if it is missing.
    fn incoming(&self) -> Result<fs::Dir, Refusal>;

    /// Takes note, in one synced append under the lock, that `peer` knows `received.offered`: each
    /// `remotes/<peer>/<branch>` becomes the frontier of what it was and what was offered, and nothing
    /// else changes. Appends nothing if that changes nothing. Checks that the heads are in the store, since
    /// a compaction may have run in between. `gate` is that of this vault, open since before anything came; it is
    /// given back when the append is done. There is none if nothing came.
    fn accept(&mut self, peer: &Peer, received: &Received, gate: Option<OpenGate>) -> Result<(), Refusal>;

    /// Takes note that `peer` now has what this end offered, and what it said of its frontier. Only ids that
    /// are in the store are passed. Does nothing unless implemented.
    fn given(&mut self, peer: &Peer, knows: &[CommitId]) -> Result<(), Refusal> {
        let (_, _) = (peer, knows);
        Ok(())
    }

    /// Reconciles, if that is wanted and possible here, and tells where the head stands. A `fetch` only tells.
    fn settle(&mut self) -> Result<Outcome, Refusal>;

    /// Shows how far a transfer is. Called often; does nothing unless implemented.
    fn progress(&mut self, progress: Progress) {
        let _ = progress;
    }
}

/// Returns the name of the folder under `incoming/` for what a person calls a remote: the text itself if it
/// is a plain lower-case word, else a hash of it.
pub fn incoming_name(remote: &str) -> String {
    if DeviceName::parse(remote).is_some() {
        return remote.to_owned();
    }
    let hash = crate::object::hash_object(crate::object::Kind::Blob, remote.as_bytes());
    format!("remote-{}", hash.short())
}

/// Tells whether `name` may be a branch on the wire: parts of `[A-Za-z0-9._-]` joined by slashes, at most
/// 128 bytes; no part begins with a dot or a dash, ends with a dot or `.lock`, or holds two dots in a row.
pub fn is_branch_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let part_holds = |part: &str| {
        let ends = part.ends_with('.') || part.ends_with(".lock");
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !ends
            && !part.contains("..")
            && part.bytes().all(allowed)
    };
    name.len() <= 128 && name.split('/').all(part_holds)
}

#[cfg(test)]
mod tests;
