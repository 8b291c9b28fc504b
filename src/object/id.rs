//! Ids: SHA-256 names of objects, one type a kind, made by hashing or parsing and nothing else.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use super::Kind;

/// A string that is no id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// Not 64 lower-case hexadecimal digits.
    #[error("not an id: {0:?} (an id is 64 hexadecimal digits)")]
    Malformed(String),
    /// Not a prefix of at least four lower-case hexadecimal digits.
    #[error("not the beginning of an id: {0:?} (at least 4 hexadecimal digits are needed)")]
    MalformedPrefix(String),
}

/// What each byte is worth as a lower-case hexadecimal digit; 16 for one that is none.
const VALUES: [u8; 256] = {
    let mut values = [16; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// The id of an object of any kind.
///
/// Holds the 32 bytes of a SHA-256 and never a SHA-1, so that the vault's hash is part of the type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId([u8; 32]);

impl Hash for ObjectId {
    /// Hashes half of it: it is a hash itself, and nobody finds many ids that agree in that half.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0[..16]);
    }
}

impl ObjectId {
    /// Returns the id whose bytes are `bytes`, as read from a tree, a pack table or a frame.
    pub fn from_bytes(bytes: [u8; 32]) -> ObjectId {
        ObjectId(bytes)
    }

    /// Returns the id in a slice of exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<ObjectId> {
        bytes.try_into().ok().map(ObjectId)
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<ObjectId, IdError> {
        let malformed = || IdError::Malformed(shorten(text));
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| malformed())?;
        let mut bytes = [0; 32];
        let mut all = 0;
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair.map(|digit| VALUES[usize::from(digit)]);
            *byte = high << 4 | low;
            all |= high | low;
        }
        if all < 16 { Ok(ObjectId(bytes)) } else { Err(malformed()) }
    }

    /// Returns the id as gix has it.
    pub fn to_gix(self) -> gix::ObjectId {
        gix::ObjectId::from_bytes_or_panic(&self.0)
    }

    /// Returns the id for a gix id, or `None` if that is not a SHA-256.
    pub fn from_gix(id: &gix::hash::oid) -> Option<ObjectId> {
        ObjectId::from_slice(id.as_bytes())
    }

    /// Returns the first ten hexadecimal digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..5])
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).expect("32 bytes are 64 digits");
        f.write_str(std::str::from_utf8(&digits).expect("digits are ASCII"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.short())
    }
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ObjectId);

        impl $name {
            /// Names the kind of an id that is known, by its place, to be of this kind.
            pub fn new(id: ObjectId) -> $name {
                $name(id)
            }

            /// Parses 64 lower-case hexadecimal digits.
            pub fn parse(text: &str) -> Result<$name, IdError> {
                ObjectId::parse(text).map($name)
            }

            /// Returns the id without its kind.
            pub fn object(self) -> ObjectId {
                self.0
            }

            /// Returns the first ten hexadecimal digits, for people.
            pub fn short(&self) -> String {
                self.0.short()
            }
        }

        impl From<$name> for ObjectId {
            fn from(id: $name) -> ObjectId {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

typed_id! {
    /// The id of a blob.
    BlobId
}
typed_id! {
    /// The id of a tree.
    TreeId
}
typed_id! {
    /// The id of a commit.
    CommitId
}

impl TreeId {
    /// Returns the id of the tree with no entries.
    pub fn empty() -> TreeId {
        TreeId(hash_object(Kind::Tree, b""))
    }
}

/// The beginning of an id as a person types it: 4 to 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Parses at least four hexadecimal digits; upper case is folded.
    pub fn parse(text: &str) -> Result<Prefix, IdError> {
        let digits = text.bytes().all(|b| b.is_ascii_hexdigit());
        if digits && (4..=64).contains(&text.len()) {
            Ok(Prefix(text.to_ascii_lowercase()))
        } else {
            Err(IdError::MalformedPrefix(shorten(text)))
        }
    }

    /// Tells whether `id` begins with these digits.
    pub fn matches(&self, id: &ObjectId) -> bool {
        hex::encode(id.as_bytes()).starts_with(&self.0)
    }

    /// Returns the smallest and the greatest id with this prefix, for a search in sorted ids.
    pub fn range(&self) -> (ObjectId, ObjectId) {
        let bound = |fill: char| {
            let text: String = self.0.chars().chain(std::iter::repeat(fill)).take(64).collect();
            ObjectId::parse(&text).expect("64 hexadecimal digits were put together")
        };
        (bound('0'), bound('f'))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes an object whose length is known before its bytes are.
#[derive(Clone)]
pub struct ObjectHasher(Sha256);

impl ObjectHasher {
    /// Starts the hash of an object of `kind` with `length` bytes.
    pub fn new(kind: Kind, length: u64) -> ObjectHasher {
        let mut hasher = Sha256::new();
        hasher.update(format!("{kind} {length}\0"));
        ObjectHasher(hasher)
    }

    /// Adds bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the id. It is the object's only if as many bytes came as were announced.
    pub fn finish(self) -> ObjectId {
        ObjectId(self.0.finalize().into())
    }
}

/// Returns the id of an object of `kind` whose body is `bytes`.
pub fn hash_object(kind: Kind, bytes: &[u8]) -> ObjectId {
    let mut hasher = ObjectHasher::new(kind, bytes.len() as u64);
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_tree_has_the_id_git_gives_it() {
        assert_eq!(
            TreeId::empty().to_string(),
            "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
        );
    }

    #[test]
    fn upper_case_and_other_lengths_are_refused() {
        let id = TreeId::empty().to_string();
        assert!(ObjectId::parse(&id).is_ok());
        assert!(ObjectId::parse(&id.to_uppercase()).is_err());
        assert!(ObjectId::parse(&id[..63]).is_err());
        assert!(ObjectId::parse(&format!("{id}0")).is_err());
    }

    #[test]
    fn prefix_range_holds_exactly_what_matches() {
        let id = TreeId::empty().object();
        let prefix = Prefix::parse("6EF1").expect("four digits");
        let (low, high) = prefix.range();
        assert!(prefix.matches(&id) && low <= id && id <= high);
        assert!(Prefix::parse("6ef").is_err());
        assert!(Prefix::parse("6efx").is_err());
    }
}
