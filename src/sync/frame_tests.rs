//! Tests of the frames: round trips, bounds, and bytes that must not decode.

use proptest::prelude::*;

use super::*;

pub(crate) fn hello() -> Hello {
    Hello {
        version: VERSION,
        oldest: VERSION_OLDEST,
        role: Role::Caller,
        intent: Intent { fetch: true, push: true },
        device: DeviceName::parse("mac").expect("valid"),
        epoch: [9; 16],
        vault: Some(VaultId::new([3; 16])),
        anchor: Some(Anchor { seq: 17, hash: [4; 32] }),
        rule: 1,
        program: "mvault 0.1.0".into(),
        path: Some("notes/vault".into()),
    }
}

fn id(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 32])
}

fn commit(n: u8) -> CommitId {
    CommitId::new(id(n))
}

fn examples() -> Vec<Frame> {
    let outcome =
        Outcome { frontier: vec![commit(1)], head: Some(commit(2)), pending: 3, state: HeadState::Dirty };
    let head = StampedHead { id: commit(1), lamport: Lamport(42) };
    vec![
        Frame::Hello(Box::new(hello())),
        Frame::Hello(Box::new(Hello { vault: None, anchor: None, path: None, ..hello() })),
        Frame::Offer(vec![]),
        Frame::Offer(vec![
            StampedBranch { name: "main".into(), heads: vec![head, head] },
            StampedBranch { name: "trial/a".into(), heads: vec![] },
        ]),
        Frame::Ask(vec![commit(1), commit(2)]),
        Frame::Known { decided: true, bits: vec![true, false, true, true, false, false, false, false, true] },
        Frame::Known { decided: false, bits: vec![] },
        Frame::Have(Have {
            more: true,
            commits: vec![commit(1)],
            objects: vec![id(2)],
            lacks: vec![id(4)],
            partial: Some((id(3), 5)),
        }),
        Frame::Have(Have::default()),
        Frame::Common(vec![commit(7)]),
        Frame::Want(vec![commit(7).object(), commit(8).object()]),
        Frame::Pack { commits: 3 },
        Frame::Object { kind: Kind::Tree, id: id(1), size: 9, base: Some(id(2)), squeezed: vec![1, 2, 3] },
        Frame::Object { kind: Kind::Blob, id: id(1), size: 9, base: None, squeezed: vec![1, 2, 3] },
        Frame::Large { kind: Kind::Blob, id: id(1), size: 1 << 40, base: Some(id(2)), from: 7 },
        Frame::Large { kind: Kind::Blob, id: id(1), size: 1 << 40, base: None, from: 0 },
        Frame::Literal { size: 9, reference: Some((7, 8)), squeezed: vec![1, 2, 3] },
        Frame::Literal { size: 9, reference: None, squeezed: vec![1, 2, 3] },
        Frame::Copy { offset: 1, size: 2 },
        Frame::PackEnd { objects: 4 },
        Frame::Ack { objects: 4 },
        Frame::Outcome(outcome.clone()),
        Frame::Bye(Some(outcome)),
        Frame::Bye(None),
        Frame::Working,
        Frame::Refused(Refusal::new(RefusalKind::Unrelated, "another vault").with_hint("--allow unrelated")),
        Frame::Refused(Refusal::new(RefusalKind::Other, "")),
    ]
}

fn decode(bytes: &[u8]) -> Result<Frame, WireError> {
    let header: [u8; HEADER_BYTES] = bytes[..HEADER_BYTES].try_into().expect("long enough");
    let header = Header::parse(header)?;
    assert!(header.payload_bytes() <= PAYLOAD_BYTES_MAX as usize);
    Frame::decode(header, &bytes[HEADER_BYTES..])
}

#[test]
fn every_frame_decodes_to_itself() {
    for frame in examples() {
        assert_eq!(decode(&frame.encode()), Ok(frame.clone()), "{}", frame.name());
    }
}

#[test]
fn a_cut_or_longer_payload_never_decodes_to_a_frame_of_other_bytes() {
    for frame in examples() {
        let bytes = frame.encode();
        for length in 0..=bytes.len() - HEADER_BYTES + 1 {
            let mut changed = bytes.clone();
            changed.resize(HEADER_BYTES + length, 0);
            changed[1..HEADER_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
            if let Ok(other) = decode(&changed) {
                assert!(encodes_back(&other, &changed), "{} at {length}", frame.name());
            }
        }
    }
}

#[test]
fn lengths_are_refused_before_anything_is_allocated() {
    for code in 0..=255u8 {
        for length in [u32::MAX, PAYLOAD_BYTES_MAX + 1, 1 << 31] {
            let l = length.to_be_bytes();
            assert!(Header::parse([code, l[0], l[1], l[2], l[3]]).is_err(), "{code} {length}");
        }
    }
    for code in [code::HELLO, code::OFFER, code::PACK, code::OBJECT, code::REFUSED] {
        assert!(Header::parse([code, 0, 0, 0, 0]).is_err());
    }
    assert!(Header::parse([code::WORKING, 0, 0, 0, 1]).is_err());
}

#[test]
fn counts_beyond_the_payload_take_no_memory() {
    let payload = [0xff, 0xff, 0xff, 0xff];
    let header = Header::parse([code::ASK, 0, 0, 0, 4]).expect("in bounds");
    assert!(matches!(Frame::decode(header, &payload), Err(WireError::Payload { .. })));
    let header = Header::parse([code::KNOWN, 0, 0, 0, 5]).expect("in bounds");
    assert!(Frame::decode(header, &[0, 0xff, 0xff, 0xff, 0xff]).is_err());
}

#[test]
fn versions_are_judged_before_the_rest_is_read() {
    let of = |version: u16, oldest: u16| {
        let mut bytes = Frame::Hello(Box::new(hello())).encode();
        bytes[5..7].copy_from_slice(&version.to_be_bytes());
        bytes[7..9].copy_from_slice(&oldest.to_be_bytes());
        bytes.truncate(40);
        let length = (bytes.len() - HEADER_BYTES) as u32;
        bytes[1..5].copy_from_slice(&length.to_be_bytes());
        decode(&bytes)
    };
    assert_eq!(of(999, 2), Err(WireError::TooNew { theirs: 999, oldest: 2 }));
    assert!(matches!(of(999, 1), Err(WireError::Payload { .. })), "version 1 is spoken, so the rest is read");
    assert!(matches!(of(0, 0), Err(WireError::Payload { .. })));
    assert!(matches!(of(1, 2), Err(WireError::Payload { .. })));
}

#[test]
fn the_hello_of_a_later_version_may_have_more_at_its_end() {
    // It was "malformed: bytes are left over", so that no later version could have said anything more.
    let with_more = |version: u16, more: &[u8]| {
        let mut bytes = Frame::Hello(Box::new(Hello { version, ..hello() })).encode();
        bytes.extend_from_slice(more);
        let length = (bytes.len() - HEADER_BYTES) as u32;
        bytes[1..5].copy_from_slice(&length.to_be_bytes());
        decode(&bytes)
    };
    for more in [&b""[..], b"x", &[0; 200]] {
        assert_eq!(with_more(2, more), Ok(Frame::Hello(Box::new(Hello { version: 2, ..hello() }))));
    }
    assert!(matches!(with_more(1, b"x"), Err(WireError::Payload { .. })), "this version has no more");
}

#[test]
fn offers_name_only_branches_and_only_so_many() {
    let offer = |names: &[&str]| {
        let branches =
            names.iter().map(|name| StampedBranch { name: (*name).into(), heads: vec![] }).collect();
        decode(&Frame::Offer(branches).encode())
    };
    assert!(offer(&["main", "x"]).is_ok());
    for bad in
        [&["x", "main"][..], &["main", "main"], &["../x"], &["-x"], &["a b"], &["a//b"], &["x.lock"], &[""]]
    {
        assert!(offer(bad).is_err(), "{bad:?}");
    }
    let head = StampedHead { id: commit(1), lamport: Lamport(1) };
    let many = |n| vec![StampedBranch { name: "main".into(), heads: vec![head; n] }];
    assert!(decode(&Frame::Offer(many(HEADS_MAX)).encode()).is_ok());
    assert!(matches!(decode(&Frame::Offer(many(HEADS_MAX + 1)).encode()), Err(WireError::Limit { .. })));
}

/// Codes of refusals that this version does not know become `Other`; all else keeps its bytes.
fn encodes_back(frame: &Frame, bytes: &[u8]) -> bool {
    let again = frame.encode();
    match frame {
        Frame::Refused(_) => again[..HEADER_BYTES] == bytes[..HEADER_BYTES] && again[6..] == bytes[6..],
        _ => again == bytes,
    }
}

/// Returns what is indented in a section of a page, each block without blanks and line breaks.
fn blocks<'p>(page: &'p str, section: &str) -> Vec<String> {
    let body = page.split(&format!("\n## {section}\n")).nth(1).expect("the section is there");
    let body: &'p str = body.split("\n## ").next().expect("split gives one at least");
    let mut blocks: Vec<String> = vec![String::new()];
    for line in body.lines() {
        match line.strip_prefix("    ") {
            Some(code) => blocks.last_mut().expect("never empty").push_str(code.trim()),
            None if !blocks.last().expect("never empty").is_empty() => blocks.push(String::new()),
            None => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[test]
fn frames_on_the_page_about_the_wire_are_those_of_the_program() {
    let page = include_str!("../../docs/sync.md");
    let id = ObjectId::from_bytes(std::array::from_fn(|n| n as u8));
    let head = StampedHead { id: CommitId::new(id), lamport: Lamport(42) };
    let expected = [
        Frame::Offer(vec![StampedBranch { name: "main".into(), heads: vec![head] }]),
        Frame::Ask(vec![head.id]),
        Frame::Known { decided: true, bits: vec![true, false, true] },
        Frame::Have(Have { partial: Some((id, 65_536)), ..Have::default() }),
        Frame::Want(vec![id]),
        Frame::Copy { offset: 7, size: 300 },
        Frame::Refused(Refusal::new(RefusalKind::Unrelated, "another vault")),
        Frame::Hello(Box::new(hello())),
    ];
    let shown = blocks(page, "Test vectors");
    let encoded: Vec<String> = expected.iter().map(|frame| hex::encode(frame.encode())).collect();
    assert_eq!(shown, encoded);
    let nonce = super::super::wire::Nonce::new([7; 16]);
    for line in [nonce.greeting(), nonce.answer()] {
        let line = String::from_utf8(line).expect("ASCII");
        assert!(page.contains(line.trim()), "{line}");
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_to_themselves_or_not_at_all(code in 0u8..0x30, payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = vec![code];
        bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&payload);
        if let Ok(frame) = decode(&bytes) {
            prop_assert!(encodes_back(&frame, &bytes));
        }
    }

    #[test]
    fn one_changed_byte_decodes_to_itself_or_not_at_all(which in 0usize..26, at in any::<prop::sample::Index>(), xor in 1u8..) {
        let mut bytes = examples()[which].encode();
        let at = at.index(bytes.len());
        bytes[at] ^= xor;
        let declared = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
        if declared == bytes.len() - HEADER_BYTES
            && let Ok(frame) = decode(&bytes)
        {
            prop_assert!(encodes_back(&frame, &bytes));
        }
    }
}
