//! Tests of reconcile: rules one by one, golden cases by driver, equality with git, and the model.

mod bases;
mod basics;
mod convergence;
mod dice;
mod git;
mod golden;
mod model;
mod purging;
mod resolving;
mod rules;
mod seal;
mod vectors;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Base, ContentMerge, ContentOutcome, Driver, RuleBook, Rules, Sealing};
use crate::object::{
    Commit, CommitId, DeviceName, Kind, Lamport, Mode, NoSource, ObjectId, Overlay, Signature, Source, Tree,
    TreeEntry, TreeId, VaultId, VaultPath,
};

/// Rules in a grammar for tests: `reconcile N`, `<driver> <suffix of paths>`, comments.
pub(super) struct TestBook;

impl RuleBook for TestBook {
    fn parse(&self, vault_toml: Option<&[u8]>) -> Result<Rules, String> {
        let text = String::from_utf8(vault_toml.unwrap_or_default().to_vec()).map_err(|e| e.to_string())?;
        let mut version = 1;
        let mut drivers: Vec<(String, Driver)> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').ok_or_else(|| format!("no rule: {line}"))?;
            let driver = match word {
                "reconcile" => {
                    version = rest.parse().map_err(|_| format!("no version: {rest}"))?;
                    continue;
                }
                "union" => Driver::Union,
                "binary" => Driver::Binary,
                "text" => Driver::Text,
                "set" => Driver::Custom(Arc::new(SetOfLines)),
                other => return Err(format!("unknown driver {other}")),
            };
            drivers.push((rest.to_owned(), driver));
        }
        let rules = Rules::new(version, move |path| {
            let matching = drivers.iter().find(|(suffix, _)| path.as_bytes().ends_with(suffix.as_bytes()));
            matching.map_or(Driver::Text, |(_, driver)| driver.clone())
        });
        Ok(if text.contains("# sealed") { rules.with_sealing(SealsNotes) } else { rules })
    }
}

/// Seals what ends with `.d`, by `<name>.seal`.
struct SealsNotes;

impl Sealing for SealsNotes {
    fn sidecar_of(&self, path: &VaultPath) -> Option<VaultPath> {
        let is_sealed = path.as_bytes().ends_with(b".d");
        is_sealed.then(|| VaultPath::parse([path.as_bytes(), b".seal"].concat()).expect("a path"))
    }

    fn sealed_by(&self, path: &VaultPath) -> Option<VaultPath> {
        let sealed = path.as_bytes().strip_suffix(b".seal").filter(|sealed| sealed.ends_with(b".d"))?;
        VaultPath::parse(sealed).ok()
    }

    fn seal(&self, name: &[u8], sha256: [u8; 32]) -> Vec<u8> {
        format!("{} {}\n", hex::encode(sha256), String::from_utf8_lossy(name)).into_bytes()
    }
}

/// A driver as another room may bring one: a sorted set of lines, in conflict if a line starts with `!`
/// on both sides and differs.
pub(super) struct SetOfLines;

impl ContentMerge for SetOfLines {
    fn name(&self) -> &str {
        "set"
    }

    fn merge(&self, base: Base<'_>, ours: &[u8], theirs: &[u8]) -> ContentOutcome {
        let lines = |bytes: &[u8]| -> std::collections::BTreeSet<Vec<u8>> {
            bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()
        };
        let base = match base {
            Base::Known(bytes) => lines(bytes),
            Base::NoValue | Base::Absent => Default::default(),
        };
        let (ours, theirs) = (lines(ours), lines(theirs));
        let loud = |set: &std::collections::BTreeSet<Vec<u8>>| set.iter().find(|l| l[0] == b'!').cloned();
        if let (Some(a), Some(b)) = (loud(&ours), loud(&theirs))
            && a != b
        {
            return ContentOutcome::Conflict { as_base: None };
        }
        let all = ours.union(&theirs).filter(|line| {
            let gone = base.contains(*line) && !(ours.contains(*line) && theirs.contains(*line));
            !gone
        });
        ContentOutcome::Clean(all.flat_map(|line| line.iter().copied().chain([b'\n'])).collect())
    }
}

/// Files by path.
pub(super) type Files = BTreeMap<Vec<u8>, (Mode, ObjectId)>;

/// Objects in memory, and short ways to make them.
#[derive(Default)]
pub(super) struct World {
    pub objects: Overlay<NoSource>,
}

impl World {
    pub fn root(&self) -> CommitId {
        let who = Signature::new("test", "test@test", 1_000_000_000, 0);
        self.objects.put_commit(&Commit {
            tree: self.tree(&[]),
            parents: Vec::new(),
            author: who.clone(),
            committer: who,
            lamport: Lamport(1),
            device: DeviceName::parse("mac"),
            session: None,
            restores: None,
            reconcile: None,
            vault: Some(VaultId::new([7; 16])),
            purges: Vec::new(),
            extra: Vec::new(),
            message: "root".into(),
        })
    }

    pub fn blob(&self, bytes: impl AsRef<[u8]>) -> ObjectId {
        self.objects.put(Kind::Blob, bytes.as_ref())
    }

    /// Makes a tree of `(path, content)`. A path may begin with `+` for an executable and `@` for a link.
    pub fn tree(&self, files: &[(&str, &str)]) -> TreeId {
        let files = files.iter().map(|(path, content)| {
            let (mode, path) = match path.as_bytes()[0] {
                b'+' => (Mode::Executable, &path[1..]),
                b'@' => (Mode::Symlink, &path[1..]),
                _ => (Mode::File, *path),
            };
            (path.as_bytes().to_vec(), (mode, self.blob(content)))
        });
        self.tree_of(&files.collect())
    }

    pub fn tree_of(&self, files: &Files) -> TreeId {
        let mut folders: BTreeMap<Vec<u8>, Files> = BTreeMap::new();
        let mut entries = Vec::new();
        for (path, (mode, id)) in files {
            match path.iter().position(|b| *b == b'/') {
                Some(at) => {
                    let folder = folders.entry(path[..at].to_vec()).or_default();
                    folder.insert(path[at + 1..].to_vec(), (*mode, *id));
                }
                None => entries.push(TreeEntry { mode: *mode, name: path.clone(), id: *id }),
            }
        }
        for (name, files) in folders {
            entries.push(TreeEntry { mode: Mode::Tree, name, id: self.tree_of(&files).object() });
        }
        self.objects.put_tree(&Tree::from_entries(entries))
    }

    /// Makes an authored commit with the next stamp, dated by its stamp.
    pub fn commit(&self, device: &str, parents: &[CommitId], tree: TreeId) -> CommitId {
        self.commit_at(device, parents, tree, None)
    }

    pub fn commit_at(
        &self,
        device: &str,
        parents: &[CommitId],
        tree: TreeId,
        seconds: Option<i64>,
    ) -> CommitId {
        let stamps = parents.iter().map(|id| self.objects.find_commit(*id).expect("made here").lamport);
        let greatest = stamps.max().unwrap_or_default();
        let seconds = seconds.unwrap_or(1_000_000_000 + greatest.0 as i64);
        let who = Signature::new(device, "test@test", seconds, 60);
        self.objects.put_commit(&Commit {
            tree,
            parents: parents.to_vec(),
            author: who.clone(),
            committer: who,
            lamport: Lamport(greatest.0 + 1),
            device: DeviceName::parse(device),
            session: None,
            restores: None,
            reconcile: None,
            vault: None,
            purges: Vec::new(),
            extra: Vec::new(),
            message: format!("by {device}").into(),
        })
    }

    /// Makes a commit with these files.
    pub fn files(&self, device: &str, parents: &[CommitId], files: &[(&str, &str)]) -> CommitId {
        self.commit(device, parents, self.tree(files))
    }

    /// Takes over what a function of this room made.
    pub fn keep(&self, objects: &BTreeMap<ObjectId, crate::object::Object>) {
        for object in objects.values() {
            self.objects.put(object.kind, &object.data);
        }
    }

    /// Lists a tree as it was given to [`World::tree`].
    pub fn list(&self, tree: TreeId) -> Vec<(String, String)> {
        let mut found = Vec::new();
        self.list_into(tree, "", &mut found);
        found.sort();
        found
    }

    fn list_into(&self, tree: TreeId, folder: &str, found: &mut Vec<(String, String)>) {
        for entry in self.objects.find_tree(tree).expect("a tree").entries() {
            let path = format!("{folder}{}", String::from_utf8_lossy(&entry.name));
            let sign = match entry.mode {
                Mode::Tree => {
                    self.list_into(TreeId::new(entry.id), &format!("{path}/"), found);
                    continue;
                }
                Mode::Executable => "+",
                Mode::Symlink => "@",
                Mode::File => "",
            };
            let blob = self.objects.find(entry.id, Kind::Blob).expect("a blob");
            found.push((format!("{sign}{path}"), String::from_utf8_lossy(&blob.data).into_owned()));
        }
    }
}
