//! Seeded runs: devices that commit, meet in any order and direction over links that are cut at random
//! frames. At the end all have one frontier, and everything that was ever acknowledged is in it.

use std::collections::BTreeSet;

use super::place::{FETCH, PUSH, Place, SYNC, cut_session, session};
use crate::object::{CommitId, Source};

/// A small generator: the same numbers for the same seed on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }
}

fn two(places: &mut [Place], a: usize, b: usize) -> (&mut Place, &mut Place) {
    let (low, high) = places.split_at_mut(a.max(b));
    if a < b { (&mut low[a], &mut high[0]) } else { (&mut high[0], &mut low[b]) }
}

fn ancestors(place: &Place) -> BTreeSet<CommitId> {
    let mut all = BTreeSet::new();
    let mut stack: Vec<CommitId> = place.heads.iter().copied().collect();
    while let Some(id) = stack.pop() {
        if all.insert(id) {
            stack.extend(place.store.find_commit(id).expect("an ancestor").parents);
        }
    }
    all
}

fn run(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(2_654_435_761) + 1);
    let names = ["mac", "pixel", "work", "nas"];
    let first = Place::new(names[0]);
    let count = 2 + dice.below(3);
    let mut places: Vec<Place> = names[1..count].iter().map(|name| first.cloned(name)).collect();
    places.insert(0, first);
    let mut made = BTreeSet::new();
    for step in 0..30 {
        let at = dice.below(count);
        if dice.below(2) == 0 {
            let path = ["a.md", "b.md", "dir/c.md", "dir/d/e.md"][dice.below(4)];
            let text = format!("{seed} {step}\n").repeat(1 + dice.below(200));
            made.insert(places[at].commit(&[(path, text.as_bytes())]));
            continue;
        }
        let other = (at + 1 + dice.below(count - 1)) % count;
        let intent = [FETCH, PUSH, SYNC][dice.below(3)];
        let cut = if dice.below(2) == 0 { dice.below(30) } else { usize::MAX };
        let (near, far) = two(&mut places, at, other);
        let result = cut_session(near, far, intent, cut, &mut Vec::new());
        assert!(result.is_ok() || cut < 30, "seed {seed} step {step}: {result:?}");
    }
    for _ in 0..2 {
        for at in 0..count {
            let (near, far) = two(&mut places, at, (at + 1) % count);
            let (summary, _) = session(near, far, SYNC).expect("an honest session");
            assert!(!summary.is_contradiction(), "seed {seed}");
        }
    }
    for place in &places {
        place.check();
        assert_eq!(place.heads, places[0].heads, "seed {seed}: one frontier everywhere");
        assert!(made.is_subset(&ancestors(place)), "seed {seed}: nothing that was made is lost");
    }
}

#[test]
fn devices_that_meet_over_bad_links_end_with_one_frontier() {
    for seed in 0..40 {
        run(seed);
    }
}
