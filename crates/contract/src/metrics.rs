//! The extension that measures a sandbox.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Result, SandboxId};

/// Holds what a sandbox has used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Usage {
    /// Processor time since its start, in microseconds.
    pub cpu_micros: Option<u64>,
    /// Memory in use, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads alive.
    pub pids: Option<u64>,
}

/// Measures sandboxes.
#[async_trait]
pub trait Metrics: fmt::Debug + Send + Sync + 'static {
    /// Returns what a sandbox has used until now; an unknown or ended one is `NotFound`.
    async fn usage(&self, id: &SandboxId) -> Result<Usage>;
}
