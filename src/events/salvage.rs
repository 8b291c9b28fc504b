//! Reading one line that may have been written by two writers, or by one that was killed.
//!
//! A writer that dies half-way leaves a torn line without a line feed; the next writer's event is then
//! glued to it. A line is taken apart only where that story fits: every whole object stays whole, and a
//! torn one ends where its text stops making sense and a whole object begins that carries on to the end
//! of the line or to the next object. What fits no story is opaque and stays as it is.
//!
//! - The parts cover the line, in order; only blanks before whole objects and parts are dropped.
//! - A line is read alone: what comes out does not depend on its neighbours.
//! - The work is bounded by a constant times the line's length, whatever is in it.

use std::ops::Range;

use crate::object::{Json, JsonFault, JsonObject};

use super::event::Event;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The longest line that is looked into. A longer one is opaque. Part of the merge rule.
pub const LINE_BYTES_MAX: usize = 4 << 20;

/// How many places are tried, per fault, where a glued object might begin. Part of the merge rule.
const TRIES_MAX: usize = 32;

/// A part of a line.
pub(super) enum Found {
    /// A JSON object.
    Object(JsonObject, Range<usize>),
    /// Bytes that are none.
    Opaque(super::Opaque, Range<usize>),
}

/// Takes a line apart: one part if it is whole or hopeless, none if it is blank.
pub(super) fn parts(line: &[u8]) -> Vec<Found> {
    let whole = 0..line.len();
    if line.len() > LINE_BYTES_MAX {
        return vec![Found::Opaque(super::Opaque::TooLong, whole)];
    }
    let start = skip_blanks(line, 0);
    if start == line.len() {
        return Vec::new();
    }
    match Json::parse(&line[start..]) {
        Ok(Json::Object(object)) => vec![Found::Object(object, start..line.len())],
        Ok(_) => vec![Found::Opaque(super::Opaque::NotAnObject, whole)],
        Err(error) => {
            let mut parts = Salvage { line, budget: 16 * line.len() + (64 << 10) }.run();
            if let [Found::Opaque(why, range)] = &mut parts[..] {
                (*why, *range) = (super::Opaque::Unreadable(error.fault), whole);
            }
            parts
        }
    }
}

struct Salvage<'a> {
    line: &'a [u8],
    /// How many bytes may still be read in vain.
    budget: usize,
}

impl Salvage<'_> {
    fn run(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        let mut at = skip_blanks(self.line, 0);
        while at < self.line.len() {
            let (fault, stop) = match self.object_at(at) {
                Ok((object, end)) => {
                    found.push(Found::Object(object, at..end));
                    at = skip_blanks(self.line, end);
                    continue;
                }
                Err(error) => error,
            };
            let next = self.next_object(at, fault, stop).unwrap_or(self.line.len());
            self.push_torn(&mut found, fault, at..next);
            at = next;
        }
        found
    }

    /// Reads the object that begins at `at`; otherwise tells the fault and where it shows.
    fn object_at(&self, at: usize) -> Result<(JsonObject, usize), (JsonFault, usize)> {
        if self.line.get(at) != Some(&b'{') {
            return Err((JsonFault::Syntax, at));
        }
        match Json::parse_prefix(&self.line[at..]) {
            Ok((Json::Object(object), length)) => Ok((object, at + length)),
            Ok(_) => Err((JsonFault::Syntax, at)),
            Err(error) => Err((error.fault, at + error.at)),
        }
    }

    /// Does the same for a place that is only a guess, as far as the budget goes.
    fn try_object_at(&mut self, at: usize) -> Option<(JsonObject, usize)> {
        if self.budget == 0 {
            return None;
        }
        let result = self.object_at(at);
        let stop = match &result {
            Ok((_, end)) => *end,
            Err((_, stop)) => *stop,
        };
        self.budget = self.budget.saturating_sub(stop - at + 1);
        result.ok()
    }

    /// Finds where the object after a torn one begins that starts at `start` and stops making sense at
    /// `stop`.
    fn next_object(&mut self, start: usize, fault: JsonFault, stop: usize) -> Option<usize> {
        if !matches!(fault, JsonFault::Syntax | JsonFault::NotUtf8) {
            return None;
        }
        // The text made sense up to `stop`, so the glued object begins there or before, and ends behind.
        let before: Vec<usize> = (start + 1..=stop.min(self.line.len().saturating_sub(1)))
            .rev()
            .filter(|at| self.line[*at] == b'{')
            .take(TRIES_MAX)
            .collect();
        for at in before {
            if let Some((_, end)) = self.try_object_at(at)
                && end > stop
                && self.carries_on(end)
            {
                return Some(at);
            }
        }
        // Unless a run of zeros or the bytes of a cut character stand between.
        let odd = self.line[stop..].iter().take_while(|b| **b == 0 || **b >= 0x80).count();
        let at = stop + odd;
        let (_, end) = (odd > 0).then(|| self.try_object_at(at)).flatten()?;
        self.carries_on(end).then_some(at)
    }

    /// Tells whether at `end` the line ends or the next object, whole or torn, begins.
    fn carries_on(&self, end: usize) -> bool {
        matches!(self.line.get(skip_blanks(self.line, end)), None | Some(b'{' | 0))
    }

    /// Adds a torn part. If an event of ours ends it, whose id proves it whole, that one is its own part:
    /// it was glued where another object might have stood.
    fn push_torn(&mut self, found: &mut Vec<Found>, fault: JsonFault, range: Range<usize>) {
        let start = b"{\"id\":\"";
        let guesses: Vec<usize> = (range.start + 1..range.end)
            .rev()
            .filter(|at| self.line[*at..range.end].starts_with(start))
            .take(TRIES_MAX)
            .collect();
        let torn = |range| Found::Opaque(super::Opaque::Unreadable(fault), range);
        for at in guesses {
            if let Some((object, end)) = self.try_object_at(at)
                && skip_blanks(self.line, end) >= range.end
                && Event::from_json(&object).is_ok()
            {
                found.push(torn(range.start..at));
                found.push(Found::Object(object, at..end));
                return;
            }
        }
        found.push(torn(range));
    }
}

/// Returns `bytes` without the blanks around them: what an opaque part is known by, so that it is the same one
/// wherever it stands in a line.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    let mut bytes = &bytes[skip_blanks(bytes, 0)..];
    loop {
        bytes = match bytes {
            [rest @ .., last] if is_blank(*last) => rest,
            _ => match bytes.strip_suffix(BYTE_ORDER_MARK) {
                Some(rest) => rest,
                None => return bytes,
            },
        };
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Returns where the first byte from `at` on stands that is no blank. A byte order mark is one: programs that write
/// it leave it in the middle of a line when their files are joined.
fn skip_blanks(line: &[u8], at: usize) -> usize {
    let mut rest = &line[at..];
    loop {
        rest = match rest {
            [first, more @ ..] if is_blank(*first) => more,
            _ => match rest.strip_prefix(BYTE_ORDER_MARK) {
                Some(more) => more,
                None => return line.len() - rest.len(),
            },
        };
    }
}
