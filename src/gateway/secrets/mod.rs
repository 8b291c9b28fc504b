//! Credentials in a text, known by their shape.
//!
//! - A pure function of bytes. What it returns holds no byte of what it found: a rule, an offset, a length, a hash.
//! - Four bytes that begin a shape (a needle) are looked for first; only round those anything else is done.
//! - What is decided at a needle depends on 256 bytes before it and 8 KiB from it on, and on nothing else. So a
//!   text in pieces gives what it gives whole.
//! - What was looked at as a part of an earlier version can be passed over: then only what reaches into new bytes
//!   is found.
//! - At most 64 credentials are told of: the answer to the first is the answer to the rest.
//!
//! - Text in UTF-16 is looked at as well, in either order of bytes, by a mark at its start or by its zero bytes.
//!
//! Limits: a phrase of plain words that serves as a password looks like prose and is not found; neither is what
//! was encoded once more (base64 of a file, compressed content), but for private keys. A file with a zero byte near
//! its start that is not UTF-16 is searched for shapes alone, since names and values mean little there.

mod judge;
mod keys;
mod links;
mod named;
mod needles;
mod rules;
mod shape;
#[cfg(test)]
mod tests;
mod units;

use super::sidecar::Digest256;
use needles::{Needles, Trigger};
use units::Units;

/// How many bytes before a needle count.
const BACK: usize = 256;
/// How many bytes from a needle on count.
const AHEAD: usize = 8192;
/// Where a zero byte makes a file one without names.
const BINARY_WITHIN: usize = 8000;
/// How many credentials are told of.
const FOUND_MAX: usize = 64;
/// How much is copied at a time, so that a large piece needs no large buffer.
const COPY_BYTES: usize = 256 * 1024;

/// One credential found. Holds no byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The rule, an id that never changes: `aws-access-key`.
    pub rule: &'static str,
    /// The same in words for a person: `an AWS access key`.
    pub what: &'static str,
    /// Where it starts.
    pub offset: u64,
    /// How many bytes it has, as far as they were looked at.
    pub length: u64,
    /// Their hash, by which the same one is known elsewhere.
    pub digest: Digest256,
}

/// What one look found: a place in the window, not yet in the text.
#[derive(Clone, Copy)]
struct Hit {
    rule: &'static str,
    what: &'static str,
    start: usize,
    end: usize,
    certainty: Certainty,
}

/// Which of two hits on the same bytes is told of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Certainty {
    /// A random value behind a telling name.
    Name,
    /// A password at the place where URLs have one.
    Place,
    /// A shape that its maker gave it.
    Shape,
}

/// Looks for credentials in a text that comes in pieces.
#[derive(Default)]
pub struct Scanner {
    /// The first bytes, until there are enough to see how the text is encoded.
    head: Vec<u8>,
    form: Option<Form>,
    hunter: Hunter,
}

/// How a text is encoded.
enum Form {
    Bytes,
    Units(Units),
}

impl Scanner {
    /// Starts at the beginning of a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.form {
            Some(Form::Bytes) => self.hunter.update(bytes),
            Some(Form::Units(units)) => self.hunter.update(&units.narrow(bytes)),
            None => {
                self.head.extend_from_slice(bytes);
                if self.head.len() >= units::HEAD {
                    self.begin();
                }
            }
        }
    }

    /// Takes the next piece, which was looked at as a part of an earlier version, after at least as many bytes of
    /// new ones that it stood beside: credentials that lie in it are not reported.
    pub fn pass_over(&mut self, bytes: &[u8]) {
        if self.form.is_none() && self.head.is_empty() {
            self.form = Some(Units::detect(bytes).map_or(Form::Bytes, Form::Units));
        } else if self.form.is_none() {
            self.begin();
        }
        match &mut self.form {
            Some(Form::Units(units)) => self.hunter.pass_over(&units.narrow(bytes)),
            _ => self.hunter.pass_over(bytes),
        }
    }

    /// Returns what was found, by offset.
    pub fn finish(mut self) -> Vec<Secret> {
        if self.form.is_none() {
            self.begin();
        }
        let found = self.hunter.finish();
        if matches!(self.form, Some(Form::Units(_))) {
            found.into_iter().map(units::widened).collect()
        } else {
            found
        }
    }

    fn begin(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.form = Some(Units::detect(&head).map_or(Form::Bytes, Form::Units));
        self.update(&head);
    }
}

/// Looks for credentials in bytes that come in pieces.
#[derive(Default)]
struct Hunter {
    /// The bytes not yet decided and those before them that count.
    kept: Vec<u8>,
    /// Where `kept` starts in the text.
    kept_at: u64,
    /// How much of `kept` is decided.
    decided: usize,
    has_names: Option<bool>,
    /// Up to here in the text what was found lies in bytes that were passed over.
    passed_until: u64,
    found: Found,
}

impl Hunter {
    /// Takes the next piece.
    fn update(&mut self, bytes: &[u8]) {
        for bytes in bytes.chunks(COPY_BYTES) {
            if self.found.is_full() {
                return;
            }
            self.kept.extend_from_slice(bytes);
            if self.kept.len() > self.decided + AHEAD {
                self.decide(self.kept.len() - AHEAD);
            }
            if self.decided > BACK + COPY_BYTES / 4 {
                self.forget();
            }
        }
    }

    /// See [`Scanner::pass_over`].
    fn pass_over(&mut self, bytes: &[u8]) {
        if bytes.len() < AHEAD + BACK {
            return self.update(bytes);
        }
        let position = self.kept_at + self.kept.len() as u64;
        if self.passed_until < position {
            // What is not decided yet is new, and depends on the beginning of this piece.
            let new = self.kept.len();
            self.kept.extend_from_slice(&bytes[..AHEAD]);
            self.decide(new);
        }
        self.has_names.get_or_insert_with(|| !is_binary(bytes));
        self.passed_until = position + bytes.len() as u64;
        self.kept.clear();
        self.kept.extend_from_slice(&bytes[bytes.len() - AHEAD - BACK..]);
        self.kept_at = self.passed_until - self.kept.len() as u64;
        self.decided = BACK;
    }

    /// Returns what was found, by offset.
    fn finish(mut self) -> Vec<Secret> {
        self.decide(self.kept.len());
        self.found.sorted()
    }

    fn decide(&mut self, until: usize) {
        let kept = &self.kept;
        let has_names = *self.has_names.get_or_insert_with(|| !is_binary(kept));
        let passed = usize::try_from(self.passed_until.saturating_sub(self.kept_at)).unwrap_or(usize::MAX);
        hunt(kept, self.decided..until, (has_names, passed), self.kept_at, &mut self.found);
        self.decided = until;
    }

    /// Drops what nothing depends on any more.
    fn forget(&mut self) {
        let gone = self.decided - BACK;
        self.kept.drain(..gone);
        self.kept_at += gone as u64;
        self.decided = BACK;
    }
}

/// Looks for credentials in a text at hand. Sorted by offset, at most 64.
pub fn scan(bytes: &[u8]) -> Vec<Secret> {
    let mut found = Found::default();
    if let Some(mut units) = Units::detect(bytes) {
        let narrow = units.narrow(bytes);
        hunt(&narrow, 0..narrow.len(), (true, 0), 0, &mut found);
        return found.sorted().into_iter().map(units::widened).collect();
    }
    hunt(bytes, 0..bytes.len(), (!is_binary(bytes), 0), 0, &mut found);
    found.sorted()
}

fn is_binary(start: &[u8]) -> bool {
    start[..start.len().min(BINARY_WITHIN)].contains(&0)
}

/// Looks at every needle in a part of `bytes`, which is at `at` in the text. What begins with a needle among the
/// first `passed` bytes counts only if it reaches beyond them.
fn hunt(
    bytes: &[u8],
    part: std::ops::Range<usize>,
    (has_names, passed): (bool, usize),
    at: u64,
    found: &mut Found,
) {
    let needles = Needles::get();
    let mut from = part.start;
    while let Some((place, gram)) = needles.next(bytes, from, part.end) {
        from = place + 1;
        let start = place.saturating_sub(BACK);
        let window = &bytes[start..bytes.len().min(place + AHEAD)];
        let look = Look { text: window, place: place - start };
        for trigger in needles.triggers(gram) {
            if let Some(hit) = look.at(trigger, has_names)
                && (place >= passed || start + hit.end > passed)
            {
                found.add(hit, window, at + start as u64);
            }
        }
        if found.is_full() {
            return;
        }
    }
}

/// A needle and the text round it.
#[derive(Clone, Copy)]
struct Look<'a> {
    text: &'a [u8],
    place: usize,
}

impl Look<'_> {
    fn at(self, trigger: Trigger, has_names: bool) -> Option<Hit> {
        match trigger {
            Trigger::Shape(rule, start) => shape::find(self, rule, start),
            Trigger::PrivateKey => keys::private_key(self),
            Trigger::WebToken => keys::web_token(self),
            Trigger::Link => links::password(self),
            Trigger::Option => links::option(self),
            Trigger::Pgpass => links::pgpass(self),
            Trigger::Name(word) if has_names => named::find(self, word),
            Trigger::Name(_) => None,
        }
    }
}

/// The credentials so far, none of which overlap.
#[derive(Default)]
struct Found(Vec<(Secret, Certainty)>);

impl Found {
    /// Keeps a hit in a window that starts at `at`, unless the same bytes are known as something more certain.
    fn add(&mut self, hit: Hit, window: &[u8], at: u64) {
        let secret = Secret {
            rule: hit.rule,
            what: hit.what,
            offset: at + hit.start as u64,
            length: (hit.end - hit.start) as u64,
            digest: Digest256::of(&window[hit.start..hit.end.min(window.len())]),
        };
        let overlaps = |known: &Secret| {
            known.offset < secret.offset + secret.length && secret.offset < known.offset + known.length
        };
        if self.0.iter().any(|(known, certainty)| overlaps(known) && *certainty >= hit.certainty) {
            return;
        }
        self.0.retain(|(known, _)| !overlaps(known));
        self.0.push((secret, hit.certainty));
    }

    fn is_full(&self) -> bool {
        self.0.len() >= FOUND_MAX
    }

    fn sorted(self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = self.0.into_iter().map(|(secret, _)| secret).collect();
        secrets.sort_by_key(|secret| secret.offset);
        secrets
    }
}
