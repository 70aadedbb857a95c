//! A handle that carries provider and id together.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Callbacks, ComputeProvider, ComputeProviderExt, ExecId, ExecResult, ExecSession, ExecSpec, Files,
    Network, NodeFiles, NodeNetwork, NodeTags, Result, SandboxId, SandboxInfo, SnapshotRef, SnapshotSpec,
    Tags,
};

/// Names a node so that another process can find it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeRef {
    /// The provider's name.
    pub provider: String,
    /// The sandbox's id.
    pub id: SandboxId,
}

/// A sandbox together with its provider.
///
/// Cheap to clone. Dropping it does nothing to the sandbox. Errors are those of the [`ComputeProvider`] method of the same name.
pub struct Node<P: ComputeProvider + ?Sized = dyn ComputeProvider> {
    provider: Arc<P>,
    id: SandboxId,
}

impl<P: ComputeProvider + ?Sized> Node<P> {
    /// Ties a provider to a sandbox.
    pub fn new(provider: Arc<P>, id: SandboxId) -> Self {
        Self { provider, id }
    }

    /// Returns the sandbox's id.
    pub fn id(&self) -> &SandboxId {
        &self.id
    }

    /// Returns the provider.
    pub fn provider(&self) -> &Arc<P> {
        &self.provider
    }

    /// Returns what another process needs to find the node; see [`ComputeProviderExt::node_from`].
    pub fn to_ref(&self) -> NodeRef {
        NodeRef { provider: self.provider.name().to_owned(), id: self.id.clone() }
    }

    /// Runs a command to its end; see [`ComputeProviderExt::run`].
    ///
    /// # Errors
    /// Those of [`ComputeProviderExt::run`].
    pub async fn run(&self, spec: ExecSpec) -> Result<ExecResult> {
        self.run_with(spec, Callbacks::none()).await
    }

    /// Runs a command to its end, with its output also going to callbacks; see [`ComputeProviderExt::run`].
    ///
    /// # Errors
    /// Those of [`ComputeProviderExt::run`].
    pub async fn run_with(&self, spec: ExecSpec, callbacks: Callbacks<'_>) -> Result<ExecResult> {
        self.provider.run(&self.id, spec, callbacks).await
    }

    /// Starts a command; see [`ComputeProvider::exec`].
    ///
    /// # Errors
    /// Those of [`ComputeProvider::exec`].
    pub async fn exec(&self, spec: ExecSpec) -> Result<Box<dyn ExecSession>> {
        self.provider.exec(&self.id, spec).await
    }

    /// Follows a command that was started earlier; see [`ComputeProvider::attach`].
    ///
    /// # Errors
    /// Those of [`ComputeProvider::attach`].
    pub async fn attach(&self, exec: &ExecId) -> Result<Box<dyn ExecSession>> {
        self.provider.attach(&self.id, exec).await
    }

    /// Describes the sandbox; see [`ComputeProvider::inspect`].
    ///
    /// # Errors
    /// Those of [`ComputeProvider::inspect`].
    pub async fn inspect(&self) -> Result<SandboxInfo> {
        self.provider.inspect(&self.id).await
    }

    /// Keeps the sandbox's file system; see [`ComputeProvider::snapshot`].
    ///
    /// # Errors
    /// Those of [`ComputeProvider::snapshot`].
    pub async fn snapshot(&self) -> Result<SnapshotRef> {
        self.provider.snapshot(&self.id, SnapshotSpec::default()).await
    }

    /// Ends the sandbox; see [`ComputeProvider::destroy`].
    ///
    /// # Errors
    /// Those of [`ComputeProvider::destroy`].
    pub async fn destroy(&self) -> Result<()> {
        self.provider.destroy(&self.id).await
    }

    /// Returns the sandbox's files, or `None` where the provider does not offer them.
    pub fn files(&self) -> Option<NodeFiles> {
        let files = self.provider.extensions().get::<dyn Files>()?;
        Some(NodeFiles::new(files, self.id.clone()))
    }

    /// Returns the sandbox's network, or `None` where the provider does not offer it.
    pub fn network(&self) -> Option<NodeNetwork> {
        let network = self.provider.extensions().get::<dyn Network>()?;
        Some(NodeNetwork::new(network, self.id.clone()))
    }

    /// Returns the sandbox's labels, or `None` where the provider does not offer to change them.
    pub fn tags(&self) -> Option<NodeTags> {
        let tags = self.provider.extensions().get::<dyn Tags>()?;
        Some(NodeTags::new(tags, self.id.clone()))
    }
}

impl<P: ComputeProvider + ?Sized> Clone for Node<P> {
    fn clone(&self) -> Self {
        Self { provider: Arc::clone(&self.provider), id: self.id.clone() }
    }
}

impl<P: ComputeProvider + ?Sized> fmt::Debug for Node<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("provider", &self.provider.name()).field("id", &self.id).finish()
    }
}
