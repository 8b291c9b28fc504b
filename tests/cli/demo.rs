//! The demo is the README's first command.

use crate::support::Place;

#[test]
fn demo_tells_the_whole_story_and_leaves_nothing_behind() {
    let place = Place::new();
    let told = place.mvault(["demo"]).ok();
    for words in ["1 conflict is pending", "pixel has the same head", "takes back", "all is well"] {
        assert!(told.contains(words), "{words:?} is not told:\n{told}");
    }
    let left: Vec<_> = std::fs::read_dir(place.root())
        .expect("the place is there")
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("mvault-demo"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn demo_as_json_is_one_object_a_line() {
    let place = Place::new();
    let told = place.mvault(["demo"]).json_lines();
    let steps: Vec<_> = told.iter().filter(|object| object["command"].is_string()).collect();
    assert!(steps.len() > 10 && steps.iter().any(|step| step["code"] == 4), "{told:?}");
}
