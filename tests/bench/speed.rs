//! mvault against git, side by side in one run: `cargo bench --bench speed`.
//!
//! Every row is measured on both, one after the other, round by round, on the same generated files, and
//! printed as medians and ratios. git is measured twice: as it comes, and configured for the
//! durability that mvault always has (`core.fsync=all`, `core.fsyncMethod=batch`); for `status` also
//! with every cache it offers switched on. Rounds: `MVAULT_BENCH_ROUNDS` (default 7). Peak memory needs
//! GNU time (`apt-get install time`); without it the column says so. `-- boot` runs that part alone; there are
//! `notes`, `admission` and `boot`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, missing_docs)]

mod workload;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const GIT_SYNCED: [&str; 4] = ["-c", "core.fsync=all", "-c", "core.fsyncMethod=batch"];
const GIT_CACHED: [&str; 4] = ["-c", "feature.manyFiles=true", "-c", "core.untrackedCache=true"];

/// One contestant in one folder.
struct Side {
    name: &'static str,
    folder: PathBuf,
    program: PathBuf,
    options: Vec<String>,
}

impl Side {
    fn mvault(root: &Path) -> Side {
        Side {
            name: "mvault",
            folder: root.join("mvault"),
            program: env!("CARGO_BIN_EXE_mvault").into(),
            options: Vec::new(),
        }
    }

    fn git(root: &Path, name: &'static str, options: &[&str]) -> Side {
        Side {
            name,
            folder: root.join(name.replace(' ', "-")),
            program: "git".into(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.options).args(args).current_dir(&self.folder);
        command.env("HOME", self.folder.parent().expect("folders lie in one root"));
        command.env("GIT_CONFIG_NOSYSTEM", "1").env_remove("MVAULT_DIR");
        for who in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            command.env(who, "bench@localhost");
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) {
        let output = self.command(args).output().expect("the program starts");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {args:?} failed: {complaint}", self.name);
    }

    fn init(&self) {
        std::fs::create_dir_all(&self.folder).expect("a folder can be made");
        match self.name {
            "mvault" => self.run(&["init", "--device", "bench"]),
            _ => {
                self.run(&["init", "-q"]);
                self.run(&["config", "gc.auto", "0"]);
                self.run(&["config", "maintenance.auto", "false"]);
            }
        }
    }

    /// Commits everything; for git that takes `add` and `commit`, and both count.
    fn commit(&self) {
        match self.name {
            "mvault" => self.run(&["commit", "-q", "-m", "x"]),
            _ => {
                self.run(&["add", "-A"]);
                self.run(&["commit", "-q", "-m", "x"]);
            }
        }
    }

    fn status(&self) {
        self.run(&["status"]);
    }

    /// Goes to the commit before the last, or back.
    fn checkout(&self, back: bool) {
        match (self.name, back) {
            ("mvault", true) => self.run(&["checkout", "main~1"]),
            ("mvault", false) => self.run(&["checkout", "main"]),
            (_, true) => self.run(&["checkout", "-q", "HEAD~1"]),
            (_, false) => self.run(&["checkout", "-q", "-"]),
        }
    }

    /// Peak memory of a first commit in MB, if GNU time is there.
    fn peak_mb(&self, args: &[&str]) -> Option<f64> {
        let mut timed = Command::new("/usr/bin/time");
        let inner = self.command(args);
        timed.arg("-f").arg("%M").arg(inner.get_program()).args(inner.get_args());
        timed.current_dir(&self.folder).env("HOME", self.folder.parent()?);
        for (key, value) in inner.get_envs() {
            if let Some(value) = value {
                timed.env(key, value);
            }
        }
        let output = timed.stdout(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stderr);
        text.lines().last()?.trim().parse::<f64>().ok().map(|kb| kb / 1024.0)
    }
}

fn time(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

/// Measures one row: `prepare` is not timed, `act` is; sides take turns within each round.
fn row(
    name: &str,
    rounds: usize,
    sides: &[Side],
    prepare: impl Fn(&Side, usize),
    act: impl Fn(&Side, usize),
) {
    let mut times: Vec<Vec<Duration>> = sides.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (side, times) in sides.iter().zip(&mut times) {
            prepare(side, round);
            times.push(time(|| act(side, round)));
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    let ours = medians[0];
    let others = medians[1..].iter().map(|theirs| format!("{theirs:.1} ms ({:.1} x)", theirs / ours));
    println!("| {name} | {ours:.1} ms | {} |", others.collect::<Vec<_>>().join(" | "));
}

fn fresh_sides(root: &Path, round: usize) -> Vec<Side> {
    let root = root.join(format!("round-{round}"));
    vec![
        Side::mvault(&root),
        Side::git(&root, "git synced", &GIT_SYNCED),
        Side::git(&root, "git default", &[]),
    ]
}

fn notes(root: &Path, rounds: usize) {
    println!("\nnotes: 2,000 Markdown files, 10 MB; medians of {rounds} rounds; in brackets: git / mvault\n");
    println!("| operation | mvault | git synced | git default |\n|---|---|---|---|");
    first_commit(root, rounds);
    let sides = fresh_sides(root, 0);
    row(
        "commit, 1 file changed",
        rounds,
        &sides,
        |s, r| workload::touch_one(&s.folder, r),
        |s, _| s.commit(),
    );
    row(
        "commit, nothing changed",
        rounds,
        &sides,
        |_, _| {},
        |s, _| {
            let args: &[&str] = if s.name == "mvault" { &["commit", "-q"] } else { &["add", "-A"] };
            s.run(args);
        },
    );
    row(
        "commit, every file changed",
        rounds,
        &sides,
        |s, r| workload::rewrite_all(&s.folder, r),
        |s, _| {
            s.commit();
        },
    );
    row("checkout, every file differs", rounds, &sides, |_, _| {}, |s, r| s.checkout(r % 2 == 0));
    if rounds % 2 == 1 {
        sides.iter().for_each(|side| side.checkout(false)); // back to the branch
    }
    let mut cached = fresh_sides(root, 0);
    cached[1] = Side {
        name: "git synced",
        options: GIT_CACHED.map(str::to_owned).to_vec(),
        ..fresh_side(&cached[1])
    };
    for side in &cached {
        side.status();
    }
    println!("\n| operation | mvault | git, every cache on | git default |\n|---|---|---|---|");
    let one_more = |side: &Side, round: usize| {
        workload::touch_one(&side.folder, round + 50);
        side.commit();
    };
    row("status, right after a commit", rounds, &cached, one_more, |s, _| s.status());
    row("status, once more", rounds * 3, &cached, |_, _| {}, |s, _| s.status());
    memory(root);
}

fn fresh_side(side: &Side) -> Side {
    Side {
        name: side.name,
        folder: side.folder.clone(),
        program: side.program.clone(),
        options: side.options.clone(),
    }
}

fn first_commit(root: &Path, rounds: usize) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); 3];
    for round in 0..rounds {
        for (side, times) in fresh_sides(root, round).iter().zip(&mut times) {
            side.init();
            workload::write_notes(&side.folder);
            times.push(time(|| side.commit()));
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    let others = medians[1..].iter().map(|m| format!("{m:.1} ms ({:.1} x)", m / medians[0]));
    println!("| first commit | {:.1} ms | {} |", medians[0], others.collect::<Vec<_>>().join(" | "));
}

fn memory(root: &Path) {
    let sides = fresh_sides(root, 1_000_000);
    let mut cells = Vec::new();
    for side in &sides {
        side.init();
        workload::write_notes(&side.folder);
        let args: &[&str] = if side.name == "mvault" { &["commit", "-q", "-m", "x"] } else { &["add", "-A"] };
        cells.push(match side.peak_mb(args) {
            Some(mb) => format!("{mb:.0} MB"),
            None => "GNU time is missing (apt-get install time)".to_owned(),
        });
    }
    println!("\n| peak memory, first commit (git: add) | {} |", cells.join(" | "));
}

/// What looking at content costs in a first commit: the same commit with every content check let through.
fn admission(root: &Path, rounds: usize) {
    const ALL: &str =
        "[[path]]\nmatch = '**'\nallow = ['secret', 'nul-filled', 'emptied', 'conflict-markers']\n";
    let mut times: [Vec<Duration>; 2] = Default::default();
    for round in 0..rounds {
        for (at, rules) in ["# as it comes\n", ALL].into_iter().enumerate() {
            let side = Side::mvault(&root.join(format!("admission-{round}-{at}")));
            side.init();
            std::fs::write(side.folder.join("vault.toml"), rules).expect("a file can be written");
            side.run(&["commit", "-q"]);
            workload::write_notes(&side.folder);
            times[at].push(time(|| side.commit()));
        }
    }
    let [with, without] = times.map(median);
    let share = (with - without) * 100.0 / without;
    println!(
        "\nadmission, first commit of notes: {with:.1} ms, {without:.1} ms with its content checks let through ({share:.0} %)"
    );
}

/// What a boot costs in a vault of 50,000 notes, beside a program that does nothing.
fn boot(root: &Path, rounds: usize) {
    let side = Side::mvault(&root.join("boot"));
    side.init();
    workload::write_many(&side.folder, 50_000);
    side.commit();
    side.run(&["boot"]);
    let (mut boots, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..rounds * 3 {
        boots.push(time(|| side.run(&["boot"])));
        nothing.push(time(|| side.run(&["--version"])));
    }
    let (boots, nothing) = (median(boots), median(nothing));
    let memory = side.peak_mb(&["boot"]).map_or("GNU time is missing".to_owned(), |mb| format!("{mb:.0} MB"));
    workload::touch_one_of_many(&side.folder, 0);
    side.commit();
    let news = time(|| side.run(&["boot"])).as_secs_f64() * 1000.0;
    println!(
        "\nboot from 50,000 notes: {boots:.1} ms, of which {nothing:.1} ms start a program that does nothing; {memory}; \
         {news:.1} ms after a note of this device changed"
    );
    boot_after_pull(root, &side, rounds);
}

/// What a boot costs after another device changed one, and then twenty times one, of 50,000 notes in a folder.
fn boot_after_pull(root: &Path, side: &Side, rounds: usize) {
    let far = Side::mvault(&root.join("boot-far"));
    std::fs::create_dir_all(far.folder.parent().expect("it has a folder")).expect("a folder can be made");
    let (near_path, far_path) = (side.folder.display().to_string(), far.folder.display().to_string());
    side.run(&["clone", &near_path, &far_path, "--device", "far"]);
    let mut touched = 0;
    let mut change = |commits: usize| {
        for _ in 0..commits {
            touched += 1;
            workload::touch_one_of_many(&far.folder, touched);
            far.commit();
        }
        side.run(&["pull", &far_path]);
    };
    let mut one = Vec::new();
    for _ in 0..rounds * 3 {
        change(1);
        one.push(time(|| side.run(&["boot"])));
    }
    change(20);
    let twenty = time(|| side.run(&["boot"])).as_secs_f64() * 1000.0;
    change(1);
    let memory = side.peak_mb(&["boot"]).map_or("GNU time is missing".to_owned(), |mb| format!("{mb:.0} MB"));
    let one = median(one);
    println!("after a pull of one changed note: {one:.1} ms and {memory}; of 20 commits: {twenty:.1} ms");
}

fn main() {
    let rounds = std::env::var("MVAULT_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(7);
    let root = tempfile::tempdir().expect("a temporary folder");
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if is_wanted("notes") {
        notes(root.path(), rounds);
    }
    if is_wanted("admission") {
        admission(root.path(), rounds * 3);
    }
    if is_wanted("boot") {
        boot(root.path(), rounds);
    }
}
