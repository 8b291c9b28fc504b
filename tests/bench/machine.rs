//! When and on what was measured: facts that matter for figures, and nothing that names a machine or a place.

use std::path::Path;
use std::process::Command;

use super::Bench;

/// Returns the first line that a program prints, or nothing.
fn said(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines()
        .next()
        .map(|line| line.trim().to_owned())
        .filter(|line| output.status.success() && !line.is_empty())
}

fn git(args: &[&str]) -> Option<String> {
    said(Path::new("git"), args)
}

/// Returns the commit of these sources, and whether they were changed since.
fn commit() -> String {
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "of unknown commit".to_owned();
    };
    let is_changed = git(&["status", "--porcelain", "--", "src", "Cargo.toml", "Cargo.lock"]).is_some();
    if is_changed { format!("{commit} with changes") } else { commit }
}

/// Returns the kind of the file system that a folder is on.
fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    });
    let below = mounts.filter(|(place, _)| folder.starts_with(place));
    below.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind)
}

/// Returns the idle and the whole time of all cores so far, in ticks.
fn ticks() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let figures: Vec<u64> = text
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|figure| figure.parse().ok())
        .collect();
    Some((figures.get(3)? + figures.get(4)?, figures.iter().sum()))
}

/// Says how much of the machine others use, by half a second in which this program does nothing.
fn others() -> String {
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let Some(((idle, whole), (idle_then, whole_then))) = before.zip(ticks()) else { return String::new() };
    let used = 100 - 100 * (idle_then - idle) / (whole_then - whole).max(1);
    if used < 10 { String::new() } else { format!(" **Other programs took {used} % of the machine.**") }
}

/// Returns one line about the time, the machine and the programs.
pub fn facts(bench: &Bench) -> String {
    let date = jiff::Zoned::now().strftime("%-d %B %Y").to_string();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = rustix::system::uname();
    let (system, release) = (kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy());
    let release: String = release.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let machine = kernel.machine().to_string_lossy();
    let folder = file_system(&bench.folder).unwrap_or_else(|| "unknown file system".to_owned());
    let version = git(&["--version"]).unwrap_or_else(|| "git is missing".to_owned());
    let scale = if bench.scale == 1.0 {
        String::new()
    } else {
        format!(" **Scaled to {}: these figures mean nothing.**", bench.scale)
    };
    format!(
        "{date}: mvault {}, {version}, {cores} cores ({machine}), {system} {release}, {folder}; medians of {} rounds.{scale}{}",
        commit(),
        bench.rounds,
        others(),
    )
}
