//! Files and folders go or get another name, for any program: kept, judged, carried out, committed.
//!
//! Order, under the lock: commit what stands there, so that history has every byte of it; judge; remove or
//! rename; commit that. Killed in between, the change is an edit that the next commit takes.
//!
//! - Only what a commit has is ever removed: each file is compared with it right before it goes.
//! - No link is followed, and where one lies nothing is removed or renamed.

use super::admission::Admission;
use super::commit::{CommitRequest, commit_locked};
use super::refusal::{Door, Refused, os};
use super::sealing::folder_of;
use super::write::{WRITE_BYTES_MAX, judge_bytes, open_or_create_folder};
use super::{Error, ErrorKind, Result, Vault, VaultLock};
use crate::fs::{Dir, FileKind};
use crate::object::{BlobId, CommitId, Kind, VaultPath, hash_object};
use crate::worktree::IGNORE_FILE;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Relocated {
    /// The commit that has the change; `None` if nothing was changed.
    pub commit: Option<CommitId>,
    /// Why nothing was changed.
    pub refused: Vec<Refused>,
}

impl Relocated {
    fn refused(vault: &Vault, refused: Vec<Refused>) -> Result<Relocated> {
        vault.log_rejections(&refused)?;
        Ok(Relocated { commit: None, refused })
    }
}

/// Removes a file, or a folder with all that is in it, and commits that.
pub fn remove(vault: &mut Vault, path: &VaultPath) -> Result<Relocated> {
    let lock = vault.lock("remove")?;
    let files = match keep(vault, &lock, path, "removed")? {
        Kept::Refused(refused) => return Ok(Relocated { commit: None, refused }),
        Kept::Files(files) => files,
    };
    let base = vault.standing_tree()?;
    let count = vault.index(base)?.len();
    let admission = Admission::new(vault, base, &[])?;
    let by = |path: &VaultPath, finding| Refused::by(Door::Write, path.as_bytes(), finding);
    let mut refused: Vec<Refused> =
        files.iter().filter_map(|file| Some(by(file, admission.deletion(file)?))).collect();
    let gone: Vec<&VaultPath> = files.iter().collect();
    refused.extend(admission.deletions(&gone, || Ok::<_, Error>(count))?.map(|finding| by(path, finding)));
    if !refused.is_empty() {
        return Relocated::refused(vault, refused);
    }
    let folder = folder_of(&vault.root, path)?.ok_or_else(|| absent(path))?;
    remove_committed(vault, &admission, &folder, path)?;
    finish(vault, &lock, vec![path.clone()], format!("remove {path}\n"), "remove")
}

/// Gives a file or a folder another name, which nothing may have, and commits that.
pub fn rename(vault: &mut Vault, from: &VaultPath, to: &VaultPath) -> Result<Relocated> {
    let lock = vault.lock("rename")?;
    if to.is_within(from) {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{to} is inside of {from}; nothing was renamed"),
            "name another place",
        ));
    }
    let files = match keep(vault, &lock, from, "renamed")? {
        Kept::Refused(refused) => return Ok(Relocated { commit: None, refused }),
        Kept::Files(files) => files,
    };
    let there = match folder_of(&vault.root, to)? {
        Some(folder) => folder.try_stat(os(to.name()))?,
        None => None,
    };
    if there.is_some() {
        return Err(Error::refused(
            ErrorKind::Stale,
            format!("{to} is there already; nothing was renamed"),
            "name another place",
        ));
    }
    let admission = Admission::new(vault, vault.standing_tree()?, &[])?;
    let mut refused = Vec::new();
    for file in &files {
        let place = moved_to(file, from, to)?;
        if vault.ignore_rules().ignores(&vault.root, &place, false) {
            return Err(uncommitted(&place, "renamed"));
        }
        let bytes = read(vault, file)?;
        if let Some(finding) = judge_bytes(vault, &admission, &place, &bytes)? {
            refused.push(Refused::by(Door::Write, place.as_bytes(), finding));
        }
    }
    if !refused.is_empty() {
        return Relocated::refused(vault, refused);
    }
    let old = folder_of(&vault.root, from)?.ok_or_else(|| absent(from))?;
    let new = open_or_create_folder(vault, to)?;
    old.rename(os(from.name()), &new, os(to.name()))?;
    new.sync()?;
    old.sync()?;
    finish(vault, &lock, vec![from.clone(), to.clone()], format!("rename {from} to {to}\n"), "rename")
}

enum Kept {
    /// All that stands there; history has every byte of it.
    Files(Vec<VaultPath>),
    /// It cannot be kept, so it stays.
    Refused(Vec<Refused>),
}

/// Commits what stands at a path.
fn keep(vault: &mut Vault, lock: &VaultLock, path: &VaultPath, act: &str) -> Result<Kept> {
    if vault.parked().is_some() {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("the tree is parked at an older state; nothing was {act}"),
            format!("{} goes back to the branch", vault.way_back()),
        ));
    }
    let mut files = Vec::new();
    let folder = folder_of(&vault.root, path)?.ok_or_else(|| absent(path))?;
    list(&folder, path, act, &mut files)?;
    let request = CommitRequest {
        message: Some(format!("keep {path} as it was\n")),
        paths: vec![path.clone()],
        operation: "keep",
        ..CommitRequest::default()
    };
    let outcome = commit_locked(vault, lock, &request)?;
    if !outcome.refused.is_empty() {
        return Ok(Kept::Refused(outcome.refused));
    }
    let admission = Admission::new(vault, vault.standing_tree()?, &[])?;
    for file in &files {
        if admission.committed(file)?.is_none() {
            return Err(uncommitted(file, act));
        }
    }
    Ok(Kept::Files(files))
}

/// Lists the files at a path and below it.
fn list(folder: &Dir, path: &VaultPath, act: &str, files: &mut Vec<VaultPath>) -> Result<()> {
    let stat = folder.try_stat(os(path.name()))?.ok_or_else(|| absent(path))?;
    match stat.kind {
        FileKind::File => files.push(path.clone()),
        FileKind::Dir => {
            let inner = folder.open_dir(os(path.name()))?;
            let mut names: Vec<_> = inner.list()?.into_iter().map(|(name, _)| name).collect();
            names.sort();
            for name in names {
                let child = path.join(name.as_encoded_bytes()).map_err(|error| {
                    Error::refused(
                        ErrorKind::Refused,
                        format!("{path} holds a name that no vault takes ({error}); nothing was {act}"),
                        "move it elsewhere first",
                    )
                })?;
                list(&inner, &child, act, files)?;
            }
        }
        FileKind::Symlink | FileKind::Special => {
            return Err(Error::refused(
                ErrorKind::Refused,
                format!("{path} is no regular file or folder; nothing was {act}"),
                "move it elsewhere first",
            ));
        }
    }
    Ok(())
}

/// Removes files that are what the commit has, and the folders that are empty then.
fn remove_committed(vault: &Vault, admission: &Admission<'_>, folder: &Dir, path: &VaultPath) -> Result<()> {
    let name = os(path.name());
    let stat = folder.try_stat(name)?.ok_or_else(|| absent(path))?;
    if stat.kind == FileKind::Dir {
        let inner = folder.open_dir(name)?;
        for (child, _) in inner.list()? {
            if let Ok(child) = path.join(child.as_encoded_bytes()) {
                remove_committed(vault, admission, &inner, &child)?;
            }
        }
        // What came meanwhile keeps its folder.
        match folder.remove_dir(name) {
            Err(error) if error.is_not_empty() => return Err(changed(path)),
            other => other?,
        }
        return Ok(folder.sync()?);
    }
    let bytes = read(vault, path)?;
    let id = BlobId::new(hash_object(Kind::Blob, &bytes));
    if admission.committed(path)?.is_none_or(|entry| entry.id != id) {
        return Err(changed(path));
    }
    folder.remove_file(name)?;
    Ok(folder.sync()?)
}

fn finish(
    vault: &mut Vault,
    lock: &VaultLock,
    paths: Vec<VaultPath>,
    message: String,
    operation: &'static str,
) -> Result<Relocated> {
    let request = CommitRequest { message: Some(message), paths, operation, ..CommitRequest::default() };
    let outcome = commit_locked(vault, lock, &request)?;
    Ok(Relocated { commit: outcome.commit.map(|(id, _)| id), refused: outcome.refused })
}

fn read(vault: &Vault, path: &VaultPath) -> Result<Vec<u8>> {
    Ok(super::refusal::open_below(&vault.root, path)?.read_all(WRITE_BYTES_MAX)?)
}

fn moved_to(file: &VaultPath, from: &VaultPath, to: &VaultPath) -> Result<VaultPath> {
    let rest = &file.as_bytes()[from.as_bytes().len()..];
    VaultPath::parse([to.as_bytes(), rest].concat()).map_err(|error| {
        Error::refused(
            ErrorKind::Refused,
            format!("{file} would get a name that no vault takes ({error}); nothing was renamed"),
            "choose a shorter name",
        )
    })
}

fn absent(path: &VaultPath) -> Error {
    Error::refused(ErrorKind::UnknownRevision, format!("{path} is not there"), "check how it is spelled")
}

fn changed(path: &VaultPath) -> Error {
    Error::refused(
        ErrorKind::Stale,
        format!("{path} changed meanwhile and stays"),
        "look at it again; what is gone is in the last commit",
    )
}

fn uncommitted(path: &VaultPath, act: &str) -> Error {
    Error::refused(
        ErrorKind::Refused,
        format!("{path} is ignored by {IGNORE_FILE}, so no commit would have it; nothing was {act}"),
        "take the line out there, or do it without mvault",
    )
}
