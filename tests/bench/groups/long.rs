//! Rows on long histories: telling them, and one more commit on top.

use super::large::chart;
use crate::bench::measure::Race;
use crate::bench::page::Section;
use crate::bench::row::Row;
use crate::bench::side::{Lane, Side};
use crate::bench::{Bench, Done, imports};

pub fn run(bench: &Bench, section: &mut Section) -> Done {
    let place = bench.place();
    let mut curve = Vec::new();
    for full in [100, 1_000, 10_000, 100_000] {
        let commits = bench.count(full);
        let side = |lane, name: &str| Side::new(bench, lane, place.root(), &format!("{name}-{full}"));
        let sides = [side(Lane::Mvault, "mvault"), side(Lane::Synced, "git"), side(Lane::Default, "git")];
        let ends = [&sides[0], &sides[2]];
        for side in ends {
            side.init()?;
            imports::make(side, commits)?;
        }
        if full == 1_000 || full == 100_000 {
            let log = Race::new(bench, ends).run(|_, _| Ok(()), |s, _| s.run(&["log"]))?;
            let row = Row::times(&format!("log of {commits} commits"), &log);
            section.row(match full {
                1_000 => row.aims("not slower than git", Lane::Default, 1.0),
                _ => row.faster(Lane::Default, 2.0),
            });
        }
        let mut next = commits;
        let mut touch = |side: &Side, _| {
            next += 1;
            imports::touch(&side.folder, next)
        };
        let timings = Race::new(bench, &sides).often().run(&mut touch, |s, _| s.commit())?;
        section.row(Row::times(&format!("commit, after {commits} commits"), &timings));
        curve.push((commits, timings));
    }
    let title = "Time of one more commit";
    section.chart = Some((title, "performance/commits.svg", chart(title, "commits before it", &curve)));
    Ok(())
}
