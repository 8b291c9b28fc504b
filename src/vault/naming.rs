//! Branches and tags as names: making and taking away.

use super::write::refuse_secret_words;
use super::{Error, ErrorKind, Result, Vault};
use crate::object::CommitId;
use crate::oplog::{Label, RefName};

/// Makes a branch at a commit. An existing one is not moved.
pub fn create_branch(vault: &mut Vault, label: &Label, target: CommitId) -> Result<()> {
    create(vault, RefName::Branch(label.clone()), "branch", target)
}

/// Names a commit by a tag. An existing tag is not moved.
pub fn create_tag(vault: &mut Vault, label: &Label, target: CommitId) -> Result<()> {
    create(vault, RefName::Tag(label.clone()), "tag", target)
}

fn create(vault: &mut Vault, name: RefName, what: &'static str, target: CommitId) -> Result<()> {
    refuse_secret_words(&format!("the name of the {what}"), &name.to_string(), &[])?;
    let lock = vault.lock(what)?;
    if let Some(old) = vault.log.refs().commit(&name) {
        return Err(Error::refused(
            ErrorKind::Refused,
            format!("there is a {what} of that name already, at {}", old.short()),
            format!("choose another name; {} lists them", crate::object::typed(what)),
        ));
    }
    let operation = vault.operation(what).set(name, target);
    vault.publish(&lock, None, operation)?;
    Ok(())
}

/// Takes a tag away and returns the commit it named, which stays.
pub fn delete_tag(vault: &mut Vault, label: &Label) -> Result<CommitId> {
    let lock = vault.lock("tag")?;
    let target = vault.log.refs().tag(label).ok_or_else(|| {
        Error::refused(
            ErrorKind::UnknownRevision,
            format!("there is no tag {label}"),
            "`mvault tag` lists the tags",
        )
    })?;
    let operation = vault.operation("tag").remove(RefName::Tag(label.clone()));
    vault.publish(&lock, None, operation)?;
    Ok(target)
}
