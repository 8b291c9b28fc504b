//! Making a bundle.

use sha2::{Digest, Sha256};

use super::super::frame::Frame;
use super::super::negotiate::missing;
use super::super::receive::heads_of;
use super::super::send::{Parcel, Sending};
use super::super::session::{hello, stamped};
use super::super::{Branch, Identity, Intent, Progress, Role, SyncError};
use super::{BundleError, FIRST_LINE, READ_BYTES};
use crate::fs::File;
use crate::object::CommitId;
use crate::store::Store;

/// What goes into a bundle.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Who makes it.
    pub identity: Identity,
    /// The heads it brings: a frontier of each branch.
    pub branches: Vec<Branch>,
    /// Commits that the receiver must have: what they reach is left out.
    pub prerequisites: Vec<CommitId>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Commits.
    pub commits: u32,
    /// Objects.
    pub objects: u64,
    /// The length of the file.
    pub bytes: u64,
}

/// Writes a bundle into an empty file. The file is not synced.
///
/// The same contents of the same store make the same bytes, as long as the program is the same.
pub fn write(
    store: &Store,
    contents: &Contents,
    file: &File,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written, SyncError> {
    let Contents { identity, branches, prerequisites } = contents;
    let mut prerequisites = prerequisites.clone();
    prerequisites.sort_unstable();
    prerequisites.dedup();
    let offer = stamped(store, branches.clone())?;
    let commits = missing(store, &heads_of(branches), &prerequisites)?;
    let mut out = Out { file, at: 0, buffer: FIRST_LINE.to_vec(), hasher: Sha256::new() };
    out.push(&cover(identity))?;
    out.push(&Frame::Offer(offer))?;
    out.push(&Frame::Common(prerequisites.clone()))?;
    let parcel = Parcel { commits, common: prerequisites, stands_alone: true, ..Parcel::default() };
    let mut sending = Sending::new(store.clone(), parcel);
    while let Some(frame) = sending.next_frame()? {
        out.push(&frame)?;
        progress(Progress {
            sending: true,
            commits: sending.commits(),
            objects: sending.objects,
            bytes: sending.bytes,
        });
    }
    let bytes = out.finish()?;
    Ok(Written { commits: sending.commits(), objects: sending.objects, bytes })
}

/// Who speaks. A bundle is read at any time and in any order, so it says nothing of its maker's log: an older
/// one that is read later must not look like a log that went backwards.
fn cover(identity: &Identity) -> Frame {
    let identity = Identity { anchor: None, ..identity.clone() };
    hello(Role::Server, Intent { fetch: true, push: false }, &identity, None)
}

struct Out<'f> {
    file: &'f File,
    at: u64,
    buffer: Vec<u8>,
    hasher: Sha256,
}

impl Out<'_> {
    fn push(&mut self, frame: &Frame) -> Result<(), BundleError> {
        self.buffer.extend_from_slice(&frame.encode());
        if self.buffer.len() >= READ_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), BundleError> {
        self.hasher.update(&self.buffer);
        self.file.write_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the hash of all of it; returns the file's length.
    fn finish(mut self) -> Result<u64, BundleError> {
        self.flush()?;
        let seal = self.hasher.finalize();
        self.file.write_at(&seal, self.at)?;
        Ok(self.at + seal.len() as u64)
    }
}
