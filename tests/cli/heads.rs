//! Heads that cannot be processed, heads that are set aside, and what a broken `vault.toml` may stop.

use crate::support::{Place, Run};

/// A vault on `mac` with one commit, and clones of it on `pixel` and `eve`.
fn three() -> Place {
    let place = Place::new();
    place.write("mac/continuity.md", "one\n");
    on(&place, "mac", &["init", "--device", "mac"]).ok();
    on(&place, "mac", &["commit", "-m", "first"]).ok();
    for device in ["pixel", "eve"] {
        place.mvault(["clone", "mac", device, "--device", device]).ok();
    }
    place
}

fn on(place: &Place, device: &str, args: &[&str]) -> Run {
    place.mvault(args).dir(device)
}

fn has(place: &Place, path: &str) -> bool {
    place.work().join(path).exists()
}

/// One head that no reconcile can process made pull, status, boot, conflicts and clone fail for good, and no command
/// took it away. It waits alone now, is named, and can be set aside.
#[test]
fn a_head_that_cannot_be_processed_stops_nobody_and_is_set_aside_by_name() {
    let place = three();
    place.write("eve/vault.toml", "reconcile = 2\n");
    on(&place, "eve", &["commit", "--allow", "invalid-rules:vault.toml"]).ok();
    place.write("pixel/note.md", "from the phone\n");
    on(&place, "pixel", &["commit"]).ok();
    let eve = on(&place, "mac", &["pull", "../eve", "--json"]).code(4).json();
    assert_eq!(eve["stuck"][0]["device"], "eve", "{eve}");
    on(&place, "mac", &["pull", "../pixel"]).code(4);
    assert!(has(&place, "mac/note.md"), "another device's work comes in");
    let status = on(&place, "mac", &["status"]).json();
    assert!(status["stuck"][0]["why"].as_str().is_some_and(|why| why.contains("merge rule 2")), "{status}");
    for command in [&["boot"][..], &["standup"], &["conflicts"], &["commit"]] {
        on(&place, "mac", command).code(0);
    }
    let head = status["stuck"][0]["head"].clone();
    let aside = on(&place, "mac", &["remote", "forget", "eve"]).json();
    assert_eq!((&aside["device"], &aside["set_aside"][0]), (&"eve".into(), &head));
    on(&place, "mac", &["reconcile"]).code(0);
    on(&place, "mac", &["pull", "../eve"]).code(0);
    assert_eq!(on(&place, "mac", &["status"]).json()["set_aside"][0], head, "arriving again changes nothing");
    // It is not offered on: a clone never sees it.
    place.mvault(["clone", "mac", "tab", "--device", "tab"]).code(0);
    on(&place, "tab", &["cat", head.as_str().expect("an id")]).code(1);
    on(&place, "mac", &["undo"]).ok();
    assert_eq!(on(&place, "mac", &["status"]).json()["stuck"][0]["head"], head);
    let without = on(&place, "mac", &["reconcile", "--without", "eve"]).json();
    assert_eq!((&without["device"], &without["set_aside"][0]), (&"eve".into(), &head));
    on(&place, "mac", &["reconcile", "--with", "eve"]).code(4);
    on(&place, "mac", &["reconcile", "--without", "nobody"]).code(1);
    // What the device corrects comes in by itself.
    on(&place, "mac", &["reconcile", "--without", "eve"]).ok();
    place.write("eve/vault.toml", "reconcile = 1\n");
    on(&place, "eve", &["commit"]).ok();
    on(&place, "mac", &["pull", "../eve"]).code(0);
    assert!(has(&place, "mac/vault.toml"));
}

/// While a conflict was open every `status` and `boot` merged everything again. The outcome is remembered; the file
/// that remembers it is a cache.
#[test]
fn what_a_fold_came_to_is_remembered_and_the_memory_can_be_lost() {
    let place = three();
    place.write("mac/continuity.md", "mac\n");
    place.write("pixel/continuity.md", "pixel\n");
    on(&place, "pixel", &["commit"]).ok();
    on(&place, "mac", &["commit"]).ok();
    on(&place, "mac", &["pull", "../pixel"]).code(4);
    let folds = "mac/.mvault/folds.jsonl";
    let shown = on(&place, "mac", &["conflicts"]).json_lines();
    let kept = place.read(folds);
    for garbled in
        [Vec::new(), b"nonsense\n".to_vec(), kept.iter().map(|byte| byte ^ 1).collect(), kept.clone()]
    {
        place.write(folds, garbled);
        assert_eq!(on(&place, "mac", &["conflicts"]).json_lines(), shown);
        assert_eq!(place.read(folds), kept);
    }
    std::fs::remove_file(place.work().join(folds)).expect("there");
    assert_eq!(on(&place, "mac", &["conflicts"]).json_lines(), shown);
    on(&place, "mac", &["resolve", "continuity.md", "--take", "pixel"]).ok();
    assert_eq!(place.read("mac/continuity.md"), b"pixel\n");
}

/// A typo in `vault.toml` was committed without a word, and from then on every change of the other device waited.
#[test]
fn a_broken_rules_file_is_refused_and_from_elsewhere_holds_nobodys_work() {
    let place = three();
    let broken = "[[path]]\nmatch = '*.md'\ndriver = 'markdown'\n";
    place.write("mac/vault.toml", broken);
    let refused = on(&place, "mac", &["commit"]).code(3);
    assert!(refused.stderr().contains("line 3"), "{}", refused.describe());
    on(&place, "mac", &["write", "vault.toml"]).stdin("[limit]\n").code(3);
    on(&place, "mac", &["commit", "--allow", "invalid-rules:vault.toml"]).ok();
    place.write("pixel/note.md", "from the phone\n");
    on(&place, "pixel", &["commit"]).ok();
    on(&place, "mac", &["pull", "../pixel"]).code(0);
    assert!(has(&place, "mac/note.md"));
    let told = on(&place, "pixel", &["pull", "../mac"]).code(0);
    assert!(told.stderr().contains("line 3"), "{}", told.describe());
    let status = on(&place, "pixel", &["status"]).json();
    assert!(status["rules_fault"].as_str().is_some_and(|fault| fault.contains("line 3")), "{status}");
    assert_eq!(place.read("pixel/vault.toml"), broken.as_bytes(), "what somebody meant stays");
}

/// What another device loosened came into force with any edit of the file here.
#[test]
fn an_edit_of_the_rules_does_not_accept_what_another_device_loosened() {
    let place = three();
    place.write("pixel/vault.toml", "[limits]\ndelete_files = 500\n");
    on(&place, "pixel", &["commit"]).ok();
    on(&place, "mac", &["pull", "../pixel"]).ok();
    place.write("mac/vault.toml", "# mine\n[limits]\ndelete_files = 500\n");
    let told = on(&place, "mac", &["commit"]).code(0).stderr();
    assert!(told.contains("delete_files goes from 20 to 500") && told.contains("--allow rules"), "{told}");
    on(&place, "mac", &["reconcile", "--allow", "rules"]).ok();
    place.write("mac/vault.toml", "# mine\n[limits]\ndelete_files = 501\n");
    let told = on(&place, "mac", &["commit"]).code(0).stderr();
    assert!(told.contains("loosens what is protected: limits.delete_files goes from 500 to 501"), "{told}");
}

/// Two names that some file systems take for one came together by a merge without a word.
#[test]
fn twins_that_come_by_merge_are_reported() {
    for (mine, theirs) in [("Readme.md", "README.md"), ("é.md", "e\u{301}.md"), ("Notes/a.md", "notes/b.md")]
    {
        let place = three();
        place.write(format!("mac/{mine}"), "mac\n");
        place.write(format!("pixel/{theirs}"), "pixel\n");
        on(&place, "mac", &["commit"]).ok();
        on(&place, "pixel", &["commit"]).ok();
        let told = on(&place, "mac", &["pull", "../pixel"]).json();
        assert_eq!(told["told"][0]["reason"], "name-collides", "{told}");
        assert_eq!(on(&place, "mac", &["rejections"]).json_lines()[0]["reason"], "name-collides");
        let status = on(&place, "mac", &["status"]).json();
        assert_eq!(status["twins"].as_array().map(Vec::len), Some(1), "{status}");
    }
}

/// Another device put `*` into `.mvaultignore`: from then on nothing new was committed here, without a word.
#[test]
fn ignore_rules_of_another_device_are_not_in_force_before_they_are_accepted() {
    let place = three();
    place.write("mac/.mvaultignore", "*.tmp\n");
    on(&place, "mac", &["commit"]).ok();
    on(&place, "pixel", &["pull", "../mac", "--allow", "rules"]).ok();
    place.write("pixel/sub/.mvaultignore", "new.*\n");
    on(&place, "pixel", &["commit"]).ok();
    place.write("pixel/.mvaultignore", "*.tmp\n*\n");
    on(&place, "pixel", &["commit"]).ok();
    let told = on(&place, "mac", &["pull", "../pixel"]).code(0).stderr();
    assert!(told.contains(".mvaultignore was changed by another device"), "{told}");
    place.write("mac/new.md", "important\n");
    place.write("mac/sub/new.md", "important\n");
    place.write("mac/a.tmp", "not this\n");
    let status = on(&place, "mac", &["status"]).json();
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(2), "{status}");
    assert_eq!(status["ignores_withheld"].as_array().map(Vec::len), Some(2), "{status}");
    // Only `status` said it, which agents rarely ask for.
    let boot = on(&place, "mac", &["boot"]).code(0).stdout();
    assert!(boot.contains("2 files of ignore rules not in force"), "{boot}");
    assert!(boot.contains("- sub/.mvaultignore\n"), "{boot}");
    on(&place, "mac", &["commit"]).ok();
    on(&place, "mac", &["write", "third.md"]).stdin("x\n").ok();
    on(&place, "mac", &["reconcile", "--allow", "rules"]).ok();
    place.write("mac/fourth.md", "hidden now\n");
    assert_eq!(on(&place, "mac", &["status"]).json()["changes"].as_array().map(Vec::len), Some(0));
    assert!(!on(&place, "mac", &["boot"]).code(0).stdout().contains("ignore rules"));
    // An edit here is an acceptance, and says so.
    place.write("pixel/.mvaultignore", "*.tmp\n*.bak\n");
    on(&place, "pixel", &["commit"]).ok();
    on(&place, "mac", &["pull", "../pixel"]).code(0);
    place.write("mac/.mvaultignore", "*.tmp\n*.bak\n*.old\n");
    assert!(on(&place, "mac", &["commit"]).code(0).stderr().contains("in force from now on"));
    assert_eq!(on(&place, "mac", &["status"]).json()["ignores_withheld"].as_array().map(Vec::len), Some(0));
}

/// Another device removed `.mvaultignore`: what it had kept out here, private files and keys, went into the next commit
/// and from there to every device.
#[test]
fn ignore_rules_that_another_device_removed_stay_in_force_until_that_is_accepted() {
    let place = three();
    place.write("mac/.mvaultignore", "private\n");
    place.write("mac/sub/.mvaultignore", "*.key\n");
    on(&place, "mac", &["commit"]).ok();
    on(&place, "pixel", &["pull", "../mac", "--allow", "rules"]).ok();
    place.write("pixel/private/diary.md", "mine\n");
    place.write("pixel/sub/x.key", "mine\n");
    std::fs::remove_file(place.work().join("mac/.mvaultignore")).expect("it is there");
    std::fs::remove_file(place.work().join("mac/sub/.mvaultignore")).expect("it is there");
    place.write("mac/sub/page.md", "a page\n");
    on(&place, "mac", &["commit"]).ok();
    let told = on(&place, "pixel", &["pull", "../mac"]).code(0).stderr();
    assert!(told.contains("sub/.mvaultignore was changed by another device"), "{told}");
    let status = || on(&place, "pixel", &["status"]).json();
    assert_eq!(status()["ignores_withheld"].as_array().map(Vec::len), Some(2), "{}", status());
    assert_eq!(status()["changes"].as_array().map(Vec::len), Some(0), "{}", status());
    place.write("pixel/sub/other.md", "a page\n");
    on(&place, "pixel", &["commit"]).ok();
    assert_eq!(on(&place, "pixel", &["show", "HEAD:sub/x.key"]).run().code, Some(1));
    // Back as it was: nothing is withheld any more.
    place.write("mac/.mvaultignore", "private\n");
    on(&place, "mac", &["commit"]).ok();
    on(&place, "pixel", &["pull", "../mac"]).code(0);
    assert_eq!(status()["ignores_withheld"].as_array().map(Vec::len), Some(1), "{}", status());
    on(&place, "pixel", &["reconcile", "--allow", "rules"]).ok();
    assert_eq!(status()["ignores_withheld"].as_array().map(Vec::len), Some(0), "{}", status());
    assert_eq!(status()["changes"].as_array().map(Vec::len), Some(1), "{}", status());
}
