//! What commits did to files, told once a day and device for each file.

use super::past::{Chosen, Past};
use super::words::{changes, subject};
use super::{Gathered, Item};
use crate::agent::boot::collect::count;
use crate::agent::news::changed_by;
use crate::object::{BlobId, ObjectId, Source, VaultPath};
use crate::vault::rules::{Class, VaultRules};
use crate::vault::{Result, Vault};

/// So many commits are looked through for the files they changed, the newest.
const COMMITS_LOOKED_AT: usize = 5_000;
/// So many files of one commit are told one by one.
const FILES_TOLD: usize = 20;
/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What became of a file on a day.
struct Run<'a> {
    path: VaultPath,
    class: Class,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
    last: &'a Chosen,
    device: String,
}

/// Gathers what became of files. Returns how many commits were not looked at.
pub(super) fn gather(vault: &Vault, past: &Past, gathered: &mut Gathered) -> Result<usize> {
    let rules = vault.rules_of(vault.tree_of(vault.head()?)?)?;
    let left_out = past.chosen.len().saturating_sub(COMMITS_LOOKED_AT);
    let mut runs: Vec<Run<'_>> = Vec::new();
    for chosen in &past.chosen[left_out..] {
        let device = device_of(chosen);
        let commit = &chosen.commit;
        if let Some(restores) = commit.restores {
            let text = format!("rolled back to {}: {}", restores.short(), commit.title());
            gathered.push(&device, Item::of(chosen, "rollback", text));
            continue;
        }
        if commit.parents.len() > 1 {
            gathered.push(&device, Item::of(chosen, "resolution", commit.title()));
        }
        take_files(vault, &rules, chosen, &mut runs, gathered)?;
    }
    for run in runs {
        if run.old != run.new {
            let item = told(vault, &run);
            gathered.push(&run.device, item);
        }
    }
    Ok(left_out)
}

fn device_of(chosen: &Chosen) -> String {
    chosen.commit.device.as_ref().map_or("unknown".to_owned(), ToString::to_string)
}

fn take_files<'a>(
    vault: &Vault,
    rules: &VaultRules,
    chosen: &'a Chosen,
    runs: &mut Vec<Run<'a>>,
    gathered: &mut Gathered,
) -> Result<()> {
    let device = device_of(chosen);
    let mut changed = changed_by(vault, vault.store(), &chosen.commit)?;
    changed.retain(|diff| !matches!(rules.class_of(&diff.path), Class::Stream | Class::Sidecar));
    // Notes come last, so that they are what is counted instead of told.
    changed.sort_by_key(|diff| rules.class_of(&diff.path) == Class::Note);
    let more = changed.len().saturating_sub(FILES_TOLD);
    for diff in changed.into_iter().take(FILES_TOLD) {
        let class = rules.class_of(&diff.path);
        let (old, new) = (diff.old.map(|old| old.id.object()), diff.new.map(|new| new.id.object()));
        let same_day = |run: &&mut Run<'_>| {
            run.path == diff.path
                && run.device == device
                && run.new == old
                && Item::of(run.last, "", String::new()).day() == Item::of(chosen, "", String::new()).day()
        };
        match runs.iter_mut().rev().find(same_day) {
            Some(run) => (run.new, run.last) = (new, chosen),
            None => {
                let device = device.clone();
                runs.push(Run { path: diff.path, class, old, new, last: chosen, device });
            }
        }
    }
    if more > 0 {
        let text = format!("{} changed in the same commit", count(more, "more file"));
        gathered.push(&device, Item::of(chosen, "file", text));
    }
    Ok(())
}

fn told(vault: &Vault, run: &Run<'_>) -> Item {
    let text_of = |id: Option<ObjectId>| id.and_then(|id| read(vault, id));
    let what = match (run.old, run.new) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    let (old, new) = (text_of(run.old), text_of(run.new));
    let text = match (run.class, old, new) {
        (_, _, None) => format!("{what} {}", run.path),
        (Class::Canonical, old, Some(new)) => {
            format!("{}: {}", run.path, changes(&old.unwrap_or_default(), &new))
        }
        (_, _, Some(new)) => match subject(&new) {
            subject if subject.is_empty() => format!("{what} {}", run.path),
            subject => format!("{what} {}: {subject}", run.path),
        },
    };
    let kind = match run.class {
        Class::Canonical => "canonical",
        Class::Distillate => "distillate",
        _ => "file",
    };
    let mut item = Item::of(run.last, kind, text);
    item.path = Some(run.path.clone());
    item
}

/// Returns a file's text; none if it is no text, too long or damaged.
fn read(vault: &Vault, id: ObjectId) -> Option<String> {
    let (_, size) = vault.store().try_info(id).ok().flatten()?;
    if size > FILE_BYTES_MAX {
        return None;
    }
    let bytes = vault.store().find_blob(BlobId::new(id)).ok()?;
    std::str::from_utf8(&bytes).ok().map(str::to_owned)
}
