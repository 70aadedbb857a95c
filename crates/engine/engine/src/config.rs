//! How a store is opened, and what its clean-up reports.

use crate::id::{ImageId, SandboxId, VolumeId};
use std::{path::PathBuf, time::Duration};

/// How to open a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The store's folder; made (mode 0700) when missing.
    pub state_dir: PathBuf,
    /// Bytes that one output stream of one command may keep, and bytes of input that one command may be given. Default 1 GiB.
    pub output_quota: u64,
    /// How long `gc` leaves the folder of an ended sandbox, and with it its outputs. Default zero.
    pub keep_ended: Duration,
}

impl EngineConfig {
    /// Defaults for a store in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self { state_dir: state_dir.into(), output_quota: 1 << 30, keep_ended: Duration::ZERO }
    }
}

/// What `gc` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcReport {
    /// Sandboxes ended because their owner or creator is gone.
    pub ended: Vec<SandboxId>,
    /// Folders of ended sandboxes removed.
    pub removed: Vec<SandboxId>,
    /// Images removed (expired, used by nothing).
    pub images: Vec<ImageId>,
    /// Volumes removed (nameless, and not renewed in time).
    pub volumes: Vec<VolumeId>,
    /// Bytes given back, roughly.
    pub bytes: u64,
}
