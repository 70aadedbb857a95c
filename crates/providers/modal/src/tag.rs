//! The labels that the provider keeps on sandboxes for itself.

use std::collections::BTreeMap;

use openlattice::{Error, Result};

/// The start of every label that is ours.
pub(crate) const OURS: &str = "openlattice_";
/// The digest of the caller's key.
pub(crate) const KEY: &str = "openlattice_key";
/// The digest of the spec that goes with the key.
pub(crate) const SPEC: &str = "openlattice_spec";
/// Set on a sandbox whose provision failed: it does not answer for its key.
pub(crate) const FAILED: &str = "openlattice_failed";

/// Refuses labels of the caller's that could be taken for ours.
pub(crate) fn check(operation: &'static str, tags: &BTreeMap<String, String>) -> Result<()> {
    match tags.keys().find(|name| name.starts_with(OURS)) {
        Some(name) => {
            let message = format_args!("has {name:?}, and names that start with {OURS} are taken");
            Err(Error::invalid(operation, "tags", message))
        }
        None => Ok(()),
    }
}

/// Gives the labels that the caller set.
pub(crate) fn of_caller(tags: BTreeMap<String, String>) -> BTreeMap<String, String> {
    tags.into_iter().filter(|(name, _)| !name.starts_with(OURS)).collect()
}

/// Gives the labels that are ours.
pub(crate) fn of_provider(tags: BTreeMap<String, String>) -> BTreeMap<String, String> {
    tags.into_iter().filter(|(name, _)| name.starts_with(OURS)).collect()
}
