//! What was acknowledged: whoever was told that it is so may rely on it.

use std::collections::{BTreeMap, BTreeSet};

/// What is known of a sandbox whose `create` has succeeded.
#[derive(Debug, Clone, Default)]
pub(super) struct Sandbox {
    /// Its name, where it has one.
    pub(super) name: Option<String>,
    /// Its tag `call`; unknown after a `tag` that was killed.
    pub(super) tag: Option<String>,
    /// Paths in it and what they hold.
    pub(super) files: Vec<(String, String)>,
    /// The volume at `/volume`.
    pub(super) volume: Option<String>,
    /// Its removal was begun.
    pub(super) leaving: bool,
}

/// Sandboxes of all participants; images and volumes are known to their makers alone.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sandboxes: BTreeMap<String, Sandbox>,
    gone: BTreeSet<String>,
}

impl Ledger {
    /// Its creation was acknowledged.
    pub(super) fn made(&mut self, id: &str, sandbox: Sandbox) {
        self.sandboxes.insert(id.to_owned(), sandbox);
    }

    /// Its removal is begun; from now on nothing is promised.
    pub(super) fn leaves(&mut self, id: &str) {
        if let Some(sandbox) = self.sandboxes.get_mut(id) {
            sandbox.leaving = true;
        }
    }

    /// Its removal was acknowledged.
    pub(super) fn left(&mut self, id: &str) {
        self.sandboxes.remove(id);
        self.gone.insert(id.to_owned());
    }

    /// One that must be there now.
    pub(super) fn steady(&self, id: &str) -> Option<&Sandbox> {
        self.sandboxes.get(id).filter(|sandbox| !sandbox.leaving)
    }

    /// Changes what is known of one.
    pub(super) fn update(&mut self, id: &str, change: impl FnOnce(&mut Sandbox)) {
        if let Some(sandbox) = self.sandboxes.get_mut(id) {
            change(sandbox);
        }
    }

    /// All that must be there now.
    pub(super) fn all_steady(&self) -> BTreeSet<String> {
        let steady = self.sandboxes.iter().filter(|(_, sandbox)| !sandbox.leaving);
        steady.map(|(id, _)| id.clone()).collect()
    }

    /// All that must be gone now.
    pub(super) fn all_gone(&self) -> BTreeSet<String> {
        self.gone.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_promised_between_the_beginning_and_the_end_of_a_removal() {
        let mut ledger = Ledger::default();
        ledger.made("a", Sandbox::default());
        assert!(ledger.steady("a").is_some());
        ledger.leaves("a");
        assert!(ledger.steady("a").is_none() && ledger.all_gone().is_empty());
        ledger.left("a");
        assert_eq!(ledger.all_gone().len(), 1);
    }
}
