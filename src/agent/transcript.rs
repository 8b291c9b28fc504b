//! Tells from a host's transcript whether a boot was delivered.
//!
//! Claude Code writes what came of each hook as lines of JSON into the session's transcript: an `attachment`
//! whose `type` is `hook_additional_context` (what the model got), `hook_success` (what the hook printed),
//! `hook_cancelled` or `hook_non_blocking_error`. A boot carries a receipt, a text of its own; where that text
//! stands tells how far it came.
//!
//! - Reading is bounded: a line that is longer than 4 MiB is passed over, and of a file no more than the first
//!   and last 64 MiB are read.
//! - Lines that are no JSON are counted and passed over: a transcript is written while we read.
//!
//! Limits: the transcript lags; what it does not say yet may still come.

use serde_json::Value;

use crate::fs;
use crate::object::LenientJson;

/// The longest line that is looked at.
const LINE_BYTES_MAX: usize = 4 << 20;
/// How much is read from the beginning of a transcript, and from its end.
const PART_BYTES_MAX: u64 = 64 << 20;
/// How much is read at once.
const BLOCK_BYTES: usize = 1 << 20;

/// How far a boot came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// The transcript says nothing of it.
    Absent,
    /// The hook ended with an error.
    Failed,
    /// The host ended the hook before it answered.
    Cancelled,
    /// The hook answered, but no context with the receipt is in the transcript.
    Printed,
    /// The model got it.
    Delivered,
}

/// A hook that the host ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// The host's event.
    pub event: String,
    /// How long it had run, in milliseconds.
    pub duration_ms: Option<u64>,
    /// How long it was allowed to, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Whether the time was up; otherwise a person stopped it.
    pub is_timed_out: bool,
}

/// What a transcript says about hooks of mvault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// How often the model got a context with the receipt.
    pub delivered: usize,
    /// How often a hook printed the receipt.
    pub printed: usize,
    /// Hooks that were ended.
    pub cancelled: Vec<Cancelled>,
    /// What failed hooks wrote to standard error, shortened.
    pub failed: Vec<String>,
    /// Lines that could not be read.
    pub unreadable: usize,
    /// Whether a part in the middle was passed over.
    pub is_cut: bool,
}

impl Findings {
    /// Tells how far the boot came.
    pub fn delivery(&self) -> Delivery {
        match self {
            Findings { delivered: 1.., .. } => Delivery::Delivered,
            Findings { printed: 1.., .. } => Delivery::Printed,
            Findings { cancelled, .. } if cancelled.iter().any(|c| c.event == "SessionStart") => {
                Delivery::Cancelled
            }
            Findings { failed, .. } if !failed.is_empty() => Delivery::Failed,
            Findings { .. } => Delivery::Absent,
        }
    }

    /// Takes in a line of the transcript.
    pub fn take_line(&mut self, line: &[u8], receipt: &str) {
        // Most lines are about something else; only these are worth reading as JSON.
        let line = line.trim_ascii();
        if line.is_empty() || !contains(line, b"\"hook_") {
            return;
        }
        let read = LenientJson::read(line);
        if read.fault.is_some() {
            self.unreadable += 1;
            return;
        }
        let value = read.value;
        let Some(attachment) = value.get("attachment") else { return };
        let text = |name: &str| attachment.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| attachment.get(name).and_then(Value::as_u64);
        let is_ours = is_ours(attachment);
        match text("type") {
            "hook_additional_context" => {
                self.delivered += usize::from(holds(attachment.get("content"), receipt));
            }
            "hook_success" => self.printed += usize::from(holds(attachment.get("stdout"), receipt)),
            "hook_cancelled" if is_ours => self.cancelled.push(Cancelled {
                event: text("hookEvent").to_owned(),
                duration_ms: number("durationMs"),
                timeout_ms: number("timeoutMs"),
                is_timed_out: attachment.get("timedOut").and_then(Value::as_bool).unwrap_or(false),
            }),
            "hook_non_blocking_error" | "hook_error_during_execution" if is_ours => {
                self.failed.push(text("stderr").chars().take(200).collect());
            }
            _ => {}
        }
    }
}

/// Tells whether a hook runs mvault; one that names no command may be ours.
fn is_ours(attachment: &Value) -> bool {
    let command = ["command", "hookName"].iter().find_map(|name| attachment.get(*name)?.as_str());
    command.is_none_or(|command| command.contains("mvault") || !command.contains('/'))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Tells whether a value, or one of its parts, is a text that holds the receipt. What a hook printed is JSON
/// itself, with the receipt escaped in it.
fn holds(value: Option<&Value>, receipt: &str) -> bool {
    match value {
        _ if receipt.is_empty() => false,
        Some(Value::String(text)) => {
            let inner = || serde_json::from_str::<Value>(text).ok().filter(|value| !value.is_string());
            text.contains(receipt) || inner().is_some_and(|value| holds(Some(&value), receipt))
        }
        Some(Value::Array(items)) => items.iter().any(|item| holds(Some(item), receipt)),
        Some(Value::Object(members)) => members.values().any(|value| holds(Some(value), receipt)),
        _ => false,
    }
}

/// Looks for a receipt in a transcript.
pub fn look(file: &fs::File, receipt: &str) -> fs::Result<Findings> {
    let size = file.stat()?.size;
    let mut findings = Findings::default();
    if size <= 2 * PART_BYTES_MAX {
        read_part(file, 0..size, &mut findings, receipt)?;
    } else {
        findings.is_cut = true;
        read_part(file, 0..PART_BYTES_MAX, &mut findings, receipt)?;
        read_part(file, size - PART_BYTES_MAX..size, &mut findings, receipt)?;
    }
    Ok(findings)
}

/// Takes in the lines of a part; the torn ones at its ends do no harm.
fn read_part(
    file: &fs::File,
    range: std::ops::Range<u64>,
    findings: &mut Findings,
    receipt: &str,
) -> fs::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut line = Vec::new();
    let mut is_too_long = false;
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        let n = file.read_at(&mut block[..wanted], at)?;
        if n == 0 {
            break;
        }
        at += n as u64;
        for piece in block[..n].split_inclusive(|byte| *byte == b'\n') {
            if line.len() + piece.len() > LINE_BYTES_MAX {
                is_too_long = true;
                line.clear();
            } else if !is_too_long {
                line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                if is_too_long {
                    findings.unreadable += 1;
                } else {
                    findings.take_line(&line, receipt);
                }
                line.clear();
                is_too_long = false;
            }
        }
    }
    findings.take_line(&line, receipt);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fs::{Disk, RealDisk};

    const RECEIPT: &str = "mvault: \"head\" 1a2b, receipt 77";

    fn line(attachment: Value) -> String {
        json!({"type": "attachment", "uuid": "u", "attachment": attachment}).to_string() + "\n"
    }

    fn context(text: &str) -> String {
        line(json!({"type": "hook_additional_context", "hookEvent": "SessionStart", "content": [text]}))
    }

    fn printed(text: &str) -> String {
        let stdout = json!({"hookSpecificOutput": {"additionalContext": text}}).to_string();
        line(
            json!({"type": "hook_success", "hookEvent": "SessionStart", "command": "/opt/mvault", "stdout": stdout,
            "stderr": "", "exitCode": 0, "durationMs": 31}),
        )
    }

    fn cancelled(command: &str) -> String {
        line(json!({"type": "hook_cancelled", "hookEvent": "SessionStart", "command": command,
            "durationMs": 5004, "timedOut": true, "timeoutMs": 5000}))
    }

    fn find(text: &[u8]) -> Findings {
        let temp = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(temp.path().join("t.jsonl"), text).expect("writes");
        let dir = RealDisk.open_dir(temp.path()).expect("opens");
        look(&dir.open("t.jsonl").expect("opens"), RECEIPT).expect("reads")
    }

    #[test]
    fn where_the_receipt_stands_tells_how_far_a_boot_came() {
        let said =
            json!({"type": "user", "message": {"content": format!("{RECEIPT} hook_")}}).to_string() + "\n";
        let failed = line(json!({"type": "hook_non_blocking_error", "hookEvent": "SessionStart",
            "command": "mvault", "stderr": "x".repeat(900)}));
        for (text, expected) in [
            (String::new(), Delivery::Absent),
            (said.clone(), Delivery::Absent),
            (context("something else"), Delivery::Absent),
            (failed.clone(), Delivery::Failed),
            (cancelled("/opt/mvault"), Delivery::Cancelled),
            (cancelled("/opt/other"), Delivery::Absent),
            (printed(RECEIPT) + &failed, Delivery::Printed),
            (printed(RECEIPT) + &context(&format!("a\n{RECEIPT}\nb")), Delivery::Delivered),
            (cancelled("/opt/mvault") + &context(RECEIPT) + &said, Delivery::Delivered),
        ] {
            let found = find(text.as_bytes());
            assert_eq!(found.delivery(), expected, "{text}");
            assert!(found.failed.iter().all(|text| text.len() <= 200));
        }
        let found = find(cancelled("mvault").as_bytes());
        let ended = &found.cancelled[0];
        assert_eq!((ended.duration_ms, ended.timeout_ms, ended.is_timed_out), (Some(5004), Some(5000), true));
    }

    #[test]
    fn torn_long_and_foreign_lines_are_passed_over() {
        let long = format!("{{\"hook_\":\"{}\"}}\n", "x".repeat(5 << 20));
        let text = format!("{{\"hook_\n\0\n{long}{}{{\"attachment\":{{\"type\":\"hook_", context(RECEIPT));
        let found = find(text.as_bytes());
        assert_eq!((found.delivered, found.unreadable), (1, 3));
        // A last line without its end counts; an empty receipt is nowhere.
        assert_eq!(find(context(RECEIPT).trim_end().as_bytes()).delivered, 1);
        let mut nothing = Findings::default();
        nothing.take_line(context("x").as_bytes(), "");
        assert_eq!(nothing.delivery(), Delivery::Absent);
    }
}
