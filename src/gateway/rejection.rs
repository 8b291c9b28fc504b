//! The rejection log: one JSON object a line for each file that was not taken, or that a word was due about.
//!
//! One log a session, `rejections/<session>.jsonl`; what happens outside of any session goes to a log of
//! its own. A line holds nothing of the content but its hash, and of a credential not even that.

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use crate::object::{SessionId, read_line, seal_line};

/// The name of the log of what happens outside of a session: no session id begins with a dot.
const WITHOUT_SESSION: &str = ".none.jsonl";
const ENDING: &str = ".jsonl";

/// One entry of a rejection log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// When, RFC 3339.
    pub at: String,
    /// The session, or `None` for what happened outside of one.
    pub session: Option<String>,
    /// Where, as text; what is not UTF-8 is replaced.
    pub path: String,
    /// The exact bytes of the path in hexadecimal, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// The reason's code.
    pub reason: String,
    /// The SHA-256 of the content, and its name in quarantine if a copy was kept; none if there was none to
    /// hash.
    pub sha256: Option<String>,
    /// The id that the content would have as a blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// The length in bytes.
    pub size: Option<u64>,
    /// Where in the file, in bytes.
    pub offset: Option<u64>,
    /// More about the reason: which rule, how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether the bytes are in quarantine.
    #[serde(default)]
    pub quarantined: bool,
    /// What to do.
    pub hint: String,
}

impl Rejection {
    /// Returns the exact path.
    pub fn path_bytes(&self) -> Vec<u8> {
        let exact = self.path_hex.as_ref().and_then(|text| hex::decode(text).ok());
        exact.unwrap_or_else(|| self.path.as_bytes().to_vec())
    }

    /// Sets the path from its bytes.
    pub fn set_path(&mut self, path: &[u8]) {
        self.path = String::from_utf8_lossy(path).into_owned();
        self.path_hex = std::str::from_utf8(path).is_err().then(|| hex::encode(path));
    }

    /// Returns the reason, if this program knows it.
    pub fn known_reason(&self) -> Option<Reason> {
        Reason::from_code(&self.reason)
    }

    /// Tells whether another entry says the same: path, content and reason.
    pub fn repeats(&self, other: &Rejection) -> bool {
        self.path_bytes() == other.path_bytes()
            && self.sha256 == other.sha256
            && self.reason == other.reason
            && self.blob == other.blob
            && (self.sha256.is_some() || self.size == other.size)
    }
}

/// Returns the name of a session's log.
pub fn log_name(session: Option<&SessionId>) -> String {
    session.map_or(WITHOUT_SESSION.to_owned(), |session| format!("{session}{ENDING}"))
}

/// Returns the session of a log's name: `Some(None)` for what happened outside of one, `None` if the name is
/// none of a log.
pub fn session_of(name: &str) -> Option<Option<SessionId>> {
    if name == WITHOUT_SESSION {
        return Some(None);
    }
    name.strip_suffix(ENDING).and_then(SessionId::parse).map(Some)
}

/// Writes entries as sealed lines.
pub fn encode(rejections: &[Rejection]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for rejection in rejections {
        bytes.extend(seal_line(rejection).0);
    }
    bytes
}

/// Reads the lines that are as they were written. A line that was torn or damaged hides no other.
pub fn decode(bytes: &[u8]) -> Vec<Rejection> {
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.filter_map(read_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_and_a_torn_line_hides_no_other() {
        let mut entry = Rejection {
            at: "2026-11-20T10:00:00Z".into(),
            session: Some("s1".into()),
            path: String::new(),
            path_hex: None,
            reason: "emptied".into(),
            sha256: Some("ab".into()),
            blob: None,
            size: Some(0),
            offset: None,
            detail: None,
            quarantined: false,
            hint: "look".into(),
        };
        entry.set_path(b"a\xff\nb");
        let mut bytes = b"{\"at\":\"torn\n".to_vec();
        bytes.extend(encode(std::slice::from_ref(&entry)));
        bytes.extend_from_slice(b"{\"half");
        assert_eq!(decode(&bytes), [entry.clone()]);
        assert_eq!(entry.path_bytes(), b"a\xff\nb");
        assert!(entry.repeats(&entry.clone()));
    }

    #[test]
    fn logs_are_named_by_their_session() {
        let session = SessionId::parse("7c1e");
        assert_eq!(log_name(session.as_ref()), "7c1e.jsonl");
        assert_eq!(session_of("7c1e.jsonl"), Some(session));
        assert_eq!(session_of(&log_name(None)), Some(None));
        assert_eq!(session_of("x.txt"), None);
    }
}
