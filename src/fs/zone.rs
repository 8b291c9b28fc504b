//! The time zone that this machine is set to, as its file says.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Disk;

/// The file, or a link to it, on systems that have one.
const LOCAL_ZONE: &str = "/etc/localtime";
/// The longest file that is read: the longest of all zones take 4 KB.
const ZONE_BYTES_MAX: u64 = 64 << 10;
/// So many links may lead to it.
const LINKS_MAX: usize = 8;

/// Returns the bytes of the zone's file, in the format TZif of RFC 9636; `None` if the system has none.
pub fn local_zone(disk: &dyn Disk) -> Option<Vec<u8>> {
    read_linked(disk, LOCAL_ZONE.into())
}

fn read_linked(disk: &dyn Disk, mut path: PathBuf) -> Option<Vec<u8>> {
    for _ in 0..LINKS_MAX {
        let (folder, name) = (path.parent()?.to_owned(), path.file_name()?.to_owned());
        let dir = disk.open_dir(&folder).ok()?;
        match dir.read_link(&name) {
            Ok(target) => path = folder.join(OsStr::from_bytes(&target)),
            Err(_it_is_no_link) => return dir.try_read(&name, ZONE_BYTES_MAX).ok()?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::RealDisk;

    #[test]
    fn links_are_followed_and_not_for_ever() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dir = RealDisk.open_dir(temp.path()).expect("opens");
        let zones = dir.open_or_create_dir("zones").expect("is made");
        let file = zones.create_new("UTC", 0o644).expect("is made");
        file.write_at(b"TZif", 0).expect("is written");
        dir.symlink(b"zones/Zulu", "localtime").expect("is made");
        zones.symlink(b"../zones/UTC", "Zulu").expect("is made");
        dir.symlink(b"round", "round").expect("is made");
        let read = |name: &str| read_linked(&RealDisk, temp.path().join(name));
        assert_eq!(read("localtime").as_deref(), Some(&b"TZif"[..]));
        assert_eq!(read("zones/UTC").as_deref(), Some(&b"TZif"[..]));
        assert_eq!(read("round"), None);
        assert_eq!(read("missing"), None);
    }
}
