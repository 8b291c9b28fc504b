//! Tests of the working tree as a whole, on the machine's own disk.

mod checkout;
mod crash;
mod faults;
mod ignore;
mod power;
mod walk;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::fs::{Dir, Disk, RealDisk};
use crate::object::{
    BlobId, Kind, Object, ObjectId, Overlay, Source, SourceError, TreeChange, TreeId, write_tree,
};

use super::{
    Content, Edits, Finished, Index, Journal, LocalChanges, LogMark, Nonce, Plan, PlanInput, RealLook,
    ScanInput, Traits, Waits,
};

/// A working tree in a temporary folder, its `.mvault`, and the objects it was committed to.
pub(super) struct Place {
    temp: tempfile::TempDir,
    pub root: Dir,
    pub dot: Dir,
    pub objects: Overlay<NoObjects>,
    pub index: Index,
    pub waits: Waits,
    pub withheld: std::sync::Arc<crate::worktree::WithheldRules>,
    pub mounts: crate::worktree::Mounts,
}

/// The ground under the objects of a test.
pub(super) struct NoObjects;

impl Source for NoObjects {
    fn try_find(&self, _: ObjectId) -> Result<Option<Object>, SourceError> {
        Ok(None)
    }
}

/// Blobs in memory, handed out in small pieces.
pub(super) struct Blobs(pub std::collections::BTreeMap<ObjectId, Object>);

impl Content for Blobs {
    fn size(&self, id: BlobId) -> Result<u64, SourceError> {
        let id = id.object();
        let object = self.0.get(&id).ok_or(SourceError::Missing { kind: Kind::Blob, id })?;
        Ok(object.data.len() as u64)
    }

    fn read_to(&self, id: BlobId, out: &mut dyn std::io::Write) -> Result<(), SourceError> {
        let id = id.object();
        let object = self.0.get(&id).ok_or(SourceError::Missing { kind: Kind::Blob, id })?;
        for piece in object.data.chunks(1 << 16) {
            out.write_all(piece).map_err(|e| SourceError::Read { id, source: e.into() })?;
        }
        Ok(())
    }
}

impl Place {
    pub fn blobs(&self) -> Blobs {
        Blobs(self.objects.new_objects())
    }

    /// Makes a tree without touching the disk: paths and contents, `*` before an executable's content and
    /// `->` before a link's target.
    pub fn tree(&self, files: &[(&str, &str)]) -> TreeId {
        use crate::object::{BlobId, FileEntry, Mode, VaultPath};
        let edits: Vec<TreeChange> = files
            .iter()
            .map(|(path, text)| {
                let (mode, text) = match (text.strip_prefix('*'), text.strip_prefix("->")) {
                    (Some(text), _) => (Mode::Executable, text),
                    (_, Some(target)) => (Mode::Symlink, target),
                    _ => (Mode::File, *text),
                };
                let id = self.objects.put(Kind::Blob, text.as_bytes());
                TreeChange {
                    path: VaultPath::parse(*path).expect("valid"),
                    entry: Some(FileEntry { mode, id: BlobId::new(id) }),
                }
            })
            .collect();
        write_tree(&self.objects, TreeId::empty(), edits, &mut |bytes, _| {
            Ok::<_, SourceError>(TreeId::new(self.objects.put(Kind::Tree, bytes)))
        })
        .expect("makes the tree")
    }

    pub fn plan(&self, to: TreeId, edits: Edits) -> Plan {
        let local = self.changes();
        self.plan_with(&local, to, edits, Traits::default(), &[])
    }

    pub fn plan_with(
        &self,
        local: &LocalChanges,
        to: TreeId,
        edits: Edits,
        traits: Traits,
        paths: &[crate::object::VaultPath],
    ) -> Plan {
        let scratch = self.dot.open_or_create_dir("tmp").expect("makes a folder");
        let (source, from, index) = (&self.objects as &dyn Source, self.index.tree(), &self.index);
        let waits = &self.waits;
        let input = PlanInput { source, from, to, index, waits, local, traits, edits, paths };
        super::plan(input, &mut RealLook::new(&self.root, &scratch)).expect("plans")
    }

    pub fn stage(&self, plan: &Plan) -> Journal {
        super::stage(&self.dot, plan, &self.blobs(), Nonce::new([1; 16])).expect("stages")
    }

    pub fn finish(&mut self, journal: &Journal) -> Finished {
        let finished = super::finish(&self.root, &self.dot, journal, &self.blobs()).expect("finishes");
        let updates = finished.updates.clone();
        journal.actions.iter().for_each(|action| self.waits.remove(action.path()));
        finished.waiting.iter().for_each(|wait| self.waits.put(wait.clone()));
        let index = self.index.updated(finished.tree, LogMark::default(), updates);
        self.index = self.waits.as_on_disk(index);
        super::discard(&self.dot).expect("discards");
        finished
    }

    pub fn checkout(&mut self, to: TreeId, edits: Edits) -> Finished {
        let plan = self.plan(to, edits);
        assert_eq!(plan.in_the_way, []);
        let journal = self.stage(&plan);
        self.finish(&journal)
    }

    /// Returns everything on disk but `.mvault`, in the notation of [`Place::tree`]; folders as `path/`
    /// when they are empty.
    pub fn disk(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut open = vec![self.path().to_path_buf()];
        while let Some(dir) = open.pop() {
            let names: Vec<_> =
                std::fs::read_dir(&dir).expect("lists").map(|e| e.expect("lists").path()).collect();
            let told =
                |at: &Path| at.strip_prefix(self.path()).expect("inside").to_string_lossy().into_owned();
            if names.is_empty() {
                found.push((told(&dir) + "/", String::new()));
            }
            for at in names.into_iter().filter(|at| !at.ends_with(".mvault")) {
                let data = std::fs::symlink_metadata(&at).expect("is there");
                if data.is_dir() {
                    open.push(at);
                } else if data.is_symlink() {
                    let target = std::fs::read_link(&at).expect("is a link");
                    found.push((told(&at), format!("->{}", target.display())));
                } else if data.is_file() {
                    let text = String::from_utf8_lossy(&std::fs::read(&at).expect("reads")).into_owned();
                    let executable = data.permissions().mode() & 0o100 != 0;
                    found.push((told(&at), if executable { format!("*{text}") } else { text }));
                }
            }
        }
        found.sort();
        found
    }

    pub fn new() -> Place {
        let temp = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(temp.path().join(".mvault")).expect("makes the vault's folder");
        let root = RealDisk.open_dir(temp.path()).expect("opens");
        let dot = root.open_dir(".mvault").expect("opens");
        Place {
            temp,
            root,
            dot,
            objects: Overlay::new(NoObjects),
            index: Index::empty(),
            waits: Waits::default(),
            withheld: Default::default(),
            mounts: Default::default(),
        }
    }

    pub fn path(&self) -> &Path {
        self.temp.path()
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.temp.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let at = self.at(path);
        std::fs::create_dir_all(at.parent().expect("below the root")).expect("makes folders");
        std::fs::write(at, text).expect("writes");
    }

    pub fn set_mode(&self, path: &str, mode: u32) {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.at(path), mode).expect("sets the mode");
    }

    pub fn link(&self, target: &str, path: &str) {
        std::os::unix::fs::symlink(target, self.at(path)).expect("links");
    }

    pub fn input(&self) -> ScanInput<'_> {
        let (traits, withheld) = (Traits::default(), &self.withheld);
        ScanInput { root: &self.root, index: &self.index, traits, paths: &[], withheld, mounts: &self.mounts }
    }

    pub fn changes(&self) -> LocalChanges {
        self.look_around().0
    }

    fn look_around(&self) -> (LocalChanges, super::Scan, i128) {
        let now = super::file_system_now(&self.dot).expect("there is a clock");
        let scan = super::scan(self.input()).expect("walks");
        (super::hash_candidates(&self.root, &scan, Some(now)), scan, now)
    }

    /// Lets the index remember which folders hold nothing new.
    pub fn learn(&mut self) {
        let (_, scan, now) = self.look_around();
        self.index = self.index.clone().with_folders(&scan.folders, now);
    }

    /// Returns the changes as `A path`, `M path`, `D path`.
    pub fn told(&self) -> Vec<String> {
        let letter = |change: &super::Change| match change.status() {
            super::Status::Added => "A",
            super::Status::Modified => "M",
            super::Status::Deleted => "D",
        };
        self.changes().changes.iter().map(|c| format!("{} {}", letter(c), c.path)).collect()
    }

    /// Commits the working tree: blobs and trees into the objects, the index to what is on disk.
    pub fn commit(&mut self) -> TreeId {
        self.wait_for_a_tick();
        let (local, scan, now) = self.look_around();
        let mut edits = Vec::new();
        let mut updates = local.refreshed.clone();
        for change in &local.changes {
            let at = self.at(change.path.to_str().expect("the test's names are text"));
            if let Some(new) = change.new {
                let bytes = if new.mode == crate::object::Mode::Symlink {
                    use std::os::unix::ffi::OsStringExt;
                    std::fs::read_link(at).expect("reads the link").into_os_string().into_vec()
                } else {
                    std::fs::read(at).expect("reads")
                };
                assert_eq!(self.objects.put(Kind::Blob, &bytes), new.id.object());
            }
            edits.push(TreeChange { path: change.path.clone(), entry: change.new });
            updates.push((change.path.clone(), change.index_entry()));
        }
        let tree = write_tree(&self.objects, self.index.tree(), edits, &mut |bytes, _| {
            Ok::<_, SourceError>(TreeId::new(self.objects.put(Kind::Tree, bytes)))
        })
        .expect("edits the tree");
        self.index = self.index.updated(tree, LogMark::default(), updates).with_folders(&scan.folders, now);
        tree
    }

    /// Waits until the file system's clock has moved on, so that what was written so far is not racy.
    pub fn wait_for_a_tick(&self) {
        let start = super::file_system_now(&self.dot).expect("there is a clock");
        while super::file_system_now(&self.dot).expect("there is a clock") == start {
            std::thread::yield_now();
        }
    }
}
