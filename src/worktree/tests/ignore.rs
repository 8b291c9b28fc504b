//! `.mvaultignore` against `git check-ignore`, and what no rule can do.

use std::io::Write;
use std::process::{Command, Stdio};

use super::Place;
use crate::object::VaultPath;
use crate::worktree::{IgnoreRules, SkipReason, scan};

fn git(place: &Place) -> Command {
    let mut git = Command::new("git");
    git.current_dir(place.path())
        .env("HOME", place.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("XDG_CONFIG_HOME", "/nonexistent");
    git
}

/// Returns which of `paths` git ignores, given the same rules under its own name.
fn git_ignores(place: &Place, paths: &[String]) -> Vec<bool> {
    let mut child = git(place)
        .args(["check-ignore", "--no-index", "-z", "--stdin", "--verbose", "--non-matching"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git runs");
    let mut input = child.stdin.take().expect("piped");
    let text: String = paths.iter().map(|path| format!("{path}\0")).collect();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("git ends");
    writer.join().expect("ends").expect("writes");
    // Four fields a path: source, line, pattern, path. No pattern or a negative one: not ignored.
    let text = String::from_utf8_lossy(&output.stdout);
    let fields: Vec<&str> = text.split('\0').collect();
    let verdicts: Vec<bool> =
        fields.chunks_exact(4).map(|f| !f[2].is_empty() && !f[2].starts_with('!')).collect();
    assert_eq!(verdicts.len(), paths.len());
    verdicts
}

fn compare(rules: &[(&str, &[u8])], files: &[&str]) {
    let place = Place::new();
    assert!(git(&place).args(["init", "-q"]).status().expect("git runs").success());
    for (folder, lines) in rules {
        for name in [".mvaultignore", ".gitignore"] {
            let at = place.at(folder).join(name);
            std::fs::create_dir_all(at.parent().expect("below the root")).expect("makes folders");
            std::fs::write(at, lines).expect("writes");
        }
    }
    let mut paths = std::collections::BTreeSet::new();
    for file in files {
        place.write(file, "x");
        let path = VaultPath::parse(*file).expect("valid");
        paths.insert(path.to_string());
        let mut up = path.parent();
        while let Some(folder) = up {
            paths.insert(folder.to_string());
            up = folder.parent();
        }
    }
    let paths: Vec<String> = paths.into_iter().collect();
    for (path, git) in paths.iter().zip(git_ignores(&place, &paths)) {
        let is_dir = place.at(path).is_dir();
        let ours = VaultPath::parse(path.as_str()).expect("valid");
        let ours = IgnoreRules::none(false).ignores(&place.root, &ours, is_dir);
        let told: Vec<_> = rules.iter().map(|(f, l)| (f, String::from_utf8_lossy(l))).collect();
        assert_eq!(ours, git, "{path} under {told:?}");
    }
    // The walk agrees: exactly the files that are not ignored are new.
    let found: Vec<String> =
        scan(place.input()).expect("walks").candidates.iter().map(|c| c.path.to_string()).collect();
    for file in files {
        let path = VaultPath::parse(*file).expect("valid");
        let ignored = IgnoreRules::none(false).ignores(&place.root, &path, false);
        assert_eq!(found.contains(&(*file).to_owned()), !ignored, "{file}");
    }
}

const FILES: &[&str] = &[
    "a",
    "b",
    "a.log",
    "b.txt",
    "foo",
    "foo.md",
    "#hash",
    "!bang",
    "trail ",
    "trail",
    "$cash",
    "sp ace",
    "dir/a",
    "dir/a.log",
    "dir/b.txt",
    "dir/sub/a",
    "dir/sub/a.log",
    "dir/sub/foo",
    "dir/sub/deep/a",
    "build/out",
    "build/keep.me",
    "x/build/out",
    "x/y/z/w",
    "x/y/z.log",
    "[abc]",
    "abc",
    "Ünï/cödé",
    "A.LOG",
    "back\\slash",
    "x-1",
    "x-2",
    "x-a",
    "q?",
    "star*",
    "dir/#hash",
    "dir/!bang",
    "node_modules/p/i.js",
    "x/node_modules/p/i.js",
];

const LINES: &[&[u8]] = &[
    b"",
    b"#hash",
    b"\\#hash",
    b"!bang",
    b"\\!bang",
    b"*",
    b"**",
    b"*.log",
    b"/*.log",
    b"dir",
    b"dir/",
    b"/dir",
    b"/dir/",
    b"dir/*",
    b"dir/**",
    b"**/a",
    b"**/sub/a",
    b"a/**/b",
    b"x/**/w",
    b"x/**",
    b"**/z/**",
    b"/a",
    b"a/",
    b"build/",
    b"build/*",
    b"trail ",
    b"trail\\ ",
    b"trail  ",
    b"foo*",
    b"fo?",
    b"[ab]",
    b"[!ab]",
    b"[^ab]",
    b"[a-c]",
    b"[[:alpha:]]",
    b"\\[abc\\]",
    b"[",
    b"[a",
    b"x-[0-9]",
    b"x-[!0-9]",
    b"q\\?",
    b"star\\*",
    b"\\",
    b"a\\",
    b"!",
    b"/",
    b"//",
    b"./a",
    b"../a",
    b"*/a",
    b"*/*/a",
    b"dir/sub/",
    b"sub/",
    b"sub",
    b"dir//a",
    b"\xc3\x9cn\xc3\xaf",
    b"\xc3*",
    b"$cash",
    b"\\$cash",
    b"*.log\r",
    b"\xef\xbb\xbf*.log",
    b"sp ace",
    b"sp\\ ace",
    b"a.*",
    b"*.*",
    b"?",
    b"??",
    b"**foo",
    b"foo**",
    b"f**o",
    b"/**/a",
    b"/**",
    b"**/",
    b"x/y/",
    b"/x/*/z.log",
    b"node_modules",
    b"back\\\\slash",
    b"[[:bogus:]]a",
    b"[]abc]",
    b"a[]",
    b"[a-]",
    b"x-[a\\-z]",
    b"\t*.log",
    b" a",
];

#[test]
fn verdicts_equal_those_of_git_for_every_single_line() {
    for line in LINES {
        compare(&[("", line)], FILES);
    }
}

#[test]
fn verdicts_equal_those_of_git_with_negation_and_nesting() {
    compare(&[("", b"*.log\n!a.log\n")], FILES);
    compare(&[("", b"dir/\n!dir/a\n")], FILES);
    compare(&[("", b"dir/*\n!dir/sub\n")], FILES);
    compare(&[("", b"*\n!*/\n!*.txt\n")], FILES);
    compare(&[("", b"/*\n!/dir\n/dir/*\n!/dir/sub\n")], FILES);
    compare(&[("", b"*.log\n"), ("dir", b"!a.log\n"), ("dir/sub", b"*\n!deep\n")], FILES);
    compare(&[("", b"build\n"), ("x", b"!build\n")], FILES);
    compare(&[("", b"dir\n"), ("dir", b"!a\n")], FILES);
    compare(&[("dir", b"/a\nsub/a\n**/foo\n")], FILES);
    compare(&[("dir", b"*.log"), ("x/y", b"z\n\n# no\n!z/w")], FILES);
    compare(&[("", b"*.log\r\n!a.log\r\n\r\ndir/\r")], FILES);
}

/// A line of a thousand `**/` kept gix's matcher (and git's) busy for longer than anyone waited.
#[test]
fn thousand_stars_answer_at_once() {
    let path = "a/".repeat(500) + "b";
    let ignored = |line: String| {
        IgnoreRules::none(false).with_lines(b"", line.as_bytes()).is_ignored(path.as_bytes(), false)
    };
    assert!(!ignored("**/".repeat(1000) + "x"));
    assert!(ignored("**/".repeat(1000) + "b"));
    assert!(!ignored("!".to_owned() + &"**/".repeat(1000) + "b"));
    assert!(!ignored("**/a/".repeat(8) + "x"));
    assert!(ignored("**/a/".repeat(1000) + "x"), "what would take for ever lets nothing new in");
    assert!(!ignored("a*".repeat(1000)));
    assert!(!ignored("*a".repeat(1000)));
    assert!(ignored("*".repeat(1000)), "more than eight double stars in one");
}

#[test]
fn rules_that_cannot_be_read_let_nothing_new_in() {
    let place = Place::new();
    place.write("dir/.mvaultignore", &"#".repeat((1 << 20) + 1));
    place.write("dir/secret", "x");
    place.write("dir/sub/secret", "x");
    place.write("open", "x");
    let found = scan(place.input()).expect("walks");
    let paths: Vec<_> = found.candidates.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, ["open"]);
    assert_eq!(found.skipped[0].reason, SkipReason::IgnoreFile);
}

#[test]
fn rules_behind_a_link_or_in_a_folder_are_none() {
    let place = Place::new();
    place.write("all", "*\n");
    place.link("all", ".mvaultignore");
    place.write("dir/.mvaultignore/x", "*\n");
    place.write("dir/a", "x");
    let found = scan(place.input()).expect("walks");
    let paths: Vec<_> = found.candidates.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, [".mvaultignore", "all", "dir/.mvaultignore/x", "dir/a"]);
}

#[test]
fn committed_files_stay_in_the_tree_when_a_rule_comes_to_ignore_them() {
    let mut place = Place::new();
    place.write("logs/a.log", "1");
    place.write("logs/deep/b.log", "1");
    place.commit();
    place.write(".mvaultignore", "logs/\n");
    place.write("logs/new.log", "1");
    assert_eq!(place.told(), ["A .mvaultignore"]);
    place.write("logs/a.log", "2");
    std::fs::remove_file(place.at("logs/deep/b.log")).expect("removes");
    assert_eq!(place.told(), ["A .mvaultignore", "M logs/a.log", "D logs/deep/b.log"]);
}
