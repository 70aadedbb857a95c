//! Files around good ones, broken in one chosen way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use openlattice::{
    Bytes, FileContent, FileEvent, FileEventKind, FileInfo, FileTime, FileWatch, Files, ListOptions, Result,
    SandboxId, WatchOptions, WriteOptions, async_trait,
};

use crate::fault::Fault;

/// Breaks one promise of good files.
#[derive(Debug)]
pub(crate) struct BrokenFiles {
    pub(crate) inner: Arc<dyn Files>,
    pub(crate) fault: Fault,
}

/// Content that is not what it should be.
#[derive(Debug)]
struct BrokenContent {
    inner: Box<dyn FileContent>,
    fault: Fault,
    held: Option<Bytes>,
}

impl BrokenContent {
    fn new(inner: Box<dyn FileContent>, fault: Fault) -> Box<Self> {
        Box::new(Self { inner, fault, held: None })
    }

    /// Holds each piece back until the next one came, and the last one for ever.
    async fn without_the_last(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(next) = self.inner.next_chunk().await? else { return Ok(None) };
            if let Some(before) = self.held.replace(next) {
                return Ok(Some(before));
            }
        }
    }
}

#[async_trait]
impl FileContent for BrokenContent {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        match self.fault {
            Fault::LosesTheLastPiece => self.without_the_last().await,
            Fault::CompletesWhatFailed => Ok(self.inner.next_chunk().await.unwrap_or_default()),
            _ => self.inner.next_chunk().await,
        }
    }
}

/// A file that is read anew for each piece.
#[derive(Debug)]
struct Reopened {
    inner: Arc<dyn Files>,
    id: SandboxId,
    path: PathBuf,
    offset: u64,
}

#[async_trait]
impl FileContent for Reopened {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let piece = self.inner.read_stream(&self.id, &self.path, self.offset).await?.next_chunk().await?;
        self.offset += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }
}

/// A watch that does not tell all.
#[derive(Debug)]
struct BrokenWatch {
    inner: Box<dyn FileWatch>,
    fault: Fault,
}

#[async_trait]
impl FileWatch for BrokenWatch {
    async fn next_event(&mut self) -> Result<Option<FileEvent>> {
        loop {
            let event = self.inner.next_event().await?;
            let removed = event.as_ref().is_some_and(|event| event.kind == FileEventKind::Remove);
            if !(removed && self.fault == Fault::HidesRemovals) {
                return Ok(event);
            }
        }
    }
}

#[async_trait]
impl Files for BrokenFiles {
    async fn read(&self, id: &SandboxId, path: &Path) -> Result<Bytes> {
        self.inner.read(id, path).await
    }

    async fn write(&self, id: &SandboxId, path: &Path, data: Bytes, mut options: WriteOptions) -> Result<()> {
        if self.fault == Fault::IgnoresModes {
            options.mode = None;
        }
        if self.fault == Fault::IgnoresTimes {
            options.modified_at = None;
        }
        self.inner.write(id, path, data, options).await
    }

    async fn read_stream(&self, id: &SandboxId, path: &Path, offset: u64) -> Result<Box<dyn FileContent>> {
        let offset = if self.fault == Fault::IgnoresFileOffset { 0 } else { offset };
        let content = self.inner.read_stream(id, path, offset).await?;
        if self.fault == Fault::MixesVersions {
            let (inner, id, path) = (Arc::clone(&self.inner), id.clone(), path.to_owned());
            return Ok(Box::new(Reopened { inner, id, path, offset }));
        }
        Ok(BrokenContent::new(content, self.fault))
    }

    async fn write_stream(
        &self,
        id: &SandboxId,
        path: &Path,
        mut content: Box<dyn FileContent>,
        options: WriteOptions,
    ) -> Result<()> {
        if self.fault != Fault::ShowsWhatIsNotComplete {
            let content = BrokenContent::new(content, self.fault);
            return self.inner.write_stream(id, path, content, options).await;
        }
        let mut whole = Vec::new();
        self.inner.write(id, path, Bytes::new(), options.clone()).await?;
        while let Some(piece) = content.next_chunk().await? {
            whole.extend_from_slice(&piece);
            self.inner.write(id, path, whole.clone().into(), options.clone()).await?;
        }
        Ok(())
    }

    async fn watch(
        &self,
        id: &SandboxId,
        path: &Path,
        mut options: WatchOptions,
    ) -> Result<Box<dyn FileWatch>> {
        match self.fault {
            Fault::WatchesOneLevel => options.recursive = false,
            Fault::WatchesAllLevels => options.recursive = true,
            Fault::IgnoresFilter => options.filter = None,
            Fault::WatchesForEver => options.timeout_seconds = None,
            _ => {}
        }
        let inner = self.inner.watch(id, path, options).await?;
        Ok(Box::new(BrokenWatch { inner, fault: self.fault }))
    }

    async fn symlink(&self, id: &SandboxId, path: &Path, target: &Path) -> Result<()> {
        if self.fault == Fault::ResolvesLinks {
            return self
                .inner
                .write(
                    id,
                    path,
                    target.as_os_str().as_encoded_bytes().to_vec().into(),
                    WriteOptions::default(),
                )
                .await;
        }
        self.inner.symlink(id, path, target).await
    }

    async fn set_mode(&self, id: &SandboxId, path: &Path, mode: u32) -> Result<()> {
        self.inner.set_mode(id, path, mode).await
    }

    async fn set_modified(&self, id: &SandboxId, path: &Path, modified_at: FileTime) -> Result<()> {
        if self.fault == Fault::IgnoresTimes {
            return Ok(());
        }
        self.inner.set_modified(id, path, modified_at).await
    }

    async fn list(&self, id: &SandboxId, path: &Path, options: ListOptions) -> Result<Vec<FileInfo>> {
        self.inner.list(id, path, options).await
    }

    async fn stat(&self, id: &SandboxId, path: &Path) -> Result<FileInfo> {
        self.inner.stat(id, path).await
    }

    async fn mkdir(&self, id: &SandboxId, path: &Path, parents: bool) -> Result<()> {
        self.inner.mkdir(id, path, parents).await
    }

    async fn remove(&self, id: &SandboxId, path: &Path, recursive: bool) -> Result<()> {
        self.inner.remove(id, path, recursive).await
    }
}
