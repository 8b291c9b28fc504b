//! Frames: what the two sides say to each other, as values and as bytes.
//!
//! `docs/sync.md` has them byte by byte. Encoding and decoding stand side by side; what decodes
//! encodes back to the same bytes, and nothing else decodes; but for the `hello` of a later version, which may have more
//! at its end.

mod header;

pub use header::Header;

use header::code;

use super::wire::{Fields, HEADER_BYTES, PAYLOAD_BYTES_MAX, VERSION, VERSION_OLDEST, WireError};
use super::{Anchor, Branch, HeadState, Intent, Outcome, Refusal, RefusalKind, Role, is_branch_name};
use crate::object::{CommitId, DeviceName, Kind, Lamport, ObjectId, VaultId};

/// The most ids in one `ask`.
pub const ASK_MAX: u32 = 4096;
/// The most ids in one list of any other frame.
pub const IDS_MAX: u32 = 8192;
/// The most branches in an offer.
pub const BRANCHES_MAX: u16 = 256;
/// The most heads in an offer, over all branches.
pub const HEADS_MAX: usize = 1024;
const PATH_BYTES_MAX: usize = 4096;
const TEXT_BYTES_MAX: usize = 2048;
const PROGRAM_BYTES_MAX: usize = 64;

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The newest version the speaker knows.
    pub version: u16,
    /// The oldest one.
    pub oldest: u16,
    /// Which end the speaker is. One that sees its own role talks to an echo.
    pub role: Role,
    /// What the caller wants done; the server repeats it.
    pub intent: Intent,
    /// The speaker's device.
    pub device: DeviceName,
    /// Its random epoch.
    pub epoch: [u8; 16],
    /// Its vault; none while a clone is being made.
    pub vault: Option<VaultId>,
    /// The last line of its operation log.
    pub anchor: Option<Anchor>,
    /// The newest merge rule it knows.
    pub rule: u32,
    /// Name and version of the program, for messages.
    pub program: String,
    /// Which vault the caller means; none is the far device's default.
    pub path: Option<String>,
}

/// A head and its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StampedHead {
    /// The commit.
    pub id: CommitId,
    /// Its stamp: nothing the speaker knows has a greater one than its greatest head.
    pub lamport: Lamport,
}

/// The heads of one branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampedBranch {
    /// The branch.
    pub name: String,
    /// Its heads: a frontier.
    pub heads: Vec<StampedHead>,
}

/// What a receiver kept of an earlier attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Have {
    /// Another `have` follows.
    pub more: bool,
    /// Commits that are there with all they need.
    pub commits: Vec<CommitId>,
    /// Further objects.
    pub objects: Vec<ObjectId>,
    /// Blobs that were purged there: not wanted, and no base.
    pub lacks: Vec<ObjectId>,
    /// A large object whose first bytes are there.
    pub partial: Option<(ObjectId, u64)>,
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Who speaks.
    Hello(Box<Hello>),
    /// What the speaker knows, as heads.
    Offer(Vec<StampedBranch>),
    /// "Do you know these commits?"
    Ask(Vec<CommitId>),
    /// The answer, in the order asked; `decided`: the pack follows at once.
    Known {
        /// The speaker knows all it needs to choose what to send.
        decided: bool,
        /// One answer a commit.
        bits: Vec<bool>,
    },
    /// What the speaker need not be sent again.
    Have(Have),
    /// "We both have these, and all their ancestors": the other side may send the rest.
    Common(Vec<CommitId>),
    /// "Send me these objects, whole": asked for by an end whose own copies are damaged.
    Want(Vec<ObjectId>),
    /// A pack begins.
    Pack {
        /// How many commits are in it.
        commits: u32,
    },
    /// An object of at most 512 KiB, compressed.
    Object {
        /// Its kind.
        kind: Kind,
        /// Its id.
        id: ObjectId,
        /// Its length.
        size: u32,
        /// The object it is compressed against.
        base: Option<ObjectId>,
        /// One zstd frame.
        squeezed: Vec<u8>,
    },
    /// A larger object begins; literals and copies follow until it is whole.
    Large {
        /// Its kind.
        kind: Kind,
        /// Its id.
        id: ObjectId,
        /// Its length.
        size: u64,
        /// The object that copies are taken from.
        base: Option<ObjectId>,
        /// How many bytes of it the receiver already has.
        from: u64,
    },
    /// The next bytes of a large object.
    Literal {
        /// How many.
        size: u32,
        /// The bytes of the base they are compressed against: where those begin, and how many.
        reference: Option<(u64, u32)>,
        /// One zstd frame.
        squeezed: Vec<u8>,
    },
    /// The next bytes of a large object, taken from its base.
    Copy {
        /// Where they begin there.
        offset: u64,
        /// How many.
        size: u64,
    },
    /// The pack is complete.
    PackEnd {
        /// How many objects were in it.
        objects: u64,
    },
    /// The pack arrived, was checked, and is durable.
    Ack {
        /// How many objects of it were new.
        objects: u64,
    },
    /// Where the speaker's head stands now.
    Outcome(Outcome),
    /// The caller is done.
    Bye(Option<Outcome>),
    /// Still at work: keeps the other side from giving up.
    Working,
    /// The speaker ends the session, and why.
    Refused(Refusal),
}

impl Frame {
    /// Returns the type's name, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Frame::Hello(_) => "hello",
            Frame::Offer(_) => "offer",
            Frame::Ask(_) => "ask",
            Frame::Known { .. } => "known",
            Frame::Have(_) => "have",
            Frame::Common(_) => "common",
            Frame::Want(_) => "want",
            Frame::Pack { .. } => "pack",
            Frame::Object { .. } => "object",
            Frame::Large { .. } => "large",
            Frame::Literal { .. } => "literal",
            Frame::Copy { .. } => "copy",
            Frame::PackEnd { .. } => "pack-end",
            Frame::Ack { .. } => "ack",
            Frame::Outcome(_) => "outcome",
            Frame::Bye(_) => "bye",
            Frame::Working => "working",
            Frame::Refused(_) => "refused",
        }
    }

    /// Encodes the frame with its header.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; HEADER_BYTES];
        let code = self.encode_payload(&mut out);
        let length = u32::try_from(out.len() - HEADER_BYTES).expect("a frame is bounded by construction");
        debug_assert!(length <= PAYLOAD_BYTES_MAX);
        out[0] = code;
        out[1..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
        out
    }

    fn encode_payload(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            Frame::Hello(hello) => {
                hello.encode(out);
                code::HELLO
            }
            Frame::Offer(branches) => {
                put_branches(out, branches);
                code::OFFER
            }
            Frame::Ask(commits) => {
                put_commits(out, commits);
                code::ASK
            }
            Frame::Known { decided, bits } => {
                put_bits(out, *decided, bits);
                code::KNOWN
            }
            Frame::Have(have) => {
                put_have(out, have);
                code::HAVE
            }
            Frame::Common(commits) => {
                put_commits(out, commits);
                code::COMMON
            }
            Frame::Want(ids) => {
                put_ids(out, ids);
                code::WANT
            }
            Frame::Ack { objects } => {
                out.extend_from_slice(&objects.to_be_bytes());
                code::ACK
            }
            Frame::Outcome(outcome) => {
                put_outcome(out, outcome);
                code::OUTCOME
            }
            Frame::Bye(outcome) => {
                out.push(u8::from(outcome.is_some()));
                if let Some(outcome) = outcome {
                    put_outcome(out, outcome);
                }
                code::BYE
            }
            Frame::Working => code::WORKING,
            Frame::Refused(refusal) => {
                out.push(refusal.kind.to_code());
                put_text(out, &refusal.message, TEXT_BYTES_MAX);
                put_text(out, refusal.hint.as_deref().unwrap_or_default(), TEXT_BYTES_MAX);
                code::REFUSED
            }
            _ => self.encode_pack_part(out),
        }
    }

    fn encode_pack_part(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            Frame::Pack { commits } => {
                out.extend_from_slice(&commits.to_be_bytes());
                code::PACK
            }
            Frame::Object { kind, id, size, base, squeezed } => {
                out.push(kind_code(*kind));
                out.extend_from_slice(&size.to_be_bytes());
                out.extend_from_slice(id.as_bytes());
                put_optional_id(out, *base);
                out.extend_from_slice(squeezed);
                code::OBJECT
            }
            Frame::Large { kind, id, size, base, from } => {
                out.push(kind_code(*kind));
                out.extend_from_slice(&size.to_be_bytes());
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(&from.to_be_bytes());
                put_optional_id(out, *base);
                code::LARGE
            }
            Frame::Literal { size, reference, squeezed } => {
                out.extend_from_slice(&size.to_be_bytes());
                out.push(u8::from(reference.is_some()));
                if let Some((offset, size)) = reference {
                    out.extend_from_slice(&offset.to_be_bytes());
                    out.extend_from_slice(&size.to_be_bytes());
                }
                out.extend_from_slice(squeezed);
                code::LITERAL
            }
            Frame::Copy { offset, size } => {
                out.extend_from_slice(&offset.to_be_bytes());
                out.extend_from_slice(&size.to_be_bytes());
                code::COPY
            }
            Frame::PackEnd { objects } => {
                out.extend_from_slice(&objects.to_be_bytes());
                code::PACK_END
            }
            _ => unreachable!("encode_payload takes all others"),
        }
    }

    /// Decodes the payload that follows `header`.
    pub fn decode(header: Header, payload: &[u8]) -> Result<Frame, WireError> {
        let mut fields = Fields::new(header.name, payload);
        let f = &mut fields;
        let frame = match header.code {
            code::HELLO => Frame::Hello(Box::new(Hello::decode(f)?)),
            code::OFFER => Frame::Offer(take_branches(f)?),
            code::ASK => Frame::Ask(f.commits(ASK_MAX)?),
            code::KNOWN => take_bits(f)?,
            code::HAVE => Frame::Have(take_have(f)?),
            code::COMMON => Frame::Common(f.commits(IDS_MAX)?),
            code::WANT => Frame::Want(f.ids(IDS_MAX)?),
            code::PACK => Frame::Pack { commits: f.u32()? },
            code::OBJECT => Frame::Object {
                kind: take_kind(f)?,
                size: f.u32()?,
                id: f.id()?,
                base: take_optional_id(f)?,
                squeezed: f.rest().to_vec(),
            },
            code::LARGE => {
                let (kind, size, id, from) = (take_kind(f)?, f.u64()?, f.id()?, f.u64()?);
                Frame::Large { kind, id, size, base: take_optional_id(f)?, from }
            }
            code::LITERAL => Frame::Literal {
                size: f.u32()?,
                reference: if f.flag()? { Some((f.u64()?, f.u32()?)) } else { None },
                squeezed: f.rest().to_vec(),
            },
            code::COPY => Frame::Copy { offset: f.u64()?, size: f.u64()? },
            code::PACK_END => Frame::PackEnd { objects: f.u64()? },
            code::ACK => Frame::Ack { objects: f.u64()? },
            code::OUTCOME => Frame::Outcome(take_outcome(f)?),
            code::BYE => Frame::Bye(if f.flag()? { Some(take_outcome(f)?) } else { None }),
            code::WORKING => Frame::Working,
            code::REFUSED => {
                let kind = RefusalKind::from_code(f.u8()?);
                let message = f.text(TEXT_BYTES_MAX)?.to_owned();
                let hint = Some(f.text(TEXT_BYTES_MAX)?.to_owned()).filter(|hint| !hint.is_empty());
                Frame::Refused(Refusal { kind, message, hint })
            }
            other => return Err(WireError::UnknownFrame(other)),
        };
        match &frame {
            // A later version may say more of itself behind what this one knows.
            Frame::Hello(hello) if hello.version > VERSION => {}
            _ => fields.end()?,
        }
        Ok(frame)
    }
}

impl Hello {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.oldest.to_be_bytes());
        out.push(self.role.to_code());
        out.push(self.intent.to_code());
        put_text(out, self.device.as_str(), 32);
        out.extend_from_slice(&self.epoch);
        out.push(u8::from(self.vault.is_some()));
        if let Some(vault) = self.vault {
            put_text(out, &vault.to_string(), 32);
        }
        out.push(u8::from(self.anchor.is_some()));
        if let Some(anchor) = self.anchor {
            out.extend_from_slice(&anchor.seq.to_be_bytes());
            out.extend_from_slice(&anchor.hash);
        }
        out.extend_from_slice(&self.rule.to_be_bytes());
        put_text(out, &self.program, PROGRAM_BYTES_MAX);
        out.push(u8::from(self.path.is_some()));
        if let Some(path) = &self.path {
            put_text(out, path, PATH_BYTES_MAX);
        }
    }

    fn decode(f: &mut Fields<'_>) -> Result<Hello, WireError> {
        let (version, oldest) = (f.u16()?, f.u16()?);
        if version == 0 || oldest == 0 || oldest > version {
            return Err(f.bad("its versions make no sense"));
        }
        if oldest > VERSION {
            return Err(WireError::TooNew { theirs: version, oldest });
        }
        if version < VERSION_OLDEST {
            return Err(WireError::TooOld(version));
        }
        let role = Role::from_code(f.u8()?).ok_or_else(|| f.bad("its role is unknown"))?;
        let intent = Intent::from_code(f.u8()?).ok_or_else(|| f.bad("its intent is unknown"))?;
        let device = DeviceName::parse(f.text(32)?).ok_or_else(|| f.bad("its device has no valid name"))?;
        let epoch = f.array16()?;
        let vault = match f.flag()? {
            true => Some(VaultId::parse(f.text(32)?).ok_or_else(|| f.bad("its vault id is malformed"))?),
            false => None,
        };
        let anchor = match f.flag()? {
            true => Some(Anchor { seq: f.u64()?, hash: f.array32()? }),
            false => None,
        };
        let rule = f.u32()?;
        let program = f.text(PROGRAM_BYTES_MAX)?.to_owned();
        let path = match f.flag()? {
            true => Some(f.text(PATH_BYTES_MAX)?.to_owned()),
            false => None,
        };
        if path.as_ref().is_some_and(|path| path.is_empty() || path.contains('\0')) {
            return Err(f.bad("its path is empty or holds a zero byte"));
        }
        Ok(Hello { version, oldest, role, intent, device, epoch, vault, anchor, rule, program, path })
    }
}

/// Drops the stamps: the offer as an endpoint sees it.
pub fn without_stamps(branches: &[StampedBranch]) -> Vec<Branch> {
    let heads = |branch: &StampedBranch| branch.heads.iter().map(|head| head.id).collect();
    branches.iter().map(|branch| Branch { name: branch.name.clone(), heads: heads(branch) }).collect()
}

fn put_text(out: &mut Vec<u8>, text: &str, bytes_max: usize) {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let length = u16::try_from(end).expect("every bound of a text fits two bytes");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..end]);
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).expect("lists are bounded by construction").to_be_bytes());
}

fn put_commits(out: &mut Vec<u8>, commits: &[CommitId]) {
    put_count(out, commits.len());
    for commit in commits {
        out.extend_from_slice(commit.object().as_bytes());
    }
}

fn put_ids(out: &mut Vec<u8>, ids: &[ObjectId]) {
    put_count(out, ids.len());
    ids.iter().for_each(|id| out.extend_from_slice(id.as_bytes()));
}

fn put_optional_id(out: &mut Vec<u8>, id: Option<ObjectId>) {
    out.push(u8::from(id.is_some()));
    if let Some(id) = id {
        out.extend_from_slice(id.as_bytes());
    }
}

fn take_optional_id(f: &mut Fields<'_>) -> Result<Option<ObjectId>, WireError> {
    if f.flag()? { f.id().map(Some) } else { Ok(None) }
}

fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Blob => 1,
        Kind::Tree => 2,
        Kind::Commit => 3,
    }
}

fn take_kind(f: &mut Fields<'_>) -> Result<Kind, WireError> {
    match f.u8()? {
        1 => Ok(Kind::Blob),
        2 => Ok(Kind::Tree),
        3 => Ok(Kind::Commit),
        _ => Err(f.bad("its kind is unknown")),
    }
}

fn put_branches(out: &mut Vec<u8>, branches: &[StampedBranch]) {
    let count = |n: usize| u16::try_from(n).expect("an offer is checked before it is sent").to_be_bytes();
    out.extend_from_slice(&count(branches.len()));
    for branch in branches {
        put_text(out, &branch.name, 128);
        out.extend_from_slice(&count(branch.heads.len()));
        for head in &branch.heads {
            out.extend_from_slice(head.id.object().as_bytes());
            out.extend_from_slice(&head.lamport.0.to_be_bytes());
        }
    }
}

fn take_branches(f: &mut Fields<'_>) -> Result<Vec<StampedBranch>, WireError> {
    let count = f.u16()?;
    if count > BRANCHES_MAX {
        return Err(WireError::Limit { what: "branches", limit: BRANCHES_MAX.into() });
    }
    let mut branches: Vec<StampedBranch> = Vec::new();
    let mut heads_total = 0;
    for _ in 0..count {
        let name = f.text(128)?.to_owned();
        if !is_branch_name(&name) {
            return Err(f.bad("a branch has no valid name"));
        }
        if branches.last().is_some_and(|last| last.name >= name) {
            return Err(f.bad("its branches are out of order or doubled"));
        }
        let heads_count = f.u16()? as usize;
        heads_total += heads_count;
        if heads_total > HEADS_MAX {
            return Err(WireError::Limit { what: "heads", limit: HEADS_MAX as u64 });
        }
        let mut heads = Vec::new();
        for _ in 0..heads_count {
            heads.push(StampedHead { id: CommitId::new(f.id()?), lamport: Lamport(f.u64()?) });
        }
        branches.push(StampedBranch { name, heads });
    }
    Ok(branches)
}

fn put_bits(out: &mut Vec<u8>, decided: bool, bits: &[bool]) {
    out.push(u8::from(decided));
    put_count(out, bits.len());
    for eight in bits.chunks(8) {
        out.push(eight.iter().enumerate().fold(0, |byte, (at, bit)| byte | (u8::from(*bit) << at)));
    }
}

fn take_bits(f: &mut Fields<'_>) -> Result<Frame, WireError> {
    let decided = f.flag()?;
    let count = f.u32()? as usize;
    let bytes = f.rest();
    if bytes.len() != count.div_ceil(8) {
        return Err(f.bad("it has another number of bits than it says"));
    }
    let bits: Vec<bool> = (0..count).map(|at| bytes[at / 8] >> (at % 8) & 1 == 1).collect();
    let spare = count % 8;
    if spare != 0 && bytes.last().is_some_and(|last| last >> spare != 0) {
        return Err(f.bad("its spare bits are not zero"));
    }
    Ok(Frame::Known { decided, bits })
}

fn put_have(out: &mut Vec<u8>, have: &Have) {
    out.push(u8::from(have.more));
    put_commits(out, &have.commits);
    for ids in [&have.objects, &have.lacks] {
        put_ids(out, ids);
    }
    out.push(u8::from(have.partial.is_some()));
    if let Some((id, bytes)) = have.partial {
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(&bytes.to_be_bytes());
    }
}

fn take_have(f: &mut Fields<'_>) -> Result<Have, WireError> {
    Ok(Have {
        more: f.flag()?,
        commits: f.commits(IDS_MAX)?,
        objects: f.ids(IDS_MAX)?,
        lacks: f.ids(IDS_MAX)?,
        partial: if f.flag()? { Some((f.id()?, f.u64()?)) } else { None },
    })
}

fn put_outcome(out: &mut Vec<u8>, outcome: &Outcome) {
    let frontier = &outcome.frontier[..outcome.frontier.len().min(HEADS_MAX)];
    put_commits(out, frontier);
    put_optional_id(out, outcome.head.map(CommitId::object));
    out.extend_from_slice(&outcome.pending.to_be_bytes());
    out.push(outcome.state.to_code());
}

fn take_outcome(f: &mut Fields<'_>) -> Result<Outcome, WireError> {
    Ok(Outcome {
        frontier: f.commits(HEADS_MAX as u32)?,
        head: take_optional_id(f)?.map(CommitId::new),
        pending: f.u32()?,
        state: HeadState::from_code(f.u8()?).ok_or_else(|| f.bad("its state is unknown"))?,
    })
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
