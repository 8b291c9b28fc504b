//! Codex CLI: <https://developers.openai.com/codex/hooks>.
//!
//! - The schema is strict: a field it does not know makes the whole answer invalid.
//! - `Stop` must be answered with JSON, plain text is invalid; `SessionEnd` is cut after at most 3 s and its
//!   answer ignored.

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
