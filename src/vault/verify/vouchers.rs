//! What other tools keep beside a distillate to vouch for it, `.sig` and `.sidecar.json`: does it hold?
//!
//! A file that vouches for none is left alone; nothing here is ever made anew.

use super::Verified;
use crate::gateway::signature::{
    DESCRIPTION_ENDING, SIG_ENDING, VOUCHER_BYTES_MAX, check_description, check_sig,
};
use crate::object::{BlobId, Mode, ObjectId, Source, TreeId, VaultPath, entry_at, list_tree};
use crate::store::Store;
use crate::vault::checkout::rules_in;
use crate::vault::rules::Class;

/// The longest distillate whose signature is checked; for longer ones that is said.
const SIGNED_BYTES_MAX: u64 = 64 << 20;
const HINT: &str =
    "compare the file with another device's, or with where it came from; mvault does not write signatures";

/// Checks what vouches for distillates of a tree. What cannot be read is the affair of the links.
pub(super) fn check(found: &mut Verified, label: &str, store: &Store, tree: TreeId) {
    let Ok(rules) = rules_in(store, tree) else { return };
    let mut vouchers: Vec<(VaultPath, VaultPath, ObjectId)> = Vec::new();
    for file in list_tree(store, tree) {
        let Ok((path, entry)) = file else { return };
        let ending = [SIG_ENDING, DESCRIPTION_ENDING]
            .into_iter()
            .find_map(|ending| path.as_bytes().strip_suffix(ending.as_bytes()))
            .filter(|_| entry.is_file());
        if let Some(file) = ending.and_then(|file| VaultPath::parse(file).ok())
            && rules.class_of(&file) == Class::Distillate
        {
            vouchers.push((path, file, entry.id.object()));
        }
    }
    for (path, file, id) in vouchers {
        if let Ok(Some(what)) = fault(store, tree, &path, &file, id) {
            found.report("signature", format!("{label}:{file}"), format!("{path}: {what}"), HINT);
        }
    }
}

/// Returns what is wrong with a file that vouches for another.
fn fault(
    store: &Store,
    tree: TreeId,
    path: &VaultPath,
    file: &VaultPath,
    id: ObjectId,
) -> crate::vault::Result<Option<String>> {
    let size = |id: ObjectId| store.try_info(id).map(|info| info.map_or(0, |(_, size)| size));
    let entry = entry_at(store, tree, file)?;
    let Some(entry) = entry.filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable)) else {
        return Ok(None);
    };
    if size(id)? > VOUCHER_BYTES_MAX {
        return Ok(Some("it is longer than such a file can be".to_owned()));
    }
    let voucher = store.find_blob(BlobId::new(id))?;
    let is_description = path.as_bytes().ends_with(DESCRIPTION_ENDING.as_bytes());
    let checked = match is_description {
        true => check_description(&voucher),
        false if size(entry.id)? > SIGNED_BYTES_MAX => {
            return Ok(Some("the file is too long to be checked".to_owned()));
        }
        false => {
            let content = store.find_blob(BlobId::new(entry.id))?;
            check_sig(&voucher, &String::from_utf8_lossy(file.name()), &content)
        }
    };
    Ok(checked.err().map(|fault| fault.to_string()))
}
