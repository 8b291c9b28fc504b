//! The bytes of a pack around its records: header, table, directory and footer. Bytes in, values out.
//!
//! - All numbers are little-endian; what is reserved is zero and checked to be.
//! - The table is a row of 2^k buckets by the first k bits of the id, each with its own checksum; the
//!   directory says where each bucket ends; the footer has the directory's checksum and its own. So
//!   every byte that a lookup rests on is checked before it is believed.
//! - Checksums here are the first 16 bytes of a SHA-256: against accidents, not against an attacker.

use sha2::{Digest, Sha256};

use crate::object::{Kind, ObjectId};
use crate::store::frame::RECORD_MAX;

/// The first bytes of a pack.
pub const HEADER: [u8; 8] = *b"mvpack1\n";
/// The length of the footer.
pub const FOOTER_LEN: usize = 128;
/// The first bytes of its footer.
const FOOTER_MARK: &[u8; 8] = b"mvfoot1\n";
/// Where the version stands in both.
const VERSION_AT: usize = 6;
/// The last bytes of a pack.
const TRAILER: [u8; 8] = *b"mvpackE\n";

const ENTRY_LEN: usize = 60;
const SUM_LEN: usize = 16;
const BUCKET_HEAD_LEN: usize = 8;
const ENTRIES_PER_BUCKET: usize = 32;
const BITS_MAX: u8 = 24;

const FLAG_RECIPE: u8 = 1;
const FLAG_PART: u8 = 2;

/// How a record's frame is to be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By itself.
    Whole,
    /// With the plain bytes of this object's record as prefix.
    Delta(ObjectId),
    /// With the bytes of this blob as zstd dictionary.
    Dictionary(ObjectId),
}

/// What the table says of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object.
    pub id: ObjectId,
    /// Its kind.
    pub kind: Kind,
    /// The object's length in bytes.
    pub plain: u64,
    /// Where the record's frame starts in the file.
    pub offset: u64,
    /// The frame's length in bytes.
    pub stored: u32,
    /// How to decode the frame.
    pub form: Form,
    /// Whether the frame holds the recipe of the object instead of the object.
    pub is_recipe: bool,
    /// Whether it was stored as a chunk or recipe of another object.
    pub is_part: bool,
    /// How many deltas lie between it and a record that is none.
    pub depth: u8,
    /// Its place in a history with skips, see docs/format.md.
    pub ordinal: u8,
}

impl Entry {
    /// Returns the length of the bytes in its frame, where the table knows it.
    pub fn record_plain(&self) -> Option<u64> {
        (!self.is_recipe).then_some(self.plain)
    }
}

fn code_of(kind: Kind) -> u8 {
    match kind {
        Kind::Blob => 1,
        Kind::Tree => 2,
        Kind::Commit => 3,
    }
}

fn sum(parts: &[&[u8]]) -> [u8; SUM_LEN] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    let mut sum = [0; SUM_LEN];
    sum.copy_from_slice(&hasher.finalize()[..SUM_LEN]);
    sum
}

fn le<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(le(bytes, at))
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(le(bytes, at))
}

/// Returns the bucket of an id among 2^`bits`.
pub fn bucket_of(id: &ObjectId, bits: u8) -> usize {
    let head = u32::from_be_bytes(le(id.as_bytes(), 0));
    head.checked_shr(32 - u32::from(bits)).unwrap_or(0) as usize
}

/// Returns k, the number of bits that tell the buckets of `count` entries apart.
pub fn bits_for(count: usize) -> u8 {
    let buckets = count.div_ceil(ENTRIES_PER_BUCKET).next_power_of_two();
    (buckets.trailing_zeros() as u8).min(BITS_MAX)
}

/// Writes the table and directory of `entries`, which are sorted by id; `None` if they are too many for
/// one pack.
pub fn encode_table(entries: &[Entry], bits: u8) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut table, mut directory) = (Vec::new(), Vec::new());
    let mut rest = entries;
    for number in 0..1usize << bits {
        let count = rest.iter().take_while(|entry| bucket_of(&entry.id, bits) == number).count();
        let (bucket, after) = rest.split_at(count);
        encode_bucket(number, bucket, &mut table);
        directory.extend_from_slice(&u32::try_from(table.len()).ok()?.to_le_bytes());
        rest = after;
    }
    Some((table, directory))
}

fn encode_bucket(number: usize, entries: &[Entry], table: &mut Vec<u8>) {
    let start = table.len();
    let mut bases: Vec<ObjectId> = Vec::new();
    table.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    table.extend_from_slice(&[0; 4]);
    for entry in entries {
        let (form, base) = match entry.form {
            Form::Whole => (0, None),
            Form::Delta(base) => (1, Some(base)),
            Form::Dictionary(base) => (2, Some(base)),
        };
        let base = base.map_or(0, |base| {
            let known = bases.iter().position(|other| *other == base);
            known.unwrap_or_else(|| {
                bases.push(base);
                bases.len() - 1
            }) + 1
        });
        let kind = code_of(entry.kind);
        let flags = u8::from(entry.is_recipe) * FLAG_RECIPE + u8::from(entry.is_part) * FLAG_PART;
        table.extend_from_slice(entry.id.as_bytes());
        table.extend_from_slice(&entry.offset.to_le_bytes());
        table.extend_from_slice(&entry.plain.to_le_bytes());
        table.extend_from_slice(&entry.stored.to_le_bytes());
        table.extend_from_slice(&[kind, form, flags, entry.depth, entry.ordinal, 0]);
        table.extend_from_slice(&(base as u16).to_le_bytes());
    }
    table[start + 4..start + 8].copy_from_slice(&(bases.len() as u32).to_le_bytes());
    bases.iter().for_each(|base| table.extend_from_slice(base.as_bytes()));
    let check = sum(&[&(number as u32).to_le_bytes(), &table[start..]]);
    table.extend_from_slice(&check);
}

/// The bytes of one bucket, whose checksum and shape were found right.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Bucket<'a> {
    /// Checks the checksum and shape of bucket `number`, or says what is wrong with it.
    pub fn check(number: usize, bytes: &'a [u8]) -> Result<Bucket<'a>, &'static str> {
        if bytes.len() < BUCKET_HEAD_LEN + SUM_LEN {
            return Err("a bucket of its table is too short");
        }
        let (body, check) = bytes.split_at(bytes.len() - SUM_LEN);
        if sum(&[&(number as u32).to_le_bytes(), body]) != *check {
            return Err("the checksum of a bucket of its table does not match");
        }
        let (count, bases) = (u64::from(le32(body, 0)), u64::from(le32(body, 4)));
        if BUCKET_HEAD_LEN as u64 + count * ENTRY_LEN as u64 + bases * 32 != body.len() as u64 {
            return Err("a bucket of its table has the wrong length");
        }
        Ok(Bucket { bytes: body, count: count as usize })
    }

    /// Takes bytes that [`Bucket::check`] was content with before.
    pub fn checked_before(bytes: &'a [u8]) -> Bucket<'a> {
        let body = &bytes[..bytes.len() - SUM_LEN];
        Bucket { bytes: body, count: le32(body, 0) as usize }
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.count
    }

    fn raw(&self, index: usize) -> &'a [u8] {
        &self.bytes[BUCKET_HEAD_LEN + index * ENTRY_LEN..][..ENTRY_LEN]
    }

    /// Returns the index of the first entry whose id is not below `id`.
    pub fn lower_bound(&self, id: &ObjectId) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            if self.raw(middle)[..32] < id.as_bytes()[..] { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Finds the entry of `id`.
    pub fn find(&self, id: &ObjectId) -> Option<Result<Entry, &'static str>> {
        let index = self.lower_bound(id);
        (index < self.count && self.raw(index)[..32] == id.as_bytes()[..]).then(|| self.entry(index))
    }

    /// Returns where the record of the entry at `index` starts, if it holds an object of `kind` itself.
    pub fn offset_of(&self, index: usize, kind: Kind) -> Option<u64> {
        let raw = self.raw(index);
        (raw[52] == code_of(kind) && raw[54] & FLAG_RECIPE == 0).then(|| le64(raw, 32))
    }

    /// Reads the entry at `index`, or says what is wrong with it.
    pub fn entry(&self, index: usize) -> Result<Entry, &'static str> {
        let raw = self.raw(index);
        let (kind, form, flags, depth, ordinal) = (raw[52], raw[53], raw[54], raw[55], raw[56]);
        let base_index = u16::from_le_bytes(le(raw, 58));
        let base = usize::from(base_index).checked_sub(1).and_then(|index| {
            let at = BUCKET_HEAD_LEN + self.count * ENTRY_LEN + index * 32;
            ObjectId::from_slice(self.bytes.get(at..at + 32)?)
        });
        let form = match (form, base) {
            (0, None) if base_index == 0 => Form::Whole,
            (1, Some(base)) => Form::Delta(base),
            (2, Some(base)) => Form::Dictionary(base),
            _ => return Err("an entry of its table has no valid encoding"),
        };
        let kind = match kind {
            1 => Kind::Blob,
            2 => Kind::Tree,
            3 => Kind::Commit,
            _ => return Err("an entry of its table has no valid kind"),
        };
        let is_recipe = flags & FLAG_RECIPE != 0;
        let plain = le64(raw, 40);
        if flags & !(FLAG_RECIPE | FLAG_PART) != 0 || raw[57] != 0 || is_recipe != (plain > RECORD_MAX as u64)
        {
            return Err("an entry of its table has no valid flags");
        }
        Ok(Entry {
            id: ObjectId::from_bytes(le(raw, 0)),
            kind,
            plain,
            offset: le64(raw, 32),
            stored: le32(raw, 48),
            form,
            is_recipe,
            is_part: flags & FLAG_PART != 0,
            depth,
            ordinal,
        })
    }
}

/// What the last bytes of a pack say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Where the table starts; the records end there.
    pub table_offset: u64,
    /// Where the directory starts; the table ends there.
    pub directory_offset: u64,
    /// Number of records.
    pub records: u64,
    /// Number of objects: of records that are no part of another.
    pub objects: u64,
    /// Sum of the objects' lengths in bytes.
    pub plain_bytes: u64,
    /// The table has 2^`bits` buckets.
    pub bits: u8,
    /// The directory's checksum.
    pub directory_sum: [u8; 16],
    /// The SHA-256 of all bytes before the footer.
    pub body_hash: [u8; 32],
}

impl Footer {
    /// Writes the footer.
    pub fn encode(&self) -> [u8; FOOTER_LEN] {
        let mut bytes = [0; FOOTER_LEN];
        let numbers =
            [self.table_offset, self.directory_offset, self.records, self.objects, self.plain_bytes];
        bytes[..8].copy_from_slice(FOOTER_MARK);
        for (field, number) in bytes[8..48].chunks_exact_mut(8).zip(numbers) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        bytes[48] = self.bits;
        bytes[56..72].copy_from_slice(&self.directory_sum);
        bytes[72..104].copy_from_slice(&self.body_hash);
        let check = sum(&[&bytes[..104]]);
        bytes[104..120].copy_from_slice(&check);
        bytes[120..].copy_from_slice(&TRAILER);
        bytes
    }

    /// Reads the footer of a pack of `file_len` bytes, or says what is wrong with it.
    pub fn decode(bytes: &[u8; FOOTER_LEN], file_len: u64) -> Result<Footer, &'static str> {
        if bytes[120..] != TRAILER || bytes[..8] != *FOOTER_MARK {
            return Err("it does not end with a footer");
        }
        if sum(&[&bytes[..104]]) != bytes[104..120] {
            return Err("the checksum of its footer does not match");
        }
        let footer = Footer {
            table_offset: le64(bytes, 8),
            directory_offset: le64(bytes, 16),
            records: le64(bytes, 24),
            objects: le64(bytes, 32),
            plain_bytes: le64(bytes, 40),
            bits: bytes[48],
            directory_sum: le(bytes, 56),
            body_hash: le(bytes, 72),
        };
        let is_sound = footer.bits <= BITS_MAX
            && bytes[49..56] == [0; 7]
            && footer.table_offset >= HEADER.len() as u64
            && footer.table_offset <= footer.directory_offset
            && footer.directory_offset - footer.table_offset <= u64::from(u32::MAX)
            && footer.directory_offset.checked_add(footer.directory_len() + FOOTER_LEN as u64)
                == Some(file_len);
        if is_sound { Ok(footer) } else { Err("the lengths in its footer do not fit the file") }
    }

    /// Returns the length of the directory in bytes.
    pub fn directory_len(&self) -> u64 {
        4 << self.bits
    }

    /// Returns the length of table and directory in bytes.
    pub fn index_len(&self) -> u64 {
        self.directory_offset - self.table_offset + self.directory_len()
    }

    /// Checks the directory and returns nothing, or says what is wrong with it.
    pub fn check_directory(&self, directory: &[u8]) -> Result<(), &'static str> {
        if sum(&[directory]) != self.directory_sum {
            return Err("the checksum of its directory does not match");
        }
        let mut last = 0;
        for end in directory.chunks_exact(4).map(|end| le32(end, 0)) {
            if end < last {
                return Err("its directory runs backwards");
            }
            last = end;
        }
        if u64::from(last) != self.directory_offset - self.table_offset {
            return Err("its directory does not cover its table");
        }
        Ok(())
    }
}

/// Version marks that are newer than ours, in a pack's header and in its footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewerMark {
    /// The digit or letter that counts the version.
    pub version: char,
    /// It is one flipped bit away from ours: only the file's hash tells a newer pack from a damaged one.
    pub may_be_damage: bool,
}

impl NewerMark {
    /// Looks at the first eight bytes of a pack and at its footer.
    pub fn find(header: &[u8; 8], footer: &[u8; FOOTER_LEN]) -> Option<NewerMark> {
        let marks = [(&header[..], &HEADER), (&footer[..8], FOOTER_MARK)];
        marks.into_iter().find_map(|(found, ours)| {
            let version = found[VERSION_AT];
            let is_ours = found[..VERSION_AT] == ours[..VERSION_AT]
                && found[VERSION_AT + 1..] == ours[VERSION_AT + 1..];
            let is_newer = is_ours && matches!(version, b'2'..=b'9' | b'a'..=b'z');
            let may_be_damage = (version ^ ours[VERSION_AT]).count_ones() == 1;
            is_newer.then_some(NewerMark { version: version.into(), may_be_damage })
        })
    }
}

/// Returns the checksum of a directory, for the footer.
pub fn directory_sum(directory: &[u8]) -> [u8; 16] {
    sum(&[directory])
}

/// Returns where in the table bucket `number` lies.
pub fn bucket_range(directory: &[u8], number: usize) -> std::ops::Range<usize> {
    let start = if number == 0 { 0 } else { le32(directory, number * 4 - 4) };
    start as usize..le32(directory, number * 4) as usize
}
