//! The vault: the place where the mechanisms meet. Finds, opens and makes vaults, and carries out what
//! a person asks of one.
//!
//! - Whoever changes anything holds the vault's lock, a kernel lock that dies with its process.
//! - Every change is first content (one pack), then one append to the operation log: from there on it
//!   has happened. The stat cache comes last and can be lost.
//! - A checkout that was cut is finished by whoever opens the vault next.

mod admission;
mod appending;
mod aside;
mod book;
mod bundle;
mod checkout;
mod collision;
mod commit;
mod doctor;
mod endpoint;
mod error;
mod extent;
mod gather;
mod gc;
mod git;
mod growth;
mod guard;
mod ignored;
mod intake;
mod memory;
mod mounts;
mod moving;
mod naming;
mod obeyed;
mod open;
mod peers;
mod protection;
mod purge;
mod reconcile;
mod reference;
mod refusal;
mod relocate;
mod remains;
mod remember;
mod repair;
mod restored;
mod sealing;
mod session;
mod small;
mod stale;
mod standing;
mod streams;
mod tokens;
mod transaction;
mod tree_writer;
mod trust;
mod twins;
mod typos;
mod undo;
mod unled;
mod verify;
mod waits;
mod ways;
mod write;

pub mod config;
pub mod difference;
pub mod history;
pub mod revision;
pub mod rules;

pub use admission::{Allowance, Finding};
pub use aside::{Selection, set_aside};
pub use bundle::{BundleMade, BundleRequest, create_bundle, note_refused_bundle};
pub use checkout::{
    CheckoutOutcome, RollbackOutcome, Streams, checkout, checkout_paths, is_there, rollback, switch,
};
pub use commit::{CommitOutcome, CommitRequest, commit, commit_locked, describe, local_changes};
pub use doctor::{Check, Weight, check_default_vault, examine};
pub use endpoint::{VaultEndpoint, Verb, abandon_clone, opener_of};
pub use error::{Error, ErrorKind, Result};
pub use gc::{GcOutcome, GcRequest, Retention, gc};
pub use git::{GitExport, Purged, export_git};
pub use intake::{Fate, Following, Incoming, IntakeOutcome, Thing, Trial, take_in};
pub use moving::Moved;
pub use naming::{create_branch, create_tag, delete_tag};
pub use open::{Access, InitOptions, OpenOptions, Origin, device_name_from, find, init, init_clone};
pub use peers::{Oddity, PeerMemory};
pub use protection::Protections;
pub use purge::{PurgeOutcome, Survey, Target, Version, Waiting, accept, purge, resume, survey, waiting};
pub use reconcile::{
    Accepts, Hold, ReconcileOutcome, Resolve, ResolveOutcome, choices, pending, reconcile, reconcile_locked,
    resolve,
};
pub use refusal::{Quarantined, Refused};
pub use relocate::{Relocated, remove, rename};
pub use repair::{
    FileFix, Fixed, StoreRepair, Tidied, examine_store, fix_files, note_brought, repair_ground, repair_store,
    tidy,
};
pub use session::{Session, SessionOrigin, SessionState, Turn, close_session, finish_orphans};
pub use small::DamagedFile;
pub use standing::{Reliable, Standing, reliable, standing};
pub use streams::{Added, Record, Recorded, import_streams, read_stream, record, stream_path, stream_paths};
pub use tokens::{Token, create_token, revoke_token};
pub use transaction::VaultLock;
pub use trust::{Trust, Trusted, check_trust, distrust_vault, trust_vault, trusted_vaults};
pub use twins::twins;
pub use undo::{UndoOutcome, undo};
pub use unled::{Unled, bring_back};
pub use verify::{Depth, Lost, Problem, Verified, verify};
pub use waits::waiting_paths;
pub use write::{
    IfMatch, Restored, WRITE_BYTES_MAX, WriteMode, WriteOutcome, WriteRequest, drop_quarantined,
    restore_quarantined, seal_paths, write,
};

use std::sync::Arc;

use crate::env::Env;
use crate::fs::{Dir, Disk};
use crate::object::SessionId;
use crate::oplog::OpLog;
use crate::store::Store;
use config::Config;

/// The name of the folder that holds everything of the vault but its files.
pub const DOT: &str = ".mvault";

/// An open vault.
pub struct Vault {
    disk: Arc<dyn Disk>,
    env: Env,
    root: Dir,
    dot: Dir,
    config: Config,
    store: Store,
    log: OpLog,
    actor: String,
    args: Vec<String>,
    session: Option<SessionId>,
    trust: Trust,
    notices: Vec<String>,
    /// The tombstones, sorted by commit and blob.
    purged: Vec<purge::Listed>,
}

impl Vault {
    /// Returns the folder of the user's files.
    pub fn root(&self) -> &Dir {
        &self.root
    }

    /// Returns the `.mvault` folder.
    pub fn dot(&self) -> &Dir {
        &self.dot
    }

    /// Returns the disk the vault is on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Returns the clock and the dice.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Returns the local settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the local settings for a change; write them with [`Vault::save_config`].
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Writes the local settings.
    pub fn save_config(&self) -> Result<()> {
        Ok(self.config.save(&self.dot)?)
    }

    /// Returns the objects.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the operation log.
    pub fn log(&self) -> &OpLog {
        &self.log
    }

    /// Returns the session that commits and operations are made in.
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Names the session that commits and operations are made in from here on.
    pub fn set_session(&mut self, session: Option<SessionId>) {
        self.session = session;
    }

    /// Returns who acts, for the log and as the author of commits.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Takes what happened on the way that a person should know: a cut checkout that was finished, a
    /// torn line of the log that was moved away.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }
}
