//! Races: sides take turns round by round; what is measured is the median.

use std::time::Instant;

use super::side::{Lane, Side};
use super::{Bench, Done};

/// A side whose runs took so long in all takes part in no further round.
const SECONDS_MAX: f64 = 60.0;

/// What the runs of one side gave.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Whose they are.
    pub lane: Lane,
    /// How often it was to run.
    pub rounds: usize,
    /// How long each run took.
    pub seconds: Vec<f64>,
    /// The most memory of a run in MB, where it was watched.
    pub peak_mb: Option<f64>,
}

impl Timing {
    /// Returns the median run.
    pub fn median(&self) -> f64 {
        median(&self.seconds)
    }
}

/// Returns the median of some figures.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Measures an act of its own.
pub fn seconds(act: impl FnOnce() -> Done) -> Done<f64> {
    let start = Instant::now();
    act()?;
    Ok(start.elapsed().as_secs_f64())
}

/// A race about to be run.
pub struct Race<'a> {
    sides: Vec<&'a Side>,
    rounds: usize,
    is_watched: bool,
}

impl<'a> Race<'a> {
    /// A race between some sides in as many rounds as were asked for.
    pub fn new(bench: &Bench, sides: impl IntoIterator<Item = &'a Side>) -> Race<'a> {
        Race { sides: sides.into_iter().collect(), rounds: bench.rounds, is_watched: false }
    }

    /// Runs more rounds, for acts of a few milliseconds.
    pub fn often(self) -> Race<'a> {
        Race { rounds: self.rounds * 3, ..self }
    }

    /// Runs one round, for acts that find nothing to do the second time.
    pub fn once(self) -> Race<'a> {
        Race { rounds: 1, ..self }
    }

    /// Watches the memory of each run, by GNU time where it is installed. That adds a millisecond to each
    /// process, so it is for long runs.
    pub fn watched(self) -> Race<'a> {
        Race { is_watched: std::path::Path::new("/usr/bin/time").exists(), ..self }
    }

    /// Runs it: `prepare` is not measured, `act` is.
    pub fn run(
        self,
        mut prepare: impl FnMut(&Side, usize) -> Done,
        mut act: impl FnMut(&Side, usize) -> Done,
    ) -> Done<Vec<Timing>> {
        let rounds = self.rounds;
        let timing = |side: &&Side| Timing { lane: side.lane, rounds, seconds: Vec::new(), peak_mb: None };
        let mut timings: Vec<Timing> = self.sides.iter().map(timing).collect();
        for round in 0..self.rounds {
            for (side, timing) in self.sides.iter().zip(&mut timings) {
                let spent: f64 = timing.seconds.iter().sum();
                if spent + timing.seconds.last().unwrap_or(&0.0) > SECONDS_MAX {
                    continue;
                }
                prepare(side, round)?;
                side.is_watched.set(self.is_watched);
                timing.seconds.push(seconds(|| act(side, round))?);
                side.is_watched.set(false);
            }
        }
        for (side, timing) in self.sides.iter().zip(&mut timings) {
            timing.peak_mb = side.peak_kib.take().map(|kib| kib as f64 * 1024.0 / 1e6);
        }
        Ok(timings)
    }
}
