//! The clock and the dice: the only places where time and randomness come in.

use std::fmt;
use std::sync::Arc;

/// A moment: nanoseconds since 1970 and the offset of the local zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: i128,
    /// The offset of the local zone from UTC in minutes, east positive.
    pub offset_minutes: i32,
}

impl Moment {
    /// Returns whole seconds since 1970.
    pub fn seconds(&self) -> i64 {
        i64::try_from(self.unix_ns.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
    }

    /// Writes the moment as RFC 3339 with its zone, to the second.
    pub fn rfc3339(&self) -> String {
        rfc3339(self.seconds(), self.offset_minutes)
    }
}

/// Writes seconds since 1970 as RFC 3339 in the given zone; beyond the years 0 to 9999 the nearest
/// moment within.
pub fn rfc3339(seconds: i64, offset_minutes: i32) -> String {
    let offset_seconds = offset_minutes.clamp(-1439, 1439) * 60;
    let offset = jiff::tz::Offset::from_seconds(offset_seconds).unwrap_or(jiff::tz::Offset::UTC);
    let first = jiff::civil::date(0, 1, 3).at(0, 0, 0, 0);
    let last = jiff::civil::date(9999, 12, 29).at(0, 0, 0, 0);
    let bound =
        |civil: jiff::civil::DateTime| offset.to_timestamp(civil).map(|t| t.as_second()).unwrap_or_default();
    let seconds = seconds.clamp(bound(first), bound(last));
    let timestamp = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    timestamp.display_with_offset(offset).to_string().replacen("+00:00", "Z", 1)
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Returns the present moment.
    fn now(&self) -> Moment;
}

/// Where randomness comes from.
pub trait Dice: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// Clock and dice together, as a vault carries them.
#[derive(Clone)]
pub struct Env {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The dice.
    pub dice: Arc<dyn Dice>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}

impl Env {
    /// Returns the system's clock, in the user's zone, and the system's randomness.
    pub fn system() -> Env {
        Env { clock: Arc::new(SystemClock), dice: Arc::new(SystemDice) }
    }

    /// Returns 16 random bytes.
    pub fn random16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.dice.fill(&mut bytes);
        bytes
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let zoned = jiff::Zoned::now();
        Moment { unix_ns: zoned.timestamp().as_nanosecond(), offset_minutes: zoned.offset().seconds() / 60 }
    }
}

struct SystemDice;

impl Dice for SystemDice {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system has a source of randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_with_their_zone() {
        assert_eq!(rfc3339(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_000, 120), "2023-11-15T00:13:20+02:00");
        assert_eq!(rfc3339(i64::MAX, -600), "9999-12-29T00:00:00-10:00");
        assert!(rfc3339(i64::MIN, 0).starts_with("0000-01-03"));
    }
}
