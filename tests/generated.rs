//! What is generated and checked in is what the definitions give today.
//!
//! `SNAPSHOTS=overwrite cargo test --test suite generated` writes it anew.

use std::path::Path;

use crate::support::Place;

fn hold(path: &str, content: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("folders");
        std::fs::write(&path, content).expect("a file");
    }
    let held = std::fs::read(&path).unwrap_or_default();
    assert!(
        held == content,
        "{} is not what the definitions give: SNAPSHOTS=overwrite cargo test --test suite generated",
        path.display()
    );
}

#[test]
fn completions_are_those_of_the_definitions() {
    let place = Place::new();
    for (shell, file) in [("bash", "mvault.bash"), ("zsh", "_mvault"), ("fish", "mvault.fish")] {
        hold(&format!("completions/{file}"), &place.mvault(["completions", shell]).code(0).stdout);
    }
}

#[test]
fn manual_pages_are_those_of_the_definitions() {
    let place = Place::new();
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    place.mvault(["man", "pages"]).ok();
    let made = place.work().join("pages");
    for name in names(&made) {
        let content = std::fs::read(made.join(&name)).expect("a page");
        hold(&format!("man/{}", name.to_string_lossy()), &content);
    }
    assert_eq!(names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("man")), names(&made));
}

#[test]
fn every_verb_has_help_with_an_example() {
    let place = Place::new();
    let verbs: Vec<_> = {
        place.mvault(["man", "pages"]).ok();
        let pages = std::fs::read_dir(place.work().join("pages")).expect("a folder");
        let names = pages.map(|page| page.expect("an entry").file_name().into_string().expect("UTF-8"));
        names.filter_map(|name| Some(name.strip_prefix("mvault-")?.strip_suffix(".1")?.to_owned())).collect()
    };
    assert!(verbs.len() > 2);
    for verb in verbs {
        // Verbs within verbs share the examples of their parent.
        if place.mvault([verb.as_str(), "--help"]).run().code != Some(0) {
            continue;
        }
        let help = place.mvault([verb.as_str(), "--help"]).ok();
        assert!(help.contains("Examples:") && help.contains(&format!("mvault {verb}")), "{verb}: {help}");
    }
}
