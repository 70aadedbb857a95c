//! The labels of sandboxes that exist.

use std::collections::BTreeMap;

use openlattice::{Error, ErrorKind, Result, SandboxId, Subject, Tags, async_trait};
use openlattice_engine as engine;
use openlattice_engine::Engine;

use crate::error::Attempt;
use crate::pending;
use crate::provider::parse;

/// Reads and replaces labels through the engine.
#[derive(Clone, Debug)]
pub(crate) struct LocalTags {
    engine: Engine,
}

impl LocalTags {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    async fn known(&self, attempt: Attempt, id: &SandboxId) -> Result<engine::SandboxInfo> {
        let known = parse(id).ok_or_else(|| attempt.no_sandbox(id))?;
        self.engine.sandbox(&known).await.map_err(attempt.on(Subject::Sandbox))
    }
}

#[async_trait]
impl Tags for LocalTags {
    async fn get(&self, id: &SandboxId) -> Result<BTreeMap<String, String>> {
        let found = self.known(Attempt("get tags"), id).await?;
        Ok(pending::without_mark(&found.tags))
    }

    async fn set(&self, id: &SandboxId, tags: BTreeMap<String, String>) -> Result<()> {
        let attempt = Attempt("set tags");
        if tags.keys().any(String::is_empty) {
            return Err(Error::invalid(attempt.0, "tags", "has an empty name"));
        }
        pending::check_tags(attempt.0, &tags)?;
        let found = self.known(attempt, id).await?;
        if pending::is_pending(&found.tags) {
            // Its labels are those of its provision until that has succeeded.
            let message = format!("sandbox {id} is being provisioned");
            return Err(
                Error::new(ErrorKind::FailedPrecondition, attempt.0, message).with_subject(Subject::Sandbox)
            );
        }
        self.engine.set_tags(&found.id, tags).await.map_err(attempt.on(Subject::Sandbox))
    }
}
