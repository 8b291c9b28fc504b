//! The groups of rows, one file each or two that share a workload.

mod big;
mod boot;
mod floor;
mod growing;
mod large;
mod long;
mod notes;
mod pair;
mod sync;

use super::page::Section;
use super::{Bench, Done};

/// Rows that are measured on one workload.
pub struct Group {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What the workload is.
    pub about: &'static str,
    /// Measures.
    pub run: fn(&Bench, &mut Section) -> Done,
}

/// All groups in the order in which they run.
pub const GROUPS: [Group; 9] = [
    Group { name: "notes", about: "2,000 Markdown files, 10 MB, in 40 folders.", run: notes::run },
    Group { name: "large", about: "100,000 Markdown files, 500 MB, in 2,000 folders.", run: large::run },
    Group {
        name: "growing",
        about: "1,000 commits, each adding 20 lines to a JSONL stream, rewriting `continuity.md` and adding a \
                distillate; 9 MB at the end. git collects nothing by itself.",
        run: growing::run,
    },
    Group {
        name: "history",
        about: "200 notes, and histories of 100 to 100,000 commits that each change one of them. Made at one go: \
                mvault has one pack, git one of `fast-import`.",
        run: long::run,
    },
    Group { name: "big", about: "One file of 1 GiB, text that compresses to about 60 %.", run: big::run },
    Group {
        name: "pair",
        about: "Two devices with 2,000 notes each; 500 changed on each side, 20 of them on both.",
        run: pair::run,
    },
    Group {
        name: "sync",
        about: "1,000 notes and a stream on two devices, through a real sshd on the loopback.",
        run: sync::run,
    },
    Group { name: "boot", about: "What an agent is told when it starts, from 50,000 notes.", run: boot::run },
    Group {
        name: "floor",
        about: "How far operations are from what the hardware allows, on the workloads of the other groups: a floor does \
                what cannot be left out, and nothing else.",
        run: floor::run,
    },
];
