//! What another device's commits would do here is held until somebody says yes, and then both go on alike.

use std::os::unix::fs::symlink;

use snapbox::{IntoData, assert_data_eq, str};

use super::{allowed, assert_seals_hold, head_of, on, pair, reasons, rejections, remove, secret};
use crate::support::Place;

const PAGE: &str = "one\ntwo\nthree\nfour\nfive\n";

fn two() -> Place {
    pair(&[
        ("continuity.md", PAGE),
        ("events/day.jsonl", "{\"n\":1}\n{\"n\":2}\n"),
        ("distillates/a.md", "sealed\n"),
        ("notes/a.md", "a\n"),
    ])
}

/// Commits on the pixel although its own gateway is against it.
fn commit_there(place: &Place, codes: &[&str]) {
    let mut args = vec!["commit", "-m", "from the phone"];
    codes.iter().for_each(|code| args.extend(["--allow", code]));
    on(place, "pixel", &args).code(0);
}

/// Pulls on the mac twice and demands that the same is held both times, and nothing moved.
#[track_caller]
fn assert_held(place: &Place, expected: &[&str]) {
    let before = head_of(place, "mac");
    let text = on(place, "mac", &["pull", "pixel"]).code(4);
    let shown = text.stdout();
    for one in expected {
        let (code, path) = one.split_once(' ').expect("a code and a path");
        assert!(shown.contains(&format!("  {path} ({code}): ")), "{}", text.describe());
    }
    let told = on(place, "mac", &["pull", "pixel", "--json"]).code(4).json();
    assert_eq!(reasons(&told, "held"), expected);
    for one in told["held"].as_array().expect("a list") {
        let hint = one["hint"].as_str().expect("a hint");
        assert!(!hint.contains("mvault commit"), "a commit here lets nothing of the other device in: {hint}");
    }
    let again = on(place, "mac", &["reconcile", "--json"]).code(4).json();
    assert_eq!(reasons(&again, "held"), expected);
    assert_eq!(head_of(place, "mac"), before);
    let status = on(place, "mac", &["status"]).json();
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(0), "{status}");
    let logged: Vec<String> = rejections(place, "mac", ".none")
        .iter()
        .map(|line| {
            format!("{} {}", line["reason"].as_str().unwrap_or("?"), line["path"].as_str().unwrap_or("?"))
        })
        .collect();
    assert_eq!(logged, expected, "once, though pulled twice");
    // What is held holds nothing else up.
    place.write("mac/notes/goes-on.md", "x\n");
    on(place, "mac", &["commit", "-m", "work goes on"]).ok();
    on(place, "mac", &["verify"]).ok();
}

/// Lets it through on the mac and demands that a sync ends with one head.
#[track_caller]
fn assert_let_through(place: &Place, allow: &[&str]) {
    let mut args = vec!["reconcile"];
    allow.iter().for_each(|code| args.extend(["--allow", code]));
    on(place, "mac", &args).code(0);
    assert_eq!(allowed(place, "mac", "reconcile").len(), allow.len());
    assert_same_after_sync(place);
}

#[track_caller]
fn assert_same_after_sync(place: &Place) {
    on(place, "mac", &["sync", "pixel"]).code(0);
    assert_eq!(head_of(place, "mac"), head_of(place, "pixel"));
    assert_seals_hold(place, "mac");
    assert_seals_hold(place, "pixel");
    for device in ["mac", "pixel"] {
        on(place, device, &["verify"]).ok();
        let status = on(place, device, &["status"]).json();
        assert_eq!(status["changes"].as_array().map(Vec::len), Some(0), "{status}");
    }
}

#[test]
fn a_page_that_was_emptied_is_held() {
    let place = two();
    place.write("pixel/continuity.md", "");
    commit_there(&place, &["emptied"]);
    let told = on(&place, "mac", &["pull", "pixel"]).code(4);
    assert_data_eq!(
        told.stdout(),
        str![[r#"
from pixel: 1 commit
main stays at 0713f9f2e3
what came waits for a yes; no file was touched and no head moved:
  continuity.md (emptied): it had content and is empty or gone

"#]]
        .raw()
    );
    assert_data_eq!(
        told.stderr(),
        str![[r#"
`mvault reconcile --allow CODE:PATH` lets one through; mending it on the other device ends it

"#]]
        .raw()
    );
    assert_held(&place, &["emptied continuity.md"]);
    assert_eq!(place.read("mac/continuity.md"), PAGE.as_bytes());
    assert_let_through(&place, &["emptied:continuity.md"]);
    assert_eq!(place.read("mac/continuity.md"), b"");
}

#[test]
fn a_page_that_was_removed_or_filled_with_zeros_is_held() {
    let place = two();
    remove(&place, "pixel/continuity.md");
    commit_there(&place, &["emptied"]);
    assert_held(&place, &["emptied continuity.md"]);
    let place = two();
    place.write("pixel/continuity.md", [0; 100]);
    commit_there(&place, &["nul-filled"]);
    assert_held(&place, &["nul-filled continuity.md"]);
    assert_let_through(&place, &["nul-filled"]);
}

#[test]
fn a_page_that_became_a_link_or_a_folder_is_held() {
    let place = two();
    remove(&place, "pixel/continuity.md");
    symlink("notes/a.md", place.work().join("pixel/continuity.md")).expect("a link");
    commit_there(&place, &["emptied"]);
    let told = on(&place, "mac", &["pull", "pixel", "--json"]).code(4).json();
    assert_eq!(reasons(&told, "held"), ["emptied continuity.md"]);
    let place = two();
    remove(&place, "pixel/continuity.md");
    place.write("pixel/continuity.md/inside", "x\n");
    commit_there(&place, &["emptied"]);
    let told = on(&place, "mac", &["pull", "pixel", "--json"]).code(4).json();
    assert_eq!(reasons(&told, "held"), ["emptied continuity.md"]);
}

#[test]
fn a_page_with_conflict_markers_is_held() {
    let place = two();
    place.write("pixel/continuity.md", format!("{PAGE}<<<<<<< a\n=======\n>>>>>>> b\n"));
    commit_there(&place, &["conflict-markers"]);
    assert_held(&place, &["conflict-markers continuity.md"]);
    assert_let_through(&place, &["conflict-markers:continuity.md"]);
}

#[test]
fn a_stream_that_was_rewritten_is_held() {
    let place = two();
    place.write("pixel/events/day.jsonl", "{\"n\":1}\n{\"n\":3}\n");
    commit_there(&place, &["stream-rewritten"]);
    assert_held(&place, &["stream-rewritten events/day.jsonl"]);
    assert_let_through(&place, &["stream-rewritten"]);
}

#[test]
fn a_stream_that_was_removed_is_held() {
    let place = two();
    remove(&place, "pixel/events/day.jsonl");
    commit_there(&place, &["stream-rewritten"]);
    assert_held(&place, &["stream-rewritten events/day.jsonl"]);
    assert_let_through(&place, &["stream-rewritten:events"]);
    assert!(!place.work().join("mac/events/day.jsonl").exists());
}

#[test]
fn a_seal_that_was_broken_is_held() {
    let place = two();
    place.write("pixel/vault.toml", "[[path]]\nmatch = '/distillates/**'\nclass = 'note'\n");
    on(&place, "pixel", &["commit", "vault.toml"]).ok();
    place.write("pixel/distillates/a.md", "forged\n");
    commit_there(&place, &["sealed", "sidecar-mismatch"]);
    let told = on(&place, "mac", &["pull", "pixel", "--json"]).code(4).json();
    assert_eq!(reasons(&told, "held"), ["sidecar-mismatch distillates/a.md"]);
    assert_eq!(place.read("mac/distillates/a.md"), b"sealed\n");
    on(&place, "mac", &["pull", "pixel", "--allow", "sidecar-mismatch:distillates/a.md"]).code(0);
    assert_eq!(place.read("mac/distillates/a.md"), b"forged\n");
}

#[test]
fn a_seal_that_was_removed_is_held() {
    let place = two();
    place.write("pixel/vault.toml", "[[path]]\nmatch = '/distillates/**'\nclass = 'note'\n");
    on(&place, "pixel", &["commit", "vault.toml"]).ok();
    remove(&place, "pixel/distillates/a.md.sha256");
    commit_there(&place, &[]);
    let told = on(&place, "mac", &["pull", "pixel", "--json"]).code(4).json();
    assert_eq!(reasons(&told, "held"), ["sidecar-mismatch distillates/a.md"]);
}

#[test]
fn a_seal_that_was_renewed_is_not_held() {
    let place = two();
    place.write("pixel/distillates/a.md", "edited\n");
    on(&place, "pixel", &["seal", "distillates/a.md"]).ok();
    on(&place, "mac", &["pull", "pixel"]).code(0);
    assert_eq!(place.read("mac/distillates/a.md"), b"edited\n");
    assert_same_after_sync(&place);
}

/// Two devices with so many files in a folder.
fn two_of(files: usize) -> Place {
    let all: Vec<(String, String)> =
        (0..files).map(|n| (format!("many/{n}.md"), format!("file {n}\n"))).collect();
    let all: Vec<(&str, &str)> = all.iter().map(|(path, text)| (&**path, &**text)).collect();
    pair(&all)
}

#[test]
fn a_mass_delete_is_held() {
    let place = two_of(40);
    for number in 0..21 {
        remove(&place, format!("pixel/many/{number}.md"));
    }
    commit_there(&place, &["mass-delete"]);
    assert_held(&place, &["mass-delete ."]);
    assert_let_through(&place, &["mass-delete"]);
    assert!(!place.work().join("mac/many/0.md").exists());
}

#[test]
fn half_of_the_files_or_twenty_may_go() {
    let place = two_of(40);
    for number in 0..20 {
        remove(&place, format!("pixel/many/{number}.md"));
    }
    commit_there(&place, &[]);
    on(&place, "mac", &["pull", "pixel"]).code(0);
    let place = two_of(40);
    std::fs::rename(place.work().join("pixel/many"), place.work().join("pixel/moved")).expect("renamed");
    commit_there(&place, &["mass-delete"]);
    on(&place, "mac", &["pull", "pixel"]).code(0);
    assert_same_after_sync(&place);
}

#[test]
fn obeyed_files_and_links_outside_are_held() {
    let place = two();
    place.write("pixel/.claude/settings.json", "{\"hooks\": {\"Stop\": [{\"command\": \"id\"}]}}\n");
    symlink("../../elsewhere", place.work().join("pixel/notes/away")).expect("a link");
    symlink("a.md", place.work().join("pixel/notes/beside")).expect("a link");
    commit_there(&place, &["obeyed-file", "link-outside"]);
    assert_held(&place, &["obeyed-file .claude/settings.json", "link-outside notes/away"]);
    on(&place, "mac", &["reconcile", "--allow", "obeyed-file"]).code(4);
    assert!(!place.work().join("mac/.claude").exists());
    assert_let_through(&place, &["obeyed-file:.claude", "link-outside:notes/away"]);
    assert!(place.work().join("mac/notes/away").is_symlink());
}

#[test]
fn links_that_lead_out_through_other_links_are_held() {
    // `d/e -> ..` and `x.md -> d/e/../outside.txt` stay inside as texts, and the second one opened a file beside the vault.
    let place = two();
    place.write("pixel/d/keep.md", "x\n");
    symlink("..", place.work().join("pixel/d/e")).expect("a link");
    symlink("d/e/../outside.txt", place.work().join("pixel/x.md")).expect("a link");
    symlink("/etc", place.work().join("pixel/ext")).expect("a link");
    symlink("ext/passwd", place.work().join("pixel/y.md")).expect("a link");
    let refused = on(&place, "pixel", &["commit", "--json"]).code(3).json();
    let expected = ["link-outside ext", "link-outside x.md", "link-outside y.md"];
    assert_eq!(reasons(&refused, "rejected"), expected, "at commit as at pull");
    commit_there(&place, &["link-outside"]);
    assert_held(&place, &expected);
    on(&place, "mac", &["reconcile", "--allow", "link-outside:ext", "--allow", "link-outside:x.md"]).code(4);
    assert_let_through(&place, &["link-outside:ext", "link-outside:x.md", "link-outside:y.md"]);
}

#[test]
fn a_link_that_leads_out_takes_those_with_it_that_were_there_before() {
    let place = two();
    place.write("pixel/ext/passwd", "x\n");
    symlink("ext/passwd", place.work().join("pixel/y.md")).expect("a link");
    commit_there(&place, &[]);
    on(&place, "mac", &["pull", "pixel"]).code(0);
    std::fs::remove_dir_all(place.work().join("pixel/ext")).expect("removed");
    symlink("/etc", place.work().join("pixel/ext")).expect("a link");
    commit_there(&place, &["link-outside"]);
    assert_held(&place, &["link-outside ext", "link-outside y.md"]);
}

#[test]
fn a_pull_that_allows_it_at_once_is_not_held() {
    let place = two();
    place.write("pixel/continuity.md", "");
    commit_there(&place, &["emptied"]);
    on(&place, "mac", &["pull", "pixel", "--allow", "emptied:notes"]).code(4);
    on(&place, "mac", &["pull", "pixel", "--allow", "emptied:continuity.md"]).code(0);
    assert_eq!(allowed(&place, "mac", "pull"), ["emptied:continuity.md"]);
    assert_same_after_sync(&place);
}

#[test]
fn what_is_mended_on_the_other_device_is_not_held_any_more() {
    let place = two();
    place.write("pixel/continuity.md", "");
    commit_there(&place, &["emptied"]);
    assert_held(&place, &["emptied continuity.md"]);
    place.write("pixel/continuity.md", format!("{PAGE}six\n"));
    commit_there(&place, &[]);
    on(&place, "mac", &["pull", "pixel"]).code(0);
    assert_eq!(place.read("mac/continuity.md"), format!("{PAGE}six\n").as_bytes());
    assert_same_after_sync(&place);
}

#[test]
fn what_is_held_at_the_far_end_of_a_push_is_told_here() {
    let place = two();
    place.write("pixel/continuity.md", "");
    commit_there(&place, &["emptied"]);
    let before = head_of(&place, "mac");
    let outcome = on(&place, "pixel", &["push", "mac"]).code(0);
    assert!(outcome.stdout().contains("waits there for a yes"), "{}", outcome.describe());
    assert_eq!(head_of(&place, "mac"), before);
    assert_eq!(place.read("mac/continuity.md"), PAGE.as_bytes());
    on(&place, "mac", &["reconcile"]).code(4);
    assert_let_through(&place, &["emptied"]);
}

#[test]
fn a_sync_that_is_held_gives_all_the_same_and_ends_alike_after_the_yes() {
    let place = two();
    place.write("pixel/continuity.md", "");
    commit_there(&place, &["emptied"]);
    place.write("mac/notes/mac.md", "of the mac\n");
    on(&place, "mac", &["sync", "pixel"]).code(4);
    assert_eq!(place.read("pixel/notes/mac.md"), b"of the mac\n");
    on(&place, "mac", &["sync", "pixel"]).code(4);
    on(&place, "mac", &["sync", "pixel", "--allow", "emptied"]).code(0);
    assert_same_after_sync(&place);
}

#[test]
fn credentials_and_odd_names_are_told_and_hold_nothing() {
    let place = two();
    let secret = secret();
    place.write("pixel/notes/key.md", format!("key {secret}\n"));
    place.write("pixel/notes/a:b.md", "x\n");
    commit_there(&place, &["secret", "name-not-portable"]);
    let told = on(&place, "mac", &["pull", "pixel", "--json"]).code(0);
    assert!(!told.stdout().contains(&secret));
    let told = told.json();
    assert_eq!(reasons(&told, "held"), [] as [&str; 0]);
    assert_eq!(reasons(&told, "told"), ["name-not-portable notes/a:b.md", "secret notes/key.md"]);
    assert!(place.work().join("mac/notes/key.md").exists());
    assert_same_after_sync(&place);
}

#[test]
fn a_conflict_beside_it_does_not_let_what_is_held_through() {
    let place = two();
    place.write("pixel/continuity.md", "");
    place.write("pixel/notes/a.md", "by the phone\n");
    commit_there(&place, &["emptied"]);
    place.write("mac/notes/a.md", "by the mac\n");
    on(&place, "mac", &["commit"]).ok();
    on(&place, "mac", &["pull", "pixel"]).code(4);
    on(&place, "mac", &["resolve", "notes/a.md", "--take", "mac"]).code(4);
    assert_eq!(place.read("mac/continuity.md"), PAGE.as_bytes(), "nobody said yes to that");
}

#[test]
fn rules_from_another_device_protect_at_once_and_weaken_after_a_yes() {
    let place = two();
    let rules = "[limits]\nfile_mib = 1\n[[path]]\nmatch = '/continuity.md'\nclass = 'note'\nsyntax = 'utf8'\n\
                 allow = ['emptied', 'secret', 'conflict-markers']\n[[path]]\nmatch = '/plan.md'\nclass = 'canonical'\n";
    place.write("pixel/vault.toml", rules);
    commit_there(&place, &[]);
    let outcome = on(&place, "mac", &["pull", "pixel"]).code(0);
    assert!(outcome.stderr().contains("reconcile --allow rules"), "{}", outcome.describe());
    // What they add holds at once.
    place.write("mac/plan.md", "<<<<<<< a\n=======\n>>>>>>> b\n");
    place.write("mac/big.bin", vec![b'x'; (1 << 20) + 1]);
    let told = on(&place, "mac", &["commit", "--json"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["too-large big.bin", "conflict-markers plan.md"]);
    remove(&place, "mac/plan.md");
    remove(&place, "mac/big.bin");
    // What they take away does not.
    place.write("mac/continuity.md", format!("{PAGE}{}\n", secret()));
    let told = on(&place, "mac", &["commit", "--json"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["secret continuity.md"]);
    on(&place, "mac", &["checkout", "HEAD", "--", "continuity.md"]).ok();
    place.write("pixel/continuity.md", "");
    commit_there(&place, &[]);
    on(&place, "mac", &["pull", "pixel"]).code(4);
    on(&place, "mac", &["reconcile", "--allow", "rules"]).code(0);
    assert_eq!(place.read("mac/continuity.md"), b"");
    place.write("mac/continuity.md", format!("{PAGE}{}\n", secret()));
    on(&place, "mac", &["commit"]).code(0);
    assert_same_after_sync(&place);
}

#[test]
fn weaker_rules_and_what_they_would_let_in_do_not_come_together() {
    let place = two();
    place.write(
        "pixel/vault.toml",
        "[[path]]\nmatch = '/continuity.md'\nclass = 'note'\nallow = ['emptied']\n",
    );
    on(&place, "pixel", &["commit", "vault.toml"]).ok();
    place.write("pixel/continuity.md", "");
    commit_there(&place, &[]);
    assert_held(&place, &["emptied continuity.md"]);
}

#[test]
fn a_stream_that_both_wrote_to_is_merged_and_not_held() {
    let place = two();
    place.write("pixel/events/day.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\":\"pixel\"}\n");
    commit_there(&place, &[]);
    place.write("mac/events/day.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\":\"mac\"}\n");
    on(&place, "mac", &["commit"]).ok();
    on(&place, "mac", &["pull", "pixel"]).code(0);
    assert_same_after_sync(&place);
}
