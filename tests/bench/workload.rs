//! Seeded workloads: the same bytes on every machine and in every run.

use std::fmt::Write;
use std::path::Path;

/// A small generator of pseudo-random numbers (xorshift64*), so that workloads need no crate and never
/// change.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

const SYLLABLES: [&str; 40] = [
    "an", "ber", "con", "den", "er", "fin", "gra", "hol", "in", "jun", "ken", "lo", "ment", "nor", "ous",
    "pre", "qui", "ra", "ses", "tion", "un", "ver", "wil", "xen", "yon", "zu", "al", "be", "cha", "dis",
    "est", "for", "gen", "hand", "ity", "lar", "mor", "ness", "per", "ture",
];

/// A word: few are common and many are rare, as in prose.
fn word(random: &mut Random) -> String {
    let rank = random.below(60) * random.below(60);
    let mut inner = Random::new(rank + 17);
    (0..1 + inner.below(3)).map(|_| SYLLABLES[inner.below(40) as usize]).collect()
}

fn note(seed: u64, bytes: usize) -> String {
    let mut random = Random::new(seed);
    let mut text = format!("---\ntags: [{}, {}]\n---\n", word(&mut random), word(&mut random));
    let _infallible = writeln!(text, "# {} {}\n", word(&mut random), seed);
    while text.len() < bytes {
        for _ in 0..6 + random.below(14) {
            text.push_str(&word(&mut random));
            text.push(' ');
        }
        text.push_str(if random.below(4) == 0 { "\n\n- " } else { "\n" });
    }
    text
}

fn path(folder: &Path, number: u64) -> std::path::PathBuf {
    folder.join(format!("notes/{:02}/{number:05}.md", number % 40))
}

/// So many notes of a few lines in one folder, a page of continuity and 30 distillates.
pub fn write_many(folder: &Path, count: u64) {
    for name in ["notes/00", "distillates"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder can be made");
    }
    for number in 0..count {
        let text = note(number, 120);
        std::fs::write(folder.join(format!("notes/00/{number:05}.md")), text).expect("a file can be written");
    }
    std::fs::write(folder.join("continuity.md"), note(1, 4000)).expect("a file can be written");
    for day in 1..=30 {
        let path = folder.join(format!("distillates/2026-10-{day:02}.md"));
        std::fs::write(path, note(day, 2000)).expect("a file can be written");
    }
}

/// 2,000 Markdown files of about 5 KB in 40 folders.
pub fn write_notes(folder: &Path) {
    for number in 0..2000 {
        let path = path(folder, number);
        std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder can be made");
        std::fs::write(path, note(number, 5120)).expect("a file can be written");
    }
}

/// Adds a line to one file.
pub fn touch_one(folder: &Path, round: usize) {
    let path = path(folder, (round as u64 * 37) % 2000);
    let mut text = std::fs::read_to_string(&path).expect("a note can be read");
    let _infallible = writeln!(text, "- one more line in round {round}");
    std::fs::write(path, text).expect("a file can be written");
}

/// Adds a line to one of the files of [`write_many`].
pub fn touch_one_of_many(folder: &Path, round: usize) {
    let path = folder.join(format!("notes/00/{:05}.md", round * 1_009 % 50_000));
    let mut text = std::fs::read_to_string(&path).expect("a note can be read");
    let _infallible = writeln!(text, "- one more line in round {round}");
    std::fs::write(path, text).expect("a file can be written");
}

/// Changes every file.
pub fn rewrite_all(folder: &Path, round: usize) {
    for number in 0..2000 {
        let path = path(folder, number);
        std::fs::write(path, note(number + 10_000 * (round as u64 + 1), 5120))
            .expect("a file can be written");
    }
}
