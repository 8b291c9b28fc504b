//! Whether what a command costs grows with the length of history: `cargo bench --bench history`.
//!
//! Each row is one command in vaults of 100, 10,000 and 100,000 commits, and git's counterpart beside it on
//! the same commits after `git gc`. `MVAULT_BENCH_ROUNDS` sets the number of rounds (default 7),
//! `MVAULT_BENCH_COMMITS` the lengths (`100,10000,100000`), `MVAULT_BENCH_FOLDER` a folder in which what was made is
//! kept and found again. Making 100,000 commits takes seconds if `TMPDIR` lies in memory and minutes elsewhere.

#![allow(clippy::print_stdout, clippy::disallowed_methods, missing_docs)]

mod long;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const MVAULT: &str = env!("CARGO_BIN_EXE_mvault");

/// A command, and git's counterpart if it has one.
type Row = (&'static [&'static str], Option<&'static [&'static str]>);

const ROWS: [Row; 14] = [
    (&["--version"], Some(&["--version"])),
    (&["log", "-n", "20"], Some(&["log", "-n", "20"])),
    (&["log", "--oneline"], Some(&["log", "--oneline"])),
    (&["log"], Some(&["log"])),
    (&["log", "-n", "20", "--", "notes/07.md"], Some(&["log", "-n", "20", "--", "notes/07.md"])),
    (&["log", "--", "notes/07.md"], Some(&["log", "--", "notes/07.md"])),
    (&["log", "-n", "5", "--since", "2026-01-01"], Some(&["log", "-n", "5", "--since", "2026-01-01"])),
    (&["show", "main~3"], Some(&["show", "main~3"])),
    (&["status"], Some(&["status"])),
    (&["audit", "-n", "5"], None),
    (&["branch"], Some(&["branch"])),
    (&["stats"], Some(&["count-objects", "-v"])),
    (&["boot"], None),
    (&["standup"], None),
];

fn run(program: &str, folder: &Path, args: &[&str]) -> f64 {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    command.env_remove("MVAULT_DIR").stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null());
    let start = Instant::now();
    let output = command.output().expect("the program starts");
    let took = start.elapsed().as_secs_f64() * 1000.0;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    took
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Makes a vault and a repository of `count` commits below `root`, unless they are there.
fn sides(root: &Path, count: usize) -> (PathBuf, PathBuf) {
    let (vault, git) = (root.join(format!("mvault-{count}")), root.join(format!("git-{count}")));
    if !vault.exists() {
        std::fs::create_dir_all(&vault).expect("a folder can be made");
        run(MVAULT, &vault, &["init", "--device", "bench"]);
        long::write_vault(&vault, count);
        run(MVAULT, &vault, &["commit", "-q"]);
    }
    if !git.exists() {
        long::write_git(&git, count);
    }
    (vault, git)
}

fn main() {
    let rounds = std::env::var("MVAULT_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(7);
    let counts = std::env::var("MVAULT_BENCH_COMMITS").unwrap_or_else(|_| "100,10000,100000".to_owned());
    let counts: Vec<usize> = counts.split(',').filter_map(|count| count.trim().parse().ok()).collect();
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let root = std::env::var_os("MVAULT_BENCH_FOLDER").map_or(temporary.path().to_path_buf(), PathBuf::from);
    let sides: Vec<_> = counts.iter().map(|count| sides(&root, *count)).collect();
    println!("\nmvault / git in ms, medians of {rounds} rounds\n");
    println!("| commits | {} |", counts.iter().map(usize::to_string).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(counts.len()));
    for (ours, theirs) in ROWS {
        let mut cells = Vec::new();
        for (vault, git) in &sides {
            let (mut mine, mut its) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                mine.push(run(MVAULT, vault, ours));
                its.extend(theirs.map(|args| run("git", git, args)));
            }
            let its = if its.is_empty() { "-".to_owned() } else { format!("{:.1}", median(its)) };
            cells.push(format!("{:.1} / {its}", median(mine)));
        }
        println!("| `{}` | {} |", ours.join(" "), cells.join(" | "));
    }
}
