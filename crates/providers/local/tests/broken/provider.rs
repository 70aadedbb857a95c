//! A provider around a good one, broken in one chosen way.

use std::sync::Arc;

use openlattice::{
    Capabilities, ComputeProvider, Error, ErrorKind, ExecId, ExecSession, ExecSpec, Extensions, GcReport,
    Health, ListFilter, OnDrop, OutputReader, OutputStream, ProvisionSpec, Result, SandboxId, SandboxInfo,
    SandboxState, SnapshotRef, SnapshotSpec, async_trait,
};

use crate::session::BrokenSession;

/// One way in which a provider can break a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The argument vector becomes a shell's line.
    JoinsArguments,
    /// Output becomes text.
    ReplacesBytes,
    /// A reader starts from the beginning whatever offset was asked for.
    IgnoresOffset,
    /// Standard error is empty.
    DropsStderr,
    /// A non-zero exit becomes an error.
    ExitBecomesError,
    /// A failure to start becomes an exit code.
    ErrorBecomesExit,
    /// The key is not looked at.
    IgnoresKey,
    /// A failed provision leaves a sandbox.
    LeaksOnFailure,
    /// An unknown option is dropped instead of refused.
    DropsWhatItCannot,
    /// The working directory of a command is not looked at.
    IgnoresCwd,
    /// A timeout shows as a signal.
    HidesTimeout,
    /// Values of variables are in error texts.
    ShowsVariables,
    /// A dropped command runs on.
    DetachesOnDrop,
    /// Destroy says that it did, and did not.
    OnlySaysDestroyed,
    /// An unknown sandbox is an error for `inspect`.
    InspectFails,
}

/// Breaks one promise of a good provider.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) inner: Arc<dyn ComputeProvider>,
    pub(crate) fault: Fault,
}

impl Broken {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn spoiled(&self, mut spec: ExecSpec) -> ExecSpec {
        match self.fault {
            Fault::JoinsArguments => spec.argv = vec!["/bin/sh".into(), "-c".into(), spec.argv.join(" ")],
            Fault::IgnoresCwd => spec.options.cwd = None,
            Fault::DetachesOnDrop => spec.options.on_drop = OnDrop::Detach,
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
        self.inner.capabilities()
    }

    fn extensions(&self) -> &Extensions {
        self.inner.extensions()
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    async fn provision(&self, mut spec: ProvisionSpec) -> Result<SandboxInfo> {
        match self.fault {
            Fault::IgnoresKey => spec.key = None,
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
            Ok(session) => Ok(Box::new(BrokenSession { inner: session, fault: self.fault })),
            Err(_) if self.is(Fault::ErrorBecomesExit) => {
                self.inner.exec(id, ExecSpec::new(["/bin/sh", "-c", "exit 127"])).await
            }
            Err(error) => Err(self.spoiled_error(error, &spec)),
        }
    }

    async fn attach(&self, id: &SandboxId, exec: &ExecId) -> Result<Box<dyn ExecSession>> {
        self.inner.attach(id, exec).await
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
        self.inner.gc().await
    }
}
