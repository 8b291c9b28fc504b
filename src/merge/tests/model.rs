//! Devices in memory, for the model of convergence: each has its own objects, a head, and remote refs.
//!
//! The device layer is the room's own: offers, remote refs and reconcile are the functions that a vault
//! calls; only moving bytes is played here.

use std::collections::{BTreeMap, BTreeSet};

use super::dice::Dice;
use super::{TestBook, World};
use crate::merge::{
    Choices, Conflict, History, Reconciled, ResolveError, Take, choose, may_replace, merge_remote_ref, offer,
    reconcile, resolve,
};
use crate::object::{
    Commit, CommitId, DeviceName, Kind, Lamport, Object, ObjectId, Signature, Source, TreeId,
};

/// A device: what it stores, where it stands, what others told it.
pub(super) struct Device {
    pub name: &'static str,
    pub world: World,
    pub head: CommitId,
    pub remotes: BTreeMap<&'static str, Vec<CommitId>>,
    pub pending: Vec<CommitId>,
    pub conflicts: Vec<Conflict>,
    /// What `undo` goes back to while nothing of the last commit was offered.
    pub before_last: Option<CommitId>,
}

/// What one device told another.
#[derive(Clone)]
pub(super) struct Offer {
    pub from: &'static str,
    pub heads: Vec<CommitId>,
}

impl Device {
    pub fn new(name: &'static str, objects: &[(Kind, Vec<u8>)], head: CommitId) -> Device {
        let world = World::default();
        for (kind, data) in objects {
            world.objects.put(*kind, data);
        }
        let (remotes, pending, conflicts) = Default::default();
        Device { name, world, head, remotes, pending, conflicts, before_last: None }
    }

    pub fn history(&self) -> History<'_> {
        History::new(&self.world.objects)
    }

    /// Returns every head it knows of.
    pub fn known(&self) -> Vec<CommitId> {
        [self.head].into_iter().chain(self.remotes.values().flatten().copied()).collect()
    }

    pub fn frontier(&self) -> Vec<CommitId> {
        self.history().frontier(self.known()).expect("all is here")
    }

    pub fn tree(&self) -> TreeId {
        self.world.objects.find_commit(self.head).expect("the head is here").tree
    }

    /// Makes an offer. From now on its last commit is no longer its own to take back.
    pub fn offer(&mut self) -> Offer {
        self.before_last = None;
        let heads = offer(&self.world.objects, &self.known()).expect("all is here");
        Offer { from: self.name, heads }
    }

    /// Returns the objects under an offer that this device misses, out of those of the one who made it.
    pub fn missing(&self, offer: &Offer, from: &Device) -> Vec<Object> {
        objects_below(&from.world.objects, &self.world.objects, &offer.heads)
    }

    /// Takes an offer in; the head stays until [`Device::reconcile`].
    pub fn receive(&mut self, offer: &Offer, objects: Vec<Object>) {
        for object in objects {
            self.world.objects.put(object.kind, &object.data);
        }
        let old = self.remotes.remove(offer.from).unwrap_or_default();
        let heads = merge_remote_ref(&self.world.objects, &old, &offer.heads).expect("all is here");
        self.remotes.insert(offer.from, heads);
    }

    /// Reconciles with all it knows of; returns whether the head moved.
    pub fn reconcile(&mut self) -> bool {
        let reconciled =
            reconcile(&self.world.objects, &TestBook, self.head, &self.known()).expect("all is here");
        let Reconciled { head, frontier, pending, conflicts, objects, .. } = reconciled;
        self.world.keep(&objects);
        assert!(may_replace(&self.world.objects, self.head, head).expect("all is here"), "a head knows more");
        assert_eq!(frontier, self.frontier());
        assert_eq!(pending.is_empty(), conflicts.is_empty(), "what is pending has a reason");
        let moved = head != self.head;
        (self.head, self.pending, self.conflicts) = (head, pending, conflicts);
        if moved {
            self.before_last = None;
        }
        moved
    }

    /// Commits a tree on `parents` with the next stamp.
    pub fn commit(&mut self, parents: Vec<CommitId>, tree: TreeId, skew: i64) -> CommitId {
        let stamp = |ids: &[CommitId]| {
            let stamps = ids.iter().map(|id| self.world.objects.find_commit(*id).expect("known").lamport);
            stamps.max().unwrap_or_default()
        };
        let lamport = Lamport::next(stamp(&parents), stamp(&self.known()));
        let who = Signature::new(self.name, "a@b", 1_700_000_000 + lamport.0 as i64 * 60 + skew, 0);
        let id = self.world.objects.put_commit(&Commit {
            tree,
            parents,
            author: who.clone(),
            committer: who,
            lamport,
            device: DeviceName::parse(self.name),
            session: None,
            restores: None,
            reconcile: None,
            vault: None,
            purges: Vec::new(),
            extra: Vec::new(),
            message: "a change".into(),
        });
        self.before_last = Some(self.head);
        self.head = id;
        id
    }

    /// Chooses for every conflict and commits the resolution.
    pub fn resolve(&mut self, dice: &mut Dice) -> Option<CommitId> {
        let mut choices = Choices::new();
        for _ in 0..20 {
            let resolution = match resolve(&self.world.objects, &TestBook, &self.known(), &choices) {
                Ok(resolution) => resolution,
                Err(ResolveError::InTheWay(_)) => {
                    choices.clear();
                    continue;
                }
                Err(e) => panic!("cannot resolve: {e}"),
            };
            if let Some(tree) = resolution.tree {
                assert!(!resolution.chosen.is_empty(), "something was resolved");
                self.world.keep(&resolution.objects);
                let id = self.commit(resolution.parents, tree, 0);
                self.before_last = None;
                return Some(id);
            }
            for conflict in &resolution.remaining {
                let chosen = loop {
                    if let Ok(chosen) = choose(&self.world.objects, conflict, self.take(dice, conflict)) {
                        break chosen;
                    }
                };
                if let Some(blob) = chosen.blob {
                    self.world.objects.put(blob.kind, &blob.data);
                }
                choices.insert(conflict.key(), chosen.entry);
            }
        }
        None
    }

    fn take(&self, dice: &mut Dice, conflict: &Conflict) -> Take {
        if conflict.path.as_bytes() == b"vault.toml" && dice.chance(70) {
            return Take::Bytes(
                format!("# made anew {}\nunion .u\nset .set\nbinary .bin\n", dice.below(3)).into_bytes(),
            );
        }
        let side = dice.pick(&conflict.sides);
        match dice.below(6) {
            0 => Take::Base,
            1 => Take::Both,
            2 => Take::Bytes(format!("resolved {}\n", dice.next()).into_bytes()),
            3 => Take::Device(side.device.clone().expect("heads are authored")),
            _ => Take::Head(side.commit),
        }
    }
}

/// Returns the objects that heads rest on and that `known` does not have. What is known is known with all
/// that it rests on.
fn objects_below(source: &dyn Source, known: &dyn Source, heads: &[CommitId]) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut seen: BTreeSet<ObjectId> = BTreeSet::from([TreeId::empty().object()]);
    let mut todo: Vec<(Kind, ObjectId)> = heads.iter().map(|id| (Kind::Commit, id.object())).collect();
    while let Some((kind, id)) = todo.pop() {
        if !seen.insert(id) || (kind == Kind::Commit && known.contains(id).expect("memory")) {
            continue;
        }
        let object = source.find(id, kind).expect("an offer is whole");
        match kind {
            Kind::Commit => {
                let commit = source.find_commit(CommitId::new(id)).expect("a commit");
                todo.push((Kind::Tree, commit.tree.object()));
                todo.extend(commit.parents.iter().map(|id| (Kind::Commit, id.object())));
            }
            Kind::Tree => {
                let tree = source.find_tree(TreeId::new(id)).expect("a tree");
                todo.extend(tree.entries().iter().map(|e| (e.mode.object_kind(), e.id)));
            }
            Kind::Blob => {}
        }
        objects.push(object);
    }
    objects
}
