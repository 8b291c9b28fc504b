//! mvault: a content-addressed vault for the files that carry an agent's continuity.
//!
//! The floor plan. A file imports only from lower floors; a test reads the imports and fails when an
//! arrow runs up.
//!
//! ```text
//!  6  main
//!  5  cli                                        parses, dispatches, turns errors into words and exit codes
//!  4  commands/                  agent/          one page a verb | boot, standup, hook adapters
//!  3  vault/                     ui/             the place: open, transaction, history, rules | the voice
//!  2  worktree/  merge/  events/  sync/  gateway/    five mechanisms, strangers to each other
//!  1  oplog/ -> store/                           things at rest
//!  0  object/ (pure) | fs/ (effects) | env (clock, dice)
//! ```

// Unit tests may look at files from outside the seam.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod agent;
pub mod cli;
pub mod commands;
pub mod env;
pub mod events;
pub mod fs;
pub mod gateway;
pub mod merge;
pub mod object;
pub mod oplog;
pub mod store;
pub mod sync;
pub mod ui;
pub mod vault;
pub mod worktree;
