//! Each reason for which a commit leaves a file out: what triggers it, what stands right beside it and does
//! not, what is said, what is kept, and how it is let through.

use std::os::unix::fs::symlink;
use std::path::Path;

use snapbox::{IntoData, assert_data_eq, data::Inline, str};

use super::{allowed, assert_not_told, committed, head, reasons, rejections, remove, secret, sha256, vault};
use crate::support::Place;

const SEALED: &str = "distillates/a.md";

/// One reason, at one path.
struct Case {
    code: &'static str,
    path: &'static str,
    /// The last good version; none for a new file.
    good: Option<Vec<u8>>,
    /// What is refused.
    bad: Vec<u8>,
    /// What is taken instead.
    beside: Vec<u8>,
    /// Further rules of the vault.
    rules: &'static str,
}

impl Case {
    fn new(code: &'static str, path: &'static str, good: &str, bad: impl Into<Vec<u8>>) -> Case {
        let beside = [good.as_bytes(), b"{\"more\":1}\n"].concat();
        Case { code, path, good: Some(good.into()), bad: bad.into(), beside, rules: "" }
    }

    fn added(code: &'static str, path: &'static str, bad: impl Into<Vec<u8>>) -> Case {
        Case { code, path, good: None, bad: bad.into(), beside: b"harmless\n".to_vec(), rules: "" }
    }

    fn beside(self, bytes: impl Into<Vec<u8>>) -> Case {
        Case { beside: bytes.into(), ..self }
    }

    fn rules(self, rules: &'static str) -> Case {
        Case { rules, ..self }
    }

    /// A vault in which the last good version is committed.
    fn place(&self, rules: &str) -> Place {
        let place = vault();
        let rules = format!("{}{rules}", self.rules);
        if !rules.is_empty() {
            place.write("vault.toml", rules);
        }
        if let Some(good) = &self.good {
            place.write(self.path, good);
        }
        place.mvault(["commit", "-m", "as it was"]).ok();
        place
    }

    #[track_caller]
    fn check(&self, said: Inline) {
        self.is_refused_and_kept(said);
        self.lets_the_neighbour_in();
        self.is_let_through_once();
        self.is_let_through_for_good();
        self.stops_a_strict_commit();
    }

    #[track_caller]
    fn is_refused_and_kept(&self, said: Inline) {
        let place = self.place("");
        place.write(self.path, &self.bad);
        place.write("other.md", "another file\n");
        let outcome = place.mvault(["commit", "--session", "s1"]).code(3);
        let id = &sha256(&self.bad)[..10];
        assert_data_eq!(outcome.stderr(), said.raw());
        assert_eq!(committed(&place, "other.md").as_deref(), Some(&b"another file\n"[..]));
        assert_eq!(committed(&place, self.path), self.good, "the head keeps the last good version");
        assert_eq!(place.read(self.path), self.bad, "the file stays as it is");
        let kept = !self.bad.is_empty() && self.code != "too-large";
        if kept {
            assert_eq!(place.read(format!(".mvault/quarantine/{}", sha256(&self.bad))), self.bad);
            assert_eq!(place.mvault(["quarantine", "show", id]).code(0).stdout, self.bad);
            let listed = place.mvault(["quarantine", "list"]).json_lines();
            assert_eq!(listed.len(), 1, "{listed:?}");
            assert_eq!(listed[0]["rejections"][0]["reason"], self.code);
        }
        let told = place.mvault(["commit", "--session", "s1", "--json"]).code(3).json();
        assert!(told["id"].is_null(), "{told}");
        assert_eq!(reasons(&told, "rejected"), [format!("{} {}", self.code, self.path)]);
        let lines = rejections(&place, ".", "s1");
        assert_eq!(lines.len(), 1, "once, however often it is met: {lines:?}");
        for one in [&lines[0], &told["rejected"][0]] {
            assert_eq!(one["path"], self.path);
            assert_eq!(one["reason"], self.code);
            assert_eq!(one["quarantined"], kept);
            assert!(one["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{one}");
            if self.code != "too-large" {
                assert_eq!(one["size"], self.bad.len());
                assert_eq!(one["sha256"], sha256(&self.bad));
            }
        }
        assert_eq!(lines[0]["session"], "s1");
        assert!(lines[0]["at"].as_str().is_some_and(|at| at.starts_with("2026-11-22T")), "{lines:?}");
        let status = place.mvault(["status"]).json();
        if self.code != "too-large" {
            assert_eq!(status["changes"][0]["refused"], true, "{status}");
        }
        place.mvault(["verify"]).ok();
    }

    #[track_caller]
    fn lets_the_neighbour_in(&self) {
        let place = self.place("");
        place.write(self.path, &self.beside);
        place.mvault(["commit"]).code(if self.is_about_the_name() { 3 } else { 0 });
        if !self.is_about_the_name() {
            assert_eq!(committed(&place, self.path).as_ref(), Some(&self.beside));
        }
    }

    fn is_about_the_name(&self) -> bool {
        matches!(self.code, "name-not-portable" | "obeyed-file")
    }

    #[track_caller]
    fn is_let_through_once(&self) {
        let place = self.place("");
        place.write(self.path, &self.bad);
        let allow = format!("{}:{}", self.code, self.path);
        place.mvault(["commit", "--allow", &format!("{}:elsewhere", self.code)]).code(3);
        place.mvault(["commit", "--allow", &allow]).code(0);
        assert_eq!(committed(&place, self.path).as_ref(), Some(&self.bad));
        assert_eq!(allowed(&place, ".", "commit"), [allow]);
        place.mvault(["verify"]).ok();
        place.mvault(["commit"]).code(0);
    }

    #[track_caller]
    fn is_let_through_for_good(&self) {
        let rules = format!("\n[[path]]\nmatch = '/{}'\nallow = ['{}']\n", self.path, self.code);
        let place = self.place(&rules);
        place.write(self.path, &self.bad);
        place.mvault(["commit"]).code(0);
        assert_eq!(committed(&place, self.path).as_ref(), Some(&self.bad));
        assert!(allowed(&place, ".", "commit").is_empty(), "nobody was asked");
    }

    #[track_caller]
    fn stops_a_strict_commit(&self) {
        let place = self.place("");
        let before = head(&place);
        place.write(self.path, &self.bad);
        place.write("other.md", "another file\n");
        let outcome = place.mvault(["commit", "--strict"]).code(1);
        assert!(outcome.stderr().contains("--strict"), "{}", outcome.describe());
        assert_eq!(head(&place), before);
        assert_eq!(place.read(self.path), self.bad);
    }
}

#[test]
fn emptied() {
    Case::new("emptied", "notes/b.md", "words\n", "").check(str![[r#"
warning: notes/b.md was left out: it had content and is empty or gone
  `mvault repair notes/b.md` brings it back; if it is meant, `mvault commit --allow emptied:notes/b.md` takes it

"#]]);
}

#[test]
fn nul_filled() {
    Case::new("nul-filled", "continuity.md", "# Continuity\n", [0; 13]).check(str![[r#"
warning: continuity.md was left out: it is filled with zero bytes
  `mvault repair continuity.md` brings it back; if it is meant, `mvault commit --allow nul-filled:continuity.md` takes it

"#]]);
}

#[test]
fn nul_filled_at_the_end_of_what_was_text() {
    let bad = [&b"# Continuity\n"[..], &[0; 4096]].concat();
    let case = Case::new("nul-filled", "continuity.md", "# Continuity\n", bad);
    // Three zero bytes are no trace of a crash.
    case.beside(&b"# Continuity\n\0\0\0"[..]).check(str![[r#"
warning: continuity.md was left out: it is filled with zero bytes
  `mvault repair continuity.md` brings it back; if it is meant, `mvault commit --allow nul-filled:continuity.md` takes it

"#]]);
}

#[test]
fn stream_rewritten() {
    let good = "{\"n\":1}\n{\"n\":2}\n";
    Case::new("stream-rewritten", "events/day.jsonl", good, "{\"n\":1}\n{\"n\":3}\n").check(str![[r#"
warning: events/day.jsonl was left out: the stream lost or rewrote lines it had: 1 lines are lost, the first is line 2
  streams only grow: `mvault checkout main -- events/day.jsonl` brings the lines back; if it is meant, `mvault commit --allow stream-rewritten:events/day.jsonl` takes it

"#]]);
}

#[test]
fn stream_rewritten_in_its_order() {
    let good = "{\"n\":1}\n{\"n\":2}\n";
    let case = Case::new("stream-rewritten", "events/day.jsonl", good, "{\"n\":2}\n{\"n\":1}\n");
    case.beside("{ \"n\": 1 }\r\n{\"n\":2}\r\n").check(str![[r#"
warning: events/day.jsonl was left out: the stream lost or rewrote lines it had: line 2 was moved
  streams only grow: `mvault checkout main -- events/day.jsonl` brings the lines back; if it is meant, `mvault commit --allow stream-rewritten:events/day.jsonl` takes it

"#]]);
}

#[test]
fn not_utf8() {
    let case = Case::new("not-utf8", "continuity.md", "# Continuity\n", &b"# Continuity\n\xff\n"[..]);
    case.beside("# Continuity \u{fffd}\n").check(str![[r#"
warning: continuity.md was left out: it is not UTF-8
  mend the file; if it is meant, `mvault commit --allow not-utf8:continuity.md` takes it

"#]]);
}

#[test]
fn not_json() {
    let rules = "[[path]]\nmatch = '/state/*.json'\nsyntax = 'json'\n";
    let case = Case::new("not-json", "state/now.json", "{\"a\":1}\n", "{\"a\":1,\n \"b\":}\n");
    case.beside("{\"a\":1,\n \"b\":2}\n").rules(rules).check(str![[r#"
warning: state/now.json was left out: it is not JSON
  mend the file; if it is meant, `mvault commit --allow not-json:state/now.json` takes it

"#]]);
}

#[test]
fn conflict_markers() {
    let bad = "# Continuity\n<<<<<<< mac\none\n=======\ntwo\n>>>>>>> pixel\n";
    let case = Case::new("conflict-markers", "continuity.md", "# Continuity\n", bad);
    case.beside("Title\n=======\n\n> <<<<<<< quoted\n\n>>>>>>> and no set\n").check(str![[r#"
warning: continuity.md was left out: it holds the conflict markers of a merge
  mend the file; if it is meant, `mvault commit --allow conflict-markers:continuity.md` takes it

"#]]);
}

#[test]
fn a_secret() {
    let bad = format!("our key is {}\n", secret());
    let case = Case::new("secret", "notes/b.md", "words\n", bad);
    case.beside(format!("our key is not {}\n", &secret()[..12])).check(str![[r#"
warning: notes/b.md was left out: it holds what looks like a credential: an AWS access key
  take it out of the file; if it is none, `mvault commit --allow secret:notes/b.md` takes it

"#]]);
}

#[test]
fn a_secret_in_a_new_file() {
    Case::added("secret", "notes/new.md", format!("our key is {}\n", secret())).check(str![[r#"
warning: notes/new.md was left out: it holds what looks like a credential: an AWS access key
  take it out of the file; if it is none, `mvault commit --allow secret:notes/new.md` takes it

"#]]);
}

#[test]
fn sealed() {
    let place = vault();
    place.write(SEALED, "a distillate\n");
    place.mvault(["commit"]).ok();
    place.write(SEALED, "a distillate, edited\n");
    let outcome = place.mvault(["commit", "--session", "s1"]).code(3);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
warning: distillates/a.md was left out: it is sealed and has changed
  `mvault seal distillates/a.md` keeps the new content under a new seal
nothing to commit

"#]]
    );
    assert_eq!(committed(&place, SEALED).as_deref(), Some(&b"a distillate\n"[..]));
    assert_eq!(place.read(SEALED), b"a distillate, edited\n");
    let id = sha256("a distillate, edited\n");
    assert_eq!(place.read(format!(".mvault/quarantine/{id}")), b"a distillate, edited\n");
    let line = &rejections(&place, ".", "s1")[0];
    assert_eq!((line["reason"].as_str(), line["sha256"].as_str()), (Some("sealed"), Some(&*id)));
    place.mvault(["commit", "--strict"]).code(1);
    place.mvault(["commit", "--allow", "sealed:distillates/a.md"]).code(0);
    assert_eq!(allowed(&place, ".", "commit"), ["sealed:distillates/a.md"]);
    assert_eq!(committed(&place, SEALED).as_deref(), Some(&b"a distillate, edited\n"[..]));
    super::assert_seals_hold(&place, ".");
    place.write("vault.toml", "[[path]]\nmatch = '/distillates/a.md'\nallow = ['sealed']\n");
    place.mvault(["commit"]).ok();
    place.write(SEALED, "a distillate, edited for good\n");
    place.mvault(["commit"]).code(0);
    super::assert_seals_hold(&place, ".");
}

#[test]
fn too_large_by_its_length_alone() {
    let place = vault();
    place.write("vault.toml", "[limits]\nfile_mib = 1\n");
    place.write("big.bin", vec![b'x'; 1 << 20]);
    place.mvault(["commit"]).code(0);
    place.write("big.bin", vec![b'x'; (1 << 20) + 1]);
    let outcome = place.mvault(["commit", "--session", "s1"]).code(3);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
warning: big.bin was left out: it is larger than the limit: the limit is 1 MiB
  once, `mvault commit --allow too-large:big.bin` takes it, or raise limits.file_mib in vault.toml
nothing to commit

"#]]
    );
    assert_eq!(committed(&place, "big.bin").map(|bytes| bytes.len()), Some(1 << 20));
    let line = &rejections(&place, ".", "s1")[0];
    assert_eq!((line["reason"].as_str(), line["size"].as_u64()), (Some("too-large"), Some((1 << 20) + 1)));
    assert_eq!(line["quarantined"], false);
    place.mvault(["commit", "--strict"]).code(1);
    place.mvault(["commit", "--allow", "too-large:big.bin"]).code(0);
    assert_eq!(allowed(&place, ".", "commit"), ["too-large:big.bin"]);
    assert_eq!(committed(&place, "big.bin").map(|bytes| bytes.len()), Some((1 << 20) + 1));
}

#[test]
fn name_not_portable() {
    Case::added("name-not-portable", "notes/a:b.md", "x\n").check(str![[r#"
warning: notes/a:b.md was left out: other systems cannot write its name
  rename it; if all your devices can hold it, `mvault commit --allow name-not-portable:notes/a:b.md` takes it

"#]]);
    for path in ["aux", "notes/CON.txt", "ends.", "blank ", "back\\slash"] {
        let place = vault();
        place.write(path, "x\n");
        let told = place.mvault(["commit", "--json"]).code(3).json();
        assert_eq!(reasons(&told, "rejected"), [format!("name-not-portable {path}")]);
    }
    let place = vault();
    for path in ["auxiliary", "console.txt", ".dot", "a b", "-dash", "Zoë.md", "日本語.md"] {
        place.write(path, "x\n");
    }
    place.mvault(["commit"]).code(0);
}

#[test]
fn name_collides() {
    let place = vault();
    for (other, path) in
        [("notes/A.md", "notes/a.md"), ("Zo\u{eb}.md", "Zoe\u{308}.md"), ("NOTES/x", "notes/x")]
    {
        place.write(other, "differs\n");
        place.write(path, "an edit, if it is there already\n");
    }
    let outcome = place.mvault(["commit", "--session", "s1"]).code(3);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
warning: NOTES/x was left out: some file systems take its name for another one here: notes differs from it only in form
  rename it; if all your devices can hold it, `mvault commit --allow name-collides:NOTES/x` takes it
warning: Zoë.md was left out: some file systems take its name for another one here: Zoë.md differs from it only in form
  rename it; if all your devices can hold it, `mvault commit --allow 'name-collides:Zoë.md'` takes it
warning: notes/A.md was left out: some file systems take its name for another one here: notes/a.md differs from it only in form
  rename it; if all your devices can hold it, `mvault commit --allow name-collides:notes/A.md` takes it

"#]]
    );
    let told = place.mvault(["commit", "--json"]).code(3).json();
    assert_eq!(told["rejected"].as_array().map(Vec::len), Some(3), "{told}");
    assert_eq!(committed(&place, "notes/A.md"), None);
    assert_eq!(place.read("notes/A.md"), b"differs\n");
    place.mvault(["commit", "--strict"]).code(1);
    place.mvault(["commit", "--allow", "name-collides"]).code(0);
    assert_eq!(allowed(&place, ".", "commit").len(), 3);
    assert_eq!(committed(&place, "notes/A.md").as_deref(), Some(&b"differs\n"[..]));
}

#[test]
fn a_file_renamed_to_another_case_collides_with_nothing() {
    let place = vault();
    std::fs::rename(place.work().join("notes/a.md"), place.work().join("notes/A.md")).expect("renamed");
    place.mvault(["commit"]).code(0);
    assert_eq!(committed(&place, "notes/a.md"), None);
    assert!(committed(&place, "notes/A.md").is_some());
}

#[test]
fn link_outside() {
    let place = vault();
    let link = |target: &str, path: &str| symlink(target, place.work().join(path)).expect("a link");
    link("/etc/passwd", "notes/absolute");
    link("../../elsewhere", "notes/above");
    link("../.mvault/config.toml", "notes/own");
    link("a.md", "notes/beside");
    link("../notes/nowhere", "notes/dangling");
    let outcome = place.mvault(["commit", "--session", "s1"]).code(3);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
warning: notes/above was left out: the link leads out of the vault
  keep the file itself; if it is meant, `mvault commit --allow link-outside:notes/above` takes it
warning: notes/absolute was left out: the link leads out of the vault
  keep the file itself; if it is meant, `mvault commit --allow link-outside:notes/absolute` takes it
warning: notes/own was left out: the link leads out of the vault
  keep the file itself; if it is meant, `mvault commit --allow link-outside:notes/own` takes it

"#]]
    );
    let told = place.mvault(["commit", "--json"]).code(3).json();
    let expected = ["above", "absolute", "own"].map(|name| format!("link-outside notes/{name}"));
    assert_eq!(reasons(&told, "rejected"), expected);
    assert!(committed(&place, "notes/dangling").is_some() && committed(&place, "notes/above").is_none());
    assert_eq!(
        std::fs::read_link(place.work().join("notes/above")).ok().as_deref(),
        Some(Path::new("../../elsewhere"))
    );
    place.mvault(["commit", "--strict"]).code(1);
    place.mvault(["commit", "--allow", "link-outside:notes/above"]).code(3);
    assert_eq!(allowed(&place, ".", "commit"), ["link-outside:notes/above"]);
    place.write("vault.toml", "[[path]]\nmatch = '/notes/*'\nallow = ['link-outside']\n");
    place.mvault(["commit", "vault.toml"]).ok();
    place.mvault(["commit"]).code(0);
}

#[test]
fn obeyed_file() {
    Case::added("obeyed-file", "sub/.envrc", "echo hello\n").check(str![[r#"
warning: sub/.envrc was left out: programs run or obey what is in it: shells: `echo hello`
  if you know what it does, `mvault commit --allow obeyed-file:sub/.envrc` takes it

"#]]);
    let place = vault();
    for path in [".claude/notes.md", "settings.json", "notes/envrc", ".vscode/words.txt"] {
        place.write(path, "{}\n");
    }
    place.mvault(["commit"]).code(0);
}

#[test]
fn an_obeyed_file_that_is_there_already_is_asked_about_when_what_runs_changes() {
    let place = vault();
    place.write(".envrc", "echo one\n");
    place.mvault(["commit", "--allow", "obeyed-file"]).ok();
    place.write(".envrc", "echo two\n");
    place.mvault(["commit"]).code(3);
    place.write(".envrc", "echo one\n");
    place.mvault(["commit"]).code(0);
}

/// A vault of so many files.
fn vault_of(files: usize) -> Place {
    let place = vault();
    for number in 2..files {
        place.write(format!("many/{number}.md"), format!("file {number}\n"));
    }
    place.mvault(["commit"]).ok();
    place
}

#[test]
fn mass_delete() {
    let place = vault_of(40);
    let before = head(&place);
    for number in 2..23 {
        remove(&place, format!("many/{number}.md"));
    }
    let outcome = place.mvault(["commit", "--session", "s1"]).code(3);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
warning: . stays as it was in the vault: a large part of the vault is gone at once: 21 of 40 files
  `mvault checkout main -- PATH` brings files back; if it is meant, `mvault commit --allow mass-delete`
nothing to commit

"#]]
    );
    assert_eq!(head(&place), before);
    let told = place.mvault(["commit", "--json"]).code(3).json();
    assert!(told["id"].is_null(), "{told}");
    assert_eq!(reasons(&told, "rejected"), ["mass-delete ."]);
    assert_eq!(rejections(&place, ".", "s1").len(), 1);
    place.mvault(["commit", "--strict"]).code(1);
    place.mvault(["commit", "--allow", "mass-delete"]).code(0);
    assert_eq!(committed(&place, "many/2.md"), None);
    assert_eq!(allowed(&place, ".", "commit"), ["mass-delete"]);
}

#[test]
fn twenty_files_or_half_of_them_are_no_mass_delete() {
    let place = vault_of(30);
    for number in 2..22 {
        remove(&place, format!("many/{number}.md"));
    }
    place.mvault(["commit"]).code(0);
    let place = vault_of(60);
    for number in 2..32 {
        remove(&place, format!("many/{number}.md"));
    }
    place.mvault(["commit"]).code(0);
}

#[test]
fn a_folder_that_was_renamed_is_no_mass_delete() {
    let place = vault_of(40);
    std::fs::rename(place.work().join("many"), place.work().join("moved")).expect("renamed");
    place.mvault(["commit"]).code(0);
    assert_eq!(committed(&place, "many/2.md"), None);
    assert_eq!(committed(&place, "moved/2.md").as_deref(), Some(&b"file 2\n"[..]));
}

#[test]
fn the_page_and_streams_do_not_go_away_unasked() {
    let place = vault();
    place.write("events/day.jsonl", "{\"n\":1}\n");
    place.mvault(["commit"]).ok();
    remove(&place, "events/day.jsonl");
    remove(&place, "continuity.md");
    remove(&place, "notes/a.md");
    let outcome = place.mvault(["commit", "--session", "s1"]).code(3);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
warning: continuity.md was left out: it had content and is empty or gone: the file is gone
  `mvault repair continuity.md` brings it back; if it is meant, `mvault commit --allow emptied:continuity.md` takes it
warning: events/day.jsonl was left out: the stream lost or rewrote lines it had: the file is gone
  streams only grow: `mvault checkout main -- events/day.jsonl` brings the lines back; if it is meant, `mvault commit --allow stream-rewritten:events/day.jsonl` takes it

"#]]
    );
    assert_eq!(committed(&place, "notes/a.md"), None, "a note may go");
    assert!(committed(&place, "continuity.md").is_some() && committed(&place, "events/day.jsonl").is_some());
    let told = place.mvault(["commit", "--json"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["emptied continuity.md", "stream-rewritten events/day.jsonl"]);
    let allow = ["--allow", "emptied:continuity.md", "--allow", "stream-rewritten"];
    place.mvault(["commit"].iter().chain(&allow)).code(0);
    assert_eq!(
        allowed(&place, ".", "commit"),
        ["emptied:continuity.md", "stream-rewritten:events/day.jsonl"]
    );
}

#[test]
fn a_stream_that_was_renamed_is_not_gone() {
    let place = vault();
    place.write("events/day.jsonl", "{\"n\":1}\n");
    place.mvault(["commit"]).ok();
    std::fs::rename(place.work().join("events/day.jsonl"), place.work().join("old.jsonl")).expect("renamed");
    place.mvault(["commit"]).code(0);
    assert_eq!(committed(&place, "events/day.jsonl"), None);
}

#[test]
fn a_torn_line_is_kept_and_told() {
    let place = vault();
    place.write("events/day.jsonl", "{\"n\":1}\n{\"n\":2,\"te");
    // Nothing is left out, so this is not the exit code of a refusal.
    let outcome = place.mvault(["commit", "--session", "s1"]).code(0);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
warning: events/day.jsonl is worth a look: a line was torn; it is kept as it is: 1 of its new lines
  `mvault events verify events/day.jsonl` shows where, `mvault repair` takes it apart

"#]]
    );
    assert_eq!(committed(&place, "events/day.jsonl"), Some(place.read("events/day.jsonl")));
    let lines = rejections(&place, ".", "s1");
    assert_eq!((lines[0]["reason"].as_str(), lines[0]["offset"].as_u64()), (Some("torn-line"), Some(8)));
    // What makes no sense of the line is kept apart as well; it is no version of the stream to go back to.
    let sha256 = lines[0]["sha256"].as_str().expect("a hash").to_owned();
    assert_eq!(place.mvault(["quarantine", "show", &sha256[..10]]).code(0).stdout, b"{\"n\":2,\"te\n");
    place.mvault(["quarantine", "restore", &sha256[..10]]).code(1);
    place.mvault(["quarantine", "restore", &sha256[..10], "--to", "torn.txt"]).ok();
    place.write("events/day.jsonl", "{\"n\":1}\n{\"n\":2,\"te\n{\"n\":3}\n");
    place.mvault(["commit"]).code(0);
}

#[test]
fn what_cannot_be_allowed_is_a_wrong_command_line() {
    let place = vault();
    for word in ["unreadable", "special-file", "changed-while-read", "torn-line", "purged", "nonsense", ""] {
        place.mvault(["commit", "--allow", word]).code(2);
    }
    let outcome = place.mvault(["commit", "--allow", "nonsense"]).code(2);
    assert_data_eq!(
        outcome.stderr(),
        str![[r#"
error: --allow nonsense: no such reason
hint: the reasons are emptied, nul-filled, stream-rewritten, not-utf8, not-json, conflict-markers, sealed, sidecar-mismatch, secret, too-large, name-not-portable, name-collides, link-outside, obeyed-file, mass-delete, invalid-rules, restored, waiting

"#]]
    );
}

#[test]
fn sockets_fifos_and_other_repositories_are_passed_over_in_silence() {
    let place = vault();
    place.program("mkfifo", ["pipe"]).ok();
    let _socket = std::os::unix::net::UnixListener::bind(place.work().join("socket")).expect("a socket");
    place.write("sub/.git/config", "x\n");
    place.write("sub/kept.md", "x\n");
    let told = place.mvault(["commit"]).json();
    assert_eq!(reasons(&told, "rejected"), [] as [&str; 0]);
    assert_eq!(
        reasons(&told, "passed_over"),
        ["special-file pipe", "special-file socket", "reserved-folder sub/.git"]
    );
    assert!(committed(&place, "sub/kept.md").is_some());
}

#[test]
fn a_secret_is_nowhere_but_in_quarantine_and_its_file() {
    let place = vault();
    let (secret, path) = (secret(), "notes/keys.md");
    let text = format!("aws_access_key_id = {secret}\n");
    place.write(path, &text);
    let outcomes = [
        place.mvault(["commit", "--session", "s1"]).code(3),
        place.mvault(["commit", "--json"]).code(3),
        place.mvault(["commit", "--strict"]).code(1),
        place.mvault(["status"]).code(0),
        place.mvault(["rejections", "--all"]).code(0),
        place.mvault(["rejections", "--all", "--json"]).code(0),
        place.mvault(["quarantine", "list"]).code(0),
        place.mvault(["quarantine", "list", "--json"]).code(0),
        place.mvault(["audit", "--json"]).code(0),
        place.mvault(["verify"]).code(0),
    ];
    let all: Vec<_> = outcomes.iter().collect();
    assert_not_told(&place, &secret, &all);
    let digest = sha256(&text);
    place.write("vault.toml", format!("[secrets]\nallow = ['{digest}']\n"));
    place.mvault(["commit", "vault.toml"]).code(0);
    place.mvault(["commit"]).code(0);
    place.write(path, format!("{text}and again {}\n", secret.replace('Z', "Y")));
    place.mvault(["commit"]).code(3);
    place.write(path, format!("{text}words\n"));
    place.mvault(["commit"]).code(0); // it is in the history already
}

#[test]
fn what_was_refused_in_a_large_file_is_not_in_any_pack() {
    let place = vault();
    let text = format!("{}{}\n", "plain words of a log\n".repeat(100_000), secret());
    place.write("large.log", &text);
    place.write("small.md", "x\n");
    place.mvault(["commit"]).code(3);
    assert_eq!(committed(&place, "large.log"), None);
    let blob = place.mvault(["hash", "large.log"]).ok();
    place.mvault(["cat", blob.trim()]).code(1);
    assert_eq!(place.read(format!(".mvault/quarantine/{}", sha256(&text))), text.as_bytes());
}

#[test]
fn a_large_file_is_searched_where_it_is_new() {
    let place = vault();
    let of = |letter: &str| secret().replace('Z', letter);
    let words: String = (0..60_000).map(|n| format!("line {n} of a log that grows\n")).collect();
    let first = format!("{words}{}\n{words}", of("Z"));
    place.write("large.log", &first);
    place.mvault(["commit", "--allow", "secret"]).code(0);
    place.write("large.log", format!("{first}more\n"));
    place.mvault(["commit"]).code(0); // what was let in stays in

    // As many as before, and another one.
    place.write("large.log", format!("{words}{}\n{words}more\n", of("Y")));
    let told = place.mvault(["commit", "--json"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["secret large.log"]);
    assert_eq!(told["rejected"][0]["offset"], words.len() as u64 + secret().find("AKIA").unwrap_or(0) as u64);
    place.write("large.log", format!("{first}more\n{}\n", of("X")));
    place.mvault(["commit"]).code(3);

    // Another file's admission does not count for this one.
    place.write("large.log", format!("{first}more\n"));
    place.mvault(["commit"]).code(0);
    place.write("moved.log", format!("{first}more\n"));
    std::fs::remove_file(place.work().join("large.log")).expect("it is there");
    place.mvault(["commit"]).code(3);
}

#[test]
fn a_vault_toml_in_conflict_is_not_taken_as_rules() {
    let place = vault();
    place.write("vault.toml", "<<<<<<< mac\na = 1\n=======\na = 2\n>>>>>>> pixel\n");
    let told = place.mvault(["commit", "--json"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["conflict-markers vault.toml"]);
}

/// Pictures, archives and databases that came back from a power cut as zeros were committed and sent to every device.
#[test]
fn a_binary_file_that_turned_into_zeros_is_refused() {
    let place = vault();
    let noise = |len: usize| -> Vec<u8> { (0..len).map(|n| (n * 131 % 251) as u8).collect() };
    let names = ["a.png", "b.pdf", "c.zip", "d.sqlite", "e.bin", "large.bin"];
    let len = |name: &str| if name == "large.bin" { 3 << 20 } else { 10_000 };
    for name in names {
        place.write(name, noise(len(name)));
    }
    place.mvault(["commit"]).code(0);
    let spoil = |name: &str, from: usize, to: usize| {
        let mut bytes = noise(len(name));
        bytes[from..to].fill(0);
        place.write(name, bytes);
    };
    for (from, to) in [(0, 1), (1, 2), (1, 3)] {
        for name in names {
            let third = len(name) / 3;
            let end = if to == 3 { len(name) } else { to * third };
            spoil(
                name,
                if (from, to) == (0, 1) { 0 } else { from * third },
                if from == 0 { len(name) } else { end },
            );
        }
        let told = place.mvault(["commit", "--json"]).code(3).json();
        assert_eq!(reasons(&told, "rejected"), names.map(|name| format!("nul-filled {name}")), "{from} {to}");
    }
    // A program that clears a part of its file changes something else in it as well.
    for name in names {
        spoil(name, 4096, 8192);
        let mut bytes = place.read(name);
        bytes[24] ^= 1;
        place.write(name, bytes);
    }
    place.write("new.img", [0; 5_000]);
    place.mvault(["commit"]).code(0);
}
