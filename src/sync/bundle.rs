//! Bundles: what a push would carry, in one file.
//!
//! `docs/sync.md` has a bundle byte by byte: a line with the format's version, then frames of the wire as a
//! server would send them (`hello`, `offer`, `common` for what the receiver must have, `pack` … `pack-end`),
//! then the SHA-256 of all of it.
//!
//! - [`write`](write()) makes one out of a store, [`call`] reads one as the other side of a session, [`restore`]
//!   takes single objects out of one, [`check`] looks through one for whoever asks. Objects go out through [`super::send`] and come in through
//!   [`super::receive`]; nothing here decides what holds.
//! - The hash at the end is looked at first, so that a file that was cut off or changed on the way is told as
//!   that. It proves nothing about who made the file: what it holds is trusted no more than a peer.
//! - A file that changes while it is read is noticed: what was read is hashed again before its pack ends.
//!
//! Memory is bounded by one frame and by what sending and receiving take.

use sha2::{Digest, Sha256};

use super::drive::read_frame;
use super::frame::{Frame, Hello, StampedBranch};
use super::wire::{WireError, mask};
use super::{Branch, Role};
use crate::fs::{self, File};
use crate::object::CommitId;

mod check;
mod read;
mod write;

pub use check::{Checked, check};
pub use read::{call, restore};
pub use write::{Contents, Written, write};

/// The version of the format this program writes and reads.
pub const BUNDLE_VERSION: u32 = 1;
/// How every bundle begins, whatever its version.
const MAGIC: &[u8] = b"mvault-bundle ";
/// The whole first line of this version.
const FIRST_LINE: &[u8] = b"mvault-bundle 1\n";
/// Bytes of the hash at the end.
const SEAL_BYTES: u64 = 32;
const READ_BYTES: usize = 256 << 10;
/// So many missing commits are named in a message.
const NAMED_MAX: usize = 3;

/// Why a bundle cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Something else than a bundle.
    #[error("it is no bundle of mvault")]
    NotABundle,
    /// Made by a later program.
    #[error("it is a bundle of format {0:?}, and this mvault reads format {BUNDLE_VERSION}")]
    Newer(String),
    /// Its end is missing.
    #[error("it was cut off: there are {0} bytes of it and its end is not among them")]
    Cut(u64),
    /// It is not what was written.
    #[error("it is damaged: the SHA-256 at its end is not that of its bytes")]
    Damaged,
    /// It is what was written, and that does not hold.
    #[error("what is in it does not hold: {0}")]
    Content(String),
    /// It builds on commits that are not here.
    #[error("it builds on {}, which {} not here", name(.0), if .0.len() == 1 { "is" } else { "are" })]
    Missing(Vec<CommitId>),
    /// It cannot be read.
    #[error(transparent)]
    Disk(#[from] fs::Error),
}

fn name(commits: &[CommitId]) -> String {
    let shown: Vec<String> = commits.iter().take(NAMED_MAX).map(|id| id.short()).collect();
    let rest = commits.len().saturating_sub(NAMED_MAX);
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    let noun = if commits.len() == 1 { "commit" } else { "commits" };
    format!("{noun} {}{more}", shown.join(", "))
}

impl BundleError {
    /// Returns what to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            BundleError::NotABundle => {
                "name a folder with a vault, HOST:, or a file that `mvault bundle create` made"
            }
            BundleError::Newer(_) => "upgrade mvault on this device",
            BundleError::Cut(_) => "wait until all of it has arrived, or copy it once more",
            BundleError::Damaged => {
                "copy it once more; `mvault bundle verify FILE` where it was made tells more"
            }
            BundleError::Content(_) => {
                "nothing of it was kept; `mvault verify` on the device that made it tells whether that is damaged"
            }
            BundleError::Missing(_) => {
                "pull the bundle that was made before this one first, or have one made without `--since`: \
                 `mvault bundle create FILE`"
            }
            BundleError::Disk(_) => {
                "check that the file can be read, and that there is room; no head was moved"
            }
        }
    }
}

impl From<WireError> for BundleError {
    fn from(error: WireError) -> BundleError {
        BundleError::Content(error.to_string())
    }
}

/// A bundle whose bytes are those that were written; nothing of what it says is proven.
pub struct Bundle {
    file: File,
    size: u64,
    seal: [u8; 32],
    /// Who made it.
    pub hello: Hello,
    /// The heads it brings.
    pub offer: Vec<StampedBranch>,
    /// Commits that the receiver must have, with all they need.
    pub prerequisites: Vec<CommitId>,
    /// How many commits it says it holds.
    pub commits: u32,
}

impl Bundle {
    /// Hashes a whole file and reads its cover. `progress` is told how many bytes were hashed.
    pub fn open(file: File, progress: &mut dyn FnMut(u64)) -> Result<Bundle, BundleError> {
        let size = file.stat()?.size;
        check_first_line(&file, size)?;
        let seal = match read_seal(&file, size, progress)? {
            Some(seal) => seal,
            None => return Err(tell_cut_from_damaged(&file, size)),
        };
        let mut frames = Frames::start(&file, size)?;
        let (hello, offer, prerequisites) = frames.cover()?;
        let commits = match frames.next_frame()? {
            Frame::Pack { commits } => commits,
            other => return Err(WireError::OutOfOrder { got: other.name(), wanted: "pack" }.into()),
        };
        Ok(Bundle { file, size, seal, hello, offer, prerequisites, commits })
    }

    /// Returns the length of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the SHA-256 at its end.
    pub fn seal(&self) -> [u8; 32] {
        self.seal
    }

    /// Returns the heads it brings, by branch.
    pub fn branches(&self) -> Vec<Branch> {
        super::frame::without_stamps(&self.offer)
    }

    /// Starts to read it anew, behind its cover.
    fn frames(&self) -> Result<Frames<'_>, BundleError> {
        let mut frames = Frames::start(&self.file, self.size)?;
        frames.cover()?;
        Ok(frames)
    }
}

/// Tells whether a file begins as a bundle does, of whatever version.
pub fn begins_as_bundle(file: &File) -> fs::Result<bool> {
    let mut start = [0; MAGIC.len()];
    let count = file.read_at(&mut start, 0)?;
    Ok(count == start.len() && start == *MAGIC)
}

fn check_first_line(file: &File, size: u64) -> Result<(), BundleError> {
    let mut start = [0; 64];
    let wanted = usize::try_from(size).unwrap_or(usize::MAX).min(start.len());
    file.read_exact_at(&mut start[..wanted], 0)?;
    let start = &start[..wanted];
    if start.starts_with(FIRST_LINE) {
        return Ok(());
    }
    if FIRST_LINE.starts_with(start) {
        return Err(BundleError::Cut(size));
    }
    let version = start.strip_prefix(MAGIC).and_then(|rest| rest.split(|byte| *byte == b'\n').next());
    let is_number = |digits: &&[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    match version.filter(is_number) {
        Some(digits) => Err(BundleError::Newer(mask(&String::from_utf8_lossy(digits), 20))),
        None => Err(BundleError::NotABundle),
    }
}

/// Returns the hash at the end if it is that of all before it.
fn read_seal(file: &File, size: u64, progress: &mut dyn FnMut(u64)) -> Result<Option<[u8; 32]>, BundleError> {
    let Some(end) = size.checked_sub(SEAL_BYTES).filter(|end| *end >= FIRST_LINE.len() as u64) else {
        return Ok(None);
    };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut at = 0;
    while at < end {
        let step = (end - at).min(READ_BYTES as u64) as usize;
        file.read_exact_at(&mut buffer[..step], at)?;
        hasher.update(&buffer[..step]);
        at += step as u64;
        progress(at);
    }
    let mut seal = [0; SEAL_BYTES as usize];
    file.read_exact_at(&mut seal, end)?;
    Ok((<[u8; 32]>::from(hasher.finalize()) == seal).then_some(seal))
}

/// Follows the frames of a file whose hash does not fit: one that ends before they do was cut off.
fn tell_cut_from_damaged(file: &File, size: u64) -> BundleError {
    let follow = || -> Result<(), BundleError> {
        let mut frames = Frames::start(file, size.saturating_add(SEAL_BYTES))?;
        while !matches!(frames.next_frame()?, Frame::PackEnd { .. }) {}
        let is_whole = frames.at + SEAL_BYTES <= size;
        if is_whole { Ok(()) } else { Err(BundleError::Cut(size)) }
    };
    match follow() {
        Err(BundleError::Cut(_)) => BundleError::Cut(size),
        Err(error @ BundleError::Disk(_)) => error,
        _ => BundleError::Damaged,
    }
}

/// The frames of a bundle, in order, hashed while they are read.
struct Frames<'f> {
    file: &'f File,
    size: u64,
    /// Where the next byte stands that was not handed out.
    at: u64,
    /// Where the hash at the end begins.
    end: u64,
    buffer: Vec<u8>,
    used: usize,
    hasher: Sha256,
}

impl<'f> Frames<'f> {
    /// Starts behind the first line.
    fn start(file: &'f File, size: u64) -> Result<Frames<'f>, BundleError> {
        let end = size.saturating_sub(SEAL_BYTES);
        let hasher = Sha256::new();
        let mut frames = Frames { file, size, at: 0, end, buffer: Vec::new(), used: 0, hasher };
        let mut line = [0; FIRST_LINE.len()];
        if !frames.fill(&mut line)? || line != *FIRST_LINE {
            return Err(BundleError::Damaged);
        }
        Ok(frames)
    }

    /// Reads what stands before the pack.
    fn cover(&mut self) -> Result<(Hello, Vec<StampedBranch>, Vec<CommitId>), BundleError> {
        let wrong = |got: Frame, wanted| Err(WireError::OutOfOrder { got: got.name(), wanted }.into());
        let hello = match self.next_frame()? {
            Frame::Hello(hello) => *hello,
            other => return wrong(other, "hello"),
        };
        if hello.role != Role::Server
            || hello.vault.is_none()
            || hello.anchor.is_some()
            || hello.path.is_some()
        {
            return Err(BundleError::Content("its hello is not one of a bundle".to_owned()));
        }
        let offer = match self.next_frame()? {
            Frame::Offer(offer) => offer,
            other => return wrong(other, "offer"),
        };
        match self.next_frame()? {
            Frame::Common(prerequisites) => Ok((hello, offer, prerequisites)),
            other => wrong(other, "common"),
        }
    }

    fn next_frame(&mut self) -> Result<Frame, BundleError> {
        let mut failed = None;
        let frame = read_frame(&mut |bytes| match self.fill(bytes) {
            Ok(true) => Some(()),
            Ok(false) => None,
            Err(error) => {
                failed = Some(error);
                None
            }
        });
        match (frame, failed) {
            (_, Some(error)) => Err(error.into()),
            (Some(frame), None) => Ok(frame?),
            (None, None) => Err(BundleError::Cut(self.size)),
        }
    }

    /// Checks, behind the last frame, that nothing else follows and that what was read is what was hashed
    /// before.
    fn finish(&self, seal: [u8; 32]) -> Result<(), BundleError> {
        let digest: [u8; 32] = self.hasher.clone().finalize().into();
        if self.at != self.end {
            return Err(BundleError::Content("bytes follow its pack".to_owned()));
        }
        if digest == seal { Ok(()) } else { Err(BundleError::Damaged) }
    }

    /// Fills `bytes`; `false` if the frames end before.
    fn fill(&mut self, bytes: &mut [u8]) -> fs::Result<bool> {
        let mut filled = 0;
        while filled < bytes.len() {
            if self.used == self.buffer.len() {
                let step = (self.end - self.at).min(READ_BYTES as u64) as usize;
                self.buffer.resize(step, 0);
                let count = if step == 0 { 0 } else { self.file.read_at(&mut self.buffer, self.at)? };
                self.buffer.truncate(count);
                self.used = 0;
                if count == 0 {
                    return Ok(false);
                }
            }
            let step = (bytes.len() - filled).min(self.buffer.len() - self.used);
            let part = &self.buffer[self.used..self.used + step];
            bytes[filled..filled + step].copy_from_slice(part);
            self.hasher.update(part);
            (filled, self.used, self.at) = (filled + step, self.used + step, self.at + step as u64);
        }
        Ok(true)
    }
}
