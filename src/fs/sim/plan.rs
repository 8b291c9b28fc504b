//! What a simulated disk is told to do wrong, and the record of what it was asked.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Opening a file or folder, for reading or writing.
    Open,
    /// Reading or mapping a file.
    Read,
    /// Examining a name or an open file.
    Stat,
    /// Listing a folder.
    List,
    /// Reading a symbolic link.
    ReadLink,
    /// Taking or giving back a lock.
    Lock,
    /// Making a file.
    CreateFile,
    /// Writing to a file.
    Write,
    /// Cutting or extending a file.
    SetLen,
    /// Setting permission bits.
    SetMode,
    /// Making a file's content durable.
    SyncFile,
    /// Making a folder.
    CreateDir,
    /// Making a symbolic link.
    Symlink,
    /// Renaming.
    Rename,
    /// Removing a file or link.
    RemoveFile,
    /// Removing a folder.
    RemoveDir,
    /// Making a folder's names durable.
    SyncDir,
    /// Making everything durable.
    SyncFileSystem,
}

impl Act {
    /// Tells whether such a call changes the state of the disk, live or durable.
    pub fn is_changing(self) -> bool {
        !matches!(self, Act::Open | Act::Read | Act::Stat | Act::List | Act::ReadLink | Act::Lock)
    }
}

/// One call, as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub act: Act,
    /// Of which path, by the names it was opened with.
    pub path: PathBuf,
    /// Where to, for a rename.
    pub to: Option<PathBuf>,
    /// How many bytes, for reading and writing.
    pub bytes: usize,
    /// Whether the plan made it fail.
    pub failed: bool,
}

/// What the system says when a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// EIO.
    Io,
    /// ENOSPC.
    NoSpace,
    /// EDQUOT.
    Quota,
    /// EMFILE.
    TooManyFiles,
    /// EACCES.
    Denied,
    /// EROFS.
    ReadOnly,
}

impl Failure {
    /// Every one of them.
    pub const ALL: [Failure; 6] = [
        Failure::Io,
        Failure::NoSpace,
        Failure::Quota,
        Failure::TooManyFiles,
        Failure::Denied,
        Failure::ReadOnly,
    ];

    pub(super) fn error(self) -> io::Error {
        let errno = match self {
            Failure::Io => Errno::IO,
            Failure::NoSpace => Errno::NOSPC,
            Failure::Quota => Errno::DQUOT,
            Failure::TooManyFiles => Errno::MFILE,
            Failure::Denied => Errno::ACCESS,
            Failure::ReadOnly => Errno::ROFS,
        };
        errno.into()
    }
}

/// Which calls a fault counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that change the state of the disk.
    Changing,
    /// Those that only look.
    Reading,
    /// Those of one kind.
    Only(Act),
}

impl Which {
    pub(super) fn covers(self, act: Act) -> bool {
        match self {
            Which::Changing => act.is_changing(),
            Which::Reading => !act.is_changing(),
            Which::Only(only) => only == act,
        }
    }
}

/// What happens at the call that a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call fails and does nothing. A sync that fails leaves in doubt, for good, what it was for.
    Fail(Failure),
    /// A write puts half of its bytes and fails; any other call just fails.
    FailHalfway(Failure),
    /// The process is killed before the call; nothing it does later reaches the disk.
    Kill,
    /// The process is killed in the middle of a write; before any other call.
    KillHalfway,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The calls that are counted.
    pub which: Which,
    /// The call that goes wrong, from 1.
    pub nth: u64,
    /// Whether all later ones do, too.
    pub forever: bool,
    /// What happens.
    pub effect: Effect,
}

impl Fault {
    /// The process is killed before its `nth` call that changes something.
    pub fn kill(nth: u64) -> Fault {
        Fault { which: Which::Changing, nth, forever: false, effect: Effect::Kill }
    }

    /// The `nth` call that changes something fails, once.
    pub fn fail(nth: u64, failure: Failure) -> Fault {
        Fault { which: Which::Changing, nth, forever: false, effect: Effect::Fail(failure) }
    }

    /// Makes all later calls go wrong as well.
    pub fn forever(self) -> Fault {
        Fault { forever: true, ..self }
    }
}

/// A fault and how many of its calls have passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Armed {
    pub fault: Fault,
    pub passed: u64,
}

impl Armed {
    /// Counts a call; returns what goes wrong with it.
    pub fn count(&mut self, act: Act) -> Option<Effect> {
        if !self.fault.which.covers(act) {
            return None;
        }
        self.passed += 1;
        let hit = self.passed == self.fault.nth || (self.fault.forever && self.passed > self.fault.nth);
        hit.then_some(self.fault.effect)
    }
}
