//! Gemini CLI: google-gemini/gemini-cli, docs/hooks/reference.md.
//!
//! - Standard output must hold the final JSON and nothing else.
//! - A turn ends with `AfterAgent`, a compaction begins with `PreCompress`, nothing tells of its end.
//! - It does not wait for `SessionEnd`.

use serde_json::{Map, Value};

use super::{Event, Fields, Happening, Reply, put, session_start_answer};

/// Returns the host's name of an event.
pub(super) fn event_name(event: Event) -> Option<&'static str> {
    match event {
        Event::SessionStart => Some("SessionStart"),
        Event::Stop => Some("AfterAgent"),
        Event::PreCompact => Some("PreCompress"),
        Event::PostCompact => None,
        Event::SessionEnd => Some("SessionEnd"),
    }
}

/// Reads the fields of an event.
pub(super) fn happening(event: Event, fields: &mut Fields) -> Happening {
    match event {
        Event::SessionStart => Happening::SessionStart { source: fields.source() },
        Event::Stop => Happening::Stop { last_message: fields.text(&["prompt_response"]) },
        Event::PreCompact => Happening::PreCompact { trigger: fields.trigger() },
        Event::PostCompact => Happening::PostCompact { summary: None },
        Event::SessionEnd => Happening::SessionEnd { reason: fields.text(&["reason"]) },
    }
}

/// Returns the answer.
pub(super) fn answer(event: Event, reply: Reply) -> Map<String, Value> {
    let mut object = Map::new();
    match event {
        Event::SessionStart => return session_start_answer("SessionStart", reply),
        Event::Stop | Event::PreCompact => put(&mut object, "systemMessage", reply.message),
        Event::PostCompact | Event::SessionEnd => {}
    }
    object
}
