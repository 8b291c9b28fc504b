//! A git pack with its index, version 2 of both, with SHA-256 ids (git's `gitformat-pack`): written front
//! to back with bounded memory but for the index.

use std::sync::Arc;

use gix::zlib::Compression;
use gix::zlib::stream::deflate::{Compress, FlushCompress};
use sha2::{Digest, Sha256};

use crate::fs::{Dir, File, temp_name};
use crate::object::{Kind, ObjectId};

use super::super::Result;

const WRITE_BYTES: usize = 1 << 20;
const MODE: u32 = 0o444;
/// Offsets from here on stand in a table of their own.
const OFFSET_SMALL_MAX: u64 = 0x7fff_ffff;

/// A pack being written.
pub(super) struct GitPack {
    file: File,
    temp: std::ffi::OsString,
    written: u64,
    buffer: Vec<u8>,
    hasher: Sha256,
    rows: Vec<Row>,
}

struct Row {
    id: ObjectId,
    crc: u32,
    offset: u64,
}

/// An object as a pack holds it: its header and its compressed bytes.
pub(super) struct Packed(Vec<u8>);

/// Encodes a whole object for a pack.
pub(super) fn compress(kind: Kind, data: &[u8]) -> Packed {
    let mut bytes = header(kind, data.len() as u64);
    let mut deflater = Deflater::new();
    deflater.feed(data, FlushCompress::None, &mut bytes);
    deflater.feed(&[], FlushCompress::Finish, &mut bytes);
    Packed(bytes)
}

/// The kind and the length, seven bits a byte after the first four.
fn header(kind: Kind, size: u64) -> Vec<u8> {
    let code: u8 = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
    };
    let mut bytes = vec![code << 4 | (size & 15) as u8];
    let mut rest = size >> 4;
    while rest > 0 {
        *bytes.last_mut().expect("it has the first byte") |= 0x80;
        bytes.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes
}

/// A zlib stream.
struct Deflater {
    state: Compress,
    block: Vec<u8>,
}

impl Deflater {
    fn new() -> Deflater {
        Deflater { state: Compress::new(Compression::BEST_SPEED), block: vec![0; 32 << 10] }
    }

    /// Compresses `input` and appends to `out` what is ready.
    fn feed(&mut self, input: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
        let mut at = 0;
        loop {
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            self.state.compress(&input[at..], &mut self.block, flush).expect("any bytes can be compressed");
            at += (self.state.total_in() - before_in) as usize;
            let made = (self.state.total_out() - before_out) as usize;
            out.extend_from_slice(&self.block[..made]);
            if at == input.len() && made < self.block.len() {
                return;
            }
        }
    }
}

impl GitPack {
    /// Starts a pack of `count` objects.
    pub(super) fn create(dir: &Dir, count: u64) -> Result<GitPack> {
        let temp = temp_name();
        let file = dir.create_new(&temp, MODE)?;
        let mut pack = GitPack {
            file,
            temp,
            written: 0,
            buffer: Vec::with_capacity(WRITE_BYTES + (64 << 10)),
            hasher: Sha256::new(),
            rows: Vec::new(),
        };
        pack.buffer.extend_from_slice(b"PACK\0\0\0\x02");
        let count = u32::try_from(count).map_err(|_| crate::store::Error::PackFull)?;
        pack.buffer.extend_from_slice(&count.to_be_bytes());
        Ok(pack)
    }

    fn at(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn flush(&mut self) -> Result<()> {
        self.hasher.update(&self.buffer);
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Adds an object.
    pub(super) fn add(&mut self, id: ObjectId, packed: &Packed) -> Result<()> {
        let crc = !crc32(!0, &packed.0);
        self.rows.push(Row { id, crc, offset: self.at() });
        self.put(&packed.0)
    }

    /// Adds an object that comes block by block.
    pub(super) fn add_blocks(
        &mut self,
        id: ObjectId,
        kind: Kind,
        size: u64,
        next: &mut dyn FnMut() -> Result<Option<Arc<[u8]>>>,
    ) -> Result<()> {
        let offset = self.at();
        let mut crc = !0;
        let mut ready = header(kind, size);
        let mut deflater = Deflater::new();
        loop {
            let block = next()?;
            match &block {
                Some(block) => deflater.feed(block, FlushCompress::None, &mut ready),
                None => deflater.feed(&[], FlushCompress::Finish, &mut ready),
            }
            crc = crc32(crc, &ready);
            self.put(&ready)?;
            ready.clear();
            if block.is_none() {
                self.rows.push(Row { id, crc: !crc, offset });
                return Ok(());
            }
        }
    }

    /// Writes the end of the pack and its index, makes both durable under their names and returns the
    /// pack's length in bytes.
    pub(super) fn finish(mut self, dir: &Dir, promises: bool) -> Result<u64> {
        self.flush()?;
        let hash: [u8; 32] = self.hasher.finalize_reset().into();
        self.buffer.extend_from_slice(&hash);
        self.flush()?;
        self.file.sync()?;
        let name = hex::encode(hash);
        dir.rename(&self.temp, dir, format!("pack-{name}.pack"))?;
        if promises {
            crate::fs::replace_file(dir, format!("pack-{name}.promisor"), b"", MODE)?;
        }
        self.rows.sort_by_key(|row| row.id);
        let index = encode_index(&self.rows, &hash);
        crate::fs::replace_file(dir, format!("pack-{name}.idx"), &index, MODE)?;
        Ok(self.written)
    }
}

fn encode_index(rows: &[Row], pack: &[u8; 32]) -> Vec<u8> {
    let mut bytes = b"\xfftOc\0\0\0\x02".to_vec();
    for first in 0..=255u8 {
        let count = rows.partition_point(|row| row.id.as_bytes()[0] <= first) as u32;
        bytes.extend_from_slice(&count.to_be_bytes());
    }
    for row in rows {
        bytes.extend_from_slice(row.id.as_bytes());
    }
    for row in rows {
        bytes.extend_from_slice(&row.crc.to_be_bytes());
    }
    let mut large: Vec<u64> = Vec::new();
    for row in rows {
        let offset = if row.offset <= OFFSET_SMALL_MAX {
            row.offset as u32
        } else {
            large.push(row.offset);
            1 << 31 | (large.len() - 1) as u32
        };
        bytes.extend_from_slice(&offset.to_be_bytes());
    }
    for offset in large {
        bytes.extend_from_slice(&offset.to_be_bytes());
    }
    bytes.extend_from_slice(pack);
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

/// The table of CRC-32 as zlib and git have it (polynomial 0xedb88320, reflected).
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

/// Continues a CRC-32 that began as `!0`; the result is its complement at the end.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| CRC_TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_digits_is_the_published_one() {
        assert_eq!(!crc32(!0, b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn lengths_are_written_four_and_then_seven_bits_at_a_time() {
        assert_eq!(header(Kind::Blob, 15), [0x3f]);
        assert_eq!(header(Kind::Tree, 16), [0xa0, 0x01]);
        assert_eq!(header(Kind::Commit, 0x7ff), [0x9f, 0x7f]);
        assert_eq!(header(Kind::Commit, 0x800), [0x90, 0x80, 0x01]);
    }

    #[test]
    fn offsets_beyond_two_gibibytes_stand_in_their_own_table() {
        let id = |byte: u8| ObjectId::from_bytes([byte; 32]);
        let row = |byte, offset| Row { id: id(byte), crc: 0, offset };
        let index = encode_index(&[row(1, 12), row(2, 1 << 31), row(3, 1 << 40)], &[9; 32]);
        let offsets = 8 + 1024 + 3 * 36;
        assert_eq!(index[offsets..offsets + 12], [0, 0, 0, 12, 0x80, 0, 0, 0, 0x80, 0, 0, 1]);
        let large: Vec<u8> = [1u64 << 31, 1 << 40].iter().flat_map(|o| o.to_be_bytes()).collect();
        assert_eq!(index[offsets + 12..offsets + 28], large);
        assert_eq!(index.len(), offsets + 28 + 64);
    }
}
