//! Rows on one big file.

use crate::bench::measure::Race;
use crate::bench::page::Section;
use crate::bench::row::{Row, Unit};
use crate::bench::side::{Lane, Side};
use crate::bench::streams;
use crate::bench::{Bench, Done};

const MIB: u64 = 1 << 20;

/// A change of the big file: what it is called, and how it is made in one round.
type Change<'a> = (&'static str, &'a dyn Fn(&Side, usize) -> Done);

pub fn run(bench: &Bench, section: &mut Section) -> Done {
    let place = bench.place();
    let side = |lane, name| Side::new(bench, lane, place.root(), name);
    // Syncing makes no difference here: git writes one file.
    let sides = [side(Lane::Mvault, "mvault"), side(Lane::Default, "default")];
    let bytes = bench.count(1 << 30);
    let first = Race::new(bench, &sides).watched().run(
        |side, _| {
            if side.folder.symlink_metadata().is_ok() {
                std::fs::remove_dir_all(&side.folder)?;
            }
            side.init()?;
            streams::write_big(&side.folder, bytes)
        },
        |side, _| side.commit(),
    )?;
    let row = Row::times("first commit", &first).faster(Lane::Default, 2.0);
    section.row(row.not_compared("2 x borg (9.5 s elsewhere)"));
    section.row(Row::peaks("first commit: peak memory", &first).under(134.2));
    section.row(Row::figures("store, after the first commit", Unit::Megabytes, stores(&sides)?));
    let appended = bench.count(MIB);
    let append = |side: &Side, round: usize| streams::append_big(&side.folder, round as u64, appended);
    let edit =
        |side: &Side, round: usize| streams::edit_big(&side.folder, round as u64, 4096.min(bytes / 64));
    let insert = |side: &Side, round: usize| streams::insert_big(&side.folder, round as u64, 300);
    let changes: [Change<'_>; 3] = [
        ("1 MiB appended", &append),
        ("4 KiB overwritten in the middle", &edit),
        ("300 bytes inserted at a third", &insert),
    ];
    for (name, change) in changes {
        let before = sides[0].store_mb()?;
        let timings = Race::new(bench, &sides).watched().run(change, |s, _| s.commit())?;
        let grown = (sides[0].store_mb()? - before) / timings[0].seconds.len() as f64;
        let row = Row::times(&format!("commit, {name}"), &timings).faster(Lane::Default, 1.5);
        let row = row.not_compared("1.5 x borg (2.1 s elsewhere)");
        section.row(row.remark(&format!("mvault stores {} a commit", Unit::Megabytes.show(grown))));
        section.row(Row::peaks(&format!("{name}: peak memory"), &timings).under(134.2));
    }
    section.row(Row::figures("store, after all of these", Unit::Megabytes, stores(&sides)?));
    let (store, aim) = ("store, after gc", "not larger than borg's (609 MB elsewhere)");
    if !bench.has("gc", "") {
        section.row(Row::missing(store, "`mvault gc`").not_compared(aim));
        return Ok(());
    }
    let timings = Race::new(bench, [&sides[0]]).once().watched().run(|_, _| Ok(()), |s, _| s.collect())?;
    section.row(Row::times("gc, once", &timings));
    section.row(Row::peaks("gc: peak memory", &timings).under(134.2));
    let size = [(Lane::Mvault, sides[0].store_mb()?)];
    section.row(Row::figures(store, Unit::Megabytes, size).not_compared(aim));
    Ok(())
}

fn stores(sides: &[Side; 2]) -> Done<[(Lane, f64); 2]> {
    Ok([(sides[0].lane, sides[0].store_mb()?), (sides[1].lane, sides[1].store_mb()?)])
}
