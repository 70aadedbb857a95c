//! A provider around a good one, broken in one chosen way.

use std::collections::BTreeMap;
use std::sync::Arc;

use openlattice::{
    Attachment, Capabilities, ComputeProvider, Error, ErrorKind, ExecId, ExecSession, ExecSpec, Extensions,
    Files, GcReport, Health, ListFilter, Network, OnDrop, OutputReader, OutputStream, ProvisionSpec, Result,
    SandboxId, SandboxInfo, SandboxState, SnapshotRef, SnapshotSpec, Tags, async_trait,
};

use crate::fault::Fault;
use crate::files::BrokenFiles;
use crate::network::BrokenNetwork;
use crate::session::BrokenSession;

/// Breaks one promise of a good provider.
#[derive(Debug)]
pub(crate) struct Broken {
    inner: Arc<dyn ComputeProvider>,
    claims: Capabilities,
    extensions: Extensions,
    fault: Fault,
}

impl Broken {
    /// Breaks a provider.
    pub(crate) fn new(inner: Arc<dyn ComputeProvider>, fault: Fault) -> Self {
        let mut claims = inner.capabilities().clone();
        match fault {
            Fault::HidesAClaim => claims.runtime.workdir = false,
            Fault::ClaimsTooMuch => claims.extensions.metrics = true,
            _ => {}
        }
        let mut extensions = inner.extensions().clone();
        if let Some(files) = extensions.get::<dyn Files>() {
            extensions = extensions.with::<dyn Files>(Arc::new(BrokenFiles { inner: files, fault }));
        }
        if let Some(network) = extensions.get::<dyn Network>() {
            extensions = extensions.with::<dyn Network>(Arc::new(BrokenNetwork { inner: network, fault }));
        }
        if fault == Fault::AddsTags
            && let Some(tags) = extensions.get::<dyn Tags>()
        {
            extensions = extensions.with::<dyn Tags>(Arc::new(AddedTags(tags)));
        }
        Self { inner, claims, extensions, fault }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn spoiled(&self, mut spec: ExecSpec) -> ExecSpec {
        match self.fault {
            Fault::JoinsArguments => spec.argv = vec!["/bin/sh".into(), "-c".into(), spec.argv.join(" ")],
            Fault::IgnoresCwd => spec.options.cwd = None,
            Fault::DetachesOnDrop => spec.options.on_drop = OnDrop::Detach,
            Fault::DropsTerminal => spec.options.pty = None,
            _ => {}
        }
        spec
    }

    fn spoiled_error(&self, error: Error, spec: &ExecSpec) -> Error {
        if !self.is(Fault::ShowsVariables) {
            return error;
        }
        let values: Vec<_> = spec.options.env.iter().map(|(_, value)| value).collect();
        Error::new(error.kind(), "exec", format!("{} with {values:?}", error.message()))
    }
}

#[async_trait]
impl ComputeProvider for Broken {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.claims
    }

    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    async fn provision(&self, mut spec: ProvisionSpec) -> Result<SandboxInfo> {
        match self.fault {
            Fault::IgnoresKey => spec.key = None,
            Fault::IgnoresReadiness => spec.readiness = None,
            Fault::IgnoresPidsLimit => spec.resources.pids_limit = None,
            Fault::IgnoresReadOnly => spec.volumes.iter_mut().for_each(|volume| volume.read_only = false),
            Fault::DropsWhatItCannot => {
                spec.gpu = None;
                spec.network.ports.clear();
                spec.volumes.clear();
            }
            Fault::LeaksOnFailure if !spec.runtime.command.is_empty() => {
                let mut leaked = spec.clone();
                leaked.runtime.command.clear();
                self.inner.provision(leaked).await?;
            }
            Fault::ProvisionsOnDrop => {
                let inner = Arc::clone(&self.inner);
                return tokio::spawn(async move { inner.provision(spec).await }).await.unwrap();
            }
            _ => {}
        }
        self.inner.provision(spec).await
    }

    async fn inspect(&self, id: &SandboxId) -> Result<SandboxInfo> {
        let info = self.inner.inspect(id).await?;
        if self.is(Fault::InspectFails) && info.state == SandboxState::Terminated {
            return Err(Error::new(ErrorKind::NotFound, "inspect", "no such sandbox"));
        }
        Ok(info)
    }

    async fn list(&self, filter: ListFilter) -> Result<Vec<SandboxInfo>> {
        self.inner.list(filter).await
    }

    async fn exec(&self, id: &SandboxId, spec: ExecSpec) -> Result<Box<dyn ExecSession>> {
        let spec = self.spoiled(spec);
        match self.inner.exec(id, spec.clone()).await {
            Ok(session) => Ok(Box::new(BrokenSession::new(session, self.fault))),
            Err(_) if self.is(Fault::ErrorBecomesExit) => {
                self.inner.exec(id, ExecSpec::new(["/bin/sh", "-c", "exit 127"])).await
            }
            Err(error) => Err(self.spoiled_error(error, &spec)),
        }
    }

    async fn attach(&self, id: &SandboxId, exec: &ExecId) -> Result<Box<dyn ExecSession>> {
        let session = self.inner.attach(id, exec).await?;
        Ok(Box::new(BrokenSession::attached(session, self.fault)))
    }

    async fn snapshot(&self, id: &SandboxId, spec: SnapshotSpec) -> Result<SnapshotRef> {
        self.inner.snapshot(id, spec).await
    }

    async fn restore(&self, from: &SnapshotRef, spec: ProvisionSpec) -> Result<SandboxInfo> {
        self.inner.restore(from, spec).await
    }

    async fn destroy(&self, id: &SandboxId) -> Result<()> {
        if self.is(Fault::OnlySaysDestroyed) {
            return Ok(());
        }
        self.inner.destroy(id).await
    }

    async fn pause(&self, id: &SandboxId) -> Result<()> {
        self.inner.pause(id).await
    }

    async fn resume(&self, id: &SandboxId) -> Result<()> {
        self.inner.resume(id).await
    }

    async fn restart(&self, id: &SandboxId) -> Result<()> {
        self.inner.restart(id).await
    }

    async fn logs(&self, id: &SandboxId, stream: OutputStream, offset: u64) -> Result<Box<dyn OutputReader>> {
        self.inner.logs(id, stream, offset).await
    }

    async fn gc(&self) -> Result<GcReport> {
        let wrong = match self.fault {
            Fault::CollectsTheLiving => Attachment::Bound,
            Fault::CollectsTheDetached => Attachment::Detached,
            _ => return self.inner.gc().await,
        };
        let mut report = self.inner.gc().await?;
        for info in self.inner.list(ListFilter::default()).await? {
            if info.owner.is_some() == (wrong == Attachment::Bound) {
                self.inner.destroy(&info.id).await?;
                report.ended.push(info.id);
            }
        }
        Ok(report)
    }
}

/// Tags that are added where they should replace.
#[derive(Debug)]
struct AddedTags(Arc<dyn Tags>);

#[async_trait]
impl Tags for AddedTags {
    async fn get(&self, id: &SandboxId) -> Result<BTreeMap<String, String>> {
        self.0.get(id).await
    }

    async fn set(&self, id: &SandboxId, tags: BTreeMap<String, String>) -> Result<()> {
        let mut all = self.0.get(id).await?;
        all.extend(tags);
        self.0.set(id, all).await
    }
}
