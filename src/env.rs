//! The clock and the dice: the only places where time and randomness come in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

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

    /// Parses RFC 3339 with a zone, or `None`.
    pub fn parse_rfc3339(text: &str) -> Option<Moment> {
        let pieces = jiff::fmt::temporal::DateTimeParser::new().parse_timestamp(text).ok()?;
        let offset_minutes = match text.get(text.len().checked_sub(6)?..)? {
            zone if zone.starts_with(['+', '-']) => {
                let (hours, minutes) = zone[1..].split_once(':')?;
                let minutes: i32 = hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?;
                if zone.starts_with('-') { -minutes } else { minutes }
            }
            _ => 0,
        };
        Some(Moment { unix_ns: pieces.as_nanosecond(), offset_minutes })
    }

    /// Writes the moment as RFC 3339 with its zone, to the second.
    pub fn rfc3339(&self) -> String {
        rfc3339(self.seconds(), self.offset_minutes)
    }
}

/// Writes seconds since 1970 as RFC 3339 in the given zone; beyond the years 0 to 9999 the nearest
/// moment within.
pub fn rfc3339(seconds: i64, offset_minutes: i32) -> String {
    let (timestamp, offset) = within_years(seconds, offset_minutes);
    timestamp.display_with_offset(offset).to_string().replacen("+00:00", "Z", 1)
}

/// Returns what calendar and clock of the given zone show, and the zone's offset in minutes; beyond the years 0 to
/// 9999 of the nearest moment within, and of the nearest zone there can be.
pub fn civil(seconds: i64, offset_minutes: i32) -> (jiff::civil::DateTime, i32) {
    let (timestamp, offset) = within_years(seconds, offset_minutes);
    (offset.to_datetime(timestamp), offset.seconds() / 60)
}

fn within_years(seconds: i64, offset_minutes: i32) -> (jiff::Timestamp, jiff::tz::Offset) {
    let offset_seconds = offset_minutes.clamp(-1439, 1439) * 60;
    let offset = jiff::tz::Offset::from_seconds(offset_seconds).unwrap_or(jiff::tz::Offset::UTC);
    let first = jiff::civil::date(0, 1, 3).at(0, 0, 0, 0);
    let last = jiff::civil::date(9999, 12, 29).at(0, 0, 0, 0);
    let bound =
        |civil: jiff::civil::DateTime| offset.to_timestamp(civil).map(|t| t.as_second()).unwrap_or_default();
    let seconds = seconds.clamp(bound(first), bound(last));
    (jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH), offset)
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
    /// Returns the system's clock, in the user's zone, and the system's randomness. `zone_file` reads the file of
    /// the machine's zone, if it has one and nobody chose another.
    pub fn system(zone_file: fn() -> Option<Vec<u8>>) -> Env {
        Env { clock: Arc::new(SystemClock { zone_file }), dice: Arc::new(SystemDice) }
    }

    /// Returns 16 random bytes.
    pub fn random16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.dice.fill(&mut bytes);
        bytes
    }
}

impl Env {
    /// Returns a clock that stands still at `moment` and dice that only depend on `seed`: for tests that
    /// compare what people see, ids included.
    pub fn fixed(moment: Moment, seed: &str) -> Env {
        let dice = SeededDice { seed: seed.to_owned(), rolled: AtomicU64::new(0) };
        Env { clock: Arc::new(FixedClock(moment)), dice: Arc::new(dice) }
    }
}

struct FixedClock(Moment);

impl Clock for FixedClock {
    fn now(&self) -> Moment {
        self.0
    }
}

struct SeededDice {
    seed: String,
    rolled: AtomicU64,
}

impl Dice for SeededDice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let n = self.rolled.fetch_add(1, Ordering::Relaxed);
            let block = Sha256::digest(format!("{} {n}", self.seed));
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

struct SystemClock {
    zone_file: fn() -> Option<Vec<u8>>,
}

impl SystemClock {
    /// Returns the zone. The library would look for its name in the whole of the zone database, a folder of
    /// hundreds of files; the offset is in the one file.
    fn zone(&self) -> TimeZone {
        let file = (self.zone_file)();
        file.and_then(|bytes| TimeZone::tzif("", &bytes).ok()).unwrap_or_else(TimeZone::system)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        #[allow(clippy::disallowed_methods)] // this is where time comes in
        let timestamp = jiff::Timestamp::now();
        let offset = self.zone().to_offset(timestamp);
        Moment { unix_ns: timestamp.as_nanosecond(), offset_minutes: offset.seconds() / 60 }
    }
}

struct SystemDice;

impl Dice for SystemDice {
    fn fill(&self, bytes: &mut [u8]) {
        #[allow(clippy::disallowed_methods)] // this is where randomness comes in
        getrandom::fill(bytes).expect("the system has a source of randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_moments_are_parsed_back_with_their_zone() {
        for text in ["2023-11-15T00:13:20+02:00", "1970-01-01T00:00:00Z", "2026-01-01T23:59:59-03:30"] {
            assert_eq!(Moment::parse_rfc3339(text).expect("valid").rfc3339(), text);
        }
        assert!(Moment::parse_rfc3339("2023-11-15").is_none());
    }

    /// A file of one zone, two hours east of UTC: a header, one type of time, its name, and the rule for later.
    fn zone_file() -> Option<Vec<u8>> {
        let counts = |types: u32, letters: u32| [0, 0, 0, 0, types, letters].map(u32::to_be_bytes).concat();
        let header = |counts: Vec<u8>| [&b"TZif2"[..], &[0; 15], &counts].concat();
        let body = [&7200_i32.to_be_bytes()[..], &[0, 0], b"EET\0"].concat();
        Some([header(counts(1, 4)), body.clone(), header(counts(1, 4)), body, b"\nEET-2\n".to_vec()].concat())
    }

    #[test]
    fn the_zone_is_that_of_the_file_or_else_the_one_the_library_finds() {
        let moment = jiff::Timestamp::from_second(1_770_000_000).expect("in range");
        let offset = |zone_file| SystemClock { zone_file }.zone().to_offset(moment).seconds();
        let found = TimeZone::system().to_offset(moment).seconds();
        assert_eq!(offset(zone_file), 7200);
        assert_eq!(offset(|| None), found);
        assert_eq!(offset(|| Some(b"no zone".to_vec())), found);
    }

    #[test]
    fn fixed_surroundings_repeat_themselves_and_differ_by_seed() {
        let moment = Moment { unix_ns: 7, offset_minutes: 0 };
        let (a, b, c) = (Env::fixed(moment, "a"), Env::fixed(moment, "a"), Env::fixed(moment, "c"));
        let first = a.random16();
        assert_eq!(first, b.random16());
        assert_ne!(first, a.random16());
        assert_ne!(first, c.random16());
        assert_eq!(a.clock.now(), moment);
    }

    #[test]
    fn moments_are_written_with_their_zone() {
        assert_eq!(rfc3339(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_000, 120), "2023-11-15T00:13:20+02:00");
        assert_eq!(rfc3339(i64::MAX, -600), "9999-12-29T00:00:00-10:00");
        assert!(rfc3339(i64::MIN, 0).starts_with("0000-01-03"));
    }
}
