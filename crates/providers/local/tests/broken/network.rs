//! A network around a good one, broken in one chosen way.

use std::sync::Arc;

use openlattice::{Network, NetworkPolicy, PortUrl, Result, SandboxId, async_trait};

use crate::fault::Fault;

/// Breaks one promise of a good network.
#[derive(Debug)]
pub(crate) struct BrokenNetwork {
    pub(crate) inner: Arc<dyn Network>,
    pub(crate) fault: Fault,
}

#[async_trait]
impl Network for BrokenNetwork {
    async fn url(&self, id: &SandboxId, port: u16) -> Result<PortUrl> {
        let found = self.inner.url(id, port).await?;
        match self.fault {
            // Nobody listens there.
            Fault::MovesPorts => Ok(PortUrl { url: "tcp://127.0.0.1:1".to_owned(), ..found }),
            _ => Ok(found),
        }
    }

    async fn ports(&self, id: &SandboxId) -> Result<Vec<PortUrl>> {
        self.inner.ports(id).await
    }

    async fn set_policy(&self, id: &SandboxId, policy: NetworkPolicy) -> Result<()> {
        let set = self.inner.set_policy(id, policy).await;
        if self.fault == Fault::OnlySaysPolicyChanged { Ok(()) } else { set }
    }
}
