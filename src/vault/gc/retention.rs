//! Retention: which snapshots of `saved/` stay when somebody asks to let go of the others.
//!
//! A rule keeps the newest snapshot of each of the last so many periods that have one; what any rule keeps
//! stays. Days are those of the snapshot's own time zone, weeks begin on Monday.

use std::collections::BTreeSet;

use crate::object::{CommitId, Signature, Source};
use crate::vault::{Result, Vault};

/// The rules; a rule that is not given keeps nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest.
    pub last: usize,
    /// The newest of so many days.
    pub daily: usize,
    /// The newest of so many weeks.
    pub weekly: usize,
    /// The newest of so many months.
    pub monthly: usize,
}

const DAY_S: i64 = 86_400;

/// The day of a time where it was taken, counted from 1970-01-01.
fn day(at: &Signature) -> i64 {
    (at.seconds + i64::from(at.offset_minutes) * 60).div_euclid(DAY_S)
}

/// The month of a day, counted from year 0.
fn month(day: i64) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    let date = jiff::Span::new().try_days(day).ok().and_then(|span| epoch.checked_add(span).ok());
    // Days beyond the year 9999 are all of one month.
    date.map_or(i64::MAX, |date| i64::from(date.year()) * 12 + i64::from(date.month()))
}

impl Retention {
    /// Returns which of some snapshots go; they come newest first, with the day they were taken.
    fn judge(&self, snapshots: &[(u64, i64)]) -> BTreeSet<u64> {
        let mut gone: BTreeSet<u64> = snapshots.iter().map(|(number, _)| *number).collect();
        for (number, _) in snapshots.iter().take(self.last) {
            gone.remove(number);
        }
        // 1970-01-01 was a Thursday.
        let periods: [(usize, &dyn Fn(i64) -> i64); 3] =
            [(self.daily, &|day| day), (self.weekly, &|day| (day + 3).div_euclid(7)), (self.monthly, &month)];
        for (count, period_of) in periods {
            let mut seen = BTreeSet::new();
            for (number, day) in snapshots {
                let period = period_of(*day);
                if seen.len() < count && seen.insert(period) {
                    gone.remove(number);
                }
            }
        }
        gone
    }

    /// Returns the snapshots of the vault that go, oldest first.
    pub(super) fn gone(&self, vault: &Vault) -> Result<Vec<(u64, CommitId)>> {
        let saved: Vec<(u64, CommitId)> = vault.log.refs().saved().collect();
        let mut snapshots = Vec::new();
        for (number, id) in saved.iter().rev() {
            // One that cannot be read can be let go of like any other; its day is not known.
            let taken = vault.store.find_commit(*id).map_or(0, |commit| day(&commit.committer));
            snapshots.push((*number, taken));
        }
        let gone = self.judge(&snapshots);
        Ok(saved.into_iter().filter(|(number, _)| gone.contains(number)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rules: Retention, days: &[i64]) -> Vec<u64> {
        let snapshots: Vec<(u64, i64)> =
            days.iter().enumerate().map(|(n, day)| ((days.len() - n) as u64, *day)).collect();
        let gone = rules.judge(&snapshots);
        snapshots.iter().map(|(number, _)| *number).filter(|number| !gone.contains(number)).collect()
    }

    #[test]
    fn each_rule_keeps_the_newest_of_its_periods_and_what_any_keeps_stays() {
        // 2026-11-26 is day 20783, a Thursday; newest first, two on some days.
        let days = [20783, 20783, 20782, 20780, 20779, 20778, 20750, 20749, 20720];
        let none = Retention::default();
        assert_eq!(kept(none, &days), [] as [u64; 0]);
        assert_eq!(kept(Retention { last: 2, ..none }, &days), [9, 8]);
        assert_eq!(kept(Retention { last: 100, ..none }, &days).len(), 9);
        assert_eq!(kept(Retention { daily: 3, ..none }, &days), [9, 7, 6]);
        assert_eq!(kept(Retention { weekly: 2, ..none }, &days), [9, 5], "20780 is a Monday");
        assert_eq!(kept(Retention { monthly: 2, ..none }, &days), [9, 3], "2026-10-24");
        assert_eq!(kept(Retention { last: 1, monthly: 3, ..none }, &days), [9, 3, 1], "2026-09-24");
    }
}
