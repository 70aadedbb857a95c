//! Images of a store.

pub(crate) mod gc;
pub(crate) mod host;
pub(crate) mod import;
pub(crate) mod layers;
pub(crate) mod remove;
pub(crate) mod resolve;
pub(crate) mod snapshot;

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
        }
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
}
