//! Commits and trees read ahead: the same ones as one by one, and damage is told of the object that has it.

use super::{Place, pack};
use crate::object::{
    Commit, CommitId, DeviceName, Kind, Lamport, Mode, ObjectId, Signature, Source, Tree, TreeEntry, TreeId,
    VaultId, hash_object,
};
use crate::store::{Compaction, Leftovers, Lineage, Store};

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

/// Trees of one folder, each with another version of one of its notes, the oldest first.
fn trees(place: &Place, count: usize) -> Vec<TreeId> {
    let mut notes: Vec<ObjectId> = (0..12_u8).map(|note| ObjectId::from_bytes([note; 32])).collect();
    let mut ids: Vec<TreeId> = Vec::new();
    pack(&place.store, |writer| {
        for number in 0..count {
            notes[number % 12] = hash_object(Kind::Blob, &number.to_le_bytes());
            let entries = notes.iter().enumerate().map(|(note, id)| TreeEntry {
                name: format!("{note:02}.md").into(),
                mode: Mode::File,
                id: *id,
            });
            let bytes = Tree::from_entries(entries).encode();
            let base = ids.last().map(|id| id.object());
            ids.push(TreeId::new(writer.add(Kind::Tree, &bytes, base).expect("is added")));
        }
    });
    ids
}

/// Writes everything anew as `gc` does: commits as they were made, trees the newest first.
fn compact(place: &Place, commits: &[CommitId], trees: &[TreeId]) {
    let mut lineages: Vec<Lineage> = commits.iter().map(|id| vec![id.object()]).collect();
    lineages.push(trees.iter().rev().map(|id| id.object()).collect());
    let prepared = Compaction::prepare(&place.store, &lineages, Leftovers::Keep, &|_, _| {});
    prepared.expect("is written").finish().expect("is in place");
}

fn meet_trees(store: &Store, ids: &[TreeId]) {
    for id in ids.iter().rev() {
        let bytes = store.tree_of_walk(*id).expect("is there");
        assert_eq!(hash_object(Kind::Tree, &bytes), id.object());
    }
}

/// A collection compresses small commits with a dictionary and turns the order of trees round. Neither was read
/// ahead then: a walk was one look-up after the other.
#[test]
fn a_walk_reads_ahead_before_and_after_a_collection() {
    let place = Place::new();
    let (ids, trees) = (row(&place, 5000, 5000), trees(&place, 3000));
    for is_compacted in [false, true] {
        if is_compacted {
            compact(&place, &ids, &trees);
            let forms = place.reopen().locate(&ids[9].object()).expect("read").expect("is there").entry.form;
            assert!(matches!(forms, crate::store::pack::format::Form::Dictionary(_)), "{forms:?}");
        }
        let store = place.reopen();
        let (met, stopped) = walk(&store, *ids.last().expect("some"));
        assert_eq!((met.len(), stopped), (ids.len(), None));
        meet_trees(&store, &trees);
        let [commits_ahead, trees_ahead] = [Kind::Commit, Kind::Tree].map(|kind| store.read_ahead_of(kind));
        assert!(commits_ahead > ids.len() / 2, "{commits_ahead}");
        assert!(trees_ahead > trees.len() / 2, "{trees_ahead}");
    }
}

#[test]
fn a_look_at_the_last_few_reads_nothing_ahead() {
    let place = Place::new();
    let (ids, trees) = (row(&place, 5000, 5000), trees(&place, 3000));
    let store = place.reopen();
    ids.iter().rev().take(20).for_each(|id| drop(store.commit(*id).expect("is there")));
    meet_trees(&store, &trees[2980..]);
    assert_eq!([Kind::Commit, Kind::Tree].map(|kind| store.read_ahead_of(kind)), [0, 0]);
}

#[test]
fn what_is_in_memory_of_a_walk_is_bounded_by_bytes() {
    let place = Place::new();
    let ids: Vec<TreeId> = {
        let mut ids = Vec::new();
        pack(&place.store, |writer| {
            for number in 0..200_u64 {
                let entries = (0..8000).map(|note| TreeEntry {
                    name: format!("{note:04}.md").into(),
                    mode: Mode::File,
                    id: hash_object(Kind::Blob, &(if note == number { number } else { 0 }).to_le_bytes()),
                });
                let bytes = Tree::from_entries(entries).encode();
                let base = ids.last().map(|id: &TreeId| id.object());
                ids.push(TreeId::new(writer.add(Kind::Tree, &bytes, base).expect("is added")));
            }
        });
        ids
    };
    let store = place.reopen();
    meet_trees(&store, &ids[168..]);
    let read = store.read_ahead_of(Kind::Tree);
    assert!((1..=12).contains(&read), "{read} trees of 376,000 bytes each");
}
