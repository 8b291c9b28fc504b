//! A folder of temporary files: what its owners left behind when they were killed is removed by the next writer.
//!
//! - A file that somebody holds a lock on has an owner. So has one whose name says the number of a process that
//!   lives: [`owned_name`] makes such names, [`temp_name`](super::temp_name) does too, and an editor's files beside
//!   such a one are named after it.
//! - Everything else is nobody's, whatever it is called: a name that is tried out is there for a moment only, and
//!   who tried it does not mind that it is gone.

use super::process::process_mark;
use super::{Dir, Disk, FileKind, LockKind, Result, TEMP_PREFIX, remove_tree};

/// Begins the names that say which process owns them, besides those of temporary files.
const OWNED: [&str; 2] = ["resolve-", "doctor-"];

/// Returns the name of something in a folder of temporary files that this process owns; `what` is one of a few words.
pub fn owned_name(what: &str, rest: &str) -> String {
    debug_assert!(OWNED.iter().any(|prefix| prefix.trim_end_matches('-') == what));
    format!("{what}-{}{rest}", std::process::id())
}

/// Removes everything in `dir` that nobody owns any more. Names that vanish meanwhile are not an error.
pub fn remove_abandoned(disk: &dyn Disk, dir: &Dir) -> Result<()> {
    remove_abandoned_named(disk, dir, "")
}

/// Removes temporary files that [`replace_file`](super::replace_file) left in `dir` when it was killed; everything
/// else stays.
pub fn remove_abandoned_temps(disk: &dyn Disk, dir: &Dir) -> Result<()> {
    remove_abandoned_named(disk, dir, TEMP_PREFIX)
}

fn remove_abandoned_named(disk: &dyn Disk, dir: &Dir, prefix: &str) -> Result<()> {
    let names = dir.list()?.into_iter().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
        let is_named_after_living =
            owner(&name.to_string_lossy()).is_some_and(|pid| process_mark(disk, pid).is_some());
        if is_named_after_living {
            continue;
        }
        match abandoned(dir, &name).and_then(|is| if is { remove_tree(dir, &name) } else { Ok(()) }) {
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn abandoned(dir: &Dir, name: &std::ffi::OsStr) -> Result<bool> {
    match dir.stat(name)?.kind {
        FileKind::File => dir.open(name)?.try_lock(LockKind::Exclusive),
        FileKind::Dir | FileKind::Symlink => Ok(true),
        FileKind::Special => Ok(false),
    }
}

/// Returns the number of the process that a name says. Packs being written say one too, and are locked besides.
fn owner(name: &str) -> Option<u32> {
    let of = |prefix: &str| {
        let rest = &name[name.find(prefix)? + prefix.len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
        digits.parse::<u32>().ok()
    };
    OWNED.iter().copied().chain([TEMP_PREFIX]).find_map(of)
}

#[cfg(test)]
mod tests {
    use super::super::RealDisk;
    use super::*;

    #[test]
    fn only_temporary_files_go_where_other_files_lie() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dir = RealDisk.open_dir(temp.path()).expect("opens");
        let own_temp = super::super::temp_name().to_string_lossy().into_owned();
        for name in ["config.toml", "resolve-1", &own_temp, &format!("tmp-{}-0", u32::MAX / 2)] {
            drop(dir.create_new(name, 0o600).expect("is made"));
        }
        remove_abandoned_temps(&RealDisk, &dir).expect("works");
        let mut left: Vec<_> = dir.list().expect("lists").into_iter().map(|(name, _)| name).collect();
        left.sort();
        assert_eq!(left, ["config.toml", "resolve-1", &own_temp]);
    }

    #[test]
    fn what_nobody_owns_goes_and_what_somebody_owns_stays() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dir = RealDisk.open_dir(temp.path()).expect("opens");
        let dead = u32::MAX / 2;
        for name in ["probe-a", "Zoë?.md", &format!("tmp-{dead}-0"), &format!("resolve-{dead}")] {
            drop(dir.create_new(name, 0o600).expect("is made"));
        }
        dir.create_dir(format!("doctor-{dead}-x")).expect("is made");
        let living = owned_name("resolve", "");
        let beside = format!(".{living}.swp");
        let own_temp = super::super::temp_name();
        for name in [living.as_str(), &beside, &own_temp.to_string_lossy()] {
            drop(dir.create_new(name, 0o600).expect("is made"));
        }
        let locked = dir.create_new("pack-x", 0o444).expect("is made");
        assert!(locked.try_lock(LockKind::Exclusive).expect("locks"));
        remove_abandoned(&RealDisk, &dir).expect("works");
        let mut left: Vec<String> =
            dir.list().expect("lists").iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
        left.sort();
        let mut wanted = vec![living, beside, own_temp.to_string_lossy().into_owned(), "pack-x".to_owned()];
        wanted.sort();
        assert_eq!(left, wanted);
    }
}
