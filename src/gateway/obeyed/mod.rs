//! Files that programs execute or obey as soon as they find them: known by name and by content.
//!
//! - What is known is data: `table.toml` beside this file, to which anybody can add a line.
//! - A verdict names the part that runs by a hash, so that it can be accepted: a change of that part is
//!   another part, a change of anything else is not.
//! - Names are compared as the least discerning system would: see [`name`].
//! - What cannot be taken apart counts whole.
//! - A link counts by its own name, and by the folder it stands for: a program finds what it runs behind it.

mod name;
mod part;
mod table;

use std::path::Path;

use super::sidecar::Digest256;
use crate::object::{BlobId, Mode, VaultPath};
use name::{Parts, fold_part};
use table::{Part, Row, table};

/// The longest file that is taken apart, in bytes; a longer one counts whole.
pub const PART_BYTES_MAX: u64 = 512 << 10;
/// How many folders above the vault count as part of a path.
const ABOVE: usize = 3;

/// When a file takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// When somebody uses it.
    Use,
    /// As soon as some program finds it.
    Sight,
}

/// What runs of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// When.
    pub when: When,
    /// The hash of the part that runs.
    pub part: Digest256,
    /// Which program runs what, in a line that can be shown anywhere.
    pub shown: String,
}

/// A verdict about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing of it runs.
    Nothing,
    /// Models follow it as text; nothing of it runs.
    Steers,
    /// Some of it runs.
    Runs(Runs),
}

/// The content of a file, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// How it begins; it is longer than [`PART_BYTES_MAX`].
    Long(&'a [u8]),
}

/// Where a vault lies: the folders above it count, because a vault can be some program's own folder.
#[derive(Clone, Debug, Default)]
pub struct Place(Vec<Vec<u8>>);

impl Place {
    /// Takes the last folders of the path of a vault's root.
    pub fn of(root: &Path) -> Place {
        let names = root.components().filter_map(|part| match part {
            std::path::Component::Normal(name) => Some(fold_part(name.as_encoded_bytes())),
            _ => None,
        });
        let names: Vec<Vec<u8>> = names.collect();
        Place(names[names.len().saturating_sub(ABOVE)..].to_vec())
    }
}

/// What the name and mode of a file say.
#[derive(Clone, Debug)]
pub struct Look {
    rows: Vec<(&'static Row, When)>,
    is_link: bool,
    is_executable: bool,
    is_markdown: bool,
    is_inert: bool,
    is_document: bool,
}

/// Looks at the name and mode of a file.
pub fn look(place: &Place, path: &VaultPath, mode: Mode) -> Look {
    let is_file = matches!(mode, Mode::File | Mode::Executable);
    let mut parts = place.0.clone();
    parts.extend(path.parts().map(fold_part));
    let table = table();
    let rows = match mode {
        Mode::File | Mode::Executable => {
            table.rows(&Parts::new(&parts)).into_iter().map(|row| (row, row.when)).collect()
        }
        // Own folders that are links are no surprise here; to other devices they are.
        Mode::Symlink => {
            let rows = table.rows_of_link(&Parts::new(&parts)).into_iter();
            rows.map(|(row, is_behind)| (row, if is_behind { When::Use } else { row.when })).collect()
        }
        Mode::Tree => Vec::new(),
    };
    let extension = parts.last().and_then(|name| {
        let dot = name.iter().rposition(|b| *b == b'.').filter(|at| *at > 0)?;
        std::str::from_utf8(&name[dot + 1..]).ok()
    });
    let is = |list: &[String]| extension.is_some_and(|extension| list.iter().any(|one| one == extension));
    let is_document = is(&table.documents);
    Look {
        rows,
        is_link: mode == Mode::Symlink,
        is_executable: mode == Mode::Executable,
        is_markdown: is_file && is(&table.markdown_extensions),
        is_inert: !is_file || is_document || is(&table.settings),
        is_document,
    }
}

impl Look {
    /// Returns `true` if nothing of the file runs whatever its content is.
    pub fn is_nothing(&self) -> bool {
        self.rows.is_empty() && !self.is_executable && !self.is_markdown && self.is_inert
    }

    /// Returns `true` if the verdict depends on the content.
    pub fn needs_content(&self) -> bool {
        !self.is_nothing() && !self.is_executable
    }

    /// Judges a file by its content, whose id is `blob`.
    pub fn judge(&self, blob: BlobId, content: Content<'_>) -> Found {
        let mut parts = Pieces::default();
        let mut steers = false;
        for (row, when) in &self.rows {
            if !self.is_link && !row.has_word(content) {
                continue;
            }
            match row.part {
                Part::Steers => steers = true,
                _ if self.is_link => parts.add_whole(&row.who, *when),
                _ => parts.add(row, self.part_of(row, content)),
            }
        }
        let begins = match content {
            Content::Whole(bytes) | Content::Long(bytes) => bytes,
        };
        if self.is_executable || (!self.is_inert && part::is_program(begins)) {
            parts.add_whole("the system", When::Use);
        }
        if parts.is_empty() && self.is_markdown {
            parts.add_telling(part::telling_markdown(content));
        }
        match parts.finish(blob, content) {
            Some(runs) => Found::Runs(runs),
            None if steers => Found::Steers,
            None => Found::Nothing,
        }
    }

    fn part_of(&self, row: &Row, content: Content<'_>) -> part::Taken {
        match row.part {
            Part::Steers => part::Taken::nothing(),
            Part::Whole => part::Taken::Whole,
            Part::Keys => part::keys(content, &row.keys),
            Part::Prompt => part::prompt(content),
            Part::Markdown => part::markdown(content),
            Part::Auto if self.is_markdown => part::markdown(content),
            Part::Auto if self.is_document => part::Taken::nothing(),
            Part::Auto => part::Taken::Whole,
        }
    }
}

/// The parts that several rows found in one file.
#[derive(Default)]
struct Pieces {
    when: Option<When>,
    who: Option<&'static str>,
    is_whole: bool,
    texts: Vec<String>,
    shown: Vec<String>,
}

impl Pieces {
    fn is_empty(&self) -> bool {
        self.when.is_none()
    }

    fn add(&mut self, row: &'static Row, taken: part::Taken) {
        match taken {
            part::Taken::Whole => self.add_whole(&row.who, row.when),
            part::Taken::Pieces(pieces) if pieces.is_empty() => {}
            part::Taken::Pieces(pieces) => {
                self.note(&row.who, row.when);
                for piece in pieces {
                    if !self.texts.contains(&piece.text) {
                        self.texts.push(piece.text);
                        self.shown.push(piece.shown);
                    }
                }
            }
        }
    }

    fn add_whole(&mut self, who: &'static str, when: When) {
        self.note(who, when);
        self.is_whole = true;
    }

    fn add_telling(&mut self, taken: part::Taken) {
        match taken {
            part::Taken::Whole => self.add_whole("agents", When::Use),
            part::Taken::Pieces(pieces) => {
                for piece in pieces {
                    self.note("agents", When::Use);
                    self.texts.push(piece.text);
                    self.shown.push(piece.shown);
                }
            }
        }
    }

    fn note(&mut self, who: &'static str, when: When) {
        if self.when.is_none_or(|known| known < when) {
            (self.when, self.who) = (Some(when), Some(who));
        }
    }

    fn finish(mut self, blob: BlobId, content: Content<'_>) -> Option<Runs> {
        let (when, who) = (self.when?, self.who?);
        let (part, shown) = if self.is_whole {
            (Digest256::of(format!("whole\0{blob}").as_bytes()), part::first_line(content))
        } else {
            self.texts.sort();
            self.texts.insert(0, "pieces".to_owned());
            (Digest256::of(self.texts.join("\0").as_bytes()), part::list(&self.shown))
        };
        let shown = if shown.is_empty() { who.to_owned() } else { format!("{who}: {shown}") };
        Some(Runs { when, part, shown })
    }
}

#[cfg(test)]
mod tests;
