//! Killed anywhere between a sidecar, a file and the commit that has both: the next command has them right.

use std::path::Path;

use super::assert_seals_hold;
use crate::crash::kill::{Point, kill_at, mvault, points};
use crate::crash::sweep::{copy, fast_place, points_asked};
use crate::support::Place;

/// Every n-th point, so that there are about so many; `MVAULT_KILL_POINTS` says how many.
fn some(points: Vec<Point>) -> Vec<Point> {
    let wanted = points_asked().unwrap_or(24);
    let step = points.len().div_ceil(wanted.max(1)).max(1);
    points.into_iter().step_by(step).collect()
}

/// A vault with distillates: one new, one gone, one as it was; nothing of it committed.
fn distillates() -> Place {
    let place = fast_place();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("distillates/gone.md", "goes\n");
    place.write("distillates/stays.md", "stays\n");
    place.write("notes/a.md", "a\n");
    place.mvault(["commit", "-m", "old"]).ok();
    std::fs::remove_file(place.work().join("distillates/gone.md")).expect("it is there");
    place.write("distillates/new.md", "new\n");
    place
}

fn head_has(place: &Place, path: &str) -> Option<Vec<u8>> {
    let shown = mvault(place, &["show", &format!("HEAD:{path}")]).run();
    (shown.code == Some(0)).then_some(shown.stdout)
}

#[test]
fn a_commit_of_distillates_killed_anywhere_is_right_after_the_next_one() {
    let template = distillates();
    let args = ["commit", "-m", "new"];
    for point in some(points(&copy(&template), &args)) {
        let place = copy(&template);
        kill_at(&place, &args, &point);
        mvault(&place, &["status"]).ok();
        mvault(&place, &["verify"]).ok();
        mvault(&place, &args).code(0);
        assert_seals_hold(&place, ".");
        for (path, there) in [("gone", false), ("new", true), ("stays", true)] {
            let (file, seal) = (format!("distillates/{path}.md"), format!("distillates/{path}.md.sha256"));
            for path in [&file, &seal] {
                assert_eq!(place.work().join(path).exists(), there, "{path}, killed before {}", point.line);
                assert_eq!(head_has(&place, path).is_some(), there, "{path}, killed before {}", point.line);
            }
        }
        mvault(&place, &["verify"]).ok();
    }
}

#[test]
fn a_seal_killed_anywhere_can_be_given_again() {
    let template = distillates();
    mvault(&template, &["commit", "-m", "new"]).ok();
    template.write("distillates/stays.md", "edited\n");
    let args = ["seal", "distillates/stays.md"];
    for point in some(points(&copy(&template), &args)) {
        let place = copy(&template);
        kill_at(&place, &args, &point);
        mvault(&place, &["verify"]).ok();
        mvault(&place, &args).code(0);
        assert_seals_hold(&place, ".");
        assert_eq!(head_has(&place, "distillates/stays.md").as_deref(), Some(&b"edited\n"[..]));
        assert_eq!(
            head_has(&place, "distillates/stays.md.sha256"),
            Some(place.read("distillates/stays.md.sha256")),
            "killed before {}",
            point.line
        );
        mvault(&place, &["commit"]).code(0);
    }
}

#[test]
fn a_refusal_killed_anywhere_is_whole_after_the_next_commit() {
    let template = fast_place();
    template.mvault(["init", "--device", "mac"]).ok();
    template.write("continuity.md", "# Continuity\n");
    template.mvault(["commit", "-m", "old"]).ok();
    let bad = "<<<<<<< a\n=======\n>>>>>>> b\n";
    template.write("continuity.md", bad);
    template.write("notes/a.md", "a\n");
    for when in 0..12 {
        let place = copy(&template);
        let trace = "trace=renameat,renameat2,fsync,fdatasync";
        let inject = format!("inject=renameat,renameat2,fsync,fdatasync:signal=SIGKILL:when={}", when + 1);
        let program = crate::support::optimized();
        let own = ["-f", "-qq", "-o", "/dev/null", "-e", trace, "-e", &inject];
        let all = own.iter().map(Path::new).chain([&*program, Path::new("commit")]);
        place.program("strace", all).run();
        place.mvault(["commit"]).run();
        let lines = place.mvault(["rejections", "--all"]).json_lines();
        assert_eq!(lines.len(), 1, "call {when}: {lines:?}");
        let id = lines[0]["sha256"].as_str().expect("a hash");
        assert_eq!(place.read(format!(".mvault/quarantine/{id}")), bad.as_bytes(), "call {when}");
        assert_eq!(place.mvault(["show", "HEAD:continuity.md"]).ok(), "# Continuity\n");
        assert_eq!(place.mvault(["show", "HEAD:notes/a.md"]).ok(), "a\n");
        place.mvault(["verify"]).ok();
    }
}

#[test]
fn a_write_killed_anywhere_leaves_the_old_or_the_new_file() {
    let template = fast_place();
    template.mvault(["init", "--device", "mac"]).ok();
    template.write("notes/a.md", "old\n");
    template.mvault(["commit", "-m", "old"]).ok();
    // Standard input is empty under strace, so this is a write of nothing to a file that no commit has.
    template.write("notes/b.md", "in no commit\n");
    let args = ["write", "notes/b.md"];
    let digest = mvault(&template, &["hash", "notes/b.md"]).ok();
    for point in some(points(&copy(&template), &args)) {
        let place = copy(&template);
        kill_at(&place, &args, &point);
        let now = place.read("notes/b.md");
        assert!(now.is_empty() || now == b"in no commit\n", "killed before {}", point.line);
        mvault(&place, &["verify"]).ok();
        if now.is_empty() {
            mvault(&place, &["cat", digest.trim()]).ok(); // what stood there is kept
        }
        mvault(&place, &args).ok();
        assert_eq!(head_has(&place, "notes/b.md").as_deref(), Some(&b""[..]));
        assert!(place.read("notes/b.md").is_empty());
    }
}
