//! How far each main operation is from what the hardware allows: rates of the machine, and mvault in turns
//! with what cannot be left out.
//!
//! A floor begins with the start of an empty program, because each run of mvault is a start. Both sides find
//! the same files, in memory and durable, so that neither waits for what the other or the workload wrote.

use std::path::{Path, PathBuf};

use crate::bench::bare::{self, Cores, Known};
use crate::bench::measure::{Race, Timing, median, seconds};
use crate::bench::page::Section;
use crate::bench::row::Unit;
use crate::bench::side::{Lane, Side};
use crate::bench::workload::{Notes, write_many};
use crate::bench::{Bench, Done, streams};

/// What is written where something must become durable and its length does not matter.
const PAGE: [u8; 4096] = [b'x'; 4096];

pub fn run(bench: &Bench, section: &mut Section) -> Done {
    let place = bench.place();
    let ground = Ground { bench, root: place.root() };
    let notes = Notes { count: bench.count(2000) };
    let sides = ground.sides("notes");
    notes.write(&sides[0].folder)?;
    section.table(&["operation of the machine", "rate"]);
    ground.rates(section, &sides[1], notes)?;
    section.table(&[
        "operation",
        "mvault",
        "floor",
        "mvault / floor",
        "what the floor does after an empty program",
    ]);
    ground.first_commit(section, &sides)?;
    ground.commit_one(section, &sides, notes)?;
    ground.status(section, &sides, notes)?;
    ground.checkout(section, &sides, notes)?;
    ground.large(section)?;
    ground.growing(section)?;
    ground.big(section)?;
    ground.boot(section)?;
    section.say(
        "An append is a write at the end of a file and `fdatasync`: a commit needs two, of the content and of the log. \
         Files are in memory; what the workload wrote was made durable before each run."
            .to_owned(),
    );
    Ok(())
}

/// Adds a line: the median of mvault, that of the floor, and how many times it is.
fn tell(section: &mut Section, operation: &str, timings: &[Timing], floor: &str) -> Done {
    let of = |lane| timings.iter().find(|timing| timing.lane == lane).ok_or("a side did not run");
    let (ours, bare) = (of(Lane::Mvault)?, of(Lane::Floor)?);
    let show = |timing: &Timing| {
        let runs = timing.seconds.len();
        let few = if runs < timing.rounds.min(5) { format!(", {runs} runs") } else { String::new() };
        format!("{}{few}", Unit::Seconds.show(timing.median()))
    };
    let times = format!("{:.1} x", ours.median() / bare.median());
    section.line(&[operation.to_owned(), show(ours), show(bare), times, floor.to_owned()]);
    Ok(())
}

/// Returns the median time of an act of milliseconds.
fn typical(bench: &Bench, mut act: impl FnMut() -> Done) -> Done<f64> {
    let times: Vec<f64> = (0..bench.rounds * 3).map(|_| seconds(&mut act)).collect::<Done<_>>()?;
    Ok(median(&times))
}

/// Wants a walk to have found so many files.
fn all(found: u64, files: u64) -> Done {
    if found == files { Ok(()) } else { Err(format!("{found} of {files} files were found").into()) }
}

fn words(cores: Cores) -> &'static str {
    if cores == Cores::One { "on one core" } else { "on all cores" }
}

/// Returns the files below a folder with their bytes.
fn contents(folder: &Path) -> Done<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path())?;
            files.push((entry.into_path(), bytes));
        }
    }
    Ok(files)
}

fn remove(path: &Path) -> Done {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(found) if found.is_dir() => Ok(std::fs::remove_dir_all(path)?),
        Ok(_) => Ok(std::fs::remove_file(path)?),
    }
}

/// Where workloads lie.
struct Ground<'a> {
    bench: &'a Bench,
    root: &'a Path,
}

impl Ground<'_> {
    /// mvault and the floor on the same files.
    fn sides(&self, name: &str) -> [Side; 2] {
        [Lane::Mvault, Lane::Floor].map(|lane| Side::new(self.bench, lane, self.root, name))
    }

    /// Runs a race, whose floor starts a program before anything else.
    fn race(
        &self,
        race: Race<'_>,
        mut prepare: impl FnMut(&Side, usize) -> Done,
        mut ours: impl FnMut(&Side, usize) -> Done,
        mut bare: impl FnMut(&Side, usize) -> Done,
    ) -> Done<Vec<Timing>> {
        let settled = |side: &Side, round: usize| {
            prepare(side, round)?;
            Ok(bare::sync_file_system(self.root)?)
        };
        race.run(settled, |side, round| {
            if side.lane == Lane::Mvault {
                return ours(side, round);
            }
            side.run(&[])?;
            bare(side, round)
        })
    }

    /// Makes what a commit makes durable: content, then the log.
    fn append_two(&self) -> Done {
        bare::append(&self.root.join("content"), &PAGE)?;
        Ok(bare::append(&self.root.join("log"), &PAGE)?)
    }

    fn rates(&self, section: &mut Section, floor: &Side, notes: Notes) -> Done {
        let files = contents(&floor.folder)?;
        let bytes: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes).copied().collect();
        let mut rate = |what: &str, amount: f64, unit: &str, act: &mut dyn FnMut() -> Done| -> Done {
            let took = typical(self.bench, act)?;
            let figure = match unit {
                "GB/s" | "MB/s" => amount / took,
                _ => took / amount,
            };
            let digits = if figure < 100.0 { 2 } else { 0 };
            section.line(&[what.to_owned(), format!("{figure:.digits$} {unit}")]);
            Ok(())
        };
        let (length, count) = (bytes.len() as f64, notes.count as f64);
        rate("SHA-256, one core", length / 1e9, "GB/s", &mut || {
            bare::hash(&bytes);
            Ok(())
        })?;
        rate("zstd level 1 file by file, one core", length / 1e6, "MB/s", &mut || {
            Ok(files.iter().try_for_each(|(_, bytes)| bare::compress(bytes).map(drop))?)
        })?;
        let (folder, known) = (&floor.folder, Known::learn(&floor.folder)?);
        for cores in [Cores::One, Cores::All] {
            let on = words(cores);
            let walk = |visit: bare::Visit<'_>| all(bare::walk(folder, cores, visit)?, notes.count);
            rate(&format!("listing and `lstat` {on}"), count / 1e6, "µs a file", &mut || {
                walk(&bare::lstat)
            })?;
            rate(&format!("`lstat` of known names {on}"), count / 1e6, "µs a file", &mut || {
                all(known.look(folder, cores)?, notes.count)
            })?;
            let what = format!("listing and reading from memory {on}, {:.1} KB a file", length / count / 1e3);
            rate(&what, count / 1e6, "µs a file", &mut || walk(&bare::read))?;
        }
        rate("start and end of an empty program", 1e-3, "ms", &mut || floor.run(&[]))?;
        rate("durable append of 4 KiB", 1e-3, "ms", &mut || {
            Ok(bare::append(&self.root.join("log"), &PAGE)?)
        })?;
        rate("durable new file of 4 KiB", 1e-3, "ms", &mut || Ok(bare::write_new(self.root, "file", &PAGE)?))
    }

    /// Prepares a first commit: no vault for mvault, no file for the floor.
    fn begin(&self, side: &Side, kept: &Path) -> Done {
        if side.lane == Lane::Floor {
            return remove(kept);
        }
        remove(&side.folder.join(".mvault"))?;
        side.init()
    }

    fn first_commit(&self, section: &mut Section, sides: &[Side; 2]) -> Done {
        let kept = self.root.join("kept");
        let timings = self.race(
            Race::new(self.bench, sides).often(),
            |side, _| self.begin(side, &kept),
            |side, _| side.commit(),
            |side, _| Ok(bare::keep_all(&side.folder, &kept).map(drop)?),
        )?;
        let floor = "list, read, SHA-256 and zstd 1 of each file on all cores, one new file with `fdatasync`";
        tell(section, "notes: first commit", &timings, floor)
    }

    fn commit_one(&self, section: &mut Section, sides: &[Side; 2], notes: Notes) -> Done {
        let (known, cores) = self.know(&sides[1], notes)?;
        let timings = self.race(
            Race::new(self.bench, sides).often(),
            |side, round| match side.lane {
                Lane::Mvault => notes.touch_one(&side.folder, round),
                _ => Ok(()),
            },
            |side, _| side.commit(),
            |side, _| {
                all(known.look(&side.folder, cores)?, notes.count)?;
                self.append_two()
            },
        )?;
        let floor = format!("`lstat` of {} known files {}, two appends", notes.count, words(cores));
        tell(section, "notes: commit, 1 file changed", &timings, &floor)
    }

    /// Learns the names in a folder, and on how many cores it is quicker to look at them.
    fn know(&self, side: &Side, notes: Notes) -> Done<(Known, Cores)> {
        let known = Known::learn(&side.folder)?;
        let time = |cores| typical(self.bench, || all(known.look(&side.folder, cores)?, notes.count));
        let cores = if time(Cores::All)? < time(Cores::One)? { Cores::All } else { Cores::One };
        Ok((known, cores))
    }

    fn status(&self, section: &mut Section, sides: &[Side; 2], notes: Notes) -> Done {
        sides[0].run(&["status"])?;
        let (known, cores) = self.know(&sides[1], notes)?;
        let timings = self.race(
            Race::new(self.bench, sides).often(),
            |_, _| Ok(()),
            |side, _| side.run(&["status"]),
            |side, _| all(known.look(&side.folder, cores)?, notes.count),
        )?;
        let name = sides[0].folder.file_name().unwrap_or_default().to_string_lossy();
        let floor = format!("`lstat` of {} known files {}", notes.count, words(cores));
        tell(section, &format!("{name}: status, nothing changed"), &timings, &floor)
    }

    fn checkout(&self, section: &mut Section, sides: &[Side; 2], notes: Notes) -> Done {
        let [mvault, floor] = sides;
        notes.rewrite(&mvault.folder, 0, notes.count, 0)?;
        mvault.commit()?;
        // Its own copy: mvault would take files that the floor replaced for edits.
        let floor = floor.at(self.root.join("replaced"));
        notes.write(&floor.folder)?;
        let older = contents(&floor.folder)?;
        notes.rewrite(&floor.folder, 0, notes.count, 0)?;
        let newer = contents(&floor.folder)?;
        let states = [&older, &newer]
            .map(|state| state.iter().map(|(path, bytes)| (path.clone(), &bytes[..])).collect::<Vec<_>>());
        let timings = self.race(
            Race::new(self.bench, [mvault, &floor]),
            |_, _| Ok(()),
            |side, round| side.checkout(round % 2 == 0),
            |side, round| Ok(bare::replace_all(&side.folder, &states[round % 2])?),
        )?;
        let floor =
            "write each new file beside, `syncfs`, rename each over the old one, `fsync` of each folder";
        tell(section, "notes: checkout, every file differs", &timings, floor)
    }

    fn large(&self, section: &mut Section) -> Done {
        let notes = Notes { count: self.bench.count(100_000) };
        let sides = self.sides("large");
        notes.write(&sides[0].folder)?;
        sides[0].init()?;
        sides[0].commit()?;
        self.status(section, &sides, notes)
    }

    fn growing(&self, section: &mut Section) -> Done {
        let sides = self.sides("growing");
        let (folder, sessions) = (&sides[0].folder, self.bench.count(1000));
        std::fs::create_dir_all(folder)?;
        sides[0].init()?;
        let (stream, mut lengths, mut next) = (folder.join("sessions.jsonl"), Vec::new(), 0);
        let mut grow = |lengths: &mut Vec<usize>| -> Done {
            next += 1;
            streams::grow(folder, next)?;
            lengths.push(stream.metadata()?.len() as usize);
            Ok(())
        };
        // What all sessions but the last hundred left is one commit: history itself is not measured here.
        for _ in 0..sessions {
            grow(&mut Vec::new())?;
        }
        for _ in 0..self.bench.count(100) {
            grow(&mut lengths)?;
            sides[0].commit()?;
        }
        let timings = self.race(
            Race::new(self.bench, &sides).often(),
            |side, _| if side.lane == Lane::Mvault { grow(&mut lengths) } else { Ok(()) },
            |side, _| side.commit(),
            |_, _| {
                let walk = || bare::walk(folder, Cores::One, &bare::lstat);
                let (walked, hashed) = rayon::join(walk, || bare::hash_file(&stream));
                walked?;
                hashed?;
                self.append_two()
            },
        )?;
        let bytes = stream.metadata()?.len() as f64 / 1e6;
        let floor = format!(
            "read and SHA-256 of the stream of {bytes:.1} MB on one core, list and `lstat` {sessions} files beside it, \
             two appends"
        );
        tell(section, "growing: commit of 20 more lines", &timings, &floor)?;
        let stream = std::fs::read(&stream)?;
        let timings = self.race(
            Race::new(self.bench, &sides),
            |_, _| Ok(()),
            |side, _| side.verify(),
            |_, _| {
                bare::hash_versions(&stream, &lengths);
                Ok(())
            },
        )?;
        let floor = format!(
            "SHA-256 of the stream's {} versions, {:.0} MB, on all cores",
            lengths.len(),
            lengths.iter().sum::<usize>() as f64 / 1e6
        );
        tell(section, "growing: verify everything", &timings, &floor)
    }

    fn big(&self, section: &mut Section) -> Done {
        let sides = self.sides("big");
        let (folder, kept) = (&sides[0].folder, self.root.join("kept"));
        std::fs::create_dir_all(folder)?;
        streams::write_big(folder, self.bench.count(1 << 30))?;
        let file = folder.join("transcript.txt");
        let timings = self.race(
            Race::new(self.bench, &sides),
            |side, _| self.begin(side, &kept),
            |side, _| side.commit(),
            |_, _| Ok(bare::keep_large(&file, &kept)?),
        )?;
        let megabytes = file.metadata()?.len() as f64 / 1e6;
        let floor = format!(
            "read {megabytes:.0} MB, SHA-256 of the whole and of pieces of 64 KiB, zstd 1 of these, on all cores; one \
             new file with `fdatasync`"
        );
        tell(section, "big: first commit", &timings, &floor)?;
        remove(&kept)?;
        let appended = self.bench.count(1 << 20);
        let timings = self.race(
            Race::new(self.bench, &sides),
            |side, round| match side.lane {
                Lane::Mvault => streams::append_big(folder, round as u64, appended),
                _ => Ok(()),
            },
            |side, _| side.commit(),
            |_, _| {
                bare::hash_file(&file)?;
                self.append_two()
            },
        )?;
        let floor = "read and SHA-256 of the whole on one core, two appends";
        tell(section, "big: commit, 1 MiB appended", &timings, floor)
    }

    fn boot(&self, section: &mut Section) -> Done {
        let sides = self.sides("boot");
        std::fs::create_dir_all(&sides[0].folder)?;
        sides[0].init()?;
        write_many(&sides[0].folder, self.bench.count(50_000))?;
        sides[0].commit()?;
        sides[0].run(&["boot"])?;
        let boot = |side: &Side, _: usize| side.run(&["boot"]);
        let nothing = |_: &Side, _: usize| Ok(());
        let timings = self.race(Race::new(self.bench, &sides).often(), nothing, boot, nothing)?;
        tell(section, "boot", &timings, "nothing")
    }
}
