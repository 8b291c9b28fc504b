//! What MirrorDNA left on disk comes in: once, whole, checked, and through the gateway.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Place, Run};

fn on(place: &Place, device: &str, args: &[&str]) -> Run {
    place.mvault(args).dir(device)
}

/// A vault on `mac`, and beside it a copy of the fixture in `dna`.
fn place() -> Place {
    let place = Place::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/mirrordna");
    for (path, bytes) in files(&from) {
        place.write(Path::new("dna").join(path), bytes);
    }
    place.write("mac/.keep", "");
    on(&place, "mac", &["init", "--device", "mac"]).ok();
    place
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.expect("it can be read"));
    entries
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(root).expect("below").to_path_buf();
            (path, std::fs::read(entry.path()).expect("a file"))
        })
        .collect()
}

fn of<'a>(told: &'a Value, source: &str) -> &'a Value {
    let files = told["files"].as_array().expect("files");
    files.iter().find(|file| file["source"] == source).unwrap_or_else(|| panic!("{source}: {told}"))
}

#[test]
fn everything_known_comes_in_as_one_commit_and_the_source_stays() {
    let place = place();
    let source = files(&place.work().join("dna"));
    let told = on(&place, "mac", &["import", "mirrordna", "../dna"]).json();
    assert_eq!(told["id"].as_str().map(str::len), Some(64), "{told}");
    assert_eq!(files(&place.work().join("dna")), source);
    assert_eq!(on(&place, "mac", &["log"]).json_lines().len(), 1, "one commit");
    for (from, to) in [
        ("CONTINUITY.md", "continuity.md"),
        ("CONTINUITY.md.sig", "imports/mirrordna/CONTINUITY.md.sig"),
        ("SR-2026-02-23.md", "distillates/SR-2026-02-23.md"),
        ("SR-2026-02-23.md.sig", "distillates/SR-2026-02-23.md.sig"),
        ("SR-2026-02-22.md", "imports/mirrordna/SR-2026-02-22.md"),
        ("SHIPLOG.md", "distillates/SHIPLOG.md"),
        ("bus/compaction_distill.md", "distillates/compaction_distill.md"),
        ("bus/state.json", "imports/mirrordna/bus/state.json"),
        ("handoff/pending/HO-20260223-1840.md", "imports/mirrordna/handoff/pending/HO-20260223-1840.md"),
    ] {
        assert_eq!(of(&told, from)["path"], to, "{told}");
        assert_eq!(place.read(Path::new("mac").join(to)), source[Path::new(from)], "{from}");
    }
    assert_eq!(place.read("mac/events/decisions.jsonl"), source[Path::new("bus/decisions.jsonl")]);
    let rejected = String::from_utf8(place.read("mac/events/rejected.jsonl")).expect("text");
    assert!(rejected.lines().count() == 2 && rejected.contains("\"reason\":\"no hash\""), "{rejected}");
    assert_eq!(String::from_utf8_lossy(&place.read("mac/events/ledger.jsonl")).lines().count(), 2);
    assert_eq!(of(&told, "notes.txt")["result"], "skipped");
    assert!(of(&told, "notes.txt")["why"].is_string());
    let status = on(&place, "mac", &["status"]).json();
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(1), "only .keep is left: {status}");
    on(&place, "mac", &["verify"]).ok();
}

#[test]
fn signatures_and_chains_are_checked_and_breaks_are_named() {
    let place = place();
    let told = on(&place, "mac", &["import", "mirrordna", "../dna"]).json();
    for source in
        ["CONTINUITY.md.sig", "SR-2026-02-23.md.sig", "SR-2026-02-23.md.sidecar.json", "witness_chain.jsonl"]
    {
        assert_eq!(of(&told, source)["check"]["holds"], true, "{source}: {told}");
    }
    assert_eq!(of(&told, "SR-2026-02-22.md.sig")["check"]["holds"], false);
    let audit = of(&told, "audit_log.jsonl");
    assert_eq!((&audit["check"]["holds"], &audit["result"]), (&false.into(), &"taken".into()));
    assert!(audit["check"]["what"].as_str().expect("words").contains("line 2 was changed"), "{audit}");
}

#[test]
fn a_second_import_changes_nothing_and_more_lines_come_in_alone() {
    let place = place();
    on(&place, "mac", &["import", "mirrordna", "../dna"]).ok();
    let before = files(&place.work().join("mac"));
    let again = on(&place, "mac", &["import", "mirrordna", "../dna"]).json();
    assert_eq!(again["id"], Value::Null, "{again}");
    let after = files(&place.work().join("mac"));
    let user = |files: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<(PathBuf, Vec<u8>)> {
        files
            .iter()
            .filter(|(path, _)| !path.starts_with(".mvault"))
            .map(|(p, b)| (p.clone(), b.clone()))
            .collect()
    };
    assert_eq!(user(&before), user(&after));
    assert_eq!(on(&place, "mac", &["handoff", "list"]).json_lines().len(), 2);

    // Work goes on here and there; nothing that was written here is overwritten.
    place.write("mac/continuity.md", "# Continuity\n\nmine now\n");
    on(&place, "mac", &["commit"]).ok();
    let lane = place.read("dna/bus/decisions.jsonl");
    place.write("dna/bus/decisions.jsonl", [&lane[..], b"{\"msg\":\"a new one\"}\n"].concat());
    place.write("dna/SHIPLOG.md", "# Shiplog\n\n- 2026-02-24: chains\n");
    let third = on(&place, "mac", &["import", "mirrordna", "../dna"]).json();
    assert_eq!(
        (&of(&third, "bus/decisions.jsonl")["result"], &of(&third, "bus/decisions.jsonl")["lines"]),
        (&"taken".into(), &1.into())
    );
    assert_eq!(of(&third, "CONTINUITY.md")["result"], "known");
    assert_eq!(place.read("mac/continuity.md"), b"# Continuity\n\nmine now\n");
    let moved = of(&third, "SHIPLOG.md")["path"].as_str().expect("a path").to_owned();
    assert!(moved.starts_with("distillates/") && moved.ends_with("/SHIPLOG.md"), "{moved}");
    assert!(String::from_utf8_lossy(&place.read("mac/distillates/SHIPLOG.md")).contains("lanes"));
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let place = place();
    let before = files(&place.work().join("mac"));
    let dry = on(&place, "mac", &["import", "mirrordna", "../dna", "--dry-run"]).json();
    assert_eq!((&dry["id"], &dry["dry_run"]), (&Value::Null, &true.into()));
    assert_eq!(files(&place.work().join("mac")), before);
    let real = on(&place, "mac", &["import", "mirrordna", "../dna"]).json();
    assert_eq!(dry["files"], real["files"]);
    let text = on(&place, "mac", &["import", "mirrordna", "../dna"]).ok();
    assert!(text.contains("DOES NOT HOLD") && text.contains("nothing to commit"), "{text}");
}

#[test]
fn tasks_that_were_left_are_open_here() {
    let place = place();
    on(&place, "mac", &["import", "mirrordna", "../dna"]).ok();
    let open = on(&place, "mac", &["handoff", "list"]).json_lines();
    let of =
        |text: &str| open.iter().find(|task| task["summary"] == text).unwrap_or_else(|| panic!("{open:?}"));
    let json = of("finish the importer");
    assert_eq!(
        (&json["to"], &json["from"], &json["next"][1]),
        (&"codex".into(), &"claude".into(), &"write the report".into())
    );
    let markdown = of("Check the phone export");
    assert_eq!(markdown["to"], "pixel");
    let id = markdown["context"][0]["id"].as_str().expect("an id");
    assert!(on(&place, "mac", &["cat", id]).ok().contains("The export of the 22nd"));
    assert_eq!(open.len(), 2, "the one that was completed is not open");
}

#[test]
fn secrets_and_links_stay_out_and_the_rest_comes_in() {
    let place = place();
    let secret = concat!("{\"msg\":\"AKIA", "Q3EGRIN7LXZTPWMV\"}\n");
    place.write("dna/bus/leaky.jsonl", secret);
    place.write("dna/SR-2026-02-25.md", format!("# Report\n\n{secret}"));
    place.write("outside.jsonl", "{}\n");
    std::os::unix::fs::symlink("../../outside.jsonl", place.work().join("dna/bus/link.jsonl"))
        .expect("a link");
    let outcome = on(&place, "mac", &["--json", "import", "mirrordna", "../dna"]).code(3);
    let told = outcome.json();
    for source in ["bus/leaky.jsonl", "SR-2026-02-25.md"] {
        let file = of(&told, source);
        assert_eq!((&file["result"], &file["reason"]), (&"refused".into(), &"secret".into()), "{told}");
    }
    assert_eq!(of(&told, "bus/link.jsonl")["result"], "skipped");
    assert!(told["id"].is_string());
    assert!(!place.work().join("mac/events/leaky.jsonl").exists());
    assert!(!place.work().join("mac/distillates/SR-2026-02-25.md").exists());
    assert_eq!(on(&place, "mac", &["rejections"]).json_lines().len(), 2);
    assert!(!String::from_utf8_lossy(&outcome.stdout).contains("AKIA"));
    on(&place, "mac", &["import", "mirrordna", "../nowhere"]).code(1);
}

/// An import that was killed after it wrote files and before it committed: they are there as edits.
#[test]
fn an_import_that_was_cut_is_completed_by_the_next() {
    let place = place();
    for (there, here) in [
        ("handoff.json", "imports/mirrordna/handoff.json"),
        ("CONTINUITY.md", "continuity.md"),
        ("bus/decisions.jsonl", "events/decisions.jsonl"),
        ("SR-2026-02-23.md", "distillates/SR-2026-02-23.md"),
    ] {
        let bytes = place.read(Path::new("dna").join(there));
        place.write(Path::new("mac").join(here), bytes);
    }
    on(&place, "mac", &["import", "mirrordna", "../dna"]).ok();
    let status = on(&place, "mac", &["status"]).json();
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(1), "only .keep is left: {status}");
    assert_eq!(on(&place, "mac", &["handoff", "list"]).json_lines().len(), 2);
    assert!(!place.work().join("mac/imports/mirrordna/CONTINUITY.md").exists());
    assert_eq!(on(&place, "mac", &["import", "mirrordna", "../dna"]).json()["id"], Value::Null);
    on(&place, "mac", &["verify"]).ok();
}

/// A signature beside a distillate is looked at by `verify`, and never made anew.
#[test]
fn verify_tells_of_a_signature_that_does_not_hold() {
    let place = place();
    on(&place, "mac", &["import", "mirrordna", "../dna"]).ok();
    on(&place, "mac", &["verify"]).ok();
    place.write("mac/distillates/SR-2026-02-23.md", "# Session report: something else\n");
    let sig = place.read("mac/distillates/SR-2026-02-23.md.sig");
    on(&place, "mac", &["seal", "distillates/SR-2026-02-23.md"]).ok();
    let verified = on(&place, "mac", &["--json", "verify"]).code(5).json();
    let problems = verified["problems"].as_array().expect("problems");
    assert_eq!(problems.len(), 1, "{verified}");
    assert_eq!(problems[0]["kind"], "signature");
    assert_eq!(problems[0]["where"], "main:distillates/SR-2026-02-23.md");
    assert_eq!(place.read("mac/distillates/SR-2026-02-23.md.sig"), sig);
}
