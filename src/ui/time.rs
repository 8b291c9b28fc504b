//! Times as people read them.

use std::fmt::{self, Write};

use crate::env::civil;

/// Returns a moment as `2026-11-22 06:40:00 +0100`.
pub fn absolute(seconds: i64, offset_minutes: i32) -> String {
    let mut text = String::new();
    let _infallible = write_absolute(&mut text, seconds, offset_minutes);
    text
}

/// Writes a moment as [`absolute`] does.
pub fn write_absolute(out: &mut impl Write, seconds: i64, offset_minutes: i32) -> fmt::Result {
    let (at, offset_minutes) = civil(seconds, offset_minutes);
    let (year, month, day) = (at.year(), at.month(), at.day());
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let offset = offset_minutes.unsigned_abs();
    write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} ")?;
    write!(out, "{sign}{:02}{:02}", offset / 60, offset % 60)
}

/// Returns how long ago a moment was, in one unit; a moment ahead of the clock is said to be so.
pub fn relative(seconds: i64, now_seconds: i64) -> String {
    let mut text = String::new();
    let _infallible = write_relative(&mut text, seconds, now_seconds);
    text
}

/// Writes how long ago a moment was as [`relative`] does.
pub fn write_relative(out: &mut impl Write, seconds: i64, now_seconds: i64) -> fmt::Result {
    let apart = now_seconds.saturating_sub(seconds);
    let ahead = if apart < 0 { "ahead of this clock" } else { "ago" };
    let apart = apart.unsigned_abs();
    const UNITS: [(u64, &str); 6] = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (7 * 86_400, "week"),
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
    ];
    match UNITS.iter().find(|(length, _)| apart >= *length) {
        None => out.write_str("just now"),
        Some((length, unit)) => {
            let count = apart / length;
            write!(out, "{count} {unit}{} {ahead}", if count == 1 { "" } else { "s" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_with_their_zone() {
        assert_eq!(absolute(0, 0), "1970-01-01 00:00:00 +0000");
        assert_eq!(absolute(1_700_000_000, -210), "2023-11-14 18:43:20 -0330");
        assert_eq!(absolute(i64::MAX, 0), "9999-12-29 00:00:00 +0000");
        assert_eq!(absolute(i64::MIN, 9999), "0000-01-03 00:00:00 +2359");
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
