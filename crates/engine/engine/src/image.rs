//! Images of a store.

use crate::id::ImageId;
use std::time::{Duration, SystemTime};

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
}

/// How to snapshot.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SnapshotSpec {
    /// Repeating a known key returns the same image (kept for the life of the image).
    pub key: Option<String>,
    /// Time after which `gc` may remove it; `None`: never.
    pub ttl: Option<Duration>,
}
