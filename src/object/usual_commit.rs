//! Commits as devices usually write them, decoded and encoded without the general parser: a walk down a long
//! history does little else.
//!
//! - What is accepted here is accepted by the general decoder, and means the same: a property test holds
//!   the two together. Anything out of the ordinary (other headers, odd identities, text that is not UTF-8)
//!   is left to that one, which also says what is wrong.
//! - Each part is read so strictly that there is one spelling of it, and headers come in one order: writing what was
//!   read gives the same bytes, without doing it.

use std::sync::Arc;

use super::{Commit, CommitId, Lamport, Signature, TreeId};

/// The headers in the order in which they stand. Only the blobs that are purged have one each.
const HEADERS: [&str; 7] = ["lamport", "device", "session", "restores", PURGES, "reconcile", "vault"];
const PURGES: &str = "purges";

/// Decodes a commit, or returns `None` if it is none of the usual kind. Names that `neighbour` has are shared with it.
pub(super) fn decode(bytes: &[u8], neighbour: Option<&Commit>) -> Option<Commit> {
    let text = std::str::from_utf8(bytes).ok().filter(|_| !bytes.contains(&0))?;
    let mut lines = text.split('\n');
    let mut header_bytes = 0;
    let mut next = || lines.next().inspect(|line| header_bytes += line.len() + 1);
    let tree = TreeId::parse(next()?.strip_prefix("tree ")?).ok()?;
    let mut parents = Vec::with_capacity(1);
    let mut line = next()?;
    while let Some(parent) = line.strip_prefix("parent ") {
        parents.push(CommitId::parse(parent).ok()?);
        line = next()?;
    }
    let author = signature(line.strip_prefix("author ")?, neighbour.map(|commit| &commit.author))?;
    let committer = signature(next()?.strip_prefix("committer ")?, Some(&author))?;
    let (known_device, known_session) =
        neighbour.map_or((&None, &None), |commit| (&commit.device, &commit.session));
    let mut commit = Commit {
        tree,
        parents,
        author,
        committer,
        lamport: Lamport(0),
        device: None,
        session: None,
        restores: None,
        purges: Vec::new(),
        reconcile: None,
        vault: None,
        extra: Vec::new(),
        message: Default::default(),
    };
    let mut ahead = &HEADERS[..];
    loop {
        let line = next()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(' ')?;
        let at = ahead.iter().position(|header| *header == name)?;
        ahead = &ahead[if name == PURGES { at } else { at + 1 }..];
        let is_number = matches!(name, "lamport" | "reconcile");
        if is_number && !is_decimal(value) {
            return None;
        }
        match name {
            "device" if known_device.as_ref().is_some_and(|known| known.as_str() == value) => {
                commit.device = known_device.clone();
            }
            "session" if known_session.as_ref().is_some_and(|known| known.as_str() == value) => {
                commit.session = known_session.clone();
            }
            _ => commit.take_header(name.as_bytes(), value.as_bytes()).ok()?,
        }
    }
    commit.message = text.get(header_bytes..).filter(|message| !message.is_empty())?.into();
    Some(commit)
}

/// Tells whether a number above or equal to 0 is spelled as one is written.
fn is_decimal(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'))
}

/// Parses `NAME <EMAIL> SECONDS OFFSET`; name and address may be those that another signature has.
fn signature(text: &str, known: Option<&Signature>) -> Option<Signature> {
    let (name, rest) = text.split_once(" <")?;
    let (email, rest) = rest.split_once("> ")?;
    let (seconds, offset) = rest.split_once(' ')?;
    let is_usual = |text: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let inside = |byte: u8| byte >= 0x80 || matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>');
        edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(inside)
    };
    let shared = |text: &str, known: Option<&Arc<str>>| {
        let is_usual = text.is_ascii() && is_usual(text);
        is_usual.then(|| known.filter(|known| ***known == *text).cloned().unwrap_or_else(|| text.into()))
    };
    let name = shared(name, known.map(|known| &known.name))?;
    let email = shared(email, known.map(|known| &known.email))?;
    let seconds: i64 = is_decimal(seconds).then(|| seconds.parse().ok())??;
    let (sign, digits) = match offset.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let &[h1, h2, m1, m2] = digits else { return None };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |tens: u8, ones: u8| i32::from(tens - b'0') * 10 + i32::from(ones - b'0');
    let (hours, minutes) = (number(h1, h2), number(m1, m2));
    let offset_minutes = sign * (hours * 60 + minutes);
    let is_sane = hours < 24 && minutes < 60 && (sign > 0 || offset_minutes < 0);
    is_sane.then_some(Signature { name, email, seconds, offset_minutes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::object::{BlobId, CommitError, DeviceName, ObjectId, SessionId, VaultId};

    /// Commits of all kinds, usual ones and others.
    fn commits() -> impl Strategy<Value = Commit> {
        let who = ("[A-Za-z0-9 .,é'<-]{1,9}", "[a-z@.\\\\ -]{1,9}", -9_i64..2_000_000_000, -1600_i32..1600);
        let who =
            who.prop_map(|(name, email, seconds, offset)| Signature::new(&name, &email, seconds, offset));
        let headers = (
            1_u64..99_999,
            proptest::option::of("[a-z]{3,8}"),
            proptest::option::of("[a-z0-9.]{1,8}"),
            any::<[bool; 4]>(),
        );
        let ids = proptest::collection::btree_set(any::<[u8; 32]>(), 0..4);
        let message = prop_oneof!["[ -~\n]{0,40}", "\n{0,3}[a-zé]{0,9}\n{0,2}"];
        (who.clone(), who, headers, ids, message).prop_map(|(author, committer, headers, ids, message)| {
            let (lamport, device, session, [restores, purges, derived, extra]) = headers;
            let ids: Vec<ObjectId> = ids.into_iter().map(ObjectId::from_bytes).collect();
            Commit {
                tree: TreeId::empty(),
                parents: ids.iter().copied().map(CommitId::new).collect(),
                author,
                committer,
                lamport: Lamport(lamport),
                device: device.and_then(|name| DeviceName::parse(&name)),
                session: session.and_then(|id| SessionId::parse(&id)),
                restores: ids.first().copied().filter(|_| restores).map(CommitId::new),
                purges: ids.iter().copied().filter(|_| purges).map(BlobId::new).collect(),
                reconcile: derived.then_some(1),
                vault: ids.is_empty().then(|| VaultId::new([7; 16])),
                extra: extra.then(|| ("later".into(), "x".into())).into_iter().collect(),
                message: message.into(),
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_decoded_here_is_decoded_alike_by_the_general_decoder(
            commit in commits(),
            at in any::<proptest::sample::Index>(),
            byte in prop_oneof![Just(b' '), Just(b'0'), Just(b'+'), Just(b'\n'), Just(b'<'), any::<u8>()],
            edit in 0..8_u8,
            is_near in any::<bool>(),
        ) {
            let mut bytes = commit.encode();
            let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            let (index, line) = (at, at.index(lines.len()));
            let at = index.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => {
                    let below = (line + 1).min(lines.len() - 1);
                    lines.swap(line, below);
                    bytes = lines.join(&b'\n');
                }
                4 => {
                    lines.insert(line, lines[line]);
                    bytes = lines.join(&b'\n');
                }
                5 => {
                    lines.remove(line);
                    bytes = lines.join(&b'\n');
                }
                6 => {
                    let blanks: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b' ').collect();
                    bytes.insert(blanks[index.index(blanks.len())] + 1, byte);
                }
                _ => {}
            }
            let neighbour = is_near.then_some(&commit);
            if let Some(usual) = decode(&bytes, neighbour) {
                // What contradicts itself is refused for both behind the decoder.
                match Commit::decode_any(&bytes) {
                    Ok(general) => prop_assert_eq!(usual, general),
                    Err(error) => prop_assert!(matches!(error, CommitError::BadForm(_)), "{}", error),
                }
            }
        }
    }

    #[test]
    fn what_devices_write_is_usual() {
        let who = Signature::new("paul", "paul@mac", 1_700_000_000, 330);
        let commit = Commit {
            tree: TreeId::empty(),
            parents: vec![CommitId::new(TreeId::empty().object())],
            author: who.clone(),
            committer: who,
            lamport: Lamport(42),
            device: DeviceName::parse("mac"),
            session: SessionId::parse("3f2a"),
            restores: None,
            purges: Vec::new(),
            reconcile: None,
            vault: None,
            extra: Vec::new(),
            message: "a title\n\nand more\n".into(),
        };
        let near = decode(&commit.encode(), None).expect("usual");
        assert_eq!(near, commit);
        let next = decode(&commit.encode(), Some(&near)).expect("usual");
        assert_eq!(next, commit);
        assert!(Arc::ptr_eq(&next.author.name, &near.author.name));
        assert!(Arc::ptr_eq(&next.committer.email, &near.author.email));
        let device = |commit: &Commit| commit.device.as_ref().map(|device| device.as_str().as_ptr());
        assert_eq!(device(&next), device(&near));
    }

    #[test]
    fn another_spelling_is_not_usual() {
        let who = Signature::new("paul", "paul@mac", 1_700_000_000, -90);
        let commit = Commit {
            tree: TreeId::empty(),
            parents: [1, 2].map(|byte| CommitId::new(ObjectId::from_bytes([byte; 32]))).to_vec(),
            author: who.clone(),
            committer: who,
            lamport: Lamport(42),
            device: DeviceName::parse("mac"),
            session: SessionId::parse("3f2a"),
            restores: Some(CommitId::new(TreeId::empty().object())),
            purges: [1, 2].map(|byte| BlobId::new(ObjectId::from_bytes([byte; 32]))).to_vec(),
            reconcile: Some(1),
            vault: Some(VaultId::new([7; 16])),
            extra: Vec::new(),
            message: "a title".into(),
        };
        let text = String::from_utf8(commit.encode()).expect("text");
        assert_eq!(decode(text.as_bytes(), None), Some(commit));
        for (from, to) in [
            ("1700000000", "+1700000000"),
            ("1700000000", "01700000000"),
            ("1700000000", "-1700000000"),
            ("-0130", "-0000"),
            ("-0130", "-01:0"),
            ("-0130", "-130"),
            ("-0130", "-0160"),
            ("lamport 42", "lamport +42"),
            ("lamport 42", "lamport 042"),
            ("lamport 42", "lamport  42"),
            ("reconcile 1", "reconcile 01"),
            ("reconcile 1", "reconcile +1"),
            ("lamport 42\ndevice mac\n", "device mac\nlamport 42\n"),
            ("device mac\n", "device mac\ndevice mac\n"),
            ("reconcile 1\n", "reconcile 1\nreconcile 1\n"),
            ("session 3f2a\n", "session 3f2a\nlater 1\n"),
            ("vault 0707", "vault 0A07"),
            ("a title", ""),
            ("a title", "a \0"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert_eq!(decode(changed.as_bytes(), None), None, "{from} -> {to}");
        }
    }
}
