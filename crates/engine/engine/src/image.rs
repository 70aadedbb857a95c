//! Images of a store.

pub(crate) mod gc;
pub(crate) mod host;
pub(crate) mod import;
pub(crate) mod layers;
pub(crate) mod pull;
pub(crate) mod remove;
pub(crate) mod resolve;
pub(crate) mod snapshot;

use crate::id::ImageId;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// What is known of an image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageInfo {
    /// Id.
    pub id: ImageId,
    /// Names that point to it.
    pub names: Vec<String>,
    /// When it came into the store.
    pub created_at: SystemTime,
    /// Bytes of its own layers (not of the host's /usr).
    pub size: u64,
    /// Environment that it sets.
    pub env: Vec<(String, String)>,
    /// Its default command (entrypoint and cmd joined).
    pub command: Vec<String>,
    /// Its working directory.
    pub workdir: Option<String>,
    /// When it goes away by itself.
    pub expires_at: Option<SystemTime>,
    /// The sandbox it is a snapshot of.
    pub snapshot_of: Option<crate::id::SandboxId>,
    /// Whether it is, or was, the image `host`: this machine's own `/usr`.
    pub is_host: bool,
}

impl ImageInfo {
    /// One that is to be filled in.
    pub(crate) fn empty(id: ImageId) -> Self {
        Self {
            id,
            names: Vec::new(),
            created_at: SystemTime::UNIX_EPOCH,
            size: 0,
            env: Vec::new(),
            command: Vec::new(),
            workdir: None,
            expires_at: None,
            snapshot_of: None,
            is_host: false,
        }
    }
}

/// Told of a pull's bytes: how many came, of how many.
pub type OnProgress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// What to pull. `Debug` hides the credentials.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct PullSpec {
    /// The image, read as Docker reads it: `python:3.12-slim`, `ghcr.io/owner/name@sha256:…`.
    pub reference: String,
    /// For its registry.
    pub credentials: Option<RegistryCredentials>,
    /// Called with each piece that comes: bytes that came and all that are to come, as the registry stores them.
    pub progress: Option<OnProgress>,
}

impl PullSpec {
    /// An image that anybody may pull.
    pub fn new(reference: impl Into<String>) -> Self {
        Self { reference: reference.into(), ..Self::default() }
    }
}

impl fmt::Debug for PullSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSpec").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// A user of a registry. `Debug` hides the password.
#[derive(Clone)]
pub struct RegistryCredentials {
    /// The user's name.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for RegistryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// How to snapshot.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SnapshotSpec {
    /// Repeating a known key returns the same image (kept for the life of the image).
    pub key: Option<String>,
    /// Time after which `gc` may remove it; `None`: never.
    pub ttl: Option<Duration>,
    /// Whom commands of the image run as, as `USER` of an image has it. Default: the user of the image that the sandbox was made from.
    pub user: Option<String>,
    /// The image's own command; an empty one is none. Default: that of the image that the sandbox was made from.
    pub command: Option<Vec<String>>,
}
