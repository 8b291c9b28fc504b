//! Where objects come from: a trait for readers, and an overlay that keeps new objects in memory.
//!
//! gix's tree editing, diff and merge run on an [`Overlay`]; what they make stays in memory until
//! somebody writes it into a pack.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{BlobId, Commit, CommitId, Kind, ObjectId, Tree, TreeId, hash_object};

/// An object whose bytes were hashed and found to be what its id says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its body.
    pub data: Arc<[u8]>,
}

/// An object with its id, which was computed of its bytes: whoever holds it need not hash them again.
#[derive(Clone, Debug)]
pub struct Hashed {
    id: ObjectId,
    object: Object,
}

impl Hashed {
    /// Hashes an object.
    pub fn new(kind: Kind, data: Arc<[u8]>) -> Hashed {
        Hashed { id: hash_object(kind, &data), object: Object { kind, data } }
    }

    /// Returns its id.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Returns its kind.
    pub fn kind(&self) -> Kind {
        self.object.kind
    }

    /// Returns its body.
    pub fn data(&self) -> &Arc<[u8]> {
        &self.object.data
    }
}

/// Why an object could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nobody knows it.
    #[error("{kind} {id} is missing")]
    Missing {
        /// The kind that was wanted.
        kind: Kind,
        /// The id that was wanted.
        id: ObjectId,
    },
    /// Its bytes were removed on request.
    #[error("blob {id} was purged {how}")]
    Purged {
        /// The id that was wanted.
        id: ObjectId,
        /// When, by which device, why.
        how: String,
    },
    /// The object is there and is not what it should be.
    #[error("{id} is no valid {kind}")]
    Invalid {
        /// The kind that was wanted.
        kind: Kind,
        /// The id that was wanted.
        id: ObjectId,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store failed.
    #[error("cannot read object {id}")]
    Read {
        /// The id that was wanted.
        id: ObjectId,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A reader of objects. Implementations hash what they hand out.
pub trait Source {
    /// Returns the object, or `None` if there is none with this id.
    fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError>;

    /// Tells whether there is such an object, without reading it.
    fn contains(&self, id: ObjectId) -> Result<bool, SourceError> {
        Ok(self.try_find(id)?.is_some())
    }

    /// Returns the kind and length in bytes, reading no more than needed.
    fn try_info(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, SourceError> {
        Ok(self.try_find(id)?.map(|object| (object.kind, object.data.len() as u64)))
    }

    /// Returns the error for an object that is not there.
    fn missing(&self, kind: Kind, id: ObjectId) -> SourceError {
        SourceError::Missing { kind, id }
    }

    /// Returns the object of the given kind.
    fn find(&self, id: ObjectId, kind: Kind) -> Result<Object, SourceError> {
        let object = self.try_find(id)?.ok_or_else(|| self.missing(kind, id))?;
        if object.kind == kind {
            Ok(object)
        } else {
            let source = format!("it is a {}", object.kind).into();
            Err(SourceError::Invalid { kind, id, source })
        }
    }

    /// Returns a blob's bytes.
    fn find_blob(&self, id: BlobId) -> Result<Arc<[u8]>, SourceError> {
        Ok(self.find(id.object(), Kind::Blob)?.data)
    }

    /// Returns the SHA-256 of a blob's plain bytes, of any length.
    fn content_sha256(&self, id: BlobId) -> Result<[u8; 32], SourceError> {
        Ok(Sha256::digest(self.find_blob(id)?).into())
    }

    /// Returns a tree's bytes.
    fn find_tree_bytes(&self, id: TreeId) -> Result<Arc<[u8]>, SourceError> {
        if id == TreeId::empty() { Ok(Arc::default()) } else { Ok(self.find(id.object(), Kind::Tree)?.data) }
    }

    /// Returns a tree.
    fn find_tree(&self, id: TreeId) -> Result<Tree, SourceError> {
        Tree::decode(&self.find_tree_bytes(id)?).map_err(|e| SourceError::Invalid {
            kind: Kind::Tree,
            id: id.object(),
            source: e.into(),
        })
    }

    /// Returns a commit.
    fn find_commit(&self, id: CommitId) -> Result<Commit, SourceError> {
        let object = self.find(id.object(), Kind::Commit)?;
        Commit::decode(&object.data).map_err(|e| SourceError::Invalid {
            kind: Kind::Commit,
            id: id.object(),
            source: e.into(),
        })
    }
}

impl<T: Source + ?Sized> Source for &T {
    fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError> {
        (**self).try_find(id)
    }

    fn contains(&self, id: ObjectId) -> Result<bool, SourceError> {
        (**self).contains(id)
    }

    fn try_info(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, SourceError> {
        (**self).try_info(id)
    }

    fn content_sha256(&self, id: BlobId) -> Result<[u8; 32], SourceError> {
        (**self).content_sha256(id)
    }

    fn missing(&self, kind: Kind, id: ObjectId) -> SourceError {
        (**self).missing(kind, id)
    }
}

/// No objects at all: the ground under an overlay that stands alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSource;

impl Source for NoSource {
    fn try_find(&self, _: ObjectId) -> Result<Option<Object>, SourceError> {
        Ok(None)
    }
}

/// New objects in memory over a source that has the old ones.
pub struct Overlay<S> {
    below: S,
    new: RefCell<BTreeMap<ObjectId, Object>>,
}

impl Default for Overlay<NoSource> {
    fn default() -> Self {
        Overlay::new(NoSource)
    }
}

impl<S: Source> Overlay<S> {
    /// Makes an overlay with nothing new.
    pub fn new(below: S) -> Overlay<S> {
        Overlay { below, new: RefCell::default() }
    }

    /// Returns the source that has the old objects.
    pub fn below(&self) -> &S {
        &self.below
    }

    /// Adds an object and returns its id.
    pub fn put(&self, kind: Kind, data: &[u8]) -> ObjectId {
        let id = hash_object(kind, data);
        self.new.borrow_mut().entry(id).or_insert_with(|| Object { kind, data: data.into() });
        id
    }

    /// Adds a tree.
    pub fn put_tree(&self, tree: &Tree) -> TreeId {
        TreeId::new(self.put(Kind::Tree, &tree.encode()))
    }

    /// Adds a commit.
    pub fn put_commit(&self, commit: &Commit) -> CommitId {
        CommitId::new(self.put(Kind::Commit, &commit.encode()))
    }

    /// Returns the new objects, by id.
    pub fn new_objects(&self) -> BTreeMap<ObjectId, Object> {
        self.new.borrow().clone()
    }

    /// Consumes the overlay into its new objects.
    pub fn into_new_objects(self) -> BTreeMap<ObjectId, Object> {
        self.new.into_inner()
    }
}

impl<S: Source> Source for Overlay<S> {
    fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError> {
        if let Some(object) = self.new.borrow().get(&id) {
            return Ok(Some(object.clone()));
        }
        self.below.try_find(id)
    }

    fn contains(&self, id: ObjectId) -> Result<bool, SourceError> {
        Ok(self.new.borrow().contains_key(&id) || self.below.contains(id)?)
    }

    fn try_info(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, SourceError> {
        if let Some(object) = self.new.borrow().get(&id) {
            return Ok(Some((object.kind, object.data.len() as u64)));
        }
        self.below.try_info(id)
    }

    fn content_sha256(&self, id: BlobId) -> Result<[u8; 32], SourceError> {
        match self.new.borrow().get(&id.object()) {
            Some(object) => Ok(Sha256::digest(&object.data).into()),
            None => self.below.content_sha256(id),
        }
    }

    fn missing(&self, kind: Kind, id: ObjectId) -> SourceError {
        self.below.missing(kind, id)
    }
}

/// A source that keeps what was read last, verified as it came, for who asks for the same again and again.
pub struct Recent<S> {
    below: S,
    /// The last one is the one that was asked for last.
    kept: RefCell<Vec<(ObjectId, Object)>>,
    bytes_max: usize,
}

impl<S: Source> Recent<S> {
    /// Keeps at most `bytes_max` bytes.
    pub fn new(below: S, bytes_max: usize) -> Recent<S> {
        Recent { below, kept: RefCell::default(), bytes_max }
    }
}

impl<S: Source> Source for Recent<S> {
    fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError> {
        let mut kept = self.kept.borrow_mut();
        let known = kept.iter().position(|(known, _)| *known == id).map(|at| kept.remove(at).1);
        let Some(object) = known.map_or_else(|| self.below.try_find(id), |known| Ok(Some(known)))? else {
            return Ok(None);
        };
        if object.data.len() <= self.bytes_max {
            kept.push((id, object.clone()));
        }
        let mut bytes: usize = kept.iter().map(|(_, object)| object.data.len()).sum();
        while bytes > self.bytes_max {
            bytes -= kept.remove(0).1.data.len();
        }
        Ok(Some(object))
    }

    fn contains(&self, id: ObjectId) -> Result<bool, SourceError> {
        self.below.contains(id)
    }

    fn try_info(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, SourceError> {
        self.below.try_info(id)
    }

    fn content_sha256(&self, id: BlobId) -> Result<[u8; 32], SourceError> {
        self.below.content_sha256(id)
    }

    fn missing(&self, kind: Kind, id: ObjectId) -> SourceError {
        self.below.missing(kind, id)
    }
}

fn to_gix_error(error: impl std::error::Error + Send + Sync + 'static) -> gix::error::Error {
    gix::error::Error::from_error(error)
}

fn wanted(id: &gix::hash::oid) -> Result<ObjectId, gix::error::Error> {
    ObjectId::from_gix(id).ok_or_else(|| to_gix_error(super::IdError::Malformed(id.to_string())))
}

impl<S: Source> gix::objs::Find for Overlay<S> {
    fn try_find<'a>(
        &self,
        id: &gix::hash::oid,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Option<gix::objs::Data<'a>>, gix::error::Error> {
        let id = wanted(id)?;
        if id == TreeId::empty().object() {
            buffer.clear();
            return Ok(Some(gix::objs::Data::new(buffer, gix::object::Kind::Tree, gix::hash::Kind::Sha256)));
        }
        let Some(object) = Source::try_find(self, id).map_err(to_gix_error)? else { return Ok(None) };
        buffer.clear();
        buffer.extend_from_slice(&object.data);
        Ok(Some(gix::objs::Data::new(buffer, object.kind.to_gix(), gix::hash::Kind::Sha256)))
    }
}

impl<S: Source> gix::objs::FindHeader for Overlay<S> {
    fn try_header(&self, id: &gix::hash::oid) -> Result<Option<gix::objs::Header>, gix::error::Error> {
        let info = self.try_info(wanted(id)?).map_err(to_gix_error)?;
        Ok(info.map(|(kind, size)| gix::objs::Header { kind: kind.to_gix(), size }))
    }
}

impl<S: Source> gix::objs::Exists for Overlay<S> {
    fn exists(&self, id: &gix::hash::oid) -> bool {
        ObjectId::from_gix(id).is_some_and(|id| self.contains(id).unwrap_or(false))
    }
}

impl<S: Source> gix::objs::Write for Overlay<S> {
    fn write_buf_with_known_id(
        &self,
        kind: gix::object::Kind,
        from: &[u8],
        _id: gix::ObjectId,
    ) -> Result<gix::ObjectId, gix::error::Error> {
        self.write_buf(kind, from)
    }

    fn write_buf(&self, kind: gix::object::Kind, from: &[u8]) -> Result<gix::ObjectId, gix::error::Error> {
        let kind = Kind::from_gix(kind)
            .ok_or_else(|| to_gix_error(super::IdError::Malformed("a tag object".into())))?;
        Ok(self.put(kind, from).to_gix())
    }

    fn write_stream(
        &self,
        kind: gix::object::Kind,
        size: u64,
        from: &mut dyn Read,
    ) -> Result<gix::ObjectId, gix::error::Error> {
        let mut bytes = Vec::new();
        from.take(size).read_to_end(&mut bytes).map_err(to_gix_error)?;
        self.write_buf(kind, &bytes)
    }

    fn write_stream_with_known_id(
        &self,
        kind: gix::object::Kind,
        size: u64,
        from: &mut dyn Read,
        _id: gix::ObjectId,
    ) -> Result<gix::ObjectId, gix::error::Error> {
        self.write_stream(kind, size, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts how often it is read.
    struct Counted(Overlay<NoSource>, RefCell<usize>);

    impl Source for Counted {
        fn try_find(&self, id: ObjectId) -> Result<Option<Object>, SourceError> {
            *self.1.borrow_mut() += 1;
            self.0.try_find(id)
        }
    }

    #[test]
    fn what_was_read_last_is_read_once_and_the_oldest_gives_way() {
        let below = Counted(Overlay::default(), RefCell::default());
        let ids = ["one", "two", "six"].map(|text| below.0.put(Kind::Blob, text.as_bytes()));
        let recent = Recent::new(below, 6);
        let read = |id: ObjectId| recent.try_find(id).expect("read").expect("there").data.len();
        for at in [0, 1, 0, 1, 0] {
            assert_eq!(read(ids[at]), 3);
        }
        assert_eq!(*recent.below.1.borrow(), 2);
        read(ids[2]);
        read(ids[0]);
        assert_eq!(*recent.below.1.borrow(), 3, "the second is the one that was asked for longest ago");
        read(ids[1]);
        assert_eq!(*recent.below.1.borrow(), 4);
        assert!(recent.try_find(hash_object(Kind::Blob, b"none")).expect("read").is_none());
        assert!(Recent::new(NoSource, 6).try_find(ids[0]).expect("read").is_none());
    }

    #[test]
    fn what_is_larger_than_all_that_may_be_kept_is_handed_out_and_not_kept() {
        let below = Counted(Overlay::default(), RefCell::default());
        let id = below.0.put(Kind::Blob, b"long");
        let recent = Recent::new(below, 3);
        for times in 1..3 {
            assert_eq!(recent.try_find(id).expect("read").expect("there").data.len(), 4);
            assert_eq!(*recent.below.1.borrow(), times);
        }
    }
}
