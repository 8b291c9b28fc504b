//! What a disk tells of a file besides its bytes.

use std::ffi::OsString;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A fifo, socket or device.
    Special,
}

/// What `lstat` tells of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes.
    pub size: u64,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// The number of the user it belongs to.
    pub owner: u32,
    /// The number of the group it belongs to.
    pub group: u32,
    /// Time of the last change of content, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Time of the last change of content or attributes, nanoseconds since 1970.
    pub ctime_ns: i128,
    /// The inode's number.
    pub inode: u64,
    /// The device's number.
    pub device: u64,
    /// Space taken, in units of 512 bytes: tells a sparse file.
    pub blocks: u64,
}

impl Stat {
    /// Returns what is known of a file that is not there yet.
    pub fn none() -> Stat {
        Stat {
            kind: FileKind::File,
            size: 0,
            mode: 0o644,
            owner: 0,
            group: 0,
            mtime_ns: 0,
            ctime_ns: 0,
            inode: 0,
            device: 0,
            blocks: 0,
        }
    }

    /// Tells whether the owner may execute it.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

/// An extended attribute of a file: a label, an access list, where a file came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, with the namespace where the system has one (`user.label`).
    pub name: OsString,
    /// Its value.
    pub value: Vec<u8>,
}
