//! Cursor: <https://cursor.com/docs/agent/hooks>; entireio/cli, cmd/entire/cli/agent/cursor/AGENT.md.
//!
//! - The session's id is `conversation_id`; some events carry an equal `session_id` too.
//! - `stop` tells no text, and neither it nor the prompt's event fires with `-p`.
//! - `sessionStart` takes `additional_context` at the top and has no place for a message to the person.

use serde_json::{Map, Value};

use super::{Event, Fields, Happening, Reply, Source, put};

/// Returns the host's name of an event.
pub(super) fn event_name(event: Event) -> Option<&'static str> {
    match event {
        Event::SessionStart => Some("sessionStart"),
        Event::Stop => Some("stop"),
        Event::PreCompact => Some("preCompact"),
        Event::PostCompact => None,
        Event::SessionEnd => Some("sessionEnd"),
    }
}

/// Reads the fields of an event.
pub(super) fn happening(event: Event, fields: &mut Fields) -> Happening {
    match event {
        Event::SessionStart => Happening::SessionStart { source: Source::Startup },
        Event::Stop => Happening::Stop { last_message: fields.text(&["text"]) },
        Event::PreCompact => Happening::PreCompact { trigger: fields.trigger() },
        Event::PostCompact => Happening::PostCompact { summary: None },
        Event::SessionEnd => Happening::SessionEnd { reason: fields.text(&["reason", "final_status"]) },
    }
}

/// Returns the answer.
pub(super) fn answer(event: Event, reply: Reply) -> Map<String, Value> {
    let mut object = Map::new();
    if event == Event::SessionStart {
        put(&mut object, "additional_context", reply.context);
    }
    object
}
