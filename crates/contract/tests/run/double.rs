//! A provider that runs nothing: it plays back one command, in small pieces.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use openlattice::{
    Bytes, Capabilities, ComputeProvider, DropReason, Dropped, Error, ErrorKind, ExecId, ExecSession,
    ExecSpec, ExecStatus, Extensions, GcReport, Health, ListFilter, OnDrop, Operation, OutputChunk,
    OutputReader, OutputStream, ProvisionSpec, PtySize, Result, SandboxId, SandboxInfo, SandboxState, Signal,
    SnapshotRef, SnapshotSpec, StdinStatus, async_trait,
};

/// Plays back one command.
#[derive(Debug, Default)]
pub(crate) struct Double {
    pub(crate) capabilities: Capabilities,
    pub(crate) extensions: Extensions,
    pub(crate) fails_after: Option<u64>,
    pub(crate) asked: Mutex<Option<ExecSpec>>,
    pub(crate) dropped: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Session {
    sandbox: SandboxId,
    id: ExecId,
    fails_after: Option<u64>,
    kill: bool,
    dropped: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Reader {
    text: &'static [u8],
    offset: usize,
    fails_after: Option<u64>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.dropped.store(self.kill, Ordering::SeqCst);
    }
}

#[async_trait]
impl OutputReader for Reader {
    async fn next_chunk(&mut self) -> Result<Option<OutputChunk>> {
        let start = self.offset;
        if self.fails_after.is_some_and(|bound| start as u64 >= bound) {
            return Err(Error::new(ErrorKind::Unavailable, "read output", "cut off"));
        }
        let end = self.text.len().min(start + 3);
        self.offset = end;
        let data = Bytes::from_static(&self.text[start..end]);
        Ok((!data.is_empty()).then_some(OutputChunk { offset: start as u64, data }))
    }

    fn dropped(&self) -> Option<Dropped> {
        Some(Dropped { from: self.text.len() as u64, bytes: 1, reason: DropReason::Quota })
    }
}

#[async_trait]
impl ExecSession for Session {
    fn sandbox_id(&self) -> &SandboxId {
        &self.sandbox
    }

    fn id(&self) -> &ExecId {
        &self.id
    }

    fn output(&self, stream: OutputStream, _offset: u64) -> Box<dyn OutputReader> {
        let text: &[u8] = match stream {
            OutputStream::Stdout => b"standard output",
            OutputStream::Stderr => b"error",
        };
        Box::new(Reader { text, offset: 0, fails_after: self.fails_after })
    }

    async fn write_stdin(&self, _offset: u64, _data: Bytes) -> Result<()> {
        Ok(())
    }

    async fn close_stdin(&self) -> Result<()> {
        Ok(())
    }

    async fn stdin_status(&self) -> Result<StdinStatus> {
        Ok(StdinStatus::default())
    }

    async fn wait(&self) -> Result<ExecStatus> {
        Ok(ExecStatus::exited(7))
    }

    async fn poll(&self) -> Result<Option<ExecStatus>> {
        Ok(None)
    }

    async fn kill(&self, _signal: Signal) -> Result<()> {
        Ok(())
    }

    async fn resize(&self, _size: PtySize) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl ComputeProvider for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    async fn health(&self) -> Health {
        Health::healthy(std::time::Duration::ZERO)
    }

    async fn provision(&self, spec: ProvisionSpec) -> Result<SandboxInfo> {
        self.capabilities.check_provision(&spec)?;
        Ok(SandboxInfo::running(SandboxId::new("sb-1")))
    }

    async fn inspect(&self, id: &SandboxId) -> Result<SandboxInfo> {
        Ok(SandboxInfo::new(id.clone(), SandboxState::Terminated))
    }

    async fn list(&self, _filter: ListFilter) -> Result<Vec<SandboxInfo>> {
        self.capabilities.check_operation(Operation::List)?;
        Ok(Vec::new())
    }

    async fn exec(&self, id: &SandboxId, spec: ExecSpec) -> Result<Box<dyn ExecSession>> {
        self.capabilities.check_exec(&spec)?;
        let kill = spec.options.on_drop == OnDrop::Kill;
        *self.asked.lock().expect("no test panics while it holds the lock") = Some(spec);
        let (fails_after, dropped) = (self.fails_after, Arc::clone(&self.dropped));
        Ok(Box::new(Session { sandbox: id.clone(), id: ExecId::new("e-1"), fails_after, kill, dropped }))
    }

    async fn attach(&self, id: &SandboxId, _exec: &ExecId) -> Result<Box<dyn ExecSession>> {
        self.exec(id, ExecSpec::new(["true"])).await
    }

    async fn snapshot(&self, _id: &SandboxId, spec: SnapshotSpec) -> Result<SnapshotRef> {
        self.capabilities.check_snapshot(&spec)?;
        Err(Error::unsupported("snapshot", "snapshot"))
    }

    async fn restore(&self, _from: &SnapshotRef, spec: ProvisionSpec) -> Result<SandboxInfo> {
        self.capabilities.check_restore(&spec)?;
        Err(Error::unsupported("restore", "snapshot"))
    }

    async fn destroy(&self, _id: &SandboxId) -> Result<()> {
        Ok(())
    }

    async fn pause(&self, _id: &SandboxId) -> Result<()> {
        self.capabilities.check_operation(Operation::Pause)
    }

    async fn resume(&self, _id: &SandboxId) -> Result<()> {
        self.capabilities.check_operation(Operation::Resume)
    }

    async fn restart(&self, _id: &SandboxId) -> Result<()> {
        self.capabilities.check_operation(Operation::Restart)
    }

    async fn logs(
        &self,
        _id: &SandboxId,
        _stream: OutputStream,
        _offset: u64,
    ) -> Result<Box<dyn OutputReader>> {
        self.capabilities.check_operation(Operation::Logs)?;
        Err(Error::unsupported("logs", "logs"))
    }

    async fn gc(&self) -> Result<GcReport> {
        self.capabilities.check_operation(Operation::Gc)?;
        Ok(GcReport::default())
    }
}
