//! Commits: git's commit object with mvault's headers after `committer`.
//!
//! The headers, in this order: `lamport`, `device`, `session`, `restores`, `purges` (as often as there
//! are blobs to name), `reconcile`, `vault`, the others at most once; then headers of later versions,
//! which are kept as they are. Stock `git fsck --strict` accepts them.
//!
//! Decoding is strict: bytes that would not encode back to themselves are refused, so an id always
//! names one meaning.

use std::fmt;
use std::sync::Arc;

use gix::bstr::{BString, ByteSlice};

use super::{BlobId, CommitId, Kind, Lamport, ObjectId, StampError, TreeId, hash_object, usual_commit};

/// A commit is a tombstone of at most so many blobs.
pub const PURGES_MAX: usize = 4096;

/// Why bytes are no commit of a vault.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Not a commit object at all.
    #[error("not a commit object: {0}")]
    Malformed(String),
    /// Parsed, but would encode to other bytes: headers out of order, doubled, or spelled oddly.
    #[error("the commit is not in canonical form")]
    NotCanonical,
    /// A header whose value is not allowed.
    #[error("commit header {header:?} has a bad value: {value:?}")]
    BadHeader {
        /// The header's name.
        header: &'static str,
        /// Its value, shortened.
        value: String,
    },
    /// A combination of headers that no device writes.
    #[error("the commit contradicts itself: {0}")]
    BadForm(&'static str),
    /// A stamp outside the range its parents allow.
    #[error(transparent)]
    Stamp(#[from] StampError),
}

/// A device's name: `[a-z0-9][a-z0-9-]{0,31}` and none of the reserved words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName(Arc<str>);

/// Words that mean something else where a device can be named.
const DEVICE_NAMES_RESERVED: [&str; 10] =
    ["base", "both", "heads", "tags", "saved", "remotes", "op", "main", "localhost", "head"];

impl DeviceName {
    /// Parses a device name; `None` for anything that is not one.
    pub fn parse(text: &str) -> Option<DeviceName> {
        let first = text.bytes().next().is_some_and(|b| b != b'-');
        let rest = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let free = !DEVICE_NAMES_RESERVED.contains(&text);
        (first && rest && free && text.len() <= 32).then(|| DeviceName(text.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an agent's session: `[A-Za-z0-9._-]{1,128}`, no leading dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Parses a session id; `None` for anything that is not one.
    pub fn parse(text: &str) -> Option<SessionId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let fits = (1..=128).contains(&text.len()) && !text.starts_with('.');
        (fits && text.bytes().all(allowed)).then(|| SessionId(text.into()))
    }

    /// Returns the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The random 128-bit id of a vault, written into its root commit; 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultId([u8; 16]);

impl VaultId {
    /// Makes an id of 16 random bytes.
    pub fn new(random: [u8; 16]) -> VaultId {
        VaultId(random)
    }

    /// Parses 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<VaultId> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(VaultId(bytes)).filter(|id| id.to_string() == text)
    }
}

impl fmt::Display for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Who and when, as git writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// A name without `<`, `>` and line breaks.
    pub name: Arc<str>,
    /// An address, likewise; need not be a real one.
    pub email: Arc<str>,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// The offset of the writer's zone from UTC in minutes, east positive.
    pub offset_minutes: i32,
}

impl Signature {
    /// Makes a signature; characters that cannot stand in one are replaced by spaces.
    pub fn new(name: &str, email: &str, seconds: i64, offset_minutes: i32) -> Signature {
        Signature { name: clean(name).into(), email: clean(email).into(), seconds, offset_minutes }
    }

    /// Returns the signature as it stands in a commit.
    fn line(&self) -> String {
        let minutes = self.offset_minutes.unsigned_abs();
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        format!(
            "{} <{}> {} {sign}{:02}{:02}",
            self.name,
            self.email,
            self.seconds,
            minutes / 60,
            minutes % 60
        )
    }

    fn from_gix(signature: gix::actor::SignatureRef<'_>) -> Result<Signature, CommitError> {
        let time = signature.time().map_err(|e| CommitError::Malformed(e.to_string()))?;
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|_| CommitError::Malformed("an identity is not UTF-8".into()))?;
            // With one of these it would be another identity when it is read again, or two.
            match text.contains(['<', '>', '\n', '\0']) {
                true => Err(CommitError::Malformed(
                    "an identity has an address inside its name or address".into(),
                )),
                false => Ok(text),
            }
        };
        Ok(Signature {
            name: text(signature.name)?.into(),
            email: text(signature.email)?.into(),
            seconds: time.seconds,
            offset_minutes: time.offset / 60,
        })
    }
}

fn clean(text: &str) -> String {
    let replaced: String =
        text.chars().map(|c| if c.is_control() || matches!(c, '<' | '>') { ' ' } else { c }).collect();
    replaced.trim_matches(|c: char| c.is_whitespace() || ".,:;\"'\\".contains(c)).to_owned()
}

/// A state of the vault: its tree, what it came from, who made it and when in causal order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The tree.
    pub tree: TreeId,
    /// What it was made from. Empty only for a root.
    pub parents: Vec<CommitId>,
    /// Who made it.
    pub author: Signature,
    /// The same, as git wants both.
    pub committer: Signature,
    /// The Lamport stamp.
    pub lamport: Lamport,
    /// The device that authored it; none on a derived commit.
    pub device: Option<DeviceName>,
    /// The agent's session it was made in.
    pub session: Option<SessionId>,
    /// The commit whose tree this one brings back.
    pub restores: Option<CommitId>,
    /// The blobs whose bytes were to be removed for good: it is their tombstone. Sorted, each once, at
    /// most [`PURGES_MAX`].
    pub purges: Vec<BlobId>,
    /// The version of the merge rule; only on derived commits.
    pub reconcile: Option<u32>,
    /// The vault's id; only on a root.
    pub vault: Option<VaultId>,
    /// Headers of later versions, kept as they came.
    pub extra: Vec<(BString, BString)>,
    /// What was done, for people. UTF-8 is written; any bytes are read.
    pub message: BString,
}

impl Commit {
    /// Tells whether reconcile made this commit, rather than a device.
    pub fn is_derived(&self) -> bool {
        self.reconcile.is_some()
    }

    /// Returns what it cannot do without: its tree and its parents.
    pub fn links(&self) -> impl Iterator<Item = (Kind, ObjectId)> + '_ {
        let parents = self.parents.iter().map(|parent| (Kind::Commit, parent.object()));
        std::iter::once((Kind::Tree, self.tree.object())).chain(parents)
    }

    /// Returns the first line of the message.
    pub fn title(&self) -> String {
        self.message.lines().next().unwrap_or_default().to_str_lossy().into_owned()
    }

    /// Encodes the commit as git does. Whatever the fields hold, this cannot fail: what decodes was held against
    /// what it encodes to.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + self.message.len());
        put_header(&mut out, b"tree", self.tree.to_string().as_bytes());
        for parent in &self.parents {
            put_header(&mut out, b"parent", parent.to_string().as_bytes());
        }
        put_header(&mut out, b"author", self.author.line().as_bytes());
        put_header(&mut out, b"committer", self.committer.line().as_bytes());
        put_header(&mut out, b"lamport", self.lamport.to_string().as_bytes());
        if let Some(device) = &self.device {
            put_header(&mut out, b"device", device.as_str().as_bytes());
        }
        if let Some(session) = &self.session {
            put_header(&mut out, b"session", session.as_str().as_bytes());
        }
        if let Some(restores) = self.restores {
            put_header(&mut out, b"restores", restores.to_string().as_bytes());
        }
        for blob in &self.purges {
            put_header(&mut out, b"purges", blob.to_string().as_bytes());
        }
        if let Some(version) = self.reconcile {
            put_header(&mut out, b"reconcile", version.to_string().as_bytes());
        }
        if let Some(vault) = self.vault {
            put_header(&mut out, b"vault", vault.to_string().as_bytes());
        }
        for (name, value) in &self.extra {
            put_header(&mut out, name, value);
        }
        out.push(b'\n');
        out.extend_from_slice(&self.message);
        out
    }

    /// Returns the id of the encoded commit.
    pub fn id(&self) -> CommitId {
        CommitId::new(hash_object(Kind::Commit, &self.encode()))
    }

    /// Decodes a commit and checks its form; what needs the parents' stamps is left to
    /// [`Commit::check_stamp`].
    pub fn decode(bytes: &[u8]) -> Result<Commit, CommitError> {
        Commit::decode_beside(bytes, None)
    }

    /// Decodes a commit as [`Commit::decode`] does. Names that another one has as well, as neighbours in a history
    /// do, are shared with it: to take memory for each, and to give it back, was a sixth of a walk.
    pub fn decode_beside(bytes: &[u8], neighbour: Option<&Commit>) -> Result<Commit, CommitError> {
        let commit = match usual_commit::decode(bytes, neighbour) {
            Some(commit) if commit.lamport != Lamport(0) => commit,
            _ => return Commit::decode_any(bytes),
        };
        commit.check_form()?;
        Ok(commit)
    }

    /// Decodes a commit of any kind.
    pub(super) fn decode_any(bytes: &[u8]) -> Result<Commit, CommitError> {
        let malformed = |e: String| CommitError::Malformed(e);
        let parsed = gix::objs::CommitRef::from_bytes(bytes, gix::hash::Kind::Sha256)
            .map_err(|e| malformed(e.to_string()))?;
        if parsed.encoding.is_some() || bytes.contains(&0) {
            return Err(CommitError::NotCanonical);
        }
        let id = |id: gix::ObjectId| {
            ObjectId::from_gix(&id).ok_or_else(|| malformed("an id is not a SHA-256".into()))
        };
        let author = parsed.author().map_err(|e| malformed(e.to_string()))?;
        let committer = parsed.committer().map_err(|e| malformed(e.to_string()))?;
        let mut commit = Commit {
            tree: TreeId::new(id(parsed.tree())?),
            parents: parsed.parents().map(|p| id(p).map(CommitId::new)).collect::<Result<_, _>>()?,
            author: Signature::from_gix(author)?,
            committer: Signature::from_gix(committer)?,
            lamport: Lamport(0),
            device: None,
            session: None,
            restores: None,
            purges: Vec::new(),
            reconcile: None,
            vault: None,
            extra: Vec::new(),
            message: parsed.message.to_owned(),
        };
        for (name, value) in &parsed.extra_headers {
            commit.take_header(name, value)?;
        }
        if commit.lamport == Lamport(0) {
            return Err(CommitError::BadForm("it has no lamport stamp"));
        }
        if commit.encode() != bytes {
            return Err(CommitError::NotCanonical);
        }
        commit.check_form()?;
        Ok(commit)
    }

    pub(super) fn take_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), CommitError> {
        fn parse<T>(
            header: &'static str,
            value: &[u8],
            read: impl FnOnce(&str) -> Option<T>,
        ) -> Result<T, CommitError> {
            std::str::from_utf8(value).ok().and_then(read).ok_or_else(|| CommitError::BadHeader {
                header,
                value: value.to_str_lossy().chars().take(80).collect(),
            })
        }
        match name {
            b"lamport" => {
                self.lamport = Lamport(parse("lamport", value, |v| v.parse().ok())?);
            }
            b"device" => self.device = Some(parse("device", value, DeviceName::parse)?),
            b"session" => self.session = Some(parse("session", value, SessionId::parse)?),
            b"restores" => {
                self.restores = Some(parse("restores", value, |v| CommitId::parse(v).ok())?);
            }
            b"purges" => self.purges.push(parse("purges", value, |v| BlobId::parse(v).ok())?),
            b"reconcile" => self.reconcile = Some(parse("reconcile", value, |v| v.parse().ok())?),
            b"vault" => self.vault = Some(parse("vault", value, VaultId::parse)?),
            _ => self.extra.push((name.into(), value.into())),
        }
        Ok(())
    }

    fn check_form(&self) -> Result<(), CommitError> {
        let fail = |why| Err(CommitError::BadForm(why));
        if self.parents.is_empty() != self.vault.is_some() {
            return fail("a root names its vault, and nothing else does");
        }
        let mut seen = std::collections::BTreeSet::new();
        if !self.parents.iter().all(|p| seen.insert(*p)) {
            return fail("a parent is named twice");
        }
        if self.purges.len() > PURGES_MAX || !self.purges.is_sorted_by(|a, b| a < b) {
            return fail("the blobs it purges are too many, out of order or named twice");
        }
        match self.reconcile {
            None if self.device.is_none() => fail("an authored commit names its device"),
            None => Ok(()),
            Some(0) => fail("a merge rule has a version above 0"),
            Some(_) if self.parents.len() < 2 => fail("a derived commit has two parents or more"),
            Some(_) if self.device.is_some() || self.session.is_some() => {
                fail("a derived commit names no device and no session")
            }
            Some(_) if self.restores.is_some() => fail("a derived commit restores nothing"),
            Some(_) if !self.purges.is_empty() => fail("a derived commit purges nothing"),
            Some(_) if self.extra.iter().any(|(name, _)| name.starts_with(b"gpgsig")) => {
                fail("a derived commit is not signed")
            }
            Some(_) => Ok(()),
        }
    }

    /// Checks the stamp against the greatest of the parents' stamps; that of a derived commit is
    /// exactly one more.
    pub fn check_stamp(&self, parents_max: Lamport) -> Result<(), CommitError> {
        self.lamport.check(parents_max)?;
        if self.is_derived() && self.lamport.0 != parents_max.0 + 1 {
            return Err(CommitError::BadForm("a derived commit's stamp is one more than its parents'"));
        }
        Ok(())
    }
}

/// Appends a header: further lines of its value begin with a blank.
fn put_header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.push(b' ');
    // A line feed at the end of a value is the one that ends the header.
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    for (at, line) in value.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\n ");
        }
        out.extend_from_slice(line);
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Commit {
        let who = Signature::new("Ada <x>", "ada@mac", 1_700_000_000, 120);
        Commit {
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
            extra: vec![("later".into(), "kept\nin two lines\n".into())],
            message: "a title\n\nand more".into(),
        }
    }

    #[test]
    fn decode_is_the_inverse_of_encode() {
        let commit = example();
        assert_eq!(Commit::decode(&commit.encode()).expect("valid"), commit);
        let text = String::from_utf8(commit.encode()).expect("ASCII");
        assert!(text.contains("\nlamport 42\ndevice mac\nsession 3f2a\nlater kept\n in two lines\n"));
    }

    #[test]
    fn odd_spellings_are_refused() {
        let text = String::from_utf8(example().encode()).expect("ASCII");
        for (from, to) in [
            ("lamport 42", "lamport 042"),
            ("lamport 42", "lamport +42"),
            ("lamport 42\n", ""),
            ("lamport 42\n", "lamport 42\nlamport 42\n"),
            ("lamport 42\ndevice mac\n", "device mac\nlamport 42\n"),
            ("device mac\n", ""),
            ("device mac\n", "device Mac\n"),
            ("device mac\n", "device mac\nreconcile 1\n"),
            ("session 3f2a", "session ../x"),
            ("ada@mac", "ada\0mac"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert!(Commit::decode(changed.as_bytes()).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn purged_blobs_are_named_in_order_and_once() {
        let blob = |byte| BlobId::new(ObjectId::from_bytes([byte; 32]));
        let mut commit = Commit { purges: vec![blob(1), blob(2)], ..example() };
        assert_eq!(Commit::decode(&commit.encode()).expect("valid"), commit);
        let text = String::from_utf8(commit.encode()).expect("ASCII");
        let line = |byte: &str| format!("purges {}\n", byte.repeat(32));
        assert!(text.contains(&format!("session 3f2a\n{}{}later kept\n", line("01"), line("02"))));
        for purges in [vec![blob(2), blob(1)], vec![blob(1), blob(1)], vec![blob(3); PURGES_MAX + 1]] {
            commit.purges = purges;
            assert!(Commit::decode(&commit.encode()).is_err());
        }
        let derived = Commit {
            parents: [1, 2].map(|n| CommitId::new(ObjectId::from_bytes([n; 32]))).to_vec(),
            device: None,
            session: None,
            reconcile: Some(1),
            ..example()
        };
        assert!(Commit::decode(&derived.encode()).is_ok());
        let derived = Commit { purges: vec![blob(1)], ..derived };
        assert!(Commit::decode(&derived.encode()).is_err());
    }

    #[test]
    fn the_tombstone_of_the_format_page_is_what_is_written() {
        let who = Signature::new("ada", "ada@mac", 1_700_000_000, 60);
        let commit = Commit {
            author: who.clone(),
            committer: who,
            session: None,
            purges: [2, 3].map(|byte| BlobId::new(ObjectId::from_bytes([byte; 32]))).to_vec(),
            extra: Vec::new(),
            message: "a token got in\n".into(),
            ..example()
        };
        let (bytes, id) = (commit.encode(), commit.id());
        let text = String::from_utf8(bytes.clone()).expect("text");
        let text: String =
            text.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect();
        let block = format!("`purge`, {} bytes, id `{id}`:\n\n{text}", bytes.len());
        let page = include_str!("../../docs/format.md");
        assert!(page.contains(&block), "docs/format.md lacks this:\n{block}");
    }

    #[test]
    fn session_ids_are_what_hosts_give_and_never_a_path() {
        // A dash at the beginning is taken: hosts choose these ids, and where one becomes an argument it stands
        // behind `--`.
        for id in ["s-1", "-x", "--help", "_", "1", "a.b", &"a".repeat(128)] {
            assert!(SessionId::parse(id).is_some(), "{id:?}");
        }
        let too_long = "a".repeat(129);
        for id in [
            "",
            ".",
            "..",
            ".a",
            "a/b",
            "../a",
            "a b",
            "a\n",
            "a\0",
            "\u{1b}[31m",
            "\u{e9}",
            too_long.as_str(),
        ] {
            assert!(SessionId::parse(id).is_none(), "{id:?}");
        }
    }

    #[test]
    fn reserved_and_odd_device_names_are_none() {
        for name in ["", "-a", "Mac", "a_b", "main", "localhost", "base", &"a".repeat(33)] {
            assert!(DeviceName::parse(name).is_none(), "{name:?}");
        }
        assert!(DeviceName::parse("pixel-8a").is_some());
    }
}
