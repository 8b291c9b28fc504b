//! Bringing together what two devices did apart: everything has arrived, and is merged.

use crate::bench::measure::Race;
use crate::bench::page::Section;
use crate::bench::row::Row;
use crate::bench::side::{Lane, Side};
use crate::bench::workload::Notes;
use crate::bench::{Bench, Done};

/// What is done on each round: the notes of each side, those of both among them.
struct Apart {
    notes: Notes,
    of_each: u64,
    of_both: u64,
}

pub fn run(bench: &Bench, section: &mut Section) -> Done {
    let place = bench.place();
    let side = |lane, name| Side::new(bench, lane, place.root(), name);
    let sides = [side(Lane::Mvault, "mvault"), side(Lane::Synced, "synced"), side(Lane::Default, "default")];
    let apart = Apart {
        notes: Notes { count: bench.count(2000) },
        of_each: bench.count(500),
        of_both: bench.count(20),
    };
    for side in &sides {
        side.init()?;
        apart.notes.write(&side.folder)?;
        side.commit()?;
        clone(side)?;
    }
    let timings =
        Race::new(bench, &sides).run(|side, round| part(side, &apart, round), |side, _| meet(side))?;
    let row = Row::times(&format!("reconcile {} + {} changed notes", apart.of_each, apart.of_each), &timings);
    section.row(
        row.aims("not slower than git default", Lane::Default, 1.0)
            .remark("mvault syncs, and each file is whole at every instant"),
    );
    Ok(())
}

/// The other device of a side.
fn other(side: &Side) -> Side {
    let name = side.folder.file_name().unwrap_or_default().to_string_lossy();
    side.at(side.folder.with_file_name(format!("{name}-other")))
}

fn address(side: &Side) -> Done<&str> {
    side.folder.to_str().ok_or_else(|| "the folder's name is not UTF-8".into())
}

fn clone(side: &Side) -> Done {
    let far = other(side);
    if !side.is_git() {
        return side.run(&["clone", "-q", address(side)?, address(&far)?, "--device", "other"]);
    }
    side.run(&["clone", "-q", address(side)?, address(&far)?])?;
    far.settle()
}

/// Both begin at the same commit, change their notes, and the other's arrive here without being merged.
fn part(side: &Side, apart: &Apart, round: usize) -> Done {
    let far = other(side);
    let pull: &[&str] =
        if side.is_git() { &["pull", "-q", "origin", "main"] } else { &["pull", "-q", address(side)?] };
    far.run(pull)?;
    let begin = (round as u64 * 97) % apart.notes.count;
    let at = |n: u64| (begin + n) % apart.notes.count;
    for n in 0..apart.of_each {
        let line = format!("here in round {round}\n");
        apart.notes.edit(&side.folder, at(n), |text| text.push_str(&line))?;
        // The far device's notes begin with the last ones of this one's.
        let number = at(apart.of_each.saturating_sub(apart.of_both) + n);
        let line = format!("---\nround: {round}\n");
        apart.notes.edit(&far.folder, number, |text| *text = text.replacen("---\n", &line, 1))?;
    }
    side.commit()?;
    far.commit()?;
    let fetch: &[&str] = if side.is_git() {
        &["fetch", "-q", address(&far)?, "main"]
    } else {
        &["fetch", "-q", address(&far)?]
    };
    side.run(fetch)
}

fn meet(side: &Side) -> Done {
    side.run(if side.is_git() { &["merge", "-q", "--no-edit", "FETCH_HEAD"] } else { &["reconcile", "-q"] })
}
