//! What a commit costs on disk: about what changed, however large the file or the folder is.

use crate::support::{Place, Run, optimized};

/// The most a small change may cost, in bytes.
const COST_MAX: u64 = 8 << 10;

/// Lines of words, not two of them the same.
fn lines(from: usize, count: usize) -> String {
    let words =
        ["session", "vault", "phone", "notes", "agent", "merge", "ember", "quartz", "willow", "signal"];
    let mut text = String::new();
    for n in from..from + count {
        let pick = |k: usize| words[n.wrapping_mul(2_654_435_761).rotate_right(k as u32) % words.len()];
        text += &format!(
            "{n} {} {} {} {} {:08x}\n",
            pick(3),
            pick(11),
            pick(19),
            pick(27),
            n.wrapping_mul(40_503)
        );
    }
    text
}

fn vault() -> Place {
    let place = Place::new();
    mvault(&place, &["init", "--device", "mac"]).ok();
    place
}

/// These commits are of real sizes: the optimized program makes them.
fn mvault(place: &Place, args: &[&str]) -> Run {
    place.program(optimized(), args)
}

/// Commits what there is and returns by how many bytes the store grew.
fn cost(place: &Place) -> u64 {
    let stats = || {
        let stats = mvault(place, &["stats"]).json();
        (stats["packs"].as_u64().expect("a number"), stats["bytes"].as_u64().expect("a number"))
    };
    let before = stats();
    assert!(mvault(place, &["commit", "-m", "a change"]).json()["id"].is_string());
    let after = stats();
    assert!(after.0 > before.0, "no packs were merged, which could hide what it costs");
    after.1 - before.1
}

#[track_caller]
fn costs_little(place: &Place) {
    let cost = cost(place);
    assert!(cost < COST_MAX, "{cost} bytes");
}

#[test]
fn a_line_added_to_a_file_of_64_megabytes() {
    let place = vault();
    let mut text = lines(0, 1_600_000);
    assert!(text.len() > 64_000_000, "{}", text.len());
    place.write("transcript.log", &text);
    cost(&place);
    text += "one line more\n";
    place.write("transcript.log", &text);
    costs_little(&place);
}

#[test]
fn a_changed_note_in_a_folder_of_50000() {
    let place = vault();
    for n in 0..50_000 {
        place.write(format!("notes/{n:05}.md"), format!("# Note {n}\n\nwritten once\n"));
    }
    cost(&place);
    place.write("notes/31415.md", "# Note 31415\n\nwritten twice\n");
    costs_little(&place);
}

#[test]
fn a_line_in_the_middle_of_5_megabytes() {
    let place = vault();
    let (first, second) = (lines(0, 64_000), lines(64_000, 64_000));
    assert!(first.len() + second.len() > 5_000_000);
    place.write("log.txt", format!("{first}{second}"));
    cost(&place);
    place.write("log.txt", format!("{first}a line in the middle\n{second}"));
    costs_little(&place);
}

#[test]
fn a_file_that_is_renamed_and_edited_in_one_go() {
    let place = vault();
    let text = lines(0, 8_000);
    place.write("notes/plan.md", &text);
    place.write("notes/list.txt", lines(9_000, 8_000));
    cost(&place);
    std::fs::remove_file(place.work().join("notes/plan.md")).expect("is removed");
    place.write("archive/plan.md", format!("{text}one line more\n"));
    costs_little(&place);
    // Under another name as well, where there is only one file it can have been.
    std::fs::remove_file(place.work().join("archive/plan.md")).expect("is removed");
    place.write("archive/the-plan-of-2026.md", format!("{text}two\nlines more\n"));
    costs_little(&place);
}
