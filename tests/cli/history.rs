//! `log`, `show`, `diff` and `audit` on one device.

use snapbox::{assert_data_eq, str};

use crate::support::{Place, history};

/// A vault with three commits: two files, an edit with a rename, a link with a mode.
fn vault() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).env("USER", "paul").ok();
    place.write("a.md", "one\ntwo\nthree\n");
    place.write("notes/n.md", "a note of some length\nand another line\n");
    commit(&place, "first");
    place.write("a.md", "one\n2\nthree\n");
    std::fs::rename(place.work().join("notes/n.md"), place.work().join("notes/m.md")).expect("renamed");
    commit(&place, "second");
    std::os::unix::fs::symlink("a.md", place.work().join("link")).expect("a link");
    commit(&place, "third");
    place
}

fn commit(place: &Place, message: &str) {
    place.mvault(["commit", "-m", message]).env("USER", "paul").ok();
}

#[test]
fn log_is_newest_first_and_hides_the_root() {
    let place = vault();
    let titles = |args: &[&str]| -> Vec<String> {
        let lines = place.mvault(["log"].iter().chain(args)).json_lines();
        lines.iter().map(|line| line["message"].as_str().expect("text").trim().to_owned()).collect()
    };
    assert_eq!(titles(&[]), ["third", "second", "first"]);
    assert_eq!(titles(&["-n", "1"]), ["third"]);
    assert_eq!(titles(&["HEAD~1"]), ["second", "first"]);
    // A letter that is not ASCII behind a step ended the program.
    for revision in ["HEAD~1é", "HEAD~é", "HEAD^é~1", "é~1é", "HEAD~1\u{200b}"] {
        let run = place.mvault(["log", revision]).code(1);
        assert!(run.stderr().contains("hint:"), "{revision}");
    }
    assert_eq!(titles(&["--all"]), ["third", "second", "first", "vault made on mac"]);
    assert_eq!(titles(&["--", "a.md"]), ["second", "first"]);
    assert_eq!(titles(&["--", "notes"]), ["second", "first"]);
    assert_eq!(titles(&["--", "link"]), ["third"]);
    assert_eq!(titles(&["--", "."]), ["third", "second", "first"]);
    assert_eq!(titles(&["--device", "pixel"]), [] as [&str; 0]);
    assert_eq!(titles(&["--since", "2026-11-22T06:03:00+01:00"]), ["third"]);
    place.mvault(["log", "--since", "whenever"]).code(2);
    let newest = &place.mvault(["log"]).json_lines()[0];
    assert_eq!(newest["device"], "mac");
    assert_eq!(newest["author"], "paul");
    assert_eq!(newest["derived"], false);
    assert_eq!(newest["at"], "2026-11-22T06:03:00+01:00");
    assert_eq!(newest["lamport"], 4);
    assert_eq!(newest["parents"].as_array().expect("a list").len(), 1);
}

/// Long histories are read ahead in blocks by all cores; a collection turns the order round in which trees lie.
#[test]
fn a_long_history_is_told_alike_by_one_thread_and_by_many_before_and_after_a_collection() {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    history::lengthen(&place.work(), 2000);
    let titles = |args: &[&str]| -> Vec<String> {
        let run = |threads: &str| {
            let mut run = place.mvault(["log", "--oneline"].iter().chain(args));
            if threads == "one" {
                run = run.env("MVAULT_TEST_ONE_THREAD", "1");
            }
            run.ok()
        };
        let told = run("many");
        assert_eq!(told, run("one"));
        told.lines().map(|line| line.split_once("change").expect("a title").1.trim().to_owned()).collect()
    };
    let expected = |is_told: &dyn Fn(usize) -> bool| -> Vec<String> {
        (0..2000).rev().filter(|n| is_told(*n)).map(|n| format!("{n} of note {}", n % 7)).collect()
    };
    for is_collected in [false, true] {
        if is_collected {
            place.mvault(["gc"]).ok();
        }
        assert_eq!(titles(&[]), expected(&|_| true));
        assert_eq!(titles(&["--", "notes/deep/03.md"]), expected(&|n| n % 7 == 3));
        let both = ["--", "notes/deep/03.md", "notes/deep/05.md", "notes/none", "notes/deep/03.md/none"];
        assert_eq!(titles(&both), expected(&|n| n % 7 == 3 || n % 7 == 5));
        assert_eq!(titles(&["-n", "2", "--", "notes"]), expected(&|n| n > 1997));
        assert_eq!(titles(&["--", "notes/none"]), [] as [&str; 0]);
    }
}

#[test]
fn a_commit_is_told_in_words_with_what_it_changed() {
    let place = vault();
    let told = place.mvault(["show", "HEAD~1"]).ok();
    assert_data_eq!(
        told,
        str![[r#"
commit 176fa46d9f6c321ff064500d1eb288a0c17c93cc6d2d3fbf5a122a8c901b6978
Author:  paul on mac
Date:    2026-11-22 06:02:00 +0100 (2 minutes ago)
Lamport: 3

    second

diff --git a/a.md b/a.md
index c5df06a7d3510bf59e7cd9ac36db54a7c0b3eb45141eab0d9da7f66c50f96e77..0cc11ee97ac2d64d6177d6f4e2fa6da0460690c278563b90dd569172a51a65ed 100644
--- a/a.md
+++ b/a.md
@@ -1,3 +1,3 @@
 one
-two
+2
 three
diff --git a/notes/n.md b/notes/m.md
similarity index 100%
rename from notes/n.md
rename to notes/m.md

"#]]
    );
}

#[test]
fn the_graph_of_one_device_is_a_line() {
    let place = vault();
    let lines = place.mvault(["log", "--graph", "--oneline"]).ok();
    let titles: Vec<_> = lines.lines().map(|line| line.split_at(12)).collect();
    assert_eq!(titles.iter().map(|(node, _)| &node[..2]).collect::<Vec<_>>(), ["* ", "* ", "* "]);
    assert_eq!(titles[0].1, " (HEAD -> main) third");
    let filtered = place.mvault(["log", "--graph", "--oneline", "--", "a.md"]).ok();
    assert_eq!(filtered.lines().count(), 2);
}

#[test]
fn show_gives_a_file_verbatim_and_a_folder_by_name() {
    let place = vault();
    place.write("bytes", b"\x00\xff\r\n");
    commit(&place, "bytes");
    assert_eq!(place.mvault(["show", "HEAD:bytes"]).code(0).stdout, b"\x00\xff\r\n");
    assert_eq!(place.mvault(["show", "HEAD~3:a.md"]).ok(), "one\ntwo\nthree\n");
    assert_eq!(place.mvault(["show", "HEAD:"]).ok(), "a.md\nbytes\nlink\nnotes/\n");
    assert_eq!(place.mvault(["show", "HEAD:notes/"]).ok(), "m.md\n");
    assert_eq!(place.mvault(["show", "HEAD:link"]).ok(), "a.md");
    assert_eq!(place.mvault(["show", "HEAD:bytes"]).json()["content_bytes"], "AP8NCg==");
    let outcome = place.mvault(["show", "HEAD:nowhere"]).code(1);
    assert!(outcome.stderr().contains("nowhere is not in"), "{}", outcome.describe());
    let error = place.mvault(["show", "nothing", "--json"]).code(1).error();
    assert_eq!(error["kind"], "not_found");
}

#[test]
fn git_applies_what_diff_prints_and_arrives_at_the_files_on_disk() {
    let place = vault();
    place.write("a.md", "one\n2\nthree\nfour");
    place.write("new file.md", "new\n");
    std::fs::remove_file(place.work().join("link")).expect("removed");
    let patch = place.mvault(["diff", "HEAD~2"]).ok();
    std::fs::write(place.root().join("patch"), &patch).expect("a file");
    let elsewhere = place.root().join("elsewhere");
    std::fs::create_dir_all(elsewhere.join("notes")).expect("folders");
    for path in ["a.md", "notes/n.md"] {
        let old = place.mvault(["show", &format!("HEAD~2:{path}")]).code(0).stdout;
        std::fs::write(elsewhere.join(path), old).expect("a file");
    }
    place.git(["apply", "../patch"]).dir(&elsewhere).ok();
    for path in ["a.md", "notes/m.md", "new file.md"] {
        assert_eq!(std::fs::read(elsewhere.join(path)).expect("patched"), place.read(path), "{path}");
    }
    assert!(!elsewhere.join("notes/n.md").exists());
    assert!(!elsewhere.join("link").exists());
}

#[test]
fn diff_is_counted_and_told_as_json() {
    let place = vault();
    place.write("a.md", "one\n2\nthree\nfour\nfive\n");
    place.write("blob", b"\0");
    assert_data_eq!(
        place.mvault(["diff", "--stat"]).ok(),
        str![[r#"
 a.md | 2 ++
 blob | binary
 2 files changed, 2 added, 0 removed

"#]]
    );
    let json = place.mvault(["diff"]).json();
    let change = &json["changes"][0];
    assert_eq!(change["path"], "a.md");
    assert_eq!(change["status"], "modified");
    assert_eq!((&change["added"], &change["removed"]), (&2.into(), &0.into()));
    assert_eq!(json["changes"][1]["added"], serde_json::Value::Null);
    let between = place.mvault(["diff", "HEAD~2", "HEAD", "--", "notes"]).json();
    assert_eq!(between["changes"].as_array().expect("a list").len(), 1);
    assert_eq!(between["changes"][0]["status"], "renamed");
    assert_eq!(between["changes"][0]["old_path"], "notes/n.md");
    assert_eq!(place.mvault(["diff", "HEAD", "HEAD"]).json()["changes"], serde_json::json!([]));
    assert_eq!(place.mvault(["diff", "HEAD", "HEAD"]).ok(), "");
}

#[test]
fn a_file_that_was_moved_and_edited_is_one_rename() {
    let place = vault();
    std::fs::rename(place.work().join("notes/m.md"), place.work().join("moved.md")).expect("renamed");
    place.write("moved.md", "a note of some length\nand another line\nand a third\n");
    let json = place.mvault(["diff"]).json();
    assert_eq!(json["changes"].as_array().expect("a list").len(), 1);
    assert_eq!(json["changes"][0]["status"], "renamed");
    assert_eq!(json["changes"][0]["added"], 1);
}

#[test]
fn audit_tells_every_operation_and_its_chain() {
    let place = vault();
    let operations = place.mvault(["audit"]).json_lines();
    let names: Vec<_> = operations.iter().map(|op| op["op"].as_str().expect("text")).collect();
    assert_eq!(names, ["commit", "commit", "commit", "init"]);
    for pair in operations.windows(2) {
        assert_eq!(pair[0]["prev"], pair[1]["hash"]);
    }
    assert!(!operations[0]["args"].to_string().contains("third"), "messages stay out of the log");
    assert_eq!(operations[0]["refs"][0]["name"], "heads/main");
    assert_eq!(place.mvault(["audit", "-n", "2"]).json_lines().len(), 2);
    let verified = place.mvault(["audit", "--verify"]).json();
    assert_eq!(verified["operations"], 4);
    assert_eq!(verified["problems"], serde_json::json!([]));
    let told = place.mvault(["audit", "-n", "1"]).ok();
    assert!(told.starts_with("op:4 2026-11-22T06:03:00+01:00  commit  paul on mac\n"), "{told}");
}

#[test]
fn a_changed_line_of_the_log_is_damage() {
    let place = vault();
    let folder = place.work().join(".mvault/oplog");
    let segment = std::fs::read_dir(&folder).expect("a folder").next().expect("one").expect("read").path();
    let text = std::fs::read_to_string(&segment).expect("text");
    std::fs::write(&segment, text.replacen("paul", "mary", 1)).expect("written");
    place.mvault(["audit", "--verify"]).code(5);
}

#[test]
fn a_closed_pipe_ends_log_quietly() {
    let place = vault();
    let script = format!("{} log -p | head -n 1", crate::support::MVAULT);
    let outcome = place.program("sh", ["-c", &script]).code(0);
    assert_eq!(outcome.stderr(), "");
}

#[test]
fn the_graph_of_two_devices_parts_and_meets() {
    let place = vault();
    let pixel = place.work().join("../pixel");
    let there = |args: &[&str]| place.mvault(args).dir(&pixel);
    place.mvault(["clone", ".", "../pixel", "--device", "pixel"]).ok();
    place.write("here.md", "here\n");
    commit(&place, "on the mac");
    std::fs::write(pixel.join("there.md"), "there\n").expect("a file");
    there(&["commit", "-m", "on the pixel"]).ok();
    there(&["sync"]).ok();
    let here = place.mvault(["log", "--graph", "--oneline", "-n", "4"]).ok();
    let lines: Vec<_> =
        here.lines().map(|line| line.split_once(char::is_alphanumeric).map_or(line, |l| l.0)).collect();
    let titles: Vec<_> = here.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(lines[1], "|-\\", "{here}");
    assert_eq!(lines[4], "|-/", "{here}");
    assert_eq!(titles.iter().filter(|title| ["mac", "pixel"].contains(title)).count(), 2, "{here}");
    let told = place.mvault(["log"]).json_lines();
    assert_eq!(told[0]["derived"], true, "the head is told even if reconcile made it");
    assert_eq!(told[0]["device"], serde_json::Value::Null);
    let derived = told.iter().filter(|line| line["derived"] == true).count();
    assert_eq!((told.len(), derived), (6, 1));
    let by_pixel = place.mvault(["log", "--device", "pixel"]).json_lines();
    assert_eq!(by_pixel.len(), 1);
    assert_eq!(by_pixel[0]["message"], "on the pixel\n");
    assert_eq!(there(&["log"]).json_lines(), told, "both devices tell the same history");
}
