//! A command's session, with every call going through the layer.

use std::sync::Arc;

use openlattice::{
    Bytes, ExecId, ExecSession, ExecStatus, OutputReader, OutputStream, PtySize, Result, SandboxId, Signal,
    StdinStatus, async_trait,
};

use crate::layer::through;
use crate::reader::{LayeredReader, Reopen};
use crate::{About, Call, Layer};

/// A session with a layer over it.
#[derive(Debug)]
pub(crate) struct LayeredSession<L> {
    layer: Arc<L>,
    inner: Arc<dyn ExecSession>,
}

impl<L: Layer> LayeredSession<L> {
    pub(crate) fn new(layer: Arc<L>, inner: Box<dyn ExecSession>) -> Self {
        Self { layer, inner: Arc::from(inner) }
    }

    fn about(&self, call: Call) -> About<'_> {
        About::sandbox(call, self.inner.sandbox_id()).exec(Some(self.inner.id()))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> ExecSession for LayeredSession<L> {
    fn sandbox_id(&self) -> &SandboxId {
        self.inner.sandbox_id()
    }

    fn id(&self) -> &ExecId {
        self.inner.id()
    }

    fn output(&self, stream: OutputStream, offset: u64) -> Box<dyn OutputReader> {
        let reader = self.inner.output(stream, offset);
        if !self.layer.covers(Call::ReadOutput) {
            return reader;
        }
        let reopen = Reopen::Session { session: Arc::downgrade(&self.inner), stream };
        let (sandbox, exec) = (self.sandbox_id().clone(), Some(self.id().clone()));
        Box::new(LayeredReader::new(Arc::clone(&self.layer), reader, reopen, sandbox, exec, offset))
    }

    async fn write_stdin(&self, offset: u64, data: Bytes) -> Result<()> {
        let write = || self.inner.write_stdin(offset, data.clone());
        through(&*self.layer, self.about(Call::WriteStdin), write).await
    }

    async fn close_stdin(&self) -> Result<()> {
        through(&*self.layer, self.about(Call::CloseStdin), || self.inner.close_stdin()).await
    }

    async fn stdin_status(&self) -> Result<StdinStatus> {
        through(&*self.layer, self.about(Call::StdinStatus), || self.inner.stdin_status()).await
    }

    async fn wait(&self) -> Result<ExecStatus> {
        through(&*self.layer, self.about(Call::Wait), || self.inner.wait()).await
    }

    async fn poll(&self) -> Result<Option<ExecStatus>> {
        through(&*self.layer, self.about(Call::Poll), || self.inner.poll()).await
    }

    async fn kill(&self, signal: Signal) -> Result<()> {
        // A second SIGKILL changes nothing; a second SIGINT is a second Ctrl-C.
        let about = self.about(Call::Kill).once_unless(signal == Signal::KILL);
        through(&*self.layer, about, || self.inner.kill(signal)).await
    }

    async fn resize(&self, size: PtySize) -> Result<()> {
        through(&*self.layer, self.about(Call::Resize), || self.inner.resize(size)).await
    }
}
