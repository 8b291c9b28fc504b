//! Histories with merges, made through the library: another device's commits appear and are reconciled.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use mvault::env::{Env, Moment};
use mvault::fs::RealDisk;
use mvault::object::{
    BlobId, CommitId, DeviceName, FileEntry, Kind, Mode, ObjectId, Tree, TreeChange, TreeEntry, TreeId,
    VaultPath, write_tree,
};
use mvault::oplog::{Label, RefName, RefTarget};
use mvault::vault::{Accepts, Access, OpenOptions, ReconcileOutcome, Trust, Vault, reconcile_locked};

/// Opens a vault as a person at 2026-11-22 plus `minute` minutes.
pub fn open(root: &Path, minute: i128) -> Vault {
    let moment = Moment { unix_ns: (1_795_330_800 + minute * 60) * 1_000_000_000, offset_minutes: 60 };
    let options = OpenOptions {
        disk: Arc::new(RealDisk),
        env: Env::fixed(moment, &minute.to_string()),
        actor: "paul".into(),
        args: Vec::new(),
        session: None,
        access: Access::Tree,
        trust: Trust::Given,
    };
    Vault::open(root, options).expect("a vault opens")
}

/// A commit by the device `pixel` on top of `parent` that sets one file, not known to any ref yet.
pub fn elsewhere(vault: &Vault, parent: CommitId, path: &str, content: &str) -> CommitId {
    let mut writer = vault.store().writer().expect("a writer");
    let blob = writer.add(Kind::Blob, content.as_bytes(), None).expect("a blob");
    let change = TreeChange {
        path: VaultPath::parse(path).expect("a path"),
        entry: Some(FileEntry { mode: Mode::File, id: BlobId::new(blob) }),
    };
    let base = vault.tree_of(parent).expect("the parent is there");
    let tree = write_tree(vault.store(), base, [change], &mut |bytes, replaced| {
        let added = writer.add(Kind::Tree, bytes, replaced.map(TreeId::object)).map(TreeId::new);
        added.map_err(mvault::vault::Error::from)
    });
    let draft = Default::default();
    let mut commit = vault.draft_commit(tree.expect("a tree"), vec![parent], draft).expect("a commit");
    commit.device = DeviceName::parse("pixel");
    commit.message = format!("{path} on the pixel\n").into();
    let id = vault.write_commit(&mut writer, &commit).expect("is added");
    writer.publish().expect("is published");
    id
}

/// Takes a commit of the pixel in as a pull does: as that device's offer, and reconciles.
pub fn pull_in(vault: &mut Vault, offered: CommitId) -> ReconcileOutcome {
    let lock = vault.lock("test").expect("nobody else holds it");
    let name = RefName::Remote(DeviceName::parse("pixel").expect("a name"), Label::main());
    let operation = vault.operation("pull").set(name, RefTarget::Set(BTreeSet::from([offered])));
    reconcile_locked(vault, &lock, operation, &[offered], &Accepts::default()).expect("is reconciled")
}

/// Puts `count` commits of `mac` on the branch, one pack in all. Commit `number` of them changes the note
/// `notes/deep/0N.md` of seven.
pub fn lengthen(root: &Path, count: usize) {
    let mut vault = open(root, 1);
    let lock = vault.lock("test").expect("nobody else holds it");
    let mut writer = vault.store().writer().expect("a writer");
    let mut head = vault.head().expect("a head");
    let mut commit = vault.draft_commit(TreeId::empty(), vec![head], Default::default()).expect("a commit");
    let mut notes: Vec<Option<ObjectId>> = vec![None; 7];
    let mut before: [Option<ObjectId>; 3] = [None; 3];
    for number in 0..count {
        let note = &mut notes[number % 7];
        *note = Some(writer.add(Kind::Blob, format!("of {number}\n").as_bytes(), *note).expect("a blob"));
        let file = |(note, id): (usize, &Option<ObjectId>)| {
            Some(TreeEntry { name: format!("0{note}.md").into(), mode: Mode::File, id: (*id)? })
        };
        let mut entries: Vec<TreeEntry> = notes.iter().enumerate().filter_map(file).collect();
        for (name, before) in ["deep", "notes", ""].into_iter().zip(&mut before) {
            let tree = Tree::from_entries(entries).encode();
            let id = writer.add(Kind::Tree, &tree, *before).expect("a tree");
            *before = Some(id);
            entries = vec![TreeEntry { name: name.into(), mode: Mode::Tree, id }];
        }
        commit.tree = TreeId::new(entries[0].id);
        commit.parents = vec![head];
        commit.message = format!("change {number} of note {}\n", number % 7).into();
        head = vault.write_commit(&mut writer, &commit).expect("is added");
        commit.lamport.0 += 1;
    }
    let operation = vault.operation("test").set(RefName::Branch(Label::main()), head).set(RefName::At, head);
    vault.publish(&lock, Some(writer), operation.frontier(vec![head])).expect("is published");
}
