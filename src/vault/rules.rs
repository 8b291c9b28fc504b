//! `vault.toml`: the vault's own rules, versioned with its files and the same on every device.
//!
//! The grammar is in docs/format.md. What a path's rule says decides how its content is merged, so this
//! parser is part of the merge rule: the same bytes must mean the same for ever. Unknown keys mean
//! nothing here; an unknown driver or class, or a value of the wrong type, makes the file invalid.

mod loosened;

use gix::bstr::ByteSlice;
use gix::glob::{Pattern, pattern::Case, wildmatch};
use toml_edit::{Document, Item, Table};

use crate::gateway::content::Syntax;
use crate::gateway::sidecar;
use crate::object::VaultPath;

/// The name of the rules' file, at the top of the tree.
pub const RULES_FILE: &str = "vault.toml";
/// The largest rules file that is looked at.
pub const RULES_BYTES_MAX: usize = 1 << 20;

/// Why a rules file means nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RulesError {
    /// Not TOML, or larger than [`RULES_BYTES_MAX`].
    #[error("{}not valid TOML: {problem}", at(*line))]
    Syntax {
        /// The line, counted from 1, if it is known.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
    },
    /// A key or value that is not allowed.
    #[error("{}{key} {problem}", at(*line))]
    Value {
        /// The line, counted from 1, if it is known.
        line: Option<usize>,
        /// The key, dotted.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}

/// Where something begins in the text, in bytes.
type Span = Option<std::ops::Range<usize>>;

/// Returns the line on which a byte stands.
pub(super) fn line_of(text: &[u8], span: Span) -> Option<usize> {
    let start = span?.start.min(text.len());
    Some(1 + text[..start].iter().filter(|byte| **byte == b'\n').count())
}

impl RulesError {
    /// Turns the byte that the parser noted into its line.
    fn in_text(self, text: &str) -> RulesError {
        match self {
            RulesError::Value { line: Some(byte), key, problem } => {
                RulesError::Value { line: line_of(text.as_bytes(), Some(byte..byte)), key, problem }
            }
            other => other,
        }
    }
}

/// What a file is to the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Guarded, and first at boot.
    Canonical,
    /// Sealed by a sidecar.
    Distillate,
    /// The sidecar of a distillate: made by us, never merged.
    Sidecar,
    /// An event stream that only grows.
    Stream,
    /// Anything else.
    Note,
}

/// How two versions of a file become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Line by line.
    Text,
    /// Not at all: a conflict unless one side is unchanged.
    Binary,
    /// Line by line, both sides' lines where they differ.
    Union,
    /// As a set of events.
    Events,
}

const CLASSES: [(&str, Class); 4] = [
    ("canonical", Class::Canonical),
    ("distillate", Class::Distillate),
    ("stream", Class::Stream),
    ("note", Class::Note),
];
const DRIVERS: [(&str, Driver); 4] = [
    ("text", Driver::Text),
    ("binary", Driver::Binary),
    ("union", Driver::Union),
    ("events", Driver::Events),
];

/// Endings of files by which other tools vouch for the file they stand beside.
const VOUCHERS: [&[u8]; 2] = [b".sig", b".sidecar.json"];

const SYNTAXES: [(&str, Syntax); 3] =
    [("utf8", Syntax::Utf8), ("json", Syntax::Json), ("jsonl", Syntax::JsonLines)];

#[derive(Clone, Debug)]
struct PathRule {
    glob: String,
    pattern: Pattern,
    class: Option<Class>,
    driver: Option<Driver>,
    syntax: Option<Syntax>,
    allow: Option<Vec<String>>,
}

/// What is too much for one commit or pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest file that is taken, in bytes.
    pub file_bytes_max: u64,
    /// So many files may be removed at once, whatever part of the vault they are.
    pub delete_files: u64,
    /// Beyond that, what part of the vault's files may be removed at once, in percent.
    pub delete_percent: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { file_bytes_max: 4096 << 20, delete_files: 20, delete_percent: 50 }
    }
}

/// A vault's rules. The default is what holds without a `vault.toml`.
#[derive(Clone, Debug)]
pub struct VaultRules {
    reconcile: u32,
    paths: Vec<PathRule>,
    limits: Limits,
    false_alarms: Vec<String>,
    boot: BootRules,
}

/// What an agent is told when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootRules {
    /// Patterns of files, in the order in which they are told; none for the canonical files.
    pub files: Vec<String>,
    /// So many distillates, the newest.
    pub distillates: usize,
    /// So many events of other devices, the newest.
    pub events: usize,
}

impl Default for BootRules {
    fn default() -> BootRules {
        BootRules { files: Vec::new(), distillates: 3, events: 40 }
    }
}

impl Default for VaultRules {
    fn default() -> VaultRules {
        let rule = |glob: &str, class, driver, syntax| PathRule {
            glob: glob.to_owned(),
            pattern: Pattern::from_bytes_without_negation(glob.as_bytes()).expect("the pattern is not empty"),
            class: Some(class),
            driver: Some(driver),
            syntax,
            allow: None,
        };
        VaultRules {
            reconcile: 1,
            paths: vec![
                rule("/distillates/**", Class::Distillate, Driver::Text, None),
                rule("*.jsonl", Class::Stream, Driver::Events, None),
                rule("/continuity.md", Class::Canonical, Driver::Text, Some(Syntax::Utf8)),
            ],
            limits: Limits::default(),
            false_alarms: Vec::new(),
            boot: BootRules::default(),
        }
    }
}

impl VaultRules {
    /// Parses a `vault.toml`; its rules come after the default ones, and the last that matches holds.
    pub fn parse(bytes: Option<&[u8]>) -> Result<VaultRules, RulesError> {
        let mut rules = VaultRules::default();
        let Some(bytes) = bytes else { return Ok(rules) };
        let text = text_of(bytes)?;
        let document = document_of(text)?;
        rules.read(&document).map_err(|error| error.in_text(text))?;
        Ok(rules)
    }

    /// Returns the version of the merge rule that a file asks for, whatever else is in it. `None` if that cannot be
    /// read.
    pub fn version_asked(bytes: &[u8]) -> Option<u32> {
        let document = document_of(text_of(bytes).ok()?).ok()?;
        document.get("reconcile")?.as_integer().and_then(|version| u32::try_from(version).ok())
    }

    fn read(&mut self, document: &Table) -> Result<(), RulesError> {
        let rules = self;
        if let Some(item) = document.get("reconcile") {
            let version = item.as_integer().and_then(|v| u32::try_from(v).ok()).filter(|v| *v > 0);
            rules.reconcile = version.ok_or_else(|| bad("reconcile", item, "is not a number above 0"))?;
        }
        for table in tables(document.get("path"))? {
            rules.paths.push(path_rule(table)?);
        }
        if let Some(item) = document.get("limits") {
            rules.limits = limits(item)?;
        }
        if let Some(item) = document.get("secrets").and_then(|secrets| secrets.get("allow")) {
            rules.false_alarms = strings(item, "secrets.allow")?;
        }
        if let Some(item) = document.get("boot") {
            rules.boot = boot(item)?;
        }
        Ok(())
    }

    /// Returns what an agent is told when it starts; its files are the patterns of canonical files unless the
    /// vault names others.
    pub fn boot(&self) -> BootRules {
        let mut boot = self.boot.clone();
        if boot.files.is_empty() {
            boot.files = self.patterns_of(Class::Canonical);
        }
        boot
    }

    /// Returns the patterns that make a file one of a class, as they stand in `.gitignore` syntax.
    pub fn patterns_of(&self, class: Class) -> Vec<String> {
        let rules = self.paths.iter().filter(|rule| rule.class == Some(class));
        rules.map(|rule| rule.glob.clone()).collect()
    }

    /// Returns the syntax that the file at `path` must have.
    pub fn syntax_of(&self, path: &VaultPath) -> Option<Syntax> {
        self.last_match(path, |rule| rule.syntax)
    }

    /// Tells whether a reason for refusal, by its code, does not count at `path`.
    pub fn allows(&self, path: &VaultPath, code: &str) -> bool {
        let rule = self.paths.iter().rev().find(|rule| rule.allow.is_some() && rule.matches(path));
        rule.and_then(|rule| rule.allow.as_ref()).is_some_and(|codes| codes.iter().any(|c| c == code))
    }

    /// Returns the limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Tells whether credentials found in content of this SHA-256, in hexadecimal, are known to be none.
    pub fn is_false_alarm(&self, sha256: &str) -> bool {
        self.false_alarms.iter().any(|known| known.eq_ignore_ascii_case(sha256))
    }

    /// Returns the version of the merge rule that the vault asks for.
    pub fn reconcile(&self) -> u32 {
        self.reconcile
    }

    /// Returns what the file at `path` is to the vault. Beside a distillate stand its sidecar and what
    /// other tools keep to vouch for it (`.sig`, `.sidecar.json`), and none of them is a distillate itself.
    pub fn class_of(&self, path: &VaultPath) -> Class {
        if let Some(sealed) = sidecar::sealed_path(path) {
            match self.class_of(&sealed) {
                Class::Distillate => return Class::Sidecar,
                Class::Sidecar => return Class::Note,
                _ => {}
            }
        }
        let vouched = VOUCHERS.iter().find_map(|ending| path.as_bytes().strip_suffix(*ending));
        if let Some(Ok(vouched)) = vouched.map(VaultPath::parse)
            && self.class_of(&vouched) == Class::Distillate
        {
            return Class::Note;
        }
        self.last_match(path, |rule| rule.class).unwrap_or(Class::Note)
    }

    /// Returns where the sidecar of the file at `path` stands, or `None` if such a file is not sealed.
    pub fn sidecar_of(&self, path: &VaultPath) -> Option<VaultPath> {
        (self.class_of(path) == Class::Distillate).then(|| sidecar::sidecar_path(path)).flatten()
    }

    /// Returns the path of the distillate whose sidecar would stand at `path`.
    pub fn sealed_by(&self, path: &VaultPath) -> Option<VaultPath> {
        sidecar::sealed_path(path).filter(|sealed| self.class_of(sealed) == Class::Distillate)
    }

    /// Returns how the file at `path` is merged.
    pub fn driver_of(&self, path: &VaultPath) -> Driver {
        self.last_match(path, |rule| rule.driver).unwrap_or(Driver::Text)
    }

    fn last_match<T>(&self, path: &VaultPath, field: impl Fn(&PathRule) -> Option<T>) -> Option<T> {
        self.paths.iter().rev().find_map(|rule| field(rule).filter(|_| rule.matches(path)))
    }
}

impl PathRule {
    fn matches(&self, path: &VaultPath) -> bool {
        let bytes = path.as_bytes();
        let name_at = bytes.rfind_byte(b'/').map(|at| at + 1);
        let mode = wildmatch::Mode::NO_MATCH_SLASH_LITERAL;
        let case = Case::Sensitive;
        self.pattern.matches_repo_relative_path(bytes.as_bstr(), name_at, Some(false), case, mode)
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, RulesError> {
    if bytes.len() > RULES_BYTES_MAX {
        let problem = format!("it is larger than {RULES_BYTES_MAX} bytes");
        return Err(RulesError::Syntax { line: None, problem });
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        RulesError::Syntax { line: line_of(bytes, Some(at..at)), problem: "it is not UTF-8".to_owned() }
    })
}

/// Parses the text; the spans of keys and values are kept.
pub(super) fn document_of(text: &str) -> Result<Table, RulesError> {
    match Document::parse(text) {
        Ok(document) => Ok(document.into_table()),
        Err(error) => Err(RulesError::Syntax {
            line: line_of(text.as_bytes(), error.span()),
            problem: error.message().lines().next().unwrap_or_default().to_owned(),
        }),
    }
}

/// The line is the byte where the value begins, until [`RulesError::in_text`] counts.
fn bad(key: &str, item: &Item, problem: impl Into<String>) -> RulesError {
    bad_at(key, item.span(), problem)
}

fn bad_at(key: &str, span: Span, problem: impl Into<String>) -> RulesError {
    RulesError::Value { line: span.map(|span| span.start), key: key.to_owned(), problem: problem.into() }
}

/// Returns the word that a mistyped one is most likely meant to be: one that two edits make of it at most.
pub(super) fn nearest<'w>(typed: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let near = words.into_iter().map(|word| (edits(typed, word), word));
    let near = near.filter(|(edits, word)| *edits <= 2 && *edits * 2 < word.chars().count());
    near.min_by_key(|(edits, _)| *edits).map(|(_, word)| word)
}

/// Counts the letters to add, take away or change; letter case, `-` and `_` do not count. Two words of very
/// different lengths are not compared.
fn edits(one: &str, other: &str) -> usize {
    let letters = |text: &str| -> Vec<char> {
        text.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
    };
    let (one, other) = (letters(one), letters(other));
    if one.len().abs_diff(other.len()) > 2 {
        return usize::MAX / 2;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

fn tables(item: Option<&Item>) -> Result<Vec<&Table>, RulesError> {
    let Some(item) = item else { return Ok(Vec::new()) };
    let array = item.as_array_of_tables();
    let array = array.ok_or_else(|| bad("path", item, "is not a list of tables: write [[path]]"))?;
    Ok(array.iter().collect())
}

fn path_rule(table: &Table) -> Result<PathRule, RulesError> {
    let item = table.get("match");
    let span = || item.and_then(Item::span).or_else(|| table.span());
    let glob = item.and_then(Item::as_str);
    let glob = glob.ok_or_else(|| bad_at("path.match", span(), "is missing or not a string"))?;
    let pattern = Pattern::from_bytes_without_negation(glob.as_bytes())
        .ok_or_else(|| bad_at("path.match", span(), "is an empty pattern"))?;
    Ok(PathRule {
        glob: glob.to_owned(),
        pattern,
        class: word(table, "class", &CLASSES)?,
        driver: word(table, "driver", &DRIVERS)?,
        syntax: word(table, "syntax", &SYNTAXES)?,
        allow: table.get("allow").map(|item| strings(item, "path.allow")).transpose()?,
    })
}

/// Codes that no program of this version knows mean nothing, as unknown keys do.
fn strings(item: &Item, key: &str) -> Result<Vec<String>, RulesError> {
    let array = item.as_array().ok_or_else(|| bad(key, item, "is not a list of strings"))?;
    let texts = array.iter().map(|value| value.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(|| bad(key, item, "is not a list of strings"))
}

fn boot(item: &Item) -> Result<BootRules, RulesError> {
    let table = item.as_table_like().ok_or_else(|| bad("boot", item, "is not a table"))?;
    let number = |key: &str, or: usize| match table.get(key) {
        None => Ok(or),
        Some(item) => {
            let number = item.as_integer().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= 1000);
            number.ok_or_else(|| bad(&format!("boot.{key}"), item, "is no number from 0 to 1000"))
        }
    };
    let defaults = BootRules::default();
    Ok(BootRules {
        files: table.get("files").map_or(Ok(Vec::new()), |item| strings(item, "boot.files"))?,
        distillates: number("distillates", defaults.distillates)?,
        events: number("events", defaults.events)?,
    })
}

/// Asks for the word that may have been meant, to stand at the end of a problem.
pub(super) fn did_you_mean(word: Option<&str>) -> String {
    word.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

fn limits(item: &Item) -> Result<Limits, RulesError> {
    let table = item.as_table_like().ok_or_else(|| bad("limits", item, "is not a table"))?;
    let number = |key: &str, max: u64| match table.get(key) {
        None => Ok(None),
        Some(item) => {
            let number = item.as_integer().and_then(|n| u64::try_from(n).ok());
            let valid = number.filter(|n| (1..=max).contains(n));
            valid
                .map(Some)
                .ok_or_else(|| bad(&format!("limits.{key}"), item, format!("is no number from 1 to {max}")))
        }
    };
    let defaults = Limits::default();
    Ok(Limits {
        file_bytes_max: number("file_mib", 1 << 24)?.map_or(defaults.file_bytes_max, |mib| mib << 20),
        delete_files: number("delete_files", 1 << 40)?.unwrap_or(defaults.delete_files),
        delete_percent: number("delete_percent", 100)?.unwrap_or(defaults.delete_percent),
    })
}

fn word<T: Copy>(table: &Table, key: &str, words: &[(&str, T)]) -> Result<Option<T>, RulesError> {
    let Some(item) = table.get(key) else { return Ok(None) };
    let found = item.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
    let problem = || {
        let allowed = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let meant = item.as_str().and_then(|typed| nearest(typed, words.iter().map(|(word, _)| *word)));
        format!("is none of: {allowed}{}", did_you_mean(meant))
    };
    found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| bad(&format!("path.{key}"), item, problem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VaultPath {
        VaultPath::parse(text).expect("a valid path")
    }

    #[test]
    fn defaults_know_the_files_of_continuity() {
        let rules = VaultRules::parse(None).expect("the defaults");
        for (name, class, driver) in [
            ("continuity.md", Class::Canonical, Driver::Text),
            ("old/continuity.md", Class::Note, Driver::Text),
            ("distillates/2026/a.md", Class::Distillate, Driver::Text),
            ("x/distillates/a.md", Class::Note, Driver::Text),
            ("events/mac.jsonl", Class::Stream, Driver::Events),
            ("top.jsonl", Class::Stream, Driver::Events),
            ("notes/a.md", Class::Note, Driver::Text),
        ] {
            assert_eq!(rules.class_of(&path(name)), class, "{name}");
            assert_eq!(rules.driver_of(&path(name)), driver, "{name}");
        }
        assert_eq!(rules.reconcile(), 1);
    }

    #[test]
    fn what_vouches_for_a_distillate_is_none_itself() {
        let rules = VaultRules::default();
        let class = |text: &str| rules.class_of(&path(text));
        assert_eq!(class("distillates/a.md.sha256"), Class::Sidecar);
        assert_eq!(class("distillates/a.md.sha256.sha256"), Class::Note);
        assert_eq!(class("distillates/a.md.sig"), Class::Note);
        assert_eq!(class("distillates/a.md.sidecar.json"), Class::Note);
        assert_eq!(class("notes/a.md.sha256"), Class::Note);
        assert_eq!(rules.sidecar_of(&path("distillates/a.md")), Some(path("distillates/a.md.sha256")));
        assert_eq!(rules.sidecar_of(&path("distillates/a.md.sha256")), None);
        assert_eq!(rules.sidecar_of(&path("continuity.md")), None);
        assert_eq!(rules.sealed_by(&path("distillates/a.md.sha256")), Some(path("distillates/a.md")));
        assert_eq!(rules.sealed_by(&path("distillates/.sha256")), None);
    }

    #[test]
    fn later_rules_win_key_by_key() {
        let text = b"reconcile = 2\n[[path]]\nmatch = '*.log'\ndriver = 'union'\n\
            [[path]]\nmatch = '/events/raw/*.jsonl'\ndriver = 'binary'\n";
        let rules = VaultRules::parse(Some(text)).expect("valid");
        assert_eq!(rules.reconcile(), 2);
        assert_eq!(rules.driver_of(&path("a/b.log")), Driver::Union);
        assert_eq!(rules.class_of(&path("a/b.log")), Class::Note);
        assert_eq!(rules.driver_of(&path("events/raw/x.jsonl")), Driver::Binary);
        assert_eq!(rules.class_of(&path("events/raw/x.jsonl")), Class::Stream);
        assert_eq!(rules.driver_of(&path("events/raw/deep/x.jsonl")), Driver::Events);
    }

    #[test]
    fn protections_are_read_path_by_path() {
        let text = b"[limits]\nfile_mib = 2\ndelete_files = 5\n[secrets]\nallow = ['ab']\n\
            [[path]]\nmatch = '*.json'\nsyntax = 'json'\nallow = ['secret', 'one of tomorrow']\n\
            [[path]]\nmatch = '/safe/*.json'\nallow = []\n";
        let rules = VaultRules::parse(Some(text)).expect("valid");
        assert_eq!(rules.limits(), Limits { file_bytes_max: 2 << 20, delete_files: 5, delete_percent: 50 });
        assert_eq!(rules.syntax_of(&path("a.json")), Some(Syntax::Json));
        assert_eq!(rules.syntax_of(&path("continuity.md")), Some(Syntax::Utf8));
        assert!(rules.allows(&path("a.json"), "secret") && !rules.allows(&path("a.json"), "emptied"));
        assert!(!rules.allows(&path("safe/a.json"), "secret") && !rules.allows(&path("a.md"), "secret"));
        assert!(rules.is_false_alarm("AB") && !rules.is_false_alarm("cd"));
    }

    #[test]
    fn unknown_drivers_and_wrong_types_make_the_file_invalid() {
        for text in [
            "[[path]]\nmatch='a'\ndriver='markdwon'",
            "[[path]]\ndriver='text'",
            "[[path]]\nmatch=''",
            "[path]\nmatch='a'",
            "reconcile = 'one'",
            "reconcile = 0",
            "reconcile = -1",
            "a = [",
            "reconcile = 1\nreconcile = 1",
            "[[path]]\nmatch='a'\nsyntax='yaml'",
            "[[path]]\nmatch='a'\nallow='secret'",
            "limits = 3",
            "[limits]\nfile_mib = 0",
            "[limits]\ndelete_percent = 101",
            "[secrets]\nallow = [1]",
            "[boot]\nfiles = 'x'",
            "[boot]\ndistillates = -1",
        ] {
            assert!(VaultRules::parse(Some(text.as_bytes())).is_err(), "{text}");
        }
        assert!(VaultRules::parse(Some(&[0xff])).is_err());
        assert!(VaultRules::parse(Some(b"[later]\nkey = 1\n")).is_ok());
    }
}
