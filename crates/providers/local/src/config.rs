//! What a provider is built from.

use std::path::PathBuf;

use openlattice::Result;
use openlattice_engine::{Engine, EngineConfig};
use serde::{Deserialize, Serialize};

use crate::error::Attempt;
use crate::provider::LocalProvider;

/// Where the store is, and its bounds; unknown fields are refused by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalConfig {
    /// The store's folder; it is made, for its owner alone, when it is missing.
    pub state_dir: PathBuf,
    /// Bytes of each output stream that are kept per command; without it the engine's default of 1 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_quota: Option<u64>,
}

impl LocalConfig {
    /// Describes a store with default bounds.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self { state_dir: state_dir.into(), output_quota: None }
    }

    /// Opens the store and builds the provider, which cleans the store up in the background as long as it lives.
    ///
    /// # Errors
    /// `PermissionDenied` or `Unsupported` where this machine or user cannot run sandboxes; `Internal` for a damaged
    /// store.
    pub async fn build(self) -> Result<LocalProvider> {
        let mut config = EngineConfig::new(&self.state_dir);
        if let Some(quota) = self.output_quota {
            config.output_quota = quota;
        }
        let quota = config.output_quota;
        let engine = Engine::open(config).await.map_err(Attempt("open store").failed())?;
        engine.keep_tidy();
        Ok(LocalProvider::on(engine, quota))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m32_unknown_fields_are_refused_by_name() {
        let config: LocalConfig = serde_json::from_str(r#"{"stateDir":"/s"}"#).unwrap();
        assert_eq!(config, LocalConfig::new("/s"));
        let error = serde_json::from_str::<LocalConfig>(r#"{"stateDir":"/s","quota":1}"#).unwrap_err();
        assert!(error.to_string().contains("`quota`"), "{error}");
    }
}
