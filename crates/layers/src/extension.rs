//! The contract's extensions, with every call going through the layer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use openlattice::{
    Bytes, FileContent, FileInfo, FileTime, FileWatch, Files, ListOptions, Metrics, Network, NetworkPolicy,
    PortUrl, Result, SandboxId, Tags, Usage, VolumeInfo, Volumes, WatchOptions, WriteOptions, async_trait,
};

use crate::content::{Once, Pieces};
use crate::layer::through;
use crate::{About, BoxFuture, Call, Layer, Repeat};

/// Declares an extension with a layer over it.
macro_rules! layered {
    ($(#[$doc:meta])* $name:ident, $inner:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name<L> {
            layer: Arc<L>,
            inner: Arc<dyn $inner>,
        }

        impl<L: Layer> $name<L> {
            pub(crate) fn new(layer: Arc<L>, inner: Arc<dyn $inner>) -> Self {
                Self { layer, inner }
            }
        }
    };
}

layered! {
    /// Files with a layer over them.
    LayeredFiles, Files
}
layered! {
    /// The network with a layer over it.
    LayeredNetwork, Network
}
layered! {
    /// Measurements with a layer over them.
    LayeredMetrics, Metrics
}
layered! {
    /// Labels with a layer over them.
    LayeredTags, Tags
}
layered! {
    /// Volumes with a layer over them.
    LayeredVolumes, Volumes
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> Files for LayeredFiles<L> {
    async fn read(&self, id: &SandboxId, path: &Path) -> Result<Bytes> {
        through(&*self.layer, About::sandbox(Call::ReadFile, id), || self.inner.read(id, path)).await
    }

    async fn write(&self, id: &SandboxId, path: &Path, data: Bytes, options: WriteOptions) -> Result<()> {
        let write = || self.inner.write(id, path, data.clone(), options.clone());
        through(&*self.layer, About::sandbox(Call::WriteFile, id), write).await
    }

    async fn read_stream(&self, id: &SandboxId, path: &Path, offset: u64) -> Result<Box<dyn FileContent>> {
        let about = About::sandbox(Call::OpenFile, id);
        let content = through(&*self.layer, about, || self.inner.read_stream(id, path, offset)).await?;
        if !self.layer.covers(Call::ReadFilePiece) {
            return Ok(content);
        }
        Ok(Box::new(Pieces::new(Arc::clone(&self.layer), content, id)))
    }

    async fn write_stream(
        &self,
        id: &SandboxId,
        path: &Path,
        content: Box<dyn FileContent>,
        options: WriteOptions,
    ) -> Result<()> {
        let content = Once::new(content);
        let write = || -> BoxFuture<'_, Result<()>> {
            let (content, options) = (content.clone(), options.clone());
            Box::pin(async move {
                let written = self.inner.write_stream(id, path, Box::new(content.clone()), options).await;
                written.map_err(|error| content.last_if_begun(error))
            })
        };
        through(&*self.layer, About::sandbox(Call::StreamFile, id), write).await
    }

    async fn watch(&self, id: &SandboxId, path: &Path, options: WatchOptions) -> Result<Box<dyn FileWatch>> {
        let about = About::sandbox(Call::WatchFiles, id);
        let watch = through(&*self.layer, about, || self.inner.watch(id, path, options.clone())).await?;
        if !self.layer.covers(Call::NextFileEvent) {
            return Ok(watch);
        }
        Ok(Box::new(Pieces::new(Arc::clone(&self.layer), watch, id)))
    }

    async fn symlink(&self, id: &SandboxId, path: &Path, target: &Path) -> Result<()> {
        // The link that a lost first attempt made would be a failure of the second.
        let about = About::sandbox(Call::MakeLink, id).repeat(Repeat::Once);
        through(&*self.layer, about, || self.inner.symlink(id, path, target)).await
    }

    async fn set_mode(&self, id: &SandboxId, path: &Path, mode: u32) -> Result<()> {
        through(&*self.layer, About::sandbox(Call::SetMode, id), || self.inner.set_mode(id, path, mode)).await
    }

    async fn set_modified(&self, id: &SandboxId, path: &Path, modified_at: FileTime) -> Result<()> {
        let set = || self.inner.set_modified(id, path, modified_at);
        through(&*self.layer, About::sandbox(Call::SetModified, id), set).await
    }

    async fn list(&self, id: &SandboxId, path: &Path, options: ListOptions) -> Result<Vec<FileInfo>> {
        let list = || self.inner.list(id, path, options.clone());
        through(&*self.layer, About::sandbox(Call::ListFiles, id), list).await
    }

    async fn stat(&self, id: &SandboxId, path: &Path) -> Result<FileInfo> {
        through(&*self.layer, About::sandbox(Call::StatFile, id), || self.inner.stat(id, path)).await
    }

    async fn mkdir(&self, id: &SandboxId, path: &Path, parents: bool) -> Result<()> {
        // Without `parents` the directory that a lost first attempt made would be a failure of the second.
        let about = About::sandbox(Call::MakeDirectory, id).once_unless(parents);
        through(&*self.layer, about, || self.inner.mkdir(id, path, parents)).await
    }

    async fn remove(&self, id: &SandboxId, path: &Path, recursive: bool) -> Result<()> {
        // What a lost first attempt removed is not there for the second.
        let about = About::sandbox(Call::RemoveFile, id).repeat(Repeat::Once);
        through(&*self.layer, about, || self.inner.remove(id, path, recursive)).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> Network for LayeredNetwork<L> {
    async fn url(&self, id: &SandboxId, port: u16) -> Result<PortUrl> {
        through(&*self.layer, About::sandbox(Call::PortUrl, id), || self.inner.url(id, port)).await
    }

    async fn ports(&self, id: &SandboxId) -> Result<Vec<PortUrl>> {
        through(&*self.layer, About::sandbox(Call::ListPorts, id), || self.inner.ports(id)).await
    }

    async fn set_policy(&self, id: &SandboxId, policy: NetworkPolicy) -> Result<()> {
        let set = || self.inner.set_policy(id, policy.clone());
        through(&*self.layer, About::sandbox(Call::SetPolicy, id), set).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> Metrics for LayeredMetrics<L> {
    async fn usage(&self, id: &SandboxId) -> Result<Usage> {
        through(&*self.layer, About::sandbox(Call::Usage, id), || self.inner.usage(id)).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> Tags for LayeredTags<L> {
    async fn get(&self, id: &SandboxId) -> Result<BTreeMap<String, String>> {
        through(&*self.layer, About::sandbox(Call::GetTags, id), || self.inner.get(id)).await
    }

    async fn set(&self, id: &SandboxId, tags: BTreeMap<String, String>) -> Result<()> {
        let set = || self.inner.set(id, tags.clone());
        through(&*self.layer, About::sandbox(Call::SetTags, id), set).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<L: Layer> Volumes for LayeredVolumes<L> {
    async fn create(&self, name: &str) -> Result<VolumeInfo> {
        // The volume that a lost first attempt made would be a failure of the second.
        let about = About::call(Call::CreateVolume).repeat(Repeat::Once);
        through(&*self.layer, about, || self.inner.create(name)).await
    }

    async fn list(&self) -> Result<Vec<VolumeInfo>> {
        through(&*self.layer, About::call(Call::ListVolumes), || self.inner.list()).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        // What a lost first attempt removed is not there for the second.
        let about = About::call(Call::RemoveVolume).repeat(Repeat::Once);
        through(&*self.layer, about, || self.inner.remove(name)).await
    }
}
