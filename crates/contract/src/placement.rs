//! Where a sandbox runs.

use serde::{Deserialize, Serialize};

/// Says where a sandbox is to run; nothing set leaves it to the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Placement {
    /// Regions to choose from, in the provider's names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// The cloud, in the provider's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
    /// The processor architecture, such as `x86_64` or `aarch64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
}
