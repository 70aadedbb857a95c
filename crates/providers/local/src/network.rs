//! The extension that finds the addresses of ports, and changes what a sandbox reaches.

use std::fmt;
use std::sync::Arc;

use openlattice::{
    Capabilities, Error, ErrorKind, Network, NetworkPolicy, PortUrl, Result, SandboxId, Subject, async_trait,
};
use openlattice_engine as engine;
use openlattice_engine::Engine;

use crate::error::Attempt;
use crate::provider::parse;
use crate::provision::require_running;

/// Finds ports through the engine.
pub(crate) struct LocalNetwork {
    engine: Engine,
    capabilities: Arc<Capabilities>,
}

impl LocalNetwork {
    pub(crate) fn new(engine: Engine, capabilities: Arc<Capabilities>) -> Self {
        Self { engine, capabilities }
    }

    async fn published(&self, attempt: Attempt, id: &SandboxId) -> Result<Vec<PortUrl>> {
        require_running(&self.engine, attempt, id).await?;
        let known = parse(id).ok_or_else(|| attempt.no_sandbox(id))?;
        let mut ports = self.engine.ports(&known).await.map_err(attempt.on(Subject::Sandbox))?;
        ports.sort_by_key(|port| port.inside);
        let url = |port: engine::PublishedPort| PortUrl {
            port: port.inside,
            url: format!("tcp://127.0.0.1:{}", port.outside),
        };
        Ok(ports.into_iter().map(url).collect())
    }
}

#[async_trait]
impl Network for LocalNetwork {
    async fn url(&self, id: &SandboxId, port: u16) -> Result<PortUrl> {
        let attempt = Attempt("port url");
        let found = self.published(attempt, id).await?.into_iter().find(|found| found.port == port);
        let unpublished = || {
            Error::new(ErrorKind::FailedPrecondition, attempt.0, format!("port {port} was not published"))
                .with_hint("name it in network.ports when the sandbox is made")
        };
        found.ok_or_else(unpublished)
    }

    async fn ports(&self, id: &SandboxId) -> Result<Vec<PortUrl>> {
        self.published(Attempt("list ports"), id).await
    }

    /// Every sandbox of the engine is blocked: only staying so is on offer.
    async fn set_policy(&self, id: &SandboxId, policy: NetworkPolicy) -> Result<()> {
        self.capabilities.check_set_policy(&policy)?;
        require_running(&self.engine, Attempt("set policy"), id).await
    }
}

impl fmt::Debug for LocalNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalNetwork").finish_non_exhaustive()
    }
}
