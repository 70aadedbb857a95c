//! A provider that runs nothing: it counts its calls, and fails, hangs or takes its time as a test wants.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::future::pending;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openlattice::{
    Bytes, Capabilities, ComputeProvider, DropReason, Dropped, Error, ExecId, ExecSession, ExecSpec,
    ExecStatus, Extensions, FileContent, FileEvent, FileInfo, FileTime, FileWatch, Files, GcReport, Health,
    ListFilter, ListOptions, OutputChunk, OutputReader, OutputStream, ProvisionSpec, PtySize, Result,
    SandboxId, SandboxInfo, Signal, SnapshotKind, SnapshotRef, SnapshotSpec, StdinStatus, Timestamp,
    WatchOptions, WriteOptions, async_trait,
};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::DefaultGuard;

use crate::Call;

/// What every command of the double writes, in pieces of three bytes.
pub(crate) const TEXT: &[u8] = b"some output.";

/// The first calls of a kind that fail, and with what.
type Failing = (Call, usize, fn() -> Error);

/// What the double is to do, and what it saw.
#[derive(Default)]
struct Script {
    failing: Option<Failing>,
    hanging: Option<Call>,
    takes: Duration,
    counts: Mutex<BTreeMap<Call, usize>>,
    running: AtomicUsize,
    most: AtomicUsize,
    dropped: AtomicUsize,
    sessions: AtomicUsize,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Counts a call as running, until it ends or is dropped.
struct Running<'a>(&'a Script, bool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Script {
    async fn play(&self, call: Call) -> Result<()> {
        let count = {
            let mut counts = self.counts.lock().unwrap();
            let count = counts.entry(call).or_default();
            *count += 1;
            *count
        };
        self.most.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let mut running = Running(self, false);
        if self.hanging == Some(call) {
            pending::<()>().await;
        }
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        running.1 = true;
        match self.failing {
            Some((failing, times, error)) if failing == call && count <= times => Err(error()),
            _ => Ok(()),
        }
    }
}

/// The provider.
#[derive(Debug)]
pub(crate) struct Double {
    script: Arc<Script>,
    capabilities: Capabilities,
    extensions: Extensions,
}

impl Double {
    fn play(script: Script) -> Arc<Self> {
        let script = Arc::new(script);
        let files: Arc<dyn Files> = Arc::new(DoubleFiles(Arc::clone(&script)));
        let extensions =
            Extensions::default().with::<dyn Files>(files).with(Arc::new("an extension of its own"));
        Arc::new(Self { script, capabilities: Capabilities::default(), extensions })
    }

    /// One for which everything works.
    pub(crate) fn new() -> Arc<Self> {
        Self::play(Script::default())
    }

    /// One whose first calls of a kind fail.
    pub(crate) fn failing(call: Call, times: usize, error: fn() -> Error) -> Arc<Self> {
        Self::play(Script { failing: Some((call, times, error)), ..Script::default() })
    }

    /// One that never answers a call.
    pub(crate) fn hanging(call: Call) -> Arc<Self> {
        Self::play(Script { hanging: Some(call), ..Script::default() })
    }

    /// One that takes its time for each call.
    pub(crate) fn slow(takes: Duration) -> Arc<Self> {
        Self::play(Script { takes, ..Script::default() })
    }

    pub(crate) fn count(&self, call: Call) -> usize {
        self.script.counts.lock().unwrap().get(&call).copied().unwrap_or_default()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.script.most.load(Ordering::SeqCst)
    }

    pub(crate) fn dropped_calls(&self) -> usize {
        self.script.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn dropped_sessions(&self) -> usize {
        self.script.sessions.load(Ordering::SeqCst)
    }

    fn session(&self, sandbox: &SandboxId, id: &ExecId) -> Box<dyn ExecSession> {
        let (script, sandbox, id) = (Arc::clone(&self.script), sandbox.clone(), id.clone());
        Box::new(DoubleSession { script, sandbox, id })
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
        match self.script.play(Call::Health).await {
            Ok(()) => Health::healthy(Duration::ZERO),
            Err(error) => Health::unreachable(error),
        }
    }

    async fn provision(&self, _spec: ProvisionSpec) -> Result<SandboxInfo> {
        self.script.play(Call::Provision).await?;
        Ok(SandboxInfo::running(SandboxId::new("sb-1")))
    }

    async fn inspect(&self, id: &SandboxId) -> Result<SandboxInfo> {
        self.script.play(Call::Inspect).await?;
        Ok(SandboxInfo::running(id.clone()))
    }

    async fn list(&self, _filter: ListFilter) -> Result<Vec<SandboxInfo>> {
        self.script.play(Call::List).await?;
        Ok(Vec::new())
    }

    async fn exec(&self, id: &SandboxId, _spec: ExecSpec) -> Result<Box<dyn ExecSession>> {
        self.script.play(Call::Exec).await?;
        Ok(self.session(id, &ExecId::new("e-1")))
    }

    async fn attach(&self, id: &SandboxId, exec: &ExecId) -> Result<Box<dyn ExecSession>> {
        self.script.play(Call::Attach).await?;
        Ok(self.session(id, exec))
    }

    async fn snapshot(&self, _id: &SandboxId, _spec: SnapshotSpec) -> Result<SnapshotRef> {
        self.script.play(Call::Snapshot).await?;
        Ok(SnapshotRef {
            provider: "double".to_owned(),
            external_id: "im-1".to_owned(),
            created_at: Timestamp::now(),
            kind: SnapshotKind::Filesystem,
        })
    }

    async fn restore(&self, _from: &SnapshotRef, spec: ProvisionSpec) -> Result<SandboxInfo> {
        self.script.play(Call::Restore).await?;
        self.provision(spec).await
    }

    async fn destroy(&self, _id: &SandboxId) -> Result<()> {
        self.script.play(Call::Destroy).await
    }

    async fn pause(&self, _id: &SandboxId) -> Result<()> {
        self.script.play(Call::Pause).await
    }

    async fn resume(&self, _id: &SandboxId) -> Result<()> {
        self.script.play(Call::Resume).await
    }

    async fn restart(&self, _id: &SandboxId) -> Result<()> {
        self.script.play(Call::Restart).await
    }

    async fn logs(
        &self,
        _id: &SandboxId,
        _stream: OutputStream,
        offset: u64,
    ) -> Result<Box<dyn OutputReader>> {
        self.script.play(Call::Logs).await?;
        Ok(Box::new(DoubleReader { script: Arc::clone(&self.script), offset }))
    }

    async fn gc(&self) -> Result<GcReport> {
        self.script.play(Call::Gc).await?;
        Ok(GcReport::default())
    }
}

#[derive(Debug)]
struct DoubleSession {
    script: Arc<Script>,
    sandbox: SandboxId,
    id: ExecId,
}

impl Drop for DoubleSession {
    fn drop(&mut self) {
        self.script.sessions.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ExecSession for DoubleSession {
    fn sandbox_id(&self) -> &SandboxId {
        &self.sandbox
    }

    fn id(&self) -> &ExecId {
        &self.id
    }

    fn output(&self, _stream: OutputStream, offset: u64) -> Box<dyn OutputReader> {
        Box::new(DoubleReader { script: Arc::clone(&self.script), offset })
    }

    async fn write_stdin(&self, _offset: u64, _data: Bytes) -> Result<()> {
        self.script.play(Call::WriteStdin).await
    }

    async fn close_stdin(&self) -> Result<()> {
        self.script.play(Call::CloseStdin).await
    }

    async fn stdin_status(&self) -> Result<StdinStatus> {
        self.script.play(Call::StdinStatus).await?;
        Ok(StdinStatus::default())
    }

    async fn wait(&self) -> Result<ExecStatus> {
        self.script.play(Call::Wait).await?;
        Ok(ExecStatus::exited(7))
    }

    async fn poll(&self) -> Result<Option<ExecStatus>> {
        self.script.play(Call::Poll).await?;
        Ok(None)
    }

    async fn kill(&self, _signal: Signal) -> Result<()> {
        self.script.play(Call::Kill).await
    }

    async fn resize(&self, _size: PtySize) -> Result<()> {
        self.script.play(Call::Resize).await
    }
}

#[derive(Debug)]
struct DoubleReader {
    script: Arc<Script>,
    offset: u64,
}

#[async_trait]
impl OutputReader for DoubleReader {
    async fn next_chunk(&mut self) -> Result<Option<OutputChunk>> {
        let played = self.script.play(Call::ReadOutput).await;
        let start = usize::try_from(self.offset).unwrap();
        let end = TEXT.len().min(start + 3);
        // A reader that failed is of no further use, and a session's end does not stop it.
        self.offset = end as u64;
        played?;
        let data = Bytes::from_static(&TEXT[start..end]);
        Ok((!data.is_empty()).then_some(OutputChunk { offset: start as u64, data }))
    }

    fn dropped(&self) -> Option<Dropped> {
        Some(Dropped { from: TEXT.len() as u64, bytes: 1, reason: DropReason::Quota })
    }
}

#[derive(Debug)]
struct DoubleFiles(Arc<Script>);

#[async_trait]
impl Files for DoubleFiles {
    async fn read(&self, _id: &SandboxId, _path: &Path) -> Result<Bytes> {
        self.0.play(Call::ReadFile).await?;
        Ok(Bytes::from_static(TEXT))
    }

    async fn write(&self, _id: &SandboxId, _path: &Path, _data: Bytes, _options: WriteOptions) -> Result<()> {
        self.0.play(Call::WriteFile).await
    }

    async fn read_stream(&self, _id: &SandboxId, _path: &Path, _offset: u64) -> Result<Box<dyn FileContent>> {
        self.0.play(Call::OpenFile).await?;
        Ok(Box::new(DoubleStream(Arc::clone(&self.0))))
    }

    /// Fails as a `StreamFile` before the content is read, and as a `WriteFile` after it.
    async fn write_stream(
        &self,
        _id: &SandboxId,
        _path: &Path,
        mut content: Box<dyn FileContent>,
        _options: WriteOptions,
    ) -> Result<()> {
        self.0.play(Call::StreamFile).await?;
        while content.next_chunk().await?.is_some() {}
        self.0.play(Call::WriteFile).await
    }

    async fn watch(
        &self,
        _id: &SandboxId,
        _path: &Path,
        _options: WatchOptions,
    ) -> Result<Box<dyn FileWatch>> {
        self.0.play(Call::WatchFiles).await?;
        Ok(Box::new(DoubleStream(Arc::clone(&self.0))))
    }

    async fn symlink(&self, _id: &SandboxId, _path: &Path, _target: &Path) -> Result<()> {
        self.0.play(Call::MakeLink).await
    }

    async fn set_mode(&self, _id: &SandboxId, _path: &Path, _mode: u32) -> Result<()> {
        self.0.play(Call::SetMode).await
    }

    async fn set_modified(&self, _id: &SandboxId, _path: &Path, _modified_at: FileTime) -> Result<()> {
        self.0.play(Call::SetModified).await
    }

    async fn list(&self, _id: &SandboxId, _path: &Path, _options: ListOptions) -> Result<Vec<FileInfo>> {
        self.0.play(Call::ListFiles).await?;
        Ok(Vec::new())
    }

    async fn stat(&self, _id: &SandboxId, _path: &Path) -> Result<FileInfo> {
        self.0.play(Call::StatFile).await?;
        Err(Error::unsupported("stat", "stat"))
    }

    async fn mkdir(&self, _id: &SandboxId, _path: &Path, _parents: bool) -> Result<()> {
        self.0.play(Call::MakeDirectory).await
    }

    async fn remove(&self, _id: &SandboxId, _path: &Path, _recursive: bool) -> Result<()> {
        self.0.play(Call::RemoveFile).await
    }
}

/// A file's content or a watch, over at once.
#[derive(Debug)]
struct DoubleStream(Arc<Script>);

#[async_trait]
impl FileContent for DoubleStream {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        self.0.play(Call::ReadFilePiece).await.map(|()| None)
    }
}

#[async_trait]
impl FileWatch for DoubleStream {
    async fn next_event(&mut self) -> Result<Option<FileEvent>> {
        self.0.play(Call::NextFileEvent).await.map(|()| None)
    }
}

/// Keeps everything that is reported to `tracing` in this thread as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<String>>);

impl Recorder {
    pub(crate) fn install() -> (Self, DefaultGuard) {
        let recorder = Self::default();
        let guard = tracing::subscriber::set_default(recorder.clone());
        (recorder, guard)
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Visit for &Recorder {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0.lock().unwrap(), " {field}={value:?}").unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0.lock().unwrap(), " {field}={value}").unwrap();
    }
}

impl tracing::Subscriber for Recorder {
    fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.0.lock().unwrap().push_str("\nspan");
        span.record(&mut { self });
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, values: &span::Record<'_>) {
        values.record(&mut { self });
    }

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push_str("\nevent");
        event.record(&mut { self });
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}
