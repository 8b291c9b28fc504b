//! What a person types to name a commit.
//!
//! `REV` is a branch, a tag, `DEVICE/BRANCH`, `saved/N`, `HEAD` or `@` (the branch's head), `at` (where
//! the tree stands), `op:N` (the head after operation N), an id or an unambiguous beginning of one of
//! at least four digits, or `[BRANCH]@{…}`: `@{1}` what this device's head was one move ago,
//! `@{yesterday}`, `@{3 hours ago}`, `@{2026-11-22}` what it was then. `~N` and `^N` may follow; they
//! refuse to step over a derived commit without a number, because its first parent may be another
//! device's.

use std::collections::BTreeSet;

use super::{Error, ErrorKind, Result, Vault};
use crate::object::{CommitId, DeviceName, Kind, Prefix, Source};
use crate::oplog::{Label, RefName, RefTarget};

impl Vault {
    /// Returns the commit that `text` names.
    pub fn resolve(&self, text: &str) -> Result<CommitId> {
        let steps_at = text.find(['~', '^']).unwrap_or(text.len());
        let (base, steps) = text.split_at(steps_at);
        let mut commit = self.resolve_base(if base.is_empty() { "HEAD" } else { base })?;
        let mut rest = steps;
        while let Some(sign) = rest.chars().next() {
            let Some(behind) = rest.strip_prefix(['~', '^']) else { return Err(unknown(text)) };
            let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
            rest = &behind[digits.len()..];
            let number =
                if digits.is_empty() { None } else { Some(digits.parse().map_err(|_| unknown(text))?) };
            commit = match sign {
                '~' => (0..number.unwrap_or(1)).try_fold(commit, |at, _| self.parent(at, None, text))?,
                _ => self.parent(commit, number, text)?,
            };
        }
        Ok(commit)
    }

    /// Returns the commits that `text` names: what a device offered can be several.
    pub fn resolve_heads(&self, text: &str) -> Result<Vec<CommitId>> {
        for name in self.names_of(text)? {
            match self.log.refs().get(&name) {
                Some(RefTarget::Commit(_)) => break,
                Some(RefTarget::Set(ids)) => return Ok(ids.iter().copied().collect()),
                _ => {}
            }
        }
        Ok(vec![self.resolve(text)?])
    }

    fn parent(&self, commit: CommitId, number: Option<usize>, text: &str) -> Result<CommitId> {
        let object = self.store.find_commit(commit)?;
        if number == Some(0) {
            return Ok(commit);
        }
        if number.is_none() && object.is_derived() {
            return Err(self.derived_step(commit, &object.parents)?);
        }
        object.parents.get(number.unwrap_or(1) - 1).copied().ok_or_else(|| {
            let count = object.parents.len();
            Error::refused(
                ErrorKind::UnknownRevision,
                format!("{text} goes beyond the history: {} has {count} parents", commit.short()),
                "`mvault log --all --graph` shows the history",
            )
        })
    }

    fn derived_step(&self, commit: CommitId, parents: &[CommitId]) -> Result<Error> {
        let mut choices = Vec::new();
        for (at, parent) in parents.iter().enumerate() {
            let device = self.store.find_commit(*parent)?.device;
            choices.push(format!("`^{}` {}", at + 1, device.map_or("?".into(), |d| d.to_string())));
        }
        Ok(Error::refused(
            ErrorKind::AmbiguousRevision,
            format!("{} was made by reconcile: it has no one commit before it", commit.short()),
            format!(
                "choose {}; or `@{{1}}`, what this device had before; or `op:N` from `mvault audit`",
                choices.join(", ")
            ),
        ))
    }

    fn resolve_base(&self, text: &str) -> Result<CommitId> {
        if let Some((branch, moment)) = text.strip_suffix('}').and_then(|t| t.split_once("@{")) {
            return self.resolve_past(branch, moment, text);
        }
        if let Some(number) = text.strip_prefix("op:") {
            return self.resolve_operation(number, text);
        }
        match text {
            "HEAD" | "@" => return self.head(),
            "at" => return self.at(),
            _ => {}
        }
        for name in self.names_of(text)? {
            match self.log.refs().get(&name) {
                Some(RefTarget::Commit(id)) => return Ok(*id),
                Some(RefTarget::Set(ids)) => return one_of(text, ids),
                _ => {}
            }
        }
        self.resolve_prefix(text)
    }

    /// Returns the refs that `text` may stand for, the likeliest first. `pixel/main`, and `pixel` for
    /// the present branch, are what that device offered; a remote's name counts for its device.
    fn names_of(&self, text: &str) -> Result<Vec<RefName>> {
        let mut names = Vec::new();
        if let Ok(label) = Label::parse(text) {
            names.extend([RefName::Branch(label.clone()), RefName::Tag(label)]);
        }
        if text.starts_with("saved/") {
            names.extend(RefName::parse(text));
        }
        let (name, branch) = match text.split_once('/') {
            Some((name, branch)) => (name, Label::parse(branch).ok()),
            None => (text, Some(self.branch())),
        };
        let remotes = self.config.remotes()?;
        let of_remote = remotes.into_iter().find(|r| r.name == name).and_then(|r| r.device);
        if let (Some(device), Some(branch)) = (of_remote.or_else(|| DeviceName::parse(name)), branch) {
            names.push(RefName::Remote(device, branch));
        }
        Ok(names)
    }

    fn resolve_prefix(&self, text: &str) -> Result<CommitId> {
        let Ok(prefix) = Prefix::parse(text) else { return Err(unknown(text)) };
        let mut commits = Vec::new();
        for id in self.store.find_prefix(&prefix)? {
            if self.store.try_info(id)?.is_some_and(|(kind, _)| kind == Kind::Commit) {
                commits.push(CommitId::new(id));
            }
        }
        match commits.as_slice() {
            [] => Err(unknown(text)),
            [commit] => Ok(*commit),
            several => Err(ambiguous(text, several.iter())),
        }
    }

    fn resolve_operation(&self, number: &str, text: &str) -> Result<CommitId> {
        let seq: u64 = number.parse().map_err(|_| unknown(text))?;
        let refs = self.log.refs_at(seq)?.ok_or_else(|| {
            Error::refused(
                ErrorKind::UnknownRevision,
                format!("there is no operation {seq}"),
                "`mvault audit` lists the operations",
            )
        })?;
        refs.head().ok_or_else(|| unknown(text))
    }

    /// Walks this device's log back: `@{N}` counts the moves of the head, a moment is compared with the
    /// times of the operations, in the log's order.
    fn resolve_past(&self, branch: &str, moment: &str, text: &str) -> Result<CommitId> {
        let branch = match branch {
            "" | "HEAD" | "@" => self.branch(),
            label => Label::parse(label).map_err(|_| unknown(text))?,
        };
        let name = RefName::Branch(branch);
        let mut head = self.log.refs().commit(&name).ok_or_else(|| unknown(text))?;
        let until = match moment.parse::<u64>() {
            Ok(_) => None,
            Err(_) => Some(parse_moment(moment, self.env.clock.now()).ok_or_else(|| unknown(text))?),
        };
        let mut moves_left = moment.parse::<u64>().unwrap_or(u64::MAX);
        for operation in self.log.operations() {
            let operation = operation?;
            if moves_left == 0 || until.is_some_and(|until| seconds_of(&operation.at) <= until) {
                break;
            }
            let Some(change) = operation.change(&name) else { continue };
            match &change.old {
                Some(RefTarget::Commit(old)) => head = *old,
                _ => break,
            }
            moves_left -= 1;
        }
        Ok(head)
    }
}

fn one_of(text: &str, ids: &BTreeSet<CommitId>) -> Result<CommitId> {
    match ids.iter().collect::<Vec<_>>().as_slice() {
        [id] => Ok(**id),
        _ => Err(ambiguous(text, ids.iter())),
    }
}

/// Returns the seconds since 1970 of an operation's time; one that cannot be read counts as the first.
fn seconds_of(at: &str) -> i64 {
    at.parse::<jiff::Timestamp>().map_or(i64::MIN, |t| t.as_second())
}

fn unknown(text: &str) -> Error {
    let shown: String = text.chars().take(80).flat_map(char::escape_default).collect();
    Error::refused(
        ErrorKind::UnknownRevision,
        format!("nothing is called {shown:?} here"),
        "`mvault log` shows commits, `mvault branch` and `mvault tag` names; an id needs at least 4 digits",
    )
}

fn ambiguous<'a>(text: &str, ids: impl Iterator<Item = &'a CommitId>) -> Error {
    let ids: Vec<String> = ids.take(8).map(|id| id.to_string()[..16].to_owned()).collect();
    Error::refused(
        ErrorKind::AmbiguousRevision,
        format!("{text:?} could be any of {}", ids.join(", ")),
        "type more digits of the one you mean",
    )
}

/// Parses a moment as people write them: `yesterday`, `now`, `2 hours ago`, `2026-11-22`,
/// `2026-11-22T08:00`, `2026-11-22T08:00:00Z`. Returns seconds since 1970; a date means its last second
/// and `yesterday` this time of yesterday, as in git.
pub fn parse_moment(text: &str, now: crate::env::Moment) -> Option<i64> {
    let text = text.trim().to_lowercase().replace('.', " ");
    let seconds = now.seconds();
    let zone = i64::from(now.offset_minutes) * 60;
    match text.as_str() {
        "now" => return Some(seconds),
        "today" => return Some((seconds + zone).div_euclid(86_400) * 86_400 - zone),
        "yesterday" => return Some(seconds - 86_400),
        _ => {}
    }
    if let Some(amount) = text.strip_suffix(" ago") {
        let (number, unit) = amount.split_once(' ')?;
        let factor = match unit.trim().trim_end_matches('s') {
            "second" => 1,
            "minute" | "min" => 60,
            "hour" => 3600,
            "day" => 86_400,
            "week" => 7 * 86_400,
            "month" => 30 * 86_400,
            "year" => 365 * 86_400,
            _ => return None,
        };
        return seconds.checked_sub(number.trim().parse::<i64>().ok()?.checked_mul(factor)?);
    }
    let upper = text.to_uppercase();
    if let Ok(timestamp) = upper.parse::<jiff::Timestamp>() {
        return Some(timestamp.as_second());
    }
    let civil = match upper.parse::<jiff::civil::DateTime>() {
        Ok(civil) if upper.contains([' ', 'T']) => civil,
        _ => upper.parse::<jiff::civil::Date>().ok()?.at(23, 59, 59, 0),
    };
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second() - zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Moment;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now = Moment { unix_ns: 1_700_000_000 * 1_000_000_000, offset_minutes: 60 };
        for (text, expected) in [
            ("now", Some(1_700_000_000)),
            ("yesterday", Some(1_700_000_000 - 86_400)),
            ("2 hours ago", Some(1_700_000_000 - 7200)),
            ("1.day.ago", Some(1_700_000_000 - 86_400)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000)),
            ("2023-11-14T23:13:20", Some(1_700_000_000)),
            // 23:59:59 in a zone one hour east is 22:59:59 UTC.
            ("2023-11-14", Some(1_700_002_799)),
            ("soon", None),
            ("99999999999999999999 years ago", None),
        ] {
            assert_eq!(parse_moment(text, now), expected, "{text}");
        }
    }
}
