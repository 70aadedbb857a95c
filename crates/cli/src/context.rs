//! What every command works with.

use std::path::PathBuf;
use std::sync::Arc;

use openlattice::ComputeProvider;
use openlattice_engine::{Engine, EngineConfig};
use openlattice_layers::{Layer, TraceLayer};

use crate::arguments::Global;
use crate::failure::{Failure, Result};
use crate::output;
use crate::providers::{self, Opened};
use crate::state_dir::default_state_dir;

/// The store and the provider that the user chose.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) state_dir: PathBuf,
    provider: String,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        let state_dir = global.state_dir.unwrap_or_else(default_state_dir);
        Self { state_dir, provider: global.provider }
    }

    /// Builds the chosen provider, whose calls are in the log at level debug.
    pub(crate) async fn provider(&self) -> Result<Arc<dyn ComputeProvider>> {
        Ok(self.open().await?.provider)
    }

    /// The same, and says which server it speaks to: of what makes sandboxes, which may cost money.
    pub(crate) async fn announced_provider(&self) -> Result<Arc<dyn ComputeProvider>> {
        let opened = self.open().await?;
        if let Some(server) = opened.server {
            output::complain(&format!("using {server}"));
        }
        Ok(opened.provider)
    }

    /// The chosen provider with the server that it speaks to.
    pub(crate) async fn open(&self) -> Result<Opened> {
        let opened = providers::open(&self.provider, &self.state_dir).await?;
        Ok(Opened { provider: Arc::new(TraceLayer.over(opened.provider)), ..opened })
    }

    /// Whether sandboxes are made on this machine by this process.
    pub(crate) fn is_here(&self) -> bool {
        self.is_local() || providers::is_built_in()
    }

    /// Whether the chosen provider is this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.provider == providers::DEFAULT
    }

    /// Opens the local store, for what only it has; refuses another provider's name.
    pub(crate) async fn engine(&self, command: &str) -> Result<Engine> {
        if !self.is_local() {
            let text = format!("`{command}` is about the local store\nhint: leave --provider out");
            return Err(Failure::new(openlattice::ErrorKind::Unsupported, text));
        }
        Ok(Engine::open(EngineConfig::new(&self.state_dir)).await?)
    }
}
