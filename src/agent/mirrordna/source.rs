//! The folder that is imported: its files, and what each of them is.
//!
//! Read by open folders, no link is followed, and nothing is written there.

use std::path::Path;

use crate::fs::{Dir, Disk, FileKind};
use crate::object::VaultPath;
use crate::ui::harmless_line;
use crate::vault::Result;

/// So deep are folders entered.
const DEPTH_MAX: usize = 8;
/// So many files are looked at.
const FILES_MAX: usize = 100_000;
/// The longest file that is read.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// What a file is to MirrorDNA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The continuity file.
    Continuity,
    /// A lane of the bus.
    Lane,
    /// A hash chain: witnesses, or the gate's audit.
    Chain,
    /// A task that was left: `handoff.json`.
    Handoff,
    /// A task that was left, in Markdown.
    PendingHandoff,
    /// The ledger: a line an action.
    Ledger,
    /// A report of what was done.
    Report,
    /// What was rejected.
    Rejected,
    /// A signature or a description of another file.
    Voucher,
    /// A state that is kept as it is.
    State,
}

impl What {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            What::Continuity => "continuity",
            What::Lane => "bus-lane",
            What::Chain => "chain",
            What::Handoff | What::PendingHandoff => "handoff",
            What::Ledger => "ledger",
            What::Report => "report",
            What::Rejected => "rejections",
            What::Voucher => "voucher",
            What::State => "state",
        }
    }
}

/// A file of the folder.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path below the folder.
    pub path: VaultPath,
    /// What it is; none if it has no known form.
    pub what: Option<What>,
    /// Its length.
    pub size: u64,
}

/// What is in a folder.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The files, sorted.
    pub files: Vec<SourceFile>,
    /// What is no file that can be taken, in words, and why.
    pub passed_over: Vec<(String, String)>,
}

/// Lists the files below a folder.
pub fn list(disk: &dyn Disk, root: &Path) -> Result<(Dir, Listing)> {
    let dir = disk.open_dir(root)?;
    let mut listing = Listing::default();
    walk(&dir, "", 0, &mut listing)?;
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    listing.passed_over.sort();
    Ok((dir, listing))
}

fn walk(dir: &Dir, prefix: &str, depth: usize, listing: &mut Listing) -> Result<()> {
    let mut names = dir.list()?;
    names.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, _) in names {
        let shown = format!("{prefix}{}", harmless_line(name.as_encoded_bytes()));
        let mut pass_over = |why: &str| listing.passed_over.push((shown.clone(), why.to_owned()));
        let Some(text) = name.to_str() else {
            pass_over("its name is not UTF-8");
            continue;
        };
        let full = format!("{prefix}{text}");
        let Ok(path) = VaultPath::parse(full.as_bytes()) else {
            pass_over("no vault can hold a file of that name");
            continue;
        };
        let Some(stat) = dir.try_stat(&name)? else { continue };
        match stat.kind {
            FileKind::Dir if depth == DEPTH_MAX => pass_over("it is too deep"),
            FileKind::Dir => walk(&dir.open_dir(&name)?, &format!("{full}/"), depth + 1, listing)?,
            FileKind::File if stat.size > FILE_BYTES_MAX => pass_over("it is too long"),
            FileKind::File if listing.files.len() == FILES_MAX => pass_over("there are too many files"),
            FileKind::File => {
                let what = classify(&full);
                listing.files.push(SourceFile { path, what, size: stat.size });
            }
            _ => pass_over("it is no regular file"),
        }
    }
    Ok(())
}

/// Reads a file below the folder.
pub fn read(dir: &Dir, path: &VaultPath) -> Result<Vec<u8>> {
    let mut dir = dir.clone();
    let text = path.to_str().unwrap_or_default();
    let (folders, name) = text.rsplit_once('/').unwrap_or(("", text));
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        dir = dir.open_dir(folder)?;
    }
    Ok(dir.read(name, FILE_BYTES_MAX)?)
}

/// Returns what a file is, by its place and name.
pub fn classify(path: &str) -> Option<What> {
    let lower = path.to_lowercase();
    let (folder, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let in_folder = |wanted: &str| folder == wanted || folder.ends_with(&format!("/{wanted}"));
    let within = |wanted: &str| folder.split('/').any(|part| part == wanted);
    let ends = |ending: &str| name.ends_with(ending);
    Some(match name {
        _ if ends(".sig") || ends(".sidecar.json") => What::Voucher,
        "continuity.md" => What::Continuity,
        "witness_chain.jsonl" | "audit_log.jsonl" => What::Chain,
        "handoff.json" => What::Handoff,
        "ledger.md" => What::Ledger,
        "_rejected.log" => What::Rejected,
        "shiplog.md" | "compaction_distill.md" => What::Report,
        _ if name.starts_with("sr-") && ends(".md") => What::Report,
        _ if in_folder("handoff/pending") && ends(".md") => What::PendingHandoff,
        _ if in_folder("handoff/completed") && ends(".md") => What::State,
        _ if in_folder("bus") && ends(".jsonl") => What::Lane,
        "state.json" | "action_queue.json" if in_folder("bus") => What::State,
        _ if within("canonical") && within("bus") => What::State,
        "latest.json" if in_folder("snapshots") => What::State,
        _ if within("completions") => What::State,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_place_and_name() {
        for (path, what) in [
            ("CONTINUITY.md", Some(What::Continuity)),
            ("CONTINUITY.md.sig", Some(What::Voucher)),
            ("bus/decisions.jsonl", Some(What::Lane)),
            ("bus/state.json", Some(What::State)),
            ("state.json", None),
            ("x/bus/witness_chain.jsonl", Some(What::Chain)),
            ("handoff/pending/HO-20260223-1840.md", Some(What::PendingHandoff)),
            ("handoff/completed/HO-20260222-0900-COMPLETE.md", Some(What::State)),
            ("reports/SR-2026-02-23.md", Some(What::Report)),
            ("SR-2026-02-23.md.sidecar.json", Some(What::Voucher)),
            ("evidence/_rejected.log", Some(What::Rejected)),
            ("completions/2026-02-23/a.json", Some(What::State)),
            ("snapshots/latest.json", Some(What::State)),
            ("notes.txt", None),
            ("id_rsa", None),
        ] {
            assert_eq!(classify(path), what, "{path}");
        }
    }
}
