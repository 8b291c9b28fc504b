//! A machine that gives few file handles: everything works with 64 of them.

use std::path::Path;

use crate::support::{Outcome, Place, optimized};

const FOLDERS: usize = 200;
const FILES: usize = 15;

/// Runs `mvault ARGS…` with at most 64 open files.
#[track_caller]
fn with_few_handles(place: &Place, args: &[&str]) -> Outcome {
    let program = optimized();
    let limited = ["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", program.to_str().expect("UTF-8")];
    place.program("sh", limited.iter().chain(args)).code(0)
}

fn write_all(place: &Place, version: &str) {
    for (folder, file) in (0..FOLDERS).flat_map(|folder| (0..FILES).map(move |file| (folder, file))) {
        let (group, name) = (folder % 20, format!("{file}.md"));
        place.write(
            Path::new(&format!("{group}/{folder}/deep")).join(name),
            format!("{version} {folder}/{file}\n"),
        );
    }
}

#[test]
fn sixty_four_handles_are_enough_for_three_thousand_files() {
    let place = Place::new();
    with_few_handles(&place, &["init", "--device", "mac"]);
    for version in ["old", "new"] {
        write_all(&place, version);
        with_few_handles(&place, &["commit", "-m", version]);
        let status = with_few_handles(&place, &["--json", "status"]).json();
        assert_eq!(status["changes"].as_array().map(Vec::len), Some(0), "{status}");
    }
    with_few_handles(&place, &["checkout", "main~1"]);
    assert_eq!(place.read("19/199/deep/14.md"), b"old 199/14\n");
    with_few_handles(&place, &["switch", "main"]);
    assert_eq!(place.read("0/0/deep/0.md"), b"new 0/0\n");
    with_few_handles(&place, &["clone", ".", "../far", "--device", "pixel"]);
    with_few_handles(&place, &["verify"]);
}
