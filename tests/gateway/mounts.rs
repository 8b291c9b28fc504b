//! Entries of the hostile catalogue that take a mount to make: in a mount namespace of their own.

use super::{committed, vault};
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

#[test]
fn wrk_10_a_mount_point_inside_is_a_folder_like_any_other() {
    let place = vault();
    std::fs::create_dir(place.work().join("mounted")).expect("a folder");
    let script = "mount -t tmpfs none mounted && echo inside > mounted/a.md && echo beside > b.md";
    assert_eq!(unshared(&place, script).code, Some(0));
    assert_eq!(committed(&place, "mounted/a.md"), Some(b"inside\n".to_vec()));
    // Unmounted, its files are gone from the folder; nothing else is touched.
    let status = place.mvault(["status"]).json();
    assert_eq!(
        status["changes"],
        serde_json::json!([{"path": "mounted/a.md", "status": "deleted", "refused": false}])
    );
    assert_eq!(committed(&place, "b.md"), Some(b"beside\n".to_vec()));
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
