//! Events and the commits that have them.
//!
//! A commit that `note` made names its event; for others the versions of the stream are searched by halves,
//! within a budget. An event whose commit is not found so is told without one.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::past::{Chosen, Past};
use super::{Gathered, Item, Since};
use crate::agent::boot::collect::event_text;
use crate::agent::news::{EventNews, new_events, stream};
use crate::env::Moment;
use crate::events::{EventId, Stream};
use crate::object::{Mode, ObjectId, VaultPath, entry_at};
use crate::vault::{Result, Vault};

/// So many bytes of old versions of streams are read to find out which commit has an event.
const SEARCHED_BYTES_MAX: u64 = 64 << 20;

/// Gathers events that came since, or were made since.
pub(super) fn gather(vault: &Vault, past: &Past, since: &Since, gathered: &mut Gathered) -> Result<()> {
    let tree = vault.tree_of(vault.head()?)?;
    let rules = vault.rules_of(tree)?;
    let below = past.below.iter().map(|id| vault.tree_of(*id)).collect::<Result<Vec<_>>>()?;
    if past.chosen.is_empty() {
        return Ok(());
    }
    let base = vault.tree_of(past.base)?;
    let mut found = new_events(vault, vault.store(), &rules, &below, tree)?;
    let is_all_new = below == [base] || past.chosen.iter().all(|chosen| chosen.is_new);
    if !is_all_new {
        let now = vault.env().clock.now();
        let came: HashSet<EventId> = new_events(vault, vault.store(), &rules, &[base], tree)?
            .iter()
            .map(|news| news.event.id)
            .collect();
        found.retain(|news| {
            let at = &news.event.at;
            came.contains(&news.event.id) || since.covers(at, Moment::parse_rfc3339(at), now)
        });
    }
    let in_head = below.iter().copied().chain([tree]).collect::<Vec<_>>();
    let mut waiting = HashSet::new();
    for head in &past.waiting {
        let news = new_events(vault, vault.store(), &rules, &in_head, vault.tree_of(*head)?)?;
        found.extend(news.into_iter().filter(|news| waiting.insert(news.event.id)));
    }
    let commits = commits_of(vault, past, &found)?;
    // What waits and came before is not chosen, and neither are its events.
    found.retain(|news| !waiting.contains(&news.event.id) || commits.contains_key(&news.event.id));
    let own = &vault.config().device;
    for news in found {
        let event = &news.event;
        let mut item = Item::new(&event.kind, event.at.clone(), event_text(event), event.lamport);
        item.path = Some(news.stream.clone());
        item.event = Some(event.id);
        item.is_waiting = waiting.contains(&event.id);
        item.session = event.session.as_ref().map(ToString::to_string);
        if let Some(chosen) = commits.get(&event.id) {
            item.commit = Some(chosen.id);
            if event.device != *own {
                item.came(chosen.arrived);
            }
        }
        gathered.push(event.device.as_str(), item);
    }
    Ok(())
}

/// Returns the commit that has each event, as far as it is found.
fn commits_of<'p>(
    vault: &Vault,
    past: &'p Past,
    found: &[EventNews],
) -> Result<HashMap<EventId, &'p Chosen>> {
    let mut named: HashMap<(&str, String), Vec<&Chosen>> = HashMap::new();
    for chosen in &past.chosen {
        if let Some(device) = &chosen.commit.device {
            named.entry((device.as_str(), chosen.commit.title())).or_default().push(chosen);
        }
    }
    let mut commits = HashMap::new();
    let mut left: BTreeMap<&VaultPath, HashSet<EventId>> = BTreeMap::new();
    for news in found {
        let event = &news.event;
        let title = format!("{} {} of {}", event.kind, event.seq, event.device);
        match named.get(&(event.device.as_str(), title)).map(Vec::as_slice) {
            Some([chosen]) => {
                commits.insert(event.id, *chosen);
            }
            _ => {
                left.entry(&news.stream).or_default().insert(event.id);
            }
        }
    }
    let mut budget = SEARCHED_BYTES_MAX;
    for (path, wanted) in left {
        let versions = versions(vault, past, path)?;
        search(vault, &versions, wanted, &mut budget, &mut commits)?;
    }
    Ok(commits)
}

/// A version of a stream, and the first commit that has it.
type Version<'p> = (&'p Chosen, ObjectId);

/// Returns the versions that chosen commits gave a stream, the oldest first.
fn versions<'p>(vault: &Vault, past: &'p Past, path: &VaultPath) -> Result<Vec<Version<'p>>> {
    let mut versions: Vec<Version<'p>> = Vec::new();
    for chosen in &past.chosen {
        let entry = entry_at(vault.store(), chosen.commit.tree, path)?;
        let Some(entry) = entry.filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable)) else {
            continue;
        };
        if versions.last().is_none_or(|(_, id)| *id != entry.id) {
            versions.push((chosen, entry.id));
        }
    }
    Ok(versions)
}

/// Finds the first version that has each event. Versions of devices that were apart do not contain each
/// other; the search may then name a later commit than the first.
fn search<'p>(
    vault: &Vault,
    versions: &[Version<'p>],
    wanted: HashSet<EventId>,
    budget: &mut u64,
    commits: &mut HashMap<EventId, &'p Chosen>,
) -> Result<()> {
    if versions.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    let middle = (versions.len() - 1) / 2;
    let (chosen, id) = versions[middle];
    let size = vault.store().try_info(id)?.map_or(0, |(_, size)| size);
    if size > *budget {
        return Ok(());
    }
    *budget -= size;
    let bytes = stream(vault, id)?.unwrap_or_default();
    let known: HashSet<EventId> = Stream::parse(&bytes).events().map(|(_, facts)| facts.id).collect();
    let (here, later): (HashSet<EventId>, HashSet<EventId>) =
        wanted.into_iter().partition(|id| known.contains(id));
    commits.extend(here.iter().map(|id| (*id, chosen)));
    search(vault, &versions[..middle], here, budget, commits)?;
    search(vault, &versions[middle + 1..], later, budget, commits)
}
