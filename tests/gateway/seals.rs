//! Seals: beside every distillate its sidecar, right at every commit, for `sha256sum` alone.

use std::os::unix::fs::PermissionsExt;

use super::{assert_seals_hold, check_seals, committed, head_of, on, pair, reasons, remove, sha256, vault};
use crate::support::Place;

const ONE: &str = "distillates/one.md";

fn sidecar(name: &str, content: &str) -> String {
    format!("{}  {name}\n", sha256(content))
}

/// A vault with a sealed distillate.
fn sealed() -> Place {
    let place = vault();
    place.write(ONE, "one\n");
    place.mvault(["commit", "-m", "sealed"]).ok();
    assert_eq!(place.read("distillates/one.md.sha256"), sidecar("one.md", "one\n").as_bytes());
    place
}

fn rename(place: &Place, from: &str, to: &str) {
    let to = place.work().join(to);
    std::fs::create_dir_all(to.parent().expect("a folder")).expect("folders");
    std::fs::rename(place.work().join(from), to).expect("renamed");
}

/// Demands that every commit of the history, checked out by itself, is sealed as it should be.
fn assert_every_commit_is_sealed(place: &Place, device: &str) {
    let ids: Vec<String> = on(place, device, &["log"])
        .json_lines()
        .iter()
        .map(|line| line["id"].as_str().expect("an id").to_owned())
        .collect();
    for id in &ids {
        on(place, device, &["checkout", id]).ok();
        assert_seals_hold(place, device);
    }
    on(place, device, &["checkout", "main"]).ok();
}

#[test]
fn every_commit_of_a_long_history_passes_sha256sum() {
    let place = sealed();
    place.write("distillates/deep/Zoë, zwei.md", "umlaut\n");
    place.write("distillates/back\\slash.md", "escaped\n");
    place.mvault(["commit", "--allow", "name-not-portable"]).ok();
    assert_seals_hold(&place, ".");
    place.write(ONE, "one, edited\n");
    place.write("notes/b.md", "beside it\n");
    place.mvault(["commit"]).code(3);
    assert_eq!(committed(&place, ONE).as_deref(), Some(&b"one\n"[..]));
    place.mvault(["seal", ONE]).ok();
    assert_seals_hold(&place, ".");
    rename(&place, ONE, "distillates/two.md");
    place.mvault(["commit", "-m", "renamed"]).code(0);
    assert_seals_hold(&place, ".");
    assert!(!place.work().join("distillates/one.md.sha256").exists());
    assert!(committed(&place, "distillates/one.md.sha256").is_none());
    assert!(committed(&place, "distillates/two.md.sha256").is_some());
    remove(&place, "distillates/two.md");
    place.mvault(["commit", "-m", "removed"]).code(0);
    assert!(!place.work().join("distillates/two.md.sha256").exists());
    place.mvault(["rollback", "main~2"]).ok();
    assert_seals_hold(&place, ".");
    place.mvault(["undo"]).ok();
    assert_seals_hold(&place, ".");
    place.mvault(["checkout", "main~3", "--", ONE]).ok();
    assert_seals_hold(&place, ".");
    place.mvault(["commit", "-m", "brought back"]).code(0);
    assert_seals_hold(&place, ".");
    place.mvault(["checkout", "main~1"]).ok();
    assert_seals_hold(&place, ".");
    place.mvault(["checkout", "main"]).ok();
    place.mvault(["undo"]).ok();
    place.mvault(["status"]).ok();
    assert_every_commit_is_sealed(&place, ".");
    place.mvault(["verify"]).ok();
}

#[test]
fn a_distillate_renamed_together_with_its_sidecar_keeps_its_content_in_the_head() {
    let place = sealed();
    rename(&place, ONE, "distillates/two.md");
    rename(&place, "distillates/one.md.sha256", "distillates/two.md.sha256");
    place.mvault(["commit"]).code(0);
    assert_eq!(committed(&place, "distillates/two.md").as_deref(), Some(&b"one\n"[..]));
    assert_seals_hold(&place, ".");
    place.mvault(["status"]).ok();
}

#[test]
fn a_folder_of_distillates_can_be_renamed() {
    let place = vault();
    for number in 0..12 {
        place.write(format!("distillates/2025/{number}.md"), format!("{number}\n"));
    }
    place.mvault(["commit"]).ok();
    rename(&place, "distillates/2025", "distillates/old/2025");
    place.mvault(["commit"]).code(0);
    assert_seals_hold(&place, ".");
    assert!(committed(&place, "distillates/2025/3.md").is_none());
    assert_eq!(committed(&place, "distillates/old/2025/3.md").as_deref(), Some(&b"3\n"[..]));
    rename(&place, "distillates/old", "notes/old");
    place.mvault(["commit"]).code(0);
    assert_seals_hold(&place, ".");
    place.mvault(["verify"]).ok();
}

#[test]
fn distillates_of_two_devices_are_sealed_after_every_merge() {
    let place = pair(&[("continuity.md", "c\n"), (ONE, "1\n2\n3\n4\n5\n"), ("distillates/both.md", "b\n")]);
    assert_seals_hold(&place, "pixel");
    place.write("mac/distillates/mac.md", "of the mac\n");
    place.write("pixel/distillates/pixel.md", "of the phone\n");
    place.write(format!("mac/{ONE}"), "1 by the mac\n2\n3\n4\n5\n");
    place.write(format!("pixel/{ONE}"), "1\n2\n3\n4\n5 by the phone\n");
    on(&place, "mac", &["seal", "distillates"]).ok();
    on(&place, "mac", &["commit"]).ok();
    on(&place, "pixel", &["seal", "distillates"]).ok();
    on(&place, "pixel", &["commit"]).ok();
    on(&place, "mac", &["sync", "pixel"]).ok();
    assert_eq!(head_of(&place, "mac"), head_of(&place, "pixel"));
    for device in ["mac", "pixel"] {
        assert_eq!(place.read(format!("{device}/{ONE}")), b"1 by the mac\n2\n3\n4\n5 by the phone\n");
        assert_seals_hold(&place, device);
    }
    // Removed here, edited there: a choice, and a seal on whatever was chosen.
    remove(&place, "mac/distillates/both.md");
    on(&place, "mac", &["commit"]).ok();
    place.write("pixel/distillates/both.md", "b, edited\n");
    on(&place, "pixel", &["seal", "distillates/both.md"]).ok();
    on(&place, "mac", &["pull", "pixel"]).code(4);
    assert_seals_hold(&place, "mac");
    on(&place, "mac", &["resolve", "distillates/both.md", "--take", "pixel"]).ok();
    assert_seals_hold(&place, "mac");
    on(&place, "mac", &["sync", "pixel"]).ok();
    assert_seals_hold(&place, "pixel");
    assert_every_commit_is_sealed(&place, "mac");
    on(&place, "mac", &["verify"]).ok();
    on(&place, "pixel", &["verify"]).ok();
}

#[test]
fn an_altered_sidecar_is_refused_and_one_that_is_gone_is_put_back() {
    let place = sealed();
    let path = "distillates/one.md.sha256";
    for wrong in [sidecar("one.md", "two\n"), "nonsense\n".to_owned(), String::new(), "x".repeat(5000)] {
        place.write(path, &wrong);
        let told = place.mvault(["commit", "--json"]).code(3).json();
        assert!(told["id"].is_null(), "{told}");
        let found = reasons(&told, "rejected");
        assert!(
            found == [format!("sidecar-mismatch {path}")] || found == [format!("emptied {path}")],
            "{found:?}"
        );
        assert_eq!(place.read(path), wrong.as_bytes(), "the file stays as it is");
        place.mvault(["verify"]).ok();
    }
    place.mvault(["seal", ONE]).ok();
    assert_seals_hold(&place, ".");
    remove(&place, path);
    place.mvault(["commit"]).code(0);
    assert_seals_hold(&place, ".");
    assert!(place.work().join(path).exists());
}

#[test]
fn a_sidecar_that_is_given_with_a_new_file_must_fit_it() {
    let place = vault();
    place.write(ONE, "one\n");
    place.write("distillates/one.md.sha256", sidecar("one.md", "one\n").replace("  one", " *one"));
    place.mvault(["commit"]).code(0);
    assert_seals_hold(&place, ".");
    assert!(String::from_utf8_lossy(&place.read("distillates/one.md.sha256")).contains(" *one"));
    for (number, given) in
        [sidecar("two.md", "cut sh"), sidecar("other.md", "other\n"), "half a".to_owned()].iter().enumerate()
    {
        place.write("distillates/two.md", "two\n");
        place.write("distillates/two.md.sha256", given);
        let told = place.mvault(["commit", "--json"]).code(3).json();
        assert_eq!(reasons(&told, "rejected"), ["sidecar-mismatch distillates/two.md"], "{number}");
        assert_eq!(committed(&place, "distillates/two.md.sha256"), None);
        assert_eq!(place.read("distillates/two.md.sha256"), given.as_bytes());
    }
    place.mvault(["seal", "distillates/two.md"]).code(0);
    assert_seals_hold(&place, ".");
}

#[test]
fn an_edit_with_a_fitting_sidecar_is_still_an_edit_of_what_was_sealed() {
    let place = sealed();
    place.write(ONE, "edited\n");
    place.write("distillates/one.md.sha256", sidecar("one.md", "edited\n"));
    let told = place.mvault(["commit", "--json"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["sealed distillates/one.md"]);
    assert_eq!(committed(&place, "distillates/one.md.sha256"), Some(sidecar("one.md", "one\n").into_bytes()));
    place.mvault(["seal", ONE]).ok();
    assert_eq!(committed(&place, ONE).as_deref(), Some(&b"edited\n"[..]));
    assert_seals_hold(&place, ".");
}

#[test]
fn seals_hold_for_a_commit_of_one_path_alone() {
    let place = vault();
    place.write(ONE, "one\n");
    place.write("distillates/two.md", "two\n");
    place.mvault(["commit", ONE]).ok();
    assert!(committed(&place, "distillates/one.md.sha256").is_some());
    assert!(committed(&place, "distillates/two.md").is_none());
    assert_seals_hold(&place, ".");
}

#[test]
fn a_change_of_mode_breaks_no_seal() {
    let place = sealed();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.work().join(ONE), mode).expect("a mode");
    place.mvault(["commit"]).code(0);
    assert_seals_hold(&place, ".");
}

#[test]
fn a_name_that_cannot_have_a_sidecar_is_refused_among_distillates_alone() {
    let place = vault();
    let long = "x".repeat(249);
    for name in ["line\nbreak.md", "bell\u{7}.md", &long] {
        place.write(format!("distillates/{name}"), "x\n");
        place.write(format!("notes/{name}"), "x\n");
    }
    place.write(format!("distillates/{}", "y".repeat(248)), "x\n");
    let told = place.mvault(["commit", "--json"]).code(3).json();
    assert_eq!(told["rejected"].as_array().map(Vec::len), Some(3), "{told}");
    for one in told["rejected"].as_array().expect("a list") {
        assert_eq!(one["reason"], "name-not-portable", "{one}");
    }
    assert!(committed(&place, &format!("notes/{long}")).is_some());
    assert_seals_hold(&place, ".");
}

#[test]
fn a_distillate_from_before_there_were_seals_is_sealed_on_request() {
    let place = vault();
    place.write("vault.toml", "[[path]]\nmatch = '/distillates/**'\nclass = 'note'\n");
    place.mvault(["commit"]).ok();
    place.write(ONE, "one\n");
    place.mvault(["commit"]).ok();
    assert!(!place.work().join("distillates/one.md.sha256").exists());
    remove(&place, "vault.toml");
    place.mvault(["commit"]).ok();
    assert!(!place.work().join("distillates/one.md.sha256").exists(), "nobody touched it");
    place.mvault(["verify"]).ok();
    place.mvault(["seal", "distillates"]).ok();
    assert_seals_hold(&place, ".");
    assert!(committed(&place, "distillates/one.md.sha256").is_some());
    place.mvault(["seal", "distillates"]).ok();
}

#[test]
fn an_unsealed_distillate_that_is_edited_gets_its_seal() {
    let place = vault();
    place.write("vault.toml", "[[path]]\nmatch = '/distillates/**'\nclass = 'note'\n");
    place.mvault(["commit"]).ok();
    place.write(ONE, "one\n");
    place.mvault(["commit"]).ok();
    remove(&place, "vault.toml");
    place.mvault(["commit"]).ok();
    place.write(ONE, "one, edited\n");
    place.mvault(["commit"]).code(0);
    assert_eq!(committed(&place, ONE).as_deref(), Some(&b"one, edited\n"[..]));
    assert!(committed(&place, "distillates/one.md.sha256").is_some());
    assert_seals_hold(&place, ".");
}

#[test]
fn vouchers_of_other_tools_are_files_like_any_other() {
    let place = sealed();
    place.write("distillates/one.md.sig", "not text \u{0}\u{1}\n");
    place.write("distillates/one.md.sidecar.json", "{\"sha256\":\"ab\"}\n");
    place.mvault(["commit"]).code(0);
    for name in ["one.md.sig", "one.md.sidecar.json"] {
        assert!(committed(&place, &format!("distillates/{name}")).is_some());
        assert!(!place.work().join(format!("distillates/{name}.sha256")).exists());
    }
    place.write("distillates/one.md.sig", "another\n");
    place.mvault(["commit"]).code(0);
    assert_seals_hold(&place, ".");
}

#[test]
fn damage_to_a_sealed_file_in_the_tree_is_seen_by_verify_and_by_sha256sum() {
    let place = sealed();
    place.write(ONE, "onf\n");
    assert_ne!(check_seals(&place, ".").code, Some(0));
    place.mvault(["commit"]).code(3);
    place.mvault(["checkout", "HEAD", "--", ONE]).ok();
    assert_seals_hold(&place, ".");
}

#[test]
fn a_link_among_distillates_has_no_sidecar() {
    let place = sealed();
    std::os::unix::fs::symlink("one.md", place.work().join("distillates/latest.md")).expect("a link");
    place.mvault(["commit"]).code(0);
    assert!(!place.work().join("distillates/latest.md.sha256").exists());
    assert_seals_hold(&place, ".");
}

#[test]
fn a_sidecar_that_became_something_else_is_told() {
    let place = sealed();
    let path = place.work().join("distillates/one.md.sha256");
    std::fs::remove_file(&path).expect("it is there");
    std::os::unix::fs::symlink("one.md", &path).expect("a link");
    let outcome = place.mvault(["commit", "--json"]).run();
    assert_eq!(outcome.code, Some(3), "{}", outcome.describe());
    std::fs::remove_file(&path).expect("it is there");
    std::fs::create_dir(&path).expect("a folder");
    place.write("distillates/one.md.sha256/inside.md", "x\n");
    place.write("notes/b.md", "goes on\n");
    let outcome = place.mvault(["commit"]).run();
    assert!(matches!(outcome.code, Some(0 | 3)), "{}", outcome.describe());
    assert!(committed(&place, "notes/b.md").is_some());
}
