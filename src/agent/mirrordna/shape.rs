//! Lines and tasks out of MirrorDNA's plain files.

use serde_json::json;

use crate::agent::handoff::{Envelope, read_envelope};
use crate::agent::standup::words::subject;

/// So many lines of a task in Markdown are looked through for whom it is.
const HEAD_LINES: usize = 30;

/// Reads `_rejected.log`: a line an entry, ts, run_id, item, url and reason between tabs. Returns them as lines
/// of JSON, and how many lines have another form.
pub fn rejected_lines(bytes: &[u8]) -> (Vec<u8>, usize) {
    let (mut lines, mut odd) = (String::new(), 0);
    for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.trim().is_empty()) {
        let parts: Vec<&str> = line.splitn(5, '\t').collect();
        match parts.as_slice() {
            [ts, ..] if ts.trim_start_matches('#').trim() == "ts" => {} // the line of headings
            [ts, run_id, item, url, reason] => {
                let entry = json!({"ts": ts, "run_id": run_id, "item": item, "url": url, "reason": reason});
                lines.push_str(&format!("{entry}\n"));
            }
            _ => odd += 1,
        }
    }
    (lines.into_bytes(), odd)
}

/// Reads `ledger.md`: lines of the form `ISO | client | ACTION`; everything else in it is prose.
pub fn ledger_lines(bytes: &[u8]) -> Vec<u8> {
    let mut lines = String::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        let line = line.trim().trim_start_matches(['-', '*', '|']).trim();
        let parts: Vec<&str> = line.splitn(3, '|').map(str::trim).collect();
        let [at, client, action] = parts.as_slice() else { continue };
        let is_dated = at.len() >= 10 && at.as_bytes()[..4].iter().all(u8::is_ascii_digit);
        if is_dated {
            let action = action.trim_end_matches('|').trim();
            lines.push_str(&format!("{}\n", json!({"at": at, "client": client, "action": action})));
        }
    }
    lines.into_bytes()
}

/// Reads a task, from `handoff.json` or from Markdown.
pub fn handoff_of(bytes: &[u8], is_json: bool) -> Option<Envelope> {
    if is_json {
        return read_envelope(bytes);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let summary = Some(subject(text)).filter(|summary| !summary.is_empty())?;
    let named = |names: [&str; 3]| {
        text.lines().take(HEAD_LINES).find_map(|line| {
            let plain = line.replace(['*', '`'], "");
            let (name, value) = plain.trim_start_matches(['-', ' ', '>']).split_once(':')?;
            let is_it = names.iter().any(|wanted| name.trim().eq_ignore_ascii_case(wanted));
            Some(value.trim().to_owned()).filter(|value| is_it && !value.is_empty())
        })
    };
    Some(Envelope {
        to: named(["to", "next_client", "next client"]),
        from: named(["from", "client", "author"]),
        left_at: named(["timestamp", "date", "created"]),
        summary,
        ..Envelope::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejections_and_ledgers_become_lines() {
        let (lines, odd) = rejected_lines(b"# ts\trun_id\titem\turl\treason\n2026-02-23T10:00:00Z\tr1\ta\thttps://x.example/a\tno hash\twith tab\nodd\n");
        let text = String::from_utf8(lines).expect("text");
        assert_eq!((text.lines().count(), odd), (1, 1));
        assert!(text.contains("\"reason\":\"no hash\\twith tab\""), "{text}");
        let lines = ledger_lines(b"# Ledger\n\n2026-02-23T10:00:00Z | claude | WRITE | twice\n- 2026-02-24 | codex | READ\nprose | with | bars\n");
        let text = String::from_utf8(lines).expect("text");
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("\"action\":\"WRITE | twice\""), "{text}");
    }

    #[test]
    fn a_task_in_markdown_says_for_whom_it_is() {
        let task =
            handoff_of(b"# Finish the parser\n\n**To:** codex\n- From: claude\n", false).expect("a task");
        assert_eq!((task.summary.as_str(), task.to.as_deref()), ("Finish the parser", Some("codex")));
        assert_eq!(task.from.as_deref(), Some("claude"));
        assert_eq!(handoff_of(b"", false), None);
    }
}
