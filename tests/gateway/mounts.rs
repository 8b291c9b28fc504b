//! Entries of the hostile catalogue that take a mount to make: in a mount namespace of their own.

use serde_json::{Value, json};

use super::{committed, reasons, vault};
use crate::support::{MVAULT, Outcome, Place};

/// Runs a script of the shell where mounts can be made that nobody else sees.
#[track_caller]
fn unshared(place: &Place, script: &str) -> Outcome {
    let script = format!("{script}; '{MVAULT}' --json commit");
    let outcome =
        place.program("unshare", ["--user", "--map-root-user", "--mount", "sh", "-ec", &script]).run();
    assert!(
        outcome.code.is_some_and(|code| [0, 3].contains(&code)),
        "this test makes a mount in a user namespace: it needs `unshare` of util-linux and a kernel that lets users \
         have namespaces\n{}",
        outcome.describe()
    );
    outcome
}

/// Runs a script of the shell where mounts can be made that nobody else sees, and demands that all of it succeeds.
#[track_caller]
fn alone(place: &Place, script: &str) {
    let script = script.replace("mvault", &format!("'{MVAULT}'")).replace(&format!(".'{MVAULT}'"), ".mvault");
    let outcome =
        place.program("unshare", ["--user", "--map-root-user", "--mount", "sh", "-exc", &script]).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.describe());
}

/// The commit after an unmounting took the files of the mount for deleted, and told the other devices so.
#[test]
fn wrk_10_a_mount_point_inside_is_a_folder_like_any_other_until_it_is_unmounted() {
    let place = vault();
    std::fs::create_dir(place.work().join("mounted")).expect("a folder");
    let script = "mount -t tmpfs none mounted && echo inside > mounted/a.md && echo beside > b.md";
    assert_eq!(unshared(&place, script).code, Some(0));
    assert_eq!(committed(&place, "mounted/a.md"), Some(b"inside\n".to_vec()));
    let status = place.mvault(["status"]).json();
    assert_eq!(status["changes"], json!([]));
    assert_eq!(status["skipped"], json!([{"path": "mounted", "reason": "not-mounted"}]));
    place.write("c.md", "goes on\n");
    let told = place.mvault(["--json", "commit"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["not-mounted mounted"]);
    assert_eq!(committed(&place, "mounted/a.md"), Some(b"inside\n".to_vec()));
    assert_eq!(committed(&place, "c.md"), Some(b"goes on\n".to_vec()));
}

/// The same fault, for a stick (another device) and a folder of the same disk that is bound into the vault.
#[test]
fn a_folder_that_is_not_mounted_keeps_its_files_until_it_is_mounted_again_or_named() {
    for stick in ["mount -t tmpfs none ../stick", "true"] {
        let place = vault();
        let script = format!(
            "mkdir mm ../stick && {stick} && mount --bind ../stick mm
             for n in 1 2 3; do echo $n > mm/$n.md; done
             mvault commit
             mvault clone . ../far --device pixel
             umount mm
             echo stray > mm/stray.md
             echo more > notes/more.md
             mvault --json commit > ../commit.json || test $? = 3
             mvault status > ../status 2>&1
             (cd ../far && echo changed > mm/1.md && rm mm/2.md && echo new > mm/new.md && echo b > b.md && mvault commit)
             mvault pull ../far
             cat b.md
             test \"$(ls -A mm)\" = stray.md
             mvault commit || test $? = 3
             mvault write mm/written.md < b.md 2> ../write && exit 9
             rm -r mm
             mvault commit || test $? = 3
             mvault status
             test ! -e mm
             mkdir mm && mount --bind ../stick mm
             mvault commit
             test \"$(cat mm/1.md mm/3.md mm/new.md | tr '\\n' ' ')\" = 'changed 3 new '
             test ! -e mm/2.md
             mvault --json status > ../mounted.json
             umount mm
             mvault commit || test $? = 3
             mvault commit mm
             test ! -e .mvault/mounts.jsonl
             mvault --json status > ../given-up.json
             mvault show HEAD:mm/1.md && exit 9
             mvault verify"
        );
        alone(&place, &script);
        let read = |name: &str| std::fs::read_to_string(place.root().join(name)).expect("was written");
        let value = |name: &str| serde_json::from_str::<Value>(&read(name)).expect("JSON");
        let told = value("commit.json");
        assert_eq!(reasons(&told, "rejected"), ["not-mounted mm"]);
        assert_eq!(told["changed"].as_array().map(Vec::len), Some(1), "{told}");
        assert!(read("status").contains("left alone: mm (not mounted;"), "{}", read("status"));
        assert!(read("write").contains("mm is not mounted"), "{}", read("write"));
        for name in ["mounted.json", "given-up.json"] {
            let status = value(name);
            for list in ["changes", "skipped", "waiting"] {
                assert_eq!(status[list], json!([]), "{name}: {status}");
            }
        }
    }
}

/// A mount that was unmounted while it had never been committed from here, and one that came with a pull, were
/// not remembered by a commit.
#[test]
fn files_that_a_pull_put_on_a_mount_are_not_deleted_by_its_unmounting() {
    let place = vault();
    alone(
        &place,
        "mvault clone . ../far --device pixel
         (cd ../far && mkdir mm && echo one > mm/1.md && mvault commit)
         mkdir mm && mount -t tmpfs none mm
         mvault pull ../far
         cat mm/1.md
         umount mm
         mvault commit && exit 9
         mvault show HEAD:mm/1.md",
    );
}

/// Where the list is damaged, the mounts in the damaged lines are forgotten, and that is reported.
#[test]
fn a_damaged_line_in_the_list_of_mounts_is_named_and_repaired() {
    let place = vault();
    alone(
        &place,
        "mkdir a b && mount -t tmpfs none a && mount -t tmpfs none b && echo 1 > a/1.md && echo 1 > b/1.md
         mvault commit
         sed -i 's/\"a\"/\"x\"/' .mvault/mounts.jsonl
         mvault verify --json > ../verify.json && exit 9
         mvault repair
         mvault verify
         umount a b
         mvault --json status > ../status.json",
    );
    let read = |name: &str| std::fs::read_to_string(place.root().join(name)).expect("was written");
    assert!(read("verify.json").contains("mounts.jsonl"), "{}", read("verify.json"));
    let status: Value = serde_json::from_str(&read("status.json")).expect("JSON");
    assert_eq!(status["skipped"], json!([{"path": "b", "reason": "not-mounted"}]));
}

#[test]
fn wrk_13_a_file_of_length_zero_that_yields_data_is_never_stored_torn() {
    let place = vault();
    place.write("notes/version.md", "");
    let script = "mount --bind /proc/version notes/version.md && echo beside > b.md";
    let told = unshared(&place, script).json();
    assert_eq!(committed(&place, "b.md"), Some(b"beside\n".to_vec()));
    let stored = committed(&place, "notes/version.md");
    let refused =
        told["rejected"].as_array().expect("a list").iter().any(|one| one["path"] == "notes/version.md");
    assert!(refused || stored.is_some_and(|bytes| bytes.is_empty() || bytes.ends_with(b"\n")), "{told}");
}

#[test]
fn wrk_08_a_file_on_a_read_only_mount_is_read_and_never_written() {
    let place = vault();
    place.write("fixed/a.md", "as it is\n");
    let script = "mount --bind fixed fixed && mount -o remount,bind,ro fixed && echo beside > b.md";
    assert_eq!(unshared(&place, script).code, Some(0));
    assert_eq!(committed(&place, "fixed/a.md"), Some(b"as it is\n".to_vec()));
}

/// A disk that fills while something arrives kept what had come of it, and then there was no room for anything else.
#[test]
fn a_disk_that_is_full_while_a_pull_arrives_leaves_nothing_of_it_and_the_vault_works_on() {
    let place = vault();
    let script = format!(
        "mkdir ../small && mount -t tmpfs -o size=24m none ../small
         '{MVAULT}' clone . ../small/mac --device pixel
         for n in $(seq 60); do head -c 400000 /dev/urandom > big$n.bin; done
         '{MVAULT}' commit
         cd ../small/mac
         '{MVAULT}' --json pull ../../work > ../../pull.json 2>&1 && echo it fits > ../../wrong || true
         find .mvault/incoming -type f -size +1k > ../../left
         '{MVAULT}' note 'still here' && '{MVAULT}' verify > ../../verified && '{MVAULT}' status"
    );
    unshared(&place, &script);
    let read = |name: &str| std::fs::read_to_string(place.root().join(name)).unwrap_or_default();
    assert!(!place.root().join("wrong").exists(), "{}", read("pull.json"));
    assert!(read("pull.json").contains("no room"), "{}", read("pull.json"));
    assert_eq!(read("left"), "");
    assert!(read("verified").contains("all is well"), "{}", read("verified"));
}

/// A rename from `.mvault` into another file system fails, and with it `write` failed there.
#[test]
fn a_file_is_written_into_a_mount_and_nothing_is_left_beside_it() {
    let place = vault();
    std::fs::create_dir(place.work().join("mounted")).expect("a folder");
    let script = format!(
        "mount -t tmpfs none mounted && echo one | '{MVAULT}' write mounted/a.md && echo two | '{MVAULT}' write \
         mounted/a.md && '{MVAULT}' note --stream mounted/s.jsonl hello && ls -A mounted > listed && grep -qx two mounted/a.md"
    );
    assert_eq!(unshared(&place, &script).code, Some(0));
    assert_eq!(committed(&place, "mounted/a.md"), Some(b"two\n".to_vec()));
    assert_eq!(place.read("listed"), b"a.md\ns.jsonl\n");
}
