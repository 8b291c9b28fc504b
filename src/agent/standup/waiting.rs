//! What other devices brought that is not in this device's head: it waits for a conflict to be resolved, for a
//! session to end, or for a yes. It is told all the same: a note that waits is a note that was taken.

use std::collections::HashMap;

use super::past::OPERATIONS_LOOKED_AT;
use crate::env::Moment;
use crate::merge::History;
use crate::object::CommitId;
use crate::oplog::{RefName, RefTarget};
use crate::vault::{Result, Vault};

/// What waits.
#[derive(Default)]
pub struct Waiting {
    /// The heads that wait.
    pub heads: Vec<CommitId>,
    /// Every commit that waits, and when it came, as far as the log says.
    pub commits: HashMap<CommitId, Option<Moment>>,
}

/// Reads what waits.
pub fn read(vault: &Vault, history: &History<'_>, head: CommitId) -> Result<Waiting> {
    let mut heads = Vec::new();
    let mut commits: HashMap<CommitId, Option<Moment>> = HashMap::new();
    for offered in vault.offered() {
        // What cannot be read is told by `status`.
        let Ok(waiting) = history.only_in(&[offered], &[head]) else { continue };
        if !waiting.is_empty() {
            heads.push(offered);
            commits.extend(waiting.into_iter().map(|id| (id, None)));
        }
    }
    if heads.is_empty() {
        return Ok(Waiting::default());
    }
    let branch = vault.branch();
    for operation in vault.log().operations().take(OPERATIONS_LOOKED_AT) {
        if commits.values().all(Option::is_some) {
            break;
        }
        let operation = operation?;
        let at = Moment::parse_rfc3339(&operation.at);
        for change in &operation.refs {
            if !matches!(&change.name, RefName::Remote(_, label) if *label == branch) {
                continue;
            }
            let ids = |target: &Option<RefTarget>| -> Vec<CommitId> {
                target.iter().flat_map(RefTarget::commits).collect()
            };
            for id in history.only_in(&ids(&change.new), &ids(&change.old)).unwrap_or_default() {
                if let Some(came) = commits.get_mut(&id) {
                    *came = at;
                }
            }
        }
    }
    Ok(Waiting { heads, commits })
}
