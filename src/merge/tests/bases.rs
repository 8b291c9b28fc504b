//! Ancestry, frontiers and merge bases: one test a rule.

use super::{TestBook, World};
use crate::merge::{AheadBehind, History, MergeError, derive, may_replace, merge_remote_ref, offer};
use crate::object::{Commit, CommitId, Lamport, Object, ObjectId, Source, SourceError};

fn sorted(history: &History<'_>, ids: &[CommitId]) -> Vec<CommitId> {
    history.sorted(ids.iter().copied()).expect("known")
}

#[test]
fn a_frontier_puts_parents_for_a_derived_commit_and_drops_ancestors() {
    let world = World::default();
    let root = world.root();
    let a = world.files("mac", &[root], &[("a", "1")]);
    let b = world.files("pixel", &[root], &[("b", "1")]);
    let derived = derive(&world.objects, &TestBook, &[a, b]).expect("folds");
    world.keep(&derived.objects);
    let d = derived.head.expect("clean");
    let c = world.files("mac", &[a], &[("a", "2")]);
    let history = History::new(&world.objects);
    assert_eq!(history.frontier([d]).expect("known"), sorted(&history, &[a, b]));
    assert_eq!(history.frontier([d, c, root]).expect("known"), sorted(&history, &[b, c]));
    assert_eq!(history.frontier([c]).expect("known"), [c]);
}

#[test]
fn bases_are_found_by_stamps_whatever_the_clocks_said() {
    // A criss-cross whose commit times run backwards: a walk in order of time takes the root, or one of
    // the two, for the only base.
    for times in [[4, 3, 2, 1], [1, 9, 2, 8], [0, 0, 0, 0], [9, 1, 8, 2]] {
        let world = World::default();
        let tree = world.tree(&[("a", "1")]);
        let root = world.root();
        let at = |device, parents: &[CommitId], n: usize| {
            world.commit_at(device, parents, tree, Some(1_000_000 * times[n]))
        };
        let (a, b) = (at("mac", &[root], 0), at("pixel", &[root], 1));
        let (x, y) = (at("mac", &[a, b], 2), at("pixel", &[a, b], 3));
        let history = History::new(&world.objects);
        assert_eq!(history.merge_bases(&[x], y).expect("known"), sorted(&history, &[a, b]), "{times:?}");
    }
}

#[test]
fn a_base_that_lies_under_another_base_is_none() {
    let world = World::default();
    let tree = world.tree(&[("a", "1")]);
    let root = world.root();
    let low = world.commit("mac", &[root], tree);
    let high = world.commit("mac", &[low], tree);
    // A shortcut from one side to the lower of them, by a commit with a great stamp.
    let mut far = world.commit("pixel", &[low], tree);
    for _ in 0..10 {
        far = world.commit("pixel", &[far], tree);
    }
    let one = world.commit("pixel", &[far, high], tree);
    let other = world.commit("mac", &[high, low], tree);
    let history = History::new(&world.objects);
    assert_eq!(history.merge_bases(&[one], other).expect("known"), [high]);
    assert_eq!(history.merge_bases(&[high], other).expect("known"), [high]);
    assert_eq!(history.merge_bases(&[far], root).expect("known"), [root]);
}

#[test]
fn a_head_is_merged_against_what_it_shares_with_all_heads_before_it() {
    // c shares the change of line 1 with a. Between them in the fold comes b, which does not have it: by
    // the base with b alone the change would be c's against everyone's.
    let world = World::default();
    let root = world.root();
    let text = |one: &str, four: &str, seven: &str| format!("{one}\n2\n3\n{four}\n5\n6\n{seven}\n8\n");
    let base = world.files("mac", &[root], &[("f", &text("1", "4", "7"))]);
    let shared = world.files("mac", &[base], &[("f", &text("one", "4", "7"))]);
    let a = world.files("mac", &[shared], &[("f", &text("ONE", "4", "7"))]);
    let b0 = world.files("pixel", &[base], &[("f", &text("1", "4", "7")), ("other", "")]);
    let mut b = world.files("pixel", &[b0], &[("f", &text("1", "four", "7"))]);
    let history = History::new(&world.objects);
    let mut c = world.files("studio", &[shared], &[("f", &text("one", "4", "seven"))]);
    for _ in 0..8 {
        if history.frontier([a, b, c]).expect("known") == [a, b, c] {
            break;
        }
        b = world.files("pixel", &[b], &[("f", &text("1", "four", "7"))]);
        c = world.files("studio", &[c, b0], &[("f", &text("one", "4", "seven"))]);
        c = world.files("studio", &[c], &[("f", &text("one", "4", "seven"))]);
    }
    assert_eq!(history.frontier([a, b, c]).expect("known"), [a, b, c], "b comes between the two");
    let derived = derive(&world.objects, &TestBook, &[a, b, c]).expect("folds");
    assert_eq!(derived.conflicts, []);
    world.keep(&derived.objects);
    assert_eq!(world.list(derived.tree.expect("clean"))[0].1, text("ONE", "four", "seven"));
}

#[test]
fn a_long_ladder_of_criss_crosses_costs_no_stack() {
    let world = World::default();
    let root = world.root();
    let (mut one, mut other) =
        (world.files("mac", &[root], &[("a", "1")]), world.files("pixel", &[root], &[("b", "1")]));
    for _ in 0..600 {
        let parents = [one, other];
        one = world.files("mac", &parents, &[("a", "1"), ("b", "1")]);
        other = world.files("pixel", &parents, &[("a", "1"), ("b", "1"), ("c", "")]);
    }
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    let objects = world.objects.new_objects();
    let folded = thread.spawn(move || {
        let world = World::default();
        world.keep(&objects);
        derive(&world.objects, &TestBook, &[one, other]).expect("folds").head.is_some()
    });
    assert!(folded.expect("a thread starts").join().expect("no overflow"));
}

#[test]
fn a_stamp_that_does_not_exceed_its_parents_is_an_error_and_no_wrong_answer() {
    let world = World::default();
    let root = world.root();
    let a = world.files("mac", &[root], &[("a", "1")]);
    let commit = Commit { lamport: Lamport(2), ..world.objects.find_commit(a).expect("made") };
    let bad = world.objects.put_commit(&Commit { parents: vec![a], ..commit });
    let history = History::new(&world.objects);
    assert!(matches!(history.merge_bases(&[bad], a), Err(MergeError::BadStamp(id)) if id == bad));
}

#[test]
fn ahead_and_behind_count_authored_commits_only() {
    let world = World::default();
    let root = world.root();
    let a = world.files("mac", &[root], &[("a", "1")]);
    let b = world.files("pixel", &[root], &[("b", "1")]);
    let derived = derive(&world.objects, &TestBook, &[a, b]).expect("folds");
    world.keep(&derived.objects);
    let d = derived.head.expect("clean");
    let c = world.files("mac", &[d], &[("a", "2"), ("b", "1")]);
    let history = History::new(&world.objects);
    let count = |these: &[CommitId], those: &[CommitId]| history.ahead_behind(these, those).expect("known");
    assert_eq!(count(&[c], &[b]), AheadBehind { ahead: 2, behind: 0 });
    assert_eq!(count(&[d], &[a, b]), AheadBehind::default());
    assert_eq!(count(&[a], &[d]), AheadBehind { ahead: 0, behind: 1 });
}

#[test]
fn whether_a_head_may_replace_another_is_asked_of_authored_commits() {
    let world = World::default();
    let root = world.root();
    let a = world.files("mac", &[root], &[("a", "1")]);
    let b = world.files("pixel", &[root], &[("b", "1")]);
    let c = world.files("studio", &[root], &[("c", "1")]);
    let head = |heads: &[CommitId]| {
        let derived = derive(&world.objects, &TestBook, heads).expect("folds");
        world.keep(&derived.objects);
        derived.head.expect("clean")
    };
    let (two, three) = (head(&[a, b]), head(&[a, b, c]));
    let may = |old, new| may_replace(&world.objects, old, new).expect("known");
    // Neither derived commit is an ancestor of the other.
    assert!(may(two, three) && may(c, three) && may(two, two));
    assert!(!may(three, two) && !may(c, two));
}

#[test]
fn offers_name_authored_heads_and_remote_refs_only_grow() {
    let world = World::default();
    let root = world.root();
    let a = world.files("mac", &[root], &[("a", "1")]);
    let b = world.files("pixel", &[root], &[("b", "1")]);
    let derived = derive(&world.objects, &TestBook, &[a, b]).expect("folds");
    world.keep(&derived.objects);
    let d = derived.head.expect("clean");
    let history = History::new(&world.objects);
    assert_eq!(offer(&world.objects, &[d, root]).expect("known"), sorted(&history, &[a, b]));
    let next = world.files("pixel", &[b], &[("b", "2")]);
    let grow =
        |old: &[CommitId], new: &[CommitId]| merge_remote_ref(&world.objects, old, new).expect("known");
    assert_eq!(grow(&[b], &[next]), [next]);
    assert_eq!(grow(&[next], &[b]), [next], "an old offer takes nothing back");
    assert_eq!(grow(&[next], &[a]), sorted(&history, &[next, a]), "nor does one that left something out");
}

/// Counts the objects that are read.
struct Counting<'a>(&'a dyn Source, std::cell::Cell<usize>);

impl Source for Counting<'_> {
    fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError> {
        self.1.set(self.1.get() + 1);
        self.0.try_find(id)
    }
}

#[test]
fn walks_read_what_is_new_and_not_all_of_history() {
    for length in [50, 2000] {
        let world = World::default();
        let tree = world.tree(&[("a", "1")]);
        let mut row = vec![world.root()];
        for _ in 0..length {
            row.push(world.commit("mac", &[row[row.len() - 1]], tree));
        }
        let (base, known) = (row[length], row[length - 3]);
        let (ours, theirs) = (world.commit("mac", &[base], tree), world.commit("pixel", &[base], tree));
        let source = Counting(&world.objects, Default::default());
        let history = History::new(&source);
        let distance = history.ahead_behind(&[ours], &[theirs]).expect("known");
        assert_eq!((distance.ahead, distance.behind), (1, 1));
        assert_eq!(history.merge_bases(&[ours], theirs).expect("known"), [base]);
        assert_eq!(history.frontier([ours, theirs, known]).expect("known").len(), 2);
        assert_eq!(history.only_in(&[ours], &[theirs]).expect("known"), [ours]);
        assert!(!history.is_known(theirs, &[ours]).expect("known"));
        assert!(history.is_ancestor(known, ours).expect("known"));
        assert!(source.1.get() < 12, "{} objects of {length} commits", source.1.get());
    }
}
