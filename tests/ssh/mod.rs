//! Devices that reach each other through the real ssh and sshd.

use crate::support::sshd::{Sshd, Wishes};
use crate::support::{Outcome, Place};

/// A far device with a vault `notes/vault` in its home and one commit more than the root.
fn far_vault(place: &Place, sshd: &Sshd) {
    sshd.far_mvault(place, ["init", "../sshd/home/notes/vault", "--device", "pixel"]).ok();
    std::fs::write(sshd.home().join("notes/vault/far.md"), "from the far side\n").expect("a file");
    sshd.far_mvault(place, ["-C", "../sshd/home/notes/vault", "commit", "-m", "far"]).ok();
}

fn start(wishes: &Wishes) -> (Place, Sshd) {
    let place = Place::new();
    let sshd = Sshd::start(&place, wishes);
    (place, sshd)
}

fn mvault(place: &Place, sshd: &Sshd, args: &[&str]) -> Outcome {
    sshd.reach(place.mvault(args)).run()
}

#[track_caller]
fn ok(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{}", outcome.describe());
}

#[test]
fn a_vault_is_cloned_and_kept_in_step_through_sshd() {
    let (place, sshd) = start(&Wishes::default());
    far_vault(&place, &sshd);
    ok(&mvault(&place, &sshd, &["clone", "far:notes/vault", "mine", "--device", "mac"]));
    assert_eq!(place.read("mine/far.md"), b"from the far side\n");
    place.write("mine/near.md", "from the near side\n");
    std::fs::write(sshd.home().join("notes/vault/more.md"), "not yet committed there\n").expect("a file");
    let synced = mvault(&place, &sshd, &["-C", "mine", "--json", "sync", "far:notes/vault"]);
    ok(&synced);
    let told = synced.json();
    assert_eq!(told["head"], told["their_head"], "{}", synced.describe());
    assert_eq!(place.read("mine/more.md"), b"not yet committed there\n");
    let far = std::fs::read(sshd.home().join("notes/vault/near.md")).expect("it came");
    assert_eq!(far, b"from the near side\n");
    let again = mvault(&place, &sshd, &["-C", "mine", "--json", "pull", "far:notes/vault"]).json();
    assert_eq!((&again["received"], &again["head"]), (&0.into(), &told["head"]));
}

#[test]
fn what_is_lost_here_comes_back_through_sshd() {
    let (place, sshd) = start(&Wishes::default());
    far_vault(&place, &sshd);
    ok(&mvault(&place, &sshd, &["clone", "far:notes/vault", "mine", "--device", "mac"]));
    let packs = std::fs::read_dir(place.work().join("mine/.mvault/objects")).expect("a folder");
    for pack in packs {
        std::fs::remove_file(pack.expect("an entry").path()).expect("is removed");
    }
    let repaired = mvault(&place, &sshd, &["-C", "mine", "--json", "repair", "--from", "far:notes/vault"]);
    ok(&repaired);
    assert!(repaired.json()["fetched"].as_u64().is_some_and(|count| count > 3), "{}", repaired.describe());
    place.mvault(["-C", "mine", "verify"]).ok();
    assert_eq!(place.mvault(["-C", "mine", "show", "main:far.md"]).ok(), "from the far side\n");
}

#[test]
fn sshd_behind_a_proxy_command_needs_no_port() {
    let (place, sshd) = start(&Wishes::default());
    far_vault(&place, &sshd);
    ok(&mvault(&place, &sshd, &["clone", "piped:notes/vault", "mine", "--device", "mac"]));
    place.write("mine/near.md", "near\n");
    ok(&mvault(&place, &sshd, &["-C", "mine", "commit", "-m", "near"]));
    ok(&mvault(&place, &sshd, &["-C", "mine", "push", "piped:notes/vault"]));
    assert!(sshd.home().join("notes/vault/near.md").exists());
}

#[test]
fn a_login_banner_does_no_harm() {
    let banner =
        format!("Welcome to pixel!\nmvault-serve {}\n\u{1b}[2J{}\n", "0".repeat(64), "x".repeat(5000));
    let (place, sshd) = start(&Wishes { banner, ..Wishes::default() });
    far_vault(&place, &sshd);
    ok(&mvault(&place, &sshd, &["clone", "far:notes/vault", "mine", "--device", "mac"]));
    assert_eq!(place.read("mine/far.md"), b"from the far side\n");
}

/// Runs `fetch HOST` against an sshd with some wishes and returns the error.
fn fetch_fails(wishes: &Wishes, args: &[&str]) -> (i32, String, String) {
    let (place, sshd) = start(wishes);
    far_vault(&place, &sshd);
    place.mvault(["init", "mine", "--device", "mac"]).ok();
    let mut line = vec!["-C", "mine", "--json", "fetch"];
    line.extend(args);
    let outcome = mvault(&place, &sshd, &line);
    let error = outcome.error();
    let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    assert!(!text("message").contains('\u{1b}'), "{}", outcome.describe());
    (outcome.code.unwrap_or(-1), text("message"), text("hint"))
}

#[test]
fn each_way_not_to_get_there_has_its_own_message() {
    let plain = Wishes::default();
    let (code, message, hint) = fetch_fails(&plain, &["nobody:"]);
    assert_eq!(code, 6);
    assert!(message.contains("cannot be reached") && message.contains("Connection refused"), "{message}");
    assert!(hint.contains("network"), "{hint}");

    let (code, message, _) = fetch_fails(&plain, &["unknown:"]);
    assert_eq!(code, 6);
    assert!(message.contains("is not known"), "{message}");

    let (code, message, hint) = fetch_fails(&plain, &["stranger:"]);
    assert_eq!(code, 6);
    assert!(message.contains("the key of stranger is not trusted"), "{message}");
    assert!(hint.contains("fingerprint"), "{hint}");

    let (code, message, _) = fetch_fails(&Wishes { lets_in: false, ..Wishes::default() }, &["far:"]);
    assert_eq!(code, 6);
    assert!(message.contains("refuses the login"), "{message}");

    let (code, message, hint) = fetch_fails(&Wishes { has_mvault: false, ..Wishes::default() }, &["far:"]);
    assert_eq!(code, 6);
    assert!(message.contains("there is no mvault on far"), "{message}");
    assert!(hint.contains("PATH"), "{hint}");
}

#[test]
fn each_thing_that_may_be_wrong_there_has_its_own_message() {
    let plain = Wishes::default();
    let (code, message, _) = fetch_fails(&plain, &["far:no/such/place"]);
    assert_eq!(code, 6);
    assert!(message.contains("the other side says") && message.contains("no/such/place"), "{message}");

    let (code, message, hint) = fetch_fails(&plain, &["far:notes/vault"]);
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("another vault"), "{message}");
    assert!(hint.contains("--allow unrelated"), "{hint}");

    let (code, message, _) = fetch_fails(&plain, &["far:", "--far-program", "echo"]);
    assert_eq!(code, 6);
    assert!(
        message.contains("did not answer as mvault does") && message.contains("serve --stdio"),
        "{message}"
    );

    let (code, message, _) = fetch_fails(&plain, &["far:", "--far-program", "/bin/true"]);
    assert_eq!(code, 6);
    assert!(message.contains("it printed: nothing"), "{message}");

    let noisy =
        Wishes { banner: "\u{1b}]0;title\u{7}Sorry\n".into(), has_mvault: false, ..Wishes::default() };
    let (code, message, _) = fetch_fails(&noisy, &["far:"]);
    assert_eq!(code, 6);
    assert!(message.contains("there is no mvault on far"), "{message}");
}

#[test]
fn a_host_that_could_be_an_option_or_a_command_starts_no_process() {
    let place = Place::new();
    place.mvault(["init", "mine", "--device", "mac"]).ok();
    let witness = place.root().join("ran");
    let script = place.root().join("ssh");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", witness.display())).expect("written");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("executable");
    for host in ["-oProxyCommand=touch x:", "u@-oX:", "a;b:", "$(x):", "%h:", "a b:", "ssh://far/", "C:\\v"] {
        let outcome = place.mvault(["-C", "mine", "fetch", "--", host]).env("MVAULT_SSH", &script).run();
        assert_eq!(outcome.code, Some(2), "{}", outcome.describe());
        assert!(!witness.exists(), "{host:?} started a process");
    }
    let outcome = place.mvault(["-C", "mine", "fetch", "far:"]).env("MVAULT_SSH", &script).run();
    assert_eq!(outcome.code, Some(6), "{}", outcome.describe());
    assert!(witness.exists(), "the witness works");
}

#[test]
fn a_key_that_may_only_serve_cannot_push_into_a_vault_served_read_only() {
    let place = Place::new();
    let vault = place.root().join("sshd/home/notes/vault");
    let forced = format!("ForceCommand mvault serve --stdio --read-only {}", vault.display());
    let sshd = Sshd::start(&place, &Wishes { sshd_lines: forced, ..Wishes::default() });
    far_vault(&place, &sshd);
    ok(&mvault(&place, &sshd, &["clone", "far:another/path", "mine", "--device", "mac"]));
    place.write("mine/near.md", "near\n");
    ok(&mvault(&place, &sshd, &["-C", "mine", "commit", "-m", "near"]));
    let pushed = mvault(&place, &sshd, &["-C", "mine", "push", "far:"]);
    assert_ne!(pushed.code, Some(0));
    assert!(pushed.stderr().contains("read-only"), "{}", pushed.describe());
    assert!(!sshd.home().join("notes/vault/near.md").exists());
}

/// Bytes that do not compress, the same each time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn a_pull_over_a_link_that_breaks_goes_on_where_it_ended() {
    let (place, sshd) = start(&Wishes::default());
    far_vault(&place, &sshd);
    ok(&mvault(&place, &sshd, &["clone", "far:notes/vault", "mine", "--device", "mac"]));
    for n in 0..30 {
        std::fs::write(sshd.home().join(format!("notes/vault/{n}.bin")), noise(n, 40_000)).expect("a file");
    }
    let cutter = place.root().join("cutter");
    // The shell gives up its own hold on the way out, so that the end is seen when `head` ends.
    let script = "#!/bin/sh\nexec 3<&0\nssh \"$@\" <&3 | head -c 500000 &\nexec >&- 3<&-\nwait\n";
    std::fs::write(&cutter, script).expect("written");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&cutter, mode).expect("executable");
    let head = place.mvault(["-C", "mine", "status"]).json()["head"].clone();
    let pull = ["-C", "mine", "--json", "pull", "far:notes/vault"];
    let cut = sshd.reach(place.mvault(pull)).env("MVAULT_SSH", &cutter).run();
    assert_eq!(cut.code, Some(6), "{}", cut.describe());
    let error = cut.error();
    assert!(error["message"].as_str().expect("text").contains("broke off"), "{}", cut.describe());
    assert!(error["hint"].as_str().expect("text").contains("kept"), "{}", cut.describe());
    assert_eq!(place.mvault(["-C", "mine", "status"]).json()["head"], head, "nothing moved");
    let whole = mvault(&place, &sshd, &pull);
    ok(&whole);
    let bytes = whole.json()["bytes"].as_u64().expect("a number");
    assert!((700_000..800_000).contains(&bytes), "about 460 kB of 1.2 MB were there: {bytes}");
    for n in 0..30 {
        assert_eq!(place.read(format!("mine/{n}.bin")), noise(n, 40_000));
    }
    place.mvault(["-C", "mine", "verify"]).ok();
}
