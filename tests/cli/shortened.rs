//! An operation log that is shorter than it was: everybody says so, and the way on leaves a trace.

use std::path::PathBuf;

use crate::support::Place;

fn vault() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    for text in ["one\n", "two\n"] {
        place.write("a.md", text);
        place.mvault(["commit", "-m", "a change"]).ok();
    }
    place
}

fn segments(place: &Place) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(place.work().join(".mvault/oplog")).expect("a folder");
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Takes the last `count` lines off the newest segment.
fn cut_lines(place: &Place, count: usize) {
    let path = segments(place).pop().expect("a segment");
    let text = std::fs::read_to_string(&path).expect("a log");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(path, lines[..lines.len() - count].concat()).expect("is written");
}

const READERS: [&[&str]; 14] = [
    &["status"],
    &["log"],
    &["show"],
    &["diff", "main~1"],
    &["conflicts"],
    &["events", "list"],
    &["standup"],
    &["branch"],
    &["tag"],
    &["audit"],
    &["git", "export", "../g"],
    &["stats"],
    &["boot"],
    &["commit"],
];

#[track_caller]
fn assert_all_say_it(place: &Place) {
    for args in READERS {
        let error = place.mvault(args.iter().chain(&["--json"])).code(5).error();
        assert_eq!(error["kind"], "damaged", "{args:?}: {error}");
        let hint = error["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("mvault repair") && !hint.contains("remove .mvault/index"), "{hint}");
    }
    let said = place.mvault(["doctor"]).code(1).stdout();
    assert!(said.contains("went backwards") && said.contains("mvault repair"), "{said}");
    let found = place.mvault(["verify", "--json"]).code(5).json();
    assert_eq!(found["problems"][0]["kind"], "log-backwards", "{found}");
}

/// With the newest segment gone, or the log cut at a line's end, status, log, show and eleven more answered from
/// an older state with exit code 0, "nothing is in conflict" among them. And where somebody did notice, the
/// hint was to remove the cache that remembered: then all was "well", and the loss in no record.
#[test]
fn all_readers_say_that_the_log_lost_its_end_and_repair_records_it() {
    for forgotten in [None, Some("index"), Some("witness")] {
        let place = vault();
        cut_lines(&place, 1);
        if let Some(name) = forgotten {
            std::fs::remove_file(place.work().join(".mvault").join(name)).expect("it is there");
        }
        assert_all_say_it(&place);
        let told = place.mvault(["repair", "--dry-run", "--json"]).code(5).json();
        assert_eq!(told["done"][0]["where"], "oplog", "{told}");
        place.mvault(["repair"]).run();
        let last = place.mvault(["audit", "--json"]).json_lines().remove(0);
        assert_eq!((&last["op"], &last["seq"]), (&"repair".into(), &3.into()), "{last}");
        assert_eq!(last["detail"]["lost_operations"]["from"], 3);
        assert_eq!(last["detail"]["lost_operations"]["to"], 3);
        place.mvault(["status"]).ok();
        place.mvault(["commit", "-m", "goes on"]).run();
    }
}

/// The cache remembers what a commit made and nothing else: with a tag as the last operation, a log cut inside of
/// that line lost the tag, and verify said that all was well.
#[test]
fn an_operation_that_the_stat_cache_does_not_remember_is_missed_as_well() {
    for cut in [1, 20, 400] {
        let place = vault();
        place.mvault(["tag", "good"]).ok();
        let path = segments(&place).pop().expect("a segment");
        let bytes = std::fs::read(&path).expect("a log");
        let last = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').expect("has lines") + 1;
        let kept = (bytes.len() - cut).max(last);
        std::fs::write(&path, &bytes[..kept]).expect("is written");
        if cut == 1 {
            // Only the line feed is gone: the line counts.
            assert!(place.mvault(["tag"]).ok().contains("good"));
            place.mvault(["verify"]).ok();
            continue;
        }
        assert_all_say_it(&place);
        place.mvault(["repair"]).ok();
        assert_eq!(place.mvault(["tag"]).ok(), "");
        place.mvault(["tag", "good"]).ok();
        place.mvault(["verify"]).ok();
        let aside = place.work().join(".mvault/quarantine").read_dir().map_or(0, Iterator::count);
        assert_eq!(aside, usize::from(kept > last), "what was left of the line is kept");
    }
}

/// The witness is a memory: one that cannot be read, is another file or garbage, keeps nobody from anything.
#[test]
fn a_witness_that_is_no_use_is_as_good_as_none() {
    let place = vault();
    let path = place.work().join(".mvault/witness");
    let good = std::fs::read(&path).expect("it is there");
    for bytes in [&b""[..], &good[..100], &[0; 5000], b"{\"seq\":999}\n"] {
        std::fs::write(&path, bytes).expect("is written");
        place.mvault(["status"]).ok();
        place.mvault(["verify"]).ok();
    }
    std::fs::remove_file(&path).expect("it is there");
    std::fs::create_dir(&path).expect("a folder");
    place.mvault(["status"]).ok();
    place.mvault(["tag", "here"]).ok();
    place.mvault(["verify"]).ok();
}

/// `tag` and `boot` never began a segment: 4,772 tags were in one of 3.6 MB, and every command reads the
/// newest one. They did not write the stat cache, so nobody vouched for the log's end.
#[test]
fn the_log_rolls_for_every_kind_of_operation() {
    let place = vault();
    for number in 0..220 {
        place.mvault(["tag", &format!("label-that-is-not-quite-short/{number}")]).ok();
    }
    let sizes: Vec<u64> =
        segments(&place).iter().map(|path| path.metadata().expect("a file").len()).collect();
    assert!(sizes.len() > 1, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size < 160 << 10), "{sizes:?}");
    place.mvault(["audit", "--verify"]).ok();
    // A checkpoint of so many refs takes several lines; a reader needs all of them, and the newest segment alone.
    let newest = std::fs::read_to_string(segments(&place).pop().expect("a segment")).expect("a log");
    assert!(newest.lines().filter(|line| line.starts_with("{\"checkpoint\":")).count() >= 1);
    assert_eq!(place.mvault(["tag"]).ok().lines().count(), 220);
    std::fs::remove_file(segments(&place).pop().expect("a segment")).expect("is removed");
    assert_all_say_it(&place);
    place.mvault(["repair"]).ok();
    place.mvault(["verify"]).ok();
}
