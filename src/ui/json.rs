//! Shapes that many commands share in JSON: paths and times.
//!
//! - A path is a string in `path`; when its bytes are not UTF-8 the string is an approximation (with
//!   U+FFFD) and `path_bytes` beside it has the bytes in base64.
//! - A time is RFC 3339 with its zone.

use serde_json::{Map, Value};

/// Returns a JSON string for bytes that should be text, approximated where they are not UTF-8.
pub fn text(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// Puts a path under `name` into an object, and its bytes under `<name>_bytes` when it is not UTF-8.
pub fn put_path(object: &mut Map<String, Value>, name: &str, path: &[u8]) {
    object.insert(name.to_owned(), text(path));
    if std::str::from_utf8(path).is_err() {
        object.insert(format!("{name}_bytes"), Value::String(base64(path)));
    }
}

/// Encodes bytes in base64 (RFC 4648, section 4, with padding).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place <= group.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_vectors_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn only_paths_that_are_not_utf8_carry_their_bytes() {
        let mut object = Map::new();
        put_path(&mut object, "path", "Zoë.md".as_bytes());
        put_path(&mut object, "old", b"a\xff");
        let text = Value::Object(object).to_string();
        assert_eq!(text, r#"{"path":"Zoë.md","old":"a�","old_bytes":"Yf8="}"#);
    }
}
