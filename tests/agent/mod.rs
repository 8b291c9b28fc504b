//! What agents and the people who work with them see.

mod handoff;
mod standup;
