//! How much a sandbox may use, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds what a sandbox uses; nothing set leaves it to the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Resources {
    /// Thousandths of a processor that are set aside for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request_millis: Option<u32>,
    /// Thousandths of a processor that it cannot exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit_millis: Option<u32>,
    /// Bytes of memory that are set aside for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request_bytes: Option<u64>,
    /// Bytes of memory that it cannot exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    /// The number of processes and threads that it cannot exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<u32>,
    /// Bytes on its own disk that it cannot exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_limit_bytes: Option<u64>,
}

/// Bounds how long a sandbox lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Lifetime {
    /// Seconds after its start at which it is ended; without it the provider's maximum, at most 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<u64>,
    /// Seconds without a running command after which it is ended; without it, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
}

impl Lifetime {
    /// Returns the longest life as a duration.
    pub fn max(&self) -> Option<Duration> {
        self.max_seconds.map(Duration::from_secs)
    }

    /// Returns the idle time as a duration.
    pub fn idle(&self) -> Option<Duration> {
        self.idle_seconds.map(Duration::from_secs)
    }
}

/// Attaches a volume that the provider stores under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeMount {
    /// The volume's name.
    pub name: String,
    /// The absolute path at which it appears.
    pub path: String,
    /// Whether writes to it are refused.
    #[serde(default)]
    pub read_only: bool,
    /// The folder of the volume that appears, made when missing; without it, the whole volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
}

impl VolumeMount {
    /// Attaches a whole volume for reading and writing.
    pub fn new(name: impl Into<String>, path: impl Into<String>) -> Self {
        Self { name: name.into(), path: path.into(), read_only: false, sub_path: None }
    }
}
