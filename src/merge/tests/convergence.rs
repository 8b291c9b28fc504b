//! The model of convergence: devices that commit, delete, roll back, undo, pull, relay and resolve in any
//! order end with one head, and no line is lost or comes back.

use std::collections::{BTreeMap, BTreeSet};

use super::dice::{Dice, count};
use super::model::{Device, Offer};
use super::{Files, World};
use crate::merge::{Conflict, History, Rules, three_way};
use crate::object::{BlobId, CommitId, Kind, Mode, Source, TreeId};

const NAMES: [&str; 5] = ["mac", "pixel", "tablet", "studio", "attic"];
const RULES: &str = "# rules\nunion .u\nset .set\nbinary .bin\n";

/// One run of the model.
struct Run {
    seed: u64,
    dice: Dice,
    devices: Vec<Device>,
    lines_made: u64,
    authored: BTreeSet<CommitId>,
    /// What each frontier was seen to give: the head, if nothing is pending, and the conflicts.
    heads: BTreeMap<Vec<CommitId>, CommitId>,
    conflicts: BTreeMap<Vec<CommitId>, Vec<Conflict>>,
    old_offers: Vec<Offer>,
}

fn files_of(world: &World, tree: TreeId) -> Files {
    fn into(world: &World, tree: TreeId, folder: &[u8], files: &mut Files) {
        for entry in world.objects.find_tree(tree).expect("a tree").entries() {
            let path = [folder, &entry.name].concat();
            if entry.mode.is_tree() {
                into(world, TreeId::new(entry.id), &[&path[..], b"/"].concat(), files);
            } else {
                files.insert(path, (entry.mode, entry.id));
            }
        }
    }
    let mut files = Files::new();
    into(world, tree, b"", &mut files);
    files
}

/// Returns the lines of all files that merge as text, with the files they are in; every line is made once,
/// so it stands for itself.
fn lines_of(world: &World, tree: TreeId) -> BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> {
    let mut lines: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (path, (_, id)) in files_of(world, tree).into_iter().filter(|(path, _)| path.ends_with(b".md")) {
        let bytes = world.objects.find_blob(BlobId::new(id)).expect("a blob");
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            lines.entry(line.to_vec()).or_default().insert(path.clone());
        }
    }
    lines
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut dice = Dice(seed);
        let world = World::default();
        let root = world.root();
        let mut lines_made = 0;
        let mut text = |lines: usize| -> String {
            (0..lines)
                .map(|_| {
                    lines_made += 1;
                    format!("line {lines_made}\n")
                })
                .collect()
        };
        let (a, b, c) = (text(9), text(4), text(6));
        let first = world.files(
            "mac",
            &[root],
            &[
                ("vault.toml", RULES),
                ("a.md", &a),
                ("notes/b.md", &b),
                ("notes/c.md", &c),
                ("log.u", "start\n"),
                ("tags.set", "one\n"),
                ("raw.bin", "0"),
            ],
        );
        let objects: Vec<(Kind, Vec<u8>)> =
            world.objects.new_objects().into_values().map(|o| (o.kind, o.data.to_vec())).collect();
        let devices = NAMES[..2 + dice.below(4)].iter().map(|name| Device::new(name, &objects, first));
        let devices = devices.collect();
        let authored = BTreeSet::from([root, first]);
        let (heads, conflicts, old_offers) = Default::default();
        Run { seed, dice, devices, lines_made, authored, heads, conflicts, old_offers }
    }

    fn new_line(&mut self) -> String {
        self.lines_made += 1;
        format!("line {}\n", self.lines_made)
    }

    fn step(&mut self) {
        let at = self.dice.below(self.devices.len());
        match self.dice.below(20) {
            0..=7 => self.edit(at),
            8 => self.roll_back(at),
            9 => self.undo_older(at),
            10 => self.take_back(at),
            11..=16 => self.pull(at),
            17 => self.late_offer(at),
            _ => {
                self.resolve(at);
            }
        }
        self.check(at);
    }

    fn commit(&mut self, at: usize, tree: TreeId) {
        // Clocks are wrong by up to a day: nothing may depend on them.
        let skew = self.dice.below(172_800) as i64 - 86_400;
        let device = &mut self.devices[at];
        let parents = vec![device.head];
        let id = device.commit(parents, tree, skew);
        self.authored.insert(id);
    }

    fn edit(&mut self, at: usize) {
        let mut files = files_of(&self.devices[at].world, self.devices[at].tree());
        for _ in 0..1 + self.dice.below(3) {
            self.change(at, &mut files);
        }
        let tree = self.devices[at].world.tree_of(&files);
        if tree != self.devices[at].tree() {
            self.commit(at, tree);
        }
    }

    fn change(&mut self, at: usize, files: &mut Files) {
        let paths: Vec<Vec<u8>> = files.keys().cloned().collect();
        if paths.is_empty() || self.dice.chance(8) {
            let line = self.new_line();
            let path = format!("new/{}.md", self.dice.below(6));
            let id = self.devices[at].world.blob(line);
            files.entry(path.into()).or_insert((Mode::File, id));
            return;
        }
        let path = self.dice.pick(&paths).clone();
        let (mode, id) = files[&path];
        let bytes = self.devices[at].world.objects.find_blob(BlobId::new(id)).expect("a blob");
        let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        let new = self.new_line().into_bytes();
        let place = self.dice.below(lines.len() + 1);
        if path == b"vault.toml" {
            let garbage = self.dice.chance(5);
            lines.insert(place, if garbage { b"garbage\n".to_vec() } else { [b"# ", &new[..]].concat() });
        } else if path.ends_with(b".bin") {
            lines = vec![new];
        } else {
            match self.dice.below(12) {
                0 if path.ends_with(b".md") => {
                    files.remove(&path);
                    return;
                }
                1 if path.ends_with(b".md") => {
                    files.remove(&path);
                    let to = format!("moved/{}.md", self.dice.below(8));
                    files.entry(to.into()).or_insert((mode, id));
                    return;
                }
                2 => {
                    let mode = if mode == Mode::File { Mode::Executable } else { Mode::File };
                    files.insert(path, (mode, id));
                    return;
                }
                3..=5 if place < lines.len() => {
                    lines.remove(place);
                }
                6 | 7 if place < lines.len() => lines[place] = new,
                _ => lines.insert(place, new),
            }
        }
        files.insert(path, (mode, self.devices[at].world.blob(lines.concat())));
    }

    fn ancestors(&self, at: usize) -> Vec<CommitId> {
        let device = &self.devices[at];
        device.history().only_in(&[device.head], &[]).expect("all is here")
    }

    fn roll_back(&mut self, at: usize) {
        let to = *self.dice.pick(&self.ancestors(at));
        let tree = self.devices[at].world.objects.find_commit(to).expect("known").tree;
        if tree != self.devices[at].tree() {
            self.commit(at, tree);
        }
    }

    /// Takes back one older commit by a three-way merge, as `undo` does.
    fn undo_older(&mut self, at: usize) {
        let of = *self.dice.pick(&self.ancestors(at));
        let device = &self.devices[at];
        let commit = device.world.objects.find_commit(of).expect("known");
        let [parent] = commit.parents[..] else { return };
        let before = device.world.objects.find_commit(parent).expect("known").tree;
        let rules = Rules::text_only();
        let merged = three_way(&device.world.objects, &rules, commit.tree, device.tree(), before);
        let merged = merged.expect("all is here");
        if merged.conflicts.is_empty() && merged.tree != device.tree() {
            device.world.keep(&merged.objects);
            self.commit(at, merged.tree);
        }
    }

    /// Moves the head back over a commit that nobody was told of.
    fn take_back(&mut self, at: usize) {
        let device = &mut self.devices[at];
        if let Some(before) = device.before_last.take() {
            self.authored.remove(&device.head);
            device.head = before;
        }
    }

    fn deliver(&mut self, at: usize, offer: &Offer) {
        let from = self.devices.iter().find(|device| device.name == offer.from).expect("one of them");
        let objects = self.devices[at].missing(offer, from);
        self.devices[at].receive(offer, objects);
    }

    fn pull(&mut self, at: usize) {
        let from = self.dice.below(self.devices.len());
        if from == at {
            return;
        }
        let offer = self.devices[from].offer();
        self.deliver(at, &offer);
        self.old_offers.push(offer);
        // Sometimes what came is held.
        if self.dice.chance(85) {
            self.devices[at].reconcile();
        }
    }

    /// An offer made long ago arrives by a detour.
    fn late_offer(&mut self, at: usize) {
        let late = self.dice.below(self.old_offers.len().max(1));
        if let Some(offer) = self.old_offers.get(late).cloned()
            && offer.from != self.devices[at].name
        {
            self.deliver(at, &offer);
            self.devices[at].reconcile();
        }
    }

    fn resolve(&mut self, at: usize) -> bool {
        self.devices[at].reconcile();
        if self.devices[at].conflicts.is_empty() {
            return false;
        }
        let Some(id) = self.devices[at].resolve(&mut self.dice) else { return false };
        self.authored.insert(id);
        self.devices[at].reconcile();
        true
    }

    /// Checks that what a frontier gives does not depend on the device or on the way there.
    fn check(&mut self, at: usize) {
        let device = &self.devices[at];
        let frontier = device.frontier();
        if device.history().frontier([device.head]).expect("all is here") == frontier {
            let seen = *self.heads.entry(frontier).or_insert(device.head);
            assert_eq!(seen, device.head, "seed {}: one frontier, two heads", self.seed);
        }
    }

    /// Everyone pulls from everyone until all are at rest; what is pending is resolved, at first by two
    /// devices at the same time now and then.
    fn finish(&mut self) {
        for round in 0..60 {
            for at in 0..self.devices.len() {
                for from in 0..self.devices.len() {
                    if from != at {
                        let offer = self.devices[from].offer();
                        self.deliver(at, &offer);
                    }
                }
                self.devices[at].reconcile();
            }
            for at in 0..self.devices.len() {
                self.devices[at].reconcile();
                self.compare_conflicts(at);
            }
            let resolving: Vec<usize> = (0..self.devices.len())
                .filter(|at| !self.devices[*at].conflicts.is_empty())
                .take(if round < 3 { 2 } else { 1 })
                .collect();
            let frontiers: BTreeSet<Vec<CommitId>> = self.devices.iter().map(Device::frontier).collect();
            if resolving.is_empty() && frontiers.len() == 1 {
                return;
            }
            for at in resolving {
                self.resolve(at);
            }
        }
        panic!("seed {}: no rest after 60 rounds", self.seed);
    }

    fn compare_conflicts(&mut self, at: usize) {
        let device = &self.devices[at];
        let seen = self.conflicts.entry(device.frontier()).or_insert_with(|| device.conflicts.clone());
        assert_eq!(*seen, device.conflicts, "seed {}: one frontier, two lists of conflicts", self.seed);
    }

    /// Checks the end: one head, idle, and every line where the last word on it put it.
    fn check_end(&mut self) {
        let heads: BTreeSet<CommitId> = self.devices.iter().map(|d| d.head).collect();
        assert_eq!(heads.len(), 1, "seed {}: several heads at rest", self.seed);
        for device in &mut self.devices {
            assert!(!device.reconcile(), "seed {}: an idle device moves its head", self.seed);
        }
        let device = &self.devices[0];
        let (history, world) = (device.history(), &device.world);
        for id in &self.authored {
            let kept = history.is_known(*id, &[device.head]).expect("all is here");
            assert!(kept, "seed {}: commit {id} is not in the head", self.seed);
        }
        // Who moves a line has had a word on it as well: a file that was moved and changed a lot is a new
        // file, and nobody can tell that the other side deleted the same one.
        let mut touched: BTreeMap<Vec<u8>, Vec<(CommitId, bool)>> = BTreeMap::new();
        for id in &self.authored {
            let commit = history.commit(*id).expect("known");
            let now = lines_of(world, commit.tree);
            let mut changed = BTreeSet::new();
            if commit.parents.is_empty() {
                changed.extend(now.keys().cloned());
            }
            for parent in &commit.parents {
                let before = lines_of(world, history.commit(*parent).expect("known").tree);
                let all = now.keys().chain(before.keys());
                changed.extend(all.filter(|line| now.get(*line) != before.get(*line)).cloned());
            }
            for line in changed {
                let there = now.contains_key(&line);
                touched.entry(line).or_default().push((*id, there));
            }
        }
        let last = lines_of(world, device.tree());
        for line in last.keys() {
            assert!(touched.contains_key(line), "seed {}: {line:?} was written by nobody", self.seed);
        }
        for (line, touches) in &touched {
            if let Some(there) = last_word(&history, touches) {
                let told = || format!("seed {}: lost or came back:\n{}", self.seed, story(device, line));
                assert_eq!(last.contains_key(line), there, "{}", told());
            }
        }
    }
}

/// Tells for a person where a line stood in each commit, oldest first.
fn story(device: &Device, line: &[u8]) -> String {
    let history = device.history();
    let mut told = format!("{:?}\n", String::from_utf8_lossy(line));
    for id in history.only_in(&[device.head], &[]).expect("all is here").into_iter().rev() {
        let commit = history.commit(id).expect("known");
        let by = commit.device.as_ref().map_or("derived", |device| device.as_str());
        let places: Vec<String> = files_of(&device.world, commit.tree)
            .into_iter()
            .filter(|(_, (_, id))| {
                let bytes = device.world.objects.find_blob(BlobId::new(*id)).expect("a blob");
                bytes.split(|b| *b == b'\n').any(|other| other == line)
            })
            .map(|(path, (mode, id))| {
                format!("{} {} {id:?}", mode.as_octal(), String::from_utf8_lossy(&path))
            })
            .collect();
        told.push_str(&format!("{} {id:?} {by} on {:?}: {places:?}\n", commit.lamport, commit.parents));
    }
    told
}

/// Returns whether a line is there by the word of those who touched it last; `None` if they disagree.
///
/// Who brings back a line that he had deleted himself has not changed it since the base, so that another's
/// deletion still holds against him, as in git. Of such lines only a single last word is asked.
fn last_word(history: &History<'_>, touches: &[(CommitId, bool)]) -> Option<bool> {
    let latest = history.maximal(touches.iter().map(|(id, _)| *id)).expect("known");
    let words: BTreeSet<bool> =
        touches.iter().filter(|(id, _)| latest.contains(id)).map(|(_, there)| *there).collect();
    let is_restored = touches.iter().any(|(back, there)| {
        let gone_before =
            |(gone, there): &(CommitId, bool)| !there && history.is_ancestor(*gone, *back).expect("known");
        *there && touches.iter().any(gone_before)
    });
    let settled = words.len() == 1 && (latest.len() == 1 || !is_restored);
    settled.then(|| words.contains(&true))
}

/// Plays one history from its seed to the end.
fn play(seed: u64) {
    let mut run = Run::new(seed);
    for _ in 0..15 + run.dice.below(40) {
        run.step();
    }
    run.finish();
    run.check_end();
}

#[test]
fn devices_converge_whatever_they_do_in_whatever_order() {
    let first = count("MVAULT_CONVERGENCE_SEED", 0);
    for seed in first..first + count("MVAULT_CONVERGENCE_SEEDS", 250) {
        // A thread of its own, so that whatever panics is told with the seed.
        let thread = std::thread::Builder::new().name(format!("seed {seed}"));
        let played = thread.spawn(move || play(seed)).expect("a thread starts").join();
        assert!(played.is_ok(), "seed {seed} failed: run it with MVAULT_CONVERGENCE_SEED={seed}");
    }
}
