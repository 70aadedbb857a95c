//! The mark on a sandbox that is not set up yet: its initial command has not succeeded, or it is not ready.
//!
//! It is a tag, since tags are what the engine can change later: without a mark, a sandbox that a crashed process left half
//! provisioned would look like a good one to whoever repeats its key. Its value names the process that provisions.

use std::collections::BTreeMap;

use openlattice::{Error, Owner, Result};

/// Prefix of the tags that are this provider's own.
const RESERVED: &str = "openlattice.";
const PENDING: &str = "openlattice.pending";

type Tags = BTreeMap<String, String>;

/// Refuses tags of the caller's that could be taken for a mark.
pub(crate) fn check_tags(operation: &'static str, tags: &Tags) -> Result<()> {
    match tags.keys().find(|name| name.starts_with(RESERVED)) {
        Some(name) => Err(Error::invalid(operation, "tags", format_args!("has {name:?}, which is reserved"))
            .with_hint(format!("use names that do not start with {RESERVED:?}"))),
        None => Ok(()),
    }
}

/// Adds the mark.
pub(crate) fn mark(tags: &mut Tags, owner: Option<&Owner>) {
    let value = owner.and_then(|owner| serde_json::to_string(owner).ok()).unwrap_or_default();
    tags.insert(PENDING.to_owned(), value);
}

/// The tags without the mark.
pub(crate) fn without_mark(tags: &Tags) -> Tags {
    tags.iter()
        .filter(|(name, _)| name.as_str() != PENDING)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Whether the mark is there.
pub(crate) fn is_pending(tags: &Tags) -> bool {
    tags.contains_key(PENDING)
}

/// Whether the mark is there and the process that set it is gone.
pub(crate) fn is_abandoned(tags: &Tags) -> bool {
    let owner = tags.get(PENDING).and_then(|value| serde_json::from_str::<Owner>(value).ok());
    owner.is_some_and(|owner| !crate::owner::is_alive(&owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_comes_and_goes_and_cannot_be_forged() {
        let mut tags = Tags::from([("a".to_owned(), "1".to_owned())]);
        assert!(check_tags("provision", &tags).is_ok());
        let owner = crate::owner::this_process().unwrap();
        mark(&mut tags, Some(&owner));
        assert!(is_pending(&tags) && !is_abandoned(&tags));
        assert_eq!(check_tags("provision", &tags).unwrap_err().field(), Some("tags"));
        mark(&mut tags, Some(&Owner { started: owner.started + 1, ..owner }));
        assert!(is_abandoned(&tags));
        assert_eq!(without_mark(&tags).len(), 1);
    }
}
