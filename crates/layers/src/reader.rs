//! A stream of output, with every read going through the layer.

use std::fmt;
use std::sync::{Arc, Weak};

use openlattice::{
    ComputeProvider, Dropped, ExecId, ExecSession, OutputChunk, OutputReader, OutputStream, Result,
    SandboxId, async_trait,
};
use tokio::sync::Mutex;

use crate::layer::through;
use crate::{About, BoxFuture, Call, Layer};

/// Says where a stream can be opened again.
pub(crate) enum Reopen {
    /// At the command's session, for as long as the caller holds that: a reader must not keep a command alive that is
    /// killed when its session is dropped.
    Session { session: Weak<dyn ExecSession>, stream: OutputStream },
    /// At the provider.
    Logs { provider: Arc<dyn ComputeProvider>, sandbox: SandboxId, stream: OutputStream },
}

impl fmt::Debug for Reopen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, stream) = match self {
            Self::Session { stream, .. } => ("Session", stream),
            Self::Logs { stream, .. } => ("Logs", stream),
        };
        f.debug_tuple(name).field(stream).finish()
    }
}

impl Reopen {
    /// Opens the stream at an offset; `None` where the session is gone.
    async fn at(&self, offset: u64) -> Result<Option<Box<dyn OutputReader>>> {
        match self {
            Self::Session { session, stream } => {
                Ok(session.upgrade().map(|session| session.output(*stream, offset)))
            }
            Self::Logs { provider, sandbox, stream } => {
                provider.logs(sandbox, *stream, offset).await.map(Some)
            }
        }
    }
}

/// What the attempts of a read share.
#[derive(Debug)]
struct State {
    inner: Box<dyn OutputReader>,
    reopen: Reopen,
    offset: u64,
    broken: bool,
}

impl State {
    /// Reads on; after a failure with a new reader, from the end of what was read before.
    async fn next(&mut self) -> Result<Option<OutputChunk>> {
        if self.broken
            && let Some(reader) = self.reopen.at(self.offset).await?
        {
            self.inner = reader;
        }
        self.broken = false;
        match self.inner.next_chunk().await {
            Ok(chunk) => {
                self.offset = chunk.as_ref().map_or(self.offset, OutputChunk::end);
                Ok(chunk)
            }
            Err(error) => {
                self.broken = true;
                Err(error)
            }
        }
    }
}

/// A reader with a layer over it.
#[derive(Debug)]
pub(crate) struct LayeredReader<L> {
    layer: Arc<L>,
    state: Mutex<State>,
    sandbox: SandboxId,
    exec: Option<ExecId>,
}

impl<L: Layer> LayeredReader<L> {
    pub(crate) fn new(
        layer: Arc<L>,
        inner: Box<dyn OutputReader>,
        reopen: Reopen,
        sandbox: SandboxId,
        exec: Option<ExecId>,
        offset: u64,
    ) -> Self {
        let state = Mutex::new(State { inner, reopen, offset, broken: false });
        Self { layer, state, sandbox, exec }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> OutputReader for LayeredReader<L> {
    async fn next_chunk(&mut self) -> Result<Option<OutputChunk>> {
        let about = About::sandbox(Call::ReadOutput, &self.sandbox).exec(self.exec.as_ref());
        let state = &self.state;
        let read = move || -> BoxFuture<'_, Result<Option<OutputChunk>>> {
            Box::pin(async move { state.lock().await.next().await })
        };
        through(&*self.layer, about, read).await
    }

    fn dropped(&self) -> Option<Dropped> {
        let state = self.state.try_lock().expect("reading borrows the reader, so nobody reads now");
        state.inner.dropped()
    }
}
