//! The labels of sandboxes that exist.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use openlattice::{Error, ErrorKind, Result, SandboxId, Subject, Tags, async_trait};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::end::is_gone;
use crate::error::Attempt;
use crate::tag;

/// Reads and replaces labels; the provider's own stay hidden, and stay.
pub(crate) struct ModalTags {
    account: Arc<Account>,
}

impl ModalTags {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self { account }
    }
}

#[async_trait]
impl Tags for ModalTags {
    async fn get(&self, id: &SandboxId) -> Result<BTreeMap<String, String>> {
        let tags = self.account.sandbox(id).tags().await;
        Ok(tag::of_caller(tags.map_err(|error| explained(Attempt("get tags"), id, error))?))
    }

    /// The wire only knows the whole set, so the provider's own labels are read first. Within this process nothing comes between;
    /// a lease that another process renews at that moment is renewed again in a third of its length.
    async fn set(&self, id: &SandboxId, tags: BTreeMap<String, String>) -> Result<()> {
        let attempt = Attempt("set tags");
        if tags.keys().any(String::is_empty) {
            return Err(Error::invalid(attempt.0, "tags", "has an empty name"));
        }
        tag::check(attempt.0, &tags)?;
        let sandbox = self.account.sandbox(id);
        let _alone = self.account.labelling.lock().await;
        let mut all = tag::of_provider(sandbox.tags().await.map_err(|error| explained(attempt, id, error))?);
        all.extend(tags);
        sandbox.set_tags(&all).await.map_err(attempt.about(Subject::Sandbox))
    }
}

/// A server may call an id that it does not know malformed.
fn explained(attempt: Attempt, id: &SandboxId, error: modal::Error) -> Error {
    if is_gone(id.as_str(), &error) {
        return Error::new(ErrorKind::NotFound, attempt.0, format!("no sandbox {id}"))
            .with_subject(Subject::Sandbox)
            .with_context("sandbox", id);
    }
    attempt.about(Subject::Sandbox)(error)
}

impl fmt::Debug for ModalTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModalTags").finish_non_exhaustive()
    }
}
