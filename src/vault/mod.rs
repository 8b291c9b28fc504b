//! The vault: the place where the mechanisms meet. Finds, opens and makes vaults, and carries out what
//! a person asks of one.

pub mod config;
pub mod rules;
