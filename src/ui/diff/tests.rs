//! What real git says of our patches, and what a person sees.

use std::path::Path;
use std::process::Command;

use super::conflict::{ConflictSide, Held, side_by_side, stacked, unified};
use super::*;
use crate::object::{Kind, hash_object};
use crate::ui::Palette;

fn side<'a>(path: &'a [u8], mode: Mode, data: &'a [u8]) -> Side<'a> {
    Side { path, mode, id: hash_object(Kind::Blob, data), data: Some(data) }
}

fn text_patch(old: &str, new: &str) -> String {
    let old = side(b"a.md", Mode::File, old.as_bytes());
    let new = side(b"a.md", Mode::File, new.as_bytes());
    String::from_utf8(patch(&FileDiff { old: Some(old), new: Some(new) })).expect("text")
}

#[test]
fn a_change_is_written_as_git_writes_it() {
    let shown = text_patch("one\ntwo\nthree", "one\n2\nthree\n");
    let shown: Vec<_> = shown.lines().skip(2).collect();
    assert_eq!(
        shown.join("\n"),
        "--- a/a.md\n+++ b/a.md\n@@ -1,3 +1,3 @@\n one\n-two\n-three\n\\ No newline at end of file\n+2\n+three"
    );
}

#[test]
fn a_carriage_return_is_no_end_of_line() {
    assert!(text_patch("a\rb\n", "a\rc\n").contains("@@ -1 +1 @@\n-a\rb\n+a\rc\n"));
}

#[test]
fn names_are_quoted_only_where_git_would_misread_them() {
    let quoted = |path: &[u8]| String::from_utf8(quote_path("a/", path)).expect("text");
    assert_eq!(quoted("Zoë notes.md".as_bytes()), "a/Zoë notes.md");
    assert_eq!(quoted(b"a\"b\\c\td\ne"), r#""a/a\"b\\c\td\ne""#);
    assert_eq!(quoted(b"a\xff\x1b"), r#""a/a\377\033""#);
    assert_eq!(quoted("\u{202e}x".as_bytes()), r#""a/\342\200\256x""#);
}

/// A file of one state: its path, mode and bytes.
type Entry = (Vec<u8>, Mode, Vec<u8>);

/// Numbers that look random and repeat for a seed.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn text(&mut self) -> Vec<u8> {
        const LINES: [&[u8]; 9] = [
            b"one\n",
            b"two\n",
            b"\n",
            b"-- a\n",
            b"++ b\n",
            b"@@ x\n",
            b"diff --git\n",
            b"\r\n",
            b"\xff\xfe\n",
        ];
        let count = self.below(30);
        let mut text: Vec<u8> = (0..count).flat_map(|_| LINES[self.below(9) as usize].to_vec()).collect();
        if self.below(3) == 0 {
            text.extend_from_slice(b"no end");
        }
        text
    }

    fn edited(&mut self, text: &[u8]) -> Vec<u8> {
        let mut edited = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match self.below(10) {
                0 => {}
                1 => edited.extend_from_slice(b"changed\n"),
                2 => edited.extend([line, b"inserted\n"].concat()),
                _ => edited.extend_from_slice(line),
            }
        }
        if self.below(4) == 0 {
            edited.pop();
        }
        edited
    }

    fn mode(&mut self) -> Mode {
        if self.below(4) == 0 { Mode::Executable } else { Mode::File }
    }
}

const NAMES: [&[u8]; 8] = [
    b"plain.md",
    b"with blank.md",
    "Zoë/naïve 🗄.md".as_bytes(),
    b"quo\"te",
    b"back\\slash",
    b"tab\there",
    b"deep/er/file",
    b"line\nbreak",
];

/// Makes a pair of states that differ in every way a file can.
fn case(seed: u64) -> (Option<Entry>, Option<Entry>) {
    let mut dice = Seeded(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let name = NAMES[dice.below(8) as usize].to_vec();
    let (old, mode) = (dice.text(), dice.mode());
    match dice.below(8) {
        0 => (None, Some((name, mode, old))),
        1 => (Some((name, mode, old)), None),
        2 => (Some((name, Mode::File, old.clone())), Some((name_after(seed), Mode::File, old))),
        3 => {
            let new = dice.edited(&old);
            (Some((name, mode, old)), Some((name_after(seed), mode, new)))
        }
        4 => (Some((name.clone(), mode, old)), Some((name, Mode::Symlink, b"some/where".to_vec()))),
        5 => (Some((name.clone(), Mode::File, old.clone())), Some((name, Mode::Executable, old))),
        _ => {
            let (new, new_mode) = (dice.edited(&old), dice.mode());
            (Some((name.clone(), mode, old)), Some((name, new_mode, new)))
        }
    }
}

fn name_after(seed: u64) -> Vec<u8> {
    let mut name = NAMES[(seed % 8) as usize].to_vec();
    name.extend_from_slice(b" moved");
    name
}

fn put(root: &Path, entry: &Entry) {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    let path = root.join(std::ffi::OsStr::from_bytes(&entry.0));
    std::fs::create_dir_all(path.parent().expect("below the root")).expect("folders");
    std::fs::write(&path, &entry.2).expect("a file");
    let mode = if entry.1 == Mode::Executable { 0o755 } else { 0o644 };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Compares the state on disk with the one that was wanted.
fn expect_state(root: &Path, wanted: &Option<Entry>, gone: &Option<Entry>, what: &str) {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    let path = |entry: &Entry| root.join(std::ffi::OsStr::from_bytes(&entry.0));
    if let Some(entry) = wanted {
        let path = path(entry);
        let stat = path.symlink_metadata().unwrap_or_else(|e| panic!("{what}: {e}"));
        if entry.1 == Mode::Symlink {
            let target = std::fs::read_link(&path).expect("a link");
            assert_eq!(target.as_os_str().as_bytes(), entry.2, "{what}");
        } else {
            assert_eq!(std::fs::read(&path).expect("a file"), entry.2, "{what}");
            assert_eq!(stat.permissions().mode() & 0o100 != 0, entry.1 == Mode::Executable, "{what}");
        }
    }
    if let Some(entry) = gone.as_ref().filter(|old| wanted.as_ref().is_none_or(|new| new.0 != old.0)) {
        assert!(path(entry).symlink_metadata().is_err(), "{what}: the old name is still there");
    }
}

#[test]
fn git_apply_takes_every_patch_and_arrives_at_the_new_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut applied = 0;
    for seed in 1..=250 {
        let (old, new) = case(seed);
        let of = |entry| Option::map(entry, |(path, mode, data): &Entry| side(path, *mode, data));
        let bytes = patch(&FileDiff { old: of(old.as_ref()), new: of(new.as_ref()) });
        let what = format!("seed {seed}\n{}", String::from_utf8_lossy(&bytes));
        let unchanged = old == new;
        let root = folder.path().join(seed.to_string());
        std::fs::create_dir(&root).expect("a folder");
        if let Some(entry) = &old {
            put(&root, entry);
        }
        std::fs::write(folder.path().join("patch"), &bytes).expect("a file");
        if unchanged {
            continue;
        }
        let output = Command::new("git")
            .args(["apply", "--whitespace=nowarn", "../patch"])
            .current_dir(&root)
            .env("GIT_CEILING_DIRECTORIES", folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("git runs");
        assert!(output.status.success(), "{what}\n{}", String::from_utf8_lossy(&output.stderr));
        expect_state(&root, &new, &old, &what);
        applied += 1;
    }
    assert!(applied > 200, "only {applied} cases were real");
}

#[test]
fn what_is_binary_is_named_and_not_shown() {
    let old = side(b"p.png", Mode::File, b"\x89PNG\0\x01");
    let new = side(b"p.png", Mode::File, b"\x89PNG\0\x02");
    let diff = FileDiff { old: Some(old), new: Some(new) };
    let shown = String::from_utf8_lossy(&patch(&diff)).into_owned();
    assert!(shown.ends_with("Binary files a/p.png and b/p.png differ\n"), "{shown}");
    assert_eq!(diff.counts(), None);
    let large = Side { data: None, ..new };
    assert!(FileDiff { old: Some(old), new: Some(large) }.hunks().is_empty());
}

#[test]
fn lines_that_came_and_went_are_counted() {
    let old = side(b"a", Mode::File, b"1\n2\n3\n");
    let new = side(b"a", Mode::File, b"1\n3\n4\n5\n");
    let diff = FileDiff { old: Some(old), new: Some(new) };
    assert_eq!(diff.counts(), Some(Counts { added: 2, removed: 1 }));
}

#[test]
fn on_a_terminal_the_changed_words_stand_out() {
    let old = side(b"a", Mode::File, b"we meet on Monday at ten\n");
    let new = side(b"a", Mode::File, b"we meet on Friday at ten\n");
    let diff = FileDiff { old: Some(old), new: Some(new) };
    let shown = terminal(&diff, Palette::COLORED);
    assert_eq!(shown[4], "\x1b[31m-we meet on \x1b[0m\x1b[1;7;31mMonday\x1b[0m\x1b[31m at ten\x1b[0m");
    assert_eq!(shown[5], "\x1b[32m+we meet on \x1b[0m\x1b[1;7;32mFriday\x1b[0m\x1b[32m at ten\x1b[0m");
    let plain = terminal(&diff, Palette::PLAIN);
    assert_eq!(plain[4..], ["-we meet on Monday at ten", "+we meet on Friday at ten"]);
}

#[test]
fn lines_that_have_little_in_common_are_not_compared_by_words() {
    let old = side(b"a", Mode::File, b"alpha beta gamma\n");
    let new = side(b"a", Mode::File, b"quite another sentence here\n");
    let shown = terminal(&FileDiff { old: Some(old), new: Some(new) }, Palette::COLORED);
    assert!(shown.iter().all(|line| !line.contains("\x1b[1;7;")), "{shown:?}");
}

#[test]
fn content_cannot_steer_a_terminal() {
    let old = side(b"a", Mode::File, b"");
    let new = side(b"a", Mode::File, b"\x1b[2Jgone\xff");
    let shown = terminal(&FileDiff { old: Some(old), new: Some(new) }, Palette::PLAIN);
    assert!(shown.contains(&"+\\u{1b}[2Jgone\\xff".to_owned()), "{shown:?}");
}

#[test]
fn a_conflict_shows_what_each_side_did_to_the_base() {
    let base = Held::Bytes(b"a\nb\nc\n");
    let mac = ConflictSide { label: "mac".into(), held: Held::Bytes(b"a\nB\nc\n") };
    let pixel = ConflictSide { label: "pixel".into(), held: Held::Nothing };
    let shown = stacked(&base, &[mac.clone(), pixel.clone()], Palette::PLAIN);
    let expected = ["base -> mac", "@@ -1,3 +1,3 @@", " a", "-b", "+B", " c", "base -> pixel", "deleted"];
    assert_eq!(shown, expected);
    let shown = side_by_side(&base, &mac, &pixel, 41, Palette::PLAIN);
    assert_eq!(shown[0], "base -> mac         | base -> pixel");
    assert_eq!(shown[1], "@@ -1,3 +1,3 @@     | deleted");
    assert_eq!(shown[3], "-b                  |");
    assert_eq!(unified(b"a\n", b"b\n"), "@@ -1 +1 @@\n-a\n+b\n");
}
