//! The extension that keeps volumes.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Result, Timestamp};

/// Describes a stored volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeInfo {
    /// Its name, by which [`VolumeMount`](crate::VolumeMount) attaches it.
    pub name: String,
    /// Its id, in the provider's words.
    pub id: String,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// Makes, lists and removes the volumes that sandboxes attach by name.
///
/// A volume is a directory that outlives every sandbox and appears in any number of them at once. A snapshot has nothing of its
/// content. Errors about a volume have subject `Volume` and its name as context. A dropped call has happened or has not.
#[async_trait]
pub trait Volumes: fmt::Debug + Send + Sync + 'static {
    /// Makes an empty volume.
    ///
    /// # Behaviour
    /// - A name that a volume has is `AlreadyExists`.
    /// - A name that none can have is `InvalidArgument`; 1 to 64 letters, digits, `-`, `_` and `.` are fine everywhere.
    async fn create(&self, name: &str) -> Result<VolumeInfo>;

    /// Lists the volumes that have a name, newest first.
    async fn list(&self) -> Result<Vec<VolumeInfo>>;

    /// Removes a volume with all that is in it.
    ///
    /// # Behaviour
    /// - An unknown one is `NotFound`.
    /// - One that a live sandbox has is `FailedPrecondition` where the provider knows, and stays.
    async fn remove(&self, name: &str) -> Result<()>;
}
