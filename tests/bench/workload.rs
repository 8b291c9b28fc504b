//! Seeded notes: the same bytes on every machine and in every run.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::Done;

/// A small generator of pseudo-random numbers (xorshift64*), so that workloads need no crate and never
/// change.
pub struct Random(u64);

impl Random {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        (self.bits() >> 33) % bound
    }
}

const SYLLABLES: [&str; 40] = [
    "an", "ber", "con", "den", "er", "fin", "gra", "hol", "in", "jun", "ken", "lo", "ment", "nor", "ous",
    "pre", "qui", "ra", "ses", "tion", "un", "ver", "wil", "xen", "yon", "zu", "al", "be", "cha", "dis",
    "est", "for", "gen", "hand", "ity", "lar", "mor", "ness", "per", "ture",
];

const RANKS: u64 = 60;

/// All words by their rank.
static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let word = |rank| {
        let mut inner = Random::new(rank + 17);
        (0..1 + inner.below(3)).map(|_| SYLLABLES[inner.below(40) as usize]).collect()
    };
    (0..RANKS * RANKS).map(word).collect()
});

/// Returns a word: few are common and many are rare, as in prose.
pub fn word(random: &mut Random) -> &'static str {
    let rank = random.below(RANKS) * random.below(RANKS);
    &WORDS[rank as usize]
}

/// Returns a note of about so many bytes.
pub fn note(seed: u64, bytes: usize) -> String {
    let mut random = Random::new(seed);
    let (first, second) = (word(&mut random), word(&mut random));
    let mut text = format!("---\ntags: [{first}, {second}]\n---\n");
    let _infallible = writeln!(text, "# {} {}\n", word(&mut random), seed);
    while text.len() < bytes {
        for _ in 0..6 + random.below(14) {
            text.push_str(word(&mut random));
            text.push(' ');
        }
        text.push_str(if random.below(4) == 0 { "\n\n- " } else { "\n" });
    }
    text
}

/// So many Markdown files of about 5 KB, 50 a folder.
#[derive(Clone, Copy)]
pub struct Notes {
    /// How many there are.
    pub count: u64,
}

impl Notes {
    fn path(self, folder: &Path, number: u64) -> PathBuf {
        let folders = self.count.div_ceil(50);
        folder.join(format!("notes/{:02}/{number:05}.md", number % folders))
    }

    /// Writes them all.
    pub fn write(self, folder: &Path) -> Done {
        for number in 0..self.count {
            let path = self.path(folder, number);
            if number < self.count.div_ceil(50) {
                std::fs::create_dir_all(path.parent().ok_or("a note is in a folder")?)?;
            }
            std::fs::write(path, note(number, 5120))?;
        }
        Ok(())
    }

    /// Adds a line at the end of one; another one each round.
    pub fn touch_one(self, folder: &Path, round: usize) -> Done {
        self.edit(folder, (round as u64 * 37) % self.count, |text| {
            let _infallible = writeln!(text, "- one more line in round {round}");
        })
    }

    /// Writes new content into those from `from` on, so many of them.
    pub fn rewrite(self, folder: &Path, from: u64, count: u64, round: usize) -> Done {
        for number in from..(from + count).min(self.count) {
            let seed = number + 1_000_000 * (round as u64 + 1);
            std::fs::write(self.path(folder, number), note(seed, 5120))?;
        }
        Ok(())
    }

    /// Changes the text of one.
    pub fn edit(self, folder: &Path, number: u64, change: impl FnOnce(&mut String)) -> Done {
        let path = self.path(folder, number);
        let mut text = std::fs::read_to_string(&path)?;
        change(&mut text);
        Ok(std::fs::write(path, text)?)
    }
}

/// Writes so many notes of a few lines in one folder, a page of continuity and 30 distillates.
pub fn write_many(folder: &Path, count: u64) -> Done {
    for name in ["notes/00", "distillates"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    for number in 0..count {
        std::fs::write(folder.join(format!("notes/00/{number:05}.md")), note(number, 120))?;
    }
    std::fs::write(folder.join("continuity.md"), note(1, 4000))?;
    for day in 1..=30 {
        std::fs::write(folder.join(format!("distillates/2026-10-{day:02}.md")), note(day, 2000))?;
    }
    Ok(())
}
