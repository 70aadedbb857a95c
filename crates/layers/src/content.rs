//! The content of files and what happens to them, with every piece going through the layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openlattice::{Bytes, Error, FileContent, FileEvent, FileWatch, Result, Retry, SandboxId, async_trait};
use tokio::sync::Mutex;

use crate::layer::through;
use crate::{About, BoxFuture, Call, Layer, Repeat};

/// A stream of a file with a layer over it. What failed midway is not repeated: another attempt could be of another file.
#[derive(Debug)]
pub(crate) struct Pieces<L, S: ?Sized> {
    layer: Arc<L>,
    inner: Mutex<Box<S>>,
    sandbox: SandboxId,
}

impl<L: Layer, S: ?Sized> Pieces<L, S> {
    pub(crate) fn new(layer: Arc<L>, inner: Box<S>, sandbox: &SandboxId) -> Self {
        Self { layer, inner: Mutex::new(inner), sandbox: sandbox.clone() }
    }

    fn about(&self, call: Call) -> About<'_> {
        About::sandbox(call, &self.sandbox).repeat(Repeat::Once)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> FileContent for Pieces<L, dyn FileContent> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let inner = &self.inner;
        let next = move || -> BoxFuture<'_, Result<Option<Bytes>>> {
            Box::pin(async move { inner.lock().await.next_chunk().await })
        };
        through(&*self.layer, self.about(Call::ReadFilePiece), next).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> FileWatch for Pieces<L, dyn FileWatch> {
    async fn next_event(&mut self) -> Result<Option<FileEvent>> {
        let inner = &self.inner;
        let next = move || -> BoxFuture<'_, Result<Option<FileEvent>>> {
            Box::pin(async move { inner.lock().await.next_event().await })
        };
        through(&*self.layer, self.about(Call::NextFileEvent), next).await
    }
}

/// Content that is handed to every attempt of a write, and given away once.
#[derive(Clone, Debug)]
pub(crate) struct Once {
    content: Arc<Mutex<Box<dyn FileContent>>>,
    begun: Arc<AtomicBool>,
}

impl Once {
    pub(crate) fn new(content: Box<dyn FileContent>) -> Self {
        Self { content: Arc::new(Mutex::new(content)), begun: Arc::default() }
    }

    /// Says of an attempt's error that no other attempt may follow, where some of the content is gone.
    pub(crate) fn last_if_begun(&self, error: Error) -> Error {
        if self.begun.load(Ordering::SeqCst) { error.with_retry(Retry::Never) } else { error }
    }
}

#[async_trait]
impl FileContent for Once {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        self.begun.store(true, Ordering::SeqCst);
        self.content.lock().await.next_chunk().await
    }
}
