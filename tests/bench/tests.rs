//! The benchmark itself works: every group comes to its end at a small scale.

use crate::bench::chart::Chart;
use crate::bench::groups::GROUPS;
use crate::bench::page::{self, Section, replaced};
use crate::bench::row::{Row, Unit};
use crate::bench::side::Lane;
use crate::bench::{Bench, asked, run};
use crate::support;

/// Runs a group at a small scale and writes its section into an empty page; returns the page and its folder.
fn small(name: &str) -> (String, tempfile::TempDir) {
    let docs = tempfile::tempdir().expect("a folder");
    let empty = format!("<!-- bench {name}: begin --><!-- bench {name}: end -->\n");
    std::fs::write(docs.path().join("performance.md"), empty).expect("written");
    let folder = env!("CARGO_TARGET_TMPDIR").into();
    let bench = Bench { program: support::optimized(), scale: 0.002, rounds: 1, folder };
    let group = GROUPS.iter().find(|group| group.name == name).expect("such a group");
    let section = run(&bench, group).unwrap_or_else(|error| panic!("{name}: {error}"));
    page::write(docs.path(), &section, "small").expect("the section is written");
    (std::fs::read_to_string(docs.path().join("performance.md")).expect("written"), docs)
}

/// Asserts that a group comes to its end and tells at least so many rows with a figure of mvault.
fn works(name: &str, rows_min: usize) {
    let (page, docs) = small(name);
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| operation"));
    let told = rows.filter(|row| row.split(" | ").nth(1).is_some_and(|figure| figure.contains(' ')));
    assert!(told.count() >= rows_min, "{page}");
    for chart in page.split("](performance/").skip(1).filter_map(|rest| rest.split(')').next()) {
        let drawing = std::fs::read_to_string(docs.path().join("performance").join(chart)).expect("drawn");
        assert_eq!(drawing.matches("<polyline").count(), 3, "{chart}");
    }
}

#[test]
fn the_benchmark_of_notes_comes_to_its_end() {
    works("notes", 8);
}

#[test]
fn the_benchmark_of_many_files_comes_to_its_end() {
    works("large", 9);
}

#[test]
fn the_benchmark_of_a_growing_vault_comes_to_its_end() {
    works("growing", 5);
}

#[test]
fn the_benchmark_of_long_histories_comes_to_its_end() {
    works("history", 6);
}

#[test]
fn the_benchmark_of_a_big_file_comes_to_its_end() {
    works("big", 10);
}

#[test]
fn the_benchmark_of_two_devices_comes_to_its_end() {
    works("pair", 1);
}

#[test]
fn the_benchmark_of_ssh_comes_to_its_end() {
    works("sync", 6);
}

#[test]
fn the_benchmark_of_boot_comes_to_its_end() {
    works("boot", 3);
}

#[test]
fn the_benchmark_of_floors_comes_to_its_end() {
    works("floor", 21);
}

#[test]
fn every_group_has_a_test_of_its_own() {
    let tests = include_str!("tests.rs");
    for group in &GROUPS {
        assert!(tests.contains(&format!("works(\"{}\"", group.name)), "{}", group.name);
    }
}

#[test]
fn groups_are_chosen_by_name_and_a_wrong_name_is_told() {
    let words = |words: &[&str]| asked(words.iter().map(|word| (*word).to_owned()));
    let some = words(&["--bench", "pair", "boot", "--write"]).expect("groups that there are");
    assert_eq!(some.groups.iter().map(|group| group.name).collect::<Vec<_>>(), ["pair", "boot"]);
    assert!(some.write);
    assert_eq!(words(&[]).expect("all of them").groups.len(), GROUPS.len());
    assert!(words(&["nots"]).err().expect("no such group").contains("\"nots\""));
}

#[test]
fn a_row_tells_figures_ratios_aims_and_what_is_short() {
    let figures = [(Lane::Mvault, 0.010), (Lane::Synced, 0.021), (Lane::Cached, 0.009)];
    let row = Row::figures("commit", Unit::Seconds, figures);
    let row = row.faster(Lane::Synced, 3.0).aims("not slower", Lane::Cached, 0.5).under(0.010);
    assert_eq!(
        row.faster(Lane::Default, 2.0).not_compared("borg").within(Lane::Cached, 0.002).markdown(),
        "| commit | 10.0 ms | 21.0 ms (2.1 x) |  | git, every cache on: 9.00 ms (0.9 x) | 3 x faster than git synced; \
         not slower; at most 10.0 ms; 2 x faster than git default; borg; git, every cache on + 2.00 ms | \
         **short** of 3 x: 2.1 x; holds: 0.9 x; holds: 10.0 ms; not compared; not compared; holds: +1.00 ms |"
    );
    let missing = Row::missing("gc", "`mvault gc`").markdown();
    assert_eq!(missing, "| gc |  |  |  | not there yet: `mvault gc` |  |  |");
}

#[test]
fn a_section_replaces_what_stands_between_its_markers() {
    let section = Section::new("pair", "two devices");
    let page = "# P\n<!-- bench pair: begin -->\nold\n<!-- bench pair: end -->\nrest\n";
    let new = replaced(page, &section, "today").expect("has the markers");
    let expected =
        "# P\n<!-- bench pair: begin -->\n## pair\n\ntwo devices\n\ntoday\n<!-- bench pair: end -->\nrest\n";
    assert_eq!(new, expected);
    assert_eq!(replaced(&new, &section, "today").expect("still has them"), expected);
    assert!(replaced("# P\n", &section, "today").is_err());
}

#[test]
fn the_page_has_markers_for_every_group() {
    let page = include_str!("../../docs/performance.md");
    for group in &GROUPS {
        assert!(replaced(page, &Section::new(group.name, group.about), "").is_ok(), "{}", group.name);
    }
}

#[test]
fn a_chart_has_every_point_title_units_and_legend() {
    let curves = vec![("mvault", vec![(100.0, 0.01), (1000.0, 0.02)]), ("git", vec![(100.0, 0.02)])];
    let svg = Chart { title: "T", across: "files", curves }.svg();
    assert_eq!(svg.matches("<circle").count(), 3);
    for part in
        [">T</text>", ">files</text>", ">mvault</text>", ">git</text>", ">10 ms</text>", ">1,000</text>"]
    {
        assert!(svg.contains(part), "{part} in {svg}");
    }
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
}
