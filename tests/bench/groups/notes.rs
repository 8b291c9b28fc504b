//! Rows on the workload that is most like a person's vault.

use crate::bench::measure::Race;
use crate::bench::page::Section;
use crate::bench::row::Row;
use crate::bench::side::{Lane, Side};
use crate::bench::workload::Notes;
use crate::bench::{Bench, Done};

/// Content checks that are all let through.
const CHECKS_OFF: &str =
    "[[path]]\nmatch = '**'\nallow = ['secret', 'nul-filled', 'emptied', 'conflict-markers']\n";

pub fn run(bench: &Bench, section: &mut Section) -> Done {
    let place = bench.place();
    let notes = Notes { count: bench.count(2000) };
    let side = |lane, name| Side::new(bench, lane, place.root(), name);
    let sides = [side(Lane::Mvault, "mvault"), side(Lane::Synced, "synced"), side(Lane::Default, "default")];
    first_commit(bench, section, &sides, notes)?;
    commits(bench, section, &sides, notes)?;
    statuses(bench, section, &sides, notes)?;
    admission(bench, section, &sides[0], notes)
}

/// Makes the sides' folders anew, without a commit.
fn begin(side: &Side, notes: Notes) -> Done {
    if side.folder.symlink_metadata().is_ok() {
        std::fs::remove_dir_all(&side.folder)?;
    }
    side.init()?;
    notes.write(&side.folder)
}

fn first_commit(bench: &Bench, section: &mut Section, sides: &[Side; 3], notes: Notes) -> Done {
    let watched = Race::new(bench, sides).watched().run(|s, _| begin(s, notes), |s, _| s.commit())?;
    let timings = Race::new(bench, sides).run(|s, _| begin(s, notes), |s, _| s.commit())?;
    let row = Row::times("first commit", &timings).faster(Lane::Synced, 10.0).faster(Lane::Default, 6.0);
    section.row(row);
    section.row(Row::peaks("first commit: peak memory", &watched).under(64.0));
    Ok(())
}

fn commits(bench: &Bench, section: &mut Section, sides: &[Side; 3], notes: Notes) -> Done {
    let timings =
        Race::new(bench, sides).often().run(|s, r| notes.touch_one(&s.folder, r), |s, _| s.commit())?;
    let row = Row::times("commit, 1 file changed", &timings);
    section.row(row.faster(Lane::Synced, 3.0).faster(Lane::Default, 2.5));
    let nothing = |side: &Side, _| match side.is_git() {
        true => side.run(&["add", "-A"]),
        false => side.commit(),
    };
    let timings = Race::new(bench, sides).often().run(|_, _| Ok(()), nothing)?;
    section.row(Row::times("commit, nothing changed (git: `add`)", &timings));
    let rewrite = |side: &Side, round| notes.rewrite(&side.folder, 0, notes.count, round);
    let timings = Race::new(bench, sides).run(rewrite, |s, _| s.commit())?;
    section.row(Row::times("commit, every file changed", &timings).faster(Lane::Synced, 10.0));
    let timings = Race::new(bench, sides).run(|_, _| Ok(()), |s, round| s.checkout(round % 2 == 0))?;
    section.row(
        Row::times("checkout, every file differs", &timings)
            .aims("at most 1.5 x git default's time", Lane::Default, 1.0 / 1.5)
            .remark("git syncs no file of the working tree"),
    );
    sides.iter().try_for_each(|side| side.checkout(false))
}

fn statuses(bench: &Bench, section: &mut Section, sides: &[Side; 3], notes: Notes) -> Done {
    let [mvault, synced, default] = sides;
    let cached = synced.as_lane(Lane::Cached);
    let sides = [mvault, &cached, default];
    for side in sides {
        side.run(&["status"])?;
    }
    let change = |side: &Side, round| {
        notes.touch_one(&side.folder, round + 50)?;
        side.commit()
    };
    let timings = Race::new(bench, sides).often().run(change, |s, _| s.run(&["status"]))?;
    section.row(Row::times("status, right after a commit", &timings));
    let timings = Race::new(bench, sides).often().run(|_, _| Ok(()), |s, _| s.run(&["status"]))?;
    section.row(Row::times("status, nothing changed", &timings).aims(
        "not slower than git with every cache on",
        Lane::Cached,
        1.0,
    ));
    Ok(())
}

/// What looking at content costs in a first commit: the same with every content check let through.
fn admission(bench: &Bench, section: &mut Section, mvault: &Side, notes: Notes) -> Done {
    let unchecked = mvault.as_lane(Lane::Variant);
    let begin = |side: &Side, _| {
        begin(side, Notes { count: 0 })?;
        let rules = if side.lane == Lane::Variant { CHECKS_OFF } else { "# as it comes\n" };
        std::fs::write(side.folder.join("vault.toml"), rules)?;
        side.commit()?;
        notes.write(&side.folder)
    };
    let timings = Race::new(bench, [mvault, &unchecked]).often().run(begin, |s, _| s.commit())?;
    let [with, without] = [timings[0].median(), timings[1].median()];
    section.say(format!(
        "Looking at content: a first commit takes {:.1} ms as it comes and {:.1} ms with every check of content let \
         through by `vault.toml` ({:+.0} %).",
        with * 1000.0,
        without * 1000.0,
        (with - without) * 100.0 / without
    ));
    Ok(())
}
