//! What a power cut leaves: states of the disk that a strict reading of POSIX allows.
//!
//! - Durable is what a sync that succeeded covered: content and length of a file by syncing the file, a
//!   name by syncing its folder.
//! - Of all else any subset survives, in the order it was made. A write may survive by its first half,
//!   as zeros, as its first half and zeros, or by its second half behind zeros; where it overwrites, the
//!   old bytes may stay instead.
//! - A rename is atomic. One between folders may leave both names until both folders are synced, never
//!   neither.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::world::{Body, Change, DirChange, Fate, FileChange, Names, Node, World};

/// How a write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tear {
    Whole,
    FirstPart,
    Zeros,
    FirstPartThenZeros,
    ZerosThenLastPart,
}

impl Tear {
    const TORN: [Tear; 4] = [Tear::FirstPart, Tear::Zeros, Tear::FirstPartThenZeros, Tear::ZerosThenLastPart];
}

/// Which unsynced changes survive, and how.
struct Choice {
    /// By their order over all nodes; the part of a torn write is cut at `cut` in 1/256 of its length.
    survives: Vec<Option<(Tear, u8)>>,
}

/// A small generator of random numbers, for seeds.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // SplitMix64, by Steele, Lea and Flood (2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

const HALF: u8 = 128;

/// Returns the different states that a power cut now may leave: all survives, nothing, all but one
/// change, only one, all with one write torn in each way, and `random` seeded mixtures.
pub(super) fn images(world: &World, seed: u64, random: usize) -> Vec<World> {
    let writes = unsynced(world);
    let count = writes.len();
    let all = || vec![Some((Tear::Whole, HALF)); count];
    let mut choices = vec![all(), vec![None; count]];
    for (at, is_write) in writes.iter().enumerate() {
        let mut all_but = all();
        all_but[at] = None;
        let mut only = vec![None; count];
        only[at] = Some((Tear::Whole, HALF));
        choices.extend([all_but, only]);
        for tear in Tear::TORN.into_iter().filter(|_| *is_write) {
            let mut torn = all();
            torn[at] = Some((tear, HALF));
            choices.push(torn);
        }
    }
    let mut dice = Random(seed);
    for _ in 0..random {
        choices.push(writes.iter().map(|is_write| roll(&mut dice, *is_write)).collect());
    }
    let mut seen = BTreeSet::new();
    let images = choices.into_iter().map(|survives| survive(world, Choice { survives }));
    images.filter(|image| seen.insert(digest(image))).collect()
}

fn roll(dice: &mut Random, is_write: bool) -> Option<(Tear, u8)> {
    let number = dice.next();
    let cut = number.to_le_bytes()[7];
    match (number % 8, is_write) {
        (0..=2, _) => None,
        (tear @ 3..=6, true) => Some((Tear::TORN[tear as usize - 3], cut)),
        _ => Some((Tear::Whole, HALF)),
    }
}

/// Lists the changes whose survival is open: for each, whether it is a write.
fn unsynced(world: &World) -> Vec<bool> {
    let mut found = Vec::new();
    for node in &world.nodes {
        match &node.body {
            Body::File(image) => {
                let open = image.pending.iter().filter(|(_, fate)| *fate != Fate::Sure);
                found.extend(open.map(|(change, _)| matches!(change, FileChange::Write { .. })));
            }
            Body::Dir(image) => {
                found.extend(image.pending.iter().filter(|(_, fate)| *fate != Fate::Sure).map(|_| false));
            }
            Body::Link(_) => {}
        }
    }
    found
}

fn survive(world: &World, choice: Choice) -> World {
    let mut survives = choice.survives.into_iter();
    let mut fates: Vec<Vec<Option<(Tear, u8)>>> = Vec::new();
    let mut left = BTreeSet::new();
    for node in &world.nodes {
        let mut one = |fate: &Fate| match fate {
            Fate::Sure => Some((Tear::Whole, HALF)),
            _ => survives.next().flatten(),
        };
        let of_node: Vec<_> = match &node.body {
            Body::File(image) => image.pending.iter().map(|(_, fate)| one(fate)).collect(),
            Body::Dir(image) => image.pending.iter().map(|(_, fate)| one(fate)).collect(),
            Body::Link(_) => Vec::new(),
        };
        if let Body::Dir(image) = &node.body {
            let gone = image.pending.iter().zip(&of_node).filter(|(_, fate)| fate.is_some());
            left.extend(gone.filter_map(|((change, _), _)| match change {
                DirChange::MoveOut { ticket, .. } => Some(*ticket),
                _ => None,
            }));
        }
        fates.push(of_node);
    }
    let mut image = World { faults: Vec::new(), calls: Vec::new(), killed: false, ..world.clone() };
    for (node, fates) in image.nodes.iter_mut().zip(fates) {
        settle(node, &fates, &left);
    }
    image
}

/// Makes what survived the whole truth about a node. `left` are renames whose old name is gone.
fn settle(node: &mut Node, fates: &[Option<(Tear, u8)>], left: &BTreeSet<u64>) {
    node.locks.clear();
    match &mut node.body {
        Body::File(image) => {
            let mut content = image.durable.clone();
            for ((change, _), fate) in image.pending.iter().zip(fates) {
                if let Some((tear, cut)) = fate {
                    apply_torn(change, *tear, *cut, &mut content);
                }
            }
            image.settle(content);
        }
        Body::Dir(image) => {
            let mut names: Names = image.durable.clone();
            for ((change, _), fate) in image.pending.iter().zip(fates) {
                let arrived = matches!(change, DirChange::MoveIn { ticket, .. } if left.contains(ticket));
                if fate.is_some() || arrived {
                    change.apply(&mut names);
                }
            }
            image.settle(names);
        }
        Body::Link(_) => {}
    }
}

fn apply_torn(change: &FileChange, tear: Tear, cut: u8, content: &mut Vec<u8>) {
    let FileChange::Write { offset, bytes } = change else { return change.apply(content) };
    let before = content.len();
    let end = offset + bytes.len();
    let middle = offset + bytes.len() * usize::from(cut) / 256;
    let (survives, grows) = match tear {
        Tear::Whole => (*offset..end, true),
        Tear::FirstPart => (*offset..middle, false),
        Tear::Zeros => (end..end, true),
        Tear::FirstPartThenZeros => (*offset..middle, true),
        Tear::ZerosThenLastPart => (middle..end, true),
    };
    let len = if grows { end } else { survives.end };
    if before < len && !survives.is_empty() || before < end && grows {
        content.resize(before.max(len), 0);
    }
    let part = survives.start - offset..survives.end - offset;
    content[survives].copy_from_slice(&bytes[part]);
}

/// Names a state by all that can be reached in it.
fn digest(world: &World) -> [u8; 32] {
    fn walk(world: &World, node: usize, hasher: &mut Sha256) {
        match &world.nodes[node].body {
            Body::File(image) => {
                hasher.update([1]);
                hasher.update(image.live.len().to_le_bytes());
                hasher.update(&image.live);
            }
            Body::Link(target) => {
                hasher.update([2]);
                hasher.update(target.len().to_le_bytes());
                hasher.update(target);
            }
            Body::Dir(image) => {
                hasher.update([3]);
                for (name, node) in &image.live {
                    hasher.update([4]);
                    hasher.update(name.len().to_le_bytes());
                    hasher.update(name.as_encoded_bytes());
                    walk(world, *node, hasher);
                }
                hasher.update([5]);
            }
        }
    }
    let mut hasher = Sha256::new();
    walk(world, super::world::ROOT, &mut hasher);
    hasher.finalize().into()
}
