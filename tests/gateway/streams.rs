//! The hostile catalogue of event streams, by number, through the program: what goes in comes out byte for
//! byte, every reader of streams gets over it, two devices merge it, and nothing panics or hangs.

use super::{committed, on, pair, reasons, remove, vault};
use crate::support::{Outcome, Place};

const STREAM: &str = "events/x.jsonl";
const GOOD: &str = "{\"good\":1}\n";

/// Demands an end that the program chose itself.
#[track_caller]
fn assert_ended(outcome: &Outcome, codes: &[i32]) {
    let is_one = outcome.code.is_some_and(|code| codes.contains(&code));
    assert!(is_one && !outcome.stderr().contains("panicked"), "{}", outcome.describe());
}

/// Takes a stream with such a line through every command that reads streams.
#[track_caller]
fn survives(number: &str, line: impl AsRef<[u8]>) {
    let place = vault();
    let stream = [GOOD.as_bytes(), line.as_ref()].concat();
    place.write(STREAM, &stream);
    let outcome = place.mvault(["commit"]).run();
    assert_ended(&outcome, &[0, 3]);
    assert_eq!(committed(&place, STREAM).as_ref(), Some(&stream), "EVT-{number}: every byte is kept");
    assert_ended(&place.mvault(["events", "list", "--all", "--json"]).run(), &[0]);
    let text = place.mvault(["events", "list", "--all"]).run();
    assert_ended(&text, &[0]);
    assert!(!text.stdout.contains(&0x1b), "EVT-{number}: no control sequence reaches a terminal");
    assert_ended(&place.mvault(["events", "verify", "--json"]).run(), &[0, 1]);
    assert_ended(&place.mvault(["events", "export"]).run(), &[0]);
    // Another event goes behind it, on a line of its own, and every byte stays.
    assert_ended(&place.mvault(["note", "--stream", "x", "goes on"]).run(), &[0]);
    let after = place.read(STREAM);
    assert!(after.starts_with(&stream), "EVT-{number}");
    let last = after.split(|b| *b == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    assert!(last.ends_with(b"{\"text\":\"goes on\"}}"), "EVT-{number}: {}", String::from_utf8_lossy(last));
    assert_ended(&place.mvault(["verify"]).run(), &[0]);
    // As an import: what cannot be read is refused or kept, never half taken.
    let into = vault();
    into.write("incoming", &stream);
    let file = into.work().join("incoming");
    let file = file.to_str().expect("a name");
    assert_ended(&into.mvault(["events", "import", file, "--stream", "y"]).run(), &[0, 1, 3]);
    merges(number, line.as_ref());
}

/// Two devices add to a stream that has it, one of them the line itself once more.
#[track_caller]
fn merges(number: &str, line: &[u8]) {
    let place = pair(&[(STREAM, GOOD)]);
    let with = |lines: &[&[u8]]| [&[GOOD.as_bytes()], lines].concat().concat();
    place.write(format!("mac/{STREAM}"), with(&[b"{\"mac\":1}\n"]));
    on(&place, "mac", &["commit"]).code(0);
    place.write(format!("pixel/{STREAM}"), with(&[line]));
    assert_ended(&on(&place, "pixel", &["commit"]).run(), &[0, 3]);
    let outcome = on(&place, "mac", &["pull", "pixel"]).run();
    assert_ended(&outcome, &[0, 4]);
    let merged = place.read(format!("mac/{STREAM}"));
    let holds = |part: &[u8]| merged.windows(part.len()).any(|window| window == part);
    assert!(holds(b"{\"good\":1}") && holds(b"{\"mac\":1}"), "EVT-{number}");
    if outcome.code == Some(0) {
        // Everything that was a line of its own there is one here.
        let lines = line.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        // Glued ones are split.
        let is_whole =
            |one: &&[u8]| one.starts_with(b"{\"k") && one.ends_with(b"}") && !one[1..].contains(&b'{');
        for one in lines.filter(is_whole) {
            assert!(holds(one), "EVT-{number}: {}", String::from_utf8_lossy(one));
        }
        on(&place, "pixel", &["pull", "mac"]).code(0);
        assert_eq!(merged, place.read(format!("pixel/{STREAM}")), "EVT-{number}: both devices merge alike");
    }
    on(&place, "mac", &["verify"]).ok();
}

#[test]
fn evt_01_torn_glued_and_odd_ends_of_lines() {
    survives("01 torn", "{\"k\":1}\n{\"half\":");
    survives("01 glued", "{\"k\":1}{\"k\":2}\n");
    survives("01 torn and glued", "{\"half\":\"wo{\"k\":2}\n");
    survives("01 no final newline", "{\"k\":1}");
    survives("01 blank lines", "\n\n  \n{\"k\":1}\n\n");
    survives("01 CRLF", "{\"k\":1}\r\n{\"k\":2}\r\n");
    survives("01 CR alone", "{\"k\":1}\r{\"k\":2}\r");
    survives("01 BOM", "\u{feff}{\"k\":1}\n");
    survives("01 NUL run", [b"{\"k\":1}\n".as_slice(), &[0; 4096], b"\n{\"k\":2}\n"].concat());
    survives("01 NUL at the end", [b"{\"k\":1}\n".as_slice(), &[0; 4096]].concat());
}

#[test]
fn evt_02_text_that_is_none() {
    survives("02 lone surrogate", "{\"k\":\"\\ud800\"}\n");
    survives("02 surrogates in the wrong order", "{\"k\":\"\\udc00\\ud800\"}\n");
    survives("02 invalid UTF-8", b"{\"k\":\"\xff\xfe\"}\n");
    survives("02 overlong", b"{\"k\":\"\xc0\xaf\"}\n");
    survives("02 surrogate in UTF-8", b"{\"k\":\"\xed\xa0\x80\"}\n");
}

#[test]
fn evt_03_keys_and_numbers_that_do_not_survive_a_double() {
    survives("03 doubled keys", "{\"k\":1,\"k\":2}\n");
    survives("03 doubled by an escape", "{\"k\":1,\"\\u006b\":2}\n");
    survives("03 huge", "{\"k\":1e400}\n{\"k\":1e401}\n");
    survives("03 negative zero", "{\"k\":-0}\n{\"k\":0}\n{\"k\":-0.0}\n");
    survives("03 2^53 + 1", "{\"k\":9007199254740993}\n{\"k\":9007199254740992}\n");
    survives("03 20 digits", "{\"k\":12345678901234567890}\n{\"k\":12345678901234567891}\n");
    survives("03 many digits", format!("{{\"k\":{}}}\n", "9".repeat(100_000)));
    survives("03 a huge exponent", "{\"k\":1e99999999999999999999}\n");
}

#[test]
fn evt_03_two_values_are_not_collapsed_into_one() {
    let place = pair(&[(STREAM, GOOD)]);
    for (device, number) in [("mac", "9007199254740993"), ("pixel", "9007199254740992")] {
        place.write(format!("{device}/{STREAM}"), format!("{GOOD}{{\"k\":{number}}}\n"));
        on(&place, device, &["commit"]).code(0);
    }
    on(&place, "mac", &["pull", "pixel"]).code(0);
    let text = String::from_utf8(place.read(format!("mac/{STREAM}"))).expect("text");
    assert!(text.contains("740993") && text.contains("740992"), "{text}");
}

#[test]
fn evt_04_deep_and_long_lines() {
    survives("04 depth 129", format!("{{\"k\":{}{}}}\n", "[".repeat(129), "]".repeat(129)));
    survives("04 depth 10^6", format!("{{\"k\":{}{}}}\n", "[".repeat(1_000_000), "]".repeat(1_000_000)));
    survives("04 depth 10^6 and torn", format!("{{\"k\":{}", "{\"a\":".repeat(1_000_000)));
    survives("04 a line of 8 MiB", format!("{{\"k\":\"{}\"}}\n", "x".repeat(8 << 20)));
    survives("04 10^5 members", {
        let members: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{}}}\n", members.join(","))
    });
}

#[test]
fn evt_05_lines_that_are_no_objects() {
    for line in ["[1]\n", "\"text\"\n", "1\n", "null\n", "true\n", "plain text\n", "{\n", "}\n", "\u{0}\n"] {
        survives("05", line);
    }
}

#[test]
fn evt_06_and_07_claimed_ids() {
    let event = |id: &str, text: &str| {
        format!(
            "{{\"id\":\"{id}\",\"v\":1,\"at\":\"2026-11-20T10:00:00Z\",\"device\":\"tablet\",\"epoch\":\
             \"00112233aabbccdd\",\"seq\":1,\"prev\":null,\"lamport\":4,\"session\":null,\"kind\":\"note\",\
             \"body\":{{\"text\":\"{text}\"}}}}\n"
        )
    };
    let id = "ab".repeat(32);
    survives("06 claimed id is wrong", event(&id, "forged"));
    survives("06 claimed id is no id", event("none", "forged"));
    survives("07 one id, two bodies", event(&id, "one") + &event(&id, "two"));
    // Brought by two devices, it is a choice and not a pick.
    let place = pair(&[(STREAM, GOOD)]);
    for (device, text) in [("mac", "one"), ("pixel", "two")] {
        place.write(format!("{device}/{STREAM}"), format!("{GOOD}{}", event(&id, text)));
        on(&place, device, &["commit"]).code(0);
    }
    let outcome = on(&place, "mac", &["pull", "pixel"]).run();
    assert_ended(&outcome, &[0, 4]);
    let here = String::from_utf8(place.read(format!("mac/{STREAM}"))).expect("text");
    let is_both = here.contains("\"one\"") && here.contains("\"two\"");
    assert!(outcome.code == Some(4) || is_both, "a body was picked: {here}");
}

#[test]
fn evt_08_to_12_chains_stamps_and_times() {
    let event = |changes: &[(&str, &str)]| {
        let mut fields = vec![
            ("v", "1"),
            ("at", "\"2026-11-20T10:00:00Z\""),
            ("device", "\"tablet\""),
            ("epoch", "\"00112233aabbccdd\""),
            ("seq", "1"),
            ("prev", "null"),
            ("lamport", "4"),
            ("session", "null"),
            ("kind", "\"note\""),
            ("body", "{}"),
        ];
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            fields.push((name, value));
        }
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}\n", fields.join(","))
    };
    let unknown = format!("\"{}\"", "cd".repeat(32));
    for (number, changes) in [
        ("08 prev is not known", vec![("prev", &*unknown), ("seq", "2")]),
        ("08 prev is no id", vec![("prev", "\"x\"")]),
        ("09 a gap", vec![("seq", "99")]),
        ("10 this device's name with another epoch", vec![("device", "\"mac\"")]),
        ("10 a name that is none", vec![("device", "\"../x\"")]),
        ("11 lamport of 2^64 - 1", vec![("lamport", "18446744073709551615")]),
        ("11 lamport negative", vec![("lamport", "-1")]),
        ("11 lamport a fraction", vec![("lamport", "1.5")]),
        ("11 seq of 2^64 - 1", vec![("seq", "18446744073709551615")]),
        ("12 the year 9999", vec![("at", "\"9999-12-31T23:59:60Z\"")]),
        ("12 no time", vec![("at", "\"yesterday\"")]),
    ] {
        survives(number, event(&changes));
    }
    survives("09 a repeat and a fork", event(&[]) + &event(&[]) + &event(&[("kind", "\"other\"")]));
}

#[test]
fn evt_13_escapes_are_shown_harmless() {
    let line = "{\"k\":\"\\u001b]0;title\\u0007\\u001b[2J\",\"kind\":\"\\u001b[31mred\"}\n";
    survives("13 escaped", line);
    survives("13 raw", "{\"k\":\"\u{1b}[2J\"}\n\u{1b}[31m not JSON\n");
    survives("13 right to left", "{\"k\":\"\u{202e}txt.exe\"}\n");
}

#[test]
fn evt_14_earlier_lines_rewritten_moved_or_removed() {
    for after in [
        "{\"n\":1}\n{\"n\":\"2\"}\n{\"n\":3}\n",
        "{\"n\":3}\n{\"n\":1}\n{\"n\":2}\n",
        "{\"n\":1}\n{\"n\":2}\n",
        "{\"n\":1}\n{\"n\":2}\n{\"n\":3",
        "{\"n\":1}\n{\"n\":3}\n{\"n\":4}\n",
        "{\"n\":1}{\"n\":2}\n",
    ] {
        let place = vault();
        let before = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";
        place.write(STREAM, before);
        place.mvault(["commit"]).ok();
        place.write(STREAM, after);
        let told = place.mvault(["commit", "--json"]).code(3).json();
        assert_eq!(reasons(&told, "rejected"), [format!("stream-rewritten {STREAM}")], "{after:?}");
        assert_eq!(committed(&place, STREAM).as_deref(), Some(before.as_bytes()));
        assert_eq!(place.mvault(["quarantine", "list"]).json_lines().len(), 1, "both versions are kept");
        // Nor is anything written behind lines that are gone.
        assert_ended(&place.mvault(["note", "--stream", "x", "a note"]).run(), &[1]);
        assert_eq!(place.read(STREAM), after.as_bytes());
    }
}

#[test]
fn evt_14_a_torn_line_may_be_completed() {
    let place = vault();
    place.write(STREAM, "{\"n\":1}\n{\"n\":2,\"a");
    place.mvault(["commit"]).code(0);
    place.write(STREAM, "{\"n\":1}\n{\"n\":2,\"a\":3}\n{\"n\":4}\n");
    place.mvault(["commit"]).code(0);
}

#[test]
fn evt_15_conflict_markers_are_text_in_a_stream() {
    survives("15", "{\"k\":1}\n<<<<<<< mac\n=======\n>>>>>>> pixel\n");
    survives("15 as content", "{\"k\":\"<<<<<<< mac\\n=======\\n>>>>>>> pixel\"}\n");
}

#[test]
fn a_large_stream_that_lost_or_rewrote_lines_is_refused_like_a_small_one() {
    let place = vault();
    let lines: Vec<String> =
        (0..60_000).map(|n| format!("{{\"number\":{n},\"text\":\"event {n}\"}}\n")).collect();
    let before = lines.concat();
    assert!(before.len() > 2 << 20);
    place.write(STREAM, &before);
    place.mvault(["commit"]).ok();
    place.write(STREAM, format!("{before}{GOOD}"));
    place.mvault(["commit"]).code(0);
    let mut lost = lines.clone();
    lost.remove(30_000);
    let cut = before[..before.len() - 50].to_owned();
    for after in [lost.concat(), cut, before.replacen("event 7", "event seven", 1)] {
        place.write(STREAM, &after);
        let told = place.mvault(["commit", "--json"]).code(3).json();
        assert_eq!(reasons(&told, "rejected"), [format!("stream-rewritten {STREAM}")]);
        assert_eq!(committed(&place, STREAM).map(|bytes| bytes.len()), Some(before.len() + GOOD.len()));
    }
    remove(&place, STREAM);
    place.mvault(["commit"]).code(3);
}

#[test]
fn a_stream_of_another_kind_of_name_is_one_by_rule_only() {
    let place: Place = vault();
    place.write("vault.toml", "[[path]]\nmatch = '/log.txt'\nclass = 'stream'\n");
    place.mvault(["commit"]).ok();
    place.write("log.txt", "{\"n\":1}\n");
    place.write("other.txt", "{\"n\":1}\n");
    place.mvault(["commit"]).ok();
    place.write("log.txt", "{\"n\":2}\n");
    place.write("other.txt", "{\"n\":2}\n");
    let told = place.mvault(["commit", "--json"]).code(3).json();
    assert_eq!(reasons(&told, "rejected"), ["stream-rewritten log.txt"]);
}

/// Appends whole lines, several thousand a second, until it is dropped.
struct Appender(std::sync::Arc<std::sync::atomic::AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Appender {
    fn start(path: std::path::PathBuf) -> Appender {
        use std::io::Write;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let writer = std::thread::spawn(move || {
            let mut file = std::fs::File::options().append(true).open(path).expect("opens");
            for n in 0.. {
                if stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                // In two calls, so that half a line is often at the end.
                let line = format!("{{\"live\":{n},\"text\":\"{}\"}}\n", "y".repeat(60));
                for part in [&line[..30], &line[30..]] {
                    file.write_all(part.as_bytes()).expect("writes");
                }
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        });
        Appender(stop, Some(writer))
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        self.1.take().into_iter().for_each(|writer| writer.join().expect("it ends"));
    }
}

/// A log that is appended to was refused as changed while it was read, more often the larger it was.
#[test]
fn a_stream_that_is_being_written_is_committed_each_time_as_whole_lines() {
    let place = vault();
    let line = |n: usize| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(80));
    place.write("events/large.jsonl", (0..60_000).map(line).collect::<String>());
    place.write("events/small.jsonl", (0..100).map(line).collect::<String>());
    place.mvault(["commit"]).code(0);
    {
        let _writers: Vec<Appender> = ["large", "small"]
            .map(|name| Appender::start(place.work().join(format!("events/{name}.jsonl"))))
            .into();
        for _ in 0..8 {
            let outcome = place.mvault(["commit", "--json"]).code(0).json();
            let refused = reasons(&outcome, "rejected");
            assert!(refused.iter().all(|reason| reason.starts_with("torn-line")), "{outcome}");
            assert!(outcome["id"].is_string(), "it grew: {outcome}");
            place.mvault(["status"]).code(0);
        }
    }
    place.mvault(["commit"]).code(0);
    for name in ["events/large.jsonl", "events/small.jsonl"] {
        let on_disk = place.read(name);
        assert_eq!(committed(&place, name).as_ref(), Some(&on_disk), "all of it is there at the end");
        place.mvault(["events", "verify", name]).code(0);
    }
    assert_eq!(place.mvault(["status"]).json()["changes"].as_array().map(Vec::len), Some(0));
}

/// 90,000 good lines in one commit were called torn: the scan ended within a line after 8 MiB.
#[test]
fn a_stream_that_gains_much_or_long_lines_is_not_torn() {
    let place = vault();
    let lines: String =
        (0..90_000).map(|n| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(80))).collect();
    place.write("events/much.jsonl", &lines);
    let picture = format!("{{\"image\":\"{}\"}}\n", "QUJD".repeat(9 << 18));
    place.write("events/long.jsonl", format!("{{\"a\":1}}\n{picture}{{\"b\":2}}\n"));
    let told = place.mvault(["commit", "--json"]).code(0).json();
    assert_eq!(reasons(&told, "rejected"), [] as [&str; 0]);
    place.mvault(["events", "verify"]).code(0);
    assert_eq!(
        place.mvault(["events", "export", "--stream", "long"]).code(0).stdout,
        place.read("events/long.jsonl")
    );
    place.write("events/much.jsonl", format!("{lines}{{\"torn\":\n{{\"c\":1}}\n"));
    let told = place.mvault(["commit", "--json"]).code(0).json();
    assert_eq!(reasons(&told, "rejected"), ["torn-line events/much.jsonl"]);
}

/// Lines with `NaN`, half an emoji or doubled keys were called torn with exit code 3, and an import said that they
/// were not committed.
#[test]
fn odd_lines_are_neither_torn_nor_left_out() {
    let place = vault();
    place.write(STREAM, GOOD);
    place.mvault(["commit"]).code(0);
    let odd =
        "{\"score\":NaN}\n{\"b\":\"\\ud83d\"}\n{\"k\":1,\"k\":2}\n{\"n\":1e400}\n{\"n\":-Infinity}\nplain\n";
    place.write(STREAM, format!("{GOOD}{odd}"));
    let outcome = place.mvault(["commit"]).code(0);
    assert!(!outcome.stderr().contains("torn"), "{}", outcome.describe());
    place.write("incoming.txt", "{\"c\":\"\\ud83d\"}\n{\"d\":NaN}\n");
    let outcome = place.mvault(["events", "import", "incoming.txt", "--stream", "y"]).code(0);
    assert!(!outcome.stderr().contains("committed"), "{}", outcome.describe());
    assert_eq!(committed(&place, "events/y.jsonl"), Some(place.read("incoming.txt")));
}
