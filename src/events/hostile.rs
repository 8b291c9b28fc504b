//! Lines that no honest writer writes, and those that honest writers write when they are killed. Whatever
//! is in a line, the others are read, merged and kept.

use crate::object::{DeviceName, Json, JsonFault, Lamport};

use super::tests::{event, grow, lines};
use super::*;

fn contents(text: &[u8]) -> Vec<Content> {
    Stream::parse(text).lines().iter().map(|line| line.content.clone()).collect()
}

/// Puts a line between two good ones and returns what it is; the good ones must not suffer, and a merge
/// must keep its bytes.
fn between(odd: &[u8]) -> Vec<Content> {
    let good = grow(b"", "mac", &[1, 2]);
    let cut = good.iter().position(|b| *b == b'\n').expect("two lines") + 1;
    let text = [&good[..cut], odd, b"\n", &good[cut..]].concat();
    let mut found = contents(&text);
    assert!(matches!(found.first(), Some(Content::Event(_))), "the line before");
    assert!(matches!(found.last(), Some(Content::Event(_))), "the line behind");
    let other = grow(b"", "tablet", &[1]);
    let merged = merge_streams(None, &text, &other).expect("merges");
    let trimmed = odd.trim_ascii();
    assert!(merged.windows(trimmed.len().max(1)).any(|w| w == trimmed) || trimmed.is_empty(), "kept");
    assert_eq!(merge_streams(None, &other, &text), Ok(merged));
    found.remove(0);
    found.pop();
    found
}

fn opaque(odd: &[u8]) -> Opaque {
    match &between(odd)[..] {
        [Content::Opaque(why, _)] => *why,
        other => panic!("{} is {other:?}", String::from_utf8_lossy(odd)),
    }
}

fn foreign(odd: &str) -> ForeignFacts {
    match &between(odd.as_bytes())[..] {
        [Content::Foreign(facts)] => facts.clone(),
        other => panic!("{odd} is {other:?}"),
    }
}

fn findings(text: &[u8]) -> Vec<&'static str> {
    verify(&Stream::parse(text)).findings.iter().map(Finding::kind).collect()
}

#[test]
fn evt_01_torn_glued_and_oddly_ended_lines_are_read_in_parts() {
    let good = grow(b"", "mac", &[1, 2]);
    let both = lines(&good);
    let ids = |text: &[u8]| Stream::parse(text).events().map(|(_, facts)| facts.id).collect::<Vec<_>>();
    let expected = ids(&good);
    assert_eq!(expected.len(), 2);
    let same = [
        both.join("\n"),
        both.join(""),
        both.join("\r\n"),
        format!("\n\n{}\n \t\r\n{}\n\n", both[0], both[1]),
        format!("\u{feff}{}\n{}\n", both[0], both[1]),
        format!("{}\n\0\0\0\0{}\n", both[0], both[1]),
        format!("{}\n{}\n{{\"id\":\"torn", both[0], both[1]),
        format!("{}\n{}\n\0\0\0\0\0\0\0\0", both[0], both[1]),
    ];
    for text in same {
        assert_eq!(ids(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn evt_02_text_that_is_no_unicode_is_opaque_and_kept() {
    use JsonFault::{LoneSurrogate, NotUtf8};
    assert_eq!(opaque(b"{\"a\":\"\\ud800\"}"), Opaque::Unreadable(LoneSurrogate));
    assert_eq!(opaque(b"{\"a\":\"\\udc00\\ud800\"}"), Opaque::Unreadable(LoneSurrogate));
    assert_eq!(opaque(b"{\"a\":\"\xff\xfe\"}"), Opaque::Unreadable(NotUtf8));
    assert_eq!(opaque(b"{\"a\":\"\xc0\xaf\"}"), Opaque::Unreadable(NotUtf8));
    assert_eq!(opaque(b"{\"a\":\"\xed\xa0\x80\"}"), Opaque::Unreadable(NotUtf8));
}

#[test]
fn evt_03_values_that_differ_keep_different_names() {
    assert_eq!(opaque(b"{\"a\":1,\"a\":2}"), Opaque::Unreadable(JsonFault::DoubledKey));
    let differ = [
        "1e400",
        "1e401",
        "-1e400",
        "0",
        "-0",
        "9007199254740992",
        "9007199254740993",
        "12345678901234567890",
        "12345678901234567891",
        "0.1",
        "0.1000000000000000055511151231257827",
        "\"0\"",
    ];
    let names: Vec<EventId> = differ.iter().map(|n| foreign(&format!("{{\"n\":{n}}}")).hash).collect();
    let distinct: std::collections::BTreeSet<&EventId> = names.iter().collect();
    assert_eq!(distinct.len(), differ.len());
    assert_eq!(foreign("{\"n\":1.0}").hash, foreign("{ \"n\" : 1e0 }").hash);
}

#[test]
fn evt_04_deep_and_endless_lines_are_opaque_in_bounded_time() {
    assert_eq!(opaque("{\"a\":".repeat(800_000).as_bytes()), Opaque::Unreadable(JsonFault::TooDeep));
    assert_eq!(opaque("[".repeat(1_000_000).as_bytes()), Opaque::Unreadable(JsonFault::TooDeep));
    assert_eq!(opaque(&vec![b'x'; 64 << 20]), Opaque::TooLong);
    let long = format!("{{\"a\":\"{}\"}}", "y".repeat(LINE_BYTES_MAX));
    assert_eq!(opaque(long.as_bytes()), Opaque::TooLong);
}

/// Each of these once made, or could make, a naive search for glued objects try every place anew.
#[test]
fn evt_04_lines_made_to_waste_salvage_are_read_in_bounded_time() {
    let start = std::time::Instant::now();
    for text in [
        format!("{{\"a\":1{}", "{\"b\":[1,".repeat(100_000)),
        format!("x{}", "{\"id\":\"".repeat(100_000)),
        format!("{{\"a\":[{}", "{\"id\":\"x\"},".repeat(100_000)),
        format!("{{!{}!", "{\"a\":1}".repeat(100_000)),
        "{\"a\":\"".repeat(100_000),
        "{\"a\":1,{\"".repeat(100_000),
        "\0{".repeat(100_000),
        "{".repeat(1_000_000),
        format!("{{\"k\":\"{}", "{\"z\":\"x\" ".repeat(100_000)),
    ] {
        let stream = Stream::parse(text.as_bytes());
        assert!(!stream.lines().is_empty());
        verify(&stream);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(60), "took {:?}", start.elapsed());
}

#[test]
fn evt_05_json_that_is_no_object_is_opaque() {
    for text in ["[1,2]", "\"text\"", "17", "null", "true"] {
        assert_eq!(opaque(text.as_bytes()), Opaque::NotAnObject, "{text}");
    }
}

#[test]
fn evt_06_a_wrong_id_makes_a_foreign_line_that_is_reported() {
    let good = grow(b"", "pixel", &[1]);
    let forged = lines(&good)[0].replace("pixel 1", "pixel 2");
    let facts = foreign(&forged);
    assert!(matches!(facts.fault, Some(EventError::WrongId { .. })));
    assert_eq!(findings(forged.as_bytes()), ["not-an-event"]);
}

#[test]
fn evt_07_two_bodies_under_one_id_are_a_conflict() {
    let a = b"{\"id\":\"x\",\"body\":1}\n";
    let b = b"{\"id\":\"x\",\"body\":2}\n";
    let conflict = Err(StreamConflict::TwoBodies(vec!["x".to_owned()]));
    assert_eq!(merge_streams(None, a, b), conflict);
    assert_eq!(merge_streams(Some(&b""[..]), b, a), conflict);
    assert!(import(a, b).is_err());
    // A forged body under the id of an event of ours: the same.
    let good = grow(b"", "pixel", &[1]);
    let forged = lines(&good)[0].replace("pixel 1", "pixel 2");
    assert!(merge_streams(None, &good, forged.as_bytes()).is_err());
    // Both in one stream: kept, and reported.
    let both = [&good[..], forged.as_bytes()].concat();
    assert_eq!(findings(&both), ["not-an-event", "two-bodies"]);
    // One side changed a line the other left alone: a change like any other.
    let more = [&a[..], b"{\"new\":1}\n"].concat();
    let out = merge_streams(Some(&a[..]), b, &more).expect("merges");
    assert_eq!(lines(&out).len(), 2);
    assert!(lines(&out).contains(&"{\"id\":\"x\",\"body\":2}"));
}

#[test]
fn evt_08_events_that_follow_nothing_known_are_held_back() {
    let all = grow(b"", "pixel", &[1, 2, 3]);
    let late = lines(&all)[1..].join("\n");
    let report = verify(&Stream::parse(late.as_bytes()));
    assert_eq!(report.held, [true, true]);
    assert_eq!(findings(late.as_bytes()), ["gap", "held-back"]);
    // An event that names itself, or two that name each other, cannot have ids that hold.
    let id = "a".repeat(64);
    let itself = lines(&all)[1].replacen(&lines(&all)[1][7..71], &id, 1);
    let itself = itself.replace(&lines(&all)[0][7..71], &id);
    assert!(matches!(foreign(&itself).fault, Some(EventError::WrongId { .. })));
}

#[test]
fn evt_08_very_many_events_held_back_are_counted_in_linear_time() {
    let first = event(b"", "pixel", 1, "{}");
    let mut text = Vec::new();
    let mut prev = first.event;
    for seq in 2..20_002 {
        let place = super::event::Place { seq, prev: Some(prev.id), lamport: Lamport(seq) };
        let new = NewEvent {
            at: prev.at.clone(),
            device: prev.device.clone(),
            epoch: prev.epoch.clone(),
            session: None,
            kind: "note".to_owned(),
            body: Json::Null,
            head: Lamport(1),
        };
        prev = Event::make(new, place).expect("an event");
        text.extend_from_slice(prev.line().as_bytes());
        text.push(b'\n');
    }
    let report = verify(&Stream::parse(&text));
    assert!(report.findings.iter().any(|f| matches!(f, Finding::HeldBack { events: 20_000, .. })));
    assert!(report.held.iter().all(|held| *held));
}

#[test]
fn evt_09_gaps_repeats_and_forks_are_named() {
    let all = grow(b"", "mac", &[1, 2, 3, 4]);
    let parts = lines(&all);
    let gap = [parts[0], parts[1], parts[3]].join("\n");
    assert_eq!(findings(gap.as_bytes()), ["gap", "held-back"]);
    let repeat = [parts[0], parts[1], parts[1]].join("\n");
    assert_eq!(findings(repeat.as_bytes()), ["repeated"]);
    let one = grow(&grow(b"", "mac", &[1]), "mac", &[5]);
    let other = grow(&grow(b"", "mac", &[1]), "mac", &[6]);
    let fork = merge_streams(None, &one, &other).expect("forks merge: both happened");
    assert_eq!(findings(&fork), ["fork"]);
    // Where a chain forked, the next event goes on from one of the two, the same for everyone.
    let next = event(&fork, "mac", 1, "{}").event;
    assert_eq!(next.seq, 3);
    assert_eq!(findings(&[fork, next.line().into_bytes()].concat()), ["fork"]);
}

#[test]
fn evt_10_another_life_of_a_device_is_another_chain() {
    let one = grow(b"", "mac", &[1, 2]);
    let mut new = NewEvent {
        at: "2026-11-22T08:40:00Z".to_owned(),
        device: DeviceName::parse("mac").expect("a name"),
        epoch: Epoch::parse("ffffffffffffffff").expect("an epoch"),
        session: None,
        kind: "note".to_owned(),
        body: Json::Null,
        head: Lamport(1),
    };
    let appended = Stream::parse(&one).append(new.clone()).expect("an event");
    assert_eq!((appended.event.seq, appended.event.prev), (1, None));
    let text = [&one[..], &appended.bytes].concat();
    let report = verify(&Stream::parse(&text));
    assert!(report.findings.is_empty());
    assert_eq!(report.chains.len(), 2);
    // An event that follows one of another device does not hang together.
    new.device = DeviceName::parse("pixel").expect("a name");
    let place = super::event::Place { seq: 3, prev: Some(report.chains[0].last), lamport: Lamport(9) };
    let stolen = Event::make(new, place).expect("an event").line();
    assert!(findings(&[&one[..], stolen.as_bytes()].concat()).contains(&"bad-link"));
}

#[test]
fn evt_11_stamps_out_of_range_order_nothing_and_raise_nobodys_clock() {
    for stamp in ["18446744073709551615", "9007199254740993", "-1", "1.5", "1e400", "\"7\"", "null"] {
        let facts = foreign(&format!("{{\"lamport\":{stamp},\"device\":\"mac\"}}"));
        assert_eq!(facts.stamp, None, "{stamp}");
    }
    let wild = b"{\"lamport\":9007199254740992,\"device\":\"mac\"}\n";
    assert_eq!(event(wild, "mac", 10, "{}").event.lamport, Lamport(11));
    let far = b"{\"lamport\":1048586,\"device\":\"mac\"}\n{\"lamport\":1048587,\"device\":\"mac\"}\n";
    assert_eq!(event(far, "mac", 10, "{}").event.lamport, Lamport(1_048_587));
}

#[test]
fn evt_12_times_order_nothing() {
    let early = event(b"", "pixel", 0, "{}").event;
    let mut far = event(b"", "mac", 5, "{}").event;
    far.at = "9999-12-31T23:59:59Z".to_owned();
    let remade = NewEvent {
        at: far.at,
        device: far.device,
        epoch: far.epoch,
        session: None,
        kind: far.kind,
        body: far.body,
        head: Lamport(5),
    };
    let far = Stream::parse(b"").append(remade).expect("an event").event;
    let out = merge_streams(None, far.line().as_bytes(), early.line().as_bytes()).expect("merges");
    assert_eq!(lines(&out), [early.line(), far.line()]);
}

#[test]
fn evt_13_control_characters_never_leave_the_json_raw() {
    let appended = event(b"", "mac", 1, "{\"text\":\"\\u001b[31m\\u0007\"}");
    assert!(!appended.bytes.iter().any(|b| *b < 0x20 && *b != b'\n'));
    let json = appended.event.line().replace("\"kind\":\"note\"", "\"kind\":\"\\u001b[2J\"");
    assert_eq!(foreign(&json).fault, Some(EventError::BadMember("kind")));
}

#[test]
fn evt_14_lines_rewritten_reordered_or_removed_are_named() {
    let all = grow(b"", "mac", &[1, 2, 3]);
    let parts = lines(&all);
    let removed = [parts[0], parts[2]].join("\n");
    assert_eq!(shrinkage(&all, removed.as_bytes()).lost, [2]);
    let rewritten = all.to_vec();
    let rewritten = String::from_utf8(rewritten).expect("UTF-8").replace("mac 2", "mac 9");
    assert_eq!(shrinkage(&all, rewritten.as_bytes()).lost, [2]);
    let reordered = [parts[1], parts[0], parts[2]].join("\n");
    assert_eq!(shrinkage(&all, reordered.as_bytes()).moved, Some(2));
    assert!(shrinkage(&all, &grow(&all, "mac", &[9])).is_none());
}

#[test]
fn evt_15_conflict_markers_are_text_like_any_other() {
    let facts = foreign("{\"text\":\"<<<<<<< ours\\n=======\\n>>>>>>> theirs\"}");
    assert_eq!(facts.fault, None);
    for marker in ["<<<<<<< ours", "=======", ">>>>>>> theirs"] {
        opaque(marker.as_bytes());
    }
}
