//! The house rules that a program can check: floors, sizes, names, seams, links.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The floor of each room. A file imports only from lower floors.
const FLOORS: [(&str, u8); 17] = [
    ("main", 6),
    ("cli", 5),
    ("commands", 4),
    ("agent", 4),
    ("vault", 3),
    ("ui", 3),
    ("worktree", 2),
    ("merge", 2),
    ("events", 2),
    ("sync", 2),
    ("gateway", 2),
    ("oplog", 1),
    ("store", 1),
    ("object", 0),
    ("fs", 0),
    ("env", 0),
    ("lib", 7),
];

/// Arrows within a floor.
const SIDEWAYS: [(&str, &str); 2] = [("oplog", "store"), ("commands", "agent")];

/// About 600: a little above is still one thing.
const FILE_LINES_MAX: usize = 640;
const FUNCTION_LINES_MAX: usize = 70;

/// Rooms without a subject.
const NAMES_FORBIDDEN: [&str; 8] =
    ["utils", "util", "helpers", "helper", "misc", "common", "stuff", "manager"];

const TOP_LEVEL: [&str; 13] = [
    ".ci",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "completions",
    "docs",
    "man",
    "rustfmt.toml",
    "src",
    "testdata",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the project: those git knows, or would add.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    if !output.status.success() {
        return walk(root()); // a copy without its history
    }
    let text = String::from_utf8(output.stdout).expect("our names are UTF-8");
    let paths = text.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from);
    paths.filter(|path| root().join(path).is_file()).collect()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_entry(|entry| entry.file_name() != "target" && entry.file_name() != ".git")
        .map(|entry| entry.expect("our own files can be read"))
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(root()).expect("below the root").to_path_buf())
        .collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

struct Source {
    path: PathBuf,
    /// The code with comments and the content of strings blanked out; lines are kept.
    code: String,
    /// The same without test modules.
    shipped: String,
    text: String,
}

impl Source {
    /// The room: the first part of the path below `src`, without `.rs`.
    fn room(&self) -> String {
        let first = self.path.components().nth(1).expect("below src");
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    }

    fn is_test(&self) -> bool {
        self.path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests.rs" | "tests")))
    }

    /// How many modules lie between this file and the crate's root.
    fn depth(&self) -> usize {
        let parts = self.path.components().count() - 1;
        let is_room_head = self.path.file_name().is_some_and(|name| name == "mod.rs");
        parts - usize::from(is_room_head)
    }
}

fn sources() -> Vec<Source> {
    let paths = files().into_iter().filter(|path| path.starts_with("src"));
    let paths = paths.filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    let sources: Vec<Source> = paths
        .map(|path| {
            let text = read(&path);
            let code = blank_out(&text);
            Source { shipped: without_tests(&code), code, text, path }
        })
        .collect();
    assert!(sources.len() > 20, "the sources were not found");
    sources
}

/// Replaces comments and the content of strings and characters by blanks; line breaks stay.
fn blank_out(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = token_end(&chars, at);
        if end == at + 1 {
            code.push(chars[at]);
        } else {
            code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        }
        at = end;
    }
    code
}

/// Where the comment, string or character that starts at `at` ends; the next place for anything else.
fn token_end(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let find = |from: usize, end: &dyn Fn(usize) -> bool| (from..chars.len()).find(|n| end(*n));
    if starts("//") {
        return find(at, &|n| chars[n] == '\n').unwrap_or(chars.len());
    }
    if starts("/*") {
        return find(at + 2, &|n| chars[n] == '*' && chars.get(n + 1) == Some(&'/'))
            .map_or(chars.len(), |n| n + 2);
    }
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    let after_b = at > 0 && chars[at - 1] == 'b';
    if chars[at] == 'r' && (!in_word || after_b) {
        let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
        if chars.get(at + 1 + hashes) == Some(&'"') {
            let closes =
                |n: usize| chars[n] == '"' && (1..=hashes).all(|more| chars.get(n + more) == Some(&'#'));
            return find(at + 2 + hashes, &closes).map_or(chars.len(), |n| n + 1 + hashes);
        }
    }
    if chars[at] == '"' {
        let mut n = at + 1;
        while n < chars.len() && chars[n] != '"' {
            n += if chars[n] == '\\' { 2 } else { 1 };
        }
        return (n + 1).min(chars.len());
    }
    if chars[at] == '\'' {
        if chars.get(at + 1) == Some(&'\\') {
            return find(at + 3, &|n| chars[n] == '\'').map_or(chars.len(), |n| n + 1);
        }
        if chars.get(at + 2) == Some(&'\'') {
            return at + 3;
        }
    }
    at + 1
}

/// The place of the brace that closes the one at `open`.
fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (n, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return n;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Blanks out modules that exist only under test.
fn without_tests(code: &str) -> String {
    let mut shipped = code.to_owned();
    while let Some(start) = shipped.find("#[cfg(test)]") {
        let rest = &shipped[start..];
        let semicolon = rest.find(';').map(|n| start + n);
        let end = match rest.find('{').map(|n| start + n) {
            Some(open) if semicolon.is_none_or(|semicolon| open < semicolon) => closing_brace(&shipped, open),
            _ => semicolon.unwrap_or(shipped.len()),
        };
        let end = (end + 1).min(shipped.len());
        let blank: String = shipped[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        shipped.replace_range(start..end, &blank);
    }
    shipped
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The places of `word` in `code` as a whole word.
fn words(code: &str, word: &str) -> Vec<usize> {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !code[..*at].ends_with(part_of_name))
        .filter(|at| !code[at + word.len()..].starts_with(part_of_name))
        .collect()
}

/// The names that a path from the crate's root reaches for: one, or those of a group in braces.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    if !rest.starts_with('{') {
        return vec![name(rest)];
    }
    let group = &rest[1..closing_brace(rest, 0)];
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.push(name(&group[start..]));
    names.retain(|name| !name.is_empty());
    names
}

/// The rooms a file reaches for, with the line.
fn imports(source: &Source) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let code = &source.code;
    for root in ["crate", "mvault"] {
        for at in words(code, root) {
            if let Some(rest) = code[at + root.len()..].strip_prefix("::") {
                found.extend(first_names(rest).into_iter().map(|name| (name, line_of(code, at))));
            }
        }
    }
    // A chain of `super` long enough to leave the room.
    for at in words(code, "super") {
        let rest = &code[at..];
        let chain = rest.split("::").take_while(|part| *part == "super").count();
        if chain >= source.depth() {
            let below = &rest["super::".len() * chain..];
            let names = first_names(below).into_iter();
            found.extend(names.filter(|name| floor(name).is_some()).map(|name| (name, line_of(code, at))));
        }
    }
    found
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// Fails with every complaint at once.
#[track_caller]
fn expect_none(complaints: &str) {
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn imports_point_only_downwards() {
    let mut complaints = String::new();
    for source in sources() {
        let room = source.room();
        let Some(own) = floor(&room) else {
            writeln!(complaints, "{}: the room {room} is on no floor", source.path.display())
                .expect("memory");
            continue;
        };
        for (name, line) in imports(&source) {
            let allowed = name == room
                || SIDEWAYS.contains(&(room.as_str(), name.as_str()))
                || floor(&name).is_some_and(|floor| floor < own);
            if !allowed {
                writeln!(complaints, "{}:{line}: {room} must not reach for {name}", source.path.display())
                    .expect("memory");
            }
        }
    }
    expect_none(&complaints);
}

/// The strings of a file that ship, without their quotes, each with its line.
fn strings(source: &Source) -> Vec<(String, usize)> {
    let end = source.text.find("#[cfg(test)]\nmod ").unwrap_or(source.text.len());
    let chars: Vec<char> = source.text[..end].chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let end = token_end(&chars, at);
        let token: String = chars[at..end].iter().collect();
        if end > at + 1 && chars[at] == '"' {
            found.push((token.trim_matches('"').to_owned(), line));
        }
        line += token.matches('\n').count();
        at = end;
    }
    found
}

/// Names of files and devices stood in suggested commands as they were, and ran when the suggestion was pasted. A
/// command that is suggested is made by `object::typed`, which quotes every word that is not fixed.
#[test]
fn no_suggested_command_holds_a_word_that_nobody_quoted() {
    let verbs: BTreeSet<String> = files()
        .iter()
        .filter_map(|path| {
            path.strip_prefix("man")
                .ok()?
                .to_str()?
                .strip_prefix("mvault-")?
                .split(['-', '.'])
                .next()
                .map(str::to_owned)
        })
        .collect();
    assert!(verbs.contains("show") && verbs.len() > 40, "{verbs:?}");
    let is_open = |command: &str| {
        let verb = command.strip_prefix("mvault ").and_then(|rest| rest.split([' ', '`']).next());
        verb.is_some_and(|verb| verbs.contains(verb)) && command.contains('{')
    };
    let mut complaints = String::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (text, line) in strings(source) {
            let spans = text.split('`').skip(1).step_by(2);
            if spans.chain(std::iter::once(text.as_str()).filter(|text| !text.contains('\n'))).any(is_open) {
                writeln!(complaints, "{}:{line}: {text:?}: use object::typed", source.path.display())
                    .expect("memory");
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn files_and_functions_are_one_thing_each() {
    let mut complaints = String::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            writeln!(complaints, "{}: {lines} lines", source.path.display()).expect("memory");
        }
        if source.is_test() {
            continue;
        }
        for at in words(&source.shipped, "fn") {
            let rest = &source.shipped[at..];
            let Some(open) = rest.find(['{', ';']).filter(|n| rest[*n..].starts_with('{')) else { continue };
            let end = closing_brace(&source.shipped, at + open);
            let lines = source.shipped[at..end].matches('\n').count() + 1;
            if lines > FUNCTION_LINES_MAX {
                let line = line_of(&source.shipped, at);
                writeln!(complaints, "{}:{line}: a function of {lines} lines", source.path.display())
                    .expect("memory");
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn every_source_says_what_it_is_for() {
    let silent: Vec<_> = sources().into_iter().filter(|source| !source.text.starts_with("//!")).collect();
    let silent: Vec<_> = silent.iter().map(|source| source.path.display().to_string()).collect();
    expect_none(&silent.join("\n"));
}

#[test]
fn no_room_is_named_after_nothing() {
    for path in files() {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_lowercase();
        assert!(!NAMES_FORBIDDEN.contains(&stem.as_str()), "{}", path.display());
        let within: BTreeSet<_> = path.components().filter_map(|part| part.as_os_str().to_str()).collect();
        assert!(NAMES_FORBIDDEN.iter().all(|name| !within.contains(name)), "{}", path.display());
    }
}

#[test]
fn the_seams_hold() {
    let mut complaints = String::new();
    let mut complain = |source: &Source, at: usize, what: &str| {
        let line = line_of(&source.shipped, at);
        writeln!(complaints, "{}:{line}: {what}", source.path.display()).expect("memory");
    };
    for source in sources().iter().filter(|source| !source.is_test()) {
        let room = source.room();
        let code = &source.shipped;
        for name in ["rustix", "memmap2", "std::fs", "std::os::unix::fs", "tempfile"] {
            for at in words(code, name).into_iter().filter(|_| room != "fs") {
                complain(source, at, &format!("only src/fs may name {name}"));
            }
        }
        for at in words(code, "std").into_iter().filter(|_| room != "fs") {
            let group = code[at..].strip_prefix("std::").filter(|rest| rest.starts_with('{'));
            if group.is_some_and(|rest| first_names(rest).iter().any(|name| name == "fs")) {
                complain(source, at, "only src/fs may name std::fs");
            }
        }
        for name in ["println", "print", "eprintln", "eprint", "dbg"] {
            for at in words(code, name).into_iter().filter(|at| code[at + name.len()..].starts_with("!(")) {
                complain(source, at, "a library never prints; commands use ui::Ui");
            }
        }
        for at in words(code, "unsafe").into_iter().filter(|_| source.path != Path::new("src/fs/real.rs")) {
            complain(source, at, "unsafe stands only in src/fs/real.rs");
        }
    }
    expect_none(&complaints);
}

#[test]
fn the_top_level_stays_small() {
    for path in files() {
        let first = path.components().next().expect("not empty").as_os_str().to_string_lossy().into_owned();
        assert!(first == "tests" || TOP_LEVEL.contains(&first.as_str()), "{}", path.display());
    }
}

#[test]
fn main_is_five_lines() {
    assert!(read(Path::new("src/main.rs")).lines().count() <= 5);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut complaints = String::new();
    for path in files().into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "md")) {
        if path.starts_with("testdata") {
            continue; // somebody else's notes
        }
        let text = read(&path);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let folder = root().join(path.parent().unwrap_or(Path::new("")));
            if !folder.join(file).exists() {
                writeln!(complaints, "{}: {target}", path.display()).expect("memory");
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn nothing_refers_to_one_persons_machine() {
    let forbidden = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let mut complaints = String::new();
    for path in files().into_iter().filter(|path| !path.starts_with("testdata")) {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            // The test support's own folder is called `work`.
            if forbidden.iter().any(|place| line.replace(concat!("[ROOT]/wo", "rk/"), "").contains(place)) {
                writeln!(complaints, "{}:{}: {line}", path.display(), number + 1).expect("memory");
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn the_checks_themselves_see_what_they_should() {
    let code =
        blank_out("use crate::{a::{b, c}, d}; // crate::no\nlet x = \"crate::no\"; 'a' r#\"crate::no\"#");
    assert!(!code.contains("no"), "{code}");
    let source = |path: &str, code: &str| Source {
        path: path.into(),
        shipped: without_tests(code),
        code: code.to_owned(),
        text: code.to_owned(),
    };
    let names = |path: &str, code: &str| -> Vec<String> {
        imports(&source(path, code)).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("src/store/mod.rs", &code), ["a", "d"]);
    assert_eq!(names("src/store/mod.rs", "use super::{fs, vault::X};"), ["fs", "vault"]);
    assert_eq!(names("src/store/pack/read.rs", "use super::super::super::vault;"), ["vault"]);
    assert!(names("src/store/pack/read.rs", "use super::vault;").is_empty());
    let tested = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c() } }\nfn d() {}";
    assert_eq!(
        without_tests(tested).split_whitespace().collect::<Vec<_>>(),
        ["fn", "a()", "{}", "fn", "d()", "{}"]
    );
}
