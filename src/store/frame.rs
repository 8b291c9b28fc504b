//! zstd frames: what a record's bytes are. Written fast, read strictly.
//!
//! - A frame is a single segment with its content size, without checksum (the object's hash is the
//!   checksum), and fills its record exactly. The library's one-shot decoder insists on none of that,
//!   so the frame's header is parsed here before anything is decoded or memory is taken.
//! - A delta has the plain bytes of its base as reference prefix. A wrong base decodes to wrong bytes
//!   without an error: whoever decodes must hash.
//!
//! A prefix stays tied to its context, so that a long delta is made in a context of its own; whole frames and short
//! deltas share one per thread, and so does what is decoded: making contexts was two fifths of a walk down a history.

use std::cell::RefCell;

use zstd::zstd_safe::{self, CCtx, CDict, CParameter, DCtx, DDict};

use crate::object::{Kind, ObjectId, hash_object};

/// No record holds more plain bytes.
pub const RECORD_MAX: usize = 512 << 10;

const LEVEL_WHOLE: i32 = 1;
const LEVEL_DELTA: i32 = 2;
/// The level of a compaction, which has time.
const LEVEL_THOROUGH: i32 = 9;
/// Shorter objects are stored whole.
pub const DELTA_MIN: usize = 64;
/// A delta and its base that are no longer together need no long-distance matching, and so no context of their own.
const SHORT_MAX: usize = 64 << 10;
/// Longer objects gain next to nothing by a dictionary.
pub const DICTIONARY_PLAIN_MAX: usize = 64 << 10;
/// The window covers a base and what is decoded on it.
const WINDOW_LOG_DELTA: u32 = 20;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How a zstd dictionary begins. Given as a dictionary, any other bytes are a prefix.
const MAGIC_DICTIONARY: [u8; 4] = [0x37, 0xa4, 0x30, 0xec];

/// What a frame was made with, and needs to be read.
#[derive(Clone, Copy)]
pub enum Reference<'a> {
    /// Nothing.
    None,
    /// The plain bytes of a base.
    Prefix(&'a [u8]),
    /// A zstd dictionary.
    Dictionary(&'a DDict<'static>),
}

/// How much time compressing may take.
#[derive(Clone, Copy)]
pub enum Effort<'a> {
    /// Somebody waits for it.
    Fast,
    /// Nobody does; what is small may be compressed with a dictionary.
    Thorough(Option<&'a Dictionary>),
}

impl Effort<'_> {
    /// Compresses at most [`RECORD_MAX`] bytes into a frame of their own.
    pub fn whole(self, bytes: &[u8]) -> Vec<u8> {
        debug_assert!(bytes.len() <= RECORD_MAX);
        let encoder = match self {
            Effort::Fast => &ENCODER,
            Effort::Thorough(_) => &ENCODER_THOROUGH,
        };
        encoder.with_borrow_mut(|context| compress(context, bytes))
    }

    /// Compresses at most [`RECORD_MAX`] bytes into a frame that says how they differ from `base`.
    pub fn delta(self, base: &[u8], bytes: &[u8]) -> Vec<u8> {
        debug_assert!(bytes.len() <= RECORD_MAX && base.len() <= RECORD_MAX);
        let level = match self {
            Effort::Fast => LEVEL_DELTA,
            Effort::Thorough(_) => LEVEL_THOROUGH,
        };
        if base.len() + bytes.len() <= SHORT_MAX && !base.starts_with(&MAGIC_DICTIONARY) {
            // What does not begin like a dictionary is taken as plain bytes: as a prefix, that is.
            return ENCODER_SHORT.with_borrow_mut(|context| {
                let mut frame = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
                let done = context.compress_using_dict(&mut frame, bytes, base, level);
                done.expect("a buffer of the bound's size holds any frame");
                frame
            });
        }
        let mut context = encoder(level);
        // Without long-distance matching the match finder of a fast level loses the base from some 200 KiB
        // on, and a delta of a hundred bytes becomes one of a hundred kilobytes.
        let parameters = [
            CParameter::WindowLog(WINDOW_LOG_DELTA),
            CParameter::EnableLongDistanceMatching(true),
            CParameter::LdmMinMatch(32),
        ];
        for parameter in parameters {
            context.set_parameter(parameter).expect("the parameter is one zstd has");
        }
        context.ref_prefix(base).expect("a fresh context takes a prefix");
        compress(&mut context, bytes)
    }
}

/// A dictionary to compress with.
pub struct Dictionary {
    id: ObjectId,
    prepared: CDict<'static>,
}

impl Dictionary {
    /// Prepares a dictionary, which is stored as a blob of these bytes.
    pub fn new(bytes: &[u8]) -> Dictionary {
        let id = hash_object(Kind::Blob, bytes);
        Dictionary { id, prepared: CDict::create(bytes, LEVEL_THOROUGH) }
    }

    /// Returns the id of the blob.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Compresses at most [`DICTIONARY_PLAIN_MAX`] bytes.
    pub fn encode(&self, bytes: &[u8]) -> Vec<u8> {
        debug_assert!(bytes.len() <= DICTIONARY_PLAIN_MAX);
        ENCODER_SHORT.with_borrow_mut(|context| {
            let mut frame = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
            let done = context.compress_using_cdict(&mut frame, bytes, &self.prepared);
            done.expect("a buffer of the bound's size holds any frame");
            frame
        })
    }
}

thread_local! {
    static ENCODER: RefCell<CCtx<'static>> = RefCell::new(encoder(LEVEL_WHOLE));
    static ENCODER_SHORT: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static ENCODER_THOROUGH: RefCell<CCtx<'static>> = RefCell::new(encoder(LEVEL_THOROUGH));
    static DECODER: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

fn encoder<'a>(level: i32) -> CCtx<'a> {
    let mut context = CCtx::create();
    context.set_parameter(CParameter::CompressionLevel(level)).expect("the level is one zstd has");
    context
}

fn compress(context: &mut CCtx<'_>, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    context.compress2(&mut frame, bytes).expect("a buffer of the bound's size holds any frame");
    frame
}

/// Compresses at most [`RECORD_MAX`] bytes into a frame of their own, fast.
pub fn encode_whole(bytes: &[u8]) -> Vec<u8> {
    Effort::Fast.whole(bytes)
}

/// Compresses at most [`RECORD_MAX`] bytes into a frame that says how they differ from `base`, fast.
pub fn encode_delta(base: &[u8], bytes: &[u8]) -> Vec<u8> {
    Effort::Fast.delta(base, bytes)
}

/// Decodes a frame that fills `frame` and yields exactly the length it declares, which is `plain`
/// where that is known. Says what is wrong otherwise.
pub fn decode(frame: &[u8], plain: Option<u64>, reference: Reference<'_>) -> Result<Vec<u8>, String> {
    let header = parse_header(frame)?;
    if let Some(plain) = plain.filter(|plain| *plain != header.content_size) {
        return Err(format!("its frame declares {} bytes, its table {plain}", header.content_size));
    }
    let size = usize::try_from(header.content_size).ok().filter(|size| *size <= RECORD_MAX);
    let Some(size) = size else {
        return Err(format!("its frame declares {} bytes, the limit is {RECORD_MAX}", header.content_size));
    };
    if header.has_dictionary != matches!(reference, Reference::Dictionary(_)) {
        return Err("its frame and its table disagree about a dictionary".to_owned());
    }
    match zstd_safe::find_frame_compressed_size(frame) {
        Ok(length) if length == frame.len() => {}
        Ok(length) => return Err(format!("its frame ends after {length} of {} bytes", frame.len())),
        Err(code) => return Err(format!("it is no frame ({})", zstd_safe::get_error_name(code))),
    }
    let mut bytes = Vec::with_capacity(size);
    let decoded = match reference {
        Reference::None => DECODER.with_borrow_mut(|context| context.decompress(&mut bytes, frame)),
        Reference::Prefix(base) if !base.starts_with(&MAGIC_DICTIONARY) => {
            DECODER.with_borrow_mut(|context| context.decompress_using_dict(&mut bytes, frame, base))
        }
        Reference::Prefix(base) => {
            let mut context = DCtx::create();
            context.ref_prefix(base).and_then(|_| context.decompress(&mut bytes, frame))
        }
        Reference::Dictionary(dictionary) => {
            DECODER.with_borrow_mut(|context| context.decompress_using_ddict(&mut bytes, frame, dictionary))
        }
    };
    match decoded {
        Ok(length) if length == size && bytes.len() == size => Ok(bytes),
        Ok(length) => Err(format!("its frame yields {length} bytes and declares {size}")),
        Err(code) => Err(format!("its frame does not decode ({})", zstd_safe::get_error_name(code))),
    }
}

struct Header {
    content_size: u64,
    has_dictionary: bool,
}

/// Parses a frame's header (RFC 8878, section 3.1.1.1) and refuses what records never have.
fn parse_header(frame: &[u8]) -> Result<Header, String> {
    if frame.get(..4) != Some(&MAGIC[..]) {
        return Err("it does not start with a zstd frame".to_owned());
    }
    let descriptor = *frame.get(4).ok_or("its frame ends in its header")?;
    if descriptor & 0b0010_0000 == 0 {
        return Err("its frame is not a single segment".to_owned());
    }
    if descriptor & 0b0001_1100 != 0 {
        return Err("its frame has a checksum or reserved bits".to_owned());
    }
    let dictionary_len = [0, 1, 2, 4][usize::from(descriptor & 0b11)];
    let size_len = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let start = 5 + dictionary_len;
    let field = frame.get(start..start + size_len).ok_or("its frame ends in its header")?;
    let mut size = [0; 8];
    size[..size_len].copy_from_slice(field);
    let content_size = u64::from_le_bytes(size) + if size_len == 2 { 256 } else { 0 };
    Ok(Header { content_size, has_dictionary: dictionary_len > 0 })
}
