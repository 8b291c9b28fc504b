//! The benchmark: what a person waits for, measured beside git, as ratios with the aim of each row.
//!
//! - A *group* makes its workload in a folder of its own, races the sides and returns rows.
//! - Sides take turns within each round. A side that is slow drops out of later rounds, and its cell says
//!   how often it ran.
//! - Nothing is left out: a row that falls short says by how much, a verb that is not there yet is named as
//!   such, a group that fails is printed and makes the run fail.
//!
//! `MVAULT_BENCH_SCALE=0.01` makes every workload smaller, for a look whether all of it works: its figures
//! mean nothing. `MVAULT_BENCH_ROUNDS` (default 5) sets the rounds, `MVAULT_BENCH_FOLDER` where the workloads
//! lie (default: cargo's `target/tmp`), `MVAULT_TESTED_BINARY` another program than the one just built.

#![allow(clippy::print_stdout, clippy::print_stderr)] // it tells who runs it

mod bare;
pub mod chart;
pub mod groups;
mod imports;
mod machine;
mod measure;
pub mod page;
pub mod row;
pub mod side;
mod streams;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::support;
use groups::{GROUPS, Group};
use page::Section;

/// What can go wrong is told and ends its group.
pub type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What a run is to be.
pub struct Bench {
    /// The program that is measured.
    pub program: PathBuf,
    /// What part of each workload is made: 1 is all of it.
    pub scale: f64,
    /// How often each side of a row runs, if it is not slow.
    pub rounds: usize,
    /// Where workloads are made.
    pub folder: PathBuf,
}

impl Bench {
    fn from_environment() -> Done<Bench> {
        let number = |name: &str, default: f64| match std::env::var(name) {
            Ok(text) => text.parse::<f64>().ok().filter(|n| *n > 0.0).ok_or(format!("{name}: not a number")),
            Err(_) => Ok(default),
        };
        let folder = std::env::var_os("MVAULT_BENCH_FOLDER");
        Ok(Bench {
            program: support::optimized(),
            scale: number("MVAULT_BENCH_SCALE", 1.0)?,
            rounds: number("MVAULT_BENCH_ROUNDS", 5.0)?.max(1.0) as usize,
            folder: folder.map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from),
        })
    }

    /// Returns a workload's number at this scale, at least 1.
    pub fn count(&self, full: u64) -> u64 {
        ((full as f64 * self.scale).round() as u64).max(1)
    }

    /// Makes a folder for a group, with a HOME; it goes with the value.
    pub fn place(&self) -> support::Place {
        support::Place::new_in(&self.folder)
    }

    /// Returns whether the program has a verb, and a flag of it unless that is empty.
    pub fn has(&self, verb: &str, flag: &str) -> bool {
        let help = std::process::Command::new(&self.program).args([verb, "--help"]).output();
        help.is_ok_and(|help| help.status.success() && String::from_utf8_lossy(&help.stdout).contains(flag))
    }
}

/// What was asked for on the command line.
pub struct Asked {
    /// The groups to run.
    pub groups: Vec<&'static Group>,
    /// Whether the page is to be written.
    pub write: bool,
}

/// Reads the command line: groups, `--write`; all groups if none is named.
pub fn asked(words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let names = || GROUPS.map(|group| group.name).join(", ");
    let mut asked = Asked { groups: Vec::new(), write: false };
    for word in words {
        match word.as_str() {
            "--bench" => {} // cargo's own
            "--write" => asked.write = true,
            name => match GROUPS.iter().find(|group| group.name == name) {
                Some(group) => asked.groups.push(group),
                None => return Err(format!("no group {name:?}; there are {}, and --write", names())),
            },
        }
    }
    if asked.groups.is_empty() {
        asked.groups.extend(&GROUPS);
    }
    Ok(asked)
}

/// Runs a group: prints its section and returns it.
pub fn run(bench: &Bench, group: &Group) -> Done<Section> {
    let start = Instant::now();
    eprintln!("{}: {}", group.name, group.about);
    let mut section = Section::new(group.name, group.about);
    (group.run)(bench, &mut section)?;
    eprintln!("{}: took {:.0} s", group.name, start.elapsed().as_secs_f64());
    Ok(section)
}

/// Runs what the command line asks for.
#[allow(dead_code)] // the suite comes in by the groups
pub fn main() -> ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(complaint) => {
            eprintln!("{complaint}");
            return ExitCode::from(2);
        }
    };
    match run_all(&asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the groups one after the other; whether all of them came to an end.
fn run_all(asked: &Asked) -> Done<bool> {
    let bench = Bench::from_environment()?;
    if asked.write && bench.scale != 1.0 {
        return Err("--write wants the whole workloads: unset MVAULT_BENCH_SCALE".into());
    }
    let facts = machine::facts(&bench);
    println!("{facts}\n");
    let mut is_whole = true;
    for group in &asked.groups {
        match run(&bench, group) {
            Ok(section) => {
                println!("{}", section.markdown());
                if asked.write {
                    page::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"), &section, &facts)?;
                }
            }
            Err(error) => {
                is_whole = false;
                println!("## {}\n\nbroke off: {error}\n", group.name);
            }
        }
    }
    Ok(is_whole)
}
