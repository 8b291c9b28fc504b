//! What agents and the people who work with them see.

mod handoff;
mod import;
mod mcp;
mod memory;
mod standup;
