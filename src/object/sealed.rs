//! A line that vouches for itself: a JSON object whose last member is the SHA-256 of all bytes before it. Pure.
//!
//! The suffix `,"hash":"<64 digits>"}` has a fixed length, so a line is checked without parsing it and
//! whatever its members are. The operation log is made of such lines, and so are the small files of `.mvault`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

const SUFFIX_START: &[u8] = b",\"hash\":\"";
const SUFFIX_END: &[u8] = b"\"}";
/// Length of the suffix in bytes.
const SUFFIX_BYTES: usize = SUFFIX_START.len() + 64 + SUFFIX_END.len();

/// Returns the line for `value`, with its hash and its line feed, and the hash.
pub fn seal_line(value: &impl Serialize) -> (Vec<u8>, [u8; 32]) {
    let mut line = serde_json::to_vec(value).expect("what is sealed has string keys and finite numbers");
    let brace = line.pop();
    assert_eq!(brace, Some(b'}'), "what is sealed is a JSON object");
    let hash: [u8; 32] = Sha256::digest(&line).into();
    line.extend_from_slice(SUFFIX_START);
    line.extend_from_slice(hex::encode(hash).as_bytes());
    line.extend_from_slice(SUFFIX_END);
    line.push(b'\n');
    (line, hash)
}

/// Returns the hash of a line, without its line feed, if the suffix and the hash are right.
pub fn check_line(line: &[u8]) -> Option<[u8; 32]> {
    let (body, suffix) = line.split_at_checked(line.len().checked_sub(SUFFIX_BYTES)?)?;
    let digits = suffix.strip_prefix(SUFFIX_START)?.strip_suffix(SUFFIX_END)?;
    let hash: [u8; 32] = Sha256::digest(body).into();
    (hex::encode(hash).as_bytes() == digits).then_some(hash)
}

/// Reads a line, without its line feed, of a file whose lines were not always sealed: one whose hash is right,
/// or one of earlier programs, which has no member that `T` does not know. `None` for a damaged one.
///
/// So a line whose suffix was damaged is not taken for an old one.
pub fn read_line<T: Serialize + DeserializeOwned>(line: &[u8]) -> Option<T> {
    if check_line(line).is_none() {
        let found: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let read: T = serde_json::from_value(Value::Object(found.clone())).ok()?;
        let known = serde_json::to_value(&read).ok()?;
        return found.keys().all(|key| known.get(key).is_some()).then_some(read);
    }
    let mut body = line[..line.len() - SUFFIX_BYTES].to_vec();
    body.push(b'}');
    serde_json::from_slice(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq, Eq)]
    struct Small {
        name: String,
        #[serde(default)]
        count: Option<u64>,
    }

    #[test]
    fn a_sealed_line_comes_back_and_no_changed_byte_of_it_does() {
        let value = Small { name: "päivä\n".into(), count: Some(7) };
        let (line, _) = seal_line(&value);
        let line = line.strip_suffix(b"\n").expect("a line feed ends the line");
        assert_eq!(read_line(line), Some(value));
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut bad = line.to_vec();
                bad[at] ^= 1 << bit;
                assert_eq!(read_line::<Small>(&bad), None, "byte {at}, bit {bit}");
            }
            assert_eq!(read_line::<Small>(&line[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_line_of_before_is_read_without_a_hash() {
        let read = read_line(b"{\"name\":\"x\"}");
        assert_eq!(read, Some(Small { name: "x".into(), count: None }));
        assert_eq!(read_line::<Small>(b"{\"name\":\"x\",\"hasi\":\"00\"}"), None);
    }
}
