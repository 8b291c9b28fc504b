//! Large objects that are arriving, and those that they are made of.
//!
//! - One of at most [`IN_MEMORY_MAX`] bytes gathers in memory. When it is whole it is hashed, cut beside the version
//!   before it, and kept at hand as the base of the next. The hash of a blob may come while the next one comes: no pack
//!   is closed before it is there. What of it came before a cut goes to disk, to go on there.
//! - A longer one is a plain file of its first bytes from the start, so that it resumes in the middle also after the
//!   process was killed.

use std::io;

use super::Incoming;
use crate::fs::File;
use crate::object::{Kind, ObjectId, Source};
use crate::store::{self, Version};
use crate::sync::receive::ReceiveError;

/// Objects up to this length gather in memory.
pub const IN_MEMORY_MAX: u64 = 8 << 20;
/// So many large objects are kept at hand as bases.
const BASES_MAX: usize = 8;
/// Those in memory have no more bytes together, but for the last.
const BASES_IN_MEMORY_MAX: u64 = 24 << 20;
const BLOCK: usize = 256 << 10;
/// So many that came are hashed while the next comes.
const HASHING_MAX: usize = 2;
/// Memory is taken in steps of so many bytes, so that what held one version holds the next.
const MEMORY_STEP: usize = 1 << 20;
pub const PART: &str = "part-";
pub const BASE: &str = "base-";

/// A large object that is complete.
pub struct Base {
    id: ObjectId,
    content: Content,
}

enum Content {
    Memory(Version),
    File(File, u64),
}

/// A large object that is arriving.
pub struct Part {
    /// Its kind.
    pub kind: Kind,
    /// Its id, as announced.
    pub id: ObjectId,
    /// Its length, as announced.
    pub size: u64,
    /// The object that copies are taken from.
    pub base: Option<ObjectId>,
    /// How many bytes are there.
    pub written: u64,
    gathered: Gathered,
}

enum Gathered {
    Memory(Vec<u8>),
    File(File),
}

impl Base {
    fn size(&self) -> u64 {
        match &self.content {
            Content::Memory(version) => version.bytes().len() as u64,
            Content::File(_, size) => *size,
        }
    }

    fn in_memory(&self) -> u64 {
        if let Content::Memory(_) = self.content { self.size() } else { 0 }
    }
}

impl Part {
    /// Appends bytes; more than announced is the peer's fault.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        if self.written + bytes.len() as u64 > self.size {
            return Err(ReceiveError::Content(format!("object {} is longer than announced", self.id)));
        }
        match &mut self.gathered {
            Gathered::Memory(gathered) => gathered.extend_from_slice(bytes),
            Gathered::File(file) => file.write_at(bytes, self.written)?,
        }
        self.written += bytes.len() as u64;
        Ok(())
    }
}

impl Incoming {
    /// Starts or goes on with a large object; `from` must be what is there.
    pub fn begin_part(
        &mut self,
        kind: Kind,
        id: ObjectId,
        size: u64,
        base: Option<ObjectId>,
        from: u64,
    ) -> Result<Part, ReceiveError> {
        let name = format!("{PART}{id}");
        let left = self.left.take();
        let there = left.filter(|(other, _)| *other == id).map_or(0, |(_, bytes)| bytes);
        if let Some((other, _)) = left
            && (other != id || from == 0)
        {
            self.dir.remove_file(format!("{PART}{other}"))?;
        }
        if from > 0 && from != there {
            return Err(ReceiveError::Content(format!("object {id} goes on at a byte that was not reached")));
        }
        match size {
            ..=IN_MEMORY_MAX => self.use_room(size)?,
            // It is written twice: as it comes, and into a pack.
            _ => self.check_room((size - from).saturating_add(size))?,
        }
        let gathered = match (from, size) {
            (0, ..=IN_MEMORY_MAX) => {
                // Fresh memory costs more than the copy into it.
                let mut gathered = std::mem::take(&mut self.spare);
                gathered.clear();
                gathered.reserve_exact((size as usize).next_multiple_of(MEMORY_STEP));
                Gathered::Memory(gathered)
            }
            (0, _) => Gathered::File(self.dir.create_new(&name, 0o600)?),
            _ => Gathered::File(self.dir.open_write(&name)?),
        };
        Ok(Part { kind, id, size, base, written: from, gathered })
    }

    /// Puts on disk what came of a part, for the next session.
    pub fn keep_part(&mut self, part: Part) -> Result<(), ReceiveError> {
        match part.gathered {
            Gathered::Memory(gathered) if !gathered.is_empty() => {
                let file = self.dir.create_new(format!("{PART}{}", part.id), 0o600)?;
                Ok(file.write_at(&gathered, 0)?)
            }
            _ => Ok(()),
        }
    }

    /// Returns bytes of a part's base.
    pub fn read_base(&mut self, part: &Part, offset: u64, size: usize) -> Result<Vec<u8>, ReceiveError> {
        let at = self.base_of(part, offset, size as u64)?;
        match &self.bases[at].content {
            Content::Memory(version) => Ok(version.bytes()[offset as usize..][..size].to_vec()),
            Content::File(file, _) => {
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, offset)?;
                Ok(bytes)
            }
        }
    }

    /// Appends bytes of its base to a part.
    pub fn copy(&mut self, part: &mut Part, offset: u64, size: u64) -> Result<(), ReceiveError> {
        let at = self.base_of(part, offset, size)?;
        if let Content::Memory(version) = &self.bases[at].content {
            return part.push(&version.bytes()[offset as usize..][..size as usize]);
        }
        let mut done = 0;
        while done < size {
            let step = (size - done).min(BLOCK as u64) as usize;
            let bytes = self.read_base(part, offset + done, step)?;
            part.push(&bytes)?;
            done += step as u64;
        }
        Ok(())
    }

    /// Returns where among the bases a part's is; it has at least the bytes that are asked for.
    fn base_of(&mut self, part: &Part, offset: u64, size: u64) -> Result<usize, ReceiveError> {
        let at = self.find_base(part)?;
        if offset.checked_add(size).is_none_or(|end| end > self.bases[at].size()) {
            return Err(ReceiveError::Content(format!("object {} copies from beyond its base", part.id)));
        }
        Ok(at)
    }

    fn find_base(&mut self, part: &Part) -> Result<usize, ReceiveError> {
        let missing =
            || ReceiveError::Content(format!("object {} rests on a base that is not there", part.id));
        let id = part.base.ok_or_else(missing)?;
        if let Some(at) = self.bases.iter().position(|base| base.id == id) {
            return Ok(at);
        }
        let info = Source::try_info(&self.writer, id)?;
        let Some((_, length)) = info.filter(|(kind, _)| *kind == part.kind) else { return Err(missing()) };
        if length <= IN_MEMORY_MAX {
            let version = self.writer.try_version(id)?.ok_or_else(missing)?;
            return self.push_base(Base { id, content: Content::Memory(version) });
        }
        self.check_room(length)?;
        self.checkpoint()?;
        let mut reader = self.store.try_reader(id)?.ok_or_else(missing)?;
        let file = self.dir.create_new(format!("{BASE}{id}"), 0o600)?;
        let mut size = 0;
        while let Some(block) = reader.next_block()? {
            file.write_at(&block, size)?;
            size += block.len() as u64;
        }
        drop(reader);
        self.push_base(Base { id, content: Content::File(file, size) })
    }

    fn push_base(&mut self, base: Base) -> Result<usize, ReceiveError> {
        let in_memory = |bases: &[Base]| bases.iter().map(Base::in_memory).sum::<u64>();
        while self.bases.len() >= BASES_MAX || in_memory(&self.bases) > BASES_IN_MEMORY_MAX {
            let oldest = self.bases.remove(0);
            match oldest.content {
                Content::File(..) => self.dir.remove_file(format!("{BASE}{}", oldest.id))?,
                Content::Memory(version) => self.spare = version.into_bytes().unwrap_or_default(),
            }
        }
        self.bases.push(base);
        Ok(self.bases.len() - 1)
    }

    /// Waits until no more than so many of the objects that came are still being hashed.
    pub fn await_proofs(&mut self, left: usize) -> Result<(), ReceiveError> {
        match self.writer.await_proofs(left) {
            Err(store::Error::WrongHash { id }) => {
                Err(ReceiveError::Content(format!("object {id} cannot be made of what came")))
            }
            other => Ok(other?),
        }
    }

    /// Adds a large object that has arrived whole; returns the id that its bytes have, and the bytes of a tree. A blob
    /// may still be hashed: it is taken as what it says it is until [`Incoming::await_proofs`], or until a pack is closed.
    pub fn finish_part(&mut self, part: Part) -> Result<(ObjectId, Option<Vec<u8>>), ReceiveError> {
        let Part { kind, id, size, base, written, gathered } = part;
        let finished = match gathered {
            Gathered::Memory(bytes) => {
                let tree = (kind == Kind::Tree).then(|| bytes.clone());
                let older = self.bases.iter().find_map(|older| match &older.content {
                    Content::Memory(version) if base == Some(older.id) => Some(version),
                    _ => None,
                });
                let version = self.writer.add_version(kind, id, bytes, base, older)?;
                // A tree is looked into next; of a blob nothing is looked at before the pack is closed.
                self.await_proofs(if kind == Kind::Blob { HASHING_MAX } else { 0 })?;
                self.replace_base(id, Content::Memory(version))?;
                (id, tree)
            }
            Gathered::File(file) => {
                let name = format!("{PART}{id}");
                let mut reader = FileReader { file: &file, at: 0, end: written };
                let actual = self.writer.add_stream(kind, size, &mut reader, base)?;
                let tree = if kind == Kind::Tree { Some(file.read_all(size)?) } else { None };
                if self.bases.iter().any(|base| base.id == id) || actual != id {
                    self.dir.remove_file(&name)?;
                } else {
                    self.dir.rename(&name, &self.dir, format!("{BASE}{id}"))?;
                    self.replace_base(id, Content::File(file, size))?;
                }
                (actual, tree)
            }
        };
        self.close_if_long()?;
        Ok(finished)
    }

    fn replace_base(&mut self, id: ObjectId, content: Content) -> Result<(), ReceiveError> {
        if self.bases.iter().all(|base| base.id != id) {
            self.push_base(Base { id, content })?;
        }
        Ok(())
    }

    pub(super) fn remove_bases(&mut self) {
        for base in self.bases.drain(..) {
            if let Content::File(..) = base.content {
                let _the_next_session_removes_it = self.dir.remove_file(format!("{BASE}{}", base.id));
            }
        }
    }
}

struct FileReader<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl io::Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..room], self.at).map_err(io::Error::other)?;
        self.at += count as u64;
        Ok(count)
    }
}
