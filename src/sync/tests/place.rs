//! An endpoint for tests: a store in a temporary folder, refs in memory, and a record of what was called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tempfile::TempDir;

use crate::fs::{self, Dir, Disk, RealDisk};
use crate::object::{
    BlobId, Commit, CommitId, DeviceName, Kind, Lamport, Mode, ObjectId, Signature, Source, Tree, TreeEntry,
    TreeId, VaultId, hash_object,
};
use crate::store::Store;
use crate::sync::bundle::{self, Bundle, Contents};
use crate::sync::frame::Frame;
use crate::sync::session::{CallerOptions, Served, Summary};
use crate::sync::{
    Anchor, Branch, Endpoint, HeadState, Identity, Intent, Limits, OpenGate, Outcome, Peer, Received,
    Refusal, RefusalKind, SyncError, local,
};

pub const FETCH: Intent = Intent { fetch: true, push: false };
pub const PUSH: Intent = Intent { fetch: false, push: true };
pub const SYNC: Intent = Intent { fetch: true, push: true };

/// A device's vault, as far as a session sees one.
pub struct Place {
    pub store: Store,
    pub dot: Dir,
    pub device: DeviceName,
    pub vault: Option<VaultId>,
    /// Heads of the one branch: what this device knows and accepted.
    pub heads: BTreeSet<CommitId>,
    pub remotes: BTreeMap<String, BTreeSet<CommitId>>,
    /// Every offer that was logged.
    pub logged: Vec<Vec<CommitId>>,
    pub met: Vec<Peer>,
    pub accepted: Vec<Received>,
    /// Whether the gate was still open when each of them was accepted.
    pub gates: Vec<bool>,
    pub limits: Limits,
    pub allows_unrelated: bool,
    pub reads_bundle: bool,
    _folder: TempDir,
}

impl Place {
    /// Makes an empty place: a clone that has nothing yet.
    pub fn empty(device: &str) -> Place {
        // Memory rather than a disk where there is such a folder: these tests are not about durability.
        let shm = Path::new("/dev/shm");
        let folder =
            if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.expect("a temporary folder");
        let dot = RealDisk.open_dir(folder.path()).expect("just made");
        Store::create(&dot).expect("made");
        Place {
            store: Store::open(&dot).expect("opened"),
            dot,
            device: DeviceName::parse(device).expect("a device"),
            vault: None,
            heads: BTreeSet::new(),
            remotes: BTreeMap::new(),
            logged: Vec::new(),
            met: Vec::new(),
            accepted: Vec::new(),
            gates: Vec::new(),
            limits: Limits::default(),
            allows_unrelated: false,
            reads_bundle: false,
            _folder: folder,
        }
    }

    /// Makes a vault with a root commit.
    pub fn new(device: &str) -> Place {
        let mut place = Place::empty(device);
        let vault = VaultId::new([7; 16]);
        place.vault = Some(vault);
        let root = place.authored(TreeId::empty(), vec![]);
        place.put(vec![(Kind::Commit, root.encode())]);
        place.heads = [root.id()].into();
        place
    }

    /// Makes a second device that has what this one has.
    pub fn cloned(&self, device: &str) -> Place {
        let mut other = Place::empty(device);
        let mut writer = other.store.writer().expect("a writer");
        for (id, kind) in self.store.ids().expect("listed") {
            let mut reader = self.store.try_reader(id).expect("read").expect("there");
            writer.add_stream(kind, reader.size(), &mut reader, None).expect("added");
        }
        writer.publish().expect("published");
        other.vault = self.vault;
        other.heads = self.heads.clone();
        other
    }

    pub fn put(&self, objects: Vec<(Kind, Vec<u8>)>) {
        let mut writer = self.store.writer().expect("a writer");
        for (kind, bytes) in objects {
            writer.add(kind, &bytes, None).expect("added");
        }
        writer.publish().expect("published");
    }

    /// Makes a commit object of this device on `parents`, without storing it.
    pub fn authored(&self, tree: TreeId, parents: Vec<CommitId>) -> Commit {
        let highest = parents.iter().map(|id| self.store.find_commit(*id).expect("a parent").lamport).max();
        let who = Signature::new("Ada", "ada@example", 1_700_000_000, 0);
        Commit {
            tree,
            vault: if parents.is_empty() { self.vault } else { None },
            parents,
            author: who.clone(),
            committer: who,
            lamport: Lamport(highest.unwrap_or_default().0 + 1),
            device: Some(self.device.clone()),
            session: None,
            restores: None,
            purges: Vec::new(),
            reconcile: None,
            extra: vec![],
            message: "a note".into(),
        }
    }

    pub fn store_commit(&self, id: CommitId) -> Commit {
        self.store.find_commit(id).expect("a commit")
    }

    /// Returns the files of the newest head.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let newest =
            self.heads.iter().max_by_key(|id| (self.store.find_commit(**id).expect("a head").lamport, **id));
        let mut files = BTreeMap::new();
        if let Some(head) = newest {
            let tree = self.store.find_commit(*head).expect("a head").tree;
            self.read_tree(tree, "", &mut files);
        }
        files
    }

    fn read_tree(&self, id: TreeId, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in self.store.find_tree(id).expect("a tree").entries() {
            let name = format!("{prefix}{}", String::from_utf8_lossy(&entry.name));
            if entry.mode.is_tree() {
                self.read_tree(TreeId::new(entry.id), &format!("{name}/"), files);
            } else {
                let mut bytes = Vec::new();
                self.store.read_to(entry.id, &mut bytes).expect("a blob");
                files.insert(name, bytes);
            }
        }
    }

    /// Commits the newest head's files with some changed, on all heads.
    pub fn commit(&mut self, changes: &[(&str, &[u8])]) -> CommitId {
        let mut files = self.files();
        for (path, bytes) in changes {
            files.insert((*path).to_owned(), bytes.to_vec());
        }
        let parents: Vec<CommitId> = self.heads.iter().copied().collect();
        let (tree, mut objects) = tree_of(&files);
        let commit = self.authored(tree, parents);
        objects.push((Kind::Commit, commit.encode()));
        self.put(objects);
        self.heads = [commit.id()].into();
        commit.id()
    }

    /// Stores a derived commit of `parents` with the first one's tree.
    pub fn derive(&self, mut parents: Vec<CommitId>) -> Commit {
        parents.sort_by_key(|id| (self.store.find_commit(*id).expect("a parent").lamport, *id));
        let tree = self.store.find_commit(parents[0]).expect("a parent").tree;
        let mut commit = self.authored(tree, parents);
        commit.device = None;
        commit.reconcile = Some(1);
        commit
    }

    /// Returns the frontier of all that is known.
    pub fn frontier(&self) -> BTreeSet<CommitId> {
        let mut all = self.heads.clone();
        all.extend(self.remotes.values().flatten());
        let tops: Vec<CommitId> = all.iter().copied().collect();
        let mut below = BTreeSet::new();
        let mut stack: Vec<CommitId> =
            tops.iter().flat_map(|id| self.store.find_commit(*id).expect("a head").parents).collect();
        while let Some(id) = stack.pop() {
            if below.insert(id) {
                stack.extend(self.store.find_commit(id).expect("an ancestor").parents);
            }
        }
        all.difference(&below).copied().collect()
    }

    /// Checks that all that heads reach is there and whole.
    pub fn check(&self) {
        let store = Store::open(&self.dot).expect("reopened");
        let mut stack: Vec<CommitId> = self.frontier().into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = stack.pop() {
            if !seen.insert(id.object()) {
                continue;
            }
            let commit = store.find_commit(id).expect("a commit");
            let mut trees = vec![commit.tree];
            while let Some(tree) = trees.pop() {
                if !seen.insert(tree.object()) {
                    continue;
                }
                for entry in store.find_tree(tree).expect("a tree").entries() {
                    if entry.mode.is_tree() {
                        trees.push(TreeId::new(entry.id));
                    } else if seen.insert(entry.id) {
                        store.read_to(entry.id, &mut std::io::sink()).expect("a blob");
                    }
                }
            }
            stack.extend(commit.parents);
        }
    }

    /// Returns the names in `incoming/` and below it that hold objects.
    pub fn incoming_files(&self) -> Vec<String> {
        let Ok(root) = self.dot.open_dir("incoming") else { return vec![] };
        let mut names = Vec::new();
        let peers = root.list().expect("listed").into_iter();
        for (peer, _) in peers.filter(|(peer, _)| peer != ".gate") {
            let dir = root.open_dir(&peer).expect("opened");
            for (name, _) in dir.list().expect("listed") {
                names.push(name.to_string_lossy().into_owned());
            }
            for (name, _) in dir.open_dir("objects").expect("opened").list().expect("listed") {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        names.retain(|name| !["objects", "tmp", "lock"].contains(&name.as_str()));
        names
    }
}

/// Builds the trees of files; returns the root and all objects.
pub fn tree_of(files: &BTreeMap<String, Vec<u8>>) -> (TreeId, Vec<(Kind, Vec<u8>)>) {
    let mut objects = Vec::new();
    let mut folders: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    let mut entries = Vec::new();
    for (path, bytes) in files {
        if let Some((folder, rest)) = path.split_once('/') {
            folders.entry(folder.to_owned()).or_default().insert(rest.to_owned(), bytes.clone());
        } else {
            let id = hash_object(Kind::Blob, bytes);
            entries.push(TreeEntry { mode: Mode::File, name: path.clone().into_bytes(), id });
            objects.push((Kind::Blob, bytes.clone()));
        }
    }
    for (name, files) in folders {
        let (id, below) = tree_of(&files);
        entries.push(TreeEntry { mode: Mode::Tree, name: name.into_bytes(), id: id.object() });
        objects.extend(below);
    }
    let tree = Tree::from_entries(entries);
    objects.push((Kind::Tree, tree.encode()));
    (tree.id(), objects)
}

impl Endpoint for Place {
    fn identity(&self) -> Identity {
        let anchor = Some(Anchor { seq: self.logged.len() as u64, hash: [1; 32] });
        let mut epoch = [0; 16];
        epoch[..self.device.as_str().len().min(16)]
            .copy_from_slice(&self.device.as_str().as_bytes()[..self.device.as_str().len().min(16)]);
        Identity { device: self.device.clone(), epoch, vault: self.vault, anchor, rule: 1 }
    }

    fn offer(&mut self, gives: bool) -> Result<Vec<Branch>, Refusal> {
        let heads: Vec<CommitId> = self.frontier().into_iter().collect();
        if gives && self.logged.last() != Some(&heads) {
            self.logged.push(heads.clone());
        }
        Ok(if heads.is_empty() { vec![] } else { vec![Branch { name: "main".into(), heads }] })
    }

    fn meet(&mut self, peer: &Peer) -> Result<(), Refusal> {
        self.met.push(peer.clone());
        if peer.identity.device == self.device {
            return Err(Refusal::new(RefusalKind::SameName, "both devices have one name"));
        }
        match (self.vault, peer.identity.vault) {
            (Some(ours), Some(theirs)) if ours != theirs && !self.allows_unrelated => {
                Err(Refusal::new(RefusalKind::Unrelated, "another vault"))
            }
            (None, theirs) => {
                self.vault = theirs;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn incoming(&self) -> Result<fs::Dir, Refusal> {
        Ok(self.dot.open_or_create_dir("incoming").expect("made"))
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn allows_unrelated(&self) -> bool {
        self.allows_unrelated
    }

    fn reads_bundle(&self) -> bool {
        self.reads_bundle
    }

    fn accept(&mut self, peer: &Peer, received: &Received, gate: Option<OpenGate>) -> Result<(), Refusal> {
        self.gates.push(gate.is_some());
        let known = self.remotes.entry(peer.identity.device.to_string()).or_default();
        for head in received.offered.iter().flat_map(|branch| &branch.heads) {
            self.store.find_commit(*head).expect("what was offered is here");
            known.insert(*head);
        }
        self.accepted.push(received.clone());
        Ok(())
    }

    fn given(&mut self, peer: &Peer, knows: &[CommitId]) -> Result<(), Refusal> {
        self.remotes.entry(peer.identity.device.to_string()).or_default().extend(knows);
        Ok(())
    }

    fn settle(&mut self) -> Result<Outcome, Refusal> {
        self.heads = self.frontier();
        let frontier: Vec<CommitId> = self.heads.iter().copied().collect();
        let joined: Vec<u8> = frontier.iter().flat_map(|id| id.object().as_bytes().to_vec()).collect();
        let head = match frontier.as_slice() {
            [] => None,
            [one] => Some(*one),
            _ => Some(CommitId::new(hash_object(Kind::Commit, &joined))),
        };
        Ok(Outcome { frontier, head, pending: 0, state: HeadState::Settled })
    }
}

/// Lends a place to a server.
pub struct Lent<'p>(pub &'p mut Place);

impl Endpoint for Lent<'_> {
    fn identity(&self) -> Identity {
        self.0.identity()
    }
    fn offer(&mut self, gives: bool) -> Result<Vec<Branch>, Refusal> {
        self.0.offer(gives)
    }
    fn meet(&mut self, peer: &Peer) -> Result<(), Refusal> {
        self.0.meet(peer)
    }
    fn store(&self) -> &Store {
        &self.0.store
    }
    fn limits(&self) -> Limits {
        self.0.limits
    }
    fn allows_unrelated(&self) -> bool {
        self.0.allows_unrelated
    }
    fn incoming(&self) -> Result<fs::Dir, Refusal> {
        self.0.incoming()
    }
    fn accept(&mut self, peer: &Peer, received: &Received, gate: Option<OpenGate>) -> Result<(), Refusal> {
        self.0.accept(peer, received, gate)
    }
    fn given(&mut self, peer: &Peer, knows: &[CommitId]) -> Result<(), Refusal> {
        self.0.given(peer, knows)
    }
    fn settle(&mut self) -> Result<Outcome, Refusal> {
        self.0.settle()
    }
}

pub fn options(intent: Intent, remote: &str) -> CallerOptions {
    CallerOptions { intent, path: None, incoming_name: crate::sync::incoming_name(remote) }
}

/// Runs a session in this process.
pub fn session(
    caller: &mut Place,
    server: &mut Place,
    intent: Intent,
) -> Result<(Summary, Served), SyncError> {
    let name = server.device.to_string();
    local::call(caller, options(intent, &name), Box::new(move |_| Ok(Box::new(Lent(server)))))
}

/// Runs a session that is cut before frame number `cut`, counted over both directions.
pub fn cut_session(
    caller: &mut Place,
    server: &mut Place,
    intent: Intent,
    cut: usize,
    seen: &mut Vec<Frame>,
) -> Result<(), SyncError> {
    use crate::sync::session::{Caller, Server};
    let name = server.device.to_string();
    let mut near = Caller::new(caller, options(intent, &name))?;
    let mut far = Server::new(Box::new(move |_| Ok(Box::new(Lent(server)))));
    local::join(&mut near, &mut far, &mut |frame| {
        let passes = seen.len() < cut;
        if passes {
            seen.push(frame.clone());
        }
        passes
    })
}

/// Makes a bundle of all a place knows.
pub fn bundled(place: &mut Place, since: &[CommitId]) -> Vec<u8> {
    let branches = place.offer(true).expect("an offer");
    let contents = Contents { identity: place.identity(), branches, prerequisites: since.to_vec() };
    let file = place.dot.create_new("out", 0o600).expect("a file");
    bundle::write(&place.store, &contents, &file, &mut |_| {}).expect("written");
    let bytes = file.read_all(u64::MAX).expect("read");
    place.dot.remove_file("out").expect("removed");
    bytes
}

/// Reads a bundle of these bytes into a place.
pub fn read_bundle(place: &mut Place, bytes: &[u8]) -> Result<Summary, SyncError> {
    place.reads_bundle = true;
    let file = file_of(place, bytes);
    let bundle = Bundle::open(file, &mut |_| {})?;
    bundle::call(place, "bundle".into(), &bundle)
}

/// Puts bytes into a file beside a place's store.
pub fn file_of(place: &Place, bytes: &[u8]) -> fs::File {
    fs::replace_file(&place.dot, "in", bytes, 0o600).expect("written");
    place.dot.open("in").expect("opened")
}

/// Makes bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The id of a blob of these bytes.
pub fn blob_id(bytes: &[u8]) -> ObjectId {
    BlobId::new(hash_object(Kind::Blob, bytes)).object()
}
