//! The atomic write for any program: whole content in, judged, put into place, committed.
//!
//! Order, under the lock: compare (`--if-match`), judge, keep what stood there if no commit has it, write
//! aside, sync, read back, rename, sync the folder, commit that path. Killed before the rename the old file
//! stands; killed after it the new one stands and is an edit that the next commit takes.

use std::sync::Arc;

use super::admission::{self, Admission, Allowance, Finding};
use super::commit::{CommitRequest, commit_locked};
use super::refusal::{Door, Quarantined, Refused, os};
use super::rules::Class;
use super::sealing::{breach, folder_of};
use super::stale::taken_back;
use super::{Error, ErrorKind, Result, Vault, VaultLock};
use crate::events::{Content, Opaque, Stream};
use crate::fs::{Dir, FileKind, Stat};
use crate::gateway::content::ContentJudge;
use crate::gateway::rejection::Rejection;
use crate::gateway::sidecar::Digest256;
use crate::gateway::{Reason, secrets};
use crate::object::{BlobId, CommitId, Kind, LenientJson, Mode, VaultPath, entry_at, hash_object};
use crate::worktree::{Candidate, IGNORE_FILE, Scan};

/// The longest file that is written whole, in bytes.
pub const WRITE_BYTES_MAX: u64 = 256 << 20;

/// What the file must be before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Anything, or nothing.
    Any,
    /// Nothing: the file must be new.
    Absent,
    /// A file with this hash of its plain bytes.
    Content(Digest256),
}

/// How bytes become the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// They are all of it.
    Replace,
    /// They are whole lines behind what is there; streams only.
    Append,
}

/// What to write.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// Where.
    pub path: VaultPath,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What the file must be.
    pub if_match: IfMatch,
    /// All of it, or more of it.
    pub mode: WriteMode,
    /// What a person lets through.
    pub allowed: Vec<Allowance>,
}

/// What a write did.
#[derive(Clone, Debug)]
pub struct WriteOutcome {
    /// The commit that has the new content; `None` if nothing was written.
    pub commit: Option<CommitId>,
    /// The hash of the plain bytes that stand there now, or would have.
    pub sha256: Digest256,
    /// The hash of what stood there before.
    pub replaced: Option<Digest256>,
    /// The number of the saved state that has what stood there and was in no commit.
    pub saved: Option<u64>,
    /// Why nothing was written.
    pub refused: Vec<Refused>,
}

/// What stands at the path.
pub(super) struct Present {
    pub bytes: Vec<u8>,
    stat: Stat,
}

/// Writes a file and commits it.
pub fn write(vault: &mut Vault, request: WriteRequest) -> Result<WriteOutcome> {
    let lock = vault.lock("write")?;
    if vault.parked().is_some() {
        return Err(Error::refused(
            ErrorKind::Refused,
            "the tree is parked at an older state; nothing was written",
            format!("{} goes back to the branch, then write", vault.way_back()),
        ));
    }
    let WriteRequest { path, bytes, if_match, mode, allowed } = request;
    let present = present(vault, &path)?;
    let replaced = present.as_ref().map(|present| Digest256::of(&present.bytes));
    check_match(&path, if_match, replaced)?;
    let base = vault.standing_tree()?;
    let admission = Admission::new(vault, base, &allowed)?;
    if admission.committed(&path)?.is_none() && vault.ignore_rules().ignores(&vault.root, &path, false) {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{path} is ignored by {IGNORE_FILE}, so no commit would have it; nothing was written"),
            "take the line out there, or write the file without mvault",
        ));
    }
    let bytes = match mode {
        WriteMode::Replace => bytes,
        WriteMode::Append => appended(&admission, &path, present.as_ref(), bytes)?,
    };
    let sha256 = Digest256::of(&bytes);
    let mut outcome = WriteOutcome { commit: None, sha256, replaced, saved: None, refused: Vec::new() };
    let names_replaced = if_match != IfMatch::Any || mode == WriteMode::Append;
    let mut finding = judge(vault, &admission, &path, present.as_ref(), &bytes)?;
    if finding.is_none() && !names_replaced {
        finding = stale(vault, &admission, &path, &bytes)?;
    }
    if let Some(finding) = finding {
        let mut refused = Refused::by(Door::Write, path.as_bytes(), finding);
        refused.size = Some(bytes.len() as u64);
        refused.sha256 = Some(sha256);
        refused.blob = Some(BlobId::new(hash_object(Kind::Blob, &bytes)));
        let is_kept = refused.reason.keeps_copy() || refused.reason == Reason::Restored;
        if is_kept && !bytes.is_empty() {
            vault.quarantine(&bytes)?;
            refused.is_kept = true;
        }
        vault.log_rejections(std::slice::from_ref(&refused))?;
        outcome.refused.push(refused);
        return Ok(outcome);
    }
    if replaced != Some(sha256) {
        outcome.saved = present.as_ref().map_or(Ok(None), |present| keep(vault, &lock, &path, present))?;
        let file_mode = present.as_ref().map_or(0o644, |present| present.stat.mode & 0o777);
        let dir = open_or_create_folder(vault, &path)?;
        vault.place_file(&dir, &path, &bytes, file_mode)?;
    }
    let request = CommitRequest {
        message: Some(format!("write {path}\n")),
        paths: vec![path],
        allowed,
        names_replaced: true,
        operation: "write",
        ..CommitRequest::default()
    };
    let committed = commit_locked(vault, &lock, &request)?;
    outcome.commit = committed.commit.map(|(id, _)| id);
    outcome.refused = committed.refused;
    Ok(outcome)
}

pub(super) fn present(vault: &Vault, path: &VaultPath) -> Result<Option<Present>> {
    let Some(dir) = folder_of(&vault.root, path)? else { return Ok(None) };
    let Some(stat) = dir.try_stat(os(path.name()))? else { return Ok(None) };
    if stat.kind != FileKind::File {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("{path} is no regular file; nothing was written"),
            "name a file, or move what is there elsewhere",
        ));
    }
    let file = dir.open(os(path.name()))?;
    let bytes = file.read_all(WRITE_BYTES_MAX)?;
    Ok(Some(Present { bytes, stat: file.stat()? }))
}

fn check_match(path: &VaultPath, wanted: IfMatch, found: Option<Digest256>) -> Result<()> {
    let holds = match wanted {
        IfMatch::Any => true,
        IfMatch::Absent => found.is_none(),
        IfMatch::Content(digest) => found == Some(digest),
    };
    if holds {
        return Ok(());
    }
    let found = found.map_or("is not there".to_owned(), |digest| format!("has the hash {digest}"));
    Err(Error::refused(
        ErrorKind::Stale,
        format!("{path} {found}; nothing was written"),
        "read it again, make your change on what it is now, and write with its hash",
    ))
}

/// Returns the file with whole lines added behind what is there.
fn appended(
    admission: &Admission<'_>,
    path: &VaultPath,
    present: Option<&Present>,
    lines: Vec<u8>,
) -> Result<Vec<u8>> {
    let refuse = |message: String, hint: &str| Err(Error::refused(ErrorKind::Refused, message, hint));
    if !admission.protections.is(path, Class::Stream) {
        return refuse(
            format!("{path} is no event stream; nothing was added"),
            "without --append the whole file is written",
        );
    }
    for (number, line) in lines.split_inclusive(|b| *b == b'\n').enumerate() {
        // What stands in one line with another is one that somebody cut.
        let parsed = Stream::parse(line);
        let is_whole = parsed.lines().len() <= 1
            && parsed.lines().iter().all(|line| match line.content {
                Content::Opaque(Opaque::TooLong, _) => LenientJson::read(line.bytes).is_whole,
                Content::Opaque(..) => false,
                Content::Event(_) | Content::Foreign(_) => true,
            });
        if !is_whole {
            return refuse(
                format!("line {} is no JSON object; nothing was added to {path}", number + 1),
                "give one whole JSON object a line",
            );
        }
    }
    let mut bytes = present.map(|present| present.bytes.clone()).unwrap_or_default();
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n'); // a torn line stays a line of its own
    }
    bytes.extend_from_slice(&lines);
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Judges content that is not on disk yet as if it were.
fn judge(
    vault: &Vault,
    admission: &Admission<'_>,
    path: &VaultPath,
    present: Option<&Present>,
    bytes: &[u8],
) -> Result<Option<Finding>> {
    let old = admission.committed(path)?.map(|entry| (entry.mode, entry.id));
    let stat =
        Stat { kind: FileKind::File, size: bytes.len() as u64, ..present.map_or(Stat::none(), |p| p.stat) };
    let candidate = Candidate { path: path.clone(), mode: Mode::File, stat, old, grows_from: None };
    let scan = Scan { candidates: vec![candidate.clone()], ..Scan::default() };
    if let Some(finding) = admission.names(&scan)?.remove(path) {
        return Ok(Some(finding));
    }
    let seen = ContentJudge::judge(admission.demands(&candidate), bytes);
    if let Some(finding) = admission.judge(&candidate, &seen, admission::Body::Whole(bytes))?.refused {
        return Ok(Some(finding));
    }
    let breach = breach(vault, admission, path, bytes)?;
    Ok(breach.filter(|reason| !admission.permits(*reason, path)).map(Finding::new))
}

/// Says what new content takes back of what other devices wrote to the file.
fn stale(
    vault: &Vault,
    admission: &Admission<'_>,
    path: &VaultPath,
    bytes: &[u8],
) -> Result<Option<Finding>> {
    let guarded = [Class::Stream, Class::Distillate, Class::Sidecar];
    let old = admission.committed(path)?.filter(|entry| entry.mode != Mode::Symlink);
    let (Some(old), false) = (old, guarded.iter().any(|class| admission.protections.is(path, *class))) else {
        return Ok(None);
    };
    let new = BlobId::new(hash_object(Kind::Blob, bytes));
    if new == old.id {
        return Ok(None);
    }
    let found = taken_back(vault, path, (old.id, new), &|| Ok(Arc::from(bytes)))?;
    Ok(found.filter(|_| !admission.permits(Reason::Restored, path)))
}

/// Judges bytes as if they were written to a path.
pub(super) fn judge_bytes(
    vault: &Vault,
    admission: &Admission<'_>,
    path: &VaultPath,
    bytes: &[u8],
) -> Result<Option<Finding>> {
    judge(vault, admission, path, None, bytes)
}

/// Refuses content that a person chose for a path if admission would.
pub(super) fn refuse_content(
    vault: &Vault,
    path: &VaultPath,
    bytes: &[u8],
    allowed: &[Allowance],
) -> Result<()> {
    let admission = Admission::new(vault, vault.tree_of(vault.head()?)?, allowed)?;
    let Some(finding) = judge(vault, &admission, path, None, bytes)? else { return Ok(()) };
    if finding.reason == Reason::Sealed {
        return Ok(()); // a resolution is sealed anew
    }
    let code = finding.reason.code();
    let refused = Refused::new(path.as_bytes(), finding);
    Err(Error::refused(
        ErrorKind::Admission,
        format!("{path} was not resolved: {}", refused.words()),
        format!("mend the content, or say `--allow {code}`; nothing was chosen"),
    ))
}

/// Keeps what stands at the path if no commit of the head has it.
fn keep(vault: &mut Vault, lock: &VaultLock, path: &VaultPath, present: &Present) -> Result<Option<u64>> {
    let head = vault.tree_of(vault.head()?)?;
    let id = BlobId::new(hash_object(Kind::Blob, &present.bytes));
    let committed = entry_at(&vault.store, head, path)?;
    if committed.is_some_and(|entry| entry.id == id.object()) {
        return Ok(None);
    }
    let mode = if present.stat.is_executable() { Mode::Executable } else { Mode::File };
    vault.save_file(lock, path, mode, &present.bytes).map(Some)
}

pub(super) fn open_or_create_folder(vault: &Vault, path: &VaultPath) -> Result<Dir> {
    vault.refuse_unmounted(path)?;
    let mut dir = vault.root.clone();
    if let Some(folder) = path.parent() {
        for part in folder.parts() {
            dir = dir.open_or_create_dir(os(part))?;
        }
    }
    Ok(dir)
}

/// Seals distillates anew: edited ones are committed with their new content, and every one gets a sidecar
/// that fits it.
pub fn seal_paths(
    vault: &mut Vault,
    paths: Vec<VaultPath>,
    allowed: Vec<Allowance>,
) -> Result<super::CommitOutcome> {
    let lock = vault.lock("seal")?;
    let names: Vec<String> = paths.iter().map(ToString::to_string).collect();
    let request = CommitRequest {
        message: Some(format!("seal {}\n", names.join(", "))),
        paths,
        allowed,
        reseals: true,
        operation: "seal",
        ..CommitRequest::default()
    };
    commit_locked(vault, &lock, &request)
}

/// Refuses lines for a stream that hold what looks like a credential, before they are written anywhere but
/// into quarantine.
pub(super) fn refuse_secret_lines(
    vault: &Vault,
    stream: &VaultPath,
    lines: &[u8],
    allowed: &[Allowance],
) -> Result<()> {
    let Some(secret) = secrets::scan(lines).into_iter().next() else { return Ok(()) };
    let admission = Admission::new(vault, vault.standing_tree()?, allowed)?;
    let digest = Digest256::of(lines);
    if admission.permits(Reason::Secret, stream) || admission.protections.is_false_alarm(&digest.to_string())
    {
        return Ok(());
    }
    let mut refused =
        Refused::by(Door::Write, stream.as_bytes(), Finding::new(Reason::Secret).detail(secret.what));
    refused.size = Some(lines.len() as u64);
    refused.sha256 = Some(vault.quarantine(lines)?);
    refused.is_kept = true;
    vault.log_rejections(std::slice::from_ref(&refused))?;
    Err(Error::refused(
        ErrorKind::Admission,
        format!("the text holds what looks like {}; nothing was written to {stream}", secret.what),
        "leave it out; if it is none, the same command with `--allow secret` takes it; `mvault quarantine list` \
         has the text",
    ))
}

/// Refuses words that history or log would keep forever, where no purge reaches them: a message, a label, the id of a
/// session. No copy is kept.
pub(super) fn refuse_secret_words(what: &str, words: &str, allowed: &[Allowance]) -> Result<()> {
    let is_allowed = allowed.iter().any(|one| one.reason == Reason::Secret && one.path.is_none());
    match secrets::scan(words.as_bytes()).first() {
        Some(secret) if !is_allowed => Err(Error::refused(
            ErrorKind::Admission,
            format!(
                "{what} holds what looks like {}; it would stay in the history forever, so nothing was changed",
                secret.what
            ),
            "use other words; a commit takes them as they are with `--allow secret`",
        )),
        _ => Ok(()),
    }
}

/// What a restore from quarantine did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Where the bytes are now.
    pub path: VaultPath,
    /// The number of the saved state that has what stood there and was in no commit.
    pub saved: Option<u64>,
    /// The commit that took them in, if that was asked for.
    pub commit: Option<CommitId>,
}

/// Puts refused bytes back where they were refused, or at `to`; with `takes_in` they are committed though they
/// were refused, and the audit trail says so.
pub fn restore_quarantined(
    vault: &mut Vault,
    one: &Quarantined,
    to: Option<VaultPath>,
    takes_in: bool,
) -> Result<Restored> {
    let last = one.rejections.last();
    let is_torn = last.is_some_and(|rejection| rejection.reason == Reason::TornLine.code());
    let path = match (to, last) {
        (Some(path), _) => path,
        (None, Some(_)) if is_torn => {
            return Err(Error::refused(
                ErrorKind::Refused,
                "that is what was torn of a line; the stream has it still, and nothing was restored",
                "`mvault quarantine show` prints it; `--to PATH` puts it into a file of its own",
            ));
        }
        (None, Some(rejection)) => VaultPath::parse(rejection.path_bytes()).map_err(|error| {
            Error::refused(
                ErrorKind::Refused,
                format!("it was refused at a path that no vault can hold: {error}"),
                "name a place with `--to PATH`",
            )
        })?,
        (None, None) => {
            return Err(Error::refused(
                ErrorKind::Refused,
                "no log says where it came from",
                "name a place with `--to PATH`",
            ));
        }
    };
    let bytes = vault.open_quarantined(&one.sha256)?.read_all(WRITE_BYTES_MAX)?;
    if Digest256::of(&bytes).to_string() != one.sha256 {
        return Err(Error::refused(
            ErrorKind::Damage,
            format!("the copy of {path} in quarantine changed since; nothing was restored"),
            "`mvault verify` tells what else is damaged",
        ));
    }
    let lock = vault.lock("quarantine")?;
    let mut saved = None;
    let present = present(vault, &path)?;
    if present.as_ref().is_none_or(|present| present.bytes != bytes) {
        saved = present.as_ref().map_or(Ok(None), |present| keep(vault, &lock, &path, present))?;
        // A credential was not for everybody to read, whatever mode the file had.
        let is_secret = last.is_some_and(|rejection| rejection.reason == Reason::Secret.code());
        let new_mode = if is_secret { 0o600 } else { 0o644 };
        let file_mode = present.as_ref().map_or(new_mode, |present| present.stat.mode & 0o777);
        let dir = open_or_create_folder(vault, &path)?;
        vault.place_file(&dir, &path, &bytes, file_mode)?;
    }
    let mut commit = None;
    if takes_in {
        let reasons = one.rejections.iter().filter_map(Rejection::known_reason);
        let allowed = reasons.map(|reason| Allowance { reason, path: Some(path.clone()) }).collect();
        let request = CommitRequest {
            message: Some(format!("take in {path}, which was refused\n")),
            paths: vec![path.clone()],
            allowed,
            names_replaced: true,
            operation: "quarantine-restore",
            ..CommitRequest::default()
        };
        commit = commit_locked(vault, &lock, &request)?.commit.map(|(id, _)| id);
    }
    Ok(Restored { path, saved, commit })
}

/// Removes what is in quarantine, for good. The log says that it was done.
pub fn drop_quarantined(vault: &mut Vault, one: &Quarantined) -> Result<()> {
    let lock = vault.lock("quarantine")?;
    let operation = vault.operation("quarantine-drop").detail("sha256", one.sha256.clone());
    vault.publish(&lock, None, operation)?;
    vault.remove_quarantined(&one.sha256)
}
