//! Rows on many files, and how the commit of one changed file grows with their number.

use crate::bench::chart::Chart;
use crate::bench::measure::{Race, Timing};
use crate::bench::page::Section;
use crate::bench::row::Row;
use crate::bench::side::{Lane, Side};
use crate::bench::workload::Notes;
use crate::bench::{Bench, Done};

pub fn run(bench: &Bench, section: &mut Section) -> Done {
    let place = bench.place();
    let mut curve = Vec::new();
    for full in [1_000, 10_000] {
        let notes = Notes { count: bench.count(full) };
        let sides = sides(bench, place.root(), &format!("-{full}"));
        for side in [&sides[0], &sides[2]] {
            side.init()?;
            notes.write(&side.folder)?;
            side.commit()?;
        }
        let timings = change_one(bench, &sides, notes)?;
        section.row(Row::times(&format!("commit, 1 of {} files changed", notes.count), &timings));
        curve.push((notes.count, timings));
    }
    let notes = Notes { count: bench.count(100_000) };
    let sides = sides(bench, place.root(), "");
    first_commit(bench, section, &sides, notes)?;
    statuses(bench, section, &sides)?;
    let timings = change_one(bench, &sides, notes)?;
    let row = Row::times(&format!("commit, 1 of {} files changed", notes.count), &timings);
    section.row(row.faster(Lane::Default, 2.5));
    curve.push((notes.count, timings));
    checkout(bench, section, &sides, notes)?;
    verify(bench, section, &sides)?;
    let title = "Time of a commit of one changed file";
    section.chart = Some((title, "performance/files.svg", chart(title, "files in the working tree", &curve)));
    Ok(())
}

/// mvault, and git in two forms over one repository.
fn sides(bench: &Bench, root: &std::path::Path, suffix: &str) -> [Side; 3] {
    let git = format!("git{suffix}");
    [
        Side::new(bench, Lane::Mvault, root, &format!("mvault{suffix}")),
        Side::new(bench, Lane::Synced, root, &git),
        Side::new(bench, Lane::Default, root, &git),
    ]
}

fn change_one(bench: &Bench, sides: &[Side; 3], notes: Notes) -> Done<Vec<Timing>> {
    let touch = |side: &Side, round: usize| {
        notes.touch_one(&side.folder, 2 * round + usize::from(side.lane == Lane::Synced))
    };
    Race::new(bench, sides).run(touch, |s, _| s.commit())
}

fn first_commit(bench: &Bench, section: &mut Section, sides: &[Side; 3], notes: Notes) -> Done {
    let begin = |side: &Side, _| {
        if side.folder.symlink_metadata().is_ok() {
            std::fs::remove_dir_all(&side.folder)?;
        }
        side.init()?;
        notes.write(&side.folder)
    };
    let timings = Race::new(bench, [&sides[0], &sides[2]]).watched().run(begin, |s, _| s.commit())?;
    let row = Row::times("first commit", &timings).faster(Lane::Default, 6.0);
    section.row(row.not_compared("4 x restic (12.1 s elsewhere)"));
    section.row(Row::peaks("first commit: peak memory", &timings).under(128.0));
    Ok(())
}

fn statuses(bench: &Bench, section: &mut Section, sides: &[Side; 3]) -> Done {
    let [mvault, _, default] = sides;
    let cached = default.as_lane(Lane::Cached);
    // In turns on one index, so that each form of git finds what it wrote itself.
    let warm = |side: &Side, _| side.run(&["status"]);
    let timings = Race::new(bench, [mvault, &cached, default]).run(warm, |s, _| s.run(&["status"]))?;
    let row = Row::times("status, nothing changed", &timings);
    section.row(
        row.aims("not slower than git with every cache on", Lane::Cached, 1.0).faster(Lane::Default, 1.5),
    );
    Ok(())
}

fn checkout(bench: &Bench, section: &mut Section, sides: &[Side; 3], notes: Notes) -> Done {
    let sides = [&sides[0], &sides[2]];
    let changed = bench.count(1000);
    for side in sides {
        notes.rewrite(&side.folder, 0, changed, 0)?;
        side.commit()?;
    }
    let timings = Race::new(bench, sides).run(|_, _| Ok(()), |s, round| s.checkout(round % 2 == 0))?;
    let row = Row::times(&format!("checkout, {changed} files differ"), &timings);
    section.row(row.aims("not slower than git default", Lane::Default, 1.0));
    sides.iter().try_for_each(|side| side.checkout(false))
}

fn verify(bench: &Bench, section: &mut Section, sides: &[Side; 3]) -> Done {
    let timings = Race::new(bench, [&sides[0], &sides[2]]).watched().run(|_, _| Ok(()), |s, _| s.verify())?;
    section.row(Row::times("verify everything", &timings).faster(Lane::Default, 3.0));
    section.row(Row::peaks("verify: peak memory", &timings).under(128.0));
    if bench.has("verify", "--quick") {
        let timings =
            Race::new(bench, [&sides[0]]).run(|_, _| Ok(()), |s, _| s.run(&["verify", "-q", "--quick"]))?;
        section.row(Row::times("verify --quick", &timings));
    }
    Ok(())
}

/// Draws one curve a side.
pub fn chart(title: &str, across: &str, measured: &[(u64, Vec<Timing>)]) -> String {
    let points = |lane| {
        let of_lane = measured.iter().filter_map(move |(count, timings)| {
            let timing = timings.iter().find(|timing| timing.lane == lane)?;
            Some((*count as f64, timing.median()))
        });
        of_lane.collect()
    };
    let lanes = [Lane::Mvault, Lane::Synced, Lane::Default];
    let curves = lanes.into_iter().map(|lane| (lane.name(), points(lane))).collect();
    Chart { title, across, curves }.svg()
}
