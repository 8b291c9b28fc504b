//! What starting an agent costs, beside starting a program that does nothing.

use crate::bench::measure::{Race, seconds};
use crate::bench::page::Section;
use crate::bench::row::Row;
use crate::bench::side::{Lane, Side};
use crate::bench::workload::{note, write_many};
use crate::bench::{Bench, Done};

pub fn run(bench: &Bench, section: &mut Section) -> Done {
    let place = bench.place();
    let mvault = Side::new(bench, Lane::Mvault, place.root(), "mvault");
    mvault.init()?;
    write_many(&mvault.folder, bench.count(50_000))?;
    mvault.commit()?;
    mvault.run(&["boot"])?;
    let start = mvault.as_lane(Lane::Start);
    let act = |side: &Side, _| side.run(if side.lane == Lane::Start { &["--version"] } else { &["boot"] });
    let timings = Race::new(bench, [&mvault, &start]).often().run(|_, _| Ok(()), act)?;
    section.row(Row::times("boot", &timings).within(Lane::Start, 0.030));
    let watched = Race::new(bench, [&mvault]).watched().run(|_, _| Ok(()), act)?;
    section.row(Row::peaks("boot: peak memory", &watched).under(64.0));
    let other = place.root().join("other");
    let address = mvault.folder.to_str().ok_or("the folder's name is not UTF-8")?.to_owned();
    mvault.run(&["clone", "-q", &address, other.to_str().ok_or("not UTF-8")?, "--device", "other"])?;
    let other = mvault.at(other);
    let bring = |side: &Side, round: usize| {
        std::fs::write(other.folder.join("notes/00/00000.md"), note(round as u64 + 5_000_000, 120))?;
        other.commit()?;
        side.run(&["pull", "-q", other.folder.to_str().ok_or("not UTF-8")?])
    };
    let timings = Race::new(bench, [&mvault]).run(bring, act)?;
    section.row(Row::times("boot, after another device changed a note", &timings));
    let empty = seconds(|| Ok(std::process::Command::new("true").status().map(drop)?))?;
    section.say(format!("Starting and ending an empty program takes {:.1} ms here.", empty * 1000.0));
    Ok(())
}
