//! Commits as devices usually write them, decoded and encoded without the general parser: a walk down a long
//! history does little else.
//!
//! - What is accepted here is accepted by the general decoder, and means the same: a property test holds
//!   the two together. Anything out of the ordinary (other headers, odd identities, text that is not UTF-8)
//!   is left to that one, which also says what is wrong.
//! - What was read is written again and compared, so that there is one spelling of each commit.

use std::io::Write;

use super::{Commit, CommitId, Lamport, Signature, TreeId};

/// Decodes a commit, or returns `None` if it is none of the usual kind.
pub(super) fn decode(bytes: &[u8]) -> Option<Commit> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?;
    let (head, message) = text.split_once("\n\n")?;
    let mut lines = head.split('\n');
    let tree = TreeId::parse(lines.next()?.strip_prefix("tree ")?).ok()?;
    let mut parents = Vec::with_capacity(1);
    let mut line = lines.next()?;
    while let Some(parent) = line.strip_prefix("parent ") {
        parents.push(CommitId::parse(parent).ok()?);
        line = lines.next()?;
    }
    let author = signature(line.strip_prefix("author ")?)?;
    let committer = signature(lines.next()?.strip_prefix("committer ")?)?;
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
        message: message.into(),
    };
    for line in lines {
        let (name, value) = line.split_once(' ')?;
        commit.take_header(name.as_bytes(), value.as_bytes()).ok()?;
        if !commit.extra.is_empty() {
            return None;
        }
    }
    (!message.is_empty() && encode(&commit, bytes.len()) == bytes).then_some(commit)
}

/// Parses `NAME <EMAIL> SECONDS OFFSET`.
fn signature(text: &str) -> Option<Signature> {
    let (name, rest) = text.split_once(" <")?;
    let (email, rest) = rest.split_once("> ")?;
    let (seconds, offset) = rest.split_once(' ')?;
    let is_usual = |text: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let inside = |byte: u8| byte >= 0x80 || matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>');
        edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(inside)
    };
    if !is_usual(name) || !is_usual(email) || !name.is_ascii() || !email.is_ascii() {
        return None;
    }
    let seconds: i64 = seconds.parse().ok().filter(|seconds| *seconds >= 0)?;
    let (sign, digits) = match offset.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let &[h1, h2, m1, m2] = digits else { return None };
    let number = |a: u8, b: u8| Some(i32::from(a.checked_sub(b'0')?) * 10 + i32::from(b.checked_sub(b'0')?));
    let (hours, minutes) = (number(h1, h2)?, number(m1, m2)?);
    let offset_minutes = sign * (hours * 60 + minutes);
    let is_sane = hours < 24 && minutes < 60;
    is_sane.then(|| Signature { name: name.to_owned(), email: email.to_owned(), seconds, offset_minutes })
}

/// Encodes a commit of the usual kind.
fn encode(commit: &Commit, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 16);
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(out, "{name} {value}").expect("memory does not fail");
    };
    line("tree", &commit.tree);
    commit.parents.iter().for_each(|parent| line("parent", parent));
    for (role, who) in [("author", &commit.author), ("committer", &commit.committer)] {
        let Signature { name, email, seconds, offset_minutes } = who;
        let sign = if *offset_minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset_minutes.abs() / 60, offset_minutes.abs() % 60);
        line(role, &format_args!("{name} <{email}> {seconds} {sign}{hours:02}{minutes:02}"));
    }
    line("lamport", &commit.lamport.0);
    commit.device.iter().for_each(|device| line("device", device));
    commit.session.iter().for_each(|session| line("session", session));
    commit.restores.iter().for_each(|restores| line("restores", restores));
    commit.purges.iter().for_each(|blob| line("purges", blob));
    commit.reconcile.iter().for_each(|version| line("reconcile", version));
    commit.vault.iter().for_each(|vault| line("vault", vault));
    out.push(b'\n');
    out.extend_from_slice(&commit.message);
    out
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
            byte in prop_oneof![Just(b' '), Just(b'0'), Just(b'\n'), Just(b'<'), any::<u8>()],
            edit in 0..4_u8,
        ) {
            let mut bytes = commit.encode();
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => {}
            }
            if let Some(usual) = decode(&bytes) {
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
        assert_eq!(decode(&commit.encode()), Some(commit));
    }
}
