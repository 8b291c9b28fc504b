//! Did a stream only grow? For those who admit changes.

use std::collections::HashMap;

use super::event::EventId;
use super::stream::{Occurrences, Stream};

/// What a stream lost between two states of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shrinkage {
    /// The numbers of the earlier state's lines that are gone or say something else now.
    pub lost: Vec<usize>,
    /// The number of the first of the earlier lines that now stands before one it stood behind.
    pub moved: Option<usize>,
}

impl Shrinkage {
    /// Tells whether the stream only grew.
    pub fn is_none(&self) -> bool {
        self.lost.is_empty() && self.moved.is_none()
    }
}

/// Compares two states of a stream. Blanks and the order of members do not count; a torn last line may be
/// completed.
pub fn shrinkage(before: &[u8], after: &[u8]) -> Shrinkage {
    let mut result = Shrinkage::default();
    if after.starts_with(before) {
        return result;
    }
    let (before, after) = (Stream::parse(before), Stream::parse(after));
    let mut places: HashMap<(EventId, u32), usize> = HashMap::new();
    let mut count = Occurrences::default();
    for (at, line) in after.lines().iter().enumerate() {
        let id = line.content.id();
        places.insert((id, count.next(id)), at);
    }
    let mut count = Occurrences::default();
    let mut furthest = None;
    for line in before.lines() {
        let id = line.content.id();
        let place = places.get(&(id, count.next(id))).copied();
        match place {
            None => result.lost.push(line.number),
            Some(_) if place < furthest => result.moved = result.moved.or(Some(line.number)),
            Some(_) => furthest = place,
        }
    }
    result.lost.dedup();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(before: &str, after: &str) -> Shrinkage {
        shrinkage(before.as_bytes(), after.as_bytes())
    }

    #[test]
    fn growth_is_no_loss_even_of_a_torn_line() {
        for (before, after) in [
            ("", "{\"a\":1}\n"),
            ("{\"a\":1}\n", "{\"a\":1}\n{\"a\":1}\n"),
            ("{\"a\":1", "{\"a\":1}\n"),
            ("{\"a\":1}\n\n{\"b\":2}\n", "{ \"a\": 1.0 }\r\n{\"b\":2}\r\n{\"c\":3}\r\n"),
        ] {
            assert!(lost(before, after).is_none(), "{before:?} -> {after:?}");
        }
    }

    #[test]
    fn rewritten_removed_and_moved_lines_are_named() {
        let before = "{\"a\":1}\n{\"b\":2}\n{\"b\":2}\n{\"c\":3}\n";
        assert_eq!(lost(before, "").lost, [1, 2, 3, 4]);
        assert_eq!(lost(before, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n").lost, [3]);
        assert_eq!(lost(before, "{\"a\":1}\n{\"b\":9}\n{\"b\":2}\n{\"c\":3}\n").lost, [3]);
        let moved = lost(before, "{\"c\":3}\n{\"a\":1}\n{\"b\":2}\n{\"b\":2}\n");
        assert_eq!(moved, Shrinkage { lost: vec![], moved: Some(4) });
    }
}
