//! Follows every link from the commits that refs and the log name: parents, trees, entries. Each object
//! is looked at once. What depends on which blobs are purged is judged when all commits were seen.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use super::{Depth, Lost, Verified, chain};
use crate::merge::{self, FormError, Purge, Recomputed};
use crate::object::{
    BlobId, Commit, CommitId, Extents, Kind, Lamport, Mode, ObjectId, Source, SourceError, Tree, TreeId,
    VaultId, VaultPath, link_target,
};
use crate::store::Store;
use crate::vault::book::Book;

const HINT_MISSING: &str = "`mvault repair --from REMOTE` fetches it by its hash from a device that has it";
const HINT_COMMIT: &str = "compare with another device: none makes such a commit, and none accepts it";

/// A walk over everything that can be reached.
pub(super) struct Links<'a> {
    store: &'a Store,
    depth: Depth,
    vault: Option<VaultId>,
    found: &'a mut Verified,
    seen: HashSet<ObjectId>,
    extents: Extents,
    purges: Vec<Purge>,
    /// Blobs that are not there, with a place that names them.
    gone: BTreeMap<ObjectId, String>,
    derived: Vec<(CommitId, String)>,
}

impl<'a> Links<'a> {
    pub(super) fn new(
        store: &'a Store,
        depth: Depth,
        vault: Option<VaultId>,
        found: &'a mut Verified,
    ) -> Links<'a> {
        Links {
            store,
            depth,
            vault,
            found,
            seen: HashSet::new(),
            extents: Extents::default(),
            purges: Vec::new(),
            gone: BTreeMap::new(),
            derived: Vec::new(),
        }
    }

    /// Looks at the commits and all they lead to; each comes with the place that names it. Returns all that was met.
    pub(super) fn follow(mut self, named: BTreeMap<CommitId, String>) -> HashSet<ObjectId> {
        let mut todo: Vec<(CommitId, String)> = named.into_iter().collect();
        while let Some((id, place)) = todo.pop() {
            if !self.seen.insert(id.object()) {
                continue;
            }
            let commit = match self.store.find_commit(id) {
                Ok(commit) => commit,
                Err(error) => {
                    self.unreadable(Kind::Commit, id.object(), place, &error);
                    continue;
                }
            };
            self.found.commits += 1;
            let place = format!("commit {id}");
            self.commit(id, &commit, &place);
            self.tree(commit.tree, &place);
            self.extent(commit.tree, &place);
            if !commit.purges.is_empty() {
                let blobs = commit.purges.iter().map(|blob| blob.object()).collect();
                self.purges.push(Purge { commit: id, blobs });
            }
            todo.extend(commit.parents.iter().map(|parent| (*parent, place.clone())));
        }
        self.judge();
        self.seen
    }

    /// Tells missing blobs from purged ones, and computes derived commits again.
    fn judge(&mut self) {
        let purged: BTreeSet<ObjectId> = self.purges.iter().flat_map(|p| p.blobs.iter().copied()).collect();
        self.found.purged = purged.len() as u64;
        for (id, place) in std::mem::take(&mut self.gone) {
            if !purged.contains(&id) {
                self.found.lost.push(Lost { id, kind: Kind::Blob, place: place.clone() });
                self.found.report("missing", place, format!("blob {id} is missing"), HINT_MISSING);
            }
        }
        let book = Book::new(std::mem::take(&mut self.purges));
        for (id, place) in std::mem::take(&mut self.derived) {
            self.recompute(&book, id, &place);
        }
    }

    fn unreadable(&mut self, kind: Kind, id: ObjectId, place: String, error: &SourceError) {
        let (word, what) = match error {
            SourceError::Missing { .. } => ("missing", format!("{kind} {id} is missing")),
            SourceError::Invalid { .. } => ("object", chain(error)),
            // Only blobs are ever purged.
            SourceError::Purged { .. } => ("missing", chain(error)),
            SourceError::Read { .. } => ("unreadable", chain(error)),
        };
        self.found.lost.push(Lost { id, kind, place: place.clone() });
        self.found.report(word, place, what, HINT_MISSING);
    }

    /// Checks what a commit says of itself.
    fn commit(&mut self, id: CommitId, commit: &Commit, place: &str) {
        let parents: Option<Vec<Lamport>> = commit
            .parents
            .iter()
            .map(|parent| self.store.find_commit(*parent).ok().map(|parent| parent.lamport))
            .collect();
        // A parent that cannot be read is reported where it is followed.
        let Some(parents) = parents else { return };
        if let Err(error) = commit.lamport.check(parents.iter().copied().max().unwrap_or_default()) {
            self.found.report("stamp", place, error.to_string(), HINT_COMMIT);
        }
        if commit.parents.is_empty() && self.vault.is_some() && commit.vault != self.vault {
            let what = "it is the root of another vault than config.toml names";
            self.found.report("foreign", place, what, HINT_COMMIT);
        }
        if commit.is_derived() {
            self.derived(id, commit, place);
        }
    }

    fn derived(&mut self, id: CommitId, commit: &Commit, place: &str) {
        match merge::check_derived_form(self.store, commit) {
            Ok(()) => {}
            Err(FormError::Merge(_)) => return, // an object behind it is reported by itself
            Err(error) => return self.found.report("derived", place, chain(&error), HINT_COMMIT),
        }
        if self.depth.extent().has(id.object()) {
            self.derived.push((id, place.to_owned()));
        }
    }

    fn recompute(&mut self, book: &Book, id: CommitId, place: &str) {
        let what = match merge::recompute(self.store, book, id) {
            Ok(Recomputed::Same | Recomputed::UnknownRule(_) | Recomputed::Purged) => return,
            Ok(Recomputed::Differs { wanted }) => {
                format!("it is not what its parents give, which is commit {wanted}")
            }
            Ok(Recomputed::Conflicts(conflicts)) => {
                format!("its parents contradict each other in {} paths", conflicts.len())
            }
            Err(error) => chain(&error),
        };
        self.found.report("derived", place, what, HINT_COMMIT);
    }

    fn tree(&mut self, id: TreeId, place: &str) {
        let mut todo: Vec<(TreeId, Option<VaultPath>)> = vec![(id, None)];
        while let Some((id, path)) = todo.pop() {
            if !self.seen.insert(id.object()) {
                continue;
            }
            let tree: Tree = match self.store.find_tree(id) {
                Ok(tree) => tree,
                Err(error) => {
                    self.unreadable(Kind::Tree, id.object(), at(place, path.as_ref()), &error);
                    continue;
                }
            };
            for entry in tree.entries() {
                let full = match &path {
                    Some(folder) => folder.join(&entry.name),
                    None => VaultPath::parse(entry.name.clone()),
                };
                let full = match full {
                    Ok(full) => full,
                    Err(error) => {
                        let place = at(place, path.as_ref());
                        self.found.report("name", place, chain(&error), HINT_COMMIT);
                        continue;
                    }
                };
                if entry.mode == Mode::Symlink {
                    self.link(entry.id, at(place, Some(&full)));
                }
                if entry.mode.is_tree() {
                    todo.push((TreeId::new(entry.id), Some(full)));
                } else if self.seen.insert(entry.id) {
                    self.blob(entry.id, at(place, Some(&full)));
                }
            }
        }
    }

    /// Holds a whole tree against what one may hold: folders that were seen elsewhere are part of its paths.
    fn extent(&mut self, id: TreeId, place: &str) {
        let store = self.store;
        // What cannot be read was reported by itself.
        let mut read = |id| Ok::<_, Infallible>(store.find_tree(id).ok().map(Arc::new));
        let Ok(measured) = self.extents.measure(id, &mut read);
        if let Err(error) = measured {
            self.found.report("name", place, error.to_string(), HINT_COMMIT);
        }
    }

    fn link(&mut self, id: ObjectId, place: String) {
        if let Ok(Err(error)) = link_target(&self.store, BlobId::new(id)) {
            self.found.report("link", place, error.to_string(), HINT_COMMIT);
        }
    }

    fn blob(&mut self, id: ObjectId, place: String) {
        match self.store.try_info(id) {
            // Its pack has reported it.
            Ok(Some((Kind::Blob, _))) if self.found.unreadable.contains(&id) => {
                self.found.lost.push(Lost { id, kind: Kind::Blob, place });
            }
            Ok(Some((Kind::Blob, _))) => {}
            Ok(Some((other, _))) => {
                self.found.report("kind", place, format!("{id} is a {other} and no blob"), HINT_COMMIT);
            }
            Ok(None) => {
                self.gone.insert(id, place);
            }
            Err(error) => {
                self.found.lost.push(Lost { id, kind: Kind::Blob, place: place.clone() });
                self.found.report("unreadable", place, chain(&error), HINT_MISSING);
            }
        }
    }
}

fn at(place: &str, path: Option<&VaultPath>) -> String {
    match path {
        Some(path) => format!("{place}: {path}"),
        None => place.to_owned(),
    }
}
