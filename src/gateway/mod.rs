//! The gateway: what may enter the vault, decided by small pure checks.
//!
//! - Everything here is a function of bytes and names: no clock, no files.
//! - A check names what is wrong by a stable code and never holds the content that it judged.

pub mod secrets;
