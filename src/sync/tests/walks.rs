//! The walks over history, compared with the plain way on random histories.

use std::collections::BTreeSet;

use super::place::Place;
use crate::object::{Commit, CommitId, Kind, Lamport, Source, TreeId};
use crate::sync::negotiate::{Ancestry, Walk, missing};

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }
}

/// Makes a random history with forks, merges and leaps of the stamp.
fn history(dice: &mut Dice, count: usize) -> (Place, Vec<Commit>) {
    let place = Place::new("mac");
    let root = place.store_commit(*place.heads.iter().next().expect("the root"));
    let mut commits = vec![root];
    while commits.len() < count {
        let recent = commits.len().saturating_sub(8);
        let parents: BTreeSet<usize> =
            (0..1 + dice.below(2)).map(|_| recent + dice.below(commits.len() - recent)).collect();
        let mut commit = commits[0].clone();
        commit.vault = None;
        commit.parents = parents.iter().map(|at| commits[*at].id()).collect();
        let highest = parents.iter().map(|at| commits[*at].lamport.0).max().expect("a parent");
        commit.lamport = Lamport(highest + 1 + dice.below(5) as u64);
        commit.message = commits.len().to_string().into();
        commits.push(commit);
    }
    place.put(commits.iter().map(|commit| (Kind::Commit, commit.encode())).collect());
    assert_eq!(commits[0].tree, TreeId::empty());
    (place, commits)
}

fn plain_ancestors(place: &Place, heads: &[CommitId]) -> BTreeSet<CommitId> {
    let mut all = BTreeSet::new();
    let mut stack = heads.to_vec();
    while let Some(id) = stack.pop() {
        if all.insert(id) {
            stack.extend(place.store_commit(id).parents);
        }
    }
    all
}

#[test]
fn walks_by_stamps_find_what_the_plain_way_finds() {
    for seed in 0..60 {
        let mut dice = Dice(seed * 77 + 5);
        let (place, commits) = history(&mut dice, 60);
        let pick = |dice: &mut Dice| -> Vec<CommitId> {
            (0..1 + dice.below(3)).map(|_| commits[dice.below(commits.len())].id()).collect()
        };
        let (ours, theirs) = (pick(&mut dice), pick(&mut dice));
        let (all_ours, all_theirs) = (plain_ancestors(&place, &ours), plain_ancestors(&place, &theirs));

        let mut ancestry = Ancestry::new(place.store.clone(), theirs.iter().copied()).expect("read");
        for commit in &commits {
            let known = ancestry.contains(commit.id()).expect("read");
            assert_eq!(known, all_theirs.contains(&commit.id()), "seed {seed}");
        }

        let expected: BTreeSet<CommitId> = all_ours.difference(&all_theirs).copied().collect();
        let found = missing(&place.store, &ours, &theirs).expect("read");
        assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), expected, "seed {seed}");
        for (at, id) in found.iter().enumerate() {
            let parents = place.store_commit(*id).parents;
            assert!(parents.iter().all(|parent| !found[at..].contains(parent)), "seed {seed}: parents first");
        }

        // A walk that learns their heads only as ids it may not know.
        let mut walk = Walk::new(place.store.clone(), &ours).expect("read");
        let mut asked = 0;
        let stamped: Vec<_> = theirs.iter().map(|id| (*id, place.store_commit(*id).lamport)).collect();
        let mut rounds = 0;
        while !walk.is_done() {
            let batch = walk.next_batch(16).expect("read");
            let bits: Vec<bool> = batch.iter().map(|id| all_theirs.contains(id)).collect();
            asked += batch.len();
            assert!(walk.answer(&bits).expect("read"));
            if rounds == 0 {
                walk.learn(&stamped).expect("read");
            }
            rounds += 1;
        }
        let common = walk.common(usize::MAX).expect("read");
        assert!(common.iter().all(|id| all_theirs.contains(id)), "seed {seed}");
        let left = missing(&place.store, &ours, &common).expect("read");
        assert_eq!(left.iter().copied().collect::<BTreeSet<_>>(), expected, "seed {seed}");
        assert!(asked <= expected.len() + 2 * 16, "seed {seed}: {asked} questions for {}", expected.len());
    }
}

#[test]
fn answers_of_another_number_are_not_taken() {
    let place = Place::new("mac");
    let heads: Vec<CommitId> = place.heads.iter().copied().collect();
    let mut walk = Walk::new(place.store.clone(), &heads).expect("read");
    let batch = walk.next_batch(10).expect("read");
    assert_eq!(batch, heads);
    assert!(!walk.answer(&[true, true]).expect("read"));
    assert!(place.store.find_commit(heads[0]).is_ok());
}

/// The cost of each walk is that of what is new, however long the history is: commits that were asked for are
/// counted, so that a walk to the root shows.
#[test]
fn walks_read_what_is_new_and_not_all_of_history() {
    for length in [100, 3000] {
        let place = Place::new("mac");
        let mut commit = place.store_commit(*place.heads.iter().next().expect("the root"));
        let mut ids = vec![commit.id()];
        let mut commits = Vec::new();
        for number in 0..length {
            commit.vault = None;
            commit.parents = vec![*ids.last().expect("one before")];
            commit.lamport.0 += 1;
            commit.message = number.to_string().into();
            ids.push(commit.id());
            commits.push(commit.clone());
        }
        // Each side has one that the other has not.
        let mut theirs = commit.clone();
        theirs.message = "theirs".into();
        commits.push(theirs.clone());
        place.put(commits.iter().map(|commit| (Kind::Commit, commit.encode())).collect());
        let (ours, theirs) = (*ids.last().expect("the newest"), theirs.id());
        let cost = |act: &dyn Fn()| {
            let before = place.store.commits_asked();
            act();
            place.store.commits_asked() - before
        };
        let known = ids[ids.len() - 4];
        let asked = cost(&|| {
            let mut ancestry = Ancestry::new(place.store.clone(), [ours]).expect("read");
            assert!(!ancestry.contains(theirs).expect("read"));
            assert!(ancestry.contains(known).expect("read"));
        });
        assert!(asked < 20, "is it known: {asked} of {length}");
        let asked = cost(&|| assert_eq!(missing(&place.store, &[ours], &[theirs]).expect("read"), [ours]));
        assert!(asked < 20, "what is missing: {asked} of {length}");
        let asked = cost(&|| {
            let mut walk = Walk::new(place.store.clone(), &[ours]).expect("read");
            let batch = walk.next_batch(4096).expect("read");
            walk.learn(&[(theirs, commit.lamport)]).expect("read");
            assert!(walk.answer(&batch.iter().map(|id| *id != ours).collect::<Vec<_>>()).expect("read"));
            assert!(walk.is_done());
        });
        assert!(asked < 120, "a negotiation: {asked} of {length}");
    }
}
