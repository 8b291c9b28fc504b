//! Rows on a vault that grew by a thousand sessions: what history costs when nobody collects, and what a
//! collection makes of it.

use crate::bench::measure::{Race, Timing, seconds};
use crate::bench::page::Section;
use crate::bench::row::{Row, Unit};
use crate::bench::side::{Lane, Side};
use crate::bench::streams;
use crate::bench::{Bench, Done};

pub fn run(bench: &Bench, section: &mut Section) -> Done {
    let place = bench.place();
    let side = |lane, name| Side::new(bench, lane, place.root(), name);
    // Both forms of git work in one repository.
    let sides = [side(Lane::Mvault, "mvault"), side(Lane::Synced, "git"), side(Lane::Default, "git")];
    let ends = [&sides[0], &sides[2]];
    let commits = bench.count(1000);
    let starts = grow(ends, commits)?;
    section.row(Row::times("commit, at the start", &starts));
    let mut next = commits;
    let mut more = |side: &Side, _| {
        next += 1;
        streams::grow(&side.folder, next)
    };
    let timings = Race::new(bench, &sides).often().run(&mut more, |s, _| s.commit())?;
    let flat = timings[0].median() / starts[0].median();
    let row = Row::times(&format!("commit, after {commits} commits"), &timings).faster(Lane::Synced, 10.0);
    section.row(
        row.faster(Lane::Default, 10.0)
            .remark(&format!("mvault takes {flat:.1} x what it took at the start")),
    );
    let sizes = [(Lane::Mvault, sides[0].store_mb()?), (Lane::Default, sides[2].store_mb()?)];
    section.row(Row::figures("store, nothing collected", Unit::Megabytes, sizes).under(10.0));
    let timings = Race::new(bench, ends).watched().run(|_, _| Ok(()), |s, _| s.verify())?;
    section.row(Row::times("verify everything, nothing collected", &timings).faster(Lane::Default, 10.0));
    section.row(Row::peaks("verify: peak memory", &timings).under(128.0));
    collect(bench, section, ends)
}

/// Makes the commits one after the other; the times of the first ten of each side.
fn grow(sides: [&Side; 2], commits: u64) -> Done<Vec<Timing>> {
    let mut timings = Vec::new();
    for side in sides {
        side.init()?;
        let mut first = Vec::new();
        for round in 1..=commits {
            streams::grow(&side.folder, round)?;
            let took = seconds(|| side.commit())?;
            if round <= 10 {
                first.push(took);
            }
        }
        timings.push(Timing { lane: side.lane, rounds: first.len(), seconds: first, peak_mb: None });
    }
    Ok(timings)
}

fn collect(bench: &Bench, section: &mut Section, sides: [&Side; 2]) -> Done {
    let has_gc = bench.has("gc", "");
    // Each run works on a copy of what has never been collected.
    let copies = sides.map(|side| side.at(side.folder.with_extension("copy")));
    let raced = copies.iter().filter(|copy| copy.is_git() || has_gc);
    let original = |copy: &Side| copy.at(copy.folder.with_extension("")).copy_to(&copy.folder);
    let timings =
        Race::new(bench, raced.clone()).watched().run(|copy, _| original(copy), |copy, _| copy.collect())?;
    let mut sizes = Vec::new();
    for copy in raced.clone() {
        sizes.push((copy.lane, copy.store_mb()?));
    }
    let verified = Race::new(bench, raced).run(|_, _| Ok(()), |copy, _| copy.verify())?;
    let rows = [
        Row::times("gc", &timings).under(5.0),
        Row::peaks("gc: peak memory", &timings).under(134.2),
        Row::figures("store, after gc", Unit::Megabytes, sizes).under(5.0),
        Row::times("verify everything, after gc", &verified),
    ];
    for row in rows {
        section.row(if has_gc { row } else { row.remark("not there yet: `mvault gc`") });
    }
    Ok(())
}
