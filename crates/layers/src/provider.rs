//! The contract's trait, with every call going through the layer.

use std::sync::Arc;

use openlattice::{
    Capabilities, ComputeProvider, ExecId, ExecSession, ExecSpec, Extensions, GcReport, Health, ListFilter,
    OutputReader, OutputStream, ProvisionSpec, Result, SandboxId, SandboxInfo, SnapshotRef, SnapshotSpec,
    async_trait,
};

use crate::about::{of_exec, of_provision};
use crate::layer::through;
use crate::reader::{LayeredReader, Reopen};
use crate::session::LayeredSession;
use crate::{About, Call, Layer, Layered, Repeat};

impl<L: Layer> Layered<L> {
    fn session(&self, inner: Box<dyn ExecSession>) -> Box<dyn ExecSession> {
        Box::new(LayeredSession::new(Arc::clone(&self.layer), inner))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> ComputeProvider for Layered<L> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Asks through the layer; the layer's own failure is the report of a provider that cannot be reached.
    async fn health(&self) -> Health {
        let ask =
            || -> crate::BoxFuture<'_, Result<Health>> { Box::pin(async { Ok(self.inner.health().await) }) };
        let health = through(&*self.layer, About::call(Call::Health), ask).await;
        health.unwrap_or_else(|error| Health::unreachable(error.message()))
    }

    async fn provision(&self, spec: ProvisionSpec) -> Result<SandboxInfo> {
        let about = About::call(Call::Provision).repeat(of_provision(&spec));
        through(&*self.layer, about, || self.inner.provision(spec.clone())).await
    }

    async fn inspect(&self, id: &SandboxId) -> Result<SandboxInfo> {
        through(&*self.layer, About::sandbox(Call::Inspect, id), || self.inner.inspect(id)).await
    }

    async fn list(&self, filter: ListFilter) -> Result<Vec<SandboxInfo>> {
        through(&*self.layer, About::call(Call::List), || self.inner.list(filter.clone())).await
    }

    async fn exec(&self, id: &SandboxId, spec: ExecSpec) -> Result<Box<dyn ExecSession>> {
        let about = About::sandbox(Call::Exec, id).exec(spec.options.exec_id.as_ref()).repeat(of_exec(&spec));
        let session = through(&*self.layer, about, || self.inner.exec(id, spec.clone())).await?;
        Ok(self.session(session))
    }

    async fn attach(&self, id: &SandboxId, exec: &ExecId) -> Result<Box<dyn ExecSession>> {
        let about = About::sandbox(Call::Attach, id).exec(Some(exec));
        let session = through(&*self.layer, about, || self.inner.attach(id, exec)).await?;
        Ok(self.session(session))
    }

    async fn snapshot(&self, id: &SandboxId, spec: SnapshotSpec) -> Result<SnapshotRef> {
        let about = About::sandbox(Call::Snapshot, id).repeat(Repeat::Once);
        through(&*self.layer, about, || self.inner.snapshot(id, spec.clone())).await
    }

    async fn restore(&self, from: &SnapshotRef, spec: ProvisionSpec) -> Result<SandboxInfo> {
        let about = About::call(Call::Restore).repeat(of_provision(&spec));
        through(&*self.layer, about, || self.inner.restore(from, spec.clone())).await
    }

    async fn destroy(&self, id: &SandboxId) -> Result<()> {
        through(&*self.layer, About::sandbox(Call::Destroy, id), || self.inner.destroy(id)).await
    }

    async fn pause(&self, id: &SandboxId) -> Result<()> {
        through(&*self.layer, About::sandbox(Call::Pause, id), || self.inner.pause(id)).await
    }

    async fn resume(&self, id: &SandboxId) -> Result<()> {
        through(&*self.layer, About::sandbox(Call::Resume, id), || self.inner.resume(id)).await
    }

    async fn restart(&self, id: &SandboxId) -> Result<()> {
        let about = About::sandbox(Call::Restart, id).repeat(Repeat::Once);
        through(&*self.layer, about, || self.inner.restart(id)).await
    }

    async fn logs(&self, id: &SandboxId, stream: OutputStream, offset: u64) -> Result<Box<dyn OutputReader>> {
        let about = About::sandbox(Call::Logs, id);
        let reader = through(&*self.layer, about, || self.inner.logs(id, stream, offset)).await?;
        if !self.layer.covers(Call::ReadOutput) {
            return Ok(reader);
        }
        let reopen = Reopen::Logs { provider: Arc::clone(&self.inner), sandbox: id.clone(), stream };
        Ok(Box::new(LayeredReader::new(Arc::clone(&self.layer), reader, reopen, id.clone(), None, offset)))
    }

    async fn gc(&self) -> Result<GcReport> {
        through(&*self.layer, About::call(Call::Gc), || self.inner.gc()).await
    }
}
