//! Lamport stamps of commits: greater than those of all ancestors, so that they bound graph walks.

/// The greatest stamp a commit may carry.
pub const LAMPORT_MAX: u64 = 1 << 53;
/// How far a stamp may lie above the greatest of the parents'. Bounds what a wrong or hostile device
/// can do to everyone's counters.
pub const LAMPORT_JUMP_MAX: u64 = 1 << 20;

/// A stamp that no one accepts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StampError {
    /// Outside `(max(parents), max(parents) + 2^20]` or above 2^53.
    #[error("lamport stamp {stamp} is outside ({parents_max}, {parents_max} + 2^20]")]
    OutOfRange {
        /// The stamp found.
        stamp: u64,
        /// The greatest stamp of the parents, 0 without parents.
        parents_max: u64,
    },
}

/// A Lamport stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lamport(pub u64);

impl Lamport {
    /// Returns the stamp of a new commit: `min(1 + max(parents, seen), 2^20 + max(parents))`.
    pub fn next(parents_max: Lamport, seen_max: Lamport) -> Lamport {
        Lamport((1 + parents_max.max(seen_max).0).min(parents_max.0 + LAMPORT_JUMP_MAX))
    }

    /// Checks a stamp against the greatest of the parents'.
    pub fn check(self, parents_max: Lamport) -> Result<(), StampError> {
        let above = self > parents_max && self.0 - parents_max.0 <= LAMPORT_JUMP_MAX;
        if above && self.0 <= LAMPORT_MAX {
            Ok(())
        } else {
            Err(StampError::OutOfRange { stamp: self.0, parents_max: parents_max.0 })
        }
    }
}

impl std::fmt::Display for Lamport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_follows_what_was_seen_but_never_jumps_too_far() {
        assert_eq!(Lamport::next(Lamport(3), Lamport(9)), Lamport(10));
        assert_eq!(Lamport::next(Lamport(3), Lamport(1)), Lamport(4));
        assert_eq!(Lamport::next(Lamport(3), Lamport(1 << 40)), Lamport(3 + LAMPORT_JUMP_MAX));
    }

    #[test]
    fn check_takes_the_half_open_range() {
        assert!(Lamport(4).check(Lamport(3)).is_ok());
        assert!(Lamport(3).check(Lamport(3)).is_err());
        assert!(Lamport(3 + LAMPORT_JUMP_MAX).check(Lamport(3)).is_ok());
        assert!(Lamport(4 + LAMPORT_JUMP_MAX).check(Lamport(3)).is_err());
        assert!(Lamport(LAMPORT_MAX + 1).check(Lamport(LAMPORT_MAX)).is_err());
    }
}
