//! Compression on the wire: one zstd frame for at most 512 KiB, whole or against a base.
//!
//! - A frame must be a single segment with its content size written and without a dictionary id; it
//!   must fill its place exactly and yield exactly what was declared. All of that is checked before
//!   memory is taken, since zstd's one-shot decoder refuses none of it.
//! - A wrong base decodes to wrong bytes without an error: only the object's hash tells, and the
//!   receiver always computes it.

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

/// The most plain bytes that one frame holds.
pub const SQUEEZED_BYTES_MAX: usize = 512 * 1024;
/// Level for frames without a base, as in packs.
const LEVEL_WHOLE: i32 = 1;
/// Level for frames against a base: level 1 finds nothing from 256 KiB on.
const LEVEL_DELTA: i32 = 2;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why a compressed frame was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SqueezeError {
    /// Declares more than any frame may hold.
    #[error("a compressed frame declares {0} bytes; at most {SQUEEZED_BYTES_MAX} are allowed")]
    TooLarge(u64),
    /// Not the one form of frame that is sent.
    #[error("a compressed frame is malformed: {0}")]
    Malformed(&'static str),
    /// Does not decode, or yields another number of bytes.
    #[error("a compressed frame does not decode to the {0} bytes it declares")]
    Corrupt(usize),
}

/// Compresses at most 512 KiB, against `base` if there is one.
pub fn squeeze(bytes: &[u8], base: Option<&[u8]>) -> Vec<u8> {
    debug_assert!(bytes.len() <= SQUEEZED_BYTES_MAX);
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    let mut context = CCtx::create();
    let level = if base.is_some() { LEVEL_DELTA } else { LEVEL_WHOLE };
    let mut parameters = vec![CParameter::CompressionLevel(level), CParameter::ContentSizeFlag(true)];
    if base.is_some_and(|base| base.len() > 256 * 1024) {
        parameters.push(CParameter::EnableLongDistanceMatching(true));
        parameters.push(CParameter::WindowLog(20));
    }
    for parameter in parameters {
        context.set_parameter(parameter).expect("the parameters are constants that zstd knows");
    }
    if let Some(base) = base {
        context.ref_prefix(base).expect("a fresh context takes a prefix");
    }
    context.compress2(&mut out, bytes).expect("the buffer is as large as the bound zstd gave");
    out
}

/// Decompresses one frame that must yield exactly `size` bytes.
pub fn expand(frame: &[u8], size: usize, base: Option<&[u8]>) -> Result<Vec<u8>, SqueezeError> {
    if size > SQUEEZED_BYTES_MAX {
        return Err(SqueezeError::TooLarge(size as u64));
    }
    check_header(frame, size)?;
    let mut out = Vec::with_capacity(size);
    let mut context = DCtx::create();
    if let Some(base) = base {
        context.ref_prefix(base).map_err(|_| SqueezeError::Corrupt(size))?;
    }
    context.decompress(&mut out, frame).map_err(|_| SqueezeError::Corrupt(size))?;
    if out.len() == size { Ok(out) } else { Err(SqueezeError::Corrupt(size)) }
}

fn check_header(frame: &[u8], size: usize) -> Result<(), SqueezeError> {
    let descriptor = match frame {
        [a, b, c, d, descriptor, ..] if [*a, *b, *c, *d] == MAGIC => *descriptor,
        _ => return Err(SqueezeError::Malformed("it is no zstd frame")),
    };
    if descriptor & 0b0010_0000 == 0 {
        return Err(SqueezeError::Malformed("it is not a single segment"));
    }
    if descriptor & 0b0001_1011 != 0 {
        return Err(SqueezeError::Malformed("it uses a dictionary or reserved bits"));
    }
    match zstd_safe::get_frame_content_size(frame) {
        Ok(Some(content)) if content == size as u64 => {}
        Ok(Some(content)) if content > SQUEEZED_BYTES_MAX as u64 => {
            return Err(SqueezeError::TooLarge(content));
        }
        _ => return Err(SqueezeError::Malformed("its content size is not the declared one")),
    }
    match zstd_safe::find_frame_compressed_size(frame) {
        Ok(length) if length == frame.len() => Ok(()),
        _ => Err(SqueezeError::Malformed("it does not fill its place exactly")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize, mut seed: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(&(seed >> 17).to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn what_was_squeezed_expands_to_itself() {
        for length in [0, 1, 100, 4096, 300_000, SQUEEZED_BYTES_MAX] {
            let bytes = noise(length, 1);
            assert_eq!(expand(&squeeze(&bytes, None), length, None).expect("valid"), bytes);
            let base = noise(1000, 2);
            let frame = squeeze(&bytes, Some(&base));
            assert_eq!(expand(&frame, length, Some(&base)).expect("valid"), bytes);
        }
    }

    #[test]
    fn one_changed_line_costs_less_than_a_kilobyte_at_every_size() {
        for length in [1_000, 100_000, 200_000, 300_000, 500_000] {
            let base = noise(length, 3);
            let mut changed = base.clone();
            changed.splice(length / 2..length / 2 + 40, *b"a line that was edited here");
            let frame = squeeze(&changed, Some(&base));
            assert!(frame.len() < 1024, "{length}: {}", frame.len());
            assert_eq!(expand(&frame, changed.len(), Some(&base)).expect("valid"), changed);
        }
    }

    #[test]
    fn frames_that_lie_about_themselves_are_refused() {
        let bytes = noise(5000, 4);
        let frame = squeeze(&bytes, None);
        assert!(expand(&frame, 4999, None).is_err());
        assert!(expand(&frame, 5001, None).is_err());
        assert!(expand(&frame, usize::MAX, None).is_err());
        let doubled = [frame.as_slice(), &frame].concat();
        assert!(expand(&doubled, 5000, None).is_err() && expand(&doubled, 10_000, None).is_err());
        let trailing = [frame.as_slice(), b"x"].concat();
        assert!(expand(&trailing, 5000, None).is_err());
        for cut in 0..frame.len().min(64) {
            assert!(expand(&frame[..cut], 5000, None).is_err());
        }
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0];
        assert!(expand(&skippable, 0, None).is_err());
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).expect("compresses");
        assert!(expand(&bomb, 64 << 20, None).is_err() && expand(&bomb, 5000, None).is_err());
    }

    #[test]
    fn streamed_frames_with_a_window_of_their_own_are_refused() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).expect("creates");
        std::io::Write::write_all(&mut encoder, b"no size is known here").expect("writes");
        let frame = encoder.finish().expect("finishes");
        assert!(matches!(expand(&frame, 21, None), Err(SqueezeError::Malformed(_))));
    }
}
