//! What a handoff says, and MirrorDNA's `handoff.json` as a source of it.
//!
//! `handoff.json` is `{client, timestamp, action, pending, files_modified[], verification, next_client,
//! notes}`. Members may be missing, and `pending` may be a text or a list; what has another form is told as
//! it is, as JSON, rather than dropped.

use super::ContextFile;
use crate::object::{Json, JsonObject};

/// What a handoff says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// For whom.
    pub to: Option<String>,
    /// Who leaves it.
    pub from: Option<String>,
    /// The task.
    pub summary: String,
    /// What to do next.
    pub next: Vec<String>,
    /// Files as they were named elsewhere.
    pub files: Vec<String>,
    /// How what was done was checked.
    pub verification: Option<String>,
    /// Anything else.
    pub notes: Option<String>,
    /// When it was left elsewhere.
    pub left_at: Option<String>,
    /// The SHA-256 of the file it was read from.
    pub source: Option<String>,
}

impl Envelope {
    /// Returns the body of the event: `files` become context without an id.
    pub fn body(&self, context: &[ContextFile], head: &str, agent: Option<&str>) -> Json {
        let named = self.files.iter().map(|path| ContextFile { path: path.clone(), id: None });
        let named = named.filter(|file| context.iter().all(|known| known.path != file.path));
        let context: Vec<Json> = context.iter().cloned().chain(named).map(context_json).collect();
        let text = |value: Option<&str>| value.map(Json::from);
        let list = |values: Vec<Json>| (!values.is_empty()).then_some(Json::Array(values));
        let next = self.next.iter().map(|next| Json::from(next.as_str())).collect();
        let members = [
            ("to", text(self.to.as_deref())),
            ("from", text(self.from.as_deref().or(agent))),
            ("text", text(Some(&self.summary))),
            ("context", list(context)),
            ("next", list(next)),
            ("verification", text(self.verification.as_deref())),
            ("notes", text(self.notes.as_deref())),
            ("left_at", text(self.left_at.as_deref())),
            ("source", text(self.source.as_deref())),
            ("head", text(Some(head))),
        ];
        object(members)
    }
}

fn context_json(file: ContextFile) -> Json {
    object([("path", Some(file.path.as_str().into())), ("id", file.id.map(|id| id.as_str().into()))])
}

fn object<const N: usize>(members: [(&str, Option<Json>); N]) -> Json {
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Json::Object(JsonObject::from_members(members.collect()).expect("no key is doubled"))
}

/// Reads a `handoff.json`. `None` if it is no JSON object or says nothing.
pub fn read_envelope(bytes: &[u8]) -> Option<Envelope> {
    let json = Json::parse(bytes).ok()?;
    let members = json.as_object()?;
    let text = |name: &str| members.get(name).and_then(words);
    let action = text("action");
    let pending = lines(members.get("pending"));
    let notes = text("notes");
    let summary = action.or_else(|| pending.first().cloned()).or_else(|| notes.clone())?;
    Some(Envelope {
        to: text("next_client").filter(|to| !matches!(to.as_str(), "any" | "none")),
        from: text("client"),
        summary,
        next: pending,
        files: lines(members.get("files_modified")),
        verification: text("verification"),
        notes,
        left_at: text("timestamp"),
        source: None,
    })
}

fn words(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) if text.trim().is_empty() => None,
        Json::String(text) => Some(text.trim().to_owned()),
        other => Some(other.canonical()),
    }
}

fn lines(value: Option<&Json>) -> Vec<String> {
    match value {
        Some(Json::Array(values)) => values.iter().filter_map(words).collect(),
        Some(value) => words(value).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handoff_of_mirrordna_keeps_all_it_says() {
        let text =
            br#"{"client":"claude","timestamp":"2026-02-23T18:40:00+05:30","action":"finish the parser",
            "pending":["tests","docs"],"files_modified":["src/a.py"],"verification":"pytest: 12 passed",
            "next_client":"codex","notes":"mind the tabs"}"#;
        let envelope = read_envelope(text).expect("an envelope");
        assert_eq!((envelope.to.as_deref(), envelope.from.as_deref()), (Some("codex"), Some("claude")));
        assert_eq!(envelope.next, ["tests", "docs"]);
        let body = envelope.body(&[], "h", None).canonical();
        for part in ["finish the parser", "src/a.py", "12 passed", "mind the tabs", "18:40"] {
            assert!(body.contains(part), "{part}: {body}");
        }
    }

    #[test]
    fn odd_members_are_told_as_they_are_and_nothing_at_all_is_no_handoff() {
        let envelope = read_envelope(br#"{"action":{"do":1},"pending":"one thing"}"#).expect("an envelope");
        assert_eq!(envelope.summary, r#"{"do":1}"#);
        assert_eq!(envelope.next, ["one thing"]);
        for none in [&b"[]"[..], b"{}", b"{\"action\":\"  \"}", b"not json"] {
            assert_eq!(read_envelope(none), None);
        }
    }
}
