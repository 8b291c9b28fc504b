//! The morning: what each device added, told on the day on which it was made.

use serde_json::Value;

use crate::support::{Place, Run};

/// Runs at a moment of the caller's choice.
fn at(place: &Place, device: &str, clock: &str, args: &[&str]) -> Run {
    place.mvault(args).dir(device).env("MVAULT_TEST_CLOCK", clock)
}

/// `mac` and `pixel` have the same vault since the 10th of November.
fn pair() -> Place {
    let place = Place::new();
    place.write("mac/continuity.md", "# Continuity\n\n## Now\n\none\n");
    at(&place, "mac", "2026-11-10T08:00:00+01:00", &["init", "--device", "mac"]).ok();
    at(&place, "mac", "2026-11-10T08:01:00+01:00", &["commit", "-m", "first"]).ok();
    at(&place, "mac", "2026-11-10T08:02:00+01:00", &["note", "an old note of the mac"]).ok();
    let clone = place.mvault(["clone", "mac", "pixel", "--device", "pixel"]);
    clone.env("MVAULT_TEST_CLOCK", "2026-11-10T08:03:00+01:00").ok();
    at(&place, "mac", "2026-11-10T08:04:00+01:00", &["remote", "add", "pixel", "../pixel"]).ok();
    place
}

fn items(told: &[Value], device: &str) -> Vec<Value> {
    let device = told.iter().find(|line| line["device"] == device);
    device.and_then(|line| line["items"].as_array().cloned()).unwrap_or_default()
}

fn texts(items: &[Value]) -> Vec<&str> {
    items.iter().filter_map(|item| item["text"].as_str()).collect()
}

/// The reason for the whole program: the phone was offline all day and syncs this morning.
#[test]
fn yesterdays_notes_of_an_offline_phone_are_there_after_this_mornings_pull() {
    let place = pair();
    at(&place, "pixel", "2026-11-19T21:00:00+09:00", &["note", "of three days ago"]).ok();
    at(&place, "pixel", "2026-11-21T22:10:00+09:00", &["note", "call the printer"]).ok();
    place.write("mac/continuity.md", "# Continuity\n\n## Now\n\ntwo\nthree\n\n## Ideas\n\nnew\n");
    place.write("mac/distillates/2026-11-21-parser.md", "# Session: the parser\n\nIt parses.\n");
    at(&place, "mac", "2026-11-21T17:00:00+01:00", &["commit", "-m", "session"]).ok();
    let before = at(&place, "mac", "2026-11-22T06:59:00+01:00", &["standup"]).json_lines();
    assert!(items(&before, "pixel").is_empty());

    at(&place, "mac", "2026-11-22T07:00:00+01:00", &["pull", "pixel"]).ok();
    let told = at(&place, "mac", "2026-11-22T07:01:00+01:00", &["standup"]).json_lines();
    let phone = items(&told, "pixel");
    assert_eq!(texts(&phone), ["of three days ago", "call the printer"]);
    let note = &phone[1];
    assert_eq!(note["kind"], "note");
    assert_eq!(note["day"], "2026-11-21");
    assert_eq!(note["at"], "2026-11-21T22:10:00+09:00");
    assert_eq!(note["path"], "events/pixel.jsonl");
    assert_eq!(note["arrived_late"], true);
    assert_eq!(note["arrived"], "2026-11-22T07:00:00+01:00");
    assert_eq!(note["commit"].as_str().map(str::len), Some(64));
    let own = items(&told, "mac");
    let kinds: Vec<&str> = own.iter().filter_map(|item| item["kind"].as_str()).collect();
    assert_eq!(kinds, ["canonical", "distillate", "reconcile"], "{own:?}");
    let words = own[0]["text"].as_str().expect("words");
    assert!(words.contains("changed “Now” (+3 −1)") && words.contains("added “Ideas”"), "{words}");
    assert!(own.iter().all(|item| item["arrived_late"] == false));
    assert!(texts(&own)[1].contains("Session: the parser"), "{own:?}");
    assert!(texts(&own)[2].contains("2 commits of pixel"), "{own:?}");

    let text = at(&place, "mac", "2026-11-22T07:02:00+01:00", &["standup"]).ok();
    assert!(text.contains("Saturday 2026-11-21, yesterday"), "{text}");
    assert!(
        text.contains("14:10  call the printer (22:10 +09:00 there; arrived late: 2026-11-22 07:00)"),
        "{text}"
    );
    assert!(text.contains("mac (this device)") && !text.contains("old note"), "{text}");
    let markdown = at(&place, "mac", "2026-11-22T07:03:00+01:00", &["standup", "--format", "markdown"]).ok();
    assert!(markdown.contains("## pixel\n\n### Thursday 2026-11-19\n"), "{markdown}");
    assert!(markdown.contains("- **14:10** call the printer"), "{markdown}");
}

/// The same where the two never reach each other: only the phone's bundle arrived, on a stick.
#[test]
fn yesterdays_notes_of_an_offline_phone_are_there_when_only_its_bundle_arrived() {
    let place = pair();
    at(&place, "pixel", "2026-11-21T22:10:00+09:00", &["note", "call the printer"]).ok();
    let create = ["bundle", "create", "../phone.bundle", "--since", "mac"];
    at(&place, "pixel", "2026-11-21T22:11:00+09:00", &create).ok();
    std::fs::rename(place.work().join("pixel"), place.work().join("away")).expect("it is out of reach");
    at(&place, "mac", "2026-11-22T07:00:00+01:00", &["pull", "../phone.bundle"]).ok();
    let told = at(&place, "mac", "2026-11-22T07:01:00+01:00", &["standup"]).json_lines();
    let phone = items(&told, "pixel");
    assert_eq!(texts(&phone), ["call the printer"]);
    assert_eq!(phone[0]["day"], "2026-11-21");
    assert_eq!(phone[0]["at"], "2026-11-21T22:10:00+09:00");
    assert_eq!(phone[0]["arrived_late"], true);
    assert_eq!(phone[0]["arrived"], "2026-11-22T07:00:00+01:00");
}

#[test]
fn what_was_told_is_not_told_again_and_late_news_are_told_once() {
    let place = pair();
    at(&place, "pixel", "2026-11-18T21:00:00+01:00", &["note", "of long ago"]).ok();
    at(&place, "pixel", "2026-11-21T21:00:00+01:00", &["note", "of yesterday"]).ok();
    at(&place, "mac", "2026-11-22T07:00:00+01:00", &["pull", "pixel"]).ok();
    let on = |clock: &str, args: &[&str]| {
        let told = at(&place, "mac", clock, &[&["standup"], args].concat()).json_lines();
        texts(&items(&told, "pixel")).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(on("2026-11-23T07:00:00+01:00", &[]), ["of long ago", "of yesterday"], "they came yesterday");
    assert!(on("2026-11-24T07:00:00+01:00", &[]).is_empty());
    assert_eq!(on("2026-11-24T07:00:00+01:00", &["--since", "2026-11-21"]), ["of long ago", "of yesterday"]);
    assert!(on("2026-11-24T07:00:00+01:00", &["--since", "HEAD"]).is_empty());
    assert_eq!(on("2026-11-24T07:00:00+01:00", &["--since", "HEAD~1"]), ["of yesterday"]);
    assert_eq!(on("2026-11-22T08:00:00+01:00", &["--since", "2 hours ago"]).len(), 2);
    at(&place, "mac", "2026-11-24T07:00:00+01:00", &["standup", "--since", "soon"]).code(1);
}

/// A device that was cloned today has nothing older than today in its log; yesterday is there all the same.
#[test]
fn a_fresh_clone_tells_yesterday_and_not_the_whole_history() {
    let place = pair();
    at(&place, "mac", "2026-11-21T09:00:00+01:00", &["note", "of yesterday"]).ok();
    let clone = place.mvault(["clone", "mac", "tablet", "--device", "tablet"]);
    clone.env("MVAULT_TEST_CLOCK", "2026-11-22T07:00:00+01:00").ok();
    let told = at(&place, "tablet", "2026-11-22T07:01:00+01:00", &["standup"]).json_lines();
    let mac = items(&told, "mac");
    assert_eq!(texts(&mac), ["of yesterday"]);
    assert_eq!(mac[0]["arrived_late"], true);
}

/// The phone's clock fell back to 1970; what the others did must not disappear behind it.
#[test]
fn one_wrong_clock_hides_nothing() {
    let place = pair();
    at(&place, "pixel", "2026-11-21T08:00:00+01:00", &["note", "before the fall"]).ok();
    at(&place, "pixel", "1970-01-01T00:10:00Z", &["note", "in 1970"]).ok();
    at(&place, "pixel", "2026-11-21T10:00:00+01:00", &["note", "after it"]).ok();
    at(&place, "mac", "2026-11-21T12:00:00+01:00", &["note", "at noon"]).ok();
    // This device's own clock goes wrong as well, once.
    at(&place, "mac", "1970-01-01T00:11:00Z", &["note", "lost in time"]).ok();
    at(&place, "mac", "2026-11-21T13:00:00+01:00", &["pull", "pixel"]).ok();
    let told = at(&place, "mac", "2026-11-22T07:00:00+01:00", &["standup"]).json_lines();
    assert_eq!(texts(&items(&told, "pixel")), ["before the fall", "in 1970", "after it"]);
    let own = items(&told, "mac");
    assert_eq!(texts(&own)[..2], ["at noon", "lost in time"]);
}

/// The phone thinks it is 2030. Its notes are told when they come, and not every morning until then.
#[test]
fn a_clock_that_is_ahead_is_told_once() {
    let place = pair();
    at(&place, "pixel", "2030-01-01T08:00:00+01:00", &["note", "from the future"]).ok();
    at(&place, "mac", "2026-11-21T13:00:00+01:00", &["pull", "pixel"]).ok();
    let on = |day: &str| {
        let told = at(&place, "mac", &format!("{day}T14:00:00+01:00"), &["standup"]).json_lines();
        items(&told, "pixel").len()
    };
    assert_eq!((on("2026-11-21"), on("2026-11-22"), on("2026-11-23"), on("2026-11-24")), (1, 1, 0, 0));
}

#[test]
fn rollbacks_resolutions_and_rejections_have_their_line() {
    let place = pair();
    let base = at(&place, "mac", "2026-11-20T08:00:00+01:00", &["status"]).json()["head"].clone();
    place.write("mac/continuity.md", "# Continuity\n\n## Now\n\nof the mac\n");
    at(&place, "mac", "2026-11-21T08:00:00+01:00", &["commit"]).ok();
    place.write("pixel/continuity.md", "# Continuity\n\n## Now\n\nof the phone\n");
    at(&place, "pixel", "2026-11-21T08:30:00+01:00", &["commit"]).ok();
    at(&place, "mac", "2026-11-21T09:00:00+01:00", &["pull", "pixel"]).code(4);
    at(&place, "mac", "2026-11-21T09:05:00+01:00", &["resolve", "continuity.md", "--take", "pixel"]).ok();
    at(&place, "mac", "2026-11-21T09:10:00+01:00", &["rollback", base.as_str().expect("an id")]).ok();
    place.write("mac/keys.md", concat!("AKIA", "Q3EGRIN7LXZTPWMV\n"));
    at(&place, "mac", "2026-11-21T09:20:00+01:00", &["commit"]).code(3);
    let told = at(&place, "mac", "2026-11-22T07:00:00+01:00", &["standup"]).json_lines();
    let own = items(&told, "mac");
    let kinds: Vec<&str> = own.iter().filter_map(|item| item["kind"].as_str()).collect();
    for kind in ["resolution", "rollback", "rejection"] {
        assert!(kinds.contains(&kind), "{kind}: {own:?}");
    }
    let text = at(&place, "mac", "2026-11-22T07:01:00+01:00", &["standup"]).ok();
    assert!(text.contains("[rejection] keys.md refused"), "{text}");
    assert!(!text.contains("AKIA"), "{text}");
}

/// A pull that ends in a conflict leaves the phone's head waiting, and its notes with it. They were taken, so
/// they are told.
#[test]
fn notes_that_wait_for_a_conflict_are_told_all_the_same() {
    let place = pair();
    place.write("mac/continuity.md", "# Continuity\n\n## Now\n\nof the mac\n");
    at(&place, "mac", "2026-11-21T08:00:00+01:00", &["commit"]).ok();
    at(&place, "pixel", "2026-11-21T08:20:00+01:00", &["note", "call the printer"]).ok();
    place.write("pixel/continuity.md", "# Continuity\n\n## Now\n\nof the phone\n");
    at(&place, "pixel", "2026-11-21T08:30:00+01:00", &["commit"]).ok();
    at(&place, "mac", "2026-11-22T07:00:00+01:00", &["pull", "pixel"]).code(4);
    let told = at(&place, "mac", "2026-11-22T07:01:00+01:00", &["standup"]).json_lines();
    let phone = items(&told, "pixel");
    assert_eq!(texts(&phone)[0], "call the printer");
    assert_eq!((&phone[0]["waiting"], &phone[0]["arrived_late"]), (&true.into(), &true.into()), "{phone:?}");
    assert_eq!((&phone[1]["kind"], &phone[1]["waiting"]), (&"canonical".into(), &true.into()));
    let text = at(&place, "mac", "2026-11-22T07:02:00+01:00", &["standup"]).ok();
    assert!(text.contains("waits: not in this device's files yet"), "{text}");
    let later = at(&place, "mac", "2026-11-25T07:01:00+01:00", &["standup"]).json_lines();
    assert!(items(&later, "pixel").is_empty(), "{later:?}");
    at(&place, "mac", "2026-11-25T07:02:00+01:00", &["resolve", "continuity.md", "--take", "pixel"]).ok();
    let told = at(&place, "mac", "2026-11-25T07:03:00+01:00", &["standup"]).json_lines();
    assert_eq!(texts(&items(&told, "pixel"))[0], "call the printer");
}

#[test]
fn nothing_new_is_an_empty_listing() {
    let place = pair();
    let outcome = at(&place, "mac", "2026-11-22T07:00:00+01:00", &["--json", "standup"]).code(0);
    assert!(outcome.stdout.is_empty(), "{}", outcome.describe());
    let told = at(&place, "mac", "2026-11-22T07:00:00+01:00", &["standup"]).code(0);
    assert!(told.stderr().contains("no device added anything"), "{}", told.describe());
}
