//! The agent's side: what hosts of agents (Claude Code, Codex, Gemini, Cursor) and the vault say to each
//! other.
//!
//! - [`boot`] tells an agent that starts what it should know; [`news`] is what other devices added.
//! - [`handoff`] leaves a task for another agent or device.
//! - [`hooks`] reads what a host says and answers by its contract, one thin adapter a host.
//! - [`install`] wires a host to mvault in the host's own settings, and takes that back.
//! - [`memory`] carries out the memory tool of a model's interface in a folder of the vault.
//! - [`mcp`] speaks the Model Context Protocol with agents that call tools.
//! - [`standup`] tells people what each device added.
//! - [`mirrordna`] takes in what MirrorDNA left on disk.
//! - [`transcript`] tells from a host's transcript whether a boot was delivered.
//! - [`neutral`] makes stored text harmless before a model reads it.
//!
//! The rooms here know contracts and files of hosts; what a vault does comes in through
//! [`hooks::run::HookVault`].

pub mod boot;
pub mod handoff;
pub mod hooks;
pub mod install;
pub mod mcp;
pub mod memory;
pub mod mirrordna;
pub mod neutral;
pub mod news;
pub mod sessions;
pub mod standup;
pub mod transcript;
