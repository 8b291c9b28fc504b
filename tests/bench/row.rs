//! Rows of the table: what each side needed, what mvault aims at, and whether it holds.

use super::measure::Timing;
use super::side::Lane;

/// What a row's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Time.
    Seconds,
    /// Lengths of files, or memory.
    Megabytes,
}

impl Unit {
    /// Writes a figure with three digits or so.
    pub fn show(self, figure: f64) -> String {
        let (figure, unit) = match self {
            Unit::Seconds if figure.abs() < 1.0 => (figure * 1000.0, "ms"),
            Unit::Seconds => (figure, "s"),
            Unit::Megabytes if figure.abs() < 0.1 => (figure * 1000.0, "KB"),
            Unit::Megabytes => (figure, "MB"),
        };
        match figure.abs() {
            size if size < 10.0 => format!("{figure:.2} {unit}"),
            size if size < 100.0 => format!("{figure:.1} {unit}"),
            _ => format!("{figure:.0} {unit}"),
        }
    }
}

/// A figure of one side.
#[derive(Clone, Debug)]
struct Cell {
    lane: Lane,
    figure: f64,
    /// How often it ran, where that is less often than it was to run and than five times.
    runs_few: Option<usize>,
}

/// What mvault aims at in a row.
#[derive(Clone, Debug)]
enum Aim {
    /// The other side needs at least so many times as much.
    Faster { than: Lane, times: f64, words: &'static str },
    /// At most so much more than the other side.
    Within { of: Lane, more: f64 },
    /// At most so much.
    Under { limit: f64 },
    /// Something that this benchmark does not measure.
    NotCompared { words: String },
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    operation: String,
    unit: Unit,
    cells: Vec<Cell>,
    aims: Vec<Aim>,
    remark: String,
}

impl Row {
    fn new(operation: &str, unit: Unit) -> Row {
        let (cells, aims) = (Vec::new(), Vec::new());
        Row { operation: operation.to_owned(), unit, cells, aims, remark: String::new() }
    }

    /// A row of times.
    pub fn times(operation: &str, timings: &[Timing]) -> Row {
        let mut row = Row::new(operation, Unit::Seconds);
        row.cells.extend(timings.iter().map(|timing| Cell {
            lane: timing.lane,
            figure: timing.median(),
            runs_few: Some(timing.seconds.len()).filter(|runs| *runs < timing.rounds.min(5)),
        }));
        row
    }

    /// A row of the memory that these runs took; those that were not watched are left out.
    pub fn peaks(operation: &str, timings: &[Timing]) -> Row {
        let peaks = timings.iter().filter_map(|timing| Some((timing.lane, timing.peak_mb?)));
        let row = Row::figures(operation, Unit::Megabytes, peaks);
        if row.cells.is_empty() { row.remark("not measured: GNU time is not installed") } else { row }
    }

    /// A row of other figures.
    pub fn figures(operation: &str, unit: Unit, figures: impl IntoIterator<Item = (Lane, f64)>) -> Row {
        let mut row = Row::new(operation, unit);
        let cells = figures.into_iter().map(|(lane, figure)| Cell { lane, figure, runs_few: None });
        row.cells.extend(cells);
        row
    }

    /// A row that cannot be measured yet.
    pub fn missing(operation: &str, why: &str) -> Row {
        Row::new(operation, Unit::Seconds).remark(&format!("not there yet: {why}"))
    }

    /// Aims at being so many times faster, or smaller, than another side.
    pub fn faster(mut self, than: Lane, times: f64) -> Row {
        self.aims.push(Aim::Faster { than, times, words: "" });
        self
    }

    /// Aims as [`Row::faster`], said in other words.
    pub fn aims(mut self, words: &'static str, than: Lane, times: f64) -> Row {
        self.aims.push(Aim::Faster { than, times, words });
        self
    }

    /// Aims at no more than so much above another side.
    pub fn within(mut self, of: Lane, more: f64) -> Row {
        self.aims.push(Aim::Within { of, more });
        self
    }

    /// Aims at no more than so much.
    pub fn under(mut self, limit: f64) -> Row {
        self.aims.push(Aim::Under { limit });
        self
    }

    /// Aims at something which is not measured here.
    pub fn not_compared(mut self, words: &str) -> Row {
        self.aims.push(Aim::NotCompared { words: words.to_owned() });
        self
    }

    /// Adds a remark.
    pub fn remark(mut self, text: &str) -> Row {
        let separator = if self.remark.is_empty() { "" } else { "; " };
        self.remark = format!("{}{separator}{text}", self.remark);
        self
    }

    fn figure(&self, lane: Lane) -> Option<f64> {
        self.cells.iter().find(|cell| cell.lane == lane).map(|cell| cell.figure)
    }

    fn show(&self, cell: &Cell) -> String {
        let ours = self.figure(Lane::Mvault).filter(|ours| *ours > 0.0 && cell.lane != Lane::Mvault);
        let ratio = ours.map_or(String::new(), |ours| format!(" ({})", times(cell.figure / ours)));
        let runs = cell.runs_few.map_or(String::new(), |runs| format!(", {runs} run{}", plural(runs)));
        format!("{}{ratio}{runs}", self.unit.show(cell.figure))
    }

    fn verdict(&self, aim: &Aim) -> (String, String) {
        let ours = self.figure(Lane::Mvault);
        let (text, goal, is_held, told) = match aim {
            Aim::NotCompared { words } => return (words.clone(), "not compared".to_owned()),
            Aim::Under { limit } => {
                let goal = self.unit.show(*limit);
                (
                    format!("at most {goal}"),
                    goal,
                    ours.map(|ours| ours <= *limit),
                    ours.map(|ours| self.unit.show(ours)),
                )
            }
            Aim::Faster { than, times: aim, words } => {
                let text = match *words {
                    "" => format!("{} faster than {}", times(*aim), than.name()),
                    words => words.to_owned(),
                };
                let ratio = ours.zip(self.figure(*than)).map(|(ours, theirs)| theirs / ours);
                (text, times(*aim), ratio.map(|ratio| ratio >= *aim), ratio.map(times))
            }
            Aim::Within { of, more } => {
                let text = format!("{} + {}", of.name(), self.unit.show(*more));
                let over = ours.zip(self.figure(*of)).map(|(ours, theirs)| ours - theirs);
                let told =
                    over.map(|over| format!("{}{}", if over < 0.0 { "" } else { "+" }, self.unit.show(over)));
                (text, format!("+{}", self.unit.show(*more)), over.map(|over| over <= *more), told)
            }
        };
        let verdict = match (is_held, told) {
            (Some(true), Some(told)) => format!("holds: {told}"),
            (Some(false), Some(told)) => format!("**short** of {goal}: {told}"),
            _ => "not compared".to_owned(),
        };
        (text, verdict)
    }

    /// Returns the table's first two lines.
    pub fn heading() -> &'static str {
        "| operation | mvault | git synced | git default | beside it | aim | |\n|---|---|---|---|---|---|---|"
    }

    /// Returns the row as a line of a Markdown table.
    pub fn markdown(&self) -> String {
        let columns = [Lane::Mvault, Lane::Synced, Lane::Default];
        let column = |lane| self.cells.iter().find(|cell| cell.lane == lane);
        let mut cells: Vec<String> = columns
            .into_iter()
            .map(|lane| column(lane).map_or(String::new(), |cell| self.show(cell)))
            .collect();
        let beside = self.cells.iter().filter(|cell| !columns.contains(&cell.lane));
        let mut beside: Vec<String> =
            beside.map(|cell| format!("{}: {}", cell.lane.name(), self.show(cell))).collect();
        beside.extend(Some(self.remark.clone()).filter(|remark| !remark.is_empty()));
        cells.push(beside.join("; "));
        let (aims, verdicts): (Vec<_>, Vec<_>) = self.aims.iter().map(|aim| self.verdict(aim)).unzip();
        cells.push(aims.join("; "));
        cells.push(verdicts.join("; "));
        format!("| {} | {} |", self.operation, cells.join(" | "))
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Writes a ratio.
fn times(ratio: f64) -> String {
    let is_whole = ratio >= 9.95 || ratio.fract() == 0.0;
    if is_whole { format!("{ratio:.0} x") } else { format!("{ratio:.1} x") }
}
