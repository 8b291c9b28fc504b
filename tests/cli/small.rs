//! Damage in the small files of `.mvault`: named, never a wrong answer, and put right without losing the rest.

use crate::support::Place;

/// A vault with two refused files, a session with a turn, a token and a device that it met.
fn vault() -> Place {
    let place = Place::new();
    place.mvault(["init", "--device", "mac"]).ok();
    place.write("a.md", "one\n");
    place.write("b.md", "two\n");
    place.mvault(["commit", "-m", "first"]).ok();
    place.mvault(["clone", ".", "../far", "--device", "pixel"]).ok();
    place.mvault(["pull", "../far"]).ok();
    for path in ["a.md", "b.md"] {
        place.write(path, "");
    }
    place.mvault(["commit", "-m", "emptied"]).code(3);
    place.mvault(["checkout", "main", "--", "a.md", "b.md"]).ok();
    place.mvault(["mcp", "token", "create", "helper", "--scope", "read"]).ok();
    place
}

fn kinds(place: &Place) -> Vec<String> {
    let found = place.mvault(["verify", "--json"]).code(5).json();
    let problems = found["problems"].as_array().expect("an array");
    problems.iter().map(|problem| problem["kind"].as_str().expect("text").to_owned()).collect()
}

/// 215 bits of a rejection log were flipped, and verify was silent about all of them; 21 changed what `rejections`
/// said. The same went for the memory of other devices and for tokens.
#[test]
fn a_flipped_bit_in_a_small_file_is_named_and_repaired_without_the_rest() {
    let place = vault();
    for name in ["rejections/.none.jsonl", "peers.json", "tokens.jsonl"] {
        let path = place.work().join(".mvault").join(name);
        let good = std::fs::read(&path).expect("it is there");
        for at in (0..good.len()).step_by(good.len() / 24 + 1) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            if bytes[at] == b'\n' || good[at] == b'\n' {
                continue;
            }
            std::fs::write(&path, bytes).expect("is written");
            assert_eq!(kinds(&place), ["small-file"], "{name} at {at}");
        }
        std::fs::write(&path, &good).expect("is written");
        place.mvault(["verify"]).ok();
    }
    let path = place.work().join(".mvault/rejections/.none.jsonl");
    let mut bytes = std::fs::read(&path).expect("it is there");
    let all = place.mvault(["rejections", "--json"]).json_lines();
    assert_eq!(all.len(), 2);
    bytes[12] ^= 1;
    std::fs::write(&path, bytes).expect("is written");
    let told = place.mvault(["rejections", "--json"]).run();
    assert_eq!(told.json_lines(), all[1..], "what is damaged is left out");
    assert!(told.stderr().contains("line 1 is damaged"), "{}", told.describe());
    assert!(place.mvault(["quarantine", "list"]).run().stderr().contains("line 1 is damaged"));
    place.mvault(["repair"]).ok();
    assert_eq!(place.mvault(["rejections", "--json"]).json_lines(), all[1..]);
    place.mvault(["verify"]).ok();
}

/// Lines of earlier programs had no hash; they are read as they are.
#[test]
fn small_files_of_before_are_read_without_their_hashes() {
    let place = vault();
    let told = place.mvault(["rejections", "--json"]).json_lines();
    for name in ["rejections/.none.jsonl", "peers.json", "tokens.jsonl"] {
        let text = String::from_utf8(place.read(format!(".mvault/{name}"))).expect("text");
        let lines = text.lines().map(|line| format!("{}}}\n", &line[..line.len() - 75]));
        place.write(format!(".mvault/{name}"), lines.collect::<String>());
    }
    place.mvault(["verify"]).ok();
    assert_eq!(place.mvault(["rejections", "--json"]).json_lines(), told);
    assert!(place.mvault(["mcp", "token", "list"]).ok().contains("helper"));
}

/// One flipped bit in the list of tombstones let `log -p` fail with "missing", and verify was silent. It is a cache:
/// one that is not as it was written is made again.
#[test]
fn a_damaged_list_of_tombstones_is_made_again() {
    let place = vault();
    place.mvault(["purge", "b.md", "-m", "why", "--confirm", "b.md"]).ok();
    let is_told = || place.mvault(["log", "-p"]).ok().contains("(purged)");
    assert!(is_told());
    let path = place.work().join(".mvault/purged");
    let good = std::fs::read(&path).expect("it is there");
    for at in (0..good.len()).step_by(9) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).expect("is written");
        assert!(is_told(), "at {at}");
    }
    for text in [&b""[..], good.split_inclusive(|b| *b == b'\n').next_back().expect("a line")] {
        std::fs::write(&path, text).expect("is written");
        assert!(is_told());
    }
}

/// A flipped bit in the settings made the device `desk` the device `dusk`, and commits were made by that; another
/// gave it a new epoch. The settings are for people to edit, so they have no hash: the log knows better.
#[test]
fn settings_that_name_another_device_or_epoch_are_found() {
    let place = vault();
    let good = String::from_utf8(place.read(".mvault/config.toml")).expect("text");
    place.write(".mvault/config.toml", good.replace("name = \"mac\"", "name = \"mag\""));
    assert_eq!(kinds(&place), ["settings"]);
    let said = place.mvault(["tag", "here"]).run().stderr();
    assert!(said.contains("called mag") && said.contains("called mac until now"), "{said}");
    place.write(".mvault/config.toml", &good);
    place.mvault(["tag", "there"]).ok();
    let at = good.find("epoch = \"").expect("it has one") + 9;
    let digit = if good.as_bytes()[at] == b'0' { "1" } else { "0" };
    place.write(".mvault/config.toml", format!("{}{digit}{}", &good[..at], &good[at + 1..]));
    assert_eq!(kinds(&place), ["settings"]);
}
