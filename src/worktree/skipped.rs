//! What the walk leaves alone, and why.

/// Why something on disk was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// A fifo, socket or device.
    Special,
    /// No permission, or the disk failed.
    Unreadable,
    /// The name or path is too long for a vault.
    TooLong,
    /// A folder of another vault or of a git repository.
    Reserved,
    /// A file of ignore rules that could not be used; everything new in its folder counts as ignored.
    IgnoreFile,
    /// Longer than the vault takes, so that it is not read at all.
    TooLarge,
    /// A sync service keeps it elsewhere, and left a placeholder.
    Evicted,
    /// A folder on which something was mounted that is not mounted now.
    NotMounted,
}

impl SkipReason {
    /// Returns the reason as a stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            SkipReason::Special => "special-file",
            SkipReason::Unreadable => "unreadable",
            SkipReason::TooLong => "name-too-long",
            SkipReason::Reserved => "reserved-folder",
            SkipReason::IgnoreFile => "ignore-file",
            SkipReason::TooLarge => "too-large",
            SkipReason::Evicted => "evicted",
            SkipReason::NotMounted => "not-mounted",
        }
    }

    /// Returns the reason in words, to stand after the path.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::Special => "not a regular file, folder or link",
            SkipReason::Unreadable => "cannot be read",
            SkipReason::TooLong => "its name or path is too long",
            SkipReason::Reserved => "a folder of a vault or repository",
            SkipReason::IgnoreFile => "cannot be used; everything new beside it counts as ignored",
            SkipReason::TooLarge => "larger than the limit",
            SkipReason::Evicted => {
                "a sync service left only a placeholder of it here; the vault keeps its version"
            }
            SkipReason::NotMounted => "not mounted; its files wait until it is",
        }
    }
}

/// Something on disk that was left alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Where; raw bytes, since it may be no path of a vault.
    pub path: Vec<u8>,
    /// Why.
    pub reason: SkipReason,
}
