//! Tests of the working tree as a whole, on the machine's own disk.

#[allow(dead_code)] // apply
mod faults;
mod ignore;
mod walk;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::fs::{Dir, Disk, RealDisk};
use crate::object::{Kind, Overlay, Source, SourceError, TreeId};

use super::{Index, LocalChanges, LogMark, ScanInput, Traits, TreeChange};

/// A working tree in a temporary folder, its `.mvault`, and the objects it was committed to.
pub(super) struct Place {
    temp: tempfile::TempDir,
    pub root: Dir,
    pub dot: Dir,
    pub objects: Overlay<crate::object::Overlay<NoObjects>>,
    pub index: Index,
}

/// The ground under the objects of a test.
pub(super) struct NoObjects;

impl Source for NoObjects {
    fn try_find(&self, _: crate::object::ObjectId) -> Result<Option<crate::object::Object>, SourceError> {
        Ok(None)
    }
}

impl Place {
    pub fn new() -> Place {
        let temp = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(temp.path().join(".mvault")).expect("makes the vault's folder");
        let root = RealDisk.open_dir(temp.path()).expect("opens");
        let dot = root.open_dir(".mvault").expect("opens");
        Place { temp, root, dot, objects: Overlay::new(Overlay::new(NoObjects)), index: Index::empty() }
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
        ScanInput { root: &self.root, index: &self.index, traits: Traits::default(), paths: &[] }
    }

    pub fn changes(&self) -> LocalChanges {
        let scan = super::scan(self.input()).expect("walks");
        let now = super::file_system_now(&self.dot).expect("there is a clock");
        super::hash_candidates(&self.root, &scan, Some(now))
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
        let local = self.changes();
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
            let entry = change.new.map(|new| (new.mode, new.id.object()));
            edits.push(TreeChange { path: change.path.clone(), entry });
            updates.push((change.path.clone(), change.index_entry()));
        }
        let tree = super::write_tree(&self.objects, self.index.tree(), edits, &mut |bytes, _| {
            Ok::<_, SourceError>(TreeId::new(self.objects.put(Kind::Tree, bytes)))
        })
        .expect("edits the tree");
        self.index = self.index.updated(tree, LogMark::default(), updates);
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
