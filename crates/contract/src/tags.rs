//! The extension that changes a sandbox's labels.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Result, SandboxId};

/// Reads and replaces the labels of sandboxes that exist, which [`ListFilter`](crate::ListFilter) finds them by.
///
/// Labels that the provider keeps for itself are never shown and never lost. An unknown sandbox is `NotFound` with subject
/// `Sandbox`. A dropped call has happened or has not.
#[async_trait]
pub trait Tags: fmt::Debug + Send + Sync + 'static {
    /// Returns all labels of a sandbox.
    async fn get(&self, id: &SandboxId) -> Result<BTreeMap<String, String>>;

    /// Replaces all labels of a sandbox: those that are not given are gone.
    ///
    /// # Behaviour
    /// - `list` and `inspect` follow at once.
    /// - An empty name, and one that the provider has reserved, is `InvalidArgument` with field `tags`; nothing is changed then.
    async fn set(&self, id: &SandboxId, tags: BTreeMap<String, String>) -> Result<()>;
}

/// The labels of one sandbox; errors are those of [`Tags`].
#[derive(Clone, Debug)]
pub struct NodeTags {
    tags: Arc<dyn Tags>,
    id: SandboxId,
}

impl NodeTags {
    /// Ties the extension to a sandbox.
    pub fn new(tags: Arc<dyn Tags>, id: SandboxId) -> Self {
        Self { tags, id }
    }

    /// Returns all labels; see [`Tags::get`].
    ///
    /// # Errors
    /// Those of [`Tags::get`].
    pub async fn get(&self) -> Result<BTreeMap<String, String>> {
        self.tags.get(&self.id).await
    }

    /// Replaces all labels; see [`Tags::set`].
    ///
    /// # Errors
    /// Those of [`Tags::set`].
    pub async fn set(&self, tags: BTreeMap<String, String>) -> Result<()> {
        self.tags.set(&self.id, tags).await
    }
}
