//! Equality with git: for generated and hand-made trees the verdict and, where clean, the tree are those
//! of `git -c merge.directoryRenames=false merge-tree --write-tree`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::World;
use super::dice::{Dice, count};
use crate::merge::{Rules, three_way};
use crate::object::{Mode, Source, TreeId};

/// A side of a case: content and mode by path.
type Content = BTreeMap<String, (Mode, Vec<u8>)>;

struct Case {
    base: Content,
    ours: Content,
    theirs: Content,
}

fn git(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

/// A merged tree: its id, and its files as `git ls-tree -r` lists them.
type Listed = (String, String);

fn list_of(dir: &Path, tree: &str) -> Listed {
    let out = git(dir, &["ls-tree", "-r", tree]).output().expect("git runs");
    (tree.to_owned(), String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Merges all cases by git: whether each is clean, and its tree if so.
fn merge_by_git(cases: &[Case]) -> Vec<Option<Listed>> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let made = git(dir.path(), &["init", "-q", "--bare", "--object-format=sha256"]).status();
    assert!(made.expect("git is installed").success());
    let mut import =
        git(dir.path(), &["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().expect("git is installed");
    let mut stream = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        for (name, files) in [("base", &case.base), ("ours", &case.ours), ("theirs", &case.theirs)] {
            let from = (name != "base").then(|| format!("from refs/heads/{number}-base\n"));
            let from = from.unwrap_or_default();
            let head = format!(
                "commit refs/heads/{number}-{name}\ncommitter t <t@t> 1 +0000\ndata 0\n{from}deleteall\n"
            );
            stream.extend_from_slice(head.as_bytes());
            for (path, (mode, bytes)) in files {
                let line = format!("M {} inline {path}\ndata {}\n", mode.as_octal(), bytes.len());
                stream.extend_from_slice(line.as_bytes());
                stream.extend_from_slice(bytes);
                stream.push(b'\n');
            }
            stream.push(b'\n');
        }
    }
    import.stdin.take().expect("piped").write_all(&stream).expect("git reads");
    assert!(import.wait().expect("git ends").success());
    let merge = |number: usize| {
        let names = ["base", "ours", "theirs"].map(|name| format!("{number}-{name}"));
        let out = git(dir.path(), &["-c", "merge.directoryRenames=false", "merge-tree", "--write-tree"])
            .args([&format!("--merge-base={}", names[0]), &names[1], &names[2]])
            .output()
            .expect("git runs");
        let tree = String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_owned();
        match out.status.code() {
            Some(0) => Some(list_of(dir.path(), &tree)),
            Some(1) => None,
            _ => panic!("git merge-tree failed: {}", String::from_utf8_lossy(&out.stderr)),
        }
    };
    (0..cases.len()).map(merge).collect()
}

/// Merges one case here: the tree and its files if it is clean, else the paths in conflict.
fn merge_here(case: &Case) -> Result<Listed, String> {
    let world = World::default();
    let tree = |files: &Content| -> TreeId {
        let files =
            files.iter().map(|(path, (mode, bytes))| (path.clone().into(), (*mode, world.blob(bytes))));
        world.tree_of(&files.collect())
    };
    let (base, ours, theirs) = (tree(&case.base), tree(&case.ours), tree(&case.theirs));
    let merged = three_way(&world.objects, &Rules::text_only(), base, ours, theirs).expect("merges");
    if !merged.conflicts.is_empty() {
        let told = merged.conflicts.iter().map(|c| format!("{} ({}), ", c.path, c.kind));
        return Err(told.collect());
    }
    world.keep(&merged.objects);
    let mut files = String::new();
    list_into(&world, merged.tree, "", &mut files);
    Ok((merged.tree.to_string(), files))
}

fn list_into(world: &World, tree: TreeId, folder: &str, out: &mut String) {
    for entry in world.objects.find_tree(tree).expect("a tree").entries() {
        let path = format!("{folder}{}", String::from_utf8_lossy(&entry.name));
        if entry.mode.is_tree() {
            list_into(world, TreeId::new(entry.id), &format!("{path}/"), out);
        } else {
            let line =
                format!("{} {} {}\t{path}\n", entry.mode.as_octal(), entry.mode.object_kind(), entry.id);
            out.push_str(&line);
        }
    }
}

const WORDS: [&str; 24] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty", "knoll",
    "larch", "marsh", "north", "ocean", "plain", "quarry", "ridge", "shore", "tarn", "upland", "vale",
    "woods", "yard",
];

fn new_text(dice: &mut Dice) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..8 + dice.below(16) {
        text.extend_from_slice(new_line(dice).as_bytes());
    }
    text
}

fn new_line(dice: &mut Dice) -> String {
    format!("{} {} {}\n", dice.pick(&WORDS), dice.pick(&WORDS), dice.below(1000))
}

fn edit(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for _ in 0..1 + dice.below(2) {
        let at = dice.below(lines.len().max(1));
        match dice.below(3) {
            0 if lines.len() > 6 => {
                lines.remove(at);
            }
            1 if at < lines.len() => lines[at] = new_line(dice),
            _ => lines.insert(at.min(lines.len()), new_line(dice)),
        }
    }
    *bytes = lines.concat().into_bytes();
}

fn is_free(files: &Content, path: &str) -> bool {
    let below = format!("{path}/");
    let clash =
        |other: &String| other == path || other.starts_with(&below) || path.starts_with(&format!("{other}/"));
    !files.keys().any(clash)
}

fn new_path(dice: &mut Dice, files: &Content) -> String {
    let folders = ["", "", "notes/", "notes/old/", "log/", "x/y/", "new/"];
    loop {
        let name =
            if dice.chance(50) { format!("{}.md", dice.pick(&WORDS)) } else { dice.pick(&WORDS).to_string() };
        let path = format!("{}{name}", dice.pick(&folders));
        if is_free(files, &path) {
            return path;
        }
    }
}

fn change(dice: &mut Dice, files: &mut Content, renames: bool) {
    let paths: Vec<String> = files.keys().cloned().collect();
    let path = dice.pick(&paths).clone();
    let mut entry = files[&path].clone();
    match dice.below(if renames { 12 } else { 9 }) {
        0..=4 => {
            if entry.0 != Mode::Symlink {
                edit(dice, &mut entry.1);
            }
            files.insert(path, entry);
        }
        5 if files.len() > 2 => {
            files.remove(&path);
        }
        6 => {
            let new = new_path(dice, files);
            files.insert(new, (Mode::File, new_text(dice)));
        }
        7 => {
            entry.0 = match entry.0 {
                Mode::File => Mode::Executable,
                Mode::Executable => Mode::File,
                other => other,
            };
            files.insert(path, entry);
        }
        8 => match dice.below(3) {
            0 => {
                files.insert(path, (Mode::Symlink, format!("to/{}", dice.pick(&WORDS)).into_bytes()));
            }
            1 if files.len() > 2 => {
                files.remove(&path);
                files.insert(format!("{path}/inside"), (Mode::File, new_text(dice)));
            }
            _ => {
                files.insert(path, (Mode::File, format!("\0bin {}", dice.below(9)).into_bytes()));
            }
        },
        9 | 10 => {
            files.remove(&path);
            if entry.0 != Mode::Symlink && dice.chance(50) {
                edit(dice, &mut entry.1);
            }
            let new = new_path(dice, files);
            files.insert(new, entry);
        }
        _ => {
            let Some((folder, _)) = path.rsplit_once('/') else { return };
            let to = format!("{}-moved", folder);
            let moved: Vec<String> =
                files.keys().filter(|p| p.starts_with(&format!("{folder}/"))).cloned().collect();
            for old in moved {
                let entry = files.remove(&old).expect("listed");
                files.insert(format!("{to}{}", &old[folder.len()..]), entry);
            }
        }
    }
}

fn generate(seed: u64) -> Case {
    let mut dice = Dice(seed);
    let mut base = Content::new();
    for _ in 0..4 + dice.below(8) {
        let path = new_path(&mut dice, &base);
        let mode = if dice.chance(15) { Mode::Executable } else { Mode::File };
        base.insert(path, (mode, new_text(&mut dice)));
    }
    let renames = seed % 2 == 1;
    let side = |dice: &mut Dice| {
        let mut files = base.clone();
        for _ in 0..1 + dice.below(5) {
            change(dice, &mut files, renames);
        }
        files
    };
    let (ours, theirs) = (side(&mut dice), side(&mut dice));
    Case { base, ours, theirs }
}

#[test]
fn generated_merges_have_the_verdict_and_the_tree_of_git() {
    let first = count("MVAULT_MERGE_SEED", 0);
    let seeds: Vec<u64> = (first..first + count("MVAULT_MERGE_CASES", 300)).collect();
    let cases: Vec<Case> = seeds.iter().map(|seed| generate(*seed)).collect();
    let git = merge_by_git(&cases);
    let (mut wrong, mut clean) = (Vec::new(), 0);
    for ((seed, case), git) in seeds.iter().zip(&cases).zip(git) {
        clean += usize::from(git.is_some());
        let here = merge_here(case);
        if here.as_ref().ok() != git.as_ref() {
            wrong.push(describe(*seed, case, &here, git.as_ref()));
        }
    }
    assert!(
        cases.len() < 50 || clean * 5 > cases.len() && clean < cases.len(),
        "a fair share on both sides: {clean}"
    );
    assert!(wrong.is_empty(), "{} of {} differ: {}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Tells for a person what the sides did and how the merges differ.
fn describe(seed: u64, case: &Case, here: &Result<Listed, String>, git: Option<&Listed>) -> String {
    let side = |name: &str, files: &Content| {
        let mut told = format!("  {name}:");
        for path in case.base.keys().chain(files.keys()).collect::<std::collections::BTreeSet<_>>() {
            let (old, new) = (case.base.get(path), files.get(path));
            let what = match (old, new) {
                (Some(old), Some(new)) if old == new => continue,
                (Some(old), Some(new)) if old.1 == new.1 => "mode",
                (Some(_), Some(_)) => "edited",
                (Some(_), None) => "gone",
                _ if case.base.values().any(|(_, bytes)| new.is_some_and(|new| new.1 == *bytes)) => "moved",
                _ => "new",
            };
            told.push_str(&format!(" {path} {what},"));
        }
        told
    };
    let paths: Vec<&String> = case.base.keys().collect();
    let result = match (here, git) {
        (Ok(here), Some(git)) => {
            let lines =
                |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
            let (here, git) = (lines(&here.1), lines(&git.1));
            format!("here only {:#?}, git only {:#?}", &here - &git, &git - &here)
        }
        (Ok(_), None) => "clean here, conflict for git".to_owned(),
        (Err(here), _) => format!("clean for git, here {here}"),
    };
    let (ours, theirs) = (side("ours", &case.ours), side("theirs", &case.theirs));
    format!("seed {seed} base {paths:?}\n{ours}\n{theirs}\n  {result}")
}

/// Cases by hand: `path=content`, blank-separated; `+` before a path for an executable, `@` for a link. A
/// content `N` stands for a file of its own, `N.x` for the same file with line `x` changed.
const BY_HAND: &[(&str, &str, &str, &str)] = &[
    ("edit and edit elsewhere", "a=1", "a=1.2", "a=1.9"),
    ("edit and the same edit", "a=1", "a=1.2", "a=1.2"),
    ("edit and edit of the next line", "a=1", "a=1.4", "a=1.5"),
    ("edit and edit of the same line", "a=1", "a=1.4", "a=1.4.4"),
    ("delete and edit", "a=1", "", "a=1.2"),
    ("delete and delete", "a=1 b=2", "b=2", "b=2"),
    ("add and add", "a=1", "a=1 b=2", "a=1 b=3"),
    ("add and add the same", "a=1", "a=1 b=2", "a=1 b=2"),
    ("add and add the same with another mode", "a=1", "a=1 b=2", "a=1 +b=2"),
    ("add and add with another mode", "a=1", "a=1 b=2", "a=1 +b=3"),
    ("move and edit", "a=1", "b=1", "a=1.2"),
    ("move with edit and edit elsewhere", "a=1", "b=1.9", "a=1.2"),
    ("move with edit and edit of the same line", "a=1", "b=1.2.2", "a=1.2"),
    ("move and the same move", "a=1", "b=1", "b=1"),
    ("move and another move", "a=1", "b=1", "c=1"),
    ("move and delete", "a=1 x=5", "b=1 x=5", "x=5"),
    ("move and the bit taken away", "+a=1", "+b=1", "a=1"),
    ("move and the bit added", "a=1", "b=1", "+a=1"),
    ("moves of two files to one place", "a=1 b=2", "c=1 b=2", "a=1 c=2"),
    ("move to where the other adds", "a=1", "b=1", "a=1 b=7"),
    ("a folder moved, the other edits in it", "d/a=1 d/b=2", "e/a=1 e/b=2", "d/a=1.3 d/b=2"),
    ("a folder moved, the other adds to it", "d/a=1 d/b=2", "e/a=1 e/b=2", "d/a=1 d/b=2 d/c=3"),
    ("a folder moved by both to two places", "d/a=1 d/b=2", "e/a=1 e/b=2", "f/a=1 f/b=2"),
    ("a folder moved, the other deletes a file", "d/a=1 d/b=2", "e/a=1 e/b=2", "d/a=1"),
    ("a file becomes a folder, the other edits it", "a=1", "a/x=2", "a=1.2"),
    ("a folder becomes a file, the other adds to it", "d/a=1", "d=2", "d/a=1 d/b=3"),
    ("a file and a folder of one name are added", "x=9", "x=9 a=1", "x=9 a/b=2"),
    ("a file becomes a folder on both sides", "a=1", "a/x=2", "a/y=3"),
    ("a link and an edit", "a=1", "@a=x", "a=1.2"),
    ("two links", "@a=x", "@a=y", "@a=z"),
    ("a link and its mode back", "@a=x", "a=1", "@a=x"),
    ("a mode and binary content", "a=bin1", "+a=bin1", "a=bin2"),
    ("the same edit with a mode", "a=1", "+a=1.2", "a=1.2"),
    ("the same edit with the bit taken away", "+a=1", "a=1.2", "+a=1.2"),
    ("the same binary with a mode", "a=bin1", "+a=bin2", "a=bin2"),
    ("the same link and a file", "a=1", "@a=x", "+a=1"),
    ("binary and binary", "a=bin1", "a=bin2", "a=bin3"),
    ("two swapped", "a=1 b=2", "a=2 b=1", "a=1.3 b=2"),
    ("everything gone and an edit", "a=1 b=2", "", "a=1 b=2.2"),
    ("nothing in common", "", "a=1", "b=2"),
    ("the one file of a folder moves to an old folder", "d/a=1 e/b=2", "e/a=1 e/b=2", "d/a=1 d/new=3 e/b=2"),
    ("the one file of a folder moves to the top", "d/a=1 b=2", "a=1 b=2", "d/a=1 d/new=3 b=2"),
    ("a folder moved, the other adds a folder to it", "d/a=1 d/b=2", "e/a=1 e/b=2", "d/a=1 d/b=2 d/s/t/c=3"),
    ("a folder in a folder moved, the other adds", "d/e/a=1 d/b=2", "d/f/a=1 d/b=2", "d/e/a=1 d/b=2 d/e/c=3"),
    ("a folder moved, and a new one of its name", "d/a=1 d/b=2", "e/a=1 e/b=2 d/z=5", "d/a=1 d/b=2 d/c=3"),
    ("a folder moved, the other moves a file into it", "d/a=1 x=2", "e/a=1 x=2", "d/a=1 d/x=2"),
    ("the same with an edit", "d/a=1 x=2", "e/a=1 x=2.3", "d/a=1 d/x=2.9"),
    ("a folder moved, the same new file there", "d/a=1", "e/a=1 e/n=4", "d/a=1 d/n=4"),
    ("a folder moved, another new file there", "d/a=1", "e/a=1 e/n=4", "d/a=1 d/n=5"),
    ("a folder moved, a file in its place, the other adds", "d/a=1", "e/a=1 d=2", "d/a=1 d/c=3"),
    ("a folder moved with edits, the other adds", "d/a=1 d/b=2", "e/a=1.3 e/b=2", "d/a=1.9 d/b=2 d/c=4"),
    ("a folder deleted, the other adds to it", "d/a=1 x=2", "x=2", "d/a=1 d/c=3 x=2"),
    ("both move a folder, one adds to the old place", "d/a=1 d/b=2", "e/a=1 e/b=2", "f/a=1 f/b=2 d/c=3"),
    ("equal files in a moved folder", "d/a=1 d/b=1", "e/a=1 e/b=1", "d/a=1.2 d/b=1 d/c=3"),
    ("a folder taken apart", "d/a=1 d/b=2 d/c=4", "e/a=1 e/b=2 f/c=4", "d/a=1 d/b=2 d/c=4 d/new=3"),
];

fn content(text: &str) -> Content {
    let entry = |item: &str| {
        let (path, content) = item.split_once('=').expect("path=content");
        let (mode, path) = match path.as_bytes()[0] {
            b'+' => (Mode::Executable, &path[1..]),
            b'@' => (Mode::Symlink, &path[1..]),
            _ => (Mode::File, path),
        };
        let mut parts = content.split('.');
        let number = parts.next().unwrap_or_default();
        let bytes = match number.strip_prefix("bin") {
            Some(number) => format!("\0{number}").into_bytes(),
            None if mode == Mode::Symlink => number.as_bytes().to_vec(),
            None => {
                let changes: Vec<usize> = parts.map(|line| line.parse().expect("a line")).collect();
                let line = |n: usize| {
                    let changed = changes.iter().filter(|c| **c == n).count();
                    format!("file {number} line {n}{}\n", " changed".repeat(changed))
                };
                (0..12).map(line).collect::<String>().into_bytes()
            }
        };
        (path.to_owned(), (mode, bytes))
    };
    text.split(' ').filter(|item| !item.is_empty()).map(entry).collect()
}

fn by_hand(cases: &[(&str, &str, &str, &str)]) -> Vec<Case> {
    let case = |(_, base, ours, theirs): &(&str, &str, &str, &str)| {
        [
            Case { base: content(base), ours: content(ours), theirs: content(theirs) },
            Case { base: content(base), ours: content(theirs), theirs: content(ours) },
        ]
    };
    cases.iter().flat_map(case).collect()
}

#[test]
fn merges_by_hand_have_the_verdict_and_the_tree_of_git() {
    let cases = by_hand(BY_HAND);
    let mut wrong = Vec::new();
    for (number, (case, git)) in cases.iter().zip(merge_by_git(&cases)).enumerate() {
        let here = merge_here(case);
        if here.as_ref().ok() != git.as_ref() {
            wrong.push(format!("{}: {}", BY_HAND[number / 2].0, describe(0, case, &here, git.as_ref())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A folder was tidied away on one device, and the new note that another device put there was found in the archive:
/// nobody had put it there, and nothing said so. A folder's name is a place where people put things: what is new
/// stays where it was made.
#[test]
fn a_new_file_stays_where_it_was_made() {
    for (name, base, ours, theirs, new) in [
        ("one file", "daily/mon=1", "done/mon=1", "daily/mon=1 daily/tue=2", "daily/tue"),
        ("three files", "d/a=1 d/b=2 d/c=3", "x/a=1 x/b=2 x/c=3", "d/a=1 d/b=2 d/c=3 d/n=4", "d/n"),
        ("to two folders", "d/a=1 d/b=2 d/c=3", "x/a=1 x/b=2 y/c=3", "d/a=1 d/b=2 d/c=3 d/n=4", "d/n"),
        ("below", "d/a=1", "x/d/a=1", "d/a=1 d/e/f/n=4", "d/e/f/n"),
    ] {
        for case in by_hand(&[(name, base, ours, theirs)]) {
            let (tree, files) = merge_here(&case).unwrap_or_else(|told| panic!("{name}: {told}"));
            assert!(files.lines().any(|line| line.ends_with(&format!("\t{new}"))), "{name}: {tree} {files}");
            assert!(!files.contains("mvault-"), "{name}: nothing of ours is left: {files}");
        }
    }
}
