//! Paths, sizes and edits; whole answers are tested through the program.

use super::edit::{insert, replace};
use super::path::MemoryPath;
use super::view::size;

#[test]
fn sizes_are_written_as_the_tools_page_shows_them() {
    let cases = [
        (0, "0B"),
        (512, "512B"),
        (1023, "1023B"),
        (1024, "1.0K"),
        (1536, "1.5K"),
        (4096, "4.0K"),
        (5632, "5.5K"),
        (1_258_291, "1.2M"),
        (3 << 30, "3.0G"),
        (u64::MAX, "17179869184.0G"),
    ];
    for (bytes, told) in cases {
        assert_eq!(size(bytes), told);
    }
}

#[test]
fn no_spelling_of_a_path_leads_outside() {
    let hostile = [
        "/memories/..",
        "/memories/../secret",
        "/memories/a/../../b",
        "/memories/a/../b",
        "/memories/..\\b",
        "/memories/a\\b",
        "/memories/%2e%2e/b",
        "/memories/%2E%2E%2Fb",
        "/memories/..%2fb",
        "/memories/%252e%252e%252fb",
        "/memories/%25252e%25252e/b",
        "/memories/.%2e/b",
        "/memories/%c0%ae%c0%ae/b",
        "/memories/..%5cb",
        "/memories/a%00b",
        "/memories/a\0b",
    ];
    for path in hostile {
        let error = MemoryPath::parse(path).expect_err(path);
        assert!(
            error.starts_with("Error: Path /memories") && error.ends_with("would escape /memories directory"),
            "{error}"
        );
    }
    for path in
        ["", "/", "/memoriesx", "/memories2/a", "memories/a", "/etc/passwd", "/Memories", "//memories/a"]
    {
        let error = MemoryPath::parse(path).expect_err(path);
        assert!(error.starts_with("Error: Path must start with /memories, got: "), "{error}");
    }
    assert!(MemoryPath::parse("/memories/.mvault/x").is_err());
    assert!(MemoryPath::parse(&format!("/memories/{}", "%25".repeat(20_000))).is_err(), "and it ends");
}

#[test]
fn plain_paths_have_their_place() {
    let place = |path: &str| MemoryPath::parse(path).expect(path).inside().map(ToString::to_string);
    assert_eq!(place("/memories"), None);
    assert_eq!(place("/memories/"), None);
    assert_eq!(place("/memories//a/./b/"), Some("memories/a/b".to_owned()));
    assert_eq!(place("/memories/100%.md"), Some("memories/100%.md".to_owned()));
    assert_eq!(place("/memories/a..b"), Some("memories/a..b".to_owned()));
    assert_eq!(place("/memories/…/日本.md"), Some("memories/…/日本.md".to_owned()));
}

#[test]
fn a_replacement_changes_nothing_else() {
    let made = replace(b"a\r\nb \xff\r\nc", "b", "x\ny", "/memories/f").expect("it is there once");
    assert_eq!(made.bytes, b"a\r\nx\ny \xff\r\nc");
    assert!(replace(b"aaa", "aa", "b", "/memories/f").is_ok(), "it is there once without overlap");
    assert!(replace(b"abc", "", "b", "/memories/f").is_err());
}

#[test]
fn inserted_lines_are_lines() {
    let cases: [(&[u8], i64, &str, &[u8]); 7] = [
        (b"", 0, "x", b"x\n"),
        (b"a\nb\n", 0, "x", b"x\na\nb\n"),
        (b"a\nb\n", 1, "x\n", b"a\nx\nb\n"),
        (b"a\nb\n", 2, "x\n\n", b"a\nb\nx\n\n"),
        (b"a\nb", 2, "x", b"a\nb\nx\n"),
        (b"a\r\nb", 1, "x", b"a\r\nx\nb"),
        (b"a\n", 1, "", b"a\n\n"),
    ];
    for (before, line, text, after) in cases {
        assert_eq!(insert(before, line, text).as_deref(), Ok(after));
    }
    for line in [-1, 3, i64::MAX, i64::MIN] {
        let error = insert(b"a\nb\n", line, "x").expect_err("no such line");
        let told = "It should be within the range of lines of the file: [0, 2]";
        assert_eq!(error, format!("Error: Invalid `insert_line` parameter: {line}. {told}"));
    }
}
