//! Commits read ahead: the same ones as one by one, and damage is told of the commit that has it.

use super::{Place, pack};
use crate::object::{Commit, CommitId, DeviceName, Kind, Lamport, Signature, Source, TreeId, VaultId};
use crate::store::Store;

/// A row of commits, the root first, in packs of so many.
fn row(place: &Place, count: u64, in_pack: usize) -> Vec<CommitId> {
    let mut ids: Vec<CommitId> = Vec::new();
    let commits: Vec<Commit> = (1..=count)
        .map(|number| {
            let who = Signature::new("paul", "paul@mac", number as i64, 60);
            let commit = Commit {
                tree: TreeId::empty(),
                parents: ids.last().copied().into_iter().collect(),
                author: who.clone(),
                committer: who,
                lamport: Lamport(number),
                device: DeviceName::parse("mac"),
                session: None,
                restores: None,
                purges: Vec::new(),
                reconcile: None,
                vault: ids.is_empty().then(|| VaultId::new([7; 16])),
                extra: Vec::new(),
                message: format!("the commit of number {number}, and why\n").into(),
            };
            ids.push(commit.id());
            commit
        })
        .collect();
    for commits in commits.chunks(in_pack) {
        pack(&place.store, |writer| {
            for commit in commits {
                let base = commit.parents.first().map(|parent| parent.object());
                writer.add(Kind::Commit, &commit.encode(), base).expect("is added");
                // A history is never commits alone.
                writer.add(Kind::Blob, &commit.message, None).expect("is added");
            }
        });
    }
    ids
}

/// Walks down from `head` and returns what was met; stops where a commit cannot be read.
fn walk(store: &Store, head: CommitId) -> (Vec<CommitId>, Option<CommitId>) {
    let mut met = Vec::new();
    let mut next = Some(head);
    while let Some(id) = next {
        let Ok(commit) = store.commit(id) else { return (met, Some(id)) };
        assert_eq!(commit.id(), id);
        met.push(id);
        next = commit.parents.first().copied();
    }
    (met, None)
}

#[test]
fn a_walk_meets_every_commit_whatever_the_packs() {
    for in_pack in [5000, 700, 40, 3] {
        let place = Place::new();
        let mut ids = row(&place, if in_pack == 3 { 300 } else { 5000 }, in_pack);
        ids.reverse();
        assert_eq!(walk(&place.reopen(), ids[0]), (ids.clone(), None), "{in_pack} a pack");
        // Up, where reading ahead is of no use, and here and there.
        let store = place.reopen();
        for id in ids.iter().rev().chain(ids.iter().step_by(37)) {
            assert_eq!(store.find_commit(*id).expect("is there").id(), *id);
        }
    }
}

#[test]
fn damage_is_met_where_it_is() {
    let place = Place::new();
    let ids = row(&place, 5000, 5000);
    let file = place.pack_path(place.reopen().packs().expect("listed")[0].id);
    let store = place.reopen();
    let entry_of = |id: &CommitId| store.locate(&id.object()).expect("is there").expect("is there").entry;
    // One whose last digit in base four is 3 carries nobody: no other is a delta on it.
    let at = (2000..).find(|at| entry_of(&ids[*at]).ordinal % 4 == 3).expect("every fourth one is");
    let entry = entry_of(&ids[at]);
    let mut bytes = std::fs::read(&file).expect("a file");
    bytes[entry.offset as usize + entry.stored as usize - 2] ^= 0x55;
    std::fs::remove_file(&file).expect("is removed");
    std::fs::write(&file, bytes).expect("is written");
    let (met, stopped) = walk(&place.reopen(), *ids.last().expect("some"));
    assert_eq!(stopped, Some(ids[at]));
    assert_eq!(met.len(), ids.len() - at - 1);
}
