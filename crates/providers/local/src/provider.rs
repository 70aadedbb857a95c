//! The provider: the trait on one side, the engine on the other.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use openlattice::{
    Capabilities, ComputeProvider, Error, ErrorKind, ExecId, ExecSession, ExecSpec, Extensions, Files,
    GcReport, Health, ListFilter, Network, Operation, OutputReader, OutputStream, ProvisionSpec, Result,
    SandboxId, SandboxInfo, SandboxState, SnapshotKind, SnapshotRef, SnapshotSpec, Subject, Tags, Volumes,
    async_trait,
};
use openlattice_engine::{Engine, GcSpec, SandboxFilter};

use crate::capability::capabilities;
use crate::config::LocalConfig;
use crate::error::Attempt;
use crate::files::LocalFiles;
use crate::network::LocalNetwork;
use crate::removal::Removal;
use crate::tags::LocalTags;
use crate::volumes::LocalVolumes;
use crate::{exec, info, pending, provision};

/// The provider's name, which its snapshot references carry.
pub const PROVIDER_NAME: &str = "local";

/// Supplies sandboxes on this machine. Cheap to clone.
#[derive(Clone)]
pub struct LocalProvider {
    pub(crate) engine: Engine,
    capabilities: Arc<Capabilities>,
    extensions: Extensions,
}

impl LocalProvider {
    /// Opens (or makes) a store with default bounds; see [`LocalConfig`].
    ///
    /// # Errors
    /// Those of [`LocalConfig::build`].
    pub async fn open(state_dir: impl Into<PathBuf>) -> Result<Self> {
        LocalConfig::new(state_dir).build().await
    }

    /// Builds the provider on a store that is open already, with the output quota that it was opened with.
    pub fn on(engine: Engine, output_quota: u64) -> Self {
        let capabilities = Arc::new(capabilities(output_quota));
        let network = LocalNetwork::new(engine.clone(), Arc::clone(&capabilities));
        let extensions = Extensions::default()
            .with::<dyn Files>(Arc::new(LocalFiles::new(engine.clone())))
            .with::<dyn Tags>(Arc::new(LocalTags::new(engine.clone())))
            .with::<dyn Network>(Arc::new(network))
            .with::<dyn Volumes>(Arc::new(LocalVolumes::new(engine.clone())))
            .with::<Removal>(Arc::new(Removal::new(engine.clone())));
        Self { engine, capabilities, extensions }
    }

    /// Ends what is half provisioned and whose process is gone; `gc` does it too.
    ///
    /// # Errors
    /// When the store cannot be read, or a sandbox cannot be ended; repeating it is safe.
    pub async fn end_abandoned(engine: &Engine) -> Result<Vec<SandboxId>> {
        let attempt = Attempt("gc");
        let all = engine.sandboxes(&SandboxFilter::default()).await.map_err(attempt.failed())?;
        let mut ended = Vec::new();
        for sandbox in all.into_iter().filter(|sandbox| pending::is_abandoned(&sandbox.tags)) {
            // A repetition of the provision may take it over meanwhile.
            engine.take_back(&sandbox).await.map_err(attempt.failed())?;
            ended.push(SandboxId::new(sandbox.id.as_str()));
        }
        Ok(ended)
    }

    fn unsupported<T>(&self, operation: Operation, name: &'static str) -> Result<T> {
        self.capabilities.check_operation(operation)?;
        Err(Error::unsupported(name, name))
    }
}

impl fmt::Debug for LocalProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalProvider").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// The engine's form of an id; a text that cannot be one names nothing.
pub(crate) fn parse(id: &SandboxId) -> Option<openlattice_engine::SandboxId> {
    openlattice_engine::SandboxId::parse(id.as_str()).ok()
}

#[async_trait]
impl ComputeProvider for LocalProvider {
    fn name(&self) -> &'static str {
        PROVIDER_NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    async fn health(&self) -> Health {
        let start = Instant::now();
        match self.engine.image("host").await {
            Ok(_) => Health::healthy(start.elapsed()),
            Err(error) => Health::unreachable(error),
        }
    }

    async fn provision(&self, spec: ProvisionSpec) -> Result<SandboxInfo> {
        self.capabilities.check_provision(&spec)?;
        provision::provision(self, spec, None).await
    }

    async fn inspect(&self, id: &SandboxId) -> Result<SandboxInfo> {
        let unknown = || Ok(SandboxInfo::new(id.clone(), SandboxState::Terminated));
        let Some(known) = parse(id) else { return unknown() };
        match self.engine.sandbox(&known).await {
            Ok(found) => Ok(info::sandbox(found)),
            Err(error) if error.kind() == openlattice_engine::ErrorKind::NotFound => unknown(),
            Err(error) => Err(Attempt("inspect").failed()(error)),
        }
    }

    async fn list(&self, filter: ListFilter) -> Result<Vec<SandboxInfo>> {
        self.capabilities.check_operation(Operation::List)?;
        let ListFilter { tags, name, include_ended } = filter;
        let wanted = SandboxFilter { tags, include_ended, ..SandboxFilter::default() };
        let found = self.engine.sandboxes(&wanted).await.map_err(Attempt("list").failed())?;
        let named = |sandbox: &SandboxInfo| name.is_none() || sandbox.name == name;
        Ok(found.into_iter().map(info::sandbox).filter(named).collect())
    }

    async fn exec(&self, id: &SandboxId, spec: ExecSpec) -> Result<Box<dyn ExecSession>> {
        self.capabilities.check_exec(&spec)?;
        exec::start(&self.engine, id, spec).await
    }

    async fn attach(&self, id: &SandboxId, exec: &ExecId) -> Result<Box<dyn ExecSession>> {
        self.capabilities.check_operation(Operation::Attach)?;
        exec::attach(&self.engine, id, exec).await
    }

    async fn snapshot(&self, id: &SandboxId, spec: SnapshotSpec) -> Result<SnapshotRef> {
        self.capabilities.check_snapshot(&spec)?;
        let attempt = Attempt("snapshot");
        let known = parse(id).ok_or_else(|| attempt.no_sandbox(id))?;
        provision::require_running(&self.engine, attempt, id).await?;
        let image = self.engine.snapshot(&known, openlattice_engine::SnapshotSpec::default()).await;
        let image = image.map_err(attempt.on(Subject::Sandbox))?;
        Ok(SnapshotRef {
            provider: PROVIDER_NAME.to_owned(),
            external_id: image.id.as_str().to_owned(),
            created_at: image.created_at.into(),
            kind: SnapshotKind::Filesystem,
        })
    }

    async fn restore(&self, from: &SnapshotRef, spec: ProvisionSpec) -> Result<SandboxInfo> {
        self.capabilities.check_restore(&spec)?;
        if from.provider != PROVIDER_NAME {
            let message =
                format!("the snapshot belongs to provider {:?}, not {PROVIDER_NAME:?}", from.provider);
            return Err(
                Error::new(ErrorKind::InvalidArgument, "restore", message).with_subject(Subject::Snapshot)
            );
        }
        provision::provision(self, spec, Some(&from.external_id)).await
    }

    async fn destroy(&self, id: &SandboxId) -> Result<()> {
        let Some(known) = parse(id) else { return Ok(()) };
        match self.engine.terminate(&known).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == openlattice_engine::ErrorKind::NotFound => Ok(()),
            Err(error) => {
                let safe = openlattice::Retry::Safe { after: None };
                Err(Attempt("destroy").failed()(error).with_context("sandbox", id).with_retry(safe))
            }
        }
    }

    async fn pause(&self, _id: &SandboxId) -> Result<()> {
        self.unsupported(Operation::Pause, "pause")
    }

    async fn resume(&self, _id: &SandboxId) -> Result<()> {
        self.unsupported(Operation::Resume, "resume")
    }

    async fn restart(&self, _id: &SandboxId) -> Result<()> {
        self.unsupported(Operation::Restart, "restart")
    }

    async fn logs(
        &self,
        _id: &SandboxId,
        _stream: OutputStream,
        _offset: u64,
    ) -> Result<Box<dyn OutputReader>> {
        self.unsupported(Operation::Logs, "logs")
    }

    async fn gc(&self) -> Result<GcReport> {
        self.capabilities.check_operation(Operation::Gc)?;
        let mut ended = Self::end_abandoned(&self.engine).await?;
        let report = self.engine.gc(GcSpec::default()).await.map_err(Attempt("gc").failed())?;
        ended.extend(report.ended.iter().map(|id| SandboxId::new(id.as_str())));
        Ok(GcReport { ended })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use openlattice::Retry;

    use super::*;

    /// Empties the database under an open store, as a disk that went away would.
    fn damage(store: &Path) {
        // Other processes have this one mapped: it must keep its size.
        let index = store.join("store.db-shm");
        let size = fs::metadata(&index).unwrap().len();
        fs::write(store.join("store.db"), "").unwrap();
        fs::write(store.join("store.db-wal"), "").unwrap();
        let file = fs::OpenOptions::new().write(true).open(&index).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![0; usize::try_from(size).unwrap()], 0).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn m19_m26_a_store_that_cannot_be_read_is_reported() {
        let store = tempfile::tempdir().unwrap();
        let provider = match LocalProvider::open(store.path()).await {
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
                println!("skipped: {error}");
                return;
            }
            provider => provider.unwrap(),
        };
        let id = provider.provision(ProvisionSpec::new("host").with_max_seconds(300)).await.unwrap().id;
        provider.destroy(&id).await.unwrap();
        provider.gc().await.unwrap();
        assert!(provider.health().await.healthy);

        damage(store.path());

        let health = provider.health().await;
        let message = health.message.unwrap_or_default();
        assert!(!health.healthy && message.starts_with("unreachable: "), "{message}");
        let error = provider.destroy(&id).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Safe { after: None }, "{error:?}");
    }
}
