//! Content-defined chunking: cuts a long object where its content says so, so that an edit moves only
//! the cuts beside it.
//!
//! FastCDC (Xia et al., 2020) with normalized chunking: a gear hash over the last 64 bytes, a strict
//! mask up to the average length and a loose one from there on. The gear table is our own, so that no
//! library can move the cuts: entry `b` is the first eight bytes, little-endian, of the SHA-256 of
//! `"mvault gear 1"` and the byte `b`.
//!
//! - Readers do not depend on any of this: a recipe lists its chunks whatever cut them.
//! - Unlike in the paper the hash starts 64 bytes before the shortest cut, so that a cut depends on
//!   the 64 bytes before it alone and not on where the chunk began.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// No chunk is shorter, except the last, in bytes.
pub const CHUNK_MIN: usize = 16 << 10;
/// Where the loose mask begins, in bytes; chunks are about this long.
pub const CHUNK_AVERAGE: usize = 64 << 10;
/// No chunk is longer, in bytes.
pub const CHUNK_MAX: usize = 256 << 10;

const WINDOW: usize = 64;
const MASK_STRICT: u64 = !0 << (64 - 18);
const MASK_LOOSE: u64 = !0 << (64 - 14);

static GEAR: LazyLock<[u64; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let mut hasher = Sha256::new();
        hasher.update(b"mvault gear 1");
        hasher.update([byte as u8]);
        let digest = hasher.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(first)
    })
});

/// Returns the length of the first chunk of `bytes`, which hold at least [`CHUNK_MAX`] bytes or all
/// that is left of the object.
pub fn cut(bytes: &[u8]) -> usize {
    let end = bytes.len().min(CHUNK_MAX);
    if end <= CHUNK_MIN {
        return end;
    }
    let gear = &*GEAR;
    let mut hash = bytes[CHUNK_MIN - WINDOW..CHUNK_MIN]
        .iter()
        .fold(0u64, |hash, &byte| (hash << 1).wrapping_add(gear[usize::from(byte)]));
    let middle = end.min(CHUNK_AVERAGE);
    for (range, mask) in [(CHUNK_MIN..middle, MASK_STRICT), (middle..end, MASK_LOOSE)] {
        let start = range.start;
        for (i, &byte) in bytes[range].iter().enumerate() {
            hash = (hash << 1).wrapping_add(gear[usize::from(byte)]);
            if hash & mask == 0 {
                return start + i + 1;
            }
        }
    }
    end
}

/// Runs of so many bytes are looked at, one in [`RUNS_APART`], chosen by what is in them.
const RUN: u32 = 16;
const RUNS_APART: u32 = 32;
/// How many places the set of runs has.
const RUN_PLACES: usize = 1 << 16;

/// Tells whether `new` has so much in common with `old` that a delta may pay: an eighth of its runs of 16 bytes, by
/// samples. Costs a twentieth of what the delta does. Where there is too little to sample, or too
/// much for the set, the answer is yes.
pub fn is_akin(old: &[u8], new: &[u8]) -> bool {
    let mut there = [0_u64; RUN_PLACES / 64];
    let mut samples = 0;
    sample(old, |place| there[place / 64] |= 1 << (place % 64));
    let mut shared = 0;
    sample(new, |place| {
        samples += 1;
        shared += there[place / 64] >> (place % 64) & 1;
    });
    samples < 16 || shared * 8 >= samples
}

/// Hands on where in the set the chosen runs of `bytes` belong.
fn sample(bytes: &[u8], mut take: impl FnMut(usize)) {
    let gear = &*GEAR;
    let mut hash = 0_u64;
    for byte in bytes {
        // The highest bits depend on all of the last 16 bytes, and on none before.
        hash = (hash << (u64::BITS / RUN)).wrapping_add(gear[usize::from(*byte)]);
        if hash >> (u64::BITS - RUNS_APART.ilog2()) == 0 {
            take((hash >> 40) as usize % RUN_PLACES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{noise, prose};

    #[test]
    fn versions_are_akin_and_other_texts_are_not() {
        for length in [3_000, 20_000, 200_000] {
            let old = prose(1, length);
            let mut edited = old.clone();
            edited.splice(length / 3..length / 3, *b"a sentence in the middle of it all");
            let half = [&old[length / 2..], &prose(2, length / 2)].concat();
            let tail = [&prose(3, length / 4)[..], &old[length / 4 * 3..]].concat();
            for new in [&old, &edited, &half, &tail] {
                assert!(is_akin(&old, new), "{length}");
            }
            // Long texts fill the set, and are compared in earnest.
            for seed in (4..40).filter(|_| length < 100_000) {
                assert!(!is_akin(&old, &prose(seed, length)), "{length}, {seed}");
                assert!(!is_akin(&noise(seed, length), &noise(seed + 1, length)));
            }
        }
        assert!(is_akin(b"a few words", b"and others"));
    }

    fn cuts(bytes: &[u8]) -> Vec<usize> {
        let (mut at, mut ends) = (0, Vec::new());
        while at < bytes.len() {
            at += cut(&bytes[at..]);
            ends.push(at);
        }
        ends
    }

    #[test]
    fn gear_table_is_the_documented_one() {
        assert_eq!(GEAR[0], 0xe27c_f4bb_d4a4_7f8a);
        assert_eq!(GEAR[255], 0x17ff_20ec_175f_f62f);
    }

    #[test]
    fn cuts_of_known_bytes_never_move() {
        assert_eq!(cuts(&noise(7, 400_000)), [101940, 211870, 282270, 343806, 400000]);
    }

    #[test]
    fn lengths_stay_within_their_bounds() {
        let zeros = vec![0; 1 << 20];
        let noise = noise(1, 8 << 20);
        for bytes in [&zeros[..], &noise[..], b"", b"x"] {
            let mut last = 0;
            for end in cuts(bytes) {
                assert!(end - last <= CHUNK_MAX);
                assert!(end - last >= CHUNK_MIN || end == bytes.len());
                last = end;
            }
            assert_eq!(last, bytes.len());
        }
        let count = cuts(&noise).len();
        assert!((100..160).contains(&count), "{count} chunks of 8 MiB");
    }

    #[test]
    fn an_insertion_moves_only_the_cuts_beside_it() {
        let before = noise(2, 2 << 20);
        let mut after = before.clone();
        after.splice(1_000_000..1_000_000, *b"seventeen letters");
        let old: Vec<_> = cuts(&before);
        let new: Vec<_> = cuts(&after).iter().map(|e| if *e > 1_000_000 { e - 17 } else { *e }).collect();
        let moved = new.iter().filter(|e| !old.contains(e)).count();
        assert!(moved <= 2, "{moved} cuts moved");
    }
}
