//! How a store is opened, and what its clean-up removes and reports.

use crate::id::{ImageId, SandboxId, VolumeId};
use std::{path::PathBuf, time::Duration};

/// How to open a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The store's folder; made (mode 0700) when missing.
    pub state_dir: PathBuf,
    /// Bytes that one output stream of one command may keep on disk while nobody reads it, and bytes of input that may wait for one
    /// command. Default 1 GiB.
    pub output_quota: u64,
    /// Bytes that stay readable behind a reader of an output that still grows, so that another one goes on from there; what lies further
    /// behind every reader is taken off the disk. Once half as much again is on disk, a reader that is behind holds the command up, and
    /// input that so much of waits holds up who writes it. At most half the quota. Default 32 MiB.
    pub output_window: u64,
    /// How long a reader that does not move, or a command that does not read its input, holds the other side up below the quota. At the
    /// quota a reader is waited for. Default 30 s.
    pub reader_patience: Duration,
    /// How long the output of an ended command stays readable. Default 1 hour.
    pub output_retention: Duration,
    /// Bytes of output of ended commands that the whole store keeps; above it, the output of those that ended first is removed, but none
    /// before it was there for a minute. Default 1 GiB.
    pub output_bound: u64,
}

impl EngineConfig {
    /// Defaults for a store in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            output_quota: 1 << 30,
            output_retention: Duration::from_secs(3600),
            output_bound: 1 << 30,
            output_window: 32 << 20,
            reader_patience: Duration::from_secs(30),
        }
    }
}

/// What [`gc`](crate::Engine::gc) removes beyond what nobody needs. `Default`: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcSpec {
    /// All that is kept of sandboxes that ended longer ago than this: files, output and result. Zero: of every ended one.
    pub older: Option<Duration>,
}

impl GcSpec {
    /// Removes what is kept of sandboxes that ended longer ago than `age`.
    #[must_use]
    pub fn older(age: Duration) -> Self {
        Self { older: Some(age) }
    }

    /// Removes what is kept of every ended sandbox.
    #[must_use]
    pub fn all() -> Self {
        Self::older(Duration::ZERO)
    }
}

/// What `gc` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcReport {
    /// Sandboxes ended because their owner or creator is gone.
    pub ended: Vec<SandboxId>,
    /// Ended sandboxes of which nothing is left on disk, except perhaps their result.
    pub removed: Vec<SandboxId>,
    /// Images removed (expired, used by nothing).
    pub images: Vec<ImageId>,
    /// Volumes removed (nameless, and not renewed in time).
    pub volumes: Vec<VolumeId>,
    /// Bytes given back, roughly.
    pub bytes: u64,
}
