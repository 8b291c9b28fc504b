//! Claude Code: <https://code.claude.com/docs/en/hooks>.
//!
//! - Context must stand inside `hookSpecificOutput`; beside it, it is dropped without a word.
//! - `PreCompact` takes no context (the schema refuses it) and must never be blocked; what `PostCompact` and
//!   `SessionEnd` answer is ignored.
//! - A `Stop` that returns context would make the agent go on: only a message for the person is said there.

use serde_json::{Map, Value};

use super::{Event, Fields, Happening, Reply, put, session_start_answer};

/// Returns the host's name of an event.
pub(super) fn event_name(event: Event) -> &'static str {
    match event {
        Event::SessionStart => "SessionStart",
        Event::Stop => "Stop",
        Event::PreCompact => "PreCompact",
        Event::PostCompact => "PostCompact",
        Event::SessionEnd => "SessionEnd",
    }
}

/// Reads the fields of an event.
pub(super) fn happening(event: Event, fields: &mut Fields) -> Happening {
    match event {
        Event::SessionStart => Happening::SessionStart { source: fields.source() },
        Event::Stop => Happening::Stop { last_message: fields.text(&["last_assistant_message"]) },
        Event::PreCompact => Happening::PreCompact { trigger: fields.trigger() },
        Event::PostCompact => Happening::PostCompact { summary: fields.text(&["compact_summary"]) },
        Event::SessionEnd => Happening::SessionEnd { reason: fields.text(&["reason"]) },
    }
}

/// Returns the answer.
pub(super) fn answer(event: Event, reply: Reply) -> Map<String, Value> {
    let mut object = Map::new();
    match event {
        Event::SessionStart => return session_start_answer(event_name(event), reply),
        Event::Stop => put(&mut object, "systemMessage", reply.message),
        Event::PreCompact | Event::PostCompact | Event::SessionEnd => {}
    }
    object
}
