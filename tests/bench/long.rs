//! Long histories, made fast: commits go straight into a few packs and the log, as a vault has them after
//! its packs were merged; git gets the same ones by `fast-import`.

use std::fmt::Write;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use mvault::env::{Env, Moment};
use mvault::fs::RealDisk;
use mvault::object::{CommitId, Kind, Mode, ObjectId, SessionId, Tree, TreeEntry, TreeId};
use mvault::oplog::{Label, RefName};
use mvault::vault::{Access, OpenOptions, Trust, Vault};

/// So many notes, of which each commit changes one.
pub const NOTES: usize = 20;
/// 2026-01-01, when the history begins; a commit every five minutes.
const BEGIN: i64 = 1_767_225_600;
/// So many packs hold the history.
const PACKS: usize = 8;

/// Returns the name and the text of the note that a commit writes.
pub fn change(number: usize) -> (String, String) {
    let name = format!("{:02}.md", number % NOTES);
    let text = format!(
        "# Note {}\n\nWhat commit {number} has to say of it.\n\n- the reading room\n- the plan for week {}\n",
        number % NOTES,
        number / 50
    );
    (name, text)
}

fn message(number: usize) -> String {
    format!("update notes/{:02}.md: what the pilot said in hour {number}\n", number % NOTES)
}

/// Opens the vault in `folder` as its owner.
pub fn open(folder: &Path) -> Vault {
    let moment = Moment { unix_ns: i128::from(BEGIN) * 1_000_000_000, offset_minutes: 60 };
    let options = OpenOptions {
        disk: Arc::new(RealDisk),
        env: Env::fixed(moment, "long"),
        actor: "bench".into(),
        args: vec!["commit".into()],
        session: None,
        access: Access::Tree,
        trust: Trust::Given,
    };
    Vault::open(folder, options).expect("a vault opens")
}

/// Adds `count` commits to the branch of a new vault, each with its operation, and writes the last state's
/// files. Appends are synced one by one: seconds in a folder in memory, minutes elsewhere.
pub fn write_vault(folder: &Path, count: usize) {
    let mut vault = open(folder);
    let lock = vault.lock("bench").expect("nobody else holds it");
    let mut head = vault.head().expect("it has a root");
    let mut blobs: Vec<Option<ObjectId>> = vec![None; NOTES];
    let (mut notes_before, mut root_before): (Option<ObjectId>, Option<ObjectId>) = (None, None);
    let mut number = 0;
    let mut heads: Vec<CommitId> = Vec::with_capacity(count);
    while number < count {
        let mut writer = vault.store().writer().expect("a writer");
        let mut parent = mvault::object::Source::find_commit(vault.store(), head).expect("the head");
        let end = (number + count.div_ceil(PACKS)).min(count);
        while number < end {
            let (_, text) = change(number);
            let at = number % NOTES;
            let blob = writer.add(Kind::Blob, text.as_bytes(), blobs[at]).expect("a blob");
            blobs[at] = Some(blob);
            let entries = blobs.iter().enumerate().filter_map(|(note, id)| {
                Some(TreeEntry { name: format!("{note:02}.md").into(), mode: Mode::File, id: (*id)? })
            });
            let notes = Tree::from_entries(entries).encode();
            let notes = writer.add(Kind::Tree, &notes, notes_before).expect("a tree");
            let root = [TreeEntry { name: "notes".into(), mode: Mode::Tree, id: notes }];
            let root =
                writer.add(Kind::Tree, &Tree::from_entries(root).encode(), root_before).expect("a tree");
            (notes_before, root_before) = (Some(notes), Some(root));
            parent.tree = TreeId::new(root);
            parent.parents = vec![head];
            parent.lamport.0 += 1;
            parent.vault = None;
            parent.session = SessionId::parse(&format!("s{}", number / 10));
            parent.committer.seconds = BEGIN + 300 * number as i64;
            parent.author = parent.committer.clone();
            parent.message = message(number).into();
            head = vault.write_commit(&mut writer, &parent).expect("is added");
            heads.push(head);
            number += 1;
        }
        writer.publish().expect("is published");
    }
    for (number, head) in heads.into_iter().enumerate() {
        let operation = vault
            .operation("commit")
            .set(RefName::Branch(Label::main()), head)
            .set(RefName::At, head)
            .frontier(vec![head])
            .detail("changed", 1);
        vault.publish(&lock, None, operation).unwrap_or_else(|e| panic!("operation {number}: {e}"));
    }
    std::fs::create_dir_all(folder.join("notes")).expect("a folder can be made");
    for number in count.saturating_sub(NOTES)..count {
        let (name, text) = change(number);
        std::fs::write(folder.join("notes").join(name), text).expect("a file can be written");
    }
}

/// Makes a git repository with the same commits, packed, with everything that `git gc` prepares.
pub fn write_git(folder: &Path, count: usize) {
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(args).current_dir(folder).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    std::fs::create_dir_all(folder).expect("a folder can be made");
    assert!(git(&["init", "-q", "-b", "main"]).status().expect("git starts").success());
    let mut import = git(&["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().expect("git starts");
    let mut input = std::io::BufWriter::new(import.stdin.take().expect("is piped"));
    for number in 0..count {
        let ((name, text), message) = (change(number), message(number));
        let mut commit = String::new();
        let _infallible = write!(
            commit,
            "commit refs/heads/main\ncommitter bench <bench@bench> {} +0100\ndata {}\n{message}\nM 100644 inline notes/{name}\ndata {}\n{text}\n",
            BEGIN + 300 * number as i64,
            message.len(),
            text.len()
        );
        input.write_all(commit.as_bytes()).expect("git reads");
    }
    drop(input);
    assert!(import.wait().expect("git ends").success());
    assert!(git(&["gc", "-q"]).status().expect("git starts").success());
    assert!(git(&["reset", "-q", "--hard"]).status().expect("git starts").success());
}
