//! Standup: what each device added since yesterday, or since any other moment or commit.
//!
//! - Told is what came to this device's head since then, and besides, what was made since then by its own
//!   device's clock though it was here before. So what a phone wrote yesterday while it was offline is told
//!   today, under yesterday, marked as arrived late; and what was told is not told again for ever.
//! - An item belongs to the day on which its device made it, in that device's zone.
//! - What waits for a conflict or a hold is told as well, marked.
//! - Items of a device are ordered by stamp: by what it knew, not by what its clock said.
//! - Other devices' rejections, and when they reconciled, are not known here: those logs stay where they are.
//!
//! [`past`] says how far back is read.

mod events;
mod files;
mod past;
mod waiting;
pub mod words;

use std::collections::BTreeMap;

use jiff::civil::Date;

use self::past::{Chosen, Meeting, Past};
use super::boot::collect::count;
use crate::env::{Moment, rfc3339};
use crate::events::EventId;
use crate::gateway::Reason;
use crate::object::{CommitId, Lamport, Source, VaultPath};
use crate::vault::{Result, Vault, revision};

/// What comes this much later than it was made, on another day, arrived late.
const LATE_SECONDS: i64 = 15 * 60;
/// So far ahead of this device's clock another one may be.
const AHEAD_SECONDS: i64 = 60 * 60;
/// So many logs of rejections, the newest, are looked through.
const REJECTION_LOGS_LOOKED_AT: usize = 64;

/// From when on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// From the beginning of a day.
    Day {
        /// The day, as the devices date what they make.
        date: Date,
        /// When it began in the viewer's zone, in seconds since 1970.
        from: i64,
    },
    /// From a moment, in seconds since 1970.
    Moment(i64),
    /// From a commit: all that came after it.
    Commit(CommitId),
}

impl Since {
    /// Reads what a person typed: `yesterday`, `today`, a date, a time as `log --since` takes it, or a
    /// revision.
    pub fn parse(vault: &Vault, text: &str) -> Result<Since> {
        let now = vault.env().clock.now();
        let today: Option<Date> = now.rfc3339().get(..10).and_then(|day| day.parse().ok());
        let day = match text.trim().to_lowercase().as_str() {
            "today" => today,
            "yesterday" => today.and_then(|today| today.yesterday().ok()),
            other => other.parse().ok().filter(|_| other.len() == 10),
        };
        if let Some(date) = day {
            let start = revision::parse_moment(&format!("{date}T00:00:00"), now);
            return Ok(Since::Day { date, from: start.unwrap_or_default() });
        }
        match revision::parse_moment(text, now) {
            Some(moment) => Ok(Since::Moment(moment)),
            None => Ok(Since::Commit(vault.resolve(text)?)),
        }
    }

    /// Returns the moment it begins with; for a commit the first there is.
    fn from(&self) -> i64 {
        match self {
            Since::Day { from, .. } | Since::Moment(from) => *from,
            Since::Commit(_) => i64::MIN,
        }
    }

    /// Tells whether what was made then belongs to it by its own day or moment. What is dated after now does
    /// not: the clock of its device is ahead, and it would be told every day.
    fn covers(&self, at: &str, moment: Option<Moment>, now: Moment) -> bool {
        if moment.is_some_and(|moment| moment.seconds() > now.seconds().saturating_add(AHEAD_SECONDS)) {
            return false;
        }
        match self {
            Since::Commit(_) => false,
            Since::Moment(from) => moment.is_some_and(|moment| moment.seconds() >= *from),
            Since::Day { date, from } => {
                let own: Option<Date> = at.get(..10).and_then(|day| day.parse().ok());
                own.is_some_and(|own| own >= *date) || moment.is_some_and(|moment| moment.seconds() >= *from)
            }
        }
    }
}

/// Something that a device added.
#[derive(Clone, Debug)]
pub struct Item {
    /// What: the kind of an event, or `distillate`, `canonical`, `file`, `rollback`, `resolution`,
    /// `reconcile`, `rejection`.
    pub kind: String,
    /// When, by the clock and in the zone of its device: RFC 3339.
    pub at: String,
    /// Its text.
    pub text: String,
    /// The file or stream.
    pub path: Option<VaultPath>,
    /// The commit that has it.
    pub commit: Option<CommitId>,
    /// The event.
    pub event: Option<EventId>,
    /// The agent's session.
    pub session: Option<String>,
    /// Its stamp.
    pub lamport: Lamport,
    /// When it came here, of what another device made; none if that is not known.
    pub arrived: Option<Moment>,
    /// Whether it came on a later day than it was made on.
    pub arrived_late: bool,
    /// Whether it is not in this device's head yet: a conflict or a hold keeps it.
    pub is_waiting: bool,
}

impl Item {
    fn new(kind: &str, at: String, text: String, lamport: Lamport) -> Item {
        Item {
            kind: kind.to_owned(),
            at,
            text,
            path: None,
            commit: None,
            event: None,
            session: None,
            lamport,
            arrived: None,
            arrived_late: false,
            is_waiting: false,
        }
    }

    /// Makes an item of what a commit did.
    fn of(chosen: &Chosen, kind: &str, text: String) -> Item {
        let made = &chosen.commit.committer;
        let at = rfc3339(made.seconds, made.offset_minutes);
        let mut item = Item::new(kind, at, text, chosen.commit.lamport);
        item.commit = Some(chosen.id);
        item.session = chosen.commit.session.as_ref().map(ToString::to_string);
        item.is_waiting = chosen.is_waiting;
        item.came(chosen.arrived);
        item
    }

    /// Returns the day it was made on, by its device: `2026-11-21`.
    pub fn day(&self) -> &str {
        self.at.get(..10).unwrap_or(&self.at)
    }

    /// Notes when it came.
    fn came(&mut self, arrived: Option<Moment>) {
        self.arrived = arrived;
        let made = Moment::parse_rfc3339(&self.at);
        if let (Some(arrived), Some(made)) = (arrived, made) {
            let is_later_day = arrived.rfc3339().get(..10) > Some(self.day());
            self.arrived_late = is_later_day && arrived.seconds() - made.seconds() >= LATE_SECONDS;
        }
    }
}

/// What one device added.
#[derive(Clone, Debug)]
pub struct DeviceItems {
    /// The device.
    pub device: String,
    /// What it added, the newest last.
    pub items: Vec<Item>,
}

/// What was added.
#[derive(Clone, Debug)]
pub struct Standup {
    /// From when on.
    pub since: Since,
    /// The devices that added something; the one with the newest item last.
    pub devices: Vec<DeviceItems>,
    /// How many commits there are whose files were not looked at, because there are too many.
    pub commits_left_out: usize,
}

/// Collects what each device added.
pub fn standup(vault: &Vault, since: Since) -> Result<Standup> {
    let past = past::read(vault, &since)?;
    let mut gathered = Gathered::default();
    let commits_left_out = files::gather(vault, &past, &mut gathered)?;
    events::gather(vault, &past, &since, &mut gathered)?;
    let own = vault.config().device.to_string();
    for meeting in reconciles(vault, &past)? {
        gathered.push(&own, meeting);
    }
    for rejection in rejections(vault, &past)? {
        gathered.push(&own, rejection);
    }
    Ok(Standup { since, devices: gathered.finish(), commits_left_out })
}

/// What was found so far, by device.
#[derive(Default)]
struct Gathered(BTreeMap<String, Vec<Item>>);

impl Gathered {
    fn push(&mut self, device: &str, item: Item) {
        self.0.entry(device.to_owned()).or_default().push(item);
    }

    fn finish(self) -> Vec<DeviceItems> {
        let mut devices: Vec<DeviceItems> =
            self.0.into_iter().map(|(device, items)| DeviceItems { device, items }).collect();
        for DeviceItems { items, .. } in &mut devices {
            items.sort_by(|a, b| (a.lamport, &a.at, &a.kind).cmp(&(b.lamport, &b.at, &b.kind)));
        }
        let newest = |items: &[Item]| items.last().map(|item| item.lamport);
        devices.sort_by(|a, b| (newest(&a.items), &a.device).cmp(&(newest(&b.items), &b.device)));
        devices
    }
}

/// Tells the meetings with other devices, those of a day as one.
fn reconciles(vault: &Vault, past: &Past) -> Result<Vec<Item>> {
    let mut days: Vec<(String, Vec<&Meeting>)> = Vec::new();
    for meeting in &past.meetings {
        let day = meeting.operation.at.get(..10).unwrap_or_default().to_owned();
        match days.last_mut() {
            Some((known, meetings)) if *known == day => meetings.push(meeting),
            _ => days.push((day, vec![meeting])),
        }
    }
    let mut items = Vec::new();
    for (_, meetings) in days {
        let mut by_device: BTreeMap<String, usize> = BTreeMap::new();
        let (mut derived, mut stamp) = (0, Lamport::default());
        for meeting in &meetings {
            let head = vault.store().find_commit(meeting.head)?;
            derived += usize::from(head.is_derived());
            stamp = head.lamport;
            for id in &meeting.brought {
                let device = vault.store().find_commit(*id)?.device;
                *by_device.entry(device.map_or("?".into(), |d| d.to_string())).or_default() += 1;
            }
        }
        let brought: Vec<String> =
            by_device.iter().map(|(device, n)| format!("{} of {device}", count(*n, "commit"))).collect();
        let Some(last) = meetings.last() else { continue };
        let how = match derived {
            0 => "came in, nothing had to be merged".to_owned(),
            _ => format!(
                "came in, merged {}",
                if derived == 1 { "once".into() } else { format!("{derived} times") }
            ),
        };
        let operation = &last.operation;
        let text = format!("{} {how}", brought.join(", "));
        let mut item = Item::new("reconcile", operation.at.clone(), text, stamp);
        item.commit = Some(last.head);
        item.session = operation.session.as_ref().map(ToString::to_string);
        items.push(item);
    }
    Ok(items)
}

/// Tells what was refused on this device.
fn rejections(vault: &Vault, past: &Past) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let own = Some(&vault.config().device);
    // Nothing stamps a rejection; by the one clock of this device it is put behind the commit before it.
    let commits = past.chosen.iter().map(|chosen| &chosen.commit);
    let commits: Vec<_> = commits.filter(|commit| commit.device.as_ref() == own).collect();
    let stamp_at = |seconds: i64| {
        let before = commits.iter().filter(|commit| commit.committer.seconds <= seconds);
        before.map(|commit| commit.lamport).max().unwrap_or_default()
    };
    for session in vault.rejection_sessions()?.into_iter().take(REJECTION_LOGS_LOOKED_AT) {
        for entry in vault.rejections(session.as_ref())? {
            let Some(made) = Moment::parse_rfc3339(&entry.at).map(|made| made.seconds()) else { continue };
            if made < past.from {
                continue;
            }
            let words = entry.known_reason().map_or("for an unknown reason", Reason::as_str);
            let text = format!("{} refused: {words}. {}", entry.path, entry.hint);
            let mut item = Item::new("rejection", entry.at.clone(), text, stamp_at(made));
            item.path = VaultPath::parse(entry.path_bytes()).ok();
            item.session = entry.session.clone();
            items.push(item);
        }
    }
    Ok(items)
}
