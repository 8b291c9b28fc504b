//! The five bytes before a frame's payload: its type and length, held against each other before anything is
//! allocated.

use super::{ASK_MAX, IDS_MAX};
use crate::sync::wire::{HEADER_BYTES, PAYLOAD_BYTES_MAX, WireError};

pub(super) mod code {
    pub const HELLO: u8 = 0x01;
    pub const OFFER: u8 = 0x02;
    pub const ASK: u8 = 0x03;
    pub const KNOWN: u8 = 0x04;
    pub const HAVE: u8 = 0x05;
    pub const COMMON: u8 = 0x06;
    pub const WANT: u8 = 0x07;
    pub const PACK: u8 = 0x10;
    pub const OBJECT: u8 = 0x11;
    pub const LARGE: u8 = 0x12;
    pub const LITERAL: u8 = 0x13;
    pub const COPY: u8 = 0x14;
    pub const PACK_END: u8 = 0x15;
    pub const ACK: u8 = 0x20;
    pub const OUTCOME: u8 = 0x21;
    pub const BYE: u8 = 0x22;
    pub const WORKING: u8 = 0x2e;
    pub const REFUSED: u8 = 0x2f;
}

/// A frame's type and length, checked against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub(super) code: u8,
    pub(super) name: &'static str,
    length: u32,
}

impl Header {
    /// Parses the first five bytes of a frame. What it declares may be allocated.
    pub fn parse(bytes: [u8; HEADER_BYTES]) -> Result<Header, WireError> {
        let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
        let (name, min, max) = match bytes[0] {
            code::HELLO => ("hello", 4, 8192),
            code::OFFER => ("offer", 2, 128 * 1024),
            code::ASK => ("ask", 4, 4 + 32 * ASK_MAX),
            code::KNOWN => ("known", 5, 4096),
            code::HAVE => ("have", 14, PAYLOAD_BYTES_MAX),
            code::COMMON => ("common", 4, 4 + 32 * IDS_MAX),
            code::WANT => ("want", 4, 4 + 32 * IDS_MAX),
            code::PACK => ("pack", 4, 4),
            code::OBJECT => ("object", 38, PAYLOAD_BYTES_MAX),
            code::LARGE => ("large", 50, 82),
            code::LITERAL => ("literal", 6, PAYLOAD_BYTES_MAX),
            code::COPY => ("copy", 16, 16),
            code::PACK_END => ("pack-end", 8, 8),
            code::ACK => ("ack", 8, 8),
            code::OUTCOME => ("outcome", 10, 64 * 1024),
            code::BYE => ("bye", 1, 64 * 1024),
            code::WORKING => ("working", 0, 0),
            code::REFUSED => ("refused", 5, 8192),
            other => return Err(WireError::UnknownFrame(other)),
        };
        if (min..=max).contains(&length) {
            Ok(Header { code: bytes[0], name, length })
        } else {
            Err(WireError::Length { frame: name, length })
        }
    }

    /// Returns how many bytes of payload follow.
    pub fn payload_bytes(&self) -> usize {
        self.length as usize
    }
}
