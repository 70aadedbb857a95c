//! The provider's own extension: ended sandboxes and what is left of them.

use openlattice::{Result, SandboxId, Subject};
use openlattice_engine::Engine;

use crate::error::Attempt;
use crate::provider::parse;

/// Removes sandboxes with all that the store keeps of them, which `destroy` leaves: output for an hour, the result for 7 days.
///
/// ```no_run
/// # async fn removed(provider: &dyn openlattice::ComputeProvider, id: &openlattice::SandboxId) -> openlattice::Result<()> {
/// if let Some(removal) = provider.extensions().get::<openlattice_local::Removal>() {
///     removal.remove(id).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Removal {
    engine: Engine,
}

impl Removal {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Ends a sandbox and removes all of it: files, output, result, name and key. A dropped call goes on.
    ///
    /// # Errors
    /// `NotFound` with subject `Sandbox` for an unknown one, `Unavailable` when something in it does not die; a retry is safe.
    pub async fn remove(&self, id: &SandboxId) -> Result<()> {
        let attempt = Attempt("remove");
        let known = parse(id).ok_or_else(|| attempt.no_sandbox(id))?;
        match self.engine.remove(&known).await {
            Err(error) if error.kind() == openlattice_engine::ErrorKind::NotFound => {
                Err(attempt.no_sandbox(id))
            }
            removed => removed.map_err(|error| {
                let safe = openlattice::Retry::Safe { after: None };
                attempt.on(Subject::Sandbox)(error).with_context("sandbox", id).with_retry(safe)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use openlattice::{ComputeProvider, ErrorKind, ListFilter, ProvisionSpec};

    use super::*;
    use crate::LocalProvider;

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_left_of_what_was_removed() {
        let store = tempfile::tempdir().unwrap();
        let provider = match LocalProvider::open(store.path()).await {
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
                println!("skipped: {error}");
                return;
            }
            provider => provider.unwrap(),
        };
        let spec = ProvisionSpec::new("host").with_max_seconds(300).with_key("k");
        let id = provider.provision(spec.clone()).await.unwrap().id;
        let removal = provider.extensions().get::<Removal>().unwrap();
        removal.remove(&id).await.unwrap();
        assert_eq!(removal.remove(&id).await.unwrap_err().kind(), ErrorKind::NotFound);
        let all = ListFilter { include_ended: true, ..ListFilter::default() };
        assert!(provider.list(all).await.unwrap().is_empty());
        assert_eq!(std::fs::read_dir(store.path().join("sandboxes")).unwrap().count(), 0);
        // Its key is free again.
        let again = provider.provision(spec).await.unwrap();
        removal.remove(&again.id).await.unwrap();
    }
}
