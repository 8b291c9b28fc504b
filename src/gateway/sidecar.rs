//! Sidecars: beside a sealed file `<name>` stands `<name>.sha256`, one line in the format of `sha256sum`,
//! so that the file can be checked with no mvault at hand.
//!
//! - The text names the file by its last part, so the check runs in its folder:
//!   `find . -name '*.sha256' -execdir sha256sum -c {} +`.
//! - A name with control characters, or too long to take the ending, has no sidecar.
//! - What is read is not trusted: either mode letter of `sha256sum` is taken, one line, nothing else.

use sha2::{Digest, Sha256};

use crate::object::VaultPath;

/// The ending of a sidecar's name.
pub const SIDECAR_ENDING: &[u8] = b".sha256";
/// The longest name a sidecar can stand beside, in bytes.
pub const SEALED_NAME_BYTES_MAX: usize = 248;
/// The longest sidecar that is read: a digest, a name with every byte escaped, and some room.
pub const SIDECAR_BYTES_MAX: u64 = 1024;

/// The SHA-256 of plain bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest256(pub [u8; 32]);

impl Digest256 {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Digest256 {
        Digest256(Sha256::digest(bytes).into())
    }
}

impl std::fmt::Display for Digest256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Tells whether a file of this name can have a sidecar.
pub fn can_be_sealed(name: &[u8]) -> bool {
    name.len() <= SEALED_NAME_BYTES_MAX && !name.iter().any(u8::is_ascii_control)
}

/// Returns where the sidecar of the file at `path` stands, or `None` if it can have none.
pub fn sidecar_path(path: &VaultPath) -> Option<VaultPath> {
    if !can_be_sealed(path.name()) {
        return None;
    }
    VaultPath::parse([path.as_bytes(), SIDECAR_ENDING].concat()).ok()
}

/// Returns the path of the file whose sidecar would stand at `path`.
pub fn sealed_path(path: &VaultPath) -> Option<VaultPath> {
    let sealed = path.as_bytes().strip_suffix(SIDECAR_ENDING)?;
    let sealed = VaultPath::parse(sealed).ok()?;
    can_be_sealed(sealed.name()).then_some(sealed)
}

/// Writes the sidecar of a file called `name`, byte for byte as `sha256sum NAME` does.
pub fn encode(name: &[u8], digest: Digest256) -> Vec<u8> {
    let escaped = name.contains(&b'\\');
    let mut line = Vec::with_capacity(name.len() + 70);
    if escaped {
        line.push(b'\\');
    }
    line.extend_from_slice(hex::encode(digest.0).as_bytes());
    line.extend_from_slice(b"  ");
    for byte in name {
        if *byte == b'\\' {
            line.push(b'\\');
        }
        line.push(*byte);
    }
    line.push(b'\n');
    line
}

/// Reads the digest that a sidecar gives for the file `name`; `None` if it is no sidecar of that file.
pub fn decode(bytes: &[u8], name: &[u8]) -> Option<Digest256> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let (line, escaped) = match line.strip_prefix(b"\\") {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let (digest, rest) = line.split_at_checked(64)?;
    let named = rest.strip_prefix(b"  ").or_else(|| rest.strip_prefix(b" *"))?;
    let named = if escaped { unescape(named)? } else { named.to_vec() };
    if named != name {
        return None;
    }
    let mut found = [0; 32];
    hex::decode_to_slice(digest, &mut found).ok()?;
    Some(Digest256(found))
}

/// Reads the digest that a sidecar gives for a file of whatever name.
pub fn sum(bytes: &[u8]) -> Option<Digest256> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_prefix(b"\\").unwrap_or(line);
    let (digest, rest) = line.split_at_checked(64)?;
    let is_one = rest.len() > 2 && matches!(&rest[..2], b"  " | b" *") && !rest.contains(&b'\n');
    let mut found = [0; 32];
    hex::decode_to_slice(digest, &mut found).ok()?;
    is_one.then_some(Digest256(found))
}

fn unescape(name: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            other => *other,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_is_what_sha256sum_writes() {
        let digest = Digest256::of(b"hello\n");
        let line = b"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  a.md\n";
        assert_eq!(encode(b"a.md", digest), line);
        assert_eq!(decode(line, b"a.md"), Some(digest));
        let escaped = encode(b"a\\b", digest);
        assert!(escaped.starts_with(b"\\5891"), "sha256sum marks a name that it escaped");
        assert_eq!(decode(&escaped, b"a\\b"), Some(digest));
    }

    #[test]
    fn other_files_lines_and_forms_are_no_sidecar() {
        let digest = Digest256::of(b"");
        let good = encode(b"a", digest);
        let binary = String::from_utf8(good.clone()).expect("text").replace("  a", " *a");
        assert_eq!(decode(binary.as_bytes(), b"a"), Some(digest));
        assert_eq!(decode(&good, b"b"), None);
        for bytes in [&b""[..], b"abc", b"\\", &good[..66], &[&good[..], &good[..]].concat()] {
            assert_eq!(decode(bytes, b"a"), None, "{bytes:?}");
            assert_eq!(sum(bytes), None, "{bytes:?}");
        }
        assert_eq!(sum(&good), Some(digest));
        assert_eq!(sum(&encode(b"another\\name", digest)), Some(digest));
    }

    #[test]
    fn paths_and_their_sidecars_name_each_other() {
        let path = |text: &str| VaultPath::parse(text).expect("a path");
        assert_eq!(sidecar_path(&path("d/a.md")), Some(path("d/a.md.sha256")));
        assert_eq!(sealed_path(&path("d/a.md.sha256")), Some(path("d/a.md")));
        assert_eq!(sealed_path(&path("d/.sha256")), None);
        assert_eq!(sealed_path(&path("d/a.md")), None);
        assert_eq!(sidecar_path(&path(&"x".repeat(249))), None);
        assert_eq!(sidecar_path(&path("a\nb")), None);
    }
}
