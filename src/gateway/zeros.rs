//! Files that turned into zeros: what a file system leaves when it grew a file before a power cut and never wrote it.
//!
//! - The sure sign is a file whose only difference from its last version is that bytes became zeros. Programs that
//!   clear a part of their file change something else in it as well: a counter, a date, a checksum.
//! - Formats that end in a mark of their own do not end in zeros.

/// A run of zeros where other bytes were, from which on a file counts as damaged.
const RUN_BYTES: u64 = 512;
/// In a short file half of it is enough, but not fewer than this.
const SHORT_RUN_BYTES: u64 = 64;

/// How files begin whose format ends in a mark of its own: PNG, PDF, ZIP (also docx, xlsx, odt, epub, jar), GIF,
/// JPEG, gzip, 7z, Ogg.
const ENDED_FORMATS: [&[u8]; 8] = [
    b"\x89PNG",
    b"%PDF",
    b"PK\x03\x04",
    b"GIF8",
    b"\xff\xd8\xff",
    b"\x1f\x8b",
    b"7z\xbc\xaf\x27\x1c",
    b"OggS",
];

/// Compares a file with its last version of the same length, in pieces.
#[derive(Clone, Debug, Default)]
pub struct ZeroedBytes {
    at: u64,
    /// The zeros up to here, and whether something else stood in the place of one of them.
    run: u64,
    is_new: bool,
    /// The longest run with new zeros, and where it begins.
    longest: u64,
    longest_at: u64,
}

impl ZeroedBytes {
    /// Says that so many bytes are as they were.
    pub fn same(&mut self, count: u64) {
        self.end_run();
        self.at += count;
    }

    /// Takes the next bytes of both. Returns `false` at a difference that is not a zero.
    pub fn update(&mut self, old: &[u8], new: &[u8]) -> bool {
        for (old, new) in old.iter().zip(new) {
            if *new == 0 {
                self.run += 1;
                self.is_new |= *old != 0;
            } else if old == new {
                self.end_run();
            } else {
                return false;
            }
            self.at += 1;
        }
        true
    }

    fn end_run(&mut self) {
        if self.is_new && self.run > self.longest {
            (self.longest, self.longest_at) = (self.run, self.at - self.run);
        }
        (self.run, self.is_new) = (0, false);
    }

    /// Returns where the longest run of new zeros begins, if it is long enough to count.
    pub fn found_at(&self) -> Option<u64> {
        let mut ended = self.clone();
        ended.end_run();
        let enough = RUN_BYTES.min((self.at / 2).max(SHORT_RUN_BYTES));
        (ended.longest >= enough).then_some(ended.longest_at)
    }
}

/// Returns where a file turned into zeros, if that is the only difference from its last version.
pub fn zeroed_at(old: &[u8], new: &[u8]) -> Option<u64> {
    let mut zeroed = ZeroedBytes::default();
    (old.len() == new.len() && zeroed.update(old, new)).then(|| zeroed.found_at()).flatten()
}

/// Returns `true` for a file of a format that ends in a mark of its own, if it ends in zeros now and did not before.
pub fn lost_its_end(old: &[u8], new: &[u8]) -> bool {
    let run = usize::try_from(RUN_BYTES).unwrap_or(usize::MAX);
    let ends_in_zeros =
        |bytes: &[u8]| bytes.len() > run && bytes[bytes.len() - run..].iter().all(|byte| *byte == 0);
    let is_ended = |bytes: &[u8]| ENDED_FORMATS.iter().any(|start| bytes.starts_with(start));
    is_ended(new) && ends_in_zeros(new) && !ends_in_zeros(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * 31 % 255 + 1) as u8).collect()
    }

    #[test]
    fn zeros_alone_count_and_an_edit_beside_them_does_not() {
        let old = noise(20_000);
        let with = |edit: &dyn Fn(&mut Vec<u8>)| {
            let mut new = old.clone();
            edit(&mut new);
            zeroed_at(&old, &new)
        };
        assert_eq!(with(&|_| {}), None);
        assert_eq!(with(&|new| new[8192..].fill(0)), Some(8192));
        assert_eq!(with(&|new| new[4096..8192].fill(0)), Some(4096));
        assert_eq!(with(&|new| new[5000..5600].fill(0)), Some(5000));
        assert_eq!(with(&|new| new[5000..5100].fill(0)), None, "a field that was cleared");
        assert_eq!(
            with(&|new| {
                new[4096..8192].fill(0);
                new[24] ^= 1;
            }),
            None,
            "a database that wiped a page counts it"
        );
        assert_eq!(with(&|new| new.extend([0; 4096])), None, "it grew");
        let small = noise(200);
        let mut half = small.clone();
        half[90..].fill(0);
        assert_eq!(zeroed_at(&small, &half), Some(90));
        assert_eq!(zeroed_at(&noise(32), &[0; 32]), None, "left to the rule for files of nothing but zeros");
    }

    #[test]
    fn pieces_make_no_difference() {
        let old = noise(5_000);
        let mut new = old.clone();
        new[1_000..2_000].fill(0);
        for piece in [1, 7, 512, 999, 5_000] {
            let mut zeroed = ZeroedBytes::default();
            assert!(old.chunks(piece).zip(new.chunks(piece)).all(|(old, new)| zeroed.update(old, new)));
            assert_eq!(zeroed.found_at(), Some(1_000), "{piece}");
        }
        let mut zeroed = ZeroedBytes::default();
        zeroed.same(1_000);
        assert!(zeroed.update(&old[1_000..2_000], &new[1_000..2_000]));
        zeroed.same(3_000);
        assert_eq!(zeroed.found_at(), Some(1_000));
    }

    #[test]
    fn a_picture_does_not_end_in_zeros() {
        let old = [b"\x89PNG".to_vec(), noise(3_000)].concat();
        let new = [b"\x89PNG".to_vec(), noise(1_500), vec![0; 4_000]].concat();
        assert!(lost_its_end(&old, &new));
        assert!(!lost_its_end(&new, &new), "it was so before");
        assert!(!lost_its_end(&old, &old));
        assert!(!lost_its_end(&noise(2_000), &[noise(2_000), vec![0; 2_000]].concat()), "another format");
    }
}
