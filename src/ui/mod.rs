//! The voice: standard output is data, standard error is narration.
//!
//! - What a command was asked for goes to standard output, in words or as JSON, never both.
//! - What happens meanwhile goes to standard error: notes (silent with `--quiet` and `--json`), warnings,
//!   progress, errors. With `--json` those that remain are JSON objects too, one a line.
//! - Colours and the pager are for terminals; `NO_COLOR`, `CLICOLOR_FORCE` and `--color` decide as usual.
//! - A reader that went away (`mvault log | head`) is no failure: writing returns [`Error::ClosedPipe`],
//!   which the program turns into a quiet success.
//! - Text that came from files or peers passes [`harmless`] before a terminal sees it.
//!
//! Limits: what is written to standard error and cannot be is given up, there is nobody left to tell.

mod content;
pub mod diff;
pub mod graph;
pub mod json;
mod pager;
mod progress;
mod style;
pub mod table;
pub mod time;

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use serde::Serialize;

pub use content::Content;
pub use pager::PagerSetup;
pub use progress::{Progress, Unit};
pub use style::{ColorChoice, Palette, Style, harmless, harmless_line, push_harmless};

/// Why output could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reader of standard output went away.
    #[error("the reader of the output went away")]
    ClosedPipe,
    /// Standard output cannot be written.
    #[error("cannot write standard output")]
    Write(#[source] io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::BrokenPipe { Error::ClosedPipe } else { Error::Write(error) }
    }
}

/// The result of writing output.
pub type Result<T> = std::result::Result<T, Error>;

/// In what form data is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object, or one a line.
    Json,
}

/// How much is narrated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Notes, warnings and errors.
    #[default]
    Normal,
    /// Errors only.
    Quiet,
}

/// What the person asked for and what the surroundings are.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Text or JSON.
    pub format: Format,
    /// How much is narrated.
    pub verbosity: Verbosity,
    /// When to colour.
    pub color: ColorChoice,
    /// The pager, or `None` for none.
    pub pager: Option<PagerSetup>,
    /// The width of the terminal in columns, where known.
    pub columns: Option<usize>,
    /// The characters that lines are drawn with.
    pub glyphs: graph::Glyphs,
}

/// Where standard output goes.
enum Sink {
    Stdout(Box<dyn Write + Send>),
    Pager(pager::Pager),
    Memory(Arc<Mutex<Vec<u8>>>),
}

impl Sink {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Sink::Stdout(writer) => writer,
            Sink::Pager(pager) => pager,
            Sink::Memory(_) => self,
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Memory(memory) => {
                memory.lock().expect("no writer panics").extend_from_slice(bytes);
                Ok(bytes.len())
            }
            other => other.writer().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Memory(_) => Ok(()),
            other => other.writer().flush(),
        }
    }
}

/// The two streams of one run of the program.
pub struct Ui {
    options: Options,
    out: Sink,
    out_is_terminal: bool,
    err_is_terminal: bool,
    out_palette: Palette,
    err_palette: Palette,
}

impl Ui {
    /// Takes the process's own streams.
    pub fn new(options: Options) -> Ui {
        let stdout = io::stdout();
        let out_is_terminal = stdout.is_terminal();
        let err_is_terminal = io::stderr().is_terminal();
        let out: Box<dyn Write + Send> = if out_is_terminal {
            Box::new(stdout)
        } else {
            Box::new(BufWriter::with_capacity(1 << 16, stdout))
        };
        Ui {
            out: Sink::Stdout(out),
            out_palette: options.color.palette(out_is_terminal && options.format == Format::Text),
            err_palette: options.color.palette(err_is_terminal),
            out_is_terminal,
            err_is_terminal,
            options,
        }
    }

    /// Makes a voice whose standard output is kept in memory, for tests of commands.
    pub fn in_memory(options: Options) -> (Ui, Arc<Mutex<Vec<u8>>>) {
        let memory = Arc::new(Mutex::new(Vec::new()));
        let ui = Ui {
            out: Sink::Memory(memory.clone()),
            out_palette: options.color.palette(false),
            err_palette: options.color.palette(false),
            out_is_terminal: false,
            err_is_terminal: false,
            options,
        };
        (ui, memory)
    }

    /// Tells whether data is told as JSON.
    pub fn is_json(&self) -> bool {
        self.options.format == Format::Json
    }

    /// Tells whether standard output is a terminal (or a pager on one).
    pub fn is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Returns the colours of standard output.
    pub fn palette(&self) -> Palette {
        self.out_palette
    }

    /// Returns the width of the terminal, 80 if nobody knows.
    pub fn columns(&self) -> usize {
        self.options.columns.unwrap_or(80)
    }

    /// Returns the characters that lines are drawn with.
    pub fn glyphs(&self) -> graph::Glyphs {
        self.options.glyphs
    }

    /// Writes a line of data. The text must be harmless already.
    pub fn line(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.out, "{text}")?;
        Ok(())
    }

    /// Writes bytes verbatim.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.out.write_all(bytes)?)
    }

    /// Returns standard output for the content of a file: its bytes, or what is harmless of them on a terminal.
    pub fn content(&mut self) -> Content<'_> {
        Content::new(&mut self.out, self.out_is_terminal)
    }

    /// Returns standard output as a writer of verbatim bytes.
    pub fn writer(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Writes one JSON object as a line.
    pub fn json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.out, value).map_err(|e| Error::from(io::Error::from(e)))?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Narrates what happens; silent with `--quiet` and with `--json`.
    pub fn note(&mut self, text: impl Display) {
        if self.options.verbosity == Verbosity::Normal && !self.is_json() {
            self.narrate(&harmless(&text.to_string()));
        }
    }

    /// Asks something, whatever else is silent: somebody is about to type the answer.
    pub fn question(&mut self, text: &str) {
        let _the_data_come_first = self.out.flush();
        let _nobody_left_to_ask = write!(std::io::stderr(), "{}", harmless_line(text.as_bytes()));
    }

    /// Warns of something that does not stop the command; silent with `--quiet`, an object with `--json`.
    pub fn warn(&mut self, text: impl Display) {
        if self.options.verbosity == Verbosity::Quiet {
            return;
        }
        if self.is_json() {
            self.narrate(&serde_json::json!({"warning": {"message": text.to_string()}}).to_string());
        } else {
            let label = self.err_palette.paint(Style::Warning, "warning:");
            self.narrate(&format!("{label} {}", harmless(&text.to_string())));
        }
    }

    /// Tells the error that ends the command, and the next thing to type.
    pub fn error(&mut self, kind: &str, message: &str, hint: Option<&str>) {
        let _the_error_matters_more = self.out.flush();
        if self.is_json() {
            let error = serde_json::json!({"error": {"kind": kind, "message": message, "hint": hint}});
            self.narrate(&error.to_string());
            return;
        }
        let label = self.err_palette.paint(Style::Error, "error:");
        self.narrate(&format!("{label} {}", harmless(message)));
        if let Some(hint) = hint {
            let label = self.err_palette.paint(Style::Hint, "hint:");
            self.narrate(&format!("{label} {}", harmless(hint)));
        }
    }

    fn narrate(&mut self, text: &str) {
        if self.err_is_terminal && self.out_is_terminal {
            let _order_is_all_that_is_lost = self.out.flush();
        }
        let _nobody_left_to_tell = writeln!(io::stderr().lock(), "{text}");
    }

    /// Starts telling the progress of something that may take longer than a second.
    pub fn progress(&self, label: &str, total: Option<u64>, unit: Unit) -> Progress {
        let wanted = self.err_is_terminal && self.options.verbosity == Verbosity::Normal && !self.is_json();
        Progress::new(label, total, unit, wanted)
    }

    /// Sends what follows through the pager, if standard output is a terminal and one is wanted.
    pub fn page(&mut self) -> Result<()> {
        if !self.out_is_terminal || self.is_json() || matches!(self.out, Sink::Pager(_)) {
            return Ok(());
        }
        let Some(setup) = &self.options.pager else { return Ok(()) };
        self.out.flush()?;
        if let Some(pager) = pager::Pager::start(setup) {
            self.out = Sink::Pager(pager);
        }
        Ok(())
    }

    /// Flushes standard output and waits for the pager.
    pub fn finish(&mut self) -> Result<()> {
        let flushed = self.out.flush();
        if let Sink::Pager(pager) = &mut self.out {
            pager.finish();
        }
        Ok(flushed?)
    }
}
