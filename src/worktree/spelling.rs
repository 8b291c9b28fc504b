//! Names that are one where the file system folds letter case or Unicode forms.

use crate::object::prefixes;
use std::collections::{HashMap, HashSet};

use super::scan::{Missing, ScanInput};

/// Where names fold, a file of the tree whose name is that of another one that is there cannot be there as
/// well: it is absent, not deleted, whether or not the index remembers so.
pub(super) fn drop_other_spellings(input: ScanInput<'_>, missing: &mut Vec<Missing>) {
    let gone: HashSet<&[u8]> = missing.iter().map(|missing| missing.path.as_bytes()).collect();
    let mut there: HashMap<Vec<u8>, &[u8]> = HashMap::new();
    for (path, entry) in input.index.iter() {
        if !entry.absent_here && !gone.contains(path) {
            for prefix in prefixes(path) {
                there.entry(input.traits.fold(prefix)).or_insert(prefix);
            }
        }
    }
    let absent = |path: &[u8]| {
        prefixes(path)
            .any(|prefix| there.get(&input.traits.fold(prefix)).is_some_and(|other| *other != prefix))
    };
    let kept = missing.iter().filter(|missing| !absent(missing.path.as_bytes())).cloned().collect();
    *missing = kept;
}
