//! A slice of fuzzing on the stable toolchain: each target for a few seconds, on inputs made from its sound ones and
//! from those that once found something (testdata/fuzz). `MVAULT_FUZZ_SECONDS=N` makes it longer, and
//! `MVAULT_FUZZ_SEED=N` repeats a run. With coverage, and at length: `tests/fuzz/run.sh`.

#![allow(clippy::print_stdout, clippy::print_stderr)] // how much was tried, and what failed

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use mvault::env::{Env, Moment};

use crate::fuzz::{TARGETS, Target};

/// What parsers of text and of binary forms trip over.
const WORDS: [&[u8]; 20] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\"",
    b"\\ud83d",
    b"{}",
    b"[[[[[[[[",
    b"null",
    b"1e400",
    b"-0",
    b"99999999999999999999",
    b"..",
    b"/",
    b"+9999",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x0c",
    "é".as_bytes(),
];

struct Random {
    env: Env,
}

impl Random {
    fn below(&self, limit: usize) -> usize {
        let [a, b, c, d, ..] = self.env.random16();
        u32::from_le_bytes([a, b, c, d]) as usize % limit.max(1)
    }

    fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Changes an input in one place.
fn mutate(random: &Random, data: &mut Vec<u8>, others: &[Vec<u8>]) {
    let at = random.below(data.len() + 1);
    let end = (at + 1 + random.below(1 << random.below(8))).min(data.len());
    match random.below(8) {
        0 if at < data.len() => data[at] ^= 1 << random.below(8),
        1 if at < data.len() => data[at] = random.below(256) as u8,
        2 if at < end => drop(data.drain(at..end)),
        3 if at < end => {
            let piece = data[at..end].to_vec();
            let to = random.below(data.len() + 1);
            data.splice(to..to, piece);
        }
        4 => {
            let other = random.pick(others);
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            data.splice(at..at, other[from..to].iter().copied());
        }
        5 if at < data.len() => data[at] = data[at].wrapping_add(1),
        6 => data.truncate(at),
        _ => drop(data.splice(at..at, random.pick(&WORDS).iter().copied())),
    }
}

fn inputs_of(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz").join(target.name);
    let mut kept: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
    kept.sort();
    inputs.extend(kept.iter().map(|path| std::fs::read(path).expect("a kept input is a file")));
    inputs
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn slice(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let seed = number("MVAULT_FUZZ_SEED", u64::from(std::process::id()));
    let end = Instant::now() + Duration::from_secs(number("MVAULT_FUZZ_SECONDS", 20));
    let random =
        Random { env: Env::fixed(Moment { unix_ns: 0, offset_minutes: 0 }, &format!("{name} {seed}")) };
    let inputs = inputs_of(target);
    assert!(!inputs.is_empty(), "a target begins with sound inputs");
    let run = |data: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| crate::fuzz::run(name, data))) {
            eprintln!("{name}, MVAULT_FUZZ_SEED={seed}: this input fails: {}", hex::encode(data));
            std::panic::resume_unwind(panic);
        }
    };
    inputs.iter().for_each(|input| run(input));
    let mut runs = inputs.len();
    while Instant::now() < end {
        let mut data = random.pick(&inputs).clone();
        for _ in 0..=random.below(6) {
            mutate(&random, &mut data, &inputs);
        }
        run(&data);
        runs += 1;
    }
    println!("{name}: {runs} inputs, MVAULT_FUZZ_SEED={seed}");
}

macro_rules! slices {
    ($($name:ident)*) => {
        $(#[test] fn $name() { slice(stringify!($name)); })*

        #[test]
        fn every_target_has_a_slice_and_a_program_of_its_name() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            let programs = include_str!("fuzz/Cargo.toml");
            for name in names {
                assert!(programs.contains(&format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/any.rs\"")), "{name}");
            }
        }
    };
}

slices! {
    commit tree canonical_json event stream refs rules config ignore wire remote hooks mcp secrets index frame pack log
    bundle revision
}
