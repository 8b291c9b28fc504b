//! Colours, and text made harmless.

use std::fmt::{self, Display, Write};

use crate::object::push_visible;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Decides between what was asked for on the command line and the environment: an explicit choice
    /// wins, then a non-empty `NO_COLOR`, then a `CLICOLOR_FORCE` other than `0`.
    pub fn resolve(asked: Option<ColorChoice>, no_color: Option<&str>, force: Option<&str>) -> ColorChoice {
        match asked {
            Some(choice) if choice != ColorChoice::Auto => choice,
            _ if no_color.is_some_and(|v| !v.is_empty()) => ColorChoice::Never,
            _ if force.is_some_and(|v| !v.is_empty() && v != "0") => ColorChoice::Always,
            _ => ColorChoice::Auto,
        }
    }

    pub(super) fn palette(self, is_terminal: bool) -> Palette {
        match self {
            ColorChoice::Auto => Palette { on: is_terminal },
            ColorChoice::Always => Palette { on: true },
            ColorChoice::Never => Palette { on: false },
        }
    }
}

/// What a piece of text is, for the choice of its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The label of an error.
    Error,
    /// The label of a warning.
    Warning,
    /// The label of a hint.
    Hint,
    /// An object's id.
    Id,
    /// A branch, tag or device.
    Ref,
    /// A heading.
    Heading,
    /// What was added.
    Added,
    /// What was removed.
    Removed,
    /// The words within an added line that are new.
    AddedWord,
    /// The words within a removed line that went.
    RemovedWord,
    /// Where in a file a piece of a diff stands.
    Hunk,
    /// What matters less.
    Faint,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Error => "1;31",
            Style::Warning => "1;33",
            Style::Hint | Style::Hunk => "36",
            Style::Id => "33",
            Style::Ref => "1;36",
            Style::Heading => "1",
            Style::Added => "32",
            Style::Removed => "31",
            Style::AddedWord => "1;7;32",
            Style::RemovedWord => "1;7;31",
            Style::Faint => "2",
        }
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    on: bool,
}

impl Palette {
    /// Colours everything.
    pub const COLORED: Palette = Palette { on: true };
    /// Colours nothing.
    pub const PLAIN: Palette = Palette { on: false };

    /// Tells whether there are colours.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// Colours `text`. It must be harmless already.
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", style.code())
        } else {
            text.to_owned()
        }
    }

    /// Colours what is about to be written. It must be harmless already, and not empty.
    pub fn painted<T: Display>(self, style: Style, text: T) -> Painted<T> {
        Painted { code: self.on.then(|| style.code()), text }
    }
}

/// What is coloured while it is written.
pub struct Painted<T> {
    code: Option<&'static str>,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}

/// Escapes what could steer a terminal; line breaks and tabs stay.
pub fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    push_harmless(&mut safe, text);
    safe
}

/// Adds text to `safe` as [`harmless`] makes it.
pub fn push_harmless(safe: &mut String, text: &str) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        safe.push_str(text);
    } else {
        push_visible(safe, text, |c| matches!(c, '\n' | '\t'));
    }
}

/// Escapes what could steer a terminal in bytes that may not be UTF-8; line breaks become visible too,
/// so that the result is one line.
pub fn harmless_line(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push_visible(&mut safe, chunk.valid(), |c| c == '\t');
        for byte in chunk.invalid() {
            write!(safe, "\\x{byte:02x}").expect("a string takes everything");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_choice_of_colour_beats_the_environment() {
        use ColorChoice::{Always, Auto, Never};
        for (asked, no_color, force, expected) in [
            (None, None, None, Auto),
            (None, Some(""), None, Auto),
            (None, Some("1"), Some("1"), Never),
            (None, None, Some("1"), Always),
            (None, None, Some("0"), Auto),
            (Some(Auto), Some("1"), None, Never),
            (Some(Always), Some("1"), None, Always),
            (Some(Never), None, Some("1"), Never),
        ] {
            assert_eq!(
                ColorChoice::resolve(asked, no_color, force),
                expected,
                "{asked:?} {no_color:?} {force:?}"
            );
        }
    }

    #[test]
    fn no_text_can_steer_a_terminal() {
        assert_eq!(harmless("a\x1b[2J\tb\nc\r\u{9b}"), "a\\u{1b}[2J\tb\nc\\r\\u{9b}");
        assert_eq!(harmless("x\u{202e}y\u{2066}"), "x\\u{202e}y\\u{2066}");
        assert_eq!(harmless_line(b"a\xff\n\x07"), "a\\xff\\n\\u{7}");
        assert_eq!(harmless("Zoë 🗄 é"), "Zoë 🗄 é");
    }

    #[test]
    fn plain_palette_leaves_text_alone() {
        assert_eq!(Palette::PLAIN.paint(Style::Id, "x"), "x");
        assert_eq!(Palette::COLORED.paint(Style::Id, "x"), "\x1b[33mx\x1b[0m");
        assert_eq!(Palette::PLAIN.painted(Style::Id, 7).to_string(), "7");
        assert_eq!(Palette::COLORED.painted(Style::Id, 7).to_string(), "\x1b[33m7\x1b[0m");
        assert_eq!(Palette::COLORED.paint(Style::Id, ""), "");
    }
}
