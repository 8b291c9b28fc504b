//! The gateway: what may enter the vault, decided by small pure checks.
//!
//! - Everything here is a function of bytes and names: no clock, no files.
//! - A check names what is wrong by a [`Reason`] with a stable code, and never holds the content that it
//!   judged. What follows from it (a rule, an override, the version before) is the vault's affair.

pub mod content;
pub mod foreign;
pub mod link;
pub mod name;
pub mod obeyed;
pub mod rejection;
pub mod secrets;
pub mod sidecar;
pub mod signature;
pub mod zeros;

mod reason;

pub use reason::Reason;
