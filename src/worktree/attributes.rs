//! What a file is besides its bytes: permission bits, group, extended attributes. A commit keeps none of it but
//! the executable bit, so it has to come from the file that is replaced.
//!
//! - Permissions are never widened: what cannot be kept exactly is made narrower.
//! - The bits that let a program run as somebody else (setuid, setgid, file capabilities) are dropped: they were
//!   given to the old bytes.
//! - A private file that a move takes away is remembered in `.mvault/modes`, for when it comes back.
//!
//! Limits: a private file that a person removes and then restores is made like any new file.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::folders::Folders;
use super::journal::{Action, Journal};
use super::traits::os;
use crate::fs::{self, Attribute, Dir, File, FileKind, Stat, replace_file};
use crate::object::{BlobId, Mode, VaultPath};

/// The file in `.mvault` that remembers the permissions of private files which a move took away.
const MODES_FILE: &str = "modes";
/// The longest such file that is read.
const MODES_BYTES_MAX: u64 = 16 << 20;
/// Paths remembered at most.
const MODES_MAX: usize = 1 << 16;

/// Access lists of POSIX: with one, the group's bits in the mode are the most that anybody named in it may do.
const ACCESS_LIST: &str = "system.posix_acl_access";
/// Attributes that vouch for the old bytes or give them rights, and one that macOS writes itself.
const OF_THE_BYTES: [&str; 4] =
    ["security.capability", "security.ima", "security.evm", "com.apple.provenance"];

/// What a file has besides its bytes.
#[derive(Clone, Debug)]
pub struct FileAttributes {
    stat: Stat,
    extended: Vec<Attribute>,
}

/// Returns the bits of `mode` for a file that is to be executable or not: whoever may read it may run it.
fn mode_for(mode: u32, executable: bool) -> u32 {
    let bits = mode & 0o777;
    match (bits & 0o100 != 0, executable) {
        (true, false) => bits & !0o111,
        (false, true) => bits | (bits & 0o444) >> 2,
        _ => bits,
    }
}

impl FileAttributes {
    /// Reads what an open file has.
    pub fn of(file: &File) -> fs::Result<FileAttributes> {
        let mut extended = file.attributes()?;
        extended.retain(|one| !OF_THE_BYTES.iter().any(|name| one.name == *name));
        Ok(FileAttributes { stat: file.stat()?, extended })
    }

    /// Gives all of it to `new`, a file that is about to take this one's place, executable or not; `None` leaves
    /// that as it was. Returns the names of extended attributes that could not be kept.
    pub fn put_on(&self, new: &File, executable: Option<bool>) -> fs::Result<Vec<String>> {
        let mut lost = Vec::new();
        let mut has_list = true;
        // Some are there already, from the folder that the file was made in: labels of SELinux, which not everybody may
        // set, and access lists, which would let others in whom the old file kept out.
        let there = new.attributes()?;
        let is_list = |attribute: &Attribute| attribute.name == ACCESS_LIST;
        if there.iter().any(is_list) && !self.extended.iter().any(is_list) {
            has_list = new.set_attribute(&no_access_list(self.stat.mode)).is_ok();
        }
        for attribute in self.extended.iter().filter(|attribute| !there.contains(attribute)) {
            if new.set_attribute(attribute).is_err() {
                has_list &= !is_list(attribute);
                lost.push(attribute.name.to_string_lossy().into_owned());
            }
        }
        let now = new.stat()?;
        let is_whole = (now.owner, now.group) == (self.stat.owner, self.stat.group)
            || new.set_owner(Some(self.stat.owner), self.stat.group).is_ok();
        let has_group = is_whole || give_to_group(new, self.stat.group)?;
        let executable = executable.unwrap_or(self.stat.is_executable());
        set_bits(new, mode_for(self.stat.mode, executable), has_group && has_list)?;
        Ok(lost)
    }
}

/// Returns the access list that says what the mode says: setting it takes away all others.
fn no_access_list(mode: u32) -> Attribute {
    // acl(5) in the kernel's form: version 2, then tag, permissions and an id that means nothing, little-endian.
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, shift) in [(0x01_u16, 6), (0x04, 3), (0x20, 0)] {
        let bits = u16::try_from(mode >> shift & 0o7).expect("three bits");
        value.extend([tag.to_le_bytes(), bits.to_le_bytes()].concat());
        value.extend(u32::MAX.to_le_bytes());
    }
    Attribute { name: ACCESS_LIST.into(), value }
}

/// Gives a file to a group, if that can be done.
fn give_to_group(file: &File, group: u32) -> fs::Result<bool> {
    Ok(file.stat()?.group == group || file.set_owner(None, group).is_ok())
}

/// Sets permissions. Where the group is another one, its bits were for others than those who would get them now.
fn set_bits(file: &File, bits: u32, has_group: bool) -> fs::Result<()> {
    let bits = if has_group { bits } else { bits & 0o707 | bits & (bits & 0o007) << 3 };
    if file.stat()?.mode != bits {
        file.set_mode(bits)?;
    }
    Ok(())
}

/// The permissions of a file that went, and the group they were for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    bits: u32,
    group: u32,
}

/// Private files that moves took away: their permissions, by path.
#[derive(Debug, Default)]
pub(super) struct Modes {
    known: BTreeMap<VaultPath, Access>,
    is_changed: bool,
}

impl Modes {
    /// Reads what is remembered. What cannot be read is not: it is a help, and nothing depends on it.
    pub fn load(dot: &Dir) -> Modes {
        let bytes = dot.try_read(MODES_FILE, MODES_BYTES_MAX).ok().flatten().unwrap_or_default();
        let known = bytes.split(|byte| *byte == b'\n').filter_map(decode).take(MODES_MAX).collect();
        Modes { known, is_changed: false }
    }

    /// Notes what a file that goes is like.
    pub fn note(&mut self, path: &VaultPath, stat: &Stat) {
        let bits = stat.mode & 0o777;
        let is_private = bits & 0o044 != 0o044 || bits & 0o200 == 0;
        if is_private && (self.known.len() < MODES_MAX || self.known.contains_key(path)) {
            let access = Access { bits, group: stat.group };
            self.is_changed |= self.known.insert(path.clone(), access) != Some(access);
        } else {
            self.is_changed |= self.known.remove(path).is_some();
        }
    }

    /// Narrows a new file to what its path last was.
    pub fn put_on(&self, path: &VaultPath, new: &File, executable: bool) -> fs::Result<()> {
        match self.known.get(path) {
            Some(Access { bits, group }) => {
                set_bits(new, mode_for(*bits, executable), give_to_group(new, *group)?)
            }
            None => Ok(()),
        }
    }

    /// Writes what is remembered, if it changed.
    pub fn save(&self, dot: &Dir) -> fs::Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        let lines = self.known.iter().map(|(path, access)| encode(path, *access));
        replace_file(dot, MODES_FILE, lines.collect::<String>().as_bytes(), 0o600)
    }

    /// Returns `true` if a path is remembered.
    pub fn knows(&self, path: &VaultPath) -> bool {
        self.known.contains_key(path)
    }
}

/// Remembers, before anything goes, which of the files that go are private: after a crash they may be gone.
pub(super) fn note_what_goes(root: &Dir, dot: &Dir, journal: &Journal) -> Modes {
    let mut modes = Modes::load(dot);
    let mut folders = Folders::new(root);
    for action in &journal.actions {
        let Action::Remove { path, .. } = action else { continue };
        let found = folders.parent_of(path).and_then(|dir| dir.try_stat(os(path.name())));
        if let Ok(Some(stat)) = found
            && stat.kind == FileKind::File
        {
            modes.note(path, &stat);
        }
    }
    // A full disk must not keep a move from its end, which may be what makes room.
    let _only_a_help = modes.save(dot);
    modes
}

/// Finds out where files come from that are new at their path: the one that goes and has the same bytes, or else
/// the only one that goes and has the same name.
pub(super) fn moved_from(journal: &Journal) -> BTreeMap<usize, &VaultPath> {
    let mut by_id: BTreeMap<BlobId, &VaultPath> = BTreeMap::new();
    let mut by_name: BTreeMap<&[u8], Option<&VaultPath>> = BTreeMap::new();
    for action in &journal.actions {
        if let Action::Remove { path, expected } = action
            && expected.mode != Mode::Symlink
        {
            by_id.entry(expected.id).or_insert(path);
            by_name.entry(path.name()).and_modify(|one| *one = None).or_insert(Some(path));
        }
    }
    let mut from = BTreeMap::new();
    for (at, action) in journal.actions.iter().enumerate() {
        if let Action::Write { path, entry, expected: None } = action {
            let found = by_id.get(&entry.id).or_else(|| by_name.get(path.name()).and_then(Option::as_ref));
            from.extend(found.map(|found| (at, *found)));
        }
    }
    from
}

fn encode(path: &VaultPath, access: Access) -> String {
    let mut object = Map::new();
    match path.to_str() {
        Some(text) => object.insert("path".into(), text.into()),
        None => object.insert("path_hex".into(), hex::encode(path.as_bytes()).into()),
    };
    object.insert("mode".into(), json!(format!("{:04o}", access.bits)));
    object.insert("group".into(), json!(access.group));
    format!("{}\n", Value::Object(object))
}

fn decode(line: &[u8]) -> Option<(VaultPath, Access)> {
    let object: Map<String, Value> = serde_json::from_slice(line).ok()?;
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let path = match text("path") {
        Some(text) => text.as_bytes().to_vec(),
        None => hex::decode(text("path_hex")?).ok()?,
    };
    let bits = u32::from_str_radix(text("mode")?, 8).ok().filter(|bits| *bits <= 0o777)?;
    let group = u32::try_from(object.get("group")?.as_u64()?).ok()?;
    Some((VaultPath::parse(path).ok()?, Access { bits, group }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_bit_follows_the_tree_and_nothing_is_widened() {
        for (old, executable, new) in [
            (0o600, false, 0o600),
            (0o600, true, 0o700),
            (0o644, true, 0o755),
            (0o640, true, 0o750),
            (0o755, false, 0o644),
            (0o700, false, 0o600),
            (0o444, false, 0o444),
            (0o4755, true, 0o755),
            (0o2750, false, 0o640),
        ] {
            assert_eq!(mode_for(old, executable), new, "{old:o}");
        }
    }

    #[test]
    fn remembered_modes_come_back_and_damage_is_left_out() {
        let paths = [&b"a/b.md"[..], b"\xff.md"].map(|bytes| VaultPath::parse(bytes).expect("a path"));
        for path in &paths {
            let access = Access { bits: 0o640, group: 7 };
            let line = encode(path, access);
            assert_eq!(decode(line.trim_end().as_bytes()), Some((path.clone(), access)));
        }
        for line in
            [&b""[..], b"{}", b"{\"path\":\"../x\",\"mode\":\"0600\"}", b"{\"path\":\"x\",\"mode\":\"7777\"}"]
        {
            assert_eq!(decode(line), None);
        }
    }
}
