//! Event streams: `.jsonl` files that only grow, on every device, and merge as sets.
//!
//! - [`Event`]: one line of ours, named by the hash of its canonical JSON and chained to the one before.
//! - [`Stream`]: the lines of a file, whoever wrote them; torn and glued ones are read in parts, and the
//!   bytes on disk stay as they are.
//! - [`verify`]: gaps, forks, wrong ids, and events held back because what they follow is not known.
//! - [`merge_streams`] and [`import`]: sets of lines in one total order, the same bytes on every device.
//! - [`shrinkage`]: what a stream lost that should only have grown.
//!
//! Everything here is a pure function of bytes: no clock, no files. Nothing that is read is trusted to
//! be well formed, and no line, however odd, is ever left out of a merge.

mod chain;
mod event;
mod growth;
mod merge;
mod salvage;
mod stream;
mod torn;

pub use chain::{Chain, Finding, Report, verify};
pub use event::{Epoch, Event, EventError, EventId, NewEvent};
pub use growth::{Shrinkage, shrinkage};
pub use merge::{Imported, StreamBase, StreamConflict, import, merge_streams};
pub use salvage::LINE_BYTES_MAX;
pub use stream::{Appended, Content, EventFacts, ForeignFacts, Line, Opaque, Part, Stamp, Stream};
pub use torn::{Torn, TornLines};

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
