//! Checking the whole log: every line, every link, every checkpoint against the lines before it.

use super::log::{self, OpLog};
use super::operation::Anchor;
use super::refs::Refs;
use super::segment::{self, Segment};
use crate::store::Problem;

/// What to do about a damaged log.
pub const HINT_DAMAGED: &str = "the log is this device's own: it is never cut, and no other device can give it back. Put .mvault/oplog back \
     from a backup, or `mvault clone` from another device into a new folder and copy your files there";

impl OpLog {
    /// Checks every segment from the first on. The newest was checked when the log was opened, in its
    /// lines; here its links and refs are as well.
    pub fn verify(&self) -> Vec<Problem> {
        let mut walk = Walk { last: Some(Anchor::START), refs: Some(Refs::default()), problems: Vec::new() };
        for start in self.starts() {
            let place = format!("oplog/{}", segment::name(*start));
            if *start == self.newest().start {
                walk.segment(self.newest(), &place);
                continue;
            }
            match log::read_closed(self.dir(), *start) {
                Ok(segment) => walk.segment(&segment, &place),
                Err(error) => {
                    let (kind, what) = match error {
                        super::Error::Damaged { place, what } => ("log-damaged", format!("{place}: {what}")),
                        other => ("log-unreadable", chain(&other)),
                    };
                    walk.report(kind, what, &place);
                    (walk.last, walk.refs) = (None, None);
                }
            }
        }
        walk.problems
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What the segments so far lead to; `None` behind one that could not be read.
struct Walk {
    last: Option<Anchor>,
    refs: Option<Refs>,
    problems: Vec<Problem>,
}

impl Walk {
    fn report(&mut self, kind: &'static str, what: String, place: &str) {
        self.problems.push(Problem { kind, what, place: place.to_owned(), hint: HINT_DAMAGED });
    }

    fn segment(&mut self, segment: &Segment, place: &str) {
        if let Some(last) = self.last.filter(|last| *last != segment.base) {
            let what = if last.seq < segment.base.seq {
                format!("operations {} to {} are missing before it", last.seq + 1, segment.base.seq)
            } else {
                format!("it does not follow operation {} of the segment before it", last.seq)
            };
            self.report("log-gap", what, place);
        } else if self.refs.as_ref().is_some_and(|refs| *refs != segment.base_refs) {
            let what = "its checkpoint of refs is not what the lines before it lead to".to_owned();
            self.report("log-checkpoint", what, place);
        }
        let mut refs = segment.base_refs.clone();
        for operation in &segment.operations {
            if let Some(change) = refs.misfit(&operation.refs) {
                let what = format!("operation {} is wrong about {} before it", operation.seq, change.name);
                self.report("log-refs", what, place);
            }
            refs.apply(&operation.refs);
        }
        self.last = Some(segment.last());
        self.refs = Some(refs);
    }
}
