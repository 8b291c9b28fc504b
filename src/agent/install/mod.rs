//! Wires hosts to mvault.
use super::hooks::{Agent, Event};
/// How long the host lets the hook run, in seconds.
pub fn timeout_seconds(agent: Agent, event: Event) -> u64 {
    match (agent, event) {
        (Agent::Codex, Event::SessionEnd) => 3,
        (_, Event::SessionStart) => 15,
        (_, Event::Stop | Event::PostCompact) => 10,
        (_, Event::PreCompact | Event::SessionEnd) => 20,
    }
}
