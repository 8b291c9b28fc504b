//! Kill -9 before each state-changing system call of a command, on the built program under strace.
//!
//! For each point: a copy of a prepared place, the command killed there, and then, with nobody helping:
//! every file is the old or the new one; the next command works; the vault verifies and is at the old or
//! the new state as a whole; the command given again leads to the new state.
//!
//! `MVAULT_KILL_POINTS=N` tries at most N points of each sweep, spread evenly, `all` every one; without it all of them, or, where
//! each file has the same calls as the next, as many as the test says.

mod clones;
mod errors;
pub mod kill;
mod simulated;
pub mod sweep;
mod trace;

use crate::support::Place;
use sweep::Sweep;

fn commit(place: &Place, message: &str) {
    place.mvault(["commit", "-m", message]).ok();
}

/// A vault of two states that differ in every way that files can: content, added, removed, folders that
/// come and go, links, modes, a file that becomes a folder, and one above the limit of a record.
fn vault_of_two_states() -> Place {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let place = sweep::fast_place();
    let path = |name: &str| place.work().join(name);
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("continuity.md", "# Continuity\n");
    place.write("notes/gone/deep/file.md", "goes with its folders\n");
    place.write("notes/stays.md", "stays\n");
    place.write("becomes-folder", "a file\n");
    place.write("script", "#!/bin/sh\n");
    place.write("large.log", "one line of many\n".repeat(40_000));
    symlink("notes/stays.md", path("link")).expect("a link");
    commit(&place, "old");
    place.write("continuity.md", "# Continuity\n\nmore\n");
    std::fs::remove_dir_all(path("notes/gone")).expect("is removed");
    std::fs::remove_file(path("becomes-folder")).expect("is removed");
    place.write("becomes-folder/inside", "a folder\n");
    place.write("new/folder/Zoë.md", "# Zoë\n");
    std::fs::set_permissions(path("script"), PermissionsExt::from_mode(0o755)).expect("a mode");
    place.write("large.log", "one line of many\n".repeat(40_000) + "and a last one\n");
    std::fs::remove_file(path("link")).expect("is removed");
    symlink("continuity.md", path("link")).expect("a link");
    place
}

#[test]
fn a_commit_killed_before_any_call_leaves_the_old_or_the_new_state() {
    let place = vault_of_two_states();
    let swept = Sweep::of(&place, &["commit", "-m", "new"]).run();
    swept.assert_both_ends_and_at_least(12);
}

#[test]
fn a_checkout_killed_before_any_call_leaves_the_old_or_the_new_state() {
    let place = vault_of_two_states();
    commit(&place, "new");
    place.write("continuity.md", "an edit that no commit has\n");
    place.write("untracked.tmp", "not the vault's affair\n");
    place.write(".mvaultignore", "*.tmp\n");
    let edit = place.mvault(["hash", "continuity.md"]).ok();
    let swept = Sweep::of(&place, &["checkout", "main~1"]).keeps(edit.trim()).run();
    swept.assert_both_ends_and_at_least(40);
}

/// A vault whose last commit changes so many files that they are staged in a folder of their own and
/// synced all in one go.
fn vault_of_many_files() -> Place {
    let place = vault_of_two_states();
    for (text, message) in [("before\n", "new"), ("after\n", "many")] {
        (0..20).for_each(|n| place.write(format!("many/{n}"), text));
        commit(&place, message);
    }
    place
}

#[test]
fn a_checkout_of_many_files_killed_before_any_call_leaves_the_old_or_the_new_state() {
    let place = vault_of_many_files();
    let checkout = Sweep::of(&place, &["checkout", "main~1"]).at_most(40);
    for cut in checkout.cuts_after_the_operation(2) {
        Sweep::of(&cut, &["status"]).recovering(&checkout).at_most(12).run().assert_at_least(12);
    }
    checkout.run().assert_both_ends_and_at_least(40);
}

#[test]
fn a_rollback_killed_before_any_call_leaves_the_old_or_the_new_state() {
    let place = vault_of_two_states();
    commit(&place, "new");
    let swept = Sweep::of(&place, &["rollback", "main~1"]).run_once();
    swept.assert_both_ends_and_at_least(40);
}

#[test]
fn a_purge_killed_before_any_call_is_finished_by_the_next_command() {
    let place = vault_of_two_states();
    commit(&place, "new");
    place.write("continuity.md", "an edit that no commit has\n");
    let swept = Sweep::of(&place, &["purge", "large.log", "--confirm", "large.log"]).run_once();
    swept.assert_both_ends_and_at_least(20);
}

#[test]
fn a_commit_that_merges_packs_and_a_gc_killed_before_any_call_lose_nothing() {
    let place = vault_of_two_states();
    let packs = |place: &Place| place.mvault(["stats"]).json()["packs"].as_u64().expect("a number");
    commit(&place, "new");
    let merges = (0..12).any(|n| {
        place.write("notes/small.md", format!("edition {n}\n"));
        let trial = sweep::copy(&place);
        commit(&trial, "one more");
        let takes_others_in = packs(&trial) < packs(&place);
        if !takes_others_in {
            commit(&place, "small");
        }
        takes_others_in
    });
    assert!(merges, "one of so many commits was to take others in");
    Sweep::of(&place, &["commit", "-m", "one more"]).run().assert_both_ends_and_at_least(14);
    commit(&place, "one more");
    commit_deletions(&place);
    let swept = Sweep::of(&place, &["gc"]).run();
    swept.assert_at_least(12);
    assert!(packs(&place) > 1, "there was something to compact");
}

/// One more commit, so that old versions are where no head leads.
fn commit_deletions(place: &Place) {
    std::fs::remove_file(place.work().join("notes/small.md")).expect("is removed");
    commit(place, "removed");
}

/// A vault and its clone `far`, with commits on both sides and edits in none on the far one.
fn two_devices_apart() -> Place {
    let place = vault_of_two_states();
    commit(&place, "both have it");
    place.mvault(["clone", ".", "../far", "--device", "pixel"]).ok();
    // A program that another device brings waits until it is allowed.
    place.mvault(["reconcile", "--allow", "obeyed-file"]).dir("../far").ok();
    let far = |path: &str| place.root().join("far").join(path);
    std::fs::write(far("notes/pixel.md"), "# On the phone\n").expect("a file");
    std::fs::remove_file(far("script")).expect("is removed");
    place.mvault(["commit", "-m", "theirs"]).dir("../far").ok();
    std::fs::write(far("new/folder/Zoë.md"), "# Zoë\n\nnobody committed this\n").expect("a file");
    place.write("continuity.md", "# Continuity\n\nmore\n\nours\n");
    commit(&place, "ours");
    place
}

#[test]
fn a_pull_killed_before_any_call_leaves_the_old_or_the_new_state() {
    let place = two_devices_apart();
    let swept = Sweep::of(&place, &["pull", "../far"]).beside("far").run();
    swept.assert_both_ends_and_at_least(60);
}

#[test]
fn a_bundle_that_is_read_and_killed_before_any_call_leaves_the_old_or_the_new_state() {
    let place = two_devices_apart();
    place.mvault(["bundle", "create", "../far.bundle"]).dir("../far").ok();
    let swept = Sweep::of(&place, &["pull", "../far.bundle"]).run();
    swept.assert_both_ends_and_at_least(40);
}

#[test]
fn a_bundle_that_is_written_and_killed_before_any_call_is_the_old_or_the_new_one() {
    let place = two_devices_apart();
    place.mvault(["bundle", "create", "../out.bundle"]).ok();
    place.write("continuity.md", "# Continuity\n\nnobody committed this\n");
    let swept = Sweep::of(&place, &["bundle", "create", "../out.bundle"]).bundle("../out.bundle").run();
    swept.assert_both_ends_and_at_least(20);
}

#[test]
fn finishing_a_cut_checkout_can_be_killed_anywhere_as_well() {
    let place = vault_of_two_states();
    commit(&place, "new");
    let checkout = Sweep::of(&place, &["checkout", "main~1"]);
    for cut in checkout.cuts_after_the_operation(3) {
        let swept = Sweep::of(&cut, &["status"]).recovering(&checkout).run();
        swept.assert_at_least(8);
    }
}

/// Damage in a pack and in files, and another device that has everything: wherever a repair is killed, no
/// object that could be read is lost, the damaged pack is kept, and the next one comes to the same end.
#[test]
fn a_repair_killed_before_any_call_loses_nothing_and_is_gone_on_with() {
    use crate::cli::repair::{overwrite, packs, two_devices};
    let place = two_devices();
    let pack = packs(&place).remove(0);
    let mut damaged = std::fs::read(&pack).expect("a pack");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x40;
    overwrite(&pack, &damaged);
    place.write("continuity.md", [0; 19]);
    let lines = place.read("events/mac.jsonl");
    place.write("events/mac.jsonl", [lines.as_slice(), b"{\"a\":1}{\"b\":2}\n"].concat());
    let args = ["repair", "--from", "../far"];
    let all = kill::points(&sweep::copy(&place), &args);
    let limit = sweep::points_asked().unwrap_or(24);
    assert!(all.len() > 24, "too few points for this to be a sweep: {}", all.len());
    for point in all.iter().step_by(all.len().div_ceil(limit)) {
        let cut = sweep::copy(&place);
        kill::kill_at(&cut, &args, point);
        let at = &point.line;
        cut.mvault(["show", "main:continuity.md"]).ok();
        cut.mvault(["show", "main:events/mac.jsonl"]).ok();
        let outcome = kill::mvault(&cut, &args).run();
        assert_eq!(outcome.code, Some(0), "killed before {at}: {}", outcome.describe());
        cut.mvault(["verify"]).ok();
        cut.mvault(["audit", "--verify"]).ok();
        assert_eq!(cut.read("continuity.md"), b"# Continuity\n\nmore\n", "killed before {at}");
        let mended = [lines.as_slice(), b"{\"a\":1}\n{\"b\":2}\n"].concat();
        assert_eq!(cut.read("events/mac.jsonl"), mended, "killed before {at}");
        let kept = std::fs::read_dir(cut.work().join(".mvault/quarantine")).expect("a folder");
        let kept = kept.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file"));
        assert!(
            kept.into_iter().any(|bytes| bytes == damaged),
            "killed before {at}: the damaged pack is gone"
        );
    }
}
