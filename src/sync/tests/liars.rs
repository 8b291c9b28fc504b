//! Peers that lie: each is found out, nothing of theirs is believed, and an honest session works after it.

use super::place::{FETCH, Lent, PUSH, Place, SYNC, noise, options, session};
use crate::object::{Commit, CommitId, Kind, Lamport, ObjectId, TreeId, VaultId, hash_object};
use crate::store::frame;
use crate::sync::frame::{Frame, Have, StampedBranch, StampedHead};
use crate::sync::receive::{Ours, Outside, ReceiveError, Receiving, Sender};
use crate::sync::session::{Caller, Machine, Server, Step};
use crate::sync::wire::WireError;
use crate::sync::{Class, Intent, Refusal, RefusalKind, SyncError};

/// Runs a session in which one direction passes through `twist`, which may change, drop or add frames.
/// Returns the caller's and the server's errors.
fn twisted(
    near: &mut Place,
    far: &mut Place,
    intent: Intent,
    lies_to: Side,
    twist: &mut dyn FnMut(Frame) -> Vec<Frame>,
) -> (Option<SyncError>, Option<SyncError>) {
    let name = far.device.to_string();
    let mut caller = Caller::new(near, options(intent, &name)).expect("offered");
    let mut server = Server::new(Box::new(move |_| Ok(Box::new(Lent(far)))));
    let mut errors = [None, None];
    let mut machines: [&mut dyn Machine; 2] = [&mut caller, &mut server];
    for _ in 0..1000 {
        for speaker in 0..2 {
            let listener = 1 - speaker;
            let lies = (listener == 0) == (lies_to == Side::Caller);
            while errors[speaker].is_none() {
                let frame = match machines[speaker].next_step() {
                    Ok(Step::Send(frame)) => frame,
                    Ok(_) => break,
                    Err(error) => {
                        errors[speaker] = Some(error);
                        break;
                    }
                };
                for frame in if lies { twist(frame) } else { vec![frame] } {
                    if errors[listener].is_none() {
                        errors[listener] = machines[listener].receive(frame).err();
                    }
                }
            }
        }
        if errors.iter().any(Option::is_some) {
            break;
        }
    }
    for (machine, error) in machines.iter_mut().zip(&errors) {
        machine.fail(error.as_ref().unwrap_or(&SyncError::Broke { waiting_for: "the other side" }));
    }
    let [caller_error, server_error] = errors;
    (caller_error, server_error)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Caller,
    Server,
}

fn pair() -> (Place, Place) {
    let mut mac = Place::new("mac");
    mac.commit(&[("shared.md", b"one\n")]);
    let mut pixel = mac.cloned("pixel");
    pixel.commit(&[("pixel.md", b"pixel\n"), ("dir/note.md", b"a note\n")]);
    pixel.commit(&[("pixel.md", b"pixel\nmore\n"), ("big.bin", &noise(1, 600_000))]);
    (mac, pixel)
}

/// Lets a server lie to a fetching caller; the caller must notice, keep nothing and work afterwards.
fn server_lies(what: &str, twist: &mut dyn FnMut(Frame) -> Vec<Frame>) -> SyncError {
    let (mut mac, mut pixel) = pair();
    let old = mac.heads.clone();
    let (error, _) = twisted(&mut mac, &mut pixel, FETCH, Side::Caller, twist);
    let error = error.unwrap_or_else(|| panic!("{what}: not noticed"));
    assert_eq!(error.class(), Class::Peer, "{what}: {error}");
    assert_eq!(mac.heads, old, "{what}");
    assert!(mac.accepted.is_empty() && mac.remotes.is_empty(), "{what}");
    session(&mut mac, &mut pixel, FETCH)
        .unwrap_or_else(|e| panic!("{what}: an honest session afterwards: {e}"));
    assert_eq!(mac.heads, pixel.heads, "{what}");
    mac.check();
    assert!(mac.incoming_files().is_empty(), "{what}");
    error
}

/// Lets every frame pass but those of one name, the `nth` of which is replaced.
fn replace(
    name: &'static str,
    nth: usize,
    with: impl Fn(Frame) -> Vec<Frame>,
) -> impl FnMut(Frame) -> Vec<Frame> {
    let mut seen = 0;
    move |frame| {
        if frame.name() != name {
            return vec![frame];
        }
        seen += 1;
        if seen - 1 == nth { with(frame) } else { vec![frame] }
    }
}

#[test]
fn frames_doubled_left_out_or_out_of_order_end_the_session() {
    for name in ["hello", "offer", "known", "pack", "object", "large"] {
        server_lies(name, &mut replace(name, 0, |frame| vec![frame.clone(), frame]));
    }
    for name in ["hello", "offer", "known", "pack", "object", "large", "literal"] {
        server_lies(name, &mut replace(name, 0, |_| vec![]));
    }
    let strangers = [
        Frame::Bye(None),
        Frame::Ack { objects: 0 },
        Frame::Common(vec![]),
        Frame::Ask(vec![]),
        Frame::Have(Have::default()),
        Frame::PackEnd { objects: 0 },
        Frame::Copy { offset: 0, size: 1 },
        Frame::Working,
    ];
    for stranger in strangers {
        for name in ["hello", "offer", "known", "object"] {
            let stranger = stranger.clone();
            server_lies(stranger.name(), &mut replace(name, 0, move |frame| vec![stranger.clone(), frame]));
        }
    }
}

#[test]
fn an_object_that_is_left_out_is_missed_whichever_it_is() {
    for nth in 0..8 {
        server_lies("left out", &mut replace("object", nth, |_| vec![]));
    }
}

#[test]
fn an_object_in_place_of_another_is_found_out() {
    fn change(
        frame: Frame,
        how: impl Fn(&mut Kind, &mut ObjectId, &mut u32, &mut Option<ObjectId>, &mut Vec<u8>),
    ) -> Frame {
        let Frame::Object { mut kind, mut id, mut size, mut base, mut squeezed } = frame else {
            panic!("an object")
        };
        how(&mut kind, &mut id, &mut size, &mut base, &mut squeezed);
        Frame::Object { kind, id, size, base, squeezed }
    }
    for nth in 0..8 {
        let other = ObjectId::from_bytes([3; 32]);
        server_lies("id", &mut replace("object", nth, |f| vec![change(f, |_, id, _, _, _| *id = other)]));
        server_lies("size", &mut replace("object", nth, |f| vec![change(f, |_, _, size, _, _| *size += 1)]));
        server_lies(
            "huge",
            &mut replace("object", nth, |f| vec![change(f, |_, _, size, _, _| *size = u32::MAX)]),
        );
        server_lies(
            "base",
            &mut replace("object", nth, |f| vec![change(f, |_, _, _, base, _| *base = Some(other))]),
        );
        server_lies(
            "bytes",
            &mut replace("object", nth, |f| vec![change(f, |_, _, _, _, bytes| bytes.truncate(3))]),
        );
        server_lies(
            "content",
            &mut replace("object", nth, |f| {
                vec![change(f, |_, _, size, base, bytes| {
                    *base = None;
                    *size = 4;
                    *bytes = frame::encode_whole(b"evil");
                })]
            }),
        );
        server_lies(
            "kind",
            &mut replace("object", nth, |f| {
                vec![change(f, |kind, _, _, _, _| {
                    *kind = if *kind == Kind::Blob { Kind::Tree } else { Kind::Blob }
                })]
            }),
        );
    }
}

#[test]
fn objects_that_nobody_needs_end_the_session() {
    let extra = |bytes: &'static [u8]| Frame::Object {
        kind: Kind::Blob,
        id: super::place::blob_id(bytes),
        size: bytes.len() as u32,
        base: None,
        squeezed: frame::encode_whole(bytes),
    };
    let error = server_lies("extra", &mut replace("object", 0, |f| vec![extra(b"not asked for"), f]));
    assert!(error.to_string().contains("does not need it"), "{error}");
    server_lies(
        "at the end",
        &mut replace("pack-end", 0, |f| {
            let Frame::PackEnd { objects } = f else { panic!("the end") };
            vec![extra(b"not asked for"), Frame::PackEnd { objects: objects + 1 }]
        }),
    );
    server_lies("wrong count", &mut replace("pack-end", 0, |_| vec![Frame::PackEnd { objects: 1 }]));
}

#[test]
fn a_commit_that_no_offered_head_needs_ends_the_session() {
    let (_, pixel) = pair();
    let parent = *pixel.heads.iter().next().expect("a head");
    let old = pixel.store_commit(parent).parents[0];
    server_lies(
        "an older head",
        &mut replace("offer", 0, |_| {
            let head = StampedHead { id: old, lamport: Lamport(3) };
            vec![Frame::Offer(vec![StampedBranch { name: "main".into(), heads: vec![head] }])]
        }),
    );
}

#[test]
fn a_head_that_does_not_come_ends_the_session() {
    server_lies(
        "a head from nowhere",
        &mut replace("offer", 0, |frame| {
            let Frame::Offer(mut branches) = frame else { panic!("an offer") };
            let id = CommitId::new(ObjectId::from_bytes([9; 32]));
            branches[0].heads.push(StampedHead { id, lamport: Lamport(9) });
            vec![Frame::Offer(branches)]
        }),
    );
}

#[test]
fn large_objects_that_lie_about_themselves_end_the_session() {
    let large = |f: Frame, how: &dyn Fn(&mut u64, &mut u64, &mut Option<ObjectId>)| {
        let Frame::Large { kind, id, mut size, mut base, mut from } = f else { panic!("large") };
        how(&mut size, &mut from, &mut base);
        vec![Frame::Large { kind, id, size, base, from }]
    };
    server_lies("too short", &mut replace("large", 0, |f| large(f, &|size, _, _| *size -= 1)));
    server_lies("too long", &mut replace("large", 0, |f| large(f, &|size, _, _| *size += 1)));
    server_lies("small", &mut replace("large", 0, |f| large(f, &|size, _, _| *size = 5)));
    server_lies("goes on", &mut replace("large", 0, |f| large(f, &|_, from, _| *from = 7)));
    let none = ObjectId::from_bytes([3; 32]);
    for (offset, size) in [(0, 1), (u64::MAX, 1), (0, u64::MAX), (0, 0)] {
        server_lies("no base", &mut replace("literal", 0, move |f| vec![Frame::Copy { offset, size }, f]));
        server_lies("copy", &mut {
            let mut first = replace("large", 0, move |f| large(f, &|_, _, base| *base = Some(none)));
            move |frame| {
                let mut frames = first(frame);
                if frames.iter().any(|frame| frame.name() == "large") {
                    frames.push(Frame::Copy { offset, size });
                }
                frames
            }
        });
    }
    server_lies(
        "other bytes",
        &mut replace("literal", 1, |f| {
            let Frame::Literal { size, reference, .. } = f else { panic!("a literal") };
            vec![Frame::Literal { size, reference, squeezed: frame::encode_whole(&noise(77, size as usize)) }]
        }),
    );
    server_lies(
        "reference",
        &mut replace("literal", 0, |f| {
            let Frame::Literal { size, squeezed, .. } = f else { panic!("a literal") };
            vec![Frame::Literal { size, reference: Some((0, u32::MAX)), squeezed }]
        }),
    );
}

#[test]
fn a_kept_beginning_is_never_taken_for_another_length() {
    let (mut mac, mut pixel) = pair();
    let mut literals = 0;
    let mut cut = |frame: Frame| {
        literals += usize::from(frame.name() == "literal");
        if literals > 2 {
            vec![Frame::Refused(Refusal::new(RefusalKind::Other, "gone"))]
        } else {
            vec![frame]
        }
    };
    twisted(&mut mac, &mut pixel, FETCH, Side::Caller, &mut cut);
    assert!(!mac.incoming_files().is_empty());
    let mut wrong = replace("large", 0, |f| {
        let Frame::Large { kind, id, size, base, from } = f else { panic!("large") };
        assert!(from > 0);
        vec![Frame::Large { kind, id, size, base, from: from - 1 }]
    });
    let (error, _) = twisted(&mut mac, &mut pixel, FETCH, Side::Caller, &mut wrong);
    assert!(matches!(error, Some(SyncError::Receive(ReceiveError::Content(_)))), "{error:?}");
    session(&mut mac, &mut pixel, FETCH).expect("honest");
    mac.check();
}

/// Puts a bad commit into an honest server's store: the protocol is kept, the content is not.
fn bad_commit(make: impl Fn(&mut Place) -> Commit) -> String {
    let mut mac = Place::new("mac");
    mac.commit(&[("a", b"a")]);
    let mut pixel = mac.cloned("pixel");
    let old = mac.heads.clone();
    let good = pixel.heads.clone();
    let commit = make(&mut pixel);
    pixel.put(vec![(Kind::Commit, commit.encode())]);
    pixel.heads = [commit.id()].into();
    let error = session(&mut mac, &mut pixel, FETCH).expect_err("it is bad");
    assert!(matches!(error, SyncError::Receive(ReceiveError::Content(_))), "{error:?}");
    assert_eq!(mac.heads, old);
    assert!(mac.remotes.is_empty() && mac.incoming_files().is_empty());
    pixel.heads = good;
    pixel.commit(&[("b", b"b")]);
    session(&mut mac, &mut pixel, FETCH).expect("honest");
    error.to_string()
}

fn head(place: &Place) -> CommitId {
    *place.heads.iter().next().expect("a head")
}

#[test]
fn stamps_outside_their_range_are_refused() {
    for stamp in [1, 2, 2 + (1 << 20) + 1, u64::MAX] {
        bad_commit(|pixel| {
            let mut commit = pixel.authored(TreeId::empty(), vec![head(pixel)]);
            commit.lamport = Lamport(stamp);
            commit
        });
    }
}

#[test]
fn heads_of_another_vault_are_refused_unless_they_were_allowed() {
    let mut mac = Place::new("mac");
    mac.commit(&[("a", b"a")]);
    let mut pixel = mac.cloned("pixel");
    let (old, good) = (mac.heads.clone(), pixel.heads.clone());
    let mut root = pixel.authored(TreeId::empty(), vec![]);
    root.vault = Some(VaultId::new([8; 16]));
    pixel.put(vec![(Kind::Commit, root.encode())]);
    pixel.heads = [root.id()].into();
    let error = session(&mut mac, &mut pixel, FETCH).expect_err("another root");
    assert!(matches!(error, SyncError::Receive(ReceiveError::Unrelated(_))), "{error:?}");
    assert_eq!((error.class(), error.kind()), (Class::Failed, "unrelated"));
    assert_eq!(mac.heads, old);
    // Somebody allowed it once and joined the two: then it is part of this vault's history.
    let mut heads = good.clone();
    heads.insert(root.id());
    pixel.heads = heads;
    pixel.commit(&[("joined", b"")]);
    session(&mut mac, &mut pixel, FETCH).expect("it goes back to our root as well");
    assert_eq!(mac.heads, pixel.heads);
    let mut work = Place::new("work");
    work.vault = Some(VaultId::new([9; 16]));
    let root = work.authored(TreeId::empty(), vec![]);
    work.put(vec![(Kind::Commit, root.encode())]);
    work.heads = [root.id()].into();
    mac.allows_unrelated = true;
    work.allows_unrelated = true;
    session(&mut mac, &mut work, FETCH).expect("it was allowed");
    mac.check();
}

#[test]
fn derived_commits_of_the_wrong_form_are_refused() {
    let fork = |pixel: &mut Place| -> Vec<CommitId> {
        let base = head(pixel);
        let mut parents = vec![pixel.commit(&[("x", b"x")])];
        pixel.heads = [base].into();
        parents.push(pixel.commit(&[("y", b"y")]));
        parents.sort_by_key(|id| (pixel.store_commit(*id).lamport, *id));
        parents
    };
    let on_top = |pixel: &mut Place, derived: Commit| {
        pixel.put(vec![(Kind::Commit, derived.encode())]);
        pixel.authored(derived.tree, vec![derived.id()])
    };
    let said = bad_commit(|pixel| {
        let parents = fork(pixel);
        pixel.derive(parents)
    });
    assert!(said.contains("which nobody offers"), "{said}");
    let said = bad_commit(|pixel| {
        let mut parents = fork(pixel);
        let mut derived = pixel.derive(parents.clone());
        parents.reverse();
        derived.parents = parents;
        on_top(pixel, derived)
    });
    assert!(said.contains("out of order"), "{said}");
    let said = bad_commit(|pixel| {
        let parents = fork(pixel);
        let derived = pixel.derive(vec![head(pixel), pixel.store_commit(parents[0]).parents[0]]);
        on_top(pixel, derived)
    });
    assert!(said.contains("an ancestor of another"), "{said}");
    let said = bad_commit(|pixel| {
        let parents = fork(pixel);
        let first = pixel.derive(parents);
        pixel.put(vec![(Kind::Commit, first.encode())]);
        let base = pixel.store_commit(head(pixel)).parents[0];
        pixel.heads = [base].into();
        let third = pixel.commit(&[("z", b"z")]);
        let derived = pixel.derive(vec![first.id(), third]);
        on_top(pixel, derived)
    });
    assert!(said.contains("a derived parent"), "{said}");
}

#[test]
fn trees_that_name_what_may_not_be_named_are_refused() {
    let mac = Place::new("mac");
    for name in [".git", ".MVAULT", "..", "a/b", "MVAULT~1", ""] {
        let mut bytes = format!("40000 {name}\0").into_bytes();
        bytes.extend_from_slice(TreeId::empty().object().as_bytes());
        let ours = Ours {
            vault: mac.vault,
            allows_unrelated: false,
            device: mac.device.clone(),
            limits: mac.limits,
            outside: Outside::Checked,
            sender: Sender::Device,
            gate_wait: std::time::Duration::ZERO,
        };
        let root = mac.dot.open_or_create_dir("incoming").expect("made");
        let mut receiving = Receiving::open(&root, "pixel", &mac.store, ours).expect("opened");
        let frame = Frame::Object {
            kind: Kind::Tree,
            id: hash_object(Kind::Tree, &bytes),
            size: bytes.len() as u32,
            base: None,
            squeezed: frame::encode_whole(&bytes),
        };
        let error = receiving.take(frame).expect_err("it is bad");
        assert!(matches!(receiving.refuse(error), ReceiveError::Content(_)));
        assert!(mac.incoming_files().is_empty());
    }
}

#[test]
fn a_pusher_that_claims_too_much_gets_nothing_set() {
    let (mut mac, mut pixel) = pair();
    let old = mac.heads.clone();
    let mut all_known = |frame: Frame| match frame {
        Frame::Known { decided, bits } => vec![Frame::Known { decided, bits: vec![true; bits.len()] }],
        other => vec![other],
    };
    let (_, error) = twisted(&mut pixel, &mut mac, PUSH, Side::Caller, &mut all_known);
    assert!(matches!(error, Some(SyncError::Receive(ReceiveError::Content(_)))), "{error:?}");
    assert_eq!(mac.heads, old);
    session(&mut pixel, &mut mac, PUSH).expect("honest");
    assert_eq!(mac.heads, pixel.heads);
}

#[test]
fn callers_that_break_the_protocol_are_refused_by_the_server() {
    let nowhere = CommitId::new(ObjectId::from_bytes([9; 32]));
    let strangers = [
        Frame::Outcome(crate::sync::Outcome {
            frontier: vec![],
            head: None,
            pending: 0,
            state: crate::sync::HeadState::Settled,
        }),
        Frame::Known { decided: false, bits: vec![] },
        Frame::PackEnd { objects: 0 },
        Frame::Pack { commits: 0 },
        Frame::Common(vec![nowhere]),
        Frame::Ack { objects: 0 },
    ];
    for stranger in strangers {
        for name in ["hello", "offer", "ask", "have"] {
            let (mut mac, mut pixel) = pair();
            let stranger = stranger.clone();
            let mut twist = replace(name, 0, move |frame| vec![stranger.clone(), frame]);
            let (_, error) = twisted(&mut mac, &mut pixel, FETCH, Side::Server, &mut twist);
            assert!(
                matches!(error, Some(SyncError::Wire(WireError::OutOfOrder { .. }))),
                "{name}: {error:?}"
            );
        }
    }
    let (mut mac, mut pixel) = pair();
    mac.commit(&[("mac.md", b"so that the server cannot decide")]);
    let mut twist = replace("common", 0, move |_| vec![Frame::Common(vec![nowhere])]);
    let (_, error) = twisted(&mut mac, &mut pixel, FETCH, Side::Server, &mut twist);
    assert!(matches!(error, Some(SyncError::Wire(WireError::Payload { .. }))), "{error:?}");
}

#[test]
fn nobody_learns_whether_a_commit_exists_that_no_head_reaches() {
    let (mut mac, mut pixel) = pair();
    let secret = pixel.authored(TreeId::empty(), vec![head(&pixel)]);
    pixel.put(vec![(Kind::Commit, secret.encode())]);
    let mut answers = Vec::new();
    let mut asks = Vec::new();
    let secret = secret.id();
    let mut ask = replace("ask", 0, |_| vec![Frame::Ask(vec![secret])]);
    let name = options(FETCH, "pixel");
    let mut caller = Caller::new(&mut mac, name).expect("offered");
    let mut server = Server::new(Box::new(|_| Ok(Box::new(Lent(&mut pixel)))));
    while let Ok(Step::Send(frame)) = caller.next_step() {
        for frame in ask(frame) {
            asks.push(frame.name());
            server.receive(frame).expect("taken");
        }
    }
    while let Ok(Step::Send(frame)) = server.next_step() {
        if let Frame::Known { bits, .. } = frame {
            answers = bits;
        }
    }
    assert_eq!(answers, [false]);
}

#[test]
fn our_own_frames_are_recognised_as_an_echo() {
    let (mut mac, _) = pair();
    let mut caller = Caller::new(&mut mac, options(SYNC, "pixel")).expect("offered");
    let Ok(Step::Send(hello)) = caller.next_step() else { panic!("a hello") };
    while let Ok(Step::Send(_)) = caller.next_step() {}
    assert!(matches!(caller.receive(hello), Err(SyncError::Echo)));
}

#[test]
fn a_peers_words_cannot_steer_the_terminal() {
    let evil =
        Refusal::new(RefusalKind::Other, "no\u{1b}[2J\u{1b}]0;title\u{7}\nreally").with_hint("\u{202e}x");
    let error = server_lies("words", &mut replace("hello", 0, move |_| vec![Frame::Refused(evil.clone())]));
    let text = format!("{error} {:?}", error.hint());
    assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
}

#[test]
fn two_sessions_of_one_peer_at_a_time_do_not_meet() {
    let (mut mac, mut pixel) = pair();
    let mut work = pixel.cloned("pixel");
    let name = options(FETCH, "pixel");
    let mut near = mac.cloned("mac");
    near.device = mac.device.clone();
    let mut first = Caller::new(&mut mac, name).expect("offered");
    let mut server = Server::new(Box::new(|_| Ok(Box::new(Lent(&mut pixel)))));
    let mut passed = 0;
    // The first session stops in the middle of its pack, with its folder locked.
    let result = crate::sync::local::join(&mut first, &mut server, &mut |frame| {
        passed += usize::from(frame.name() == "object");
        if passed == 2 {
            session(&mut near, &mut work, FETCH).expect("the second one finds a folder of its own");
            passed = 3;
        }
        true
    });
    result.expect("the first one goes on");
}
