//! Progress on standard error for what takes longer than a second.
//!
//! Nothing is drawn before that, when standard error is no terminal, with `--quiet` or with `--json`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a command stays silent.
const SILENT: Duration = Duration::from_secs(1);

/// One piece of work. May be advanced from many threads; disappears when dropped.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    wanted: bool,
    drawn: AtomicBool,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things: files, objects, commits.
    Things,
    /// Bytes.
    Bytes,
}

impl Progress {
    pub(super) fn new(label: &str, total: Option<u64>, unit: Unit, wanted: bool) -> Progress {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match (unit, total) {
            (Unit::Things, Some(_)) => "{msg} {wide_bar} {human_pos}/{human_len}",
            (Unit::Things, None) => "{msg} {human_pos}",
            (Unit::Bytes, Some(_)) => {
                "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}"
            }
            (Unit::Bytes, None) => "{msg} {binary_bytes} {binary_bytes_per_sec}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the templates above are valid"));
        bar.set_message(label.to_owned());
        Progress { bar, started: Instant::now(), wanted, drawn: AtomicBool::new(false) }
    }

    /// Advances by `count`.
    pub fn advance(&self, count: u64) {
        self.bar.inc(count);
        self.draw_if_late();
    }

    /// Sets how far it is.
    pub fn set(&self, position: u64) {
        self.bar.set_position(position);
        self.draw_if_late();
    }

    /// Tells how much there is in all, once that is known.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    fn draw_if_late(&self) {
        let late = self.wanted && self.started.elapsed() >= SILENT;
        if late && !self.drawn.swap(true, Ordering::Relaxed) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_in_the_first_second_or_unwanted() {
        let progress = Progress::new("hashing", Some(10), Unit::Bytes, true);
        progress.advance(3);
        assert!(!progress.drawn.load(Ordering::Relaxed));
        assert_eq!(progress.bar.position(), 3);
        let mut unwanted = Progress::new("hashing", None, Unit::Things, false);
        unwanted.started = Instant::now().checked_sub(SILENT * 2).unwrap_or_else(Instant::now);
        unwanted.set(5);
        assert!(!unwanted.drawn.load(Ordering::Relaxed));
    }
}
