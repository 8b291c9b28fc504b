//! Times as people read them.

use crate::env::rfc3339;

/// Writes a moment as `2026-11-22 06:40:00 +0100`.
pub fn absolute(seconds: i64, offset_minutes: i32) -> String {
    let text = rfc3339(seconds, offset_minutes);
    let (day, rest) = text.split_once('T').unwrap_or((&text, ""));
    let (clock, zone) = match rest.strip_suffix('Z') {
        Some(clock) => (clock, "+0000".to_owned()),
        None => {
            let (clock, zone) = rest.split_at(rest.len().saturating_sub(6));
            (clock, zone.replace(':', ""))
        }
    };
    format!("{day} {clock} {zone}")
}

/// Writes how long ago a moment was, in one unit; a moment ahead of the clock is said to be so.
pub fn relative(seconds: i64, now_seconds: i64) -> String {
    let apart = now_seconds.saturating_sub(seconds);
    let ahead = apart < 0;
    let apart = apart.unsigned_abs();
    const UNITS: [(u64, &str); 6] = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (7 * 86_400, "week"),
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
    ];
    let counted = UNITS.iter().find(|(length, _)| apart >= *length).map(|(length, unit)| {
        let count = apart / length;
        format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
    });
    match (counted, ahead) {
        (None, _) => "just now".to_owned(),
        (Some(counted), false) => format!("{counted} ago"),
        (Some(counted), true) => format!("{counted} ahead of this clock"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_with_their_zone() {
        assert_eq!(absolute(0, 0), "1970-01-01 00:00:00 +0000");
        assert_eq!(absolute(1_700_000_000, -210), "2023-11-14 18:43:20 -0330");
    }

    #[test]
    fn distances_are_told_in_one_unit() {
        let ago = |apart: i64| relative(1_000_000_000 - apart, 1_000_000_000);
        assert_eq!(ago(0), "just now");
        assert_eq!(ago(59), "just now");
        assert_eq!(ago(60), "1 minute ago");
        assert_eq!(ago(7300), "2 hours ago");
        assert_eq!(ago(6 * 86_400), "6 days ago");
        assert_eq!(ago(20 * 86_400), "2 weeks ago");
        assert_eq!(ago(400 * 86_400), "1 year ago");
        assert_eq!(ago(-3600), "1 hour ahead of this clock");
        assert!(relative(i64::MIN, i64::MAX).ends_with("years ago"));
    }
}
